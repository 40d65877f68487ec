//===- Norm.td - normalisation, softmax -----------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANE_NORM_TD
#define ANE_NORM_TD

include "dialects/ANE/IR/ANEBase.td"

def ANE_SoftmaxOp : ANE_Unary<"softmax", ANE_Float, (ins DefaultValuedAttr<ANE_I64, "-1">:$axis)> {
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
  let extraClassDeclaration = [{
    /// What it multiplies each channel by and then adds, computed from the
    /// statistics: vectors of their type.
    std::pair<::mlir::Value, ::mlir::Value> makeScaleAndShift(::mlir::OpBuilder &b);
  }];
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
def ANE_LocalResponseNormOp : ANE_NormOp<"local_response_norm", (ins ANE_Float:$x, ANE_I64:$size,
    DefaultValuedAttr<F32Attr, "1e-4f">:$alpha, DefaultValuedAttr<F32Attr, "0.75f">:$beta, DefaultValuedAttr<F32Attr, "1.0f">:$k)> {
  let summary = "x / (k + alpha/size * sum of squares of `size` channels around)^beta";
  let evidence = ANE_HostOnly<"L32", "the engine uses alpha without dividing by size">;
}

#endif // ANE_NORM_TD
