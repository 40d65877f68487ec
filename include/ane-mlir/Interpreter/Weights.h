//===- Weights.h - weight trees to bytes ----------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_INTERPRETER_WEIGHTS_H
#define ANEMLIR_INTERPRETER_WEIGHTS_H

#include "ane-mlir/Interpreter/Interpreter.h"

namespace mlir::ane {

/// Evaluates a weight tree to the bytes of its type, in fp32, rounded once at
/// the end. Finite values beyond fp16 saturate, with a warning. `buffer` is
/// memory that may be used again.
FailureOr<std::vector<char>> evaluateWeight(Value root,
                                            std::vector<char> buffer = {});

} // namespace mlir::ane

#endif // ANEMLIR_INTERPRETER_WEIGHTS_H
