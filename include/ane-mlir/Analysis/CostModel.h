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

#include "dialects/ANE/IR/Structure.h"
#include <optional>

namespace mlir::ane {

/// How a program is started (engine.md §0.2); each has its floor.
enum class Door { Memory, E5RT, CoreML };
llvm::StringRef stringify(Door door);
/// By name: memory, e5rt, coreml; nothing where it is another.
std::optional<Door> parseDoor(llvm::StringRef name);

/// Whose rates, and through which door programs are started.
struct Clock {
  const Target &target;
  Door door = Door::Memory;

  double rate(CostId id) const { return target.cost(id); }
  /// Microseconds of one evaluation, whatever it computes.
  double floor() const;
  /// Microseconds by which `bytes` of inputs and outputs prolong a program that
  /// computes for `busy`.
  double surfaces(double bytes, double busy) const;
  /// How far a prediction may be off, as published times go: 0.15 is 15 %.
  double error() const;
};
/// Of the module around `op`: its target, and the door that `ane.door` names or
/// the target has.
Clock getClock(Operation *op);

/// Predicted microseconds and what they are made of.
struct Prediction {
  /// The floor of one evaluation, whatever it computes.
  double dispatch = 0;
  /// Convolutions and products: arithmetic, and streaming their weights.
  double compute = 0, weights = 0;
  /// Element-wise work, norms and reductions that no convolution absorbs.
  double vector = 0;
  /// Transposes and copies.
  double move = 0;
  /// Input and output surfaces.
  double surfaces = 0;

  double total() const {
    return dispatch + compute + weights + vector + move + surfaces;
  }
  Prediction &operator+=(const Prediction &other);
};

/// What the model needs to know of an op, whatever the rates and the number of
/// positions.
struct OpWork {
  /// Free: nothing happens at run time. Absorbed: on the engine part of the
  /// convolution or product before it. The others have rates of their own.
  enum class Kind {
    Free,
    Absorbed,
    Macs,
    Elementwise,
    Softmax,
    Norm,
    Reduce,
    Pool,
    Move
  };
  Kind kind = Kind::Free;
  Cost cost;
  /// Of the largest operand or result.
  double elements = 0;
  /// Of quantised activations.
  double speedup = 1;
  /// A 3x3 convolution that the engine computes by fewer multiplications.
  bool winograd = false;
  /// One or two channels per group: the multipliers idle.
  bool depthwise = false;
  /// Part of attention: a product of batches, or a softmax.
  bool scores = false;
  /// Bytes on the host, which computes in fp32, for each here.
  double hostWidth = 1;
};
llvm::StringRef stringify(OpWork::Kind kind);
OpWork findWork(Operation *op, const Target &target);
/// With the block's own `speedup` of quantised convolutions.
OpWork findWork(Operation *op, const Target &target, double speedup);

/// One op of an engine program. `scale` multiplies its positions (tokens,
/// pixels, batch), not its weights.
Prediction predict(const OpWork &work, const Clock &clock, double scale = 1);
Prediction predict(Operation *op, const Clock &clock);
/// The same of a convolution or product that is not there yet.
double predictMicros(const Cost &cost, const Clock &clock);
/// One evaluation of an engine program; nothing for host programs.
Prediction predict(ProgramOp program);

/// Microseconds of one op, or of a host program, on the CPU beside the engine:
/// arithmetic or memory, whichever takes longer. Coarse (engine/cost.md §5.10).
double predictHostMicros(const OpWork &work, const Target &target,
                         double scale = 1);
double predictHostMicros(Operation *op, const Target &target);
double predictHostMicros(ProgramOp program, const Target &target);

} // namespace mlir::ane

#endif // ANEMLIR_ANALYSIS_COSTMODEL_H
