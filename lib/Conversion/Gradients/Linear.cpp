//===- Linear.cpp - derivatives of convolutions and products --------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// The gradient of the data is the transposed operation with the same weight;
// that of the weight is one matrix product of the incoming gradient with the
// windows of the data, laid beside each other (im2col): the form that needs no
// kernel as large as the image.
//
//===----------------------------------------------------------------------===//

#include "dialects/ANE/IR/Linear.h"
#include "Derivative.h"
#include "dialects/ANE/IR/Arithmetic.h"
#include "dialects/ANE/IR/Comparison.h"
#include "dialects/ANE/IR/Norm.h"
#include "dialects/ANE/IR/Pool.h"
#include "dialects/ANE/IR/Recurrent.h"
#include "dialects/ANE/IR/Shape.h"

using namespace mlir;
using namespace mlir::ane;

//===----------------------------------------------------------------------===//
// Convolutions
//===----------------------------------------------------------------------===//

template <typename Op>
static WindowSteps windowOf(Op op, Value data) {
  WindowSteps window;
  ArrayRef<int64_t> weight = Derivative::shapeOf(op.getWeight());
  window.kernel.assign(weight.begin() + 2, weight.end());
  window.strides.assign(op.getStrides().begin(), op.getStrides().end());
  window.dilations.assign(op.getDilations().begin(), op.getDilations().end());
  for (auto &pad :
       resolvePadding(op.getPadType(), op.getPad(),
                      Derivative::shapeOf(data).drop_front(2), window.kernel,
                      window.strides, window.dilations))
    window.pads.push_back(pad);
  return window;
}

SmallVector<SmallVector<int64_t>> mlir::ane::taps(ArrayRef<int64_t> kernel) {
  SmallVector<SmallVector<int64_t>> all{{}};
  for (int64_t size : kernel) {
    SmallVector<SmallVector<int64_t>> next;
    for (const auto &prefix : all)
      for (int64_t i = 0; i < size; ++i) {
        next.push_back(prefix);
        next.back().push_back(i);
      }
    all = std::move(next);
  }
  return all;
}

WindowSteps mlir::ane::stepsOf(ConvOp op) { return windowOf(op, op.getX()); }

Value mlir::ane::padForWindows(Derivative &d, Value data,
                               const WindowSteps &window,
                               ArrayRef<int64_t> positions) {
  SmallVector<int64_t> before(2, 0), after(2, 0);
  for (auto [i, pad] : llvm::enumerate(window.pads)) {
    int64_t reach = (positions[i] - 1) * window.strides[i] +
                    (window.kernel[i] - 1) * window.dilations[i] + 1;
    before.push_back(pad.first);
    after.push_back(reach - pad.first - d.shapeOf(data)[i + 2]);
  }
  return d.padOrCrop(data, before, after);
}

Value mlir::ane::takeTap(Derivative &d, Value padded, const WindowSteps &window,
                         ArrayRef<int64_t> tap, ArrayRef<int64_t> positions) {
  for (auto [i, at] : llvm::enumerate(tap))
    padded = d.slice(padded, i + 2, at * window.dilations[i], positions[i],
                     window.strides[i]);
  return padded;
}

Value mlir::ane::exchangeBatch(Derivative &d, Value x) {
  if (!x || d.shapeOf(x)[0] == 1)
    return x;
  SmallVector<int64_t> perm{1, 0};
  for (int64_t i = 2; i < d.rankOf(x); ++i)
    perm.push_back(i);
  return d.transpose(x, perm);
}

Value mlir::ane::weightGradient(Derivative &d, Value data, Value steady,
                                const WindowSteps &window, int64_t groups) {
  if (!data || !steady)
    return d.fail();
  SmallVector<int64_t> positions(d.shapeOf(steady).drop_front(2));
  int64_t batch = d.shapeOf(data)[0], b = d.shapeOf(data)[1],
          a = d.shapeOf(steady)[1], count = batch * d.count(positions);
  Value padded = exchangeBatch(d, padForWindows(d, data, window, positions));
  auto all = taps(window.kernel);
  SmallVector<Value> columns;
  for (const auto &tap : all)
    columns.push_back(d.reshape(takeTap(d, padded, window, tap, positions),
                                {groups, b / groups, 1, count}));
  // [G, B/G * taps, count] and [G, A/G, count]
  int64_t width = b / groups * all.size();
  Value wide = d.reshape(d.concat(columns, 2), {groups, width, count});
  Value rows = d.reshape(exchangeBatch(d, steady), {groups, a / groups, count});
  if (groups == 1) {
    wide = d.reshape(wide, {width, count});
    rows = d.reshape(rows, {a, count});
  }
  SmallVector<int64_t> shape{a, b / groups};
  llvm::append_range(shape, window.kernel);
  return d.reshape(d.matmul(rows, wide, false, true), shape);
}

Value mlir::ane::scatterWindows(Derivative &d, Value x, Value weight,
                                const WindowSteps &window,
                                ArrayRef<int64_t> extents, int64_t groups) {
  SmallVector<int64_t> pads;
  SmallVector<int64_t> before(2, 0), after(2, 0);
  for (auto [i, pad] : llvm::enumerate(window.pads)) {
    int64_t full = (d.shapeOf(x)[i + 2] - 1) * window.strides[i] +
                   (window.kernel[i] - 1) * window.dilations[i] + 1;
    // What no window reaches at the end is zero.
    int64_t cut = full - pad.first - extents[i];
    pads.push_back(pad.first);
    pads.push_back(std::max<int64_t>(0, cut));
    before.push_back(0);
    after.push_back(std::max<int64_t>(0, -cut));
  }
  // Convolutions crop what is there, and an image that its pads hide is gone.
  for (auto [i, pad] : llvm::enumerate(window.pads)) {
    int64_t full = (d.shapeOf(x)[i + 2] - 1) * window.strides[i] +
                   (window.kernel[i] - 1) * window.dilations[i] + 1;
    if (full - pads[2 * i] - pads[2 * i + 1] < 1) {
      before[i + 2] = -pad.first;
      after[i + 2] = extents[i] + pad.first - full;
      pads[2 * i] = pads[2 * i + 1] = 0;
    }
  }
  Value y =
      d.create<ConvTransposeOp>({x, weight}, {.strides = window.strides,
                                              .pad_type = PadType::custom,
                                              .pad = pads,
                                              .dilations = window.dilations,
                                              .groups = groups});
  return d.padOrCrop(y, before, after);
}

static void giveBias(Derivative &d, unsigned operand) {
  if (operand >= d.op->getNumOperands() || !d.wants(operand))
    return;
  Value g = d.incoming(0);
  SmallVector<int64_t> axes;
  for (int64_t i = 0; i < d.rankOf(g); ++i)
    if (i != 1)
      axes.push_back(i);
  d.give(operand,
         d.reshape(d.sum(g, axes), d.shapeOf(d.op->getOperand(operand))));
}

namespace mlir::ane {

void differentiate(ConvOp op, Derivative &d) {
  WindowSteps window = stepsOf(op);
  Value g = d.incoming(0);
  if (d.wants(0u))
    d.give(0u,
           scatterWindows(d, g, op.getWeight(), window,
                          d.shapeOf(op.getX()).drop_front(2), op.getGroups()));
  if (d.wants(1u))
    d.give(1u, weightGradient(d, op.getX(), g, window, op.getGroups()));
  giveBias(d, 2);
}

WindowSteps stepsOf(ConvTransposeOp op) {
  ArrayRef<int64_t> x = Derivative::shapeOf(op.getX()),
                    y = Derivative::shapeOf(op.getY());
  WindowSteps window = windowOf(op, op.getY());
  for (size_t i = 0; i < window.kernel.size(); ++i) {
    int64_t full = (x[i + 2] - 1) * window.strides[i] +
                   (window.kernel[i] - 1) * window.dilations[i] + 1,
            extent = y[i + 2];
    // The crop that the op makes (mil/numerics.md §8).
    int64_t begin = op.getPadType() == PadType::custom ? op.getPad()[2 * i]
                    : op.getPadType() == PadType::same
                        ? std::max<int64_t>(0, full - extent) / 2
                        : 0;
    window.pads[i] = {begin, full - begin - extent};
  }
  return window;
}

void differentiate(ConvTransposeOp op, Derivative &d) {
  Value g = d.incoming(0), x = op.getX();
  WindowSteps window = stepsOf(op);
  SmallVector<int64_t> before(2, 0), after(2, 0);
  for (auto &pad : window.pads) {
    before.push_back(pad.first);
    after.push_back(pad.second);
  }
  if (d.wants(0u)) {
    SmallVector<int64_t> none(2 * window.kernel.size(), 0);
    d.give(0u, d.create<ConvOp>({d.padOrCrop(g, before, after), op.getWeight()},
                                {.strides = window.strides,
                                 .pad_type = PadType::valid,
                                 .pad = none,
                                 .dilations = window.dilations,
                                 .groups = op.getGroups()}));
  }
  if (d.wants(1u))
    d.give(1u, weightGradient(d, g, x, window, op.getGroups()));
  giveBias(d, 2);
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

/// x [.., M, K] · y [.., K, N] = z [.., M, N] with the gradient g of z.
static void differentiateProduct(Derivative &d, Value x, Value y, Value g,
                                 bool transposeX, bool transposeY) {
  // A vector is a row on the left, a column on the right.
  int64_t rankX = d.rankOf(x), rankY = d.rankOf(y);
  Value left = rankX == 1 ? d.reshape(x, {1, d.shapeOf(x)[0]}) : x,
        right = rankY == 1 ? d.reshape(y, {d.shapeOf(y)[0], 1}) : y;
  SmallVector<int64_t> shape(d.shapeOf(g));
  if (rankY == 1)
    shape.push_back(1);
  if (rankX == 1)
    shape.insert(shape.end() - 1, 1);
  g = d.reshape(g, shape);
  auto give = [&](unsigned operand, Value gradient, Value matrix) {
    if (!gradient)
      return;
    // Batch axes that were broadcast are summed; then the vector's own shape.
    Value summed = d.sumTo(gradient, d.shapeOf(matrix));
    d.give(operand, d.reshape(summed, d.shapeOf(d.op->getOperand(operand))));
  };
  // Products of many rows with one matrix: the rows are one axis, so that the
  // sum over them is inside the product.
  bool flat = d.rankOf(left) > 2 && d.rankOf(right) == 2 && !transposeX;
  if (d.wants(0u)) {
    Value dx = transposeX ? d.matmul(right, g, transposeY, true)
                          : d.matmul(g, right, false, !transposeY);
    give(0, dx, left);
  }
  if (d.wants(1u)) {
    Value rows = left, grows = g;
    if (flat) {
      int64_t k = d.shapeOf(left).back(), n = d.shapeOf(g).back(),
              m = d.count(d.shapeOf(left)) / std::max<int64_t>(1, k);
      rows = d.reshape(left, {m, k});
      grows = d.reshape(g, {m, n});
    }
    Value dy = transposeY ? d.matmul(grows, rows, true, transposeX)
                          : d.matmul(rows, grows, !transposeX, false);
    give(1, dy, right);
  }
}

void differentiate(MatmulOp op, Derivative &d) {
  differentiateProduct(d, op.getX(), op.getY(), d.incoming(0),
                       op.getTransposeX(), op.getTransposeY());
}

void differentiate(LinearOp op, Derivative &d) {
  differentiateProduct(d, op.getX(), op.getWeight(), d.incoming(0), false,
                       true);
  if (op.getBias() && d.wants(2u))
    d.give(2u, d.sumTo(d.incoming(0), d.shapeOf(op.getBias())));
}

void differentiate(EinsumOp op, Derivative &d) {
  // x nchw, y nwhu, z nchu, or without n; h is a batch axis of the product.
  Value x = op.getValues()[0], y = op.getValues()[1], g = d.incoming(0);
  int64_t c = d.rankOf(x) - 3, h = c + 1, w = c + 2;
  SmallVector<int64_t> swap;
  for (int64_t i = 0; i < d.rankOf(x); ++i)
    swap.push_back(i == c ? h : i == h ? c : i);
  (void)w;
  Value gh = d.transpose(g, swap);
  if (d.wants(0u))
    d.give(0u,
           d.transpose(d.matmul(gh, d.transpose(y, swap), false, true), swap));
  if (d.wants(1u))
    d.give(1u,
           d.transpose(d.matmul(d.transpose(x, swap), gh, true, false), swap));
}

void differentiate(ScaledDotProductAttentionOp op, Derivative &d) {
  Value q = op.getQuery(), k = op.getKey(), v = op.getValue(),
        mask = op.getAttnMask(), g = d.incoming(0);
  double scale = 1 / std::sqrt(double(d.shapeOf(q).back()));
  Value scaled = d.create<MulOp>({q, d.scalarLike(scale, q)});
  Value scores = d.matmul(scaled, k, false, true);
  if (mask && isa<FloatType>(d.elementOf(mask)))
    scores = d.create<AddOp>({scores, mask});
  else if (mask)
    scores = d.create<SelectOp>({mask, scores, d.scalarLike(-30000, q)});
  Value p = d.create<SoftmaxOp>({scores}, {.axis = -1});
  if (d.wants(2u))
    d.give(2u, d.matmul(p, g, true, false));
  if (!d.wants(0u) && !d.wants(1u) && !(mask && d.wants(3u)))
    return;
  Value dp = d.matmul(g, v, false, true);
  if (!dp)
    return;
  int64_t last = d.rankOf(dp) - 1;
  Value inner = d.sum(d.create<MulOp>({dp, p}), {last});
  Value ds = d.create<MulOp>({p, d.create<SubOp>({dp, inner})});
  if (d.wants(0u))
    d.give(0u, d.create<MulOp>({d.matmul(ds, k), d.scalarLike(scale, q)}));
  if (d.wants(1u))
    d.give(1u, d.matmul(ds, scaled, true, false));
  if (mask && d.wants(3u))
    d.give(3u, ds);
}

//===----------------------------------------------------------------------===//
// Pools
//===----------------------------------------------------------------------===//

template <typename Op>
static WindowSteps poolSteps(Op op) {
  WindowSteps window;
  window.kernel.assign(op.getKernelSizes().begin(), op.getKernelSizes().end());
  window.strides.assign(op.getStrides().begin(), op.getStrides().end());
  window.dilations.assign(window.kernel.size(), 1);
  for (auto &pad :
       resolvePadding(op.getPadType(), op.getPad(),
                      Derivative::shapeOf(op.getX()).drop_front(2),
                      window.kernel, window.strides, window.dilations))
    window.pads.push_back(pad);
  return window;
}

/// A constant kernel [channels, 1, kernel…] whose element (c, tap) is
/// `value(c, tap)`.
static Value constantKernel(Derivative &d, int64_t channels,
                            const WindowSteps &window, Value like,
                            llvm::function_ref<float(int64_t, int64_t)> value) {
  SmallVector<int64_t> shape{channels, 1};
  llvm::append_range(shape, window.kernel);
  int64_t size = d.count(window.kernel);
  Tensor tensor(*toDType(d.elementOf(like)), shape);
  auto floats = tensor.mutableFloats();
  for (int64_t c = 0; c < channels; ++c)
    for (int64_t tap = 0; tap < size; ++tap)
      floats[c * size + tap] = value(c, tap);
  return d.graph.constant(d.loc, tensor);
}

void differentiate(MaxPoolOp op, Derivative &d) {
  // The first of equal elements receives all, as it does elsewhere.
  WindowSteps window = poolSteps(op);
  Value x = op.getX(), y = op.getY(), g = d.incoming(0);
  SmallVector<int64_t> positions(d.shapeOf(y).drop_front(2)), before(2, 0),
      after(2, 0);
  for (auto [i, pad] : llvm::enumerate(window.pads)) {
    int64_t reach = (positions[i] - 1) * window.strides[i] + window.kernel[i];
    before.push_back(pad.first);
    after.push_back(
        std::max<int64_t>(0, reach - pad.first - d.shapeOf(x)[i + 2]));
  }
  // Padding never is the largest.
  SmallVector<int64_t> pads;
  for (size_t i = 2; i < before.size(); ++i) {
    pads.push_back(before[i]);
    pads.push_back(after[i]);
  }
  Value padded =
      llvm::all_of(pads, [](int64_t p) { return p == 0; })
          ? x
          : d.create<PadOp>({x}, {.pad = pads, .constant_val = -65504});
  int64_t channels = d.shapeOf(y)[1];
  SmallVector<int64_t> stacked(d.shapeOf(y));
  stacked.insert(stacked.begin() + 2, 1);
  Term rest = d.term(g);
  SmallVector<Value> parts;
  auto all = taps(window.kernel);
  for (const auto &tap : all) {
    Term seen = d.term(takeTap(d, padded, window, tap, positions));
    Term hit = seen == d.term(y);
    parts.push_back(d.reshape(select(hit, rest, 0).value, stacked));
    rest = select(hit, 0, rest);
  }
  SmallVector<int64_t> flat(d.shapeOf(y));
  flat[1] = channels * all.size();
  Value stack = d.reshape(d.concat(parts, 2), flat);
  // Each part goes to its tap: a transposed convolution with ones there.
  int64_t size = all.size();
  Value weight =
      constantKernel(d, flat[1], window, x, [&](int64_t c, int64_t tap) {
        return c % size == tap ? 1.0f : 0.0f;
      });
  d.give(0u, scatterWindows(d, stack, weight, window,
                            d.shapeOf(x).drop_front(2), channels));
}

/// One by the number of elements that each window averages.
static Value inverseCounts(Derivative &d, AvgPoolOp op,
                           const WindowSteps &window) {
  SmallVector<int64_t> positions(Derivative::shapeOf(op.getY()).drop_front(2)),
      shape{1, 1};
  llvm::append_range(shape, positions);
  ArrayRef<int64_t> extents = Derivative::shapeOf(op.getX()).drop_front(2);
  Tensor tensor(*toDType(Derivative::elementOf(op.getX())), shape);
  auto floats = tensor.mutableFloats();
  auto strides = rowMajorStrides(positions);
  for (int64_t p = 0; p < (int64_t)floats.size(); ++p) {
    int64_t inside = 1;
    for (size_t i = 0; i < positions.size(); ++i) {
      auto [first, second] = window.pads[i];
      int64_t begin = p / strides[i] % positions[i] * window.strides[i] - first,
              end = begin + window.kernel[i];
      // Padding counts unless it is left out; what is beyond it never does.
      bool exclude = op.getExcludePaddingFromAverage();
      int64_t low = exclude ? 0 : -first,
              high = extents[i] + (exclude ? 0 : second);
      inside *=
          std::max<int64_t>(0, std::min(end, high) - std::max(begin, low));
    }
    floats[p] = 1.0f / std::max<int64_t>(1, inside);
  }
  return d.graph.constant(d.loc, tensor);
}

/// Each window's share goes to all its elements.
static Value spreadWindows(Derivative &d, Value share, Value x,
                           const WindowSteps &window) {
  int64_t channels = d.shapeOf(x)[1];
  Value ones = constantKernel(d, channels, window, x,
                              [](int64_t, int64_t) { return 1.0f; });
  return scatterWindows(d, share, ones, window, d.shapeOf(x).drop_front(2),
                        channels);
}

void differentiate(AvgPoolOp op, Derivative &d) {
  WindowSteps window = poolSteps(op);
  Value share = d.create<MulOp>({d.incoming(0), inverseCounts(d, op, window)});
  if (share)
    d.give(0u, spreadWindows(d, share, op.getX(), window));
}

void differentiate(L2PoolOp op, Derivative &d) {
  // y = sqrt(sum x²): x * (g / y), where y is 0 nothing.
  Term y = d.term(op.getY()), g = d.term(d.incoming(0));
  Term share = select(y > 0, g / select(y > 0, y, 1.0), 0);
  if (share.value)
    d.give(0u,
           d.term(op.getX()) *
               d.term(spreadWindows(d, share.value, op.getX(), poolSteps(op))));
}

#include "dialects/ANE/IR/LinearGradients.inc"
#include "dialects/ANE/IR/PoolGradients.inc"
#include "dialects/ANE/IR/RecurrentGradients.inc"
} // namespace mlir::ane
