//===- CommandLine.h - the options of onnx-to-ane -------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_COMPILER_COMMANDLINE_H
#define ANEMLIR_COMPILER_COMMANDLINE_H

#include "ane-mlir/Compiler/CompileOptions.h"

namespace mlir::ane {

/// What a command line asks for; the one place where CompileOptions have flags.
/// Nothing where the process has nothing left to do but to return `status`: a
/// message was printed, or what --explain asks for.
std::optional<CompileOptions> parseCompileOptions(int argc, char **argv,
                                                  int &status);

} // namespace mlir::ane

#endif // ANEMLIR_COMPILER_COMMANDLINE_H
