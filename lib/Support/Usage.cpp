//===- Usage.cpp - what is told of a wrong command line -------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Support/Usage.h"
#include "ane-mlir/Support/Diagnostics.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"
#include <algorithm>
#include <utility>

using namespace llvm;

/// More names than this are not read.
static constexpr size_t kMostShown = 12;

std::string mlir::ane::suggest(StringRef name, ArrayRef<StringRef> known) {
  if (known.empty())
    return "; there is none";
  const StringRef *nearest = std::min_element(
      known.begin(), known.end(), [&](StringRef a, StringRef b) {
        return name.edit_distance_insensitive(a) <
               name.edit_distance_insensitive(b);
      });
  if (size_t distance = nearest->edit_distance_insensitive(name);
      distance < name.size() &&
      distance <= std::max<size_t>(2, name.size() / 3))
    return ("; did you mean '" + *nearest + "'?").str();
  return (known.size() == 1 ? "; there is " : "; they are ") +
         join(known.take_front(kMostShown), ", ") +
         (known.size() > kMostShown ? ", …" : "");
}

static std::string &mistake() {
  static std::string text;
  return text;
}
void mlir::ane::setUsageMistake(std::string text) {
  mistake() = std::move(text);
}
std::string mlir::ane::takeUsageMistake() {
  return std::exchange(mistake(), std::string());
}

std::string mlir::ane::refuseWord(StringRef option, StringRef word,
                                  ArrayRef<StringRef> known) {
  std::string text = ("expects --" + option + " to be ").str();
  for (auto [i, name] : enumerate(known))
    text += (i == 0 ? "" : i + 1 == known.size() ? " or " : ", ") + name.str();
  text += ", but got '" + printable(word) + "'";
  std::string nearest = suggest(word, known);
  return StringRef(nearest).contains("did you mean") ? text + nearest : text;
}

std::string mlir::ane::outOfRange(StringRef option, StringRef range,
                                  double value) {
  std::string spelled;
  raw_string_ostream(spelled) << format("%g", value);
  return ("expects " + option + " to be " + range + ", but got " + spelled)
      .str();
}

std::string mlir::ane::findContradiction(int argc, char **argv) {
  StringMap<StringRef> given;
  for (int i = 1; i < argc; ++i) {
    StringRef argument = argv[i], name = argument;
    if (argument == "--")
      break;
    if (!name.consume_front("--") && !name.consume_front("-"))
      continue;
    auto [option, value] = name.split('=');
    auto &known = cl::getRegisteredOptions();
    auto it = known.find(option);
    if (it == known.end())
      continue;
    bool takesValue = it->second->getValueExpectedFlag() == cl::ValueRequired;
    if (!name.contains('=') && takesValue && i + 1 < argc)
      value = argv[++i];
    // A list has as many values as it is given.
    if (it->second->getNumOccurrencesFlag() != cl::Optional)
      continue;
    auto [slot, isNew] = given.try_emplace(option, value);
    if (!isNew && slot->second != value)
      return ("--" + option + " is given twice, as '" + slot->second +
              "' and as '" + value + "'")
          .str();
  }
  return "";
}
