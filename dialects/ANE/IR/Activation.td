//===- Activation.td - activations that few files name --------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// Semantics: mil/operations.md §1.3 and mil/numerics.md §8. `scalar` is the whole evaluator of most.
//
//===----------------------------------------------------------------------===//

#ifndef ANE_ACTIVATION_TD
#define ANE_ACTIVATION_TD

include "dialects/ANE/IR/ANEBase.td"

def ANE_ThresholdOp : ANE_Unary<"threshold", ANE_Float, (ins F32Attr:$alpha)> {
  let gradient = ["select(x < alpha, 0, g)"];
  let summary = "The larger of x and alpha";
  let scalar = "x < alpha ? alpha : x";
  let evidence = ANE_Candidate;
}
def ANE_SoftsignOp : ANE_Unary<"softsign"> { let gradient = ["g / square(1 + abs(x))"]; let summary = "x by 1 + |x|"; let imports = [ANE_From<"Softsign", 1>]; let scalar = "x / (1.0f + std::fabs(x))"; }
let evidence = ANE_Candidate in {
def ANE_EluOp : ANE_Unary<"elu", ANE_Float, (ins DefaultValuedAttr<F32Attr, "1.0f">:$alpha)> {
  let gradient = ["select(x > 0, g, g * (alpha * exp(minimum(x, 0))))"];
  let summary = "x, alpha times e^x - 1 where negative";
  let imports = [ANE_From<"Elu", 1>];
  let scalar = "x > 0 ? x : alpha * std::expm1(x)";
}
def ANE_ClampedReluOp : ANE_Unary<"clamped_relu", ANE_Float, (ins F32Attr:$alpha, F32Attr:$beta)> {
  let gradient = ["select(y < beta, select(x < 0, alpha * g, g), 0)"];
  let summary = "leaky_relu with alpha, limited to beta";
  let scalar = "std::fmin(beta, x < 0 ? alpha * x : x)";
}
def ANE_ThresholdedReluOp : ANE_Unary<"thresholded_relu", ANE_Float, (ins F32Attr:$alpha)> {
  let gradient = ["select(x >= alpha, g, 0)"];
  let summary = "x where it is at least alpha, else 0";
  let scalar = "x >= alpha ? x : 0.0f";
}
def ANE_LinearActivationOp : ANE_Unary<"linear_activation", ANE_Float, (ins F32Attr:$alpha, F32Attr:$beta)> {
  let gradient = ["alpha * g"];
  let summary = "alpha times x plus beta";
  let scalar = "alpha * x + beta";
}
def ANE_ScaledTanhOp : ANE_Unary<"scaled_tanh", ANE_Float, (ins F32Attr:$alpha, F32Attr:$beta)> {
  let gradient = ["(alpha * beta) * g * (1 - square(tanh(beta * x)))"];
  let summary = "alpha times tanh of beta times x";
  let scalar = "alpha * std::tanh(beta * x)";
}
}
class ANE_ChannelActivation<string mnemonic, dag params> : ANE_Unary<mnemonic, ANE_Float, params> {
  let evidence = ANE_Candidate;
  let hasVerifier = 1;
}
def ANE_PreluOp : ANE_ChannelActivation<"prelu", (ins ANE_Float:$alpha)> { let ownGradient = 1; let summary = "x, times its channel's alpha where negative"; }
def ANE_SoftplusParametricOp : ANE_ChannelActivation<"softplus_parametric", (ins ANE_Float:$alpha, ANE_Float:$beta)> {
  let ownGradient = 1;
  let summary = "alpha times softplus of beta times x, by channel";
  let evidence = ANE_RawCompiled;
}

#endif // ANE_ACTIVATION_TD
