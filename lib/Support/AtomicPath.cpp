//===- AtomicPath.cpp - outputs appear whole or not at all ----------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Support/AtomicPath.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Process.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir::ane;
namespace fs = llvm::sys::fs;

static llvm::Error failed(std::error_code error, llvm::StringRef what,
                          llvm::StringRef path) {
  return llvm::createStringError(error, "cannot " + what + " '" + path +
                                            "': " + error.message());
}

static std::string temporaryName(llvm::StringRef path) {
  return (path.rtrim('/') + ".tmp" +
          llvm::Twine(llvm::sys::Process::getProcessId()))
      .str();
}

llvm::Expected<AtomicDirectory> AtomicDirectory::create(llvm::StringRef path) {
  AtomicDirectory directory;
  directory.path = path.rtrim('/');
  directory.temp = temporaryName(path);
  if (std::error_code error =
          fs::create_directory(directory.temp, /*IgnoreExisting=*/false)) {
    llvm::SmallString<128> temp = directory.temp;
    directory.temp.clear();
    return failed(error, "create", temp);
  }
  return directory;
}

AtomicDirectory::AtomicDirectory(AtomicDirectory &&other)
    : path(other.path), temp(other.temp) {
  other.temp.clear();
}

AtomicDirectory::~AtomicDirectory() {
  if (!temp.empty())
    fs::remove_directories(temp);
}

llvm::Error AtomicDirectory::commit() {
  if (fs::exists(path)) {
    llvm::SmallString<128> manifest(path), package(path);
    llvm::sys::path::append(manifest, "manifest.fb");
    llvm::sys::path::append(package, "Manifest.json");
    std::error_code error;
    bool empty =
        fs::is_directory(path) &&
        fs::directory_iterator(path, error) == fs::directory_iterator();
    if (!fs::exists(manifest) && !fs::exists(package) && !empty)
      return llvm::createStringError(
          "'" + path.str() +
          "' exists and is no bundle or package; remove it first");
    fs::remove_directories(path);
  }
  if (std::error_code error = fs::rename(temp, path))
    return failed(error, "write", path);
  temp.clear();
  return llvm::Error::success();
}

llvm::Error mlir::ane::writeFileAtomically(llvm::StringRef path,
                                           llvm::StringRef contents) {
  std::string temp = temporaryName(path);
  {
    std::error_code error;
    llvm::raw_fd_ostream os(temp, error);
    if (error)
      return failed(error, "write", path);
    os << contents;
    os.close();
    if (os.has_error()) {
      error = os.error();
      os.clear_error();
      fs::remove(temp);
      return failed(error, "write", path);
    }
  }
  if (std::error_code error = fs::rename(temp, path)) {
    fs::remove(temp);
    return failed(error, "write", path);
  }
  return llvm::Error::success();
}
