//===- EncodeProgram.h - mil to the message of Core ML --------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_LIB_TARGET_COREML_ENCODEPROGRAM_H
#define ANEMLIR_LIB_TARGET_COREML_ENCODEPROGRAM_H

#include "dialects/MIL/IR/MIL.h"

namespace mlir::ane::coreml {

/// The Program message. Weights stay references to files.
FailureOr<std::string> encodeProgram(mil::ProgramOp program);

} // namespace mlir::ane::coreml

#endif // ANEMLIR_LIB_TARGET_COREML_ENCODEPROGRAM_H
