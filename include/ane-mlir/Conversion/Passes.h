//===- Passes.h - between the dialects ------------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_CONVERSION_PASSES_H
#define ANEMLIR_CONVERSION_PASSES_H

#include "ane-mlir/Conversion/ONNXToANE.h"
#include "ane-mlir/Support/Choices.h"
#include "ane-mlir/Support/WeightFile.h"
#include "dialects/ANE/IR/ANEBase.h"
#include "dialects/MIL/IR/MIL.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/Pass.h"

namespace mlir::ane {

#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "ane-mlir/Conversion/Passes.h.inc"

/// With what no option can say: values of inputs.
std::unique_ptr<Pass> createConvertONNXToANEPass(ONNXToANEOptions options);
/// With any source of weights, and shapes for open dimensions.
std::unique_ptr<Pass> createConvertMILToANEPass(std::string function,
                                                WeightOpener weights,
                                                mil::ShapeBindings shapes);

} // namespace mlir::ane

#endif // ANEMLIR_CONVERSION_PASSES_H
