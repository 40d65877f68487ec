//===- Names.cpp - identifiers of MIL -------------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "dialects/MIL/IR/Names.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace mlir::mil;

bool mlir::mil::isLegalIdentifier(StringRef name) {
  static const llvm::StringSet<> reserved = {
      "any",    "bool",  "program", "func",   "tensor", "list",   "dict",
      "tuple",  "true",  "false",   "string", "bf16",   "fp16",   "fp32",
      "fp64",   "int4",  "int8",    "int16",  "int32",  "int64",  "uint1",
      "uint2",  "uint3", "uint4",   "uint6",  "uint8",  "uint16", "uint32",
      "uint64", "state", "BLOBFILE"};
  if (name.empty() || !(llvm::isAlpha(name[0]) || name[0] == '_') ||
      reserved.contains(name))
    return false;
  return llvm::all_of(name,
                      [](char c) { return llvm::isAlnum(c) || c == '_'; });
}

std::string mlir::mil::makeIdentifier(StringRef name) {
  std::string result;
  for (char c : name.take_front(200))
    result += llvm::isAlnum(c) ? c : '_';
  if (result.empty() || llvm::isDigit(result[0]))
    result.insert(result.begin(), '_');
  return isLegalIdentifier(result) ? result : result + "_";
}

std::vector<std::string>
mlir::mil::makeIdentifiers(ArrayRef<std::string> names,
                           ArrayRef<StringRef> reserved) {
  std::vector<std::string> result(names.size());
  llvm::StringSet<> taken;
  for (StringRef name : reserved)
    taken.insert(name);
  for (auto [name, identifier] : llvm::zip(names, result))
    if (name.size() <= 200 && isLegalIdentifier(name) &&
        taken.insert(name).second)
      identifier = name;
  for (auto [name, identifier] : llvm::zip(names, result)) {
    if (!identifier.empty())
      continue;
    std::string wanted = makeIdentifier(name);
    identifier = wanted;
    for (unsigned i = 1; !taken.insert(identifier).second; ++i)
      identifier = wanted + std::string(std::min(i, 3u), '_') +
                   (i > 3 ? std::to_string(i) : "");
  }
  return result;
}
