//===- LoadedProgram.cpp - one program of MIL in the interpreter ----------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Artifact/LoadedProgram.h"
#include "ane-mlir/Conversion/MILToANE.h"
#include "dialects/ANE/IR/Structure.h"

using namespace mlir;
using namespace mlir::ane;

FailureOr<LoadedProgram> LoadedProgram::raise(MILSource source,
                                              const LoadOptions &options) {
  FailureOr<mil::FuncOp> entry = source.function(options.function);
  if (failed(entry))
    return failure();
  OpBuilder builder = OpBuilder::atBlockEnd(source.module->getBody());
  FailureOr<ProgramOp> raised =
      convertMILToANE(builder, *entry, "raised", source.weights,
                      source.bindShapes(*entry, options.shapes));
  if (failed(raised))
    return failure();
  source.program.erase(); // the raised program is what runs
  LoadedProgram loaded;
  loaded.module = std::move(source.module);
  loaded.program = *raised;
  return loaded;
}

LogicalResult LoadedProgram::run(ArrayRef<Tensor> arguments,
                                 SmallVectorImpl<Tensor> &results,
                                 Numerics numerics,
                                 const BlockInterpreter::Observer &observer) {
  auto &interpreter = interpreters[unsigned(numerics)];
  if (!interpreter)
    interpreter = std::make_unique<BlockInterpreter>(program.getBody().front(),
                                                     numerics, engine);
  return interpreter->run(arguments, results, observer);
}
