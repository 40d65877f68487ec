//===- Passes.h - models to functions that train them ---------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_TRAINING_PASSES_H
#define ANEMLIR_TRAINING_PASSES_H

#include "dialects/ANE/IR/ANEBase.h"
#include "dialects/ONNX/IR/ONNX.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/Pass.h"

namespace mlir::ane {

#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "ane-mlir/Training/Passes.h.inc"

/// Of the module: an array of what is trained, each {name, value (fp32)} and
/// for an adapter {base, scale, left}: `scale` times the product of the adapter
/// that is `left` and its partner is added to the initializer `base`.
inline constexpr StringLiteral kParameters = "ane.parameters";

} // namespace mlir::ane

#endif // ANEMLIR_TRAINING_PASSES_H
