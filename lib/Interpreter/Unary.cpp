//===- Unary.cpp - evaluators of functions of one value -------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "dialects/ANE/IR/Unary.h"
#include "ElementwiseLoops.h"
#include "dialects/ANE/IR/Trigonometry.h"

using namespace mlir;
using namespace mlir::ane;

namespace mlir::ane {
LogicalResult evaluateOp(GeluOp op, EvalContext &context, ArrayRef<Tensor> in,
                         SmallVectorImpl<Tensor> &out) {
  GeluMode mode = op.getMode();
  auto run = [&](auto f) {
    return evaluateUnary(op, context, in, out, f, nullptr);
  };
  if (mode == GeluMode::EXACT)
    return run([](float x) {
      return 0.5f * x * (1.0f + std::erf(x * 0.70710678118654752f));
    });
  if (mode == GeluMode::TANH_APPROXIMATION)
    return run([](float x) {
      return 0.5f * x *
             (1.0f +
              std::tanh(0.79788456080286536f * (x + 0.044715f * x * x * x)));
    });
  return run([](float x) { return x / (1.0f + std::exp(-1.702f * x)); });
}

#include "dialects/ANE/IR/TrigonometryEvaluators.inc"
#include "dialects/ANE/IR/UnaryEvaluators.inc"
} // namespace mlir::ane
