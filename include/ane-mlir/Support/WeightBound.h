//===- WeightBound.h - how far weights in fewer bits may be off -----------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_SUPPORT_WEIGHTBOUND_H
#define ANEMLIR_SUPPORT_WEIGHTBOUND_H

namespace mlir::ane {

struct WeightBound {
  /// The largest error of a weight, as a part of its root mean square.
  double error = 0;
  /// Of the weights that this larger one makes smaller, so many sixteenths take
  /// it: those first that lose the least for the bytes they save.
  double looser = 0;
  unsigned parts = 0;
  static constexpr unsigned kParts = 16;
};

} // namespace mlir::ane

#endif // ANEMLIR_SUPPORT_WEIGHTBOUND_H
