//===- Slot.cpp - the memory of one request -------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "Slot.h"
#include <algorithm>
#include <chrono>
#include <cstring>

using namespace ane::runtime;
using Clock = std::chrono::steady_clock;

/// While one lives, the CPU may read or write a place's surface.
class Slot::Access {
public:
  Access(const Slot &slot, uint32_t place, unsigned parity, bool readOnly)
      : readOnly(readOnly) {
    Memory *memory = slot.cells[place].memory[parity];
    if (!memory->surface || !slot.session.device->options.lockSurfaces)
      return;
    objc = &slot.session.device->engine->getObjC();
    surface = memory->surface->reference();
    objc->lockSurface(surface, readOnly);
  }
  ~Access() {
    if (objc)
      objc->unlockSurface(surface, readOnly);
  }
  Access(const Access &) = delete;
  Access &operator=(const Access &) = delete;

private:
  const ObjC *objc = nullptr;
  SurfaceRef surface = nullptr;
  bool readOnly;
};

Slot::Slot(Session &session)
    : session(session), plan(session.plan), cells(plan.places.size()) {
  for (uint32_t i = 0; i < plan.places.size(); ++i)
    makeCell(i);
  rebuild();
}

void Slot::makeCell(uint32_t place) {
  const Plan::Place &info = plan.places[place];
  auto memory = std::make_unique<Memory>();
  const Engine *engine = session.device->engine.get();
  if (info.isSurface && engine)
    memory->surface =
        std::make_unique<Surface>(engine->getObjC(), info.layout.bytes);
  else
    memory->bytes.resize(std::max<size_t>(info.layout.bytes, 1));
  Cell &cell = cells[place];
  cell.slot = this;
  cell.place = place;
  cell.memory[0] = cell.memory[1] = memory.get();
  memories.push_back(std::move(memory));
  if (info.isSurface) {
    cell.shape.assign(info.shape.begin(), info.shape.end());
    cell.strides = {int64_t(info.layout.strides[0]),
                    int64_t(info.layout.strides[1]),
                    int64_t(info.layout.strides[2]), 2};
    return;
  }
  cell.shape = plan.bundle->tensors[info.tensor].shape;
  cell.strides.resize(cell.shape.size());
  int64_t stride = int64_t(sizeOf(info.layout.dtype));
  for (size_t i = cell.shape.size(); i-- > 0; stride *= cell.shape[i])
    cell.strides[i] = stride;
}

/// Fills what pads an input with NaN.
void Slot::poison(uint32_t place) {
  const Plan::Place &info = plan.places[place];
  for (Memory *memory : cells[place].memory) {
    std::memset(memory->base(), 0x7e, info.layout.bytes);
    const Layout &layout = info.layout;
    for (int64_t n = 0; n < layout.view[0]; ++n)
      for (int64_t c = 0; c < layout.view[1]; ++c)
        for (int64_t h = 0; h < layout.view[2]; ++h)
          std::memset(memory->base() + layout.rowOffset(n, c, h), 0,
                      size_t(layout.view[3]) * 2);
  }
}

void Slot::rebuild() {
  started.assign(plan.inputs.size(), false);
  parity = lastParity = 0;
  for (const Plan::Carry &carry : plan.carries)
    for (const Plan::Copy &swap : carry.swapped) {
      Cell &out = cells[swap.from], &in = cells[swap.to];
      out.memory[1] = in.memory[0];
      in.memory[1] = out.memory[0];
    }
  if (session.device->poisons)
    for (const Plan::Step &step : plan.steps)
      for (uint32_t place : step.inputs)
        if (plan.places[place].isSurface)
          poison(place);
  buildCalls();
}

void Slot::buildCalls() {
  calls.clear();
  for (const Plan::Step &step : plan.steps) {
    calls.emplace_back();
    Call &call = calls.back();
    EngineProgram *program = session.engines[step.program].get();
    if (!program) {
      buildHost(step, call);
      continue;
    }
    for (unsigned p = 0; p < 2; ++p) {
      auto surfaces = [&](const std::vector<uint32_t> &list) {
        std::vector<const Surface *> result;
        for (uint32_t place : list)
          result.push_back(cells[place].memory[p]->surface.get());
        return result;
      };
      call.requests[p] = program->makeRequest(
          surfaces(step.inputs), surfaces(step.outputs), step.procedure);
      if (plan.carries.empty())
        break;
    }
  }
}

void Slot::buildHost(const Plan::Step &step, Call &call) {
  auto buffer = [&](uint32_t place, bool isOutput) {
    Cell &cell = cells[place];
    const Plan::Place &info = plan.places[place];
    return ane_host_buffer{info.layout.dtype,
                           cell.shape.size(),
                           cell.shape.data(),
                           cell.strides.data(),
                           cell.memory[0]->base(),
                           isOutput && info.isOpen ? resize : nullptr,
                           &cell};
  };
  for (uint32_t place : step.inputs)
    call.inputs.push_back(buffer(place, false));
  for (uint32_t place : step.outputs)
    call.outputs.push_back(buffer(place, true));
}

/// Memory for a result whose extents the host's function has found.
void *Slot::resize(ane_host_buffer *buffer, size_t rank,
                   const int64_t *shape) try {
  Cell &cell = *static_cast<Cell *>(buffer->owner);
  const std::vector<int64_t> &declared =
      cell.slot->plan.bundle->tensors[cell.slot->plan.places[cell.place].tensor]
          .shape;
  if (rank != declared.size())
    return nullptr;
  int64_t bytes = int64_t(sizeOf(buffer->dtype));
  for (size_t i = rank; i-- > 0;) {
    if (shape[i] < 0 || (declared[i] != -1 && declared[i] != shape[i]))
      return nullptr;
    cell.shape[i] = shape[i];
    cell.strides[i] = bytes;
    bytes *= shape[i];
  }
  std::vector<char> &memory = cell.memory[0]->bytes;
  if (memory.size() < size_t(bytes))
    memory.resize(size_t(bytes));
  buffer->shape = cell.shape.data();
  buffer->strides = cell.strides.data();
  return buffer->data = memory.data();
} catch (...) {
  return nullptr;
}

/// A place's layout, with the extents of the last run where it is open.
Layout Slot::layoutOf(uint32_t place) const {
  const Plan::Place &info = plan.places[place];
  if (!info.isOpen)
    return info.layout;
  int64_t count = 1;
  for (int64_t dim : cells[place].shape)
    count *= std::max<int64_t>(dim, 0);
  return Layout::packed(info.layout.dtype, count);
}

void Slot::copy(const Plan::Copy &copy) {
  Access from(*this, copy.from, parity, true),
      to(*this, copy.to, parity, false);
  convert(layoutOf(copy.from), cells[copy.from].memory[parity]->base(),
          layoutOf(copy.to), cells[copy.to].memory[parity]->base(),
          plan.carrierOf(copy),
          plan.bundle->tensors[plan.places[copy.from].tensor].name.c_str());
}

void Slot::copyIn(size_t index, const void *data) {
  const Bundle::Port &port = plan.bundle->inputs[index];
  const Bundle::Tensor &tensor = plan.bundle->tensors[port.tensor];
  uint32_t place = plan.inputs[index];
  Access access(*this, place, parity, false);
  convert(Layout::packed(port.dtype, tensor.count()), data, layoutOf(place),
          cells[place].memory[parity]->base(), tensor.dtype, port.name.c_str());
}

void Slot::copyOut(size_t index, void *data, unsigned parity) const {
  const Bundle::Port &port = plan.bundle->outputs[index];
  uint32_t place = plan.outputs[index];
  Access access(*this, place, parity, true);
  Layout layout = layoutOf(place);
  convert(layout, cells[place].memory[parity]->base(),
          Layout::packed(port.dtype, layout.count()), data,
          plan.bundle->tensors[port.tensor].dtype, port.name.c_str());
}

void Slot::executeHost(const Plan::Step &step, Call &call) {
  auto point = [&](std::vector<ane_host_buffer> &buffers) {
    for (ane_host_buffer &buffer : buffers) {
      Cell &cell = *static_cast<Cell *>(buffer.owner);
      buffer.data = cell.memory[parity]->base();
      buffer.shape = cell.shape.data();
      buffer.strides = cell.strides.data();
    }
  };
  point(call.inputs);
  point(call.outputs);
  char message[512] = "";
  const Session::HostProgram &program = *session.hosts[step.program];
  ane_status status = program.functions->run(
      program.state, call.inputs.data(), call.inputs.size(),
      call.outputs.data(), call.outputs.size(), message, sizeof message);
  if (status != ANE_OK)
    fail(status, "host program " +
                     quoted(plan.bundle->programs[step.program].text) +
                     " fails: " + message);
}

void Slot::execute(size_t index) {
  const Plan::Step &step = plan.steps[index];
  for (const Plan::Copy &before : step.before)
    copy(before);
  auto start = Clock::now();
  if (EngineProgram *program = session.engines[step.program].get())
    program->evaluate(
        calls[index].requests[plan.carries.empty() ? 0 : parity].get());
  else
    executeHost(step, calls[index]);
  double us =
      std::chrono::duration<double, std::micro>(Clock::now() - start).count();
  std::lock_guard<std::mutex> guard(session.timesMutex);
  Session::Times &times = session.times[index];
  times.last = us;
  times.total += us;
  ++times.runs;
}

void Slot::run(const void *const *inputs, void *const *outputs) {
  for (size_t i = 0; i < plan.inputs.size(); ++i)
    if (inputs[i] && !started[i])
      copyIn(i, inputs[i]);
  for (size_t i = 0; i < plan.steps.size(); ++i)
    execute(i);
  for (size_t i = 0; i < plan.outputs.size(); ++i)
    if (outputs[i])
      copyOut(i, outputs[i], parity);
  lastParity = parity;
  if (plan.carries.empty())
    return;
  // From here on nothing fails: a state is either that of before the run, or
  // that of behind it.
  for (const Plan::Carry &carry : plan.carries) {
    for (const Plan::Copy &copied : carry.copied)
      copy(copied);
    for (size_t i = 0; i < plan.inputs.size(); ++i)
      if (plan.bundle->inputs[i].tensor ==
          plan.bundle->inputs[carry.input].tensor)
        started[i] = true;
  }
  parity ^= 1;
}

void Slot::readOutput(size_t port, void *data) const {
  copyOut(port, data, lastParity);
}

void *Slot::memoryOf(uint32_t place, bool ofLastRun) const {
  return cells[place].memory[ofLastRun ? lastParity : parity]->base();
}
SurfaceRef Slot::surfaceOf(uint32_t place, bool ofLastRun) const {
  const auto &surface =
      cells[place].memory[ofLastRun ? lastParity : parity]->surface;
  return surface ? surface->reference() : nullptr;
}

void Slot::read(uint32_t place, void *data) const {
  Access access(*this, place, lastParity, true);
  Layout layout = layoutOf(place);
  const Bundle::Tensor &tensor =
      plan.bundle->tensors[plan.places[place].tensor];
  convert(layout, cells[place].memory[lastParity]->base(),
          Layout::packed(tensor.dtype, layout.count()), data, tensor.dtype,
          tensor.name.c_str());
}
