//===- CompileOptions.cpp - what a compilation can be asked for -----------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Compiler/CompileOptions.h"
#include "ane-mlir/Compiler/Pipelines.h"
#include "ane-mlir/Import/MILSource.h"
#include "ane-mlir/Support/AtomicPath.h"
#include "ane-mlir/Support/Usage.h"
#include "dialects/ANE/IR/Explain.h"
#include "dialects/ANE/IR/TargetNames.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/Path.h"

using namespace mlir;
using namespace mlir::ane;

static llvm::Error wrong(const Twine &message) {
  return llvm::createStringError(message);
}

bool CompileOptions::isFromMIL() const {
  return input != "-" && MILSource::matches(input);
}

CompileOptions::Form CompileOptions::form() const {
  if (compileTo)
    return Form::None;
  if (reportOnly)
    return Form::Bundle;
  StringRef extension =
      llvm::sys::path::extension(StringRef(output).rtrim('/'));
  return extension == ".anepkg"      ? Form::Bundle
         : extension == ".mlpackage" ? Form::Package
         : extension == ".mil"       ? Form::Text
         : extension == ".mlir"      ? Form::IR
                                     : Form::None;
}

/// Where results go.
static llvm::Error validateOutput(const CompileOptions &o) {
  unsigned documents = (o.compileTo && o.output.empty()) || o.output == "-";
  for (StringRef path : {StringRef(o.report), StringRef(o.trace)})
    documents += path == "-";
  if (documents > 1)
    return wrong("standard output holds one document: of -o, --report and "
                 "--trace one can be -");
  if (!o.compileTo && o.form() == CompileOptions::Form::None) {
    if (o.output.empty())
      return wrong("expects -o OUT.anepkg, OUT.mlpackage, OUT.mil or OUT.mlir");
    if (o.output == "-")
      return wrong("several files cannot go to standard output; expects -o "
                   "OUT.anepkg, OUT.mlpackage or OUT.mil, or --compile-to");
    return wrong("does not know how to write '" + o.output +
                 "'; expects a name that ends in .anepkg, .mlpackage, .mil or "
                 ".mlir");
  }
  StringRef extension = llvm::sys::path::extension(o.report);
  if (!o.report.empty() && extension != ".json" && extension != ".html" &&
      !isStream(o.report))
    return wrong("expects --report=FILE.json or FILE.html, but got '" +
                 o.report + "'");
  return llvm::Error::success();
}

static llvm::Error validateRules(const CompileOptions &o) {
  for (auto &[id, on] : o.rules) {
    if (canSwitchRule(id))
      continue;
    if (lookupRule(id))
      return wrong("rule " + Twine(id) +
                   " is not about what an operation may be; it cannot be "
                   "switched");
    std::string nearest = StringRef(nearestRule(id)).str();
    if (!nearest.empty())
      nearest = "; did you mean " + nearest + "?";
    return wrong("no rule is named '" + Twine(id) + "'" + nearest);
  }
  for (StringRef pass : o.disabledPasses)
    if (!isKnownPass(pass))
      return wrong(
          "no optional pass is named '" + pass + "'" +
          suggest(pass, llvm::to_vector_of<StringRef>(getOptionalPasses())));
  return llvm::Error::success();
}

static llvm::Error validateBars(const CompileOptions &o) {
  if (o.maxError && !(*o.maxError > 0))
    return wrong(
        outOfRange("--max-error", "more than 0 (0.02 is 2 %)", *o.maxError));
  if (o.minCosine && !(*o.minCosine > 0 && *o.minCosine <= 1))
    return wrong(
        outOfRange("--min-cosine", "more than 0 and at most 1", *o.minCosine));
  return llvm::Error::success();
}

static llvm::Error validateTarget(const CompileOptions &o) {
  if (o.lookupTarget())
    return llvm::Error::success();
  return wrong(describeUnknownTarget(o.target));
}

/// What would be accepted and have no effect.
/// What the door of the artifact takes (L09, L10, L79).
static llvm::Error validateWeights(const CompileOptions &o) {
  using Form = CompileOptions::Form;
  std::string option = "--weights=" + o.weightsText;
  if (!o.isHalf())
    return wrong(option + " is for fp16");
  if (o.weights.automatic && (o.training || o.calibration == "none"))
    return wrong(option + " measures what fewer bits do to outputs, which " +
                 (o.training ? "--train" : "--calibration=none") +
                 " leaves out");
  if (o.verifyEachNumerics)
    return wrong(option + " changes values, which --verify-each-numerics would "
                          "stop at");
  if (o.form() == Form::Package)
    return o.package.opset.value_or(18) >= 18
               ? llvm::Error::success()
               : wrong(option + " writes constants of ios18, not of ios" +
                       Twine(*o.package.opset));
  const Target &target = *o.lookupTarget();
  if (target.verboseDialect)
    return wrong(option + " writes constants of ios18, which " + target.name +
                 " was not seen to take");
  if (o.weights.palette || o.weights.block)
    return wrong(option + " is for packages; of a bundle, weights may be int8 "
                          "with one scale for each output channel (L09)");
  if (o.weights.bits == 4 && target.hasRule("L79"))
    return wrong(option +
                 " is for packages, and for bundles from H17 on (L79); " +
                 target.name + " takes int8");
  return llvm::Error::success();
}

static llvm::Error validateEffects(const CompileOptions &o) {
  using Form = CompileOptions::Form;
  bool unchecked =
      o.check == GuardOptions::Check::Off || !o.isHalf() || o.compileTo;
  for (auto [option, given] :
       {std::pair<StringRef, bool>("--max-error", bool(o.maxError)),
        {"--min-cosine", bool(o.minCosine)}})
    if (given && unchecked)
      return wrong(option + " is about the check of what is written; expects "
                            "fp16, -o and no --check=off");
  if (o.compileTo)
    for (auto [option, given] :
         {std::pair<StringRef, bool>("--report", !o.report.empty()),
          {"--trace", !o.trace.empty()}})
      if (given)
        return wrong(option + " is about what is written; expects -o and no "
                              "--compile-to");
  if (o.compileTo && (StringRef(o.output).ends_with(".anepkg") ||
                      StringRef(o.output).ends_with(".mlpackage")))
    return wrong("--compile-to writes MLIR, which is no '" +
                 llvm::sys::path::extension(o.output) + "'; expects -o X.mlir");
  if (!o.compileTo && o.form() != Form::Bundle)
    for (auto [option, given] :
         std::initializer_list<std::pair<StringRef, bool>>{
             {"--report", !o.report.empty() && o.form() != Form::Package},
             {"--trace", !o.trace.empty()},
             {"--rule", !o.rules.empty()},
             {"--placement", o.placement || !o.placementFile.empty()},
             {"--require-ane", bool(o.requireANE)}})
      if (given)
        return wrong(option +
                     " is about placed programs; expects -o OUT.anepkg");
  if (o.training) {
    if (o.isFromMIL())
      return wrong("--train is for ONNX models, whose weights have names");
    if (!o.compileTo && o.form() != Form::Bundle && o.form() != Form::IR)
      return wrong("--train writes programs and what the host does between "
                   "them; expects -o OUT.anepkg");
    for (auto [option, given] :
         std::initializer_list<std::pair<StringRef, bool>>{
             {"--calibration", bool(o.calibration)},
             {"--max-error", bool(o.maxError)},
             {"--min-cosine", bool(o.minCosine)},
             {"--verify-each-numerics", o.verifyEachNumerics}})
      if (given)
        return wrong(option + " measures a model's outputs; with --train there "
                              "are gradients of weights that change");
  }
  if (o.liveBytes && o.form() == Form::Package)
    return wrong("--live-bytes has no effect on a package; Core ML divides "
                 "large values itself");
  if (o.training && !o.isHalf() &&
      o.training->staging == CompileOptions::Training::Staging::Patch)
    return wrong("--train-weights=patch is for fp16, which weight files of "
                 "programs hold");
  if (o.calibration && !o.isHalf())
    return wrong("--calibration is for fp16; with --precision=fp32 nothing is "
                 "repaired");
  if (o.weights.bits || o.weights.automatic)
    if (llvm::Error error = validateWeights(o))
      return error;
  if (!o.cacheDir.empty() &&
      ((o.form() != Form::Package && o.form() != Form::Bundle) || o.compileTo ||
       o.verifyEachNumerics))
    return wrong("--cache-dir keeps bundles and packages, and has no effect "
                 "here");
  return llvm::Error::success();
}

static llvm::Error validateModel(const CompileOptions &o) {
  using Form = CompileOptions::Form;
  bool fromMIL = o.isFromMIL();
  for (auto [option, given] : std::initializer_list<std::pair<StringRef, bool>>{
           {"--dim", !o.dims.empty() || !o.dimRanges.empty()},
           {"--input-value", !o.inputValues.empty()},
           {"--max-length", !o.maxLengths.empty()},
           {"--random", bool(o.random)},
           {"--quantized-activations", bool(o.quantizedActivations)},
           {"--outputs", !o.outputs.empty()},
           {"--compile-to=onnx", o.stopsAt(CompileOptions::Phase::ONNX)}})
    if (given && fromMIL)
      return wrong(option + " is for ONNX models");
  if (!fromMIL && !o.function.empty())
    return wrong("--function is for packages; an ONNX model has one function");
  for (auto [i, name] : llvm::enumerate(o.outputs)) {
    if (name.empty())
      return wrong("expects --outputs=a,b, but got an empty name");
    if (llvm::is_contained(ArrayRef(o.outputs).take_front(i), name))
      return wrong("--outputs names '" + Twine(name) + "' twice");
  }
  if (o.hasRanges()) {
    if (o.reportOnly)
      return wrong("a check is of one value for each dimension, but got a "
                   "range");
    if (o.form() != Form::Package || o.compileTo)
      return wrong("a range of extents is for packages, whose programs may "
                   "leave them open; expects -o OUT.mlpackage");
    if (o.buckets)
      return wrong("--buckets is about listed extents; a range makes one "
                   "program");
    for (auto &[name, values] : o.dims)
      if (values.size() > 1)
        return wrong("--dim lists extents of '" + Twine(name) +
                     "', and another extent has a range; a package has either "
                     "listed ones or ranges");
  }
  size_t buckets = 1;
  for (auto &[name, values] : o.dims)
    buckets *= std::max<size_t>(values.size(), 1);
  if (buckets > 1 &&
      (o.form() != Form::Package && (o.form() != Form::Bundle || o.compileTo)))
    return wrong("several values of a dimension make several functions, which "
                 "only bundles and packages have; expects -o OUT.anepkg or "
                 "OUT.mlpackage");
  if (buckets > 1 && o.reportOnly)
    return wrong("a check is of one value for each dimension, but got " +
                 Twine(buckets) + " combinations");
  if (buckets > 64)
    return wrong("expects at most 64 combinations of dimensions, but got " +
                 Twine(buckets));
  return llvm::Error::success();
}

/// What is said of packages, and only matters there.
static llvm::Error validatePackage(const CompileOptions &o) {
  const PackageOptions &p = o.package;
  auto saysOf = [&](bool (*what)(const PortNote &)) {
    return llvm::any_of(p.notes, what);
  };
  for (auto [option, given] : std::initializer_list<std::pair<StringRef, bool>>{
           {"--image-input", !p.images.empty()},
           {"--class-labels", !o.classLabelsFile.empty()},
           {"--class-probabilities", !p.probabilities.empty()},
           {"--opset", bool(p.opset)},
           {"--buckets", bool(o.buckets)},
           {"--author", !p.author.empty()},
           {"--license", !p.license.empty()},
           {"--model-version", !p.version.empty()},
           {"--description", !p.description.empty()},
           {"--metadata", !p.userDefined.empty()},
           {"--describe", saysOf([](const PortNote &note) {
              return !note.description.empty();
            })},
           {"--image-output",
            saysOf([](const PortNote &note) { return note.colorSpace != 0; })},
           {"--input-default",
            saysOf([](const PortNote &note) { return note.optional; })}})
    if (given && o.form() != CompileOptions::Form::Package)
      return wrong(option + " is about packages; expects -o OUT.mlpackage");
  llvm::StringSet<> ins, outs;
  for (auto &[in, out] : p.states)
    if (bool again = !ins.insert(in).second; again || !outs.insert(out).second)
      return wrong("--state names '" + Twine(again ? in : out) +
                   "' twice, and it is of one state");
  bool states = !p.states.empty() || o.recogniseStates;
  if (states && o.form() != CompileOptions::Form::Package &&
      o.form() != CompileOptions::Form::Bundle)
    return wrong("--state is about what is kept between calls; expects -o "
                 "OUT.anepkg or OUT.mlpackage");
  if (!o.plan.empty() && o.form() != CompileOptions::Form::Bundle)
    return wrong("--plan is about functions of a bundle; expects -o "
                 "OUT.anepkg");
  if (p.opset && !llvm::is_contained({15, 16, 17, 18, 26}, *p.opset))
    return wrong("expects --opset to be ios15, ios16, ios17, ios18 or ios26, "
                 "but got ios" +
                 Twine(*p.opset));
  if (!p.probabilities.empty() && o.classLabelsFile.empty())
    return wrong("--class-probabilities has no effect without --class-labels");
  return llvm::Error::success();
}

/// Lists that a library may give as it likes.
static llvm::Error validateDims(const CompileOptions &o) {
  for (auto &[name, values] : o.dims) {
    if (values.empty())
      return wrong("expects an extent at least for dimension '" + name + "'");
    for (auto [i, value] : llvm::enumerate(values)) {
      if (value < 0)
        return wrong("expects extents from 0 on for dimension '" + name +
                     "', but got " + Twine(value));
      if (llvm::is_contained(ArrayRef(values).take_front(i), value))
        return wrong("dimension '" + name + "' has the extent " + Twine(value) +
                     " twice, which would be two functions of one name");
    }
  }
  return llvm::Error::success();
}

llvm::Error CompileOptions::validate() const {
  if (input.empty())
    return wrong("expects a model");
  if (liveBytes && *liveBytes < 0)
    return wrong("expects --live-bytes to be 0 or more");
  for (auto *part :
       {validateTarget, validateOutput, validateRules, validateBars,
        validateEffects, validateModel, validatePackage, validateDims})
    if (llvm::Error error = part(*this))
      return error;
  return llvm::Error::success();
}
