//===- RepairMasks.cpp - masks of minus infinity --------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// A mask is a constant or an input that reaches a softmax through additions and
// selections. Minus infinity spoils the engine's softmax (L64), and two masks
// of -65504 are minus infinity in fp16.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Analysis/Placement.h"
#include "ane-mlir/Interpreter/Interpreter.h"
#include "ane-mlir/Transforms/Passes.h"
#include "dialects/ANE/IR/Arithmetic.h"
#include "dialects/ANE/IR/Cast.h"
#include "dialects/ANE/IR/Comparison.h"
#include "dialects/ANE/IR/Norm.h"
#include "dialects/ANE/IR/Reduction.h"
#include "dialects/ANE/IR/Shape.h"
#include "dialects/ANE/IR/Structure.h"
#include "dialects/ANE/IR/Unary.h"
#include "dialects/ANE/IR/WeightTrees.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace mlir::ane;

namespace mlir::ane {
#define GEN_PASS_DEF_REPAIRMASKSPASS
#include "ane-mlir/Transforms/Passes.h.inc"
} // namespace mlir::ane

namespace {

/// What masks are clamped to: two of them and any score stay finite.
constexpr double kMask = -30000, kLargest = 65504;
/// A score with a mask is below, one without above.
constexpr double kSwallowed = -20000;

bool isHalf(Value v) {
  auto type = dyn_cast<RankedTensorType>(v.getType());
  return type && type.getElementType().isF16();
}

Value clamp(OpBuilder &b, Value v) {
  return ClipOp::create(b, v.getLoc(), v.getType(), v, b.getF32FloatAttr(kMask),
                        b.getF32FloatAttr(kLargest));
}

/// Finds what is added to the operand of a softmax.
class Masks {
public:
  explicit Masks(MLIRContext *context)
      : builder(context), evaluation(context, Numerics::Float32),
        constants(evaluation) {}

  void visit(Operation *softmax) {
    OpOperand &x = softmax->getOpOperand(0);
    // Exporters write where(isnan(p), 0, p) for rows that are masked as a
    // whole; with finite masks there is no NaN that would tell.
    SmallVector<Operation *> guards;
    for (Operation *user : softmax->getUsers()) {
      if (!isa<NotEqualOp, EqualOp>(user) ||
          user->getOperand(0) != user->getOperand(1))
        continue;
      if (isa<EqualOp>(user) || !llvm::all_of(user->getUses(), isCondition))
        return;
      guards.push_back(user);
    }
    llvm::SmallSetVector<Operation *, 2> distinct(guards.begin(), guards.end());
    auto type = cast<RankedTensorType>(softmax->getResult(0).getType());
    bool guarded = !distinct.empty() && isMasked(x.get(), false);
    int64_t axis = type.getRank();
    if (auto op = dyn_cast<SoftmaxOp>(softmax))
      axis = int64_t(op.getAxis()) < 0 ? -int64_t(op.getAxis())
                                       : axis - int64_t(op.getAxis());
    bool masked = guarded || isMasked(x.get(), false);
    bool canBeFull = masked && mayMaskRow(x.get(), axis);
    // Without a mask the guard is of rows that are never there.
    if (!masked && isHalf(x.get()))
      for (Operation *guard : distinct)
        dropGuard(guard);
    visit(x, false);
    if (!guarded) {
      // In fp32 a mask swallows the score beside it, so that a row that is
      // masked as a whole becomes even.
      if (canBeFull && isHalf(x.get())) {
        builder.setInsertionPoint(softmax);
        x.set(ClipOp::create(builder, softmax->getLoc(), x.get().getType(),
                             x.get(), builder.getF32FloatAttr(kSwallowed),
                             builder.getF32FloatAttr(kLargest)));
      }
      return;
    }
    for (Operation *guard : distinct) {
      builder.setInsertionPoint(guard);
      Location loc = guard->getLoc();
      if (canBeFull) {
        SmallVector<int64_t> shape(type.getShape());
        shape[type.getRank() - axis] = 1;
        Value most = ReduceMaxOp::create(
            builder, loc, type.clone(shape), x.get(),
            builder.getDenseI64ArrayAttr({type.getRank() - axis}),
            builder.getBoolAttr(true));
        auto scalar = RankedTensorType::get({}, type.getElementType());
        APFloat half(kMask / 2);
        bool lossy;
        half.convert(APFloat::IEEEhalf(), APFloat::rmNearestTiesToEven, &lossy);
        Value limit = ConstantOp::create(builder, loc, scalar,
                                         DenseElementsAttr::get(scalar, half));
        guard->replaceAllUsesWith(
            LessOp::create(builder, loc,
                           RankedTensorType::get(shape, builder.getI1Type()),
                           most, limit)
                ->getResults());
      } else {
        dropGuard(guard);
      }
    }
  }
  unsigned clamped = 0;

private:
  /// `added` is true behind an addition or selection, where an input is a mask.
  void visit(OpOperand &use, bool added) {
    Value v = use.get();
    if (!isHalf(v) || !visited.insert(&use).second)
      return;
    if (isConstantTree(v)) {
      if (reachesBelow(v, -32768))
        replace(use);
      return;
    }
    Operation *op = v.getDefiningOp();
    if (!op) {
      if (added)
        replace(use);
      return;
    }
    // Others that read the value see it as it was.
    if (!v.hasOneUse()) {
      if (isMasked(v, added))
        replace(use);
      return;
    }
    forEachPart(op, added,
                [&](OpOperand &operand, bool added) { visit(operand, added); });
  }

  /// Operands that a mask may come from.
  void forEachPart(Operation *op, bool added,
                   llvm::function_ref<void(OpOperand &, bool)> then) {
    if (isa<AddOp, SelectOp, MaximumOp>(op)) {
      for (OpOperand &operand : op->getOpOperands())
        then(operand, true);
    } else if (isa<SubOp, SliceByIndexOp, SliceBySizeOp, ReshapeOp, TransposeOp,
                   SqueezeOp, ExpandDimsOp, IdentityOp, TileOp, SplitOp>(op)) {
      then(op->getOpOperand(0), added || isa<SubOp>(op));
    } else if (isa<ConcatOp>(op)) {
      for (OpOperand &operand : op->getOpOperands())
        then(operand, added);
    } else if (isa<MulOp>(op)) {
      // (1 - mask) * -inf, or a scale behind the mask.
      for (unsigned i : {0u, 1u})
        if (Value factor = op->getOperand(i); isConstantTree(factor))
          then(op->getOpOperand(reachesBelow(factor, -10000) ? i : 1 - i),
               added);
    }
  }

  static void dropGuard(Operation *guard) {
    for (Operation *user : guard->getUsers())
      user->replaceAllUsesWith(ValueRange{cast<SelectOp>(user).getB()});
  }

  static bool isCondition(OpOperand &use) {
    auto select = dyn_cast<SelectOp>(use.getOwner());
    return select && use.getOperandNumber() == 0 &&
           select.getB().getType() == select.getType();
  }

  /// Is there a row along the axis that is `axis` from the end, of which `full`
  /// holds everywhere? True where the value is not known.
  template <typename Predicate>
  bool hasFullRow(Value v, int64_t axis, Predicate full) {
    FailureOr<Tensor> tensor = constants.evaluate(v);
    constants.clear();
    if (failed(tensor))
      return true;
    int64_t length =
        axis <= tensor->rank() ? tensor->shape()[tensor->rank() - axis] : 1;
    int64_t inner = 1;
    for (int64_t dim :
         tensor->shape().take_back(std::min(axis - 1, tensor->rank())))
      inner *= dim;
    for (int64_t row = 0; row < tensor->size() / std::max<int64_t>(length, 1);
         ++row) {
      int64_t first = row / inner * inner * length + row % inner, k = 0;
      while (k < length && full(*tensor, first + k * inner))
        ++k;
      if (k == length)
        return true;
    }
    return false;
  }

  bool mayMaskRow(Value v, int64_t axis) {
    if (isConstantTree(v))
      return hasFullRow(v, axis, [](const Tensor &t, int64_t i) {
        return !t.isFloat() || t.floats()[i] < kMask / 2;
      });
    Operation *op = v.getDefiningOp();
    if (isa_and_nonnull<AddOp>(op)) {
      bool x = isMasked(op->getOperand(0), true),
           y = isMasked(op->getOperand(1), true);
      return (x && y) || (x && mayMaskRow(op->getOperand(0), axis)) ||
             (y && mayMaskRow(op->getOperand(1), axis));
    }
    if (auto select = dyn_cast_or_null<SelectOp>(op);
        select && isConstantTree(select.getCond())) {
      bool a = isMasked(select.getA(), true), b = isMasked(select.getB(), true);
      return (a && b) || hasFullRow(select.getCond(), axis,
                                    [&](const Tensor &t, int64_t i) {
                                      return (t.ints()[i] != 0) == a;
                                    });
    }
    return true;
  }

  /// Does something that a mask is made of reach `v`?
  bool isMasked(Value v, bool added) {
    SmallVector<std::pair<Value, bool>> stack{{v, added}};
    llvm::DenseSet<Value> seen;
    while (!stack.empty()) {
      auto [value, behind] = stack.pop_back_val();
      if (!isHalf(value) || !seen.insert(value).second)
        continue;
      if (isConstantTree(value)) {
        if (reachesBelow(value, -32768))
          return true;
      } else if (Operation *op = value.getDefiningOp()) {
        forEachPart(op, behind, [&](OpOperand &operand, bool added) {
          stack.push_back({operand.get(), added});
        });
      } else if (behind) {
        return true;
      }
    }
    return false;
  }

  bool reachesBelow(Value v, double limit) {
    auto [it, isNew] = lowest.insert({v, 0});
    if (isNew) {
      FailureOr<Tensor> tensor = constants.evaluate(v);
      constants.clear();
      if (succeeded(tensor) && tensor->isFloat())
        for (float x : tensor->floats())
          it->second = std::min(it->second, double(x));
    }
    return it->second < limit;
  }

  void replace(OpOperand &use) {
    Value &by = replacements[use.get()];
    if (!by) {
      builder.setInsertionPointAfterValue(use.get());
      by = clamp(builder, use.get());
      ++clamped;
    }
    use.set(by);
  }

  OpBuilder builder;
  EvalContext evaluation;
  ConstantEvaluator constants;
  llvm::DenseSet<OpOperand *> visited;
  llvm::DenseMap<Value, double> lowest;
  llvm::DenseMap<Value, Value> replacements;
};

/// log(softmax(x)) is x - log sum exp x: probabilities below 2^-24 are 0 in
/// fp16 (engine/rewrites.md §6.9).
void expandLogSoftmax(LogOp op) {
  auto softmax = op.getX().getDefiningOp<SoftmaxOp>();
  if (!softmax || op.getEpsilon().convertToFloat() > 1e-6f)
    return;
  OpBuilder b(op);
  auto type = cast<RankedTensorType>(op.getType());
  int64_t axis = softmax.getAxis();
  axis += axis < 0 ? type.getRank() : 0;
  SmallVector<int64_t> shape(type.getShape());
  shape[axis] = 1;
  Value sum = ReduceLogSumExpOp::create(
      b, op.getLoc(), type.clone(shape), softmax.getX(),
      b.getDenseI64ArrayAttr({axis}), b.getBoolAttr(true));
  op.replaceAllUsesWith(
      SubOp::create(b, op.getLoc(), type, softmax.getX(), sum).getResult());
  op.erase();
}

struct RepairMasks : ane::impl::RepairMasksPassBase<RepairMasks> {
  using RepairMasksPassBase::RepairMasksPassBase;

  void runOnOperation() override {
    for (func::FuncOp function : findFunctions(getOperation())) {
      Block &block = function.getBody().front();
      for (Operation &op : llvm::make_early_inc_range(block))
        if (auto log = dyn_cast<LogOp>(op); log && isHalf(log.getX()))
          expandLogSoftmax(log);
      WeightTrees trees;
      Masks masks(&getContext());
      for (Operation &op : llvm::make_early_inc_range(block))
        if (isa<SoftmaxOp, ReduceLogSumExpOp>(op))
          masks.visit(&op);
      numMasks += masks.clamped;
    }
  }
};
} // namespace
