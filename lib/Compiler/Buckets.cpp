//===- Buckets.cpp - the shapes that a model is compiled for --------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "Buckets.h"
#include <cmath>

using namespace mlir;
using namespace mlir::ane;

/// As many functions or shapes as one artifact may hold.
static constexpr size_t kMostShapes = 128;
/// Elements of an input up to which the upper end of a package's own range is
/// compiled, or four times its default's: what is larger would take long to
/// measure, and its program is taken to be alike.
static constexpr int64_t kMostElements = int64_t(1) << 20;

/// `first`, then extents that differ in what a program may depend on: the ends,
/// odd and even ones, multiples and not.
static SmallVector<int64_t> sampleRange(ExtentRange range, int64_t first) {
  int64_t middle = range.low + (range.high - range.low) / 2;
  SmallVector<int64_t> samples{first};
  for (int64_t extent : {range.high, range.low, range.low + 1, middle,
                         middle + 1, range.high - 1})
    if (extent >= range.low && extent <= range.high &&
        !llvm::is_contained(samples, extent))
      samples.push_back(extent);
  return samples;
}

/// The sample of one of several extents in one of the buckets: all have their
/// first together, then each is another one's neighbour.
static int64_t pick(ArrayRef<int64_t> samples, size_t bucket, size_t extent) {
  if (bucket == 0 || samples.size() == 1)
    return samples.front();
  ArrayRef<int64_t> rest = samples.drop_front();
  return rest[(bucket - 1 + extent) % rest.size()];
}

static size_t countBuckets(ArrayRef<SmallVector<int64_t>> samples) {
  size_t count = 1;
  for (ArrayRef<int64_t> each : samples)
    count = std::max(count, each.size());
  return count;
}

/// What is said of ranges by options; the largest extents come first.
static std::vector<Bucket> bucketsOfOptions(const CompileOptions &options) {
  Bucket common;
  for (auto &[name, values] : options.dims)
    common.dims.push_back({name, values.front()});
  std::vector<SmallVector<int64_t>> samples;
  for (auto &[name, range] : options.dimRanges)
    samples.push_back(sampleRange(range, range.high));
  for (auto &[name, ranges] : options.inputRanges)
    for (ExtentRange range : ranges)
      samples.push_back(sampleRange(range, range.high));
  std::vector<Bucket> buckets(countBuckets(samples), common);
  for (size_t i = 0; i < buckets.size(); ++i) {
    Bucket &bucket = buckets[i];
    size_t extent = 0;
    auto next = [&] {
      int64_t value = pick(samples[extent], i, extent);
      bucket.label += (bucket.label.empty() ? "" : "_") + std::to_string(value);
      ++extent;
      return value;
    };
    for (auto &[name, range] : options.dimRanges)
      bucket.dims.push_back({name, next()});
    for (auto &[name, ranges] : options.inputRanges)
      for (size_t axis = 0; axis < ranges.size(); ++axis)
        bucket.shapes[name].push_back(next());
  }
  return buckets;
}

std::vector<Bucket> mlir::ane::makeBuckets(const CompileOptions &options) {
  if (options.hasRanges())
    return bucketsOfOptions(options);
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

/// The range of an axis with an end, which is compiled.
static ExtentRange boundRange(const PackageFeature &feature, size_t axis) {
  ExtentRange range = feature.ranges[axis];
  int64_t elements = 1, own = feature.shape[axis], open = 0;
  for (auto [extent, each] : llvm::zip_equal(feature.shape, feature.ranges)) {
    elements *= std::max<int64_t>(extent, 1);
    open += !each.isOne();
  }
  // As far as all open axes may grow alike.
  double room = std::max<double>(4, double(kMostElements) / elements);
  auto most = int64_t(own * std::pow(room, 1.0 / open));
  if (range.high < 0 || range.high > most)
    range.high = std::max({most, own, range.low});
  return range;
}

namespace {
/// An extent of one or several inputs.
struct Extent {
  ExtentRange range;
  int64_t first;
  unsigned occurrence;
  bool operator==(const Extent &other) const {
    return range == other.range && first == other.first &&
           occurrence == other.occurrence;
  }
};
} // namespace

FailureOr<std::vector<Bucket>>
mlir::ane::bucketsOfRanges(ArrayRef<const PackageFeature *> features,
                           mil::FuncOp func) {
  SmallVector<Extent> extents;
  std::vector<SmallVector<int64_t>> samples;
  std::vector<SmallVector<size_t>> places;
  for (const PackageFeature *feature : features) {
    bool fits = feature->shape.size() == feature->ranges.size();
    for (auto [extent, range] : llvm::zip(feature->shape, feature->ranges))
      fits &= extent > 0 && range.low > 0 && extent >= range.low &&
              (range.high < 0 || extent <= range.high);
    if (!fits)
      return emitError(func.getLoc())
                 << "input '" << feature->name
                 << "' has a range of shapes that its default is not in; "
                    "--input-shape="
                 << feature->name << "=… makes a package for one",
             failure();
    places.emplace_back();
    for (auto [axis, range] : llvm::enumerate(feature->ranges)) {
      // Axes of one input are apart, be their ranges equal or not.
      unsigned occurrence = 0;
      for (ExtentRange other : ArrayRef(feature->ranges).take_front(axis))
        occurrence += other == range;
      Extent extent{range, feature->shape[axis], occurrence};
      auto *known = llvm::find(extents, extent);
      places.back().push_back(known - extents.begin());
      if (known != extents.end())
        continue;
      extents.push_back(extent);
      samples.push_back(
          sampleRange(boundRange(*feature, axis), feature->shape[axis]));
    }
  }
  std::vector<Bucket> buckets(countBuckets(samples));
  for (auto [i, bucket] : llvm::enumerate(buckets)) {
    bucket.function = func.getSymName().str();
    bucket.label = std::to_string(i);
    for (auto [feature, own] : llvm::zip_equal(features, places)) {
      SmallVector<int64_t> shape;
      for (size_t place : own)
        shape.push_back(pick(samples[place], i, place));
      bool image = feature->kind == PackageFeature::Kind::Image;
      bucket.shapes[feature->name] =
          image ? imageShape(*feature, shape) : shape;
    }
  }
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
