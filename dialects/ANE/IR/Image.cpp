//===- Image.cpp - sampling and cropping of images ------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "dialects/ANE/IR/Image.h"
#include "dialects/ANE/IR/Infer.h"
#include "dialects/ANE/IR/Structure.h"
#include <cmath>

using namespace mlir;
using namespace mlir::ane;

static LogicalResult expectRank(std::optional<Location> loc, StringRef opName,
                                StringRef name, Value value, int64_t least,
                                int64_t most) {
  auto type = cast<RankedTensorType>(value.getType());
  if (type.getRank() >= least && type.getRank() <= most)
    return success();
  return emitOptionalError(loc, "'", opName, "' op expects '", name,
                           "' to have rank ", least,
                           least == most ? "" : " or more", ", but got ", type);
}

INFER(UpsampleBilinearOp) {
  auto x = tensorType(adaptor.getX());
  if (failed(expectRank(loc, getOperationName(), "x", adaptor.getX(), 3, 32)))
    return failure();
  SmallVector<int64_t> shape(x.getShape());
  for (auto [axis, scale] :
       {std::pair(x.getRank() - 2, adaptor.getScaleFactorHeight()),
        std::pair(x.getRank() - 1, adaptor.getScaleFactorWidth())}) {
    double factor = scale.convertToDouble();
    if (!(factor > 0 && factor < 65536))
      return emitOptionalError(loc, "'", getOperationName(),
                               "' op expects scale factors in (0, 65536)");
    if (!ShapedType::isDynamic(shape[axis]))
      shape[axis] = int64_t(std::floor(shape[axis] * factor));
  }
  types.push_back(x.clone(shape));
  return success();
}

INFER(ResizeOp) {
  auto x = tensorType(adaptor.getX());
  int64_t count = adaptor.getResizedDims();
  if (count < 1 || count > x.getRank() ||
      (int64_t)adaptor.getShape().size() != count)
    return emitOptionalError(loc, "'", getOperationName(),
                             "' op expects 'shape' to have resized_dims (",
                             count, ") entries, at most the rank of ", x);
  SmallVector<int64_t> shape(x.getShape());
  for (auto [i, size] : llvm::enumerate(adaptor.getShape())) {
    if (size < 0 || size > INT32_MAX)
      return emitOptionalError(loc, "'", getOperationName(),
                               "' op expects sizes of 0 or more, but got ",
                               size);
    if (size)
      shape[x.getRank() - count + i] = size;
  }
  types.push_back(x.clone(shape));
  return success();
}

INFER(CropOp) {
  auto x = tensorType(adaptor.getX());
  if (failed(expectRank(loc, getOperationName(), "x", adaptor.getX(), 3, 32)))
    return failure();
  SmallVector<int64_t> shape(x.getShape());
  for (auto [axis, crop] :
       {std::pair(x.getRank() - 2, adaptor.getCropHeight()),
        std::pair(x.getRank() - 1, adaptor.getCropWidth())}) {
    if (crop.size() != 2 || crop[0] < 0 || crop[1] < 0 ||
        (!ShapedType::isDynamic(shape[axis]) &&
         crop[0] + crop[1] > shape[axis]))
      return emitOptionalError(loc, "'", getOperationName(),
                               "' op expects two crops that fit axis ", axis,
                               " of ", x);
    if (!ShapedType::isDynamic(shape[axis]))
      shape[axis] -= crop[0] + crop[1];
  }
  types.push_back(x.clone(shape));
  return success();
}

INFER(CropResizeOp) {
  auto x = tensorType(adaptor.getX()), boxes = tensorType(adaptor.getBoxes());
  if (failed(expectRank(loc, getOperationName(), "x", adaptor.getX(), 4, 4)) ||
      failed(expectRank(loc, getOperationName(), "boxes", adaptor.getBoxes(), 2,
                        2)))
    return failure();
  if (boxes.getDimSize(1) != 4 || adaptor.getTargetHeight() < 1 ||
      adaptor.getTargetWidth() < 1)
    return emitOptionalError(
        loc, "'", getOperationName(),
        "' op expects boxes [N, 4] and positive sizes, but got ", boxes);
  types.push_back(x.clone({boxes.getDimSize(0), x.getDimSize(1),
                           int64_t(adaptor.getTargetHeight()),
                           int64_t(adaptor.getTargetWidth())}));
  return success();
}

INFER(ResampleOp) {
  auto x = tensorType(adaptor.getX()),
       grid = tensorType(adaptor.getCoordinates());
  if (failed(expectRank(loc, getOperationName(), "x", adaptor.getX(), 4, 4)) ||
      failed(expectRank(loc, getOperationName(), "coordinates",
                        adaptor.getCoordinates(), 4, 4)))
    return failure();
  if (grid.getDimSize(3) != 2 || grid.getDimSize(0) != x.getDimSize(0))
    return emitOptionalError(loc, "'", getOperationName(),
                             "' op expects coordinates [", x.getDimSize(0),
                             ", H, W, 2], but got ", grid);
  types.push_back(x.clone({x.getDimSize(0), x.getDimSize(1), grid.getDimSize(1),
                           grid.getDimSize(2)}));
  return success();
}

INFER(AffineOp) {
  auto x = tensorType(adaptor.getX()),
       matrix = tensorType(adaptor.getTransformMatrix());
  if (failed(expectRank(loc, getOperationName(), "x", adaptor.getX(), 4, 4)) ||
      failed(expectRank(loc, getOperationName(), "transform_matrix",
                        adaptor.getTransformMatrix(), 2, 2)))
    return failure();
  if (matrix.getDimSize(1) != 6 ||
      (matrix.getDimSize(0) != 1 && matrix.getDimSize(0) != x.getDimSize(0)) ||
      adaptor.getOutputHeight() < 1 || adaptor.getOutputWidth() < 1)
    return emitOptionalError(loc, "'", getOperationName(),
                             "' op expects a matrix [1 or batch, 6] and "
                             "positive sizes, but got ",
                             matrix);
  types.push_back(x.clone({x.getDimSize(0), x.getDimSize(1),
                           int64_t(adaptor.getOutputHeight()),
                           int64_t(adaptor.getOutputWidth())}));
  return success();
}

/// Blocks of 2 axes move into or out of the batch; `edges` [2,2] is padding or
/// crop. The result is known where the edges are literal.
static LogicalResult inferBatches(std::optional<Location> loc, StringRef opName,
                                  Value value, ArrayRef<int64_t> block,
                                  Value edges, bool intoBatch,
                                  SmallVectorImpl<Type> &types) {
  auto x = cast<RankedTensorType>(value.getType());
  auto edgesType = cast<RankedTensorType>(edges.getType());
  auto constant = edges.getDefiningOp<ConstantOp>();
  auto dense = constant ? dyn_cast<DenseIntElementsAttr>(constant.getValue())
                        : DenseIntElementsAttr();
  if (x.getRank() != 4 || !x.hasStaticShape() || block.size() != 2 ||
      block[0] < 1 || block[1] < 1 ||
      edgesType.getShape() != ArrayRef<int64_t>{2, 2} || !dense)
    return emitOptionalError(loc, "'", opName,
                             "' op expects a static operand of rank 4, two "
                             "block extents and four literal edges, but got ",
                             x, " and ", edgesType);
  SmallVector<int64_t> edge, shape(x.getShape());
  for (const APInt &v : dense.getValues<APInt>())
    edge.push_back(v.getSExtValue());
  int64_t blocks = block[0] * block[1];
  for (int i = 0; i < 2; ++i) {
    int64_t &extent = shape[2 + i], around = edge[2 * i] + edge[2 * i + 1];
    extent = intoBatch ? extent + around : extent * block[i] - around;
    bool divides = !intoBatch || extent % block[i] == 0;
    if (intoBatch)
      extent /= block[i];
    if (!divides || extent < 0 || edge[2 * i] < 0 || edge[2 * i + 1] < 0 ||
        (!intoBatch && x.getDimSize(0) % blocks))
      return emitOptionalError(loc, "'", opName,
                               "' op expects blocks that divide ", x);
  }
  shape[0] = intoBatch ? shape[0] * blocks : shape[0] / blocks;
  types.push_back(x.clone(shape));
  return success();
}
INFER(SpaceToBatchOp) {
  return inferBatches(loc, getOperationName(), adaptor.getX(),
                      adaptor.getBlockShape(), adaptor.getPaddings(), true,
                      types);
}
INFER(BatchToSpaceOp) {
  return inferBatches(loc, getOperationName(), adaptor.getX(),
                      adaptor.getBlockShape(), adaptor.getCrops(), false,
                      types);
}
