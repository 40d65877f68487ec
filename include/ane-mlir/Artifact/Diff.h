//===- Diff.h - how two artifacts differ ----------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_ARTIFACT_DIFF_H
#define ANEMLIR_ARTIFACT_DIFF_H

#include "ane-mlir/Artifact/Artifact.h"
#include "ane-mlir/Artifact/Compare.h"
#include "llvm/Support/raw_ostream.h"
#include <map>
#include <optional>

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
  /// Print diagnostics with the name of the artifact that they are about;
  /// otherwise they are the context's.
  bool print = true;
};

/// What differs.
struct ArtifactDiff {
  /// Kind of operation: how many in A and in B.
  std::map<std::string, std::pair<size_t, size_t>> operations;
  /// Constants of more than a few elements, equal ones once.
  struct Weights {
    size_t count = 0;
    uint64_t bytes = 0;
  } common, only[2];
  /// An operation of the graph, by the name of its result.
  struct Op {
    /// "main", or "0" … of a bundle's programs.
    std::string function, name;
    /// Kind in A and in B; one is empty for what was added or removed.
    std::string type[2];
    /// Of a change: "kind", "types", "arguments", "weights".
    std::vector<std::string> what;
  };
  /// In the order of B, or of A for what was removed.
  std::vector<Op> added, removed, changed;
  struct Output {
    std::string name;
    Comparison comparison;
    Tensor actual, expected;
  };
  /// Empty without DiffOptions::run.
  std::vector<Output> outputs;

  /// Results agree; without `run`: operations and weights.
  bool same(const DiffOptions &options) const;
  void writeText(llvm::raw_ostream &os) const;
  /// Has a `version`; keys are only added while it stays.
  void writeJSON(llvm::raw_ostream &os, const DiffOptions &options) const;
};

/// Compares operations, weights, graphs, and results on the same random inputs.
/// Nothing where a diagnostic said what failed; other errors are returned.
llvm::Expected<std::optional<ArtifactDiff>>
diffArtifacts(const DiffOptions &options, MLIRContext *context);

} // namespace mlir::ane

#endif // ANEMLIR_ARTIFACT_DIFF_H
