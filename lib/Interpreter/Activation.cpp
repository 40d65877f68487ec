//===- Activation.cpp - evaluators of activations -------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "dialects/ANE/IR/Activation.h"
#include "ElementwiseLoops.h"

using namespace mlir;
using namespace mlir::ane;

namespace mlir::ane {
/// y = fn(x, alpha[c], beta[c]) with the channel on axis 1.
template <typename Fn>
static LogicalResult perChannel(Operation *op, EvalContext &context,
                                ArrayRef<Tensor> in,
                                SmallVectorImpl<Tensor> &out, Fn fn) {
  Tensor y = context.makeResult(op->getResult(0), in[0].shape());
  AxisView view(in[0].shape(), 1);
  const float *x = in[0].floats().data();
  float *z = y.mutableFloats().data();
  for (int64_t o = 0; o < view.outer; ++o)
    for (int64_t c = 0; c < view.extent; ++c)
      for (int64_t i = 0; i < view.inner; ++i, ++x, ++z)
        *z =
            fn(*x, in[1].floats()[c], in.size() > 2 ? in[2].floats()[c] : 0.0f);
  context.finish(y);
  out.push_back(std::move(y));
  return success();
}
LogicalResult evaluateOp(PreluOp op, EvalContext &context, ArrayRef<Tensor> in,
                         SmallVectorImpl<Tensor> &out) {
  return perChannel(op, context, in, out, [](float x, float alpha, float) {
    return x < 0 ? alpha * x : x;
  });
}
LogicalResult evaluateOp(SoftplusParametricOp op, EvalContext &context,
                         ArrayRef<Tensor> in, SmallVectorImpl<Tensor> &out) {
  return perChannel(op, context, in, out, [](float x, float alpha, float beta) {
    return alpha * (std::log1p(std::exp(-std::fabs(beta * x))) +
                    std::fmax(beta * x, 0.0f));
  });
}

#include "dialects/ANE/IR/ActivationEvaluators.inc"
} // namespace mlir::ane
