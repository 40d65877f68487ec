//===- RecoverSafe.h - fragments that overflow as they are written --------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_LIB_TRANSFORMS_RECOVERSAFE_H
#define ANEMLIR_LIB_TRANSFORMS_RECOVERSAFE_H

#include "mlir/IR/PatternMatch.h"

namespace mlir::ane {
/// Means, variances, logarithms of sums of exponentials and the like, written
/// out, become operations or forms that fp16 holds for rows of any size.
void populateSafeFormPatterns(RewritePatternSet &patterns);
/// Products of attention take keys and values as they lie.
void populateAttentionPatterns(RewritePatternSet &patterns);
/// Norms; after the others, and after layer_norm was recovered.
void populateSafeNormPatterns(RewritePatternSet &patterns);
} // namespace mlir::ane

#endif // ANEMLIR_LIB_TRANSFORMS_RECOVERSAFE_H
