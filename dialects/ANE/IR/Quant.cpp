//===- Quant.cpp - quantise, dequantise, compressed constants -------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "dialects/ANE/IR/ANE.h"

using namespace mlir;
using namespace mlir::ane;

/// scale is a scalar, or a vector along `axis`.
static LogicalResult checkScale(std::optional<Location> loc, StringRef opName,
                                RankedTensorType x, RankedTensorType scale,
                                std::optional<int64_t> axis) {
  if (scale.getRank() == 0)
    return success();
  FailureOr<int64_t> normal = normalizeAxis(loc, opName, axis.value_or(0),
                                            std::max<int64_t>(x.getRank(), 1));
  if (failed(normal))
    return failure();
  if (!axis || scale.getRank() != 1 ||
      scale.getDimSize(0) != x.getDimSize(*normal))
    return emitOptionalError(
        loc, "'", opName,
        "' op expects 'scale' to be a scalar or a vector along 'axis' of ", x,
        ", but got ", scale);
  return success();
}

LogicalResult QuantizeOp::inferReturnTypes(MLIRContext *,
                                           std::optional<Location> loc,
                                           Adaptor adaptor,
                                           SmallVectorImpl<Type> &types) {
  auto x = cast<RankedTensorType>(adaptor.getInput().getType());
  types.push_back(x.clone(adaptor.getOutputDtype()));
  return checkScale(loc, getOperationName(), x,
                    cast<RankedTensorType>(adaptor.getScale().getType()),
                    adaptor.getAxis());
}

LogicalResult DequantizeOp::inferReturnTypes(MLIRContext *,
                                             std::optional<Location> loc,
                                             Adaptor adaptor,
                                             SmallVectorImpl<Type> &types) {
  auto x = cast<RankedTensorType>(adaptor.getInput().getType()),
       scale = cast<RankedTensorType>(adaptor.getScale().getType());
  types.push_back(x.clone(scale.getElementType()));
  return checkScale(loc, getOperationName(), x, scale, adaptor.getAxis());
}

LogicalResult ConstexprBlockwiseShiftScaleOp::inferReturnTypes(
    MLIRContext *, std::optional<Location> loc, Adaptor adaptor,
    SmallVectorImpl<Type> &types) {
  auto data = cast<RankedTensorType>(adaptor.getData().getType()),
       scale = cast<RankedTensorType>(adaptor.getScale().getType());
  bool ok = data.getRank() == scale.getRank();
  for (int64_t i = 0; ok && i < data.getRank(); ++i)
    ok = scale.getDimSize(i) > 0 &&
         data.getDimSize(i) % scale.getDimSize(i) == 0;
  if (!ok)
    return emitOptionalError(loc,
                             "'ane.constexpr_blockwise_shift_scale' op expects "
                             "each axis of 'scale' to divide that of ",
                             data, ", but got ", scale);
  types.push_back(data.clone(scale.getElementType()));
  return success();
}
