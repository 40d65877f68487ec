//===- FuzzFolder.cpp - one file of a bundle or a package
//------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "Fuzz.h"

using namespace mlir::ane;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static fuzz::Folder folder;
  if (!size)
    return 0;
  folder.replace(data, size);
  fuzz::loadAndRun(folder.path());
  return 0;
}
