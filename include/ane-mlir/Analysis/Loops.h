//===- Loops.h - how often operations run ---------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_ANALYSIS_LOOPS_H
#define ANEMLIR_ANALYSIS_LOOPS_H

#include "mlir/IR/Operation.h"

namespace mlir::ane {
class WhileLoopOp;

/// Turns that a loop takes, where its condition compares with a constant; some
/// where it does not.
double estimateTurns(WhileLoopOp loop);

/// The sum of `weigh` over an op and what it runs inside, each as often as its
/// loops turn.
double sumOverTurns(Operation &op,
                    llvm::function_ref<double(Operation &)> weigh);

} // namespace mlir::ane

#endif // ANEMLIR_ANALYSIS_LOOPS_H
