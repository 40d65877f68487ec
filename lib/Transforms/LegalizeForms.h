//===- LegalizeForms.h - operations with a simpler form -------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_LIB_TRANSFORMS_LEGALIZEFORMS_H
#define ANEMLIR_LIB_TRANSFORMS_LEGALIZEFORMS_H

#include "mlir/IR/PatternMatch.h"

namespace mlir::ane {

/// Gathers of neighbours become slices, resizing by a whole number upsampling,
/// pads by their own edge slices beside the rest, a pixel shuffle behind a
/// convolution its other order, attention its products. `raw`: for the engine's
/// own compiler.
void populateFormPatterns(RewritePatternSet &patterns, bool raw);

/// Kernels, strides and pools beyond the engine's limits become several, or
/// others over a rearranged input.
void populateWindowPatterns(RewritePatternSet &patterns, bool raw);

/// Axes beyond the engine's limits become two, more axes than it has fewer, and
/// shuffles of pixels transposes.
void populateAxisPatterns(RewritePatternSet &patterns, bool raw);

/// Bilinear resizing becomes a transposed convolution, or products.
void populateResizePatterns(RewritePatternSet &patterns, bool raw);

/// What single generations refuse, in other forms; layouts are assigned.
void populateGenerationPatterns(RewritePatternSet &patterns);

/// Operations on more axes than the engine's work on fewer where they can (S5).
void limitRanks(Operation *module);

/// round becomes floors, a factor behind floor or ceil takes the full shape.
void populateRoundingPatterns(RewritePatternSet &patterns);

/// silu becomes x / (1 + exp(-x)).
void populateSiluPattern(RewritePatternSet &patterns);

} // namespace mlir::ane

#endif // ANEMLIR_LIB_TRANSFORMS_LEGALIZEFORMS_H
