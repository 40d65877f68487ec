//===- TileParts.h - parts of values --------------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANE_MLIR_LIB_TRANSFORMS_TILEPARTS_H
#define ANE_MLIR_LIB_TRANSFORMS_TILEPARTS_H

#include "dialects/ANE/IR/Linear.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/SetVector.h"
#include <map>
#include <optional>
#include <tuple>

namespace mlir::ane {

/// Entries of an axis: runs of `block` neighbours, of which those from `lo` on
/// up to `hi`, or each `step`-th of all.
struct Part {
  int64_t lo, hi;
  int64_t step = 1, block = 1;
  int64_t size() const { return (hi - lo + step - 1) / step * block; }
  bool isRun() const { return step == 1; }
  Part asRun() const { return {lo * block, hi * block}; }
  /// As so many neighbours each; nothing where some are taken apart.
  std::optional<Part> inUnits(int64_t unit) const;
  /// Of an axis whose entries are so many each.
  Part ofUnits(int64_t unit) const { return {lo, hi, step, block * unit}; }
};

/// A part along an axis, and of that perhaps one along another.
struct PartAlong {
  int64_t axis;
  Part part;
  std::optional<std::pair<int64_t, Part>> then = std::nullopt;
};

RankedTensorType withDim(RankedTensorType type, int64_t axis, int64_t size);

/// Makes parts of values backward: a part asks for the parts of operands that
/// it needs.
class Tiler {
public:
  /// Along an axis of a value.
  using Key = std::tuple<void *, int64_t, int64_t, int64_t, int64_t, int64_t>;
  using Slices = std::map<Key, Value>;

  /// Ops of `region` are made in parts; other values are sliced, once for all
  /// who share `slices`.
  Tiler(OpBuilder &builder, const llvm::SetVector<Operation *> &region,
        Slices &slices)
      : b(builder), region(region), slices(slices) {}

  Value tile(Value v, int64_t axis, Part part);

  /// The same question without building: does this part of `from` need only a
  /// part of `v`?
  bool reaches(Value from, int64_t axis, Part part, Value v) const;

private:
  Value tile(Value v, const PartAlong &along);
  Value slice(Value v, int64_t axis, Part part);
  Value makeSlice(Value v, int64_t axis, Part part);
  Value sliceTree(Value v, int64_t axis, Part part);
  Value tileOp(Operation *op, Value v, int64_t axis, Part part);
  Value tileRows(ConvOp conv, int64_t axis, Part rows);

  OpBuilder &b;
  const llvm::SetVector<Operation *> &region;
  Slices &slices;
  std::map<Key, Value> made;
};

} // namespace mlir::ane

#endif // ANE_MLIR_LIB_TRANSFORMS_TILEPARTS_H
