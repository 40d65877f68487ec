//===- mil-verify.cpp - what is wrong with a package or a MIL text --------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Artifact/Artifact.h"
#include "ane-mlir/Artifact/VerifyMIL.h"
#include "ane-mlir/Interpreter/Interpreter.h"
#include "ane-mlir/Support/Diagnostics.h"
#include "ane-mlir/Support/GuardedMain.h"
#include "ane-mlir/Support/Usage.h"
#include "tools/Tools.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/InitLLVM.h"

using namespace mlir;
using namespace mlir::ane;
namespace cl = llvm::cl;

namespace {
/// Its options and what it does with them. Made when the tool starts: a library
/// may hold several tools.
struct Verify {
  cl::OptionCategory options{"Verification"};
  cl::opt<std::string> artifact{
      cl::Positional, cl::desc("X.mlpackage|.mlmodelc|.mil"), cl::cat(options)};
  cl::opt<bool> quiet{"quiet", cl::desc("Print nothing but findings"),
                      cl::cat(options)};

  cl::opt<bool> asJSON{"json", cl::desc("Print findings as JSON"),
                       cl::cat(options)};

  int start(int argc, char **argv) {
    llvm::InitLLVM init(argc, argv);
    return runGuarded("mil-verify", artifact,
                      [&] { return runTool(argc, argv); });
  }

  static constexpr const char *kOverview =
      "Lists what Core ML, or a strict reader of packages, would "
      "refuse.\n\n"
      "  mil-verify model.mlpackage\n\n"
      "One line per finding, with its kind in brackets:\n"
      "  identifier   a name that is no identifier of MIL\n"
      "  name         an operation without a name, or with another's\n"
      "  description  inputs, outputs and states against the functions\n"
      "  opset        specification, opset and what operations need\n"
      "  operation    what cannot be rebuilt: unknown operations and\n"
      "               arguments, types that do not follow\n"
      "  type         operands of different precisions\n"
      "  constant     values of another type than declared\n"
      "  weights      references into weight files\n"
      "  rank, boundary, attribute, program, manifest\n\n"
      "Exit status: 0 without findings, 1 with some or when the file "
      "cannot "
      "be read, 2 on misuse.\n";

  int runTool(int argc, char **argv) {
    if (std::optional<int> done =
            startTool(argc, argv, "mil-verify", kOverview, {&options}))
      return *done;
    if (!MILSource::matches(StringRef(artifact))) {
      llvm::errs()
          << "mil-verify: expects a .mlpackage, .mlmodelc or .mil; see "
             "--help\n";
      return 2;
    }
    MLIRContext context(artifactDialects());
    ToolDiagnostics diagnostics(&context, artifact);
    FailureOr<MILSource> source = MILSource::open(artifact, &context);
    if (failed(source))
      return 1;
    std::vector<Finding> findings = verifyMIL(*source, artifact);
    if (asJSON) {
      writeJSON(findings, artifact, llvm::outs());
      return findings.empty() ? 0 : 1;
    }
    for (const Finding &finding : findings)
      llvm::outs() << artifact << ": error: [" << finding.rule << "] "
                   << finding.place << ": " << finding.message << '\n';
    if (!quiet) {
      size_t functions = 0, operations = 0;
      source->program.walk([&](Operation *op) {
        functions += isa<mil::FuncOp>(op);
        operations += isa<mil::OpOp>(op);
      });
      llvm::outs() << artifact << ": " << functions << " function"
                   << (functions == 1 ? "" : "s") << ", " << operations
                   << " operations, " << findings.size() << " finding"
                   << (findings.size() == 1 ? "" : "s") << '\n';
    }
    return findings.empty() ? 0 : 1;
  }
};
} // namespace

int mlir::ane::tools::milVerify(int argc, char **argv) {
  static Verify tool;
  return tool.start(argc, argv);
}
