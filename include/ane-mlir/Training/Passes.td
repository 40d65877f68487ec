//===- Passes.td - models to functions that train them ---------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_TRAINING_PASSES_TD
#define ANEMLIR_TRAINING_PASSES_TD

include "mlir/Pass/PassBase.td"

def DifferentiatePass : Pass<"ane-differentiate", "::mlir::ModuleOp"> {
  let summary = "A function and a loss become one function that gives the loss and the gradients of parameters";
  let description = [{
    Parameters are arguments with the attribute `ane.parameter`, or operations with it (their result is the parameter).
    The loss is `cross-entropy[:AXIS]` of the first output and class labels (a further argument `targets`; labels below 0
    do not count), `mse` of the first output and values, or the name of an output with one element. The results are the
    loss and one gradient per parameter, in order; `loss-scale` adds an argument of that name by which all gradients are
    multiplied on their way. The loss and its derivative are kept in fp32 (`ane.fp32`). Every operation on the way that
    has no derivative is an error at it. Runs on freshly imported ane, before precision is assigned.
    Test: test/Training/differentiate.mlir.
  }];
  let options = [
    Option<"loss", "loss", "std::string", [{""}], "cross-entropy[:AXIS], mse, or an output (default: the only one)">,
    Option<"lossScale", "loss-scale", "bool", "false", "Multiply by a further argument `loss_scale` on the way back">
  ];
  let dependentDialects = ["::mlir::ane::ANEDialect"];
}

#endif // ANEMLIR_TRAINING_PASSES_TD
