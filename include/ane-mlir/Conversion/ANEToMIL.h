//===- ANEToMIL.h - ane programs to mil programs --------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_CONVERSION_ANETOMIL_H
#define ANEMLIR_CONVERSION_ANETOMIL_H

#include "ane-mlir/Target/WeightFile.h"
#include "dialects/ANE/IR/ANE.h"
#include "dialects/MIL/IR/MIL.h"

namespace mlir::ane {

/// A mil.program and the weight trees its blobs stand for, in file order.
struct ConvertedProgram {
  mil::ProgramOp program;
  /// Roots in the ane program; the writer evaluates them one at a time.
  SmallVector<Value> weights;
  WeightLayout layout;
};

/// Appends the mil.program of `program` (an ane.program or func.func of ane
/// ops) to the module of `builder`. `weightPath` is the BLOBFILE path. Names,
/// constants and weight offsets are all fixed here, so that the printer has
/// nothing to decide. Parameters and results are named by `parameterNames` and
/// `resultNames`; no value gets one of the `reserved` names.
FailureOr<ConvertedProgram>
convertANEToMIL(OpBuilder &builder, Operation *program, StringRef symbol,
                bool verbose, StringRef weightPath,
                ArrayRef<std::string> parameterNames,
                ArrayRef<std::string> resultNames,
                ArrayRef<StringRef> reserved = {});

/// Writes the weights of a program, one at a time, in file order.
LogicalResult writeWeights(Location loc, const ConvertedProgram &converted,
                           llvm::raw_ostream &os);

/// Evaluates a weight tree to the bytes of its type. Finite values beyond fp16
/// saturate.
FailureOr<std::vector<char>> evaluateWeight(Value root);

} // namespace mlir::ane

#endif // ANEMLIR_CONVERSION_ANETOMIL_H
