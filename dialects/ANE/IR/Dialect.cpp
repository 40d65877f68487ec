//===- Dialect.cpp - the ane dialect and shared inference -----------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "dialects/ANE/IR/Cast.h"
#include "dialects/ANE/IR/Comparison.h"
#include "dialects/ANE/IR/Gather.h"
#include "dialects/ANE/IR/Shape.h"
#include "dialects/ANE/IR/Structure.h"
#include "dialects/ANE/IR/TargetNames.h"
#include "dialects/ANE/IR/Unary.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "mlir/IR/TypeUtilities.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::ane;

#include "dialects/ANE/IR/ANEDialect.cpp.inc"
#include "dialects/ANE/IR/ANEEnums.cpp.inc"
#include "dialects/ANE/IR/ANEInterfaces.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/ANE/IR/ANEAttrs.cpp.inc"

namespace mlir::ane {
#define ANE_FAMILY(NAME) void add##NAME##Ops(ANEDialect &dialect);
#include "dialects/ANE/IR/Families.inc"
} // namespace mlir::ane

void ANEDialect::initialize() {
#define ANE_FAMILY(NAME) add##NAME##Ops(*this);
#include "dialects/ANE/IR/Families.inc"
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/ANE/IR/ANEAttrs.cpp.inc"
      >();
}

Operation *ANEDialect::materializeConstant(OpBuilder &builder, Attribute value,
                                           Type type, Location loc) {
  auto elements = dyn_cast<ElementsAttr>(value);
  if (!elements || elements.getType() != type)
    return nullptr;
  return ConstantOp::create(builder, loc, type, elements);
}

LogicalResult TargetAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                 StringRef name) {
  if (lookupTarget(name))
    return success();
  return emitError() << describeUnknownTarget(name);
}

const Target &mlir::ane::getTarget(Operation *op) {
  for (Operation *parent = op; parent; parent = parent->getParentOp())
    if (auto attr = parent->getAttrOfType<TargetAttr>(marks::kTarget))
      return *lookupTarget(attr.getName());
  return getDefaultTarget();
}

bool mlir::ane::areCompatible(TypeRange inferred, TypeRange declared) {
  if (inferred.size() != declared.size())
    return false;
  return llvm::all_of(llvm::zip(inferred, declared), [](auto pair) {
    return getElementTypeOrSelf(std::get<0>(pair)) ==
               getElementTypeOrSelf(std::get<1>(pair)) &&
           succeeded(
               verifyCompatibleShape(std::get<0>(pair), std::get<1>(pair)));
  });
}

static int64_t clampIndex(int64_t v, int64_t extent, int64_t step) {
  if (v < 0)
    v += extent;
  return step > 0 ? std::clamp<int64_t>(v, 0, extent)
                  : std::clamp<int64_t>(v, -1, extent - 1);
}

int64_t mlir::ane::getSliceStart(int64_t extent, std::optional<int64_t> begin,
                                 int64_t step) {
  return begin ? clampIndex(*begin, extent, step) : step > 0 ? 0 : extent - 1;
}

int64_t mlir::ane::getSliceExtent(int64_t extent, std::optional<int64_t> begin,
                                  std::optional<int64_t> end, int64_t step) {
  int64_t from = getSliceStart(extent, begin, step),
          to = end        ? clampIndex(*end, extent, step)
               : step > 0 ? extent
                          : -1;
  return std::max<int64_t>(0, step > 0 ? (to - from + step - 1) / step
                                       : (from - to - step - 1) / -step);
}

FailureOr<int64_t> mlir::ane::normalizeAxis(std::optional<Location> loc,
                                            StringRef opName, int64_t axis,
                                            int64_t rank) {
  if (axis >= -rank && axis < rank)
    return axis < 0 ? axis + rank : axis;
  return emitOptionalError(loc, "'", opName, "' op expects an axis in [", -rank,
                           ", ", rank, "), but got ", axis);
}

LogicalResult mlir::ane::inferBroadcast(MLIRContext *context,
                                        std::optional<Location> loc,
                                        StringRef opName, ValueRange operands,
                                        Type element,
                                        SmallVectorImpl<Type> &types) {
  SmallVector<int64_t> shape;
  auto first = cast<RankedTensorType>(operands.front().getType());
  for (Value operand : operands) {
    auto type = cast<RankedTensorType>(operand.getType());
    if (type.getElementType() != first.getElementType())
      return emitOptionalError(
          loc, "'", opName,
          "' op expects operands of one element type, but got ",
          first.getElementType(), " and ", type.getElementType());
    if (type.getRank() > (int64_t)shape.size())
      shape.insert(shape.begin(), type.getRank() - shape.size(), 1);
    for (int64_t i = 1; i <= type.getRank(); ++i) {
      int64_t &have = shape[shape.size() - i];
      int64_t dim = type.getDimSize(type.getRank() - i);
      if (have == dim || dim == 1)
        continue;
      if (have == 1 || ShapedType::isDynamic(have))
        have = dim;
      else if (!ShapedType::isDynamic(dim))
        return emitOptionalError(loc, "'", opName,
                                 "' op expects shapes that broadcast, but got ",
                                 first, " and ", type);
    }
  }
  types.push_back(
      RankedTensorType::get(shape, element ? element : first.getElementType()));
  return success();
}

LogicalResult mlir::ane::inferReduction(std::optional<Location> loc,
                                        StringRef opName, Type x,
                                        std::optional<ArrayRef<int64_t>> axes,
                                        bool keepDims, Type element,
                                        SmallVectorImpl<Type> &types) {
  auto type = cast<RankedTensorType>(x);
  SmallVector<bool> reduced(type.getRank(), !axes);
  if (axes)
    for (int64_t axis : *axes) {
      FailureOr<int64_t> normal =
          normalizeAxis(loc, opName, axis, type.getRank());
      if (failed(normal))
        return failure();
      reduced[*normal] = true;
    }
  SmallVector<int64_t> shape;
  for (auto [dim, gone] : llvm::zip(type.getShape(), reduced))
    if (!gone)
      shape.push_back(dim);
    else if (keepDims)
      shape.push_back(1);
  types.push_back(
      RankedTensorType::get(shape, element ? element : type.getElementType()));
  return success();
}

/// Bytes of a static tensor type; unknown dimensions count as 1.
static double byteSize(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  if (!tensor || !tensor.getElementType().isIntOrFloat())
    return 0;
  double bytes = tensor.getElementTypeBitWidth() / 8.0;
  for (int64_t dim : tensor.getShape())
    bytes *= ShapedType::isDynamic(dim) ? 1 : dim;
  return bytes;
}

bool mlir::ane::isFunctionOfOperands(Operation *op) {
  return op->getNumOperands() && isa<EvaluateOpInterface>(op) &&
         isMemoryEffectFree(op);
}

bool mlir::ane::isCompressed(Operation *op) {
  return op && op->hasAttr(marks::kCompressed);
}

bool mlir::ane::isElementwise(Operation *op) {
  const OpInfo *info = lookupOpInfo(op->getName().getStringRef());
  return isa<SelectOp, CastOp, GeluOp>(op) || (info && info->elementwise);
}

void mlir::ane::addTraffic(Operation *op, Cost &cost) {
  // Of a table only the rows that are taken.
  bool selects = isa<GatherOp, GatherAlongAxisOp, GatherNdOp, SliceByIndexOp,
                     SliceBySizeOp>(op);
  for (auto [i, operand] : llvm::enumerate(op->getOperands())) {
    double bytes = byteSize(operand.getType());
    if (Operation *producer = operand.getDefiningOp(); isCompressed(producer)) {
      bytes = 0; // its parts are what is streamed
      for (Value part : producer->getOperands())
        bytes += byteSize(part.getType());
    }
    if (selects && i == 0)
      bytes = std::min<double>(bytes, byteSize(op->getResult(0).getType()));
    (isConstantTree(operand) ? cost.weightBytes : cost.activationBytes) +=
        bytes;
  }
  for (Value result : op->getResults())
    cost.activationBytes += byteSize(result.getType());
}

Cost mlir::ane::estimateElementwiseCost(Operation *op) {
  Cost cost;
  cost.kind = Cost::Kind::Elementwise;
  if (op->getNumResults())
    if (auto type = dyn_cast<RankedTensorType>(op->getResult(0).getType());
        type && type.hasStaticShape())
      cost.flops = type.getNumElements();
  addTraffic(op, cost);
  return cost;
}
