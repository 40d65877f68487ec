//===- Reshape.h - a reshape where one is needed --------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_LIB_TRANSFORMS_RESHAPE_H
#define ANEMLIR_LIB_TRANSFORMS_RESHAPE_H

#include "dialects/ANE/IR/ANE.h"
#include "mlir/IR/Builders.h"

namespace mlir::ane {

inline RankedTensorType typeOf(Value v) {
  return cast<RankedTensorType>(v.getType());
}

/// `x` in `shape`, which holds as many elements; `x` itself if it has it.
inline Value reshapeTo(OpBuilder &b, Location loc, Value x,
                       ArrayRef<int64_t> shape) {
  auto type = cast<RankedTensorType>(x.getType());
  if (type.getShape() == shape)
    return x;
  return ReshapeOp::create(b, loc, type.clone(shape), x, shape);
}

} // namespace mlir::ane

#endif // ANEMLIR_LIB_TRANSFORMS_RESHAPE_H
