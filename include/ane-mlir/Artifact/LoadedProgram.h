//===- LoadedProgram.h - one program of MIL in the interpreter ------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_ARTIFACT_LOADEDPROGRAM_H
#define ANEMLIR_ARTIFACT_LOADEDPROGRAM_H

#include "ane-mlir/Artifact/Artifact.h"
#include "dialects/ANE/IR/Structure.h"

namespace mlir::ane {

/// A parsed, raised program. One thread runs it at a time.
struct LoadedProgram {
  OwningOpRef<ModuleOp> module;
  ProgramOp program;
  /// One per Numerics.
  std::unique_ptr<BlockInterpreter> interpreters[3];
  /// Of the engine that runs it; null for host programs.
  const NumericContract *engine = nullptr;

  /// Raises a function of a source; failure after a diagnostic. The weights
  /// that `source` opens stay mapped.
  static FailureOr<LoadedProgram> raise(MILSource source,
                                        const LoadOptions &options = {});
  LogicalResult run(ArrayRef<Tensor> arguments,
                    SmallVectorImpl<Tensor> &results, Numerics numerics,
                    const BlockInterpreter::Observer &observer = {});
};

} // namespace mlir::ane

#endif // ANEMLIR_ARTIFACT_LOADEDPROGRAM_H
