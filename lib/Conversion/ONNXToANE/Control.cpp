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

constexpr int64_t kMaxTrips = 1024;

/// One trip through a body of `count` outputs. No values after an unsupported
/// node inside, which is reported with the others.
static FailureOr<SmallVector<Value>> runBody(C &c, ArrayRef<Value> arguments,
                                             size_t count) {
  FailureOr<SmallVector<Value>> results =
      lowerRegion(c, c.node.getGraphs().front(), arguments);
  if (failed(results))
    return failure();
  if (results->size() != count)
    return c.error() << "has a body of " << results->size()
                     << " outputs, but expects " << count;
  if (llvm::is_contained(*results, Value()))
    return SmallVector<Value>();
  return results;
}

/// What each trip gave, joined on a new axis.
static Value joinTrips(C &c, ArrayRef<Value> values, unsigned output,
                       int64_t axis) {
  if (values.empty())
    return c.error() << "runs zero times, so the shape of scan output "
                     << output << " is unknown",
           Value();
  for (Value value : values)
    if (asSequence(value))
      return c.error() << "expects scan output " << output
                       << " to be a tensor, but it is a sequence",
             Value();
  SmallVector<Value> stacked = c.createNamed(
      StackOp::getOperationName(), values, {c.graph.attr("axis", axis)});
  return stacked.empty() ? Value() : stacked[0];
}

/// A Loop whose trip count is known and small is unrolled.
static LogicalResult lowerLoop(C &c) {
  if (c.node.getGraphs().empty())
    return c.error() << "has no body";
  auto trips = c.tryConstant(c.input(0));
  auto condition = c.tryConstant(c.input(1));
  if ((c.input(0) && !trips) || (c.input(1) && !condition) ||
      (!c.input(0) && !c.input(1)))
    return c.error()
           << "expects a trip count and condition known at compile time";
  int64_t count = trips ? trips->ints()[0] : kMaxTrips + 1;
  bool running = !condition || condition->ints()[0];
  SmallVector<Value> carried;
  for (unsigned i = 2; i < c.numInputs(); ++i)
    carried.push_back(c.input(i));
  if (carried.size() > c.numOutputs())
    return c.error() << "expects an output per carried value";
  SmallVector<SmallVector<Value>> scans(c.numOutputs() - carried.size());
  for (int64_t trip = 0; trip < count && running; ++trip) {
    if (trip >= kMaxTrips)
      return c.error() << "would be unrolled more than " << kMaxTrips
                       << " times";
    SmallVector<Value> arguments{
        c.scalar(trip, c.graph.builder.getI64Type()),
        c.scalar(1, IntegerType::get(c.node.getContext(), 1))};
    llvm::append_range(arguments, carried);
    auto results = runBody(c, arguments, 1 + carried.size() + scans.size());
    if (failed(results) || results->empty())
      return results;
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
  for (auto [i, scan] : llvm::enumerate(scans))
    c.put(carried.size() + i, joinTrips(c, scan, i, 0));
  return success(!c.failed());
}

namespace {
/// A Scan's attributes, axes normalised.
struct ScanPlan {
  int64_t inputs, states, outputs, trips = -1;
  SmallVector<int64_t> inputDirections, outputDirections, inputAxes, outputAxes;
};
} // namespace

static FailureOr<ScanPlan> readScan(C &c, int64_t numInputs,
                                    StringRef directions) {
  ScanPlan p;
  p.inputs = c.getInt("num_scan_inputs", 0);
  p.states = numInputs - p.inputs;
  p.outputs = int64_t(c.numOutputs()) - p.states;
  if (c.node.getGraphs().empty() || p.inputs < 1 || p.states < 0 ||
      p.outputs < 0)
    return c.error() << "expects a body and at least one scan input";
  auto ints = [&](StringRef name, int64_t count) {
    return c.getInts(name).value_or(SmallVector<int64_t>(count, 0));
  };
  p.inputDirections = ints(directions, p.inputs);
  p.outputDirections = ints("scan_output_directions", p.outputs);
  p.inputAxes = ints("scan_input_axes", p.inputs);
  p.outputAxes = ints("scan_output_axes", p.outputs);
  if ((int64_t)p.inputDirections.size() != p.inputs ||
      (int64_t)p.inputAxes.size() != p.inputs ||
      (int64_t)p.outputDirections.size() != p.outputs ||
      (int64_t)p.outputAxes.size() != p.outputs)
    return c.error()
           << "expects one direction and axis per scan input and output";
  return p;
}

/// The trips of one Scan over `values` (states, then scanned inputs). No
/// values after an unsupported node inside.
static FailureOr<SmallVector<Value>> runScan(C &c, ScanPlan p,
                                             ArrayRef<Value> values) {
  SmallVector<Value> carried(values.take_front(p.states));
  for (int64_t i = 0; i < p.inputs; ++i) {
    Value x = values[p.states + i];
    FailureOr<int64_t> axis = c.axis(p.inputAxes[i], c.rank(x));
    if (failed(axis))
      return failure();
    p.inputAxes[i] = *axis;
    if (p.trips >= 0 && p.trips != c.shape(x)[*axis])
      return c.error() << "expects scan inputs of one length, but got "
                       << p.trips << " and " << c.shape(x)[*axis];
    p.trips = c.shape(x)[*axis];
  }
  if (p.trips > kMaxTrips)
    return c.error() << "would be unrolled more than " << kMaxTrips << " times";
  SmallVector<SmallVector<Value>> collected(p.outputs);
  for (int64_t trip = 0; trip < p.trips; ++trip) {
    SmallVector<Value> arguments(carried);
    for (int64_t i = 0; i < p.inputs; ++i) {
      Value x = values[p.states + i];
      int64_t at = p.inputDirections[i] ? p.trips - 1 - trip : trip;
      SmallVector<int64_t> shape(c.shape(x));
      shape.erase(shape.begin() + p.inputAxes[i]);
      arguments.push_back(
          c.reshape(c.slice(x, p.inputAxes[i], at, at + 1), shape));
    }
    auto results = runBody(c, arguments, p.states + p.outputs);
    if (failed(results) || results->empty())
      return results;
    carried.assign(results->begin(), results->begin() + p.states);
    for (int64_t i = 0; i < p.outputs; ++i)
      collected[i].push_back((*results)[p.states + i]);
  }
  for (int64_t i = 0; i < p.outputs; ++i) {
    if (p.outputDirections[i])
      std::reverse(collected[i].begin(), collected[i].end());
    carried.push_back(joinTrips(c, collected[i], i, p.outputAxes[i]));
  }
  if (c.failed())
    return failure();
  return carried;
}

/// A Scan over static extents is unrolled.
static LogicalResult lowerScan(C &c) {
  auto plan = readScan(c, c.numInputs(), "scan_input_directions");
  if (failed(plan))
    return failure();
  SmallVector<Value> values;
  for (unsigned i = 0; i < c.numInputs(); ++i)
    values.push_back(c.input(i));
  auto results = runScan(c, *plan, values);
  if (failed(results))
    return failure();
  for (auto [i, value] : llvm::enumerate(*results))
    c.put(i, value);
  return success();
}

/// Opset 8: a batch axis in front of everything, and lengths per item.
static LogicalResult lowerBatchedScan(C &c) {
  auto plan = readScan(c, int64_t(c.numInputs()) - 1, "directions");
  if (failed(plan))
    return failure();
  if (c.input(0))
    return c.error() << "with sequence_lens is not supported";
  Value first = c.input(1);
  int64_t batch = first && c.rank(first) ? c.shape(first)[0] : 0;
  SmallVector<SmallVector<Value>> items(c.numOutputs());
  for (int64_t b = 0; b < batch; ++b) {
    SmallVector<Value> values;
    for (unsigned i = 1; i < c.numInputs(); ++i) {
      Value x = c.input(i);
      if (c.rank(x) < 1 || c.shape(x)[0] != batch)
        return c.error() << "expects a batch of " << batch
                         << " in front of every input, but got " << c.type(x);
      values.push_back(
          c.reshape(c.slice(x, 0, b, b + 1), c.shape(x).drop_front()));
    }
    auto results = runScan(c, *plan, values);
    if (failed(results) || results->empty())
      return results;
    for (auto [list, value] : llvm::zip(items, *results))
      list.push_back(value);
  }
  for (auto [i, list] : llvm::enumerate(items))
    c.put(i, joinTrips(c, list, i, 0));
  return success(!c.failed());
}

void mlir::ane::addControlHandlers(HandlerTable &t) {
  t.add("Scan", 8, lowerBatchedScan);
  t.add("Scan", 9, lowerScan);
  t.addForSequences("If", 1, lowerIf);
  t.addForSequences("Loop", 1, lowerLoop);
}
