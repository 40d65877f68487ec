//===- ane-check.cpp - a gate for models ----------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Compiler/Check.h"
#include "ane-mlir/Compiler/CommandLine.h"
#include "ane-mlir/Support/AtomicPath.h"
#include "ane-mlir/Support/GuardedMain.h"
#include "ane-mlir/Support/Usage.h"
#include "tools/Tools.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/Path.h"
#include <cmath>

using namespace mlir;
using namespace mlir::ane;
namespace cl = llvm::cl;

namespace {
/// Its options and what it does with them. Made when the tool starts: a library
/// may hold several tools.
struct Check {
  /// Exit codes, as --help says.
  enum Status { Fine, Breaks, Misuse, NotConverted, Files };

  cl::OptionCategory modelOptions{"Model"}, gate{"Thresholds"},
      outputOptions{"Output"};
  cl::opt<std::string> input{cl::Positional,
                             cl::desc("MODEL.onnx|.mlpackage|.mlmodelc|.mil"),
                             cl::cat(modelOptions)};
  cl::list<std::string> dims{"dim", cl::desc("Bind a symbolic dimension"),
                             cl::value_desc("NAME=N"), cl::CommaSeparated,
                             cl::cat(modelOptions)};
  cl::list<std::string> inputShapes{
      "input-shape", cl::desc("Set the whole shape of an input"),
      cl::value_desc("NAME=1,3,224,224"), cl::cat(modelOptions)};
  cl::list<std::string> targets{
      "target", cl::desc("Generations or chips, side by side (default h16)"),
      cl::value_desc("m1,m4,…"), cl::CommaSeparated, cl::cat(modelOptions)};
  cl::opt<int64_t> maxHostOps{"max-host-ops",
                              cl::desc("Most operations on the host"),
                              cl::value_desc("N"), cl::cat(gate)};
  cl::opt<double> maxPredicted{
      "max-predicted-us",
      cl::desc("Most predicted microseconds, engine and host"),
      cl::value_desc("X"), cl::cat(gate)};
  cl::opt<double> minCosine{
      "min-cosine",
      cl::desc("Least cosine of an output against fp32 (compiles and runs the "
               "model in the interpreter)"),
      cl::value_desc("X"), cl::cat(gate)};
  cl::list<std::string> allowHost{
      "allow-host", cl::desc("Nodes that may run on the host, with * and ?"),
      cl::value_desc("PATTERN"), cl::cat(gate)};
  cl::opt<std::string> baseline{
      "baseline",
      cl::desc("A --format=json of an earlier check: nothing may be "
               "worse"),
      cl::value_desc("FILE.json"), cl::cat(gate)};
  cl::opt<std::string> config{
      "config",
      cl::desc("Thresholds as TOML (default: .ane-mlir.toml beside the model); "
               "options count more"),
      cl::value_desc("FILE.toml"), cl::cat(gate)};
  ChoiceOption<CheckFormat> format{
      "format", cl::desc("Form of the report"), cl::init(CheckFormat::Text),
      cl::values(
          clEnumValN(CheckFormat::Text, "text", "a table (default)"),
          clEnumValN(CheckFormat::JSON, "json",
                     "everything, and what --baseline reads"),
          clEnumValN(CheckFormat::SARIF, "sarif",
                     "for code scanning: rules and nodes"),
          clEnumValN(CheckFormat::JUnit, "junit", "a test per target"),
          clEnumValN(CheckFormat::Markdown, "markdown", "for a pull request")),
      cl::cat(outputOptions)};
  cl::opt<std::string> output{
      "o", cl::desc("Where the report goes (default: standard output)"),
      cl::value_desc("FILE"), cl::init("-"), cl::cat(outputOptions)};

  static constexpr const char *kOverview =
      "Says whether a model fits the engine, and fails where that is not good "
      "enough: for continuous integration.\n\n"
      "  ane-check model.onnx --dim=batch=1 --target=m1,m4\n"
      "  ane-check model.onnx --max-host-ops=0 --format=sarif -o ane.sarif\n\n"
      "The table: programs, predicted times, weights, values that are alive "
      "together, operations in fp32 and those scaled so that fp16 holds "
      "them.\n"
      "Thresholds stand in .ane-mlir.toml beside the model, too:\n\n"
      "  max-host-ops = 2\n  max-predicted-us = 1500\n  min-cosine = 0.999\n"
      "  allow-host = [\"/embed/*\"]\n  baseline = \"ane.json\"\n\n"
      "The report is written also when the check fails. Exit status: 0 fine, 1 "
      "the model breaks a threshold, 2 misuse, 3 it cannot be converted, 4 "
      "files "
      "cannot be read or written.\n";

  int fail(Status status, const Twine &message) {
    llvm::errs() << "ane-check: error: " << printable(message.str(), true)
                 << (status == Misuse ? "; see --help\n" : "\n");
    return status;
  }

  llvm::Error readOptions(CompileOptions &options,
                          std::vector<std::string> &names) {
    if (maxPredicted.getNumOccurrences() && !(maxPredicted >= 0))
      return llvm::createStringError(
          outOfRange("--max-predicted-us", "a number from 0 on", maxPredicted));
    if (minCosine.getNumOccurrences() && !(std::fabs(minCosine) <= 1))
      return llvm::createStringError(
          outOfRange("--min-cosine", "a number from -1 to 1", minCosine));
    options.input = input;
    options.reportOnly = true;
    std::vector<std::string> extents(dims.begin(), dims.end()),
        shapes(inputShapes.begin(), inputShapes.end());
    if (llvm::Error error = readDims(extents, options))
      return error;
    if (llvm::Error error = readInputShapes(shapes, options))
      return error;
    names.assign(targets.begin(), targets.end());
    if (names.empty())
      names = {"h16"};
    for (const std::string &name : names) {
      options.target = name;
      if (llvm::Error error = options.validate())
        return error;
    }
    return llvm::Error::success();
  }

  /// The command line's thresholds, then those of the file.
  llvm::Error readGate(Thresholds &thresholds) {
    if (maxHostOps.getNumOccurrences())
      thresholds.maxHostOps = maxHostOps;
    if (maxPredicted.getNumOccurrences())
      thresholds.maxPredictedMicros = maxPredicted;
    if (minCosine.getNumOccurrences())
      thresholds.minCosine = minCosine;
    thresholds.allowHost.assign(allowHost.begin(), allowHost.end());
    thresholds.baseline = baseline;
    SmallString<128> file(
        llvm::sys::path::parent_path(StringRef(input).rtrim('/')));
    llvm::sys::path::append(file, ".ane-mlir.toml");
    if (!config.empty())
      return readThresholds(config, thresholds);
    return llvm::sys::fs::exists(file) ? readThresholds(file, thresholds)
                                       : llvm::Error::success();
  }

  int run() {
    CompileOptions options;
    std::vector<std::string> names;
    if (llvm::Error error = readOptions(options, names))
      return fail(Misuse, llvm::toString(std::move(error)));
    if (input != "-" && !llvm::sys::fs::exists(input))
      return fail(Files, "'" + input + "' is not found");
    Thresholds thresholds;
    if (llvm::Error error = readGate(thresholds))
      return fail(Files, llvm::toString(std::move(error)));
    llvm::Expected<CheckResult> result = check(options, names, thresholds);
    if (!result)
      return fail(Files, llvm::toString(result.takeError()));
    std::string text;
    llvm::raw_string_ostream os(text);
    print(*result, thresholds, format, os);
    Outputs files;
    llvm::Error written = files.addText(output, text);
    if (!written)
      written = files.commit();
    if (written)
      return fail(Files, llvm::toString(std::move(written)));
    return !result->converted() ? NotConverted
           : !result->passes()  ? Breaks
                                : Fine;
  }

  int start(int argc, char **argv) {
    llvm::InitLLVM init(argc, argv);
    if (std::optional<int> done =
            startTool(argc, argv, "ane-check", kOverview,
                      {&modelOptions, &gate, &outputOptions}))
      return *done;
    bool done = false; // what is thrown is about the model
    int status = runGuarded("ane-check", input, [&] {
      int status = run();
      done = true;
      return status;
    });
    return done ? status : NotConverted;
  }
};
} // namespace

int mlir::ane::tools::aneCheck(int argc, char **argv) {
  static Check tool;
  return tool.start(argc, argv);
}
