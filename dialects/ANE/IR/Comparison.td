//===- Comparison.td - comparisons, truth values, select ------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// Semantics: mil/operations.md §1.2 and mil/numerics.md §8.
//
//===----------------------------------------------------------------------===//

#ifndef ANE_COMPARISON_TD
#define ANE_COMPARISON_TD

include "dialects/ANE/IR/ANEBase.td"

class ANE_Compare<string mnemonic, list<Trait> traits = []> : ANE_Broadcasting<mnemonic, ANE_Number, "::mlir::IntegerType::get(context, 1)", traits> { let gradient = ["0", "0"]; }
class ANE_Logical<string mnemonic> : ANE_Broadcasting<mnemonic, ANE_Bool, "nullptr", [Commutative]> {
  let gradient = ["0", "0"];
  let evidence = ANE_HostOnly<"L05", "logical operations do not compile on RAW">;
}
def ANE_LogicalNotOp : ANE_Unary<"logical_not", ANE_Bool> {
  let gradient = ["0"];
  let summary = "True where x is false";
  let imports = [ANE_From<"Not", 1>];
  let scalarInt = "!x";
}
def ANE_EqualOp : ANE_Compare<"equal", [Commutative]> { let picksElements = 1; let scalar = "x == y"; let scalarInt = "x == y"; }
def ANE_NotEqualOp : ANE_Compare<"not_equal", [Commutative]> { let picksElements = 1; let scalar = "x != y"; let scalarInt = "x != y"; }
def ANE_GreaterOp : ANE_Compare<"greater"> { let picksElements = 1; let imports = [ANE_From<"Greater", 7>]; let scalar = "x > y"; let scalarInt = "x > y"; }
def ANE_GreaterEqualOp : ANE_Compare<"greater_equal"> { let picksElements = 1; let imports = [ANE_From<"GreaterOrEqual", 12>]; let scalar = "x >= y"; let scalarInt = "x >= y"; }
def ANE_LessOp : ANE_Compare<"less"> { let picksElements = 1; let imports = [ANE_From<"Less", 7>]; let scalar = "x < y"; let scalarInt = "x < y"; }
def ANE_LessEqualOp : ANE_Compare<"less_equal"> { let picksElements = 1; let imports = [ANE_From<"LessOrEqual", 12>]; let scalar = "x <= y"; let scalarInt = "x <= y"; }
def ANE_LogicalAndOp : ANE_Logical<"logical_and"> { let imports = [ANE_From<"And", 7>]; let scalarInt = "x && y"; }
def ANE_LogicalOrOp : ANE_Logical<"logical_or"> { let imports = [ANE_From<"Or", 7>]; let scalarInt = "x || y"; }
def ANE_LogicalXorOp : ANE_Logical<"logical_xor"> { let imports = [ANE_From<"Xor", 7>]; let scalarInt = "!x != !y"; }

def ANE_SelectOp : ANE_TensorOp<"select"> {
  let movesElements = 1;
  let gradient = ["0", "select(cond, g, 0)", "select(cond, 0, g)"];
  let summary = "cond ? a : b, with broadcasting";
  let arguments = (ins ANE_Bool:$cond, ANE_Any:$a, ANE_Any:$b);
  let results = (outs ANE_Any:$y);
}

#endif // ANE_COMPARISON_TD
