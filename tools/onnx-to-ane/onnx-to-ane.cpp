//===- onnx-to-ane.cpp - the model converter ------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Compiler/Cache.h"
#include "ane-mlir/Compiler/CommandLine.h"
#include "ane-mlir/Compiler/Compiler.h"
#include "ane-mlir/Compiler/InitAll.h"
#include "ane-mlir/Support/AtomicPath.h"
#include "ane-mlir/Support/GuardedMain.h"
#include "tools/Tools.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/InitLLVM.h"

using namespace mlir;
using namespace mlir::ane;

/// A report on standard output is read by a program; people have the other.
static llvm::raw_ostream &summaryOf(const CompileOptions &options) {
  return isStandardOutput(options.report) || isStandardOutput(options.trace)
             ? llvm::errs()
             : llvm::outs();
}

static void summarise(llvm::raw_ostream &os, const Compilation &made,
                      const CompileOptions &options) {
  if (made.report && !options.compileTo)
    made.report->writeText(os);
  printDecisions(os, made.decisions);
  if (made.accuracy)
    printAccuracy(os, *made.accuracy);
}

static int convert(const CompileOptions &options, ConversionCache *cache) {
  DialectRegistry registry;
  registerAllDialects(registry);
  MLIRContext context(registry);
  context.loadDialect<ANEDialect, func::FuncDialect>();
  ToolDiagnostics diagnostics(&context, options.input);
  FailureOr<Compilation> made = failure();
  {
    Progress progress(options.quiet);
    made = compile(options, &context, progress);
  }
  if (failed(made))
    return 1;
  for (const NumericsVerifier::Entry &entry : made->verified)
    if (!options.quiet)
      llvm::errs() << "verified: " << llvm::left_justify(entry.pass, 24)
                   << llvm::format(" error %.2e\n", entry.error);
  if (!options.quiet)
    summarise(summaryOf(options), *made, options);
  if (made->accuracy && failed(judge(*made->accuracy, options)))
    return 1;
  if (!cache)
    return 0;
  std::string summary;
  llvm::raw_string_ostream os(summary);
  summarise(os, *made, options);
  // What was asked for is there.
  if (llvm::Error error = cache->put({{"summary", summary},
                                      {"said", diagnostics.transcript()},
                                      {"input", printable(options.input)}}))
    emitWarning(UnknownLoc::get(&context))
        << "not kept in '" << options.cacheDir
        << "': " << llvm::toString(std::move(error));
  return 0;
}

/// From the cache where it has the conversion.
static int takeOrConvert(CompileOptions &options) {
  auto fail = [&](llvm::Error error) {
    llvm::errs() << "onnx-to-ane: error: " << llvm::toString(std::move(error))
                 << '\n';
    return 1;
  };
  std::string whyNot;
  auto cache = ConversionCache::open(options, "text", whyNot);
  if (!cache)
    return fail(cache.takeError());
  if (!whyNot.empty())
    llvm::errs() << "onnx-to-ane: warning: --cache-dir has no effect, since "
                 << printable(whyNot) << '\n';
  if (!*cache)
    return convert(options, nullptr);
  llvm::Expected<std::optional<ConversionCache::Texts>> before =
      (*cache)->take();
  if (!before)
    return fail(before.takeError());
  if (!*before) {
    options.beforeCommit = [&](const Outputs &made) { (*cache)->stage(made); };
    return convert(options, cache->get());
  }
  // The model may be somewhere else now.
  std::string then = (**before)["input"] + ": ";
  StringRef said = (**before)["said"];
  while (!said.empty()) {
    StringRef line = said.take_until([](char c) { return c == '\n'; });
    said = said.drop_front(std::min(line.size() + 1, said.size()));
    if (line.consume_front(then))
      llvm::errs() << printable(options.input) << ": ";
    llvm::errs() << line << '\n';
  }
  if (!options.quiet)
    summaryOf(options) << (**before)["summary"] << "from " << options.cacheDir
                       << '\n';
  return 0;
}

int mlir::ane::tools::onnxToAne(int argc, char **argv) {
  llvm::InitLLVM init(argc, argv);
  std::string input; // named where memory does not suffice
  return runGuarded("onnx-to-ane", input, [&] {
    int status;
    std::optional<CompileOptions> options =
        parseCompileOptions(argc, argv, status);
    if (!options)
      return status;
    input = options->input;
    return takeOrConvert(*options);
  });
}
