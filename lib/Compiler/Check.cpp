//===- Check.cpp - does a model fit, and is that good enough --------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Compiler/Check.h"
#include "ane-mlir/Compiler/InitAll.h"
#include "ane-mlir/Support/JSON.h"
#include "ane-mlir/Support/ScratchFolder.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/GlobPattern.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Process.h"
#define TOML_EXCEPTIONS 0
#include <cmath>
#include <toml++/toml.h>

using namespace mlir;
using namespace mlir::ane;

//===----------------------------------------------------------------------===//
// Thresholds
//===----------------------------------------------------------------------===//

static llvm::Error wrongAt(StringRef path, const toml::node &node,
                           const Twine &what) {
  return llvm::createStringError("'" + path + "', line " +
                                 Twine(node.source().begin.line) + ": " + what);
}

static llvm::Error readThreshold(StringRef path, StringRef key,
                                 const toml::node &node, Thresholds &t) {
  auto number = node.value<double>();
  auto text = node.value<std::string>();
  auto need = [&](StringRef kind) {
    return wrongAt(path, node, "'" + key + "' expects " + kind);
  };
  if (key == "max-host-ops") {
    if (!node.is_integer() || *number < 0)
      return need("a whole number from 0 on");
    t.maxHostOps = t.maxHostOps.value_or(int64_t(*number));
  } else if (key == "max-predicted-us") {
    if (!number || !(*number >= 0))
      return need("a number from 0 on");
    t.maxPredictedMicros = t.maxPredictedMicros.value_or(*number);
  } else if (key == "min-cosine") {
    if (!number || !(std::fabs(*number) <= 1))
      return need("a number from -1 to 1");
    t.minCosine = t.minCosine.value_or(*number);
  } else if (key == "baseline") {
    if (!text)
      return need("a file's name");
    SmallString<128> file(llvm::sys::path::parent_path(path));
    llvm::sys::path::append(file, *text);
    if (t.baseline.empty())
      t.baseline =
          llvm::sys::path::is_absolute(*text) ? *text : file.str().str();
  } else if (key == "allow-host") {
    const toml::array *list = node.as_array();
    if (!list || !list->is_homogeneous(toml::node_type::string))
      return need("a list of node names, with * and ?");
    for (const toml::node &entry : *list)
      t.allowHost.push_back(*entry.value<std::string>());
  } else {
    return wrongAt(path, node,
                   "'" + key +
                       "' is not known; there are max-host-ops, "
                       "max-predicted-us, min-cosine, allow-host and baseline");
  }
  return llvm::Error::success();
}

llvm::Error mlir::ane::readThresholds(StringRef path, Thresholds &thresholds) {
  auto buffer = llvm::MemoryBuffer::getFile(path);
  if (!buffer)
    return llvm::createStringError("cannot read '" + path +
                                   "': " + buffer.getError().message());
  toml::parse_result parsed =
      toml::parse(std::string_view((*buffer)->getBuffer()), path.str());
  if (!parsed)
    return llvm::createStringError(
        "'" + path + "', line " + Twine(parsed.error().source().begin.line) +
        ": " + StringRef(parsed.error().description()));
  for (auto &&[key, node] : parsed.table())
    if (llvm::Error error =
            readThreshold(path, StringRef(key.str()), node, thresholds))
      return error;
  return llvm::Error::success();
}

//===----------------------------------------------------------------------===//
// One target
//===----------------------------------------------------------------------===//

static bool matches(StringRef name, ArrayRef<std::string> patterns) {
  return llvm::any_of(patterns, [&](StringRef text) {
    auto glob = llvm::GlobPattern::create(text);
    if (!glob)
      return llvm::consumeError(glob.takeError()), text == name;
    return glob->match(name) || text == name;
  });
}

std::vector<const ReportRow *>
CheckedTarget::hostRows(const Thresholds &thresholds) const {
  std::vector<const ReportRow *> rows;
  if (compiled)
    for (const ReportRow &row : compiled->report->rows)
      // Casts around what the host computes in fp32 come and go with it.
      if (row.placement == "host" &&
          !(row.op == "ane.cast" && row.rule == "L07") &&
          !matches(row.node, thresholds.allowHost))
        rows.push_back(&row);
  return rows;
}

double CheckedTarget::predictedMicros() const {
  return compiled
             ? compiled->report->predictedMicros + compiled->report->hostMicros
             : 0;
}

bool CheckResult::converted() const {
  return llvm::all_of(targets, [](auto &t) { return bool(t.compiled); });
}
bool CheckResult::passes() const {
  return converted() &&
         llvm::all_of(targets, [](auto &t) { return t.violations.empty(); });
}

/// Compiles with the messages kept.
static void compileFor(CompileOptions options, CheckedTarget &checked) {
  options.target = checked.target;
  options.advice = false; // no format has it
  DialectRegistry registry;
  registerAllDialects(registry);
  MLIRContext context(registry);
  context.loadDialect<ANEDialect, func::FuncDialect>();
  context.printOpOnDiagnostic(false);
  ScopedDiagnosticHandler handler(&context, [&](Diagnostic &diagnostic) {
    bool isError = diagnostic.getSeverity() == DiagnosticSeverity::Error;
    if (!isError && diagnostic.getSeverity() != DiagnosticSeverity::Warning)
      return success();
    std::string text = spellTypes(diagnostic.str());
    if (isa<NameLoc>(diagnostic.getLocation()))
      text = nameOf(diagnostic.getLocation()) + ": " + text;
    (isError ? checked.errors : checked.warnings).push_back(text);
    return success();
  });
  // A log of continuous integration has the report alone.
  Progress progress(/*quiet=*/!llvm::sys::Process::StandardErrIsDisplayed());
  FailureOr<Compilation> made = compile(options, &context, progress);
  if (succeeded(made))
    checked.compiled = std::move(*made);
}

static void judgeAccuracy(CheckedTarget &checked, double least) {
  const std::optional<AccuracyReport> &found = checked.compiled->accuracy;
  if (!found || found->numerics.empty() || found->ofOps) {
    std::string why = !found         ? "not checked"
                      : found->ofOps ? "the model is large, and only its "
                                       "first operations were run"
                                     : found->whyNot;
    checked.violations.push_back(
        {"min-cosine", "could not be measured: " + why, "", ""});
    return;
  }
  for (const OutputAccuracy &o : found->accuracy.outputs)
    if (o.nonFinite || !(o.closeness() >= least)) {
      std::string text;
      llvm::raw_string_ostream(text)
          << "output '" << o.name << "' " << o.describe() << "; the least is "
          << llvm::format("%.5f", least);
      checked.violations.push_back({"min-cosine", text, "", ""});
    }
}

/// One violation for each node, whatever number of ops it became.
static void addNodes(CheckedTarget &checked, ArrayRef<const ReportRow *> rows,
                     StringRef threshold, StringRef what, StringRef more) {
  llvm::StringSet<> seen;
  for (const ReportRow *row : rows)
    if (seen.insert(row->node + "\n" + row->rule).second)
      checked.violations.push_back(
          {threshold.str(),
           ("'" + Twine(row->op) + "' " + what + ": " + row->reason + more)
               .str(),
           row->node, row->rule});
}

static void judgeThresholds(CheckedTarget &checked, const Thresholds &t) {
  auto rows = checked.hostRows(t);
  if (t.maxHostOps && int64_t(rows.size()) > *t.maxHostOps) {
    std::string most = *t.maxHostOps ? "; " + std::to_string(rows.size()) +
                                           " do, the most is " +
                                           std::to_string(*t.maxHostOps)
                                     : "";
    addNodes(checked, rows, "max-host-ops", "runs on the host", most);
  }
  double micros = checked.predictedMicros();
  if (t.maxPredictedMicros && micros > *t.maxPredictedMicros) {
    std::string text;
    llvm::raw_string_ostream(text)
        << llvm::format("is predicted to take %.1f us, the most is %.1f us",
                        micros, *t.maxPredictedMicros);
    checked.violations.push_back({"max-predicted-us", text, "", ""});
  }
  if (t.minCosine)
    judgeAccuracy(checked, *t.minCosine);
}

//===----------------------------------------------------------------------===//
// Baseline
//===----------------------------------------------------------------------===//

/// What became worse: a node that moved to the host, more than 2 % of predicted
/// time (less is a matter of names and order).
static void judgeBaseline(CheckedTarget &checked, const Thresholds &thresholds,
                          const llvm::json::Object &before) {
  llvm::StringSet<> known;
  if (const llvm::json::Array *host = before.getArray("host"))
    for (const llvm::json::Value &entry : *host)
      if (const llvm::json::Object *row = entry.getAsObject())
        known.insert(row->getString("node").value_or(""));
  std::vector<const ReportRow *> moved;
  for (const ReportRow *row : checked.hostRows(thresholds))
    if (!known.contains(row->node))
      moved.push_back(row);
  addNodes(checked, moved, "baseline", "has moved to the host", "");
  auto micros = before.getNumber("predicted_us");
  if (micros && checked.predictedMicros() > *micros * 1.02) {
    std::string text;
    llvm::raw_string_ostream(text)
        << llvm::format("is predicted to take %.1f us, it took %.1f us",
                        checked.predictedMicros(), *micros);
    checked.violations.push_back({"baseline", text, "", ""});
  }
}

static llvm::Error judgeBaselines(CheckResult &result,
                                  const Thresholds &thresholds) {
  StringRef path = thresholds.baseline;
  auto buffer = llvm::MemoryBuffer::getFile(path);
  if (!buffer)
    return llvm::createStringError("cannot read '" + path +
                                   "': " + buffer.getError().message());
  auto json = parseJSON((*buffer)->getBuffer());
  if (!json)
    return llvm::createStringError("'" + path +
                                   "': " + llvm::toString(json.takeError()));
  const llvm::json::Object *root = json->getAsObject();
  const llvm::json::Array *targets = root ? root->getArray("targets") : nullptr;
  if (!targets)
    return llvm::createStringError("'" + path +
                                   "' is no report of ane-check --format=json");
  for (CheckedTarget &checked : result.targets) {
    const llvm::json::Object *before = nullptr;
    for (const llvm::json::Value &entry : *targets)
      if (const llvm::json::Object *object = entry.getAsObject();
          object &&
          object->getString("generation") == StringRef(checked.generation))
        before = object;
    if (!before)
      return llvm::createStringError("'" + path + "' has nothing of target " +
                                     checked.target +
                                     "; write it anew with --format=json");
    if (checked.compiled)
      judgeBaseline(checked, thresholds, *before);
  }
  return llvm::Error::success();
}

llvm::Expected<CheckResult> mlir::ane::check(CompileOptions options,
                                             ArrayRef<std::string> targets,
                                             const Thresholds &thresholds) {
  CheckResult result;
  result.model = options.input == "-" ? "standard input" : options.input;
  for (const std::string &target : targets) {
    std::unique_ptr<ScratchFolder> scratch;
    options.quiet = true;
    options.reportOnly = !thresholds.minCosine;
    if (thresholds.minCosine) {
      auto made = ScratchFolder::create("ane-check");
      if (!made)
        return made.takeError();
      scratch = std::move(*made);
      options.output = scratch->below("m.anepkg");
    }
    const Target *known = lookupTarget(target);
    CheckedTarget checked;
    checked.target = target;
    checked.generation = known ? known->name.str() : target;
    compileFor(options, checked);
    if (checked.compiled)
      judgeThresholds(checked, thresholds);
    result.targets.push_back(std::move(checked));
  }
  if (!thresholds.baseline.empty())
    if (llvm::Error error = judgeBaselines(result, thresholds))
      return error;
  return result;
}
