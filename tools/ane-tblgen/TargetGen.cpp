//===- TargetGen.cpp - tables of target facts -----------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// -gen-target-ids   the enumerations LimitId and CostId
// -gen-targets      C++ tables for dialects/ANE/IR/Target.cpp
// -gen-explanations what --explain prints: rules, limits, sources
// -gen-target-doc   the same as Markdown, with sources
//
//===----------------------------------------------------------------------===//

#include "mlir/TableGen/GenInfo.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/TableGen/Error.h"
#include "llvm/TableGen/Record.h"

using namespace llvm;

/// In the order of their records.
static std::vector<const Record *> sortedTargets(const RecordKeeper &records) {
  std::vector<const Record *> targets =
      records.getAllDerivedDefinitions("ANE_Target");
  llvm::sort(targets, [](const Record *a, const Record *b) {
    return a->getID() < b->getID();
  });
  return targets;
}

/// The source that a word names, MX for MX4 as well; null for a word that names
/// none.
static const Record *findSource(const RecordKeeper &records, StringRef word) {
  const Record *found = nullptr;
  size_t length = 0;
  for (const Record *source : records.getAllDerivedDefinitions("ANE_Source")) {
    StringRef code = source->getValueAsString("abbreviation"), rest = word;
    if (rest.consume_front(code) &&
        rest.find_first_not_of("0123456789") == StringRef::npos &&
        code.size() > length) {
      found = source;
      length = code.size();
    }
  }
  return found;
}

/// Words in capitals, in order, that are neither a target nor a chip: codes of
/// sources.
static SmallVector<StringRef> findCodes(StringRef text) {
  SmallVector<StringRef> codes;
  while (!text.empty()) {
    text = text.drop_until(llvm::isAlnum);
    StringRef word = text.take_while(llvm::isAlnum);
    text = text.drop_front(word.size());
    if (word.empty())
      break;
    bool capitals = word.size() >= 2 && llvm::isUpper(word[0]) &&
                    llvm::none_of(word, llvm::isLower);
    // M4 and A14 are chips, H16 a target, E5RT and RAW are doors; S20 is a
    // limit; MB a unit.
    bool other =
        (StringRef("AHMLS").contains(word.take_front()) && word.size() <= 4 &&
         llvm::all_of(word.drop_front(), llvm::isDigit) && word != "H3") ||
        word == "RAW" || word == "E5RT" || word == "MB" || word == "GB" ||
        word == "ML" || word == "TOPS" || word == "TFLOPS";
    if (capitals && !other)
      codes.push_back(word);
  }
  return codes;
}

static void checkSources(const RecordKeeper &records, const Record *fact,
                         StringRef what) {
  StringRef source = fact->getValueAsString("source");
  if (source.empty())
    PrintFatalError(fact->getLoc(), what + " has no source");
  for (StringRef code : findCodes(source))
    if (!findSource(records, code))
      PrintFatalError(fact->getLoc(),
                      what + " names the source '" + code +
                          "', of which there is no record (ANE_Source)");
}

/// A cell of a table.
static std::string markdown(StringRef text) {
  std::string result;
  for (char c : text)
    result += c == '|' ? std::string("\\|") : std::string(1, c);
  return result;
}

/// Bit n for generation n.
static unsigned familyBits(const Record *rule) {
  unsigned bits = 0;
  for (int64_t family : rule->getValueAsListOfInts("families"))
    bits |= 1u << family;
  return bits;
}

/// Identifiers of all limits, in the order in which targets first name them.
static SetVector<StringRef> limitIds(const RecordKeeper &records) {
  SetVector<StringRef> ids;
  for (const Record *target : sortedTargets(records))
    for (const Record *limit : target->getValueAsListOfDefs("limits"))
      ids.insert(limit->getValueAsString("id"));
  return ids;
}

/// Names of the cost parameters, which are the same ones of every target.
static std::vector<StringRef> costNames(const RecordKeeper &records) {
  std::vector<StringRef> first;
  for (const Record *target : sortedTargets(records)) {
    std::vector<StringRef> names;
    for (const Record *cost : target->getValueAsListOfDefs("costs"))
      names.push_back(cost->getValueAsString("parameter"));
    if (first.empty())
      first = names;
    if (names != first)
      PrintFatalError(target->getLoc(),
                      "target has other cost parameters than the first");
  }
  return first;
}

static bool emitTargetIds(const RecordKeeper &records, raw_ostream &os) {
  os << "enum class LimitId : uint8_t {";
  for (StringRef id : limitIds(records))
    os << id << ", ";
  os << "};\nenum class CostId : uint8_t {";
  for (StringRef name : costNames(records))
    os << convertToCamelFromSnakeCase(name, /*capitalizeFirst=*/true) << ", ";
  os << "};\n";
  return false;
}

static bool emitTargets(const RecordKeeper &records, raw_ostream &os) {
  SetVector<StringRef> ids = limitIds(records);
  os << "static constexpr llvm::StringLiteral kLimitNames[] = {";
  for (StringRef id : ids)
    os << '"' << id << "\", ";
  os << "};\n";
  for (const Record *target : sortedTargets(records)) {
    StringRef name = target->getValueAsString("target");
    os << "static constexpr Limit k_" << name << "_limits[] = {\n";
    for (const Record *limit : target->getValueAsListOfDefs("limits")) {
      checkSources(records, limit, "limit");
      os << "  {\"" << limit->getValueAsString("id") << "\", "
         << limit->getValueAsInt("value") << ", '"
         << limit->getValueAsString("grade") << "', \""
         << limit->getValueAsString("source") << "\"},\n";
    }
    os << "};\nstatic constexpr int8_t k_" << name << "_places[] = {";
    std::vector<const Record *> limits = target->getValueAsListOfDefs("limits");
    for (StringRef id : ids) {
      auto it = llvm::find_if(limits, [&](const Record *limit) {
        return limit->getValueAsString("id") == id;
      });
      os << (it == limits.end() ? -1 : it - limits.begin()) << ", ";
    }
    os << "};\nstatic constexpr CostParameter k_" << name << "_costs[] = {\n";
    for (const Record *cost : target->getValueAsListOfDefs("costs")) {
      checkSources(records, cost, "cost parameter");
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
       << ", k_" << name << "_limits, k_" << name << "_places, k_" << name
       << "_costs, {";
    const Record *numerics = target->getValueAsDef("numerics");
    checkSources(records, numerics, "numeric contract");
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
    checkSources(records, rule, "rule");
    os << "  {\"" << rule->getValueAsString("id") << "\", \""
       << rule->getValueAsString("text") << "\", '"
       << rule->getValueAsString("grade") << "', \""
       << rule->getValueAsString("source") << "\", " << familyBits(rule) << ", "
       << rule->getValueAsBit("optional") << "},\n";
  }
  os << "};\n";
  return false;
}

/// A table of what is known of an identifier, and one of sources.
static bool emitExplanations(const RecordKeeper &records, raw_ostream &os) {
  os << "static constexpr Explanation kExplanations[] = {\n";
  auto quote = [](StringRef text) {
    std::string result = "\"";
    raw_string_ostream stream(result);
    llvm::printEscapedString(text, stream);
    return result + "\"";
  };
  auto add = [&](const Record *fact, StringRef text, StringRef seen,
                 StringRef here, StringRef remedy) {
    os << "  {" << quote(fact->getValueAsString("id")) << ", " << quote(text)
       << ", '" << fact->getValueAsString("grade") << "', "
       << quote(fact->getValueAsString("source")) << ", " << quote(seen) << ", "
       << quote(here) << ", " << quote(remedy) << "},\n";
  };
  for (const Record *rule : records.getAllDerivedDefinitions("ANE_Rule"))
    add(rule, rule->getValueAsString("text"), rule->getValueAsString("seen"),
        rule->getValueAsString("here"), rule->getValueAsString("remedy"));
  StringSet<> limits;
  for (const Record *target : sortedTargets(records))
    for (const Record *limit : target->getValueAsListOfDefs("limits"))
      if (limits.insert(limit->getValueAsString("id")).second)
        add(limit, ("largest " + limit->getValueAsString("what")).str(), "", "",
            "");
  os << "};\nstatic constexpr Source kSources[] = {\n";
  for (const Record *source : records.getAllDerivedDefinitions("ANE_Source"))
    os << "  {" << quote(source->getValueAsString("abbreviation")) << ", "
       << quote(source->getValueAsString("where")) << ", "
       << quote(source->getValueAsString("evidence")) << "},\n";
  os << "};\n";
  return false;
}

static bool emitTargetDoc(const RecordKeeper &records, raw_ostream &os) {
  os << "<!-- Generated from dialects/ANE/Targets by ane-tblgen "
        "-gen-target-doc. -->\n\n# Targets\n";
  for (const Record *target : sortedTargets(records)) {
    os << "\n## " << target->getValueAsString("target") << " ("
       << target->getValueAsString("summary")
       << ")\n\n| fact | what | value | unit | grade | source "
          "|\n|---|---|---|---|---|---|\n";
    for (const Record *limit : target->getValueAsListOfDefs("limits"))
      os << "| " << limit->getValueAsString("id") << " | largest "
         << markdown(limit->getValueAsString("what")) << " | "
         << limit->getValueAsInt("value") << " | | "
         << limit->getValueAsString("grade") << " | "
         << limit->getValueAsString("source") << " |\n";
    const Record *numerics = target->getValueAsDef("numerics");
    os << "| accumulator | | " << numerics->getValueAsString("accumulator")
       << (numerics->getValueAsBit("productRounds") ? ", products in fp16" : "")
       << (numerics->getValueAsBit("tiesAway") ? ", ties away from zero" : "")
       << " | | " << numerics->getValueAsString("grade") << " | "
       << numerics->getValueAsString("source") << " |\n";
    for (const Record *cost : target->getValueAsListOfDefs("costs"))
      os << "| " << cost->getValueAsString("parameter") << " | | "
         << cost->getValueAsString("value") << " | "
         << cost->getValueAsString("unit") << " | | "
         << cost->getValueAsString("source") << " |\n";
  }
  os << "\n## Rules\n\nCE does not compile, EE fails when it runs, SW silently "
        "wrong, SL slow; grade ? is a conflict between sources.\n\n| rule | "
        "says | grade | source | seen | here | what to do "
        "|\n|---|---|---|---|---|---|---|\n";
  for (const Record *rule : records.getAllDerivedDefinitions("ANE_Rule"))
    os << "| " << rule->getValueAsString("id") << " | "
       << rule->getValueAsString("text") << " | "
       << rule->getValueAsString("grade") << " | "
       << rule->getValueAsString("source") << " | "
       << rule->getValueAsString("seen") << " | "
       << rule->getValueAsString("here") << " | "
       << rule->getValueAsString("remedy") << " |\n";
  os << "\n## Sources\n\nGrades: A two or more independent measurements or "
        "shipped code, B one measurement with a check, C one report, D static "
        "tables or inference. Digits behind a code are a part of that source.\n"
        "\n| code | what it is | evidence |\n|---|---|---|\n";
  for (const Record *source : records.getAllDerivedDefinitions("ANE_Source"))
    os << "| " << source->getValueAsString("abbreviation") << " | "
       << source->getValueAsString("where") << " | "
       << source->getValueAsString("evidence") << " |\n";
  return false;
}

static mlir::GenRegistration
    genTargetIds("gen-target-ids", "Enumerations of limits and cost parameters",
                 emitTargetIds);
static mlir::GenRegistration genTargets("gen-targets", "Tables of target facts",
                                        emitTargets);
static mlir::GenRegistration genExplanations("gen-explanations",
                                             "Tables of what --explain prints",
                                             emitExplanations);
static mlir::GenRegistration genTargetDoc("gen-target-doc",
                                          "Markdown table of target facts",
                                          emitTargetDoc);
