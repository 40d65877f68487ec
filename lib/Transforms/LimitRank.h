//===- LimitRank.h - values with fewer axes -------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_LIB_TRANSFORMS_LIMITRANK_H
#define ANEMLIR_LIB_TRANSFORMS_LIMITRANK_H

#include "dialects/ANE/IR/ANE.h"

namespace mlir::ane {

/// Rewrites an op on values of more than `most` axes into one on fewer, between
/// reshapes, where neighbouring axes can be one. Leaves what it cannot.
void limitRank(Operation *op, int64_t most);

} // namespace mlir::ane

#endif // ANEMLIR_LIB_TRANSFORMS_LIMITRANK_H
