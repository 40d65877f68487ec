//===- Partition.h - what a placement costs -------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_ANALYSIS_PARTITION_H
#define ANEMLIR_ANALYSIS_PARTITION_H

#include "ane-mlir/Analysis/CostModel.h"
#include "ane-mlir/Analysis/Placement.h"
#include "llvm/ADT/DenseSet.h"
#include <vector>

namespace mlir::ane {

struct PartitionPlan;

/// Predicted time of one function under different placements.
class Partition {
public:
  using EngineOps = llvm::DenseSet<Operation *>;

  /// `mayRunOnEngine` holds the ops that no rule keeps from it.
  Partition(Block &block, const llvm::DenseSet<Operation *> &trees,
            const Clock &clock, EngineOps mayRunOnEngine);

  /// Microseconds with `engine` on the engine: dispatches, arithmetic, surfaces
  /// beyond it, and the host's part. `scale` multiplies positions.
  double evaluate(const EngineOps &engine, double scale = 1) const;
  /// The cheapest of what minimum cuts propose.
  EngineOps findCheapest() const;
  const EngineOps &getLegal() const { return legal; }
  /// How many times the positions of this model the engine needs to be faster
  /// than the host alone; 0 when it always is, infinite when it never is
  /// (within a factor of 4096).
  double findCrossover() const;

private:
  EngineOps cut(double dispatchShare) const;
  PartitionPlan plan(const EngineOps &engine) const;
  double evaluate(const PartitionPlan &plan, double scale) const;

  Block &block;
  const llvm::DenseSet<Operation *> &trees;
  Clock clock;
  EngineOps legal;
  /// What is distinct, and of each op in the order of the block which it is.
  std::vector<OpWork> works;
  std::vector<std::pair<Operation *, unsigned>> ops;
};

} // namespace mlir::ane

#endif // ANEMLIR_ANALYSIS_PARTITION_H
