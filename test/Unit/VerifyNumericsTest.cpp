//===- VerifyNumericsTest.cpp - a wrong pass is found and named -----------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Artifact/VerifyNumerics.h"
#include "ane-mlir/Compiler/InitAll.h"
#include "dialects/ANE/IR/Trigonometry.h"
#include "dialects/ANE/IR/Unary.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/Pass.h"
#include "gtest/gtest.h"

using namespace mlir;
using namespace mlir::ane;

namespace {
constexpr StringLiteral kModel = R"(
func.func @main(%x: tensor<2x4xf32>) -> tensor<2x4xf32> {
  %a = ane.relu %x : (tensor<2x4xf32>) -> tensor<2x4xf32> loc("first")
  %b = ane.tanh %a : (tensor<2x4xf32>) -> tensor<2x4xf32> loc("second")
  %c = ane.relu %b : (tensor<2x4xf32>) -> tensor<2x4xf32> loc("third")
  return %c : tensor<2x4xf32>
})";

/// tanh becomes `Replacement`.
template <typename Replacement>
struct ReplaceTanh
    : PassWrapper<ReplaceTanh<Replacement>, OperationPass<ModuleOp>> {
  StringRef getArgument() const override { return "replace-tanh"; }
  void runOnOperation() override {
    this->getOperation()->walk([](TanhOp op) {
      OpBuilder b(op);
      op.replaceAllUsesWith(
          Replacement::create(b, op.getLoc(), op.getType(), op.getX())
              .getResult());
      op.erase();
    });
  }
};

/// Runs a pass under the verifier; the diagnostics, or nothing.
std::string check(std::unique_ptr<Pass> pass, bool &failed) {
  DialectRegistry registry;
  registerAllDialects(registry);
  MLIRContext context(registry);
  context.loadDialect<ANEDialect, func::FuncDialect>();
  std::string text;
  ScopedDiagnosticHandler handler(&context, [&](Diagnostic &diag) {
    llvm::raw_string_ostream(text)
        << diag.getLocation() << ": " << diag << '\n';
    return success();
  });
  OwningOpRef<ModuleOp> module = parseSourceString<ModuleOp>(kModel, &context);
  NumericsVerifier verifier;
  EXPECT_TRUE(succeeded(verifier.start(*module)));
  PassManager pm(&context);
  pm.addPass(std::move(pass));
  verifier.attach(pm);
  EXPECT_TRUE(succeeded(pm.run(*module)));
  failed = verifier.failed();
  EXPECT_EQ(verifier.entries().size(), 1u);
  return text;
}
} // namespace

TEST(VerifyNumerics, NamesPassAndOp) {
  bool failed = false;
  std::string text = check(std::make_unique<ReplaceTanh<SinhOp>>(), failed);
  EXPECT_TRUE(failed);
  EXPECT_NE(text.find("loc(\"second\")"), std::string::npos) << text;
  EXPECT_NE(text.find("pass replace-tanh changes what the model computes"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("that of 'ane.sinh'"), std::string::npos) << text;
}

TEST(VerifyNumerics, AcceptsTheSameValues) {
  bool failed = true;
  EXPECT_EQ(check(std::make_unique<ReplaceTanh<TanhOp>>(), failed), "");
  EXPECT_FALSE(failed);
}
