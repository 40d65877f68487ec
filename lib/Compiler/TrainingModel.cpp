//===- TrainingModel.cpp - the model behind a bundle that trains ----------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "TrainingModel.h"
#include "ane-mlir/Import/RewriteONNX.h"
#include "ane-mlir/Support/MappedFile.h"
#include "ane-mlir/Training/Passes.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace mlir::ane;

llvm::Error mlir::ane::bindBatch(
    ModuleOp module, int64_t batch, ONNXToANEOptions &bound,
    ArrayRef<std::pair<std::string, std::vector<int64_t>>> dims) {
  auto graphs = module.getOps<onnxir::GraphOp>();
  bool any = false;
  for (onnxir::GraphOp graph : graphs)
    for (auto [i, entry] : llvm::enumerate(graph.getInputDims())) {
      auto symbols = cast<ArrayAttr>(entry);
      StringRef symbol =
          symbols.empty() ? "" : cast<StringAttr>(symbols[0]).getValue();
      if (symbol.empty())
        continue;
      for (const auto &[name, values] : dims)
        if (name == symbol && values != std::vector<int64_t>{batch})
          return llvm::createStringError(
              "--batch and --dim give '" + symbol +
              "' different extents; leave one of them out");
      bound.dims[symbol] = batch;
      any = true;
    }
  if (!any)
    return llvm::createStringError(
        "--batch is for models whose inputs leave their first axis open; this "
        "one has fixed shapes, which --input-shape changes");
  return llvm::Error::success();
}

llvm::Expected<std::string> mlir::ane::keepModel(ModuleOp module,
                                                 StringRef path) {
  auto file = MappedFile::open(path);
  if (!file)
    return file.takeError();
  llvm::StringSet<> trained, bases;
  if (auto entries = module->getAttrOfType<ArrayAttr>(marks::kParameters))
    for (Attribute each : entries) {
      auto entry = cast<DictionaryAttr>(each);
      if (auto base = entry.getAs<StringAttr>("base"))
        bases.insert(base.getValue());
      else
        trained.insert(entry.getAs<StringAttr>("name").getValue());
    }
  bool external = false;
  llvm::StringSet<> seen;
  ArrayRef<char> data = (*file)->data();
  auto made = rewriteInitializers(
      StringRef(data.data(), data.size()),
      [&](const Initializer &initializer) -> std::optional<std::string> {
        seen.insert(initializer.name);
        if (trained.contains(initializer.name))
          return "";
        external |= initializer.external;
        return std::nullopt;
      });
  if (!made)
    return made.takeError();
  for (const llvm::StringSet<> *names : {&trained, &bases})
    for (const auto &name : *names)
      if (!seen.contains(name.getKey()))
        return llvm::createStringError(
            "'" + name.getKey() +
            "' is no initializer of the model but a constant of its graph, so "
            "that no trained value could be written back; name it in "
            "--frozen");
  return external ? std::string() : std::move(*made);
}
