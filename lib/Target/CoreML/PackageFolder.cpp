//===- PackageFolder.cpp - the files of a .mlpackage ----------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "PackageFolder.h"
#include "ane-mlir/Support/MappedFile.h"
#include "mlir/IR/Diagnostics.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/SHA256.h"

using namespace mlir;
using namespace mlir::ane;

/// A key that the same content always gets.
static std::string identifierOf(StringRef content) {
  auto digest = llvm::SHA256::hash(llvm::arrayRefFromStringRef(content));
  std::string hex = llvm::toHex(ArrayRef<uint8_t>(digest).take_front(16));
  for (size_t at : {8, 13, 18, 23})
    hex.insert(at, "-");
  return hex;
}

/// The items that Manifest.json lists; none where it cannot be read.
static llvm::StringSet<> itemsOf(StringRef folder) {
  llvm::StringSet<> items;
  SmallString<128> path(folder);
  llvm::sys::path::append(path, "Manifest.json");
  auto file = MappedFile::open(path);
  if (!file)
    return llvm::consumeError(file.takeError()), items;
  auto json = llvm::json::parse(
      StringRef((*file)->data().data(), (*file)->data().size()));
  if (!json)
    return llvm::consumeError(json.takeError()), items;
  const llvm::json::Object *root = json->getAsObject();
  if (const llvm::json::Object *entries =
          root ? root->getObject("itemInfoEntries") : nullptr)
    for (auto &[key, value] : *entries)
      if (const llvm::json::Object *item = value.getAsObject())
        if (auto name = item->getString("path"))
          items.insert(("Data/" + *name).str());
  return items;
}

llvm::Error mlir::ane::coreml::checkReplacesPackage(StringRef folder) {
  llvm::StringSet<> items = itemsOf(folder);
  return checkAllOurs(folder, "a package", [&](StringRef relative) {
    // An item may be a folder: of weights, which lie in it.
    return relative == "Manifest.json" || items.contains(relative) ||
           (relative.ends_with(".bin") &&
            items.contains(llvm::sys::path::parent_path(relative)));
  });
}

LogicalResult mlir::ane::coreml::writeFolder(
    Location loc, StringRef path, const std::string &model, bool hasWeights,
    llvm::function_ref<LogicalResult(llvm::raw_ostream &)> weightsTo,
    Outputs &outputs) {
  auto fail = [&](llvm::Error error) {
    return emitError(loc) << llvm::toString(std::move(error));
  };
  auto directory = outputs.addFolder(path, checkReplacesPackage);
  if (!directory)
    return fail(directory.takeError());
  SmallString<128> data(*directory);
  llvm::sys::path::append(data, "Data", "com.apple.CoreML");
  SmallString<128> weights(data), modelFile(data), manifestFile(*directory);
  llvm::sys::path::append(weights, "weights");
  llvm::sys::path::append(modelFile, "model.mlmodel");
  llvm::sys::path::append(manifestFile, "Manifest.json");
  if (llvm::Error error = makeFolders(hasWeights ? weights : data, path))
    return fail(std::move(error));
  if (hasWeights) {
    llvm::sys::path::append(weights, "weight.bin");
    if (failed(
            writeStagedFile(weights, path, weightsTo, [&](llvm::Error error) {
              (void)fail(std::move(error));
            })))
      return failure();
  }
  if (llvm::Error error = writeStagedText(modelFile, path, model))
    return fail(std::move(error));
  auto item = [](StringRef name, StringRef what) {
    return llvm::json::Object{{"author", "com.apple.CoreML"},
                              {"description", what},
                              {"name", name},
                              {"path", ("com.apple.CoreML/" + name).str()}};
  };
  std::string root = identifierOf(model);
  llvm::json::Object items{
      {root, item("model.mlmodel", "CoreML Model Specification")}};
  if (hasWeights)
    items[identifierOf(model + "weights")] =
        item("weights", "CoreML Model Weights");
  std::string manifest;
  llvm::raw_string_ostream(manifest)
      << llvm::formatv("{0:2}\n", llvm::json::Value(llvm::json::Object{
                                      {"fileFormatVersion", "1.0.0"},
                                      {"itemInfoEntries", std::move(items)},
                                      {"rootModelIdentifier", root}}));
  if (llvm::Error error = writeStagedText(manifestFile, path, manifest))
    return fail(std::move(error));
  return success();
}
