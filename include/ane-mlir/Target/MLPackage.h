//===- MLPackage.h - Core ML packages -------------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// A .mlpackage is a folder: Manifest.json, a Model message with an ML Program,
// and its weights in the same MILBlob files as elsewhere (mil-spec.md §3-§5).
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_TARGET_MLPACKAGE_H
#define ANEMLIR_TARGET_MLPACKAGE_H

#include "ane-mlir/Target/Bundle.h"
#include "mlir/IR/OwningOpRef.h"

namespace mlir::ane {

/// Writes @main (optimised, not placed) as a package at `path`, which appears
/// whole or not at all. Its inputs and outputs are the user's: fp32, fp16 or
/// int32 arrays of at least one axis, with casts inside, because Core ML places
/// ops itself. @main is changed. The same module gives the same bytes.
LogicalResult writeMLPackage(ModuleOp module, StringRef path);

/// The ML Program of a package as a mil.program. Errors name the file, the
/// function and the op. Weights stay BLOBFILE references below
/// `packageModelPath(path)`.
OwningOpRef<ModuleOp> importMLPackage(StringRef path, MLIRContext *context);

/// The folder that "@model_path" means inside a package.
std::string packageModelPath(StringRef path);

} // namespace mlir::ane

#endif // ANEMLIR_TARGET_MLPACKAGE_H
