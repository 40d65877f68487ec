//===- HashTest.cpp - SHA-256 against its standard and LLVM's -------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Support/Hash.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include "gtest/gtest.h"

using namespace mlir::ane;

static std::string sum(llvm::ArrayRef<char> data, size_t piece, bool portable) {
  Hash hash(portable);
  while (!data.empty()) {
    size_t size = std::min(piece, data.size());
    hash.update(data.take_front(size));
    data = data.drop_front(size);
  }
  return hash.finish();
}

// FIPS 180-4's own example.
TEST(HashTest, KnownSum) {
  llvm::StringRef text = "abc";
  for (bool portable : {false, true})
    EXPECT_EQ(
        sum(llvm::ArrayRef<char>(text.data(), text.size()), 64, portable),
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

// Every length around the edges of blocks, in pieces of every kind.
TEST(HashTest, SameAsPortable) {
  std::vector<char> data(700);
  for (size_t i = 0; i < data.size(); ++i)
    data[i] = char(i * 37 + i / 11);
  for (size_t size = 0; size <= data.size(); ++size) {
    llvm::ArrayRef<char> part(data.data(), size);
    std::string expected = sum(part, 1000, /*portable=*/true);
    for (size_t piece : {1, 3, 55, 56, 63, 64, 65, 128, 1000})
      ASSERT_EQ(sum(part, piece, /*portable=*/false), expected)
          << size << " bytes in pieces of " << piece;
  }
}

// A mapped file that somebody removes is compared as it was mapped.
TEST(HashTest, NameOfRemovedFile) {
  std::string path = "/nowhere/"
                     "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f"
                     "20015ad.bin";
  llvm::ArrayRef<char> right("abc", 3), wrong("abd", 3);
  EXPECT_EQ(llvm::toString(checkHashName(path, right)), "");
  EXPECT_NE(llvm::toString(checkHashName(path, wrong)).find("is corrupt"),
            std::string::npos);
  EXPECT_NE(llvm::toString(checkHashName(path)).find("cannot read"),
            std::string::npos);
}
