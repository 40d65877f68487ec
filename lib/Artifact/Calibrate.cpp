//===- Calibrate.cpp - how large values are on real data ------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Artifact/Calibrate.h"
#include "ane-mlir/Analysis/Placement.h"
#include "ane-mlir/Artifact/TensorFiles.h"
#include "ane-mlir/Interpreter/Interpreter.h"
#include "ane-mlir/Interpreter/Weights.h"
#include "dialects/ANE/IR/Arithmetic.h"
#include "dialects/ANE/IR/Gather.h"
#include "dialects/ANE/IR/Linear.h"
#include "dialects/ANE/IR/Reduction.h"
#include "dialects/ANE/IR/WeightTrees.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/MapVector.h"
#include <cmath>

using namespace mlir;
using namespace mlir::ane;

namespace {
/// What is known about one op over all samples.
struct Seen {
  SmallVector<float, 1> peaks;
  float partial = 0, error = 0;
};

/// Watches a run in fp32 and repeats those products on the engine's arithmetic
/// that may overflow or lose something there.
class Watcher {
public:
  Watcher(MLIRContext *context, const Target &target, bool products)
      : engine(context, Numerics::Engine, &target.numerics),
        products(products) {}

  void see(Operation *op, ArrayRef<Tensor> inputs, ArrayRef<Tensor> outputs) {
    Seen &seen = ops[op];
    seen.peaks.resize(outputs.size());
    for (auto [most, tensor] : llvm::zip(seen.peaks, outputs))
      most = std::max(most, magnitude(tensor).largest);
    if (outputs.empty())
      return;
    if (std::optional<float> reach = findReach(op, inputs, outputs[0])) {
      reaches[op->getResult(0)] = *reach;
      seen.peaks[0] = std::max(seen.peaks[0], *reach);
    }
    if (products && isa<ConvOp, ConvTransposeOp, MatmulOp>(op) &&
        outputs[0].isFloat())
      seeProduct(op, inputs, outputs[0], seen);
  }

  void annotate() {
    for (auto &[op, seen] : ops) {
      Builder b(op->getContext());
      op->setAttr(marks::kPeak, b.getDenseF32ArrayAttr(seen.peaks));
      if (seen.partial > 0)
        op->setAttr(marks::kPartial, b.getF32FloatAttr(seen.partial));
      if (seen.error > 0)
        op->setAttr(marks::kEngineError, b.getF32FloatAttr(seen.error));
    }
  }

private:
  struct Magnitude {
    float largest = 0, root = 0;
  };
  /// NaN and infinities count as infinite.
  static Magnitude magnitude(const Tensor &tensor) {
    Magnitude m;
    if (!tensor.isFloat())
      return m;
    double squares = 0;
    for (float v : tensor.floats()) {
      m.largest =
          std::isfinite(v) ? std::max(m.largest, std::fabs(v)) : INFINITY;
      squares += double(v) * v;
    }
    m.root = float(std::sqrt(squares / std::max<int64_t>(tensor.size(), 1)));
    return m;
  }

  /// What other samples may come to, where that is known: an entry of a table
  /// that is looked up (leaves of trees, embeddings), moved or added up.
  std::optional<float> findReach(Operation *op, ArrayRef<Tensor> inputs,
                                 const Tensor &result) const {
    if (!result.isFloat() || inputs.empty() || !inputs[0].isFloat())
      return std::nullopt;
    if (isa<GatherOp, GatherAlongAxisOp, GatherNdOp>(op) &&
        isConstantTree(op->getOperand(0))) {
      if (auto seen = reaches.find(op->getResult(0)); seen != reaches.end())
        return seen->second; // on the sample before
      Tensor table = inputs[0].unpacked();
      float most = 0;
      for (float x : table.floats())
        if (std::fabs(x) < kSentinel)
          most = std::max(most, std::fabs(x));
      return most;
    }
    auto known = reaches.find(op->getOperand(0));
    if (known == reaches.end())
      return std::nullopt;
    if (isMovement(op) && op->getNumOperands() == 1)
      return known->second;
    if (isa<ReduceSumOp>(op))
      return known->second * float(inputs[0].size()) /
             float(std::max<int64_t>(result.size(), 1));
    bool isNumber = op->getNumOperands() == 2 &&
                    isConstantTree(op->getOperand(1)) && inputs[1].isFloat();
    if (isNumber && isa<MulOp>(op))
      return known->second * magnitude(inputs[1]).largest;
    if (isNumber && isa<AddOp, SubOp>(op))
      return known->second + magnitude(inputs[1]).largest;
    return std::nullopt;
  }

  /// Terms of one sum.
  static int64_t getTerms(Operation *op, ArrayRef<Tensor> inputs) {
    if (auto product = dyn_cast<MatmulOp>(op))
      return inputs[0].rank() < 2 || !product.getTransposeX()
                 ? inputs[0].shape().back()
                 : inputs[0].shape()[inputs[0].rank() - 2];
    return inputs[1].size() / std::max<int64_t>(inputs[1].shape()[0], 1);
  }

  void seeProduct(Operation *op, ArrayRef<Tensor> inputs, const Tensor &exact,
                  Seen &seen) {
    Magnitude x = magnitude(inputs[0]), y = magnitude(inputs[1]);
    // Neither can a sum overflow nor do typical products come near 2^-17.
    double bound = double(x.largest) * y.largest * getTerms(op, inputs);
    seen.partial = std::max(seen.partial, magnitude(exact).largest);
    if (bound < 16384 && double(x.root) * y.root > 1.0 / 256)
      return;
    std::atomic<float> most = 0;
    engine.setPartialPeak(&most);
    SmallVector<Tensor> halves, results;
    for (const Tensor &tensor : inputs) {
      Tensor half(DType::Float16, tensor.shape());
      llvm::copy(tensor.floats(), half.mutableFloats().begin());
      roundTo(DType::Float16, half.mutableFloats());
      halves.push_back(half);
    }
    if (failed(cast<EvaluateOpInterface>(op).evaluate(engine, halves, results)))
      return;
    seen.partial = std::max(seen.partial, most.load());
    double difference = 0, sum = 0;
    for (auto [a, b] : llvm::zip(results[0].floats(), exact.floats())) {
      difference += (double(a) - b) * (double(a) - b);
      sum += double(b) * b;
    }
    // Overflow is told by the partial sums; here only what is lost.
    if (sum > 0 && std::isfinite(difference))
      seen.error = std::max(seen.error, float(std::sqrt(difference / sum)));
  }

  EvalContext engine;
  bool products;
  llvm::MapVector<Operation *, Seen> ops;
  llvm::DenseMap<Value, float> reaches;
};
} // namespace

LogicalResult mlir::ane::calibrate(func::FuncOp function,
                                   ArrayRef<Sample> samples, bool products) {
  Watcher watcher(function.getContext(), getTarget(function), products);
  BlockInterpreter interpreter(function.getBody().front(), Numerics::Float32);
  for (const Sample &sample : samples) {
    SmallVector<Tensor> arguments, results;
    for (auto [argument, tensor] :
         llvm::zip_equal(function.getArguments(), sample.inputs)) {
      llvm::Expected<Tensor> carried = convertTensor(
          tensor,
          *toDType(cast<RankedTensorType>(argument.getType()).getElementType()),
          "input");
      if (!carried)
        return function.emitError() << llvm::toString(carried.takeError());
      arguments.push_back(*carried);
    }
    if (failed(interpreter.run(arguments, results,
                               [&](Operation *op, ArrayRef<Tensor> inputs,
                                   ArrayRef<Tensor> outputs, double) {
                                 watcher.see(op, inputs, outputs);
                               })))
      return failure();
  }
  watcher.annotate();
  return success();
}
