//===- Session.h - requests on a device -----------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_LIB_RUNTIME_SESSION_H
#define ANEMLIR_LIB_RUNTIME_SESSION_H

#include "Engine.h"
#include "Plan.h"
#include <thread>

namespace ane::runtime {

struct Device {
  /// Null: everything runs by the host's functions.
  std::unique_ptr<Engine> engine;
  EngineOptions options;
  bool poisons = false;
};

/// The memory of one request in flight and what is built over it.
class Slot;

class Session {
public:
  Session(std::shared_ptr<const Bundle> bundle, std::shared_ptr<Device> device,
          const ane_session_options &options);
  ~Session();
  Session(const Session &) = delete;
  Session &operator=(const Session &) = delete;

  const Bundle &getBundle() const { return *plan.bundle; }
  void bind(size_t input, const void *data) { boundInputs[input] = data; }
  void bindOutput(size_t output, void *data) { boundOutputs[output] = data; }
  void carry(size_t output, size_t input);
  void run();
  void submit(const void *const *inputs, void *const *outputs,
              ane_callback callback, void *user);
  void wait();
  ane_surface surfaceOf(bool isInput, size_t index);
  /// Of an output in the last run().
  const std::vector<int64_t> &shapeOf(size_t output) const {
    return shapeOfPlace(plan.outputs[output]);
  }

  struct Times {
    double last = 0, total = 0;
    uint64_t runs = 0;
  };
  size_t stepCount() const { return plan.steps.size(); }
  Times timesOf(size_t step) const;
  const Plan::Step &stepAt(size_t step) const { return plan.steps[step]; }
  const std::vector<int64_t> &shapeOfPlace(uint32_t place) const;
  void readPlace(uint32_t place, void *data);
  void readOutput(size_t output, void *data);
  const Plan &getPlan() const { return plan; }

private:
  friend class Slot;
  struct HostProgram {
    const ane_host_functions *functions;
    void *state;
    ~HostProgram() { functions->close(state); }
  };
  struct Pending {
    std::vector<const void *> inputs;
    std::vector<void *> outputs;
    ane_callback callback;
    void *user;
  };
  void openPrograms(const ane_host_functions *host);
  void openHost(size_t program, const ane_host_functions *host);
  void openEngine(size_t program);
  void checkDescription(size_t program);
  void work(size_t slot);
  void serve(Slot &slot, const Pending &request);
  void stop();
  void requireIdle();

  Plan plan;
  std::shared_ptr<Device> device;
  const ane_host_functions *host;
  std::vector<std::unique_ptr<EngineProgram>> engines;
  std::vector<std::unique_ptr<HostProgram>> hosts;
  std::vector<std::unique_ptr<Slot>> slots;
  std::vector<const void *> boundInputs;
  std::vector<void *> boundOutputs;

  mutable std::mutex timesMutex;
  std::vector<Times> times;

  /// Requests that wait: `waiting` entries of a ring from `first` on, and those
  /// that are worked on.
  std::mutex mutex;
  std::condition_variable arrived, finished;
  std::vector<Pending> ring;
  size_t first = 0, waiting = 0, working = 0;
  bool stopping = false;
  std::vector<std::thread> workers;
};

} // namespace ane::runtime

#endif // ANEMLIR_LIB_RUNTIME_SESSION_H
