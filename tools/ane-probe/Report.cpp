//===- Report.cpp - what a machine answered, and what that changes --------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
#include "Probe.h"
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <toml++/toml.h>

using namespace ane::probe;

static std::string quoted(const std::string &text) {
  std::string result = "\"";
  for (char c : text) {
    char code[8];
    if (c == '"' || c == '\\')
      (result += '\\') += c;
    else if (static_cast<unsigned char>(c) < 32) {
      std::snprintf(code, sizeof code, "\\u%04x", c);
      result += code;
    } else
      result += c;
  }
  return result + '"';
}
static std::string numberText(double number) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", number);
  // A float of TOML has a point, inf and nan are its words.
  if (!std::strpbrk(text, ".ein"))
    std::strcat(text, ".0");
  return text;
}

bool ane::probe::writeReport(const Report &report, const std::string &path) {
  std::string temporary = path + ".tmp";
  FILE *file = std::fopen(temporary.c_str(), "w");
  if (!file)
    return false;
  std::fprintf(file,
               "# Written by ane-probe; ane-probe --merge=FILE prints what it "
               "changes.\nchip = %s\nsystem = %s\ntarget = %s\n",
               quoted(report.chip).c_str(), quoted(report.system).c_str(),
               quoted(report.target).c_str());
  for (auto &[id, answer] : report.results) {
    std::fprintf(file, "\n[[result]]\nid = %s\nverdict = %s\ndetail = %s\n",
                 quoted(id).c_str(), quoted(answer.verdict).c_str(),
                 quoted(answer.detail).c_str());
    if (answer.number)
      std::fprintf(file, "number = %s\n", numberText(*answer.number).c_str());
  }
  bool written = !std::ferror(file);
  written &= !std::fclose(file);
  if (!written || std::rename(temporary.c_str(), path.c_str())) {
    std::remove(temporary.c_str());
    return false;
  }
  return true;
}

/// The grade that one more measurement gives a record. What no target has by
/// itself is `confirmed` by a machine that does not have it either, against its
/// sources.
static std::string newGrade(const ProbeRecord &record, bool confirmed) {
  std::string grade = record.grade;
  if (grade == "?" || confirmed == record.optional)
    return "?"; // sources that disagree
  return grade == "A" || grade == "B" ? "A" : "B";
}

bool ane::probe::mergeReport(const std::string &path) {
  toml::parse_result parsed = toml::parse_file(path);
  if (!parsed) {
    std::fprintf(stderr, "ane-probe: error: %s: %s\n", path.c_str(),
                 std::string(parsed.error().description()).c_str());
    return false;
  }
  const toml::table &root = parsed.table();
  auto text = [](const toml::table &table, const char *key) {
    return table[key].value_or(std::string());
  };
  std::string target = text(root, "target"),
              measured = "measured by ane-probe on " + text(root, "chip") +
                         ", " + text(root, "system");
  const toml::array *results = root["result"].as_array();
  if (!isTarget(target) || !results) {
    std::fprintf(stderr,
                 "ane-probe: error: %s: names no target that is known, or has "
                 "no results\n",
                 path.c_str());
    return false;
  }
  if (text(root, "chip").rfind("stand-in", 0) == 0)
    std::fprintf(stderr,
                 "ane-probe: warning: these answers are the stand-in's, "
                 "which has them from the records; they are no "
                 "measurement\n");
  for (const toml::node &node : *results) {
    const toml::table *entry = node.as_table();
    if (!entry)
      continue;
    std::string id = text(*entry, "id"), verdict = text(*entry, "verdict");
    const ProbeRecord *record = findProbe(id);
    if (!record || (verdict != "confirmed" && verdict != "refuted"))
      continue;
    bool confirmed = verdict == "confirmed";
    if (!appliesTo(*record, target)) {
      if (!confirmed)
        std::printf("Rules.td: %s: a rule of %s as well, source \"%s; %s\"\n",
                    id.c_str(), target.c_str(), record->source,
                    measured.c_str());
      continue;
    }
    std::string kind = record->kind, number;
    if (auto value = (*entry)["number"].value<double>())
      number = numberText(*value);
    if (kind == "cost")
      std::printf("Generations.td: %s: %s: \"%s\", source \"%s\"%s\n",
                  target.c_str(), id.c_str(), number.c_str(), measured.c_str(),
                  confirmed ? " (within a quarter of the record)" : "");
    else
      std::printf(
          "%s: %s%s: grade \"%s\" to \"%s\", source \"%s; %s\": %s%s%s\n",
          limitOf(target, id) ? "Generations.td" : "Rules.td",
          limitOf(target, id) ? (target + ": ").c_str() : "", id.c_str(),
          record->grade, newGrade(*record, confirmed).c_str(), record->source,
          measured.c_str(),
          !record->optional ? verdict.c_str()
          : confirmed       ? "no rule on this machine"
                            : "a rule on this machine",
          number.empty() ? "" : ", ", number.c_str());
  }
  return true;
}
