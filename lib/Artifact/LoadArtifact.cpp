//===- LoadArtifact.cpp - artifacts into the interpreter ------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "BundleFile.h"
#include "WeightVerifier.h"
#include "ane-mlir/Analysis/Placement.h"
#include "ane-mlir/Artifact/Artifact.h"
#include "ane-mlir/Artifact/Compare.h"
#include "ane-mlir/Artifact/LoadedProgram.h"
#include "ane-mlir/Artifact/Samples.h"
#include "ane-mlir/Import/MILSource.h"
#include "ane-mlir/Support/CoreMLFields.h"
#include "ane-mlir/Support/Diagnostics.h"
#include "ane-mlir/Support/MappedFile.h"
#include "ane-mlir/Support/WeightData.h"
#include "ane-mlir/Target/Surface.h"
#include "dialects/ANE/IR/Structure.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

using namespace mlir;
using namespace mlir::ane;
namespace fb = anemlir::manifest;

/// Raises one function of a source, `name` in messages about its weights.
static FailureOr<LoadedProgram> raiseProgram(MILSource source,
                                             const LoadOptions &options,
                                             WeightVerifier &verifier,
                                             StringRef name,
                                             bool shapesOnly = false) {
  source.weights = verifier.watch(std::move(source.weights), name);
  auto loaded = LoadedProgram::raise(std::move(source), options);
  if (failed(loaded) || shapesOnly)
    return loaded;
  ModuleOp module = *loaded->module;
  if (auto absent = module->getAttrOfType<StringAttr>(marks::kAbsentWeights))
    return emitError(module.getLoc()) << absent.getValue(), failure();
  return loaded;
}

namespace {
class BundleExecutable : public Executable {
public:
  struct Binding {
    unsigned tensor;
    std::optional<SurfaceLayout> surface;
  };
  struct Step {
    unsigned program;
    SmallVector<Binding> inputs, outputs;
  };
  struct TensorInfo {
    DType dtype;
    SmallVector<int64_t> shape;
  };

  struct State {
    unsigned input, output;
    /// Along which the output has new rows; -1 where it is the next input.
    int64_t axis;
  };
  struct Function {
    std::string name;
    std::vector<Step> steps;
    SmallVector<Port> inputPorts, outputPorts;
    SmallVector<unsigned> inputTensors, outputTensors;
    SmallVector<State> states;
    double predictedMicros = 0;
  };

  size_t countFunctions() const override { return functions.size(); }
  StringRef nameFunction(size_t index) const override {
    return functions[index].name;
  }
  void selectFunction(size_t index) override { selected = index; }
  double predictMicros() const override {
    return functions[selected].predictedMicros;
  }
  TextPlan plan() const override { return textPlan; }
  ArrayRef<Port> inputs() const override {
    return functions[selected].inputPorts;
  }
  ArrayRef<Port> outputs() const override {
    return functions[selected].outputPorts;
  }
  void resetStates() override { kept.clear(); }
  LogicalResult run(ArrayRef<Tensor> arguments,
                    SmallVectorImpl<Tensor> &results, Numerics numerics,
                    const BlockInterpreter::Observer &observer) override;

  Location loc;
  std::vector<LoadedProgram> programs;
  std::vector<TensorInfo> tensors;
  std::vector<Function> functions;
  TextPlan textPlan;

  explicit BundleExecutable(Location loc) : loc(loc) {}
  /// Weight files are compared with their names while the first call computes.
  std::unique_ptr<WeightVerifier> verifier;

private:
  LogicalResult runSteps(ArrayRef<Tensor> arguments,
                         SmallVectorImpl<Tensor> &results, Numerics numerics,
                         const BlockInterpreter::Observer &observer);
  /// Of one state between calls; nobody else has the tensor's memory.
  struct Kept {
    Tensor value;
    int64_t position = 0;
  };
  LogicalResult keep(const State &state, const Tensor &result);

  size_t selected = 0;
  /// By the input's name, which functions share.
  llvm::StringMap<Kept> kept;
};

class MILExecutable : public Executable {
public:
  ArrayRef<Port> inputs() const override { return inputPorts; }
  ArrayRef<Port> outputs() const override { return outputPorts; }
  LogicalResult run(ArrayRef<Tensor> arguments,
                    SmallVectorImpl<Tensor> &results, Numerics numerics,
                    const BlockInterpreter::Observer &observer) override {
    return program.run(arguments, results, numerics, observer);
  }
  LoadedProgram program;
  SmallVector<Port> inputPorts, outputPorts;
};
} // namespace

/// A tensor with memory of its own.
static Tensor copyOf(const Tensor &tensor) {
  Tensor copy(tensor.dtype(), tensor.shape());
  if (tensor.isFloat())
    llvm::copy(tensor.floats(), copy.mutableFloats().begin());
  else
    llvm::copy(tensor.ints(), copy.mutableInts().begin());
  return copy;
}

/// Writes `rows` into `into` along an axis, from `position` on.
static void writeRows(Tensor &into, const Tensor &rows, int64_t axis,
                      int64_t position) {
  int64_t outer = 1, inner = 1;
  for (int64_t d = 0; d < into.rank(); ++d)
    (d < axis ? outer : inner) *= d == axis ? 1 : into.shape()[d];
  int64_t count = rows.shape()[axis] * inner,
          stride = into.shape()[axis] * inner;
  for (int64_t o = 0; o < outer; ++o) {
    int64_t to = o * stride + position * inner;
    if (into.isFloat())
      llvm::copy(rows.floats().slice(o * count, count),
                 into.mutableFloats().begin() + to);
    else
      llvm::copy(rows.ints().slice(o * count, count),
                 into.mutableInts().begin() + to);
  }
}

/// What a call leaves for the next one.
LogicalResult BundleExecutable::keep(const State &state, const Tensor &result) {
  const Port &port = inputs()[state.input];
  Kept &entry = kept[port.name];
  if (state.axis < 0) {
    entry.value = inDType(result, port.carrier);
    return success();
  }
  int64_t rows = result.shape()[state.axis],
          capacity = entry.value.shape()[state.axis];
  if (entry.position + rows > capacity)
    return emitError(loc) << "state '" << port.name << "' holds "
                          << entry.position << " rows of at most " << capacity
                          << "; " << rows << " more do not fit";
  writeRows(entry.value, inDType(result, port.carrier), state.axis,
            entry.position);
  entry.position += rows;
  return success();
}

LogicalResult
BundleExecutable::run(ArrayRef<Tensor> arguments,
                      SmallVectorImpl<Tensor> &results, Numerics numerics,
                      const BlockInterpreter::Observer &observer) {
  LogicalResult ran = runSteps(arguments, results, numerics, observer);
  // No result of corrupt weights leaves; they explain a failure, too.
  if (auto first = std::move(verifier))
    if (llvm::Error error = first->finish()) {
      results.clear();
      return emitError(loc) << llvm::toString(std::move(error));
    }
  return ran;
}

LogicalResult
BundleExecutable::runSteps(ArrayRef<Tensor> arguments,
                           SmallVectorImpl<Tensor> &results, Numerics numerics,
                           const BlockInterpreter::Observer &observer) {
  Function &function = functions[selected];
  std::vector<Tensor> values(tensors.size());
  for (auto [tensor, argument] : llvm::zip(function.inputTensors, arguments))
    values[tensor] = argument;
  for (const State &state : function.states) {
    const Port &port = function.inputPorts[state.input];
    Kept &entry = kept[port.name];
    if (arguments[state.input])
      entry = {copyOf(arguments[state.input]), 0};
    else if (!entry.value)
      entry.value = Tensor(port.carrier, port.shape);
    if (entry.value.shape() != ArrayRef<int64_t>(port.shape))
      return emitError(loc) << "state '" << port.name << "' has the shape ["
                            << shapeText(entry.value.shape())
                            << "] in another function; here it is ["
                            << shapeText(port.shape) << "]";
    values[function.inputTensors[state.input]] = entry.value;
  }
  for (Step &step : function.steps) {
    SmallVector<Tensor> in, out;
    for (const Binding &binding : step.inputs) {
      const Tensor &value = values[binding.tensor];
      // Through the bytes of the surface, so that a wrong stride is a wrong
      // answer.
      in.push_back(binding.surface
                       ? binding.surface->readAll(binding.surface->pack(
                             value, numerics == Numerics::Engine))
                       : value);
    }
    if (failed(programs[step.program].run(in, out, numerics, observer)))
      return failure();
    for (auto [binding, value] : llvm::zip(step.outputs, out)) {
      const TensorInfo &info = tensors[binding.tensor];
      values[binding.tensor] =
          binding.surface
              ? binding.surface->unpack(binding.surface->writeAll(value),
                                        info.dtype, info.shape)
              : value;
    }
  }
  for (unsigned tensor : function.outputTensors)
    results.push_back(values[tensor]);
  // What a call returns stays as it is when rows are added.
  for (Tensor &result : results)
    for (auto &entry : kept)
      if (result.shares(entry.second.value))
        result = copyOf(result);
  for (const State &state : function.states)
    if (failed(keep(state, results[state.output])))
      return failure();
  return success();
}

static SmallString<128> child(StringRef path, StringRef name) {
  SmallString<128> full(path);
  llvm::sys::path::append(full, name);
  return full;
}

FailureOr<std::unique_ptr<fb::ManifestT>>
mlir::ane::readManifest(StringRef path, MLIRContext *context) {
  auto fail = [&](const Twine &what) {
    return emitError(NameLoc::get(StringAttr::get(context, path)))
               << what.str(),
           failure();
  };
  auto file = MappedFile::open(child(path, "manifest.fb"));
  if (!file)
    return fail(llvm::toString(file.takeError()));
  ArrayRef<char> data = (*file)->data();
  flatbuffers::Verifier verifier(reinterpret_cast<const uint8_t *>(data.data()),
                                 data.size());
  if (!fb::VerifyManifestBuffer(verifier))
    return fail("manifest.fb is truncated or no manifest");
  std::unique_ptr<fb::ManifestT> manifest = fb::UnPackManifest(data.data());
  if (manifest->version != 1)
    return fail("manifest.fb has version " + Twine(manifest->version) +
                ", this program knows version 1");
  for (auto [index, program] : llvm::enumerate(manifest->programs))
    if (llvm::Error error = checkInside(path, program->text, "the bundle"))
      return fail("the text of program " + Twine(index) + ": " +
                  llvm::toString(std::move(error)));
  return manifest;
}

/// A program with the weight files that the manifest gives it.
static FailureOr<MILSource>
openProgram(StringRef path, const fb::ProgramT &program, MLIRContext *context) {
  FailureOr<MILSource> source =
      MILSource::open(child(path, program.text), context);
  if (failed(source))
    return failure();
  std::vector<std::pair<std::string, std::string>> files;
  for (auto &weights : program.weights)
    files.push_back({weights->path, weights->file});
  source->weights =
      openOnce([path = path.str(), files](StringRef wanted)
                   -> llvm::Expected<std::shared_ptr<const MappedFile>> {
        for (auto &[name, file] : files)
          if (name == wanted)
            return MappedFile::openInside(path, file, "the bundle");
        return llvm::createStringError("the manifest has no file for '" +
                                       wanted + "'");
      });
  return source;
}

FailureOr<std::vector<MILSource>>
mlir::ane::openBundlePrograms(StringRef path, MLIRContext *context) {
  auto manifest = readManifest(path, context);
  if (failed(manifest))
    return failure();
  std::vector<MILSource> sources;
  for (auto &program : (*manifest)->programs) {
    FailureOr<MILSource> source = openProgram(path, *program, context);
    if (failed(source))
      return failure();
    sources.push_back(std::move(*source));
  }
  return sources;
}

/// Shapes whose elements can be counted; -1 where only the data tells.
static bool isSensible(ArrayRef<int64_t> shape) {
  int64_t count = 1;
  for (int64_t dim : shape)
    if (dim < -1 || dim > INT32_MAX ||
        llvm::MulOverflow(count, std::max<int64_t>(dim, 1), count) ||
        count > (int64_t(1) << 40))
      return false;
  return true;
}

namespace {
/// A manifest on its way to an executable; nothing of it is believed.
class BundleLoader {
public:
  BundleLoader(StringRef path, MLIRContext *context, const LoadOptions &options)
      : path(path), context(context),
        loc(NameLoc::get(StringAttr::get(context, path))),
        verifier(std::make_unique<WeightVerifier>(options.verify)),
        wanted(options.function), isTraining(options.isTraining),
        bundle(std::make_unique<BundleExecutable>(loc)) {}
  FailureOr<std::unique_ptr<Executable>> load();

private:
  using Binding = BundleExecutable::Binding;
  InFlightDiagnostic fail(const Twine &what) {
    return emitError(loc) << what.str();
  }
  LogicalResult readTensors();
  LogicalResult readPrograms();
  LogicalResult
  readFunction(StringRef name,
               const std::vector<std::unique_ptr<fb::StepT>> &schedule,
               const std::vector<std::unique_ptr<fb::PortT>> &inputs,
               const std::vector<std::unique_ptr<fb::PortT>> &outputs);
  LogicalResult readSteps(const std::vector<std::unique_ptr<fb::StepT>> &list,
                          BundleExecutable::Function &function);
  LogicalResult readStates(const fb::FunctionT &from,
                           BundleExecutable::Function &function);
  LogicalResult selectFunction();
  LogicalResult bind(const fb::StepT &step,
                     const std::vector<std::unique_ptr<fb::BindingT>> &list,
                     SmallVector<Binding> &out, StringRef role,
                     ArrayRef<Type> types);
  LogicalResult bindSurface(const fb::SurfaceT &surface, RankedTensorType type,
                            Binding &binding);
  LogicalResult readPorts(const std::vector<std::unique_ptr<fb::PortT>> &list,
                          SmallVector<Port> &ports, SmallVector<unsigned> &ids);
  /// Every tensor is written before it is read.
  LogicalResult checkOrder(const BundleExecutable::Function &function);

  StringRef path;
  MLIRContext *context;
  Location loc;
  std::unique_ptr<WeightVerifier> verifier;
  std::unique_ptr<fb::ManifestT> manifest;
  std::string wanted;
  bool isTraining;
  std::unique_ptr<BundleExecutable> bundle;
};
} // namespace

LogicalResult BundleLoader::readTensors() {
  for (auto &tensor : manifest->tensors) {
    std::optional<DType> dtype = lookupDType(tensor->dtype);
    if (!dtype || !isSensible(tensor->shape))
      return fail("tensor '" + tensor->name +
                  "' has no sensible dtype and shape");
    SmallVector<int64_t> shape;
    for (int64_t dim : tensor->shape)
      shape.push_back(dim == -1 ? ShapedType::kDynamic : dim);
    bundle->tensors.push_back({*dtype, shape});
  }
  return success();
}

LogicalResult BundleLoader::readPrograms() {
  const Target *target = lookupTarget(manifest->target);
  if (!target)
    return fail("manifest.fb names the target '" + manifest->target +
                "', which is not known");
  for (auto &program : manifest->programs) {
    FailureOr<MILSource> source = openProgram(path, *program, context);
    FailureOr<LoadedProgram> loaded =
        failed(source)
            ? FailureOr<LoadedProgram>(failure())
            : raiseProgram(std::move(*source), {}, *verifier, program->text);
    if (failed(loaded)) {
      // A corrupt file explains what else is wrong.
      if (llvm::Error error = verifier->finish())
        return fail(llvm::toString(std::move(error)));
      return failure();
    }
    if (program->kind == "ane")
      loaded->engine = &target->numerics;
    bundle->programs.push_back(std::move(*loaded));
  }
  return success();
}

LogicalResult
BundleLoader::readSteps(const std::vector<std::unique_ptr<fb::StepT>> &list,
                        BundleExecutable::Function &function) {
  for (auto &entry : list) {
    if (entry->program >= manifest->programs.size() ||
        entry->procedure >=
            manifest->programs[entry->program]->procedures.size())
      return fail("schedule names program " + Twine(entry->program) +
                  ", which does not exist");
    auto &procedure =
        manifest->programs[entry->program]->procedures[entry->procedure];
    ProgramOp program = bundle->programs[entry->program].program;
    BundleExecutable::Step step;
    step.program = entry->program;
    if (failed(bind(*entry, procedure->inputs, step.inputs, "input",
                    program.getArgumentTypes())) ||
        failed(bind(*entry, procedure->outputs, step.outputs, "output",
                    program.getResultTypes())))
      return failure();
    function.predictedMicros +=
        manifest->programs[entry->program]->predicted_us;
    function.steps.push_back(std::move(step));
  }
  return success();
}

LogicalResult BundleLoader::bindSurface(const fb::SurfaceT &surface,
                                        RankedTensorType type,
                                        Binding &binding) {
  auto fail = [&](const Twine &what) {
    return this->fail("surface '" + surface.symbol + "' " + what);
  };
  if (surface.shape.size() != 4 || surface.view.size() != 4 ||
      !isSensible(surface.shape) || !isSensible(surface.view))
    return fail("expects rank 4");
  int64_t viewCount = 1, count = 1;
  for (int64_t i = 0; i < 4; ++i) {
    viewCount *= surface.view[i];
    if (surface.view[i] > surface.shape[i])
      return fail("is smaller than its view");
  }
  for (int64_t dim : bundle->tensors[binding.tensor].shape)
    count *= dim;
  if (viewCount != count)
    return fail("has a view that does not hold its tensor");
  if (!surface.order.empty() && !isOrder(surface.view, surface.order))
    return fail("has an order that is none of its tensor's elements");
  SurfaceLayout layout = SurfaceLayout::compute(surface.shape, surface.view);
  layout.order.assign(surface.order.begin(), surface.order.end());
  // The strides of the file are what a loader uses; they must be what the
  // layout says.
  if (layout.rowStride != surface.row_stride ||
      layout.planeStride != surface.plane_stride ||
      layout.batchStride != surface.batch_stride ||
      layout.allocation != surface.allocation)
    return fail("has strides that break the layout rule");
  if (type.getShape() != ArrayRef<int64_t>(layout.shape) ||
      toDType(type.getElementType()) != DType::Float16)
    return fail("does not have the type of its program's parameter");
  binding.surface = layout;
  return success();
}

LogicalResult
BundleLoader::bind(const fb::StepT &step,
                   const std::vector<std::unique_ptr<fb::BindingT>> &list,
                   SmallVector<Binding> &out, StringRef role,
                   ArrayRef<Type> types) {
  if (list.size() != types.size())
    return fail("program " + Twine(step.program) + " binds " +
                Twine(list.size()) + " " + role + "s, its text has " +
                Twine(types.size()));
  for (auto [binding, type] : llvm::zip(list, types)) {
    if (binding->tensor >= manifest->tensors.size())
      return fail("binding '" + binding->symbol + "' names tensor " +
                  Twine(binding->tensor) + ", which does not exist");
    Binding result{binding->tensor, std::nullopt};
    auto tensor = cast<RankedTensorType>(type);
    for (auto &surface : manifest->tensors[binding->tensor]->surfaces)
      if (surface->program == step.program &&
          surface->symbol == binding->symbol && surface->role == role &&
          failed(bindSurface(*surface, tensor, result)))
        return failure();
    auto &info = bundle->tensors[binding->tensor];
    if (!result.surface &&
        (toDType(tensor.getElementType()) != info.dtype ||
         (tensor.hasStaticShape() &&
          tensor.getShape() != ArrayRef<int64_t>(info.shape))))
      return fail("binding '" + binding->symbol +
                  "' does not have the type of its program's parameter");
    out.push_back(std::move(result));
  }
  return success();
}

LogicalResult
BundleLoader::readPorts(const std::vector<std::unique_ptr<fb::PortT>> &list,
                        SmallVector<Port> &ports, SmallVector<unsigned> &ids) {
  for (auto &port : list) {
    std::optional<DType> dtype = lookupDType(port->dtype);
    if (!dtype || port->tensor >= manifest->tensors.size())
      return fail("port '" + port->name + "' has no sensible dtype and tensor");
    auto &tensor = bundle->tensors[port->tensor];
    ports.push_back({port->name, *dtype, tensor.dtype, tensor.shape, ""});
    ids.push_back(port->tensor);
  }
  return success();
}

LogicalResult
BundleLoader::checkOrder(const BundleExecutable::Function &function) {
  std::vector<bool> defined(manifest->tensors.size());
  for (const Port &port : function.inputPorts)
    if (ShapedType::isDynamicShape(port.shape))
      return fail("input '" + port.name + "' has an unknown dimension");
  for (unsigned id : function.inputTensors)
    defined[id] = true;
  for (auto &step : function.steps) {
    for (auto &binding : step.inputs)
      if (!defined[binding.tensor])
        return fail("tensor '" + manifest->tensors[binding.tensor]->name +
                    "' is read before a program writes it");
    for (auto &binding : step.outputs)
      defined[binding.tensor] = true;
  }
  for (unsigned id : function.outputTensors)
    if (!defined[id])
      return fail("output '" + manifest->tensors[id]->name +
                  "' is written by no program");
  return success();
}

LogicalResult BundleLoader::readStates(const fb::FunctionT &from,
                                       BundleExecutable::Function &function) {
  for (auto &state : from.states) {
    if (state->input >= function.inputPorts.size() ||
        state->output >= function.outputPorts.size())
      return fail("a state names an input or output that does not exist");
    Port &in = function.inputPorts[state->input],
         &out = function.outputPorts[state->output];
    int64_t rank = in.shape.size(), axis = state->axis;
    bool fits = isFloat(in.carrier) == isFloat(out.carrier) &&
                out.shape.size() == size_t(rank) && axis >= -1 && axis < rank;
    for (int64_t d = 0; fits && d < rank; ++d)
      fits = d == axis ? out.shape[d] >= 0 && out.shape[d] <= in.shape[d]
                       : out.shape[d] == in.shape[d];
    if (!fits)
      return fail("state '" + in.name + "' and its output '" + out.name +
                  "' do not have types that belong together");
    in.state = out.state = true;
    in.grows = out.grows = axis >= 0;
    function.states.push_back({state->input, state->output, axis});
  }
  return success();
}

LogicalResult BundleLoader::readFunction(
    StringRef name, const std::vector<std::unique_ptr<fb::StepT>> &schedule,
    const std::vector<std::unique_ptr<fb::PortT>> &inputs,
    const std::vector<std::unique_ptr<fb::PortT>> &outputs) {
  bundle->functions.emplace_back();
  BundleExecutable::Function &function = bundle->functions.back();
  function.name = name.str();
  if (failed(readSteps(schedule, function)) ||
      failed(readPorts(inputs, function.inputPorts, function.inputTensors)) ||
      failed(readPorts(outputs, function.outputPorts, function.outputTensors)))
    return failure();
  return checkOrder(function);
}

LogicalResult BundleLoader::selectFunction() {
  if (wanted.empty())
    return success();
  SmallVector<StringRef> names;
  for (auto [index, function] : llvm::enumerate(bundle->functions)) {
    names.push_back(function.name);
    if (function.name == wanted) {
      bundle->selectFunction(index);
      return success();
    }
  }
  return fail("has no function '" + wanted + "'; it has " +
              llvm::join(names, ", "));
}

void mlir::ane::warnOfPatched(const fb::ManifestT &manifest,
                              MLIRContext *context) {
  if (!manifest.training)
    return;
  std::string names;
  for (auto &parameter : manifest.training->parameters)
    if (llvm::any_of(parameter->copies,
                     [](auto &copy) { return copy->program >= 0; }))
      names += (names.empty() ? "'" : ", '") + printable(parameter->name) + "'";
  if (!names.empty())
    emitWarning(UnknownLoc::get(context))
        << "programs have weights that are trained in their files, with first "
           "values, whatever the inputs of these names hold: "
        << names << "; ane-run --train writes them";
}

FailureOr<std::unique_ptr<Executable>> BundleLoader::load() {
  auto opened = readManifest(path, context);
  if (failed(opened))
    return failure();
  manifest = std::move(*opened);
  if (failed(readTensors()) || failed(readPrograms()))
    return failure();
  if (manifest->functions.empty() &&
      failed(readFunction("main", manifest->schedule, manifest->inputs,
                          manifest->outputs)))
    return failure();
  for (auto &from : manifest->functions)
    if (failed(readFunction(from->name, from->schedule, from->inputs,
                            from->outputs)) ||
        failed(readStates(*from, bundle->functions.back())))
      return failure();
  for (auto &step : manifest->plan) {
    if (step->function >= bundle->functions.size())
      return fail("a plan names a function that does not exist");
    bundle->textPlan.push_back({step->from, step->function});
  }
  if (failed(selectFunction()))
    return failure();
  if (!isTraining)
    warnOfPatched(*manifest, context);
  bundle->verifier = std::move(verifier);
  return std::unique_ptr<Executable>(std::move(bundle));
}

/// One function with the user's own inputs and outputs.
static FailureOr<std::unique_ptr<Executable>>
makeMILExecutable(FailureOr<LoadedProgram> loaded,
                  const llvm::StringMap<std::string> &aliases,
                  const llvm::StringMap<double> &fallbacks,
                  const Target &target) {
  if (failed(loaded))
    return failure();
  auto executable = std::make_unique<MILExecutable>();
  auto port = [&](Type type, StringAttr name) -> FailureOr<Port> {
    auto tensor = dyn_cast<RankedTensorType>(type);
    std::optional<DType> dtype =
        tensor ? toDType(tensor.getElementType()) : std::nullopt;
    if (!dtype)
      return emitError(loaded->program.getLoc())
                 << "type " << type << " cannot cross the boundary",
             failure();
    std::string own = name ? name.getValue().str() : "";
    return Port{own, *dtype, *dtype, SmallVector<int64_t>(tensor.getShape()),
                aliases.lookup(own)};
  };
  ProgramOp program = loaded->program;
  for (auto [i, type] : llvm::enumerate(program.getArgumentTypes())) {
    FailureOr<Port> p =
        port(type, program.getArgAttrOfType<StringAttr>(i, marks::kName));
    if (failed(p))
      return failure();
    if (auto it = fallbacks.find(p->name); it != fallbacks.end())
      p->fallback = it->getValue();
    executable->inputPorts.push_back(*p);
  }
  for (auto [i, type] : llvm::enumerate(program.getResultTypes())) {
    FailureOr<Port> p =
        port(type, program.getResultAttrOfType<StringAttr>(i, marks::kName));
    if (failed(p))
      return failure();
    executable->outputPorts.push_back(*p);
  }
  loaded->engine = &target.numerics;
  executable->program = std::move(*loaded);
  return std::unique_ptr<Executable>(std::move(executable));
}

FailureOr<std::vector<IllegalOp>>
mlir::ane::findIllegalOps(StringRef path, const Target &target,
                          MLIRContext *context, const LoadOptions &options) {
  FailureOr<MILSource> source = MILSource::open(path, context);
  if (failed(source))
    return failure();
  WeightVerifier verifier(/*enabled=*/false);
  FailureOr<LoadedProgram> loaded = raiseProgram(
      std::move(*source), options, verifier, llvm::sys::path::filename(path),
      /*shapesOnly=*/true);
  if (failed(loaded))
    return failure();
  std::vector<IllegalOp> found;
  ProgramOp program = loaded->program;
  auto checkPort = [&](Type type, StringAttr name, StringRef what) {
    auto tensor = dyn_cast<RankedTensorType>(type);
    if (tensor && tensor.getRank() == 4 && tensor.getElementType().isF16() &&
        tensor.getDimSize(3) % 32 == 0)
      return;
    std::string reason;
    llvm::raw_string_ostream(reason)
        << "its type is " << type
        << "; a surface has rank 4, fp16 and a width that is a multiple of 32";
    found.push_back({name ? name.getValue().str() : "", what.str(), "L40",
                     spellTypes(reason)});
  };
  for (auto [i, type] : llvm::enumerate(program.getArgumentTypes()))
    checkPort(type, program.getArgAttrOfType<StringAttr>(i, marks::kName),
              "input");
  for (auto [i, type] : llvm::enumerate(program.getResultTypes()))
    checkPort(type, program.getResultAttrOfType<StringAttr>(i, marks::kName),
              "output");
  Block &body = program.getBody().front();
  llvm::DenseSet<Operation *> trees = findWeightTrees(body);
  for (Operation &op : body.without_terminator()) {
    auto legality = dyn_cast<LegalityOpInterface>(op);
    if (trees.contains(&op) || !legality)
      continue;
    ViolationList violations;
    findEnabledViolations(legality, target, violations);
    auto name = dyn_cast<NameLoc>(op.getLoc());
    for (Violation &violation : violations)
      found.push_back({name ? name.getName().str() : "",
                       op.getName().getStringRef().str(), violation.rule,
                       spellTypes(violation.reason)});
  }
  return found;
}

DialectRegistry mlir::ane::artifactDialects() {
  DialectRegistry registry;
  registry.insert<ANEDialect, mil::MILDialect>();
  registerEvaluationModels(registry);
  return registry;
}

FailureOr<std::unique_ptr<Executable>>
mlir::ane::loadArtifact(StringRef path, MLIRContext *context,
                        const LoadOptions &options) {
  auto fail = [&](const Twine &what) {
    return emitError(NameLoc::get(StringAttr::get(context, path))) << what,
           failure();
  };
  if (MILSource::matches(path)) {
    FailureOr<MILSource> source = MILSource::open(path, context);
    if (failed(source))
      return failure();
    llvm::StringMap<std::string> aliases;
    FailureOr<mil::FuncOp> func = source->function(options.function);
    if (failed(func))
      return failure();
    if (const PackageInfo::Function *described = source->describe(*func))
      for (auto *features : {&described->inputs, &described->outputs})
        for (const PackageFeature &feature : *features)
          aliases[feature.name] =
              StringRef(feature.description).split(coreml::kBehindName).first;
    llvm::StringMap<double> fallbacks;
    if (const PackageInfo::Function *described = source->describe(*func))
      for (const PackageFeature &feature : described->inputs)
        if (feature.optional)
          fallbacks[feature.name] = feature.defaultValue.value_or(0);
    WeightVerifier verifier(options.verify);
    auto loaded = makeMILExecutable(
        raiseProgram(std::move(*source), options, verifier,
                     llvm::sys::path::filename(path)),
        aliases, fallbacks,
        options.target ? *options.target : getDefaultTarget());
    if (llvm::Error error = verifier.finish())
      return fail(llvm::toString(std::move(error)));
    return loaded;
  }
  if (llvm::sys::fs::is_directory(path))
    return BundleLoader(path, context, options).load();
  if (!llvm::sys::fs::exists(path))
    return fail("is not found");
  if (path.ends_with(".onnx"))
    return fail("is an ONNX model; convert it first: onnx-to-ane " + path +
                " -o " + llvm::sys::path::stem(path) + ".anepkg");
  return fail("is neither a bundle, a package, a .mlmodelc nor a .mil file");
}
