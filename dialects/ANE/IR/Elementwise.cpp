//===- Elementwise.cpp - unary, binary, select, cast ----------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "dialects/ANE/IR/Activation.h"
#include "dialects/ANE/IR/Cast.h"
#include "dialects/ANE/IR/Comparison.h"
#include "dialects/ANE/IR/Trigonometry.h"
#include "dialects/ANE/IR/Unary.h"

using namespace mlir;
using namespace mlir::ane;

LogicalResult SelectOp::inferReturnTypes(MLIRContext *context,
                                         std::optional<Location> loc,
                                         Adaptor adaptor,
                                         SmallVectorImpl<Type> &types) {
  SmallVector<Type> branches;
  if (failed(inferBroadcast(context, loc, getOperationName(),
                            {adaptor.getA(), adaptor.getB()}, nullptr,
                            branches)))
    return failure();
  // The condition takes part in broadcasting with its own element type: compare
  // shapes only.
  auto result = cast<RankedTensorType>(branches[0]);
  auto cond = cast<RankedTensorType>(adaptor.getCond().getType());
  SmallVector<int64_t> shape(result.getShape());
  if (cond.getRank() > (int64_t)shape.size())
    shape.insert(shape.begin(), cond.getRank() - shape.size(), 1);
  for (int64_t i = 1; i <= cond.getRank(); ++i) {
    int64_t dim = cond.getDimSize(cond.getRank() - i);
    int64_t &have = shape[shape.size() - i];
    if (have == 1)
      have = dim;
    else if (dim != 1 && dim != have && !ShapedType::isDynamic(dim) &&
             !ShapedType::isDynamic(have))
      return emitOptionalError(
          loc, "'ane.select' op expects 'cond' to broadcast with ", result,
          ", but got ", cond);
  }
  types.push_back(RankedTensorType::get(shape, result.getElementType()));
  return success();
}

LogicalResult CastOp::inferReturnTypes(MLIRContext *, std::optional<Location>,
                                       Adaptor adaptor,
                                       SmallVectorImpl<Type> &types) {
  types.push_back(cast<RankedTensorType>(adaptor.getX().getType())
                      .clone(adaptor.getDtype()));
  return success();
}

OpFoldResult CastOp::fold(FoldAdaptor) {
  return getX().getType() == getType() ? OpFoldResult(getX()) : OpFoldResult();
}
OpFoldResult IdentityOp::fold(FoldAdaptor) {
  return getX().getType() == getType() ? OpFoldResult(getX()) : OpFoldResult();
}

void CastOp::findViolations(const Target &target, ViolationList &violations) {
  // fp16 <-> bool, int8, uint8, int16 compile; int32 does not
  // (engine/operations.md §1.11.6).
  auto ok = [](Type type) {
    return type.isF16() || type.isInteger(1) || type.isInteger(8);
  };
  Type from = getX().getType().getElementType(),
       to = getY().getType().getElementType();
  findCommonViolations(*this, target, violations);
  if (ok(from) && ok(to))
    llvm::erase_if(violations, [](const Violation &violation) {
      return violation.rule == "L06";
    });
}

static void findTrigViolations(Operation *op, const Target &target,
                               ViolationList &violations) {
  findCommonViolations(op, target, violations);
  if (target.family < 4) // S23: native from H15
    violations.push_back({"S23", lookupRule("S23")->text.str()});
}
void SinOp::findViolations(const Target &target, ViolationList &violations) {
  findTrigViolations(*this, target, violations);
}
void CosOp::findViolations(const Target &target, ViolationList &violations) {
  findTrigViolations(*this, target, violations);
}

/// Per-channel parameters: rank 1, as long as axis 1 of x.
static LogicalResult verifyChannelParameter(Operation *op, StringRef name,
                                            Value x, Value parameter) {
  auto type = cast<RankedTensorType>(x.getType()),
       vector = cast<RankedTensorType>(parameter.getType());
  if (type.getRank() >= 2 && vector.getRank() == 1 &&
      (vector.getDimSize(0) == type.getDimSize(1) || type.isDynamicDim(1)))
    return success();
  return op->emitOpError() << "expects '" << name
                           << "' to have one element per channel of " << type
                           << ", but got " << vector;
}
LogicalResult PreluOp::verify() {
  return verifyChannelParameter(*this, "alpha", getX(), getAlpha());
}
LogicalResult SoftplusParametricOp::verify() {
  if (failed(verifyChannelParameter(*this, "alpha", getX(), getAlpha())))
    return failure();
  return verifyChannelParameter(*this, "beta", getX(), getBeta());
}
