//===- MIL.cpp - the mil dialect ------------------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "dialects/MIL/IR/MIL.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::mil;

#include "dialects/MIL/IR/MILDialect.cpp.inc"
#define GET_TYPEDEF_CLASSES
#include "dialects/MIL/IR/MILTypes.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/MIL/IR/MILAttrs.cpp.inc"
#define GET_OP_CLASSES
#include "dialects/MIL/IR/MILOps.cpp.inc"

void MILDialect::initialize() {
  addOperations<
#define GET_OP_LIST
#include "dialects/MIL/IR/MILOps.cpp.inc"
      >();
  addTypes<
#define GET_TYPEDEF_LIST
#include "dialects/MIL/IR/MILTypes.cpp.inc"
      >();
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/MIL/IR/MILAttrs.cpp.inc"
      >();
}

LogicalResult OpOp::verify() {
  if (getNames().size() != getNumResults())
    return emitOpError() << "expects one name per result, but got "
                         << getNames().size() << " names for "
                         << getNumResults() << " results";
  for (Attribute arg : getArgs()) {
    auto named = dyn_cast<NamedAttr>(arg);
    if (!named)
      return emitOpError() << "expects 'args' to hold #mil.named, but got "
                           << arg;
    bool inRange = true;
    named.getValue().walk([&](RefAttr ref) {
      inRange &= ref.getIndex() >= 0 && ref.getIndex() < getNumOperands();
    });
    if (!inRange)
      return emitOpError() << "expects argument '" << named.getName().getValue()
                           << "' to name one of " << getNumOperands()
                           << " operands";
  }
  ArrayAttr parameters = getBlockParametersAttr();
  if (getBlocks().size() != (parameters ? parameters.size() : 0))
    return emitOpError() << "expects 'block_parameters' to name the inputs of "
                         << getBlocks().size() << " blocks";
  for (auto [i, region] : llvm::enumerate(getBlocks())) {
    auto names = dyn_cast<ArrayAttr>(parameters[i]);
    if (!region.hasOneBlock() || region.front().empty() ||
        !isa<ReturnOp>(region.front().back()))
      return emitOpError() << "expects block " << i << " to end in mil.return";
    if (!names || names.size() != region.getNumArguments() ||
        !llvm::all_of(names, llvm::IsaPred<StringAttr>))
      return emitOpError() << "expects one name per input of block " << i;
  }
  return success();
}

LiteralAttr mlir::mil::getConstant(Value value) {
  auto op = value.getDefiningOp<OpOp>();
  if (!op || op.getType() != "const")
    return {};
  for (Attribute attr : op.getMilAttributes())
    if (auto named = dyn_cast<NamedAttr>(attr);
        named && named.getName() == "val")
      return dyn_cast<LiteralAttr>(named.getValue());
  return {};
}

bool mlir::mil::isNamedWide(OpOp op) {
  for (Attribute attr : op.getMilAttributes()) {
    auto named = dyn_cast<NamedAttr>(attr);
    if (!named || named.getName() != "name")
      continue;
    auto literal = dyn_cast<LiteralAttr>(named.getValue());
    auto text = literal ? dyn_cast<DenseStringElementsAttr>(literal.getValue())
                        : DenseStringElementsAttr();
    if (!text || text.getNumElements() != 1)
      return false;
    StringRef name = text.getRawStringData()[0];
    StringRef stem = name.rtrim("0123456789");
    return name.ends_with(kWideSuffix) ||
           (stem != name && stem.consume_back("_") &&
            stem.ends_with(kWideSuffix));
  }
  return false;
}

Attribute mlir::mil::getArgument(OpOp op, StringRef name) {
  for (Attribute arg : op.getArgs())
    if (auto named = cast<NamedAttr>(arg); named.getName() == name)
      return named.getValue();
  return {};
}

ProgramOp mlir::mil::lookupProgram(ModuleOp module, StringRef symbol) {
  auto programs = module.lookupSymbol<ModuleOp>(kPrograms);
  return programs ? programs.lookupSymbol<ProgramOp>(symbol) : ProgramOp();
}

FuncOp mlir::mil::getFunction(ProgramOp program) {
  auto functions = program.getBody().getOps<FuncOp>();
  return functions.empty() ? FuncOp() : *functions.begin();
}

StringRef mlir::mil::getName(FuncOp func, Value value) {
  ArrayAttr names = func.getParameters();
  unsigned index;
  if (auto op = value.getDefiningOp<OpOp>()) {
    names = op.getNames();
    index = cast<OpResult>(value).getResultNumber();
  } else {
    index = cast<BlockArgument>(value).getArgNumber();
  }
  return cast<StringAttr>(names[index]).getValue();
}

std::vector<std::string> mlir::mil::getParameterNames(FuncOp func) {
  std::vector<std::string> names;
  for (Attribute name : func.getParameters())
    names.push_back(cast<StringAttr>(name).getValue().str());
  return names;
}

std::vector<std::string> mlir::mil::getResultNames(FuncOp func) {
  std::vector<std::string> names;
  for (Value value : func.getBody().front().getTerminator()->getOperands())
    names.push_back(getName(func, value).str());
  return names;
}
