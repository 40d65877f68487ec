//===- Report.cpp - what was placed where, and why ------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Compiler/Report.h"
#include "ReportAdvice.h"
#include "ane-mlir/Analysis/CostModel.h"
#include "dialects/ANE/IR/Cast.h"
#include "dialects/ANE/IR/Structure.h"
#include "dialects/ANE/IR/WeightTrees.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassInstrumentation.h"
#include <map>

using namespace mlir;
using namespace mlir::ane;

/// Ops on the longest way through a program, of those that count.
static unsigned
findDepth(Block &block,
          llvm::function_ref<bool(Operation *)> counts = nullptr) {
  llvm::DenseMap<Operation *, unsigned> depth;
  unsigned most = 0;
  for (Operation &op : block.without_terminator()) {
    if (!isa<CostOpInterface>(op) || isConstantTree(op.getResult(0)) ||
        (counts && !counts(&op)))
      continue;
    unsigned before = 0;
    for (Value operand : op.getOperands())
      if (Operation *producer = operand.getDefiningOp())
        before = std::max(before, depth.lookup(producer));
    most = std::max(most, depth[&op] = before + 1);
  }
  return most;
}

LogicalResult mlir::ane::requireEvidence(ModuleOp module,
                                         llvm::StringRef level) {
  Evidence least = level == "raw"    ? Evidence::Raw
                   : level == "e5rt" ? Evidence::E5RT
                                     : Evidence::Table;
  bool met = true;
  for (auto program : module.getOps<ProgramOp>()) {
    if (!program.isEngine())
      continue;
    for (Operation &op : program.getBody().front().without_terminator()) {
      const OpInfo *info = lookupOpInfo(op.getName().getStringRef());
      if (!info || isConstantTree(op.getResult(0)) || info->evidence <= least)
        continue;
      met = false;
      op.emitError() << "'" << op.getName() << "' op has evidence '"
                     << getEvidenceName(info->evidence) << "' (" << info->why
                     << "), but --require-ane=" << level << " wants '"
                     << getEvidenceName(least) << "'";
    }
  }
  return success(met);
}

/// Rows that make values, across programs; -1 - i for input i of the model.
struct RowMap : llvm::DenseMap<Value, int> {
  /// The op of each row.
  std::vector<Operation *> ops;
};

static double bytesOf(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  if (!tensor || !tensor.hasStaticShape() ||
      !tensor.getElementType().isIntOrFloat())
    return 0;
  return double(tensor.getNumElements()) *
         ((tensor.getElementTypeBitWidth() + 7) / 8);
}

/// As it crosses a surface.
static double surfaceBytes(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  return tensor && tensor.hasStaticShape() ? 2.0 * tensor.getNumElements() : 0;
}

static void addOperands(ReportRow &row, Operation &op, const RowMap &rowOf) {
  for (Value operand : op.getOperands()) {
    auto it = rowOf.find(operand);
    if (it == rowOf.end())
      continue;
    bool isRow = it->second >= 0;
    unsigned number = isRow ? it->second : -1 - it->second;
    std::vector<unsigned> &list = isRow ? row.inputs : row.modelInputs;
    if (!llvm::is_contained(list, number))
      list.push_back(number);
  }
}

/// The largest part of what an engine op takes.
static StringRef findBound(Operation &op, const Prediction &p,
                           const Target &target) {
  if (p.total() <= 0)
    return findWork(&op, target, 1).kind == OpWork::Kind::Absorbed ? "absorbed"
                                                                   : "free";
  if (p.weights > p.compute)
    return "weights";
  if (p.compute > 0)
    return "arithmetic";
  return p.vector > p.move ? "elements" : "movement";
}

/// A preference, not a rule that the op breaks.
static bool isChosen(Operation &op, StringRef rule) {
  return rule.empty() || rule == "cost" || rule == "L13" ||
         (rule == "L07" && op.hasAttr(marks::kFp32));
}

static ReportRow makeRow(Operation &op, const RowMap &rowOf,
                         const Clock &clock) {
  ReportRow row;
  addOperands(row, op, rowOf);
  row.op = op.getName().getStringRef().str();
  if (auto name = dyn_cast<NameLoc>(op.getLoc()))
    row.node = name.getName().str();
  auto text = [&](StringRef key) {
    auto attr = op.getAttrOfType<StringAttr>(key);
    return attr ? attr.getValue().str() : std::string();
  };
  row.rule = text(marks::kRule);
  row.reason = text(marks::kReason);
  row.repair = text(marks::kRepair);
  row.note = text(marks::kNote);
  llvm::raw_string_ostream(row.type) << op.getResult(0).getType();
  Cost cost = cast<CostOpInterface>(op).estimateCost(clock.target);
  row.flops = cost.flops;
  row.weightBytes = cost.weightBytes;
  row.activationBytes = cost.activationBytes;
  for (Type type : op.getResultTypes())
    row.resultBytes += bytesOf(type);
  return row;
}

static bool hasRow(Operation &op) {
  return isa<CostOpInterface>(op) && op.getNumResults() &&
         !isConstantTree(op.getResult(0));
}

static void addRow(Report &report, Report::Program &entry, Operation &op,
                   ReportRow row, bool engine, RowMap &rowOf,
                   const Clock &clock) {
  row.program = entry.name;
  row.placement = engine ? "ane" : "host";
  if (const OpInfo *info = lookupOpInfo(row.op); info && engine) {
    row.evidence = getEvidenceName(info->evidence).str();
    row.evidenceText = info->why.str();
  }
  if (engine) {
    Prediction p = predict(&op, clock);
    row.predictedMicros = p.total();
    row.bound = findBound(op, p, clock.target).str();
  } else {
    row.predictedMicros = predictHostMicros(&op, clock.target);
    row.legalOnEngine = isChosen(op, row.rule);
  }
  for (Value result : op.getResults())
    rowOf[result] = report.rows.size();
  rowOf.ops.push_back(&op);
  ++entry.ops;
  ++(engine ? report.engineOps : report.hostOps);
  report.rows.push_back(std::move(row));
}

static void addProgram(Report &report, ProgramOp program, RowMap &rowOf,
                       const Clock &clock) {
  Report::Program entry;
  entry.name = program.getSymName().str();
  entry.kind = stringifyProgramKind(program.getKind()).str();
  entry.depth = findDepth(program.getBody().front());
  entry.prediction = predict(program);
  entry.predictedMicros =
      entry.prediction.total() + predictHostMicros(program, clock.target);
  for (Type type : program.getArgumentTypes())
    entry.inputBytes += surfaceBytes(type);
  for (Type type : program.getResultTypes())
    entry.outputBytes += surfaceBytes(type);
  for (Operation &op : program.getBody().front().without_terminator())
    if (hasRow(op))
      addRow(report, entry, op, makeRow(op, rowOf, clock), program.isEngine(),
             rowOf, clock);
  (program.isEngine() ? report.predictedMicros : report.hostMicros) +=
      entry.predictedMicros;
  report.programs.push_back(std::move(entry));
}

/// What keeps an op of a package from the engine: structure, integers and open
/// shapes. Core ML takes other forms than the engine's own compiler does.
static std::optional<Violation> findObstacle(Operation &op,
                                             const Target &target) {
  auto legality = dyn_cast<LegalityOpInterface>(op);
  if (!legality)
    return Violation{"L05", "is no tensor operation"};
  // At the boundary, part of packing.
  if (isa<CastOp>(op) &&
      isa<FloatType>(getElementTypeOrSelf(op.getOperand(0).getType())) &&
      isa<FloatType>(getElementTypeOrSelf(op.getResult(0).getType())))
    return std::nullopt;
  ViolationList violations;
  findEnabledViolations(legality, target, violations);
  for (Violation &violation : violations)
    if (StringRef(violation.rule).starts_with("S") ||
        llvm::is_contained({"L05", "L06", "L07", "L46"}, violation.rule))
      return std::move(violation);
  return std::nullopt;
}

/// A function of a package as one program of the engine, with what it cannot
/// take on the host.
static void addFunction(Report &report, func::FuncOp function, RowMap &rowOf,
                        const Clock &clock) {
  Report::Program engine, host;
  engine.name = function.getSymName().str();
  engine.kind = "ane";
  host.name = engine.name + " (host)";
  host.kind = "host";
  llvm::DenseSet<Operation *> onHost;
  for (Operation &op : function.getBody().front().without_terminator()) {
    if (!hasRow(op))
      continue;
    ReportRow row = makeRow(op, rowOf, clock);
    std::optional<Violation> obstacle = findObstacle(op, clock.target);
    if (obstacle) {
      onHost.insert(&op);
      row.rule = obstacle->rule;
      row.reason = obstacle->reason;
      host.predictedMicros += predictHostMicros(&op, clock.target);
    } else {
      engine.prediction += predict(&op, clock);
    }
    addRow(report, obstacle ? host : engine, op, std::move(row), !obstacle,
           rowOf, clock);
  }
  Block &block = function.getBody().front();
  engine.depth =
      findDepth(block, [&](Operation *op) { return !onHost.contains(op); });
  host.depth =
      findDepth(block, [&](Operation *op) { return onHost.contains(op); });
  if (engine.ops) {
    for (Type type : function.getArgumentTypes())
      engine.inputBytes += surfaceBytes(type);
    for (Type type : function.getResultTypes())
      engine.outputBytes += surfaceBytes(type);
    engine.prediction.surfaces = clock.surfaces(
        engine.inputBytes + engine.outputBytes, engine.prediction.total());
    engine.prediction.dispatch = clock.floor();
    engine.predictedMicros = engine.prediction.total();
    report.predictedMicros += engine.predictedMicros;
    report.programs.push_back(std::move(engine));
  }
  if (host.ops) {
    report.hostMicros += host.predictedMicros;
    report.programs.push_back(std::move(host));
  }
}

static void addLiveBytes(Report &report, func::FuncOp function) {
  if (auto bytes = function->getAttrOfType<IntegerAttr>(marks::kLiveBytes))
    report.liveBytes = std::max(report.liveBytes, double(bytes.getInt()));
}

static void addAlternatives(Report &report, func::FuncOp function) {
  auto predicted = function->getAttrOfType<DictionaryAttr>(marks::kPredicted);
  if (!predicted)
    return;
  auto number = [&](StringRef key) {
    auto attr = predicted.getAs<FloatAttr>(key);
    return attr ? attr.getValueAsDouble() : 0;
  };
  // Placing compares without surfaces and what later passes do; as placed it is
  // what the programs come to.
  double placed = report.predictedMicros + report.hostMicros;
  double cheapest = number("cheapest_us");
  bool isCheapest = cheapest == number("placed_us");
  report.alternatives = {placed, report.engineOps ? number("host_us") : placed,
                         isCheapest ? placed : std::min(cheapest, placed),
                         number("crossover")};
}

/// Values on both sides of a call have one row.
static void forwardRows(RowMap &rowOf, ValueRange from, ValueRange to) {
  for (auto [source, value] : llvm::zip(from, to))
    if (auto it = rowOf.find(source); it != rowOf.end())
      rowOf[value] = int(it->second);
}

/// What a step moves: values that cross the surfaces of engine programs.
static void addTraining(Report &report, ModuleOp module) {
  auto main = module.lookupSymbol<func::FuncOp>("main");
  auto parameters = module->getAttrOfType<ArrayAttr>(marks::kParameters);
  if (!main || !parameters || main.getResultAttr(0, marks::kLoss) == nullptr)
    return;
  Report::Training training;
  training.parameters = parameters.size();
  for (Attribute entry : parameters)
    training.elements += cast<DictionaryAttr>(entry)
                             .getAs<ElementsAttr>("value")
                             .getNumElements();
  llvm::DenseSet<Value> weights, gradients;
  for (BlockArgument argument : main.getArguments())
    if (main.getArgAttr(argument.getArgNumber(), marks::kParameter) ||
        main.getArgAttr(argument.getArgNumber(), marks::kCopyOf))
      weights.insert(argument);
  for (Value result : main.getBody().front().getTerminator()->getOperands())
    gradients.insert(result);
  for (auto call : main.getBody().front().getOps<CallOp>()) {
    auto program = module.lookupSymbol<ProgramOp>(call.getCallee());
    if (!program || !program.isEngine()) {
      ++training.hostCalls;
      continue;
    }
    ++training.dispatches;
    double patched = 0;
    program.walk([&](ConstantOp constant) {
      if (constant->hasAttr(marks::kCopyOf))
        patched += 2.0 * constant.getType().getNumElements();
    });
    training.patched += patched > 0;
    training.patchedBytes += patched;
    for (auto [value, type] :
         llvm::zip(call.getInputs(), program.getArgumentTypes()))
      (weights.contains(value) ? training.weightBytes : training.otherBytes) +=
          surfaceBytes(type);
    for (auto [value, type] :
         llvm::zip(call.getOutputs(), program.getResultTypes()))
      (gradients.contains(value) ? training.gradientBytes
                                 : training.otherBytes) += surfaceBytes(type);
  }
  report.training = training;
}

static std::string nameOf(Attribute attr) {
  auto name = dyn_cast_or_null<StringAttr>(attr);
  return name ? name.str() : std::string();
}

static void addInputs(Report &report, func::FuncOp main, RowMap &rowOf) {
  for (BlockArgument argument : main.getArguments()) {
    unsigned i = argument.getArgNumber();
    rowOf[argument] = -1 - int(report.inputs.size());
    Report::Port port;
    port.name = nameOf(main.getArgAttr(i, marks::kName));
    llvm::raw_string_ostream(port.type) << argument.getType();
    report.inputs.push_back(std::move(port));
  }
}

static void addOutputs(Report &report, func::FuncOp main, const RowMap &rowOf) {
  for (auto [i, value] :
       llvm::enumerate(main.getBody().front().getTerminator()->getOperands())) {
    Report::Port port;
    port.name = nameOf(main.getResultAttr(i, marks::kName));
    llvm::raw_string_ostream(port.type) << value.getType();
    if (auto it = rowOf.find(value); it != rowOf.end() && it->second >= 0)
      port.row = it->second;
    report.outputs.push_back(std::move(port));
  }
}

Report mlir::ane::makeReport(ModuleOp module, llvm::StringRef model,
                             bool advice) {
  Report report;
  WeightTrees trees;
  Clock clock = getClock(module);
  report.model = model.str();
  report.target = clock.target.name.str();
  report.producer = "ane-mlir " ANEMLIR_VERSION;
  report.door = stringify(clock.door).str();
  report.error = clock.error();
  report.onChipBytes = 1e6 * clock.rate(CostId::OnChipMb);
  // Programs follow the schedule, so that what a call takes is known when its
  // program comes.
  RowMap rowOf;
  auto functions = module.getOps<func::FuncOp>();
  func::FuncOp main = functions.empty() ? func::FuncOp() : *functions.begin();
  if (main)
    addInputs(report, main, rowOf);
  llvm::StringMap<CallOp> calls;
  module.walk([&](CallOp call) { calls[call.getCallee()] = call; });
  for (auto program : module.getOps<ProgramOp>()) {
    Block &body = program.getBody().front();
    CallOp call = calls.lookup(program.getSymName());
    if (call)
      forwardRows(rowOf, call.getInputs(), body.getArguments());
    addProgram(report, program, rowOf, clock);
    if (call)
      forwardRows(rowOf, body.getTerminator()->getOperands(),
                  call.getOutputs());
  }
  report.isPackage = report.programs.empty();
  for (auto function : module.getOps<func::FuncOp>()) {
    addLiveBytes(report, function);
    report.isPackage ? addFunction(report, function, rowOf, clock)
                     : addAlternatives(report, function);
  }
  if (main)
    addOutputs(report, main, rowOf);
  addTraining(report, module);
  if (advice)
    addAdvice(report, rowOf.ops, clock);
  return report;
}

namespace {
class PassCounter : public PassInstrumentation {
public:
  explicit PassCounter(PassLog &log) : log(log) {}
  void runBeforePass(Pass *pass, Operation *op) override {
    if (!pass->getArgument().empty() && isa<ModuleOp>(op))
      before = count(op);
  }
  void runAfterPass(Pass *pass, Operation *op) override {
    if (pass->getArgument().empty() || !isa<ModuleOp>(op))
      return;
    PassLog::Change change;
    change.pass = pass->getArgument().str();
    std::map<std::string, int> after = count(op);
    for (auto &[name, n] : before)
      change.before += n;
    for (auto &[name, n] : after) {
      change.after += n;
      if (int more = n - before[name]; more > 0)
        change.more[name] = more;
    }
    for (auto &[name, n] : before)
      if (int fewer = n - (after.count(name) ? after[name] : 0); fewer > 0)
        change.fewer[name] = fewer;
    log.changes.push_back(std::move(change));
  }

private:
  /// Run-time and weight operations; constants are data.
  static std::map<std::string, int> count(Operation *op) {
    std::map<std::string, int> counts;
    op->walk([&](Operation *inner) {
      if (isa<CostOpInterface>(inner))
        ++counts[inner->getName().getStringRef().str()];
    });
    return counts;
  }
  PassLog &log;
  std::map<std::string, int> before;
};
} // namespace

void PassLog::attach(PassManager &pm) {
  pm.addInstrumentation(std::make_unique<PassCounter>(*this));
}
