//===- Placement.h - shared by placing and forming programs ---------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_ANALYSIS_PLACEMENT_H
#define ANEMLIR_ANALYSIS_PLACEMENT_H

#include "dialects/ANE/IR/ANEBase.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/DenseSet.h"

namespace mlir::ane {

/// Functions of one block: not those that are declared only, nor what the
/// import does not make.
inline SmallVector<func::FuncOp> findFunctions(ModuleOp module) {
  return llvm::filter_to_vector(
      module.getOps<func::FuncOp>(),
      [](func::FuncOp function) { return function.getBody().hasOneBlock(); });
}

/// Ops over constants alone: data, copied into each program that uses them.
llvm::DenseSet<Operation *> findWeightTrees(Block &block);

inline bool isOnEngine(Operation *op) {
  auto placement = op->getAttrOfType<StringAttr>(marks::kPlacement);
  return placement && placement.getValue() == "ane";
}

/// True for an op that only moves elements.
bool isMovement(Operation *op);

/// True for an op that rounds nothing, in whatever precision its operands are:
/// moves, compares and selections of elements.
bool isExact(Operation *op);

/// True for a movement, or a cast, that is no reason for a program of its own
/// and no arithmetic by which an input or output may begin or end.
bool isRepacking(Operation *op);

/// Segment of each op: even ones run on the engine, odd ones on the host, in
/// ascending order.
llvm::DenseMap<Operation *, unsigned>
assignStages(Block &block, const llvm::DenseSet<Operation *> &trees,
             function_ref<bool(Operation *)> onEngine = isOnEngine);

} // namespace mlir::ane

#endif // ANEMLIR_ANALYSIS_PLACEMENT_H
