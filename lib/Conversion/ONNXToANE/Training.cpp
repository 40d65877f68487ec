//===- Training.cpp - optimiser steps -------------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// One step of an optimiser is element-wise algebra over (rate, step count,
// parameters…, gradients…, states…).
//
//===----------------------------------------------------------------------===//

#include "Lowering.h"

using namespace mlir;
using namespace mlir::ane;

using C = NodeContext;

namespace {
/// Element-wise arithmetic that reads like the update rules.
struct Term {
  C &c;
  Value value;
};
Term operator+(Term a, Term b) { return {a.c, a.c.add(a.value, b.value)}; }
Term operator-(Term a, Term b) { return {a.c, a.c.sub(a.value, b.value)}; }
Term operator*(Term a, Term b) { return {a.c, a.c.mul(a.value, b.value)}; }
Term operator/(Term a, Term b) { return {a.c, a.c.div(a.value, b.value)}; }
Term root(Term a) { return {a.c, a.c.create<SqrtOp>({a.value})}; }
Term power(Term a, Term b) {
  return {a.c, a.c.create<PowOp>({a.value, b.value})};
}
/// `condition` (0 or 1 as a float) ? a : b
Term choose(Term condition, Term a, Term b) {
  Value holds = a.c.create<NotEqualOp>(
      {condition.value, a.c.scalarLike(0, condition.value)});
  return {a.c, a.c.create<SelectOp>({holds, a.value, b.value})};
}
} // namespace

/// Calls `step(rate, count, tensors)` for each parameter; `states` tensors per
/// parameter beside itself and its gradient. `step` returns the new parameter
/// and its new states.
template <typename Step>
static LogicalResult optimise(C &c, unsigned states, Step step) {
  unsigned group = 2 + states;
  if (c.numInputs() < 2 + group || (c.numInputs() - 2) % group)
    return c.error() << "expects a rate, a count and " << group
                     << " tensors per parameter";
  unsigned parameters = (c.numInputs() - 2) / group;
  for (unsigned p = 0; p < parameters; ++p) {
    SmallVector<Term> tensors;
    for (unsigned k = 0; k < group; ++k)
      tensors.push_back({c, c.input(2 + k * parameters + p)});
    Type element = c.element(tensors[0].value);
    Term rate{c, c.castTo(c.reshape(c.input(0), {}), element)},
        count{c, c.castTo(c.reshape(c.input(1), {}), element)};
    auto number = [&](double value) {
      return Term{c, c.scalar(value, element)};
    };
    SmallVector<Term> results = step(rate, count, tensors, number);
    for (auto [k, result] : llvm::enumerate(results))
      c.put(k * parameters + p, result.value);
  }
  return success(!c.failed());
}

static LogicalResult lowerAdagrad(C &c) {
  double decay = c.getFloat("decay_factor", 0),
         epsilon = c.getFloat("epsilon", 0),
         norm = c.getFloat("norm_coefficient", 0);
  return optimise(c, 1, [&](Term r, Term t, ArrayRef<Term> x, auto number) {
    Term rate = r / (number(1) + t * number(decay));
    Term g = number(norm) * x[0] + x[1];
    Term h = x[2] + g * g;
    return SmallVector<Term>{x[0] - rate * g / (root(h) + number(epsilon)), h};
  });
}

static LogicalResult lowerAdam(C &c) {
  double alpha = c.getFloat("alpha", 0.9), beta = c.getFloat("beta", 0.999),
         epsilon = c.getFloat("epsilon", 0),
         norm = c.getFloat("norm_coefficient", 0),
         post = c.getFloat("norm_coefficient_post", 0);
  return optimise(c, 2, [&](Term r, Term t, ArrayRef<Term> x, auto number) {
    Term g = number(norm) * x[0] + x[1];
    Term v = number(alpha) * x[2] + number(1 - alpha) * g;
    Term h = number(beta) * x[3] + number(1 - beta) * (g * g);
    Term corrected = r * root(number(1) - power(number(beta), t)) /
                     (number(1) - power(number(alpha), t));
    Term rate = choose(t, corrected, r);
    Term y = x[0] - rate * (v / (root(h) + number(epsilon)));
    return SmallVector<Term>{number(1 - post) * y, v, h};
  });
}

static LogicalResult lowerMomentum(C &c) {
  double alpha = c.getFloat("alpha", 0), beta = c.getFloat("beta", 0),
         norm = c.getFloat("norm_coefficient", 0);
  std::string mode = c.getString("mode", "standard");
  if (mode != "standard" && mode != "nesterov")
    return c.error() << "expects mode standard or nesterov, but got '" << mode
                     << "'";
  return optimise(c, 1, [&](Term r, Term t, ArrayRef<Term> x, auto number) {
    Term g = number(norm) * x[0] + x[1];
    Term v = number(alpha) * x[2] + choose(t, number(beta), number(1)) * g;
    Term step = mode == "standard" ? v : g + number(alpha) * v;
    return SmallVector<Term>{x[0] - r * step, v};
  });
}

/// `g` summed to the shape of an operand that was broadcast.
static Value unbroadcast(C &c, Value g, ArrayRef<int64_t> shape) {
  if (!g || c.shape(g) == shape)
    return g;
  SmallVector<int64_t> axes;
  int64_t lead = c.rank(g) - shape.size();
  for (int64_t i = 0; i < c.rank(g); ++i)
    if (i < lead || (shape[i - lead] == 1 && c.shape(g)[i] != 1))
      axes.push_back(i);
  return c.reshape(axes.empty() ? g : c.reduceSum(g, axes), shape);
}

/// What an op's operands get of the gradient of its result; nothing when its
/// derivative is not known here.
static SmallVector<Value> backward(C &c, Operation *op, Value g) {
  auto one = [&] { return c.scalarLike(1, g); };
  Value y = op->getResult(0);
  SmallVector<Value> x(op->getOperands());
  if (isa<AddOp>(op))
    return {g, g};
  if (isa<SubOp>(op))
    return {g, c.mul(g, c.scalarLike(-1, g))};
  if (isa<MulOp>(op))
    return {c.mul(g, x[1]), c.mul(g, x[0])};
  if (isa<RealDivOp>(op))
    return {c.div(g, x[1]),
            c.mul(c.div(c.mul(g, y), x[1]), c.scalarLike(-1, g))};
  if (isa<ExpOp>(op))
    return {c.mul(g, y)};
  if (isa<LogOp>(op))
    return {c.div(g, x[0])};
  if (isa<SqrtOp>(op))
    return {c.div(c.mul(g, c.scalarLike(0.5, g)), y)};
  if (isa<TanhOp>(op))
    return {c.mul(g, c.sub(one(), c.mul(y, y)))};
  if (isa<SigmoidOp>(op))
    return {c.mul(g, c.mul(y, c.sub(one(), y)))};
  if (isa<ReluOp>(op))
    return {c.mul(g, c.castTo(c.create<GreaterOp>({x[0], c.scalarLike(0, g)}),
                              c.element(g)))};
  if (auto reshape = dyn_cast<ReshapeOp>(op))
    return {c.reshape(g, c.shape(x[0]))};
  if (auto matmul = dyn_cast<MatmulOp>(op);
      matmul && c.rank(x[0]) == 2 && c.rank(x[1]) == 2 &&
      !matmul.getTransposeX() && !matmul.getTransposeY())
    return {c.matmul(g, x[1], true), c.matmul(c.transpose(x[0], {1, 0}), g)};
  return {};
}

/// The derivative of the sum of y, by walking back from y (the last operand, as
/// imported) to each x.
static LogicalResult lowerGradient(C &c) {
  auto names = dyn_cast_or_null<ArrayAttr>(c.attribute("xs"));
  if (!names || c.numInputs() < names.size() + 1 || !c.input(c.numInputs() - 1))
    return c.error() << "expects xs and y";
  Value y = c.input(c.numInputs() - 1);
  llvm::DenseMap<Value, Value> gradients;
  gradients[y] = c.broadcastTo(c.scalarLike(1, y), c.shape(y));
  llvm::DenseSet<Value> ends;
  for (unsigned i = 0; i < names.size(); ++i)
    ends.insert(c.input(i));
  // Ops stand in the order of their results, so backwards every user comes
  // before its operands.
  SmallVector<Operation *> order;
  if (Operation *last = y.getDefiningOp())
    for (Operation *op = last; op; op = op->getPrevNode())
      order.push_back(op);
  for (Operation *op : order) {
    if (op->getNumResults() != 1 || isConstantTree(op->getResult(0)))
      continue;
    Value g = gradients.lookup(op->getResult(0));
    if (!g || (ends.contains(op->getResult(0)) && op->getResult(0) != y))
      continue;
    SmallVector<Value> parts = backward(c, op, g);
    if (parts.size() != op->getNumOperands())
      return c.error() << "passes through '" << op->getName()
                       << "', whose derivative is not known; export the "
                          "backward graph instead";
    for (auto [operand, part] : llvm::zip(op->getOperands(), parts)) {
      if (isConstantTree(operand) || !part)
        continue;
      Value fitted = unbroadcast(c, part, c.shape(operand));
      Value &sum = gradients[operand];
      sum = sum ? c.add(sum, fitted) : fitted;
    }
  }
  for (unsigned i = 0; i < names.size(); ++i) {
    Value x = c.input(i), g = gradients.lookup(x);
    c.put(i, g ? g : c.broadcastTo(c.scalarLike(0, x), c.shape(x)));
  }
  return success(!c.failed());
}

void mlir::ane::addTrainingHandlers(HandlerTable &t) {
  static constexpr StringLiteral domain = "ai.onnx.preview.training";
  t.add("Adagrad", 1, lowerAdagrad, domain);
  t.add("Adam", 1, lowerAdam, domain);
  t.add("Momentum", 1, lowerMomentum, domain);
  t.add("Gradient", 1, lowerGradient, domain);
}
