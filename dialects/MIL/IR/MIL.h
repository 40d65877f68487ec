//===- MIL.h - the mil dialect --------------------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_DIALECTS_MIL_IR_MIL_H
#define ANEMLIR_DIALECTS_MIL_IR_MIL_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/ADT/StringMap.h"

#include "dialects/MIL/IR/MILDialect.h.inc"
#define GET_TYPEDEF_CLASSES
#include "dialects/MIL/IR/MILTypes.h.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/MIL/IR/MILAttrs.h.inc"
#define GET_OP_CLASSES
#include "dialects/MIL/IR/MILOps.h.inc"

namespace mlir::mil {
/// The value of a const operation, or null when `value` is something else.
LiteralAttr getConstant(Value value);
/// The value of argument `name` of `op` as an attribute (#mil.ref, array,
/// #mil.literal), or null.
Attribute getArgument(OpOp op, StringRef name);
/// The end of the `name` of an operation that the model computes in 64-bit
/// integers and ranges do not prove to fit MIL's 32: "add_i64". Whoever runs
/// the program can tell where it would wrap.
inline constexpr llvm::StringLiteral kWideSuffix = "_i64";
/// Whether the `name` of an operation ends so, a number that makes it unique
/// aside.
bool isNamedWide(OpOp op);
/// The module inside a module that holds the mil.programs of its ane programs.
inline constexpr llvm::StringLiteral kPrograms = "mil";
/// The program `symbol` of that module, or null.
ProgramOp lookupProgram(ModuleOp module, StringRef symbol);
/// The only function of a program that was made here.
FuncOp getFunction(ProgramOp program);
/// The name of a parameter or of a result inside `func`.
StringRef getName(FuncOp func, Value value);
/// Names of parameters, and of what is returned.
std::vector<std::string> getParameterNames(FuncOp func);
std::vector<std::string> getResultNames(FuncOp func);
/// Shapes of parameters whose types leave dimensions open, by name.
using ShapeBindings = llvm::StringMap<SmallVector<int64_t>>;
} // namespace mlir::mil

#endif // ANEMLIR_DIALECTS_MIL_IR_MIL_H
