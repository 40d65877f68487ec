//===- WeightVerifier.h - weight files against the sums in their names ----===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_LIB_ARTIFACT_WEIGHTVERIFIER_H
#define ANEMLIR_LIB_ARTIFACT_WEIGHTVERIFIER_H

#include "ane-mlir/Support/WeightFile.h"
#include "llvm/Support/ThreadPool.h"
#include <map>
#include <mutex>

namespace mlir::ane {

/// Compares weight files with the sums in their names, in threads of its own
/// while programs are raised.
class WeightVerifier {
public:
  explicit WeightVerifier(bool enabled) : enabled(enabled) {}
  /// An opener that has what it opens checked; `program` is named in errors.
  /// The verifier outlives it.
  WeightOpener watch(WeightOpener opener, StringRef program);
  /// Waits for all sums; an error lists every corrupt file.
  llvm::Error finish();

private:
  void add(std::shared_ptr<const MappedFile> file, StringRef program);
  bool enabled;
  std::mutex mutex;
  /// By path: the program that opened it first, and what is wrong.
  std::map<std::string, std::pair<std::string, std::string>> files;
  std::unique_ptr<llvm::StdThreadPool> threads;
};

} // namespace mlir::ane

#endif // ANEMLIR_LIB_ARTIFACT_WEIGHTVERIFIER_H
