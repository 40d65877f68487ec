//===- Structure.cpp - constants, programs, calls -------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "dialects/ANE/IR/Structure.h"
#include "mlir/Interfaces/FunctionImplementation.h"

using namespace mlir;
using namespace mlir::ane;

OpFoldResult ConstantOp::fold(FoldAdaptor) { return getValue(); }

ParseResult ProgramOp::parse(OpAsmParser &parser, OperationState &result) {
  // `ane.program ane @name(args) -> results { … }`: the kind, then a function.
  std::string kind;
  if (failed(parser.parseKeywordOrString(&kind)))
    return failure();
  result.addAttribute(getKindAttrName(result.name),
                      parser.getBuilder().getStringAttr(kind));
  auto buildFuncType =
      [](Builder &builder, ArrayRef<Type> args, ArrayRef<Type> results,
         function_interface_impl::VariadicFlag,
         std::string &) { return builder.getFunctionType(args, results); };
  return function_interface_impl::parseFunctionOp(
      parser, result, /*allowVariadic=*/false,
      getFunctionTypeAttrName(result.name), buildFuncType,
      getArgAttrsAttrName(result.name), getResAttrsAttrName(result.name));
}

void ProgramOp::print(OpAsmPrinter &printer) {
  // printFunctionOp prints the attributes it does not know; the kind is printed
  // in front instead.
  printer << ' ' << stringifyProgramKind(getKind()) << ' ';
  printer.printSymbolName(getSymName());
  function_interface_impl::printFunctionSignature(
      printer, *this, getArgumentTypes(), /*isVariadic=*/false,
      getResultTypes());
  function_interface_impl::printFunctionAttributes(
      printer, *this,
      {getSymNameAttrName(), getKindAttrName(), getFunctionTypeAttrName(),
       getArgAttrsAttrName(), getResAttrsAttrName()});
  printer << ' ';
  printer.printRegion(getBody(), /*printEntryBlockArgs=*/false);
}

LogicalResult ProgramOp::verify() {
  if (!getBody().hasOneBlock() || !isa<ReturnOp>(getBody().front().back()))
    return emitOpError() << "expects one block that ends in 'ane.return'";
  if (getBody().front().back().getOperandTypes() != TypeRange(getResultTypes()))
    return emitOpError()
           << "expects 'ane.return' to return the declared result types";
  return success();
}

LogicalResult CallOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto program =
      symbols.lookupNearestSymbolFrom<ProgramOp>(*this, getCalleeAttr());
  if (!program)
    return emitOpError() << "expects '" << getCallee()
                         << "' to be an ane.program";
  if (program.getArgumentTypes().size() != getInputs().size() ||
      program.getResultTypes().size() != getOutputs().size())
    return emitOpError() << "expects " << program.getArgumentTypes().size()
                         << " operands and " << program.getResultTypes().size()
                         << " results, but got " << getInputs().size()
                         << " and " << getOutputs().size();
  return success();
}
