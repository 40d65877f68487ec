//===- OpInfo.cpp - tables generated from the op records ------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "dialects/ANE/IR/OpInfo.h"
#include "llvm/ADT/StringMap.h"

using namespace mlir::ane;

#include "dialects/ANE/IR/OpTable.inc"

llvm::ArrayRef<OpInfo> mlir::ane::getOpInfos() { return kOps; }
llvm::ArrayRef<ImportRow> mlir::ane::getImportRows() { return kImportRows; }

llvm::StringRef mlir::ane::getEvidenceName(Evidence evidence) {
  static constexpr llvm::StringLiteral names[] = {
      "raw", "compiled", "e5rt", "table", "decomposed", "host"};
  return names[int(evidence)];
}

std::string ArgInfo::listWords() const {
  std::string text;
  for (auto [i, word] : llvm::enumerate(words))
    text += (i == 0 ? "" : i + 1 == words.size() ? " or " : ", ") + word.str();
  return text;
}

namespace {
/// Both indices over kOps, built on first use.
struct Index {
  llvm::StringMap<const OpInfo *> byName, byMilName;
  Index() {
    for (const OpInfo &info : kOps) {
      byName[info.name] = &info;
      // Two ops can stand for one operation: the one of its name is the form
      // whose arguments are known at compile time.
      if (info.name.substr(4) == info.milName)
        byMilName[info.milName] = &info;
      else
        byMilName.try_emplace(info.milName, &info);
    }
  }
};
} // namespace

static const Index &index() {
  static const Index instance;
  return instance;
}
const OpInfo *mlir::ane::lookupOpInfo(llvm::StringRef name) {
  return index().byName.lookup(name);
}
const OpInfo *mlir::ane::lookupOpInfoByMilName(llvm::StringRef milName) {
  return index().byMilName.lookup(milName);
}
