//===- GraphBuilderTest.cpp - what a graph builder refuses ----------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Conversion/GraphBuilder.h"
#include "EvaluationTest.h"
#include "dialects/ANE/IR/Unary.h"

using namespace mlir;
using namespace mlir::ane;

namespace {
struct GraphBuilderTest : EvaluationTest {
  /// What is said of a gelu with these attributes; empty where it is built.
  std::string build(llvm::function_ref<NamedAttribute(GraphBuilder &)> make) {
    std::string said;
    ScopedDiagnosticHandler handler(&context, [&](Diagnostic &diagnostic) {
      said = diagnostic.str();
      return success();
    });
    Location loc = UnknownLoc::get(&context);
    OwningOpRef<ModuleOp> module = ModuleOp::create(loc);
    GraphBuilder graph(&context);
    graph.builder.setInsertionPointToEnd(module->getBody());
    Value x = graph.scalar(loc, 1, graph.builder.getF32Type());
    Value y = graph.create<GeluOp>(loc, {x}, {make(graph)});
    EXPECT_EQ(!y, !said.empty());
    return said;
  }
};

TEST_F(GraphBuilderTest, TakesAWord) {
  EXPECT_EQ("", build([](GraphBuilder &graph) {
              return graph.text("mode", GeluMode::TANH_APPROXIMATION);
            }));
}

TEST_F(GraphBuilderTest, RefusesAnotherWord) {
  EXPECT_EQ(
      "'ane.gelu' op expects 'mode' to be EXACT, TANH_APPROXIMATION or "
      "SIGMOID_APPROXIMATION, but got 'exact'",
      build([](GraphBuilder &graph) { return graph.text("mode", "exact"); }));
}

TEST_F(GraphBuilderTest, RefusesAnotherName) {
  EXPECT_EQ("'ane.gelu' op has no attribute 'modus'",
            build([](GraphBuilder &graph) {
              return graph.text("modus", GeluMode::EXACT);
            }));
}
} // namespace
