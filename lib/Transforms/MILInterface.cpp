//===- MILInterface.cpp - states and classes of MIL functions -------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Transforms/MILInterface.h"
#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace mlir::ane;

static Attribute namedLiteral(Builder &b, StringRef name, Type type,
                              Attribute value) {
  return mil::NamedAttr::get(
      b.getContext(), b.getStringAttr(name),
      mil::LiteralAttr::get(b.getContext(), type, value));
}

static RankedTensorType stringType(MLIRContext *context) {
  return RankedTensorType::get({}, mil::StringType::get(context));
}

/// A statement at the builder whose arguments are values; `label` is its own
/// name where it has no results.
static mil::OpOp addStatement(OpBuilder &b, Location loc, StringRef type,
                              TypeRange types, ArrayRef<StringRef> names,
                              ArrayRef<std::pair<StringRef, Value>> arguments,
                              ArrayRef<Attribute> literals = {},
                              StringRef label = "") {
  SmallVector<Attribute> args;
  SmallVector<Value> operands;
  for (auto [name, value] : arguments) {
    args.push_back(mil::NamedAttr::get(
        b.getContext(), b.getStringAttr(name),
        mil::RefAttr::get(b.getContext(), operands.size())));
    operands.push_back(value);
  }
  args.append(literals.begin(), literals.end());
  if (label.empty())
    label = names.empty() ? type : names[0];
  return mil::OpOp::create(
      b, loc, types, b.getStringAttr(type), b.getArrayAttr(args),
      b.getStrArrayAttr(names),
      b.getArrayAttr({namedLiteral(
          b, "name", stringType(b.getContext()),
          DenseStringElementsAttr::get(stringType(b.getContext()), label))}),
      ArrayAttr(), operands, 0);
}

void mlir::ane::addStates(
    mil::FuncOp func,
    const llvm::DenseMap<unsigned, unsigned> &resultOfArgument) {
  std::vector<std::string> names = mil::getParameterNames(func);
  llvm::append_range(names, mil::getResultNames(func));
  Block &body = func.getBody().front();
  Operation *terminator = body.getTerminator();
  SmallVector<Value> results(terminator->getOperands());
  llvm::SmallDenseSet<unsigned> written;
  OpBuilder b(func.getContext());
  for (unsigned i = 0; i < body.getNumArguments(); ++i) {
    auto state = resultOfArgument.find(i);
    if (state == resultOfArgument.end())
      continue;
    BlockArgument argument = body.getArgument(i);
    Type type = argument.getType();
    b.setInsertionPointToStart(&body);
    auto unique = [&](std::string name) {
      while (llvm::is_contained(names, name))
        name += "_";
      names.push_back(name);
      return name;
    };
    std::string name = unique(names[i] + "_value"),
                write = unique(names[i] + "_write");
    argument.setType(mil::StateType::get(b.getContext(), type));
    auto read = addStatement(b, argument.getLoc(), "read_state", type,
                             {StringRef(name)}, {{"input", argument}});
    argument.replaceUsesWithIf(read.getResult(0), [&](OpOperand &use) {
      return use.getOwner() != read;
    });
    b.setInsertionPoint(terminator);
    Value data = results[state->second];
    addStatement(b, argument.getLoc(), "write_state", {}, {},
                 {{"input", argument},
                  {"data", data == argument ? read.getResult(0) : data}},
                 {}, write);
    written.insert(state->second);
  }
  SmallVector<Value> left;
  for (auto [i, value] : llvm::enumerate(terminator->getOperands()))
    if (!written.contains(i))
      left.push_back(value);
  terminator->setOperands(left);
}

void mlir::ane::addClassifier(mil::FuncOp func, unsigned output,
                              ArrayRef<std::string> labels, bool integers,
                              StringRef labelName,
                              StringRef probabilitiesName) {
  Operation *terminator = func.getBody().front().getTerminator();
  OpBuilder b(terminator);
  MLIRContext *context = b.getContext();
  RankedTensorType type = integers ? RankedTensorType::get({}, b.getI64Type())
                                   : stringType(context);
  SmallVector<Attribute> classes;
  for (const std::string &label : labels)
    if (int64_t number = 0; integers) {
      StringRef(label).getAsInteger(10, number);
      classes.push_back(DenseElementsAttr::get(type, number));
    } else {
      classes.push_back(DenseStringElementsAttr::get(type, StringRef(label)));
    }
  auto list = mil::ListType::get(context, type, classes.size());
  auto dict = mil::DictType::get(context, type,
                                 RankedTensorType::get({}, b.getF64Type()));
  auto classify =
      addStatement(b, func.getLoc(), "classify", {type, dict},
                   {labelName, probabilitiesName},
                   {{"probabilities", terminator->getOperand(output)}},
                   {namedLiteral(b, "classes", list, b.getArrayAttr(classes))});
  SmallVector<Value> results(terminator->getOperands());
  results[output] = classify.getResult(0);
  results.insert(results.begin() + output + 1, classify.getResult(1));
  terminator->setOperands(results);
}
