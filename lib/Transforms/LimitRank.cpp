//===- LimitRank.cpp - values with fewer axes -----------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "LimitRank.h"
#include "Reshape.h"
#include "dialects/ANE/IR/Arithmetic.h"
#include "dialects/ANE/IR/Cast.h"
#include "dialects/ANE/IR/Comparison.h"
#include "dialects/ANE/IR/Gather.h"
#include "dialects/ANE/IR/Linear.h"
#include "dialects/ANE/IR/Norm.h"
#include "dialects/ANE/IR/Reduction.h"
#include "dialects/ANE/IR/Shape.h"
#include "dialects/ANE/IR/Structure.h"
#include <numeric>

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

namespace {
struct Permutation {
  SmallVector<int64_t> shape, perm;
};
} // namespace

/// Axes of one element go; neighbours that stay neighbours become one.
static Permutation compact(ArrayRef<int64_t> from, ArrayRef<int64_t> perm) {
  int64_t rank = from.size();
  SmallVector<int64_t> order, next(rank, -1), heads;
  for (int64_t axis : perm)
    if (from[axis] != 1)
      order.push_back(axis);
  for (int64_t axis = 0, last = -1; axis < rank; ++axis)
    if (from[axis] != 1) {
      if (last >= 0)
        next[last] = axis;
      last = axis;
    }
  for (auto [i, axis] : llvm::enumerate(order))
    if (!i || next[order[i - 1]] != axis)
      heads.push_back(axis);
  SmallVector<int64_t> sorted(heads);
  llvm::sort(sorted);
  Permutation result;
  for (int64_t head : sorted) {
    int64_t extent = 1;
    size_t at = llvm::find(order, head) - order.begin();
    do
      extent *= from[order[at]];
    while (++at < order.size() && next[order[at - 1]] == order[at]);
    result.shape.push_back(extent);
  }
  for (int64_t head : heads)
    result.perm.push_back(llvm::find(sorted, head) - sorted.begin());
  return result;
}

/// One transpose of `shape`.
static Value transposeOnce(OpBuilder &b, Location loc, Value x,
                           ArrayRef<int64_t> shape, ArrayRef<int64_t> perm) {
  SmallVector<int64_t> moved;
  for (int64_t axis : perm)
    moved.push_back(shape[axis]);
  return TransposeOp::create(b, loc, typeOf(x).clone(moved),
                             reshapeTo(b, loc, x, shape),
                             b.getDenseI64ArrayAttr(perm));
}

Value mlir::ane::permute(OpBuilder &b, Location loc, Value x,
                         ArrayRef<int64_t> shape, ArrayRef<int64_t> perm,
                         int64_t most) {
  Permutation p = compact(shape, perm);
  int64_t rank = p.perm.size();
  if (rank < 2)
    return x;
  if (rank <= std::max<int64_t>(most, 4))
    return transposeOnce(b, loc, x, p.shape, p.perm);
  // The axis that shall be first moves over those before it; the rest follows,
  // each behind what is in place.
  SmallVector<int64_t> axes(rank);
  std::iota(axes.begin(), axes.end(), 0);
  for (int64_t i = 0; i < rank; ++i) {
    int64_t at = llvm::find(axes, p.perm[i]) - axes.begin();
    if (at == i)
      continue;
    int64_t blocks[4] = {1, 1, p.shape[axes[at]], 1};
    for (int64_t k = 0; k < rank; ++k)
      if (k != at)
        blocks[k < i ? 0 : k < at ? 1 : 3] *= p.shape[axes[k]];
    Permutation move = compact(blocks, {0, 2, 1, 3});
    x = transposeOnce(b, loc, x, move.shape, move.perm);
    std::rotate(axes.begin() + i, axes.begin() + at, axes.begin() + at + 1);
  }
  return x;
}

static bool limitTranspose(TransposeOp op, int64_t most) {
  auto from = typeOf(op.getX());
  SmallVector<int64_t> perm;
  for (int64_t axis : op.getPerm())
    perm.push_back(axis < 0 ? axis + from.getRank() : axis);
  OpBuilder b(op);
  Value y = permute(b, op.getLoc(), op.getX(), from.getShape(), perm, most);
  op.getY().replaceAllUsesWith(
      reshapeTo(b, op.getLoc(), y, op.getType().getShape()));
  op.erase();
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
  bool reduces =
      from.getRank() != to.getRank() || from.getShape() != to.getShape();
  SmallVector<NamedAttribute> attributes{
      b.getNamedAttr(name, list ? Attribute(b.getDenseI64ArrayAttr(axes))
                                : Attribute(b.getI64IntegerAttr(axes[0])))};
  if (reduces) { // axes are kept, the reshape behind drops them
    for (int64_t axis : axes)
      result[axis] = 1;
    attributes.push_back(b.getNamedAttr("keep_dims", b.getBoolAttr(true)));
  }
  replace(op, {shape}, result, attributes);
  return true;
}

/// The box [begin, begin + size) of each axis, in steps. Axes that are taken
/// whole join their neighbours, and one cut in steps of 1 joins whole axes
/// behind it.
static bool limitSlice(Operation *op, SmallVector<int64_t> begin,
                       SmallVector<int64_t> size, SmallVector<int64_t> step,
                       int64_t most) {
  auto from = typeOf(op->getOperand(0));
  SmallVector<int64_t> shape, newBegin, newSize, newStep;
  bool mayGrow = false; // the last axis takes a whole one behind it
  for (int64_t i = 0; i < from.getRank(); ++i) {
    int64_t dim = from.getDimSize(i);
    bool whole = begin[i] == 0 && size[i] == dim && step[i] == 1;
    if (whole && mayGrow) {
      shape.back() *= dim;
      newBegin.back() *= dim;
      newSize.back() *= dim;
      continue;
    }
    shape.push_back(dim);
    newBegin.push_back(begin[i]);
    newSize.push_back(size[i]);
    newStep.push_back(step[i]);
    mayGrow = step[i] == 1;
  }
  if ((int64_t)shape.size() > most)
    return false;
  OpBuilder b(op);
  SmallVector<int64_t> end;
  for (auto [at, count, by] : llvm::zip(newBegin, newSize, newStep))
    end.push_back(at + (count - 1) * by + 1);
  bool stepped = llvm::any_of(newStep, [](int64_t by) { return by != 1; });
  Value x = reshapeTo(b, op->getLoc(), op->getOperand(0), shape);
  Value y = SliceByIndexOp::create(
      b, op->getLoc(), from.clone(newSize), x, b.getDenseI64ArrayAttr(newBegin),
      b.getDenseI64ArrayAttr(end),
      stepped ? b.getDenseI64ArrayAttr(newStep) : DenseI64ArrayAttr(),
      DenseBoolArrayAttr(), DenseBoolArrayAttr(), DenseBoolArrayAttr());
  op->getResult(0).replaceAllUsesWith(
      reshapeTo(b, op->getLoc(), y, typeOf(op->getResult(0)).getShape()));
  op->erase();
  return true;
}
static bool limitSlice(SliceBySizeOp op, int64_t most) {
  auto from = typeOf(op.getX()), to = typeOf(op.getY());
  SmallVector<int64_t> begin(op.getBegin());
  for (auto [at, dim] : llvm::zip(begin, from.getShape()))
    at += at < 0 ? dim : 0;
  return limitSlice(op, begin, SmallVector<int64_t>(to.getShape()),
                    SmallVector<int64_t>(from.getRank(), 1), most);
}
static bool limitSlice(SliceByIndexOp op, int64_t most) {
  auto from = typeOf(op.getX());
  auto bit = [](std::optional<ArrayRef<bool>> mask, int64_t i) {
    return mask && i < (int64_t)mask->size() && (*mask)[i];
  };
  SmallVector<int64_t> begin, size, step;
  for (int64_t i = 0; i < from.getRank(); ++i) {
    int64_t dim = from.getDimSize(i),
            by = op.getStride() ? (*op.getStride())[i] : 1;
    if (by < 1)
      return false;
    auto clamp = [&](int64_t at) {
      return std::clamp<int64_t>(at < 0 ? at + dim : at, 0, dim);
    };
    int64_t first = bit(op.getBeginMask(), i) ? 0 : clamp(op.getBegin()[i]),
            last = bit(op.getSqueezeMask(), i) ? first + 1
                   : bit(op.getEndMask(), i)   ? dim
                                               : clamp(op.getEnd()[i]);
    if (last <= first)
      return false;
    begin.push_back(first);
    size.push_back((last - first + by - 1) / by);
    step.push_back(by);
  }
  return limitSlice(op, begin, size, step, most);
}

/// Operands that share all axes but one, which stands alone.
static bool limitConcat(ConcatOp op, int64_t most) {
  auto to = op.getType();
  int64_t axis =
      int64_t(op.getAxis()) < 0 ? op.getAxis() + to.getRank() : op.getAxis();
  SmallVector<std::optional<uint64_t>> keys(to.getRank(), 0);
  keys[axis] = std::nullopt;
  SmallVector<int64_t> groups = group(keys);
  if (groups.back() >= most)
    return false;
  SmallVector<SmallVector<int64_t>> operands;
  for (Value v : op.getValues())
    operands.push_back(merged(typeOf(v).getShape(), groups));
  Builder b(op.getContext());
  replace(op, operands, merged(to.getShape(), groups),
          {b.getNamedAttr("axis", b.getI64IntegerAttr(groups[axis]))});
  return true;
}

static bool limitSplit(SplitOp op, int64_t most) {
  auto from = typeOf(op.getX());
  int64_t axis =
      int64_t(op.getAxis()) < 0 ? op.getAxis() + from.getRank() : op.getAxis();
  SmallVector<std::optional<uint64_t>> keys(from.getRank(), 0);
  keys[axis] = std::nullopt;
  SmallVector<int64_t> groups = group(keys);
  if (groups.back() >= most)
    return false;
  OpBuilder b(op);
  auto clone = cast<SplitOp>(op->clone());
  clone->setOperand(
      0, reshapeTo(b, op.getLoc(), op.getX(), merged(from.getShape(), groups)));
  clone.setAxis(groups[axis]);
  b.insert(clone);
  for (auto [old, part] : llvm::zip(op.getResults(), clone.getResults())) {
    auto type = typeOf(old);
    part.setType(type.clone(merged(type.getShape(), groups)));
    old.replaceAllUsesWith(reshapeTo(b, op.getLoc(), part, type.getShape()));
  }
  op.erase();
  return true;
}

/// Axes that are repeated stand alone, unless they have one element: those are
/// repeated on their own.
static bool limitTile(TileOp op, int64_t most) {
  auto from = typeOf(op.getX());
  SmallVector<std::optional<uint64_t>> keys;
  for (int64_t reps : op.getReps())
    keys.push_back(reps == 1 ? std::optional<uint64_t>(0) : std::nullopt);
  SmallVector<int64_t> groups = group(keys);
  if (groups.back() >= most)
    return false;
  Builder b(op.getContext());
  replace(op, {merged(from.getShape(), groups)},
          merged(op.getType().getShape(), groups),
          {b.getNamedAttr(
              "reps", b.getDenseI64ArrayAttr(merged(op.getReps(), groups)))});
  return true;
}

/// Places are a list, what is before and behind the axis are one axis each.
static bool limitGather(GatherOp op, int64_t most) {
  auto x = typeOf(op.getX()), indices = typeOf(op.getIndices());
  if (op.getBatchDims().value_or(0) || most < 3)
    return false;
  int64_t axis =
      int64_t(op.getAxis()) < 0 ? op.getAxis() + x.getRank() : op.getAxis();
  SmallVector<int64_t> shape, places{indices.getNumElements()};
  int64_t before = 1, behind = 1;
  for (int64_t i = 0; i < x.getRank(); ++i)
    (i < axis ? before : behind) *= i == axis ? 1 : x.getDimSize(i);
  shape = {before, x.getDimSize(axis), behind};
  Builder b(op.getContext());
  replace(op, {shape, places}, {before, places[0], behind},
          {b.getNamedAttr("axis", b.getI64IntegerAttr(1))});
  return true;
}

/// Rows of coordinates become one list, and coordinates that several axes need
/// one position along their product.
static bool limitIndexed(Operation *op, unsigned dataInput,
                         unsigned indicesInput, int64_t most) {
  auto batch = op->getAttrOfType<IntegerAttr>("batch_dims");
  if (batch && batch.getInt())
    return false;
  auto data = typeOf(op->getOperand(dataInput)),
       indices = typeOf(op->getOperand(indicesInput));
  int64_t depth = indices.getShape().back(),
          rows = indices.getNumElements() / std::max<int64_t>(depth, 1),
          rest = 1, indexed = 1;
  for (int64_t i = 0; i < data.getRank(); ++i)
    (i < depth ? indexed : rest) *= data.getDimSize(i);
  OpBuilder b(op);
  Location loc = op->getLoc();
  Value at = reshapeTo(b, loc, op->getOperand(indicesInput), {rows, depth});
  SmallVector<int64_t> shape(data.getShape().take_front(depth));
  bool scalars = depth == data.getRank();
  // Positions are int32 in a package.
  if (depth > 1 && depth + !scalars > most && indexed <= INT32_MAX) {
    auto row = RankedTensorType::get({depth}, indices.getElementType());
    SmallVector<int64_t> strides(depth, 1);
    for (int64_t i = depth - 2; i >= 0; --i)
      strides[i] = strides[i + 1] * data.getDimSize(i + 1);
    SmallVector<Attribute> numbers;
    for (int64_t stride : strides)
      numbers.push_back(b.getIntegerAttr(indices.getElementType(), stride));
    Value weights =
        ConstantOp::create(b, loc, row, DenseElementsAttr::get(row, numbers));
    auto wide = indices.clone({rows, depth});
    at = ReduceSumOp::create(b, loc, indices.clone({rows, 1}),
                             MulOp::create(b, loc, wide, at, weights),
                             b.getDenseI64ArrayAttr({1}), b.getBoolAttr(true));
    shape = {indexed};
  }
  SmallVector<int64_t> list{rows};
  if (!scalars) {
    shape.push_back(rest);
    list.push_back(rest);
  }
  if ((int64_t)shape.size() > most)
    return false;
  SmallVector<SmallVector<int64_t>> operands;
  for (unsigned i = 0; i < op->getNumOperands(); ++i)
    operands.push_back(i == dataInput ? shape
                       : i == indicesInput
                           ? SmallVector<int64_t>(typeOf(at).getShape())
                           : list);
  op->setOperand(indicesInput, at);
  replace(op, operands, isa<GatherNdOp>(op) ? list : shape);
  return true;
}

/// Products whose leading axes are alike: they are one.
static bool limitMatmul(MatmulOp op, int64_t most) {
  auto x = typeOf(op.getX()), y = typeOf(op.getY()), z = op.getType();
  if (most < 3 || z.getRank() < 3)
    return false;
  auto lead = [](RankedTensorType t) {
    return t.getShape().drop_back(std::min<int64_t>(2, t.getRank()));
  };
  auto plain = [&](RankedTensorType t) {
    return llvm::all_of(lead(t), [](int64_t d) { return d == 1; });
  };
  auto fold = [&](RankedTensorType t) -> SmallVector<int64_t> {
    int64_t count = 1;
    for (int64_t dim : lead(t))
      count *= dim;
    return {count, t.getDimSize(t.getRank() - 2), t.getShape().back()};
  };
  if (x.getRank() < 2 || y.getRank() < 2 ||
      !((plain(x) || lead(x) == lead(z)) && (plain(y) || lead(y) == lead(z))))
    return false;
  replace(op, {fold(x), fold(y)}, fold(z));
  return true;
}

void mlir::ane::limitRank(Operation *op, int64_t most) {
  auto high = [&](Value v) {
    auto type = dyn_cast<RankedTensorType>(v.getType());
    return type && type.getRank() > most;
  };
  if (op->getNumResults() == 0 ||
      !(op->getNumResults() == 1 || isa<SplitOp>(op)) ||
      !llvm::all_of(op->getOperandTypes(),
                    [](Type type) {
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
  } else if (auto slice = dyn_cast<SliceBySizeOp>(op)) {
    limitSlice(slice, most);
  } else if (auto slice = dyn_cast<SliceByIndexOp>(op)) {
    limitSlice(slice, most);
  } else if (auto concat = dyn_cast<ConcatOp>(op)) {
    limitConcat(concat, most);
  } else if (auto split = dyn_cast<SplitOp>(op)) {
    limitSplit(split, most);
  } else if (auto tile = dyn_cast<TileOp>(op)) {
    limitTile(tile, most);
  } else if (auto gather = dyn_cast<GatherOp>(op)) {
    limitGather(gather, most);
  } else if (isa<GatherNdOp>(op)) {
    limitIndexed(op, 0, 1, most);
  } else if (isa<ScatterNdOp>(op)) {
    limitIndexed(op, 0, 1, most);
  } else if (auto matmul = dyn_cast<MatmulOp>(op)) {
    limitMatmul(matmul, most);
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
      replace(
          op,
          {merged(x.getShape(), groups), merged(indices.getShape(), groups)},
          merged(indices.getShape(), groups),
          {b.getNamedAttr("axis",
                          b.getI64IntegerAttr(
                              groups[axis < 0 ? axis + x.getRank() : axis]))});
  } else if (isa<ReduceArgmaxOp, ReduceArgminOp>(op)) {
    limitAround(op, {op->getAttrOfType<IntegerAttr>("axis").getInt()}, most,
                "axis", false);
  } else if (auto axes = op->getAttrOfType<DenseI64ArrayAttr>("axes");
             axes && op->getAttr("keep_dims")) {
    limitAround(op, axes.asArrayRef(), most, "axes", true);
  }
}
