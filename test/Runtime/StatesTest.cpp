//===- StatesTest.cpp - functions of a bundle and what they keep ----------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "Bundles.h"

/// Two functions over one state `h` [1, 4, 1, width]: "add" gives y = x + h and
/// h + x + 1, "more" the same plus 10, with surfaces as wide as `multiple`
/// says.
static TestBundle makeTwo(int64_t multiple = 32) {
  TestBundle bundle;
  for (int i = 0; i < 2; ++i)
    for (const char *name : {"x", "h", "y", "next"})
      bundle.tensors.push_back({name, "fp16", 4, 20, 1, i ? multiple : 32});
  bundle.programs = {
      {"ane", {{"a000", 0}, {"a001", 1}}, {{"z000", 2}, {"z001", 3}}, 0},
      {"ane", {{"a000", 4}, {"a001", 5}}, {{"z000", 6}, {"z001", 7}}, 10}};
  for (unsigned i = 0; i < 2; ++i)
    bundle.functions.push_back({i ? "more" : "add",
                                i ? 1 : 16,
                                {i},
                                {{4 * i, "fp32"}, {4 * i + 1, "fp32"}},
                                {{4 * i + 2, "fp32"}, {4 * i + 3, "fp32"}},
                                {{1, 1, -1}}});
  return bundle;
}

/// Rows along the height: the state `h` [1, 4, 6, 20] gets `rows` of x + 1 in
/// each call; y is h + 2.
static TestBundle makeRows(std::vector<int64_t> functions) {
  TestBundle bundle;
  for (size_t f = 0; f < functions.size(); ++f) {
    unsigned t = unsigned(4 * f);
    bundle.tensors.push_back({"x", "fp16", 4, 20, functions[f]});
    bundle.tensors.push_back({"h", "fp16", 4, 20, 6});
    bundle.tensors.push_back({"y", "fp16", 4, 20, 6});
    bundle.tensors.push_back({"rows", "fp16", 4, 20, functions[f]});
    bundle.programs.push_back({"ane", {{"a000", t}}, {{"z000", t + 3}}, 1});
    bundle.programs.push_back({"ane", {{"a000", t + 1}}, {{"z000", t + 2}}, 2});
    bundle.functions.push_back({"rows" + std::to_string(functions[f]),
                                functions[f],
                                {unsigned(2 * f), unsigned(2 * f + 1)},
                                {{t, "fp32"}, {t + 1, "fp32"}},
                                {{t + 2, "fp32"}, {t + 3, "fp32"}},
                                {{1, 1, 2}}});
  }
  return bundle;
}

TEST(States, FunctionsAreFoundByNameAndLength) {
  Folder folder;
  makeTwo().write(folder.child("b"));
  Opened opened;
  ASSERT_TRUE(
      opened.note(ane_bundle_open(folder.child("b").c_str(), &opened.bundle)))
      << opened.message;
  ASSERT_EQ(ane_bundle_function_count(opened.bundle), 2u);
  ane_function function = {};
  function.size = sizeof function;
  ASSERT_EQ(ane_bundle_get_function(opened.bundle, 1, &function), ANE_OK);
  EXPECT_STREQ(function.name, "more");
  ASSERT_EQ(function.dim_count, 1u);
  EXPECT_STREQ(function.dim_names[0], "length");
  EXPECT_EQ(function.dim_values[0], 1);
  EXPECT_EQ(function.state_count, 1u);
  ane_state state = {};
  state.size = sizeof state;
  ASSERT_EQ(ane_bundle_function_state(opened.bundle, 1, 0, &state), ANE_OK);
  EXPECT_EQ(state.axis, -1);
  size_t index = 9;
  EXPECT_EQ(ane_bundle_find_function(opened.bundle, "more", &index), ANE_OK);
  EXPECT_EQ(index, 1u);
  EXPECT_EQ(ane_bundle_find_function(opened.bundle, "less", &index),
            ANE_INVALID_ARGUMENT);
  EXPECT_NE(std::string(ane_last_error()).find("add, more"), std::string::npos);
  for (auto [length, expected] :
       {std::pair<int64_t, size_t>{1, 1}, {2, 0}, {16, 0}}) {
    EXPECT_EQ(ane_bundle_find_bucket(opened.bundle, nullptr, length, &index),
              ANE_OK);
    EXPECT_EQ(index, expected) << length;
  }
  EXPECT_EQ(ane_bundle_find_bucket(opened.bundle, "length", 17, &index),
            ANE_INVALID_ARGUMENT);
  EXPECT_NE(std::string(ane_last_error()).find("the longest takes 16"),
            std::string::npos);
  EXPECT_EQ(ane_bundle_find_bucket(opened.bundle, "depth", 1, &index),
            ANE_INVALID_ARGUMENT);
}

TEST(States, APlanNamesTheNextFunction) {
  Folder folder;
  TestBundle bundle = makeTwo();
  bundle.plan = {{1, 1}, {20, 0}};
  bundle.write(folder.child("b"));
  Opened opened;
  ASSERT_TRUE(
      opened.note(ane_bundle_open(folder.child("b").c_str(), &opened.bundle)))
      << opened.message;
  size_t index = 9;
  for (auto [left, expected] :
       {std::pair<int64_t, size_t>{1, 1}, {19, 1}, {20, 0}, {1 << 30, 0}}) {
    EXPECT_EQ(ane_bundle_find_planned(opened.bundle, left, &index), ANE_OK);
    EXPECT_EQ(index, expected) << left;
  }
  EXPECT_EQ(ane_bundle_find_planned(opened.bundle, 0, &index),
            ANE_INVALID_ARGUMENT);
  ASSERT_EQ(ane_bundle_plan_step_count(opened.bundle), 2u);
  int64_t from = 0;
  EXPECT_EQ(ane_bundle_get_plan_step(opened.bundle, 1, &from, &index), ANE_OK);
  EXPECT_EQ(from, 20);
  EXPECT_EQ(index, 0u);
  EXPECT_EQ(ane_bundle_get_plan_step(opened.bundle, 2, &from, &index),
            ANE_INVALID_ARGUMENT);
}

TEST(States, APlanThatIsNoneIsRefused) {
  using Plan = std::vector<std::pair<int64_t, uint32_t>>;
  for (const Plan &plan : {Plan{{2, 1}}, Plan{{1, 7}}, Plan{{1, 1}, {1, 0}},
                           Plan{{1, 1}, {0, 0}}}) {
    Folder folder;
    TestBundle bundle = makeTwo();
    bundle.plan = plan;
    bundle.write(folder.child("b"));
    Opened opened;
    EXPECT_EQ(ane_bundle_open(folder.child("b").c_str(), &opened.bundle),
              ANE_BAD_BUNDLE);
    EXPECT_NE(std::string(ane_last_error()).find("plan"), std::string::npos);
  }
  // Without one, nothing is planned.
  Folder folder;
  makeTwo().write(folder.child("b"));
  Opened opened;
  ASSERT_TRUE(
      opened.note(ane_bundle_open(folder.child("b").c_str(), &opened.bundle)));
  size_t index = 0;
  EXPECT_EQ(ane_bundle_plan_step_count(opened.bundle), 0u);
  EXPECT_EQ(ane_bundle_find_planned(opened.bundle, 3, &index),
            ANE_INVALID_ARGUMENT);
}

namespace {
/// A session with x and y bound in each of its functions.
struct Running : Opened {
  std::vector<float> x, y;
  bool start(const std::string &path, const Folder &folder, size_t in,
             size_t out, const char *function = nullptr) {
    ane_session_options with = {};
    with.size = sizeof with;
    with.function = function;
    x.resize(in);
    y.resize(out);
    return open(path, onStandIn(folder), &with);
  }
  /// One run of a function on an x of equal values; true where it went well.
  bool run(size_t function, float value) {
    if (!note(ane_session_select(session, function)))
      return false;
    ane_port port;
    note(ane_bundle_function_input(bundle, function, 0, &port));
    x.assign(x.size(), value);
    return note(ane_session_bind_input(session, 0, x.data(), port.bytes)) &&
           note(ane_session_bind_output(session, 0, y.data(), y.size() * 4)) &&
           note(ane_session_run(session));
  }
};
} // namespace

TEST(States, FunctionsShareThemWithoutCopies) {
  Folder folder;
  StandIn::configure("");
  makeTwo().write(folder.child("b"));
  Running running;
  ASSERT_TRUE(running.start(folder.child("b"), folder, 80, 80))
      << running.message;
  EXPECT_EQ(StandIn::counts().live_programs, 1u); // the other is not selected
  float state = 0;
  for (size_t function : {0, 0, 1, 0, 1, 1, 1, 0}) {
    ASSERT_TRUE(running.run(function, 2)) << running.message;
    EXPECT_EQ(running.y[7], 2 + state + (function ? 10 : 0));
    state += 3 + (function ? 10 : 0);
    ane_surface next, input;
    ASSERT_EQ(ane_session_output_surface(running.session, 1, &next), ANE_OK);
    ASSERT_EQ(ane_session_input_surface(running.session, 1, &input), ANE_OK);
    EXPECT_EQ(next.data, input.data);
  }
  // x and y of each, and two surfaces for the state of both.
  EXPECT_EQ(StandIn::counts().live_surfaces, 6u);
  EXPECT_EQ(StandIn::counts().live_programs, 2u);
  // What is bound begins anew, once.
  std::vector<float> first(80, 100);
  ASSERT_EQ(ane_session_bind_input(running.session, 1, first.data(), 320),
            ANE_OK);
  ASSERT_TRUE(running.run(0, 2));
  EXPECT_EQ(running.y[0], 102);
  ASSERT_TRUE(running.run(1, 2));
  EXPECT_EQ(running.y[0], 115);
  ASSERT_EQ(ane_session_reset_states(running.session), ANE_OK);
  ASSERT_TRUE(running.run(1, 2));
  EXPECT_EQ(running.y[0], 12);
}

TEST(States, FunctionsOfOtherLayouts) {
  Folder folder;
  StandIn::configure("");
  makeTwo(64).write(folder.child("b"));
  Running running;
  ASSERT_TRUE(running.start(folder.child("b"), folder, 80, 80));
  float state = 0;
  for (size_t function : {0, 1, 1, 0, 0, 1, 0}) {
    ASSERT_TRUE(running.run(function, 2)) << running.message;
    EXPECT_EQ(running.y[79], 2 + state + (function ? 10 : 0));
    state += 3 + (function ? 10 : 0);
  }
}

TEST(States, FailedRunsLeaveThemAlone) {
  Folder folder;
  StandIn::configure("");
  makeTwo().write(folder.child("b"));
  Running running;
  ASSERT_TRUE(running.start(folder.child("b"), folder, 80, 80, "more"));
  EXPECT_EQ(ane_session_selected(running.session), 1u);
  ASSERT_TRUE(running.run(1, 2));
  for (size_t function : {1, 0}) {
    ASSERT_TRUE(running.run(function, 0));
    float now = running.y[0];
    StandIn::configure("fail=evaluate:1");
    EXPECT_FALSE(running.run(function, 5));
    EXPECT_EQ(running.status, ANE_RUN_FAILED);
    ASSERT_TRUE(running.run(function, 0));
    EXPECT_EQ(running.y[0], now + 1 + (function ? 10 : 0));
  }
}

TEST(States, RowsAreWrittenInPlace) {
  Folder folder;
  StandIn::configure("");
  makeRows({4, 1}).write(folder.child("b"));
  Running running;
  ASSERT_TRUE(running.start(folder.child("b"), folder, 4 * 4 * 20, 4 * 6 * 20))
      << running.message;
  std::vector<float> expected(6, 0);
  auto check = [&] {
    for (size_t c = 0; c < 4; ++c)
      for (size_t row = 0; row < 6; ++row)
        for (size_t w : {0, 19})
          ASSERT_EQ(running.y[(c * 6 + row) * 20 + w], expected[row] + 2)
              << c << ' ' << row << ' ' << w;
  };
  ASSERT_TRUE(running.run(0, 5));
  check(); // of before the call
  ane_surface before, after;
  ASSERT_EQ(ane_session_input_surface(running.session, 1, &before), ANE_OK);
  std::fill_n(expected.begin(), 4, 6);
  ASSERT_TRUE(running.run(1, 8));
  check();
  expected[4] = 9;
  ASSERT_EQ(ane_session_input_surface(running.session, 1, &after), ANE_OK);
  EXPECT_EQ(before.data, after.data);
  ASSERT_TRUE(running.run(1, 10));
  check();
  expected[5] = 11;
  int64_t position = 0;
  ASSERT_EQ(ane_session_state_position(running.session, 1, &position), ANE_OK);
  EXPECT_EQ(position, 6);
  // Full: nothing runs, nothing changes.
  EXPECT_FALSE(running.run(1, 10));
  EXPECT_EQ(running.message,
            "state 'h' holds 6 rows of at most 6; 1 more do not fit");
  EXPECT_FALSE(running.run(0, 10));
  ASSERT_EQ(ane_session_reset_states(running.session), ANE_OK);
  expected.assign(6, 0);
  ASSERT_TRUE(running.run(1, 1));
  check();
}

TEST(States, RowsAlongEveryAxis) {
  // [1, C, H, W] with rows along C, H and W, whose own program adds 1.
  for (int axis : {1, 2, 3}) {
    Folder folder;
    StandIn::configure("");
    int64_t full[3] = {6, 6, 20}, part[3] = {6, 6, 20};
    full[axis - 1] = 7;
    part[axis - 1] = 3;
    TestBundle bundle;
    bundle.tensors = {{"x", "fp16", part[0], part[2], part[1]},
                      {"h", "fp16", full[0], full[2], full[1]},
                      {"y", "fp16", full[0], full[2], full[1]},
                      {"rows", "fp16", part[0], part[2], part[1]}};
    bundle.programs = {{"ane", {{"a000", 0}}, {{"z000", 3}}, 1},
                       {"ane", {{"a000", 1}}, {{"z000", 2}}, 0}};
    bundle.functions = {{"main",
                         1,
                         {0, 1},
                         {{0, "fp32"}, {1, "fp32"}},
                         {{2, "fp32"}, {3, "fp32"}},
                         {{1, 1, axis}}}};
    bundle.write(folder.child("b"));
    Running running;
    ASSERT_TRUE(running.start(folder.child("b"), folder,
                              size_t(part[0] * part[1] * part[2]),
                              size_t(full[0] * full[1] * full[2])))
        << running.message;
    ASSERT_TRUE(running.run(0, 1) && running.run(0, 4)) << running.message;
    EXPECT_FALSE(running.run(0, 9)); // 7 rows are no 9
    // The surface holds all that was written.
    ane_surface state;
    ASSERT_EQ(ane_session_input_surface(running.session, 1, &state), ANE_OK);
    for (int64_t c = 0; c < full[0]; ++c)
      for (int64_t h = 0; h < full[1]; ++h)
        for (int64_t w = 0; w < full[2]; ++w) {
          int64_t at[3] = {c, h, w}, row = at[axis - 1];
          const char *place = static_cast<const char *>(state.data) +
                              c * state.strides[1] + h * state.strides[2] +
                              w * state.strides[3];
          uint16_t bits;
          memcpy(&bits, place, 2);
          ASSERT_EQ(ane::runtime::halfToFloat(bits), row < 3   ? 2
                                                     : row < 6 ? 5
                                                               : 0)
              << axis << ": " << c << ' ' << h << ' ' << w;
        }
  }
}

TEST(States, OutputsThatAreOtherStates) {
  // A shift register: b is the next a, x + 1 the next b; a passes through to c.
  Folder folder;
  StandIn::configure("");
  TestBundle bundle;
  for (const char *name : {"x", "a", "b", "c", "y", "next"})
    bundle.tensors.push_back({name, "fp16", 4, 20});
  bundle.programs = {{"ane",
                      {{"a000", 0}, {"a001", 1}, {"a002", 2}, {"a003", 3}},
                      {{"z000", 4}},
                      0},
                     {"ane", {{"a000", 0}}, {{"z000", 5}}, 1}};
  bundle.functions = {{"main",
                       1,
                       {0, 1},
                       {{0, "fp32"}, {1, "fp32"}, {2, "fp32"}, {3, "fp32"}},
                       {{4, "fp32"}, {2, "fp32"}, {5, "fp32"}, {1, "fp32"}},
                       {{3, 3, -1}, {1, 1, -1}, {2, 2, -1}}}};
  bundle.write(folder.child("b"));
  Running running;
  ASSERT_TRUE(running.start(folder.child("b"), folder, 80, 80))
      << running.message;
  float a = 0, b = 0, c = 0;
  for (float x : {1, 20, 300, 40, 5, 6}) {
    ASSERT_TRUE(running.run(0, x)) << running.message;
    EXPECT_EQ(running.y[3], x + a + b + c) << x;
    c = a;
    a = b;
    b = x + 1;
  }
}

TEST(States, WhatDoesNotBelongTogetherIsRefused) {
  Folder folder;
  StandIn::configure("");
  for (int i = 0; i < 5; ++i) {
    TestBundle bundle = i < 4 ? makeTwo() : makeRows({4});
    TestFunction::State &state = bundle.functions[0].states[0];
    if (i == 0)
      state.output = 5;
    if (i == 1)
      state.axis = 4;
    if (i == 2)
      bundle.functions[0].states.push_back({1, 0, -1});
    if (i == 3)
      bundle.tensors[3].width = 21;
    if (i == 4)
      state.axis = -1;
    bundle.write(folder.child("b"));
    ane_bundle *opened = nullptr;
    EXPECT_EQ(ane_bundle_open(folder.child("b").c_str(), &opened),
              ANE_BAD_BUNDLE)
        << i;
    ane_bundle_close(opened);
  }
  makeTwo().write(folder.child("b"));
  ane_session_options with = {sizeof with, nullptr, 2, nullptr};
  Opened opened;
  EXPECT_FALSE(opened.open(folder.child("b"), onStandIn(folder), &with));
  EXPECT_EQ(opened.status, ANE_INVALID_ARGUMENT);
  EXPECT_NE(opened.message.find("in_flight = 1"), std::string::npos);
}
