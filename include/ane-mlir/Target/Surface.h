//===- Surface.h - layout of engine surfaces ------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// engine/runtime.md §3.5: rows are aligned to 64 bytes, planes and batches
// follow, the allocation is at least 16 KiB and rounded to 64 KiB. This formula
// explains the published measurements; it was not run on a device here.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_TARGET_SURFACE_H
#define ANEMLIR_TARGET_SURFACE_H

#include "ane-mlir/Interpreter/Tensor.h"
#include "llvm/Support/MathExtras.h"

namespace mlir::ane {

/// The elements of a tensor that are `strides` of them apart along each axis of
/// `shape`, and the tensor of a shape that such elements came from. `strides`
/// name each element once (isOrder).
Tensor gather(const Tensor &tensor, ArrayRef<int64_t> shape,
              ArrayRef<int64_t> strides);
Tensor scatter(const Tensor &tensor, ArrayRef<int64_t> shape,
               ArrayRef<int64_t> strides);
bool isOrder(ArrayRef<int64_t> shape, ArrayRef<int64_t> strides);

struct SurfaceLayout {
  /// [N,C,H,W] of the surface and of the logical view inside it.
  SmallVector<int64_t, 4> shape, view;
  /// Elements of the logical tensor between neighbours along each axis of the
  /// view; empty where they are in order.
  SmallVector<int64_t, 4> order;
  uint64_t rowStride, planeStride, batchStride, allocation;

  static SurfaceLayout compute(ArrayRef<int64_t> shape,
                               ArrayRef<int64_t> view) {
    SurfaceLayout s;
    s.shape.assign(shape.begin(), shape.end());
    s.view.assign(view.begin(), view.end());
    s.rowStride = llvm::alignTo(shape[3] * 2, 64);
    s.planeStride = shape[2] * s.rowStride;
    s.batchStride = shape[1] * s.planeStride;
    s.allocation = llvm::alignTo(
        std::max<uint64_t>(shape[0] * s.batchStride, 16384), 65536);
    return s;
  }

  /// Copies a logical tensor into surface bytes: fp16, zeros in the padding.
  /// `poisoned` fills the padding with NaN instead of zero: no result may
  /// depend on it.
  std::vector<char> pack(const Tensor &tensor, bool poisoned = false) const;
  /// Reads the whole surface, padding included, as a tensor of `shape`.
  Tensor readAll(ArrayRef<char> bytes) const;
  /// Writes a program's output tensor of `shape` into surface bytes.
  std::vector<char> writeAll(const Tensor &tensor) const;
  /// The logical tensor in surface bytes.
  Tensor unpack(ArrayRef<char> bytes, DType dtype,
                ArrayRef<int64_t> logical) const;
};

} // namespace mlir::ane

#endif // ANEMLIR_TARGET_SURFACE_H
