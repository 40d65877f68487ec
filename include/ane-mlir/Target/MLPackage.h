//===- MLPackage.h - Core ML packages -------------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// A .mlpackage is a folder: Manifest.json, a Model message with an ML Program,
// and its weights in the same MILBlob files as elsewhere (mil.md §3-§5).
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_TARGET_MLPACKAGE_H
#define ANEMLIR_TARGET_MLPACKAGE_H

#include "ane-mlir/Support/AtomicPath.h"
#include "ane-mlir/Support/DType.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include <functional>

namespace mlir::ane {

/// An input, output or state as a package describes it.
struct PackageFeature {
  enum class Kind { Array, Image, State, Number, String, Dictionary, Other };
  std::string name;
  /// What the author says of it; in packages written here the name that it has
  /// in the model, where that is another.
  std::string description;
  Kind kind = Kind::Other;
  /// Arrays and states; absent for a type that Core ML does not list.
  std::optional<DType> dtype;
  /// The default shape of an array, [height, width] of an image; empty where
  /// the description leaves it open.
  SmallVector<int64_t> shape;
  /// Other shapes that an array takes.
  std::vector<SmallVector<int64_t>> enumerated;
  bool hasRange = false;
  /// Images: 10 grey, 20 RGB, 30 BGR, 40 grey in fp16.
  uint32_t colorSpace = 0;
};

/// What a package says around its program.
struct PackageInfo {
  struct Function {
    std::string name;
    std::vector<PackageFeature> inputs, outputs, states;
    /// Classifiers: the outputs that hold the label and the probabilities.
    std::string predictedFeature, predictedProbabilities;
  };
  /// 6 … 10; see mil.md §3.4.
  int specification = 0;
  int64_t programVersion = 0;
  /// One named "main" where the description names none.
  std::vector<Function> functions;
  /// The description lists functions by name (specification 9 and later).
  bool multiFunction = false;
  std::string defaultFunction;
  /// Author, licence, …, then what the author added, by key.
  std::vector<std::pair<std::string, std::string>> metadata;
  /// What a strict reader refuses although it means nothing to us.
  std::vector<std::string> notes;
};

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

struct PackageOptions {
  std::string author, license, version, description;
  /// More about the model, by key.
  std::vector<std::pair<std::string, std::string>> userDefined;
  std::vector<ImageInput> images;
  /// Pairs of an input and the output that is its next value: one state.
  std::vector<std::pair<std::string, std::string>> states;
  /// Makes a classifier of the output named `probabilities` (or the only one).
  std::vector<std::string> classLabels;
  std::string probabilities;
  /// How several functions of one model, compiled for different shapes, are
  /// kept: as one function with enumerated shapes, as functions, or as the
  /// former where one function can serve all shapes.
  enum class Buckets { Auto, Shapes, Functions } buckets = Buckets::Auto;
  /// With Buckets::Shapes: receives why one function cannot be, instead of a
  /// diagnostic.
  std::string *whyNotShapes = nullptr;
  /// Called with why functions are written where shapes were possible to ask
  /// for.
  std::function<void(const std::string &)> note;
  /// 15 … 18 or 26; by default the lowest that has all that is used.
  std::optional<int> opset;

  StringRef labelName() const { return "classLabel"; }
  StringRef probabilitiesName() const { return "classLabel_probs"; }
};

/// A module whose @main becomes the function `name`.
struct PackageFunction {
  ModuleOp module;
  std::string name = "main";
};

/// Adds optimised, not placed modules as one package at `path` to `outputs`,
/// whose commit() puts it there; the first function is the default. Equal
/// weights are stored once. Inputs and outputs are the user's: fp32, fp16 or
/// int32 arrays of at least one axis, with casts inside, because Core ML places
/// ops itself. The modules are changed. The same modules give the same bytes.
LogicalResult writeMLPackage(ArrayRef<PackageFunction> functions,
                             StringRef path, const PackageOptions &options,
                             Outputs &outputs);

/// The ML Program of a package as a mil.program. Errors name the file, the
/// function and the op. Weights stay BLOBFILE references below
/// `packageModelPath(path)`.
/// Packages of the older kinds are refused with a message that says what they
/// are. `info` receives the description.
OwningOpRef<ModuleOp> importMLPackage(StringRef path, MLIRContext *context,
                                      PackageInfo *info = nullptr);

/// The same of the model file alone, called `name` in messages.
OwningOpRef<ModuleOp> importMLModel(StringRef path, StringRef name,
                                    MLIRContext *context,
                                    PackageInfo *info = nullptr);

/// The folder that "@model_path" means inside a package.
std::string packageModelPath(StringRef path);

} // namespace mlir::ane

#endif // ANEMLIR_TARGET_MLPACKAGE_H
