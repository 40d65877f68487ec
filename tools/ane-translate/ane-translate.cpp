//===- ane-translate.cpp - between files and dialects ---------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Compiler/InitAll.h"
#include "ane-mlir/Conversion/MILToANE.h"
#include "ane-mlir/Import/MIL.h"
#include "ane-mlir/Import/MILSource.h"
#include "ane-mlir/Import/ONNX.h"
#include "ane-mlir/Support/Diagnostics.h"
#include "ane-mlir/Target/Bundle.h"
#include "ane-mlir/Target/CoreML.h"
#include "ane-mlir/Target/MILText.h"
#include "mlir/Support/FileUtilities.h"
#include "mlir/Tools/mlir-translate/MlirTranslateMain.h"
#include "mlir/Tools/mlir-translate/Translation.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/SourceMgr.h"

using namespace mlir;

static const llvm::MemoryBuffer &bufferOf(const llvm::SourceMgr &sources) {
  // The driver goes on without a buffer where memory does not suffice for one.
  if (const llvm::MemoryBuffer *buffer =
          sources.getMemoryBuffer(sources.getMainFileID()))
    return *buffer;
  throw std::bad_alloc();
}

static StringRef bufferName(const llvm::SourceMgr &sources) {
  return bufferOf(sources).getBufferIdentifier();
}

/// The folder whose manifest the driver was given, or the file itself.
static StringRef artifactOf(StringRef file) {
  StringRef name = llvm::sys::path::filename(file),
            parent = llvm::sys::path::parent_path(file);
  bool inside = name == "Manifest.json" ||
                (name == "model.mil" && parent.ends_with(".mlmodelc"));
  return inside ? parent : file;
}

/// A folder that -o names; it is written whole, not through the output's
/// stream.
static std::string folderPath;
static llvm::cl::opt<std::string>
    weightsFolder("weights",
                  llvm::cl::desc("The folder that @model_path stands for, for "
                                 "--mil-to-mlpackage"),
                  llvm::cl::value_desc("DIR"), llvm::cl::init("."));

static StringRef textOf(const llvm::SourceMgr &sources) {
  return bufferOf(sources).getBuffer();
}
using Sources = std::shared_ptr<llvm::SourceMgr>;

static OwningOpRef<Operation *> importONNXFile(const Sources &sources,
                                               MLIRContext *context) {
  return ane::importONNX(bufferName(*sources), context)
      .release()
      .getOperation();
}

static OwningOpRef<Operation *> importText(const Sources &sources,
                                           MLIRContext *context) {
  return ane::importMILText(textOf(*sources), bufferName(*sources), context)
      .release()
      .getOperation();
}

static OwningOpRef<Operation *> importPackage(const Sources &sources,
                                              MLIRContext *context) {
  return ane::importMLPackage(artifactOf(bufferName(*sources)), context)
      .release()
      .getOperation();
}

/// All functions, each as an ane.program of its name.
static OwningOpRef<Operation *> raise(const Sources &sources,
                                      MLIRContext *context) {
  FailureOr<ane::MILSource> source =
      ane::MILSource::open(artifactOf(bufferName(*sources)), context);
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
  return module.release().getOperation();
}

/// What we emit comes back byte for byte.
static LogicalResult roundTrip(const Sources &sources, raw_ostream &os,
                               MLIRContext *context) {
  OwningOpRef<ModuleOp> module =
      ane::importMILText(textOf(*sources), bufferName(*sources), context);
  if (!module)
    return failure();
  return mil::printMILText(*module->getOps<mil::ProgramOp>().begin(), os);
}

/// A message about the whole of a module is not followed by it.
static InFlightDiagnostic wrong(ModuleOp module) {
  module.getContext()->printOpOnDiagnostic(false);
  return module.emitError();
}

static LogicalResult printText(ModuleOp module, raw_ostream &os) {
  SmallVector<mil::ProgramOp> programs;
  module.walk([&](mil::ProgramOp program) { programs.push_back(program); });
  if (programs.empty())
    return wrong(module) << "has no mil.program; convert-ane-to-mil makes them";
  for (mil::ProgramOp program : programs)
    if (failed(mil::printMILText(program, os)))
      return failure();
  return success();
}

/// Writes a folder; `what` is its extension.
static LogicalResult
writeFolder(ModuleOp module, StringRef what,
            llvm::function_ref<LogicalResult(ane::Outputs &)> write) {
  if (!StringRef(folderPath).rtrim('/').ends_with(what))
    return wrong(module) << "expects -o X" << what;
  ane::Outputs outputs;
  if (failed(write(outputs)))
    return failure();
  return ane::commitOutputs(outputs, module.getLoc());
}

static LogicalResult writePackage(ModuleOp module, raw_ostream &) {
  auto programs = module.getOps<mil::ProgramOp>();
  if (programs.empty())
    return wrong(module) << "has no mil.program";
  return writeFolder(module, ".mlpackage", [&](ane::Outputs &outputs) {
    return ane::writeMILPackage(*programs.begin(),
                                ane::weightsBelow(weightsFolder), folderPath,
                                outputs);
  });
}

static LogicalResult writeBundle(ModuleOp module, raw_ostream &) {
  return writeFolder(module, ".anepkg", [&](ane::Outputs &outputs) {
    return ane::writeBundle(module, folderPath, {}, outputs);
  });
}

static void registerTranslations() {
  auto dialects = [](DialectRegistry &registry) {
    ane::registerAllDialects(registry);
  };
  // The importer maps the file by name, so that tensors are views of it and
  // external data is found beside it.
  static TranslateToMLIRRegistration onnx(
      "import-onnx", "ONNX file to onnx dialect", importONNXFile);
  static TranslateToMLIRRegistration text(
      "import-mil", "MIL text to mil dialect", importText);
  static TranslateToMLIRRegistration package(
      "import-mlpackage", "X.mlpackage to mil dialect", importPackage);
  static TranslateToMLIRRegistration raised(
      "raise-mil", "MIL text, package or .mlmodelc to ane dialect", raise);
  static TranslateRegistration again(
      "mil-round-trip", "MIL text parsed and printed again", roundTrip);
  static TranslateFromMLIRRegistration toText(
      "mil-to-text", "mil dialect to MIL text", printText, dialects);
  static TranslateFromMLIRRegistration toPackage(
      "mil-to-mlpackage", "mil dialect to -o X.mlpackage (weights: --weights)",
      writePackage, dialects);
  static TranslateFromMLIRRegistration toBundle(
      "ane-to-anepkg",
      "placed programs, behind convert-ane-to-mil, to -o X.anepkg", writeBundle,
      dialects);
}

/// Where `arguments[i]` is the output and a folder: ours to write.
static bool takeFolder(std::vector<std::string> &arguments, size_t i) {
  std::string &argument = arguments[i];
  bool separate = arguments[i - 1] == "-o";
  StringRef path = argument;
  if (!separate && !path.consume_front("-o="))
    return false;
  StringRef extension = llvm::sys::path::extension(path.rtrim('/'));
  if (extension == ".mlpackage" || extension == ".anepkg") {
    folderPath = path.str();
    argument = separate ? "/dev/null" : "-o=/dev/null";
  }
  return true;
}

/// The file that stands for an input which is a folder.
static void nameFile(std::string &argument) {
  StringRef extension =
      llvm::sys::path::extension(StringRef(argument).rtrim('/'));
  StringRef file = extension == ".mlpackage"  ? "Manifest.json"
                   : extension == ".mlmodelc" ? "model.mil"
                                              : "";
  if (file.empty() || !llvm::sys::fs::is_directory(argument))
    return;
  SmallString<128> full(argument);
  llvm::sys::path::append(full, file);
  argument = full.str().str();
}

/// Folders are named by the file in them; without a translation the input's
/// extension chooses one. Nothing, with a message, where none can be chosen.
static std::vector<std::string> readArguments(int argc, char **argv) {
  std::vector<std::string> arguments(argv, argv + argc);
  bool chosen = llvm::any_of(arguments, [](StringRef argument) {
    StringRef name = argument.ltrim('-');
    return argument.starts_with("-") &&
           llvm::any_of(
               ArrayRef<StringRef>{"import-", "raise-", "mil-", "ane-", "help",
                                   "version"},
               [&](StringRef start) { return name.starts_with(start); });
  });
  auto asksFor = [&](StringRef start) {
    return llvm::any_of(arguments, [&](StringRef argument) {
      return argument.starts_with("-") &&
             argument.ltrim('-').starts_with(start);
    });
  };
  // Translations of MLIR read a package, or a text, by another one before them.
  bool follows = asksFor("mil-to-") && !asksFor("import-");
  std::string translation;
  for (size_t i = 1; i < arguments.size(); ++i) {
    if (takeFolder(arguments, i) || StringRef(arguments[i]).starts_with("-"))
      continue;
    StringRef extension =
        llvm::sys::path::extension(StringRef(arguments[i]).rtrim('/'));
    translation = extension == ".onnx"        ? "--import-onnx"
                  : extension == ".mil"       ? "--import-mil"
                  : extension == ".mlmodelc"  ? "--import-mil"
                  : extension == ".mlpackage" ? "--import-mlpackage"
                                              : translation;
    nameFile(arguments[i]);
  }
  if (!chosen && translation.empty()) {
    llvm::errs() << "ane-translate: expects a file that ends in .onnx, .mil, "
                    ".mlmodelc or .mlpackage, or one of --import-onnx, "
                    "--import-mil, --import-mlpackage, --raise-mil, "
                    "--mil-to-text, --mil-to-mlpackage, --ane-to-anepkg; see "
                    "--help\n";
    return {};
  }
  if (!chosen)
    arguments.push_back(translation);
  else if (follows && !translation.empty())
    arguments.insert(arguments.begin() + 1, translation);
  return arguments;
}

int main(int argc, char **argv) {
  registerTranslations();
  std::vector<std::string> arguments = readArguments(argc, argv);
  if (arguments.empty())
    return 2;
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
