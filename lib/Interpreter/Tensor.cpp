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
#include <mutex>

using namespace mlir;
using namespace mlir::ane;

/// Elements of a shape that has memory or is to get it.
static int64_t product(llvm::ArrayRef<int64_t> shape) {
  std::optional<int64_t> count = countElements(shape);
  if (!count)
    throw EvaluationError{MemoryBudget::whyNot(shape, std::nullopt)};
  return *count;
}

int64_t mlir::ane::floatToInteger(double value) {
  if (!(value > -0x1p63))
    return std::isnan(value) ? 0 : INT64_MIN;
  return value >= 0x1p63 ? INT64_MAX : int64_t(value);
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
    : type(dtype), defined(true), floating(ane::isFloat(dtype)), dims(shape) {
  std::shared_ptr<void> storage =
      MemoryBudget::take(shape, floating ? sizeof(float) : sizeof(int64_t));
  count = product(shape);
  data = storage.get();
  owner = std::move(storage);
}

/// Conversions of one tensor that several threads read.
static std::mutex &conversionMutex() {
  static std::mutex mutex;
  return mutex;
}
const Tensor &Tensor::decodedOnce() const {
  std::lock_guard<std::mutex> lock(conversionMutex());
  if (!decoded)
    decoded = std::make_shared<Tensor>(unpacked());
  return *decoded;
}
llvm::ArrayRef<float> Tensor::convertedFloats() const {
  if (packed)
    return decodedOnce().floats();
  std::lock_guard<std::mutex> lock(conversionMutex());
  if (!converted) {
    auto memory = MemoryBudget::take(dims, sizeof(float));
    llvm::transform(llvm::ArrayRef(static_cast<const int64_t *>(data), count),
                    static_cast<float *>(memory.get()),
                    [](int64_t value) { return float(value); });
    converted = memory;
  }
  return {static_cast<const float *>(converted.get()), size_t(count)};
}
llvm::ArrayRef<int64_t> Tensor::convertedInts() const {
  if (packed)
    return decodedOnce().ints();
  std::lock_guard<std::mutex> lock(conversionMutex());
  if (!converted) {
    auto memory = MemoryBudget::take(dims, sizeof(int64_t));
    llvm::transform(llvm::ArrayRef(static_cast<const float *>(data), count),
                    static_cast<int64_t *>(memory.get()),
                    [](float value) { return floatToInteger(value); });
    converted = memory;
  }
  return {static_cast<const int64_t *>(converted.get()), size_t(count)};
}

double Tensor::number() const {
  if (!count)
    throw EvaluationError{"expects a number, but got an empty tensor"};
  return floating ? double(floats().front()) : double(ints().front());
}
int64_t Tensor::integer() const {
  if (!count)
    throw EvaluationError{"expects a number, but got an empty tensor"};
  return floating ? floatToInteger(floats().front()) : ints().front();
}
void Tensor::throwKind() const {
  throw EvaluationError{("expects " +
                         llvm::Twine(floating ? "integers" : "floats") +
                         ", but got " + getInfo(type).name)
                            .str()};
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

Tensor Tensor::viewBytes(DType dtype, llvm::ArrayRef<int64_t> shape,
                         llvm::ArrayRef<char> packed,
                         std::shared_ptr<const void> owner) {
  Tensor tensor;
  tensor.type = dtype;
  tensor.defined = tensor.packed = true;
  tensor.floating = ane::isFloat(dtype);
  tensor.dims.assign(shape.begin(), shape.end());
  tensor.count = product(shape);
  assert(packed.size() == getByteSize(dtype, tensor.count) &&
         "bytes are of another shape");
  tensor.data = packed.data();
  tensor.owner = std::move(owner);
  return tensor;
}

Tensor Tensor::unpacked() const {
  if (!packed)
    return *this;
  Tensor result = fromBytes(
      type, dims, {static_cast<const char *>(data), getByteSize(type, count)});
  result.forms = forms;
  return result;
}

llvm::ArrayRef<char> Tensor::packedBytes() const {
  // Bits behind the last element, and truth that is no 1, are written anew.
  unsigned bits = getInfo(type).bits;
  if (type == DType::Bool || count * bits % 8)
    return {};
  size_t size = getByteSize(type, count);
  bool native = type == DType::Float32 || type == DType::Int64;
  return packed || native
             ? llvm::ArrayRef(static_cast<const char *>(data), size)
             : llvm::ArrayRef<char>();
}

bool Tensor::canSlice() const { return !packed || getInfo(type).bits % 8 == 0; }

Tensor Tensor::slice(int64_t begin, llvm::ArrayRef<int64_t> shape) const {
  Tensor result = *this;
  result.dims.assign(shape.begin(), shape.end());
  result.count = product(shape);
  if (begin < 0 || result.count > count - begin)
    throw EvaluationError{"expects a slice within its operand"};
  size_t width = packed ? getInfo(type).bits / 8
                        : (floating ? sizeof(float) : sizeof(int64_t));
  result.data = static_cast<const char *>(data) + begin * width;
  result.converted = nullptr;
  result.decoded = nullptr;
  result.forms = nullptr;
  return result;
}

std::shared_ptr<const void> TensorForms::find(const Key &key) const {
  std::lock_guard<std::mutex> lock(mutex);
  auto it = forms.find(key);
  return it == forms.end() ? nullptr : it->second;
}
void TensorForms::add(const Key &key, std::shared_ptr<const void> form) {
  std::lock_guard<std::mutex> lock(mutex);
  forms.try_emplace(key, std::move(form));
}

/// Elements from which on constants stay packed.
static constexpr int64_t kManyElements = 4096;

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
    // Of a file that is mapped: decoded where an op computes with it.
    if (type.getNumElements() >= kManyElements && *dtype != DType::Float32)
      return viewBytes(*dtype, type.getShape(), bytes, nullptr);
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
  if (product(shape) != count)
    throw EvaluationError{"expects a reshape to keep the number of elements"};
  return result;
}

Tensor Tensor::retyped(DType dtype) const {
  if (packed && dtype == type)
    return *this;
  Tensor result = unpacked();
  result.requireKind(ane::isFloat(dtype));
  result.type = dtype;
  return result;
}

std::vector<char> Tensor::toBytes() const {
  if (llvm::ArrayRef<char> bytes = packedBytes(); packed && !bytes.empty())
    return {bytes.begin(), bytes.end()};
  std::vector<char> bytes(getByteSize(type, count));
  if (isFloat())
    encode(type, floats(), bytes);
  else
    encode(type, ints(), bytes);
  return bytes;
}

std::vector<char> Tensor::toWeightBytes() const {
  if (type != DType::Float16 || packed)
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
  // The packed bytes are what the attribute holds; numbers of any width would
  // take many times as much on the way.
  if (count > 64 && getInfo(type).bits >= 8 && type != DType::Bool)
    return DenseElementsAttr::getFromRawBuffer(tensorType, toBytes());
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
