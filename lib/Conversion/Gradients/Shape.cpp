//===- Shape.cpp - derivatives of data movement ---------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// What moves elements moves their gradients back; what reads an element twice
// adds them.
//
//===----------------------------------------------------------------------===//

#include "dialects/ANE/IR/Shape.h"
#include "Derivative.h"
#include "dialects/ANE/IR/Arithmetic.h"
#include "dialects/ANE/IR/Image.h"
#include "dialects/ANE/IR/Rearrange.h"

using namespace mlir;
using namespace mlir::ane;

/// The same elements, other shape.
template <typename Op>
static void reshapeBack(Op op, Derivative &d) {
  d.give(0u, d.reshape(d.incoming(0), d.shapeOf(op.getX())));
}
namespace mlir::ane {

void differentiate(ReshapeOp op, Derivative &d) { reshapeBack(op, d); }
void differentiate(ExpandDimsOp op, Derivative &d) { reshapeBack(op, d); }
void differentiate(SqueezeOp op, Derivative &d) { reshapeBack(op, d); }
void differentiate(Flatten2dOp op, Derivative &d) { reshapeBack(op, d); }

void differentiate(TransposeOp op, Derivative &d) {
  SmallVector<int64_t> inverse(op.getPerm().size());
  int64_t rank = inverse.size();
  for (auto [i, axis] : llvm::enumerate(op.getPerm()))
    inverse[Derivative::wrap(axis, rank)] = i;
  d.give(0u, d.transpose(d.incoming(0), inverse));
}

void differentiate(ConcatOp op, Derivative &d) {
  int64_t axis = Derivative::wrap(op.getAxis(), d.rankOf(op.getY())), at = 0,
          parts = op.getValues().size();
  for (auto [i, value] : llvm::enumerate(op.getValues())) {
    int64_t extent = d.shapeOf(value)[axis];
    if (d.wants(unsigned(i)))
      d.give(unsigned(i), op.getInterleave()
                              ? d.slice(d.incoming(0), axis, i, extent, parts)
                              : d.slice(d.incoming(0), axis, at, extent));
    at += extent;
  }
}

void differentiate(StackOp op, Derivative &d) {
  int64_t axis = Derivative::wrap(op.getAxis(), d.rankOf(op.getY()));
  for (auto [i, value] : llvm::enumerate(op.getValues()))
    if (d.wants(unsigned(i)))
      d.give(unsigned(i),
             d.reshape(d.slice(d.incoming(0), axis, i, 1), d.shapeOf(value)));
}

void differentiate(SplitOp op, Derivative &d) {
  int64_t rank = d.rankOf(op.getX()),
          axis = Derivative::wrap(op.getAxis(), rank), at = 0,
          extent = d.shapeOf(op.getX())[axis];
  SmallVector<Value> parts;
  for (unsigned i = 0; i < op->getNumResults(); ++i)
    if (Value g = d.incoming(i))
      parts.push_back(g);
  if (parts.size() == op->getNumResults()) {
    d.give(0u, d.concat(parts, axis));
    return;
  }
  // Of parts that nothing reads nothing comes.
  for (unsigned i = 0; i < op->getNumResults(); ++i) {
    int64_t size = d.shapeOf(op->getResult(i))[axis];
    SmallVector<int64_t> before(rank, 0), after(rank, 0);
    before[axis] = at;
    after[axis] = extent - at - size;
    at += size;
    if (Value g = d.incoming(i))
      d.give(0u, d.padOrCrop(g, before, after));
  }
}

void differentiate(SliceByIndexOp op, Derivative &d) {
  ArrayRef<int64_t> shape = d.shapeOf(op.getX());
  int64_t rank = shape.size();
  SmallVector<int64_t> kept, before(rank, 0), after(rank, 0), turned,
      strides(rank, 1);
  auto bit = [](std::optional<ArrayRef<bool>> mask, int64_t i) {
    return mask && i < (int64_t)mask->size() && (*mask)[i];
  };
  for (int64_t i = 0; i < rank; ++i) {
    bool squeezed = bit(op.getSqueezeMask(), i);
    int64_t step = op.getStride() && !squeezed ? (*op.getStride())[i] : 1;
    std::optional<int64_t> begin, end;
    if (squeezed || !bit(op.getBeginMask(), i))
      begin = op.getBegin()[i];
    if (!squeezed && !bit(op.getEndMask(), i))
      end = op.getEnd()[i];
    int64_t first = getSliceStart(shape[i], begin, step),
            count = squeezed ? 1 : getSliceExtent(shape[i], begin, end, step);
    kept.push_back(count);
    if (count == 0) {
      d.refuse("a slice of nothing");
      return;
    }
    int64_t last = first + (count - 1) * step;
    if (step < 0) {
      turned.push_back(i);
      std::swap(first, last);
    }
    strides[i] = std::abs(step);
    before[i] = first;
    after[i] = shape[i] - last - 1;
  }
  Value g = d.reshape(d.incoming(0), kept);
  if (!turned.empty())
    g = d.create<ReverseOp>({g}, {.axes = turned});
  for (int64_t i = 0; i < rank; ++i)
    if (kept[i] > 1)
      g = d.spread(g, i, strides[i]);
  d.give(0u, d.padOrCrop(g, before, after));
}

void differentiate(SliceBySizeOp op, Derivative &d) {
  SmallVector<int64_t> before(op.getBegin()), after;
  for (auto [i, extent] : llvm::enumerate(d.shapeOf(op.getX())))
    after.push_back(extent - before[i] - d.shapeOf(op.getY())[i]);
  d.give(0u, d.padOrCrop(d.incoming(0), before, after));
}

/// Along one axis: `g` of extent before + extent + after to extent.
static Value foldPad(Derivative &d, Value g, int64_t axis, int64_t before,
                     int64_t after, bool reflect) {
  if (!g)
    return d.fail();
  int64_t extent = d.shapeOf(g)[axis] - before - after;
  Value middle = d.slice(g, axis, before, extent);
  auto add = [&](Value part, int64_t length, int64_t at) {
    if (reflect)
      part = d.create<ReverseOp>({part}, {.axes = {axis}});
    else
      part = d.sum(part, {axis}), length = 1;
    SmallVector<int64_t> low(d.rankOf(g), 0), high(d.rankOf(g), 0);
    low[axis] = at;
    high[axis] = extent - at - length;
    middle = d.create<AddOp>({middle, d.padOrCrop(part, low, high)});
  };
  if (before)
    add(d.slice(g, axis, 0, before), before, reflect ? 1 : 0);
  if (after)
    add(d.slice(g, axis, before + extent, after), after,
        reflect ? extent - 1 - after : extent - 1);
  return middle;
}

void differentiate(PadOp op, Derivative &d) {
  int64_t rank = d.rankOf(op.getX()), axes = op.getPad().size() / 2;
  Value g = d.incoming(0);
  SmallVector<int64_t> before(rank, 0), after(rank, 0);
  for (int64_t i = 0; i < axes; ++i) {
    before[rank - axes + i] = -op.getPad()[2 * i];
    after[rank - axes + i] = -op.getPad()[2 * i + 1];
  }
  if (op.getMode() == PadMode::constant) {
    d.give(0u, d.padOrCrop(g, before, after));
    return;
  }
  for (int64_t i = 0; i < rank; ++i)
    if (before[i] || after[i])
      g = foldPad(d, g, i, -before[i], -after[i],
                  op.getMode() != PadMode::replicate);
  d.give(0u, g);
}

/// Sums groups of `count` elements: `outer` says that the copies of a whole
/// axis lie behind each other, else those of one element.
static Value sumCopies(Derivative &d, Value g, int64_t axis, int64_t count,
                       bool outer) {
  if (!g || count == 1)
    return g;
  SmallVector<int64_t> shape(d.shapeOf(g)), apart(shape);
  shape[axis] /= count;
  apart[axis] = outer ? count : shape[axis];
  apart.insert(apart.begin() + axis + 1, outer ? shape[axis] : count);
  Value sum = d.sum(d.reshape(g, apart), {outer ? axis : axis + 1});
  return d.reshape(sum, shape);
}

void differentiate(TileOp op, Derivative &d) {
  Value g = d.incoming(0);
  for (auto [i, count] : llvm::enumerate(op.getReps()))
    g = sumCopies(d, g, i, count, true);
  d.give(0u, g);
}

void differentiate(UpsampleNearestNeighborOp op, Derivative &d) {
  int64_t rank = d.rankOf(op.getX());
  Value g =
      sumCopies(d, d.incoming(0), rank - 2, op.getScaleFactorHeight(), false);
  d.give(0u, sumCopies(d, g, rank - 1, op.getScaleFactorWidth(), false));
}

void differentiate(ReverseOp op, Derivative &d) {
  d.give(0u, d.create<ReverseOp>({d.incoming(0)}, {.axes = op.getAxes()}));
}

void differentiate(ReverseSequenceOp op, Derivative &d) {
  d.give(0u, d.create<ReverseSequenceOp>({d.incoming(0), op.getLengths()},
                                         {.seq_axis = op.getSeqAxis(),
                                          .batch_axis = op.getBatchAxis()}));
}

void differentiate(DepthToSpaceOp op, Derivative &d) {
  d.give(0u, d.create<SpaceToDepthOp>({d.incoming(0)},
                                      {.block_size = op.getBlockSize()}));
}
void differentiate(SpaceToDepthOp op, Derivative &d) {
  d.give(0u, d.create<DepthToSpaceOp>({d.incoming(0)},
                                      {.block_size = op.getBlockSize()}));
}
void differentiate(PixelShuffleOp op, Derivative &d) {
  d.give(0u, d.create<PixelUnshuffleOp>(
                 {d.incoming(0)}, {.downscale_factor = op.getUpscaleFactor()}));
}
void differentiate(PixelUnshuffleOp op, Derivative &d) {
  d.give(0u, d.create<PixelShuffleOp>(
                 {d.incoming(0)}, {.upscale_factor = op.getDownscaleFactor()}));
}

void differentiate(BandPartOp op, Derivative &d) {
  d.give(0u, d.create<BandPartOp>({d.incoming(0)}, {.lower = op.getLower(),
                                                    .upper = op.getUpper()}));
}

void differentiate(SlidingWindowsOp op, Derivative &d) {
  int64_t rank = d.rankOf(op.getX()),
          axis = Derivative::wrap(op.getAxis(), rank),
          extent = d.shapeOf(op.getX())[axis];
  SmallVector<int64_t> shape(d.shapeOf(op.getX()));
  shape[axis] = d.shapeOf(op.getY())[axis];
  int64_t reach = (shape[axis] - 1) * int64_t(op.getStride()) + 1;
  for (int64_t i = 0; i < int64_t(op.getSize()); ++i) {
    Value part = d.reshape(d.slice(d.incoming(0), axis + 1, i, 1), shape);
    SmallVector<int64_t> before(rank, 0), after(rank, 0);
    before[axis] = i;
    after[axis] = extent - reach - i;
    d.give(0u,
           d.padOrCrop(d.spread(part, axis, op.getStride()), before, after));
  }
}

#include "dialects/ANE/IR/RearrangeGradients.inc"
#include "dialects/ANE/IR/ShapeGradients.inc"
} // namespace mlir::ane
