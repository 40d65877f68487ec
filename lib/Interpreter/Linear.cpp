//===- Linear.cpp - convolution, matmul, pooling, recurrent ---------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "dialects/ANE/IR/Linear.h"
#include "Evaluators.h"
#include "dialects/ANE/IR/Pool.h"
#include "dialects/ANE/IR/Recurrent.h"
#include <cmath>

using namespace mlir;
using namespace mlir::ane;

/// The static result shape; these ops are inferred statically.
static ArrayRef<int64_t> resultShape(Value value) {
  return cast<RankedTensorType>(value.getType()).getShape();
}

template <typename Op>
static WindowGeometry convWindow(Op op, const Tensor &x, const Tensor &weight) {
  WindowGeometry window;
  window.kernel.assign(weight.shape().begin() + 2, weight.shape().end());
  window.strides.assign(op.getStrides().begin(), op.getStrides().end());
  window.dilations.assign(op.getDilations().begin(), op.getDilations().end());
  window.pads =
      resolvePadding(op.getPadType(), op.getPad(), x.shape().drop_front(2),
                     window.kernel, window.strides, window.dilations);
  return window;
}

/// What a convolution of no channels gives: a sum of nothing, and the bias.
static void fillBias(ArrayRef<Tensor> in, Tensor &y) {
  if (!y.size() || in.size() < 3)
    return;
  AxisView view(y.shape(), 1);
  for (int64_t i = 0; i < y.size(); ++i)
    y.mutableFloats()[i] = in[2].floats()[i / view.inner % view.extent];
}

namespace mlir::ane {

LogicalResult evaluateOp(ConvOp op, EvalContext &context, ArrayRef<Tensor> in,
                         SmallVectorImpl<Tensor> &out) {
  Tensor y = context.makeResult(op.getY(), resultShape(op.getY()));
  if (y.size() && in[0].size() && in[1].size()) {
    std::string error =
        convolution(context, in[0], in[1], in.size() > 2 ? &in[2] : nullptr,
                    convWindow(op, in[0], in[1]), op.getGroups(), y);
    if (!error.empty())
      return op.emitOpError() << "failed in oneDNN: " << error;
  } else {
    fillBias(in, y);
  }
  context.finish(y);
  out.push_back(std::move(y));
  return success();
}

LogicalResult evaluateOp(ConvTransposeOp op, EvalContext &context,
                         ArrayRef<Tensor> in, SmallVectorImpl<Tensor> &out) {
  const Tensor &x = in[0], &w = in[1];
  Tensor y = context.makeResult(op.getY(), resultShape(op.getY()));
  if (!x.size() || !w.size()) {
    fillBias(in, y);
    context.finish(y);
    out.push_back(std::move(y));
    return success();
  }
  WindowGeometry window = convWindow(op, x, w);
  int64_t spatial = x.rank() - 2, groups = op.getGroups(),
          ci = x.shape()[1] / groups, co = w.shape()[1];
  int64_t kernel = 1, positions = 1, outputs = 1;
  SmallVector<int64_t, 3> offset(spatial);
  for (int64_t i = 0; i < spatial; ++i) {
    kernel *= window.kernel[i];
    positions *= x.shape()[i + 2];
    outputs *= y.shape()[i + 2];
    // The crop that makes the size fit: explicit padding, or half of what is
    // too much (mil/numerics.md §8).
    int64_t full = (x.shape()[i + 2] - 1) * window.strides[i] +
                   (window.kernel[i] - 1) * window.dilations[i] + 1;
    offset[i] = op.getPadType() == PadType::custom ? op.getPad()[2 * i]
                : op.getPadType() == PadType::same
                    ? std::max<int64_t>(0, full - y.shape()[i + 2]) / 2
                    : 0;
  }
  std::vector<float> columns(size_t(co) * kernel * positions);
  float *result = y.mutableFloats().data();
  for (int64_t n = 0; n < x.shape()[0]; ++n)
    for (int64_t g = 0; g < groups; ++g) {
      // columns[co*kernel, positions] = W[ci, co*kernel]ᵀ · x[ci, positions],
      // then scattered.
      const float *source =
          x.floats().data() + (n * groups + g) * ci * positions;
      batchedMatmul(context, w.floats().data() + g * ci * co * kernel, source,
                    columns.data(), co * kernel, ci, positions, true, false,
                    {0}, {0});
      for (int64_t c = 0; c < co; ++c) {
        float *plane = result + ((n * groups + g) * co + c) * outputs;
        for (int64_t k = 0; k < kernel; ++k) {
          const float *column = columns.data() + (c * kernel + k) * positions;
          for (int64_t p = 0; p < positions; ++p) {
            int64_t index = 0, restK = k, restP = p, stride = 1;
            bool inside = true;
            for (int64_t i = spatial; i-- > 0;) {
              int64_t at = restP % x.shape()[i + 2] * window.strides[i] +
                           restK % window.kernel[i] * window.dilations[i] -
                           offset[i];
              restP /= x.shape()[i + 2];
              restK /= window.kernel[i];
              inside &= at >= 0 && at < y.shape()[i + 2];
              index += at * stride;
              stride *= y.shape()[i + 2];
            }
            if (inside)
              plane[index] += column[p];
          }
        }
        if (in.size() > 2)
          for (int64_t i = 0; i < outputs; ++i)
            plane[i] += in[2].floats()[g * co + c];
      }
    }
  context.finish(y);
  out.push_back(std::move(y));
  return success();
}

LogicalResult evaluateOp(MatmulOp op, EvalContext &context, ArrayRef<Tensor> in,
                         SmallVectorImpl<Tensor> &out) {
  SmallVector<int64_t, 6> a(in[0].shape()), b(in[1].shape());
  bool vectorX = a.size() == 1, vectorY = b.size() == 1;
  if (vectorX)
    a.insert(a.begin(), 1);
  if (vectorY)
    b.push_back(1);
  bool tx = op.getTransposeX(), ty = op.getTransposeY();
  int64_t m = a[a.size() - (tx ? 1 : 2)], k = a[a.size() - (tx ? 2 : 1)],
          n = b[b.size() - (ty ? 2 : 1)];
  ArrayRef<int64_t> leadA = ArrayRef<int64_t>(a).drop_back(2),
                    leadB = ArrayRef<int64_t>(b).drop_back(2);
  auto batch = broadcastShapes(leadA, leadB);
  if (failed(batch) || k != b[b.size() - (ty ? 1 : 2)])
    return op.emitOpError()
           << "expects shapes that multiply, but got [" << in[0].shape()
           << "] and [" << in[1].shape() << "]";
  SmallVector<int64_t> offsetsA, offsetsB;
  auto sa = broadcastStrides(leadA, *batch),
       sb = broadcastStrides(leadB, *batch);
  if (batch->empty()) {
    offsetsA.push_back(0);
    offsetsB.push_back(0);
  } else {
    forEachRow<2>(*batch, {ArrayRef<int64_t>(sa), ArrayRef<int64_t>(sb)},
                  [&](auto &offset, int64_t count) {
                    for (int64_t i = 0; i < count; ++i) {
                      offsetsA.push_back(offset[0] + i * sa.back());
                      offsetsB.push_back(offset[1] + i * sb.back());
                    }
                  });
  }
  // One big product when y is shared: rows of all batches are stacked.
  bool shared = !tx && llvm::all_of(offsetsB, [&](int64_t o) {
    return o == offsetsB[0];
  }) && leadA == ArrayRef<int64_t>(*batch);
  SmallVector<int64_t, 6> shape(*batch);
  if (!vectorX)
    shape.push_back(m);
  if (!vectorY)
    shape.push_back(n);
  Tensor z = context.makeResult(op.getZ(), shape);
  if (in[0].isFloat()) {
    int64_t stacked = shared ? m * int64_t(offsetsA.size()) : m;
    if (shared && !offsetsA.empty()) {
      offsetsA.resize(1);
      offsetsB.resize(1);
    }
    batchedMatmul(context, in[0].floats().data(), in[1].floats().data(),
                  z.mutableFloats().data(), stacked, k, n, tx, ty, offsetsA,
                  offsetsB);
    context.finish(z);
  } else {
    int64_t *r = z.mutableInts().data();
    for (size_t i = 0; i < offsetsA.size(); ++i)
      for (int64_t row = 0; row < m; ++row)
        for (int64_t col = 0; col < n; ++col, ++r) {
          uint64_t sum = 0;
          const int64_t *x = in[0].ints().data() + offsetsA[i] * m * k,
                        *y = in[1].ints().data() + offsetsB[i] * k * n;
          for (int64_t t = 0; t < k; ++t)
            sum += uint64_t(x[tx ? t * m + row : row * k + t]) *
                   uint64_t(y[ty ? col * k + t : t * n + col]);
          *r = wrapTo(z.dtype(), int64_t(sum));
        }
  }
  out.push_back(std::move(z));
  return success();
}

LogicalResult evaluateOp(LinearOp op, EvalContext &context, ArrayRef<Tensor> in,
                         SmallVectorImpl<Tensor> &out) {
  if (!in[0].isFloat())
    return op.emitOpError() << "has no integer semantics";
  int64_t k = in[1].shape()[1], n = in[1].shape()[0], m = 1;
  for (int64_t dim : in[0].shape().drop_back())
    m *= dim;
  SmallVector<int64_t, 6> shape(in[0].shape());
  shape.back() = n;
  Tensor y = context.makeResult(op.getY(), shape);
  batchedMatmul(context, in[0].floats().data(), in[1].floats().data(),
                y.mutableFloats().data(), m, k, n, false, true, {0}, {0});
  if (in.size() > 2)
    for (int64_t i = 0; i < y.size(); ++i)
      y.mutableFloats()[i] += in[2].floats()[i % n];
  context.finish(y);
  out.push_back(std::move(y));
  return success();
}

LogicalResult evaluateOp(EinsumOp op, EvalContext &context, ArrayRef<Tensor> in,
                         SmallVectorImpl<Tensor> &out) {
  // nchw,nwhu->nchu, or without n; n and h broadcast.
  Tensor y = context.makeResult(op.getY(), resultShape(op.getY()));
  auto withBatch = [](ArrayRef<int64_t> shape) {
    SmallVector<int64_t, 4> padded(shape);
    padded.insert(padded.begin(), 4 - shape.size(), 1);
    return padded;
  };
  auto a = withBatch(in[0].shape()), b = withBatch(in[1].shape()),
       o = withBatch(y.shape());
  ArrayRef<float> left = in[0].floats(), right = in[1].floats();
  MutableArrayRef<float> result = y.mutableFloats();
  for (int64_t n = 0, at = 0; n < o[0]; ++n)
    for (int64_t c = 0; c < o[1]; ++c)
      for (int64_t h = 0; h < o[2]; ++h)
        for (int64_t u = 0; u < o[3]; ++u, ++at) {
          int64_t x = (((n % a[0]) * a[1] + c) * a[2] + h % a[2]) * a[3];
          float sum = 0;
          for (int64_t w = 0; w < a[3]; ++w)
            sum +=
                left[x + w] *
                right[(((n % b[0]) * b[1] + w) * b[2] + h % b[2]) * b[3] + u];
          result[at] = sum;
        }
  context.finish(y);
  out.push_back(std::move(y));
  return success();
}

//===----------------------------------------------------------------------===//
// Pooling
//===----------------------------------------------------------------------===//

/// Pads are widened at the end so that the floor formula gives the inferred
/// extent (ceil_mode).
template <typename Op>
static WindowGeometry poolWindow(Op op, const Tensor &x, const Tensor &y) {
  WindowGeometry window;
  window.kernel.assign(op.getKernelSizes().begin(), op.getKernelSizes().end());
  window.strides.assign(op.getStrides().begin(), op.getStrides().end());
  window.dilations.assign(window.kernel.size(), 1);
  window.pads =
      resolvePadding(op.getPadType(), op.getPad(), x.shape().drop_front(2),
                     window.kernel, window.strides, window.dilations);
  for (size_t i = 0; i < window.kernel.size(); ++i)
    window.pads[i].second =
        std::max(window.pads[i].second,
                 (y.shape()[i + 2] - 1) * window.strides[i] + window.kernel[i] -
                     x.shape()[i + 2] - window.pads[i].first);
  return window;
}

/// A pool by definition, for what oneDNN does not take: finish(accumulated,
/// elements inside, those and explicit padding).
template <typename Op, typename Accumulate, typename Finish>
static void poolByDefinition(Op op, const Tensor &x, Tensor &y, float initial,
                             Accumulate accumulate, Finish finish) {
  WindowGeometry window = poolWindow(op, x, y);
  auto declared =
      resolvePadding(op.getPadType(), op.getPad(), x.shape().drop_front(2),
                     window.kernel, window.strides, window.dilations);
  size_t spatial = window.kernel.size();
  SmallVector<int64_t, 6> xs(x.shape().drop_front(2)),
      ys(y.shape().drop_front(2));
  int64_t planeX = 1, planeY = 1, planes = x.shape()[0] * x.shape()[1];
  for (size_t i = 0; i < spatial; ++i) {
    planeX *= xs[i];
    planeY *= ys[i];
  }
  for (int64_t plane = 0; plane < planes; ++plane)
    for (int64_t p = 0; p < planeY; ++p) {
      // Of the window, what lies inside: a window may be far larger than x.
      SmallVector<int64_t, 3> first(spatial), length(spatial);
      int64_t rest = p, inside = 1, padded = 1;
      for (size_t i = spatial; i-- > 0;) {
        int64_t begin = rest % ys[i] * window.strides[i] - declared[i].first,
                end = begin + window.kernel[i];
        rest /= ys[i];
        padded *= std::min(end, xs[i] + declared[i].second) - begin;
        first[i] = std::clamp<int64_t>(begin, 0, xs[i]);
        length[i] = std::clamp<int64_t>(end, first[i], xs[i]) - first[i];
        inside *= length[i];
      }
      float sum = initial;
      for (int64_t k = 0; k < inside; ++k) {
        int64_t restK = k, index = 0, stride = 1;
        for (size_t i = spatial; i-- > 0;) {
          index += (first[i] + restK % length[i]) * stride;
          restK /= length[i];
          stride *= xs[i];
        }
        sum = accumulate(sum, x.floats()[plane * planeX + index]);
      }
      y.mutableFloats()[plane * planeY + p] = finish(sum, inside, padded);
    }
}

LogicalResult evaluateOp(MaxPoolOp op, EvalContext &context,
                         ArrayRef<Tensor> in, SmallVectorImpl<Tensor> &out) {
  Tensor y = context.makeResult(op.getY(), resultShape(op.getY()));
  WindowGeometry window = poolWindow(op, in[0], y);
  // oneDNN refuses a padding as large as the window; such windows see padding
  // only at the border.
  bool wide =
      llvm::any_of(llvm::zip(window.pads, window.kernel), [](auto pair) {
        return std::max(std::get<0>(pair).first, std::get<0>(pair).second) >=
               std::get<1>(pair);
      });
  // Nor does it say which of a number and NaN is larger: NaN comes out.
  if (wide || llvm::any_of(in[0].floats(), [](float v) { return v != v; })) {
    poolByDefinition(
        op, in[0], y, -INFINITY,
        [](float a, float b) { return b > a || b != b ? b : a; },
        [](float s, int64_t, int64_t) { return s; });
  } else if (y.size()) {
    std::string error = pool(in[0], PoolKind::Max, window, y);
    if (!error.empty())
      return op.emitOpError() << "failed in oneDNN: " << error;
  }
  out.push_back(std::move(y));
  return success();
}
LogicalResult evaluateOp(AvgPoolOp op, EvalContext &context,
                         ArrayRef<Tensor> in, SmallVectorImpl<Tensor> &out) {
  Tensor y = context.makeResult(op.getY(), resultShape(op.getY()));
  bool exclude = op.getExcludePaddingFromAverage();
  if (y.size() && !op.getCeilMode()) {
    std::string error = pool(
        in[0], exclude ? PoolKind::AverageExclude : PoolKind::AverageInclude,
        poolWindow(op, in[0], y), y);
    if (!error.empty())
      return op.emitOpError() << "failed in oneDNN: " << error;
  } else {
    poolByDefinition(
        op, in[0], y, 0, [](float a, float b) { return a + b; },
        [&](float sum, int64_t inside, int64_t padded) {
          return sum / std::max<int64_t>(1, exclude ? inside : padded);
        });
  }
  context.finish(y);
  out.push_back(std::move(y));
  return success();
}
LogicalResult evaluateOp(L2PoolOp op, EvalContext &context, ArrayRef<Tensor> in,
                         SmallVectorImpl<Tensor> &out) {
  Tensor y = context.makeResult(op.getY(), resultShape(op.getY()));
  poolByDefinition(
      op, in[0], y, 0, [](float a, float b) { return a + b * b; },
      [](float sum, int64_t, int64_t) { return std::sqrt(sum); });
  context.finish(y);
  out.push_back(std::move(y));
  return success();
}

//===----------------------------------------------------------------------===//
// Recurrent
//===----------------------------------------------------------------------===//

static float activate(GateFunction function, float x) {
  switch (function) {
  case GateFunction::sigmoid:
    return 1.0f / (1.0f + std::exp(-x));
  case GateFunction::tanh:
  case GateFunction::scaled_tanh:
    return std::tanh(x);
  case GateFunction::relu:
    return std::fmax(x, 0.0f);
  case GateFunction::hard_sigmoid:
  case GateFunction::sigmoid_hard:
    return std::fmin(std::fmax(0.2f * x + 0.5f, 0.0f), 1.0f);
  case GateFunction::linear:
    return x;
  }
  llvm_unreachable("a function of a gate");
}

/// One direction: steps of `cell(gates from x, h, c)` over x; row s of
/// `sequence` (stride `width`) receives h.
template <typename Cell>
static void runSteps(const EvalContext &context, const Tensor &x,
                     const Tensor &weightIh, const Tensor *bias, bool reverse,
                     int64_t hidden, float *h, float *c, float *sequence,
                     int64_t width, bool all, Cell cell) {
  int64_t steps = x.shape()[0], batch = x.shape()[1], input = x.shape()[2],
          rows = weightIh.shape()[0];
  std::vector<float> gates(size_t(steps) * batch * rows);
  batchedMatmul(context, x.floats().data(), weightIh.floats().data(),
                gates.data(), steps * batch, input, rows, false, true, {0},
                {0});
  if (bias)
    for (size_t i = 0; i < gates.size(); ++i)
      gates[i] += bias->floats()[i % rows];
  for (int64_t s = 0; s < steps; ++s) {
    int64_t t = reverse ? steps - 1 - s : s;
    cell(gates.data() + t * batch * rows, h, c);
    if (all || s == steps - 1)
      for (int64_t b = 0; b < batch; ++b)
        std::copy(h + b * hidden, h + (b + 1) * hidden,
                  sequence + ((all ? t : 0) * batch + b) * width);
  }
}

LogicalResult evaluateOp(LstmOp op, EvalContext &context, ArrayRef<Tensor> in,
                         SmallVectorImpl<Tensor> &out) {
  // Operand segments in ODS order; absent optional operands take no place in
  // `in`.
  auto find = [&](Value value) -> const Tensor * {
    if (value)
      for (auto [i, operand] : llvm::enumerate(op->getOperands()))
        if (operand == value)
          return &in[i];
    return nullptr;
  };
  const Tensor &x = in[0];
  int64_t batch = x.shape()[1],
          hidden =
              cast<RankedTensorType>(op.getWeightHh().getType()).getShape()[1];
  bool both = op.getDirection() == Direction::bidirectional;
  int64_t width = hidden * (both ? 2 : 1);
  Tensor y = context.makeResult(
      op.getY(), {op.getOutputSequence() ? x.shape()[0] : 1, batch, width});
  Tensor hOut = context.makeResult(op.getH(), {batch, width}),
         cOut = context.makeResult(op.getC(), {batch, width});
  float clip = op.getClip() ? op.getClip()->convertToFloat() : 0;
  GateFunction f = op.getRecurrentActivation(), g = op.getCellActivation(),
               o = op.getActivation();
  for (int direction = 0; direction < (both ? 2 : 1); ++direction) {
    const Tensor &wih =
                     *find(direction ? op.getWeightIhBack() : op.getWeightIh()),
                 &whh =
                     *find(direction ? op.getWeightHhBack() : op.getWeightHh());
    const Tensor *bias = find(direction ? op.getBiasBack() : op.getBias()),
                 *peephole =
                     find(direction ? op.getPeepholeBack() : op.getPeephole());
    std::vector<float> h(batch * hidden), c(batch * hidden),
        recurrent(batch * 4 * hidden);
    for (int64_t b = 0; b < batch; ++b)
      for (int64_t i = 0; i < hidden; ++i) {
        h[b * hidden + i] = in[1].floats()[b * width + direction * hidden + i];
        c[b * hidden + i] = in[2].floats()[b * width + direction * hidden + i];
      }
    bool reverse = direction == 1 || op.getDirection() == Direction::reverse;
    auto cell = [&](const float *gates, float *h, float *c) {
      batchedMatmul(context, h, whh.floats().data(), recurrent.data(), batch,
                    hidden, 4 * hidden, false, true, {0}, {0});
      for (int64_t b = 0; b < batch; ++b)
        for (int64_t i = 0; i < hidden; ++i) {
          auto gate = [&](int64_t index) {
            return gates[(b * 4 + index) * hidden + i] +
                   recurrent[(b * 4 + index) * hidden + i];
          };
          float &cell = c[b * hidden + i];
          auto peep = [&](int64_t index) {
            return peephole ? peephole->floats()[index * hidden + i] * cell
                            : 0.0f;
          };
          float input = activate(f, gate(0) + peep(0)),
                forget = activate(f, gate(1) + peep(1)),
                candidate = activate(g, gate(3));
          cell = forget * cell + input * candidate;
          if (clip > 0)
            cell = std::fmin(std::fmax(cell, -clip), clip);
          h[b * hidden + i] =
              activate(f, gate(2) + peep(2)) * activate(o, cell);
        }
    };
    runSteps(context, x, wih, bias, reverse, hidden, h.data(), c.data(),
             y.mutableFloats().data() + direction * hidden, width,
             op.getOutputSequence(), cell);
    for (int64_t b = 0; b < batch; ++b)
      for (int64_t i = 0; i < hidden; ++i) {
        hOut.mutableFloats()[b * width + direction * hidden + i] =
            h[b * hidden + i];
        cOut.mutableFloats()[b * width + direction * hidden + i] =
            c[b * hidden + i];
      }
  }
  for (Tensor *tensor : {&y, &hOut, &cOut}) {
    context.finish(*tensor);
    out.push_back(*tensor);
  }
  return success();
}

LogicalResult evaluateOp(GruOp op, EvalContext &context, ArrayRef<Tensor> in,
                         SmallVectorImpl<Tensor> &out) {
  const Tensor &x = in[0], &whh = in[3];
  const Tensor *bias = op.getBias() ? &in[4] : nullptr,
               *inputBias =
                   op.getInputBias() ? &in[op.getBias() ? 5 : 4] : nullptr;
  int64_t batch = x.shape()[1], hidden = whh.shape()[1];
  bool after = op.getResetAfter().value_or(false);
  Tensor y = context.makeResult(
      op.getY(), {op.getOutputSequence() ? x.shape()[0] : 1, batch, hidden});
  Tensor hOut = context.makeResult(op.getH(), {batch, hidden});
  std::vector<float> h(in[1].floats().begin(), in[1].floats().end()),
      recurrent(batch * 3 * hidden), reset(batch * hidden),
      candidate(batch * hidden);
  GateFunction f = op.getRecurrentActivation(), g = op.getActivation();
  // Gate order r, o, z (mil/operations.md §1.12).
  auto cell = [&](const float *gates, float *h, float *) {
    batchedMatmul(context, h, whh.floats().data(), recurrent.data(), batch,
                  hidden, 3 * hidden, false, true, {0}, {0});
    if (bias && inputBias)
      for (size_t i = 0; i < recurrent.size(); ++i)
        recurrent[i] += bias->floats()[i % (3 * hidden)];
    auto at = [&](int64_t b, int64_t gate, int64_t i) {
      return (b * 3 + gate) * hidden + i;
    };
    for (int64_t b = 0; b < batch; ++b)
      for (int64_t i = 0; i < hidden; ++i)
        reset[b * hidden + i] =
            activate(f, gates[at(b, 0, i)] + recurrent[at(b, 0, i)]) *
            (after ? recurrent[at(b, 1, i)] : h[b * hidden + i]);
    if (after)
      candidate = reset;
    else
      batchedMatmul(context, reset.data(),
                    whh.floats().data() + hidden * hidden, candidate.data(),
                    batch, hidden, hidden, false, true, {0}, {0});
    for (int64_t b = 0; b < batch; ++b)
      for (int64_t i = 0; i < hidden; ++i) {
        float z = activate(f, gates[at(b, 2, i)] + recurrent[at(b, 2, i)]),
              o = activate(g, gates[at(b, 1, i)] + candidate[b * hidden + i]);
        h[b * hidden + i] = (1 - z) * o + z * h[b * hidden + i];
      }
  };
  runSteps(context, x, in[2], inputBias ? inputBias : bias,
           op.getDirection() == OneDirection::reverse, hidden, h.data(),
           nullptr, y.mutableFloats().data(), hidden, op.getOutputSequence(),
           cell);
  llvm::copy(h, hOut.mutableFloats().begin());
  for (Tensor *tensor : {&y, &hOut}) {
    context.finish(*tensor);
    out.push_back(*tensor);
  }
  return success();
}

LogicalResult evaluateOp(RnnOp op, EvalContext &context, ArrayRef<Tensor> in,
                         SmallVectorImpl<Tensor> &out) {
  const Tensor &x = in[0], &whh = in[3];
  int64_t batch = x.shape()[1], hidden = whh.shape()[1];
  Tensor y = context.makeResult(
      op.getY(), {op.getOutputSequence() ? x.shape()[0] : 1, batch, hidden});
  Tensor hOut = context.makeResult(op.getH(), {batch, hidden});
  std::vector<float> h(in[1].floats().begin(), in[1].floats().end()),
      recurrent(batch * hidden);
  GateFunction f = op.getActivation();
  auto cell = [&](const float *gates, float *h, float *) {
    batchedMatmul(context, h, whh.floats().data(), recurrent.data(), batch,
                  hidden, hidden, false, true, {0}, {0});
    for (int64_t i = 0; i < batch * hidden; ++i)
      h[i] = activate(f, gates[i] + recurrent[i]);
  };
  runSteps(context, x, in[2], op.getBias() ? &in[4] : nullptr,
           op.getDirection() == OneDirection::reverse, hidden, h.data(),
           nullptr, y.mutableFloats().data(), hidden, op.getOutputSequence(),
           cell);
  llvm::copy(h, hOut.mutableFloats().begin());
  for (Tensor *tensor : {&y, &hOut}) {
    context.finish(*tensor);
    out.push_back(*tensor);
  }
  return success();
}

#include "dialects/ANE/IR/LinearEvaluators.inc"
#include "dialects/ANE/IR/PoolEvaluators.inc"
#include "dialects/ANE/IR/RecurrentEvaluators.inc"
} // namespace mlir::ane
