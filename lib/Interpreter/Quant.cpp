//===- Quant.cpp - quantise, dequantise, compressed constants -------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "dialects/ANE/IR/Quant.h"
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

/// Index of the group of a table, or of the block of a scale, that element i
/// of `shape` belongs to; `groups` divides `shape` axis by axis.
static int64_t groupIndex(int64_t i, ArrayRef<int64_t> shape,
                          ArrayRef<int64_t> strides, ArrayRef<int64_t> groups) {
  int64_t group = 0;
  for (size_t d = 0; d < shape.size(); ++d) {
    group = group * groups[d] + i / strides[d] / (shape[d] / groups[d]);
    i %= strides[d];
  }
  return group;
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
  auto strides = rowMajorStrides(in[0].shape());
  for (int64_t i = 0; i < y.size(); ++i) {
    int64_t block = groupIndex(i, in[0].shape(), strides, in[1].shape());
    double offset = op.getOffset() ? number(in[2], block) : 0;
    y.mutableFloats()[i] =
        float(number(in[0], i) - offset) * in[1].floats()[block];
  }
  context.finish(y);
  out.push_back(std::move(y));
  return success();
}

/// Positions of the elements of `shape` whose mask is set, or all of them.
static std::vector<int64_t> setPositions(const Tensor &mask) {
  std::vector<int64_t> positions;
  for (auto [i, bit] : llvm::enumerate(mask.ints()))
    if (bit)
      positions.push_back(i);
  return positions;
}

LogicalResult evaluateOp(ConstexprLutToDenseOp op, EvalContext &context,
                         ArrayRef<Tensor> in, SmallVectorImpl<Tensor> &out) {
  const Tensor &indices = in[0], &lut = in[1];
  int64_t rank = indices.rank(), entries = lut.shape()[rank],
          width = lut.shape()[rank + 1];
  AxisView view(indices.shape(), width == 1 ? 0 : *op.getVectorAxis());
  SmallVector<int64_t, 6> shape(indices.shape());
  if (width != 1) {
    int64_t axis = *op.getVectorAxis();
    shape[axis < 0 ? axis + rank : axis] *= width;
  }
  Tensor y = context.makeResult(op.getY(), shape);
  auto strides = rowMajorStrides(indices.shape());
  for (int64_t i = 0; i < indices.size(); ++i) {
    int64_t group = groupIndex(i, indices.shape(), strides,
                               lut.shape().take_front(rank)),
            index = indices.ints()[i];
    if (index < 0 || index >= entries)
      return op.emitOpError()
             << "index " << index << " is beyond a table of " << entries;
    for (int64_t v = 0; v < width; ++v) {
      // Element (outer, extent, inner) widens along `extent`.
      int64_t inner = i % view.inner, outer = i / view.inner,
              to = width == 1 ? i : (outer * width + v) * view.inner + inner,
              from = (group * entries + index) * width + v;
      if (lut.isFloat())
        y.mutableFloats()[to] = lut.floats()[from];
      else
        y.mutableInts()[to] = lut.ints()[from];
    }
  }
  context.finish(y);
  out.push_back(std::move(y));
  return success();
}

LogicalResult evaluateOp(ConstexprSparseToDenseOp op, EvalContext &context,
                         ArrayRef<Tensor> in, SmallVectorImpl<Tensor> &out) {
  Tensor y = context.makeResult(op.getY(), in[1].shape());
  std::vector<int64_t> positions = setPositions(in[1]);
  if ((int64_t)positions.size() != in[0].size())
    return op.emitOpError() << "has " << in[0].size() << " values for "
                            << positions.size() << " bits of the mask";
  for (auto [i, at] : llvm::enumerate(positions))
    if (y.isFloat())
      y.mutableFloats()[at] = in[0].floats()[i];
    else
      y.mutableInts()[at] = in[0].ints()[i];
  out.push_back(std::move(y));
  return success();
}

LogicalResult evaluateOp(ConstexprLutToSparseOp op, EvalContext &context,
                         ArrayRef<Tensor> in, SmallVectorImpl<Tensor> &out) {
  const Tensor &mask = in[0], &indices = in[1], &lut = in[2];
  int64_t rank = mask.rank(), entries = lut.shape()[rank],
          width = lut.shape()[rank + 1];
  std::vector<int64_t> positions = setPositions(mask);
  if ((int64_t)positions.size() != indices.size())
    return op.emitOpError() << "has " << indices.size() << " indices for "
                            << positions.size() << " bits of the mask";
  auto strides = rowMajorStrides(mask.shape());
  // Values in the order of their places in the dense tensor.
  AxisView view(mask.shape(), width == 1 ? 0 : *op.getVectorAxis());
  SmallVector<int64_t, 6> shape(mask.shape());
  if (width != 1) {
    int64_t axis = *op.getVectorAxis();
    shape[axis < 0 ? axis + rank : axis] *= width;
  }
  std::vector<std::pair<int64_t, int64_t>> placed; // dense place, table entry
  for (auto [n, i] : llvm::enumerate(positions)) {
    int64_t group = groupIndex(i, mask.shape(), strides,
                               lut.shape().take_front(rank)),
            index = indices.ints()[n];
    if (index < 0 || index >= entries)
      return op.emitOpError()
             << "index " << index << " is beyond a table of " << entries;
    for (int64_t v = 0; v < width; ++v)
      placed.push_back({width == 1 ? i
                                   : (i / view.inner * width + v) * view.inner +
                                         i % view.inner,
                        (group * entries + index) * width + v});
  }
  llvm::sort(placed);
  Tensor denseMask = context.makeResult(op.getMask(), shape),
         values =
             context.makeResult(op.getNonzeroData(), {(int64_t)placed.size()});
  for (auto [i, entry] : llvm::enumerate(placed)) {
    denseMask.mutableInts()[entry.first] = 1;
    if (lut.isFloat())
      values.mutableFloats()[i] = lut.floats()[entry.second];
    else
      values.mutableInts()[i] = lut.ints()[entry.second];
  }
  context.finish(values);
  out.push_back(std::move(denseMask));
  out.push_back(std::move(values));
  return success();
}

LogicalResult evaluateOp(ConstexprSparseBlockwiseShiftScaleOp op,
                         EvalContext &context, ArrayRef<Tensor> in,
                         SmallVectorImpl<Tensor> &out) {
  const Tensor &mask = in[0], &data = in[1], &scale = in[2];
  std::vector<int64_t> positions = setPositions(mask);
  if ((int64_t)positions.size() != data.size())
    return op.emitOpError() << "has " << data.size() << " values for "
                            << positions.size() << " bits of the mask";
  Tensor y = context.makeResult(op.getY(), data.shape());
  auto strides = rowMajorStrides(mask.shape());
  for (auto [n, i] : llvm::enumerate(positions)) {
    int64_t block = groupIndex(i, mask.shape(), strides, scale.shape());
    double offset = op.getOffset() ? number(in[3], block) : 0;
    y.mutableFloats()[n] =
        float(number(data, n) - offset) * scale.floats()[block];
  }
  context.finish(y);
  out.push_back(mask);
  out.push_back(std::move(y));
  return success();
}

#include "dialects/ANE/IR/QuantEvaluators.inc"
} // namespace mlir::ane
