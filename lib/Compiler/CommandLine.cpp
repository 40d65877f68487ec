//===- CommandLine.cpp - the options of onnx-to-ane -----------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Compiler/CommandLine.h"
#include "ane-mlir/Compiler/Cache.h"
#include "ane-mlir/Compiler/InitAll.h"
#include "ane-mlir/Support/CoreMLFields.h"
#include "ane-mlir/Support/Diagnostics.h"
#include "ane-mlir/Support/Usage.h"
#include "dialects/ANE/IR/Explain.h"
#include "dialects/MIL/IR/Opset.h"
#include "mlir/IR/AsmState.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Support/Timing.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Regex.h"
#include <cfloat>
#include <cmath>

using namespace mlir;
using namespace mlir::ane;
namespace cl = llvm::cl;

namespace {
using O = CompileOptions;
using Buckets = PackageOptions::Buckets;
using Check = GuardOptions::Check;
/// `mixed` and `fp16` are two names of one thing.
enum class Spelling { Modern, Verbose };
enum class Moving { SGD, Momentum, Adam, AdamW };

struct Flags {
  cl::OptionCategory model{"Model"}, target{"Target"}, output{"Output"},
      training{"Training"}, package{"Core ML packages"};

  cl::opt<std::string> input{cl::Positional,
                             cl::desc("MODEL.onnx|.mlpackage|.mlmodelc|.mil"),
                             cl::cat(model)};
  cl::list<std::string> dims{
      "dim",
      cl::desc("Bind a symbolic dimension: --dim batch=1,sequence=576 or "
               "several --dim. Several values (sequence=64,128) make a package "
               "for all of them (--buckets), and a range (sequence=1..512) one "
               "that leaves it open"),
      cl::value_desc("NAME=N[,N…]|N..N"), cl::CommaSeparated, cl::cat(model)};
  cl::list<std::string> inputShapes{
      "input-shape",
      cl::desc("Set the whole shape of an input; in a package an extent may be "
               "a range, as 64..512"),
      cl::value_desc("NAME=1,3,224,224"), cl::cat(model)};
  cl::list<std::string> inputValues{
      "input-value",
      cl::desc("Make an input a constant: axes, sizes and other values that "
               "decide shapes"),
      cl::value_desc("NAME=FILE.pb"), cl::cat(model)};
  cl::list<std::string> maxLengths{
      "max-length",
      cl::desc("Give a Range whose limit the data decides so many entries, by "
               "node"),
      cl::value_desc("NODE=N"), cl::cat(model)};
  ChoiceOption<O::Random> random{
      "random", cl::desc("Random numbers of the model become"),
      cl::init(O::Random::Mean),
      cl::values(clEnumValN(O::Random::Mean, "mean", "their mean (default)"),
                 clEnumValN(O::Random::Input, "input",
                            "further inputs, named as their nodes")),
      cl::cat(model)};
  cl::opt<std::string> function{
      "function",
      cl::desc(
          "Which function of a package or text to take (default: all for a "
          "bundle, else its default one)"),
      cl::value_desc("NAME"), cl::cat(model)};
  cl::list<std::string> outputs{
      "outputs", cl::desc("Cut the model at these values"),
      cl::value_desc("a,b"), cl::CommaSeparated, cl::cat(model)};
  cl::opt<uint64_t> maxConstantBytes{
      "max-constant-bytes",
      cl::desc(
          "Most memory for values that are computed while converting "
          "(default 1 GB and 32 bytes for each byte of the model's files)"),
      cl::value_desc("N"), cl::init(0), cl::cat(model)};

  cl::opt<std::string> targetName{
      "target",
      cl::desc("h13 … h18, or a chip: m1 … m5, m4max, a14 … a19, or an "
               "architecture: h17s (default h16)"),
      cl::init("h16"), cl::cat(target)};
  ChoiceOption<Door> door{
      "door",
      cl::desc("How programs are started, for predicted times (default: coreml "
               "for packages and phones, else memory)"),
      cl::values(clEnumValN(Door::Memory, "memory", "from memory"),
                 clEnumValN(Door::E5RT, "e5rt", "through E5RT"),
                 clEnumValN(Door::CoreML, "coreml", "through Core ML")),
      cl::cat(target)};
  ChoiceOption<O::Precision> precision{
      "precision", cl::desc("Precision of values"),
      cl::init(O::Precision::Mixed),
      cl::values(
          clEnumValN(O::Precision::Mixed, "mixed",
                     "fp16 on the engine, fp32 on the host and for what "
                     "fp16 cannot hold (default)"),
          clEnumValN(O::Precision::Mixed, "fp16", "another name for mixed"),
          clEnumValN(O::Precision::FP32, "fp32",
                     "checks semantics and runs on the host")),
      cl::cat(target)};
  cl::opt<std::string> placement{
      "placement",
      cl::desc("auto (default: the engine wherever it is legal), cost (the "
               "cheapest split between engine and host), ane, host, or a file "
               "that says so by node: {\"/conv1/Conv\": \"host\", …}"),
      cl::value_desc("auto|cost|ane|host|FILE.json"), cl::init("auto"),
      cl::cat(target)};
  ChoiceOption<O::Evidence> requireANE{
      "require-ane",
      cl::ValueOptional,
      cl::desc("Fail, listing every node that would not run on the engine, and "
               "why"),
      cl::init(O::Evidence::Any),
      cl::values(clEnumValN(O::Evidence::Any, "any", "whatever is known of it"),
                 clEnumValN(O::Evidence::Raw, "raw",
                            "also where an operation was not evaluated in "
                            "memory"),
                 clEnumValN(O::Evidence::E5RT, "e5rt",
                            "also where it was not seen on E5RT either")),
      cl::cat(target)};
  cl::opt<std::string> calibration{
      "calibration",
      cl::desc(
          "Inputs to measure values on: auto (default: guessed from names, "
          "shapes and what reads them; numbers of which nothing is known are "
          "about 1, so give real ones of prices, pixels or times as they "
          "are), none, or a folder of samples "
          "(input_0.pb or .npy …, or one folder each)"),
      cl::value_desc("auto|none|DIR"), cl::init("auto"), cl::cat(target)};
  ChoiceOption<Check> check{
      "check", cl::desc("Run what was written and compare it with fp32"),
      cl::init(Check::Fast),
      cl::values(
          clEnumValN(Check::Fast, "fast",
                     "the engine's arithmetic for small models, fp16 for "
                     "others, nothing for the largest (default)"),
          clEnumValN(Check::Full, "full", "the engine's, always"),
          clEnumValN(Check::Off, "off",
                     "do not (the same is written; --calibration=none does "
                     "not run the model at all)")),
      cl::cat(target)};
  cl::opt<double> maxError{
      "max-error",
      cl::desc("Exit 1 where the check finds a larger error, as a part of an "
               "output's largest magnitude (0.02 is 2 %)"),
      cl::value_desc("X"), cl::init(0), cl::cat(target)};
  cl::opt<double> minCosine{
      "min-cosine",
      cl::desc("Exit 1 where the check finds an output with a smaller cosine, "
               "or, of up to 16 numbers, off by as much"),
      cl::value_desc("X"), cl::init(0), cl::cat(target)};
  cl::opt<std::string> weights{
      "weights",
      cl::desc("Weights in fewer bits, which changes values: int8 or int4 with "
               "a scale for each output channel, and for each so many inputs "
               "with ,per=block:N; lut8, lut6, lut4 or lut3, a table for each "
               "tensor, or with ,per=channel or ,per=group:N; auto:COSINE, for "
               "each weight the smallest of them within one bound on what "
               "weights are off, with which no output falls below that cosine. "
               "Bundles take int8, from H17 on int4. "
               "Weights that the model has in fewer "
               "bits stay so without it (default: none)"),
      cl::value_desc("FORM"), cl::init("none"), cl::cat(target)};
  cl::opt<std::string> quantize{"quantize",
                                cl::desc("The older name of --weights"),
                                cl::init("none"), cl::Hidden, cl::cat(target)};
  ChoiceOption<O::Activations> activations{
      "quantized-activations", cl::desc("Activations that the model quantises"),
      cl::init(O::Activations::Auto),
      cl::values(
          clEnumValN(O::Activations::Auto, "auto",
                     "are bytes where the engine multiplies them faster, "
                     "else floats (default)"),
          clEnumValN(O::Activations::Float, "float",
                     "are floats: their limits are kept, weights stay "
                     "integers"),
          clEnumValN(O::Activations::Keep, "keep", "keep their steps")),
      cl::cat(target)};
  cl::opt<int64_t> liveBytes{
      "live-bytes",
      cl::desc("Make large values part by part so that no more bytes are alive "
               "together; 0 leaves them whole (default: in parts where that is "
               "predicted to be faster)"),
      cl::value_desc("N"), cl::init(0), cl::cat(target)};
  cl::list<std::string> rules{
      "rule",
      cl::desc("Follow or ignore one rule of the target, where you know "
               "better: --rule=L01=on,S12=off"),
      cl::value_desc("ID=on|off"), cl::CommaSeparated, cl::cat(target)};
  cl::list<std::string> disabled{
      "disable-pass", cl::desc("Leave out an optional pass, by flag"),
      cl::value_desc("NAME"), cl::CommaSeparated, cl::cat(target)};

  cl::opt<bool> train{
      "train",
      cl::desc("Write the step that trains the model: its loss and the "
               "gradients of its weights, which are inputs, so that no step "
               "compiles anything (ane-run --train runs it)"),
      cl::cat(training)};
  cl::opt<std::string> loss{
      "loss",
      cl::desc("cross-entropy of the first output and class labels (of axis "
               "AXIS, default the last), mse of it and values, or an output of "
               "the model that is its loss (default: its only one)"),
      cl::value_desc("cross-entropy[:AXIS]|mse|OUTPUT"), cl::cat(training)};
  cl::list<std::string> trainable{
      "trainable",
      cl::desc("Weights to train, by the names of initializers (default: all "
               "but statistics, sizes and masks; with --lora none)"),
      cl::value_desc("PATTERN[,…]"), cl::CommaSeparated, cl::cat(training)};
  cl::list<std::string> frozen{"frozen", cl::desc("Weights not to train"),
                               cl::value_desc("PATTERN[,…]"),
                               cl::CommaSeparated, cl::cat(training)};
  cl::opt<std::string> lora{
      "lora",
      cl::desc("Train adapters beside constant weights of MatMul, Gemm and "
               "Conv: weight + ALPHA / RANK * A B (default ALPHA: RANK)"),
      cl::value_desc("RANK[:PATTERN[:ALPHA]]"), cl::cat(training)};
  ChoiceOption<Moving> optimizer{
      "optimizer", cl::desc("What moves the weights, on the host in fp32"),
      cl::init(Moving::Adam),
      cl::values(clEnumValN(Moving::SGD, "sgd", "gradient descent"),
                 clEnumValN(Moving::Momentum, "momentum", "with momentum"),
                 clEnumValN(Moving::Adam, "adam", "Adam (default)"),
                 clEnumValN(Moving::AdamW, "adamw",
                            "Adam with decoupled weight decay")),
      cl::cat(training)};
  cl::opt<double> learningRate{"learning-rate",
                               cl::desc("Step size (default 1e-3)"),
                               cl::init(1e-3), cl::cat(training)};
  cl::opt<double> momentum{"momentum", cl::desc("Of momentum (default 0.9)"),
                           cl::init(0.9), cl::cat(training)};
  cl::opt<double> weightDecay{"weight-decay",
                              cl::desc("Pulls weights to zero (default 0)"),
                              cl::init(0), cl::cat(training)};
  cl::opt<double> clipNorm{
      "clip-norm",
      cl::desc("Largest norm of all gradients together (default: no limit)"),
      cl::init(0), cl::cat(training)};
  cl::opt<std::string> lossScale{
      "loss-scale",
      cl::desc("What gradients are multiplied by on their way, so that fp16 "
               "does not lose them: a number, or dynamic[:FIRST] (default "
               "dynamic:1024; 1 with --precision=fp32)"),
      cl::value_desc("N|dynamic[:N]"), cl::cat(training)};
  cl::opt<int64_t> batch{
      "batch",
      cl::desc("Examples of a run, where the model leaves its first axis open"),
      cl::value_desc("N"), cl::init(0), cl::cat(training)};
  ChoiceOption<RecomputeMode> recompute{
      "recompute",
      cl::desc("What backward programs compute again instead of reading it "
               "(default: auto)"),
      cl::init(RecomputeMode::Auto), recomputeValues(), cl::cat(training)};
  using Staging = O::Training::Staging;
  ChoiceOption<Staging> staging{
      "train-weights",
      cl::desc("Where programs have the weights that are trained"),
      cl::init(Staging::Inputs),
      cl::values(clEnumValN(Staging::Inputs, "inputs",
                            "in inputs: nothing is ever compiled again "
                            "(default)"),
                 clEnumValN(Staging::Patch, "patch",
                            "in weight files, which each step writes anew "
                            "between unloading and loading; the summary says "
                            "what that compiles")),
      cl::cat(training)};
  cl::opt<int64_t> accumulate{
      "accumulate", cl::desc("Runs that make one step (default 1)"),
      cl::value_desc("N"), cl::init(1), cl::cat(training)};

  cl::list<std::string> imageInputs{
      "image-input",
      cl::desc("Make an input an image; the model sees pixel * scale + bias (0 "
               "… 255 without), bias being one number or one per channel"),
      cl::value_desc("NAME=RGB|BGR|GRAY[,SCALE[,BIAS…]]"), cl::cat(package)};
  cl::list<std::string> states{
      "state",
      cl::desc(
          "Keep an input's value between calls: the output is its next "
          "value, or, in a bundle, new rows behind it, which are written "
          "in place (in a package fp16, iOS 18). auto finds them: an output "
          "that is an input with rows behind it, or a scatter into one, and "
          "past_key_values.N.key with present.N.key"),
      cl::value_desc("INPUT=OUTPUT|auto"), cl::cat(model)};
  cl::opt<std::string> plan{
      "plan",
      cl::desc("Of a bundle of several lengths with states: from FROM tokens "
               "left on, those that take TOKENS at once (default: what is "
               "predicted to be quickest; the summary says it)"),
      cl::value_desc("FROM:TOKENS,…"), cl::cat(model)};
  cl::opt<std::string> classLabels{
      "class-labels", cl::desc("Make a classifier; one label per line"),
      cl::value_desc("FILE.txt"), cl::cat(package)};
  cl::opt<std::string> classProbabilities{
      "class-probabilities",
      cl::desc("The output that holds the probabilities of the classes"),
      cl::value_desc("OUTPUT"), cl::cat(package)};
  ChoiceOption<Buckets> buckets{
      "buckets", cl::desc("What several values of --dim make"),
      cl::init(Buckets::Auto),
      cl::values(clEnumValN(Buckets::Auto, "auto",
                            "shapes where one function can have them all "
                            "(default)"),
                 clEnumValN(Buckets::Shapes, "shapes",
                            "one function with enumerated shapes"),
                 clEnumValN(Buckets::Functions, "functions",
                            "one for each, sharing weights")),
      cl::cat(package)};
  cl::opt<std::string> opset{
      "opset",
      cl::desc(
          "Write for this opset: ios15 … ios18, ios26 (default: the lowest "
          "that has all that the model uses)"),
      cl::cat(package)};
  cl::opt<std::string> author{"author", cl::desc("Author of the model"),
                              cl::cat(package)};
  cl::opt<std::string> license{"license", cl::desc("Licence of the model"),
                               cl::cat(package)};
  cl::opt<std::string> version{
      "model-version", cl::desc("Version of the model"), cl::cat(package)};
  cl::opt<std::string> description{
      "description", cl::desc("What the model does"), cl::cat(package)};
  cl::list<std::string> metadata{
      "metadata",
      cl::desc("Say more of the model, as "
               "com.apple.coreml.model.preview.type=imageClassifier"),
      cl::value_desc("KEY=VALUE"), cl::cat(package)};
  cl::list<std::string> described{
      "describe", cl::desc("Say what an input or output is"),
      cl::value_desc("NAME=TEXT"), cl::cat(package)};
  cl::list<std::string> imageOutputs{
      "image-output",
      cl::desc("Make an output an image; the model's values are its pixels, 0 "
               "… 255"),
      cl::value_desc("NAME=RGB|BGR|GRAY"), cl::cat(package)};
  cl::list<std::string> inputDefaults{
      "input-default",
      cl::desc("An input may be left out; its elements are this number then"),
      cl::value_desc("NAME=N"), cl::cat(package)};

  cl::opt<std::string> out{
      "o",
      cl::desc(
          "What to write; the extension chooses the form. MIL text has its "
          "weights beside it, in weights/<sha256>.bin; - is standard "
          "output for --compile-to"),
      cl::value_desc("OUT.anepkg|OUT.mlpackage|OUT.mil|OUT.mlir"),
      cl::cat(output)};
  ChoiceOption<O::Phase> compileTo{
      "compile-to", cl::desc("Stop after a phase and print its IR"),
      cl::values(
          clEnumValN(O::Phase::ONNX, "onnx", "the model as it was read"),
          clEnumValN(O::Phase::ANE, "ane", "converted"),
          clEnumValN(O::Phase::Optimized, "optimized", "before it is placed"),
          clEnumValN(O::Phase::Placed, "placed",
                     "programs for engine and host"),
          clEnumValN(O::Phase::MIL, "mil", "what is printed as text")),
      cl::cat(output)};
  cl::opt<std::string> report{
      "report",
      cl::desc("Placement, reasons and predicted cost of every op (- is "
               "standard output)"),
      cl::value_desc("FILE.json|FILE.html"), cl::cat(output)};
  cl::opt<std::string> remarks{
      "remarks",
      cl::desc(
          "Print what passes decided by predicted time, and what they left: "
          "of all, or of those that match (a report has all)"),
      cl::value_desc("REGEX"), cl::ValueOptional, cl::cat(output)};
  cl::opt<std::string> trace{
      "trace",
      cl::desc("Predicted times of programs and ops in Chrome's trace format "
               "(- is standard output)"),
      cl::value_desc("FILE.json"), cl::cat(output)};
  ChoiceOption<Spelling> dialect{
      "dialect", cl::desc("Spelling of MIL text (default: the target's)"),
      cl::values(clEnumValN(Spelling::Modern, "modern", "of ios18"),
                 clEnumValN(Spelling::Verbose, "verbose", "of ios16")),
      cl::cat(output)};
  cl::opt<bool> verifyNumerics{
      "verify-each-numerics",
      cl::desc("Run the interpreter before and after every pass on a random "
               "input and stop at the first that changes a result; prints the "
               "error of each"),
      cl::cat(output)};
  cl::opt<bool> verifyIR{"verify-each",
                         cl::desc("Verify the IR behind every pass"),
                         cl::cat(output)};
  cl::opt<std::string> explained{
      "explain",
      cl::desc("Say what is known of a rule, limit or source, and with what "
               "evidence; converts nothing"),
      cl::value_desc("ID"), cl::cat(output)};
  cl::opt<std::string> cacheDir{
      "cache-dir",
      cl::desc("Keep bundles and packages in this folder; the same model with "
               "the same options is linked from there"),
      cl::value_desc("DIR"), cl::cat(output)};
  cl::opt<bool> quiet{"quiet", cl::desc("No progress and no summary"),
                      cl::cat(output)};
};

/// A command line in the middle of being understood; the first mistake counts.
class Reader {
public:
  explicit Reader(const Flags &flags) : flags(flags) {}
  llvm::Error read();
  CompileOptions options;

private:
  void fail(const Twine &what) {
    if (mistake.empty())
      mistake = what.str();
  }
  void readModel();
  void readTarget();
  void readPackage();
  void readTraining();
  void readLossScale(OptimizerOptions &optimizer);
  void readOutput();
  void readImage(StringRef entry);
  void readNotes();
  void checkText(StringRef option, StringRef text);
  void readLabels();
  const Flags &flags;
  std::string mistake;
};
} // namespace

/// The first name that an option has twice, with values that differ.
static std::string findTwice(const cl::list<std::string> &entries) {
  llvm::StringMap<StringRef> values;
  for (StringRef entry : entries) {
    auto [name, value] = entry.split('=');
    auto [slot, isNew] = values.try_emplace(name, value);
    if (!isNew && slot->second != value)
      return ("--" + entries.ArgStr + " says '" + name +
              "' twice: " + slot->second + " and " + value)
          .str();
  }
  return "";
}

/// The value of an option that was given.
template <typename T, typename Option>
static std::optional<T> given(const Option &option) {
  return option.getNumOccurrences() ? std::optional<T>(option.getValue())
                                    : std::nullopt;
}

void Reader::readModel() {
  options.input = flags.input;
  for (const cl::list<std::string> *list :
       {std::addressof(flags.inputShapes), std::addressof(flags.inputValues),
        std::addressof(flags.maxLengths), std::addressof(flags.rules),
        std::addressof(flags.imageInputs), std::addressof(flags.states),
        std::addressof(flags.metadata), std::addressof(flags.described),
        std::addressof(flags.imageOutputs),
        std::addressof(flags.inputDefaults)})
    if (std::string twice = findTwice(*list); !twice.empty())
      fail(twice);
  auto listOf = [](const cl::list<std::string> &list) {
    return std::vector<std::string>(list.begin(), list.end());
  };
  if (llvm::Error error = readDims(listOf(flags.dims), options))
    fail(llvm::toString(std::move(error)));
  if (llvm::Error error = readInputShapes(listOf(flags.inputShapes), options))
    fail(llvm::toString(std::move(error)));
  for (StringRef entry : flags.inputValues) {
    auto [name, path] = entry.split('=');
    if (name.empty() || path.empty())
      fail("expects --input-value NAME=FILE.pb, but got '" + entry + "'");
    options.inputValues.push_back({name.str(), path.str()});
  }
  for (StringRef entry : flags.maxLengths) {
    auto [name, value] = entry.rsplit('=');
    int64_t length = 0;
    if (name.empty() || value.getAsInteger(10, length) || length < 1 ||
        length > INT32_MAX)
      fail("expects --max-length NODE=N, but got '" + entry + "'");
    options.maxLengths[name] = length;
  }
  options.random = given<O::Random>(flags.random);
  options.function = flags.function;
  options.outputs.assign(flags.outputs.begin(), flags.outputs.end());
  options.maxConstantBytes = flags.maxConstantBytes;
}

void Reader::readTarget() {
  options.target = flags.targetName;
  options.door = given<Door>(flags.door);
  options.precision = flags.precision;
  StringRef placement = flags.placement;
  static constexpr std::pair<StringLiteral, PlacementMode> kPlacements[] = {
      {"auto", PlacementMode::Auto},
      {"cost", PlacementMode::Cost},
      {"ane", PlacementMode::ANE},
      {"host", PlacementMode::Host}};
  const auto *known = llvm::find_if(
      kPlacements, [&](auto &entry) { return entry.first == placement; });
  if (placement.ends_with(".json"))
    options.placementFile = placement.str();
  else if (known == std::end(kPlacements))
    fail("expects --placement to be auto, cost, ane, host or FILE.json, but "
         "got '" +
         placement + "'");
  else if (flags.placement.getNumOccurrences())
    options.placement = known->second;
  options.plan = flags.plan;
  options.requireANE = given<O::Evidence>(flags.requireANE);
  options.calibration = given<std::string>(flags.calibration);
  options.check = flags.check;
  options.maxError = given<double>(flags.maxError);
  options.minCosine = given<double>(flags.minCosine);
  options.weightsText = flags.weights;
  if (flags.quantize.getNumOccurrences()) {
    if (flags.weights.getNumOccurrences() && flags.weights != flags.quantize)
      fail("--quantize is the older name of --weights, and both are given");
    options.weightsText = flags.quantize;
  }
  if (auto form = WeightForm::parse(options.weightsText);
      form && (!form->automatic ||
               (form->bound > 0 && form->bound < 1 && !form->looser)))
    options.weights = *form;
  else
    fail("expects --weights to be none, int8 or int4 (and ,per=block:N), lut8, "
         "lut6, lut4 or lut3 (and ,per=channel or ,per=group:N), or "
         "auto:COSINE below 1, but got '" +
         options.weightsText + "'");
  options.quantizedActivations = given<O::Activations>(flags.activations);
  if (flags.liveBytes.getNumOccurrences())
    options.liveBytes = flags.liveBytes;
  for (StringRef rule : flags.rules) {
    auto [id, state] = rule.split('=');
    if (state != "on" && state != "off")
      fail("expects --rule=ID=on or ID=off, but got '" + rule + "'");
    options.rules.push_back({id.str(), state == "on"});
  }
  options.disabledPasses.assign(flags.disabled.begin(), flags.disabled.end());
}

/// As in PackageFeature; 0 for another word.
static uint32_t colorSpaceOf(StringRef word) {
  return llvm::StringSwitch<uint32_t>(word)
      .Case("RGB", coreml::kRGB)
      .Case("BGR", coreml::kBGR)
      .Case("GRAY", coreml::kGrayscale)
      .Default(0);
}

/// What is said of inputs and outputs beside their types.
void Reader::readNotes() {
  PackageOptions &package = options.package;
  auto noteOf = [&](StringRef name, bool isOutput) -> PortNote & {
    for (PortNote &note : package.notes)
      if (note.name == name && note.isOutput == isOutput)
        return note;
    package.notes.emplace_back();
    package.notes.back().name = name.str();
    package.notes.back().isOutput = isOutput;
    package.notes.back().isAsked = true;
    return package.notes.back();
  };
  for (StringRef entry : flags.metadata) {
    auto [key, value] = entry.split('=');
    if (key.empty() || !entry.contains('='))
      fail("expects --metadata KEY=VALUE, but got '" + entry + "'");
    if (key == "producer")
      fail("--metadata cannot say 'producer', which is this compiler's");
    if (llvm::is_contained({"author", "license", "version", "description"},
                           key))
      fail("--metadata cannot say '" + key + "'; --" +
           (key == "version" ? "model-version" : key) + " does");
    package.userDefined.push_back({key.str(), value.str()});
  }
  for (const cl::list<std::string> *list :
       {std::addressof(flags.metadata), std::addressof(flags.described)})
    for (StringRef entry : *list)
      checkText(list->ArgStr, entry);
  for (const cl::opt<std::string> *option :
       {std::addressof(flags.author), std::addressof(flags.license),
        std::addressof(flags.version), std::addressof(flags.description)})
    checkText(option->ArgStr, *option);
  for (StringRef entry : flags.described) {
    auto [name, text] = entry.split('=');
    if (name.empty() || text.empty())
      fail("expects --describe NAME=TEXT, but got '" + entry + "'");
    for (bool isOutput : {false, true})
      noteOf(name, isOutput).description = text.str();
  }
  for (StringRef entry : flags.imageOutputs) {
    auto [name, color] = entry.rsplit('=');
    if (name.empty() || !colorSpaceOf(color))
      fail("expects --image-output NAME=RGB|BGR|GRAY, but got '" + entry + "'");
    noteOf(name, true).colorSpace = colorSpaceOf(color);
  }
  for (StringRef entry : flags.inputDefaults) {
    auto [name, text] = entry.rsplit('=');
    double value = 0;
    if (name.empty() || text.getAsDouble(value) || !std::isfinite(value))
      fail("expects --input-default NAME=N, but got '" + entry + "'");
    PortNote &note = noteOf(name, false);
    note.optional = true;
    note.defaultValue = value;
  }
}

/// Core ML's messages hold no other texts.
void Reader::checkText(StringRef option, StringRef text) {
  if (!llvm::json::isUTF8(text))
    fail("expects --" + option + " to be UTF-8, but got '" + text + "'");
}

void Reader::readImage(StringRef entry) {
  auto [name, rest] = entry.rsplit('=');
  SmallVector<StringRef> parts;
  rest.split(parts, ',');
  ImageInput image;
  image.name = name.str();
  image.colorSpace = colorSpaceOf(parts[0]);
  bool good = image.colorSpace && !name.empty() && parts.size() <= 5;
  for (auto [i, part] : llvm::enumerate(llvm::drop_begin(parts))) {
    double number = 0;
    good &= !part.getAsDouble(number) && std::fabs(number) <= FLT_MAX;
    if (i == 0)
      image.scale = number;
    else
      image.bias.push_back(number);
  }
  if (!good)
    fail("expects --image-input NAME=RGB|BGR|GRAY[,SCALE[,BIAS…]], but got '" +
         entry + "'");
  options.package.images.push_back(image);
}

void Reader::readLabels() {
  auto buffer = llvm::MemoryBuffer::getFile(options.classLabelsFile);
  if (!buffer)
    return fail("cannot read '" + options.classLabelsFile +
                "': " + buffer.getError().message());
  SmallVector<StringRef> lines;
  StringRef text = (*buffer)->getBuffer();
  text.consume_front("\xef\xbb\xbf"); // a mark that some editors write
  text.rtrim().split(lines, '\n');
  llvm::StringMap<size_t> numbers;
  for (auto [i, line] : llvm::enumerate(lines)) {
    StringRef label = line.rtrim('\r');
    checkText("class-labels", label);
    auto [first, isNew] = numbers.try_emplace(label, i + 1);
    if (!isNew)
      return fail("label '" + label + "' stands twice in '" +
                  options.classLabelsFile + "', in lines " +
                  Twine(first->second) + " and " + Twine(i + 1) +
                  "; Core ML returns probabilities by label");
    options.package.classLabels.push_back(label.str());
  }
}

void Reader::readPackage() {
  PackageOptions &package = options.package;
  package.author = flags.author;
  package.license = flags.license;
  package.version = flags.version;
  package.description = flags.description;
  for (StringRef entry : flags.imageInputs)
    readImage(entry);
  readNotes();
  for (StringRef entry : flags.states) {
    auto [in, out] = entry.split('=');
    options.recogniseStates |= entry == "auto";
    if (entry == "auto")
      continue;
    if (in.empty() || out.empty())
      fail("expects --state INPUT=OUTPUT, but got '" + entry + "'");
    package.states.push_back({in.str(), out.str()});
  }
  package.buckets = flags.buckets;
  options.buckets = given<Buckets>(flags.buckets);
  if (!flags.opset.empty()) {
    package.opset = mil::opsetNumber(flags.opset);
    if (!*package.opset)
      fail("expects --opset to be ios15, ios16, ios17, ios18 or ios26, but got "
           "'" +
           flags.opset + "'");
  }
  package.probabilities = flags.classProbabilities;
  options.classLabelsFile = flags.classLabels;
  if (!options.classLabelsFile.empty())
    readLabels();
}

void Reader::readLossScale(OptimizerOptions &optimizer) {
  StringRef text = flags.lossScale;
  bool half = flags.precision == O::Precision::Mixed;
  optimizer.dynamicLossScale =
      text.empty() ? half : text.consume_front("dynamic");
  if (text.empty()) {
    optimizer.lossScale = half ? 1024 : 1;
    return;
  }
  if (optimizer.dynamicLossScale && !text.consume_front(":"))
    text = "?";
  if (text.getAsDouble(optimizer.lossScale) || !(optimizer.lossScale > 0) ||
      optimizer.lossScale > 65504)
    fail("expects --loss-scale to be a number above 0 up to 65504, dynamic or "
         "dynamic:N, but got '" +
         flags.lossScale + "'");
}

void Reader::readTraining() {
  if (!flags.train) {
    auto check = [&](const auto &...option) {
      ((option.getNumOccurrences()
            ? fail("--" + option.ArgStr + " is about training; add --train")
            : void()),
       ...);
    };
    check(flags.loss, flags.trainable, flags.frozen, flags.lora,
          flags.optimizer, flags.learningRate, flags.momentum,
          flags.weightDecay, flags.clipNorm, flags.lossScale, flags.batch,
          flags.accumulate, flags.recompute, flags.staging);
    return;
  }
  O::Training training;
  training.loss = flags.loss;
  training.trainable.assign(flags.trainable.begin(), flags.trainable.end());
  training.frozen.assign(flags.frozen.begin(), flags.frozen.end());
  if (!flags.lora.empty()) {
    auto [rank, rest] = StringRef(flags.lora).split(':');
    auto [pattern, alpha] = rest.rsplit(':');
    if (rank.getAsInteger(10, training.lora) || training.lora < 1 ||
        training.lora > 4096 ||
        (!alpha.empty() &&
         (alpha.getAsDouble(training.loraAlpha) || !(training.loraAlpha > 0))))
      fail("expects --lora=RANK[:PATTERN[:ALPHA]] with a rank from 1 to 4096, "
           "but got '" +
           flags.lora + "'");
    if (!pattern.empty())
      training.loraPattern = pattern.str();
  }
  training.recompute = flags.recompute;
  training.staging = flags.staging;
  OptimizerOptions &optimizer = training.optimizer;
  static constexpr StringLiteral kKinds[] = {"sgd", "momentum", "adam",
                                             "adamw"};
  optimizer.kind = kKinds[int(Moving(flags.optimizer))].str();
  optimizer.learningRate = flags.learningRate;
  optimizer.momentum = flags.momentum;
  optimizer.weightDecay = flags.weightDecay;
  optimizer.clipNorm = flags.clipNorm;
  readLossScale(optimizer);
  for (auto [name, value, most] :
       {std::tuple<StringRef, double, double>("--learning-rate",
                                              optimizer.learningRate, 1e6),
        {"--momentum", optimizer.momentum, 1},
        {"--weight-decay", optimizer.weightDecay, 1e6},
        {"--clip-norm", optimizer.clipNorm, 1e30}})
    if (!(value >= 0 && value <= most))
      fail(outOfRange(
          name, "from 0 to " + std::to_string(int64_t(std::min(most, 1e6))),
          value));
  if (flags.momentum.getNumOccurrences() && optimizer.kind != "momentum")
    fail("--momentum is for --optimizer=momentum");
  if (flags.accumulate < 1 || flags.accumulate > 65536)
    fail("expects --accumulate from 1 to 65536");
  optimizer.accumulate = unsigned(flags.accumulate);
  if (flags.batch.getNumOccurrences()) {
    if (flags.batch < 1)
      fail("expects --batch to be 1 or more");
    training.batch = flags.batch;
  }
  options.training = training;
}

void Reader::readOutput() {
  options.output = flags.out;
  options.compileTo = given<O::Phase>(flags.compileTo);
  options.report = flags.report;
  options.advice = !flags.report.empty();
  options.trace = flags.trace;
  if (flags.remarks.getNumOccurrences()) {
    options.decisions = flags.remarks.empty() ? ".*" : flags.remarks.getValue();
    if (std::string why; !llvm::Regex(*options.decisions).isValid(why))
      fail("expects --remarks to be a regular expression of passes' names, but "
           "got '" +
           *options.decisions + "': " + why);
  }
  if (auto spelling = given<Spelling>(flags.dialect))
    options.verbose = *spelling == Spelling::Verbose;
  options.verifyEachNumerics = flags.verifyNumerics;
  options.verifyIR = flags.verifyIR;
  options.quiet = flags.quiet;
  options.cacheDir = flags.cacheDir;
  if (flags.cacheDir.getNumOccurrences() && options.cacheDir.empty())
    fail("expects --cache-dir to be a folder, but got ''");
}

llvm::Error Reader::read() {
  readModel();
  readTarget();
  readPackage();
  readTraining();
  readOutput();
  if (!mistake.empty())
    return llvm::createStringError(mistake);
  return llvm::Error::success();
}

/// The parser keeps pointers to them.
static Flags &getFlags() {
  static Flags flags;
  return flags;
}

static void printVersion(llvm::raw_ostream &os) {
  os << "ane-mlir " ANEMLIR_VERSION "\n  LLVM " LLVM_VERSION_STRING
        "\n  targets:";
  for (const Target &target : getTargets())
    os << ' ' << target.name << " (" << target.summary << ')';
  os << '\n';
}

static constexpr const char *kOverview =
    "Converts an ONNX model, or a Core ML package, to MIL programs and weights "
    "for Apple's Neural Engine.\n\n"
    "  onnx-to-ane model.onnx -o model.anepkg --target=m4 --report=model.html\n"
    "  ane-run model.anepkg --random-inputs=0\n"
    "  onnx-to-ane model.onnx -o model.mlpackage --dim sequence=64,128\n"
    "  onnx-to-ane model.mlpackage -o model.anepkg\n";

llvm::Expected<CompileOptions>
mlir::ane::readCompileFlags(ArrayRef<std::string> given) {
  Flags &flags = getFlags();
  // Only what is ours: others print something and end the process.
  std::vector<const char *> arguments{"ane_mlir"};
  SmallVector<StringRef> known;
  for (auto &entry : cl::getRegisteredOptions())
    for (cl::OptionCategory *category :
         {&flags.model, &flags.target, &flags.training, &flags.package,
          &flags.output})
      if (llvm::is_contained(entry.second->Categories, category))
        known.push_back(entry.first);
  llvm::sort(known);
  bool wantsValue = false; // "--dim", then "batch=1"
  for (const std::string &flag : given) {
    if (wantsValue && !StringRef(flag).starts_with("-")) {
      arguments.push_back(flag.c_str());
      wantsValue = false;
      continue;
    }
    StringRef name = StringRef(flag).ltrim('-').split('=').first;
    if (!StringRef(flag).starts_with("-") || name == "explain" ||
        !llvm::is_contained(known, name))
      return llvm::createStringError("'" + flag + "' is no option" +
                                     suggest(name, known));
    arguments.push_back(flag.c_str());
    const cl::Option *option = cl::getRegisteredOptions().lookup(name);
    wantsValue = option && !StringRef(flag).contains('=') &&
                 option->getValueExpectedFlag() == cl::ValueRequired;
  }
  cl::ResetAllOptionOccurrences();
  std::string printed;
  llvm::raw_string_ostream os(printed);
  if (!cl::ParseCommandLineOptions(arguments.size(), arguments.data(), "",
                                   &os)) {
    std::string mistake = takeUsageMistake();
    return llvm::createStringError(mistake.empty() ? StringRef(printed).trim()
                                                   : StringRef(mistake));
  }
  if (std::string twice = findContradiction(
          arguments.size(), const_cast<char **>(arguments.data()));
      !twice.empty())
    return llvm::createStringError(twice);
  Reader reader(flags);
  if (llvm::Error error = reader.read())
    return std::move(error);
  reader.options.spelling = spellOptions(arguments);
  return std::move(reader.options);
}

std::optional<CompileOptions>
mlir::ane::parseCompileOptions(int argc, char **argv, int &status) {
  Flags &flags = getFlags();
  registerAllPasses(); // --mlir-print-ir-after knows their flags
  registerPassManagerCLOptions();
  registerMLIRContextCLOptions();
  registerAsmPrinterCLOptions();
  registerDefaultTimingManagerCLOptions();
  cl::HideUnrelatedOptions({&flags.model, &flags.target, &flags.training,
                            &flags.package, &flags.output});
  if (std::optional<int> done =
          printUsageTables(argc, argv, "onnx-to-ane", kOverview)) {
    status = *done;
    return std::nullopt;
  }
  cl::SetVersionPrinter(printVersion);
  status = 2;
  auto misuse = [](const Twine &message) {
    llvm::errs() << "onnx-to-ane: " << printable(message.str(), true)
                 << "; see --help\n";
    return std::nullopt;
  };
  if (!cl::ParseCommandLineOptions(argc, argv, kOverview, &llvm::errs())) {
    std::string mistake = takeUsageMistake();
    return mistake.empty() ? std::nullopt : misuse(mistake);
  }
  if (std::string twice = findContradiction(argc, argv); !twice.empty())
    return misuse(twice);
  if (flags.explained.getNumOccurrences()) {
    status = explain(flags.explained, llvm::outs()) ? 0 : 2;
    return std::nullopt;
  }
  Reader reader(flags);
  llvm::Error error = reader.read();
  if (!error)
    error = reader.options.validate();
  if (error)
    return misuse(llvm::toString(std::move(error)));
  reader.options.spelling = spellOptions(ArrayRef(argv, argc).drop_front());
  reader.options.configurePasses = [](PassManager &pm) {
    applyDefaultTimingPassManagerCLOptions(pm);
    return applyPassManagerCLOptions(pm);
  };
  return std::move(reader.options);
}
