//===- PlacementFile.h - placement by node --------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_LIB_COMPILER_PLACEMENTFILE_H
#define ANEMLIR_LIB_COMPILER_PLACEMENTFILE_H

#include "mlir/IR/BuiltinOps.h"
#include "llvm/Support/Error.h"

namespace mlir::ane {

/// Marks the ops of the nodes that a file {"node": "ane" or "host", …} names
/// (`ane.wanted`); of several functions one can be named by its label instead,
/// which is `label` here. An error for a file of another form, and for a node
/// that no op comes from.
llvm::Error readPlacement(ModuleOp module, StringRef path, StringRef label,
                          ArrayRef<StringRef> labels);

} // namespace mlir::ane

#endif // ANEMLIR_LIB_COMPILER_PLACEMENTFILE_H
