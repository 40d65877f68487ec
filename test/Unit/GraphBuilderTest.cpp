//===- GraphBuilderTest.cpp - what a graph builder refuses ----------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Conversion/GraphBuilder.h"
#include "EvaluationTest.h"
#include "dialects/ANE/IR/Pool.h"
#include "dialects/ANE/IR/Reduction.h"
#include "dialects/ANE/IR/Shape.h"
#include "dialects/ANE/IR/Unary.h"

using namespace mlir;
using namespace mlir::ane;

namespace {
struct GraphBuilderTest : EvaluationTest {
  /// What is said of a gelu with these attributes; empty where it is built.
  std::string build(llvm::function_ref<NamedAttribute(Builder &)> make) {
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
    SmallVector<Value> y = graph.create(GeluOp::getOperationName(), loc, {x},
                                        {make(graph.builder)});
    EXPECT_EQ(y.empty(), !said.empty());
    return said;
  }
};

// By name: of texts and of tables.

TEST_F(GraphBuilderTest, TakesAWord) {
  EXPECT_EQ("", build([](Builder &b) {
              return b.getNamedAttr("mode",
                                    b.getStringAttr("TANH_APPROXIMATION"));
            }));
}

TEST_F(GraphBuilderTest, RefusesAnotherWord) {
  EXPECT_EQ("'ane.gelu' op expects 'mode' to be EXACT, TANH_APPROXIMATION or "
            "SIGMOID_APPROXIMATION, but got 'exact'",
            build([](Builder &b) {
              return b.getNamedAttr("mode", b.getStringAttr("exact"));
            }));
}

TEST_F(GraphBuilderTest, RefusesAnotherName) {
  EXPECT_EQ("'ane.gelu' op has no attribute 'modus'", build([](Builder &b) {
              return b.getNamedAttr("modus", b.getStringAttr("EXACT"));
            }));
}

// By the op's class: names and types are the compiler's business.

static_assert(!std::is_default_constructible_v<RequiredAttribute<Ints>>,
              "an attribute that has no default may not be left out");
static_assert(!std::is_default_constructible_v<Attributes<ConcatOp>>,
              "concat has to have an axis");
static_assert(std::is_default_constructible_v<Attributes<GeluOp>>);
static_assert(!std::is_convertible_v<StringRef, OptionalAttribute<GeluMode>>,
              "a word is one of an enumeration");
static_assert(!std::is_convertible_v<Ints, OptionalAttribute<int64_t>>);

TEST_F(GraphBuilderTest, GivesEachAttributeItsType) {
  OwningOpRef<ModuleOp> module = ModuleOp::create(UnknownLoc::get(&context));
  GraphBuilder graph(&context);
  graph.builder.setInsertionPointToEnd(module->getBody());
  Location loc = UnknownLoc::get(&context);
  // Too large to be folded.
  Type element = graph.builder.getF32Type();
  Value x = graph.constant(
      loc,
      DenseElementsAttr::get(RankedTensorType::get({1, 4, 32, 32}, element),
                             FloatAttr::get(element, 1)));
  int64_t groups = 2;
  SmallVector<int64_t> window{2, 2};
  Value y = graph.create<AvgPoolOp>(loc, {x},
                                    {.kernel_sizes = window,
                                     .strides = {2, 2},
                                     .pad_type = PadType::valid,
                                     .pad = {0, 0, 0, 0},
                                     .exclude_padding_from_average = true});
  ASSERT_TRUE(y);
  auto pool = y.getDefiningOp<AvgPoolOp>();
  EXPECT_EQ(ArrayRef<int64_t>({2, 2}), pool.getKernelSizes());
  EXPECT_EQ(PadType::valid, pool.getPadType());
  EXPECT_TRUE(pool.getExcludePaddingFromAverage());
  EXPECT_FALSE(pool.getCeilMode());
  auto parts = graph.createMany<SplitOp>(
      loc, {x}, {.axis = 1, .num_splits = std::optional<int64_t>(groups)});
  EXPECT_EQ(2u, parts.size());
  Value same = graph.create<ReduceSumOp>(
      loc, {x}, {.axes = std::optional<ArrayRef<int64_t>>()});
  ASSERT_TRUE(same);
  EXPECT_FALSE(same.getDefiningOp<ReduceSumOp>().getAxes());
}
} // namespace
