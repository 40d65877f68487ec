//===- ScratchFolder.cpp - a folder for what is not kept ------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Support/ScratchFolder.h"
#include "Staging.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

using namespace mlir::ane;

llvm::Expected<std::unique_ptr<ScratchFolder>>
ScratchFolder::create(llvm::StringRef prefix) {
  llvm::SmallString<128> path;
  if (std::error_code error =
          llvm::sys::fs::createUniqueDirectory(prefix, path))
    return llvm::createStringError(error, "cannot make a folder for temporary "
                                          "files: " +
                                              error.message());
  std::unique_ptr<ScratchFolder> scratch(new ScratchFolder());
  scratch->folder = path.str().str();
  scratch->slot = rememberFolder(scratch->folder, /*onlyEmpty=*/false);
  return scratch;
}

ScratchFolder::~ScratchFolder() {
  removeTree(folder.c_str());
  forgetFolder(slot);
}

std::string ScratchFolder::below(llvm::StringRef name) const {
  llvm::SmallString<128> path(folder);
  llvm::sys::path::append(path, name);
  return path.str().str();
}
