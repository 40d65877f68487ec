//===- Passes.h - ane to ane ----------------------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_TRANSFORMS_PASSES_H
#define ANEMLIR_TRANSFORMS_PASSES_H

#include "ane-mlir/Support/Choices.h"
#include "dialects/ANE/IR/ANEBase.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace mlir::ane {
#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "ane-mlir/Transforms/Passes.h.inc"
} // namespace mlir::ane

#endif // ANEMLIR_TRANSFORMS_PASSES_H
