//===- Partition.cpp - what a placement costs -----------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// The cost of a dispatch belongs to a program, not to an op or an edge, so it
// is no cut's business: a few cuts that charge parts of it to the edges into
// the engine propose placements, and the cost model judges them whole.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Analysis/Partition.h"
#include "ane-mlir/Analysis/MinCut.h"
#include <array>
#include <cmath>
#include <map>

using namespace mlir;
using namespace mlir::ane;

static double surfaceBytes(Value v) {
  auto type = dyn_cast<RankedTensorType>(v.getType());
  return type && type.hasStaticShape() ? 2.0 * type.getNumElements() : 0;
}

/// What predictions depend on; kinds and flags first.
static std::array<double, 13> keyOf(const OpWork &work) {
  return {double(work.kind),
          double(work.cost.kind),
          work.cost.flops,
          work.cost.weightBytes,
          work.cost.activationBytes,
          work.cost.channels,
          work.cost.positions,
          work.elements,
          work.speedup,
          double(work.winograd),
          double(work.depthwise),
          double(work.scores),
          work.hostWidth};
}

Partition::Partition(Block &block, const llvm::DenseSet<Operation *> &trees,
                     const Clock &clock, EngineOps mayRunOnEngine)
    : block(block), trees(trees), clock(clock),
      legal(std::move(mayRunOnEngine)) {
  // Layers repeat: few works are distinct.
  std::map<std::array<double, 13>, unsigned> known;
  for (Operation &op : block.without_terminator()) {
    if (trees.contains(&op))
      continue;
    OpWork work = findWork(&op, clock.target);
    // On the host it will be fp32 (ane-widen-host).
    if (llvm::any_of(op.getResultTypes(), [](Type type) {
          return getElementTypeOrSelf(type).isF16();
        }))
      work.hostWidth = 2;
    auto [it, isNew] = known.try_emplace(keyOf(work), works.size());
    if (isNew)
      works.push_back(work);
    ops.push_back({&op, it->second});
  }
}

namespace mlir::ane {
/// A placement without its ops: what is added up for any number of positions,
/// in the order of the block.
struct PartitionPlan {
  struct Program {
    std::vector<unsigned> works;
    /// Of surfaces.
    std::vector<double> bytes;
  };
  /// By stage.
  std::map<unsigned, Program> programs;
  std::vector<unsigned> host;
};
} // namespace mlir::ane

PartitionPlan Partition::plan(const EngineOps &engine) const {
  auto stages = assignStages(
      block, trees, [&](Operation *op) { return engine.contains(op); });
  PartitionPlan plan;
  for (auto &[op, work] : ops) {
    unsigned stage = stages.lookup(op);
    if (stage % 2) {
      plan.host.push_back(work);
      continue;
    }
    PartitionPlan::Program &program = plan.programs[stage];
    program.works.push_back(work);
    llvm::SmallPtrSet<Value, 4> counted;
    for (Value operand : op->getOperands()) {
      Operation *producer = operand.getDefiningOp();
      if ((!producer ||
           (!trees.contains(producer) && stages.lookup(producer) != stage)) &&
          counted.insert(operand).second)
        program.bytes.push_back(surfaceBytes(operand));
    }
    for (Value result : op->getResults())
      if (llvm::any_of(result.getUsers(), [&](Operation *user) {
            auto it = stages.find(user);
            return it == stages.end() || it->second != stage;
          }))
        program.bytes.push_back(surfaceBytes(result));
  }
  return plan;
}

double Partition::evaluate(const PartitionPlan &plan, double scale) const {
  std::vector<double> onHost, onEngine;
  for (const OpWork &work : works) {
    onHost.push_back(predictHostMicros(work, clock.target, scale));
    onEngine.push_back(predict(work, clock, scale).total());
  }
  double total = 0;
  for (unsigned work : plan.host)
    total += onHost[work];
  for (auto &[stage, program] : plan.programs) {
    double busy = 0, bytes = 0;
    for (unsigned work : program.works)
      busy += onEngine[work];
    for (double each : program.bytes)
      bytes += scale * each;
    total += clock.floor() + busy + clock.surfaces(bytes, busy);
  }
  return total;
}

double Partition::evaluate(const EngineOps &engine, double scale) const {
  return evaluate(plan(engine), scale);
}

Partition::EngineOps Partition::cut(double dispatchShare) const {
  MinCut graph; // label 1 is the engine
  llvm::DenseMap<Operation *, unsigned> nodes;
  std::vector<double> onHost, onEngine;
  for (const OpWork &work : works) {
    onHost.push_back(predictHostMicros(work, clock.target));
    onEngine.push_back(predict(work, clock).total());
  }
  for (auto &[op, work] : ops) {
    unsigned node = nodes[op] = graph.addNode();
    graph.addLabelCost(node, false, onHost[work]);
    graph.addLabelCost(
        node, true, legal.contains(op) ? onEngine[work] : MinCut::kForbidden);
  }
  double entry = dispatchShare * clock.floor();
  for (auto &[op, work] : ops)
    for (Value operand : op->getOperands()) {
      double move = clock.surfaces(surfaceBytes(operand), 0);
      Operation *producer = operand.getDefiningOp();
      if (!producer) {
        graph.addLabelCost(nodes[op], true, move + entry);
      } else if (auto it = nodes.find(producer); it != nodes.end()) {
        graph.addCost(nodes[op], it->second, move + entry);
        graph.addCost(it->second, nodes[op], move);
      }
    }
  std::vector<bool> labels = graph.solve();
  EngineOps engine;
  for (auto &[op, node] : nodes)
    if (labels[node])
      engine.insert(op);
  return engine;
}

Partition::EngineOps Partition::findCheapest() const {
  EngineOps best = legal;
  double least = evaluate(best);
  auto consider = [&](EngineOps engine) {
    if (double cost = evaluate(engine); cost < least) {
      least = cost;
      best = std::move(engine);
    }
  };
  consider({});
  for (double share : {0.0, 0.1, 0.5, 1.0})
    consider(cut(share));
  return best;
}

double Partition::findCrossover() const {
  PartitionPlan host = plan({}), engine = plan(legal);
  auto gain = [&](double exponent) {
    double scale = std::exp2(exponent);
    return evaluate(host, scale) - evaluate(engine, scale);
  };
  // The first of powers of two that gains; beyond it on-chip memory may end.
  double high = -12;
  while (high <= 12 && gain(high) <= 0)
    ++high;
  if (legal.empty() || high > 12)
    return INFINITY;
  if (high == -12)
    return 0;
  double low = high - 1;
  for (unsigned i = 0; i < 24; ++i) {
    double middle = (low + high) / 2;
    (gain(middle) > 0 ? high : low) = middle;
  }
  return std::exp2(high);
}
