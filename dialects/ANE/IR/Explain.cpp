//===- Explain.cpp - what is known of a rule ------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "dialects/ANE/IR/Explain.h"
#include "dialects/ANE/IR/Target.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Format.h"

using namespace mlir::ane;
using llvm::StringLiteral;
using llvm::StringRef;

namespace {
struct Explanation {
  StringLiteral id, text;
  char grade;
  StringLiteral source, seen, here, remedy;
};
struct Source {
  StringLiteral code, where, evidence;
};
} // namespace

#include "dialects/ANE/IR/Explanations.inc"

static StringRef gradeText(char grade) {
  switch (grade) {
  case 'A':
    return "two or more independent measurements, or shipped code";
  case 'B':
    return "one measurement with a check";
  case 'C':
    return "one report";
  case 'D':
    return "static tables or inference";
  default:
    return "sources disagree";
  }
}

static const Source *findSource(StringRef word) {
  const Source *found = nullptr;
  for (const Source &source : kSources) {
    StringRef rest = word;
    if (rest.consume_front(source.code) && llvm::all_of(rest, llvm::isDigit) &&
        (!found || found->code.size() < source.code.size()))
      found = &source;
  }
  return found;
}

static void printSources(StringRef text, llvm::raw_ostream &os) {
  llvm::SmallVector<const Source *> named;
  for (StringRef rest = text; !rest.empty();) {
    rest = rest.drop_until(llvm::isAlnum);
    StringRef word = rest.take_while(llvm::isAlnum);
    rest = rest.drop_front(word.size());
    if (const Source *source = findSource(word);
        source && !llvm::is_contained(named, source))
      named.push_back(source);
  }
  for (const Source *source : named)
    os << "    " << llvm::left_justify(source->code, 4) << source->where << " ("
       << source->evidence << ")\n";
}

StringRef mlir::ane::remedyOf(StringRef id) {
  for (const Explanation &e : kExplanations)
    if (e.id == id)
      return e.remedy;
  return "";
}

/// Chapter and section of engine.md that hold a rule or limit.
static std::string placeOf(StringRef id) {
  if (id.starts_with("S"))
    return "legality.md, section 4.1";
  if (id.starts_with("L"))
    return "legality.md, section 4.2";
  return ("operations.md, section " + id).str();
}

bool mlir::ane::explain(StringRef id, llvm::raw_ostream &os,
                        llvm::raw_ostream &errors) {
  for (const Explanation &e : kExplanations) {
    if (!e.id.equals_insensitive(id))
      continue;
    os << e.id << ": " << e.text << '\n';
    for (const Target &target : getTargets())
      if (const Limit *limit = target.findLimit(e.id))
        os << "  " << llvm::left_justify(target.name, 8) << limit->value
           << "  (" << target.summary << "; " << limit->source << ")\n";
    if (!e.seen.empty())
      os << "  seen: " << e.seen << '\n';
    os << "  evidence: " << e.grade << ", " << gradeText(e.grade) << "; "
       << e.source << '\n';
    printSources(e.source, os);
    if (!e.here.empty())
      os << "  here: " << e.here << '\n';
    if (!e.remedy.empty())
      os << "  what to do: " << e.remedy << '\n';
    else if (lookupRule(e.id) == nullptr)
      os << "  what to do: stay at or below the limit, or leave the operation "
            "on the host\n";
    os << "  more: dialects/ANE/engine/" << placeOf(e.id) << '\n';
    return true;
  }
  if (const Source *source = findSource(id)) {
    os << source->code << ": " << source->where
       << "\n  evidence: " << source->evidence
       << "\n  more: dialects/ANE/engine.md, section 0.3\n";
    return true;
  }
  errors << "nothing is known of '" << id << "'";
  if (StringRef near = nearestRule(id); !near.empty())
    errors << "; did you mean " << near << "?";
  errors << "\nrules and limits:";
  for (const Explanation &e : kExplanations)
    errors << ' ' << e.id;
  errors << "\nsources:";
  for (const Source &source : kSources)
    errors << ' ' << source.code;
  errors << '\n';
  return false;
}

StringRef mlir::ane::nearestRule(StringRef id) {
  StringRef best;
  unsigned distance = 3;
  for (const Explanation &e : kExplanations)
    if (unsigned d = StringRef(e.id).edit_distance_insensitive(id);
        d < distance) {
      best = e.id;
      distance = d;
    }
  return best;
}
