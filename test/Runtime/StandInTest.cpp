//===- StandInTest.cpp - what machines were seen to do, and the loader ----===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// Each documented misbehaviour (engine/weights.md §2, engine/runtime.md §3,
// rules L40 to L78): first that the stand-in has it, asked without the loader's
// care, then that the loader survives it or says what it is.
//
//===----------------------------------------------------------------------===//

#include "Bundles.h"
#include "lib/Runtime/Facts.h"
#include <chrono>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>

using namespace ane::runtime;

namespace {
/// The framework's classes, asked directly.
class Raw {
public:
  Raw() : objc(StandIn::library()), pool(objc) {}

  id descriptor(const std::string &text, id weights) {
    return objc.send<id>(objc.find("_ANEInMemoryModelDescriptor"),
                         objc.sel("modelWithMILText:weights:optionsPlist:"),
                         objc.data(keep(text).data(), text.size()), weights,
                         id(nullptr));
  }
  id model(id descriptor) {
    return objc.send<id>(objc.find("_ANEInMemoryModel"),
                         objc.sel("inMemoryModelWithDescriptor:"), descriptor);
  }
  id weights(const std::vector<std::string> &files, int64_t offset = 0) {
    std::vector<id> keys, values;
    for (const std::string &file : files) {
      keys.push_back(objc.string("@model_path/weights/" + file));
      values.push_back(objc.dictionary(
          {{objc.string("offset"), objc.number(offset)},
           {objc.string("data"), objc.data(keep(file).data(), file.size())}}));
    }
    return objc.dictionary(keys.data(), values.data(), keys.size());
  }
  /// A model whose files are staged in `folder`, except `missing`.
  id staged(const std::string &text, const std::vector<std::string> &files,
            const std::string &folder, const std::string &missing = "",
            int64_t offset = 0) {
    id made = model(descriptor(text, weights(files, offset)));
    std::filesystem::create_directories(folder + "/weights");
    if (missing != "model.mil")
      std::ofstream(folder + "/model.mil") << text;
    for (const std::string &file : files)
      if (file != missing)
        std::ofstream(folder + "/weights/" + file) << file;
    objc.send<void>(made, objc.sel("setModelURL:"),
                    objc.send<id>(objc.find("NSURL"),
                                  objc.sel("fileURLWithPath:isDirectory:"),
                                  objc.string(folder), (signed char)1));
    return made;
  }
  /// Empty, or what the compiler said.
  std::string compile(id model) {
    id error = nullptr;
    return objc.send<unsigned char>(model,
                                    objc.sel("compileWithQoS:options:error:"),
                                    21u, objc.dictionary({}), &error)
               ? ""
               : objc.describe(error);
  }
  std::string load(id model) {
    id error = nullptr;
    return objc.send<unsigned char>(model,
                                    objc.sel("loadWithQoS:options:error:"), 21u,
                                    objc.dictionary({}), &error)
               ? ""
               : objc.describe(error);
  }
  std::string evaluate(id model, const std::vector<SurfaceRef> &in,
                       const std::vector<SurfaceRef> &out) {
    auto list = [&](const std::vector<SurfaceRef> &surfaces, bool indices) {
      std::vector<id> objects;
      for (size_t i = 0; i < surfaces.size(); ++i)
        objects.push_back(indices
                              ? objc.number(int64_t(i))
                              : objc.send<id>(objc.find("_ANEIOSurfaceObject"),
                                              objc.sel("objectWithIOSurface:"),
                                              surfaces[i]));
      return objc.array(objects.data(), objects.size());
    };
    id request = objc.send<id>(
        objc.find("_ANERequest"),
        objc.sel("requestWithInputs:inputIndices:outputs:outputIndices:"
                 "weightsBuffer:perfStats:procedureIndex:"),
        list(in, false), list(in, true), list(out, false), list(out, true),
        id(nullptr), id(nullptr), objc.number(0));
    id error = nullptr;
    return objc.send<unsigned char>(
               model, objc.sel("evaluateWithQoS:options:request:error:"), 21u,
               objc.dictionary({}), request, &error)
               ? ""
               : objc.describe(error);
  }
  uint16_t *halves(SurfaceRef surface) {
    return static_cast<uint16_t *>(objc.surfaceBase(surface));
  }

  ObjC objc;

private:
  const std::string &keep(const std::string &text) {
    kept.push_back(std::make_unique<std::string>(text));
    return *kept.back();
  }
  ObjC::Pool pool;
  std::vector<std::unique_ptr<std::string>> kept;
};

bool has(const std::string &text, const char *part) {
  return text.find(part) != std::string::npos;
}

/// z000 = a000 - a001, `width` wide.
std::string subtraction(int64_t width = 32) {
  std::string type = "tensor<fp16, [1, 4, 1, " + std::to_string(width) + "]> ";
  return milText(type + "a000, " + type + "a001",
                 type + "z000 = sub(x = a000, y = a001)[name = "
                        "string(\"z000\")];\n",
                 "z000");
}
/// z000 = a000 + number.
std::string addition(double number, const std::string &shape = "1, 4, 1, 32") {
  char text[64];
  std::snprintf(text, sizeof text, "%a", number);
  std::string type = "tensor<fp16, [" + shape + "]> ";
  return milText(type + "a000",
                 "fp16 k = const()[name = string(\"k\"), val = fp16(" +
                     std::string(text) + ")];\n" + type +
                     "z000 = add(x = a000, y = k)[name = string(\"z000\")];\n",
                 "z000");
}
} // namespace

TEST(StandIn, TextIsData) {
  StandIn::configure("");
  Raw raw;
  bool raised = false;
  try {
    raw.objc.send<id>(raw.objc.find("_ANEInMemoryModelDescriptor"),
                      raw.objc.sel("modelWithMILText:weights:optionsPlist:"),
                      raw.objc.string("program(1.3)"), raw.objc.dictionary({}),
                      id(nullptr));
  } catch (...) {
    raised = true;
  }
  EXPECT_TRUE(raised);
}

TEST(StandInDeathTest, WeightsAreNeverNil) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        StandIn::configure("");
        Raw raw;
        raw.descriptor(addition(1), nullptr);
      },
      "weights of a program are nil");
}

TEST(StandIn, StagedFilesMustBeThere) {
  Folder folder;
  StandIn::configure("stall=0");
  Raw raw;
  EXPECT_EQ(raw.compile(raw.staged(addition(11), {"w.bin"}, folder.child("0"))),
            "");
  EXPECT_TRUE(has(raw.compile(raw.staged(addition(12), {"w.bin"},
                                         folder.child("1"), "w.bin")),
                  "InvalidMILProgram: weights/w.bin is not staged"));
  EXPECT_TRUE(has(
      raw.compile(raw.staged(addition(13), {}, folder.child("2"), "model.mil")),
      "InvalidMILProgram: model.mil"));
}

TEST(StandIn, OffsetsOfFilesAreZero) {
  Folder folder;
  StandIn::configure("stall=0");
  Raw raw;
  EXPECT_TRUE(has(raw.compile(raw.staged(addition(14), {"w.bin"},
                                         folder.child("0"), "", 64)),
                  "InvalidMILProgram: the offset"));
  // In the text: the descriptor's, never the payload's (engine/weights.md
  // §2.1).
  auto text = [](int offset) {
    return milText(
        "tensor<fp16, [1, 4, 1, 32]> a000",
        "tensor<fp16, [1, 4, 1, 1]> k = const()[name = string(\"k\"), val = "
        "tensor<fp16, [1, 4, 1, 1]>(BLOBFILE(path = "
        "string(\"@model_path/weights/weight.bin\"), offset = uint64(" +
            std::to_string(offset) +
            ")))];\ntensor<fp16, [1, 4, 1, 32]> z000 = add(x = a000, y = "
            "k)[name = string(\"z000\")];\n",
        "z000");
  };
  std::string blob(136, '\0');
  auto put = [&](size_t at, uint64_t value, size_t size) {
    std::memcpy(blob.data() + at, &value, size);
  };
  put(0, 1, 4), put(4, 2, 4), put(64, 0xdeadbeef, 4), put(68, 1, 4);
  put(72, 8, 8), put(80, 128, 8);
  for (int offset : {64, 0, 128}) {
    std::string place = folder.child(std::to_string(offset));
    id model = raw.model(raw.descriptor(
        text(offset),
        raw.objc.dictionary(
            {{raw.objc.string("@model_path/weights/weight.bin"),
              raw.objc.dictionary(
                  {{raw.objc.string("offset"), raw.objc.number(0)},
                   {raw.objc.string("data"),
                    raw.objc.data(blob.data(), blob.size())}})}})));
    std::filesystem::create_directories(place + "/weights");
    std::ofstream(place + "/model.mil") << text(offset);
    std::ofstream(place + "/weights/weight.bin", std::ios::binary) << blob;
    raw.objc.send<void>(
        model, raw.objc.sel("setModelURL:"),
        raw.objc.send<id>(raw.objc.find("NSURL"),
                          raw.objc.sel("fileURLWithPath:isDirectory:"),
                          raw.objc.string(place), (signed char)1));
    std::string said = raw.compile(model);
    EXPECT_EQ(said.empty(), offset == 64) << offset << ": " << said;
    EXPECT_EQ(has(said, "InvalidMILProgram"), offset != 64);
  }
}

TEST(StandIn, SurfacesThatAreTooSmall) {
  Folder folder;
  StandIn::configure("stall=0");
  Raw raw;
  // 4 * 64 * 64 rows of 64 bytes.
  id model = raw.staged(addition(1, "1, 64, 64, 32"), {}, folder.child("0"));
  ASSERT_EQ(raw.compile(model), "");
  ASSERT_EQ(raw.load(model), "");
  size_t bytes = 64 * 64 * 64;
  SurfaceRef full = raw.objc.createSurface(bytes),
             small = raw.objc.createSurface(bytes - 1);
  EXPECT_EQ(raw.evaluate(model, {full}, {full}), "");
  EXPECT_TRUE(has(raw.evaluate(model, {small}, {full}), "0x1d"));
  EXPECT_TRUE(has(raw.evaluate(model, {full}, {small}), "0x1d"));
  EXPECT_TRUE(has(raw.evaluate(model, {full, full}, {full}), "0x1d"));
  raw.objc.releaseSurface(full);
  raw.objc.releaseSurface(small);
}

TEST(StandIn, SwappedSurfacesPermuteSilently) {
  Folder folder;
  StandIn::configure("");
  Raw raw;
  id model = raw.staged(subtraction(), {}, folder.child("0"));
  ASSERT_EQ(raw.compile(model), "");
  ASSERT_EQ(raw.load(model), "");
  SurfaceRef a = raw.objc.createSurface(65536),
             b = raw.objc.createSurface(65536),
             z = raw.objc.createSurface(65536);
  for (int i = 0; i < 128; ++i) {
    raw.halves(a)[i] = floatToHalf(5);
    raw.halves(b)[i] = floatToHalf(3);
  }
  EXPECT_EQ(raw.evaluate(model, {a, b}, {z}), "");
  EXPECT_EQ(halfToFloat(raw.halves(z)[7]), 2);
  EXPECT_EQ(raw.evaluate(model, {b, a}, {z}), "");
  EXPECT_EQ(halfToFloat(raw.halves(z)[7]), -2);
  // Behind the last row: NaN.
  EXPECT_TRUE(std::isnan(halfToFloat(raw.halves(z)[128])));
  for (SurfaceRef surface : {a, b, z})
    raw.objc.releaseSurface(surface);
}

TEST(StandIn, NarrowRowsReadGarbage) {
  Folder folder;
  StandIn::configure("");
  Raw raw;
  id model = raw.staged(addition(1, "1, 4, 1, 8"), {}, folder.child("0"));
  ASSERT_EQ(raw.compile(model), "");
  ASSERT_EQ(raw.load(model), "");
  SurfaceRef a = raw.objc.createSurface(65536),
             z = raw.objc.createSurface(65536);
  std::memset(raw.halves(a), 0, 65536);
  EXPECT_EQ(raw.evaluate(model, {a}, {z}), "");
  int right = 0;
  for (int i = 0; i < 8; ++i)
    right += halfToFloat(raw.halves(z)[i]) == 1;
  EXPECT_LT(right, 8);
  raw.objc.releaseSurface(a);
  raw.objc.releaseSurface(z);
}

TEST(StandIn, MoreWeightFilesThan16) {
  Folder folder;
  StandIn::configure("stall=0");
  Raw raw;
  std::vector<std::string> files;
  for (int i = 0; i < 16; ++i)
    files.push_back(std::to_string(i));
  EXPECT_EQ(raw.compile(raw.staged(addition(21), files, folder.child("0"))),
            "");
  files.push_back("16");
  EXPECT_TRUE(has(
      raw.compile(raw.staged(addition(22), files, folder.child("1"))), "L72"));
  TestBundle bundle = makeAdd(23);
  bundle.programs[0].weightFiles = files;
  bundle.write(folder.child("b"));
  Opened opened;
  EXPECT_FALSE(opened.open(folder.child("b"), onStandIn(folder)));
  EXPECT_EQ(opened.status, ANE_COMPILE_FAILED);
  EXPECT_TRUE(
      has(opened.message, "has 17 weight files, the engine takes 16 (L72)"))
      << opened.message;
}

TEST(StandIn, RulesOfTheTarget) {
  Folder folder;
  StandIn::configure("stall=0");
  Raw raw;
  std::string type = "tensor<fp16, [1, 4, 1, 32]> ";
  std::string cumsum =
      milText(type + "a000",
              "int32 ax = const()[name = string(\"ax\"), val = int32(3)];\n"
              "bool f = const()[name = string(\"f\"), val = bool(false)];\n" +
                  type +
                  "z000 = cumsum(axis = ax, exclusive = f, reverse = f, x = "
                  "a000)[name = string(\"z000\")];\n",
              "z000");
  std::string said = raw.compile(raw.staged(cumsum, {}, folder.child("0")));
  EXPECT_TRUE(has(said, "CompilationFailure") && has(said, "L05")) << said;
  said = raw.compile(
      raw.staged(milText(type + "a000", "zzz", "z000"), {}, folder.child("1")));
  EXPECT_TRUE(has(said, "code 1: InvalidMILProgram")) << said;
  said = raw.compile(raw.staged(addition(1, "32"), {}, folder.child("2")));
  EXPECT_TRUE(has(said, "code 22: HandleANELayer")) << said;
  StandIn::configure("stall=0;rules=0");
  EXPECT_EQ(raw.compile(raw.staged(cumsum, {}, folder.child("3"))), "");
  // What the loader makes of it.
  StandIn::configure("stall=0");
  TestBundle bundle = makeAdd(1, 32);
  bundle.programs[0].text = cumsum + "\n";
  bundle.write(folder.child("b"));
  Opened opened;
  EXPECT_FALSE(opened.open(folder.child("b"), onStandIn(folder)));
  EXPECT_EQ(opened.status, ANE_COMPILE_FAILED);
  EXPECT_TRUE(
      has(opened.message, "program 'programs/0.mil' does not compile") &&
      has(opened.message, "L05") && has(opened.message, "ane-check"))
      << opened.message;
}

TEST(StandIn, OrderOfSymbolsIsChecked) {
  Folder folder;
  StandIn::configure("");
  TestBundle bundle = makeState();
  // 'y2@output' comes before 'y@output', 'y' before 'y2'.
  bundle.programs[0].outputs = {{"y", 2}, {"y2", 3}};
  bundle.write(folder.child("good"));
  Opened good;
  ASSERT_TRUE(good.open(folder.child("good"), onStandIn(folder)))
      << good.message;
  std::vector<float> one(128, 1), y(128), next(128);
  for (size_t i = 0; i < 2; ++i)
    ASSERT_EQ(ane_session_bind_input(good.session, i, one.data(), 512), ANE_OK);
  ASSERT_EQ(ane_session_bind_output(good.session, 0, y.data(), 512), ANE_OK);
  ASSERT_EQ(ane_session_bind_output(good.session, 1, next.data(), 512), ANE_OK);
  ASSERT_EQ(ane_session_run(good.session), ANE_OK);
  EXPECT_EQ(y[0], 2);
  EXPECT_EQ(next[0], 3);
  // A manifest that is not its text's.
  TestBundle other = makeAdd(3);
  other.programs[0].text = subtraction();
  other.write(folder.child("bad"));
  Opened bad;
  EXPECT_FALSE(bad.open(folder.child("bad"), onStandIn(folder)));
  EXPECT_EQ(bad.status, ANE_BAD_BUNDLE);
  EXPECT_TRUE(has(bad.message, "has the inputs a000, a001 in this order, the "
                               "manifest a000 (L42)"))
      << bad.message;
  // A surface that is smaller than the program's.
  TestBundle small = makeAdd(3);
  small.programs[0].text = addition(3, "1, 2000, 2, 32");
  small.write(folder.child("small"));
  Opened smaller;
  EXPECT_FALSE(smaller.open(folder.child("small"), onStandIn(folder)));
  EXPECT_TRUE(has(smaller.message,
                  "needs 256000 bytes for 'a000', the manifest "
                  "has 65536 (L41)"))
      << smaller.message;
}

TEST(StandIn, FirstLoadsMayFail) {
  Folder folder;
  StandIn::configure("firstload=1");
  makeAdd(4).write(folder.child("b"));
  Opened opened;
  ASSERT_TRUE(opened.open(folder.child("b"), onStandIn(folder)))
      << opened.message;
  EXPECT_EQ(StandIn::counts().loads, 2u);
  StandIn::configure("fail=load:0");
  Opened never;
  EXPECT_FALSE(never.open(folder.child("b"), onStandIn(folder)));
  EXPECT_EQ(never.status, ANE_LOAD_FAILED);
  EXPECT_EQ(StandIn::counts().loads, 2u); // one retry, not more
}

TEST(StandIn, FailedCompilationsStallTheNext) {
  Folder folder;
  using Clock = std::chrono::steady_clock;
  auto milliseconds = [](Clock::time_point since) {
    return std::chrono::duration<double, std::milli>(Clock::now() - since)
        .count();
  };
  StandIn::configure("stall=300;fail=compile:1;cache=0");
  makeAdd(5).write(folder.child("b"));
  Opened first, second;
  ane_device_options options = onStandIn(folder);
  options.failed_compile_pause_ms = 300;
  EXPECT_FALSE(first.open(folder.child("b"), options));
  EXPECT_EQ(first.status, ANE_COMPILE_FAILED);
  auto start = Clock::now();
  ASSERT_TRUE(second.open(folder.child("b"), options)) << second.message;
  EXPECT_GE(milliseconds(start), 250); // the loader waited, or the service did
  second.close();
  start = Clock::now();
  ASSERT_TRUE(second.open(folder.child("b"), options));
  EXPECT_LT(milliseconds(start), 250); // one that succeeded stalls nothing
}

TEST(StandIn, CompilationsAreBudgeted) {
  Folder folder;
  Raw raw;
  // The stand-in counts from the start of the process, the loader too: budgets
  // are relative to what both had.
  uint64_t before = 0;
  ane_device_counts counts = {};
  counts.size = sizeof counts;
  {
    StandIn::configure("compiles=0");
    makeAdd(6).write(folder.child("b"));
    Opened opened;
    ASSERT_TRUE(opened.open(folder.child("b"), onStandIn(folder)));
    ASSERT_EQ(ane_device_get_counts(opened.device, &counts), ANE_OK);
    before = counts.compiles;
  }
  StandIn::configure("compiles=0;cache=0");
  ane_device_options options = onStandIn(folder);
  options.compile_budget = int32_t(before) + 2;
  for (int i = 0; i < 3; ++i) {
    Opened opened;
    EXPECT_EQ(opened.open(folder.child("b"), options), i < 2) << opened.message;
    if (i == 2) {
      EXPECT_EQ(opened.status, ANE_BUDGET);
      EXPECT_TRUE(has(opened.message, "the budget is") &&
                  has(opened.message, "L70") &&
                  has(opened.message, "programs/0.mil"))
          << opened.message;
    }
  }
  EXPECT_EQ(StandIn::counts().compiles, 2u); // it was not even asked
  // Without the loader's budget the service says it.
  StandIn::configure("compiles=1;cache=0;stall=0");
  options.compile_budget = -1;
  Opened first, second, third;
  EXPECT_TRUE(first.open(folder.child("b"), options)) << first.message;
  EXPECT_FALSE(second.open(folder.child("b"), options));
  EXPECT_TRUE(second.status == ANE_COMPILE_FAILED && has(second.message, "L70"))
      << second.message;
  // What was compiled is not compiled again.
  StandIn::configure("");
  EXPECT_TRUE(third.open(folder.child("b"), options)) << third.message;
  EXPECT_EQ(StandIn::counts().compiles, 0u);
}

TEST(StandIn, ResidentProgramsAreLimited) {
  Folder folder;
  StandIn::configure("compiles=0;resident=4");
  TestBundle bundle = makeChain(6);
  bundle.write(folder.child("b"));
  ane_device_options options = onStandIn(folder);
  options.compile_budget = -1;
  options.resident_limit = -1;
  Opened without;
  EXPECT_FALSE(without.open(folder.child("b"), options));
  EXPECT_EQ(without.status, ANE_LOAD_FAILED);
  EXPECT_TRUE(has(without.message, "0x50004") && has(without.message, "L71"))
      << without.message;
  without.close();
  options.resident_limit = 4;
  Opened within;
  ASSERT_TRUE(within.open(folder.child("b"), options)) << within.message;
  for (int i = 0; i < 3; ++i) {
    bool ok;
    std::vector<float> x(80, 1);
    EXPECT_EQ(runOnce(within, x, ok), std::vector<float>(80, 22))
        << within.message;
  }
  EXPECT_LE(StandIn::counts().live_programs, 4u);
}

TEST(StandIn, FrameworksWithoutFoldersOfChoice) {
  Folder folder;
  StandIn::configure("url=0");
  makeAdd(7).write(folder.child("b"));
  Opened opened;
  bool ok = opened.open(folder.child("b"), onStandIn(folder));
  ASSERT_TRUE(ok) << opened.message;
  std::vector<float> x(80, 1);
  EXPECT_EQ(runOnce(opened, x, ok), std::vector<float>(80, 8))
      << opened.message;
}
