//===- Loops.h - how often operations run ---------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_ANALYSIS_LOOPS_H
#define ANEMLIR_ANALYSIS_LOOPS_H

#include "dialects/ANE/IR/ANE.h"

namespace mlir::ane {

/// Turns that a loop takes, where its condition compares with a constant; some
/// where it does not.
inline double estimateTurns(WhileLoopOp loop) {
  double turns = 16;
  for (Operation &op : loop.getCondition().front())
    if (auto less = dyn_cast<LessOp>(op))
      if (auto limit = less.getY().getDefiningOp<ConstantOp>())
        if (auto value = dyn_cast<DenseElementsAttr>(limit.getValue());
            value && value.isSplat() &&
            isa<IntegerType>(value.getElementType()))
          turns = double(value.getSplatValue<APInt>().getSExtValue());
  return std::max(turns, 1.0);
}

/// The sum of `weigh` over an op and what it runs inside, each as often as its
/// loops turn.
inline double sumOverTurns(Operation &op,
                           llvm::function_ref<double(Operation &)> weigh) {
  double inside = 0;
  for (Region &region : op.getRegions())
    for (Block &block : region)
      for (Operation &inner : block)
        inside += sumOverTurns(inner, weigh);
  auto loop = dyn_cast<WhileLoopOp>(op);
  return weigh(op) + (loop ? estimateTurns(loop) : 1) * inside;
}

} // namespace mlir::ane

#endif // ANEMLIR_ANALYSIS_LOOPS_H
