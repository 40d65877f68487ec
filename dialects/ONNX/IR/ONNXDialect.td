//===- ONNXDialect.td - the entrance: a transcript of an ONNX model --------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ONNX_DIALECT_TD
#define ONNX_DIALECT_TD

include "mlir/IR/OpBase.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"

def ONNX_Dialect : Dialect {
  let name = "onnx";
  let cppNamespace = "::mlir::onnxir";
  let summary = "A transcript of an ONNX model";
  let description = [{ One generic op; nothing is decided here. See dialects/ONNX/README.md. }];
  let useDefaultTypePrinterParser = 1;
}

class ONNX_Type<string name, string typeMnemonic> : TypeDef<ONNX_Dialect, name> { let mnemonic = typeMnemonic; }

def ONNX_ValueType : ONNX_Type<"Value", "value"> {
  let summary = "A value whose type the model does not have to say";
}
def ONNX_StringType : ONNX_Type<"String", "string"> {
  let summary = "Element type of string tensors";
}
def ONNX_OpaqueType : ONNX_Type<"Opaque", "opaque"> {
  let summary = "A declared type that is no tensor: seq(tensor(float)), map(…)";
  let parameters = (ins StringRefParameter<"ONNX's spelling">:$text);
  let assemblyFormat = "`<` $text `>`";
}

class ONNX_Op<string mnemonic, list<Trait> traits = []> : Op<ONNX_Dialect, mnemonic, traits>;

def ONNX_GraphOp : ONNX_Op<"graph", [IsolatedFromAbove, SingleBlock, Symbol]> {
  let summary = "The main graph";
  let description = [{
    Block arguments are the graph's inputs, in order, without those that only name an initializer. `input_names` and
    `output_names` are the model's; `input_dims` has the symbol of each dimension ("" where it is a number or
    unnamed). `opsets` maps domain to version.
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, DictionaryAttr:$opsets, StrArrayAttr:$input_names,
                       ArrayAttr:$input_dims, StrArrayAttr:$output_names, ArrayAttr:$output_types);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "$sym_name attr-dict-with-keyword $body";
}

def ONNX_NodeOp : ONNX_Op<"node", []> {
  let summary = "One node";
  let description = [{
    `op_type` of `domain` at opset `version` (the model's, not the operator's since-version). An absent optional
    input is `onnx.none`. ONNX attributes are in `onnx_attributes`: ints are i64, floats f32, tensors ElementsAttr;
    graph attributes are regions, named in order by `region_names`.
  }];
  let arguments = (ins StrAttr:$domain, StrAttr:$op_type, I64Attr:$version, DictionaryAttr:$onnx_attributes,
                       DefaultValuedAttr<StrArrayAttr, "{}">:$region_names, Variadic<AnyType>:$inputs);
  let results = (outs Variadic<AnyType>:$outputs);
  let regions = (region VariadicRegion<AnyRegion>:$graphs);
  let assemblyFormat = [{
    custom<NodeName>($domain, $op_type) `(` $inputs `)` `version` $version $onnx_attributes ($region_names^ $graphs)?
    attr-dict `:` functional-type($inputs, $outputs)
  }];
}

def ONNX_ConstantOp : ONNX_Op<"constant", [Pure]> {
  let summary = "An initializer or Constant node";
  let arguments = (ins ElementsAttr:$value);
  let results = (outs AnyType:$result);
  let assemblyFormat = "attr-dict $value `:` type($result)";
}

def ONNX_NoneOp : ONNX_Op<"none", [Pure]> {
  let summary = "An absent optional input";
  let results = (outs ONNX_ValueType:$result);
  let assemblyFormat = "attr-dict";
}

def ONNX_SequenceOp : ONNX_Op<"sequence", [Pure]> {
  let summary = "Tensors held together by a sequence whose length is known";
  let description = [{ Lives only while ONNXToANE runs: a sequence of static length is its elements. }];
  let arguments = (ins Variadic<AnyType>:$elements);
  let results = (outs ONNX_ValueType:$result);
  let assemblyFormat = "($elements^ `:` type($elements))? attr-dict";
}

def ONNX_YieldOp : ONNX_Op<"yield", [Pure, Terminator]> {
  let summary = "Outputs of a graph or subgraph";
  let arguments = (ins Variadic<AnyType>:$values);
  let assemblyFormat = "($values^ `:` type($values))? attr-dict";
}

#endif // ONNX_DIALECT_TD
