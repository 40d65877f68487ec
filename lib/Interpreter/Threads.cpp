//===- Threads.cpp - work on all cores ------------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Interpreter/Interpreter.h"
#include "mlir/IR/Threading.h"

using namespace mlir;
using namespace mlir::ane;

/// Starts the threads of the context's pool, if the machine lets it. LLVM's
/// pool cannot be left by an exception, as one from a lack of memory: so many
/// threads are tried outside of it first.
static bool startThreads(MLIRContext *context) {
  std::vector<std::thread> tried;
  std::mutex gate;
  bool started = true;
  try {
    std::lock_guard<std::mutex> closed(gate);
    for (unsigned i = 0; i < context->getNumThreads(); ++i)
      tried.emplace_back([&] { std::lock_guard<std::mutex> passed(gate); });
  } catch (const std::exception &) {
    started = false;
  }
  for (std::thread &thread : tried)
    thread.join();
  if (started)
    mlir::parallelFor(context, 0, context->getNumThreads(), [](size_t) {});
  return started;
}

void EvalContext::parallelFor(
    int64_t count, int64_t grain,
    llvm::function_ref<void(int64_t, int64_t)> body) const {
  int64_t tasks =
      std::min<int64_t>(context->getNumThreads(),
                        (count + grain - 1) / std::max<int64_t>(grain, 1));
  if (tasks <= 1 || !context->isMultithreadingEnabled())
    return body(0, count);
  static const bool hasThreads = startThreads(context);
  if (!hasThreads)
    return body(0, count);
  // A pool forgets what is thrown on its threads; here it is thrown again.
  std::exception_ptr thrown;
  std::mutex mutex;
  mlir::parallelFor(context, 0, tasks, [&](size_t task) {
    try {
      body(count * task / tasks, count * (task + 1) / tasks);
    } catch (...) {
      std::lock_guard<std::mutex> guard(mutex);
      thrown = std::current_exception();
    }
  });
  if (thrown)
    std::rethrow_exception(thrown);
}
