//===- PlanIO.cpp - surfaces ----------------------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "Reshape.h"
#include "ane-mlir/Analysis/Placement.h"
#include "ane-mlir/Analysis/SurfaceOrder.h"
#include "ane-mlir/Transforms/Passes.h"
#include "dialects/ANE/IR/Arithmetic.h"
#include "dialects/ANE/IR/Cast.h"
#include "dialects/ANE/IR/Linear.h"
#include "dialects/ANE/IR/Rearrange.h"
#include "dialects/ANE/IR/Shape.h"
#include "dialects/ANE/IR/Structure.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::ane;

namespace mlir::ane {
#define GEN_PASS_DEF_PLANIOPASS
#include "ane-mlir/Transforms/Passes.h.inc"
} // namespace mlir::ane

/// Innermost dimensions are a multiple of this many fp16 (L40).
static constexpr int64_t kLane = 32;

/// The rank-4 view of a logical shape that wastes least: as it is when rows are
/// whole, else rows of 32 when the elements divide, else as it is with padded
/// rows.
static SmallVector<int64_t, 4> chooseView(ArrayRef<int64_t> shape,
                                          const Target &target) {
  SmallVector<int64_t, 4> view(shape);
  while (view.size() > 4) {
    view[1] *= view[0];
    view.erase(view.begin());
  }
  while (view.size() < 4)
    view.insert(view.begin(), 1);
  if (view[3] % kLane == 0)
    return view;
  int64_t count = 1;
  for (int64_t dim : view)
    count *= dim;
  int64_t limit = target.limit(LimitId::S1)->value;
  if (count % kLane)
    return view;
  // Longest whole rows first, so that rows stay few.
  for (int64_t width = std::min<int64_t>(limit, 2048) / kLane * kLane;
       width >= kLane; width -= kLane)
    if (count % width == 0 && count / width <= limit)
      return {1, 1, count / width, width};
  return view;
}

/// [1,O,1,I] for an input that is nothing but a run-time weight [O,I,1,1] of
/// convolutions (L19).
static std::optional<SmallVector<int64_t, 4>> weightView(Value argument) {
  std::optional<SmallVector<int64_t, 4>> view;
  for (Operation *user : argument.getUsers()) {
    auto reshape = dyn_cast<ReshapeOp>(user);
    if (!reshape)
      return std::nullopt;
    for (OpOperand &use : reshape.getY().getUses())
      if (auto conv = dyn_cast<ConvOp>(use.getOwner());
          !conv || conv.getWeight() != use.get() || conv.getX() == use.get())
        return std::nullopt;
    auto weight = typeOf(reshape.getY());
    if (weight.getRank() != 4 || reshape.getY().use_empty())
      return std::nullopt;
    view = {1, weight.getDimSize(0), 1, weight.getDimSize(1)};
  }
  return view;
}

static bool isArithmetic(Operation *op) {
  return op && !isRepacking(op) && !isa<ConstantOp, MatmulOp>(op);
}

/// Reshapes and transpositions that nothing reads any more.
static void eraseAbsorbed(SmallVector<Operation *> ops) {
  for (bool any = true; any;) {
    any = false;
    llvm::erase_if(ops, [&](Operation *op) {
      if (!op->use_empty())
        return false;
      op->erase();
      return any = true;
    });
  }
}

static Value timesOne(OpBuilder &b, Value x) {
  Type half = b.getF16Type();
  auto scalar = RankedTensorType::get({}, half);
  Value one = ConstantOp::create(
      b, x.getLoc(), scalar,
      DenseElementsAttr::get(scalar,
                             ArrayRef<Attribute>{b.getFloatAttr(half, 1)}));
  return MulOp::create(b, x.getLoc(), x.getType(), x, one);
}

/// Values that a state carries from call to call, as its tensors lie.
static llvm::DenseSet<Value> findStates(func::FuncOp main) {
  llvm::DenseSet<Value> states;
  Block &body = main.getBody().front();
  for (BlockArgument argument : body.getArguments())
    if (main.getArgAttr(argument.getArgNumber(), marks::kState))
      states.insert(argument);
  for (OpOperand &output : body.getTerminator()->getOpOperands())
    if (main.getResultAttr(output.getOperandNumber(), marks::kState))
      states.insert(output.get());
  return states;
}

namespace {
struct PlanIO : ane::impl::PlanIOPassBase<PlanIO> {
  void runOnOperation() override {
    // Arguments and results of programs that keep the order of their elements.
    llvm::DenseMap<StringRef, llvm::SmallDenseSet<unsigned>> fixedIn, fixedOut;
    for (func::FuncOp function : findFunctions(getOperation())) {
      llvm::DenseSet<Value> states = findStates(function);
      for (auto call : function.getBody().front().getOps<CallOp>()) {
        for (auto [i, input] : llvm::enumerate(call.getInputs()))
          if (states.contains(input))
            fixedIn[call.getCallee()].insert(i);
        for (auto [i, output] : llvm::enumerate(call.getOutputs()))
          if (states.contains(output))
            fixedOut[call.getCallee()].insert(i);
      }
    }
    for (auto program : getOperation().getOps<ProgramOp>())
      if (program.isEngine())
        plan(program, fixedIn.lookup(program.getSymName()),
             fixedOut.lookup(program.getSymName()));
  }

  void plan(ProgramOp program, const llvm::SmallDenseSet<unsigned> &fixedIn,
            const llvm::SmallDenseSet<unsigned> &fixedOut) {
    const Target &target = getTarget(program);
    Block &body = program.getBody().front();
    Type half = Float16Type::get(&getContext());
    Builder attrs(&getContext());
    OpBuilder b = OpBuilder::atBlockBegin(&body);
    SmallVector<Type> inputs, outputs;
    SmallVector<Attribute> argAttrs, resultAttrs;
    auto ordered = [&](RankedTensorType logical, const OrderedView &found) {
      ArrayRef<int64_t> view = typeOf(found.value).getShape();
      return attrs.getDictionaryAttr({attrs.getNamedAttr(
          marks::kSurface, SurfaceAttr::get(&getContext(), logical, view, view,
                                            found.strides))});
    };
    auto surfaceOf = [&](RankedTensorType logical,
                         SmallVector<int64_t, 4> &view,
                         SmallVector<int64_t, 4> &padded, Value argument = {}) {
      auto weight = argument ? weightView(argument) : std::nullopt;
      view = weight ? *weight : chooseView(logical.getShape(), target);
      padded = view;
      padded[3] = llvm::alignTo(padded[3], kLane);
      return attrs.getDictionaryAttr({attrs.getNamedAttr(
          marks::kSurface, SurfaceAttr::get(&getContext(), logical, view,
                                            padded, ArrayRef<int64_t>()))});
    };
    SmallVector<Operation *> absorbed;
    for (BlockArgument argument : body.getArguments()) {
      auto logical = cast<RankedTensorType>(argument.getType());
      if (auto found = fixedIn.contains(argument.getArgNumber())
                           ? std::nullopt
                           : findInputOrder(argument)) {
        argAttrs.push_back(ordered(logical, *found));
        inputs.push_back(found->value.getType());
        argument.setType(inputs.back());
        found->value.replaceAllUsesWith(argument);
        llvm::append_range(absorbed, found->absorbed);
        continue;
      }
      SmallVector<int64_t, 4> view, padded;
      bool isWeight = weightView(argument).has_value();
      argAttrs.push_back(surfaceOf(logical, view, padded, argument));
      inputs.push_back(RankedTensorType::get(padded, half));
      argument.setType(inputs.back());
      // The weight's one reshape is from the surface itself.
      if (isWeight && padded == view && logical.getElementType().isF16())
        continue;
      Location loc = argument.getLoc();
      Operation *first = nullptr;
      Value x = argument;
      if (padded != view) {
        x = SliceBySizeOp::create(b, loc, RankedTensorType::get(view, half), x,
                                  SmallVector<int64_t>{0, 0, 0, 0}, view);
        first = x.getDefiningOp();
      }
      x = reshapeTo(b, loc, x, logical.getShape());
      first = first ? first : x.getDefiningOp();
      if (!logical.getElementType().isF16()) {
        x = CastOp::create(b, loc, logical, x,
                           TypeAttr::get(logical.getElementType()));
        first = first ? first : x.getDefiningOp();
      }
      if (first)
        argument.replaceAllUsesExcept(x, first);
    }
    eraseAbsorbed(absorbed);
    // A transpose must not be what reads an input first (L20).
    for (BlockArgument argument : body.getArguments()) {
      auto isTurned = [](OpOperand &use) {
        return isa<TransposeOp>(use.getOwner());
      };
      if (llvm::none_of(argument.getUses(), isTurned))
        continue;
      b.setInsertionPointToStart(&body);
      argument.replaceUsesWithIf(timesOne(b, argument), isTurned);
    }
    Operation *terminator = body.getTerminator();
    b.setInsertionPoint(terminator);
    for (OpOperand &operand : terminator->getOpOperands()) {
      Value x = operand.get();
      auto logical = cast<RankedTensorType>(x.getType());
      if (auto found = fixedOut.contains(operand.getOperandNumber())
                           ? std::nullopt
                           : findOutputOrder(operand);
          found && (!found->strides.empty() ||
                    isArithmetic(found->value.getDefiningOp()))) {
        resultAttrs.push_back(ordered(logical, *found));
        outputs.push_back(found->value.getType());
        operand.set(found->value);
        eraseAbsorbed(found->absorbed);
        if (!isArithmetic(operand.get().getDefiningOp()))
          operand.set(timesOne(b, operand.get()));
        continue;
      }
      SmallVector<int64_t, 4> view, padded;
      resultAttrs.push_back(surfaceOf(logical, view, padded));
      outputs.push_back(RankedTensorType::get(padded, half));
      Location loc = x.getLoc();
      if (!logical.getElementType().isF16())
        x = CastOp::create(b, loc,
                           RankedTensorType::get(logical.getShape(), half), x,
                           TypeAttr::get(half));
      x = reshapeTo(b, loc, x, view);
      if (padded != view)
        x = PadOp::create(b, loc, outputs.back(), x,
                          attrs.getDenseI64ArrayAttr({0, padded[3] - view[3]}),
                          attrs.getStringAttr("constant"),
                          attrs.getF32FloatAttr(0));
      // Each output gets an arithmetic op of its own (L13), also when the value
      // is used elsewhere too (L23).
      if (!isArithmetic(x.getDefiningOp()) || !x.hasOneUse())
        x = timesOne(b, x);
      operand.set(x);
    }
    program.setFunctionType(attrs.getFunctionType(inputs, outputs));
    program.setArgAttrsAttr(attrs.getArrayAttr(argAttrs));
    program.setResAttrsAttr(attrs.getArrayAttr(resultAttrs));
  }
};
} // namespace
