//===- RunWithOutput.cpp - outputs of MLIR's own drivers ------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Support/AtomicPath.h"
#include "ane-mlir/Support/GuardedMain.h"
#include "llvm/Support/Errno.h"
#include "llvm/Support/ErrorHandling.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include <fcntl.h>

using namespace mlir::ane;

/// What follows -o, --o, -o= or --o= at `index`, in the form in which it is
/// given; null for other arguments.
static std::string *findOutput(std::vector<std::string> &arguments,
                               size_t index, std::string &option) {
  llvm::StringRef argument = arguments[index];
  llvm::StringRef name = argument;
  if (!name.consume_front("--") && !name.consume_front("-"))
    return nullptr;
  if (name == "o" && index + 1 < arguments.size()) {
    option.clear();
    return &arguments[index + 1];
  }
  if (!name.starts_with("o="))
    return nullptr;
  option = argument.drop_back(name.size() - 2).str();
  return &arguments[index];
}

namespace {
/// Lives as long as the process: LLVM's streams end it where a write fails.
struct DriverOutput {
  Outputs outputs;
  std::string tool, given;

  int fail(const llvm::Twine &message) {
    llvm::errs() << tool << ": error: " << message << '\n';
    return 1;
  }
};
} // namespace

static void onFatalError(void *data, const char *reason, bool) {
  auto *output = static_cast<DriverOutput *>(data);
  llvm::StringRef text = reason;
  if (text.consume_front("IO failure on output stream: "))
    output->fail("cannot write '" + output->given + "': " + text);
  else
    output->fail(text);
  exit(1);
}

int mlir::ane::runWithOutput(
    int argc, char **argv,
    llvm::function_ref<int(int argc, char **argv)> driver) {
  static DriverOutput output;
  output.tool = llvm::sys::path::filename(argv[0]).str();
  std::vector<std::string> arguments(argv, argv + argc);
  for (size_t i = 1; i < arguments.size(); ++i) {
    std::string option;
    std::string *found = findOutput(arguments, i, option);
    if (!found)
      continue;
    output.given = found->substr(option.size());
    if (isStandardOutput(output.given)) {
      *found = option + "-";
      break;
    }
    if (isStream(output.given))
      break;
    auto made = output.outputs.addFile(output.given);
    if (!made)
      return output.fail(llvm::toString(made.takeError()));
    // The driver's own message of a file that it cannot open would name this
    // one, so it is opened here.
    int file = open(made->c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (file < 0)
      return output.fail("cannot write '" + output.given +
                         "': " + llvm::sys::StrError());
    std::string opened = "/dev/fd/" + std::to_string(file);
    *found = option + (llvm::sys::fs::exists(opened) ? opened : *made);
    break;
  }
  llvm::install_fatal_error_handler(onFatalError, &output);
  std::vector<char *> pointers;
  for (std::string &argument : arguments)
    pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  int status = runGuarded(
      output.tool, "",
      [&] { return driver(arguments.size(), pointers.data()); },
      /*fatal=*/false);
  llvm::remove_fatal_error_handler();
  if (status) {
    output.outputs.drop(output.given);
    return status;
  }
  if (llvm::Error error = output.outputs.commit())
    return output.fail(llvm::toString(std::move(error)));
  if (!output.outputs.warning().empty())
    llvm::errs() << output.tool << ": warning: " << output.outputs.warning()
                 << '\n';
  return 0;
}
