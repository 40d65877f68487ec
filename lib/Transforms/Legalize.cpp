//===- Legalize.cpp - forms that the engine takes -------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "KeepWide.h"
#include "LegalizeForms.h"
#include "Reshape.h"
#include "RewriteGreedily.h"
#include "SafeNorm.h"
#include "ane-mlir/Transforms/Passes.h"
#include "dialects/ANE/IR/Arithmetic.h"
#include "dialects/ANE/IR/Linear.h"
#include "dialects/ANE/IR/Norm.h"
#include "dialects/ANE/IR/Pool.h"
#include "dialects/ANE/IR/Rearrange.h"
#include "dialects/ANE/IR/Reduction.h"
#include "dialects/ANE/IR/Shape.h"
#include "dialects/ANE/IR/Structure.h"
#include "dialects/ANE/IR/Unary.h"
#include "mlir/IR/PatternMatch.h"

using namespace mlir;
using namespace mlir::ane;

namespace mlir::ane {
#define GEN_PASS_DEF_LEGALIZEPASS
#include "ane-mlir/Transforms/Passes.h.inc"
} // namespace mlir::ane

static Value scalar(OpBuilder &b, Location loc, double value, Value like) {
  auto element =
      cast<FloatType>(cast<RankedTensorType>(like.getType()).getElementType());
  auto type = RankedTensorType::get({}, element);
  return ConstantOp::create(
      b, loc, type,
      DenseElementsAttr::get(
          type, ArrayRef<Attribute>{FloatAttr::get(element, value)}));
}
static Value add(OpBuilder &b, Location loc, Value x, Value y) {
  return AddOp::create(b, loc, x.getType(), x, y);
}
static Value mul(OpBuilder &b, Location loc, Value x, Value y) {
  return MulOp::create(b, loc, x.getType(), x, y);
}

namespace {
template <typename Op>
struct LiveOpPattern : OpRewritePattern<Op> {
  using OpRewritePattern<Op>::OpRewritePattern;
  /// Weight trees stay as they are: they are never emitted as operations.
  LogicalResult matchAndRewrite(Op op, PatternRewriter &rewriter) const final {
    if (isConstantTree(op->getResult(0)))
      return rewriter.notifyMatchFailure(op, "part of a weight tree");
    return rewrite(op, rewriter);
  }
  virtual LogicalResult rewrite(Op op, PatternRewriter &rewriter) const = 0;
};

/// gelu as its definition (L03, engine/rewrites.md §6.6).
struct DecomposeGelu : LiveOpPattern<GeluOp> {
  using LiveOpPattern::LiveOpPattern;
  LogicalResult rewrite(GeluOp op, PatternRewriter &b) const override {
    Location loc = op.getLoc();
    Value x = op.getX();
    auto half = [&](Value gate) {
      return mul(b, loc, mul(b, loc, x, scalar(b, loc, 0.5, x)),
                 add(b, loc, gate, scalar(b, loc, 1, x)));
    };
    if (op.getMode() == GeluMode::EXACT) {
      b.replaceOp(op,
                  half(ErfOp::create(
                      b, loc, x.getType(),
                      mul(b, loc, x, scalar(b, loc, 0.70710678118654752, x)))));
    } else if (op.getMode() == GeluMode::TANH_APPROXIMATION) {
      Value cube = mul(b, loc, mul(b, loc, mul(b, loc, x, x), x),
                       scalar(b, loc, 0.044715, x));
      Value inner = mul(b, loc, add(b, loc, x, cube),
                        scalar(b, loc, 0.79788456080286536, x));
      b.replaceOp(op, half(TanhOp::create(b, loc, x.getType(), inner)));
    } else {
      Value gate = SigmoidOp::create(b, loc, x.getType(),
                                     mul(b, loc, x, scalar(b, loc, 1.702, x)));
      b.replaceOp(op, mul(b, loc, x, gate));
    }
    return success();
  }
};

/// softplus is wrong above 10.4 (L25): relu(x) + log(1 + exp(-|x|)).
struct DecomposeSoftplus : LiveOpPattern<SoftplusOp> {
  using LiveOpPattern::LiveOpPattern;
  LogicalResult rewrite(SoftplusOp op, PatternRewriter &b) const override {
    Location loc = op.getLoc();
    Value x = op.getX();
    Type type = x.getType();
    Value small = ExpOp::create(
        b, loc, type,
        mul(b, loc, AbsOp::create(b, loc, type, x), scalar(b, loc, -1, x)));
    Value tail =
        LogOp::create(b, loc, type, add(b, loc, small, scalar(b, loc, 1, x)),
                      b.getF32FloatAttr(0));
    b.replaceOp(op, add(b, loc, ReluOp::create(b, loc, type, x), tail));
    return success();
  }
};

/// batch_norm that no convolution took becomes x * scale + shift.
struct DecomposeBatchNorm : LiveOpPattern<BatchNormOp> {
  using LiveOpPattern::LiveOpPattern;
  LogicalResult rewrite(BatchNormOp op, PatternRewriter &b) const override {
    Location loc = op.getLoc();
    auto [scale, shift] = op.makeScaleAndShift(b);
    SmallVector<int64_t> wide(op.getX().getType().getRank(), 1);
    wide[1] = op.getX().getType().getDimSize(1);
    b.replaceOp(op, add(b, loc,
                        mul(b, loc, op.getX(), reshapeTo(b, loc, scale, wide)),
                        reshapeTo(b, loc, shift, wide)));
    return success();
  }
};

/// (x - mean) * rsqrt(variance + epsilon) over `axes`, times gamma, plus beta,
/// which are shaped by `wide`.
static Value normalise(OpBuilder &b, Location loc, Value x,
                       ArrayRef<int64_t> axes, FloatAttr epsilon, Value gamma,
                       Value beta, ArrayRef<int64_t> wide) {
  RankedTensorType type = typeOf(x);
  SmallVector<int64_t> reduced(type.getShape());
  for (int64_t axis : axes)
    reduced[axis] = 1;
  auto mean = [&](Value v) {
    return ReduceMeanOp::create(b, loc, type.clone(reduced), v,
                                b.getDenseI64ArrayAttr(axes),
                                b.getBoolAttr(true));
  };
  Value centred = SubOp::create(b, loc, type, x, mean(x));
  Value y;
  if (type.getElementType().isF16()) {
    NormGuard guard;
    guard.inside = epsilon.getValueAsDouble();
    y = normaliseSafely(b, loc, centred, axes, guard);
  } else {
    Value scale = RsqrtOp::create(b, loc, type.clone(reduced),
                                  mean(mul(b, loc, centred, centred)), epsilon);
    y = mul(b, loc, centred, scale);
  }
  if (gamma)
    y = mul(b, loc, y, reshapeTo(b, loc, gamma, wide));
  return beta ? add(b, loc, y, reshapeTo(b, loc, beta, wide)) : y;
}

/// instance_norm from reductions (L24).
struct DecomposeInstanceNorm : LiveOpPattern<InstanceNormOp> {
  using LiveOpPattern::LiveOpPattern;
  LogicalResult rewrite(InstanceNormOp op, PatternRewriter &b) const override {
    RankedTensorType type = op.getX().getType();
    SmallVector<int64_t> axes, wide(type.getRank(), 1);
    for (int64_t i = 2; i < type.getRank(); ++i)
      axes.push_back(i);
    wide[1] = type.getDimSize(1);
    b.replaceOp(op,
                normalise(b, op.getLoc(), op.getX(), axes, op.getEpsilonAttr(),
                          op.getGamma(), op.getBeta(), wide));
    return success();
  }
};

/// Axes of a layer_norm from 0 on, and its parameters' shape among ones.
static std::pair<SmallVector<int64_t>, SmallVector<int64_t>>
normalisedAxes(LayerNormOp op) {
  RankedTensorType type = op.getX().getType();
  SmallVector<int64_t> axes, wide(type.getRank(), 1);
  for (int64_t axis : op.getAxes()) {
    axes.push_back(axis < 0 ? axis + type.getRank() : axis);
    wide[axes.back()] = type.getDimSize(axes.back());
  }
  return {axes, wide};
}
static bool hasConstantParameters(LayerNormOp op) {
  return (!op.getGamma() || isConstantTree(op.getGamma())) &&
         (!op.getBeta() || isConstantTree(op.getBeta()));
}

/// Normalisation over other axes than the last (engine/operations.md §1.11.4,
/// engine/rewrites.md §6.5), or with parameters of run time, which both doors
/// refuse (L24).
struct DecomposeLayerNorm : LiveOpPattern<LayerNormOp> {
  using LiveOpPattern::LiveOpPattern;
  LogicalResult rewrite(LayerNormOp op, PatternRewriter &b) const override {
    auto [axes, wide] = normalisedAxes(op);
    if (axes.size() == 1 && axes[0] == op.getX().getType().getRank() - 1 &&
        hasConstantParameters(op))
      return b.notifyMatchFailure(op, "is over the last axis");
    b.replaceOp(op,
                normalise(b, op.getLoc(), op.getX(), axes, op.getEpsilonAttr(),
                          op.getGamma(), op.getBeta(), wide));
    return success();
  }
};

/// linear falls off RAW; matmul does not.
struct DecomposeLinear : LiveOpPattern<LinearOp> {
  using LiveOpPattern::LiveOpPattern;
  LogicalResult rewrite(LinearOp op, PatternRewriter &b) const override {
    Value y = MatmulOp::create(b, op.getLoc(), op.getType(), op.getX(),
                               op.getWeight(), b.getBoolAttr(false),
                               b.getBoolAttr(true));
    if (op.getBias())
      y = add(b, op.getLoc(), y, op.getBias());
    b.replaceOp(op, y);
    return success();
  }
};

/// A bias operand is disputed on RAW (engine/operations.md §1.11.1); the back
/// end fuses the addition anyway.
template <typename Op>
struct SeparateBias : LiveOpPattern<Op> {
  using LiveOpPattern<Op>::LiveOpPattern;
  LogicalResult rewrite(Op op, PatternRewriter &b) const override {
    if (!op.getBias())
      return b.notifyMatchFailure(op, "has no bias");
    auto type = cast<RankedTensorType>(op.getType());
    SmallVector<int64_t> wide(type.getRank(), 1);
    wide[1] = type.getDimSize(1);
    Value bias = reshapeTo(b, op.getLoc(), op.getBias(), wide);
    b.setInsertionPointAfter(op);
    auto sum = AddOp::create(b, op.getLoc(), op.getType(), op.getY(), bias);
    b.replaceAllUsesExcept(op.getY(), sum.getResult(), sum);
    b.modifyOpInPlace(op, [&] { op.getBiasMutable().clear(); });
    return success();
  }
};

/// Vectors become matrices of one row or column (L43).
struct VectorProduct : LiveOpPattern<MatmulOp> {
  using LiveOpPattern::LiveOpPattern;
  LogicalResult rewrite(MatmulOp op, PatternRewriter &b) const override {
    auto x = op.getX().getType(), y = op.getY().getType();
    if ((x.getRank() > 1 && y.getRank() > 1) || !op.getType().hasStaticShape())
      return b.notifyMatchFailure(op, "has no vector");
    Location loc = op.getLoc();
    Value left = x.getRank() > 1
                     ? op.getX()
                     : reshapeTo(b, loc, op.getX(), {1, x.getDimSize(0)});
    Value right = y.getRank() > 1
                      ? op.getY()
                      : reshapeTo(b, loc, op.getY(), {y.getDimSize(0), 1});
    SmallVector<int64_t> shape(op.getType().getShape());
    if (y.getRank() == 1)
      shape.push_back(1);
    if (x.getRank() == 1)
      shape.insert(shape.end() - 1, 1);
    Value z = MatmulOp::create(b, loc, op.getType().clone(shape), left, right,
                               op.getTransposeXAttr(), op.getTransposeYAttr());
    b.replaceOp(op, reshapeTo(b, loc, z, op.getType().getShape()));
    return success();
  }
};

/// A convolution over patches (kernel = stride, as vision transformers begin)
/// with a kernel beyond S9 is space_to_depth and a 1x1 convolution.
struct PatchesToDepth : LiveOpPattern<ConvOp> {
  using LiveOpPattern::LiveOpPattern;
  LogicalResult rewrite(ConvOp op, PatternRewriter &b) const override {
    auto x = op.getX().getType();
    auto w = cast<RankedTensorType>(op.getWeight().getType());
    if (x.getRank() != 4 || op.getGroups() != 1 ||
        !isConstantTree(op.getWeight()))
      return b.notifyMatchFailure(op, "is no plain convolution");
    int64_t size = w.getDimSize(2);
    const Limit *width = getTarget(op).limit(LimitId::S9W);
    if (!width || size <= width->value || w.getDimSize(3) != size ||
        llvm::any_of(op.getStrides(), [&](int64_t s) { return s != size; }) ||
        llvm::any_of(op.getDilations(), [](int64_t d) { return d != 1; }) ||
        (op.getPadType() != PadType::valid &&
         llvm::any_of(op.getPad(), [](int64_t p) { return p != 0; })) ||
        x.getDimSize(2) % size || x.getDimSize(3) % size)
      return b.notifyMatchFailure(op, "has no large patches");
    Location loc = op.getLoc();
    int64_t outputs = w.getDimSize(0), channels = w.getDimSize(1),
            depth = size * size * channels;
    // The engine's order is DCR: a pixel's place, then its channel.
    Value data = SpaceToDepthOp::create(
        b, loc,
        x.clone({x.getDimSize(0), depth, x.getDimSize(2) / size,
                 x.getDimSize(3) / size}),
        op.getX(), b.getI64IntegerAttr(size));
    Value kernel =
        TransposeOp::create(b, loc, w.clone({outputs, size, size, channels}),
                            op.getWeight(), ArrayRef<int64_t>{0, 2, 3, 1});
    b.replaceOpWithNewOp<ConvOp>(
        op, op.getType(), data,
        reshapeTo(b, loc, kernel, {outputs, depth, 1, 1}), op.getBias(),
        b.getDenseI64ArrayAttr({1, 1}), b.getStringAttr("valid"),
        b.getDenseI64ArrayAttr({0, 0, 0, 0}), b.getDenseI64ArrayAttr({1, 1}),
        b.getI64IntegerAttr(1));
    return success();
  }
};

/// Rank-3 windows get a height of 1.
template <typename Op>
struct WidenConv : LiveOpPattern<Op> {
  using LiveOpPattern<Op>::LiveOpPattern;
  LogicalResult rewrite(Op op, PatternRewriter &b) const override {
    auto x = cast<RankedTensorType>(op.getX().getType()),
         y = cast<RankedTensorType>(op.getType()),
         w = cast<RankedTensorType>(op.getWeight().getType());
    if (x.getRank() != 3)
      return b.notifyMatchFailure(op, "is not one-dimensional");
    auto widen = [](RankedTensorType t) {
      return SmallVector<int64_t>{t.getDimSize(0), t.getDimSize(1), 1,
                                  t.getDimSize(2)};
    };
    auto two = [&](ArrayRef<int64_t> values, int64_t first) {
      return b.getDenseI64ArrayAttr({first, values[0]});
    };
    NamedAttrList attributes;
    attributes.set("strides", two(op.getStrides(), 1));
    attributes.set("dilations", two(op.getDilations(), 1));
    attributes.set(
        "pad", b.getDenseI64ArrayAttr({0, 0, op.getPad()[0], op.getPad()[1]}));
    attributes.set("pad_type", op.getPadTypeAttr());
    attributes.set("groups", op.getGroupsAttr());
    if (Attribute wanted = op->getAttr("output_shape"))
      attributes.set("output_shape",
                     b.getDenseI64ArrayAttr(widen(RankedTensorType::get(
                         cast<DenseI64ArrayAttr>(wanted).asArrayRef(),
                         y.getElementType()))));
    SmallVector<Value> operands{
        reshapeTo(b, op.getLoc(), op.getX(), widen(x)),
        reshapeTo(b, op.getLoc(), op.getWeight(), widen(w))};
    if (op.getBias())
      operands.push_back(op.getBias());
    auto wide = Op::create(b, op.getLoc(), TypeRange{y.clone(widen(y))},
                           operands, attributes.getAttrs());
    b.replaceOp(op,
                reshapeTo(b, op.getLoc(), wide->getResult(0), y.getShape()));
    return success();
  }
};
template <typename Op>
struct WidenPool : LiveOpPattern<Op> {
  using LiveOpPattern<Op>::LiveOpPattern;
  LogicalResult rewrite(Op op, PatternRewriter &b) const override {
    auto x = cast<RankedTensorType>(op.getX().getType()),
         y = cast<RankedTensorType>(op.getType());
    if (x.getRank() != 3)
      return b.notifyMatchFailure(op, "is not one-dimensional");
    auto widen = [](RankedTensorType t) {
      return SmallVector<int64_t>{t.getDimSize(0), t.getDimSize(1), 1,
                                  t.getDimSize(2)};
    };
    NamedAttrList attributes(op->getAttrs());
    attributes.set("kernel_sizes",
                   b.getDenseI64ArrayAttr({1, op.getKernelSizes()[0]}));
    attributes.set("strides", b.getDenseI64ArrayAttr({1, op.getStrides()[0]}));
    attributes.set(
        "pad", b.getDenseI64ArrayAttr({0, 0, op.getPad()[0], op.getPad()[1]}));
    auto wide =
        Op::create(b, op.getLoc(), TypeRange{y.clone(widen(y))},
                   ValueRange{reshapeTo(b, op.getLoc(), op.getX(), widen(x))},
                   attributes.getAttrs());
    b.replaceOp(op,
                reshapeTo(b, op.getLoc(), wide->getResult(0), y.getShape()));
    return success();
  }
};

/// squeeze, expand_dims and flatten2d are reshapes, which have RAW evidence.
template <typename Op>
struct ToReshape : LiveOpPattern<Op> {
  using LiveOpPattern<Op>::LiveOpPattern;
  LogicalResult rewrite(Op op, PatternRewriter &b) const override {
    if (!op.getType().hasStaticShape())
      return b.notifyMatchFailure(op, "shape is not static");
    b.replaceOpWithNewOp<ReshapeOp>(op, op.getType(), op.getX(),
                                    op.getType().getShape());
    return success();
  }
};

/// tile (L21) becomes concatenation of copies, an axis at a time; broadcasting
/// consumers do without.
struct DecomposeTile : LiveOpPattern<TileOp> {
  using LiveOpPattern::LiveOpPattern;
  LogicalResult rewrite(TileOp op, PatternRewriter &b) const override {
    auto type = op.getX().getType();
    bool broadcast = true;
    for (auto [dim, reps] : llvm::zip(type.getShape(), op.getReps()))
      broadcast &= reps == 1 || dim == 1;
    // Users that broadcast to the same shape anyway read the small tensor.
    if (broadcast)
      for (OpOperand &use : llvm::make_early_inc_range(op->getUses()))
        if (isa<AddOp, SubOp, MulOp, RealDivOp, MaximumOp, MinimumOp>(
                use.getOwner())) {
          Operation *user = use.getOwner();
          Value other = user->getOperand(1 - use.getOperandNumber());
          if (other.getType() == user->getResult(0).getType() &&
              other != op.getY())
            b.modifyOpInPlace(user, [&] { use.set(op.getX()); });
        }
    if (op->use_empty()) {
      b.eraseOp(op);
      return success();
    }
    if (llvm::is_contained(op.getReps(), 0))
      return b.notifyMatchFailure(op, "is of nothing");
    Value x = op.getX();
    for (auto [axis, reps] : llvm::enumerate(op.getReps()))
      x = repeat(b, op.getLoc(), x, axis, reps);
    b.replaceOp(op, x);
    return success();
  }

  /// Few operands each: 12 and more branches into one op compile slowly (L75).
  static constexpr int64_t kMostCopies = 11;
  static Value repeat(OpBuilder &b, Location loc, Value x, int64_t axis,
                      int64_t reps) {
    auto copies = [&](Value v, int64_t count) -> Value {
      SmallVector<int64_t> shape(typeOf(v).getShape());
      shape[axis] *= count;
      return ConcatOp::create(b, loc, typeOf(v).clone(shape),
                              SmallVector<Value>(count, v),
                              b.getI64IntegerAttr(axis), b.getBoolAttr(false));
    };
    if (reps == 1)
      return x;
    if (reps <= kMostCopies)
      return copies(x, reps);
    for (int64_t factor = kMostCopies; factor > 1; --factor)
      if (reps % factor == 0)
        return repeat(b, loc, copies(x, factor), axis, reps / factor);
    // No small factor: one copy more than there are of a number that has some.
    SmallVector<int64_t> shape(typeOf(x).getShape());
    shape[axis] *= reps;
    Value most = repeat(b, loc, x, axis, reps - 1);
    return ConcatOp::create(b, loc, typeOf(x).clone(shape), ValueRange{most, x},
                            b.getI64IntegerAttr(axis), b.getBoolAttr(false));
  }
};

/// A norm with parameters of run time, which no door takes, loses them.
struct SeparateParameters : LiveOpPattern<LayerNormOp> {
  using LiveOpPattern::LiveOpPattern;
  LogicalResult rewrite(LayerNormOp op, PatternRewriter &b) const override {
    if (hasConstantParameters(op))
      return b.notifyMatchFailure(op, "parameters are constant");
    auto [axes, wide] = normalisedAxes(op);
    Location loc = op.getLoc();
    Value y =
        LayerNormOp::create(b, loc, op.getType(), op.getX(), Value(), Value(),
                            op.getAxesAttr(), op.getEpsilonAttr());
    if (op.getGamma())
      y = mul(b, loc, y, reshapeTo(b, loc, op.getGamma(), wide));
    if (op.getBeta())
      y = add(b, loc, y, reshapeTo(b, loc, op.getBeta(), wide));
    b.replaceOp(op, y);
    return success();
  }
};

struct Legalize : ane::impl::LegalizePassBase<Legalize> {
  using LegalizePassBase::LegalizePassBase;
  void runOnOperation() override {
    bool raw = door == FrontEnd::Raw;
    if (raw)
      limitRanks(getOperation());
    RewritePatternSet patterns(&getContext());
    if (raw) {
      patterns.add<DecomposeGelu, DecomposeSoftplus, DecomposeLayerNorm,
                   SeparateBias<ConvOp>, SeparateBias<ConvTransposeOp>>(
          &getContext());
      // Before other forms of large kernels, of which it is the cheapest.
      patterns.add<PatchesToDepth>(&getContext(), /*benefit=*/3);
      populateRoundingPatterns(patterns);
    } else {
      patterns.add<SeparateParameters>(&getContext());
    }
    if (exactSilu)
      populateSiluPattern(patterns);
    if (late && raw) {
      populateGenerationPatterns(patterns);
      populateChannelNormPatterns(patterns);
    }
    patterns.add<VectorProduct, DecomposeBatchNorm, DecomposeInstanceNorm,
                 DecomposeLinear, WidenPool<MaxPoolOp>, WidenPool<AvgPoolOp>,
                 WidenPool<L2PoolOp>, ToReshape<SqueezeOp>,
                 ToReshape<ExpandDimsOp>, ToReshape<Flatten2dOp>>(
        &getContext());
    populateFormPatterns(patterns, raw);
    populateWindowPatterns(patterns, raw);
    populateAxisPatterns(patterns, raw);
    populateResizePatterns(patterns, raw);
    // Before the bias is taken out, so that it is added in the wide form.
    patterns.add<WidenConv<ConvOp>, WidenConv<ConvTransposeOp>>(&getContext(),
                                                                /*benefit=*/2);
    ReshapeOp::getCanonicalizationPatterns(patterns, &getContext());
    KeepWide keepWide;
    // Copies are made when all that moves them is done.
    RewritePatternSet copies(&getContext());
    copies.add<DecomposeTile>(&getContext());
    if (failed(
            rewriteGreedily(getOperation(), std::move(patterns), &keepWide)) ||
        failed(rewriteGreedily(getOperation(), std::move(copies), &keepWide)))
      signalPassFailure();
  }
};
} // namespace
