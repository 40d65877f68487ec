//===- Convert.h - arrays between the user's memory and surfaces ----------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_LIB_RUNTIME_CONVERT_H
#define ANEMLIR_LIB_RUNTIME_CONVERT_H

#include "Failure.h"
#include <array>
#include <optional>
#include <vector>

namespace ane::runtime {

std::optional<ane_dtype> lookupDType(const char *name);
const char *nameOf(ane_dtype dtype);
size_t sizeOf(ane_dtype dtype);
bool isFloat(ane_dtype dtype);

/// Rounds to nearest even, as the interpreter does.
uint16_t floatToHalf(float value);
float halfToFloat(uint16_t bits);

/// How an array lies in memory: rows of equal length. `view` is the array as
/// rank 4, `strides` the bytes from one element of an axis to the next (the
/// innermost is packed).
struct Layout {
  ane_dtype dtype;
  std::array<int64_t, 4> view;
  std::array<uint64_t, 3> strides;
  /// Bytes that it takes.
  uint64_t bytes;
  /// Elements of the array between neighbours along each axis of the view,
  /// where they lie in another order than its own; else zeros.
  std::array<int64_t, 4> order = {};

  static Layout packed(ane_dtype dtype, int64_t count);
  bool isPacked() const;
  bool isOrdered() const { return order != std::array<int64_t, 4>(); }
  /// Axes of the view from the slowest to the fastest of the array.
  std::array<int, 4> axes() const;
  /// Where the array's element of this number lies.
  uint64_t offsetOf(int64_t element) const;
  int64_t count() const { return view[0] * view[1] * view[2] * view[3]; }
  uint64_t rowOffset(int64_t n, int64_t c, int64_t h) const {
    return n * strides[0] + c * strides[1] + h * strides[2];
  }
  bool operator==(const Layout &other) const {
    return dtype == other.dtype && view == other.view &&
           strides == other.strides && bytes == other.bytes &&
           order == other.order;
  }
};

/// Strides in bytes of a logical shape over the axes of its layout; false where
/// axes are merged or cut so that there are none.
bool findStrides(const std::vector<int64_t> &shape, const Layout &layout,
                 std::vector<int64_t> &strides);

/// A part of an array: `shape` of its elements, `strides` from one to the next.
/// Nothing where that takes more than four axes.
std::optional<Layout> layoutOfPart(ane_dtype dtype,
                                   const std::vector<int64_t> &shape,
                                   const std::vector<int64_t> &strides);

/// Copies the elements of `from` to `to`, in order, by way of `carrier`: the
/// dtype that the tensor has between programs. Either both have the same count,
/// or this is a bug of the caller. `name` is what a value that does not fit is
/// reported for. Allocates nothing.
void convert(const Layout &from, const void *source, const Layout &to,
             void *target, ane_dtype carrier, const char *name);

} // namespace ane::runtime

#endif // ANEMLIR_LIB_RUNTIME_CONVERT_H
