//===- LimitRank.h - values with fewer axes -------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_LIB_TRANSFORMS_LIMITRANK_H
#define ANEMLIR_LIB_TRANSFORMS_LIMITRANK_H

#include "dialects/ANE/IR/ANEBase.h"

namespace mlir::ane {

/// Rewrites an op on values of more than `most` axes into one on fewer, between
/// reshapes, where neighbouring axes can be one. Leaves what it cannot.
void limitRank(Operation *op, int64_t most);

/// `x` taken as `shape`, with its axes permuted: a transpose of as few axes as
/// can be, or several where those are still more than `most`. The result has
/// the right order of elements; its shape is for the caller to set.
Value permute(OpBuilder &b, Location loc, Value x, ArrayRef<int64_t> shape,
              ArrayRef<int64_t> perm, int64_t most = 5);

} // namespace mlir::ane

#endif // ANEMLIR_LIB_TRANSFORMS_LIMITRANK_H
