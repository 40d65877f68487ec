//===- WidenHost.cpp - placement means precision --------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// The engine computes in fp16; the host has no reason to. What it computes is
// fp32 here, with casts where values come from the engine or go there. Values
// that it only passes on stay as they are (design invariant 7a).
//
//===----------------------------------------------------------------------===//

#include "Reshape.h"
#include "ane-mlir/Analysis/Placement.h"
#include "ane-mlir/Transforms/Passes.h"
#include "dialects/ANE/IR/Cast.h"
#include "dialects/ANE/IR/Quant.h"
#include "dialects/ANE/IR/Structure.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace mlir::ane;

namespace mlir::ane {
#define GEN_PASS_DEF_WIDENHOSTPASS
#include "ane-mlir/Transforms/Passes.h.inc"
} // namespace mlir::ane

namespace {
bool isHalf(Value v) {
  auto type = dyn_cast<RankedTensorType>(v.getType());
  return type && type.getElementType().isF16();
}
Type widened(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  return tensor && tensor.getElementType().isF16()
             ? Type(tensor.clone(Float32Type::get(type.getContext())))
             : type;
}

/// Everything inside a branch or a loop that runs on the host.
void widenRegions(Operation *op) {
  for (Region &region : op->getRegions())
    for (Block &block : region) {
      for (BlockArgument argument : block.getArguments())
        argument.setType(widened(argument.getType()));
      for (Operation &inner : llvm::make_early_inc_range(block)) {
        widenRegions(&inner);
        if (auto constant = dyn_cast<ConstantOp>(inner)) {
          if (!isHalf(constant))
            continue;
          OpBuilder b(constant);
          b.setInsertionPointAfter(constant);
          auto wide =
              CastOp::create(b, inner.getLoc(), widened(constant.getType()),
                             constant, TypeAttr::get(b.getF32Type()));
          constant.getResult().replaceAllUsesExcept(wide.getResult(), wide);
          continue;
        }
        for (Value result : inner.getResults())
          result.setType(widened(result.getType()));
        if (auto cast = dyn_cast<CastOp>(inner);
            cast && cast.getDtype().isF16())
          cast.setDtype(Float32Type::get(op->getContext()));
      }
    }
}

class Widener {
public:
  Widener(func::FuncOp function, bool markedOnly)
      : block(function.getBody().front()), markedOnly(markedOnly),
        trees(findWeightTrees(block)) {}

  void run() {
    choose();
    if (wide.empty())
      return;
    retypeArguments();
    for (Operation &op : llvm::make_early_inc_range(block)) {
      if (op.hasTrait<OpTrait::IsTerminator>())
        retypeReturn(&op);
      else if (wide.contains(&op))
        retypeOp(&op);
    }
  }

private:
  static bool isMarked(Operation *op) { return op->hasAttr(marks::kFp32); }
  /// Arithmetic that `run` may widen.
  bool isCandidate(Operation *op) {
    if (trees.contains(op) || op->hasTrait<OpTrait::IsTerminator>())
      return false;
    return markedOnly ? isMarked(op) : !isOnEngine(op);
  }
  static bool touchesHalf(Operation *op) {
    return llvm::any_of(op->getOperands(), isHalf) ||
           llvm::any_of(op->getResults(), isHalf);
  }

  /// What computes; then what passes on between such ops, so that nothing is
  /// rounded on its way.
  void choose() {
    for (Operation &op : block)
      if (isCandidate(&op) && touchesHalf(&op) &&
          (isMarked(&op) || !isExact(&op)))
        wide.insert(&op);
    if (markedOnly)
      return;
    for (bool changed = true; changed;) {
      changed = false;
      for (Operation &op : block) {
        if (!isCandidate(&op) || wide.contains(&op) || !touchesHalf(&op))
          continue;
        auto isWide = [&](Operation *other) {
          return other && wide.contains(other);
        };
        bool joins = llvm::any_of(op.getOperands(), [&](Value v) {
          return isHalf(v) && isWide(v.getDefiningOp());
        });
        for (Value result : op.getResults())
          joins |= isHalf(result) && llvm::any_of(result.getUsers(), isWide);
        if (joins) {
          wide.insert(&op);
          changed = true;
        }
      }
    }
  }

  /// An input that the host alone computes with is not rounded; nor is one of
  /// which a marked op needs every bit.
  void retypeArguments() {
    for (BlockArgument argument : block.getArguments()) {
      if (!isHalf(argument) || argument.use_empty())
        continue;
      bool all = true, marked = false;
      for (Operation *user : argument.getUsers()) {
        all &= wide.contains(user) != 0;
        marked |= isMarked(user);
      }
      if (!all && !marked)
        continue;
      OpBuilder b = OpBuilder::atBlockBegin(&block);
      SmallVector<OpOperand *> narrow;
      for (OpOperand &use : argument.getUses())
        if (!wide.contains(use.getOwner()))
          narrow.push_back(&use);
      Type half = argument.getType();
      argument.setType(widened(half));
      floats[argument] = argument;
      if (narrow.empty())
        continue;
      Value rounded = castTo(b, argument, half);
      for (OpOperand *use : narrow)
        use->set(rounded);
    }
    auto function = cast<func::FuncOp>(block.getParentOp());
    function.setType(
        FunctionType::get(function.getContext(), block.getArgumentTypes(),
                          function.getFunctionType().getResults()));
  }

  Value castTo(OpBuilder &b, Value v, Type type) {
    auto cast = CastOp::create(
        b, v.getLoc(), type, v,
        TypeAttr::get(mlir::cast<RankedTensorType>(type).getElementType()));
    if (!v.getDefiningOp() || !trees.contains(v.getDefiningOp())) {
      cast->setAttr(marks::kPlacement, b.getStringAttr("host"));
      cast->setAttr(marks::kRule, b.getStringAttr("L07"));
      cast->setAttr(marks::kReason,
                    b.getStringAttr("the host computes in fp32"));
    }
    return cast;
  }

  /// `v` in fp32: as it was computed, or as it came from the engine.
  Value toFloat(Value v, Operation *user) {
    Value &known = floats[v];
    if (known)
      return known;
    // A weight is not rounded on its way.
    if (auto root = v.getDefiningOp<CastOp>();
        root && trees.contains(root) &&
        typeOf(root.getX()).getElementType().isF32())
      return known = root.getX();
    OpBuilder b(v.getContext());
    b.setInsertionPointAfterValue(v);
    known = castTo(b, v, widened(v.getType()));
    if (trees.contains(v.getDefiningOp()))
      trees.insert(known.getDefiningOp());
    return known;
  }

  void retypeOp(Operation *op) {
    for (OpOperand &operand : op->getOpOperands())
      if (isHalf(operand.get()))
        operand.set(toFloat(operand.get(), op));
    if (auto cast = dyn_cast<CastOp>(op); cast && cast.getDtype().isF16())
      cast.setDtype(Float32Type::get(op->getContext()));
    if (auto quantize = dyn_cast<QuantizeOp>(op);
        quantize && quantize.getOutputDtype().isF16())
      quantize.setOutputDtype(Float32Type::get(op->getContext()));
    widenRegions(op);
    OpBuilder b(op->getContext());
    b.setInsertionPointAfter(op);
    for (Value result : op->getResults()) {
      if (!isHalf(result))
        continue;
      Type half = result.getType();
      SmallVector<OpOperand *> narrow;
      for (OpOperand &use : result.getUses())
        if (!wide.contains(use.getOwner()) &&
            !use.getOwner()->hasTrait<OpTrait::IsTerminator>())
          narrow.push_back(&use);
      result.setType(widened(half));
      floats[result] = result;
      if (narrow.empty())
        continue;
      Value rounded = castTo(b, result, half);
      for (OpOperand *use : narrow)
        use->set(rounded);
    }
  }

  void retypeReturn(Operation *op) {
    auto function = cast<func::FuncOp>(block.getParentOp());
    function.setType(FunctionType::get(function.getContext(),
                                       function.getFunctionType().getInputs(),
                                       llvm::to_vector(op->getOperandTypes())));
  }

  Block &block;
  bool markedOnly;
  llvm::DenseSet<Operation *> trees, wide;
  /// The fp32 form of an fp16 value.
  llvm::DenseMap<Value, Value> floats;
};

struct WidenHost : ane::impl::WidenHostPassBase<WidenHost> {
  using WidenHostPassBase::WidenHostPassBase;
  void runOnOperation() override {
    for (func::FuncOp function : findFunctions(getOperation()))
      Widener(function, markedOnly).run();
  }
};
} // namespace
