//===- VerifyMIL.h - what is wrong with a package or a MIL text -----------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_ARTIFACT_VERIFYMIL_H
#define ANEMLIR_ARTIFACT_VERIFYMIL_H

#include "ane-mlir/Import/MILSource.h"

namespace mlir::ane {

/// One thing that Core ML, coremltools or this project does not take.
struct Finding {
  /// A word for the kind of mistake: identifier, description, opset, …; see
  /// `mil-verify --help`.
  std::string rule;
  /// Function and operation, or file, line and column.
  std::string place;
  std::string message;
};

/// What coremltools' loader finds (mil/coremltools.md §6.3) and what it does
/// not look at: identifiers, the description against the functions, the opset
/// against the specification's version and the operations, the types of
/// constants, dimensions left open, missing names, weight files, the manifest.
std::vector<Finding> verifyMIL(MILSource &source, StringRef path);

/// Findings as JSON with a `version`; keys are only added while it stays.
void writeJSON(ArrayRef<Finding> findings, StringRef path,
               llvm::raw_ostream &os);

} // namespace mlir::ane

#endif // ANEMLIR_ARTIFACT_VERIFYMIL_H
