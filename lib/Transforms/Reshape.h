//===- Reshape.h - a reshape where one is needed --------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_LIB_TRANSFORMS_RESHAPE_H
#define ANEMLIR_LIB_TRANSFORMS_RESHAPE_H

#include "dialects/ANE/IR/ANE.h"
#include "mlir/IR/Builders.h"
#include <optional>

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

/// The number that every element of a constant is, cast or not.
inline std::optional<double> splatOf(Value v) {
  Operation *op = v.getDefiningOp();
  while (isa_and_nonnull<CastOp, ReshapeOp>(op))
    op = op->getOperand(0).getDefiningOp();
  auto constant = dyn_cast_or_null<ConstantOp>(op);
  auto dense = constant ? dyn_cast<DenseElementsAttr>(constant.getValue())
                        : DenseElementsAttr();
  if (!dense || !isa<FloatType>(dense.getElementType()) || !dense.isSplat())
    return std::nullopt;
  return dense.getSplatValue<APFloat>().convertToDouble();
}

} // namespace mlir::ane

#endif // ANEMLIR_LIB_TRANSFORMS_RESHAPE_H
