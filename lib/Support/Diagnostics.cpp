//===- Diagnostics.cpp - how the tools speak ------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Support/Diagnostics.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Location.h"
#include "mlir/IR/MLIRContext.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/Process.h"
#include <chrono>

using namespace mlir;
using namespace mlir::ane;

static double now() {
  return std::chrono::duration<double>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

ToolDiagnostics::ToolDiagnostics(MLIRContext *context, llvm::StringRef file)
    : context(context), file(file.str()) {
  // A message names the node; the whole function behind it helps nobody.
  context->printOpOnDiagnostic(false);
  id = context->getDiagEngine().registerHandler([this](Diagnostic &diagnostic) {
    auto severity = [](DiagnosticSeverity s) {
      return s == DiagnosticSeverity::Error     ? "error"
             : s == DiagnosticSeverity::Warning ? "warning"
             : s == DiagnosticSeverity::Note    ? "note"
                                                : "remark";
    };
    auto print = [&](Location loc, DiagnosticSeverity s, StringRef message) {
      if (auto position = dyn_cast<FileLineColLoc>(loc)) {
        llvm::errs() << position.getFilename().getValue() << ':'
                     << position.getLine() << ':' << position.getColumn()
                     << ": " << severity(s) << ": " << message << '\n';
        return;
      }
      llvm::errs() << this->file << ": " << severity(s) << ": ";
      if (auto name = dyn_cast<NameLoc>(loc);
          name && name.getName() != this->file)
        llvm::errs() << "loc(\"" << name.getName().getValue() << "\"): ";
      llvm::errs() << message << '\n';
    };
    print(diagnostic.getLocation(), diagnostic.getSeverity(), diagnostic.str());
    for (Diagnostic &note : diagnostic.getNotes())
      print(note.getLocation(), DiagnosticSeverity::Note, note.str());
    return success();
  });
}

ToolDiagnostics::~ToolDiagnostics() {
  context->getDiagEngine().eraseHandler(id);
}

Progress::Progress(bool quiet)
    : quiet(quiet), terminal(llvm::sys::Process::StandardErrIsDisplayed()),
      start(now()) {}
Progress::~Progress() {
  if (open)
    llvm::errs() << '\n';
}

void Progress::phase(llvm::StringRef name) {
  current = name.str();
  if (quiet)
    return;
  if (terminal) {
    llvm::errs() << "\r\033[K[" << llvm::format("%6.2f s", now() - start)
                 << "] " << name;
    open = true;
  } else if (now() - start > 1) { // short runs stay silent in logs
    llvm::errs() << '[' << llvm::format("%6.2f s", now() - start) << "] "
                 << name << '\n';
  }
}

void Progress::step(size_t done, size_t total, llvm::StringRef what) {
  if (!quiet && terminal) {
    llvm::errs() << "\r\033[K[" << llvm::format("%6.2f s", now() - start)
                 << "] " << current << ' ' << done + 1 << '/' << total << ' '
                 << what;
    open = true;
  }
}
