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
/// convolution its other order, attention its products. `raw`: for the engine's own compiler.
void populateFormPatterns(RewritePatternSet &patterns, bool raw);

/// round becomes floors, a factor behind floor or ceil takes the full shape.
void populateRoundingPatterns(RewritePatternSet &patterns);

/// silu becomes x / (1 + exp(-x)).
void populateSiluPattern(RewritePatternSet &patterns);

} // namespace mlir::ane

#endif // ANEMLIR_LIB_TRANSFORMS_LEGALIZEFORMS_H
