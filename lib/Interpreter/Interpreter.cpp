//===- Interpreter.cpp - running blocks of ane ops ------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Interpreter/Interpreter.h"
#include "EngineNumerics.h"
#include "Evaluators.h"
#include "ane-mlir/Support/Embedding.h"
#include "dialects/ANE/IR/Control.h"
#include "dialects/ANE/IR/Gather.h"
#include "dialects/ANE/IR/Linear.h"
#include "dialects/ANE/IR/Shape.h"
#include "dialects/ANE/IR/Structure.h"
#include "mlir/IR/Threading.h"
#include <chrono>
#include <cmath>
#include <exception>
#include <mutex>
#include <stdexcept>
#include <thread>

using namespace mlir;
using namespace mlir::ane;

std::optional<Numerics> mlir::ane::lookupNumerics(llvm::StringRef name) {
  if (name == "fp32")
    return Numerics::Float32;
  if (name == "fp16")
    return Numerics::Float16;
  if (name == "engine")
    return Numerics::Engine;
  return std::nullopt;
}

Tensor EvalContext::makeResult(Value result,
                               llvm::ArrayRef<int64_t> shape) const {
  DType dtype =
      *toDType(cast<RankedTensorType>(result.getType()).getElementType());
  if (wideIntegers && dtype == DType::Int32)
    dtype = DType::Int64;
  else if (wideIntegers && dtype == DType::UInt32)
    dtype = DType::UInt64;
  return Tensor(dtype, shape);
}

void EvalContext::finish(Tensor &tensor) const {
  DType dtype = tensor.dtype();
  if (!tensor.isFloat() || dtype == DType::Float32 ||
      (numerics == Numerics::Float32 && dtype == DType::Float16))
    return;
  llvm::MutableArrayRef<float> values = tensor.mutableFloats();
  parallelFor(values.size(), 1 << 15, [&](int64_t begin, int64_t end) {
    if (engine && engine->tiesAway && dtype == DType::Float16)
      roundTiesAway(values.slice(begin, end - begin));
    else
      roundTo(dtype, values.slice(begin, end - begin));
  });
}

float EvalContext::roundParameter(const llvm::APFloat &value,
                                  DType dtype) const {
  float single = value.convertToFloat();
  return dtype == DType::Float16 && numerics != Numerics::Float32
             ? roundTo(DType::Float16, single)
             : single;
}

/// Runs `body`; what it throws becomes a message at the op.
template <typename Fn>
static LogicalResult guarded(Operation *op, Fn body) {
  try {
    return body();
  } catch (const EvaluationError &error) {
    if (error.message.empty())
      return failure();
    return op->emitOpError() << error.message;
  } catch (const std::bad_alloc &) {
    return op->emitOpError() << "does not fit this machine's memory";
  } catch (const std::length_error &) {
    return op->emitOpError() << "does not fit this machine's memory";
  }
}

/// What is 64 bits wide in the model (`ane.wide`): computed so, and an error
/// where the 32 bits of the program do not hold it.
static LogicalResult evaluateWide(Operation *op, EvalContext &context,
                                  ArrayRef<Tensor> inputs,
                                  SmallVectorImpl<Tensor> &outputs) {
  EvalContext wide = context.widened();
  if (failed(evaluateOperation(op, wide, inputs, outputs)))
    return failure();
  for (auto [tensor, result] : llvm::zip(outputs, op->getResults())) {
    DType narrow =
        *toDType(cast<RankedTensorType>(result.getType()).getElementType());
    if (tensor.isFloat() || tensor.dtype() == narrow)
      continue;
    for (int64_t value : tensor.ints())
      if (wrapTo(narrow, value) != value)
        return op->emitError()
               << "its result holds " << value
               << ", a 64-bit integer of the model, which does not fit the 32 "
                  "bits that MIL computes in";
    tensor = tensor.retyped(narrow);
  }
  return success();
}

/// Elements of a weight that is decoded a piece at a time rather than kept.
static constexpr int64_t kPiecesFrom = 1 << 19;

/// Takes this operand as it is in its file: parts of it, or decodes what it
/// computes with, a piece at a time.
static bool takesPacked(OpOperand &use, const EvalContext &context) {
  Operation *op = use.getOwner();
  if (isa<ReshapeOp, ExpandDimsOp, SqueezeOp, Flatten2dOp, SliceByIndexOp,
          SliceBySizeOp, SplitOp>(op))
    return true;
  if (context.getEngine() || op->hasAttr(marks::kWide))
    return false;
  if (auto gather = dyn_cast<GatherOp>(op))
    return use.getOperandNumber() == 0 && gather.getAxis() == 0 &&
           !gather.getBatchDims().value_or(0);
  auto conv = dyn_cast<ConvOp>(op);
  auto weight = conv ? conv.getWeight().getType() : RankedTensorType();
  return conv && use.getOperandNumber() == 1 && conv.getGroups() == 1 &&
         weight.getElementType().isF16() && weight.hasStaticShape() &&
         weight.getNumElements() >= kPiecesFrom &&
         llvm::all_of(weight.getShape().drop_front(2),
                      [](int64_t extent) { return extent == 1; });
}

static LogicalResult evaluateUnguarded(Operation *op, EvalContext &context,
                                       ArrayRef<Tensor> inputs,
                                       SmallVectorImpl<Tensor> &outputs) {
  SmallVector<Tensor> decoded;
  if (llvm::any_of(inputs,
                   [](const Tensor &tensor) { return tensor.isPacked(); })) {
    for (auto [use, tensor] : llvm::zip_equal(op->getOpOperands(), inputs))
      decoded.push_back(takesPacked(use, context) ? tensor : tensor.unpacked());
    inputs = decoded;
  }
  auto evaluable = dyn_cast<EvaluateOpInterface>(op);
  if (!evaluable)
    return op->emitOpError() << "cannot be evaluated by the interpreter";
  if (op->hasAttr(marks::kWide) && !context.isWide())
    return evaluateWide(op, context, inputs, outputs);
  // What holds fp32 is no part of an engine program (L07).
  auto isSingle = [](Value v) {
    auto type = dyn_cast<RankedTensorType>(v.getType());
    return type && type.getElementType().isF32();
  };
  if (context.getEngine() && (llvm::any_of(op->getOperands(), isSingle) ||
                              llvm::any_of(op->getResults(), isSingle))) {
    EvalContext host(context.getContext(), Numerics::Float16);
    return evaluateOperation(op, host, inputs, outputs);
  }
  SmallVector<Tensor> replaced;
  if (context.getEngine()) {
    replaced.assign(inputs.begin(), inputs.end());
    replaceNaNOperands(*context.getEngine(), replaced);
    inputs = replaced;
  }
  if (failed(evaluable.evaluate(context, inputs, outputs)))
    return failure();
  if (context.getEngine())
    applyEngineValues(op, context, inputs, outputs);
  if (outputs.size() != op->getNumResults())
    return op->emitOpError()
           << "evaluator returned " << outputs.size() << " results";
  return success();
}

LogicalResult mlir::ane::evaluateOperation(Operation *op, EvalContext &context,
                                           ArrayRef<Tensor> inputs,
                                           SmallVectorImpl<Tensor> &outputs) {
  return guarded(
      op, [&] { return evaluateUnguarded(op, context, inputs, outputs); });
}

/// Floating-point operations that one constant, and all of a process, may take:
/// some seconds. No exporter leaves more to the compiler.
static constexpr double kMostWork = 2e10, kMostWorkTogether = 1e11;

/// Counts the work of an op over constants.
static LogicalResult takeWork(Operation *op) {
  std::atomic<double> &done = constantWork();
  auto costed = dyn_cast<CostOpInterface>(op);
  if (!costed || !llvm::all_of(op->getResultTypes(), [](Type type) {
        auto tensor = dyn_cast<RankedTensorType>(type);
        return !tensor || tensor.hasStaticShape();
      }))
    return success();
  double work = costed.estimateCost(getTargets().front()).flops, before = done;
  if (work > kMostWork || before + work > kMostWorkTogether)
    return op->emitOpError()
           << "takes " << work
           << " operations to compute while converting, beside " << before
           << " that were done; the limit is " << kMostWork << " for one and "
           << kMostWorkTogether << " together";
  while (!done.compare_exchange_weak(before, before + work))
    ;
  return success();
}

/// The value of a constant; failure after a diagnostic.
static FailureOr<Tensor> read(ConstantOp constant) {
  FailureOr<Tensor> tensor = failure();
  if (failed(guarded(constant, [&]() -> LogicalResult {
        tensor = Tensor::fromElements(constant.getValue());
        return success();
      })))
    return failure();
  if (failed(tensor))
    return constant.emitOpError() << "has a value that cannot be read";
  return tensor;
}

FailureOr<Tensor> ConstantEvaluator::evaluate(Value value) {
  ConstantScope scope;
  if (Tensor known = cache.lookup(value))
    return known;
  // Post-order over an explicit stack: trees can be as deep as the graph is
  // long.
  SmallVector<Operation *> stack;
  auto push = [&](Value v) -> LogicalResult {
    if (cache.count(v))
      return success();
    Operation *op = v.getDefiningOp();
    if (!op || (!isa<ConstantOp>(op) && !isFunctionOfOperands(op)))
      return failure();
    stack.push_back(op);
    return success();
  };
  if (failed(push(value)))
    return failure();
  while (!stack.empty()) {
    Operation *op = stack.back();
    if (cache.count(op->getResult(0))) {
      stack.pop_back();
      continue;
    }
    if (auto constant = dyn_cast<ConstantOp>(op)) {
      FailureOr<Tensor> tensor = read(constant);
      if (failed(tensor))
        return failure();
      cache[constant] = *tensor;
      stack.pop_back();
      continue;
    }
    size_t depth = stack.size();
    for (Value operand : op->getOperands())
      if (failed(push(operand)))
        return failure();
    if (stack.size() > depth)
      continue;
    SmallVector<Tensor> inputs, outputs;
    for (Value operand : op->getOperands())
      inputs.push_back(cache.lookup(operand));
    if (failed(takeWork(op)) ||
        failed(evaluateOperation(op, context, inputs, outputs)))
      return failure();
    for (auto [result, tensor] : llvm::zip(op->getResults(), outputs))
      cache[result] = tensor;
    stack.pop_back();
  }
  return cache.lookup(value);
}

BlockInterpreter::BlockInterpreter(Block &block, Numerics numerics,
                                   const NumericContract *engine)
    : block(block),
      context(block.getParentOp()->getContext(), numerics, engine) {
  // The last op that reads a value frees it.
  llvm::DenseSet<Value> seen;
  for (Operation &op : llvm::reverse(block))
    for (Value operand : op.getOperands())
      if (seen.insert(operand).second)
        lastUses[&op].push_back(operand);
}

Tensor BlockInterpreter::roundRoot(Value value, const Tensor &exact) {
  if (exact.dtype() != DType::Float16 ||
      context.getNumerics() == Numerics::Float32 ||
      value.getDefiningOp<ConstantOp>())
    return exact;
  Tensor &root = roots[value];
  if (!root)
    root =
        Tensor::fromBytes(exact.dtype(), exact.shape(), exact.toWeightBytes());
  return root;
}

/// Elements of a weight that is worth another form.
static constexpr int64_t kFormsFrom = 1024;

/// From the second run on, weights in fp32 for the next one, while there is
/// room for them; others are decoded each time, as all are in the first run,
/// and those that are read as they are.
void BlockInterpreter::keepDecoded(Value value, Tensor &constant) {
  if (rooms.empty() || constant.size() < kFormsFrom)
    return;
  if (!constant.isPacked()) {
    if (!constant.getForms())
      constant.keepForms();
    return;
  }
  if (llvm::all_of(value.getUses(),
                   [&](OpOperand &use) { return takesPacked(use, context); }))
    return;
  uint64_t bytes = constant.size() * (constant.isFloat() ? 4 : 8);
  if (auto room = MemoryBudget::keep(bytes)) {
    constant = constant.unpacked();
    constant.keepForms();
    rooms.push_back(std::move(room));
  }
}

LogicalResult BlockInterpreter::run(ArrayRef<Tensor> arguments,
                                    SmallVectorImpl<Tensor> &results,
                                    const Observer &observer) {
  llvm::DenseMap<Value, Tensor> values;
  for (auto [argument, tensor] :
       llvm::zip_equal(block.getArguments(), arguments))
    values[argument] = tensor;
  // Weights are computed by us when they are written, not by the engine: in
  // fp32, with one rounding at the root.
  EvalContext exact(context.getContext(), Numerics::Float32);
  ConstantEvaluator trees(exact);
  auto get = [&](Value value, bool inTree) {
    auto it = constants.find(value);
    if (it == constants.end())
      return values.lookup(value);
    if (!inTree)
      keepDecoded(value, it->second);
    return inTree ? it->second : roundRoot(value, it->second);
  };
  for (Operation &op : block) {
    if (isCancelled())
      return emitError(op.getLoc()) << "interrupted";
    if (op.hasTrait<OpTrait::IsTerminator>()) {
      for (Value operand : op.getOperands())
        results.push_back(get(operand, false));
      if (rooms.empty())
        rooms.push_back(MemoryBudget::keep(0)); // a run is behind us
      return success();
    }
    if (op.getNumResults() && constants.count(op.getResult(0)))
      continue;
    SmallVector<Tensor> inputs, outputs;
    bool constant = (isa<ConstantOp>(op) || isFunctionOfOperands(&op)) &&
                    llvm::all_of(op.getOperands(), [&](Value operand) {
                      return constants.count(operand);
                    });
    for (Value operand : op.getOperands())
      inputs.push_back(get(operand, constant));
    auto start = std::chrono::steady_clock::now();
    std::optional<ConstantScope> scope;
    if (constant)
      scope.emplace();
    if (auto literal = dyn_cast<ConstantOp>(op)) {
      FailureOr<Tensor> tensor = trees.evaluate(literal);
      if (failed(tensor))
        return failure();
      outputs.push_back(*tensor);
    } else if ((constant && failed(takeWork(&op))) ||
               failed(evaluateOperation(&op, constant ? exact : context, inputs,
                                        outputs))) {
      return failure();
    }
    // Ops over constants alone are weight trees: kept for the next run.
    for (auto [result, tensor] : llvm::zip(op.getResults(), outputs))
      (constant ? constants : values)[result] = tensor;
    if (observer && !constant)
      observer(&op, inputs, outputs,
               std::chrono::duration<double>(std::chrono::steady_clock::now() -
                                             start)
                   .count());
    if (auto it = lastUses.find(&op); it != lastUses.end())
      for (Value dead : it->second)
        values.erase(dead);
  }
  return success();
}

//===----------------------------------------------------------------------===//
// External models
//===----------------------------------------------------------------------===//

namespace mlir::ane {
#define ANE_TENSOR_FAMILY(NAME) void add##NAME##Evaluators(EvaluatorTable &);
#include "dialects/ANE/IR/Families.inc"
} // namespace mlir::ane

static const EvaluatorTable &evaluators() {
  static const EvaluatorTable table = [] {
    EvaluatorTable made;
#define ANE_TENSOR_FAMILY(NAME) add##NAME##Evaluators(made);
#include "dialects/ANE/IR/Families.inc"
    return made;
  }();
  return table;
}

namespace {
/// One model for all ops: a class of its own for each would be instantiated
/// for each.
struct TableModel : EvaluateOpInterface::FallbackModel<TableModel> {
  LogicalResult evaluate(Operation *op, EvalContext &context,
                         ArrayRef<Tensor> inputs,
                         SmallVectorImpl<Tensor> &outputs) const {
    return evaluators().lookup(op->getName().getStringRef())(op, context,
                                                             inputs, outputs);
  }
};
} // namespace

/// The block of a branch or a loop; rounding as around it.
static LogicalResult callBlock(Block &block, EvalContext &context,
                               ArrayRef<Tensor> arguments,
                               SmallVectorImpl<Tensor> &results) {
  return BlockInterpreter(block, context.getNumerics(), context.getEngine())
      .run(arguments, results);
}

/// Turns that a loop may take before it counts as one without end.
static thread_local int64_t mostTurns = 1 << 24;

TurnLimit::TurnLimit(int64_t turns) : before(std::exchange(mostTurns, turns)) {}
TurnLimit::~TurnLimit() { mostTurns = before; }

namespace {
struct CondModel : EvaluateOpInterface::ExternalModel<CondModel, CondOp> {
  LogicalResult evaluate(Operation *op, EvalContext &context,
                         ArrayRef<Tensor> inputs,
                         SmallVectorImpl<Tensor> &outputs) const {
    auto cond = cast<CondOp>(op);
    Region &taken =
        inputs[0].integer() ? cond.getThenRegion() : cond.getElseRegion();
    return callBlock(taken.front(), context, inputs.drop_front(), outputs);
  }
};
struct WhileModel
    : EvaluateOpInterface::ExternalModel<WhileModel, WhileLoopOp> {
  LogicalResult evaluate(Operation *op, EvalContext &context,
                         ArrayRef<Tensor> inputs,
                         SmallVectorImpl<Tensor> &outputs) const {
    auto loop = cast<WhileLoopOp>(op);
    unsigned variables = loop.getLoopVars().size();
    SmallVector<Tensor> values(inputs);
    // Kept between turns: weights inside are evaluated once.
    BlockInterpreter condition(loop.getCondition().front(),
                               context.getNumerics(), context.getEngine()),
        body(loop.getBody().front(), context.getNumerics(),
             context.getEngine());
    for (int64_t turn = 0;; ++turn) {
      SmallVector<Tensor> holds, next;
      if (failed(condition.run(values, holds)))
        return failure();
      if (!holds[0].integer())
        break;
      if (turn == mostTurns)
        return op->emitOpError()
               << "does not end within " << mostTurns << " turns";
      if (failed(body.run(values, next)))
        return failure();
      llvm::copy(next, values.begin());
    }
    outputs.append(values.begin(), values.begin() + variables);
    return success();
  }
};
} // namespace

void mlir::ane::registerEvaluationModels(DialectRegistry &registry) {
  registry.addExtension(+[](MLIRContext *context, ANEDialect *) {
    CondOp::attachInterface<CondModel>(*context);
    WhileLoopOp::attachInterface<WhileModel>(*context);
    for (StringRef name : evaluators().keys())
      RegisteredOperationName::lookup(name, context)
          ->attachInterface<TableModel>();
  });
}
