//===- ScratchFolder.cpp - a folder for what is not kept ------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Support/ScratchFolder.h"
#include "Staging.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include <cerrno>
#include <csignal>
#include <unistd.h>

using namespace mlir::ane;

/// Folders "<prefix>-<process>-…" of processes that are no more: killed, they
/// could not remove them.
static void removeForsaken(llvm::StringRef prefix) {
  llvm::SmallString<128> parent;
  llvm::sys::path::system_temp_directory(/*erasedOnReboot=*/true, parent);
  std::error_code error;
  for (llvm::sys::fs::directory_iterator it(parent, error), end;
       it != end && !error; it.increment(error)) {
    llvm::StringRef name = llvm::sys::path::filename(it->path());
    int process = 0;
    if (name.consume_front(prefix) && name.consume_front("-") &&
        !name.consumeInteger(10, process) && name.starts_with("-") &&
        process > 0 && ::kill(process, 0) && errno == ESRCH)
      removeTree(it->path().c_str());
  }
}

llvm::Expected<std::unique_ptr<ScratchFolder>>
ScratchFolder::create(llvm::StringRef prefix) {
  removeForsaken(prefix);
  llvm::SmallString<128> path;
  std::string own = prefix.str() + "-" + std::to_string(::getpid());
  if (std::error_code error = llvm::sys::fs::createUniqueDirectory(own, path))
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
