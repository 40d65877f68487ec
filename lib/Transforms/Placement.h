//===- Placement.h - shared by placing and forming programs ---------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_LIB_TRANSFORMS_PLACEMENT_H
#define ANEMLIR_LIB_TRANSFORMS_PLACEMENT_H

#include "dialects/ANE/IR/ANE.h"
#include "llvm/ADT/DenseSet.h"

namespace mlir::ane {

/// Ops over constants alone: data, copied into each program that uses them.
llvm::DenseSet<Operation *> findWeightTrees(Block &block);

inline bool isOnEngine(Operation *op) {
  auto placement = op->getAttrOfType<StringAttr>("ane.placement");
  return placement && placement.getValue() == "ane";
}

/// Segment of each op: even ones run on the engine, odd ones on the host, in
/// ascending order.
llvm::DenseMap<Operation *, unsigned>
assignStages(Block &block, const llvm::DenseSet<Operation *> &trees,
             function_ref<bool(Operation *)> onEngine = isOnEngine);

} // namespace mlir::ane

#endif // ANEMLIR_LIB_TRANSFORMS_PLACEMENT_H
