//===- PreparePackage.cpp - types that Core ML computes with --------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// Core ML's operations take fewer types than MIL text can spell: element-wise
// ones know fp16, fp32 and int32, select takes its shape from its values
// (mil/operations.md §1, as coremltools checks it).
//
//===----------------------------------------------------------------------===//

#include "LimitRank.h"
#include "Reshape.h"
#include "Retype.h"
#include "ane-mlir/Transforms/Passes.h"
#include "dialects/ANE/IR/Cast.h"
#include "dialects/ANE/IR/Comparison.h"
#include "dialects/ANE/IR/Gather.h"
#include "dialects/ANE/IR/Shape.h"
#include "dialects/ANE/IR/Structure.h"
#include "dialects/ANE/IR/WeightTrees.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;
using namespace mlir::ane;

namespace mlir::ane {
#define GEN_PASS_DEF_PREPAREPACKAGEPASS
#include "ane-mlir/Transforms/Passes.h.inc"
} // namespace mlir::ane

static Value castTo(OpBuilder &b, Location loc, Value v, Type element) {
  return CastOp::create(b, loc, typeOf(v).clone(element), v,
                        TypeAttr::get(element));
}
static bool isNarrow(Type type) {
  auto integer = dyn_cast<IntegerType>(type);
  return integer && integer.getWidth() > 1 && integer.getWidth() < 32;
}

/// Element-wise arithmetic on 8- and 16-bit integers is done in 32 bits; the
/// cast back wraps as the narrow type would.
static void widen(Operation *op) {
  OpBuilder b(op);
  Type i32 = b.getI32Type();
  for (OpOperand &operand : op->getOpOperands())
    if (isNarrow(typeOf(operand.get()).getElementType()))
      operand.set(castTo(b, op->getLoc(), operand.get(), i32));
  b.setInsertionPointAfter(op);
  for (Value result : op->getResults()) {
    Type narrow = typeOf(result).getElementType();
    if (!isNarrow(narrow))
      continue;
    result.setType(typeOf(result).clone(i32));
    Value back = castTo(b, op->getLoc(), result, narrow);
    result.replaceAllUsesExcept(back, back.getDefiningOp());
  }
}

/// A select whose values are both smaller than its result: one is stretched.
static void stretch(SelectOp op) {
  auto type = op.getType();
  if (!type.hasStaticShape() || typeOf(op.getA()) == type ||
      typeOf(op.getB()) == type)
    return;
  OpBuilder b(op);
  Value v = isConstantTree(op.getB()) ? op.getB() : op.getA();
  SmallVector<int64_t> shape(type.getRank() - typeOf(v).getRank(), 1), reps;
  llvm::append_range(shape, typeOf(v).getShape());
  for (auto [want, have] : llvm::zip(type.getShape(), shape))
    reps.push_back(have == 0 ? 1 : want / have);
  Value wide = TileOp::create(b, op.getLoc(), type,
                              reshapeTo(b, op.getLoc(), v, shape), reps);
  (v == op.getB() ? op.getBMutable() : op.getAMutable()).assign(wide);
}

/// Indexing takes no booleans.
static void widenBooleans(Operation *op) {
  OpBuilder b(op);
  Type i1 = b.getI1Type(), i32 = b.getI32Type();
  OpOperand &data = op->getOpOperand(0);
  if (typeOf(data.get()).getElementType() != i1)
    return;
  data.set(castTo(b, op->getLoc(), data.get(), i32));
  Value result = op->getResult(0);
  result.setType(typeOf(result).clone(i32));
  b.setInsertionPointAfter(op);
  Value back = castTo(b, op->getLoc(), result, i1);
  result.replaceAllUsesExcept(back, back.getDefiningOp());
}

namespace {
struct PreparePackage : ane::impl::PreparePackagePassBase<PreparePackage> {
  void runOnOperation() override {
    // Core ML has no unsigned 32-bit values at run time; boundaries are int32.
    Type i32 = IntegerType::get(&getContext(), 32);
    auto map = [&](Type type) {
      return type.isUnsignedInteger(32) ? i32 : type;
    };
    if (failed(retype(getOperation(), map,
                      [](ConstantOp, OpBuilder &) { return success(); })))
      return signalPassFailure();
    SmallVector<Operation *> ops;
    getOperation().walk([&](Operation *op) { ops.push_back(op); });
    std::optional<WeightTrees> trees(std::in_place);
    for (Operation *op : ops) {
      const OpInfo *info = lookupOpInfo(op->getName().getStringRef());
      if (!info || isConstantTree(op->getResult(0)))
        continue;
      if (isElementwise(op) && !isa<CastOp>(op))
        widen(op);
      if (isa<GatherOp, GatherNdOp, GatherAlongAxisOp>(op))
        widenBooleans(op);
      if (auto select = dyn_cast<SelectOp>(op))
        stretch(select);
    }
    // Values have at most five axes (mil/operations.md §1.0); reshapes in a row
    // that this leaves are one in the end.
    ops.clear();
    getOperation().walk([&](Operation *op) {
      if (lookupOpInfo(op->getName().getStringRef()) &&
          !isConstantTree(op->getResult(0)))
        ops.push_back(op);
    });
    trees.reset(); // ops are erased from here on
    for (Operation *op : ops)
      limitRank(op, 5);
  }
};
} // namespace
