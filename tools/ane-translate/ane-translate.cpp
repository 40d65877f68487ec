//===- ane-translate.cpp - between files and dialects ---------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Conversion/MILToANE.h"
#include "ane-mlir/Import/MIL.h"
#include "ane-mlir/Import/ONNX.h"
#include "ane-mlir/InitAll.h"
#include "ane-mlir/Target/MILText.h"
#include "ane-mlir/Target/MLPackage.h"
#include "mlir/Support/FileUtilities.h"
#include "mlir/Tools/mlir-translate/MlirTranslateMain.h"
#include "mlir/Tools/mlir-translate/Translation.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/SourceMgr.h"

using namespace mlir;

static StringRef bufferName(const llvm::SourceMgr &sources) {
  return sources.getMemoryBuffer(sources.getMainFileID())
      ->getBufferIdentifier();
}

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
      "import-mlpackage", "X.mlpackage/Manifest.json to mil dialect",
      [](const std::shared_ptr<llvm::SourceMgr> &sources,
         MLIRContext *context) {
        StringRef file = bufferName(*sources);
        StringRef package = llvm::sys::path::filename(file) == "Manifest.json"
                                ? llvm::sys::path::parent_path(file)
                                : file;
        return OwningOpRef<Operation *>(
            ane::importMLPackage(package, context).release());
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
      "raise-mil", "MIL text to ane dialect",
      [](const std::shared_ptr<llvm::SourceMgr> &sources,
         MLIRContext *context) -> OwningOpRef<Operation *> {
        StringRef text =
            sources->getMemoryBuffer(sources->getMainFileID())->getBuffer();
        OwningOpRef<ModuleOp> module =
            ane::importMILText(text, bufferName(*sources), context);
        if (!module)
          return {};
        auto program = *module->getOps<mil::ProgramOp>().begin();
        OpBuilder builder = OpBuilder::atBlockEnd(module->getBody());
        SmallVector<mil::FuncOp> functions(
            program.getBody().getOps<mil::FuncOp>());
        for (mil::FuncOp func : functions)
          if (failed(ane::convertMILToANE(
                  builder, func, func.getSymName(),
                  [](StringRef path) { return ane::MappedFile::open(path); })))
            return {};
        program.erase();
        return OwningOpRef<Operation *>(module.release());
      });
  return failed(mlirTranslateMain(argc, argv, "ane-mlir translation driver"));
}
