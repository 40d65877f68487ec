//===- Weights.cpp - weight files of programs -----------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Target/Weights.h"
#include "ane-mlir/Interpreter/Weights.h"

using namespace mlir;
using namespace mlir::ane;

ProgramWeights mlir::ane::collectWeights(Operation *source) {
  std::vector<std::pair<int64_t, Value>> marked;
  source->walk([&](Operation *op) {
    auto offsets = op->getAttrOfType<DenseI64ArrayAttr>(kWeightAttr);
    if (!offsets)
      return;
    for (auto [result, offset] :
         llvm::zip(op->getResults(), offsets.asArrayRef()))
      if (offset > 0)
        marked.push_back({offset, result});
  });
  llvm::stable_sort(marked, llvm::less_first());
  ProgramWeights weights;
  for (auto &[offset, root] : marked) {
    auto type = cast<RankedTensorType>(root.getType());
    weights.layout.add(*toDType(type.getElementType()), type.getNumElements());
    weights.roots.push_back(root);
  }
  return weights;
}

LogicalResult mlir::ane::writeWeights(Location loc,
                                      const ProgramWeights &weights,
                                      llvm::raw_ostream &os) {
  WeightWriter writer(weights.layout, os);
  for (Value root : weights.roots) {
    FailureOr<std::vector<char>> bytes = evaluateWeight(root);
    if (failed(bytes))
      return emitError(root.getLoc()) << "weight cannot be evaluated";
    writer.write(*bytes);
  }
  return success();
}
