//===- FuzzSafetensors.cpp - weights, checkpoints -------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "Fuzz.h"
#include "ane-mlir/Interpreter/Safetensors.h"

using namespace mlir::ane;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::string path = fuzz::writeInput("x.safetensors", data, size);
  llvm::Expected<NamedTensors> read = readSafetensors(path);
  if (!read) {
    if (!llvm::StringRef(llvm::toString(read.takeError())).contains(path))
      fuzz::finding("an error that does not name the file");
    return 0;
  }
  // What is written of it is read as the same.
  std::string text;
  llvm::raw_string_ostream os(text);
  writeSafetensors(os, *read);
  auto bytes = reinterpret_cast<const uint8_t *>(os.str().data());
  path = fuzz::writeInput("y.safetensors", bytes, text.size());
  llvm::Expected<NamedTensors> again = readSafetensors(path);
  if (!again)
    fuzz::finding(llvm::toString(again.takeError()));
  if (again->tensors.size() != read->tensors.size() ||
      again->metadata != read->metadata)
    fuzz::finding("other tensors behind a round trip");
  for (auto &[name, tensor] : read->tensors)
    if (const Tensor *other = again->find(name);
        !other || other->shape() != tensor.shape() ||
        other->toBytes() != tensor.toBytes())
      fuzz::finding("'" + name + "' is another one behind a round trip");
  return 0;
}
