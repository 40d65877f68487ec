//===- Structure.td - constants, programs, calls ---------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANE_STRUCTURE_TD
#define ANE_STRUCTURE_TD

include "dialects/ANE/IR/ANEBase.td"
include "mlir/Interfaces/CallInterfaces.td"
include "mlir/Interfaces/FunctionInterfaces.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"

def ANE_ConstantOp : ANE_Op<"constant", [Pure, ConstantLike, AllTypesMatch<["value", "y"]>]> {
  let summary = "A constant tensor";
  let description = [{
    Holds small tensors as `dense<…>` and large ones as `dense_resource<…>` over mapped memory. Large constants are
    never folded: an op over constants stays as it is (a *weight tree*) and is evaluated once, by the weight writer.
  }];
  let arguments = (ins ElementsAttr:$value);
  let results = (outs ANE_Any:$y);
  let assemblyFormat = "attr-dict $value";
  let hasFolder = 1;
}

def ANE_ProgramOp : ANE_Op<"program", [IsolatedFromAbove, FunctionOpInterface, Symbol, AutomaticAllocationScope]> {
  let summary = "A program of the bundle: one MIL text, run by the engine or by the host";
  let description = [{
    `kind` is "ane" or "host". After ane-plan-io the arguments and results of an engine program are surfaces (fp16,
    rank 4, innermost dimension a multiple of 32) and `ane.surface` on each says which logical tensor it carries.
    Example test: test/Transforms/place.mlir.
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, TypeAttrOf<FunctionType>:$function_type, ANE_Choice<ANE_ProgramKind>:$kind,
                       OptionalAttr<DictArrayAttr>:$arg_attrs, OptionalAttr<DictArrayAttr>:$res_attrs);
  let regions = (region AnyRegion:$body);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    ::llvm::ArrayRef<::mlir::Type> getArgumentTypes() { return getFunctionType().getInputs(); }
    ::llvm::ArrayRef<::mlir::Type> getResultTypes() { return getFunctionType().getResults(); }
    ::mlir::Region *getCallableRegion() { return &getBody(); }
    bool isEngine() { return getKind() == ProgramKind::ane; }
  }];
}

def ANE_ReturnOp : ANE_Op<"return", [Pure, HasParent<"ProgramOp">, Terminator]> {
  let summary = "Ends an ane.program";
  let arguments = (ins Variadic<ANE_Any>:$values);
  let assemblyFormat = "($values^ `:` type($values))? attr-dict";
}

def ANE_CallOp : ANE_Op<"call", [DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "Runs a program on logical tensors";
  let description = [{
    Operands and results are the logical tensors; where the program's own argument is a surface, the runtime packs
    and unpacks as `ane.surface` says.
  }];
  let arguments = (ins FlatSymbolRefAttr:$callee, Variadic<ANE_Any>:$inputs);
  let results = (outs Variadic<ANE_Any>:$outputs);
  let assemblyFormat = "$callee `(` $inputs `)` attr-dict `:` functional-type($inputs, $outputs)";
}

#endif // ANE_STRUCTURE_TD
