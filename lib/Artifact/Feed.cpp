//===- Feed.cpp - a user's arrays into and out of an artifact -------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Artifact/Feed.h"
#include "ane-mlir/Artifact/Compare.h"
#include "ane-mlir/Artifact/TensorFiles.h"
#include "dialects/MIL/IR/Names.h"
#include <cmath>

using namespace mlir;
using namespace mlir::ane;

static llvm::Error wrong(const Twine &message) {
  return llvm::createStringError(message);
}

const Port *mlir::ane::findPort(ArrayRef<Port> ports, StringRef name) {
  for (const Port &port : ports)
    if (port.name == name)
      return &port;
  for (const Port &port : ports)
    if (port.alias == name)
      return &port;
  std::string identifier = mil::makeIdentifier(name);
  const Port *found = nullptr;
  for (const Port &port : ports)
    if (StringRef(port.name).rtrim('_') == StringRef(identifier).rtrim('_')) {
      if (found)
        return nullptr;
      found = &port;
    }
  return found;
}

llvm::Error mlir::ane::checkDType(const Tensor &tensor, const Port &port,
                                  StringRef source, StringRef remedy) {
  DType from = tensor.dtype(), to = port.dtype;
  if (from == to || from == port.carrier)
    return llvm::Error::success();
  auto refuse = [&](const Twine &why) {
    return wrong("input '" + port.name + "' expects " + getInfo(to).name +
                 ", but " + source + " has " + getInfo(from).name + why + "; " +
                 remedy);
  };
  if (tensor.isFloat() && !isFloat(to))
    for (float value : tensor.floats())
      if (value != std::trunc(value))
        return refuse(" with fractions");
  if (!tensor.isFloat() && isFloat(to))
    for (int64_t value : tensor.ints())
      if (int64_t(roundTo(to, float(value))) != value)
        return refuse(" that it does not hold exactly");
  if (to == DType::Bool)
    for (int64_t value : tensor.ints())
      if (value != 0 && value != 1)
        return refuse(" other than 0 and 1");
  return llvm::Error::success();
}

llvm::Expected<Tensor> mlir::ane::carry(const Port &port, Tensor tensor) {
  // A scalar is an array of one element in a package.
  if (tensor.rank() == 0 && port.shape == SmallVector<int64_t>{1})
    tensor = tensor.reshaped(port.shape);
  if (tensor.shape() != ArrayRef<int64_t>(port.shape))
    return wrong("input '" + port.name + "' expects shape [" +
                 shapeText(port.shape) + "], but got [" +
                 shapeText(tensor.shape()) + "]");
  auto carried = convertTensor(tensor, port.carrier, port.name);
  if (!carried)
    return wrong("input " + llvm::toString(carried.takeError()));
  return carried;
}

Tensor mlir::ane::leftOut(const Port &port) {
  Tensor tensor(port.dtype, port.shape);
  for (int64_t i = 0; i < tensor.size(); ++i)
    if (tensor.isFloat())
      tensor.mutableFloats()[i] = float(*port.fallback);
    else
      tensor.mutableInts()[i] = int64_t(*port.fallback);
  return tensor;
}

llvm::Error mlir::ane::convertResults(ArrayRef<Port> ports,
                                      MutableArrayRef<Tensor> results) {
  for (auto [port, result] : llvm::zip(ports, results)) {
    auto converted = convertTensor(result, port.dtype, port.name);
    if (!converted)
      return wrong("output " + llvm::toString(converted.takeError()));
    result = *converted;
  }
  return llvm::Error::success();
}
