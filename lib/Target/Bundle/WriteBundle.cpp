//===- WriteBundle.cpp - placed modules to bundles ------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "BundleFiles.h"
#include "ManifestJSON.h"
#include "ane-mlir/Analysis/CostModel.h"
#include "ane-mlir/Interpreter/Safetensors.h"
#include "ane-mlir/Interpreter/Weights.h"
#include "ane-mlir/Support/AtomicPath.h"
#include "ane-mlir/Support/Hash.h"
#include "ane-mlir/Target/Bundle.h"
#include "ane-mlir/Target/MILText.h"
#include "ane-mlir/Target/Surface.h"
#include "ane-mlir/Target/Weights.h"
#include "dialects/ANE/IR/Structure.h"
#include "dialects/ANE/IR/WeightTrees.h"
#include "dialects/MIL/IR/MIL.h"
#include "lib/Target/Bundle/Manifest_generated.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/AttrTypeSubElements.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/Path.h"
#include <future>

using namespace mlir;
using namespace mlir::ane;
namespace fb = anemlir::manifest;

namespace {
/// Passes bytes on to a file and a hash.
class HashingStream : public llvm::raw_ostream {
public:
  explicit HashingStream(llvm::raw_ostream &out) : out(out) {
    SetBufferSize(1 << 20);
  }
  ~HashingStream() override { flush(); }
  std::string finish() {
    flush();
    return hash.finish();
  }

private:
  void write_impl(const char *data, size_t size) override {
    // As long as one takes the other.
    std::future<void> hashing;
    if (size >= kLarge)
      hashing = std::async(std::launch::async,
                           [&] { hash.update(ArrayRef<char>(data, size)); });
    else
      hash.update(ArrayRef<char>(data, size));
    out.write(data, size);
    written += size;
    if (hashing.valid())
      hashing.get();
  }
  static constexpr size_t kLarge = 1 << 20;
  uint64_t current_pos() const override { return written; }
  llvm::raw_ostream &out;
  Hash hash;
  uint64_t written = 0;
};
} // namespace

/// Streams the weights of a program to `path`, called `shown` in messages, a
/// tree at a time; returns the file's hash.
static FailureOr<std::string> writeWeightFile(Location loc,
                                              ProgramWeights &weights,
                                              StringRef path, StringRef shown) {
  std::string hash;
  LogicalResult written = writeStagedFile(
      path, shown,
      [&](llvm::raw_ostream &os) {
        HashingStream stream(os);
        LogicalResult result = writeWeights(loc, weights, stream);
        hash = stream.finish();
        return result;
      },
      [&](llvm::Error error) {
        emitError(loc) << llvm::toString(std::move(error));
      });
  if (failed(written))
    return failure();
  return hash;
}

static std::string textOf(Location loc) {
  if (auto name = dyn_cast<NameLoc>(loc))
    return name.getName().str();
  return "";
}

/// The spelling that convert-ane-to-mil chose; the target's where there is no
/// program.
static bool isVerbose(ModuleOp module) {
  bool verbose = getTarget(module).verboseDialect;
  if (auto programs = module.lookupSymbol<ModuleOp>(mil::kPrograms))
    for (auto program : programs.getOps<mil::ProgramOp>())
      verbose = program.getVerbose();
  return verbose;
}

namespace {
class BundleWriter {
public:
  BundleWriter(ArrayRef<BundleFunction> functions, StringRef path,
               const BundleOptions &options)
      : functions(functions), module(functions.front().module), path(path),
        options(options), target(getTarget(module)), symbols(module) {}
  LogicalResult write(Outputs &outputs);

private:
  static SmallString<128> below(StringRef folder, const Twine &name) {
    SmallString<128> full(folder);
    llvm::sys::path::append(full, name);
    return full;
  }
  /// Where a file of the bundle is made, and what the user calls it.
  SmallString<128> child(const Twine &name) { return below(directory, name); }
  SmallString<128> shown(const Twine &name) { return below(path, name); }
  LogicalResult fail(llvm::Error error) {
    return emitError(module.getLoc()) << llvm::toString(std::move(error));
  }
  LogicalResult makeFolder(Outputs &outputs);
  unsigned addTensor(Value value, std::string name);
  void addPort(std::vector<std::unique_ptr<fb::PortT>> &list,
               DictionaryAttr attrs, Value value, std::string fallback);
  LogicalResult addFunction(const BundleFunction &function);
  LogicalResult addProgram(CallOp call, fb::FunctionT &function);
  FailureOr<std::string> writeWeights(ProgramOp program, ProgramWeights weights,
                                      fb::ProgramT &entry);
  LogicalResult findPatches(const ProgramWeights &planned);
  LogicalResult addWeights(ProgramOp program, mil::ProgramOp text,
                           fb::ProgramT &entry);
  void findTied();
  bool isTied(Value root) const;
  void addStates(func::FuncOp main, fb::FunctionT &function);
  void bind(std::vector<std::unique_ptr<fb::BindingT>> &list,
            ArrayRef<std::string> names, ValueRange values, StringRef role,
            size_t program,
            llvm::function_ref<SurfaceAttr(unsigned)> surfaceOf);
  void addSurface(SurfaceAttr attr, StringRef symbol, StringRef role,
                  unsigned index, size_t program, unsigned tensor);
  void addProvenance(mil::ProgramOp text, size_t index);
  LogicalResult addTraining();
  LogicalResult writeManifest();

  ArrayRef<BundleFunction> functions;
  /// Of the function that is written.
  ModuleOp module;
  StringRef path;
  const BundleOptions &options;
  const Target &target;
  SymbolTable symbols;
  std::optional<SymbolTable> texts;
  std::string directory;
  fb::ManifestT manifest;
  llvm::DenseMap<Value, unsigned> tensorIds;
  llvm::StringSet<> files;
  /// By dtype and hash: where a weight is stored already.
  struct Stored {
    std::string file;
    uint64_t offset;
  };
  llvm::StringMap<Stored> stored;
  /// Large constants of one function that several of its programs read: the
  /// table of an embedding that is the weight of the last product, too.
  llvm::DenseSet<Attribute> tied;
  /// Copies of parameters in weight files.
  struct Patched {
    std::string of;
    fb::ParameterCopyT copy;
  };
  std::vector<Patched> patches;
  unsigned engines = 0;
};
} // namespace

LogicalResult BundleWriter::makeFolder(Outputs &outputs) {
  auto made = outputs.addFolder(path, checkReplacesBundle);
  if (!made)
    return fail(made.takeError());
  directory = *made;
  for (StringRef folder : {"programs", "weights"})
    if (llvm::Error error = makeFolders(child(folder), shown(folder)))
      return fail(std::move(error));
  return success();
}

/// -1 where only the data tells the extent.
static void setShape(std::vector<int64_t> &out, RankedTensorType type) {
  for (int64_t dim : type.getShape())
    out.push_back(ShapedType::isDynamic(dim) ? -1 : dim);
}

static std::string dtypeOf(RankedTensorType type) {
  return getInfo(*toDType(type.getElementType())).name.str();
}

unsigned BundleWriter::addTensor(Value value, std::string name) {
  auto [it, isNew] = tensorIds.try_emplace(value, manifest.tensors.size());
  if (isNew) {
    auto type = cast<RankedTensorType>(value.getType());
    auto tensor = std::make_unique<fb::TensorT>();
    tensor->name = std::move(name);
    tensor->dtype = dtypeOf(type);
    setShape(tensor->shape, type);
    manifest.tensors.push_back(std::move(tensor));
  }
  return it->second;
}

void BundleWriter::addPort(std::vector<std::unique_ptr<fb::PortT>> &list,
                           DictionaryAttr attrs, Value value,
                           std::string fallback) {
  auto port = std::make_unique<fb::PortT>();
  auto text = [&](StringRef key, std::string otherwise) {
    auto attr =
        attrs ? dyn_cast_or_null<StringAttr>(attrs.get(key)) : StringAttr();
    return attr ? attr.getValue().str() : otherwise;
  };
  auto type = cast<RankedTensorType>(value.getType());
  port->name = text(marks::kName, fallback);
  port->dtype = text(marks::kDtype, dtypeOf(type));
  setShape(port->shape, type);
  port->tensor = addTensor(value, port->name);
  list.push_back(std::move(port));
}

/// A file of weights for the program; its name in the bundle.
FailureOr<std::string> BundleWriter::writeWeights(ProgramOp program,
                                                  ProgramWeights planned,
                                                  fb::ProgramT &entry) {
  auto weights = std::make_unique<fb::WeightsT>();
  weights->size = planned.layout.fileSize();
  SmallString<128> temporary = child("weights/weight.tmp");
  FailureOr<std::string> hash =
      writeWeightFile(program.getLoc(), planned, temporary, shown("weights"));
  if (failed(hash))
    return failure();
  if (weights->size >= (uint64_t(1) << 32)) {
    program.emitError() << "weights of " << weights->size
                        << " bytes exceed the 4 GiB of one file (L73)";
    return failure();
  }
  // A file that is written anew is one program's, and not what it is called by.
  bool asIs = false;
  bool isPatched = llvm::any_of(
      planned.roots, [&](Value root) { return findPatched(root, asIs); });
  std::string file =
      "weights/" +
      (isPatched ? "program" + std::to_string(manifest.programs.size())
                 : *hash) +
      ".bin";
  if (std::error_code error = llvm::sys::fs::rename(temporary, child(file))) {
    (void)fail(llvm::createStringError(
        error, "cannot write '" + shown(file).str() + "': " + error.message()));
    return failure();
  }
  weights->path = kWeightPath.str();
  weights->file = file;
  weights->offset = 0;
  files.insert(file);
  entry.weights.push_back(std::move(weights));
  return file;
}

/// Below so many bytes a file of its own is not worth what it saves.
static constexpr int64_t kLeastTied = 1 << 20;

void BundleWriter::findTied() {
  llvm::DenseSet<Attribute> read;
  for (auto program : module.getOps<ProgramOp>()) {
    llvm::DenseSet<Attribute> here;
    for (auto constant : program.getBody().front().getOps<ConstantOp>())
      if (ElementsAttr value = constant.getValue();
          value.getNumElements() *
                  int64_t(value.getElementType().getIntOrFloatBitWidth()) >=
              kLeastTied * 8 &&
          here.insert(value).second && !read.insert(value).second)
        tied.insert(value);
  }
}

bool BundleWriter::isTied(Value root) const {
  if (tied.empty())
    return false;
  SmallVector<Value> left{root};
  while (!left.empty()) {
    Operation *op = left.pop_back_val().getDefiningOp();
    if (auto constant = dyn_cast_or_null<ConstantOp>(op);
        constant && tied.contains(constant.getValue()))
      return true;
    if (op)
      llvm::append_range(left, op->getOperands());
  }
  return false;
}

/// Where copies of parameters lie in the program's weight file.
LogicalResult BundleWriter::findPatches(const ProgramWeights &planned) {
  for (auto [root, entry] :
       llvm::zip_equal(planned.roots, planned.layout.getEntries())) {
    bool asIs = true;
    Operation *constant = findPatched(root, asIs);
    if (!constant)
      continue;
    if (!asIs)
      return emitError(root.getLoc())
             << "a trained weight is not in its file as it is; "
                "--train-weights=inputs takes it";
    Patched patched{constant->getAttrOfType<StringAttr>(marks::kCopyOf).str(),
                    {}};
    patched.copy.program = int32_t(manifest.programs.size());
    patched.copy.offset = entry.offset;
    patched.copy.transposed = constant->hasAttr(marks::kTransposed);
    if (auto groups = constant->getAttrOfType<IntegerAttr>(marks::kGroups))
      patched.copy.groups = uint32_t(groups.getInt());
    auto type = cast<RankedTensorType>(constant->getResult(0).getType());
    auto shape = matrixShapeOf(type.getShape());
    patched.copy.shape.assign(shape.begin(), shape.end());
    patches.push_back(std::move(patched));
  }
  return success();
}

/// Bytes that are kept from when a sum was taken of them to when they are
/// written, beside one tensor of any size.
static constexpr size_t kMostKept = 64 << 20;

/// Files of other programs that one program may read beside its own (L72).
static constexpr size_t kMostShared = 14;

/// What is stored already is read from where it is; the rest is in a file of
/// the program's own.
LogicalResult BundleWriter::addWeights(ProgramOp program, mil::ProgramOp text,
                                       fb::ProgramT &entry) {
  ProgramWeights planned = collectWeights(program);
  if (planned.roots.empty())
    return success();
  if (failed(findPatches(planned)))
    return failure();
  // Sums are taken where something may be stored already.
  bool all = functions.size() > 1;
  if (!all && llvm::none_of(planned.roots, [&](Value v) { return isTied(v); }))
    return success(succeeded(writeWeights(program, planned, entry)));
  WeightLayout before;
  ProgramWeights fresh;
  llvm::DenseMap<uint64_t, Stored> places; // by offset as converted
  std::vector<std::pair<uint64_t, std::string>> keys;
  llvm::SetVector<StringRef> shared;
  size_t kept = 0;
  for (Value root : planned.roots) {
    auto type = cast<RankedTensorType>(root.getType());
    DType dtype = *toDType(type.getElementType());
    uint64_t offset = before.add(dtype, type.getNumElements());
    if (!all && !isTied(root)) {
      places[offset] = {"", fresh.layout.add(dtype, type.getNumElements())};
      fresh.roots.push_back(root);
      continue;
    }
    FailureOr<std::vector<char>> bytes = evaluateWeight(root);
    if (failed(bytes))
      return emitError(root.getLoc()) << "weight cannot be evaluated";
    Hash hash;
    hash.update(*bytes);
    std::string key = getInfo(dtype).name.str() + hash.finish();
    auto known = stored.find(key);
    if (known != stored.end() &&
        (shared.contains(known->second.file) || shared.size() < kMostShared)) {
      shared.insert(known->second.file);
      places[offset] = known->second;
      continue;
    }
    keys.push_back({offset, key});
    places[offset] = {"", fresh.layout.add(dtype, type.getNumElements())};
    fresh.roots.push_back(root);
    if (kept == 0 || kept + bytes->size() <= kMostKept) {
      kept += bytes->size();
      fresh.evaluated[root] = std::move(*bytes);
    }
  }
  std::string own;
  if (!fresh.roots.empty()) {
    FailureOr<std::string> file =
        writeWeights(program, std::move(fresh), entry);
    if (failed(file))
      return failure();
    own = *file;
  }
  for (auto &[offset, key] : keys)
    stored.try_emplace(key, Stored{own, places[offset].offset});
  // "weights/<hash>.bin" under a name of its own.
  auto pathOf = [](StringRef file) {
    return file.empty() ? kWeightPath.str() : "@model_path/" + file.str();
  };
  for (StringRef file : shared) {
    auto weights = std::make_unique<fb::WeightsT>();
    uint64_t size = 0;
    (void)llvm::sys::fs::file_size(child(file), size);
    weights->path = pathOf(file);
    weights->file = file.str();
    weights->size = size;
    entry.weights.push_back(std::move(weights));
  }
  AttrTypeReplacer replacer;
  replacer.addReplacement([&](mil::BlobFileAttr blob) -> Attribute {
    const Stored &place = places[blob.getOffset()];
    return mil::BlobFileAttr::get(blob.getContext(), pathOf(place.file),
                                  place.offset);
  });
  replacer.recursivelyReplaceElementsIn(text);
  return success();
}

void BundleWriter::addSurface(SurfaceAttr attr, StringRef symbol,
                              StringRef role, unsigned index, size_t program,
                              unsigned tensor) {
  SurfaceLayout layout =
      SurfaceLayout::compute(attr.getShape(), attr.getView());
  auto surface = std::make_unique<fb::SurfaceT>();
  surface->program = program;
  surface->symbol = symbol.str();
  surface->role = role.str();
  surface->index = index;
  surface->view.assign(attr.getView().begin(), attr.getView().end());
  surface->shape.assign(attr.getShape().begin(), attr.getShape().end());
  surface->order.assign(attr.getOrder().begin(), attr.getOrder().end());
  surface->row_stride = layout.rowStride;
  surface->plane_stride = layout.planeStride;
  surface->batch_stride = layout.batchStride;
  surface->allocation = layout.allocation;
  manifest.tensors[tensor]->surfaces.push_back(std::move(surface));
}

void BundleWriter::bind(std::vector<std::unique_ptr<fb::BindingT>> &list,
                        ArrayRef<std::string> names, ValueRange values,
                        StringRef role, size_t program,
                        llvm::function_ref<SurfaceAttr(unsigned)> surfaceOf) {
  for (auto [i, value] : llvm::enumerate(values)) {
    auto binding = std::make_unique<fb::BindingT>();
    binding->symbol = names[i];
    binding->tensor =
        addTensor(value, "t" + std::to_string(manifest.tensors.size()));
    if (SurfaceAttr attr = surfaceOf(i))
      addSurface(attr, names[i], role, i, program, binding->tensor);
    list.push_back(std::move(binding));
  }
}

void BundleWriter::addProvenance(mil::ProgramOp text, size_t index) {
  text.walk([&](mil::OpOp op) {
    if (op.getType() == "const")
      return;
    auto origin = std::make_unique<fb::OriginT>();
    origin->program = index;
    origin->op = op.getNames().empty()
                     ? ""
                     : cast<StringAttr>(op.getNames()[0]).getValue().str();
    origin->node = textOf(op.getLoc());
    manifest.provenance.push_back(std::move(origin));
  });
}

LogicalResult BundleWriter::addProgram(CallOp call, fb::FunctionT &function) {
  size_t index = manifest.programs.size();
  auto program = symbols.lookup<ProgramOp>(call.getCallee());
  if (!program)
    return call.emitOpError() << "calls no ane.program";
  auto text = texts ? texts->lookup<mil::ProgramOp>(call.getCallee())
                    : mil::ProgramOp();
  if (!text)
    return call.emitOpError()
           << "has no MIL program; run convert-ane-to-mil first";
  engines += program.isEngine();
  auto entry = std::make_unique<fb::ProgramT>();
  entry->kind = stringifyProgramKind(program.getKind()).str();
  std::string number = std::to_string(index);
  entry->text = "programs/" +
                std::string(number.size() < 3 ? 3 - number.size() : 0, '0') +
                number + ".mil";
  entry->predicted_us =
      predict(program).total() + predictHostMicros(program, target);
  if (failed(addWeights(program, text, *entry)))
    return failure();
  std::string printed;
  llvm::raw_string_ostream os(printed);
  if (failed(mil::printMILText(text, os)))
    return failure();
  if (llvm::Error error =
          writeStagedText(child(entry->text), shown(entry->text), printed))
    return fail(std::move(error));
  auto procedure = std::make_unique<fb::ProcedureT>();
  procedure->name = "main";
  mil::FuncOp body = mil::getFunction(text);
  bind(procedure->inputs, mil::getParameterNames(body), call.getInputs(),
       "input", index, [&](unsigned i) {
         return program.getArgAttrOfType<SurfaceAttr>(i, marks::kSurface);
       });
  bind(procedure->outputs, mil::getResultNames(body), call.getOutputs(),
       "output", index, [&](unsigned i) {
         return program.getResultAttrOfType<SurfaceAttr>(i, marks::kSurface);
       });
  entry->procedures.push_back(std::move(procedure));
  manifest.programs.push_back(std::move(entry));
  auto step = std::make_unique<fb::StepT>();
  step->program = index;
  function.schedule.push_back(std::move(step));
  addProvenance(text, index);
  return success();
}

/// Where a port of this name is; -1 where there is none.
static int findPort(const std::vector<std::unique_ptr<fb::PortT>> &ports,
                    StringRef name) {
  for (auto [i, port] : llvm::enumerate(ports))
    if (port->name == name)
      return i;
  return -1;
}

static std::unique_ptr<fb::OptimizerT>
describeOptimizer(const OptimizerOptions &o) {
  auto made = std::make_unique<fb::OptimizerT>();
  made->kind = o.kind;
  made->learning_rate = o.learningRate;
  made->momentum = o.momentum;
  made->beta1 = o.beta1;
  made->beta2 = o.beta2;
  made->epsilon = o.epsilon;
  made->weight_decay = o.weightDecay;
  made->clip_norm = o.clipNorm;
  made->loss_scale = o.lossScale;
  made->dynamic_loss_scale = o.dynamicLossScale;
  made->growth_interval = o.growthInterval;
  made->accumulate = o.accumulate;
  return made;
}

/// The parameters, their values, and the model that they are from.
LogicalResult BundleWriter::addTraining() {
  auto entries = module->getAttrOfType<ArrayAttr>(marks::kParameters);
  if (!options.training || !entries)
    return success();
  auto training = std::make_unique<fb::TrainingT>();
  training->loss = options.training->loss;
  training->loss_output = std::max(0, findPort(manifest.outputs, "loss"));
  training->targets = findPort(manifest.inputs, "targets");
  training->loss_scale = findPort(manifest.inputs, "loss_scale");
  auto main = module.lookupSymbol<func::FuncOp>("main");
  if (training->targets >= 0)
    if (auto classes = main.getArgAttrOfType<IntegerAttr>(training->targets,
                                                          marks::kTargets))
      training->classes = classes.getInt();
  training->file = "training/parameters.safetensors";
  training->optimizer = describeOptimizer(options.training->optimizer);
  NamedTensors values;
  for (Attribute each : entries) {
    auto entry = cast<DictionaryAttr>(each);
    auto parameter = std::make_unique<fb::ParameterT>();
    parameter->name = entry.getAs<StringAttr>("name").getValue().str();
    FailureOr<Tensor> value =
        Tensor::fromElements(entry.getAs<ElementsAttr>("value"));
    int input = findPort(manifest.inputs, parameter->name),
        gradient = findPort(manifest.outputs, parameter->name + ".gradient");
    if (failed(value) || input < 0 || gradient < 0)
      return module.emitError() << "has no input and gradient for parameter '"
                                << parameter->name << "'";
    parameter->shape.assign(value->shape().begin(), value->shape().end());
    parameter->input = input;
    parameter->gradient = gradient;
    for (unsigned i = 0; i < main.getNumArguments(); ++i)
      if (auto copy = main.getArgAttrOfType<StringAttr>(i, marks::kCopyOf);
          copy && copy.getValue() == parameter->name) {
        parameter->copies.push_back(std::make_unique<fb::ParameterCopyT>());
        parameter->copies.back()->input = i;
        parameter->copies.back()->transposed =
            main.getArgAttr(i, marks::kTransposed) != nullptr;
        if (auto groups = main.getArgAttrOfType<IntegerAttr>(i, marks::kGroups))
          parameter->copies.back()->groups = uint32_t(groups.getInt());
      }
    for (Patched &patched : patches)
      if (patched.of == parameter->name)
        parameter->copies.push_back(
            std::make_unique<fb::ParameterCopyT>(patched.copy));
    if (auto base = entry.getAs<StringAttr>("base")) {
      parameter->base = base.getValue().str();
      parameter->scale = entry.getAs<FloatAttr>("scale").getValueAsDouble();
      parameter->left = entry.getAs<BoolAttr>("left").getValue();
    }
    values.tensors.push_back({parameter->name, *value});
    training->parameters.push_back(std::move(parameter));
  }
  auto write = [&](const std::string &name, auto print) {
    return writeStagedFile(
        child(name), shown(name),
        [&](llvm::raw_ostream &os) {
          print(os);
          return success();
        },
        [&](llvm::Error error) { (void)fail(std::move(error)); });
  };
  if (llvm::Error error = makeFolders(child("training"), shown("training")))
    return fail(std::move(error));
  if (failed(write(training->file, [&](llvm::raw_ostream &os) {
        writeSafetensors(os, values);
      })))
    return failure();
  if (!options.training->model.empty()) {
    training->model = "training/model.onnx";
    if (failed(write(training->model, [&](llvm::raw_ostream &os) {
          os << options.training->model;
        })))
      return failure();
  }
  manifest.training = std::move(training);
  return success();
}

LogicalResult BundleWriter::writeManifest() {
  flatbuffers::FlatBufferBuilder fbb;
  fb::FinishManifestBuffer(fbb, fb::Manifest::Pack(fbb, &manifest));
  StringRef binary(reinterpret_cast<const char *>(fbb.GetBufferPointer()),
                   fbb.GetSize());
  if (llvm::Error error =
          writeStagedText(child("manifest.fb"), shown("manifest.fb"), binary))
    return fail(std::move(error));
  if (llvm::Error error = writeStagedText(
          child("manifest.json"), shown("manifest.json"), toJSON(manifest)))
    return fail(std::move(error));
  return success();
}

void BundleWriter::addStates(func::FuncOp main, fb::FunctionT &function) {
  for (unsigned i = 0; i < main.getNumArguments(); ++i) {
    Attribute key = main.getArgAttr(i, marks::kState);
    for (unsigned j = 0; key && j < main.getNumResults(); ++j) {
      if (main.getResultAttr(j, marks::kState) != key)
        continue;
      auto state = std::make_unique<fb::StateT>();
      state->input = i;
      state->output = j;
      if (auto axis =
              main.getResultAttrOfType<IntegerAttr>(j, marks::kStateAxis))
        state->axis = int32_t(axis.getInt());
      function.states.push_back(std::move(state));
    }
  }
}

LogicalResult BundleWriter::addFunction(const BundleFunction &from) {
  module = from.module;
  symbols = SymbolTable(module);
  texts.reset();
  tensorIds.clear();
  auto main = module.lookupSymbol<func::FuncOp>("main");
  if (!main)
    return module.emitError()
           << "expects a function @main of calls; run ane-form-programs first";
  if (auto programs = module.lookupSymbol<ModuleOp>(mil::kPrograms))
    texts.emplace(programs);
  auto function = std::make_unique<fb::FunctionT>();
  function->name = from.name;
  for (auto &[name, value] : from.dims) {
    auto dim = std::make_unique<fb::DimT>();
    dim->name = name;
    dim->value = value;
    function->dims.push_back(std::move(dim));
  }
  for (BlockArgument argument : main.getArguments())
    addPort(function->inputs, main.getArgAttrDict(argument.getArgNumber()),
            argument, "input" + std::to_string(argument.getArgNumber()));
  Block &body = main.getBody().front();
  for (Operation &op : body.without_terminator())
    if (!isa<CallOp>(op) && !isConstantTree(op.getResult(0)))
      return op.emitOpError("is in no program; run ane-place and "
                            "ane-form-programs first");
  auto calls = llvm::to_vector(body.getOps<CallOp>());
  for (auto [index, call] : llvm::enumerate(calls)) {
    if (options.progress)
      options.progress(index, calls.size(), call.getCallee());
    if (failed(addProgram(call, *function)))
      return failure();
  }
  for (auto [i, value] : llvm::enumerate(body.getTerminator()->getOperands()))
    addPort(function->outputs, main.getResultAttrDict(i), value,
            "output" + std::to_string(i));
  addStates(main, *function);
  manifest.functions.push_back(std::move(function));
  return success();
}

template <typename T>
static void copyAll(const std::vector<std::unique_ptr<T>> &from,
                    std::vector<std::unique_ptr<T>> &to) {
  for (auto &each : from)
    to.push_back(std::make_unique<T>(*each));
}

LogicalResult BundleWriter::write(Outputs &outputs) {
  if (failed(makeFolder(outputs)))
    return failure();
  manifest.producer = "ane-mlir " ANEMLIR_VERSION;
  manifest.target = target.name.str();
  manifest.dialect = isVerbose(module) ? "verbose" : "modern";
  if (functions.size() == 1)
    findTied();
  for (const BundleFunction &function : functions)
    if (failed(addFunction(function)))
      return failure();
  fb::FunctionT &first = *manifest.functions.front();
  copyAll(first.inputs, manifest.inputs);
  copyAll(first.outputs, manifest.outputs);
  copyAll(first.schedule, manifest.schedule);
  if (functions.size() == 1 && first.states.empty())
    manifest.functions.clear();
  for (const PlanStep &step : options.plan) {
    manifest.plan.push_back(std::make_unique<fb::PlanStepT>());
    manifest.plan.back()->from = step.from;
    manifest.plan.back()->function = uint32_t(step.function);
  }
  if (failed(addTraining()))
    return failure();
  manifest.budgets = std::make_unique<fb::BudgetsT>();
  manifest.budgets->compiles = engines;
  manifest.budgets->resident_programs = engines;
  manifest.budgets->weight_files = files.size();
  return writeManifest();
}

LogicalResult mlir::ane::writeBundle(ArrayRef<BundleFunction> functions,
                                     StringRef path,
                                     const BundleOptions &options,
                                     Outputs &outputs) {
  return BundleWriter(functions, path, options).write(outputs);
}

LogicalResult mlir::ane::writeBundle(ModuleOp module, StringRef path,
                                     const BundleOptions &options,
                                     Outputs &outputs) {
  return writeBundle(BundleFunction{module, "main", {}}, path, options,
                     outputs);
}

/// Adds the weights of a text in `folder` as weights/<sha256>.bin: no text can
/// overwrite what another one reads, and a text that is replaced can be read
/// until it is. Returns the path in the text.
static FailureOr<std::string> addWeights(Location loc, ProgramWeights planned,
                                         StringRef folder, Outputs &outputs) {
  auto fail = [&](llvm::Error error) -> FailureOr<std::string> {
    return emitError(loc) << llvm::toString(std::move(error)), failure();
  };
  SmallString<128> weights(folder);
  llvm::sys::path::append(weights, "weights");
  SmallString<128> provisional(weights);
  llvm::sys::path::append(provisional, "weights.bin");
  bool exists = llvm::sys::fs::exists(weights);
  auto made = exists ? outputs.addFile(provisional)
                     : outputs.addFolder(weights, /*mayReplace=*/{});
  if (!made)
    return fail(made.takeError());
  SmallString<128> file(*made);
  if (!exists)
    llvm::sys::path::append(file, "weights.bin");
  FailureOr<std::string> hash = writeWeightFile(loc, planned, file, weights);
  if (failed(hash))
    return failure();
  std::string name = *hash + ".bin";
  if (!exists) {
    SmallString<128> named(*made);
    llvm::sys::path::append(named, name);
    if (std::error_code error = llvm::sys::fs::rename(file, named))
      return fail(llvm::createStringError(
          error, "cannot write '" + weights.str() + "': " + error.message()));
    return "@model_path/weights/" + name;
  }
  SmallString<128> place(weights);
  llvm::sys::path::append(place, name);
  if (llvm::sys::fs::exists(place)) {
    // Of an earlier conversion, if it is what its name says.
    if (llvm::Error error = checkHashName(place))
      return fail(std::move(error));
    outputs.drop(provisional);
  } else {
    outputs.renameFile(provisional, name);
  }
  return "@model_path/weights/" + name;
}

LogicalResult mlir::ane::writeMILFile(ModuleOp module, StringRef path,
                                      Outputs &outputs) {
  auto main = module.lookupSymbol<func::FuncOp>("main");
  mil::ProgramOp program = mil::lookupProgram(module, "main");
  if (!main || !program)
    return module.emitError() << "expects a function @main and its MIL "
                                 "program; run convert-ane-to-mil first";
  ProgramWeights weights = collectWeights(main);
  if (!weights.roots.empty()) {
    FailureOr<std::string> file = addWeights(
        module.getLoc(), weights, llvm::sys::path::parent_path(path), outputs);
    if (failed(file))
      return failure();
    AttrTypeReplacer replacer;
    replacer.addReplacement([&](mil::BlobFileAttr blob) -> Attribute {
      return mil::BlobFileAttr::get(blob.getContext(), *file, blob.getOffset());
    });
    replacer.recursivelyReplaceElementsIn(program);
  }
  std::string text;
  llvm::raw_string_ostream os(text);
  if (failed(mil::printMILText(program, os)))
    return failure();
  if (llvm::Error error = outputs.addText(path, text))
    return emitError(module.getLoc()) << llvm::toString(std::move(error));
  return success();
}
