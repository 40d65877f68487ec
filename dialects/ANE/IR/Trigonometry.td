//===- Trigonometry.td - sines, tangents and their inverses ---------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// Semantics: mil/operations.md §1.1 and mil/numerics.md §8. `scalar` is the whole evaluator.
//
//===----------------------------------------------------------------------===//

#ifndef ANE_TRIGONOMETRY_TD
#define ANE_TRIGONOMETRY_TD

include "dialects/ANE/IR/ANEBase.td"

class ANE_NoTrig : ANE_HostOnly<"L05", "tan, asin, acos, sinh, cosh do not compile">;
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
let evidence = ANE_NoTrig<> in {
def ANE_TanOp : ANE_Unary<"tan"> { let gradient = ["g * (1 + y * y)"]; let summary = "The tangent of x in radians"; let imports = [ANE_From<"Tan", 7>]; let scalar = "std::tan(x)"; }
def ANE_AsinOp : ANE_Unary<"asin"> { let gradient = ["g * rsqrt(1 - x * x)"]; let summary = "The arc sine of x"; let imports = [ANE_From<"Asin", 7>]; let scalar = "std::asin(x)"; }
def ANE_AcosOp : ANE_Unary<"acos"> { let gradient = ["-(g * rsqrt(1 - x * x))"]; let summary = "The arc cosine of x"; let imports = [ANE_From<"Acos", 7>]; let scalar = "std::acos(x)"; }
def ANE_AtanhOp : ANE_Unary<"atanh"> { let gradient = ["g / (1 - x * x)"]; let summary = "The inverse hyperbolic tangent of x"; let imports = [ANE_From<"Atanh", 9>]; let scalar = "std::atanh(x)"; }
def ANE_SinhOp : ANE_Unary<"sinh"> { let gradient = ["g * cosh(x)"]; let summary = "The hyperbolic sine of x"; let imports = [ANE_From<"Sinh", 9>]; let scalar = "std::sinh(x)"; }
def ANE_CoshOp : ANE_Unary<"cosh"> { let gradient = ["g * sinh(x)"]; let summary = "The hyperbolic cosine of x"; let imports = [ANE_From<"Cosh", 9>]; let scalar = "std::cosh(x)"; }
}

#endif // ANE_TRIGONOMETRY_TD
