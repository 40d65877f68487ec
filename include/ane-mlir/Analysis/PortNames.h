//===- PortNames.h - what a user calls inputs and outputs -----------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_ANALYSIS_PORTNAMES_H
#define ANEMLIR_ANALYSIS_PORTNAMES_H

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace mlir::ane {

/// The model's names of the inputs of `main`, then of its outputs (`ane.name`);
/// "input0" and "output0" where it gave none.
std::vector<std::string> getPortNames(func::FuncOp main);

} // namespace mlir::ane

#endif // ANEMLIR_ANALYSIS_PORTNAMES_H
