//===- CompileOptions.h - what a compilation is asked for -----------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// Fields that are optional tell "not said" from the default, so that what has
// no effect can be refused instead of ignored.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_COMPILER_COMPILEOPTIONS_H
#define ANEMLIR_COMPILER_COMPILEOPTIONS_H

#include "ane-mlir/Analysis/CostModel.h"
#include "ane-mlir/Artifact/NumericGuard.h"
#include "ane-mlir/Support/Choices.h"
#include "ane-mlir/Target/Bundle.h"
#include "ane-mlir/Target/CoreML.h"
#include "ane-mlir/Transforms/WeightForm.h"
#include "dialects/ANE/IR/ANEBase.h"
#include "mlir/Pass/PassManager.h"
#include <map>

namespace mlir::ane {
class Outputs;

struct CompileOptions {
  //===--- Model ----------------------------------------------------------===//
  /// A .onnx file, or what MILSource opens.
  std::string input;
  /// Extents of symbolic dimensions by name, in the order given; several
  /// extents of one make one function each (packages).
  std::vector<std::pair<std::string, std::vector<int64_t>>> dims;
  /// Dimensions that a package leaves open between two ends.
  std::vector<std::pair<std::string, ExtentRange>> dimRanges;
  /// Whole shapes of inputs.
  mil::ShapeBindings inputShapes;
  /// The same of inputs that a package leaves open, by axis.
  std::map<std::string, SmallVector<ExtentRange>> inputRanges;
  bool hasRanges() const { return !dimRanges.empty() || !inputRanges.empty(); }
  /// Inputs that become constants: name and TensorProto file.
  std::vector<std::pair<std::string, std::string>> inputValues;
  /// Entries of a Range whose limit the data decides, by node.
  llvm::StringMap<int64_t> maxLengths;
  enum class Random { Mean, Input };
  std::optional<Random> random;
  /// Of a package with several; empty for its default one.
  std::string function;
  /// Cut the model at these values; empty for its own outputs.
  std::vector<std::string> outputs;
  /// Bytes for values that are computed while converting; 0 for a default.
  uint64_t maxConstantBytes = 0;

  //===--- Target ---------------------------------------------------------===//
  std::string target = "h16";
  /// How programs are started, for predicted times; by default Core ML for
  /// packages, else the target's.
  std::optional<Door> door;
  enum class Precision { Mixed, FP32 };
  Precision precision = Precision::Mixed;
  std::optional<PlacementMode> placement;
  /// A file {"node": "ane" or "host", …} in its place.
  std::string placementFile;
  /// Which function of a bundle takes the next part of a text (parseTextPlan);
  /// empty for what is predicted to be quickest.
  std::string plan;
  /// An error for every op that would not run on the engine, and for those of
  /// which less is known than Raw (evaluated in memory) or E5RT (seen there).
  enum class Evidence { Any, E5RT, Raw };
  std::optional<Evidence> requireANE;
  /// "auto", "none" or a folder of samples.
  std::optional<std::string> calibration;
  GuardOptions::Check check = GuardOptions::Check::Fast;
  /// Bars of the check: error as a part of an output's largest magnitude.
  std::optional<double> maxError, minCosine;
  /// Find states beside those of `package.states` (ane-mark-states).
  bool recogniseStates = false;
  /// Constant weights in fewer bits, which changes values; those that the model
  /// has so stay so anyway.
  WeightForm weights;
  /// As the user wrote it.
  std::string weightsText = "none";
  /// Auto: bytes where the engine multiplies them faster, else floats.
  enum class Activations { Auto, Float, Keep };
  std::optional<Activations> quantizedActivations;
  /// Bytes that may be alive together; 0 for no limit. Unset: values are made
  /// in parts where that is predicted to be faster.
  std::optional<int64_t> liveBytes;
  std::vector<std::pair<std::string, bool>> rules;
  std::vector<std::string> disabledPasses;

  //===--- Training -------------------------------------------------------===//
  /// A bundle of the step that trains the model instead of the model.
  struct Training {
    /// As ane-differentiate takes it; empty for the model's only output.
    std::string loss;
    /// Patterns of initializers' names, as onnx-select-parameters takes them.
    std::vector<std::string> trainable, frozen;
    /// Rank of adapters (0: none), the weights that get them, and alpha (0: the
    /// rank).
    int64_t lora = 0;
    std::string loraPattern = "*";
    double loraAlpha = 0;
    OptimizerOptions optimizer;
    /// Extent of the first axis of inputs where the model leaves it open.
    std::optional<int64_t> batch;
    /// What the backward programs compute again instead of reading it.
    RecomputeMode recompute = RecomputeMode::Auto;
    /// Weights of products: inputs, or in weight files that a step writes anew.
    enum class Staging { Inputs, Patch } staging = Staging::Inputs;
  };
  std::optional<Training> training;

  //===--- Core ML packages -----------------------------------------------===//
  PackageOptions package;
  /// One label per line; empty for no classifier.
  std::string classLabelsFile;
  std::optional<PackageOptions::Buckets> buckets;

  //===--- Output ---------------------------------------------------------===//
  /// The extension chooses the form.
  std::string output;
  enum class Phase { ONNX, ANE, Optimized, Placed, MIL };
  /// Stop behind this phase and print its IR.
  std::optional<Phase> compileTo;
  std::string report, trace;
  /// What passes decided is in the result, of passes that match.
  std::optional<std::string> decisions;
  /// The report has what would make the model faster, and its cost on every
  /// target: a fifth of the time of a conversion without a check.
  bool advice = true;
  /// Spelling of MIL text; by default the target's.
  std::optional<bool> verbose;
  bool verifyEachNumerics = false;
  /// Let MLIR verify the IR behind every pass.
  bool verifyIR = false;
  bool quiet = false;
  /// A folder of finished conversions (Cache.h), and the options as they were
  /// given, which tell them apart.
  std::string cacheDir;
  std::vector<std::string> spelling;
  /// Place and report; write nothing.
  bool reportOnly = false;
  /// What a tool does to each pass manager: printing IR, timing.
  std::function<LogicalResult(PassManager &)> configurePasses;
  /// Told what is complete and about to be put in place.
  std::function<void(const Outputs &)> beforeCommit;

  enum class Form { None, Bundle, Package, Text, IR };
  Form form() const;
  bool isHalf() const { return precision == Precision::Mixed; }
  bool stopsAt(Phase phase) const { return compileTo == phase; }
  /// The model is MIL already.
  bool isFromMIL() const;
  /// Null for an unknown name.
  const Target *lookupTarget() const { return ane::lookupTarget(target); }

  /// An error where values are out of their domain, contradict each other, or
  /// would have no effect; the text says what is expected.
  llvm::Error validate() const;
};

} // namespace mlir::ane

#endif // ANEMLIR_COMPILER_COMPILEOPTIONS_H
