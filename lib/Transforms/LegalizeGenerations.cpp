//===- LegalizeGenerations.cpp - what single generations refuse -----------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// Rules of single generations (Rules.td names them): the same values in a form
// that was seen to compile there.
//
//===----------------------------------------------------------------------===//

#include "LegalizeForms.h"
#include "Reshape.h"
#include "ane-mlir/Analysis/CostModel.h"
#include "dialects/ANE/IR/Arithmetic.h"
#include "dialects/ANE/IR/Linear.h"
#include "dialects/ANE/IR/Quant.h"
#include "dialects/ANE/IR/Reduction.h"
#include "dialects/ANE/IR/Shape.h"
#include "dialects/ANE/IR/Structure.h"
#include "dialects/ANE/IR/Unary.h"
#include "dialects/ANE/IR/WeightTrees.h"
#include <cmath>

using namespace mlir;
using namespace mlir::ane;

bool mlir::ane::isRuled(Operation *op, StringRef id) {
  return getTarget(op).hasRule(id) && getRuleSwitch(op, id) != false;
}

Value mlir::ane::filled(OpBuilder &b, Location loc, RankedTensorType type,
                        double value) {
  return ConstantOp::create(
      b, loc, type,
      DenseElementsAttr::get(type, ArrayRef<Attribute>{b.getFloatAttr(
                                       type.getElementType(), value)}));
}

Value mlir::ane::pointwise(OpBuilder &b, Location loc, RankedTensorType type,
                           Value x, Value weight, int64_t groups) {
  return ConvOp::create(
      b, loc, type, x, weight, Value(), b.getDenseI64ArrayAttr({1, 1}),
      b.getStringAttr("valid"), b.getDenseI64ArrayAttr({0, 0, 0, 0}),
      b.getDenseI64ArrayAttr({1, 1}), b.getI64IntegerAttr(groups));
}

bool mlir::ane::isOverChannels(ReduceMeanOp op) {
  auto x = typeOf(op.getX());
  return !isConstantTree(op.getY()) && x.getRank() == 4 && x.hasStaticShape() &&
         isa<FloatType>(x.getElementType()) && op.getAxes() &&
         op.getAxes()->size() == 1 && op.getKeepDims() &&
         ((*op.getAxes())[0] == 1 || (*op.getAxes())[0] == -3);
}

namespace {
/// A mean over channels is a 1x1 convolution where the mean fails (L33).
/// Elsewhere it is not: the multipliers lose products below 2^-14 (L61).
struct ChannelMeanToConv : OpRewritePattern<ReduceMeanOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ReduceMeanOp op,
                                PatternRewriter &b) const override {
    auto x = typeOf(op.getX());
    if (!isRuled(op, "L33") || !isOverChannels(op))
      return b.notifyMatchFailure(op, "is no mean over channels that fails");
    // A power of two is what fp16 holds, as one over the number of channels is
    // not: the mean of equal values is their value.
    int64_t count = x.getDimSize(1);
    double weight = std::exp2(-std::ceil(std::log2(double(count))));
    Location loc = op.getLoc();
    Value sum = pointwise(b, loc, typeOf(op.getY()), op.getX(),
                          filled(b, loc, x.clone({1, count, 1, 1}), weight), 1);
    // By a quotient, since a factor would go back into the weights.
    if (count * weight != 1)
      sum = RealDivOp::create(
          b, loc, typeOf(sum), sum,
          filled(b, loc, RankedTensorType::get({}, x.getElementType()),
                 count * weight));
    b.replaceOp(op, sum);
    return success();
  }
};

/// [±b, ±a] of [a, b]: halves of a value that change places, as rotary
/// positions have them.
struct Rotation {
  Value x;
  int64_t axis, size;
  /// What the halves of the result are multiplied by.
  double first, second;
  /// Nothing else reads the halves.
  bool alone;
  /// The ops that are one in the end.
  SmallVector<Operation *> ops;

  static std::optional<Rotation> match(ConcatOp op) {
    RankedTensorType type = op.getType();
    int64_t axis = int64_t(op.getAxis());
    axis += axis < 0 ? type.getRank() : 0;
    if (isConstantTree(op.getResult()) || op.getInterleave() ||
        op.getValues().size() != 2 || !type.hasStaticShape() ||
        type.getDimSize(axis) % 2 || !isa<FloatType>(type.getElementType()))
      return std::nullopt;
    Rotation rotation{{}, axis, type.getDimSize(axis) / 2, 1, 1, true, {op}};
    auto first = rotation.halfOf(op.getValues()[0], rotation.first),
         second = rotation.halfOf(op.getValues()[1], rotation.second);
    if (!first || !second || first->first != second->first ||
        first->second != rotation.size || second->second != 0)
      return std::nullopt;
    rotation.x = first->first;
    return rotation;
  }

  double signOf(int64_t row) const { return row < size ? first : second; }

private:
  /// The value that `v` is a half of, and where this begins.
  std::optional<std::pair<Value, int64_t>> halfOf(Value v, double &sign) {
    alone &= v.hasOneUse();
    if (auto product = v.getDefiningOp<MulOp>()) {
      if (splatOf(product.getY()) != -1.0)
        return std::nullopt;
      sign = -1;
      ops.push_back(product);
      v = product.getX();
      alone &= v.hasOneUse();
    }
    Operation *op = v.getDefiningOp();
    if (!op || !isa<SliceBySizeOp, SplitOp>(op))
      return std::nullopt;
    auto from = typeOf(op->getOperand(0)), to = typeOf(v);
    SmallVector<int64_t> expected(from.getShape());
    expected[axis] = size;
    if (to.getShape() != ArrayRef(expected) ||
        from.getDimSize(axis) != 2 * size)
      return std::nullopt;
    if (!llvm::is_contained(ops, op))
      ops.push_back(op);
    auto slice = dyn_cast<SliceBySizeOp>(op);
    return std::pair(op->getOperand(0),
                     slice ? slice.getBegin()[axis]
                           : cast<OpResult>(v).getResultNumber() * size);
  }
};

/// A rotation along the width (L34) is a product with a permutation.
struct RotationToProduct : OpRewritePattern<ConcatOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ConcatOp op,
                                PatternRewriter &b) const override {
    RankedTensorType type = op.getType();
    auto rotation = isRuled(op, "L34") ? Rotation::match(op) : std::nullopt;
    int64_t last = type.getRank() - 1;
    if (!rotation || rotation->axis != last || last < 1 || last > 3)
      return b.notifyMatchFailure(op, "is not of halves of the width");
    int64_t size = rotation->size;
    auto square = type.clone({2 * size, 2 * size});
    SmallVector<Attribute> entries(4 * size * size,
                                   b.getFloatAttr(type.getElementType(), 0));
    for (int64_t j = 0; j < 2 * size; ++j)
      entries[(j + size) % (2 * size) * 2 * size + j] =
          b.getFloatAttr(type.getElementType(), rotation->signOf(j));
    Value matrix = ConstantOp::create(b, op.getLoc(), square,
                                      DenseElementsAttr::get(square, entries));
    b.replaceOpWithNewOp<MatmulOp>(op, type, rotation->x, matrix,
                                   b.getBoolAttr(false), b.getBoolAttr(false));
    return success();
  }
};

/// A rotation of heads [1, H, D, S] along their channels is a convolution in
/// groups of one head with the permutation, where that is predicted to be
/// faster than to copy the halves out and in.
struct RotationToConv : OpRewritePattern<ConcatOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ConcatOp op,
                                PatternRewriter &b) const override {
    RankedTensorType type = op.getType();
    auto rotation = Rotation::match(op);
    if (!rotation || !rotation->alone || type.getRank() != 4 ||
        rotation->axis != 2 || type.getDimSize(0) != 1)
      return b.notifyMatchFailure(op, "is not of heads with tokens last");
    int64_t heads = type.getDimSize(1), size = rotation->size,
            channels = heads * 2 * size, tokens = type.getDimSize(3);
    Clock clock = getClock(op);
    Cost conv;
    conv.kind = Cost::Kind::Conv;
    conv.positions = tokens;
    conv.flops = 2.0 * channels * 2 * size * tokens;
    conv.weightBytes = 2.0 * channels * 2 * size;
    double copies = 0;
    for (Operation *part : rotation->ops)
      copies += predict(part, clock).total();
    if (predictMicros(conv, clock) + kWorthwhile >= copies)
      return b.notifyMatchFailure(op, "copies are no slower");
    Location loc = op.getLoc();
    auto square = type.clone({2 * size, 2 * size, 1, 1});
    SmallVector<Attribute> entries(4 * size * size,
                                   b.getFloatAttr(type.getElementType(), 0));
    for (int64_t j = 0; j < 2 * size; ++j)
      entries[j * 2 * size + (j + size) % (2 * size)] =
          b.getFloatAttr(type.getElementType(), rotation->signOf(j));
    Value weight = ConstantOp::create(b, loc, square,
                                      DenseElementsAttr::get(square, entries));
    if (heads > 1)
      weight = TileOp::create(b, loc, type.clone({channels, 2 * size, 1, 1}),
                              weight, ArrayRef<int64_t>{heads, 1, 1, 1});
    Value flat = reshapeTo(b, loc, rotation->x, {1, channels, 1, tokens});
    Value turned = pointwise(b, loc, typeOf(flat), flat, weight, heads);
    b.replaceOp(op, reshapeTo(b, loc, turned, type.getShape()));
    return success();
  }
};

/// Bytes and back, where nobody tried quantize and dequantize (L36), in halves:
/// round, limit and scale.
struct CodesToFloats : OpRewritePattern<DequantizeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(DequantizeOp op,
                                PatternRewriter &b) const override {
    auto codes = op.getInput().getDefiningOp<QuantizeOp>();
    if (!isRuled(op, "L36") || !codes || isConstantTree(op.getY()) ||
        !codes.getType().getElementType().isInteger(8) || codes.getAxis() ||
        op.getAxis() || codes.getZeroPoint() || op.getZeroPoint() ||
        !isConstantTree(codes.getScale()) || !isConstantTree(op.getScale()) ||
        typeOf(codes.getInput()) != op.getType())
      return b.notifyMatchFailure(op, "is not behind bytes around 0");
    bool isUnsigned = codes.getType().getElementType().isUnsignedInteger();
    Location loc = op.getLoc();
    RankedTensorType type = op.getType();
    Value steps =
        RealDivOp::create(b, loc, type, codes.getInput(), codes.getScale());
    Value whole = RoundOp::create(b, loc, type, steps);
    Value limited = ClipOp::create(b, loc, type, whole,
                                   b.getF32FloatAttr(isUnsigned ? 0 : -128),
                                   b.getF32FloatAttr(isUnsigned ? 255 : 127));
    b.replaceOpWithNewOp<MulOp>(op, type, limited, op.getScale());
    return success();
  }
};

/// A constant [1, D, 1, 1] between two reshapes (L35): behind a depthwise 1x1
/// convolution, which does the product itself.
template <typename Op>
struct ChannelConstantToConv : OpRewritePattern<Op> {
  using OpRewritePattern<Op>::OpRewritePattern;
  static constexpr int64_t kLeastChannels = 1024;
  LogicalResult matchAndRewrite(Op op, PatternRewriter &b) const override {
    RankedTensorType type = op.getType();
    auto constant = typeOf(op.getY());
    if (!isRuled(op, "L35") || isConstantTree(op.getResult()) ||
        type.getRank() != 4 || type.getDimSize(1) < kLeastChannels ||
        !isConstantTree(op.getY()) || constant.getRank() > 4 ||
        constant.getNumElements() != type.getDimSize(1) ||
        constant.getRank() < 3 ||
        constant.getDimSize(constant.getRank() - 3) != type.getDimSize(1) ||
        typeOf(op.getX()) != type || isUniform(op.getY()))
      return b.notifyMatchFailure(op, "has no constant of each channel's own");
    if (!op.getX().template getDefiningOp<ReshapeOp>() ||
        !llvm::all_of(op->getUsers(), llvm::IsaPred<ReshapeOp>))
      return b.notifyMatchFailure(op, "is not between reshapes");
    Location loc = op.getLoc();
    auto weight = type.clone({type.getDimSize(1), 1, 1, 1});
    if (isa<MulOp>(op.getOperation())) {
      b.replaceOp(op, pointwise(b, loc, type, op.getX(),
                                reshapeTo(b, loc, op.getY(), weight.getShape()),
                                type.getDimSize(1)));
      return success();
    }
    Value same = pointwise(b, loc, type, op.getX(), filled(b, loc, weight, 1),
                           type.getDimSize(1));
    b.modifyOpInPlace(op, [&] { op.getXMutable().assign(same); });
    return success();
  }
  static bool isUniform(Value v) {
    auto constant = v.getDefiningOp<ConstantOp>();
    auto dense = constant ? dyn_cast<DenseElementsAttr>(constant.getValue())
                          : DenseElementsAttr();
    return dense && dense.isSplat();
  }
};
} // namespace

void mlir::ane::populateGenerationPatterns(RewritePatternSet &patterns) {
  patterns.add<ChannelMeanToConv, RotationToProduct, RotationToConv,
               CodesToFloats, ChannelConstantToConv<MulOp>,
               ChannelConstantToConv<AddOp>, ChannelConstantToConv<SubOp>>(
      patterns.getContext());
}
