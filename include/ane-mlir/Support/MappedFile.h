//===- MappedFile.h - read-only files shared by constants -----------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// A model's tensors are views of the mapped file; the mapping lives as long as
// the last of them.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_SUPPORT_MAPPEDFILE_H
#define ANEMLIR_SUPPORT_MAPPEDFILE_H

#include "mlir/IR/BuiltinAttributes.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/FileSystem.h"
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace mlir::ane {

class MappedFile {
public:
  /// Maps `path`; an empty file is an empty mapping.
  static llvm::Expected<std::shared_ptr<const MappedFile>>
  open(llvm::StringRef path);
  /// The same of a file that a user's file names, relative to `folder`: an
  /// error where checkInside() has one.
  static llvm::Expected<std::shared_ptr<const MappedFile>>
  openInside(llvm::StringRef folder, llvm::StringRef relative,
             llvm::StringRef what, bool followLinks = true);
  ~MappedFile();
  MappedFile(const MappedFile &) = delete;
  MappedFile &operator=(const MappedFile &) = delete;

  /// An error that names a file which is another now than when it was mapped;
  /// what was made of it may be a mixture. (Of one that was cut, reading behind
  /// its end ends the process with a message.)
  static llvm::Error checkUnchanged();

  /// What tells that a file is as it was.
  struct Stamp {
    llvm::sys::fs::UniqueID id;
    llvm::sys::TimePoint<> modified;
    uint64_t size = 0;
    bool operator==(const Stamp &other) const {
      return id == other.id && modified == other.modified && size == other.size;
    }
    bool operator!=(const Stamp &other) const { return !(*this == other); }
  };
  /// Nothing where there is no such file.
  static std::optional<Stamp> stampOf(llvm::StringRef path);
  /// Files that this thread maps while it is there, as they were given, and as
  /// they were when they were mapped.
  class Recording {
  public:
    Recording();
    ~Recording();
    Recording(const Recording &) = delete;
    Recording &operator=(const Recording &) = delete;
    std::vector<std::pair<std::string, Stamp>> files;

  private:
    Recording *outer;
  };

  llvm::ArrayRef<char> data() const { return bytes; }
  llvm::StringRef path() const { return name; }

private:
  MappedFile() = default;
  llvm::ArrayRef<char> bytes;
  std::string name;
  struct Impl;
  std::unique_ptr<Impl> impl;
};

/// The only judge of paths that come out of a user's file: relative, without
/// "..", and, unless links are followed, still inside `folder` when resolved.
/// The error says that the path leaves `what`.
llvm::Error checkInside(llvm::StringRef folder, llvm::StringRef relative,
                        llvm::StringRef what, bool followLinks = true);

/// A constant over `data`, which `owner` keeps alive; nothing is copied. `key`
/// names the resource in printed IR.
DenseResourceElementsAttr
makeResourceConstant(RankedTensorType type, llvm::StringRef key,
                     llvm::ArrayRef<char> data,
                     std::shared_ptr<const void> owner);
/// A constant over bytes that it owns.
DenseResourceElementsAttr makeResourceConstant(RankedTensorType type,
                                               llvm::StringRef key,
                                               std::vector<char> data);

} // namespace mlir::ane

#endif // ANEMLIR_SUPPORT_MAPPEDFILE_H
