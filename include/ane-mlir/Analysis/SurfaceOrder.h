//===- SurfaceOrder.h - inputs and outputs in an order of their own -------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// The host copies every input into a surface and every output out of one, row
// by row. In which order it takes the elements costs nothing more, so that a
// transposition next to an input or output is a matter of its surface.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_ANALYSIS_SURFACEORDER_H
#define ANEMLIR_ANALYSIS_SURFACEORDER_H

#include "dialects/ANE/IR/ANEBase.h"
#include <optional>

namespace mlir::ane {
class TransposeOp;

/// What lies in a surface in place of an input or output.
struct OrderedView {
  /// Has the shape of the view: rank 4, whole rows of 32 (L40).
  Value value;
  /// Elements of the input or output between neighbours along each axis of
  /// the view; empty where that is the order of its elements anyway.
  SmallVector<int64_t> strides;
  /// The reshapes and transpositions that are between them.
  SmallVector<Operation *> absorbed;
};

/// Behind an fp16 input of a function or program, where its only reader
/// transposes it.
std::optional<OrderedView> findInputOrder(BlockArgument argument);
/// In front of an fp16 output, the operand of a terminator: what is transposed
/// for it alone, or reshaped.
std::optional<OrderedView> findOutputOrder(OpOperand &output);

/// A transposition that a surface takes over once programs are formed.
bool isTakenBySurface(TransposeOp op);

/// Strides in elements of `to`, which a tensor of shape `from` with `strides`
/// is reshaped to; nothing where they are not even.
std::optional<SmallVector<int64_t>> reshapeStrides(ArrayRef<int64_t> from,
                                                   ArrayRef<int64_t> strides,
                                                   ArrayRef<int64_t> to);

} // namespace mlir::ane

#endif // ANEMLIR_ANALYSIS_SURFACEORDER_H
