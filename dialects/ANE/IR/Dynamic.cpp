//===- Dynamic.cpp - positions, sizes and values known at run time --------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "dialects/ANE/IR/Dynamic.h"
#include "dialects/ANE/IR/Infer.h"
#include "dialects/ANE/IR/Random.h"
#include "dialects/ANE/IR/Structure.h"

using namespace mlir;
using namespace mlir::ane;

/// The integers of a literal operand.
static std::optional<SmallVector<int64_t>> literalInts(Value value) {
  auto constant = value.getDefiningOp<ConstantOp>();
  auto dense =
      constant ? dyn_cast<DenseIntElementsAttr>(constant.getValue()) : nullptr;
  if (!dense || dense.getNumElements() > 64)
    return std::nullopt;
  SmallVector<int64_t> list;
  for (const APInt &v : dense.getValues<APInt>())
    list.push_back(v.getSExtValue());
  return list;
}

static LogicalResult checkVector(std::optional<Location> loc, StringRef opName,
                                 StringRef name, Value value, int64_t rank) {
  auto type = cast<RankedTensorType>(value.getType());
  if (type.getRank() == 1 &&
      (type.isDynamicDim(0) || type.getDimSize(0) == rank))
    return success();
  return emitOptionalError(loc, "'", opName, "' op expects '", name,
                           "' to have one entry for each of ", rank,
                           " axes, but got ", type);
}

/// Bounds, masks and strides of a slice of `rank` axes.
template <typename Adaptor>
static LogicalResult checkBounds(std::optional<Location> loc, StringRef opName,
                                 Adaptor adaptor, int64_t rank) {
  if (failed(checkVector(loc, opName, "begin", adaptor.getBegin(), rank)) ||
      failed(checkVector(loc, opName, "end", adaptor.getEnd(), rank)))
    return failure();
  for (auto mask :
       {adaptor.getBeginMask(), adaptor.getEndMask(), adaptor.getSqueezeMask()})
    if (mask && (int64_t)mask->size() != rank)
      return emitOptionalError(loc, "'", opName, "' op expects masks of ", rank,
                               " entries");
  if (adaptor.getStride() && ((int64_t)adaptor.getStride()->size() != rank ||
                              llvm::is_contained(*adaptor.getStride(), 0)))
    return emitOptionalError(loc, "'", opName, "' op expects 'stride' to have ",
                             rank, " entries other than 0");
  return success();
}

INFER(DynamicSliceOp) {
  auto x = tensorType(adaptor.getX());
  if (failed(checkBounds(loc, getOperationName(), adaptor, x.getRank())))
    return failure();
  auto begins = literalInts(adaptor.getBegin()),
       ends = literalInts(adaptor.getEnd());
  auto bit = [](std::optional<ArrayRef<bool>> mask, int64_t i) {
    return mask && (*mask)[i];
  };
  SmallVector<int64_t> shape;
  for (int64_t i = 0; i < x.getRank(); ++i) {
    if (bit(adaptor.getSqueezeMask(), i))
      continue;
    int64_t dim = x.getDimSize(i), count = ShapedType::kDynamic;
    bool fromStart = bit(adaptor.getBeginMask(), i),
         toEnd = bit(adaptor.getEndMask(), i);
    if (!ShapedType::isDynamic(dim) && (fromStart || begins) && (toEnd || ends))
      count = getSliceExtent(
          dim, fromStart ? std::nullopt : std::optional((*begins)[i]),
          toEnd ? std::nullopt : std::optional((*ends)[i]),
          adaptor.getStride() ? (*adaptor.getStride())[i] : 1);
    shape.push_back(count);
  }
  types.push_back(x.clone(shape));
  return success();
}

INFER(DynamicSliceBySizeOp) {
  auto x = tensorType(adaptor.getX());
  if (failed(checkVector(loc, getOperationName(), "begin", adaptor.getBegin(),
                         x.getRank())))
    return failure();
  if ((int64_t)adaptor.getSize().size() != x.getRank())
    return emitOptionalError(loc, "'", getOperationName(),
                             "' op expects 'size' to have ", x.getRank(),
                             " entries");
  auto begins = literalInts(adaptor.getBegin());
  SmallVector<int64_t> shape;
  for (int64_t i = 0; i < x.getRank(); ++i) {
    int64_t size = adaptor.getSize()[i], dim = x.getDimSize(i);
    if (size == -1)
      size = begins && !ShapedType::isDynamic(dim)
                 ? std::max<int64_t>(0, dim - (*begins)[i])
                 : ShapedType::kDynamic;
    else if (size < 0 || (!ShapedType::isDynamic(dim) && size > dim))
      return emitOptionalError(loc, "'", getOperationName(),
                               "' op expects 'size' to lie within ", x,
                               ", but got ", size, " for axis ", i);
    shape.push_back(size);
  }
  types.push_back(x.clone(shape));
  return success();
}

INFER(SliceUpdateOp) {
  auto x = tensorType(adaptor.getX());
  if (failed(checkBounds(loc, getOperationName(), adaptor, x.getRank())))
    return failure();
  if (getElementTypeOrSelf(adaptor.getUpdate()) != x.getElementType())
    return emitOptionalError(loc, "'", getOperationName(),
                             "' op expects 'update' to have the dtype of ", x);
  types.push_back(x);
  return success();
}

INFER(FillLikeOp) {
  auto value = tensorType(adaptor.getValue());
  types.push_back(
      tensorType(adaptor.getRefTensor()).clone(value.getElementType()));
  if (value.getRank() == 0)
    return success();
  return emitOptionalError(loc, "'", getOperationName(),
                           "' op expects 'value' to be a scalar, but got ",
                           value);
}

INFER(ShapeOp) {
  auto x = tensorType(adaptor.getX());
  types.push_back(
      RankedTensorType::get({x.getRank()}, IntegerType::get(context, 32)));
  return success();
}

INFER(Range1dOp) {
  Type element = getElementTypeOrSelf(adaptor.getStart());
  for (Value v : {adaptor.getEnd(), adaptor.getStart(), adaptor.getStep()})
    if (auto type = cast<RankedTensorType>(v.getType());
        type.getRank() != 0 || type.getElementType() != element)
      return emitOptionalError(
          loc, "'", getOperationName(),
          "' op expects three scalars of one dtype, but got ", type);
  int64_t count = ShapedType::kDynamic;
  auto end = literalInts(adaptor.getEnd()),
       start = literalInts(adaptor.getStart()),
       step = literalInts(adaptor.getStep());
  if (end && start && step && (*step)[0] != 0)
    count = std::max<int64_t>(
        0, llvm::divideCeilSigned((*end)[0] - (*start)[0], (*step)[0]));
  types.push_back(RankedTensorType::get({count}, element));
  return success();
}

static LogicalResult checkDrawn(Operation *op, ArrayRef<int64_t> shape) {
  int64_t count = 1;
  for (int64_t dim : shape)
    if (dim < 0 || llvm::MulOverflow(count, dim, count))
      return op->emitOpError()
             << "expects extents of 0 or more, but got " << dim;
  if (failed(verifyCompatibleShape(
          cast<ShapedType>(op->getResult(0).getType()).getShape(), shape)))
    return op->emitOpError() << "expects a result of shape [" << shape
                             << "], but got " << op->getResult(0).getType();
  return success();
}
LogicalResult RandomNormalOp::verify() { return checkDrawn(*this, getShape()); }
LogicalResult RandomUniformOp::verify() {
  return checkDrawn(*this, getShape());
}
LogicalResult RandomBernoulliOp::verify() {
  return checkDrawn(*this, getShape());
}
LogicalResult RandomCategoricalOp::verify() {
  SmallVector<int64_t> shape(cast<ShapedType>(getX().getType()).getShape());
  int64_t size = getSize();
  if (shape.empty() || size < 1 || size > INT32_MAX)
    return emitOpError() << "expects rank 1 or more and a positive 'size', but "
                            "got "
                         << getX().getType() << " and " << size;
  shape.back() = size;
  if (failed(verifyCompatibleShape(
          cast<ShapedType>(getY().getType()).getShape(), shape)))
    return emitOpError() << "expects a result of shape [" << shape
                         << "], but got " << getY().getType();
  return success();
}
