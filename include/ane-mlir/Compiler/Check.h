//===- Check.h - does a model fit, and is that good enough ----------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_COMPILER_CHECK_H
#define ANEMLIR_COMPILER_CHECK_H

#include "ane-mlir/Compiler/Compiler.h"

namespace mlir::ane {

/// What a model has to keep to; nothing that is not set.
struct Thresholds {
  std::optional<int64_t> maxHostOps;
  /// Engine and host together.
  std::optional<double> maxPredictedMicros;
  /// Of every output, the artifact against fp32 (compiles and runs it).
  std::optional<double> minCosine;
  /// Nodes that may run on the host and do not count: names with * and ?.
  std::vector<std::string> allowHost;
  /// JSON of an earlier check; what became worse is a violation.
  std::string baseline;
};

/// Reads thresholds out of a TOML file (max-host-ops, max-predicted-us,
/// min-cosine, allow-host, baseline) where `thresholds` do not say otherwise.
/// An error names unknown keys and values of the wrong kind, with their line.
llvm::Error readThresholds(llvm::StringRef path, Thresholds &thresholds);

/// A threshold that a model breaks, or a node that it should not have.
struct CheckViolation {
  /// "max-host-ops", "baseline", …
  std::string threshold;
  std::string message;
  /// The node and its rule, where it is about one.
  std::string node, rule;
};

/// One model on one target.
struct CheckedTarget {
  /// As it was asked for, and the generation that it is.
  std::string target, generation;
  /// Nothing where it cannot be converted: then `errors` say why.
  std::optional<Compilation> compiled;
  std::vector<std::string> errors;
  /// What the conversion warns of; no threshold is about it.
  std::vector<std::string> warnings;
  std::vector<CheckViolation> violations;

  /// Rows that run on the host and are not allowed to.
  std::vector<const ReportRow *> hostRows(const Thresholds &thresholds) const;
  double predictedMicros() const;
};

struct CheckResult {
  std::string model;
  std::vector<CheckedTarget> targets;
  bool converted() const;
  bool passes() const;
};

/// Compiles `options` for each target and holds it against the thresholds.
/// Errors are about files: the baseline, a temporary folder.
llvm::Expected<CheckResult> check(CompileOptions options,
                                  llvm::ArrayRef<std::string> targets,
                                  const Thresholds &thresholds);

enum class CheckFormat { Text, JSON, SARIF, JUnit, Markdown };
/// JSON has a `version`; keys are only added while it stays.
void print(const CheckResult &result, const Thresholds &thresholds,
           CheckFormat format, llvm::raw_ostream &os);

} // namespace mlir::ane

#endif // ANEMLIR_COMPILER_CHECK_H
