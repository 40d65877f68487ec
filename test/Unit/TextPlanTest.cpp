//===- TextPlanTest.cpp - which function takes the next part of a text ----===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Support/TextPlan.h"
#include "gtest/gtest.h"
#include <random>

using namespace mlir::ane;

static std::string text(const TextPlan &plan) {
  std::string result;
  for (const PlanStep &step : plan)
    result +=
        std::to_string(step.from) + ":" + std::to_string(step.function) + " ";
  return result;
}

TEST(TextPlan, TakesTheLongestWhereCallsCost) {
  EXPECT_EQ(text(planText({{64, 100}, {16, 95}, {1, 90}})), "1:2 16:1 64:0 ");
  EXPECT_EQ(text(planText({{1, 90}})), "1:0 ");
}

TEST(TextPlan, LeavesOutWhatIsSlower) {
  // Four of 16 are faster than one of 64, and four of 1 than one of 4.
  EXPECT_EQ(text(planText({{64, 100}, {16, 20}, {4, 9}, {1, 2}})), "1:3 16:1 ");
}

TEST(TextPlan, WantsOneThatTakesOne) {
  EXPECT_TRUE(planText({{64, 100}, {16, 20}}).empty());
  EXPECT_TRUE(planText({{0, 1}, {1, 1}}).empty());
  EXPECT_TRUE(planText({}).empty());
}

TEST(TextPlan, IsNoSlowerThanAnyOther) {
  std::mt19937 random(0);
  for (int trial = 0; trial < 200; ++trial) {
    std::vector<TextFunction> functions{{1, 1.0 + random() % 50}};
    std::vector<int64_t> tokens{1};
    while (functions.size() < 4) {
      functions.push_back({int64_t(2 + random() % 20), 1.0 + random() % 100});
      tokens.push_back(functions.back().tokens);
    }
    TextPlan plan = planText(functions);
    ASSERT_TRUE(isTextPlan(plan, tokens)) << text(plan);
    std::vector<double> least(60, 0);
    for (int64_t length = 1; length < 60; ++length) {
      least[length] = INFINITY;
      for (const TextFunction &each : functions)
        if (each.tokens <= length)
          least[length] =
              std::min(least[length],
                       each.predictedMicros + least[length - each.tokens]);
    }
    for (int64_t length = 1; length < 4 * 20 && length < 60; ++length)
      if (length <= 4 * *std::max_element(tokens.begin(), tokens.end()))
        EXPECT_NEAR(predictText(plan, functions, length), least[length], 1e-6);
  }
}

TEST(TextPlan, IsRead) {
  std::vector<int64_t> tokens{64, 16, 1};
  auto read = [&](llvm::StringRef given) -> std::string {
    auto plan = parseTextPlan(given, tokens);
    return plan ? text(*plan) : llvm::toString(plan.takeError());
  };
  EXPECT_EQ(read("1:1,64:64"), "1:2 64:0 ");
  for (auto [given, said] : {std::pair("", "two numbers"),
                             {"1", "two numbers"},
                             {"1:x", "two numbers"},
                             {"1:7", "functions take at once (64, 16, 1)"},
                             {"2:1", "the first FROM 1"},
                             {"1:1,5:16", "no TOKENS above its FROM"},
                             {"1:1,64:64,16:16", "ascending"}})
    EXPECT_NE(read(given).find(said), std::string::npos) << read(given);
}
