//===- Diff.h - how two artifacts differ ----------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_ARTIFACT_DIFF_H
#define ANEMLIR_ARTIFACT_DIFF_H

#include "ane-mlir/Artifact/Artifact.h"
#include "llvm/Support/raw_ostream.h"

namespace mlir::ane {

struct DiffOptions {
  /// What loadArtifact() takes.
  std::string artifacts[2];
  /// Of the inputs that both are run on.
  uint64_t seed = 0;
  Numerics numerics = Numerics::Float16;
  /// As in RunOptions.
  double rtol = 1e-2, atol = -1;
  /// Compare weight files with the SHA-256 sums in their names.
  bool verify = true;
  /// Compare results, not only operations and weights.
  bool run = true;
};

/// Prints operations and weights side by side, then results on the same random
/// inputs. True where results agree (without `run`: operations and weights).
/// False also where a diagnostic said what failed; other errors are returned.
llvm::Expected<bool> diffArtifacts(const DiffOptions &options,
                                   MLIRContext *context, llvm::raw_ostream &os);

} // namespace mlir::ane

#endif // ANEMLIR_ARTIFACT_DIFF_H
