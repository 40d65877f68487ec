//===- Marks.h - what passes and readers leave on operations -------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// Names of the attributes of Marks.td: marks::kPlacement is "ane.placement".
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_DIALECTS_ANE_IR_MARKS_H
#define ANEMLIR_DIALECTS_ANE_IR_MARKS_H

#include "llvm/ADT/StringRef.h"

namespace mlir::ane::marks {
#define ANE_MARK_NAMES
#include "dialects/ANE/IR/Marks.inc"
} // namespace mlir::ane::marks

#endif // ANEMLIR_DIALECTS_ANE_IR_MARKS_H
