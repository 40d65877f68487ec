//===- Passes.td - ane to ane ----------------------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_TRANSFORMS_PASSES_TD
#define ANEMLIR_TRANSFORMS_PASSES_TD

include "mlir/Pass/PassBase.td"

def NarrowIntegersPass : Pass<"ane-narrow-integers", "::mlir::ModuleOp"> {
  let summary = "64-bit integers become 32-bit ones, which is what MIL computes in";
  let description = [{
    ONNX indices are int64; MIL has none at run time. Every 64-bit value becomes 32 bits wide; a constant that does
    not fit is an error at its place, and so is a result that never does. Inputs keep the user's type in `ane.dtype`;
    the runtime checks them. An operation whose results are not proven to fit (by the ranges of constants, extents and
    smaller types) is marked `ane.wide`: the interpreter computes it in 64 bits and stops where a result does not fit.
    Test: test/Transforms/narrow-integers.mlir.
  }];
  let dependentDialects = ["::mlir::ane::ANEDialect"];
}

def RecoverPass : Pass<"ane-recover", "::mlir::ModuleOp"> {
  let summary = "gelu, silu, layer_norm, softmax and hardswish from the fragments that exporters write";
  let description = [{
    Only fragments that compute the same function. Divisions by a number become multiplications, `1 - sigmoid(x)` and
    `log(sigmoid(x))` what fp16 does not round to 0. With `safe`, fragments
    with values on their way that fp16 cannot hold (RMS and L2 norms, variances, logarithms of sums of exponentials,
    means written as sums) take forms without. Tests: test/Transforms/recover.mlir, recover-safe.mlir.
  }];
  let options = [Option<"safe", "safe", "bool", "false", "Also forms that fp16 holds for rows of any size">];
  let dependentDialects = ["::mlir::ane::ANEDialect"];
}

def SimplifyPass : Pass<"ane-simplify", "::mlir::ModuleOp"> {
  let summary = "Neutral operands go, numbers in a row become one and move to the convolution before them";
  let description = [{
    Only where fp16 holds the joined number as well as the two. What is done with each number that is gathered from a
    small constant is done with the constant. Test: test/Transforms/simplify.mlir.
  }];
  let dependentDialects = ["::mlir::ane::ANEDialect"];
  let statistics = [Statistic<"numRemoved", "num-removed", "Operations that were not needed">];
}

def FoldIntoConvPass : Pass<"ane-fold-into-conv", "::mlir::ModuleOp"> {
  let summary = "Batch norm, per-channel scale and shift, and zero padding disappear into the convolution before them";
  let description = [{
    Weights and biases become weight trees over the originals, evaluated once when the weight file is written.
    With `scale-only`, behind the layouts, factors and offsets per channel that convolutions alone read go into those too:
    a norm in parts ends with them.
    Test: test/Transforms/fold-into-conv.mlir.
  }];
  let options = [Option<"scaleOnly", "scale-only", "bool", "false", "Leave additions: the raw compiler takes no bias">];
  let dependentDialects = ["::mlir::ane::ANEDialect"];
  let statistics = [Statistic<"numFolded", "num-folded", "Ops folded into a convolution">];
}

def AssignPrecisionPass : Pass<"ane-assign-precision", "::mlir::ModuleOp"> {
  let summary = "fp32 values become fp16";
  let description = [{
    Everything computed at run time becomes fp16. Weight trees stay fp32 up to their root, where a cast rounds once, in
    the weight writer; finite numbers beyond fp16 saturate there. Test: test/Transforms/assign-precision.mlir.
  }];
  let dependentDialects = ["::mlir::ane::ANEDialect"];
}

def KeepFP32Pass : Pass<"ane-keep-fp32", "::mlir::ModuleOp"> {
  let summary = "Marks what fp16 cannot hold by its meaning: positions, phases, lengths, quiet spectra";
  let description = [{
    Sets `ane.fp32`, with the reason, on the slices behind casts to integers, comparisons of positions, sines and cosines
    of positions, running sums and logarithms that a small number guards, and on what such values alone decide; on
    differences of parts of an input, whose unit is not known; and on what gives a result a unit that fp16 has not, or an
    offset beside which little of it is left.
    ane-place puts marked ops on the host, ane-widen-host computes them in fp32. Parts that others read too are copied,
    so that the engine does not wait for the host. Test: test/Transforms/keep-fp32.mlir.
  }];
  let dependentDialects = ["::mlir::ane::ANEDialect"];
  let statistics = [Statistic<"numMarked", "num-marked", "Operations kept in fp32">];
}

def WidenHostPass : Pass<"ane-widen-host", "::mlir::ModuleOp"> {
  let summary = "What the host computes is fp32";
  let description = [{
    fp16 arithmetic of ops that are placed on the host becomes fp32, with casts where the engine is on the other side;
    what only passes values on keeps their type. Weights are read before they are rounded. With `marked-only`
    (packages, where Core ML places) only ops that ane-keep-fp32 marked. Test: test/Transforms/widen-host.mlir.
  }];
  let dependentDialects = ["::mlir::ane::ANEDialect"];
  let options = [Option<"markedOnly", "marked-only", "bool", "false", "Only ops with `ane.fp32`">];
}

def LegalizePass : Pass<"ane-legalize", "::mlir::ModuleOp"> {
  let summary = "Rewrites ops into forms that the target's engine takes";
  let description = [{
    gelu, batch_norm, instance_norm, linear and tile are decomposed, one-dimensional convolutions and pools become
    two-dimensional, biases become additions, squeeze and expand_dims become reshapes (engine/operations.md §1.11,
    engine/rewrites.md §6). round becomes floors, and a number that scales what was rounded takes the full shape (L30).
    Kernels, strides, pools and axes beyond the target's limits become several, or others over rearranged values.
    Behind Core ML's own front end (`door=coreml`) what only the raw compiler lacks is left whole: gelu, layer_norm,
    biases. Tests: test/Transforms/legalize.mlir and legalize-*.mlir.
  }];
  let dependentDialects = ["::mlir::ane::ANEDialect"];
  let options = [Option<"door", "door", "::mlir::ane::FrontEnd", "::mlir::ane::FrontEnd::Raw", "Who takes what is left", [{::mlir::ane::frontEndValues()}]>,
                 Option<"exactSilu", "exact-silu", "bool", "false", "silu as x / (1 + exp(-x)) instead of the engine's table">,
                 Option<"late", "late", "bool", "false", "layouts are assigned: what single generations refuse gets another form">];
}

def MatmulToConvPass : Pass<"ane-matmul-to-conv", "::mlir::ModuleOp"> {
  let summary = "Products with a constant matrix become 1x1 convolutions";
  let description = [{
    C[M,N] = A[M,K] B[K,N] becomes data (1,K,1,M), weight (N,K,1,1), result (1,N,1,M), where the cost model says that the
    convolution itself is no slower. More output channels than S14 allows are several convolutions. A constant on the
    left needs no transposes. `ane.note` on the convolution quotes both costs. Test: test/Transforms/matmul-to-conv.mlir.
  }];
  let dependentDialects = ["::mlir::ane::ANEDialect"];
  let statistics = [Statistic<"numConverted", "num-converted", "Products that became convolutions">];
}

def AssignLayoutPass : Pass<"ane-assign-layout", "::mlir::ModuleOp"> {
  let summary = "Chooses for each value whether its token axis is last; the fewest transposes over the graph";
  let description = [{
    The width of one-row convolutions is the token axis; it is followed through element-wise ops, reductions, reshapes
    and transposes. Which results are stored with tokens last is a minimum cut over the predicted traffic of
    transposes, exact for the whole function. Test: test/Transforms/assign-layout.mlir.
  }];
  let dependentDialects = ["::mlir::ane::ANEDialect"];
  let statistics = [Statistic<"numRemoved", "num-removed", "Transposes fewer than before">,
                    Statistic<"numLeft", "num-left", "Transposes left">];
}

def TilePass : Pass<"ane-tile", "::mlir::ModuleOp"> {
  let summary = "Large values made and used part by part";
  let description = [{
    Where the operands and results of an op exceed on-chip memory (`on_chip_mb` of the target), it and what is around it
    are made part by part, heads, channels, rows with their halo, where that is predicted to be faster: the projections
    before them with parts of their weights, keys that a group of heads shares without copies. With `live-bytes`
    values that are alive together beyond it are, faster or not. `ane.live_bytes` on the function is what is left alive. Test: test/Transforms/tile.mlir.
  }];
  let dependentDialects = ["::mlir::ane::ANEDialect"];
  let options = [Option<"liveBytes", "live-bytes", "int64_t", "-1",
                        "Bytes of values alive together; 0 leaves all whole, -1 is by predicted time">];
  let statistics = [Statistic<"numSplit", "num-split", "Groups of ops taken apart">];
}

def RepairMasksPass : Pass<"ane-repair-masks", "::mlir::ModuleOp"> {
  let summary = "Masks of minus infinity become finite";
  let description = [{
    The part of ane-repair-fp16 that needs no calibration: masks that reach a softmax are clamped to -30000 (L64), and
    log(softmax) is written without the softmax. Test: test/Transforms/repair-fp16.mlir.
  }];
  let dependentDialects = ["::mlir::ane::ANEDialect"];
  let statistics = [Statistic<"numMasks", "num-masks", "Masks clamped">];
}

def RepairFP16Pass : Pass<"ane-repair-fp16", "::mlir::ModuleOp"> {
  let summary = "Scales what fp16 or the engine's accumulator cannot hold";
  let description = [{
    Results beyond fp16, partial sums beyond 2^14 and products that vanish (L60 to L62) are computed times a power of two, which constant
    weights take for nothing and normalisations forget; `ane.repair` says so on the op. How large results are is what
    calibration has put on ops as `ane.peak` (one number per result), `ane.partial` and `ane.engine_error` (of
    products), else what follows from bounded functions. Test: test/Transforms/repair-fp16.mlir.
  }];
  let dependentDialects = ["::mlir::ane::ANEDialect"];
  let statistics = [Statistic<"numScaled", "num-scaled", "Run-time values multiplied by a power of two">];
}

def MarkStatesPass : Pass<"ane-mark-states", "::mlir::ModuleOp"> {
  let summary = "Pairs of an input and an output that are one state, kept between calls of a bundle";
  let description = [{
    An output of the input's type is the next input. An output that is the input with new rows behind it, along one axis,
    becomes these rows (`ane.state_axis`), which the host writes into the state in place: nothing of a cache is copied.
    `ane.state` on both says which belong together. With `recognise`, outputs that are such a concatenation or a scatter
    into an input, and those whose names say so (past_key_values.N.key and present.N.key, h_in and h_out), are paired.
    After convert-onnx-to-ane. Test: test/Transforms/mark-states.mlir.
  }];
  let dependentDialects = ["::mlir::ane::ANEDialect"];
  let options = [
    ListOption<"states", "states", "std::string", "pairs INPUT=OUTPUT, by user names">,
    Option<"recognise", "recognise", "bool", "false", "find further pairs">];
}

def CompressWeightsPass : Pass<"ane-compress-weights", "::mlir::ModuleOp"> {
  let summary = "Weights in fewer bits: those that the model has so, and others on request";
  let description = [{
    A weight that is integers times scales, entries of a table, or mostly zeros in the model is written as such
    (constexpr_blockwise_shift_scale, constexpr_lut_to_dense, constexpr_sparse_to_dense) where the door takes it; values stay
    within the rounding of fp16. `form` writes others in fewer bits, which changes values: int8 or int4 with a scale for
    each output channel or each block of inputs, lut8, lut6, lut4 or lut3 with a table for the tensor or each group of
    channels; auto:ERROR, for each weight the smallest form that is off by at most that part of its root mean square. After scales are final. Test: test/Transforms/compress-weights.mlir.
  }];
  let dependentDialects = ["::mlir::ane::ANEDialect"];
  let options = [
    Option<"door", "door", "::mlir::ane::FrontEnd", "::mlir::ane::FrontEnd::Raw", "Who takes the weights; Core ML takes more forms", [{::mlir::ane::frontEndValues()}]>,
    Option<"keep", "keep", "bool", "true", "keep what the model has in fewer bits">,
    Option<"form", "form", "std::string", "\"none\"", "none, int8, int4, lut8, lut6, lut4 or lut3; then ,per=channel, block:N, tensor or group:N">];
}

def PlacePass : Pass<"ane-place", "::mlir::ModuleOp"> {
  let summary = "Decides for each op whether the engine or the host runs it";
  let description = [{
    Sets `ane.placement` to "ane" or "host" and, on host ops, `ane.rule` and `ane.reason`: the rules that the op
    breaks. Mode cost also keeps from the engine what does not pay there: the cheapest partition by the cost model, from
    minimum cuts. `ane.predicted` on the function compares placements. `ane.wanted` ("host", or "ane", which is an error where a rule forbids it) on an op decides for it. Ops over
    constants alone are weights and get nothing. Test: test/Transforms/place.mlir.
  }];
  let dependentDialects = ["::mlir::ane::ANEDialect"];
  let options = [Option<"mode", "mode", "::mlir::ane::PlacementMode", "::mlir::ane::PlacementMode::Auto", "Where ops go", [{::mlir::ane::placementValues()}]>];
}

def FormProgramsPass : Pass<"ane-form-programs", "::mlir::ModuleOp"> {
  let summary = "Groups placed ops into ane.program ops and leaves calls in @main";
  let description = [{
    Engine and host segments alternate; each op goes to the earliest segment of its kind after its operands.
    Constants are copied into the programs that use them. An engine segment longer than the target's S18 (or `max-ops`)
    is cut where the fewest bytes are alive. Test: test/Transforms/form-programs.mlir.
  }];
  let dependentDialects = ["::mlir::ane::ANEDialect"];
  let options = [Option<"maxOps", "max-ops", "unsigned", "0", "Ops in one engine program; 0 is what the target takes (S18)">];
  let statistics = [Statistic<"numCuts", "num-cuts", "Engine segments cut for length">];
}

def PlanIOPass : Pass<"ane-plan-io", "::mlir::ModuleOp"> {
  let summary = "Gives the arguments and results of engine programs the shape of surfaces";
  let description = [{
    fp16, rank 4, innermost dimension a multiple of 32 (L40, L43); every output is made by an arithmetic op (L13, L23).
    Test: test/Transforms/plan-io.mlir.
  }];
  let dependentDialects = ["::mlir::ane::ANEDialect"];
}

def EvaluateConstantsPass : Pass<"ane-evaluate-constants", "::mlir::ModuleOp"> {
  let summary = "Replaces ops over constants alone by their values";
  let description = [{
    The weight writer does this one tree at a time; the pass is for tests of the interpreter and for looking at
    weights. Results become dense constants, whatever their size. Tests: test/Interpreter.
  }];
  let dependentDialects = ["::mlir::ane::ANEDialect"];
  let options = [Option<"numerics", "numerics", "std::string", "\"fp16\"", "fp16 (round to the declared dtype), fp32 or engine (the target's own)">];
}

def PreparePackagePass : Pass<"ane-prepare-package", "::mlir::ModuleOp"> {
  let summary = "Types and shapes in which Core ML takes operations";
  let description = [{
    Element-wise integers become 32-bit, select gets values of its shape. Test: test/Transforms/prepare-package.mlir and
    coremltools in test/E2E/package_sweep.py.
  }];
  let dependentDialects = ["::mlir::ane::ANEDialect"];
}

def PrintCostPass : Pass<"ane-print-cost", "::mlir::ModuleOp"> {
  let summary = "Prints the predicted time of each engine program and what it is made of";
  let description = [{ Reads only; JSON, one line per program. Test: test/Analysis. }];
  let options = [Option<"ops", "ops", "bool", "false", "one line per op, before its program's">];
}

def VerifyTargetPass : Pass<"ane-verify-target", "::mlir::ModuleOp"> {
  let summary = "Gate: lists every op of an engine program that breaks a rule of the target";
  let description = [{ Reads only. Test: test/Transforms/verify-target.mlir. }];
}

def PackageInterfacePass : Pass<"ane-package-interface", "::mlir::ModuleOp"> {
  let summary = "Inputs and outputs as Core ML has them: arrays of fp32, fp16 and int32, images, states in fp16";
  let description = [{
    Casts and reshapes stand inside, so that values keep the precision that the passes before chose. Arguments marked
    `ane.image` (color_space, scale, bias) are scaled as Core ML's image inputs are; those marked `ane.state`, and the
    results that are their next values, are fp16. Test: test/Transforms/package-interface.mlir.
  }];
  let dependentDialects = ["::mlir::ane::ANEDialect"];
}

#endif // ANEMLIR_TRANSFORMS_PASSES_TD
