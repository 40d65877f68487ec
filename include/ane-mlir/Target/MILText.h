//===- MILText.h - mil dialect to MIL text --------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_TARGET_MILTEXT_H
#define ANEMLIR_TARGET_MILTEXT_H

#include "dialects/MIL/IR/MIL.h"
#include "llvm/Support/raw_ostream.h"

namespace mlir::mil {

/// Prints `program` as coremlc lays it out; a pure function of the IR. Fails
/// (with a diagnostic) on values that have no spelling: weights without an
/// offset.
LogicalResult printMILText(ProgramOp program, llvm::raw_ostream &os);

/// [A-Za-z_][A-Za-z0-9_]* and no reserved word (mil.md §2.5).
bool isLegalIdentifier(llvm::StringRef name);
/// A legal identifier that resembles `name`.
std::string makeIdentifier(llvm::StringRef name);
/// One for each name, all different, and other than the `reserved` ones; a name
/// that is legal keeps itself.
std::vector<std::string>
makeIdentifiers(llvm::ArrayRef<std::string> names,
                llvm::ArrayRef<llvm::StringRef> reserved = {});

} // namespace mlir::mil

#endif // ANEMLIR_TARGET_MILTEXT_H
