//===- Fuzz.h - what the fuzz targets share -------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// A target gets bytes and hands them to a reader as a user's file. It may be
// refused, with at least one error that has a place; whatever else happens (a
// crash, a refusal without a word, too much time or memory) is a finding.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_TEST_FUZZ_FUZZ_H
#define ANEMLIR_TEST_FUZZ_FUZZ_H

#include "ane-mlir/Artifact/Artifact.h"
#include "ane-mlir/Compiler/InitAll.h"
#include <string>

namespace mlir::ane::fuzz {

/// A context that keeps what is said instead of printing it.
class Listener {
public:
  Listener();
  MLIRContext *operator&() { return &context; }
  MLIRContext *operator->() { return &context; }
  /// A finding unless an error was said, and each with a place.
  void expectError();

private:
  MLIRContext context;
  std::vector<std::string> placeless;
  unsigned errors = 0;
};

/// Ends the process so that the fuzzer keeps the input.
[[noreturn]] void finding(const Twine &what);

/// A folder of this process's own, in memory where there is such a place.
StringRef scratch();
/// Writes the bytes to a file in it and returns its path.
std::string writeInput(StringRef name, const uint8_t *data, size_t size);

/// A copy, in the scratch folder, of the folder that ANEMLIR_FUZZ_BASE names
/// (a bundle, a package): the first byte of an input says which of its files,
/// by the order of their names, the rest stands for.
class Folder {
public:
  Folder();
  StringRef path() const { return root; }
  /// Until the next input.
  void replace(const uint8_t *data, size_t size);

private:
  struct File {
    std::string path, content;
  };
  std::string root;
  std::vector<File> files;
  File *replaced = nullptr;
};

/// Loads an artifact and, unless it is large, runs it on zeros.
void loadAndRun(StringRef path);

} // namespace mlir::ane::fuzz

#endif // ANEMLIR_TEST_FUZZ_FUZZ_H
