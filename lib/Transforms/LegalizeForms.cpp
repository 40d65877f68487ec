//===- LegalizeForms.cpp - operations with a simpler form -----------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// What exporters and converters to MIL write in a form that the engine does not
// take, though it takes another one with the same meaning.
//
//===----------------------------------------------------------------------===//

#include "LegalizeForms.h"
#include "Reshape.h"
#include "ane-mlir/Interpreter/Interpreter.h"
#include <cmath>

using namespace mlir;
using namespace mlir::ane;

/// The elements of a small constant.
static FailureOr<Tensor> evaluate(Value value) {
  auto type = typeOf(value);
  if (!type.hasStaticShape() || type.getNumElements() > (1 << 16) ||
      !isConstantTree(value))
    return failure();
  EvalContext context(value.getContext(), Numerics::Float32);
  return ConstantEvaluator(context).evaluate(value);
}

namespace {
/// gather of one index, or of indices that step evenly upwards, is a slice.
struct GatherToSlice : OpRewritePattern<GatherOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(GatherOp op,
                                PatternRewriter &b) const override {
    auto x = typeOf(op.getX()), indices = typeOf(op.getIndices());
    int64_t axis = op.getAxis();
    if (axis < 0)
      axis += x.getRank();
    if (isConstantTree(op.getX()) || !x.hasStaticShape() ||
        !indices.hasStaticShape() || indices.getRank() > 1 ||
        indices.getNumElements() == 0 || op.getBatchDims().value_or(0))
      return b.notifyMatchFailure(op, "is not of a few places of a value");
    FailureOr<Tensor> table = evaluate(op.getIndices());
    if (failed(table))
      return b.notifyMatchFailure(op, "indices are known at run time only");
    int64_t extent = x.getDimSize(axis), count = table->size(),
            first = table->ints()[0],
            step = count > 1 ? table->ints()[1] - first : 1;
    if (first < 0)
      first += extent;
    if (step < 1 || first < 0 || first + (count - 1) * step >= extent)
      return b.notifyMatchFailure(op, "indices do not step upwards inside");
    for (int64_t i = 0; i < count; ++i) {
      int64_t index = table->ints()[i];
      if ((index < 0 ? index + extent : index) != first + i * step)
        return b.notifyMatchFailure(op, "indices do not step evenly");
    }
    SmallVector<int64_t> begin(x.getRank(), 0), end(x.getShape()),
        stride(x.getRank(), 1), shape(x.getShape());
    begin[axis] = first;
    end[axis] = first + (count - 1) * step + 1;
    stride[axis] = step;
    shape[axis] = count;
    Value part = SliceByIndexOp::create(
        b, op.getLoc(), x.clone(shape), op.getX(), b.getDenseI64ArrayAttr(begin),
        b.getDenseI64ArrayAttr(end),
        step == 1 ? DenseI64ArrayAttr() : b.getDenseI64ArrayAttr(stride),
        DenseBoolArrayAttr(), DenseBoolArrayAttr(), DenseBoolArrayAttr());
    b.replaceOp(op,
                reshapeTo(b, op.getLoc(), part, op.getType().getShape()));
    return success();
  }
};

/// Half-pixel nearest by a whole number (L26) repeats pixels, as upsampling
/// does: floor((i + 1/2) / k) = floor(i / k).
struct NearestToUpsample : OpRewritePattern<ResizeNearestNeighborOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ResizeNearestNeighborOp op,
                                PatternRewriter &b) const override {
    auto x = typeOf(op.getX());
    int64_t rank = x.getRank();
    if (!x.hasStaticShape() || isConstantTree(op.getX()))
      return b.notifyMatchFailure(op, "shape is not static");
    int64_t h = x.getDimSize(rank - 2), w = x.getDimSize(rank - 1),
            height = op.getTargetSizeHeight(), width = op.getTargetSizeWidth();
    if (!h || !w || height % h || width % w)
      return b.notifyMatchFailure(op, "scale is no whole number");
    b.replaceOpWithNewOp<UpsampleNearestNeighborOp>(
        op, op.getType(), op.getX(), b.getI64IntegerAttr(height / h),
        b.getI64IntegerAttr(width / w));
    return success();
  }
};

/// Mirrored and repeated edges (L28) are slices of one row or column each beside
/// the rest. Wide ones would be more slices than they are worth.
struct PadToSlices : OpRewritePattern<PadOp> {
  using OpRewritePattern::OpRewritePattern;
  static constexpr int64_t kWidest = 16;
  LogicalResult matchAndRewrite(PadOp op, PatternRewriter &b) const override {
    bool reflect = op.getMode() == "reflect";
    if (!reflect && op.getMode() != "replicate")
      return b.notifyMatchFailure(op, "is no pad by its own edge");
    auto type = typeOf(op.getX());
    if (!type.hasStaticShape() || isConstantTree(op.getX()))
      return b.notifyMatchFailure(op, "shape is not static");
    ArrayRef<int64_t> pad = op.getPad();
    if (llvm::any_of(pad, [](int64_t p) { return p > kWidest; }))
      return b.notifyMatchFailure(op, "is wide");
    Location loc = op.getLoc();
    Value x = op.getX();
    for (size_t i = 0; i < pad.size() / 2; ++i) {
      int64_t before = pad[2 * i], after = pad[2 * i + 1];
      int64_t axis = type.getRank() - pad.size() / 2 + i;
      if (!before && !after)
        continue;
      auto have = typeOf(x);
      int64_t extent = have.getDimSize(axis);
      auto row = [&](int64_t at) -> Value {
        SmallVector<int64_t> begin(have.getRank(), 0), size(have.getShape());
        begin[axis] = at;
        size[axis] = 1;
        return SliceBySizeOp::create(b, loc, have.clone(size), x,
                                     b.getDenseI64ArrayAttr(begin),
                                     b.getDenseI64ArrayAttr(size));
      };
      SmallVector<Value> parts;
      Value first = reflect || !before ? Value() : row(0),
            last = reflect || !after ? Value() : row(extent - 1);
      for (int64_t k = before; k > 0; --k)
        parts.push_back(reflect ? row(k) : first);
      parts.push_back(x);
      for (int64_t k = 1; k <= after; ++k)
        parts.push_back(reflect ? row(extent - 1 - k) : last);
      SmallVector<int64_t> shape(have.getShape());
      shape[axis] += before + after;
      x = ConcatOp::create(b, loc, have.clone(shape), parts,
                           b.getI64IntegerAttr(axis), b.getBoolAttr(false));
    }
    b.replaceOp(op, x);
    return success();
  }
};

/// pixel_shuffle orders channels as the engine does not (L27). Behind a
/// convolution the order is a matter of its weights; what is element-wise
/// between them does not mind.
struct ShuffleToDepth : OpRewritePattern<PixelShuffleOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(PixelShuffleOp op,
                                PatternRewriter &b) const override {
    Value x = op.getX();
    int64_t channels = typeOf(x).getDimSize(1);
    SmallVector<OpOperand *> perChannel; // biases and scales on the way
    while (Operation *between = x.getDefiningOp()) {
      if (!isElementwise(between) || between->getNumResults() != 1 ||
          !x.hasOneUse())
        break;
      OpOperand *data = nullptr;
      bool fits = true;
      for (OpOperand &operand : between->getOpOperands()) {
        auto type = typeOf(operand.get());
        if (!isConstantTree(operand.get())) {
          fits &= !data && type.getShape() == typeOf(x).getShape();
          data = &operand;
        } else if (type.getNumElements() == channels && channels != 1) {
          fits &= type.getRank() >= 3 &&
                  type.getDimSize(type.getRank() - 3) == channels;
          perChannel.push_back(&operand);
        } else {
          fits &= type.getNumElements() == 1;
        }
      }
      if (!data || !fits)
        return b.notifyMatchFailure(op, "is behind an operation that tells "
                                        "channels apart");
      x = data->get();
    }
    auto conv = x.getDefiningOp<ConvOp>();
    if (!conv || !conv->hasOneUse() || conv.getGroups() != 1 ||
        !isConstantTree(conv.getWeight()) ||
        (conv.getBias() && !isConstantTree(conv.getBias())))
      return b.notifyMatchFailure(op, "is not behind a convolution with "
                                      "constant weights");
    int64_t block = op.getUpscaleFactor(), square = block * block;
    Location loc = op.getLoc();
    auto reorder = [&](Value v) -> Value {
      auto type = typeOf(v);
      int64_t depth = channels / square, rest = type.getNumElements() / channels;
      auto moved = type.clone({square, depth, rest});
      Value y = TransposeOp::create(
          b, loc, moved, reshapeTo(b, loc, v, {depth, square, rest}),
          b.getDenseI64ArrayAttr({1, 0, 2}));
      return reshapeTo(b, loc, y, type.getShape());
    };
    for (OpOperand *operand : perChannel) {
      b.setInsertionPoint(operand->getOwner());
      Value moved = reorder(operand->get());
      b.modifyOpInPlace(operand->getOwner(), [&] { operand->set(moved); });
    }
    b.setInsertionPoint(conv);
    Value weight = reorder(conv.getWeight()),
          bias = conv.getBias() ? reorder(conv.getBias()) : Value();
    b.modifyOpInPlace(conv, [&] {
      conv.getWeightMutable().assign(weight);
      if (bias)
        conv.getBiasMutable().assign(bias);
    });
    b.setInsertionPoint(op);
    b.replaceOpWithNewOp<DepthToSpaceOp>(op, op.getType(), op.getX(),
                                         b.getI64IntegerAttr(block));
    return success();
  }
};

/// softmax(query · key^T / sqrt(E) + mask) · value, in products (L15).
struct DecomposeAttention
    : OpRewritePattern<ScaledDotProductAttentionOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ScaledDotProductAttentionOp op,
                                PatternRewriter &b) const override {
    auto q = typeOf(op.getQuery()), k = typeOf(op.getKey());
    int64_t rank = q.getRank();
    if (!q.hasStaticShape() || !k.hasStaticShape())
      return b.notifyMatchFailure(op, "shapes are not static");
    Location loc = op.getLoc();
    auto scalar = RankedTensorType::get({}, q.getElementType());
    auto number = [&](double v) -> Value {
      return ConstantOp::create(
          b, loc, scalar,
          DenseElementsAttr::get(scalar,
                                 b.getFloatAttr(q.getElementType(), v)));
    };
    Value scaled = MulOp::create(
        b, loc, q, op.getQuery(),
        number(1 / std::sqrt(double(q.getDimSize(rank - 1)))));
    SmallVector<int64_t> shape(q.getShape());
    shape.back() = k.getDimSize(rank - 2);
    auto type = q.clone(shape);
    Value scores = MatmulOp::create(b, loc, type, scaled, op.getKey(),
                                    b.getBoolAttr(false), b.getBoolAttr(true));
    if (Value mask = op.getAttnMask()) {
      auto maskType = typeOf(mask);
      if (maskType.getElementType().isInteger(1)) {
        auto floats = maskType.clone(q.getElementType());
        auto full = [&](double v) -> Value {
          return ConstantOp::create(
              b, loc, floats,
              DenseElementsAttr::get(floats,
                                     b.getFloatAttr(q.getElementType(), v)));
        };
        if (!maskType.hasStaticShape())
          return b.notifyMatchFailure(op, "mask has no static shape");
        mask = SelectOp::create(b, loc, floats, mask, full(0), full(-INFINITY));
      } else if (maskType.getElementType() != q.getElementType()) {
        mask = CastOp::create(b, loc, maskType.clone(q.getElementType()), mask,
                              TypeAttr::get(q.getElementType()));
      }
      scores = AddOp::create(b, loc, type, scores, mask);
    }
    Value weights =
        SoftmaxOp::create(b, loc, type, scores, b.getI64IntegerAttr(-1));
    b.replaceOpWithNewOp<MatmulOp>(op, op.getType(), weights, op.getValue(),
                                   b.getBoolAttr(false), b.getBoolAttr(false));
    return success();
  }
};
} // namespace

void mlir::ane::populateFormPatterns(RewritePatternSet &patterns, bool raw) {
  // Core ML has these, and splits what it places.
  if (raw)
    patterns.add<PadToSlices, ShuffleToDepth>(patterns.getContext());
  patterns.add<GatherToSlice, NearestToUpsample, DecomposeAttention>(
      patterns.getContext());
}
