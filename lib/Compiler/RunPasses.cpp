//===- RunPasses.cpp - what a pass throws names the pass ------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Compiler/Pipelines.h"
#include "ane-mlir/Support/Budget.h"
#include "ane-mlir/Support/Embedding.h"
#include "mlir/Pass/PassInstrumentation.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/ADT/StringExtras.h"
#include <new>
#include <stdexcept>

using namespace mlir;
using namespace mlir::ane;

namespace {
/// Writes down which pass begins, and tells.
class PassPlace : public PassInstrumentation {
public:
  PassPlace(std::string &name, size_t total, PassListener listener)
      : name(name), total(total), listener(std::move(listener)) {}
  void runBeforePass(Pass *pass, Operation *) override {
    if (isCancelled())
      throw EvaluationError{"interrupted"};
    if (pass->getArgument().empty())
      return;
    name = pass->getArgument().str();
    if (listener)
      listener(done, std::max(total, done + 1), name);
    ++done;
  }

private:
  std::string &name;
  size_t done = 0, total;
  PassListener listener;
};
} // namespace

/// Passes of a pipeline, those in nested ones too: names in its text that are
/// followed by no parenthesis.
static size_t countPasses(OpPassManager &pm) {
  std::string text;
  llvm::raw_string_ostream os(text);
  pm.printAsTextualPipeline(os);
  size_t count = 0;
  unsigned braces = 0;
  bool inName = false;
  for (char c : text) {
    braces += c == '{';
    braces -= c == '}' && braces;
    bool part = !braces && (llvm::isAlnum(c) || c == '-' || c == '.');
    if (inName && !part && c != '(')
      ++count;
    inName = part;
  }
  return count + inName;
}

LogicalResult mlir::ane::runPasses(PassManager &pm, ModuleOp module,
                                   PassListener listener) {
  std::string pass = "optimising";
  Location place = module.getLoc();
  size_t total = listener ? countPasses(pm) : 0;
  pm.addInstrumentation(
      std::make_unique<PassPlace>(pass, total, std::move(listener)));
  try {
    return pm.run(module);
  } catch (const EvaluationError &error) {
    return error.message.empty()
               ? failure()
               : emitError(place) << pass << ": " << error.message;
  } catch (const std::bad_alloc &) {
    return emitError(place) << pass << " does not fit this machine's memory";
  } catch (const std::length_error &) {
    return emitError(place) << pass << " does not fit this machine's memory";
  }
}
