//===- ane-info.cpp - what an artifact is ---------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Artifact/Artifact.h"
#include "ane-mlir/Artifact/Describe.h"
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
struct Info {
  cl::OptionCategory options{"Description"};
  cl::opt<std::string> artifact{cl::Positional,
                                cl::desc("X.anepkg|.mlpackage|.mlmodelc|.mil"),
                                cl::cat(options)};
  cl::opt<bool> asJSON{"json", cl::desc("Print JSON"), cl::cat(options)};

  int describe() {
    MLIRContext context(artifactDialects());
    context.loadDialect<ANEDialect>();
    ToolDiagnostics diagnostics(&context, artifact);
    FailureOr<Description> description = describeArtifact(artifact, &context);
    if (failed(description))
      return 1;
    if (asJSON)
      description->writeJSON(llvm::outs());
    else
      description->writeText(llvm::outs());
    return 0;
  }

  static constexpr const char *kOverview =
      "Says what an artifact is: inputs, outputs, states, labels, "
      "metadata, operations by kind, weights, and the systems that take "
      "it.\n\n"
      "  ane-info model.mlpackage\n"
      "  ane-info model.anepkg --json\n\n"
      "Exit status: 0, 1 when it cannot be read, 2 on misuse.\n";

  int start(int argc, char **argv) {
    llvm::InitLLVM init(argc, argv);
    if (std::optional<int> done =
            startTool(argc, argv, "ane-info", kOverview, {&options}))
      return *done;
    if (artifact.empty()) {
      llvm::errs() << "ane-info: error: expects an artifact; see --help\n";
      return 2;
    }
    return runGuarded("ane-info", artifact, [this] { return describe(); });
  }
};
} // namespace

int mlir::ane::tools::aneInfo(int argc, char **argv) {
  static Info tool;
  return tool.start(argc, argv);
}
