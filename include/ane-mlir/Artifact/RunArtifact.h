//===- RunArtifact.h - an artifact on a user's arrays ---------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_ARTIFACT_RUNARTIFACT_H
#define ANEMLIR_ARTIFACT_RUNARTIFACT_H

#include "ane-mlir/Artifact/Artifact.h"

namespace mlir::ane {

struct RunOptions {
  /// What loadArtifact() takes.
  std::string artifact;
  LoadOptions load;
  /// Instead of loadArtifact(), which runs in the interpreter.
  std::function<FailureOr<std::unique_ptr<Executable>>(llvm::StringRef artifact,
                                                       MLIRContext *)>
      open;
  /// Runs, of which the last gives the outputs.
  unsigned repeat = 1;
  /// Input name and .npy file. A name may be the artifact's or the model's.
  std::vector<std::pair<std::string, std::string>> inputs;
  /// Of random values for the inputs that are not given.
  std::optional<uint64_t> randomSeed;
  /// A folder of input_N and output_N files.
  std::string testData;
  Numerics numerics = Numerics::Float16;
  /// Print the time of each kind of op, or of each program on a device.
  bool profile = false;
  /// A file for what each program took, in the format of Chrome's traces,
  /// measured beside predicted: of a device alone.
  std::string trace;
  /// Folders for every op's first result, and for the outputs.
  std::string dumpDir, outputDir;
  /// A folder of output_N files to compare with (default: the test data).
  std::string compareDir;
  /// Tolerances; atol below 0 is 1e-3 of an output's largest magnitude.
  double rtol = 1e-3, atol = -1;
  bool quiet = false;
};

/// Loads an artifact, feeds it, runs it in the interpreter, and prints, writes
/// or compares what comes out. False where a comparison fails, and where a
/// diagnostic of `context` said what failed; other errors are returned.
llvm::Expected<bool> runArtifact(const RunOptions &options,
                                 MLIRContext *context);

} // namespace mlir::ane

#endif // ANEMLIR_ARTIFACT_RUNARTIFACT_H
