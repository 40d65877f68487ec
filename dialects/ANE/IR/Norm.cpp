//===- Norm.cpp - normalisation and reductions ----------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "dialects/ANE/IR/Norm.h"
#include "dialects/ANE/IR/Arithmetic.h"
#include "dialects/ANE/IR/Reduction.h"
#include "dialects/ANE/IR/Structure.h"
#include "dialects/ANE/IR/Unary.h"

using namespace mlir;
using namespace mlir::ane;

/// An optional per-channel operand: rank 1, as long as axis 1 of x.
static LogicalResult verifyChannels(Operation *op, StringRef name,
                                    RankedTensorType x, Value value) {
  if (!value)
    return success();
  auto type = cast<RankedTensorType>(value.getType());
  if (type.getRank() == 1 && (type.getDimSize(0) == x.getDimSize(1) ||
                              x.isDynamicDim(1) || type.isDynamicDim(0)))
    return success();
  return op->emitOpError() << "expects '" << name
                           << "' to have one element per channel of " << x
                           << ", but got " << type;
}

static LogicalResult verifyRank(Operation *op, RankedTensorType x,
                                int64_t least, int64_t most) {
  if (x.getRank() >= least && x.getRank() <= most)
    return success();
  return op->emitOpError() << "expects 'x' to have rank " << least << " to "
                           << most << ", but got " << x;
}

LogicalResult SoftmaxOp::verify() {
  return normalizeAxis(getLoc(), getOperationName(), getAxis(),
                       getX().getType().getRank());
}
LogicalResult CumsumOp::verify() {
  return normalizeAxis(getLoc(), getOperationName(), getAxis(),
                       getX().getType().getRank());
}

LogicalResult BatchNormOp::verify() {
  RankedTensorType x = getX().getType();
  if (failed(verifyRank(*this, x, 3, 5)))
    return failure();
  return success(
      succeeded(verifyChannels(*this, "mean", x, getMean())) &&
      succeeded(verifyChannels(*this, "variance", x, getVariance())) &&
      succeeded(verifyChannels(*this, "gamma", x, getGamma())) &&
      succeeded(verifyChannels(*this, "beta", x, getBeta())));
}

std::pair<Value, Value> BatchNormOp::makeScaleAndShift(OpBuilder &b) {
  Location loc = getLoc();
  Type vector = getMean().getType();
  Value scale =
      RsqrtOp::create(b, loc, vector, getVariance(), getEpsilonAttr());
  if (getGamma())
    scale = MulOp::create(b, loc, vector, scale, getGamma());
  Value zero = ConstantOp::create(b, loc, cast<RankedTensorType>(vector),
                                  cast<ElementsAttr>(b.getZeroAttr(vector)));
  Value shift = SubOp::create(b, loc, vector, zero,
                              MulOp::create(b, loc, vector, getMean(), scale));
  if (getBeta())
    shift = AddOp::create(b, loc, vector, shift, getBeta());
  return {scale, shift};
}

LogicalResult InstanceNormOp::verify() {
  RankedTensorType x = getX().getType();
  if (failed(verifyRank(*this, x, 3, 4)))
    return failure();
  return success(succeeded(verifyChannels(*this, "gamma", x, getGamma())) &&
                 succeeded(verifyChannels(*this, "beta", x, getBeta())));
}

LogicalResult LayerNormOp::verify() {
  RankedTensorType x = getX().getType();
  SmallVector<int64_t> shape;
  for (int64_t axis : getAxes()) {
    FailureOr<int64_t> normal =
        normalizeAxis(getLoc(), getOperationName(), axis, x.getRank());
    if (failed(normal))
      return failure();
    shape.push_back(x.getDimSize(*normal));
  }
  for (auto [name, value] :
       {std::pair<StringRef, Value>{"gamma", getGamma()}, {"beta", getBeta()}})
    if (value &&
        failed(verifyCompatibleShape(
            cast<RankedTensorType>(value.getType()).getShape(), shape)))
      return emitOpError() << "expects '" << name
                           << "' to have the shape of 'axes' of " << x
                           << ", but got " << value.getType();
  return success();
}

LogicalResult L2NormOp::verify() {
  return verifyRank(*this, getX().getType(), 3, 5);
}
LogicalResult LocalResponseNormOp::verify() {
  if ((int64_t)getSize() <= 0)
    return emitOpError() << "expects 'size' to be positive, but got "
                         << getSize();
  return verifyRank(*this, getX().getType(), 3, 4);
}
