//===- StageWeights.cpp - weights as the engine convolves with them -------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Training/Passes.h"

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
  void runOnOperation() override {
    auto main = getOperation().lookupSymbol<func::FuncOp>("main");
    if (!main)
      return;
    unsigned parameters = main.getNumArguments();
    for (unsigned i = 0; i < parameters; ++i)
      if (main.getArgAttr(i, "ane.parameter") && failed(stage(main, i)))
        return signalPassFailure();
  }

  /// Whether the product could be a convolution whose weight [O,I] is the
  /// matrix that it reads, transposed unless it already is.
  static bool isEligible(OpOperand &use, int64_t o, int64_t i,
                         const Target &target) {
    auto matmul = dyn_cast<MatmulOp>(use.getOwner());
    if (!matmul || use.getOperandNumber() != 1 || matmul.getTransposeX() ||
        matmul.getX() == matmul.getY() || matmul->hasAttr("ane.fp32"))
      return false;
    const Limit *inputs = target.limit("S13"), *outputs = target.limit("S14");
    return i % kLane == 0 && (!inputs || i <= inputs->value) &&
           (!outputs || o <= outputs->value);
  }

  LogicalResult stage(func::FuncOp main, unsigned index) {
    BlockArgument weight = main.getArgument(index);
    auto type = cast<RankedTensorType>(weight.getType());
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
      // The last one that reads it as it is needs no copy.
      if (!turns && others == 1)
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

  BlockArgument addCopy(func::FuncOp main, BlockArgument weight, bool turns,
                        unsigned number) {
    Builder b(&getContext());
    auto type = cast<RankedTensorType>(weight.getType());
    if (turns)
      type = type.clone({type.getDimSize(1), type.getDimSize(0)});
    auto name =
        main.getArgAttrOfType<StringAttr>(weight.getArgNumber(), "ane.name");
    NamedAttrList attrs;
    attrs.set("ane.dtype", b.getStringAttr("fp32"));
    attrs.set("ane.copy_of", name);
    if (turns)
      attrs.set("ane.transposed", b.getUnitAttr());
    attrs.set("ane.name",
              b.getStringAttr(name.getValue() + ".copy" + Twine(number)));
    unsigned index = main.getNumArguments();
    if (failed(main.insertArgument(
            index, type, attrs.getDictionary(&getContext()), weight.getLoc())))
      return {};
    return main.getArgument(index);
  }
};
} // namespace
