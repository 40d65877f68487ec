//===- onnx-to-ane.cpp - the model converter ------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Support/JSON.h"
#include "ane-mlir/Conversion/ANEToMIL.h"
#include "ane-mlir/Conversion/ONNXToANE.h"
#include "ane-mlir/Import/ONNX.h"
#include "ane-mlir/InitAll.h"
#include "ane-mlir/Pipelines/NumericGuard.h"
#include "ane-mlir/Pipelines/Report.h"
#include "ane-mlir/Pipelines/VerifyNumerics.h"
#include "ane-mlir/Support/AtomicPath.h"
#include "ane-mlir/Support/Budget.h"
#include "ane-mlir/Support/Diagnostics.h"
#include "ane-mlir/Target/Bundle.h"
#include "ane-mlir/Target/MILText.h"
#include "ane-mlir/Target/Opset.h"
#include "ane-mlir/Target/MILSource.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Support/Timing.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/ErrorHandling.h"
#include "llvm/Support/InitLLVM.h"
#include "dialects/ANE/IR/Explain.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include <cmath>
#include <new>

using namespace mlir;
using namespace mlir::ane;
namespace cl = llvm::cl;

static cl::OptionCategory modelOptions("Model"), targetOptions("Target"),
    outputOptions("Output");

static cl::opt<std::string> input(cl::Positional,
                                  cl::desc("MODEL.onnx|.mlpackage|.mlmodelc|.mil"),
                                  cl::cat(modelOptions));
static cl::list<std::string>
    dims("dim",
         cl::desc("Bind a symbolic dimension: --dim batch=1,sequence=576 or "
                  "several --dim. Several values (sequence=64,128) make a "
                  "package for all of them (--buckets)"),
         cl::value_desc("NAME=N[,N…]"), cl::CommaSeparated, cl::cat(modelOptions));
static cl::list<std::string>
    inputShapes("input-shape", cl::desc("Set the whole shape of an input"),
                cl::value_desc("NAME=1,3,224,224"), cl::cat(modelOptions));
static cl::list<std::string>
    inputValues("input-value",
                cl::desc("Make an input a constant: axes, sizes and other "
                         "values that decide shapes"),
                cl::value_desc("NAME=FILE.pb"), cl::cat(modelOptions));
static cl::list<std::string>
    maxLengths("max-length",
               cl::desc("Give a Range whose limit the data decides so many "
                        "entries, by node"),
               cl::value_desc("NODE=N"), cl::cat(modelOptions));
static cl::opt<std::string>
    randomNumbers("random",
                  cl::desc("Random numbers are their mean (default), or "
                           "further inputs of the model, named as their nodes"),
                  cl::value_desc("mean|input"), cl::init("mean"),
                  cl::cat(modelOptions));
static cl::opt<std::string>
    functionName("function",
                 cl::desc("Which function of a package to take (default: its "
                          "default one)"),
                 cl::value_desc("NAME"), cl::cat(modelOptions));
static cl::list<std::string>
    outputNames("outputs", cl::desc("Cut the model at these values"),
                cl::value_desc("a,b"), cl::CommaSeparated,
                cl::cat(modelOptions));

static cl::opt<std::string>
    targetName("target",
               cl::desc("h13 … h18, or a chip: m1 … m5 (default h16)"),
               cl::init("h16"), cl::cat(targetOptions));
static cl::opt<std::string> precision(
    "precision",
    cl::desc("mixed (default): fp16 on the engine, fp32 on the host and for "
             "what fp16 cannot hold; fp16 is another name for it; fp32 checks "
             "semantics and runs on the host"),
    cl::value_desc("mixed|fp16|fp32"), cl::init("mixed"),
    cl::cat(targetOptions));
static cl::opt<std::string> placement(
    "placement",
    cl::desc("auto (default: the engine wherever it is legal), cost (the "
             "cheapest split between engine and host), ane, host, or a file "
             "that says so by node: {\"/conv1/Conv\": \"host\", …}"),
    cl::value_desc("auto|cost|ane|host|FILE.json"), cl::init("auto"),
    cl::cat(targetOptions));
static cl::opt<bool> requireANE(
    "require-ane",
    cl::desc(
        "Fail, listing every node that would not run on the engine, and why"),
    cl::cat(targetOptions));
static cl::opt<std::string> calibration(
    "calibration",
    cl::desc("Inputs to measure values on: auto (default: guessed from names, "
             "shapes and what reads them), none, or a folder of samples "
             "(input_0.pb or .npy …, or one folder each)"),
    cl::value_desc("auto|none|DIR"), cl::init("auto"), cl::cat(targetOptions));
static cl::opt<std::string> checkMode(
    "check",
    cl::desc("Run what was written and compare it with fp32: fast (default: "
             "the engine's arithmetic for small models, fp16 for others, "
             "nothing for the largest), full (the engine's, always), off"),
    cl::value_desc("off|fast|full"), cl::init("fast"), cl::cat(targetOptions));
static cl::opt<double> maxError(
    "max-error",
    cl::desc("Exit 1 where the check finds a larger error, as a part of an "
             "output's largest magnitude (0.02 is 2 %)"),
    cl::value_desc("X"), cl::init(0), cl::cat(targetOptions));
static cl::opt<double> minCosine(
    "min-cosine",
    cl::desc("Exit 1 where the check finds an output with a smaller cosine"),
    cl::value_desc("X"), cl::init(0), cl::cat(targetOptions));
static cl::opt<std::string> quantize(
    "quantize",
    cl::desc("int8: weights of 1x1 convolutions in one byte, with a scale for "
             "each output channel (default none). Changes values; pays where "
             "weights are streamed"),
    cl::value_desc("none|int8"), cl::init("none"), cl::cat(targetOptions));
static cl::opt<std::string> quantizedActivations(
    "quantized-activations",
    cl::desc("Activations that the model quantises: float (default for fp16: "
             "their limits are kept, weights stay integers), or keep"),
    cl::value_desc("float|keep"), cl::init("float"), cl::cat(targetOptions));
static cl::opt<int64_t> liveBytes(
    "live-bytes",
    cl::desc("Make large values part by part so that no more bytes are alive "
             "together (default 0: no limit; 33554432 in early reports)"),
    cl::value_desc("N"), cl::init(0), cl::cat(targetOptions));
static cl::opt<uint64_t> maxConstantBytes(
    "max-constant-bytes",
    cl::desc("Most memory for values that are computed while converting "
             "(default 1 GB and 32 bytes for each byte of the model's files)"),
    cl::value_desc("N"), cl::init(0), cl::cat(modelOptions));
static cl::list<std::string>
    rules("rule",
          cl::desc("Follow or ignore one rule of the target, where you know "
                   "better: --rule=L01=on,S12=off"),
          cl::value_desc("ID=on|off"), cl::CommaSeparated,
          cl::cat(targetOptions));
static cl::list<std::string>
    disabled("disable-pass", cl::desc("Leave out an optional pass, by flag"),
             cl::value_desc("NAME"), cl::CommaSeparated,
             cl::cat(targetOptions));

static cl::OptionCategory packageOptions("Core ML packages");
static cl::list<std::string> imageInputs(
    "image-input",
    cl::desc("Make an input an image; the model sees pixel * scale + bias "
             "(0 … 255 without), bias being one number or one per channel"),
    cl::value_desc("NAME=RGB|BGR|GRAY[,SCALE[,BIAS…]]"), cl::cat(packageOptions));
static cl::list<std::string>
    stateInputs("state",
                cl::desc("Keep an input's value between calls: the output is "
                         "its next value (fp16, iOS 18)"),
                cl::value_desc("INPUT=OUTPUT"), cl::cat(packageOptions));
static cl::opt<std::string>
    classLabels("class-labels",
                cl::desc("Make a classifier; one label per line"),
                cl::value_desc("FILE.txt"), cl::cat(packageOptions));
static cl::opt<std::string> classProbabilities(
    "class-probabilities",
    cl::desc("The output that holds the probabilities of the classes"),
    cl::value_desc("OUTPUT"), cl::cat(packageOptions));
static cl::opt<std::string> bucketKind(
    "buckets",
    cl::desc("What several values of --dim make: shapes (one function with "
             "enumerated shapes), functions (one for each, sharing weights), "
             "or auto (default: shapes where one function can have them all)"),
    cl::value_desc("auto|shapes|functions"), cl::init("auto"),
    cl::cat(packageOptions));
static cl::opt<std::string> opsetName(
    "opset",
    cl::desc("Write for this opset: ios15 … ios18, ios26 (default: the lowest "
             "that has all that the model uses)"),
    cl::cat(packageOptions));
static cl::opt<std::string> author("author", cl::desc("Author of the model"),
                                   cl::cat(packageOptions)),
    license("license", cl::desc("Licence of the model"),
            cl::cat(packageOptions)),
    modelVersion("model-version", cl::desc("Version of the model"),
                 cl::cat(packageOptions)),
    description("description", cl::desc("What the model does"),
                cl::cat(packageOptions));

static cl::opt<std::string> output(
    "o",
    cl::desc("What to write; the extension chooses the form. MIL text has "
                    "its weights beside it, in weights/<sha256>.bin; - is "
                    "standard output for --compile-to"),
           cl::value_desc("OUT.anepkg|OUT.mlpackage|OUT.mil|OUT.mlir"),
    cl::cat(outputOptions));
static cl::opt<std::string> compileTo(
    "compile-to",
    cl::desc(
        "Stop after onnx, ane, optimized, placed or mil and print that IR"),
    cl::value_desc("PHASE"), cl::cat(outputOptions));
static cl::opt<std::string>
    reportPath("report",
               cl::desc("Placement, reasons and predicted cost of every op "
                        "(- is standard output)"),
               cl::value_desc("FILE.json|FILE.html"), cl::cat(outputOptions));
static cl::opt<std::string>
    tracePath("trace",
              cl::desc("Predicted times of programs and ops in Chrome's trace "
                       "format (- is standard output)"),
              cl::value_desc("FILE.json"), cl::cat(outputOptions));
static cl::opt<std::string> dialect(
    "dialect",
    cl::desc("Spelling of MIL text: modern or verbose (default: the target's)"),
    cl::cat(outputOptions));
static cl::opt<bool> verifyNumerics(
    "verify-each-numerics",
    cl::desc("Run the interpreter before and after every pass on a random "
             "input and stop at the first that changes a result; prints the "
             "error of each"),
    cl::cat(outputOptions));
static cl::opt<std::string>
    explained("explain",
              cl::desc("Say what is known of a rule, limit or source, and with "
                       "what evidence; converts nothing"),
              cl::value_desc("ID"), cl::cat(outputOptions));
static cl::opt<bool> quiet("quiet", cl::desc("No progress and no summary"),
                           cl::cat(outputOptions));

static int usage(const llvm::Twine &message) {
  llvm::errs() << "onnx-to-ane: " << printable(message.str(), true)
               << "; see --help\n";
  return 2;
}

/// "a=1", "b=2,3" (commas may have been split already).
static bool parseInts(StringRef text, SmallVectorImpl<int64_t> &values) {
  SmallVector<StringRef> parts;
  text.split(parts, ',');
  for (StringRef part : parts) {
    int64_t value;
    if (part.getAsInteger(10, value) || value < 0 || value > INT32_MAX)
      return false;
    values.push_back(value);
  }
  return true;
}

/// The first name that an option has twice, with values that differ.
static std::string findTwice(const cl::list<std::string> &entries) {
  llvm::StringMap<StringRef> values;
  for (StringRef entry : entries) {
    auto [name, value] = entry.split('=');
    auto [slot, isNew] = values.try_emplace(name, value);
    if (!isNew && slot->second != value)
      return ("--" + entries.ArgStr + " says '" + name + "' twice: " +
              slot->second + " and " + value)
          .str();
  }
  return "";
}

/// An output without elements is seldom meant; --dim batch=0 makes one.
static void warnOfNothing(ModuleOp module) {
  for (auto function : module.getOps<func::FuncOp>())
    for (auto [i, type] : llvm::enumerate(function.getResultTypes())) {
      auto tensor = dyn_cast<RankedTensorType>(type);
      auto name = function.getResultAttrOfType<StringAttr>(i, "ane.name");
      if (name && tensor && llvm::is_contained(tensor.getShape(), 0))
        function.emitWarning() << "output '" << name.getValue()
                               << "' has no elements: its type is " << tensor;
    }
}

/// Prints IR to the output, and puts all outputs in place.
static LogicalResult printModule(Operation *op, StringRef path,
                                 Outputs &outputs) {
  std::string text;
  llvm::raw_string_ostream os(text);
  op->print(os);
  os << '\n';
  path = path.empty() ? "-" : path;
  if (llvm::Error error = outputs.addText(path, text))
    return emitError(op->getLoc()) << llvm::toString(std::move(error));
  outputs.makeLast(path);
  return commitOutputs(outputs, op->getLoc());
}

/// Marks the ops of the nodes that a file {"node": "ane" or "host", …} names.
static llvm::Error readPlacement(ModuleOp module, StringRef path) {
  auto buffer = llvm::MemoryBuffer::getFile(path);
  if (!buffer)
    return llvm::createStringError(buffer.getError(),
                                   "cannot read '" + path + "'");
  auto json = parseJSON((*buffer)->getBuffer());
  if (!json)
    return llvm::createStringError("'" + path +
                                   "': " + llvm::toString(json.takeError()));
  const llvm::json::Object *object = json->getAsObject();
  if (!object)
    return llvm::createStringError(
        "'" + path + "': expects an object {\"node\": \"ane\" or \"host\"}");
  llvm::StringMap<bool> seen;
  for (auto &[node, wanted] : *object) {
    auto text = wanted.getAsString();
    if (!text || (*text != "ane" && *text != "host"))
      return llvm::createStringError("'" + path +
                                     "': expects \"ane\" or "
                                     "\"host\" for node '" +
                                     StringRef(node) + "'");
    seen[StringRef(node)] = false;
  }
  module.walk([&](Operation *op) {
    auto name = dyn_cast<NameLoc>(op->getLoc());
    if (!name || !isa<LegalityOpInterface>(op))
      return;
    StringRef node = name.getName().getValue();
    if (auto wanted = object->getString(node)) {
      op->setAttr("ane.wanted", StringAttr::get(op->getContext(), *wanted));
      seen[node] = true;
    }
  });
  for (auto &entry : seen)
    if (!entry.second)
      return llvm::createStringError("'" + path + "': no op comes from node '" +
                                     entry.getKey() + "'");
  return llvm::Error::success();
}

/// Fills what the options say of a package; a message on misuse.
static std::string readPackageOptions(PackageOptions &package, bool used) {
  for (cl::Option &option :
       std::initializer_list<std::reference_wrapper<cl::Option>>{
           imageInputs, stateInputs, classLabels, classProbabilities, opsetName,
           bucketKind, author, license, modelVersion, description})
    if (option.getNumOccurrences() && !used)
      return "--" + option.ArgStr.str() +
             " is about packages; expects -o OUT.mlpackage";
  package.author = author;
  package.license = license;
  package.version = modelVersion;
  package.description = description;
  package.userDefined.push_back(
      {"source", llvm::sys::path::filename(StringRef(input).rtrim('/')).str()});
  for (StringRef entry : imageInputs) {
    auto [name, rest] = entry.rsplit('=');
    SmallVector<StringRef> parts;
    rest.split(parts, ',');
    ImageInput image;
    image.name = name.str();
    image.colorSpace = parts[0] == "RGB"    ? 20
                       : parts[0] == "BGR"  ? 30
                       : parts[0] == "GRAY" ? 10
                                            : 0;
    bool good = image.colorSpace && !name.empty() && parts.size() <= 5;
    for (auto [i, part] : llvm::enumerate(llvm::drop_begin(parts))) {
      double number = 0;
      good &= !part.getAsDouble(number);
      if (i == 0)
        image.scale = number;
      else
        image.bias.push_back(number);
    }
    if (!good)
      return ("expects --image-input NAME=RGB|BGR|GRAY[,SCALE[,BIAS…]], but "
              "got '" +
              entry + "'")
          .str();
    package.images.push_back(image);
  }
  for (StringRef entry : stateInputs) {
    auto [in, out] = entry.split('=');
    if (in.empty() || out.empty())
      return ("expects --state INPUT=OUTPUT, but got '" + entry + "'").str();
    package.states.push_back({in.str(), out.str()});
  }
  if (bucketKind != "auto" && bucketKind != "shapes" &&
      bucketKind != "functions")
    return "expects --buckets to be auto, shapes or functions, but got '" +
           bucketKind + "'";
  package.buckets = bucketKind == "auto"     ? PackageOptions::Buckets::Auto
                    : bucketKind == "shapes" ? PackageOptions::Buckets::Shapes
                                             : PackageOptions::Buckets::Functions;
  if (!quiet)
    package.note = [](const std::string &text) {
      llvm::errs() << "onnx-to-ane: note: " << text << '\n';
    };
  if (!opsetName.empty()) {
    package.opset = mil::opsetNumber(opsetName);
    if (!llvm::is_contained({15, 16, 17, 18, 26}, *package.opset))
      return "expects --opset to be ios15, ios16, ios17, ios18 or ios26, but "
             "got '" +
             opsetName + "'";
  }
  package.probabilities = classProbabilities;
  if (classLabels.empty())
    return classProbabilities.empty()
               ? ""
               : "--class-probabilities has no effect without --class-labels";
  auto buffer = llvm::MemoryBuffer::getFile(classLabels);
  if (!buffer)
    return "cannot read '" + classLabels + "': " + buffer.getError().message();
  SmallVector<StringRef> lines;
  (*buffer)->getBuffer().rtrim().split(lines, '\n');
  for (StringRef line : lines)
    package.classLabels.push_back(line.rtrim('\r').str());
  return "";
}

/// What a package said of itself and of its inputs goes into the one made from
/// it, where the options do not say otherwise.
static void addProvenance(PackageOptions &package, const PackageInfo &info,
                          const PackageInfo::Function *function) {
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
    if (!field)
      package.userDefined.push_back({key, text});
    else if (field->empty())
      *field = text;
  }
}

/// Warns of outputs below the bar, with where accuracy is lost; 1 where the
/// user's own bar is missed.
static int reportAccuracy(const AccuracyReport &found) {
  bool fails = false;
  for (const OutputAccuracy &o : found.accuracy.outputs) {
    bool misses = (maxError > 0 && (o.error > maxError || o.nonFinite ||
                                    o.differing > 0)) ||
                  (minCosine > 0 && (o.cosine < minCosine || o.nonFinite));
    fails |= misses;
    if (o.isWithinBar() && !misses)
      continue;
    std::string text;
    llvm::raw_string_ostream os(text);
    if (o.nonFinite)
      os << "is not finite where fp32 is, or the other way round";
    else if (o.differing > 0)
      os << llvm::format("has %.3g %% of integers that differ from fp32",
                         100 * o.differing);
    else
      os << llvm::format("has cosine %.5f against fp32 and errors up to %.3g "
                         "%% of its largest magnitude",
                         o.cosine, 100 * o.error);
    if (!found.losses.empty()) {
      const Loss &loss = found.losses.front();
      os << "; the first to lose accuracy is '" << loss.op << "' at "
         << nameOf(loss.where);
      if (std::isinf(loss.error))
        os << ", whose result fp16 cannot hold";
      else
        os << llvm::format(", whose result is off by %.2g %%",
                           100 * loss.error);
    }
    llvm::errs() << "onnx-to-ane: " << (misses ? "error" : "warning")
                 << ": output '" << printable(o.name) << "' " << os.str()
                 << " (in " << found.numerics << " numerics, on "
                 << (found.guessed ? "guessed inputs; --calibration=DIR gives "
                                     "real ones"
                                   : "the samples given")
                 << ")\n";
  }
  return fails;
}

static int runTool(int argc, char **argv);

int main(int argc, char **argv) {
  // What is thrown is caught where the node is known; this is for the rest.
  try {
    return runTool(argc, argv);
  } catch (const EvaluationError &error) {
    llvm::errs() << "onnx-to-ane: error: '" << input << "': " << error.message
                 << '\n';
  } catch (const std::bad_alloc &) {
    llvm::errs() << "onnx-to-ane: error: '" << input
                 << "' does not fit this machine's memory\n";
  }
  return 1;
}

static int runTool(int argc, char **argv) {
  llvm::InitLLVM init(argc, argv);
  // LLVM ends the process where memory does not suffice; main says it instead.
  std::set_new_handler(nullptr);
  llvm::install_bad_alloc_error_handler(
      [](void *, const char *, bool) { throw std::bad_alloc(); });
  registerPassManagerCLOptions();
  registerMLIRContextCLOptions();
  registerDefaultTimingManagerCLOptions();
  cl::HideUnrelatedOptions(
      {&modelOptions, &targetOptions, &packageOptions, &outputOptions});
  cl::SetVersionPrinter([](llvm::raw_ostream &os) {
    os << "ane-mlir " ANEMLIR_VERSION "\n  LLVM " LLVM_VERSION_STRING
          "\n  targets:";
    for (const Target &target : getTargets())
      os << ' ' << target.name << " (" << target.summary << ')';
    os << '\n';
  });
  if (!cl::ParseCommandLineOptions(argc, argv,
                                   "Converts an ONNX model, or a Core ML "
                                   "package, to MIL programs and weights for "
                                   "Apple's Neural Engine.\n\n"
                                   "  onnx-to-ane model.onnx -o model.anepkg "
                                   "--target=m4 --report=model.html\n"
                                   "  ane-run model.anepkg --random-inputs=0\n"
                                   "  onnx-to-ane model.onnx -o "
                                   "model.mlpackage --dim sequence=64,128\n"
                                   "  onnx-to-ane model.mlpackage -o "
                                   "model.anepkg\n",
                                   &llvm::errs()))
    return 2;
  if (explained.getNumOccurrences())
    return explain(explained, llvm::outs()) ? 0 : 2;
  if (input.empty())
    return usage("expects a model");
  const Target *target = lookupTarget(targetName);
  if (!target) {
    std::string known;
    for (const Target &each : getTargets()) {
      known += (known.empty() ? "" : ", ") + each.name.str();
      if (!each.chips.empty())
        known += " (" + llvm::join(each.chips, ", ") + ")";
    }
    return usage("unknown target '" + targetName + "'; expects one of " +
                 known);
  }
  if (precision != "mixed" && precision != "fp16" && precision != "fp32")
    return usage("expects --precision to be mixed, fp16 or fp32, but got '" +
                 precision + "'");
  // One thing inside; the host's part is what makes it mixed.
  if (precision == "mixed")
    precision = std::string("fp16");
  if (checkMode != "off" && checkMode != "fast" && checkMode != "full")
    return usage("expects --check to be off, fast or full, but got '" +
                 checkMode + "'");
  for (auto &[option, given] :
       {std::pair<StringRef, bool>("--max-error",
                                   maxError.getNumOccurrences() > 0),
        {"--min-cosine", minCosine.getNumOccurrences() > 0}})
    if (given && (checkMode == "off" || precision == "fp32" ||
                  !compileTo.empty()))
      return usage(option + " is about the check of what is written; expects "
                            "fp16, -o and no --check=off");
  bool placementFile = StringRef(placement).ends_with(".json");
  static constexpr StringLiteral placements[] = {"auto", "cost", "ane", "host"};
  if (!placementFile && !llvm::is_contained(placements, StringRef(placement)))
    return usage("expects --placement to be auto, cost, ane, host or "
                 "FILE.json, but got '" +
                 placement + "'");
  if (!dialect.empty() && dialect != "modern" && dialect != "verbose")
    return usage("expects --dialect to be modern or verbose, but got '" +
                 dialect + "'");
  StringRef extension =
      llvm::sys::path::extension(StringRef(output).rtrim('/'));
  if (compileTo.empty() && extension != ".anepkg" && extension != ".mil" &&
      extension != ".mlir" && extension != ".mlpackage")
    return usage(output.empty()
                     ? "expects -o OUT.anepkg, OUT.mlpackage, OUT.mil or "
                       "OUT.mlir"
                 : output == "-"
                     ? "several files cannot go to standard output; expects -o "
                       "OUT.anepkg, OUT.mlpackage or OUT.mil, or --compile-to"
                     : "does not know how to write '" + output +
                           "'; expects a name that ends in .anepkg, "
                           ".mlpackage, .mil or .mlir");
  static constexpr StringLiteral phases[] = {"onnx", "ane", "optimized",
                                             "placed", "mil"};
  if (!compileTo.empty() && !llvm::is_contained(phases, StringRef(compileTo)))
    return usage("expects --compile-to to be onnx, ane, optimized, placed or "
                 "mil, but got '" +
                 compileTo + "'");
  for (StringRef pass : disabled)
    if (!isKnownPass(pass))
      return usage("no optional pass is named '" + pass + "'");
  StringRef reportForm = llvm::sys::path::extension(reportPath);
  if (!reportPath.empty() && reportForm != ".json" && reportForm != ".html" &&
      !isStream(reportPath))
    return usage("expects --report=FILE.json or FILE.html, but got '" +
                 reportPath + "'");
  for (const cl::list<std::string> *list :
       {std::addressof(inputShapes), std::addressof(inputValues),
        std::addressof(maxLengths), std::addressof(rules),
        std::addressof(imageInputs), std::addressof(stateInputs)})
    if (std::string twice = findTwice(*list); !twice.empty())
      return usage(twice);
  MemoryBudget::setConstantLimit(maxConstantBytes);
  // What would be accepted and have no effect.
  if (compileTo.empty() && extension != ".anepkg")
    for (auto &[option, given] :
         {std::pair<StringRef, bool>("--report", !reportPath.empty()),
          {"--trace", !tracePath.empty()},
          {"--rule", !rules.empty()},
          {"--placement", placement.getNumOccurrences() > 0},
          {"--require-ane", requireANE}})
      if (given)
        return usage(option + " is about placed programs; expects -o OUT.anepkg");
  if (liveBytes > 0 && extension == ".mlpackage")
    return usage("--live-bytes has no effect on a package; Core ML divides "
                 "large values itself");
  if (calibration.getNumOccurrences() && precision == "fp32")
    return usage("--calibration is for fp16; with --precision=fp32 nothing is "
                 "repaired");
  if (quantize != "none" && quantize != "int8")
    return usage("expects --quantize to be none or int8, but got '" + quantize +
                 "'");
  if (quantize == "int8" && precision == "fp32")
    return usage("--quantize is for fp16");
  if (quantize == "int8" && verifyNumerics)
    return usage("--quantize changes values, which --verify-each-numerics "
                 "would stop at");
  bool olderText = extension != ".mlpackage" && target->verboseDialect;
  if (quantize == "int8" && olderText)
    return usage("--quantize writes constants of ios18, which " + target->name +
                 " was not seen to take");
  if (liveBytes < 0)
    return usage("expects --live-bytes to be 0 or more");
  for (StringRef rule : rules) {
    auto [id, state] = rule.split('=');
    if (state != "on" && state != "off")
      return usage("expects --rule=ID=on or ID=off, but got '" + rule + "'");
    if (!canSwitchRule(id))
      return usage(lookupRule(id) ? "rule " + id +
                                        " is not about what an operation may "
                                        "be; it cannot be switched"
                                  : "no rule is named '" + id + "'" +
                                        (nearestRule(id).empty()
                                             ? ""
                                             : "; did you mean " +
                                                   nearestRule(id) + "?"));
  }
  bool fromMIL = MILSource::matches(StringRef(input));
  for (auto &[option, given] :
       {std::pair<StringRef, bool>("--dim", !dims.empty()),
        {"--input-value", !inputValues.empty()},
        {"--max-length", !maxLengths.empty()},
        {"--random", randomNumbers.getNumOccurrences() > 0},
        {"--quantized-activations",
         quantizedActivations.getNumOccurrences() > 0},
        {"--outputs", !outputNames.empty()},
        {"--compile-to=onnx", compileTo == "onnx"}})
    if (given && fromMIL)
      return usage(option + " is for ONNX models");
  if (!fromMIL && !functionName.empty())
    return usage("--function is for packages; an ONNX model has one function");
  bool toPackage = compileTo.empty() && extension == ".mlpackage";
  PackageOptions package;
  std::string problem = readPackageOptions(package, toPackage);
  if (!problem.empty())
    return usage(problem);
  ONNXToANEOptions options;
  // A list of values follows its name: a=1,2,b=3.
  SmallVector<std::pair<StringRef, SmallVector<int64_t>>> dimValues;
  for (StringRef entry : dims) {
    auto [name, value] = entry.split('=');
    if (!entry.contains('=') && !dimValues.empty()) {
      value = name;
    } else {
      dimValues.push_back({name, {}});
    }
    SmallVector<int64_t> &values = dimValues.back().second;
    size_t before = values.size();
    if (dimValues.back().first.empty() || !parseInts(value, values) ||
        values.size() != before + 1)
      return usage("expects --dim NAME=N[,N…], but got '" + entry + "'");
  }
  for (size_t i = 0; i < dimValues.size(); ++i)
    for (size_t k = 0; k < i; ++k)
      if (dimValues[i].first == dimValues[k].first &&
          dimValues[i].second != dimValues[k].second)
        return usage("--dim says '" + dimValues[i].first +
                     "' twice; several values are --dim " +
                     dimValues[i].first + "=" +
                     llvm::Twine(dimValues[k].second.front()) + "," +
                     llvm::Twine(dimValues[i].second.front()));
  // Every combination of values is one function.
  std::vector<std::pair<std::string, std::vector<int64_t>>> buckets{{"", {}}};
  for (auto &[name, values] : dimValues) {
    std::vector<std::pair<std::string, std::vector<int64_t>>> next;
    for (auto &[label, chosen] : buckets)
      for (int64_t value : values) {
        next.push_back({label, chosen});
        next.back().second.push_back(value);
        if (values.size() > 1)
          next.back().first += (next.back().first.empty() ? "" : "_") +
                               name.str() + std::to_string(value);
      }
    buckets = std::move(next);
  }
  if (buckets.size() > 1 && !toPackage)
    return usage("several values of a dimension make several functions, which "
                 "only a package has; expects -o OUT.mlpackage");
  if (buckets.size() > 64)
    return usage("expects at most 64 combinations of dimensions, but got " +
                 llvm::Twine(buckets.size()));
  for (StringRef entry : inputShapes) {
    auto [name, value] = entry.rsplit('=');
    SmallVector<int64_t> shape;
    if (name.empty() || (!value.empty() && !parseInts(value, shape)))
      return usage("expects --input-shape NAME=1,3,224,224, but got '" + entry +
                   "'");
    options.inputShapes[name] = shape;
  }
  for (StringRef entry : maxLengths) {
    auto [name, value] = entry.rsplit('=');
    int64_t length;
    if (name.empty() || value.getAsInteger(10, length) || length < 1 ||
        length > INT32_MAX)
      return usage("expects --max-length NODE=N, but got '" + entry + "'");
    options.maxLengths[name] = length;
  }
  if (randomNumbers != "mean" && randomNumbers != "input")
    return usage("expects --random to be mean or input, but got '" +
                 randomNumbers + "'");
  options.randomInputs = randomNumbers == "input";
  if (quantizedActivations != "float" && quantizedActivations != "keep")
    return usage("expects --quantized-activations to be float or keep, but "
                 "got '" +
                 quantizedActivations + "'");
  options.half = precision == "fp16";
  options.keepSteps = quantizedActivations == "keep";

  DialectRegistry registry;
  registerAllDialects(registry);
  MLIRContext context(registry);
  context.loadDialect<ANEDialect, func::FuncDialect>();
  ToolDiagnostics diagnostics(&context, input);
  Progress progress(quiet);
  if (compileTo.empty()) // rather than after an hour
    if (llvm::Error error = checkReplaceable(output))
      return emitError(UnknownLoc::get(&context))
                 << llvm::toString(std::move(error)),
             1;
  auto stopAt = [&](StringRef phase) { return compileTo == phase; };

  for (StringRef entry : inputValues) {
    auto [name, path] = entry.split('=');
    if (name.empty() || path.empty())
      return usage("expects --input-value NAME=FILE.pb, but got '" + entry +
                   "'");
    FailureOr<NamedTensor> tensor = importTensorProto(path, &context);
    if (failed(tensor))
      return 1;
    options.inputValues[name] = tensor->value;
  }

  auto importModel = [&](const ONNXToANEOptions &bound) -> OwningOpRef<ModuleOp> {
    progress.phase("reading");
    OwningOpRef<ModuleOp> module;
    if (fromMIL) {
      FailureOr<MILSource> source = MILSource::open(input, &context);
      if (failed(source))
        return {};
      FailureOr<mil::FuncOp> func = source->function(functionName);
      if (failed(func))
        return {};
      ShapeBindings shapes;
      for (auto &entry : bound.inputShapes)
        shapes[entry.getKey()] = entry.getValue();
      progress.phase("converting");
      module = ModuleOp::create(source->module->getLoc());
      OpBuilder builder = OpBuilder::atBlockEnd(module->getBody());
      if (failed(convertMILToFunction(builder, *func, source->weights,
                                      source->bindShapes(*func, shapes))))
        return {};
      addProvenance(package, source->info, source->describe(*func));
    } else {
      module = importONNX(
          input, &context,
          std::vector<std::string>(outputNames.begin(), outputNames.end()));
      if (!module || stopAt("onnx"))
        return module;
      progress.phase("converting");
      if (failed(convertONNXToANE(*module, bound)))
        return {};
    }
    (*module)->setAttr("ane.target", TargetAttr::get(&context, target->name));
    if (!rules.empty()) {
      Builder builder(&context);
      NamedAttrList states;
      for (StringRef rule : rules)
        states.set(rule.split('=').first,
                   builder.getBoolAttr(rule.split('=').second == "on"));
      (*module)->setAttr("ane.rules", states.getDictionary(&context));
    }
    return module;
  };

  PipelineOptions pipeline;
  pipeline.precision = precision;
  pipeline.placement = requireANE      ? std::string("ane")
                       : placementFile ? std::string("auto")
                                       : placement;
  if (compileTo.empty() && extension == ".mlpackage")
    pipeline.door = "coreml";
  pipeline.liveBytes = liveBytes;
  pipeline.quantize = quantize;
  // Compressed constants are of ios18.
  pipeline.keepIntegers =
      precision == "fp16" && !olderText && package.opset.value_or(18) >= 18;
  for (StringRef pass : disabled)
    pipeline.disable.push_back(pass.str());
  PassLog passLog;
  NumericsVerifier verifier;
  auto run = [&](ModuleOp module, auto build) {
    PassManager pm(&context);
    pm.enableVerifier(false);
    if (failed(applyPassManagerCLOptions(pm)))
      return failure();
    applyDefaultTimingPassManagerCLOptions(pm);
    build(pm, pipeline);
    if (!reportPath.empty())
      passLog.attach(pm);
    if (verifyNumerics)
      verifier.attach(pm);
    return success(succeeded(pm.run(module)) && !verifier.failed());
  };
  auto optimise = [&](ModuleOp module, NumericGuard &guard) -> LogicalResult {
    if (precision == "fp16" && failed(guard.start(module)))
      return failure();
    if (verifyNumerics) {
      progress.phase("running in the interpreter");
      if (failed(verifier.start(module)))
        return failure();
    }
    progress.phase("optimising");
    if (failed(run(module, buildOptimizePipeline)))
      return failure();
    if (precision == "fp32")
      return run(module, buildRepairPipeline);
    progress.phase("measuring");
    return guard.repair(module, [&](ModuleOp module) {
      return run(module, buildRepairPipeline);
    });
  };

  // One module per combination of dimensions.
  std::vector<OwningOpRef<ModuleOp>> modules;
  std::vector<PackageFunction> functions;
  std::vector<std::unique_ptr<NumericGuard>> guards;
  GuardOptions guardOptions;
  guardOptions.calibration = calibration;
  guardOptions.check = checkMode == "off"    ? GuardOptions::Check::Off
                       : checkMode == "full" ? GuardOptions::Check::Full
                                             : GuardOptions::Check::Fast;
  guardOptions.placed = pipeline.door == "raw" && extension != ".mil";
  auto compileAll = [&]() -> LogicalResult {
    modules.clear();
    functions.clear();
    guards.clear();
    for (auto &[label, chosen] : buckets) {
      ONNXToANEOptions bound = options;
      for (auto [dim, value] : llvm::zip(dimValues, chosen))
        bound.dims[dim.first] = value;
      OwningOpRef<ModuleOp> imported = importModel(bound);
      if (!imported)
        return failure();
      modules.push_back(std::move(imported));
      if (stopAt("onnx") || stopAt("ane"))
        return success();
      guards.push_back(std::make_unique<NumericGuard>(guardOptions));
      if (failed(optimise(*modules.back(), *guards.back())) ||
          (toPackage && failed(run(*modules.back(), buildPackagePipeline))))
        return failure();
      functions.push_back({*modules.back(),
                           label.empty() ? "main" : mil::makeIdentifier(label)});
    }
    return success();
  };
  if (failed(compileAll()))
    return 1;
  warnOfNothing(*modules[0]);
  Outputs outputs;
  if (stopAt("onnx") || stopAt("ane"))
    return failed(printModule(*modules[0], output, outputs));
  OwningOpRef<ModuleOp> &module = modules[0];
  BundleOptions bundle;
  if (!dialect.empty())
    bundle.verbose = dialect == "verbose";
  bundle.progress = [&](size_t done, size_t total, StringRef name) {
    progress.step(done, total, name);
  };
  if (stopAt("optimized") || (compileTo.empty() && extension == ".mlir"))
    return failed(printModule(*module, output, outputs));
  // A report on standard output is read by a program; people have the other.
  llvm::raw_ostream &summary =
      isStandardOutput(reportPath) || isStandardOutput(tracePath)
          ? llvm::errs()
          : llvm::outs();
  // What was written is run, and judged.
  auto check = [&]() -> bool {
    if (precision == "fp16") {
      progress.phase("checking");
      guards[0]->check(outputs.whereIs(output));
    }
    return false; // what it finds is judged later
  };
  auto judge = [&]() -> int {
    if (precision == "fp32")
      return 0;
    const AccuracyReport &found = guards[0]->report();
    if (!quiet)
      printAccuracy(summary, found);
    if (found.numerics.empty()) {
      if (maxError > 0 || minCosine > 0) {
        llvm::errs() << "onnx-to-ane: error: the accuracy that --max-error and "
                        "--min-cosine ask for could not be measured: "
                     << found.whyNot << '\n';
        return 1;
      }
      return 0;
    }
    return reportAccuracy(found);
  };
  if (compileTo.empty() && extension == ".mil")
    return failed(run(*module, buildUnplacedPipeline)) ||
           failed(writeMILFile(*module, output, bundle, outputs)) ||
           failed(commitOutputs(outputs, module->getLoc())) || check() || judge();

  if (toPackage) {
    progress.phase("writing");
    // Layouts are chosen by shape; products left as they are stay alike.
    std::string why;
    if (buckets.size() > 1 && bucketKind == "shapes")
      package.whyNotShapes = &why;
    LogicalResult written = writeMLPackage(functions, output, package, outputs);
    if (failed(written) && !why.empty()) {
      package.whyNotShapes = nullptr;
      for (StringRef pass : {"ane-matmul-to-conv", "ane-assign-layout"})
        pipeline.disable.push_back(pass.str());
      if (failed(compileAll()))
        return 1;
      progress.phase("writing");
      written = writeMLPackage(functions, output, package, outputs);
    }
    return failed(written) || failed(commitOutputs(outputs, module->getLoc())) ||
           check() || judge();
  }

  progress.phase("placing");
  if (placementFile)
    if (llvm::Error error = readPlacement(*module, placement)) {
      llvm::errs() << "onnx-to-ane: error: " << llvm::toString(std::move(error))
                   << '\n';
      return 1;
    }
  if (failed(run(*module, buildPlacePipeline)))
    return 1;
  if (verifyNumerics && !quiet)
    for (const NumericsVerifier::Entry &entry : verifier.entries())
      llvm::errs() << "verified: " << llvm::left_justify(entry.pass, 24)
                   << llvm::format(" error %.2e\n", entry.error);
  Report report = makeReport(*module, llvm::sys::path::filename(input));
  report.passes = passLog.changes;
  auto write = [&](StringRef path, auto print) -> LogicalResult {
    std::string text;
    llvm::raw_string_ostream os(text);
    print(os);
    if (llvm::Error error = outputs.addText(path, text))
      return emitError(module->getLoc()) << llvm::toString(std::move(error));
    return success();
  };
  auto writeReports = [&]() -> LogicalResult {
    bool page = StringRef(reportPath).ends_with(".html");
    if (!reportPath.empty() &&
        failed(write(reportPath, [&](llvm::raw_ostream &os) {
          page ? report.writeHTML(os) : report.writeJSON(os);
        })))
      return failure();
    return success(tracePath.empty() ||
                   succeeded(write(tracePath, [&](llvm::raw_ostream &os) {
                     report.writeTrace(os);
                   })));
  };
  if (!compileTo.empty() && failed(writeReports()))
    return 1;
  if (stopAt("placed"))
    return failed(printModule(*module, output, outputs));
  if (stopAt("mil")) {
    OwningOpRef<ModuleOp> mil = ModuleOp::create((*module).getLoc());
    OpBuilder builder = OpBuilder::atBlockEnd(mil->getBody());
    for (auto program : module->getOps<ProgramOp>()) {
      auto names = [](StringRef prefix, size_t count) {
        std::vector<std::string> list;
        for (size_t i = 0; i < count; ++i)
          list.push_back((prefix + Twine(i)).str());
        return list;
      };
      if (failed(
              convertANEToMIL(builder, program, program.getSymName(),
                              bundle.verbose.value_or(target->verboseDialect),
                              "@model_path/weights/weight.bin",
                              names("a", program.getArgumentTypes().size()),
                              names("z", program.getResultTypes().size()))))
        return 1;
    }
    return failed(printModule(*mil, output, outputs));
  }
  progress.phase("writing");
  if (failed(writeBundle(*module, output, bundle, outputs)))
    return 1;
  check();
  if (precision == "fp16")
    report.accuracy = guards[0]->report();
  if (failed(writeReports()))
    return 1;
  outputs.makeLast(output);
  if (failed(commitOutputs(outputs, module->getLoc())))
    return 1;
  if (!quiet)
    report.writeText(summary);
  return judge();
}
