//===- Dynamic.cpp - shapes, ranges, random numbers, attention ------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "dialects/ANE/IR/Dynamic.h"
#include "Evaluators.h"
#include "dialects/ANE/IR/Linear.h"
#include "dialects/ANE/IR/Random.h"
#include <cmath>
#include <random>

using namespace mlir;
using namespace mlir::ane;

namespace mlir::ane {
LogicalResult evaluateOp(ShapeOp op, EvalContext &context, ArrayRef<Tensor> in,
                         SmallVectorImpl<Tensor> &out) {
  Tensor y = context.makeResult(op.getY(), {in[0].rank()});
  llvm::copy(in[0].shape(), y.mutableInts().begin());
  out.push_back(std::move(y));
  return success();
}

LogicalResult evaluateOp(FillLikeOp op, EvalContext &context,
                         ArrayRef<Tensor> in, SmallVectorImpl<Tensor> &out) {
  Tensor y = context.makeResult(op.getY(), in[0].shape());
  if (y.isFloat())
    llvm::fill(y.mutableFloats(), float(in[1].number()));
  else
    llvm::fill(y.mutableInts(), in[1].integer());
  out.push_back(std::move(y));
  return success();
}

LogicalResult evaluateOp(Range1dOp op, EvalContext &context,
                         ArrayRef<Tensor> in, SmallVectorImpl<Tensor> &out) {
  double end = in[0].number(), start = in[1].number(), step = in[2].number();
  double count = std::ceil((end - start) / step);
  if (step == 0 || !(count < INT32_MAX))
    return op.emitOpError() << "from " << start << " to " << end << " by "
                            << step << " has no sensible length";
  int64_t size = std::max<int64_t>(0, floatToInteger(count));
  Tensor y = context.makeResult(op.getY(), {size});
  for (int64_t i = 0; i < size; ++i)
    if (y.isFloat())
      y.mutableFloats()[i] = float(start + i * step);
    else
      y.mutableInts()[i] = wrapTo(y.dtype(), floatToInteger(start + i * step));
  context.finish(y);
  out.push_back(std::move(y));
  return success();
}

/// Numbers are those of a fixed generator: runs can be repeated, and nothing
/// else is promised (mil/numerics.md §8).
template <typename Op>
static std::mt19937_64 generator(Op op) {
  int64_t seed = op.getSeed();
  if (seed >= 0)
    return std::mt19937_64(seed);
  // Ops without a seed differ by their place in the program.
  uint64_t place = 0;
  for (Operation *at = op; (at = at->getPrevNode());)
    ++place;
  return std::mt19937_64(0x9e3779b97f4a7c15ull + place);
}
/// [0, 1), the same on every machine.
static double unit(std::mt19937_64 &engine) {
  return double(engine() >> 11) * 0x1p-53;
}
template <typename Op, typename Draw>
static LogicalResult draw(Op op, EvalContext &context,
                          SmallVectorImpl<Tensor> &out, Draw next) {
  Tensor y = context.makeResult(op.getY(), op.getShape());
  std::mt19937_64 engine = generator(op);
  for (float &v : y.mutableFloats())
    v = next(engine);
  context.finish(y);
  out.push_back(std::move(y));
  return success();
}
LogicalResult evaluateOp(RandomUniformOp op, EvalContext &context,
                         ArrayRef<Tensor>, SmallVectorImpl<Tensor> &out) {
  double low = op.getLow().convertToFloat(),
         high = op.getHigh().convertToFloat();
  return draw(op, context, out, [=](auto &engine) {
    return float(low + (high - low) * unit(engine));
  });
}
LogicalResult evaluateOp(RandomNormalOp op, EvalContext &context,
                         ArrayRef<Tensor>, SmallVectorImpl<Tensor> &out) {
  double mean = op.getMean().convertToFloat(),
         deviation = op.getStddev().convertToFloat();
  return draw(op, context, out, [=](auto &engine) { // Box and Muller
    double u = unit(engine), v = unit(engine);
    return float(mean + deviation * std::sqrt(-2 * std::log(1 - u)) *
                            std::cos(6.283185307179586 * v));
  });
}
LogicalResult evaluateOp(RandomBernoulliOp op, EvalContext &context,
                         ArrayRef<Tensor>, SmallVectorImpl<Tensor> &out) {
  double p = op.getProb().convertToFloat();
  return draw(op, context, out,
              [=](auto &engine) { return unit(engine) < p ? 1.0f : 0.0f; });
}
LogicalResult evaluateOp(RandomCategoricalOp op, EvalContext &context,
                         ArrayRef<Tensor> in, SmallVectorImpl<Tensor> &out) {
  const Tensor &x = in[0];
  int64_t classes = x.shape().back(), size = op.getSize();
  SmallVector<int64_t, 6> shape(x.shape());
  shape.back() = size;
  Tensor y = context.makeResult(op.getY(), shape);
  std::mt19937_64 engine = generator(op);
  bool logits = op.getMode() == CategoricalMode::logits;
  for (int64_t row = 0; classes && row < x.size() / classes; ++row) {
    auto values = x.floats().slice(row * classes, classes);
    float largest = *llvm::max_element(values);
    std::vector<double> sums;
    for (float v : values)
      sums.push_back((sums.empty() ? 0 : sums.back()) +
                     (logits ? std::exp(double(v) - largest) : double(v)));
    for (int64_t i = 0; i < size; ++i) {
      double at = unit(engine) * sums.back();
      y.mutableFloats()[row * size + i] = std::min<int64_t>(
          llvm::upper_bound(sums, at) - sums.begin(), classes - 1);
    }
  }
  out.push_back(std::move(y));
  return success();
}

LogicalResult evaluateOp(ScaledDotProductAttentionOp op, EvalContext &context,
                         ArrayRef<Tensor> in, SmallVectorImpl<Tensor> &out) {
  const Tensor &q = in[0], &k = in[1], &v = in[2];
  int64_t rank = q.rank(), rows = q.shape()[rank - 2],
          depth = q.shape()[rank - 1], keys = k.shape()[rank - 2],
          width = v.shape()[rank - 1];
  SmallVector<int64_t, 6> lead(q.shape().drop_back(2)), scoresShape(lead),
      shape(lead);
  scoresShape.append({rows, keys});
  shape.append({rows, width});
  if (k.shape().drop_back(2) != ArrayRef<int64_t>(lead) ||
      v.shape().drop_back(2) != ArrayRef<int64_t>(lead) ||
      k.shape().back() != depth || v.shape()[rank - 2] != keys)
    return op.emitOpError()
           << "expects shapes that agree, but got [" << q.shape() << "], ["
           << k.shape() << "] and [" << v.shape() << "]";
  int64_t batches = 1;
  for (int64_t dim : lead)
    batches *= dim;
  SmallVector<int64_t> each;
  for (int64_t i = 0; i < batches; ++i)
    each.push_back(i);
  Tensor scores(q.dtype(), scoresShape);
  batchedMatmul(context, q.floats().data(), k.floats().data(),
                scores.mutableFloats().data(), rows, depth, keys, false, true,
                each, each);
  // The mask per element, broadcast.
  std::vector<float> bias;
  if (in.size() > 3) {
    const Tensor &mask = in[3];
    auto broadcast = broadcastShapes(mask.shape(), scoresShape);
    if (failed(broadcast) ||
        ArrayRef<int64_t>(*broadcast) != ArrayRef<int64_t>(scoresShape))
      return op.emitOpError()
             << "has a mask of shape [" << mask.shape() << "] for scores ["
             << ArrayRef(scoresShape) << "]";
    auto from = broadcastStrides(mask.shape(), scoresShape);
    bias.reserve(scores.size());
    forEachRow<1>(scoresShape, {ArrayRef<int64_t>(from)},
                  [&](auto &offset, int64_t count) {
                    for (int64_t i = 0; i < count; ++i) {
                      int64_t at = offset[0] + i * from.back();
                      bias.push_back(mask.isFloat()    ? mask.floats()[at]
                                     : mask.ints()[at] ? 0
                                                       : -INFINITY);
                    }
                  });
  }
  float scale = float(1 / std::sqrt(double(depth)));
  float *values = scores.mutableFloats().data();
  context.parallelFor(batches * rows, 16, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      float *line = values + row * keys, largest = -INFINITY;
      double sum = 0;
      for (int64_t i = 0; i < keys; ++i) {
        line[i] = line[i] * scale + (bias.empty() ? 0 : bias[row * keys + i]);
        largest = std::max(largest, line[i]);
      }
      for (int64_t i = 0; i < keys; ++i)
        sum += line[i] = std::exp(line[i] - largest);
      for (int64_t i = 0; i < keys; ++i)
        line[i] = float(line[i] / sum);
    }
  });
  context.finish(scores);
  Tensor y = context.makeResult(op.getY(), shape);
  batchedMatmul(context, scores.floats().data(), v.floats().data(),
                y.mutableFloats().data(), rows, keys, width, false, false, each,
                each);
  context.finish(y);
  out.push_back(std::move(y));
  return success();
}

#include "dialects/ANE/IR/DynamicEvaluators.inc"
#include "dialects/ANE/IR/RandomEvaluators.inc"
} // namespace mlir::ane
