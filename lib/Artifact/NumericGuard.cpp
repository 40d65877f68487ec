//===- NumericGuard.cpp - right, or said to be wrong ----------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Artifact/NumericGuard.h"
#include "ane-mlir/Analysis/Loops.h"
#include "ane-mlir/Artifact/Artifact.h"
#include "ane-mlir/Artifact/Calibrate.h"
#include "ane-mlir/Artifact/Excerpt.h"
#include "ane-mlir/Artifact/TensorFiles.h"
#include "ane-mlir/Support/Diagnostics.h"
#include "dialects/ANE/IR/Structure.h"
#include "dialects/ANE/IR/WeightTrees.h"
#include "dialects/MIL/IR/MIL.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/raw_ostream.h"

#include <cmath>

using namespace mlir;
using namespace mlir::ane;

/// Work (floating-point operations of one run) up to which, unless a full check
/// is asked for: each op is compared in the engine's own arithmetic; what was
/// written is run in it; the model is run at all.
static constexpr double kEngineSteps = 30e6, kEngineWork = 1e9, kRunWork = 20e9;
/// Parameters beyond which copies in fp32 are too much, and elements of what
/// one op reads and writes.
static constexpr double kMostWeights = 64e6, kMostValues = 64e6;
/// Work and elements of inputs up to which a step of training is run.
static constexpr double kStepWork = 4e9, kStepInputs = 8e6;
/// Of a larger model its beginning is run.
static constexpr double kExcerptWork = 4e9;
/// Elements of the largest constant there (the table of an embedding).
static constexpr double kMostTable = 300e6;

func::FuncOp NumericGuard::original() {
  if (!kept)
    return {};
  auto functions = kept->getOps<func::FuncOp>();
  return functions.empty() ? func::FuncOp() : *functions.begin();
}

static bool hasStaticTypes(Operation *op) {
  auto isStatic = [](Type type) {
    auto tensor = dyn_cast<RankedTensorType>(type);
    return !tensor || tensor.hasStaticShape();
  };
  return llvm::all_of(op->getOperandTypes(), isStatic) &&
         llvm::all_of(op->getResultTypes(), isStatic);
}

/// Elements that an op reads and writes, in floating point: shapes may be
/// absurd.
static double elementsOf(Type type) {
  double count = 1;
  if (auto tensor = dyn_cast<RankedTensorType>(type))
    for (int64_t dim : tensor.getShape())
      count *= std::max<int64_t>(dim, 0);
  return count;
}
static double countValues(Operation &op) {
  double sum = 0;
  for (Type type : op.getOperandTypes())
    sum += elementsOf(type);
  for (Type type : op.getResultTypes())
    sum += elementsOf(type);
  return sum;
}

/// Work that one op of a loop costs beside what it computes.
static constexpr double kTurnWork = 4e3;

/// Floating-point operations of one run; loops turn as often as they say.
static double estimateWork(Operation &op, const Target &target) {
  return sumOverTurns(op, [&](Operation &each) {
    double work = each.getParentOp() == op.getParentOp() ? 0 : kTurnWork;
    if (auto costed = dyn_cast<CostOpInterface>(each);
        costed && hasStaticTypes(&each))
      work += costed.estimateCost(target).flops;
    return work;
  });
}

LogicalResult NumericGuard::start(ModuleOp converted) {
  if (options.calibration == "none")
    return success();
  kept = cast<ModuleOp>(converted->clone());
  func::FuncOp function = original();
  if (!function)
    return success();
  const Target &target = getTarget(*kept);
  WeightTrees trees;
  for (Operation &op : function.getBody().front()) {
    work += estimateWork(op, target);
    values = std::max(values, countValues(op));
    if (auto constant = dyn_cast<ConstantOp>(op))
      weights += constant.getType().getNumElements();
  }
  if (options.calibration == "auto") {
    double inputs = 0;
    for (Type type : function.getArgumentTypes())
      inputs += elementsOf(type);
    if (options.check != GuardOptions::Check::Full && inputs > kMostValues) {
      found.whyNot = "its inputs are large; --check=full runs it";
      return success();
    }
    if (options.lossScale && options.check != GuardOptions::Check::Full &&
        (work > kStepWork || inputs > kStepInputs)) {
      found.whyNot = "the step is large; --check=full runs it";
      return success();
    }
    samples = guessSamples(function);
    auto parameters =
        kept->getOperation()->getAttrOfType<ArrayAttr>(marks::kParameters);
    if (options.lossScale &&
        (!parameters ||
         !completeStep(function, parameters, *options.lossScale, samples)))
      samples.clear();
    // Labels and weights are the same in all; what differs is the rest.
    if (options.lossScale && samples.size() > 2)
      samples.resize(2);
  } else {
    auto read = readSamples(function, options.calibration);
    if (failed(read))
      return failure();
    samples = std::move(*read);
    found.guessed = false;
  }
  for (const Sample &sample : samples)
    found.samples.push_back(sample.name);
  return success();
}

bool NumericGuard::isFull() const {
  return options.check == GuardOptions::Check::Full || !found.guessed;
}
bool NumericGuard::isLarge() const {
  return !isFull() &&
         (work > kRunWork || weights > kMostWeights || values > kMostValues);
}
/// Numbers that a model was made for end its loops; of guesses it may be that
/// none does.
int64_t NumericGuard::mostTurns() const {
  return found.guessed ? 1 << 16 : 1 << 24;
}
bool NumericGuard::isJudgedByEngine() const {
  return isFull() || work <= kEngineWork;
}
PrecisionOptions NumericGuard::precisionOptions() const {
  PrecisionOptions precision;
  precision.placed = options.placed;
  precision.step = options.step;
  // The engine's own products are looked at where that is quick.
  precision.engine = !isLarge() && (isFull() || work <= kEngineSteps);
  return precision;
}

LogicalResult NumericGuard::repair(ModuleOp optimised, Step repair,
                                   Step compress) {
  TurnLimit limit(mostTurns());
  if (failed(keepPrecision(optimised, repair, compress)))
    return failure();
  return options.compress ? chooseWeights(optimised) : success();
}

LogicalResult NumericGuard::keepPrecision(ModuleOp optimised, Step repair,
                                          Step compress) {
  auto both = [&](ModuleOp module) {
    return success(succeeded(repair(module)) && succeeded(compress(module)));
  };
  auto functions = optimised.getOps<func::FuncOp>();
  func::FuncOp reference = original();
  if (samples.empty() && found.whyNot.empty())
    found.whyNot = options.calibration == "none"
                       ? "--calibration=none leaves nothing to run it on"
                       : "an input's shape is not known";
  if (!found.whyNot.empty() || functions.empty() || !reference)
    return both(optimised);
  if (options.lossScale) {
    if (options.check != GuardOptions::Check::Off)
      measureStep(reference);
    return both(optimised);
  }
  if (isLarge())
    return runExcerpt(optimised, both);
  func::FuncOp function = *functions.begin();
  PrecisionOptions precision = precisionOptions();
  bool engine = precision.engine;
  if (!found.guessed) {
    if (failed(calibrate(function, samples, options.placed && engine)))
      return failure();
  } else {
    ScopedDiagnosticHandler silence(optimised.getContext(),
                                    [](Diagnostic &) { return success(); });
    (void)calibrate(function, samples, options.placed && engine);
  }
  if (!runSamples(reference))
    return both(optimised);
  found.numerics = isJudgedByEngine() ? "engine" : "fp16";

  // A repair must not harm: the module without it is what it is judged by.
  OwningOpRef<ModuleOp> before = cast<ModuleOp>(optimised->clone());
  if (failed(repair(optimised)))
    return failure();
  function = *optimised.getOps<func::FuncOp>().begin();
  bool repaired = false;
  optimised.walk(
      [&](Operation *op) { repaired |= op->hasAttr(marks::kRepair); });
  if (repaired) {
    auto with = measureAccuracy(function, samples, *references, precision);
    auto without = measureAccuracy(*before->getOps<func::FuncOp>().begin(),
                                   samples, *references, precision);
    if (succeeded(with) && succeeded(without) &&
        with->worst() > without->worst() * 1.05 && with->worst() > 1e-3) {
      found.repairUndone = true;
      optimised.getBodyRegion().takeBody(before->getBodyRegion());
      optimised.walk([](Operation *op) {
        for (StringRef name :
             {marks::kPeak, marks::kPartial, marks::kEngineError})
          op->removeAttr(name);
      });
      function = *optimised.getOps<func::FuncOp>().begin();
    }
  }
  // Scales of weights are final by now.
  if (failed(compress(optimised)))
    return failure();
  auto left = keepAccuracy(function, samples, *references, precision,
                           found.kept, found.losses);
  if (succeeded(left))
    found.accuracy = *left;
  if (options.eachOp && options.check != GuardOptions::Check::Off)
    found.ops = measureOps(function, samples.front(), precision);
  // What is emitted does not depend on whether it is checked.
  if (options.check == GuardOptions::Check::Off) {
    found.numerics.clear();
    found.whyNot = "--check=off";
  }
  return success();
}

bool NumericGuard::runSamples(func::FuncOp reference) {
  std::string why;
  FailureOr<References> expected = runReference(reference, samples, &why);
  if (succeeded(expected)) {
    references = std::move(*expected);
    return true;
  }
  found.whyNot = "the interpreter stops: " + why;
  if (found.guessed)
    found.whyNot += ", on guessed inputs; --calibration=DIR gives real ones";
  return false;
}

/// Loss and gradients in fp32, for check().
void NumericGuard::measureStep(func::FuncOp reference) {
  if (!runSamples(reference))
    return;
  found.ofTraining = true;
  found.numerics =
      work <= kEngineWork || options.check == GuardOptions::Check::Full
          ? "engine"
          : "fp16";
}

/// Gradients that are nothing but rounding beside the others (the bias of keys,
/// which softmax does not see) have no direction.
static void dropVanished(const References &references, Accuracy &accuracy) {
  std::vector<double> largest(accuracy.outputs.size());
  for (const std::vector<Tensor> &outputs : references)
    for (auto [i, output] : llvm::enumerate(outputs))
      if (output.isFloat() && i < largest.size())
        for (float value : output.floats())
          if (std::isfinite(value))
            largest[i] = std::max<double>(largest[i], std::fabs(value));
  double most = 0;
  for (size_t i = 1; i < largest.size(); ++i)
    most = std::max(most, largest[i]);
  for (size_t i = 1; i < largest.size(); ++i)
    if (OutputAccuracy &output = accuracy.outputs[i];
        largest[i] < 1e-6 * most && !output.nonFinite) {
      OutputAccuracy vanished;
      vanished.name = output.name;
      output = vanished;
    }
}

std::optional<Excerpt> NumericGuard::makeExcerpt(func::FuncOp function) {
  const Target &target = getTarget(function);
  ExcerptLimits limits{kExcerptWork, kMostWeights, kMostTable, kMostValues};
  return Excerpt::make(function, limits,
                       [&](Operation &op) { return estimateWork(op, target); });
}

LogicalResult NumericGuard::runExcerpt(ModuleOp optimised, Step repair) {
  if (failed(repair(optimised)))
    return failure();
  found.whyNot = "the model is large; --check=full runs it";
  func::FuncOp function = *optimised.getOps<func::FuncOp>().begin();
  std::optional<Excerpt> excerpt = makeExcerpt(function);
  if (!excerpt)
    return success();
  // Layers repeat: what one sample shows of the first, others rarely refute.
  ArrayRef<Sample> few = ArrayRef(samples).take_front(2);
  FailureOr<References> expected = runReference(excerpt->function(), few);
  if (failed(expected))
    return success();
  PrecisionOptions precision = precisionOptions();
  unsigned marked = 0;
  auto left = keepAccuracy(excerpt->function(), few, *expected, precision,
                           marked, found.losses);
  if (failed(left))
    return success();
  found.kept = marked ? excerpt->spreadMarks() : 0;
  found.accuracy = *left;
  found.samples.resize(few.size());
  found.ranOps = excerpt->ops;
  found.ofOps = excerpt->of;
  if (options.check == GuardOptions::Check::Off) {
    found.whyNot = "--check=off";
    return success();
  }
  if (options.changesWeights) {
    found.whyNot = "the model is large, and what fewer bits of its weights do "
                   "its first operations do not show; --check=full runs it";
    return success();
  }
  found.whyNot.clear();
  found.numerics = "fp16";
  if (options.eachOp)
    found.ops = measureOps(excerpt->function(), few.front(), precision);
  return success();
}

/// Tensors for the ports of an artifact, by name or position.
static bool bindPorts(ArrayRef<Port> ports, func::FuncOp function,
                      const GuardOptions &options, const Sample &sample,
                      std::vector<Tensor> &arguments) {
  // Copies of trained weights may be in files instead.
  size_t inFiles = 0;
  for (unsigned k = 0; k < function.getNumArguments(); ++k)
    inFiles += function.getArgAttr(k, marks::kCopyOf) &&
               llvm::none_of(ports, [&](const Port &port) {
                 return function.getArgAttrOfType<StringAttr>(
                            k, marks::kName) == port.name;
               });
  if (ports.size() + inFiles != sample.inputs.size())
    return false;
  for (auto [i, port] : llvm::enumerate(ports)) {
    size_t from = i;
    for (unsigned k = 0; k < function.getNumArguments(); ++k)
      if (auto name = function.getArgAttrOfType<StringAttr>(k, marks::kName);
          name && name.getValue() == port.name)
        from = k;
    Tensor tensor = sample.inputs[from];
    if (tensor.rank() == 0 && port.shape == SmallVector<int64_t>{1})
      tensor = tensor.reshaped(port.shape);
    if (options.asGiven)
      tensor = options.asGiven(port.name, tensor);
    if (tensor.shape() != ArrayRef<int64_t>(port.shape))
      return false;
    auto carried = convertTensor(tensor, port.carrier, port.name);
    if (!carried) {
      llvm::consumeError(carried.takeError());
      return false;
    }
    arguments.push_back(*carried);
  }
  return true;
}

/// The result of the model that a port of an artifact is, by name.
static std::optional<unsigned>
resultOf(func::FuncOp function, const GuardOptions &options, const Port &port) {
  StringRef name = port.alias.empty() ? port.name : port.alias;
  for (auto &[input, output] : options.states)
    if (name == input)
      name = output;
  for (unsigned k = 0; k < function.getNumResults(); ++k)
    if (function.getResultAttrOfType<StringAttr>(k, marks::kName) == name)
      return k;
  return std::nullopt;
}

void NumericGuard::check(StringRef path, StringRef name) {
  if (!references || options.check == GuardOptions::Check::Off)
    return;
  TurnLimit limit(mostTurns());
  // The artifact is read as any other user would.
  MLIRContext context(artifactDialects());
  context.loadDialect<ANEDialect>();
  std::string message;
  ScopedDiagnosticHandler listen(&context, [&](Diagnostic &diagnostic) {
    if (message.empty())
      message = diagnostic.str();
    return success();
  });
  LoadOptions load;
  load.function = name.str();
  load.verify = false; // its names were made from what was written just now
  load.isTraining = true;
  auto executable = loadArtifact(path, &context, load);
  if (failed(executable)) {
    found.numerics.clear();
    found.whyNot = "what was written cannot be read back: " + message;
    return;
  }
  func::FuncOp function = original();
  Accuracy accuracy;
  ArrayRef<Port> ports = (*executable)->outputs();
  for (const Port &port : ports) {
    accuracy.outputs.emplace_back();
    accuracy.outputs.back().name = port.name;
    if (auto from = resultOf(function, options, port))
      accuracy.outputs.back().nothing = nothingOf(function, *from);
  }
  Numerics numerics =
      found.numerics == "engine" ? Numerics::Engine : Numerics::Float16;
  for (auto [i, sample, expected] : llvm::enumerate(samples, *references)) {
    if (options.step)
      options.step(i, samples.size());
    std::vector<Tensor> arguments;
    SmallVector<Tensor> results;
    if (!bindPorts((*executable)->inputs(), function, options, sample,
                   arguments) ||
        ports.size() != expected.size()) {
      found.numerics.clear();
      found.whyNot = "its inputs are others than the model's";
      return;
    }
    if (failed((*executable)->run(arguments, results, numerics))) {
      found.numerics.clear();
      found.whyNot = "what was written cannot be run: " + message;
      return;
    }
    for (auto [i, result] : llvm::enumerate(results)) {
      size_t from = resultOf(function, options, ports[i]).value_or(i);
      auto converted =
          convertTensor(result, expected[from].dtype(), ports[i].name);
      if (!converted) {
        llvm::consumeError(converted.takeError());
        accuracy.outputs[i].differing = 1;
        continue;
      }
      accuracy.outputs[i].add(*converted, expected[from]);
    }
  }
  if (found.ofTraining)
    dropVanished(*references, accuracy);
  found.accuracy = std::move(accuracy);
  warnOfWeights();
}

void mlir::ane::printAccuracy(llvm::raw_ostream &os,
                              const AccuracyReport &report) {
  if (report.numerics.empty()) {
    os << "accuracy was not measured: "
       << (report.whyNot.empty() ? "--check=off" : report.whyNot) << '\n';
    return;
  }
  os << "accuracy, " << report.numerics << " numerics against fp32, ";
  if (report.ofOps)
    os << "of the first " << report.ranOps << " of " << report.ofOps
       << " operations (the model is large; --check=full runs it all), ";
  os << "on " << (report.guessed ? "guessed inputs (" : "samples (")
     << llvm::join(report.samples, "; ") << "):\n";
  size_t shown = 0;
  for (const OutputAccuracy &output : report.accuracy.outputs) {
    if (++shown > 12) {
      os << "  … and " << report.accuracy.outputs.size() - 12 << " more\n";
      break;
    }
    os << "  " << llvm::left_justify(printable(output.name), 24);
    if (output.nonFinite)
      os << " not finite where fp32 is, or the other way round\n";
    else if (output.differing > 0)
      os << llvm::format(" %.3g %% of the integers differ\n",
                         100 * output.differing);
    else if (output.unknown == 1)
      os << " none of its numbers is finite in fp32 either\n";
    else {
      os << llvm::format(" cosine %.6f, largest error %.3g %% of the ",
                         output.cosine, 100 * output.error)
         << output.errorIsOf();
      if (output.unknown > 0)
        os << llvm::format("; %.3g %% are infinite or NaN in fp32 as well",
                           100 * output.unknown);
      os << '\n';
    }
  }
  if (report.kept)
    os << "  " << report.kept
       << " ops are kept in fp32 on the host, since fp16 spoils an output\n";
  if (report.repairUndone)
    os << "  the repairs of ane-repair-fp16 made it worse and were undone\n";
}
