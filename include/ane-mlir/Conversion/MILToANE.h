//===- MILToANE.h - raising mil to ane ------------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_CONVERSION_MILTOANE_H
#define ANEMLIR_CONVERSION_MILTOANE_H

#include "ane-mlir/Support/WeightFile.h"
#include "dialects/ANE/IR/Structure.h"
#include "dialects/MIL/IR/MIL.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace mlir::ane {

/// Builds an ane.program (kind host) named `symbol` from a mil.func at the
/// builder's insertion point, every opset's form of an operation brought to the
/// newest one. Arguments keep their MIL names as `ane.name`. A state becomes an
/// argument and, behind the other results, a result that holds what was written
/// last, both marked `ane.state`. Every operation without an ane counterpart is
/// listed before failing.
FailureOr<ProgramOp> convertMILToANE(OpBuilder &builder, mil::FuncOp func,
                                     StringRef symbol,
                                     const WeightOpener &weights,
                                     const mil::ShapeBindings &shapes = {});

/// Rebuilds every operation of a function with our own inference and throws the
/// result away; every operation that cannot be rebuilt has a diagnostic, and so
/// has every declared type that leaves open what is known, in functions whose
/// parameters leave nothing open. Others are checked for the given shapes.
LogicalResult checkMIL(mil::FuncOp func, const WeightOpener &weights,
                       const mil::ShapeBindings &shapes = {});

/// The same as a func.func @main: what the pipelines start from.
FailureOr<func::FuncOp>
convertMILToFunction(OpBuilder &builder, mil::FuncOp func,
                     const WeightOpener &weights,
                     const mil::ShapeBindings &shapes = {});

} // namespace mlir::ane

#endif // ANEMLIR_CONVERSION_MILTOANE_H
