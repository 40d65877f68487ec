//===- Cache.h - what was converted before --------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// A folder of finished conversions, each under a sum of the compiler, the
// options and the contents of the model. Files are shared by hard links where
// the file system can, so that a second conversion copies nothing; one that was
// changed since is not used. Entries appear whole or not at all, whoever writes
// at the same time, and may be removed at any time.
//
//   std::optional<ConversionCache> cache = …::open(options, "text")
//   if (auto before = cache->take()) …       // in place, with its texts
//   else … compile(), then cache->put({{"summary", text}});
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_COMPILER_CACHE_H
#define ANEMLIR_COMPILER_CACHE_H

#include "ane-mlir/Compiler/CompileOptions.h"
#include <map>
#include <optional>

namespace mlir::ane {

/// `arguments` without those that say where results go.
std::vector<std::string> spellOptions(ArrayRef<const char *> arguments);

class ConversionCache {
public:
  /// What is to be said of a conversion beside its files, by name.
  using Texts = std::map<std::string, std::string>;

  /// Nothing without `options.cacheDir`, and where a conversion is more than
  /// its files: other forms than bundles and packages, results on standard
  /// output, options of MLIR's that print. `reader` tells apart what keeps
  /// other texts. An error where the folder, or what has to be read for the
  /// sum, is not to be had.
  static llvm::Expected<std::optional<ConversionCache>>
  open(const CompileOptions &options, StringRef reader);

  /// Puts what an earlier run made where `options` want it; nothing where there
  /// is no whole entry. Errors are those of putting in place.
  llvm::Expected<std::optional<Texts>> take() const;
  /// Keeps what is in place now. Files that were read while it was made are
  /// part of the entry.
  llvm::Error put(const Texts &texts) const;

private:
  /// Results by the name they have in an entry.
  std::vector<std::pair<std::string, std::string>> results() const;
  const CompileOptions *options = nullptr;
  std::string folder;
};

} // namespace mlir::ane

#endif // ANEMLIR_COMPILER_CACHE_H
