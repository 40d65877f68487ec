//===- Usage.h - what is told of a wrong command line ---------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_SUPPORT_USAGE_H
#define ANEMLIR_SUPPORT_USAGE_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include <string>

namespace mlir::ane {

/// The end of a message about a name that is none of `known`: "; did you mean
/// 'batch'?" where one is near, else "; they are batch, height", or as many of
/// them as can be read.
std::string suggest(llvm::StringRef name,
                    llvm::ArrayRef<llvm::StringRef> known);

/// "expects --rtol to be 0 or more, but got -1".
std::string outOfRange(llvm::StringRef option, llvm::StringRef range,
                       double value);

/// A message where an option that has one value is given several, of which LLVM
/// would take the last; else "". After the options were parsed.
std::string findContradiction(int argc, char **argv);

} // namespace mlir::ane

#endif // ANEMLIR_SUPPORT_USAGE_H
