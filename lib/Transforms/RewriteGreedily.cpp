//===- RewriteGreedily.cpp - patterns, with weight trees and a place ------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "RewriteGreedily.h"
#include "ane-mlir/Support/Budget.h"
#include "dialects/ANE/IR/WeightTrees.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include <new>
#include <stdexcept>

using namespace mlir;
using namespace mlir::ane;

namespace {
/// Where the last pattern was tried; the operation itself may be gone.
struct PatternPlace : RewriterBase::ForwardingListener {
  PatternPlace(OpBuilder::Listener *next, Location top)
      : ForwardingListener(next), place(top) {}
  void notifyPatternBegin(const Pattern &pattern, Operation *op) override {
    place = op->getLoc();
    ForwardingListener::notifyPatternBegin(pattern, op);
  }
  Location place;
};
} // namespace

LogicalResult mlir::ane::rewriteGreedily(Operation *top,
                                         RewritePatternSet &&patterns,
                                         OpBuilder::Listener *listener) {
  PatternPlace at(listener, top->getLoc());
  WeightTrees trees(&at);
  GreedyRewriteConfig config;
  config.setListener(&trees);
  // What is dead goes as soon as it is: walking all regions again for it, in
  // each round, took a tenth of compiling a large model.
  config.setRegionSimplificationLevel(GreedySimplifyRegionLevel::Disabled);
  try {
    return applyPatternsGreedily(top, std::move(patterns), config);
  } catch (const EvaluationError &error) {
    return error.message.empty() ? failure()
                                 : emitError(at.place) << error.message;
  } catch (const std::bad_alloc &) {
    return emitError(at.place) << "does not fit this machine's memory";
  } catch (const std::length_error &) {
    return emitError(at.place) << "does not fit this machine's memory";
  }
}
