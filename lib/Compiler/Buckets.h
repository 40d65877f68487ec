//===- Buckets.h - the shapes that a model is compiled for ----------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_LIB_COMPILER_BUCKETS_H
#define ANEMLIR_LIB_COMPILER_BUCKETS_H

#include "ane-mlir/Compiler/CompileOptions.h"
#include "ane-mlir/Import/CoreML.h"

namespace mlir::ane {

/// A value for each symbolic dimension, and the function that it makes.
struct Bucket {
  std::string label;
  std::vector<std::pair<StringRef, int64_t>> dims;
  /// Of a MIL program with several functions.
  std::string function;
  /// Whole shapes of inputs, where they differ from bucket to bucket.
  mil::ShapeBindings shapes;
  /// Of a range that a package has: the program may not take all of it; and of
  /// several inputs, these shapes need not go together.
  bool mayFail = false, isApart = false;
};

/// Extents in a row that are compiled of a range, if not more: what a program
/// has of an extent may depend on what strides, windows and blocks leave of it.
inline constexpr int64_t kLeastRow = 32;
/// Strides beyond which nobody can be sure.
inline constexpr int64_t kMostRow = 256;

/// The product of strides, windows that are cut apart, and blocks that a value
/// has behind it, at most: extents that differ by it are treated alike.
int64_t findPeriod(ModuleOp module);

/// Every combination of values is one function; of ranges, the extents at which
/// one program is compiled that is to hold for all between, `row` of them in a
/// row.
std::vector<Bucket> makeBuckets(const CompileOptions &options,
                                int64_t row = kLeastRow);

/// The shapes that an input of `func` lists, its default first; an error where
/// they are too many or none that an array has.
FailureOr<std::vector<Bucket>> bucketsOfShapes(const PackageFeature &feature,
                                               mil::FuncOp func);

/// "" or why the range of an input is not kept.
std::string whyNotRanges(const PackageFeature &feature);

/// Shapes out of the ranges of inputs, defaults first: with equal ranges of
/// several inputs as one extent, and as several.
std::vector<Bucket> bucketsOfRanges(ArrayRef<const PackageFeature *> features,
                                    mil::FuncOp func, int64_t row);

/// The ranges of inputs by name, an image having four axes.
llvm::StringMap<SmallVector<ExtentRange>>
rangesOf(ArrayRef<const PackageFeature *> features);

/// Says that of the shapes of an input its default is taken alone.
void remarkDefault(const PackageFeature &feature, Location loc,
                   const Twine &why = "");

} // namespace mlir::ane

#endif // ANEMLIR_LIB_COMPILER_BUCKETS_H
