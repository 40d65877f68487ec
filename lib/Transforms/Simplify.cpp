//===- Simplify.cpp - algebra that leaves fewer operations ----------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "KeepWide.h"
#include "RewriteGreedily.h"
#include "ane-mlir/Interpreter/Interpreter.h"
#include "ane-mlir/Transforms/Passes.h"
#include "dialects/ANE/IR/Arithmetic.h"
#include "dialects/ANE/IR/Cast.h"
#include "dialects/ANE/IR/Gather.h"
#include "dialects/ANE/IR/Linear.h"
#include "dialects/ANE/IR/Shape.h"
#include "dialects/ANE/IR/Structure.h"
#include "dialects/ANE/IR/Unary.h"
#include "dialects/ANE/IR/WeightTrees.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/PatternMatch.h"
#include <cmath>

using namespace mlir;
using namespace mlir::ane;

namespace mlir::ane {
#define GEN_PASS_DEF_SIMPLIFYPASS
#include "ane-mlir/Transforms/Passes.h.inc"
} // namespace mlir::ane

/// Constants with more elements are not looked into.
static constexpr int64_t kMostElements = 1 << 16;

static RankedTensorType typeOf(Value value) {
  return cast<RankedTensorType>(value.getType());
}

/// The number that every element of a constant is.
static std::optional<float> uniformValue(Value value) {
  auto type = typeOf(value);
  if (!isa<FloatType>(type.getElementType()) || !type.hasStaticShape() ||
      type.getNumElements() > kMostElements || type.getNumElements() == 0 ||
      !isConstantTree(value))
    return std::nullopt;
  EvalContext context(value.getContext(), Numerics::Float32);
  FailureOr<Tensor> tensor = ConstantEvaluator(context).evaluate(value);
  if (failed(tensor))
    return std::nullopt;
  float first = tensor->floats()[0];
  for (float v : tensor->floats())
    if (v != first)
      return std::nullopt;
  return first;
}

/// A convolution that a factor can disappear into.
static bool takesScale(Value value) {
  auto conv = value.getDefiningOp<ConvOp>();
  return conv && conv->hasOneUse() && isConstantTree(conv.getWeight()) &&
         (!conv.getBias() || isConstantTree(conv.getBias()));
}

namespace {
/// x + 0, x - 0, x * 1, x / 1 -> x
template <typename Op>
struct DropNeutral : OpRewritePattern<Op> {
  DropNeutral(MLIRContext *context, float neutral, bool commutes)
      : OpRewritePattern<Op>(context), neutral(neutral), commutes(commutes) {}
  LogicalResult matchAndRewrite(Op op,
                                PatternRewriter &rewriter) const override {
    for (auto [value, other] :
         {std::pair{op.getX(), op.getY()}, {op.getY(), op.getX()}}) {
      if (value.getType() == op.getType() && !isConstantTree(value) &&
          uniformValue(other) == neutral) {
        rewriter.replaceOp(op, value);
        return success();
      }
      if (!commutes)
        break;
    }
    return rewriter.notifyMatchFailure(op, "no operand is neutral");
  }
  float neutral;
  bool commutes;
};

/// The number and the other operand of a product with one.
struct Scaled {
  Value value, number;
  float factor = 0;
};
std::optional<Scaled> matchScale(MulOp op) {
  for (auto [value, other] :
       {std::pair{op.getX(), op.getY()}, {op.getY(), op.getX()}})
    if (typeOf(other).hasStaticShape() && typeOf(other).getNumElements() == 1 &&
        typeOf(value) == op.getType() && !isConstantTree(value))
      if (auto factor = uniformValue(other))
        return Scaled{value, other, *factor};
  return std::nullopt;
}

/// Elements of a table that are computed once for all; of one of rows, which an
/// embedding shares with the last product.
constexpr int64_t kMostTable = 1 << 16, kMostRows = 1 << 12;

/// A number that stays one, with all its bits, as a weight of fp16.
bool holdsInHalf(float number) {
  return std::fabs(number) >= 0x1p-14f && std::fabs(number) <= 65504.0f;
}

/// (x * a) * b -> x * (a * b), where fp16 holds the product as well as a and b.
struct JoinScales : OpRewritePattern<MulOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(MulOp op,
                                PatternRewriter &rewriter) const override {
    auto outer = matchScale(op);
    auto inner = outer ? outer->value.getDefiningOp<MulOp>() : MulOp();
    auto first = inner && inner->hasOneUse() ? matchScale(inner) : std::nullopt;
    if (!first)
      return rewriter.notifyMatchFailure(op, "not two numbers in a row");
    float product = first->factor * outer->factor;
    if (!holdsInHalf(product))
      return rewriter.notifyMatchFailure(op, "fp16 cannot hold the product");
    auto scalar = RankedTensorType::get({}, op.getType().getElementType());
    Value number = ConstantOp::create(
        rewriter, op.getLoc(), scalar,
        DenseElementsAttr::get(
            scalar, rewriter.getFloatAttr(scalar.getElementType(), product)));
    rewriter.replaceOpWithNewOp<MulOp>(op, op.getType(), first->value, number);
    return success();
  }
};

/// A number behind data movement or a bias goes to the convolution before it.
struct SinkScale : OpRewritePattern<MulOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(MulOp op,
                                PatternRewriter &rewriter) const override {
    auto scaled = matchScale(op);
    if (!scaled || takesScale(scaled->value))
      return rewriter.notifyMatchFailure(op, "nothing is between");
    if (!holdsInHalf(scaled->factor))
      return rewriter.notifyMatchFailure(op, "fp16 cannot hold the number");
    Value at = scaled->value;
    while (Operation *producer = at.getDefiningOp()) {
      if (!producer->hasOneUse())
        break;
      bool moves =
          isa<ReshapeOp, TransposeOp, ExpandDimsOp, SqueezeOp>(producer);
      bool bias =
          isa<AddOp>(producer) && isConstantTree(producer->getOperand(1));
      if (!moves && !bias)
        break;
      at = producer->getOperand(0);
    }
    if (!takesScale(at))
      return rewriter.notifyMatchFailure(op, "leads to no convolution");
    Operation *producer = scaled->value.getDefiningOp();
    rewriter.setInsertionPoint(producer);
    auto scalar = RankedTensorType::get({}, op.getType().getElementType());
    Value number = ConstantOp::create(
        rewriter, op.getLoc(), scalar,
        DenseElementsAttr::get(
            scalar,
            rewriter.getFloatAttr(scalar.getElementType(), scaled->factor)));
    rewriter.modifyOpInPlace(producer, [&] {
      for (unsigned i = 0; i < (isa<AddOp>(producer) ? 2 : 1); ++i) {
        Value operand = producer->getOperand(i);
        producer->setOperand(i,
                             MulOp::create(rewriter, op.getLoc(),
                                           operand.getType(), operand, number));
      }
    });
    rewriter.replaceOp(op, scaled->value);
    return success();
  }
};

/// f(table[i], number) -> f(table, number)[i]: what is small beside the number
/// (1 - 0.9999) is found before it is rounded.
template <typename Op>
struct SinkIntoTable : OpRewritePattern<Op> {
  using OpRewritePattern<Op>::OpRewritePattern;
  LogicalResult matchAndRewrite(Op op,
                                PatternRewriter &rewriter) const override {
    for (unsigned i : {0u, 1u}) {
      if (op->getNumOperands() <= i)
        break;
      Value picked = op->getOperand(i);
      // What the gather gives may have been reshaped to be broadcast.
      SmallVector<Operation *> moves;
      while (picked.getDefiningOp() &&
             isa<ReshapeOp, ExpandDimsOp, SqueezeOp>(picked.getDefiningOp()) &&
             !isConstantTree(picked)) {
        moves.push_back(picked.getDefiningOp());
        picked = moves.back()->getOperand(0);
      }
      auto gather = picked.template getDefiningOp<GatherOp>();
      if (!gather || !isConstantTree(gather.getX()) ||
          isConstantTree(gather.getIndices()) ||
          !typeOf(gather.getX()).hasStaticShape() ||
          typeOf(gather.getX()).getNumElements() >
              (typeOf(gather.getX()).getRank() == 1 ? kMostTable : kMostRows) ||
          !isa<FloatType>(typeOf(gather.getX()).getElementType()))
        continue;
      std::optional<float> number;
      if (op->getNumOperands() == 2) {
        Value other = op->getOperand(1 - i);
        number = uniformValue(other);
        if (!number || typeOf(other).getNumElements() != 1 ||
            typeOf(other).getRank() > typeOf(picked).getRank() ||
            op.getType() != op->getOperand(i).getType())
          continue;
      }
      IRMapping map;
      rewriter.setInsertionPoint(gather);
      Value table = gather.getX();
      OperationState state(op.getLoc(), op->getName());
      if (number) {
        // With all its bits, as a weight has them.
        auto wide = RankedTensorType::get({}, rewriter.getF32Type());
        Value scalar = ConstantOp::create(
            rewriter, op.getLoc(), wide,
            DenseElementsAttr::get(
                wide, FloatAttr::get(rewriter.getF32Type(), *number)));
        Type element = typeOf(table).getElementType();
        if (!element.isF32())
          scalar = CastOp::create(rewriter, op.getLoc(), wide.clone(element),
                                  scalar, TypeAttr::get(element));
        Value both[] = {i ? scalar : table, i ? table : scalar};
        state.addOperands(both);
      } else {
        state.addOperands(table);
      }
      state.addTypes(table.getType());
      state.addAttributes(op->getAttrs());
      Operation *made = rewriter.create(state);
      map.map(gather.getX(), made->getResult(0));
      Operation *again = rewriter.clone(*gather, map);
      map.map(gather.getResult(), again->getResult(0));
      rewriter.setInsertionPoint(op);
      for (Operation *move : llvm::reverse(moves))
        rewriter.clone(*move, map);
      rewriter.replaceOp(op, map.lookup(op->getOperand(i)));
      return success();
    }
    return rewriter.notifyMatchFailure(op, "takes no element of a table");
  }
};

struct Simplify : ane::impl::SimplifyPassBase<Simplify> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<DropNeutral<AddOp>>(&getContext(), 0.0f, true);
    patterns.add<DropNeutral<SubOp>>(&getContext(), 0.0f, false);
    patterns.add<DropNeutral<MulOp>>(&getContext(), 1.0f, true);
    patterns.add<DropNeutral<RealDivOp>>(&getContext(), 1.0f, false);
    patterns.add<JoinScales, SinkScale, SinkIntoTable<SubOp>,
                 SinkIntoTable<AddOp>, SinkIntoTable<MulOp>,
                 SinkIntoTable<RealDivOp>, SinkIntoTable<SqrtOp>,
                 SinkIntoTable<RsqrtOp>, SinkIntoTable<LogOp>>(&getContext());
    int64_t before = 0, after = 0;
    auto count = [&](int64_t &total) {
      WeightTrees trees;
      getOperation().walk([&](Operation *op) {
        total += isa<AddOp, SubOp, MulOp, RealDivOp>(op) &&
                 !isConstantTree(op->getResult(0));
      });
    };
    count(before);
    KeepWide keepWide;
    if (failed(rewriteGreedily(getOperation(), std::move(patterns), &keepWide)))
      return signalPassFailure();
    count(after);
    numRemoved = before > after ? before - after : 0;
  }
};
} // namespace
