//===- Marks.cpp - verifying what is left on operations -------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

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
LogicalResult ANEDialect::verifyRegionResultAttribute(Operation *op, unsigned,
                                                      unsigned,
                                                      NamedAttribute attr) {
  return verifyMark(op, attr, OnResult);
}
