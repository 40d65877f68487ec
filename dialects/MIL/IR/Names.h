//===- Names.h - identifiers of MIL ---------------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_DIALECTS_MIL_IR_NAMES_H
#define ANEMLIR_DIALECTS_MIL_IR_NAMES_H

#include "mlir/Support/LLVM.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include <string>
#include <vector>

namespace mlir::mil {

/// [A-Za-z_][A-Za-z0-9_]* and no reserved word (mil/types.md §2.5).
bool isLegalIdentifier(llvm::StringRef name);
/// A legal identifier that resembles `name`.
std::string makeIdentifier(llvm::StringRef name);
/// One for each name, all different, and other than the `reserved` ones; a name
/// that is legal keeps itself.
std::vector<std::string>
makeIdentifiers(llvm::ArrayRef<std::string> names,
                llvm::ArrayRef<llvm::StringRef> reserved = {});

} // namespace mlir::mil

#endif // ANEMLIR_DIALECTS_MIL_IR_NAMES_H
