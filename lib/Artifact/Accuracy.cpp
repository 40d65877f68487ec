//===- Accuracy.cpp - what the engine's arithmetic does to a model --------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// One walk computes each value twice: in fp32, and as the placed program will.
// So the first op that loses something is found in one run, and no value lives
// longer than its last reader.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Artifact/Accuracy.h"
#include "ane-mlir/Analysis/CostModel.h"
#include "ane-mlir/Support/Diagnostics.h"
#include "dialects/ANE/IR/Arithmetic.h"
#include "dialects/ANE/IR/Cast.h"
#include "dialects/ANE/IR/Linear.h"
#include "dialects/ANE/IR/Rearrange.h"
#include "dialects/ANE/IR/Shape.h"
#include "dialects/ANE/IR/Structure.h"
#include "dialects/ANE/IR/WeightTrees.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"
#include <chrono>
#include <cmath>

using namespace mlir;
using namespace mlir::ane;

/// Both mean "masked": finite stand-ins of minus infinity.
static bool areMasks(double a, double b) { return a < -20000 && b < -20000; }

/// An error of a result below it is fp16's own.
static constexpr double kVisible = 0.02;

/// Of a result as a whole: no op is asked where so little is lost.
static constexpr double kComfortable = 0.01;

//===----------------------------------------------------------------------===//
// Comparison
//===----------------------------------------------------------------------===//

void OutputAccuracy::add(const Tensor &actual, const Tensor &expected) {
  if (actual.size() != expected.size()) {
    nonFinite = true;
    cosine = 0;
    return;
  }
  auto at = [](const Tensor &t, int64_t i) {
    return t.isFloat() ? double(t.floats()[i]) : double(t.ints()[i]);
  };
  double aa = 0, bb = 0, ab = 0, largest = 0, worst = 0;
  int64_t wrong = 0, gone = 0;
  for (int64_t i = 0; i < expected.size(); ++i) {
    double a = at(actual, i), e = at(expected, i);
    if (!expected.isFloat()) {
      wrong += a != e;
      continue;
    }
    // Where fp32 is not finite itself (a guessed input beyond the model's
    // range, a mask) nothing is lost.
    if (!std::isfinite(a) || !std::isfinite(e)) {
      nonFinite |= std::isfinite(e) && !areMasks(a, e);
      odd += !std::isfinite(e);
      gone += std::isfinite(e) && !areMasks(a, e);
      continue;
    }
    if (areMasks(a, e))
      continue;
    differences += (a - e) * (a - e);
    lowest = std::min(lowest, e);
    highest = std::max(highest, e);
    sum += e;
    ++finite;
    aa += a * a;
    bb += e * e;
    ab += a * e;
    largest = std::max(largest, std::fabs(e));
    worst = std::max(worst, std::fabs(a - e));
  }
  if (expected.size()) {
    differing = std::max(differing, double(wrong) / expected.size());
    lost = std::max(lost, double(gone) / expected.size());
    seen += expected.size();
    unknown = double(odd) / seen;
  }
  numbers = expected.size();
  power += bb;
  if (!expected.isFloat())
    return;
  // All zeros, or nearly so, have no direction.
  double c =
      bb == 0 || aa == 0 ? (worst <= nothing ? 1 : 0) : ab / std::sqrt(aa * bb);
  cosine = std::min(cosine, c);
  farthest = std::max(farthest, worst);
  ofMagnitude = std::max(ofMagnitude, worst / std::max(largest, nothing));
  error = isOffset() ? std::max(ofMagnitude, farthest / (highest - lowest))
                     : ofMagnitude;
}

bool OutputAccuracy::isOffset() const {
  double largest = std::max(std::fabs(lowest), std::fabs(highest)),
         range = highest - lowest;
  // What varies by less than fp32 and guessed inputs tell says nothing.
  bool isQuantity = largest >= 128 || largest < 0x1p-14;
  return std::isfinite(range) && isQuantity && range < largest / 16 &&
         range > largest / 1024;
}

double OutputAccuracy::closeness() const {
  if (nonFinite)
    return -1;
  double least = std::min(cosine, 1 - differing);
  // As far as nothing is told from nothing by the cosine, too.
  double size = power;
  if (isOffset()) // about their mean
    size -= sum * sum / finite;
  if (numbers <= kFewNumbers && std::sqrt(differences) > nothing)
    least = std::min(least,
                     1 - differences / std::max(size, nothing * nothing) / 2);
  return std::max(least, -1.0);
}
std::string OutputAccuracy::describe() const {
  std::string text;
  llvm::raw_string_ostream os(text);
  if (nonFinite)
    os << "is not finite where fp32 is, or the other way round";
  else if (unknown == 1)
    os << "could not be compared: none of its numbers is finite in fp32";
  else if (differing > 0)
    os << llvm::format("has %.3g %% of integers that differ from fp32",
                       100 * differing);
  else
    os << llvm::format("has cosine %.5f against fp32 and errors up to %.3g %% "
                       "of its ",
                       cosine, 100 * error)
       << errorIsOf();
  if (!nonFinite && closeness() < std::min(cosine, 1 - differing))
    os << llvm::format(" (few numbers, off as by a cosine of %.5f)",
                       closeness());
  return text;
}
double OutputAccuracy::badness() const {
  if (nonFinite)
    return INFINITY;
  return std::max(
      {error, std::sqrt(std::max(0.0, 2 * (1 - cosine))), differing});
}
double Accuracy::worst() const {
  double worst = 0;
  for (const OutputAccuracy &output : outputs)
    worst = std::max(worst, output.badness());
  return worst;
}
double Accuracy::closeness() const {
  double least = 1;
  for (const OutputAccuracy &output : outputs)
    least = std::min(least, output.closeness());
  return least;
}
bool Accuracy::isWithinBar() const {
  return llvm::all_of(outputs,
                      [](const OutputAccuracy &o) { return o.isWithinBar(); });
}
bool Accuracy::isGood() const {
  return llvm::all_of(outputs,
                      [](const OutputAccuracy &o) { return o.isGood(); });
}

/// Relative error of a result: infinite where one is not finite.
static double errorOf(const Tensor &actual, const Tensor &expected) {
  if (actual.size() != expected.size())
    return INFINITY;
  if (!expected.isFloat()) {
    int64_t wrong = 0;
    for (auto [a, e] : llvm::zip(actual.ints(), expected.ints()))
      wrong += a != e;
    return expected.size() ? double(wrong) / expected.size() : 0;
  }
  double difference = 0, size = 0;
  for (auto [a, e] : llvm::zip(actual.floats(), expected.floats())) {
    if (!std::isfinite(a) || !std::isfinite(e)) {
      if (std::isfinite(e) && !areMasks(a, e))
        return INFINITY;
      continue;
    }
    if (areMasks(a, e))
      continue;
    difference += (double(a) - e) * (double(a) - e);
    size += double(e) * e;
  }
  return difference == 0 ? 0 : std::sqrt(difference / std::max(size, 1e-30));
}

static OpAccuracy describeOp(Operation &op, const Tensor &actual,
                             const Tensor &expected) {
  OpAccuracy found{"", op.getName().getStringRef().str(),
                   errorOf(actual, expected), 0};
  if (auto name = dyn_cast<NameLoc>(op.getLoc()))
    found.node = name.getName().str();
  if (expected.isFloat())
    for (float value : expected.floats())
      if (std::isfinite(value))
        found.peak = std::max(found.peak, std::fabs(double(value)));
  return found;
}

//===----------------------------------------------------------------------===//
// Two runs in one
//===----------------------------------------------------------------------===//

FailureOr<References> mlir::ane::runReference(func::FuncOp function,
                                              ArrayRef<Sample> samples,
                                              std::string *why) {
  ScopedDiagnosticHandler silence(
      function.getContext(), [&](Diagnostic &diagnostic) {
        if (why && why->empty() &&
            diagnostic.getSeverity() == DiagnosticSeverity::Error)
          *why = nameOf(diagnostic.getLocation()) + " " + diagnostic.str();
        return success();
      });
  BlockInterpreter interpreter(function.getBody().front(), Numerics::Float32);
  References references;
  for (const Sample &sample : samples) {
    SmallVector<Tensor> arguments, results;
    for (auto [argument, tensor] :
         llvm::zip_equal(function.getArguments(), sample.inputs))
      arguments.push_back(inDType(
          tensor,
          *toDType(
              cast<RankedTensorType>(argument.getType()).getElementType())));
    if (failed(interpreter.run(arguments, results)))
      return failure();
    references.push_back(std::vector<Tensor>(results.begin(), results.end()));
  }
  return references;
}

double mlir::ane::nothingOf(func::FuncOp function, unsigned result) {
  EvalContext context(function.getContext(), Numerics::Float32);
  ConstantEvaluator constants(context);
  /// The largest magnitude of a constant, or what all of them add up to: more
  /// than any row does.
  auto sizeOf = [&](Value v, bool ofRows) -> std::optional<double> {
    auto type = dyn_cast<RankedTensorType>(v.getType());
    if (!type || !type.hasStaticShape() || !isConstantTree(v) ||
        type.getNumElements() > (1 << 20) || type.getNumElements() == 0)
      return std::nullopt;
    FailureOr<Tensor> tensor = constants.evaluate(v);
    constants.clear();
    if (failed(tensor) || !tensor->isFloat())
      return std::nullopt;
    Tensor unpacked = tensor->unpacked();
    double most = 0, all = 0;
    for (float x : unpacked.floats()) {
      most = std::max(most, double(std::fabs(x)));
      all += std::fabs(x);
    }
    return ofRows ? all : most;
  };
  double factor = 1;
  Value v = function.getBody().front().getTerminator()->getOperand(result);
  for (unsigned depth = 0; depth < 16; ++depth) {
    Operation *op = v.getDefiningOp();
    if (!op)
      break;
    if (isa<CastOp, ReshapeOp, TransposeOp, SqueezeOp, ExpandDimsOp, IdentityOp,
            SliceByIndexOp, SliceBySizeOp>(op)) {
      v = op->getOperand(0);
      continue;
    }
    bool isProduct = isa<MatmulOp, LinearOp, ConvOp>(op);
    if (!isProduct && !isa<MulOp, RealDivOp>(op))
      break;
    auto size = sizeOf(op->getOperand(1), isProduct);
    if (!size || *size == 0 || !std::isfinite(*size))
      break;
    factor *= isa<RealDivOp>(op) ? 1 / *size : *size;
    if (isProduct) {
      if (op->getNumOperands() > 2)
        if (auto bias = sizeOf(op->getOperand(2), false))
          factor = std::max(factor, *bias);
      break;
    }
    v = op->getOperand(0);
  }
  return 1e-6 * std::min(factor, 1.0);
}

namespace {
class Lockstep {
public:
  Lockstep(func::FuncOp function, const PrecisionOptions &options)
      : function(function), block(function.getBody().front()), options(options),
        target(getTarget(function)),
        exact(function.getContext(), Numerics::Float32),
        engine(function.getContext(),
               options.engine ? Numerics::Engine : Numerics::Float16,
               &target.numerics) {
    llvm::DenseSet<Value> seen;
    for (Operation &op : llvm::reverse(block))
      for (Value operand : op.getOperands())
        if (seen.insert(operand).second)
          lastUses[&op].push_back(operand);
  }

  FailureOr<Accuracy> run(ArrayRef<Sample> samples,
                          const References &references,
                          std::vector<Loss> *losses) {
    Accuracy accuracy;
    for (unsigned i = 0; i < function.getNumResults(); ++i) {
      OutputAccuracy output;
      if (auto name = function.getResultAttrOfType<StringAttr>(i, marks::kName))
        output.name = name.str();
      output.nothing = nothingOf(function, i);
      accuracy.outputs.push_back(output);
    }
    done = 0;
    total = samples.size() * block.getOperations().size();
    for (auto [sample, expected] : llvm::zip(samples, references)) {
      SmallVector<Tensor> results;
      if (failed(runOne(sample, results, losses)))
        return failure();
      for (auto [output, actual, wanted] :
           llvm::zip(accuracy.outputs, results, expected))
        output.add(inDType(actual, wanted.dtype()), wanted);
    }
    return accuracy;
  }

private:
  /// A value as fp32 computes it and as it will be; `wide` when it was not
  /// rounded to fp16 on the way.
  struct Twin {
    Tensor exact, actual;
    double error = 0;
    bool wide = false, constant = false;
  };

  /// The first op, and then a few times each second.
  void tell() {
    if (!options.step)
      return;
    auto now = std::chrono::steady_clock::now();
    if (done == 0 || now - told > std::chrono::milliseconds(200)) {
      told = now;
      options.step(done, total);
    }
    ++done;
  }

  bool isHost(Operation *op) {
    if (op->hasAttr(marks::kFp32))
      return true;
    if (!options.placed)
      return false;
    auto [it, isNew] = host.try_emplace(op, false);
    if (isNew) {
      ViolationList violations;
      auto legality = dyn_cast<LegalityOpInterface>(op);
      if (legality)
        findEnabledViolations(legality, target, violations);
      it->second = !legality || !violations.empty();
    }
    return it->second;
  }

  Tensor rounded(const Tensor &tensor, bool weight) {
    if (tensor.dtype() != DType::Float16)
      return tensor;
    if (weight)
      return Tensor::fromBytes(tensor.dtype(), tensor.shape(),
                               tensor.toWeightBytes());
    Tensor result(tensor.dtype(), tensor.shape());
    llvm::copy(tensor.floats(), result.mutableFloats().begin());
    roundTo(DType::Float16, result.mutableFloats());
    return result;
  }

  LogicalResult runOne(const Sample &sample, SmallVectorImpl<Tensor> &results,
                       std::vector<Loss> *losses) {
    llvm::DenseMap<Value, Twin> values;
    for (auto [argument, tensor] :
         llvm::zip_equal(function.getArguments(), sample.inputs)) {
      Tensor typed = inDType(
          tensor,
          *toDType(
              cast<RankedTensorType>(argument.getType()).getElementType()));
      values[argument] = {typed, typed, 0, true, false};
    }
    for (Operation &op : block) {
      tell();
      auto twin = [&](Value v) -> Twin & {
        auto it = constants.find(v);
        return it != constants.end() ? it->second : values[v];
      };
      if (op.hasTrait<OpTrait::IsTerminator>()) {
        for (Value operand : op.getOperands())
          results.push_back(twin(operand).actual);
        return success();
      }
      if (op.getNumResults() && constants.count(op.getResult(0)))
        continue;
      bool constant = (isa<ConstantOp>(op) || isFunctionOfOperands(&op)) &&
                      llvm::all_of(op.getOperands(),
                                   [&](Value v) { return constants.count(v); });
      SmallVector<Tensor> inputs, outputs;
      if (auto literal = dyn_cast<ConstantOp>(op)) {
        FailureOr<Tensor> tensor = Tensor::fromElements(literal.getValue());
        if (failed(tensor))
          return failure();
        Tensor value = tensor->unpacked();
        constants[literal] = {value, value, 0, true, true};
        continue;
      }
      // Without losses to find, the results alone are compared, with what is
      // known of them.
      if (constant || losses) {
        for (Value operand : op.getOperands())
          inputs.push_back(twin(operand).exact);
        if (failed(evaluateOperation(&op, exact, inputs, outputs)))
          return failure();
      }
      outputs.resize(op.getNumResults());
      if (constant) {
        for (auto [result, tensor] : llvm::zip(op.getResults(), outputs))
          constants[result] = {tensor, tensor, 0, true, true};
        continue;
      }
      bool onHost = isHost(&op);
      SmallVector<Tensor> actualInputs, actual;
      double before = 0;
      for (Value operand : op.getOperands()) {
        Twin &from = twin(operand);
        before = std::max(before, from.error);
        if (onHost || !from.wide) {
          actualInputs.push_back(from.constant ? from.exact : from.actual);
          continue;
        }
        // Once, for all readers on the engine.
        if (from.constant) {
          Tensor &root = roots[operand];
          if (!root) {
            root = rounded(from.exact, true);
            root.keepForms();
          }
          actualInputs.push_back(root);
        } else {
          Tensor half = rounded(from.actual, false);
          actualInputs.push_back(half);
        }
      }
      if (failed(evaluateOperation(&op, onHost ? exact : engine, actualInputs,
                                   actual)))
        return failure();
      for (auto [result, a, e] : llvm::zip(op.getResults(), actual, outputs)) {
        if (losses && each)
          each->push_back(describeOp(op, a, e));
        Twin made{e, a, losses ? errorOf(a, e) : 0, onHost, false};
        if (losses && made.error > kVisible && made.error > 3 * before)
          losses->push_back({op.getLoc(), op.getName().getStringRef().str(),
                             made.error, before}),
              lossOps.push_back(&op);
        values[result] = std::move(made);
      }
      if (auto it = lastUses.find(&op); it != lastUses.end())
        for (Value dead : it->second)
          values.erase(dead);
    }
    return success();
  }

public:
  /// The ops of the losses of the last run.
  std::vector<Operation *> lossOps;
  /// Where it is set, every op goes there.
  std::vector<OpAccuracy> *each = nullptr;

private:
  func::FuncOp function;
  Block &block;
  PrecisionOptions options;
  const Target &target;
  EvalContext exact, engine;
  llvm::DenseMap<Value, Twin> constants;
  llvm::DenseMap<Value, Tensor> roots;
  llvm::DenseMap<Operation *, bool> host;
  size_t done = 0, total = 0;
  std::chrono::steady_clock::time_point told;
  llvm::DenseMap<Operation *, SmallVector<Value, 2>> lastUses;
};
} // namespace

FailureOr<Accuracy> mlir::ane::measureAccuracy(func::FuncOp function,
                                               ArrayRef<Sample> samples,
                                               const References &references,
                                               const PrecisionOptions &options,
                                               std::vector<Loss> *losses) {
  ScopedDiagnosticHandler silence(function.getContext(),
                                  [](Diagnostic &) { return success(); });
  return Lockstep(function, options).run(samples, references, losses);
}

std::vector<OpAccuracy> mlir::ane::measureOps(func::FuncOp function,
                                              const Sample &sample,
                                              const PrecisionOptions &options) {
  ScopedDiagnosticHandler silence(function.getContext(),
                                  [](Diagnostic &) { return success(); });
  Lockstep lockstep(function, options);
  std::vector<OpAccuracy> found;
  lockstep.each = &found;
  std::vector<Loss> losses;
  (void)lockstep.run(sample, References(1), &losses);
  return found;
}

//===----------------------------------------------------------------------===//
// What is kept in fp32
//===----------------------------------------------------------------------===//

namespace {
/// Marks in the order in which they were made, so that the later ones, which
/// did not help, can be taken back.
class Marks {
public:
  explicit Marks(func::FuncOp function)
      : block(function.getBody().front()), b(function.getContext()) {}

  bool add(Operation *op, const Twine &why) {
    if (op->hasAttr(marks::kFp32) || !isa<LegalityOpInterface>(op))
      return false;
    op->setAttr(marks::kFp32, b.getStringAttr(why));
    ops.push_back(op);
    return true;
  }
  void addAll(const Twine &why) {
    WeightTrees trees;
    for (Operation &op : block.without_terminator())
      if (op.getNumResults() && !isConstantTree(op.getResult(0)))
        add(&op, why);
  }
  void keep() { kept = ops.size(); }
  void keepNone() { kept = 0; }
  /// The number of marks that stay.
  unsigned finish() {
    for (Operation *op : ArrayRef(ops).drop_front(kept))
      op->removeAttr(marks::kFp32);
    return kept;
  }

private:
  Block &block;
  Builder b;
  SmallVector<Operation *> ops;
  size_t kept = 0;
};
} // namespace

/// The op, or, where it is in fp32 already and only amplifies what came in, the
/// ops that feed it and its kind.
static SmallVector<Operation *> findCulprits(Operation *op) {
  if (!op->hasAttr(marks::kFp32))
    return {op};
  SmallVector<Operation *> found, stack{op};
  llvm::SmallPtrSet<Operation *, 16> seen;
  while (!stack.empty()) {
    Operation *wide = stack.pop_back_val();
    for (Value operand : wide->getOperands()) {
      Operation *producer = operand.getDefiningOp();
      if (!producer || isConstantTree(operand) || !seen.insert(producer).second)
        continue;
      (producer->hasAttr(marks::kFp32) ? stack : found).push_back(producer);
    }
  }
  return found;
}

static std::string describe(const Loss &loss) {
  std::string why;
  llvm::raw_string_ostream os(why);
  if (std::isinf(loss.error))
    os << "fp16 cannot hold its result";
  else
    os << llvm::format("its result is off by %.2g %% in fp16",
                       100 * loss.error);
  return why;
}

/// Why all of it had better be in fp32, where single ops do not help: "" where
/// the engine is worth an inexact answer, which is then said.
static StringRef whyWhole(func::FuncOp function, const Accuracy &accuracy) {
  Block &block = function.getBody().front();
  // A picture of 8-bit pixels is rounded from numbers that need more bits than
  // a network in fp16 has.
  for (auto [output, type] :
       llvm::zip(accuracy.outputs, block.getTerminator()->getOperandTypes())) {
    auto tensor = dyn_cast<RankedTensorType>(type);
    if (output.differing > 0 && tensor && tensor.getElementType().isInteger(8))
      return "an output of 8-bit integers is rounded from it";
  }
  if (accuracy.isWithinBar())
    return "";
  // An answer that is mostly no number is worth no time.
  if (llvm::any_of(accuracy.outputs,
                   [](const OutputAccuracy &o) { return o.lost > 0.5; }))
    return "an output is beyond fp16";
  WeightTrees trees;
  Clock clock = getClock(function);
  double host = 0, engine = clock.floor();
  for (Operation &op : block.without_terminator()) {
    if (llvm::any_of(op.getResultTypes(), [](Type type) {
          auto tensor = dyn_cast<RankedTensorType>(type);
          return tensor && !tensor.hasStaticShape();
        }))
      return "";
    host += predictHostMicros(&op, clock.target);
    engine += predict(&op, clock).total();
  }
  return host < engine ? "fp16 spoils an output, and the host is predicted to "
                         "be no slower"
                       : "";
}

/// Floating-point operations of a run, with those that an element costs that is
/// only moved or looked at.
static double countWork(func::FuncOp function, size_t samples) {
  constexpr double kEachElement = 16;
  const Target &target = getTarget(function);
  WeightTrees trees;
  double sum = 0;
  for (Operation &op : function.getBody().front().without_terminator()) {
    auto cost = dyn_cast<CostOpInterface>(op);
    if (!cost || !op.getNumResults() || isConstantTree(op.getResult(0)))
      continue;
    OpWork work = findWork(&op, target, 1);
    sum += work.cost.flops + kEachElement * work.elements;
  }
  return sum * samples;
}

FailureOr<Accuracy> mlir::ane::keepAccuracy(func::FuncOp function,
                                            ArrayRef<Sample> samples,
                                            const References &references,
                                            const PrecisionOptions &options,
                                            unsigned &marked,
                                            std::vector<Loss> &losses) {
  ScopedDiagnosticHandler silence(function.getContext(),
                                  [](Diagnostic &) { return success(); });
  // By work, not by time: what is written must not depend on the machine.
  double work = countWork(function, samples.size()), done = 2 * work;
  marked = 0;
  Lockstep lockstep(function, options);
  // Nearly always nothing is to be found, which takes half the time to see.
  auto first = lockstep.run(samples, references, nullptr);
  if (failed(first) || (first->isWithinBar() && first->worst() < kComfortable))
    return first;
  first = lockstep.run(samples, references, &losses);
  if (failed(first) || first->isWithinBar())
    return first;
  Marks marks(function);
  Accuracy best = *first;
  std::vector<Loss> found = losses;
  std::vector<Operation *> ops = lockstep.lossOps;
  for (unsigned round = 0; round < 8 && !ops.empty(); ++round) {
    if ((done += work) > options.budget)
      break;
    bool more = false;
    for (auto [op, loss] : llvm::zip(ops, found))
      for (Operation *each : findCulprits(op))
        more |= marks.add(each, describe(loss));
    if (!more)
      break;
    found.clear();
    lockstep.lossOps.clear();
    auto now = lockstep.run(samples, references, &found);
    if (failed(now))
      break;
    ops = lockstep.lossOps;
    // Many ops that each lose a little: no few of them will help.
    if (first->isGood() && now->worst() > 0.8 * best.worst())
      break;
    if (now->worst() < best.worst()) {
      best = *now;
      marks.keep();
      losses = found;
    }
    if (now->isWithinBar() && now->worst() < kVisible)
      break;
  }
  StringRef why = whyWhole(function, best);
  if (!why.empty() && done + work <= options.budget) {
    marks.addAll(why);
    auto whole = lockstep.run(samples, references, nullptr);
    if (succeeded(whole) && whole->isGood() && whole->worst() < best.worst()) {
      best = *whole;
      marks.keep();
      losses.clear();
    }
  }
  // Where it did not help, the engine may have them.
  if (!(best.worst() < first->worst() / 2)) {
    marks.keepNone();
    best = *first;
  }
  marked = marks.finish();
  return best;
}
