//===- KeepWide.h - rewritten 64-bit integers stay told -------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_LIB_TRANSFORMS_KEEPWIDE_H
#define ANEMLIR_LIB_TRANSFORMS_KEEPWIDE_H

#include "ane-mlir/Analysis/Placement.h"
#include "dialects/ANE/IR/Structure.h"
#include "mlir/IR/PatternMatch.h"

namespace mlir::ane {

/// What replaces an operation that computes 64-bit integers in 32 (`ane.wide`)
/// does so too: every integer that is computed between its operands and its
/// results.
struct KeepWide : RewriterBase::Listener {
  void notifyOperationReplaced(Operation *op, ValueRange replacement) override {
    if (!op->hasAttr(marks::kWide))
      return;
    llvm::DenseSet<Value> seen(op->operand_begin(), op->operand_end());
    SmallVector<Value> stack(replacement);
    while (!stack.empty()) {
      Value v = stack.pop_back_val();
      Operation *made = v.getDefiningOp();
      auto type = dyn_cast<RankedTensorType>(v.getType());
      if (!made || !seen.insert(v).second || isa<ConstantOp>(made) || !type)
        continue;
      if (type.getElementType().isInteger(32) && !isMovement(made))
        made->setAttr(marks::kWide, UnitAttr::get(made->getContext()));
      llvm::append_range(stack, made->getOperands());
    }
  }
};

} // namespace mlir::ane

#endif // ANEMLIR_LIB_TRANSFORMS_KEEPWIDE_H
