//===- PlacementFile.cpp - placement by node ------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "PlacementFile.h"
#include "ane-mlir/Support/JSON.h"
#include "ane-mlir/Support/Usage.h"
#include "dialects/ANE/IR/ANEBase.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/MemoryBuffer.h"

using namespace mlir;
using namespace mlir::ane;

llvm::Error mlir::ane::readPlacement(ModuleOp module, StringRef path,
                                     StringRef label,
                                     ArrayRef<StringRef> labels) {
  auto wrong = [&](const Twine &what) {
    return llvm::createStringError("'" + path + "': " + what);
  };
  auto buffer = llvm::MemoryBuffer::getFile(path);
  if (!buffer)
    return llvm::createStringError(buffer.getError(),
                                   "cannot read '" + path + "'");
  auto json = parseJSON((*buffer)->getBuffer());
  if (!json)
    return wrong(llvm::toString(json.takeError()));
  const llvm::json::Object *object = json->getAsObject();
  if (!object)
    return wrong("expects an object {\"node\": \"ane\" or \"host\"}");
  llvm::StringMap<bool> seen;
  std::vector<StringRef> nodes; // those that can be placed
  for (auto &[node, wanted] : *object) {
    auto text = wanted.getAsString();
    if (!text || (*text != "ane" && *text != "host"))
      return wrong("expects \"ane\" or \"host\" for node '" + StringRef(node) +
                   "'" + (text ? ", but got '" + text->str() + "'" : ""));
    if (!llvm::is_contained(labels, StringRef(node)))
      seen[StringRef(node)] = false;
  }
  auto whole = llvm::is_contained(labels, label) ? object->getString(label)
                                                 : std::nullopt;
  module.walk([&](Operation *op) {
    auto name = dyn_cast<NameLoc>(op->getLoc());
    if (!name || !isa<LegalityOpInterface>(op))
      return;
    StringRef node = name.getName().getValue();
    nodes.push_back(node);
    auto wanted = seen.contains(node) ? object->getString(node) : whole;
    if (wanted)
      op->setAttr(marks::kWanted, StringAttr::get(op->getContext(), *wanted));
    if (seen.contains(node))
      seen[node] = true;
  });
  for (auto &entry : seen)
    if (!entry.second)
      return wrong("no op comes from node '" + entry.getKey() + "'" +
                   suggest(entry.getKey(), nodes));
  return llvm::Error::success();
}
