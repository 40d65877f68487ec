//===- Place.cpp - engine or host -----------------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Analysis/Partition.h"
#include "ane-mlir/Analysis/Placement.h"
#include "ane-mlir/Transforms/Passes.h"
#include "dialects/ANE/IR/Cast.h"
#include "dialects/ANE/IR/Explain.h"
#include "dialects/ANE/IR/Rearrange.h"
#include "dialects/ANE/IR/Shape.h"
#include "dialects/ANE/IR/WeightTrees.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace mlir::ane;

namespace mlir::ane {
#define GEN_PASS_DEF_PLACEPASS
#include "ane-mlir/Transforms/Passes.h.inc"
} // namespace mlir::ane

namespace {
struct Place : ane::impl::PlacePassBase<Place> {
  using PlacePassBase::PlacePassBase;

  static void toHost(Operation *op, StringRef rule, StringRef reason) {
    Builder b(op->getContext());
    op->setAttr(marks::kPlacement, b.getStringAttr("host"));
    op->setAttr(marks::kRule, b.getStringAttr(rule));
    op->setAttr(marks::kReason, b.getStringAttr(reason));
  }

  /// A program of nothing but data movement is not worth a dispatch where the
  /// host has work anyway. It is legal: the compiler wants arithmetic (L13),
  /// and each output of a program is made by some (ane-plan-io).
  void keepFromMovingOnly(Block &block,
                          const llvm::DenseSet<Operation *> &trees) {
    if (getRuleSwitch(block.getParentOp(), "L13") == false ||
        llvm::all_of(block.without_terminator(), [&](Operation &op) {
          return trees.contains(&op) || isOnEngine(&op);
        }))
      return;
    for (bool changed = true; changed;) {
      changed = false;
      auto stages = assignStages(block, trees);
      llvm::DenseMap<unsigned, bool> computes;
      for (auto &[op, stage] : stages)
        computes[stage] |= stage % 2 == 0 && !isRepacking(op);
      for (Operation &op : block.without_terminator())
        if (auto it = stages.find(&op); it != stages.end() &&
                                        it->second % 2 == 0 &&
                                        !computes.lookup(it->second)) {
          toHost(&op, "L13", "its program would only move data");
          changed = true;
        }
    }
  }

  static Partition::EngineOps findLegal(Block &block) {
    Partition::EngineOps legal;
    for (Operation &op : block.without_terminator())
      if (isOnEngine(&op))
        legal.insert(&op);
    return legal;
  }

  /// Leaves on the engine what pays there.
  static void placeByCost(const Partition &partition,
                          const Partition::EngineOps &cheapest) {
    for (Operation *op : partition.getLegal())
      if (!cheapest.contains(op))
        toHost(op, "cost",
               "the host is predicted to be faster, with dispatches and "
               "transfers counted");
  }

  /// For the report: this placement, the host alone, the cheapest split, and
  /// where the engine begins to pay.
  static void predictAlternatives(const Partition &partition, Block &block,
                                  const Partition::EngineOps &cheapest) {
    Operation *function = block.getParentOp();
    Builder b(function->getContext());
    auto entry = [&](StringRef name, double value) {
      return b.getNamedAttr(name, b.getF64FloatAttr(value));
    };
    function->setAttr(
        marks::kPredicted,
        b.getDictionaryAttr(
            {entry("placed_us", partition.evaluate(findLegal(block))),
             entry("host_us", partition.evaluate({})),
             entry("cheapest_us", partition.evaluate(cheapest)),
             entry("crossover", partition.findCrossover())}));
  }

  void runOnOperation() override {
    const Target &target = getTarget(getOperation());
    WeightTrees weights; // costs and limits ask
    SmallVector<Operation *> misplaced, unwilling;
    for (func::FuncOp function : findFunctions(getOperation())) {
      Block &block = function.getBody().front();
      llvm::DenseSet<Operation *> trees = findWeightTrees(block);
      // What an output is made of directly must be an op of some program.
      for (Operation &op : block.without_terminator()) {
        if (trees.contains(&op))
          continue;
        ViolationList violations;
        if (mode == PlacementMode::Host) {
          toHost(&op, "", "placement is host");
          continue;
        }
        auto legality = dyn_cast<LegalityOpInterface>(op);
        // What the user asked for, by node.
        auto wanted = op.getAttrOfType<StringAttr>(marks::kWanted);
        auto precise = op.getAttrOfType<StringAttr>(marks::kFp32);
        if (wanted && wanted.getValue() == "ane")
          precise = {};
        if (wanted && wanted.getValue() == "host") {
          toHost(&op, "", "the placement file says host");
        } else if (!legality) {
          toHost(&op, "L05", "is no tensor operation");
        } else {
          findEnabledViolations(legality, target, violations);
          if (!violations.empty())
            toHost(&op, violations[0].rule, violations[0].reason);
          else if (precise)
            toHost(&op, "L07",
                   ("computed in fp32: " + precise.getValue()).str());
          else
            op.setAttr(marks::kPlacement,
                       StringAttr::get(&getContext(), "ane"));
        }
        if (wanted && wanted.getValue() == "ane" && !isOnEngine(&op))
          unwilling.push_back(&op);
      }
      Partition partition(block, trees, getClock(function), findLegal(block));
      Partition::EngineOps cheapest;
      if (mode != PlacementMode::Host)
        cheapest = partition.findCheapest();
      if (mode == PlacementMode::Cost)
        placeByCost(partition, cheapest);
      if (mode != PlacementMode::ANE)
        keepFromMovingOnly(block, trees);
      if (mode != PlacementMode::Host)
        predictAlternatives(partition, block, cheapest);
      for (Operation &op : block.without_terminator())
        if (!trees.contains(&op) && !isOnEngine(&op))
          misplaced.push_back(&op);
    }
    if (mode == PlacementMode::ANE)
      unwilling = misplaced;
    if (!unwilling.empty()) {
      llvm::StringSet<> helped; // a rule's remedy is told once
      for (Operation *op : unwilling) {
        StringRef rule = op->getAttrOfType<StringAttr>(marks::kRule).getValue();
        StringRef remedy = remedyOf(rule);
        InFlightDiagnostic diagnostic = op->emitError();
        diagnostic << "'" << op->getName() << "' op is not legal on "
                   << target.name << ": "
                   << op->getAttrOfType<StringAttr>(marks::kReason).getValue()
                   << " (" << rule << ")";
        if (!remedy.empty() && helped.insert(rule).second)
          diagnostic << "; what to do: " << remedy;
      }
      return signalPassFailure();
    }
  }
};
} // namespace
