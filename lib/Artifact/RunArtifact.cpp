//===- RunArtifact.cpp - an artifact on a user's arrays -------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Artifact/RunArtifact.h"
#include "BundleFile.h"
#include "ane-mlir/Artifact/Compare.h"
#include "ane-mlir/Artifact/Feed.h"
#include "ane-mlir/Artifact/TensorFiles.h"
#include "ane-mlir/Artifact/TestData.h"
#include "ane-mlir/Support/AtomicPath.h"
#include "ane-mlir/Support/Diagnostics.h"
#include "ane-mlir/Support/Usage.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/Path.h"
#include <cmath>
#include <map>
#include <random>

using namespace mlir;
using namespace mlir::ane;

static llvm::Error wrong(const Twine &message) {
  return llvm::createStringError(message);
}

static SmallString<128> below(StringRef folder, const Twine &name) {
  SmallString<128> path(folder);
  llvm::sys::path::append(path, name);
  return path;
}

/// Adds a tensor to the files of a folder.
static llvm::Error writeNpy(StringRef path, const Tensor &tensor,
                            Outputs &files) {
  auto made = files.addFile(path);
  return made ? writeNpy(*made, path, tensor) : made.takeError();
}

namespace {
class Run {
public:
  Run(const RunOptions &options, MLIRContext *context)
      : options(options), context(context) {}
  llvm::Expected<bool> run();

private:
  llvm::Error readInputs();
  LogicalResult load();
  llvm::Error chooseFunction();
  llvm::Error checkShapes();
  llvm::Error placeInputs();
  llvm::Error fillInputs();
  llvm::Expected<bool> execute();
  llvm::Error dump(Operation *op, ArrayRef<Tensor> results);
  void printProfile();
  llvm::Error writeTrace();
  llvm::Error writeResults();
  llvm::Expected<bool> compareResults();
  void printResults();
  void note(const Twine &what) {
    if (!options.quiet)
      llvm::errs() << "ane-run: note: " << printable(what.str(), true) << '\n';
  }
  void warn(StringRef what) {
    if (!what.empty())
      llvm::errs() << "ane-run: warning: " << what << '\n';
  }
  llvm::Error noteDType(const Tensor &tensor, const Port &port);
  void warnOfNumbers(const Tensor &tensor, const Port &port);

  const RunOptions &options;
  MLIRContext *context;
  std::unique_ptr<Executable> executable;
  /// By name: arrays, and why some could not be read.
  llvm::StringMap<Tensor> given;
  llvm::StringMap<std::string> unread;
  std::vector<Tensor> arguments;
  SmallVector<Tensor> results;
  std::map<std::string, std::pair<double, unsigned>> times;
  Outputs dumps;
  unsigned dumped = 0;
  bool compared = false;
};
} // namespace

/// Says what an array becomes that is of another dtype than the input it is
/// for; an error where that loses values.
llvm::Error Run::noteDType(const Tensor &tensor, const Port &port) {
  if (llvm::Error error =
          checkDType(tensor, port, "its file", "save it with astype"))
    return error;
  if (tensor.dtype() != port.dtype && tensor.dtype() != port.carrier)
    note("input '" + port.name + "' is " + getInfo(tensor.dtype()).name +
         " in its file and becomes " + getInfo(port.dtype).name);
  return llvm::Error::success();
}

/// Not a number goes through a model like any other value, and is seldom meant;
/// what the surface does not hold becomes infinite there.
void Run::warnOfNumbers(const Tensor &tensor, const Port &port) {
  if (options.quiet || !tensor.isFloat())
    return;
  auto say = [&](StringRef what, StringRef more, auto is) {
    if (size_t count = llvm::count_if(tensor.floats(), is))
      note("input '" + port.name + "' holds " + what + " in " + Twine(count) +
           " of " + Twine(tensor.size()) + " elements" + more);
  };
  say("NaN", "", [](float value) { return std::isnan(value); });
  if (port.carrier == DType::Float16)
    say("numbers beyond fp16",
        ", which its surface has: they are infinite "
        "there",
        [](float value) {
          return std::isfinite(value) && std::fabs(value) >= 65520;
        });
}

//===----------------------------------------------------------------------===//
// Inputs: files by name, then test data by position, then random ones
//===----------------------------------------------------------------------===//

/// Whether a name is one of an input is more worth saying than why its file
/// cannot be read.
llvm::Error Run::readInputs() {
  for (auto &[name, path] : options.inputs) {
    auto tensor = readNpy(path);
    if (!tensor)
      unread[name] = llvm::toString(tensor.takeError());
    given[name] = tensor ? *tensor : Tensor();
  }
  return llvm::Error::success();
}

LogicalResult Run::load() {
  LoadOptions load = options.load;
  for (auto &entry : given)
    if (entry.getValue())
      load.shapes.try_emplace(entry.getKey(),
                              SmallVector<int64_t>(entry.getValue().shape()));
  FailureOr<std::unique_ptr<Executable>> loaded =
      options.open ? options.open(options.artifact, context)
                   : loadArtifact(options.artifact, context, load);
  if (failed(loaded))
    return failure();
  executable = std::move(*loaded);
  if (options.open) // a runtime, which knows nothing of training
    if (auto manifest = readManifest(options.artifact, context);
        succeeded(manifest))
      warnOfPatched(**manifest, context);
  return success();
}

/// Of several functions the first whose inputs have the shapes that are given.
llvm::Error Run::chooseFunction() {
  size_t count = executable->countFunctions();
  if (count < 2 || !options.load.function.empty() || given.empty())
    return llvm::Error::success();
  std::string others;
  for (size_t index = 0; index < count; ++index) {
    executable->selectFunction(index);
    bool fits = true;
    for (auto &entry : given) {
      const Port *port = findPort(executable->inputs(), entry.getKey());
      fits &= port && (!entry.getValue() || entry.getValue().shape() ==
                                                ArrayRef<int64_t>(port->shape));
    }
    if (fits)
      return llvm::Error::success();
    others += (index ? "; " : "") + executable->nameFunction(index).str() + ":";
    for (const Port &port : executable->inputs())
      if (!port.state)
        others += " " + port.name + " [" + shapeText(port.shape) + "]";
  }
  return wrong("no function takes arrays of these shapes; there are " + others);
}

/// Shapes that were given are those of inputs, and what the artifact has.
llvm::Error Run::checkShapes() {
  ArrayRef<Port> ports = executable->inputs();
  for (auto &entry : options.load.shapes) {
    StringRef name = entry.getKey();
    const Port *port = findPort(ports, name);
    if (!port)
      return wrong("--input-shape names '" + name + "', which is no input" +
                   suggest(name, llvm::map_to_vector(ports, [](const Port &p) {
                             return StringRef(p.name);
                           })));
    ArrayRef<int64_t> shape = entry.getValue();
    if (shape != ArrayRef<int64_t>(port->shape))
      return wrong("--input-shape gives '" + name + "' the shape [" +
                   shapeText(shape) + "], but the artifact has [" +
                   shapeText(port->shape) + "]");
  }
  return llvm::Error::success();
}

llvm::Error Run::placeInputs() {
  ArrayRef<Port> ports = executable->inputs();
  arguments.resize(ports.size());
  for (auto &entry : given) {
    StringRef name = entry.getKey();
    const Port *port = findPort(ports, name);
    if (!port)
      return wrong("'" + name + "' is no input; the inputs are " +
                   llvm::join(llvm::map_range(
                                  ports, [](const Port &p) { return p.name; }),
                              ", "));
    if (auto why = unread.find(name); why != unread.end())
      return wrong(why->getValue());
    if (llvm::Error error = noteDType(entry.getValue(), *port))
      return error;
    warnOfNumbers(entry.getValue(), *port);
    arguments[port - ports.begin()] = entry.getValue();
  }
  if (options.testData.empty())
    return llvm::Error::success();
  std::vector<std::string> names;
  for (const Port &port : ports)
    names.push_back(port.name);
  return readTestInputs(options.testData, names, context, arguments);
}

llvm::Error Run::fillInputs() {
  std::mt19937_64 engine(options.randomSeed.value_or(0));
  for (auto [port, argument] : llvm::zip(executable->inputs(), arguments)) {
    if (!argument && port.state)
      continue; // zeros at first
    if (!argument && port.fallback && !options.randomSeed &&
        !ShapedType::isDynamicShape(port.shape))
      argument = leftOut(port);
    if (!argument) {
      if (ShapedType::isDynamicShape(port.shape))
        return wrong("input '" + port.name +
                     "' leaves dimensions open; add --input-shape " +
                     port.name + "=N,N…");
      if (!options.randomSeed)
        return wrong("input '" + port.name + "' is not given; add --input " +
                     port.name + "=FILE.npy or --random-inputs=SEED");
      argument = randomTensor(port.dtype, port.shape, engine);
    }
    auto carried = carry(port, argument);
    if (!carried)
      return carried.takeError();
    argument = *carried;
  }
  return llvm::Error::success();
}

//===----------------------------------------------------------------------===//
// Running
//===----------------------------------------------------------------------===//

llvm::Error Run::dump(Operation *op, ArrayRef<Tensor> results) {
  if (results.empty() || getInfo(results[0].dtype()).numpy.empty())
    return llvm::Error::success();
  std::string name =
      llvm::formatv("{0:d4}_{1}.npy", dumped++, op->getName().stripDialect());
  return writeNpy(below(options.dumpDir, name), results[0], dumps);
}

/// False where a diagnostic said why the artifact did not run to its end.
llvm::Expected<bool> Run::execute() {
  bool dumping = !options.dumpDir.empty();
  llvm::Error notDumped =
      dumping ? dumps.makeParents(options.dumpDir) : llvm::Error::success();
  if (notDumped)
    return notDumped;
  BlockInterpreter::Observer observer;
  if (options.profile || dumping)
    observer = [&](Operation *op, ArrayRef<Tensor>, ArrayRef<Tensor> results,
                   double seconds) {
      auto &[sum, count] = times[op->getName().getStringRef().str()];
      sum += seconds;
      ++count;
      if (dumping && !notDumped)
        notDumped = dump(op, results);
    };
  bool ran = true;
  for (unsigned i = 0; i < options.repeat && ran; ++i) {
    results.clear();
    ran = succeeded(
        executable->run(arguments, results, options.numerics, observer));
  }
  // What was computed before a failure is what is looked for then.
  if (!notDumped)
    notDumped = dumps.commit();
  if (notDumped)
    return notDumped;
  warn(dumps.warning());
  if (llvm::Error error = MappedFile::checkUnchanged())
    return error;
  return ran;
}

//===----------------------------------------------------------------------===//
// Results
//===----------------------------------------------------------------------===//

/// Of programs on a device.
static void printTimes(ArrayRef<ProgramTime> times, bool hasFunctions) {
  llvm::outs() << "time per program through the runtime, measured on this "
                  "machine and predicted for the target:\n"
                  "    mean us   predicted us  runs  program\n";
  StringRef function;
  for (const ProgramTime &time : times) {
    if (hasFunctions && time.function != function)
      llvm::outs() << "  function " << (function = time.function) << '\n';
    llvm::outs() << llvm::format("  %9.1f  %13.1f %5zu  ", time.mean(),
                                 time.predicted, time.runs.size())
                 << time.program << (time.isEngine ? "" : " (host)") << '\n';
  }
}

/// A process of what was measured, run by run, and one of the same runs as they
/// are predicted; in each a thread for the engine and one for the host.
llvm::Error Run::writeTrace() {
  std::string text;
  llvm::raw_string_ostream os(text);
  llvm::json::OStream j(os, 1);
  auto label = [&](StringRef what, int process, int thread, StringRef name) {
    j.object([&] {
      j.attribute("name", what);
      j.attribute("ph", "M");
      j.attribute("pid", process);
      if (thread)
        j.attribute("tid", thread);
      j.attributeObject("args", [&] { j.attribute("name", name); });
    });
  };
  auto event = [&](const ProgramTime &time, int process, double start,
                   double micros) {
    j.object([&] {
      j.attribute("name", time.program);
      j.attribute("cat", time.isEngine ? "ane" : "host");
      j.attribute("ph", "X");
      j.attribute("ts", start);
      j.attribute("dur", micros);
      j.attribute("pid", process);
      j.attribute("tid", time.isEngine ? 1 : 2);
      j.attributeObject("args", [&] {
        j.attribute("function", time.function);
        j.attribute("mean_us", time.mean());
        j.attribute("predicted_us", time.predicted);
        j.attribute("runs", int64_t(time.runs.size()));
      });
    });
  };
  j.object([&] {
    j.attribute("displayTimeUnit", "ns");
    j.attributeArray("traceEvents", [&] {
      for (int process : {1, 2}) {
        label("process_name", process, 0,
              process == 1 ? "measured on this machine"
                           : "predicted by the cost model");
        label("thread_name", process, 1, "engine");
        label("thread_name", process, 2, "host");
      }
      double predicted = 0;
      size_t runs = 0;
      for (const ProgramTime &time : executable->programTimes())
        runs = std::max(runs, time.runs.size());
      for (size_t run = 0; run < runs; ++run)
        for (const ProgramTime &time : executable->programTimes())
          if (run < time.runs.size()) {
            event(time, 1, time.runs[run].first, time.runs[run].second);
            event(time, 2, predicted, time.predicted);
            predicted += time.predicted;
          }
    });
  });
  Outputs files;
  if (llvm::Error error = files.addText(options.trace, os.str() + "\n"))
    return error;
  if (llvm::Error error = files.commit())
    return error;
  warn(files.warning());
  return llvm::Error::success();
}

void Run::printProfile() {
  ArrayRef<ProgramTime> onDevice = executable->programTimes();
  if (!onDevice.empty())
    return printTimes(onDevice, executable->countFunctions() > 1);
  std::vector<std::pair<std::string, std::pair<double, unsigned>>> sorted(
      times.begin(), times.end());
  llvm::stable_sort(
      sorted, [](auto &a, auto &b) { return a.second.first > b.second.first; });
  llvm::outs() << "interpreter time on this machine, by op:\n";
  for (auto &[name, entry] : sorted)
    llvm::outs() << llvm::format("  %9.3f ms  %5u  ", entry.first * 1e3,
                                 entry.second)
                 << name << '\n';
}

llvm::Error Run::writeResults() {
  Outputs files;
  if (llvm::Error error = files.makeParents(options.outputDir))
    return error;
  std::string text;
  llvm::raw_string_ostream os(text);
  llvm::json::OStream j(os, 2);
  j.arrayBegin();
  for (auto [i, result] : llvm::enumerate(results)) {
    std::string file = "output_" + std::to_string(i) + ".npy";
    if (llvm::Error error =
            writeNpy(below(options.outputDir, file), result, files))
      return error;
    j.object([&, i = i, &result = result] {
      j.attribute("name", executable->outputs()[i].name);
      j.attribute("dtype", getInfo(result.dtype()).name);
      j.attributeArray("shape", [&] {
        for (int64_t dim : result.shape())
          j.value(dim);
      });
      j.attribute("file", file);
    });
  }
  j.arrayEnd();
  if (llvm::Error error = files.addText(
          below(options.outputDir, "outputs.json"), os.str() + "\n"))
    return error;
  if (llvm::Error error = files.commit())
    return error;
  warn(files.warning());
  return llvm::Error::success();
}

llvm::Expected<bool> Run::compareResults() {
  StringRef folder =
      options.compareDir.empty() ? options.testData : options.compareDir;
  bool ok = true;
  if (!folder.empty())
    for (auto [i, result] : llvm::enumerate(results)) {
      auto expected =
          readTestTensor(folder, ("output_" + Twine(i)).str(), context);
      if (!expected)
        return expected.takeError();
      if (!*expected)
        continue;
      compared = true;
      Comparison comparison =
          compareTensors(result, *expected, options.rtol, options.atol);
      printComparison(llvm::outs(), printable(executable->outputs()[i].name),
                      comparison, result, *expected, options.quiet);
      ok &= comparison.ok();
    }
  if (!options.compareDir.empty() && !compared)
    return wrong("'" + options.compareDir +
                 "' has no output_0.npy or output_0.pb");
  return ok;
}

void Run::printResults() {
  for (auto [port, result] : llvm::zip(executable->outputs(), results)) {
    llvm::outs() << printable(port.name) << ": " << getInfo(result.dtype()).name
                 << " [" << shapeText(result.shape()) << "]";
    for (int64_t i = 0; i < std::min<int64_t>(result.size(), 6); ++i)
      llvm::outs() << ' '
                   << llvm::format("%.6g", result.isFloat()
                                               ? double(result.floats()[i])
                                               : double(result.ints()[i]));
    llvm::outs() << (result.size() > 6 ? " …\n" : "\n");
  }
}

llvm::Expected<bool> Run::run() {
  if (llvm::Error error = readInputs())
    return error;
  if (failed(load()))
    return false;
  if (llvm::Error error = chooseFunction())
    return error;
  if (llvm::Error error = checkShapes())
    return error;
  if (llvm::Error error = placeInputs())
    return error;
  if (llvm::Error error = fillInputs())
    return error;
  llvm::Expected<bool> ran = execute();
  if (!ran || !*ran)
    return ran;
  if (llvm::Error error = convertResults(executable->outputs(), results))
    return error;
  if (options.profile)
    printProfile();
  if (!options.trace.empty())
    if (llvm::Error error = writeTrace())
      return error;
  if (!options.outputDir.empty())
    if (llvm::Error error = writeResults())
      return error;
  llvm::Expected<bool> ok = compareResults();
  if (ok && !options.quiet && !compared && options.outputDir.empty())
    printResults();
  return ok;
}

llvm::Expected<bool> mlir::ane::runArtifact(const RunOptions &options,
                                            MLIRContext *context) {
  return Run(options, context).run();
}
