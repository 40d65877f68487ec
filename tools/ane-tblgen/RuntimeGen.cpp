//===- RuntimeGen.cpp - constants of the run-time contract ----------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// -gen-runtime-facts   a header of constants for lib/Runtime, which links
//                      nothing of ours
// -gen-runtime-facts-c the same as macros
//
//===----------------------------------------------------------------------===//

#include "mlir/TableGen/GenInfo.h"
#include "llvm/TableGen/Error.h"
#include "llvm/TableGen/Record.h"

using namespace llvm;

static bool emitRuntimeFacts(const RecordKeeper &records, raw_ostream &os) {
  os << "// From dialects/ANE/Targets/Runtime.td.\n#include <cstdint>\n"
        "namespace ane::runtime::facts {\n";
  for (const Record *fact :
       records.getAllDerivedDefinitions("ANE_RuntimeFact")) {
    if (fact->getValueAsString("source").empty())
      PrintFatalError(fact->getLoc(), "a fact has no source");
    os << "/// " << fact->getValueAsString("rule") << ": "
       << fact->getValueAsString("what");
    if (StringRef unit = fact->getValueAsString("unit"); !unit.empty())
      os << ", in " << unit;
    os << " (" << fact->getValueAsString("grade") << ": "
       << fact->getValueAsString("source") << ").\ninline constexpr int64_t "
       << fact->getName() << " = " << fact->getValueAsInt("value") << ";\n";
  }
  os << "} // namespace ane::runtime::facts\n";
  return false;
}
static mlir::GenRegistration
    genRuntimeFacts("gen-runtime-facts",
                    "Constants of the run-time contract for lib/Runtime",
                    emitRuntimeFacts);

static bool emitMacros(const RecordKeeper &records, raw_ostream &os) {
  os << "/* From dialects/ANE/Targets/Runtime.td. */\n";
  for (const Record *fact : records.getAllDerivedDefinitions("ANE_RuntimeFact"))
    os << "#define ANE_FACT_" << fact->getName() << ' '
       << fact->getValueAsInt("value") << '\n';
  return false;
}
static mlir::GenRegistration
    genMacros("gen-runtime-facts-c",
              "Constants of the run-time contract as macros", emitMacros);
