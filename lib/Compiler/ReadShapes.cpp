//===- ReadShapes.cpp - extents and shapes on a command line --------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Compiler/CommandLine.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace mlir::ane;

/// "2,3".
static bool parseInts(StringRef text, SmallVectorImpl<int64_t> &values) {
  SmallVector<StringRef> parts;
  text.split(parts, ',');
  for (StringRef part : parts) {
    int64_t value;
    if (part.getAsInteger(10, value) || value < 0 || value > INT32_MAX)
      return false;
    values.push_back(value);
  }
  return true;
}

/// "64..512", or one extent.
static bool parseRange(StringRef text, ExtentRange &range) {
  auto [low, high] = text.split("..");
  auto isExtent = [](StringRef word, int64_t &value) {
    return !word.getAsInteger(10, value) && value >= 0 && value <= INT32_MAX;
  };
  if (!isExtent(low, range.low))
    return false;
  if (!text.contains("..")) {
    range.high = range.low;
    return true;
  }
  return isExtent(high, range.high) && range.low > 0 && range.low < range.high;
}

llvm::Error mlir::ane::readDims(ArrayRef<std::string> entries,
                                CompileOptions &options) {
  for (StringRef entry : entries) {
    auto [name, value] = entry.split('=');
    if (ExtentRange range; !name.empty() && value.contains("..")) {
      if (!parseRange(value, range))
        return llvm::createStringError(
            "expects a range of extents as 1..512, but got '" + value +
            "' for --dim " + name);
      options.dimRanges.push_back({name.str(), range});
      continue;
    }
    bool named = entry.contains('=') || options.dims.empty();
    if (named)
      options.dims.push_back({name.str(), {}});
    else
      value = name;
    SmallVector<int64_t> extent;
    if (options.dims.back().first.empty() || !parseInts(value, extent) ||
        extent.size() != 1)
      return llvm::createStringError("expects --dim NAME=N[,N…], but got '" +
                                     entry + "'");
    options.dims.back().second.push_back(extent[0]);
  }
  llvm::StringSet<> ranged;
  for (auto &[name, range] : options.dimRanges)
    if (!ranged.insert(name).second ||
        llvm::is_contained(llvm::make_first_range(options.dims), name))
      return llvm::createStringError("--dim says '" + Twine(name) + "' twice");
  for (auto [i, one] : llvm::enumerate(options.dims))
    for (auto &other : llvm::ArrayRef(options.dims).take_front(i))
      if (one.first == other.first && one.second != other.second)
        return llvm::createStringError(
            "--dim says '" + one.first + "' twice; several values are --dim " +
            one.first + "=" + Twine(other.second.front()) + "," +
            Twine(one.second.front()));
  return llvm::Error::success();
}

llvm::Error mlir::ane::readInputShapes(ArrayRef<std::string> entries,
                                       CompileOptions &options) {
  for (StringRef entry : entries) {
    auto [name, value] = entry.rsplit('=');
    SmallVector<int64_t> shape;
    if (!name.empty() && value.contains("..")) {
      SmallVector<StringRef> parts;
      value.split(parts, ',');
      SmallVector<ExtentRange> &ranges = options.inputRanges[name.str()];
      ranges.clear();
      for (StringRef part : parts)
        if (!parseRange(part, ranges.emplace_back()))
          return llvm::createStringError("expects --input-shape "
                                         "NAME=1,3,64..512,64..512, but got '" +
                                         entry + "'");
      continue;
    }
    if (name.empty() || (!value.empty() && !parseInts(value, shape)))
      return llvm::createStringError(
          "expects --input-shape NAME=1,3,224,224, but got '" + entry + "'");
    options.inputShapes[name] = shape;
  }
  return llvm::Error::success();
}
