//===- AtomicPath.h - outputs appear whole or not at all ------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_SUPPORT_ATOMICPATH_H
#define ANEMLIR_SUPPORT_ATOMICPATH_H

#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

namespace mlir::ane {

/// A temporary folder beside `path` that becomes `path` on commit() and is
/// removed otherwise.
class AtomicDirectory {
public:
  static llvm::Expected<AtomicDirectory> create(llvm::StringRef path);
  AtomicDirectory(AtomicDirectory &&other);
  ~AtomicDirectory();
  llvm::StringRef temporary() const { return temp; }
  /// Replaces `path`, which may be an older bundle, but nothing else that is
  /// not an empty folder.
  llvm::Error commit();

private:
  AtomicDirectory() = default;
  llvm::SmallString<128> path, temp;
};

/// Writes `contents` to `path` through a temporary file.
llvm::Error writeFileAtomically(llvm::StringRef path, llvm::StringRef contents);

} // namespace mlir::ane

#endif // ANEMLIR_SUPPORT_ATOMICPATH_H
