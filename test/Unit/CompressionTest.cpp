//===- CompressionTest.cpp - weights in fewer bits ------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "lib/Transforms/Compression.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include <gtest/gtest.h>
#include <random>

using namespace mlir::ane;

namespace {
using Shape = llvm::SmallVector<int64_t, 6>;

/// The value that a form gives each element.
std::vector<float> decode(const AffineForm &form, const Tensor &codes) {
  std::vector<float> values(codes.size());
  BlockMap map(codes.shape(), form.grid);
  map.forEachRun([&](int64_t first, int64_t count, int64_t block) {
    for (int64_t i = first; i < first + count; ++i)
      values[i] = codes.floats()[i] * form.scales[block];
  });
  return values;
}

/// Codes of [low, high] times a scale for each block of `grid`.
std::pair<Tensor, Tensor> make(Shape shape, Shape grid, int low, int high) {
  std::mt19937 random(7);
  Tensor weight(DType::Float32, shape), codes(DType::Float32, shape);
  BlockMap map(shape, grid);
  std::vector<float> scales;
  for (int64_t i = 0; i < map.blocks(); ++i)
    scales.push_back(0.01f * (1 + float(random() % 1000) / 500));
  map.forEachRun([&](int64_t first, int64_t count, int64_t block) {
    for (int64_t i = first; i < first + count; ++i) {
      codes.mutableFloats()[i] =
          float(low + int(random() % unsigned(high - low + 1)));
      weight.mutableFloats()[i] = codes.floats()[i] * scales[block];
    }
  });
  return {weight, codes};
}

TEST(CompressionTest, FindsTheCoarsestGrid) {
  for (Shape grid : {Shape{1, 1}, Shape{24, 1}, Shape{1, 4}, Shape{24, 8},
                     Shape{6, 64}, Shape{3, 2}}) {
    auto [weight, codes] = make({24, 64}, grid, -7, 7);
    auto form = recogniseAffine(weight, codes, false);
    ASSERT_TRUE(form);
    EXPECT_EQ(form->grid, grid);
    EXPECT_EQ(form->dtype, DType::Int4);
    for (auto [got, wanted] : llvm::zip(decode(*form, codes), weight.floats()))
      EXPECT_NEAR(got, wanted, 1e-5);
  }
}

TEST(CompressionTest, ChoosesTheNarrowestData) {
  struct {
    int low, high;
    bool shifted;
    std::optional<DType> dtype;
  } cases[] = {{-8, 7, true, DType::Int4},      {-8, 8, true, DType::Int8},
               {-3, 12, true, DType::UInt4},    {-3, 12, false, DType::Int8},
               {0, 15, true, DType::UInt4},     {-128, 127, true, DType::Int8},
               {-100, 155, true, DType::UInt8}, {-100, 155, false, {}},
               {1, 16, true, DType::Int8}};
  for (auto &c : cases) {
    auto [weight, codes] = make({4, 1024}, {4, 1}, c.low, c.high);
    auto form = recogniseAffine(weight, codes, c.shifted);
    ASSERT_EQ(form.has_value(), c.dtype.has_value()) << c.low << ' ' << c.high;
    if (!form)
      continue;
    EXPECT_EQ(form->dtype, *c.dtype) << c.low << ' ' << c.high;
    // Data fits its type once it is shifted.
    for (int64_t shift : form->shifts) {
      EXPECT_GE(c.low + shift, 0);
      EXPECT_LT(c.high + shift, int64_t(1) << getInfo(form->dtype).bits);
    }
  }
}

TEST(CompressionTest, RefusesWhatIsNoIntegersTimesScales) {
  auto [weight, codes] = make({8, 512}, {8, 1}, -7, 7);
  Tensor other(DType::Float32, weight.shape());
  llvm::copy(weight.floats(), other.mutableFloats().begin());
  other.mutableFloats()[700] += 0.004f;
  // Every element would need a scale of its own.
  auto form = recogniseAffine(other, codes, true);
  EXPECT_TRUE(!form || form->scales.size() > 512);
  auto [small, same] = make({8, 512}, {1, 1}, -7, 7);
  for (float &x : small.mutableFloats())
    x *= 1e-4f;
  EXPECT_FALSE(recogniseAffine(small, same, true))
      << "a scale below 2^-14 has few digits in fp16";
}

TEST(CompressionTest, QuantisesSymmetrically) {
  Tensor weight(DType::Float32, {2, 64});
  std::mt19937 random(3);
  for (float &x : weight.mutableFloats())
    x = float(random() % 2001) / 1000 - 1;
  weight.mutableFloats()[0] = -1.27f;
  AffineForm form = quantiseAffine(weight, 8, {2, 1});
  // The largest magnitude is 127 steps: 128 would wrap.
  EXPECT_NEAR(form.scales[0], 0.01, 1e-5);
  EXPECT_EQ(form.dtype, DType::Int8);
  EXPECT_TRUE(form.shifts.empty());
  EXPECT_EQ(quantiseAffine(weight, 4, {2, 4}).scales.size(), 8u);
}

TEST(CompressionTest, TablesAreExactWhereTheyCanBe) {
  Tensor weight(DType::Float32, {4, 256});
  for (auto [i, x] : llvm::enumerate(weight.mutableFloats()))
    x = 0.25f * float(i * 7 % 4) + float(i / 256);
  EXPECT_FALSE(recognisePalette(weight, 2, {1, 1}));
  auto form = recognisePalette(weight, 2, {4, 1});
  ASSERT_TRUE(form);
  for (auto [i, x] : llvm::enumerate(weight.floats()))
    EXPECT_EQ(form->tables[i / 256 * 4 + form->indices[i]], x);
  PaletteForm fitted = fitPalette(weight, 2, {4, 1});
  EXPECT_EQ(fitted.indices, form->indices);
}

TEST(CompressionTest, MoreEntriesAreNearer) {
  Tensor weight(DType::Float32, {16, 256});
  std::mt19937 random(5);
  std::normal_distribution<float> normal;
  for (float &x : weight.mutableFloats())
    x = normal(random);
  double last = 1e9;
  for (auto [bits, most] : {std::pair(3u, 0.04), std::pair(4u, 0.011),
                            std::pair(6u, 0.0009), std::pair(8u, 0.00006)}) {
    PaletteForm form = fitPalette(weight, bits, {1, 1});
    double error = 0;
    for (auto [i, x] : llvm::enumerate(weight.floats()))
      error += std::pow(form.tables[form.indices[i]] - x, 2);
    error /= double(weight.size());
    // Of a Gaussian the best table of so many entries has about this error.
    EXPECT_LT(error, most) << bits;
    EXPECT_LT(error, last);
    last = error;
  }
}
} // namespace
