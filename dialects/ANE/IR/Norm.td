//===- Norm.td - normalisation, reductions, softmax ------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

def ANE_SoftmaxOp : ANE_Unary<"softmax", ANE_Float, (ins DefaultValuedAttr<I64Attr, "-1">:$axis)> {
  let ownGradient = 1;
  let summary = "exp(x - max) / sum along one axis";
  let hasVerifier = 1;
}
class ANE_NormOp<string mnemonic, dag args, list<Trait> traits = []> : ANE_TensorOp<mnemonic, traits> {
  let ownGradient = 1;
  let arguments = args;
  let results = (outs ANE_Float:$y);
  let inferBody = [{
      types.push_back(adaptor.getX().getType());
      return ::mlir::success();
  }];
  let hasVerifier = 1;
}
def ANE_BatchNormOp : ANE_NormOp<"batch_norm", (ins ANE_Float:$x, ANE_Float:$mean, ANE_Float:$variance,
    Optional<ANE_Float>:$gamma, Optional<ANE_Float>:$beta, DefaultValuedAttr<F32Attr, "1e-5f">:$epsilon), [AttrSizedOperandSegments]> {
  let summary = "(x - mean) / sqrt(variance + epsilon) * gamma + beta, per channel (axis 1)";
  let evidence = ANE_Decomposed<"L24", "batch_norm is folded into the convolution or becomes mul and add">;
}
def ANE_InstanceNormOp : ANE_NormOp<"instance_norm", (ins ANE_Float:$x, Optional<ANE_Float>:$gamma,
    Optional<ANE_Float>:$beta, DefaultValuedAttr<F32Attr, "1e-5f">:$epsilon), [AttrSizedOperandSegments]> {
  let summary = "Normalises each channel of each sample over its spatial axes";
  let evidence = ANE_Decomposed<"L24", "instance_norm is built from reductions">;
}
def ANE_LayerNormOp : ANE_NormOp<"layer_norm", (ins ANE_Float:$x, Optional<ANE_Float>:$gamma, Optional<ANE_Float>:$beta,
    DenseI64ArrayAttr:$axes, DefaultValuedAttr<F32Attr, "1e-5f">:$epsilon), [AttrSizedOperandSegments]> {
  let summary = "Normalises over `axes`; gamma and beta have the shape of those axes";
}
def ANE_L2NormOp : ANE_NormOp<"l2_norm", (ins ANE_Float:$x, DefaultValuedAttr<F32Attr, "1e-6f">:$epsilon)> {
  let summary = "x / sqrt(sum over the last three axes of x^2 + epsilon)";
  let evidence = ANE_OnE5RT<"seen on E5RT; failed on RAW (M5X)">;
}
def ANE_LocalResponseNormOp : ANE_NormOp<"local_response_norm", (ins ANE_Float:$x, I64Attr:$size,
    DefaultValuedAttr<F32Attr, "1e-4f">:$alpha, DefaultValuedAttr<F32Attr, "0.75f">:$beta, DefaultValuedAttr<F32Attr, "1.0f">:$k)> {
  let summary = "x / (k + alpha/size * sum of squares of `size` channels around)^beta";
  let evidence = ANE_HostOnly<"L32", "the engine uses alpha without dividing by size">;
}

class ANE_Reduce<string mnemonic, ANE_Evidence known = ANE_RawEval> : ANE_TensorOp<mnemonic> {
  let ownGradient = 1;
  let arguments = (ins ANE_Number:$x, OptionalAttr<DenseI64ArrayAttr>:$axes, ANE_False:$keep_dims);
  let results = (outs ANE_Number:$y);
  let evidence = known;
  let inferBody = [{
      return ::mlir::ane::inferReduction(loc, getOperationName(), adaptor.getX().getType(), adaptor.getAxes(),
                                         adaptor.getKeepDims(), nullptr, types);
  }];
}
def ANE_ReduceSumOp : ANE_Reduce<"reduce_sum"> { let summary = "The sum over axes"; }
def ANE_ReduceMeanOp : ANE_Reduce<"reduce_mean"> { let summary = "The mean over axes"; }
def ANE_ReduceMaxOp : ANE_Reduce<"reduce_max"> { let summary = "The largest over axes"; }
def ANE_ReduceMinOp : ANE_Reduce<"reduce_min"> { let summary = "The smallest over axes"; }
def ANE_ReduceL2NormOp : ANE_Reduce<"reduce_l2_norm"> { let summary = "The square root of the sum of squares over axes"; }
def ANE_ReduceLogSumExpOp : ANE_Reduce<"reduce_log_sum_exp"> { let summary = "The logarithm of the sum of exponentials over axes"; }
def ANE_ReduceL1NormOp : ANE_Reduce<"reduce_l1_norm", ANE_RawCompiled> { let summary = "The sum of magnitudes over axes"; }
def ANE_ReduceLogSumOp : ANE_Reduce<"reduce_log_sum", ANE_RawCompiled> { let summary = "The logarithm of the sum over axes"; }
def ANE_ReduceSumSquareOp : ANE_Reduce<"reduce_sum_square", ANE_RawCompiled> { let summary = "The sum of squares over axes"; }
def ANE_ReduceProdOp : ANE_Reduce<"reduce_prod", ANE_HostOnly<"L05", "reduce_prod does not compile">> { let summary = "The product over axes"; }

class ANE_ArgReduce<string mnemonic> : ANE_TensorOp<mnemonic> {
  let gradient = ["0"];
  let arguments = (ins ANE_Number:$x, DefaultValuedAttr<I64Attr, "-1">:$axis, ANE_False:$keep_dims);
  let results = (outs ANE_Int:$y);
  let evidence = ANE_HostOnly<"L05", "argmin and argmax do not compile">;
  let inferBody = [{
      return ::mlir::ane::inferReduction(loc, getOperationName(), adaptor.getX().getType(),
          ::llvm::ArrayRef<int64_t>{int64_t(adaptor.getAxis())}, adaptor.getKeepDims(), ::mlir::IntegerType::get(context, 32), types);
  }];
}
def ANE_ReduceArgmaxOp : ANE_ArgReduce<"reduce_argmax"> { let summary = "Where the largest is along an axis"; }
def ANE_ReduceArgminOp : ANE_ArgReduce<"reduce_argmin"> { let summary = "Where the smallest is along an axis"; }

def ANE_CumsumOp : ANE_Unary<"cumsum", ANE_Number, (ins DefaultValuedAttr<I64Attr, "0">:$axis, ANE_False:$exclusive, ANE_False:$reverse)> {
  let ownGradient = 1;
  let summary = "Sums of all up to each along an axis";
  let evidence = ANE_HostOnly<"L05", "cumsum does not compile">;
  let hasVerifier = 1;
}
