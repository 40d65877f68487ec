//===- MIL.h - MIL text to mil dialect ------------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_IMPORT_MIL_H
#define ANEMLIR_IMPORT_MIL_H

#include "dialects/MIL/IR/MIL.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

namespace mlir::ane {

/// Parses MIL text of either dialect, known operations or not. Errors carry
/// `name`, line and column. The program op gets the symbol name "program".
OwningOpRef<ModuleOp> importMILText(llvm::StringRef text, llvm::StringRef name,
                                    MLIRContext *context);

} // namespace mlir::ane

#endif // ANEMLIR_IMPORT_MIL_H
