//===- EvaluationTest.h - tests that evaluate ane -------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_TEST_UNIT_EVALUATIONTEST_H
#define ANEMLIR_TEST_UNIT_EVALUATIONTEST_H

#include "ane-mlir/Interpreter/Interpreter.h"
#include "dialects/ANE/IR/ANEBase.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "gtest/gtest.h"

namespace mlir::ane {

/// A context whose ops the interpreter knows.
struct EvaluationTest : ::testing::Test {
  EvaluationTest() : context(registry()) {
    context.loadDialect<ANEDialect, func::FuncDialect>();
  }
  static DialectRegistry registry() {
    DialectRegistry registry;
    registry.insert<ANEDialect, func::FuncDialect>();
    registerEvaluationModels(registry);
    return registry;
  }
  MLIRContext context;
};

} // namespace mlir::ane

#endif // ANEMLIR_TEST_UNIT_EVALUATIONTEST_H
