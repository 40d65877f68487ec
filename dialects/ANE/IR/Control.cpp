//===- Control.cpp - branches and loops -----------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "dialects/ANE/IR/Control.h"

using namespace mlir;
using namespace mlir::ane;

static LogicalResult checkBlock(Operation *op, Region &region, StringRef name,
                                TypeRange arguments, TypeRange results) {
  Block &block = region.front();
  if (!areCompatible(block.getArgumentTypes(), arguments))
    return op->emitOpError() << "expects block '" << name
                             << "' to take the types of its operands";
  if (!areCompatible(block.getTerminator()->getOperandTypes(), results))
    return op->emitOpError() << "expects block '" << name
                             << "' to yield the types of its results";
  return success();
}

LogicalResult CondOp::verify() {
  if (getPred().getType().getRank() != 0)
    return emitOpError() << "expects 'pred' to be a scalar, but got "
                         << getPred().getType();
  if (failed(checkBlock(*this, getThenRegion(), "then", getInputs().getTypes(),
                        getResultTypes())))
    return failure();
  return checkBlock(*this, getElseRegion(), "else", getInputs().getTypes(),
                    getResultTypes());
}

LogicalResult WhileLoopOp::verify() {
  Type condition = RankedTensorType::get({}, IntegerType::get(getContext(), 1));
  if (!areCompatible(getLoopVars().getTypes(), getResultTypes()))
    return emitOpError() << "expects one result of the type of each variable";
  if (failed(checkBlock(*this, getCondition(), "condition",
                        getOperands().getTypes(), condition)))
    return failure();
  return checkBlock(*this, getBody(), "body", getOperands().getTypes(),
                    getResultTypes());
}

/// What runs how often is known to the data alone.
static void findControlViolations(ViolationList &violations) {
  violations.push_back({"L05", "branches and loops do not compile"});
}
void CondOp::findViolations(const Target &, ViolationList &violations) {
  findControlViolations(violations);
}
void WhileLoopOp::findViolations(const Target &, ViolationList &violations) {
  findControlViolations(violations);
}

/// One pass through the blocks.
static Cost controlCost(Operation *op, const Target &target) {
  Cost cost;
  for (Region &region : op->getRegions())
    for (Operation &inner : region.front())
      if (auto model = dyn_cast<CostOpInterface>(inner))
        cost.flops += model.estimateCost(target).flops;
  addTraffic(op, cost);
  return cost;
}
Cost CondOp::estimateCost(const Target &target) {
  return controlCost(*this, target);
}
Cost WhileLoopOp::estimateCost(const Target &target) {
  return controlCost(*this, target);
}

void YieldOp::build(OpBuilder &, OperationState &) {}
