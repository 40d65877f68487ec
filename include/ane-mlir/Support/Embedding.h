//===- Embedding.h - in a process that goes on ----------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// A tool compiles one model and ends. A process that compiles many (Python)
// has its own way with signals, may change its mind in the middle, and must not
// be held to what earlier models did.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_SUPPORT_EMBEDDING_H
#define ANEMLIR_SUPPORT_EMBEDDING_H

#include <atomic>

namespace mlir::ane {

/// From now on no handler of signals is installed: whoever embeds the compiler
/// ends work by CancelScope. What a killed process leaves beside its outputs is
/// removed by the next one that writes there, as ever.
void leaveSignalsAlone(bool leave = true);
/// Whether leaveSignalsAlone() was called.
bool areSignalsLeftAlone();

/// Before each compilation or run of such a process: files that are closed by
/// now need not stay as they were, and the limit on what is computed while
/// converting counts anew.
void beginWork();
/// Floating-point operations that were computed while converting, since
/// beginWork().
std::atomic<double> &constantWork();

/// Part of it: lets go of files whose mappings are gone.
void forgetClosedFiles();

/// While one lives, work of its thread ends early once `flag` is set: the
/// interpreter behind an operation, passes behind a pass, writing behind a
/// weight. Nothing is put in place then, and a diagnostic says "interrupted".
class CancelScope {
public:
  explicit CancelScope(const std::atomic<bool> &flag);
  ~CancelScope();
  CancelScope(const CancelScope &) = delete;
  CancelScope &operator=(const CancelScope &) = delete;

private:
  const std::atomic<bool> *outer;
};
/// Whether the work of this thread is to end.
bool isCancelled();

} // namespace mlir::ane

#endif // ANEMLIR_SUPPORT_EMBEDDING_H
