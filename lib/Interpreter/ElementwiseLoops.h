//===- ElementwiseLoops.h - what `scalar` expressions run in --------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// Most element-wise evaluators are generated from the `scalar` expressions of
// the op records.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_LIB_INTERPRETER_ELEMENTWISELOOPS_H
#define ANEMLIR_LIB_INTERPRETER_ELEMENTWISELOOPS_H

#include "Evaluators.h"
#include <cmath>

namespace mlir::ane {

inline LogicalResult noInteger(Operation *op) {
  return op->emitOpError() << "has no integer semantics";
}

template <typename F, typename I>
LogicalResult evaluateUnary(Operation *op, EvalContext &context,
                            ArrayRef<Tensor> in, SmallVectorImpl<Tensor> &out,
                            F f, I g) {
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
void binaryRow(const T *x, int64_t sx, const T *y, int64_t sy, R *z,
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
LogicalResult evaluateBinary(Operation *op, EvalContext &context,
                             ArrayRef<Tensor> in, SmallVectorImpl<Tensor> &out,
                             F f, I g) {
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

} // namespace mlir::ane

#endif // ANEMLIR_LIB_INTERPRETER_ELEMENTWISELOOPS_H
