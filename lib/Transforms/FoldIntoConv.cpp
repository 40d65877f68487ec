//===- FoldIntoConv.cpp - batch norm, scale, bias and pad into conv -------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "Reshape.h"
#include "RewriteGreedily.h"
#include "ane-mlir/Interpreter/Interpreter.h"
#include "ane-mlir/Transforms/Passes.h"
#include "dialects/ANE/IR/Arithmetic.h"
#include "dialects/ANE/IR/Linear.h"
#include "dialects/ANE/IR/Norm.h"
#include "dialects/ANE/IR/Quant.h"
#include "dialects/ANE/IR/Reduction.h"
#include "dialects/ANE/IR/Shape.h"
#include "dialects/ANE/IR/Structure.h"
#include "dialects/ANE/IR/Unary.h"
#include "mlir/IR/PatternMatch.h"
#include <cmath>

using namespace mlir;
using namespace mlir::ane;

namespace mlir::ane {
#define GEN_PASS_DEF_FOLDINTOCONVPASS
#include "ane-mlir/Transforms/Passes.h.inc"
} // namespace mlir::ane

/// conv that only `user` reads, with weights known at compile time.
static ConvOp foldableConv(Value value) {
  auto conv = value.getDefiningOp<ConvOp>();
  if (!conv || !conv->hasOneUse() || !isConstantTree(conv.getWeight()) ||
      (conv.getBias() && !isConstantTree(conv.getBias())))
    return {};
  return conv;
}

/// weight * scale and bias * scale + shift, where scale and shift are [C] or
/// null.
static ConvOp rebuild(PatternRewriter &rewriter, ConvOp conv,
                      Operation *replaced, Value scale, Value shift) {
  Location loc = replaced->getLoc();
  rewriter.setInsertionPoint(replaced);
  Value weight = conv.getWeight(), bias = conv.getBias();
  auto weightType = cast<RankedTensorType>(weight.getType());
  if (scale) {
    SmallVector<int64_t> wide(weightType.getRank(), 1);
    wide[0] = weightType.getDimSize(0);
    weight = MulOp::create(rewriter, loc, weightType, weight,
                           reshapeTo(rewriter, loc, scale, wide));
    if (bias)
      bias = MulOp::create(rewriter, loc, bias.getType(), bias, scale);
  }
  if (shift)
    bias = bias ? AddOp::create(rewriter, loc, bias.getType(), bias, shift)
                      .getResult()
                : shift;
  return ConvOp::create(rewriter, loc, conv.getType(), conv.getX(), weight,
                        bias, conv.getStridesAttr(), conv.getPadTypeAttr(),
                        conv.getPadAttr(), conv.getDilationsAttr(),
                        conv.getGroupsAttr());
}

/// True for a constant that has one number per channel of `type`.
static bool isPerChannel(Value value, RankedTensorType type) {
  auto own = cast<RankedTensorType>(value.getType());
  int64_t channels = type.getDimSize(1),
          axis = own.getRank() - (type.getRank() - 1);
  return isConstantTree(value) && own.getNumElements() == channels &&
         axis >= 0 && axis < own.getRank() && own.getDimSize(axis) == channels;
}

namespace {
/// batch_norm(conv(x)) -> conv(x)
struct FoldBatchNorm : OpRewritePattern<BatchNormOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(BatchNormOp op,
                                PatternRewriter &rewriter) const override {
    ConvOp conv = foldableConv(op.getX());
    if (!conv)
      return rewriter.notifyMatchFailure(
          op, "operand is no convolution with constant weights and one use");
    for (Value parameter : op->getOperands().drop_front())
      if (!isConstantTree(parameter))
        return rewriter.notifyMatchFailure(op, "statistics are not constant");
    auto [scale, shift] = op.makeScaleAndShift(rewriter);
    rewriter.replaceOp(op, rebuild(rewriter, conv, op, scale, shift));
    return success();
  }
};

/// add(conv(x), c) and mul(conv(x), c) with one constant per channel -> conv(x)
template <typename Op, bool isScale>
struct FoldChannelConstant : OpRewritePattern<Op> {
  using OpRewritePattern<Op>::OpRewritePattern;
  LogicalResult matchAndRewrite(Op op,
                                PatternRewriter &rewriter) const override {
    for (auto [value, other] :
         {std::pair{op.getX(), op.getY()}, {op.getY(), op.getX()}}) {
      ConvOp conv = foldableConv(value);
      if (!conv || !isConstantTree(other) || op.getType() != conv.getType())
        continue;
      auto type = cast<RankedTensorType>(other.getType()),
           result = cast<RankedTensorType>(conv.getType());
      int64_t channels = result.getDimSize(1);
      bool one = type.getNumElements() == 1;
      if (!one && !isPerChannel(other, result))
        continue;
      Value vector =
          reshapeTo(rewriter, op.getLoc(), other, {one ? 1 : channels});
      if (one && channels != 1) {
        auto wide = RankedTensorType::get({channels}, type.getElementType());
        Value ones = ConstantOp::create(
            rewriter, op.getLoc(), wide,
            DenseElementsAttr::get(
                wide, rewriter.getFloatAttr(type.getElementType(), 1.0)));
        vector = MulOp::create(rewriter, op.getLoc(), wide, ones, vector);
      }
      rewriter.replaceOp(op,
                         rebuild(rewriter, conv, op, isScale ? vector : Value(),
                                 isScale ? Value() : vector));
      return success();
    }
    return rewriter.notifyMatchFailure(
        op, "no operand is a convolution beside a constant per channel");
  }
};

/// True when more than one operation reads the weights as they are run: scaled,
/// they would be stored twice.
static bool isShared(Value weight) {
  return llvm::count_if(weight.getUsers(), [](Operation *user) {
           return !user->getNumResults() || !isConstantTree(user->getResult(0));
         }) > 1;
}

/// True when weights are decoded from fewer bits, which they would lose.
static bool isDecoded(Value weight) {
  Operation *op = weight.getDefiningOp();
  return op && (isa<DequantizeOp>(op) || isCompressed(op) ||
                op->getName().stripDialect().starts_with("constexpr_") ||
                llvm::any_of(op->getOperands(), isDecoded));
}

/// True when the weights of a convolution stay as far from the ends of fp16 as
/// they are: an image's 1 / 255 is no factor of them.
static bool isMild(Value factors) {
  EvalContext context(factors.getContext(), Numerics::Float32);
  FailureOr<Tensor> values = ConstantEvaluator(context).evaluate(factors);
  if (failed(values) || !values->isFloat())
    return false;
  float most = 0;
  for (int64_t i = 0; i < values->size(); ++i)
    most = std::max(most, std::fabs(values->floats()[i]));
  return most >= 0x1p-4 && most <= 0x1p6;
}

/// True for what a norm over channels gives before its factors and offsets, as
/// SafeNorm.cpp writes it: a value times the inverse of a root, or divided by a
/// root with a least value, one of each place.
static bool isNormalised(Value v) {
  auto perPlace = [](Value x) {
    auto type = cast<RankedTensorType>(x.getType());
    return type.getRank() == 4 && type.getDimSize(1) == 1;
  };
  if (auto quotient = v.getDefiningOp<RealDivOp>())
    return perPlace(quotient.getY()) &&
           quotient.getY().getDefiningOp<MaximumOp>();
  auto product = v.getDefiningOp<MulOp>();
  if (!product)
    return false;
  // Its own factors: one per channel, or one number behind the root.
  if (isPerChannel(product.getY(), product.getType()))
    return isNormalised(product.getX());
  Value inverse = product.getY();
  if (auto scaled = inverse.getDefiningOp<MulOp>();
      scaled && splatOf(scaled.getY()))
    inverse = scaled.getX();
  return perPlace(inverse) && inverse.getDefiningOp<RsqrtOp>();
}

/// conv(x * c) and conv(x + c) with one constant per channel, where x is a
/// norm's and nothing but convolutions reads the product or the sum -> conv(x).
/// Of other values an offset may be most: a convolution of pixels loses to
/// fp16 what one of pixels less their mean holds.
template <typename Op, bool isScale>
struct FoldConstantBefore : OpRewritePattern<Op> {
  using OpRewritePattern<Op>::OpRewritePattern;
  LogicalResult matchAndRewrite(Op op, PatternRewriter &b) const override {
    RankedTensorType type = op.getType();
    Value x = op.getX(), other = op.getY();
    if (isConstantTree(x))
      std::swap(x, other);
    if (type.getRank() != 4 || x.getType() != type || op->use_empty() ||
        isConstantTree(op.getResult()) || !isNormalised(x))
      return b.notifyMatchFailure(op, "is no norm's");
    SmallVector<ConvOp> readers;
    for (Operation *user : op->getUsers()) {
      auto conv = dyn_cast<ConvOp>(user);
      if (!conv || conv.getX() != op.getResult() || conv.getGroups() != 1 ||
          !isConstantTree(conv.getWeight()) || isShared(conv.getWeight()) ||
          isDecoded(conv.getWeight()) || (!isScale && !isPlain(conv)))
        return b.notifyMatchFailure(op, "is read by others");
      readers.push_back(conv);
    }
    if (!isPerChannel(other, type) || (isScale && !isMild(other)))
      return b.notifyMatchFailure(op, "has no constant per channel");
    for (ConvOp conv : readers) {
      b.setInsertionPoint(conv);
      Location loc = conv.getLoc();
      auto weightType = cast<RankedTensorType>(conv.getWeight().getType());
      Value wide = reshapeTo(b, loc, other, {1, type.getDimSize(1), 1, 1});
      Value product = MulOp::create(b, loc, weightType, conv.getWeight(), wide);
      if (isScale) {
        b.modifyOpInPlace(conv, [&] {
          conv.getXMutable().assign(x);
          conv.getWeightMutable().assign(product);
        });
        continue;
      }
      b.modifyOpInPlace(conv, [&] { conv.getXMutable().assign(x); });
      addBehind(b, conv, product);
    }
    return success();
  }

private:
  /// Each output sees as many inputs.
  static bool isPlain(ConvOp conv) {
    return conv.getPadType() == PadType::valid ||
           (conv.getPadType() == PadType::custom &&
            llvm::all_of(conv.getPad(), [](int64_t p) { return p == 0; }));
  }

  /// The sums of `product`, [O, C, 1, 1], are added to what is added already.
  static void addBehind(PatternRewriter &b, ConvOp conv, Value product) {
    Location loc = conv.getLoc();
    auto type = cast<RankedTensorType>(product.getType());
    int64_t outputs = type.getDimSize(0);
    Value sum = ReduceSumOp::create(b, loc, type.clone({outputs, 1, 1, 1}),
                                    product, b.getDenseI64ArrayAttr({1, 2, 3}),
                                    b.getBoolAttr(true));
    Value shift = reshapeTo(b, loc, sum, {1, outputs, 1, 1});
    auto after = conv->hasOneUse() ? dyn_cast<AddOp>(*conv->getUsers().begin())
                                   : AddOp();
    if (after && after.getX() == conv.getResult() &&
        isConstantTree(after.getY())) {
      auto have = cast<RankedTensorType>(after.getY().getType());
      if (have.getNumElements() == outputs && have.getRank() >= 3 &&
          have.getDimSize(have.getRank() - 3) == outputs) {
        b.setInsertionPoint(after);
        Value both = AddOp::create(
            b, loc, typeOf(shift),
            reshapeTo(b, loc, after.getY(), {1, outputs, 1, 1}), shift);
        b.modifyOpInPlace(after, [&] { after.getYMutable().assign(both); });
        return;
      }
    }
    b.setInsertionPointAfter(conv);
    auto added = AddOp::create(b, loc, conv.getType(), conv, shift);
    b.replaceAllUsesExcept(conv, added.getResult(), added);
  }
};

/// conv(pad(x)) with zeros around the spatial axes -> conv(x)
struct FoldPad : OpRewritePattern<ConvOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ConvOp op,
                                PatternRewriter &rewriter) const override {
    auto pad = op.getX().getDefiningOp<PadOp>();
    if (!pad || pad.getMode() != PadMode::constant ||
        !pad.getConstantVal().isZero())
      return rewriter.notifyMatchFailure(op,
                                         "operand is no padding with zeros");
    if (op.getPadType() != PadType::valid && op.getPadType() != PadType::custom)
      return rewriter.notifyMatchFailure(op,
                                         "pad_type computes its own padding");
    size_t spatial = op.getPad().size(), given = pad.getPad().size();
    SmallVector<int64_t> sum = op.getPadType() == PadType::custom
                                   ? SmallVector<int64_t>(op.getPad())
                                   : SmallVector<int64_t>(spatial, 0);
    for (size_t i = 0; i < given; ++i) {
      int64_t amount = pad.getPad()[given - 1 - i];
      if (i < spatial)
        sum[spatial - 1 - i] += amount;
      else if (amount)
        return rewriter.notifyMatchFailure(op, "channels or batch are padded");
    }
    rewriter.modifyOpInPlace(op, [&] {
      op.getXMutable().assign(pad.getX());
      op.setPadType(PadType::custom);
      op.setPad(sum);
    });
    return success();
  }
};

/// x and the number of a product with one.
std::optional<std::pair<Value, double>> matchFactor(Value v) {
  auto op = v.getDefiningOp<MulOp>();
  if (op)
    for (auto [value, other] :
         {std::pair{op.getX(), op.getY()}, {op.getY(), op.getX()}})
      if (auto number = splatOf(other);
          number && typeOf(other).getNumElements() == 1)
        return std::pair(Value(value), *number);
  return std::nullopt;
}

/// 0.5 x (1 + erf(c x)) between convolutions: the one before gives u = c x, and
/// u (1 + erf(u)) is what is left; 0.5 / c goes to the weights behind it.
struct FoldGeluScales : OpRewritePattern<MulOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(MulOp op,
                                PatternRewriter &rewriter) const override {
    auto gate = op.getY().getDefiningOp<AddOp>();
    auto erf = gate ? gate.getX().getDefiningOp<ErfOp>() : ErfOp();
    auto half = matchFactor(op.getX());
    auto inner = erf ? matchFactor(erf.getX()) : std::nullopt;
    if (!half || !inner || half->first != inner->first ||
        splatOf(gate.getY()) != 1.0)
      return rewriter.notifyMatchFailure(op, "is no gelu");
    Value x = inner->first, before = x;
    auto bias = x.getDefiningOp<AddOp>();
    if (bias && isConstantTree(bias.getY()))
      before = bias.getX();
    ConvOp conv =
        before == x ? x.getDefiningOp<ConvOp>() : foldableConv(before);
    if (!conv || !isConstantTree(conv.getWeight()) || conv.getBias() ||
        !llvm::all_of(x.getUsers(), [&](Operation *user) {
          return user == op.getX().getDefiningOp() ||
                 user == erf.getX().getDefiningOp();
        }))
      return rewriter.notifyMatchFailure(op, "no convolution is before it");
    for (OpOperand &use : op.getZ().getUses())
      if (auto behind = dyn_cast<ConvOp>(use.getOwner());
          !behind || use.getOperandNumber() != 0 ||
          !isConstantTree(behind.getWeight()))
        return rewriter.notifyMatchFailure(op, "others read it");
    // A derivative, for one.
    if (op.getZ().use_empty() || !erf->hasOneUse() || !gate->hasOneUse() ||
        !op.getX().hasOneUse() || !erf.getX().hasOneUse())
      return rewriter.notifyMatchFailure(op, "others read a part of it");
    scale(rewriter, *conv, 1, inner->second);
    if (bias)
      scale(rewriter, *bias, 1, inner->second);
    for (Operation *user : op.getZ().getUsers())
      scale(rewriter, *user, 1, half->second / inner->second);
    rewriter.modifyOpInPlace(erf, [&] { erf.getXMutable().assign(x); });
    rewriter.modifyOpInPlace(op, [&] { op.getXMutable().assign(x); });
    return success();
  }

private:
  /// A constant operand times a number.
  static void scale(PatternRewriter &rewriter, Operation &op, unsigned operand,
                    double factor) {
    OpBuilder::InsertionGuard guard(rewriter);
    rewriter.setInsertionPoint(&op);
    Value constant = op.getOperand(operand);
    auto type = typeOf(constant);
    auto scalar = RankedTensorType::get({}, type.getElementType());
    Value number = ConstantOp::create(
        rewriter, op.getLoc(), scalar,
        DenseElementsAttr::get(
            scalar, rewriter.getFloatAttr(type.getElementType(), factor)));
    Value scaled = MulOp::create(rewriter, op.getLoc(), type, constant, number);
    rewriter.modifyOpInPlace(&op, [&] { op.setOperand(operand, scaled); });
  }
};

struct FoldIntoConv : ane::impl::FoldIntoConvPassBase<FoldIntoConv> {
  using FoldIntoConvPassBase::FoldIntoConvPassBase;
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<FoldChannelConstant<MulOp, true>, FoldGeluScales>(
        &getContext());
    // Norms have their own factors once they are in parts.
    if (scaleOnly)
      patterns.add<FoldConstantBefore<MulOp, true>,
                   FoldConstantBefore<AddOp, false>>(&getContext());
    if (!scaleOnly)
      patterns.add<FoldBatchNorm, FoldChannelConstant<AddOp, false>, FoldPad>(
          &getContext());
    int64_t before = 0, after = 0;
    getOperation().walk(
        [&](Operation *op) { before += isa<BatchNormOp, PadOp>(op); });
    if (failed(rewriteGreedily(getOperation(), std::move(patterns))))
      return signalPassFailure();
    getOperation().walk(
        [&](Operation *op) { after += isa<BatchNormOp, PadOp>(op); });
    numFolded = before - after;
  }
};
} // namespace
