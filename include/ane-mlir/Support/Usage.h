//===- Usage.h - what is told of a wrong command line ---------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_SUPPORT_USAGE_H
#define ANEMLIR_SUPPORT_USAGE_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/CommandLine.h"
#include <optional>
#include <string>

namespace mlir::ane {

/// The end of a message about a name that is none of `known`: "; did you mean
/// 'batch'?" where one is near, else "; they are batch, height", or as many of
/// them as can be read.
std::string suggest(llvm::StringRef name,
                    llvm::ArrayRef<llvm::StringRef> known);

/// "expects --rtol to be 0 or more, but got -1".
std::string outOfRange(llvm::StringRef option, llvm::StringRef range,
                       double value);

/// "expects --check to be fast, full or off, but got 'ful'; did you mean
/// 'full'?"
std::string refuseWord(llvm::StringRef option, llvm::StringRef word,
                       llvm::ArrayRef<llvm::StringRef> known);

/// A message where an option that has one value is given several, of which LLVM
/// would take the last; else "". After the options were parsed.
std::string findContradiction(int argc, char **argv);

/// What is wrong with a value that a Choice refused, once; else "". It is what
/// a tool prints where its options do not parse and LLVM has said nothing.
std::string takeUsageMistake();
void setUsageMistake(std::string mistake);

/// A word that an option's value may be, for what completes command lines.
void rememberWord(llvm::StringRef option, llvm::StringRef word);

/// Where the command line asks for `--completion=bash|zsh|fish` or `--man`:
/// prints a script, or a manual page, made of the options that --help shows,
/// and returns the exit status. To be called before they are parsed.
std::optional<int> printUsageTables(int argc, char **argv, llvm::StringRef tool,
                                    llvm::StringRef overview);

/// Reads the command line of a tool whose options are those of `categories`:
/// --help, --version, --man, --completion, then what is given. Its exit status
/// where nothing is left to do, 2 for a mistake, which is printed.
std::optional<int>
startTool(int argc, char **argv, llvm::StringRef tool, llvm::StringRef overview,
          llvm::ArrayRef<const llvm::cl::OptionCategory *> categories);

/// A parser of options whose value is one of some words; another one is refused
/// with all of them, and the nearest.
template <typename T>
struct Choice : public llvm::cl::parser<T> {
  using llvm::cl::parser<T>::parser;
  void initialize() {
    for (auto &entry : this->Values)
      rememberWord(this->Owner.ArgStr, entry.Name);
  }
  bool parse(llvm::cl::Option &option, llvm::StringRef name,
             llvm::StringRef text, T &value) {
    llvm::SmallVector<llvm::StringRef> known;
    if (text.empty() &&
        option.getValueExpectedFlag() == llvm::cl::ValueOptional)
      return value = this->Values.front().V.getValue(), false;
    for (auto &entry : this->Values) {
      if (entry.Name == text)
        return value = entry.V.getValue(), false;
      known.push_back(entry.Name);
    }
    setUsageMistake(refuseWord(name, text, known));
    return true;
  }
};
template <typename T>
using ChoiceOption = llvm::cl::opt<T, false, Choice<T>>;

} // namespace mlir::ane

#endif // ANEMLIR_SUPPORT_USAGE_H
