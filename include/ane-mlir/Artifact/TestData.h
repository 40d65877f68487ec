//===- TestData.h - inputs of a model from a directory --------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_ARTIFACT_TESTDATA_H
#define ANEMLIR_ARTIFACT_TESTDATA_H

#include "ane-mlir/Interpreter/Tensor.h"
#include "llvm/Support/Error.h"

namespace mlir::ane {

/// Fills the tensors that are still empty from `dir`: ONNX's test data
/// (input_0.pb …, assigned by the name inside where one matches, else by
/// position), the same as input_0.npy …, or NAME.npy. An error when a file
/// cannot be read, or when the directory has none of them and there are names.
llvm::Error readTestInputs(llvm::StringRef dir,
                           llvm::ArrayRef<std::string> names,
                           MLIRContext *context,
                           llvm::MutableArrayRef<Tensor> tensors);

/// STEM.npy or STEM.pb of `dir`; an empty tensor when there is neither.
llvm::Expected<Tensor> readTestTensor(llvm::StringRef dir, llvm::StringRef stem,
                                      MLIRContext *context,
                                      std::string *name = nullptr);

} // namespace mlir::ane

#endif // ANEMLIR_ARTIFACT_TESTDATA_H
