//===- Probe.h - questions for a machine ----------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// The records of dialects/ANE/Targets/Probes.td as tables, what is asked of
// them, and what is answered. No LLVM here: the tool is compiled for machines
// that have none.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_TOOLS_ANE_PROBE_PROBE_H
#define ANEMLIR_TOOLS_ANE_PROBE_PROBE_H

#include "lib/Runtime/Engine.h"
#include <optional>
#include <string>
#include <vector>

namespace ane::probe {

/// A record of Probes.td with what the record that it asks about says.
struct ProbeRecord {
  const char *id, *kind, *why, *data, *book, *work;
  /// Text (unit of a cost parameter), grade and source of what is asked about.
  const char *text, *grade, *source;
  int step;
  bool risky;
  /// Bit n for generation n that the rule is one of; 0 is all.
  unsigned families;
  /// No target has the rule by itself.
  bool optional;
  /// Ended by null.
  const char *inputs[4], *body[16];
  bool isAsked() const { return std::string(kind) != "none"; }
};
struct TargetValue {
  const char *target, *id;
  double value;
  const char *source;
};

/// All records, in the order of rules, limits, cost parameters.
std::vector<const ProbeRecord *> allProbes();
const ProbeRecord *findProbe(const std::string &id);
std::optional<double> limitOf(const std::string &target, const std::string &id);
std::optional<double> costOf(const std::string &target, const std::string &id);
/// The target of a chip ("m4"); empty when unknown.
std::string targetOfChip(const std::string &chip);
/// Whether a rule is one of a target's generation.
bool appliesTo(const ProbeRecord &record, const std::string &target);
bool isTarget(const std::string &name);

struct Answer {
  /// "confirmed", "refuted" or "unclear".
  std::string verdict, detail;
  std::optional<double> number;
};

/// A program as text, with its weight file and the shapes of its parameters.
struct Program {
  std::string text;
  std::vector<std::string> weights;
  struct Parameter {
    std::string symbol, dtype;
    std::vector<int64_t> shape;
  };
  std::vector<Parameter> inputs, outputs;
};

/// Makes the text of a record, with $N replaced. `salt` makes it differ from
/// others that are the same.
Program makeProgram(const ProbeRecord &record, int64_t n, unsigned salt);

/// Where programs are asked: an engine, a folder for their files.
class Asker {
public:
  Asker(const std::string &target, const std::string &folder);
  Answer ask(const ProbeRecord &record);

  const std::string &getTarget() const { return target; }
  runtime::Engine &getEngine() { return *engine; }
  std::unique_ptr<runtime::EngineProgram> open(const Program &program);
  /// Empty, or why it does not compile and load.
  std::string tryCompile(const Program &program);
  /// Runs on packed values; results of the first output, packed.
  std::vector<float> evaluate(const Program &program,
                              const std::vector<std::vector<float>> &inputs);
  /// Median of the microseconds that an evaluation takes.
  double time(const Program &program, int runs);
  unsigned salt() const { return seed; }

private:
  Answer askBuiltIn(const std::string &id);
  Answer askWrong(const ProbeRecord &record);
  Answer askLimit(const ProbeRecord &record);
  Answer askCost(const ProbeRecord &record);
  std::string target, folder;
  std::unique_ptr<runtime::Engine> engine;
  unsigned files = 0, seed;
};

/// Bytes of a surface by the rule of engine/runtime.md §3.5, and its layout.
runtime::Layout layoutOf(const std::vector<int64_t> &shape);
uint64_t requiredBytes(const std::vector<int64_t> &shape);

/// Questions that are no plain program (BuiltIn.cpp).
Answer askRuntime(Asker &asker, const std::string &id);

struct Report {
  std::string chip, system, target;
  std::vector<std::pair<std::string, Answer>> results;
};
bool writeReport(const Report &report, const std::string &path);
/// Prints what the records would say with a report's results; false after a
/// message.
bool mergeReport(const std::string &path);

} // namespace ane::probe

#endif // ANEMLIR_TOOLS_ANE_PROBE_PROBE_H
