//===- Train.h - running the steps of a bundle that trains ----------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// The programs of the bundle give a loss and gradients; what moves the weights
// is here, on the host, in fp32: masters of the weights, accumulation, loss
// scale, clipping, the optimiser. The order of examples is a function of the
// seed and the number of runs, so that a run that was killed goes on from its
// checkpoint to the same bits.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_ARTIFACT_TRAIN_H
#define ANEMLIR_ARTIFACT_TRAIN_H

#include "ane-mlir/Artifact/Artifact.h"
#include "ane-mlir/Interpreter/Safetensors.h"
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace mlir::ane {

struct TrainOptions {
  /// A bundle that onnx-to-ane --train made.
  std::string artifact;
  /// A folder with NAME.npy for each input and targets.npy: examples along the
  /// first axis; an array of the input's own shape is the same for every run.
  std::string data;
  int64_t steps = 0;
  Numerics numerics = Numerics::Float16;
  uint64_t seed = 0;
  /// Instead of the bundle's.
  std::optional<double> learningRate;
  enum class Schedule { Constant, Linear, Cosine };
  /// How the rate falls, to zero at the last step, after `warmup` steps in
  /// which it rises.
  Schedule schedule = Schedule::Constant;
  int64_t warmup = 0;
  /// A safetensors file with weights, moments and where training is; read at
  /// the start where it exists, written every `checkpointEvery` steps and at
  /// the end.
  std::string checkpoint;
  int64_t checkpointEvery = 100;
  /// One line per step, a picture of the losses, the trained weights (.onnx:
  /// the model with them, adapters merged; .safetensors: the weights alone).
  std::string csv, curve, exportTo;
  /// A folder for the gradients of the first run, NAME.npy, and loss.npy;
  /// nothing is trained then.
  std::string gradients;
  bool quiet = false;
  LoadOptions load;
  /// Instead of loadArtifact(), which runs in the interpreter.
  std::function<FailureOr<std::unique_ptr<Executable>>(llvm::StringRef artifact,
                                                       MLIRContext *)>
      open;
};

/// Trains. False where a diagnostic of `context` said what failed; other errors
/// are returned.
llvm::Expected<bool> trainArtifact(const TrainOptions &options,
                                   MLIRContext *context);

/// What moves the weights: everything that a checkpoint holds beside them.
class Optimizer {
public:
  struct Settings {
    std::string kind;
    double momentum, beta1, beta2, epsilon, weightDecay, clipNorm;
    bool dynamicLossScale;
    int64_t growthInterval;
  };
  Optimizer(Settings settings, double lossScale,
            std::vector<std::pair<std::string, Tensor>> parameters);

  /// Moves the weights by `sums`, gradients in the order of parameters that
  /// are to be divided by `divisor` and the loss scale. False where one of
  /// them is not finite: nothing is moved, and a dynamic loss scale falls.
  bool step(ArrayRef<std::vector<float>> sums, double divisor, double rate);

  double lossScale() const { return scale; }
  /// Of the last step: the norm of all gradients before clipping.
  double gradientNorm() const { return norm; }
  int64_t skipped() const { return skips; }
  Tensor value(size_t parameter) const;
  const std::string &name(size_t parameter) const { return names[parameter]; }
  size_t size() const { return names.size(); }

  void save(NamedTensors &checkpoint) const;
  llvm::Error restore(const NamedTensors &checkpoint);

private:
  void move(size_t parameter, ArrayRef<float> sum, double factor, double rate);

  Settings settings;
  double scale, norm = 0;
  /// Steps that moved the weights; those in a row without a skip; skips.
  int64_t count = 0, healthy = 0, skips = 0;
  std::vector<std::string> names;
  std::vector<SmallVector<int64_t>> shapes;
  /// Weights, and the first and second moments where the kind has them.
  std::vector<std::vector<float>> values, first, second;
};

} // namespace mlir::ane

#endif // ANEMLIR_ARTIFACT_TRAIN_H
