//===- ane-reduce.cpp - shrinks a failing module --------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Compiler/InitAll.h"
#include "ane-mlir/Support/AtomicPath.h"
#include "mlir/Tools/mlir-reduce/MlirReduceMain.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  mlir::ane::registerAllDialects(registry);
  mlir::ane::registerAllPasses();
  mlir::MLIRContext context(registry);
  return mlir::ane::runWithOutput(argc, argv, [&](int argc, char **argv) {
    return int(mlir::failed(mlir::mlirReduceMain(argc, argv, context)));
  });
}
