//===- MarkGen.cpp - attributes that no op owns ---------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// -gen-marks     names and checks of Marks.td, for Marks.h and Marks.cpp
// -gen-mark-doc  the same as Markdown
//
//===----------------------------------------------------------------------===//

#include "mlir/TableGen/Attribute.h"
#include "mlir/TableGen/Format.h"
#include "mlir/TableGen/GenInfo.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/TableGen/Record.h"
#include <map>

using namespace llvm;

static std::map<std::string, const Record *>
findMarks(const RecordKeeper &records) {
  std::map<std::string, const Record *> marks;
  for (const Record *def : records.getAllDerivedDefinitions("ANE_Mark"))
    marks[def->getValueAsString("name").str()] = def;
  return marks;
}

static std::string placesOf(const Record *mark) {
  std::string text;
  for (const Record *place : mark->getValueAsListOfDefs("places"))
    text +=
        (Twine(text.empty() ? "" : ", ") + place->getValueAsString("summary"))
            .str();
  return text;
}

static bool emitMarks(const RecordKeeper &records, raw_ostream &os) {
  auto marks = findMarks(records);
  os << "#ifdef ANE_MARK_NAMES\n";
  for (auto &[name, def] : marks)
    os << "/// " << def->getValueAsString("summary")
       << ".\ninline constexpr llvm::StringLiteral k"
       << convertToCamelFromSnakeCase(name, /*capitalizeFirst=*/true)
       << " = \"ane." << name << "\";\n";
  os << "#undef ANE_MARK_NAMES\n#endif\n#ifdef ANE_MARK_TABLE\nstatic "
        "constexpr Mark kMarks[] = {\n";
  mlir::tblgen::FmtContext context;
  context.withSelf("attr");
  for (auto &[name, def] : marks) {
    mlir::tblgen::Attribute type(def->getValueAsDef("type"));
    os << "  {\"ane." << name << "\", ";
    ListSeparator bar(" | ");
    for (const Record *place : def->getValueAsListOfDefs("places"))
      os << bar << place->getName();
    os << ", \"" << placesOf(def)
       << "\", [](::mlir::Attribute attr) -> bool { return "
       << mlir::tblgen::tgfmt(type.getConditionTemplate(), &context)
       << "; }, \"" << type.getSummary() << "\"},\n";
  }
  os << "};\n#undef ANE_MARK_TABLE\n#endif\n";
  return false;
}

static bool emitMarkDoc(const RecordKeeper &records, raw_ostream &os) {
  os << "<!-- Generated from Marks.td by ane-tblgen -gen-mark-doc. -->\n\n# "
        "Marks\n\nWhat passes and readers leave on operations, functions and "
        "modules: attributes of the `ane` dialect that no operation owns. One "
        "that is not listed, of another type or in another place does not "
        "verify.\n\n| attribute | on | type | meaning |\n|---|---|---|---|\n";
  for (auto &[name, def] : findMarks(records))
    os << "| `ane." << name << "` | " << placesOf(def) << " | "
       << mlir::tblgen::Attribute(def->getValueAsDef("type")).getSummary()
       << " | " << def->getValueAsString("summary") << " |\n";
  return false;
}

static mlir::GenRegistration genMarks("gen-marks", "Attributes that no op owns",
                                      emitMarks);
static mlir::GenRegistration genMarkDoc("gen-mark-doc",
                                        "Markdown table of them", emitMarkDoc);
