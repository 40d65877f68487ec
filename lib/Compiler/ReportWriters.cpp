//===- ReportWriters.cpp - a report as JSON, page, trace and text ---------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Compiler/Report.h"
#include "ane-mlir/Support/Diagnostics.h"
#include "dialects/ANE/IR/Explain.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"
#include <cmath>
#include <map>
#include <set>

using namespace mlir;
using namespace mlir::ane;

/// JSON has no infinity: null stands for a result that is not finite.
static llvm::json::Value finiteOrNull(double value) {
  return std::isfinite(value) ? llvm::json::Value(value)
                              : llvm::json::Value(nullptr);
}

static void writeAccuracy(llvm::json::OStream &j, const AccuracyReport &found) {
  j.attributeArray("samples", [&] {
    for (const std::string &sample : found.samples)
      j.value(sample);
  });
  j.attribute("guessed", found.guessed);
  if (found.numerics.empty()) {
    j.attribute("not_measured", found.whyNot);
    return;
  }
  j.attribute("numerics", found.numerics);
  j.attribute("kept_fp32", int64_t(found.kept));
  if (found.ofOps) {
    j.attribute("first_operations", int64_t(found.ranOps));
    j.attribute("of_operations", int64_t(found.ofOps));
  }
  j.attribute("repair_undone", found.repairUndone);
  j.attributeArray("outputs", [&] {
    for (const OutputAccuracy &output : found.accuracy.outputs)
      j.object([&] {
        j.attribute("name", output.name);
        j.attribute("cosine", output.cosine);
        j.attribute("max_error", finiteOrNull(output.error));
        j.attribute("finite", !output.nonFinite);
        j.attribute("integers_differing", output.differing);
        j.attribute("not_finite_in_fp32", output.unknown);
        j.attribute("within_bar", output.isWithinBar());
      });
  });
  j.attributeArray("losses", [&] {
    for (const Loss &loss : llvm::ArrayRef(found.losses).take_front(16))
      j.object([&] {
        j.attribute("op", loss.op);
        if (auto name = dyn_cast<NameLoc>(loss.where))
          j.attribute("node", name.getName().getValue());
        j.attribute("error", finiteOrNull(loss.error));
        j.attribute("error_before", finiteOrNull(loss.before));
      });
  });
}

static void writeAdvice(llvm::json::OStream &j, StringRef key,
                        ArrayRef<Advice> list) {
  j.attributeArray(key, [&] {
    for (const Advice &advice : list)
      j.object([&] {
        j.attribute("subject", advice.subject);
        j.attribute("why", advice.why);
        j.attribute("remedy", advice.remedy);
        j.attribute("rule", advice.rule);
        j.attribute("row", int64_t(advice.row));
        j.attribute("ops", int64_t(advice.ops));
        j.attribute("alike", int64_t(advice.alike));
        j.attribute("predicted_us", advice.predictedMicros);
        j.attribute("gain_us", advice.gainMicros);
      });
  });
}

static void writeTargets(llvm::json::OStream &j,
                         ArrayRef<TargetEstimate> targets) {
  j.attributeArray("targets", [&] {
    for (const TargetEstimate &estimate : targets)
      j.object([&] {
        j.attribute("name", estimate.name);
        j.attribute("summary", estimate.summary);
        j.attribute("engine_us", estimate.engineMicros);
        j.attribute("host_us", estimate.hostMicros);
        j.attribute("error_percent", 100 * estimate.error);
        j.attribute("refused_ops", int64_t(estimate.refused));
        j.attribute("rule", estimate.rule);
      });
  });
}

static void writePorts(llvm::json::OStream &j, StringRef key,
                       ArrayRef<Report::Port> ports) {
  j.attributeArray(key, [&] {
    for (const Report::Port &port : ports)
      j.object([&] {
        j.attribute("name", port.name);
        j.attribute("type", port.type);
        if (port.row >= 0)
          j.attribute("row", int64_t(port.row));
      });
  });
}

/// What --explain says of each rule that the report names.
static void writeRules(llvm::json::OStream &j, const Report &report) {
  std::set<std::string> named;
  for (const ReportRow &row : report.rows)
    named.insert(row.rule);
  for (const TargetEstimate &estimate : report.targets)
    named.insert(estimate.rule);
  j.attributeObject("rules", [&] {
    for (const std::string &rule : named) {
      std::string text;
      llvm::raw_string_ostream stream(text);
      if (!rule.empty() && explain(rule, stream, llvm::nulls()))
        j.attribute(rule, text);
    }
  });
}

/// What the check found at each row. Ops are known by node and kind, and by
/// their order where a node has several of a kind; what came or went since
/// then makes each of them the worst.
static std::vector<const OpAccuracy *>
matchAccuracies(ArrayRef<ReportRow> rows,
                const std::optional<AccuracyReport> &accuracy) {
  std::vector<const OpAccuracy *> found(rows.size());
  std::map<std::pair<StringRef, StringRef>,
           std::pair<std::vector<const OpAccuracy *>, std::vector<size_t>>>
      groups;
  if (accuracy)
    for (const OpAccuracy &op : accuracy->ops)
      groups[{op.node, op.op}].first.push_back(&op);
  for (auto [i, row] : llvm::enumerate(rows))
    if (auto it = groups.find({row.node, row.op}); it != groups.end())
      it->second.second.push_back(i);
  for (auto &[key, group] : groups) {
    auto &[measured, numbers] = group;
    const OpAccuracy *worst =
        *std::max_element(measured.begin(), measured.end(),
                          [](const OpAccuracy *a, const OpAccuracy *b) {
                            return a->error < b->error;
                          });
    for (auto [k, i] : llvm::enumerate(numbers))
      found[i] = measured.size() == numbers.size() ? measured[k] : worst;
  }
  return found;
}

static void writeRow(llvm::json::OStream &j, const ReportRow &row,
                     const OpAccuracy *accuracy) {
  j.attribute("op", row.op);
  j.attribute("node", row.node);
  j.attribute("program", row.program);
  j.attribute("placement", row.placement);
  j.attribute("rule", row.rule);
  j.attribute("reason", row.reason);
  auto text = [&](StringRef key, const std::string &value) {
    if (!value.empty())
      j.attribute(key, value);
  };
  text("evidence", row.evidence);
  text("evidence_text", row.evidenceText);
  text("repair", row.repair);
  text("note", row.note);
  text("bound", row.bound);
  if (row.legalOnEngine)
    j.attribute("legal_on_engine", true);
  if (accuracy) {
    j.attribute("error", finiteOrNull(accuracy->error));
    j.attribute("peak", finiteOrNull(accuracy->peak));
  }
  j.attribute("type", row.type);
  j.attribute("flops", row.flops);
  j.attribute("weight_bytes", row.weightBytes);
  j.attribute("activation_bytes", row.activationBytes);
  j.attribute("result_bytes", row.resultBytes);
  j.attribute("predicted_us", row.predictedMicros);
  auto list = [&](StringRef key, ArrayRef<unsigned> numbers) {
    j.attributeArray(key, [&] {
      for (unsigned number : numbers)
        j.value(int64_t(number));
    });
  };
  list("inputs", row.inputs);
  if (!row.modelInputs.empty())
    list("model_inputs", row.modelInputs);
}

static void writeProgram(llvm::json::OStream &j,
                         const Report::Program &program) {
  j.attribute("name", program.name);
  j.attribute("kind", program.kind);
  j.attribute("ops", int64_t(program.ops));
  j.attribute("depth", int64_t(program.depth));
  j.attribute("input_bytes", program.inputBytes);
  j.attribute("output_bytes", program.outputBytes);
  j.attribute("predicted_us", program.predictedMicros);
  j.attributeObject("predicted", [&] {
    const Prediction &p = program.prediction;
    j.attribute("dispatch_us", p.dispatch);
    j.attribute("compute_us", p.compute);
    j.attribute("weights_us", p.weights);
    j.attribute("vector_us", p.vector);
    j.attribute("move_us", p.move);
    j.attribute("surfaces_us", p.surfaces);
  });
}

static void writePasses(llvm::json::OStream &j,
                        ArrayRef<PassLog::Change> passes) {
  j.attributeArray("passes", [&] {
    auto counts = [&](StringRef key, const std::map<std::string, int> &map) {
      j.attributeObject(key, [&] {
        for (auto &[op, count] : map)
          j.attribute(op, count);
      });
    };
    for (const PassLog::Change &change : passes)
      j.object([&] {
        j.attribute("pass", change.pass);
        j.attribute("ops_before", int64_t(change.before));
        j.attribute("ops_after", int64_t(change.after));
        counts("more", change.more);
        counts("fewer", change.fewer);
      });
  });
}

static std::vector<TextFunction> textFunctions(const Report &report) {
  std::vector<TextFunction> found;
  for (const Report::Function &function : report.functions)
    found.push_back({function.tokens, function.predictedMicros});
  return found;
}

static void writeFunctions(llvm::json::OStream &j, const Report &report) {
  j.attributeArray("functions", [&] {
    for (const Report::Function &function : report.functions)
      j.object([&] {
        j.attribute("name", function.name);
        j.attribute("engine_ops", int64_t(function.engineOps));
        j.attribute("host_ops", int64_t(function.hostOps));
        j.attribute("predicted_us", function.predictedMicros);
        if (function.tokens)
          j.attribute("tokens", function.tokens);
        if (!function.alternatives)
          return;
        j.attribute("host_only_us", function.alternatives->hostMicros);
        j.attribute("cheapest_us", function.alternatives->cheapestMicros);
      });
  });
  if (!report.plan.empty())
    j.attributeArray("plan", [&] {
      for (const PlanStep &step : report.plan)
        j.object([&] {
          j.attribute("from", step.from);
          j.attribute("function", int64_t(step.function));
        });
    });
}

/// Predictions closer to each other are as good as each other.
static constexpr double kAsGood = 1.02;

/// What each takes, where, and what a text of some lengths does.
static void printFunctions(llvm::raw_ostream &os, const Report &report) {
  if (report.functions.empty())
    return;
  os << "functions, predicted:\n";
  for (const Report::Function &function : report.functions) {
    os << "  " << llvm::left_justify(printable(function.name), 20)
       << llvm::format("%10.1f us", function.predictedMicros);
    if (function.tokens)
      os << llvm::format(", %.1f us a token",
                         function.predictedMicros / double(function.tokens));
    os << "; " << function.engineOps << " ops on the engine, "
       << function.hostOps << " on the host";
    if (const auto &a = function.alternatives; a && function.engineOps)
      os << llvm::format("; %.1f us all on the host", a->hostMicros);
    os << '\n';
  }
  if (report.plan.empty())
    return;
  os << "plan of a text, by the extent of '" << printable(report.planDim)
     << "': ";
  for (size_t i = report.plan.size(); i-- > 0;)
    os << "from " << report.plan[i].from << " left "
       << report.functions[report.plan[i].function].tokens << " at once"
       << (i ? ", " : "");
  std::vector<TextFunction> functions = textFunctions(report);
  StringRef before = "; a prompt of ";
  for (int64_t tokens : {10, 100, 1000})
    if (tokens <= report.planRows) {
      os << before << tokens
         << llvm::format(" in %.1f ms",
                         predictText(report.plan, functions, tokens) / 1e3);
      before = ", of ";
    }
  os << '\n';
  std::string faster;
  for (const Report::Function &function : report.functions)
    if (const auto &a = function.alternatives;
        a && function.engineOps && a->hostMicros * kAsGood < a->placedMicros)
      faster += (faster.empty() ? "" : ", ") +
                ("\"" + function.name + "\": \"host\"");
  if (!faster.empty())
    os << "  predicted to be faster so: --placement=FILE.json of {"
       << printable(faster) << "}\n";
}

void Report::writeJSON(llvm::raw_ostream &os, unsigned indent) const {
  llvm::json::OStream j(os, indent);
  j.object([&] {
    j.attribute("producer", producer);
    j.attribute("model", model);
    j.attribute("target", target);
    std::map<std::string, int64_t> evidence;
    for (const ReportRow &row : rows)
      if (!row.evidence.empty())
        ++evidence[row.evidence];
    j.attributeObject("summary", [&] {
      j.attributeObject("evidence", [&] {
        for (auto &[level, count] : evidence)
          j.attribute(level, count);
      });
      j.attribute("engine_ops", int64_t(engineOps));
      j.attribute("host_ops", int64_t(hostOps));
      j.attribute("predicted_engine_us", predictedMicros);
      j.attribute("predicted_host_us", hostMicros);
      j.attribute("predicted_error_percent", 100 * error);
      j.attribute("door", door);
      j.attribute("package", isPackage);
    });
    if (alternatives)
      j.attributeObject("alternatives", [&] {
        j.attribute("fastest", alternatives->fastest(hostOps == 0));
        j.attribute("placed_us", alternatives->placedMicros);
        j.attribute("host_only_us", alternatives->hostMicros);
        j.attribute("cheapest_us", alternatives->cheapestMicros);
        // JSON has no infinity: null says that the engine never pays.
        j.attribute("engine_pays_from_times_positions",
                    std::isfinite(alternatives->crossover)
                        ? llvm::json::Value(alternatives->crossover)
                        : llvm::json::Value(nullptr));
      });
    if (!functions.empty())
      writeFunctions(j, *this);
    if (training)
      j.attributeObject("training", [&] {
        j.attribute("parameters", int64_t(training->parameters));
        j.attribute("elements", training->elements);
        j.attribute("dispatches", int64_t(training->dispatches));
        j.attribute("host_calls", int64_t(training->hostCalls));
        j.attribute("compiles", int64_t(training->dispatches));
        j.attribute("patched_programs", int64_t(training->patched));
        j.attribute("patched_bytes", training->patchedBytes);
        j.attribute("compiles_per_step", int64_t(0));
        j.attribute("weight_bytes", training->weightBytes);
        j.attribute("gradient_bytes", training->gradientBytes);
        j.attribute("other_bytes", training->otherBytes);
      });
    if (accuracy)
      j.attributeObject("accuracy", [&] { writeAccuracy(j, *accuracy); });
    writePorts(j, "model_inputs", inputs);
    writePorts(j, "model_outputs", outputs);
    j.attribute("on_chip_bytes", onChipBytes);
    writeAdvice(j, "dearest", dearest);
    writeAdvice(j, "islands", islands);
    writeTargets(j, targets);
    writeRules(j, *this);
    j.attributeArray("programs", [&] {
      for (const Program &program : programs)
        j.object([&] { writeProgram(j, program); });
    });
    auto accuracies = matchAccuracies(rows, accuracy);
    j.attributeArray("ops", [&] {
      for (auto [row, found] : llvm::zip_equal(rows, accuracies))
        j.object([&, &row = row, found = found] { writeRow(j, row, found); });
    });
    writePasses(j, passes);
    j.attributeArray("decisions", [&] {
      for (const Decision &decision : decisions)
        j.object([&] {
          j.attribute("kind", decision.kind);
          j.attribute("pass", decision.pass);
          j.attribute("name", decision.name);
          j.attribute("node", decision.node);
          j.attribute("text", decision.text);
        });
    });
  });
  os << '\n';
}

static constexpr char kPage[] =
#include "lib/Compiler/ReportPage.inc"
    ;

/// One column of the page's table: the values of the rows that have the key,
/// texts by their place in a table of different ones.
static llvm::json::Object packColumn(llvm::json::Array &rows, StringRef key) {
  llvm::json::Array at, values, texts;
  std::map<std::string, int64_t> places;
  for (auto [i, row] : llvm::enumerate(rows)) {
    llvm::json::Value *value = row.getAsObject()->get(key);
    if (!value)
      continue;
    at.push_back(int64_t(i));
    auto text = value->getAsString();
    if (!text) {
      values.push_back(std::move(*value));
      continue;
    }
    auto [it, isNew] = places.try_emplace(text->str(), texts.size());
    if (isNew)
      texts.push_back(text->str());
    values.push_back(it->second);
  }
  llvm::json::Object column;
  if (at.size() < rows.size())
    column["at"] = std::move(at);
  if (!texts.empty())
    column["texts"] = std::move(texts);
  column["values"] = std::move(values);
  return column;
}

/// The same report with its operations by columns: rows of a large model repeat
/// their keys and most of their texts.
static std::string packRows(StringRef json) {
  llvm::json::Value report = llvm::cantFail(llvm::json::parse(json));
  llvm::json::Array &rows = *report.getAsObject()->getArray("ops");
  std::set<std::string> keys;
  for (llvm::json::Value &row : rows)
    for (auto &[key, value] : *row.getAsObject())
      keys.insert(key.str());
  llvm::json::Object columns;
  for (const std::string &key : keys)
    columns[key] = packColumn(rows, key);
  (*report.getAsObject())["ops"] = llvm::json::Object{
      {"count", int64_t(rows.size())}, {"columns", std::move(columns)}};
  std::string text;
  llvm::raw_string_ostream(text) << report;
  return text;
}

void Report::writeHTML(llvm::raw_ostream &os) const {
  std::string rows;
  llvm::raw_string_ostream stream(rows);
  writeJSON(stream, 0);
  std::string json = packRows(rows);
  auto [before, after] = StringRef(kPage).split("@DATA@");
  os << before;
  // No tag can end the script: '<' occurs inside of JSON's strings only.
  for (char c : json)
    c == '<' ? os << "\\u003c" : os << c;
  os << after;
}

/// Chrome's trace format: one event per program in schedule order, its ops
/// inside.
void Report::writeTrace(llvm::raw_ostream &os) const {
  llvm::json::OStream j(os, 1);
  double now = 0;
  auto event = [&](StringRef name, StringRef category, double start,
                   double duration, bool engine,
                   llvm::function_ref<void()> arguments) {
    j.object([&] {
      j.attribute("name", name);
      j.attribute("cat", category);
      j.attribute("ph", "X");
      j.attribute("ts", start);
      j.attribute("dur", duration);
      j.attribute("pid", 1);
      j.attribute("tid", engine ? 1 : 2);
      j.attributeObject("args", arguments);
    });
  };
  auto label = [&](StringRef what, int thread, StringRef name) {
    j.object([&] {
      j.attribute("name", what);
      j.attribute("ph", "M");
      j.attribute("pid", 1);
      if (thread)
        j.attribute("tid", thread);
      j.attributeObject("args", [&] { j.attribute("name", name); });
    });
  };
  j.object([&] {
    j.attribute("displayTimeUnit", "ns");
    j.attributeObject("otherData", [&] {
      j.attribute("model", model);
      j.attribute("target", target);
      j.attribute("what", "predicted by the cost model, not measured");
    });
    j.attributeArray("traceEvents", [&] {
      label("process_name", 0, model + " on " + target + " (predicted)");
      label("thread_name", 1, "engine");
      label("thread_name", 2, "host");
      for (const Program &program : programs) {
        bool engine = program.kind == "ane";
        event(program.name, program.kind, now, program.predictedMicros, engine,
              [&] { j.attribute("ops", int64_t(program.ops)); });
        double at = now;
        if (engine) {
          event("dispatch", "dispatch", at, program.prediction.dispatch, true,
                [] {});
          at += program.prediction.dispatch;
        }
        for (const ReportRow &row : rows) {
          if (row.program != program.name)
            continue;
          event(row.node.empty() ? row.op : row.node, row.op, at,
                row.predictedMicros, engine, [&] {
                  j.attribute("op", row.op);
                  j.attribute("type", row.type);
                  j.attribute("flops", row.flops);
                  j.attribute("weight_bytes", row.weightBytes);
                });
          at += row.predictedMicros;
        }
        now += program.predictedMicros;
      }
    });
  });
  os << '\n';
}

/// Engine ops that nobody was seen to evaluate in memory, by kind.
void Report::writeEvidence(llvm::raw_ostream &os) const {
  std::map<std::string, std::pair<unsigned, const ReportRow *>> weaker;
  for (const ReportRow &row : rows)
    if (!row.evidence.empty() && row.evidence != "raw") {
      auto &entry = weaker[row.op];
      ++entry.first;
      entry.second = &row;
    }
  if (!weaker.empty())
    os << "on the engine without evidence in memory (--require-ane=raw "
          "refuses them):\n";
  for (auto &[op, entry] : weaker)
    os << "  " << llvm::left_justify(entry.second->evidence, 9) << op << " ("
       << entry.first << "): " << entry.second->evidenceText << "\n";
}

static StringRef describeDoor(StringRef door) {
  return door == "coreml" ? "through Core ML"
         : door == "e5rt" ? "through E5RT"
                          : "in memory";
}

/// What the host alone would take, where that is less.
static void writeVerdict(const Report::Alternatives &a, bool allOnEngine,
                         llvm::raw_ostream &os) {
  if (a.hostMicros >= a.placedMicros)
    return;
  os << llvm::format("  the host alone is predicted to be faster: %.1f us",
                     a.hostMicros)
     << (allOnEngine ? " (--placement=host; all of it is legal on the engine, "
                       "so it stays there)\n"
                     : " (--placement=host)\n");
}

StringRef Report::Alternatives::fastest(bool allOnEngine) const {

  if (hostMicros <= std::min(cheapestMicros, placedMicros))
    return "host";
  return allOnEngine && placedMicros <= kAsGood * cheapestMicros ? "engine"
                                                                 : "split";
}

/// The first line of a summary.
static void writeFastest(const Report::Alternatives &a, bool allOnEngine,
                         llvm::raw_ostream &os) {
  StringRef fastest = a.fastest(allOnEngine);
  os << "predicted to be fastest: ";
  if (fastest == "host")
    os << llvm::format("the host alone, %.1f us (as placed %.1f us)\n",
                       a.hostMicros, a.placedMicros);
  else if (fastest == "engine")
    os << llvm::format("the engine, as placed, %.1f us (the host alone "
                       "%.1f us)\n",
                       a.placedMicros, a.hostMicros);
  else
    os << llvm::format("a split between engine and host, %.1f us (as placed "
                       "%.1f us, the host alone %.1f us)\n",
                       std::min(a.cheapestMicros, a.placedMicros),
                       a.placedMicros, a.hostMicros);
}

void Report::writeText(llvm::raw_ostream &os) const {
  if (alternatives)
    writeFastest(*alternatives, hostOps == 0, os);
  os << "target " << (chip.empty() ? target : chip + " (" + target + ")")
     << ": " << engineOps << " ops on the engine, " << hostOps
     << " on the host; predicted engine time "
     << llvm::format("%.1f", predictedMicros) << " us ± "
     << llvm::format("%.0f", 100 * error) << " % (" << describeDoor(door)
     << (isPackage ? ", where it places them so" : "") << ")\n";
  for (const Program &program : programs)
    os << "  " << llvm::left_justify(program.name, 14)
       << llvm::left_justify(program.kind, 6)
       << llvm::right_justify(std::to_string(program.ops), 5) << " ops, "
       << llvm::right_justify(std::to_string(program.depth), 4) << " deep"
       << llvm::format("  %10.1f us\n", program.predictedMicros);
  if (alternatives) {
    const Alternatives &a = *alternatives;
    writeVerdict(a, hostOps == 0, os);
    os << "predicted: " << llvm::format("%.1f us as placed, ", a.placedMicros)
       << llvm::format("%.1f us all on the host, ", a.hostMicros)
       << llvm::format("%.1f us as the cheapest split (--placement=cost)\n",
                       a.cheapestMicros);
    os << "  the engine is "
       << (a.crossover == 0 ? std::string("always faster")
           : std::isinf(a.crossover)
               ? std::string("never faster")
               : llvm::formatv("faster from {0:f2} times the "
                               "positions of this model on",
                               a.crossover)
                     .str())
       << " (coarse model of the host)\n";
  }
  printFunctions(os, *this);
  if (liveBytes > onChipBytes)
    os << llvm::format("values alive together: %.0f MB, of which %.0f MB stay "
                       "on chip; what is whole is predicted to be no slower so "
                       "(--live-bytes=N divides it)\n",
                       liveBytes / 1e6, onChipBytes / 1e6);
  if (training)
    os << "a step of training: " << training->parameters << " weights of "
       << llvm::format("%.3g", training->elements) << " numbers; "
       << training->dispatches << " dispatches to the engine, "
       << training->hostCalls << " programs of the host; "
       << llvm::format("%.1f MB of weights in, %.1f MB of gradients out, "
                       "%.1f MB of other values in and out",
                       training->weightBytes / 1e6,
                       training->gradientBytes / 1e6,
                       training->otherBytes / 1e6)
       << "; compiles: " << training->dispatches << " before the first step, "
       << (training->patched ? "" : "none later\n");
  if (training && training->patched)
    os << "none later where a loader takes files that changed: "
       << llvm::format("%.1f MB of weights", training->patchedBytes / 1e6)
       << " of " << training->patched
       << " programs are written anew for each step (OR, M4 Max: 8 to 9 ms a "
          "program); where it does not (MX, M5), a step compiles "
       << training->patched << ", and 100 compiles for 1,000 runs want "
       << "--accumulate=" << training->runsForBudget() << " (L70)\n";
  writeEvidence(os);
  // Host ops by reason.
  std::map<std::pair<std::string, std::string>,
           std::pair<unsigned, std::string>>
      reasons;
  for (const ReportRow &row : rows)
    if (row.placement == "host") {
      auto &entry = reasons[{row.rule, row.op + ": " + row.reason}];
      if (entry.first++ == 0)
        entry.second = row.node;
    }
  if (!reasons.empty())
    os << "on the host:\n";
  for (auto &[key, entry] : reasons)
    os << "  " << llvm::left_justify(key.first, 6) << key.second << " ("
       << entry.first << ", first \"" << printable(entry.second) << "\")\n";
}
