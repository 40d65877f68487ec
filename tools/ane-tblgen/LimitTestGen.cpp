//===- LimitTestGen.cpp - each limit, met and passed ----------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// -gen-limit-tests   modules for ane-place and FileCheck; refuses a limit that
//                    has neither a test nor a reason
//
//===----------------------------------------------------------------------===//

#include "mlir/TableGen/GenInfo.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/TableGen/Error.h"
#include "llvm/TableGen/Record.h"

using namespace llvm;

/// "64-N+1", from left to right.
static int64_t evaluate(StringRef text, int64_t n, const Record *test) {
  int64_t total = 0;
  char operation = '+';
  while (!text.empty()) {
    StringRef word = text.take_while(isAlnum);
    int64_t value = n;
    if (word != "N" && word.getAsInteger(10, value))
      PrintFatalError(test->getLoc(), "expects numbers, N and + - * /");
    total = operation == '+'   ? total + value
            : operation == '-' ? total - value
            : operation == '*' ? total * value
                               : total / value;
    text = text.drop_front(word.size());
    if (text.empty())
      break;
    operation = text.front();
    text = text.drop_front();
  }
  return total;
}

/// `text` with its expressions, as in $(64-N), replaced; $(1x^N) stands N
/// times.
static std::string instantiate(const Record *test, int64_t n) {
  StringRef text = test->getValueAsString("text");
  std::string result;
  while (true) {
    auto [before, rest] = text.split("$(");
    result += before;
    if (before.size() == text.size())
      return result;
    auto [expression, after] = rest.split(')');
    text = after;
    if (auto [what, count] = expression.split('^'); !count.empty())
      for (int64_t i = evaluate(count, n, test); i > 0; --i)
        result += what;
    else
      result += std::to_string(evaluate(expression, n, test));
  }
}

static bool emitLimitTests(const RecordKeeper &records, raw_ostream &os) {
  StringMap<const Record *> tests, reasons;
  for (const Record *test : records.getAllDerivedDefinitions("ANE_LimitTest"))
    tests[test->getValueAsString("id")] = test;
  for (const Record *none : records.getAllDerivedDefinitions("ANE_NoLimitTest"))
    reasons[none->getValueAsString("id")] = none;
  // Targets that agree on a value are one test.
  SetVector<std::pair<StringRef, int64_t>> seen;
  for (const Record *target : records.getAllDerivedDefinitions("ANE_Target"))
    for (const Record *limit : target->getValueAsListOfDefs("limits")) {
      StringRef id = limit->getValueAsString("id");
      int64_t value = limit->getValueAsInt("value");
      const Record *test = tests.lookup(id);
      if (!test && !reasons.contains(id))
        PrintFatalError(limit->getLoc(),
                        "limit " + id +
                            " has neither an ANE_LimitTest nor an "
                            "ANE_NoLimitTest");
      if (!test || !seen.insert({id, value}))
        continue;
      StringRef name = target->getValueAsString("target");
      os << "module attributes {ane.target = #ane.target<\"" << name << '"'
         << '>';
      if (StringRef off = test->getValueAsString("off"); !off.empty())
        os << ", ane.rules = {" << off << " = false}";
      os << "} {\n";
      for (bool past : {false, true})
        os << "  // CHECK-LABEL: func.func @" << id << '_' << name << '_'
           << (past ? "past" : "at") << '\n'
           << "  // CHECK" << (past ? "" : "-NOT") << ": ane.rule = \"" << id
           << "\"\n"
           << "  func.func @" << id << '_' << name << '_'
           << (past ? "past" : "at") << instantiate(test, value + past) << '\n';
      os << "}\n// -----\n";
    }
  os << "// CHECK-LABEL: func.func @end\nfunc.func @end() { return }\n";
  return false;
}

static mlir::GenRegistration genLimitTests("gen-limit-tests",
                                           "Every limit, met and passed",
                                           emitLimitTests);
