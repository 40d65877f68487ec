//===- Buckets.cpp - the shapes that a model is compiled for --------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "Buckets.h"
#include "dialects/ANE/IR/Linear.h"
#include "dialects/ANE/IR/Pool.h"
#include "dialects/ANE/IR/Rearrange.h"
#include "dialects/ANE/IR/Shape.h"
#include <cmath>

using namespace mlir;
using namespace mlir::ane;

/// As many functions or shapes as one artifact may hold.
static constexpr size_t kMostShapes = 128;
/// Elements of an input up to which the upper end of a package's own range is
/// compiled.
static constexpr int64_t kMostElements = int64_t(1) << 24;

namespace {
/// An extent of one or several inputs.
struct Extent {
  ExtentRange range;
  int64_t first;
  unsigned occurrence = 0;
  bool operator==(const Extent &other) const {
    return range == other.range && first == other.first &&
           occurrence == other.occurrence;
  }
};
using Values = SmallVector<int64_t>;
} // namespace

/// Values for all extents, the first ones first: their ends, many in a row,
/// each beside others of the others, and each alone away from the first.
static std::vector<Values> sampleExtents(ArrayRef<Extent> extents,
                                         int64_t row) {
  std::vector<Values> samples;
  auto add = [&](llvm::function_ref<int64_t(const Extent &, size_t)> value) {
    Values sample;
    for (auto [i, extent] : llvm::enumerate(extents))
      sample.push_back(
          std::clamp(value(extent, i), extent.range.low, extent.range.high));
    if (!llvm::is_contained(samples, sample))
      samples.push_back(std::move(sample));
  };
  add([](const Extent &e, size_t) { return e.first; });
  add([](const Extent &e, size_t) { return e.range.high; });
  add([](const Extent &e, size_t) { return e.range.high - 1; });
  for (int64_t more : {0, 1})
    add([&](const Extent &e, size_t) {
      return e.range.low + (e.range.high - e.range.low) / 2 + more;
    });
  for (int64_t k = 0; k < row; ++k)
    add([&](const Extent &e, size_t i) {
      int64_t size = std::min(row, e.range.high - e.range.low + 1);
      return e.range.low + (k + 5 * int64_t(i)) % size;
    });
  for (size_t alone = 0; extents.size() > 1 && alone < extents.size(); ++alone)
    for (int64_t more : {0, 1})
      add([&](const Extent &e, size_t i) {
        return i == alone ? e.range.low + more : e.first;
      });
  return samples;
}

/// What is said of ranges by options; the largest extents come first.
static std::vector<Bucket> bucketsOfOptions(const CompileOptions &options,
                                            int64_t row) {
  Bucket common;
  for (auto &[name, values] : options.dims)
    common.dims.push_back({name, values.front()});
  std::vector<Extent> extents;
  for (auto &[name, range] : options.dimRanges)
    extents.push_back({range, range.high});
  for (auto &[name, ranges] : options.inputRanges)
    for (ExtentRange range : ranges)
      extents.push_back({range, range.high});
  std::vector<Bucket> buckets;
  for (const Values &sample : sampleExtents(extents, row)) {
    Bucket &bucket = buckets.emplace_back(common);
    const int64_t *next = sample.begin();
    for (auto &[name, range] : options.dimRanges) {
      bucket.label += (bucket.label.empty() ? "" : ", ") + name + "=" +
                      std::to_string(*next);
      bucket.dims.push_back({name, *next++});
    }
    for (auto &[name, ranges] : options.inputRanges) {
      bucket.label += (bucket.label.empty() ? "" : ", ") + name + "=";
      for (size_t axis = 0; axis < ranges.size(); ++axis) {
        bucket.label += (axis ? "," : "") + std::to_string(*next);
        bucket.shapes[name].push_back(*next++);
      }
    }
  }
  return buckets;
}

/// What an operation divides extents by, at most.
static int64_t strideOf(Operation *op) {
  auto most = [](ArrayRef<int64_t> values) {
    int64_t largest = 1;
    for (int64_t value : values)
      largest = std::max(largest, std::abs(value));
    return largest;
  };
  if (auto conv = dyn_cast<ConvOp>(op))
    return most(conv.getStrides());
  if (isa<MaxPoolOp, AvgPoolOp, L2PoolOp>(op))
    if (auto strides = op->getAttrOfType<DenseI64ArrayAttr>("strides"))
      return most(strides);
  if (auto slice = dyn_cast<SliceByIndexOp>(op))
    return slice.getStride() ? most(*slice.getStride()) : 1;
  if (auto blocks = dyn_cast<SpaceToDepthOp>(op))
    return blocks.getBlockSize();
  if (auto blocks = dyn_cast<PixelUnshuffleOp>(op))
    return blocks.getDownscaleFactor();
  return 1;
}

int64_t mlir::ane::findPeriod(ModuleOp module) {
  llvm::DenseMap<Value, int64_t> periods;
  int64_t most = 1;
  module.walk([&](Operation *op) {
    int64_t period = 1;
    for (Value operand : op->getOperands())
      if (auto known = periods.find(operand); known != periods.end())
        period = std::max(period, known->second);
    period = std::min(period * strideOf(op), 2 * kMostRow);
    for (Value result : op->getResults())
      periods[result] = period;
    most = std::max(most, period);
  });
  return most;
}

std::vector<Bucket> mlir::ane::makeBuckets(const CompileOptions &options,
                                           int64_t row) {
  if (options.hasRanges())
    return bucketsOfOptions(options, row);
  std::vector<Bucket> buckets(1);
  for (auto &[name, values] : options.dims) {
    std::vector<Bucket> next;
    for (const Bucket &bucket : buckets)
      for (int64_t value : values) {
        next.push_back(bucket);
        next.back().dims.push_back({name, value});
        if (values.size() > 1)
          next.back().label += (next.back().label.empty() ? "" : "_") + name +
                               std::to_string(value);
      }
    buckets = std::move(next);
  }
  return buckets;
}

FailureOr<std::vector<Bucket>>
mlir::ane::bucketsOfShapes(const PackageFeature &feature, mil::FuncOp func) {
  // The default comes first and stays it.
  std::vector<SmallVector<int64_t>> shapes;
  if (!feature.shape.empty())
    shapes.push_back(feature.shape);
  for (const SmallVector<int64_t> &shape : feature.enumerated)
    if (!llvm::is_contained(shapes, shape))
      shapes.push_back(shape);
  if (shapes.size() > kMostShapes)
    return emitError(func.getLoc())
               << "input '" << feature.name << "' takes " << shapes.size()
               << " shapes, more than the " << kMostShapes
               << " that are compiled; --input-shape=" << feature.name
               << "=… makes a package for one",
           failure();
  std::vector<Bucket> buckets(shapes.size());
  for (auto [shape, bucket] : llvm::zip_equal(shapes, buckets)) {
    if (shapes.size() > 1 &&
        llvm::any_of(shape, [](int64_t dim) { return dim <= 0; })) {
      InFlightDiagnostic error = emitError(func.getLoc());
      error << "input '" << feature.name << "' lists the shape ";
      llvm::interleave(shape, error, "x");
      return error << ", which no array has; --input-shape=" << feature.name
                   << "=… makes a package for one",
             failure();
    }
    bucket.function = func.getSymName().str();
    bool image = feature.kind == PackageFeature::Kind::Image;
    bucket.shapes[feature.name] = image ? imageShape(feature, shape) : shape;
    bucket.label = feature.name;
    for (int64_t dim : shape)
      bucket.label += "_" + std::to_string(dim);
  }
  return buckets;
}

std::string mlir::ane::whyNotRanges(const PackageFeature &feature) {
  if (feature.shape.size() != feature.ranges.size())
    return "its default has another number of axes";
  double elements = 1;
  for (auto [extent, range] : llvm::zip(feature.shape, feature.ranges)) {
    if (range.high < 0)
      return "it has no end";
    if (range.low <= 0 || extent < range.low || extent > range.high)
      return "its default is not in it";
    elements *= range.high;
  }
  return elements > kMostElements ? "it reaches too far to be compiled" : "";
}

std::vector<Bucket>
mlir::ane::bucketsOfRanges(ArrayRef<const PackageFeature *> features,
                           mil::FuncOp func, int64_t row) {
  SmallVector<Extent> extents;
  std::vector<SmallVector<size_t>> places;
  for (const PackageFeature *feature : features) {
    places.emplace_back();
    for (auto [axis, range] : llvm::enumerate(feature->ranges)) {
      // Axes of one input are apart, be their ranges equal or not.
      Extent extent{range, feature->shape[axis]};
      for (ExtentRange other : ArrayRef(feature->ranges).take_front(axis))
        extent.occurrence += other == range;
      auto *known = llvm::find(extents, extent);
      places.back().push_back(known - extents.begin());
      if (known == extents.end())
        extents.push_back(extent);
    }
  }
  std::vector<Bucket> buckets;
  // `apart`: an input whose extents are others than those that equal them.
  auto add = [&](const Values &sample, const PackageFeature *apart) {
    Bucket &bucket = buckets.emplace_back();
    bucket.function = func.getSymName().str();
    bucket.mayFail = buckets.size() > 1;
    bucket.isApart = apart != nullptr;
    for (auto [feature, own] : llvm::zip_equal(features, places)) {
      SmallVector<int64_t> shape;
      for (size_t place : own)
        shape.push_back(feature == apart ? extents[place].first
                                         : sample[place]);
      bool image = feature->kind == PackageFeature::Kind::Image;
      bucket.shapes[feature->name] =
          image ? imageShape(*feature, shape) : shape;
      bucket.label += (bucket.label.empty() ? "" : ", ") + feature->name + "=";
      for (auto [axis, extent] : llvm::enumerate(shape))
        bucket.label += (axis ? "," : "") + std::to_string(extent);
    }
  };
  std::vector<Values> samples = sampleExtents(extents, row);
  for (const Values &sample : samples)
    add(sample, nullptr);
  for (const PackageFeature *feature : features)
    for (const Values &sample : ArrayRef(samples).take_back(3))
      if (features.size() > 1)
        add(sample, feature);
  return buckets;
}

llvm::StringMap<SmallVector<ExtentRange>>
mlir::ane::rangesOf(ArrayRef<const PackageFeature *> features) {
  llvm::StringMap<SmallVector<ExtentRange>> ranges;
  for (const PackageFeature *feature : features) {
    SmallVector<ExtentRange> &own = ranges[feature->name];
    if (feature->kind == PackageFeature::Kind::Image)
      for (int64_t extent :
           ArrayRef(imageShape(*feature, feature->shape)).drop_back(2))
        own.push_back({extent, extent});
    llvm::append_range(own, feature->ranges);
  }
  return ranges;
}

void mlir::ane::remarkDefault(const PackageFeature &feature, Location loc,
                              const Twine &why) {
  InFlightDiagnostic remark = emitRemark(loc);
  remark << "input '" << feature.name << "' takes "
         << (feature.hasRange() ? "a range of shapes" : "several shapes")
         << "; what is made takes its default alone";
  if (!feature.shape.empty())
    remark << ", ";
  llvm::interleave(feature.shape, remark, "x");
  remark << why.str() << "; --input-shape=" << feature.name
         << "=… chooses another";
}
