//===- Norm.cpp - derivatives of norms and reductions ---------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "dialects/ANE/IR/Norm.h"
#include "Derivative.h"
#include "dialects/ANE/IR/Reduction.h"

using namespace mlir;
using namespace mlir::ane;

namespace mlir::ane {

void differentiate(SoftmaxOp op, Derivative &d) {
  Term y = d.term(op.getY()), g = d.term(d.incoming(0));
  int64_t axis = Derivative::wrap(op.getAxis(), d.rankOf(op.getY()));
  Term inner = d.term(d.sum((g * y).value, {axis}));
  d.give(0u, y * (g - inner));
}

//===----------------------------------------------------------------------===//
// Norms
//===----------------------------------------------------------------------===//

/// Every axis that `axes` does not hold.
static SmallVector<int64_t> others(ArrayRef<int64_t> axes, int64_t rank) {
  SmallVector<int64_t> rest;
  for (int64_t i = 0; i < rank; ++i)
    if (!llvm::is_contained(axes, i))
      rest.push_back(i);
  return rest;
}

/// y = (x - mean) / sqrt(variance + epsilon) * gamma + beta over `axes`; gamma
/// and beta, which may be null, are as large as x along `parameterAxes` alone.
static void normalize(Derivative &d, Value xValue, Value gamma, Value beta,
                      ArrayRef<int64_t> axes, ArrayRef<int64_t> parameterAxes,
                      double epsilon) {
  int64_t rank = d.rankOf(xValue);
  SmallVector<int64_t> shape(rank, 1);
  for (int64_t axis : parameterAxes)
    shape[axis] = d.shapeOf(xValue)[axis];
  SmallVector<int64_t> summed = others(parameterAxes, rank);
  Term x = d.term(xValue), g = d.term(d.incoming(0));
  auto giveParameter = [&](Value parameter, Term gradient) {
    if (parameter && d.wants(parameter))
      d.give(parameter,
             d.reshape(d.sum(gradient.value, summed), d.shapeOf(parameter)));
  };
  giveParameter(beta, g);
  if (!d.wants(xValue) && !(gamma && d.wants(gamma)))
    return;
  Term centred = x - d.term(d.mean(xValue, axes));
  Term variance = d.term(d.mean(square(centred).value, axes));
  Term inverse = rsqrt(variance + epsilon);
  Term normal = centred * inverse;
  giveParameter(gamma, g * normal);
  if (!d.wants(xValue))
    return;
  if (gamma)
    g = g * d.term(d.reshape(gamma, shape));
  Term mean = d.term(d.mean(g.value, axes)),
       along = d.term(d.mean((g * normal).value, axes));
  d.give(xValue, (inverse * (g - mean - normal * along)).value);
}

void differentiate(LayerNormOp op, Derivative &d) {
  SmallVector<int64_t> axes;
  for (int64_t axis : op.getAxes())
    axes.push_back(Derivative::wrap(axis, d.rankOf(op.getX())));
  llvm::sort(axes);
  normalize(d, op.getX(), op.getGamma(), op.getBeta(), axes, axes,
            op.getEpsilon().convertToDouble());
}

void differentiate(InstanceNormOp op, Derivative &d) {
  SmallVector<int64_t> axes;
  for (int64_t i = 2; i < d.rankOf(op.getX()); ++i)
    axes.push_back(i);
  normalize(d, op.getX(), op.getGamma(), op.getBeta(), axes, {1},
            op.getEpsilon().convertToDouble());
}

void differentiate(BatchNormOp op, Derivative &d) {
  Value xValue = op.getX(), gamma = op.getGamma();
  SmallVector<int64_t> shape(d.rankOf(xValue), 1), summed;
  shape[1] = d.shapeOf(xValue)[1];
  for (int64_t i = 0; i < d.rankOf(xValue); ++i)
    if (i != 1)
      summed.push_back(i);
  auto wide = [&](Value parameter) {
    return d.term(d.reshape(parameter, shape));
  };
  auto give = [&](Value parameter, Term gradient) {
    d.give(parameter,
           d.reshape(d.sum(gradient.value, summed), d.shapeOf(parameter)));
  };
  Term g = d.term(d.incoming(0)), scaled = g;
  if (gamma)
    scaled = g * wide(gamma);
  Term inverse =
      rsqrt(wide(op.getVariance()) + op.getEpsilon().convertToDouble());
  if (d.wants(xValue))
    d.give(xValue, (scaled * inverse).value);
  if (d.wants(op.getMean()))
    give(op.getMean(), -(scaled * inverse));
  if (op.getBeta() && d.wants(op.getBeta()))
    give(op.getBeta(), g);
  if (!d.wants(op.getVariance()) && !(gamma && d.wants(gamma)))
    return;
  Term centred = d.term(xValue) - wide(op.getMean());
  if (gamma && d.wants(gamma))
    give(gamma, g * centred * inverse);
  if (d.wants(op.getVariance()))
    give(op.getVariance(),
         -0.5 * (scaled * centred) * (inverse * inverse * inverse));
}

void differentiate(L2NormOp op, Derivative &d) {
  int64_t rank = d.rankOf(op.getX());
  Term x = d.term(op.getX()), g = d.term(d.incoming(0));
  SmallVector<int64_t> axes{rank - 3, rank - 2, rank - 1};
  Term inverse = rsqrt(d.term(d.sum(square(x).value, axes)) +
                       op.getEpsilon().convertToDouble());
  Term along = d.term(d.sum((g * x).value, axes));
  d.give(0u, g * inverse - x * (along * (inverse * inverse * inverse)));
}

/// Sums of the channels from `before` before to `after` after each.
static Term channelWindow(Derivative &d, Term x, int64_t before,
                          int64_t after) {
  if (!x.value)
    return x;
  int64_t rank = d.rankOf(x.value), channels = d.shapeOf(x.value)[1];
  SmallVector<int64_t> low(rank, 0), high(rank, 0);
  low[1] = before;
  high[1] = after;
  Value padded = d.padOrCrop(x.value, low, high);
  Term sum;
  for (int64_t i = 0; i <= before + after; ++i) {
    Term part = d.term(d.slice(padded, 1, i, channels));
    sum = sum.d ? sum + part : part;
  }
  return sum;
}

void differentiate(LocalResponseNormOp op, Derivative &d) {
  int64_t size = op.getSize(), before = size / 2, after = size - 1 - before;
  double alpha = op.getAlpha().convertToDouble() / size,
         beta = op.getBeta().convertToDouble(), k = op.getK().convertToDouble();
  Term x = d.term(op.getX()), g = d.term(d.incoming(0));
  Term scale = k + alpha * channelWindow(d, square(x), before, after);
  // Where c was among the channels around another, that one is around c.
  Term around = channelWindow(d, g * x * pow(scale, -beta - 1), after, before);
  d.give(0u, g * pow(scale, -beta) - (2 * alpha * beta) * x * around);
}

//===----------------------------------------------------------------------===//
// Reductions
//===----------------------------------------------------------------------===//

namespace {
/// A reduction with its axes spelled out and its result kept of full rank.
struct Reduction {
  template <typename Op>
  Reduction(Op op, Derivative &d) {
    ArrayRef<int64_t> shape = Derivative::shapeOf(op.getX());
    kept.assign(shape.begin(), shape.end());
    if (auto given = op.getAxes())
      for (int64_t axis : *given)
        axes.push_back(Derivative::wrap(axis, shape.size()));
    else
      for (size_t i = 0; i < shape.size(); ++i)
        axes.push_back(i);
    for (int64_t axis : axes) {
      elements *= shape[axis];
      kept[axis] = 1;
    }
    x = d.term(op.getX());
    y = d.term(d.reshape(op.getY(), kept));
    g = d.term(d.reshape(d.incoming(0), kept));
  }
  SmallVector<int64_t> axes, kept;
  int64_t elements = 1;
  Term x, y, g;
};
} // namespace

void differentiate(ReduceSumOp op, Derivative &d) {
  d.give(0u, Reduction(op, d).g);
}
void differentiate(ReduceMeanOp op, Derivative &d) {
  Reduction r(op, d);
  d.give(0u, r.g * (1.0 / double(std::max<int64_t>(1, r.elements))));
}

/// Elements that are the extreme one share what it receives.
static void giveExtreme(const Reduction &r, Derivative &d) {
  Term hit = r.x == r.y;
  Term ones = select(
      hit,
      d.term(d.broadcastTo(d.scalarLike(1, r.x.value), d.shapeOf(r.x.value))),
      0);
  Term share = r.g / d.term(d.sum(ones.value, r.axes));
  d.give(0u, ones * share);
}
void differentiate(ReduceMaxOp op, Derivative &d) {
  giveExtreme(Reduction(op, d), d);
}
void differentiate(ReduceMinOp op, Derivative &d) {
  giveExtreme(Reduction(op, d), d);
}
void differentiate(ReduceL2NormOp op, Derivative &d) {
  Reduction r(op, d);
  d.give(0u, r.x * select(r.y > 0, r.g / select(r.y > 0, r.y, 1.0), 0));
}
void differentiate(ReduceLogSumExpOp op, Derivative &d) {
  Reduction r(op, d);
  d.give(0u, r.g * exp(r.x - r.y));
}
void differentiate(ReduceL1NormOp op, Derivative &d) {
  Reduction r(op, d);
  d.give(0u, r.g * sign(r.x));
}
void differentiate(ReduceLogSumOp op, Derivative &d) {
  Reduction r(op, d);
  d.give(0u, r.g / d.term(d.sum(r.x.value, r.axes)));
}
void differentiate(ReduceSumSquareOp op, Derivative &d) {
  Reduction r(op, d);
  d.give(0u, 2 * r.g * r.x);
}
void differentiate(ReduceProdOp op, Derivative &d) {
  // The product of the others: by division, except where a zero is among them.
  Reduction r(op, d);
  Term isZero = r.x == 0.0;
  Term safe = select(isZero, 1.0, r.x), zero = 0 * safe;
  Term zeros = d.term(d.sum(select(isZero, zero + 1, 0).value, r.axes));
  if (d.failed())
    return;
  Term product = d.term(d.create<ReduceProdOp>(
      {safe.value}, {.axes = r.axes, .keep_dims = true}));
  Term only = select(isZero, product * (zero + 1), 0);
  Term gradient =
      select(zeros == 0.0, product / safe, select(zeros == 1.0, only, 0));
  d.give(0u, r.g * gradient);
}

void differentiate(CumsumOp op, Derivative &d) {
  d.give(0u,
         d.create<CumsumOp>({d.incoming(0)}, {.axis = op.getAxis(),
                                              .exclusive = op.getExclusive(),
                                              .reverse = !op.getReverse()}));
}

#include "dialects/ANE/IR/NormGradients.inc"
#include "dialects/ANE/IR/ReductionGradients.inc"
} // namespace mlir::ane
