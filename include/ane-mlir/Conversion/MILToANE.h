//===- MILToANE.h - raising mil to ane ------------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_CONVERSION_MILTOANE_H
#define ANEMLIR_CONVERSION_MILTOANE_H

#include "ane-mlir/Support/MappedFile.h"
#include "dialects/ANE/IR/ANE.h"
#include "dialects/MIL/IR/MIL.h"
#include <functional>

namespace mlir::ane {

/// Opens the weight file that a BLOBFILE path names.
using WeightOpener =
    std::function<llvm::Expected<std::shared_ptr<const MappedFile>>(
        StringRef path)>;

/// Builds an ane.program (kind host) named `symbol` from a mil.func at the
/// builder's insertion point. Arguments keep their MIL names as `ane.name`.
/// Every operation without an ane counterpart is listed before failing.
FailureOr<ProgramOp> convertMILToANE(OpBuilder &builder, mil::FuncOp func,
                                     StringRef symbol,
                                     const WeightOpener &weights);

} // namespace mlir::ane

#endif // ANEMLIR_CONVERSION_MILTOANE_H
