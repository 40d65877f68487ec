//===- Choices.h - what passes and pipelines are asked for, by word -------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_SUPPORT_CHOICES_H
#define ANEMLIR_SUPPORT_CHOICES_H

#include "llvm/Support/CommandLine.h"

namespace mlir::ane {

/// The compiler that takes what legalisation leaves: the in-memory one, or Core
/// ML's front end, which takes more operations whole.
enum class FrontEnd { Raw, CoreML };
inline auto frontEndValues() {
  return llvm::cl::values(
      clEnumValN(FrontEnd::Raw, "raw", "the in-memory compiler (default)"),
      clEnumValN(FrontEnd::CoreML, "coreml", "packages"));
}

enum class PlacementMode { Auto, Cost, ANE, Host };
inline auto placementValues() {
  return llvm::cl::values(
      clEnumValN(PlacementMode::Auto, "auto",
                 "the engine wherever it is legal (default)"),
      clEnumValN(PlacementMode::Cost, "cost", "the cheapest split"),
      clEnumValN(PlacementMode::ANE, "ane",
                 "an op that must go to the host is an error"),
      clEnumValN(PlacementMode::Host, "host", "the host alone"));
}

/// What a later engine program computes again instead of reading a surface.
enum class RecomputeMode { None, Auto, All };
inline auto recomputeValues() {
  return llvm::cl::values(
      clEnumValN(RecomputeMode::Auto, "auto",
                 "what is predicted to take less time so"),
      clEnumValN(RecomputeMode::None, "none", "nothing"),
      clEnumValN(RecomputeMode::All, "all",
                 "all but convolutions, products and pools, where what it "
                 "needs is there"));
}

enum class Precision { FP16, FP32 };
inline auto precisionValues() {
  return llvm::cl::values(
      clEnumValN(Precision::FP16, "fp16", "what the engine has (default)"),
      clEnumValN(Precision::FP32, "fp32", "checks semantics"));
}

/// Spelling of the scalars of MIL text.
enum class MILDialect { Target, Modern, Verbose };
inline auto milDialectValues() {
  return llvm::cl::values(
      clEnumValN(MILDialect::Target, "target", "the target's (default)"),
      clEnumValN(MILDialect::Modern, "modern", "of ios18"),
      clEnumValN(MILDialect::Verbose, "verbose", "of ios16"));
}

} // namespace mlir::ane

#endif // ANEMLIR_SUPPORT_CHOICES_H
