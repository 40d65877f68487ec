//===- Generate.h - a decoder in a bundle, token by token -----------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_ARTIFACT_GENERATE_H
#define ANEMLIR_ARTIFACT_GENERATE_H

#include "ane-mlir/Artifact/Artifact.h"
#include <functional>

namespace mlir::ane {

struct GenerateOptions {
  /// Token ids; one at least.
  std::vector<int64_t> prompt;
  unsigned tokens = 64;
  /// An id that ends the text, or -1.
  int64_t end = -1;
  /// Which function takes the next of the prompt (parseTextPlan); empty for the
  /// bundle's own plan, and where it has none for the longest that fits.
  std::string plan;
  Numerics numerics = Numerics::Float16;
  /// 0 takes the likeliest token; else one of the `top` likeliest (0: of all)
  /// is drawn, the same for the same seed.
  double temperature = 0;
  unsigned top = 0;
  uint64_t seed = 0;
  /// Called with each token as it is made.
  std::function<void(int64_t)> token;
};

struct Generated {
  std::vector<int64_t> tokens;
  /// Calls of functions for the prompt and for the rest, and their predicted
  /// times.
  unsigned promptCalls = 0, tokenCalls = 0;
  double promptMicros = 0, tokenMicros = 0;
  /// Without, a model has to find them out of its mask.
  bool hasPositions = true;
};

/// Feeds the prompt through functions as the plan says, then token by token. A
/// function takes ids [1, T]; where it has them, a mask [1, P + T] of ones over
/// what is valid of P rows of its states and over its own T positions, and
/// positions [1, T] or [T]; all else are states (ane-mark-states). Its first
/// output that is no state is logits [1, T, V]. Errors name the input that has
/// no such role, or say that a state is full.
llvm::Expected<Generated> generate(Executable &executable,
                                   const GenerateOptions &options);

} // namespace mlir::ane

#endif // ANEMLIR_ARTIFACT_GENERATE_H
