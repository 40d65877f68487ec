//===- Algorithms.cpp - unique, determinant, cache writes -----------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// Small algorithms out of sorting, scattering and products.
//
//===----------------------------------------------------------------------===//

#include "Lowering.h"
#include "dialects/ANE/IR/Arithmetic.h"
#include "dialects/ANE/IR/Comparison.h"
#include "dialects/ANE/IR/Gather.h"
#include "dialects/ANE/IR/Reduction.h"
#include "dialects/ANE/IR/Shape.h"
#include "dialects/ANE/IR/Unary.h"
#include <numeric>

using namespace mlir;
using namespace mlir::ane;

using C = NodeContext;

//===----------------------------------------------------------------------===//
// Unique
//===----------------------------------------------------------------------===//

static Value argsort(C &c, Value keys) {
  return c.create<ArgsortOp>({keys}, {.axis = 0, .ascending = true});
}
static Value scatter(C &c, Value data, Value indices, Value updates,
                     ScatterMode mode) {
  return c.create<ScatterOp>({data, indices, updates},
                             {.axis = 0, .mode = mode});
}
/// Positions of the non-zero elements of a vector.
static Value positions(C &c, Value mask) {
  Value rows = c.create<NonZeroOp>({mask});
  return rows ? c.create<SqueezeOp>({rows}, {.axes = {1}}) : rows;
}

/// Sorts (stably, so that the first of equal ones comes first), marks where a
/// new value begins, and numbers the values by that.
static LogicalResult lowerUnique(C &c) {
  Value x = c.input(0);
  Type original = c.element(x);
  if (original.isInteger(1))
    x = c.castTo(x, c.i32());
  bool sorted = c.getInt("sorted", 1), whole = !c.attribute("axis");
  FailureOr<int64_t> axis = 0;
  if (whole)
    x = c.reshape(x, {c.type(x).getNumElements()});
  else
    axis = c.axis(c.getInt("axis", 0), c.rank(x));
  if (failed(axis) || !x)
    return failure();
  int64_t count = c.shape(x)[*axis];
  SmallVector<int64_t> perm(c.rank(x));
  std::iota(perm.begin(), perm.end(), 0);
  std::rotate(perm.begin(), perm.begin() + *axis, perm.begin() + *axis + 1);
  int64_t width = count ? c.type(x).getNumElements() / count : 0;
  if (count < 1 || width < 1 || width > 256)
    return c.error() << "expects a non-empty input of at most 256 values per "
                        "element of the axis, but got "
                     << c.type(x);
  Value rows = c.reshape(c.transpose(x, perm), {count, width});
  SmallVector<int64_t> iota(count);
  std::iota(iota.begin(), iota.end(), 0);
  Value order = c.ints({count}, iota);
  // Least significant column first.
  for (int64_t column = width; column-- > 0;) {
    Value keys = c.reshape(c.slice(rows, 1, column, column + 1), {count});
    order = c.gather(order, argsort(c, c.gather(keys, order, 0)), 0);
  }
  Value ranked = c.gather(rows, order, 0), begins = c.ints({1}, {1});
  if (count > 1) {
    Value differs =
        c.castTo(c.create<NotEqualOp>({c.slice(ranked, 0, 1, count),
                                       c.slice(ranked, 0, 0, count - 1)}),
                 c.i32());
    differs =
        c.create<ReduceMaxOp>({differs}, {.axes = {1}, .keep_dims = false});
    begins = c.concat({begins, differs}, 0);
  }
  auto number = [&](Value mask) {
    return c.sub(c.create<CumsumOp>({mask}, {.axis = 0}), c.scalar(1, c.i32()));
  };
  Value segment = number(begins),
        zeros = c.broadcastTo(c.scalar(0, c.i32()), {count}),
        ones = c.broadcastTo(c.scalar(1, c.i32()), {count});
  Value inverse = scatter(c, zeros, order, segment, ScatterMode::update),
        first = scatter(c, c.broadcastTo(c.scalar(count, c.i32()), {count}),
                        segment, order, ScatterMode::min),
        counts = scatter(c, zeros, segment, ones, ScatterMode::add);
  Value segments, indices;
  if (sorted) {
    segments = c.gather(segment, positions(c, begins), 0);
    indices = c.gather(first, segments, 0);
  } else {
    Value firstOf = c.gather(first, inverse, 0);
    Value mask =
        c.castTo(c.create<EqualOp>({firstOf, c.ints({count}, iota)}), c.i32());
    indices = positions(c, mask);
    segments = c.gather(inverse, indices, 0);
    inverse = c.gather(number(mask), firstOf, 0);
  }
  Type i64 = c.graph.builder.getI64Type();
  if (c.isUsed(1))
    c.put(1, c.castTo(indices, i64));
  if (c.isUsed(2))
    c.put(2, c.castTo(inverse, i64));
  if (c.isUsed(3))
    c.put(3, c.castTo(c.gather(counts, segments, 0), i64));
  return c.set(0, c.castTo(c.gather(x, indices, *axis), original));
}

//===----------------------------------------------------------------------===//
// Det
//===----------------------------------------------------------------------===//

/// Elimination with row pivoting, one column at a time.
static LogicalResult lowerDet(C &c) {
  Value x = c.input(0);
  int64_t rank = c.rank(x), n = rank >= 2 ? c.shape(x)[rank - 1] : 0;
  if (rank < 2 || c.shape(x)[rank - 2] != n || n < 1 || n > 64)
    return c.error() << "expects square matrices of at most 64 rows, but got "
                     << c.type(x);
  SmallVector<int64_t> outer(c.shape(x).drop_back(2));
  int64_t batch = c.type(x).getNumElements() / (n * n);
  Value a = c.reshape(c.castTo(x, c.f32()), {batch, n, n});
  Value det = c.broadcastTo(c.scalar(1, c.f32()), {batch});
  Value one = c.scalar(1, c.f32()), zero = c.scalar(0, c.f32());
  for (int64_t size = n; size > 0 && a; --size) {
    Value column = c.reshape(c.slice(a, 2, 0, 1), {batch, size});
    Value at =
        c.create<ReduceArgmaxOp>({c.create<AbsOp>({column})}, {.axis = 1});
    Value chosen =
        c.create<OneHotOp>({at, one, zero}, {.one_hot_vector_size = size});
    chosen = chosen ? c.reshape(chosen, {batch, size, 1}) : chosen;
    Value row = c.reduceSum(c.mul(a, chosen), {1}, true); // [batch,1,size]
    if (!row)
      return failure();
    // A swap with row 0 turns the sign.
    Value swapped = c.create<NotEqualOp>({at, c.scalarLike(0, at)});
    Value sign = c.create<SelectOp>({swapped, c.scalar(-1, c.f32()), one});
    Value pivot = c.reshape(c.slice(row, 2, 0, 1), {batch});
    det = c.mul(det, c.mul(sign, pivot));
    if (size == 1)
      break;
    Value moved = c.add(a, c.mul(chosen, c.sub(c.slice(a, 1, 0, 1), row)));
    Value divisor =
        c.create<SelectOp>({c.create<EqualOp>({pivot, zero}), one, pivot});
    Value factor = c.div(c.slice(c.slice(moved, 1, 1, size), 2, 0, 1),
                         c.reshape(divisor, {batch, 1, 1}));
    a = c.sub(c.slice(c.slice(moved, 1, 1, size), 2, 1, size),
              c.mul(factor, c.slice(row, 2, 1, size)));
  }
  return c.set(0, c.castTo(c.reshape(det, outer), c.element(x)));
}

//===----------------------------------------------------------------------===//
// TensorScatter
//===----------------------------------------------------------------------===//

/// Writes `update` into the cache from each item's own position on.
static LogicalResult lowerTensorScatter(C &c) {
  Value cache = c.input(0), update = c.input(1), at = c.input(2);
  FailureOr<int64_t> axis = c.axis(c.getInt("axis", -2), c.rank(cache));
  if (failed(axis))
    return failure();
  std::string mode = c.getString("mode", "linear");
  bool fits = *axis > 0 && c.rank(update) == c.rank(cache) &&
              (mode == "linear" || mode == "circular");
  for (int64_t i = 0; fits && i < c.rank(cache); ++i)
    fits = i == *axis ? c.shape(update)[i] <= c.shape(cache)[i]
                      : c.shape(update)[i] == c.shape(cache)[i];
  if (!fits)
    return c.error() << "expects an axis behind the batch, mode linear or "
                        "circular, and an update that fits "
                     << c.type(cache) << ", but got " << c.type(update);
  int64_t batch = c.shape(cache)[0], extent = c.shape(cache)[*axis],
          length = c.shape(update)[*axis];
  int64_t rest =
      batch * extent ? c.type(cache).getNumElements() / (batch * extent) : 0;
  if (rest == 0 || length == 0)
    return c.set(0, cache);
  SmallVector<int64_t> perm(c.rank(cache)), back(c.rank(cache)), moved;
  std::iota(perm.begin(), perm.end(), 0);
  std::rotate(perm.begin() + 1, perm.begin() + *axis, perm.begin() + *axis + 1);
  for (auto [i, p] : llvm::enumerate(perm)) {
    back[p] = i;
    moved.push_back(c.shape(cache)[p]);
  }
  SmallVector<int64_t> iota(length);
  std::iota(iota.begin(), iota.end(), 0);
  Value index = c.ints({1, length, 1}, iota);
  if (at)
    index = c.add(c.reshape(c.castTo(at, c.i32()), {batch, 1, 1}), index);
  if (mode == "circular" && index)
    index = c.create<ModOp>({index, c.scalar(extent, c.i32())});
  index = c.broadcastTo(index, {batch, length, rest});
  Value y = c.create<ScatterAlongAxisOp>(
      {c.reshape(c.transpose(cache, perm), {batch, extent, rest}), index,
       c.reshape(c.transpose(update, perm), {batch, length, rest})},
      {.axis = 1, .mode = ScatterMode::update});
  return c.set(0, y ? c.transpose(c.reshape(y, moved), back) : y);
}

void mlir::ane::addAlgorithmHandlers(HandlerTable &t) {
  t.add("Unique", 11, lowerUnique);
  t.add("Det", 11, lowerDet);
  t.add("TensorScatter", 24, lowerTensorScatter);
}
