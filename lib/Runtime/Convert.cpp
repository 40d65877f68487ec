//===- Convert.cpp - arrays between the user's memory and surfaces --------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// Values become what the interpreter's own tensors become on the same way
// (lib/Target/Bundle/Surface.cpp, lib/Artifact/TensorFiles.cpp): results of
// both are compared bit by bit in test/Runtime.
//
//===----------------------------------------------------------------------===//

#include "Convert.h"
#include <algorithm>
#include <cmath>
#include <cstring>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

using namespace ane::runtime;

namespace {
struct DTypeInfo {
  const char *name;
  size_t bytes;
};
} // namespace
static constexpr DTypeInfo kDTypes[] = {
    {"fp16", 2},   {"fp32", 4},   {"fp64", 8},  {"bf16", 2},  {"bool", 1},
    {"int8", 1},   {"int16", 2},  {"int32", 4}, {"int64", 8}, {"uint8", 1},
    {"uint16", 2}, {"uint32", 4}, {"uint64", 8}};

std::optional<ane_dtype> ane::runtime::lookupDType(const char *name) {
  for (size_t i = 0; i < std::size(kDTypes); ++i)
    if (!std::strcmp(kDTypes[i].name, name))
      return ane_dtype(i);
  return std::nullopt;
}
const char *ane::runtime::nameOf(ane_dtype dtype) {
  return kDTypes[dtype].name;
}
size_t ane::runtime::sizeOf(ane_dtype dtype) { return kDTypes[dtype].bytes; }
bool ane::runtime::isFloat(ane_dtype dtype) { return dtype <= ANE_BF16; }

template <typename To, typename From>
static To bitCast(From from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  std::memcpy(&to, &from, sizeof to);
  return to;
}

uint16_t ane::runtime::floatToHalf(float value) {
  uint32_t bits = bitCast<uint32_t>(value), sign = (bits >> 16) & 0x8000,
           magnitude = bits & 0x7fffffff;
  if (magnitude >= 0x7f800000) // infinity, NaN
    return sign | 0x7c00 |
           (magnitude > 0x7f800000 ? 0x200 | ((magnitude >> 13) & 0x3ff) : 0);
  if (magnitude >= 0x477ff000) // rounds to 65536 or more
    return sign | 0x7c00;
  if (magnitude < 0x38800000) // subnormal or zero: let float addition round
    return sign |
           (bitCast<uint32_t>(bitCast<float>(magnitude) + 0.5f) - 0x3f000000);
  return sign |
         ((magnitude - 0x38000000 + 0xfff + ((magnitude >> 13) & 1)) >> 13);
}

float ane::runtime::halfToFloat(uint16_t bits) {
  uint32_t sign = uint32_t(bits & 0x8000) << 16, exponent = (bits >> 10) & 31,
           mantissa = bits & 0x3ff;
  if (exponent == 31)
    return bitCast<float>(sign | 0x7f800000 | (mantissa << 13));
  if (exponent == 0) {
    float value = std::ldexp(float(mantissa), -24);
    return sign ? -value : value;
  }
  return bitCast<float>(sign | ((exponent + 112) << 23) | (mantissa << 13));
}

Layout Layout::packed(ane_dtype dtype, int64_t count) {
  uint64_t bytes = uint64_t(count) * sizeOf(dtype);
  return {dtype, {1, 1, 1, count}, {bytes, bytes, bytes}, bytes, {}};
}

std::array<int, 4> Layout::axes() const {
  std::array<int, 4> axes = {0, 1, 2, 3};
  if (isOrdered())
    std::stable_sort(axes.begin(), axes.end(),
                     [&](int a, int b) { return order[a] > order[b]; });
  return axes;
}

uint64_t Layout::offsetOf(int64_t element) const {
  std::array<int, 4> slowestFirst = axes();
  uint64_t offset = 0;
  for (int i = 4; i-- > 0;) {
    int axis = slowestFirst[i];
    offset +=
        element % view[axis] * (axis == 3 ? sizeOf(dtype) : strides[axis]);
    element /= view[axis];
  }
  return offset;
}

bool Layout::isPacked() const {
  if (isOrdered())
    return false;
  uint64_t row = view[3] * sizeOf(dtype);
  return (view[2] == 1 || strides[2] == row) &&
         (view[1] == 1 || strides[1] == row * view[2]) &&
         (view[0] == 1 || strides[0] == row * view[2] * view[1]);
}

//===----------------------------------------------------------------------===//
// Pieces of rows. Floats travel as float, integers as int64_t.
//===----------------------------------------------------------------------===//

/// Elements of a piece: small enough for the stack and the first cache.
static constexpr int64_t kPiece = 512;

#if defined(__x86_64__)
__attribute__((target("avx,f16c"))) static int64_t
fromHalves(const char *in, float *out, int64_t count) {
  int64_t i = 0;
  for (; i + 8 <= count; i += 8)
    _mm256_storeu_ps(out + i,
                     _mm256_cvtph_ps(_mm_loadu_si128(
                         reinterpret_cast<const __m128i *>(in + 2 * i))));
  return i;
}
__attribute__((target("avx,f16c"))) static int64_t
toHalves(const float *in, char *out, int64_t count) {
  int64_t i = 0;
  for (; i + 8 <= count; i += 8)
    _mm_storeu_si128(
        reinterpret_cast<__m128i *>(out + 2 * i),
        _mm256_cvtps_ph(_mm256_loadu_ps(in + i), _MM_FROUND_TO_NEAREST_INT));
  return i;
}
static bool hasHalves() {
  static const bool has =
      __builtin_cpu_supports("f16c") && __builtin_cpu_supports("avx");
  return has;
}
#elif defined(__aarch64__)
static int64_t fromHalves(const char *in, float *out, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    __fp16 half;
    std::memcpy(&half, in + 2 * i, 2);
    out[i] = float(half);
  }
  return count;
}
static int64_t toHalves(const float *in, char *out, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    __fp16 half = __fp16(in[i]);
    std::memcpy(out + 2 * i, &half, 2);
  }
  return count;
}
static bool hasHalves() { return true; }
#else
static int64_t fromHalves(const char *, float *, int64_t) { return 0; }
static int64_t toHalves(const float *, char *, int64_t) { return 0; }
static bool hasHalves() { return false; }
#endif

template <typename T>
static T load(const char *data, int64_t i) {
  T value;
  std::memcpy(&value, data + i * sizeof(T), sizeof(T));
  return value;
}
template <typename T>
static void store(char *data, int64_t i, T value) {
  std::memcpy(data + i * sizeof(T), &value, sizeof(T));
}

static float roundToBF16(float value) {
  uint32_t bits = bitCast<uint32_t>(value);
  if (std::isnan(value))
    return bitCast<float>((bits & 0xffff0000) | 0x400000);
  return bitCast<float>((bits + 0x7fff + ((bits >> 16) & 1)) & 0xffff0000);
}

static void readFloats(ane_dtype dtype, const char *in, float *out,
                       int64_t count) {
  int64_t i = 0;
  switch (dtype) {
  case ANE_FP16:
    if (hasHalves())
      i = fromHalves(in, out, count);
    for (; i < count; ++i)
      out[i] = halfToFloat(load<uint16_t>(in, i));
    return;
  case ANE_FP32:
    std::memcpy(out, in, count * sizeof(float));
    return;
  case ANE_FP64:
    for (; i < count; ++i)
      out[i] = float(load<double>(in, i));
    return;
  default:
    for (; i < count; ++i)
      out[i] = bitCast<float>(uint32_t(load<uint16_t>(in, i)) << 16);
  }
}

static void writeFloats(ane_dtype dtype, const float *in, char *out,
                        int64_t count) {
  int64_t i = 0;
  switch (dtype) {
  case ANE_FP16:
    if (hasHalves())
      i = toHalves(in, out, count);
    for (; i < count; ++i)
      store(out, i, floatToHalf(in[i]));
    return;
  case ANE_FP32:
    std::memcpy(out, in, count * sizeof(float));
    return;
  case ANE_FP64:
    for (; i < count; ++i)
      store(out, i, double(in[i]));
    return;
  default:
    for (; i < count; ++i)
      store(out, i, uint16_t(bitCast<uint32_t>(roundToBF16(in[i])) >> 16));
  }
}

/// Calls body(zero of the C++ type) for an integer dtype.
template <typename Body>
static void withInteger(ane_dtype dtype, Body body) {
  switch (dtype) {
  case ANE_INT8:
    return body(int8_t());
  case ANE_INT16:
    return body(int16_t());
  case ANE_INT32:
    return body(int32_t());
  case ANE_INT64:
    return body(int64_t());
  case ANE_UINT16:
    return body(uint16_t());
  case ANE_UINT32:
    return body(uint32_t());
  case ANE_UINT64:
    return body(uint64_t());
  default:
    return body(uint8_t());
  }
}

static void readInts(ane_dtype dtype, const char *in, int64_t *out,
                     int64_t count) {
  withInteger(dtype, [&](auto zero) {
    for (int64_t i = 0; i < count; ++i)
      out[i] = int64_t(load<decltype(zero)>(in, i));
  });
  if (dtype == ANE_BOOL)
    for (int64_t i = 0; i < count; ++i)
      out[i] = out[i] != 0;
}

static void writeInts(ane_dtype dtype, const int64_t *in, char *out,
                      int64_t count) {
  withInteger(dtype, [&](auto zero) {
    for (int64_t i = 0; i < count; ++i)
      store(out, i, decltype(zero)(in[i]));
  });
}

static int64_t wrapTo(ane_dtype dtype, int64_t value) {
  if (dtype == ANE_BOOL)
    return value & 1;
  withInteger(dtype,
              [&](auto zero) { value = int64_t(decltype(zero)(value)); });
  return value;
}

/// Towards zero, at the limits where it is beyond them, 0 for NaN.
static int64_t toInteger(float value) {
  if (!(value > -0x1p63f))
    return std::isnan(value) ? 0 : INT64_MIN;
  return value >= 0x1p63f ? INT64_MAX : int64_t(value);
}

static float roundTo(ane_dtype dtype, float value) {
  return dtype == ANE_FP16   ? halfToFloat(floatToHalf(value))
         : dtype == ANE_BF16 ? roundToBF16(value)
                             : value;
}

[[noreturn]] static void doesNotFit(const char *name, int64_t value,
                                    ane_dtype dtype) {
  fail(ANE_RUN_FAILED, "'" + std::string(name) + "' holds " +
                           std::to_string(value) + ", which does not fit " +
                           nameOf(dtype));
}

/// Integers into `to`, which must hold them, unless `wraps`: what an engine
/// program gives is wrapped, what a user gives is checked.
static void checkInts(ane_dtype to, int64_t *values, int64_t count, bool wraps,
                      const char *name) {
  for (int64_t i = 0; i < count; ++i)
    if (int64_t wrapped = wrapTo(to, values[i]); wrapped != values[i]) {
      if (!wraps)
        doesNotFit(name, values[i], to);
      values[i] = wrapped;
    }
}

/// Up to kPiece elements from packed memory to packed memory.
static void convertPiece(ane_dtype from, const char *source, ane_dtype to,
                         char *target, ane_dtype carrier, int64_t count,
                         const char *name) {
  float floats[kPiece];
  int64_t ints[kPiece];
  if (isFloat(from)) {
    readFloats(from, source, floats, count);
    if (isFloat(carrier) && isFloat(to)) {
      if (carrier != from && carrier != to &&
          (carrier == ANE_FP16 || carrier == ANE_BF16))
        for (int64_t i = 0; i < count; ++i)
          floats[i] = roundTo(carrier, floats[i]);
      return writeFloats(to, floats, target, count);
    }
    // A surface (fp16) holds a tensor of integers.
    for (int64_t i = 0; i < count; ++i)
      ints[i] = carrier == ANE_BOOL ? floats[i] != 0 : toInteger(floats[i]);
    if (!isFloat(carrier))
      checkInts(carrier, ints, count, true, name);
  } else {
    readInts(from, source, ints, count);
    if (isFloat(carrier)) {
      for (int64_t i = 0; i < count; ++i)
        floats[i] = roundTo(carrier, float(ints[i]));
      if (isFloat(to))
        return writeFloats(to, floats, target, count);
    } else {
      checkInts(carrier, ints, count, false, name);
    }
  }
  if (isFloat(to)) {
    for (int64_t i = 0; i < count; ++i)
      floats[i] = float(ints[i]);
    return writeFloats(to, floats, target, count);
  }
  checkInts(to, ints, count, false, name);
  writeInts(to, ints, target, count);
}

//===----------------------------------------------------------------------===//
// Layouts
//===----------------------------------------------------------------------===//

namespace {
/// Walks the rows of a layout; what is left of the current one.
class Rows {
public:
  Rows(const Layout &layout, char *base)
      : layout(layout), base(base), left(layout.view[3]), at(base) {
    // Rows that follow each other are one.
    if (layout.isPacked())
      left = layout.count();
  }
  int64_t available() const { return left; }
  char *position() const { return at; }
  void advance(int64_t count) {
    left -= count;
    at += count * sizeOf(layout.dtype);
    if (left)
      return;
    if (++h == layout.view[2])
      h = 0, ++c;
    if (c == layout.view[1])
      c = 0, ++n;
    left = layout.view[3];
    at = base + layout.rowOffset(n, c, h);
  }

private:
  const Layout &layout;
  char *base;
  int64_t left;
  char *at;
  int64_t n = 0, c = 0, h = 0;
};
} // namespace

/// Where one side has another order than the other, in the order of the first
/// that has one of its own.
static void convertOrdered(const Layout &from, const char *source,
                           const Layout &to, char *target, ane_dtype carrier,
                           const char *name) {
  bool byTarget = !from.isOrdered();
  const Layout &driver = byTarget ? to : from, &other = byTarget ? from : to;
  bool packed = other.isPacked(),
       same = from.dtype == to.dtype && from.dtype == carrier;
  size_t size = sizeOf(other.dtype), step = sizeOf(driver.dtype);
  char piece[kPiece * 8];
  auto convertRow = [&](int64_t first, uint64_t row) {
    for (int64_t begin = 0; begin < driver.view[3]; begin += kPiece) {
      int64_t count = std::min(kPiece, driver.view[3] - begin);
      auto forEach = [&](auto body) {
        for (int64_t i = 0; i < count; ++i) {
          int64_t element = first + (begin + i) * driver.order[3];
          body(packed ? element * size : other.offsetOf(element), i * size);
        }
      };
      uint64_t at = row + begin * step;
      if (byTarget)
        forEach([&](uint64_t there, size_t here) {
          std::memcpy(piece + here, source + there, size);
        });
      const char *in = byTarget ? piece : source + at;
      char *out = byTarget ? target + at : piece;
      if (same)
        std::memcpy(out, in, count * size);
      else
        convertPiece(from.dtype, in, to.dtype, out, carrier, count, name);
      if (!byTarget)
        forEach([&](uint64_t there, size_t here) {
          std::memcpy(target + there, piece + here, size);
        });
    }
  };
  for (int64_t n = 0; n < driver.view[0]; ++n)
    for (int64_t c = 0; c < driver.view[1]; ++c)
      for (int64_t h = 0; h < driver.view[2]; ++h)
        convertRow(n * driver.order[0] + c * driver.order[1] +
                       h * driver.order[2],
                   driver.rowOffset(n, c, h));
}

void ane::runtime::convert(const Layout &from, const void *source,
                           const Layout &to, void *target, ane_dtype carrier,
                           const char *name) {
  if (from.isOrdered() || to.isOrdered())
    return convertOrdered(from, static_cast<const char *>(source), to,
                          static_cast<char *>(target), carrier, name);
  bool same = from.dtype == to.dtype && from.dtype == carrier;
  Rows in(from, static_cast<char *>(const_cast<void *>(source))),
      out(to, static_cast<char *>(target));
  for (int64_t left = from.count(); left > 0;) {
    int64_t count = std::min(in.available(), out.available());
    if (same) {
      std::memcpy(out.position(), in.position(), count * sizeOf(from.dtype));
    } else {
      count = std::min(count, kPiece);
      convertPiece(from.dtype, in.position(), to.dtype, out.position(), carrier,
                   count, name);
    }
    in.advance(count);
    out.advance(count);
    left -= count;
  }
}

bool ane::runtime::findStrides(const std::vector<int64_t> &shape,
                               const Layout &layout,
                               std::vector<int64_t> &strides) {
  strides.assign(shape.size(), 0);
  // From the slowest axis of the array to the fastest.
  std::array<int64_t, 4> extents, steps;
  std::array<int, 4> axes = layout.axes();
  for (int i = 0; i < 4; ++i) {
    extents[i] = layout.view[axes[i]];
    steps[i] = axes[i] == 3 ? int64_t(sizeOf(layout.dtype))
                            : int64_t(layout.strides[axes[i]]);
  }
  int axis = 3;
  int64_t left = extents[3], stride = steps[3];
  for (size_t i = shape.size(); i-- > 0;) {
    while (left == 1 && axis > 0 && shape[i] > 1) {
      --axis;
      left = extents[axis];
      stride = steps[axis];
    }
    // An axis that goes over several of the layout's: they follow each other.
    while (left < shape[i] && axis > 0 && steps[axis - 1] == stride * left)
      left *= extents[--axis];
    if (left % shape[i])
      return false;
    strides[i] = stride;
    left /= shape[i];
    stride *= shape[i];
  }
  return true;
}

std::optional<Layout>
ane::runtime::layoutOfPart(ane_dtype dtype, const std::vector<int64_t> &shape,
                           const std::vector<int64_t> &strides) {
  int64_t element = int64_t(sizeOf(dtype));
  // From the innermost axis on, those that follow each other as one.
  std::vector<std::pair<int64_t, int64_t>> axes;
  for (size_t i = shape.size(); i-- > 0;) {
    if (shape[i] == 1)
      continue;
    if (!axes.empty() && strides[i] == axes.back().first * axes.back().second)
      axes.back().first *= shape[i];
    else
      axes.push_back({shape[i], strides[i]});
  }
  if (axes.empty() || axes.front().second != element)
    axes.insert(axes.begin(), {1, element});
  if (axes.size() > 4)
    return std::nullopt;
  Layout layout{dtype, {1, 1, 1, 1}, {0, 0, 0}, 0};
  for (size_t i = 0; i < axes.size(); ++i) {
    layout.view[3 - i] = axes[i].first;
    if (i)
      layout.strides[3 - i] = uint64_t(axes[i].second);
    layout.bytes += uint64_t((axes[i].first - 1) * axes[i].second);
  }
  layout.bytes += uint64_t(element);
  return layout;
}
