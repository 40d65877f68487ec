//===- Unary.td - functions of one value that many files name -------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// Semantics: mil/operations.md §1.1-1.3 and mil/numerics.md §8. `scalar` is the whole evaluator. Whatever names one of these ops is compiled
// again when another is added: new ones that passes do not look for belong in Activation.td or Trigonometry.td.
//
//===----------------------------------------------------------------------===//

#ifndef ANE_UNARY_TD
#define ANE_UNARY_TD

include "dialects/ANE/IR/ANEBase.td"

def ANE_AbsOp : ANE_Unary<"abs", ANE_Number> {
  let picksElements = 1;
  let gradient = ["g * sign(x)"];
  let summary = "|x|";
  let imports = [ANE_From<"Abs", 1>];
  let scalar = "std::fabs(x)";
  let scalarInt = "x < 0 ? int64_t(0 - uint64_t(x)) : x";
}
def ANE_SignOp : ANE_Unary<"sign", ANE_Number> {
  let picksElements = 1;
  let gradient = ["0"];
  let summary = "-1, 0 or 1 by the sign of x";
  let imports = [ANE_From<"Sign", 9>];
  let scalar = "std::isnan(x) ? x : float((x > 0) - (x < 0))";
  let scalarInt = "(x > 0) - (x < 0)";
}
def ANE_SquareOp : ANE_Unary<"square", ANE_Number> {
  let gradient = ["g * (2 * x)"];
  let summary = "x times x";
  let scalar = "x * x";
  let scalarInt = "int64_t(uint64_t(x) * uint64_t(x))";
}
def ANE_CeilOp : ANE_Unary<"ceil"> { let picksElements = 1; let gradient = ["0"]; let summary = "The smallest integer not below x"; let imports = [ANE_From<"Ceil", 1>]; let scalar = "std::ceil(x)"; }
def ANE_FloorOp : ANE_Unary<"floor"> { let picksElements = 1; let gradient = ["0"]; let summary = "The largest integer not above x"; let imports = [ANE_From<"Floor", 1>]; let scalar = "std::floor(x)"; }
def ANE_RoundOp : ANE_Unary<"round"> { let picksElements = 1; let gradient = ["0"]; let summary = "The nearest integer, ties to even"; let imports = [ANE_From<"Round", 11>]; let scalar = "std::nearbyint(x)"; }
def ANE_ExpOp : ANE_Unary<"exp"> { let gradient = ["g * y"]; let summary = "e to the power of x"; let imports = [ANE_From<"Exp", 1>]; let scalar = "std::exp(x)"; }
def ANE_Exp2Op : ANE_Unary<"exp2"> { let gradient = ["g * (0.6931471805599453 * y)"]; let summary = "2 to the power of x"; let scalar = "std::exp2(x)"; }
def ANE_ErfOp : ANE_Unary<"erf"> { let gradient = ["g * (1.1283791670955126 * exp(-(x * x)))"]; let summary = "The error function of x"; let imports = [ANE_From<"Erf", 9>]; let scalar = "std::erf(x)"; }
def ANE_SqrtOp : ANE_Unary<"sqrt"> { let gradient = ["0.5 * g / y"]; let summary = "The square root of x"; let imports = [ANE_From<"Sqrt", 1>]; let scalar = "std::sqrt(x)"; }
def ANE_TanhOp : ANE_Unary<"tanh"> { let gradient = ["g * (1 - y * y)"]; let summary = "The hyperbolic tangent of x"; let imports = [ANE_From<"Tanh", 1>]; let scalar = "std::tanh(x)"; }
// epsilon is mandatory on RAW (L02) and added as given; 0 is the true function.
def ANE_LogOp : ANE_Unary<"log", ANE_Float, (ins ANE_F32Default0:$epsilon)> {
  let gradient = ["g / (x + epsilon)"];
  let summary = "The natural logarithm of x + epsilon";
  let imports = [ANE_From<"Log", 1>];
  let scalar = "std::log(x + epsilon)";
}
def ANE_RsqrtOp : ANE_Unary<"rsqrt", ANE_Float, (ins ANE_F32Default0:$epsilon)> {
  let gradient = ["-0.5 * g * (y * y * y)"];
  let summary = "One by the square root of x + epsilon";
  let scalar = "1.0f / std::sqrt(x + epsilon)";
}
def ANE_InverseOp : ANE_Unary<"inverse", ANE_Float, (ins ANE_F32Default0:$epsilon)> {
  let gradient = ["-(g * (y * y))"];
  let summary = "One by x + epsilon";
  let imports = [ANE_From<"Reciprocal", 1>];
  let scalar = "1.0f / (x + epsilon)";
}
def ANE_ClipOp : ANE_Unary<"clip", ANE_Float, (ins F32Attr:$alpha, F32Attr:$beta)> {
  let gradient = ["select(x < alpha, 0, select(x > beta, 0, g))"];
  let summary = "x, limited to alpha … beta";
  let scalar = "std::isnan(x) ? x : std::fmin(std::fmax(x, alpha), beta)";
}

def ANE_ReluOp : ANE_Unary<"relu"> {
  let picksElements = 1;
  let gradient = ["select(x > 0, g, 0)"];
  let summary = "Rectified linear unit";
  let imports = [ANE_From<"Relu", 1>];
  let scalar = "x < 0 ? 0.0f : x";
}
def ANE_Relu6Op : ANE_Unary<"relu6"> {
  let gradient = ["select(x > 0, select(x < 6, g, 0), 0)"];
  let summary = "x, limited to 0 … 6";
  let scalar = "std::isnan(x) ? x : std::fmin(std::fmax(x, 0.0f), 6.0f)";
  let evidence = ANE_RawCompiled;
}
def ANE_SigmoidOp : ANE_Unary<"sigmoid"> { let gradient = ["g * (y * (1 - y))"]; let summary = "One by 1 + e to the power of -x"; let imports = [ANE_From<"Sigmoid", 1>]; let scalar = "1.0f / (1.0f + std::exp(-x))"; }
def ANE_SiluOp : ANE_Unary<"silu"> { let gradient = ["g * (sigmoid(x) * (1 + x - y))"]; let summary = "x times sigmoid(x)"; let scalar = "x / (1.0f + std::exp(-x))"; }
def ANE_SoftplusOp : ANE_Unary<"softplus"> {
  let gradient = ["g * sigmoid(x)"];
  let summary = "The logarithm of 1 + e to the power of x";
  let imports = [ANE_From<"Softplus", 1>];
  let scalar = "std::log1p(std::exp(-std::fabs(x))) + std::fmax(x, 0.0f)";
}
def ANE_LeakyReluOp : ANE_Unary<"leaky_relu", ANE_Float, (ins DefaultValuedAttr<F32Attr, "0.01f">:$alpha)> {
  let gradient = ["select(x < 0, alpha * g, g)"];
  let summary = "x, times alpha where negative";
  let imports = [ANE_From<"LeakyRelu", 1>];
  let scalar = "x < 0 ? alpha * x : x";
  let evidence = ANE_Candidate;
}
def ANE_SigmoidHardOp : ANE_Unary<"sigmoid_hard", ANE_Float,
    (ins DefaultValuedAttr<F32Attr, "0.2f">:$alpha, DefaultValuedAttr<F32Attr, "0.5f">:$beta)> {
  let gradient = ["select(y > 0, select(y < 1, alpha * g, 0), 0)"];
  let summary = "alpha times x plus beta, limited to 0 … 1";
  let imports = [ANE_From<"HardSigmoid", 1>];
  let scalar = "std::fmin(std::fmax(alpha * x + beta, 0.0f), 1.0f)";
  let evidence = ANE_Candidate;
}
def ANE_GeluOp : ANE_Unary<"gelu", ANE_Float, (ins ANE_Word<ANE_GeluMode>:$mode)> {
  let ownGradient = 1;
  let summary = "Gaussian error linear unit";
  let description = [{ `mode` is EXACT, TANH_APPROXIMATION or SIGMOID_APPROXIMATION. }];
  let evidence = ANE_Decomposed<"L03", "the gelu operation does not compile on RAW">;
}

#endif // ANE_UNARY_TD
