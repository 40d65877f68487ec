//===- AssignPrecision.cpp - fp32 values become fp16 ----------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// Weight trees keep fp32 to the root and are rounded once, there: a variance of
// 1e8 or an inverse frequency of 1e-4 is an intermediate result, which fp16
// would saturate or spoil (design invariant 7b).
//
//===----------------------------------------------------------------------===//

#include "Retype.h"
#include "ane-mlir/Analysis/Placement.h"
#include "ane-mlir/Transforms/Passes.h"
#include "dialects/ANE/IR/Cast.h"
#include "dialects/ANE/IR/Quant.h"
#include "mlir/Interfaces/FunctionInterfaces.h"

using namespace mlir;
using namespace mlir::ane;

namespace mlir::ane {
#define GEN_PASS_DEF_ASSIGNPRECISIONPASS
#include "ane-mlir/Transforms/Passes.h.inc"
} // namespace mlir::ane

namespace {
Type toHalf(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  return tensor && tensor.getElementType().isF32()
             ? Type(tensor.clone(Float16Type::get(type.getContext())))
             : type;
}

/// Everything in `block` that is computed at run time; what is computed from
/// constants is cast where run-time ops read it.
void narrow(Block &block) {
  llvm::DenseSet<Operation *> trees = findWeightTrees(block);
  for (BlockArgument argument : block.getArguments())
    argument.setType(toHalf(argument.getType()));
  llvm::DenseMap<Value, Value> roots;
  for (Operation &op : llvm::make_early_inc_range(block)) {
    if (trees.contains(&op))
      continue;
    for (OpOperand &operand : op.getOpOperands()) {
      Value v = operand.get();
      Operation *tree = v.getDefiningOp();
      Type wanted = toHalf(v.getType());
      if (!tree || !trees.contains(tree) || wanted == v.getType())
        continue;
      Value &root = roots[v];
      if (!root) {
        OpBuilder builder(tree->getContext());
        builder.setInsertionPointAfter(tree);
        root = CastOp::create(
            builder, v.getLoc(), wanted, v,
            TypeAttr::get(cast<RankedTensorType>(wanted).getElementType()));
      }
      operand.set(root);
    }
    for (Value result : op.getResults())
      result.setType(toHalf(result.getType()));
    auto half = [](Type type) {
      return type.isF32() ? Type(Float16Type::get(type.getContext())) : type;
    };
    if (auto cast = dyn_cast<CastOp>(op))
      cast.setDtype(half(cast.getDtype()));
    if (auto quantize = dyn_cast<QuantizeOp>(op))
      quantize.setOutputDtype(half(quantize.getOutputDtype()));
    for (Region &region : op.getRegions())
      for (Block &inner : region)
        narrow(inner);
  }
}

struct AssignPrecision : ane::impl::AssignPrecisionPassBase<AssignPrecision> {
  void runOnOperation() override {
    for (auto function : getOperation().getOps<FunctionOpInterface>()) {
      for (Block &block : function.getFunctionBody())
        narrow(block);
      auto type = cast<FunctionType>(function.getFunctionType());
      function.setType(FunctionType::get(
          &getContext(), llvm::map_to_vector(type.getInputs(), toHalf),
          llvm::map_to_vector(type.getResults(), toHalf)));
    }
  }
};
} // namespace
