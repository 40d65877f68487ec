//===- ane-run.cpp - runs what we emit, anywhere --------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Artifact/TestData.h"
#include "ane-mlir/Artifact/Compare.h"
#include "ane-mlir/Artifact/TensorFiles.h"
#include "ane-mlir/Support/AtomicPath.h"
#include "ane-mlir/Support/Budget.h"
#include "ane-mlir/Support/Diagnostics.h"
#include "ane-mlir/Artifact/Artifact.h"
#include "dialects/MIL/IR/Names.h"
#include "dialects/MIL/IR/MIL.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/ErrorHandling.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/Path.h"
#include <cmath>
#include <new>
#include <map>
#include <random>

using namespace mlir;
using namespace mlir::ane;
namespace cl = llvm::cl;

static cl::OptionCategory inputOptions("Inputs"), runOptions("Run"),
    outputOptions("Outputs and comparison");
static cl::opt<std::string> artifact(cl::Positional,
                                     cl::desc("ARTIFACT.anepkg|.mlpackage|.mlmodelc|.mil"),
                                     cl::cat(inputOptions));
static cl::list<std::string> inputs("input",
                                    cl::desc("Feed an input from a NumPy file"),
                                    cl::value_desc("NAME=FILE.npy"),
                                    cl::cat(inputOptions));
static cl::opt<int64_t>
    randomSeed("random-inputs",
               cl::desc("Seeded random inputs for those not given"),
               cl::value_desc("SEED"), cl::cat(inputOptions));
static cl::opt<std::string> testData(
    "test-data",
    cl::desc("Test data: input_0.pb or .npy …; output_0.pb … are compared with"),
    cl::value_desc("DIR"), cl::cat(inputOptions));
static cl::opt<std::string>
    functionName("function",
                 cl::desc("Which function of a package to run (default: its "
                          "default one)"),
                 cl::value_desc("NAME"), cl::cat(inputOptions));
static cl::list<std::string>
    inputShapes("input-shape",
                cl::desc("The shape of an input that leaves dimensions open "
                         "(default: that of its file, or the package's)"),
                cl::value_desc("NAME=1,3,224,224"), cl::cat(inputOptions));
static cl::opt<std::string> numericsName(
    "numerics",
    cl::desc("What each op rounds to: fp16 (declared dtype, default), fp32, or "
             "engine (fp16 with the target's accumulators and tables)"),
    cl::init("fp16"), cl::cat(runOptions));
static cl::opt<bool> noVerify(
    "no-verify",
    cl::desc("Do not compare weight files with the SHA-256 sums in their "
             "names"),
    cl::cat(runOptions));
static cl::opt<bool> profile("profile",
                             cl::desc("Time per op in the interpreter"),
                             cl::cat(runOptions));
static cl::opt<std::string>
    dumpDir("dump-intermediates",
            cl::desc("Write every op's first result as .npy"),
            cl::value_desc("DIR"), cl::cat(runOptions));
static cl::opt<std::string>
    outputDir("output-dir", cl::desc("Write output_0.npy … and outputs.json"),
              cl::value_desc("DIR"), cl::cat(outputOptions));
static cl::opt<std::string>
    compareDir("compare",
               cl::desc("Compare with output_0.npy or output_0.pb … of DIR"),
               cl::value_desc("DIR"), cl::cat(outputOptions));
static cl::opt<double> rtol("rtol",
                            cl::desc("Relative tolerance (default 1e-3)"),
                            cl::init(1e-3), cl::cat(outputOptions));
static cl::opt<double> atol_(
    "atol",
    cl::desc(
        "Absolute tolerance (default 1e-3 of each output's largest magnitude)"),
    cl::init(-1), cl::cat(outputOptions));
static cl::opt<uint64_t> maxConstantBytes(
    "max-constant-bytes",
    cl::desc("Most memory for values that are computed from the artifact's "
             "constants (default 1 GB and 32 bytes for each byte of its "
             "files)"),
    cl::value_desc("N"), cl::init(0), cl::cat(runOptions));
static cl::opt<bool> quiet("quiet", cl::desc("Print nothing but errors"),
                           cl::cat(outputOptions));

static int fail(const llvm::Twine &message, int code = 1) {
  llvm::errs() << "ane-run: error: " << printable(message.str(), true) << '\n';
  return code;
}

/// NAME=FILE, where a name may have a '=' of its own: FILE is there.
static std::pair<StringRef, StringRef> splitInput(StringRef entry) {
  for (size_t at = entry.find('='); at != StringRef::npos;
       at = entry.find('=', at + 1))
    if (llvm::sys::fs::exists(entry.drop_front(at + 1)))
      return {entry.take_front(at), entry.drop_front(at + 1)};
  return entry.split('=');
}

/// By the name in the artifact, that in the model, or, in a text, which has no
/// other names, the only one that can stand for it.
static const Port *findPort(ArrayRef<Port> ports, StringRef name) {
  for (const Port &port : ports)
    if (port.name == name)
      return &port;
  for (const Port &port : ports)
    if (port.alias == name)
      return &port;
  std::string identifier = mil::makeIdentifier(name);
  const Port *found = ports.end();
  for (const Port &port : ports)
    if (StringRef(port.name).rtrim('_') == StringRef(identifier).rtrim('_')) {
      if (found != ports.end())
        return ports.end();
      found = &port;
    }
  return found;
}

/// Adds a tensor to the files of a folder.
static llvm::Error writeNpy(StringRef path, const Tensor &tensor,
                            Outputs &files) {
  auto made = files.addFile(path);
  return made ? writeNpy(*made, path, tensor) : made.takeError();
}
/// Says what an array becomes that is of another dtype than the input it is
/// for; an error where that loses values.
static std::string describeConversion(const Tensor &tensor, const Port &port) {
  DType from = tensor.dtype(), to = port.dtype;
  if (from == to || from == port.carrier)
    return "";
  auto refuse = [&](const llvm::Twine &why) {
    return ("input '" + port.name + "' expects " + getInfo(to).name +
            ", but its file has " + getInfo(from).name + why +
            "; save it with astype")
        .str();
  };
  if (tensor.isFloat() && !isFloat(to))
    for (float value : tensor.floats())
      if (value != std::trunc(value))
        return refuse(" with fractions");
  if (!tensor.isFloat() && isFloat(to))
    for (int64_t value : tensor.ints())
      if (int64_t(roundTo(to, float(value))) != value)
        return refuse(" that it does not hold exactly");
  if (to == DType::Bool)
    for (int64_t value : tensor.ints())
      if (value != 0 && value != 1)
        return refuse(" other than 0 and 1");
  if (!quiet)
    llvm::errs() << "ane-run: note: input '" << port.name << "' is "
                 << getInfo(from).name << " in its file and becomes "
                 << getInfo(to).name << '\n';
  return "";
}

/// Not a number goes through a model like any other value, and is seldom meant.
static void warnOfNaN(const Tensor &tensor, StringRef name) {
  if (quiet || !tensor.isFloat())
    return;
  if (size_t count = llvm::count_if(
          tensor.floats(), [](float value) { return std::isnan(value); }))
    llvm::errs() << "ane-run: note: input '" << name << "' holds NaN in "
                 << count << " of " << tensor.size() << " elements\n";
}

static int runTool(int argc, char **argv);

int main(int argc, char **argv) {
  try {
    return runTool(argc, argv);
  } catch (const EvaluationError &error) {
    return fail(error.message);
  } catch (const std::bad_alloc &) {
    return fail("this machine's memory does not suffice");
  }
}

static int runTool(int argc, char **argv) {
  llvm::InitLLVM init(argc, argv);
  // LLVM ends the process where memory does not suffice; main says it instead.
  std::set_new_handler(nullptr);
  llvm::install_bad_alloc_error_handler(
      [](void *, const char *, bool) { throw std::bad_alloc(); });
  cl::HideUnrelatedOptions({&inputOptions, &runOptions, &outputOptions});
  cl::SetVersionPrinter([](llvm::raw_ostream &os) {
    os << "ane-mlir " ANEMLIR_VERSION "\n  LLVM " LLVM_VERSION_STRING "\n";
  });
  if (!cl::ParseCommandLineOptions(
          argc, argv,
          "Runs a bundle or MIL text in the reference interpreter.\n\n"
          "  ane-run model.anepkg --test-data test_data_set_0 --rtol 1e-2\n"
          "  ane-run model.anepkg --input x=x.npy --output-dir out\n",
          &llvm::errs()))
    return 2;
  if (artifact.empty())
    return fail("expects an artifact; see --help", 2);
  std::optional<Numerics> numerics = lookupNumerics(numericsName);
  if (!numerics)
    return fail("expects --numerics to be fp32, fp16 or engine, but got '" +
                    numericsName + "'",
                2);

  DialectRegistry registry;
  registry.insert<ANEDialect, mil::MILDialect>();
  registerEvaluationModels(registry);
  MLIRContext context(registry);
  context.loadDialect<ANEDialect>();
  ToolDiagnostics diagnostics(&context, artifact);
  LoadOptions load;
  load.function = functionName;
  load.verify = !noVerify;
  llvm::StringMap<Tensor> given;
  llvm::StringMap<std::string> unread;
  MemoryBudget::setConstantLimit(maxConstantBytes);
  llvm::StringMap<StringRef> files;
  for (StringRef entry : inputs) {
    auto [name, path] = splitInput(entry);
    if (path.empty())
      return fail("expects --input NAME=FILE.npy", 2);
    auto [slot, isNew] = files.try_emplace(name, path);
    if (!isNew && slot->second != path)
      return fail("--input says '" + name + "' twice: " + slot->second +
                      " and " + path,
                  2);
    // Whether the name is one of an input is more worth saying than why its
    // file cannot be read.
    auto tensor = readNpy(path);
    if (!tensor) {
      unread[name] = llvm::toString(tensor.takeError());
      tensor = Tensor();
    } else {
      load.shapes[name] = SmallVector<int64_t>(tensor->shape());
    }
    given[name] = *tensor;
  }
  llvm::StringMap<StringRef> shapesGiven;
  for (StringRef entry : inputShapes) {
    auto [name, text] = entry.rsplit('=');
    SmallVector<StringRef> parts;
    text.split(parts, ',');
    SmallVector<int64_t> shape;
    for (StringRef part : parts)
      if (int64_t dim; !part.getAsInteger(10, dim) && dim >= 0)
        shape.push_back(dim);
    if (name.empty() || shape.size() != parts.size())
      return fail("expects --input-shape NAME=1,3,224,224, but got '" + entry +
                      "'",
                  2);
    if (auto [slot, isNew] = shapesGiven.try_emplace(name, text);
        !isNew && slot->second != text)
      return fail("--input-shape says '" + name + "' twice", 2);
    load.shapes[name] = shape;
  }
  FailureOr<std::unique_ptr<Executable>> executable =
      loadArtifact(artifact, &context, load);
  if (failed(executable))
    return 1;

  // Inputs: files by name, then test data by position, then random ones.
  ArrayRef<Port> ports = (*executable)->inputs();
  std::vector<Tensor> arguments(ports.size());
  for (auto &entry : given) {
    StringRef name = entry.getKey();
    const Port *it = findPort(ports, name);
    if (it == ports.end())
      return fail("'" + name + "' is no input; the inputs are " +
                  llvm::join(llvm::map_range(
                                 ports, [](const Port &p) { return p.name; }),
                             ", "));
    if (auto why = unread.find(name); why != unread.end())
      return fail(why->getValue());
    if (std::string problem = describeConversion(entry.getValue(), *it);
        !problem.empty())
      return fail(problem);
    warnOfNaN(entry.getValue(), name);
    arguments[it - ports.begin()] = entry.getValue();
  }
  if (!testData.empty()) {
    std::vector<std::string> names;
    for (const Port &port : ports)
      names.push_back(port.name);
    if (llvm::Error error =
            readTestInputs(testData, names, &context, arguments))
      return fail(llvm::toString(std::move(error)));
  }
  std::mt19937_64 engine(randomSeed);
  for (auto [port, argument] : llvm::zip(ports, arguments)) {
    if (!argument) {
      if (ShapedType::isDynamicShape(port.shape))
        return fail("input '" + port.name +
                    "' leaves dimensions open; add --input-shape " + port.name +
                    "=N,N…");
      if (!randomSeed.getNumOccurrences())
        return fail("input '" + port.name + "' is not given; add --input " +
                    port.name + "=FILE.npy or --random-inputs=SEED");
      argument = randomTensor(port.dtype, port.shape, engine);
    }
    // A scalar is an array of one element in a package.
    if (argument.rank() == 0 && port.shape == SmallVector<int64_t>{1})
      argument = argument.reshaped(port.shape);
    if (argument.shape() != ArrayRef<int64_t>(port.shape))
      return fail("input '" + port.name + "' expects shape [" +
                  shapeText(port.shape) +
                  "], but got [" +
                  shapeText(argument.shape()) +
                  "]");
    auto carried = convertTensor(argument, port.carrier, port.name);
    if (!carried)
      return fail("input " + llvm::toString(carried.takeError()));
    argument = *carried;
  }

  // Run.
  std::map<std::string, std::pair<double, unsigned>> times;
  unsigned dumped = 0;
  Outputs dumps;
  llvm::Error notDumped =
      dumpDir.empty() ? llvm::Error::success() : dumps.makeParents(dumpDir);
  if (notDumped)
    return fail(llvm::toString(std::move(notDumped)));
  BlockInterpreter::Observer observer;
  if (profile || !dumpDir.empty())
    observer = [&](Operation *op, ArrayRef<Tensor>, ArrayRef<Tensor> results,
                   double seconds) {
      auto &entry = times[op->getName().getStringRef().str()];
      entry.first += seconds;
      ++entry.second;
      if (!dumpDir.empty() && !results.empty() &&
          !getInfo(results[0].dtype()).numpy.empty()) {
        SmallString<128> path(dumpDir.getValue());
        llvm::sys::path::append(path,
                                llvm::formatv("{0:d4}_{1}.npy", dumped++,
                                              op->getName().stripDialect())
                                    .str());
        if (!notDumped)
          notDumped = writeNpy(path, results[0], dumps);
      }
    };
  SmallVector<Tensor> results;
  bool ran =
      succeeded((*executable)->run(arguments, results, *numerics, observer));
  // What was computed before a failure is what is looked for then.
  if (!notDumped)
    notDumped = dumps.commit();
  if (notDumped)
    return fail(llvm::toString(std::move(notDumped)));
  if (!dumps.warning().empty())
    llvm::errs() << "ane-run: warning: " << dumps.warning() << '\n';
  if (llvm::Error error = MappedFile::checkUnchanged())
    return fail(llvm::toString(std::move(error)));
  if (!ran)
    return 1;
  ArrayRef<Port> outputs = (*executable)->outputs();
  for (auto [port, result] : llvm::zip(outputs, results)) {
    auto converted = convertTensor(result, port.dtype, port.name);
    if (!converted)
      return fail("output " + llvm::toString(converted.takeError()));
    result = *converted;
  }
  if (profile) {
    std::vector<std::pair<std::string, std::pair<double, unsigned>>> sorted(
        times.begin(), times.end());
    llvm::stable_sort(sorted, [](auto &a, auto &b) {
      return a.second.first > b.second.first;
    });
    llvm::outs() << "interpreter time on this machine, by op:\n";
    for (auto &[name, entry] : sorted)
      llvm::outs() << llvm::format("  %9.3f ms  %5u  ", entry.first * 1e3,
                                   entry.second)
                   << name << '\n';
  }

  // Outputs.
  if (!outputDir.empty()) {
    Outputs files;
    if (llvm::Error error = files.makeParents(outputDir))
      return fail(llvm::toString(std::move(error)));
    std::string text;
    llvm::raw_string_ostream os(text);
    llvm::json::OStream j(os, 2);
    j.arrayBegin();
    for (auto [i, result] : llvm::enumerate(results)) {
      std::string file = "output_" + std::to_string(i) + ".npy";
      SmallString<128> path(outputDir.getValue());
      llvm::sys::path::append(path, file);
      if (llvm::Error error = writeNpy(path, result, files))
        return fail(llvm::toString(std::move(error)));
      j.object([&, i = i, &result = result] {
        j.attribute("name", outputs[i].name);
        j.attribute("dtype", getInfo(result.dtype()).name);
        j.attributeArray("shape", [&] {
          for (int64_t dim : result.shape())
            j.value(dim);
        });
        j.attribute("file", file);
      });
    }
    j.arrayEnd();
    SmallString<128> path(outputDir.getValue());
    llvm::sys::path::append(path, "outputs.json");
    if (llvm::Error error = files.addText(path, os.str() + "\n"))
      return fail(llvm::toString(std::move(error)));
    if (llvm::Error error = files.commit())
      return fail(llvm::toString(std::move(error)));
    if (!files.warning().empty())
      llvm::errs() << "ane-run: warning: " << files.warning() << '\n';
  }
  bool ok = true, compared = false;
  StringRef expectedDir =
      !compareDir.empty() ? StringRef(compareDir) : StringRef(testData);
  if (!expectedDir.empty())
    for (auto [i, result] : llvm::enumerate(results)) {
      auto expected =
          readTestTensor(expectedDir, ("output_" + Twine(i)).str(), &context);
      if (!expected)
        return fail(llvm::toString(expected.takeError()));
      if (!*expected)
        continue;
      compared = true;
      Comparison comparison = compareTensors(result, *expected, rtol, atol_);
      printComparison(llvm::outs(), printable(outputs[i].name), comparison, result,
                      *expected, quiet);
      ok &= comparison.ok();
    }
  if (!compareDir.empty() && !compared)
    return fail("'" + compareDir + "' has no output_0.npy or output_0.pb");
  if (!quiet && !compared && outputDir.empty())
    for (auto [port, result] : llvm::zip(outputs, results)) {
      llvm::outs() << printable(port.name) << ": " << getInfo(result.dtype()).name << " ["
                   << shapeText(result.shape())
                   << "]";
      for (int64_t i = 0; i < std::min<int64_t>(result.size(), 6); ++i)
        llvm::outs() << ' '
                     << llvm::format("%.6g", result.isFloat()
                                                 ? double(result.floats()[i])
                                                 : double(result.ints()[i]));
      llvm::outs() << (result.size() > 6 ? " …\n" : "\n");
    }
  return ok ? 0 : 1;
}
