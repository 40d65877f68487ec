//===- TensorFiles.h - .npy and .pb tensors -------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_TOOLS_ANERUN_TENSORFILES_H
#define ANEMLIR_TOOLS_ANERUN_TENSORFILES_H

#include "ane-mlir/Interpreter/Tensor.h"
#include "llvm/Support/Error.h"

namespace mlir::ane {

/// Reads a NumPy array file.
llvm::Expected<Tensor> readNpy(llvm::StringRef path);
/// Writes one in the tensor's dtype (fp16 as float16, bool as bool).
llvm::Error writeNpy(llvm::StringRef path, const Tensor &tensor);

} // namespace mlir::ane

#endif // ANEMLIR_TOOLS_ANERUN_TENSORFILES_H
