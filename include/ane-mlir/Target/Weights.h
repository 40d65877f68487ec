//===- Weights.h - weight files of programs -------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_TARGET_WEIGHTS_H
#define ANEMLIR_TARGET_WEIGHTS_H

#include "ane-mlir/Support/WeightFile.h"
#include "mlir/IR/BuiltinOps.h"

namespace mlir::ane {

/// What the weight file of one program holds, in order.
struct ProgramWeights {
  /// Roots of weight trees; the writer evaluates them one at a time.
  SmallVector<Value> roots;
  WeightLayout layout;
  /// What some of them were evaluated to already.
  llvm::DenseMap<Value, std::vector<char>> evaluated;
};

/// The weights of an ane.program or @main, as convert-ane-to-mil marked them.
ProgramWeights collectWeights(Operation *source);

/// Writes them one at a time; warns of values that fp16 does not hold.
/// Takes what was evaluated before.
LogicalResult writeWeights(Location loc, ProgramWeights &weights,
                           llvm::raw_ostream &os);

} // namespace mlir::ane

#endif // ANEMLIR_TARGET_WEIGHTS_H
