//===- RewriteGreedily.h - patterns, with weight trees and a place --------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_LIB_TRANSFORMS_REWRITEGREEDILY_H
#define ANEMLIR_LIB_TRANSFORMS_REWRITEGREEDILY_H

#include "mlir/IR/PatternMatch.h"

namespace mlir::ane {

/// applyPatternsGreedily, where weight trees are remembered, and what a pattern
/// throws (a value that does not fit the memory) is an error at the operation
/// that it was applied to. `listener` is notified as well.
LogicalResult rewriteGreedily(Operation *top, RewritePatternSet &&patterns,
                              OpBuilder::Listener *listener = nullptr);

} // namespace mlir::ane

#endif // ANEMLIR_LIB_TRANSFORMS_REWRITEGREEDILY_H
