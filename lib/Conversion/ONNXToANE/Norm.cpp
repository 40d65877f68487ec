//===- Norm.cpp - normalisation -------------------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "dialects/ANE/IR/Norm.h"
#include "Lowering.h"
#include "dialects/ANE/IR/Comparison.h"
#include "dialects/ANE/IR/Reduction.h"
#include "dialects/ANE/IR/Unary.h"

using namespace mlir;
using namespace mlir::ane;

using C = NodeContext;

/// Statistics of the batch itself, and the running ones that they move.
static LogicalResult trainBatchNorm(C &c) {
  Value x = c.input(0);
  int64_t rank = c.rank(x);
  if (rank < 2)
    return c.error() << "expects an input of rank 2 or more";
  SmallVector<int64_t> axes, channels(rank, 1), flat{c.shape(x)[1]};
  channels[1] = c.shape(x)[1];
  for (int64_t i = 0; i < rank; ++i)
    if (i != 1)
      axes.push_back(i);
  Type f32 = c.f32(), element = c.element(x);
  auto mean = [&](Value v) {
    return c.create<ReduceMeanOp>({v}, {.axes = axes, .keep_dims = true});
  };
  auto parameter = [&](unsigned i) {
    return c.reshape(c.castTo(c.input(i), f32), channels);
  };
  Value data = c.castTo(x, f32), centre = mean(data);
  Value centred = c.sub(data, centre), variance = mean(c.mul(centred, centred));
  Value y = c.mul(
      centred,
      c.create<RsqrtOp>({variance}, {.epsilon = c.getFloat("epsilon", 1e-5)}));
  y = c.add(c.mul(y, parameter(1)), parameter(2));
  double momentum = c.getFloat("momentum", 0.9);
  for (auto [output, current, running] :
       {std::tuple(1u, centre, 3u), std::tuple(2u, variance, 4u)})
    if (c.isUsed(output)) {
      Value moved =
          c.add(c.mul(c.castTo(c.input(running), f32), c.scalar(momentum, f32)),
                c.mul(c.reshape(current, flat), c.scalar(1 - momentum, f32)));
      c.put(output, c.castTo(moved, c.element(c.input(running))));
    }
  return c.set(0, c.castTo(y, element));
}

static LogicalResult lowerBatchNorm(C &c) {
  Value x = c.input(0);
  if (c.getInt("training_mode", 0))
    return trainBatchNorm(c);
  for (unsigned i = 1; i < c.numOutputs(); ++i)
    if (c.isUsed(i))
      return c.error() << "output " << i << " exists in training only";
  SmallVector<int64_t> shape(c.shape(x));
  if (shape.size() < 2)
    return c.error() << "expects an input of rank 2 or more";
  // MIL takes rank 3 to 5.
  SmallVector<int64_t> widened(shape);
  while (widened.size() < 3)
    widened.push_back(1);
  for (; widened.size() > 5; widened.pop_back())
    widened[widened.size() - 2] *= widened.back();
  Type element = c.element(x);
  auto parameter = [&](unsigned i) { return c.castTo(c.input(i), element); };
  Value y = c.create<BatchNormOp>({c.reshape(x, widened), parameter(3),
                                   parameter(4), parameter(1), parameter(2)},
                                  {.epsilon = c.getFloat("epsilon", 1e-5)});
  return c.set(0, y ? c.reshape(y, shape) : y);
}

static LogicalResult lowerInstanceNorm(C &c) {
  Value x = c.input(0);
  SmallVector<int64_t> shape(c.shape(x)), merged(shape);
  if (shape.size() < 3)
    return c.error() << "expects an input of rank 3 or more";
  for (; merged.size() > 4; merged.pop_back())
    merged[merged.size() - 2] *= merged.back();
  Value y =
      c.create<InstanceNormOp>({c.reshape(x, merged), c.input(1), c.input(2)},
                               {.epsilon = c.getFloat("epsilon", 1e-5)});
  return c.set(0, y ? c.reshape(y, shape) : y);
}

/// Scale or bias of LayerNormalization: the op wants exactly the shape of the
/// normalised axes.
static Value normParameter(C &c, Value value, ArrayRef<int64_t> normalized) {
  if (!value)
    return {};
  int64_t count = 1;
  for (int64_t dim : normalized)
    count *= dim;
  if (c.type(value).getNumElements() == count)
    return c.reshape(value, normalized);
  return c.rank(value) <= (int64_t)normalized.size()
             ? c.broadcastTo(value, normalized)
             : Value();
}

static LogicalResult lowerLayerNorm(C &c) {
  Value x = c.input(0);
  FailureOr<int64_t> axis = c.axis(c.getInt("axis", -1), c.rank(x));
  if (failed(axis))
    return failure();
  ArrayRef<int64_t> normalized = c.shape(x).drop_front(*axis);
  SmallVector<int64_t> axes;
  for (int64_t i = *axis; i < c.rank(x); ++i)
    axes.push_back(i);
  double epsilon = c.getFloat("epsilon", 1e-5);
  Value scale = normParameter(c, c.input(1), normalized),
        bias = normParameter(c, c.input(2), normalized);
  if ((c.input(1) && !scale) || (c.input(2) && !bias)) {
    // A scale that varies over the outer axes too: multiply after.
    Value y = c.create<LayerNormOp>({x}, {.axes = axes, .epsilon = epsilon});
    y = c.input(1) ? c.mul(y, c.input(1)) : y;
    c.put(0, c.input(2) ? c.add(y, c.input(2)) : y);
  } else {
    c.put(0, c.create<LayerNormOp>({x, scale, bias},
                                   {.axes = axes, .epsilon = epsilon}));
  }
  if (c.isUsed(1) || c.isUsed(2)) {
    Value mean = c.create<ReduceMeanOp>({x}, {.axes = axes, .keep_dims = true}),
          centred = c.sub(x, mean);
    Value variance = c.create<ReduceMeanOp>({c.mul(centred, centred)},
                                            {.axes = axes, .keep_dims = true});
    c.put(1, mean);
    if (c.numOutputs() > 2)
      c.put(2, c.create<RsqrtOp>({variance}, {.epsilon = epsilon}));
  }
  return success(!c.failed());
}

/// x * rsqrt(mean(x^2) + epsilon) over the last axes.
static Value rmsNorm(C &c, Value x, ArrayRef<int64_t> axes, double epsilon) {
  Value square =
      c.create<ReduceMeanOp>({c.mul(x, x)}, {.axes = axes, .keep_dims = true});
  return c.mul(x, c.create<RsqrtOp>({square}, {.epsilon = epsilon}));
}
static LogicalResult lowerRMSNorm(C &c) {
  Value x = c.input(0);
  FailureOr<int64_t> axis = c.axis(c.getInt("axis", -1), c.rank(x));
  if (failed(axis))
    return failure();
  SmallVector<int64_t> axes;
  for (int64_t i = *axis; i < c.rank(x); ++i)
    axes.push_back(i);
  Value y = rmsNorm(c, x, axes, c.getFloat("epsilon", 1e-5));
  return c.set(0, c.input(1) ? c.mul(y, c.input(1)) : y);
}

/// com.microsoft SkipLayerNormalization and SkipSimplifiedLayerNormalization.
static LogicalResult lowerSkipNorm(C &c) {
  bool simplified = c.opType().contains("Simplified");
  Value sum = c.add(c.input(0), c.input(1)), gamma = c.input(2),
        beta = simplified ? Value() : c.input(3),
        bias = c.input(simplified ? 3 : 4);
  if (bias)
    sum = c.add(sum, bias);
  if (!sum)
    return failure();
  int64_t last = c.rank(sum) - 1;
  double epsilon = c.getFloat("epsilon", simplified ? 1e-6 : 1e-12);
  Value y = simplified
                ? c.mul(rmsNorm(c, sum, {last}, epsilon), gamma)
                : c.create<LayerNormOp>({sum, gamma, beta},
                                        {.axes = {last}, .epsilon = epsilon});
  if (c.numOutputs() > 3)
    c.put(3, sum);
  return c.set(0, y);
}

static LogicalResult lowerGroupNorm(C &c) {
  Value x = c.input(0), scale = c.input(1), bias = c.input(2);
  SmallVector<int64_t> shape(c.shape(x));
  int64_t groups = c.getInt("num_groups", 0);
  if (shape.size() < 2 || groups < 1 || shape[1] % groups)
    return c.error() << "expects 'num_groups' to divide the channels, but got "
                     << groups;
  if (c.rank(scale) != 1 || c.rank(bias) != 1)
    return c.error() << "expects scale and bias of rank 1, but got "
                     << c.type(scale) << " and " << c.type(bias);
  int64_t rest = 1;
  for (int64_t dim : ArrayRef<int64_t>(shape).drop_front(1))
    rest *= dim;
  Value y = c.create<LayerNormOp>(
      {c.reshape(x, {shape[0], groups, rest / groups})},
      {.axes = {2}, .epsilon = c.getFloat("epsilon", 1e-5)});
  // Opset 18 scales per group, 21 per channel.
  auto apply = [&](Value value, auto combine) {
    if (!y || !value)
      return;
    bool perGroup = c.shape(value)[0] == groups && groups != shape[1];
    SmallVector<int64_t> wide(perGroup ? SmallVector<int64_t>{1, groups, 1}
                                       : SmallVector<int64_t>(shape.size(), 1));
    if (!perGroup)
      wide[1] = shape[1];
    y = c.reshape(y, perGroup
                         ? ArrayRef<int64_t>{shape[0], groups, rest / groups}
                         : ArrayRef<int64_t>(shape));
    if (y)
      y = combine(y, c.reshape(value, wide));
  };
  apply(scale, [&](Value a, Value b) { return c.mul(a, b); });
  apply(bias, [&](Value a, Value b) { return c.add(a, b); });
  return c.set(0, y ? c.reshape(y, shape) : y);
}

static LogicalResult lowerLRN(C &c) {
  Value x = c.input(0);
  int64_t size = c.getInt("size", 1);
  SmallVector<int64_t> shape(c.shape(x));
  if (shape.size() < 3 || size % 2 == 0)
    return c.error()
           << "expects an input of rank 3 or more and an odd 'size', but got "
           << c.type(x) << " and " << size;
  int64_t inner = 1;
  for (int64_t dim : ArrayRef<int64_t>(shape).drop_front(2))
    inner *= dim;
  Value flat =
      shape.size() == 4 ? x : c.reshape(x, {shape[0], shape[1], inner, 1});
  Value y =
      c.create<LocalResponseNormOp>({flat}, {.size = size,
                                             .alpha = c.getFloat("alpha", 1e-4),
                                             .beta = c.getFloat("beta", 0.75),
                                             .k = c.getFloat("bias", 1)});
  return c.set(0, y ? c.reshape(y, shape) : y);
}

static LogicalResult lowerLpNorm(C &c) {
  Value x = c.input(0);
  int64_t axis = c.getInt("axis", -1);
  Value norm =
      c.getInt("p", 2) == 1
          ? c.create<ReduceL1NormOp>({x}, {.axes = {axis}, .keep_dims = true})
          : c.create<ReduceL2NormOp>({x}, {.axes = {axis}, .keep_dims = true});
  if (!norm)
    return failure();
  // A zero norm leaves zeros.
  Value safe =
      c.create<SelectOp>({c.create<EqualOp>({norm, c.scalarLike(0, norm)}),
                          c.scalarLike(1, norm), norm});
  return c.set(0, c.div(x, safe));
}

static LogicalResult lowerMeanVarianceNorm(C &c) {
  Value x = c.input(0);
  SmallVector<int64_t> axes =
      c.getInts("axes").value_or(SmallVector<int64_t>{0, 2, 3});
  Value centred =
      c.sub(x, c.create<ReduceMeanOp>({x}, {.axes = axes, .keep_dims = true}));
  Value deviation = c.create<SqrtOp>({c.create<ReduceMeanOp>(
      {c.mul(centred, centred)}, {.axes = axes, .keep_dims = true})});
  return c.set(0, c.div(centred, c.add(deviation, c.scalarLike(1e-9, x))));
}

void mlir::ane::addNormHandlers(HandlerTable &t) {
  t.add("BatchNormalization", 1, lowerBatchNorm);
  t.add("InstanceNormalization", 1, lowerInstanceNorm);
  t.add("LayerNormalization", 1, lowerLayerNorm);
  t.add("RMSNormalization", 23, lowerRMSNorm);
  t.add("SimplifiedLayerNormalization", 1, lowerRMSNorm);
  t.add("SkipLayerNormalization", 1, lowerSkipNorm, "com.microsoft");
  t.add("SkipSimplifiedLayerNormalization", 1, lowerSkipNorm, "com.microsoft");
  t.add("GroupNormalization", 18, lowerGroupNorm);
  t.add("LRN", 1, lowerLRN);
  t.add("LpNormalization", 1, lowerLpNorm);
  t.add("MeanVarianceNormalization", 9, lowerMeanVarianceNorm);
}
