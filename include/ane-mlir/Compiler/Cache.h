//===- Cache.h - what was converted before --------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// A folder of finished conversions, each under a sum of the compiler, the
// options and the contents of the model. Weights are shared by hard links where
// the file system can, so that a second conversion copies nothing of size; what
// was changed since is not used. Entries appear whole or not at all, whoever
// writes at the same time, and may be removed at any time.
//
//   auto cache = ConversionCache::open(options, "text", whyNot);
//   if (auto before = (*cache)->take()) …       // in place, with its texts
//   options.beforeCommit = [&](Outputs &made) { (*cache)->stage(made); };
//   … compile() …
//   (*cache)->put({{"summary", text}});
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_COMPILER_CACHE_H
#define ANEMLIR_COMPILER_CACHE_H

#include "ane-mlir/Compiler/CompileOptions.h"
#include "ane-mlir/Support/AtomicPath.h"
#include "ane-mlir/Support/MappedFile.h"
#include <map>
#include <optional>

namespace mlir::ane {

/// The options of a command line that say what is made, not where it goes.
/// Values are joined to their options, the model is left out.
std::vector<std::string> spellOptions(ArrayRef<const char *> arguments);

class ConversionCache {
public:
  /// What is to be said of a conversion beside its files, by name.
  using Texts = std::map<std::string, std::string>;

  /// Null without `options.cacheDir`, for a model that is missing, and where a
  /// conversion is more than its files, with the reason in `whyNot`: results on
  /// standard output, options of MLIR's that print, a folder with links in it.
  /// `reader` tells apart what keeps other texts. An error where the folder
  /// cannot be a cache.
  static llvm::Expected<std::unique_ptr<ConversionCache>>
  open(const CompileOptions &options, StringRef reader, std::string &whyNot);
  ~ConversionCache() { llvm::consumeError(std::move(failure)); }

  /// Puts what an earlier run made where `options` want it; nothing where there
  /// is no whole entry. Errors are those of putting in place.
  llvm::Expected<std::optional<Texts>> take();
  /// Shares what is about to be put in place.
  void stage(const Outputs &made);
  /// Keeps what was staged; an error says why it is not.
  llvm::Error put(const Texts &texts);

private:
  using Stamp = MappedFile::Stamp;
  explicit ConversionCache(const CompileOptions &options) : options(options) {}
  llvm::Error makeKey(StringRef reader, std::string &whyNot);
  llvm::Error share(const Outputs &made);
  /// Results by the name they have in an entry.
  std::vector<std::pair<std::string, std::string>> results() const;
  llvm::Error findReads(std::map<std::string, std::string> &reads) const;

  const CompileOptions &options;
  /// Files that the key was made of, as they were then.
  std::map<std::string, Stamp> keyed;
  /// What this conversion reads.
  MappedFile::Recording opened;
  /// All entries with this key.
  std::string folder;
  /// The entry that is being made, or why it is not.
  Outputs outputs;
  std::string place, made;
  llvm::Error failure = llvm::Error::success();
};

} // namespace mlir::ane

#endif // ANEMLIR_COMPILER_CACHE_H
