//===- ONNX.cpp - the onnx dialect ----------------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "dialects/ONNX/IR/ONNX.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::onnxir;

/// "Conv" for the default domain, "com.microsoft.Gelu" otherwise; printed as
/// one string with '::' between.
static ParseResult parseNodeName(OpAsmParser &parser, StringAttr &domain,
                                 StringAttr &opType) {
  std::string text;
  if (failed(parser.parseString(&text)))
    return failure();
  auto [first, second] = StringRef(text).rsplit("::");
  domain = parser.getBuilder().getStringAttr(second.empty() ? "" : first);
  opType = parser.getBuilder().getStringAttr(second.empty() ? first : second);
  return success();
}
static void printNodeName(OpAsmPrinter &printer, Operation *, StringAttr domain,
                          StringAttr opType) {
  std::string text = domain.empty()
                         ? opType.str()
                         : (domain.getValue() + "::" + opType.getValue()).str();
  printer.printAttribute(StringAttr::get(opType.getContext(), text));
}

#include "dialects/ONNX/IR/ONNXDialect.cpp.inc"
#define GET_TYPEDEF_CLASSES
#include "dialects/ONNX/IR/ONNXTypes.cpp.inc"
#define GET_OP_CLASSES
#include "dialects/ONNX/IR/ONNXOps.cpp.inc"

void ONNXDialect::initialize() {
  addOperations<
#define GET_OP_LIST
#include "dialects/ONNX/IR/ONNXOps.cpp.inc"
      >();
  addTypes<
#define GET_TYPEDEF_LIST
#include "dialects/ONNX/IR/ONNXTypes.cpp.inc"
      >();
}
