//===- Report.h - what was placed where, and why --------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_COMPILER_REPORT_H
#define ANEMLIR_COMPILER_REPORT_H

#include "ane-mlir/Analysis/CostModel.h"
#include "ane-mlir/Artifact/NumericGuard.h"
#include "ane-mlir/Support/TextPlan.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/Support/raw_ostream.h"
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace mlir::ane {

/// What each pass did to the number of ops, by kind.
struct PassLog {
  struct Change {
    std::string pass;
    unsigned before = 0, after = 0;
    std::map<std::string, int> more, fewer;
  };
  std::vector<Change> changes;
  /// Watches the passes of `pm`; the log must outlive it.
  void attach(PassManager &pm);
};

/// What a pass decided by predicted time, or did not.
struct Decision {
  /// "passed", "missed" or "analysis".
  std::string kind;
  std::string pass, name, node, text;
};
/// A line each.
void printDecisions(llvm::raw_ostream &os, llvm::ArrayRef<Decision> decisions);

struct ReportRow {
  std::string op, node, program, placement, rule, reason, type;
  /// What ane-repair-fp16 did to the op, and what other passes noted.
  std::string repair, note;
  /// Of an engine op: what is known of it ("raw", "e5rt"), and in words.
  std::string evidence, evidenceText;
  /// Rows that make its operands; inputs of the model among them.
  std::vector<unsigned> inputs, modelInputs;
  double flops = 0, weightBytes = 0, activationBytes = 0;
  /// Of its results, as they are stored.
  double resultBytes = 0;
  /// Predicted microseconds where it is placed.
  double predictedMicros = 0;
  /// Of an engine op, what it is made of: "arithmetic", "weights", "elements",
  /// "movement", the largest of them; "absorbed" by the op before it; "free".
  std::string bound;
  /// On the host, though no rule keeps it from the engine.
  bool legalOnEngine = false;
};

/// What would make a model faster, as far as the cost model knows.
struct Advice {
  /// A node of the model, or a host program.
  std::string subject;
  /// Where the time goes; what to do; empty where nothing is known.
  std::string why, remedy;
  /// Of a host program: the rule that most of it broke.
  std::string rule;
  /// First row of it, how many it has, and how many nodes like it there are;
  /// times are those of all of them.
  unsigned row = 0, ops = 0, alike = 1;
  double predictedMicros = 0;
  /// Predicted microseconds less, at most.
  double gainMicros = 0;
};

/// The same programs at the rates of another generation.
struct TargetEstimate {
  std::string name, summary;
  double engineMicros = 0, hostMicros = 0, error = 0;
  /// Engine ops that this generation does not take, and the first rule.
  unsigned refused = 0;
  std::string rule;
};

struct Report {
  std::string model, target, producer;
  /// What the target was asked for as, a chip or an architecture, where that is
  /// not its own name.
  std::string chip;
  std::vector<ReportRow> rows;
  struct Program {
    std::string name, kind;
    unsigned ops = 0;
    /// Ops on the longest way through.
    unsigned depth = 0;
    double predictedMicros = 0;
    Prediction prediction;
    /// Of its arguments and results, as fp16.
    double inputBytes = 0, outputBytes = 0;
  };
  std::vector<Program> programs;
  /// The model's own, in its order.
  struct Port {
    std::string name, type;
    /// Of an output: the row that makes it, if one does.
    int row = -1;
  };
  std::vector<Port> inputs, outputs;
  /// The three kinds of node that take longest, the three host programs that
  /// cost most with what they part, and every generation.
  std::vector<Advice> dearest, islands;
  std::vector<TargetEstimate> targets;
  /// Bytes that may be alive without going to memory.
  double onChipBytes = 0;
  unsigned engineOps = 0, hostOps = 0;
  /// Of all engine programs, and of all host programs.
  double predictedMicros = 0, hostMicros = 0;
  /// The door that times are predicted for, and how far they may be off (0.15
  /// is 15 %).
  std::string door;
  double error = 0;
  /// Core ML places the ops; what is said of placement is what it may do.
  bool isPackage = false;
  /// What ane-place compared.
  struct Alternatives {
    double placedMicros, hostMicros, cheapestMicros;
    /// Times the positions of this model from which the engine pays; 0 always,
    /// infinite never.
    double crossover;

    /// Which is predicted to be the fastest: "engine" (as placed, all of it
    /// there), "host", or "split".
    llvm::StringRef fastest(bool allOnEngine) const;
  };
  std::optional<Alternatives> alternatives;
  /// Of a bundle with several: this report is of the first.
  struct Function {
    std::string name;
    unsigned engineOps = 0, hostOps = 0;
    double predictedMicros = 0;
    std::optional<Alternatives> alternatives;
    /// Those that it takes at once, where there is a plan.
    int64_t tokens = 0;
  };
  std::vector<Function> functions;
  /// How a text goes through them, and the dimension in which they differ.
  TextPlan plan;
  std::string planDim;
  /// Tokens that the states hold.
  int64_t planRows = 0;
  /// Bytes of values alive together, at most; 0 where ane-tile did not look.
  double liveBytes = 0;
  /// Of a bundle that trains: what one run of its programs moves, in bytes of
  /// the surfaces of engine programs.
  struct Training {
    /// Parameters and their elements; calls of programs by kind.
    unsigned parameters = 0, dispatches = 0, hostCalls = 0;
    double elements = 0;
    /// Weights into programs, gradients out of them, and all other values.
    double weightBytes = 0, gradientBytes = 0, otherBytes = 0;
    /// Engine programs whose weight files a step writes anew, and the bytes.
    unsigned patched = 0;
    double patchedBytes = 0;
    /// Runs for each step, where a step compiles what it writes anew, with
    /// which 1,000 runs stay within 100 compiles (L70).
    unsigned runsForBudget() const {
      unsigned left = dispatches < 100 ? 100 - dispatches : 1;
      return (1000 * patched + left - 1) / left;
    }
  };
  std::optional<Training> training;

  std::vector<PassLog::Change> passes;
  std::vector<Decision> decisions;
  /// What the check of the artifact found, where there was one.
  std::optional<AccuracyReport> accuracy;

  void writeJSON(llvm::raw_ostream &os, unsigned indent = 2) const;
  /// One self-contained page; needs no network.
  void writeHTML(llvm::raw_ostream &os) const;
  /// Predicted times in Chrome's trace format (chrome://tracing, Perfetto).
  void writeTrace(llvm::raw_ostream &os) const;
  /// A table for the terminal: programs, then host ops with their reasons.
  void writeText(llvm::raw_ostream &os) const;

private:
  void writeEvidence(llvm::raw_ostream &os) const;
};

/// Emits an error for each engine op of a placed module of which less is known
/// than `level`: "raw" (evaluated in memory), "e5rt" (seen on E5RT at least),
/// or "any".
LogicalResult requireEvidence(ModuleOp module, llvm::StringRef level);

/// Collects the report of a placed module, or of one that is no programs yet:
/// of a package. `advice`: with what would make it faster, and other targets.
Report makeReport(ModuleOp module, llvm::StringRef model, bool advice);

} // namespace mlir::ane

#endif // ANEMLIR_COMPILER_REPORT_H
