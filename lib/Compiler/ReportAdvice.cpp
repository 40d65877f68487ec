//===- ReportAdvice.cpp - what would make a model faster ------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// Gains come from the cost model: the same op with half of its weights to
// stream, on the engine instead of the host, not at all. They are bounds, since
// a change of one op changes what is around it.
//
//===----------------------------------------------------------------------===//

#include "ReportAdvice.h"
#include "dialects/ANE/IR/Explain.h"
#include "dialects/ANE/IR/Linear.h"
#include "dialects/ANE/IR/Quant.h"
#include "dialects/ANE/IR/Shape.h"
#include "dialects/ANE/IR/WeightTrees.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/Support/Format.h"
#include <map>
#include <tuple>

using namespace mlir;
using namespace mlir::ane;

/// The list is to be read, not scrolled.
static constexpr size_t kMost = 3;

static void keepDearest(std::vector<Advice> &list, double Advice::*key) {
  llvm::stable_sort(
      list, [&](const Advice &a, const Advice &b) { return a.*key > b.*key; });
  if (list.size() > kMost)
    list.resize(kMost);
}

//===----------------------------------------------------------------------===//
// Nodes
//===----------------------------------------------------------------------===//

/// Weights that are in fewer bits already.
static bool hasNarrowWeights(Operation *op) {
  return llvm::any_of(op->getOperands(), [](Value operand) {
    Operation *producer = operand.getDefiningOp();
    return producer && isConstantTree(operand) && isa<DequantizeOp>(producer);
  });
}

static void adviseArithmetic(Operation *op, const OpWork &work,
                             const Clock &clock, double compute,
                             Advice &advice) {
  double speedup = clock.rate(CostId::W8a8Speedup);
  if (work.depthwise) {
    advice.why = "one or two channels per group leave the multipliers idle";
    advice.remedy = "Fewer groups, or a smaller kernel.";
  } else if (work.cost.positions < 64) {
    advice.why = "few positions (" +
                 std::to_string(int64_t(work.cost.positions)) +
                 ") leave the multipliers idle";
    advice.remedy = "More positions in one call (a larger batch, more tokens) "
                    "take little longer.";
  } else if (isa<ConvOp>(op) && work.speedup <= 1 && speedup > 1) {
    advice.why = "arithmetic of a convolution";
    advice.remedy = "Quantise its activations in the model (QuantizeLinear and "
                    "DequantizeLinear around eight or more convolutions).";
    advice.gainMicros = compute * (1 - 1 / speedup);
  } else {
    advice.why = "arithmetic";
  }
}

static void adviseEngineOp(Operation *op, const Clock &clock, Advice &advice) {
  OpWork work = findWork(op, clock.target);
  Prediction p = predict(work, clock);
  if (p.weights > p.compute) {
    advice.why = "its weights are streamed";
    if (hasNarrowWeights(op))
      return;
    work.cost.weightBytes /= 2;
    advice.remedy = "--weights=int8 halves them; the check says what that does "
                    "to the results.";
    advice.gainMicros = p.total() - predict(work, clock).total();
  } else if (p.compute > 0) {
    adviseArithmetic(op, work, clock, p.compute, advice);
  } else if (p.move > p.vector) {
    advice.why = "it only moves data";
    if (isa<TransposeOp>(op)) {
      advice.remedy = "Keep the value in the order in which its reader wants "
                      "it.";
      advice.gainMicros = p.move;
    } else {
      advice.remedy = "Fewer bytes here (channels, resolution) are all that "
                      "helps.";
    }
  } else if (p.vector > 0) {
    bool softmax = work.kind == OpWork::Kind::Softmax;
    advice.why = softmax                           ? "a softmax over elements"
                 : work.kind == OpWork::Kind::Norm ? "a norm over elements"
                                                   : "work per element";
    advice.remedy =
        softmax ? "Fewer elements: shorter sequences, fewer heads."
        : work.kind == OpWork::Kind::Elementwise
            ? "Straight behind a convolution the engine scales, adds and "
              "activates by the way; elsewhere fewer elements help."
            : "Fewer elements help; no cheaper form is known.";
  }
}

/// Layers repeat: nodes of one kind, type and time are one entry.
static void joinAlike(Report &report) {
  std::map<std::tuple<StringRef, StringRef, StringRef, unsigned, double>,
           size_t>
      seen;
  std::vector<Advice> joined;
  for (Advice &advice : report.dearest) {
    const ReportRow &row = report.rows[advice.row];
    auto [it, isNew] = seen.try_emplace(
        {row.op, row.type, row.rule, advice.ops, advice.predictedMicros},
        joined.size());
    if (isNew)
      joined.push_back(std::move(advice));
    else
      ++joined[it->second].alike;
  }
  for (Advice &advice : joined)
    advice.predictedMicros *= advice.alike;
  report.dearest = std::move(joined);
}

/// The nodes of the model that take longest, whatever became of them.
static void addDearest(Report &report, ArrayRef<Operation *> ops,
                       const Clock &clock) {
  llvm::MapVector<StringRef, std::vector<unsigned>> nodes;
  for (auto [i, row] : llvm::enumerate(report.rows))
    if (!row.node.empty())
      nodes[row.node].push_back(i);
  for (auto &[node, rows] : nodes) {
    Advice advice;
    advice.subject = node.str();
    advice.ops = rows.size();
    advice.row = rows.front();
    for (unsigned i : rows) {
      advice.predictedMicros += report.rows[i].predictedMicros;
      if (report.rows[i].predictedMicros >
          report.rows[advice.row].predictedMicros)
        advice.row = i;
    }
    if (advice.predictedMicros > 0)
      report.dearest.push_back(std::move(advice));
  }
  joinAlike(report);
  keepDearest(report.dearest, &Advice::predictedMicros);
  for (Advice &advice : report.dearest) {
    const ReportRow &row = report.rows[advice.row];
    if (row.placement == "ane") {
      adviseEngineOp(ops[advice.row], clock, advice);
      advice.gainMicros *= advice.alike;
      continue;
    }
    advice.rule = row.rule;
    advice.why = "on the host" + (row.reason.empty() ? "" : ": " + row.reason);
    advice.remedy = remedyOf(row.rule).str();
    advice.gainMicros = std::max(
        0.0, row.predictedMicros - predict(ops[advice.row], clock).total());
  }
}

//===----------------------------------------------------------------------===//
// Islands
//===----------------------------------------------------------------------===//

static std::string spellBytes(double bytes) {
  std::string text;
  llvm::raw_string_ostream os(text);
  bytes < 1e6 ? os << llvm::format("%.1f kB", bytes / 1e3)
              : os << llvm::format("%.1f MB", bytes / 1e6);
  return text;
}

/// Host programs: what they cost, what they part, and the rule behind most of
/// it.
static void addIslands(Report &report, ArrayRef<Operation *> ops,
                       const Clock &clock) {
  llvm::StringMap<std::vector<unsigned>> rowsOf;
  for (auto [i, row] : llvm::enumerate(report.rows))
    rowsOf[row.program].push_back(i);
  auto isEngine = [&](size_t i) {
    return i < report.programs.size() && report.programs[i].kind == "ane";
  };
  for (auto [k, program] : llvm::enumerate(report.programs)) {
    const std::vector<unsigned> &rows = rowsOf[program.name];
    if (isEngine(k) || rows.empty())
      continue;
    Advice advice;
    advice.subject = program.name;
    advice.ops = program.ops;
    advice.predictedMicros = program.predictedMicros;
    std::map<std::string, double> rules;
    double onEngine = 0;
    for (unsigned i : rows) {
      const ReportRow &row = report.rows[i];
      onEngine += predict(ops[i], clock).total();
      // Casts come and go with what they are around.
      if (row.op != "ane.cast")
        rules[row.rule] += row.predictedMicros;
    }
    if (rules.empty())
      rules[report.rows[rows.front()].rule] = 0;
    advice.rule =
        std::max_element(rules.begin(), rules.end(), [](auto &a, auto &b) {
          return a.second < b.second;
        })->first;
    advice.row = *llvm::find_if(
        rows, [&](unsigned i) { return report.rows[i].rule == advice.rule; });
    bool parts = k && isEngine(k - 1) && isEngine(k + 1);
    advice.why = report.rows[advice.row].reason;
    if (parts)
      advice.why += std::string(advice.why.empty() ? "" : "; ") +
                    "parts two "
                    "engine programs, " +
                    spellBytes(program.inputBytes + program.outputBytes) +
                    " cross";
    advice.remedy = remedyOf(advice.rule).str();
    double saved = program.predictedMicros - onEngine;
    // One dispatch less where two programs become one, one more where it would
    // be a program of its own.
    if (parts)
      saved += clock.floor();
    else if (!(k && isEngine(k - 1)) && !isEngine(k + 1))
      saved -= clock.floor();
    advice.gainMicros = std::max(0.0, saved);
    report.islands.push_back(std::move(advice));
  }
  keepDearest(report.islands, &Advice::gainMicros);
}

//===----------------------------------------------------------------------===//
// Generations
//===----------------------------------------------------------------------===//

static void estimateOn(const Report &report, ArrayRef<Operation *> ops,
                       const Clock &clock, TargetEstimate &estimate) {
  llvm::StringMap<double> busy;
  for (auto [op, row] : llvm::zip_equal(ops, report.rows)) {
    if (row.placement != "ane") {
      estimate.hostMicros += predictHostMicros(op, clock.target);
      continue;
    }
    busy[row.program] += predict(op, clock).total();
    // What this compilation was made for is taken as it is.
    if (clock.target.name == report.target)
      continue;
    ViolationList violations;
    if (auto legality = dyn_cast<LegalityOpInterface>(op))
      findEnabledViolations(legality, clock.target, violations);
    if (!violations.empty() && estimate.refused++ == 0)
      estimate.rule = violations.front().rule;
  }
  for (const Report::Program &program : report.programs)
    if (program.kind == "ane")
      estimate.engineMicros +=
          busy[program.name] + clock.floor() +
          clock.surfaces(program.inputBytes + program.outputBytes,
                         busy[program.name]);
}

static void addTargets(Report &report, ArrayRef<Operation *> ops,
                       const Clock &made) {
  for (const Target &target : getTargets()) {
    Clock clock{target, made.door};
    TargetEstimate estimate;
    estimate.name = target.name.str();
    estimate.summary = target.summary.str();
    estimate.error = clock.error();
    estimateOn(report, ops, clock, estimate);
    report.targets.push_back(std::move(estimate));
  }
}

void mlir::ane::addAdvice(Report &report, ArrayRef<Operation *> ops,
                          const Clock &clock) {
  addDearest(report, ops, clock);
  addIslands(report, ops, clock);
  addTargets(report, ops, clock);
}
