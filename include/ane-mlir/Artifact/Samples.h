//===- Samples.h - inputs to measure a model on ---------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_ARTIFACT_SAMPLES_H
#define ANEMLIR_ARTIFACT_SAMPLES_H

#include "ane-mlir/Interpreter/Tensor.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include <string>
#include <vector>

namespace mlir::ane {

/// One set of inputs of a function, in its order.
struct Sample {
  /// What it is, for the user: "image 0…255", "test_data_set_0".
  std::string name;
  std::vector<Tensor> inputs;
};

/// `tensor` in another dtype. Floats keep their value, unrounded; integers
/// wrap.
Tensor inDType(const Tensor &tensor, DType dtype);

/// Inputs that such a model is likely to see, from names, types and what the
/// graph does with them: 8-bit images 0…255, image-shaped floats 0…1 and 0…255,
/// token ids over their vocabulary, masks of ones and with padding, positions
/// near 0 and far out, audio with silence. The same on every machine. Empty
/// where a shape is not known.
///
/// `function` is the model as it was converted: its arguments carry the user's
/// names and dtypes (`ane.name`, `ane.dtype`).
std::vector<Sample> guessSamples(func::FuncOp function);

/// Of a step of training: parameters (`ane.parameter`, by name in `parameters`,
/// a module's `ane.parameters`) at their first values, matrices of them
/// (`ane.copy_of`), labels within their classes and the loss scale. False where
/// a parameter has no value.
bool completeStep(func::FuncOp function, ArrayAttr parameters, double lossScale,
                  std::vector<Sample> &samples);

/// Samples of a folder: one (input_0.pb …, input_0.npy …, NAME.npy), or one per
/// folder in it, as test_data_set_0 …. Failure after a diagnostic that names
/// the file.
FailureOr<std::vector<Sample>> readSamples(func::FuncOp function,
                                           llvm::StringRef dir);

} // namespace mlir::ane

#endif // ANEMLIR_ARTIFACT_SAMPLES_H
