//===- Compiler.h - a model to what the engine takes ----------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_COMPILER_COMPILER_H
#define ANEMLIR_COMPILER_COMPILER_H

#include "ane-mlir/Artifact/VerifyNumerics.h"
#include "ane-mlir/Compiler/CompileOptions.h"
#include "ane-mlir/Compiler/Report.h"
#include "ane-mlir/Support/Diagnostics.h"

namespace mlir::ane {

/// What compile() found while it wrote.
struct Compilation {
  /// Bundles: where every op runs and what that costs.
  std::optional<Report> report;
  /// fp16 artifacts: the artifact, read back and run, against fp32.
  std::optional<AccuracyReport> accuracy;
  /// With verifyEachNumerics: the error of each pass.
  std::vector<NumericsVerifier::Entry> verified;
  /// What passes decided, of those that were asked for.
  std::vector<Decision> decisions;
};

/// Compiles `options.input` and puts the artifact, its report and its trace in
/// place together; or, with `options.compileTo`, prints IR. Nothing is changed
/// on failure. `options` have passed validate(). Errors are diagnostics of
/// `context`, each at the node it is about.
FailureOr<Compilation> compile(const CompileOptions &options,
                               MLIRContext *context, Progress &progress);

/// What is to be said of an output that is off.
struct Verdict {
  bool isError = false;
  /// Where accuracy was lost first, if known.
  std::string node;
  std::string message, remedy;
};
/// Collects verdicts on outputs that are off. Failure where a bar that
/// `options` set is missed, or could not be measured.
LogicalResult judge(const AccuracyReport &found, const CompileOptions &options,
                    std::vector<Verdict> &verdicts);
/// Prints warnings of outputs that are off and whose accuracy was lost where.
/// Failure where a bar that `options` set is missed, or could not be measured.
LogicalResult judge(const AccuracyReport &found, const CompileOptions &options);

} // namespace mlir::ane

#endif // ANEMLIR_COMPILER_COMPILER_H
