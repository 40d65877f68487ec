//===- Hash.h - SHA-256 at the speed of the machine -----------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// LLVM's SHA-256 is portable and takes a second for 350 MB, which would be most
// of the time in which a bundle is loaded. Where the processor has instructions
// for it they are used.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_SUPPORT_HASH_H
#define ANEMLIR_SUPPORT_HASH_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/SHA256.h"
#include <string>

namespace mlir::ane {

/// A SHA-256 sum of data that comes in pieces.
class Hash {
public:
  /// `portable` leaves the processor's instructions out.
  explicit Hash(bool portable = false);
  void update(llvm::ArrayRef<char> data);
  /// The sum in lower-case hexadecimal digits.
  std::string finish();

private:
  void addBlocks(const uint8_t *data, size_t count);
  bool fast;
  llvm::SHA256 slow;
  uint32_t state[8];
  uint8_t rest[64];
  size_t restSize = 0;
  uint64_t total = 0;
};

/// True for a file called <64 hexadecimal digits>.bin, or another extension.
bool isHashName(llvm::StringRef path);

/// An error where such a file does not have the sum that its name says.
/// `mapped` is the same file's contents if it was mapped before: they are read
/// where the file has been removed since.
llvm::Error checkHashName(llvm::StringRef path,
                          llvm::ArrayRef<char> mapped = {});

} // namespace mlir::ane

#endif // ANEMLIR_SUPPORT_HASH_H
