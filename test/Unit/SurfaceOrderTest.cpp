//===- SurfaceOrderTest.cpp - orders of elements in surfaces --------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Analysis/SurfaceOrder.h"
#include "ane-mlir/Target/Surface.h"
#include "gtest/gtest.h"
#include <numeric>

using namespace mlir;
using namespace mlir::ane;

using Ints = SmallVector<int64_t>;

TEST(SurfaceOrder, ReshapesSplitAndJoinAxes) {
  // [2,3,4] transposed to [4,2,3].
  Ints shape = {4, 2, 3}, strides = {1, 12, 4};
  EXPECT_EQ(reshapeStrides(shape, strides, {4, 6}), (Ints{1, 4}));
  EXPECT_EQ(reshapeStrides(shape, strides, {2, 2, 6}), (Ints{2, 1, 4}));
  EXPECT_EQ(reshapeStrides(shape, strides, {1, 4, 1, 6}), (Ints{0, 1, 0, 4}));
  // Neighbours that are not even.
  EXPECT_EQ(reshapeStrides(shape, strides, {24}), std::nullopt);
  EXPECT_EQ(reshapeStrides(shape, strides, {8, 3}), std::nullopt);
  EXPECT_EQ(reshapeStrides({6}, {1}, {4}), std::nullopt);
}

TEST(SurfaceOrder, RowMajorIsWhatItIsReshapedFrom) {
  for (const Ints &shape :
       {Ints{2, 3, 4}, Ints{24}, Ints{1, 24, 1}, Ints{4, 6}, Ints{12, 2}})
    for (const Ints &to : {Ints{24}, Ints{2, 12}, Ints{2, 3, 2, 2}}) {
      auto strides = reshapeStrides(shape, rowMajorStrides(shape), to);
      ASSERT_TRUE(strides);
      EXPECT_EQ(*strides, rowMajorStrides(to));
    }
}

TEST(SurfaceOrder, AnOrderNamesEachElementOnce) {
  EXPECT_TRUE(isOrder({1, 4, 1, 6}, {0, 1, 0, 4}));
  EXPECT_TRUE(isOrder({1, 4, 1, 6}, {7, 6, 9, 1}));
  EXPECT_FALSE(isOrder({1, 4, 1, 6}, {0, 1, 0, 3}));
  EXPECT_FALSE(isOrder({1, 4, 1, 6}, {0, 2, 0, 8}));
  EXPECT_FALSE(isOrder({1, 4, 1, 6}, {0, 1, 0, -4}));
  EXPECT_FALSE(isOrder({1, 4, 6}, {0, 1, 4}));
}

TEST(SurfaceOrder, PackedAndUnpackedIsTheSame) {
  Tensor tensor(DType::Float32, {5, 32});
  std::iota(tensor.mutableFloats().begin(), tensor.mutableFloats().end(), 0);
  SurfaceLayout layout = SurfaceLayout::compute({1, 32, 1, 32}, {1, 32, 1, 5});
  layout.order = {0, 1, 0, 32};
  std::vector<char> bytes = layout.pack(tensor);
  // Channel 3, position 2 is element (2, 3).
  EXPECT_EQ(layout.readAll(bytes).floats()[3 * 32 + 2], 2 * 32 + 3);
  Tensor back = layout.unpack(bytes, DType::Float32, tensor.shape());
  EXPECT_EQ(back.floats(), tensor.floats());
}
