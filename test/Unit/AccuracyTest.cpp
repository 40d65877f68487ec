//===- AccuracyTest.cpp - an output beside fp32 ---------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Artifact/Accuracy.h"
#include "gtest/gtest.h"
#include <cmath>

using namespace mlir::ane;

static Tensor tensor(std::vector<float> values) {
  Tensor result(DType::Float32, {int64_t(values.size())});
  llvm::copy(values, result.mutableFloats().begin());
  return result;
}

TEST(Accuracy, FewNumbersHaveASize) {
  OutputAccuracy one;
  one.add(tensor({2.2f}), tensor({2}));
  EXPECT_EQ(one.cosine, 1);
  EXPECT_NEAR(one.closeness(), 1 - 0.01 / 2, 1e-6);
  OutputAccuracy many;
  std::vector<float> a(100, 2.2f), e(100, 2);
  many.add(tensor(a), tensor(e));
  EXPECT_NEAR(many.closeness(), 1, 1e-9);
  // As close to nothing as the cosine asks for.
  OutputAccuracy nothing;
  nothing.add(tensor({1e-7f}), tensor({0}));
  EXPECT_EQ(nothing.closeness(), 1);
}

TEST(Accuracy, WhatFp32HasNotIsOfAllSamples) {
  OutputAccuracy output;
  output.add(tensor({NAN, NAN}), tensor({NAN, INFINITY}));
  EXPECT_EQ(output.unknown, 1);
  output.add(tensor({1, 2}), tensor({1, 2}));
  EXPECT_EQ(output.unknown, 0.5);
  EXPECT_EQ(output.lost, 0);
  EXPECT_FALSE(output.nonFinite);
  output.add(tensor({INFINITY, 2}), tensor({1, 2}));
  EXPECT_EQ(output.lost, 0.5);
  EXPECT_EQ(output.closeness(), -1);
}

TEST(Accuracy, WhatVariesLittleIsHeldAgainstThat) {
  // 64 Pa of a range of 1000 about 101325.
  OutputAccuracy pressure;
  pressure.add(tensor({100800, 101325, 101888}),
               tensor({100825, 101325, 101825}));
  EXPECT_TRUE(pressure.isOffset());
  EXPECT_NEAR(pressure.error, 0.063, 1e-3);
  EXPECT_LT(pressure.closeness(), 0.998);
  // Probabilities that are all nearly one.
  OutputAccuracy sure;
  sure.add(tensor({0.999f, 0.9995f}), tensor({0.9991f, 0.9994f}));
  EXPECT_FALSE(sure.isOffset());
  EXPECT_LT(sure.error, 1e-3);
}

TEST(Accuracy, TinyNumbersAreNotNothing) {
  OutputAccuracy lost;
  lost.nothing = 1e-15;
  lost.add(tensor({0, 0}), tensor({3e-9f, -2e-9f}));
  EXPECT_EQ(lost.cosine, 0);
  EXPECT_NEAR(lost.error, 1, 1e-6);
  OutputAccuracy cancelled;
  cancelled.add(tensor({0, 0}), tensor({3e-9f, -2e-9f}));
  EXPECT_EQ(cancelled.cosine, 1);
}
