//===- Ask.cpp - questions, and what answers mean -------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "Probe.h"
#include "lib/Runtime/Facts.h"
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

using namespace ane::probe;
using namespace ane::runtime;
namespace fs = std::filesystem;

#include "tools/ane-probe/Probes.inc"

std::vector<const ProbeRecord *> ane::probe::allProbes() {
  std::vector<const ProbeRecord *> all;
  for (const ProbeRecord &record : kProbes)
    all.push_back(&record);
  return all;
}
const ProbeRecord *ane::probe::findProbe(const std::string &id) {
  for (const ProbeRecord &record : kProbes)
    if (record.id == id)
      return &record;
  return nullptr;
}
template <size_t N>
static std::optional<double> find(const TargetValue (&values)[N],
                                  const std::string &target,
                                  const std::string &id) {
  for (const TargetValue &value : values)
    if (value.target == target && value.id == id)
      return value.value;
  return std::nullopt;
}
std::optional<double> ane::probe::limitOf(const std::string &target,
                                          const std::string &id) {
  return find(kLimits, target, id);
}
std::optional<double> ane::probe::costOf(const std::string &target,
                                         const std::string &id) {
  return find(kCosts, target, id);
}
std::string ane::probe::targetOfChip(const std::string &chip) {
  for (auto &[name, target] : kChips)
    if (chip == name)
      return target;
  return "";
}
bool ane::probe::appliesTo(const ProbeRecord &record,
                           const std::string &target) {
  std::optional<double> family = find(kFamilies, target, "");
  return !record.families || (family && record.families >> int(*family) & 1);
}
bool ane::probe::isTarget(const std::string &name) {
  for (const TargetValue &value : kLimits)
    if (value.target == name)
      return true;
  return false;
}

//===----------------------------------------------------------------------===//
// Programs on the engine
//===----------------------------------------------------------------------===//

Layout ane::probe::layoutOf(const std::vector<int64_t> &shape) {
  std::array<int64_t, 4> view = {1, 1, 1, 1};
  for (size_t i = 0; i < shape.size() && i < 4; ++i)
    view[4 - shape.size() + i] = shape[i];
  uint64_t align = uint64_t(facts::rowAlignment),
           row = (uint64_t(view[3]) * 2 + align - 1) / align * align,
           plane = row * uint64_t(view[2]), batch = plane * uint64_t(view[1]);
  return {ANE_FP16, view, {batch, plane, row}, batch * uint64_t(view[0])};
}
uint64_t ane::probe::requiredBytes(const std::vector<int64_t> &shape) {
  return std::max<uint64_t>(layoutOf(shape).bytes, facts::surfaceFloor);
}

Asker::Asker(const std::string &target, const std::string &folder)
    : target(target), folder(folder) {
  ane_device_options options = {};
  options.size = sizeof options;
  options.staging = folder.c_str();
  // What the loader would refuse is what is asked.
  options.compile_budget = options.resident_limit = -1;
  options.failed_compile_pause_ms = -1;
  options.flags = ANE_NO_SIGNALS; // the parent removes the folder
  EngineOptions unlimited = EngineOptions::from(options);
  unlimited.limitsWeightFiles = false;
  engine = std::make_unique<Engine>(unlimited);
  seed = unsigned(std::chrono::system_clock::now().time_since_epoch().count() &
                  0xffffff);
}

std::unique_ptr<EngineProgram> Asker::open(const Program &program) {
  std::string place = folder + "/files" + std::to_string(files++);
  fs::create_directories(place);
  auto keep = [&](const std::string &name, const std::string &bytes) {
    std::ofstream(place + "/" + name, std::ios::binary) << bytes;
    return std::make_shared<const FileMap>(place + "/" + name);
  };
  std::vector<EngineProgram::WeightFile> weights;
  for (size_t i = 0; i < program.weights.size(); ++i) {
    std::string name = std::to_string(i) + ".bin";
    weights.push_back(
        {"@model_path/weights/" + name, keep(name, program.weights[i])});
  }
  return std::make_unique<EngineProgram>(
      *engine, "probe", keep("model.mil", program.text), std::move(weights));
}

std::string Asker::tryCompile(const Program &program) {
  try {
    open(program)->load();
    return "";
  } catch (const Failure &failure) {
    if (failure.status != ANE_COMPILE_FAILED &&
        failure.status != ANE_LOAD_FAILED)
      throw;
    return failure.message;
  }
}

namespace {
/// Surfaces of a program and a request over them.
struct Bound {
  std::vector<std::unique_ptr<Surface>> inputs, outputs;
  Retained request;
  Bound(Engine &engine, EngineProgram &program, const Program &described) {
    auto make = [&](const std::vector<Program::Parameter> &parameters,
                    std::vector<std::unique_ptr<Surface>> &surfaces) {
      std::vector<const Surface *> list;
      for (const Program::Parameter &parameter : parameters) {
        surfaces.push_back(std::make_unique<Surface>(
            engine.getObjC(), requiredBytes(parameter.shape)));
        list.push_back(surfaces.back().get());
      }
      return list;
    };
    auto in = make(described.inputs, inputs),
         out = make(described.outputs, outputs);
    request = program.makeRequest(in, out, 0);
  }
};
} // namespace

std::vector<float>
Asker::evaluate(const Program &program,
                const std::vector<std::vector<float>> &inputs) {
  std::unique_ptr<EngineProgram> opened = open(program);
  opened->load();
  Bound bound(*engine, *opened, program);
  for (size_t i = 0; i < inputs.size(); ++i)
    convert(Layout::packed(ANE_FP32, int64_t(inputs[i].size())),
            inputs[i].data(), layoutOf(program.inputs[i].shape),
            bound.inputs[i]->base(), ANE_FP16, "");
  opened->evaluate(bound.request.get());
  Layout layout = layoutOf(program.outputs[0].shape);
  std::vector<float> result(size_t(layout.count()));
  convert(layout, bound.outputs[0]->base(),
          Layout::packed(ANE_FP32, layout.count()), result.data(), ANE_FP16,
          "");
  return result;
}

double Asker::time(const Program &program, int runs) {
  std::unique_ptr<EngineProgram> opened = open(program);
  opened->load();
  Bound bound(*engine, *opened, program);
  std::vector<double> times;
  for (int i = 0; i < runs + 5; ++i) {
    auto start = std::chrono::steady_clock::now();
    opened->evaluate(bound.request.get());
    if (i >= 5)
      times.push_back(std::chrono::duration<double, std::micro>(
                          std::chrono::steady_clock::now() - start)
                          .count());
  }
  std::nth_element(times.begin(), times.begin() + runs / 2, times.end());
  return times[size_t(runs) / 2];
}

//===----------------------------------------------------------------------===//
// Kinds of questions
//===----------------------------------------------------------------------===//

static std::vector<float> makeInput(const std::string &data, size_t index,
                                    const std::vector<int64_t> &shape) {
  std::vector<float> values(size_t(layoutOf(shape).count()));
  for (size_t i = 0; i < values.size(); ++i) {
    float wave = float(i * 37 % 257);
    values[i] = data == "ramp"       ? (wave - 128) / 32
                : data == "positive" ? wave / 32
                : data == "first"
                    ? (index ? float(i % size_t(shape.back()) != 0) : wave / 32)
                    : std::strtof(data.c_str(), nullptr);
  }
  return values;
}

Answer Asker::askWrong(const ProbeRecord &record) {
  Program program = makeProgram(record, 0, seed);
  if (std::string said = tryCompile(program); !said.empty())
    return {"unclear", said, {}};
  std::vector<std::vector<float>> inputs;
  for (size_t i = 0; i < program.inputs.size(); ++i)
    inputs.push_back(makeInput(record.data, i, program.inputs[i].shape));
  std::vector<float> result = evaluate(program, inputs);
  std::string book = record.book;
  double worst = 0, largest = 1e-6;
  for (size_t i = 0; i < result.size(); ++i) {
    float expected =
        book == "same" ? inputs[0][i]
        : book == "first"
            ? inputs[0][i % size_t(program.outputs[0].shape.back())]
            : std::strtof(record.book, nullptr);
    largest = std::max<double>(largest, std::abs(expected));
    double difference = std::abs(double(result[i]) - double(expected));
    worst = std::max(worst, std::isnan(difference) ? INFINITY : difference);
  }
  double relative = worst / largest;
  bool right = relative <= 0.02, wrong = appliesTo(record, target);
  return {right == wrong ? "refuted" : "confirmed",
          std::string(wrong ? "" : "a rule of other generations: ") +
              (right
                   ? "computes what the book says"
                   : "differs from the book by this part of the largest value"),
          relative};
}

Answer Asker::askLimit(const ProbeRecord &record) {
  std::optional<double> limit = limitOf(target, record.id);
  if (!limit)
    return {"unclear", "this target has no such limit", {}};
  int64_t n = int64_t(*limit);
  if (std::string said = tryCompile(makeProgram(record, n, seed));
      !said.empty())
    return {"refuted", std::to_string(n) + " does not compile: " + said,
            double(n)};
  std::string said = tryCompile(makeProgram(record, n + record.step, seed));
  if (said.empty())
    return {"refuted", std::to_string(n + record.step) + " compiles",
            double(n + record.step)};
  return {"confirmed", said, double(n)};
}

Answer Asker::askCost(const ProbeRecord &record) {
  double us = time(makeProgram(record, 0, seed), 100),
         work = std::strtod(record.work, nullptr), value = us;
  std::string unit = record.text;
  if (work > 0) {
    double floor =
        time(makeProgram(*findProbe("memory_dispatch_us"), 0, seed), 100);
    if (us < 1.2 * floor)
      return {"unclear",
              "takes " + std::to_string(us) +
                  " us, hardly more than the floor, " + std::to_string(floor) +
                  " us",
              {}};
    value = work / (us - floor) / (unit == "TFLOPS" ? 1e6 : 1e3);
  }
  std::optional<double> known = costOf(target, record.id);
  if (!known)
    return {"unclear", "this target has no such parameter", value};
  bool near = value < *known * 1.25 && value > *known / 1.25;
  return {near ? "confirmed" : "refuted",
          unit + ", the record says " + std::to_string(*known), value};
}

Answer Asker::ask(const ProbeRecord &record) {
  std::string kind = record.kind;
  if (kind == "compiles") {
    // A record is refuted where it would have to change.
    std::string said = tryCompile(makeProgram(record, 0, seed));
    bool of = appliesTo(record, target), fails = of && !record.optional;
    return {said.empty() == fails ? "refuted" : "confirmed",
            (fails ? ""
             : of  ? "a rule that no target has by itself: "
                   : "a rule of other generations: ") +
                (said.empty() ? "compiles and loads" : said),
            {}};
  }
  if (kind == "wrong")
    return askWrong(record);
  if (kind == "limit")
    return askLimit(record);
  return kind == "cost" ? askCost(record) : askRuntime(*this, record.id);
}
