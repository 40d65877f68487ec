//===- CostModel.h - predicted time of engine programs --------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// Analytic; the parameters are records with sources (dialects/ANE/Targets) and
// the error against published measurements is a test (test/Analysis). Nothing
// here was measured on a device by this project.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_ANALYSIS_COSTMODEL_H
#define ANEMLIR_ANALYSIS_COSTMODEL_H

#include "dialects/ANE/IR/ANE.h"

namespace mlir::ane {

/// Predicted microseconds and what they are made of.
struct Prediction {
  /// The floor of one evaluation, whatever it computes.
  double dispatch = 0;
  /// Convolutions and products, where arithmetic is what takes longest.
  double compute = 0;
  /// The same, where streaming weights takes longest.
  double weights = 0;
  /// Element-wise work and reductions that no convolution absorbs.
  double vector = 0;
  /// Transposes and copies.
  double move = 0;
  /// Input and output surfaces, as far as they take longer than all the rest.
  double surfaces = 0;

  double total() const {
    return dispatch + compute + weights + vector + move + surfaces;
  }
  Prediction &operator+=(const Prediction &other);
};

/// A convolution's or product's time without dispatch; `speedup` of the
/// arithmetic (quantised activations).
Prediction predict(const Cost &cost, const Target &target, double speedup = 1);
double predictMicros(const Cost &cost, const Target &target);

/// What the model needs to know of an op, whatever the rates and the number of
/// positions.
struct OpWork {
  /// Free: nothing happens at run time. Absorbed: on the engine part of the
  /// convolution or product before it.
  enum class Kind { Free, Absorbed, Macs, Transpose, Move, Vector };
  Kind kind = Kind::Free;
  Cost cost;
  /// Of the largest operand or result, and how often they are read.
  double elements = 0;
  unsigned passes = 1;
  /// Of quantised activations.
  double speedup = 1;
};
OpWork findWork(Operation *op, const Target &target);
/// With the block's own `speedup` of quantised convolutions.
OpWork findWork(Operation *op, const Target &target, double speedup);

/// One op of an engine program. `scale` multiplies its positions (tokens,
/// pixels, batch), not its weights.
Prediction predict(const OpWork &work, const Target &target, double scale = 1);
Prediction predict(Operation *op, const Target &target);

/// Microseconds of one op, or of a host program, on the CPU beside the engine:
/// arithmetic or memory, whichever takes longer. Coarse (engine.md §5.10).
double predictHostMicros(const OpWork &work, const Target &target,
                         double scale = 1);
double predictHostMicros(Operation *op, const Target &target);
double predictHostMicros(ProgramOp program, const Target &target);

/// One evaluation of an engine program; nothing for host programs.
Prediction predict(ProgramOp program, const Target &target);

} // namespace mlir::ane

#endif // ANEMLIR_ANALYSIS_COSTMODEL_H
