//===- LegalizeRounding.cpp - round, factors behind floor, silu -----------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "LegalizeForms.h"
#include "Reshape.h"
#include "ane-mlir/Interpreter/Interpreter.h"
#include "dialects/ANE/IR/Arithmetic.h"
#include "dialects/ANE/IR/Cast.h"
#include "dialects/ANE/IR/Comparison.h"
#include "dialects/ANE/IR/Structure.h"
#include "dialects/ANE/IR/Unary.h"

using namespace mlir;
using namespace mlir::ane;

static Value number(OpBuilder &b, Location loc, double value, Value like) {
  auto type = RankedTensorType::get({}, typeOf(like).getElementType());
  return ConstantOp::create(
      b, loc, type,
      DenseElementsAttr::get(type,
                             b.getFloatAttr(type.getElementType(), value)));
}

namespace {
/// The engine's round takes ties away from zero and is wrong from 1024 on. Its
/// floor is exact, and every step here is exact in fp16 or beyond the decision:
///
///   f = floor(x), odd = f - 2 floor(x / 2), d = x - f
///   y = f + floor(d + (1/2 - 2^-11) + odd 2^-11)
///
/// Where f is odd, d is a multiple of 2^-11 and goes up from 1/2 on; where it
/// is even, from the next number above 1/2 on. From 1024 on d is 0.
struct RoundByFloor : OpRewritePattern<RoundOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(RoundOp op, PatternRewriter &b) const override {
    Value x = op.getX();
    auto type = typeOf(x);
    if (!type.getElementType().isF16() || isConstantTree(op.getResult()))
      return b.notifyMatchFailure(op, "is not computed by the engine");
    if (decidesInteger(op))
      return b.notifyMatchFailure(op, "is computed in fp32, on the host");
    if (isQuantisation(op))
      return b.notifyMatchFailure(op, "makes codes, of which a tie is as near");
    Location loc = op.getLoc();
    auto floor = [&](Value v) -> Value {
      return FloorOp::create(b, loc, type, v);
    };
    auto mul = [&](Value v, double factor) -> Value {
      return MulOp::create(b, loc, type, v, number(b, loc, factor, x));
    };
    auto add = [&](Value v, Value w) -> Value {
      return AddOp::create(b, loc, type, v, w);
    };
    auto sub = [&](Value v, Value w) -> Value {
      return SubOp::create(b, loc, type, v, w);
    };
    // No factor stands behind a floor (L30).
    Value whole = floor(x), pairs = floor(mul(x, 0.5));
    Value odd = sub(whole, add(pairs, pairs));
    Value rest = add(sub(x, whole), mul(odd, 0x1p-11));
    Value up = floor(add(rest, number(b, loc, 0.5 - 0x1p-11, x)));
    // Larger numbers are whole; what is infinite has no rest.
    auto bits = type.clone(b.getI1Type());
    Value large = GreaterEqualOp::create(
        b, loc, bits, AbsOp::create(b, loc, type, x), number(b, loc, 1024, x));
    b.replaceOp(
        op,
        SelectOp::create(b, loc, type, large, x, add(whole, up)).getResult());
    return success();
  }

private:
  /// The numbers above are those of fp16: between 1/2 and 1/2 + 2^-11 an fp32
  /// rest would go down. ane-keep-fp32 keeps what makes an integer in fp32.
  static bool decidesInteger(RoundOp op) {
    return op->hasAttr(marks::kExact) ||
           (!op->use_empty() &&
            llvm::all_of(op->getUsers(), [](Operation *user) {
              auto cast = dyn_cast<CastOp>(user);
              auto type =
                  cast ? dyn_cast<IntegerType>(cast.getDtype()) : IntegerType();
              return type && type.getWidth() > 8;
            }));
  }

  /// round, a zero point, clip to few codes: what is wrong from 1024 on is
  /// clipped, and a tie has two nearest codes, between which the rounding of
  /// the quotient to fp16 decides as often. A dozen operations instead of one
  /// would double the predicted time of quantised models.
  static bool isQuantisation(RoundOp op) {
    for (Value value = op.getResult(); value.hasOneUse();) {
      Operation *user = *value.getUsers().begin();
      if (auto clip = dyn_cast<ClipOp>(user))
        return clip.getAlpha().convertToFloat() > -1024 &&
               clip.getBeta().convertToFloat() < 1024;
      if (!isa<AddOp, SubOp>(user) ||
          !isConstantTree(user->getOperand(user->getOperand(0) == value)))
        return false;
      value = user->getResult(0);
    }
    return false;
  }
};

/// A number that multiplies what floor, ceil or round makes is lost (L30); the
/// same number in every place is not.
struct FactorBehindRounding : OpRewritePattern<MulOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(MulOp op, PatternRewriter &b) const override {
    auto type = op.getType();
    if (!type.hasStaticShape() || type.getNumElements() < 2 ||
        !type.getElementType().isF16())
      return b.notifyMatchFailure(op, "has no place to put copies");
    for (bool right : {false, true}) {
      Value factor = right ? op.getY() : op.getX(),
            other = right ? op.getX() : op.getY();
      if (!isRounded(other) || !typeOf(factor).hasStaticShape() ||
          typeOf(factor).getNumElements() != 1 || !isConstantTree(factor) ||
          isConstantTree(other))
        continue;
      EvalContext context(b.getContext(), Numerics::Float32);
      FailureOr<Tensor> value = ConstantEvaluator(context).evaluate(factor);
      if (failed(value))
        return failure();
      Value full = ConstantOp::create(
          b, op.getLoc(), type,
          DenseElementsAttr::get(
              type, b.getFloatAttr(type.getElementType(), value->floats()[0])));
      b.modifyOpInPlace(op, [&] { op->setOperand(right, full); });
      return success();
    }
    return b.notifyMatchFailure(op, "scales nothing that was rounded");
  }

private:
  static bool isRounded(Value value) {
    Operation *op = value.getDefiningOp();
    return op && isa<FloorOp, CeilOp, RoundOp>(op);
  }
};

/// silu's table is off by 1.5e-2; exp, an addition and a quotient by 7e-4
/// (L25). exp(-x) is infinite from x = -11.1 down, and the quotient then 0.
struct SiluByExp : OpRewritePattern<SiluOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(SiluOp op, PatternRewriter &b) const override {
    Value x = op.getX();
    auto type = typeOf(x);
    if (!type.getElementType().isF16() || isConstantTree(op.getResult()))
      return b.notifyMatchFailure(op, "is not computed by the engine");
    Location loc = op.getLoc();
    Value negative = MulOp::create(b, loc, type, x, number(b, loc, -1, x));
    Value power = ExpOp::create(b, loc, type, negative);
    Value below = AddOp::create(b, loc, type, power, number(b, loc, 1, x));
    b.replaceOpWithNewOp<RealDivOp>(op, type, x, below);
    return success();
  }
};
} // namespace

void mlir::ane::populateRoundingPatterns(RewritePatternSet &patterns) {
  patterns.add<RoundByFloor, FactorBehindRounding>(patterns.getContext());
}
void mlir::ane::populateSiluPattern(RewritePatternSet &patterns) {
  patterns.add<SiluByExp>(patterns.getContext());
}
