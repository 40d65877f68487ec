//===- Engine.h - the engine, through its private framework ---------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// The whole contract of engine/runtime.md §3 in one place: text as NSData, a
// dictionary of weights that is never nil, staging, compile, load with one
// retry, surfaces in symbol order, requests that are built once, unloading; the
// budgets of a process. Numbers are records (dialects/ANE/Targets/Runtime.td).
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_LIB_RUNTIME_ENGINE_H
#define ANEMLIR_LIB_RUNTIME_ENGINE_H

#include "Bundle.h"
#include "ObjC.h"
#include "Staging.h"
#include <atomic>
#include <condition_variable>
#include <list>
#include <mutex>

namespace ane::runtime {

struct EngineOptions {
  std::string framework, staging;
  unsigned instance = 0;
  /// Below 0 for no limit.
  int64_t compileBudget, residentLimit, queueDepth, failedCompilePauseMs;
  bool lockSurfaces = false, handleSignals = true, chainSignals = false;
  /// Off where the limits themselves are asked.
  bool limitsWeightFiles = true;
  /// What a caller asked for, defaults from the records filled in.
  static EngineOptions from(const ane_device_options &options);
};

class EngineProgram;

/// Memory that programs read and write.
class Surface {
public:
  Surface(const ObjC &objc, size_t bytes);
  ~Surface();
  Surface(const Surface &) = delete;
  Surface &operator=(const Surface &) = delete;
  void *base() const { return memory; }
  SurfaceRef reference() const { return surface; }
  /// _ANEIOSurfaceObject.
  id object() const { return wrapped; }

private:
  const ObjC &objc;
  SurfaceRef surface = nullptr;
  id wrapped = nullptr;
  void *memory = nullptr;
};

class Engine {
public:
  explicit Engine(const EngineOptions &options);
  ~Engine();
  Engine(const Engine &) = delete;
  Engine &operator=(const Engine &) = delete;

  const EngineOptions &getOptions() const { return options; }
  const ObjC &getObjC() const { return objc; }
  const StagingRoot &getStaging() const { return staging; }
  /// Options of each call: which engine of several.
  id callOptions() const { return optionsOfCalls; }
  std::string nextFolder();

  /// One of the requests that the engine takes at once, for as long as it
  /// lives; waits for another to end where there are as many (queueDepth).
  class Place {
  public:
    explicit Place(Engine &engine);
    ~Place();
    Place(const Place &) = delete;
    Place &operator=(const Place &) = delete;

  private:
    Engine &engine;
  };

  struct Counts {
    uint64_t compiles, resident, mostResident, evicted;
  };
  /// Of the process.
  static Counts counts();

private:
  friend class EngineProgram;
  EngineOptions options;
  ObjC objc;
  StagingRoot staging;
  id optionsOfCalls = nullptr;
  std::atomic<unsigned> folders{0};
  std::mutex queue;
  std::condition_variable left;
  int64_t inFlight = 0;
};

/// One text with its weights. Loaded while it is used, and after that until the
/// engine needs the room.
class EngineProgram {
public:
  struct WeightFile {
    /// In the text: "@model_path/weights/weight.bin".
    std::string path;
    std::shared_ptr<const FileMap> file;
  };
  /// `name` is what messages say; `text` is kept.
  EngineProgram(Engine &engine, std::string name,
                std::shared_ptr<const FileMap> text,
                std::vector<WeightFile> weights);
  ~EngineProgram();
  EngineProgram(const EngineProgram &) = delete;
  EngineProgram &operator=(const EngineProgram &) = delete;

  /// Compiles and loads where that was not done, or was undone.
  void load();
  /// Unloads; nothing where it is not loaded.
  void unload();

  /// What the loaded model says of its parameters, by procedure: symbols in the
  /// order in which surfaces are bound. Empty where it does not answer.
  struct Description {
    std::vector<std::string> inputs, outputs;
    /// Bytes that each needs, 0 where it does not say.
    std::vector<uint64_t> inputBytes, outputBytes;
  };
  Description describe(unsigned procedure);

  /// A request object.
  Retained makeRequest(const std::vector<const Surface *> &inputs,
                       const std::vector<const Surface *> &outputs,
                       unsigned procedure) const;
  /// Runs one request, loading the program before where it must be.
  void evaluate(id request);

  const std::string &getName() const { return name; }
  /// What the last compile and load took, in microseconds.
  double compileUs = 0, loadUs = 0;

private:
  friend class Engine;
  struct Process;
  static Process &process();
  void acquire();
  void use();
  void release();
  void compile();
  void tryLoad();
  void makeRoom(std::unique_lock<std::mutex> &lock);
  void loadLocked(std::unique_lock<std::mutex> &lock);
  void unloadLocked();
  void stage();

  Engine &engine;
  std::string name;
  std::shared_ptr<const FileMap> text;
  std::vector<WeightFile> weights;
  id model = nullptr;
  std::unique_ptr<StagedProgram> staged;
  Selector evaluateSelector;
  bool loaded = false;
  unsigned users = 0;
  std::list<EngineProgram *>::iterator place;
};

} // namespace ane::runtime

#endif // ANEMLIR_LIB_RUNTIME_ENGINE_H
