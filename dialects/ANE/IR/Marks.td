//===- Marks.td - what passes and readers leave on operations --------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// Attributes of the dialect that no op owns. One that is not listed, of another type or in another place, does not verify.
//
//===----------------------------------------------------------------------===//

#ifndef ANE_MARKS_TD
#define ANE_MARKS_TD

include "dialects/ANE/IR/ANEAttrs.td"

class ANE_Place<string text> { string summary = text; }
def OnModule : ANE_Place<"module">;
def OnFunction : ANE_Place<"function">;
def OnArgument : ANE_Place<"argument">;
def OnResult : ANE_Place<"result">;
def OnOperation : ANE_Place<"operation">;

class ANE_Mark<string text, Attr kind, list<ANE_Place> on, string what> {
  string name = text;
  Attr type = kind;
  list<ANE_Place> places = on;
  string summary = what;
}

def ANE_DoorAttr : StringBasedAttr<And<[StrAttrPred,
    CPred<"::llvm::is_contained({\"memory\", \"e5rt\", \"coreml\"}, ::llvm::cast<::mlir::StringAttr>($_self).getValue())">]>, "one of memory, e5rt, coreml">;

def ANE_ImageAttr : Attr<CPred<"isImage($_self)">, "a dictionary with color_space, scale and bias">;
def ANE_ParametersAttr : Attr<CPred<"areParameters($_self)">, "dictionaries with name and value, of an adapter base, scale and left besides">;
def ANE_RulesAttr : Attr<And<[CPred<"::llvm::isa<::mlir::DictionaryAttr>($_self)">,
    CPred<"::llvm::all_of(::llvm::cast<::mlir::DictionaryAttr>($_self), [](::mlir::NamedAttribute rule) { return ::llvm::isa<::mlir::BoolAttr>(rule.getValue()) && ::mlir::ane::canSwitchRule(rule.getName()); })">]>,
    "true or false for identifiers of rules that can be switched"> {
  let storageType = "::mlir::DictionaryAttr";
  let returnType = "::mlir::DictionaryAttr";
}

class ANE_IntegerFrom<int least, string text> : TypedAttrBase<I64, "IntegerAttr", And<[SignlessIntegerAttrBase<I64, "">.predicate,
    CPred<"::llvm::cast<::mlir::IntegerAttr>($_self).getInt() >= " # least>]>, text>;
def ANE_CountAttr : ANE_IntegerFrom<0, "a number from 0 on">;
def ANE_PositiveAttr : ANE_IntegerFrom<1, "a number from 1 on">;
def ANE_DTypeNameAttr : StringBasedAttr<And<[StrAttrPred, CPred<"::mlir::ane::lookupDType(::llvm::cast<::mlir::StringAttr>($_self).getValue()).has_value()">]>,
    "the name of an element type">;

// The model and its interface.
def : ANE_Mark<"target", ANE_TargetAttr, [OnModule], "the generation that is compiled for">;
def : ANE_Mark<"door", ANE_DoorAttr, [OnModule], "the compiler that will take the programs">;
def : ANE_Mark<"rules", ANE_RulesAttr, [OnModule], "rules switched on or off">;
def : ANE_Mark<"absent_weights", StrAttr, [OnModule], "why weights are not there: what is placed and costed is right, values are some numbers">;
def : ANE_Mark<"name", StrAttr, [OnArgument, OnResult], "the user's name of an input or output">;
def : ANE_Mark<"dtype", ANE_DTypeNameAttr, [OnArgument, OnResult], "the user's element type">;
def : ANE_Mark<"image", ANE_ImageAttr, [OnArgument], "Core ML gives it as an image: color_space, scale and bias">;
def : ANE_Mark<"state", AnyAttrOf<[UnitAttr, StrAttr]>, [OnArgument, OnResult], "an input that the output of the same text becomes">;
def : ANE_Mark<"state_axis", ANE_CountAttr, [OnResult], "the axis along which the state grows by what is new">;
def : ANE_Mark<"surface", ANE_SurfaceAttr, [OnArgument, OnResult], "how the logical tensor lies in the program's surface">;

// Placement and its reasons.
def : ANE_Mark<"placement", ANE_Choice<ANE_ProgramKind>, [OnOperation], "who runs it">;
def : ANE_Mark<"wanted", ANE_Choice<ANE_ProgramKind>, [OnOperation], "who is to run it, by a placement file">;
def : ANE_Mark<"rule", StrAttr, [OnOperation], "the rule that sent it to the host">;
def : ANE_Mark<"reason", StrAttr, [OnOperation], "why, for the report">;
def : ANE_Mark<"note", StrAttr, [OnOperation], "what a pass has to say of it in the report">;
def : ANE_Mark<"predicted", DictionaryAttr, [OnFunction], "predicted times of this placement and of others, in microseconds">;
def : ANE_Mark<"live_bytes", ANE_CountAttr, [OnFunction], "the most bytes of values that are alive together">;
def : ANE_Mark<"open_length", StrAttr, [OnOperation], "why the number of rounds of a loop is not known">;

// Numbers.
def : ANE_Mark<"peak", DenseF32ArrayAttr, [OnOperation], "largest magnitude of each result on the samples">;
def : ANE_Mark<"partial", F32Attr, [OnOperation], "largest partial sum of a product on the samples">;
def : ANE_Mark<"engine_error", F32Attr, [OnOperation], "what engine numerics were off by on the samples">;
def : ANE_Mark<"repair", StrAttr, [OnOperation], "how it was kept within fp16, for the report">;
def : ANE_Mark<"fp32", StrAttr, [OnOperation], "stays fp32 and goes to the host, and why">;
def : ANE_Mark<"exact", UnitAttr, [OnOperation], "made of whole numbers that fp16 holds">;
def : ANE_Mark<"wide", UnitAttr, [OnOperation], "64-bit integers in a program that has 32">;

// Weights.
def : ANE_Mark<"compressed", UnitAttr, [OnOperation], "a constant written as it is compressed">;
def : ANE_Mark<"codes", UnitAttr, [OnOperation], "a quantised value that is read as its codes">;
def : ANE_Mark<"form_errors", DenseF64ArrayAttr, [OnOperation], "what each smaller form of a weight is off by">;
def : ANE_Mark<"weight", DenseI64ArrayAttr, [OnOperation], "of the root of a weight tree: for each result its offset in the weight file of its MIL program, 0 for none">;

// Training.
def : ANE_Mark<"parameters", ANE_ParametersAttr, [OnModule], "what is trained, each {name, value (fp32)} and for an adapter {base, scale, left}: "
    "scale times the product of the adapter that is left and its partner is added to the initializer base">;
def : ANE_Mark<"parameter", AnyAttrOf<[UnitAttr, StrAttr]>, [OnArgument, OnOperation], "gets a gradient; of a constant its name">;
def : ANE_Mark<"gradient", StrAttr, [OnResult], "the gradient of the parameter of this name">;
def : ANE_Mark<"loss", UnitAttr, [OnResult], "the loss">;
def : ANE_Mark<"loss_scale", UnitAttr, [OnArgument], "what the loss is multiplied by in front of the backward steps">;
def : ANE_Mark<"targets", ANE_CountAttr, [OnArgument], "what outputs are trained towards; of classes, their number">;
def : ANE_Mark<"recomputed", UnitAttr, [OnOperation], "a forward step made again for the backward ones">;
def : ANE_Mark<"copy_of", StrAttr, [OnArgument, OnOperation], "a copy of the parameter of this name, of a constant one whose file training writes anew; transposed and groups say how (asMatrix)">;
def : ANE_Mark<"transposed", UnitAttr, [OnArgument, OnOperation], "the copy has the last two axes exchanged">;
def : ANE_Mark<"groups", ANE_PositiveAttr, [OnArgument, OnOperation], "groups of the convolution whose transposed kernel the copy is">;

#endif // ANE_MARKS_TD
