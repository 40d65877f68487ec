//===- Explain.h - what is known of a rule --------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANE_DIALECT_EXPLAIN_H
#define ANE_DIALECT_EXPLAIN_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/raw_ostream.h"

namespace mlir::ane {

/// Prints what the identifier of a rule or limit ("L05", "S1"), or the code of
/// a source ("MX4"), stands for: its text, evidence and sources, the values of
/// a limit by target, what this compiler does about it, and what the owner of a
/// model can do. Of an unknown one, false, after listing those that are known
/// to `errors`.
bool explain(llvm::StringRef id, llvm::raw_ostream &os,
             llvm::raw_ostream &errors = llvm::errs());
/// What the owner of a model can do about a rule or limit; empty where nothing
/// is recorded.
llvm::StringRef remedyOf(llvm::StringRef id);

/// The known one that is spelt most like it, or empty.
llvm::StringRef nearestRule(llvm::StringRef id);

} // namespace mlir::ane

#endif // ANE_DIALECT_EXPLAIN_H
