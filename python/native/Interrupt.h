//===- Interrupt.h - long calls that Ctrl-C ends --------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// Python delivers signals to its main thread, between byte codes. So what the
// main thread asks for runs on a thread of ours while the main thread looks for
// signals; what other threads ask for runs on them. Threads are kept: OpenMP
// makes a team for each new one.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_PYTHON_NATIVE_INTERRUPT_H
#define ANEMLIR_PYTHON_NATIVE_INTERRUPT_H

#include "Bridge.h"
#include <condition_variable>
#include <mutex>
#include <nanobind/nanobind.h>
#include <set>
#include <thread>
#include <unistd.h>

namespace anemlir::python {
namespace nb = nanobind;

/// Python's objects, or what refers to them, for work that may outlive its
/// call; let go of with the lock held, whoever is last.
template <typename T>
std::shared_ptr<std::vector<T>> hold(std::vector<T> objects) {
  return {new std::vector<T>(std::move(objects)), [](std::vector<T> *list) {
            nb::gil_scoped_acquire gil;
            delete list;
          }};
}

class Workers {
public:
  struct Task {
    std::function<void()> body;
    bridge::Cancel cancel;
    bool done = false;
    std::mutex mutex;
    std::condition_variable changed;

    bool wait(std::chrono::milliseconds most) {
      std::unique_lock<std::mutex> lock(mutex);
      return changed.wait_for(lock, most, [&] { return done; });
    }
  };

  static Workers &get() {
    // Never destroyed: threads may outlive static objects.
    static Workers *workers = new Workers();
    return *workers;
  }

  void start(std::shared_ptr<Task> task) {
    std::lock_guard<std::mutex> lock(mutex);
    if (process != getpid()) { // threads do not survive a fork
      process = getpid();
      idle.clear();
      busy.clear();
    }
    busy.insert(task);
    std::shared_ptr<Worker> worker;
    if (idle.empty()) {
      worker = std::make_shared<Worker>();
      std::thread([this, worker] { serve(worker); }).detach();
    } else {
      worker = idle.back();
      idle.pop_back();
    }
    std::lock_guard<std::mutex> own(worker->mutex);
    worker->task = std::move(task);
    worker->changed.notify_one();
  }

  /// Before Python ends: cancels what runs and waits for it.
  void finish() {
    std::unique_lock<std::mutex> lock(mutex);
    if (process != getpid())
      return;
    for (auto &task : busy)
      *task->cancel = true;
    allDone.wait(lock, [&] { return busy.empty(); });
  }

private:
  struct Worker {
    std::mutex mutex;
    std::condition_variable changed;
    std::shared_ptr<Task> task;
  };

  void serve(std::shared_ptr<Worker> worker) {
    while (true) {
      std::shared_ptr<Task> task;
      {
        std::unique_lock<std::mutex> lock(worker->mutex);
        worker->changed.wait(lock, [&] { return bool(worker->task); });
        task = std::move(worker->task);
      }
      task->body();
      task->body = nullptr; // lets go of what it holds before it is done
      {
        std::lock_guard<std::mutex> lock(mutex);
        busy.erase(task);
        idle.push_back(worker);
        if (busy.empty())
          allDone.notify_all();
      }
      std::lock_guard<std::mutex> lock(task->mutex);
      task->done = true;
      task->changed.notify_all();
    }
  }

  std::mutex mutex;
  std::condition_variable allDone;
  pid_t process = getpid();
  std::vector<std::shared_ptr<Worker>> idle;
  std::set<std::shared_ptr<Task>> busy;
};

inline bool isMainThread() {
  nb::module_ threading = nb::module_::import_("threading");
  return threading.attr("current_thread")().is(threading.attr("main_thread")());
}

/// The result of `work(cancel)`, computed without Python's lock. A signal whose
/// handler raises (Ctrl-C) ends it: within 0.2 s the exception is on its way,
/// and what does not end so soon goes on to its next operation, and writes
/// nothing.
template <typename Result>
Result interruptible(std::function<Result(const bridge::Cancel &)> work,
                     std::shared_ptr<void> held = {}) {
  auto cancel = std::make_shared<std::atomic<bool>>(false);
  if (!isMainThread()) {
    nb::gil_scoped_release release;
    return work(cancel);
  }
  auto task = std::make_shared<Workers::Task>();
  auto result = std::make_shared<std::optional<Result>>();
  auto thrown = std::make_shared<std::exception_ptr>();
  task->cancel = cancel;
  task->body = [=]() mutable {
    try {
      *result = work(cancel);
    } catch (...) {
      *thrown = std::current_exception();
    }
    held.reset();
  };
  Workers::get().start(task);
  while (true) {
    bool done;
    {
      nb::gil_scoped_release release;
      done = task->wait(std::chrono::milliseconds(40));
    }
    if (done)
      break;
    if (PyErr_CheckSignals() == 0)
      continue;
    *cancel = true;
    {
      nb::python_error error;
      {
        nb::gil_scoped_release release;
        task->wait(std::chrono::milliseconds(120));
      }
      throw error;
    }
  }
  if (*thrown)
    std::rethrow_exception(*thrown);
  return std::move(**result);
}

} // namespace anemlir::python

#endif // ANEMLIR_PYTHON_NATIVE_INTERRUPT_H
