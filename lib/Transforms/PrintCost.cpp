//===- PrintCost.cpp - predicted times ------------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Analysis/CostModel.h"
#include "ane-mlir/Transforms/Passes.h"
#include "dialects/ANE/IR/Structure.h"
#include "llvm/Support/JSON.h"

using namespace mlir;
using namespace mlir::ane;

namespace mlir::ane {
#define GEN_PASS_DEF_PRINTCOSTPASS
#include "ane-mlir/Transforms/Passes.h.inc"
} // namespace mlir::ane

namespace {
struct PrintCost : ane::impl::PrintCostPassBase<PrintCost> {
  using PrintCostPassBase::PrintCostPassBase;

  static void printOps(ProgramOp program) {
    Clock clock = getClock(program);
    for (Operation &op : program.getBody().front()) {
      OpWork work = findWork(&op, clock.target);
      if (work.kind == OpWork::Kind::Free)
        continue;
      llvm::outs() << llvm::json::Value(llvm::json::Object{
                          {"of", program.getSymName()},
                          {"op", op.getName().stripDialect()},
                          {"kind", stringify(work.kind)},
                          {"product", work.cost.kind == Cost::Kind::Matmul},
                          {"flops", work.cost.flops},
                          {"weight_bytes", work.cost.weightBytes},
                          {"activation_bytes", work.cost.activationBytes},
                          {"elements", work.elements},
                          {"positions", work.cost.positions},
                          {"channels", work.cost.channels},
                          {"winograd", work.winograd},
                          {"predicted_us", predict(work, clock).total()}})
                   << '\n';
    }
  }

  void runOnOperation() override {
    for (auto program : getOperation().getOps<ProgramOp>()) {
      if (!program.isEngine())
        continue;
      if (ops)
        printOps(program);
      Prediction p = predict(program);
      llvm::outs() << llvm::json::Value(llvm::json::Object{
                          {"program", program.getSymName()},
                          {"target", getTarget(program).name},
                          {"door", stringify(getClock(program).door)},
                          {"predicted_us", p.total()},
                          {"error", getClock(program).error()},
                          {"dispatch_us", p.dispatch},
                          {"compute_us", p.compute},
                          {"weights_us", p.weights},
                          {"vector_us", p.vector},
                          {"move_us", p.move},
                          {"surfaces_us", p.surfaces}})
                   << '\n';
    }
    markAllAnalysesPreserved();
  }
};
} // namespace
