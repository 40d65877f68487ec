//===- LimitRank.cpp - values with fewer axes -----------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "LimitRank.h"
#include "Reshape.h"

using namespace mlir;
using namespace mlir::ane;

/// Which axis of the new shape each axis is part of. Axes with the same key
/// that are neighbours become one; an axis without a key, one that stands
/// alone, stays.
static SmallVector<int64_t> group(ArrayRef<std::optional<uint64_t>> keys) {
  SmallVector<int64_t> groups;
  for (auto [i, key] : llvm::enumerate(keys))
    groups.push_back(i && key && keys[i - 1] == key ? groups.back()
                     : i                            ? groups.back() + 1
                                                    : 0);
  return groups;
}

static SmallVector<int64_t> merged(ArrayRef<int64_t> shape,
                                   ArrayRef<int64_t> groups) {
  SmallVector<int64_t> out(groups.empty() ? 0 : groups.back() + 1, 1);
  for (auto [dim, to] : llvm::zip(shape, groups))
    out[to] *= dim;
  return out;
}

/// Replaces `op` by its clone on reshaped operands, whose result has `shape`.
static void replace(Operation *op, ArrayRef<SmallVector<int64_t>> operands,
                    ArrayRef<int64_t> shape,
                    ArrayRef<NamedAttribute> attributes = {}) {
  OpBuilder b(op);
  Operation *clone = op->clone();
  for (auto [i, wanted] : llvm::enumerate(operands))
    clone->setOperand(i, reshapeTo(b, op->getLoc(), op->getOperand(i), wanted));
  for (NamedAttribute attribute : attributes)
    clone->setAttr(attribute.getName(), attribute.getValue());
  b.insert(clone);
  Value result = clone->getResult(0);
  auto type = typeOf(result);
  result.setType(type.clone(shape));
  op->getResult(0).replaceAllUsesWith(
      reshapeTo(b, op->getLoc(), result, type.getShape()));
  op->erase();
}

/// Axes along which every operand is either whole or broadcast, alike.
static bool limitElementwise(Operation *op, int64_t most) {
  auto type = typeOf(op->getResult(0));
  SmallVector<std::optional<uint64_t>> keys(type.getRank(), 0);
  SmallVector<SmallVector<int64_t>> padded;
  for (auto [n, operand] : llvm::enumerate(op->getOperands())) {
    SmallVector<int64_t> shape(type.getRank() - typeOf(operand).getRank(), 1);
    llvm::append_range(shape, typeOf(operand).getShape());
    for (auto [key, dim, whole] : llvm::zip(keys, shape, type.getShape()))
      if (dim != 1 || whole == 1)
        *key |= uint64_t(1) << n;
    padded.push_back(shape);
  }
  // An axis of one element is part of any group.
  for (int64_t i = 0; i < type.getRank(); ++i)
    if (type.getDimSize(i) == 1 && i)
      keys[i] = keys[i - 1];
  for (int64_t i = type.getRank() - 2; i >= 0; --i)
    if (type.getDimSize(i) == 1)
      keys[i] = keys[i + 1];
  SmallVector<int64_t> groups = group(keys);
  if (groups.back() >= most)
    return false;
  SmallVector<SmallVector<int64_t>> operands;
  for (auto &shape : padded)
    operands.push_back(merged(shape, groups));
  replace(op, operands, merged(type.getShape(), groups));
  return true;
}

static bool limitTranspose(TransposeOp op, int64_t most) {
  auto from = typeOf(op.getX());
  SmallVector<int64_t> perm;
  for (int64_t axis : op.getPerm())
    perm.push_back(axis < 0 ? axis + from.getRank() : axis);
  // Axes of one element go; neighbours that stay neighbours become one.
  SmallVector<int64_t> order, target(from.getRank(), -1);
  for (int64_t axis : perm)
    if (from.getDimSize(axis) != 1)
      order.push_back(axis);
  SmallVector<int64_t> next(from.getRank(), -1);
  for (int64_t axis = 0, last = -1; axis < from.getRank(); ++axis)
    if (from.getDimSize(axis) != 1) {
      if (last >= 0)
        next[last] = axis;
      last = axis;
    }
  SmallVector<int64_t> heads;
  for (auto [i, axis] : llvm::enumerate(order))
    if (!i || next[order[i - 1]] != axis)
      heads.push_back(axis);
  if ((int64_t)heads.size() > most)
    return false;
  SmallVector<int64_t> sorted(heads);
  llvm::sort(sorted);
  SmallVector<int64_t> shape, newPerm, newShape;
  for (int64_t head : sorted) {
    int64_t extent = 1;
    size_t at = llvm::find(order, head) - order.begin();
    do
      extent *= from.getDimSize(order[at]);
    while (++at < order.size() && next[order[at - 1]] == order[at]);
    shape.push_back(extent);
  }
  for (int64_t head : heads)
    newPerm.push_back(llvm::find(sorted, head) - sorted.begin());
  for (int64_t axis : newPerm)
    newShape.push_back(shape[axis]);
  Builder b(op.getContext());
  replace(op, {shape}, newShape,
          {b.getNamedAttr("perm", b.getDenseI64ArrayAttr(newPerm))});
  return true;
}

/// Ops that treat the axes in `special` each for itself and all others alike.
static bool limitAround(Operation *op, ArrayRef<int64_t> special, int64_t most,
                        StringRef name, bool list) {
  auto from = typeOf(op->getOperand(0)), to = typeOf(op->getResult(0));
  SmallVector<std::optional<uint64_t>> keys(from.getRank(), 0);
  for (int64_t axis : special)
    keys[axis < 0 ? axis + from.getRank() : axis] = std::nullopt;
  SmallVector<int64_t> groups = group(keys), axes;
  if (groups.back() >= most)
    return false;
  for (int64_t axis : special)
    axes.push_back(groups[axis < 0 ? axis + from.getRank() : axis]);
  SmallVector<int64_t> shape = merged(from.getShape(), groups), result(shape);
  Builder b(op->getContext());
  bool reduces = from.getRank() != to.getRank() ||
                 from.getShape() != to.getShape();
  SmallVector<NamedAttribute> attributes{b.getNamedAttr(
      name, list ? Attribute(b.getDenseI64ArrayAttr(axes))
                 : Attribute(b.getI64IntegerAttr(axes[0])))};
  if (reduces) { // axes are kept, the reshape behind drops them
    for (int64_t axis : axes)
      result[axis] = 1;
    attributes.push_back(b.getNamedAttr("keep_dims", b.getBoolAttr(true)));
  }
  replace(op, {shape}, result, attributes);
  return true;
}

void mlir::ane::limitRank(Operation *op, int64_t most) {
  auto high = [&](Value v) {
    auto type = dyn_cast<RankedTensorType>(v.getType());
    return type && type.getRank() > most;
  };
  if (op->getNumResults() != 1 ||
      !llvm::all_of(op->getOperandTypes(), [](Type type) {
        return cast<RankedTensorType>(type).hasStaticShape();
      }) ||
      !typeOf(op->getResult(0)).hasStaticShape() ||
      !(high(op->getResult(0)) || llvm::any_of(op->getOperands(), high)))
    return;
  if (isElementwise(op) || isa<CastOp, SelectOp, IdentityOp>(op)) {
    limitElementwise(op, most);
  } else if (auto transpose = dyn_cast<TransposeOp>(op)) {
    limitTranspose(transpose, most);
  } else if (isa<ExpandDimsOp, SqueezeOp>(op)) {
    OpBuilder b(op);
    op->getResult(0).replaceAllUsesWith(
        reshapeTo(b, op->getLoc(), op->getOperand(0),
                  typeOf(op->getResult(0)).getShape()));
    op->erase();
  } else if (auto softmax = dyn_cast<SoftmaxOp>(op)) {
    limitAround(op, {int64_t(softmax.getAxis())}, most, "axis", false);
  } else if (auto gather = dyn_cast<GatherAlongAxisOp>(op)) {
    auto x = typeOf(gather.getX()), indices = typeOf(gather.getIndices());
    int64_t axis = gather.getAxis();
    SmallVector<std::optional<uint64_t>> keys(x.getRank(), 0);
    keys[axis < 0 ? axis + x.getRank() : axis] = std::nullopt;
    SmallVector<int64_t> groups = group(keys);
    Builder b(op->getContext());
    if (groups.back() < most)
      replace(op,
              {merged(x.getShape(), groups), merged(indices.getShape(), groups)},
              merged(indices.getShape(), groups),
              {b.getNamedAttr("axis",
                              b.getI64IntegerAttr(
                                  groups[axis < 0 ? axis + x.getRank()
                                                  : axis]))});
  } else if (isa<ReduceArgmaxOp, ReduceArgminOp>(op)) {
    limitAround(op, {op->getAttrOfType<IntegerAttr>("axis").getInt()}, most,
                "axis", false);
  } else if (auto axes = op->getAttrOfType<DenseI64ArrayAttr>("axes");
             axes && op->getAttr("keep_dims")) {
    limitAround(op, axes.asArrayRef(), most, "axes", true);
  }
}
