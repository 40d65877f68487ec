//===- Elementwise.cpp - arithmetic, comparisons, casts, select -----------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// Most are generated from the `scalar` expressions of the op records.
//
//===----------------------------------------------------------------------===//

#include "ElementwiseLoops.h"
#include "dialects/ANE/IR/Arithmetic.h"
#include "dialects/ANE/IR/Cast.h"
#include "dialects/ANE/IR/Comparison.h"
#include <cmath>

using namespace mlir;
using namespace mlir::ane;

/// x to the power y in int64, wrapping; negative exponents truncate toward
/// zero.
static int64_t integerPower(int64_t x, int64_t y) {
  if (y < 0)
    return x == 1 ? 1 : x == -1 ? (y % 2 ? -1 : 1) : 0;
  uint64_t result = 1, base = x;
  for (; y; y >>= 1, base *= base)
    if (y & 1)
      result *= base;
  return int64_t(result);
}

/// x - floor(x / y) * y without its cancellation: the remainder has the sign of
/// y, and a finite x stays below an infinite y.
static float floorModulo(float x, float y) {
  float rest = std::fmod(x, y);
  if (rest == 0)
    return std::copysign(0.0f, y);
  return (rest < 0) != (y < 0) ? rest + y : rest;
}

namespace mlir::ane {
LogicalResult evaluateOp(IdentityOp, EvalContext &, ArrayRef<Tensor> in,
                         SmallVectorImpl<Tensor> &out) {
  out.push_back(in[0]);
  return success();
}

LogicalResult evaluateOp(CastOp op, EvalContext &context, ArrayRef<Tensor> in,
                         SmallVectorImpl<Tensor> &out) {
  DType to = *toDType(op.getType().getElementType());
  if (in[0].dtype() == to || (in[0].isFloat() && isFloat(to) &&
                              (to == DType::Float32 || to == DType::Float64 ||
                               (to == DType::Float16 &&
                                context.getNumerics() == Numerics::Float32)))) {
    out.push_back(in[0].retyped(to));
    return success();
  }
  Tensor y = context.makeResult(op.getY(), in[0].shape());
  if (in[0].isFloat() && isFloat(to)) {
    llvm::copy(in[0].floats(), y.mutableFloats().begin());
    context.finish(y);
  } else if (in[0].isFloat()) {
    // Truncation toward zero; out of range saturates, as a checked conversion
    // would.
    // What is infinite is the largest of the program's 32 bits even where the
    // model has 64: no number is lost.
    bool wide = context.isWide();
    auto infinite = [&](bool negative) -> int64_t {
      if (to == DType::UInt32)
        return negative ? 0 : int64_t(UINT32_MAX);
      return negative ? INT32_MIN : INT32_MAX;
    };
    for (auto [slot, x] : llvm::zip(y.mutableInts(), in[0].floats()))
      slot = to == DType::Bool       ? x != 0
             : std::isnan(x)         ? 0
             : wide && std::isinf(x) ? infinite(x < 0)
             : x >= 9.2e18f          ? wrapTo(y.dtype(), INT64_MAX)
             : x <= -9.2e18f         ? wrapTo(y.dtype(), INT64_MIN)
                                     : wrapTo(y.dtype(), int64_t(x));
  } else if (isFloat(to)) {
    bool isUnsigned64 = in[0].dtype() == DType::UInt64;
    for (auto [slot, x] : llvm::zip(y.mutableFloats(), in[0].ints()))
      slot = isUnsigned64 ? float(uint64_t(x)) : float(x);
    context.finish(y);
  } else {
    for (auto [slot, x] : llvm::zip(y.mutableInts(), in[0].ints()))
      slot = wrapTo(y.dtype(), x);
  }
  out.push_back(std::move(y));
  return success();
}

LogicalResult evaluateOp(SelectOp op, EvalContext &context, ArrayRef<Tensor> in,
                         SmallVectorImpl<Tensor> &out) {
  auto branches = broadcastShapes(in[1].shape(), in[2].shape());
  auto shape =
      failed(branches) ? branches : broadcastShapes(*branches, in[0].shape());
  if (failed(shape))
    return op.emitOpError() << "expects shapes that broadcast";
  Tensor y = context.makeResult(op.getY(), *shape);
  auto sc = broadcastStrides(in[0].shape(), *shape),
       sa = broadcastStrides(in[1].shape(), *shape),
       sb = broadcastStrides(in[2].shape(), *shape),
       sy = rowMajorStrides(*shape);
  withStorage(y, [&](auto zero) {
    using T = decltype(zero);
    const int64_t *cond = in[0].ints().data();
    const T *a = storage<T>(in[1]).data(), *b = storage<T>(in[2]).data();
    T *r = mutableStorage<T>(y).data();
    int64_t tc = sc.empty() ? 0 : sc.back(), ta = sa.empty() ? 0 : sa.back(),
            tb = sb.empty() ? 0 : sb.back();
    forEachRow<4>(*shape,
                  {ArrayRef<int64_t>(sc), ArrayRef<int64_t>(sa),
                   ArrayRef<int64_t>(sb), ArrayRef<int64_t>(sy)},
                  [&](auto &offset, int64_t count) {
                    for (int64_t i = 0; i < count; ++i)
                      r[offset[3] + i] = cond[offset[0] + i * tc]
                                             ? a[offset[1] + i * ta]
                                             : b[offset[2] + i * tb];
                  });
  });
  context.finish(y);
  out.push_back(std::move(y));
  return success();
}

#include "dialects/ANE/IR/ArithmeticEvaluators.inc"
#include "dialects/ANE/IR/CastEvaluators.inc"
#include "dialects/ANE/IR/ComparisonEvaluators.inc"
} // namespace mlir::ane
