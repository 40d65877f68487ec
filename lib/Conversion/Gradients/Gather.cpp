//===- Gather.cpp - derivatives of indexing -------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// What is read by index is added to by index. The zeros that are added to are a
// fill, not a constant: tables of embeddings are large.
//
//===----------------------------------------------------------------------===//

#include "dialects/ANE/IR/Gather.h"
#include "Derivative.h"
#include "dialects/ANE/IR/Arithmetic.h"
#include "dialects/ANE/IR/Cast.h"
#include "dialects/ANE/IR/Comparison.h"
#include "dialects/ANE/IR/Dynamic.h"
#include "dialects/ANE/IR/Random.h"

using namespace mlir;
using namespace mlir::ane;

static Value zerosLike(Derivative &d, Value x) {
  return d.create<FillLikeOp>({x, d.scalarLike(0, x)});
}

namespace mlir::ane {

void differentiate(GatherOp op, Derivative &d) {
  Value x = op.getX(), indices = op.getIndices(), g = d.incoming(0);
  int64_t axis = Derivative::wrap(op.getAxis(), d.rankOf(x)),
          batch = op.getBatchDims().value_or(0);
  if (batch == 0) {
    // A scatter takes its indices in one row.
    int64_t count = d.count(d.shapeOf(indices));
    SmallVector<int64_t> rows(d.shapeOf(x));
    rows[axis] = count;
    d.give(0u,
           d.create<ScatterOp>({zerosLike(d, x), d.reshape(indices, {count}),
                                d.reshape(g, rows)},
                               {.axis = axis, .mode = ScatterMode::add}));
    return;
  }
  if (axis != batch) {
    d.refuse("a gather with batch dimensions whose axis is not the next one");
    return;
  }
  // Batches behind each other are one axis; indices move along.
  ArrayRef<int64_t> shape = d.shapeOf(x);
  int64_t extent = shape[axis], batches = d.count(shape.take_front(batch)),
          count = d.count(d.shapeOf(indices)) / std::max<int64_t>(1, batches);
  SmallVector<int64_t> flat{batches * extent};
  llvm::append_range(flat, shape.drop_front(axis + 1));
  Value at = d.reshape(indices, {batches, count});
  SmallVector<int64_t> offsets;
  for (int64_t b = 0; b < batches; ++b)
    offsets.push_back(b * extent);
  Value offset =
      d.create<CastOp>({d.reshape(d.graph.ints(d.loc, offsets), {batches, 1})},
                       {.dtype = d.elementOf(indices)});
  Value negative = d.create<LessOp>({at, d.scalarLike(0, at)});
  Value forward = d.create<AddOp>({at, d.scalarLike(double(extent), at)});
  at = d.create<AddOp>({d.create<SelectOp>({negative, forward, at}), offset});
  SmallVector<int64_t> rows{batches * count};
  llvm::append_range(rows, ArrayRef<int64_t>(flat).drop_front());
  Value zeros = d.reshape(zerosLike(d, x), flat);
  Value sum = d.create<ScatterOp>(
      {zeros, d.reshape(at, {batches * count}), d.reshape(g, rows)},
      {.axis = 0, .mode = ScatterMode::add});
  d.give(0u, d.reshape(sum, shape));
}

void differentiate(GatherAlongAxisOp op, Derivative &d) {
  d.give(0u, d.create<ScatterAlongAxisOp>(
                 {zerosLike(d, op.getX()), op.getIndices(), d.incoming(0)},
                 {.axis = op.getAxis(), .mode = ScatterMode::add}));
}

void differentiate(GatherNdOp op, Derivative &d) {
  if (op.getBatchDims().value_or(0)) {
    d.refuse("gather_nd with batch dimensions");
    return;
  }
  d.give(0u, d.create<ScatterNdOp>(
                 {zerosLike(d, op.getX()), op.getIndices(), d.incoming(0)},
                 {.mode = ScatterMode::add}));
}

/// `scatter` and `gather` build the op of this family with the same indices.
template <typename Op>
static void differentiateScatter(
    Op op, Derivative &d,
    llvm::function_ref<Value(Value, Value, ScatterMode)> scatter,
    llvm::function_ref<Value(Value)> gather) {
  ScatterMode mode = op.getMode();
  Value g = d.incoming(0);
  bool adds = mode == ScatterMode::add || mode == ScatterMode::sub;
  if (!adds && mode != ScatterMode::update) {
    d.refuse("a scatter of mode '" + stringifyScatterMode(mode) + "'");
    return;
  }
  if (d.wants(0u))
    d.give(0u, adds ? g
                    : scatter(g, zerosLike(d, op.getUpdates()),
                              ScatterMode::update));
  if (d.wants(2u)) {
    Term part = d.term(gather(g));
    d.give(2u, mode == ScatterMode::sub ? -part : part);
  }
}

void differentiate(ScatterOp op, Derivative &d) {
  differentiateScatter(
      op, d,
      [&](Value data, Value updates, ScatterMode mode) {
        return d.create<ScatterOp>({data, op.getIndices(), updates},
                                   {.axis = op.getAxis(), .mode = mode});
      },
      [&](Value g) {
        return d.create<GatherOp>({g, op.getIndices()}, {.axis = op.getAxis()});
      });
}
void differentiate(ScatterAlongAxisOp op, Derivative &d) {
  differentiateScatter(
      op, d,
      [&](Value data, Value updates, ScatterMode mode) {
        return d.create<ScatterAlongAxisOp>(
            {data, op.getIndices(), updates},
            {.axis = op.getAxis(), .mode = mode});
      },
      [&](Value g) {
        return d.create<GatherAlongAxisOp>({g, op.getIndices()},
                                           {.axis = op.getAxis()});
      });
}
void differentiate(ScatterNdOp op, Derivative &d) {
  differentiateScatter(
      op, d,
      [&](Value data, Value updates, ScatterMode mode) {
        return d.create<ScatterNdOp>({data, op.getIndices(), updates},
                                     {.mode = mode});
      },
      [&](Value g) { return d.create<GatherNdOp>({g, op.getIndices()}); });
}

void differentiate(OneHotOp op, Derivative &d) {
  Term g = d.term(d.incoming(0));
  Term hot = d.term(d.create<OneHotOp>(
      {op.getIndices(), d.scalarLike(1, g.value), d.scalarLike(0, g.value)},
      {.one_hot_vector_size = op.getOneHotVectorSize(), .axis = op.getAxis()}));
  auto total = [&](Term x) {
    SmallVector<int64_t> axes;
    for (int64_t i = 0; x.value && i < d.rankOf(x.value); ++i)
      axes.push_back(i);
    return d.reshape(d.sum(x.value, axes), {});
  };
  for (unsigned i : {1u, 2u})
    if (d.wants(i))
      d.give(i, d.reshape(total(i == 1 ? g * hot : g * (1 - hot)),
                          d.shapeOf(op->getOperand(i))));
}

void differentiate(TopkOp op, Derivative &d) {
  if (Value g = d.incoming(0))
    d.give(0u, d.create<ScatterAlongAxisOp>(
                   {zerosLike(d, op.getX()), op.getIndices(), g},
                   {.axis = op.getAxis(), .mode = ScatterMode::add}));
}

//===----------------------------------------------------------------------===//
// Positions known at run time
//===----------------------------------------------------------------------===//

template <typename To, typename Op>
static Attributes<To> masksOf(Op op) {
  return {.stride = op.getStride(),
          .begin_mask = op.getBeginMask(),
          .end_mask = op.getEndMask(),
          .squeeze_mask = op.getSqueezeMask()};
}

void differentiate(DynamicSliceOp op, Derivative &d) {
  d.give(0u, d.create<SliceUpdateOp>({zerosLike(d, op.getX()), d.incoming(0),
                                      op.getBegin(), op.getEnd()},
                                     masksOf<SliceUpdateOp>(op)));
}

void differentiate(DynamicSliceBySizeOp op, Derivative &d) {
  Value g = d.incoming(0), begin = op.getBegin();
  Value extents = d.create<CastOp>({d.graph.ints(d.loc, d.shapeOf(g))},
                                   {.dtype = d.elementOf(begin)});
  d.give(0u, d.create<SliceUpdateOp>({zerosLike(d, op.getX()), g, begin,
                                      d.create<AddOp>({begin, extents})}));
}

void differentiate(SliceUpdateOp op, Derivative &d) {
  Value g = d.incoming(0);
  if (d.wants(0u))
    d.give(0u, d.create<SliceUpdateOp>({g, zerosLike(d, op.getUpdate()),
                                        op.getBegin(), op.getEnd()},
                                       masksOf<SliceUpdateOp>(op)));
  if (d.wants(1u))
    d.give(1u,
           d.reshape(d.create<DynamicSliceOp>({g, op.getBegin(), op.getEnd()},
                                              masksOf<DynamicSliceOp>(op)),
                     d.shapeOf(op.getUpdate())));
}

void differentiate(FillLikeOp op, Derivative &d) {
  Value g = d.incoming(0);
  SmallVector<int64_t> axes;
  for (int64_t i = 0; i < d.rankOf(g); ++i)
    axes.push_back(i);
  if (d.wants(1u))
    d.give(1u, d.reshape(d.sum(g, axes), d.shapeOf(op.getValue())));
}

#include "dialects/ANE/IR/DynamicGradients.inc"
#include "dialects/ANE/IR/GatherGradients.inc"
#include "dialects/ANE/IR/RandomGradients.inc"
} // namespace mlir::ane
