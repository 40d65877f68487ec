//===- Bundle.h - writing .anepkg and .mil --------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_TARGET_BUNDLE_H
#define ANEMLIR_TARGET_BUNDLE_H

#include "ane-mlir/Support/AtomicPath.h"
#include "ane-mlir/Support/TextPlan.h"
#include "dialects/ANE/IR/ANEBase.h"
#include "mlir/IR/BuiltinOps.h"
#include <functional>
#include <optional>
#include <string>

namespace mlir::ane {

/// What the manifest says of training; see Manifest.fbs.
struct OptimizerOptions {
  std::string kind = "adam";
  double learningRate = 1e-3, momentum = 0.9, beta1 = 0.9, beta2 = 0.999,
         epsilon = 1e-8, weightDecay = 0, clipNorm = 0, lossScale = 1;
  bool dynamicLossScale = false;
  unsigned growthInterval = 200, accumulate = 1;
};
struct TrainingRecord {
  std::string loss;
  OptimizerOptions optimizer;
  /// ONNX bytes to keep in the bundle; empty where the model cannot be kept.
  std::string model;
};

struct BundleOptions {
  /// Set for a function that trains: the module has `ane.parameters`, its
  /// results are a loss and gradients.
  std::optional<TrainingRecord> training;
  /// Which of the functions takes the next part of a text.
  TextPlan plan;
  /// Called before each program is written: (done, total, name).
  std::function<void(size_t, size_t, StringRef)> progress;
};

/// One of several functions of a bundle.
struct BundleFunction {
  ModuleOp module;
  std::string name;
  /// The extents that it is for.
  std::vector<std::pair<std::string, int64_t>> dims;
};

/// Adds the placed and converted module (calls in @main, ane.program ops, the
/// mil.program of each) as a bundle at `path` to `outputs`, whose commit() puts
/// it there. The same module gives the same bytes.
LogicalResult writeBundle(ModuleOp module, StringRef path,
                          const BundleOptions &options, Outputs &outputs);
/// Several, whose programs share what weights are alike: each distinct weight
/// is stored once. The first function is the default one.
LogicalResult writeBundle(ArrayRef<BundleFunction> functions, StringRef path,
                          const BundleOptions &options, Outputs &outputs);

/// Adds the mil.program of @main (not placed) as one MIL text at `path`, and
/// its weights beside it in weights/<sha256>.bin, which other texts may share.
LogicalResult writeMILFile(ModuleOp module, StringRef path, Outputs &outputs);

/// An error where a folder is at `path`, a bundle or package by its extension,
/// that holds what is not ours. Writing says the same, but later.
llvm::Error checkReplaceable(StringRef path);

} // namespace mlir::ane

#endif // ANEMLIR_TARGET_BUNDLE_H
