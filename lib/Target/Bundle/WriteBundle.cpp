//===- WriteBundle.cpp - placed modules to bundles ------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "BundleFiles.h"
#include "ane-mlir/Target/Surface.h"
#include "ane-mlir/Analysis/CostModel.h"
#include "ane-mlir/Support/AtomicPath.h"
#include "ane-mlir/Support/Hash.h"
#include "ane-mlir/Target/Bundle.h"
#include "ane-mlir/Target/MILText.h"
#include "ane-mlir/Target/Weights.h"
#include "dialects/MIL/IR/MIL.h"
#include "lib/Target/Bundle/Manifest_generated.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/AttrTypeSubElements.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/Path.h"

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
    hash.update(ArrayRef<char>(data, size));
    out.write(data, size);
    written += size;
  }
  uint64_t current_pos() const override { return written; }
  llvm::raw_ostream &out;
  Hash hash;
  uint64_t written = 0;
};
} // namespace

/// Streams the weights of a program to `path`, called `shown` in messages, a
/// tree at a time; returns the file's hash.
static FailureOr<std::string> writeWeightFile(Location loc,
                                              const ProgramWeights &weights,
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

/// manifest.json: the keys of design section 4, in that order.
static std::string toJSON(const fb::ManifestT &m) {
  std::string text;
  llvm::raw_string_ostream os(text);
  llvm::json::OStream j(os, 2);
  auto ints = [&](StringRef key, const std::vector<int64_t> &values) {
    j.attributeArray(key, [&] {
      for (int64_t v : values)
        j.value(v);
    });
  };
  auto ports = [&](StringRef key,
                   const std::vector<std::unique_ptr<fb::PortT>> &list) {
    j.attributeArray(key, [&] {
      for (auto &port : list)
        j.object([&] {
          j.attribute("name", port->name);
          j.attribute("dtype", port->dtype);
          ints("shape", port->shape);
          j.attribute("tensor", int64_t(port->tensor));
        });
    });
  };
  j.object([&] {
    j.attribute("version", int64_t(m.version));
    j.attribute("producer", m.producer);
    j.attribute("target", m.target);
    j.attribute("dialect", m.dialect);
    j.attributeArray("tensors", [&] {
      for (auto &tensor : m.tensors)
        j.object([&] {
          j.attribute("name", tensor->name);
          j.attribute("dtype", tensor->dtype);
          ints("shape", tensor->shape);
          j.attributeArray("surfaces", [&] {
            for (auto &s : tensor->surfaces)
              j.object([&] {
                j.attribute("program", int64_t(s->program));
                j.attribute("symbol", s->symbol);
                j.attribute("role", s->role);
                j.attribute("index", int64_t(s->index));
                ints("view", s->view);
                ints("shape", s->shape);
                j.attribute("row_stride", int64_t(s->row_stride));
                j.attribute("plane_stride", int64_t(s->plane_stride));
                j.attribute("batch_stride", int64_t(s->batch_stride));
                j.attribute("allocation", int64_t(s->allocation));
              });
          });
        });
    });
    j.attributeArray("programs", [&] {
      for (auto &program : m.programs)
        j.object([&] {
          j.attribute("kind", program->kind);
          j.attribute("text", program->text);
          j.attributeObject("weights", [&] {
            for (auto &w : program->weights)
              j.attributeObject(w->path, [&] {
                j.attribute("file", w->file);
                j.attribute("offset", int64_t(w->offset));
                j.attribute("size", int64_t(w->size));
              });
          });
          j.attributeArray("procedures", [&] {
            for (auto &procedure : program->procedures)
              j.object([&] {
                j.attribute("name", procedure->name);
                for (auto [key, list] :
                     {std::pair<StringRef,
                                const std::vector<std::unique_ptr<fb::BindingT>>
                                    *>{"inputs", &procedure->inputs},
                      {"outputs", &procedure->outputs}})
                  j.attributeArray(key, [&, list = list] {
                    for (auto &binding : *list)
                      j.object([&] {
                        j.attribute("symbol", binding->symbol);
                        j.attribute("tensor", int64_t(binding->tensor));
                      });
                  });
              });
          });
          j.attribute("predicted_us", program->predicted_us);
        });
    });
    j.attributeArray("schedule", [&] {
      for (auto &step : m.schedule)
        j.object([&] {
          j.attribute("program", int64_t(step->program));
          j.attribute("procedure", int64_t(step->procedure));
        });
    });
    ports("inputs", m.inputs);
    ports("outputs", m.outputs);
    j.attributeArray("provenance", [&] {
      for (auto &origin : m.provenance)
        j.object([&] {
          j.attribute("program", int64_t(origin->program));
          j.attribute("op", origin->op);
          j.attribute("node", origin->node);
        });
    });
    j.attributeObject("budgets", [&] {
      j.attribute("compiles", int64_t(m.budgets->compiles));
      j.attribute("resident_programs", int64_t(m.budgets->resident_programs));
      j.attribute("weight_files", int64_t(m.budgets->weight_files));
    });
  });
  os << '\n';
  return text;
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

LogicalResult mlir::ane::writeBundle(ModuleOp module, StringRef path,
                                     const BundleOptions &options,
                                     Outputs &outputs) {
  const Target &target = getTarget(module);
  auto main = module.lookupSymbol<func::FuncOp>("main");
  if (!main)
    return module.emitError()
           << "expects a function @main of calls; run ane-form-programs first";
  auto fail = [&](llvm::Error error) {
    return emitError(module.getLoc()) << llvm::toString(std::move(error));
  };
  auto directory = outputs.addFolder(path, checkReplacesBundle);
  if (!directory)
    return fail(directory.takeError());
  auto below = [](StringRef folder, const Twine &name) {
    SmallString<128> full(folder);
    llvm::sys::path::append(full, name);
    return full;
  };
  // Where a file of the bundle is made, and what the user calls it.
  auto child = [&](const Twine &name) { return below(*directory, name); };
  auto shown = [&](const Twine &name) { return below(path, name); };
  for (StringRef folder : {"programs", "weights"})
    if (llvm::Error error = makeFolders(child(folder), shown(folder)))
      return fail(std::move(error));

  fb::ManifestT manifest;
  manifest.producer = "ane-mlir " ANEMLIR_VERSION;
  manifest.target = target.name.str();
  manifest.dialect = isVerbose(module) ? "verbose" : "modern";
  llvm::DenseMap<Value, unsigned> tensorIds;
  // -1 where only the data tells the extent.
  auto setShape = [](std::vector<int64_t> &out, RankedTensorType type) {
    for (int64_t dim : type.getShape())
      out.push_back(ShapedType::isDynamic(dim) ? -1 : dim);
  };
  auto addTensor = [&](Value value, std::string name) -> unsigned {
    auto [it, fresh] = tensorIds.try_emplace(value, manifest.tensors.size());
    if (fresh) {
      auto type = cast<RankedTensorType>(value.getType());
      auto tensor = std::make_unique<fb::TensorT>();
      tensor->name = std::move(name);
      tensor->dtype = getInfo(*toDType(type.getElementType())).name.str();
      setShape(tensor->shape, type);
      manifest.tensors.push_back(std::move(tensor));
    }
    return it->second;
  };
  auto addPort = [&](std::vector<std::unique_ptr<fb::PortT>> &list,
                     DictionaryAttr attrs, Value value, std::string fallback,
                     std::optional<std::string> tensorName) {
    auto port = std::make_unique<fb::PortT>();
    auto text = [&](StringRef key, std::string otherwise) {
      auto attr =
          attrs ? dyn_cast_or_null<StringAttr>(attrs.get(key)) : StringAttr();
      return attr ? attr.getValue().str() : otherwise;
    };
    auto type = cast<RankedTensorType>(value.getType());
    port->name = text("ane.name", fallback);
    port->dtype =
        text("ane.dtype", getInfo(*toDType(type.getElementType())).name.str());
    setShape(port->shape, type);
    port->tensor = addTensor(value, tensorName.value_or(port->name));
    list.push_back(std::move(port));
  };
  for (BlockArgument argument : main.getArguments())
    addPort(manifest.inputs, main.getArgAttrDict(argument.getArgNumber()),
            argument, "input" + std::to_string(argument.getArgNumber()),
            std::nullopt);

  auto calls = llvm::to_vector(main.getBody().front().getOps<CallOp>());
  llvm::StringMap<uint64_t> files;
  unsigned engines = 0;
  SymbolTable symbols(module);
  for (auto indexed : llvm::enumerate(calls)) {
    size_t index = indexed.index();
    CallOp call = indexed.value();
    auto program = symbols.lookup<ProgramOp>(call.getCallee());
    if (!program)
      return call.emitOpError() << "calls no ane.program";
    if (options.progress)
      options.progress(index, calls.size(), call.getCallee());
    engines += program.isEngine();
    mil::ProgramOp text = mil::lookupProgram(module, call.getCallee());
    if (!text)
      return call.emitOpError()
             << "has no MIL program; run convert-ane-to-mil first";
    mil::FuncOp function = mil::getFunction(text);
    std::vector<std::string> inputNames = mil::getParameterNames(function),
                             outputNames = mil::getResultNames(function);
    ProgramWeights planned = collectWeights(program);
    auto entry = std::make_unique<fb::ProgramT>();
    entry->kind = program.getKind().str();
    std::string number = std::to_string(index);
    entry->text = "programs/" +
                  std::string(number.size() < 3 ? 3 - number.size() : 0, '0') +
                  number + ".mil";
    entry->predicted_us =
        predict(program, target).total() + predictHostMicros(program, target);
    std::string printed;
    llvm::raw_string_ostream os(printed);
    if (failed(mil::printMILText(text, os)))
      return failure();
    if (llvm::Error error =
            writeStagedText(child(entry->text), shown(entry->text), printed))
      return fail(std::move(error));
    if (!planned.roots.empty()) {
      SmallString<128> temporary = child("weights/weight.tmp");
      FailureOr<std::string> hash = writeWeightFile(
          program.getLoc(), planned, temporary, shown("weights"));
      if (failed(hash))
        return failure();
      auto weights = std::make_unique<fb::WeightsT>();
      weights->path = kWeightPath.str();
      weights->file = "weights/" + *hash + ".bin";
      weights->offset = 0;
      weights->size = planned.layout.fileSize();
      if (std::error_code error =
              llvm::sys::fs::rename(temporary, child(weights->file)))
        return fail(llvm::createStringError(
            error, "cannot write '" + shown(weights->file).str() +
                       "': " + error.message()));
      files[weights->file] = weights->size;
      if (weights->size >= (uint64_t(1) << 32))
        return program.emitError()
               << "weights of " << weights->size
               << " bytes exceed the 4 GiB of one file (L73)";
      entry->weights.push_back(std::move(weights));
    }
    auto procedure = std::make_unique<fb::ProcedureT>();
    procedure->name = "main";
    auto bind = [&](std::vector<std::unique_ptr<fb::BindingT>> &list,
                    ArrayRef<std::string> names, ValueRange values,
                    StringRef role, auto surfaceOf) {
      for (auto [i, value] : llvm::enumerate(values)) {
        auto binding = std::make_unique<fb::BindingT>();
        binding->symbol = names[i];
        binding->tensor =
            addTensor(value, "t" + std::to_string(manifest.tensors.size()));
        if (SurfaceAttr attr = surfaceOf(i)) {
          SurfaceLayout layout =
              SurfaceLayout::compute(attr.getShape(), attr.getView());
          auto surface = std::make_unique<fb::SurfaceT>();
          surface->program = index;
          surface->symbol = names[i];
          surface->role = role.str();
          surface->index = i;
          surface->view.assign(attr.getView().begin(), attr.getView().end());
          surface->shape.assign(attr.getShape().begin(), attr.getShape().end());
          surface->row_stride = layout.rowStride;
          surface->plane_stride = layout.planeStride;
          surface->batch_stride = layout.batchStride;
          surface->allocation = layout.allocation;
          manifest.tensors[binding->tensor]->surfaces.push_back(
              std::move(surface));
        }
        list.push_back(std::move(binding));
      }
    };
    bind(procedure->inputs, inputNames, call.getInputs(), "input",
         [&](unsigned i) {
           return program.getArgAttrOfType<SurfaceAttr>(i, "ane.surface");
         });
    bind(procedure->outputs, outputNames, call.getOutputs(), "output",
         [&](unsigned i) {
           return program.getResultAttrOfType<SurfaceAttr>(i, "ane.surface");
         });
    entry->procedures.push_back(std::move(procedure));
    manifest.programs.push_back(std::move(entry));
    auto step = std::make_unique<fb::StepT>();
    step->program = index;
    manifest.schedule.push_back(std::move(step));
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
  for (auto [i, value] :
       llvm::enumerate(main.getBody().front().getTerminator()->getOperands()))
    addPort(manifest.outputs, main.getResultAttrDict(i), value,
            "output" + std::to_string(i), std::nullopt);
  manifest.budgets = std::make_unique<fb::BudgetsT>();
  manifest.budgets->compiles = engines;
  manifest.budgets->resident_programs = engines;
  manifest.budgets->weight_files = files.size();

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

/// Adds the weights of a text in `folder` as weights/<sha256>.bin: no text can
/// overwrite what another one reads, and a text that is replaced can be read
/// until it is. Returns the path in the text.
static FailureOr<std::string> addWeights(Location loc,
                                         const ProgramWeights &planned,
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
    FailureOr<std::string> file =
        addWeights(module.getLoc(), weights,
                   llvm::sys::path::parent_path(path), outputs);
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
