//===- Artifact.h - loading and running what was written ------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_ARTIFACT_ARTIFACT_H
#define ANEMLIR_ARTIFACT_ARTIFACT_H

#include "ane-mlir/Import/MILSource.h"
#include "ane-mlir/Interpreter/Interpreter.h"
#include "ane-mlir/Support/TextPlan.h"

namespace mlir::ane {

/// A model input or output as the user sees it.
struct Port {
  std::string name;
  /// The user's dtype, and the one that carries it through the programs.
  DType dtype, carrier;
  SmallVector<int64_t> shape;
  /// The name in the model where an artifact could not keep it, or empty.
  std::string alias;
  /// An input that is kept between calls, which may be left out, or the output
  /// that it becomes; and whether that is new rows behind those that it has.
  bool state = false, grows = false;
  /// An input of a package that may be left out: what its elements are then.
  std::optional<double> fallback = std::nullopt;
};

/// What a program of a bundle took on a device, in microseconds.
struct ProgramTime {
  /// Of the function that called it, and its text in the bundle.
  std::string function, program;
  bool isEngine;
  double predicted;
  /// Of each run, the start (from that of the first run on; steps are taken to
  /// follow each other at once) and how long it was.
  std::vector<std::pair<double, double>> runs;
  double mean() const {
    double sum = 0;
    for (auto &run : runs)
      sum += run.second;
    return runs.empty() ? 0 : sum / double(runs.size());
  }
};

/// The dialects of artifacts, with what evaluates them: all that a context
/// needs that reads and runs what was compiled.
DialectRegistry artifactDialects();

/// A loaded artifact, ready to run in the interpreter.
class Executable {
public:
  virtual ~Executable() = default;
  /// Of a bundle with several functions (lengths, for example) all are loaded;
  /// what follows is that of the selected one.
  virtual size_t countFunctions() const { return 1; }
  virtual StringRef nameFunction(size_t index) const { return "main"; }
  virtual void selectFunction(size_t index) {}
  /// Of one call, in microseconds, as it was when the artifact was written; 0
  /// where that is not known.
  virtual double predictMicros() const { return 0; }
  /// Which function takes the next part of a text, where the artifact says so.
  virtual TextPlan plan() const { return {}; }
  virtual ArrayRef<Port> inputs() const = 0;
  virtual ArrayRef<Port> outputs() const = 0;
  /// Forgets what calls left: states are zeros again, at position 0.
  virtual void resetStates() {}
  /// Runs on tensors of the carrier dtypes. A state's argument may be
  /// undefined: then it is what the last call of any function left, at first
  /// zeros; one that is given takes its place, from position 0 on. Where the
  /// output is new rows of the state, they are written at its position, in
  /// place; a failure after a diagnostic where it is full.
  virtual LogicalResult
  run(ArrayRef<Tensor> arguments, SmallVectorImpl<Tensor> &results,
      Numerics numerics, const BlockInterpreter::Observer &observer = {}) = 0;
  /// Of programs so far, in the order of the schedule; empty where they are not
  /// measured.
  virtual ArrayRef<ProgramTime> programTimes() const { return {}; }
};

/// The programs of a bundle, each with its weights, in the manifest's order.
FailureOr<std::vector<MILSource>> openBundlePrograms(StringRef path,
                                                     MLIRContext *context);

struct LoadOptions {
  /// Of an artifact with several; empty for the default one.
  std::string function;
  /// Of inputs that leave dimensions open, by name.
  mil::ShapeBindings shapes;
  /// Whether weight files whose names are SHA-256 sums are compared with them.
  bool verify = true;
  /// Of a package or a text, which names no chip: whose engine it runs on with
  /// Numerics::Engine; null for the default one.
  const Target *target = nullptr;
  /// Whoever loads writes the trained weights that are in files of programs;
  /// others are warned that inputs of these names are not read there.
  bool isTraining = false;
};
/// By what is at `path`: a bundle, a package, a .mlmodelc or a .mil file. Of a
/// bundle, texts are parsed and raised, weights mapped, and engine programs
/// driven through their surfaces, padding included.
FailureOr<std::unique_ptr<Executable>>
loadArtifact(StringRef path, MLIRContext *context,
             const LoadOptions &options = {});

/// An operation that an engine does not take as it is.
struct IllegalOp {
  /// The MIL operation's name and its kind ("ane.conv"); of the program's
  /// boundary, the port and "input" or "output".
  std::string node, op;
  std::string rule, reason;
};
/// Of a package or a text, read as one program for an engine of `target` that
/// is started in memory: each operation that breaks a rule, and each input and
/// output that is no surface. Failure after a diagnostic where it cannot be
/// read.
FailureOr<std::vector<IllegalOp>> findIllegalOps(StringRef path,
                                                 const Target &target,
                                                 MLIRContext *context,
                                                 const LoadOptions &options);

} // namespace mlir::ane

#endif // ANEMLIR_ARTIFACT_ARTIFACT_H
