//===- Columns.cpp - convolutions whose weight only a run tells -----------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// The engine takes a run-time weight for 1x1 convolutions of one batch alone
// (engine/legality.md 4.1, L19). What taps of the kernel see are slices of the
// padded image; beside each other as channels they make any kernel one of 1x1,
// and batch and positions are its width.
//
//===----------------------------------------------------------------------===//

#include "Derivative.h"
#include "ane-mlir/Conversion/Gradients.h"
#include "dialects/ANE/IR/Arithmetic.h"
#include "dialects/ANE/IR/Linear.h"

using namespace mlir;
using namespace mlir::ane;

template <typename Op>
static std::optional<ColumnForm> formOf(Op op, bool exchanged) {
  auto weight = cast<RankedTensorType>(op.getWeight().getType());
  auto x = cast<RankedTensorType>(op.getX().getType());
  if (!weight.hasStaticShape() || !x.hasStaticShape() ||
      x.getNumElements() == 0 || weight.getNumElements() == 0)
    return std::nullopt;
  int64_t groups = op.getGroups(),
          taps = weight.getNumElements() /
                 (weight.getDimSize(0) * weight.getDimSize(1));
  return ColumnForm{exchanged ? weight.getDimSize(1) * groups
                              : weight.getDimSize(0),
                    x.getDimSize(1) * taps, groups, exchanged};
}

std::optional<ColumnForm> mlir::ane::findColumnForm(Operation *op) {
  if (auto conv = dyn_cast<ConvOp>(op))
    return formOf(conv, false);
  if (auto conv = dyn_cast<ConvTransposeOp>(op))
    return formOf(conv, true);
  return std::nullopt;
}

/// A transposed convolution is one of stride 1 over the spread image, with its
/// taps in the other order.
static Value spreadForWindows(Derivative &d, ConvTransposeOp op,
                              const WindowSteps &window) {
  Value x = op.getX();
  SmallVector<int64_t> before(2, 0), after(2, 0);
  for (size_t i = 0; i < window.kernel.size(); ++i) {
    x = d.spread(x, int64_t(i) + 2, window.strides[i]);
    if (!x)
      return {};
    int64_t reach = (window.kernel[i] - 1) * window.dilations[i];
    before.push_back(reach - window.pads[i].first);
    after.push_back(d.shapeOf(op.getY())[i + 2] + reach - before.back() -
                    d.shapeOf(x)[i + 2]);
  }
  return d.padOrCrop(x, before, after);
}

/// [1, C * taps, 1, batch * positions], each channel's taps beside each other.
static Value columnsOf(Derivative &d, Operation *op,
                       ArrayRef<int64_t> positions) {
  auto turned = dyn_cast<ConvTransposeOp>(op);
  WindowSteps window = turned ? stepsOf(turned) : stepsOf(cast<ConvOp>(op));
  Value padded = turned
                     ? spreadForWindows(d, turned, window)
                     : padForWindows(d, op->getOperand(0), window, positions);
  if (!padded)
    return {};
  int64_t batch = d.shapeOf(padded)[0], channels = d.shapeOf(padded)[1],
          count = batch * d.count(positions);
  padded = exchangeBatch(d, padded);
  if (turned)
    window.strides.assign(window.strides.size(), 1);
  SmallVector<Value> columns;
  auto all = taps(window.kernel);
  for (SmallVector<int64_t> tap : all) {
    for (size_t i = 0; turned && i < tap.size(); ++i)
      tap[i] = window.kernel[i] - 1 - tap[i];
    columns.push_back(d.reshape(takeTap(d, padded, window, tap, positions),
                                {channels, 1, count}));
  }
  int64_t width = channels * int64_t(all.size());
  return d.reshape(d.concat(columns, 1), {1, width, 1, count});
}

Value mlir::ane::convolveColumns(GraphBuilder &graph, Operation *op,
                                 Value weight) {
  OpBuilder::InsertionGuard guard(graph.builder);
  graph.builder.setInsertionPointAfter(op);
  Derivative d(graph, op, {}, [](Value) { return false; });
  ArrayRef<int64_t> result = d.shapeOf(op->getResult(0));
  SmallVector<int64_t> positions(result.drop_front(2));
  Value columns = columnsOf(d, op, positions);
  if (!columns)
    return {};
  int64_t rows = d.shapeOf(weight)[0], width = d.shapeOf(weight)[1];
  SmallVector<int64_t> none(4, 0), more{0, width - d.shapeOf(columns)[1], 0, 0};
  columns = d.padOrCrop(columns, none, more);
  Value y = d.create<ConvOp>({columns, d.reshape(weight, {rows, width, 1, 1})},
                             {.strides = {1, 1},
                              .pad_type = PadType::valid,
                              .pad = none,
                              .dilations = {1, 1},
                              .groups = 1});
  // Channels are in front of the batch, which is in front of positions.
  SmallVector<int64_t> apart(result);
  if (result[0] != 1)
    std::swap(apart[0], apart[1]);
  y = d.reshape(y, apart);
  if (result[0] != 1) {
    SmallVector<int64_t> perm{1, 0};
    for (size_t i = 2; i < result.size(); ++i)
      perm.push_back(int64_t(i));
    y = d.transpose(y, perm);
  }
  if (op->getNumOperands() > 2) {
    SmallVector<int64_t> channels(result.size(), 1);
    channels[1] = rows;
    y = d.create<AddOp>({y, d.reshape(op->getOperand(2), channels)});
  }
  return y;
}
