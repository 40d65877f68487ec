//===- States.h - what a model keeps between calls ------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_TRANSFORMS_STATES_H
#define ANEMLIR_TRANSFORMS_STATES_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include <optional>
#include <vector>

namespace mlir::ane {

/// An input and an output of a function, by position.
struct StatePair {
  unsigned input, output;
  /// The axis along which the output has new rows behind the input's; none
  /// where it is of the input's type.
  std::optional<int64_t> axis;
};

/// Pairs that the graph or the names of `main` show: see ane-mark-states.
std::vector<StatePair> recogniseStates(func::FuncOp main);

/// What was found is seen in what an artifact takes and gives, so that it is
/// said, as is that nothing was. Those with an axis are kept where they `grow`.
void sayFoundStates(ModuleOp module, llvm::ArrayRef<StatePair> found,
                    bool grow);

} // namespace mlir::ane

#endif // ANEMLIR_TRANSFORMS_STATES_H
