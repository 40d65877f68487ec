//===- ane-run.cpp - runs what we emit, anywhere --------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Artifact/RunArtifact.h"
#include "ane-mlir/Artifact/Train.h"
#include "ane-mlir/Host/DeviceExecutable.h"
#include "ane-mlir/Support/Budget.h"
#include "ane-mlir/Support/Diagnostics.h"
#include "ane-mlir/Support/GuardedMain.h"
#include "ane-mlir/Support/Usage.h"
#include "dialects/MIL/IR/MIL.h"
#include "tools/Tools.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/InitLLVM.h"

using namespace mlir;
using namespace mlir::ane;
namespace cl = llvm::cl;

namespace {
/// Its options and what it does with them. Made when the tool starts: a library
/// may hold several tools.
struct Run {
  cl::OptionCategory inputOptions{"Inputs"}, runOptions{"Run"},
      outputOptions{"Outputs and comparison"},
      trainOptions{"Training (bundles of onnx-to-ane --train)"};
  cl::opt<std::string> trainData{
      "train",
      cl::desc("Train on a folder of NAME.npy for each input and targets.npy, "
               "examples along the first axis"),
      cl::value_desc("DIR"), cl::cat(trainOptions)};
  cl::opt<int64_t> steps{"steps", cl::desc("Steps to train in all"),
                         cl::value_desc("N"), cl::init(0),
                         cl::cat(trainOptions)};
  cl::opt<int64_t> seed{
      "seed", cl::desc("Of the order of examples (default 0)"), cl::init(0),
      cl::value_desc("N"), cl::cat(trainOptions)};
  cl::opt<double> learningRate{
      "learning-rate", cl::desc("Instead of the bundle's"), cl::value_desc("X"),
      cl::init(0), cl::cat(trainOptions)};
  ChoiceOption<TrainOptions::Schedule> schedule{
      "schedule", cl::desc("How the rate falls to 0 at the last step"),
      cl::init(TrainOptions::Schedule::Constant),
      cl::values(
          clEnumValN(TrainOptions::Schedule::Constant, "constant",
                     "not at all (default)"),
          clEnumValN(TrainOptions::Schedule::Linear, "linear", "on a line"),
          clEnumValN(TrainOptions::Schedule::Cosine, "cosine",
                     "on half a wave")),
      cl::cat(trainOptions)};
  cl::opt<int64_t> warmup{
      "warmup", cl::desc("Steps in which the rate rises first"),
      cl::value_desc("N"), cl::init(0), cl::cat(trainOptions)};
  cl::opt<std::string> checkpoint{
      "checkpoint",
      cl::desc("Where training is: read if it exists, written as it "
               "goes on"),
      cl::value_desc("FILE.safetensors"), cl::cat(trainOptions)};
  cl::opt<int64_t> checkpointEvery{
      "checkpoint-every", cl::desc("Steps between checkpoints (default 100)"),
      cl::value_desc("N"), cl::init(100), cl::cat(trainOptions)};
  cl::opt<std::string> csv{"csv", cl::desc("Write a line for each step"),
                           cl::value_desc("FILE.csv"), cl::cat(trainOptions)};
  cl::opt<std::string> curve{"curve", cl::desc("Write a picture of the losses"),
                             cl::value_desc("FILE.svg"), cl::cat(trainOptions)};
  cl::opt<std::string> exportTo{
      "export",
      cl::desc("Write the model with the trained weights, adapters "
               "merged, or the weights alone"),
      cl::value_desc("FILE.onnx|.safetensors"), cl::cat(trainOptions)};
  cl::opt<std::string> gradients{
      "gradients",
      cl::desc("Write loss and gradients of the first run and train nothing"),
      cl::value_desc("DIR"), cl::cat(trainOptions)};
  cl::opt<std::string> artifact{
      cl::Positional, cl::desc("ARTIFACT.anepkg|.mlpackage|.mlmodelc|.mil"),
      cl::cat(inputOptions)};
  cl::list<std::string> inputs{
      "input", cl::desc("Feed an input from a NumPy file"),
      cl::value_desc("NAME=FILE.npy"), cl::cat(inputOptions)};
  cl::opt<int64_t> randomSeed{
      "random-inputs", cl::desc("Seeded random inputs for those not given"),
      cl::value_desc("SEED"), cl::cat(inputOptions)};
  cl::opt<std::string> testData{
      "test-data",
      cl::desc(
          "Test data: input_0.pb or .npy …; output_0.pb … are compared with"),
      cl::value_desc("DIR"), cl::cat(inputOptions)};
  cl::opt<std::string> functionName{
      "function",
      cl::desc("Which function of a package or bundle to run (default: its "
               "default one)"),
      cl::value_desc("NAME"), cl::cat(inputOptions)};
  cl::list<std::string> inputShapes{
      "input-shape",
      cl::desc("The shape of an input that leaves dimensions open "
               "(default: that of its file, or the package's)"),
      cl::value_desc("NAME=1,3,224,224"), cl::cat(inputOptions)};
  cl::opt<std::string> numericsName{
      "numerics",
      cl::desc(
          "What each op rounds to: fp16 (declared dtype, default), fp32, or "
          "engine (fp16 with the target's accumulators and tables)"),
      cl::init("fp16"), cl::cat(runOptions)};
  cl::opt<bool> noVerify{
      "no-verify",
      cl::desc("Do not compare weight files with the SHA-256 sums in their "
               "names"),
      cl::cat(runOptions)};
  cl::opt<bool> profile{
      "profile",
      cl::desc("Time per op in the interpreter, or per program on a device"),
      cl::cat(runOptions)};
  cl::opt<std::string> deviceName{
      "device",
      cl::desc("Where programs of the engine run: interpreter (default), or "
               "engine, through the runtime, where its framework is"),
      cl::init("interpreter"), cl::cat(runOptions)};
  cl::opt<unsigned> repeat{"repeat",
                           cl::desc("Run so many times (default 1); "
                                    "--profile has the mean"),
                           cl::value_desc("N"), cl::init(1),
                           cl::cat(runOptions)};
  cl::opt<std::string> traceFile{
      "trace",
      cl::desc(
          "With --device=engine: write what each program took, measured and "
          "predicted, for a viewer of Chrome's traces"),
      cl::value_desc("FILE.json"), cl::cat(runOptions)};
  cl::opt<bool> compareDevices{
      "compare-devices",
      cl::desc(
          "With --device=engine: run every program in the interpreter too, "
          "and show where results differ most"),
      cl::cat(runOptions)};
  cl::opt<bool> poisonPadding{
      "poison-padding",
      cl::desc("With --device=engine: NaN where surfaces of inputs are padded"),
      cl::cat(runOptions)};
  cl::opt<std::string> dumpDir{
      "dump-intermediates", cl::desc("Write every op's first result as .npy"),
      cl::value_desc("DIR"), cl::cat(runOptions)};
  cl::opt<std::string> outputDir{
      "output-dir", cl::desc("Write output_0.npy … and outputs.json"),
      cl::value_desc("DIR"), cl::cat(outputOptions)};
  cl::opt<std::string> compareDir{
      "compare", cl::desc("Compare with output_0.npy or output_0.pb … of DIR"),
      cl::value_desc("DIR"), cl::cat(outputOptions)};
  cl::opt<double> rtol{"rtol", cl::desc("Relative tolerance (default 1e-3)"),
                       cl::init(1e-3), cl::cat(outputOptions)};
  cl::opt<double> atol_{"atol",
                        cl::desc("Absolute tolerance (default 1e-3 of each "
                                 "output's largest magnitude)"),
                        cl::init(-1), cl::cat(outputOptions)};
  cl::opt<uint64_t> maxConstantBytes{
      "max-constant-bytes",
      cl::desc("Most memory for values that are computed from the artifact's "
               "constants (default 1 GB and 32 bytes for each byte of its "
               "files)"),
      cl::value_desc("N"), cl::init(0), cl::cat(runOptions)};
  cl::opt<bool> quiet{"quiet", cl::desc("Print nothing but errors"),
                      cl::cat(outputOptions)};

  int fail(const llvm::Twine &message, int code = 1) {
    llvm::errs() << "ane-run: error: " << printable(message.str(), true)
                 << '\n';
    return code;
  }

  /// NAME=FILE, where a name may have a '=' of its own: FILE is there.
  std::pair<StringRef, StringRef> splitInput(StringRef entry) {
    for (size_t at = entry.find('='); at != StringRef::npos;
         at = entry.find('=', at + 1))
      if (llvm::sys::fs::exists(entry.drop_front(at + 1)))
        return {entry.take_front(at), entry.drop_front(at + 1)};
    return entry.split('=');
  }

  llvm::Error wrong(const llvm::Twine &message) {
    return llvm::createStringError(message);
  }

  llvm::Error readInputs(RunOptions &options) {
    llvm::StringMap<StringRef> files;
    for (StringRef entry : inputs) {
      auto [name, path] = splitInput(entry);
      if (path.empty())
        return wrong("expects --input NAME=FILE.npy");
      auto [slot, isNew] = files.try_emplace(name, path);
      if (!isNew && slot->second != path)
        return wrong("--input says '" + name + "' twice: " + slot->second +
                     " and " + path);
      options.inputs.push_back({name.str(), path.str()});
    }
    return llvm::Error::success();
  }

  llvm::Error readShapes(RunOptions &options) {
    for (StringRef entry : inputShapes) {
      auto [name, text] = entry.rsplit('=');
      SmallVector<StringRef> parts;
      text.split(parts, ',');
      SmallVector<int64_t> shape;
      for (StringRef part : parts)
        if (int64_t dim; !part.getAsInteger(10, dim) && dim >= 0)
          shape.push_back(dim);
      if (name.empty() || shape.size() != parts.size())
        return wrong("expects --input-shape NAME=1,3,224,224, but got '" +
                     entry + "'");
      auto [slot, isNew] = options.load.shapes.try_emplace(name, shape);
      if (!isNew && slot->second != shape)
        return wrong("--input-shape says '" + name + "' twice");
    }
    return llvm::Error::success();
  }

  /// The first of some options that is on the command line, or empty.
  template <typename... Options>
  std::string firstGiven(const Options &...options) {
    std::string name;
    ((name.empty() && options.getNumOccurrences()
          ? void(name = options.ArgStr.str())
          : void()),
     ...);
    return name;
  }

  /// --device and what belongs to it.
  llvm::Error readDevice(RunOptions &options) {
    if (deviceName != "engine" && deviceName != "interpreter")
      return wrong("expects --device to be interpreter or engine, but got '" +
                   deviceName + "'");
    bool engine = deviceName == "engine";
    std::string alone = firstGiven(compareDevices, poisonPadding, traceFile);
    if (!engine && !alone.empty())
      return wrong("--" + alone + " wants --device=engine");
    if (!engine)
      return llvm::Error::success();
    if (numericsName.getNumOccurrences() && numericsName != "engine")
      return wrong("--numerics is for the interpreter; an engine has its own");
    if (!dumpDir.empty())
      return wrong("--dump-intermediates is for the interpreter; "
                   "--compare-devices shows what programs give");
    if (!StringRef(artifact).rtrim('/').ends_with(".anepkg"))
      return wrong("--device=engine runs bundles (.anepkg)");
    DeviceOptions device;
    device.function = functionName;
    device.compare = compareDevices;
    device.compareAfter = repeat - 1;
    device.poisonPadding = poisonPadding;
    device.verify = !noVerify;
    device.rtol = rtol;
    device.atol = atol_;
    options.open = [device](StringRef path, MLIRContext *context) {
      return openOnDevice(path, context, device);
    };
    return llvm::Error::success();
  }

  /// What the command line asks for.
  llvm::Expected<RunOptions> readOptions() {
    RunOptions options;
    if (artifact.empty())
      return wrong("expects an artifact; see --help");
    std::optional<Numerics> numerics = lookupNumerics(numericsName);
    if (!numerics)
      return wrong("expects --numerics to be fp32, fp16 or engine, but got '" +
                   numericsName + "'");
    for (auto &[option, tolerance] :
         {std::pair<StringRef, const cl::opt<double> &>("--rtol", rtol),
          {"--atol", atol_}}) {
      if (tolerance.getNumOccurrences() && !(tolerance >= 0))
        return wrong(outOfRange(option, "0 or more", tolerance));
      if (tolerance.getNumOccurrences() && compareDir.empty() &&
          testData.empty() && !compareDevices)
        return wrong(option + " is for comparing; add --compare=DIR, "
                              "--test-data=DIR or --compare-devices");
    }
    options.artifact = artifact;
    options.load.function = functionName;
    options.load.verify = !noVerify;
    if (randomSeed.getNumOccurrences())
      options.randomSeed = randomSeed;
    options.testData = testData;
    options.numerics = *numerics;
    options.profile = profile;
    options.trace = traceFile;
    options.dumpDir = dumpDir;
    options.outputDir = outputDir;
    options.compareDir = compareDir;
    options.rtol = rtol;
    options.atol = atol_;
    options.quiet = quiet;
    options.repeat = repeat;
    if (!repeat)
      return wrong("expects --repeat to be 1 or more");
    if (llvm::Error error = readDevice(options))
      return error;
    if (llvm::Error error = readInputs(options))
      return error;
    if (llvm::Error error = readShapes(options))
      return error;
    return options;
  }

  /// What --train asks for.
  llvm::Expected<TrainOptions> readTraining(const RunOptions &run) {
    TrainOptions options;
    options.artifact = run.artifact;
    options.load = run.load;
    options.open = run.open;
    options.numerics = run.numerics;
    options.quiet = run.quiet;
    options.data = trainData;
    options.steps = steps;
    options.seed = uint64_t(seed);
    if (learningRate.getNumOccurrences())
      options.learningRate = learningRate;
    options.schedule = schedule;
    options.warmup = warmup;
    options.checkpoint = checkpoint;
    options.checkpointEvery = checkpointEvery;
    options.csv = csv;
    options.curve = curve;
    options.exportTo = exportTo;
    options.gradients = gradients;
    // 0 reads a checkpoint and exports it.
    if ((steps < 1 && gradients.empty() && !steps.getNumOccurrences()) ||
        steps < 0)
      return wrong("--train expects --steps=N");
    for (auto &[name, value] : {std::pair<StringRef, int64_t>("--seed", seed),
                                {"--warmup", warmup},
                                {"--checkpoint-every", checkpointEvery}})
      if (value < 0)
        return wrong("expects " + name + " to be 0 or more");
    if (learningRate.getNumOccurrences() && !(learningRate > 0))
      return wrong(outOfRange("--learning-rate", "more than 0", learningRate));
    std::string useless =
        firstGiven(inputs, randomSeed, testData, profile, dumpDir, outputDir,
                   compareDir, compareDevices, repeat, traceFile);
    if (!useless.empty())
      return wrong("--" + useless + " has no effect with --train");
    return options;
  }

  static constexpr const char *kOverview =
      "Runs a bundle or MIL text in the reference interpreter.\n\n"
      "  ane-run model.anepkg --test-data test_data_set_0 --rtol 1e-2\n"
      "  ane-run model.anepkg --input x=x.npy --output-dir out\n";

  int run() {
    llvm::Expected<RunOptions> options = readOptions();
    if (!options)
      return fail(llvm::toString(options.takeError()), 2);
    MemoryBudget::setConstantLimit(maxConstantBytes);
    MLIRContext context(artifactDialects());
    context.loadDialect<ANEDialect>();
    ToolDiagnostics diagnostics(&context, artifact);
    std::optional<TrainOptions> training;
    if (trainData.getNumOccurrences()) {
      llvm::Expected<TrainOptions> asked = readTraining(*options);
      if (!asked)
        return fail(llvm::toString(asked.takeError()), 2);
      training = *asked;
    } else {
      std::string alone =
          firstGiven(steps, seed, learningRate, schedule, warmup, checkpoint,
                     checkpointEvery, csv, curve, exportTo, gradients);
      if (!alone.empty())
        return fail("--" + alone + " is about training; add --train", 2);
    }
    llvm::Expected<bool> ok = training ? trainArtifact(*training, &context)
                                       : runArtifact(*options, &context);
    return ok ? !*ok : fail(llvm::toString(ok.takeError()));
  }

  int start(int argc, char **argv) {
    llvm::InitLLVM init(argc, argv);
    return runGuarded("ane-run", artifact, [&] {
      if (std::optional<int> done = startTool(
              argc, argv, "ane-run", kOverview,
              {&inputOptions, &runOptions, &outputOptions, &trainOptions}))
        return *done;
      return run();
    });
  }
};
} // namespace

int mlir::ane::tools::aneRun(int argc, char **argv) {
  static Run tool;
  return tool.start(argc, argv);
}
