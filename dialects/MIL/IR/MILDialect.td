//===- MILDialect.td - the exit: any MIL program, as it is written ---------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef MIL_DIALECT_TD
#define MIL_DIALECT_TD

include "mlir/IR/OpBase.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"

def MIL_Dialect : Dialect {
  let name = "mil";
  let cppNamespace = "::mlir::mil";
  let summary = "MIL programs, as written";
  let description = [{
    Holds any MIL program, known operations or not, and prints without deciding anything. See dialects/MIL/README.md.
  }];
  let useDefaultTypePrinterParser = 1;
  let useDefaultAttributePrinterParser = 1;
}

//===----------------------------------------------------------------------===//
// Types. Tensors and scalars are builtin tensors (a scalar has rank 0); strings are tensors of !mil.string.
//===----------------------------------------------------------------------===//

class MIL_Type<string name, string typeMnemonic> : TypeDef<MIL_Dialect, name> { let mnemonic = typeMnemonic; }
def MIL_StringType : MIL_Type<"String", "string"> { let summary = "Element type of string tensors"; }
def MIL_TupleType : MIL_Type<"Tuple", "tuple"> {
  let summary = "tuple<T…>";
  let parameters = (ins ArrayRefParameter<"::mlir::Type">:$types);
  let assemblyFormat = "`<` $types `>`";
}
def MIL_ListType : MIL_Type<"List", "list"> {
  let summary = "list<T, n>; n is -1 where MIL writes ?";
  let parameters = (ins "::mlir::Type":$element, "int64_t":$length);
  let assemblyFormat = "`<` $element `,` $length `>`";
}
def MIL_DictType : MIL_Type<"Dict", "dict"> {
  let summary = "dict<K, V>";
  let parameters = (ins "::mlir::Type":$key, "::mlir::Type":$value);
  let assemblyFormat = "`<` $key `,` $value `>`";
}
def MIL_StateType : MIL_Type<"State", "state"> {
  let summary = "state<T>";
  let parameters = (ins "::mlir::Type":$wrapped);
  let assemblyFormat = "`<` $wrapped `>`";
}

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

class MIL_Attr<string name, string attrMnemonic> : AttrDef<MIL_Dialect, name> { let mnemonic = attrMnemonic; }

def MIL_LiteralAttr : MIL_Attr<"Literal", "literal"> {
  let summary = "A typed value: type(value)";
  let description = [{
    `value` is an ElementsAttr for number tensors, StringAttr or an array of them for strings, #mil.blob for data in a
    weight file, #mil.weight for data that has no file yet, an array for tuples and lists, an array of pairs for
    dictionaries.
  }];
  let parameters = (ins "::mlir::Type":$type, "::mlir::Attribute":$value);
  let assemblyFormat = "`<` $type `,` $value `>`";
}
def MIL_BlobFileAttr : MIL_Attr<"BlobFile", "blob"> {
  let summary = "BLOBFILE(path, offset): offset is that of the descriptor";
  let parameters = (ins StringRefParameter<"as written">:$path, "uint64_t":$offset);
  let assemblyFormat = "`<` $path `,` $offset `>`";
}
def MIL_WeightAttr : MIL_Attr<"Weight", "weight"> {
  let summary = "Data computed by weight `index` of the module, until mil-assign-weight-offsets gives it a place";
  let parameters = (ins "int64_t":$index);
  let assemblyFormat = "`<` $index `>`";
}
def MIL_RefAttr : MIL_Attr<"Ref", "ref"> {
  let summary = "Operand number `index` of a mil.op, as an argument value";
  let parameters = (ins "int64_t":$index);
  let assemblyFormat = "`<` $index `>`";
}
def MIL_NamedAttr : MIL_Attr<"Named", "named"> {
  let summary = "name = value; the order of a list of them is the order of the text";
  let parameters = (ins "::mlir::StringAttr":$name, "::mlir::Attribute":$value);
  let assemblyFormat = "`<` $name `,` $value `>`";
}

//===----------------------------------------------------------------------===//
// Operations
//===----------------------------------------------------------------------===//

class MIL_Op<string mnemonic, list<Trait> traits = []> : Op<MIL_Dialect, mnemonic, traits>;

def MIL_ProgramOp : MIL_Op<"program", [IsolatedFromAbove, SymbolTable, Symbol, NoTerminator, SingleBlock, NoRegionArguments]> {
  let summary = "program(version) [attributes] { functions }";
  let description = [{
    `verbose` selects the spelling of scalars: tensor<int32, []>(1) instead of int32(1). The text itself has no
    program name; `sym_name` is that of the file in a bundle.
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, StrAttr:$version, UnitAttr:$verbose, DefaultValuedAttr<ArrayAttr, "{}">:$milAttributes);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "$sym_name $version attr-dict-with-keyword $body";
}

def MIL_FuncOp : MIL_Op<"func", [IsolatedFromAbove, Symbol, SingleBlock, ParentOneOf<["ProgramOp"]>]> {
  let summary = "func name<opset>(parameters) { statements } -> (results)";
  let arguments = (ins SymbolNameAttr:$sym_name, StrAttr:$opset, StrArrayAttr:$parameters, DefaultValuedAttr<ArrayAttr, "{}">:$milAttributes);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "$sym_name $opset $parameters attr-dict-with-keyword $body";
}

def MIL_OpOp : MIL_Op<"op", []> {
  let summary = "T name, … = type(argument = value, …)[attributes]";
  let description = [{
    `args` is a list of #mil.named; a value is #mil.ref (an operand), an array (a tuple of values) or #mil.literal.
    `names` has the identifier of each result. Blocks of cond and while_loop are regions that end in mil.return and see
    the values around them; `block_parameters` has the identifiers of each block's inputs. A const is a mil.op too.
  }];
  let arguments = (ins StrAttr:$type, ArrayAttr:$args, StrArrayAttr:$names, DefaultValuedAttr<ArrayAttr, "{}">:$milAttributes,
                       OptionalAttr<ArrayAttr>:$block_parameters, Variadic<AnyType>:$operands_);
  let results = (outs Variadic<AnyType>:$results_);
  let regions = (region VariadicRegion<AnyRegion>:$blocks);
  let assemblyFormat = "$type $names `(` $operands_ `)` $args (`attrs` $milAttributes^)? (`blocks` $block_parameters^ $blocks)? attr-dict `:` functional-type($operands_, $results_)";
  let hasVerifier = 1;
}

def MIL_ReturnOp : MIL_Op<"return", [Pure, Terminator]> {
  let summary = "-> (results)";
  let arguments = (ins Variadic<AnyType>:$values);
  let assemblyFormat = "($values^ `:` type($values))? attr-dict";
}

#endif // MIL_DIALECT_TD
