//===- NarrowIntegers.cpp - 64-bit integers become 32-bit -----------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "Retype.h"
#include "ane-mlir/Interpreter/Tensor.h"
#include "ane-mlir/Transforms/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;
using namespace mlir::ane;

namespace mlir::ane {
#define GEN_PASS_DEF_NARROWINTEGERSPASS
#include "include/ane-mlir/Transforms/Passes.h.inc"
} // namespace mlir::ane

/// 32-bit counterpart of a 64-bit integer type, or the type itself.
static Type narrow(Type type) {
  auto integer = dyn_cast<IntegerType>(type);
  return integer && integer.getWidth() == 64
             ? IntegerType::get(type.getContext(), 32, integer.getSignedness())
             : type;
}

/// True when every element fits the narrow type; the first that does not is in
/// `offender`.
static bool fits(ConstantOp op, int64_t &offender) {
  FailureOr<Tensor> tensor = Tensor::fromElements(op.getValue());
  if (failed(tensor))
    return false;
  bool isUnsigned = op.getType().getElementType().isUnsignedInteger();
  for (int64_t value : tensor->ints())
    if (isUnsigned ? uint64_t(value) > UINT32_MAX
                   : value < INT32_MIN || value > INT32_MAX) {
      offender = value;
      return false;
    }
  return true;
}

namespace {
struct NarrowIntegers : ane::impl::NarrowIntegersPassBase<NarrowIntegers> {
  void runOnOperation() override {
    if (failed(retype(getOperation(), narrow,
                      [](ConstantOp op, OpBuilder &builder) -> LogicalResult {
                        int64_t offender = 0;
                        if (!fits(op, offender))
                          return emitError(op.getLoc())
                                 << "constant " << offender
                                 << " does not fit 32 bits, and MIL has no "
                                    "64-bit integers";
                        return success();
                      })))
      signalPassFailure();
  }
};
} // namespace
