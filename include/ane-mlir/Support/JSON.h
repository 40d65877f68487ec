//===- JSON.h - JSON of users' files --------------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_SUPPORT_JSON_H
#define ANEMLIR_SUPPORT_JSON_H

#include "llvm/Support/JSON.h"

namespace mlir::ane {

/// llvm::json::parse for text that may be anything: it calls itself for each
/// level, so text nested deeper than 100 levels is refused before.
llvm::Expected<llvm::json::Value> parseJSON(llvm::StringRef text);

} // namespace mlir::ane

#endif // ANEMLIR_SUPPORT_JSON_H
