//===- PatchWeights.cpp - trained weights in files of programs ------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Interpreter/Weights.h"
#include "ane-mlir/Training/Passes.h"
#include "dialects/ANE/IR/Structure.h"
#include "dialects/ANE/IR/WeightTrees.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/AsmState.h"

using namespace mlir;
using namespace mlir::ane;

namespace mlir::ane {
#define GEN_PASS_DEF_PATCHWEIGHTSPASS
#include "ane-mlir/Training/Passes.h.inc"
} // namespace mlir::ane

namespace {
struct PatchWeights : ane::impl::PatchWeightsPassBase<PatchWeights> {
  void runOnOperation() override {
    auto main = getOperation().lookupSymbol<func::FuncOp>("main");
    auto entries = getOperation()->getAttrOfType<ArrayAttr>(marks::kParameters);
    if (!main || !entries)
      return;
    llvm::StringMap<ElementsAttr> values;
    for (Attribute each : entries) {
      auto entry = cast<DictionaryAttr>(each);
      values[entry.getAs<StringAttr>("name").getValue()] =
          entry.getAs<ElementsAttr>("value");
    }
    bool any = false;
    for (unsigned i = main.getNumArguments(); i-- > 0;)
      if (auto name = main.getArgAttrOfType<StringAttr>(i, marks::kCopyOf)) {
        if (failed(patch(main, i, values.lookup(name.getValue()))))
          return signalPassFailure();
        any = true;
      }
    if (!any)
      getOperation().emitRemark()
          << "no trained weight is one of a product or a convolution, which "
             "would be in a file: all are inputs";
  }

private:
  /// The copy as a constant, which keeps what it is a copy of.
  LogicalResult patch(func::FuncOp main, unsigned index, ElementsAttr value) {
    BlockArgument copy = main.getArgument(index);
    auto type = cast<RankedTensorType>(copy.getType());
    std::optional<DType> dtype = toDType(type.getElementType());
    FailureOr<Tensor> first =
        value ? Tensor::fromElements(value) : FailureOr<Tensor>(failure());
    if (failed(first) || !dtype)
      return main.emitError()
             << "has no value for the weight of argument " << index;
    auto groups = main.getArgAttrOfType<IntegerAttr>(index, marks::kGroups);
    bool transposed = main.getArgAttr(index, marks::kTransposed) != nullptr;
    int64_t count = groups ? groups.getInt() : 1;
    auto shape = matrixShapeOf(type.getShape());
    if (!isMatrixOf(first->shape(), transposed, count, shape))
      return main.emitError()
             << "expects argument " << index << " of type " << type << " to be "
             << (transposed ? "the exchanged copy" : "the copy")
             << " of its weight of type " << value.getType() << " for " << count
             << " groups";
    std::vector<char> bytes =
        asMatrix(first->unpacked(), transposed, count, shape)
            .retyped(*dtype)
            .toWeightBytes();
    OpBuilder b = OpBuilder::atBlockBegin(&main.getBody().front());
    auto data = DenseResourceElementsAttr::get(
        type, "patched",
        HeapAsmResourceBlob::allocateAndCopyWithAlign(bytes, 64));
    auto constant = ConstantOp::create(b, copy.getLoc(), type, data);
    for (StringRef name : {marks::kCopyOf, marks::kTransposed, marks::kGroups})
      if (Attribute attr = main.getArgAttr(index, name))
        constant->setAttr(name, attr);
    copy.replaceAllUsesWith(constant.getResult());
    ++numPatched;
    return main.eraseArgument(index);
  }
};
} // namespace
