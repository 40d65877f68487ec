//===- QuantChains.cpp - activations that stay bytes ----------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// The engine multiplies bytes faster than halves where a convolution reads a
// pair of quantize and dequantize and its weights are bytes, and where there
// are several such in a row (engine/cost.md §5.4, engine/rewrites.md §6.19).
// Those pairs are marked; of all others the steps are left out (Quant.cpp).
//
//===----------------------------------------------------------------------===//

#include "Lowering.h"

using namespace mlir;
using namespace mlir::ane;
using onnxir::NodeOp;

/// Fewer convolutions were not seen to be faster (engine/cost.md §5.3).
static constexpr size_t kLeastConvs = 4;

static bool is(Value value, StringRef op) {
  auto node = value ? value.getDefiningOp<NodeOp>() : NodeOp();
  return node && node.getOpType() == op &&
         (node.getDomain().empty() || node.getDomain() == "com.microsoft");
}
static Value input(NodeOp node, unsigned i) {
  return i < node.getInputs().size() ? node.getInputs()[i] : Value();
}

/// The codes behind a DequantizeLinear, if they are a constant.
static Value constantCodes(Value value) {
  if (!is(value, "DequantizeLinear"))
    return {};
  Value codes = input(value.getDefiningOp<NodeOp>(), 0);
  return codes.getDefiningOp<onnxir::ConstantOp>() ? codes : Value();
}

/// A 1x1 convolution with weights of bytes, the form that ane-compress-weights
/// keeps.
static bool isByteConv(NodeOp node) {
  if (node.getOpType() != "Conv" || !node.getDomain().empty())
    return false;
  Value codes = constantCodes(input(node, 1));
  auto type =
      codes ? dyn_cast<RankedTensorType>(codes.getType()) : RankedTensorType();
  auto group = node.getOnnxAttributes().getAs<IntegerAttr>("group");
  return type && type.getRank() == 4 && type.getElementType().isInteger(8) &&
         type.getDimSize(2) == 1 && type.getDimSize(3) == 1 &&
         (!group || group.getInt() == 1);
}

void mlir::ane::markQuantisedChains(onnxir::GraphOp graph) {
  SmallVector<NodeOp> pairs;
  llvm::DenseSet<Operation *> seen;
  size_t convs = 0;
  for (auto conv : graph.getBody().front().getOps<NodeOp>()) {
    Value x = isByteConv(conv) ? input(conv, 0) : Value();
    if (!is(x, "DequantizeLinear"))
      continue;
    auto back = x.getDefiningOp<NodeOp>();
    if (!is(input(back, 0), "QuantizeLinear"))
      continue;
    auto codes = input(back, 0).getDefiningOp<NodeOp>();
    // Other readers would multiply codes of different scales (L65).
    bool alone = llvm::all_of(codes->getUsers(), [&](Operation *user) {
      return is(user->getResult(0), "DequantizeLinear") &&
             llvm::all_of(user->getUsers(), [](Operation *reader) {
               auto node = dyn_cast<NodeOp>(reader);
               return node && isByteConv(node);
             });
    });
    if (!alone)
      continue;
    ++convs;
    if (seen.insert(codes).second)
      pairs.push_back(codes);
  }
  if (convs < kLeastConvs)
    return;
  for (NodeOp codes : pairs)
    codes->setAttr(marks::kCodes, UnitAttr::get(codes.getContext()));
}
