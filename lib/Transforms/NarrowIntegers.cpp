//===- NarrowIntegers.cpp - 64-bit integers become 32-bit -----------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "IntegerRanges.h"
#include "Reshape.h"
#include "Retype.h"
#include "ane-mlir/Interpreter/Tensor.h"
#include "ane-mlir/Transforms/Passes.h"
#include "dialects/ANE/IR/Structure.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;
using namespace mlir::ane;

namespace mlir::ane {
#define GEN_PASS_DEF_NARROWINTEGERSPASS
#include "ane-mlir/Transforms/Passes.h.inc"
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

/// Marks what computes 64-bit integers that ranges do not prove to fit the
/// narrow type: `ane.wide` makes the interpreter compute it in 64 bits and stop
/// where it does not fit. What never fits is an error. The first that is
/// marked, or null.
static FailureOr<Operation *> markUnproven(ModuleOp module, unsigned &count) {
  IntegerRanges ranges;
  Operation *first = nullptr;
  bool ok = true;
  module.walk<WalkOrder::PreOrder>([&](Operation *op) {
    for (OpResult result : op->getResults()) {
      auto type = dyn_cast<RankedTensorType>(result.getType());
      if (!type || !isa<IntegerType>(type.getElementType()))
        continue;
      IntegerRange limits = IntegerRanges::limitsOf(type.getElementType());
      std::optional<IntegerRange> range = ranges.compute(result);
      bool proven = range && limits.contains(*range);
      if (type.getElementType().getIntOrFloatBitWidth() < 64) {
        ranges.set(result, proven ? *range : limits); // smaller types wrap
        continue;
      }
      if (isa<ConstantOp>(op))
        continue;
      if (range && !limits.touches(*range) && type.hasStaticShape() &&
          type.getNumElements()) {
        op->emitError() << "its 64-bit integers are in [" << range->low << ", "
                        << range->high
                        << "], which does not fit 32 bits, and MIL has no "
                           "64-bit integers";
        ok = false;
      }
      ranges.set(result, range.value_or(limits));
      if (!proven) {
        op->setAttr(marks::kWide, UnitAttr::get(op->getContext()));
        first = first ? first : op;
        ++count;
      }
    }
  });
  if (!ok)
    return failure();
  return first;
}

namespace {
struct NarrowIntegers : ane::impl::NarrowIntegersPassBase<NarrowIntegers> {
  void runOnOperation() override {
    unsigned count = 0;
    FailureOr<Operation *> first = markUnproven(getOperation(), count);
    if (failed(first))
      return signalPassFailure();
    if (*first)
      (*first)->emitRemark()
          << "computes 64-bit integers in 32 bits, as " << count
          << (count == 1 ? " operation does" : " operations do")
          << " whose inputs decide whether they fit; ane-run stops where one "
             "does not";
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
