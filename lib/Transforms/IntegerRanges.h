//===- IntegerRanges.h - what integers can be -----------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_LIB_TRANSFORMS_INTEGERRANGES_H
#define ANEMLIR_LIB_TRANSFORMS_INTEGERRANGES_H

#include "dialects/ANE/IR/ANEBase.h"
#include "llvm/ADT/DenseMap.h"

namespace mlir::ane {

/// All values that an integer tensor may hold, both ends included.
struct IntegerRange {
  int64_t low, high;
  bool contains(IntegerRange other) const {
    return low <= other.low && other.high <= high;
  }
  bool touches(IntegerRange other) const {
    return other.low <= high && low <= other.high;
  }
  IntegerRange hull(IntegerRange other) const {
    return {std::min(low, other.low), std::max(high, other.high)};
  }
};

/// Ranges of integer values, found op by op in program order. A 64-bit value is
/// taken to fit 32 bits once it is there: whoever computes it has been told
/// whether that is proven.
class IntegerRanges {
public:
  /// What 32 bits (or fewer, for smaller types) hold.
  static IntegerRange limitsOf(Type element);
  /// What `result` may be before it is put into 32 bits; nothing when the op
  /// says nothing.
  std::optional<IntegerRange> compute(OpResult result);
  /// Remembers the range of a value; what is outside of its limits is not
  /// there.
  void set(Value value, IntegerRange range);
  IntegerRange get(Value value);

private:
  std::optional<IntegerRange> arithmetic(Operation *op);
  std::optional<IntegerRange> reduction(OpResult result);
  std::optional<IntegerRange> movement(OpResult result);
  llvm::DenseMap<Value, IntegerRange> known;
};

} // namespace mlir::ane

#endif // ANEMLIR_LIB_TRANSFORMS_INTEGERRANGES_H
