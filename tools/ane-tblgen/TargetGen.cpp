//===- TargetGen.cpp - tables of target facts -----------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// -gen-targets      C++ tables for dialects/ANE/IR/Target.cpp
// -gen-target-doc   the same as Markdown, with sources
//
//===----------------------------------------------------------------------===//

#include "mlir/TableGen/GenInfo.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/TableGen/Error.h"
#include "llvm/TableGen/Record.h"

using namespace llvm;

static std::vector<const Record *> sortedTargets(const RecordKeeper &records) {
  std::vector<const Record *> targets =
      records.getAllDerivedDefinitions("ANE_Target");
  llvm::sort(targets, [](const Record *a, const Record *b) {
    return a->getValueAsInt("family") < b->getValueAsInt("family");
  });
  return targets;
}

static void checkSources(const Record *fact, StringRef what) {
  if (fact->getValueAsString("source").empty())
    PrintFatalError(fact->getLoc(), what + " has no source");
}

static bool emitTargets(const RecordKeeper &records, raw_ostream &os) {
  for (const Record *target : sortedTargets(records)) {
    StringRef name = target->getValueAsString("target");
    os << "static constexpr Limit k_" << name << "_limits[] = {\n";
    for (const Record *limit : target->getValueAsListOfDefs("limits")) {
      checkSources(limit, "limit");
      os << "  {\"" << limit->getValueAsString("id") << "\", "
         << limit->getValueAsInt("value") << ", '"
         << limit->getValueAsString("grade") << "', \""
         << limit->getValueAsString("source") << "\"},\n";
    }
    os << "};\nstatic constexpr CostParameter k_" << name << "_costs[] = {\n";
    for (const Record *cost : target->getValueAsListOfDefs("costs")) {
      checkSources(cost, "cost parameter");
      os << "  {\"" << cost->getValueAsString("parameter") << "\", "
         << cost->getValueAsString("value") << ", \""
         << cost->getValueAsString("unit") << "\", \""
         << cost->getValueAsString("source") << "\"},\n";
    }
    os << "};\nstatic constexpr llvm::StringLiteral k_" << name
       << "_chips[] = {";
    for (StringRef chip : target->getValueAsListOfStrings("chips"))
      os << '"' << chip << "\", ";
    os << "};\n";
  }
  os << "static constexpr Target kTargets[] = {\n";
  for (const Record *target : sortedTargets(records)) {
    StringRef name = target->getValueAsString("target");
    os << "  {\"" << name << "\", \"" << target->getValueAsString("summary")
       << "\", k_" << name << "_chips, " << target->getValueAsInt("family")
       << ", "
       << (target->getValueAsString("dialect") == "verbose" ? "true" : "false")
       << ", k_" << name << "_limits, k_" << name << "_costs, {";
    const Record *numerics = target->getValueAsDef("numerics");
    checkSources(numerics, "numeric contract");
    os << "NumericContract::Accumulator::"
       << StringSwitch<StringRef>(numerics->getValueAsString("accumulator"))
              .Case("fp32", "Float32")
              .Case("q15.16", "Fixed")
              .Default("ZeroOnOverflow")
       << ", " << numerics->getValueAsBit("productRounds") << ", "
       << numerics->getValueAsBit("tiesAway") << ", "
       << numerics->getValueAsBit("nanIsInf") << ", '"
       << numerics->getValueAsString("grade") << "', \""
       << numerics->getValueAsString("source") << "\"}},\n";
  }
  os << "};\nstatic constexpr Rule kRules[] = {\n";
  for (const Record *rule : records.getAllDerivedDefinitions("ANE_Rule")) {
    checkSources(rule, "rule");
    os << "  {\"" << rule->getValueAsString("id") << "\", \""
       << rule->getValueAsString("text") << "\", '"
       << rule->getValueAsString("grade") << "', \""
       << rule->getValueAsString("source") << "\"},\n";
  }
  os << "};\n";
  return false;
}

static bool emitTargetDoc(const RecordKeeper &records, raw_ostream &os) {
  os << "<!-- Generated from dialects/ANE/Targets by ane-tblgen "
        "-gen-target-doc. -->\n\n# Targets\n";
  for (const Record *target : sortedTargets(records)) {
    os << "\n## " << target->getValueAsString("target") << " ("
       << target->getValueAsString("summary")
       << ")\n\n| fact | value | unit | grade | source "
          "|\n|---|---|---|---|---|\n";
    for (const Record *limit : target->getValueAsListOfDefs("limits"))
      os << "| " << limit->getValueAsString("id") << " | "
         << limit->getValueAsInt("value") << " | | "
         << limit->getValueAsString("grade") << " | "
         << limit->getValueAsString("source") << " |\n";
    const Record *numerics = target->getValueAsDef("numerics");
    os << "| accumulator | " << numerics->getValueAsString("accumulator")
       << (numerics->getValueAsBit("productRounds") ? ", products in fp16" : "")
       << (numerics->getValueAsBit("tiesAway") ? ", ties away from zero" : "")
       << " | | " << numerics->getValueAsString("grade") << " | "
       << numerics->getValueAsString("source") << " |\n";
    for (const Record *cost : target->getValueAsListOfDefs("costs"))
      os << "| " << cost->getValueAsString("parameter") << " | "
         << cost->getValueAsString("value") << " | "
         << cost->getValueAsString("unit") << " | | "
         << cost->getValueAsString("source") << " |\n";
  }
  os << "\n## Rules\n\nCE does not compile, EE fails when it runs, SW silently "
        "wrong, SL slow; grade ? is a conflict between sources.\n\n| rule | "
        "says | grade | source | seen | here |\n|---|---|---|---|---|---|\n";
  for (const Record *rule : records.getAllDerivedDefinitions("ANE_Rule"))
    os << "| " << rule->getValueAsString("id") << " | "
       << rule->getValueAsString("text") << " | "
       << rule->getValueAsString("grade") << " | "
       << rule->getValueAsString("source") << " | "
       << rule->getValueAsString("seen") << " | "
       << rule->getValueAsString("here") << " |\n";
  return false;
}

static mlir::GenRegistration genTargets("gen-targets", "Tables of target facts",
                                        emitTargets);
static mlir::GenRegistration genTargetDoc("gen-target-doc",
                                          "Markdown table of target facts",
                                          emitTargetDoc);
