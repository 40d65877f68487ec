//===- ManifestJSON.h - manifests for people ------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_LIB_TARGET_BUNDLE_MANIFESTJSON_H
#define ANEMLIR_LIB_TARGET_BUNDLE_MANIFESTJSON_H

#include "lib/Target/Bundle/Manifest_generated.h"
#include <string>

namespace mlir::ane {

/// manifest.json: what manifest.fb holds, its keys in the order of the schema.
std::string toJSON(const anemlir::manifest::ManifestT &manifest);

} // namespace mlir::ane

#endif // ANEMLIR_LIB_TARGET_BUNDLE_MANIFESTJSON_H
