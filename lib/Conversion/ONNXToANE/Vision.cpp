//===- Vision.cpp - boxes, regions and windows ----------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// Region and deformable sampling gather the four taps of each point and weigh
// them: MIL's crop_resize rounds differently and has no offsets.
//
//===----------------------------------------------------------------------===//

#include "Lowering.h"
#include "dialects/ANE/IR/Arithmetic.h"
#include "dialects/ANE/IR/Comparison.h"
#include "dialects/ANE/IR/Gather.h"
#include "dialects/ANE/IR/Linear.h"
#include "dialects/ANE/IR/Reduction.h"
#include "dialects/ANE/IR/Shape.h"
#include "dialects/ANE/IR/Unary.h"
#include <cmath>

using namespace mlir;
using namespace mlir::ane;

using C = NodeContext;

/// 1 where `condition` holds, else 0.
static Value indicator(C &c, Value condition) {
  return c.castTo(condition, c.f32());
}
static Value clampTo(C &c, Value x, double low, double high) {
  return c.create<MinimumOp>(
      {c.create<MaximumOp>({x, c.scalarLike(low, x)}), c.scalarLike(high, x)});
}

//===----------------------------------------------------------------------===//
// NonMaxSuppression
//===----------------------------------------------------------------------===//

/// [B,S,4] in ONNX's two formats as [B,4,S] of centre and size.
static Value centreBoxes(C &c, Value boxes, bool centred) {
  Value t = c.transpose(c.castTo(boxes, c.f32()), {0, 2, 1});
  if (centred || !t)
    return t;
  auto row = [&](int64_t i) { return c.slice(t, 1, i, i + 1); };
  Value half = c.scalar(0.5, c.f32());
  SmallVector<Value> parts(4);
  for (int64_t axis = 0; axis < 2; ++axis) { // y1 x1 y2 x2 -> x y w h
    Value a = row(1 - axis), b = row(3 - axis);
    parts[axis] = c.mul(c.add(a, b), half);
    parts[2 + axis] = c.create<AbsOp>({c.sub(b, a)});
  }
  return c.concat(parts, 1);
}

static LogicalResult lowerNonMaxSuppression(C &c) {
  Value boxes = c.input(0), scores = c.input(1);
  if (c.rank(boxes) != 3 || c.rank(scores) != 3 || c.shape(boxes)[2] != 4 ||
      c.shape(boxes)[1] != c.shape(scores)[2] ||
      c.shape(boxes)[0] != c.shape(scores)[0])
    return c.error() << "expects boxes [B,S,4] and scores [B,C,S], but got "
                     << c.type(boxes) << " and " << c.type(scores);
  int64_t batch = c.shape(boxes)[0], count = c.shape(boxes)[1],
          classes = c.shape(scores)[1], most = 0;
  double overlap = 0;
  if (c.input(2)) {
    auto given = c.constantInt(c.input(2), "max_output_boxes_per_class");
    if (failed(given))
      return failure();
    most = std::min(*given, count);
  }
  if (c.input(3)) {
    auto given = c.constantTensor(c.input(3), "iou_threshold");
    if (failed(given) || given->size() != 1)
      return failure();
    overlap = given->number();
  }
  if (most <= 0 || batch * classes == 0)
    return c.set(0, c.graph.constant(c.loc, Tensor(DType::Int64, {0, 3})));
  // Every class of every item suppresses on its own.
  int64_t rows = batch * classes;
  Value wide = c.reshape(centreBoxes(c, boxes, c.getInt("center_point_box", 0)),
                         {batch, 1, 4, count});
  if (!wide)
    return failure();
  wide = c.reshape(c.broadcastTo(wide, {batch, classes, 4, count}),
                   {rows, 4, count});
  SmallVector<Value> kept = c.createMany<NonMaximumSuppressionOp>(
      {wide, c.reshape(c.castTo(scores, c.f32()), {rows, 1, count})},
      {.iou_threshold = overlap, .max_boxes = most});
  if (kept.empty())
    return failure();
  Value index = kept[2],
        valid = c.create<GreaterEqualOp>({index, c.scalarLike(0, index)});
  if (Value threshold = c.input(4)) {
    Value above = c.create<GreaterOp>(
        {c.reshape(kept[1], {rows, most}), c.reshape(threshold, {})});
    valid = c.create<LogicalAndOp>({valid, above});
  }
  // One row (item, class, box) per place, of which the valid ones stay.
  SmallVector<int64_t> item, klass;
  for (int64_t i = 0; i < rows * most; ++i) {
    item.push_back(i / (classes * most));
    klass.push_back(i / most % classes);
  }
  Value table =
      c.concat({c.ints({rows * most, 1}, item), c.ints({rows * most, 1}, klass),
                c.reshape(index, {rows * most, 1})},
               1);
  Value places = c.create<NonZeroOp>({c.reshape(valid, {rows * most})});
  if (!places)
    return failure();
  places = c.create<SqueezeOp>({places}, {.axes = {1}});
  return c.set(
      0, c.castTo(c.gather(table, places, 0), c.graph.builder.getI64Type()));
}

//===----------------------------------------------------------------------===//
// Bilinear taps
//===----------------------------------------------------------------------===//

namespace {
/// One axis of sampling points: the two neighbours and their weights.
struct Taps {
  Value low, high, lowWeight, highWeight;
};
} // namespace

/// Points of [-1, extent] keep the edge's value, those outside give nothing
/// (RoiAlign).
static Taps edgeTaps(C &c, Value at, int64_t extent) {
  Value inside = c.mul(
      indicator(c, c.create<GreaterEqualOp>({at, c.scalarLike(-1, at)})),
      indicator(c, c.create<LessEqualOp>({at, c.scalarLike(extent, at)})));
  Value y = clampTo(c, at, 0, extent - 1), low = c.create<FloorOp>({y});
  Value high = c.create<MinimumOp>(
      {c.add(low, c.scalarLike(1, low)), c.scalarLike(extent - 1, low)});
  Value fraction = c.sub(y, low);
  return {low, high, c.mul(c.sub(c.scalarLike(1, y), fraction), inside),
          c.mul(fraction, inside)};
}
/// Neighbours outside count as zero (deformable convolution).
static Taps zeroTaps(C &c, Value at, int64_t extent) {
  Value low = c.create<FloorOp>({at}), fraction = c.sub(at, low),
        high = c.add(low, c.scalarLike(1, low));
  auto inside = [&](Value tap) {
    return indicator(c,
                     c.create<EqualOp>({tap, clampTo(c, tap, 0, extent - 1)}));
  };
  Value lowWeight = c.mul(c.sub(c.scalarLike(1, at), fraction), inside(low)),
        highWeight = c.mul(fraction, inside(high));
  return {clampTo(c, low, 0, extent - 1), clampTo(c, high, 0, extent - 1),
          lowWeight, highWeight};
}

/// The four weighted neighbours of points (y, x) broadcast against each other;
/// `rows` is [positions, C], `base` the first position of each point's plane.
/// Rows and columns become integers before they are put together: a position in
/// the plane is more than fp16 can count.
static SmallVector<Value> sampleTaps(C &c, Value rows, Value base, Taps y,
                                     Taps x, int64_t width) {
  SmallVector<Value> taps;
  for (auto [row, rowWeight] :
       {std::pair(y.low, y.lowWeight), std::pair(y.high, y.highWeight)})
    for (auto [column, columnWeight] :
         {std::pair(x.low, x.lowWeight), std::pair(x.high, x.highWeight)}) {
      Value position =
          c.add(c.mul(c.castTo(row, c.i32()), c.scalar(width, c.i32())),
                c.castTo(column, c.i32()));
      position = c.add(base, position);
      Value value = c.gather(rows, position, 0),
            weight = c.mul(rowWeight, columnWeight);
      if (!value || !weight)
        return {};
      SmallVector<int64_t> shape(c.shape(weight));
      shape.push_back(1);
      taps.push_back(c.mul(value, c.reshape(weight, shape)));
    }
  return taps;
}

/// [N,C,H,W] as [N*H*W, C] in fp32.
static Value pixelRows(C &c, Value x) {
  ArrayRef<int64_t> shape = c.shape(x);
  Value t = c.transpose(c.castTo(x, c.f32()), {0, 2, 3, 1});
  return t ? c.reshape(t, {shape[0] * shape[2] * shape[3], shape[1]}) : t;
}

//===----------------------------------------------------------------------===//
// RoiAlign
//===----------------------------------------------------------------------===//

namespace {
struct RoiPlan {
  int64_t outHeight, outWidth, height, width, channels;
  double scale, offset;
  bool halfPixel, max;
};
} // namespace

/// rois [R,4], items [R]; a grid of gh x gw points per bin.
static Value alignRois(C &c, const RoiPlan &p, Value rows, Value rois,
                       Value items, int64_t gh, int64_t gw) {
  int64_t count = c.shape(rois)[0];
  Value scaled =
      c.sub(c.mul(c.castTo(rois, c.f32()), c.scalar(p.scale, c.f32())),
            c.scalar(p.offset, c.f32()));
  auto column = [&](int64_t i) { return c.slice(scaled, 1, i, i + 1); };
  auto points = [&](int64_t axis, int64_t bins, int64_t grid) { // axis 0: x
    Value start = column(axis), size = c.sub(column(axis + 2), start);
    if (!p.halfPixel && size)
      size = c.create<MaximumOp>({size, c.scalarLike(1, size)});
    SmallVector<float> t;
    for (int64_t bin = 0; bin < bins; ++bin)
      for (int64_t i = 0; i < grid; ++i)
        t.push_back(float((bin + (i + 0.5) / grid) / bins));
    return c.add(start, c.mul(size, c.floats({1, bins * grid}, t)));
  };
  Value y = points(1, p.outHeight, gh), x = points(0, p.outWidth, gw);
  if (!x || !y)
    return {};
  int64_t ny = p.outHeight * gh, nx = p.outWidth * gw;
  Value plane =
      c.mul(c.castTo(items, c.i32()), c.scalar(p.height * p.width, c.i32()));
  SmallVector<Value> taps =
      sampleTaps(c, rows, c.reshape(plane, {count, 1, 1}),
                 edgeTaps(c, c.reshape(y, {count, ny, 1}), p.height),
                 edgeTaps(c, c.reshape(x, {count, 1, nx}), p.width), p.width);
  if (taps.empty())
    return {};
  Value all = taps[0];
  for (Value tap : ArrayRef(taps).drop_front())
    all = p.max ? c.create<MaximumOp>({all, tap}) : c.add(all, tap);
  auto pool = [&](Value v, int64_t axis) {
    return p.max ? c.create<ReduceMaxOp>({v},
                                         {.axes = {axis}, .keep_dims = false})
                 : c.create<ReduceMeanOp>({v},
                                          {.axes = {axis}, .keep_dims = false});
  };
  all = pool(c.reshape(all, {count * p.outHeight, gh, nx, p.channels}), 1);
  if (!all)
    return {};
  all = pool(c.reshape(all, {count * p.outHeight, p.outWidth, gw, p.channels}),
             2);
  if (!all)
    return {};
  return c.transpose(
      c.reshape(all, {count, p.outHeight, p.outWidth, p.channels}),
      {0, 3, 1, 2});
}

static LogicalResult lowerRoiAlign(C &c) {
  Value x = c.input(0), rois = c.input(1), items = c.input(2);
  if (c.rank(x) != 4 || c.rank(rois) != 2 || c.shape(rois)[1] != 4 ||
      c.rank(items) != 1 || c.shape(items)[0] != c.shape(rois)[0])
    return c.error() << "expects an input of rank 4, rois [R,4] and "
                        "batch_indices [R]";
  RoiPlan p;
  p.outHeight = c.getInt("output_height", 1);
  p.outWidth = c.getInt("output_width", 1);
  p.height = c.shape(x)[2];
  p.width = c.shape(x)[3];
  p.channels = c.shape(x)[1];
  p.scale = c.getFloat("spatial_scale", 1);
  // Before opset 16 there was no choice.
  std::string mode =
      c.getString("coordinate_transformation_mode",
                  c.version() < 16 ? "output_half_pixel" : "half_pixel");
  p.halfPixel = mode == "half_pixel";
  p.offset = p.halfPixel ? 0.5 : 0;
  p.max = c.getString("mode", "avg") == "max";
  int64_t ratio = c.getInt("sampling_ratio", 0);
  if (p.outHeight < 1 || p.outWidth < 1 || p.outHeight > 4096 ||
      p.outWidth > 4096 || ratio < 0 || ratio > 64 || p.height * p.width == 0 ||
      c.shape(rois)[0] == 0)
    return c.error() << "expects regions, a non-empty input, outputs of "
                        "1x1 to 4096x4096 and a sampling_ratio in [0, 64]";
  Value rows = pixelRows(c, x);
  Value y;
  if (ratio > 0) {
    y = alignRois(c, p, rows, rois, items, ratio, ratio);
  } else {
    // The grid follows each region's size.
    auto known = c.constantTensor(rois, "rois");
    if (failed(known))
      return failure();
    SmallVector<Value> each;
    for (int64_t r = 0; r < known->shape()[0]; ++r) {
      auto grid = [&](int64_t axis, int64_t bins) {
        double size = (known->floats()[r * 4 + axis + 2] -
                       known->floats()[r * 4 + axis]) *
                      p.scale;
        size = p.halfPixel ? size : std::max(size, 1.0);
        return int64_t(std::clamp(std::ceil(size / bins), 1.0, 1024.0));
      };
      each.push_back(alignRois(c, p, rows, c.slice(rois, 0, r, r + 1),
                               c.slice(items, 0, r, r + 1),
                               grid(1, p.outHeight), grid(0, p.outWidth)));
    }
    y = c.concat(each, 0);
  }
  return c.set(0, c.castTo(y, c.element(x)));
}

//===----------------------------------------------------------------------===//
// DeformConv
//===----------------------------------------------------------------------===//

static LogicalResult lowerDeformConv(C &c) {
  Value x = c.input(0), weight = c.input(1), offset = c.input(2),
        bias = c.input(3), mask = c.input(4);
  if (c.rank(x) != 4 || c.rank(weight) != 4 || c.rank(offset) != 4)
    return c.error() << "expects two spatial axes, but got " << c.type(x);
  FailureOr<ONNXWindow> window =
      readWindow(c, c.shape(x).drop_front(2), c.shape(weight).drop_front(2));
  if (failed(window))
    return failure();
  int64_t batch = c.shape(x)[0], channels = c.shape(x)[1],
          height = c.shape(x)[2], width = c.shape(x)[3],
          outputs = c.shape(weight)[0], group = c.getInt("group", 1),
          groups = c.getInt("offset_group", 1), oh = c.shape(offset)[2],
          ow = c.shape(offset)[3], points = oh * ow,
          taps = window->kernel[0] * window->kernel[1];
  if (group < 1 || groups < 1 || channels % group || channels % groups ||
      outputs % group || c.shape(weight)[1] != channels / group ||
      c.shape(offset)[0] != batch || c.shape(offset)[1] != groups * taps * 2 ||
      (mask && (c.rank(mask) != 4 || c.type(mask).getNumElements() !=
                                         batch * groups * taps * points)))
    return c.error() << "expects offsets [N, offset_group*taps*2, oH, oW] and "
                        "groups that divide the channels";
  int64_t planes = batch * groups, depth = channels / groups;
  Value moved = c.reshape(c.castTo(offset, c.f32()), {planes, taps, 2, points});
  Value image = c.reshape(c.castTo(x, c.f32()), {planes, depth, height, width});
  if (!moved || !image)
    return failure();
  auto positions = [&](int64_t axis) {
    Value d =
        c.reshape(c.slice(moved, 2, axis, axis + 1), {planes, taps, points});
    SmallVector<float> base;
    for (int64_t k = 0; k < taps; ++k)
      for (int64_t p = 0; p < points; ++p) {
        int64_t at = axis == 0 ? p / ow : p % ow,
                tap = axis == 0 ? k / window->kernel[1] : k % window->kernel[1];
        base.push_back(at * window->strides[axis] - window->pads[2 * axis] +
                       tap * window->dilations[axis]);
      }
    return c.add(d, c.floats({1, taps, points}, base));
  };
  SmallVector<int64_t> firsts;
  for (int64_t n = 0; n < planes; ++n)
    firsts.push_back(n * height * width);
  SmallVector<Value> four =
      sampleTaps(c, pixelRows(c, image), c.ints({planes, 1, 1}, firsts),
                 zeroTaps(c, positions(0), height),
                 zeroTaps(c, positions(1), width), width);
  if (four.empty())
    return failure();
  Value columns = four[0]; // [planes, taps, points, depth]
  for (Value tap : ArrayRef(four).drop_front())
    columns = c.add(columns, tap);
  if (mask)
    columns = c.mul(
        columns, c.reshape(c.castTo(mask, c.f32()), {planes, taps, points, 1}));
  columns = c.transpose(columns, {0, 3, 1, 2});
  if (!columns)
    return failure();
  columns = c.reshape(columns, {batch, group, channels / group * taps, points});
  Value kernel = c.reshape(c.castTo(weight, c.f32()),
                           {group, outputs / group, channels / group * taps});
  Value y = c.reshape(c.matmul(kernel, columns), {batch, outputs, oh, ow});
  if (bias)
    y = c.add(y, c.reshape(c.castTo(bias, c.f32()), {1, outputs, 1, 1}));
  return c.set(0, c.castTo(y, c.element(x)));
}

//===----------------------------------------------------------------------===//
// Windows put back
//===----------------------------------------------------------------------===//

static LogicalResult lowerMaxUnpool(C &c) {
  Value x = c.input(0), indices = c.input(1);
  auto kernel = c.getInts("kernel_shape");
  int64_t spatial = c.rank(x) - 2;
  if (!kernel || (int64_t)kernel->size() != spatial || spatial < 1 ||
      c.type(indices).getShape() != c.shape(x))
    return c.error() << "expects indices of the input's shape and a "
                        "kernel_shape of its spatial rank";
  auto strides =
      c.getInts("strides").value_or(SmallVector<int64_t>(spatial, 1));
  auto pads = c.getInts("pads").value_or(SmallVector<int64_t>(2 * spatial, 0));
  if ((int64_t)strides.size() != spatial || (int64_t)pads.size() != 2 * spatial)
    return c.error() << "expects strides and pads of the spatial rank";
  SmallVector<int64_t> shape(c.shape(x).take_front(2));
  int64_t total = shape[0] * shape[1];
  for (int64_t i = 0; i < spatial; ++i) {
    shape.push_back((c.shape(x)[i + 2] - 1) * strides[i] - pads[i] -
                    pads[spatial + i] + (*kernel)[i]);
    if (shape.back() < 1)
      return c.error() << "has an empty output on spatial axis " << i;
    total *= shape.back();
  }
  if (total > INT32_MAX)
    return c.error() << "has an output of " << total << " elements";
  Value zeros = c.broadcastTo(c.scalarLike(0, x), {total});
  Value y = c.create<ScatterOp>(
      {zeros, c.reshape(indices, {c.type(x).getNumElements()}),
       c.reshape(x, {c.type(x).getNumElements()})},
      {.axis = 0, .mode = ScatterMode::update});
  if (!y)
    return failure();
  y = c.reshape(y, shape);
  if (c.input(2)) {
    auto wanted = c.constantInts(c.input(2), "output_shape");
    if (failed(wanted))
      return failure();
    if (wanted->size() != shape.size())
      return c.error() << "expects an output_shape of rank " << shape.size();
    SmallVector<int64_t> pad;
    for (auto [want, have] : llvm::zip(*wanted, shape)) {
      if (want < have)
        return c.error() << "expects an output_shape of at least ["
                         << ArrayRef<int64_t>(shape) << "]";
      pad.append({0, want - have});
    }
    y = c.create<PadOp>({y}, {.pad = pad});
  }
  return c.set(0, y);
}

/// The sum of overlapping blocks is a transposed convolution with one-hot
/// kernels.
static LogicalResult lowerCol2Im(C &c) {
  Value x = c.input(0);
  auto image = c.constantInts(c.input(1), "image_shape"),
       block = c.constantInts(c.input(2), "block_shape");
  if (failed(image) || failed(block))
    return failure();
  int64_t spatial = image->size(), taps = 1, blocks = 1;
  if (c.rank(x) != 3 || (int64_t)block->size() != spatial || spatial < 1 ||
      spatial > 3)
    return c.error() << "expects an input of rank 3 and one to three spatial "
                        "axes in image_shape and block_shape";
  auto strides =
      c.getInts("strides").value_or(SmallVector<int64_t>(spatial, 1));
  auto dilations =
      c.getInts("dilations").value_or(SmallVector<int64_t>(spatial, 1));
  auto pads = c.getInts("pads").value_or(SmallVector<int64_t>(2 * spatial, 0));
  if ((int64_t)strides.size() != spatial ||
      (int64_t)dilations.size() != spatial ||
      (int64_t)pads.size() != 2 * spatial)
    return c.error() << "expects strides, dilations and pads for " << spatial
                     << " axes";
  SmallVector<int64_t> grid, crop, grow, cropped;
  for (int64_t i = 0; i < spatial; ++i) {
    int64_t span = ((*block)[i] - 1) * dilations[i] + 1,
            room = (*image)[i] + pads[i] + pads[spatial + i] - span;
    if ((*block)[i] < 1 || strides[i] < 1 || dilations[i] < 1 || room < 0 ||
        pads[i] < 0 || pads[spatial + i] < 0)
      return c.error() << "expects blocks that fit the padded image on axis "
                       << i;
    grid.push_back(room / strides[i] + 1);
    int64_t after =
        (grid.back() - 1) * strides[i] + span - pads[i] - (*image)[i];
    crop.append({pads[i], std::max<int64_t>(after, 0)});
    grow.append({0, std::max<int64_t>(-after, 0)});
    taps *= (*block)[i];
    blocks *= grid.back();
  }
  if (c.shape(x)[1] % taps || c.shape(x)[2] != blocks)
    return c.error() << "expects " << blocks << " blocks of a multiple of "
                     << taps << " values, but got " << c.type(x);
  int64_t channels = c.shape(x)[1] / taps;
  SmallVector<int64_t> shape{c.shape(x)[0], c.shape(x)[1]},
      kernelShape{channels * taps, 1};
  llvm::append_range(shape, grid);
  llvm::append_range(kernelShape, *block);
  Tensor kernel(DType::Float32, kernelShape);
  for (int64_t i = 0; i < channels * taps; ++i)
    kernel.mutableFloats()[i * taps + i % taps] = 1;
  Type element = c.element(x);
  Value data = c.isFloat(x) ? x : c.castTo(x, c.f32());
  Value y = c.create<ConvTransposeOp>(
      {c.reshape(data, shape),
       c.castTo(c.graph.constant(c.loc, kernel), c.element(data))},
      {.strides = strides,
       .pad_type = PadType::custom,
       .pad = crop,
       .dilations = dilations,
       .groups = channels});
  if (llvm::any_of(grow, [](int64_t p) { return p != 0; }) && y)
    y = c.create<PadOp>({y}, {.pad = grow});
  return c.set(0, c.castTo(y, element));
}

void mlir::ane::addVisionHandlers(HandlerTable &t) {
  t.add("NonMaxSuppression", 10, lowerNonMaxSuppression);
  t.add("RoiAlign", 10, lowerRoiAlign);
  t.add("DeformConv", 19, lowerDeformConv);
  t.add("MaxUnpool", 9, lowerMaxUnpool);
  t.add("Col2Im", 18, lowerCol2Im);
}
