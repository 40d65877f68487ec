//===- Index.cpp - gather, scatter, sorting, one-hot ----------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "Lowering.h"
#include "dialects/ANE/IR/Comparison.h"
#include "dialects/ANE/IR/Gather.h"
#include <numeric>

using namespace mlir;
using namespace mlir::ane;

using C = NodeContext;

/// ONNX indices count from the end when negative; MIL's from iOS 17 on do not.
/// Constant ones are wrapped here.
Value mlir::ane::wrapNegative(C &c, Value indices, int64_t extent) {
  if (!indices)
    return {};
  if (std::optional<Tensor> known = c.tryConstant(indices);
      known && !known->isFloat()) {
    bool negative =
        llvm::any_of(known->ints(), [](int64_t i) { return i < 0; });
    if (!negative)
      return indices;
    Tensor wrapped(known->dtype(), known->shape());
    for (auto [to, from] : llvm::zip(wrapped.mutableInts(), known->ints()))
      to = from < 0 ? from + extent : from;
    return c.graph.constant(c.loc, wrapped);
  }
  Value negative = c.create<LessOp>({indices, c.scalarLike(0, indices)});
  return c.create<SelectOp>(
      {negative, c.add(indices, c.scalarLike(extent, indices)), indices});
}

static LogicalResult lowerGather(C &c) {
  Value x = c.input(0), indices = c.input(1);
  FailureOr<int64_t> axis = c.axis(c.getInt("axis", 0), c.rank(x));
  if (failed(axis))
    return failure();
  int64_t extent = c.shape(x)[*axis];
  if (ShapedType::isDynamic(extent))
    return c.error() << "expects axis " << *axis
                     << " to have a known length, but got " << c.type(x);
  // Constant indices of one element, or a contiguous run, are slices, which the
  // engine can do.
  if (std::optional<Tensor> known = c.tryConstant(indices);
      known && known->size() > 0) {
    SmallVector<int64_t> list(known->ints());
    bool valid = true, run = true;
    for (auto [i, index] : llvm::enumerate(list)) {
      if (index < 0)
        index += extent;
      valid &= index >= 0 && index < extent;
      run &= index == list[0] + (int64_t)i;
    }
    if (!valid)
      return c.error() << "expects indices in [" << -extent << ", " << extent
                       << ") for axis " << *axis;
    if (run && known->rank() <= 1 && !c.tryConstant(x)) {
      Value y = c.slice(x, *axis, list[0], list[0] + list.size());
      if (!y)
        return failure();
      SmallVector<int64_t> shape(c.shape(y));
      if (known->rank() == 0)
        shape.erase(shape.begin() + *axis);
      return c.set(0, c.reshape(y, shape));
    }
  }
  return c.set(0, c.create<GatherOp>({x, wrapNegative(c, indices, extent)},
                                     {.axis = *axis}));
}

static LogicalResult lowerGatherElements(C &c) {
  Value x = c.input(0), indices = c.input(1);
  FailureOr<int64_t> axis = c.axis(c.getInt("axis", 0), c.rank(x));
  if (failed(axis) || c.rank(indices) != c.rank(x))
    return c.failed() ? failure()
                      : LogicalResult(c.error()
                                      << "expects indices of the input's rank");
  indices = wrapNegative(c, indices, c.shape(x)[*axis]);
  for (int64_t i = 0; i < c.rank(x) && indices;
       ++i) // MIL wants equal extents on the other axes
    if (i != *axis)
      x = c.slice(x, i, 0, c.shape(indices)[i]);
  return c.set(0, c.create<GatherAlongAxisOp>({x, indices}, {.axis = *axis}));
}

/// Wraps each column of an index tensor [..., depth] by the extent it indexes.
static Value wrapColumns(C &c, Value indices, ArrayRef<int64_t> extents) {
  if (std::optional<Tensor> known = c.tryConstant(indices)) {
    Tensor wrapped(known->dtype(), known->shape());
    for (int64_t i = 0; i < known->size(); ++i)
      wrapped.mutableInts()[i] =
          known->ints()[i] < 0 ? known->ints()[i] + extents[i % extents.size()]
                               : known->ints()[i];
    return c.graph.constant(c.loc, wrapped);
  }
  Value limits = c.castTo(c.graph.ints(c.loc, extents), c.element(indices));
  Value negative = c.create<LessOp>({indices, c.scalarLike(0, indices)});
  return c.create<SelectOp>({negative, c.add(indices, limits), indices});
}

static LogicalResult lowerGatherND(C &c) {
  Value x = c.input(0), indices = c.input(1);
  int64_t batch = c.getInt("batch_dims", 0),
          depth = c.rank(indices) ? c.shape(indices).back() : 0;
  if (depth < 1 || batch < 0 || batch + depth > c.rank(x))
    return c.error() << "expects the last axis of indices to index axes of "
                     << c.type(x);
  return c.set(
      0, c.create<GatherNdOp>(
             {x, wrapColumns(c, indices, c.shape(x).slice(batch, depth))},
             {.batch_dims = batch ? std::optional(batch) : std::nullopt}));
}

static FailureOr<ScatterMode> scatterMode(C &c) {
  std::string reduction = c.getString("reduction", "none");
  auto mode = StringSwitch<std::optional<ScatterMode>>(reduction)
                  .Case("none", ScatterMode::update)
                  .Case("add", ScatterMode::add)
                  .Case("mul", ScatterMode::mul)
                  .Case("max", ScatterMode::max)
                  .Case("min", ScatterMode::min)
                  .Default(std::nullopt);
  if (!mode)
    return c.error() << "has reduction '" << reduction
                     << "', which is not known";
  return *mode;
}
static LogicalResult lowerScatterElements(C &c) {
  Value x = c.input(0), indices = c.input(1), updates = c.input(2);
  FailureOr<int64_t> axis = c.axis(c.getInt("axis", 0), c.rank(x));
  auto mode = scatterMode(c);
  if (failed(axis) || failed(mode))
    return failure();
  indices = wrapNegative(c, indices, c.shape(x)[*axis]);
  if (!indices)
    return failure();
  bool same = c.rank(indices) == c.rank(x);
  for (int64_t i = 0; same && i < c.rank(x); ++i)
    same = i == *axis || c.shape(indices)[i] == c.shape(x)[i];
  if (same)
    return c.set(0, c.create<ScatterAlongAxisOp>(
                        {x, indices, updates}, {.axis = *axis, .mode = *mode}));
  // Full coordinates, then scatter_nd.
  SmallVector<Value> columns;
  SmallVector<int64_t> columnShape(c.shape(indices));
  columnShape.push_back(1);
  for (int64_t i = 0; i < c.rank(indices); ++i) {
    if (i == *axis) {
      columns.push_back(c.reshape(indices, columnShape));
      continue;
    }
    Tensor iota(DType::Int64, columnShape);
    auto strides = rowMajorStrides(columnShape);
    for (int64_t k = 0; k < iota.size(); ++k)
      iota.mutableInts()[k] = k / strides[i] % columnShape[i];
    columns.push_back(
        c.castTo(c.graph.constant(c.loc, iota), c.element(indices)));
  }
  return c.set(
      0, c.create<ScatterNdOp>({x, c.concat(columns, c.rank(indices)), updates},
                               {.mode = *mode}));
}
static LogicalResult lowerScatterND(C &c) {
  Value x = c.input(0), indices = c.input(1);
  auto mode = scatterMode(c);
  if (failed(mode))
    return failure();
  int64_t depth = c.rank(indices) ? c.shape(indices).back() : 0;
  if (depth < 1 || depth > c.rank(x))
    return c.error() << "expects the last axis of indices to index axes of "
                     << c.type(x);
  return c.set(0, c.create<ScatterNdOp>(
                      {x, wrapColumns(c, indices, c.shape(x).take_front(depth)),
                       c.input(2)},
                      {.mode = *mode}));
}

static LogicalResult lowerOneHot(C &c) {
  Value indices = c.input(0), values = c.input(2);
  auto depth = c.constantInts(c.input(1), "depth");
  if (failed(depth) || depth->size() != 1)
    return c.failed() ? failure()
                      : LogicalResult(c.error() << "expects a scalar depth");
  if (c.isFloat(indices))
    indices = c.castTo(indices, c.graph.builder.getI64Type());
  // -1 - depth..depth - 1 wrap, anything else is all off: adding depth keeps
  // far-out values out of range.
  Value wrapped = wrapNegative(c, indices, (*depth)[0]);
  if (!wrapped)
    return failure();
  int64_t rank = c.rank(wrapped) + 1;
  FailureOr<int64_t> axis = c.axis(c.getInt("axis", -1), rank);
  if (failed(axis))
    return failure();
  Value off = c.reshape(c.slice(values, 0, 0, 1), {}),
        on = c.reshape(c.slice(values, 0, 1, 2), {});
  return c.set(0, c.create<OneHotOp>(
                      {wrapped, on, off},
                      {.one_hot_vector_size = (*depth)[0], .axis = *axis}));
}

static LogicalResult lowerTopK(C &c) {
  Value x = c.input(0);
  auto k = c.attribute("k") ? FailureOr<SmallVector<int64_t>>(
                                  SmallVector<int64_t>{c.getInt("k", 1)})
                            : c.constantInts(c.input(1), "K");
  if (failed(k) || k->size() != 1)
    return c.failed() ? failure() : LogicalResult(c.error() << "expects one K");
  SmallVector<Value> results =
      c.createMany<TopkOp>({x}, {.k = (*k)[0],
                                 .axis = c.getInt("axis", -1),
                                 .ascending = !c.getInt("largest", 1)});
  if (results.empty())
    return failure();
  c.put(0, results[0]);
  return c.set(1, c.castTo(results[1], c.graph.builder.getI64Type()));
}

static LogicalResult lowerNonZero(C &c) {
  Value x = c.input(0);
  // A scalar counts as one element without an index.
  Value rows = c.create<NonZeroOp>({x});
  return c.set(0, rows ? c.castTo(c.transpose(rows, {1, 0}),
                                  c.graph.builder.getI64Type())
                       : rows);
}

void mlir::ane::addIndexHandlers(HandlerTable &t) {
  t.add("Gather", 1, lowerGather);
  t.add("GatherElements", 11, lowerGatherElements);
  t.add("GatherND", 11, lowerGatherND);
  t.add("Scatter", 9, lowerScatterElements);
  t.add("ScatterElements", 11, lowerScatterElements);
  t.add("ScatterND", 11, lowerScatterND);
  t.add("OneHot", 9, lowerOneHot);
  t.add("TopK", 1, lowerTopK);
  t.add("NonZero", 9, lowerNonZero);
}
