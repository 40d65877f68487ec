//===- NumberScan.h - what a model has that is no number ------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_LIB_COMPILER_NUMBERSCAN_H
#define ANEMLIR_LIB_COMPILER_NUMBERSCAN_H

#include "ane-mlir/Support/DType.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/StringSet.h"
#include <atomic>
#include <deque>
#include <thread>

namespace mlir::ane {

/// Looks through the constants of a model for NaN and infinities, as it has
/// them: whatever the precision, the placement or the form that they are
/// written in. On a core that passes leave idle.
class NumberScan {
public:
  ~NumberScan() {
    stop = true;
    join();
  }
  /// Begins with the constants of `module`, or with those of a further one that
  /// differ in name or size. What holds them has to live on.
  void start(ModuleOp module);
  /// Waits, and warns of each constant once.
  void report();

private:
  struct Constant {
    Location where;
    DType dtype;
    llvm::ArrayRef<char> bytes;
    /// Elements that each of them stands for, of a splat.
    int64_t copies = 1;
    int64_t nans = 0, infinities = 0;
    /// Finite numbers other than 0 and 1 are among them.
    bool hasQuantities = false;
  };
  void scan(Constant &constant) const;
  void join();

  std::atomic<bool> stop = false;
  llvm::StringSet<> seen;
  std::deque<std::vector<Constant>> batches;
  std::vector<std::thread> running;
};

} // namespace mlir::ane

#endif // ANEMLIR_LIB_COMPILER_NUMBERSCAN_H
