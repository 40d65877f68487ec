//===- Infer.h - what the families' shape inference shares ----------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_DIALECTS_ANE_IR_INFER_H
#define ANEMLIR_DIALECTS_ANE_IR_INFER_H

#include "dialects/ANE/IR/ANEBase.h"

/// The head of OP::inferReturnTypes.
#define INFER(OP)                                                              \
  LogicalResult OP::inferReturnTypes(                                          \
      MLIRContext *context, std::optional<Location> loc, Adaptor adaptor,      \
      SmallVectorImpl<Type> &types)

namespace mlir::ane {
inline RankedTensorType tensorType(Value value) {
  return cast<RankedTensorType>(value.getType());
}
} // namespace mlir::ane

#endif // ANEMLIR_DIALECTS_ANE_IR_INFER_H
