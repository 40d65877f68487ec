//===- Norm.cpp - normalisation, reductions, softmax ----------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "dialects/ANE/IR/Norm.h"
#include "EngineNumerics.h"
#include "Evaluators.h"
#include "dialects/ANE/IR/Reduction.h"
#include <cmath>
#include <limits>

using namespace mlir;
using namespace mlir::ane;

namespace {
/// A shape split into kept and reduced axes; rows of reduced elements are
/// gathered by two offset tables.
struct ReductionPlan {
  SmallVector<int64_t, 6> keptShape, resultShape;
  /// Offset of the first element of each kept position, and of each reduced
  /// element relative to it.
  std::vector<int64_t> keptOffsets, reducedOffsets;

  ReductionPlan(ArrayRef<int64_t> shape, std::optional<ArrayRef<int64_t>> axes,
                bool keepDims) {
    SmallVector<bool> reduced(shape.size(), !axes);
    if (axes)
      for (int64_t axis : *axes)
        reduced[axis < 0 ? axis + shape.size() : axis] = true;
    auto strides = rowMajorStrides(shape);
    keptOffsets = reducedOffsets = {0};
    for (size_t i = 0; i < shape.size(); ++i) {
      std::vector<int64_t> &table = reduced[i] ? reducedOffsets : keptOffsets;
      std::vector<int64_t> next;
      next.reserve(table.size() * shape[i]);
      for (int64_t offset : table)
        for (int64_t j = 0; j < shape[i]; ++j)
          next.push_back(offset + j * strides[i]);
      table = std::move(next);
      if (!reduced[i])
        resultShape.push_back(shape[i]);
      else if (keepDims)
        resultShape.push_back(1);
    }
  }
};
} // namespace

template <typename T>
using Row = function_ref<T(int64_t)>;

/// y[kept] = f(row of reduced elements); `f` gets (count, element accessor).
template <typename Op, typename FloatFn, typename IntFn>
static LogicalResult reduce(Op op, EvalContext &context, ArrayRef<Tensor> in,
                            SmallVectorImpl<Tensor> &out, FloatFn f, IntFn g) {
  ReductionPlan plan(in[0].shape(), op.getAxes(), op.getKeepDims());
  Tensor y = context.makeResult(op.getY(), plan.resultShape);
  int64_t count = plan.reducedOffsets.size();
  if (in[0].isFloat()) {
    const float *x = in[0].floats().data();
    float *result = y.mutableFloats().data();
    context.parallelFor(
        plan.keptOffsets.size(),
        std::max<int64_t>(1, (1 << 14) / std::max<int64_t>(count, 1)),
        [&](int64_t begin, int64_t end) {
          for (int64_t i = begin; i < end; ++i) {
            const float *base = x + plan.keptOffsets[i];
            result[i] = f(
                count, [&](int64_t j) { return base[plan.reducedOffsets[j]]; });
          }
        });
    context.finish(y);
  } else {
    for (size_t i = 0; i < plan.keptOffsets.size(); ++i) {
      const int64_t *base = in[0].ints().data() + plan.keptOffsets[i];
      y.mutableInts()[i] = wrapTo(y.dtype(), g(count, [&](int64_t j) {
                                    return base[plan.reducedOffsets[j]];
                                  }));
    }
  }
  out.push_back(std::move(y));
  return success();
}

/// Reductions that fold with one binary step from an initial value; doubles
/// keep long fp32 sums exact enough.
template <typename Op, typename Step, typename Finish>
static LogicalResult foldReduce(Op op, EvalContext &context,
                                ArrayRef<Tensor> in,
                                SmallVectorImpl<Tensor> &out, double initial,
                                int64_t initialInt, Step step, Finish finish) {
  return reduce(
      op, context, in, out,
      [&](int64_t count, auto at) {
        double value = initial;
        for (int64_t j = 0; j < count; ++j) {
          value = step(value, double(at(j)));
          // Sums are exact beyond fp32's digits, not beyond its range.
          if (std::fabs(value) > std::numeric_limits<float>::max())
            value = std::copysign(INFINITY, value);
        }
        return float(finish(value, count));
      },
      [&](int64_t count, auto at) {
        int64_t value = initialInt;
        for (int64_t j = 0; j < count; ++j)
          value = step(value, at(j));
        return int64_t(finish(value, count));
      });
}

/// The largest integer of a type, or the smallest: what the extreme of nothing
/// is.
static int64_t limitOf(DType dtype, bool largest) {
  unsigned bits = getInfo(dtype).bits;
  if (!isUnsigned(dtype))
    return largest ? llvm::maxIntN(bits) : llvm::minIntN(bits);
  if (!largest)
    return 0;
  return bits == 64 ? INT64_MAX : int64_t(llvm::maxUIntN(bits));
}

namespace mlir::ane {
static constexpr auto kKeep = [](auto value, int64_t) { return value; };
static constexpr auto kRoot = [](auto value, int64_t) {
  return std::sqrt(double(value));
};

LogicalResult evaluateOp(ReduceSumOp op, EvalContext &context,
                         ArrayRef<Tensor> in, SmallVectorImpl<Tensor> &out) {
  return foldReduce(
      op, context, in, out, 0, 0, [](auto a, auto b) { return a + b; }, kKeep);
}
LogicalResult evaluateOp(ReduceMeanOp op, EvalContext &context,
                         ArrayRef<Tensor> in, SmallVectorImpl<Tensor> &out) {
  return foldReduce(
      op, context, in, out, 0, 0, [](auto a, auto b) { return a + b; },
      [](auto value, int64_t count) {
        // ONNX leaves the mean of nothing open; 0 is ONNX Runtime's.
        return count ? value / decltype(value)(count) : value;
      });
}
LogicalResult evaluateOp(ReduceProdOp op, EvalContext &context,
                         ArrayRef<Tensor> in, SmallVectorImpl<Tensor> &out) {
  return foldReduce(
      op, context, in, out, 1, 1, [](auto a, auto b) { return a * b; }, kKeep);
}
LogicalResult evaluateOp(ReduceMaxOp op, EvalContext &context,
                         ArrayRef<Tensor> in, SmallVectorImpl<Tensor> &out) {
  return foldReduce(
      op, context, in, out, -INFINITY, limitOf(in[0].dtype(), false),
      [](auto a, auto b) { return b > a || b != b ? b : a; }, kKeep);
}
LogicalResult evaluateOp(ReduceMinOp op, EvalContext &context,
                         ArrayRef<Tensor> in, SmallVectorImpl<Tensor> &out) {
  return foldReduce(
      op, context, in, out, INFINITY, limitOf(in[0].dtype(), true),
      [](auto a, auto b) { return b < a || b != b ? b : a; }, kKeep);
}
LogicalResult evaluateOp(ReduceL1NormOp op, EvalContext &context,
                         ArrayRef<Tensor> in, SmallVectorImpl<Tensor> &out) {
  return foldReduce(
      op, context, in, out, 0, 0,
      [](auto a, auto b) { return a + (b < 0 ? -b : b); }, kKeep);
}
LogicalResult evaluateOp(ReduceL2NormOp op, EvalContext &context,
                         ArrayRef<Tensor> in, SmallVectorImpl<Tensor> &out) {
  return foldReduce(
      op, context, in, out, 0, 0, [](auto a, auto b) { return a + b * b; },
      kRoot);
}
LogicalResult evaluateOp(ReduceSumSquareOp op, EvalContext &context,
                         ArrayRef<Tensor> in, SmallVectorImpl<Tensor> &out) {
  return foldReduce(
      op, context, in, out, 0, 0, [](auto a, auto b) { return a + b * b; },
      kKeep);
}
LogicalResult evaluateOp(ReduceLogSumOp op, EvalContext &context,
                         ArrayRef<Tensor> in, SmallVectorImpl<Tensor> &out) {
  return foldReduce(
      op, context, in, out, 0, 0, [](auto a, auto b) { return a + b; },
      [](auto v, int64_t) { return std::log(double(v)); });
}
LogicalResult evaluateOp(ReduceLogSumExpOp op, EvalContext &context,
                         ArrayRef<Tensor> in, SmallVectorImpl<Tensor> &out) {
  auto compute = [](int64_t count, auto at) {
    double top = -INFINITY, sum = 0;
    for (int64_t j = 0; j < count; ++j)
      top = std::fmax(top, double(at(j)));
    if (std::isinf(top))
      return top;
    for (int64_t j = 0; j < count; ++j)
      sum += std::exp(double(at(j)) - top);
    return top + std::log(sum);
  };
  return reduce(op, context, in, out, compute, compute);
}

/// Index of the best element; the lowest on ties (ONNX's rule).
template <typename Op, typename Better>
static LogicalResult argReduce(Op op, EvalContext &context, ArrayRef<Tensor> in,
                               SmallVectorImpl<Tensor> &out, Better better) {
  ReductionPlan plan(in[0].shape(), ArrayRef<int64_t>{int64_t(op.getAxis())},
                     op.getKeepDims());
  Tensor y = context.makeResult(op.getY(), plan.resultShape);
  withStorage(in[0], [&](auto zero) {
    auto x = storage<decltype(zero)>(in[0]);
    for (size_t i = 0; i < plan.keptOffsets.size(); ++i) {
      size_t best = 0;
      for (size_t j = 1; j < plan.reducedOffsets.size(); ++j)
        if (better(x[plan.keptOffsets[i] + plan.reducedOffsets[j]],
                   x[plan.keptOffsets[i] + plan.reducedOffsets[best]]))
          best = j;
      y.mutableInts()[i] = best;
    }
  });
  out.push_back(std::move(y));
  return success();
}
LogicalResult evaluateOp(ReduceArgmaxOp op, EvalContext &context,
                         ArrayRef<Tensor> in, SmallVectorImpl<Tensor> &out) {
  return argReduce(op, context, in, out, [](auto a, auto b) { return a > b; });
}
LogicalResult evaluateOp(ReduceArgminOp op, EvalContext &context,
                         ArrayRef<Tensor> in, SmallVectorImpl<Tensor> &out) {
  return argReduce(op, context, in, out, [](auto a, auto b) { return a < b; });
}

LogicalResult evaluateOp(SoftmaxOp op, EvalContext &context,
                         ArrayRef<Tensor> in, SmallVectorImpl<Tensor> &out) {
  Tensor y = context.makeResult(op.getY(), in[0].shape());
  AxisView view(in[0].shape(), op.getAxis());
  const float *x = in[0].floats().data();
  float *z = y.mutableFloats().data();
  context.parallelFor(
      view.outer * view.inner,
      std::max<int64_t>(1, 4096 / std::max<int64_t>(view.extent, 1)),
      [&](int64_t begin, int64_t end) {
        for (int64_t row = begin; row < end; ++row) {
          int64_t base =
              row / view.inner * view.extent * view.inner + row % view.inner;
          if (const NumericContract *engine = context.getEngine()) {
            std::vector<float> values(view.extent);
            for (int64_t i = 0; i < view.extent; ++i)
              values[i] = x[base + i * view.inner];
            engineSoftmax(*engine, values);
            for (int64_t i = 0; i < view.extent; ++i)
              z[base + i * view.inner] = values[i];
            continue;
          }
          float top = -INFINITY, sum = 0;
          for (int64_t i = 0; i < view.extent; ++i)
            top = std::fmax(top, x[base + i * view.inner]);
          for (int64_t i = 0; i < view.extent; ++i)
            sum += z[base + i * view.inner] =
                std::exp(x[base + i * view.inner] - top);
          for (int64_t i = 0; i < view.extent; ++i)
            z[base + i * view.inner] /= sum;
        }
      });
  context.finish(y);
  out.push_back(std::move(y));
  return success();
}

LogicalResult evaluateOp(CumsumOp op, EvalContext &context, ArrayRef<Tensor> in,
                         SmallVectorImpl<Tensor> &out) {
  Tensor y = context.makeResult(op.getY(), in[0].shape());
  AxisView view(in[0].shape(), op.getAxis());
  withStorage(in[0], [&](auto zero) {
    using T = decltype(zero);
    auto x = storage<T>(in[0]);
    auto z = mutableStorage<T>(y);
    for (int64_t o = 0; o < view.outer; ++o)
      for (int64_t i = 0; i < view.inner; ++i) {
        T sum = 0;
        for (int64_t s = 0; s < view.extent; ++s) {
          int64_t at =
              (o * view.extent + (op.getReverse() ? view.extent - 1 - s : s)) *
                  view.inner +
              i;
          z[at] = op.getExclusive() ? sum : T(sum + x[at]);
          sum += x[at];
        }
      }
  });
  if (!y.isFloat())
    for (int64_t &value : y.mutableInts())
      value = wrapTo(y.dtype(), value);
  context.finish(y);
  out.push_back(std::move(y));
  return success();
}

//===----------------------------------------------------------------------===//
// Normalisation
//===----------------------------------------------------------------------===//

LogicalResult evaluateOp(BatchNormOp op, EvalContext &context,
                         ArrayRef<Tensor> in, SmallVectorImpl<Tensor> &out) {
  Tensor y = context.makeResult(op.getY(), in[0].shape());
  AxisView view(in[0].shape(), 1);
  float epsilon = context.roundParameter(op.getEpsilon(), in[0].dtype());
  const Tensor *gamma = op.getGamma() ? &in[3] : nullptr,
               *beta = op.getBeta() ? &in[gamma ? 4 : 3] : nullptr;
  const float *x = in[0].floats().data();
  float *z = y.mutableFloats().data();
  for (int64_t o = 0; o < view.outer; ++o)
    for (int64_t c = 0; c < view.extent; ++c) {
      float scale = (gamma ? gamma->floats()[c] : 1.0f) /
                    std::sqrt(in[2].floats()[c] + epsilon),
            shift = beta ? beta->floats()[c] : 0.0f;
      for (int64_t i = 0; i < view.inner; ++i, ++x, ++z)
        *z = (*x - in[1].floats()[c]) * scale + shift;
    }
  context.finish(y);
  out.push_back(std::move(y));
  return success();
}

/// Normalises each group of `plan`; gamma and beta are indexed by
/// parameter(kept index, reduced index).
template <typename Parameter>
static void normalize(EvalContext &context, const Tensor &x, Tensor &y,
                      const ReductionPlan &plan, float epsilon,
                      const Tensor *gamma, const Tensor *beta,
                      Parameter parameter) {
  const float *source = x.floats().data();
  float *target = y.mutableFloats().data();
  int64_t count = plan.reducedOffsets.size();
  context.parallelFor(
      plan.keptOffsets.size(),
      std::max<int64_t>(1, 4096 / std::max<int64_t>(count, 1)),
      [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          int64_t base = plan.keptOffsets[i];
          double sum = 0, squares = 0;
          for (int64_t offset : plan.reducedOffsets)
            sum += source[base + offset];
          double mean = sum / count;
          for (int64_t offset : plan.reducedOffsets)
            squares +=
                (source[base + offset] - mean) * (source[base + offset] - mean);
          float scale = 1.0f / std::sqrt(float(squares / count) + epsilon);
          for (int64_t j = 0; j < count; ++j) {
            int64_t at = base + plan.reducedOffsets[j], p = parameter(i, j);
            target[at] = (source[at] - float(mean)) * scale *
                             (gamma ? gamma->floats()[p] : 1.0f) +
                         (beta ? beta->floats()[p] : 0.0f);
          }
        }
      });
  context.finish(y);
}

LogicalResult evaluateOp(InstanceNormOp op, EvalContext &context,
                         ArrayRef<Tensor> in, SmallVectorImpl<Tensor> &out) {
  Tensor y = context.makeResult(op.getY(), in[0].shape());
  SmallVector<int64_t> axes;
  for (int64_t i = 2; i < in[0].rank(); ++i)
    axes.push_back(i);
  ReductionPlan plan(in[0].shape(), axes, true);
  int64_t channels = in[0].shape()[1];
  const Tensor *gamma = op.getGamma() ? &in[1] : nullptr,
               *beta = op.getBeta() ? &in[gamma ? 2 : 1] : nullptr;
  normalize(context, in[0], y, plan,
            context.roundParameter(op.getEpsilon(), in[0].dtype()), gamma, beta,
            [&](int64_t i, int64_t) { return i % channels; });
  out.push_back(std::move(y));
  return success();
}

LogicalResult evaluateOp(LayerNormOp op, EvalContext &context,
                         ArrayRef<Tensor> in, SmallVectorImpl<Tensor> &out) {
  Tensor y = context.makeResult(op.getY(), in[0].shape());
  ReductionPlan plan(in[0].shape(), op.getAxes(), true);
  const Tensor *gamma = op.getGamma() ? &in[1] : nullptr,
               *beta = op.getBeta() ? &in[gamma ? 2 : 1] : nullptr;
  normalize(context, in[0], y, plan,
            context.roundParameter(op.getEpsilon(), in[0].dtype()), gamma, beta,
            [](int64_t, int64_t j) { return j; });
  out.push_back(std::move(y));
  return success();
}

LogicalResult evaluateOp(L2NormOp op, EvalContext &context, ArrayRef<Tensor> in,
                         SmallVectorImpl<Tensor> &out) {
  Tensor y = context.makeResult(op.getY(), in[0].shape());
  ReductionPlan plan(in[0].shape(), ArrayRef<int64_t>{-3, -2, -1}, true);
  float epsilon = context.roundParameter(op.getEpsilon(), in[0].dtype());
  for (int64_t base : plan.keptOffsets) {
    double sum = 0;
    for (int64_t offset : plan.reducedOffsets)
      sum +=
          double(in[0].floats()[base + offset]) * in[0].floats()[base + offset];
    for (int64_t offset : plan.reducedOffsets)
      y.mutableFloats()[base + offset] =
          in[0].floats()[base + offset] / std::sqrt(float(sum) + epsilon);
  }
  context.finish(y);
  out.push_back(std::move(y));
  return success();
}

LogicalResult evaluateOp(LocalResponseNormOp op, EvalContext &context,
                         ArrayRef<Tensor> in, SmallVectorImpl<Tensor> &out) {
  Tensor y = context.makeResult(op.getY(), in[0].shape());
  AxisView view(in[0].shape(), 1);
  int64_t size = op.getSize(), before = size / 2, after = size - 1 - before;
  float alpha = op.getAlpha().convertToFloat(),
        beta = op.getBeta().convertToFloat(), k = op.getK().convertToFloat();
  for (int64_t o = 0; o < view.outer; ++o)
    for (int64_t c = 0; c < view.extent; ++c)
      for (int64_t i = 0; i < view.inner; ++i) {
        float sum = 0;
        for (int64_t j = std::max<int64_t>(0, c - before);
             j <= std::min(view.extent - 1, c + after); ++j) {
          float value = in[0].floats()[(o * view.extent + j) * view.inner + i];
          sum += value * value;
        }
        int64_t at = (o * view.extent + c) * view.inner + i;
        y.mutableFloats()[at] =
            in[0].floats()[at] / std::pow(k + alpha / size * sum, beta);
      }
  context.finish(y);
  out.push_back(std::move(y));
  return success();
}

#include "dialects/ANE/IR/NormEvaluators.inc"
#include "dialects/ANE/IR/ReductionEvaluators.inc"
} // namespace mlir::ane
