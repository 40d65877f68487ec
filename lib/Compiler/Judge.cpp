//===- Judge.cpp - what a check means for who asked -----------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Compiler/Compiler.h"
#include "llvm/Support/Format.h"
#include <cmath>

using namespace mlir;
using namespace mlir::ane;

static bool missesBar(const OutputAccuracy &o, const CompileOptions &options) {
  double error = options.maxError.value_or(0),
         cosine = options.minCosine.value_or(0);
  return (error > 0 && (o.error > error || o.nonFinite || o.differing > 0)) ||
         (cosine > 0 && o.closeness() < cosine);
}

/// Where accuracy is lost first.
static void describeLoss(const AccuracyReport &found, llvm::raw_ostream &os) {
  if (found.losses.empty())
    return;
  const Loss &loss = found.losses.front();
  os << "; the first to lose accuracy is '" << loss.op << "' at "
     << nameOf(loss.where);
  if (std::isinf(loss.error))
    os << ", whose result fp16 cannot hold";
  else
    os << llvm::format(", whose result is off by %.2g %%", 100 * loss.error);
}

LogicalResult mlir::ane::judge(const AccuracyReport &found,
                               const CompileOptions &options,
                               std::vector<Verdict> &verdicts) {
  // What an excerpt shows says too little of the outputs to pass a bar.
  bool asked =
      options.maxError.value_or(0) > 0 || options.minCosine.value_or(0) > 0;
  if (found.numerics.empty() || (found.ofOps && asked)) {
    if (!asked)
      return success();
    verdicts.push_back(
        {true, "",
         "the accuracy that --max-error and --min-cosine ask for could not be "
         "measured: " +
             (found.ofOps ? "only its first operations were run; --check=full "
                            "runs all of it"
                          : found.whyNot),
         ""});
    return failure();
  }
  bool fails = false;
  for (const OutputAccuracy &o : found.accuracy.outputs) {
    bool misses = missesBar(o, options);
    fails |= misses;
    // Guessed inputs are kinder than real ones.
    bool near = found.guessed && (o.error > 0.01 || o.cosine < 0.9995);
    bool fine = o.unknown < 1 &&
                (found.ofTraining ? o.isGood() : o.isWithinBar() && !near);
    if (fine && !misses)
      continue;
    Verdict verdict;
    verdict.isError = misses;
    if (!found.losses.empty())
      if (auto name = dyn_cast<NameLoc>(found.losses.front().where))
        verdict.node = name.getName().str();
    if (found.ofTraining)
      verdict.remedy =
          o.nonFinite ? "a smaller --loss-scale, or dynamic, keeps gradients "
                        "within fp16"
                      : "a larger --loss-scale, or dynamic, keeps gradients "
                        "from vanishing in fp16; --precision=fp32 computes "
                        "all of it on the host";
    else if (found.guessed)
      verdict.remedy = "--calibration=DIR gives real inputs";
    llvm::raw_string_ostream os(verdict.message);
    os << (found.ofOps ? "value '" : "output '") << printable(o.name) << "' "
       << o.describe();
    describeLoss(found, os);
    os << " (in " << found.numerics << " numerics, on "
       << (found.ofTraining
               ? "guessed inputs and the first weights; " + verdict.remedy
           : found.guessed ? "guessed inputs; --calibration=DIR gives real ones"
                           : "the samples given")
       << ")";
    verdicts.push_back(std::move(verdict));
  }
  return success(!fails);
}

LogicalResult mlir::ane::judge(const AccuracyReport &found,
                               const CompileOptions &options) {
  std::vector<Verdict> verdicts;
  LogicalResult result = judge(found, options, verdicts);
  for (const Verdict &verdict : verdicts)
    llvm::errs() << "onnx-to-ane: " << (verdict.isError ? "error" : "warning")
                 << ": " << verdict.message << '\n';
  return result;
}
