//===- Recover.cpp - what exporters took apart ----------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// gelu, silu, layer_norm, softmax and hardswish from the fragments that
// exporters write. The compilers behind us do not put them together reliably
// (engine/rewrites.md §6.31), and the layout of a norm is better chosen while
// it is one op. Only fragments that compute the same function are matched;
// other users of a part keep it.
//
//===----------------------------------------------------------------------===//

#include "RecoverSafe.h"
#include "RewriteGreedily.h"
#include "ane-mlir/Interpreter/Tensor.h"
#include "ane-mlir/Transforms/Passes.h"
#include "dialects/ANE/IR/Arithmetic.h"
#include "dialects/ANE/IR/Norm.h"
#include "dialects/ANE/IR/Reduction.h"
#include "dialects/ANE/IR/Shape.h"
#include "dialects/ANE/IR/Structure.h"
#include "dialects/ANE/IR/Unary.h"
#include "mlir/IR/PatternMatch.h"
#include <cmath>

using namespace mlir;
using namespace mlir::ane;

namespace mlir::ane {
#define GEN_PASS_DEF_RECOVERPASS
#include "ane-mlir/Transforms/Passes.h.inc"
} // namespace mlir::ane

/// The number that every element of a small constant is.
static std::optional<double> scalarOf(Value v) {
  auto constant = v.getDefiningOp<ConstantOp>();
  auto dense = constant ? dyn_cast<DenseElementsAttr>(constant.getValue())
                        : DenseElementsAttr();
  if (!dense || !isa<FloatType>(dense.getElementType()) ||
      !(dense.isSplat() || dense.getNumElements() == 1))
    return std::nullopt;
  return dense.getSplatValue<APFloat>().convertToDouble();
}
static bool isNumber(Value v, double wanted) {
  std::optional<double> found = scalarOf(v);
  return found && std::fabs(*found - wanted) <= 1e-4 * std::fabs(wanted);
}

/// The other operand of a commutative op of which one is the number.
template <typename Op>
static Value otherThan(Value v, double number) {
  auto op = v.getDefiningOp<Op>();
  if (!op)
    return {};
  if (isNumber(op.getY(), number))
    return op.getX();
  return isNumber(op.getX(), number) ? op.getY() : Value();
}

/// x where `v` is x * factor, or x / (1 / factor).
static Value scaled(Value v, double factor) {
  if (Value x = otherThan<MulOp>(v, factor))
    return x;
  auto div = v.getDefiningOp<RealDivOp>();
  return div && isNumber(div.getY(), 1 / factor) ? div.getX() : Value();
}

namespace {
/// x/2 * (1 + f(x)) in any order of the factors, f being erf(x / sqrt 2) or the
/// tanh approximation.
struct RecoverGelu : OpRewritePattern<MulOp> {
  using OpRewritePattern::OpRewritePattern;

  /// The x of 1 + f(x), and gelu's mode.
  static std::pair<Value, StringRef> gate(Value v) {
    Value f = otherThan<AddOp>(v, 1);
    if (!f)
      return {};
    if (auto erf = f.getDefiningOp<ErfOp>())
      return {scaled(erf.getX(), 0.70710678118654752), "EXACT"};
    auto tanh = f.getDefiningOp<TanhOp>();
    Value inner = tanh ? scaled(tanh.getX(), 0.79788456080286536) : Value();
    auto sum = inner ? inner.getDefiningOp<AddOp>() : AddOp();
    if (!sum)
      return {};
    for (auto [x, rest] : {std::pair(sum.getX(), sum.getY()),
                           std::pair(sum.getY(), sum.getX())}) {
      Value cube = scaled(rest, 0.044715);
      if (!cube)
        continue;
      if (auto pow = cube.getDefiningOp<PowOp>();
          pow && pow.getX() == x && isNumber(pow.getY(), 3))
        return {x, "TANH_APPROXIMATION"};
      auto outer = cube.getDefiningOp<MulOp>();
      if (!outer)
        continue;
      for (auto [a, b] : {std::pair(outer.getX(), outer.getY()),
                          std::pair(outer.getY(), outer.getX())})
        if (auto square = b.getDefiningOp<MulOp>();
            a == x && square && square.getX() == x && square.getY() == x)
          return {x, "TANH_APPROXIMATION"};
    }
    return {};
  }

  LogicalResult matchAndRewrite(MulOp op,
                                PatternRewriter &rewriter) const override {
    // Three factors in two multiplications.
    SmallVector<Value> factors{op.getX(), op.getY()};
    for (unsigned i = 0; i < 2; ++i)
      if (auto inner = factors[i].getDefiningOp<MulOp>()) {
        SmallVector<Value> three{factors[1 - i], inner.getX(), inner.getY()};
        Value x;
        StringRef mode;
        bool half = false, data = false;
        for (Value v : three)
          if (auto [found, name] = gate(v); found)
            x = found, mode = name;
        for (Value v : three) {
          half |= isNumber(v, 0.5);
          data |= v == x;
        }
        if (x && half && data && x.getType() == op.getType()) {
          rewriter.replaceOpWithNewOp<GeluOp>(op, op.getType(), x,
                                              rewriter.getStringAttr(mode));
          return success();
        }
      }
    return rewriter.notifyMatchFailure(op, "is no gelu");
  }
};

struct RecoverSilu : OpRewritePattern<MulOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(MulOp op,
                                PatternRewriter &rewriter) const override {
    for (auto [x, gate] :
         {std::pair(op.getX(), op.getY()), std::pair(op.getY(), op.getX())})
      if (auto sigmoid = gate.getDefiningOp<SigmoidOp>();
          sigmoid && sigmoid.getX() == x) {
        rewriter.replaceOpWithNewOp<SiluOp>(op, op.getType(), x);
        return success();
      }
    return rewriter.notifyMatchFailure(op, "is no silu");
  }
};

/// (x - mean) / sqrt(variance + epsilon) over some axes.
template <typename Op>
struct RecoverLayerNorm : OpRewritePattern<Op> {
  using OpRewritePattern<Op>::OpRewritePattern;

  static std::optional<SmallVector<int64_t>> meanAxes(ReduceMeanOp mean) {
    if (!mean || !mean.getKeepDims() || !mean.getAxes())
      return std::nullopt;
    SmallVector<int64_t> axes;
    ArrayRef<int64_t> given = *mean.getAxes();
    for (int64_t axis : given)
      axes.push_back(axis < 0 ? axis + mean.getX().getType().getRank() : axis);
    llvm::sort(axes);
    return axes;
  }
  /// d where `v` is d squared.
  static Value squared(Value v) {
    if (auto mul = v.getDefiningOp<MulOp>(); mul && mul.getX() == mul.getY())
      return mul.getX();
    if (auto square = v.getDefiningOp<SquareOp>())
      return square.getX();
    auto pow = v.getDefiningOp<PowOp>();
    return pow && isNumber(pow.getY(), 2) ? pow.getX() : Value();
  }
  /// variance + epsilon, where `v` is its root or inverse root.
  static Value rooted(Value v, bool inverse, double &epsilon) {
    if (inverse) {
      if (auto rsqrt = v.getDefiningOp<RsqrtOp>()) {
        epsilon = rsqrt.getEpsilon().convertToDouble();
        return rsqrt.getX();
      }
      if (auto pow = v.getDefiningOp<PowOp>();
          pow && isNumber(pow.getY(), -0.5))
        return pow.getX();
      if (auto inv = v.getDefiningOp<InverseOp>();
          inv && inv.getEpsilon().isZero())
        return rooted(inv.getX(), false, epsilon);
      if (auto div = v.getDefiningOp<RealDivOp>();
          div && isNumber(div.getX(), 1))
        return rooted(div.getY(), false, epsilon);
      return {};
    }
    if (auto sqrt = v.getDefiningOp<SqrtOp>())
      return sqrt.getX();
    auto pow = v.getDefiningOp<PowOp>();
    return pow && isNumber(pow.getY(), 0.5) ? pow.getX() : Value();
  }

  LogicalResult matchAndRewrite(Op op,
                                PatternRewriter &rewriter) const override {
    constexpr bool divides = std::is_same_v<Op, RealDivOp>;
    for (auto [centred, root] :
         {std::pair(op.getX(), op.getY()), std::pair(op.getY(), op.getX())}) {
      double epsilon = 0;
      Value sum = rooted(root, !divides, epsilon);
      auto sub = centred.template getDefiningOp<SubOp>();
      if (!sum || !sub) {
        if (divides)
          break;
        continue;
      }
      Value variance = sum;
      if (auto add = sum.getDefiningOp<AddOp>())
        for (auto [v, number] : {std::pair(add.getX(), add.getY()),
                                 std::pair(add.getY(), add.getX())})
          if (std::optional<double> e = scalarOf(number)) {
            variance = v;
            epsilon += *e;
            break;
          }
      auto meanOfSquares = variance.getDefiningOp<ReduceMeanOp>();
      auto mean = sub.getY().template getDefiningOp<ReduceMeanOp>();
      auto axes = meanAxes(mean), others = meanAxes(meanOfSquares);
      if (!axes || axes != others || mean.getX() != sub.getX())
        continue;
      // Exporters subtract the mean once or twice.
      Value again = squared(meanOfSquares.getX());
      auto same = again ? again.getDefiningOp<SubOp>() : SubOp();
      if (!same || same.getX() != sub.getX() ||
          (same.getY() != sub.getY() && !sameMean(same.getY(), mean)))
        continue;
      int64_t rank = sub.getType().getRank();
      // layer_norm is over trailing axes.
      for (auto [i, axis] : llvm::enumerate(*axes))
        if (axis != rank - (int64_t)axes->size() + (int64_t)i)
          return rewriter.notifyMatchFailure(op, "not over the last axes");
      if (op.getType() != sub.getX().getType())
        continue;
      rewriter.replaceOpWithNewOp<LayerNormOp>(
          op, op.getType(), sub.getX(), Value(), Value(),
          rewriter.getDenseI64ArrayAttr(*axes),
          rewriter.getF32FloatAttr(float(epsilon)));
      return success();
    }
    return rewriter.notifyMatchFailure(op, "is no layer_norm");
  }
  static bool sameMean(Value v, ReduceMeanOp mean) {
    auto other = v.getDefiningOp<ReduceMeanOp>();
    return other && other.getX() == mean.getX() &&
           meanAxes(other) == meanAxes(mean);
  }
};

/// Scale and shift of the normalised axes become the norm's parameters.
template <typename Op, bool scale>
struct AbsorbAffine : OpRewritePattern<Op> {
  using OpRewritePattern<Op>::OpRewritePattern;
  LogicalResult matchAndRewrite(Op op,
                                PatternRewriter &rewriter) const override {
    for (auto [data, parameter] :
         {std::pair(op.getX(), op.getY()), std::pair(op.getY(), op.getX())}) {
      auto norm = data.template getDefiningOp<LayerNormOp>();
      if (!norm || !norm->hasOneUse() || norm.getBeta() ||
          (scale && norm.getGamma()) || !isConstantTree(parameter))
        continue;
      auto x = norm.getX().getType();
      auto wanted = x.getShape().take_back(norm.getAxes().size());
      auto type = cast<RankedTensorType>(parameter.getType());
      // The parameter has exactly the normalised axes, behind ones.
      SmallVector<int64_t> shape(type.getShape());
      while (shape.size() > wanted.size() && shape.front() == 1)
        shape.erase(shape.begin());
      if (ArrayRef<int64_t>(shape) != wanted || op.getType() != x)
        continue;
      Location loc = op.getLoc();
      Value vector = parameter;
      if (type.getShape() != wanted)
        vector = ReshapeOp::create(rewriter, loc, type.clone(wanted), parameter,
                                   wanted);
      Value gamma = scale ? vector : norm.getGamma(),
            beta = scale ? Value() : vector;
      rewriter.replaceOpWithNewOp<LayerNormOp>(op, op.getType(), norm.getX(),
                                               gamma, beta, norm.getAxesAttr(),
                                               norm.getEpsilonAttr());
      return success();
    }
    return rewriter.notifyMatchFailure(op, "follows no layer_norm");
  }
};

/// A division by a constant is a multiplication by its inverse, which the
/// weight writer computes once.
struct DivideToMultiply : OpRewritePattern<RealDivOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(RealDivOp op,
                                PatternRewriter &rewriter) const override {
    auto type = cast<RankedTensorType>(op.getY().getType());
    if (!isa<FloatType>(type.getElementType()) || !isConstantTree(op.getY()) ||
        isConstantTree(op.getX()))
      return rewriter.notifyMatchFailure(op, "no constant divisor");
    std::optional<double> number = scalarOf(op.getY());
    if (!number || *number == 0 || !std::isfinite(1 / *number))
      return rewriter.notifyMatchFailure(op, "divisor is no number");
    if (op->hasAttr(marks::kExact))
      return rewriter.notifyMatchFailure(op, "its last bit decides an integer");
    Value inverse = InverseOp::create(rewriter, op.getLoc(), type, op.getY(),
                                      rewriter.getF32FloatAttr(0));
    rewriter.replaceOpWithNewOp<MulOp>(op, op.getType(), op.getX(), inverse);
    return success();
  }
};

/// min(max(x + 3, 0), 6) / 6 -> sigmoid_hard(x), which is what hardswish
/// multiplies x with. Also x * min(max(x + 3, 0), 6) / 6.
struct RecoverSigmoidHard : OpRewritePattern<MulOp> {
  using OpRewritePattern::OpRewritePattern;
  /// x of min(max(x + 3, 0), 6).
  static Value matchRamp(Value v) {
    Value sum;
    if (auto clip = v.getDefiningOp<ClipOp>()) {
      if (clip.getAlpha().isZero() && clip.getBeta().convertToFloat() == 6)
        sum = clip.getX();
    } else if (auto relu = v.getDefiningOp<Relu6Op>()) {
      sum = relu.getX();
    } else if (Value low = otherThan<MinimumOp>(v, 6)) {
      if (auto relu = low.getDefiningOp<ReluOp>())
        sum = relu.getX();
      else if (auto max = low.getDefiningOp<MaximumOp>())
        sum = isZero(max.getY())   ? max.getX()
              : isZero(max.getX()) ? max.getY()
                                   : Value();
    }
    return sum ? otherThan<AddOp>(sum, 3) : Value();
  }
  static bool isZero(Value v) {
    std::optional<double> number = scalarOf(v);
    return number && *number == 0;
  }
  LogicalResult matchAndRewrite(MulOp op,
                                PatternRewriter &rewriter) const override {
    return rewrite(op, scaled(op.getZ(), 1.0 / 6), rewriter);
  }
  static LogicalResult rewrite(Operation *op, Value inner,
                               PatternRewriter &rewriter) {
    if (!inner)
      return rewriter.notifyMatchFailure(op, "is no sixth of something");
    Location loc = op->getLoc();
    Type type = op->getResult(0).getType();
    auto gate = [&](Value x) -> Value {
      return SigmoidHardOp::create(rewriter, loc, x.getType(), x,
                                   rewriter.getF32FloatAttr(1.0f / 6),
                                   rewriter.getF32FloatAttr(0.5f));
    };
    if (Value x = matchRamp(inner); x && x.getType() == type) {
      rewriter.replaceOp(op, gate(x));
      return success();
    }
    if (auto product = inner.getDefiningOp<MulOp>();
        product && product->hasOneUse())
      for (auto [x, ramp] : {std::pair(product.getX(), product.getY()),
                             std::pair(product.getY(), product.getX())})
        if (matchRamp(ramp) == x && x.getType() == type) {
          rewriter.replaceOpWithNewOp<MulOp>(op, type, x, gate(x));
          return success();
        }
    return rewriter.notifyMatchFailure(op, "is no ramp");
  }
};
struct RecoverSigmoidHardOfQuotient : OpRewritePattern<RealDivOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(RealDivOp op,
                                PatternRewriter &rewriter) const override {
    return RecoverSigmoidHard::rewrite(
        op, isNumber(op.getY(), 6) ? op.getX() : Value(), rewriter);
  }
};

/// exp(x - max(x)) / sum(exp(x - max(x))) over one axis; the maximum may be
/// missing, which only costs range.
struct RecoverSoftmax : OpRewritePattern<RealDivOp> {
  using OpRewritePattern::OpRewritePattern;
  static std::optional<int64_t> oneAxis(std::optional<ArrayRef<int64_t>> axes,
                                        bool keepDims, int64_t rank) {
    if (!axes || axes->size() != 1 || !keepDims)
      return std::nullopt;
    return (*axes)[0] < 0 ? (*axes)[0] + rank : (*axes)[0];
  }
  LogicalResult matchAndRewrite(RealDivOp op,
                                PatternRewriter &rewriter) const override {
    auto exp = op.getX().getDefiningOp<ExpOp>();
    auto sum = op.getY().getDefiningOp<ReduceSumOp>();
    if (!exp || !sum || sum.getX() != exp.getY() ||
        op.getType() != exp.getType())
      return rewriter.notifyMatchFailure(op, "is no exp over its sum");
    auto rank = cast<RankedTensorType>(op.getType()).getRank();
    auto axis = oneAxis(sum.getAxes(), sum.getKeepDims(), rank);
    if (!axis)
      return rewriter.notifyMatchFailure(op, "sums over several axes");
    Value x = exp.getX();
    if (auto sub = x.getDefiningOp<SubOp>())
      if (auto max = sub.getY().getDefiningOp<ReduceMaxOp>();
          max && max.getX() == sub.getX() &&
          oneAxis(max.getAxes(), max.getKeepDims(), rank) == axis)
        x = sub.getX();
    rewriter.replaceOpWithNewOp<SoftmaxOp>(op, op.getType(), x,
                                           rewriter.getI64IntegerAttr(*axis));
    return success();
  }
};

Value negate(OpBuilder &b, Location loc, Value v) {
  auto type = cast<RankedTensorType>(v.getType());
  auto scalar = RankedTensorType::get({}, type.getElementType());
  Value minus = ConstantOp::create(
      b, loc, scalar,
      DenseElementsAttr::get(scalar,
                             b.getFloatAttr(scalar.getElementType(), -1)));
  return MulOp::create(b, loc, type, v, minus);
}

/// 1 - sigmoid(x) -> sigmoid(-x), which is not rounded to 0 where the sigmoid
/// is nearly 1.
struct RecoverComplement : OpRewritePattern<SubOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(SubOp op,
                                PatternRewriter &rewriter) const override {
    auto sigmoid = op.getY().getDefiningOp<SigmoidOp>();
    if (!sigmoid || !isNumber(op.getX(), 1) ||
        op.getType() != sigmoid.getType())
      return rewriter.notifyMatchFailure(op, "is not 1 - sigmoid(x)");
    // A gate that mixes two values is exact enough, and costs less as it is.
    bool tellsRatios = llvm::any_of(op->getUsers(), [](Operation *user) {
      return isa<LogOp, PowOp, RealDivOp>(user);
    });
    if (!sigmoid->hasOneUse() && !tellsRatios)
      return rewriter.notifyMatchFailure(op, "is the other side of a gate");
    rewriter.replaceOpWithNewOp<SigmoidOp>(
        op, op.getType(), negate(rewriter, op.getLoc(), sigmoid.getX()));
    return success();
  }
};

/// log(sigmoid(x)) -> -softplus(-x): fp16 has the sigmoid of -10 with a few
/// bits, and that of -17 as 0.
struct RecoverLogSigmoid : OpRewritePattern<LogOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(LogOp op,
                                PatternRewriter &rewriter) const override {
    auto sigmoid = op.getX().getDefiningOp<SigmoidOp>();
    // With a guard behind the sigmoid it has an end.
    if (!sigmoid || op.getEpsilon().convertToDouble() > 1e-30)
      return rewriter.notifyMatchFailure(op, "is not log(sigmoid(x))");
    Value soft =
        SoftplusOp::create(rewriter, op.getLoc(), op.getType(),
                           negate(rewriter, op.getLoc(), sigmoid.getX()));
    rewriter.replaceOp(op, negate(rewriter, op.getLoc(), soft));
    return success();
  }
};

/// x / sqrt(v) -> x * rsqrt(v) where v is smaller than x: what is left of an
/// RMS norm (engine/rewrites.md §6.4).
struct RootQuotient : OpRewritePattern<RealDivOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(RealDivOp op,
                                PatternRewriter &rewriter) const override {
    auto root = op.getY().getDefiningOp<SqrtOp>();
    if (!root || !root->hasOneUse() ||
        !cast<RankedTensorType>(op.getType()).hasStaticShape() ||
        !cast<RankedTensorType>(root.getType()).hasStaticShape() ||
        cast<RankedTensorType>(root.getType()).getNumElements() >=
            cast<RankedTensorType>(op.getType()).getNumElements())
      return rewriter.notifyMatchFailure(op, "divides by no smaller root");
    Value inverse = RsqrtOp::create(rewriter, op.getLoc(), root.getType(),
                                    root.getX(), rewriter.getF32FloatAttr(0));
    rewriter.replaceOpWithNewOp<MulOp>(op, op.getType(), op.getX(), inverse);
    return success();
  }
};

struct Recover : ane::impl::RecoverPassBase<Recover> {
  using RecoverPassBase::RecoverPassBase;
  void runOnOperation() override {
    // Before a safe form of its sum hides it.
    RewritePatternSet first(&getContext());
    first.add<RecoverSoftmax, RecoverComplement, RecoverLogSigmoid>(
        &getContext());
    if (failed(rewriteGreedily(getOperation(), std::move(first))))
      return signalPassFailure();
    RewritePatternSet patterns(&getContext());
    if (safe)
      populateSafeFormPatterns(patterns);
    patterns
        .add<RecoverSigmoidHard, RecoverSigmoidHardOfQuotient, RecoverGelu,
             RecoverSilu, RecoverLayerNorm<RealDivOp>, RecoverLayerNorm<MulOp>,
             AbsorbAffine<MulOp, true>, AbsorbAffine<AddOp, false>>(
            &getContext());
    if (failed(rewriteGreedily(getOperation(), std::move(patterns))))
      return signalPassFailure();
    if (safe) {
      RewritePatternSet norms(&getContext());
      populateSafeNormPatterns(norms);
      if (failed(rewriteGreedily(getOperation(), std::move(norms))))
        return signalPassFailure();
    }
    // What is left, so that it does not hide a fragment.
    RewritePatternSet rest(&getContext());
    rest.add<DivideToMultiply, RootQuotient>(&getContext());
    populateAttentionPatterns(rest);
    if (failed(rewriteGreedily(getOperation(), std::move(rest))))
      signalPassFailure();
  }
};
} // namespace
