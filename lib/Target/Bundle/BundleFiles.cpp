//===- BundleFiles.cpp - the files of a bundle ----------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "BundleFiles.h"
#include "ane-mlir/Support/AtomicPath.h"
#include "ane-mlir/Support/Hash.h"
#include "ane-mlir/Support/MappedFile.h"
#include "lib/Target/Bundle/Manifest_generated.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

using namespace mlir;
using namespace mlir::ane;
namespace fb = anemlir::manifest;

llvm::Error mlir::ane::checkReplacesBundle(StringRef folder) {
  SmallString<128> path(folder);
  llvm::sys::path::append(path, "manifest.fb");
  llvm::StringSet<> ours;
  ours.insert("manifest.fb");
  ours.insert("manifest.json");
  auto file = MappedFile::open(path);
  if (!file) {
    llvm::consumeError(file.takeError());
  } else {
    ArrayRef<char> data = (*file)->data();
    flatbuffers::Verifier verifier(
        reinterpret_cast<const uint8_t *>(data.data()), data.size());
    std::unique_ptr<fb::ManifestT> manifest;
    if (fb::VerifyManifestBuffer(verifier))
      manifest = fb::UnPackManifest(data.data());
    if (manifest)
      for (auto &program : manifest->programs) {
        ours.insert(program->text);
        for (auto &weights : program->weights)
          ours.insert(weights->file);
      }
  }
  return checkAllOurs(folder, "a bundle", [&](StringRef relative) {
    return ours.contains(relative);
  });
}

/// Read in pieces, since a file that shrinks while mapped ends the process.
static llvm::Expected<std::string> sumOf(StringRef path) {
  auto file = llvm::sys::fs::openNativeFileForRead(path);
  if (!file)
    return file.takeError();
  Hash hash;
  std::vector<char> buffer(1 << 20);
  llvm::Error error = llvm::Error::success();
  for (;;) {
    llvm::Expected<size_t> size =
        llvm::sys::fs::readNativeFile(*file, MutableArrayRef<char>(buffer));
    if (!size)
      error = llvm::joinErrors(std::move(error), size.takeError());
    if (!size || !*size)
      break;
    hash.update(ArrayRef<char>(buffer).take_front(*size));
  }
  llvm::sys::fs::closeFile(*file);
  if (error)
    return error;
  return hash.finish();
}

/// The sum in a file's name, or "".
static StringRef sumInName(StringRef path) {
  StringRef stem = llvm::sys::path::stem(path);
  return stem.size() == 64 && llvm::all_of(stem, llvm::isHexDigit) ? stem : "";
}

llvm::Error mlir::ane::checkHashName(StringRef path) {
  StringRef wanted = sumInName(path);
  if (wanted.empty())
    return llvm::Error::success();
  auto sum = sumOf(path);
  if (!sum)
    return llvm::createStringError("cannot read '" + path +
                                   "': " + llvm::toString(sum.takeError()));
  if (wanted.equals_insensitive(*sum))
    return llvm::Error::success();
  return llvm::createStringError(
      "'" + path +
      "' is corrupt: its name is a SHA-256 sum that its contents "
      "do not have (" +
      *sum + ")");
}

WeightOpener WeightVerifier::watch(WeightOpener opener, StringRef program) {
  if (!enabled)
    return opener;
  return [this, opener = std::move(opener),
          program = program.str()](StringRef wanted)
             -> llvm::Expected<std::shared_ptr<const MappedFile>> {
    auto file = opener(wanted);
    if (file)
      add((*file)->path(), program);
    return file;
  };
}

void WeightVerifier::add(StringRef path, StringRef program) {
  if (sumInName(path).empty())
    return;
  std::lock_guard<std::mutex> guard(mutex);
  auto [it, isNew] = files.try_emplace(path.str());
  if (!isNew)
    return;
  it->second.first = program.str();
  if (!threads)
    threads = std::make_unique<llvm::StdThreadPool>();
  threads->async([it = it] {
    if (llvm::Error error = checkHashName(it->first))
      it->second.second = llvm::toString(std::move(error));
  });
}

llvm::Error WeightVerifier::finish() {
  if (threads)
    threads->wait();
  std::string text;
  for (auto &[path, entry] : files)
    if (!entry.second.empty())
      text += (text.empty() ? "weight file " : "; weight file ") +
              entry.second + ", of program '" + entry.first + "'";
  files.clear();
  if (text.empty())
    return llvm::Error::success();
  return llvm::createStringError(text + "; --no-verify runs it all the same");
}
