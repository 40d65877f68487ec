//===- MILSource.h - MIL in any of its containers -------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_TARGET_MILSOURCE_H
#define ANEMLIR_TARGET_MILSOURCE_H

#include "ane-mlir/Conversion/MILToANE.h"
#include "ane-mlir/Target/MLPackage.h"

namespace mlir::ane {

/// A program of MIL with its weights: a .mlpackage, a compiled .mlmodelc (a
/// folder with model.mil), or a .mil file with weights beside it.
struct MILSource {
  OwningOpRef<ModuleOp> module;
  mil::ProgramOp program;
  /// Empty but for packages.
  PackageInfo info;
  WeightOpener weights;

  /// True for a path that `open` reads, by its extension.
  static bool matches(StringRef path);
  static FailureOr<MILSource> open(StringRef path, MLIRContext *context);

  /// The function of a name; of no name, the default one, "main" or the first.
  /// A diagnostic lists what there is.
  FailureOr<mil::FuncOp> function(StringRef name) const;
  /// What the description says of a function; null where there is none.
  const PackageInfo::Function *describe(mil::FuncOp func) const;
  /// Shapes for parameters with open dimensions: those given, then the
  /// description's default.
  ShapeBindings bindShapes(mil::FuncOp func, const ShapeBindings &given) const;
};

/// Adds any program of MIL as a package to `outputs`, with the weights that it
/// refers to; inputs and outputs are described as their types have them.
/// References are changed to the new file.
LogicalResult writeMILPackage(mil::ProgramOp program,
                              const WeightOpener &weights, StringRef path,
                              Outputs &outputs);

/// Opens weight files below the folder that "@model_path" stands for.
WeightOpener weightsBelow(StringRef folder);

} // namespace mlir::ane

#endif // ANEMLIR_TARGET_MILSOURCE_H
