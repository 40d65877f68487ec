//===- FunctionPlan.h - functions of a bundle beside each other -----------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_LIB_COMPILER_FUNCTIONPLAN_H
#define ANEMLIR_LIB_COMPILER_FUNCTIONPLAN_H

#include "Buckets.h"
#include "ane-mlir/Compiler/Report.h"
#include "mlir/IR/OwningOpRef.h"

namespace mlir::ane {

/// Adds to the report of the first of several placed functions what each is
/// predicted to take and, where they keep states and differ in one extent, the
/// plan: how a text goes through them. `wanted` replaces it (parseTextPlan); an
/// error where it does not fit, or where there is nothing to plan.
llvm::Error addFunctions(Report &report, ArrayRef<Bucket> buckets,
                         ArrayRef<OwningOpRef<ModuleOp>> modules,
                         StringRef wanted);

} // namespace mlir::ane

#endif // ANEMLIR_LIB_COMPILER_FUNCTIONPLAN_H
