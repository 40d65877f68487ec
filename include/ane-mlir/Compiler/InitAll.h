//===- InitAll.h - registration shared by every tool ----------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_COMPILER_INITALL_H
#define ANEMLIR_COMPILER_INITALL_H

#include "ane-mlir/Compiler/Pipelines.h"
#include "ane-mlir/Conversion/Passes.h"
#include "ane-mlir/Interpreter/Interpreter.h"
#include "ane-mlir/Training/Passes.h"
#include "ane-mlir/Transforms/Passes.h"
#include "dialects/ANE/IR/ANEBase.h"
#include "dialects/MIL/IR/MIL.h"
#include "dialects/ONNX/IR/ONNX.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Transforms/Passes.h"

namespace mlir::ane {

inline void registerAllDialects(DialectRegistry &registry) {
  registry.insert<ANEDialect, mil::MILDialect, onnxir::ONNXDialect,
                  func::FuncDialect>();
  registerEvaluationModels(registry);
}

inline void registerAllPasses() {
  registerANEConversionPasses();
  registerANEPasses();
  registerANETrainingPasses();
  registerPipelines();
  registerCanonicalizerPass();
  registerCSEPass();
  registerSymbolDCEPass();
}

} // namespace mlir::ane

#endif // ANEMLIR_COMPILER_INITALL_H
