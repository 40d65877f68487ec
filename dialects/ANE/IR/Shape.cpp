//===- Shape.cpp - data movement ------------------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "dialects/ANE/IR/Shape.h"
#include "dialects/ANE/IR/Image.h"
#include "dialects/ANE/IR/Infer.h"
#include "dialects/ANE/IR/Rearrange.h"
#include "mlir/IR/PatternMatch.h"

using namespace mlir;
using namespace mlir::ane;

INFER(ReshapeOp) {
  auto x = tensorType(adaptor.getX());
  SmallVector<int64_t> shape(adaptor.getShape());
  int64_t known = 1, open = -1;
  for (auto [i, dim] : llvm::enumerate(shape)) {
    if (dim == -1 && open < 0)
      open = i;
    else if (dim < 0)
      return emitOptionalError(loc,
                               "'ane.reshape' op expects dimensions of 'shape' "
                               "to be non-negative but for one -1, but got ",
                               dim);
    else if (llvm::MulOverflow(known, dim, known))
      return emitOptionalError(
          loc,
          "'ane.reshape' op expects 'shape' to have fewer than 2^63 elements");
  }
  if (!x.hasStaticShape()) {
    if (open >= 0)
      shape[open] = ShapedType::kDynamic;
  } else {
    int64_t count = x.getNumElements();
    if (open >= 0 ? known == 0 || count % known : known != count)
      return emitOptionalError(
          loc, "'ane.reshape' op expects 'shape' to hold the ", count,
          " elements of ", x, ", but got [", ArrayRef<int64_t>(shape), "]");
    if (open >= 0)
      shape[open] = count / known;
  }
  types.push_back(x.clone(shape));
  return success();
}

INFER(TransposeOp) {
  auto x = tensorType(adaptor.getX());
  SmallVector<int64_t> shape;
  SmallVector<bool> seen(x.getRank());
  for (int64_t axis : adaptor.getPerm()) {
    FailureOr<int64_t> normal =
        normalizeAxis(loc, getOperationName(), axis, x.getRank());
    if (failed(normal))
      return failure();
    if (seen[*normal])
      return emitOptionalError(
          loc,
          "'ane.transpose' op expects 'perm' to name each axis once, but got ",
          axis, " twice");
    seen[*normal] = true;
    shape.push_back(x.getDimSize(*normal));
  }
  if ((int64_t)shape.size() != x.getRank())
    return emitOptionalError(loc, "'ane.transpose' op expects 'perm' to have ",
                             x.getRank(), " entries, but got ", shape.size());
  types.push_back(x.clone(shape));
  return success();
}

INFER(ExpandDimsOp) {
  auto x = tensorType(adaptor.getX());
  int64_t rank = x.getRank() + adaptor.getAxes().size();
  SmallVector<bool> fresh(rank);
  for (int64_t axis : adaptor.getAxes()) {
    FailureOr<int64_t> normal =
        normalizeAxis(loc, getOperationName(), axis, rank);
    if (failed(normal))
      return failure();
    if (fresh[*normal])
      return emitOptionalError(
          loc, "'ane.expand_dims' op expects distinct 'axes', but got ", axis,
          " twice");
    fresh[*normal] = true;
  }
  SmallVector<int64_t> shape;
  for (int64_t i = 0, j = 0; i < rank; ++i)
    shape.push_back(fresh[i] ? 1 : x.getDimSize(j++));
  types.push_back(x.clone(shape));
  return success();
}

INFER(SqueezeOp) {
  auto x = tensorType(adaptor.getX());
  SmallVector<bool> gone(x.getRank());
  if (auto axes = adaptor.getAxes()) {
    for (int64_t axis : *axes) {
      FailureOr<int64_t> normal =
          normalizeAxis(loc, getOperationName(), axis, x.getRank());
      if (failed(normal))
        return failure();
      // MIL keeps an axis whose length is not 1 (mil/operations.md §1.9).
      gone[*normal] = x.getDimSize(*normal) == 1;
    }
  } else {
    for (int64_t i = 0; i < x.getRank(); ++i)
      gone[i] = x.getDimSize(i) == 1;
  }
  SmallVector<int64_t> shape;
  for (int64_t i = 0; i < x.getRank(); ++i)
    if (!gone[i])
      shape.push_back(x.getDimSize(i));
  types.push_back(x.clone(shape));
  return success();
}

INFER(Flatten2dOp) {
  auto x = tensorType(adaptor.getX());
  int64_t axis = adaptor.getAxis() < 0 ? adaptor.getAxis() + x.getRank()
                                       : adaptor.getAxis();
  if (axis < 0 || axis > x.getRank() || !x.hasStaticShape())
    return emitOptionalError(
        loc, "'ane.flatten2d' op expects a static operand and an axis in [",
        -x.getRank(), ", ", x.getRank(), "]");
  int64_t dims[2] = {1, 1};
  for (int64_t i = 0; i < x.getRank(); ++i)
    dims[i >= axis] *= x.getDimSize(i);
  types.push_back(x.clone(dims));
  return success();
}

INFER(ConcatOp) {
  if (adaptor.getValues().empty())
    return emitOptionalError(loc,
                             "'ane.concat' op expects at least one operand");
  auto first = tensorType(adaptor.getValues()[0]);
  FailureOr<int64_t> axis = normalizeAxis(loc, getOperationName(),
                                          adaptor.getAxis(), first.getRank());
  if (failed(axis))
    return failure();
  SmallVector<int64_t> shape(first.getShape());
  for (Value value : adaptor.getValues().drop_front()) {
    auto type = tensorType(value);
    bool same = type.getRank() == first.getRank() &&
                type.getElementType() == first.getElementType();
    for (int64_t i = 0; same && i < first.getRank(); ++i)
      same = i == *axis || succeeded(verifyCompatibleShape(
                               {type.getDimSize(i)}, {first.getDimSize(i)}));
    if (!same ||
        (adaptor.getInterleave() && type.getShape() != first.getShape()))
      return emitOptionalError(
          loc, "'ane.concat' op expects operands that agree but for axis ",
          *axis, ", but got ", first, " and ", type);
    int64_t &dim = shape[*axis];
    dim = ShapedType::isDynamic(dim) || type.isDynamicDim(*axis)
              ? ShapedType::kDynamic
              : dim + type.getDimSize(*axis);
  }
  types.push_back(first.clone(shape));
  return success();
}

INFER(StackOp) {
  if (adaptor.getValues().empty())
    return emitOptionalError(loc,
                             "'ane.stack' op expects at least one operand");
  auto first = tensorType(adaptor.getValues()[0]);
  for (Value value : adaptor.getValues())
    if (value.getType() != first)
      return emitOptionalError(
          loc, "'ane.stack' op expects operands of one type, but got ", first,
          " and ", value.getType());
  FailureOr<int64_t> axis = normalizeAxis(
      loc, getOperationName(), adaptor.getAxis(), first.getRank() + 1);
  if (failed(axis))
    return failure();
  SmallVector<int64_t> shape(first.getShape());
  shape.insert(shape.begin() + *axis, adaptor.getValues().size());
  types.push_back(first.clone(shape));
  return success();
}

INFER(SplitOp) {
  auto x = tensorType(adaptor.getX());
  FailureOr<int64_t> axis =
      normalizeAxis(loc, getOperationName(), adaptor.getAxis(), x.getRank());
  if (failed(axis))
    return failure();
  int64_t extent = x.getDimSize(*axis);
  SmallVector<int64_t> sizes;
  if (auto given = adaptor.getSplitSizes()) {
    sizes.assign(given->begin(), given->end());
  } else if (auto count = adaptor.getNumSplits();
             count && *count > 0 &&
             (int64_t)*count <= std::max<int64_t>(extent, 1) &&
             extent % *count == 0) {
    sizes.assign(*count, extent / *count);
  } else {
    return emitOptionalError(loc,
                             "'ane.split' op expects 'num_splits' to divide ",
                             extent, " or 'split_sizes'");
  }
  int64_t sum = 0;
  for (int64_t size : sizes) {
    sum += size;
    if (size < 0 || sum > extent)
      break;
    SmallVector<int64_t> shape(x.getShape());
    shape[*axis] = size;
    types.push_back(x.clone(shape));
  }
  if (sum != extent || types.size() != sizes.size())
    return emitOptionalError(
        loc, "'ane.split' op expects 'split_sizes' to add up to ", extent,
        ", but got [", ArrayRef<int64_t>(sizes), "]");
  return success();
}

INFER(SliceByIndexOp) {
  auto x = tensorType(adaptor.getX());
  size_t rank = x.getRank();
  auto stride = adaptor.getStride();
  auto bit = [](std::optional<ArrayRef<bool>> mask, size_t i) {
    return mask && (*mask)[i];
  };
  if (adaptor.getBegin().size() != rank || adaptor.getEnd().size() != rank ||
      (stride && stride->size() != rank))
    return emitOptionalError(
        loc,
        "'ane.slice_by_index' op expects 'begin', 'end' and 'stride' to have ",
        rank, " entries");
  for (auto mask :
       {adaptor.getBeginMask(), adaptor.getEndMask(), adaptor.getSqueezeMask()})
    if (mask && mask->size() != rank)
      return emitOptionalError(loc,
                               "'ane.slice_by_index' op expects masks to have ",
                               rank, " entries, but got ", mask->size());
  SmallVector<int64_t> shape;
  for (size_t i = 0; i < rank; ++i) {
    if (bit(adaptor.getSqueezeMask(), i))
      continue;
    int64_t dim = x.getDimSize(i), step = stride ? (*stride)[i] : 1;
    if (step == 0)
      return emitOptionalError(
          loc, "'ane.slice_by_index' op expects 'stride' to be non-zero");
    if (ShapedType::isDynamic(dim)) {
      shape.push_back(dim);
      continue;
    }
    auto clamp = [&](int64_t v) {
      if (v < 0)
        v += dim;
      return step > 0 ? std::clamp<int64_t>(v, 0, dim)
                      : std::clamp<int64_t>(v, -1, dim - 1);
    };
    int64_t begin = bit(adaptor.getBeginMask(), i)
                        ? (step > 0 ? 0 : dim - 1)
                        : clamp(adaptor.getBegin()[i]);
    int64_t end = bit(adaptor.getEndMask(), i) ? (step > 0 ? dim : -1)
                                               : clamp(adaptor.getEnd()[i]);
    int64_t count = step > 0 ? (end - begin + step - 1) / step
                             : (begin - end - step - 1) / -step;
    shape.push_back(std::max<int64_t>(0, count));
  }
  types.push_back(x.clone(shape));
  return success();
}

INFER(SliceBySizeOp) {
  auto x = tensorType(adaptor.getX());
  if ((int64_t)adaptor.getBegin().size() != x.getRank() ||
      (int64_t)adaptor.getSize().size() != x.getRank())
    return emitOptionalError(
        loc, "'ane.slice_by_size' op expects 'begin' and 'size' to have ",
        x.getRank(), " entries");
  SmallVector<int64_t> shape;
  for (int64_t i = 0; i < x.getRank(); ++i) {
    int64_t dim = x.getDimSize(i), begin = adaptor.getBegin()[i],
            size = adaptor.getSize()[i];
    if (size == -1 && ShapedType::isDynamic(dim) && begin >= 0) {
      shape.push_back(ShapedType::kDynamic);
      continue;
    }
    if (size == -1)
      size = dim - begin;
    if (begin < 0 || size < 0 ||
        (!ShapedType::isDynamic(dim) && begin + size > dim))
      return emitOptionalError(
          loc,
          "'ane.slice_by_size' op expects [begin, begin + size) within axis ",
          i, " of ", x, ", but got [", begin, ", ", begin + size, ")");
    shape.push_back(size);
  }
  types.push_back(x.clone(shape));
  return success();
}

INFER(PadOp) {
  auto x = tensorType(adaptor.getX());
  ArrayRef<int64_t> pad = adaptor.getPad();
  int64_t axes = pad.size() / 2;
  if (pad.size() % 2 || axes > x.getRank())
    return emitOptionalError(loc,
                             "'ane.pad' op expects 'pad' to have two entries "
                             "for each of the last axes of ",
                             x, ", but got ", pad.size());
  PadMode mode = adaptor.getMode();
  SmallVector<int64_t> shape(x.getShape());
  for (int64_t i = 0; i < axes; ++i) {
    int64_t &dim = shape[x.getRank() - axes + i];
    if (ShapedType::isDynamic(dim))
      continue;
    for (int64_t amount : {pad[2 * i], pad[2 * i + 1]})
      if (amount < 0 || amount > INT32_MAX ||
          (mode == PadMode::reflect &&
           amount > std::max<int64_t>(0, dim - 1)) ||
          (mode == PadMode::replicate && amount > 0 && dim == 0))
        return emitOptionalError(loc, "'ane.pad' op expects 'pad' in mode ",
                                 stringifyPadMode(mode), " to fit an axis of ",
                                 dim, ", but got ", amount);
    dim += pad[2 * i] + pad[2 * i + 1];
  }
  types.push_back(x.clone(shape));
  return success();
}

void PadOp::findViolations(const Target &target, ViolationList &violations) {
  findCommonViolations(*this, target, violations);
  bool outer = false;
  for (size_t i = 0; i + 4 < getPad().size(); ++i)
    outer |= getPad()[i] != 0;
  if (getMode() != PadMode::constant || outer)
    violations.push_back({"L28", "'mode' is " +
                                     stringifyPadMode(getMode()).str() +
                                     (outer ? ", outer axes are padded" : "") +
                                     "; " + lookupRule("L28")->text.str()});
}

INFER(TileOp) {
  auto x = tensorType(adaptor.getX());
  if ((int64_t)adaptor.getReps().size() != x.getRank())
    return emitOptionalError(loc, "'ane.tile' op expects 'reps' to have ",
                             x.getRank(), " entries, but got ",
                             adaptor.getReps().size());
  SmallVector<int64_t> shape(x.getShape());
  for (auto [dim, reps] : llvm::zip(shape, adaptor.getReps())) {
    if (reps < 0)
      return emitOptionalError(
          loc, "'ane.tile' op expects 'reps' to be non-negative, but got ",
          reps);
    if (!ShapedType::isDynamic(dim))
      dim *= reps;
  }
  types.push_back(x.clone(shape));
  return success();
}

/// [N,C,H,W] with C and the spatial axes scaled by the square of `block` and by
/// `block`.
static LogicalResult inferBlocks(std::optional<Location> loc, StringRef opName,
                                 Value value, int64_t block, bool toSpace,
                                 SmallVectorImpl<Type> &types) {
  auto x = tensorType(value);
  if (x.getRank() != 4 || block < 1 || block > 65536 || !x.hasStaticShape())
    return emitOptionalError(loc, "'", opName,
                             "' op expects a static operand of rank 4 and a "
                             "positive block, but got ",
                             x, " and ", block);
  int64_t n = x.getDimSize(0), c = x.getDimSize(1), h = x.getDimSize(2),
          w = x.getDimSize(3);
  if (toSpace ? c % (block * block) != 0 : h % block || w % block)
    return emitOptionalError(loc, "'", opName, "' op expects ",
                             toSpace ? "channels" : "height and width", " of ",
                             x, " to be divisible by the block ", block);
  types.push_back(toSpace
                      ? x.clone({n, c / (block * block), h * block, w * block})
                      : x.clone({n, c * block * block, h / block, w / block}));
  return success();
}
INFER(DepthToSpaceOp) {
  return inferBlocks(loc, getOperationName(), adaptor.getX(),
                     adaptor.getBlockSize(), true, types);
}
INFER(SpaceToDepthOp) {
  return inferBlocks(loc, getOperationName(), adaptor.getX(),
                     adaptor.getBlockSize(), false, types);
}
INFER(PixelShuffleOp) {
  return inferBlocks(loc, getOperationName(), adaptor.getX(),
                     adaptor.getUpscaleFactor(), true, types);
}
INFER(PixelUnshuffleOp) {
  return inferBlocks(loc, getOperationName(), adaptor.getX(),
                     adaptor.getDownscaleFactor(), false, types);
}

INFER(SlidingWindowsOp) {
  auto x = tensorType(adaptor.getX());
  FailureOr<int64_t> axis =
      normalizeAxis(loc, getOperationName(), adaptor.getAxis(), x.getRank());
  if (failed(axis))
    return failure();
  int64_t size = adaptor.getSize(), stride = adaptor.getStride();
  if (size < 1 || stride < 1 || size > x.getDimSize(*axis))
    return emitOptionalError(
        loc,
        "'ane.sliding_windows' op expects a positive stride and 1 <= size <= ",
        x.getDimSize(*axis));
  SmallVector<int64_t> shape(x.getShape());
  shape[*axis] = (shape[*axis] - size) / stride + 1;
  shape.insert(shape.begin() + *axis + 1, size);
  types.push_back(x.clone(shape));
  return success();
}

/// The last two axes become `height` and `width`.
static LogicalResult inferResize(std::optional<Location> loc, StringRef opName,
                                 Value value, int64_t height, int64_t width,
                                 SmallVectorImpl<Type> &types) {
  auto x = tensorType(value);
  if (x.getRank() < 3 || height < 1 || width < 1 || height > INT32_MAX ||
      width > INT32_MAX)
    return emitOptionalError(loc, "'", opName,
                             "' op expects an operand of rank 3 or more and "
                             "positive sizes, but got ",
                             x);
  SmallVector<int64_t> shape(x.getShape());
  shape[x.getRank() - 2] = height;
  shape[x.getRank() - 1] = width;
  types.push_back(x.clone(shape));
  return success();
}
INFER(UpsampleNearestNeighborOp) {
  auto x = tensorType(adaptor.getX());
  if (x.getRank() < 3)
    return inferResize(loc, getOperationName(), adaptor.getX(), 1, 1, types);
  return inferResize(
      loc, getOperationName(), adaptor.getX(),
      x.getShape()[x.getRank() - 2] * adaptor.getScaleFactorHeight(),
      x.getShape().back() * adaptor.getScaleFactorWidth(), types);
}
INFER(ResizeNearestNeighborOp) {
  return inferResize(loc, getOperationName(), adaptor.getX(),
                     adaptor.getTargetSizeHeight(),
                     adaptor.getTargetSizeWidth(), types);
}
INFER(ResizeBilinearOp) {
  return inferResize(loc, getOperationName(), adaptor.getX(),
                     adaptor.getTargetSizeHeight(),
                     adaptor.getTargetSizeWidth(), types);
}
void UpsampleNearestNeighborOp::findViolations(const Target &target,
                                               ViolationList &violations) {
  findCommonViolations(*this, target, violations);
}
void ResizeNearestNeighborOp::findViolations(const Target &target,
                                             ViolationList &violations) {
  findCommonViolations(*this, target, violations);
  violations.push_back(
      {"L26", "half-pixel nearest; " + lookupRule("L26")->text.str()});
}
void ResizeBilinearOp::findViolations(const Target &target,
                                      ViolationList &violations) {
  findCommonViolations(*this, target, violations);
  if (getSamplingMode() != GridMode::DEFAULT &&
      getSamplingMode() != GridMode::STRICT_ALIGN_CORNERS)
    violations.push_back(
        {"L26", "'sampling_mode' is " +
                    stringifyGridMode(getSamplingMode()).str() + "; " +
                    lookupRule("L26")->text.str()});
}

//===----------------------------------------------------------------------===//
// Folders and canonicalisation
//===----------------------------------------------------------------------===//

OpFoldResult ReshapeOp::fold(FoldAdaptor) {
  return getX().getType() == getType() ? OpFoldResult(getX()) : OpFoldResult();
}

OpFoldResult TransposeOp::fold(FoldAdaptor) {
  for (auto [i, axis] : llvm::enumerate(getPerm()))
    if (axis != (int64_t)i && axis != (int64_t)i - (int64_t)getPerm().size())
      return {};
  return getX();
}

namespace {
/// reshape(reshape(x)) is one reshape.
struct MergeReshapes : OpRewritePattern<ReshapeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ReshapeOp op,
                                PatternRewriter &rewriter) const override {
    auto inner = op.getX().getDefiningOp<ReshapeOp>();
    if (!inner || !op.getType().hasStaticShape())
      return rewriter.notifyMatchFailure(
          op, "operand is not a reshape, or the result is not static");
    rewriter.modifyOpInPlace(op, [&] {
      op.getXMutable().assign(inner.getX());
      op.setShape(op.getType().getShape());
    });
    return success();
  }
};

/// transpose(transpose(x)) is one transpose.
struct MergeTransposes : OpRewritePattern<TransposeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(TransposeOp op,
                                PatternRewriter &rewriter) const override {
    auto inner = op.getX().getDefiningOp<TransposeOp>();
    if (!inner)
      return rewriter.notifyMatchFailure(op, "operand is not a transpose");
    int64_t rank = op.getType().getRank();
    SmallVector<int64_t> perm;
    for (int64_t axis : op.getPerm()) {
      int64_t through = inner.getPerm()[axis < 0 ? axis + rank : axis];
      perm.push_back(through < 0 ? through + rank : through);
    }
    rewriter.modifyOpInPlace(op, [&] {
      op.getXMutable().assign(inner.getX());
      op.setPerm(perm);
    });
    return success();
  }
};
/// Axes of length 1 move for nothing: the order of elements stays.
struct TransposeToReshape : OpRewritePattern<TransposeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(TransposeOp op,
                                PatternRewriter &rewriter) const override {
    RankedTensorType x = op.getX().getType();
    if (!x.hasStaticShape())
      return rewriter.notifyMatchFailure(op, "shape is not static");
    int64_t previous = -1;
    for (int64_t axis : op.getPerm()) {
      axis = axis < 0 ? axis + x.getRank() : axis;
      if (x.getDimSize(axis) == 1)
        continue;
      if (axis < previous)
        return rewriter.notifyMatchFailure(op, "moves elements");
      previous = axis;
    }
    rewriter.replaceOpWithNewOp<ReshapeOp>(op, op.getType(), op.getX(),
                                           op.getType().getShape());
    return success();
  }
};
} // namespace

void ReshapeOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                            MLIRContext *context) {
  patterns.add<MergeReshapes>(context);
}
void TransposeOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                              MLIRContext *context) {
  patterns.add<MergeTransposes, TransposeToReshape>(context);
}

LogicalResult ReverseOp::verify() {
  for (int64_t axis : getAxes().value_or(ArrayRef<int64_t>{}))
    if (failed(normalizeAxis(getLoc(), getOperationName(), axis,
                             getX().getType().getRank())))
      return failure();
  return success();
}

LogicalResult ReverseSequenceOp::verify() {
  auto x = getX().getType();
  auto lengths = cast<RankedTensorType>(getLengths().getType());
  FailureOr<int64_t> seq =
      normalizeAxis(getLoc(), getOperationName(), getSeqAxis(), x.getRank());
  FailureOr<int64_t> batch =
      normalizeAxis(getLoc(), getOperationName(), getBatchAxis(), x.getRank());
  if (failed(seq) || failed(batch))
    return failure();
  if (*seq == *batch)
    return emitOpError()
           << "expects 'seq_axis' and 'batch_axis' to differ, but got " << *seq
           << " twice";
  if (lengths.getRank() != 1 || lengths.getDimSize(0) != x.getDimSize(*batch))
    return emitOpError() << "expects one length for each of the batch axis's "
                         << x.getDimSize(*batch) << " rows, but got "
                         << lengths;
  return success();
}
