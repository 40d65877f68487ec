//===- TensorFiles.cpp - tensors from files and from a seed ---------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Interpreter/TensorFiles.h"
#include "ane-mlir/Support/AtomicPath.h"
#include "llvm/Support/raw_ostream.h"
#include <fstream>
#include <sstream>
#include <xtensor/xnpy.hpp>

using namespace mlir::ane;

llvm::Expected<Tensor> mlir::ane::readNpy(llvm::StringRef path) {
  std::ifstream stream(path.str(), std::ifstream::binary);
  if (!stream)
    return llvm::createStringError("cannot open '" + path + "'");
  try {
    // The header tells what the array type must be; xtensor's loader is typed,
    // so it reads the header here and the data below.
    unsigned char major, minor;
    xt::detail::read_magic(stream, &major, &minor);
    std::string header = major == 1 ? xt::detail::read_header_1_0(stream)
                                    : xt::detail::read_header_2_0(stream);
    bool fortran;
    std::vector<std::size_t> dims;
    std::string descr;
    xt::detail::parse_header(header, descr, &fortran, dims);
    llvm::StringRef type(descr);
    char order = type.empty() ? '|' : type.front();
    if (order == '>')
      return llvm::createStringError("'" + path +
                                     "' is big-endian; save it little-endian");
    std::optional<DType> dtype = lookupDTypeByNumpy(type.drop_front());
    if (!dtype)
      return llvm::createStringError("'" + path + "' has dtype '" + descr +
                                     "', which is not supported");
    llvm::SmallVector<int64_t> shape;
    uint64_t count = 1;
    for (size_t dim : dims) {
      shape.push_back(dim);
      if (dim > INT32_MAX || (count *= dim) > (uint64_t(1) << 40))
        return llvm::createStringError("'" + path +
                                       "' has a shape beyond any file");
    }
    if (fortran && shape.size() > 1)
      return llvm::createStringError(
          "'" + path +
          "' is in Fortran order; save it with numpy.ascontiguousarray");
    std::vector<char> bytes(getByteSize(*dtype, count));
    stream.read(bytes.data(), bytes.size());
    if (size_t(stream.gcount()) != bytes.size())
      return llvm::createStringError("'" + path + "' is truncated");
    return Tensor::fromBytes(*dtype, shape, bytes);
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
      int64_t value =
          tensor.isFloat() ? int64_t(tensor.floats()[i]) : tensor.ints()[i];
      if (wrapTo(to, value) != value)
        return llvm::createStringError(
            "'" + name + "' holds " + llvm::Twine(value) +
            ", which does not fit " + getInfo(to).name);
      result.mutableInts()[i] = value;
    }
  }
  return result;
}

Tensor mlir::ane::randomTensor(DType dtype, llvm::ArrayRef<int64_t> shape, std::mt19937_64 &engine) {
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
