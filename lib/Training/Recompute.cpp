//===- Recompute.cpp - computing again instead of storing -----------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Analysis/CostModel.h"
#include "ane-mlir/Analysis/Placement.h"
#include "ane-mlir/Training/Passes.h"
#include "dialects/ANE/IR/Pool.h"
#include "mlir/IR/IRMapping.h"
#include <set>

using namespace mlir;
using namespace mlir::ane;

namespace mlir::ane {
#define GEN_PASS_DEF_RECOMPUTEPASS
#include "ane-mlir/Training/Passes.h.inc"
} // namespace mlir::ane

namespace {
struct Recompute : ane::impl::RecomputePassBase<Recompute> {
  using RecomputePassBase::RecomputePassBase;

  using Stages = llvm::DenseMap<Operation *, unsigned>;

  void runOnOperation() override {
    for (func::FuncOp function : findFunctions(getOperation()))
      run(function.getBody().front());
  }

  /// A later stage: where its copies go, what it has, and what was copied.
  struct Later {
    Operation *begin;
    unsigned stage;
    llvm::DenseSet<Value> &there;
    IRMapping &copies;
  };
  using Ops = llvm::DenseSet<Operation *>;
  /// Ops in a row that are repeated for one value.
  static constexpr unsigned kMostDeep = 12;

  /// Whether all that the op needs is there, or (`all`) can be repeated.
  bool canRepeat(Operation *op, const Later &to, const Ops &trees,
                 const Ops &cheap, unsigned depth) const {
    if (!op->isBeforeInBlock(to.begin))
      return false;
    return llvm::all_of(op->getOperands(), [&](Value operand) {
      Operation *producer = operand.getDefiningOp();
      if ((producer && trees.contains(producer)) ||
          to.there.contains(operand) || to.copies.contains(operand))
        return true;
      return mode == RecomputeMode::All && depth < kMostDeep && producer &&
             cheap.contains(producer) &&
             canRepeat(producer, to, trees, cheap, depth + 1);
    });
  }

  void run(Block &block) {
    Clock clock = getClock(block.getParentOp());
    auto trees = findWeightTrees(block);
    Stages stages = assignStages(block, trees);
    // Values that each stage has: made there, or read anyway.
    llvm::DenseMap<unsigned, llvm::DenseSet<Value>> there;
    for (auto &[op, stage] : stages) {
      there[stage].insert(op->result_begin(), op->result_end());
      for (Value operand : op->getOperands())
        there[stage].insert(operand);
    }
    // Copies of a stage stand before its first op, in their own order.
    SmallVector<Operation *> ops;
    llvm::DenseMap<unsigned, Operation *> begins;
    for (Operation &op : block.without_terminator()) {
      auto at = stages.find(&op);
      if (at == stages.end() || at->second % 2)
        continue;
      begins.try_emplace(at->second, &op);
      if (isCheap(&op, clock))
        ops.push_back(&op);
    }
    llvm::DenseMap<unsigned, IRMapping> copies;
    llvm::DenseSet<Operation *> cheap(ops.begin(), ops.end());
    for (Operation *op : ops) {
      std::set<unsigned> later;
      for (Operation *user : op->getUsers())
        if (auto at = stages.find(user); at != stages.end() &&
                                         at->second % 2 == 0 &&
                                         at->second > stages.lookup(op))
          later.insert(at->second);
      for (unsigned stage : later) {
        Later to{begins.lookup(stage), stage, there[stage], copies[stage]};
        if (canRepeat(op, to, trees, cheap, 0))
          repeat(op, to, trees, stages);
      }
    }
  }

  /// Whether computing takes less than what crossing two surfaces does.
  bool isCheap(Operation *op, const Clock &clock) const {
    auto type = op->getNumResults() == 1
                    ? dyn_cast<RankedTensorType>(op->getResult(0).getType())
                    : RankedTensorType();
    if (!type || !type.hasStaticShape() || op->getNumRegions() ||
        !isMemoryEffectFree(op))
      return false;
    using Kind = OpWork::Kind;
    Kind kind = findWork(op, clock.target).kind;
    if (kind == Kind::Macs || kind == Kind::Pool || isa<MaxPoolOp>(op))
      return false;
    double bytes = 4.0 * type.getNumElements();
    return mode == RecomputeMode::All ||
           predict(op, clock).total() < clock.surfaces(bytes, 0);
  }

  /// A copy of `op`, and of what it needs and is not there, for all users in a
  /// stage.
  void repeat(Operation *op, const Later &to, const Ops &trees,
              Stages &stages) {
    for (Value operand : op->getOperands())
      if (Operation *producer = operand.getDefiningOp();
          producer && !trees.contains(producer) &&
          !to.there.contains(operand) && !to.copies.contains(operand))
        repeat(producer, to, trees, stages);
    SmallVector<OpOperand *> uses;
    for (OpOperand &use : op->getResult(0).getUses())
      if (auto at = stages.find(use.getOwner());
          at != stages.end() && at->second == to.stage)
        uses.push_back(&use);
    OpBuilder b(to.begin);
    Operation *copy = b.clone(*op, to.copies);
    copy->setAttr(marks::kRecomputed, b.getUnitAttr());
    for (OpOperand *use : uses)
      use->set(copy->getResult(0));
    stages[copy] = to.stage;
    ++numRepeated;
  }
};
} // namespace
