//===- EvaluatorGen.cpp - evaluators of ane ops ---------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// -gen-evaluators: of a family, the declaration of an evaluator per op that
// answers EvaluateOpInterface, the definitions of those whose record carries a
// `scalar` expression, and the function that puts them into the table. The file
// of lib/Interpreter that evaluates the family includes it at its end.
//
//===----------------------------------------------------------------------===//

#include "mlir/TableGen/GenInfo.h"
#include "mlir/TableGen/Operator.h"
#include "llvm/Support/Path.h"
#include "llvm/TableGen/Record.h"

using namespace llvm;
using mlir::tblgen::NamedAttribute;
using mlir::tblgen::Operator;

static std::vector<const Record *> evaluatedOps(const RecordKeeper &records) {
  std::vector<const Record *> ops;
  for (const Record *def : records.getAllDerivedDefinitions("ANE_Op"))
    if (!def->getValueAsString("milName").empty())
      ops.push_back(def);
  return ops;
}

static void emitDefinition(const Record &def, raw_ostream &os) {
  StringRef scalar = def.getValueAsString("scalar"),
            scalarInt = def.getValueAsString("scalarInt");
  if (scalar.empty() && scalarInt.empty())
    return;
  Operator op(&def);
  bool binary = op.getNumOperands() == 2;
  os << "LogicalResult evaluateOp(" << op.getCppClassName()
     << " op, EvalContext &context, ArrayRef<Tensor> inputs, "
        "SmallVectorImpl<Tensor> &outputs) {\n";
  for (const NamedAttribute &attr : op.getAttributes())
    if (attr.attr.getBaseAttr().getStorageType().trim() == "::mlir::FloatAttr")
      os << "  [[maybe_unused]] const float " << attr.name
         << " = context.roundParameter(op." << op.getGetterName(attr.name)
         << "(), inputs[0].dtype());\n";
  os << "  return " << (binary ? "evaluateBinary" : "evaluateUnary")
     << "(op, context, inputs, outputs,\n      ";
  auto lambda = [&](StringRef type, StringRef expr) {
    if (expr.empty()) {
      os << "nullptr";
      return;
    }
    os << "[=](" << type << " x" << (binary ? (", " + type + " y").str() : "")
       << ") { (void)x; return " << expr << "; }";
  };
  lambda("float", scalar);
  os << ",\n      ";
  lambda("int64_t", scalarInt);
  os << ");\n}\n";
}

static bool emitEvaluators(const RecordKeeper &records, raw_ostream &os) {
  std::vector<const Record *> ops = evaluatedOps(records);
  for (const Record *def : ops)
    os << "LogicalResult evaluateOp(" << Operator(def).getCppClassName()
       << " op, EvalContext &context, ArrayRef<Tensor> inputs, "
          "SmallVectorImpl<Tensor> &outputs);\n";
  for (const Record *def : ops)
    emitDefinition(*def, os);
  os << "void add" << sys::path::stem(records.getInputFilename())
     << "Evaluators(EvaluatorTable &table) {\n";
  for (const Record *def : ops)
    os << "  table[\"" << Operator(def).getOperationName()
       << "\"] = callEvaluator<" << Operator(def).getCppClassName() << ">;\n";
  os << "}\n";
  return false;
}

static mlir::GenRegistration
    genEvaluators("gen-evaluators", "Evaluators of a family", emitEvaluators);
