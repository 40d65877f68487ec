//===- Random.td - random numbers -----------------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANE_RANDOM_TD
#define ANE_RANDOM_TD

include "dialects/ANE/IR/ANEBase.td"

// Numbers drawn anew at each run: never merged, so the result is an allocation of its own. The result's dtype is that of
// the parameters in MIL.
class ANE_Random<string mnemonic, dag args> : ANE_Op<mnemonic, [DeclareOpInterfaceMethods<ANE_LegalityOpInterface>,
    DeclareOpInterfaceMethods<ANE_CostOpInterface>, ANE_EvaluateOpInterfaceMarker]> {
  let arguments = !con(args, (ins DefaultValuedAttr<ANE_I64, "-1">:$seed));
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
def ANE_RandomCategoricalOp : ANE_Random<"random_categorical", (ins ANE_Float:$x, ANE_Word<ANE_CategoricalMode>:$mode,
    DefaultValuedAttr<ANE_I64, "1">:$size)> { let gradient = ["0"]; let summary = "Indices drawn by their logits or probabilities"; }

#endif // ANE_RANDOM_TD
