//===- WeightFile.cpp - MILBlob v2 weight files ---------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Support/WeightFile.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir::ane;
using namespace llvm::support;

static constexpr uint64_t kAlign = 64;
static constexpr uint32_t kSentinel = 0xDEADBEEF;

uint64_t WeightLayout::add(DType dtype, uint64_t count) {
  uint64_t offset = llvm::alignTo(end, kAlign),
           bytes = getByteSize(dtype, count);
  entries.push_back({dtype, count, offset, bytes});
  end = offset + kAlign + bytes;
  return offset;
}

WeightWriter::WeightWriter(const WeightLayout &layout, llvm::raw_ostream &os)
    : layout(layout), os(os) {
  char header[kAlign] = {};
  endian::write32le(header, layout.size());
  endian::write32le(header + 4, 2);
  put(header);
}

void WeightWriter::put(llvm::ArrayRef<char> bytes) {
  os.write(bytes.data(), bytes.size());
  position += bytes.size();
}

void WeightWriter::write(llvm::ArrayRef<char> payload) {
  const WeightLayout::Entry &entry = layout.getEntries()[next++];
  assert(payload.size() == entry.bytes &&
         "payload does not have the size of the layout");
  static constexpr char zeros[kAlign] = {};
  put({zeros, size_t(entry.offset - position)});
  char descriptor[kAlign] = {};
  unsigned bits = getInfo(entry.dtype).bits;
  endian::write32le(descriptor, kSentinel);
  endian::write32le(descriptor + 4, getInfo(entry.dtype).blobCode);
  endian::write64le(descriptor + 8, entry.bytes);
  endian::write64le(descriptor + 16, entry.offset + kAlign);
  endian::write64le(descriptor + 24,
                    bits < 8 ? (8 - entry.count * bits % 8) % 8 : 0);
  put(descriptor);
  put(payload);
}

llvm::Expected<WeightView> mlir::ane::readWeight(llvm::ArrayRef<char> file,
                                                 uint64_t offset) {
  auto fail = [&](const llvm::Twine &what) {
    return llvm::createStringError("weight file: " + what +
                                   " (descriptor at offset " +
                                   llvm::Twine(offset) + ")");
  };
  if (file.size() < kAlign || endian::read32le(file.data() + 4) != 2)
    return fail("expects a header of 64 bytes with version 2");
  if (offset < kAlign || offset % kAlign || offset > file.size() ||
      file.size() - offset < kAlign)
    return fail("expects an offset that is a multiple of 64 within the " +
                llvm::Twine(file.size()) + " bytes of the file");
  const char *descriptor = file.data() + offset;
  if (endian::read32le(descriptor) != kSentinel)
    return fail("expects the sentinel 0xDEADBEEF");
  std::optional<DType> dtype =
      lookupDTypeByBlobCode(endian::read32le(descriptor + 4));
  if (!dtype)
    return fail("has dtype code " +
                llvm::Twine(endian::read32le(descriptor + 4)) +
                ", which is not known");
  uint64_t size = endian::read64le(descriptor + 8),
           at = endian::read64le(descriptor + 16),
           padding = endian::read64le(descriptor + 24);
  if (at > file.size() || size > file.size() - at)
    return fail("payload [" + llvm::Twine(at) + ", +" + llvm::Twine(size) +
                ") lies outside the file of " + llvm::Twine(file.size()) +
                " bytes");
  return WeightView{*dtype, padding < 8 ? padding : 0, file.slice(at, size)};
}

WeightOpener mlir::ane::weightsBelow(llvm::StringRef folder) {
  return [folder = folder.str()](llvm::StringRef wanted)
             -> llvm::Expected<std::shared_ptr<const MappedFile>> {
    llvm::StringRef relative = wanted;
    relative.consume_front("@model_path/");
    return MappedFile::openInside(folder, relative, "the model's folder");
  };
}
