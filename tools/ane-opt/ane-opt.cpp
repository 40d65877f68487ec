//===- ane-opt.cpp - the optimiser driver ---------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Compiler/InitAll.h"
#include "ane-mlir/Support/AtomicPath.h"
#include "ane-mlir/Support/Usage.h"
#include "dialects/ANE/IR/Explain.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/Path.h"

static llvm::cl::opt<std::string>
    explained("explain",
              llvm::cl::desc("Say what is known of a rule, limit or source, "
                             "and with what evidence"),
              llvm::cl::value_desc("ID"));

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  mlir::ane::registerAllDialects(registry);
  mlir::ane::registerAllPasses();
  return mlir::ane::runWithOutput(argc, argv, [&](int argc, char **argv) {
    static constexpr llvm::StringLiteral kOverview =
        "ane-mlir optimiser driver\n";
    std::string header = mlir::registerCLIOptions(kOverview, registry);
    if (std::optional<int> done =
            mlir::ane::printUsageTables(argc, argv, "ane-opt", kOverview))
      return *done;
    auto [input, output] = mlir::parseCLIOptions(argc, argv, header);
    if (explained.getNumOccurrences())
      return mlir::ane::explain(explained, llvm::outs()) ? 0 : 2;
    if (llvm::StringRef(input).ends_with(".onnx")) {
      llvm::errs() << "ane-opt: '" << input
                   << "' is an ONNX model; write it as text first: onnx-to-ane "
                   << input << " --compile-to=ane -o "
                   << llvm::sys::path::stem(input) << ".mlir\n";
      return 2;
    }
    return mlir::asMainReturnCode(
        mlir::MlirOptMain(argc, argv, input, output, registry));
  });
}
