//===- Quant.cpp - quantise, dequantise, compressed constants -------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "Evaluators.h"
#include <cmath>

using namespace mlir;
using namespace mlir::ane;

namespace mlir::ane {
/// Element i of a scalar or of a vector along an axis.
static int64_t parameterIndex(const Tensor &parameter, const AxisView &view,
                              int64_t i) {
  return parameter.size() == 1 ? 0 : i / view.inner % view.extent;
}
static double number(const Tensor &tensor, int64_t i) {
  return tensor.isFloat() ? tensor.floats()[i] : double(tensor.ints()[i]);
}

LogicalResult evaluateOp(QuantizeOp op, EvalContext &context,
                         ArrayRef<Tensor> in, SmallVectorImpl<Tensor> &out) {
  Tensor y = context.makeResult(op.getY(), in[0].shape());
  AxisView view(in[0].shape(), op.getAxis().value_or(0));
  unsigned bits = getInfo(y.dtype()).bits;
  double low = isUnsigned(y.dtype()) ? 0 : -std::ldexp(1.0, bits - 1),
         high = std::ldexp(1.0, isUnsigned(y.dtype()) ? bits : bits - 1) - 1;
  for (int64_t i = 0; i < y.size(); ++i) {
    double zero =
        op.getZeroPoint() ? number(in[2], parameterIndex(in[2], view, i)) : 0;
    float scaled = std::nearbyint(
        in[0].floats()[i] / in[1].floats()[parameterIndex(in[1], view, i)]);
    y.mutableInts()[i] =
        std::isnan(scaled) ? 0 : int64_t(std::clamp(scaled + zero, low, high));
  }
  out.push_back(std::move(y));
  return success();
}
LogicalResult evaluateOp(DequantizeOp op, EvalContext &context,
                         ArrayRef<Tensor> in, SmallVectorImpl<Tensor> &out) {
  Tensor y = context.makeResult(op.getY(), in[0].shape());
  AxisView view(in[0].shape(), op.getAxis().value_or(0));
  for (int64_t i = 0; i < y.size(); ++i) {
    double zero =
        op.getZeroPoint() ? number(in[2], parameterIndex(in[2], view, i)) : 0;
    y.mutableFloats()[i] = float(number(in[0], i) - zero) *
                           in[1].floats()[parameterIndex(in[1], view, i)];
  }
  context.finish(y);
  out.push_back(std::move(y));
  return success();
}
LogicalResult evaluateOp(ConstexprBlockwiseShiftScaleOp op,
                         EvalContext &context, ArrayRef<Tensor> in,
                         SmallVectorImpl<Tensor> &out) {
  Tensor y = context.makeResult(op.getY(), in[0].shape());
  auto strides = rowMajorStrides(in[0].shape()),
       scaleStrides = rowMajorStrides(in[1].shape());
  for (int64_t i = 0; i < y.size(); ++i) {
    int64_t rest = i, block = 0;
    for (int64_t d = 0; d < in[0].rank(); ++d) {
      block += rest / strides[d] / (in[0].shape()[d] / in[1].shape()[d]) *
               scaleStrides[d];
      rest %= strides[d];
    }
    double offset = op.getOffset() ? number(in[2], block) : 0;
    y.mutableFloats()[i] =
        float(number(in[0], i) - offset) * in[1].floats()[block];
  }
  context.finish(y);
  out.push_back(std::move(y));
  return success();
}
} // namespace mlir::ane
