//===- Retype.h - changing an element type everywhere ---------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_LIB_TRANSFORMS_RETYPE_H
#define ANEMLIR_LIB_TRANSFORMS_RETYPE_H

#include "dialects/ANE/IR/Structure.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinOps.h"

namespace mlir::ane {

/// Applies `map` to the element type of every value, cast target and function
/// signature. Constants whose type changes are first offered to `check`, then
/// keep their value and get a cast behind them (folded when small).
LogicalResult
retype(ModuleOp module, function_ref<Type(Type)> map,
       function_ref<LogicalResult(ConstantOp, OpBuilder &)> check);

} // namespace mlir::ane

#endif // ANEMLIR_LIB_TRANSFORMS_RETYPE_H
