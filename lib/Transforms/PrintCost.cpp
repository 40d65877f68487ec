//===- PrintCost.cpp - predicted times ------------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Analysis/CostModel.h"
#include "ane-mlir/Transforms/Passes.h"
#include "llvm/Support/JSON.h"

using namespace mlir;
using namespace mlir::ane;

namespace mlir::ane {
#define GEN_PASS_DEF_PRINTCOSTPASS
#include "ane-mlir/Transforms/Passes.h.inc"
} // namespace mlir::ane

namespace {
struct PrintCost : ane::impl::PrintCostPassBase<PrintCost> {
  void runOnOperation() override {
    const Target &target = getTarget(getOperation());
    for (auto program : getOperation().getOps<ProgramOp>()) {
      if (!program.isEngine())
        continue;
      Prediction p = predict(program, target);
      llvm::outs() << llvm::json::Value(
                          llvm::json::Object{{"program", program.getSymName()},
                                             {"predicted_us", p.total()},
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
