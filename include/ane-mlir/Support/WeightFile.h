//===- WeightFile.h - MILBlob v2 weight files -----------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// file := header(64) { align64 descriptor(64) payload }. `offset` in MIL is the
// descriptor's (first tensor: 64), the descriptor holds the payload's absolute
// offset, the last payload is not padded. Source: engine/weights.md §2.1,
// mil/package.md §5.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_SUPPORT_WEIGHTFILE_H
#define ANEMLIR_SUPPORT_WEIGHTFILE_H

#include "ane-mlir/Support/DType.h"
#include "ane-mlir/Support/MappedFile.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/raw_ostream.h"
#include <functional>

namespace mlir::ane {

/// The path of the weight file in every MIL text (engine/weights.md §2.2).
inline constexpr llvm::StringLiteral kWeightPath =
    "@model_path/weights/weight.bin";
/// Where the tensors of a file lie; known before any byte is written.
class WeightLayout {
public:
  /// Appends a tensor of `count` elements; returns its descriptor's offset.
  uint64_t add(DType dtype, uint64_t count);
  uint64_t fileSize() const { return end; }
  size_t size() const { return entries.size(); }
  struct Entry {
    DType dtype;
    uint64_t count, offset, bytes;
  };
  llvm::ArrayRef<Entry> getEntries() const { return entries; }

private:
  std::vector<Entry> entries;
  uint64_t end = 64;
};

/// Writes a file tensor by tensor, in layout order.
class WeightWriter {
public:
  WeightWriter(const WeightLayout &layout, llvm::raw_ostream &os);
  /// The payload of the next tensor; must have the size that the layout says.
  void write(llvm::ArrayRef<char> payload);

private:
  void put(llvm::ArrayRef<char> bytes);
  const WeightLayout &layout;
  llvm::raw_ostream &os;
  size_t next = 0;
  uint64_t position = 0;
};

/// A tensor of a mapped file.
struct WeightView {
  DType dtype;
  uint64_t paddingBits;
  llvm::ArrayRef<char> data;
};
/// The tensor whose descriptor is at `offset`; errors name the offset and what
/// is wrong there.
llvm::Expected<WeightView> readWeight(llvm::ArrayRef<char> file,
                                      uint64_t offset);

/// Opens the weight file that a BLOBFILE path names.
using WeightOpener =
    std::function<llvm::Expected<std::shared_ptr<const MappedFile>>(
        StringRef path)>;

/// Opens weight files below the folder that "@model_path" stands for.
WeightOpener weightsBelow(llvm::StringRef folder);

} // namespace mlir::ane

#endif // ANEMLIR_SUPPORT_WEIGHTFILE_H
