//===- ExtentRange.h - extents between two ends ---------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_SUPPORT_EXTENTRANGE_H
#define ANEMLIR_SUPPORT_EXTENTRANGE_H

#include <cstdint>

namespace mlir::ane {

/// What an extent may be, both ends included.
struct ExtentRange {
  int64_t low = 1;
  /// Below zero where there is no end.
  int64_t high = 1;

  bool isOne() const { return low == high; }
  friend bool operator==(const ExtentRange &a, const ExtentRange &b) {
    return a.low == b.low && a.high == b.high;
  }
};

} // namespace mlir::ane

#endif // ANEMLIR_SUPPORT_EXTENTRANGE_H
