//===- Bundles.cpp - small bundles, made for tests of the runtime ---------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "Bundles.h"
#include "lib/Target/Bundle/Manifest_generated.h"
#include <algorithm>
#include <cstdlib>
#include <dlfcn.h>
#include <filesystem>
#include <fstream>

namespace fs = std::filesystem;
namespace fb = anemlir::manifest;

const char *StandIn::library() { return ANE_STANDIN_LIBRARY; }

template <typename Fn>
static Fn standInSymbol(const char *name) {
  static void *handle = dlopen(ANE_STANDIN_LIBRARY, RTLD_NOW | RTLD_GLOBAL);
  return reinterpret_cast<Fn>(handle ? dlsym(handle, name) : nullptr);
}
void StandIn::configure(const std::string &words) {
  standInSymbol<void (*)(const char *)>("ane_standin_configure")(words.c_str());
}
ane_standin_counts StandIn::counts() {
  ane_standin_counts counts;
  standInSymbol<void (*)(ane_standin_counts *)>("ane_standin_get_counts")(
      &counts);
  return counts;
}

Folder::Folder() {
  std::string pattern =
      (fs::temp_directory_path() / "ane-test-XXXXXX").string();
  folder = mkdtemp(pattern.data());
}
Folder::~Folder() { fs::remove_all(folder); }
std::vector<std::string> Folder::list() const {
  std::vector<std::string> names;
  for (const auto &entry : fs::directory_iterator(folder))
    names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

std::string milText(const std::string &parameters, const std::string &body,
                    const std::string &results) {
  return "program(1.3)\n[buildInfo = dict<string, "
         "string>({{\"coremlc-component-MIL\", \"3510.2.1\"}, "
         "{\"coremlc-version\", \"3505.4.1\"}})]\n{\n    func main<ios18>(" +
         parameters + ") {\n" + body + "    } -> (" + results + ");\n}\n";
}

static int64_t padded(const TestTensor &tensor) {
  return (tensor.width + tensor.multiple - 1) / tensor.multiple *
         tensor.multiple;
}

/// The text of a program whose parameters have the given types.
static std::string textOf(const TestProgram &program,
                          const std::vector<TestTensor> &tensors) {
  if (!program.text.empty())
    return program.text;
  bool engine = program.kind == "ane";
  auto type = [&](unsigned tensor) {
    const TestTensor &info = tensors[tensor];
    return "tensor<" + (engine ? std::string("fp16") : info.dtype) + ", [1, " +
           std::to_string(info.channels) + ", " + std::to_string(info.height) +
           ", " + std::to_string(engine ? padded(info) : info.width) + "]>";
  };
  std::string parameters, body, results;
  for (auto &[symbol, tensor] : program.inputs)
    parameters +=
        (parameters.empty() ? "" : ", ") + type(tensor) + " " + symbol;
  for (size_t i = 0; i < program.outputs.size(); ++i) {
    auto &[symbol, tensor] = program.outputs[i];
    std::string dtype = engine ? "fp16" : tensors[tensor].dtype,
                n = std::to_string(i), sum = program.inputs[0].first;
    char number[64];
    std::snprintf(number, sizeof number, "%a", program.number + double(i));
    for (size_t k = 1; k < program.inputs.size(); ++k) {
      std::string next = "s" + n + "_" + std::to_string(k);
      body += type(tensor) + " " + next + " = add(x = " + sum +
              ", y = " + program.inputs[k].first + ")[name = string(\"" + next +
              "\")];\n";
      sum = next;
    }
    body += dtype + " k" + n + " = const()[name = string(\"k" + n +
            "\"), val = " + dtype + "(" + number + ")];\n" + type(tensor) +
            " " + symbol + " = add(x = " + sum + ", y = k" + n +
            ")[name = string(\"" + symbol + "\")];\n";
    results += (results.empty() ? "" : ", ") + symbol;
  }
  return milText(parameters, body, results);
}

static std::unique_ptr<fb::SurfaceT>
surfaceOf(const TestTensor &tensor, unsigned program, const std::string &symbol,
          const char *role, unsigned index) {
  auto surface = std::make_unique<fb::SurfaceT>();
  int64_t width = padded(tensor);
  surface->program = program;
  surface->symbol = symbol;
  surface->role = role;
  surface->index = index;
  surface->view = {1, tensor.channels, tensor.height, tensor.width};
  surface->shape = {1, tensor.channels, tensor.height, width};
  surface->row_stride = uint64_t(width) * 2;
  surface->plane_stride = surface->row_stride * uint64_t(tensor.height);
  surface->batch_stride = surface->plane_stride * uint64_t(tensor.channels);
  uint64_t bytes = std::max<uint64_t>(surface->batch_stride, 16384);
  surface->allocation = (bytes + 65535) / 65536 * 65536;
  return surface;
}

void TestBundle::write(const std::string &path) const {
  fb::ManifestT manifest;
  manifest.version = 1;
  manifest.target = target;
  for (const TestTensor &tensor : tensors) {
    manifest.tensors.push_back(std::make_unique<fb::TensorT>());
    manifest.tensors.back()->name = tensor.name;
    manifest.tensors.back()->dtype = tensor.dtype;
    manifest.tensors.back()->shape = {1, tensor.channels, tensor.height,
                                      tensor.width};
  }
  fs::create_directories(path + "/programs");
  for (unsigned i = 0; i < programs.size(); ++i) {
    const TestProgram &program = programs[i];
    auto made = std::make_unique<fb::ProgramT>();
    made->kind = program.kind;
    made->text = "programs/" + std::to_string(i) + ".mil";
    made->predicted_us = 100;
    std::ofstream(path + "/" + made->text) << textOf(program, tensors);
    for (const std::string &file : program.weightFiles) {
      made->weights.push_back(std::make_unique<fb::WeightsT>());
      made->weights.back()->path = "@model_path/weights/" + file;
      made->weights.back()->file = "weights/" + file;
      fs::create_directories(path + "/weights");
      std::ofstream(path + "/weights/" + file) << file;
    }
    auto procedure = std::make_unique<fb::ProcedureT>();
    procedure->name = "main";
    auto bind = [&](auto &from, auto &to, const char *role) {
      for (unsigned k = 0; k < from.size(); ++k) {
        to.push_back(std::make_unique<fb::BindingT>());
        to.back()->symbol = from[k].first;
        to.back()->tensor = from[k].second;
        if (program.kind == "ane")
          manifest.tensors[from[k].second]->surfaces.push_back(
              surfaceOf(tensors[from[k].second], i, from[k].first, role, k));
      }
    };
    bind(program.inputs, procedure->inputs, "input");
    bind(program.outputs, procedure->outputs, "output");
    made->procedures.push_back(std::move(procedure));
    manifest.programs.push_back(std::move(made));
    if (functions.empty()) {
      manifest.schedule.push_back(std::make_unique<fb::StepT>());
      manifest.schedule.back()->program = i;
    }
  }
  auto ports = [&](auto &from, auto &to) {
    for (auto &[tensor, dtype] : from) {
      to.push_back(std::make_unique<fb::PortT>());
      to.back()->name = tensors[tensor].name;
      to.back()->dtype = dtype;
      to.back()->tensor = tensor;
    }
  };
  ports(inputs, manifest.inputs);
  ports(outputs, manifest.outputs);
  for (const TestFunction &function : functions) {
    auto made = std::make_unique<fb::FunctionT>();
    made->name = function.name;
    made->dims.push_back(std::make_unique<fb::DimT>());
    made->dims.back()->name = "length";
    made->dims.back()->value = function.length;
    ports(function.inputs, made->inputs);
    ports(function.outputs, made->outputs);
    for (unsigned program : function.schedule) {
      made->schedule.push_back(std::make_unique<fb::StepT>());
      made->schedule.back()->program = program;
    }
    for (const TestFunction::State &state : function.states) {
      made->states.push_back(std::make_unique<fb::StateT>());
      made->states.back()->input = state.input;
      made->states.back()->output = state.output;
      made->states.back()->axis = state.axis;
    }
    manifest.functions.push_back(std::move(made));
  }
  for (auto [from, function] : plan) {
    manifest.plan.push_back(std::make_unique<fb::PlanStepT>());
    manifest.plan.back()->from = from;
    manifest.plan.back()->function = function;
  }
  flatbuffers::FlatBufferBuilder builder;
  fb::FinishManifestBuffer(builder, fb::Manifest::Pack(builder, &manifest));
  std::ofstream(path + "/manifest.fb", std::ios::binary)
      .write(reinterpret_cast<const char *>(builder.GetBufferPointer()),
             std::streamsize(builder.GetSize()));
}

TestBundle makeAdd(double number, int64_t width, int64_t height) {
  TestBundle bundle;
  bundle.tensors = {{"x", "fp16", 4, width, height},
                    {"y", "fp16", 4, width, height}};
  bundle.programs = {{"ane", {{"a000", 0}}, {{"z000", 1}}, number}};
  bundle.inputs = {{0, "fp32"}};
  bundle.outputs = {{1, "fp32"}};
  return bundle;
}

TestBundle makeChain(unsigned length, int host) {
  TestBundle bundle;
  for (unsigned i = 0; i <= length; ++i)
    bundle.tensors.push_back({"t" + std::to_string(i), "fp16", 4, 20});
  for (unsigned i = 0; i < length; ++i)
    bundle.programs.push_back({int(i) == host ? "host" : "ane",
                               {{"a000", i}},
                               {{"z000", i + 1}},
                               double(i) + 1});
  bundle.inputs = {{0, "fp32"}};
  bundle.outputs = {{length, "fp32"}};
  return bundle;
}

TestBundle makeState(int64_t channels) {
  TestBundle bundle;
  for (const char *name : {"x", "state", "y", "next"})
    bundle.tensors.push_back({name, "fp16", channels, 32});
  bundle.programs = {
      {"ane", {{"a000", 0}, {"a001", 1}}, {{"z000", 2}, {"z001", 3}}, 0}};
  bundle.inputs = {{0, "fp32"}, {1, "fp32"}};
  bundle.outputs = {{2, "fp32"}, {3, "fp32"}};
  return bundle;
}

void Opened::close() {
  ane_session_close(session);
  ane_device_close(device);
  ane_bundle_close(bundle);
  session = nullptr;
  device = nullptr;
  bundle = nullptr;
}

bool Opened::note(ane_status now) {
  status = now;
  message = now == ANE_OK ? "" : ane_last_error();
  return now == ANE_OK;
}

bool Opened::open(const std::string &path, const ane_device_options &options,
                  const ane_session_options *with) {
  return note(ane_bundle_open(path.c_str(), &bundle)) &&
         note(ane_device_open(&options, &device)) &&
         note(ane_session_create(bundle, device, with, &session));
}

ane_device_options onStandIn(const Folder &staging) {
  ane_device_options options = {};
  options.size = sizeof options;
  options.framework = StandIn::library();
  options.staging = staging.path().c_str();
  options.compile_budget = -1; // a process runs many tests
  options.failed_compile_pause_ms = -1;
  options.flags = ANE_NO_SIGNALS;
  return options;
}

std::vector<float> runOnce(Opened &opened, const std::vector<float> &input,
                           bool &ok) {
  std::vector<float> output(input.size(), -1);
  ok = opened.note(ane_session_bind_input(opened.session, 0, input.data(),
                                          input.size() * 4)) &&
       opened.note(ane_session_bind_output(opened.session, 0, output.data(),
                                           output.size() * 4)) &&
       opened.note(ane_session_run(opened.session));
  return output;
}
