//===- VerifyNumerics.cpp - no pass is trusted ----------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Artifact/VerifyNumerics.h"
#include "ane-mlir/Artifact/Samples.h"
#include "ane-mlir/Artifact/TensorFiles.h"
#include "ane-mlir/Interpreter/Interpreter.h"
#include "ane-mlir/Target/Surface.h"
#include "dialects/ANE/IR/Structure.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassInstrumentation.h"
#include "llvm/Support/Format.h"
#include <cmath>
#include <map>

using namespace mlir;
using namespace mlir::ane;

namespace mlir::ane {
class NumericsInstrumentation : public PassInstrumentation {
public:
  explicit NumericsInstrumentation(NumericsVerifier &verifier)
      : verifier(verifier) {}
  void runBeforePass(Pass *pass, Operation *op) override {
    if (isWatched(pass))
      verifier.beforePass(op);
  }
  void runAfterPass(Pass *pass, Operation *op) override {
    if (isWatched(pass))
      verifier.afterPass(pass->getArgument(), op);
  }

private:
  /// Adaptors of nested pipelines have no argument of their own.
  static bool isWatched(Pass *pass) { return !pass->getArgument().empty(); }
  NumericsVerifier &verifier;
};
} // namespace mlir::ane

void NumericsVerifier::attach(PassManager &pm) {
  pm.addInstrumentation(std::make_unique<NumericsInstrumentation>(*this));
}

//===----------------------------------------------------------------------===//
// Running a module in any phase
//===----------------------------------------------------------------------===//

/// Copies the common front of each axis of two tensors of rank 4.
static void copyFront(const Tensor &from, Tensor &to) {
  auto rows = [](const Tensor &t, int64_t n, int64_t c, int64_t h) {
    auto s = t.shape();
    return ((n * s[1] + c) * s[2] + h) * s[3];
  };
  SmallVector<int64_t> box;
  for (unsigned i = 0; i < 4; ++i)
    box.push_back(std::min(from.shape()[i], to.shape()[i]));
  for (int64_t n = 0; n < box[0]; ++n)
    for (int64_t c = 0; c < box[1]; ++c)
      for (int64_t h = 0; h < box[2]; ++h)
        llvm::copy(from.floats().slice(rows(from, n, c, h), box[3]),
                   to.mutableFloats().begin() + rows(to, n, c, h));
}

static Tensor castTo(const Tensor &tensor, RankedTensorType type) {
  return inDType(tensor, *toDType(type.getElementType()));
}

using OpObserver = llvm::function_ref<void(Operation *, ArrayRef<Tensor>)>;

static LogicalResult runBlock(Block &block, ArrayRef<Tensor> arguments,
                              SmallVectorImpl<Tensor> &results,
                              OpObserver observer) {
  SmallVector<Tensor> typed;
  for (auto [argument, tensor] : llvm::zip(block.getArguments(), arguments))
    typed.push_back(castTo(tensor, cast<RankedTensorType>(argument.getType())));
  BlockInterpreter interpreter(block, Numerics::Float32);
  return interpreter.run(
      typed, results,
      [&](Operation *op, ArrayRef<Tensor>, ArrayRef<Tensor> values, double) {
        if (observer)
          observer(op, values);
      });
}

/// One program on logical tensors, through its surfaces.
static LogicalResult runProgram(CallOp call, ProgramOp program,
                                ArrayRef<Tensor> arguments,
                                SmallVectorImpl<Tensor> &results,
                                OpObserver observer) {
  SmallVector<Tensor> in, out;
  for (auto [i, tensor] : llvm::enumerate(arguments)) {
    auto surface = program.getArgAttrOfType<SurfaceAttr>(i, marks::kSurface);
    if (!surface) {
      in.push_back(tensor);
      continue;
    }
    Tensor packed(DType::Float16, surface.getShape());
    Tensor floats = castTo(
        tensor, RankedTensorType::get(tensor.shape(),
                                      Float16Type::get(call.getContext())));
    copyFront(surface.getOrder().empty()
                  ? floats.reshaped(surface.getView())
                  : gather(floats, surface.getView(), surface.getOrder()),
              packed);
    in.push_back(packed);
  }
  if (failed(runBlock(program.getBody().front(), in, out, observer)))
    return failure();
  for (auto [i, tensor] : llvm::enumerate(out)) {
    auto surface = program.getResultAttrOfType<SurfaceAttr>(i, marks::kSurface);
    if (!surface) {
      results.push_back(tensor);
      continue;
    }
    Tensor view(DType::Float16, surface.getView());
    copyFront(tensor, view);
    auto logical = cast<RankedTensorType>(surface.getLogical());
    results.push_back(
        castTo(surface.getOrder().empty()
                   ? view.reshaped(logical.getShape())
                   : scatter(view, logical.getShape(), surface.getOrder()),
               logical));
  }
  return success();
}

FailureOr<std::vector<Tensor>> NumericsVerifier::run(ModuleOp module,
                                                     OpObserver observer) {
  auto functions = module.getOps<func::FuncOp>();
  if (functions.empty())
    return module.emitError() << "has no function", failure();
  func::FuncOp function = *functions.begin();
  Block &block = function.getBody().front();
  SmallVector<Tensor> results;
  auto calls = block.getOps<CallOp>();
  if (calls.empty()) {
    if (::failed(runBlock(block, inputs, results, observer)))
      return failure();
  } else {
    llvm::DenseMap<Value, Tensor> values;
    for (auto [argument, tensor] : llvm::zip(block.getArguments(), inputs))
      values[argument] =
          castTo(tensor, cast<RankedTensorType>(argument.getType()));
    for (CallOp call : calls) {
      auto program = module.lookupSymbol<ProgramOp>(call.getCallee());
      SmallVector<Tensor> in, out;
      for (Value operand : call.getInputs())
        in.push_back(values.lookup(operand));
      if (!program || ::failed(runProgram(call, program, in, out, observer)))
        return failure();
      for (auto [value, tensor] : llvm::zip(call.getOutputs(), out))
        values[value] = tensor;
    }
    for (Value value : block.getTerminator()->getOperands())
      results.push_back(values.lookup(value));
  }
  return std::vector<Tensor>(results.begin(), results.end());
}

//===----------------------------------------------------------------------===//
// Comparison
//===----------------------------------------------------------------------===//

/// Largest difference as a part of the largest magnitude of `expected`;
/// infinite where shapes differ or one has NaN where the other has none. With
/// `masks`, numbers that both mean "masked" are equal.
static double compare(const Tensor &actual, const Tensor &expected,
                      bool masks) {
  if (actual.size() != expected.size())
    return INFINITY;
  auto at = [](const Tensor &t, int64_t i) {
    return t.isFloat() ? double(t.floats()[i]) : double(t.ints()[i]);
  };
  double worst = 0, largest = 0;
  for (int64_t i = 0; i < actual.size(); ++i) {
    double a = at(actual, i), e = at(expected, i);
    if (std::isfinite(e))
      largest = std::max(largest, std::fabs(e));
    if (a == e || (std::isnan(a) && std::isnan(e)))
      continue;
    double error = std::fabs(a - e);
    if (masks && a < -20000 && e < -20000)
      continue;
    worst = std::max(worst, std::isnan(error) ? INFINITY : error);
  }
  return worst == 0 ? 0 : worst / std::max(largest, 1e-6);
}

LogicalResult NumericsVerifier::start(ModuleOp module) {
  auto functions = module.getOps<func::FuncOp>();
  if (functions.empty())
    return module.emitError() << "has no function to verify";
  std::mt19937_64 engine(seed);
  for (Type type : (*functions.begin()).getArgumentTypes()) {
    auto tensor = cast<RankedTensorType>(type);
    if (!tensor.hasStaticShape())
      return module.emitError() << "cannot verify numerics: an input has an "
                                   "unknown dimension; set it with --dim";
    inputs.push_back(randomTensor(*toDType(tensor.getElementType()),
                                  tensor.getShape(), engine));
  }
  FailureOr<std::vector<Tensor>> first = run(module, nullptr);
  if (::failed(first))
    return failure();
  outputs = std::move(*first);
  return success();
}

void NumericsVerifier::beforePass(Operation *op) {
  if (auto module = dyn_cast<ModuleOp>(op); module && !wrong)
    previous = cast<ModuleOp>(module->clone());
}

/// Passes that replace minus infinity by a finite number.
static bool changesMasks(StringRef pass) {
  return pass == "ane-assign-precision" || pass == "ane-repair-masks";
}

void NumericsVerifier::afterPass(StringRef name, Operation *op) {
  auto module = dyn_cast<ModuleOp>(op);
  if (!module || wrong)
    return;
  FailureOr<std::vector<Tensor>> now = run(module, nullptr);
  if (::failed(now)) {
    module.emitError() << "after " << name << " the module cannot be run";
    wrong = true;
    return;
  }
  double worst = now->size() == outputs.size() ? 0 : INFINITY;
  for (auto [actual, expected] : llvm::zip(*now, outputs))
    worst = std::max(worst, compare(actual, expected, changesMasks(name)));
  log.push_back({name.str(), worst});
  double limit = name == "ane-assign-precision" ? rounding : tolerance;
  if (!(worst <= limit)) {
    wrong = true;
    nameFirstOp(*previous, module, name, worst, limit);
  }
  outputs = std::move(*now);
  previous = {};
}

/// Nodes keep their names through passes: the first op, in order, whose results
/// no op of the same node had before.
void NumericsVerifier::nameFirstOp(ModuleOp before, ModuleOp after,
                                   StringRef pass, double error, double limit) {
  std::map<std::string, std::vector<Tensor>> known;
  auto nodeOf = [](Operation *op) {
    auto name = dyn_cast<NameLoc>(op->getLoc());
    return name ? name.getName().str() : std::string();
  };
  (void)run(before, [&](Operation *op, ArrayRef<Tensor> values) {
    for (const Tensor &value : values)
      known[nodeOf(op)].push_back(value);
  });
  Operation *first = nullptr;
  double difference = 0;
  (void)run(after, [&](Operation *op, ArrayRef<Tensor> values) {
    auto it = known.find(nodeOf(op));
    if (first || it == known.end() || it->first.empty() || values.empty())
      return;
    double least = INFINITY;
    bool comparable = false;
    for (const Tensor &other : it->second)
      if (other.size() == values[0].size()) {
        comparable = true;
        least = std::min(least, compare(values[0], other, changesMasks(pass)));
      }
    if (comparable && least > limit) {
      first = op;
      difference = least;
    }
  });
  std::string numbers;
  llvm::raw_string_ostream(numbers) << llvm::format(
      "%.3g of an output's largest magnitude (tolerance %.3g)", error, limit);
  InFlightDiagnostic diag =
      (first ? emitError(first->getLoc()) : after.emitError())
      << "pass " << pass << " changes what the model computes: " << numbers;
  if (first) {
    std::string own;
    llvm::raw_string_ostream(own) << llvm::format("%.3g", difference);
    diag << "; the first result that differs is that of '" << first->getName()
         << "', by " << own;
  }
}
