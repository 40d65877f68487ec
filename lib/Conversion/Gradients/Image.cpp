//===- Image.cpp - derivatives of resizing and cropping -------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// Interpolation is linear and works axis by axis: the gradient is the product
// with the transposed matrix of each axis. The matrix is the op itself applied
// to the unit matrix (a weight tree), so that it cannot differ from the op.
//
//===----------------------------------------------------------------------===//

#include "dialects/ANE/IR/Image.h"
#include "Derivative.h"

using namespace mlir;
using namespace mlir::ane;

/// The unit matrix in a shape of as many elements.
static Value unitMatrix(Derivative &d, int64_t extent, ArrayRef<int64_t> shape,
                        Value like) {
  Tensor tensor(*toDType(d.elementOf(like)), shape);
  auto floats = tensor.mutableFloats();
  for (int64_t i = 0; i < extent; ++i)
    floats[i * extent + i] = 1;
  return d.graph.constant(d.loc, tensor);
}

/// Rows of `g` by the interpolation [from, to] of an axis: what each of `from`
/// elements gets of `to`.
static Value foldAxis(Derivative &d, Value g, Value matrix, int64_t axis) {
  if (!g || !matrix)
    return d.fail();
  int64_t rank = d.rankOf(g);
  if (axis == rank - 1)
    return d.matmul(g, matrix, false, true);
  if (axis == rank - 2)
    return d.matmul(matrix, g);
  SmallVector<int64_t> perm;
  for (int64_t i = 0; i < rank; ++i)
    perm.push_back(i);
  std::swap(perm[axis], perm[rank - 1]);
  return d.transpose(d.matmul(d.transpose(g, perm), matrix, false, true), perm);
}

/// An op that resizes height and width: `resize(x, vertical)` applies it to
/// one axis alone, the other of extent 1.
static void foldImage(Derivative &d, Value x, Value y,
                      llvm::function_ref<Value(Value, bool)> resize) {
  Value g = d.incoming(0);
  int64_t rank = d.rankOf(x);
  for (bool vertical : {true, false}) {
    int64_t axis = vertical ? rank - 2 : rank - 1, from = d.shapeOf(x)[axis],
            to = d.shapeOf(y)[axis];
    SmallVector<int64_t> shape{from, 1, 1, 1};
    shape[vertical ? 2 : 3] = from;
    Value matrix = resize(unitMatrix(d, from, shape, x), vertical);
    g = foldAxis(d, g, d.reshape(matrix, {from, to}), axis);
  }
  d.give(0u, g);
}

namespace mlir::ane {

void differentiate(ResizeNearestNeighborOp op, Derivative &d) {
  foldImage(d, op.getX(), op.getY(), [&](Value unit, bool vertical) {
    return d.create<ResizeNearestNeighborOp>(
        {unit},
        {.target_size_height = vertical ? int64_t(op.getTargetSizeHeight()) : 1,
         .target_size_width = vertical ? 1 : int64_t(op.getTargetSizeWidth())});
  });
}

void differentiate(ResizeBilinearOp op, Derivative &d) {
  foldImage(d, op.getX(), op.getY(), [&](Value unit, bool vertical) {
    return d.create<ResizeBilinearOp>(
        {unit},
        {.target_size_height = vertical ? int64_t(op.getTargetSizeHeight()) : 1,
         .target_size_width = vertical ? 1 : int64_t(op.getTargetSizeWidth()),
         .sampling_mode = op.getSamplingMode()});
  });
}

void differentiate(UpsampleBilinearOp op, Derivative &d) {
  foldImage(d, op.getX(), op.getY(), [&](Value unit, bool vertical) {
    return d.create<UpsampleBilinearOp>(
        {unit}, {.scale_factor_height =
                     vertical ? op.getScaleFactorHeight().convertToDouble() : 1,
                 .scale_factor_width =
                     vertical ? 1 : op.getScaleFactorWidth().convertToDouble(),
                 .align_corners = op.getAlignCorners(),
                 .half_pixel_centers = op.getHalfPixelCenters()});
  });
}

void differentiate(ResizeOp op, Derivative &d) {
  Value g = d.incoming(0);
  int64_t first = d.rankOf(op.getX()) - int64_t(op.getResizedDims());
  for (auto [i, wanted] : llvm::enumerate(op.getShape())) {
    int64_t axis = first + i, from = d.shapeOf(op.getX())[axis];
    if (wanted == 0 || wanted == from)
      continue;
    Value matrix =
        d.create<ResizeOp>({unitMatrix(d, from, {from, from}, op.getX())},
                           {.shape = {wanted},
                            .resized_dims = 1,
                            .interpolation_mode = op.getInterpolationMode(),
                            .sampling_mode = op.getSamplingMode()});
    g = foldAxis(d, g, matrix, axis);
  }
  d.give(0u, g);
}

void differentiate(CropOp op, Derivative &d) {
  int64_t rank = d.rankOf(op.getX());
  SmallVector<int64_t> before(rank, 0), after(rank, 0);
  before[rank - 2] = op.getCropHeight()[0];
  after[rank - 2] = op.getCropHeight()[1];
  before[rank - 1] = op.getCropWidth()[0];
  after[rank - 1] = op.getCropWidth()[1];
  d.give(0u, d.padOrCrop(d.incoming(0), before, after));
}

void differentiate(SpaceToBatchOp op, Derivative &d) {
  d.give(0u, d.create<BatchToSpaceOp>({d.incoming(0), op.getPaddings()},
                                      {.block_shape = op.getBlockShape()}));
}
void differentiate(BatchToSpaceOp op, Derivative &d) {
  d.give(0u, d.create<SpaceToBatchOp>({d.incoming(0), op.getCrops()},
                                      {.block_shape = op.getBlockShape()}));
}

#include "dialects/ANE/IR/ImageGradients.inc"
} // namespace mlir::ane
