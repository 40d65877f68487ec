//===- Compare.cpp - how far two tensors are apart ------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Artifact/Compare.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/Format.h"
#include <cmath>

using namespace mlir;
using namespace mlir::ane;

static double at(const Tensor &tensor, int64_t i) {
  return tensor.isFloat() ? double(tensor.floats()[i])
                          : double(tensor.ints()[i]);
}

std::string mlir::ane::shapeText(llvm::ArrayRef<int64_t> shape) {
  std::string text;
  llvm::raw_string_ostream os(text);
  llvm::interleaveComma(shape, os);
  return text;
}

Comparison mlir::ane::compareTensors(const Tensor &actual,
                                     const Tensor &expected, double rtol,
                                     double atol) {
  Comparison result;
  result.sameShape = actual.shape() == expected.shape();
  if (!result.sameShape)
    return result;
  double dot = 0, aa = 0, bb = 0;
  for (int64_t i = 0; i < actual.size(); ++i)
    if (double v = std::fabs(at(expected, i)); std::isfinite(v))
      result.largest = std::max(result.largest, v);
  double absolute = atol >= 0 ? atol : 1e-3 * result.largest;
  for (int64_t i = 0; i < actual.size(); ++i) {
    double a = at(actual, i), e = at(expected, i);
    dot += a * e;
    aa += a * a;
    bb += e * e;
    if (a == e || (std::isnan(a) && std::isnan(e)))
      continue;
    double error = std::fabs(a - e);
    if (std::isnan(error))
      error = INFINITY;
    result.worst = std::max(result.worst, error);
    if (!(error <= absolute + rtol * std::fabs(e)))
      result.outside.push_back({error, i});
  }
  result.cosine = aa > 0 && bb > 0 ? dot / std::sqrt(aa * bb) : aa == bb;
  llvm::sort(result.outside, [](auto &a, auto &b) {
    return a.first != b.first ? a.first > b.first : a.second < b.second;
  });
  return result;
}

void mlir::ane::printComparison(llvm::raw_ostream &os, llvm::StringRef name,
                                const Comparison &comparison,
                                const Tensor &actual, const Tensor &expected,
                                bool quiet) {
  if (!comparison.sameShape) {
    os << name << ": FAIL shape [" << shapeText(actual.shape())
       << "], expected [" << shapeText(expected.shape()) << "]\n";
    return;
  }
  if (!quiet || !comparison.ok())
    os << name << ": " << (comparison.ok() ? "ok" : "FAIL") << "  max error "
       << llvm::format("%.3g", comparison.worst) << " ("
       << llvm::format("%.3g", comparison.largest > 0
                                   ? comparison.worst / comparison.largest
                                   : comparison.worst)
       << " of the largest magnitude "
       << llvm::format("%.3g", comparison.largest) << "), cosine "
       << llvm::format("%.7f", comparison.cosine) << '\n';
  if (comparison.outside.empty())
    return;
  os << "  " << comparison.outside.size() << " of " << actual.size()
     << " elements outside; worst:\n";
  for (auto [error, i] : llvm::ArrayRef(comparison.outside).take_front(5))
    os << "    [" << i << "] got " << llvm::format("%.6g", at(actual, i))
       << ", expected " << llvm::format("%.6g", at(expected, i)) << '\n';
}
