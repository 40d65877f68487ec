//===- RecoverSafe.cpp - fragments that overflow as they are written ------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// exp(x) is infinite from x = 11.1 on in fp16, a square from 256 on, a sum of
// 65,536 ones as well. In these fragments such a value is on the way to a
// result that fp16 holds, so they become operations, or forms, without it.
//
//===----------------------------------------------------------------------===//

#include "RecoverSafe.h"
#include "SafeNorm.h"
#include "ane-mlir/Interpreter/Interpreter.h"
#include "dialects/ANE/IR/Arithmetic.h"
#include "dialects/ANE/IR/Cast.h"
#include "dialects/ANE/IR/Comparison.h"
#include "dialects/ANE/IR/Reduction.h"
#include "dialects/ANE/IR/Shape.h"
#include "dialects/ANE/IR/Structure.h"
#include "dialects/ANE/IR/Unary.h"
#include <cmath>
#include <limits>

using namespace mlir;
using namespace mlir::ane;

//===----------------------------------------------------------------------===//
// Matching
//===----------------------------------------------------------------------===//

/// A number that exporters write is a constant, or one that was moved or cast;
/// a longer look would walk the graph behind every run-time value.
static bool isShortTree(Value value) {
  for (unsigned depth = 0; depth < 3; ++depth) {
    Operation *op = value.getDefiningOp();
    if (!op)
      return false;
    if (isa<ConstantOp>(op))
      return true;
    if (!isa<CastOp, ReshapeOp, ExpandDimsOp, SqueezeOp, TransposeOp, TileOp>(
            op))
      return false;
    value = op->getOperand(0);
  }
  return false;
}

/// The number that every element of a small constant is.
static std::optional<double> numberOf(Value v) {
  auto type = dyn_cast<RankedTensorType>(v.getType());
  if (!type || !isa<FloatType>(type.getElementType()) ||
      !type.hasStaticShape() || type.getNumElements() == 0 ||
      type.getNumElements() > 4096 || !isShortTree(v))
    return std::nullopt;
  EvalContext context(v.getContext(), Numerics::Float32);
  FailureOr<Tensor> tensor = ConstantEvaluator(context).evaluate(v);
  if (failed(tensor) || !llvm::all_equal(tensor->floats()))
    return std::nullopt;
  return tensor->floats()[0];
}
static bool isNumber(Value v, double wanted) {
  std::optional<double> found = numberOf(v);
  return found && std::fabs(*found - wanted) <= 1e-5 * std::fabs(wanted);
}

/// The other operand of a commutative op and the number beside it.
template <typename Op>
static std::pair<Value, double> besideNumber(Value v) {
  if (auto op = v.getDefiningOp<Op>())
    for (auto [x, number] :
         {std::pair(op.getX(), op.getY()), std::pair(op.getY(), op.getX())})
      if (auto found = numberOf(number); found && !isShortTree(x))
        return {x, *found};
  return {};
}

/// Two values that are computed alike.
static bool areEqual(Value a, Value b, unsigned depth = 4) {
  if (a == b)
    return true;
  Operation *x = a.getDefiningOp(), *y = b.getDefiningOp();
  if (!x || !y || depth == 0 || x->getName() != y->getName() ||
      a.getType() != b.getType() ||
      x->getNumOperands() != y->getNumOperands() ||
      x->getAttrDictionary() != y->getAttrDictionary() ||
      x->getNumRegions() != 0 ||
      cast<OpResult>(a).getResultNumber() !=
          cast<OpResult>(b).getResultNumber())
    return false;
  return llvm::all_of(
      llvm::zip(x->getOperands(), y->getOperands()), [&](auto pair) {
        return areEqual(std::get<0>(pair), std::get<1>(pair), depth - 1);
      });
}

/// -x
static Value negated(Value v) {
  if (auto [x, number] = besideNumber<MulOp>(v); x && number == -1)
    return x;
  auto sub = v.getDefiningOp<SubOp>();
  return sub && isNumber(sub.getX(), 0) ? sub.getY() : Value();
}
static bool areOpposite(Value a, Value b) {
  if (Value x = negated(a); x && areEqual(x, b))
    return true;
  if (Value x = negated(b); x && areEqual(x, a))
    return true;
  // Twice a number and twice its negative.
  auto [x, f] = besideNumber<MulOp>(a);
  auto [y, g] = besideNumber<MulOp>(b);
  return x && y && f == -g && areEqual(x, y);
}

/// x where `v` is x squared.
static Value squared(Value v) {
  if (auto mul = v.getDefiningOp<MulOp>();
      mul && areEqual(mul.getX(), mul.getY()))
    return mul.getX();
  if (auto square = v.getDefiningOp<SquareOp>())
    return square.getX();
  auto pow = v.getDefiningOp<PowOp>();
  return pow && isNumber(pow.getY(), 2) ? pow.getX() : Value();
}

namespace {
struct Reduction {
  Value x;
  SmallVector<int64_t> axes;
  bool keep = false;
  double count = 1;
};
} // namespace

template <typename Op>
static std::optional<Reduction> matchReduction(Value v) {
  auto op = v.getDefiningOp<Op>();
  if (!op || !typeOf(op.getX()).hasStaticShape())
    return std::nullopt;
  Reduction r;
  r.x = op.getX();
  r.keep = op.getKeepDims();
  int64_t rank = typeOf(r.x).getRank();
  if (std::optional<ArrayRef<int64_t>> axes = op.getAxes())
    for (int64_t axis : *axes)
      r.axes.push_back(axis < 0 ? axis + rank : axis);
  else
    r.axes = llvm::to_vector(llvm::seq<int64_t>(rank));
  llvm::sort(r.axes);
  for (int64_t axis : r.axes)
    r.count *= typeOf(r.x).getDimSize(axis);
  return r;
}
static DenseI64ArrayAttr axesAttr(OpBuilder &b, const Reduction &r) {
  return b.getDenseI64ArrayAttr(r.axes);
}

/// Behind reshapes and copies along an axis, as exporters unsqueeze and expand.
static Value skipBroadcast(Value v) {
  while (Operation *op = v.getDefiningOp()) {
    if (isa<ReshapeOp, ExpandDimsOp, SqueezeOp, TileOp, IdentityOp>(op)) {
      v = op->getOperand(0);
      continue;
    }
    // Expand is a product with ones.
    auto [x, number] = besideNumber<MulOp>(v);
    if (!x || number != 1)
      break;
    v = x;
  }
  return v;
}

/// What stands behind a guard against zero (v + number, max(v, number), a clip
/// from below, or v == 0 ? number : v), which goes into `guard`; `v` itself
/// where there is none. Null where the number is negative.
static Value matchGuard(Value v, double &guard, bool &isMaximum) {
  v = skipBroadcast(v);
  guard = 0;
  isMaximum = false;
  Value inner = v;
  if (auto [x, number] = besideNumber<AddOp>(v); x) {
    guard = number;
    inner = x;
  } else if (auto [x, number] = besideNumber<MaximumOp>(v); x) {
    guard = number;
    isMaximum = true;
    inner = x;
  } else if (auto clip = v.getDefiningOp<ClipOp>();
             clip && clip.getBeta().convertToDouble() > 1e30) {
    guard = clip.getAlpha().convertToDouble();
    isMaximum = true;
    inner = clip.getX();
  } else if (auto select = v.getDefiningOp<SelectOp>()) {
    // Zero is divided by some number, and nothing else changes.
    auto isZero = select.getCond().getDefiningOp<EqualOp>();
    if (isZero && isZero.getX() == select.getB() &&
        isNumber(isZero.getY(), 0) && numberOf(select.getA())) {
      guard = std::numeric_limits<float>::min();
      isMaximum = true;
      inner = select.getB();
    }
  }
  return guard < 0 ? Value() : skipBroadcast(inner);
}

//===----------------------------------------------------------------------===//
// Sums and exponentials
//===----------------------------------------------------------------------===//

namespace {
/// sum(x) * s, where the sum may be beyond fp16 and s is about 1/n.
template <typename Op>
struct SumToMean : OpRewritePattern<Op> {
  using OpRewritePattern<Op>::OpRewritePattern;
  LogicalResult matchAndRewrite(Op op, PatternRewriter &b) const override {
    for (auto [data, other] :
         {std::pair(op.getX(), op.getY()), std::pair(op.getY(), op.getX())}) {
      auto sum = matchReduction<ReduceSumOp>(data);
      auto number = sum ? numberOf(other) : std::nullopt;
      if (number && isa<FloatType>(typeOf(sum->x).getElementType()) &&
          op.getType() == data.getType()) {
        double factor = std::is_same_v<Op, MulOp> ? *number : 1 / *number;
        factor *= sum->count;
        if (!(std::fabs(factor) <= 4) || sum->count < 2)
          return b.notifyMatchFailure(op, "the sum is not divided");
        Value mean =
            ReduceMeanOp::create(b, op.getLoc(), data.getType(), sum->x,
                                 axesAttr(b, *sum), b.getBoolAttr(sum->keep));
        if (std::fabs(factor - 1) > 1e-6) {
          auto scalar =
              RankedTensorType::get({}, op.getType().getElementType());
          Value rest = ConstantOp::create(
              b, op.getLoc(), scalar,
              DenseElementsAttr::get(
                  scalar, b.getFloatAttr(scalar.getElementType(), factor)));
          mean = MulOp::create(b, op.getLoc(), op.getType(), mean, rest);
        }
        b.replaceOp(op, mean);
        return success();
      }
      if (std::is_same_v<Op, RealDivOp>)
        break;
    }
    return b.notifyMatchFailure(op, "no sum times a number");
  }
};

/// x / (sum(|x|) + e) as x / (mean(|x|) + e/n) / n, also of sums of x itself:
/// the mean is a number of x's own size.
struct ShareOfSum : OpRewritePattern<RealDivOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(RealDivOp op,
                                PatternRewriter &b) const override {
    double guard;
    bool isMaximum;
    Value v = matchGuard(op.getY(), guard, isMaximum);
    if (!v)
      return b.notifyMatchFailure(op, "its guard is negative");
    auto sum = matchReduction<ReduceSumOp>(v);
    Value terms = sum ? sum->x : Value();
    if (!sum)
      if ((sum = matchReduction<ReduceL1NormOp>(v)))
        terms = sum->x;
    if (!sum || !(sum->count >= 2 && sum->count <= 32768))
      return b.notifyMatchFailure(op, "divides by no sum");
    auto type = op.getType();
    Value x = op.getX(), inner = terms;
    if (auto abs = terms.getDefiningOp<AbsOp>())
      inner = abs.getX();
    if (x.getType() != type || !isa<FloatType>(type.getElementType()) ||
        !(areEqual(x, terms) || areEqual(x, inner)))
      return b.notifyMatchFailure(op, "is no share of a sum");
    Location loc = op.getLoc();
    SmallVector<int64_t> shape(type.getShape());
    for (int64_t axis : sum->axes)
      shape[axis] = 1;
    // A sum without its axis may be broadcast along another one: of a matrix,
    // each column by the sum of a row.
    auto divisor = typeOf(op.getY()).getShape();
    bool isKept = divisor.size() <= shape.size();
    for (size_t i = 0; isKept && i < shape.size(); ++i) {
      size_t missing = shape.size() - divisor.size();
      isKept = shape[i] == (i < missing ? 1 : divisor[i - missing]);
    }
    if (!isKept)
      return b.notifyMatchFailure(op, "its sum is broadcast along other axes");
    auto small = type.clone(shape);
    auto number = [&](double value) -> Value {
      auto scalar = RankedTensorType::get({}, type.getElementType());
      return ConstantOp::create(
          b, loc, scalar,
          DenseElementsAttr::get(scalar,
                                 b.getFloatAttr(type.getElementType(), value)));
    };
    if (v.getDefiningOp<ReduceL1NormOp>())
      terms = AbsOp::create(b, loc, type, terms);
    Value mean = ReduceMeanOp::create(b, loc, small, terms, axesAttr(b, *sum),
                                      b.getBoolAttr(true));
    if (guard > 0)
      mean = isMaximum ? MaximumOp::create(b, loc, small, mean,
                                           number(guard / sum->count))
                             .getResult()
                       : AddOp::create(b, loc, small, mean,
                                       number(guard / sum->count))
                             .getResult();
    b.replaceOpWithNewOp<MulOp>(op, type,
                                RealDivOp::create(b, loc, type, x, mean),
                                number(1 / sum->count));
    return success();
  }
};

/// mean(x^2) - mean(x)^2 -> mean((x - mean(x))^2): the difference of two large
/// numbers, one of them beyond fp16.
struct CentreVariance : OpRewritePattern<SubOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(SubOp op, PatternRewriter &b) const override {
    auto squares = matchReduction<ReduceMeanOp>(op.getX());
    Value x = squares ? squared(squares->x) : Value();
    Value root = x ? squared(op.getY()) : Value();
    auto mean = root ? matchReduction<ReduceMeanOp>(root) : std::nullopt;
    if (!mean || !areEqual(mean->x, x) || mean->axes != squares->axes ||
        mean->keep != squares->keep)
      return b.notifyMatchFailure(op, "is no variance");
    Location loc = op.getLoc();
    SmallVector<int64_t> shape(typeOf(x).getShape());
    for (int64_t axis : mean->axes)
      shape[axis] = 1;
    Value centre = root;
    if (!mean->keep)
      centre = ReduceMeanOp::create(b, loc, typeOf(x).clone(shape), x,
                                    axesAttr(b, *mean), b.getBoolAttr(true));
    Value d = SubOp::create(b, loc, x.getType(), x, centre);
    b.replaceOpWithNewOp<ReduceMeanOp>(
        op, op.getType(), MulOp::create(b, loc, x.getType(), d, d),
        axesAttr(b, *mean), b.getBoolAttr(mean->keep));
    return success();
  }
};

/// log(sum(exp(x))), log(1 + exp(x)), log(exp(a) + exp(b))
struct RecoverLogOfExp : OpRewritePattern<LogOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(LogOp op, PatternRewriter &b) const override {
    if (!op.getEpsilon().isZero() || !typeOf(op.getX()).hasStaticShape())
      return b.notifyMatchFailure(op, "has an epsilon");
    Location loc = op.getLoc();
    // log(sigmoid(x)) = -softplus(-x): a sigmoid below 2^-24 is 0.
    if (auto sigmoid = op.getX().getDefiningOp<SigmoidOp>()) {
      auto scalar = RankedTensorType::get({}, op.getType().getElementType());
      Value minus = ConstantOp::create(
          b, loc, scalar,
          DenseElementsAttr::get(scalar,
                                 b.getFloatAttr(scalar.getElementType(), -1)));
      Value negative =
          MulOp::create(b, loc, op.getType(), sigmoid.getX(), minus);
      b.replaceOpWithNewOp<MulOp>(
          op, op.getType(), SoftplusOp::create(b, loc, op.getType(), negative),
          minus);
      return success();
    }
    if (auto sum = matchReduction<ReduceSumOp>(op.getX()))
      if (auto exp = sum->x.getDefiningOp<ExpOp>()) {
        b.replaceOpWithNewOp<ReduceLogSumExpOp>(op, op.getType(), exp.getX(),
                                                axesAttr(b, *sum),
                                                b.getBoolAttr(sum->keep));
        return success();
      }
    auto add = op.getX().getDefiningOp<AddOp>();
    if (!add)
      return b.notifyMatchFailure(op, "is of no sum");
    if (auto [exp, number] = besideNumber<AddOp>(op.getX()); exp && number == 1)
      if (auto e = exp.getDefiningOp<ExpOp>();
          e && e.getType() == op.getType()) {
        b.replaceOpWithNewOp<SoftplusOp>(op, op.getType(), e.getX());
        return success();
      }
    auto first = add.getX().getDefiningOp<ExpOp>(),
         second = add.getY().getDefiningOp<ExpOp>();
    if (!first || !second || first.getType() != op.getType() ||
        second.getType() != op.getType())
      return b.notifyMatchFailure(op, "is of no exponentials");
    // max + softplus(-|a - b|)
    Type type = op.getType();
    Value most = MaximumOp::create(b, loc, type, first.getX(), second.getX());
    Value least = MinimumOp::create(b, loc, type, first.getX(), second.getX());
    Value tail = SoftplusOp::create(b, loc, type,
                                    SubOp::create(b, loc, type, least, most));
    b.replaceOpWithNewOp<AddOp>(op, type, most, tail);
    return success();
  }
};

/// exp(x) / (1 + exp(x)) and the tanh's of exponentials: infinity over
/// infinity. 1 / (1 + exp(-x)) is right as it is.
struct RecoverQuotientOfExp : OpRewritePattern<RealDivOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(RealDivOp op,
                                PatternRewriter &b) const override {
    Type type = op.getType();
    if (auto exp = op.getX().getDefiningOp<ExpOp>()) {
      auto [other, number] = besideNumber<AddOp>(op.getY());
      if (other && number == 1 && areEqual(other, exp) &&
          exp.getType() == type) {
        b.replaceOpWithNewOp<SigmoidOp>(op, type, exp.getX());
        return success();
      }
    }
    auto sum = op.getY().getDefiningOp<AddOp>();
    auto difference = op.getX().getDefiningOp<SubOp>();
    if (!sum || !difference)
      return b.notifyMatchFailure(op, "is no tanh");
    auto expOf = [](Value v) {
      auto exp = v.getDefiningOp<ExpOp>();
      return exp ? exp.getX() : Value();
    };
    // (e^a - e^b) / (e^a + e^b) = tanh((a - b) / 2); one of them may be e^0.
    auto half = [&](double factor, Value x) -> Value {
      auto scalar = RankedTensorType::get({}, op.getType().getElementType());
      Value number = ConstantOp::create(
          b, op.getLoc(), scalar,
          DenseElementsAttr::get(
              scalar, b.getFloatAttr(scalar.getElementType(), factor)));
      return MulOp::create(b, op.getLoc(), x.getType(), x, number);
    };
    Value u = difference.getX(), v = difference.getY();
    bool same = (areEqual(sum.getX(), u) && areEqual(sum.getY(), v)) ||
                (areEqual(sum.getX(), v) && areEqual(sum.getY(), u));
    if (!same)
      return b.notifyMatchFailure(op, "sum and difference are of others");
    Value a = expOf(u), c = expOf(v), x;
    if (a && c && areOpposite(a, c))
      x = a;
    else if (a && isNumber(v, 1))
      x = half(0.5, a);
    else if (c && isNumber(u, 1))
      x = half(-0.5, c);
    if (!x || x.getType() != type)
      return b.notifyMatchFailure(op, "is no tanh");
    b.replaceOpWithNewOp<TanhOp>(op, type, x);
    return success();
  }
};

//===----------------------------------------------------------------------===//
// Norms
//===----------------------------------------------------------------------===//

/// The squares under a root.
struct Squares {
  Value x;
  SmallVector<int64_t> axes;
  NormGuard guard;
};

/// mean or sum of squares, times a number, plus a number.
std::optional<Squares> matchSquares(Value v) {
  Squares s;
  v = skipBroadcast(v);
  if (auto [inner, number] = besideNumber<AddOp>(v); inner) {
    if (number < 0)
      return std::nullopt;
    s.guard.inside = number;
    v = skipBroadcast(inner);
  } else if (auto [inner, number] = besideNumber<MaximumOp>(v); inner) {
    // As good as a sum where the rest is larger, and beside it small.
    if (number < 0 || number > 1e-4)
      return std::nullopt;
    s.guard.inside = number;
    v = skipBroadcast(inner);
  }
  auto take = [&](const std::optional<Reduction> &r, Value x, bool sum) {
    if (!r || !x)
      return false;
    s.x = x;
    s.axes = r->axes;
    s.guard.sum = sum;
    return true;
  };
  if (auto r = matchReduction<ReduceMeanOp>(v);
      r && take(r, squared(r->x), false))
    return s;
  if (auto r = matchReduction<ReduceSumOp>(v);
      r && take(r, squared(r->x), true))
    return s;
  if (auto r = matchReduction<ReduceSumSquareOp>(v);
      take(r, r ? r->x : Value(), true))
    return s;
  return std::nullopt;
}

/// The root of squares, with what guards it.
std::optional<Squares> matchRoot(Value v, bool inverse) {
  v = skipBroadcast(v);
  if (inverse) {
    if (auto rsqrt = v.getDefiningOp<RsqrtOp>()) {
      auto s = matchSquares(rsqrt.getX());
      if (s)
        s->guard.inside += rsqrt.getEpsilon().convertToDouble();
      return s;
    }
    if (auto pow = v.getDefiningOp<PowOp>(); pow && isNumber(pow.getY(), -0.5))
      return matchSquares(pow.getX());
    if (auto inv = v.getDefiningOp<InverseOp>();
        inv && inv.getEpsilon().isZero())
      return matchRoot(inv.getX(), false);
    if (auto div = v.getDefiningOp<RealDivOp>(); div && isNumber(div.getX(), 1))
      return matchRoot(div.getY(), false);
    return std::nullopt;
  }
  NormGuard outside;
  v = matchGuard(v, outside.outside, outside.isMaximum);
  if (!v)
    return std::nullopt;
  std::optional<Squares> s;
  if (auto sqrt = v.getDefiningOp<SqrtOp>()) {
    s = matchSquares(sqrt.getX());
  } else if (auto pow = v.getDefiningOp<PowOp>();
             pow && isNumber(pow.getY(), 0.5)) {
    s = matchSquares(pow.getX());
  } else if (auto r = matchReduction<ReduceL2NormOp>(v)) {
    s = Squares{r->x, r->axes, {}};
    s->guard.sum = true;
  }
  if (s) {
    s->guard.outside = outside.outside;
    s->guard.isMaximum = outside.isMaximum;
  }
  return s;
}

/// x / root(squares of x)
template <typename Op>
struct RecoverNorm : OpRewritePattern<Op> {
  using OpRewritePattern<Op>::OpRewritePattern;
  LogicalResult matchAndRewrite(Op op, PatternRewriter &b) const override {
    constexpr bool divides = std::is_same_v<Op, RealDivOp>;
    auto type = cast<RankedTensorType>(op.getType());
    if (!type.hasStaticShape() || !isa<FloatType>(type.getElementType()))
      return b.notifyMatchFailure(op, "has no static shape");
    for (auto [data, root] :
         {std::pair(op.getX(), op.getY()), std::pair(op.getY(), op.getX())}) {
      auto squares = matchRoot(root, !divides);
      if (squares && data.getType() == type && fits(root, *squares) &&
          areEqual(squares->x, data) && !isShortTree(data) &&
          !isDividedByLargest(data)) {
        b.replaceOp(op, normaliseSafely(b, op.getLoc(), data, squares->axes,
                                        squares->guard));
        return success();
      }
      if (divides)
        break;
    }
    return b.notifyMatchFailure(op, "is no norm");
  }
  /// Without a guard the safe form is a norm too, of what is at most 1 already.
  static bool isDividedByLargest(Value data) {
    auto div = data.getDefiningOp<RealDivOp>();
    auto least =
        div ? div.getY().template getDefiningOp<MaximumOp>() : MaximumOp();
    auto most = least ? least.getX().template getDefiningOp<ReduceMaxOp>()
                      : ReduceMaxOp();
    auto magnitude =
        most ? most.getX().template getDefiningOp<AbsOp>() : AbsOp();
    return magnitude && magnitude.getX() == div.getX();
  }
  /// Does `root` broadcast along just the axes that were reduced?
  static bool fits(Value root, const Squares &s) {
    auto x = typeOf(s.x), r = typeOf(root);
    if (r == x)
      return true;
    SmallVector<int64_t> padded(
        x.getRank() - std::min(r.getRank(), x.getRank()), 1);
    llvm::append_range(padded, r.getShape());
    for (auto [i, dim] : llvm::enumerate(x.getShape()))
      if (padded[i] != (llvm::is_contained(s.axes, int64_t(i)) ? 1 : dim))
        return false;
    return true;
  }
};

/// sum(a b) / (|a| |b|): each is normalised first, since both the sum and the
/// product of two norms of 256 are beyond fp16.
struct RecoverCosine : OpRewritePattern<RealDivOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(RealDivOp op,
                                PatternRewriter &b) const override {
    auto dot = matchReduction<ReduceSumOp>(op.getX());
    auto product = dot ? dot->x.getDefiningOp<MulOp>() : MulOp();
    if (!product || op.getType() != op.getX().getType())
      return b.notifyMatchFailure(op, "is of no sum of products");
    double guard;
    bool isMaximum;
    Value v = matchGuard(op.getY(), guard, isMaximum);
    auto norms = v ? v.getDefiningOp<MulOp>() : MulOp();
    if (!norms || guard > 1e-4)
      return b.notifyMatchFailure(op, "divides by no product of norms");
    auto first = matchRoot(norms.getX(), false),
         second = matchRoot(norms.getY(), false);
    if (!first || !second || first->axes != dot->axes ||
        second->axes != dot->axes || !first->guard.sum || !second->guard.sum)
      return b.notifyMatchFailure(op, "divides by no product of norms");
    Value x = product.getX(), y = product.getY();
    if (!areEqual(x, first->x))
      std::swap(x, y);
    if (!areEqual(x, first->x) || !areEqual(y, second->x) ||
        x.getType() != y.getType() || x.getType() != product.getType())
      return b.notifyMatchFailure(op, "norms are of others");
    auto normalise = [&](Value value, NormGuard own) {
      if (guard > 0 && own.outside == 0) {
        own.outside = std::sqrt(guard);
        own.isMaximum = true;
      }
      return normaliseSafely(b, op.getLoc(), value, dot->axes, own);
    };
    Value shares =
        MulOp::create(b, op.getLoc(), x.getType(), normalise(x, first->guard),
                      normalise(y, second->guard));
    b.replaceOpWithNewOp<ReduceSumOp>(
        op, op.getType(), shares, axesAttr(b, *dot), b.getBoolAttr(dot->keep));
    return success();
  }
};

/// root(sum(x^2)), used for itself: its squares are beyond fp16 long before it.
template <typename Op>
struct RecoverL2 : OpRewritePattern<Op> {
  using OpRewritePattern<Op>::OpRewritePattern;
  LogicalResult matchAndRewrite(Op op, PatternRewriter &b) const override {
    if constexpr (std::is_same_v<Op, PowOp>)
      if (!isNumber(op.getY(), 0.5))
        return b.notifyMatchFailure(op, "is no root");
    Value v = op.getX();
    auto sum = matchReduction<ReduceSumOp>(v);
    Value x = sum ? squared(sum->x) : Value();
    if (!x) {
      sum = matchReduction<ReduceSumSquareOp>(v);
      x = sum ? sum->x : Value();
    }
    if (!x || op.getType() != v.getType())
      return b.notifyMatchFailure(op, "is of no squares");
    b.replaceOpWithNewOp<ReduceL2NormOp>(op, op.getType(), x, axesAttr(b, *sum),
                                         b.getBoolAttr(sum->keep));
    return success();
  }
};
} // namespace

void mlir::ane::populateSafeFormPatterns(RewritePatternSet &patterns) {
  patterns.add<SumToMean<MulOp>, SumToMean<RealDivOp>, ShareOfSum,
               CentreVariance, RecoverLogOfExp, RecoverQuotientOfExp>(
      patterns.getContext());
}
void mlir::ane::populateSafeNormPatterns(RewritePatternSet &patterns) {
  patterns.add<RecoverCosine, RecoverNorm<RealDivOp>, RecoverNorm<MulOp>>(
      patterns.getContext(), /*benefit=*/2);
  patterns.add<RecoverL2<SqrtOp>, RecoverL2<PowOp>>(patterns.getContext(),
                                                    /*benefit=*/1);
}
