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
    Memory *memory = slot.cells[place].memory[parity].get();
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

Slot::Slot(Session &session, Session::Opened &function)
    : session(session), function(function), plan(function.plan),
      cells(plan.places.size()) {
  for (uint32_t i = 0; i < plan.places.size(); ++i)
    makeCell(i);
  rebuild();
}

void Slot::makeCell(uint32_t place) {
  const Plan::Place &info = plan.places[place];
  auto memory = std::make_shared<Memory>();
  const Engine *engine = session.device->engine.get();
  if (info.isSurface && engine)
    memory->surface =
        std::make_unique<Surface>(engine->getObjC(), info.layout.bytes);
  else
    memory->bytes.resize(std::max<size_t>(info.layout.bytes, 1));
  Cell &cell = cells[place];
  cell.slot = this;
  cell.place = place;
  cell.memory[0] = cell.memory[1] = std::move(memory);
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
  for (const auto &memory : cells[place].memory) {
    // A state that another function has left.
    if (std::any_of(keepings.begin(), keepings.end(), [&](const Keeping &each) {
          return each.state->value == memory;
        }))
      continue;
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
  parity = lastParity = 0;
  keepings.clear();
  keepings.resize(plan.carries.size());
  for (size_t i = 0; i < plan.carries.size(); ++i)
    connect(plan.carries[i], keepings[i]);
  if (session.device->poisons)
    for (const Plan::Step &step : plan.steps)
      for (uint32_t place : step.inputs)
        if (plan.places[place].isSurface)
          poison(place);
  buildCalls();
}

/// The memory of a state is that of other functions, too, where they have the
/// same layout.
void Slot::connect(const Plan::Carry &carry, Keeping &keeping) {
  const Bundle::Port &port = plan.function.inputs[carry.input];
  keeping.state = &session.stateOf(port.name);
  for (size_t i = 0; i < plan.inputs.size(); ++i)
    if (plan.function.inputs[i].tensor == port.tensor)
      function.isState[i] = true;
  const Plan::Place &info = plan.places[carry.places.to];
  Cell &in = cells[carry.places.to], &out = cells[carry.places.from];
  auto &list = keeping.state->shared;
  auto shared = std::find_if(list.begin(), list.end(), [&](const auto &each) {
    return each.layout == info.layout && each.isSurface == info.isSurface;
  });
  if (shared == list.end())
    shared = list.insert(
        list.end(), {info.layout, info.isSurface, {in.memory[0], nullptr}});
  in.memory[0] = in.memory[1] = shared->memory[0];
  if (carry.swaps) {
    if (!shared->memory[1])
      shared->memory[1] = out.memory[0];
    out.memory[0] = in.memory[1] = shared->memory[1];
    out.memory[1] = in.memory[0];
  }
  if (carry.passes)
    keeping.passing.resize(layoutOf(carry.places.from).bytes);
  if (carry.axis >= 0)
    planRows(carry, keeping);
}

void Slot::planRows(const Plan::Carry &carry, Keeping &keeping) {
  const Plan::Place &info = plan.places[carry.places.to];
  const std::vector<int64_t> &shape = plan.bundle->tensors[info.tensor].shape,
                             &part = plan.function.outputs[carry.output].shape;
  std::vector<int64_t> strides;
  std::optional<Layout> rows;
  if (plan.bundle->tensors[info.tensor].count() &&
      findStrides(shape, info.layout, strides))
    rows = layoutOfPart(info.layout.dtype, part, strides);
  if (!rows) {
    keeping.isPacked = true;
    int64_t stride = int64_t(sizeOf(info.layout.dtype));
    strides.resize(shape.size());
    for (size_t i = shape.size(); i-- > 0; stride *= shape[i])
      strides[i] = stride;
    keeping.packed.resize(size_t(stride) + 1);
    rows = layoutOfPart(info.layout.dtype, part, strides);
  }
  keeping.rows = *rows;
  keeping.rowStride = uint64_t(strides[size_t(carry.axis)]);
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
      if (!plan.alternates())
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
  const Bundle::Port &port = plan.function.inputs[index];
  const Bundle::Tensor &tensor = plan.bundle->tensors[port.tensor];
  uint32_t place = plan.inputs[index];
  Access access(*this, place, parity, false);
  convert(Layout::packed(port.dtype, tensor.count()), data, layoutOf(place),
          cells[place].memory[parity]->base(), tensor.dtype, port.name.c_str());
}

void Slot::copyOut(size_t index, void *data, unsigned parity) const {
  const Bundle::Port &port = plan.function.outputs[index];
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
    program->evaluate(calls[index].requests[parity].get());
  else
    executeHost(step, calls[index]);
  double us =
      std::chrono::duration<double, std::micro>(Clock::now() - start).count();
  std::lock_guard<std::mutex> guard(session.timesMutex);
  Session::Times &times = function.times[index];
  times.last = us;
  times.total += us;
  ++times.runs;
}

//===----------------------------------------------------------------------===//
// States
//===----------------------------------------------------------------------===//

void Slot::checkRoom(const void *const *inputs) const {
  for (size_t i = 0; i < keepings.size(); ++i) {
    const Plan::Carry &carry = plan.carries[i];
    if (carry.axis < 0)
      continue;
    const Bundle::Port &port = plan.function.inputs[carry.input];
    int64_t position = inputs[carry.input] ? 0 : keepings[i].state->position,
            rows = rowsOf(carry), room = port.shape[size_t(carry.axis)];
    if (position + rows > room)
      fail(ANE_RUN_FAILED, "state " + quoted(port.name) + " holds " +
                               std::to_string(position) + " rows of at most " +
                               std::to_string(room) + "; " +
                               std::to_string(rows) + " more do not fit");
  }
}

/// That in which most states are where the run reads them.
void Slot::chooseParity() {
  if (!plan.alternates())
    return;
  int matches = 0;
  for (size_t i = 0; i < keepings.size(); ++i) {
    const Cell &in = cells[plan.carries[i].places.to];
    for (unsigned p = 0; p < 2; ++p)
      if (in.memory[0] != in.memory[1] &&
          keepings[i].state->value == in.memory[p])
        matches += p == parity ? 1 : -1;
  }
  if (matches < 0)
    parity ^= 1;
}

void Slot::beginStates(const void *const *inputs) {
  checkRoom(inputs);
  chooseParity();
  for (size_t i = 0; i < keepings.size(); ++i) {
    const Plan::Carry &carry = plan.carries[i];
    KeptState &state = *keepings[i].state;
    uint32_t place = carry.places.to;
    const Bundle::Port &port = plan.function.inputs[carry.input];
    const Bundle::Tensor &tensor = plan.bundle->tensors[port.tensor];
    const std::shared_ptr<Memory> &here = cells[place].memory[parity];
    Layout layout = layoutOf(place);
    if (inputs[carry.input]) {
      copyIn(carry.input, inputs[carry.input]);
      state.position = 0;
    } else if (state.value && state.shape != tensor.shape) {
      fail(ANE_RUN_FAILED, "state " + quoted(port.name) +
                               " has another shape in another function; begin "
                               "anew with ane_session_reset_states()");
    } else if (state.value && state.value != here) {
      convert(state.layout, state.value->base(), layout, here->base(),
              state.layout.dtype == layout.dtype ? layout.dtype : tensor.dtype,
              port.name.c_str());
    }
    state.value = here;
    state.layout = layout;
    state.shape = tensor.shape;
  }
}

void Slot::writeRows(const Plan::Carry &carry, Keeping &keeping) {
  const Plan::Copy &places = carry.places;
  Access from(*this, places.from, parity, true),
      to(*this, places.to, parity, false);
  char *state = cells[places.to].memory[parity]->base(), *into = state;
  const Plan::Place &info = plan.places[places.to];
  const Bundle::Tensor &tensor = plan.bundle->tensors[info.tensor];
  const char *name = plan.function.inputs[carry.input].name.c_str();
  Layout packed = Layout::packed(info.layout.dtype, tensor.count());
  if (keeping.isPacked) {
    into = keeping.packed.data();
    convert(info.layout, state, packed, into, info.layout.dtype, name);
  }
  convert(layoutOf(places.from),
          carry.passes ? keeping.passing.data()
                       : cells[places.from].memory[parity]->base(),
          keeping.rows,
          into + uint64_t(keeping.state->position) * keeping.rowStride,
          plan.carrierOf(places), name);
  if (keeping.isPacked)
    convert(packed, into, info.layout, state, info.layout.dtype, name);
  keeping.state->position += rowsOf(carry);
}

/// Nothing fails here: a state is either that of before the run, or that of
/// behind it.
void Slot::endStates() {
  for (size_t i = 0; i < keepings.size(); ++i)
    if (plan.carries[i].passes)
      std::memcpy(keepings[i].passing.data(),
                  cells[plan.carries[i].places.from].memory[parity]->base(),
                  keepings[i].passing.size());
  for (size_t i = 0; i < keepings.size(); ++i) {
    const Plan::Carry &carry = plan.carries[i];
    Keeping &keeping = keepings[i];
    if (carry.swaps) {
      keeping.state->value = cells[carry.places.to].memory[parity ^ 1];
    } else if (carry.axis >= 0) {
      writeRows(carry, keeping);
    } else if (carry.passes) {
      convert(layoutOf(carry.places.from), keeping.passing.data(),
              layoutOf(carry.places.to),
              cells[carry.places.to].memory[parity]->base(),
              plan.carrierOf(carry.places),
              plan.function.inputs[carry.input].name.c_str());
    } else {
      copy(carry.places);
    }
  }
  if (plan.alternates())
    parity ^= 1;
}

void Slot::run(const void *const *inputs, void *const *outputs) {
  beginStates(inputs);
  for (size_t i = 0; i < plan.inputs.size(); ++i)
    if (inputs[i] && !function.isState[i])
      copyIn(i, inputs[i]);
  for (size_t i = 0; i < plan.steps.size(); ++i)
    execute(i);
  for (size_t i = 0; i < plan.outputs.size(); ++i)
    if (outputs[i])
      copyOut(i, outputs[i], parity);
  lastParity = parity;
  endStates();
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
