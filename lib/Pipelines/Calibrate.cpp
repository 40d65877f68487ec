//===- Calibrate.cpp - how large values are on real data ------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Pipelines/Calibrate.h"
#include "ane-mlir/Import/TestData.h"
#include "ane-mlir/Interpreter/Interpreter.h"
#include "ane-mlir/Interpreter/TensorFiles.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include <cmath>
#include <set>

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
    if (products && isa<ConvOp, ConvTransposeOp, MatmulOp>(op) &&
        outputs[0].isFloat())
      seeProduct(op, inputs, outputs[0], seen);
  }

  void annotate() {
    for (auto &[op, seen] : ops) {
      Builder b(op->getContext());
      op->setAttr("ane.peak", b.getDenseF32ArrayAttr(seen.peaks));
      if (seen.partial > 0)
        op->setAttr("ane.partial", b.getF32FloatAttr(seen.partial));
      if (seen.error > 0)
        op->setAttr("ane.engine_error", b.getF32FloatAttr(seen.error));
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
      m.largest = std::isfinite(v) ? std::max(m.largest, std::fabs(v)) : INFINITY;
      squares += double(v) * v;
    }
    m.root = float(std::sqrt(squares / std::max<int64_t>(tensor.size(), 1)));
    return m;
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
};
} // namespace

static LogicalResult watch(func::FuncOp function,
                           ArrayRef<std::vector<Tensor>> samples,
                           bool products) {
  Watcher watcher(function.getContext(), getTarget(function), products);
  BlockInterpreter interpreter(function.getBody().front(), Numerics::Float32);
  for (const std::vector<Tensor> &sample : samples) {
    SmallVector<Tensor> results;
    if (failed(interpreter.run(
            sample, results,
            [&](Operation *op, ArrayRef<Tensor> inputs,
                ArrayRef<Tensor> outputs,
                double) { watcher.see(op, inputs, outputs); })))
      return failure();
  }
  watcher.annotate();
  return success();
}

/// Name, dtype and shape of each argument.
static LogicalResult describe(func::FuncOp function,
                              std::vector<std::string> &names,
                              std::vector<std::pair<DType, ArrayRef<int64_t>>>
                                  &types) {
  for (BlockArgument argument : function.getArguments()) {
    auto type = cast<RankedTensorType>(argument.getType());
    if (!type.hasStaticShape())
      return failure();
    auto name = function.getArgAttrOfType<StringAttr>(argument.getArgNumber(),
                                                      "ane.name");
    names.push_back(name ? name.str() : "");
    types.push_back({*toDType(type.getElementType()), type.getShape()});
  }
  return success();
}

LogicalResult mlir::ane::calibrate(ModuleOp module, StringRef dir,
                                   bool products) {
  auto refuse = [&](const Twine &why) {
    return module.emitError() << "calibration: " << why;
  };
  // Each folder that holds inputs is a sample.
  std::set<std::string> folders;
  std::error_code error;
  for (llvm::sys::fs::directory_iterator it(dir, error), end;
       it != end && !error; it.increment(error))
    if (llvm::sys::fs::is_directory(it->path()))
      folders.insert(it->path());
  if (error)
    return refuse("cannot read '" + dir + "': " + error.message());
  SmallString<128> own(dir);
  llvm::sys::path::append(own, "input_0");
  if (folders.empty() || llvm::sys::fs::exists(own + ".pb") ||
      llvm::sys::fs::exists(own + ".npy"))
    folders = {dir.str()};

  for (auto function : module.getOps<func::FuncOp>()) {
    std::vector<std::string> names;
    std::vector<std::pair<DType, ArrayRef<int64_t>>> types;
    if (failed(describe(function, names, types)))
      return refuse("an input has an unknown dimension; set it with --dim");
    std::vector<std::vector<Tensor>> samples;
    for (const std::string &folder : folders) {
      std::vector<Tensor> sample(names.size());
      if (llvm::Error error =
              readTestInputs(folder, names, module.getContext(), sample))
        return refuse(llvm::toString(std::move(error)));
      for (auto [name, type, tensor] : llvm::zip(names, types, sample)) {
        if (!tensor)
          return refuse("'" + folder + "' has no value for input '" + name +
                        "'");
        if (tensor.shape() != type.second)
          return refuse("in '" + folder + "' input '" + name +
                        "' has another shape than in the model");
        llvm::Expected<Tensor> carried =
            convertTensor(tensor, type.first, name);
        if (!carried)
          return refuse(llvm::toString(carried.takeError()));
        tensor = *carried;
      }
      samples.push_back(std::move(sample));
    }
    if (failed(watch(function, samples, products)))
      return failure();
  }
  return success();
}

void mlir::ane::calibrateOnRandom(ModuleOp module, bool products) {
  ScopedDiagnosticHandler silence(module.getContext(),
                                  [](Diagnostic &) { return success(); });
  const Target &target = getTarget(module);
  for (auto function : module.getOps<func::FuncOp>()) {
    std::vector<std::string> names;
    std::vector<std::pair<DType, ArrayRef<int64_t>>> types;
    double work = 0;
    for (Operation &op : function.getBody().front())
      if (auto costed = dyn_cast<CostOpInterface>(op)) {
        Cost cost = costed.estimateCost(target);
        work += cost.flops + cost.activationBytes + cost.weightBytes;
      }
    if (!(work <= 200e6) || failed(describe(function, names, types)))
      continue;
    std::mt19937_64 engine(0);
    std::vector<Tensor> sample;
    for (auto &[dtype, shape] : types)
      sample.push_back(randomTensor(dtype, shape, engine));
    (void)watch(function, {std::move(sample)}, products);
  }
}
