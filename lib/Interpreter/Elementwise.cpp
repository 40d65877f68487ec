//===- Elementwise.cpp - element-wise evaluators --------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// Most are generated from the `scalar` expressions of the op records.
//
//===----------------------------------------------------------------------===//

#include "Evaluators.h"
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

static LogicalResult noInteger(Operation *op) {
  return op->emitOpError() << "has no integer semantics";
}

template <typename F, typename I>
static LogicalResult evaluateUnary(Operation *op, EvalContext &context,
                                   ArrayRef<Tensor> in,
                                   SmallVectorImpl<Tensor> &out, F f, I g) {
  Tensor y = context.makeResult(op->getResult(0), in[0].shape());
  if (in[0].isFloat()) {
    if constexpr (std::is_same_v<F, std::nullptr_t>) {
      return noInteger(op);
    } else {
      ArrayRef<float> x = in[0].floats();
      float *z = y.mutableFloats().data();
      context.parallelFor(x.size(), 1 << 14, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i)
          z[i] = f(x[i]);
      });
    }
  } else {
    if constexpr (std::is_same_v<I, std::nullptr_t>) {
      return noInteger(op);
    } else {
      for (auto [slot, x] : llvm::zip(y.mutableInts(), in[0].ints()))
        slot = wrapTo(y.dtype(), g(x));
    }
  }
  context.finish(y);
  out.push_back(std::move(y));
  return success();
}

/// One row with steps 0 or 1; the four cases are separate loops so that they
/// vectorise.
template <typename T, typename R, typename Fn>
static void binaryRow(const T *x, int64_t sx, const T *y, int64_t sy, R *z,
                      int64_t count, Fn fn) {
  if (sx && sy)
    for (int64_t i = 0; i < count; ++i)
      z[i] = R(fn(x[i], y[i]));
  else if (sx)
    for (int64_t i = 0; i < count; ++i)
      z[i] = R(fn(x[i], *y));
  else if (sy)
    for (int64_t i = 0; i < count; ++i)
      z[i] = R(fn(*x, y[i]));
  else
    std::fill(z, z + count, R(fn(*x, *y)));
}

template <typename F, typename I>
static LogicalResult evaluateBinary(Operation *op, EvalContext &context,
                                    ArrayRef<Tensor> in,
                                    SmallVectorImpl<Tensor> &out, F f, I g) {
  auto shape = broadcastShapes(in[0].shape(), in[1].shape());
  if (failed(shape))
    return op->emitOpError()
           << "expects shapes that broadcast, but got [" << in[0].shape()
           << "] and [" << in[1].shape() << "]";
  Tensor z = context.makeResult(op->getResult(0), *shape);
  bool same = in[0].shape() == in[1].shape();
  SmallVector<int64_t, 6> flat{z.size()}, one{1};
  auto sx = same ? one : broadcastStrides(in[0].shape(), *shape),
       sy = same ? one : broadcastStrides(in[1].shape(), *shape),
       sz = same ? one : rowMajorStrides(*shape);
  auto run = [&](auto zeroIn, auto zeroOut, auto fn) {
    using T = decltype(zeroIn);
    using R = decltype(zeroOut);
    const T *x = storage<T>(in[0]).data(), *y = storage<T>(in[1]).data();
    R *r = mutableStorage<R>(z).data();
    if (same) {
      context.parallelFor(z.size(), 1 << 14, [&](int64_t begin, int64_t end) {
        binaryRow(x + begin, 1, y + begin, 1, r + begin, end - begin, fn);
      });
      return;
    }
    int64_t stepX = sx.empty() ? 0 : sx.back(),
            stepY = sy.empty() ? 0 : sy.back();
    forEachRow<3>(
        *shape,
        {ArrayRef<int64_t>(sx), ArrayRef<int64_t>(sy), ArrayRef<int64_t>(sz)},
        [&](auto &offset, int64_t count) {
          binaryRow(x + offset[0], stepX, y + offset[1], stepY, r + offset[2],
                    count, fn);
        });
  };
  if (in[0].isFloat()) {
    if constexpr (std::is_same_v<F, std::nullptr_t>) {
      return noInteger(op);
    } else if (z.isFloat()) {
      run(float(), float(), f);
    } else {
      run(float(), int64_t(), f);
    }
  } else {
    if constexpr (std::is_same_v<I, std::nullptr_t>) {
      return noInteger(op);
    } else {
      run(int64_t(), int64_t(), g);
      if (z.dtype() != DType::Int64 && z.dtype() != DType::Bool)
        for (int64_t &value : z.mutableInts())
          value = wrapTo(z.dtype(), value);
    }
  }
  context.finish(z);
  out.push_back(std::move(z));
  return success();
}

namespace mlir::ane {
#include "dialects/ANE/IR/EvaluatorDefs.inc"

LogicalResult evaluateOp(IdentityOp, EvalContext &, ArrayRef<Tensor> in,
                         SmallVectorImpl<Tensor> &out) {
  out.push_back(in[0]);
  return success();
}

LogicalResult evaluateOp(GeluOp op, EvalContext &context, ArrayRef<Tensor> in,
                         SmallVectorImpl<Tensor> &out) {
  StringRef mode = op.getMode();
  auto run = [&](auto f) {
    return evaluateUnary(op, context, in, out, f, nullptr);
  };
  if (mode == "EXACT")
    return run([](float x) {
      return 0.5f * x * (1.0f + std::erf(x * 0.70710678118654752f));
    });
  if (mode == "TANH_APPROXIMATION")
    return run([](float x) {
      return 0.5f * x *
             (1.0f +
              std::tanh(0.79788456080286536f * (x + 0.044715f * x * x * x)));
    });
  return run([](float x) { return x / (1.0f + std::exp(-1.702f * x)); });
}

/// y = fn(x, alpha[c], beta[c]) with the channel on axis 1.
template <typename Fn>
static LogicalResult perChannel(Operation *op, EvalContext &context,
                                ArrayRef<Tensor> in,
                                SmallVectorImpl<Tensor> &out, Fn fn) {
  Tensor y = context.makeResult(op->getResult(0), in[0].shape());
  AxisView view(in[0].shape(), 1);
  const float *x = in[0].floats().data();
  float *z = y.mutableFloats().data();
  for (int64_t o = 0; o < view.outer; ++o)
    for (int64_t c = 0; c < view.extent; ++c)
      for (int64_t i = 0; i < view.inner; ++i, ++x, ++z)
        *z =
            fn(*x, in[1].floats()[c], in.size() > 2 ? in[2].floats()[c] : 0.0f);
  context.finish(y);
  out.push_back(std::move(y));
  return success();
}
LogicalResult evaluateOp(PreluOp op, EvalContext &context, ArrayRef<Tensor> in,
                         SmallVectorImpl<Tensor> &out) {
  return perChannel(op, context, in, out, [](float x, float alpha, float) {
    return x < 0 ? alpha * x : x;
  });
}
LogicalResult evaluateOp(SoftplusParametricOp op, EvalContext &context,
                         ArrayRef<Tensor> in, SmallVectorImpl<Tensor> &out) {
  return perChannel(op, context, in, out, [](float x, float alpha, float beta) {
    return alpha * (std::log1p(std::exp(-std::fabs(beta * x))) +
                    std::fmax(beta * x, 0.0f));
  });
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
} // namespace mlir::ane
