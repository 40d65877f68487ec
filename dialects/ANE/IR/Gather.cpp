//===- Gather.cpp - indexing, sorting, one-hot ----------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "dialects/ANE/IR/Gather.h"
#include "dialects/ANE/IR/Infer.h"

using namespace mlir;
using namespace mlir::ane;

INFER(GatherOp) {
  auto x = tensorType(adaptor.getX()),
       indices = tensorType(adaptor.getIndices());
  FailureOr<int64_t> axis =
      normalizeAxis(loc, getOperationName(), adaptor.getAxis(), x.getRank());
  if (failed(axis))
    return failure();
  int64_t batch = adaptor.getBatchDims().value_or(0);
  if (batch < 0 || batch > *axis || batch > indices.getRank() ||
      x.getShape().take_front(batch) != indices.getShape().take_front(batch))
    return emitOptionalError(loc,
                             "'ane.gather' op expects 'batch_dims' leading "
                             "axes that agree, but got ",
                             x, " and ", indices);
  SmallVector<int64_t> shape(x.getShape().take_front(*axis));
  llvm::append_range(shape, indices.getShape().drop_front(batch));
  llvm::append_range(shape, x.getShape().drop_front(*axis + 1));
  types.push_back(x.clone(shape));
  return success();
}

/// Axes other than `axis` of `indices` fit in those of `x`.
static LogicalResult checkAlongAxis(std::optional<Location> loc,
                                    StringRef opName, RankedTensorType x,
                                    RankedTensorType indices, int64_t axis) {
  FailureOr<int64_t> normal = normalizeAxis(loc, opName, axis, x.getRank());
  if (failed(normal))
    return failure();
  bool ok = x.getRank() == indices.getRank();
  for (int64_t i = 0; ok && i < x.getRank(); ++i)
    ok = i == *normal || x.getDimSize(i) == indices.getDimSize(i);
  if (!ok)
    return emitOptionalError(loc, "'", opName,
                             "' op expects 'indices' to have the shape of ", x,
                             " but for axis ", *normal, ", but got ", indices);
  return success();
}
INFER(GatherAlongAxisOp) {
  auto x = tensorType(adaptor.getX()),
       indices = tensorType(adaptor.getIndices());
  if (failed(checkAlongAxis(loc, getOperationName(), x, indices,
                            adaptor.getAxis())))
    return failure();
  types.push_back(x.clone(indices.getShape()));
  return success();
}

/// The index depth of gather_nd and scatter_nd, checked.
static FailureOr<int64_t> indexDepth(std::optional<Location> loc,
                                     StringRef opName, RankedTensorType x,
                                     RankedTensorType indices, int64_t batch) {
  int64_t depth = indices.getRank() ? indices.getShape().back() : -1;
  if (depth < 0 || batch < 0 || batch >= indices.getRank() ||
      batch + depth > x.getRank())
    return emitOptionalError(
        loc, "'", opName,
        "' op expects the last axis of 'indices' to index axes of ", x,
        ", but got ", indices);
  return depth;
}
INFER(GatherNdOp) {
  auto x = tensorType(adaptor.getX()),
       indices = tensorType(adaptor.getIndices());
  int64_t batch = adaptor.getBatchDims().value_or(0);
  FailureOr<int64_t> depth =
      indexDepth(loc, getOperationName(), x, indices, batch);
  if (failed(depth))
    return failure();
  SmallVector<int64_t> shape(indices.getShape().drop_back());
  llvm::append_range(shape, x.getShape().drop_front(batch + *depth));
  types.push_back(x.clone(shape));
  return success();
}

INFER(ScatterOp) {
  auto data = tensorType(adaptor.getData()),
       indices = tensorType(adaptor.getIndices()),
       updates = tensorType(adaptor.getUpdates());
  FailureOr<int64_t> axis =
      normalizeAxis(loc, getOperationName(), adaptor.getAxis(), data.getRank());
  if (failed(axis))
    return failure();
  SmallVector<int64_t> shape(data.getShape());
  if (indices.getRank() == 1)
    shape[*axis] = indices.getDimSize(0);
  if (indices.getRank() != 1 || updates.getShape() != ArrayRef<int64_t>(shape))
    return emitOptionalError(loc,
                             "'ane.scatter' op expects indices of rank 1 and "
                             "updates to match, but got ",
                             indices, " and ", updates);
  types.push_back(data);
  return success();
}
INFER(ScatterAlongAxisOp) {
  auto data = tensorType(adaptor.getData()),
       indices = tensorType(adaptor.getIndices()),
       updates = tensorType(adaptor.getUpdates());
  if (failed(checkAlongAxis(loc, getOperationName(), data, indices,
                            adaptor.getAxis())))
    return failure();
  if (updates.getShape() != indices.getShape())
    return emitOptionalError(
        loc,
        "'ane.scatter_along_axis' op expects 'updates' to have the shape of ",
        indices, ", but got ", updates);
  types.push_back(data);
  return success();
}
INFER(ScatterNdOp) {
  auto data = tensorType(adaptor.getData()),
       indices = tensorType(adaptor.getIndices()),
       updates = tensorType(adaptor.getUpdates());
  FailureOr<int64_t> depth =
      indexDepth(loc, getOperationName(), data, indices, 0);
  if (failed(depth))
    return failure();
  SmallVector<int64_t> shape(indices.getShape().drop_back());
  llvm::append_range(shape, data.getShape().drop_front(*depth));
  if (updates.getShape() != ArrayRef<int64_t>(shape))
    return emitOptionalError(
        loc, "'ane.scatter_nd' op expects 'updates' to have shape [",
        ArrayRef<int64_t>(shape), "], but got ", updates);
  types.push_back(data);
  return success();
}

INFER(OneHotOp) {
  auto indices = tensorType(adaptor.getIndices()),
       on = tensorType(adaptor.getOnValue());
  FailureOr<int64_t> axis = normalizeAxis(
      loc, getOperationName(), adaptor.getAxis(), indices.getRank() + 1);
  if (failed(axis))
    return failure();
  if (on.getRank() != 0 || adaptor.getOffValue().getType() != on)
    return emitOptionalError(loc,
                             "'ane.one_hot' op expects 'on_value' and "
                             "'off_value' to be scalars of one type, but got ",
                             on, " and ", adaptor.getOffValue().getType());
  if ((int64_t)adaptor.getOneHotVectorSize() < 0)
    return emitOptionalError(loc,
                             "'ane.one_hot' op expects 'one_hot_vector_size' "
                             "to be non-negative, but got ",
                             adaptor.getOneHotVectorSize());
  SmallVector<int64_t> shape(indices.getShape());
  shape.insert(shape.begin() + *axis, adaptor.getOneHotVectorSize());
  types.push_back(RankedTensorType::get(shape, on.getElementType()));
  return success();
}

INFER(ArgsortOp) {
  auto x = tensorType(adaptor.getX());
  if (failed(normalizeAxis(loc, getOperationName(), adaptor.getAxis(),
                           x.getRank())))
    return failure();
  types.push_back(x.clone(IntegerType::get(context, 32)));
  return success();
}

INFER(TopkOp) {
  auto x = tensorType(adaptor.getX());
  FailureOr<int64_t> axis =
      normalizeAxis(loc, getOperationName(), adaptor.getAxis(), x.getRank());
  if (failed(axis))
    return failure();
  SmallVector<int64_t> shape(x.getShape());
  int64_t k = (int64_t)adaptor.getK() == -1 ? shape[*axis] : adaptor.getK();
  if (k < 0 || k > shape[*axis])
    return emitOptionalError(loc, "'ane.topk' op expects 'k' in [0, ",
                             shape[*axis], "], but got ", k);
  shape[*axis] = k;
  types.push_back(x.clone(shape));
  types.push_back(RankedTensorType::get(shape, IntegerType::get(context, 32)));
  return success();
}

INFER(NonZeroOp) {
  auto x = tensorType(adaptor.getX());
  types.push_back(RankedTensorType::get({ShapedType::kDynamic, x.getRank()},
                                        IntegerType::get(context, 32)));
  return success();
}

INFER(NonMaximumSuppressionOp) {
  auto boxes = tensorType(adaptor.getBoxes()),
       scores = tensorType(adaptor.getScores());
  int64_t most = adaptor.getMaxBoxes();
  if (boxes.getRank() != 3 || scores.getRank() != 3 ||
      boxes.getDimSize(1) != 4 || boxes.getDimSize(0) != scores.getDimSize(0) ||
      boxes.getDimSize(2) != scores.getDimSize(2) ||
      boxes.getElementType() != scores.getElementType())
    return emitOptionalError(loc,
                             "'ane.non_maximum_suppression' op expects boxes "
                             "[n,4,B] and scores [n,K,B], but got ",
                             boxes, " and ", scores);
  if (most < 0 || most > (1 << 24))
    return emitOptionalError(loc,
                             "'ane.non_maximum_suppression' op expects "
                             "'max_boxes' in [0, 2^24], but got ",
                             most);
  int64_t count = boxes.getDimSize(0);
  types.push_back(boxes.clone({count, 4, most}));
  types.push_back(boxes.clone({count, scores.getDimSize(1), most}));
  types.push_back(
      RankedTensorType::get({count, most}, IntegerType::get(context, 32)));
  return success();
}
