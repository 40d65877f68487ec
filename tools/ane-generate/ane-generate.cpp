//===- ane-generate.cpp - text from a decoder in a bundle -----------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Artifact/Generate.h"
#include "ane-mlir/Host/DeviceExecutable.h"
#include "ane-mlir/Support/Diagnostics.h"
#include "ane-mlir/Support/GuardedMain.h"
#include "ane-mlir/Support/Usage.h"
#include "dialects/MIL/IR/MIL.h"
#include "tools/Tools.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/InitLLVM.h"
#include <cmath>

using namespace mlir;
using namespace mlir::ane;
namespace cl = llvm::cl;

namespace {
/// Its options and what it does with them. Made when the tool starts: a library
/// may hold several tools.
struct Generate {
  cl::OptionCategory category{"Generation"};
  cl::opt<std::string> artifact{cl::Positional, cl::desc("BUNDLE.anepkg"),
                                cl::cat(category)};
  cl::list<int64_t> prompt{"prompt-ids", cl::CommaSeparated,
                           cl::desc("Token ids of the prompt"),
                           cl::value_desc("1,2,3"), cl::cat(category)};
  cl::opt<unsigned> tokens{"tokens", cl::desc("How many to make"), cl::init(64),
                           cl::cat(category)};
  cl::opt<int64_t> end{"end-id", cl::desc("The id that ends a text"),
                       cl::init(-1), cl::cat(category)};
  cl::opt<Numerics> numerics{
      "numerics", cl::desc("What each op rounds to"),
      cl::init(Numerics::Float16),
      cl::values(clEnumValN(Numerics::Float16, "fp16", "its dtype (default)"),
                 clEnumValN(Numerics::Float32, "fp32", "nothing"),
                 clEnumValN(Numerics::Engine, "engine",
                            "as the target's engine does")),
      cl::cat(category)};
  enum class Where { Interpreter, Engine };
  ChoiceOption<Where> device{
      "device", cl::desc("Where programs of the engine run"),
      cl::init(Where::Interpreter),
      cl::values(
          clEnumValN(Where::Interpreter, "interpreter", "here (default)"),
          clEnumValN(Where::Engine, "engine",
                     "through the runtime, where its framework is")),
      cl::cat(category)};
  cl::opt<std::string> plan{
      "plan",
      cl::desc("From FROM tokens left on, those that take TOKENS at once "
               "(default: the bundle's plan)"),
      cl::value_desc("FROM:TOKENS,…"), cl::cat(category)};
  cl::opt<double> temperature{
      "temperature",
      cl::desc("0 takes the likeliest token (default); else tokens "
               "are drawn"),
      cl::init(0), cl::cat(category)};
  cl::opt<unsigned> top{"top-k", cl::desc("Draw among so many (default: all)"),
                        cl::init(0), cl::cat(category)};
  cl::opt<uint64_t> seed{"seed", cl::desc("Of the draws"), cl::init(0),
                         cl::cat(category)};
  cl::opt<bool> quiet{"quiet", cl::desc("Print the ids alone"),
                      cl::cat(category)};

  void printTimes(const Generated &made) {
    llvm::errs() << llvm::format(
        "prompt: %u tokens in %u calls, predicted %.1f us", prompt.size(),
        made.promptCalls, made.promptMicros);
    if (made.tokenCalls)
      llvm::errs() << llvm::format(
          "; then %.1f us for each token, predicted %.1f tokens/s",
          made.tokenMicros / made.tokenCalls,
          1e6 * made.tokenCalls / made.tokenMicros);
    llvm::errs() << '\n';
  }

  int run() {
    MLIRContext context(artifactDialects());
    context.loadDialect<ANEDialect>();
    ToolDiagnostics diagnostics(&context, artifact);
    FailureOr<std::unique_ptr<Executable>> executable =
        device == Where::Engine ? openOnDevice(artifact, &context, {})
                                : loadArtifact(artifact, &context);
    if (failed(executable))
      return 1;
    for (int64_t id : prompt)
      if (id < 0) {
        llvm::errs() << "ane-generate: error: expects --prompt-ids of 0 or "
                        "more, but got "
                     << id << '\n';
        return 2;
      }
    if (!std::isfinite(temperature) || temperature < 0) {
      llvm::errs()
          << "ane-generate: error: expects --temperature of 0 or more, "
             "but got "
          << llvm::format("%g", double(temperature)) << '\n';
      return 2;
    }
    GenerateOptions options;
    options.prompt.assign(prompt.begin(), prompt.end());
    options.tokens = tokens;
    options.end = end;
    options.plan = plan;
    options.numerics = numerics;
    options.temperature = temperature;
    options.top = top;
    options.seed = seed;
    bool first = true;
    options.token = [&](int64_t id) {
      llvm::outs() << (first ? "" : ",") << id;
      llvm::outs().flush();
      first = false;
    };
    llvm::Expected<Generated> made = generate(**executable, options);
    if (!first)
      llvm::outs() << '\n';
    if (!made) {
      llvm::errs() << "ane-generate: error: " << artifact << ": "
                   << printable(llvm::toString(made.takeError())) << '\n';
      return 1;
    }
    if (!made->hasPositions && !quiet)
      llvm::errs() << "ane-generate: warning: no input takes positions; the "
                      "tokens are right where the model has none or finds them "
                      "out of its mask, not where it counts rows of its cache, "
                      "which has one length here\n";
    if (!quiet)
      printTimes(*made);
    return 0;
  }

  static constexpr const char *kOverview =
      "Generates token ids with a decoder: the prompt through the functions "
      "that the bundle's plan names, by predicted times, then token by token, "
      "keys and values kept in the bundle's states.\n\n"
      "  onnx-to-ane model.onnx --dim batch=1 --dim sequence=16,1 --dim "
      "past=512 --state=auto -o m.anepkg\n"
      "  ane-generate m.anepkg --prompt-ids 12,7,99 --tokens 20\n\n"
      "Exit status: 0, 1 when it fails, 2 on misuse.\n";

  int start(int argc, char **argv) {
    llvm::InitLLVM init(argc, argv);
    if (std::optional<int> done =
            startTool(argc, argv, "ane-generate", kOverview, {&category}))
      return *done;
    if (device == Where::Engine && numerics.getNumOccurrences() &&
        numerics != Numerics::Engine) {
      llvm::errs() << "ane-generate: error: --numerics is for the interpreter; "
                      "an engine has its own\n";
      return 2;
    }
    if (artifact.empty() || prompt.empty()) {
      llvm::errs() << "ane-generate: error: expects a bundle and --prompt-ids; "
                      "see --help\n";
      return 2;
    }
    return runGuarded("ane-generate", artifact, [this] { return run(); });
  }
};
} // namespace

int mlir::ane::tools::aneGenerate(int argc, char **argv) {
  static Generate tool;
  return tool.start(argc, argv);
}
