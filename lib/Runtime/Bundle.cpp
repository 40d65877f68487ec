//===- Bundle.cpp - a manifest that was checked ---------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "Bundle.h"
#include "lib/Runtime/Facts.h"
#include "lib/Target/Bundle/Manifest_generated.h"
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace ane::runtime;
namespace fb = anemlir::manifest;

FileMap::FileMap(const std::string &path, ane_status status) : path(path) {
  int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat info{};
  if (file < 0 || fstat(file, &info) || !S_ISREG(info.st_mode)) {
    int error = file < 0 ? errno : EINVAL;
    if (file >= 0)
      close(file);
    fail(status, path + ": cannot be read: " + std::strerror(error));
  }
  length = size_t(info.st_size);
  void *mapped =
      length ? mmap(nullptr, length, PROT_READ, MAP_PRIVATE, file, 0) : nullptr;
  close(file);
  if (mapped == MAP_FAILED)
    fail(status, path + ": cannot be mapped: " + std::strerror(errno));
  bytes = static_cast<const char *>(mapped);
}

FileMap::~FileMap() {
  if (bytes)
    munmap(const_cast<char *>(bytes), length);
}

bool Bundle::Tensor::isStatic() const {
  return std::find(shape.begin(), shape.end(), -1) == shape.end();
}
int64_t Bundle::Tensor::count() const {
  int64_t count = 1;
  for (int64_t dim : shape)
    count *= dim;
  return count;
}
const Bundle::Surface *Bundle::Tensor::find(uint32_t program,
                                            const std::string &symbol,
                                            bool isInput) const {
  for (const Surface &surface : surfaces)
    if (surface.program == program && surface.symbol == symbol &&
        surface.isInput == isInput)
      return &surface;
  return nullptr;
}

namespace {
/// A manifest on its way to a Bundle; nothing of it is believed.
class Reader {
public:
  Reader(const std::string &path, const fb::Manifest &manifest)
      : path(path), manifest(manifest) {}
  std::shared_ptr<Bundle> read();

private:
  [[noreturn]] void bad(const std::string &what) const {
    fail(ANE_BAD_BUNDLE, path + ": manifest.fb: " + what +
                             "; write the bundle anew with onnx-to-ane");
  }
  std::vector<int64_t> readShape(const flatbuffers::Vector<int64_t> *shape,
                                 const std::string &of) const;
  ane_dtype readDType(const flatbuffers::String *name,
                      const std::string &of) const;
  std::string readFile(const flatbuffers::String *name) const;
  void readTensors();
  void readSurface(const fb::Surface &surface, Bundle::Tensor &tensor) const;
  void readOrder(const flatbuffers::Vector<int64_t> &order,
                 const std::string &symbol, Layout &layout) const;
  void readPrograms();
  void readBindings(
      const flatbuffers::Vector<flatbuffers::Offset<fb::Binding>> *list,
      std::vector<Bundle::Binding> &bindings, uint32_t program,
      bool isInput) const;
  void
  readSchedule(const flatbuffers::Vector<flatbuffers::Offset<fb::Step>> *list,
               Bundle::Function &function) const;
  void readPorts(const flatbuffers::Vector<flatbuffers::Offset<fb::Port>> *list,
                 std::vector<Bundle::Port> &ports) const;
  void readStates(const fb::Function &from, Bundle::Function &function) const;
  void checkOrder(const Bundle::Function &function) const;
  template <typename Record>
  Bundle::Function &readFunction(const std::string &name, const Record &from);
  void readFunctions();

  const std::string &path;
  const fb::Manifest &manifest;
  std::shared_ptr<Bundle> bundle = std::make_shared<Bundle>();
};
} // namespace

static std::string text(const flatbuffers::String *string) {
  return string ? string->str() : std::string();
}
/// Of a vector that may be absent.
template <typename Vector>
static uint32_t sizeOf(const Vector *vector) {
  return vector ? vector->size() : 0;
}

/// Shapes whose elements can be counted; an extent of -1 is open.
std::vector<int64_t>
Reader::readShape(const flatbuffers::Vector<int64_t> *shape,
                  const std::string &of) const {
  std::vector<int64_t> dims;
  int64_t count = 1;
  for (uint32_t i = 0; i < sizeOf(shape); ++i) {
    // The verifier does not look at the alignment of elements.
    int64_t dim;
    std::memcpy(&dim, shape->Data() + i * sizeof dim, sizeof dim);
    if (dim < -1 || dim > INT32_MAX)
      bad(quoted(of) + " has the extent " + std::to_string(dim));
    if (dim > 0 && (count *= dim) > (int64_t(1) << 40))
      bad(quoted(of) + " has more elements than can be addressed");
    dims.push_back(dim);
  }
  if (dims.size() > 16)
    bad(quoted(of) + " has more than 16 axes");
  return dims;
}

ane_dtype Reader::readDType(const flatbuffers::String *name,
                            const std::string &of) const {
  if (auto dtype = lookupDType(text(name).c_str()))
    return *dtype;
  fail(ANE_BAD_BUNDLE,
       path + ": " + quoted(of) + " is " + quoted(text(name)) +
           ", which this runtime does not hold; it takes fp16, fp32, fp64, "
           "bf16, bool and integers of 8 to 64 bits");
}

/// A path below the bundle.
std::string Reader::readFile(const flatbuffers::String *name) const {
  std::string file = text(name);
  if (file.empty() || file[0] == '/' || file.find('\0') != std::string::npos ||
      ("/" + file + "/").find("/../") != std::string::npos)
    bad("the path " + quoted(file) + " leaves the bundle");
  return file;
}

/// Each element of the array once: extents and steps are those of its axes,
/// from the fastest on.
void Reader::readOrder(const flatbuffers::Vector<int64_t> &order,
                       const std::string &symbol, Layout &layout) const {
  bool fits = order.size() == 4;
  for (int i = 0; fits && i < 4; ++i)
    layout.order[i] = order[i];
  // An axis of one element has any step; it is no part of the order.
  std::array<int, 4> axes = layout.axes();
  int64_t product = 1;
  for (int i = 4; fits && i-- > 0;) {
    int axis = axes[i];
    if (layout.view[axis] == 1)
      continue;
    fits = layout.order[axis] == product;
    product *= layout.view[axis];
  }
  if (!fits || !layout.isOrdered())
    bad("surface " + quoted(symbol) +
        " has an order that is none of its elements");
}

void Reader::readSurface(const fb::Surface &surface,
                         Bundle::Tensor &tensor) const {
  std::string symbol = text(surface.symbol()), role = text(surface.role());
  std::vector<int64_t> shape = readShape(surface.shape(), symbol),
                       view = readShape(surface.view(), symbol);
  if (shape.size() != 4 || view.size() != 4 ||
      (role != "input" && role != "output"))
    bad("surface " + quoted(symbol) + " expects rank 4 and a role");
  Bundle::Surface result{surface.program(),         symbol,
                         role == "input",           {},
                         {ANE_FP16, {}, {}, 0, {}}, surface.allocation()};
  int64_t count = 1;
  for (int i = 0; i < 4; ++i) {
    if (view[i] < 0 || view[i] > shape[i])
      bad("surface " + quoted(symbol) + " is smaller than what it holds");
    count *= view[i];
    result.shape[i] = shape[i];
    result.layout.view[i] = view[i];
  }
  if (!tensor.isStatic() || count != tensor.count())
    bad("surface " + quoted(symbol) + " does not hold " + quoted(tensor.name));
  auto align = [](uint64_t value, uint64_t to) {
    return (value + to - 1) / to * to;
  };
  uint64_t row = align(shape[3] * 2, facts::rowAlignment),
           plane = shape[2] * row, batch = shape[1] * plane,
           bytes = std::max<uint64_t>(shape[0] * batch, facts::surfaceFloor);
  if (surface.row_stride() != row || surface.plane_stride() != plane ||
      surface.batch_stride() != batch ||
      surface.allocation() != align(bytes, facts::surfaceAlignment))
    bad("surface " + quoted(symbol) +
        " has strides that break the layout rule");
  result.layout.strides = {batch, plane, row};
  result.layout.bytes = surface.allocation();
  if (sizeOf(surface.order()))
    readOrder(*surface.order(), symbol, result.layout);
  tensor.surfaces.push_back(std::move(result));
}

void Reader::readTensors() {
  for (uint32_t i = 0; i < sizeOf(manifest.tensors()); ++i) {
    const fb::Tensor *tensor = manifest.tensors()->Get(i);
    std::string name = text(tensor->name());
    Bundle::Tensor result{name,
                          readDType(tensor->dtype(), name),
                          readShape(tensor->shape(), name),
                          {}};
    for (uint32_t s = 0; s < sizeOf(tensor->surfaces()); ++s)
      readSurface(*tensor->surfaces()->Get(s), result);
    bundle->tensors.push_back(std::move(result));
  }
}

void Reader::readBindings(
    const flatbuffers::Vector<flatbuffers::Offset<fb::Binding>> *list,
    std::vector<Bundle::Binding> &bindings, uint32_t program,
    bool isInput) const {
  const Bundle::Program &owner = bundle->programs[program];
  for (uint32_t i = 0; i < sizeOf(list); ++i) {
    Bundle::Binding binding{text(list->Get(i)->symbol()),
                            list->Get(i)->tensor()};
    if (binding.tensor >= bundle->tensors.size())
      bad("binding " + quoted(binding.symbol) + " names tensor " +
          std::to_string(binding.tensor) + ", which does not exist");
    const Bundle::Tensor &tensor = bundle->tensors[binding.tensor];
    if (owner.isEngine && !tensor.find(program, binding.symbol, isInput))
      bad("program " + quoted(owner.text) + " has no surface for " +
          quoted(binding.symbol));
    bindings.push_back(std::move(binding));
  }
  // Symbols in byte-wise order are what surfaces are bound by (L42); outputs
  // compare with their suffix.
  if (owner.isEngine)
    std::sort(bindings.begin(), bindings.end(), [&](auto &a, auto &b) {
      return isInput ? a.symbol < b.symbol
                     : a.symbol + "@output" < b.symbol + "@output";
    });
}

void Reader::readPrograms() {
  for (uint32_t i = 0; i < sizeOf(manifest.programs()); ++i) {
    const fb::Program *program = manifest.programs()->Get(i);
    std::string kind = text(program->kind());
    if (kind != "ane" && kind != "host")
      bad("program " + std::to_string(i) + " is " + quoted(kind) +
          ", neither 'ane' nor 'host'");
    bundle->programs.push_back({kind == "ane",
                                readFile(program->text()),
                                {},
                                {},
                                program->predicted_us()});
    Bundle::Program &result = bundle->programs.back();
    for (uint32_t w = 0; w < sizeOf(program->weights()); ++w) {
      const fb::Weights *weights = program->weights()->Get(w);
      result.weights.push_back({text(weights->path()),
                                readFile(weights->file()), weights->offset(),
                                weights->size()});
    }
    for (uint32_t p = 0; p < sizeOf(program->procedures()); ++p) {
      const fb::Procedure *procedure = program->procedures()->Get(p);
      Bundle::Procedure bound{text(procedure->name()), {}, {}};
      readBindings(procedure->inputs(), bound.inputs, i, true);
      readBindings(procedure->outputs(), bound.outputs, i, false);
      result.procedures.push_back(std::move(bound));
    }
  }
}

void Reader::readSchedule(
    const flatbuffers::Vector<flatbuffers::Offset<fb::Step>> *list,
    Bundle::Function &function) const {
  for (uint32_t i = 0; i < sizeOf(list); ++i) {
    const fb::Step *step = list->Get(i);
    if (step->program() >= bundle->programs.size() ||
        step->procedure() >=
            bundle->programs[step->program()].procedures.size())
      bad("step " + std::to_string(i) + " names program " +
          std::to_string(step->program()) + ", which does not exist");
    function.schedule.push_back({step->program(), step->procedure()});
  }
}

void Reader::readPorts(
    const flatbuffers::Vector<flatbuffers::Offset<fb::Port>> *list,
    std::vector<Bundle::Port> &ports) const {
  for (uint32_t i = 0; i < sizeOf(list); ++i) {
    const fb::Port *port = list->Get(i);
    std::string name = text(port->name());
    if (port->tensor() >= bundle->tensors.size())
      bad(quoted(name) + " names a tensor that does not exist");
    const Bundle::Tensor &tensor = bundle->tensors[port->tensor()];
    ane_dtype dtype = readDType(port->dtype(), name);
    ports.push_back({name, dtype, port->tensor(), tensor.shape,
                     tensor.isStatic()
                         ? size_t(tensor.count()) * ane_dtype_size(dtype)
                         : 0});
  }
}

void Reader::checkOrder(const Bundle::Function &function) const {
  std::vector<bool> written(bundle->tensors.size());
  for (const Bundle::Port &port : function.inputs) {
    if (!bundle->tensors[port.tensor].isStatic())
      bad("input " + quoted(port.name) + " has an unknown dimension");
    written[port.tensor] = true;
  }
  for (const Bundle::Step &step : function.schedule) {
    const Bundle::Procedure &procedure =
        bundle->programs[step.program].procedures[step.procedure];
    for (const Bundle::Binding &binding : procedure.inputs)
      if (!written[binding.tensor])
        bad("tensor " + quoted(bundle->tensors[binding.tensor].name) +
            " is read before a program writes it");
    for (const Bundle::Binding &binding : procedure.outputs) {
      if (written[binding.tensor])
        bad("tensor " + quoted(bundle->tensors[binding.tensor].name) +
            " is written twice");
      written[binding.tensor] = true;
    }
  }
  for (const Bundle::Port &port : function.outputs)
    if (!written[port.tensor])
      bad("output " + quoted(port.name) + " is written by no program");
}

void Reader::readStates(const fb::Function &from,
                        Bundle::Function &function) const {
  for (uint32_t i = 0; i < sizeOf(from.states()); ++i) {
    Bundle::State state{from.states()->Get(i)->input(),
                        from.states()->Get(i)->output(),
                        from.states()->Get(i)->axis()};
    if (state.input >= function.inputs.size() ||
        state.output >= function.outputs.size())
      bad("a state names an input or output that does not exist");
    const Bundle::Port &in = function.inputs[state.input],
                       &out = function.outputs[state.output];
    bool fits = in.shape.size() == out.shape.size() && state.axis >= -1 &&
                state.axis < int64_t(in.shape.size()) &&
                (bundle->tensors[in.tensor].dtype ==
                     bundle->tensors[out.tensor].dtype ||
                 (isFloat(bundle->tensors[in.tensor].dtype) &&
                  isFloat(bundle->tensors[out.tensor].dtype)));
    for (size_t d = 0; fits && d < in.shape.size(); ++d)
      fits = int64_t(d) == state.axis
                 ? out.shape[d] >= 0 && out.shape[d] <= in.shape[d]
                 : out.shape[d] == in.shape[d];
    if (!fits)
      bad("state " + quoted(in.name) + " and its output " + quoted(out.name) +
          " do not have types that belong together");
    for (const Bundle::State &other : function.states)
      if (function.inputs[other.input].tensor == in.tensor ||
          function.inputs[other.input].name == in.name)
        bad("two states are the input " + quoted(in.name));
    function.states.push_back(state);
  }
}

/// The manifest's own lists and those of a function have the same names.
template <typename Record>
Bundle::Function &Reader::readFunction(const std::string &name,
                                       const Record &from) {
  bundle->functions.push_back({name, {}, {}, {}, {}, {}, {}, {}});
  Bundle::Function &function = bundle->functions.back();
  readSchedule(from.schedule(), function);
  readPorts(from.inputs(), function.inputs);
  readPorts(from.outputs(), function.outputs);
  checkOrder(function);
  return function;
}

void Reader::readFunctions() {
  if (!sizeOf(manifest.functions()))
    readFunction("main", manifest);
  for (uint32_t i = 0; i < sizeOf(manifest.functions()); ++i) {
    const fb::Function *from = manifest.functions()->Get(i);
    Bundle::Function &function = readFunction(text(from->name()), *from);
    readStates(*from, function);
    for (uint32_t d = 0; d < sizeOf(from->dims()); ++d) {
      function.dimNames.push_back(text(from->dims()->Get(d)->name()));
      function.dimValues.push_back(from->dims()->Get(d)->value());
    }
  }
  for (Bundle::Function &function : bundle->functions)
    for (const std::string &name : function.dimNames)
      function.dimPointers.push_back(name.c_str());
  for (uint32_t i = 0; i < sizeOf(manifest.plan()); ++i) {
    const fb::PlanStep *step = manifest.plan()->Get(i);
    int64_t least = i ? bundle->plan.back().first + 1 : 1;
    if (step->function() >= bundle->functions.size() || step->from() < least ||
        (i == 0 && step->from() != 1))
      bad("its plan is not ascending from 1 on, of functions that it has");
    bundle->plan.push_back({step->from(), step->function()});
  }
}

std::shared_ptr<Bundle> Reader::read() {
  if (manifest.version() != 1)
    fail(ANE_BAD_BUNDLE, path + ": manifest.fb has version " +
                             std::to_string(manifest.version()) +
                             ", this runtime knows version 1; use a newer one");
  bundle->path = path;
  bundle->target = text(manifest.target());
  readTensors();
  readPrograms();
  readFunctions();
  return bundle;
}

std::shared_ptr<Bundle> Bundle::open(const std::string &path) {
  FileMap file(path + "/manifest.fb");
  flatbuffers::Verifier verifier(reinterpret_cast<const uint8_t *>(file.data()),
                                 file.size());
  if (!file.size() || !fb::VerifyManifestBuffer(verifier))
    fail(ANE_BAD_BUNDLE, path + ": manifest.fb is truncated or no manifest");
  return Reader(path, *fb::GetManifest(file.data())).read();
}

//===----------------------------------------------------------------------===//
// Functions
//===----------------------------------------------------------------------===//

int64_t Bundle::Function::dim(const std::string &name) const {
  for (size_t i = 0; i < dimNames.size(); ++i)
    if (dimNames[i] == name)
      return dimValues[i];
  return -1;
}

size_t Bundle::findPlanned(int64_t left) const {
  if (plan.empty())
    fail(ANE_INVALID_ARGUMENT,
         path + ": has no plan; those have one whose functions "
                "keep states and differ in one length");
  if (left < 1)
    fail(ANE_INVALID_ARGUMENT, "expects one token at least to be left");
  size_t found = plan.front().second;
  for (auto &[from, function] : plan)
    if (from <= left)
      found = function;
  return found;
}

size_t Bundle::findFunction(const std::string &name) const {
  std::string names;
  for (size_t i = 0; i < functions.size(); ++i) {
    if (functions[i].name == name)
      return i;
    names += (i ? ", " : "") + functions[i].name;
  }
  fail(ANE_INVALID_ARGUMENT,
       path + ": has no function " + quoted(name) + "; it has " + names);
}

size_t Bundle::findBucket(std::string dim, int64_t length) const {
  for (const std::string &name : functions.front().dimNames) {
    bool differs = false;
    for (const Function &function : functions)
      differs |= function.dim(name) != functions.front().dim(name);
    if (dim.empty() && differs)
      dim = name;
  }
  size_t best = functions.size();
  int64_t most = -1;
  for (size_t i = 0; i < functions.size(); ++i) {
    int64_t extent = functions[i].dim(dim);
    most = std::max(most, extent);
    if (extent >= 0 && extent >= length &&
        (best == functions.size() || extent < functions[best].dim(dim)))
      best = i;
  }
  if (most < 0)
    fail(ANE_INVALID_ARGUMENT,
         path + ": its functions have no dimension " + quoted(dim) +
             "; convert with --dim NAME=N,M for several lengths");
  if (best == functions.size())
    fail(ANE_INVALID_ARGUMENT,
         path + ": no function takes " + quoted(dim) + " = " +
             std::to_string(length) + ", the longest takes " +
             std::to_string(most) + "; convert with a longer one");
  return best;
}
