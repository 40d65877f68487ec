//===- ReportAdvice.h - what would make a model faster --------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef LIB_COMPILER_REPORTADVICE_H
#define LIB_COMPILER_REPORTADVICE_H

#include "ane-mlir/Compiler/Report.h"

namespace mlir::ane {

/// Fills in `dearest`, `islands` and `targets` of a report; `ops` are those of
/// its rows.
void addAdvice(Report &report, llvm::ArrayRef<Operation *> ops,
               const Clock &clock);

} // namespace mlir::ane

#endif // LIB_COMPILER_REPORTADVICE_H
