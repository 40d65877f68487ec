//===- LegalizeAxes.cpp - axes longer or more than the engine's -----------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// What exporters flatten is often too long (S1): rows of a group norm hold
// C/G * H * W elements. Element-wise operations and reductions work on the same
// elements as two axes, so that the reshapes around them become others.
//
//===----------------------------------------------------------------------===//

#include "LegalizeForms.h"
#include "LimitRank.h"
#include "Reshape.h"
#include "dialects/ANE/IR/Activation.h"
#include "dialects/ANE/IR/Cast.h"
#include "dialects/ANE/IR/Comparison.h"
#include "dialects/ANE/IR/Linear.h"
#include "dialects/ANE/IR/Norm.h"
#include "dialects/ANE/IR/Rearrange.h"
#include "dialects/ANE/IR/Shape.h"

using namespace mlir;
using namespace mlir::ane;

/// What an axis of a tensor of this rank may have (S1, S2); much where nothing
/// is known.
static int64_t longest(Operation *op, int64_t rank, int64_t axis) {
  LimitId id = axis >= rank - 2   ? LimitId::S1
               : axis == rank - 3 ? LimitId::S2
                                  : LimitId::S3;
  const Limit *limit = getTarget(op).limit(id);
  return limit && getRuleSwitch(op, stringify(id)) != false ? limit->value
                                                            : INT32_MAX;
}

/// The reshape that makes `v`, through operations that keep its shape.
static ReshapeOp origin(Value v) {
  for (unsigned depth = 0; depth < 16; ++depth) {
    Operation *op = v.getDefiningOp();
    if (!op)
      return {};
    if (auto reshape = dyn_cast<ReshapeOp>(op))
      return reshape;
    Value next;
    for (Value operand : op->getOperands())
      if (!next && typeOf(operand).getShape() == typeOf(v).getShape() &&
          !isConstantTree(operand))
        next = operand;
    if (!isElementwise(op) || !next)
      return {};
    v = next;
  }
  return {};
}

/// `extent` as two factors within `most`: the last axes that `x` had before it
/// was flattened, as many as fit, or else the nearest to a square.
static std::optional<std::pair<int64_t, int64_t>>
factors(Value x, int64_t axis, int64_t extent, int64_t most) {
  auto fits = [&](int64_t inner) {
    return inner > 1 && extent % inner == 0 && inner <= most &&
           extent / inner <= most;
  };
  int64_t best = 0, inner = 1;
  if (ReshapeOp reshape = origin(x); reshape && axis == typeOf(x).getRank() - 1)
    for (int64_t dim : llvm::reverse(typeOf(reshape.getX()).getShape())) {
      inner *= dim;
      if (fits(inner))
        best = inner;
      if (extent % inner)
        break;
    }
  if (!best)
    for (int64_t i = 2; i * i <= extent; ++i)
      if (extent % i == 0 && fits(extent / i))
        best = extent / i;
  if (!best)
    return std::nullopt;
  return std::pair(extent / best, best);
}

namespace {
/// Element-wise operations, reductions and norms over an axis beyond its limit.
struct SplitLongAxis : RewritePattern {
  SplitLongAxis(MLIRContext *context)
      : RewritePattern(MatchAnyOpTypeTag(), /*benefit=*/1, context) {}

  static DenseI64ArrayAttr axesOf(Operation *op) {
    return op->getAttrOfType<DenseI64ArrayAttr>("axes");
  }
  static bool isReduction(Operation *op) {
    return op->getAttrOfType<BoolAttr>("keep_dims") && axesOf(op) &&
           op->getNumOperands() == 1;
  }

  LogicalResult matchAndRewrite(Operation *op,
                                PatternRewriter &b) const override {
    bool reduces = isReduction(op), norm = isa<LayerNormOp>(op);
    if (op->getNumResults() != 1 || !op->getNumOperands() ||
        !(reduces || norm || isElementwise(op) || isa<CastOp, SelectOp>(op)) ||
        isa<PreluOp, SoftplusParametricOp>(op) ||
        isConstantTree(op->getResult(0)))
      return b.notifyMatchFailure(op, "treats its axes each for itself");
    auto whole =
        reduces || norm ? typeOf(op->getOperand(0)) : typeOf(op->getResult(0));
    int64_t rank = whole.getRank();
    if (!whole.hasStaticShape() || rank > 4 ||
        (!isa<FloatType>(whole.getElementType()) &&
         !whole.getElementType().isInteger(1)))
      return b.notifyMatchFailure(op, "is of integers, or of too many axes");
    for (int64_t axis = 0; axis < rank; ++axis) {
      int64_t extent = whole.getDimSize(axis), most = longest(op, rank, axis);
      if (extent <= most)
        continue;
      Value leader;
      for (Value operand : op->getOperands())
        if (!leader && typeOf(operand).getShape() == whole.getShape() &&
            !isConstantTree(operand))
          leader = operand;
      if (!leader)
        continue;
      auto parts = factors(leader, axis, extent, longest(op, 4, 3));
      if (!parts)
        continue;
      split(op, b, whole, axis, *parts);
      return success();
    }
    return b.notifyMatchFailure(op, "axes are within the limits");
  }

  static void split(Operation *op, PatternRewriter &b, RankedTensorType whole,
                    int64_t axis, std::pair<int64_t, int64_t> parts) {
    int64_t rank = whole.getRank(), extent = whole.getDimSize(axis);
    // `behind`: axes of `shape` from the end on are those of the whole tensor.
    auto wide = [&](ArrayRef<int64_t> shape) {
      SmallVector<int64_t> result(shape);
      int64_t at = axis - (rank - (int64_t)shape.size());
      if (at < 0)
        return result;
      bool full = shape[at] == extent;
      result[at] = full ? parts.first : 1;
      result.insert(result.begin() + at + 1, full ? parts.second : 1);
      return result;
    };
    Location loc = op->getLoc();
    Operation *clone = op->clone();
    for (OpOperand &operand : clone->getOpOperands())
      operand.set(reshapeTo(b, loc, operand.get(),
                            wide(typeOf(operand.get()).getShape())));
    auto type = typeOf(op->getResult(0));
    SmallVector<int64_t> shape = wide(whole.getShape());
    if (DenseI64ArrayAttr axes = axesOf(op)) {
      SmallVector<int64_t> moved;
      for (int64_t a : axes.asArrayRef()) {
        a += a < 0 ? rank : 0;
        moved.push_back(a > axis ? a + 1 : a);
        if (a == axis)
          moved.push_back(axis + 1);
      }
      llvm::sort(moved);
      clone->setAttr("axes", b.getDenseI64ArrayAttr(moved));
      if (isReduction(op)) {
        clone->setAttr("keep_dims", b.getBoolAttr(true));
        for (int64_t a : moved)
          shape[a] = 1;
      }
    }
    clone->getResult(0).setType(type.clone(shape));
    b.insert(clone);
    b.replaceOp(op, reshapeTo(b, loc, clone->getResult(0), type.getShape()));
  }
};

/// Pixel shuffles in ONNX's and PyTorch's order (L27) are transposes.
template <typename Op>
struct ShuffleToTranspose : OpRewritePattern<Op> {
  using OpRewritePattern<Op>::OpRewritePattern;
  LogicalResult matchAndRewrite(Op op, PatternRewriter &b) const override {
    auto x = typeOf(op.getX());
    if (x.getRank() != 4 || !x.hasStaticShape() ||
        isConstantTree(op.getResult()))
      return b.notifyMatchFailure(op, "is not of images of known size");
    int64_t n = x.getDimSize(0), c = x.getDimSize(1), h = x.getDimSize(2),
            w = x.getDimSize(3);
    Value y;
    if (auto shuffle = dyn_cast<PixelShuffleOp>(op.getOperation())) {
      int64_t r = shuffle.getUpscaleFactor();
      y = permute(b, op.getLoc(), op.getX(), {n * c / (r * r), r, r, h, w},
                  {0, 3, 1, 4, 2});
    } else {
      int64_t r =
          op->template getAttrOfType<IntegerAttr>("downscale_factor").getInt();
      y = permute(b, op.getLoc(), op.getX(), {n * c, h / r, r, w / r, r},
                  {0, 2, 4, 1, 3});
    }
    b.replaceOp(op, reshapeTo(b, op.getLoc(), y, op.getType().getShape()));
    return success();
  }
};
} // namespace

void mlir::ane::populateAxisPatterns(RewritePatternSet &patterns, bool raw) {
  if (raw)
    patterns.add<SplitLongAxis, ShuffleToTranspose<PixelShuffleOp>,
                 ShuffleToTranspose<PixelUnshuffleOp>>(patterns.getContext());
}

void mlir::ane::limitRanks(Operation *module) {
  SmallVector<Operation *> ops;
  module->walk([&](Operation *op) {
    if (lookupOpInfo(op->getName().getStringRef()) &&
        !isConstantTree(op->getResult(0)))
      ops.push_back(op);
  });
  for (Operation *op : ops)
    limitRank(op, isa<MatmulOp>(op) ? 4 : 5);
}
