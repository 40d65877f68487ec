//===- TargetNames.h - what targets are called ----------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_DIALECTS_ANE_IR_TARGETNAMES_H
#define ANEMLIR_DIALECTS_ANE_IR_TARGETNAMES_H

#include "llvm/ADT/StringRef.h"
#include <string>

namespace mlir::ane {

/// What to say of a name that lookupTarget does not know: the nearest one that
/// it does, and all of them.
std::string describeUnknownTarget(llvm::StringRef name);

} // namespace mlir::ane

#endif // ANEMLIR_DIALECTS_ANE_IR_TARGETNAMES_H
