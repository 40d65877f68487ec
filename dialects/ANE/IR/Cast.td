//===- Cast.td - element types, copies ------------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANE_CAST_TD
#define ANE_CAST_TD

include "dialects/ANE/IR/ANEBase.td"

def ANE_CastOp : ANE_TensorOp<"cast"> {
  let ownGradient = 1;
  let summary = "Converts the element type";
  let description = [{ Float to integer truncates toward zero, to bool is `!= 0`, to a narrower float rounds to nearest even. }];
  let arguments = (ins ANE_Any:$x, TypeAttr:$dtype);
  let results = (outs ANE_Any:$y);
  let ownLegality = 1;
  let hasFolder = 1;
}
def ANE_IdentityOp : ANE_Unary<"identity", ANE_Any> { let movesElements = 1; let gradient = ["g"]; let summary = "x itself"; let hasFolder = 1; }

#endif // ANE_CAST_TD
