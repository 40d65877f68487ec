//===- Passes.td - between the dialects ------------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_CONVERSION_PASSES_TD
#define ANEMLIR_CONVERSION_PASSES_TD

include "mlir/Pass/PassBase.td"

def ConvertONNXToANEPass : Pass<"convert-onnx-to-ane", "::mlir::ModuleOp"> {
  let summary = "ONNX graphs to ane: shapes bound, control flow resolved, every node lowered";
  let description = [{
    Every node is held against ONNX's schema first. Nodes that cannot be lowered are listed together, each with its
    reason. Symbolic dimensions are bound by name, inputs that decide shapes are constants of this compilation.
    Test: test/Conversion/convert-onnx-to-ane.mlir.
  }];
  let options = [
    ListOption<"dims", "dims", "std::string", "NAME=N: the extent of a symbolic dimension">,
    ListOption<"inputShapes", "input-shapes", "std::string", "NAME=1x3x224x224: the whole shape of an input">,
    ListOption<"maxLengths", "max-lengths", "std::string", "NODE=N: entries of a Range whose limit the data decides">,
    Option<"half", "half", "bool", "true", "Values will be fp16: activations that the model quantises stay floats">,
    Option<"keepSteps", "keep-steps", "bool", "false", "Quantised activations keep their steps">,
    Option<"randomInputs", "random-inputs", "bool", "false", "Random numbers are further inputs, not their mean">
  ];
  let dependentDialects = ["::mlir::ane::ANEDialect", "::mlir::func::FuncDialect"];
}

def ConvertANEToMILPass : Pass<"convert-ane-to-mil", "::mlir::ModuleOp"> {
  let summary = "Each ane.program, or @main of a model that is not placed, to a mil.program in module @mil";
  let description = [{
    The op table drives it: an ane op with a MIL name becomes the operation of that name, attributes become named consts.
    Names, constants and the offsets of weights are fixed here; what prints text or packages decides nothing. The ane ops
    stay, since weights are evaluated from them when they are written: the root of each weight tree says in `ane.weight`
    where its bytes go. Test: test/Conversion/convert-ane-to-mil.mlir.
  }];
  let options = [
    Option<"dialect", "dialect", "::mlir::ane::MILDialect", "::mlir::ane::MILDialect::Target", "Spelling of scalars", [{::mlir::ane::milDialectValues()}]>,
    ListOption<"reserved", "reserved", "std::string", "Names that no value gets">
  ];
  let dependentDialects = ["::mlir::ane::ANEDialect", "::mlir::mil::MILDialect"];
}

def ConvertMILToANEPass : Pass<"convert-mil-to-ane", "::mlir::ModuleOp"> {
  let summary = "A function of a mil.program to @main of ane ops, every opset's form brought to the newest";
  let description = [{
    Every operation without a counterpart is listed before it fails. The mil.program goes.
    Test: test/Conversion/convert-mil-to-ane.mlir.
  }];
  let options = [
    Option<"function", "function", "std::string", [{""}], "Which function (default: main, or the first)">,
    Option<"weights", "weights", "std::string", [{"."}], "The folder that @model_path stands for">
  ];
  let dependentDialects = ["::mlir::ane::ANEDialect", "::mlir::func::FuncDialect"];
}

#endif // ANEMLIR_CONVERSION_PASSES_TD
