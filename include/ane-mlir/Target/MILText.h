//===- MILText.h - mil dialect to MIL text --------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_TARGET_MILTEXT_H
#define ANEMLIR_TARGET_MILTEXT_H

#include "dialects/MIL/IR/MIL.h"
#include "llvm/Support/raw_ostream.h"

namespace mlir::mil {

/// Prints `program` as coremlc lays it out; a pure function of the IR. Fails
/// (with a diagnostic) on values that have no spelling: weights without an
/// offset.
LogicalResult printMILText(ProgramOp program, llvm::raw_ostream &os);

} // namespace mlir::mil

#endif // ANEMLIR_TARGET_MILTEXT_H
