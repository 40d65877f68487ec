//===- CoreML.h - writing Core ML packages
//------------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// A .mlpackage is a folder: Manifest.json, a Model message with an ML Program,
// and its weights in the same MILBlob files as elsewhere (mil/package.md
// §3-§5).
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_TARGET_COREML_H
#define ANEMLIR_TARGET_COREML_H

#include "ane-mlir/Support/AtomicPath.h"
#include "ane-mlir/Support/ExtentRange.h"
#include "ane-mlir/Target/Weights.h"
#include "dialects/MIL/IR/MIL.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include <functional>

namespace mlir::ane {

/// An input that Core ML gets as an image; what the model sees is
/// pixel · scale + bias, pixels being 0 … 255.
struct ImageInput {
  std::string name;
  /// As in PackageFeature.
  uint32_t colorSpace = 20;
  double scale = 1;
  /// None, one, or one per channel.
  SmallVector<double> bias;
};

/// What is said of an input or output beside its type.
struct PortNote {
  std::string name;
  bool isOutput = false;
  /// An option says it: an error where it fits nothing.
  bool isAsked = false;
  std::string description;
  /// Of inputs, as in PackageFeature.
  bool optional = false;
  std::optional<double> defaultValue;
  /// Of an output that is an image, as in PackageFeature; else 0.
  uint32_t colorSpace = 0;
};

/// A value of this type can be a picture: one, with as many channels as its
/// colours have.
bool isImage(RankedTensorType type, uint32_t colorSpace);

struct PackageOptions {
  std::string author, license, version, description;
  /// More about the model, by key.
  std::vector<std::pair<std::string, std::string>> userDefined;
  std::vector<ImageInput> images;
  std::vector<PortNote> notes;
  /// Pairs of an input and the output that is its next value: one state.
  std::vector<std::pair<std::string, std::string>> states;
  /// Makes a classifier of the output named `probabilities` (or the only one).
  std::vector<std::string> classLabels;
  /// The labels are whole numbers, here in decimal.
  bool integerLabels = false;
  std::string probabilities;
  /// How several functions of one model, compiled for different shapes, are
  /// kept: as one function with enumerated shapes, as functions, or as the
  /// former where one function can serve all shapes.
  enum class Buckets { Auto, Shapes, Functions } buckets = Buckets::Auto;
  /// The functions are samples of ranges, which are written in place of the
  /// shapes: those of an input by name and axis, else from the smallest extent
  /// to the largest.
  std::optional<llvm::StringMap<SmallVector<ExtentRange>>> ranges;
  /// With Buckets::Shapes: receives why one function cannot be, instead of a
  /// diagnostic.
  std::string *whyNotShapes = nullptr;
  /// Called with why functions are written where shapes were possible to ask
  /// for.
  std::function<void(const std::string &)> note;
  /// 15 … 18 or 26; by default the lowest that has all that is used.
  std::optional<int> opset;

  /// What a classifier's outputs are called.
  std::string label = "classLabel", labelProbabilities = "classLabel_probs";
  StringRef labelName() const { return label; }
  StringRef probabilitiesName() const { return labelProbabilities; }
};

/// One function of a package, converted: all that is left is to describe it.
struct PackagePart {
  std::string name;
  mil::ProgramOp program;
  /// What its weights are evaluated from, and the file that they make alone.
  func::FuncOp source;
  ProgramWeights weights;
  /// MIL's identifiers, then the user's names, of inputs and outputs.
  std::vector<std::string> names, originals;
  SmallVector<RankedTensorType> types;
  unsigned inputs = 0;
  /// Shapes of the ports in the order of the buckets, where they differ.
  std::vector<std::vector<SmallVector<int64_t>>> enumerated;
  /// Ranges by port and axis; empty for those of one shape.
  std::vector<SmallVector<ExtentRange>> ranges;
  /// The output that a state input receives, by input.
  llvm::DenseMap<unsigned, unsigned> states;
  /// The output that became label and probabilities.
  std::optional<unsigned> classified;

  mil::FuncOp function() { return mil::getFunction(program); }
};

/// Weights of several functions in one file, equal ones once. References in the
/// programs are moved to where the data comes to lie.
FailureOr<ProgramWeights> shareWeights(MutableArrayRef<PackagePart> parts);

/// Adds functions as one package at `path` to `outputs`, whose commit() puts it
/// there; the first function is the default. The functions move into the
/// program of the first. The same parts give the same bytes.
LogicalResult writeMLPackage(MutableArrayRef<PackagePart> parts,
                             ProgramWeights &weights, int opset, StringRef path,
                             const PackageOptions &options, Outputs &outputs);

/// Adds any program of MIL as a package to `outputs`, with the weights that it
/// refers to; inputs and outputs are described as their types have them.
/// References are changed to the new file.
LogicalResult writeMILPackage(mil::ProgramOp program,
                              const WeightOpener &weights, StringRef path,
                              Outputs &outputs);

} // namespace mlir::ane

#endif // ANEMLIR_TARGET_COREML_H
