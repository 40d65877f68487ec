//===- Loss.h - losses ----------------------------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_LIB_TRAINING_LOSS_H
#define ANEMLIR_LIB_TRAINING_LOSS_H

#include "ane-mlir/Conversion/GraphBuilder.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace mlir::ane {

/// Builds what `spec` says (see ane-differentiate) at the builder's place in
/// `function`, whose results are `outputs`, adding the argument `targets` where
/// that is needed. The loss is a scalar. Null after a diagnostic.
Value buildLoss(GraphBuilder &graph, func::FuncOp function, ValueRange outputs,
                StringRef spec);

} // namespace mlir::ane

#endif // ANEMLIR_LIB_TRAINING_LOSS_H
