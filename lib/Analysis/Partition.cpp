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
#include <cmath>
#include <map>

using namespace mlir;
using namespace mlir::ane;

static double surfaceBytes(Value v) {
  auto type = dyn_cast<RankedTensorType>(v.getType());
  return type && type.hasStaticShape() ? 2.0 * type.getNumElements() : 0;
}

Partition::Partition(Block &block, const llvm::DenseSet<Operation *> &trees,
                     const Clock &clock, EngineOps mayRunOnEngine)
    : block(block), trees(trees), clock(clock),
      legal(std::move(mayRunOnEngine)) {
  for (Operation &op : block.without_terminator())
    if (!trees.contains(&op))
      works.insert({&op, findWork(&op, clock.target)});
}

double Partition::evaluate(const EngineOps &engine, double scale) const {
  auto stages = assignStages(
      block, trees, [&](Operation *op) { return engine.contains(op); });
  struct Program {
    double work = 0, bytes = 0;
  };
  std::map<unsigned, Program> programs;
  double host = 0;
  for (auto &[op, work] : works) {
    unsigned stage = stages.lookup(op);
    if (stage % 2) {
      host += predictHostMicros(work, clock.target, scale);
      continue;
    }
    Program &program = programs[stage];
    program.work += predict(work, clock, scale).total();
    llvm::SmallPtrSet<Value, 4> counted;
    for (Value operand : op->getOperands()) {
      Operation *producer = operand.getDefiningOp();
      if ((!producer ||
           (!trees.contains(producer) && stages.lookup(producer) != stage)) &&
          counted.insert(operand).second)
        program.bytes += scale * surfaceBytes(operand);
    }
    for (Value result : op->getResults())
      if (llvm::any_of(result.getUsers(), [&](Operation *user) {
            auto it = stages.find(user);
            return it == stages.end() || it->second != stage;
          }))
        program.bytes += scale * surfaceBytes(result);
  }
  double total = host;
  for (auto &[stage, program] : programs)
    total += clock.floor() + program.work +
             clock.surfaces(program.bytes, program.work);
  return total;
}

Partition::EngineOps Partition::cut(double dispatchShare) const {
  MinCut graph; // label 1 is the engine
  llvm::DenseMap<Operation *, unsigned> nodes;
  for (auto &[op, work] : works) {
    unsigned node = nodes[op] = graph.addNode();
    graph.addLabelCost(node, false, predictHostMicros(work, clock.target));
    graph.addLabelCost(node, true,
                       legal.contains(op) ? predict(work, clock).total()
                                          : MinCut::kForbidden);
  }
  double entry = dispatchShare * clock.floor();
  for (auto &[op, work] : works)
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
  auto gain = [&](double exponent) {
    double scale = std::exp2(exponent);
    return evaluate({}, scale) - evaluate(legal, scale);
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
