//===- MovedConstantTest.cpp - weights by two roads -----------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// Weights that are one constant, moved, are written without a tensor for each
// step; an evaluator of every step judges.
//
//===----------------------------------------------------------------------===//

#include "EvaluationTest.h"
#include "ane-mlir/Interpreter/Weights.h"
#include "dialects/ANE/IR/Structure.h"
#include "mlir/AsmParser/AsmParser.h"
#include "mlir/IR/AsmState.h"
#include "mlir/Parser/Parser.h"
#include <random>

using namespace mlir;
using namespace mlir::ane;

namespace {
struct MovedConstant : EvaluationTest {
  /// `lines` make %r of type `result` from %c, a constant of type `type`, and
  /// %v and %w, vectors of 192 and 480.
  void check(StringRef type, StringRef result, StringRef lines,
             double size = 1);
};
} // namespace

void MovedConstant::check(StringRef type, StringRef result, StringRef lines,
                          double size) {
  std::mt19937 random(7);
  std::normal_distribution<float> normal(0, size);
  auto fill = [&](RankedTensorType of) -> Attribute {
    if (of.getElementType().isF32()) {
      std::vector<float> values(of.getNumElements());
      for (float &value : values)
        value = normal(random);
      return DenseResourceElementsAttr::get(
          of, "c" + std::to_string(random()),
          HeapAsmResourceBlob::allocateAndCopyInferAlign<float>(values));
    }
    std::vector<uint16_t> values(of.getNumElements());
    for (uint16_t &value : values)
      value = random() & 0xbbff; // finite
    return DenseResourceElementsAttr::get(
        of, "c" + std::to_string(random()),
        HeapAsmResourceBlob::allocateAndCopyInferAlign<uint16_t>(values));
  };
  std::string text = "func.func @f(%c: tensor<" + type.str() +
                     ">, %v: tensor<192xf32>, %w: tensor<480xf32>) -> tensor<" +
                     result.str() + "> {\n" + lines.str() +
                     "\n  return %r : tensor<" + result.str() + ">\n}\n";
  OwningOpRef<ModuleOp> module = parseSourceString<ModuleOp>(text, &context);
  ASSERT_TRUE(module) << text;
  auto f = *module->getOps<func::FuncOp>().begin();
  Block &body = f.getBody().front();
  OpBuilder b(&body, body.begin());
  for (BlockArgument argument : body.getArguments()) {
    auto constant = ane::ConstantOp::create(
        b, f.getLoc(),
        cast<ElementsAttr>(fill(cast<RankedTensorType>(argument.getType()))));
    argument.replaceAllUsesWith(constant);
  }
  Value root = body.getTerminator()->getOperand(0);
  FailureOr<std::vector<char>> bytes = evaluateWeight(root);
  ASSERT_TRUE(succeeded(bytes));
  EvalContext evaluation(&context, Numerics::Float32);
  ConstantEvaluator evaluator(evaluation);
  FailureOr<Tensor> judge = evaluator.evaluate(root);
  ASSERT_TRUE(succeeded(judge));
  EXPECT_TRUE(*bytes == judge->toWeightBytes()) << text;
}

TEST_F(MovedConstant, Transposed) {
  check("192x1000xf32", "1000x192x1x1xf16",
        "%h = ane.cast %c {dtype = f16} : (tensor<192x1000xf32>) -> "
        "tensor<192x1000xf16>\n"
        "%t = ane.transpose %h {perm = array<i64: 1, 0>} : "
        "(tensor<192x1000xf16>) -> tensor<1000x192xf16>\n"
        "%r = ane.reshape %t {shape = array<i64: 1000, 192, 1, 1>} : "
        "(tensor<1000x192xf16>) -> tensor<1000x192x1x1xf16>");
}

TEST_F(MovedConstant, HalvesTransposed) {
  check("193x1001xf16", "1001x193xf16",
        "%r = ane.transpose %c {perm = array<i64: 1, 0>} : "
        "(tensor<193x1001xf16>) -> tensor<1001x193xf16>");
}

TEST_F(MovedConstant, ThreeAxes) {
  for (StringRef perm :
       {"0, 2, 1", "2, 0, 1", "1, 2, 0", "2, 1, 0", "1, 0, 2"}) {
    int64_t extents[] = {48, 70, 65};
    std::string to;
    SmallVector<StringRef> axes;
    perm.split(axes, ", ");
    for (StringRef axis : axes)
      to += std::to_string(extents[axis[0] - '0']) + "x";
    check("48x70x65xf32", to + "f16",
          ("%t = ane.transpose %c {perm = array<i64: " + perm +
           ">} : (tensor<48x70x65xf32>) -> tensor<" + to +
           "f32>\n%r = ane.cast %t {dtype = f16} : (tensor<" + to +
           "f32>) -> tensor<" + to + "f16>")
              .str());
  }
}

TEST_F(MovedConstant, FactorsInOrder) {
  // A vector along the inputs, turned, then one along the outputs; a large
  // spread, so that the order of the products shows.
  check("192x480xf32", "480x192xf16",
        "%v2 = ane.reshape %v {shape = array<i64: 192, 1>} : (tensor<192xf32>) "
        "-> tensor<192x1xf32>\n"
        "%a = ane.mul %c, %v2 : (tensor<192x480xf32>, tensor<192x1xf32>) -> "
        "tensor<192x480xf32>\n"
        "%b = ane.mul %w, %a : (tensor<480xf32>, tensor<192x480xf32>) -> "
        "tensor<192x480xf32>\n"
        "%t = ane.transpose %b {perm = array<i64: 1, 0>} : "
        "(tensor<192x480xf32>) -> tensor<480x192xf32>\n"
        "%d = ane.mul %t, %v : (tensor<480x192xf32>, tensor<192xf32>) -> "
        "tensor<480x192xf32>\n"
        "%r = ane.cast %d {dtype = f16} : (tensor<480x192xf32>) -> "
        "tensor<480x192xf16>",
        /*size=*/3);
}

TEST_F(MovedConstant, SlicesAndHeads) {
  // Parts of a fused weight, split, turned, and cut by heads.
  check("192x1440xf32", "6x80x192xf16",
        "%s:3 = ane.split %c {axis = 1 : i64, num_splits = 3 : i64} : "
        "(tensor<192x1440xf32>) -> (tensor<192x480xf32>, tensor<192x480xf32>, "
        "tensor<192x480xf32>)\n"
        "%a = ane.mul %s#1, %w : (tensor<192x480xf32>, tensor<480xf32>) -> "
        "tensor<192x480xf32>\n"
        "%t = ane.transpose %a {perm = array<i64: 1, 0>} : "
        "(tensor<192x480xf32>) -> tensor<480x192xf32>\n"
        "%h = ane.reshape %t {shape = array<i64: 6, 80, 192>} : "
        "(tensor<480x192xf32>) -> tensor<6x80x192xf32>\n"
        "%r = ane.cast %h {dtype = f16} : (tensor<6x80x192xf32>) -> "
        "tensor<6x80x192xf16>");
  check("1000x192xf32", "400x192xf16",
        "%t = ane.transpose %c {perm = array<i64: 1, 0>} : "
        "(tensor<1000x192xf32>) -> tensor<192x1000xf32>\n"
        "%u = ane.transpose %t {perm = array<i64: 1, 0>} : "
        "(tensor<192x1000xf32>) -> tensor<1000x192xf32>\n"
        "%s = ane.slice_by_size %u {begin = array<i64: 500, 0>, size = "
        "array<i64: 400, 192>} : (tensor<1000x192xf32>) -> "
        "tensor<400x192xf32>\n"
        "%r = ane.cast %s {dtype = f16} : (tensor<400x192xf32>) -> "
        "tensor<400x192xf16>");
  // A slice whose rows are joined and cut otherwise: what lies between is
  // skipped.
  check("100x30x64xf32", "64x50x25xf16",
        "%s = ane.slice_by_index %c {begin = array<i64: 25, 5, 0>, end = "
        "array<i64: 75, 30, 64>} : (tensor<100x30x64xf32>) -> "
        "tensor<50x25x64xf32>\n"
        "%f = ane.reshape %s {shape = array<i64: 1250, 64>} : "
        "(tensor<50x25x64xf32>) -> tensor<1250x64xf32>\n"
        "%t = ane.transpose %f {perm = array<i64: 1, 0>} : "
        "(tensor<1250x64xf32>) -> tensor<64x1250xf32>\n"
        "%h = ane.cast %t {dtype = f16} : (tensor<64x1250xf32>) -> "
        "tensor<64x1250xf16>\n"
        "%r = ane.reshape %h {shape = array<i64: 64, 50, 25>} : "
        "(tensor<64x1250xf16>) -> tensor<64x50x25xf16>");
}

TEST_F(MovedConstant, Convolution) {
  check("3x3x96x130xf32", "130x96x3x3xf16",
        "%t = ane.transpose %c {perm = array<i64: 3, 2, 0, 1>} : "
        "(tensor<3x3x96x130xf32>) -> tensor<130x96x3x3xf32>\n"
        "%r = ane.cast %t {dtype = f16} : (tensor<130x96x3x3xf32>) -> "
        "tensor<130x96x3x3xf16>");
}

TEST_F(MovedConstant, BeyondHalves) {
  std::vector<std::string> said;
  ScopedDiagnosticHandler listen(&context, [&](Diagnostic &diagnostic) {
    said.push_back(diagnostic.str());
    return success();
  });
  for (double size : {1e5, 1e-9})
    check("192x1000xf32", "192x1000xf16",
          "%r = ane.cast %c {dtype = f16} : (tensor<192x1000xf32>) -> "
          "tensor<192x1000xf16>",
          size);
  ASSERT_EQ(said.size(), 2u);
  EXPECT_NE(said[0].find("are beyond fp16 and become 65504"),
            std::string::npos);
  EXPECT_NE(said[1].find("too small for fp16 and become 0"), std::string::npos);
}
