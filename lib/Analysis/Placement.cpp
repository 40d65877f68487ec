//===- Placement.cpp - shared by placing and forming programs -------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Analysis/Placement.h"
#include "dialects/ANE/IR/Arithmetic.h"
#include "dialects/ANE/IR/Cast.h"
#include "dialects/ANE/IR/Comparison.h"
#include "dialects/ANE/IR/Dynamic.h"
#include "dialects/ANE/IR/Gather.h"
#include "dialects/ANE/IR/Image.h"
#include "dialects/ANE/IR/Linear.h"
#include "dialects/ANE/IR/Pool.h"
#include "dialects/ANE/IR/Rearrange.h"
#include "dialects/ANE/IR/Reduction.h"
#include "dialects/ANE/IR/Shape.h"
#include "dialects/ANE/IR/Structure.h"
#include "dialects/ANE/IR/Unary.h"

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

/// Of an input's reshape that nothing but convolutions on the engine reads, as
/// their weight: the first of their stages.
static std::optional<unsigned>
stageOfWeight(Operation *op,
              const llvm::DenseMap<Operation *, unsigned> &stages) {
  auto reshape = dyn_cast<ReshapeOp>(op);
  if (!reshape || !isa<BlockArgument>(reshape.getX()) || stages.lookup(op) % 2)
    return std::nullopt;
  std::optional<unsigned> first;
  for (OpOperand &use : reshape.getY().getUses()) {
    auto conv = dyn_cast<ConvOp>(use.getOwner());
    auto at = stages.find(use.getOwner());
    if (!conv || use.getOperandNumber() != 1 || at == stages.end() ||
        at->second % 2)
      return std::nullopt;
    first = std::min(first.value_or(at->second), at->second);
  }
  return first;
}

/// A stage all of which may wait for the next of its kind is part of that: one
/// program, and one crossing, fewer. From the last on, so that those who read
/// it are where they stay.
static void joinStages(llvm::DenseMap<Operation *, unsigned> &stages) {
  unsigned count = 0;
  for (auto [op, stage] : stages)
    count = std::max(count, stage + 1);
  llvm::SmallVector<llvm::SmallVector<Operation *>> members(count);
  for (auto [op, stage] : stages)
    members[stage].push_back(op);
  for (unsigned stage = count; stage-- > 0;) {
    unsigned next = stage + 2;
    while (next < count && members[next].empty())
      next += 2;
    if (next >= count || members[stage].empty())
      continue;
    auto mayWait = [&](Operation *op) {
      return llvm::all_of(op->getUsers(), [&](Operation *user) {
        auto at = stages.find(user);
        return at == stages.end() || at->second == stage || at->second >= next;
      });
    };
    if (!llvm::all_of(members[stage], mayWait))
      continue;
    for (Operation *op : members[stage])
      stages[op] = next;
    llvm::append_range(members[next], members[stage]);
    members[stage].clear();
  }
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
  joinStages(stages);
  // A run-time weight is an input of the program that convolves with it (L19),
  // not of the first one.
  for (auto &[op, stage] : stages)
    if (std::optional<unsigned> at = stageOfWeight(op, stages))
      stage = *at;
  // What is computed again is so where it is read (ane-recompute).
  for (Operation &op : llvm::reverse(block.without_terminator())) {
    if (!op.hasAttr(marks::kRecomputed) || stages.lookup(&op) % 2)
      continue;
    std::optional<unsigned> first;
    for (Operation *user : op.getUsers())
      if (auto at = stages.find(user); at != stages.end())
        first = std::min(first.value_or(at->second), at->second);
    if (first && *first % 2 == 0)
      stages[&op] = std::max(stages[&op], *first);
  }
  return stages;
}

bool mlir::ane::isMovement(Operation *op) {
  const OpInfo *info = lookupOpInfo(op->getName().getStringRef());
  return info && info->movesElements;
}

bool mlir::ane::isExact(Operation *op) {
  const OpInfo *info = lookupOpInfo(op->getName().getStringRef());
  return info && (info->movesElements || info->picksElements);
}

bool mlir::ane::isRepacking(Operation *op) {
  return isa<ReshapeOp, TransposeOp, ConcatOp, SplitOp, SliceByIndexOp,
             SliceBySizeOp, StackOp, PadOp, CastOp, IdentityOp, ReverseOp,
             SqueezeOp, ExpandDimsOp>(op);
}
