//===- Dynamic.td - positions, sizes and values known at run time ----------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

class ANE_Dynamic<string mnemonic, dag args, TypeConstraint result = ANE_Any> : ANE_TensorOp<mnemonic> {
  let arguments = args;
  let results = (outs result:$y);
  let evidence = ANE_HostOnly<"L05", "no evidence that positions known at run time compile">;
}
defvar ANE_Masks = (ins OptionalAttr<DenseI64ArrayAttr>:$stride, OptionalAttr<DenseBoolArrayAttr>:$begin_mask,
    OptionalAttr<DenseBoolArrayAttr>:$end_mask, OptionalAttr<DenseBoolArrayAttr>:$squeeze_mask);
def ANE_DynamicSliceOp : ANE_Dynamic<"dynamic_slice", !con((ins ANE_Any:$x, ANE_Int:$begin, ANE_Int:$end), ANE_Masks)> {
  let ownGradient = 1;
  let summary = "slice_by_index whose bounds are values";
  let milName = "slice_by_index";
}
def ANE_DynamicSliceBySizeOp : ANE_Dynamic<"dynamic_slice_by_size", (ins ANE_Any:$x, ANE_Int:$begin, DenseI64ArrayAttr:$size)> {
  let ownGradient = 1;
  let summary = "slice_by_size at a position that is a value";
  let milName = "slice_by_size";
}
def ANE_SliceUpdateOp : ANE_Dynamic<"slice_update", !con((ins ANE_Any:$x, ANE_Any:$update, ANE_Int:$begin, ANE_Int:$end), ANE_Masks)> {
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

// Numbers drawn anew at each run: never merged, so the result is an allocation of its own. The result's dtype is that of
// the parameters in MIL.
class ANE_Random<string mnemonic, dag args> : ANE_Op<mnemonic, [DeclareOpInterfaceMethods<ANE_LegalityOpInterface>,
    DeclareOpInterfaceMethods<ANE_CostOpInterface>, ANE_EvaluateOpInterfaceMarker]> {
  let arguments = !con(args, (ins DefaultValuedAttr<I64Attr, "-1">:$seed));
  let results = (outs Res<ANE_Float, "drawn anew", [MemAlloc<DefaultResource>]>:$y);
  let milName = mnemonic;
  let assemblyFormat = "operands attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
  let evidence = ANE_HostOnly<"L05", "no evidence that random numbers compile">;
  let extraClassDefinition = [{
    void $cppClass::findViolations(const ::mlir::ane::Target &target, ::mlir::ane::ViolationList &violations) {
      ::mlir::ane::findCommonViolations(*this, target, violations);
    }
    ::mlir::ane::Cost $cppClass::estimateCost(const ::mlir::ane::Target &target) {
      return ::mlir::ane::estimateElementwiseCost(*this);
    }
  }];
}
def ANE_RandomNormalOp : ANE_Random<"random_normal", (ins DenseI64ArrayAttr:$shape, ANE_F32Default0:$mean, ANE_F32Default1:$stddev)> { let summary = "Numbers of a normal distribution"; }
def ANE_RandomUniformOp : ANE_Random<"random_uniform", (ins DenseI64ArrayAttr:$shape, ANE_F32Default0:$low, ANE_F32Default1:$high)> { let summary = "Numbers spread evenly between two"; }
def ANE_RandomBernoulliOp : ANE_Random<"random_bernoulli", (ins DenseI64ArrayAttr:$shape,
    DefaultValuedAttr<F32Attr, "0.5f">:$prob)> { let summary = "Ones with a probability, else zeros"; }
def ANE_RandomCategoricalOp : ANE_Random<"random_categorical", (ins ANE_Float:$x, DefaultValuedAttr<StrAttr, "\"logits\"">:$mode,
    DefaultValuedAttr<I64Attr, "1">:$size)> { let gradient = ["0"]; let summary = "Indices drawn by their logits or probabilities"; }
