//===- Shape.cpp - data movement ------------------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// Almost every op here is a strided copy: a box of the result read from an
// offset and strides into the operand.
//
//===----------------------------------------------------------------------===//

#include "dialects/ANE/IR/Shape.h"
#include "Evaluators.h"
#include "dialects/ANE/IR/Dynamic.h"
#include "dialects/ANE/IR/Image.h"
#include "dialects/ANE/IR/Rearrange.h"
#include <cmath>

using namespace mlir;
using namespace mlir::ane;

/// Copies `box` elements from x (at offset, by strides) to y (at offset, by
/// strides).
static void copyBox(const Tensor &x, int64_t fromX, ArrayRef<int64_t> stridesX,
                    Tensor &y, int64_t fromY, ArrayRef<int64_t> stridesY,
                    ArrayRef<int64_t> box) {
  withStorage(x, [&](auto zero) {
    using T = decltype(zero);
    const T *source = storage<T>(x).data() + fromX;
    T *target = mutableStorage<T>(y).data() + fromY;
    int64_t sx = stridesX.empty() ? 1 : stridesX.back(),
            sy = stridesY.empty() ? 1 : stridesY.back();
    forEachRow<2>(box, {stridesX, stridesY}, [&](auto &offset, int64_t count) {
      const T *from = source + offset[0];
      T *to = target + offset[1];
      if (sx == 1 && sy == 1)
        std::copy(from, from + count, to);
      else
        for (int64_t i = 0; i < count; ++i)
          to[i * sy] = from[i * sx];
    });
  });
}

/// The box of `x` at `offset` with `strides`: a view where its elements lie in
/// one piece, as the rows of a weight do; otherwise a copy, and where a small
/// part would keep a large value alive.
static Tensor takeBox(const Tensor &x, int64_t offset,
                      ArrayRef<int64_t> strides, ArrayRef<int64_t> box,
                      DType dtype) {
  int64_t run = 1;
  bool whole = x.dtype() == dtype && x.canSlice();
  for (size_t i = box.size(); i-- > 0; run *= box[i])
    whole &= box[i] == 1 || strides[i] == run;
  if (whole && run && (x.isBorrowed() || run >= x.size() / 8))
    return x.slice(offset, box);
  Tensor y(dtype, box), source = x.unpacked();
  if (y.size())
    copyBox(source, offset, strides, y, 0, rowMajorStrides(box), box);
  return y;
}
/// The dtype of a result, as far as moving elements can change it.
static DType resultType(EvalContext &context, Value result) {
  return context.makeResult(result, {0}).dtype();
}

namespace mlir::ane {
/// The shape that reshape's `shape` means for `count` elements.
static SmallVector<int64_t, 6> resolveShape(ArrayRef<int64_t> wanted,
                                            int64_t count) {
  SmallVector<int64_t, 6> shape(wanted);
  int64_t known = 1;
  for (int64_t dim : shape)
    known *= dim == -1 ? 1 : dim;
  for (int64_t &dim : shape)
    if (dim == -1)
      dim = known ? count / known : 0;
  return shape;
}

LogicalResult evaluateOp(ReshapeOp op, EvalContext &, ArrayRef<Tensor> in,
                         SmallVectorImpl<Tensor> &out) {
  SmallVector<int64_t, 6> shape = resolveShape(op.getShape(), in[0].size());
  int64_t count = 1;
  for (int64_t dim : shape)
    count *= dim;
  if (count != in[0].size())
    return op.emitOpError()
           << "cannot give " << in[0].size() << " elements the shape ["
           << ArrayRef<int64_t>(shape) << "]";
  out.push_back(in[0].reshaped(shape));
  return success();
}
LogicalResult evaluateOp(ExpandDimsOp op, EvalContext &, ArrayRef<Tensor> in,
                         SmallVectorImpl<Tensor> &out) {
  int64_t rank = in[0].rank() + op.getAxes().size();
  SmallVector<int64_t, 6> shape(rank, 0);
  for (int64_t axis : op.getAxes())
    shape[axis < 0 ? axis + rank : axis] = 1;
  auto next = in[0].shape().begin();
  for (int64_t &dim : shape)
    if (!dim)
      dim = *next++;
  out.push_back(in[0].reshaped(shape));
  return success();
}
LogicalResult evaluateOp(SqueezeOp op, EvalContext &, ArrayRef<Tensor> in,
                         SmallVectorImpl<Tensor> &out) {
  SmallVector<bool> gone(in[0].rank(), !op.getAxes());
  if (std::optional<ArrayRef<int64_t>> axes = op.getAxes())
    for (int64_t axis : *axes)
      gone[axis < 0 ? axis + in[0].rank() : axis] = true;
  SmallVector<int64_t, 6> shape;
  for (auto [dim, drop] : llvm::zip(in[0].shape(), gone))
    if (!drop || dim != 1)
      shape.push_back(dim);
  out.push_back(in[0].reshaped(shape));
  return success();
}
LogicalResult evaluateOp(Flatten2dOp op, EvalContext &, ArrayRef<Tensor> in,
                         SmallVectorImpl<Tensor> &out) {
  int64_t axis = (int64_t)op.getAxis() < 0 ? op.getAxis() + in[0].rank()
                                           : op.getAxis(),
          dims[2] = {1, 1};
  for (int64_t i = 0; i < in[0].rank(); ++i)
    dims[i >= axis] *= in[0].shape()[i];
  out.push_back(in[0].reshaped(dims));
  return success();
}

/// Rows and columns of what is transposed at a time.
static constexpr int64_t kTileRows = 16, kTileColumns = 64;

/// A tile through memory of its own: rows of a power of two would all want the
/// same lines of the cache.
template <typename T>
static void transposeTile(const T *from, int64_t stepFrom, T *to,
                          int64_t stepTo, int64_t rows, int64_t columns) {
  T tile[kTileRows * kTileColumns];
  for (int64_t c = 0; c < columns; ++c)
    for (int64_t r = 0; r < rows; ++r)
      tile[r * kTileColumns + c] = from[c * stepFrom + r];
  for (int64_t r = 0; r < rows; ++r)
    std::copy_n(tile + r * kTileColumns, columns, to + r * stepTo);
}

/// transpose of one tensor, shared with the block ops.
static Tensor permute(EvalContext &context, const Tensor &x,
                      ArrayRef<int64_t> perm) {
  auto own = rowMajorStrides(x.shape());
  SmallVector<int64_t, 6> shape, strides;
  for (int64_t axis : perm) {
    shape.push_back(x.shape()[axis]);
    strides.push_back(own[axis]);
  }
  Tensor y(x.dtype(), shape);
  auto target = rowMajorStrides(shape);
  // The outermost axis is split over the cores; tiles of the two fastest axes
  // keep both sides in cache.
  int64_t rank = shape.size();
  if (rank < 2) {
    copyBox(x, 0, strides, y, 0, target, shape);
    return y;
  }
  context.parallelFor(
      shape[0],
      std::max<int64_t>(
          1, (1 << 16) / std::max<int64_t>(
                             1, x.size() / std::max<int64_t>(1, shape[0]))),
      [&](int64_t begin, int64_t end) {
        SmallVector<int64_t, 6> box(shape);
        for (int64_t i = begin; i < end; i += kTileRows) {
          box[0] = std::min(kTileRows, end - i);
          if (rank == 2 && strides[0] == 1) {
            // Plain matrix transpose.
            for (int64_t j = 0; j < shape[1]; j += kTileColumns)
              withStorage(x, [&](auto zero) {
                using T = decltype(zero);
                transposeTile(
                    storage<T>(x).data() + i + j * strides[1], strides[1],
                    mutableStorage<T>(y).data() + i * target[0] + j, target[0],
                    box[0], std::min(kTileColumns, shape[1] - j));
              });
          } else {
            copyBox(x, i * strides[0], strides, y, i * target[0], target, box);
          }
        }
      });
  return y;
}
LogicalResult evaluateOp(TransposeOp op, EvalContext &context,
                         ArrayRef<Tensor> in, SmallVectorImpl<Tensor> &out) {
  SmallVector<int64_t, 6> perm;
  for (int64_t axis : op.getPerm())
    perm.push_back(axis < 0 ? axis + in[0].rank() : axis);
  out.push_back(permute(context, in[0], perm));
  return success();
}

LogicalResult evaluateOp(ConcatOp op, EvalContext &context, ArrayRef<Tensor> in,
                         SmallVectorImpl<Tensor> &out) {
  int64_t axis =
      (int64_t)op.getAxis() < 0 ? op.getAxis() + in[0].rank() : op.getAxis();
  SmallVector<int64_t, 6> shape(in[0].shape());
  for (const Tensor &tensor : in.drop_front())
    shape[axis] += tensor.shape()[axis];
  Tensor y = context.makeResult(op.getY(), shape);
  auto target = rowMajorStrides(shape);
  int64_t at = 0;
  for (auto [i, tensor] : llvm::enumerate(in)) {
    auto strides = rowMajorStrides(tensor.shape());
    if (op.getInterleave()) {
      // Element j of operand i goes to j * count + i.
      SmallVector<int64_t, 6> spaced(target);
      spaced[axis] *= in.size();
      copyBox(tensor, 0, strides, y, i * target[axis], spaced, tensor.shape());
    } else {
      copyBox(tensor, 0, strides, y, at * target[axis], target, tensor.shape());
      at += tensor.shape()[axis];
    }
  }
  out.push_back(std::move(y));
  return success();
}
LogicalResult evaluateOp(StackOp op, EvalContext &context, ArrayRef<Tensor> in,
                         SmallVectorImpl<Tensor> &out) {
  int64_t rank = in[0].rank() + 1,
          axis = (int64_t)op.getAxis() < 0 ? op.getAxis() + rank : op.getAxis();
  SmallVector<int64_t, 6> shape(in[0].shape());
  shape.insert(shape.begin() + axis, in.size());
  Tensor y = context.makeResult(op.getY(), shape);
  auto target = rowMajorStrides(shape);
  int64_t step = target[axis];
  target.erase(target.begin() + axis);
  for (auto [i, tensor] : llvm::enumerate(in))
    copyBox(tensor, 0, rowMajorStrides(tensor.shape()), y, i * step, target,
            tensor.shape());
  out.push_back(std::move(y));
  return success();
}
LogicalResult evaluateOp(SplitOp op, EvalContext &context, ArrayRef<Tensor> in,
                         SmallVectorImpl<Tensor> &out) {
  int64_t axis = (int64_t)op.getAxis() < 0 ? op.getAxis() + in[0].rank()
                                           : op.getAxis(),
          at = 0;
  auto strides = rowMajorStrides(in[0].shape());
  for (Value result : op.getY()) {
    SmallVector<int64_t, 6> shape(in[0].shape());
    shape[axis] = cast<RankedTensorType>(result.getType()).getDimSize(axis);
    out.push_back(takeBox(in[0], at * strides[axis], strides, shape,
                          resultType(context, result)));
    at += shape[axis];
  }
  return success();
}
/// Where a slice lies in a tensor.
struct SlicePlan {
  int64_t offset = 0;
  /// Of the axes that are kept.
  SmallVector<int64_t, 6> box, strides;
};
template <typename Op>
static FailureOr<SlicePlan> planSlice(Op op, ArrayRef<int64_t> shape,
                                      ArrayRef<int64_t> begin,
                                      ArrayRef<int64_t> end) {
  auto own = rowMajorStrides(shape);
  auto bit = [](std::optional<ArrayRef<bool>> mask, size_t i) {
    return mask && (*mask)[i];
  };
  SlicePlan plan;
  for (int64_t i = 0; i < (int64_t)shape.size(); ++i) {
    int64_t step = op.getStride() ? (*op.getStride())[i] : 1;
    if (bit(op.getSqueezeMask(), i)) {
      FailureOr<int64_t> index = wrapIndex(begin[i], shape[i]);
      if (failed(index))
        return op.emitOpError()
                   << "index " << begin[i] << " is out of range for axis " << i
                   << " of length " << shape[i],
               failure();
      plan.offset += *index * own[i];
      continue;
    }
    std::optional<int64_t> from, to;
    if (!bit(op.getBeginMask(), i))
      from = begin[i];
    if (!bit(op.getEndMask(), i))
      to = end[i];
    int64_t count = getSliceExtent(shape[i], from, to, step);
    if (count)
      plan.offset += getSliceStart(shape[i], from, step) * own[i];
    plan.box.push_back(count);
    plan.strides.push_back(own[i] * step);
  }
  return plan;
}
template <typename Op>
static LogicalResult slice(Op op, EvalContext &context, const Tensor &x,
                           ArrayRef<int64_t> begin, ArrayRef<int64_t> end,
                           SmallVectorImpl<Tensor> &out) {
  FailureOr<SlicePlan> plan = planSlice(op, x.shape(), begin, end);
  if (failed(plan))
    return failure();
  out.push_back(takeBox(x, plan->offset, plan->strides, plan->box,
                        resultType(context, op.getY())));
  return success();
}
LogicalResult evaluateOp(SliceByIndexOp op, EvalContext &context,
                         ArrayRef<Tensor> in, SmallVectorImpl<Tensor> &out) {
  return slice(op, context, in[0], op.getBegin(), op.getEnd(), out);
}
LogicalResult evaluateOp(DynamicSliceOp op, EvalContext &context,
                         ArrayRef<Tensor> in, SmallVectorImpl<Tensor> &out) {
  return slice(op, context, in[0], in[1].ints(), in[2].ints(), out);
}
LogicalResult evaluateOp(SliceUpdateOp op, EvalContext &context,
                         ArrayRef<Tensor> in, SmallVectorImpl<Tensor> &out) {
  const Tensor &x = in[0], &update = in[1];
  FailureOr<SlicePlan> plan =
      planSlice(op, x.shape(), in[2].ints(), in[3].ints());
  if (failed(plan))
    return failure();
  if (update.shape() != ArrayRef<int64_t>(plan->box))
    return op.emitOpError() << "expects an update of shape [" << plan->box
                            << "], but got [" << update.shape() << "]";
  Tensor y = context.makeResult(op.getY(), x.shape());
  auto own = rowMajorStrides(x.shape());
  if (y.size())
    copyBox(x, 0, own, y, 0, own, x.shape());
  if (update.size())
    copyBox(update, 0, rowMajorStrides(plan->box), y, plan->offset,
            plan->strides, plan->box);
  out.push_back(std::move(y));
  return success();
}
template <typename Op>
static LogicalResult sliceBySize(Op op, EvalContext &context, const Tensor &x,
                                 ArrayRef<int64_t> begins,
                                 SmallVectorImpl<Tensor> &out) {
  auto strides = rowMajorStrides(x.shape());
  SmallVector<int64_t, 6> box;
  int64_t offset = 0;
  for (int64_t i = 0; i < x.rank(); ++i) {
    int64_t begin = begins[i], size = op.getSize()[i] == -1
                                          ? x.shape()[i] - begin
                                          : op.getSize()[i];
    if (begin < 0 || size < 0 || begin + size > x.shape()[i])
      return op.emitOpError() << "box is out of range for axis " << i;
    offset += begin * strides[i];
    box.push_back(size);
  }
  out.push_back(
      takeBox(x, offset, strides, box, resultType(context, op.getY())));
  return success();
}
LogicalResult evaluateOp(SliceBySizeOp op, EvalContext &context,
                         ArrayRef<Tensor> in, SmallVectorImpl<Tensor> &out) {
  return sliceBySize(op, context, in[0], op.getBegin(), out);
}
LogicalResult evaluateOp(DynamicSliceBySizeOp op, EvalContext &context,
                         ArrayRef<Tensor> in, SmallVectorImpl<Tensor> &out) {
  return sliceBySize(op, context, in[0], in[1].ints(), out);
}

/// y[i] = x[table[axis][i_axis]], negative entries leave `fill`.
static Tensor gatherByTables(EvalContext &context, Value result,
                             const Tensor &x,
                             ArrayRef<std::vector<int64_t>> tables,
                             double fill) {
  SmallVector<int64_t, 6> shape;
  for (auto &table : tables)
    shape.push_back(table.size());
  Tensor y = context.makeResult(result, shape);
  auto strides = rowMajorStrides(x.shape()), target = rowMajorStrides(shape);
  withStorage(x, [&](auto zero) {
    using T = decltype(zero);
    auto source = storage<T>(x);
    auto out = mutableStorage<T>(y);
    for (int64_t i = 0; i < y.size(); ++i) {
      int64_t at = 0, rest = i;
      bool inside = true;
      for (size_t axis = 0; axis < shape.size(); ++axis) {
        int64_t index = tables[axis][rest / target[axis]];
        rest %= target[axis];
        inside &= index >= 0;
        at += index * strides[axis];
      }
      out[i] = inside ? source[at] : T(fill);
    }
  });
  return y;
}
/// Throws where the result has no room, before tables as long are made.
static void requireRoom(EvalContext &context, Value result) {
  if (auto type = cast<RankedTensorType>(result.getType());
      type.hasStaticShape())
    (void)context.makeResult(result, type.getShape());
}
static std::vector<int64_t> iota(int64_t count) {
  std::vector<int64_t> table(count);
  for (int64_t i = 0; i < count; ++i)
    table[i] = i;
  return table;
}

LogicalResult evaluateOp(PadOp op, EvalContext &context, ArrayRef<Tensor> in,
                         SmallVectorImpl<Tensor> &out) {
  requireRoom(context, op.getY());
  const Tensor &x = in[0];
  int64_t axes = op.getPad().size() / 2;
  std::vector<std::vector<int64_t>> tables;
  for (int64_t i = 0; i < x.rank(); ++i) {
    int64_t dim = x.shape()[i], p = i - (x.rank() - axes),
            before = p < 0 ? 0 : op.getPad()[2 * p],
            after = p < 0 ? 0 : op.getPad()[2 * p + 1];
    std::vector<int64_t> table;
    for (int64_t j = -before; j < dim + after; ++j)
      table.push_back(j >= 0 && j < dim                   ? j
                      : op.getMode() == PadMode::constant ? -1
                      : op.getMode() == PadMode::replicate
                          ? std::clamp<int64_t>(j, 0, dim - 1)
                      : j < 0 ? -j
                              : 2 * (dim - 1) - j);
    tables.push_back(std::move(table));
  }
  Tensor y = gatherByTables(context, op.getY(), x, tables,
                            op.getConstantVal().convertToFloat());
  context.finish(y);
  out.push_back(std::move(y));
  return success();
}
LogicalResult evaluateOp(TileOp op, EvalContext &context, ArrayRef<Tensor> in,
                         SmallVectorImpl<Tensor> &out) {
  requireRoom(context, op.getY());
  std::vector<std::vector<int64_t>> tables;
  for (auto [dim, reps] : llvm::zip(in[0].shape(), op.getReps())) {
    std::vector<int64_t> table;
    for (int64_t r = 0; r < reps; ++r)
      for (int64_t i = 0; i < dim; ++i)
        table.push_back(i);
    tables.push_back(std::move(table));
  }
  out.push_back(gatherByTables(context, op.getY(), in[0], tables, 0));
  return success();
}
LogicalResult evaluateOp(ReverseOp op, EvalContext &context,
                         ArrayRef<Tensor> in, SmallVectorImpl<Tensor> &out) {
  SmallVector<bool> flip(in[0].rank(), !op.getAxes());
  if (std::optional<ArrayRef<int64_t>> axes = op.getAxes())
    for (int64_t axis : *axes)
      flip[axis < 0 ? axis + in[0].rank() : axis] = true;
  std::vector<std::vector<int64_t>> tables;
  for (auto [dim, reversed] : llvm::zip(in[0].shape(), flip)) {
    tables.push_back(iota(dim));
    if (reversed)
      std::reverse(tables.back().begin(), tables.back().end());
  }
  out.push_back(gatherByTables(context, op.getY(), in[0], tables, 0));
  return success();
}
LogicalResult evaluateOp(ReverseSequenceOp op, EvalContext &context,
                         ArrayRef<Tensor> in, SmallVectorImpl<Tensor> &out) {
  const Tensor &x = in[0];
  int64_t seq = (int64_t)op.getSeqAxis() < 0 ? op.getSeqAxis() + x.rank()
                                             : op.getSeqAxis();
  int64_t batch = (int64_t)op.getBatchAxis() < 0 ? op.getBatchAxis() + x.rank()
                                                 : op.getBatchAxis();
  for (int64_t length : in[1].ints())
    if (length < 0 || length > x.shape()[seq])
      return op.emitOpError() << "expects lengths from 0 to " << x.shape()[seq]
                              << ", but got " << length;
  Tensor y = context.makeResult(op.getY(), x.shape());
  auto strides = rowMajorStrides(x.shape());
  withStorage(x, [&](auto zero) {
    using T = decltype(zero);
    for (int64_t i = 0; i < x.size(); ++i) {
      int64_t s = i / strides[seq] % x.shape()[seq],
              length = in[1].ints()[i / strides[batch] % x.shape()[batch]];
      mutableStorage<T>(y)[i] = storage<T>(
          x)[s < length ? i + (length - 1 - 2 * s) * strides[seq] : i];
    }
  });
  out.push_back(std::move(y));
  return success();
}

/// [n, c', h, w] <-> blocks: depth first (DCR) or channel first (CRD).
static Tensor toSpace(EvalContext &context, const Tensor &x, int64_t block,
                      bool channelFirst) {
  int64_t n = x.shape()[0], c = x.shape()[1] / (block * block),
          h = x.shape()[2], w = x.shape()[3];
  Tensor split = channelFirst ? x.reshaped({n, c, block, block, h, w})
                              : x.reshaped({n, block, block, c, h, w});
  return permute(context, split,
                 channelFirst ? ArrayRef<int64_t>{0, 1, 4, 2, 5, 3}
                              : ArrayRef<int64_t>{0, 3, 4, 1, 5, 2})
      .reshaped({n, c, h * block, w * block});
}
static Tensor toDepth(EvalContext &context, const Tensor &x, int64_t block,
                      bool channelFirst) {
  int64_t n = x.shape()[0], c = x.shape()[1], h = x.shape()[2] / block,
          w = x.shape()[3] / block;
  Tensor split = x.reshaped({n, c, h, block, w, block});
  return permute(context, split,
                 channelFirst ? ArrayRef<int64_t>{0, 1, 3, 5, 2, 4}
                              : ArrayRef<int64_t>{0, 3, 5, 1, 2, 4})
      .reshaped({n, c * block * block, h, w});
}
LogicalResult evaluateOp(DepthToSpaceOp op, EvalContext &context,
                         ArrayRef<Tensor> in, SmallVectorImpl<Tensor> &out) {
  out.push_back(toSpace(context, in[0], op.getBlockSize(), false));
  return success();
}
LogicalResult evaluateOp(PixelShuffleOp op, EvalContext &context,
                         ArrayRef<Tensor> in, SmallVectorImpl<Tensor> &out) {
  out.push_back(toSpace(context, in[0], op.getUpscaleFactor(), true));
  return success();
}
LogicalResult evaluateOp(SpaceToDepthOp op, EvalContext &context,
                         ArrayRef<Tensor> in, SmallVectorImpl<Tensor> &out) {
  out.push_back(toDepth(context, in[0], op.getBlockSize(), false));
  return success();
}
LogicalResult evaluateOp(PixelUnshuffleOp op, EvalContext &context,
                         ArrayRef<Tensor> in, SmallVectorImpl<Tensor> &out) {
  out.push_back(toDepth(context, in[0], op.getDownscaleFactor(), true));
  return success();
}

LogicalResult evaluateOp(BandPartOp op, EvalContext &context,
                         ArrayRef<Tensor> in, SmallVectorImpl<Tensor> &out) {
  if (in[0].rank() < 2)
    return op.emitOpError() << "expects 'x' to have rank 2 or more";
  Tensor y = context.makeResult(op.getY(), in[0].shape());
  int64_t rows = in[0].shape()[in[0].rank() - 2],
          columns = in[0].shape().back(), lower = op.getLower(),
          upper = op.getUpper();
  withStorage(y, [&](auto zero) {
    using T = decltype(zero);
    for (int64_t i = 0; i < y.size(); ++i) {
      int64_t m = i / columns % rows, n = i % columns;
      bool keep =
          (lower < 0 || m - n <= lower) && (upper < 0 || n - m <= upper);
      mutableStorage<T>(y)[i] = keep ? storage<T>(in[0])[i] : T(0);
    }
  });
  out.push_back(std::move(y));
  return success();
}
LogicalResult evaluateOp(SlidingWindowsOp op, EvalContext &context,
                         ArrayRef<Tensor> in, SmallVectorImpl<Tensor> &out) {
  int64_t axis =
      (int64_t)op.getAxis() < 0 ? op.getAxis() + in[0].rank() : op.getAxis();
  SmallVector<int64_t, 6> shape(in[0].shape()),
      strides = rowMajorStrides(in[0].shape());
  shape[axis] =
      (shape[axis] - int64_t(op.getSize())) / int64_t(op.getStride()) + 1;
  shape.insert(shape.begin() + axis + 1, op.getSize());
  strides.insert(strides.begin() + axis + 1, strides[axis]);
  strides[axis] *= op.getStride();
  Tensor y = context.makeResult(op.getY(), shape);
  copyBox(in[0], 0, strides, y, 0, rowMajorStrides(shape), shape);
  out.push_back(std::move(y));
  return success();
}

//===----------------------------------------------------------------------===//
// Resampling of the last two axes (grids of mil/numerics.md §8)
//===----------------------------------------------------------------------===//

static LogicalResult
nearest(Value result, EvalContext &context, const Tensor &x, int64_t height,
        int64_t width, function_ref<int64_t(int64_t, int64_t, int64_t)> source,
        SmallVectorImpl<Tensor> &out) {
  std::vector<std::vector<int64_t>> tables;
  for (int64_t i = 0; i + 2 < x.rank(); ++i)
    tables.push_back(iota(x.shape()[i]));
  for (auto [extent, dim] : {std::pair{height, x.shape()[x.rank() - 2]},
                             {width, x.shape().back()}}) {
    std::vector<int64_t> table;
    for (int64_t i = 0; i < extent; ++i)
      table.push_back(std::clamp<int64_t>(source(i, dim, extent), 0, dim - 1));
    tables.push_back(std::move(table));
  }
  out.push_back(gatherByTables(context, result, x, tables, 0));
  return success();
}
LogicalResult evaluateOp(UpsampleNearestNeighborOp op, EvalContext &context,
                         ArrayRef<Tensor> in, SmallVectorImpl<Tensor> &out) {
  return nearest(
      op.getY(), context, in[0],
      in[0].shape()[in[0].rank() - 2] * op.getScaleFactorHeight(),
      in[0].shape().back() * op.getScaleFactorWidth(),
      [](int64_t i, int64_t dim, int64_t extent) { return i * dim / extent; },
      out);
}
LogicalResult evaluateOp(ResizeNearestNeighborOp op, EvalContext &context,
                         ArrayRef<Tensor> in, SmallVectorImpl<Tensor> &out) {
  return nearest(
      op.getY(), context, in[0], op.getTargetSizeHeight(),
      op.getTargetSizeWidth(),
      [](int64_t i, int64_t dim, int64_t extent) {
        return int64_t(std::floor((i + 0.5) * dim / extent));
      },
      out);
}

#include "dialects/ANE/IR/RearrangeEvaluators.inc"
#include "dialects/ANE/IR/ShapeEvaluators.inc"
} // namespace mlir::ane
