//===- Elementwise.cpp - derivatives with parameters ----------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "Derivative.h"
#include <cmath>

using namespace mlir;
using namespace mlir::ane;

void mlir::ane::differentiate(CastOp op, Derivative &d) {
  if (d.wants(0u))
    d.give(0u, d.incoming(0)); // cast back by give()
}

void mlir::ane::differentiate(GeluOp op, Derivative &d) {
  Term x = d.term(op.getX()), g = d.term(d.incoming(0));
  if (op.getMode() == "EXACT") {
    // Phi(x) + x phi(x)
    Term phi = (1 / std::sqrt(2 * M_PI)) * exp(-0.5 * (x * x));
    d.give(0u, g * (0.5 * (1 + erf(std::sqrt(0.5) * x)) + x * phi));
    return;
  }
  if (op.getMode() == "SIGMOID_APPROXIMATION") {
    Term s = sigmoid(1.702 * x);
    d.give(0u, g * (s * (1 + 1.702 * x * (1 - s))));
    return;
  }
  double k = std::sqrt(2 / M_PI), cubic = 0.044715;
  Term t = tanh(k * (x + cubic * (x * x * x)));
  d.give(0u, g * (0.5 * (1 + t) +
                  0.5 * x * (1 - t * t) * (k * (1 + 3 * cubic * (x * x)))));
}

/// Per-channel parameters [C] as [C,1,…] beside x [N,C,…].
static Term alongChannels(Derivative &d, Value parameter, Value x) {
  SmallVector<int64_t> shape(d.rankOf(x), 1);
  shape[1] = d.count(d.shapeOf(parameter));
  return d.term(d.reshape(parameter, shape));
}

/// The part of a per-channel parameter: summed over all other axes.
static void giveChannels(Derivative &d, unsigned operand, Term gradient) {
  if (!gradient.value || !d.wants(operand))
    return;
  SmallVector<int64_t> axes;
  for (int64_t i = 0; i < d.rankOf(gradient.value); ++i)
    if (i != 1)
      axes.push_back(i);
  Value parameter = d.op->getOperand(operand);
  d.give(operand, d.reshape(d.sum(gradient.value, axes), d.shapeOf(parameter)));
}

void mlir::ane::differentiate(PreluOp op, Derivative &d) {
  Term x = d.term(op.getX()), g = d.term(d.incoming(0)),
       alpha = alongChannels(d, op.getAlpha(), op.getX());
  if (d.wants(0u))
    d.give(0u, select(x < 0, g * alpha, g));
  if (d.wants(1u))
    giveChannels(d, 1, select(x < 0, g * x, 0));
}

void mlir::ane::differentiate(SoftplusParametricOp op, Derivative &d) {
  // alpha * log(1 + exp(beta * x))
  Term x = d.term(op.getX()), g = d.term(d.incoming(0)),
       alpha = alongChannels(d, op.getAlpha(), op.getX()),
       beta = alongChannels(d, op.getBeta(), op.getX());
  Term slope = g * alpha * sigmoid(beta * x);
  if (d.wants(0u))
    d.give(0u, slope * beta);
  if (d.wants(1u)) {
    Term z = beta * x;
    Term softplus = maximum(z, 0.0) + log(1 + exp(-abs(z)));
    giveChannels(d, 1, g * softplus);
  }
  if (d.wants(2u))
    giveChannels(d, 2, slope * x);
}
