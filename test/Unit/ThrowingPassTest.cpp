//===- ThrowingPassTest.cpp - what a pass throws names node or pass -------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Compiler/InitAll.h"
#include "ane-mlir/Compiler/Pipelines.h"
#include "ane-mlir/Support/Budget.h"
#include "ane-mlir/Support/Diagnostics.h"
#include "dialects/ANE/IR/Unary.h"
#include "lib/Transforms/RewriteGreedily.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/Pass.h"
#include "gtest/gtest.h"

using namespace mlir;
using namespace mlir::ane;

namespace {
constexpr StringLiteral kModel = R"(
func.func @main(%x: tensor<4xf32>) -> tensor<4xf32> {
  %a = ane.relu %x : (tensor<4xf32>) -> tensor<4xf32> loc("first")
  %b = ane.tanh %a : (tensor<4xf32>) -> tensor<4xf32> loc("second")
  return %b : tensor<4xf32>
})";

struct ThrowAtTanh : OpRewritePattern<TanhOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(TanhOp, PatternRewriter &) const override {
    throw std::bad_alloc();
  }
};

struct ThrowingPass : PassWrapper<ThrowingPass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(ThrowingPass)
  StringRef getArgument() const override { return "throwing-pass"; }
  void runOnOperation() override { throw EvaluationError{"has no values"}; }
};

class ThrowingPassTest : public testing::Test {
protected:
  void SetUp() override {
    DialectRegistry registry;
    registerAllDialects(registry);
    context.appendDialectRegistry(registry);
    module = parseSourceString<ModuleOp>(kModel, &context);
    ASSERT_TRUE(module);
    handler.emplace(&context, [this](Diagnostic &diagnostic) {
      said += nameOf(diagnostic.getLocation()) + ": " + diagnostic.str() + "\n";
    });
  }
  MLIRContext context;
  OwningOpRef<ModuleOp> module;
  std::optional<ScopedDiagnosticHandler> handler;
  std::string said;
};

TEST_F(ThrowingPassTest, APatternNamesTheNode) {
  RewritePatternSet patterns(&context);
  patterns.add<ThrowAtTanh>(&context);
  EXPECT_TRUE(failed(rewriteGreedily(*module, std::move(patterns))));
  EXPECT_EQ(said, "'second': does not fit this machine's memory\n");
}

TEST_F(ThrowingPassTest, APassNamesItself) {
  PassManager pm(&context);
  pm.addPass(std::make_unique<ThrowingPass>());
  EXPECT_TRUE(failed(runPasses(pm, *module)));
  EXPECT_NE(said.find("throwing-pass: has no values"), std::string::npos)
      << said;
}
} // namespace
