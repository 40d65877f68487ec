//===- onnx-to-ane.cpp - the model converter ------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

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

static void summarise(const Compilation &made, const CompileOptions &options) {
  for (const NumericsVerifier::Entry &entry : made.verified)
    llvm::errs() << "verified: " << llvm::left_justify(entry.pass, 24)
                 << llvm::format(" error %.2e\n", entry.error);
  if (made.report && !options.compileTo)
    made.report->writeText(summaryOf(options));
  printDecisions(summaryOf(options), made.decisions);
  if (made.accuracy)
    printAccuracy(summaryOf(options), *made.accuracy);
}

static int convert(const CompileOptions &options) {
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
  if (!options.quiet)
    summarise(*made, options);
  return made->accuracy && failed(judge(*made->accuracy, options));
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
    return convert(*options);
  });
}
