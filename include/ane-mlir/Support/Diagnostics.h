//===- Diagnostics.h - how the tools speak --------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_SUPPORT_DIAGNOSTICS_H
#define ANEMLIR_SUPPORT_DIAGNOSTICS_H

#include "mlir/IR/Diagnostics.h"
#include "llvm/Support/raw_ostream.h"

namespace mlir::ane {

/// Prints `FILE: error: loc("node"): message` to standard error while alive;
/// file positions print as FILE:LINE:COL.
class ToolDiagnostics {
public:
  ToolDiagnostics(MLIRContext *context, llvm::StringRef file);
  ~ToolDiagnostics();

private:
  MLIRContext *context;
  std::string file;
  DiagnosticEngine::HandlerID id;
};

/// Plain progress lines on standard error; one line rewritten in place on a
/// terminal; nothing when quiet.
class Progress {
public:
  explicit Progress(bool quiet);
  ~Progress();
  void phase(llvm::StringRef name);
  void step(size_t done, size_t total, llvm::StringRef what);

private:
  bool quiet, terminal, open = false;
  double start;
  std::string current;
};

} // namespace mlir::ane

#endif // ANEMLIR_SUPPORT_DIAGNOSTICS_H
