//===- Quant.td - quantise, dequantise, compressed constants ---------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANE_QUANT_TD
#define ANE_QUANT_TD

include "dialects/ANE/IR/ANEBase.td"

def ANE_QuantizeOp : ANE_TensorOp<"quantize"> {
  let noGradient = "quantised values have steps; train the float model, or freeze what is quantised";
  let summary = "clip(round(input / scale) + zero_point)";
  let arguments = (ins ANE_Float:$input, ANE_Float:$scale, Optional<ANE_Any>:$zero_point, OptionalAttr<ANE_I64>:$axis, TypeAttr:$output_dtype);
  let results = (outs ANE_Int:$y);
  let milOpset = 17;
  let ownLegality = 1;
}
def ANE_DequantizeOp : ANE_TensorOp<"dequantize"> {
  let noGradient = "quantised values have steps; train the float model, or freeze what is quantised";
  let summary = "scale * (input - zero_point)";
  let arguments = (ins ANE_Any:$input, ANE_Float:$scale, Optional<ANE_Any>:$zero_point, OptionalAttr<ANE_I64>:$axis);
  let results = (outs ANE_Float:$y);
  let milOpset = 17;
  let ownLegality = 1;
}
def ANE_ConstexprBlockwiseShiftScaleOp : ANE_TensorOp<"constexpr_blockwise_shift_scale"> {
  let noGradient = "quantised values have steps; train the float model, or freeze what is quantised";
  let summary = "scale * (data - offset), scale and offset repeated per block";
  let arguments = (ins ANE_Any:$data, ANE_Float:$scale, Optional<ANE_Any>:$offset);
  let results = (outs ANE_Float:$y);
  let milOpset = 18;
}

class ANE_Constexpr<string mnemonic, dag args, dag res> : ANE_TensorOp<mnemonic> {
  let arguments = args;
  let results = res;
  let milOpset = 18;
  let evidence = ANE_HostOnly<"L10", "compressed constants are written out as fp16">;
}
def ANE_ConstexprLutToDenseOp : ANE_Constexpr<"constexpr_lut_to_dense", (ins ANE_Any:$indices, ANE_Any:$lut,
    OptionalAttr<ANE_I64>:$vector_axis), (outs ANE_Any:$y)> {
  let noGradient = "quantised values have steps; train the float model, or freeze what is quantised";
  let summary = "Entries of a table by index";
  let description = [{
    indices [d1…dK], lut [g1…gK, entries, V]: the group of an index is its position divided by the size of the groups.
    V values of one entry lie one after the other along `vector_axis`.
  }];
}
def ANE_ConstexprSparseToDenseOp : ANE_Constexpr<"constexpr_sparse_to_dense", (ins ANE_Any:$nonzero_data, ANE_Any:$mask),
    (outs ANE_Any:$y)> {
  let noGradient = "quantised values have steps; train the float model, or freeze what is quantised";
  let summary = "The values one after the other where the mask is 1, 0 elsewhere";
}
def ANE_ConstexprLutToSparseOp : ANE_Constexpr<"constexpr_lut_to_sparse", (ins ANE_Any:$indices_mask,
    ANE_Any:$indices_nonzero_data, ANE_Any:$lut, OptionalAttr<ANE_I64>:$vector_axis), (outs ANE_Any:$mask, ANE_Any:$nonzero_data)> {
  let noGradient = "quantised values have steps; train the float model, or freeze what is quantised";
  let summary = "constexpr_lut_to_dense of the non-zero elements alone";
}
def ANE_ConstexprSparseBlockwiseShiftScaleOp : ANE_Constexpr<"constexpr_sparse_blockwise_shift_scale", (ins ANE_Any:$data_mask,
    ANE_Any:$nonzero_data, ANE_Float:$scale, Optional<ANE_Any>:$offset), (outs ANE_Any:$mask, ANE_Any:$y)> {
  let noGradient = "quantised values have steps; train the float model, or freeze what is quantised";
  let summary = "constexpr_blockwise_shift_scale of the non-zero elements alone";
}

#endif // ANE_QUANT_TD
