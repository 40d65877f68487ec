//===- Surface.cpp - layout of engine surfaces ----------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Target/Surface.h"

using namespace mlir;
using namespace mlir::ane;

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
  return write(*this, tensor, view, poisoned);
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
  Tensor tensor = read(*this, bytes, view).reshaped(logical);
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
