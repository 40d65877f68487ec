//===- CountConvolutions.cpp - a pass outside of the tree -----------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "dialects/ANE/IR/ANE.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Tools/Plugins/PassPlugin.h"
#include "llvm/Config/llvm-config.h"

using namespace mlir;

namespace {
struct CountConvolutions
    : PassWrapper<CountConvolutions, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(CountConvolutions)
  StringRef getArgument() const final { return "count-convolutions"; }
  StringRef getDescription() const final {
    return "Says how many convolutions a model has";
  }
  void runOnOperation() override {
    unsigned count = 0;
    getOperation().walk([&](ane::ConvOp conv) {
      count += isa<RankedTensorType>(conv.getType());
    });
    getOperation().emitRemark() << count << " convolutions";
  }
};
} // namespace

extern "C" LLVM_ATTRIBUTE_WEAK PassPluginLibraryInfo mlirGetPassPluginInfo() {
  return {MLIR_PLUGIN_API_VERSION, "CountConvolutions", LLVM_VERSION_STRING,
          [] { PassRegistration<CountConvolutions>(); }};
}
