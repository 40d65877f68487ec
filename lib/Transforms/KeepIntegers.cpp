//===- KeepIntegers.cpp - weights that come as integers stay integers -----===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// A weight tree over 8-bit integers, as quantisers write them, is written in
// the form that engines take (L09): int8 data [O,I,1,1] and one fp16 scale for
// each output channel. Whatever scaled it on the way (its own scale, a norm, a
// power of two of ane-repair-fp16) is in that scale; a tree that is more than
// integers times one number for each output channel is evaluated as before.
//
//===----------------------------------------------------------------------===//

#include "Reshape.h"
#include "ane-mlir/Interpreter/Interpreter.h"
#include "ane-mlir/Transforms/Passes.h"
#include "dialects/ANE/IR/WeightTrees.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include <cmath>

using namespace mlir;
using namespace mlir::ane;

namespace mlir::ane {
#define GEN_PASS_DEF_KEEPINTEGERSPASS
#include "ane-mlir/Transforms/Passes.h.inc"
} // namespace mlir::ane

/// A scale for each output channel of fewer weights saves nothing.
static constexpr int64_t kLeastElements = 4096;

static bool movesOnly(Operation *op) {
  return isa<ReshapeOp, TransposeOp, SliceBySizeOp, SliceByIndexOp,
             ExpandDimsOp, SqueezeOp, IdentityOp>(op);
}

/// The tree of the integers alone, as floats: what scales them is left out.
/// Null when `v` is no such tree.
static Value integersOf(OpBuilder &b, Value v, unsigned depth = 0) {
  Operation *op = v.getDefiningOp();
  if (!op || depth > 64)
    return {};
  auto again = [&](Value operand) { return integersOf(b, operand, depth + 1); };
  if (auto cast = dyn_cast<CastOp>(op)) {
    auto from = typeOf(cast.getX());
    if (from.getElementType().isInteger(8))
      return cast.getX().getDefiningOp<ConstantOp>() ? v : Value();
    return isa<FloatType>(from.getElementType()) ? again(cast.getX()) : Value();
  }
  if (isa<MulOp, RealDivOp>(op)) {
    if (Value x = again(op->getOperand(0)))
      return typeOf(x).getShape() == typeOf(v).getShape() ? x : Value();
    Value y = isa<MulOp>(op) ? again(op->getOperand(1)) : Value();
    return y && typeOf(y).getShape() == typeOf(v).getShape() ? y : Value();
  }
  bool subtracts = isa<SubOp>(op); // the zero point
  if (!subtracts && !movesOnly(op))
    return {};
  Value x = again(op->getOperand(0));
  if (!x || (subtracts && typeOf(x).getShape() != typeOf(v).getShape()))
    return {};
  // Only the zero point itself comes before a scale.
  if (subtracts && !op->getOperand(0).getDefiningOp<CastOp>())
    return {};
  Operation *clone = b.clone(*op);
  clone->setOperand(0, x);
  clone->getResult(0).setType(typeOf(v).clone(typeOf(x).getElementType()));
  if (subtracts && typeOf(clone->getOperand(1)).getElementType() !=
                       typeOf(x).getElementType()) {
    b.setInsertionPoint(clone);
    Value zero = clone->getOperand(1);
    clone->setOperand(
        1, CastOp::create(b, op->getLoc(),
                          typeOf(zero).clone(typeOf(x).getElementType()), zero,
                          TypeAttr::get(typeOf(x).getElementType())));
    b.setInsertionPointAfter(clone);
  }
  return clone->getResult(0);
}

namespace {
struct KeepIntegers : ane::impl::KeepIntegersPassBase<KeepIntegers> {
  void runOnOperation() override {
    SmallVector<ConvOp> convs;
    getOperation().walk([&](ConvOp op) { convs.push_back(op); });
    WeightTrees trees;
    llvm::DenseMap<Value, Value> done;
    for (ConvOp op : convs) {
      Value w = op.getWeight();
      auto weight = typeOf(w);
      if (!isConstantTree(w) || isConstantTree(op.getY()) ||
          w.getDefiningOp<ConstexprBlockwiseShiftScaleOp>() ||
          weight.getRank() != 4 || weight.getDimSize(2) != 1 ||
          weight.getDimSize(3) != 1 || op.getGroups() != 1 ||
          !weight.getElementType().isF16() ||
          weight.getNumElements() < kLeastElements)
        continue;
      auto [entry, fresh] = done.try_emplace(w);
      if (fresh)
        entry->second = compress(w);
      if (!entry->second)
        continue;
      op.getWeightMutable().assign(entry->second);
      ++numKept;
    }
  }

  Value compress(Value w) {
    OpBuilder b(w.getContext());
    b.setInsertionPointAfterValue(w);
    Value integers = integersOf(b, w);
    if (!integers)
      return {};
    auto type = typeOf(w);
    EvalContext context(w.getContext(), Numerics::Float32);
    ConstantEvaluator evaluator(context);
    FailureOr<Tensor> whole = evaluator.evaluate(w),
                      codes = evaluator.evaluate(integers);
    if (failed(whole) || failed(codes))
      return {};
    int64_t channels = type.getDimSize(0),
            rest = type.getNumElements() / channels;
    Tensor scales(DType::Float16, {channels, 1, 1, 1});
    for (int64_t i = 0; i < channels; ++i) {
      double dot = 0, square = 0, largest = 0;
      for (int64_t k = i * rest; k < (i + 1) * rest; ++k) {
        double q = codes->floats()[k];
        if (q < -128 || q > 127)
          return {};
        dot += q * whole->floats()[k];
        square += q * q;
        largest = std::max(largest, std::fabs(q));
      }
      double scale = square ? dot / square : 1;
      // The smallest numbers of fp16 have few digits.
      if (std::fabs(scale) < std::ldexp(1.0, -14) || std::fabs(scale) > 65504)
        return {};
      for (int64_t k = i * rest; k < (i + 1) * rest; ++k)
        if (std::fabs(codes->floats()[k] * scale - whole->floats()[k]) >
            1e-3 * std::fabs(scale) * std::max(largest, 1.0))
          return {};
      scales.mutableFloats()[i] = float(scale);
    }
    Location loc = w.getLoc();
    auto data = type.clone(IntegerType::get(w.getContext(), 8));
    Value q = CastOp::create(b, loc, data, integers,
                             TypeAttr::get(data.getElementType()));
    auto scaleType = type.clone({channels, 1, 1, 1});
    Value scale = ConstantOp::create(b, loc, scaleType,
                                     scales.toElements(w.getContext()));
    auto constant =
        ConstexprBlockwiseShiftScaleOp::create(b, loc, type, q, scale, Value());
    constant->setAttr("ane.compressed", b.getUnitAttr());
    return constant;
  }
};
} // namespace
