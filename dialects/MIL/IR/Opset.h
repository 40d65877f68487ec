//===- Opset.h - which opset a statement needs ----------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_DIALECTS_MIL_IR_OPSET_H
#define ANEMLIR_DIALECTS_MIL_IR_OPSET_H

#include "dialects/MIL/IR/MIL.h"

namespace mlir::mil {

/// The number in "ios18"; 0 for another name.
int opsetNumber(llvm::StringRef opset);

/// The first opset, 15 … 18, that has everything in an operation: the name, the
/// arguments, and the types of its values (mil/operations.md §1). 0 for an
/// operation that no opset has.
int requiredOpset(OpOp op);
/// The floats among the operands of `op` that have to be of one type: not
/// scales, fill values, coordinates and epsilons, which have their own.
SmallVector<Value> operandsOfOneType(OpOp op);
/// Of a whole function, its parameters included; unknown operations need none.
int requiredOpset(FuncOp func);

/// The specification that brought an opset: 6 for ios15 … 9 for ios18, 10 for
/// ios26 (mil/package.md §3.4); 0 for another name.
int specificationOf(llvm::StringRef opset);
/// "CoreML5" is 15 … "CoreML8" 18, "CoreML9" 26; 0 for another key.
int opsetOfKey(llvm::StringRef key);
/// The key of an opset: "CoreML8" for "ios18"; the name itself where unknown.
std::string keyOfOpset(llvm::StringRef opset);

} // namespace mlir::mil

#endif // ANEMLIR_DIALECTS_MIL_IR_OPSET_H
