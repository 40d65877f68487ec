//===- LegalizeResize.cpp - bilinear resizing -----------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// The engine's own resizing knows few sampling modes (L26). By a whole factor
// half-pixel interpolation is a depthwise transposed convolution with a
// triangle over the image with its edge repeated; all else is a product with a
// matrix for each axis.
//
//===----------------------------------------------------------------------===//

#include "LegalizeForms.h"
#include "Reshape.h"
#include "dialects/ANE/IR/Image.h"
#include "dialects/ANE/IR/Linear.h"
#include "dialects/ANE/IR/Shape.h"
#include "dialects/ANE/IR/Structure.h"
#include <cmath>
#include <numeric>

using namespace mlir;
using namespace mlir::ane;

namespace {
enum class Sampling { HalfPixel, Aligned, Asymmetric };

std::optional<Sampling> samplingOf(ResizeBilinearOp op) {
  switch (op.getSamplingMode()) {
  case GridMode::UNALIGN_CORNERS:
    return Sampling::HalfPixel;
  case GridMode::STRICT_ALIGN_CORNERS:
    return Sampling::Aligned;
  case GridMode::DEFAULT:
    return Sampling::Asymmetric;
  case GridMode::ALIGN_CORNERS:
  case GridMode::OFFSET_CORNERS:
    return std::nullopt;
  }
  llvm_unreachable("a mode of resize_bilinear");
}
std::optional<Sampling> samplingOf(UpsampleBilinearOp op) {
  if (op.getAlignCorners())
    return Sampling::Aligned;
  return op.getHalfPixelCenters().value_or(true) ? Sampling::HalfPixel
                                                 : Sampling::Asymmetric;
}

/// A triangle over `factor` pixels to either side of its middle.
SmallVector<double> triangle(int64_t factor) {
  SmallVector<double> weights;
  if (factor == 1)
    return {1};
  int64_t size = factor % 2 ? 2 * factor - 1 : 2 * factor;
  for (int64_t i = 0; i < size; ++i)
    weights.push_back(1 - std::fabs(i - (size - 1) / 2.0) / factor);
  return weights;
}

template <typename Op>
struct BilinearToConvolution : OpRewritePattern<Op> {
  using OpRewritePattern<Op>::OpRewritePattern;
  LogicalResult matchAndRewrite(Op op, PatternRewriter &b) const override {
    auto x = typeOf(op.getX()), y = op.getType();
    if (x.getRank() != 4 || !x.hasStaticShape() ||
        isConstantTree(op.getResult()) || samplingOf(op) != Sampling::HalfPixel)
      return b.notifyMatchFailure(op, "samples otherwise");
    int64_t factor[2], count = x.getDimSize(1);
    for (int i = 0; i < 2; ++i) {
      factor[i] = y.getDimSize(2 + i) / x.getDimSize(2 + i);
      if (!factor[i] || y.getDimSize(2 + i) % x.getDimSize(2 + i))
        return b.notifyMatchFailure(op, "scale is no whole number");
    }
    Location loc = op.getLoc();
    SmallVector<int64_t> edge, cropped, shape(x.getShape());
    for (int i = 0; i < 2; ++i) {
      int64_t f = factor[i], around = f > 1;
      edge.append(2, around);
      shape[2 + i] += 2 * around;
      // From the first tap of the repeated edge to the first result.
      cropped.append(2, f == 1 ? 0 : f % 2 ? f + (f - 1) / 2 : f + f / 2);
    }
    Value wide = op.getX();
    if (ArrayRef<int64_t>(shape) != x.getShape())
      wide = PadOp::create(b, loc, x.clone(shape), wide,
                           b.getDenseI64ArrayAttr(edge),
                           b.getStringAttr("replicate"), b.getF32FloatAttr(0));
    SmallVector<double> rows = triangle(factor[0]),
                        columns = triangle(factor[1]);
    Type element = x.getElementType();
    SmallVector<Attribute> one, entries;
    for (double row : rows)
      for (double column : columns)
        one.push_back(b.getFloatAttr(element, row * column));
    for (int64_t i = 0; i < count; ++i)
      llvm::append_range(entries, one);
    auto kernel =
        x.clone({count, 1, (int64_t)rows.size(), (int64_t)columns.size()});
    Value weight = ConstantOp::create(b, loc, kernel,
                                      DenseElementsAttr::get(kernel, entries));
    b.replaceOpWithNewOp<ConvTransposeOp>(
        op, y, wide, weight, Value(), b.getDenseI64ArrayAttr(factor),
        b.getStringAttr("custom"), b.getDenseI64ArrayAttr(cropped),
        b.getDenseI64ArrayAttr({1, 1}), b.getI64IntegerAttr(count),
        DenseI64ArrayAttr());
    return success();
  }
};

/// [to, from]: each row has the weights of two neighbours.
Value interpolation(OpBuilder &b, Location loc, Type element, Sampling sampling,
                    int64_t from, int64_t to) {
  std::vector<double> weights(size_t(from) * to);
  for (int64_t i = 0; i < to; ++i) {
    double at = sampling == Sampling::HalfPixel    ? (i + 0.5) * from / to - 0.5
                : sampling == Sampling::Asymmetric ? double(i) * from / to
                : to > 1 ? double(i) * (from - 1) / (to - 1)
                         : 0;
    at = std::clamp<double>(at, 0, from - 1);
    int64_t low = int64_t(std::floor(at)), high = std::min(low + 1, from - 1);
    weights[i * from + low] += 1 - (at - low);
    weights[i * from + high] += at - low;
  }
  SmallVector<Attribute> entries;
  for (double w : weights)
    entries.push_back(b.getFloatAttr(element, w));
  auto type = RankedTensorType::get({to, from}, element);
  return ConstantOp::create(b, loc, type,
                            DenseElementsAttr::get(type, entries));
}

template <typename Op>
struct BilinearToProducts : OpRewritePattern<Op> {
  using OpRewritePattern<Op>::OpRewritePattern;
  LogicalResult matchAndRewrite(Op op, PatternRewriter &b) const override {
    auto type = typeOf(op.getX());
    std::optional<Sampling> sampling = samplingOf(op);
    if (!type.hasStaticShape() || !sampling || isConstantTree(op.getResult()))
      return b.notifyMatchFailure(op, "samples otherwise");
    Location loc = op.getLoc();
    int64_t rank = type.getRank();
    Value x = op.getX();
    for (int64_t axis = rank - 2; axis < rank; ++axis) {
      int64_t from = type.getDimSize(axis), to = op.getType().getDimSize(axis);
      if (from == to)
        continue;
      Value w =
          interpolation(b, loc, type.getElementType(), *sampling, from, to);
      auto swap = [&](Value v) -> Value {
        if (axis == rank - 1)
          return v;
        SmallVector<int64_t> perm(rank), shape(typeOf(v).getShape());
        std::iota(perm.begin(), perm.end(), 0);
        std::swap(perm[axis], perm[rank - 1]);
        std::swap(shape[axis], shape[rank - 1]);
        return TransposeOp::create(b, loc, typeOf(v).clone(shape), v,
                                   b.getDenseI64ArrayAttr(perm));
      };
      Value moved = swap(x);
      SmallVector<int64_t> shape(typeOf(moved).getShape());
      shape.back() = to;
      x = swap(MatmulOp::create(b, loc, type.clone(shape), moved, w,
                                b.getBoolAttr(false), b.getBoolAttr(true)));
    }
    b.replaceOp(op, x);
    return success();
  }
};
} // namespace

void mlir::ane::populateResizePatterns(RewritePatternSet &patterns, bool raw) {
  if (!raw)
    return;
  patterns.add<BilinearToConvolution<ResizeBilinearOp>,
               BilinearToConvolution<UpsampleBilinearOp>>(patterns.getContext(),
                                                          /*benefit=*/2);
  patterns.add<BilinearToProducts<ResizeBilinearOp>,
               BilinearToProducts<UpsampleBilinearOp>>(patterns.getContext());
}
