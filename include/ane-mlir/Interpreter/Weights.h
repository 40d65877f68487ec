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

/// Magnitudes from which on a number stands for infinity and is no quantity.
inline constexpr float kSentinel = 1e9f;

/// A weight as a matrix of its first extent.
llvm::SmallVector<int64_t, 2> matrixShapeOf(llvm::ArrayRef<int64_t> shape);

/// A parameter [A, B, …] as a matrix [A, B…], or with the first two axes
/// exchanged [B, A…]; of a convolution of `groups`, each of which has its own
/// rows and columns. `shape` is that of the matrix, whose rows may end in
/// zeros.
/// Undefined unless isMatrixOf() holds.
Tensor asMatrix(const Tensor &value, bool exchanged, int64_t groups,
                llvm::ArrayRef<int64_t> shape);
/// Whether a parameter of the shape `value` is such a matrix of `shape`.
bool isMatrixOf(llvm::ArrayRef<int64_t> value, bool exchanged, int64_t groups,
                llvm::ArrayRef<int64_t> shape);

} // namespace mlir::ane

#endif // ANEMLIR_INTERPRETER_WEIGHTS_H
