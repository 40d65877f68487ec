//===- Control.cpp - branches and loops -----------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "dialects/ANE/IR/Control.h"
#include "Lowering.h"
#include "ane-mlir/Analysis/Loops.h"
#include "dialects/ANE/IR/Arithmetic.h"
#include "dialects/ANE/IR/Cast.h"
#include "dialects/ANE/IR/Comparison.h"
#include "dialects/ANE/IR/Dynamic.h"
#include "dialects/ANE/IR/Gather.h"
#include "dialects/ANE/IR/Shape.h"
#include "dialects/ANE/IR/Structure.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;
using namespace mlir::ane;

using C = NodeContext;

/// Blocks of one op see nothing but their arguments: what they read from around
/// becomes an argument of each, constants are made again inside.
static void isolate(Operation *op) {
  // Regions around may not have an owner yet, so upstream's utilities, which
  // look for it, do not serve.
  auto isInside = [&](Value value) {
    for (Region *region = value.getParentRegion(); region;) {
      Operation *parent = region->getParentOp();
      if (parent == op)
        return true;
      region =
          parent && parent->getBlock() ? parent->getParentRegion() : nullptr;
    }
    return false;
  };
  llvm::MapVector<Value, SmallVector<OpOperand *>> outside;
  for (Region &region : op->getRegions())
    region.walk([&](Operation *inner) {
      for (OpOperand &use : inner->getOpOperands())
        if (!isInside(use.get()))
          outside[use.get()].push_back(&use);
    });
  SmallVector<Value> captured;
  for (auto &[value, uses] : outside) {
    auto constant = value.getDefiningOp<ConstantOp>();
    if (!constant)
      captured.push_back(value);
    for (Region &region : op->getRegions()) {
      Value inside;
      for (OpOperand *use : uses) {
        Region *around = use->getOwner()->getParentRegion();
        while (around != &region && around->getParentOp() != op)
          around = around->getParentOp()->getParentRegion();
        if (around != &region)
          continue;
        if (!inside && constant) {
          OpBuilder b = OpBuilder::atBlockBegin(&region.front());
          inside = cast<ConstantOp>(b.clone(*constant)).getY();
        } else if (!inside) {
          inside = region.front().addArgument(value.getType(), value.getLoc());
        }
        use->set(inside);
      }
      // Both blocks have all arguments.
      if (!constant && !inside)
        region.front().addArgument(value.getType(), value.getLoc());
    }
  }
  op->insertOperands(op->getNumOperands(), captured);
  if (auto loop = dyn_cast<WhileLoopOp>(op))
    loop.getProperties().operandSegmentSizes = {int32_t(op->getNumResults()),
                                                int32_t(captured.size())};
}

/// What a block yields, when all of it is tensors; nothing after an unsupported
/// node inside, which is reported with the others.
static FailureOr<bool> yield(C &c, ArrayRef<Value> values) {
  for (Value value : values) {
    if (!value)
      return false;
    if (asSequence(value))
      return c.error() << "gives a sequence, which only a condition known at "
                          "compile time can",
             failure();
  }
  YieldOp::create(c.graph.builder, c.loc, values);
  return true;
}

/// Extents that differ between two results are unknown; nothing for types that
/// cannot be one.
static Type meet(Type a, Type b) {
  auto x = cast<RankedTensorType>(a), y = cast<RankedTensorType>(b);
  if (x.getElementType() != y.getElementType() || x.getRank() != y.getRank())
    return {};
  SmallVector<int64_t> shape(x.getShape());
  for (auto [dim, other] : llvm::zip(shape, y.getShape()))
    if (dim != other)
      dim = ShapedType::kDynamic;
  return x.clone(shape);
}

/// What the user can do about a condition that is an input of the model, and so
/// about a length that depends on it.
static std::string conditionRemedy(C &c) {
  Value condition = c.input(0);
  while (Operation *op = condition.getDefiningOp()) {
    if (!isa<ReshapeOp, CastOp, LogicalNotOp, IdentityOp, SqueezeOp>(op))
      return "";
    condition = op->getOperand(0);
  }
  auto name = dyn_cast<NameLoc>(condition.getLoc());
  if (!name)
    return "";
  StringRef input = name.getName().getValue();
  return ("; it is decided by the input '" + input + "', which --input-value " +
          input + "=FILE.pb makes a constant")
      .str();
}

/// Both branches, of which the host takes one.
static LogicalResult lowerRunTimeIf(C &c) {
  Region regions[2];
  MLIRContext *context = c.node.getContext();
  // A branch that cannot be had with the shapes given stands for calls with
  // other shapes (a decoder without its cache): the other one is taken.
  SmallVector<Diagnostic> said[2];
  bool bad[2] = {false, false};
  for (auto [name, graph] :
       llvm::zip(c.node.getRegionNames(), c.node.getGraphs())) {
    bool isThen = cast<StringAttr>(name).getValue() == "then_branch";
    unsigned which = isThen ? 0 : 1;
    OpBuilder::InsertionGuard guard(c.graph.builder);
    Block &block = regions[which].emplaceBlock();
    c.graph.builder.setInsertionPointToStart(&block);
    FailureOr<SmallVector<Value>> results = failure();
    {
      ScopedDiagnosticHandler capture(context, [&](Diagnostic &diagnostic) {
        said[which].push_back(std::move(diagnostic));
        return success();
      });
      results = lowerRegion(c, graph, {});
    }
    bad[which] = failed(results);
    if (bad[which])
      continue;
    for (Diagnostic &diagnostic : said[which])
      context->getDiagEngine().emit(std::move(diagnostic));
    FailureOr<bool> whole = yield(c, *results);
    if (failed(whole))
      return failure();
    if (!*whole)
      return success(); // outputs stay null
  }
  if (bad[0] || bad[1]) {
    for (unsigned which : {0u, 1u})
      if (bad[which] && bad[1 - which])
        for (Diagnostic &diagnostic : said[which])
          context->getDiagEngine().emit(std::move(diagnostic));
    if (bad[0] && bad[1])
      return c.error() << "has no branch that can be converted"
                       << conditionRemedy(c);
  }
  for (unsigned which : {0u, 1u})
    if (bad[which] && !regions[1 - which].empty()) {
      InFlightDiagnostic warning =
          emitWarning(c.loc)
          << "If: takes its " << (which ? "then_branch" : "else_branch")
          << " whatever the condition is, because the other branch cannot be "
             "had with these shapes"
          << conditionRemedy(c);
      for (Diagnostic &diagnostic : said[which])
        warning.attachNote(diagnostic.getLocation()) << diagnostic.str();
      warning.report();
      // The branch that is left, in place.
      for (auto [name, graph] :
           llvm::zip(c.node.getRegionNames(), c.node.getGraphs()))
        if ((cast<StringAttr>(name).getValue() == "then_branch") ==
            (which == 1)) {
          FailureOr<SmallVector<Value>> results = lowerRegion(c, graph, {});
          if (failed(results))
            return failure();
          for (auto [i, result] : llvm::enumerate(*results))
            c.put(i, result);
          return success();
        }
    }
  if (regions[0].empty() || regions[1].empty())
    return c.error() << "expects a then_branch and an else_branch";
  auto yields = [](Region &region) {
    return region.front().getTerminator()->getOperandTypes();
  };
  SmallVector<Type> types;
  if (yields(regions[0]).size() != yields(regions[1]).size())
    return c.error() << "expects branches with as many outputs";
  for (auto [a, b] : llvm::zip(yields(regions[0]), yields(regions[1]))) {
    types.push_back(meet(a, b));
    if (!types.back())
      return c.error() << "has a branch that gives " << a
                       << " and one that gives " << b << conditionRemedy(c);
  }
  Value pred = c.input(0);
  if (c.rank(pred))
    pred = c.create<ReshapeOp>({pred}, {.shape = Ints{}});
  if (!pred)
    return failure();
  OperationState state(c.loc, CondOp::getOperationName());
  state.addOperands(pred);
  state.addTypes(types);
  for (Region &region : regions)
    state.addRegion()->takeBody(region);
  Operation *cond = c.graph.builder.create(state);
  isolate(cond);
  bool open = false;
  for (auto [i, result] : llvm::enumerate(cond->getResults())) {
    c.put(i, result);
    open |= !cast<RankedTensorType>(result.getType()).hasStaticShape();
  }
  // Everything behind a length that is not known runs on the host, if at all.
  if (open) {
    std::string remedy = conditionRemedy(c);
    cond->setAttr(marks::kOpenLength,
                  StringAttr::get(context, "its branches give different "
                                           "lengths" +
                                               remedy));
    emitWarning(c.loc) << "If: its branches give different lengths, so what "
                          "follows runs on the host"
                       << remedy;
  }
  return success();
}

/// The branch that a compile-time condition takes, in place.
static LogicalResult lowerIf(C &c) {
  auto condition = c.tryConstant(c.input(0));
  if (!condition)
    return lowerRunTimeIf(c);
  bool taken = condition->size() > 0 && condition->integer();
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
/// Operations that the trips of one loop may become; a larger one stays a loop.
constexpr size_t kMaxUnrolled = 20000;
/// Operations that a loop may run, each turn counted: minutes on the host.
constexpr double kMostRuns = 1 << 28;

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

/// A tensor without elements: what no trip gave, of the shape that one would.
static Value noTrips(C &c, Value example, int64_t axis) {
  if (!example || asSequence(example))
    return {};
  SmallVector<int64_t> shape(c.shape(example));
  if (axis < -int64_t(shape.size()) - 1 || axis > int64_t(shape.size()) ||
      !c.type(example).hasStaticShape())
    return {};
  shape.insert(shape.begin() + (axis < 0 ? axis + shape.size() + 1 : axis), 0);
  return c.graph.constant(
      c.loc,
      DenseElementsAttr::get(RankedTensorType::get(shape, c.element(example)),
                             ArrayRef<Attribute>()));
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
  return c.create<StackOp>(values, {.axis = axis});
}

/// Every value that is carried comes out.
static LogicalResult checkLoopOutputs(C &c, size_t carried) {
  if (carried > c.numOutputs())
    return c.error() << "expects an output per carried value";
  return success();
}

namespace {
/// A Loop on its way to an ane.while_loop: variables are the trip, whether it
/// goes on, what it carries, and one buffer for each scan output.
class RunTimeLoop {
public:
  RunTimeLoop(C &c, size_t carried)
      : c(c), builder(c.graph.builder), i64(builder.getI64Type()),
        i1(builder.getI1Type()), carried(carried),
        scans(c.numOutputs() - carried) {}
  LogicalResult lower();

private:
  Value asScalar(Value value, Type element, int64_t absent);
  LogicalResult readVariables();
  /// One trip says what the scan outputs are, which the buffers have to know.
  /// False where the body cannot be lowered yet.
  FailureOr<bool> makeBuffers();
  FailureOr<bool> buildCondition(Region &region);
  FailureOr<bool> buildBody(Region &region);
  Block &addBlock(Region &region);
  Value storeRow(Value buffer, Value trip, Value value);
  LogicalResult finish(MutableArrayRef<Region> regions);

  C &c;
  OpBuilder &builder;
  Type i64, i1;
  size_t carried, scans;
  Value limit;
  SmallVector<Value> variables, buffers;
};
} // namespace

Value RunTimeLoop::asScalar(Value value, Type element, int64_t absent) {
  if (!value)
    return c.scalar(absent, element);
  if (c.rank(value))
    value = c.create<ReshapeOp>({value}, {.shape = Ints{}});
  return value && c.element(value) != element
             ? c.create<CastOp>({value}, {.dtype = element})
             : value;
}

LogicalResult RunTimeLoop::readVariables() {
  limit = c.input(0) ? asScalar(c.input(0), i64, 0) : Value();
  // What an exporter writes for `while`: the condition alone ends it.
  if (auto trips = c.tryConstant(c.input(0));
      trips && trips->integer() >= INT32_MAX)
    limit = Value();
  variables = {c.scalar(0, i64), asScalar(c.input(1), i1, 1)};
  for (unsigned i = 2; i < c.numInputs(); ++i) {
    if (!c.input(i) || asSequence(c.input(i)))
      return c.error() << "carries a sequence, which only a trip count known "
                          "at compile time can";
    variables.push_back(c.input(i));
  }
  return success();
}

Block &RunTimeLoop::addBlock(Region &region) {
  Block &block = region.emplaceBlock();
  builder.setInsertionPointToStart(&block);
  for (Value variable : variables)
    block.addArgument(variable.getType(), c.loc);
  for (Value buffer : buffers)
    block.addArgument(buffer.getType(), c.loc);
  return block;
}

FailureOr<bool> RunTimeLoop::buildCondition(Region &region) {
  OpBuilder::InsertionGuard guard(builder);
  Block &block = addBlock(region);
  Value trip = block.getArgument(0), going = block.getArgument(1);
  if (limit)
    going = c.create<LogicalAndOp>({going, c.create<LessOp>({trip, limit})});
  YieldOp::create(builder, c.loc, going);
  return bool(going);
}

/// The buffer with one row of a scan output in its place.
Value RunTimeLoop::storeRow(Value buffer, Value trip, Value value) {
  SmallVector<int64_t> one(c.shape(value));
  one.insert(one.begin(), 1);
  Value row = c.create<ReshapeOp>({value}, {.shape = one});
  Value at = c.create<ReshapeOp>({trip}, {.shape = {1}});
  return c.create<ScatterOp>({buffer, at, row},
                             {.axis = 0, .mode = ScatterMode::update});
}

FailureOr<bool> RunTimeLoop::buildBody(Region &region) {
  OpBuilder::InsertionGuard guard(builder);
  Block &block = addBlock(region);
  Value trip = block.getArgument(0);
  SmallVector<Value> arguments{trip, block.getArgument(1)};
  for (size_t i = 0; i < carried; ++i)
    arguments.push_back(block.getArgument(2 + i));
  auto results = runBody(c, arguments, 1 + carried + scans);
  if (failed(results))
    return failure();
  if (results->empty())
    return false;
  SmallVector<Value> next{c.create<AddOp>({trip, c.scalar(1, i64)}),
                          asScalar((*results)[0], i1, 1)};
  for (size_t i = 0; i < carried; ++i) {
    Value value = (*results)[1 + i];
    if (asSequence(value) || value.getType() != variables[2 + i].getType())
      return c.error() << "carries a value of type "
                       << variables[2 + i].getType()
                       << " that becomes another type in the body",
             failure();
    next.push_back(value);
  }
  for (size_t i = 0; i < scans; ++i) {
    Value value = (*results)[1 + carried + i];
    next.push_back(
        buffers.empty() // the trip that says what they are
            ? value
            : storeRow(block.getArgument(2 + carried + i), trip, value));
  }
  return yield(c, next);
}

FailureOr<bool> RunTimeLoop::makeBuffers() {
  if (!scans)
    return true;
  auto trips = c.tryConstant(c.input(0));
  if (!trips || trips->integer() >= INT32_MAX)
    return c.error() << "expects a trip count known at compile time to make "
                        "room for its scan outputs",
           failure();
  Region probe;
  FailureOr<bool> whole = buildBody(probe);
  if (failed(whole) || !*whole)
    return whole;
  for (size_t i = 0; i < scans; ++i) {
    auto type = cast<RankedTensorType>(
        probe.front().getTerminator()->getOperand(2 + carried + i).getType());
    if (!type.hasStaticShape())
      return c.error() << "has a scan output of unknown shape", failure();
    SmallVector<int64_t> shape(type.getShape());
    shape.insert(shape.begin(), std::max<int64_t>(trips->integer(), 0));
    auto buffer = type.clone(shape);
    buffers.push_back(c.graph.constant(
        c.loc, DenseElementsAttr::get(
                   buffer, builder.getZeroAttr(buffer.getElementType()))));
  }
  return true;
}

/// The op, and of each buffer as many rows as there were trips.
LogicalResult RunTimeLoop::finish(MutableArrayRef<Region> regions) {
  llvm::append_range(variables, buffers);
  OperationState state(c.loc, WhileLoopOp::getOperationName());
  state.addOperands(variables);
  state.addTypes(ValueRange(variables).getTypes());
  state.addAttribute(
      "operandSegmentSizes",
      builder.getDenseI32ArrayAttr({int32_t(variables.size()), 0}));
  for (Region &region : regions)
    state.addRegion()->takeBody(region);
  Operation *loop = builder.create(state);
  isolate(loop);
  if (double runs = sumOverTurns(*loop, [](Operation &) { return 1.0; });
      runs > kMostRuns)
    return c.error() << "runs " << uint64_t(runs)
                     << " operations together with the loops in it, more than "
                     << uint64_t(kMostRuns)
                     << "; cut the model before it with --outputs";
  for (size_t i = 0; i < carried; ++i)
    c.put(i, loop->getResult(2 + i));
  for (size_t i = 0; i < scans; ++i) {
    Value rows = loop->getResult(2 + carried + i);
    Value count = c.create<ReshapeOp>({loop->getResult(0)}, {.shape = {1}});
    SmallVector<int64_t> rest(c.shape(rows).drop_front());
    Value end = rest.empty()
                    ? count
                    : c.create<ConcatOp>({count, c.graph.ints(c.loc, rest)},
                                         {.axis = 0});
    SmallVector<int64_t> begin(c.rank(rows), 0);
    c.put(carried + i,
          c.create<DynamicSliceOp>({rows, c.graph.ints(c.loc, begin), end}));
  }
  return success();
}

LogicalResult RunTimeLoop::lower() {
  if (failed(readVariables()))
    return failure();
  Region regions[2];
  FailureOr<bool> whole = makeBuffers();
  if (succeeded(whole) && *whole)
    whole = buildCondition(regions[0]);
  if (succeeded(whole) && *whole)
    whole = buildBody(regions[1]);
  if (failed(whole))
    return failure();
  if (!*whole) // said later
    return success();
  if (llvm::is_contained(variables, Value()))
    return failure();
  return finish(regions);
}

/// A loop that the host runs: trip, condition and carried values go round. Scan
/// outputs need a trip count to make room for; they are cut to length behind.
static LogicalResult lowerRunTimeLoop(C &c) {
  size_t carried = c.numInputs() > 2 ? c.numInputs() - 2 : 0;
  if (failed(checkLoopOutputs(c, carried)))
    return failure();
  return RunTimeLoop(c, carried).lower();
}

/// A Loop whose trip count is known and small is unrolled.
static LogicalResult lowerLoop(C &c) {
  if (c.node.getGraphs().empty())
    return c.error() << "has no body";
  auto trips = c.tryConstant(c.input(0));
  auto condition = c.tryConstant(c.input(1));
  bool known = (!c.input(0) || trips) && (!c.input(1) || condition) &&
               (trips || condition);
  if (!known || (trips && trips->integer() > kMaxTrips))
    return lowerRunTimeLoop(c);
  int64_t count = trips ? trips->integer() : kMaxTrips + 1;
  bool running = !condition || condition->integer();
  SmallVector<Value> carried;
  for (unsigned i = 2; i < c.numInputs(); ++i)
    carried.push_back(c.input(i));
  if (failed(checkLoopOutputs(c, carried.size())))
    return failure();
  SmallVector<SmallVector<Value>> scans(c.numOutputs() - carried.size());
  size_t before = c.countOps();
  for (int64_t trip = 0; trip < count && running; ++trip) {
    size_t perTrip = trip ? (c.countOps() - before) / trip : 0,
           left = trips ? count - trip : 1;
    if (trip >= kMaxTrips ||
        c.countOps() - before + perTrip * left > kMaxUnrolled)
      return lowerRunTimeLoop(c);
    SmallVector<Value> arguments{
        c.scalar(trip, c.graph.builder.getI64Type()),
        c.scalar(1, IntegerType::get(c.node.getContext(), 1))};
    llvm::append_range(arguments, carried);
    auto results = runBody(c, arguments, 1 + carried.size() + scans.size());
    if (failed(results) || results->empty())
      return results;
    auto next = c.tryConstant((*results)[0]);
    if (!next) // ends when the data says so
      return lowerRunTimeLoop(c);
    running = next->integer();
    carried.assign(results->begin() + 1, results->begin() + 1 + carried.size());
    for (auto [i, scan] : llvm::enumerate(scans))
      scan.push_back((*results)[1 + carried.size() + i]);
  }
  for (auto [i, value] : llvm::enumerate(carried))
    c.put(i, value);
  if (!scans.empty() && scans[0].empty()) {
    // No trip: one that nothing reads says what the scan outputs would be.
    SmallVector<Value> arguments{
        c.scalar(0, c.graph.builder.getI64Type()),
        c.scalar(0, IntegerType::get(c.node.getContext(), 1))};
    llvm::append_range(arguments, carried);
    auto results = runBody(c, arguments, 1 + carried.size() + scans.size());
    if (failed(results) || results->empty())
      return results;
    for (size_t i = 0; i < scans.size(); ++i) {
      Value none = noTrips(c, (*results)[1 + carried.size() + i], 0);
      c.put(carried.size() + i, none ? none : joinTrips(c, {}, i, 0));
    }
    return success(!c.failed());
  }
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
