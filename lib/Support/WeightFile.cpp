//===- WeightFile.cpp - MILBlob v2 weight files ---------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Support/WeightData.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/MathExtras.h"
#include <mutex>

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
  // Writers align descriptors; readers go where the text points.
  if (offset < kAlign || offset > file.size() || file.size() - offset < kAlign)
    return fail("expects an offset behind the header, within the " +
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

llvm::Expected<llvm::ArrayRef<char>>
mlir::ane::readWeightAs(llvm::ArrayRef<char> file, uint64_t offset, DType dtype,
                        uint64_t count) {
  auto view = readWeight(file, offset);
  if (!view)
    return view.takeError();
  uint64_t wanted = getByteSize(dtype, count);
  bool codeOfHalf = view->dtype == DType::Float16 && getInfo(dtype).bits <= 8;
  if (view->data.size() == wanted && (view->dtype == dtype || codeOfHalf))
    return view->data;
  // Where nothing is said of the payload, it follows.
  uint64_t at = offset + kAlign;
  const char *descriptor = file.data() + offset;
  if (!endian::read64le(descriptor + 8) && view->dtype == dtype &&
      (!endian::read64le(descriptor + 16) ||
       endian::read64le(descriptor + 16) == at) &&
      wanted <= file.size() - at)
    return file.slice(at, wanted);
  return llvm::createStringError(
      "holds " + llvm::Twine(view->data.size()) + " bytes of " +
      getInfo(view->dtype).name + ", but the const declares " +
      getInfo(dtype).name + " of " + llvm::Twine(count) + " elements");
}

WeightOpener mlir::ane::openOnce(WeightOpener opener) {
  struct Opened {
    std::mutex mutex;
    llvm::StringMap<std::shared_ptr<const MappedFile>> files;
  };
  return [opener = std::move(opener),
          opened = std::make_shared<Opened>()](llvm::StringRef wanted)
             -> llvm::Expected<std::shared_ptr<const MappedFile>> {
    std::lock_guard<std::mutex> guard(opened->mutex);
    auto known = opened->files.find(wanted);
    if (known != opened->files.end())
      return known->second;
    auto file = opener(wanted);
    if (file)
      opened->files[wanted] = *file;
    return file;
  };
}

WeightOpener mlir::ane::weightsBelow(llvm::StringRef folder) {
  return openOnce([folder = folder.str()](llvm::StringRef wanted)
                      -> llvm::Expected<std::shared_ptr<const MappedFile>> {
    llvm::StringRef relative = wanted;
    relative.consume_front("@model_path/");
    return MappedFile::openInside(folder, relative, "the model's folder");
  });
}
