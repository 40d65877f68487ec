//===- Reshape.h - a reshape where one is needed --------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_LIB_TRANSFORMS_RESHAPE_H
#define ANEMLIR_LIB_TRANSFORMS_RESHAPE_H

#include "dialects/ANE/IR/ANEBase.h"
#include "mlir/IR/Builders.h"
#include <optional>

namespace mlir::ane {

inline RankedTensorType typeOf(Value v) {
  return cast<RankedTensorType>(v.getType());
}

/// `x` in `shape`, which holds as many elements; `x` itself if it has it.
Value reshapeTo(OpBuilder &b, Location loc, Value x, ArrayRef<int64_t> shape);

/// The number that every element of a constant is, cast or not.
std::optional<double> splatOf(Value v);

} // namespace mlir::ane

#endif // ANEMLIR_LIB_TRANSFORMS_RESHAPE_H
