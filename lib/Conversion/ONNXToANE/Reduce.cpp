//===- Reduce.cpp - reductions --------------------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "Lowering.h"
#include "dialects/ANE/IR/Comparison.h"
#include "dialects/ANE/IR/Rearrange.h"
#include "dialects/ANE/IR/Reduction.h"
#include "dialects/ANE/IR/Shape.h"

using namespace mlir;
using namespace mlir::ane;

using C = NodeContext;

/// Axes are an attribute, or an input from opset 18 (13 for ReduceSum) on.
template <typename Op>
static LogicalResult lowerReduce(C &c) {
  Value x = c.input(0);
  auto axes = c.getIntsOrInput("axes", 1);
  if (failed(axes))
    return failure();
  bool keep = c.getInt("keepdims", 1);
  Attributes<Op> attributes{.keep_dims = keep};
  bool all = !*axes || (*axes)->empty();
  if (all && c.getInt("noop_with_empty_axes", 0)) {
    // Nothing is reduced, but the element-wise part of the operator stays:
    // reduce over a new axis of length 1.
    if (!x)
      return failure();
    int64_t rank = c.rank(x);
    x = c.create<ExpandDimsOp>({x}, {.axes = {rank}});
    return c.set(0, c.create<Op>({x}, {.axes = {rank}, .keep_dims = false}));
  }
  if (!all)
    attributes.axes = **axes;
  Type original = c.element(x);
  if (original.isInteger(1)) // bool max and min (opset 20)
    x = c.castTo(x, c.graph.builder.getI32Type());
  Value y = c.create<Op>({x}, attributes);
  if constexpr (std::is_same_v<Op, ReduceMaxOp> ||
                std::is_same_v<Op, ReduceMinOp>)
    if (y && original.isInteger(64) && c.type(x).hasStaticShape() &&
        c.type(y).hasStaticShape() && c.type(x).getNumElements() == 0 &&
        c.type(y).getNumElements())
      return c.error() << "takes an extreme of no integers, the limit of 64 "
                          "bits, and integers are computed in 32";
  // The extreme of no booleans is a limit of the integers that stand for them.
  if (y && original.isInteger(1) && c.type(x).hasStaticShape() &&
      c.type(x).getNumElements() == 0)
    return c.set(0, c.create<GreaterOp>({y, c.scalar(0, c.i32())}));
  return c.set(0, c.castTo(y, original));
}

template <typename Op>
static LogicalResult lowerArgReduce(C &c) {
  Value x = c.input(0);
  FailureOr<int64_t> axis = c.axis(c.getInt("axis", 0), c.rank(x));
  if (failed(axis))
    return failure();
  int64_t extent = c.shape(x)[*axis];
  bool last = c.getInt("select_last_index", 0);
  if (last)
    x = c.create<ReverseOp>({x}, {.axes = {*axis}});
  Value index =
      c.create<Op>({x}, {.axis = *axis, .keep_dims = c.getInt("keepdims", 1)});
  if (last)
    index = c.sub(c.scalarLike(extent - 1, index), index);
  return c.set(0, c.castTo(index, c.graph.builder.getI64Type()));
}

static LogicalResult lowerCumSum(C &c) {
  auto axis = c.constantInts(c.input(1), "axis");
  if (failed(axis))
    return failure();
  FailureOr<int64_t> normal =
      c.axis(axis->empty() ? 0 : (*axis)[0], c.rank(c.input(0)));
  if (failed(normal))
    return failure();
  return c.set(0, c.create<CumsumOp>({c.input(0)},
                                     {.axis = *normal,
                                      .exclusive = c.getInt("exclusive", 0),
                                      .reverse = c.getInt("reverse", 0)}));
}

void mlir::ane::addReduceHandlers(HandlerTable &t) {
  t.add("ReduceSum", 1, lowerReduce<ReduceSumOp>);
  t.add("ReduceMean", 1, lowerReduce<ReduceMeanOp>);
  t.add("ReduceMax", 1, lowerReduce<ReduceMaxOp>);
  t.add("ReduceMin", 1, lowerReduce<ReduceMinOp>);
  t.add("ReduceProd", 1, lowerReduce<ReduceProdOp>);
  t.add("ReduceL1", 1, lowerReduce<ReduceL1NormOp>);
  t.add("ReduceL2", 1, lowerReduce<ReduceL2NormOp>);
  t.add("ReduceLogSum", 1, lowerReduce<ReduceLogSumOp>);
  t.add("ReduceLogSumExp", 1, lowerReduce<ReduceLogSumExpOp>);
  t.add("ReduceSumSquare", 1, lowerReduce<ReduceSumSquareOp>);
  t.add("ArgMax", 1, lowerArgReduce<ReduceArgmaxOp>);
  t.add("ArgMin", 1, lowerArgReduce<ReduceArgminOp>);
  t.add("CumSum", 11, lowerCumSum);
}
