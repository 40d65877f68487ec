//===- Marks.cpp - verifying what is left on operations -------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Support/DType.h"
#include "dialects/ANE/IR/ANEBase.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"

using namespace mlir;
using namespace mlir::ane;

namespace {
/// Where a mark may be, as bits.
enum Place : unsigned {
  OnModule = 1,
  OnFunction = 2,
  OnArgument = 4,
  OnResult = 8,
  OnOperation = 16
};

struct Mark {
  llvm::StringLiteral name;
  unsigned places;
  llvm::StringLiteral placesText;
  bool (*hasType)(Attribute);
  llvm::StringLiteral type;
};
} // namespace

/// Readers take the entries of these as they are written.
static bool isImage(Attribute attr) {
  auto image = dyn_cast<DictionaryAttr>(attr);
  return image && image.getAs<IntegerAttr>("color_space") &&
         image.getAs<FloatAttr>("scale") &&
         image.getAs<DenseF64ArrayAttr>("bias");
}
static bool areParameters(Attribute attr) {
  auto entries = dyn_cast<ArrayAttr>(attr);
  return entries && llvm::all_of(entries, [](Attribute each) {
           auto entry = dyn_cast<DictionaryAttr>(each);
           if (!entry || !entry.getAs<StringAttr>("name"))
             return false;
           auto value = entry.getAs<ElementsAttr>("value");
           return value && isa<FloatType>(value.getElementType()) &&
                  (!entry.contains("base") ||
                   (entry.getAs<StringAttr>("base") &&
                    entry.getAs<FloatAttr>("scale") &&
                    entry.getAs<BoolAttr>("left")));
         });
}

#define ANE_MARK_TABLE
#include "dialects/ANE/IR/Marks.inc"

static LogicalResult verifyMark(Operation *op, NamedAttribute attr,
                                Place place) {
  static const llvm::StringMap<const Mark *> table = [] {
    llvm::StringMap<const Mark *> table;
    for (const Mark &mark : kMarks)
      table[mark.name] = &mark;
    return table;
  }();
  const Mark *mark = table.lookup(attr.getName());
  if (!mark)
    return op->emitOpError() << "has attribute '" << attr.getName().getValue()
                             << "', which the ane dialect does not know; its "
                                "attributes are listed in Marks.td";
  if (!(mark->places & place))
    return op->emitOpError()
           << "has attribute '" << attr.getName().getValue()
           << "' in a place that is not its own: " << mark->placesText;
  if (!mark->hasType(attr.getValue()))
    return op->emitOpError()
           << "expects attribute '" << attr.getName().getValue() << "' to be "
           << mark->type << ", but got " << attr.getValue();
  return success();
}

LogicalResult ANEDialect::verifyOperationAttribute(Operation *op,
                                                   NamedAttribute attr) {
  return verifyMark(op, attr,
                    isa<ModuleOp>(op)              ? OnModule
                    : isa<FunctionOpInterface>(op) ? OnFunction
                                                   : OnOperation);
}
LogicalResult ANEDialect::verifyRegionArgAttribute(Operation *op, unsigned,
                                                   unsigned,
                                                   NamedAttribute attr) {
  return verifyMark(op, attr, OnArgument);
}

/// An output that becomes an input is of its type, or new rows of it.
static LogicalResult verifyState(FunctionOpInterface function, unsigned result,
                                 StringAttr key) {
  auto axis =
      function.getResultAttrOfType<IntegerAttr>(result, marks::kStateAxis);
  auto to = dyn_cast<RankedTensorType>(function.getResultTypes()[result]);
  if (axis && (!to || axis.getInt() >= to.getRank()))
    return function->emitOpError()
           << "expects state_axis " << axis.getInt() << " of result " << result
           << " to be one of its axes";
  for (auto [i, type] : llvm::enumerate(function.getArgumentTypes())) {
    if (!key || function.getArgAttr(i, marks::kState) != key)
      continue;
    // Precisions are cast at the boundary.
    auto from = dyn_cast<RankedTensorType>(type);
    bool fits = from && to && from.getRank() == to.getRank() &&
                isa<FloatType>(from.getElementType()) ==
                    isa<FloatType>(to.getElementType());
    for (int64_t d = 0; fits && d < to.getRank(); ++d)
      fits = (axis && axis.getInt() == d) ||
             from.getDimSize(d) == to.getDimSize(d);
    if (!fits)
      return function->emitOpError()
             << "expects result " << result << " to become argument " << i
             << ", whose state it is, but got the types "
             << function.getResultTypes()[result] << " and " << type;
  }
  return success();
}

LogicalResult ANEDialect::verifyRegionResultAttribute(Operation *op, unsigned,
                                                      unsigned result,
                                                      NamedAttribute attr) {
  if (failed(verifyMark(op, attr, OnResult)))
    return failure();
  bool isState = attr.getName() == marks::kState;
  if (!isState && attr.getName() != marks::kStateAxis)
    return success();
  return verifyState(cast<FunctionOpInterface>(op), result,
                     isState ? dyn_cast<StringAttr>(attr.getValue())
                             : StringAttr());
}
