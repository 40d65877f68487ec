//===- Quant.td - quantise, dequantise, compressed constants ---------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

def ANE_QuantizeOp : ANE_TensorOp<"quantize"> {
  let summary = "clip(round(input / scale) + zero_point)";
  let arguments = (ins ANE_Float:$input, ANE_Float:$scale, Optional<ANE_Any>:$zero_point, OptionalAttr<I64Attr>:$axis, TypeAttr:$output_dtype);
  let results = (outs ANE_Int:$y);
  let milOpset = 17;
}
def ANE_DequantizeOp : ANE_TensorOp<"dequantize"> {
  let summary = "scale * (input - zero_point)";
  let arguments = (ins ANE_Any:$input, ANE_Float:$scale, Optional<ANE_Any>:$zero_point, OptionalAttr<I64Attr>:$axis);
  let results = (outs ANE_Float:$y);
  let milOpset = 17;
}
def ANE_ConstexprBlockwiseShiftScaleOp : ANE_TensorOp<"constexpr_blockwise_shift_scale"> {
  let summary = "scale * (data - offset), scale and offset repeated per block";
  let arguments = (ins ANE_Any:$data, ANE_Float:$scale, Optional<ANE_Any>:$offset);
  let results = (outs ANE_Float:$y);
  let milOpset = 18;
}
