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
#include "dialects/ANE/IR/WeightTrees.h"

using namespace mlir;
using namespace mlir::ane;

/// Cores, each of which computes other output channels (engine.md §5.1: 16 cores).
static constexpr double kOutputsAtOnce = 16;
/// Microseconds for which another form is taken.
static constexpr double kWorthwhile = 1;

static bool isRuled(Operation *op, StringRef id) {
  return getTarget(op).hasRule(id) && getRuleSwitch(op, id) != false;
}

static Value filled(OpBuilder &b, Location loc, RankedTensorType type,
                    double value) {
  return ConstantOp::create(
      b, loc, type,
      DenseElementsAttr::get(type, ArrayRef<Attribute>{b.getFloatAttr(
                                       type.getElementType(), value)}));
}

static Value pointwise(OpBuilder &b, Location loc, RankedTensorType type,
                       Value x, Value weight, int64_t groups) {
  return ConvOp::create(
      b, loc, type, x, weight, Value(), b.getDenseI64ArrayAttr({1, 1}),
      b.getStringAttr("valid"), b.getDenseI64ArrayAttr({0, 0, 0, 0}),
      b.getDenseI64ArrayAttr({1, 1}), b.getI64IntegerAttr(groups));
}

namespace {
/// A mean over channels is a 1x1 convolution with one over their number: where
/// the mean fails (L33), and where it is predicted to take longer, as the
/// multipliers do what the units for reductions would.
struct ChannelMeanToConv : OpRewritePattern<ReduceMeanOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ReduceMeanOp op,
                                PatternRewriter &b) const override {
    auto x = typeOf(op.getX());
    if (isConstantTree(op.getY()) || x.getRank() != 4 || !x.hasStaticShape() || !isa<FloatType>(x.getElementType()) ||
        !op.getAxes() || op.getAxes()->size() != 1 || !op.getKeepDims() ||
        ((*op.getAxes())[0] != 1 && (*op.getAxes())[0] != -3))
      return b.notifyMatchFailure(op, "is no mean over channels");
    if (!isRuled(op, "L33") && !isFaster(op))
      return b.notifyMatchFailure(op, "is no slower");
    int64_t count = x.getDimSize(1);
    Value weight =
        filled(b, op.getLoc(), x.clone({1, count, 1, 1}), 1.0 / count);
    b.replaceOp(
        op, pointwise(b, op.getLoc(), typeOf(op.getY()), op.getX(), weight, 1));
    return success();
  }

private:
  /// As a convolution with so many output channels as are computed at once: the
  /// others of them idle.
  static bool isFaster(ReduceMeanOp op) {
    auto x = typeOf(op.getX());
    Clock clock = getClock(op);
    Cost conv;
    conv.kind = Cost::Kind::Conv;
    conv.positions = double(x.getNumElements()) / x.getDimSize(1);
    conv.flops = 2.0 * kOutputsAtOnce * x.getNumElements();
    conv.weightBytes = 2.0 * x.getDimSize(1);
    return predictMicros(conv, clock) + kWorthwhile <
           predict(op, clock).total();
  }
};

/// [-b, a] of [a, b] along the width, as rotary positions have it (L34), is a
/// product with a permutation.
struct RotationToProduct : OpRewritePattern<ConcatOp> {
  using OpRewritePattern::OpRewritePattern;

  /// The half of `x` that is sliced, and whether its sign changes.
  struct Half {
    Value x;
    int64_t begin;
    bool negative;
  };
  static std::optional<Half> halfOf(Value v, int64_t size) {
    Half half{{}, 0, false};
    if (auto product = v.getDefiningOp<MulOp>()) {
      auto constant = product.getY().getDefiningOp<ConstantOp>();
      auto dense = constant ? dyn_cast<DenseFPElementsAttr>(constant.getValue())
                            : DenseFPElementsAttr();
      if (!dense || !dense.isSplat() ||
          !dense.getSplatValue<APFloat>().isExactlyValue(-1))
        return std::nullopt;
      half.negative = true;
      v = product.getX();
    }
    auto slice = v.getDefiningOp<SliceBySizeOp>();
    if (!slice)
      return std::nullopt;
    auto from = typeOf(slice.getX()), to = slice.getType();
    int64_t last = from.getRank() - 1;
    if (from.getShape().drop_back() != to.getShape().drop_back() ||
        from.getDimSize(last) != 2 * size || to.getDimSize(last) != size)
      return std::nullopt;
    half.x = slice.getX();
    half.begin = slice.getBegin()[last];
    return half;
  }

  LogicalResult matchAndRewrite(ConcatOp op,
                                PatternRewriter &b) const override {
    RankedTensorType type = op.getType();
    int64_t last = type.getRank() - 1, axis = int64_t(op.getAxis());
    if (!isRuled(op, "L34") || isConstantTree(op.getResult()) || last < 1 ||
        last > 3 || (axis != last && axis != -1) ||
        op.getValues().size() != 2 || type.isDynamicDim(last) ||
        type.getDimSize(last) % 2)
      return b.notifyMatchFailure(op, "is not of halves of the width");
    int64_t size = type.getDimSize(last) / 2;
    auto first = halfOf(op.getValues()[0], size),
         second = halfOf(op.getValues()[1], size);
    if (!first || !second || first->x != second->x || first->begin != size ||
        second->begin != 0)
      return b.notifyMatchFailure(op, "does not swap the halves of one value");
    auto square = type.clone({2 * size, 2 * size});
    SmallVector<Attribute> entries(4 * size * size,
                                   b.getFloatAttr(type.getElementType(), 0));
    for (int64_t j = 0; j < size; ++j) {
      entries[(j + size) * 2 * size + j] =
          b.getFloatAttr(type.getElementType(), first->negative ? -1 : 1);
      entries[j * 2 * size + j + size] =
          b.getFloatAttr(type.getElementType(), second->negative ? -1 : 1);
    }
    Value matrix = ConstantOp::create(b, op.getLoc(), square,
                                      DenseElementsAttr::get(square, entries));
    b.replaceOpWithNewOp<MatmulOp>(op, type, first->x, matrix,
                                   b.getBoolAttr(false), b.getBoolAttr(false));
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
  patterns.add<ChannelMeanToConv, RotationToProduct, CodesToFloats,
               ChannelConstantToConv<MulOp>, ChannelConstantToConv<AddOp>,
               ChannelConstantToConv<SubOp>>(patterns.getContext());
}
