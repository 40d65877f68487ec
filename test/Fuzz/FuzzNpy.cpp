//===- FuzzNpy.cpp - a NumPy file
//-----------------------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "Fuzz.h"
#include "ane-mlir/Artifact/TensorFiles.h"

using namespace mlir::ane;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::string path = fuzz::writeInput("x.npy", data, size);
  llvm::Expected<Tensor> tensor = readNpy(path);
  if (!tensor) {
    if (!llvm::StringRef(llvm::toString(tensor.takeError())).contains(path))
      fuzz::finding("an error that does not name the file");
    return 0;
  }
  llvm::Error error = writeNpy(path, path, *tensor);
  if (error)
    fuzz::finding(llvm::toString(std::move(error)));
  return 0;
}
