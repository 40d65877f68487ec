//===- Training.cpp - optimiser steps -------------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// One step of an optimiser is element-wise algebra over (rate, step count,
// parameters…, gradients…, states…).
//
//===----------------------------------------------------------------------===//

#include "Lowering.h"
#include "ane-mlir/Conversion/Gradients.h"
#include "dialects/ANE/IR/Arithmetic.h"
#include "dialects/ANE/IR/Comparison.h"
#include "dialects/ANE/IR/Unary.h"

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

/// The derivative of the sum of y, by walking back from y (the last operand, as
/// imported) to each x.
static LogicalResult lowerGradient(C &c) {
  auto names = dyn_cast_or_null<ArrayAttr>(c.attribute("xs"));
  if (!names || c.numInputs() < names.size() + 1 || !c.input(c.numInputs() - 1))
    return c.error() << "expects xs and y";
  Value y = c.input(c.numInputs() - 1);
  SmallVector<Value> leaves;
  for (unsigned i = 0; i < names.size(); ++i)
    leaves.push_back(c.input(i));
  Value ones = c.broadcastTo(c.scalarLike(1, y), c.shape(y));
  if (!ones)
    return failure();
  Backpropagation back(c.graph, *c.graph.builder.getInsertionBlock(), leaves);
  back.seed(y, ones);
  if (failed(back.run()))
    return c.error() << "cannot be expanded; export the backward graph instead";
  for (unsigned i = 0; i < names.size(); ++i) {
    Value x = c.input(i), g = back.gradientOf(x);
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
