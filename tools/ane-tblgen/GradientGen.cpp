//===- GradientGen.cpp - derivatives of ane ops ---------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// -gen-gradients: for each op of a family that is a function of tensors one of:
// a function made of the record's `gradient` expressions, the declaration of
// one that is written by hand (`ownGradient`), or the reason why there is none
// (`noGradient`); and the function that puts them into the table. An op that
// says nothing is an error here. The file of lib/Conversion/Gradients that
// differentiates the family includes it at its end.
//
//===----------------------------------------------------------------------===//

#include "mlir/TableGen/GenInfo.h"
#include "mlir/TableGen/Operator.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Path.h"
#include "llvm/TableGen/Error.h"
#include "llvm/TableGen/Record.h"

using namespace llvm;
using mlir::tblgen::NamedAttribute;
using mlir::tblgen::Operator;

/// Every element of the expressions is "0": only steps.
static bool isZero(ArrayRef<StringRef> expressions) {
  return all_of(expressions, [](StringRef e) { return e == "0"; });
}

static void emitExpressions(const Record &def, raw_ostream &os) {
  Operator op(&def);
  auto expressions = def.getValueAsListOfStrings("gradient");
  if ((int)expressions.size() != op.getNumOperands())
    PrintFatalError(def.getLoc(), "gradient has " + Twine(expressions.size()) +
                                      " expressions for " +
                                      Twine(op.getNumOperands()) + " operands");
  if (isZero(expressions))
    return;
  os << "static void differentiate(" << op.getCppClassName()
     << " op, Derivative &d) {\n  [[maybe_unused]] Term g = d.term(d.incoming("
        "0));\n";
  for (int i = 0; i < op.getNumOperands(); ++i)
    os << "  [[maybe_unused]] Term " << op.getOperand(i).name
       << " = d.term(op->getOperand(" << i << "));\n";
  for (int i = 0; i < op.getNumResults(); ++i)
    os << "  [[maybe_unused]] Term " << op.getResultName(i)
       << " = d.term(op->getResult(" << i << "));\n";
  for (const NamedAttribute &attr : op.getAttributes())
    if (attr.attr.getBaseAttr().getStorageType().trim() == "::mlir::FloatAttr")
      os << "  [[maybe_unused]] const double " << attr.name << " = op."
         << op.getGetterName(attr.name) << "().convertToDouble();\n";
  for (auto [i, expression] : enumerate(expressions))
    if (expression != "0")
      os << "  if (d.wants(" << i << "))\n    d.give(" << i << ", "
         << expression << ");\n";
  os << "}\n";
}

static bool emitGradients(const RecordKeeper &records, raw_ostream &os) {
  std::vector<const Record *> ops;
  for (const Record *def : records.getAllDerivedDefinitions("ANE_Op"))
    if (!def->getValueAsString("milName").empty())
      ops.push_back(def);
  for (const Record *def : ops)
    if (def->getValueAsBit("ownGradient"))
      os << "void differentiate(" << Operator(def).getCppClassName()
         << " op, Derivative &d);\n";
  for (const Record *def : ops)
    if (!def->getValueAsListOfStrings("gradient").empty())
      emitExpressions(*def, os);
  os << "void add" << sys::path::stem(records.getInputFilename())
     << "Gradients(GradientTable &table) {\n";
  for (const Record *def : ops) {
    std::string name = Operator(def).getOperationName();
    StringRef cpp = Operator(def).getCppClassName();
    auto expressions = def->getValueAsListOfStrings("gradient");
    StringRef reason = def->getValueAsString("noGradient");
    bool own = def->getValueAsBit("ownGradient");
    // Numbers drawn at random are no function of what is trained.
    bool source = Operator(def).getNumOperands() == 0;
    if (int(own) + !expressions.empty() + !reason.empty() > 1)
      PrintFatalError(def->getLoc(), "says more than one thing of its "
                                     "derivative");
    os << "  table[\"" << name << "\"] = {";
    if (source || (!expressions.empty() && isZero(expressions)))
      os << "+[](Operation *, Derivative &) {}, \"\"};\n";
    else if (own || !expressions.empty())
      os << "callDerivative<" << cpp << ">, \"\"};\n";
    else if (!reason.empty())
      os << "nullptr, \"" << reason << "\"};\n";
    else
      PrintFatalError(def->getLoc(),
                      "says nothing of its derivative: expects `gradient`, "
                      "`ownGradient` or `noGradient`");
  }
  os << "}\n";
  return false;
}

static mlir::GenRegistration genGradients("gen-gradients",
                                          "Derivatives from the records",
                                          emitGradients);
