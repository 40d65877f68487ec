//===- WeightTrees.h - what is computed from constants alone --------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// A weight tree is never emitted as operations: its root is evaluated while
// writing. So every pass asks of nearly every value whether it is one, and so
// do the ops' own cost and legality, which is why this is here and not in
// lib/Analysis. `isConstantTree` walks up from a value; of a run-time value it
// may walk far before it knows. An op is what its operands are, so that it is
// enough to find that out once:
//
//   WeightTrees trees;              // isConstantTree remembers from here on
//   GreedyRewriteConfig config;
//   config.setListener(&trees);     // ... and learns what is rewritten
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_DIALECTS_ANE_IR_WEIGHTTREES_H
#define ANEMLIR_DIALECTS_ANE_IR_WEIGHTTREES_H

#include "mlir/IR/PatternMatch.h"
#include "llvm/ADT/DenseMap.h"

namespace mlir::ane {

/// While one lives, `isConstantTree` on its thread answers out of what was
/// found before: constant time on average. Whoever erases an op, or gives it
/// operands of the other kind, meanwhile has to tell: rewriters do with it as
/// their listener. An assertion build compares each answer with a walk.
class WeightTrees : public RewriterBase::ForwardingListener {
public:
  /// `next` is notified as well.
  explicit WeightTrees(OpBuilder::Listener *next = nullptr);
  ~WeightTrees() override;
  WeightTrees(const WeightTrees &) = delete;
  WeightTrees &operator=(const WeightTrees &) = delete;

  bool contains(Value value);

  void notifyOperationModified(Operation *op) override;
  void notifyOperationErased(Operation *op) override;

private:
  /// What is known without looking at other ops.
  std::optional<bool> lookup(Value value) const;
  /// Of `op` and of what it is computed from.
  bool resolve(Operation *op);

  llvm::DenseMap<Operation *, bool> kinds;
  WeightTrees *outer;
};

/// The constant of a weight tree whose file training writes anew; null where
/// there is none. `asIs`: the tree has its elements in their order, of whatever
/// type.
Operation *findPatched(Value root, bool &asIs);

} // namespace mlir::ane

#endif // ANEMLIR_DIALECTS_ANE_IR_WEIGHTTREES_H
