//===- EngineProductTest.cpp - the fast product against its definition ----===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "lib/Interpreter/EngineNumerics.h"
#include "lib/Interpreter/Evaluators.h"
#include "llvm/ADT/bit.h"
#include "gtest/gtest.h"
#include <cmath>
#include <random>

using namespace mlir;
using namespace mlir::ane;
using Accumulator = NumericContract::Accumulator;

namespace {
struct Problem {
  int64_t m, k, n;
  /// Strides of a and b are those of the transposed matrices.
  bool transposeA, transposeB;
  std::vector<float> a, b;
};

struct Contract : testing::TestWithParam<NumericContract> {
  MLIRContext context;

  /// Bits of both, and the peaks of their partial sums.
  void compare(const Problem &p) {
    Strides sa = p.transposeA ? Strides{1, p.m} : Strides{p.k, 1},
            sb = p.transposeB ? Strides{1, p.k} : Strides{p.n, 1};
    std::vector<float> expected(p.m * p.n), actual(p.m * p.n);
    float peak = 0;
    referenceEngineProduct(GetParam(), p.a.data(), sa, p.b.data(), sb,
                           expected.data(), p.m, p.k, p.n, &peak);
    auto same = [&](llvm::StringRef what) {
      for (size_t i = 0; i < expected.size(); ++i)
        ASSERT_EQ(llvm::bit_cast<uint32_t>(expected[i]),
                  llvm::bit_cast<uint32_t>(actual[i]))
            << what.str() << ", " << p.m << "x" << p.k << "x" << p.n << " at "
            << i << ": " << expected[i] << " and " << actual[i];
    };
    EvalContext plain(&context, Numerics::Engine, &GetParam());
    engineProduct(plain, p.a.data(), sa, p.b.data(), sb, actual.data(), p.m,
                  p.k, p.n);
    same("plain");
    EvalContext records = plain;
    std::atomic<float> most = 0;
    records.setPartialPeak(&most);
    engineProduct(records, p.a.data(), sa, p.b.data(), sb, actual.data(), p.m,
                  p.k, p.n);
    same("recording");
    EXPECT_EQ(most.load(), peak);
  }
};

/// fp16 values of about `size`, `spread` powers of two around it.
std::vector<float> values(std::mt19937 &random, int64_t count, float size,
                          int spread) {
  std::vector<float> v(count);
  std::normal_distribution<float> normal;
  std::uniform_int_distribution<int> power(-spread, spread);
  for (float &x : v)
    x = roundTo(DType::Float16,
                std::ldexp(size * normal(random), power(random)));
  return v;
}
} // namespace

TEST_P(Contract, RandomShapes) {
  std::mt19937 random(1);
  auto upTo = [&](int64_t most) {
    return std::uniform_int_distribution<int64_t>(1, most)(random);
  };
  for (int i = 0; i < 40; ++i) {
    Problem p{upTo(40), upTo(700), upTo(300), bool(i & 1), bool(i & 2), {}, {}};
    if (i % 5 == 0)
      p.n = upTo(3);
    // From products that vanish to sums of which most leave the range.
    float size = std::ldexp(1.0f, i % 20 - 10);
    p.a = values(random, p.m * p.k, size, i % 3);
    p.b = values(random, p.k * p.n, size, i % 7);
    compare(p);
    if (HasFatalFailure())
      return;
  }
}

TEST_P(Contract, SpecialValues) {
  std::mt19937 random(2);
  const float special[] = {INFINITY,     -INFINITY, 65504,   -65504,
                           6e-8f,        -6e-8f,    6.1e-5f, 0.0f,
                           -0.0f,        256,       -128,    0.0078125f,
                           1.0f / 65536, NAN,       1e30f,   -1e-40f};
  for (int i = 0; i < 60; ++i) {
    Problem p{9, 300, 37, bool(i & 1), bool(i & 2), {}, {}};
    p.a = values(random, p.m * p.k, 0.125f, 2);
    p.b = values(random, p.k * p.n, 0.125f, 2);
    std::uniform_int_distribution<size_t> which(0, std::size(special) - 1);
    for (int j = 0; j <= i; ++j) {
      p.a[random() % p.a.size()] = special[which(random)];
      p.b[random() % p.b.size()] = special[which(random)];
    }
    compare(p);
    if (HasFatalFailure())
      return;
  }
}

/// Products half way between two units, exponents at which they are dropped,
/// sums one unit below the limit and at it.
TEST_P(Contract, Edges) {
  for (float x : {0.00390625f, 0.01171875f, 0.0078125f, 181.0f, -181.0f})
    for (float y : {0.001953125f, 0.0029296875f, 0.00390625f, 181.0f, 181.125f})
      for (int64_t k : {1, 2, 300}) {
        Problem p{5,
                  k,
                  17,
                  false,
                  false,
                  std::vector<float>(5 * k, x),
                  std::vector<float>(17 * k, y)};
        compare(p);
        if (HasFatalFailure())
          return;
      }
}

/// Small whole numbers, of which every sum is exact, against oneDNN.
TEST(EngineConvolution, Geometry) {
  MLIRContext context;
  NumericContract fixed{Accumulator::Fixed, false, true, false, 'B', ""};
  EvalContext plain(&context, Numerics::Float32),
      engine(&context, Numerics::Engine, &fixed);
  std::mt19937 random(3);
  auto between = [&](int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(random);
  };
  auto fill = [&](llvm::ArrayRef<int64_t> shape) {
    Tensor tensor(DType::Float32, shape);
    for (float &value : tensor.mutableFloats())
      value = float(between(-3, 3));
    return tensor;
  };
  for (int i = 0; i < 80; ++i) {
    int64_t groups = i % 4 == 3 ? 8 : between(1, 2), inputs = between(1, 5),
            outputs = between(1, 3);
    WindowGeometry window;
    llvm::SmallVector<int64_t> x{between(1, 2), groups * inputs},
        w{groups * outputs, inputs}, y{x[0], w[0]};
    for (int64_t axis = 0, rank = 1 + i % 3; axis < rank; ++axis) {
      window.kernel.push_back(between(1, 4));
      window.strides.push_back(between(1, 3));
      window.dilations.push_back(between(1, 2));
      window.pads.push_back({between(0, 3), between(0, 3)});
      int64_t reach = (window.kernel.back() - 1) * window.dilations.back() + 1,
              size = between(rank == 1 ? 30 : 4, rank == 1 ? 200 : 20),
              padded =
                  size + window.pads.back().first + window.pads.back().second;
      if (padded < reach)
        size += reach - padded, padded = reach;
      x.push_back(size);
      w.push_back(window.kernel.back());
      y.push_back((padded - reach) / window.strides.back() + 1);
    }
    Tensor data = fill(x), weight = fill(w), bias = fill({w[0]}),
           expected(DType::Float32, y), actual(DType::Float32, y);
    ASSERT_EQ(convolution(plain, data, weight, &bias, window, groups, expected),
              "");
    ASSERT_EQ(convolution(engine, data, weight, &bias, window, groups, actual),
              "");
    ASSERT_EQ(expected.floats(), actual.floats()) << "problem " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(
    EngineProduct, Contract,
    testing::Values(
        NumericContract{Accumulator::Float32, true, false, true, 'B', ""},
        NumericContract{Accumulator::Float32, false, true, true, 'B', ""},
        NumericContract{Accumulator::Fixed, false, true, false, 'B', ""},
        NumericContract{Accumulator::ZeroOnOverflow, false, true, true, 'B',
                        ""}));
