//===- Session.h - requests on a device -----------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_LIB_RUNTIME_SESSION_H
#define ANEMLIR_LIB_RUNTIME_SESSION_H

#include "Engine.h"
#include "Plan.h"
#include <map>
#include <thread>

namespace ane::runtime {

struct Device {
  /// Null: everything runs by the host's functions.
  std::unique_ptr<Engine> engine;
  EngineOptions options;
  bool poisons = false;
};

/// Memory, of the engine or of the host.
struct Memory {
  std::unique_ptr<Surface> surface;
  std::vector<char> bytes;
  char *base() {
    return surface ? static_cast<char *>(surface->base()) : bytes.data();
  }
};

/// What functions that name an input alike keep between their runs.
struct KeptState {
  /// Of rows: how many there are.
  int64_t position = 0;
  /// Where the value is; null before the first run: what the input's memory
  /// holds, which is zeros or what the caller put there.
  std::shared_ptr<Memory> value;
  Layout layout;
  std::vector<int64_t> shape;
  /// Memory that functions with one layout share: of the input, and of the
  /// output where the two are exchanged.
  struct Shared {
    Layout layout;
    bool isSurface;
    std::shared_ptr<Memory> memory[2];
  };
  std::vector<Shared> shared;
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

  const Bundle &getBundle() const { return *bundle; }
  /// The selected one, which all calls below are about.
  const Bundle::Function &getFunction() const {
    return bundle->functions[selected];
  }
  size_t getSelected() const { return selected; }
  /// Opens its programs where that was not done.
  void select(size_t function);
  void bind(size_t input, const void *data);
  void bindOutput(size_t output, void *data) {
    now().boundOutputs[output] = data;
  }
  void carry(size_t output, size_t input);
  void resetStates();
  /// Rows of a state of the selected function; 0 where it has none.
  int64_t positionOf(size_t input) const;
  void run();
  void submit(const void *const *inputs, void *const *outputs,
              ane_callback callback, void *user);
  void wait();
  ane_surface surfaceOf(bool isInput, size_t index);
  /// Of an output in the last run().
  const std::vector<int64_t> &shapeOf(size_t output) const {
    return shapeOfPlace(getPlan().outputs[output]);
  }

  struct Times {
    double last = 0, total = 0;
    uint64_t runs = 0;
  };
  size_t stepCount() const { return getPlan().steps.size(); }
  Times timesOf(size_t step) const;
  const Plan::Step &stepAt(size_t step) const { return getPlan().steps[step]; }
  const std::vector<int64_t> &shapeOfPlace(uint32_t place) const;
  void readPlace(uint32_t place, void *data);
  void readOutput(size_t output, void *data);
  const Plan &getPlan() const { return now().plan; }

private:
  friend class Slot;
  /// A function whose programs are open.
  struct Opened {
    Opened(std::shared_ptr<const Bundle> bundle, size_t function);
    ~Opened();
    Plan plan;
    std::vector<std::unique_ptr<Slot>> slots;
    std::vector<const void *> boundInputs;
    std::vector<void *> boundOutputs;
    /// Of inputs: bound since the last run; and which are states.
    std::vector<bool> fresh, isState;
    std::vector<const void *> taken;
    std::vector<Times> times;
  };
  Opened &now() { return *opened[selected]; }
  const Opened &now() const { return *opened[selected]; }
  KeptState &stateOf(const std::string &input) { return states[input]; }
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
  void openPrograms(const Plan &plan);
  void openHost(size_t program);
  void openEngine(size_t program);
  void checkDescription(size_t program);
  void work(size_t slot);
  void serve(Slot &slot, const Pending &request);
  void stop();
  void stopWorkers();
  void requireIdle();

  std::shared_ptr<const Bundle> bundle;
  std::shared_ptr<Device> device;
  const ane_host_functions *host;
  int64_t inFlight;
  std::vector<std::unique_ptr<EngineProgram>> engines;
  std::vector<std::unique_ptr<HostProgram>> hosts;
  /// By name of the input.
  std::map<std::string, KeptState> states;
  std::vector<std::unique_ptr<Opened>> opened;
  size_t selected = 0;

  mutable std::mutex timesMutex;

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
