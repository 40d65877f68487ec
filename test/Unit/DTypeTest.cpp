//===- DTypeTest.cpp - element types --------------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Support/DType.h"
#include "llvm/ADT/APFloat.h"
#include <cmath>
#include <gtest/gtest.h>

using namespace mlir::ane;

static uint16_t halfByAPFloat(float value) {
  llvm::APFloat apf(value);
  bool loses;
  apf.convert(llvm::APFloat::IEEEhalf(), llvm::APFloat::rmNearestTiesToEven,
              &loses);
  return apf.bitcastToAPInt().getZExtValue();
}

TEST(DType, TableIsIndexedByItself) {
  for (const DTypeInfo &info : getDTypes()) {
    EXPECT_EQ(&getInfo(info.dtype), &info);
    EXPECT_EQ(lookupDType(info.name), info.dtype);
    if (info.blobCode) {
      EXPECT_EQ(lookupDTypeByBlobCode(info.blobCode), info.dtype);
    }
    if (info.onnxCode) {
      EXPECT_EQ(lookupDTypeByOnnxCode(info.onnxCode), info.dtype);
    }
  }
}

TEST(DType, EveryHalfSurvives) {
  for (unsigned bits = 0; bits < 65536; ++bits) {
    float value = halfToFloat(bits);
    if (!std::isnan(value)) {
      EXPECT_EQ(floatToHalf(value), bits);
    }
  }
}

TEST(DType, FloatToHalfRoundsLikeAPFloat) {
  // Steps through all exponents; the odd stride hits ties and their neighbours.
  for (uint64_t bits = 0; bits < 0x100000000; bits += 65519) {
    float value;
    uint32_t word = uint32_t(bits);
    std::memcpy(&value, &word, 4);
    if (!std::isnan(value)) {
      EXPECT_EQ(floatToHalf(value), halfByAPFloat(value)) << value;
    }
  }
  for (float tie : {65519.99f, 65520.0f, 1.00048828125f, 1.0014648f,
                    5.9604645e-8f, 2.9802322e-8f, 2.98023224e-8f})
    EXPECT_EQ(floatToHalf(tie), halfByAPFloat(tie)) << tie;
}

TEST(DType, BulkRoundingMatchesScalar) {
  std::vector<float> values, rounded;
  for (uint64_t bits = 0; bits < 0x100000000; bits += 8191) {
    float value;
    uint32_t word = uint32_t(bits);
    std::memcpy(&value, &word, 4);
    values.push_back(value);
  }
  rounded = values;
  roundTo(DType::Float16, rounded);
  for (auto [value, actual] : llvm::zip(values, rounded)) {
    float expected = halfToFloat(floatToHalf(value));
    EXPECT_EQ(std::memcmp(&expected, &actual, 4), 0) << value;
  }
}

TEST(DType, BulkConversionMatchesScalar) {
  std::vector<float> values;
  for (int i = 0; i < 1003; ++i) // no multiple of the vector width
    values.push_back(std::ldexp(float(i * 7919 % 2048 - 1024), i % 40 - 25));
  std::vector<char> bytes(getByteSize(DType::Float16, values.size()));
  encode(DType::Float16, values, bytes);
  for (size_t i = 0; i < values.size(); ++i) {
    uint16_t half;
    std::memcpy(&half, &bytes[2 * i], 2);
    EXPECT_EQ(half, floatToHalf(values[i])) << values[i];
  }
}

TEST(DType, SaturationLeavesInfinityAlone) {
  std::vector<float> values(9, 1e30f);
  values[1] = -1e30f;
  values[2] = INFINITY;
  values[8] = -INFINITY;
  std::vector<char> bytes(18);
  encode(DType::Float16, values, bytes, /*saturate=*/true);
  std::vector<float> back(9);
  decode(DType::Float16, bytes, llvm::MutableArrayRef<float>(back));
  EXPECT_EQ(back[0], 65504.0f);
  EXPECT_EQ(back[1], -65504.0f);
  EXPECT_EQ(back[2], INFINITY);
  EXPECT_EQ(back[8], -INFINITY);
}

TEST(DType, SubByteTypesPackLowBitsFirst) {
  std::vector<int64_t> values = {1, -2, 7, -8, 3};
  std::vector<char> bytes(getByteSize(DType::Int4, values.size()));
  encode(DType::Int4, values, bytes);
  EXPECT_EQ(bytes, (std::vector<char>{char(0xE1), char(0x87), char(0x03)}));
  std::vector<int64_t> back(5);
  decode(DType::Int4, bytes, llvm::MutableArrayRef<int64_t>(back));
  EXPECT_EQ(back, values);
  // Three bits straddle bytes.
  values = {5, 2, 7, 0, 1};
  bytes.assign(getByteSize(DType::UInt3, 5), 0);
  encode(DType::UInt3, values, bytes);
  back.assign(5, 0);
  decode(DType::UInt3, bytes, llvm::MutableArrayRef<int64_t>(back));
  EXPECT_EQ(back, values);
}
