//===- Staging.h - where outputs are made ---------------------*- C++ -*-===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// Outputs of a folder are made in a hidden folder in it, `.ane-mlir-…`, since a
// rename cannot leave a file system. Its owner holds a lock on that folder for
// as long as it lives; the system gives the lock up with the process, however
// it ends. So whoever gets the lock knows that the owner is dead and may remove
// the folder. Process ids would not tell: they are used again, and in a
// container each process may have the same.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_LIB_SUPPORT_STAGING_H
#define ANEMLIR_LIB_SUPPORT_STAGING_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <memory>
#include <mutex>
#include <string>

namespace mlir::ane {

class Staging {
public:
  /// Makes one in `parent`, and removes those that dead processes left there.
  static llvm::Expected<std::unique_ptr<Staging>>
  create(llvm::StringRef parent);
  /// Removes it with what is in it.
  ~Staging();

  /// Where the output called `name` is made.
  std::string made(llvm::StringRef name) const;
  /// Where an old output is moved to. A later run moves it back if the new one
  /// is still where it was made.
  llvm::Expected<std::string> old(llvm::StringRef name);
  /// Removes it; false where something could not be removed.
  bool remove();
  /// Leaves it where it is.
  void keep();
  const std::string &path() const { return folder; }

private:
  Staging() = default;
  std::string folder;
  int lock = -1;
  int slot = -1;
};

/// Removes a file or a folder with what it holds; false where something stays.
bool removeTree(const char *path);

/// Has a signal that ends the process remove a folder; only if it is empty with
/// `onlyEmpty`. Returns what forgetFolder() takes.
int rememberFolder(const std::string &path, bool onlyEmpty);
void forgetFolder(int slot);

/// For a handler that ends the process: removes what is not in place yet.
void removeStagedFolders();

/// Signals that end the process wait for the end of this one's life.
class SignalDelay {
public:
  SignalDelay();
  ~SignalDelay();

private:
  std::lock_guard<std::mutex> one;
};

} // namespace mlir::ane

#endif // ANEMLIR_LIB_SUPPORT_STAGING_H
