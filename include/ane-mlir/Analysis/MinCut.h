//===- MinCut.h - cheapest labelling of a graph with two labels -----------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_ANALYSIS_MINCUT_H
#define ANEMLIR_ANALYSIS_MINCUT_H

#include "llvm/ADT/SmallVector.h"
#include <algorithm>
#include <limits>
#include <vector>

namespace mlir::ane {

/// Gives each node label 0 or 1 so that the costs of nodes and of edges between
/// different labels are least: a minimum cut, by Dinic's algorithm.
class MinCut {
public:
  static constexpr double kForbidden = std::numeric_limits<double>::infinity();

  MinCut() : edges(2) {} // source (label 1) and sink (label 0)

  unsigned addNode() {
    edges.emplace_back();
    return edges.size() - 1;
  }
  /// Cost of giving `node` the label.
  void addLabelCost(unsigned node, bool label, double cost) {
    if (cost > 0)
      label ? addArc(node, 1, cost) : addArc(0, node, cost);
  }
  /// Cost of `one` having label 1 while `zero` has label 0.
  void addCost(unsigned one, unsigned zero, double cost) {
    if (cost > 0)
      addArc(one, zero, cost);
  }

  /// Label of each node; indices as returned by addNode.
  std::vector<bool> solve() {
    while (buildLevels()) {
      next.assign(edges.size(), 0);
      while (augment())
        ;
    }
    std::vector<bool> labels(edges.size());
    for (size_t i = 0; i < edges.size(); ++i)
      labels[i] = level[i] >= 0; // still reached from the source
    return labels;
  }

private:
  struct Arc {
    unsigned to, back;
    double room;
  };

  void addArc(unsigned from, unsigned to, double room) {
    edges[from].push_back({to, unsigned(edges[to].size()), room});
    edges[to].push_back({from, unsigned(edges[from].size() - 1), 0});
  }
  bool buildLevels() {
    level.assign(edges.size(), -1);
    level[0] = 0;
    std::vector<unsigned> queue{0};
    for (size_t i = 0; i < queue.size(); ++i)
      for (const Arc &arc : edges[queue[i]])
        if (arc.room > kEpsilon && level[arc.to] < 0) {
          level[arc.to] = level[queue[i]] + 1;
          queue.push_back(arc.to);
        }
    return level[1] >= 0;
  }
  /// One path of the level graph; iterative, since graphs are deep.
  bool augment() {
    std::vector<std::pair<unsigned, unsigned>> path; // (node, arc)
    unsigned node = 0;
    while (node != 1) {
      bool advanced = false;
      for (unsigned &i = next[node]; i < edges[node].size(); ++i) {
        const Arc &arc = edges[node][i];
        if (arc.room > kEpsilon && level[arc.to] == level[node] + 1) {
          path.push_back({node, i});
          node = arc.to;
          advanced = true;
          break;
        }
      }
      if (advanced)
        continue;
      if (path.empty())
        return false;
      node = path.back().first;
      ++next[node]; // a dead end
      path.pop_back();
    }
    double flow = kForbidden;
    for (auto [from, i] : path)
      flow = std::min(flow, edges[from][i].room);
    for (auto [from, i] : path) {
      Arc &arc = edges[from][i];
      arc.room -= flow;
      edges[arc.to][arc.back].room += flow;
    }
    return true;
  }

  static constexpr double kEpsilon = 1e-9;
  std::vector<std::vector<Arc>> edges;
  std::vector<int> level;
  std::vector<unsigned> next;
};

} // namespace mlir::ane

#endif // ANEMLIR_ANALYSIS_MINCUT_H
