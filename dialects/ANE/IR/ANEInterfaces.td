//===- ANEInterfaces.td - the questions asked of an ane op -----------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// Four small interfaces. Shape inference is upstream's InferTypeOpInterface; evaluation is attached by
// lib/Interpreter from a generated list (an op without an evaluator is a link error); legality and cost have no
// default body, so a forgotten op is a link error too.
//
//===----------------------------------------------------------------------===//

#ifndef ANE_INTERFACES_TD
#define ANE_INTERFACES_TD

include "mlir/IR/OpBase.td"

def ANE_LegalityOpInterface : OpInterface<"LegalityOpInterface"> {
  let cppNamespace = "::mlir::ane";
  let description = [{
    Can the engine of a target take this op as it stands? The answer is the list of rules it breaks, each with the
    operand or attribute, the actual value, the limit and the rule's id in engine/legality.md. Empty means legal.
  }];
  let methods = [InterfaceMethod<"Appends every rule of `target` that this op breaks.", "void", "findViolations",
      (ins "const ::mlir::ane::Target &":$target, "::mlir::ane::ViolationList &":$violations)>];
}

def ANE_CostOpInterface : OpInterface<"CostOpInterface"> {
  let cppNamespace = "::mlir::ane";
  let description = [{
    What this op costs: multiply-accumulates, bytes of weights streamed, bytes of activations moved. Time is the
    business of the cost model (include/ane-mlir/Analysis/CostModel.h), which knows the target's rates.
  }];
  let methods = [InterfaceMethod<"Work of one execution.", "::mlir::ane::Cost", "estimateCost",
      (ins "const ::mlir::ane::Target &":$target)>];
}

def ANE_EvaluateOpInterface : OpInterface<"EvaluateOpInterface"> {
  let cppNamespace = "::mlir::ane";
  let description = [{
    Reference evaluation. `inputs` has one tensor per operand; on success `outputs` has one per result. Failure has
    already emitted a diagnostic at the op. Semantics: mil/numerics.md §8.
  }];
  let methods = [InterfaceMethod<"Evaluates this op on concrete tensors.", "::mlir::LogicalResult", "evaluate",
      (ins "::mlir::ane::EvalContext &":$context, "::llvm::ArrayRef<::mlir::ane::Tensor>":$inputs,
           "::llvm::SmallVectorImpl<::mlir::ane::Tensor> &":$outputs)>];
}

/// Marks the ops for which ane-tblgen declares an evaluator; the interface itself is attached as external models.
def ANE_EvaluateOpInterfaceMarker : NativeOpTrait<"HasEvaluator"> {
  let cppNamespace = "::mlir::ane";
}

#endif // ANE_INTERFACES_TD
