//===- Description.h - what a package says of its functions ---------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_LIB_IMPORT_COREML_DESCRIPTION_H
#define ANEMLIR_LIB_IMPORT_COREML_DESCRIPTION_H

#include "ane-mlir/Import/CoreML.h"

namespace mlir::ane::coreml {

/// Fills the features and the names of predictions; throws protozero's errors.
void readDescription(llvm::StringRef message, PackageInfo &info);

} // namespace mlir::ane::coreml

#endif // ANEMLIR_LIB_IMPORT_COREML_DESCRIPTION_H
