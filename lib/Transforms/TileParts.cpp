//===- TileParts.cpp - parts of values ------------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "TileParts.h"
#include "Reshape.h"
#include "dialects/ANE/IR/Cast.h"
#include "dialects/ANE/IR/Norm.h"
#include "dialects/ANE/IR/Shape.h"
#include "dialects/ANE/IR/WeightTrees.h"

using namespace mlir;
using namespace mlir::ane;

std::optional<Part> Part::inUnits(int64_t unit) const {
  if (!isRun())
    return block % unit ? std::nullopt
                        : std::optional(Part{lo, hi, step, block / unit});
  Part run = asRun();
  return run.lo % unit || run.hi % unit
             ? std::nullopt
             : std::optional(Part{run.lo / unit, run.hi / unit});
}

RankedTensorType mlir::ane::withDim(RankedTensorType type, int64_t axis,
                                    int64_t size) {
  SmallVector<int64_t> shape(type.getShape());
  shape[axis] = size;
  return type.clone(shape);
}

static Tiler::Key keyOf(void *of, int64_t axis, const Part &part) {
  return {of, axis, part.lo, part.hi, part.step, part.block};
}

static int64_t concatAxis(ConcatOp op) {
  return op.getAxis() < 0 ? (int64_t)op.getAxis() + op.getType().getRank()
                          : (int64_t)op.getAxis();
}

/// What a part along `axis` of `to` is of `from`, where both hold the same
/// elements in order: of the axis that is split into `axis` and others, or of
/// one of two that are joined in it.
static std::optional<PartAlong> reshapedPart(ArrayRef<int64_t> from,
                                             ArrayRef<int64_t> to, int64_t axis,
                                             const Part &part) {
  int64_t before = 1, product = 1;
  for (int64_t dim : to.take_front(axis))
    before *= dim;
  // Whether the axes behind begin with so many entries.
  auto continues = [](ArrayRef<int64_t> behind, int64_t entries) {
    int64_t found = 1;
    for (int64_t dim : behind) {
      if (found == entries)
        break;
      found *= dim;
    }
    return found == entries;
  };
  for (auto [i, dim] : llvm::enumerate(from)) {
    // An axis of one entry is not the one that is meant.
    if (product == before && (dim != 1 || to[axis] == 1)) {
      if (dim % to[axis] == 0 &&
          continues(to.drop_front(axis + 1), dim / to[axis]))
        return PartAlong{(int64_t)i, part.ofUnits(dim / to[axis])};
      int64_t inner = dim ? to[axis] / dim : 0;
      if (!inner || to[axis] % dim || !continues(from.drop_front(i + 1), inner))
        return std::nullopt;
      if (auto outer = part.inUnits(inner))
        return PartAlong{(int64_t)i, *outer};
      int64_t j = i + 1;
      while (j < (int64_t)from.size() && from[j] == 1)
        ++j;
      if (part.block != 1 || j == (int64_t)from.size() || from[j] != inner)
        return std::nullopt;
      // The same of each entry of the outer axis, one of some of them, or some
      // of one.
      if (!part.isRun() && inner % part.step == 0)
        return PartAlong{
            j, {part.lo, part.step == inner ? part.lo + 1 : inner, part.step}};
      int64_t outer = part.lo / inner, at = part.lo % inner;
      if (!part.isRun())
        return part.step % inner
                   ? std::nullopt
                   : std::optional(PartAlong{
                         j,
                         {at, at + 1},
                         std::pair(int64_t(i),
                                   Part{outer, dim, part.step / inner})});
      return at + part.size() > inner
                 ? std::nullopt
                 : std::optional(PartAlong{
                       j,
                       {at, at + part.size()},
                       std::pair(int64_t(i), Part{outer, outer + 1})});
    }
    product *= dim;
  }
  return std::nullopt;
}

/// Groups of a convolution that make a part of its channels, as entries of an
/// axis of groups.
static std::optional<Part> groupsOf(ConvOp conv, const Part &part) {
  return part.inUnits(typeOf(conv.getResult()).getDimSize(1) /
                      conv.getGroups());
}

/// Which part of operand `i` a part along `axis` of the result needs; nothing
/// when the whole operand is needed or the op cannot be taken apart along it.
static std::optional<PartAlong> operandPart(Operation *op, unsigned i,
                                            int64_t axis, const Part &part) {
  RankedTensorType result = typeOf(op->getResult(0)),
                   operand = typeOf(op->getOperand(i));
  auto along = [&](int64_t at) { return std::optional(PartAlong{at, part}); };
  auto broadcast = [&](int64_t at) -> std::optional<PartAlong> {
    at -= result.getRank() - operand.getRank();
    if (at < 0 || operand.getDimSize(at) == 1)
      return std::nullopt;
    return along(at);
  };
  auto wrapped = [&](int64_t a) { return a < 0 ? a + operand.getRank() : a; };
  if (isElementwise(op))
    return broadcast(axis);
  if (auto softmax = dyn_cast<SoftmaxOp>(op))
    return wrapped(softmax.getAxis()) == axis ? std::nullopt : along(axis);
  if (auto norm = dyn_cast<LayerNormOp>(op))
    return i == 0 &&
                   llvm::none_of(norm.getAxes(),
                                 [&](int64_t a) { return wrapped(a) == axis; })
               ? along(axis)
               : std::nullopt;
  if (auto transpose = dyn_cast<TransposeOp>(op))
    return along(wrapped(transpose.getPerm()[axis]));
  if (isa<ReshapeOp>(op))
    return reshapedPart(operand.getShape(), result.getShape(), axis, part);
  if (auto concat = dyn_cast<ConcatOp>(op))
    return concat.getInterleave() || concatAxis(concat) == axis ? std::nullopt
                                                                : along(axis);
  if (auto product = dyn_cast<MatmulOp>(op)) {
    if (axis < result.getRank() - 2)
      return broadcast(axis);
    bool rows = axis == result.getRank() - 2;
    if (rows != (i == 0))
      return std::nullopt;
    bool turned = i == 0 ? product.getTransposeX() : product.getTransposeY();
    return along(operand.getRank() - (rows != turned ? 2 : 1));
  }
  if (auto conv = dyn_cast<ConvOp>(op)) {
    if (axis != 1)
      return i == 0 ? along(axis) : std::nullopt;
    auto groups = groupsOf(conv, part);
    if (conv.getGroups() != 1 && !groups)
      return std::nullopt;
    if (i != 0)
      return along(0);
    return conv.getGroups() == 1
               ? std::nullopt
               : std::optional(
                     PartAlong{1, groups->ofUnits(operand.getDimSize(1) /
                                                  conv.getGroups())});
  }
  return std::nullopt;
}

Value Tiler::tile(Value v, int64_t axis, Part part) {
  if (part.size() == typeOf(v).getDimSize(axis))
    return v;
  if (isConstantTree(v))
    return sliceTree(v, axis, part);
  Operation *op = v.getDefiningOp();
  if (!op || !region.contains(op))
    return slice(v, axis, part);
  Value made = tileOp(op, v, axis, part);
  return made ? made : slice(v, axis, part);
}

bool Tiler::reaches(Value from, int64_t axis, Part part, Value v) const {
  if (from == v)
    return true;
  Operation *op = from.getDefiningOp();
  if (!op || !region.contains(op))
    return false;
  for (auto [i, operand] : llvm::enumerate(op->getOperands()))
    if (auto of = operandPart(op, i, axis, part);
        of && !isConstantTree(operand) &&
        reaches(operand, of->axis, of->part, v))
      return true;
  return false;
}

Value Tiler::tile(Value v, const PartAlong &along) {
  Value first = tile(v, along.axis, along.part);
  return along.then ? slice(first, along.then->first, along.then->second)
                    : first;
}

Value Tiler::slice(Value v, int64_t axis, Part part) {
  if (part.size() == typeOf(v).getDimSize(axis))
    return v;
  Value &made = slices[keyOf(v.getAsOpaquePointer(), axis, part)];
  return made ? made : made = makeSlice(v, axis, part);
}

Value Tiler::makeSlice(Value v, int64_t axis, Part part) {
  RankedTensorType type = withDim(typeOf(v), axis, part.size());
  auto cut = [&](Value of, int64_t at, int64_t lo, int64_t size) -> Value {
    RankedTensorType cutType = withDim(typeOf(of), at, size);
    SmallVector<int64_t> begin(cutType.getRank(), 0);
    begin[at] = lo;
    return SliceBySizeOp::create(b, v.getLoc(), cutType, of,
                                 b.getDenseI64ArrayAttr(begin),
                                 b.getDenseI64ArrayAttr(cutType.getShape()));
  };
  if (part.isRun())
    return cut(v, axis, part.asRun().lo, part.size());
  // Every step-th run, as one entry of an axis of `step`.
  SmallVector<int64_t> apart(type.getShape());
  apart[axis] = part.step;
  apart.insert(apart.begin() + axis, type.getDimSize(axis) / part.block);
  if (part.block != 1)
    apart.insert(apart.begin() + axis + 2, part.block);
  return reshapeTo(
      b, v.getLoc(),
      cut(reshapeTo(b, v.getLoc(), v, apart), axis + 1, part.lo, 1),
      type.getShape());
}

/// The slice of a weight, taken from the constants at its leaves: the writer
/// evaluates each part by itself.
Value Tiler::sliceTree(Value v, int64_t axis, Part part) {
  Operation *op = v.getDefiningOp();
  RankedTensorType type = withDim(typeOf(v), axis, part.size());
  if (auto cast = dyn_cast<CastOp>(op))
    return CastOp::create(b, v.getLoc(), type,
                          sliceTree(cast.getX(), axis, part),
                          cast.getDtypeAttr());
  if (auto transpose = dyn_cast<TransposeOp>(op))
    return TransposeOp::create(
        b, v.getLoc(), type,
        sliceTree(transpose.getX(), operandPart(op, 0, axis, part)->axis, part),
        transpose.getPermAttr());
  if (auto reshape = dyn_cast<ReshapeOp>(op))
    if (auto from = operandPart(op, 0, axis, part); from && !from->then)
      return ReshapeOp::create(
          b, v.getLoc(), type,
          sliceTree(reshape.getX(), from->axis, from->part),
          b.getDenseI64ArrayAttr(type.getShape()));
  if (auto outer = dyn_cast<SliceBySizeOp>(op);
      outer && part.isRun() &&
      withDim(typeOf(outer.getX()), axis, 0) == withDim(typeOf(v), axis, 0)) {
    Part run = part.asRun();
    int64_t begin = outer.getBegin()[axis];
    return sliceTree(outer.getX(), axis, {run.lo + begin, run.hi + begin});
  }
  if (isElementwise(op) && op->getNumResults() == 1) {
    SmallVector<Value> operands;
    for (auto [i, operand] : llvm::enumerate(op->getOperands())) {
      auto of = operandPart(op, i, axis, part);
      // Element-wise, along one axis.
      operands.push_back(of ? sliceTree(operand, of->axis, of->part) : operand);
    }
    Operation *made = b.clone(*op);
    made->setOperands(operands);
    made->getResult(0).setType(type);
    return made->getResult(0);
  }
  return slice(v, axis, part);
}

Value Tiler::tileOp(Operation *op, Value v, int64_t axis, Part part) {
  Key key = keyOf(op, axis, part);
  if (auto it = made.find(key); it != made.end())
    return it->second;
  auto conv = dyn_cast<ConvOp>(op);
  if (conv && axis >= 2)
    return part.isRun() ? made[key] = tileRows(conv, axis, part.asRun())
                        : Value();
  RankedTensorType type = withDim(typeOf(v), axis, part.size());
  if (auto concat = dyn_cast<ConcatOp>(op);
      concat && concatAxis(concat) == axis && !concat.getInterleave()) {
    // Of operands of one entry each, as copies are, those that are wanted.
    if (part.block != 1 || llvm::any_of(concat.getValues(), [&](Value x) {
          return typeOf(x).getDimSize(axis) != 1;
        }))
      return {};
    SmallVector<Value> wanted;
    for (int64_t i = part.lo; i < part.hi; i += part.step)
      wanted.push_back(concat.getValues()[i]);
    return made[key] = wanted.size() == 1
                           ? wanted.front()
                           : ConcatOp::create(b, op->getLoc(), type, wanted,
                                              concat.getAxisAttr(),
                                              concat.getInterleaveAttr())
                                 .getResult();
  }
  SmallVector<Value> operands;
  bool any = false;
  for (auto [i, operand] : llvm::enumerate(op->getOperands())) {
    auto of = operandPart(op, i, axis, part);
    operands.push_back(of ? tile(operand, *of) : operand);
    any |= of.has_value();
  }
  if (!any)
    return {};
  Operation *clone = b.clone(*op);
  clone->setOperands(operands);
  clone->getResult(0).setType(type);
  if (auto reshape = dyn_cast<ReshapeOp>(clone))
    reshape.setShape(type.getShape());
  if (conv && conv.getGroups() != 1 && axis == 1)
    cast<ConvOp>(clone).setGroups(groupsOf(conv, part)->size());
  return made[key] = clone->getResult(0);
}

/// The rows of the operand under those of the result, with less padding where
/// neighbours are real.
Value Tiler::tileRows(ConvOp conv, int64_t axis, Part part) {
  ArrayRef<int64_t> in = typeOf(conv.getX()).getShape();
  ArrayRef<int64_t> kernel = typeOf(conv.getWeight()).getShape();
  auto padding = resolvePadding(conv.getPadType(), conv.getPad(),
                                in.drop_front(2), kernel.drop_front(2),
                                conv.getStrides(), conv.getDilations());
  unsigned k = axis - 2;
  int64_t stride = conv.getStrides()[k],
          reach = (kernel[axis] - 1) * conv.getDilations()[k] + 1;
  int64_t first = part.lo * stride - padding[k].first,
          last = (part.hi - 1) * stride - padding[k].first + reach;
  Part rows{std::max<int64_t>(first, 0), std::min(last, in[axis])};
  if (rows.size() <= 0)
    return {};
  padding[k] = {rows.lo - first, last - rows.hi};
  SmallVector<int64_t> pad;
  for (auto [begin, end] : padding) {
    pad.push_back(begin);
    pad.push_back(end);
  }
  Value x = tile(conv.getX(), axis, rows);
  auto clone = cast<ConvOp>(b.clone(*conv));
  clone.getXMutable().assign(x);
  clone.setPadType(PadType::custom);
  clone.setPad(pad);
  clone.getResult().setType(
      withDim(typeOf(conv.getResult()), axis, part.size()));
  return clone.getResult();
}
