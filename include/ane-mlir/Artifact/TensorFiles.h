//===- TensorFiles.h - tensors from files and from a seed ----------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_ARTIFACT_TENSORFILES_H
#define ANEMLIR_ARTIFACT_TENSORFILES_H

#include "ane-mlir/Interpreter/Tensor.h"
#include "llvm/Support/Error.h"
#include <random>

namespace mlir::ane {

/// Reads a NumPy array file.
llvm::Expected<Tensor> readNpy(llvm::StringRef path);
/// Writes one in the tensor's dtype (fp16 as float16, bool as bool).
/// `shown` is what messages call the file.
llvm::Error writeNpy(llvm::StringRef path, llvm::StringRef shown,
                     const Tensor &tensor);

/// `tensor` in another dtype; an integer that does not fit is an error that
/// begins with 'name'.
llvm::Expected<Tensor> convertTensor(const Tensor &tensor, DType to,
                                     llvm::StringRef name);

/// Floats in [-1, 1), integers 0 to 9, the same on every machine.
Tensor randomTensor(DType dtype, llvm::ArrayRef<int64_t> shape,
                    std::mt19937_64 &engine);

} // namespace mlir::ane

#endif // ANEMLIR_ARTIFACT_TENSORFILES_H
