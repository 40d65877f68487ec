//===- Tools.h - the tools of users as functions
//---------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// What `main` of each is (tools/cmake/ToolMain.cpp.in), and what the commands
// of the Python package call. One call in a process.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_TOOLS_TOOLS_H
#define ANEMLIR_TOOLS_TOOLS_H

namespace mlir::ane::tools {

int onnxToAne(int argc, char **argv);
int aneCheck(int argc, char **argv);
int aneInfo(int argc, char **argv);
int milVerify(int argc, char **argv);
int aneDiff(int argc, char **argv);
int aneGenerate(int argc, char **argv);
int aneRun(int argc, char **argv);

} // namespace mlir::ane::tools

#endif // ANEMLIR_TOOLS_TOOLS_H
