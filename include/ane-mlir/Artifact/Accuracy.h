//===- Accuracy.h - what the engine's arithmetic does to a model ----------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_ARTIFACT_ACCURACY_H
#define ANEMLIR_ARTIFACT_ACCURACY_H

#include "ane-mlir/Artifact/Samples.h"
#include "ane-mlir/Interpreter/Interpreter.h"
#include <cmath>
#include <functional>
#include <optional>

namespace mlir::ane {

/// Of an output of so many numbers or fewer, how large they are counts beside
/// where they point.
constexpr int64_t kFewNumbers = 16;

/// One output beside fp32, the worst over all samples.
struct OutputAccuracy {
  std::string name;
  double cosine = 1;
  /// Largest difference, as a part of the largest magnitude; of numbers that
  /// vary little about a large one (a pressure in Pa), of what they vary by.
  double error = 0;
  /// One is infinite or not a number where the other is not.
  bool nonFinite = false;
  /// Integers that differ, as a part of all.
  double differing = 0;
  /// Of all samples, numbers that fp32 has not either (infinite or NaN there):
  /// of them nothing is said.
  double unknown = 0;
  /// Numbers that fp32 has and this has not, of the worst sample.
  double lost = 0;
  /// Magnitudes that are nothing beside what the output is computed from.
  double nothing = 1e-6;

  void add(const Tensor &actual, const Tensor &expected);
  /// The cosine, or what says as much where that says little: of few numbers
  /// (of one, it is a sign) the error's part of their power over all samples,
  /// as 1 - e²/2; of integers those that are the same. -1 where not finite.
  double closeness() const;
  /// "has cosine 0.99981 against fp32 and errors up to 1.2 % of its largest
  /// magnitude", or what else is to be said.
  std::string describe() const;
  /// Numbers that vary by less than a 16th of the largest one, which is no
  /// probability or the like: beyond 128, or so small that fp16 loses bits.
  bool isOffset() const;
  /// What `error` is a part of: "largest magnitude" or "range".
  llvm::StringRef errorIsOf() const {
    return isOffset() ? "range" : "largest magnitude";
  }
  /// Not so far off that the engine is left for it.
  bool isGood() const {
    return !nonFinite && cosine >= 0.999 && differing == 0;
  }
  /// Within the bar that a conversion promises.
  bool isWithinBar() const { return isGood() && error <= 0.02; }
  /// 0 is exact; for comparing two ways of computing the same.
  double badness() const;

private:
  /// Sums of squares over all samples; numbers of one.
  double differences = 0, power = 0;
  int64_t numbers = 0, seen = 0, odd = 0;
  /// Of finite numbers of fp32, over all samples; the largest difference.
  double lowest = INFINITY, highest = -INFINITY, sum = 0, farthest = 0;
  int64_t finite = 0;
  /// `error` of each sample's largest magnitude.
  double ofMagnitude = 0;
};

/// Magnitudes of a result that are nothing: 1e-6 as arithmetic leaves them
/// where numbers about 1 cancel, less where the function ends in a small
/// factor.
double nothingOf(func::FuncOp function, unsigned result);

struct Accuracy {
  std::vector<OutputAccuracy> outputs;
  double worst() const;
  /// The least of the outputs.
  double closeness() const;
  bool isGood() const;
  bool isWithinBar() const;
};

/// Outputs of a function in fp32, by sample.
using References = std::vector<std::vector<Tensor>>;
/// Failure (silent) where the interpreter cannot run it; `why` says it then.
FailureOr<References> runReference(func::FuncOp function,
                                   llvm::ArrayRef<Sample> samples,
                                   std::string *why = nullptr);

/// Where accuracy is lost.
struct Loss {
  Location where;
  std::string op;
  /// Relative error of its result, infinite where it is not finite; that of its
  /// operands.
  double error, before;
};

/// One op beside fp32.
struct OpAccuracy {
  std::string node, op;
  /// As of Loss; the largest magnitude of its result in fp32.
  double error, peak;
};

struct PrecisionOptions {
  /// Ops that a rule keeps from the engine are computed in fp32 (bundles).
  bool placed = true;
  /// The engine's own arithmetic instead of plain fp16; slow.
  bool engine = true;
  /// Floating-point operations after which no further attempt begins: some ten
  /// seconds of the engine's arithmetic on two cores.
  double budget = 6e10;
  /// Told how far a run is: operations, of how many.
  std::function<void(size_t done, size_t total)> step;
};

/// Runs an optimised function as it will be placed, op by op beside fp32.
/// Failure (silent) where the interpreter cannot run it.
FailureOr<Accuracy> measureAccuracy(func::FuncOp function,
                                    llvm::ArrayRef<Sample> samples,
                                    const References &references,
                                    const PrecisionOptions &options,
                                    std::vector<Loss> *losses = nullptr);

/// Every op on one sample, in order. Nothing (silent) where the interpreter
/// cannot run it.
std::vector<OpAccuracy> measureOps(func::FuncOp function, const Sample &sample,
                                   const PrecisionOptions &options);

/// Marks ops `ane.fp32` that spoil an output, as long as that helps. The
/// accuracy that is left, or failure (silent).
FailureOr<Accuracy> keepAccuracy(func::FuncOp function,
                                 llvm::ArrayRef<Sample> samples,
                                 const References &references,
                                 const PrecisionOptions &options,
                                 unsigned &marked, std::vector<Loss> &losses);

} // namespace mlir::ane

#endif // ANEMLIR_ARTIFACT_ACCURACY_H
