//===- StageWeights.cpp - weights as the engine convolves with them -------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Analysis/CostModel.h"
#include "ane-mlir/Conversion/Gradients.h"
#include "ane-mlir/Training/Passes.h"
#include "dialects/ANE/IR/Linear.h"
#include "dialects/ANE/IR/WeightTrees.h"
#include "mlir/IR/Remarks.h"
#include "llvm/Support/Format.h"

using namespace mlir;
using namespace mlir::ane;

namespace mlir::ane {
#define GEN_PASS_DEF_STAGEWEIGHTSPASS
#include "ane-mlir/Training/Passes.h.inc"
} // namespace mlir::ane

/// Rows of run-time weights are whole (L40).
static constexpr int64_t kLane = 32;

namespace {
struct StageWeights : ane::impl::StageWeightsPassBase<StageWeights> {
  using StageWeightsPassBase::StageWeightsPassBase;
  void runOnOperation() override {
    auto main = getOperation().lookupSymbol<func::FuncOp>("main");
    if (!main)
      return;
    unsigned parameters = main.getNumArguments();
    for (unsigned i = 0; i < parameters; ++i)
      if (main.getArgAttr(i, marks::kParameter) && failed(stage(main, i)))
        return signalPassFailure();
  }

  /// Whether the product could be a convolution whose weight [O,I] is the
  /// matrix that it reads, transposed unless it already is.
  bool isEligible(OpOperand &use, int64_t o, int64_t i, const Target &target) {
    auto matmul = dyn_cast<MatmulOp>(use.getOwner());
    if (!matmul || use.getOperandNumber() != 1 || matmul.getTransposeX() ||
        matmul.getX() == matmul.getY() || matmul->hasAttr(marks::kFp32))
      return false;
    // A product of two constants would be one.
    if (patched && isConstantTree(matmul.getX()))
      return false;
    const Limit *inputs = target.limit(LimitId::S13),
                *outputs = target.limit(LimitId::S14);
    return (patched || i % kLane == 0) && (!inputs || i <= inputs->value) &&
           (!outputs || o <= outputs->value);
  }

  LogicalResult stage(func::FuncOp main, unsigned index) {
    BlockArgument weight = main.getArgument(index);
    auto type = cast<RankedTensorType>(weight.getType());
    if (type.getRank() > 2)
      return stageConvolutions(main, weight);
    if (type.getRank() != 2)
      return success();
    const Target &target = getTarget(main);
    SmallVector<OpOperand *> eligible;
    for (OpOperand &use : weight.getUses()) {
      auto matmul = dyn_cast<MatmulOp>(use.getOwner());
      bool isTurned = matmul && matmul.getTransposeY();
      int64_t o = type.getDimSize(isTurned ? 0 : 1),
              i = type.getDimSize(isTurned ? 1 : 0);
      if (isEligible(use, o, i, target))
        eligible.push_back(&use);
    }
    // Use lists run backwards; inputs come in the order of the graph.
    llvm::sort(eligible, [](OpOperand *a, OpOperand *b) {
      return a->getOwner()->isBeforeInBlock(b->getOwner());
    });
    unsigned others = std::distance(weight.use_begin(), weight.use_end());
    for (auto [number, use] : llvm::enumerate(eligible)) {
      auto matmul = cast<MatmulOp>(use->getOwner());
      bool turns = !matmul.getTransposeY();
      // The last one that reads it as it is needs no copy, but for a file.
      if (!turns && others == 1 && !patched)
        continue;
      --others;
      BlockArgument copy = addCopy(main, weight, turns, number);
      if (!copy)
        return failure();
      use->set(copy);
      matmul.setTransposeY(true);
    }
    return success();
  }

  /// Microseconds of the op where its weight is no constant: on the host, with
  /// what it reads and writes brought there and back, and one more start of the
  /// engine, whose program it cuts in two.
  static double predictOnHost(Operation *op, const Clock &clock) {
    double bytes = 0;
    for (Value value : {op->getOperand(0), Value(op->getResult(0))})
      bytes += 2.0 * cast<RankedTensorType>(value.getType()).getNumElements();
    return predictHostMicros(op, clock.target) + clock.surfaces(bytes, 0) +
           clock.floor();
  }

  /// Convolutions with a parameter become ones of 1x1 over columns where that
  /// is predicted to take less time than leaving them to the host.
  LogicalResult stageConvolutions(func::FuncOp main, BlockArgument weight) {
    Clock clock = getClock(main);
    const Limit *inputs = clock.target.limit(LimitId::S13),
                *outputs = clock.target.limit(LimitId::S14);
    SmallVector<Operation *> users;
    for (OpOperand &use : weight.getUses())
      if (use.getOperandNumber() == 1 && findColumnForm(use.getOwner()) &&
          use.getOwner()->getOperand(0) != weight &&
          !use.getOwner()->hasAttr(marks::kFp32) &&
          !(patched && isConstantTree(use.getOwner()->getOperand(0))))
        users.push_back(use.getOwner());
    llvm::sort(users, [](Operation *a, Operation *b) {
      return a->isBeforeInBlock(b);
    });
    unsigned number = 0;
    for (Operation *op : users) {
      if (patched) { // a constant one, by then
        BlockArgument copy =
            addCopy(main, weight, false, number++,
                    cast<RankedTensorType>(weight.getType()).getShape());
        if (!copy)
          return failure();
        op->setOperand(1, copy);
        continue;
      }
      ColumnForm form = *findColumnForm(op);
      int64_t width = llvm::alignTo(form.columns, kLane);
      if ((inputs && width > inputs->value) ||
          (outputs && form.rows > outputs->value))
        continue;
      BlockArgument copy =
          addCopy(main, weight, form.exchanged, number, {form.rows, width});
      if (!copy)
        return failure();
      if (form.groups > 1)
        main.setArgAttr(copy.getArgNumber(), marks::kGroups,
                        Builder(&getContext()).getI64IntegerAttr(form.groups));
      Operation *last = op->getNextNode();
      GraphBuilder graph(&getContext());
      Value y = convolveColumns(graph, op, copy);
      if (!y)
        return failure();
      Operation *conv = nullptr;
      double onEngine = 0, onHost = predictOnHost(op, clock);
      for (Operation *made = op->getNextNode(); made != last;
           made = made->getNextNode()) {
        Prediction p = predict(made, clock);
        onEngine += p.total() - p.dispatch;
        if (isa<ConvOp>(made))
          conv = made;
      }
      std::string note;
      llvm::raw_string_ostream(note)
          << "convolution with a run-time weight "
          << (onEngine > onHost ? "left to the host: " : "over columns: ")
          << llvm::format("%.2f us predicted as 1x1 over columns, %.2f us with "
                          "the host between two programs",
                          onEngine, onHost);
      auto what =
          remark::RemarkOpts::name("columns").category("ane-stage-weights");
      (onEngine > onHost ? remark::missed(op->getLoc(), what)
                         : remark::passed(op->getLoc(), what))
          << remark::add("{0}", note);
      if (onEngine > onHost) {
        op->setAttr(marks::kNote, StringAttr::get(&getContext(), note));
        while (op->getNextNode() != last)
          last->getPrevNode()->erase();
        if (failed(main.eraseArgument(copy.getArgNumber())))
          return failure();
        continue;
      }
      ++number;
      conv->setAttr(marks::kNote, StringAttr::get(&getContext(), note));
      op->getResult(0).replaceAllUsesWith(y);
      op->erase();
    }
    return success();
  }

  BlockArgument addCopy(func::FuncOp main, BlockArgument weight, bool turns,
                        unsigned number, ArrayRef<int64_t> shape = {}) {
    Builder b(&getContext());
    auto type = cast<RankedTensorType>(weight.getType());
    if (!shape.empty())
      type = type.clone(shape);
    else if (turns)
      type = type.clone({type.getDimSize(1), type.getDimSize(0)});
    auto name =
        main.getArgAttrOfType<StringAttr>(weight.getArgNumber(), marks::kName);
    NamedAttrList attrs;
    attrs.set(marks::kDtype, b.getStringAttr("fp32"));
    attrs.set(marks::kCopyOf, name);
    if (turns)
      attrs.set(marks::kTransposed, b.getUnitAttr());
    attrs.set(marks::kName,
              b.getStringAttr(name.getValue() + ".copy" + Twine(number)));
    unsigned index = main.getNumArguments();
    if (failed(main.insertArgument(
            index, type, attrs.getDictionary(&getContext()), weight.getLoc())))
      return {};
    return main.getArgument(index);
  }
};
} // namespace
