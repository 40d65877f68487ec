//===- Compression.h - weights in fewer bits ------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// Numbers only: what a weight is as integers times scales, or as indices into
// a table. The forms are those of MIL's constexpr operations (mil/operations.md
// §1.14).
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_LIB_TRANSFORMS_COMPRESSION_H
#define ANEMLIR_LIB_TRANSFORMS_COMPRESSION_H

#include "ane-mlir/Interpreter/Tensor.h"
#include <optional>

namespace mlir::ane {

/// Where the elements of `shape` lie in a grid of equal blocks.
class BlockMap {
public:
  /// Each extent of `grid` divides that of `shape`.
  BlockMap(llvm::ArrayRef<int64_t> shape, llvm::ArrayRef<int64_t> grid);
  int64_t blocks() const { return count; }
  /// Calls `run(first element, elements, block)` for all elements in order.
  template <typename Fn>
  void forEachRun(Fn run) const {
    int64_t inner = extents.empty() ? 1 : extents.back(),
            size = sizes.empty() ? 1 : sizes.back();
    llvm::SmallVector<int64_t, 6> at(extents.size(), 0);
    for (int64_t first = 0; first < total; first += inner) {
      int64_t block = 0;
      for (size_t d = 0; d + 1 < extents.size(); ++d)
        block += at[d] / sizes[d] * strides[d];
      for (int64_t i = 0; i < inner; i += size)
        run(first + i, size, block + i / size);
      for (size_t d = extents.size(); d-- > 1;) {
        if (++at[d - 1] < extents[d - 1])
          break;
        at[d - 1] = 0;
      }
    }
  }

private:
  llvm::SmallVector<int64_t, 6> extents, sizes, strides;
  int64_t total = 1, count = 1;
};

/// The least scale: smaller numbers of fp16 have few digits.
inline constexpr double kLeastAffineScale = 0x1p-14;

/// scale · (data + shift), shift and scale repeated per block of the grid.
struct AffineForm {
  llvm::SmallVector<int64_t, 6> grid;
  /// Of `data`: int4, uint4, int8 or uint8.
  DType dtype = DType::Int8;
  /// One for each block; `shifts` is empty when all are 0, which signed data
  /// always has.
  std::vector<float> scales;
  std::vector<int64_t> shifts;
};

/// `weight` as `codes`, which are whole numbers, times one scale for each
/// block; the coarsest grid that does it. Nothing where no grid does within
/// the rounding of fp16, or where a scale is no normal number of fp16.
/// `shifted` allows data without a sign.
std::optional<AffineForm> recogniseAffine(const Tensor &weight,
                                          const Tensor &codes, bool shifted);

/// The nearest such form of `bits` (4 or 8), symmetric, on `grid`. Of 4 bits
/// the largest magnitude may be cut, where the sum of squared errors falls.
AffineForm quantiseAffine(const Tensor &weight, unsigned bits,
                          llvm::ArrayRef<int64_t> grid);

/// Entries of a table by index, one table for each block of the grid.
struct PaletteForm {
  llvm::SmallVector<int64_t, 6> grid;
  unsigned bits = 8;
  /// One for each element.
  std::vector<uint8_t> indices;
  /// 2^bits for each block, ascending.
  std::vector<float> tables;
};

/// `weight` as at most 2^bits different values (fp16) for each block of
/// `grid`, exactly; nothing where a block has more.
std::optional<PaletteForm> recognisePalette(const Tensor &weight, unsigned bits,
                                            llvm::ArrayRef<int64_t> grid);
/// The nearest: k-means of each block; the same on every machine.
PaletteForm fitPalette(const Tensor &weight, unsigned bits,
                       llvm::ArrayRef<int64_t> grid);

} // namespace mlir::ane

#endif // ANEMLIR_LIB_TRANSFORMS_COMPRESSION_H
