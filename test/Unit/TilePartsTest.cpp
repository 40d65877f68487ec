//===- TilePartsTest.cpp - parts of a value beside the whole --------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// Each function is made in parts along each axis, runs of several lengths and
// by turns; joined, they are what the whole is.
//
//===----------------------------------------------------------------------===//

#include "lib/Transforms/TileParts.h"
#include "EvaluationTest.h"
#include "dialects/ANE/IR/Shape.h"
#include "dialects/ANE/IR/Structure.h"
#include "dialects/ANE/IR/WeightTrees.h"
#include "lib/Transforms/Reshape.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Parser/Parser.h"
#include <random>

using namespace mlir;
using namespace mlir::ane;

namespace {
struct TileParts : EvaluationTest {
  Tensor run(Block &block) {
    std::mt19937 random(7);
    std::normal_distribution<float> normal;
    SmallVector<Tensor> arguments, results;
    for (BlockArgument argument : block.getArguments()) {
      Tensor tensor(DType::Float32, typeOf(argument).getShape());
      for (float &value : tensor.mutableFloats())
        value = normal(random);
      arguments.push_back(std::move(tensor));
    }
    EXPECT_TRUE(succeeded(
        BlockInterpreter(block, Numerics::Float32).run(arguments, results)));
    return results.empty() ? Tensor() : results.front();
  }

  /// Parts of the function's result, joined; the slices that were taken of
  /// values that are no weights.
  void cut(StringRef text, int64_t axis, ArrayRef<Part> parts, bool byTurns) {
    OwningOpRef<ModuleOp> module = parseSourceString<ModuleOp>(text, &context);
    ASSERT_TRUE(module) << text.str();
    Block &block = (*module->getOps<func::FuncOp>().begin()).getBody().front();
    Tensor whole = run(block);
    Operation *end = block.getTerminator();
    Value result = end->getOperand(0);
    llvm::SetVector<Operation *> region;
    for (Operation &op : block.without_terminator())
      if (!isConstantTree(op.getResult(0)))
        region.insert(&op);
    OpBuilder b(end);
    Tiler::Slices slices;
    Tiler tiler(b, region, slices);
    SmallVector<Value> values;
    RankedTensorType type = typeOf(result);
    SmallVector<int64_t> turns(type.getShape());
    turns.insert(turns.begin() + axis + 1, 1);
    turns[axis] /= parts.size();
    for (Part part : parts) {
      Value value = tiler.tile(result, axis, part);
      EXPECT_EQ(typeOf(value), withDim(type, axis, part.size()));
      values.push_back(byTurns ? reshapeTo(b, end->getLoc(), value, turns)
                               : value);
    }
    turns[axis + 1] = parts.size();
    Value joined = ConcatOp::create(
        b, end->getLoc(), byTurns ? type.clone(turns) : type, values,
        b.getI64IntegerAttr(axis + byTurns), b.getBoolAttr(false));
    end->setOperand(
        0, byTurns ? reshapeTo(b, end->getLoc(), joined, type.getShape())
                   : joined);
    ASSERT_TRUE(succeeded(verify(*module))) << text.str();
    Tensor again = run(block);
    ASSERT_EQ(whole.size(), again.size());
    for (auto [x, y] : llvm::zip(whole.floats(), again.floats()))
      ASSERT_NEAR(x, y, 1e-4 * std::max(1.0f, std::fabs(x)))
          << text.str() << "\naxis " << axis << ", " << parts.size()
          << (byTurns ? " turns" : " runs");
  }

  void check(StringRef text) {
    OwningOpRef<ModuleOp> module = parseSourceString<ModuleOp>(text, &context);
    ASSERT_TRUE(module) << text.str();
    Block &block = (*module->getOps<func::FuncOp>().begin()).getBody().front();
    RankedTensorType type = typeOf(block.getTerminator()->getOperand(0));
    for (int64_t axis = 0; axis < type.getRank(); ++axis) {
      int64_t extent = type.getDimSize(axis);
      for (int64_t size : {1, 2, 3, 4, 6}) {
        SmallVector<Part> runs, turns;
        for (int64_t lo = 0; lo < extent; lo += size)
          runs.push_back({lo, std::min(lo + size, extent)});
        if (size < extent)
          cut(text, axis, runs, false);
        for (int64_t lot = 0; lot < size; ++lot)
          turns.push_back({lot, extent, size});
        if (size > 1 && extent % size == 0)
          cut(text, axis, turns, true);
      }
    }
  }
};
} // namespace

TEST_F(TileParts, SplitAndJoinedAxes) {
  check(R"(func.func @f(%x: tensor<1x24x1x4xf32>) -> tensor<1x4x6x4xf32> {
    %y = ane.relu %x : (tensor<1x24x1x4xf32>) -> tensor<1x24x1x4xf32>
    %z = ane.reshape %y {shape = array<i64: 1, 4, 6, 4>} : (tensor<1x24x1x4xf32>) -> tensor<1x4x6x4xf32>
    return %z : tensor<1x4x6x4xf32> })");
  check(R"(func.func @f(%x: tensor<4x6x4xf32>) -> tensor<1x24x4xf32> {
    %y = ane.relu %x : (tensor<4x6x4xf32>) -> tensor<4x6x4xf32>
    %z = ane.reshape %y {shape = array<i64: 1, 24, 4>} : (tensor<4x6x4xf32>) -> tensor<1x24x4xf32>
    return %z : tensor<1x24x4xf32> })");
  // Neither: 4 x 6 seen as 6 x 4.
  check(R"(func.func @f(%x: tensor<4x6x4xf32>) -> tensor<6x4x4xf32> {
    %y = ane.relu %x : (tensor<4x6x4xf32>) -> tensor<4x6x4xf32>
    %z = ane.reshape %y {shape = array<i64: 6, 4, 4>} : (tensor<4x6x4xf32>) -> tensor<6x4x4xf32>
    return %z : tensor<6x4x4xf32> })");
  // Three axes joined, an axis of one entry between them.
  check(R"(func.func @f(%x: tensor<2x1x3x4xf32>) -> tensor<24x1xf32> {
    %y = ane.relu %x : (tensor<2x1x3x4xf32>) -> tensor<2x1x3x4xf32>
    %z = ane.reshape %y {shape = array<i64: 24, 1>} : (tensor<2x1x3x4xf32>) -> tensor<24x1xf32>
    return %z : tensor<24x1xf32> })");
}

TEST_F(TileParts, Copies) {
  check(R"(func.func @f(%x: tensor<1x3x1x5xf32>) -> tensor<1x12x5xf32> {
    %y = ane.relu %x : (tensor<1x3x1x5xf32>) -> tensor<1x3x1x5xf32>
    %c = ane.concat %y, %y, %y, %y {axis = 2 : i64} : (tensor<1x3x1x5xf32>, tensor<1x3x1x5xf32>, tensor<1x3x1x5xf32>, tensor<1x3x1x5xf32>) -> tensor<1x3x4x5xf32>
    %z = ane.reshape %c {shape = array<i64: 1, 12, 5>} : (tensor<1x3x4x5xf32>) -> tensor<1x12x5xf32>
    return %z : tensor<1x12x5xf32> })");
  check(
      R"(func.func @f(%x: tensor<1x1x5xf32>, %v: tensor<1x2x5xf32>) -> tensor<1x4x5xf32> {
    %y = ane.relu %x : (tensor<1x1x5xf32>) -> tensor<1x1x5xf32>
    %c = ane.concat %y, %v, %y {axis = 1 : i64} : (tensor<1x1x5xf32>, tensor<1x2x5xf32>, tensor<1x1x5xf32>) -> tensor<1x4x5xf32>
    return %c : tensor<1x4x5xf32> })");
}

TEST_F(TileParts, OperandsOfOneEntry) {
  check(
      R"(func.func @f(%x: tensor<1x1x5xf32>, %v: tensor<1x1x5xf32>) -> tensor<1x4x5xf32> {
    %y = ane.relu %x : (tensor<1x1x5xf32>) -> tensor<1x1x5xf32>
    %c = ane.concat %y, %v, %x, %v {axis = 1 : i64} : (tensor<1x1x5xf32>, tensor<1x1x5xf32>, tensor<1x1x5xf32>, tensor<1x1x5xf32>) -> tensor<1x4x5xf32>
    return %c : tensor<1x4x5xf32> })");
}

TEST_F(TileParts, ChannelsOfConvolutions) {
  check(R"(func.func @f(%x: tensor<1x4x1x3xf32>) -> tensor<1x4x3x3xf32> {
    %v = ane.constant dense<[[[[0.5]], [[1.5]]], [[[0.2]], [[-1.0]]], [[[2.0]], [[0.1]]], [[[0.7]], [[0.3]]], [[[0.6]], [[0.4]]], [[[1.1]], [[1.2]]], [[[0.9]], [[-0.8]]], [[[0.5]], [[0.6]]], [[[0.7]], [[-0.7]]], [[[0.1]], [[0.2]]], [[[0.3]], [[0.4]]], [[[0.5]], [[0.6]]]]> : tensor<12x2x1x1xf32>
    %b = ane.constant dense<[0., 1., 2., 3., 4., 5., 6., 7., 8., 9., 10., 11.]> : tensor<12xf32>
    %y = ane.conv %x, %v, %b {strides = array<i64: 1, 1>, pad_type = "valid", pad = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 2 : i64} : (tensor<1x4x1x3xf32>, tensor<12x2x1x1xf32>, tensor<12xf32>) -> tensor<1x12x1x3xf32>
    %z = ane.reshape %y {shape = array<i64: 1, 4, 3, 3>} : (tensor<1x12x1x3xf32>) -> tensor<1x4x3x3xf32>
    return %z : tensor<1x4x3x3xf32> })");
  // Parts of a plain one have all of its input; of one in groups their own.
  check(R"(func.func @f(%x: tensor<1x2x1x3xf32>) -> tensor<1x6x1x3xf32> {
    %v = ane.constant dense<[[[[0.5]], [[1.5]]], [[[0.2]], [[-1.0]]], [[[2.0]], [[0.1]]], [[[0.7]], [[0.3]]], [[[0.6]], [[0.4]]], [[[1.1]], [[1.2]]]]> : tensor<6x2x1x1xf32>
    %d = ane.constant dense<[[[[0.5]]], [[[0.2]]], [[[2.0]]], [[[-0.7]]], [[[0.6]]], [[[1.1]]]]> : tensor<6x1x1x1xf32>
    %y = ane.conv %x, %v {strides = array<i64: 1, 1>, pad_type = "valid", pad = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x2x1x3xf32>, tensor<6x2x1x1xf32>) -> tensor<1x6x1x3xf32>
    %z = ane.conv %y, %d {strides = array<i64: 1, 1>, pad_type = "valid", pad = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 6 : i64} : (tensor<1x6x1x3xf32>, tensor<6x1x1x1xf32>) -> tensor<1x6x1x3xf32>
    return %z : tensor<1x6x1x3xf32> })");
}

TEST_F(TileParts, RowsWithTheirHalo) {
  check(R"(func.func @f(%x: tensor<1x1x9x7xf32>) -> tensor<1x1x5x4xf32> {
    %v = ane.constant dense<[[[[0.5, 1.5, -1.0], [0.25, 0.75, 2.0], [0.1, 0.2, 0.3]]]]> : tensor<1x1x3x3xf32>
    %r = ane.relu %x : (tensor<1x1x9x7xf32>) -> tensor<1x1x9x7xf32>
    %z = ane.conv %r, %v {strides = array<i64: 2, 2>, pad_type = "custom", pad = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>} : (tensor<1x1x9x7xf32>, tensor<1x1x3x3xf32>) -> tensor<1x1x5x4xf32>
    return %z : tensor<1x1x5x4xf32> })");
}

TEST_F(TileParts, Attention) {
  check(
      R"(func.func @f(%q: tensor<1x4x5x3xf32>, %k: tensor<1x2x3x6xf32>, %m: tensor<1x4x1x6xf32>) -> tensor<1x4x5x6xf32> {
    %k0 = ane.reshape %k {shape = array<i64: 1, 2, 1, 3, 6>} : (tensor<1x2x3x6xf32>) -> tensor<1x2x1x3x6xf32>
    %k1 = ane.concat %k0, %k0 {axis = 2 : i64} : (tensor<1x2x1x3x6xf32>, tensor<1x2x1x3x6xf32>) -> tensor<1x2x2x3x6xf32>
    %k2 = ane.reshape %k1 {shape = array<i64: 1, 4, 3, 6>} : (tensor<1x2x2x3x6xf32>) -> tensor<1x4x3x6xf32>
    %s = ane.matmul %q, %k2 : (tensor<1x4x5x3xf32>, tensor<1x4x3x6xf32>) -> tensor<1x4x5x6xf32>
    %a = ane.add %s, %m : (tensor<1x4x5x6xf32>, tensor<1x4x1x6xf32>) -> tensor<1x4x5x6xf32>
    %p = ane.softmax %a {axis = 3 : i64} : (tensor<1x4x5x6xf32>) -> tensor<1x4x5x6xf32>
    return %p : tensor<1x4x5x6xf32> })");
}
