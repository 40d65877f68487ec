//===- Session.cpp - requests on a device ---------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "Slot.h"
#include <algorithm>
#include <cstring>

using namespace ane::runtime;

Session::Opened::Opened(std::shared_ptr<const Bundle> bundle, size_t function)
    : plan(std::move(bundle), function), boundInputs(plan.inputs.size()),
      boundOutputs(plan.outputs.size()), fresh(plan.inputs.size()),
      isState(plan.inputs.size()), taken(plan.inputs.size()),
      times(plan.steps.size()) {}
Session::Opened::~Opened() = default;

Session::Session(std::shared_ptr<const Bundle> made,
                 std::shared_ptr<Device> device,
                 const ane_session_options &options)
    : bundle(std::move(made)), device(std::move(device)), host(options.host),
      inFlight(options.in_flight ? options.in_flight : 1),
      engines(bundle->programs.size()), hosts(bundle->programs.size()),
      opened(bundle->functions.size()) {
  int64_t depth = this->device->options.queueDepth;
  if (depth >= 0 && inFlight > depth)
    fail(ANE_BUDGET, std::to_string(inFlight) +
                         " requests in flight are more than the " +
                         std::to_string(depth) + " that the engine queues");
  select(options.function ? bundle->findFunction(options.function) : 0);
}

Session::~Session() { stop(); }

void Session::select(size_t function) {
  requireIdle();
  if (!opened[function]) {
    auto made = std::make_unique<Opened>(bundle, function);
    if (inFlight > 1 && !made->plan.carries.empty())
      fail(ANE_INVALID_ARGUMENT,
           "function " + quoted(made->plan.function.name) +
               " has states, which make one request depend on the one before; "
               "create the session with in_flight = 1");
    openPrograms(made->plan);
    for (int64_t i = 0; i < inFlight; ++i)
      made->slots.push_back(std::make_unique<Slot>(*this, *made));
    opened[function] = std::move(made);
  }
  // Workers have room for the ports of one function.
  if (function != selected)
    stopWorkers();
  selected = function;
  Plan &plan = now().plan;
  // As many again for callbacks, which must not wait.
  ring.resize(size_t(inFlight) * 2);
  for (Pending &entry : ring) {
    entry.inputs.resize(plan.inputs.size());
    entry.outputs.resize(plan.outputs.size());
  }
}

void Session::openPrograms(const Plan &plan) {
  // Only what the schedule runs.
  for (const Plan::Step &step : plan.steps) {
    uint32_t program = step.program;
    if (engines[program] || hosts[program])
      continue;
    if (bundle->programs[program].isEngine && device->engine)
      openEngine(program);
    else
      openHost(program);
  }
}

void Session::openHost(size_t index) {
  const Bundle::Program &program = bundle->programs[index];
  if (!host || !host->open || !host->run || !host->close)
    fail(ANE_NO_HOST,
         "program " + quoted(program.text) +
             (program.isEngine ? " is to be run by the host"
                               : " is a host step") +
             ", and no functions that run it were given; set "
             "ane_session_options.host, for example ane_host_interpreter() of "
             "libane-host");
  if (program.procedures.size() > 1)
    fail(ANE_BAD_BUNDLE, "program " + quoted(program.text) +
                             " is to be run by the host and has several "
                             "procedures; write it as one program for each");
  std::vector<const char *> paths, files;
  for (const Bundle::Weights &weights : program.weights) {
    paths.push_back(weights.path.c_str());
    files.push_back(weights.file.c_str());
  }
  ane_host_program described = {
      sizeof described,     bundle->path.c_str(),
      program.text.c_str(), bundle->target.c_str(),
      paths.size(),         paths.data(),
      files.data(),         program.procedures.front().name.c_str(),
      program.isEngine};
  char message[512] = "";
  void *state = nullptr;
  ane_status status =
      host->open(host->context, &described, &state, message, sizeof message);
  if (status != ANE_OK)
    fail(status, "host program " + quoted(program.text) +
                     " cannot be opened: " + message);
  hosts[index].reset(new HostProgram{host, state});
}

void Session::openEngine(size_t index) {
  const Bundle &bundle = *this->bundle;
  const Bundle::Program &program = bundle.programs[index];
  std::vector<EngineProgram::WeightFile> weights;
  for (const Bundle::Weights &file : program.weights) {
    auto map = std::make_shared<const FileMap>(bundle.child(file.file));
    if (file.size && map->size() != file.size)
      fail(ANE_BAD_BUNDLE, map->path + ": has " + std::to_string(map->size()) +
                               " bytes, the manifest says " +
                               std::to_string(file.size) +
                               "; write the bundle anew");
    weights.push_back({file.path, std::move(map)});
  }
  engines[index] = std::make_unique<EngineProgram>(
      *device->engine, program.text,
      std::make_shared<const FileMap>(bundle.child(program.text)),
      std::move(weights));
  engines[index]->load();
  checkDescription(index);
}

/// Surfaces are bound in the order of symbols and as large as the manifest
/// says; a model that answers must agree (L41, L42).
static void checkSide(const std::string &program, const char *side,
                      const std::vector<std::string> &model,
                      const std::vector<uint64_t> &bytes,
                      const std::vector<Bundle::Binding> &bindings,
                      const std::vector<uint64_t> &allocated,
                      const std::string &suffix) {
  if (model.empty())
    return;
  bool same = model.size() == bindings.size();
  for (size_t i = 0; same && i < model.size(); ++i)
    same = model[i] == bindings[i].symbol ||
           model[i] == bindings[i].symbol + suffix;
  if (!same) {
    std::string theirs, ours;
    for (const std::string &symbol : model)
      theirs += (theirs.empty() ? "" : ", ") + symbol;
    for (const Bundle::Binding &binding : bindings)
      ours += (ours.empty() ? "" : ", ") + binding.symbol;
    fail(ANE_BAD_BUNDLE, "program " + quoted(program) + " has the " + side +
                             " " + theirs + " in this order, the manifest " +
                             ours + " (L42); write the bundle anew");
  }
  for (size_t i = 0; i < bytes.size() && i < allocated.size(); ++i)
    if (bytes[i] > allocated[i])
      fail(ANE_BAD_BUNDLE,
           "program " + quoted(program) + " needs " + std::to_string(bytes[i]) +
               " bytes for " + quoted(bindings[i].symbol) +
               ", the manifest has " + std::to_string(allocated[i]) +
               " (L41); write the bundle anew");
}

void Session::checkDescription(size_t index) {
  const Bundle::Program &program = bundle->programs[index];
  for (size_t p = 0; p < program.procedures.size(); ++p) {
    const Bundle::Procedure &procedure = program.procedures[p];
    EngineProgram::Description model = engines[index]->describe(unsigned(p));
    auto allocations = [&](const std::vector<Bundle::Binding> &bindings,
                           bool isInput) {
      std::vector<uint64_t> result;
      for (const Bundle::Binding &binding : bindings)
        result.push_back(bundle->tensors[binding.tensor]
                             .find(uint32_t(index), binding.symbol, isInput)
                             ->allocation);
      return result;
    };
    checkSide(program.text, "inputs", model.inputs, model.inputBytes,
              procedure.inputs, allocations(procedure.inputs, true), "");
    checkSide(program.text, "outputs", model.outputs, model.outputBytes,
              procedure.outputs, allocations(procedure.outputs, false),
              "@output");
  }
}

//===----------------------------------------------------------------------===//
// Running
//===----------------------------------------------------------------------===//

void Session::requireIdle() {
  std::lock_guard<std::mutex> guard(mutex);
  if (waiting || working)
    fail(ANE_BUSY, "requests are in flight; call ane_session_wait() first");
}

void Session::bind(size_t input, const void *data) {
  now().boundInputs[input] = data;
  now().fresh[input] = data != nullptr;
}

void Session::run() {
  requireIdle();
  Opened &function = now();
  // A state that was bound is taken once.
  for (size_t i = 0; i < function.taken.size(); ++i)
    function.taken[i] = function.isState[i] && !function.fresh[i]
                            ? nullptr
                            : function.boundInputs[i];
  function.slots[0]->run(function.taken.data(), function.boundOutputs.data());
  function.fresh.assign(function.fresh.size(), false);
}

void Session::carry(size_t output, size_t input) {
  requireIdle();
  if (inFlight > 1)
    fail(ANE_INVALID_ARGUMENT,
         "a state makes one request depend on the one before; create the "
         "session with in_flight = 1");
  now().plan.carry(output, input);
  now().slots[0]->rebuild();
}

void Session::resetStates() {
  requireIdle();
  for (auto &[name, state] : states) {
    state.position = 0;
    state.value.reset();
    for (KeptState::Shared &shared : state.shared)
      for (auto &memory : shared.memory)
        if (memory)
          std::memset(memory->base(), 0, shared.layout.bytes);
  }
}

int64_t Session::positionOf(size_t input) const {
  auto found = states.find(getFunction().inputs[input].name);
  return found == states.end() ? 0 : found->second.position;
}

Session::Times Session::timesOf(size_t step) const {
  std::lock_guard<std::mutex> guard(timesMutex);
  return now().times[step];
}

const std::vector<int64_t> &Session::shapeOfPlace(uint32_t place) const {
  const Plan::Place &info = getPlan().places[place];
  return info.isSurface ? bundle->tensors[info.tensor].shape
                        : now().slots[0]->shapeOf(place);
}

void Session::readPlace(uint32_t place, void *data) {
  requireIdle();
  now().slots[0]->read(place, data);
}

void Session::readOutput(size_t output, void *data) {
  requireIdle();
  now().slots[0]->readOutput(output, data);
}

ane_surface Session::surfaceOf(bool isInput, size_t index) {
  uint32_t place = isInput ? getPlan().inputs[index] : getPlan().outputs[index];
  const Plan::Place &info = getPlan().places[place];
  return {now().slots[0]->memoryOf(place, !isInput),
          info.layout.dtype,
          0,
          nullptr,
          nullptr,
          now().slots[0]->surfaceOf(place, !isInput)};
}

//===----------------------------------------------------------------------===//
// Requests in flight
//===----------------------------------------------------------------------===//

/// Whether this thread is in a callback: the room that it would wait for may be
/// made by itself alone.
static thread_local bool inCallback = false;

void Session::submit(const void *const *inputs, void *const *outputs,
                     ane_callback callback, void *user) {
  std::unique_lock<std::mutex> lock(mutex);
  if (inCallback && waiting == ring.size())
    fail(ANE_BUSY, "this callback has no room for a further request: each may "
                   "submit one for the one that ended");
  if (workers.empty())
    for (size_t i = 0; i < size_t(inFlight); ++i)
      workers.emplace_back([this, i] { work(i); });
  if (!inCallback)
    finished.wait(lock, [&] { return waiting < size_t(inFlight); });
  Pending &entry = ring[(first + waiting) % ring.size()];
  std::copy_n(inputs, getPlan().inputs.size(), entry.inputs.begin());
  std::copy_n(outputs, getPlan().outputs.size(), entry.outputs.begin());
  entry.callback = callback;
  entry.user = user;
  ++waiting;
  arrived.notify_one();
}

void Session::wait() {
  if (inCallback)
    fail(ANE_BUSY, "a callback cannot wait for the requests, of which it is "
                   "one");
  std::unique_lock<std::mutex> lock(mutex);
  finished.wait(lock, [&] { return !waiting && !working; });
}

void Session::serve(Slot &slot, const Pending &request) {
  ane_status status = ANE_OK;
  std::string message;
  try {
    slot.run(request.inputs.data(), request.outputs.data());
  } catch (const Failure &failure) {
    status = failure.status;
    message = failure.message;
  } catch (const std::bad_alloc &) {
    status = ANE_OUT_OF_MEMORY;
  } catch (...) {
    status = ANE_RUN_FAILED;
    message = "the framework raised an exception";
  }
  if (!request.callback)
    return;
  inCallback = true;
  request.callback(request.user, status, message.c_str());
  inCallback = false;
}

void Session::work(size_t index) {
  // Entries of the ring are taken over by swapping: no memory is asked for.
  Pending request{std::vector<const void *>(getPlan().inputs.size()),
                  std::vector<void *>(getPlan().outputs.size()), nullptr,
                  nullptr};
  std::unique_lock<std::mutex> lock(mutex);
  while (true) {
    arrived.wait(lock, [&] { return waiting || stopping; });
    if (!waiting)
      return;
    std::swap(request, ring[first]);
    first = (first + 1) % ring.size();
    --waiting;
    ++working;
    finished.notify_all(); // there is room for one more
    lock.unlock();
    serve(*now().slots[index], request);
    lock.lock();
    --working;
    finished.notify_all();
  }
}

void Session::stop() {
  {
    std::unique_lock<std::mutex> lock(mutex);
    finished.wait(lock, [&] { return !waiting && !working; });
  }
  stopWorkers();
}

/// Of an idle session; submit() starts others.
void Session::stopWorkers() {
  {
    std::lock_guard<std::mutex> lock(mutex);
    stopping = true;
  }
  arrived.notify_all();
  for (std::thread &worker : workers)
    worker.join();
  workers.clear();
  first = 0;
  stopping = false;
}
