//===- JSON.cpp - JSON of users' files ------------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Support/JSON.h"

/// Levels that no file of ours or of Core ML comes near.
static constexpr unsigned kMostLevels = 100;

llvm::Expected<llvm::json::Value> mlir::ane::parseJSON(llvm::StringRef text) {
  unsigned level = 0;
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (quoted && c == '\\')
      ++i;
    else if (c == '"')
      quoted = !quoted;
    else if (!quoted && (c == '[' || c == '{') && ++level > kMostLevels)
      return llvm::createStringError("is nested more than " +
                                     llvm::Twine(kMostLevels) + " deep");
    else if (!quoted && (c == ']' || c == '}') && level)
      --level;
  }
  return llvm::json::parse(text);
}
