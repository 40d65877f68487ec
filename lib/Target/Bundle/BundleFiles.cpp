//===- BundleFiles.cpp - the files of a bundle ----------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "BundleFiles.h"
#include "../CoreML/PackageFolder.h"
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
    if (manifest && manifest->training) {
      ours.insert(manifest->training->file);
      ours.insert(manifest->training->model);
    }
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
  return folder.ends_with(".anepkg")      ? checkReplacesBundle(folder)
         : folder.ends_with(".mlpackage") ? coreml::checkReplacesPackage(folder)
                                          : llvm::Error::success();
}
