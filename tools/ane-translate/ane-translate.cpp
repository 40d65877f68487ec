//===- ane-translate.cpp - between files and dialects ---------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Conversion/MILToANE.h"
#include "ane-mlir/Import/MIL.h"
#include "ane-mlir/Import/ONNX.h"
#include "ane-mlir/InitAll.h"
#include "ane-mlir/Support/Diagnostics.h"
#include "ane-mlir/Target/MILText.h"
#include "ane-mlir/Target/MILSource.h"
#include "mlir/Support/FileUtilities.h"
#include "mlir/Tools/mlir-translate/MlirTranslateMain.h"
#include "mlir/Tools/mlir-translate/Translation.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/SourceMgr.h"

using namespace mlir;

static StringRef bufferName(const llvm::SourceMgr &sources) {
  return sources.getMemoryBuffer(sources.getMainFileID())
      ->getBufferIdentifier();
}

/// The folder whose manifest the driver was given, or the file itself.
static StringRef artifactOf(StringRef file) {
  StringRef name = llvm::sys::path::filename(file),
            parent = llvm::sys::path::parent_path(file);
  bool inside = name == "Manifest.json" ||
                (name == "model.mil" && parent.ends_with(".mlmodelc"));
  return inside ? parent : file;
}

static std::string packagePath;
static llvm::cl::opt<std::string> weightsFolder(
    "weights",
    llvm::cl::desc("The folder that @model_path stands for, for "
                   "--mil-to-mlpackage"),
    llvm::cl::value_desc("DIR"), llvm::cl::init("."));

int main(int argc, char **argv) {
  // The importer maps the file by name, so that tensors are views of it and
  // external data is found beside it.
  TranslateToMLIRRegistration importONNX(
      "import-onnx", "ONNX file to onnx dialect",
      [](const std::shared_ptr<llvm::SourceMgr> &sources,
         MLIRContext *context) {
        return OwningOpRef<Operation *>(
            ane::importONNX(bufferName(*sources), context).release());
      });
  TranslateToMLIRRegistration importMIL(
      "import-mil", "MIL text to mil dialect",
      [](const std::shared_ptr<llvm::SourceMgr> &sources,
         MLIRContext *context) {
        StringRef text =
            sources->getMemoryBuffer(sources->getMainFileID())->getBuffer();
        return OwningOpRef<Operation *>(
            ane::importMILText(text, bufferName(*sources), context).release());
      });
  // A package is a folder, named by its Manifest.json.
  TranslateToMLIRRegistration importPackage(
      "import-mlpackage", "X.mlpackage to mil dialect",
      [](const std::shared_ptr<llvm::SourceMgr> &sources,
         MLIRContext *context) {
        return OwningOpRef<Operation *>(
            ane::importMLPackage(artifactOf(bufferName(*sources)), context)
                .release());
      });
  TranslateFromMLIRRegistration milToText(
      "mil-to-text", "mil dialect to MIL text",
      [](ModuleOp module, raw_ostream &os) -> LogicalResult {
        for (auto program : module.getOps<mil::ProgramOp>())
          if (failed(mil::printMILText(program, os)))
            return failure();
        return success();
      },
      [](DialectRegistry &registry) { ane::registerAllDialects(registry); });
  // The text of a file, parsed and printed again: what we emit comes back byte
  // for byte.
  TranslateRegistration roundTrip(
      "mil-round-trip", "MIL text parsed and printed again",
      [](const std::shared_ptr<llvm::SourceMgr> &sources, raw_ostream &os,
         MLIRContext *context) -> LogicalResult {
        StringRef text =
            sources->getMemoryBuffer(sources->getMainFileID())->getBuffer();
        OwningOpRef<ModuleOp> module =
            ane::importMILText(text, bufferName(*sources), context);
        return module ? mil::printMILText(
                            *module->getOps<mil::ProgramOp>().begin(), os)
                      : LogicalResult(failure());
      });
  TranslateToMLIRRegistration raise(
      "raise-mil", "MIL text, package or .mlmodelc to ane dialect",
      [](const std::shared_ptr<llvm::SourceMgr> &sources,
         MLIRContext *context) -> OwningOpRef<Operation *> {
        FailureOr<ane::MILSource> source = ane::MILSource::open(
            artifactOf(bufferName(*sources)), context);
        if (failed(source))
          return {};
        OwningOpRef<ModuleOp> &module = source->module;
        OpBuilder builder = OpBuilder::atBlockEnd(module->getBody());
        SmallVector<mil::FuncOp> functions(
            source->program.getBody().getOps<mil::FuncOp>());
        for (mil::FuncOp func : functions)
          if (failed(ane::convertMILToANE(builder, func, func.getSymName(),
                                          source->weights,
                                          source->bindShapes(func, {}))))
            return {};
        source->program.erase();
        return OwningOpRef<Operation *>(module.release());
      });
  // A package is a folder: written whole, not through the output's stream.
  TranslateFromMLIRRegistration toPackage(
      "mil-to-mlpackage", "mil dialect to -o X.mlpackage (weights: --weights)",
      [](ModuleOp module, raw_ostream &) -> LogicalResult {
        auto programs = module.getOps<mil::ProgramOp>();
        if (programs.empty())
          return module.emitError() << "has no mil.program";
        if (packagePath.empty())
          return module.emitError() << "expects -o X.mlpackage";
        ane::Outputs outputs;
        if (failed(ane::writeMILPackage(*programs.begin(),
                                        ane::weightsBelow(weightsFolder),
                                        packagePath, outputs)))
          return failure();
        return ane::commitOutputs(outputs, module.getLoc());
      },
      [](DialectRegistry &registry) { ane::registerAllDialects(registry); });

  // Folders are named by the file in them; without a translation the input's
  // extension chooses one; -o of a package is ours.
  std::vector<std::string> arguments(argv, argv + argc);
  bool chosen = false;
  for (StringRef argument : arguments) {
    StringRef name = argument.ltrim('-');
    chosen |= argument.starts_with("-") &&
              (name.starts_with("import-") || name.starts_with("raise-") ||
               name.starts_with("mil-") || name.starts_with("help") ||
               name.starts_with("version"));
  }
  for (size_t i = 1; i < arguments.size(); ++i) {
    std::string &argument = arguments[i];
    StringRef previous = arguments[i - 1];
    if (previous == "-o" || StringRef(argument).starts_with("-o=")) {
      StringRef path = argument;
      path.consume_front("-o=");
      if (path.rtrim('/').ends_with(".mlpackage")) {
        packagePath = path.str();
        argument = previous == "-o" ? "/dev/null" : "-o=/dev/null";
      }
      continue;
    }
    if (StringRef(argument).starts_with("-"))
      continue;
    StringRef extension =
        llvm::sys::path::extension(StringRef(argument).rtrim('/'));
    StringRef translation = extension == ".onnx"        ? "--import-onnx"
                            : extension == ".mil"       ? "--import-mil"
                            : extension == ".mlmodelc"  ? "--import-mil"
                            : extension == ".mlpackage" ? "--import-mlpackage"
                                                        : "";
    if (!chosen && !translation.empty()) {
      arguments.push_back(translation.str());
      chosen = true;
      i = 0; // `argument` may have moved
      continue;
    }
    for (auto [folder, file] :
         {std::pair<StringRef, StringRef>(".mlpackage", "Manifest.json"),
          {".mlmodelc", "model.mil"}})
      if (extension == folder && llvm::sys::fs::is_directory(argument)) {
        SmallString<128> full(argument);
        llvm::sys::path::append(full, file);
        argument = full.str().str();
      }
  }
  std::vector<char *> pointers;
  for (std::string &argument : arguments)
    pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  return ane::runWithOutput(
      pointers.size() - 1, pointers.data(), [](int argc, char **argv) {
        return int(failed(
            mlirTranslateMain(argc, argv, "ane-mlir translation driver")));
      });
}
