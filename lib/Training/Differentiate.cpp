//===- Differentiate.cpp - loss and gradients of a function ---------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "Loss.h"
#include "ane-mlir/Analysis/Placement.h"
#include "ane-mlir/Conversion/Gradients.h"
#include "ane-mlir/Training/Passes.h"

using namespace mlir;
using namespace mlir::ane;

namespace mlir::ane {
#define GEN_PASS_DEF_DIFFERENTIATEPASS
#include "ane-mlir/Training/Passes.h.inc"
} // namespace mlir::ane

/// What is differentiated for: arguments, then results of ops, that are marked.
static SmallVector<Value> findParameters(func::FuncOp function) {
  SmallVector<Value> parameters;
  for (BlockArgument argument : function.getArguments())
    if (function.getArgAttr(argument.getArgNumber(), marks::kParameter))
      parameters.push_back(argument);
  for (Operation &op : function.getBody().front())
    if (op.hasAttr(marks::kParameter) && op.getNumResults())
      parameters.push_back(op.getResult(0));
  return parameters;
}

/// The name of a parameter: of its argument, or what its mark says.
static std::string nameOf(func::FuncOp function, Value parameter) {
  StringAttr name;
  if (auto argument = dyn_cast<BlockArgument>(parameter))
    name = function.getArgAttrOfType<StringAttr>(argument.getArgNumber(),
                                                 marks::kName);
  else
    name =
        parameter.getDefiningOp()->getAttrOfType<StringAttr>(marks::kParameter);
  return name ? name.getValue().str() : "parameter";
}

namespace {
struct Differentiate : ane::impl::DifferentiatePassBase<Differentiate> {
  using DifferentiatePassBase::DifferentiatePassBase;

  void runOnOperation() override {
    bool any = false;
    markNamed();
    for (func::FuncOp function : findFunctions(getOperation())) {
      SmallVector<Value> parameters = findParameters(function);
      if (parameters.empty())
        continue;
      any = true;
      if (failed(differentiate(function, parameters)))
        signalPassFailure();
    }
    if (!any) {
      getOperation().emitError()
          << "no function has a parameter to be trained (ane.parameter)";
      signalPassFailure();
    }
  }

  /// Arguments of @main that `ane.parameters` names are parameters.
  void markNamed() {
    auto entries = getOperation()->getAttrOfType<ArrayAttr>(marks::kParameters);
    auto main = getOperation().lookupSymbol<func::FuncOp>("main");
    if (!entries || !main)
      return;
    llvm::DenseSet<StringRef> names;
    for (Attribute entry : entries)
      names.insert(cast<StringAttr>(cast<DictionaryAttr>(entry).get("name")));
    for (unsigned i = 0; i < main.getNumArguments(); ++i)
      if (auto name = main.getArgAttrOfType<StringAttr>(i, marks::kName);
          name && names.contains(name.getValue()))
        main.setArgAttr(i, marks::kParameter, UnitAttr::get(&getContext()));
  }

  /// What the gradients are multiplied by: an argument, or 1.
  Value makeSeed(GraphBuilder &graph, func::FuncOp function, Value like) {
    auto type = cast<RankedTensorType>(like.getType());
    Location loc = like.getLoc();
    if (!lossScale)
      return graph.scalar(loc, 1, type.getElementType());
    Builder &b = graph.builder;
    unsigned index = function.getNumArguments();
    if (failed(function.insertArgument(
            index, type,
            b.getDictionaryAttr(
                {b.getNamedAttr(marks::kDtype, b.getStringAttr("fp32")),
                 b.getNamedAttr(marks::kName, b.getStringAttr("loss_scale")),
                 b.getNamedAttr(marks::kLossScale, b.getUnitAttr())}),
            loc)))
      return {};
    return function.getArgument(index);
  }

  LogicalResult differentiate(func::FuncOp function,
                              ArrayRef<Value> parameters) {
    if (!function.getBody().hasOneBlock() || function.getNumResults() == 0)
      return function.emitError() << "expects one block with results";
    for (Value parameter : parameters)
      if (auto type = dyn_cast<RankedTensorType>(parameter.getType());
          !type || !isa<FloatType>(type.getElementType()) ||
          !type.hasStaticShape())
        return emitError(parameter.getLoc())
               << "only floats of a known shape can be trained, but '"
               << nameOf(function, parameter) << "' is " << parameter.getType();
    Block &block = function.getBody().front();
    Operation *terminator = block.getTerminator();
    GraphBuilder graph(&getContext());
    graph.builder.setInsertionPoint(terminator);
    SmallVector<Value> outputs(terminator->getOperands());
    Value loss = buildLoss(graph, function, outputs, this->loss);
    if (!loss)
      return failure();
    Backpropagation back(graph, block, parameters);
    if (!back.isActive(loss))
      return function.emitError()
             << "the loss does not depend on any parameter to be trained";
    Value seed = makeSeed(graph, function, loss);
    if (!seed)
      return failure();
    back.seed(loss, seed);
    if (failed(back.run()))
      return failure();
    SmallVector<Value> results{loss};
    for (Value parameter : parameters) {
      Value gradient = back.gradientOf(parameter);
      if (!gradient)
        return emitError(parameter.getLoc())
               << "the loss does not depend on '" << nameOf(function, parameter)
               << "'; leave it out of --trainable, or name it in --frozen";
      results.push_back(gradient);
    }
    setResults(function, terminator, results, parameters);
    removeDead(block);
    return success();
  }

  void setResults(func::FuncOp function, Operation *terminator,
                  ArrayRef<Value> results, ArrayRef<Value> parameters) {
    Builder b(&getContext());
    terminator->setOperands(results);
    SmallVector<Attribute> attrs;
    auto describe = [&](StringRef name, StringRef key, Attribute value) {
      attrs.push_back(b.getDictionaryAttr(
          {b.getNamedAttr(marks::kDtype, b.getStringAttr("fp32")),
           b.getNamedAttr(marks::kName, b.getStringAttr(name)),
           b.getNamedAttr(key, value)}));
    };
    describe("loss", marks::kLoss, b.getUnitAttr());
    for (Value parameter : parameters) {
      std::string name = nameOf(function, parameter);
      describe(name + ".gradient", marks::kGradient, b.getStringAttr(name));
    }
    function.setType(b.getFunctionType(function.getArgumentTypes(),
                                       ValueRange(results).getTypes()));
    function.setResAttrsAttr(b.getArrayAttr(attrs));
  }

  /// What only the former outputs needed.
  static void removeDead(Block &block) {
    for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block)))
      if (isOpTriviallyDead(&op))
        op.erase();
  }
};
} // namespace
