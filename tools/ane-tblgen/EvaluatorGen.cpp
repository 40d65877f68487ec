//===- EvaluatorGen.cpp - evaluators of ane ops ---------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// -gen-evaluator-decls  one declaration per op that answers
// EvaluateOpInterface, and the list that attaches them -gen-evaluator-defs
// definitions of those whose record carries a `scalar` expression
//
//===----------------------------------------------------------------------===//

#include "mlir/TableGen/GenInfo.h"
#include "mlir/TableGen/Operator.h"
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

static bool emitDecls(const RecordKeeper &records, raw_ostream &os) {
  os << "#ifdef GET_EVALUATOR_DECLS\n";
  for (const Record *def : evaluatedOps(records))
    os << "LogicalResult evaluateOp(" << Operator(def).getCppClassName()
       << " op, EvalContext &context, ArrayRef<Tensor> inputs, "
          "SmallVectorImpl<Tensor> &outputs);\n";
  os << "#endif\n#ifdef EVALUATED_OP\n";
  for (const Record *def : evaluatedOps(records))
    os << "EVALUATED_OP(" << Operator(def).getCppClassName() << ")\n";
  os << "#endif\n#undef GET_EVALUATOR_DECLS\n#undef EVALUATED_OP\n";
  return false;
}

static bool emitDefs(const RecordKeeper &records, raw_ostream &os) {
  for (const Record *def : evaluatedOps(records)) {
    StringRef scalar = def->getValueAsString("scalar"),
              scalarInt = def->getValueAsString("scalarInt");
    if (scalar.empty() && scalarInt.empty())
      continue;
    Operator op(def);
    bool binary = op.getNumOperands() == 2;
    os << "LogicalResult evaluateOp(" << op.getCppClassName()
       << " op, EvalContext &context, ArrayRef<Tensor> inputs, "
          "SmallVectorImpl<Tensor> &outputs) {\n";
    for (const NamedAttribute &attr : op.getAttributes())
      if (attr.attr.getBaseAttr().getStorageType().trim() ==
          "::mlir::FloatAttr")
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
  return false;
}

static mlir::GenRegistration
    genDecls("gen-evaluator-decls", "Declarations of op evaluators", emitDecls);
static mlir::GenRegistration genDefs("gen-evaluator-defs",
                                     "Element-wise evaluators from the records",
                                     emitDefs);
