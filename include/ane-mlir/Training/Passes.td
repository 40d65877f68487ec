//===- Passes.td - models to functions that train them ---------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_TRAINING_PASSES_TD
#define ANEMLIR_TRAINING_PASSES_TD

include "mlir/Pass/PassBase.td"

def SelectParametersPass : Pass<"onnx-select-parameters", "::mlir::ModuleOp"> {
  let summary = "Initializers that are trained become inputs of the graph, with their values beside it";
  let description = [{
    `trainable` and `frozen` are lists of patterns of initializers' names (`*` and `?`). Without `trainable`, all float
    initializers of two or more elements are trained but for statistics of batch norms, sizes and limits of Resize, Pad
    and Clip, scales of quantisation, and masks (with values of 10,000 or more). `lora=RANK` leaves them constants and
    puts two matrices beside each weight of MatMul, Gemm and Conv whose name `lora-pattern` matches, the second of
    zeros: W + alpha / RANK * A B. The module's `ane.parameters` holds names and initial values, which are fp32.
    Test: test/Training/select-parameters.mlir.
  }];
  let options = [
    ListOption<"trainable", "trainable", "std::string", "Patterns of names of initializers that are trained">,
    ListOption<"frozen", "frozen", "std::string", "Patterns of names of those that are not">,
    Option<"lora", "lora", "int64_t", "0", "Rank of adapters (default 0: none)">,
    Option<"loraPattern", "lora-pattern", "std::string", [{"*"}], "Weights that get adapters">,
    Option<"loraAlpha", "lora-alpha", "double", "0", "Adapters are scaled by alpha / rank (default: the rank)">,
  ];
  let dependentDialects = ["::mlir::onnxir::ONNXDialect"];
}

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

def StageWeightsPass : Pass<"ane-stage-weights", "::mlir::ModuleOp"> {
  let summary = "Weights that are inputs come once for each product, in the form that the engine convolves with";
  let description = [{
    The engine takes a run-time weight of a convolution as an input [1,O,1,I] of its own (L19). A product x W with a
    parameter W [K,N] reads a transposed copy [N,K], the product with its transpose (the gradient of x) W itself: both
    are then 1x1 convolutions where ane-matmul-to-conv finds that to pay. Copies are further arguments (`ane.copy_of`,
    `ane.transposed`), filled by the host. A convolution with a parameter, and the transposed one that gives
    its data's gradient, become a 1x1 convolution over columns (slices for each tap of the kernel, beside each other as
    channels), with the weight as a matrix that ends in zeros and has them between groups (`ane.groups`), where that is predicted to take less time than the host
    does with what it moves and the start of another engine program. What is beyond S13 and S14 stays. With `patched`, copies of convolutions'
    weights are the weights, which ane-patch-weights makes constants. Test: test/Training/stage-weights.mlir.
  }];
  let options = [Option<"patched", "patched", "bool", "false", "Copies become constants">];
  let dependentDialects = ["::mlir::ane::ANEDialect"];
}

def PatchWeightsPass : Pass<"ane-patch-weights", "::mlir::ModuleOp"> {
  let summary = "Copies of trained weights are constants, whose files are written anew";
  let description = [{
    What ane-stage-weights made arguments (`ane.copy_of`) becomes constants with the first values, which keep the attributes:
    programs read them from their weight files, and a step of training writes new ones between unloading and loading. Behind
    all passes that look at the values of constants. Test: test/Training/patch-weights.mlir.
  }];
  let dependentDialects = ["::mlir::ane::ANEDialect"];
  let statistics = [Statistic<"numPatched", "num-patched", "Arguments that became constants">];
}

def RecomputePass : Pass<"ane-recompute", "::mlir::ModuleOp"> {
  let summary = "What a later engine program needs is computed again there instead of being stored";
  let description = [{
    Behind ane-place. A value that an engine stage makes and a later one reads crosses two surfaces. Where all operands of
    its op are there in the later stage anyway, and it is no convolution, product or pool, the op is repeated there: always
    (`all`), or where that is predicted to take less than the surfaces do (`auto`). `ane.recomputed` marks the copies.
    Test: test/Training/recompute.mlir.
  }];
  let options = [Option<"mode", "mode", "::mlir::ane::RecomputeMode", "::mlir::ane::RecomputeMode::Auto", "What is repeated", [{::mlir::ane::recomputeValues()}]>];
  let dependentDialects = ["::mlir::ane::ANEDialect"];
  let statistics = [Statistic<"numRepeated", "num-repeated", "Ops computed again">];
}

#endif // ANEMLIR_TRAINING_PASSES_TD
