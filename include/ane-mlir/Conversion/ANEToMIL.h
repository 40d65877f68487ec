//===- ANEToMIL.h - ane programs to mil programs --------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_CONVERSION_ANETOMIL_H
#define ANEMLIR_CONVERSION_ANETOMIL_H

#include "dialects/ANE/IR/ANEBase.h"
#include "dialects/MIL/IR/MIL.h"

namespace mlir::ane {

/// Appends the mil.program of `program` (an ane.program or func.func of ane
/// ops) to the module of `builder`. Names, constants and weight offsets are all
/// fixed here, so that the printer has nothing to decide. Weight trees stay
/// where they are, each root marked with its place in the weight file
/// (marks::kWeight). Parameters and results are named by `parameterNames` and
/// `resultNames`; no value gets one of the `reserved` names.
FailureOr<mil::ProgramOp> convertANEToMIL(OpBuilder &builder,
                                          Operation *program, StringRef symbol,
                                          bool verbose,
                                          ArrayRef<std::string> parameterNames,
                                          ArrayRef<std::string> resultNames,
                                          ArrayRef<StringRef> reserved = {});

} // namespace mlir::ane

#endif // ANEMLIR_CONVERSION_ANETOMIL_H
