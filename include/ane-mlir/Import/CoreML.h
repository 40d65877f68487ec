//===- CoreML.h - reading Core ML packages --------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// A .mlpackage is a folder: Manifest.json, a Model message with an ML Program,
// and its weights in the same MILBlob files as elsewhere (mil/package.md
// §3-§5).
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_IMPORT_COREML_H
#define ANEMLIR_IMPORT_COREML_H

#include "ane-mlir/Support/DType.h"
#include "ane-mlir/Support/ExtentRange.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

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
  /// The shapes that an array takes, or the sizes of an image; the default is
  /// one of them.
  std::vector<SmallVector<int64_t>> enumerated;
  /// What each axis of an array may have, or [height, width] of an image; empty
  /// where it has one shape or lists them.
  SmallVector<ExtentRange> ranges;
  bool hasRange() const { return !ranges.empty(); }
  /// Images: 10 grey, 20 RGB, 30 BGR, 40 grey in fp16.
  uint32_t colorSpace = 0;
  /// An input that may be left out, and what it is then: of an array one value
  /// for all elements, 0 where none is said.
  bool optional = false;
  std::optional<double> defaultValue;
};

/// What an image of this [height, width] is to the program.
SmallVector<int64_t> imageShape(const PackageFeature &feature,
                                llvm::ArrayRef<int64_t> size);

/// What a package says around its program.
struct PackageInfo {
  struct Function {
    std::string name;
    std::vector<PackageFeature> inputs, outputs, states;
    /// Classifiers: the outputs that hold the label and the probabilities.
    std::string predictedFeature, predictedProbabilities;
  };
  /// 6 … 10; see mil/package.md §3.4.
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

#endif // ANEMLIR_IMPORT_COREML_H
