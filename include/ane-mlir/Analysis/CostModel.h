//===- CostModel.h - predicted time of engine programs --------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_ANALYSIS_COSTMODEL_H
#define ANEMLIR_ANALYSIS_COSTMODEL_H

#include "dialects/ANE/IR/ANE.h"

namespace mlir::ane {

/// Predicted microseconds of one op on the engine, without dispatch: the
/// largest of compute, weight streaming and activation traffic at the target's
/// rates (ane-target.md §5.9). Nothing here was measured on a device.
double predictMicros(const Cost &cost, const Target &target);

/// Predicted microseconds of one dispatch of an engine program; 0 for host
/// programs, which have no model yet.
double predictMicros(ProgramOp program, const Target &target);

} // namespace mlir::ane

#endif // ANEMLIR_ANALYSIS_COSTMODEL_H
