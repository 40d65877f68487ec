//===- Compiler.cpp - a model to what the engine takes --------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// One road: read, convert, optimise, repair by measuring, place, write, check,
// put in place.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Compiler/Compiler.h"
#include "Buckets.h"
#include "DecisionLog.h"
#include "FunctionPlan.h"
#include "NumberScan.h"
#include "Package.h"
#include "PlacementFile.h"
#include "TrainingModel.h"
#include "ane-mlir/Analysis/PortNames.h"
#include "ane-mlir/Compiler/Pipelines.h"
#include "ane-mlir/Conversion/Passes.h"
#include "ane-mlir/Import/MILSource.h"
#include "ane-mlir/Import/ONNX.h"
#include "ane-mlir/Support/Budget.h"
#include "ane-mlir/Support/Embedding.h"
#include "ane-mlir/Support/Usage.h"
#include "ane-mlir/Support/WeightData.h"
#include "ane-mlir/Target/Bundle.h"
#include "ane-mlir/Training/Passes.h"
#include "ane-mlir/Transforms/Passes.h"
#include "ane-mlir/Transforms/States.h"
#include "dialects/MIL/IR/Names.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Regex.h"
#include <map>

using namespace mlir;
using namespace mlir::ane;
using Form = CompileOptions::Form;
using Phase = CompileOptions::Phase;

namespace {
class Compiler {
public:
  Compiler(const CompileOptions &options, MLIRContext *context,
           Progress &progress);
  FailureOr<Compilation> run();

private:
  LogicalResult readInputValues();
  OwningOpRef<ModuleOp> importModel(const Bucket &bucket);
  OwningOpRef<ModuleOp> importMIL(const Bucket &bucket);
  LogicalResult findFunctions();
  LogicalResult findShapes(const MILSource &source, mil::FuncOp func);
  LogicalResult keepShapes(ArrayRef<const PackageFeature *> open,
                           mil::FuncOp func);
  LogicalResult checkInputShapes(mil::FuncOp func);
  int64_t findRow(const Bucket &first);
  LogicalResult widenRanges();
  void dropRanges(const Twine &why);
  LogicalResult markStates(ModuleOp module);
  LogicalResult selectParameters(ModuleOp module, ONNXToANEOptions &bound);
  LogicalResult differentiate(ModuleOp module);
  void markTarget(ModuleOp module);
  LogicalResult optimise(ModuleOp module, NumericGuard &guard);
  LogicalResult compileBuckets();
  LogicalResult compileBucket(const Bucket &bucket, GuardOptions &guard);
  LogicalResult refuseAbsentWeights();
  LogicalResult runPasses(
      ModuleOp module,
      llvm::function_ref<void(OpPassManager &, const PipelineOptions &)> build);

  /// The same for conversions: what they do is not a pass's change of values.
  LogicalResult runConversions(ModuleOp module,
                               llvm::function_ref<void(OpPassManager &)> build);
  /// ane to mil, weights marked.
  LogicalResult convertToMIL(ModuleOp module);

  LogicalResult printIR(Operation *op);
  LogicalResult printMIL();
  LogicalResult writeText();
  LogicalResult writePackage();
  LogicalResult place();
  void makeReport();
  LogicalResult writeReports();
  LogicalResult writeBundleAndReports();
  LogicalResult finish();
  LogicalResult placeModules();
  void reportRefusal(std::vector<OwningOpRef<ModuleOp>> unplaced);
  /// The artifact checked, what was found in its reports, all put in place.
  LogicalResult finishWithReports();
  void checkArtifact();

  bool stopsBefore(Phase phase) const {
    return options.compileTo && *options.compileTo < phase;
  }
  LogicalResult fail(llvm::Error error) {
    return emitError(UnknownLoc::get(context))
           << llvm::toString(std::move(error));
  }
  ModuleOp module() { return *modules.front(); }

  const CompileOptions &options;
  MLIRContext *context;
  Progress &progress;
  const Target &target;
  PipelineOptions pipeline;
  ONNXToANEOptions conversion;
  PackageOptions package;
  BundleOptions bundle;
  PassLog passLog;
  std::optional<DecisionLog> decisions;
  /// Of each module, where --verify-each-numerics asks for it.
  std::map<Operation *, NumericsVerifier> verifiers;
  NumberScan numbers;
  /// One of each per bucket.
  std::vector<Bucket> buckets;
  /// Inputs of a package whose ranges are kept where one program can be.
  std::vector<PackageFeature> ranged;
  std::vector<OwningOpRef<ModuleOp>> modules;
  std::vector<std::unique_ptr<NumericGuard>> guards;
  Outputs outputs;
  Compilation result;
};
} // namespace

static StringRef evidenceName(CompileOptions::Evidence level) {
  return level == CompileOptions::Evidence::Raw    ? "raw"
         : level == CompileOptions::Evidence::E5RT ? "e5rt"
                                                   : "any";
}

Compiler::Compiler(const CompileOptions &options, MLIRContext *context,
                   Progress &progress)
    : options(options), context(context), progress(progress),
      target(*options.lookupTarget()), package(options.package),
      buckets(makeBuckets(options)) {
  bool toPackage = options.form() == Form::Package;
  pipeline.precision = options.isHalf() ? Precision::FP16 : Precision::FP32;
  pipeline.placement = options.requireANE
                           ? PlacementMode::ANE
                           : options.placement.value_or(PlacementMode::Auto);
  if (toPackage)
    pipeline.door = FrontEnd::CoreML;
  if (options.training)
    pipeline.recompute = options.training->recompute;
  using Staging = CompileOptions::Training::Staging;
  pipeline.patchWeights =
      options.training && options.training->staging == Staging::Patch;
  if (options.hasRanges()) {
    package.buckets = PackageOptions::Buckets::Shapes;
    package.ranges.emplace();
  }
  pipeline.liveBytes = options.liveBytes.value_or(-1);
  // Auto forms are tried one by one, by what is measured.
  pipeline.weights = options.weights.automatic ? "none" : options.weightsText;
  // Compressed constants are of ios18.
  bool olderText = !toPackage && target.verboseDialect;
  pipeline.keepCompressed =
      options.isHalf() && !olderText && package.opset.value_or(18) >= 18;
  for (const std::string &pass : options.disabledPasses)
    pipeline.disable.push_back(pass);

  conversion.inputShapes = options.inputShapes;
  conversion.maxLengths = options.maxLengths;
  conversion.randomInputs = options.random == CompileOptions::Random::Input;
  conversion.half = options.isHalf();
  using Activations = CompileOptions::Activations;
  Activations activations =
      options.quantizedActivations.value_or(Activations::Auto);
  conversion.keepSteps = activations == Activations::Keep;
  // Where the text can say so, and the engine was seen to do so.
  conversion.engineCodes = activations == Activations::Auto &&
                           options.form() == Form::Bundle && !olderText &&
                           !target.hasRule("L36");

  package.userDefined.push_back(
      {"source",
       llvm::sys::path::filename(StringRef(options.input).rtrim('/')).str()});
  if (!options.quiet)
    package.note = [](const std::string &text) {
      llvm::errs() << "onnx-to-ane: note: " << text << '\n';
    };
  bundle.progress = [&progress](size_t done, size_t total, StringRef name) {
    progress.step(done, total, name);
  };
}

//===----------------------------------------------------------------------===//
// From a model to optimised ane
//===----------------------------------------------------------------------===//

LogicalResult Compiler::readInputValues() {
  for (auto &[name, path] : options.inputValues) {
    FailureOr<NamedTensor> tensor = importTensorProto(path, context);
    if (failed(tensor))
      return failure();
    conversion.inputValues[name] = tensor->value;
  }
  return success();
}

/// What was read of an input or output, where no option says it.
static void addNote(PackageOptions &package, const PackageFeature &feature,
                    bool isOutput) {
  auto said = llvm::find_if(package.notes, [&](const PortNote &note) {
    return note.name == feature.name && note.isOutput == isOutput;
  });
  if (said == package.notes.end()) {
    package.notes.emplace_back();
    said = std::prev(package.notes.end());
    said->name = feature.name;
    said->isOutput = isOutput;
  }
  if (said->description.empty())
    said->description = feature.description;
  if (!said->optional) {
    said->optional = feature.optional;
    said->defaultValue = feature.defaultValue;
  }
  if (isOutput && !said->colorSpace)
    said->colorSpace = feature.colorSpace;
}

/// What a package said of itself and of its inputs goes into the one made from
/// it, where the options do not say otherwise.
static void addProvenance(PackageOptions &package, const PackageInfo &info,
                          const PackageInfo::Function *function) {
  if (function)
    for (bool isOutput : {false, true})
      for (const PackageFeature &feature :
           isOutput ? function->outputs : function->inputs)
        addNote(package, feature, isOutput);
  if (function)
    for (const PackageFeature &feature : function->inputs) {
      bool said = llvm::any_of(package.images, [&](const ImageInput &image) {
        return image.name == feature.name;
      });
      if (feature.kind == PackageFeature::Kind::Image && !said) {
        package.images.push_back({});
        package.images.back().name = feature.name;
        package.images.back().colorSpace = feature.colorSpace;
      }
    }
  for (auto &[key, text] : info.metadata) {
    std::string *field = key == "author"        ? &package.author
                         : key == "license"     ? &package.license
                         : key == "version"     ? &package.version
                         : key == "description" ? &package.description
                                                : nullptr;
    if (!field &&
        !llvm::is_contained(llvm::make_first_range(package.userDefined), key))
      package.userDefined.push_back({key, text});
    else if (field && field->empty())
      *field = text;
  }
}

/// Each function of a MIL program is one of the bundle's.
LogicalResult Compiler::findFunctions() {
  if (!options.isFromMIL())
    return success();
  FailureOr<MILSource> source = MILSource::open(options.input, context);
  if (failed(source))
    return failure();
  FailureOr<mil::FuncOp> main = source->function(options.function);
  if (failed(main) || failed(checkInputShapes(*main)) ||
      failed(findShapes(*source, *main)))
    return failure();
  if (!options.function.empty())
    return success();
  std::vector<Bucket> found(1);
  found.front().function = found.front().label = main->getSymName().str();
  for (auto func : source->program.getOps<mil::FuncOp>())
    if (func != *main) {
      found.emplace_back();
      found.back().function = found.back().label = func.getSymName().str();
    }
  if (found.size() < 2)
    return success();
  if (options.form() == Form::Bundle && !options.compileTo &&
      buckets.size() == 1)
    buckets = std::move(found);
  else
    emitRemark(main->getLoc())
        << "function '" << main->getSymName() << "' of " << found.size()
        << " is taken; --function=NAME takes another, and a bundle has all";
  return success();
}

/// Inputs that are kept between calls of a bundle; those of a package are
/// marked once it is optimised.
LogicalResult Compiler::markStates(ModuleOp module) {
  MarkStatesPassOptions mark;
  for (auto &[in, out] : package.states)
    mark.states.push_back(in + "=" + out);
  mark.recognise = options.recogniseStates;
  if (options.form() == Form::Bundle && mark.states.empty() && !mark.recognise)
    return success();
  auto main = module.lookupSymbol<func::FuncOp>("main");
  std::vector<StatePair> found;
  if (options.recogniseStates && main)
    found = recogniseStates(main);
  if (options.recogniseStates)
    sayFoundStates(module, found, options.form() == Form::Bundle);
  if (options.form() == Form::Bundle)
    return runConversions(module, [&](OpPassManager &pm) {
      pm.addPass(createMarkStatesPass(mark));
    });
  for (const StatePair &pair : found) {
    std::vector<std::string> names = getPortNames(main);
    std::pair<std::string, std::string> state{
        names[pair.input], names[main.getNumArguments() + pair.output]};
    if (!pair.axis && !llvm::is_contained(package.states, state))
      package.states.push_back(state);
  }
  return success();
}

/// The inputs of a package take one of several shapes: a package that is
/// written keeps all that are listed. What is not kept is said.
LogicalResult Compiler::findShapes(const MILSource &source, mil::FuncOp func) {
  const PackageInfo::Function *described = source.describe(func);
  if (!described || options.compileTo)
    return success();
  if (options.form() == Form::Bundle && !options.reportOnly)
    for (const PackageFeature &feature : described->inputs)
      if (feature.optional)
        emitRemark(func.getLoc())
            << "input '" << feature.name
            << "' may be left out of the package; a bundle has no defaults "
               "and wants it";
  std::vector<const PackageFeature *> open;
  for (const PackageFeature &feature : described->inputs)
    if ((feature.hasRange() || feature.enumerated.size() > 1) &&
        !options.inputShapes.contains(feature.name) &&
        options.inputRanges.count(feature.name) == 0)
      open.push_back(&feature);
  if (open.empty())
    return success();
  // Of several inputs any shape of one may meet any of another, and not all
  // that are listed need to go together; equal ranges are taken to.
  bool ranges = llvm::all_of(
      open, [](const PackageFeature *feature) { return feature->hasRange(); });
  if (options.form() == Form::Package && options.inputRanges.empty() &&
      (ranges || open.size() == 1))
    return keepShapes(open, func);
  for (const PackageFeature *feature : open)
    remarkDefault(*feature, func.getLoc());
  return success();
}

LogicalResult Compiler::keepShapes(ArrayRef<const PackageFeature *> open,
                                   mil::FuncOp func) {
  bool ranges = open[0]->hasRange();
  for (const PackageFeature *feature : open)
    if (std::string why = ranges ? whyNotRanges(*feature) : ""; !why.empty()) {
      for (const PackageFeature *each : open)
        remarkDefault(*each, func.getLoc(),
                      each == feature ? ", for " + why : "");
      return success();
    }
  FailureOr<std::vector<Bucket>> found =
      ranges ? bucketsOfRanges(open, func, kLeastRow)
             : bucketsOfShapes(*open[0], func);
  if (failed(found))
    return failure();
  if (found->size() < 2)
    return success();
  if (ranges) {
    int64_t row = findRow(found->front());
    if (row > kMostRow) {
      for (const PackageFeature *feature : open)
        remarkDefault(*feature, func.getLoc(),
                      ", for its strides divide too much");
      return success();
    }
    found = bucketsOfRanges(open, func, row);
  }
  buckets = std::move(*found);
  if (ranges) {
    package.buckets = PackageOptions::Buckets::Shapes;
    package.ranges = rangesOf(open);
    for (const PackageFeature *feature : open)
      ranged.push_back(*feature);
    emitRemark(func.getLoc())
        << "input '" << open[0]->name << "' takes a range of shapes; "
        << buckets.size()
        << " of them are compiled, to be sure of one program for all; "
           "--input-shape="
        << open[0]->name << "=… makes a package for one";
  }
  // It was one function.
  package.note = [this](const std::string &text) {
    emitRemark(module().getLoc()) << text;
  };
  return success();
}

/// As many extents in a row as the model's strides ask for.
int64_t Compiler::findRow(const Bucket &first) {
  // What is wrong is told by the compilation.
  ScopedDiagnosticHandler swallow(context,
                                  [](Diagnostic &) { return success(); });
  OwningOpRef<ModuleOp> module = importModel(first);
  return std::max(module ? findPeriod(*module) : 1, kLeastRow);
}

LogicalResult Compiler::widenRanges() {
  if (!options.hasRanges())
    return success();
  int64_t row = findRow(buckets.front());
  if (row > kMostRow)
    return emitError(UnknownLoc::get(context))
           << "the strides of the model divide extents by " << row
           << " and more; extents that are listed (--dim NAME=N,N…) make a "
              "function for each";
  buckets = makeBuckets(options, row);
  return success();
}

/// Shapes that were asked for are those of inputs that leave them open.
LogicalResult Compiler::checkInputShapes(mil::FuncOp func) {
  Block &body = func.getBody().front();
  std::vector<std::string> names = mil::getParameterNames(func);
  mil::ShapeBindings given = options.inputShapes;
  for (auto &[name, ranges] : options.inputRanges)
    for (ExtentRange range : ranges)
      given[name].push_back(range.high);
  for (auto &entry : given) {
    auto it = llvm::find(names, entry.getKey());
    if (it == names.end())
      return emitError(func.getLoc())
             << "'" << entry.getKey() << "' is no input of the model"
             << suggest(entry.getKey(), llvm::to_vector_of<StringRef>(names));
    auto type = dyn_cast<RankedTensorType>(
        body.getArgument(it - names.begin()).getType());
    if (type &&
        failed(verifyCompatibleShape(type.getShape(), entry.getValue()))) {
      InFlightDiagnostic error = emitError(func.getLoc());
      error << "input '" << entry.getKey() << "' has type " << type
            << ", which is no array of the shape ";
      llvm::interleave(entry.getValue(), error, "x");
      return error;
    }
  }
  return success();
}

OwningOpRef<ModuleOp> Compiler::importMIL(const Bucket &bucket) {
  FailureOr<MILSource> source = MILSource::open(options.input, context);
  if (failed(source))
    return {};
  FailureOr<mil::FuncOp> func = source->function(
      bucket.function.empty() ? options.function : bucket.function);
  if (failed(func))
    return {};
  progress.phase("converting");
  addProvenance(package, source->info, source->describe(*func));
  if (options.form() == Form::Package)
    takeClassifier(*func, package);
  std::string name = func->getSymName().str();
  mil::ShapeBindings given = options.inputShapes;
  for (auto &entry : bucket.shapes)
    given[entry.getKey()] = entry.getValue();
  mil::ShapeBindings shapes = source->bindShapes(*func, given);
  if (failed(runConversions(*source->module, [&](OpPassManager &pm) {
        pm.addPass(createConvertMILToANEPass(name, source->weights, shapes));
      })))
    return {};
  numbers.start(*source->module);
  return std::move(source->module);
}

void Compiler::markTarget(ModuleOp module) {
  module->setAttr(marks::kTarget, TargetAttr::get(context, target.name));
  std::optional<Door> door = options.door;
  if (!door && options.form() == Form::Package)
    door = Door::CoreML;
  if (door)
    module->setAttr(marks::kDoor, StringAttr::get(context, stringify(*door)));
  if (options.rules.empty())
    return;
  Builder builder(context);
  NamedAttrList states;
  for (auto &[rule, on] : options.rules)
    states.set(rule, builder.getBoolAttr(on));
  module->setAttr(marks::kRules, states.getDictionary(context));
}

OwningOpRef<ModuleOp> Compiler::importModel(const Bucket &bucket) {
  progress.phase("reading");
  OwningOpRef<ModuleOp> module;
  if (options.isFromMIL()) {
    module = importMIL(bucket);
  } else {
    module = importONNX(options.input, context, options.outputs);
    if (!module || options.stopsAt(Phase::ONNX))
      return module;
    numbers.start(*module);
    progress.phase("converting");
    ONNXToANEOptions bound = conversion;
    for (auto &entry : bucket.shapes)
      bound.inputShapes[entry.getKey()] = entry.getValue();
    for (auto [name, value] : bucket.dims)
      bound.dims[name] = value;
    if (options.training && failed(selectParameters(*module, bound)))
      return {};
    if (failed(runConversions(*module, [&](OpPassManager &pm) {
          pm.addPass(createConvertONNXToANEPass(bound));
        })))
      return {};
    if (options.training && failed(differentiate(*module)))
      return {};
  }
  if (module)
    markTarget(*module);
  if (module && failed(markStates(*module)))
    return {};
  return module;
}

LogicalResult Compiler::selectParameters(ModuleOp module,
                                         ONNXToANEOptions &bound) {
  const CompileOptions::Training &training = *options.training;
  if (training.batch)
    if (llvm::Error error =
            bindBatch(module, *training.batch, bound, options.dims))
      return fail(std::move(error));
  SelectParametersPassOptions select;
  select.trainable.assign(training.trainable.begin(), training.trainable.end());
  select.frozen.assign(training.frozen.begin(), training.frozen.end());
  select.lora = training.lora;
  select.loraPattern = training.loraPattern;
  select.loraAlpha = training.loraAlpha;
  if (failed(runConversions(module, [&](OpPassManager &pm) {
        pm.addPass(createSelectParametersPass(select));
      })))
    return failure();
  bundle.training = TrainingRecord{training.loss, training.optimizer, ""};
  auto model = keepModel(module, options.input);
  if (!model)
    return fail(model.takeError());
  bundle.training->model = std::move(*model);
  return success();
}

LogicalResult Compiler::differentiate(ModuleOp module) {
  progress.phase("differentiating");
  DifferentiatePassOptions pass;
  pass.loss = options.training->loss;
  pass.lossScale = true;
  return runConversions(module, [&](OpPassManager &pm) {
    pm.addPass(createDifferentiatePass(pass));
    if (options.isHalf())
      pm.addPass(createStageWeightsPass(
          StageWeightsPassOptions{/*patched=*/pipeline.patchWeights}));
  });
}

LogicalResult Compiler::runPasses(
    ModuleOp module,
    llvm::function_ref<void(OpPassManager &, const PipelineOptions &)> build) {
  PassManager pm(context);
  pm.enableVerifier(options.verifyIR);
  if (options.configurePasses && failed(options.configurePasses(pm)))
    return failure();
  build(pm, pipeline);
  if (!options.report.empty())
    passLog.attach(pm);
  auto verifier = verifiers.find(module);
  if (verifier != verifiers.end())
    verifier->second.attach(pm);
  auto step = [this](size_t done, size_t total, StringRef pass) {
    progress.step(done, total, pass);
  };
  return success(succeeded(ane::runPasses(pm, module, step)) &&
                 (verifier == verifiers.end() || !verifier->second.failed()));
}

LogicalResult
Compiler::runConversions(ModuleOp module,
                         llvm::function_ref<void(OpPassManager &)> build) {
  PassManager pm(context);
  pm.enableVerifier(options.verifyIR);
  if (options.configurePasses && failed(options.configurePasses(pm)))
    return failure();
  build(pm);
  return ane::runPasses(pm, module);
}

LogicalResult Compiler::convertToMIL(ModuleOp module) {
  ConvertANEToMILPassOptions conversion;
  if (options.form() == Form::Package)
    conversion.dialect = MILDialect::Modern; // not printed
  else if (options.verbose)
    conversion.dialect =
        *options.verbose ? MILDialect::Verbose : MILDialect::Modern;
  if (!package.classLabels.empty())
    for (StringRef name : {package.labelName(), package.probabilitiesName()})
      conversion.reserved.push_back(name.str());
  return runConversions(module, [&](OpPassManager &pm) {
    if (options.form() == Form::Package)
      pm.addPass(createPackageInterfacePass());
    pm.addPass(createConvertANEToMILPass(conversion));
  });
}

LogicalResult Compiler::optimise(ModuleOp module, NumericGuard &guard) {
  if (options.isHalf() && failed(guard.start(module)))
    return failure();
  if (options.verifyEachNumerics) {
    progress.phase("running in the interpreter");
    if (failed(verifiers[module].start(module)))
      return failure();
  }
  progress.phase("optimising");
  if (failed(runPasses(module, buildOptimizePipeline)))
    return failure();
  auto repair = [&](ModuleOp module) {
    return runPasses(module, buildRepairPipeline);
  };
  auto compress = [&](ModuleOp module) {
    return runPasses(module, buildCompressPipeline);
  };
  if (!options.isHalf())
    return repair(module);
  progress.phase("measuring");
  LogicalResult done = guard.repair(module, repair, compress);
  module.walk([](Operation *op) { op->removeAttr(marks::kFormErrors); });
  return done;
}

/// The pixels that an image of these values has.
static Tensor toPixels(const ImageInput &image, const Tensor &seen) {
  if (seen.rank() != 4 || !seen.isFloat())
    return seen;
  Tensor pixels(DType::Float32, seen.shape());
  MutableArrayRef<float> out = pixels.mutableFloats();
  int64_t channels = seen.shape()[1], plane = seen.shape()[2] * seen.shape()[3];
  for (auto [i, value] : llvm::enumerate(seen.floats())) {
    size_t channel = i / plane % channels;
    double bias = image.bias.empty()       ? 0
                  : image.bias.size() == 1 ? image.bias[0]
                                           : image.bias[channel];
    out[i] = float((value - bias) / image.scale);
  }
  return pixels;
}

LogicalResult Compiler::compileBuckets() {
  GuardOptions guard;
  guard.calibration = options.calibration.value_or("auto");
  guard.check = options.check;
  guard.eachOp = !options.report.empty();
  guard.step = [this](size_t done, size_t total) {
    progress.step(done, total, "");
  };
  if (options.training)
    guard.lossScale = options.training->optimizer.lossScale;
  guard.asGiven = [this](StringRef input, const Tensor &seen) {
    for (const ImageInput &image : package.images)
      if (image.name == input && image.scale != 0)
        return toPixels(image, seen);
    return seen;
  };
  guard.changesWeights = options.weights.bits != 0;
  if (options.weights.automatic) {
    guard.leastCosine = options.weights.bound;
    guard.weightBound = std::make_shared<std::optional<WeightBound>>();
    guard.compress = [this](ModuleOp module, const WeightBound &bound) {
      bool keep = pipeline.keepCompressed;
      pipeline.keepCompressed = false; // those are kept already
      SmallString<32> text("auto:");   // in no locale's spelling
      llvm::APFloat(bound.error).toString(text);
      if (bound.parts) {
        llvm::APFloat(bound.looser).toString(text += ':');
        (text += ':') += std::to_string(bound.parts);
      }
      pipeline.weights = text.str().str();
      LogicalResult done = runPasses(module, buildCompressPipeline);
      pipeline.weights = std::string("none");
      pipeline.keepCompressed = keep;
      return done;
    };
  }
  guard.placed = pipeline.door == FrontEnd::Raw && options.form() != Form::Text;
  modules.clear();
  guards.clear();
  for (size_t i = 0; i < buckets.size();) {
    std::optional<ScopedDiagnosticHandler> swallow;
    if (buckets[i].mayFail)
      swallow.emplace(context, [](Diagnostic &) { return success(); });
    if (succeeded(compileBucket(buckets[i], guard))) {
      if (stopsBefore(Phase::Optimized))
        return success();
      ++i;
      continue;
    }
    if (!buckets[i].mayFail || isCancelled()) {
      if (options.hasRanges())
        emitError(UnknownLoc::get(context))
            << "the model does not take all of its ranges: this is for "
            << buckets[i].label
            << "; inputs that share an extent want --dim NAME=LOW..HIGH";
      return failure();
    }
    modules.resize(i);
    guards.resize(i);
    if (buckets[i].isApart) { // nor does the package that it is from
      buckets.erase(buckets.begin() + i);
      continue;
    }
    swallow.reset();
    dropRanges(", for it does not take " + buckets[i].label);
    modules.resize(1);
    guards.resize(1);
    break;
  }
  return success();
}

/// What a package leaves open becomes its default.
void Compiler::dropRanges(const Twine &why) {
  for (const PackageFeature &feature : ranged)
    remarkDefault(feature, module().getLoc(), why);
  package.ranges.reset();
  package.buckets = PackageOptions::Buckets::Auto;
  buckets.resize(1);
  buckets.front().label.clear();
}

LogicalResult Compiler::compileBucket(const Bucket &bucket,
                                      GuardOptions &guard) {
  modules.push_back(importModel(bucket));
  if (!modules.back())
    return failure();
  if (stopsBefore(Phase::Optimized))
    return success();
  // Other numbers in place of weights say nothing of accuracy.
  if (modules.back()->getOperation()->hasAttr(marks::kAbsentWeights))
    guard.calibration = "none", guard.check = GuardOptions::Check::Off;
  guard.states = package.states;
  guards.push_back(std::make_unique<NumericGuard>(guard));
  if (failed(optimise(*modules.back(), *guards.back())))
    return failure();
  ModuleOp module = *modules.back();
  if (options.form() != Form::Package)
    return success();
  if (failed(runPasses(module, buildPackagePipeline)))
    return failure();
  if (modules.size() == 1)
    makeReport();
  return success(succeeded(markInterface(module, package)) &&
                 succeeded(convertToMIL(module)));
}

/// An output without elements is seldom meant; --dim batch=0 makes one.
static void warnOfNothing(ModuleOp module) {
  for (auto function : module.getOps<func::FuncOp>())
    for (auto [i, type] : llvm::enumerate(function.getResultTypes())) {
      auto tensor = dyn_cast<RankedTensorType>(type);
      auto name = function.getResultAttrOfType<StringAttr>(i, marks::kName);
      if (name && tensor && llvm::is_contained(tensor.getShape(), 0))
        function.emitWarning() << "output '" << name.getValue()
                               << "' has no elements: its type is " << tensor;
    }
}

//===----------------------------------------------------------------------===//
// From optimised ane to files
//===----------------------------------------------------------------------===//

LogicalResult Compiler::printIR(Operation *op) {
  std::string text;
  llvm::raw_string_ostream os(text);
  op->print(os);
  os << '\n';
  StringRef path = options.output.empty() ? "-" : StringRef(options.output);
  if (llvm::Error error = outputs.addText(path, text))
    return fail(std::move(error));
  outputs.makeLast(path);
  return finish();
}

LogicalResult Compiler::printMIL() {
  if (failed(convertToMIL(module())))
    return failure();
  return printIR(module().lookupSymbol(mil::kPrograms));
}

LogicalResult Compiler::finish() {
  numbers.report();
  if (options.beforeCommit)
    options.beforeCommit(outputs);
  return commitOutputs(outputs, module().getLoc());
}

/// Runs what was written, before or after it is in place.
void Compiler::checkArtifact() {
  if (!options.isHalf())
    return;
  progress.phase("checking");
  bool several = options.form() == Form::Bundle && guards.size() > 1;
  for (auto [bucket, guard] : llvm::zip(buckets, guards)) {
    if (!several && guard != guards.front())
      break; // the default function of a package
    guard->check(outputs.whereIs(options.output), several ? bucket.label : "");
    if (!result.accuracy) {
      result.accuracy = guard->report();
      continue;
    }
    // One report; what is worse in another function is said with its name.
    for (OutputAccuracy output : guard->report().accuracy.outputs) {
      output.name = bucket.label + ": " + output.name;
      result.accuracy->accuracy.outputs.push_back(std::move(output));
    }
  }
}

LogicalResult Compiler::writeText() {
  if (failed(runPasses(module(), buildUnplacedPipeline)) ||
      failed(convertToMIL(module())) ||
      failed(writeMILFile(module(), options.output, outputs)) ||
      failed(finish()))
    return failure();
  checkArtifact();
  return success();
}

LogicalResult Compiler::writePackage() {
  auto write = [&] {
    progress.phase("writing");
    std::vector<PackageFunction> functions;
    for (auto [bucket, module] : llvm::zip(buckets, modules))
      functions.push_back({*module, bucket.label.empty()
                                        ? "main"
                                        : mil::makeIdentifier(bucket.label)});
    return assemblePackage(functions, options.output, package, outputs);
  };
  // Layouts are chosen by shape; products left as they are stay alike.
  std::string why;
  bool together =
      buckets.size() > 1 && package.buckets == PackageOptions::Buckets::Shapes;
  std::vector<std::string> disabled(pipeline.disable.begin(),
                                    pipeline.disable.end());
  package.whyNotShapes = together ? &why : nullptr;
  LogicalResult written = write();
  if (failed(written) && !why.empty()) {
    for (StringRef pass : {"ane-matmul-to-conv", "ane-assign-layout"})
      pipeline.disable.push_back(pass.str());
    why.clear();
    if (ranged.empty())
      package.whyNotShapes = nullptr;
    written = failed(compileBuckets()) ? failure() : write();
  }
  package.whyNotShapes = nullptr;
  // Ranges that nobody asked for here.
  if (failed(written) && !why.empty()) {
    dropRanges(", for it cannot be one program for all: " + Twine(why));
    pipeline.disable = disabled;
    written = failed(compileBuckets()) ? failure() : write();
  }
  if (failed(written) ||
      failed(verifyPackage(outputs.whereIs(options.output), module().getLoc())))
    return failure();
  return finishWithReports();
}

LogicalResult Compiler::finishWithReports() {
  checkArtifact();
  result.report->accuracy = result.accuracy;
  if (failed(writeReports()))
    return failure();
  outputs.makeLast(options.output);
  return finish();
}

void Compiler::makeReport() {
  StringRef name =
      options.input == "-"
          ? StringRef("standard input")
          : llvm::sys::path::filename(StringRef(options.input).rtrim('/'));
  result.report = ane::makeReport(module(), name, options.advice);
  if (!StringRef(options.target).equals_insensitive(target.name))
    result.report->chip = StringRef(options.target).lower();
  if (modules.size() > 1 && options.form() == Form::Bundle)
    emitRemark(module().getLoc())
        << "the report and the summary are of function '"
        << buckets.front().label << "', the first of " << buckets.size();
  result.report->passes = passLog.changes;
  if (decisions)
    result.report->decisions = result.decisions = decisions->take();
}

/// --require-ane refused: what would run where is what its owner wants to know.
void Compiler::reportRefusal(std::vector<OwningOpRef<ModuleOp>> unplaced) {
  modules = std::move(unplaced);
  pipeline.placement = PlacementMode::Auto;
  for (OwningOpRef<ModuleOp> &each : modules)
    if (failed(runPasses(*each, buildPlacePipeline)))
      return;
  makeReport();
  if (succeeded(writeReports()))
    (void)finish();
}

LogicalResult Compiler::place() {
  std::vector<OwningOpRef<ModuleOp>> unplaced;
  bool reports = !options.report.empty() || !options.trace.empty();
  if (options.requireANE && reports)
    for (OwningOpRef<ModuleOp> &each : modules)
      unplaced.push_back(each->clone());
  LogicalResult placed = placeModules();
  if (failed(placed) && !unplaced.empty())
    reportRefusal(std::move(unplaced));
  if (failed(placed))
    return failure();
  for (OwningOpRef<ModuleOp> &each : modules)
    if (auto it = verifiers.find(*each); it != verifiers.end())
      llvm::append_range(result.verified, it->second.entries());
  makeReport();
  if (llvm::Error error =
          addFunctions(*result.report, buckets, modules, options.plan))
    return fail(std::move(error));
  bundle.plan = result.report->plan;
  return success();
}

LogicalResult Compiler::placeModules() {
  progress.phase("placing");
  SmallVector<StringRef> labels;
  for (const Bucket &bucket : buckets)
    if (!bucket.label.empty())
      labels.push_back(bucket.label);
  for (auto [bucket, each] : llvm::zip(buckets, modules)) {
    if (!options.placementFile.empty())
      if (llvm::Error error =
              readPlacement(*each, options.placementFile, bucket.label, labels))
        return fail(std::move(error));
    if (failed(runPasses(*each, buildPlacePipeline)))
      return failure();
    if (options.requireANE &&
        failed(requireEvidence(*each, evidenceName(*options.requireANE))))
      return failure();
  }
  return success();
}

LogicalResult Compiler::writeReports() {
  auto write = [&](StringRef path, auto print) -> LogicalResult {
    std::string text;
    llvm::raw_string_ostream os(text);
    print(os);
    if (llvm::Error error = outputs.addText(path, text))
      return fail(std::move(error));
    return success();
  };
  const Report &report = *result.report;
  bool page = StringRef(options.report).ends_with(".html");
  if (!options.report.empty() &&
      failed(write(options.report, [&](llvm::raw_ostream &os) {
        page ? report.writeHTML(os) : report.writeJSON(os);
      })))
    return failure();
  if (options.trace.empty())
    return success();
  return write(options.trace,
               [&](llvm::raw_ostream &os) { report.writeTrace(os); });
}

LogicalResult Compiler::writeBundleAndReports() {
  progress.phase("writing");
  std::vector<BundleFunction> functions;
  for (auto [bucket, each] : llvm::zip(buckets, modules)) {
    if (failed(convertToMIL(*each)))
      return failure();
    functions.push_back({*each,
                         bucket.label.empty() ? "main" : bucket.label,
                         {bucket.dims.begin(), bucket.dims.end()}});
  }
  if (failed(writeBundle(functions, options.output, bundle, outputs)))
    return failure();
  return finishWithReports();
}

/// Only what needs no values can be had of a program without its weights.
LogicalResult Compiler::refuseAbsentWeights() {
  if (options.compileTo || options.reportOnly || options.form() == Form::IR)
    return success();
  for (OwningOpRef<ModuleOp> &each : modules)
    if (auto absent = (*each)->getAttrOfType<StringAttr>(marks::kAbsentWeights))
      return emitError(each->getLoc()) << absent.getValue()
                                       << ", so nothing can be written; "
                                          "--compile-to=placed and ane-check "
                                          "need no weights";
  return success();
}

FailureOr<Compilation> Compiler::run() {
  MemoryBudget::setConstantLimit(options.maxConstantBytes);
  if (options.decisions || !options.report.empty())
    decisions.emplace(context);
  if (!options.compileTo && !options.reportOnly) // rather than after an hour
    if (llvm::Error error = checkReplaceable(options.output))
      return fail(std::move(error));
  if (failed(readInputValues()) || failed(findFunctions()) ||
      failed(widenRanges()) || failed(compileBuckets()))
    return failure();
  warnOfNothing(module());
  if (failed(refuseAbsentWeights()))
    return failure();
  auto done = [&](LogicalResult written) -> FailureOr<Compilation> {
    if (failed(written))
      return failure();
    numbers.report();
    if (decisions && !result.report)
      result.decisions = decisions->take();
    llvm::erase_if(result.decisions, [&](const Decision &decision) {
      return !options.decisions ||
             !llvm::Regex(*options.decisions).match(decision.pass);
    });
    return std::move(result);
  };
  if (stopsBefore(Phase::Placed) || options.form() == Form::IR)
    return done(printIR(module()));
  if (options.form() == Form::Text)
    return done(writeText());
  if (options.form() == Form::Package)
    return done(writePackage());
  if (failed(place()))
    return failure();
  if (options.reportOnly)
    return done(success());
  if (!options.compileTo)
    return done(writeBundleAndReports());
  if (failed(writeReports()))
    return failure();
  return done(options.stopsAt(Phase::MIL) ? printMIL() : printIR(module()));
}

FailureOr<Compilation> mlir::ane::compile(const CompileOptions &options,
                                          MLIRContext *context,
                                          Progress &progress) {
  return Compiler(options, context, progress).run();
}
