//===- Plan.cpp - what a session does, decided once -----------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "Plan.h"
#include <algorithm>

using namespace ane::runtime;

/// Whether values may stay in an fp16 surface from one program to the next:
/// what the tensor's own dtype would do to them is nothing.
static bool holdsHalves(ane_dtype dtype) {
  return dtype == ANE_FP16 || dtype == ANE_FP32 || dtype == ANE_FP64;
}

ane_dtype Plan::carrierOf(const Copy &copy) const {
  ane_dtype dtype = bundle->tensors[places[copy.from].tensor].dtype;
  return holdsHalves(dtype) &&
                 places[copy.from].layout.dtype == places[copy.to].layout.dtype
             ? places[copy.from].layout.dtype
             : dtype;
}

uint32_t Plan::packedPlace(uint32_t tensor) {
  for (uint32_t place : ofTensor[tensor])
    if (!places[place].isSurface)
      return place;
  const Bundle::Tensor &info = bundle->tensors[tensor];
  bool open = !info.isStatic();
  places.push_back({tensor,
                    false,
                    Layout::packed(info.dtype, open ? 0 : info.count()),
                    {},
                    open});
  ofTensor[tensor].insert(ofTensor[tensor].begin(), places.size() - 1);
  return places.size() - 1;
}

uint32_t Plan::surfacePlace(uint32_t tensor, const Bundle::Surface &surface) {
  bool shared = holdsHalves(bundle->tensors[tensor].dtype);
  for (uint32_t place : ofTensor[tensor])
    if (shared && places[place].isSurface &&
        places[place].shape == surface.shape &&
        places[place].layout == surface.layout)
      return place;
  places.push_back({tensor, true, surface.layout, surface.shape, false});
  ofTensor[tensor].push_back(places.size() - 1);
  return places.size() - 1;
}

uint32_t Plan::placeOf(const Bundle::Step &step, const Bundle::Binding &binding,
                       bool isInput) {
  const Bundle::Surface *surface =
      bundle->programs[step.program].isEngine
          ? bundle->tensors[binding.tensor].find(step.program, binding.symbol,
                                                 isInput)
          : nullptr;
  return surface ? surfacePlace(binding.tensor, *surface)
                 : packedPlace(binding.tensor);
}

void Plan::require(uint32_t place, std::vector<Copy> &copies) {
  std::vector<uint32_t> &now = valid[places[place].tensor];
  if (std::find(now.begin(), now.end(), place) != now.end())
    return;
  // Packed memory holds the most.
  auto from = std::find_if(now.begin(), now.end(), [&](uint32_t other) {
    return !places[other].isSurface;
  });
  copies.push_back({from == now.end() ? now.front() : *from, place});
  now.push_back(place);
}

Plan::Plan(std::shared_ptr<const Bundle> made, size_t index)
    : bundle(std::move(made)), function(bundle->functions.at(index)),
      ofTensor(bundle->tensors.size()), valid(bundle->tensors.size()) {
  for (const Bundle::Step &step : function.schedule) {
    const Bundle::Procedure &procedure =
        bundle->programs[step.program].procedures[step.procedure];
    Step planned{step.program, step.procedure, {}, {}, {}};
    for (const Bundle::Binding &binding : procedure.inputs)
      planned.inputs.push_back(placeOf(step, binding, true));
    for (const Bundle::Binding &binding : procedure.outputs)
      planned.outputs.push_back(placeOf(step, binding, false));
    steps.push_back(std::move(planned));
  }
  for (const Bundle::Port &port : function.inputs) {
    if (ofTensor[port.tensor].empty())
      packedPlace(port.tensor);
    inputs.push_back(ofTensor[port.tensor].front());
    valid[port.tensor] = {inputs.back()};
  }
  for (Step &step : steps) {
    for (uint32_t place : step.inputs)
      require(place, step.before);
    for (uint32_t place : step.outputs)
      valid[places[place].tensor] = {place};
  }
  for (const Bundle::Port &port : function.outputs)
    outputs.push_back(valid[port.tensor].front());
  for (const Bundle::State &state : function.states)
    addCarry(state.output, state.input, state.axis);
}

void Plan::carry(size_t output, size_t input) {
  const Bundle::Port &out = function.outputs.at(output),
                     &in = function.inputs.at(input);
  const Bundle::Tensor &from = bundle->tensors[out.tensor],
                       &to = bundle->tensors[in.tensor];
  if (from.dtype != to.dtype || from.shape != to.shape || !from.isStatic())
    fail(ANE_INVALID_ARGUMENT, "output " + quoted(out.name) + " and input " +
                                   quoted(in.name) +
                                   " do not have one dtype and shape; a state "
                                   "is the same array before and after");
  if (out.tensor == in.tensor)
    fail(ANE_INVALID_ARGUMENT, "output " + quoted(out.name) +
                                   " is the input itself, which no program "
                                   "changes");
  for (const Carry &other : carries)
    if (function.inputs[other.input].tensor == in.tensor ||
        function.outputs[other.output].tensor == out.tensor)
      fail(ANE_INVALID_ARGUMENT, "output " + quoted(out.name) + " or input " +
                                     quoted(in.name) + " is carried already");
  addCarry(output, input, -1);
}

void Plan::addCarry(size_t output, size_t input, int32_t axis) {
  const Bundle::Port &out = function.outputs[output],
                     &in = function.inputs[input];
  // Only the input's first place is read at the start of a run.
  uint32_t target = inputs[input];
  Carry result{uint32_t(output),          uint32_t(input), axis,
               {outputs[output], target}, false,           false};
  for (const Bundle::Port &port : function.inputs)
    result.passes |= port.tensor == out.tensor;
  bool once = true;
  for (const Carry &other : carries)
    once &= function.outputs[other.output].tensor != out.tensor;
  for (uint32_t place : valid[out.tensor])
    if (axis < 0 && !result.passes && once &&
        bundle->tensors[out.tensor].dtype == bundle->tensors[in.tensor].dtype &&
        places[place].isSurface == places[target].isSurface &&
        places[place].layout == places[target].layout &&
        places[place].shape == places[target].shape) {
      result.places.from = place;
      result.swaps = true;
    }
  carries.push_back(result);
}

bool Plan::alternates() const {
  return std::any_of(carries.begin(), carries.end(),
                     [](const Carry &carry) { return carry.swaps; });
}
