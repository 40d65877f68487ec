//===- PatchedBundle.cpp - a bundle whose weights are written anew --------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "PatchedBundle.h"
#include "ane-mlir/Artifact/Compare.h"
#include "ane-mlir/Support/Budget.h"
#include "ane-mlir/Support/MappedFile.h"
#include "ane-mlir/Support/WeightFile.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace mlir::ane;
namespace fb = anemlir::manifest;

static llvm::Error cannot(const Twine &what, StringRef path,
                          std::error_code error) {
  return llvm::createStringError(error, "cannot " + what + " '" + path +
                                            "': " + error.message());
}

/// A file of the bundle in the folder: a copy, or the same one by another name,
/// which stays what it is when the bundle is replaced.
static llvm::Error stageFile(StringRef bundle, StringRef folder, StringRef name,
                             bool copy) {
  SmallString<128> from(bundle), to(folder);
  llvm::sys::path::append(from, name);
  llvm::sys::path::append(to, name);
  if (std::error_code error =
          llvm::sys::fs::create_directories(llvm::sys::path::parent_path(to)))
    return cannot("make the folder of", to, error);
  if (llvm::sys::fs::exists(to))
    return llvm::Error::success();
  if (std::error_code error = llvm::sys::fs::make_absolute(from))
    return cannot("find", from, error);
  if (!copy && !llvm::sys::fs::create_hard_link(from, to))
    return llvm::Error::success();
  if (std::error_code error = llvm::sys::fs::copy_file(from, to))
    return cannot("copy", from, error);
  if (copy)
    if (std::error_code error = llvm::sys::fs::setPermissions(
            to, llvm::sys::fs::owner_read | llvm::sys::fs::owner_write))
      return cannot("make writable", to, error);
  return llvm::Error::success();
}

llvm::Expected<std::unique_ptr<PatchedBundle>>
PatchedBundle::stage(StringRef bundle, const fb::ManifestT &manifest) {
  std::set<int32_t> patched;
  for (auto &parameter : manifest.training->parameters)
    for (auto &copy : parameter->copies)
      if (copy->program >= 0)
        patched.insert(copy->program);
  std::unique_ptr<PatchedBundle> staged;
  if (patched.empty())
    return staged;
  auto wrong = [&](const Twine &what) {
    return llvm::createStringError("'" + bundle + "': " + what);
  };
  auto scratch = ScratchFolder::create("ane-mlir-train");
  if (!scratch)
    return scratch.takeError();
  staged.reset(new PatchedBundle);
  staged->scratch = std::move(*scratch);
  staged->folder = staged->scratch->below("staged.anepkg");
  auto stageOne = [&](StringRef name, bool copy) -> llvm::Error {
    if (llvm::Error error = checkInside(bundle, name, "the bundle"))
      return error;
    return stageFile(bundle, staged->folder, name, copy);
  };
  for (int32_t index : patched) {
    if (size_t(index) >= manifest.programs.size() ||
        manifest.programs[index]->weights.size() != 1)
      return wrong("its manifest names a trained weight of program " +
                   Twine(index) + ", which has not one weight file");
    StringRef file = manifest.programs[index]->weights.front()->file;
    for (auto &[other, path] : staged->files)
      if (path == file)
        return wrong("programs " + Twine(other) + " and " + Twine(index) +
                     " have one file of trained weights");
    staged->files[index] = file.str();
    if (llvm::Error error = stageOne(file, /*copy=*/true))
      return error;
  }
  for (auto &program : manifest.programs) {
    if (llvm::Error error = stageOne(program->text, /*copy=*/true))
      return error;
    for (auto &weights : program->weights)
      if (llvm::Error error = stageOne(weights->file, false))
        return error;
  }
  for (StringRef name : {"manifest.fb", "manifest.json"})
    if (llvm::Error error = stageOne(name, /*copy=*/true))
      return error;
  for (auto &parameter : manifest.training->parameters)
    for (auto &copy : parameter->copies)
      if (copy->program >= 0)
        if (llvm::Error error = staged->check(*copy))
          return error;
  return staged;
}

llvm::Error PatchedBundle::check(const fb::ParameterCopyT &copy) const {
  SmallString<128> path(folder);
  llvm::sys::path::append(path, files.at(copy.program));
  auto file = MappedFile::open(path);
  if (!file)
    return file.takeError();
  auto view = readWeight((*file)->data(), copy.offset);
  if (!view)
    return llvm::createStringError("'" + path +
                                   "': " + llvm::toString(view.takeError()));
  std::optional<int64_t> count = countElements(copy.shape);
  if (!isFloat(view->dtype) || !count ||
      getByteSize(view->dtype, *count) != view->data.size())
    return llvm::createStringError("'" + path +
                                   "' has no room for a trained weight of [" +
                                   shapeText(copy.shape) + "]");
  return llvm::Error::success();
}

llvm::Error PatchedBundle::write(const fb::ParameterCopyT &copy,
                                 const Tensor &matrix) {
  SmallString<128> path(folder);
  llvm::sys::path::append(path, files.at(copy.program));
  uint64_t at = 0;
  std::vector<char> bytes;
  {
    auto file = MappedFile::open(path);
    if (!file)
      return file.takeError();
    auto view = readWeight((*file)->data(), copy.offset);
    if (!view)
      return view.takeError();
    bytes = matrix.retyped(view->dtype).toWeightBytes();
    assert(bytes.size() == view->data.size() && "was checked when staged");
    at = view->data.data() - (*file)->data().data();
  }
  std::error_code error;
  llvm::raw_fd_ostream os(path, error, llvm::sys::fs::CD_OpenExisting,
                          llvm::sys::fs::FA_Write, llvm::sys::fs::OF_None);
  if (error)
    return cannot("write", path, error);
  os.seek(at);
  os.write(bytes.data(), bytes.size());
  os.close();
  if (os.has_error()) {
    error = os.error();
    os.clear_error();
    return cannot("write", path, error);
  }
  return llvm::Error::success();
}
