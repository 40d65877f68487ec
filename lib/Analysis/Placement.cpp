//===- Placement.cpp - shared by placing and forming programs -------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Analysis/Placement.h"

using namespace mlir;
using namespace mlir::ane;

llvm::DenseSet<Operation *> mlir::ane::findWeightTrees(Block &block) {
  llvm::DenseSet<Operation *> trees;
  for (Operation &op : block)
    if (isa<ConstantOp>(op) || (isFunctionOfOperands(&op) &&
                                llvm::all_of(op.getOperands(), [&](Value v) {
                                  return v.getDefiningOp() &&
                                         trees.contains(v.getDefiningOp());
                                })))
      trees.insert(&op);
  return trees;
}

llvm::DenseMap<Operation *, unsigned>
mlir::ane::assignStages(Block &block, const llvm::DenseSet<Operation *> &trees,
                        function_ref<bool(Operation *)> onEngine) {
  llvm::DenseMap<Operation *, unsigned> stages;
  for (Operation &op : block.without_terminator()) {
    if (trees.contains(&op))
      continue;
    unsigned stage = onEngine(&op) ? 0 : 1;
    for (Value operand : op.getOperands())
      if (Operation *producer = operand.getDefiningOp();
          producer && !trees.contains(producer)) {
        unsigned at = stages.lookup(producer);
        stage = std::max(stage, at % 2 == stage % 2 ? at : at + 1);
      }
    stages[&op] = stage;
  }
  return stages;
}
