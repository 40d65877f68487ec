//===- Train.cpp - running the steps of a bundle that trains --------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Artifact/Train.h"
#include "BundleFile.h"
#include "PatchedBundle.h"
#include "TrainFiles.h"
#include "ane-mlir/Artifact/Compare.h"
#include "ane-mlir/Artifact/TensorFiles.h"
#include "ane-mlir/Interpreter/Weights.h"
#include "ane-mlir/Support/AtomicPath.h"
#include "ane-mlir/Support/Diagnostics.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/Path.h"
#include <chrono>
#include <cmath>
#include <random>

using namespace mlir;
using namespace mlir::ane;
namespace fb = anemlir::manifest;

static llvm::Error wrong(const Twine &message) {
  return llvm::createStringError(message);
}

static SmallString<128> below(StringRef folder, const Twine &name) {
  SmallString<128> path(folder);
  llvm::sys::path::append(path, name);
  return path;
}

namespace {
class Training {
public:
  Training(const TrainOptions &options, MLIRContext *context)
      : options(options), context(context) {}
  llvm::Expected<bool> run();

private:
  llvm::Expected<bool> load();
  /// The programs, with what is in their weight files now.
  bool open();
  llvm::Error checkManifest();
  llvm::Error readParameters();
  llvm::Error readData();
  llvm::Error resume();
  /// Rows of the examples of run number `index`.
  std::vector<int64_t> pick(int64_t index);
  llvm::Error fill(int64_t index);
  /// Values of the parameters for the next runs.
  llvm::Expected<bool> placeParameters();
  /// A run of the programs; its loss, and gradients added to `sums`.
  llvm::Expected<bool> accumulate(int64_t index, double &loss);
  llvm::Expected<bool> writeGradients();
  llvm::Expected<bool> train();
  double rateAt(int64_t step) const;
  void report(const TrainedStep &line, double seconds);
  llvm::Error writeCheckpoint();
  llvm::Error writeResults();
  const fb::TrainingT &record() const { return *manifest->training; }
  bool isExternal(size_t input) const;

  const TrainOptions &options;
  MLIRContext *context;
  std::unique_ptr<fb::ManifestT> manifest;
  /// Where weights are in files of programs.
  std::unique_ptr<PatchedBundle> staged;
  std::unique_ptr<Executable> executable;
  std::optional<Optimizer> optimizer;
  /// By input: what is fed, and the examples that it is cut from.
  std::vector<Tensor> arguments, examples;
  int64_t batch = 1, count = 0;
  std::vector<int64_t> order;
  int64_t epochOfOrder = -1;
  std::vector<std::vector<float>> sums;
  /// Steps done, also those that were skipped.
  int64_t done = 0;
  std::vector<TrainedStep> lines;
};
} // namespace

//===----------------------------------------------------------------------===//
// The bundle
//===----------------------------------------------------------------------===//

/// Nothing of the manifest is believed.
llvm::Error Training::checkManifest() {
  if (!manifest->training)
    return wrong("'" + options.artifact +
                 "' does not train; make it with onnx-to-ane --train");
  fb::TrainingT &t = *manifest->training;
  int64_t inputs = manifest->inputs.size(), outputs = manifest->outputs.size();
  bool good = t.optimizer && t.loss_output < outputs && t.targets < inputs &&
              t.loss_scale < inputs && t.targets >= -1 && t.loss_scale >= -1;
  for (auto &parameter : t.parameters)
    good = good && parameter->input < inputs && parameter->gradient < outputs &&
           manifest->inputs[parameter->input]->shape == parameter->shape &&
           manifest->outputs[parameter->gradient]->shape == parameter->shape;
  for (auto &parameter : t.parameters)
    for (auto &copy : parameter->copies) {
      bool isInput = copy->program < 0;
      good = good && (!isInput || copy->input < inputs);
      if (!good)
        break;
      const std::vector<int64_t> &shape = parameter->shape,
                                 &to =
                                     isInput
                                         ? manifest->inputs[copy->input]->shape
                                         : copy->shape;
      good = isMatrixOf(shape, copy->transposed,
                        std::max<int64_t>(1, copy->groups), to);
    }
  if (!good)
    return wrong("'" + options.artifact +
                 "' has a manifest whose training does not fit its programs");
  for (StringRef file : {StringRef(t.file), StringRef(t.model)})
    if (!file.empty())
      if (llvm::Error error = checkInside(options.artifact, file, "the bundle"))
        return error;
  return llvm::Error::success();
}

llvm::Expected<bool> Training::load() {
  auto read = readManifest(options.artifact, context);
  if (failed(read))
    return false;
  manifest = std::move(*read);
  if (llvm::Error error = checkManifest())
    return error;
  // What is wrong with it is said of the bundle itself.
  if (!open())
    return false;
  auto made = PatchedBundle::stage(options.artifact, *manifest);
  if (!made)
    return made.takeError();
  staged = std::move(*made);
  return true;
}

bool Training::open() {
  executable.reset(); // a loader forgets what it had first
  StringRef path = staged ? staged->path() : StringRef(options.artifact);
  LoadOptions load = options.load;
  load.isTraining = true;
  load.verify &= !staged; // what is staged was compared before
  auto loaded = options.open ? options.open(path, context)
                             : loadArtifact(path, context, load);
  if (succeeded(loaded))
    executable = std::move(*loaded);
  return succeeded(loaded);
}

llvm::Error Training::readParameters() {
  auto values = readSafetensors(below(options.artifact, record().file));
  if (!values)
    return values.takeError();
  std::vector<std::pair<std::string, Tensor>> parameters;
  for (auto &parameter : record().parameters) {
    const Tensor *value = values->find(parameter->name);
    if (!value || value->shape() != ArrayRef<int64_t>(parameter->shape))
      return wrong("'" + record().file + "' has no value of '" +
                   parameter->name + "'");
    parameters.push_back({parameter->name, *value});
  }
  const fb::OptimizerT &o = *record().optimizer;
  optimizer.emplace(
      Optimizer::Settings{o.kind, o.momentum, o.beta1, o.beta2, o.epsilon,
                          o.weight_decay, o.clip_norm, o.dynamic_loss_scale,
                          std::max<int64_t>(1, o.growth_interval)},
      o.loss_scale > 0 ? o.loss_scale : 1, std::move(parameters));
  return llvm::Error::success();
}

//===----------------------------------------------------------------------===//
// Examples
//===----------------------------------------------------------------------===//

/// Whether the user feeds this input.
bool Training::isExternal(size_t input) const {
  if (int64_t(input) == record().loss_scale)
    return false;
  return llvm::none_of(record().parameters, [&](auto &parameter) {
    return parameter->input == input ||
           llvm::any_of(parameter->copies, [&](auto &copy) {
             return copy->program < 0 && copy->input == input;
           });
  });
}

llvm::Error Training::readData() {
  ArrayRef<Port> ports = executable->inputs();
  arguments.resize(ports.size());
  examples.resize(ports.size());
  for (auto [i, port] : llvm::enumerate(ports)) {
    if (!isExternal(i))
      continue;
    SmallString<128> path = below(options.data, port.name + ".npy");
    auto array = readNpy(path);
    if (!array)
      return wrong("input '" + port.name +
                   "': " + llvm::toString(array.takeError()));
    if (array->shape() == ArrayRef<int64_t>(port.shape) &&
        int64_t(i) != record().targets && port.shape.empty()) {
      arguments[i] = *array;
      continue;
    }
    ArrayRef<int64_t> have = array->shape(), want = port.shape;
    if (have.empty() || want.empty() ||
        have.drop_front() != want.drop_front() || want[0] < 1)
      return wrong("input '" + port.name + "' takes [" + shapeText(want) +
                   "], so '" + path + "' is to hold examples [N" +
                   (want.size() > 1 ? ", " + shapeText(want.drop_front())
                                    : std::string()) +
                   "], but it holds [" + shapeText(have) + "]");
    if (count && have[0] != count)
      return wrong("'" + path + "' holds " + Twine(have[0]) +
                   " examples, other inputs hold " + Twine(count));
    if (count && batch != want[0])
      return wrong("input '" + port.name + "' takes " + Twine(want[0]) +
                   " examples at once, another one " + Twine(batch));
    if (int64_t(i) == record().targets && record().classes > 0)
      for (int64_t label : array->ints())
        if (label >= record().classes)
          return wrong("'" + port.name + ".npy' holds the label " +
                       Twine(label) + ", but there are " +
                       Twine(record().classes) + " classes");
    batch = want[0];
    count = have[0];
    examples[i] = *array;
  }
  if (count < batch)
    return wrong("'" + options.data + "' holds " + Twine(count) +
                 " examples, a run takes " + Twine(batch));
  return llvm::Error::success();
}

/// Every example once per epoch, in an order of the seed and the epoch alone;
/// those that do not fill a run at its end are left out.
std::vector<int64_t> Training::pick(int64_t index) {
  int64_t perEpoch = count / batch, epoch = index / perEpoch;
  if (epoch != epochOfOrder) {
    order.resize(count);
    for (int64_t i = 0; i < count; ++i)
      order[i] = i;
    std::mt19937_64 engine(options.seed * 1000003 + uint64_t(epoch));
    for (int64_t i = count; i-- > 1;)
      std::swap(order[i], order[engine() % uint64_t(i + 1)]);
    epochOfOrder = epoch;
  }
  auto begin = order.begin() + index % perEpoch * batch;
  return {begin, begin + batch};
}

/// Rows of a tensor of floats or integers.
static Tensor takeRows(const Tensor &all, ArrayRef<int64_t> rows) {
  SmallVector<int64_t> shape(all.shape());
  int64_t size = shape[0] ? all.size() / shape[0] : 0;
  shape[0] = rows.size();
  Tensor taken(all.dtype(), shape);
  for (auto [i, row] : llvm::enumerate(rows))
    if (all.isFloat())
      llvm::copy(all.floats().slice(row * size, size),
                 taken.mutableFloats().begin() + i * size);
    else
      llvm::copy(all.ints().slice(row * size, size),
                 taken.mutableInts().begin() + i * size);
  return taken;
}

static llvm::Error convertTo(const Port &port, Tensor &argument) {
  auto carried = convertTensor(argument, port.carrier, port.name);
  if (!carried)
    return wrong("input " + llvm::toString(carried.takeError()));
  argument = *carried;
  return llvm::Error::success();
}

llvm::Error Training::fill(int64_t index) {
  std::vector<int64_t> rows = pick(index);
  ArrayRef<Port> ports = executable->inputs();
  for (auto [i, port] : llvm::enumerate(ports)) {
    if (examples[i])
      arguments[i] = takeRows(examples[i], rows);
    if (int64_t(i) == record().loss_scale) {
      arguments[i] = Tensor(DType::Float32, port.shape);
      for (float &value : arguments[i].mutableFloats())
        value = float(optimizer->lossScale());
    }
    if (isExternal(i) || int64_t(i) == record().loss_scale)
      if (llvm::Error error = convertTo(port, arguments[i]))
        return error;
  }
  return llvm::Error::success();
}

llvm::Expected<bool> Training::placeParameters() {
  for (auto [i, parameter] : llvm::enumerate(record().parameters)) {
    Tensor &argument = arguments[parameter->input];
    argument = optimizer->value(i);
    if (llvm::Error error =
            convertTo(executable->inputs()[parameter->input], argument))
      return error;
    for (auto &copy : parameter->copies) {
      if (copy->program >= 0) {
        if (llvm::Error error = staged->write(
                *copy,
                asMatrix(optimizer->value(i), copy->transposed,
                         std::max<int64_t>(1, copy->groups), copy->shape)))
          return error;
        continue;
      }
      arguments[copy->input] =
          asMatrix(optimizer->value(i), copy->transposed,
                   std::max<int64_t>(1, copy->groups),
                   executable->inputs()[copy->input].shape);
      if (llvm::Error error = convertTo(executable->inputs()[copy->input],
                                        arguments[copy->input]))
        return error;
    }
  }
  return staged ? open() : true;
}

//===----------------------------------------------------------------------===//
// Steps
//===----------------------------------------------------------------------===//

llvm::Expected<bool> Training::accumulate(int64_t index, double &loss) {
  if (llvm::Error error = fill(index))
    return error;
  SmallVector<Tensor> results;
  if (failed(executable->run(arguments, results, options.numerics)))
    return false;
  loss += results[record().loss_output].number();
  for (auto [i, parameter] : llvm::enumerate(record().parameters)) {
    ArrayRef<float> gradient = results[parameter->gradient].floats();
    for (auto [sum, value] : llvm::zip(sums[i], gradient))
      sum += value;
  }
  return true;
}

double Training::rateAt(int64_t step) const {
  double rate =
      options.learningRate.value_or(record().optimizer->learning_rate);
  if (step < options.warmup)
    return rate * double(step + 1) / double(options.warmup);
  double left = double(options.steps - step) /
                double(std::max<int64_t>(1, options.steps - options.warmup));
  switch (options.schedule) {
  case TrainOptions::Schedule::Constant:
    return rate;
  case TrainOptions::Schedule::Linear:
    return rate * left;
  case TrainOptions::Schedule::Cosine:
    return rate * 0.5 * (1 - std::cos(left * 3.14159265358979323846));
  }
  llvm_unreachable("all are listed");
}

void Training::report(const TrainedStep &line, double seconds) {
  if (options.quiet)
    return;
  int64_t every = std::max<int64_t>(1, options.steps / 20);
  if (line.step % every && line.step != options.steps && line.step != 1)
    return;
  double rate = seconds > 0 ? double(lines.size()) / seconds : 0;
  int64_t left = rate > 0 ? int64_t((options.steps - line.step) / rate) : 0;
  llvm::outs() << "step " << line.step << "/" << options.steps << "  loss "
               << llvm::format("%.4f", line.loss)
               << (line.skipped ? "  skipped" : "") << "  "
               << llvm::format("%.2f steps/s  %d:%02d left", rate,
                               int(left / 60), int(left % 60))
               << '\n';
  llvm::outs().flush();
}

llvm::Expected<bool> Training::train() {
  int64_t runs = std::max<int64_t>(1, record().optimizer->accumulate);
  auto start = std::chrono::steady_clock::now();
  while (done < options.steps) {
    for (auto [sum, parameter] : llvm::zip(sums, record().parameters))
      llvm::fill(sum, 0.0f);
    if (llvm::Expected<bool> placed = placeParameters(); !placed || !*placed)
      return placed;
    TrainedStep line;
    for (int64_t run = 0; run < runs; ++run) {
      llvm::Expected<bool> ran = accumulate(done * runs + run, line.loss);
      if (!ran || !*ran)
        return ran;
    }
    line.step = done + 1;
    line.loss /= double(runs);
    line.rate = rateAt(done);
    line.lossScale = optimizer->lossScale();
    line.skipped = !optimizer->step(sums, double(runs), line.rate);
    line.norm = optimizer->gradientNorm();
    ++done;
    lines.push_back(line);
    report(line, std::chrono::duration<double>(
                     std::chrono::steady_clock::now() - start)
                     .count());
    if (!options.checkpoint.empty() && options.checkpointEvery > 0 &&
        done % options.checkpointEvery == 0 && done < options.steps)
      if (llvm::Error error = writeCheckpoint())
        return error;
  }
  return true;
}

/// The gradients of the first run, as the optimiser would see them.
llvm::Expected<bool> Training::writeGradients() {
  if (llvm::Expected<bool> placed = placeParameters(); !placed || !*placed)
    return placed;
  double loss = 0;
  llvm::Expected<bool> ran = accumulate(0, loss);
  if (!ran || !*ran)
    return ran;
  Outputs files;
  if (llvm::Error error = files.makeParents(options.gradients))
    return error;
  auto write = [&](StringRef name, const Tensor &tensor) -> llvm::Error {
    SmallString<128> path = below(options.gradients, name + ".npy");
    auto made = files.addFile(path);
    return made ? writeNpy(*made, path, tensor) : made.takeError();
  };
  Tensor number(DType::Float32, {});
  number.mutableFloats()[0] = float(loss);
  if (llvm::Error error = write("loss", number))
    return error;
  for (auto [i, parameter] : llvm::enumerate(record().parameters)) {
    Tensor gradient(DType::Float32, parameter->shape);
    for (auto [to, from] : llvm::zip(gradient.mutableFloats(), sums[i]))
      to = float(from / optimizer->lossScale());
    if (llvm::Error error = write(fileName(parameter->name), gradient))
      return error;
  }
  if (llvm::Error error = files.commit())
    return error;
  return true;
}

//===----------------------------------------------------------------------===//
// Checkpoints and results
//===----------------------------------------------------------------------===//

llvm::Error Training::writeCheckpoint() {
  NamedTensors checkpoint;
  optimizer->save(checkpoint);
  checkpoint.metadata["step"] = std::to_string(done);
  checkpoint.metadata["seed"] = std::to_string(options.seed);
  checkpoint.metadata["examples"] = std::to_string(count);
  checkpoint.metadata["losses"] = printSteps(lines);
  std::string text;
  llvm::raw_string_ostream os(text);
  writeSafetensors(os, checkpoint);
  return writeFileAtomically(options.checkpoint, os.str());
}

llvm::Error Training::resume() {
  if (options.checkpoint.empty() || !llvm::sys::fs::exists(options.checkpoint))
    return llvm::Error::success();
  auto fail = [&](const Twine &what) {
    return wrong("checkpoint '" + options.checkpoint + "' " + what);
  };
  auto checkpoint = readSafetensors(options.checkpoint);
  if (!checkpoint)
    return checkpoint.takeError();
  if (llvm::Error error = optimizer->restore(*checkpoint))
    return fail(llvm::toString(std::move(error)));
  auto number = [&](const char *key) {
    int64_t value = -1;
    auto it = checkpoint->metadata.find(key);
    if (it == checkpoint->metadata.end() ||
        StringRef(it->second).getAsInteger(10, value))
      return int64_t(-1);
    return value;
  };
  done = number("step");
  if (done < 0)
    return fail("does not say where training was");
  if (number("seed") != int64_t(options.seed) || number("examples") != count)
    return fail("was made with seed " + Twine(number("seed")) + " and " +
                Twine(number("examples")) +
                " examples; the same ones give the same steps");
  lines = parseSteps(checkpoint->metadata["losses"]);
  if (!options.quiet)
    llvm::outs() << "goes on from step " << done << " of '"
                 << options.checkpoint << "'\n";
  return llvm::Error::success();
}

llvm::Error Training::writeResults() {
  if (!options.csv.empty())
    if (llvm::Error error = writeFileAtomically(options.csv, printSteps(lines)))
      return error;
  if (!options.curve.empty())
    if (llvm::Error error =
            writeFileAtomically(options.curve, drawCurve(lines)))
      return error;
  if (!options.checkpoint.empty())
    if (llvm::Error error = writeCheckpoint())
      return error;
  if (options.exportTo.empty())
    return llvm::Error::success();
  return exportWeights(options.exportTo, options.artifact, record(),
                       *optimizer);
}

llvm::Expected<bool> Training::run() {
  llvm::Expected<bool> loaded = load();
  if (!loaded || !*loaded)
    return loaded;
  if (!options.exportTo.empty())
    if (llvm::Error error = checkExport(options.exportTo, record()))
      return error;
  if (llvm::Error error = readParameters())
    return error;
  if (llvm::Error error = readData())
    return error;
  for (auto &parameter : record().parameters) {
    int64_t size = 1;
    for (int64_t dim : parameter->shape)
      size *= dim;
    sums.emplace_back(size, 0.0f);
  }
  if (!options.gradients.empty())
    return writeGradients();
  if (llvm::Error error = resume())
    return error;
  llvm::Expected<bool> trained = train();
  if (!trained || !*trained)
    return trained;
  if (optimizer->skipped() && !options.quiet)
    llvm::errs() << "ane-run: note: " << optimizer->skipped()
                 << " steps were skipped: gradients were not finite at the "
                    "loss scale of that time\n";
  if (llvm::Error error = writeResults())
    return error;
  return true;
}

llvm::Expected<bool> mlir::ane::trainArtifact(const TrainOptions &options,
                                              MLIRContext *context) {
  return Training(options, context).run();
}
