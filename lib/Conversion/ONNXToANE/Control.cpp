//===- Control.cpp - control flow with known conditions -------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "Lowering.h"

using namespace mlir;
using namespace mlir::ane;

using C = NodeContext;

/// The branch that a compile-time condition takes, in place.
static LogicalResult lowerIf(C &c) {
  auto condition = c.constantTensor(c.input(0), "cond");
  if (failed(condition))
    return failure();
  bool taken = condition->size() > 0 && condition->ints()[0];
  for (auto [name, region] :
       llvm::zip(c.node.getRegionNames(), c.node.getGraphs())) {
    if (cast<StringAttr>(name).getValue() !=
        (taken ? "then_branch" : "else_branch"))
      continue;
    FailureOr<SmallVector<Value>> results = lowerRegion(c, region, {});
    if (failed(results))
      return failure();
    for (auto [i, result] : llvm::enumerate(*results))
      c.put(i, result);
    return success();
  }
  return c.error() << "has no " << (taken ? "then_branch" : "else_branch");
}

/// A Loop whose trip count is known and small is unrolled.
static LogicalResult lowerLoop(C &c) {
  constexpr int64_t kMaxTrips = 1024;
  if (c.node.getGraphs().empty())
    return c.error() << "has no body";
  Region &body = c.node.getGraphs().front();
  auto trips = c.tryConstant(c.input(0));
  auto condition =
      c.input(1) ? c.tryConstant(c.input(1)) : std::optional<Tensor>();
  if ((c.input(0) && !trips) || (c.input(1) && !condition) ||
      (!c.input(0) && !c.input(1)))
    return c.error()
           << "expects a trip count and condition known at compile time";
  int64_t count = trips ? trips->ints()[0] : kMaxTrips + 1;
  bool running = !condition || condition->ints()[0];
  SmallVector<Value> carried;
  for (unsigned i = 2; i < c.numInputs(); ++i)
    carried.push_back(c.input(i));
  SmallVector<SmallVector<Value>> scans(c.numOutputs() - carried.size());
  for (int64_t trip = 0; trip < count && running; ++trip) {
    if (trip >= kMaxTrips)
      return c.error() << "would be unrolled more than " << kMaxTrips
                       << " times";
    SmallVector<Value> arguments{
        c.scalar(trip, c.graph.builder.getI64Type()),
        c.scalar(1, IntegerType::get(c.node.getContext(), 1))};
    llvm::append_range(arguments, carried);
    FailureOr<SmallVector<Value>> results = lowerRegion(c, body, arguments);
    if (failed(results) || results->size() != 1 + carried.size() + scans.size())
      return failed(results)
                 ? failure()
                 : LogicalResult(
                       c.error()
                       << "has a body with a wrong number of outputs");
    for (Value result : *results)
      if (!result)
        return success(); // an unsupported node inside; it is reported with the
                          // others
    auto next = c.tryConstant((*results)[0]);
    if (!next)
      return c.error() << "expects a condition known at compile time";
    running = next->ints()[0];
    carried.assign(results->begin() + 1, results->begin() + 1 + carried.size());
    for (auto [i, scan] : llvm::enumerate(scans))
      scan.push_back((*results)[1 + carried.size() + i]);
  }
  for (auto [i, value] : llvm::enumerate(carried))
    c.put(i, value);
  for (auto [i, scan] : llvm::enumerate(scans)) {
    if (scan.empty())
      return c.error() << "runs zero times, so the shape of scan output " << i
                       << " is unknown";
    c.put(carried.size() + i,
          c.createNamed(StackOp::getOperationName(), scan,
                        {c.graph.attr("axis", int64_t(0))})[0]);
  }
  return success(!c.failed());
}

/// A Scan over static extents is unrolled.
static LogicalResult lowerScan(C &c) {
  constexpr int64_t kMaxTrips = 1024;
  int64_t scanInputs = c.getInt("num_scan_inputs", 0),
          states = int64_t(c.numInputs()) - scanInputs,
          scanOutputs = int64_t(c.numOutputs()) - states;
  if (c.node.getGraphs().empty() || scanInputs < 1 || states < 0 ||
      scanOutputs < 0)
    return c.error() << "expects a body and at least one scan input";
  auto inputDirections = c.getInts("scan_input_directions")
                             .value_or(SmallVector<int64_t>(scanInputs, 0));
  auto outputDirections = c.getInts("scan_output_directions")
                              .value_or(SmallVector<int64_t>(scanOutputs, 0));
  auto inputAxes = c.getInts("scan_input_axes")
                       .value_or(SmallVector<int64_t>(scanInputs, 0));
  auto outputAxes = c.getInts("scan_output_axes")
                        .value_or(SmallVector<int64_t>(scanOutputs, 0));
  if ((int64_t)inputDirections.size() != scanInputs ||
      (int64_t)inputAxes.size() != scanInputs ||
      (int64_t)outputDirections.size() != scanOutputs ||
      (int64_t)outputAxes.size() != scanOutputs)
    return c.error()
           << "expects one direction and axis per scan input and output";
  SmallVector<Value> carried;
  for (int64_t i = 0; i < states; ++i)
    carried.push_back(c.input(i));
  int64_t trips = -1;
  for (int64_t i = 0; i < scanInputs; ++i) {
    Value x = c.input(states + i);
    FailureOr<int64_t> axis = c.axis(inputAxes[i], c.rank(x));
    if (failed(axis))
      return failure();
    inputAxes[i] = *axis;
    if (trips >= 0 && trips != c.shape(x)[*axis])
      return c.error() << "expects scan inputs of one length, but got " << trips
                       << " and " << c.shape(x)[*axis];
    trips = c.shape(x)[*axis];
  }
  if (trips > kMaxTrips)
    return c.error() << "would be unrolled more than " << kMaxTrips << " times";
  SmallVector<SmallVector<Value>> collected(scanOutputs);
  for (int64_t trip = 0; trip < trips; ++trip) {
    SmallVector<Value> arguments(carried);
    for (int64_t i = 0; i < scanInputs; ++i) {
      Value x = c.input(states + i);
      int64_t at = inputDirections[i] ? trips - 1 - trip : trip;
      SmallVector<int64_t> shape(c.shape(x));
      shape.erase(shape.begin() + inputAxes[i]);
      arguments.push_back(
          c.reshape(c.slice(x, inputAxes[i], at, at + 1), shape));
    }
    FailureOr<SmallVector<Value>> results =
        lowerRegion(c, c.node.getGraphs().front(), arguments);
    if (failed(results) || (int64_t)results->size() != states + scanOutputs)
      return failed(results)
                 ? failure()
                 : LogicalResult(
                       c.error()
                       << "has a body with a wrong number of outputs");
    for (Value result : *results)
      if (!result)
        return success(); // an unsupported node inside; it is reported with the
                          // others
    carried.assign(results->begin(), results->begin() + states);
    for (int64_t i = 0; i < scanOutputs; ++i)
      collected[i].push_back((*results)[states + i]);
  }
  for (auto [i, value] : llvm::enumerate(carried))
    c.put(i, value);
  for (int64_t i = 0; i < scanOutputs; ++i) {
    if (collected[i].empty())
      return c.error() << "runs zero times, so the shape of scan output " << i
                       << " is unknown";
    if (outputDirections[i])
      std::reverse(collected[i].begin(), collected[i].end());
    SmallVector<Value> stacked =
        c.createNamed(StackOp::getOperationName(), collected[i],
                      {c.graph.attr("axis", outputAxes[i])});
    c.put(states + i, stacked.empty() ? Value() : stacked[0]);
  }
  return success(!c.failed());
}

void mlir::ane::addControlHandlers(HandlerTable &t) {
  t.add("Scan", 9, lowerScan);
  t.add("If", 1, lowerIf);
  t.add("Loop", 1, lowerLoop);
}
