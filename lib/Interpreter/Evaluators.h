//===- Evaluators.h - shared by the evaluators of each family -------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_LIB_INTERPRETER_EVALUATORS_H
#define ANEMLIR_LIB_INTERPRETER_EVALUATORS_H

#include "ane-mlir/Interpreter/Interpreter.h"
#include "llvm/ADT/StringMap.h"

namespace mlir::ane {

/// Evaluators by the names of their ops. Each family adds its own: the file
/// that evaluates a family includes what ane-tblgen makes of its records at
/// its end, so that an op without an evaluator is a link error.
using Evaluator = LogicalResult (*)(Operation *, EvalContext &,
                                    ArrayRef<Tensor>,
                                    SmallVectorImpl<Tensor> &);
using EvaluatorTable = llvm::StringMap<Evaluator>;
template <typename Op>
LogicalResult callEvaluator(Operation *op, EvalContext &context,
                            ArrayRef<Tensor> inputs,
                            SmallVectorImpl<Tensor> &outputs) {
  return evaluateOp(cast<Op>(op), context, inputs, outputs);
}

/// Calls fn with the storage of a tensor: float or int64_t.
template <typename Fn>
auto withStorage(const Tensor &tensor, Fn fn) {
  return tensor.isFloat() ? fn(float()) : fn(int64_t());
}
template <typename T>
llvm::ArrayRef<T> storage(const Tensor &tensor) {
  if constexpr (std::is_same_v<T, float>)
    return tensor.floats();
  else
    return tensor.ints();
}
template <typename T>
llvm::MutableArrayRef<T> mutableStorage(Tensor &tensor) {
  if constexpr (std::is_same_v<T, float>)
    return tensor.mutableFloats();
  else
    return tensor.mutableInts();
}

/// Walks a box of `shape`, keeping offsets into tensors with the given strides
/// per axis; calls fn(offsets, count) for each innermost run of shape.back()
/// elements, whose step per tensor is strides[t].back().
template <size_t N, typename Fn>
void forEachRow(llvm::ArrayRef<int64_t> shape,
                const std::array<llvm::ArrayRef<int64_t>, N> &strides, Fn fn) {
  for (int64_t dim : shape)
    if (dim == 0)
      return;
  std::array<int64_t, N> offsets{};
  if (shape.empty())
    return fn(offsets, int64_t(1));
  llvm::SmallVector<int64_t, 6> index(shape.size());
  while (true) {
    fn(offsets, shape.back());
    int64_t axis = shape.size() - 2;
    for (; axis >= 0; --axis) {
      for (size_t t = 0; t < N; ++t)
        offsets[t] += strides[t][axis];
      if (++index[axis] < shape[axis])
        break;
      for (size_t t = 0; t < N; ++t)
        offsets[t] -= strides[t][axis] * shape[axis];
      index[axis] = 0;
    }
    if (axis < 0)
      return;
  }
}

/// Strides of a tensor of `shape` broadcast to `result`: 0 along broadcast
/// axes.
inline llvm::SmallVector<int64_t, 6>
broadcastStrides(llvm::ArrayRef<int64_t> shape,
                 llvm::ArrayRef<int64_t> result) {
  llvm::SmallVector<int64_t, 6> strides(result.size()),
      own = rowMajorStrides(shape);
  size_t lead = result.size() - shape.size();
  for (size_t i = 0; i < shape.size(); ++i)
    strides[lead + i] = shape[i] == 1 ? 0 : own[i];
  return strides;
}

/// NumPy's broadcast of two run-time shapes; failure when they do not agree.
inline FailureOr<llvm::SmallVector<int64_t, 6>>
broadcastShapes(llvm::ArrayRef<int64_t> a, llvm::ArrayRef<int64_t> b) {
  llvm::SmallVector<int64_t, 6> shape(std::max(a.size(), b.size()), 1);
  for (llvm::ArrayRef<int64_t> s : {a, b})
    for (size_t i = 0; i < s.size(); ++i) {
      int64_t &have = shape[shape.size() - s.size() + i];
      if (have == 1)
        have = s[i];
      else if (s[i] != 1 && s[i] != have)
        return failure();
    }
  return shape;
}

/// [outer, extent, inner] of a shape around one axis.
struct AxisView {
  int64_t outer = 1, extent = 1, inner = 1;
  AxisView(llvm::ArrayRef<int64_t> shape, int64_t axis) {
    if (axis < 0)
      axis += shape.size();
    for (int64_t i = 0; i < int64_t(shape.size()); ++i)
      (i < axis ? outer : i == axis ? extent : inner) *= shape[i];
  }
};

/// MIL index semantics: NumPy's wrap of negatives; failure when out of range.
inline FailureOr<int64_t> wrapIndex(int64_t index, int64_t extent) {
  if (index < 0)
    index += extent;
  if (index < 0 || index >= extent)
    return failure();
  return index;
}

//===----------------------------------------------------------------------===//
// Kernels (Kernels.cpp): fp32, oneDNN for anything but small problems
//===----------------------------------------------------------------------===//

/// c[batch, m, n] = a · b with per-batch offsets (in matrices) into a and b;
/// either may be transposed.
void batchedMatmul(const EvalContext &context, const float *a, const float *b,
                   float *c, int64_t m, int64_t k, int64_t n, bool transposeA,
                   bool transposeB, llvm::ArrayRef<int64_t> batchA,
                   llvm::ArrayRef<int64_t> batchB);

struct WindowGeometry {
  llvm::SmallVector<int64_t, 3> kernel, strides, dilations;
  llvm::SmallVector<std::pair<int64_t, int64_t>> pads;
};
/// Failure carries oneDNN's message.
std::string convolution(const EvalContext &context, const Tensor &x,
                        const Tensor &weight, const Tensor *bias,
                        const WindowGeometry &window, int64_t groups,
                        Tensor &y);
enum class PoolKind { Max, AverageInclude, AverageExclude };
std::string pool(const Tensor &x, PoolKind kind, const WindowGeometry &window,
                 Tensor &y);

} // namespace mlir::ane

#endif // ANEMLIR_LIB_INTERPRETER_EVALUATORS_H
