//===- FuzzWeights.cpp - a weight file
//------------------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "Fuzz.h"
#include "ane-mlir/Support/WeightFile.h"

using namespace mlir::ane;

/// The first eight bytes are the offset of a descriptor.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  uint64_t offset = 0;
  if (size < sizeof(offset))
    return 0;
  memcpy(&offset, data, sizeof(offset));
  llvm::ArrayRef<char> file(
      reinterpret_cast<const char *>(data + sizeof(offset)),
      size - sizeof(offset));
  llvm::Expected<WeightView> view = readWeight(file, offset);
  if (!view) {
    if (llvm::toString(view.takeError()).empty())
      fuzz::finding("refused without a word");
    return 0;
  }
  // Every byte that it offers is there.
  unsigned sum = 0;
  for (char byte : view->data)
    sum += static_cast<unsigned char>(byte);
  volatile unsigned seen = sum;
  (void)seen;
  return 0;
}
