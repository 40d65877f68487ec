//===- Elementwise.cpp - derivatives with parameters ----------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "Derivative.h"
#include "dialects/ANE/IR/Arithmetic.h"
#include "dialects/ANE/IR/Cast.h"
#include "dialects/ANE/IR/Comparison.h"
#include "dialects/ANE/IR/Quant.h"
#include "dialects/ANE/IR/Trigonometry.h"
#include "dialects/ANE/IR/Unary.h"
#include <cmath>

using namespace mlir;
using namespace mlir::ane;

namespace mlir::ane {

void differentiate(CastOp op, Derivative &d) {
  if (d.wants(0u))
    d.give(0u, d.incoming(0)); // cast back by give()
}

void differentiate(GeluOp op, Derivative &d) {
  Term x = d.term(op.getX()), g = d.term(d.incoming(0));
  if (op.getMode() == GeluMode::EXACT) {
    // Phi(x) + x phi(x)
    Term phi = (1 / std::sqrt(2 * M_PI)) * exp(-0.5 * (x * x));
    d.give(0u, g * (0.5 * (1 + erf(std::sqrt(0.5) * x)) + x * phi));
    return;
  }
  if (op.getMode() == GeluMode::SIGMOID_APPROXIMATION) {
    Term s = sigmoid(1.702 * x);
    d.give(0u, g * (s * (1 + 1.702 * x * (1 - s))));
    return;
  }
  double k = std::sqrt(2 / M_PI), cubic = 0.044715;
  Term t = tanh(k * (x + cubic * (x * x * x)));
  d.give(0u, g * (0.5 * (1 + t) +
                  0.5 * x * (1 - t * t) * (k * (1 + 3 * cubic * (x * x)))));
}

#include "dialects/ANE/IR/ArithmeticGradients.inc"
#include "dialects/ANE/IR/CastGradients.inc"
#include "dialects/ANE/IR/ComparisonGradients.inc"
#include "dialects/ANE/IR/QuantGradients.inc"
#include "dialects/ANE/IR/TrigonometryGradients.inc"
#include "dialects/ANE/IR/UnaryGradients.inc"
} // namespace mlir::ane
