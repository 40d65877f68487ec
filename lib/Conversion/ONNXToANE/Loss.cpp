//===- Loss.cpp - losses --------------------------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "Lowering.h"
#include "dialects/ANE/IR/Comparison.h"
#include "dialects/ANE/IR/Gather.h"
#include "dialects/ANE/IR/Reduction.h"
#include "dialects/ANE/IR/Unary.h"

using namespace mlir;
using namespace mlir::ane;

using C = NodeContext;

/// -weight[target] * logProb[target], zero where the target is ignored, then
/// the reduction. logProb is [N,C,d…], target [N,d…].
static LogicalResult negativeLogLikelihood(C &c, Value logProb, Value target,
                                           Value weight) {
  if (!logProb || !target || c.rank(logProb) < 2 ||
      c.rank(target) != c.rank(logProb) - 1)
    return c.failed() ? failure()
                      : LogicalResult(
                            c.error()
                            << "expects scores [N,C,d...] and labels [N,d...]");
  Type element = c.element(logProb);
  int64_t classes = c.shape(logProb)[1];
  SmallVector<int64_t> wide(c.shape(target));
  wide.insert(wide.begin() + 1, 1);
  target = c.castTo(target, c.graph.builder.getI64Type());
  Value kept, index = target;
  if (c.attribute("ignore_index")) {
    Value ignored = c.create<EqualOp>(
        {target, c.scalarLike(c.getInt("ignore_index", -1), target)});
    kept = c.create<LogicalNotOp>({ignored});
    index = c.create<SelectOp>(
        {ignored, c.scalarLike(0, target), target}); // any legal index
  }
  // One-hot selection: exact, and expressible on the engine.
  Value hot =
      c.create<OneHotOp>({index, c.scalar(1, element), c.scalar(0, element)},
                         {.one_hot_vector_size = classes, .axis = 1});
  // 0 * -inf would be NaN: select, then sum.
  Value chosen =
      hot ? c.create<SelectOp>(
                {c.castTo(hot, IntegerType::get(c.node.getContext(), 1)),
                 logProb, c.scalar(0, element)})
          : Value();
  Value loss =
      c.mul(c.create<ReduceSumOp>({chosen}, {.axes = {1}, .keep_dims = false}),
            c.scalar(-1, element));
  Value perItem;
  if (weight) {
    SmallVector<int64_t> shape(c.rank(logProb), 1);
    shape[1] = classes;
    perItem = c.create<ReduceSumOp>({c.mul(hot, c.reshape(weight, shape))},
                                    {.axes = {1}, .keep_dims = false});
  }
  if (kept) {
    Value keep = c.castTo(kept, element);
    perItem = perItem ? c.mul(perItem, keep) : keep;
  }
  if (perItem)
    loss = c.mul(loss, perItem);
  std::string reduction = c.getString("reduction", "mean");
  if (reduction == "none")
    return c.set(0, loss);
  Value total = c.create<ReduceSumOp>({loss}, {.keep_dims = false});
  if (reduction == "sum")
    return c.set(0, total);
  if (reduction != "mean")
    return c.error() << "has reduction '" << reduction
                     << "', which is not known";
  Value count = perItem ? c.create<ReduceSumOp>({perItem}, {.keep_dims = false})
                : loss  ? c.scalar(c.type(loss).getNumElements(), element)
                        : Value();
  return c.set(0, c.div(total, count));
}

static LogicalResult lowerNLL(C &c) {
  return negativeLogLikelihood(c, c.input(0), c.input(1), c.input(2));
}

static LogicalResult lowerSoftmaxCrossEntropy(C &c) {
  Value x = c.input(0);
  Value shifted =
      c.sub(x, c.create<ReduceMaxOp>({x}, {.axes = {1}, .keep_dims = true}));
  Value logProb = c.sub(shifted, c.create<LogOp>({c.create<ReduceSumOp>(
                                     {c.create<ExpOp>({shifted})},
                                     {.axes = {1}, .keep_dims = true})}));
  if (c.isUsed(1))
    c.put(1, logProb);
  return negativeLogLikelihood(c, logProb, c.input(1), c.input(2));
}

void mlir::ane::addLossHandlers(HandlerTable &t) {
  t.add("NegativeLogLikelihoodLoss", 12, lowerNLL);
  t.add("SoftmaxCrossEntropyLoss", 12, lowerSoftmaxCrossEntropy);
}
