//===- TextPlan.h - which function takes the next part of a text ----------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// Functions that share states take so many tokens at once: a prompt goes
// through the ones that are predicted to be quickest, on the engine or on the
// host, and what comes behind it through the one that takes one.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_SUPPORT_TEXTPLAN_H
#define ANEMLIR_SUPPORT_TEXTPLAN_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <vector>

namespace mlir::ane {

/// While at least `from` tokens are left, and fewer than the next step's.
struct PlanStep {
  int64_t from;
  size_t function;
};
/// Ascending, the first from 1 on; empty where there is none.
using TextPlan = std::vector<PlanStep>;

struct TextFunction {
  /// Those that it takes at once, no more and no fewer.
  int64_t tokens;
  double predictedMicros;
};

/// The quickest way through a text of any length; of equal ones the fewest
/// calls. Empty where no function takes one token.
TextPlan planText(llvm::ArrayRef<TextFunction> functions);
/// The function that takes the next of `left` tokens (1 at least).
size_t chooseFunction(const TextPlan &plan, int64_t left);
/// Predicted time of `tokens` tokens.
double predictText(const TextPlan &plan, llvm::ArrayRef<TextFunction> functions,
                   int64_t tokens);
/// "1:1,64:16": from so many tokens left on, the function that takes so many.
llvm::Expected<TextPlan> parseTextPlan(llvm::StringRef text,
                                       llvm::ArrayRef<int64_t> tokens);
/// Whether it is one of functions that take so many tokens: no step asks for
/// more than are left.
bool isTextPlan(const TextPlan &plan, llvm::ArrayRef<int64_t> tokens);

} // namespace mlir::ane

#endif // ANEMLIR_SUPPORT_TEXTPLAN_H
