//===- ANEEnums.td - the words that arguments choose from ------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// An argument that is one of MIL's words is held as the word, so that texts and conversions see it as it is written, and read
// as an enumeration. A word that is not listed is refused wherever it comes from.
//
//===----------------------------------------------------------------------===//

#ifndef ANE_ENUMS_TD
#define ANE_ENUMS_TD

include "mlir/IR/EnumAttr.td"

/// An enumeration of words; the first is 0.
class ANE_Words<string name, string summary, list<string> all>
    : I32Enum<name, summary, !foreach(i, !range(!size(all)), I32EnumCase<all[i], i>)> {
  let cppNamespace = "::mlir::ane";
  list<string> words = all;
}

/// The attribute that holds one of them. What is no word of it reads as the first until the verifier has refused it.
class ANE_Choice<ANE_Words choices>
    : Attr<And<[StrAttrPred, CPred<"::mlir::ane::symbolize" # choices.className # "(::llvm::cast<::mlir::StringAttr>($_self).getValue())">]>,
           "one of " # !interleave(choices.words, ", ")> {
  let storageType = "::mlir::StringAttr";
  let returnType = choices.cppType;
  let convertFromStorage = "::mlir::ane::symbolize" # choices.className # "($_self.getValue()).value_or(" # choices.cppType # "::"
      # !head(choices.words) # ")";
  let constBuilderCall = "$_builder.getStringAttr(::mlir::ane::stringify" # choices.className # "($0))";
  let valueType = NoneType;
  ANE_Words enumeration = choices;
}
/// With one of the words as the default.
class ANE_Word<ANE_Words choices, string word = !head(choices.words)>
    : DefaultValuedAttr<ANE_Choice<choices>, choices.cppType # "::" # word>;

def ANE_ProgramKind : ANE_Words<"ProgramKind", "who runs a program", ["ane", "host"]>;

def ANE_PadType : ANE_Words<"PadType", "where the padding of a window comes from", ["valid", "same", "same_lower", "custom"]>;
def ANE_PadMode : ANE_Words<"PadMode", "what stands beyond the edges", ["constant", "reflect", "replicate"]>;
def ANE_ScatterMode : ANE_Words<"ScatterMode", "how an update meets what is there",
    ["add", "div", "max", "min", "mul", "sub", "update"]>;
def ANE_GeluMode : ANE_Words<"GeluMode", "which function gelu is", ["EXACT", "TANH_APPROXIMATION", "SIGMOID_APPROXIMATION"]>;
def ANE_CategoricalMode : ANE_Words<"CategoricalMode", "what the weights of the categories are", ["logits", "probs"]>;

// Images (mil/numerics.md §8).
def ANE_GridMode : ANE_Words<"GridMode", "where the points of a resized axis lie",
    ["DEFAULT", "STRICT_ALIGN_CORNERS", "ALIGN_CORNERS", "OFFSET_CORNERS", "UNALIGN_CORNERS"]>;
def ANE_Interpolation : ANE_Words<"Interpolation", "what a point between elements gets", ["LINEAR", "NEAREST_NEIGHBOR"]>;
def ANE_BoxCoordinates : ANE_Words<"BoxCoordinates", "what the four numbers of a box are",
    ["CORNERS_HEIGHT_FIRST", "CORNERS_WIDTH_FIRST", "CENTER_SIZE_HEIGHT_FIRST", "CENTER_SIZE_WIDTH_FIRST"]>;
def ANE_SampleMode : ANE_Words<"SampleMode", "what a position between pixels gets", ["bilinear", "nearest"]>;
def ANE_SamplePadding : ANE_Words<"SamplePadding", "what a position outside gets", ["constant", "border", "reflection", "symmetric"]>;
def ANE_SampleCoordinates : ANE_Words<"SampleCoordinates", "the unit of positions",
    ["unnormalized", "normalized_minus_one_to_one", "normalized_zero_to_one"]>;

// Recurrent layers (mil/operations.md §1.12).
def ANE_Direction : ANE_Words<"Direction", "how a sequence is walked", ["forward", "reverse", "bidirectional"]>;
def ANE_OneDirection : ANE_Words<"OneDirection", "how a sequence is walked", ["forward", "reverse"]>;
def ANE_GateFunction : ANE_Words<"GateFunction", "the function of a gate",
    ["sigmoid", "tanh", "relu", "linear", "hard_sigmoid", "sigmoid_hard", "scaled_tanh"]>;

#endif // ANE_ENUMS_TD
