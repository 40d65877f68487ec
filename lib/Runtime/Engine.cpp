//===- Engine.cpp - the engine, through its private framework -------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "Engine.h"
#include "lib/Runtime/Facts.h"
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <sys/stat.h>
#include <thread>

using namespace ane::runtime;
using Clock = std::chrono::steady_clock;

static double microsecondsSince(Clock::time_point start) {
  return std::chrono::duration<double, std::micro>(Clock::now() - start)
      .count();
}

static int64_t orFact(int32_t asked, int64_t fact) {
  return asked ? asked : fact;
}

EngineOptions EngineOptions::from(const ane_device_options &options) {
  EngineOptions result;
  const char *framework = options.framework
                              ? options.framework
                              : std::getenv("ANE_RUNTIME_FRAMEWORK");
  const char *folder =
      options.staging ? options.staging : std::getenv("TMPDIR");
  result.framework = framework ? framework : "";
  result.staging = folder && *folder ? folder : "/tmp";
  result.instance = options.instance;
  result.compileBudget = orFact(options.compile_budget, facts::compileBudget);
  result.residentLimit = orFact(options.resident_limit, facts::residentLimit);
  result.queueDepth = orFact(options.queue_depth, facts::queueDepth);
  result.failedCompilePauseMs =
      orFact(options.failed_compile_pause_ms, facts::failedCompilePauseMs);
  result.lockSurfaces = options.flags & ANE_LOCK_SURFACES;
  result.handleSignals = !(options.flags & ANE_NO_SIGNALS);
  result.chainSignals = options.flags & ANE_CHAIN_SIGNALS;
  return result;
}

//===----------------------------------------------------------------------===//
// What belongs to the process: the engine counts so (engine/runtime.md §3.3)
//===----------------------------------------------------------------------===//

struct EngineProgram::Process {
  /// Guards what follows, and `loaded` and `users` of programs.
  std::mutex mutex;
  std::condition_variable changed;
  /// Held while a program is compiled, loaded or unloaded. Evaluations go on.
  std::mutex loading;
  /// Loaded programs, the most recently used first.
  std::list<EngineProgram *> resident;
  uint64_t compiles = 0, mostResident = 0, evicted = 0, weightBytes = 0;
  /// When a compilation failed last.
  std::optional<Clock::time_point> failure;
};

EngineProgram::Process &EngineProgram::process() {
  static Process &process = *new Process; // outlives programs at exit
  return process;
}

Engine::Counts Engine::counts() {
  EngineProgram::Process &process = EngineProgram::process();
  std::lock_guard<std::mutex> guard(process.mutex);
  return {process.compiles, process.resident.size(), process.mostResident,
          process.evicted};
}

//===----------------------------------------------------------------------===//
// Engine and surfaces
//===----------------------------------------------------------------------===//

static constexpr const char *kClasses[] = {"_ANEInMemoryModelDescriptor",
                                           "_ANEInMemoryModel", "_ANERequest",
                                           "_ANEIOSurfaceObject"};

Engine::Engine(const EngineOptions &options)
    : options(options), objc(options.framework),
      staging(options.staging, options.handleSignals, options.chainSignals) {
  for (const char *name : kClasses)
    if (!objc.find(name))
      fail(ANE_NO_DEVICE, "the framework has no class " + std::string(name) +
                              "; this version of the system is not known to "
                              "the runtime");
  ObjC::Pool pool(objc);
  // Both keys together: one alone is ignored (engine/runtime.md §3.1).
  optionsOfCalls = objc.retain(
      options.instance
          ? objc.dictionary(
                {{objc.string("kANEFProcedureVariantHint"), objc.number(1)},
                 {objc.string("kANEFAneInstanceHint"),
                  objc.number(options.instance)}})
          : objc.dictionary({}));
}

Engine::~Engine() { objc.release(optionsOfCalls); }

std::string Engine::nextFolder() {
  return staging.path() + "/" + std::to_string(folders++);
}

Engine::Place::Place(Engine &engine) : engine(engine) {
  std::unique_lock<std::mutex> lock(engine.queue);
  int64_t depth = engine.options.queueDepth;
  engine.left.wait(lock, [&] { return depth < 0 || engine.inFlight < depth; });
  ++engine.inFlight;
}
Engine::Place::~Place() {
  {
    std::lock_guard<std::mutex> lock(engine.queue);
    --engine.inFlight;
  }
  engine.left.notify_one();
}

Surface::Surface(const ObjC &objc, size_t bytes) : objc(objc) {
  ObjC::Pool pool(objc);
  surface = objc.createSurface(bytes);
  if (!surface || objc.surfaceSize(surface) < bytes) {
    if (surface)
      objc.releaseSurface(surface);
    fail(ANE_OUT_OF_MEMORY, "a surface of " + std::to_string(bytes) +
                                " bytes cannot be made; use fewer requests in "
                                "flight, or a smaller model");
  }
  // What pads a surface is computed with: zeros (engine/runtime.md §3.5).
  objc.lockSurface(surface, false);
  memory = objc.surfaceBase(surface);
  std::memset(memory, 0, bytes);
  objc.unlockSurface(surface, false);
  try {
    wrapped =
        objc.retain(objc.send<id>(objc.find("_ANEIOSurfaceObject"),
                                  objc.sel("objectWithIOSurface:"), surface));
    if (!wrapped)
      fail(ANE_RUN_FAILED, "the framework does not take a surface of " +
                               std::to_string(bytes) + " bytes");
  } catch (...) {
    objc.releaseSurface(surface);
    throw;
  }
}

Surface::~Surface() {
  objc.release(wrapped);
  objc.releaseSurface(surface);
}

//===----------------------------------------------------------------------===//
// Programs
//===----------------------------------------------------------------------===//

EngineProgram::EngineProgram(Engine &engine, std::string name,
                             std::shared_ptr<const FileMap> text,
                             std::vector<WeightFile> weights)
    : engine(engine), name(std::move(name)), text(std::move(text)),
      weights(std::move(weights)) {
  const ObjC &objc = engine.objc;
  ObjC::Pool pool(objc);
  if (engine.options.limitsWeightFiles &&
      int64_t(this->weights.size()) > facts::weightFileLimit)
    fail(ANE_COMPILE_FAILED, "program " + quoted(this->name) + " has " +
                                 std::to_string(this->weights.size()) +
                                 " weight files, the engine takes " +
                                 std::to_string(facts::weightFileLimit) +
                                 " (L72); put them in one");
  evaluateSelector = objc.sel("evaluateWithQoS:options:request:error:");
  // Never null: a program without weights has an empty dictionary.
  std::vector<id> keys, values;
  for (const WeightFile &weight : this->weights) {
    keys.push_back(objc.string(weight.path));
    values.push_back(objc.dictionary(
        {{objc.string("offset"), objc.number(facts::weightOffset)},
         {objc.string("data"),
          objc.data(weight.file->data(), weight.file->size())}}));
  }
  id descriptor = objc.send<id>(
      objc.find("_ANEInMemoryModelDescriptor"),
      objc.sel("modelWithMILText:weights:optionsPlist:"),
      objc.data(this->text->data(), this->text->size()),
      objc.dictionary(keys.data(), values.data(), keys.size()), id(nullptr));
  model = objc.retain(objc.send<id>(objc.find("_ANEInMemoryModel"),
                                    objc.sel("inMemoryModelWithDescriptor:"),
                                    descriptor));
  if (!model)
    fail(ANE_COMPILE_FAILED,
         "program " + quoted(this->name) + " is none that the framework takes");
}

EngineProgram::~EngineProgram() {
  unload();
  ObjC::Pool pool(engine.objc);
  engine.objc.release(model);
}

void EngineProgram::stage() {
  const ObjC &objc = engine.objc;
  std::vector<StagedFile> files = {
      {"model.mil", "", text->data(), text->size()}};
  for (const WeightFile &weight : weights) {
    // "@model_path/" is the folder.
    size_t slash = weight.path.find('/');
    files.push_back({slash == std::string::npos ? weight.path
                                                : weight.path.substr(slash + 1),
                     weight.file->path});
  }
  Selector setURL = objc.sel("setModelURL:");
  if (!objc.responds(model, setURL)) {
    // Where the framework looks by itself: by the sums of text and weights.
    Selector local = objc.sel("localModelPath");
    std::string own = objc.responds(model, local)
                          ? objc.text(objc.send<id>(model, local))
                          : "";
    if (own.empty())
      fail(ANE_NO_DEVICE, "this version of the framework does not say where a "
                          "program is to be staged");
    staged = std::make_unique<StagedProgram>(engine.staging, own, files);
    return;
  }
  std::string folder = engine.nextFolder();
  staged = std::make_unique<StagedProgram>(engine.staging, folder, files);
  objc.send<void>(model, setURL,
                  objc.send<id>(objc.find("NSURL"),
                                objc.sel("fileURLWithPath:isDirectory:"),
                                objc.string(folder), (signed char)1));
}

/// Under Process::loading.
void EngineProgram::compile() {
  const ObjC &objc = engine.objc;
  Process &state = process();
  if (objc.send<unsigned char>(model, objc.sel("compiledModelExists")))
    return;
  int64_t budget = engine.options.compileBudget;
  if (budget >= 0 && int64_t(state.compiles) >= budget)
    fail(ANE_BUDGET, "program " + quoted(name) + " would be compilation " +
                         std::to_string(state.compiles + 1) +
                         " of this process, the budget is " +
                         std::to_string(budget) +
                         " (L70); start another process, or raise "
                         "compile_budget where the system takes more");
  if (state.failure && engine.options.failedCompilePauseMs > 0)
    std::this_thread::sleep_until(
        *state.failure +
        std::chrono::milliseconds(engine.options.failedCompilePauseMs));
  auto start = Clock::now();
  id error = nullptr;
  {
    std::lock_guard<std::mutex> guard(state.mutex);
    ++state.compiles;
  }
  unsigned char done = objc.send<unsigned char>(
      model, objc.sel("compileWithQoS:options:error:"), unsigned(facts::qos),
      engine.optionsOfCalls, &error);
  compileUs = microsecondsSince(start);
  if (done) {
    state.failure.reset();
    return;
  }
  state.failure = Clock::now();
  fail(ANE_COMPILE_FAILED, "program " + quoted(name) +
                               " does not compile: " + objc.describe(error));
}

/// Under Process::loading. A first load may fail for no reason (MX).
void EngineProgram::tryLoad() {
  const ObjC &objc = engine.objc;
  auto start = Clock::now();
  id error = nullptr;
  for (int attempt = 0; attempt < 2; ++attempt) {
    if (attempt)
      std::this_thread::sleep_for(
          std::chrono::milliseconds(facts::loadRetryMs));
    error = nullptr;
    if (objc.send<unsigned char>(model, objc.sel("loadWithQoS:options:error:"),
                                 unsigned(facts::qos), engine.optionsOfCalls,
                                 &error)) {
      loadUs = microsecondsSince(start);
      return;
    }
  }
  fail(ANE_LOAD_FAILED,
       "program " + quoted(name) + " does not load: " + objc.describe(error));
}

/// Under both locks: unloads the least recently used programs until one more
/// fits, waiting for one where all are in use.
void EngineProgram::makeRoom(std::unique_lock<std::mutex> &lock) {
  Process &state = process();
  uint64_t bytes = 0, window = uint64_t(facts::weightWindowMiB) << 20;
  for (const WeightFile &weight : weights)
    bytes += weight.file->size();
  auto full = [&] {
    int64_t limit = engine.options.residentLimit;
    return (limit >= 0 && int64_t(state.resident.size()) >= limit) ||
           (!state.resident.empty() && state.weightBytes + bytes > window);
  };
  while (full()) {
    EngineProgram *idle = nullptr;
    for (auto it = state.resident.rbegin();
         it != state.resident.rend() && !idle; ++it)
      if (!(*it)->users)
        idle = *it;
    if (!idle) {
      state.changed.wait(lock);
      continue;
    }
    ++state.evicted;
    idle->unloadLocked();
  }
}

/// Under both locks.
void EngineProgram::unloadLocked() {
  Process &state = process();
  const ObjC &objc = engine.objc;
  loaded = false;
  state.resident.erase(place);
  for (const WeightFile &weight : weights)
    state.weightBytes -= weight.file->size();
  // What the framework could not unload goes with the model, or the process;
  // there is nobody who could do something about it.
  try {
    id error = nullptr;
    objc.send<unsigned char>(model, objc.sel("unloadWithQoS:error:"),
                             unsigned(facts::qos), &error);
  } catch (...) {
  }
  staged.reset();
}

/// Under Process::loading and `lock`, which is open while the framework works.
void EngineProgram::loadLocked(std::unique_lock<std::mutex> &lock) {
  Process &state = process();
  ObjC::Pool pool(engine.objc);
  makeRoom(lock);
  lock.unlock();
  try {
    stage();
    compile();
    tryLoad();
  } catch (...) {
    staged.reset();
    lock.lock();
    throw;
  }
  lock.lock();
  loaded = true;
  state.resident.push_front(this);
  place = state.resident.begin();
  for (const WeightFile &weight : weights)
    state.weightBytes += weight.file->size();
  state.mostResident =
      std::max<uint64_t>(state.mostResident, state.resident.size());
}

void EngineProgram::load() {
  Process &state = process();
  std::lock_guard<std::mutex> one(state.loading);
  std::unique_lock<std::mutex> lock(state.mutex);
  if (!loaded)
    loadLocked(lock);
}

void EngineProgram::unload() {
  Process &state = process();
  std::lock_guard<std::mutex> one(state.loading);
  std::lock_guard<std::mutex> guard(state.mutex);
  if (!loaded)
    return;
  ObjC::Pool pool(engine.objc);
  unloadLocked();
}

Retained EngineProgram::makeRequest(const std::vector<const Surface *> &inputs,
                                    const std::vector<const Surface *> &outputs,
                                    unsigned procedure) const {
  const ObjC &objc = engine.objc;
  ObjC::Pool pool(objc);
  auto arrays = [&](const std::vector<const Surface *> &surfaces) {
    std::vector<id> objects, indices;
    for (size_t i = 0; i < surfaces.size(); ++i) {
      objects.push_back(surfaces[i]->object());
      indices.push_back(objc.number(int64_t(i)));
    }
    return std::make_pair(objc.array(objects.data(), objects.size()),
                          objc.array(indices.data(), indices.size()));
  };
  auto [in, inIndices] = arrays(inputs);
  auto [out, outIndices] = arrays(outputs);
  id request = objc.send<id>(
      objc.find("_ANERequest"),
      objc.sel("requestWithInputs:inputIndices:outputs:outputIndices:"
               "weightsBuffer:perfStats:procedureIndex:"),
      in, inIndices, out, outIndices, id(nullptr), id(nullptr),
      objc.number(procedure));
  if (!request)
    fail(ANE_RUN_FAILED,
         "the framework makes no request for program " + quoted(name));
  return Retained(objc, objc.retain(request));
}

void EngineProgram::acquire() {
  Process &state = process();
  {
    std::lock_guard<std::mutex> guard(state.mutex);
    if (loaded)
      return use();
  }
  std::lock_guard<std::mutex> one(state.loading);
  std::unique_lock<std::mutex> lock(state.mutex);
  if (!loaded)
    loadLocked(lock);
  use();
}

/// Under Process::mutex.
void EngineProgram::use() {
  ++users;
  std::list<EngineProgram *> &resident = process().resident;
  resident.splice(resident.begin(), resident, place);
}

void EngineProgram::release() {
  Process &state = process();
  {
    std::lock_guard<std::mutex> guard(state.mutex);
    --users;
  }
  state.changed.notify_all();
}

void EngineProgram::evaluate(id request) {
  const ObjC &objc = engine.objc;
  acquire();
  struct Guard {
    EngineProgram &program;
    ~Guard() { program.release(); }
  } guard{*this};
  Engine::Place place(engine);
  ObjC::Pool pool(objc);
  id error = nullptr;
  if (!objc.send<unsigned char>(model, evaluateSelector, unsigned(facts::qos),
                                engine.optionsOfCalls, request, &error))
    fail(ANE_RUN_FAILED,
         "program " + quoted(name) + " fails: " + objc.describe(error));
}

/// Symbols by the indices that a procedure has of them, all where it has none.
static std::vector<std::string> readSymbols(const ObjC &objc, id symbols,
                                            id indices) {
  std::vector<std::string> result;
  size_t count = objc.count(indices ? indices : symbols);
  for (size_t i = 0; i < count; ++i) {
    size_t index = indices ? size_t(objc.integer(objc.get(indices, i))) : i;
    result.push_back(objc.text(objc.get(symbols, index)));
  }
  return result;
}

/// Bytes of each parameter by a list of NetworkStatusList.
static std::vector<uint64_t> readBytes(const ObjC &objc, id list) {
  std::vector<uint64_t> result;
  for (size_t i = 0; i < objc.count(list); ++i) {
    auto value = [&](const char *key) {
      return uint64_t(
          objc.integer(objc.get(objc.get(list, i), objc.string(key))));
    };
    result.push_back(value("Batches") * value("BatchStride"));
  }
  return result;
}

EngineProgram::Description EngineProgram::describe(unsigned procedure) {
  const ObjC &objc = engine.objc;
  ObjC::Pool pool(objc);
  Selector attributesOf = objc.sel("modelAttributes"),
           inner = objc.sel("model");
  id owner = objc.responds(model, attributesOf) ? model
             : objc.responds(model, inner)      ? objc.send<id>(model, inner)
                                                : nullptr;
  if (!objc.responds(owner, attributesOf))
    return {};
  id attributes = objc.send<id>(owner, attributesOf);
  id described = objc.get(attributes, objc.string("ANEFModelDescription"));
  id bound = objc.get(objc.get(described, objc.string("ANEFModelProcedures")),
                      size_t(procedure));
  Description result;
  result.inputs = readSymbols(
      objc,
      objc.get(described, objc.constant("kANEFModelInputSymbolsArrayKey")),
      objc.get(bound, objc.string("ANEFModelInputSymbolIndexArray")));
  result.outputs = readSymbols(
      objc,
      objc.get(described, objc.constant("kANEFModelOutputSymbolsArrayKey")),
      objc.get(bound, objc.string("ANEFModelOutputSymbolIndexArray")));
  id status = objc.get(objc.get(attributes, objc.string("NetworkStatusList")),
                       size_t(procedure));
  result.inputBytes =
      readBytes(objc, objc.get(status, objc.string("LiveInputList")));
  result.outputBytes =
      readBytes(objc, objc.get(status, objc.string("LiveOutputList")));
  return result;
}
