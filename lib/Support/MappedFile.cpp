//===- MappedFile.cpp - read-only files shared by constants ---------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Support/MappedFile.h"
#include "ane-mlir/Support/Budget.h"
#include "mlir/IR/AsmState.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::ane;

struct MappedFile::Impl {
  llvm::sys::fs::mapped_file_region region;
};

MappedFile::~MappedFile() = default;

llvm::Expected<std::shared_ptr<const MappedFile>>
MappedFile::open(llvm::StringRef path) {
  auto fail = [&](std::error_code error) {
    return llvm::createStringError(error, "cannot open '" + path +
                                              "': " + error.message());
  };
  llvm::sys::fs::file_status status;
  if (std::error_code error = llvm::sys::fs::status(path, status))
    return fail(error);
  if (status.type() != llvm::sys::fs::file_type::regular_file)
    return llvm::createStringError("cannot open '" + path +
                                   "': not a regular file");
  llvm::Expected<llvm::sys::fs::file_t> file =
      llvm::sys::fs::openNativeFileForRead(path);
  if (!file)
    return llvm::createStringError("cannot open '" + path +
                                   "': " + llvm::toString(file.takeError()));
  std::shared_ptr<MappedFile> result(new MappedFile());
  result->name = path.str();
  std::error_code error;
  if (status.getSize()) {
    result->impl = std::make_unique<Impl>();
    result->impl->region = llvm::sys::fs::mapped_file_region(
        *file, llvm::sys::fs::mapped_file_region::readonly, status.getSize(), 0,
        error);
    if (!error)
      result->bytes = {result->impl->region.const_data(), status.getSize()};
  }
  llvm::sys::fs::closeFile(*file);
  if (error)
    return fail(error);
  MemoryBudget::addFile(status.getSize());
  return std::shared_ptr<const MappedFile>(result);
}

/// Keys must be printable identifiers; anything else becomes '_'.
static std::string sanitizeKey(StringRef key) {
  std::string result = key.empty() ? "tensor" : key.str();
  for (char &c : result)
    if (!llvm::isAlnum(c) && c != '.' && c != '-')
      c = '_';
  if (llvm::isDigit(result[0]))
    result.insert(result.begin(), '_');
  return result;
}

static DenseResourceElementsAttr
makeConstant(RankedTensorType type, StringRef key, AsmResourceBlob blob) {
  return DenseResourceElementsAttr::get(type, sanitizeKey(key),
                                        std::move(blob));
}

DenseResourceElementsAttr
mlir::ane::makeResourceConstant(RankedTensorType type, StringRef key,
                                llvm::ArrayRef<char> data,
                                std::shared_ptr<const void> owner) {
  // The true alignment of the view: a mapped tensor starts anywhere.
  size_t alignment = 1;
  while (alignment < 64 &&
         reinterpret_cast<uintptr_t>(data.data()) % (2 * alignment) == 0)
    alignment *= 2;
  return makeConstant(
      type, key,
      AsmResourceBlob(
          data, alignment,
          [owner](void *, size_t, size_t) mutable { owner.reset(); },
          /*dataIsMutable=*/false));
}

DenseResourceElementsAttr
mlir::ane::makeResourceConstant(RankedTensorType type, StringRef key,
                                std::vector<char> data) {
  auto owner = std::make_shared<std::vector<char>>(std::move(data));
  llvm::ArrayRef<char> view(*owner);
  return makeResourceConstant(type, key, view, owner);
}
