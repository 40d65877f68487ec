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

/// The same from flags of a program, without a tool's name, of which some may
/// ask for what a process does once (--help); input and output may be set
/// afterwards, so nothing is validated. One call at a time.
llvm::Expected<CompileOptions>
readCompileFlags(llvm::ArrayRef<std::string> flags);

/// Entries NAME=N, each perhaps followed by further values N of that name
/// (commas are gone), into `options.dims`.
llvm::Error readDims(llvm::ArrayRef<std::string> entries,
                     CompileOptions &options);
/// Entries NAME=1,3,224,224 into `options.inputShapes`.
llvm::Error readInputShapes(llvm::ArrayRef<std::string> entries,
                            CompileOptions &options);

} // namespace mlir::ane

#endif // ANEMLIR_COMPILER_COMMANDLINE_H
