//===- TensorImport.cpp - TensorProto to ElementsAttr ---------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "TensorImport.h"
#include "ane-mlir/Support/Budget.h"
#include "ane-mlir/Support/DType.h"
#include "dialects/ONNX/IR/ONNX.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/Path.h"

using namespace mlir;
using namespace mlir::ane;

/// Tensors up to this many bytes become dense attributes, which print readably
/// and fold; larger ones stay views.
static constexpr size_t kDenseBytes = 256;

static FailureOr<int64_t> readCount(ArrayRef<int64_t> dims, StringRef name,
                                    Location loc) {
  for (int64_t dim : dims)
    if (dim < 0)
      return emitError(loc)
             << "tensor '" << name
             << "' expects non-negative dimensions, but got " << dim;
  if (std::optional<int64_t> count = countElements(dims))
    return *count;
  return emitError(loc) << "tensor '" << name
                        << "' has more than 2^62 elements: [" << dims << "]";
}

static ElementsAttr makeConstant(RankedTensorType type, StringRef name,
                                 ArrayRef<char> bytes,
                                 std::shared_ptr<const void> owner) {
  DType dtype = *toDType(type.getElementType());
  if (bytes.size() <= kDenseBytes && getInfo(dtype).bits >= 8) {
    if (dtype != DType::Bool)
      return DenseElementsAttr::getFromRawBuffer(type, bytes);
    SmallVector<bool> bits;
    for (char byte : bytes)
      bits.push_back(byte != 0);
    return DenseElementsAttr::get(type, bits);
  }
  return makeResourceConstant(type, name, bytes, std::move(owner));
}

FailureOr<llvm::ArrayRef<char>>
TensorImporter::openExternal(const proto::Tensor &tensor, uint64_t size,
                             Location loc,
                             std::shared_ptr<const MappedFile> &owner) {
  auto fail = [&] {
    return emitError(loc) << "tensor '" << tensor.name << "': external data ";
  };
  StringRef location = tensor.location;
  if (location.empty())
    return fail() << "has no location";
  StringRef folder = llvm::sys::path::parent_path(file->path());
  if (llvm::Error error = checkInside(folder, location, "the model's folder",
                                      /*followLinks=*/false))
    return fail() << "location " << llvm::toString(std::move(error))
                  << "; put the file beside the model";
  uint64_t offset = 0, length = size;
  if ((!tensor.offset.empty() && tensor.offset.getAsInteger(10, offset)) ||
      (!tensor.length.empty() && tensor.length.getAsInteger(10, length)))
    return fail() << "expects decimal offset and length, but got '"
                  << tensor.offset << "' and '" << tensor.length << "'";
  if (length != size)
    return fail() << "length " << length << " does not match the " << size
                  << " bytes of its type";
  std::shared_ptr<const MappedFile> &mapped = externalFiles[location];
  if (!mapped) {
    SmallString<128> path(folder.empty() ? "." : folder);
    llvm::sys::path::append(path, location);
    auto opened = MappedFile::open(path);
    if (!opened)
      return fail() << "cannot be read: " << llvm::toString(opened.takeError());
    mapped = *opened;
  }
  if (offset > mapped->data().size() || size > mapped->data().size() - offset)
    return fail() << "[" << offset << ", " << offset + size
                  << ") lies outside '" << location << "' of "
                  << mapped->data().size() << " bytes";
  owner = mapped;
  return mapped->data().slice(offset, size);
}

ElementsAttr TensorImporter::import(llvm::StringRef message, Location loc) {
  return import(proto::Tensor::parse(message), loc);
}

ElementsAttr TensorImporter::import(const proto::Tensor &tensor, Location loc) {
  FailureOr<int64_t> count = readCount(tensor.dims, tensor.name, loc);
  if (failed(count))
    return {};
  auto fail = [&] {
    return emitError(loc) << "tensor '" << tensor.name << "' ";
  };
  if (tensor.dataType == 8) { // STRING
    if ((int64_t)tensor.strings.size() != *count)
      return fail() << "expects " << *count << " strings, but got "
                    << tensor.strings.size(),
             ElementsAttr();
    SmallVector<StringRef> strings(tensor.strings.begin(),
                                   tensor.strings.end());
    return DenseStringElementsAttr::get(
        RankedTensorType::get(tensor.dims, onnxir::StringType::get(context)),
        strings);
  }
  std::optional<DType> dtype = lookupDTypeByOnnxCode(tensor.dataType);
  if (!dtype) {
    fail() << "has data type " << tensor.dataType << ", which is not supported";
    return {};
  }
  auto type = RankedTensorType::get(tensor.dims, toMLIRType(*dtype, context));
  if (*count > (int64_t(1) << 50)) {
    fail() << "has " << *count << " elements, which no file can hold";
    return {};
  }
  uint64_t size = getByteSize(*dtype, *count);
  if (tensor.external) {
    std::shared_ptr<const MappedFile> owner;
    FailureOr<ArrayRef<char>> bytes = openExternal(tensor, size, loc, owner);
    if (failed(bytes))
      return {};
    return makeConstant(type, tensor.name, *bytes, owner);
  }
  if (tensor.hasRaw) {
    if (tensor.raw.size() != size) {
      fail() << "expects " << size << " bytes of raw data for shape ["
             << tensor.dims << "], but got " << tensor.raw.size();
      return {};
    }
    return makeConstant(type, tensor.name,
                        {tensor.raw.data(), tensor.raw.size()}, file);
  }
  // Typed fields. Types narrower than the field travel as its integers;
  // sub-byte types two or more to an element.
  std::vector<char> bytes;
  // Memory is taken once the values are there: a shape alone may say anything.
  auto expect = [&](uint64_t have, uint64_t want) -> bool {
    if (have == want) {
      bytes.resize(size);
      return true;
    }
    fail() << "expects " << want << " values for shape [" << tensor.dims
           << "], but got " << have;
    return false;
  };
  unsigned bits = getInfo(*dtype).bits;
  if (*dtype == DType::Float32) {
    if (!expect(tensor.floats.size(), *count))
      return {};
    encode(*dtype, tensor.floats, bytes);
  } else if (*dtype == DType::Float64) {
    if (!expect(tensor.doubles.size(), *count))
      return {};
    std::copy_n(reinterpret_cast<const char *>(tensor.doubles.data()), size,
                bytes.data());
  } else if (*dtype == DType::UInt32 || *dtype == DType::UInt64) {
    if (!expect(tensor.uints.size(), *count))
      return {};
    std::vector<int64_t> values(tensor.uints.begin(), tensor.uints.end());
    encode(*dtype, values, bytes);
  } else if (bits < 8) {
    // One byte of packed elements per int32.
    if (!expect(tensor.ints.size(), size))
      return {};
    for (size_t i = 0; i < size; ++i)
      bytes[i] = char(tensor.ints[i]);
  } else {
    if (!expect(tensor.ints.size(), *count))
      return {};
    // fp16 and bf16 travel as bit patterns.
    DType carrier = *dtype == DType::Bool ? DType::Bool
                    : bits == 8           ? DType::UInt8
                    : bits == 16          ? DType::UInt16
                    : bits == 32          ? DType::Int32
                                          : DType::Int64;
    encode(carrier, tensor.ints, bytes);
  }
  auto owner = std::make_shared<std::vector<char>>(std::move(bytes));
  return makeConstant(type, tensor.name, *owner, owner);
}

ElementsAttr TensorImporter::importSparse(llvm::StringRef message,
                                          Location loc) {
  proto::SparseTensor sparse = proto::SparseTensor::parse(message);
  proto::Tensor values = proto::Tensor::parse(sparse.values),
                indices = proto::Tensor::parse(sparse.indices);
  FailureOr<int64_t> count = readCount(sparse.dims, values.name, loc);
  if (failed(count))
    return {};
  auto fail = [&] {
    return emitError(loc) << "sparse tensor '" << values.name << "' ";
  };
  std::optional<DType> dtype = lookupDTypeByOnnxCode(values.dataType);
  if (!dtype || getInfo(*dtype).bits < 8) {
    fail() << "has data type " << values.dataType << ", which is not supported";
    return {};
  }
  ElementsAttr data = import(values, loc), where = import(indices, loc);
  if (!data || !where)
    return {};
  // The dense form must fit; a sparse tensor that would not is refused instead
  // of exhausting memory.
  uint64_t denseBytes =
      llvm::SaturatingMultiply<uint64_t>(*count, getInfo(*dtype).bits / 8);
  if (!MemoryBudget::fits(denseBytes)) {
    fail() << "is too large when dense: "
           << MemoryBudget::whyNot(sparse.dims, denseBytes);
    return {};
  }
  int64_t nonzero = cast<ShapedType>(data.getType()).getNumElements(),
          rank = sparse.dims.size();
  auto whereType = cast<ShapedType>(where.getType());
  bool linear = whereType.getRank() == 1;
  if (!whereType.getElementType().isInteger(64) ||
      whereType.getNumElements() != nonzero * (linear ? 1 : rank)) {
    fail() << "expects " << nonzero << " int64 indices, but got " << whereType;
    return {};
  }
  auto bytesOf = [](ElementsAttr attr) -> std::vector<char> {
    if (auto resource = dyn_cast<DenseResourceElementsAttr>(attr)) {
      ArrayRef<char> raw = resource.getRawHandle().getBlob()->getData();
      return {raw.begin(), raw.end()};
    }
    auto dense = cast<DenseElementsAttr>(attr);
    if (dense.getElementType().isInteger(1)) {
      std::vector<char> bytes;
      for (bool bit : dense.getValues<bool>())
        bytes.push_back(bit);
      return bytes;
    }
    std::vector<char> bytes(dense.getRawData().begin(),
                            dense.getRawData().end());
    if (dense.isSplat())
      for (int64_t i = 1, unit = bytes.size(); i < dense.getNumElements(); ++i)
        bytes.insert(bytes.end(), bytes.begin(), bytes.begin() + unit);
    return bytes;
  };
  std::vector<char> source = bytesOf(data), positions = bytesOf(where);
  size_t unit = getInfo(*dtype).bits / 8;
  auto owner = std::make_shared<std::vector<char>>(size_t(*count) * unit);
  for (int64_t i = 0; i < nonzero; ++i) {
    int64_t at = 0;
    for (int64_t d = 0; d < (linear ? 1 : rank); ++d) {
      int64_t index;
      std::memcpy(&index, positions.data() + (i * (linear ? 1 : rank) + d) * 8,
                  8);
      int64_t extent = linear ? *count : sparse.dims[d];
      if (index < 0 || index >= extent) {
        fail() << "has index " << index << " outside [0, " << extent << ")";
        return {};
      }
      at = linear ? index : at * extent + index;
    }
    std::memcpy(owner->data() + at * unit, source.data() + i * unit, unit);
  }
  return makeConstant(
      RankedTensorType::get(sparse.dims, toMLIRType(*dtype, context)),
      values.name, *owner, owner);
}
