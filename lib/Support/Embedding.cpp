//===- Embedding.cpp - in a process that goes on --------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Support/Embedding.h"

using namespace mlir::ane;

static std::atomic<bool> signalsLeft{false};
static thread_local const std::atomic<bool> *cancelled = nullptr;

void mlir::ane::leaveSignalsAlone(bool leave) { signalsLeft = leave; }
bool mlir::ane::areSignalsLeftAlone() { return signalsLeft; }

std::atomic<double> &mlir::ane::constantWork() {
  static std::atomic<double> done{0};
  return done;
}

void mlir::ane::beginWork() {
  constantWork() = 0;
  forgetClosedFiles();
}

CancelScope::CancelScope(const std::atomic<bool> &flag) : outer(cancelled) {
  cancelled = &flag;
}
CancelScope::~CancelScope() { cancelled = outer; }

bool mlir::ane::isCancelled() {
  return cancelled && cancelled->load(std::memory_order_relaxed);
}
