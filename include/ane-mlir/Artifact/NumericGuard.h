//===- NumericGuard.h - right, or said to be wrong ------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// Around the passes of one conversion: keeps the model as it was converted,
// measures on samples, undoes repairs that harm, keeps in fp32 what fp16
// spoils, and compares the artifact that was written with fp32.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_ARTIFACT_NUMERICGUARD_H
#define ANEMLIR_ARTIFACT_NUMERICGUARD_H

#include "ane-mlir/Artifact/Accuracy.h"
#include "ane-mlir/Artifact/Excerpt.h"
#include "ane-mlir/Support/WeightBound.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include <functional>
#include <memory>
#include <optional>

namespace mlir::ane {

struct GuardOptions {
  /// "auto" (samples are guessed), "none", or a folder of samples.
  std::string calibration = "auto";
  enum class Check { Off, Fast, Full } check = Check::Fast;
  /// Placed programs, or one function for Core ML to place.
  bool placed = true;
  /// Leave fp16 repairs out.
  bool repair = true;
  /// Inputs of a package that are kept between calls, and the outputs that they
  /// become.
  std::vector<std::pair<std::string, std::string>> states;
  /// Look at each op, for a report.
  bool eachOp = false;
  /// Told how far a run in the interpreter is: operations, of how many. A few
  /// times each second.
  std::function<void(size_t done, size_t total)> step;
  /// Of a step of training, its loss scale: samples are completed by parameters
  /// at their first values, and nothing is repaired by measuring, since values
  /// change.
  std::optional<double> lossScale;
  /// What the artifact is given for a value that the model sees in an input of
  /// this name: an image's pixels. Nothing where that is the same.
  std::function<Tensor(llvm::StringRef input, const Tensor &seen)> asGiven;
  /// Writes each weight in the fewest bits that leave it off by at most
  /// `bound.error` of its root mean square, or by `bound.looser`. Set, the
  /// largest bounds are looked for with which no output's cosine is below
  /// `leastCosine`.
  std::function<LogicalResult(ModuleOp, const WeightBound &bound)> compress;
  /// The pipeline itself writes weights in fewer bits, on request.
  bool changesWeights = false;
  double leastCosine = 0;
  /// The bounds that were found last: no further function of the model, which
  /// shares weights, has larger ones.
  std::shared_ptr<std::optional<WeightBound>> weightBound;
};

/// What a conversion knows of its own accuracy.
struct AccuracyReport {
  /// What was run, and whether its values were guessed.
  std::vector<std::string> samples;
  bool guessed = true;
  /// "engine", "fp16"; empty where nothing was compared, and why.
  std::string numerics, whyNot;
  Accuracy accuracy;
  /// Where accuracy is lost first; nothing where none is.
  std::vector<Loss> losses;
  /// Each op that was run, on the first sample, where a report was asked for.
  std::vector<OpAccuracy> ops;
  /// Ops kept in fp32 since fp16 spoiled an output.
  unsigned kept = 0;
  bool repairUndone = false;
  /// Of a large model its first operations are run, before they are written;
  /// `accuracy` is that of what later ones read. 0 where all of it was run.
  unsigned ranOps = 0, ofOps = 0;
  /// Outputs are the loss and gradients of a step of training.
  bool ofTraining = false;
};

class NumericGuard {
public:
  explicit NumericGuard(GuardOptions options) : options(std::move(options)) {}

  /// Keeps a copy of the model before any pass and reads or guesses samples.
  LogicalResult start(ModuleOp converted);
  using Step = llvm::function_ref<LogicalResult(ModuleOp)>;
  /// Measures the optimised module, runs `repair` on it, and keeps the better;
  /// runs `compress`, which writes weights in fewer bits where that was asked
  /// for; then what still spoils an output is marked `ane.fp32`.
  LogicalResult repair(ModuleOp optimised, Step repair, Step compress);
  /// Reads the artifact at `path` back, runs its function `name` (default: its
  /// default one) in the engine's numerics and compares with fp32. Never fails:
  /// what cannot be run is said in the report.
  void check(llvm::StringRef path, llvm::StringRef name = "");

  const AccuracyReport &report() const { return found; }

private:
  func::FuncOp original();
  /// Too large to be run as a whole.
  bool isLarge() const;
  bool isFull() const;
  /// What was written is run in the engine's own arithmetic.
  bool isJudgedByEngine() const;
  int64_t mostTurns() const;
  PrecisionOptions precisionOptions() const;
  LogicalResult keepPrecision(ModuleOp optimised, Step repair, Step compress);
  LogicalResult chooseWeights(ModuleOp optimised);
  /// What held as it was measured may, as it was written, be a little less.
  void warnOfWeights();
  std::string spellWanted() const;
  std::optional<Excerpt> makeExcerpt(func::FuncOp function);
  /// All samples in fp32; says why not.
  bool runSamples(func::FuncOp reference);
  void measureStep(func::FuncOp reference);
  LogicalResult runExcerpt(ModuleOp optimised, Step repair);
  GuardOptions options;
  OwningOpRef<ModuleOp> kept;
  std::vector<Sample> samples;
  std::optional<References> references;
  AccuracyReport found;
  /// No form of weights has the cosine that was asked for.
  bool missesCosine = false;
  /// Floating-point operations of one run; parameters; elements of the most
  /// that one op reads and writes.
  double work = 0, weights = 0, values = 0;
};

/// One line per output, for the summary.
void printAccuracy(llvm::raw_ostream &os, const AccuracyReport &report);

} // namespace mlir::ane

#endif // ANEMLIR_ARTIFACT_NUMERICGUARD_H
