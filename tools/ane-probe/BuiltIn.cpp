//===- BuiltIn.cpp - questions about the run-time contract ----------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "Probe.h"
#include "lib/Runtime/Facts.h"
#include <chrono>
#include <cmath>

using namespace ane::probe;
using namespace ane::runtime;

/// A record for a program that is none of Probes.td.
static ProbeRecord record(std::initializer_list<const char *> inputs,
                          std::initializer_list<const char *> body) {
  ProbeRecord result = {};
  std::copy(inputs.begin(), inputs.end(), result.inputs);
  std::copy(body.begin(), body.end(), result.body);
  return result;
}
static Program relu(unsigned salt) {
  return makeProgram(
      record({"1,64,1,64"}, {"op z000 1,64,1,64 relu(x = a000)"}), 0, salt);
}

/// Rows narrower than 32: wrong or refused, or right after all.
static Answer narrowRows(Asker &asker) {
  Program program =
      makeProgram(record({"1,64,1,8"}, {"op z000 1,64,1,8 relu(x = a000)"}), 0,
                  asker.salt());
  if (std::string said = asker.tryCompile(program); !said.empty())
    return {"confirmed", said, {}};
  std::vector<float> input(512, 3);
  try {
    std::vector<float> result = asker.evaluate(program, {input});
    int right = 0;
    for (float value : result)
      right += value == 3;
    return {right == 512 ? "refuted" : "confirmed",
            "elements of 512 that are right", double(right)};
  } catch (const Failure &failure) {
    return {"confirmed", failure.message, {}};
  }
}

/// A surface one byte too small.
static Answer smallSurface(Asker &asker) {
  std::vector<int64_t> shape = {1, 64, 64, 64};
  Program program =
      makeProgram(record({"1,64,64,64"}, {"op z000 1,64,64,64 relu(x = a000)"}),
                  0, asker.salt());
  std::unique_ptr<EngineProgram> opened = asker.open(program);
  opened->load();
  const ObjC &objc = asker.getEngine().getObjC();
  Surface full(objc, requiredBytes(shape)),
      small(objc, requiredBytes(shape) - 1);
  Retained good = opened->makeRequest({&full}, {&full}, 0),
           bad = opened->makeRequest({&small}, {&full}, 0);
  opened->evaluate(good.get());
  try {
    opened->evaluate(bad.get());
  } catch (const Failure &failure) {
    return {"confirmed", failure.message, {}};
  }
  return {"refuted", "a surface of one byte less is taken", {}};
}

/// b - a, declared in this order: surfaces go by symbol.
static Answer orderOfSymbols(Asker &asker) {
  Program program =
      makeProgram(record({"1,64,1,64", "1,64,1,64"},
                         {"op z000 1,64,1,64 sub(x = a000, y = a001)"}),
                  0, asker.salt());
  // Declared the other way round.
  std::string type = "tensor<fp16, [1, 64, 1, 64]> ",
              now = type + "a000, " + type + "a001",
              swapped = type + "a001, " + type + "a000";
  program.text.replace(program.text.find(now), now.size(), swapped);
  std::vector<float> five(4096, 5), three(4096, 3);
  float result = asker.evaluate(program, {five, three})[7];
  if (result == 2)
    return {"confirmed", "by symbol, not as declared", {}};
  return {result == -2 ? "refuted" : "unclear",
          result == -2 ? "as declared" : "neither order gives the result",
          result};
}

/// 16 weight files are taken, 17 are not.
static Answer weightFiles(Asker &asker) {
  auto make = [&](int count) {
    Program program = relu(asker.salt() + unsigned(count));
    program.weights.assign(size_t(count), std::string(136, '\0'));
    return program;
  };
  auto ask = [&](int count) { return asker.tryCompile(make(count)); };
  int limit = int(facts::weightFileLimit);
  if (std::string said = ask(limit); !said.empty())
    return {"refuted", std::to_string(limit) + " files fail: " + said,
            double(limit)};
  std::string said = ask(limit + 1);
  return said.empty()
             ? Answer{"refuted", "one more is taken", double(limit + 1)}
             : Answer{"confirmed", said, double(limit)};
}

/// Compiles different programs until one fails.
static Answer compilations(Asker &asker) {
  int limit = int(facts::compileLimit);
  for (int i = 1; i <= limit + 3; ++i)
    if (std::string said = asker.tryCompile(relu(asker.salt() + unsigned(i)));
        !said.empty())
      return {i > limit ? "confirmed" : "refuted", said, double(i)};
  return {"refuted", "compilations that succeeded", double(limit + 3)};
}

/// Loads different programs until one fails.
static Answer residents(Asker &asker) {
  int limit = int(facts::residentLimit);
  std::vector<std::unique_ptr<EngineProgram>> programs;
  for (int i = 1; i <= limit + 3; ++i) {
    programs.push_back(asker.open(relu(asker.salt() + unsigned(i))));
    try {
      programs.back()->load();
    } catch (const Failure &failure) {
      if (failure.status == ANE_COMPILE_FAILED)
        return {"unclear", failure.message, double(i)};
      return {i == limit + 1 ? "confirmed" : "refuted", failure.message,
              double(i)};
    }
  }
  return {"refuted", "programs that are loaded", double(limit + 3)};
}

/// A compilation after one that failed.
static Answer stall(Asker &asker) {
  auto milliseconds = [&](const Program &program, bool fails) {
    auto start = std::chrono::steady_clock::now();
    if (asker.tryCompile(program).empty() == fails)
      fail(ANE_RUN_FAILED,
           "the programs of this probe do not do what it needs");
    return std::chrono::duration<double, std::milli>(
               std::chrono::steady_clock::now() - start)
        .count();
  };
  double plain = milliseconds(relu(asker.salt()), false);
  Program broken = relu(asker.salt() + 1);
  broken.text.replace(broken.text.find("relu("), 5, "nope(");
  milliseconds(broken, true);
  double after = milliseconds(relu(asker.salt() + 2), false);
  return {after > plain + 1000 ? "confirmed" : "refuted",
          "milliseconds of a compilation after one that failed; " +
              std::to_string(plain) + " before it",
          after};
}

/// The same text again: is it compiled?
static Answer sharedText(Asker &asker) {
  std::unique_ptr<EngineProgram> first = asker.open(relu(asker.salt())),
                                 second = asker.open(relu(asker.salt()));
  first->load();
  second->load();
  bool compiled = second->compileUs > 0;
  return {compiled ? "refuted" : "confirmed",
          compiled ? "is compiled again" : "is not compiled again",
          {}};
}

Answer ane::probe::askRuntime(Asker &asker, const std::string &id) {
  static constexpr std::pair<const char *, Answer (*)(Asker &)> functions[] = {
      {"L40", narrowRows},   {"L41", smallSurface}, {"L42", orderOfSymbols},
      {"L70", compilations}, {"L71", residents},    {"L72", weightFiles},
      {"L74", stall},        {"L76", sharedText}};
  for (auto &[name, function] : functions)
    if (id == name)
      return function(asker);
  return {"unclear", "this version has no such question", {}};
}
