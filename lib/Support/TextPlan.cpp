//===- TextPlan.cpp - which function takes the next part of a text --------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Support/TextPlan.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/Support/FormatVariadic.h"
#include <cmath>

using namespace mlir::ane;

/// Lengths that are looked at: what is quickest repeats beyond some times the
/// longest function, and a plan of more steps would be no plan.
static constexpr int64_t kMostTokens = 1 << 16, kLookahead = 4;
static constexpr size_t kMostSteps = 256;

TextPlan mlir::ane::planText(llvm::ArrayRef<TextFunction> functions) {
  int64_t longest = 0;
  for (const TextFunction &each : functions) {
    if (each.tokens < 1 || !std::isfinite(each.predictedMicros))
      return {};
    longest = std::max(longest, each.tokens);
  }
  int64_t most = std::min(kMostTokens, kLookahead * longest);
  // Of each length the least time, and with which function it begins.
  std::vector<double> least(most + 1, INFINITY);
  least[0] = 0;
  TextPlan plan;
  for (int64_t length = 1; length <= most; ++length) {
    size_t best = functions.size();
    for (auto [i, each] : llvm::enumerate(functions)) {
      if (each.tokens > length)
        continue;
      double time = each.predictedMicros + least[length - each.tokens],
             now = least[length];
      bool isFirst = best == functions.size(),
           same = !isFirst && std::fabs(time - now) <= 1e-9 * now;
      // Parts can be taken in any order: the largest first.
      if (isFirst || (same ? functions[best].tokens < each.tokens : time < now))
        best = i;
      least[length] = std::min(now, time);
    }
    if (best == functions.size())
      return {};
    if (plan.empty() || plan.back().function != best)
      plan.push_back({length, best});
    if (plan.size() > kMostSteps)
      return {};
  }
  return plan;
}

size_t mlir::ane::chooseFunction(const TextPlan &plan, int64_t left) {
  auto next = llvm::find_if(
      plan, [&](const PlanStep &step) { return step.from > left; });
  return std::prev(next)->function;
}

double mlir::ane::predictText(const TextPlan &plan,
                              llvm::ArrayRef<TextFunction> functions,
                              int64_t tokens) {
  double time = 0;
  while (tokens > 0) {
    const TextFunction &next = functions[chooseFunction(plan, tokens)];
    time += next.predictedMicros;
    tokens -= next.tokens;
  }
  return time;
}

bool mlir::ane::isTextPlan(const TextPlan &plan,
                           llvm::ArrayRef<int64_t> tokens) {
  int64_t before = 0;
  for (const PlanStep &step : plan) {
    if (step.from <= before || step.function >= tokens.size() ||
        tokens[step.function] < 1 || tokens[step.function] > step.from)
      return false;
    before = step.from;
  }
  return !plan.empty() && plan.front().from == 1;
}

llvm::Expected<TextPlan>
mlir::ane::parseTextPlan(llvm::StringRef text, llvm::ArrayRef<int64_t> tokens) {
  auto wrong = [&](const llvm::Twine &what) {
    return llvm::createStringError("expects FROM:TOKENS,… as in 1:1,64:16, " +
                                   what + ", but got '" + text + "'");
  };
  TextPlan plan;
  llvm::SmallVector<llvm::StringRef> steps;
  text.split(steps, ',');
  for (llvm::StringRef step : steps) {
    auto [from, count] = step.split(':');
    PlanStep read{};
    int64_t wanted = 0;
    if (from.getAsInteger(10, read.from) || count.getAsInteger(10, wanted))
      return wrong("two numbers for each step");
    read.function = llvm::find(tokens, wanted) - tokens.begin();
    if (read.function == tokens.size()) {
      std::string known;
      for (int64_t each : tokens)
        known += (known.empty() ? "" : ", ") + std::to_string(each);
      return wrong("TOKENS being one of what functions take at once (" + known +
                   ")");
    }
    plan.push_back(read);
  }
  if (!isTextPlan(plan, tokens))
    return wrong("ascending, the first FROM 1, and no TOKENS above its FROM");
  return plan;
}
