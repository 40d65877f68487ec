//===- ChooseWeights.cpp - the fewest bits that keep the outputs ----------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// One bound on what each weight may be off is looked for by halves: the largest
// with which no output, in the interpreter, is further from fp32 than was asked
// for.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Artifact/Excerpt.h"
#include "ane-mlir/Artifact/NumericGuard.h"
#include "ane-mlir/Support/Diagnostics.h"
#include "dialects/ANE/IR/Structure.h"
#include "dialects/ANE/IR/WeightTrees.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/raw_ostream.h"

#include <cmath>

using namespace mlir;
using namespace mlir::ane;

/// Errors that are tried, from the largest on: each so much of the one before.
static constexpr double kLargestError = 0.5, kFinerError = 0.85;
/// Behind the last of them is 0, weights that fewer bits hold exactly.
static constexpr unsigned kErrors = 32;

static double errorAt(unsigned i) {
  return i < kErrors ? kLargestError * std::pow(kFinerError, i) : 0;
}
/// The first error that is no larger than `most`.
static unsigned findError(double most) {
  unsigned i = 0;
  while (i < kErrors && errorAt(i) > most)
    ++i;
  return i;
}

/// Whether an output says something: a number that is not 0, or an integer.
static bool showsAnything(const References &references) {
  return llvm::any_of(references, [](const std::vector<Tensor> &outputs) {
    return llvm::any_of(outputs, [](const Tensor &output) {
      return !output.isFloat() || llvm::any_of(output.floats(), [](float x) {
        return x != 0 && std::isfinite(x);
      });
    });
  });
}

/// The largest bound that does, by halves, and none larger than `most`, which
/// another function of the model has: they share weights where they can. An
/// error of 0 is not tried.
static WeightBound
findBound(std::optional<WeightBound> most, bool isFine,
          llvm::function_ref<bool(const WeightBound &)> does) {
  unsigned low = most ? findError(most->error) : 0, high = kErrors;
  unsigned first = low;
  while (low < high) {
    unsigned middle = (low + high) / 2;
    if (does({errorAt(middle)}))
      high = middle;
    else
      low = middle + 1;
  }
  WeightBound bound{errorAt(low)};
  if (!isFine)
    return bound;
  // Between that error and the one before, some weights can have the larger.
  unsigned fewest = 0, all = WeightBound::kParts;
  if (most && most->error == bound.error) {
    if (!most->parts || does(*most))
      return *most;
    all = most->parts;
  } else if (low == first) {
    return bound;
  }
  bound.looser = errorAt(low - 1);
  while (all - fewest > 1) {
    bound.parts = (fewest + all) / 2;
    (does(bound) ? fewest : all) = bound.parts;
  }
  bound.parts = fewest;
  return bound;
}

/// The next stricter one; each time a larger step.
static WeightBound tighten(const WeightBound &bound, unsigned step) {
  if (bound.parts > step) {
    WeightBound fewer = bound;
    fewer.parts -= step;
    return fewer;
  }
  return {errorAt(findError(bound.error) + (bound.parts ? 0 : step))};
}

/// What a result of few numbers is computed from, where that is more: the
/// nearest. Some samples of one number say by luck what weights may be off.
static Value findFeatures(Value result) {
  auto isMany = [](Value v) {
    auto type = dyn_cast<RankedTensorType>(v.getType());
    return type && type.hasStaticShape() &&
           isa<FloatType>(type.getElementType()) &&
           type.getNumElements() > kFewNumbers;
  };
  if (isMany(result) || !isa<FloatType>(getElementTypeOrSelf(result.getType())))
    return {};
  SmallVector<Value> found{result};
  llvm::SmallPtrSet<Operation *, 16> seen;
  for (size_t i = 0; i < found.size(); ++i) {
    Operation *op = found[i].getDefiningOp();
    if (!op || !seen.insert(op).second || isConstantTree(found[i]))
      continue;
    if (isMany(found[i]))
      return found[i];
    llvm::append_range(found, op->getOperands());
  }
  return {};
}

/// A copy that returns besides what outputs of few numbers are computed from;
/// nothing where there are none.
static OwningOpRef<ModuleOp> returnFeatures(ModuleOp module) {
  OwningOpRef<ModuleOp> copy = cast<ModuleOp>(module->clone());
  auto function = *copy->getOps<func::FuncOp>().begin();
  Operation *terminator = function.getBody().front().getTerminator();
  llvm::SetVector<Value> features;
  WeightTrees trees;
  Builder b(module.getContext());
  unsigned results = terminator->getNumOperands();
  for (unsigned i = 0; i < results; ++i) {
    Value found = findFeatures(terminator->getOperand(i));
    if (!found || !features.insert(found))
      continue;
    auto name = function.getResultAttrOfType<StringAttr>(i, marks::kName);
    DictionaryAttr attrs;
    if (name)
      attrs = b.getDictionaryAttr(b.getNamedAttr(marks::kName, name));
    if (failed(function.insertResult(function.getNumResults(), found.getType(),
                                     attrs)))
      return {};
    terminator->insertOperands(terminator->getNumOperands(), found);
  }
  return features.empty() ? OwningOpRef<ModuleOp>() : std::move(copy);
}

namespace {
/// What the module is worth with weights within a bound.
class Trials {
public:
  struct Result {
    /// -1 where the interpreter cannot run it.
    double least = -1;
    /// The output that is worst.
    std::string where;
    std::optional<Accuracy> accuracy;
  };

  Trials(ModuleOp module, unsigned outputs, const GuardOptions &options,
         ArrayRef<Sample> samples, const References &references, double more)
      : module(module), outputs(outputs), options(options), samples(samples),
        references(references), more(more) {}

  Result run(const WeightBound &bound, const PrecisionOptions &precision) {
    OwningOpRef<ModuleOp> trial = cast<ModuleOp>(module->clone());
    ScopedDiagnosticHandler silence(module.getContext(),
                                    [](Diagnostic &) { return success(); });
    Result result;
    if (failed(options.compress(*trial, bound)))
      return result;
    auto accuracy = measureAccuracy(*trial->getOps<func::FuncOp>().begin(),
                                    samples, references, precision);
    if (failed(accuracy))
      return result;
    result.least = 1 - (1 - accuracy->closeness()) * more;
    for (auto [i, output] : llvm::enumerate(accuracy->outputs))
      if (output.closeness() == accuracy->closeness())
        result.where = (i < outputs ? "" : "what ") +
                       ("'" + output.name + "'") +
                       (i < outputs ? "" : " is computed from");
    result.accuracy = std::move(*accuracy);
    return result;
  }

private:
  ModuleOp module;
  /// Results of the model itself; behind them are features.
  unsigned outputs;
  const GuardOptions &options;
  ArrayRef<Sample> samples;
  const References &references;
  /// What is lost adds up along the model: of an excerpt, so many times.
  double more;
};
} // namespace

static unsigned countCompressed(ModuleOp module) {
  unsigned count = 0;
  module.walk([&](Operation *op) { count += isCompressed(op); });
  return count;
}

/// Never more than it is.
static std::string spell(double cosine) {
  return llvm::formatv("{0:f5}", std::floor(cosine * 1e5) / 1e5).str();
}
std::string NumericGuard::spellWanted() const {
  std::string text;
  llvm::raw_string_ostream(text) << llvm::format("%.9g", options.leastCosine);
  return text;
}

LogicalResult NumericGuard::chooseWeights(ModuleOp optimised) {
  auto function = *optimised.getOps<func::FuncOp>().begin();
  // What each form is off, for all who are tried.
  if (failed(options.compress(optimised, WeightBound{-1})))
    return failure();
  std::optional<Excerpt> excerpt;
  std::optional<References> expected = references;
  ArrayRef<Sample> runs = samples;
  if (isLarge() && !samples.empty()) {
    excerpt = makeExcerpt(function);
    runs = runs.take_front(2);
    if (excerpt)
      if (auto values = runReference(excerpt->function(), runs);
          succeeded(values))
        expected = std::move(*values);
  }
  if (!expected)
    return optimised.emitError()
           << "auto forms of weights want a run of the model: "
           << (found.whyNot.empty() ? "the interpreter cannot run it"
                                    : found.whyNot)
           << "; --weights=int8 needs none";
  if (!showsAnything(*expected))
    return optimised.emitError()
           << "auto forms of weights are chosen by outputs, and those of the "
              "samples are nothing but zeros or not finite; "
              "--calibration=DIR gives others";
  ModuleOp whole =
      excerpt ? excerpt->function()->getParentOfType<ModuleOp>() : optimised;
  unsigned outputs = excerpt ? -1U : function.getNumResults();
  // Features are those of the weights as they are, in fp32.
  OwningOpRef<ModuleOp> watched;
  if (!excerpt && (watched = returnFeatures(optimised))) {
    auto values = runReference(*watched->getOps<func::FuncOp>().begin(), runs);
    if (succeeded(values)) {
      whole = *watched;
      for (auto [each, all] : llvm::zip(*expected, *values))
        each.insert(each.end(), all.begin() + each.size(), all.end());
    }
  }
  Trials trials(whole, outputs, options, runs, *expected,
                excerpt ? double(excerpt->of) / excerpt->ops : 1);
  PrecisionOptions precision = precisionOptions();
  Trials::Result best;
  auto does = [&](const WeightBound &bound) {
    Trials::Result result = trials.run(bound, precision);
    bool holds = result.least >= options.leastCosine;
    if (holds)
      best = std::move(result);
    return holds;
  };
  // What the first operations of a large model show is not as fine.
  WeightBound bound =
      findBound(options.weightBound ? *options.weightBound : std::nullopt,
                !excerpt, does);
  // It is looked for in fp16, which is quick, and has to hold in what the
  // artifact is held against.
  if (!precision.engine && !excerpt && isJudgedByEngine()) {
    precision.engine = true;
    best = {};
  }
  if (!best.accuracy)
    best = trials.run(bound, precision);
  for (unsigned step = 1;
       best.least < options.leastCosine && (bound.error > 0 || bound.parts);
       step *= 2) {
    bound = tighten(bound, step);
    best = trials.run(bound, precision);
  }
  bool holds = best.least >= options.leastCosine;
  missesCosine = !holds;
  if (options.weightBound)
    *options.weightBound = bound;
  unsigned before = countCompressed(optimised);
  if (failed(options.compress(optimised, bound)))
    return failure();
  std::string least = spell(best.least) + " (" + best.where + ")";
  if (!holds)
    optimised.emitWarning()
        << (best.accuracy
                ? "with fp16 weights the outputs' least cosine is " + least
                : "with fp16 weights it does not run")
        << ", and --weights=auto asked for " << spellWanted()
        << ": only those that fewer bits hold exactly are written so";
  else if (countCompressed(optimised) == before)
    optimised.emitRemark()
        << "no weight is written in fewer bits for a cosine of "
        << spellWanted();
  else
    optimised.emitRemark()
        << "weights in fewer bits: one may be off by "
        << llvm::formatv("{0:f1}",
                         100 * (bound.parts ? bound.looser : bound.error))
               .str()
        << " % of its root mean square, the outputs' least cosine is " << least
        << (excerpt ? ", as the first operations of the large model let expect"
                    : "");
  // Of the excerpt, this is what is emitted.
  if (excerpt && holds && options.check != GuardOptions::Check::Off)
    found.accuracy = std::move(*best.accuracy);
  return success();
}

void NumericGuard::warnOfWeights() {
  double least = found.accuracy.closeness();
  if (options.compress && !missesCosine && least < options.leastCosine)
    emitWarning(original().getLoc())
        << "what was written has a cosine of " << spell(least)
        << " in the end, and --weights=auto asked for " << spellWanted()
        << "; ask for a little more";
}
