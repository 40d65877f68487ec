//===- AtomicPath.h - outputs appear whole or not at all ------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// Everything that a tool writes is made in a hidden folder beside its place and
// put there at the end, by exchanging names in one call where something is
// there already:
//
//   Outputs outputs;
//   auto folder = outputs.addFolder("m.anepkg", checkReplacesBundle);
//   … writes files into *folder …
//   outputs.addText("report.json", text);
//   if (llvm::Error error = outputs.commit()) …   // all of them, or none
//
// Whatever goes wrong before or in commit(), an error or a signal, what was
// there stays, and nothing else is left. What a killed process leaves in the
// hidden folder is removed by the next run that writes into the same place.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_SUPPORT_ATOMICPATH_H
#define ANEMLIR_SUPPORT_ATOMICPATH_H

#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/LogicalResult.h"
#include "llvm/Support/raw_ostream.h"
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace mlir::ane {

class Staging;

/// Outputs that appear together.
///
/// A path may be a symbolic link: what it points to is replaced. Devices,
/// pipes, `-` and `/dev/stdout` are written through and take texts only.
class Outputs {
public:
  /// An error where a folder that is there holds anything that is not ours.
  using FolderCheck = std::function<llvm::Error(llvm::StringRef folder)>;

  Outputs();
  /// Removes what was not committed.
  ~Outputs();
  Outputs(const Outputs &) = delete;
  Outputs &operator=(const Outputs &) = delete;

  /// A folder that will be at `path`; returns the empty folder to fill. The
  /// same path given again starts over. Without `mayReplace` the folder is
  /// shared: if another process makes it meanwhile, both have their files in
  /// it.
  llvm::Expected<std::string> addFolder(llvm::StringRef path,
                                        FolderCheck mayReplace);
  /// A file that will be at `path`; returns the path to write it to.
  llvm::Expected<std::string> addFile(llvm::StringRef path);
  llvm::Error addText(llvm::StringRef path, llvm::StringRef contents);

  /// Makes a folder for outputs, with its parents. Those that were made go
  /// again where nothing is committed.
  llvm::Error makeParents(llvm::StringRef path);

  /// Another name, in the same folder, for a file that was added.
  void renameFile(llvm::StringRef path, llvm::StringRef name);
  /// Takes a file back.
  void drop(llvm::StringRef path);
  /// Where an output is before commit(), and `path` after it.
  std::string whereIs(llvm::StringRef path) const;
  /// Puts `path` in place after all others.
  void makeLast(llvm::StringRef path);

  /// Puts everything in place; on an error nothing.
  llvm::Error commit();
  /// After commit(): what a user should know although all is in place (an old
  /// output that cannot be removed), or empty.
  const std::string &warning() const { return note; }

private:
  struct Item;
  llvm::Error makeItem(llvm::StringRef path, bool isFolder,
                       FolderCheck mayReplace);
  Item *find(llvm::StringRef path) const;
  llvm::Error place(Item &item);
  llvm::Error join(Item &item);
  std::string putBack(Item &item);
  void removeStagings();
  void removeParents();
  std::vector<std::unique_ptr<Item>> items;
  std::vector<std::pair<std::string, std::shared_ptr<Staging>>> stagings;
  /// Folders of makeParents(), and what a signal knows them by.
  std::vector<std::pair<std::string, int>> parents;
  std::string note;
};

/// True for a path that is this process's standard output.
bool isStandardOutput(llvm::StringRef path);

/// True for a device, a pipe or an open file, which is written through.
bool isStream(llvm::StringRef path);

/// Runs a driver of MLIR's, which writes to its `-o` by itself: to a file
/// beside the one that the user names, which gets its place if the driver
/// returns 0.
int runWithOutput(int argc, char **argv,
                  llvm::function_ref<int(int argc, char **argv)> driver);

/// Removes what processes that are gone left hidden in a folder; outputs that
/// are made there do so by themselves.
void removeLeftovers(llvm::StringRef folder);

/// Writes one file at once, or through a device or pipe.
llvm::Error writeFileAtomically(llvm::StringRef path, llvm::StringRef contents);

/// Writes a file inside of a folder that is being made; `shown` is what
/// messages call it. A failure of `print` has been reported by it; `report`
/// reports others.
llvm::LogicalResult writeStagedFile(
    llvm::StringRef path, llvm::StringRef shown,
    llvm::function_ref<llvm::LogicalResult(llvm::raw_ostream &)> print,
    llvm::function_ref<void(llvm::Error)> report);
/// The same of a text.
llvm::Error writeStagedText(llvm::StringRef path, llvm::StringRef shown,
                            llvm::StringRef contents);
/// Makes a folder, with parents, whose mode is what umask leaves.
llvm::Error makeFolders(llvm::StringRef path, llvm::StringRef shown);

/// An error where `folder` holds a file that `isOurs` (given its path below
/// `folder`, with '/') does not know; it names the file and `what` it is not
/// part of.
llvm::Error
checkAllOurs(llvm::StringRef folder, llvm::StringRef what,
             llvm::function_ref<bool(llvm::StringRef relative)> isOurs);

} // namespace mlir::ane

#endif // ANEMLIR_SUPPORT_ATOMICPATH_H
