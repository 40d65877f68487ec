//===- MILSource.cpp - MIL in any of its containers -----------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Import/MILSource.h"
#include "ane-mlir/Import/MIL.h"
#include "ane-mlir/Support/CoreMLFields.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

using namespace mlir;
using namespace mlir::ane;

bool MILSource::matches(StringRef path) {
  StringRef extension = llvm::sys::path::extension(path.rtrim('/'));
  return path == "-" || extension == ".mlpackage" || extension == ".mlmodelc" ||
         extension == ".mlmodel" || extension == ".mil";
}

FailureOr<MILSource> MILSource::open(StringRef path, MLIRContext *context) {
  MILSource source;
  auto fail = [&](const Twine &what) -> FailureOr<MILSource> {
    return emitError(NameLoc::get(StringAttr::get(context, path))) << what,
           failure();
  };
  StringRef extension = llvm::sys::path::extension(path.rtrim('/'));
  if (extension == ".mlpackage") {
    source.module = importMLPackage(path, context, &source.info);
    source.weights = weightsBelow(packageModelPath(path));
  } else if (extension == ".mlmodel") {
    source.module = importMLModel(path, path, context, &source.info);
    source.weights = weightsBelow(llvm::sys::path::parent_path(path));
  } else {
    SmallString<128> file(path);
    if (extension == ".mlmodelc") {
      llvm::sys::path::append(file, "model.mil");
      if (!llvm::sys::fs::exists(file)) {
        SmallString<128> older(path);
        llvm::sys::path::append(older, "model.espresso.net");
        return fail(llvm::sys::fs::exists(older)
                        ? "is a neural network of the format before iOS 15, "
                          "which this tool does not read; convert the original "
                          "model again to an ML Program"
                        : "has no model.mil");
      }
    }
    auto mapped = MappedFile::open(file);
    if (!mapped)
      return fail(llvm::toString(mapped.takeError()));
    source.module = importMILText(
        StringRef((*mapped)->data().data(), (*mapped)->data().size()),
        path == "-" ? StringRef("standard input") : StringRef(file), context);
    source.weights = weightsBelow(llvm::sys::path::parent_path(file));
  }
  if (!source.module)
    return failure();
  source.program = *source.module->getOps<mil::ProgramOp>().begin();
  return source;
}

FailureOr<mil::FuncOp> MILSource::function(StringRef name) const {
  auto functions =
      llvm::to_vector(mil::ProgramOp(program).getBody().getOps<mil::FuncOp>());
  auto find = [&](StringRef wanted) -> mil::FuncOp {
    for (mil::FuncOp func : functions)
      if (func.getSymName() == wanted)
        return func;
    return {};
  };
  if (!name.empty()) {
    if (mil::FuncOp found = find(name))
      return found;
  } else {
    for (StringRef wanted :
         {StringRef(info.defaultFunction), StringRef("main")})
      if (mil::FuncOp found = find(wanted))
        return found;
    if (!functions.empty())
      return functions.front();
  }
  InFlightDiagnostic diagnostic = emitError(mil::ProgramOp(program).getLoc());
  if (functions.empty())
    diagnostic << "has no function";
  else
    diagnostic << "has no function '" << name << "'; it has ";
  llvm::interleaveComma(functions, diagnostic, [&](mil::FuncOp func) {
    diagnostic << func.getSymName();
  });
  return diagnostic;
}

const PackageInfo::Function *MILSource::describe(mil::FuncOp func) const {
  for (const PackageInfo::Function &described : info.functions)
    if (described.name == func.getSymName())
      return &described;
  return nullptr;
}

SmallVector<int64_t> mlir::ane::imageShape(const PackageFeature &feature,
                                           ArrayRef<int64_t> size) {
  bool colours =
      feature.colorSpace == coreml::kRGB || feature.colorSpace == coreml::kBGR;
  return {1, colours ? 3 : 1, size[0], size[1]};
}

mil::ShapeBindings
MILSource::bindShapes(mil::FuncOp func, const mil::ShapeBindings &given) const {
  mil::ShapeBindings shapes;
  if (const PackageInfo::Function *described = describe(func))
    for (const PackageFeature &feature : described->inputs) {
      if (feature.kind == PackageFeature::Kind::Array &&
          !feature.shape.empty() &&
          llvm::all_of(feature.shape, [](int64_t dim) { return dim > 0; }))
        shapes[feature.name] = feature.shape;
      else if (feature.kind == PackageFeature::Kind::Image &&
               llvm::all_of(feature.shape, [](int64_t dim) { return dim > 0; }))
        shapes[feature.name] = imageShape(feature, feature.shape);
    }
  for (auto &entry : given)
    shapes[entry.getKey()] = entry.getValue();
  return shapes;
}
