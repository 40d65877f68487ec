//===- Quant.cpp - quantise, dequantise, compressed constants -------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "dialects/ANE/IR/Quant.h"

using namespace mlir;
using namespace mlir::ane;

/// scale is a scalar, or a vector along `axis`.
static LogicalResult checkScale(std::optional<Location> loc, StringRef opName,
                                RankedTensorType x, RankedTensorType scale,
                                std::optional<int64_t> axis) {
  if (scale.getRank() == 0)
    return success();
  FailureOr<int64_t> normal = normalizeAxis(loc, opName, axis.value_or(0),
                                            std::max<int64_t>(x.getRank(), 1));
  if (failed(normal))
    return failure();
  if (!axis || scale.getRank() != 1 ||
      scale.getDimSize(0) != x.getDimSize(*normal))
    return emitOptionalError(
        loc, "'", opName,
        "' op expects 'scale' to be a scalar or a vector along 'axis' of ", x,
        ", but got ", scale);
  return success();
}

LogicalResult QuantizeOp::inferReturnTypes(MLIRContext *,
                                           std::optional<Location> loc,
                                           Adaptor adaptor,
                                           SmallVectorImpl<Type> &types) {
  auto x = cast<RankedTensorType>(adaptor.getInput().getType());
  types.push_back(x.clone(adaptor.getOutputDtype()));
  return checkScale(loc, getOperationName(), x,
                    cast<RankedTensorType>(adaptor.getScale().getType()),
                    adaptor.getAxis());
}

LogicalResult DequantizeOp::inferReturnTypes(MLIRContext *,
                                             std::optional<Location> loc,
                                             Adaptor adaptor,
                                             SmallVectorImpl<Type> &types) {
  auto x = cast<RankedTensorType>(adaptor.getInput().getType()),
       scale = cast<RankedTensorType>(adaptor.getScale().getType());
  types.push_back(x.clone(scale.getElementType()));
  return checkScale(loc, getOperationName(), x, scale, adaptor.getAxis());
}

/// Bytes between quantize and dequantize are no integer arithmetic (L06): both
/// were evaluated with one scale for the whole tensor (L36,
/// engine/operations.md §1.11.6).
template <typename Op>
static void findCodeViolations(Op op, Type codes, const Target &target,
                               ViolationList &violations) {
  findCommonViolations(op, target, violations);
  if (target.hasRule("L36"))
    violations.push_back({"L36", lookupRule("L36")->text.str()});
  if (!codes.isInteger(8) || op.getAxis() || !isConstantTree(op.getScale()) ||
      (op.getZeroPoint() && !isConstantTree(op.getZeroPoint())))
    return;
  llvm::erase_if(violations, [](const Violation &violation) {
    return violation.rule == "L06";
  });
}
void QuantizeOp::findViolations(const Target &target,
                                ViolationList &violations) {
  findCodeViolations(*this, getType().getElementType(), target, violations);
}
void DequantizeOp::findViolations(const Target &target,
                                  ViolationList &violations) {
  findCodeViolations(*this, getElementTypeOrSelf(getInput()), target,
                     violations);
}

LogicalResult ConstexprBlockwiseShiftScaleOp::inferReturnTypes(
    MLIRContext *, std::optional<Location> loc, Adaptor adaptor,
    SmallVectorImpl<Type> &types) {
  auto data = cast<RankedTensorType>(adaptor.getData().getType()),
       scale = cast<RankedTensorType>(adaptor.getScale().getType());
  bool ok = data.getRank() == scale.getRank();
  for (int64_t i = 0; ok && i < data.getRank(); ++i)
    ok = scale.getDimSize(i) > 0 &&
         data.getDimSize(i) % scale.getDimSize(i) == 0;
  if (!ok)
    return emitOptionalError(loc,
                             "'ane.constexpr_blockwise_shift_scale' op expects "
                             "each axis of 'scale' to divide that of ",
                             data, ", but got ", scale);
  types.push_back(data.clone(scale.getElementType()));
  return success();
}

/// The dense type of a table's entries at `indices`; V of them along
/// `vectorAxis`.
static LogicalResult inferLookUp(std::optional<Location> loc, StringRef opName,
                                 Type indicesType, Type lutType,
                                 std::optional<int64_t> vectorAxis,
                                 SmallVectorImpl<Type> &types) {
  auto indices = cast<RankedTensorType>(indicesType),
       lut = cast<RankedTensorType>(lutType);
  int64_t rank = indices.getRank();
  bool ok = lut.getRank() == rank + 2 && indices.hasStaticShape() &&
            lut.hasStaticShape();
  for (int64_t i = 0; ok && i < rank; ++i)
    ok =
        lut.getDimSize(i) > 0 && indices.getDimSize(i) % lut.getDimSize(i) == 0;
  if (!ok)
    return emitOptionalError(
        loc, "'", opName,
        "' op expects a table [groups…, entries, values] whose groups divide ",
        indices, ", but got ", lut);
  SmallVector<int64_t> shape(indices.getShape());
  if (int64_t width = lut.getShape().back(); width != 1) {
    if (!vectorAxis)
      return emitOptionalError(loc, "'", opName,
                               "' op expects 'vector_axis' for entries of ",
                               width, " values");
    FailureOr<int64_t> axis =
        normalizeAxis(loc, opName, *vectorAxis, std::max<int64_t>(rank, 1));
    if (failed(axis))
      return failure();
    shape[*axis] *= width;
  }
  types.push_back(RankedTensorType::get(shape, lut.getElementType()));
  return success();
}

LogicalResult ConstexprLutToDenseOp::inferReturnTypes(
    MLIRContext *, std::optional<Location> loc, Adaptor adaptor,
    SmallVectorImpl<Type> &types) {
  return inferLookUp(loc, getOperationName(), adaptor.getIndices().getType(),
                     adaptor.getLut().getType(), adaptor.getVectorAxis(),
                     types);
}

LogicalResult ConstexprSparseToDenseOp::inferReturnTypes(
    MLIRContext *, std::optional<Location>, Adaptor adaptor,
    SmallVectorImpl<Type> &types) {
  types.push_back(cast<RankedTensorType>(adaptor.getMask().getType())
                      .clone(getElementTypeOrSelf(adaptor.getNonzeroData())));
  return success();
}

LogicalResult ConstexprLutToSparseOp::inferReturnTypes(
    MLIRContext *, std::optional<Location> loc, Adaptor adaptor,
    SmallVectorImpl<Type> &types) {
  SmallVector<Type> dense;
  if (failed(inferLookUp(
          loc, getOperationName(), adaptor.getIndicesMask().getType(),
          adaptor.getLut().getType(), adaptor.getVectorAxis(), dense)))
    return failure();
  auto lut = cast<RankedTensorType>(adaptor.getLut().getType());
  int64_t values =
      cast<RankedTensorType>(adaptor.getIndicesNonzeroData().getType())
          .getNumElements() *
      lut.getShape().back();
  types.push_back(cast<RankedTensorType>(dense[0]).clone(
      getElementTypeOrSelf(adaptor.getIndicesMask())));
  types.push_back(RankedTensorType::get({values}, lut.getElementType()));
  return success();
}

LogicalResult ConstexprSparseBlockwiseShiftScaleOp::inferReturnTypes(
    MLIRContext *, std::optional<Location> loc, Adaptor adaptor,
    SmallVectorImpl<Type> &types) {
  auto mask = cast<RankedTensorType>(adaptor.getDataMask().getType()),
       scale = cast<RankedTensorType>(adaptor.getScale().getType());
  bool ok = mask.getRank() == scale.getRank();
  for (int64_t i = 0; ok && i < mask.getRank(); ++i)
    ok = scale.getDimSize(i) > 0 &&
         mask.getDimSize(i) % scale.getDimSize(i) == 0;
  if (!ok)
    return emitOptionalError(
        loc, "'", getOperationName(),
        "' op expects each axis of 'scale' to divide that of ", mask,
        ", but got ", scale);
  types.push_back(mask);
  types.push_back(cast<RankedTensorType>(adaptor.getNonzeroData().getType())
                      .clone(scale.getElementType()));
  return success();
}
