//===- Quantize.cpp - weights of one byte ---------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// constexpr_blockwise_shift_scale with int8 data [O,I,1,1] and one fp16 scale
// per output channel, no offset: the form that engines were seen to take (L09,
// engine.md §1.11 and §6.18). It pays where weights are streamed, not where
// the engine computes. Both parts stay weight trees over the original, so that
// nothing large is held while compiling.
//
//===----------------------------------------------------------------------===//

#include "Reshape.h"
#include "ane-mlir/Transforms/Passes.h"
#include "dialects/ANE/IR/WeightTrees.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;
using namespace mlir::ane;

namespace mlir::ane {
#define GEN_PASS_DEF_QUANTIZEPASS
#include "ane-mlir/Transforms/Passes.h.inc"
} // namespace mlir::ane

/// A scale for each output channel of fewer weights saves nothing.
static constexpr int64_t kLeastElements = 4096;

namespace {
struct Quantize : ane::impl::QuantizePassBase<Quantize> {
  void runOnOperation() override {
    SmallVector<ConvOp> convs;
    getOperation().walk([&](ConvOp op) { convs.push_back(op); });
    WeightTrees trees;
    llvm::DenseMap<Value, Value> done;
    for (ConvOp op : convs) {
      auto weight = typeOf(op.getWeight());
      if (!isConstantTree(op.getWeight()) || isConstantTree(op.getY()) ||
          op.getWeight().getDefiningOp<ConstexprBlockwiseShiftScaleOp>() ||
          weight.getRank() != 4 || weight.getDimSize(2) != 1 ||
          weight.getDimSize(3) != 1 || op.getGroups() != 1 ||
          !isa<FloatType>(weight.getElementType()) ||
          weight.getNumElements() < kLeastElements)
        continue;
      Value &compressed = done[op.getWeight()];
      if (!compressed)
        compressed = compress(op.getWeight());
      op.getWeightMutable().assign(compressed);
      ++numQuantized;
    }
  }

  static Value compress(Value w) {
    OpBuilder b(w.getContext());
    b.setInsertionPointAfterValue(w);
    Location loc = w.getLoc();
    auto type = typeOf(w);
    Type element = type.getElementType();
    int64_t channels = type.getDimSize(0);
    auto perChannel = type.clone({channels, 1, 1, 1});
    auto number = [&](double v) -> Value {
      auto scalar = RankedTensorType::get({}, element);
      return ConstantOp::create(
          b, loc, scalar,
          DenseElementsAttr::get(scalar, b.getFloatAttr(element, v)));
    };
    Value largest = ReduceMaxOp::create(
        b, loc, perChannel, AbsOp::create(b, loc, type, w),
        b.getDenseI64ArrayAttr({1, 2, 3}), b.getBoolAttr(true));
    // A channel of zeros has a scale too.
    Value scale = MulOp::create(
        b, loc, perChannel,
        MaximumOp::create(b, loc, perChannel, largest, number(1e-3)),
        number(1.0 / 127));
    auto data = type.clone(IntegerType::get(w.getContext(), 8));
    Value q = QuantizeOp::create(
        b, loc, data, w, reshapeTo(b, loc, scale, {channels}), Value(),
        b.getI64IntegerAttr(0), TypeAttr::get(data.getElementType()));
    auto constant =
        ConstexprBlockwiseShiftScaleOp::create(b, loc, type, q, scale, Value());
    constant->setAttr("ane.compressed", b.getUnitAttr());
    return constant;
  }
};
} // namespace
