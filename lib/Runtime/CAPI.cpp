//===- CAPI.cpp - the C interface -----------------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// Handles hold shared pointers; every function that can fail ends in guarded(),
// which nothing that is thrown leaves.
//
//===----------------------------------------------------------------------===//

#include "Session.h"
#include <cstring>

using namespace ane::runtime;

static thread_local char lastError[2048];

struct ane_bundle {
  std::shared_ptr<const Bundle> bundle;
};
struct ane_device {
  std::shared_ptr<Device> device;
};
struct ane_session {
  std::shared_ptr<Device> device;
  std::unique_ptr<Session> session;
  /// Strides that ane_surface points to, by function and port.
  std::vector<std::vector<std::vector<int64_t>>> inputStrides, outputStrides;
};

static ane_status failed(ane_status status, const std::string &message) {
  size_t size = std::min(message.size(), sizeof lastError - 1);
  std::memcpy(lastError, message.data(), size);
  lastError[size] = 0;
  return status;
}

template <typename Body>
static ane_status guarded(Body body) {
  try {
    body();
    return ANE_OK;
  } catch (const Failure &failure) {
    return failed(failure.status, failure.message);
  } catch (const std::bad_alloc &) {
    return failed(ANE_OUT_OF_MEMORY, "this machine's memory is used up");
  } catch (const std::exception &error) {
    return failed(ANE_RUN_FAILED, error.what());
  } catch (...) {
    return failed(ANE_RUN_FAILED,
                  "the framework raised an exception; the program or its "
                  "arguments are none that it takes");
  }
}

static void require(bool holds, const char *what) {
  if (!holds)
    fail(ANE_INVALID_ARGUMENT, what);
}

/// The caller's structure, as much as it has of it; all zeros for null.
template <typename Options>
static Options readOptions(const Options *options) {
  Options result = {};
  if (options) {
    require(options->size >= sizeof(size_t) && options->size <= 4096,
            "the first member of a structure of options is its size");
    std::memcpy(static_cast<void *>(&result), options,
                std::min(options->size, sizeof result));
  }
  return result;
}
template <typename Result>
static void giveOut(Result *result, Result value) {
  require(result && result->size >= sizeof(size_t),
          "expects a structure with its size");
  size_t size = std::min(result->size, sizeof value);
  value.size = result->size;
  std::memcpy(static_cast<void *>(result), &value, size);
}

extern "C" {

const char *ane_status_name(ane_status status) {
  static constexpr const char *names[] = {"ANE_OK",
                                          "ANE_INVALID_ARGUMENT",
                                          "ANE_BAD_BUNDLE",
                                          "ANE_NO_DEVICE",
                                          "ANE_COMPILE_FAILED",
                                          "ANE_LOAD_FAILED",
                                          "ANE_RUN_FAILED",
                                          "ANE_BUDGET",
                                          "ANE_IO",
                                          "ANE_OUT_OF_MEMORY",
                                          "ANE_NO_HOST",
                                          "ANE_BUSY"};
  return size_t(status) < std::size(names) ? names[status] : "unknown";
}
const char *ane_last_error(void) { return lastError; }
const char *ane_dtype_name(ane_dtype dtype) {
  return unsigned(dtype) <= ANE_UINT64 ? nameOf(dtype) : "unknown";
}
size_t ane_dtype_size(ane_dtype dtype) {
  return unsigned(dtype) <= ANE_UINT64 ? sizeOf(dtype) : 0;
}

//===----------------------------------------------------------------------===//
// Bundles
//===----------------------------------------------------------------------===//

ane_status ane_bundle_open(const char *path, ane_bundle **bundle) {
  return guarded([&] {
    require(path && bundle, "expects a path and a place for the bundle");
    std::string folder = path;
    while (folder.size() > 1 && folder.back() == '/')
      folder.pop_back();
    *bundle = nullptr;
    *bundle = new ane_bundle{Bundle::open(folder)};
  });
}
void ane_bundle_close(ane_bundle *bundle) { delete bundle; }
const char *ane_bundle_target(const ane_bundle *bundle) {
  return bundle ? bundle->bundle->target.c_str() : "";
}
size_t ane_bundle_input_count(const ane_bundle *bundle) {
  return bundle ? bundle->bundle->functions[0].inputs.size() : 0;
}
size_t ane_bundle_output_count(const ane_bundle *bundle) {
  return bundle ? bundle->bundle->functions[0].outputs.size() : 0;
}

static void getPort(const std::vector<Bundle::Port> &ports, size_t index,
                    ane_port *port) {
  require(port, "expects a place for the port");
  require(index < ports.size(), "the bundle has no port of this index");
  const Bundle::Port &from = ports[index];
  *port = {from.name.c_str(), from.dtype, from.shape.size(), from.shape.data(),
           from.bytes};
}
ane_status ane_bundle_input(const ane_bundle *bundle, size_t index,
                            ane_port *port) {
  return guarded([&] {
    require(bundle, "expects a bundle");
    getPort(bundle->bundle->functions[0].inputs, index, port);
  });
}
ane_status ane_bundle_output(const ane_bundle *bundle, size_t index,
                             ane_port *port) {
  return guarded([&] {
    require(bundle, "expects a bundle");
    getPort(bundle->bundle->functions[0].outputs, index, port);
  });
}
int ane_bundle_has_host_steps(const ane_bundle *bundle) {
  if (bundle)
    for (const Bundle::Function &function : bundle->bundle->functions)
      for (const Bundle::Step &step : function.schedule)
        if (!bundle->bundle->programs[step.program].isEngine)
          return 1;
  return 0;
}

size_t ane_bundle_function_count(const ane_bundle *bundle) {
  return bundle ? bundle->bundle->functions.size() : 0;
}
static const Bundle::Function &functionOf(const ane_bundle *bundle,
                                          size_t function) {
  require(bundle && function < bundle->bundle->functions.size(),
          "expects a bundle and the index of one of its functions");
  return bundle->bundle->functions[function];
}
ane_status ane_bundle_get_function(const ane_bundle *bundle, size_t index,
                                   ane_function *function) {
  return guarded([&] {
    const Bundle::Function &from = functionOf(bundle, index);
    giveOut(function,
            {0, from.name.c_str(), from.dimNames.size(),
             from.dimPointers.data(), from.dimValues.data(), from.inputs.size(),
             from.outputs.size(), from.states.size()});
  });
}
ane_status ane_bundle_function_input(const ane_bundle *bundle, size_t function,
                                     size_t index, ane_port *port) {
  return guarded(
      [&] { getPort(functionOf(bundle, function).inputs, index, port); });
}
ane_status ane_bundle_function_output(const ane_bundle *bundle, size_t function,
                                      size_t index, ane_port *port) {
  return guarded(
      [&] { getPort(functionOf(bundle, function).outputs, index, port); });
}
ane_status ane_bundle_function_state(const ane_bundle *bundle, size_t function,
                                     size_t index, ane_state *state) {
  return guarded([&] {
    const Bundle::Function &from = functionOf(bundle, function);
    require(index < from.states.size(), "the function has no such state");
    const Bundle::State &found = from.states[index];
    giveOut(state, {0, found.input, found.output, found.axis});
  });
}
ane_status ane_bundle_find_function(const ane_bundle *bundle, const char *name,
                                    size_t *index) {
  return guarded([&] {
    require(bundle && name && index,
            "expects a bundle, a name and a place for the index");
    *index = bundle->bundle->findFunction(name);
  });
}
ane_status ane_bundle_find_planned(const ane_bundle *bundle, int64_t left,
                                   size_t *index) {
  return guarded([&] {
    require(bundle && index, "expects a bundle and a place for the index");
    *index = bundle->bundle->findPlanned(left);
  });
}
size_t ane_bundle_plan_step_count(const ane_bundle *bundle) {
  return bundle ? bundle->bundle->plan.size() : 0;
}
ane_status ane_bundle_get_plan_step(const ane_bundle *bundle, size_t step,
                                    int64_t *from, size_t *function) {
  return guarded([&] {
    require(bundle && from && function,
            "expects a bundle and places for the step");
    require(step < bundle->bundle->plan.size(), "the plan has no such step");
    std::tie(*from, *function) = bundle->bundle->plan[step];
  });
}
ane_status ane_bundle_find_bucket(const ane_bundle *bundle, const char *dim,
                                  int64_t length, size_t *index) {
  return guarded([&] {
    require(bundle && index, "expects a bundle and a place for the index");
    *index = bundle->bundle->findBucket(dim ? dim : "", length);
  });
}

//===----------------------------------------------------------------------===//
// Devices
//===----------------------------------------------------------------------===//

ane_status ane_device_open(const ane_device_options *options,
                           ane_device **device) {
  return guarded([&] {
    require(device, "expects a place for the device");
    *device = nullptr;
    ane_device_options asked = readOptions(options);
    auto made = std::make_shared<Device>();
    made->options = EngineOptions::from(asked);
    made->poisons = asked.flags & ANE_POISON_PADDING;
    std::string kind = asked.kind ? asked.kind : "engine";
    require(kind == "engine" || kind == "host",
            "expects ane_device_options.kind to be \"engine\" or \"host\"");
    require(asked.instance <= 4,
            "expects ane_device_options.instance to be 0 to 4");
    if (kind == "engine")
      made->engine = std::make_unique<Engine>(made->options);
    *device = new ane_device{std::move(made)};
  });
}
void ane_device_close(ane_device *device) { delete device; }
ane_status ane_device_get_counts(const ane_device *device,
                                 ane_device_counts *counts) {
  return guarded([&] {
    require(device, "expects a device");
    Engine::Counts now = Engine::counts();
    giveOut(counts,
            {0, now.compiles, now.resident, now.mostResident, now.evicted});
  });
}

//===----------------------------------------------------------------------===//
// Sessions
//===----------------------------------------------------------------------===//

ane_status ane_session_create(ane_bundle *bundle, ane_device *device,
                              const ane_session_options *options,
                              ane_session **session) {
  return guarded([&] {
    require(bundle && device && session,
            "expects a bundle, a device and a place for the session");
    *session = nullptr;
    auto made = std::make_unique<ane_session>();
    made->device = device->device;
    made->session = std::make_unique<Session>(bundle->bundle, device->device,
                                              readOptions(options));
    for (const Bundle::Function &function : bundle->bundle->functions) {
      made->inputStrides.emplace_back(function.inputs.size());
      made->outputStrides.emplace_back(function.outputs.size());
    }
    *session = made.release();
  });
}
void ane_session_close(ane_session *session) {
  guarded([&] { delete session; });
}

static void checkBytes(const Bundle::Port &port, size_t bytes) {
  if (!port.bytes)
    for (int64_t dim : port.shape)
      if (dim == -1)
        fail(ANE_INVALID_ARGUMENT,
             quoted(port.name) +
                 " has a shape that only a run tells; read it after the run "
                 "with ane_session_read_output()");
  if (bytes != port.bytes)
    fail(ANE_INVALID_ARGUMENT,
         quoted(port.name) + " has " + std::to_string(port.bytes) + " bytes (" +
             nameOf(port.dtype) + "), but got " + std::to_string(bytes));
}

ane_status ane_session_bind_input(ane_session *session, size_t index,
                                  const void *data, size_t bytes) {
  return guarded([&] {
    require(session, "expects a session");
    const auto &ports = session->session->getFunction().inputs;
    require(index < ports.size(), "the bundle has no input of this index");
    if (data)
      checkBytes(ports[index], bytes);
    session->session->bind(index, data);
  });
}
ane_status ane_session_bind_output(ane_session *session, size_t index,
                                   void *data, size_t bytes) {
  return guarded([&] {
    require(session, "expects a session");
    const auto &ports = session->session->getFunction().outputs;
    require(index < ports.size(), "the bundle has no output of this index");
    if (data)
      checkBytes(ports[index], bytes);
    session->session->bindOutput(index, data);
  });
}

static void getSurface(ane_session *session, bool isInput, size_t index,
                       ane_surface *surface) {
  require(session && surface, "expects a session and a place for the surface");
  const Bundle &bundle = session->session->getBundle();
  const Bundle::Function &function = session->session->getFunction();
  const auto &ports = isInput ? function.inputs : function.outputs;
  require(index < ports.size(), "the bundle has no port of this index");
  const Bundle::Port &port = ports[index];
  const Bundle::Tensor &tensor = bundle.tensors[port.tensor];
  const Plan &plan = session->session->getPlan();
  const Plan::Place &place =
      plan.places[isInput ? plan.inputs[index] : plan.outputs[index]];
  std::vector<int64_t> &strides =
      (isInput
           ? session->inputStrides
           : session->outputStrides)[session->session->getSelected()][index];
  if (place.isOpen || (place.isSurface && !isFloat(tensor.dtype)) ||
      tensor.count() == 0 || !findStrides(tensor.shape, place.layout, strides))
    fail(ANE_INVALID_ARGUMENT,
         quoted(port.name) +
             " does not lie in its surface as it is; bind memory instead");
  *surface = session->session->surfaceOf(isInput, index);
  surface->rank = tensor.shape.size();
  surface->shape = tensor.shape.data();
  surface->strides = strides.data();
}
ane_status ane_session_input_surface(ane_session *session, size_t index,
                                     ane_surface *surface) {
  return guarded([&] { getSurface(session, true, index, surface); });
}
ane_status ane_session_output_surface(ane_session *session, size_t index,
                                      ane_surface *surface) {
  return guarded([&] { getSurface(session, false, index, surface); });
}

ane_status ane_session_carry(ane_session *session, size_t output,
                             size_t input) {
  return guarded([&] {
    require(session, "expects a session");
    const Bundle::Function &function = session->session->getFunction();
    require(output < function.outputs.size() && input < function.inputs.size(),
            "the bundle has no port of this index");
    session->session->carry(output, input);
  });
}

ane_status ane_session_select(ane_session *session, size_t function) {
  return guarded([&] {
    require(session &&
                function < session->session->getBundle().functions.size(),
            "expects a session and the index of one of its functions");
    session->session->select(function);
  });
}
size_t ane_session_selected(const ane_session *session) {
  return session ? session->session->getSelected() : 0;
}
ane_status ane_session_reset_states(ane_session *session) {
  return guarded([&] {
    require(session, "expects a session");
    session->session->resetStates();
  });
}
ane_status ane_session_state_position(const ane_session *session, size_t input,
                                      int64_t *position) {
  return guarded([&] {
    require(session && position &&
                input < session->session->getFunction().inputs.size(),
            "expects a session, the index of an input, and room");
    *position = session->session->positionOf(input);
  });
}

ane_status ane_session_run(ane_session *session) {
  return guarded([&] {
    require(session, "expects a session");
    session->session->run();
  });
}

ane_status ane_session_output_shape(const ane_session *session, size_t index,
                                    int64_t *shape, size_t *rank) {
  return guarded([&] {
    require(session && rank &&
                index < session->session->getFunction().outputs.size(),
            "expects a session, the index of an output, and room");
    const std::vector<int64_t> &found = session->session->shapeOf(index);
    size_t room = *rank;
    *rank = found.size();
    require(room >= found.size() && (shape || found.empty()),
            "expects room for the rank of the output");
    std::copy(found.begin(), found.end(), shape);
  });
}

ane_status ane_session_read_output(ane_session *session, size_t index,
                                   void *data, size_t bytes) {
  return guarded([&] {
    require(session && index < session->session->getFunction().outputs.size(),
            "expects a session and the index of an output");
    const Bundle::Port &port = session->session->getFunction().outputs[index];
    size_t size = sizeOf(port.dtype);
    for (int64_t dim : session->session->shapeOf(index))
      size *= size_t(std::max<int64_t>(dim, 0));
    require(bytes == size && (data || !bytes),
            "expects room for exactly the bytes of the output");
    session->session->readOutput(index, data);
  });
}

ane_status ane_session_submit(ane_session *session, const void *const *inputs,
                              void *const *outputs, ane_callback callback,
                              void *user) {
  return guarded([&] {
    require(session && inputs && outputs,
            "expects a session and arrays of pointers");
    for (size_t i = 0; i < session->session->getFunction().outputs.size(); ++i)
      if (outputs[i])
        checkBytes(session->session->getFunction().outputs[i],
                   session->session->getFunction().outputs[i].bytes);
    session->session->submit(inputs, outputs, callback, user);
  });
}
ane_status ane_session_wait(ane_session *session) {
  return guarded([&] {
    require(session, "expects a session");
    session->session->wait();
  });
}

size_t ane_session_step_count(const ane_session *session) {
  return session ? session->session->stepCount() : 0;
}
ane_status ane_session_get_step(const ane_session *session, size_t index,
                                ane_step *step) {
  return guarded([&] {
    require(session && index < session->session->stepCount(),
            "expects a session and the index of a step");
    const Bundle::Program &program =
        session->session->getBundle()
            .programs[session->session->stepAt(index).program];
    Session::Times times = session->session->timesOf(index);
    giveOut(step, {0, program.text.c_str(), program.isEngine,
                   program.predictedUs, times.last, times.total, times.runs});
  });
}

size_t ane_session_step_result_count(const ane_session *session, size_t step) {
  return session && step < session->session->stepCount()
             ? session->session->stepAt(step).outputs.size()
             : 0;
}
static uint32_t placeOfResult(ane_session *session, size_t step,
                              size_t result) {
  require(session && result < ane_session_step_result_count(session, step),
          "expects a session and the index of a step's result");
  return session->session->stepAt(step).outputs[result];
}
ane_status ane_session_step_result(ane_session *session, size_t step,
                                   size_t result, ane_value *value) {
  return guarded([&] {
    uint32_t place = placeOfResult(session, step, result);
    const Bundle::Tensor &tensor =
        session->session->getBundle()
            .tensors[session->session->getPlan().places[place].tensor];
    const std::vector<int64_t> &shape = session->session->shapeOfPlace(place);
    size_t bytes = sizeOf(tensor.dtype);
    for (int64_t dim : shape)
      bytes *= size_t(std::max<int64_t>(dim, 0));
    giveOut(value, {0, tensor.name.c_str(), tensor.dtype, shape.size(),
                    shape.data(), bytes});
  });
}
ane_status ane_session_read_step_result(ane_session *session, size_t step,
                                        size_t result, void *data,
                                        size_t bytes) {
  return guarded([&] {
    ane_value value = {};
    value.size = sizeof value;
    if (ane_session_step_result(session, step, result, &value) != ANE_OK)
      fail(ANE_INVALID_ARGUMENT, std::string(lastError));
    require(data && bytes == value.bytes,
            "expects room for the bytes that ane_session_step_result() says");
    session->session->readPlace(placeOfResult(session, step, result), data);
  });
}

} // extern "C"
