//===- Passes.h - models to functions that train them ---------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_TRAINING_PASSES_H
#define ANEMLIR_TRAINING_PASSES_H

#include "ane-mlir/Support/Choices.h"
#include "dialects/ANE/IR/ANEBase.h"
#include "dialects/ONNX/IR/ONNX.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/Pass.h"

namespace mlir::ane {

#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "ane-mlir/Training/Passes.h.inc"

} // namespace mlir::ane

#endif // ANEMLIR_TRAINING_PASSES_H
