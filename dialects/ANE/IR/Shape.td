//===- Shape.td - data movement --------------------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANE_SHAPE_TD
#define ANE_SHAPE_TD

include "dialects/ANE/IR/ANEBase.td"

def ANE_ReshapeOp : ANE_TensorOp<"reshape"> {
  let movesElements = 1;
  let ownGradient = 1;
  let summary = "Same elements, other shape";
  let description = [{ `shape` is what MIL takes: one entry may be -1. }];
  let arguments = (ins ANE_Any:$x, DenseI64ArrayAttr:$shape);
  let results = (outs ANE_Any:$y);
  let hasFolder = 1;
  let hasCanonicalizer = 1;
}
def ANE_TransposeOp : ANE_TensorOp<"transpose"> {
  let movesElements = 1;
  let ownGradient = 1;
  let summary = "Permutes axes: result axis i is operand axis perm[i]";
  let arguments = (ins ANE_Any:$x, DenseI64ArrayAttr:$perm);
  let results = (outs ANE_Any:$y);
  let hasFolder = 1;
  let hasCanonicalizer = 1;
}
def ANE_ExpandDimsOp : ANE_TensorOp<"expand_dims"> {
  let movesElements = 1;
  let ownGradient = 1;
  let summary = "Inserts axes of length 1 (axes of the result)";
  let arguments = (ins ANE_Any:$x, DenseI64ArrayAttr:$axes);
  let results = (outs ANE_Any:$y);
  let evidence = ANE_RawCompiled;
}
def ANE_SqueezeOp : ANE_TensorOp<"squeeze"> {
  let movesElements = 1;
  let ownGradient = 1;
  let summary = "Drops axes of length 1";
  let arguments = (ins ANE_Any:$x, OptionalAttr<DenseI64ArrayAttr>:$axes);
  let results = (outs ANE_Any:$y);
  let evidence = ANE_RawCompiled;
}
def ANE_Flatten2dOp : ANE_TensorOp<"flatten2d"> {
  let movesElements = 1;
  let ownGradient = 1;
  let summary = "Two axes: the product before `axis` and the product from it";
  let arguments = (ins ANE_Any:$x, DefaultValuedAttr<ANE_I64, "1">:$axis);
  let results = (outs ANE_Any:$y);
  let evidence = ANE_Candidate;
}
def ANE_ConcatOp : ANE_TensorOp<"concat"> {
  let movesElements = 1;
  let ownGradient = 1;
  let summary = "Joins tensors along an axis";
  let arguments = (ins Variadic<ANE_Any>:$values, ANE_I64:$axis, ANE_False:$interleave);
  let results = (outs ANE_Any:$y);
}
def ANE_StackOp : ANE_TensorOp<"stack"> {
  let movesElements = 1;
  let ownGradient = 1;
  let summary = "Joins tensors along a new axis";
  let arguments = (ins Variadic<ANE_Any>:$values, ANE_I64:$axis);
  let results = (outs ANE_Any:$y);
  let evidence = ANE_OnE5RT<"seen on E5RT; failed on RAW (M5X)">;
}
def ANE_SplitOp : ANE_TensorOp<"split"> {
  let movesElements = 1;
  let ownGradient = 1;
  let summary = "Cuts along an axis into equal parts or `split_sizes`";
  let arguments = (ins ANE_Any:$x, ANE_I64:$axis, OptionalAttr<ANE_I64>:$num_splits, OptionalAttr<DenseI64ArrayAttr>:$split_sizes);
  let results = (outs Variadic<ANE_Any>:$y);
  let evidence = ANE_RawCompiled;
}
def ANE_SliceByIndexOp : ANE_TensorOp<"slice_by_index"> {
  let movesElements = 1;
  let ownGradient = 1;
  let summary = "NumPy's basic slicing";
  let description = [{
    x[begin:end:stride] per axis; a set begin_mask or end_mask bit means "from the start" or "to the end"; a set
    squeeze_mask bit takes x[begin] and drops the axis.
  }];
  let arguments = (ins ANE_Any:$x, DenseI64ArrayAttr:$begin, DenseI64ArrayAttr:$end, OptionalAttr<DenseI64ArrayAttr>:$stride,
      OptionalAttr<DenseBoolArrayAttr>:$begin_mask, OptionalAttr<DenseBoolArrayAttr>:$end_mask, OptionalAttr<DenseBoolArrayAttr>:$squeeze_mask);
  let results = (outs ANE_Any:$y);
}
def ANE_SliceBySizeOp : ANE_TensorOp<"slice_by_size"> {
  let movesElements = 1;
  let ownGradient = 1;
  let summary = "The box of `size` at `begin`; size -1 runs to the end";
  let arguments = (ins ANE_Any:$x, DenseI64ArrayAttr:$begin, DenseI64ArrayAttr:$size);
  let results = (outs ANE_Any:$y);
}
def ANE_PadOp : ANE_TensorOp<"pad"> {
  let movesElements = 1;
  let ownGradient = 1;
  let summary = "Pads the last pad.size()/2 axes, begin and end in turn";
  let arguments = (ins ANE_Any:$x, DenseI64ArrayAttr:$pad, ANE_Word<ANE_PadMode>:$mode, ANE_F32Default0:$constant_val);
  let results = (outs ANE_Any:$y);
  let ownLegality = 1;
}
def ANE_TileOp : ANE_TensorOp<"tile"> {
  let movesElements = 1;
  let ownGradient = 1;
  let summary = "Repeats each axis reps[i] times";
  let arguments = (ins ANE_Any:$x, DenseI64ArrayAttr:$reps);
  let results = (outs ANE_Any:$y);
  let evidence = ANE_Decomposed<"L21", "tile disturbs later evaluations on one chip; concat is used">;
}

#endif // ANE_SHAPE_TD
