//===- Linear.td - convolution, matmul, pooling, recurrent -----------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

class ANE_ConvBase<string mnemonic, dag more> : ANE_TensorOp<mnemonic> {
  let ownGradient = 1;
  let arguments = !con((ins ANE_Float:$x, ANE_Float:$weight, Optional<ANE_Float>:$bias, DenseI64ArrayAttr:$strides,
      StrAttr:$pad_type, DenseI64ArrayAttr:$pad, DenseI64ArrayAttr:$dilations, DefaultValuedAttr<I64Attr, "1">:$groups), more);
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

class ANE_Pool<string mnemonic, dag more, string why = "seen on E5RT; the one form tried on RAW failed (IM)"> : ANE_TensorOp<mnemonic> {
  let ownGradient = 1;
  let arguments = !con((ins ANE_Float:$x, DenseI64ArrayAttr:$kernel_sizes, DenseI64ArrayAttr:$strides, StrAttr:$pad_type,
      DenseI64ArrayAttr:$pad), more);
  let results = (outs ANE_Float:$y);
  let evidence = ANE_OnE5RT<why>;
  let ownLegality = 1;
  let ownCost = 1;
}
def ANE_MaxPoolOp : ANE_Pool<"max_pool", (ins ANE_False:$ceil_mode)> { let summary = "Maximum over a window"; }
def ANE_AvgPoolOp : ANE_Pool<"avg_pool", (ins ANE_False:$exclude_padding_from_average, ANE_False:$ceil_mode)> {
  let summary = "Mean over a window";
}
def ANE_L2PoolOp : ANE_Pool<"l2_pool", (ins ANE_False:$ceil_mode), ANE_Candidate.why> { let summary = "Euclidean norm over a window"; }

def ANE_Forward : DefaultValuedAttr<StrAttr, "\"forward\"">;
def ANE_Sigmoid : DefaultValuedAttr<StrAttr, "\"sigmoid\"">;
def ANE_Tanh : DefaultValuedAttr<StrAttr, "\"tanh\"">;
class ANE_Recurrent<string mnemonic, dag args, dag res, list<Trait> traits = []> : ANE_TensorOp<mnemonic, traits> {
  let noGradient = "its steps are inside the op; train its weights too, which writes the steps out";
  let arguments = args;
  let results = res;
  let evidence = ANE_HostOnly<"L05", "recurrent operations do not compile; unroll for the engine">;
  let ownCost = 1;
}
def ANE_LstmOp : ANE_Recurrent<"lstm", (ins ANE_Float:$x, ANE_Float:$initial_h, ANE_Float:$initial_c,
    ANE_Float:$weight_ih, ANE_Float:$weight_hh, Optional<ANE_Float>:$bias, Optional<ANE_Float>:$peephole,
    Optional<ANE_Float>:$weight_ih_back, Optional<ANE_Float>:$weight_hh_back, Optional<ANE_Float>:$bias_back,
    Optional<ANE_Float>:$peephole_back, ANE_Forward:$direction, ANE_False:$output_sequence, ANE_Sigmoid:$recurrent_activation,
    ANE_Tanh:$cell_activation, ANE_Tanh:$activation, OptionalAttr<F32Attr>:$clip),
    (outs ANE_Float:$y, ANE_Float:$h, ANE_Float:$c), [AttrSizedOperandSegments]> {
  let summary = "Long short-term memory";
  let description = [{ x [s,b,I], states [b,D*H], weights [4H,·] in gate order i,f,o,z; one result row per step, or the last. }];
}
def ANE_GruOp : ANE_Recurrent<"gru", (ins ANE_Float:$x, ANE_Float:$initial_h, ANE_Float:$weight_ih, ANE_Float:$weight_hh,
    Optional<ANE_Float>:$bias, Optional<ANE_Float>:$input_bias, ANE_Forward:$direction, ANE_False:$output_sequence,
    ANE_Sigmoid:$recurrent_activation, ANE_Tanh:$activation, OptionalAttr<BoolAttr>:$reset_after),
    (outs ANE_Float:$y, ANE_Float:$h), [AttrSizedOperandSegments]> {
  let summary = "Gated recurrent unit; gate order r,o,z";
  let milSince = ["reset_after=18", "input_bias=18"];
}
def ANE_RnnOp : ANE_Recurrent<"rnn", (ins ANE_Float:$x, ANE_Float:$initial_h, ANE_Float:$weight_ih, ANE_Float:$weight_hh,
    Optional<ANE_Float>:$bias, ANE_Forward:$direction, ANE_False:$output_sequence, ANE_Tanh:$activation),
    (outs ANE_Float:$y, ANE_Float:$h)> {
  let summary = "Elman recurrence";
}
