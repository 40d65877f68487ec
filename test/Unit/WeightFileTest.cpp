//===- WeightFileTest.cpp - MILBlob v2 files ------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Support/WeightData.h"
#include "llvm/Support/Endian.h"
#include <gtest/gtest.h>

using namespace mlir::ane;

namespace {
struct File {
  WeightLayout layout;
  std::vector<uint64_t> offsets;
  std::string bytes;
  llvm::ArrayRef<char> view() const { return {bytes.data(), bytes.size()}; }
};

/// Two tensors: three fp16 numbers and five int4.
File makeFile() {
  File file;
  file.offsets = {file.layout.add(DType::Float16, 3),
                  file.layout.add(DType::Int4, 5)};
  llvm::raw_string_ostream os(file.bytes);
  WeightWriter writer(file.layout, os);
  const char halves[] = {0x00, 0x3c, 0x00, 0x40, 0x00, 0x42};
  const char nibbles[] = {0x21, 0x43, 0x05};
  writer.write(halves);
  writer.write(nibbles);
  return file;
}
} // namespace

TEST(WeightFile, BytesAreThoseOfTheFormat) {
  File file = makeFile();
  std::string expected(64 + 64 + 6, '\0');
  expected[0] = 2; // tensors
  expected[4] = 2; // version
  auto descriptor = [&](size_t at, uint8_t code, uint8_t size, uint8_t payload,
                        uint8_t padding) {
    expected.resize(std::max(expected.size(), at + 64), '\0');
    expected[at] = char(0xEF), expected[at + 1] = char(0xBE),
    expected[at + 2] = char(0xAD), expected[at + 3] = char(0xDE);
    expected[at + 4] = char(code), expected[at + 8] = char(size),
                  expected[at + 16] = char(payload),
                  expected[at + 24] = char(padding);
  };
  descriptor(64, 1, 6, 128, 0);
  expected.replace(128, 6, std::string("\x00\x3c\x00\x40\x00\x42", 6));
  expected.resize(192, '\0');
  descriptor(192, 8, 3, 0, 4);
  expected[192 + 16] = char(0x00), expected[192 + 17] = char(0x01); // 256
  expected += std::string("\x21\x43\x05", 3);
  EXPECT_EQ(file.offsets, (std::vector<uint64_t>{64, 192}));
  EXPECT_EQ(file.bytes, expected);
  EXPECT_EQ(file.layout.fileSize(), expected.size());
}

TEST(WeightFile, ReadsWhatItWrote) {
  File file = makeFile();
  auto weight = readWeight(file.view(), 192);
  ASSERT_TRUE(bool(weight));
  EXPECT_EQ(weight->dtype, DType::Int4);
  EXPECT_EQ(weight->paddingBits, 4u);
  EXPECT_EQ(weight->data.size(), 3u);
}

static std::string errorOf(llvm::ArrayRef<char> file, uint64_t offset) {
  auto weight = readWeight(file, offset);
  return weight ? "" : llvm::toString(weight.takeError());
}

TEST(WeightFile, RefusesWhatIsNoDescriptor) {
  File file = makeFile();
  for (uint64_t offset :
       {uint64_t(0), uint64_t(63), uint64_t(1) << 40, ~uint64_t(63)})
    EXPECT_NE(errorOf(file.view(), offset).find("behind the header"),
              std::string::npos)
        << offset;
  EXPECT_NE(errorOf(file.view(), 128).find("sentinel"), std::string::npos);
  EXPECT_NE(errorOf(file.view().take_front(258), 192).find("outside the file"),
            std::string::npos);
  file.bytes[68] = 99;
  EXPECT_NE(errorOf(file.view(), 64).find("code 99"), std::string::npos);
  file.bytes[4] = 1;
  EXPECT_NE(errorOf(file.view(), 64).find("version 2"), std::string::npos);
}

//===----------------------------------------------------------------------===//
// Files as they are met
//===----------------------------------------------------------------------===//

/// A descriptor at `offset`, with its payload at `at`.
static std::vector<char> makeWild(uint64_t offset, uint32_t code, uint64_t size,
                                  uint64_t at, llvm::StringRef payload) {
  using namespace llvm::support::endian;
  std::vector<char> bytes(offset + 64 + payload.size());
  write32le(bytes.data(), 1), write32le(bytes.data() + 4, 2);
  char *descriptor = bytes.data() + offset;
  write32le(descriptor, 0xDEADBEEF), write32le(descriptor + 4, code);
  write64le(descriptor + 8, size), write64le(descriptor + 16, at);
  llvm::copy(payload, descriptor + 64);
  return bytes;
}

static std::string readAs(llvm::ArrayRef<char> file, uint64_t offset,
                          DType dtype, uint64_t count) {
  auto data = readWeightAs(file, offset, dtype, count);
  return data ? std::string(data->begin(), data->end())
              : "error: " + llvm::toString(data.takeError());
}

TEST(WeightFile, ReadsDescriptorsAnywhere) {
  for (uint64_t offset : {64, 65, 100, 130}) {
    auto file = makeWild(offset, 1, 4, offset + 64, "abcd");
    EXPECT_EQ(readAs(file, offset, DType::Float16, 2), "abcd") << offset;
  }
}

TEST(WeightFile, ReadsBytesUnderTheCodeOfHalves) {
  auto file = makeWild(64, 1, 4, 128, "abcd");
  EXPECT_EQ(readAs(file, 64, DType::Int8, 4), "abcd");
  EXPECT_EQ(readAs(file, 64, DType::UInt4, 8), "abcd");
  // Other sizes and other codes are what they say.
  for (auto [dtype, count] : {std::pair(DType::Int8, 3),
                              {DType::Int8, 5},
                              {DType::Int16, 2},
                              {DType::Float32, 1}})
    EXPECT_NE(
        readAs(file, 64, dtype, count).find("error: holds 4 bytes of fp16"),
        std::string::npos);
  file = makeWild(64, 2, 4, 128, "abcd");
  EXPECT_NE(readAs(file, 64, DType::Int8, 4).find("error: "),
            std::string::npos);
}

TEST(WeightFile, TakesSizesFromTheConstWhereNoneAreSaid) {
  for (uint64_t at : {0, 128}) {
    auto file = makeWild(64, 1, 0, at, "abcd");
    EXPECT_EQ(readAs(file, 64, DType::Float16, 2), "abcd");
    EXPECT_NE(readAs(file, 64, DType::Float16, 3).find("error: holds 0 bytes"),
              std::string::npos);
  }
}

TEST(WeightFile, OpensOnce) {
  unsigned opened = 0;
  WeightOpener opener =
      openOnce([&](llvm::StringRef path)
                   -> llvm::Expected<std::shared_ptr<const MappedFile>> {
        ++opened;
        if (path == "absent")
          return llvm::createStringError("is not there");
        return std::shared_ptr<const MappedFile>();
      });
  for (unsigned i = 0; i < 3; ++i) {
    EXPECT_TRUE(bool(opener("a")));
    EXPECT_EQ(llvm::toString(opener("absent").takeError()), "is not there");
  }
  EXPECT_EQ(opened, 4u); // a failure is asked again
}
