//===- BundleFile.h - the manifest of a bundle ------------------*- C++ -*-===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_LIB_ARTIFACT_BUNDLEFILE_H
#define ANEMLIR_LIB_ARTIFACT_BUNDLEFILE_H

#include "ane-mlir/Artifact/Artifact.h"
#include "lib/Target/Bundle/Manifest_generated.h"

namespace mlir::ane {

/// What manifest.fb says, its paths inside the bundle; failure after a
/// diagnostic.
FailureOr<std::unique_ptr<anemlir::manifest::ManifestT>>
readManifest(StringRef path, MLIRContext *context);

/// Of trained weights in files of programs, that inputs of their names are not
/// read there.
void warnOfPatched(const anemlir::manifest::ManifestT &manifest,
                   MLIRContext *context);

} // namespace mlir::ane

#endif // ANEMLIR_LIB_ARTIFACT_BUNDLEFILE_H
