//===- Report.cpp - what was placed where, and why ------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Compiler/Report.h"
#include "ane-mlir/Analysis/CostModel.h"
#include "ane-mlir/Support/Diagnostics.h"
#include "dialects/ANE/IR/WeightTrees.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassInstrumentation.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"
#include <cmath>
#include <map>

using namespace mlir;
using namespace mlir::ane;

/// Ops on the longest way through a program.
static unsigned findDepth(ProgramOp program) {
  llvm::DenseMap<Operation *, unsigned> depth;
  unsigned most = 0;
  for (Operation &op : program.getBody().front().without_terminator()) {
    if (!isa<CostOpInterface>(op) || isConstantTree(op.getResult(0)))
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

/// Rows that make values, across programs.
using RowMap = llvm::DenseMap<Value, unsigned>;

static ReportRow makeRow(Operation &op, const RowMap &rowOf,
                         const Clock &clock) {
  ReportRow row;
  for (Value operand : op.getOperands())
    if (auto it = rowOf.find(operand);
        it != rowOf.end() && !llvm::is_contained(row.inputs, it->second))
      row.inputs.push_back(it->second);
  row.op = op.getName().getStringRef().str();
  if (auto name = dyn_cast<NameLoc>(op.getLoc()))
    row.node = name.getName().str();
  auto text = [&](StringRef key) {
    auto attr = op.getAttrOfType<StringAttr>(key);
    return attr ? attr.getValue().str() : std::string();
  };
  row.rule = text("ane.rule");
  row.reason = text("ane.reason");
  row.repair = text("ane.repair");
  row.note = text("ane.note");
  llvm::raw_string_ostream(row.type) << op.getResult(0).getType();
  Cost cost = cast<CostOpInterface>(op).estimateCost(clock.target);
  row.flops = cost.flops;
  row.weightBytes = cost.weightBytes;
  row.activationBytes = cost.activationBytes;
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
  row.predictedMicros = engine ? predict(&op, clock).total()
                               : predictHostMicros(&op, clock.target);
  for (Value result : op.getResults())
    rowOf[result] = report.rows.size();
  ++entry.ops;
  ++(engine ? report.engineOps : report.hostOps);
  report.rows.push_back(std::move(row));
}

static void addProgram(Report &report, ProgramOp program, RowMap &rowOf,
                       const Clock &clock) {
  Report::Program entry;
  entry.name = program.getSymName().str();
  entry.kind = program.getKind().str();
  entry.depth = findDepth(program);
  entry.prediction = predict(program);
  entry.predictedMicros =
      entry.prediction.total() + predictHostMicros(program, clock.target);
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
  for (Operation &op : function.getBody().front().without_terminator()) {
    if (!hasRow(op))
      continue;
    ReportRow row = makeRow(op, rowOf, clock);
    std::optional<Violation> obstacle = findObstacle(op, clock.target);
    if (obstacle) {
      row.rule = obstacle->rule;
      row.reason = obstacle->reason;
      host.predictedMicros += predictHostMicros(&op, clock.target);
    } else {
      engine.prediction += predict(&op, clock);
    }
    addRow(report, obstacle ? host : engine, op, std::move(row), !obstacle,
           rowOf, clock);
  }
  if (engine.ops) {
    double bytes = 0;
    for (Type type : llvm::concat<const Type>(function.getArgumentTypes(),
                                              function.getResultTypes()))
      if (auto tensor = dyn_cast<RankedTensorType>(type);
          tensor && tensor.hasStaticShape())
        bytes += 2.0 * tensor.getNumElements();
    engine.prediction.surfaces =
        clock.surfaces(bytes, engine.prediction.total());
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

static void addAlternatives(Report &report, func::FuncOp function) {
  auto predicted = function->getAttrOfType<DictionaryAttr>("ane.predicted");
  if (!predicted)
    return;
  auto number = [&](StringRef key) {
    auto attr = predicted.getAs<FloatAttr>(key);
    return attr ? attr.getValueAsDouble() : 0;
  };
  report.alternatives = {number("placed_us"), number("host_us"),
                         number("cheapest_us"), number("crossover")};
}

/// Values on both sides of a call have one row.
static void forwardRows(RowMap &rowOf, ValueRange from, ValueRange to) {
  for (auto [source, value] : llvm::zip(from, to))
    if (auto it = rowOf.find(source); it != rowOf.end())
      rowOf[value] = unsigned(it->second);
}

static double surfaceBytes(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  return tensor && tensor.hasStaticShape() ? 2.0 * tensor.getNumElements() : 0;
}

/// What a step moves: values that cross the surfaces of engine programs.
static void addTraining(Report &report, ModuleOp module) {
  auto main = module.lookupSymbol<func::FuncOp>("main");
  auto parameters = module->getAttrOfType<ArrayAttr>("ane.parameters");
  if (!main || !parameters || main.getResultAttr(0, "ane.loss") == nullptr)
    return;
  Report::Training training;
  training.parameters = parameters.size();
  for (Attribute entry : parameters)
    training.elements += cast<DictionaryAttr>(entry)
                             .getAs<ElementsAttr>("value")
                             .getNumElements();
  llvm::DenseSet<Value> weights, gradients;
  for (BlockArgument argument : main.getArguments())
    if (main.getArgAttr(argument.getArgNumber(), "ane.parameter") ||
        main.getArgAttr(argument.getArgNumber(), "ane.copy_of"))
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

Report mlir::ane::makeReport(ModuleOp module, llvm::StringRef model) {
  Report report;
  WeightTrees trees;
  Clock clock = getClock(module);
  report.model = model.str();
  report.target = clock.target.name.str();
  report.producer = "ane-mlir " ANEMLIR_VERSION;
  report.door = stringify(clock.door).str();
  report.error = clock.error();
  // Programs follow the schedule, so that what a call takes is known when its
  // program comes.
  RowMap rowOf;
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
  for (auto function : module.getOps<func::FuncOp>())
    report.isPackage ? addFunction(report, function, rowOf, clock)
                     : addAlternatives(report, function);
  addTraining(report, module);
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

/// JSON has no infinity: null stands for a result that is not finite.
static llvm::json::Value finiteOrNull(double value) {
  return std::isfinite(value) ? llvm::json::Value(value)
                              : llvm::json::Value(nullptr);
}

static void writeAccuracy(llvm::json::OStream &j, const AccuracyReport &found) {
  j.attributeArray("samples", [&] {
    for (const std::string &sample : found.samples)
      j.value(sample);
  });
  j.attribute("guessed", found.guessed);
  if (found.numerics.empty()) {
    j.attribute("not_measured", found.whyNot);
    return;
  }
  j.attribute("numerics", found.numerics);
  j.attribute("kept_fp32", int64_t(found.kept));
  if (found.ofOps) {
    j.attribute("first_operations", int64_t(found.ranOps));
    j.attribute("of_operations", int64_t(found.ofOps));
  }
  j.attribute("repair_undone", found.repairUndone);
  j.attributeArray("outputs", [&] {
    for (const OutputAccuracy &output : found.accuracy.outputs)
      j.object([&] {
        j.attribute("name", output.name);
        j.attribute("cosine", output.cosine);
        j.attribute("max_error", finiteOrNull(output.error));
        j.attribute("finite", !output.nonFinite);
        j.attribute("integers_differing", output.differing);
        j.attribute("within_bar", output.isWithinBar());
      });
  });
  j.attributeArray("losses", [&] {
    for (const Loss &loss : llvm::ArrayRef(found.losses).take_front(16))
      j.object([&] {
        j.attribute("op", loss.op);
        if (auto name = dyn_cast<NameLoc>(loss.where))
          j.attribute("node", name.getName().getValue());
        j.attribute("error", finiteOrNull(loss.error));
        j.attribute("error_before", finiteOrNull(loss.before));
      });
  });
}

void Report::writeJSON(llvm::raw_ostream &os) const {
  llvm::json::OStream j(os, 2);
  j.object([&] {
    j.attribute("producer", producer);
    j.attribute("model", model);
    j.attribute("target", target);
    std::map<std::string, int64_t> evidence;
    for (const ReportRow &row : rows)
      if (!row.evidence.empty())
        ++evidence[row.evidence];
    j.attributeObject("summary", [&] {
      j.attributeObject("evidence", [&] {
        for (auto &[level, count] : evidence)
          j.attribute(level, count);
      });
      j.attribute("engine_ops", int64_t(engineOps));
      j.attribute("host_ops", int64_t(hostOps));
      j.attribute("predicted_engine_us", predictedMicros);
      j.attribute("predicted_host_us", hostMicros);
      j.attribute("predicted_error_percent", 100 * error);
      j.attribute("door", door);
    });
    if (alternatives)
      j.attributeObject("alternatives", [&] {
        j.attribute("placed_us", alternatives->placedMicros);
        j.attribute("host_only_us", alternatives->hostMicros);
        j.attribute("cheapest_us", alternatives->cheapestMicros);
        // JSON has no infinity: null says that the engine never pays.
        j.attribute("engine_pays_from_times_positions",
                    std::isfinite(alternatives->crossover)
                        ? llvm::json::Value(alternatives->crossover)
                        : llvm::json::Value(nullptr));
      });
    if (training)
      j.attributeObject("training", [&] {
        j.attribute("parameters", int64_t(training->parameters));
        j.attribute("elements", training->elements);
        j.attribute("dispatches", int64_t(training->dispatches));
        j.attribute("host_calls", int64_t(training->hostCalls));
        j.attribute("compiles", int64_t(training->dispatches));
        j.attribute("compiles_per_step", int64_t(0));
        j.attribute("weight_bytes", training->weightBytes);
        j.attribute("gradient_bytes", training->gradientBytes);
        j.attribute("other_bytes", training->otherBytes);
      });
    if (accuracy)
      j.attributeObject("accuracy", [&] { writeAccuracy(j, *accuracy); });
    j.attributeArray("programs", [&] {
      for (const Program &program : programs)
        j.object([&] {
          j.attribute("name", program.name);
          j.attribute("kind", program.kind);
          j.attribute("ops", int64_t(program.ops));
          j.attribute("depth", int64_t(program.depth));
          j.attribute("predicted_us", program.predictedMicros);
          j.attributeObject("predicted", [&] {
            const Prediction &p = program.prediction;
            j.attribute("dispatch_us", p.dispatch);
            j.attribute("compute_us", p.compute);
            j.attribute("weights_us", p.weights);
            j.attribute("vector_us", p.vector);
            j.attribute("move_us", p.move);
            j.attribute("surfaces_us", p.surfaces);
          });
        });
    });
    j.attributeArray("ops", [&] {
      for (const ReportRow &row : rows)
        j.object([&] {
          j.attribute("op", row.op);
          j.attribute("node", row.node);
          j.attribute("program", row.program);
          j.attribute("placement", row.placement);
          j.attribute("rule", row.rule);
          j.attribute("reason", row.reason);
          if (!row.evidence.empty()) {
            j.attribute("evidence", row.evidence);
            j.attribute("evidence_text", row.evidenceText);
          }
          if (!row.repair.empty())
            j.attribute("repair", row.repair);
          if (!row.note.empty())
            j.attribute("note", row.note);
          j.attribute("type", row.type);
          j.attribute("flops", row.flops);
          j.attribute("weight_bytes", row.weightBytes);
          j.attribute("activation_bytes", row.activationBytes);
          j.attribute("predicted_us", row.predictedMicros);
          j.attributeArray("inputs", [&] {
            for (unsigned input : row.inputs)
              j.value(int64_t(input));
          });
        });
    });
    j.attributeArray("passes", [&] {
      auto counts = [&](StringRef key, const std::map<std::string, int> &map) {
        j.attributeObject(key, [&] {
          for (auto &[op, count] : map)
            j.attribute(op, count);
        });
      };
      for (const PassLog::Change &change : passes)
        j.object([&] {
          j.attribute("pass", change.pass);
          j.attribute("ops_before", int64_t(change.before));
          j.attribute("ops_after", int64_t(change.after));
          counts("more", change.more);
          counts("fewer", change.fewer);
        });
    });
  });
  os << '\n';
}

static constexpr char kPage[] =
#include "lib/Compiler/Report.html.inc"
    ;

void Report::writeHTML(llvm::raw_ostream &os) const {
  std::string json;
  llvm::raw_string_ostream stream(json);
  writeJSON(stream);
  auto [before, after] = StringRef(kPage).split("@DATA@");
  os << before;
  // No tag can end the script: '<' occurs inside of JSON's strings only.
  for (char c : json)
    c == '<' ? os << "\\u003c" : os << c;
  os << after;
}

/// Chrome's trace format: one event per program in schedule order, its ops
/// inside.
void Report::writeTrace(llvm::raw_ostream &os) const {
  llvm::json::OStream j(os, 1);
  double now = 0;
  auto event = [&](StringRef name, StringRef category, double start,
                   double duration, bool engine,
                   llvm::function_ref<void()> arguments) {
    j.object([&] {
      j.attribute("name", name);
      j.attribute("cat", category);
      j.attribute("ph", "X");
      j.attribute("ts", start);
      j.attribute("dur", duration);
      j.attribute("pid", 1);
      j.attribute("tid", engine ? 1 : 2);
      j.attributeObject("args", arguments);
    });
  };
  auto label = [&](StringRef what, int thread, StringRef name) {
    j.object([&] {
      j.attribute("name", what);
      j.attribute("ph", "M");
      j.attribute("pid", 1);
      if (thread)
        j.attribute("tid", thread);
      j.attributeObject("args", [&] { j.attribute("name", name); });
    });
  };
  j.object([&] {
    j.attribute("displayTimeUnit", "ns");
    j.attributeObject("otherData", [&] {
      j.attribute("model", model);
      j.attribute("target", target);
      j.attribute("what", "predicted by the cost model, not measured");
    });
    j.attributeArray("traceEvents", [&] {
      label("process_name", 0, model + " on " + target + " (predicted)");
      label("thread_name", 1, "engine");
      label("thread_name", 2, "host");
      for (const Program &program : programs) {
        bool engine = program.kind == "ane";
        event(program.name, program.kind, now, program.predictedMicros, engine,
              [&] { j.attribute("ops", int64_t(program.ops)); });
        double at = now;
        if (engine) {
          event("dispatch", "dispatch", at, program.prediction.dispatch, true,
                [] {});
          at += program.prediction.dispatch;
        }
        for (const ReportRow &row : rows) {
          if (row.program != program.name)
            continue;
          event(row.node.empty() ? row.op : row.node, row.op, at,
                row.predictedMicros, engine, [&] {
                  j.attribute("op", row.op);
                  j.attribute("type", row.type);
                  j.attribute("flops", row.flops);
                  j.attribute("weight_bytes", row.weightBytes);
                });
          at += row.predictedMicros;
        }
        now += program.predictedMicros;
      }
    });
  });
  os << '\n';
}

/// Engine ops that nobody was seen to evaluate in memory, by kind.
void Report::writeEvidence(llvm::raw_ostream &os) const {
  std::map<std::string, std::pair<unsigned, const ReportRow *>> weaker;
  for (const ReportRow &row : rows)
    if (!row.evidence.empty() && row.evidence != "raw") {
      auto &entry = weaker[row.op];
      ++entry.first;
      entry.second = &row;
    }
  if (!weaker.empty())
    os << "on the engine without evidence in memory (--require-ane=raw "
          "refuses them):\n";
  for (auto &[op, entry] : weaker)
    os << "  " << llvm::left_justify(entry.second->evidence, 9) << op << " ("
       << entry.first << "): " << entry.second->evidenceText << "\n";
}

static StringRef describeDoor(StringRef door) {
  return door == "coreml" ? "through Core ML"
         : door == "e5rt" ? "through E5RT"
                          : "in memory";
}

/// What the host alone would take, where that is less.
static void writeVerdict(const Report::Alternatives &a, bool allOnEngine,
                         llvm::raw_ostream &os) {
  if (a.hostMicros >= a.placedMicros)
    return;
  os << llvm::format("  the host alone is predicted to be faster: %.1f us",
                     a.hostMicros)
     << (allOnEngine ? " (--placement=host; all of it is legal on the engine, "
                       "so it stays there)\n"
                     : " (--placement=host)\n");
}

void Report::writeText(llvm::raw_ostream &os) const {
  os << "target " << target << ": " << engineOps << " ops on the engine, "
     << hostOps << " on the host; predicted engine time "
     << llvm::format("%.1f", predictedMicros) << " us ± "
     << llvm::format("%.0f", 100 * error) << " % (" << describeDoor(door)
     << (isPackage ? ", where it places them so" : "") << ")\n";
  for (const Program &program : programs)
    os << "  " << llvm::left_justify(program.name, 14)
       << llvm::left_justify(program.kind, 6)
       << llvm::right_justify(std::to_string(program.ops), 5) << " ops, "
       << llvm::right_justify(std::to_string(program.depth), 4) << " deep"
       << llvm::format("  %10.1f us\n", program.predictedMicros);
  if (alternatives) {
    const Alternatives &a = *alternatives;
    writeVerdict(a, hostOps == 0, os);
    os << "predicted: " << llvm::format("%.1f us as placed, ", a.placedMicros)
       << llvm::format("%.1f us all on the host, ", a.hostMicros)
       << llvm::format("%.1f us as the cheapest split (--placement=cost)\n",
                       a.cheapestMicros);
    os << "  the engine is "
       << (a.crossover == 0 ? std::string("always faster")
           : std::isinf(a.crossover)
               ? std::string("never faster")
               : llvm::formatv("faster from {0:f2} times the "
                               "positions of this model on",
                               a.crossover)
                     .str())
       << " (coarse model of the host)\n";
  }
  if (training)
    os << "a step of training: " << training->parameters << " weights of "
       << llvm::format("%.3g", training->elements) << " numbers; "
       << training->dispatches << " dispatches to the engine, "
       << training->hostCalls << " programs of the host; "
       << llvm::format("%.1f MB of weights in, %.1f MB of gradients out, "
                       "%.1f MB of other values in and out",
                       training->weightBytes / 1e6,
                       training->gradientBytes / 1e6,
                       training->otherBytes / 1e6)
       << "; compiles: " << training->dispatches
       << " before the first step, none later\n";
  writeEvidence(os);
  // Host ops by reason.
  std::map<std::pair<std::string, std::string>,
           std::pair<unsigned, std::string>>
      reasons;
  for (const ReportRow &row : rows)
    if (row.placement == "host") {
      auto &entry = reasons[{row.rule, row.op + ": " + row.reason}];
      if (entry.first++ == 0)
        entry.second = row.node;
    }
  if (!reasons.empty())
    os << "on the host:\n";
  for (auto &[key, entry] : reasons)
    os << "  " << llvm::left_justify(key.first, 6) << key.second << " ("
       << entry.first << ", first \"" << printable(entry.second) << "\")\n";
}
