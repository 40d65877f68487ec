//===- Tensor.cpp - concrete tensors --------------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Interpreter/Tensor.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "llvm/ADT/STLExtras.h"
#include <cmath>
#include <cstdlib>

using namespace mlir;
using namespace mlir::ane;

static int64_t product(llvm::ArrayRef<int64_t> shape) {
  int64_t count = 1;
  for (int64_t dim : shape)
    count *= dim;
  return count;
}

llvm::SmallVector<int64_t, 6>
mlir::ane::rowMajorStrides(llvm::ArrayRef<int64_t> shape) {
  llvm::SmallVector<int64_t, 6> strides(shape.size());
  int64_t stride = 1;
  for (size_t i = shape.size(); i-- > 0; stride *= shape[i])
    strides[i] = stride;
  return strides;
}

Tensor::Tensor(DType dtype, llvm::ArrayRef<int64_t> shape)
    : type(dtype), defined(true), dims(shape), count(product(shape)) {
  // calloc: large zero-filled tensors cost no memory until they are written.
  std::shared_ptr<void> storage(
      std::calloc(std::max<int64_t>(count, 1),
                  isFloat() ? sizeof(float) : sizeof(int64_t)),
      std::free);
  data = storage.get();
  if (!data)
    llvm::report_bad_alloc_error("tensor does not fit in memory");
  owner = std::move(storage);
}

Tensor Tensor::view(llvm::ArrayRef<int64_t> shape, const float *data,
                    std::shared_ptr<const void> owner) {
  Tensor tensor;
  tensor.defined = true;
  tensor.dims.assign(shape.begin(), shape.end());
  tensor.count = product(shape);
  tensor.data = data;
  tensor.owner = std::move(owner);
  return tensor;
}

Tensor Tensor::fromBytes(DType dtype, llvm::ArrayRef<int64_t> shape,
                         llvm::ArrayRef<char> packed) {
  Tensor tensor(dtype, shape);
  if (tensor.isFloat())
    decode(dtype, packed, tensor.mutableFloats());
  else
    decode(dtype, packed, tensor.mutableInts());
  return tensor;
}

FailureOr<Tensor> Tensor::fromElements(ElementsAttr elements) {
  auto type = cast<ShapedType>(elements.getType());
  std::optional<DType> dtype = toDType(type.getElementType());
  if (!dtype || !type.hasStaticShape())
    return failure();
  if (auto resource = dyn_cast<DenseResourceElementsAttr>(elements)) {
    AsmResourceBlob *blob = resource.getRawHandle().getBlob();
    if (!blob ||
        blob->getData().size() != getByteSize(*dtype, type.getNumElements()))
      return failure();
    llvm::ArrayRef<char> bytes = blob->getData();
    if (*dtype == DType::Float32 &&
        reinterpret_cast<uintptr_t>(bytes.data()) % alignof(float) == 0)
      return view(type.getShape(),
                  reinterpret_cast<const float *>(bytes.data()), nullptr);
    return fromBytes(*dtype, type.getShape(), bytes);
  }
  auto dense = dyn_cast<DenseElementsAttr>(elements);
  if (!dense)
    return failure();
  Tensor tensor(*dtype, type.getShape());
  if (tensor.isFloat()) {
    auto out = tensor.mutableFloats();
    auto convert = [](llvm::APFloat value) {
      bool loses;
      value.convert(llvm::APFloat::IEEEsingle(),
                    llvm::APFloat::rmNearestTiesToEven, &loses);
      return value.convertToFloat();
    };
    if (dense.isSplat())
      std::fill(out.begin(), out.end(),
                convert(dense.getSplatValue<llvm::APFloat>()));
    else
      for (auto [slot, value] :
           llvm::zip(out, dense.getValues<llvm::APFloat>()))
        slot = convert(value);
  } else {
    auto out = tensor.mutableInts();
    auto convert = [&](const llvm::APInt &value) {
      return wrapTo(*dtype, int64_t(value.zextOrTrunc(64).getZExtValue()));
    };
    if (dense.isSplat())
      std::fill(out.begin(), out.end(),
                convert(dense.getSplatValue<llvm::APInt>()));
    else
      for (auto [slot, value] : llvm::zip(out, dense.getValues<llvm::APInt>()))
        slot = convert(value);
  }
  return tensor;
}

Tensor Tensor::reshaped(llvm::ArrayRef<int64_t> shape) const {
  Tensor result = *this;
  result.dims.assign(shape.begin(), shape.end());
  assert(product(shape) == count && "a reshape keeps the number of elements");
  return result;
}

Tensor Tensor::retyped(DType dtype) const {
  Tensor result = *this;
  assert(ane::isFloat(dtype) == isFloat() &&
         "a retyped tensor keeps its storage");
  result.type = dtype;
  return result;
}

std::vector<char> Tensor::toBytes() const {
  std::vector<char> bytes(getByteSize(type, count));
  if (isFloat())
    encode(type, floats(), bytes);
  else
    encode(type, ints(), bytes);
  return bytes;
}

std::vector<char> Tensor::toWeightBytes() const {
  if (type != DType::Float16)
    return toBytes();
  constexpr float kLeast = 0x1p-24f;
  if (count > 0 && floats()[0] != 0 && std::fabs(floats()[0]) <= kLeast / 2 &&
      llvm::all_equal(floats())) {
    Tensor least(type, dims);
    std::fill_n(least.mutableFloats().begin(), count,
                std::copysign(kLeast, floats()[0]));
    return least.toBytes();
  }
  std::vector<char> bytes(getByteSize(type, count));
  encode(type, floats(), bytes, /*saturate=*/true);
  return bytes;
}

DenseElementsAttr Tensor::toElements(MLIRContext *context) const {
  Type element = toMLIRType(type, context);
  auto tensorType = RankedTensorType::get(dims, element);
  if (isFloat()) {
    const llvm::fltSemantics &semantics =
        cast<FloatType>(element).getFloatSemantics();
    llvm::SmallVector<llvm::APFloat> converted;
    for (float value : floats()) {
      llvm::APFloat apf(value);
      bool loses;
      apf.convert(semantics, llvm::APFloat::rmNearestTiesToEven, &loses);
      converted.push_back(apf);
    }
    return DenseElementsAttr::get(tensorType, converted);
  }
  llvm::SmallVector<llvm::APInt> values;
  unsigned width = element.getIntOrFloatBitWidth();
  for (int64_t value : ints())
    values.push_back(llvm::APInt(64, uint64_t(value)).trunc(width));
  return DenseElementsAttr::get(tensorType, values);
}
