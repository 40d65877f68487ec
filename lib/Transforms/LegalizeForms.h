//===- LegalizeForms.h - operations with a simpler form -------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_LIB_TRANSFORMS_LEGALIZEFORMS_H
#define ANEMLIR_LIB_TRANSFORMS_LEGALIZEFORMS_H

#include "mlir/IR/PatternMatch.h"

namespace mlir::ane {
class ReduceMeanOp;

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

/// Norms over channels by convolutions, where that is predicted to be faster or
/// means fail (L33); layouts are assigned.
void populateChannelNormPatterns(RewritePatternSet &patterns);

/// Operations on more axes than the engine's work on fewer where they can (S5).
void limitRanks(Operation *module);

/// round becomes floors, a factor behind floor or ceil takes the full shape.
void populateRoundingPatterns(RewritePatternSet &patterns);

/// silu becomes x / (1 + exp(-x)).
void populateSiluPattern(RewritePatternSet &patterns);

/// Microseconds for which another form is taken.
inline constexpr double kWorthwhile = 1;

/// True when the target has the rule and `ane.rules` does not switch it off.
bool isRuled(Operation *op, StringRef id);

/// A constant whose elements all are `value`.
Value filled(OpBuilder &b, Location loc, RankedTensorType type, double value);

/// A 1x1 convolution of [N, C, H, W] with `weight`, of `type`.
Value pointwise(OpBuilder &b, Location loc, RankedTensorType type, Value x,
                Value weight, int64_t groups);

/// True for a mean of [N, C, H, W] over C that keeps its axis and is computed
/// at run time.
bool isOverChannels(ReduceMeanOp op);

} // namespace mlir::ane

#endif // ANEMLIR_LIB_TRANSFORMS_LEGALIZEFORMS_H
