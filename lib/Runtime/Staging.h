//===- Staging.h - folders that the engine's service reads ----------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// A program's text and weights must be on disk while it is compiled and loaded
// (engine/runtime.md §3.2). Each device of a process has a folder of its own,
// locked as long as the process lives, so that two never stage into each other
// (L77):
//
//   TMP/ane-mlir-run-PID-XXXXXX/lock
//   TMP/ane-mlir-run-PID-XXXXXX/N/model.mil, N/weights/weight.bin
//
// What was staged is removed when a program is unloaded, when the process exits
// and on the signals that end it; what a killed process leaves, by the next
// that stages in the same place.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_LIB_RUNTIME_STAGING_H
#define ANEMLIR_LIB_RUNTIME_STAGING_H

#include "Failure.h"
#include <memory>
#include <vector>

namespace ane::runtime {

/// Paths that a signal removes, in this order, as long as it lives.
class SignalList {
public:
  explicit SignalList(const std::vector<std::string> &paths);
  ~SignalList();
  SignalList(const SignalList &) = delete;
  SignalList &operator=(const SignalList &) = delete;
  /// Installs handlers for SIGHUP, SIGINT, SIGQUIT and SIGTERM where they are
  /// default; with `chain` before those that are there, which are called next.
  static void installHandlers(bool chain);

private:
  struct Slot;
  Slot *slot;
};

/// The folder of a device.
class StagingRoot {
public:
  /// In `parent`; removes what dead processes left there.
  StagingRoot(const std::string &parent, bool handleSignals,
              bool chainSignals = false);
  ~StagingRoot();
  StagingRoot(const StagingRoot &) = delete;
  StagingRoot &operator=(const StagingRoot &) = delete;
  const std::string &path() const { return folder; }
  bool handlesSignals() const { return signals; }

private:
  std::string folder;
  int lock = -1;
  bool signals;
  std::unique_ptr<SignalList> list;
};

/// A file of a staged program: where it stands below its folder, and the file
/// that it is a link to, or the bytes that it holds.
struct StagedFile {
  std::string place, source;
  const char *bytes = nullptr;
  size_t size = 0;
};

/// A lock beside a folder whose name others may choose, too: FOLDER.lock.
/// Throws where another session or process has it.
class FolderLock {
public:
  explicit FolderLock(const std::string &folder);
  ~FolderLock();
  FolderLock(const FolderLock &) = delete;
  FolderLock &operator=(const FolderLock &) = delete;

private:
  std::string path;
  int file = -1;
};

/// The folder of one program; a failed constructor leaves nothing. A folder
/// outside of the device's is locked as long as it lives.
class StagedProgram {
public:
  StagedProgram(const StagingRoot &root, const std::string &folder,
                const std::vector<StagedFile> &files);
  ~StagedProgram();
  StagedProgram(const StagedProgram &) = delete;
  StagedProgram &operator=(const StagedProgram &) = delete;
  const std::string &path() const { return folder; }

private:
  void fill(const std::vector<StagedFile> &files) const;
  std::string folder;
  std::unique_ptr<FolderLock> lock;
  std::unique_ptr<SignalList> list;
};

} // namespace ane::runtime

#endif // ANEMLIR_LIB_RUNTIME_STAGING_H
