//===- Gradients.h - reverse-mode differentiation of ane ------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// What an op's operands receive of the gradient of its results is part of its
// record (`gradient` in ANEBase.td) or a function of its family
// (lib/Conversion/Gradients). A derivative is written in ane ops, so that all
// that follows (precision, layout, placement, programs) treats it like any
// other graph.
//
// Worked example: of z = x * y with y [4] broadcast to x [2,4], and the
// gradient g [2,4] of z, x receives g * y, and y receives g * x summed over
// axis 0.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_CONVERSION_GRADIENTS_H
#define ANEMLIR_CONVERSION_GRADIENTS_H

#include "ane-mlir/Conversion/GraphBuilder.h"
#include <optional>

namespace mlir::ane {

/// Whether the dialect knows a derivative of ops of this name ("ane.conv");
/// else why not.
bool hasGradient(StringRef opName, StringRef *reason = nullptr);

/// Walks back from values whose gradients are given to the leaves. All are
/// values of one block; the derivative is built at the builder's place, behind
/// all ops of the block that it reads.
class Backpropagation {
public:
  /// `leaves` are arguments or results of the block that are differentiated
  /// for; what is before a leaf is not looked at.
  Backpropagation(GraphBuilder &graph, Block &block, ArrayRef<Value> leaves);

  /// Whether the value depends on a leaf.
  bool isActive(Value value) const { return active.contains(value); }
  /// Adds `gradient` (of the type of `value`) to what `value` receives.
  void seed(Value value, Value gradient);
  /// Walks back over all ops of the block before the builder's place. Failure
  /// after one diagnostic per op without a derivative, at the op.
  LogicalResult run();
  /// After run(): the gradient of a leaf; null where the seeds do not depend on
  /// it.
  Value gradientOf(Value leaf) const { return gradients.lookup(leaf); }

private:
  GraphBuilder &graph;
  Block &block;
  llvm::DenseSet<Value> leaves, active;
  llvm::DenseMap<Value, Value> gradients;
};

/// A convolution, or a transposed one, whose weight only a run tells, as one
/// 1x1 convolution of its windows laid beside each other (im2col): the form in
/// which the engine takes such a weight (L19).
///
/// The weight is a matrix: of a convolution [O,C,kernel…] it is [O, C*kernel],
/// of a transposed one [C,O,kernel…] with its first two axes exchanged,
/// [O, C*kernel]. Of several groups each has its own rows and columns;
/// elsewhere the matrix is zero.
struct ColumnForm {
  int64_t rows, columns, groups;
  /// The first two axes of the weight are exchanged.
  bool exchanged;
};
/// Nothing for other ops, and where an extent is unknown.
std::optional<ColumnForm> findColumnForm(Operation *op);
/// Builds it behind `op`, with a weight [rows, width], width >= columns, that
/// ends in zeros. The result has the op's type; null after a diagnostic.
Value convolveColumns(GraphBuilder &graph, Operation *op, Value weight);

} // namespace mlir::ane

#endif // ANEMLIR_CONVERSION_GRADIENTS_H
