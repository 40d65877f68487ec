//===- Bridge.cpp - compiling, and looking at what there is ---------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "Bridge.h"
#include "Call.h"
#include "ane-mlir/Artifact/Artifact.h"
#include "ane-mlir/Artifact/Describe.h"
#include "ane-mlir/Artifact/Diff.h"
#include "ane-mlir/Artifact/VerifyMIL.h"
#include "ane-mlir/Compiler/Cache.h"
#include "ane-mlir/Compiler/CommandLine.h"
#include "ane-mlir/Compiler/Compiler.h"
#include "ane-mlir/Compiler/InitAll.h"
#include "dialects/ANE/IR/Explain.h"
#include "dialects/ANE/IR/TargetNames.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "tools/Tools.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/ErrorHandling.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"
#include <mutex>
#include <new>

using namespace mlir;
using namespace mlir::ane;
using namespace anemlir::bridge;
namespace bridge = anemlir::bridge;

void anemlir::bridge::initialize() {
  static bool once = [] {
    leaveSignalsAlone();
    registerAllPasses();
    // Where LLVM would end the process by a signal.
    llvm::install_bad_alloc_error_handler(
        [](void *, const char *, bool) { throw std::bad_alloc(); });
    return true;
  }();
  (void)once;
}

std::string anemlir::bridge::version() { return ANEMLIR_VERSION; }

int anemlir::bridge::runTool(const std::string &name,
                             const std::vector<std::string> &arguments) {
  using Tool = int (*)(int, char **);
  auto tool = llvm::StringSwitch<Tool>(name)
                  .Case("onnx-to-ane", tools::onnxToAne)
                  .Case("ane-check", tools::aneCheck)
                  .Case("ane-info", tools::aneInfo)
                  .Case("mil-verify", tools::milVerify)
                  .Case("ane-diff", tools::aneDiff)
                  .Case("ane-generate", tools::aneGenerate)
                  .Case("ane-run", tools::aneRun)
                  .Default(nullptr);
  if (!tool)
    return 127;
  leaveSignalsAlone(false);
  std::vector<std::string> words{name};
  llvm::append_range(words, arguments);
  std::vector<char *> argv;
  for (std::string &word : words)
    argv.push_back(word.data());
  argv.push_back(nullptr);
  int status = tool(int(words.size()), argv.data());
  llvm::outs().flush();
  // The process ends without the check of a stream that is destroyed.
  if (llvm::outs().has_error()) {
    llvm::errs() << name << ": error: standard output cannot be written: "
                 << llvm::outs().error().message() << '\n';
    llvm::outs().clear_error();
    return status ? status : 1;
  }
  return status;
}

//===----------------------------------------------------------------------===//
// Compiling
//===----------------------------------------------------------------------===//

/// Flags are parsed into variables of the process.
static llvm::Expected<CompileOptions> readOptions(const CompileRequest &r) {
  static std::mutex mutex;
  std::lock_guard<std::mutex> one(mutex);
  llvm::Expected<CompileOptions> options = readCompileFlags(r.flags);
  if (!options)
    return options;
  options->input = r.input;
  if (options->output.empty())
    options->output = r.output;
  for (auto &dim : r.dims)
    options->dims.push_back(dim);
  for (auto &[name, shape] : r.shapes)
    options->inputShapes[name] = llvm::to_vector(ArrayRef<int64_t>(shape));
  for (auto &[name, extents] : r.dims)
    for (int64_t extent : extents)
      options->spelling.push_back("dim " + name + " " + std::to_string(extent));
  for (auto &[name, shape] : r.shapes)
    for (int64_t extent : shape)
      options->spelling.push_back("shape " + name + " " +
                                  std::to_string(extent));
  options->quiet = true;
  options->reportOnly = r.reportOnly;
  if (llvm::Error error = options->validate())
    return std::move(error);
  return options;
}

template <typename Fn>
static std::string printed(Fn print) {
  std::string text;
  llvm::raw_string_ostream os(text);
  print(os);
  return text;
}

/// What a cache keeps of a result, and back.
static ConversionCache::Texts textsOf(const CompileResult &result) {
  llvm::json::Array messages;
  for (const bridge::Message &m : result.messages)
    messages.push_back(llvm::json::Array{m.severity, m.node, m.rule,
                                         llvm::json::fixUTF8(m.message),
                                         llvm::json::fixUTF8(m.remedy)});
  return {{"json", result.reportJSON},
          {"html", result.reportHTML},
          {"text", result.reportText},
          {"trace", result.traceJSON},
          {"messages",
           llvm::formatv("{0}", llvm::json::Value(std::move(messages))).str()}};
}
static llvm::Error fillFrom(ConversionCache::Texts &texts,
                            CompileResult &result) {
  result.reportJSON = texts["json"];
  result.reportHTML = texts["html"];
  result.reportText = texts["text"];
  result.traceJSON = texts["trace"];
  llvm::Expected<std::vector<std::vector<std::string>>> messages =
      llvm::json::parse<std::vector<std::vector<std::string>>>(
          texts["messages"]);
  if (!messages)
    return messages.takeError();
  for (std::vector<std::string> &m : *messages)
    if (m.size() == 5)
      result.messages.push_back({m[0], m[1], m[2], m[3], m[4]});
  return llvm::Error::success();
}

CompileResult anemlir::bridge::compile(const CompileRequest &request,
                                       const Progress &progress,
                                       const Cancel &cancel) {
  CompileResult result;
  llvm::Expected<CompileOptions> options = readOptions(request);
  if (!options) {
    result.misuse = true;
    result.messages.push_back(
        errorMessage(llvm::toString(options.takeError())));
    return result;
  }
  std::unique_ptr<MLIRContext> context = makeContext();
  call(*context, request.input, cancel, result, [&]() -> llvm::Error {
    std::string whyNot;
    auto cache = ConversionCache::open(*options, "python", whyNot);
    if (!cache)
      return cache.takeError();
    if (!whyNot.empty())
      result.messages.push_back({"warning", "", "",
                                 "--cache-dir has no effect, since " + whyNot,
                                 ""});
    if (*cache) {
      auto before = (*cache)->take();
      if (!before)
        return before.takeError();
      if (*before)
        return fillFrom(**before, result);
      options->beforeCommit = [&](const Outputs &made) {
        (*cache)->stage(made);
      };
    }
    ane::Progress listener(
        /*quiet=*/true,
        progress ? ane::Progress::Listener([&](StringRef phase, size_t done,
                                               size_t total, StringRef what) {
          progress(phase.str(), done, total, what.str());
        })
                 : ane::Progress::Listener());
    FailureOr<Compilation> made =
        ane::compile(*options, context.get(), listener);
    if (failed(made))
      return reported();
    std::vector<Verdict> verdicts;
    bool good = true;
    if (made->accuracy)
      good = succeeded(judge(*made->accuracy, *options, verdicts));
    for (Verdict &v : verdicts)
      result.messages.push_back(
          {v.isError ? "error" : "warning", v.node, "", v.message, v.remedy});
    if (made->report) {
      const Report &report = *made->report;
      result.reportJSON = printed([&](auto &os) { report.writeJSON(os); });
      result.reportHTML = printed([&](auto &os) { report.writeHTML(os); });
      result.reportText = printed([&](auto &os) {
        report.writeText(os);
        if (made->accuracy)
          printAccuracy(os, *made->accuracy);
      });
      result.traceJSON = printed([&](auto &os) { report.writeTrace(os); });
    }
    if (good && *cache)
      if (llvm::Error error = (*cache)->put(textsOf(result)))
        result.messages.push_back({"warning", "", "",
                                   "not kept in '" + options->cacheDir +
                                       "': " + llvm::toString(std::move(error)),
                                   ""});
    return good ? llvm::Error::success() : reported();
  });
  return result;
}

//===----------------------------------------------------------------------===//
// Looking
//===----------------------------------------------------------------------===//

Status anemlir::bridge::verify(const std::string &path,
                               std::vector<bridge::Finding> &findings) {
  Status status;
  std::unique_ptr<MLIRContext> context = makeContext();
  call(*context, path, {}, status, [&]() -> llvm::Error {
    if (!MILSource::matches(path))
      return llvm::createStringError("'" + path +
                                     "' is no .mlpackage, .mlmodelc or .mil");
    FailureOr<MILSource> source = MILSource::open(path, context.get());
    if (failed(source))
      return reported();
    for (ane::Finding &f : verifyMIL(*source, path))
      findings.push_back({f.rule, f.place, f.message});
    return llvm::Error::success();
  });
  return status;
}

Status anemlir::bridge::describe(const std::string &path, std::string &json) {
  Status status;
  std::unique_ptr<MLIRContext> context = makeContext();
  call(*context, path, {}, status, [&]() -> llvm::Error {
    FailureOr<Description> description = describeArtifact(path, context.get());
    if (failed(description))
      return reported();
    json = printed([&](auto &os) { description->writeJSON(os); });
    return llvm::Error::success();
  });
  return status;
}

Status anemlir::bridge::diff(const std::string &a, const std::string &b,
                             bool run, const Cancel &cancel, bool &same,
                             std::string &json) {
  Status status;
  std::unique_ptr<MLIRContext> context = makeContext();
  DiffOptions options;
  options.artifacts[0] = a;
  options.artifacts[1] = b;
  options.run = run;
  options.print = false;
  call(*context, a, cancel, status, [&]() -> llvm::Error {
    llvm::Expected<std::optional<ArtifactDiff>> found =
        diffArtifacts(options, context.get());
    if (!found)
      return found.takeError();
    if (!*found)
      return reported();
    same = (*found)->same(options);
    json = printed([&](auto &os) { (*found)->writeJSON(os, options); });
    return llvm::Error::success();
  });
  return status;
}

std::vector<TargetInfo> anemlir::bridge::targets() {
  std::vector<TargetInfo> result;
  for (const Target &target : getTargets()) {
    result.push_back({target.name.str(), target.summary.str(), {}});
    for (StringRef chip : target.chips)
      result.back().chips.push_back(chip.str());
  }
  return result;
}

std::string anemlir::bridge::whyNotReplaceable(const std::string &path) {
  return llvm::toString(ane::checkReplaceable(path));
}

bool anemlir::bridge::explain(const std::string &id, std::string &text) {
  llvm::raw_string_ostream os(text);
  return ane::explain(id, os, os);
}

Status anemlir::bridge::runPipeline(const std::string &text,
                                    const std::string &pipeline,
                                    const Cancel &cancel, std::string &result) {
  Status status;
  std::unique_ptr<MLIRContext> context = makeContext();
  context->loadAllAvailableDialects();
  call(*context, "", cancel, status, [&]() -> llvm::Error {
    OwningOpRef<ModuleOp> module =
        parseSourceString<ModuleOp>(text, context.get(), "module");
    if (!module)
      return reported();
    std::string why;
    llvm::raw_string_ostream os(why);
    FailureOr<OpPassManager> parsed = parsePassPipeline(pipeline, os);
    if (failed(parsed))
      return llvm::createStringError(why.empty() ? "no pipeline: " + pipeline
                                                 : why);
    PassManager pm(context.get(), parsed->getOpAnchorName());
    static_cast<OpPassManager &>(pm) = std::move(*parsed);
    if (failed(ane::runPasses(pm, *module)))
      return reported();
    llvm::raw_string_ostream out(result);
    module->print(out);
    return llvm::Error::success();
  });
  return status;
}
