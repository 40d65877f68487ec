//===- Interpreter.h - reference evaluation of ane ------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// One interpreter, over `ane`: the constant folder, the weight writer, ane-run
// and the numeric checks all use it. Convolution, matmul and pooling go through
// oneDNN in fp32; everything accumulates in fp32 and is then rounded as
// Numerics says (mil/numerics.md §8).
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_INTERPRETER_INTERPRETER_H
#define ANEMLIR_INTERPRETER_INTERPRETER_H

#include "ane-mlir/Interpreter/Tensor.h"
#include "dialects/ANE/IR/ANEBase.h"
#include "llvm/ADT/DenseMap.h"
#include <atomic>
#include <functional>

namespace mlir::ane {

/// What each op's result is rounded to.
enum class Numerics {
  /// fp16 values stay in fp32: checks semantics.
  Float32,
  /// The declared dtype.
  Float16,
  /// The declared dtype, and in engine programs what the target's engine is
  /// known to do: accumulators, tables, special values (engine/legality.md
  /// §4.3).
  Engine,
};
std::optional<Numerics> lookupNumerics(llvm::StringRef name);

/// As long as it lives, a loop that this thread runs fails after so many turns:
/// on inputs that were guessed some never end.
class TurnLimit {
public:
  explicit TurnLimit(int64_t turns);
  ~TurnLimit();

private:
  int64_t before;
};

/// Passed to every evaluator.
class EvalContext {
public:
  /// `engine` is the contract that Numerics::Engine follows; without one it is
  /// Float16.
  EvalContext(MLIRContext *context, Numerics numerics,
              const NumericContract *engine = nullptr)
      : context(context), numerics(numerics),
        engine(numerics == Numerics::Engine ? engine : nullptr) {}

  /// A result tensor of `op`: its declared element type with the shape found at
  /// run time.
  Tensor makeResult(Value result, llvm::ArrayRef<int64_t> shape) const;
  /// Rounds a finished float tensor to what the numerics demand.
  void finish(Tensor &tensor) const;
  /// A float parameter as an op on `dtype` sees it.
  float roundParameter(const llvm::APFloat &value, DType dtype) const;

  /// The same, with 32-bit integers of results computed in 64 bits.
  EvalContext widened() const {
    EvalContext wide = *this;
    wide.wideIntegers = true;
    return wide;
  }
  bool isWide() const { return wideIntegers; }

  MLIRContext *getContext() const { return context; }
  Numerics getNumerics() const { return numerics; }
  /// Null unless the engine's own numerics are asked for.
  const NumericContract *getEngine() const { return engine; }
  /// Where the engine's products note the largest magnitude that a partial sum
  /// has on its way; null to stop.
  void setPartialPeak(std::atomic<float> *peak) { partialPeak = peak; }
  bool recordsPartials() const { return partialPeak; }
  void recordPartial(double magnitude) const {
    if (!partialPeak)
      return;
    float now = partialPeak->load(), value = float(magnitude);
    while (value > now && !partialPeak->compare_exchange_weak(now, value))
      ;
  }
  /// Runs body(begin, end) over [0, count) on all cores when there is enough
  /// work; `grain` is the least per task.
  void parallelFor(int64_t count, int64_t grain,
                   llvm::function_ref<void(int64_t, int64_t)> body) const;

private:
  MLIRContext *context;
  Numerics numerics;
  const NumericContract *engine;
  std::atomic<float> *partialPeak = nullptr;
  bool wideIntegers = false;
};

/// Evaluates one op on the values of its operands, with what the engine does to
/// special values. Failure after a diagnostic at the op.
LogicalResult evaluateOperation(Operation *op, EvalContext &context,
                                llvm::ArrayRef<Tensor> inputs,
                                llvm::SmallVectorImpl<Tensor> &outputs);

/// Attaches EvaluateOpInterface to every op that has an evaluator.
void registerEvaluationModels(DialectRegistry &registry);

/// Evaluates the trees of constants behind values, with a cache for shared
/// parts.
class ConstantEvaluator {
public:
  explicit ConstantEvaluator(EvalContext &context) : context(context) {}
  /// The value of a weight tree; failure when it is none (no diagnostic) or
  /// cannot be evaluated (diagnostic).
  FailureOr<Tensor> evaluate(Value value);
  void clear() { cache.clear(); }

private:
  EvalContext &context;
  llvm::DenseMap<Value, Tensor> cache;
};

/// Runs a block of ane ops from arguments to terminator operands; values are
/// dropped after their last use.
class BlockInterpreter {
public:
  /// Called with each op, its operands, its results and the seconds it took:
  /// for dumps, profiles and calibration.
  using Observer = std::function<void(Operation *, llvm::ArrayRef<Tensor>,
                                      llvm::ArrayRef<Tensor>, double)>;

  BlockInterpreter(Block &block, Numerics numerics,
                   const NumericContract *engine = nullptr);
  LogicalResult run(llvm::ArrayRef<Tensor> arguments,
                    llvm::SmallVectorImpl<Tensor> &results,
                    const Observer &observer = {});

private:
  Block &block;
  EvalContext context;
  /// Weight trees are evaluated at the first run and kept.
  llvm::DenseMap<Value, Tensor> constants;
  /// Their roots as the weight writer stores them in fp16.
  llvm::DenseMap<Value, Tensor> roots;
  Tensor roundRoot(Value value, const Tensor &exact);
  void keepDecoded(Value value, Tensor &constant);
  /// Of what was decoded and kept.
  std::vector<std::shared_ptr<void>> rooms;
  /// Values to forget after each op, by op.
  llvm::DenseMap<Operation *, llvm::SmallVector<Value, 2>> lastUses;
};

} // namespace mlir::ane

#endif // ANEMLIR_INTERPRETER_INTERPRETER_H
