//===- Package.h - compiled modules to one package ------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_LIB_COMPILER_PACKAGE_H
#define ANEMLIR_LIB_COMPILER_PACKAGE_H

#include "ane-mlir/Target/CoreML.h"

namespace mlir::ane {

/// A module whose @main becomes the function `name`.
struct PackageFunction {
  ModuleOp module;
  std::string name = "main";
};

/// Marks images (`ane.image`) and states (`ane.state`, one text for the input
/// and the output that is its next value) at the boundary of @main. An error
/// for names that no input or output has, and for what cannot be a state.
LogicalResult markInterface(ModuleOp module, const PackageOptions &options);

/// Adds converted modules as one package at `path` to `outputs`: one function
/// for all shapes where that is possible and wanted, else one for each. Where
/// it is wanted alone and impossible, `options.whyNotShapes` says why.
LogicalResult assemblePackage(ArrayRef<PackageFunction> functions,
                              StringRef path, const PackageOptions &options,
                              Outputs &outputs);

/// Of a classifier whose labels are texts: takes the classification out of
/// `func`, which returns the probabilities instead, and lets `package` put it
/// back, with its labels unless there are others.
void takeClassifier(mil::FuncOp func, PackageOptions &package);

/// What mil-verify finds in a package that was written at `path`, as errors at
/// `loc`: nothing is put in place that Core ML would refuse.
LogicalResult verifyPackage(StringRef path, Location loc);

} // namespace mlir::ane

#endif // ANEMLIR_LIB_COMPILER_PACKAGE_H
