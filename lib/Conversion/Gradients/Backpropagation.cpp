//===- Backpropagation.cpp - walking back over a block --------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "Derivative.h"
#include "dialects/ANE/IR/Arithmetic.h"
#include "dialects/ANE/IR/Cast.h"
#include "dialects/ANE/IR/Linear.h"
#include "dialects/ANE/IR/Reduction.h"
#include "dialects/ANE/IR/Shape.h"
#include "dialects/ANE/IR/Structure.h"

using namespace mlir;
using namespace mlir::ane;

namespace mlir::ane {
#define ANE_TENSOR_FAMILY(NAME) void add##NAME##Gradients(GradientTable &);
#include "dialects/ANE/IR/Families.inc"
} // namespace mlir::ane

/// Null for what is no function of tensors.
static const DerivativeRow *lookup(StringRef name) {
  static const GradientTable table = [] {
    GradientTable rows;
#define ANE_TENSOR_FAMILY(NAME) add##NAME##Gradients(rows);
#include "dialects/ANE/IR/Families.inc"
    return rows;
  }();
  auto row = table.find(name);
  return row == table.end() ? nullptr : &row->second;
}

bool mlir::ane::hasGradient(StringRef opName, StringRef *reason) {
  const DerivativeRow *row = lookup(opName);
  if (reason)
    *reason = row ? row->reason : "it is no function of tensors";
  return row && row->function;
}

static bool isFloatTensor(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  return type && isa<FloatType>(type.getElementType());
}

Backpropagation::Backpropagation(GraphBuilder &graph, Block &block,
                                 ArrayRef<Value> leaves)
    : graph(graph), block(block), leaves(leaves.begin(), leaves.end()),
      active(leaves.begin(), leaves.end()) {
  // Integers and truth values that a leaf decides are active too: an op that
  // hides a derivative behind them (quantisation) is to be refused, not passed.
  for (Operation &op : block)
    if (llvm::any_of(op.getOperands(),
                     [&](Value v) { return active.contains(v); }))
      active.insert(op.result_begin(), op.result_end());
}

void Backpropagation::seed(Value value, Value gradient) {
  Value &sum = gradients[value];
  sum = sum ? graph.create<AddOp>(value.getLoc(), {sum, gradient}) : gradient;
}

/// Where the ops of a derivative come from: the node's name, marked.
static Location backwardLocation(Location loc) {
  auto name = dyn_cast<NameLoc>(loc);
  if (!name)
    return loc;
  return NameLoc::get(StringAttr::get(loc.getContext(),
                                      name.getName().getValue() + ":gradient"));
}

LogicalResult Backpropagation::run() {
  SmallVector<Operation *> order;
  for (auto it = block.begin(); it != graph.builder.getInsertionPoint(); ++it)
    order.push_back(&*it);
  bool ok = true;
  for (Operation *op : llvm::reverse(order)) {
    SmallVector<Value> incoming;
    for (Value result : op->getResults())
      incoming.push_back(active.contains(result) && !leaves.contains(result)
                             ? gradients.lookup(result)
                             : Value());
    if (llvm::none_of(incoming, [](Value g) { return bool(g); }) ||
        llvm::none_of(op->getOperands(),
                      [&](Value v) { return active.contains(v); }))
      continue;
    const DerivativeRow *row = lookup(op->getName().getStringRef());
    if (!row || !row->function) {
      auto error = op->emitError()
                   << "'" << op->getName() << "' has no derivative";
      if (row)
        error << ": " << row->reason;
      error << "; train only what is behind it (--frozen), or take it out";
      ok = false;
      continue;
    }
    Location loc = backwardLocation(op->getLoc());
    Derivative derivative(graph, op, incoming,
                          [&](Value v) { return active.contains(v); });
    derivative.loc = loc;
    Operation *before = &*std::prev(graph.builder.getInsertionPoint());
    row->function(op, derivative);
    // What is kept in fp32 has a derivative that is.
    if (Attribute keep = op->getAttr(marks::kFp32))
      for (Operation *made = before->getNextNode();
           made && made->getIterator() != graph.builder.getInsertionPoint();
           made = made->getNextNode())
        if (!isa<ConstantOp>(made))
          made->setAttr(marks::kFp32, keep);
    if (derivative.refused() || derivative.failed()) {
      if (!derivative.refused())
        op->emitError() << "the derivative of '" << op->getName()
                        << "' could not be built";
      ok = false;
      continue;
    }
    for (auto [operand, part] :
         llvm::zip(op->getOperands(), derivative.given())) {
      if (!part)
        continue;
      Value &sum = gradients[operand];
      sum = sum ? graph.create<AddOp>(loc, {sum, part}) : part;
      if (!sum)
        return failure();
    }
    // What is used up is not looked at again.
    for (Value result : op->getResults())
      if (!leaves.contains(result))
        gradients.erase(result);
  }
  return success(ok);
}

//===----------------------------------------------------------------------===//
// Derivative
//===----------------------------------------------------------------------===//

Derivative::Derivative(GraphBuilder &graph, Operation *op,
                       ArrayRef<Value> incoming,
                       llvm::function_ref<bool(Value)> active)
    : graph(graph), op(op), loc(op->getLoc()), gradients(incoming),
      results(op->getNumOperands()) {
  for (Value operand : op->getOperands())
    wanted.push_back(isFloatTensor(operand) && active(operand));
}

bool Derivative::wants(Value value) const {
  for (auto [i, operand] : llvm::enumerate(op->getOperands()))
    if (value && operand == value && wanted[i])
      return true;
  return false;
}

void Derivative::give(unsigned operand, Value gradient) {
  Value x = op->getOperand(operand);
  if (!gradient) {
    fail();
    return;
  }
  Value fitted = broadcastTo(sumTo(gradient, shapeOf(x)), shapeOf(x));
  if (fitted && elementOf(fitted) != elementOf(x))
    fitted = create<CastOp>({fitted}, {.dtype = elementOf(x)});
  Value &sum = results[operand];
  sum = sum ? create<AddOp>({sum, fitted}) : fitted;
}

void Derivative::give(Value operand, Value gradient) {
  for (auto [i, value] : llvm::enumerate(op->getOperands()))
    if (value == operand) {
      give(i, gradient);
      return;
    }
}

void Derivative::refuse(const Twine &why) {
  op->emitError() << "this form of '" << op->getName()
                  << "' has no derivative: " << why
                  << "; train only what is behind it (--frozen)";
  hasRefused = true;
}

Term mlir::ane::numberLike(double value, Term like) {
  if (!like.value)
    return like;
  return {like.d, like.d->scalarLike(value, like.value)};
}

Term mlir::ane::apply(StringRef name, ArrayRef<Term> operands) {
  Derivative *d = operands[0].d;
  SmallVector<Value> values;
  for (Term operand : operands)
    values.push_back(operand.value);
  if (d->failed() || llvm::is_contained(values, Value()))
    return {d, d->fail()};
  SmallVector<Value> made = d->graph.create(name, d->loc, values, {});
  return {d, made.empty() ? d->fail() : made[0]};
}

Value Derivative::reshape(Value x, ArrayRef<int64_t> shape) {
  if (!x || shapeOf(x) == shape)
    return x;
  return create<ReshapeOp>({x}, {.shape = shape});
}

Value Derivative::transpose(Value x, ArrayRef<int64_t> perm) {
  if (!x || llvm::is_sorted(perm))
    return x;
  return create<TransposeOp>({x}, {.perm = perm});
}

Value Derivative::sum(Value x, ArrayRef<int64_t> axes) {
  if (!x || axes.empty())
    return x;
  return create<ReduceSumOp>({x}, {.axes = axes, .keep_dims = true});
}

Value Derivative::mean(Value x, ArrayRef<int64_t> axes) {
  if (!x || axes.empty())
    return x;
  return create<ReduceMeanOp>({x}, {.axes = axes, .keep_dims = true});
}

Value Derivative::sumTo(Value x, ArrayRef<int64_t> shape) {
  if (!x || shapeOf(x) == shape)
    return x;
  SmallVector<int64_t> axes;
  int64_t lead = rankOf(x) - int64_t(shape.size());
  for (int64_t i = 0; i < rankOf(x); ++i)
    if (i < lead || (shape[i - lead] == 1 && shapeOf(x)[i] != 1))
      axes.push_back(i);
  x = sum(x, axes);
  // Leading axes go; what is left to broadcast keeps its ones.
  if (!x || lead <= 0)
    return x;
  return reshape(x, shapeOf(x).drop_front(lead));
}

/// Elements of a constant that a broadcast may be multiplied by.
static constexpr int64_t kMostOnes = 1 << 16;

Value Derivative::broadcastTo(Value x, ArrayRef<int64_t> shape) {
  if (!x || shapeOf(x) == shape)
    return x;
  SmallVector<int64_t> from(shape.size() - rankOf(x), 1), ones, reps;
  llvm::append_range(from, shapeOf(x));
  for (auto [have, want] : llvm::zip(from, shape)) {
    ones.push_back(have == want ? 1 : want);
    reps.push_back(have == want ? 1 : want);
  }
  // A product with ones of the new axes alone is what every target has.
  if (count(ones) <= kMostOnes) {
    auto type = RankedTensorType::get(ones, elementOf(x));
    Value unit = graph.constant(
        loc, DenseElementsAttr::get(
                 type, ArrayRef<Attribute>{
                           graph.builder.getFloatAttr(elementOf(x), 1)}));
    return create<MulOp>({x, unit});
  }
  return create<TileOp>({reshape(x, from)}, {.reps = reps});
}

Value Derivative::slice(Value x, int64_t axis, int64_t begin, int64_t size,
                        int64_t stride) {
  if (!x)
    return fail();
  int64_t rank = rankOf(x);
  SmallVector<int64_t> from(rank, 0), shape(shapeOf(x)), step(rank, 1);
  if (begin == 0 && size == shape[axis] && stride == 1)
    return x;
  from[axis] = begin;
  if (stride == 1) {
    shape[axis] = size;
    return create<SliceBySizeOp>({x}, {.begin = from, .size = shape});
  }
  shape[axis] = begin + (size - 1) * stride + 1;
  step[axis] = stride;
  return create<SliceByIndexOp>({x},
                                {.begin = from, .end = shape, .stride = step});
}

Value Derivative::padOrCrop(Value x, ArrayRef<int64_t> before,
                            ArrayRef<int64_t> after) {
  if (!x)
    return fail();
  for (int64_t i = 0; i < rankOf(x); ++i) {
    int64_t cut = std::max<int64_t>(0, -before[i]),
            left = shapeOf(x)[i] - cut - std::max<int64_t>(0, -after[i]);
    x = slice(x, i, cut, left);
    if (!x)
      return fail();
  }
  SmallVector<int64_t> pads;
  int64_t first = rankOf(x);
  for (int64_t i = rankOf(x); i-- > 0;)
    if (before[i] > 0 || after[i] > 0)
      first = i;
  for (int64_t i = first; i < rankOf(x); ++i) {
    pads.push_back(std::max<int64_t>(0, before[i]));
    pads.push_back(std::max<int64_t>(0, after[i]));
  }
  return pads.empty() ? x : create<PadOp>({x}, {.pad = pads});
}

Value Derivative::spread(Value x, int64_t axis, int64_t stride) {
  if (!x || stride == 1)
    return x;
  SmallVector<int64_t> shape(shapeOf(x)), zero(rankOf(x) + 1, 0);
  int64_t extent = shape[axis];
  SmallVector<int64_t> apart(shape);
  apart.insert(apart.begin() + axis + 1, 1);
  SmallVector<int64_t> after(zero);
  after[axis + 1] = stride - 1;
  x = padOrCrop(reshape(x, apart), zero, after);
  shape[axis] = extent * stride;
  return slice(reshape(x, shape), axis, 0, (extent - 1) * stride + 1);
}

Value Derivative::concat(ArrayRef<Value> parts, int64_t axis) {
  if (parts.size() == 1)
    return parts[0];
  return create<ConcatOp>(parts, {.axis = axis});
}

Value Derivative::matmul(Value x, Value y, bool transposeX, bool transposeY) {
  return create<MatmulOp>(
      {x, y}, {.transpose_x = transposeX, .transpose_y = transposeY});
}
