//===- RecoverAttention.cpp - products of attention as they lie -----------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// Exporters copy keys and values before they multiply: each head of a group of
// queries gets its own, they are turned over, and new ones are put behind a
// cache. A product takes a turned operand by its flag, the queries of a group
// are rows of one product, and a product with two parts is two products
// (engine/rewrites.md §6.25). Copies of a cache are most of what a step of
// decoding moves.
//
//===----------------------------------------------------------------------===//

#include "RecoverSafe.h"
#include "Reshape.h"
#include "dialects/ANE/IR/Arithmetic.h"
#include "dialects/ANE/IR/Gather.h"
#include "dialects/ANE/IR/Linear.h"
#include "dialects/ANE/IR/Shape.h"
#include "dialects/ANE/IR/Structure.h"
#include "dialects/ANE/IR/WeightTrees.h"
#include <cmath>

using namespace mlir;
using namespace mlir::ane;

static bool isRunTimeProduct(MatmulOp op) {
  RankedTensorType x = op.getX().getType(), y = op.getY().getType();
  return isa<FloatType>(x.getElementType()) && x.hasStaticShape() &&
         y.hasStaticShape() && op.getType().hasStaticShape() &&
         x.getRank() == y.getRank() && x.getRank() >= 2 &&
         !isConstantTree(op.getX()) && !isConstantTree(op.getY());
}

/// What a transposition of the last two axes is made of; the axes before them
/// may have been split or joined on the way.
struct Turned {
  Value source;
  SmallVector<int64_t> shape;
};
static std::optional<Turned> matchTurned(Value v) {
  auto type = typeOf(v);
  auto reshape = v.getDefiningOp<ReshapeOp>();
  Value inner = reshape ? Value(reshape.getX()) : v;
  auto transpose = inner.getDefiningOp<TransposeOp>();
  if (!transpose || type.getRank() < 2 || !typeOf(inner).hasStaticShape() ||
      typeOf(inner).getShape().take_back(2) != type.getShape().take_back(2))
    return std::nullopt;
  ArrayRef<int64_t> perm = transpose.getPerm();
  int64_t rank = perm.size();
  auto axis = [&](int64_t i) { return perm[i] < 0 ? perm[i] + rank : perm[i]; };
  for (int64_t i = 0; i + 2 < rank; ++i)
    if (axis(i) != i)
      return std::nullopt;
  if (axis(rank - 1) != rank - 2)
    return std::nullopt;
  SmallVector<int64_t> shape(type.getShape());
  std::swap(shape[shape.size() - 1], shape[shape.size() - 2]);
  return Turned{transpose.getX(), shape};
}

namespace {
/// The flag says what the transposition does.
struct AbsorbTranspose : OpRewritePattern<MatmulOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(MatmulOp op,
                                PatternRewriter &b) const override {
    if (!isRunTimeProduct(op))
      return b.notifyMatchFailure(op, "has a constant operand");
    auto x = matchTurned(op.getX()), y = matchTurned(op.getY());
    if (!x && !y)
      return b.notifyMatchFailure(op, "no operand is turned over");
    auto operand = [&](std::optional<Turned> &turned, Value asIs) {
      return turned ? reshapeTo(b, op.getLoc(), turned->source, turned->shape)
                    : asIs;
    };
    b.replaceOpWithNewOp<MatmulOp>(
        op, op.getType(), operand(x, op.getX()), operand(y, op.getY()),
        b.getBoolAttr(op.getTransposeX() != x.has_value()),
        b.getBoolAttr(op.getTransposeY() != y.has_value()));
    return success();
  }
};

/// The factor of all keys is one of the queries, where these are fewer and it
/// makes neither of them too large or small for fp16.
struct ScaleSmallerSide : OpRewritePattern<MatmulOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(MatmulOp op,
                                PatternRewriter &b) const override {
    auto scale = op.getY().getDefiningOp<MulOp>();
    if (!isRunTimeProduct(op) || !scale || !scale->hasOneUse() ||
        op.getX().getType().getNumElements() >=
            op.getY().getType().getNumElements())
      return b.notifyMatchFailure(op, "the right side is not scaled");
    for (auto [value, factor] : {std::pair{scale.getX(), scale.getY()},
                                 std::pair{scale.getY(), scale.getX()}}) {
      if (typeOf(factor).getNumElements() != 1 || !isConstantTree(factor) ||
          typeOf(value) != typeOf(scale.getZ()))
        continue;
      double magnitude = std::fabs(splatOf(factor).value_or(0));
      if (magnitude < 0x1p-6 || magnitude > 1)
        continue;
      Value number = reshapeTo(b, op.getLoc(), factor, {});
      Value x =
          MulOp::create(b, op.getLoc(), op.getX().getType(), op.getX(), number);
      b.replaceOpWithNewOp<MatmulOp>(op, op.getType(), x, value,
                                     op.getTransposeXAttr(),
                                     op.getTransposeYAttr());
      return success();
    }
    return b.notifyMatchFailure(op, "by no number");
  }
};

/// A value that has each entry of `source`, seen as `shape`, along `axis` as
/// often as the extents differ, copies beside each other.
struct Repeat {
  Value source;
  int64_t axis;
  SmallVector<int64_t> shape;
  Repeat(Value source, int64_t axis)
      : source(source), axis(axis), shape(typeOf(source).getShape()) {}
};

/// Copies of a value along an axis where it has one entry.
static std::optional<Repeat> matchCopies(Value v) {
  if (auto tile = v.getDefiningOp<TileOp>()) {
    auto from = typeOf(tile.getX());
    ArrayRef<int64_t> reps = tile.getReps();
    if (!from.hasStaticShape() || (int64_t)reps.size() != from.getRank())
      return std::nullopt;
    std::optional<int64_t> axis;
    for (auto [i, count] : llvm::enumerate(reps))
      if (count != 1) {
        if (axis || from.getDimSize(i) != 1)
          return std::nullopt;
        axis = i;
      }
    return axis ? std::optional(Repeat{tile.getX(), *axis}) : std::nullopt;
  }
  auto concat = v.getDefiningOp<ConcatOp>();
  if (!concat || concat.getInterleave() || !llvm::all_equal(concat.getValues()))
    return std::nullopt;
  auto from = typeOf(concat.getValues().front());
  int64_t axis = concat.getAxis() < 0 ? concat.getAxis() + from.getRank()
                                      : (int64_t)concat.getAxis();
  if (!from.hasStaticShape() || from.getDimSize(axis) != 1)
    return std::nullopt;
  return Repeat{concat.getValues().front(), axis};
}

/// Entries in groups: copies along an axis behind `axis`, which a reshape joins
/// with it; or a gather of 0, 0, 1, 1, ….
static std::optional<Repeat> matchRepeat(Value v) {
  if (auto copies = matchCopies(v))
    return copies; // a group of all
  if (auto gather = v.getDefiningOp<GatherOp>()) {
    auto from = typeOf(gather.getX()), to = typeOf(v);
    auto constant = gather.getIndices().getDefiningOp<ConstantOp>();
    auto indices = constant
                       ? dyn_cast<DenseIntElementsAttr>(constant.getValue())
                       : DenseIntElementsAttr();
    if (!indices || indices.getType().getRank() != 1 ||
        gather.getBatchDims().value_or(0) || !from.hasStaticShape())
      return std::nullopt;
    int64_t axis = gather.getAxis() < 0
                       ? (int64_t)gather.getAxis() + from.getRank()
                       : (int64_t)gather.getAxis();
    int64_t extent = from.getDimSize(axis), wide = to.getDimSize(axis);
    if (!extent || wide % extent || wide == extent)
      return std::nullopt;
    for (auto [i, index] : llvm::enumerate(indices.getValues<APInt>()))
      if (index.getSExtValue() != int64_t(i) / (wide / extent))
        return std::nullopt;
    return Repeat{gather.getX(), axis};
  }
  auto reshape = v.getDefiningOp<ReshapeOp>();
  auto copies = reshape ? matchCopies(reshape.getX()) : std::nullopt;
  if (!copies || copies->axis == 0)
    return std::nullopt;
  auto wide = typeOf(reshape.getX()), to = typeOf(v);
  SmallVector<int64_t> joined(wide.getShape());
  joined[copies->axis - 1] *= joined[copies->axis];
  joined.erase(joined.begin() + copies->axis);
  if (to.getShape() != ArrayRef(joined))
    return std::nullopt;
  copies->shape.erase(copies->shape.begin() + copies->axis);
  --copies->axis;
  return copies;
}

/// Heads of a group are rows of one product with the keys or values they share,
/// where these are long beside the rows: otherwise the heads would have to be
/// put in order for it. Operands whose heads are broadcast always are, which
/// the engine does not do itself (L17).
struct GroupQueries : OpRewritePattern<MatmulOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(MatmulOp op,
                                PatternRewriter &b) const override {
    if (!isRunTimeProduct(op) || op.getTransposeX())
      return b.notifyMatchFailure(op, "rows are not in order");
    RankedTensorType x = op.getX().getType(), y = op.getY().getType(),
                     z = op.getType();
    int64_t rank = z.getRank(), axis = rank - 3;
    if (axis < 0 || x.getDimSize(axis) != z.getDimSize(axis))
      return b.notifyMatchFailure(op, "has no heads");
    Value shared = op.getY();
    SmallVector<int64_t> sharedShape(y.getShape());
    bool broadcast = y.getDimSize(axis) == 1 && x.getDimSize(axis) > 1;
    if (!broadcast) {
      int64_t rows = x.getDimSize(rank - 2),
              length = std::max(y.getDimSize(rank - 1), y.getDimSize(rank - 2));
      if (4 * rows > length)
        return b.notifyMatchFailure(op, "as many rows as keys");
      auto repeat = matchRepeat(op.getY());
      if (!repeat || repeat->axis != axis)
        return b.notifyMatchFailure(op, "heads have keys of their own");
      shared = repeat->source;
      sharedShape = repeat->shape;
    }
    int64_t groups = sharedShape[axis];
    auto joined = [&](RankedTensorType type) {
      SmallVector<int64_t> shape(type.getShape());
      shape[rank - 2] *= shape[axis] / groups;
      shape[axis] = groups;
      return shape;
    };
    if (joined(x).front() != joined(z).front())
      return b.notifyMatchFailure(op, "other batches are broadcast");
    Value rows = reshapeTo(b, op.getLoc(), op.getX(), joined(x));
    shared = reshapeTo(b, op.getLoc(), shared, sharedShape);
    Value product =
        MatmulOp::create(b, op.getLoc(), z.clone(joined(z)), rows, shared,
                         op.getTransposeXAttr(), op.getTransposeYAttr());
    b.replaceOp(op, reshapeTo(b, op.getLoc(), product, z.getShape()));
    return success();
  }
};

/// Parts of a cache: what was kept of the first tokens, the last ones, new
/// ones.
static constexpr size_t kMostParts = 3;

/// A product with a cache and what is new behind it is made of both as they
/// lie, where its other side is the smaller one.
struct SplitCache : OpRewritePattern<MatmulOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(MatmulOp op,
                                PatternRewriter &b) const override {
    auto concat = op.getY().getDefiningOp<ConcatOp>();
    if (!isRunTimeProduct(op) || op.getTransposeX() || !concat ||
        concat.getInterleave() || !concat->hasOneUse() ||
        concat.getValues().size() > kMostParts)
      return b.notifyMatchFailure(op, "its right side is in one part");
    auto y = typeOf(op.getY());
    int64_t rank = y.getRank();
    int64_t axis = concat.getAxis() < 0 ? (int64_t)concat.getAxis() + rank
                                        : (int64_t)concat.getAxis();
    int64_t columns = rank - (op.getTransposeY() ? 2 : 1),
            inner = 2 * rank - 3 - columns;
    if (axis != columns && axis != inner)
      return b.notifyMatchFailure(op, "parts are of the batch");
    Value other = axis == columns ? Value(op.getZ()) : Value(op.getX());
    if (2 * typeOf(other).getNumElements() > y.getNumElements())
      return b.notifyMatchFailure(op, "the other side is as large");
    SmallVector<Value> parts;
    int64_t begin = 0;
    for (Value part : concat.getValues()) {
      int64_t size = typeOf(part).getDimSize(axis);
      parts.push_back(axis == columns ? columnsOf(op, part, size, b)
                                      : termOf(op, part, begin, size, b));
      begin += size;
    }
    Value whole = parts.front();
    if (axis == columns)
      whole =
          ConcatOp::create(b, op.getLoc(), op.getType(), parts,
                           b.getI64IntegerAttr(rank - 1), b.getBoolAttr(false));
    else
      for (Value term : ArrayRef(parts).drop_front())
        whole = AddOp::create(b, op.getLoc(), op.getType(), whole, term);
    b.replaceOp(op, whole);
    return success();
  }

private:
  static Value product(MatmulOp op, Value x, Value y, RankedTensorType type,
                       PatternRewriter &b) {
    return MatmulOp::create(b, op.getLoc(), type, x, y, op.getTransposeXAttr(),
                            op.getTransposeYAttr());
  }
  static Value columnsOf(MatmulOp op, Value part, int64_t size,
                         PatternRewriter &b) {
    SmallVector<int64_t> shape(op.getType().getShape());
    shape.back() = size;
    return product(op, op.getX(), part, op.getType().clone(shape), b);
  }
  static Value termOf(MatmulOp op, Value part, int64_t begin, int64_t size,
                      PatternRewriter &b) {
    auto x = typeOf(op.getX());
    SmallVector<int64_t> shape(x.getShape()), from(x.getRank(), 0);
    shape.back() = size;
    from.back() = begin;
    Value columns = SliceBySizeOp::create(b, op.getLoc(), x.clone(shape),
                                          op.getX(), from, shape);
    return product(op, columns, part, op.getType(), b);
  }
};
} // namespace

void mlir::ane::populateAttentionPatterns(RewritePatternSet &patterns) {
  patterns.add<AbsorbTranspose, ScaleSmallerSide, GroupQueries, SplitCache>(
      patterns.getContext());
  ReshapeOp::getCanonicalizationPatterns(patterns, patterns.getContext());
}
