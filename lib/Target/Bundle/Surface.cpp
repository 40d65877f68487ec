//===- Surface.cpp - layout of engine surfaces ----------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Target/Surface.h"

using namespace mlir;
using namespace mlir::ane;

bool mlir::ane::isOrder(ArrayRef<int64_t> shape, ArrayRef<int64_t> strides) {
  if (shape.size() != 4 || strides.size() != 4)
    return false;
  SmallVector<std::pair<int64_t, int64_t>> axes; // stride, extent
  for (auto [dim, stride] : llvm::zip(shape, strides))
    if (dim != 1)
      axes.push_back({stride, dim});
  llvm::sort(axes);
  int64_t product = 1;
  for (auto [stride, dim] : axes) {
    if (stride != product)
      return false;
    product *= dim;
  }
  return true;
}

/// Calls body(position in a packed tensor of `shape`, position by `strides`).
template <typename Fn>
static void forEachElement(ArrayRef<int64_t> shape, ArrayRef<int64_t> strides,
                           Fn body) {
  int64_t at = 0;
  for (int64_t n = 0; n < shape[0]; ++n)
    for (int64_t c = 0; c < shape[1]; ++c)
      for (int64_t h = 0; h < shape[2]; ++h) {
        int64_t row = n * strides[0] + c * strides[1] + h * strides[2];
        for (int64_t w = 0; w < shape[3]; ++w)
          body(at++, row + w * strides[3]);
      }
}

Tensor mlir::ane::gather(const Tensor &tensor, ArrayRef<int64_t> shape,
                         ArrayRef<int64_t> strides) {
  Tensor result(tensor.dtype(), shape);
  auto copy = [&](auto from, auto to) {
    forEachElement(shape, strides,
                   [&](int64_t at, int64_t there) { to[at] = from[there]; });
  };
  if (tensor.isFloat())
    copy(tensor.floats(), result.mutableFloats());
  else
    copy(tensor.ints(), result.mutableInts());
  return result;
}

Tensor mlir::ane::scatter(const Tensor &tensor, ArrayRef<int64_t> shape,
                          ArrayRef<int64_t> strides) {
  Tensor result(tensor.dtype(), shape);
  auto copy = [&](auto from, auto to) {
    forEachElement(tensor.shape(), strides,
                   [&](int64_t at, int64_t there) { to[there] = from[at]; });
  };
  if (tensor.isFloat())
    copy(tensor.floats(), result.mutableFloats());
  else
    copy(tensor.ints(), result.mutableInts());
  return result;
}

/// Calls row(offset in the surface, offset in a packed tensor of `box`) for
/// each row of `box`.
template <typename Fn>
static void forEachRow(const SurfaceLayout &s, ArrayRef<int64_t> box, Fn row) {
  int64_t element = 0;
  for (int64_t n = 0; n < box[0]; ++n)
    for (int64_t c = 0; c < box[1]; ++c)
      for (int64_t h = 0; h < box[2]; ++h, element += box[3])
        row(n * s.batchStride + c * s.planeStride + h * s.rowStride, element);
}

static std::vector<char> write(const SurfaceLayout &s, const Tensor &tensor,
                               ArrayRef<int64_t> box, bool poisoned = false) {
  std::vector<char> bytes(s.allocation);
  if (poisoned) // 0x7e7e is a NaN
    std::fill(bytes.begin(), bytes.end(), 0x7e);
  std::vector<float> converted;
  ArrayRef<float> values = tensor.floats();
  if (!tensor.isFloat()) {
    converted.assign(tensor.ints().begin(), tensor.ints().end());
    values = converted;
  }
  forEachRow(s, box, [&](uint64_t offset, int64_t element) {
    encode(DType::Float16, values.slice(element, box[3]),
           MutableArrayRef<char>(bytes).slice(offset, box[3] * 2));
  });
  return bytes;
}

std::vector<char> SurfaceLayout::pack(const Tensor &tensor,
                                      bool poisoned) const {
  return write(*this, order.empty() ? tensor : gather(tensor, view, order),
               view, poisoned);
}
std::vector<char> SurfaceLayout::writeAll(const Tensor &tensor) const {
  return write(*this, tensor, shape);
}

static Tensor read(const SurfaceLayout &s, ArrayRef<char> bytes,
                   ArrayRef<int64_t> box) {
  Tensor tensor(DType::Float16, box);
  forEachRow(s, box, [&](uint64_t offset, int64_t element) {
    decode(DType::Float16, bytes.slice(offset, box[3] * 2),
           tensor.mutableFloats().slice(element, box[3]));
  });
  return tensor;
}

Tensor SurfaceLayout::readAll(ArrayRef<char> bytes) const {
  return read(*this, bytes, shape);
}

Tensor SurfaceLayout::unpack(ArrayRef<char> bytes, DType dtype,
                             ArrayRef<int64_t> logical) const {
  Tensor lying = read(*this, bytes, view);
  Tensor tensor =
      order.empty() ? lying.reshaped(logical) : scatter(lying, logical, order);
  if (dtype == DType::Float16)
    return tensor;
  Tensor converted(dtype, logical);
  if (converted.isFloat())
    llvm::copy(tensor.floats(), converted.mutableFloats().begin());
  else
    for (auto [to, from] : llvm::zip(converted.mutableInts(), tensor.floats()))
      to = wrapTo(dtype, dtype == DType::Bool ? from != 0 : int64_t(from));
  return converted;
}
