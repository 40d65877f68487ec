//===- Call.h - one call of the compiler, its messages collected ----------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_PYTHON_NATIVE_CALL_H
#define ANEMLIR_PYTHON_NATIVE_CALL_H

#include "Bridge.h"
#include "ane-mlir/Support/Embedding.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"
#include "llvm/Support/Error.h"

namespace anemlir::bridge {

/// What a diagnostic says, for those who do not read MLIR.
std::vector<Message> toMessages(mlir::Diagnostic &diagnostic,
                                llvm::StringRef subject);
Message errorMessage(const std::string &text);

/// Dialects of every artifact and model; each call has a context of its own.
std::unique_ptr<mlir::MLIRContext> makeContext();

/// Runs `body` with the diagnostics of `context` in `status`, on a thread that
/// `cancel` ends. `subject` is the file that messages are about. What is thrown
/// becomes a message; success without an error is ok.
void call(mlir::MLIRContext &context, llvm::StringRef subject,
          const Cancel &cancel, Status &status,
          llvm::function_ref<llvm::Error()> body);

/// An error that was reported as a diagnostic already.
llvm::Error reported();

} // namespace anemlir::bridge

#endif // ANEMLIR_PYTHON_NATIVE_CALL_H
