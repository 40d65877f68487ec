//===- Failure.h - what goes wrong inside of the runtime ------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// Inside of the library errors are thrown; the C interface catches all of them
// (CAPI.cpp), foreign exceptions of the framework included.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_LIB_RUNTIME_FAILURE_H
#define ANEMLIR_LIB_RUNTIME_FAILURE_H

#include "ane-mlir/Runtime/ane_runtime.h"
#include <string>

namespace ane::runtime {

struct Failure {
  ane_status status;
  std::string message;
};

[[noreturn]] inline void fail(ane_status status, std::string message) {
  throw Failure{status, std::move(message)};
}

inline std::string quoted(const std::string &text) { return "'" + text + "'"; }

} // namespace ane::runtime

#endif // ANEMLIR_LIB_RUNTIME_FAILURE_H
