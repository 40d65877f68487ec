//===- AssignPrecision.cpp - fp32 values become fp16 ----------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "Retype.h"
#include "ane-mlir/Transforms/Passes.h"

using namespace mlir;
using namespace mlir::ane;

namespace mlir::ane {
#define GEN_PASS_DEF_ASSIGNPRECISIONPASS
#include "include/ane-mlir/Transforms/Passes.h.inc"
} // namespace mlir::ane

namespace {
struct AssignPrecision : ane::impl::AssignPrecisionPassBase<AssignPrecision> {
  void runOnOperation() override {
    auto half = [](Type type) -> Type {
      return type.isF32() ? Type(Float16Type::get(type.getContext())) : type;
    };
    if (failed(retype(getOperation(), half,
                      [](ConstantOp, OpBuilder &) { return success(); })))
      signalPassFailure();
  }
};
} // namespace
