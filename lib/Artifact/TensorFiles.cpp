//===- TensorFiles.cpp - tensors from files and from a seed ---------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Artifact/TensorFiles.h"
#include "ane-mlir/Support/AtomicPath.h"
#include "llvm/Support/Regex.h"
#include "llvm/Support/raw_ostream.h"
#include <cstring>
#include <fstream>
#include <sstream>
#include <xtensor/xnpy.hpp>

using namespace mlir::ane;

namespace {
/// What the Python literal in front of an array's data says.
struct NpyHeader {
  std::string descr;
  bool fortran = false;
  llvm::SmallVector<int64_t> shape;
};
} // namespace

/// The literal, or empty for another kind of file; the stream is then at the
/// data.
static std::string readNpyLiteral(std::ifstream &stream, uint64_t fileSize) {
  unsigned char start[12] = {};
  stream.read(reinterpret_cast<char *>(start), 10);
  if (stream.gcount() < 10 || std::memcmp(start, "\x93NUMPY", 6))
    return "";
  uint64_t length = start[8] | start[9] << 8;
  if (start[6] > 1) {
    stream.read(reinterpret_cast<char *>(start + 10), 2);
    length |= uint64_t(start[10]) << 16 | uint64_t(start[11]) << 24;
  }
  if (!stream || length > fileSize)
    return "";
  std::string literal(length, ' ');
  stream.read(literal.data(), length);
  return uint64_t(stream.gcount()) == length ? literal : "";
}

/// Why no model takes what an array holds; "" for numbers.
static std::string checkNpyKind(llvm::StringRef header) {
  auto [before, rest] = header.split("'descr'");
  llvm::StringRef type = rest.ltrim(": \"'").take_until(
      [](char c) { return c == '\'' || c == '"' || c == ','; });
  if (type.starts_with("["))
    return "holds records; save one field of them";
  char kind = type.empty()
                  ? ' '
                  : type.drop_while([](char c) {
                          return c == '<' || c == '>' || c == '|' || c == '=';
                        })
                        .take_front()
                        .str()[0];
  switch (kind) {
  case 'U':
  case 'S':
  case 'a':
    return "holds strings, which no model takes; turn them into the numbers "
           "that the model was trained on";
  case 'O':
    return "holds Python objects; save it with astype, as numbers";
  case 'M':
  case 'm':
    return "holds times; save it as numbers";
  case 'c':
    return "holds complex numbers; save real and imaginary parts";
  default:
    return "";
  }
}

static llvm::Expected<NpyHeader> parseNpyHeader(llvm::StringRef literal) {
  if (std::string problem = checkNpyKind(literal); !problem.empty())
    return llvm::createStringError(problem);
  static const llvm::Regex wanted(
      "^\\{ *'descr' *: *'([<>|=]?[a-zA-Z][a-zA-Z0-9]*)' *, *'fortran_order' "
      "*: "
      "*(True|False) *, *'shape' *: *\\(([0-9, L]*)\\) *,? *\\} *\n?$");
  llvm::SmallVector<llvm::StringRef> parts;
  if (!wanted.match(literal, &parts))
    return llvm::createStringError("is damaged, or no .npy file: its header is "
                                   "none that NumPy writes");
  NpyHeader header;
  header.descr = parts[1].str();
  header.fortran = parts[2] == "True";
  llvm::SmallVector<llvm::StringRef> dims;
  parts[3].split(dims, ',', -1, /*KeepEmpty=*/false);
  for (llvm::StringRef dim : dims) {
    dim = dim.trim(" L");
    uint64_t extent;
    if (!dim.empty())
      // What cannot be counted is refused as such.
      header.shape.push_back(dim.getAsInteger(10, extent) || extent > INT32_MAX
                                 ? -1
                                 : int64_t(extent));
  }
  return header;
}

llvm::Expected<Tensor> mlir::ane::readNpy(llvm::StringRef path) {
  std::ifstream stream(path.str(), std::ifstream::binary);
  if (!stream)
    return llvm::createStringError("cannot open '" + path + "'");
  stream.seekg(0, std::ios::end);
  const uint64_t fileSize = stream.tellg();
  stream.seekg(0);
  std::string literal = readNpyLiteral(stream, fileSize);
  if (literal.empty())
    return llvm::createStringError("'" + path + "' is no .npy file");
  llvm::Expected<NpyHeader> header = parseNpyHeader(literal);
  if (!header)
    return llvm::createStringError("'" + path + "' " +
                                   llvm::toString(header.takeError()));
  try {
    llvm::StringRef type(header->descr);
    if (type.consume_front(">"))
      return llvm::createStringError("'" + path +
                                     "' is big-endian; save it little-endian");
    std::optional<DType> dtype = lookupDTypeByNumpy(type.ltrim("<|="));
    if (!dtype)
      return llvm::createStringError("'" + path + "' has dtype '" +
                                     header->descr +
                                     "', which is not supported");
    llvm::ArrayRef<int64_t> shape = header->shape;
    std::optional<int64_t> count = countElements(shape);
    if (!count || *count > (int64_t(1) << 50))
      return llvm::createStringError("'" + path +
                                     "' has a shape beyond any file");
    if (header->fortran && shape.size() > 1)
      return llvm::createStringError(
          "'" + path +
          "' is in Fortran order; save it with numpy.ascontiguousarray");
    uint64_t size = getByteSize(*dtype, *count), at = stream.tellg();
    if (at > fileSize || size > fileSize - at)
      return llvm::createStringError(
          "'" + path + "' is truncated: its header says " + llvm::Twine(size) +
          " bytes, and " + llvm::Twine(at > fileSize ? 0 : fileSize - at) +
          " follow");
    std::vector<char> bytes(size);
    stream.read(bytes.data(), bytes.size());
    if (size_t(stream.gcount()) != bytes.size())
      return llvm::createStringError("'" + path + "' is truncated");
    return Tensor::fromBytes(*dtype, shape, bytes);
  } catch (const EvaluationError &error) {
    return llvm::createStringError("'" + path + "': " + error.message);
  } catch (const std::exception &error) {
    return llvm::createStringError("'" + path + "' is no .npy file (" +
                                   error.what() + ")");
  }
}

llvm::Error mlir::ane::writeNpy(llvm::StringRef path, llvm::StringRef shown,
                                const Tensor &tensor) {
  // NumPy has no bf16, fp8 or sub-byte integers: such values are written in the
  // next type that holds them exactly.
  Tensor stored = tensor;
  if (getInfo(tensor.dtype()).numpy.empty())
    stored = tensor.retyped(tensor.isFloat()             ? DType::Float32
                            : isUnsigned(tensor.dtype()) ? DType::UInt8
                                                         : DType::Int8);
  llvm::StringRef numpy = getInfo(stored.dtype()).numpy;
  char order = getInfo(stored.dtype()).bits == 8 ? '|' : '<';
  std::ostringstream header;
  try {
    xt::detail::write_header(
        header, order + numpy.str(), false,
        std::vector<std::size_t>(stored.shape().begin(), stored.shape().end()));
  } catch (const std::exception &error) {
    return llvm::createStringError("cannot write '" + shown +
                                   "': " + error.what());
  }
  llvm::Error result = llvm::Error::success();
  (void)writeStagedFile(
      path, shown,
      [&](llvm::raw_ostream &os) {
        std::vector<char> bytes = stored.toBytes();
        os << header.str() << llvm::StringRef(bytes.data(), bytes.size());
        return llvm::success();
      },
      [&](llvm::Error error) {
        result = llvm::joinErrors(std::move(result), std::move(error));
      });
  return result;
}

llvm::Expected<Tensor> mlir::ane::convertTensor(const Tensor &tensor, DType to,
                                                llvm::StringRef name) {
  if (tensor.dtype() == to)
    return tensor;
  Tensor result(to, tensor.shape());
  if (result.isFloat() && tensor.isFloat()) {
    llvm::copy(tensor.floats(), result.mutableFloats().begin());
    roundTo(to, result.mutableFloats());
  } else if (result.isFloat()) {
    for (auto [a, b] : llvm::zip(result.mutableFloats(), tensor.ints()))
      a = roundTo(to, float(b));
  } else {
    for (int64_t i = 0; i < tensor.size(); ++i) {
      int64_t value = tensor.isFloat() ? floatToInteger(tensor.floats()[i])
                                       : tensor.ints()[i];
      if (wrapTo(to, value) != value)
        return llvm::createStringError(
            "'" + name + "' holds " + llvm::Twine(value) +
            ", which does not fit " + getInfo(to).name);
      result.mutableInts()[i] = value;
    }
  }
  return result;
}

Tensor mlir::ane::randomTensor(DType dtype, llvm::ArrayRef<int64_t> shape,
                               std::mt19937_64 &engine) {
  Tensor tensor(dtype, shape);
  // Own mapping from bits: std distributions differ between standard libraries.
  for (int64_t i = 0; i < tensor.size(); ++i) {
    double unit = double(engine() >> 11) / double(uint64_t(1) << 53);
    if (tensor.isFloat())
      tensor.mutableFloats()[i] = roundTo(dtype, float(2 * unit - 1));
    else
      tensor.mutableInts()[i] =
          dtype == DType::Bool ? unit < 0.5 : int64_t(unit * 10);
  }
  return tensor;
}
