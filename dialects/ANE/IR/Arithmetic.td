//===- Arithmetic.td - sums, products and other functions of two numbers --===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// Semantics: mil/operations.md §1.2 and mil/numerics.md §8. `scalar` is the whole evaluator.
//
//===----------------------------------------------------------------------===//

#ifndef ANE_ARITHMETIC_TD
#define ANE_ARITHMETIC_TD

include "dialects/ANE/IR/ANEBase.td"

class ANE_Binary<string mnemonic, TypeConstraint type = ANE_Number, list<Trait> traits = []> : ANE_Broadcasting<mnemonic, type, "nullptr", traits>;

def ANE_AddOp : ANE_Binary<"add", ANE_Number, [Commutative]> {
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
def ANE_MulOp : ANE_Binary<"mul", ANE_Number, [Commutative]> {
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
  let picksElements = 1;
  let gradient = ["select(x > y, g, 0)", "select(x > y, 0, g)"];
  let summary = "The larger of x and y, broadcast";
  let scalar = "std::isnan(x) || x > y ? x : y";
  let scalarInt = "x > y ? x : y";
}
def ANE_MinimumOp : ANE_Binary<"minimum"> {
  let picksElements = 1;
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

#endif // ANE_ARITHMETIC_TD
