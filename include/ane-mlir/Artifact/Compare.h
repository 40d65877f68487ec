//===- Compare.h - how far two tensors are apart --------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_ARTIFACT_COMPARE_H
#define ANEMLIR_ARTIFACT_COMPARE_H

#include "ane-mlir/Interpreter/Tensor.h"
#include "llvm/Support/raw_ostream.h"

namespace mlir::ane {

struct Comparison {
  bool sameShape = true;
  /// Largest absolute difference, largest finite magnitude expected, cosine of
  /// the angle between the two.
  double worst = 0, largest = 0, cosine = 1;
  /// (difference, element) outside of tolerance, the worst first.
  std::vector<std::pair<double, int64_t>> outside;
  bool ok() const { return sameShape && outside.empty(); }
};

/// |actual - expected| <= atol + rtol · |expected|, NaN equal to NaN. A
/// negative atol stands for a thousandth of the largest magnitude.
Comparison compareTensors(const Tensor &actual, const Tensor &expected,
                          double rtol, double atol);

/// One line, then the worst elements outside; nothing for what is inside when
/// quiet.
void printComparison(llvm::raw_ostream &os, llvm::StringRef name,
                     const Comparison &comparison, const Tensor &actual,
                     const Tensor &expected, bool quiet);

/// "1, 3, 224, 224"
std::string shapeText(llvm::ArrayRef<int64_t> shape);

} // namespace mlir::ane

#endif // ANEMLIR_ARTIFACT_COMPARE_H
