//===- TrainFiles.h - what training writes --------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_LIB_ARTIFACT_TRAINFILES_H
#define ANEMLIR_LIB_ARTIFACT_TRAINFILES_H

#include "BundleFile.h"
#include "ane-mlir/Artifact/Train.h"

namespace mlir::ane {

struct TrainedStep {
  /// From 1.
  int64_t step = 0;
  double loss = 0, rate = 0, lossScale = 1, norm = 0;
  /// A gradient was not finite: the weights stayed.
  bool skipped = false;
};

/// A CSV with a header; numbers with all their digits, so that reading gives
/// them back.
std::string printSteps(ArrayRef<TrainedStep> steps);
std::vector<TrainedStep> parseSteps(StringRef csv);
/// The losses as an SVG picture, with their running mean.
std::string drawCurve(ArrayRef<TrainedStep> steps);

/// A parameter's name as one of a file: what is no letter, digit, '.', '-' or
/// '_' becomes '_'.
std::string fileName(StringRef parameter);

/// What can be said of --export before training.
llvm::Error checkExport(StringRef path,
                        const anemlir::manifest::TrainingT &record);
/// The trained weights: .safetensors, or .onnx (the bundle's model with them,
/// adapters merged into their weights).
llvm::Error exportWeights(StringRef path, StringRef bundle,
                          const anemlir::manifest::TrainingT &record,
                          const Optimizer &optimizer);

} // namespace mlir::ane

#endif // ANEMLIR_LIB_ARTIFACT_TRAINFILES_H
