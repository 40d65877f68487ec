//===- RewriteONNX.h - a model with other values --------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_IMPORT_REWRITEONNX_H
#define ANEMLIR_IMPORT_REWRITEONNX_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/Support/Error.h"
#include <optional>
#include <string>
#include <vector>

namespace mlir::ane {

/// An initializer of the main graph.
struct Initializer {
  llvm::StringRef name;
  /// ONNX's number of its element type (1 is float).
  int32_t dataType = 0;
  llvm::SmallVector<int64_t> shape;
  /// Its bytes where they are raw.
  llvm::StringRef raw;
  /// Its values where a field of fp32 numbers holds them.
  std::vector<float> floats;
  /// In a file of its own.
  bool external = false;
};

/// Copies ONNX bytes, giving initializers for which `value` returns bytes
/// these (as raw data). All else stays as it is, byte by byte.
llvm::Expected<std::string> rewriteInitializers(
    llvm::StringRef model,
    llvm::function_ref<std::optional<std::string>(const Initializer &)> value);

} // namespace mlir::ane

#endif // ANEMLIR_IMPORT_REWRITEONNX_H
