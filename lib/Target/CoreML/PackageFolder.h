//===- PackageFolder.h - the files of a .mlpackage ------------*- C++ -*-===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_LIB_TARGET_COREML_PACKAGEFOLDER_H
#define ANEMLIR_LIB_TARGET_COREML_PACKAGEFOLDER_H

#include "ane-mlir/Support/AtomicPath.h"
#include "mlir/IR/Location.h"

namespace mlir::ane::coreml {

/// An error where a folder that is there holds a file that its Manifest.json
/// does not list.
llvm::Error checkReplacesPackage(StringRef folder);

/// Adds the folder to `outputs`: the manifest, the model message and, where
/// there are any, the weights.
LogicalResult
writeFolder(Location loc, StringRef path, const std::string &model,
            bool hasWeights,
            llvm::function_ref<LogicalResult(llvm::raw_ostream &)> weightsTo,
            Outputs &outputs);

} // namespace mlir::ane::coreml

#endif // ANEMLIR_LIB_TARGET_COREML_PACKAGEFOLDER_H
