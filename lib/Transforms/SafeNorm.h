//===- SafeNorm.h - norms whose squares fp16 can hold ---------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_LIB_TRANSFORMS_SAFENORM_H
#define ANEMLIR_LIB_TRANSFORMS_SAFENORM_H

#include "Reshape.h"
#include "mlir/IR/Builders.h"

namespace mlir::ane {

/// What stands below the fraction line beside the root of the squares.
struct NormGuard {
  /// Added to the mean of squares (to their sum with `sum`).
  double inside = 0;
  /// Added to the root, or its least value.
  double outside = 0;
  bool isMaximum = false;
  /// The root is of the sum of squares, not of their mean.
  bool sum = false;
};

/// x / root(mean(x^2 over axes) + inside), for rows of any size in one tensor.
///
/// Squares of values beyond 255 are infinite in fp16, and of values below 2^-12
/// zero. Each row is divided by its largest magnitude m first
/// (engine/rewrites.md §6.4b), with m at least a number that keeps inside / m^2
/// within fp16; the quotient is the same for any m.
Value normaliseSafely(OpBuilder &b, Location loc, Value x,
                      ArrayRef<int64_t> axes, const NormGuard &guard);

} // namespace mlir::ane

#endif // ANEMLIR_LIB_TRANSFORMS_SAFENORM_H
