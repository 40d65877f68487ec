//===- TestData.cpp - inputs of a model from a directory ------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Artifact/TestData.h"
#include "ane-mlir/Artifact/TensorFiles.h"
#include "ane-mlir/Import/ONNX.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

using namespace mlir;
using namespace mlir::ane;

llvm::Expected<Tensor> mlir::ane::readTestTensor(StringRef dir, StringRef stem,
                                                 MLIRContext *context,
                                                 std::string *name) {
  for (StringRef extension : {".npy", ".pb"}) {
    SmallString<128> path(dir);
    llvm::sys::path::append(path, stem + extension);
    if (!llvm::sys::fs::exists(path))
      continue;
    if (extension == ".npy")
      return readNpy(path);
    FailureOr<NamedTensor> named = importTensorProto(path, context);
    FailureOr<Tensor> tensor = failed(named)
                                   ? FailureOr<Tensor>(failure())
                                   : Tensor::fromElements(named->value);
    if (failed(tensor))
      return llvm::createStringError("cannot read '" + path + "'");
    if (name)
      *name = named->name;
    return *tensor;
  }
  return Tensor();
}

llvm::Error mlir::ane::readTestInputs(StringRef dir,
                                      ArrayRef<std::string> names,
                                      MLIRContext *context,
                                      llvm::MutableArrayRef<Tensor> tensors) {
  std::vector<std::pair<std::string, Tensor>> files;
  for (unsigned i = 0;; ++i) {
    std::string name;
    llvm::Expected<Tensor> tensor =
        readTestTensor(dir, ("input_" + Twine(i)).str(), context, &name);
    if (!tensor)
      return tensor.takeError();
    if (!*tensor)
      break;
    files.push_back({name, *tensor});
  }
  bool any = !files.empty();
  auto slotOf = [&](StringRef name) -> size_t {
    return llvm::find(names, name) - names.begin();
  };
  // Where names tell, a file of another name belongs to an input that was given
  // its value when the model was converted; else positions tell.
  bool named = llvm::any_of(
      files, [&](auto &file) { return slotOf(file.first) < names.size(); });
  for (auto [i, file] : llvm::enumerate(files)) {
    size_t slot = slotOf(file.first);
    if (slot == names.size() && (!named || file.first.empty())) {
      slot = i;
      // Its value may have been given when the model was converted.
      if (slot >= names.size())
        emitRemark(NameLoc::get(StringAttr::get(context, dir)))
            << "input_" << i << " is not used: there are " << names.size()
            << " inputs";
    }
    if (slot < names.size() && !tensors[slot])
      tensors[slot] = file.second;
  }
  for (auto [name, tensor] : llvm::zip_equal(names, tensors)) {
    if (tensor || StringRef(name).contains('/'))
      continue;
    llvm::Expected<Tensor> found = readTestTensor(dir, name, context);
    if (!found)
      return found.takeError();
    any |= bool(*found);
    tensor = *found;
  }
  if (!any && !names.empty())
    return llvm::createStringError("'" + dir +
                                   "' has no input_0.pb, input_0.npy or " +
                                   names.front() + ".npy");
  return llvm::Error::success();
}
