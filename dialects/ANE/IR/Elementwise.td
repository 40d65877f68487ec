//===- Elementwise.td - unary, binary, activations, select, cast -----------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// Semantics: mil/operations.md §1.1-1.3 and mil/numerics.md §8. `scalar` is the whole evaluator.
//
//===----------------------------------------------------------------------===//

class ANE_Unary<string mnemonic, TypeConstraint type = ANE_Float, dag params = (ins)>
    : ANE_TensorOp<mnemonic, []> {
  let arguments = !con((ins type:$x), params);
  let results = (outs type:$y);
  let inferBody = [{
      types.push_back(adaptor.getX().getType());
      return ::mlir::success();
  }];
}

class ANE_Broadcasting<string mnemonic, TypeConstraint type, string resultType> : ANE_TensorOp<mnemonic, []> {
  let arguments = (ins type:$x, type:$y);
  let results = (outs ANE_Any:$z);
  let inferBody = [{
      return ::mlir::ane::inferBroadcast(context, loc, getOperationName(), adaptor.getOperands(), }] # resultType # [{, types);
  }];
}
class ANE_Binary<string mnemonic, TypeConstraint type = ANE_Number> : ANE_Broadcasting<mnemonic, type, "nullptr">;
class ANE_Compare<string mnemonic> : ANE_Broadcasting<mnemonic, ANE_Number, "::mlir::IntegerType::get(context, 1)"> { let gradient = ["0", "0"]; }
class ANE_Logical<string mnemonic> : ANE_Broadcasting<mnemonic, ANE_Bool, "nullptr"> {
  let gradient = ["0", "0"];
  let evidence = ANE_HostOnly<"L05", "logical operations do not compile on RAW">;
}

class ANE_NoTrig : ANE_HostOnly<"L05", "tan, asin, acos, sinh, cosh do not compile">;

//===----------------------------------------------------------------------===//
// Unary
//===----------------------------------------------------------------------===//

def ANE_AbsOp : ANE_Unary<"abs", ANE_Number> {
  let gradient = ["g * sign(x)"];
  let summary = "|x|";
  let imports = [ANE_From<"Abs", 1>];
  let scalar = "std::fabs(x)";
  let scalarInt = "x < 0 ? int64_t(0 - uint64_t(x)) : x";
}
def ANE_SignOp : ANE_Unary<"sign", ANE_Number> {
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
def ANE_CeilOp : ANE_Unary<"ceil"> { let gradient = ["0"]; let summary = "The smallest integer not below x"; let imports = [ANE_From<"Ceil", 1>]; let scalar = "std::ceil(x)"; }
def ANE_FloorOp : ANE_Unary<"floor"> { let gradient = ["0"]; let summary = "The largest integer not above x"; let imports = [ANE_From<"Floor", 1>]; let scalar = "std::floor(x)"; }
def ANE_RoundOp : ANE_Unary<"round"> { let gradient = ["0"]; let summary = "The nearest integer, ties to even"; let imports = [ANE_From<"Round", 11>]; let scalar = "std::nearbyint(x)"; }
def ANE_ExpOp : ANE_Unary<"exp"> { let gradient = ["g * y"]; let summary = "e to the power of x"; let imports = [ANE_From<"Exp", 1>]; let scalar = "std::exp(x)"; }
def ANE_Exp2Op : ANE_Unary<"exp2"> { let gradient = ["g * (0.6931471805599453 * y)"]; let summary = "2 to the power of x"; let scalar = "std::exp2(x)"; }
def ANE_ErfOp : ANE_Unary<"erf"> { let gradient = ["g * (1.1283791670955126 * exp(-(x * x)))"]; let summary = "The error function of x"; let imports = [ANE_From<"Erf", 9>]; let scalar = "std::erf(x)"; }
def ANE_SqrtOp : ANE_Unary<"sqrt"> { let gradient = ["0.5 * g / y"]; let summary = "The square root of x"; let imports = [ANE_From<"Sqrt", 1>]; let scalar = "std::sqrt(x)"; }
def ANE_AtanOp : ANE_Unary<"atan"> { let gradient = ["g / (1 + x * x)"]; let summary = "The arc tangent of x"; let imports = [ANE_From<"Atan", 7>]; let scalar = "std::atan(x)"; }
// sin and cos are native from H15 on by table (S23); RAW failed on the one chip that was tried.
def ANE_NoRawTrig : ANE_OnE5RT<"seen on E5RT; failed on RAW on the one chip tried (IM)">;
def ANE_SinOp : ANE_Unary<"sin"> {
  let gradient = ["g * cos(x)"];
  let summary = "The sine of x in radians";
  let imports = [ANE_From<"Sin", 7>]; let scalar = "std::sin(x)"; let evidence = ANE_NoRawTrig; let ownLegality = 1;
}
def ANE_CosOp : ANE_Unary<"cos"> {
  let gradient = ["-(g * sin(x))"];
  let summary = "The cosine of x in radians";
  let imports = [ANE_From<"Cos", 7>]; let scalar = "std::cos(x)"; let evidence = ANE_NoRawTrig; let ownLegality = 1;
}
def ANE_TanhOp : ANE_Unary<"tanh"> { let gradient = ["g * (1 - y * y)"]; let summary = "The hyperbolic tangent of x"; let imports = [ANE_From<"Tanh", 1>]; let scalar = "std::tanh(x)"; }
let evidence = ANE_NoTrig<> in {
def ANE_TanOp : ANE_Unary<"tan"> { let gradient = ["g * (1 + y * y)"]; let summary = "The tangent of x in radians"; let imports = [ANE_From<"Tan", 7>]; let scalar = "std::tan(x)"; }
def ANE_AsinOp : ANE_Unary<"asin"> { let gradient = ["g * rsqrt(1 - x * x)"]; let summary = "The arc sine of x"; let imports = [ANE_From<"Asin", 7>]; let scalar = "std::asin(x)"; }
def ANE_AcosOp : ANE_Unary<"acos"> { let gradient = ["-(g * rsqrt(1 - x * x))"]; let summary = "The arc cosine of x"; let imports = [ANE_From<"Acos", 7>]; let scalar = "std::acos(x)"; }
def ANE_AtanhOp : ANE_Unary<"atanh"> { let gradient = ["g / (1 - x * x)"]; let summary = "The inverse hyperbolic tangent of x"; let imports = [ANE_From<"Atanh", 9>]; let scalar = "std::atanh(x)"; }
def ANE_SinhOp : ANE_Unary<"sinh"> { let gradient = ["g * cosh(x)"]; let summary = "The hyperbolic sine of x"; let imports = [ANE_From<"Sinh", 9>]; let scalar = "std::sinh(x)"; }
def ANE_CoshOp : ANE_Unary<"cosh"> { let gradient = ["g * sinh(x)"]; let summary = "The hyperbolic cosine of x"; let imports = [ANE_From<"Cosh", 9>]; let scalar = "std::cosh(x)"; }
}
def ANE_LogicalNotOp : ANE_Unary<"logical_not", ANE_Bool> {
  let gradient = ["0"];
  let summary = "True where x is false";
  let imports = [ANE_From<"Not", 1>];
  let scalarInt = "!x";
}
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
def ANE_ThresholdOp : ANE_Unary<"threshold", ANE_Float, (ins F32Attr:$alpha)> {
  let gradient = ["select(x < alpha, 0, g)"];
  let summary = "The larger of x and alpha";
  let scalar = "x < alpha ? alpha : x";
  let evidence = ANE_Candidate;
}

//===----------------------------------------------------------------------===//
// Activations
//===----------------------------------------------------------------------===//

def ANE_ReluOp : ANE_Unary<"relu"> {
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
def ANE_SoftsignOp : ANE_Unary<"softsign"> { let gradient = ["g / square(1 + abs(x))"]; let summary = "x by 1 + |x|"; let imports = [ANE_From<"Softsign", 1>]; let scalar = "x / (1.0f + std::fabs(x))"; }
let evidence = ANE_Candidate in {
def ANE_LeakyReluOp : ANE_Unary<"leaky_relu", ANE_Float, (ins DefaultValuedAttr<F32Attr, "0.01f">:$alpha)> {
  let gradient = ["select(x < 0, alpha * g, g)"];
  let summary = "x, times alpha where negative";
  let imports = [ANE_From<"LeakyRelu", 1>];
  let scalar = "x < 0 ? alpha * x : x";
}
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
def ANE_SigmoidHardOp : ANE_Unary<"sigmoid_hard", ANE_Float,
    (ins DefaultValuedAttr<F32Attr, "0.2f">:$alpha, DefaultValuedAttr<F32Attr, "0.5f">:$beta)> {
  let gradient = ["select(y > 0, select(y < 1, alpha * g, 0), 0)"];
  let summary = "alpha times x plus beta, limited to 0 … 1";
  let imports = [ANE_From<"HardSigmoid", 1>];
  let scalar = "std::fmin(std::fmax(alpha * x + beta, 0.0f), 1.0f)";
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
def ANE_GeluOp : ANE_Unary<"gelu", ANE_Float, (ins DefaultValuedAttr<StrAttr, "\"EXACT\"">:$mode)> {
  let ownGradient = 1;
  let summary = "Gaussian error linear unit";
  let description = [{ `mode` is EXACT, TANH_APPROXIMATION or SIGMOID_APPROXIMATION. }];
  let evidence = ANE_Decomposed<"L03", "the gelu operation does not compile on RAW">;
  let hasVerifier = 1;
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

def ANE_CastOp : ANE_TensorOp<"cast"> {
  let ownGradient = 1;
  let summary = "Converts the element type";
  let description = [{ Float to integer truncates toward zero, to bool is `!= 0`, to a narrower float rounds to nearest even. }];
  let arguments = (ins ANE_Any:$x, TypeAttr:$dtype);
  let results = (outs ANE_Any:$y);
  let ownLegality = 1;
  let hasFolder = 1;
}
def ANE_IdentityOp : ANE_Unary<"identity", ANE_Any> { let gradient = ["g"]; let summary = "x itself"; let hasFolder = 1; }

//===----------------------------------------------------------------------===//
// Binary
//===----------------------------------------------------------------------===//

def ANE_AddOp : ANE_Binary<"add"> {
  let gradient = ["g", "g"];
  let summary = "x plus y, broadcast";
  let imports = [ANE_From<"Add", 7>];
  let scalar = "x + y";
  let scalarInt = "int64_t(uint64_t(x) + uint64_t(y))";
}
def ANE_SubOp : ANE_Binary<"sub"> {
  let gradient = ["g", "-g"];
  let summary = "x minus y, broadcast";
  let imports = [ANE_From<"Sub", 7>];
  let scalar = "x - y";
  let scalarInt = "int64_t(uint64_t(x) - uint64_t(y))";
}
def ANE_MulOp : ANE_Binary<"mul"> {
  let gradient = ["g * y", "g * x"];
  let summary = "x times y, broadcast";
  let imports = [ANE_From<"Mul", 7>];
  let scalar = "x * y";
  let scalarInt = "int64_t(uint64_t(x) * uint64_t(y))";
}
def ANE_RealDivOp : ANE_Binary<"real_div"> {
  let gradient = ["g / y", "-(g * z / y)"];
  let summary = "x by y, broadcast";
  let scalar = "x / y";
  let scalarInt = "y == 0 ? 0 : y == -1 ? int64_t(0 - uint64_t(x)) : x / y";
}
def ANE_FloorDivOp : ANE_Binary<"floor_div"> {
  let gradient = ["0", "0"];
  let summary = "x by y rounded down, broadcast";
  let scalar = "std::floor(x / y)";
  let scalarInt = "y == 0 ? 0 : y == -1 ? int64_t(0 - uint64_t(x)) : x / y - ((x % y != 0) && ((x < 0) != (y < 0)))";
}
def ANE_ModOp : ANE_Binary<"mod"> {
  let gradient = ["g", "-(g * floor(x / y))"];
  let summary = "What floor_div leaves, with the sign of y";
  let scalar = "floorModulo(x, y)";
  let scalarInt = "y == 0 || y == -1 ? 0 : (x % y + ((x % y != 0 && ((x % y < 0) != (y < 0))) ? y : 0))";
  let evidence = ANE_HostOnly<"L05", "mod does not compile">;
}
def ANE_MaximumOp : ANE_Binary<"maximum"> {
  let gradient = ["select(x > y, g, 0)", "select(x > y, 0, g)"];
  let summary = "The larger of x and y, broadcast";
  let scalar = "std::isnan(x) || x > y ? x : y";
  let scalarInt = "x > y ? x : y";
}
def ANE_MinimumOp : ANE_Binary<"minimum"> {
  let gradient = ["select(x < y, g, 0)", "select(x < y, 0, g)"];
  let summary = "The smaller of x and y, broadcast";
  let scalar = "std::isnan(x) || x < y ? x : y";
  let scalarInt = "x < y ? x : y";
}
def ANE_PowOp : ANE_Binary<"pow"> {
  let gradient = ["g * (y * pow(x, y - 1))", "g * (z * select(x > 0, log(select(x > 0, x, 1)), 0))"];
  let summary = "x to the power of y, broadcast";
  let scalar = "std::pow(x, y)";
  let scalarInt = "integerPower(x, y)";
}
def ANE_EqualOp : ANE_Compare<"equal"> { let scalar = "x == y"; let scalarInt = "x == y"; }
def ANE_NotEqualOp : ANE_Compare<"not_equal"> { let scalar = "x != y"; let scalarInt = "x != y"; }
def ANE_GreaterOp : ANE_Compare<"greater"> { let imports = [ANE_From<"Greater", 7>]; let scalar = "x > y"; let scalarInt = "x > y"; }
def ANE_GreaterEqualOp : ANE_Compare<"greater_equal"> { let imports = [ANE_From<"GreaterOrEqual", 12>]; let scalar = "x >= y"; let scalarInt = "x >= y"; }
def ANE_LessOp : ANE_Compare<"less"> { let imports = [ANE_From<"Less", 7>]; let scalar = "x < y"; let scalarInt = "x < y"; }
def ANE_LessEqualOp : ANE_Compare<"less_equal"> { let imports = [ANE_From<"LessOrEqual", 12>]; let scalar = "x <= y"; let scalarInt = "x <= y"; }
def ANE_LogicalAndOp : ANE_Logical<"logical_and"> { let imports = [ANE_From<"And", 7>]; let scalarInt = "x && y"; }
def ANE_LogicalOrOp : ANE_Logical<"logical_or"> { let imports = [ANE_From<"Or", 7>]; let scalarInt = "x || y"; }
def ANE_LogicalXorOp : ANE_Logical<"logical_xor"> { let imports = [ANE_From<"Xor", 7>]; let scalarInt = "!x != !y"; }

def ANE_SelectOp : ANE_TensorOp<"select"> {
  let gradient = ["0", "select(cond, g, 0)", "select(cond, 0, g)"];
  let summary = "cond ? a : b, with broadcasting";
  let arguments = (ins ANE_Bool:$cond, ANE_Any:$a, ANE_Any:$b);
  let results = (outs ANE_Any:$y);
}
