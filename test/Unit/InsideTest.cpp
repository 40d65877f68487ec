//===- InsideTest.cpp - paths out of users' files -------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Support/MappedFile.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "gtest/gtest.h"
#include <unistd.h>

using namespace mlir::ane;

static std::string check(llvm::StringRef folder, llvm::StringRef path,
                         bool followLinks = true) {
  return llvm::toString(checkInside(folder, path, "the bundle", followLinks));
}

TEST(CheckInside, TakesWhatIsBelow) {
  EXPECT_EQ(check("/x", "weights/weight.bin"), "");
  EXPECT_EQ(check("/x", "a..b/c..bin"), "");
}

TEST(CheckInside, RefusesWhatLeaves) {
  for (llvm::StringRef path :
       {"", "/etc/passwd", "../up", "a/../../up", "a\\..\\b"})
    EXPECT_NE(check("/x", path), "") << path.str();
  EXPECT_EQ(check("/x", "../up"), "'../up' leaves the bundle");
  EXPECT_NE(check("/x", llvm::StringRef("a\0b", 3)), "");
}

TEST(CheckInside, FollowsLinksOnlyWhereToldTo) {
  llvm::SmallString<128> folder;
  ASSERT_FALSE(llvm::sys::fs::createUniqueDirectory("inside", folder));
  llvm::SmallString<128> link(folder), own(folder);
  llvm::sys::path::append(link, "out");
  llvm::sys::path::append(own, "own");
  ASSERT_EQ(symlink("/dev/null", link.c_str()), 0);
  EXPECT_EQ(check(folder, "out", /*followLinks=*/true), "");
  EXPECT_EQ(check(folder, "out", /*followLinks=*/false),
            "'out' is a link that leaves the bundle");
  EXPECT_EQ(check(folder, "own", /*followLinks=*/false), "");
  llvm::sys::fs::remove_directories(folder);
}
