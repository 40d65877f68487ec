//===- Compression.cpp - weights in fewer bits ----------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "Compression.h"
#include "llvm/ADT/STLExtras.h"
#include <cmath>
#include <numeric>

using namespace mlir;
using namespace mlir::ane;
using llvm::ArrayRef;
using llvm::SmallVector;

static constexpr double kMostScale = 65504;
/// Relative difference of two scales below which they may be one, and of a
/// value from what it is written as, in steps of the largest code: both are
/// within the rounding of fp16.
static constexpr double kSameScale = 5e-4, kTolerance = 1e-3;

BlockMap::BlockMap(ArrayRef<int64_t> shape, ArrayRef<int64_t> grid) {
  // Axes of 1 would make runs of one element.
  for (auto [extent, blocks] : llvm::zip_equal(shape, grid)) {
    total *= extent;
    count *= blocks;
    if (extent == 1)
      continue;
    extents.push_back(extent);
    sizes.push_back(extent / std::max<int64_t>(blocks, 1));
  }
  strides.assign(extents.size(), 1);
  for (size_t d = extents.size(); d-- > 1;)
    strides[d - 1] = strides[d] * (extents[d] / sizes[d]);
}

//===----------------------------------------------------------------------===//
// Integers times scales
//===----------------------------------------------------------------------===//

static bool differ(float a, float b) {
  return std::fabs(a - b) > kSameScale * std::max(std::fabs(a), std::fabs(b));
}

/// The extent of blocks along `axis`: the largest at whose ends alone the
/// scales change. A code of 0 has no scale; a change that it hides lies
/// somewhere in a range.
static int64_t findBlock(const Tensor &weight, const Tensor &codes,
                         int64_t axis) {
  int64_t extent = weight.shape()[axis], inner = 1, outer = 1;
  for (int64_t d = 0; d < weight.rank(); ++d)
    (d < axis ? outer : inner) *= d == axis ? 1 : weight.shape()[d];
  ArrayRef<float> w = weight.floats(), q = codes.floats();
  std::vector<bool> changes(extent, false);
  llvm::SmallVector<std::pair<int64_t, int64_t>> hidden;
  for (int64_t o = 0; o < outer; ++o)
    for (int64_t i = 0; i < inner; ++i) {
      int64_t last = -1;
      float known = 0;
      for (int64_t k = 0; k < extent; ++k) {
        int64_t at = (o * extent + k) * inner + i;
        if (q[at] == 0)
          continue;
        float scale = w[at] / q[at];
        if (last >= 0 && differ(scale, known)) {
          if (last == k - 1)
            changes[k] = true;
          else if (hidden.empty() || hidden.back() != std::pair(last + 1, k))
            hidden.push_back({last + 1, k});
        }
        last = k;
        known = scale;
      }
    }
  for (auto [first, last] : hidden)
    if (!llvm::is_contained(llvm::make_range(changes.begin() + first,
                                             changes.begin() + last + 1),
                            true))
      changes[last] = true;
  int64_t block = extent;
  for (int64_t k = 1; k < extent; ++k)
    if (changes[k])
      block = std::gcd(block, k);
  return block;
}

namespace {
/// What is known of one block.
struct BlockSums {
  double dot = 0, square = 0;
  float low = 0, high = 0;
};
} // namespace

/// The narrowest data that holds the codes of all blocks; nothing where none
/// does.
static bool chooseData(ArrayRef<BlockSums> blocks, bool shifted,
                       AffineForm &form) {
  float low = 0, high = 0, range = 0;
  for (const BlockSums &b : blocks) {
    low = std::min(low, b.low);
    high = std::max(high, b.high);
    // Shifts have no sign either.
    range = std::max(range, std::max(b.high, 0.f) - std::min(b.low, 0.f));
  }
  for (DType dtype : {DType::Int4, DType::UInt4, DType::Int8, DType::UInt8}) {
    float steps = std::ldexp(1.f, getInfo(dtype).bits);
    if (!isUnsigned(dtype) && (low < -steps / 2 || high >= steps / 2))
      continue;
    if (isUnsigned(dtype) && (!shifted || range >= steps))
      continue;
    form.dtype = dtype;
    if (isUnsigned(dtype))
      for (const BlockSums &b : blocks)
        form.shifts.push_back(-std::min(b.low, 0.f));
    return true;
  }
  return false;
}

std::optional<AffineForm> mlir::ane::recogniseAffine(const Tensor &weight,
                                                     const Tensor &codes,
                                                     bool shifted) {
  ArrayRef<float> w = weight.floats(), q = codes.floats();
  for (float code : q)
    if (std::fabs(code) > 255 || code != std::trunc(code))
      return std::nullopt;
  AffineForm form;
  for (int64_t axis = 0; axis < weight.rank(); ++axis)
    form.grid.push_back(weight.shape()[axis] /
                        std::max<int64_t>(findBlock(weight, codes, axis), 1));
  BlockMap map(weight.shape(), form.grid);
  std::vector<BlockSums> blocks(map.blocks());
  map.forEachRun([&](int64_t first, int64_t count, int64_t block) {
    BlockSums &b = blocks[block];
    for (int64_t i = first; i < first + count; ++i) {
      b.dot += double(q[i]) * w[i];
      b.square += double(q[i]) * q[i];
      b.low = std::min(b.low, q[i]);
      b.high = std::max(b.high, q[i]);
    }
  });
  for (const BlockSums &b : blocks) {
    double scale = b.square ? b.dot / b.square : 1;
    if (!(std::fabs(scale) >= kLeastAffineScale &&
          std::fabs(scale) <= kMostScale))
      return std::nullopt;
    form.scales.push_back(float(scale));
  }
  bool fits = true;
  map.forEachRun([&](int64_t first, int64_t count, int64_t block) {
    float scale = form.scales[block];
    float slack = kTolerance * std::fabs(scale) *
                  std::max({-blocks[block].low, blocks[block].high, 1.f});
    for (int64_t i = first; fits && i < first + count; ++i)
      fits = std::fabs(q[i] * scale - w[i]) <= slack;
  });
  if (!fits || !chooseData(blocks, shifted, form))
    return std::nullopt;
  return form;
}

AffineForm mlir::ane::quantiseAffine(const Tensor &weight, unsigned bits,
                                     ArrayRef<int64_t> grid) {
  AffineForm form;
  form.grid.assign(grid.begin(), grid.end());
  form.dtype = bits == 4 ? DType::Int4 : DType::Int8;
  ArrayRef<float> w = weight.floats();
  BlockMap map(weight.shape(), grid);
  std::vector<float> most(map.blocks(), 0);
  map.forEachRun([&](int64_t first, int64_t count, int64_t block) {
    for (float x : w.slice(first, count))
      most[block] = std::max(most[block], std::fabs(x));
  });
  float limit = std::ldexp(1.f, bits - 1) - 1;
  // Fewer bits gain more from a finer step than they lose by what is cut.
  llvm::SmallVector<float> cuts{1};
  if (bits == 4)
    cuts.append({0.95f, 0.9f, 0.85f, 0.8f, 0.75f, 0.7f});
  std::vector<double> best(map.blocks(), INFINITY);
  form.scales.assign(map.blocks(), 1);
  for (float cut : cuts) {
    std::vector<double> errors(map.blocks(), 0);
    auto scaleOf = [&](int64_t block) {
      // As it is written; a block of zeros has a scale too.
      return roundTo(DType::Float16, std::max<float>(most[block] * cut / limit,
                                                     kLeastAffineScale));
    };
    map.forEachRun([&](int64_t first, int64_t count, int64_t block) {
      float scale = scaleOf(block);
      for (float x : w.slice(first, count)) {
        float code = std::clamp(std::nearbyint(x / scale), -limit, limit);
        errors[block] += double(code * scale - x) * (code * scale - x);
      }
    });
    for (auto [block, error] : llvm::enumerate(errors))
      if (error < best[block]) {
        best[block] = error;
        form.scales[block] = scaleOf(block);
      }
  }
  return form;
}

//===----------------------------------------------------------------------===//
// Tables
//===----------------------------------------------------------------------===//

/// The elements of each block, in order.
static std::vector<std::vector<float>> collect(const Tensor &weight,
                                               const BlockMap &map) {
  std::vector<std::vector<float>> values(map.blocks());
  map.forEachRun([&](int64_t first, int64_t count, int64_t block) {
    ArrayRef<float> run = weight.floats().slice(first, count);
    values[block].insert(values[block].end(), run.begin(), run.end());
  });
  return values;
}

/// The index of the nearest entry of an ascending table.
static uint8_t nearest(ArrayRef<float> table, float x) {
  size_t at = std::lower_bound(table.begin(), table.end(), x) - table.begin();
  if (at == table.size() || (at && x - table[at - 1] <= table[at] - x))
    --at;
  return uint8_t(at);
}

static void setIndices(PaletteForm &form, const Tensor &weight,
                       const BlockMap &map) {
  size_t entries = size_t(1) << form.bits;
  form.indices.resize(weight.size());
  ArrayRef<float> w = weight.floats();
  map.forEachRun([&](int64_t first, int64_t count, int64_t block) {
    ArrayRef<float> table =
        ArrayRef(form.tables).slice(block * entries, entries);
    for (int64_t i = first; i < first + count; ++i)
      form.indices[i] = nearest(table, w[i]);
  });
}

std::optional<PaletteForm> mlir::ane::recognisePalette(const Tensor &weight,
                                                       unsigned bits,
                                                       ArrayRef<int64_t> grid) {
  PaletteForm form;
  form.grid.assign(grid.begin(), grid.end());
  form.bits = bits;
  size_t entries = size_t(1) << bits;
  BlockMap map(weight.shape(), grid);
  std::vector<std::vector<float>> tables(map.blocks());
  bool fits = true;
  map.forEachRun([&](int64_t first, int64_t count, int64_t block) {
    std::vector<float> &table = tables[block];
    for (float x : weight.floats().slice(first, count)) {
      if (!fits || !std::isfinite(x))
        return void(fits = false);
      float half = roundTo(DType::Float16, x);
      auto at = std::lower_bound(table.begin(), table.end(), half);
      if (at != table.end() && *at == half)
        continue;
      table.insert(at, half);
      fits = table.size() <= entries;
    }
  });
  if (!fits)
    return std::nullopt;
  for (std::vector<float> &table : tables) {
    table.resize(entries, table.empty() ? 0 : table.back());
    llvm::append_range(form.tables, table);
  }
  setIndices(form, weight, map);
  return form;
}

/// Where to begin: entries as dense as the cube root of the values' density,
/// which is where the least squares lie for many entries (Panter and Dite).
static std::vector<float> beginTable(ArrayRef<float> sorted, size_t entries) {
  // So few that a bin holds enough values to tell a density.
  const size_t bins =
      std::clamp<size_t>(size_t(std::sqrt(double(sorted.size()))), 8, 1024);
  double low = sorted.front(), width = (double(sorted.back()) - low) / bins;
  if (!(width > 0))
    return std::vector<float>(entries, sorted.front());
  std::vector<double> weights(bins + 1, 0);
  size_t from = 0;
  for (size_t bin = 0; bin < bins; ++bin) {
    size_t to = bin + 1 == bins
                    ? sorted.size()
                    : std::upper_bound(sorted.begin() + from, sorted.end(),
                                       float(low + width * (bin + 1))) -
                          sorted.begin();
    weights[bin + 1] = weights[bin] + std::cbrt(double(to - from));
    from = to;
  }
  std::vector<float> table;
  for (size_t k = 0, bin = 0; k < entries; ++k) {
    double wanted = weights.back() * (k + 0.5) / entries;
    while (weights[bin + 1] < wanted)
      ++bin;
    double part = (wanted - weights[bin]) / (weights[bin + 1] - weights[bin]);
    table.push_back(float(low + width * (bin + part)));
  }
  return table;
}

/// k-means in one dimension: clusters are ranges of the sorted values, so that
/// a step is a search for each border.
static std::vector<float> fitTable(std::vector<float> values, size_t entries) {
  llvm::sort(values);
  std::vector<double> sums(values.size() + 1, 0);
  for (size_t i = 0; i < values.size(); ++i)
    sums[i + 1] = sums[i] + values[i];
  std::vector<float> table = beginTable(values, entries);
  for (unsigned step = 0; step < 100; ++step) {
    std::vector<float> next(table);
    size_t from = 0;
    for (size_t k = 0; k < entries; ++k) {
      size_t to = values.size();
      if (k + 1 < entries)
        to = std::upper_bound(values.begin() + from, values.end(),
                              (table[k] + table[k + 1]) / 2) -
             values.begin();
      if (to > from)
        next[k] = float((sums[to] - sums[from]) / double(to - from));
      from = to;
    }
    if (next == table)
      break;
    table = std::move(next);
  }
  roundTo(DType::Float16, llvm::MutableArrayRef(table));
  llvm::sort(table);
  return table;
}

PaletteForm mlir::ane::fitPalette(const Tensor &weight, unsigned bits,
                                  ArrayRef<int64_t> grid) {
  PaletteForm form;
  form.grid.assign(grid.begin(), grid.end());
  form.bits = bits;
  BlockMap map(weight.shape(), grid);
  for (std::vector<float> &values : collect(weight, map))
    llvm::append_range(form.tables,
                       fitTable(std::move(values), size_t(1) << bits));
  setIndices(form, weight, map);
  return form;
}
