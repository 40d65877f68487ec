//===- LegalizeWindows.cpp - windows larger than the engine's -------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// Kernels, strides and pools beyond the limits (S6 to S15) as several, or as
// others over a rearranged input; all of it is exact but for the order of sums.
//
//===----------------------------------------------------------------------===//

#include "LegalizeForms.h"
#include "LimitRank.h"
#include "Reshape.h"
#include "dialects/ANE/IR/Arithmetic.h"
#include "dialects/ANE/IR/Linear.h"
#include "dialects/ANE/IR/Norm.h"
#include "dialects/ANE/IR/Pool.h"
#include "dialects/ANE/IR/Rearrange.h"
#include "dialects/ANE/IR/Reduction.h"
#include "dialects/ANE/IR/Shape.h"
#include "dialects/ANE/IR/Structure.h"
#include "llvm/Support/MathExtras.h"
#include <cmath>

using namespace mlir;
using namespace mlir::ane;

/// What a limit allows; much where it is unknown or switched off.
static int64_t allowed(Operation *op, LimitId id) {
  const Limit *limit = getTarget(op).limit(id);
  return limit && getRuleSwitch(op, stringify(id)) != false ? limit->value
                                                            : INT32_MAX;
}

/// Whether a stride has other factors than 2 and 3 (S15).
static bool isOddStride(Operation *op, int64_t stride) {
  while (stride % 2 == 0)
    stride /= 2;
  while (stride % 3 == 0)
    stride /= 3;
  return stride != 1 && getRuleSwitch(op, "S15") != false;
}

/// `count` in as few parts as hold at most `most` each, alike: where they
/// begin, and the end.
static SmallVector<int64_t> cut(int64_t count, int64_t most) {
  int64_t parts = llvm::divideCeil(count, most);
  SmallVector<int64_t> at;
  for (int64_t i = 0; i <= parts; ++i)
    at.push_back(count * i / parts);
  return at;
}

/// x[.., begin:begin+size, ..] of the last two axes; `x` where that is all.
static Value window(OpBuilder &b, Location loc, Value x, int64_t top,
                    int64_t left, int64_t height, int64_t width) {
  auto type = typeOf(x);
  SmallVector<int64_t> begin(type.getRank(), 0), size(type.getShape());
  begin[type.getRank() - 2] = top;
  begin[type.getRank() - 1] = left;
  size[type.getRank() - 2] = height;
  size[type.getRank() - 1] = width;
  if (ArrayRef<int64_t>(size) == type.getShape())
    return x;
  return SliceBySizeOp::create(b, loc, type.clone(size), x,
                               b.getDenseI64ArrayAttr(begin),
                               b.getDenseI64ArrayAttr(size));
}

/// `x` with zeros around its last two axes: top, bottom, left, right.
static Value padded(OpBuilder &b, Location loc, Value x,
                    ArrayRef<int64_t> pad) {
  if (llvm::all_of(pad, [](int64_t p) { return p == 0; }))
    return x;
  auto type = typeOf(x);
  SmallVector<int64_t> shape(type.getShape());
  shape[type.getRank() - 2] += pad[0] + pad[1];
  shape[type.getRank() - 1] += pad[2] + pad[3];
  return PadOp::create(b, loc, type.clone(shape), x,
                       b.getDenseI64ArrayAttr(pad), b.getStringAttr("constant"),
                       b.getF32FloatAttr(0));
}

static Value add(OpBuilder &b, Location loc, Value x, Value y) {
  return x ? Value(AddOp::create(b, loc, x.getType(), x, y)) : y;
}

namespace {
/// A convolution over two axes with constant weights.
struct Windowed {
  RankedTensorType x, w, y;
  int64_t pad[4];
};

template <typename Op>
std::optional<Windowed> read(Op op) {
  Windowed c{typeOf(op.getX()), typeOf(op.getWeight()), op.getType(), {}};
  if (c.x.getRank() != 4 || !isConstantTree(op.getWeight()) ||
      isConstantTree(op.getY()))
    return std::nullopt;
  auto pads = resolvePadding(
      op.getPadType(), op.getPad(), c.x.getShape().drop_front(2),
      c.w.getShape().drop_front(2), op.getStrides(), op.getDilations());
  for (int i = 0; i < 2; ++i) {
    c.pad[2 * i] = pads[i].first;
    c.pad[2 * i + 1] = pads[i].second;
  }
  return c;
}

bool isPlain(ArrayRef<int64_t> steps) {
  return llvm::all_of(steps, [](int64_t s) { return s == 1; });
}

ConvOp convolve(OpBuilder &b, Location loc, RankedTensorType type, Value x,
                Value weight, Value bias, ArrayRef<int64_t> strides,
                ArrayRef<int64_t> pad, ArrayRef<int64_t> dilations,
                int64_t groups) {
  bool pads = llvm::any_of(pad, [](int64_t p) { return p != 0; });
  return ConvOp::create(
      b, loc, type, x, weight, bias, b.getDenseI64ArrayAttr(strides),
      b.getStringAttr(pads ? "custom" : "valid"), b.getDenseI64ArrayAttr(pad),
      b.getDenseI64ArrayAttr(dilations), b.getI64IntegerAttr(groups));
}

/// More parts of one kernel than this cost more than the host.
constexpr int64_t kMostParts = 256;

/// A kernel beyond S6, S7 or S9 is a sum of convolutions with parts of it, each
/// over the part of the input that it meets.
struct SplitKernel : OpRewritePattern<ConvOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ConvOp op, PatternRewriter &b) const override {
    std::optional<Windowed> c = read(op);
    if (!c)
      return b.notifyMatchFailure(op, "is no plain convolution");
    bool small = !isPlain(op.getStrides()) || !isPlain(op.getDilations());
    int64_t wide = allowed(op, small ? LimitId::S9W : LimitId::S6),
            high = allowed(op, small ? LimitId::S9H : LimitId::S7),
            height = c->w.getDimSize(2), width = c->w.getDimSize(3);
    if (height <= high && width <= wide)
      return b.notifyMatchFailure(op, "kernel is within the limits");
    // Squares are limited as widths are (S8).
    if (width > 1)
      high = std::min(high, wide);
    if (double(llvm::divideCeil(height, high)) *
            double(llvm::divideCeil(width, wide)) >
        kMostParts)
      return b.notifyMatchFailure(op, "would be too many parts");
    Location loc = op.getLoc();
    ArrayRef<int64_t> s = op.getStrides(), d = op.getDilations();
    Value x = padded(b, loc, op.getX(), c->pad), sum;
    auto extent = [&](int64_t i, int64_t taps) {
      return (c->y.getDimSize(2 + i) - 1) * s[i] + (taps - 1) * d[i] + 1;
    };
    SmallVector<int64_t> rows = cut(height, high), columns = cut(width, wide);
    for (size_t i = 0; i + 1 < rows.size(); ++i)
      for (size_t j = 0; j + 1 < columns.size(); ++j) {
        int64_t kh = rows[i + 1] - rows[i], kw = columns[j + 1] - columns[j];
        Value part = window(b, loc, x, rows[i] * d[0], columns[j] * d[1],
                            extent(0, kh), extent(1, kw)),
              weight =
                  window(b, loc, op.getWeight(), rows[i], columns[j], kh, kw);
        sum = add(b, loc, sum,
                  convolve(b, loc, c->y, part, weight,
                           sum ? Value() : op.getBias(), s, {0, 0, 0, 0}, d,
                           op.getGroups()));
      }
    b.replaceOp(op, sum);
    return success();
  }
};

/// [N, C, A*sh, B*sw] as [N, C*sh*sw, A, B]: what a stride steps over is
/// channels.
Value toPhases(OpBuilder &b, Location loc, Value x, int64_t sh, int64_t sw) {
  auto type = typeOf(x);
  int64_t n = type.getDimSize(0), c = type.getDimSize(1),
          rows = type.getDimSize(2) / sh, columns = type.getDimSize(3) / sw;
  Value y = permute(b, loc, x, {n * c, rows, sh, columns, sw}, {0, 2, 4, 1, 3});
  return reshapeTo(b, loc, y, {n, c * sh * sw, rows, columns});
}
/// The other way round.
Value fromPhases(OpBuilder &b, Location loc, Value x, int64_t sh, int64_t sw) {
  auto type = typeOf(x);
  int64_t n = type.getDimSize(0), c = type.getDimSize(1) / (sh * sw),
          rows = type.getDimSize(2), columns = type.getDimSize(3);
  Value y = permute(b, loc, x, {n * c, sh, sw, rows, columns}, {0, 3, 1, 4, 2});
  return reshapeTo(b, loc, y, {n, c, rows * sh, columns * sw});
}

/// A strided convolution with a large kernel (S9) or with steps of other
/// factors (S15) is one in steps of 1 over the phases of its input.
struct StrideToPhases : OpRewritePattern<ConvOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ConvOp op, PatternRewriter &b) const override {
    std::optional<Windowed> c = read(op);
    if (!c || !isPlain(op.getDilations()) || isPlain(op.getStrides()))
      return b.notifyMatchFailure(op, "has no strides, or dilations too");
    int64_t sh = op.getStrides()[0], sw = op.getStrides()[1],
            kh = c->w.getDimSize(2), kw = c->w.getDimSize(3);
    if (kw <= allowed(op, LimitId::S9W) && kh <= allowed(op, LimitId::S9H) &&
        !isOddStride(op, sh) && !isOddStride(op, sw))
      return b.notifyMatchFailure(op, "kernel and strides are within limits");
    if (c->x.getDimSize(1) * sh * sw > allowed(op, LimitId::S2))
      return b.notifyMatchFailure(op, "would have too many channels");
    Location loc = op.getLoc();
    int64_t taps[] = {int64_t(llvm::divideCeil(kh, sh)),
                      int64_t(llvm::divideCeil(kw, sw))},
            steps[] = {sh, sw}, size[2];
    SmallVector<int64_t> pad(c->pad, c->pad + 4);
    for (int i = 0; i < 2; ++i) {
      size[i] = (c->y.getDimSize(2 + i) - 1 + taps[i]) * steps[i];
      pad[2 * i + 1] =
          std::max<int64_t>(0, size[i] - pad[2 * i] - c->x.getDimSize(2 + i));
    }
    Value x =
        window(b, loc, padded(b, loc, op.getX(), pad), 0, 0, size[0], size[1]);
    Value w = padded(b, loc, op.getWeight(),
                     {0, taps[0] * sh - kh, 0, taps[1] * sw - kw});
    b.replaceOp(op, convolve(b, loc, c->y, toPhases(b, loc, x, sh, sw),
                             toPhases(b, loc, w, sh, sw), op.getBias(), {1, 1},
                             {0, 0, 0, 0}, {1, 1}, op.getGroups()));
    return success();
  }
};

/// A transposed convolution with a large kernel or other strides computes the
/// phases of its result as channels, in steps of 1, and interleaves them.
struct TransposedToPhases : OpRewritePattern<ConvTransposeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ConvTransposeOp op,
                                PatternRewriter &b) const override {
    std::optional<Windowed> c = read(op);
    if (!c || !isPlain(op.getDilations()) || op.getOutputShape() ||
        (op.getPadType() != PadType::valid &&
         op.getPadType() != PadType::custom))
      return b.notifyMatchFailure(op, "is no plain transposed convolution");
    int64_t groups = op.getGroups(), perGroup = c->w.getDimSize(1), s[2], k[2],
            taps[2], first[2], count[2];
    bool fits = true;
    SmallVector<int64_t> pad, begin;
    for (int i = 0; i < 2; ++i) {
      s[i] = op.getStrides()[i];
      k[i] = c->w.getDimSize(2 + i);
      fits &= k[i] <= allowed(op, i ? LimitId::S9W : LimitId::S9H) &&
              !isOddStride(op, s[i]);
      taps[i] = llvm::divideCeil(k[i], s[i]);
      first[i] = c->pad[2 * i] / s[i];
      count[i] = int64_t(llvm::divideCeil(
                     c->pad[2 * i] + c->y.getDimSize(2 + i), s[i])) -
                 first[i];
      // Position n of a phase sums x[n], x[n - 1], … of as many as there are
      // taps.
      pad.push_back(std::max<int64_t>(0, taps[i] - 1 - first[i]));
      begin.push_back(std::max<int64_t>(0, first[i] - taps[i] + 1));
      pad.push_back(
          std::max<int64_t>(0, first[i] + count[i] - c->x.getDimSize(2 + i)));
    }
    if (fits)
      return b.notifyMatchFailure(op, "kernel and strides are within limits");
    int64_t outputs = c->y.getDimSize(1);
    if (outputs * s[0] * s[1] > allowed(op, LimitId::S14))
      return b.notifyMatchFailure(op, "would have too many channels");
    Location loc = op.getLoc();
    SmallVector<int64_t> extent;
    for (int i = 0; i < 2; ++i)
      extent.push_back(std::min(first[i] + count[i], c->x.getDimSize(2 + i)) -
                       begin[i]);
    Value x =
        window(b, loc, op.getX(), begin[0], begin[1], extent[0], extent[1]);
    Value w = padded(b, loc, op.getWeight(),
                     {0, taps[0] * s[0] - k[0], 0, taps[1] * s[1] - k[1]});
    SmallVector<int64_t> shape{
        c->w.getDimSize(0), perGroup, taps[0], s[0], taps[1], s[1]};
    w = reshapeTo(b, loc, w, shape);
    w = ReverseOp::create(b, loc, w.getType(), w,
                          b.getDenseI64ArrayAttr({2, 4}));
    shape.insert(shape.begin() + 1, shape[0] / groups);
    shape[0] = groups;
    w = reshapeTo(b, loc, w, shape);
    SmallVector<int64_t> order{0, 2, 4, 6, 1, 3, 5}, ordered;
    for (int64_t axis : order)
      ordered.push_back(shape[axis]);
    w = TransposeOp::create(b, loc, c->w.clone(ordered), w,
                            b.getDenseI64ArrayAttr(order));
    w = reshapeTo(b, loc, w,
                  {outputs * s[0] * s[1], shape[1], taps[0], taps[1]});
    Value bias = op.getBias();
    if (bias) {
      auto ones = typeOf(bias).clone({1, s[0] * s[1]});
      Value one = ConstantOp::create(
          b, loc, ones,
          DenseElementsAttr::get(ones,
                                 b.getFloatAttr(ones.getElementType(), 1)));
      Value wide = reshapeTo(b, loc, bias, {outputs, 1});
      wide =
          MulOp::create(b, loc, ones.clone({outputs, s[0] * s[1]}), wide, one);
      bias = reshapeTo(b, loc, wide, {outputs * s[0] * s[1]});
    }
    auto phases = c->y.clone(
        {c->x.getDimSize(0), outputs * s[0] * s[1], count[0], count[1]});
    Value y = convolve(b, loc, phases, x, w, bias, {1, 1}, pad, {1, 1}, groups);
    y = fromPhases(b, loc, y, s[0], s[1]);
    b.replaceOp(op, window(b, loc, y, c->pad[0] - first[0] * s[0],
                           c->pad[2] - first[1] * s[1], c->y.getDimSize(2),
                           c->y.getDimSize(3)));
    return success();
  }
};

Value channels(OpBuilder &b, Location loc, Value x, int64_t axis, int64_t begin,
               int64_t end) {
  auto type = typeOf(x);
  SmallVector<int64_t> at(type.getRank(), 0), size(type.getShape());
  at[axis] = begin;
  size[axis] = end - begin;
  return SliceBySizeOp::create(b, loc, type.clone(size), x,
                               b.getDenseI64ArrayAttr(at),
                               b.getDenseI64ArrayAttr(size));
}

/// More input channels than S13 are summed in parts, more output channels than
/// S14 computed in parts.
struct SplitChannels : OpRewritePattern<ConvOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ConvOp op, PatternRewriter &b) const override {
    std::optional<Windowed> c = read(op);
    if (!c || op.getGroups() != 1)
      return b.notifyMatchFailure(op, "is no plain convolution");
    Location loc = op.getLoc();
    int64_t inputs = c->x.getDimSize(1), outputs = c->y.getDimSize(1),
            most = allowed(op, LimitId::S13),
            mostOut = allowed(op, LimitId::S14);
    SmallVector<Value> parts;
    auto part = [&](RankedTensorType type, Value x, Value weight, Value bias) {
      auto clone = cast<ConvOp>(b.clone(*op));
      clone.getXMutable().assign(x);
      clone.getWeightMutable().assign(weight);
      clone.getBiasMutable().clear();
      if (bias)
        clone.getBiasMutable().assign(bias);
      clone.getY().setType(type);
      return clone.getY();
    };
    if (outputs > mostOut) {
      SmallVector<int64_t> at = cut(outputs, mostOut);
      for (size_t i = 0; i + 1 < at.size(); ++i) {
        SmallVector<int64_t> shape(c->y.getShape());
        shape[1] = at[i + 1] - at[i];
        parts.push_back(part(
            c->y.clone(shape), op.getX(),
            channels(b, loc, op.getWeight(), 0, at[i], at[i + 1]),
            op.getBias() ? channels(b, loc, op.getBias(), 0, at[i], at[i + 1])
                         : Value()));
      }
      b.replaceOpWithNewOp<ConcatOp>(op, op.getType(), parts,
                                     b.getI64IntegerAttr(1),
                                     b.getBoolAttr(false));
      return success();
    }
    if (inputs <= most)
      return b.notifyMatchFailure(op, "channels are within the limits");
    SmallVector<int64_t> at = cut(inputs, most);
    Value sum;
    for (size_t i = 0; i + 1 < at.size(); ++i)
      sum = add(b, loc, sum,
                part(c->y, channels(b, loc, op.getX(), 1, at[i], at[i + 1]),
                     channels(b, loc, op.getWeight(), 1, at[i], at[i + 1]),
                     sum ? Value() : op.getBias()));
    b.replaceOp(op, sum);
    return success();
  }
};

/// An axis that its pads lengthen beyond S1 is computed in two halves, each of
/// which has the pads of one end.
struct SplitPadded : OpRewritePattern<ConvOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ConvOp op, PatternRewriter &b) const override {
    std::optional<Windowed> c = read(op);
    if (!c)
      return b.notifyMatchFailure(op, "is no plain convolution");
    for (int i = 0; i < 2; ++i) {
      int64_t extent = c->x.getDimSize(2 + i), outputs = c->y.getDimSize(2 + i),
              most = allowed(op, LimitId::S1);
      if (extent > most || outputs < 2 ||
          extent + c->pad[2 * i] + c->pad[2 * i + 1] <= most)
        continue;
      SmallVector<Value> halves;
      for (auto [from, to] : {std::pair(int64_t(0), outputs / 2),
                              std::pair(outputs / 2, outputs)})
        halves.push_back(half(op, b, *c, i, from, to));
      b.replaceOpWithNewOp<ConcatOp>(op, op.getType(), halves,
                                     b.getI64IntegerAttr(2 + i),
                                     b.getBoolAttr(false));
      return success();
    }
    return b.notifyMatchFailure(op, "padded axes are within the limit");
  }

  /// Results [from, to) of spatial axis i.
  static Value half(ConvOp op, PatternRewriter &b, const Windowed &c, int i,
                    int64_t from, int64_t to) {
    int64_t s = op.getStrides()[i], extent = c.x.getDimSize(2 + i),
            reach = (c.w.getDimSize(2 + i) - 1) * op.getDilations()[i],
            low = from * s - c.pad[2 * i],
            high = (to - 1) * s + reach + 1 - c.pad[2 * i],
            begin = std::clamp<int64_t>(low, 0, extent),
            end = std::clamp<int64_t>(high, 0, extent);
    SmallVector<int64_t> pad(c.pad, c.pad + 4), shape(c.y.getShape());
    pad[2 * i] = begin - low;
    pad[2 * i + 1] = high - end;
    shape[2 + i] = to - from;
    return convolve(b, op.getLoc(), c.y.clone(shape),
                    channels(b, op.getLoc(), op.getX(), 2 + i, begin, end),
                    op.getWeight(), op.getBias(), op.getStrides(), pad,
                    op.getDilations(), op.getGroups());
  }
};

/// Each axis of a pool: taken whole, or left as it is.
template <typename Op>
std::optional<SmallVector<int64_t>> wholeAxes(Op op) {
  auto x = typeOf(op.getX());
  SmallVector<int64_t> axes;
  auto pads =
      resolvePadding(op.getPadType(), op.getPad(), x.getShape().drop_front(2),
                     op.getKernelSizes(), op.getStrides(),
                     SmallVector<int64_t>(op.getKernelSizes().size(), 1));
  for (auto [i, size] : llvm::enumerate(op.getKernelSizes())) {
    if (pads[i].first || pads[i].second)
      return std::nullopt;
    if (size == 1 && op.getStrides()[i] == 1)
      continue;
    if (size != x.getDimSize(2 + i))
      return std::nullopt;
    axes.push_back(2 + i);
  }
  return axes;
}

/// A pool over a whole axis is a reduction, which has RAW evidence at any
/// length.
template <typename Op, typename Reduction>
struct PoolToReduction : OpRewritePattern<Op> {
  using OpRewritePattern<Op>::OpRewritePattern;
  LogicalResult matchAndRewrite(Op op, PatternRewriter &b) const override {
    if (isConstantTree(op.getY()))
      return b.notifyMatchFailure(op, "part of a weight tree");
    auto axes = wholeAxes(op);
    if (!axes || axes->empty())
      return b.notifyMatchFailure(op, "does not take a whole axis");
    b.replaceOpWithNewOp<Reduction>(op, op.getType(), op.getX(),
                                    b.getDenseI64ArrayAttr(*axes),
                                    b.getBoolAttr(true));
    return success();
  }
};

/// Pads of a pool, as pairs.
template <typename Op>
SmallVector<std::pair<int64_t, int64_t>> poolPads(Op op) {
  return resolvePadding(op.getPadType(), op.getPad(),
                        typeOf(op.getX()).getShape().drop_front(2),
                        op.getKernelSizes(), op.getStrides(),
                        SmallVector<int64_t>(op.getKernelSizes().size(), 1));
}

MaxPoolOp maxPool(OpBuilder &b, Location loc, Value x, ArrayRef<int64_t> size,
                  ArrayRef<int64_t> strides, ArrayRef<int64_t> pad) {
  auto type = typeOf(x);
  SmallVector<int64_t> shape(type.getShape());
  for (size_t i = 0; i < size.size(); ++i)
    shape[2 + i] =
        (shape[2 + i] + pad[2 * i] + pad[2 * i + 1] - size[i]) / strides[i] + 1;
  bool pads = llvm::any_of(pad, [](int64_t p) { return p != 0; });
  return MaxPoolOp::create(b, loc, type.clone(shape), x,
                           b.getDenseI64ArrayAttr(size),
                           b.getDenseI64ArrayAttr(strides),
                           b.getStringAttr(pads ? "custom" : "valid"),
                           b.getDenseI64ArrayAttr(pad), b.getBoolAttr(false));
}

/// A maximum over a large window (S10) is one over a smaller window, and one of
/// what is left over that: k = k1 + k2 - 1. What a smaller pool of the same
/// input computes anyway comes first (spatial pyramids of 5, 9 and 13).
struct CascadeMaxPool : OpRewritePattern<MaxPoolOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(MaxPoolOp op,
                                PatternRewriter &b) const override {
    auto x = typeOf(op.getX());
    int64_t most = allowed(op, LimitId::S10);
    ArrayRef<int64_t> size = op.getKernelSizes();
    if (x.getRank() != 4 || op.getCeilMode() || isConstantTree(op.getY()) ||
        llvm::all_of(size, [&](int64_t k) { return k <= most; }))
      return b.notifyMatchFailure(op, "is within the limit");
    auto pads = poolPads(op);
    SmallVector<int64_t> first, rest, firstPad, restPad;
    Value inner;
    for (Operation *user : op.getX().getUsers()) {
      auto other = dyn_cast<MaxPoolOp>(user);
      if (!other || other == op || other.getCeilMode() ||
          !isPlain(other.getStrides()) ||
          !(other->getBlock() == op->getBlock() && other->isBeforeInBlock(op)))
        continue;
      auto theirs = poolPads(other);
      bool fits = other.getKernelSizes() != size;
      for (int i = 0; i < 2; ++i) {
        int64_t left = size[i] - other.getKernelSizes()[i] + 1;
        for (auto [have, want] : {std::pair(theirs[i].first, pads[i].first),
                                  std::pair(theirs[i].second, pads[i].second)})
          fits &= have <= want && want - have < left;
        fits &= left >= 1;
      }
      if (!fits || (!first.empty() && other.getKernelSizes()[0] <= first[0]))
        continue;
      inner = other.getY();
      first.assign(other.getKernelSizes().begin(),
                   other.getKernelSizes().end());
      firstPad = {theirs[0].first, theirs[0].second, theirs[1].first,
                  theirs[1].second};
    }
    if (!inner) {
      for (int i = 0; i < 2; ++i) {
        first.push_back(std::min(size[i], most));
        firstPad.push_back(std::min(pads[i].first, first[i] - 1));
        firstPad.push_back(std::min(pads[i].second, first[i] - 1));
      }
      inner = maxPool(b, op.getLoc(), op.getX(), first, {1, 1}, firstPad);
    }
    for (int i = 0; i < 2; ++i) {
      rest.push_back(size[i] - first[i] + 1);
      restPad.push_back(pads[i].first - firstPad[2 * i]);
      restPad.push_back(pads[i].second - firstPad[2 * i + 1]);
    }
    b.replaceOp(op,
                maxPool(b, op.getLoc(), inner, rest, op.getStrides(), restPad));
    return success();
  }
};

/// A mean over a large window that steps by its own size (S11) is a mean of
/// means.
struct CascadeAvgPool : OpRewritePattern<AvgPoolOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(AvgPoolOp op,
                                PatternRewriter &b) const override {
    auto x = typeOf(op.getX());
    int64_t most = allowed(op, LimitId::S11);
    ArrayRef<int64_t> size = op.getKernelSizes();
    if (x.getRank() != 4 || op.getCeilMode() || isConstantTree(op.getY()) ||
        size != op.getStrides() ||
        llvm::all_of(size, [&](int64_t k) { return k <= most; }) ||
        llvm::any_of(poolPads(op), [](auto p) { return p.first || p.second; }))
      return b.notifyMatchFailure(op, "is within the limit, or overlaps");
    SmallVector<int64_t> inner, outer, shape(x.getShape());
    for (auto [i, k] : llvm::enumerate(size)) {
      int64_t divisor = std::min(k, most);
      while (k % divisor)
        --divisor;
      inner.push_back(divisor);
      outer.push_back(k / divisor);
      shape[2 + i] /= divisor;
      if (k > most && divisor == 1)
        return b.notifyMatchFailure(op, "window has no divisor");
    }
    auto pool = [&](RankedTensorType type, Value v, ArrayRef<int64_t> k) {
      return AvgPoolOp::create(
          b, op.getLoc(), type, v, b.getDenseI64ArrayAttr(k),
          b.getDenseI64ArrayAttr(k), b.getStringAttr("valid"),
          b.getDenseI64ArrayAttr({0, 0, 0, 0}),
          op.getExcludePaddingFromAverageAttr(), b.getBoolAttr(false));
    };
    Value means = pool(x.clone(shape), op.getX(), inner);
    b.replaceOp(op, pool(op.getType(), means, outer));
    return success();
  }
};

/// x / (k + alpha / size * sums of squares over neighbouring channels)^beta
/// (L32): the sums are a 1x1 convolution with a band of ones. The factor goes
/// into x before the square, so that fp16 holds both; next to a k of its own
/// what is lost there does not count.
struct LocalResponseNorm : OpRewritePattern<LocalResponseNormOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(LocalResponseNormOp op,
                                PatternRewriter &b) const override {
    auto type = op.getType();
    double alpha = op.getAlpha().convertToDouble(),
           k = op.getK().convertToDouble();
    int64_t count = type.getRank() == 4 ? type.getDimSize(1) : 0,
            size = op.getSize();
    if (!count || count > allowed(op, LimitId::S13) ||
        isConstantTree(op.getY()) || !(alpha > 0) || k < 0.01 || size < 1)
      return b.notifyMatchFailure(op, "is not over channels of images, or has "
                                      "nothing added");
    Location loc = op.getLoc();
    auto element = cast<FloatType>(type.getElementType());
    auto number = [&](double v) -> Value {
      auto scalar = RankedTensorType::get({}, element);
      return ConstantOp::create(
          b, loc, scalar,
          DenseElementsAttr::get(scalar, b.getFloatAttr(element, v)));
    };
    auto band = RankedTensorType::get({count, count, 1, 1}, element);
    SmallVector<Attribute> entries(count * count, b.getFloatAttr(element, 0));
    for (int64_t i = 0; i < count; ++i)
      for (int64_t j = std::max<int64_t>(0, i - size / 2);
           j <= std::min(count - 1, i - size / 2 + size - 1); ++j)
        entries[i * count + j] = b.getFloatAttr(element, 1);
    Value ones =
        ConstantOp::create(b, loc, band, DenseElementsAttr::get(band, entries));
    Value x = op.getX();
    Value scaled =
        MulOp::create(b, loc, type, x, number(std::sqrt(alpha / size)));
    Value square = MulOp::create(b, loc, type, scaled, scaled);
    Value sum = convolve(b, loc, type, square, ones, Value(), {1, 1},
                         {0, 0, 0, 0}, {1, 1}, 1);
    Value base = AddOp::create(b, loc, type, sum, number(k));
    Value factor = PowOp::create(b, loc, type, base,
                                 number(-op.getBeta().convertToDouble()));
    b.replaceOpWithNewOp<MulOp>(op, type, x, factor);
    return success();
  }
};
} // namespace

void mlir::ane::populateWindowPatterns(RewritePatternSet &patterns, bool raw) {
  if (!raw)
    return;
  patterns.add<SplitKernel, SplitChannels, SplitPadded, TransposedToPhases,
               CascadeMaxPool, CascadeAvgPool, LocalResponseNorm,
               PoolToReduction<AvgPoolOp, ReduceMeanOp>,
               PoolToReduction<MaxPoolOp, ReduceMaxOp>>(patterns.getContext());
  // Fewer operations than a sum of strided parts.
  patterns.add<StrideToPhases>(patterns.getContext(), /*benefit=*/2);
}
