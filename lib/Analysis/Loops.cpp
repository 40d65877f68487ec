//===- Loops.cpp - how often operations run -------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Analysis/Loops.h"
#include "dialects/ANE/IR/Comparison.h"
#include "dialects/ANE/IR/Control.h"
#include "dialects/ANE/IR/Structure.h"

using namespace mlir;
using namespace mlir::ane;

double mlir::ane::estimateTurns(WhileLoopOp loop) {
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

double mlir::ane::sumOverTurns(Operation &op,
                               llvm::function_ref<double(Operation &)> weigh) {
  double inside = 0;
  for (Region &region : op.getRegions())
    for (Block &block : region)
      for (Operation &inner : block)
        inside += sumOverTurns(inner, weigh);
  auto loop = dyn_cast<WhileLoopOp>(op);
  return weigh(op) + (loop ? estimateTurns(loop) : 1) * inside;
}
