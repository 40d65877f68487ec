//===- OpTableGen.cpp - tables over all ane ops ---------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// -gen-op-table  what ANEToMIL, MILToANE and the legality check know of an op,
//                and the import table: ONNX (domain, op, since) -> ane op
// -gen-coverage  the same as Markdown
//
//===----------------------------------------------------------------------===//

#include "mlir/TableGen/GenInfo.h"
#include "mlir/TableGen/Operator.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/TableGen/Error.h"
#include "llvm/TableGen/Record.h"

using namespace llvm;
using mlir::tblgen::NamedAttribute;
using mlir::tblgen::NamedTypeConstraint;
using mlir::tblgen::Operator;

static std::string quote(StringRef text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\')
      out += '\\';
    out += c == '\n' ? ' ' : c;
  }
  return out + "\"";
}

/// The ArgKind enumerator of an attribute, from its storage type.
static StringRef attributeKind(const Record &def, const NamedAttribute &attr) {
  StringRef kind =
      StringSwitch<StringRef>(attr.attr.getBaseAttr().getStorageType().trim())
          .Case("::mlir::IntegerAttr", "Int")
          .Case("::mlir::BoolAttr", "Bool")
          .Case("::mlir::FloatAttr", "Float")
          .Case("::mlir::StringAttr", "String")
          .Case("::mlir::DenseI64ArrayAttr", "Ints")
          .Case("::mlir::DenseBoolArrayAttr", "Bools")
          .Case("::mlir::TypeAttr", "DType")
          .Default("");
  if (kind.empty())
    PrintFatalError(
        def.getLoc(),
        "attribute '" + attr.name +
            "' has a storage type that MIL arguments cannot express");
  return kind;
}

/// Rows of the ONNX import table.
static void emitImportTable(const RecordKeeper &records, raw_ostream &os) {
  unsigned count = 0;
  std::string rows;
  for (const Record *def : records.getAllDerivedDefinitions("ANE_Op")) {
    for (const Record *from : def->getValueAsListOfDefs("imports")) {
      std::string renames = "{}";
      auto attrs = from->getValueAsListOfStrings("attrs");
      if (!attrs.empty()) {
        os << "static constexpr llvm::StringLiteral kRenames" << count
           << "[] = {";
        for (StringRef attr : attrs)
          os << quote(attr) << ", ";
        os << "};\n";
        renames = "kRenames" + std::to_string(count);
      }
      ++count;
      rows += "  {" + quote(from->getValueAsString("domain")) + ", " +
              quote(from->getValueAsString("onnxOp")) + ", " +
              std::to_string(from->getValueAsInt("since")) + ", " +
              quote(Operator(def).getOperationName()) + ", " + renames + "},\n";
    }
  }
  os << "static constexpr ImportRow kImportRows[] = {\n" << rows << "};\n";
}

/// The words of an attribute that is one of some, as an array's name.
static std::string wordsOf(const NamedAttribute &attr) {
  const RecordVal *choices =
      attr.attr.getBaseAttr().getDef().getValue("enumeration");
  return choices ? "kWords" + cast<DefInit>(choices->getValue())
                                  ->getDef()
                                  ->getValueAsString("className")
                                  .str()
                 : "{}";
}

static bool emitOpTable(const RecordKeeper &records, raw_ostream &os) {
  for (const Record *def : records.getAllDerivedDefinitions("ANE_Words")) {
    os << "static constexpr llvm::StringLiteral kWords"
       << def->getValueAsString("className") << "[] = {";
    for (StringRef word : def->getValueAsListOfStrings("words"))
      os << quote(word) << ", ";
    os << "};\n";
  }
  for (const Record *def : records.getAllDerivedDefinitions("ANE_Op")) {
    if (def->getValueAsString("milName").empty())
      continue;
    Operator op(def);
    auto unsignedArgs = def->getValueAsListOfStrings("milUnsigned");
    StringMap<int> since;
    for (StringRef entry : def->getValueAsListOfStrings("milSince")) {
      auto [name, opset] = entry.split('=');
      if (opset.getAsInteger(10, since[name]))
        PrintFatalError(def->getLoc(), "expects milSince as \"name=opset\"");
    }
    std::string id = op.getCppClassName().str();
    os << "static constexpr ArgInfo k" << id << "Args[] = {";
    for (int i = 0, e = op.getNumArgs(); i < e; ++i) {
      auto arg = op.getArg(i);
      if (auto *operand = dyn_cast<NamedTypeConstraint *>(arg)) {
        StringRef kind = operand->isOptional()   ? "OptionalOperand"
                         : operand->isVariadic() ? "VariadicOperand"
                                                 : "Operand";
        os << "{" << quote(operand->name) << ", ArgKind::" << kind
           << ", false, false, " << since.lookup(operand->name) << ", {}}, ";
      } else if (auto *attr = dyn_cast<NamedAttribute *>(arg)) {
        os << "{" << quote(attr->name)
           << ", ArgKind::" << attributeKind(*def, *attr) << ", "
           << (attr->attr.isOptional() || attr->attr.hasDefaultValue() ? "false"
                                                                       : "true")
           << ", "
           << (is_contained(unsignedArgs, attr->name) ? "true" : "false")
           << ", " << since.lookup(attr->name) << ", " << wordsOf(*attr)
           << "}, ";
      }
    }
    os << "};\n";
  }
  os << "static constexpr OpInfo kOps[] = {\n";
  for (const Record *def : records.getAllDerivedDefinitions("ANE_Op")) {
    if (def->getValueAsString("milName").empty())
      continue;
    Operator op(def);
    const Record *evidence = def->getValueAsDef("evidence");
    os << "  {" << quote(op.getOperationName()) << ", "
       << quote(def->getValueAsString("milName")) << ", "
       << def->getValueAsInt("milOpset") << ", Evidence::"
       << StringSwitch<StringRef>(evidence->getValueAsString("level"))
              .Case("raw", "Raw")
              .Case("compiled", "Compiled")
              .Case("e5rt", "E5RT")
              .Case("table", "Table")
              .Case("decomposed", "Decomposed")
              .Default("Host")
       << ", " << quote(evidence->getValueAsString("rule")) << ", "
       << quote(evidence->getValueAsString("why")) << ", "
       << (def->getValueAsString("scalar").empty() &&
                   def->getValueAsString("scalarInt").empty()
               ? "false"
               : "true");
    for (StringRef field : {"movesElements", "picksElements"})
      os << ", " << (def->getValueAsBit(field) ? "true" : "false");
    os << ", k" << op.getCppClassName() << "Args},\n";
  }
  os << "};\n";
  emitImportTable(records, os);
  return false;
}

static bool emitCoverage(const RecordKeeper &records, raw_ostream &os) {
  os << "<!-- Generated from the op records by ane-tblgen -gen-coverage. "
        "-->\n\n# Op coverage\n\n"
     << "| ane op | MIL op | since | ONNX | engine evidence | summary "
        "|\n|---|---|---|---|---|---|\n";
  unsigned count = 0;
  for (const Record *def : records.getAllDerivedDefinitions("ANE_Op")) {
    if (def->getValueAsString("milName").empty())
      continue;
    Operator op(def);
    ++count;
    os << "| `" << op.getOperationName() << "` | `"
       << def->getValueAsString("milName") << "` | ios"
       << def->getValueAsInt("milOpset") << " | ";
    ListSeparator comma;
    for (const Record *from : def->getValueAsListOfDefs("imports"))
      os << comma << from->getValueAsString("onnxOp") << "-"
         << from->getValueAsInt("since");
    const Record *evidence = def->getValueAsDef("evidence");
    os << " | " << evidence->getValueAsString("level");
    if (!evidence->getValueAsString("rule").empty())
      os << " (" << evidence->getValueAsString("rule") << ": "
         << evidence->getValueAsString("why") << ")";
    os << " | " << op.getSummary() << " |\n";
  }
  os << "\n"
     << count
     << " ops. ONNX operators with more than one MIL op behind them are in "
        "lib/Conversion/ONNXToANE.\n";
  return false;
}

static mlir::GenRegistration genOpTable("gen-op-table",
                                        "What conversions know of each ane op",
                                        emitOpTable);
static mlir::GenRegistration
    genCoverage("gen-coverage", "Markdown table of the ops", emitCoverage);
