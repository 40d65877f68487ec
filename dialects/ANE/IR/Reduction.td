//===- Reduction.td - reductions along axes -------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANE_REDUCTION_TD
#define ANE_REDUCTION_TD

include "dialects/ANE/IR/ANEBase.td"

class ANE_Reduce<string mnemonic, ANE_Evidence known = ANE_RawEval> : ANE_TensorOp<mnemonic> {
  let ownGradient = 1;
  let arguments = (ins ANE_Number:$x, OptionalAttr<DenseI64ArrayAttr>:$axes, ANE_False:$keep_dims);
  let results = (outs ANE_Number:$y);
  let evidence = known;
  let inferBody = [{
      return ::mlir::ane::inferReduction(loc, getOperationName(), adaptor.getX().getType(), adaptor.getAxes(),
                                         adaptor.getKeepDims(), nullptr, types);
  }];
}
def ANE_ReduceSumOp : ANE_Reduce<"reduce_sum"> { let summary = "The sum over axes"; }
def ANE_ReduceMeanOp : ANE_Reduce<"reduce_mean"> { let summary = "The mean over axes"; }
def ANE_ReduceMaxOp : ANE_Reduce<"reduce_max"> { let picksElements = 1; let summary = "The largest over axes"; }
def ANE_ReduceMinOp : ANE_Reduce<"reduce_min"> { let picksElements = 1; let summary = "The smallest over axes"; }
def ANE_ReduceL2NormOp : ANE_Reduce<"reduce_l2_norm"> { let summary = "The square root of the sum of squares over axes"; }
def ANE_ReduceLogSumExpOp : ANE_Reduce<"reduce_log_sum_exp"> { let summary = "The logarithm of the sum of exponentials over axes"; }
def ANE_ReduceL1NormOp : ANE_Reduce<"reduce_l1_norm", ANE_RawCompiled> { let summary = "The sum of magnitudes over axes"; }
def ANE_ReduceLogSumOp : ANE_Reduce<"reduce_log_sum", ANE_RawCompiled> { let summary = "The logarithm of the sum over axes"; }
def ANE_ReduceSumSquareOp : ANE_Reduce<"reduce_sum_square", ANE_RawCompiled> { let summary = "The sum of squares over axes"; }
def ANE_ReduceProdOp : ANE_Reduce<"reduce_prod", ANE_HostOnly<"L05", "reduce_prod does not compile">> { let summary = "The product over axes"; }

class ANE_ArgReduce<string mnemonic> : ANE_TensorOp<mnemonic> {
  let gradient = ["0"];
  let arguments = (ins ANE_Number:$x, DefaultValuedAttr<ANE_I64, "-1">:$axis, ANE_False:$keep_dims);
  let results = (outs ANE_Int:$y);
  let evidence = ANE_HostOnly<"L05", "argmin and argmax do not compile">;
  let inferBody = [{
      return ::mlir::ane::inferReduction(loc, getOperationName(), adaptor.getX().getType(),
          ::llvm::ArrayRef<int64_t>{int64_t(adaptor.getAxis())}, adaptor.getKeepDims(), ::mlir::IntegerType::get(context, 32), types);
  }];
}
def ANE_ReduceArgmaxOp : ANE_ArgReduce<"reduce_argmax"> { let picksElements = 1; let summary = "Where the largest is along an axis"; }
def ANE_ReduceArgminOp : ANE_ArgReduce<"reduce_argmin"> { let picksElements = 1; let summary = "Where the smallest is along an axis"; }

def ANE_CumsumOp : ANE_Unary<"cumsum", ANE_Number, (ins DefaultValuedAttr<ANE_I64, "0">:$axis, ANE_False:$exclusive, ANE_False:$reverse)> {
  let ownGradient = 1;
  let summary = "Sums of all up to each along an axis";
  let evidence = ANE_HostOnly<"L05", "cumsum does not compile">;
  let hasVerifier = 1;
}

#endif // ANE_REDUCTION_TD
