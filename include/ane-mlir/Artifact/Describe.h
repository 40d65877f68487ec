//===- Describe.h - what an artifact is -----------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_ARTIFACT_DESCRIBE_H
#define ANEMLIR_ARTIFACT_DESCRIBE_H

#include "ane-mlir/Artifact/Artifact.h"
#include "llvm/Support/raw_ostream.h"
#include <map>
#include <string>
#include <vector>

namespace mlir::ane {

/// A bundle, package, .mlmodelc or .mil, as its owner wants to know it.
struct Description {
  std::string path;
  /// "bundle", "package", "mlmodelc" or "mil".
  std::string kind;
  /// Bundles: the generation that it is for, and who wrote it.
  std::string target, producer;
  /// Packages: 6 … 10; 0 elsewhere.
  int specification = 0;
  /// The first systems that take it: "iOS 18", "macOS 15", …; empty for a
  /// bundle, which Core ML does not load.
  std::vector<std::string> deployment;

  struct Port {
    std::string name, description;
    /// "array", "image", "state", "number", "string", "dictionary", "other".
    std::string kind;
    /// MIL's name, or empty where none is said.
    std::string dtype;
    /// -1 where the artifact leaves it open.
    std::vector<int64_t> shape;
    std::vector<std::vector<int64_t>> enumerated;
    /// What each axis (of an image: height, width) may have; empty where it has
    /// one shape or lists them.
    std::vector<ExtentRange> ranges;
    /// Images: "RGB", "BGR", "grayscale", "grayscale fp16".
    std::string color;
    /// An input that may be left out, and what its elements are then.
    bool optional = false;
    std::optional<double> defaultValue;
  };
  struct Function {
    std::string name, opset;
    bool isDefault = false;
    std::vector<Port> inputs, outputs, states;
    /// Classifiers.
    std::string predictedFeature, predictedProbabilities;
    std::vector<std::string> labels;
    size_t operations = 0;
  };
  /// The default one first; of a bundle, by the user's inputs and outputs.
  std::vector<Function> functions;
  struct Program {
    std::string kind, text;
    double predictedMicros = 0;
    size_t operations = 0;
  };
  /// Of a bundle, in the manifest's order.
  std::vector<Program> programs;
  std::vector<std::pair<std::string, std::string>> metadata;

  /// By kind, constants left out.
  std::map<std::string, size_t> operations;
  struct Weights {
    size_t count = 0;
    uint64_t elements = 0, bytes = 0;
  };
  /// Constants of more than a few elements by element type, equal ones once.
  std::map<std::string, Weights> weights;
  /// Of all its files.
  uint64_t files = 0, bytes = 0;

  void writeText(llvm::raw_ostream &os) const;
  /// Has a `version`; keys are only added while it stays.
  void writeJSON(llvm::raw_ostream &os) const;
};

/// The labels of a classifier's function; numbers in decimal.
std::vector<std::string> labelsOf(mil::FuncOp func);

/// Failure after a diagnostic where it cannot be read.
FailureOr<Description> describeArtifact(StringRef path, MLIRContext *context);

} // namespace mlir::ane

#endif // ANEMLIR_ARTIFACT_DESCRIBE_H
