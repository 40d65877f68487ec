//===- PaddedRows.cpp - lists as long as they may become ------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "PaddedRows.h"
#include "dialects/ANE/IR/Arithmetic.h"
#include "dialects/ANE/IR/Comparison.h"
#include "dialects/ANE/IR/Gather.h"
#include "dialects/ANE/IR/Reduction.h"
#include "dialects/ANE/IR/Structure.h"

using namespace mlir;
using namespace mlir::ane;
using onnxir::NodeOp;

/// More rows than that are no list of tokens.
static constexpr int64_t kMostRows = 1 << 16;

static bool isOneOf(StringRef op, ArrayRef<StringRef> ops) {
  return llvm::is_contained(ops, op);
}

bool PaddedRows::concerns(NodeContext &c) const {
  if (c.node.getDomain().empty() && c.opType() == "NonZero" && c.input(0) &&
      !isConstantTree(c.input(0)))
    return true;
  if (llvm::any_of(c.node.getInputs(), [&](Value v) { return isPadded(v); }))
    return true;
  // Branches and loops whose blocks see a list from around them.
  bool inside = false;
  for (Region &region : c.node.getGraphs())
    region.walk([&](Operation *op) {
      for (Value operand : op->getOperands())
        inside |= isPadded(operand);
    });
  return inside;
}

/// The number of rows that the model itself relies on: what a Split of the list
/// adds up to.
static std::optional<int64_t> splitCount(NodeContext &c, Value list) {
  int64_t axis = 1;
  while (list.hasOneUse()) {
    auto user = dyn_cast<NodeOp>(*list.user_begin());
    if (!user || !user.getDomain().empty())
      return std::nullopt;
    if (user.getOpType() == "Transpose") {
      axis = 1 - axis; // of two axes there is only one other order
      list = user.getResult(0);
      continue;
    }
    if (user.getOpType() != "Split")
      return std::nullopt;
    auto along =
        dyn_cast_or_null<IntegerAttr>(user.getOnnxAttributes().get("axis"));
    int64_t at = along ? along.getInt() : 0;
    if ((at < 0 ? at + 2 : at) != axis)
      return std::nullopt;
    SmallVector<int64_t> sizes;
    if (auto given = dyn_cast_or_null<DenseI64ArrayAttr>(
            user.getOnnxAttributes().get("split"))) {
      sizes.assign(given.asArrayRef().begin(), given.asArrayRef().end());
    } else if (user.getInputs().size() > 1) {
      auto constant = user.getInputs()[1].getDefiningOp<onnxir::ConstantOp>();
      FailureOr<Tensor> tensor = constant
                                     ? Tensor::fromElements(constant.getValue())
                                     : FailureOr<Tensor>(failure());
      if (failed(tensor) || tensor->isFloat())
        return std::nullopt;
      sizes.assign(tensor->ints().begin(), tensor->ints().end());
    } else {
      return std::nullopt;
    }
    int64_t count = 0;
    for (int64_t size : sizes)
      count += size;
    return count;
  }
  return std::nullopt;
}

LogicalResult PaddedRows::lowerNonZero(NodeContext &c) {
  Value x = c.input(0);
  if (!c.type(x).hasStaticShape() || c.rank(x) < 1)
    return failure();
  SmallVector<int64_t> shape(c.shape(x));
  int64_t total = c.type(x).getNumElements(), rank = shape.size();
  if (total < 1 || total > kMostRows)
    return failure();
  Value flat = c.reshape(x, {total});
  Value mask = c.element(x).isInteger(1)
                   ? flat
                   : c.create<NotEqualOp>({flat, c.scalarLike(0, flat)});
  SmallVector<int64_t> strides = rowMajorStrides(shape);
  if (std::optional<int64_t> count = splitCount(c, c.node.getResult(0))) {
    // The model takes as many rows as it says: the first that count.
    if (*count < 1 || *count > total)
      return failure();
    SmallVector<int64_t> numbers, places;
    for (int64_t i = 0; i < *count; ++i)
      numbers.push_back(i + 1);
    for (int64_t i = 0; i < total; ++i)
      places.push_back(i);
    Value ones = c.castTo(mask, c.i32());
    Value order = c.mul(ones, c.create<CumsumOp>({ones}, {.axis = 0}));
    Value chosen = c.create<EqualOp>(
        {c.reshape(order, {1, total}), c.ints({*count, 1}, numbers)});
    Value at = c.reduceSum(c.mul(c.castTo(chosen, c.i32()),
                                 c.castTo(c.ints({1, total}, places), c.i32())),
                           {1});
    SmallVector<Value> coordinates;
    for (int64_t i = 0; i < rank; ++i) {
      Value v = at;
      if (strides[i] != 1)
        v = c.create<FloorDivOp>({v, c.scalar(strides[i], c.i32())});
      if (i > 0)
        v = c.create<ModOp>({v, c.scalar(shape[i], c.i32())});
      coordinates.push_back(c.reshape(v, {1, *count}));
    }
    if (c.failed())
      return failure();
    return c.set(
        0, c.castTo(c.concat(coordinates, 0), c.graph.builder.getI64Type()));
  }
  Tensor coordinates(DType::Int64, {rank, total});
  for (int64_t i = 0; i < rank; ++i)
    for (int64_t k = 0; k < total; ++k)
      coordinates.mutableInts()[i * total + k] = k / strides[i] % shape[i];
  ++count;
  rows[c.node.getResult(0)] = {mask, 1};
  return c.set(0, c.graph.constant(c.loc, coordinates));
}

/// Puts back only the rows that count.
LogicalResult PaddedRows::maskScatter(NodeContext &c) {
  bool nd = c.opType() == "ScatterND";
  const Rows *r = find(c, 1), *values = find(c, 2);
  Value data = c.input(0), indices = c.input(1), updates = c.input(2);
  if (!r || find(c, 0) || (values && values->mask != r->mask) ||
      (values && values->axis != r->axis) ||
      (nd && r->axis == c.rank(indices) - 1))
    return failure();
  int64_t length = c.shape(r->mask)[0];
  if (r->axis >= c.rank(updates) || c.shape(updates)[r->axis] != length)
    return failure();
  SmallVector<int64_t> wide(c.rank(updates), 1);
  wide[r->axis] = length;
  Value mask = c.reshape(r->mask, wide);
  std::string reduction = c.getString("reduction", "none");
  auto present = [&]() -> Value { // what is there already
    if (nd)
      return c.create<GatherNdOp>({data, indices});
    Value from = data;
    FailureOr<int64_t> axis = c.axis(c.getInt("axis", 0), c.rank(data));
    if (failed(axis) || c.rank(indices) != c.rank(data))
      return {};
    for (int64_t i = 0; i < c.rank(data); ++i)
      if (i != *axis)
        from = c.slice(from, i, 0, c.shape(indices)[i]);
    return c.create<GatherAlongAxisOp>(
        {from, wrapNegative(c, indices, c.shape(data)[*axis])},
        {.axis = *axis});
  };
  auto splat = [](Value v) {
    auto constant = v.getDefiningOp<ConstantOp>();
    auto elements = constant ? dyn_cast<DenseElementsAttr>(constant.getValue())
                             : DenseElementsAttr();
    return elements && elements.isSplat() &&
           (isa<FloatType>(elements.getElementType())
                ? elements.getSplatValue<APFloat>().isZero()
                : elements.getSplatValue<APInt>().isZero());
  };
  Value zero = c.scalarLike(0, updates);
  if (reduction == "none") {
    // Differences are added, so that rows which do not count add nothing.
    if (!splat(data))
      updates = c.sub(updates, present());
    updates = c.create<SelectOp>({mask, updates, zero});
  } else if (reduction == "add") {
    updates = c.create<SelectOp>({mask, updates, zero});
  } else if (reduction == "mul") {
    updates = c.create<SelectOp>({mask, updates, c.scalarLike(1, updates)});
  } else {
    updates = c.create<SelectOp>({mask, updates, present()});
  }
  if (!updates)
    return failure();
  if (reduction == "none") {
    NamedAttrList attributes(c.node.getOnnxAttributes());
    attributes.set("reduction", c.graph.builder.getStringAttr("add"));
    c.node.setOnnxAttributesAttr(attributes.getDictionary(c.node.getContext()));
  }
  c.setInputs({data, indices, updates});
  return success();
}

/// Where the rows of operands `from` meet in a result that they are broadcast
/// to; nothing when one of them has something else there.
std::optional<int64_t> PaddedRows::broadcastAxis(NodeContext &c,
                                                 ArrayRef<unsigned> from,
                                                 int64_t resultRank) {
  std::optional<int64_t> axis;
  Value mask;
  for (unsigned i : from)
    if (const Rows *r = find(c, i)) {
      int64_t at = r->axis + resultRank - c.rank(c.input(i));
      if ((axis && (*axis != at || mask != r->mask)) || at < 0)
        return std::nullopt;
      axis = at;
      mask = r->mask;
    }
  if (!axis)
    return std::nullopt;
  for (unsigned i : from)
    if (Value v = c.input(i); v && !find(c, i)) {
      int64_t at = *axis - (resultRank - c.rank(v));
      if (at >= 0 && c.shape(v)[at] != 1)
        return std::nullopt;
    }
  return axis;
}

std::optional<int64_t> PaddedRows::reshapedAxis(NodeContext &c, const Rows &r,
                                                ArrayRef<int64_t> from,
                                                ArrayRef<int64_t> to) {
  int64_t before = 1;
  for (int64_t dim : from.take_front(r.axis))
    before *= dim;
  int64_t product = 1;
  for (auto [i, dim] : llvm::enumerate(to)) {
    if (product == before && dim == from[r.axis])
      return i;
    product *= dim;
  }
  return std::nullopt;
}

static int64_t normal(int64_t axis, int64_t rank) {
  return axis < 0 ? axis + rank : axis;
}

std::optional<int64_t> PaddedRows::gatheredAxis(NodeContext &c, int64_t rank) {
  StringRef op = c.opType();
  const Rows *r = find(c, 0), *indices = find(c, 1);
  if (op == "Gather") {
    int64_t axis = normal(c.getInt("axis", 0), c.rank(c.input(0)));
    if (indices)
      return r ? std::nullopt : std::optional(axis + indices->axis);
    if (!r || r->axis == axis)
      return std::nullopt;
    return r->axis < axis ? r->axis : r->axis + c.rank(c.input(1)) - 1;
  }
  if (op == "GatherND") {
    if (!indices || r || c.getInt("batch_dims", 0) ||
        indices->axis == c.rank(c.input(1)) - 1)
      return std::nullopt;
    return indices->axis;
  }
  if (op == "GatherElements") {
    if (!r || !indices || r->axis != indices->axis ||
        r->mask != indices->mask ||
        normal(c.getInt("axis", 0), rank) == r->axis)
      return std::nullopt;
    return r->axis;
  }
  return std::nullopt;
}

std::optional<int64_t> PaddedRows::slicedAxis(NodeContext &c, const Rows &r,
                                              Value y) {
  auto axes = c.getIntsOrInput("axes", 3), ends = c.getIntsOrInput("ends", 2),
       starts = c.getIntsOrInput("starts", 1);
  if (failed(axes) || failed(ends) || failed(starts) || !*ends || !*starts)
    return std::nullopt;
  for (size_t i = 0; i < (*ends)->size(); ++i) {
    int64_t axis = *axes ? normal((**axes)[i], c.rank(y)) : int64_t(i);
    if (axis == r.axis && ((**starts)[i] != 0 || (**ends)[i] < INT32_MAX))
      return std::nullopt;
  }
  if (c.shape(y)[r.axis] != c.shape(r.mask)[0])
    return std::nullopt;
  return r.axis;
}

std::optional<int64_t> PaddedRows::productAxis(NodeContext &c, int64_t rank) {
  const Rows *r = find(c, 0), *other = find(c, 1);
  Value a = c.input(0), b = c.input(1);
  if (r && !other) {
    if (c.rank(a) < 2 || r->axis == c.rank(a) - 1)
      return std::nullopt;
    int64_t axis = r->axis + rank - c.rank(a);
    int64_t there = axis - (rank - c.rank(b));
    if (c.rank(b) < 2 ||
        (axis < rank - 2 && there >= 0 && c.shape(b)[there] != 1))
      return std::nullopt;
    return axis;
  }
  if (other && !r && c.rank(b) >= 2 && other->axis == c.rank(b) - 1 &&
      c.rank(a) >= 2)
    return rank - 1;
  return std::nullopt;
}

std::optional<int64_t> PaddedRows::reducedAxis(NodeContext &c, const Rows &r) {
  auto axes = c.getIntsOrInput("axes", 1);
  if (failed(axes) || !*axes || (*axes)->empty())
    return std::nullopt;
  int64_t from = c.rank(c.input(0)), dropped = 0;
  for (int64_t a : **axes) {
    if (normal(a, from) == r.axis)
      return std::nullopt;
    dropped += normal(a, from) < r.axis;
  }
  return c.getInt("keepdims", 1) ? r.axis : r.axis - dropped;
}

static bool isElementByElement(StringRef op) {
  return isOneOf(op, {"Abs",
                      "Add",
                      "And",
                      "Cast",
                      "Ceil",
                      "Clip",
                      "Cos",
                      "Div",
                      "Elu",
                      "Equal",
                      "Erf",
                      "Exp",
                      "Floor",
                      "Gelu",
                      "Greater",
                      "Greater",
                      "GreaterOrEqual",
                      "HardSigmoid",
                      "HardSwish",
                      "Identity",
                      "LeakyRelu",
                      "Less",
                      "LessOrEqual",
                      "Log",
                      "Max",
                      "Min",
                      "Mish",
                      "Mod",
                      "Mul",
                      "Neg",
                      "Not",
                      "Or",
                      "Pow",
                      "PRelu",
                      "Reciprocal",
                      "Relu",
                      "Round",
                      "Selu",
                      "Sigmoid",
                      "Sign",
                      "Sin",
                      "Softplus",
                      "Softsign",
                      "Sqrt",
                      "Sub",
                      "Sum",
                      "Swish",
                      "Tanh",
                      "Where",
                      "Xor"});
}

/// Along which axis the rows of an output are; nothing when they are mixed.
std::optional<int64_t> PaddedRows::resultAxis(NodeContext &c, unsigned output) {
  StringRef op = c.opType();
  Value y = c.output(output);
  if (!y || !c.node.getDomain().empty())
    return std::nullopt;
  int64_t rank = c.rank(y);
  const Rows *r = find(c, 0);
  SmallVector<unsigned> all;
  for (unsigned i = 0; i < c.numInputs(); ++i)
    all.push_back(i);
  // Only operand 0 may have rows from here on, unless it says otherwise.
  auto alone = [&] {
    for (unsigned i : ArrayRef(all).drop_front())
      if (find(c, i))
        return false;
    return r != nullptr;
  };
  if (isElementByElement(op))
    return broadcastAxis(c, all, rank);
  if (op == "Expand")
    return alone() ? broadcastAxis(c, {0u}, rank) : std::nullopt;
  if (op == "Transpose") {
    SmallVector<int64_t> perm;
    for (int64_t i = rank; i-- > 0;)
      perm.push_back(i);
    if (auto given = c.getInts("perm"))
      perm = *given;
    return llvm::find(perm, r->axis) - perm.begin();
  }
  if (isOneOf(op, {"Reshape", "Squeeze", "Unsqueeze", "Flatten"}))
    return alone() ? reshapedAxis(c, *r, c.shape(c.input(0)), c.shape(y))
                   : std::nullopt;
  if (op.starts_with("Gather"))
    return gatheredAxis(c, rank);
  if (op == "Split")
    return alone() && normal(c.getInt("axis", 0), rank) != r->axis
               ? std::optional(r->axis)
               : std::nullopt;
  if (op == "Slice")
    return alone() ? slicedAxis(c, *r, y) : std::nullopt;
  if (op == "MatMul")
    return productAxis(c, rank);
  if (op == "Gemm") {
    Value bias = c.input(2);
    if (!alone() || r->axis != 0 || c.getInt("transA", 0) ||
        (bias && c.rank(bias) == 2 && c.shape(bias)[0] != 1))
      return std::nullopt;
    return 0;
  }
  if (isOneOf(op, {"Softmax", "LogSoftmax"}))
    return alone() && c.version() >= 13 &&
                   normal(c.getInt("axis", -1), rank) != r->axis
               ? std::optional(r->axis)
               : std::nullopt;
  if (isOneOf(op, {"LayerNormalization", "RMSNormalization"}))
    return alone() && normal(c.getInt("axis", -1), rank) > r->axis
               ? std::optional(r->axis)
               : std::nullopt;
  if (isOneOf(op, {"ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin",
                   "ReduceProd", "ReduceL2"}))
    return alone() ? reducedAxis(c, *r) : std::nullopt;
  if (op == "Concat") {
    if (!r || normal(c.getInt("axis", 0), rank) == r->axis)
      return std::nullopt;
    for (unsigned i : all)
      if (const Rows *other = find(c, i);
          !other || other->axis != r->axis || other->mask != r->mask)
        return std::nullopt;
    return r->axis;
  }
  return std::nullopt;
}

/// A Gather or Slice of a shape that leaves the padded length out.
bool PaddedRows::takesOtherExtents(NodeContext &c) {
  auto it = shapes.find(c.node.getInputs()[0]);
  if (it == shapes.end() || (c.opType() != "Gather" && c.opType() != "Slice"))
    return false;
  int64_t rank = c.shape(c.input(0))[0];
  auto normal = [&](int64_t i) {
    return std::clamp<int64_t>(i < 0 ? i + rank : i, 0, rank);
  };
  if (c.opType() == "Gather") {
    auto at = c.tryConstant(c.input(1));
    return at && !at->isFloat() && llvm::none_of(at->ints(), [&](int64_t i) {
             return normal(i) == it->second;
           });
  }
  auto begin = c.tryConstant(c.input(1)), end = c.tryConstant(c.input(2));
  return begin && end && begin->size() == 1 && end->size() == 1 &&
         !c.input(4) &&
         (it->second < normal(begin->integer()) ||
          it->second >= normal(end->integer()));
}

LogicalResult PaddedRows::lower(NodeContext &c,
                                llvm::function_ref<LogicalResult()> handler) {
  StringRef op = c.opType();
  if (!c.node.getGraphs().empty() || !c.node.getDomain().empty())
    return failure();
  if (op == "NonZero")
    return llvm::any_of(c.node.getInputs(),
                        [&](Value v) { return isPadded(v); })
               ? failure()
               : lowerNonZero(c);
  bool hasRows = false, hasLengths = false;
  for (Value v : c.node.getInputs()) {
    hasRows |= rows.count(v);
    hasLengths |= lengths.contains(v);
  }
  if (isOneOf(op, {"Scatter", "ScatterElements", "ScatterND"})) {
    if (hasLengths || failed(maskScatter(c)))
      return failure();
    return handler(); // nothing of the result is padded
  }
  if (op == "Shape") {
    if (hasLengths) // how many axes there are is no length
      return handler();
    lengths.insert(c.node.getResult(0));
    if (!c.getInt("start", 0) && !c.attribute("end"))
      shapes[c.node.getResult(0)] = find(c, 0)->axis;
    return handler();
  }
  if (takesOtherExtents(c))
    return handler();
  // A length may only be the extent of what has the rows.
  if (hasLengths) {
    for (auto [i, v] : llvm::enumerate(c.node.getInputs()))
      if (lengths.contains(v) &&
          !(i == 1 && isOneOf(op, {"Reshape", "Expand"}) && find(c, 0)) &&
          hasRows)
        return failure();
    if (!hasRows) {
      static constexpr StringRef arithmetic[] = {
          "Add",     "Cast",     "Concat",    "Div",     "Equal",
          "Gather",  "Identity", "Mul",       "Reshape", "Slice",
          "Squeeze", "Sub",      "Unsqueeze", "Where"};
      if (!isOneOf(op, arithmetic))
        return failure();
      for (Value result : c.node.getResults())
        lengths.insert(result);
      return handler();
    }
  }
  if (failed(handler()))
    return failure();
  Value mask;
  for (Value v : c.node.getInputs())
    if (auto it = rows.find(v); it != rows.end())
      mask = it->second.mask;
  int64_t length = c.shape(mask)[0];
  for (unsigned i = 0; i < c.numOutputs(); ++i) {
    if (!c.isUsed(i))
      continue;
    std::optional<int64_t> axis = resultAxis(c, i);
    if (!axis || *axis >= c.rank(c.output(i)) ||
        c.shape(c.output(i))[*axis] != length)
      return failure();
    rows[c.node.getResult(i)] = {mask, *axis};
  }
  return success();
}
