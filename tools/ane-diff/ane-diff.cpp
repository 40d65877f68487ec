//===- ane-diff.cpp - how two artifacts differ ----------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Artifact/Artifact.h"
#include "ane-mlir/Artifact/Diff.h"
#include "ane-mlir/Support/Diagnostics.h"
#include "ane-mlir/Support/GuardedMain.h"
#include "ane-mlir/Support/Usage.h"
#include "dialects/MIL/IR/MIL.h"
#include "tools/Tools.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/Path.h"

using namespace mlir;
using namespace mlir::ane;
namespace cl = llvm::cl;

namespace {
/// Its options and what it does with them. Made when the tool starts: a library
/// may hold several tools.
struct Diff {
  cl::OptionCategory options{"Comparison"};
  cl::list<std::string> artifacts{
      cl::Positional,
      cl::desc("A B (.anepkg, .mlpackage, .mlmodelc, "
               ".mil)"),
      cl::cat(options)};
  cl::opt<int64_t> randomSeed{
      "random-inputs", cl::desc("Seed of the inputs (default 0)"),
      cl::value_desc("SEED"), cl::init(0), cl::cat(options)};
  cl::opt<std::string> numericsName{"numerics",
                                    cl::desc("fp16 (default), fp32 or engine"),
                                    cl::init("fp16"), cl::cat(options)};
  cl::opt<double> rtol{"rtol", cl::desc("Relative tolerance (default 1e-2)"),
                       cl::init(1e-2), cl::cat(options)};
  cl::opt<double> atol_{
      "atol",
      cl::desc("Absolute tolerance (default 1e-3 of each output's largest "
               "magnitude)"),
      cl::init(-1), cl::cat(options)};
  cl::opt<bool> noVerify{
      "no-verify",
      cl::desc("Do not compare weight files with the SHA-256 sums in "
               "their names"),
      cl::cat(options)};
  cl::opt<bool> noRun{"no-run",
                      cl::desc("Compare operations and weights alone"),
                      cl::cat(options)};

  cl::opt<bool> asJSON{"json", cl::desc("Print JSON, every operation listed"),
                       cl::cat(options)};

  int fail(const llvm::Twine &message, int code = 1) {
    llvm::errs() << "ane-diff: error: " << message << '\n';
    return code;
  }

  int diff() {
    for (auto &[option, tolerance] :
         {std::pair<StringRef, const cl::opt<double> &>("--rtol", rtol),
          {"--atol", atol_}})
      if (tolerance.getNumOccurrences() && !(tolerance >= 0))
        return fail(outOfRange(option, "0 or more", tolerance), 2);
    for (StringRef artifact : artifacts)
      if (artifact.ends_with(".onnx"))
        return fail("'" + artifact +
                        "' is an ONNX model; convert it first: onnx-to-ane " +
                        artifact + " -o " + llvm::sys::path::stem(artifact) +
                        ".anepkg",
                    2);
    if (artifacts.size() != 2)
      return fail("expects two artifacts; see --help", 2);
    std::optional<Numerics> numerics = lookupNumerics(numericsName);
    if (!numerics)
      return fail("expects --numerics to be fp32, fp16 or engine, but got '" +
                      numericsName + "'",
                  2);
    MLIRContext context(artifactDialects());
    context.loadDialect<ANEDialect>();
    DiffOptions options;
    options.artifacts[0] = artifacts[0];
    options.artifacts[1] = artifacts[1];
    options.seed = randomSeed;
    options.numerics = *numerics;
    options.rtol = rtol;
    options.atol = atol_;
    options.verify = !noVerify;
    options.run = !noRun;
    auto found = diffArtifacts(options, &context);
    if (!found)
      return fail(llvm::toString(found.takeError()));
    if (!*found)
      return 1;
    if (asJSON)
      (*found)->writeJSON(llvm::outs(), options);
    else
      (*found)->writeText(llvm::outs());
    return !(*found)->same(options);
  }

  static constexpr const char *kOverview =
      "Shows how two artifacts differ: operations, weights, and results on "
      "the same random inputs.\n\n"
      "  ane-diff theirs.mlpackage ours.anepkg --rtol=1e-2\n\n"
      "Exit status: 0 when the results agree (with --no-run: operations "
      "and "
      "weights), 1 when not, 2 on misuse.\n";

  int start(int argc, char **argv) {
    llvm::InitLLVM init(argc, argv);
    if (std::optional<int> done =
            startTool(argc, argv, "ane-diff", kOverview, {&options}))
      return *done;
    return runGuarded("ane-diff", artifacts.empty() ? "" : artifacts[0],
                      [this] { return diff(); });
  }
};
} // namespace

int mlir::ane::tools::aneDiff(int argc, char **argv) {
  static Diff tool;
  return tool.start(argc, argv);
}
