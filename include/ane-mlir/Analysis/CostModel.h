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

/// One op of an engine program. Element-wise ops that follow a convolution or
/// product are part of it.
Prediction predict(Operation *op, const Target &target);

/// One evaluation of an engine program; nothing for host programs.
Prediction predict(ProgramOp program, const Target &target);

} // namespace mlir::ane

#endif // ANEMLIR_ANALYSIS_COSTMODEL_H
