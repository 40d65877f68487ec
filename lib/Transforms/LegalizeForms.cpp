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
#include "ane-mlir/Analysis/Placement.h"
#include "ane-mlir/Interpreter/Interpreter.h"
#include "dialects/ANE/IR/Arithmetic.h"
#include "dialects/ANE/IR/Cast.h"
#include "dialects/ANE/IR/Comparison.h"
#include "dialects/ANE/IR/Gather.h"
#include "dialects/ANE/IR/Image.h"
#include "dialects/ANE/IR/Linear.h"
#include "dialects/ANE/IR/Norm.h"
#include "dialects/ANE/IR/Rearrange.h"
#include "dialects/ANE/IR/Shape.h"
#include "dialects/ANE/IR/Structure.h"
#include "dialects/ANE/IR/Unary.h"
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
        b, op.getLoc(), x.clone(shape), op.getX(),
        b.getDenseI64ArrayAttr(begin), b.getDenseI64ArrayAttr(end),
        step == 1 ? DenseI64ArrayAttr() : b.getDenseI64ArrayAttr(stride),
        DenseBoolArrayAttr(), DenseBoolArrayAttr(), DenseBoolArrayAttr());
    b.replaceOp(op, reshapeTo(b, op.getLoc(), part, op.getType().getShape()));
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

/// `x` from `begin` on along `axis`.
Value rows(OpBuilder &b, Location loc, Value x, int64_t axis, int64_t begin,
           int64_t count) {
  auto type = typeOf(x);
  SmallVector<int64_t> at(type.getRank(), 0), size(type.getShape());
  at[axis] = begin;
  size[axis] = count;
  if (ArrayRef<int64_t>(size) == type.getShape())
    return x;
  return SliceBySizeOp::create(b, loc, type.clone(size), x,
                               b.getDenseI64ArrayAttr(at),
                               b.getDenseI64ArrayAttr(size));
}
Value concat(OpBuilder &b, Location loc, ArrayRef<Value> parts, int64_t axis) {
  SmallVector<int64_t> shape(typeOf(parts[0]).getShape());
  shape[axis] = 0;
  for (Value part : parts)
    shape[axis] += typeOf(part).getDimSize(axis);
  return ConcatOp::create(b, loc, typeOf(parts[0]).clone(shape), parts,
                          b.getI64IntegerAttr(axis), b.getBoolAttr(false));
}

/// Mirrored and repeated edges (L28) are slices of one row or column each
/// beside the rest; wide ones a slice reversed, or a row repeated.
struct PadToSlices : OpRewritePattern<PadOp> {
  using OpRewritePattern::OpRewritePattern;
  static constexpr int64_t kWidest = 16;
  LogicalResult matchAndRewrite(PadOp op, PatternRewriter &b) const override {
    bool reflect = op.getMode() == PadMode::reflect;
    if (!reflect && op.getMode() != PadMode::replicate)
      return b.notifyMatchFailure(op, "is no pad by its own edge");
    auto type = typeOf(op.getX());
    if (!type.hasStaticShape() || isConstantTree(op.getX()))
      return b.notifyMatchFailure(op, "shape is not static");
    ArrayRef<int64_t> pad = op.getPad();
    Location loc = op.getLoc();
    Value x = op.getX();
    for (size_t i = 0; i < pad.size() / 2; ++i) {
      int64_t before = pad[2 * i], after = pad[2 * i + 1],
              axis = type.getRank() - pad.size() / 2 + i,
              extent = type.getDimSize(axis);
      if (!before && !after)
        continue;
      SmallVector<Value> parts;
      if (reflect) {
        appendMirrored(b, loc, x, axis, 1, before, parts);
        parts.push_back(x);
        appendMirrored(b, loc, x, axis, extent - 1 - after, after, parts);
      } else {
        appendRepeated(b, loc, x, axis, 0, before, parts);
        parts.push_back(x);
        appendRepeated(b, loc, x, axis, extent - 1, after, parts);
      }
      x = concat(b, loc, parts, axis);
    }
    b.replaceOp(op, x);
    return success();
  }

  /// Rows [first, first + count) from the last to the first.
  static void appendMirrored(OpBuilder &b, Location loc, Value x, int64_t axis,
                             int64_t first, int64_t count,
                             SmallVectorImpl<Value> &parts) {
    if (count > kWidest) {
      Value part = rows(b, loc, x, axis, first, count);
      parts.push_back(ReverseOp::create(b, loc, part.getType(), part,
                                        b.getDenseI64ArrayAttr({axis})));
      return;
    }
    for (int64_t k = count - 1; k >= 0; --k)
      parts.push_back(rows(b, loc, x, axis, first + k, 1));
  }
  static void appendRepeated(OpBuilder &b, Location loc, Value x, int64_t axis,
                             int64_t at, int64_t count,
                             SmallVectorImpl<Value> &parts) {
    if (!count)
      return;
    Value row = rows(b, loc, x, axis, at, 1);
    if (count <= kWidest) {
      parts.append(count, row);
      return;
    }
    SmallVector<int64_t> reps(typeOf(x).getRank(), 1),
        shape(typeOf(row).getShape());
    reps[axis] = shape[axis] = count;
    parts.push_back(TileOp::create(b, loc, typeOf(x).clone(shape), row,
                                   b.getDenseI64ArrayAttr(reps)));
  }
};

/// Constant padding of other axes than the last two (L28) is a concat with
/// constants.
struct PadToConcat : OpRewritePattern<PadOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(PadOp op, PatternRewriter &b) const override {
    auto type = typeOf(op.getX());
    ArrayRef<int64_t> pad = op.getPad();
    int64_t rank = type.getRank(), first = rank - pad.size() / 2;
    auto outer = [&](size_t i) { return first + (int64_t)i / 2 < rank - 2; };
    bool any = false;
    for (size_t i = 0; i < pad.size(); ++i)
      any |= outer(i) && pad[i];
    if (op.getMode() != PadMode::constant || !any || !type.hasStaticShape() ||
        !isa<FloatType>(type.getElementType()) ||
        isConstantTree(op.getResult()))
      return b.notifyMatchFailure(op, "pads the last two axes only");
    Location loc = op.getLoc();
    Value x = op.getX();
    SmallVector<int64_t> rest(pad);
    for (size_t i = 0; i + 1 < pad.size(); i += 2) {
      if (!outer(i) || (!pad[i] && !pad[i + 1]))
        continue;
      int64_t axis = first + i / 2;
      auto filled = [&](int64_t count) -> Value {
        SmallVector<int64_t> shape(typeOf(x).getShape());
        shape[axis] = count;
        auto part = type.clone(shape);
        return ConstantOp::create(
            b, loc, part,
            DenseElementsAttr::get(
                part, ArrayRef<Attribute>{b.getFloatAttr(
                          type.getElementType(),
                          op.getConstantVal().convertToDouble())}));
      };
      SmallVector<Value> parts;
      if (pad[i])
        parts.push_back(filled(pad[i]));
      parts.push_back(x);
      if (pad[i + 1])
        parts.push_back(filled(pad[i + 1]));
      x = concat(b, loc, parts, axis);
      rest[i] = rest[i + 1] = 0;
    }
    while (!rest.empty() && rest[0] == 0 && rest[1] == 0)
      rest.erase(rest.begin(), rest.begin() + 2);
    if (rest.empty())
      b.replaceOp(op, x);
    else
      b.replaceOpWithNewOp<PadOp>(op, op.getType(), x,
                                  b.getDenseI64ArrayAttr(rest),
                                  op.getModeAttr(), op.getConstantValAttr());
    return success();
  }
};

/// gather of places that are known, in few runs of neighbours, is slices.
struct GatherToSlices : OpRewritePattern<GatherOp> {
  using OpRewritePattern::OpRewritePattern;
  static constexpr size_t kMostRuns = 32;
  LogicalResult matchAndRewrite(GatherOp op,
                                PatternRewriter &b) const override {
    auto x = typeOf(op.getX());
    if (isConstantTree(op.getX()) || !x.hasStaticShape() ||
        !isa<FloatType>(x.getElementType()) || op.getBatchDims().value_or(0) ||
        !op.getType().hasStaticShape())
      return b.notifyMatchFailure(op, "is not of places of a float value");
    FailureOr<Tensor> table = evaluate(op.getIndices());
    if (failed(table) || table->size() == 0)
      return b.notifyMatchFailure(op, "indices are known at run time only");
    int64_t axis = op.getAxis(), extent;
    axis += axis < 0 ? x.getRank() : 0;
    extent = x.getDimSize(axis);
    SmallVector<int64_t> places;
    for (int64_t i = 0; i < table->size(); ++i) {
      int64_t place = table->ints()[i];
      places.push_back(place < 0 ? place + extent : place);
      if (places.back() < 0 || places.back() >= extent)
        return b.notifyMatchFailure(op, "an index is outside");
    }
    // Runs that step by one, in either direction.
    SmallVector<std::pair<size_t, size_t>> runs;
    for (size_t i = 0; i < places.size();) {
      size_t end = i + 1;
      int64_t step = end < places.size() ? places[end] - places[i] : 0;
      if (step == 1 || step == -1)
        while (end < places.size() && places[end] - places[end - 1] == step)
          ++end;
      runs.push_back({i, end});
      i = end;
    }
    if (runs.size() > kMostRuns)
      return b.notifyMatchFailure(op, "indices are in many runs");
    Location loc = op.getLoc();
    SmallVector<Value> parts;
    for (auto [begin, end] : runs) {
      int64_t low = std::min(places[begin], places[end - 1]);
      Value part = rows(b, loc, op.getX(), axis, low, end - begin);
      if (places[end - 1] < places[begin])
        part = ReverseOp::create(b, loc, part.getType(), part,
                                 b.getDenseI64ArrayAttr({axis}));
      parts.push_back(part);
    }
    Value y = parts.size() == 1 ? parts[0] : concat(b, loc, parts, axis);
    b.replaceOp(op, reshapeTo(b, loc, y, op.getType().getShape()));
    return success();
  }
};

/// Whether a bool is computed from floats, on the engine itself.
bool isFromFloats(Value v) {
  Operation *op = v.getDefiningOp();
  if (!op || isConstantTree(v))
    return op;
  if (isMovement(op))
    return isFromFloats(op->getOperand(0));
  if (isa<LogicalNotOp>(op))
    return isFromFloats(op->getOperand(0));
  return isa<FloatType>(typeOf(op->getOperand(0)).getElementType());
}

/// and, or and xor of comparisons (L05) are minimum, maximum and inequality of
/// zeros and ones.
template <typename Op>
struct LogicalToFloats : OpRewritePattern<Op> {
  using OpRewritePattern<Op>::OpRewritePattern;
  LogicalResult matchAndRewrite(Op op, PatternRewriter &b) const override {
    if (isConstantTree(op.getResult()) || !isFromFloats(op.getX()) ||
        !isFromFloats(op.getY()))
      return b.notifyMatchFailure(op, "is not of comparisons of floats");
    Location loc = op.getLoc();
    Type element = floatElement(op.getX());
    if (!element)
      element = floatElement(op.getY());
    if (!element)
      return b.notifyMatchFailure(op, "is of constants");
    auto number = [&](Value v) -> Value {
      return CastOp::create(b, loc, typeOf(v).clone(element), v,
                            TypeAttr::get(element));
    };
    Value x = number(op.getX()), y = number(op.getY());
    auto type = cast<RankedTensorType>(op.getResult().getType());
    if (isa<LogicalXorOp>(op.getOperation())) {
      b.replaceOpWithNewOp<NotEqualOp>(op, type, x, y);
      return success();
    }
    auto wide = type.clone(element);
    Value z = isa<LogicalAndOp>(op.getOperation())
                  ? Value(MinimumOp::create(b, loc, wide, x, y))
                  : Value(MaximumOp::create(b, loc, wide, x, y));
    b.replaceOpWithNewOp<CastOp>(op, type, z,
                                 TypeAttr::get(type.getElementType()));
    return success();
  }
  /// The float that a bool is computed from.
  static Type floatElement(Value v) {
    for (Operation *op = v.getDefiningOp(); op && op->getNumOperands();
         op = op->getOperand(0).getDefiningOp())
      if (Type type = typeOf(op->getOperand(0)).getElementType();
          isa<FloatType>(type))
        return type;
    return {};
  }
};

/// stack, which failed on RAW, is a concat of wider shapes.
struct StackToConcat : OpRewritePattern<StackOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(StackOp op, PatternRewriter &b) const override {
    RankedTensorType type = op.getType();
    if (!type.hasStaticShape() || isConstantTree(op.getResult()))
      return b.notifyMatchFailure(op, "shape is not static");
    int64_t axis = int64_t(op.getAxis());
    axis += axis < 0 ? type.getRank() : 0;
    SmallVector<int64_t> shape(type.getShape());
    shape[axis] = 1;
    SmallVector<Value> parts;
    for (Value v : op.getValues())
      parts.push_back(reshapeTo(b, op.getLoc(), v, shape));
    b.replaceOp(op, concat(b, op.getLoc(), parts, axis));
    return success();
  }
};

/// relu6 was compiled, clip evaluated too.
struct Relu6ToClip : OpRewritePattern<Relu6Op> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(Relu6Op op, PatternRewriter &b) const override {
    if (isConstantTree(op.getResult()))
      return b.notifyMatchFailure(op, "part of a weight tree");
    b.replaceOpWithNewOp<ClipOp>(op, op.getType(), op.getX(),
                                 b.getF32FloatAttr(0), b.getF32FloatAttr(6));
    return success();
  }
};

/// Copies along a new first axis that a reshape takes into the batch
/// ([1,1,C,H,W] repeated and flattened) are copies of the batch.
struct TileThroughReshape : OpRewritePattern<ReshapeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ReshapeOp op,
                                PatternRewriter &b) const override {
    auto tile = op.getX().getDefiningOp<TileOp>();
    auto type = typeOf(op.getY());
    if (!tile || isConstantTree(op.getY()) || !type.hasStaticShape() ||
        type.getRank() < 1)
      return b.notifyMatchFailure(op, "is not of copies");
    auto x = typeOf(tile.getX());
    // Ones come before the one repeated axis.
    int64_t axis = 0;
    while (axis < x.getRank() && tile.getReps()[axis] == 1 &&
           x.getDimSize(axis) == 1)
      ++axis;
    if (axis == x.getRank() || x.getDimSize(axis) != 1 ||
        llvm::any_of(tile.getReps().drop_front(axis + 1),
                     [](int64_t r) { return r != 1; }) ||
        type.getDimSize(0) != tile.getReps()[axis])
      return b.notifyMatchFailure(op, "copies do not become the first axis");
    SmallVector<int64_t> shape(type.getShape()), reps(type.getRank(), 1);
    shape[0] = 1;
    reps[0] = type.getDimSize(0);
    b.replaceOpWithNewOp<TileOp>(op, type,
                                 reshapeTo(b, op.getLoc(), tile.getX(), shape),
                                 b.getDenseI64ArrayAttr(reps));
    return success();
  }
};

/// A convolution of channels of which some are the same for the whole batch is
/// a sum: that of the copies is computed once.
struct SplitCopiedChannels : OpRewritePattern<ConvOp> {
  using OpRewritePattern::OpRewritePattern;
  static bool isCopied(Value v) {
    auto tile = v.getDefiningOp<TileOp>();
    return tile && tile.getReps()[0] > 1 &&
           llvm::all_of(tile.getReps().drop_front(),
                        [](int64_t r) { return r == 1; });
  }
  LogicalResult matchAndRewrite(ConvOp op, PatternRewriter &b) const override {
    auto concat = op.getX().getDefiningOp<ConcatOp>();
    if (!concat || op.getGroups() != 1 || isConstantTree(op.getY()) ||
        !isConstantTree(op.getWeight()) || concat.getInterleave() ||
        (int64_t(concat.getAxis()) != 1 &&
         int64_t(concat.getAxis()) + concat.getType().getRank() != 1) ||
        !llvm::any_of(concat.getValues(), isCopied))
      return b.notifyMatchFailure(op, "has no copied channels");
    Location loc = op.getLoc();
    Value sum;
    int64_t begin = 0;
    for (Value part : concat.getValues()) {
      int64_t count = typeOf(part).getDimSize(1);
      Value weight = rows(b, loc, op.getWeight(), 1, begin, count);
      auto clone = cast<ConvOp>(b.clone(*op));
      clone.getXMutable().assign(part);
      clone.getWeightMutable().assign(weight);
      if (sum)
        clone.getBiasMutable().clear();
      sum = sum ? Value(AddOp::create(b, loc, op.getType(), sum, clone.getY()))
                : clone.getY();
      begin += count;
    }
    b.replaceOp(op, sum);
    return success();
  }
};

/// A convolution of copies is copies of the convolution: along the batch, and
/// of a 1x1 kernel along rows and columns too.
struct TileBehindConv : OpRewritePattern<ConvOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ConvOp op, PatternRewriter &b) const override {
    auto tile = op.getX().getDefiningOp<TileOp>();
    if (!tile || isConstantTree(op.getY()) || !isConstantTree(op.getWeight()) ||
        (op.getBias() && !isConstantTree(op.getBias())))
      return b.notifyMatchFailure(op, "is not of copies");
    auto weight = typeOf(op.getWeight()), x = typeOf(tile.getX());
    if (x.getRank() != weight.getRank())
      return b.notifyMatchFailure(op, "copies have another rank");
    bool point =
        llvm::all_of(weight.getShape().drop_front(2),
                     [](int64_t k) { return k == 1; }) &&
        llvm::all_of(op.getStrides(), [](int64_t s) { return s == 1; }) &&
        (op.getPadType() == PadType::valid ||
         llvm::all_of(op.getPad(), [](int64_t p) { return p == 0; }));
    ArrayRef<int64_t> reps = tile.getReps();
    SmallVector<int64_t> shape(op.getType().getShape());
    for (auto [axis, count] : llvm::enumerate(reps)) {
      if (count != 1 && (axis == 1 || (axis > 1 && !point)))
        return b.notifyMatchFailure(op, "mixes what is copied");
      shape[axis] /= count;
    }
    auto clone = cast<ConvOp>(b.clone(*op));
    clone.getXMutable().assign(tile.getX());
    clone.getY().setType(op.getType().clone(shape));
    b.replaceOpWithNewOp<TileOp>(op, op.getType(), clone.getY(),
                                 tile.getRepsAttr());
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
      int64_t depth = channels / square,
              rest = type.getNumElements() / channels;
      auto moved = type.clone({square, depth, rest});
      Value y = TransposeOp::create(b, loc, moved,
                                    reshapeTo(b, loc, v, {depth, square, rest}),
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
struct DecomposeAttention : OpRewritePattern<ScaledDotProductAttentionOp> {
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
    Value scaled =
        MulOp::create(b, loc, q, op.getQuery(),
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
  if (raw) {
    patterns.add<PadToSlices, PadToConcat, GatherToSlices,
                 LogicalToFloats<LogicalAndOp>, LogicalToFloats<LogicalOrOp>,
                 LogicalToFloats<LogicalXorOp>, StackToConcat, Relu6ToClip,
                 TileBehindConv, TileThroughReshape, SplitCopiedChannels>(
        patterns.getContext());
    // Before a shuffle is a transpose of its own.
    patterns.add<ShuffleToDepth>(patterns.getContext(), /*benefit=*/2);
  }
  patterns.add<GatherToSlice>(patterns.getContext(), /*benefit=*/2);
  patterns.add<NearestToUpsample, DecomposeAttention>(patterns.getContext());
}
