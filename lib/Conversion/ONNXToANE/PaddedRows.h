//===- PaddedRows.h - lists as long as they may become --------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_LIB_CONVERSION_ONNXTOANE_PADDEDROWS_H
#define ANEMLIR_LIB_CONVERSION_ONNXTOANE_PADDEDROWS_H

#include "Lowering.h"
#include "llvm/ADT/DenseSet.h"

namespace mlir::ane {

/// NonZero gives a list whose length the data decides. Where such a list only
/// says which rows to take, to compute with and to put back (a mixture of
/// experts, as eager PyTorch is exported), all rows can be taken instead, and
/// those that do not count are left out where rows are put back: every shape is
/// static then, and an expert sees every token.
///
/// For each value that has such rows this remembers along which axis they are,
/// and that no operator looks from one row at another; it refuses the others.
class PaddedRows {
public:
  /// Whether a node has a list, a length of one, or makes one. Keys are the
  /// values of the onnx dialect.
  bool concerns(NodeContext &c) const;
  /// Emits the node through `handler`, or in a form of its own. Fails, without
  /// caring for the message, where the node cannot be computed on padded rows.
  LogicalResult lower(NodeContext &c,
                      llvm::function_ref<LogicalResult()> handler);
  bool isPadded(Value value) const {
    return rows.count(value) || lengths.contains(value);
  }

  /// How many lists were padded.
  unsigned count = 0;

private:
  struct Rows {
    Value mask; // i1 [length]
    int64_t axis;
  };
  LogicalResult lowerNonZero(NodeContext &c);
  LogicalResult maskScatter(NodeContext &c);
  std::optional<int64_t> resultAxis(NodeContext &c, unsigned output);
  std::optional<int64_t> gatheredAxis(NodeContext &c, int64_t rank);
  std::optional<int64_t> slicedAxis(NodeContext &c, const Rows &r, Value y);
  std::optional<int64_t> productAxis(NodeContext &c, int64_t rank);
  std::optional<int64_t> reducedAxis(NodeContext &c, const Rows &r);
  std::optional<int64_t> broadcastAxis(NodeContext &c, ArrayRef<unsigned> from,
                                       int64_t resultRank);
  std::optional<int64_t> reshapedAxis(NodeContext &c, const Rows &r,
                                      ArrayRef<int64_t> from,
                                      ArrayRef<int64_t> to);
  const Rows *find(NodeContext &c, unsigned input) const {
    if (input >= c.node.getInputs().size())
      return nullptr;
    auto it = rows.find(c.node.getInputs()[input]);
    return it == rows.end() ? nullptr : &it->second;
  }

  llvm::DenseMap<Value, Rows> rows;
  /// Shapes and numbers in which the padded length stands for the real one.
  llvm::DenseSet<Value> lengths;
  /// Of whole shapes: which entry is the padded length.
  llvm::DenseMap<Value, int64_t> shapes;
  bool takesOtherExtents(NodeContext &c);
};

} // namespace mlir::ane

#endif // ANEMLIR_LIB_CONVERSION_ONNXTOANE_PADDEDROWS_H
