//===- TrainingModel.h - the model behind a bundle that trains ------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_LIB_COMPILER_TRAININGMODEL_H
#define ANEMLIR_LIB_COMPILER_TRAININGMODEL_H

#include "ane-mlir/Compiler/CompileOptions.h"
#include "ane-mlir/Conversion/ONNXToANE.h"

namespace mlir::ane {

/// Binds the symbols of the first axes of an imported model's inputs to
/// `batch`. An error where no axis is open, or --dim says something else.
llvm::Error
bindBatch(ModuleOp module, int64_t batch, ONNXToANEOptions &bound,
          ArrayRef<std::pair<std::string, std::vector<int64_t>>> dims);

/// The bytes of the ONNX file without the values that are trained, for writing
/// it with others; empty where its weights are in files of their own. An error
/// where something that is trained is no initializer of it.
llvm::Expected<std::string> keepModel(ModuleOp module, StringRef path);

} // namespace mlir::ane

#endif // ANEMLIR_LIB_COMPILER_TRAININGMODEL_H
