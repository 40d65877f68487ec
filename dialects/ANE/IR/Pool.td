//===- Pool.td - windows --------------------------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANE_POOL_TD
#define ANE_POOL_TD

include "dialects/ANE/IR/ANEBase.td"

class ANE_Pool<string mnemonic, dag more, string why = "seen on E5RT; the one form tried on RAW failed (IM)"> : ANE_TensorOp<mnemonic> {
  let ownGradient = 1;
  let arguments = !con((ins ANE_Float:$x, DenseI64ArrayAttr:$kernel_sizes, DenseI64ArrayAttr:$strides, ANE_Choice<ANE_PadType>:$pad_type,
      DenseI64ArrayAttr:$pad), more);
  let results = (outs ANE_Float:$y);
  let evidence = ANE_OnE5RT<why>;
  let ownLegality = 1;
  let ownCost = 1;
}
def ANE_MaxPoolOp : ANE_Pool<"max_pool", (ins ANE_False:$ceil_mode)> { let picksElements = 1; let summary = "Maximum over a window"; }
def ANE_AvgPoolOp : ANE_Pool<"avg_pool", (ins ANE_False:$exclude_padding_from_average, ANE_False:$ceil_mode)> {
  let summary = "Mean over a window";
}
def ANE_L2PoolOp : ANE_Pool<"l2_pool", (ins ANE_False:$ceil_mode), ANE_Candidate.why> { let summary = "Euclidean norm over a window"; }

#endif // ANE_POOL_TD
