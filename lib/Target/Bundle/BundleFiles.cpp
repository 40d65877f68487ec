//===- BundleFiles.cpp - the files of a bundle ----------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "BundleFiles.h"
#include "../MLPackage/PackageFolder.h"
#include "ane-mlir/Support/AtomicPath.h"
#include "ane-mlir/Support/Hash.h"
#include "ane-mlir/Support/MappedFile.h"
#include "ane-mlir/Target/Bundle.h"
#include "lib/Target/Bundle/Manifest_generated.h"
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

llvm::Error mlir::ane::checkReplaceable(StringRef path) {
  StringRef folder = path.rtrim('/');
  if (!llvm::sys::fs::is_directory(folder))
    return llvm::Error::success();
  return folder.ends_with(".anepkg") ? checkReplacesBundle(folder)
         : folder.ends_with(".mlpackage")
             ? coreml::checkReplacesPackage(folder)
             : llvm::Error::success();
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
  if (!isHashName(path))
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
