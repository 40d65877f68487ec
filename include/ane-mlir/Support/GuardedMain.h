//===- GuardedMain.h - a tool ends with a message -------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_SUPPORT_GUARDEDMAIN_H
#define ANEMLIR_SUPPORT_GUARDEDMAIN_H

#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/StringRef.h"
#include <string>

namespace mlir::ane {

/// Runs a tool and returns its exit status. What is thrown is caught where the
/// node is known; this is for the rest: what does not fit the machine's memory,
/// also where LLVM would end the process by a signal, becomes a message that
/// names `subject` (an option's value, read when it is needed) and status 1. So
/// does what LLVM calls fatal (no further thread), where `fatal`.
int runGuarded(llvm::StringRef tool, const std::string &subject,
               llvm::function_ref<int()> body, bool fatal = true);

} // namespace mlir::ane

#endif // ANEMLIR_SUPPORT_GUARDEDMAIN_H
