//===- ProbeGen.cpp - questions for a machine -----------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// -gen-probes   tables for tools/ane-probe; refuses a rule, limit or cost
//               parameter that is neither asked nor says why not
//
//===----------------------------------------------------------------------===//

#include "mlir/TableGen/GenInfo.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/TableGen/Error.h"
#include "llvm/TableGen/Record.h"

using namespace llvm;

namespace {
/// What a record says of itself, for a report.
struct Fact {
  StringRef text, grade, source;
  std::vector<int64_t> families;
  bool optional = false;
};
} // namespace

static std::string literal(StringRef text) {
  std::string result;
  raw_string_ostream os(result);
  os << '"';
  os.write_escaped(text) << '"';
  return result;
}

/// Every identifier that a probe can be of.
static MapVector<StringRef, Fact> findFacts(const RecordKeeper &records) {
  MapVector<StringRef, Fact> facts;
  for (const Record *rule : records.getAllDerivedDefinitions("ANE_Rule"))
    facts[rule->getValueAsString("id")] = {
        rule->getValueAsString("text"), rule->getValueAsString("grade"),
        rule->getValueAsString("source"),
        rule->getValueAsListOfInts("families"),
        rule->getValueAsBit("optional")};
  for (const Record *target : records.getAllDerivedDefinitions("ANE_Target")) {
    for (const Record *limit : target->getValueAsListOfDefs("limits"))
      facts.insert({limit->getValueAsString("id"),
                    {limit->getValueAsString("what"),
                     limit->getValueAsString("grade"),
                     limit->getValueAsString("source"),
                     {}}});
    for (const Record *cost : target->getValueAsListOfDefs("costs"))
      facts.insert({cost->getValueAsString("parameter"),
                    {cost->getValueAsString("unit"),
                     "",
                     cost->getValueAsString("source"),
                     {}}});
  }
  return facts;
}

static void emitStrings(raw_ostream &os, ArrayRef<StringRef> list) {
  os << "{";
  for (StringRef text : list)
    os << literal(text) << ", ";
  os << "nullptr}";
}

static void emitProbe(raw_ostream &os, const Record *probe, const Fact &fact) {
  std::vector<StringRef> inputs = probe->getValueAsListOfStrings("inputs"),
                         body = probe->getValueAsListOfStrings("body");
  if (inputs.size() > 3 || body.size() > 15)
    PrintFatalError(probe->getLoc(), "a probe has 3 inputs and 15 lines");
  os << "  {" << literal(probe->getValueAsString("id"));
  for (StringRef field : {"kind", "why", "data", "book", "work"})
    os << ", " << literal(probe->getValueAsString(field));
  os << ", " << literal(fact.text) << ", " << literal(fact.grade) << ", "
     << literal(fact.source) << ", " << probe->getValueAsInt("step") << ", "
     << (probe->getValueAsBit("risky") ? "true" : "false") << ", ";
  std::vector<int64_t> families = probe->getValueAsListOfInts("families");
  unsigned bits = 0;
  for (int64_t family : families.empty() ? fact.families : families)
    bits |= 1u << family;
  os << bits << ", " << (fact.optional ? "true" : "false") << ", ";
  emitStrings(os, inputs);
  os << ", ";
  emitStrings(os, body);
  os << "},\n";
}

static bool emitProbes(const RecordKeeper &records, raw_ostream &os) {
  MapVector<StringRef, Fact> facts = findFacts(records);
  StringMap<const Record *> asked;
  os << "static const ProbeRecord kProbes[] = {\n";
  for (const Record *probe : records.getAllDerivedDefinitions("ANE_Asked")) {
    StringRef id = probe->getValueAsString("id");
    if (!facts.count(id))
      PrintFatalError(probe->getLoc(), "no record has the identifier " + id);
    if (!asked.insert({id, probe}).second)
      PrintFatalError(probe->getLoc(), id + " is asked twice");
    if (probe->getValueAsString("kind") == "none" &&
        probe->getValueAsString("why").empty())
      PrintFatalError(probe->getLoc(),
                      id + " does not say why it is not asked");
  }
  for (auto &[id, fact] : facts) {
    auto it = asked.find(id);
    if (it == asked.end())
      PrintFatalError("'" + id +
                      "' has no probe and does not say why "
                      "(dialects/ANE/Targets/Probes.td)");
    emitProbe(os, it->second, fact);
  }
  os << "};\nstatic const TargetValue kLimits[] = {\n";
  auto values = [&](StringRef list, StringRef key, auto value) {
    for (const Record *target : records.getAllDerivedDefinitions("ANE_Target"))
      for (const Record *entry : target->getValueAsListOfDefs(list))
        os << "  {" << literal(target->getValueAsString("target")) << ", "
           << literal(entry->getValueAsString(key)) << ", " << value(entry)
           << ", " << literal(entry->getValueAsString("source")) << "},\n";
  };
  values("limits", "id", [](const Record *limit) {
    return std::to_string(limit->getValueAsInt("value"));
  });
  os << "};\nstatic const TargetValue kCosts[] = {\n";
  values("costs", "parameter", [](const Record *cost) {
    return cost->getValueAsString("value").str();
  });
  os << "};\nstatic const TargetValue kFamilies[] = {\n";
  for (const Record *target : records.getAllDerivedDefinitions("ANE_Target"))
    os << "  {" << literal(target->getValueAsString("target")) << ", \"\", "
       << target->getValueAsInt("family") << ", \"\"},\n";
  os << "};\nstatic const char *const kChips[][2] = {\n";
  for (const Record *target : records.getAllDerivedDefinitions("ANE_Target"))
    for (StringRef chip : target->getValueAsListOfStrings("chips"))
      os << "  {" << literal(chip) << ", "
         << literal(target->getValueAsString("target")) << "},\n";
  os << "};\n";
  return false;
}
static mlir::GenRegistration
    genProbes("gen-probes", "Tables of questions for ane-probe", emitProbes);
