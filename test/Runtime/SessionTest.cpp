//===- SessionTest.cpp - bundles, sessions, states, host steps ------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "Bundles.h"
#include <cmath>
#include <cstring>
#include <fstream>
#include <random>

static std::vector<float> ramp(size_t count, float first = 0) {
  std::vector<float> values(count);
  for (size_t i = 0; i < count; ++i)
    values[i] = first + float(i % 128);
  return values;
}
static std::vector<float> plus(std::vector<float> values, float number) {
  for (float &value : values)
    value += number;
  return values;
}

TEST(Session, ListsPorts) {
  Folder folder;
  makeAdd(1).write(folder.child("b"));
  ane_bundle *bundle = nullptr;
  ASSERT_EQ(ane_bundle_open(folder.child("b/").c_str(), &bundle), ANE_OK);
  ane_port port;
  ASSERT_EQ(ane_bundle_input_count(bundle), 1u);
  ASSERT_EQ(ane_bundle_input(bundle, 0, &port), ANE_OK);
  EXPECT_STREQ(port.name, "x");
  EXPECT_EQ(port.dtype, ANE_FP32);
  EXPECT_EQ(std::vector<int64_t>(port.shape, port.shape + port.rank),
            (std::vector<int64_t>{1, 4, 1, 20}));
  EXPECT_EQ(port.bytes, 320u);
  EXPECT_STREQ(ane_bundle_target(bundle), "h16");
  EXPECT_FALSE(ane_bundle_has_host_steps(bundle));
  EXPECT_EQ(ane_bundle_output(bundle, 1, &port), ANE_INVALID_ARGUMENT);
  ane_bundle_close(bundle);
}

TEST(Session, RunsWithPaddedRows) {
  Folder folder;
  StandIn::configure("");
  for (int64_t height : {1, 3})
    for (int64_t width : {1, 20, 32, 33, 100}) {
      std::string path =
          folder.child(std::to_string(width) + "x" + std::to_string(height));
      makeAdd(2.5, width, height).write(path);
      Opened opened;
      ASSERT_TRUE(opened.open(path, onStandIn(folder))) << opened.message;
      bool ok;
      auto input = ramp(size_t(4 * height * width));
      EXPECT_EQ(runOnce(opened, input, ok), plus(input, 2.5)) << opened.message;
      EXPECT_TRUE(ok) << opened.message;
    }
}

TEST(Session, HandlesMayBeClosedInAnyOrder) {
  Folder folder;
  StandIn::configure("");
  makeAdd(1).write(folder.child("b"));
  Opened opened;
  ASSERT_TRUE(opened.open(folder.child("b"), onStandIn(folder)));
  ane_bundle_close(opened.bundle);
  ane_device_close(opened.device);
  opened.bundle = nullptr;
  opened.device = nullptr;
  bool ok;
  EXPECT_EQ(runOnce(opened, ramp(80), ok), plus(ramp(80), 1));
  opened.close();
  EXPECT_EQ(folder.list(), std::vector<std::string>{"b"});
  EXPECT_EQ(StandIn::counts().live_surfaces, 0u);
}

TEST(Session, WritesIntoSurfacesWithoutCopy) {
  Folder folder;
  StandIn::configure("");
  makeAdd(3).write(folder.child("b"));
  Opened opened;
  ASSERT_TRUE(opened.open(folder.child("b"), onStandIn(folder)));
  ane_surface in, out;
  ASSERT_EQ(ane_session_input_surface(opened.session, 0, &in), ANE_OK);
  ASSERT_EQ(ane_session_output_surface(opened.session, 0, &out), ANE_OK);
  EXPECT_EQ(in.dtype, ANE_FP16);
  EXPECT_NE(in.iosurface, nullptr);
  ASSERT_EQ(in.rank, 4u);
  EXPECT_EQ(in.strides[1], 64);
  EXPECT_EQ(in.strides[3], 2);
  auto half = [](const ane_surface &surface, int64_t c, int64_t w) {
    return reinterpret_cast<uint16_t *>(static_cast<char *>(surface.data) +
                                        c * surface.strides[1] +
                                        w * surface.strides[3]);
  };
  for (int64_t c = 0; c < 4; ++c)
    for (int64_t w = 0; w < 20; ++w)
      *half(in, c, w) = ane::runtime::floatToHalf(float(c * 20 + w));
  ASSERT_EQ(ane_session_run(opened.session), ANE_OK);
  for (int64_t c = 0; c < 4; ++c)
    for (int64_t w = 0; w < 20; ++w)
      EXPECT_EQ(ane::runtime::halfToFloat(*half(out, c, w)),
                float(c * 20 + w + 3));
}

TEST(Session, ChainsShareSurfaces) {
  Folder folder;
  StandIn::configure("");
  makeChain(5).write(folder.child("b"));
  Opened opened;
  ASSERT_TRUE(opened.open(folder.child("b"), onStandIn(folder)))
      << opened.message;
  bool ok;
  EXPECT_EQ(runOnce(opened, ramp(80), ok), plus(ramp(80), 15));
  EXPECT_EQ(StandIn::counts().live_surfaces, 6u); // one for each tensor
  EXPECT_EQ(ane_session_step_count(opened.session), 5u);
  ane_step step = {};
  step.size = sizeof step;
  ASSERT_EQ(ane_session_get_step(opened.session, 4, &step), ANE_OK);
  EXPECT_STREQ(step.program, "programs/4.mil");
  EXPECT_EQ(step.runs, 1u);
  EXPECT_EQ(step.predicted_us, 100);
  // What a step gave can be looked at.
  ane_value value = {};
  value.size = sizeof value;
  ASSERT_EQ(ane_session_step_result(opened.session, 1, 0, &value), ANE_OK);
  EXPECT_STREQ(value.name, "t2");
  ASSERT_EQ(value.bytes, 160u);
  std::vector<uint16_t> halves(80);
  ASSERT_EQ(
      ane_session_read_step_result(opened.session, 1, 0, halves.data(), 160),
      ANE_OK);
  EXPECT_EQ(ane::runtime::halfToFloat(halves[7]), 10);
}

TEST(Session, StatesNeedNoCopy) {
  Folder folder;
  StandIn::configure("");
  makeState().write(folder.child("b"));
  Opened opened;
  ASSERT_TRUE(opened.open(folder.child("b"), onStandIn(folder)));
  ASSERT_EQ(ane_session_carry(opened.session, 1, 1), ANE_OK);
  std::vector<float> x(128, 2), y(128), first(128, 100);
  ASSERT_EQ(ane_session_bind_input(opened.session, 0, x.data(), 512), ANE_OK);
  ASSERT_EQ(ane_session_bind_input(opened.session, 1, first.data(), 512),
            ANE_OK);
  ASSERT_EQ(ane_session_bind_output(opened.session, 0, y.data(), 512), ANE_OK);
  float state = 100;
  for (int i = 0; i < 7; ++i) {
    ASSERT_EQ(ane_session_run(opened.session), ANE_OK);
    EXPECT_EQ(y[5], 2 + state) << "run " << i;
    state += 3; // x + state + 1
    ane_surface next, input;
    ASSERT_EQ(ane_session_output_surface(opened.session, 1, &next), ANE_OK);
    ASSERT_EQ(ane_session_input_surface(opened.session, 1, &input), ANE_OK);
    EXPECT_EQ(next.data, input.data);
  }
  EXPECT_EQ(StandIn::counts().live_surfaces, 4u);
  // Nothing else may be that input.
  EXPECT_EQ(ane_session_carry(opened.session, 0, 1), ANE_INVALID_ARGUMENT);
}

TEST(Session, FailedRunsLeaveStatesAlone) {
  Folder folder;
  StandIn::configure("");
  makeState().write(folder.child("b"));
  Opened opened;
  ASSERT_TRUE(opened.open(folder.child("b"), onStandIn(folder)));
  ASSERT_EQ(ane_session_carry(opened.session, 1, 1), ANE_OK);
  std::vector<float> x(128, 2), y(128);
  ASSERT_EQ(ane_session_bind_input(opened.session, 0, x.data(), 512), ANE_OK);
  ASSERT_EQ(ane_session_bind_output(opened.session, 0, y.data(), 512), ANE_OK);
  ASSERT_EQ(ane_session_run(opened.session), ANE_OK);
  StandIn::configure("fail=evaluate:1");
  EXPECT_EQ(ane_session_run(opened.session), ANE_RUN_FAILED);
  ASSERT_EQ(ane_session_run(opened.session), ANE_OK);
  EXPECT_EQ(y[0], 2 + 3);
}

//===----------------------------------------------------------------------===//
// Host steps
//===----------------------------------------------------------------------===//

namespace {
/// Adds its number to every element of fp16 arrays; by text "programs/N.mil".
struct TestHost {
  static ane_status open(void *context, const ane_host_program *program,
                         void **state, char *message, size_t size) {
    if (program->is_engine && !*static_cast<bool *>(context)) {
      std::snprintf(message, size, "no engine programs here");
      return ANE_RUN_FAILED;
    }
    *state = new double(std::atoi(program->text + 9) + 1);
    ++live;
    return ANE_OK;
  }
  static ane_status run(void *state, const ane_host_buffer *inputs,
                        size_t count, ane_host_buffer *outputs, size_t results,
                        char *message, size_t size) {
    if (fails) {
      std::snprintf(message, size, "told to");
      return ANE_RUN_FAILED;
    }
    const ane_host_buffer &in = inputs[0], &out = outputs[0];
    EXPECT_EQ(count, 1u);
    EXPECT_EQ(results, 1u);
    EXPECT_EQ(in.rank, 4u);
    for (int64_t c = 0; c < in.shape[1]; ++c)
      for (int64_t w = 0; w < in.shape[3]; ++w) {
        auto at = [&](const ane_host_buffer &buffer) {
          return reinterpret_cast<uint16_t *>(static_cast<char *>(buffer.data) +
                                              c * buffer.strides[1] +
                                              w * buffer.strides[3]);
        };
        *at(out) =
            ane::runtime::floatToHalf(float(ane::runtime::halfToFloat(*at(in)) +
                                            *static_cast<double *>(state)));
      }
    return ANE_OK;
  }
  static void close(void *state) {
    delete static_cast<double *>(state);
    --live;
  }
  static inline int live = 0;
  static inline bool fails = false;
};
} // namespace

TEST(Session, HostSteps) {
  Folder folder;
  StandIn::configure("");
  makeChain(3, 1).write(folder.child("b"));
  bool engines = false;
  ane_host_functions host = {sizeof host, &engines, TestHost::open,
                             TestHost::run, TestHost::close};
  ane_session_options with = {sizeof with, &host, 0, nullptr};
  {
    Opened opened;
    EXPECT_FALSE(opened.open(folder.child("b"), onStandIn(folder)));
    EXPECT_EQ(opened.status, ANE_NO_HOST);
    EXPECT_NE(opened.message.find("programs/1.mil"), std::string::npos);
  }
  {
    Opened opened;
    ASSERT_TRUE(opened.open(folder.child("b"), onStandIn(folder), &with))
        << opened.message;
    bool ok;
    EXPECT_EQ(runOnce(opened, ramp(80), ok), plus(ramp(80), 6));
    TestHost::fails = true;
    runOnce(opened, ramp(80), ok);
    EXPECT_FALSE(ok);
    EXPECT_EQ(opened.message, "host program 'programs/1.mil' fails: told to");
    TestHost::fails = false;
    EXPECT_EQ(runOnce(opened, ramp(80), ok), plus(ramp(80), 6));
  }
  // Everything on the host, through surfaces all the same.
  engines = true;
  ane_device_options on = onStandIn(folder);
  on.kind = "host";
  Opened opened;
  ASSERT_TRUE(opened.open(folder.child("b"), on, &with)) << opened.message;
  bool ok;
  EXPECT_EQ(runOnce(opened, ramp(80), ok), plus(ramp(80), 6));
  opened.close();
  EXPECT_EQ(TestHost::live, 0);
}

//===----------------------------------------------------------------------===//
// What is refused
//===----------------------------------------------------------------------===//

TEST(Session, RefusesWrongCalls) {
  Folder folder;
  StandIn::configure("");
  makeAdd(1).write(folder.child("b"));
  Opened opened;
  ASSERT_TRUE(opened.open(folder.child("b"), onStandIn(folder)));
  float value = 0;
  EXPECT_EQ(ane_session_bind_input(opened.session, 0, &value, 4),
            ANE_INVALID_ARGUMENT);
  EXPECT_STREQ(ane_last_error(), "'x' has 320 bytes (fp32), but got 4");
  EXPECT_EQ(ane_session_bind_input(opened.session, 1, &value, 4),
            ANE_INVALID_ARGUMENT);
  EXPECT_EQ(ane_session_run(nullptr), ANE_INVALID_ARGUMENT);
  EXPECT_EQ(ane_bundle_open(nullptr, nullptr), ANE_INVALID_ARGUMENT);
  EXPECT_EQ(ane_session_carry(opened.session, 3, 0), ANE_INVALID_ARGUMENT);
  ane_session_options many = {sizeof many, nullptr, 128, nullptr};
  ane_session *session = nullptr;
  EXPECT_EQ(ane_session_create(opened.bundle, opened.device, &many, &session),
            ANE_BUDGET);
  ane_device_options wrong = {};
  ane_device *device = nullptr;
  EXPECT_EQ(ane_device_open(&wrong, &device), ANE_INVALID_ARGUMENT); // no size
  wrong = onStandIn(folder);
  wrong.framework = "/nowhere/lib.so";
  EXPECT_EQ(ane_device_open(&wrong, &device), ANE_NO_DEVICE);
  wrong.framework = nullptr;
  unsetenv("ANE_RUNTIME_FRAMEWORK");
  EXPECT_EQ(ane_device_open(&wrong, &device), ANE_NO_DEVICE);
}

TEST(Session, ValuesThatDoNotFit) {
  Folder folder;
  StandIn::configure("");
  TestBundle bundle = makeAdd(0);
  bundle.tensors[0].dtype = bundle.tensors[1].dtype = "int32";
  bundle.inputs[0].second = bundle.outputs[0].second = "int64";
  bundle.write(folder.child("b"));
  Opened opened;
  ASSERT_TRUE(opened.open(folder.child("b"), onStandIn(folder)));
  std::vector<int64_t> x(80, 7), y(80);
  ASSERT_EQ(ane_session_bind_input(opened.session, 0, x.data(), 640), ANE_OK);
  ASSERT_EQ(ane_session_bind_output(opened.session, 0, y.data(), 640), ANE_OK);
  ASSERT_EQ(ane_session_run(opened.session), ANE_OK);
  EXPECT_EQ(y, x);
  x[3] = int64_t(1) << 40;
  EXPECT_EQ(ane_session_run(opened.session), ANE_RUN_FAILED);
  EXPECT_STREQ(ane_last_error(),
               "'x' holds 1099511627776, which does not fit int32");
  ane_surface surface; // integers do not lie in it as they are
  EXPECT_EQ(ane_session_input_surface(opened.session, 0, &surface),
            ANE_INVALID_ARGUMENT);
}

TEST(Session, DamagedManifests) {
  Folder folder;
  StandIn::configure("engine=none;compiles=0;rules=0");
  makeChain(3).write(folder.child("b"));
  std::string file = folder.child("b/manifest.fb"), good;
  {
    std::ifstream in(file, std::ios::binary);
    good.assign(std::istreambuf_iterator<char>(in), {});
  }
  std::mt19937 random(7);
  int refused = 0;
  for (int i = 0; i < 1000; ++i) {
    std::string bad = good;
    if (i % 8 == 0)
      bad.resize(random() % bad.size());
    else
      for (unsigned k = 0; k < 1 + random() % 3; ++k)
        bad[random() % bad.size()] =
            char(i % 3 ? random() : 1u << random() % 8);
    std::ofstream(file, std::ios::binary) << bad;
    Opened opened;
    if (!opened.note(
            ane_bundle_open(folder.child("b").c_str(), &opened.bundle))) {
      ++refused;
      EXPECT_EQ(opened.status, ANE_BAD_BUNDLE) << opened.message;
      EXPECT_FALSE(opened.message.empty());
      continue;
    }
    // What is accepted can be asked for, and plans without harm.
    ane_device_options on = onStandIn(folder);
    on.kind = "host";
    ane_port port;
    for (size_t k = 0; k < ane_bundle_input_count(opened.bundle); ++k)
      EXPECT_EQ(ane_bundle_input(opened.bundle, k, &port), ANE_OK);
    opened.open(folder.child("b"), on);
  }
  EXPECT_GT(refused, 150);
}
