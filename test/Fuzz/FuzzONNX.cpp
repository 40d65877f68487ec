//===- FuzzONNX.cpp - an ONNX file, imported and optimised
//----------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "Fuzz.h"
#include "ane-mlir/Conversion/ONNXToANE.h"
#include "ane-mlir/Import/ONNX.h"

using namespace mlir;
using namespace mlir::ane;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::string path = fuzz::writeInput("model.onnx", data, size);
  fuzz::Listener context;
  OwningOpRef<ModuleOp> module = importONNX(path, &context);
  if (!module)
    return context.expectError(), 0;
  ONNXToANEOptions options;
  options.half = true;
  if (failed(convertONNXToANE(*module, options)))
    return context.expectError(), 0;
  (*module)->setAttr("ane.target",
                     TargetAttr::get(module->getContext(), "h16"));
  PassManager pm(&context);
  PipelineOptions pipeline;
  buildOptimizePipeline(pm, pipeline);
  buildRepairPipeline(pm, pipeline);
  if (failed(pm.run(*module)))
    context.expectError();
  return 0;
}
