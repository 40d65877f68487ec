//===- MILInterface.h - states and classes of MIL functions ---------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_TRANSFORMS_MILINTERFACE_H
#define ANEMLIR_TRANSFORMS_MILINTERFACE_H

#include "dialects/MIL/IR/MIL.h"

namespace mlir::ane {

/// Arguments that are states become so: read once at the beginning, written
/// once at the end with the result that is paired with them. Those results go.
void addStates(mil::FuncOp func,
               const llvm::DenseMap<unsigned, unsigned> &resultOfArgument);

/// The probabilities that result `output` holds become a label and a dictionary
/// of these names (mil/operations.md §1.13). Labels are texts, or `integers` in
/// decimal.
void addClassifier(mil::FuncOp func, unsigned output,
                   ArrayRef<std::string> labels, bool integers,
                   StringRef labelName, StringRef probabilitiesName);

} // namespace mlir::ane

#endif // ANEMLIR_TRANSFORMS_MILINTERFACE_H
