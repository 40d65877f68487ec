//===- EvaluateConstants.cpp - weight trees to values ---------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Analysis/Placement.h"
#include "ane-mlir/Interpreter/Interpreter.h"
#include "ane-mlir/Transforms/Passes.h"
#include "dialects/ANE/IR/Structure.h"
#include "mlir/IR/Builders.h"
#include "mlir/Interfaces/FunctionInterfaces.h"

using namespace mlir;
using namespace mlir::ane;

namespace mlir::ane {
#define GEN_PASS_DEF_EVALUATECONSTANTSPASS
#include "ane-mlir/Transforms/Passes.h.inc"
} // namespace mlir::ane

namespace {
struct EvaluateConstants
    : ane::impl::EvaluateConstantsPassBase<EvaluateConstants> {
  using EvaluateConstantsPassBase::EvaluateConstantsPassBase;
  void runOnOperation() override {
    std::optional<Numerics> mode = lookupNumerics(numerics);
    if (!mode) {
      getOperation().emitError() << "ane-evaluate-constants expects numerics "
                                    "fp16, fp32 or engine, but got '"
                                 << numerics << "'";
      return signalPassFailure();
    }
    EvalContext context(&getContext(), *mode,
                        &getTarget(getOperation()).numerics);
    for (auto function : getOperation().getOps<FunctionOpInterface>()) {
      if (function.isExternal())
        continue;
      Block &block = function.getFunctionBody().front();
      llvm::DenseSet<Operation *> trees = findWeightTrees(block);
      ConstantEvaluator evaluator(context);
      // Whole trees, as the weight writer does: values inside a tree are not
      // rounded to their type on the way.
      SmallVector<std::pair<OpResult, Tensor>> values;
      for (Operation &op : block)
        if (trees.contains(&op) && !isa<ConstantOp>(op))
          for (OpResult result : op.getResults())
            // A result whose extent depends on data has another type than its
            // constant would.
            if (cast<RankedTensorType>(result.getType()).hasStaticShape() &&
                llvm::any_of(result.getUsers(), [&](Operation *user) {
                  return !trees.contains(user);
                })) {
              FailureOr<Tensor> value = evaluator.evaluate(result);
              if (failed(value))
                return signalPassFailure();
              values.push_back({result, *value});
            }
      for (auto &[result, value] : values) {
        OpBuilder builder(result.getOwner());
        DenseElementsAttr elements = value.toElements(&getContext());
        result.replaceAllUsesWith(ConstantOp::create(
            builder, result.getLoc(),
            cast<RankedTensorType>(elements.getType()), elements));
      }
      for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block)))
        if (trees.contains(&op) && op.use_empty())
          op.erase();
    }
  }
};
} // namespace
