//===- Dynamic.td - positions, sizes and values known at run time ----------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANE_DYNAMIC_TD
#define ANE_DYNAMIC_TD

include "dialects/ANE/IR/ANEBase.td"

class ANE_Dynamic<string mnemonic, dag args, TypeConstraint result = ANE_Any> : ANE_TensorOp<mnemonic> {
  let arguments = args;
  let results = (outs result:$y);
  let evidence = ANE_HostOnly<"L05", "no evidence that positions known at run time compile">;
}
defvar ANE_Masks = (ins OptionalAttr<DenseI64ArrayAttr>:$stride, OptionalAttr<DenseBoolArrayAttr>:$begin_mask,
    OptionalAttr<DenseBoolArrayAttr>:$end_mask, OptionalAttr<DenseBoolArrayAttr>:$squeeze_mask);
def ANE_DynamicSliceOp : ANE_Dynamic<"dynamic_slice", !con((ins ANE_Any:$x, ANE_Int:$begin, ANE_Int:$end), ANE_Masks)> {
  let movesElements = 1;
  let ownGradient = 1;
  let summary = "slice_by_index whose bounds are values";
  let milName = "slice_by_index";
}
def ANE_DynamicSliceBySizeOp : ANE_Dynamic<"dynamic_slice_by_size", (ins ANE_Any:$x, ANE_Int:$begin, DenseI64ArrayAttr:$size)> {
  let movesElements = 1;
  let ownGradient = 1;
  let summary = "slice_by_size at a position that is a value";
  let milName = "slice_by_size";
}
def ANE_SliceUpdateOp : ANE_Dynamic<"slice_update", !con((ins ANE_Any:$x, ANE_Any:$update, ANE_Int:$begin, ANE_Int:$end), ANE_Masks)> {
  let movesElements = 1;
  let ownGradient = 1;
  let summary = "x with x[begin:end:stride] replaced by `update`";
  let milOpset = 18;
}
def ANE_FillLikeOp : ANE_Dynamic<"fill_like", (ins ANE_Any:$ref_tensor, ANE_Any:$value)> {
  let ownGradient = 1;
  let summary = "A tensor of the shape of `ref_tensor` full of one value";
  let milOpset = 16;
}
def ANE_ShapeOp : ANE_Dynamic<"shape", (ins ANE_Any:$x), ANE_Int> { let gradient = ["0"]; let summary = "The extents of x"; }
def ANE_Range1dOp : ANE_Dynamic<"range_1d", (ins ANE_Number:$end, ANE_Number:$start, ANE_Number:$step), ANE_Number> {
  let noGradient = "its length depends on its operands";
  let summary = "start, start + step, … before end";
}

#endif // ANE_DYNAMIC_TD
