//===- Weights.cpp - weight files of programs -----------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Target/Weights.h"
#include "ane-mlir/Interpreter/Weights.h"
#include <future>

using namespace mlir;
using namespace mlir::ane;

ProgramWeights mlir::ane::collectWeights(Operation *source) {
  std::vector<std::pair<int64_t, Value>> marked;
  source->walk([&](Operation *op) {
    auto offsets = op->getAttrOfType<DenseI64ArrayAttr>(marks::kWeight);
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

LogicalResult mlir::ane::writeWeights(Location loc, ProgramWeights &weights,
                                      llvm::raw_ostream &os) {
  WeightWriter writer(weights.layout, os);
  // A large tensor is hashed and written while the next one is evaluated.
  constexpr size_t kLarge = 1 << 20;
  std::future<std::vector<char>> writing; // gives its memory back
  std::vector<char> buffer;
  for (Value root : weights.roots) {
    FailureOr<std::vector<char>> bytes = failure();
    if (auto known = weights.evaluated.find(root);
        known != weights.evaluated.end()) {
      bytes = std::move(known->second);
      weights.evaluated.erase(known);
    } else {
      bytes = evaluateWeight(root, std::move(buffer));
      buffer.clear();
    }
    if (writing.valid())
      buffer = writing.get();
    if (failed(bytes))
      return emitError(root.getLoc()) << "weight cannot be evaluated";
    if (bytes->size() < kLarge) {
      writer.write(*bytes);
      continue;
    }
    writing = std::async(std::launch::async,
                         [&writer, bytes = std::move(*bytes)]() mutable {
                           writer.write(bytes);
                           return std::move(bytes);
                         });
  }
  if (writing.valid())
    (void)writing.get();
  return success();
}
