//===- DecisionLog.h - what passes decided --------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_LIB_COMPILER_DECISIONLOG_H
#define ANEMLIR_LIB_COMPILER_DECISIONLOG_H

#include "ane-mlir/Compiler/Report.h"

namespace mlir::ane {

/// While it lives, the remarks of passes (mlir/IR/Remarks.h) in `context` come
/// here, each once: passes run on trials, too. Whoever listens already goes on
/// doing so, and nothing comes here.
class DecisionLog {
public:
  explicit DecisionLog(MLIRContext *context);
  ~DecisionLog();
  DecisionLog(const DecisionLog &) = delete;
  DecisionLog &operator=(const DecisionLog &) = delete;

  std::vector<Decision> take() { return std::move(decisions); }

private:
  class Streamer;
  /// Null where somebody else listens.
  MLIRContext *context = nullptr;
  std::vector<Decision> decisions;
};

} // namespace mlir::ane

#endif // ANEMLIR_LIB_COMPILER_DECISIONLOG_H
