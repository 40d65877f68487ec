//===- MinCutTest.cpp -----------------------------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Analysis/MinCut.h"
#include "gtest/gtest.h"
#include <random>

using namespace mlir::ane;

namespace {
/// A problem small enough to try every labelling.
struct Problem {
  unsigned nodes = 0;
  struct Label {
    unsigned node;
    bool label;
    double cost;
  };
  struct Edge {
    unsigned one, zero;
    double cost;
  };
  std::vector<Label> labels;
  std::vector<Edge> edges;

  double costOf(const std::vector<bool> &chosen) const {
    double cost = 0;
    for (const Label &l : labels)
      cost += chosen[l.node] == l.label ? l.cost : 0;
    for (const Edge &e : edges)
      cost += chosen[e.one] && !chosen[e.zero] ? e.cost : 0;
    return cost;
  }
  double cheapest() const {
    double best = MinCut::kForbidden;
    for (unsigned bits = 0; bits < 1u << nodes; ++bits) {
      std::vector<bool> chosen(nodes);
      for (unsigned i = 0; i < nodes; ++i)
        chosen[i] = bits >> i & 1;
      best = std::min(best, costOf(chosen));
    }
    return best;
  }
  std::vector<bool> solve() const {
    MinCut cut;
    std::vector<unsigned> at;
    for (unsigned i = 0; i < nodes; ++i)
      at.push_back(cut.addNode());
    for (const Label &l : labels)
      cut.addLabelCost(at[l.node], l.label, l.cost);
    for (const Edge &e : edges)
      cut.addCost(at[e.one], at[e.zero], e.cost);
    std::vector<bool> all = cut.solve(), chosen;
    for (unsigned node : at)
      chosen.push_back(all[node]);
    return chosen;
  }
};
} // namespace

TEST(MinCut, PaysForTheCheaperSide) {
  Problem p;
  p.nodes = 2;
  p.labels = {{0, true, 1}, {0, false, 5}, {1, true, 5}, {1, false, 1}};
  EXPECT_EQ(p.solve(), (std::vector<bool>{true, false}));
  // Where parting costs more than either, they stay together.
  p.edges = {{0, 1, 10}, {1, 0, 10}};
  EXPECT_DOUBLE_EQ(p.costOf(p.solve()), 6);
}

TEST(MinCut, NeverTakesWhatIsForbidden) {
  Problem p;
  p.nodes = 2;
  p.labels = {{0, true, MinCut::kForbidden}, {1, true, 1}, {1, false, 9}};
  EXPECT_EQ(p.solve(), (std::vector<bool>{false, true}));
}

TEST(MinCut, IsTheBestOfAllLabellings) {
  std::mt19937 engine(7);
  std::uniform_real_distribution<double> cost(0.1, 10);
  for (int round = 0; round < 200; ++round) {
    Problem p;
    p.nodes = 2 + engine() % 8;
    for (unsigned i = 0; i < p.nodes; ++i) {
      p.labels.push_back({i, true, cost(engine)});
      p.labels.push_back({i, false, cost(engine)});
    }
    for (unsigned i = 0; i < 2 * p.nodes; ++i) {
      unsigned a = engine() % p.nodes, b = engine() % p.nodes;
      if (a != b)
        p.edges.push_back({a, b, cost(engine)});
    }
    EXPECT_NEAR(p.costOf(p.solve()), p.cheapest(), 1e-9);
  }
}
