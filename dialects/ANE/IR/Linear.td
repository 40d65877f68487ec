//===- Linear.td - convolution, matmul, attention -------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANE_LINEAR_TD
#define ANE_LINEAR_TD

include "dialects/ANE/IR/ANEBase.td"

class ANE_ConvBase<string mnemonic, dag more> : ANE_TensorOp<mnemonic> {
  let ownGradient = 1;
  let arguments = !con((ins ANE_Float:$x, ANE_Float:$weight, Optional<ANE_Float>:$bias, DenseI64ArrayAttr:$strides,
      ANE_Choice<ANE_PadType>:$pad_type, DenseI64ArrayAttr:$pad, DenseI64ArrayAttr:$dilations, DefaultValuedAttr<ANE_I64, "1">:$groups), more);
  let results = (outs ANE_Float:$y);
  let ownLegality = 1;
  let ownCost = 1;
}
def ANE_ConvOp : ANE_ConvBase<"conv", (ins)> {
  let summary = "Cross-correlation over 1 to 3 spatial axes";
  let description = [{
    x [N,Ci,D…], weight [Co,Ci/groups,K…], bias [Co]. `pad_type` is valid, same, same_lower or custom; `pad` holds
    begin and end of each spatial axis in turn and is used only by custom. The result's extent is
    floor((D + pads - (K-1)*dilation - 1) / stride) + 1.
  }];
}
def ANE_ConvTransposeOp : ANE_ConvBase<"conv_transpose", (ins OptionalAttr<DenseI64ArrayAttr>:$output_shape)> {
  let summary = "Transposed convolution";
  let description = [{ weight [Ci,Co/groups,K…]; each input element is scattered times the kernel, then `pad` is cropped. }];
  let evidence = ANE_Candidate;
}

def ANE_MatmulOp : ANE_TensorOp<"matmul"> {
  let ownGradient = 1;
  let summary = "Matrix product with broadcast batch dimensions";
  let arguments = (ins ANE_Number:$x, ANE_Number:$y, ANE_False:$transpose_x, ANE_False:$transpose_y);
  let results = (outs ANE_Number:$z);
  let ownLegality = 1;
  let ownCost = 1;
}
def ANE_LinearOp : ANE_TensorOp<"linear"> {
  let ownGradient = 1;
  let summary = "x times the transpose of weight, plus bias";
  let arguments = (ins ANE_Number:$x, ANE_Number:$weight, Optional<ANE_Number>:$bias);
  let results = (outs ANE_Number:$y);
  let evidence = ANE_Decomposed<"1.11.1", "linear falls off RAW; a 1x1 convolution or matmul is used">;
  let ownCost = 1;
}
def ANE_EinsumOp : ANE_TensorOp<"einsum"> {
  let ownGradient = 1;
  let summary = "MIL's two einsum forms";
  let arguments = (ins Variadic<ANE_Float>:$values, StrAttr:$equation);
  let results = (outs ANE_Float:$y);
  let evidence = ANE_Candidate;
  let ownCost = 1;
}

def ANE_ScaledDotProductAttentionOp : ANE_TensorOp<"scaled_dot_product_attention"> {
  let ownGradient = 1;
  let summary = "softmax(query · key^T / sqrt(E) + mask) · value";
  let description = [{
    query [B,*,L,E], key [B,*,S,E], value [B,*,S,EV] with the same batch dimensions. The mask broadcasts to [B,*,L,S]:
    floats are added, false means minus infinity.
  }];
  let arguments = (ins ANE_Float:$query, ANE_Float:$key, ANE_Float:$value, Optional<ANE_Any>:$attn_mask);
  let results = (outs ANE_Float:$y);
  let evidence = ANE_Decomposed<"L15", "the mask is ignored on RAW; matmul and softmax are used">;
  let milOpset = 18;
  let ownCost = 1;
}

#endif // ANE_LINEAR_TD
