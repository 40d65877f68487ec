//===- Safetensors.cpp - named fp32 tensors in one file -------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Interpreter/Safetensors.h"
#include "ane-mlir/Support/MappedFile.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/MathExtras.h"
#include <tuple>

using namespace mlir;
using namespace mlir::ane;

const Tensor *NamedTensors::find(StringRef name) const {
  for (const auto &[key, tensor] : tensors)
    if (key == name)
      return &tensor;
  return nullptr;
}

void mlir::ane::writeSafetensors(llvm::raw_ostream &os,
                                 const NamedTensors &tensors) {
  std::string header;
  llvm::raw_string_ostream text(header);
  llvm::json::OStream j(text);
  uint64_t at = 0;
  j.object([&] {
    if (!tensors.metadata.empty())
      j.attributeObject("__metadata__", [&] {
        for (const auto &[key, value] : tensors.metadata)
          j.attribute(key, value);
      });
    for (const auto &[name, tensor] : tensors.tensors)
      j.attributeObject(name, [&, &tensor = tensor] {
        j.attribute("dtype", "F32");
        j.attributeArray("shape", [&] {
          for (int64_t dim : tensor.shape())
            j.value(dim);
        });
        uint64_t end = at + uint64_t(tensor.size()) * 4;
        j.attributeArray("data_offsets", [&] {
          j.value(int64_t(at));
          j.value(int64_t(end));
        });
        at = end;
      });
  });
  text.flush();
  // Data begins at a multiple of eight bytes.
  header.resize(llvm::alignTo(header.size(), 8), ' ');
  char length[8];
  llvm::support::endian::write64le(length, header.size());
  os.write(length, 8);
  os << header;
  for (const auto &[name, tensor] : tensors.tensors) {
    ArrayRef<float> values = tensor.floats();
    os.write(reinterpret_cast<const char *>(values.data()), values.size() * 4);
  }
}

static llvm::Error wrong(StringRef path, const Twine &what) {
  return llvm::createStringError("'" + path + "' " + what);
}

namespace {
/// A tensor of the header.
struct Entry {
  uint64_t begin, end;
  std::string name;
  SmallVector<int64_t> shape;
  bool operator<(const Entry &other) const {
    return std::tie(begin, end, name) <
           std::tie(other.begin, other.end, other.name);
  }
};
} // namespace

/// One entry of the header, whose bytes are within `size` ones of data.
static llvm::Expected<Entry> readEntry(StringRef path, StringRef name,
                                       const llvm::json::Object &entry,
                                       uint64_t size) {
  const llvm::json::Array *dims = entry.getArray("shape"),
                          *offsets = entry.getArray("data_offsets");
  if (entry.getString("dtype") != StringRef("F32") || !dims || !offsets ||
      offsets->size() != 2)
    return wrong(path, "holds '" + name + "', which is no F32 tensor");
  Entry found{0, 0, name.str(), {}};
  uint64_t count = 1;
  for (const llvm::json::Value &dim : *dims) {
    std::optional<int64_t> extent = dim.getAsInteger();
    if (!extent || *extent < 0 || *extent > INT32_MAX)
      return wrong(path, "gives '" + name + "' a shape that is none");
    found.shape.push_back(*extent);
    // No product of extents wraps round.
    if (*extent && count > UINT64_MAX / 4 / uint64_t(*extent))
      return wrong(path, "gives '" + name + "' a shape that is none");
    count *= uint64_t(*extent);
  }
  std::optional<int64_t> begin = (*offsets)[0].getAsInteger(),
                         end = (*offsets)[1].getAsInteger();
  if (!begin || !end || *begin < 0 || *end < *begin || uint64_t(*end) > size ||
      count > size / 4 || uint64_t(*end - *begin) != count * 4)
    return wrong(path, "is truncated: the data of '" + name +
                           "' are not where its header says");
  found.begin = uint64_t(*begin);
  found.end = uint64_t(*end);
  return found;
}

/// Deeper than any header is, a parser that calls itself would run out of
/// stack.
static bool isShallow(StringRef json) {
  int depth = 0;
  bool inString = false;
  for (size_t i = 0; i < json.size(); ++i) {
    char c = json[i];
    if (inString && c == '\\')
      ++i;
    else if (c == '"')
      inString = !inString;
    else if (!inString && (c == '{' || c == '['))
      ++depth;
    else if (!inString && (c == '}' || c == ']'))
      --depth;
    if (depth > 8)
      return false;
  }
  return true;
}

/// Tensors in the order of their data (JSON objects have none), which do not
/// overlap.
static llvm::Error readHeader(StringRef path, const llvm::json::Object &header,
                              uint64_t size, NamedTensors &found,
                              std::vector<Entry> &entries) {
  for (const auto &[key, value] : header) {
    const llvm::json::Object *entry = value.getAsObject();
    if (!entry)
      return wrong(path, "has a header that is not understood");
    if (StringRef(key) == "__metadata__") {
      for (const auto &[name, text] : *entry)
        found.metadata[StringRef(name).str()] =
            text.getAsString().value_or("").str();
      continue;
    }
    auto read = readEntry(path, key, *entry, size);
    if (!read)
      return read.takeError();
    entries.push_back(std::move(*read));
  }
  llvm::sort(entries);
  for (size_t i = 1; i < entries.size(); ++i)
    if (entries[i].begin < entries[i - 1].end)
      return wrong(path, "has the data of '" + entries[i - 1].name + "' and '" +
                             entries[i].name + "' in one place");
  return llvm::Error::success();
}

llvm::Expected<NamedTensors> mlir::ane::readSafetensors(StringRef path) {
  auto file = MappedFile::open(path);
  if (!file)
    return file.takeError();
  ArrayRef<char> bytes = (*file)->data();
  if (bytes.size() < 8)
    return wrong(path, "is too short to be a safetensors file");
  uint64_t length = llvm::support::endian::read64le(bytes.data());
  if (length > bytes.size() - 8)
    return wrong(path, "is no safetensors file, or truncated");
  StringRef text = StringRef(bytes.data() + 8, length).rtrim(' ');
  if (!isShallow(text))
    return wrong(path, "has a header that is no JSON of safetensors");
  auto header = llvm::json::parse(text);
  if (!header)
    return wrong(path, "has a header that is no JSON: " +
                           llvm::toString(header.takeError()));
  const llvm::json::Object *object = header->getAsObject();
  if (!object)
    return wrong(path, "has a header that is no object");
  NamedTensors found;
  std::vector<Entry> entries;
  ArrayRef<char> data = bytes.drop_front(8 + length);
  if (llvm::Error error =
          readHeader(path, *object, data.size(), found, entries))
    return error;
  for (const Entry &entry : entries)
    found.tensors.push_back(
        {entry.name,
         Tensor::fromBytes(DType::Float32, entry.shape,
                           data.slice(entry.begin, entry.end - entry.begin))});
  return found;
}
