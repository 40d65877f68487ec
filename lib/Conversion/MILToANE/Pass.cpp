//===- Pass.cpp - convert-mil-to-ane --------------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Conversion/MILToANE.h"
#include "ane-mlir/Conversion/Passes.h"

using namespace mlir;
using namespace mlir::ane;

namespace mlir::ane {
#define GEN_PASS_DEF_CONVERTMILTOANEPASS
#include "ane-mlir/Conversion/Passes.h.inc"
} // namespace mlir::ane

namespace {
struct ConvertMILToANE : ane::impl::ConvertMILToANEPassBase<ConvertMILToANE> {
  using ConvertMILToANEPassBase::ConvertMILToANEPassBase;
  ConvertMILToANE(std::string name, WeightOpener opener,
                  mil::ShapeBindings shapes)
      : opener(std::move(opener)), shapes(std::move(shapes)) {
    function = std::move(name);
  }

  /// The function asked for; "main" or the first where none is.
  mil::FuncOp find(ArrayRef<mil::FuncOp> functions) {
    for (mil::FuncOp func : functions)
      if (func.getSymName() ==
          (function.empty() ? StringRef("main") : function))
        return func;
    return function.empty() && !functions.empty() ? functions.front()
                                                  : mil::FuncOp();
  }

  void runOnOperation() override {
    ModuleOp module = getOperation();
    SmallVector<mil::FuncOp> functions;
    module.walk([&](mil::FuncOp func) { functions.push_back(func); });
    mil::FuncOp func = find(functions);
    if (!func) {
      module.emitError() << "has no MIL function '" << function << "'";
      return signalPassFailure();
    }
    OpBuilder builder = OpBuilder::atBlockEnd(module.getBody());
    if (failed(convertMILToFunction(
            builder, func, opener ? opener : weightsBelow(weights), shapes)))
      return signalPassFailure();
    // Whatever module holds the programs goes with them.
    for (Operation &op : llvm::make_early_inc_range(*module.getBody()))
      if (isa<ModuleOp, mil::ProgramOp>(op))
        op.erase();
  }

  WeightOpener opener;
  mil::ShapeBindings shapes;
};
} // namespace

std::unique_ptr<Pass>
mlir::ane::createConvertMILToANEPass(std::string function, WeightOpener weights,
                                     mil::ShapeBindings shapes) {
  return std::make_unique<ConvertMILToANE>(
      std::move(function), std::move(weights), std::move(shapes));
}
