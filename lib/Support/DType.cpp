//===- DType.cpp - element types ------------------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Support/DType.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/MLIRContext.h"
#include "llvm/ADT/APFloat.h"
#include "llvm/ADT/bit.h"
#include <cmath>
#include <cstring>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

using namespace mlir;
using namespace mlir::ane;

static constexpr DTypeInfo kDTypes[] = {
    {DType::Float16, "fp16", 16, 1, 10, "f2"},
    {DType::Float32, "fp32", 32, 2, 1, "f4"},
    {DType::Float64, "fp64", 64, 0, 11, "f8"},
    {DType::BFloat16, "bf16", 16, 5, 16, ""},
    {DType::Float8E4M3FN, "fp8e4m3fn", 8, 16, 17, ""},
    {DType::Float8E4M3FNUZ, "fp8e4m3fnuz", 8, 0, 18, ""},
    {DType::Float8E5M2, "fp8e5m2", 8, 17, 19, ""},
    {DType::Float8E5M2FNUZ, "fp8e5m2fnuz", 8, 0, 20, ""},
    {DType::Float8E8M0, "fp8e8m0", 8, 0, 24, ""},
    {DType::Float4E2M1, "fp4e2m1", 4, 0, 23, ""},
    {DType::Bool, "bool", 8, 0, 9, "b1"},
    {DType::Int2, "int2", 2, 0, 26, ""},
    {DType::Int4, "int4", 4, 8, 22, ""},
    {DType::Int8, "int8", 8, 4, 3, "i1"},
    {DType::Int16, "int16", 16, 6, 5, "i2"},
    {DType::Int32, "int32", 32, 14, 6, "i4"},
    {DType::Int64, "int64", 64, 0, 7, "i8"},
    {DType::UInt1, "uint1", 1, 9, 0, ""},
    {DType::UInt2, "uint2", 2, 10, 25, ""},
    {DType::UInt3, "uint3", 3, 12, 0, ""},
    {DType::UInt4, "uint4", 4, 11, 21, ""},
    {DType::UInt6, "uint6", 6, 13, 0, ""},
    {DType::UInt8, "uint8", 8, 3, 2, "u1"},
    {DType::UInt16, "uint16", 16, 7, 4, "u2"},
    {DType::UInt32, "uint32", 32, 15, 12, "u4"},
    {DType::UInt64, "uint64", 64, 0, 13, "u8"},
};

llvm::ArrayRef<DTypeInfo> mlir::ane::getDTypes() { return kDTypes; }
const DTypeInfo &mlir::ane::getInfo(DType dtype) {
  return kDTypes[unsigned(dtype)];
}

template <typename Pred>
static std::optional<DType> find(Pred pred) {
  for (const DTypeInfo &info : kDTypes)
    if (pred(info))
      return info.dtype;
  return std::nullopt;
}
std::optional<DType> mlir::ane::lookupDType(llvm::StringRef name) {
  return find([&](const DTypeInfo &info) { return info.name == name; });
}
std::optional<DType> mlir::ane::lookupDTypeByBlobCode(unsigned code) {
  return find(
      [&](const DTypeInfo &info) { return code && info.blobCode == code; });
}
std::optional<DType> mlir::ane::lookupDTypeByOnnxCode(unsigned code) {
  return find(
      [&](const DTypeInfo &info) { return code && info.onnxCode == code; });
}
std::optional<DType> mlir::ane::lookupDTypeByNumpy(llvm::StringRef descr) {
  return find([&](const DTypeInfo &info) {
    return !info.numpy.empty() && info.numpy == descr;
  });
}

bool mlir::ane::isFloat(DType dtype) { return dtype <= DType::Float4E2M1; }
bool mlir::ane::isUnsigned(DType dtype) { return dtype >= DType::UInt1; }

Type mlir::ane::toMLIRType(DType dtype, MLIRContext *context) {
  switch (dtype) {
  case DType::Float16:
    return Float16Type::get(context);
  case DType::Float32:
    return Float32Type::get(context);
  case DType::Float64:
    return Float64Type::get(context);
  case DType::BFloat16:
    return BFloat16Type::get(context);
  case DType::Float8E4M3FN:
    return Float8E4M3FNType::get(context);
  case DType::Float8E4M3FNUZ:
    return Float8E4M3FNUZType::get(context);
  case DType::Float8E5M2:
    return Float8E5M2Type::get(context);
  case DType::Float8E5M2FNUZ:
    return Float8E5M2FNUZType::get(context);
  case DType::Float8E8M0:
    return Float8E8M0FNUType::get(context);
  case DType::Float4E2M1:
    return Float4E2M1FNType::get(context);
  case DType::Bool:
    return IntegerType::get(context, 1);
  default:
    return IntegerType::get(context, getInfo(dtype).bits,
                            isUnsigned(dtype) ? IntegerType::Unsigned
                                              : IntegerType::Signless);
  }
}

std::optional<DType> mlir::ane::toDType(Type type) {
  if (type.isF16())
    return DType::Float16;
  if (type.isF32())
    return DType::Float32;
  if (type.isF64())
    return DType::Float64;
  if (type.isBF16())
    return DType::BFloat16;
  if (isa<Float8E4M3FNType>(type))
    return DType::Float8E4M3FN;
  if (isa<Float8E4M3FNUZType>(type))
    return DType::Float8E4M3FNUZ;
  if (isa<Float8E5M2Type>(type))
    return DType::Float8E5M2;
  if (isa<Float8E5M2FNUZType>(type))
    return DType::Float8E5M2FNUZ;
  if (isa<Float8E8M0FNUType>(type))
    return DType::Float8E8M0;
  if (isa<Float4E2M1FNType>(type))
    return DType::Float4E2M1;
  auto integer = dyn_cast<IntegerType>(type);
  if (!integer)
    return std::nullopt;
  if (integer.isSignless() && integer.getWidth() == 1)
    return DType::Bool;
  return find([&](const DTypeInfo &info) {
    return info.dtype > DType::Bool && info.bits == integer.getWidth() &&
           isUnsigned(info.dtype) == integer.isUnsigned();
  });
}

//===----------------------------------------------------------------------===//
// Conversion of values
//===----------------------------------------------------------------------===//

uint16_t mlir::ane::floatToHalf(float value) {
  uint32_t bits = llvm::bit_cast<uint32_t>(value), sign = (bits >> 16) & 0x8000,
           magnitude = bits & 0x7fffffff;
  if (magnitude >= 0x7f800000) // infinity, NaN
    return sign | 0x7c00 |
           (magnitude > 0x7f800000 ? 0x200 | ((magnitude >> 13) & 0x3ff) : 0);
  if (magnitude >= 0x477ff000) // rounds to 65536 or more
    return sign | 0x7c00;
  if (magnitude < 0x38800000) { // subnormal or zero: let float addition round
    float shifted = llvm::bit_cast<float>(magnitude) + 0.5f;
    return sign | (llvm::bit_cast<uint32_t>(shifted) - 0x3f000000);
  }
  return sign |
         ((magnitude - 0x38000000 + 0xfff + ((magnitude >> 13) & 1)) >> 13);
}

float mlir::ane::halfToFloat(uint16_t bits) {
  uint32_t sign = uint32_t(bits & 0x8000) << 16, exponent = (bits >> 10) & 31,
           mantissa = bits & 0x3ff;
  if (exponent == 31)
    return llvm::bit_cast<float>(sign | 0x7f800000 | (mantissa << 13));
  if (exponent == 0) {
    float value = std::ldexp(float(mantissa), -24);
    return sign ? -value : value;
  }
  return llvm::bit_cast<float>(sign | ((exponent + 112) << 23) |
                               (mantissa << 13));
}

static const llvm::fltSemantics &semanticsOf(DType dtype) {
  switch (dtype) {
  case DType::BFloat16:
    return llvm::APFloat::BFloat();
  case DType::Float8E4M3FN:
    return llvm::APFloat::Float8E4M3FN();
  case DType::Float8E4M3FNUZ:
    return llvm::APFloat::Float8E4M3FNUZ();
  case DType::Float8E5M2:
    return llvm::APFloat::Float8E5M2();
  case DType::Float8E5M2FNUZ:
    return llvm::APFloat::Float8E5M2FNUZ();
  case DType::Float8E8M0:
    return llvm::APFloat::Float8E8M0FNU();
  case DType::Float4E2M1:
    return llvm::APFloat::Float4E2M1FN();
  case DType::Float16:
    return llvm::APFloat::IEEEhalf();
  default:
    return llvm::APFloat::IEEEsingle();
  }
}

static uint64_t smallFloatBits(DType dtype, float value) {
  llvm::APFloat apf(value);
  bool loses;
  apf.convert(semanticsOf(dtype), llvm::APFloat::rmNearestTiesToEven, &loses);
  return apf.bitcastToAPInt().getZExtValue();
}
static float smallFloatFromBits(DType dtype, uint64_t bits) {
  llvm::APFloat apf(semanticsOf(dtype), llvm::APInt(getInfo(dtype).bits, bits));
  return apf.convertToFloat();
}

// The hardware's conversions do eight at a time and round the same way; the
// portable code is the reference and the tail.
#if defined(__x86_64__)
__attribute__((target("avx,f16c"))) static size_t
halvesToFloatsF16C(const char *data, float *out, size_t count) {
  size_t i = 0;
  for (; i + 8 <= count; i += 8)
    _mm256_storeu_ps(out + i,
                     _mm256_cvtph_ps(_mm_loadu_si128(
                         reinterpret_cast<const __m128i *>(data + 2 * i))));
  return i;
}
__attribute__((target("avx,f16c"))) static size_t
floatsToHalvesF16C(const float *in, char *out, size_t count, float limit) {
  size_t i = 0;
  // Saturation leaves infinities and NaN alone: only finite values beyond the
  // limit are clamped.
  __m256 top = _mm256_set1_ps(limit), bottom = _mm256_set1_ps(-limit),
         infinity = _mm256_set1_ps(INFINITY);
  __m256 magnitude = _mm256_castsi256_ps(_mm256_set1_epi32(0x7fffffff));
  for (; i + 8 <= count; i += 8) {
    __m256 value = _mm256_loadu_ps(in + i);
    __m256 clamped = _mm256_max_ps(_mm256_min_ps(value, top), bottom);
    __m256 finite =
        _mm256_cmp_ps(_mm256_and_ps(value, magnitude), infinity, _CMP_LT_OQ);
    value = _mm256_blendv_ps(value, clamped, finite);
    _mm_storeu_si128(reinterpret_cast<__m128i *>(out + 2 * i),
                     _mm256_cvtps_ph(value, _MM_FROUND_TO_NEAREST_INT));
  }
  return i;
}
static bool hasF16C() {
  static const bool has =
      __builtin_cpu_supports("f16c") && __builtin_cpu_supports("avx");
  return has;
}
#else
static bool hasF16C() { return false; }
static size_t halvesToFloatsF16C(const char *, float *, size_t) { return 0; }
static size_t floatsToHalvesF16C(const float *, char *, size_t, float) {
  return 0;
}
#endif

template <typename T>
static T load(const char *data, size_t i) {
  T value;
  std::memcpy(&value, data + i * sizeof(T), sizeof(T));
  return value;
}
template <typename T>
static void store(char *data, size_t i, T value) {
  std::memcpy(data + i * sizeof(T), &value, sizeof(T));
}
/// Bits [i*n, (i+1)*n) of a little-endian bit stream; n <= 8.
static unsigned loadBits(llvm::ArrayRef<char> data, size_t i, unsigned n) {
  size_t bit = i * n, byte = bit / 8, shift = bit % 8;
  unsigned value = uint8_t(data[byte]);
  if (shift + n > 8)
    value |= unsigned(uint8_t(data[byte + 1])) << 8;
  return (value >> shift) & ((1u << n) - 1);
}
static void storeBits(llvm::MutableArrayRef<char> data, size_t i, unsigned n,
                      unsigned value) {
  size_t bit = i * n, byte = bit / 8, shift = bit % 8;
  value = (value & ((1u << n) - 1)) << shift;
  data[byte] |= char(value);
  if (shift + n > 8)
    data[byte + 1] |= char(value >> 8);
}

void mlir::ane::decode(DType dtype, llvm::ArrayRef<char> data,
                       llvm::MutableArrayRef<float> out) {
  size_t i = 0;
  switch (dtype) {
  case DType::Float32:
    std::copy_n(data.data(), out.size() * 4,
                reinterpret_cast<char *>(out.data()));
    return;
  case DType::Float16:
    if (hasF16C())
      i = halvesToFloatsF16C(data.data(), out.data(), out.size());
    for (; i < out.size(); ++i)
      out[i] = halfToFloat(load<uint16_t>(data.data(), i));
    return;
  case DType::BFloat16:
    for (; i < out.size(); ++i)
      out[i] =
          llvm::bit_cast<float>(uint32_t(load<uint16_t>(data.data(), i)) << 16);
    return;
  case DType::Float64:
    for (; i < out.size(); ++i)
      out[i] = float(load<double>(data.data(), i));
    return;
  default: {
    float table[256];
    unsigned bits = getInfo(dtype).bits;
    for (unsigned code = 0; code < (1u << bits); ++code)
      table[code] = smallFloatFromBits(dtype, code);
    for (; i < out.size(); ++i)
      out[i] = table[loadBits(data, i, bits)];
  }
  }
}

void mlir::ane::decode(DType dtype, llvm::ArrayRef<char> data,
                       llvm::MutableArrayRef<int64_t> out) {
  auto as = [&](auto zero) {
    for (size_t i = 0; i < out.size(); ++i)
      out[i] = int64_t(load<decltype(zero)>(data.data(), i));
  };
  switch (dtype) {
  case DType::Bool:
    for (size_t i = 0; i < out.size(); ++i)
      out[i] = data[i] != 0;
    return;
  case DType::Int8:
    return as(int8_t());
  case DType::Int16:
    return as(int16_t());
  case DType::Int32:
    return as(int32_t());
  case DType::Int64:
  case DType::UInt64:
    return as(int64_t());
  case DType::UInt8:
    return as(uint8_t());
  case DType::UInt16:
    return as(uint16_t());
  case DType::UInt32:
    return as(uint32_t());
  default: {
    unsigned bits = getInfo(dtype).bits;
    for (size_t i = 0; i < out.size(); ++i)
      out[i] = wrapTo(dtype, loadBits(data, i, bits));
  }
  }
}

void mlir::ane::encode(DType dtype, llvm::ArrayRef<float> in,
                       llvm::MutableArrayRef<char> out, bool saturate) {
  size_t i = 0;
  switch (dtype) {
  case DType::Float32:
    std::copy_n(reinterpret_cast<const char *>(in.data()), in.size() * 4,
                out.data());
    return;
  case DType::Float64:
    for (; i < in.size(); ++i)
      store<double>(out.data(), i, in[i]);
    return;
  case DType::Float16: {
    float limit = saturate ? 65504.0f : INFINITY;
    if (hasF16C())
      i = floatsToHalvesF16C(in.data(), out.data(), in.size(), limit);
    for (; i < in.size(); ++i) {
      float value = in[i];
      if (std::isfinite(value))
        value = std::fmin(std::fmax(value, -limit), limit);
      store<uint16_t>(out.data(), i, floatToHalf(value));
    }
    return;
  }
  case DType::BFloat16:
    for (; i < in.size(); ++i)
      store<uint16_t>(out.data(), i, smallFloatBits(dtype, in[i]));
    return;
  default:
    std::memset(out.data(), 0, out.size());
    for (; i < in.size(); ++i)
      storeBits(out, i, getInfo(dtype).bits, smallFloatBits(dtype, in[i]));
  }
}

void mlir::ane::encode(DType dtype, llvm::ArrayRef<int64_t> in,
                       llvm::MutableArrayRef<char> out) {
  auto as = [&](auto zero) {
    for (size_t i = 0; i < in.size(); ++i)
      store(out.data(), i, decltype(zero)(in[i]));
  };
  switch (dtype) {
  case DType::Bool:
    for (size_t i = 0; i < in.size(); ++i)
      out[i] = in[i] != 0;
    return;
  case DType::Int8:
  case DType::UInt8:
    return as(uint8_t());
  case DType::Int16:
  case DType::UInt16:
    return as(uint16_t());
  case DType::Int32:
  case DType::UInt32:
    return as(uint32_t());
  case DType::Int64:
  case DType::UInt64:
    return as(uint64_t());
  default:
    std::memset(out.data(), 0, out.size());
    for (size_t i = 0; i < in.size(); ++i)
      storeBits(out, i, getInfo(dtype).bits, unsigned(in[i]));
  }
}

float mlir::ane::roundTo(DType dtype, float value) {
  switch (dtype) {
  case DType::Float32:
  case DType::Float64:
    return value;
  case DType::Float16:
    return halfToFloat(floatToHalf(value));
  default:
    return smallFloatFromBits(dtype, smallFloatBits(dtype, value));
  }
}

/// As floatToHalf and halfToFloat, without branches, so that loops over it
/// become vector instructions.
static float roundToHalf(float value) {
  uint32_t bits = llvm::bit_cast<uint32_t>(value), sign = bits & 0x80000000,
           size = bits ^ sign;
  uint32_t normal = (size + 0xfff + ((size >> 13) & 1)) & 0xffffe000;
  normal = size >= 0x477ff000 ? 0x7f800000 : normal;
  float small = llvm::bit_cast<float>(size < 0x38800000 ? size : 0);
  small = (small + 0.5f) - 0.5f;
  uint32_t result =
      size < 0x38800000 ? llvm::bit_cast<uint32_t>(small) : normal;
  result = size > 0x7f800000 ? (size | 0x400000) & 0xffffe000 : result;
  return llvm::bit_cast<float>(result | sign);
}

void mlir::ane::roundTo(DType dtype, llvm::MutableArrayRef<float> values) {
  if (dtype == DType::Float32 || dtype == DType::Float64)
    return;
  if (dtype == DType::Float16) {
    for (float &value : values)
      value = roundToHalf(value);
    return;
  }
  for (float &value : values)
    value = roundTo(dtype, value);
}

int64_t mlir::ane::wrapTo(DType dtype, int64_t value) {
  switch (dtype) {
  case DType::Bool:
    return value != 0;
  case DType::Int64:
  case DType::UInt64:
    return value;
  default: {
    unsigned bits = getInfo(dtype).bits;
    uint64_t low = uint64_t(value) & ((uint64_t(1) << bits) - 1);
    if (!isUnsigned(dtype) && (low >> (bits - 1)))
      low |= ~((uint64_t(1) << bits) - 1);
    return int64_t(low);
  }
  }
}
