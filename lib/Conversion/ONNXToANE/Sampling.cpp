//===- Sampling.cpp - grid sampling and other composed operators ----------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "Lowering.h"
#include "dialects/ANE/IR/Arithmetic.h"
#include "dialects/ANE/IR/Comparison.h"
#include "dialects/ANE/IR/Gather.h"
#include "dialects/ANE/IR/Linear.h"
#include "dialects/ANE/IR/Shape.h"
#include "dialects/ANE/IR/Unary.h"
#include <cmath>

using namespace mlir;
using namespace mlir::ane;

using C = NodeContext;

static Value floorOf(C &c, Value x) { return c.create<FloorOp>({x}); }
static Value clampTo(C &c, Value x, double low, double high) {
  return c.create<MinimumOp>(
      {c.create<MaximumOp>({x, c.scalarLike(low, x)}), c.scalarLike(high, x)});
}

/// Mirrors coordinates into [low, high]; ONNX's reflection.
static Value reflect(C &c, Value x, double low, double high) {
  double span = high - low;
  if (span <= 0)
    return c.mul(x, c.scalarLike(0, x));
  Value distance = c.create<AbsOp>({c.sub(x, c.scalarLike(low, x))});
  Value flips = floorOf(c, c.div(distance, c.scalarLike(span, x)));
  Value extra = c.sub(distance, c.mul(flips, c.scalarLike(span, x)));
  Value half = c.mul(flips, c.scalarLike(0.5, x));
  Value odd = c.create<NotEqualOp>({floorOf(c, half), half});
  return c.create<SelectOp>({odd, c.sub(c.scalarLike(high, x), extra),
                             c.add(extra, c.scalarLike(low, x))});
}

namespace {
/// A sampling of x [N,C,…] at a grid [N,…,axes], positions flattened.
struct GridSampling {
  C &c;
  Value x;
  int64_t spatial, batch, channels, points;
  std::string padding;
  bool aligned, cubic, nearest;
  Type f32;
  /// Offset and weight of one of the positions that are read along an axis.
  struct Tap {
    Value position, weight;
  };
  /// By axis: what pixels reach, how far apart they lie in memory, what is
  /// read.
  SmallVector<std::pair<double, double>> bounds;
  SmallVector<int64_t> strides;
  SmallVector<SmallVector<Tap>> taps;

  Value number(double value) { return c.scalar(value, f32); }
  double last(int64_t axis) { return c.shape(x)[axis + 2] - 1; }
  Value coordinates(Value flat, int64_t axis);
  void addTaps(Value at, int64_t axis);
  Value rows();
  Value sample(Value rows, ArrayRef<size_t> index);
  Value sum(Value rows);
};
} // namespace

/// Pixels along one axis; the grid names the fastest axis first. Padding acts
/// on coordinates for linear and nearest, on taps for cubic.
Value GridSampling::coordinates(Value flat, int64_t axis) {
  double extent = c.shape(x)[axis + 2];
  Value g = c.reshape(c.slice(flat, 2, spatial - 1 - axis, spatial - axis),
                      {batch, points});
  Value unit = c.mul(c.add(g, number(1)), number(0.5));
  Value pixel = aligned ? c.mul(unit, number(extent - 1))
                        : c.sub(c.mul(unit, number(extent)), number(0.5));
  double low = aligned ? 0 : -0.5, high = aligned ? extent - 1 : extent - 0.5;
  bounds.push_back({low, high});
  if (nearest)
    pixel = c.create<RoundOp>({pixel});
  if (!cubic && padding == "border") {
    pixel = clampTo(c, pixel, 0, extent - 1);
  } else if (!cubic && padding == "reflection") {
    pixel = reflect(c, pixel, low, high);
    if (nearest)
      pixel = c.create<RoundOp>({pixel});
    pixel = clampTo(c, pixel, 0, extent - 1);
  }
  return pixel;
}

void GridSampling::addTaps(Value at, int64_t axis) {
  SmallVector<Tap> &list = taps[axis];
  if (nearest) {
    list.push_back({at, number(1)});
    return;
  }
  Value base = floorOf(c, at), f = c.sub(at, base);
  if (!cubic) {
    list.push_back({base, c.sub(number(1), f)});
    list.push_back({c.add(base, number(1)), f});
    return;
  }
  const double a = -0.75;
  auto polynomial = [&](Value d, double p3, double p2, double p1,
                        double p0) { // Horner
    Value y = c.add(c.mul(d, number(p3)), number(p2));
    y = c.add(c.mul(y, d), number(p1));
    return c.add(c.mul(y, d), number(p0));
  };
  for (int k = -1; k <= 2; ++k) {
    Value d = c.create<AbsOp>({c.sub(f, number(k))});
    Value weight = k == 0 || k == 1 ? polynomial(d, a + 2, -(a + 3), 0, 1)
                                    : polynomial(d, a, -5 * a, 8 * a, -4 * a);
    list.push_back({c.add(base, number(k)), weight});
  }
}

/// Data as [N, positions, C], so that a tap is a row.
Value GridSampling::rows() {
  int64_t positions = 1;
  strides.resize(spatial);
  for (int64_t axis = spatial; axis-- > 0;) {
    strides[axis] = positions;
    positions *= c.shape(x)[axis + 2];
  }
  return c.transpose(c.reshape(c.castTo(x, f32), {batch, channels, positions}),
                     {0, 2, 1});
}

/// What one combination of taps contributes.
Value GridSampling::sample(Value rows, ArrayRef<size_t> index) {
  Value weight, offset, inside;
  for (int64_t axis = 0; axis < spatial; ++axis) {
    Tap tap = taps[axis][index[axis]];
    Value position = tap.position;
    if (cubic && padding == "reflection")
      position = reflect(c, position, bounds[axis].first, bounds[axis].second);
    Value clamped = clampTo(c, position, 0, last(axis));
    if (padding == "zeros") {
      Value here = c.create<EqualOp>({clamped, position});
      inside = inside ? c.create<LogicalAndOp>({inside, here}) : here;
    }
    // Integers before they are put together: a position in the plane is more
    // than fp16 can count.
    Value whole = c.castTo(c.create<RoundOp>({clamped}), c.i32());
    if (strides[axis] != 1)
      whole = c.mul(whole, c.scalar(strides[axis], c.i32()));
    offset = offset ? c.add(offset, whole) : whole;
    weight = weight ? c.mul(weight, tap.weight) : tap.weight;
  }
  Value values =
      c.create<GatherOp>({rows, offset}, {.axis = 1, .batch_dims = 1});
  if (!values || !weight)
    return {};
  if (inside)
    weight = c.create<SelectOp>(
        {inside, c.mul(weight, c.broadcastTo(number(1), {batch, points})),
         number(0)});
  if (c.rank(weight) == 2)
    weight = c.reshape(weight, {batch, points, 1});
  return c.mul(values, weight);
}

Value GridSampling::sum(Value rows) {
  Value sum;
  SmallVector<size_t> index(spatial);
  while (!c.failed()) {
    Value part = sample(rows, index);
    if (!part)
      return {};
    sum = sum ? c.add(sum, part) : part;
    int64_t axis = spatial - 1;
    for (; axis >= 0 && ++index[axis] == taps[axis].size(); --axis)
      index[axis] = 0;
    if (axis < 0)
      break;
  }
  return sum;
}

/// GridSample over 1 to 3 spatial axes by gathering each tap.
static LogicalResult lowerGridSample(C &c) {
  Value x = c.input(0), grid = c.input(1);
  int64_t spatial = c.rank(x) - 2;
  if (spatial < 1 || spatial > 3 || c.rank(grid) != c.rank(x) ||
      c.shape(grid).back() != spatial)
    return c.error()
           << "expects an input [N,C,...] and a grid [N,...,axes], but got "
           << c.type(x) << " and " << c.type(grid);
  std::string mode = c.getString("mode", "linear");
  bool cubic = mode == "cubic" || mode == "bicubic";
  if (cubic && spatial != 2)
    return c.error() << "of mode cubic expects two spatial axes";
  int64_t batch = c.shape(x)[0], channels = c.shape(x)[1], points = 1;
  SmallVector<int64_t> outer(c.shape(grid).drop_front().drop_back());
  for (int64_t dim : outer)
    points *= dim;
  Type f32 = c.graph.builder.getF32Type(), element = c.element(x);
  Value flat = c.reshape(c.castTo(grid, f32), {batch, points, spatial});
  if (!flat)
    return failure();
  GridSampling s{c,
                 x,
                 spatial,
                 batch,
                 channels,
                 points,
                 c.getString("padding_mode", "zeros"),
                 c.getInt("align_corners", 0) != 0,
                 cubic,
                 mode == "nearest",
                 f32,
                 {},
                 {},
                 {}};
  SmallVector<Value> at;
  for (int64_t axis = 0; axis < spatial; ++axis)
    at.push_back(s.coordinates(flat, axis));
  Value rows = s.rows();
  if (!rows)
    return failure();
  s.taps.resize(spatial);
  for (int64_t axis = 0; axis < spatial; ++axis)
    s.addTaps(at[axis], axis);
  Value sum = s.sum(rows);
  if (!sum || c.failed())
    return failure();
  SmallVector<int64_t> shape{batch, channels};
  llvm::append_range(shape, outer);
  return c.set(
      0, c.castTo(c.reshape(c.transpose(sum, {0, 2, 1}), shape), element));
}

/// log2(n) steps of x * (x shifted by 2^k, ones coming in).
static LogicalResult lowerCumProd(C &c) {
  Value x = c.input(0);
  auto given = c.constantInts(c.input(1), "axis");
  if (failed(given))
    return failure();
  FailureOr<int64_t> axis = c.axis(given->empty() ? 0 : (*given)[0], c.rank(x));
  if (failed(axis))
    return failure();
  int64_t extent = c.shape(x)[*axis];
  bool reverse = c.getInt("reverse", 0);
  auto shift = [&](Value v, int64_t by) -> Value {
    SmallVector<int64_t> shape(c.shape(v));
    shape[*axis] = by;
    Value ones = c.broadcastTo(c.scalarLike(1, v), shape);
    return reverse ? c.concat({c.slice(v, *axis, by, extent), ones}, *axis)
                   : c.concat({ones, c.slice(v, *axis, 0, extent - by)}, *axis);
  };
  if (extent == 0)
    return c.set(0, x);
  if (c.getInt("exclusive", 0))
    x = extent > 1 ? shift(x, 1)
                   : c.broadcastTo(c.scalarLike(1, x), c.shape(x));
  for (int64_t by = 1; by < extent && x; by *= 2)
    x = c.mul(x, shift(x, by));
  return c.set(0, x);
}

/// Crops or pads the middle of each axis to a shape.
static LogicalResult lowerCenterCropPad(C &c) {
  Value x = c.input(0);
  auto wanted = c.constantInts(c.input(1), "shape");
  if (failed(wanted))
    return failure();
  SmallVector<int64_t> axes;
  if (auto given = c.getInts("axes"))
    axes = *given;
  else
    for (int64_t i = 0; i < c.rank(x); ++i)
      axes.push_back(i);
  if (axes.size() != wanted->size())
    return c.error() << "expects one extent per axis";
  SmallVector<int64_t> pads(2 * c.rank(x));
  bool padded = false;
  for (auto [a, extent] : llvm::zip(axes, *wanted)) {
    FailureOr<int64_t> axis = c.axis(a, c.rank(x));
    if (failed(axis) || !x)
      return failure();
    int64_t have = c.shape(x)[*axis];
    if (extent < 0 || extent > INT32_MAX)
      return c.error() << "expects extents in [0, 2^31), but got " << extent;
    if (extent <= have) {
      int64_t begin = (have - extent) / 2;
      x = c.slice(x, *axis, begin, begin + extent);
    } else {
      pads[2 * *axis] = (extent - have) / 2;
      pads[2 * *axis + 1] = extent - have - pads[2 * *axis];
      padded = true;
    }
  }
  if (padded) {
    Type original = c.element(x);
    x = c.create<PadOp>({isa<FloatType>(original)
                             ? x
                             : c.castTo(x, c.graph.builder.getF32Type())},
                        {.pad = pads});
    x = c.castTo(x, original);
  }
  return c.set(0, x);
}

/// Depthwise causal convolution that carries its last inputs.
static LogicalResult lowerCausalConv(C &c) {
  Value x = c.input(0), weight = c.input(1), bias = c.input(2),
        past = c.input(3);
  if (c.rank(x) != 3 || c.rank(weight) != 3)
    return c.error() << "expects an input and a weight of rank 3";
  int64_t channels = c.shape(x)[1], kernel = c.shape(weight)[2];
  if (!past)
    past = c.broadcastTo(c.scalarLike(0, x),
                         {c.shape(x)[0], channels, kernel - 1});
  Value all = kernel > 1 ? c.concat({past, x}, 2) : x;
  Value y = c.create<ConvOp>({all, weight, bias}, {.strides = {1},
                                                   .pad_type = PadType::valid,
                                                   .pad = {0, 0},
                                                   .dilations = {1},
                                                   .groups = channels});
  std::string activation = c.getString("activation", "none");
  if (activation == "silu" || activation == "swish")
    y = c.create<SiluOp>({y});
  else if (activation != "none" && !activation.empty())
    return c.error() << "with activation '" << activation
                     << "' is not supported";
  if (c.isUsed(1) && all)
    c.put(1, c.slice(all, 2, c.shape(all)[2] - (kernel - 1), c.shape(all)[2]));
  return c.set(0, y);
}

/// Rows where the condition holds.
static LogicalResult lowerCompress(C &c) {
  Value x = c.input(0);
  Value condition = c.input(1);
  int64_t along = 0;
  if (c.attribute("axis")) {
    FailureOr<int64_t> axis = c.axis(c.getInt("axis", 0), c.rank(x));
    if (failed(axis))
      return failure();
    along = *axis;
  } else {
    x = c.reshape(x, {c.type(x).getNumElements()});
  }
  if (!x || c.rank(condition) != 1)
    return c.error() << "expects a condition of rank 1";
  // A longer condition says nothing about what is not there.
  condition = c.slice(condition, 0, 0,
                      std::min(c.shape(condition)[0], c.shape(x)[along]));
  Value rows = c.create<NonZeroOp>({condition});
  if (!rows)
    return failure();
  rows = c.create<SqueezeOp>({rows}, {.axes = {1}});
  return c.set(0, c.gather(x, rows, along));
}

/// Base grid times theta.
static LogicalResult lowerAffineGrid(C &c) {
  Value theta = c.input(0);
  auto size = c.constantInts(c.input(1), "size");
  if (failed(size))
    return failure();
  int64_t spatial = size->size() - 2;
  if (spatial < 2 || spatial > 3)
    return c.error() << "expects a size of 4 or 5 entries";
  bool aligned = c.getInt("align_corners", 0);
  ArrayRef<int64_t> extents = ArrayRef<int64_t>(*size).drop_front(2);
  int64_t points = 1;
  for (int64_t extent : extents)
    points *= extent;
  Tensor base(DType::Float32, {points, spatial + 1});
  auto strides = rowMajorStrides(extents);
  for (int64_t p = 0; p < points; ++p)
    for (int64_t axis = 0; axis <= spatial; ++axis) {
      float value = 1;
      if (axis < spatial) { // the fastest axis comes first
        int64_t from = spatial - 1 - axis;
        double extent = extents[from], i = p / strides[from] % extents[from];
        value = aligned ? (extent > 1 ? -1 + 2 * i / (extent - 1) : 0)
                        : (2 * i + 1) / extent - 1;
      }
      base.mutableFloats()[p * (spatial + 1) + axis] = value;
    }
  Value grid = c.create<MatmulOp>(
      {c.castTo(c.graph.constant(c.loc, base), c.element(theta)), theta},
      {.transpose_y = true});
  SmallVector<int64_t> shape{(*size)[0]};
  llvm::append_range(shape, extents);
  shape.push_back(spatial);
  return c.set(0, grid ? c.reshape(grid, shape) : grid);
}

void mlir::ane::addSamplingHandlers(HandlerTable &t) {
  t.add("GridSample", 16, lowerGridSample);
  t.add("CumProd", 26, lowerCumProd);
  t.add("CenterCropPad", 18, lowerCenterCropPad);
  t.add("CausalConvWithState", 27, lowerCausalConv);
  t.add("Compress", 9, lowerCompress);
  t.add("AffineGrid", 20, lowerAffineGrid);
}
