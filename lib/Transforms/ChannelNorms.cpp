//===- ChannelNorms.cpp - norms over channels by convolutions -------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// What reductions over channels cost is a convolution's idle outputs, and an
// accumulator is not a reduction: products below 2^-14 vanish in it (L61), some
// hold multiples of 2^-16 alone, and none a partial sum of 2^15 (L60). So no
// sum here is of values as they come. The quotient x / root(mean(x^2)) is the
// same for any divisor m of each row, and the variance for any offset: m and
// offset are sums that need not be exact, and with them rows are such that the
// sums that count are.
//
//===----------------------------------------------------------------------===//

#include "LegalizeForms.h"
#include "Reshape.h"
#include "ane-mlir/Analysis/CostModel.h"
#include "dialects/ANE/IR/Arithmetic.h"
#include "dialects/ANE/IR/Linear.h"
#include "dialects/ANE/IR/Reduction.h"
#include "dialects/ANE/IR/Unary.h"
#include "dialects/ANE/IR/WeightTrees.h"
#include <cmath>

using namespace mlir;
using namespace mlir::ane;

/// Cores, each of which computes other output channels (engine/cost.md §5.1: 16
/// cores).
static constexpr double kOutputsAtOnce = 16;
/// Weight of magnitudes in the divisor. No quotient of a row is beyond its
/// inverse, so that squares add up to at most 2^14: half of what an accumulator
/// holds.
static constexpr double kShare = 0x1p-7;
/// Magnitudes below this one vanish in the divisor.
static constexpr double kLost = 0x1p-16 / kShare;
/// The largest one, also where its sum is infinite: there magnitudes are beyond
/// 2,048 in the mean, and at most 2 after it.
static constexpr double kMostDivisor = 0x1p15;
/// Channels up to which the squares of a row of equal magnitudes, (128 / C)^2,
/// are 256 units of a fixed-point accumulator.
static constexpr int64_t kMostChannels = 2048;

namespace {
/// As SafeNorm.cpp writes it: z = x / m with m = max(most magnitude, least),
/// and the mean of z^2.
struct ChannelNorm {
  ReduceMeanOp squares;
  MulOp square;
  RealDivOp quotient;
  MaximumOp divisor;
  ReduceMaxOp most;
  double least;

  static std::optional<ChannelNorm> match(ReduceMeanOp op) {
    ChannelNorm norm;
    norm.squares = op;
    norm.square = op.getX().getDefiningOp<MulOp>();
    if (!isOverChannels(op) || !norm.square ||
        norm.square.getX() != norm.square.getY() || !norm.square->hasOneUse())
      return std::nullopt;
    norm.quotient = norm.square.getX().getDefiningOp<RealDivOp>();
    norm.divisor = norm.quotient
                       ? norm.quotient.getY().getDefiningOp<MaximumOp>()
                       : MaximumOp();
    norm.most = norm.divisor ? norm.divisor.getX().getDefiningOp<ReduceMaxOp>()
                             : ReduceMaxOp();
    auto least = norm.most ? splatOf(norm.divisor.getY()) : std::nullopt;
    auto magnitude =
        norm.most ? norm.most.getX().getDefiningOp<AbsOp>() : AbsOp();
    if (!least || !magnitude || magnitude.getX() != norm.quotient.getX() ||
        norm.most.getType() != op.getType() ||
        norm.divisor.getType() != op.getType())
      return std::nullopt;
    norm.least = *least;
    return norm;
  }
};

/// Reductions over channels that take longer than they would on the
/// multipliers, or that fail.
struct ChannelNormToConv : OpRewritePattern<ReduceMeanOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ReduceMeanOp op,
                                PatternRewriter &b) const override {
    auto norm = ChannelNorm::match(op);
    if (!norm)
      return b.notifyMatchFailure(op, "is of no norm over channels");
    auto x = typeOf(op.getX());
    int64_t count = x.getDimSize(1);
    // A divisor of zero where magnitudes add up to more than is held is none.
    if (count > kMostChannels || !x.getElementType().isF16() ||
        getTarget(op).numerics.accumulator ==
            NumericContract::Accumulator::ZeroOnOverflow)
      return b.notifyMatchFailure(op, "is of too many, or of wider ones");
    if (!isRuled(op, "L33") && !isFaster(*norm))
      return b.notifyMatchFailure(op, "is no slower");
    Location loc = op.getLoc();
    auto sum = [&](Value v, double weight) {
      return pointwise(b, loc, op.getType(), v,
                       filled(b, loc, x.clone({1, count, 1, 1}), weight), 1);
    };
    b.setInsertionPoint(norm->most);
    // Of what vanished the squares are no more, either.
    double smallest = std::max(norm->least, kLost * kShare * std::sqrt(count));
    b.replaceOpWithNewOp<ClipOp>(
        norm->divisor, op.getType(), sum(norm->most.getX(), kShare),
        b.getF32FloatAttr(smallest), b.getF32FloatAttr(kMostDivisor));
    b.setInsertionPoint(op);
    // By a quotient, since a factor would go back into the weights.
    b.replaceOpWithNewOp<RealDivOp>(
        op, op.getType(), sum(op.getX(), 1),
        filled(b, loc, RankedTensorType::get({}, x.getElementType()), count));
    return success();
  }

private:
  /// As convolutions with so many output channels as are computed at once: the
  /// others of them idle.
  static bool isFaster(ChannelNorm &norm) {
    auto x = typeOf(norm.squares.getX());
    Clock clock = getClock(norm.squares);
    Cost conv;
    conv.kind = Cost::Kind::Conv;
    conv.positions = double(x.getNumElements()) / x.getDimSize(1);
    conv.flops = 2.0 * kOutputsAtOnce * x.getNumElements();
    conv.weightBytes = 2.0 * x.getDimSize(1);
    double one = predictMicros(conv, clock), now = 0, then = 2 * one;
    for (Operation *op :
         {norm.squares.getOperation(), norm.most.getOperation()})
      now += predict(op, clock).total();
    return then + kWorthwhile < now;
  }
};
} // namespace

void mlir::ane::populateChannelNormPatterns(RewritePatternSet &patterns) {
  // Before means become convolutions by themselves.
  patterns.add<ChannelNormToConv>(patterns.getContext(), /*benefit=*/2);
}
