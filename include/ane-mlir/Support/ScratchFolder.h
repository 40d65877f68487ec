//===- ScratchFolder.h - a folder for what is not kept --------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_SUPPORT_SCRATCHFOLDER_H
#define ANEMLIR_SUPPORT_SCRATCHFOLDER_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <memory>
#include <string>

namespace mlir::ane {

/// A new folder where the system keeps temporary files; it goes with the object
/// and with a signal that ends the process.
class ScratchFolder {
public:
  static llvm::Expected<std::unique_ptr<ScratchFolder>>
  create(llvm::StringRef prefix);
  ~ScratchFolder();
  ScratchFolder(const ScratchFolder &) = delete;
  ScratchFolder &operator=(const ScratchFolder &) = delete;

  /// A path in it.
  std::string below(llvm::StringRef name) const;

private:
  ScratchFolder() = default;
  std::string folder;
  int slot = -1;
};

} // namespace mlir::ane

#endif // ANEMLIR_SUPPORT_SCRATCHFOLDER_H
