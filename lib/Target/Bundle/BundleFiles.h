//===- BundleFiles.h - the files of a bundle ------------------*- C++ -*-===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_LIB_TARGET_BUNDLE_BUNDLEFILES_H
#define ANEMLIR_LIB_TARGET_BUNDLE_BUNDLEFILES_H

#include "mlir/Support/LLVM.h"
#include "llvm/Support/Error.h"

namespace mlir::ane {

/// An error where a folder that is there holds a file that its manifest does
/// not list.
llvm::Error checkReplacesBundle(StringRef folder);

} // namespace mlir::ane

#endif // ANEMLIR_LIB_TARGET_BUNDLE_BUNDLEFILES_H
