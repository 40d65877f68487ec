//===- SurfaceOrder.cpp - inputs and outputs in an order of their own -----===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Analysis/SurfaceOrder.h"
#include "ane-mlir/Analysis/CostModel.h"
#include "ane-mlir/Interpreter/Tensor.h"
#include "dialects/ANE/IR/Shape.h"
#include "dialects/ANE/IR/Structure.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;
using namespace mlir::ane;

std::optional<SmallVector<int64_t>>
mlir::ane::reshapeStrides(ArrayRef<int64_t> from, ArrayRef<int64_t> strides,
                          ArrayRef<int64_t> to) {
  // Axes that follow each other evenly are one.
  SmallVector<std::pair<int64_t, int64_t>> joined; // extent, stride
  for (auto [dim, stride] : llvm::zip(from, strides)) {
    if (dim == 1)
      continue;
    if (!joined.empty() && joined.back().second == stride * dim)
      joined.back() = {joined.back().first * dim, stride};
    else
      joined.push_back({dim, stride});
  }
  // Each new axis is within one of them.
  SmallVector<int64_t> result(to.size(), 0);
  for (int64_t j = to.size(); j-- > 0;) {
    if (to[j] == 1)
      continue;
    while (!joined.empty() && joined.back().first == 1)
      joined.pop_back();
    if (joined.empty() || joined.back().first % to[j])
      return std::nullopt;
    auto &[left, stride] = joined.back();
    result[j] = stride;
    left /= to[j];
    stride *= to[j];
  }
  return result;
}

static RankedTensorType typeOf(Value v) {
  return cast<RankedTensorType>(v.getType());
}

/// Surfaces have whole rows of 32 (L40); others would be cut out of wider ones.
static bool isWholeView(Value v) {
  auto type = typeOf(v);
  return type.getRank() == 4 && type.getElementType().isF16() &&
         type.hasStaticShape() && type.getNumElements() > 0 &&
         type.getDimSize(3) % 32 == 0;
}

static bool isRowMajor(ArrayRef<int64_t> shape, ArrayRef<int64_t> strides) {
  for (auto [dim, stride, plain] :
       llvm::zip(shape, strides, rowMajorStrides(shape)))
    if (dim != 1 && stride != plain)
      return false;
  return true;
}

namespace {
/// Strides of values on a way of reshapes and transpositions.
class Way {
public:
  explicit Way(Value start)
      : shape(typeOf(start).getShape()), strides(rowMajorStrides(shape)) {}

  /// From the operand of `op` to its result, or against it; false where the
  /// strides are not even.
  bool follow(Operation *op, bool forward) {
    Value to = forward ? op->getResult(0) : op->getOperand(0);
    if (auto transpose = dyn_cast<TransposeOp>(op)) {
      SmallVector<int64_t> moved(strides.size());
      for (auto [i, p] : llvm::enumerate(transpose.getPerm())) {
        int64_t axis = p < 0 ? p + (int64_t)strides.size() : p;
        moved[forward ? i : axis] = strides[forward ? axis : i];
      }
      strides = moved;
    } else {
      auto reshaped = reshapeStrides(shape, strides, typeOf(to).getShape());
      if (!reshaped)
        return false;
      strides = *reshaped;
    }
    shape.assign(typeOf(to).getShape());
    seen.push_back(op);
    return true;
  }

  OrderedView viewOf(Value value) const {
    OrderedView view{value, strides, seen};
    if (isRowMajor(shape, strides))
      view.strides.clear();
    return view;
  }

private:
  SmallVector<int64_t> shape, strides;
  SmallVector<Operation *> seen;
};
} // namespace

static bool isHalf(Value v) {
  auto type = dyn_cast<RankedTensorType>(v.getType());
  return type && type.hasStaticShape() && type.getElementType().isF16() &&
         type.getNumElements() > 0;
}

std::optional<OrderedView> mlir::ane::findInputOrder(BlockArgument argument) {
  if (!isHalf(argument))
    return std::nullopt;
  Way way(argument);
  std::optional<OrderedView> best;
  for (Value v = argument; v.hasOneUse();) {
    Operation *user = *v.getUsers().begin();
    if (!isa<ReshapeOp, TransposeOp>(user) || !way.follow(user, true))
      break;
    v = user->getResult(0);
    OrderedView view = way.viewOf(v);
    if (isWholeView(v) && !view.strides.empty())
      best = view;
  }
  return best;
}

std::optional<OrderedView> mlir::ane::findOutputOrder(OpOperand &output) {
  Value v = output.get();
  if (!isHalf(v))
    return std::nullopt;
  Way way(v);
  std::optional<OrderedView> best;
  while (v.hasOneUse()) {
    Operation *op = v.getDefiningOp();
    if (!op || !isa<ReshapeOp, TransposeOp>(op) || !way.follow(op, false))
      break;
    v = op->getOperand(0);
    OrderedView view = way.viewOf(v);
    // A reshape alone is worth it where the op before it can make the output.
    if (isWholeView(v) && v.hasOneUse() && v.getDefiningOp())
      best = view;
  }
  return best;
}

/// Whether inputs and outputs get surfaces yet to be planned.
static bool isUnplanned(Block *block) {
  Operation *parent = block->getParentOp();
  if (!isa<func::FuncOp, ProgramOp>(parent) || !block->isEntryBlock() ||
      getClock(parent).door != Door::Memory)
    return false;
  auto program = dyn_cast<ProgramOp>(parent);
  return !program ||
         (program.isEngine() &&
          (program.getArgumentTypes().empty() ||
           !program.getArgAttrOfType<SurfaceAttr>(0, marks::kSurface)));
}

static bool isState(BlockArgument argument) {
  auto function = dyn_cast<func::FuncOp>(argument.getOwner()->getParentOp());
  return function &&
         function.getArgAttr(argument.getArgNumber(), marks::kState) != nullptr;
}
static bool isState(OpOperand &output) {
  auto function = dyn_cast<func::FuncOp>(output.getOwner()->getParentOp());
  return function && function.getResultAttr(output.getOperandNumber(),
                                            marks::kState) != nullptr;
}

bool mlir::ane::isTakenBySurface(TransposeOp op) {
  if (!isUnplanned(op->getBlock()))
    return false;
  Value source = op.getX();
  while (Operation *before = source.getDefiningOp()) {
    if (!isa<ReshapeOp, TransposeOp>(before))
      break;
    source = before->getOperand(0);
  }
  if (auto argument = dyn_cast<BlockArgument>(source);
      argument && !isState(argument))
    if (auto view = findInputOrder(argument);
        view && llvm::is_contained(view->absorbed, op))
      return true;
  Value at = op.getY();
  while (at.hasOneUse()) {
    OpOperand &use = *at.getUses().begin();
    if (use.getOwner()->hasTrait<OpTrait::IsTerminator>()) {
      auto view = isState(use) ? std::nullopt : findOutputOrder(use);
      return view && llvm::is_contained(view->absorbed, op);
    }
    if (!isa<ReshapeOp, TransposeOp>(use.getOwner()))
      return false;
    at = use.getOwner()->getResult(0);
  }
  return false;
}
