//===- MILSource.h - MIL in any of its containers -------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_IMPORT_MILSOURCE_H
#define ANEMLIR_IMPORT_MILSOURCE_H

#include "ane-mlir/Import/CoreML.h"
#include "ane-mlir/Support/WeightFile.h"
#include "dialects/MIL/IR/MIL.h"

namespace mlir::ane {

/// A program of MIL with its weights: a .mlpackage, a compiled .mlmodelc (a
/// folder with model.mil), or a .mil file with weights beside it.
struct MILSource {
  OwningOpRef<ModuleOp> module;
  mil::ProgramOp program;
  /// Empty but for packages.
  PackageInfo info;
  WeightOpener weights;

  /// True for a path that `open` reads, by its extension; also for "-", the
  /// text of a .mil on standard input.
  static bool matches(StringRef path);
  static FailureOr<MILSource> open(StringRef path, MLIRContext *context);

  /// The function of a name; of no name, the default one, "main" or the first.
  /// A diagnostic lists what there is.
  FailureOr<mil::FuncOp> function(StringRef name) const;
  /// What the description says of a function; null where there is none.
  const PackageInfo::Function *describe(mil::FuncOp func) const;
  /// Shapes for parameters with open dimensions: those given, then the
  /// description's default.
  mil::ShapeBindings bindShapes(mil::FuncOp func,
                                const mil::ShapeBindings &given) const;
};

} // namespace mlir::ane

#endif // ANEMLIR_IMPORT_MILSOURCE_H
