//===- FuzzMIL.cpp - a MIL text, read and raised
//--------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "Fuzz.h"
#include "ane-mlir/Conversion/MILToANE.h"

using namespace mlir;
using namespace mlir::ane;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::string path = fuzz::writeInput("model.mil", data, size);
  fuzz::Listener context;
  FailureOr<MILSource> source = MILSource::open(path, &context);
  if (failed(source))
    return context.expectError(), 0;
  FailureOr<mil::FuncOp> function = source->function("");
  if (failed(function))
    return context.expectError(), 0;
  OwningOpRef<ModuleOp> module = ModuleOp::create(source->module->getLoc());
  OpBuilder builder = OpBuilder::atBlockEnd(module->getBody());
  if (failed(convertMILToFunction(builder, *function, source->weights)))
    context.expectError();
  return 0;
}
