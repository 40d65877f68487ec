//===- VerifyTarget.cpp - gate before emission ----------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Analysis/Placement.h"
#include "ane-mlir/Transforms/Passes.h"
#include "dialects/ANE/IR/Structure.h"
#include "dialects/ANE/IR/WeightTrees.h"

using namespace mlir;
using namespace mlir::ane;

namespace mlir::ane {
#define GEN_PASS_DEF_VERIFYTARGETPASS
#include "ane-mlir/Transforms/Passes.h.inc"
} // namespace mlir::ane

namespace {
struct VerifyTarget : ane::impl::VerifyTargetPassBase<VerifyTarget> {
  void runOnOperation() override {
    const Target &target = getTarget(getOperation());
    bool ok = true;
    for (auto program : getOperation().getOps<ProgramOp>()) {
      if (!program.isEngine())
        continue;
      Block &body = program.getBody().front();
      for (auto list : {program.getArgumentTypes(), program.getResultTypes()})
        for (Type type : list) {
          auto tensor = cast<RankedTensorType>(type);
          if (tensor.getRank() != 4 || !tensor.getElementType().isF16() ||
              tensor.getDimSize(3) % 32) {
            program.emitError()
                << "boundary type " << type << " is not legal on "
                << target.name
                << ": expects rank 4, f16 and a width that is a multiple of 32 "
                   "(L40); expected to have been converted by ane-plan-io";
            ok = false;
          }
        }
      llvm::DenseSet<Operation *> trees = findWeightTrees(body);
      WeightTrees weights; // limits ask
      for (Operation &op : body.without_terminator()) {
        auto legality = dyn_cast<LegalityOpInterface>(op);
        if (trees.contains(&op) || !legality)
          continue;
        ViolationList violations;
        findEnabledViolations(legality, target, violations);
        for (Violation &violation : violations) {
          const Limit *limit = target.findLimit(violation.rule);
          const Rule *rule = lookupRule(violation.rule);
          op.emitError() << "'" << op.getName() << "' op is not legal on "
                         << target.name << ": " << violation.reason << " ("
                         << violation.rule << ", source "
                         << (limit  ? limit->source
                             : rule ? rule->source
                                    : StringLiteral("engine.md"))
                         << ")";
          ok = false;
        }
      }
    }
    if (!ok)
      signalPassFailure();
  }
};
} // namespace
