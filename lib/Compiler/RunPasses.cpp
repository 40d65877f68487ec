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
#include <new>
#include <stdexcept>

using namespace mlir;
using namespace mlir::ane;

namespace {
/// Writes down which pass begins.
class PassPlace : public PassInstrumentation {
public:
  explicit PassPlace(std::string &name) : name(name) {}
  void runBeforePass(Pass *pass, Operation *) override {
    if (isCancelled())
      throw EvaluationError{"interrupted"};
    if (!pass->getArgument().empty())
      name = pass->getArgument().str();
  }

private:
  std::string &name;
};
} // namespace

LogicalResult mlir::ane::runPasses(PassManager &pm, ModuleOp module) {
  std::string pass = "optimising";
  Location place = module.getLoc();
  pm.addInstrumentation(std::make_unique<PassPlace>(pass));
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
