//===- Loss.cpp - losses --------------------------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// A loss is a mean over many small numbers, and its gradient is as small as
// one by their count: both stay in fp32, on the host.
//
//===----------------------------------------------------------------------===//

#include "Loss.h"
#include "ane-mlir/Support/Usage.h"
#include "dialects/ANE/IR/Arithmetic.h"
#include "dialects/ANE/IR/Cast.h"
#include "dialects/ANE/IR/Comparison.h"
#include "dialects/ANE/IR/Gather.h"
#include "dialects/ANE/IR/Reduction.h"
#include "dialects/ANE/IR/Shape.h"
#include "dialects/ANE/IR/Structure.h"
#include "dialects/ANE/IR/Unary.h"

using namespace mlir;
using namespace mlir::ane;

static ArrayRef<int64_t> shapeOf(Value v) {
  return cast<RankedTensorType>(v.getType()).getShape();
}
static Type elementOf(Value v) {
  return cast<RankedTensorType>(v.getType()).getElementType();
}

/// The argument `targets`; labels are below `classes`, where that is not 0.
static BlockArgument addTargets(GraphBuilder &graph, func::FuncOp function,
                                RankedTensorType type, StringRef dtype,
                                int64_t classes) {
  Builder &b = graph.builder;
  DictionaryAttr attrs = b.getDictionaryAttr(
      {b.getNamedAttr(marks::kDtype, b.getStringAttr(dtype)),
       b.getNamedAttr(marks::kName, b.getStringAttr("targets")),
       b.getNamedAttr(marks::kTargets, b.getI64IntegerAttr(classes))});
  unsigned index = function.getNumArguments();
  if (failed(function.insertArgument(index, type, attrs,
                                     NameLoc::get(b.getStringAttr("targets")))))
    return {};
  return function.getArgument(index);
}

/// The mean over labels that are not negative of -log softmax(logits)[label].
static Value crossEntropy(GraphBuilder &graph, func::FuncOp function,
                          Value logits, int64_t axis) {
  Location loc = NameLoc::get(graph.builder.getStringAttr("loss"));
  int64_t rank = shapeOf(logits).size();
  if (axis < -rank || axis >= rank || rank < 1 ||
      !isa<FloatType>(elementOf(logits)))
    return emitError(loc) << "cross-entropy along axis " << axis
                          << " expects floats with such an axis, but the first "
                             "output is "
                          << logits.getType(),
           Value();
  axis = axis < 0 ? axis + rank : axis;
  SmallVector<int64_t> shape(shapeOf(logits));
  int64_t classes = shape[axis];
  shape.erase(shape.begin() + axis);
  Type index = graph.builder.getI32Type(), element = elementOf(logits);
  Value labels = addTargets(
      graph, function, RankedTensorType::get(shape, index), "int32", classes);
  if (!labels)
    return {};
  auto number = [&](double value) { return graph.scalar(loc, value, element); };
  Value zero = graph.scalar(loc, 0, index);
  Value valid = graph.create<GreaterEqualOp>(loc, {labels, zero});
  Value legal = graph.create<SelectOp>(loc, {valid, labels, zero});
  Value hot =
      graph.create<OneHotOp>(loc, {legal, number(1), number(0)},
                             {.one_hot_vector_size = classes, .axis = axis});
  Value chosen = graph.create<NotEqualOp>(loc, {hot, number(0)});
  Value total = graph.create<ReduceLogSumExpOp>(
      loc, {logits}, {.axes = {axis}, .keep_dims = true});
  Value logs = graph.create<SubOp>(loc, {logits, total});
  // 0 times minus infinity would be NaN: select, then sum.
  Value picked = graph.create<SelectOp>(loc, {chosen, logs, number(0)});
  Value each = graph.create<ReduceSumOp>(loc, {picked},
                                         {.axes = {axis}, .keep_dims = false});
  Value counted = graph.create<SelectOp>(loc, {valid, each, number(0)});
  Value ones = graph.create<CastOp>(loc, {valid}, {.dtype = element});
  Value count = graph.create<MaximumOp>(
      loc, {graph.create<ReduceSumOp>(loc, {ones}), number(1)});
  Value sum = graph.create<ReduceSumOp>(loc, {counted});
  return graph.create<RealDivOp>(
      loc, {graph.create<MulOp>(loc, {sum, number(-1)}), count});
}

static Value meanSquare(GraphBuilder &graph, func::FuncOp function,
                        Value output) {
  Location loc = NameLoc::get(graph.builder.getStringAttr("loss"));
  auto type = cast<RankedTensorType>(output.getType());
  if (!isa<FloatType>(type.getElementType()))
    return emitError(loc) << "mse expects floats, but the first output is "
                          << type,
           Value();
  Value targets = addTargets(graph, function, type, "fp32", 0);
  if (!targets)
    return {};
  Value difference = graph.create<SubOp>(loc, {output, targets});
  return graph.create<ReduceMeanOp>(
      loc, {graph.create<SquareOp>(loc, {difference})});
}

/// The output that is the loss itself.
static Value namedLoss(GraphBuilder &graph, func::FuncOp function,
                       ValueRange outputs, StringRef name) {
  SmallVector<StringRef> names;
  Value found = name.empty() && outputs.size() == 1 ? outputs[0] : Value();
  for (auto [i, output] : llvm::enumerate(outputs)) {
    auto attr = function.getResultAttrOfType<StringAttr>(i, marks::kName);
    names.push_back(attr ? attr.getValue() : "");
    if (!name.empty() && names.back() == name)
      found = output;
  }
  if (!found)
    return function.emitError()
               << "no output is named '" << name << "' to be the loss"
               << suggest(name, names)
               << "; a loss is cross-entropy, mse or an output of one element",
           Value();
  auto type = cast<RankedTensorType>(found.getType());
  if (!type.hasStaticShape() || type.getNumElements() != 1 ||
      !isa<FloatType>(type.getElementType()))
    return function.emitError()
               << "output '" << name << "' of type " << type
               << " is no loss, which has one element; --loss=cross-entropy or "
                  "mse makes one of it and of targets",
           Value();
  return type.getRank() == 0 ? found
                             : graph.create<ReshapeOp>(found.getLoc(), {found},
                                                       {.shape = Ints{}});
}

Value mlir::ane::buildLoss(GraphBuilder &graph, func::FuncOp function,
                           ValueRange outputs, StringRef spec) {
  auto [kind, rest] = spec.split(':');
  Operation *before = nullptr;
  Block &block = function.getBody().front();
  if (graph.builder.getInsertionPoint() != block.begin())
    before = &*std::prev(graph.builder.getInsertionPoint());
  Value loss;
  if (kind == "cross-entropy") {
    int64_t axis = -1;
    if (!rest.empty() && rest.getAsInteger(10, axis))
      return function.emitError()
                 << "expects cross-entropy[:AXIS], but got '" << spec << "'",
             Value();
    loss = crossEntropy(graph, function, outputs[0], axis);
  } else if (spec == "mse") {
    loss = meanSquare(graph, function, outputs[0]);
  } else {
    return namedLoss(graph, function, outputs, spec);
  }
  auto first = before ? std::next(before->getIterator()) : block.begin();
  for (auto it = first; it != graph.builder.getInsertionPoint(); ++it)
    if (!isa<ConstantOp>(*it))
      it->setAttr(marks::kFp32, graph.builder.getStringAttr(
                                    "a loss is a mean of many small numbers"));
  return loss;
}
