//===- UnifyShapes.h - one function for several shapes --------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_TRANSFORMS_UNIFYSHAPES_H
#define ANEMLIR_TRANSFORMS_UNIFYSHAPES_H

#include "dialects/MIL/IR/MIL.h"

namespace mlir::ane {

/// Makes the first of several functions, which were compiled from one model for
/// different shapes, right for all of those shapes: extents in which they
/// differ become unknown, reshapes infer them. Returns "" on success, else
/// which operation stands against it (and then nothing is changed). References
/// to weights must be equal where the weights are.
std::string unifyShapes(ArrayRef<mil::FuncOp> functions);

} // namespace mlir::ane

#endif // ANEMLIR_TRANSFORMS_UNIFYSHAPES_H
