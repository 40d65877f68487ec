//===- WeightTreesTest.cpp - what is remembered stays true ----------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "dialects/ANE/IR/WeightTrees.h"
#include "ane-mlir/Compiler/InitAll.h"
#include "dialects/ANE/IR/Arithmetic.h"
#include "dialects/ANE/IR/Unary.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Parser/Parser.h"
#include "gtest/gtest.h"

using namespace mlir;
using namespace mlir::ane;

namespace {
constexpr StringLiteral kModel = R"(
func.func @main(%x: tensor<2xf32>) -> tensor<2xf32> {
  %c = ane.constant dense<[1.0, 2.0]> : tensor<2xf32>
  %w = ane.relu %c : (tensor<2xf32>) -> tensor<2xf32>
  %v = ane.tanh %w : (tensor<2xf32>) -> tensor<2xf32>
  %s = ane.add %x, %v : (tensor<2xf32>, tensor<2xf32>) -> tensor<2xf32>
  %t = ane.tanh %s : (tensor<2xf32>) -> tensor<2xf32>
  return %t : tensor<2xf32>
})";

class WeightTreesTest : public testing::Test {
protected:
  void SetUp() override {
    DialectRegistry registry;
    registerAllDialects(registry);
    context.appendDialectRegistry(registry);
    module = parseSourceString<ModuleOp>(kModel, &context);
    ASSERT_TRUE(module);
    for (Operation &op : *block())
      ops.push_back(&op);
  }
  Block *block() {
    return &(*module->getOps<func::FuncOp>().begin()).getBody().front();
  }
  Value result(unsigned i) { return ops[i]->getResult(0); }

  MLIRContext context;
  OwningOpRef<ModuleOp> module;
  SmallVector<Operation *> ops; // c, w, v, s, t, return
};

TEST_F(WeightTreesTest, AnswersAsAWalk) {
  bool expected[] = {true, true, true, false, false};
  for (bool remembers : {false, true}) {
    std::optional<WeightTrees> trees;
    if (remembers)
      trees.emplace();
    for (auto [i, kind] : llvm::enumerate(expected))
      EXPECT_EQ(isConstantTree(result(i)), kind) << i;
    EXPECT_FALSE(isConstantTree(block()->getArgument(0)));
  }
}

TEST_F(WeightTreesTest, LearnsOfAnOperandThatChanges) {
  WeightTrees trees;
  IRRewriter rewriter(&context, &trees);
  EXPECT_TRUE(isConstantTree(result(2)));
  EXPECT_FALSE(isConstantTree(result(4)));
  rewriter.modifyOpInPlace(
      ops[1], [&] { ops[1]->setOperand(0, block()->getArgument(0)); });
  EXPECT_FALSE(isConstantTree(result(2))); // its user's user, too
  rewriter.modifyOpInPlace(ops[1], [&] { ops[1]->setOperand(0, result(0)); });
  EXPECT_TRUE(isConstantTree(result(2)));
}

TEST_F(WeightTreesTest, LearnsOfAReplacedValue) {
  WeightTrees trees;
  IRRewriter rewriter(&context, &trees);
  EXPECT_FALSE(isConstantTree(result(4)));
  rewriter.replaceOp(ops[3], result(2));
  EXPECT_TRUE(isConstantTree(result(4)));
}

/// A new op may stand where an erased one stood in memory.
TEST_F(WeightTreesTest, ForgetsWhatIsErased) {
  WeightTrees trees;
  IRRewriter rewriter(&context, &trees);
  for (unsigned i = 0; i < 1000; ++i) {
    bool constant = i % 2;
    rewriter.setInsertionPoint(ops[5]);
    Operation *op =
        ReluOp::create(rewriter, rewriter.getUnknownLoc(), result(0).getType(),
                       constant ? result(0) : Value(block()->getArgument(0)));
    EXPECT_EQ(isConstantTree(op->getResult(0)), constant);
    rewriter.eraseOp(op);
  }
}

/// Neither depth nor the number of questions matters.
TEST_F(WeightTreesTest, TakesALongChain) {
  OpBuilder b(ops[5]);
  Value constant = result(0), data = result(4);
  for (unsigned i = 0; i < 200000; ++i) {
    constant =
        ReluOp::create(b, b.getUnknownLoc(), constant.getType(), constant);
    data = AddOp::create(b, b.getUnknownLoc(), data.getType(), data, constant);
  }
  WeightTrees trees;
  EXPECT_TRUE(trees.contains(constant));
  unsigned found = 0;
  for (Operation &op : block()->without_terminator())
    found += trees.contains(op.getResult(0));
  EXPECT_EQ(found, 200003u);
}
} // namespace
