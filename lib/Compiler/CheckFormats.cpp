//===- CheckFormats.cpp - a check as text, JSON, SARIF, JUnit, Markdown ---===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Compiler/Check.h"
#include "dialects/ANE/IR/Explain.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/JSON.h"
#include <set>

using namespace mlir;
using namespace mlir::ane;

static std::string numberText(double value) {
  std::string text;
  llvm::raw_string_ostream(text) << llvm::format("%.1f", value);
  return text;
}

/// Of nodes on the host in a text for people.
static constexpr size_t kMostHostLines = 20;

static StringRef verdictOf(const CheckedTarget &t) {
  return !t.compiled            ? "not converted"
         : t.violations.empty() ? "fine"
                                : "breaks thresholds";
}

namespace {
/// What a model takes, and where fp16 was a question.
struct Sizes {
  double weightBytes = 0;
  /// Of values that are alive together, at most; without weights.
  double liveBytes = 0;
  unsigned wideOps = 0, repairedOps = 0;
};
} // namespace

static Sizes findSizes(const Report &report) {
  Sizes sizes;
  size_t count = report.rows.size();
  std::vector<size_t> last(count);
  for (auto [i, row] : llvm::enumerate(report.rows)) {
    last[i] = std::max(last[i], i);
    for (unsigned input : row.inputs)
      last[input] = std::max(last[input], i);
    sizes.weightBytes += row.weightBytes;
    sizes.repairedOps += !row.repair.empty();
    sizes.wideOps +=
        row.placement == "host" && row.rule == "L07" && row.op != "ane.cast";
  }
  std::vector<double> ends(count + 1);
  double alive = 0;
  for (auto [i, row] : llvm::enumerate(report.rows)) {
    alive += row.resultBytes - ends[i];
    ends[last[i] + 1] += row.resultBytes;
    sizes.liveBytes = std::max(sizes.liveBytes, alive);
  }
  return sizes;
}

static std::string megabytes(double bytes) {
  std::string text;
  llvm::raw_string_ostream(text)
      << llvm::format(bytes < 1e7 ? "%.2f" : "%.0f", bytes / 1e6);
  return text;
}

/// Facts of a target in the order of kColumns.
static constexpr StringLiteral kColumns[] = {
    "generation", "verdict",      "engine ops",  "host ops",
    "programs",   "predicted us", "weights MB",  "values MB",
    "in fp32",    "repaired",     "worst cosine"};
static std::vector<std::string> factsOf(const CheckedTarget &t,
                                        const Thresholds &thresholds) {
  if (!t.compiled)
    return {
        t.generation, verdictOf(t).str(), "", "", "", "", "", "", "", "", ""};
  const Report &report = *t.compiled->report;
  Sizes sizes = findSizes(report);
  std::string cosine = "not run";
  if (const auto &found = t.compiled->accuracy;
      found && !found->numerics.empty()) {
    double worst = found->accuracy.closeness();
    cosine.clear();
    llvm::raw_string_ostream(cosine) << llvm::format("%.5f", worst);
  }
  size_t counted = t.hostRows(thresholds).size(),
         allowed = t.hostRows({}).size() - counted;
  return {t.generation,
          verdictOf(t).str(),
          std::to_string(report.engineOps),
          std::to_string(counted) +
              (allowed ? " (" + std::to_string(allowed) + " allowed)" : ""),
          std::to_string(report.programs.size()),
          numberText(t.predictedMicros()),
          megabytes(sizes.weightBytes),
          megabytes(sizes.liveBytes),
          std::to_string(sizes.wideOps),
          std::to_string(sizes.repairedOps),
          cosine};
}

//===----------------------------------------------------------------------===//
// For people
//===----------------------------------------------------------------------===//

/// What runs on the host and why, where no threshold is about it.
static void printHost(const CheckedTarget &t, const Thresholds &thresholds,
                      llvm::raw_ostream &os) {
  std::vector<const ReportRow *> rows = t.hostRows(thresholds);
  for (const ReportRow *row : ArrayRef(rows).take_front(kMostHostLines))
    os << t.target << ": on the host: '"
       << printable(row->node.empty() ? row->op : row->node)
       << "': " << printable(row->reason, true) << " [" << row->rule << "]\n";
  if (rows.size() > kMostHostLines)
    os << t.target << ": and " << rows.size() - kMostHostLines
       << " more; --format=json has all\n";
}

static void printText(const CheckResult &result, const Thresholds &thresholds,
                      llvm::raw_ostream &os) {
  os << printable(result.model) << '\n' << llvm::left_justify("", 16);
  for (const CheckedTarget &t : result.targets)
    os << llvm::right_justify(t.target, 20);
  os << '\n';
  for (auto [i, name] : llvm::enumerate(kColumns)) {
    os << "  " << llvm::left_justify(name, 14);
    for (const CheckedTarget &t : result.targets)
      os << llvm::right_justify(factsOf(t, thresholds)[i], 20);
    os << '\n';
  }
  for (const CheckedTarget &t : result.targets) {
    for (const std::string &error : t.errors)
      os << t.target << ": error: " << printable(error, true) << '\n';
    for (const std::string &warning : t.warnings)
      os << t.target << ": warning: " << printable(warning, true) << '\n';
    if (t.violations.empty())
      printHost(t, thresholds, os);
    std::set<std::string> helped;
    for (const CheckViolation &v : t.violations) {
      os << t.target << ": " << v.threshold << ": ";
      if (!v.node.empty())
        os << '\'' << printable(v.node) << "': ";
      os << printable(v.message, true);
      if (!v.rule.empty())
        os << " [" << v.rule << "]";
      os << '\n';
      if (StringRef remedy = remedyOf(v.rule);
          !remedy.empty() && helped.insert(v.rule).second)
        os << "    what to do: " << remedy << '\n';
    }
  }
}

static std::string cell(StringRef text) {
  std::string result;
  for (char c : printable(text))
    result += c == '|' ? std::string("\\|") : std::string(1, c);
  return result;
}

static void printMarkdown(const CheckResult &result,
                          const Thresholds &thresholds, llvm::raw_ostream &os) {
  os << "### " << cell(result.model) << "\n\n| |";
  for (const CheckedTarget &t : result.targets)
    os << ' ' << t.target << " |";
  os << "\n|---|";
  for (size_t i = 0; i < result.targets.size(); ++i)
    os << "---:|";
  os << '\n';
  for (auto [i, name] : llvm::enumerate(kColumns)) {
    os << "| " << name << " |";
    for (const CheckedTarget &t : result.targets)
      os << ' ' << factsOf(t, thresholds)[i] << " |";
    os << '\n';
  }
  bool any = false;
  for (const CheckedTarget &t : result.targets) {
    auto row = [&](StringRef what, StringRef node, StringRef rule,
                   StringRef message) {
      if (!any)
        os << "\n| target | what | node | rule | |\n|---|---|---|---|---|\n";
      any = true;
      os << "| " << t.target << " | " << what << " | "
         << (node.empty() ? "" : "`" + cell(node) + "`") << " | " << rule
         << " | " << cell(message) << " |\n";
    };
    for (const std::string &error : t.errors)
      row("error", "", "", error);
    for (const std::string &warning : t.warnings)
      row("warning", "", "", warning);
    for (const CheckViolation &v : t.violations)
      row(v.threshold, v.node, v.rule, v.message);
  }
}

//===----------------------------------------------------------------------===//
// For programs
//===----------------------------------------------------------------------===//

static void writeHost(llvm::json::OStream &j, const CheckedTarget &t,
                      const Thresholds &thresholds) {
  j.attributeArray("host", [&] {
    for (const ReportRow *row : t.hostRows(thresholds))
      j.object([&] {
        j.attribute("node", llvm::json::fixUTF8(row->node));
        j.attribute("op", row->op);
        j.attribute("rule", row->rule);
        j.attribute("reason", llvm::json::fixUTF8(row->reason));
        j.attribute("remedy", remedyOf(row->rule));
        j.attribute("predicted_us", row->predictedMicros);
      });
  });
}

static void writeTarget(llvm::json::OStream &j, const CheckedTarget &t,
                        const Thresholds &thresholds) {
  j.attribute("target", t.target);
  j.attribute("generation", t.generation);
  j.attribute("verdict", verdictOf(t));
  j.attributeArray("errors", [&] {
    for (const std::string &error : t.errors)
      j.value(llvm::json::fixUTF8(error));
  });
  j.attributeArray("warnings", [&] {
    for (const std::string &warning : t.warnings)
      j.value(llvm::json::fixUTF8(warning));
  });
  j.attributeArray("violations", [&] {
    for (const CheckViolation &v : t.violations)
      j.object([&] {
        j.attribute("threshold", v.threshold);
        j.attribute("message", llvm::json::fixUTF8(v.message));
        j.attribute("node", llvm::json::fixUTF8(v.node));
        j.attribute("rule", v.rule);
      });
  });
  if (!t.compiled)
    return;
  const Report &report = *t.compiled->report;
  j.attribute("engine_ops", int64_t(report.engineOps));
  j.attribute("host_ops", int64_t(t.hostRows(thresholds).size()));
  j.attribute("programs", int64_t(report.programs.size()));
  j.attribute("predicted_us", t.predictedMicros());
  j.attribute("predicted_engine_us", report.predictedMicros);
  j.attribute("predicted_host_us", report.hostMicros);
  Sizes sizes = findSizes(report);
  j.attribute("weight_bytes", sizes.weightBytes);
  j.attribute("live_bytes", sizes.liveBytes);
  j.attribute("fp32_ops", int64_t(sizes.wideOps));
  j.attribute("repaired_ops", int64_t(sizes.repairedOps));
  if (const auto &found = t.compiled->accuracy;
      found && !found->numerics.empty())
    j.attributeArray("accuracy", [&] {
      for (const OutputAccuracy &o : found->accuracy.outputs)
        j.object([&] {
          j.attribute("output", llvm::json::fixUTF8(o.name));
          j.attribute("cosine", o.cosine);
          j.attribute("error", o.error);
        });
    });
  writeHost(j, t, thresholds);
}

static void printJSON(const CheckResult &result, const Thresholds &thresholds,
                      llvm::raw_ostream &os) {
  llvm::json::OStream j(os, 2);
  j.object([&] {
    j.attribute("version", int64_t(1));
    j.attribute("producer", "ane-mlir " ANEMLIR_VERSION);
    j.attribute("model", llvm::json::fixUTF8(result.model));
    j.attribute("passes", result.passes());
    j.attributeArray("targets", [&] {
      for (const CheckedTarget &t : result.targets)
        j.object([&] { writeTarget(j, t, thresholds); });
    });
  });
  os << '\n';
}

/// SARIF 2.1.0: rules of the target and thresholds are rules, nodes are logical
/// locations.
static void printSARIF(const CheckResult &result, llvm::raw_ostream &os) {
  std::set<std::string> rules;
  auto ruleOf = [](const CheckViolation &v) {
    return v.rule.empty() ? v.threshold : v.rule;
  };
  for (const CheckedTarget &t : result.targets) {
    if (!t.errors.empty())
      rules.insert("conversion");
    for (const CheckViolation &v : t.violations)
      rules.insert(ruleOf(v));
  }
  llvm::json::OStream j(os, 2);
  auto message = [&](StringRef key, StringRef text) {
    j.attributeObject(key,
                      [&] { j.attribute("text", llvm::json::fixUTF8(text)); });
  };
  auto writeResult = [&](StringRef rule, StringRef text, StringRef node) {
    j.object([&] {
      j.attribute("ruleId", rule);
      j.attribute("level", "error");
      message("message", text);
      j.attributeArray("locations", [&] {
        j.object([&] {
          j.attributeObject("physicalLocation", [&] {
            j.attributeObject("artifactLocation", [&] {
              j.attribute("uri", llvm::json::fixUTF8(result.model));
            });
          });
          if (!node.empty())
            j.attributeArray("logicalLocations", [&] {
              j.object([&] {
                j.attribute("fullyQualifiedName", llvm::json::fixUTF8(node));
                j.attribute("kind", "element");
              });
            });
        });
      });
    });
  };
  j.object([&] {
    j.attribute("$schema", "https://json.schemastore.org/sarif-2.1.0.json");
    j.attribute("version", "2.1.0");
    j.attributeArray("runs", [&] {
      j.object([&] {
        j.attributeObject("tool", [&] {
          j.attributeObject("driver", [&] {
            j.attribute("name", "ane-check");
            j.attribute("version", ANEMLIR_VERSION);
            j.attributeArray("rules", [&] {
              for (const std::string &rule : rules)
                j.object([&] {
                  j.attribute("id", rule);
                  const Rule *known = lookupRule(rule);
                  message("shortDescription",
                          known ? StringRef(known->text) : StringRef(rule));
                  if (StringRef remedy = remedyOf(rule); !remedy.empty())
                    message("help", remedy);
                });
            });
          });
        });
        j.attributeArray("results", [&] {
          for (const CheckedTarget &t : result.targets) {
            for (const std::string &error : t.errors)
              writeResult("conversion", t.target + ": " + error, "");
            for (const CheckViolation &v : t.violations)
              writeResult(ruleOf(v), t.target + ": " + v.message, v.node);
          }
        });
      });
    });
  });
  os << '\n';
}

/// A test case for each target.
static void printJUnit(const CheckResult &result, llvm::raw_ostream &os) {
  auto escaped = [](StringRef text) {
    std::string html;
    llvm::raw_string_ostream stream(html);
    llvm::printHTMLEscaped(printable(text, true), stream);
    return html;
  };
  unsigned failures = 0, errors = 0;
  for (const CheckedTarget &t : result.targets) {
    errors += !t.compiled;
    failures += t.compiled && !t.violations.empty();
  }
  os << "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite "
        "name=\"ane-check\" tests=\""
     << result.targets.size() << "\" failures=\"" << failures << "\" errors=\""
     << errors << "\">\n";
  for (const CheckedTarget &t : result.targets) {
    os << "  <testcase classname=\"" << escaped(result.model) << "\" name=\""
       << t.target << "\">\n";
    if (!t.compiled) {
      os << "    <error message=\"cannot be converted\">";
      for (const std::string &error : t.errors)
        os << escaped(error) << '\n';
      os << "</error>\n";
    } else if (!t.violations.empty()) {
      os << "    <failure message=\"" << t.violations.size()
         << (t.violations.size() == 1 ? " violation\">" : " violations\">");
      for (const CheckViolation &v : t.violations)
        os << escaped(v.threshold + ": " +
                      (v.node.empty() ? "" : "'" + v.node + "': ") + v.message)
           << '\n';
      os << "</failure>\n";
    }
    os << "  </testcase>\n";
  }
  os << "</testsuite>\n";
}

void mlir::ane::print(const CheckResult &result, const Thresholds &thresholds,
                      CheckFormat format, llvm::raw_ostream &os) {
  switch (format) {
  case CheckFormat::Text:
    return printText(result, thresholds, os);
  case CheckFormat::Markdown:
    return printMarkdown(result, thresholds, os);
  case CheckFormat::JSON:
    return printJSON(result, thresholds, os);
  case CheckFormat::SARIF:
    return printSARIF(result, os);
  case CheckFormat::JUnit:
    return printJUnit(result, os);
  }
}
