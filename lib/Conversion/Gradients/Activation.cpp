//===- Activation.cpp - derivatives of activations ------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "dialects/ANE/IR/Activation.h"
#include "Derivative.h"

using namespace mlir;
using namespace mlir::ane;

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

namespace mlir::ane {

void differentiate(PreluOp op, Derivative &d) {
  Term x = d.term(op.getX()), g = d.term(d.incoming(0)),
       alpha = alongChannels(d, op.getAlpha(), op.getX());
  if (d.wants(0u))
    d.give(0u, select(x < 0, g * alpha, g));
  if (d.wants(1u))
    giveChannels(d, 1, select(x < 0, g * x, 0));
}

void differentiate(SoftplusParametricOp op, Derivative &d) {
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

#include "dialects/ANE/IR/ActivationGradients.inc"
} // namespace mlir::ane
