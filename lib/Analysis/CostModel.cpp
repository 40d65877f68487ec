//===- CostModel.cpp - predicted time of engine programs ------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Analysis/CostModel.h"

using namespace mlir;
using namespace mlir::ane;

double mlir::ane::predictMicros(const Cost &cost, const Target &target) {
  // 1 TFLOPS is 1e6 operations per microsecond, 1 GB/s is 1e3 bytes per
  // microsecond.
  double rate = target.cost(cost.kind == Cost::Kind::Matmul ? "matmul_tflops"
                                                            : "conv_tflops") *
                1e6;
  double compute =
      cost.kind == Cost::Kind::Conv || cost.kind == Cost::Kind::Matmul
          ? cost.flops / rate
          : 0;
  return std::max(
      {compute, cost.weightBytes / (target.cost("weight_gbs") * 1e3),
       cost.activationBytes / (target.cost("activation_gbs") * 1e3)});
}

double mlir::ane::predictMicros(ProgramOp program, const Target &target) {
  if (!program.isEngine())
    return 0;
  double sum = target.cost("dispatch_us");
  for (Operation &op : program.getBody().front())
    if (auto costed = dyn_cast<CostOpInterface>(op);
        costed && !isConstantTree(op.getResult(0)))
      sum += predictMicros(costed.estimateCost(target), target);
  return sum;
}
