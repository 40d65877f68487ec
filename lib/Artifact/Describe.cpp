//===- Describe.cpp - what an artifact is ---------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Artifact/Describe.h"
#include "BundleFile.h"
#include "Contents.h"
#include "ane-mlir/Artifact/Compare.h"
#include "ane-mlir/Support/CoreMLFields.h"
#include "ane-mlir/Support/Diagnostics.h"
#include "dialects/MIL/IR/Opset.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/Path.h"
#include <cmath>

using namespace mlir;
using namespace mlir::ane;
namespace fb = anemlir::manifest;

//===----------------------------------------------------------------------===//
// Reading
//===----------------------------------------------------------------------===//

/// The first systems of a specification (mil/package.md §3.4).
static std::vector<std::string> systemsOf(int specification) {
  switch (specification) {
  case 6:
    return {"iOS 15", "macOS 12", "watchOS 8", "tvOS 15"};
  case 7:
    return {"iOS 16", "macOS 13", "watchOS 9", "tvOS 16"};
  case 8:
    return {"iOS 17", "macOS 14", "watchOS 10", "tvOS 17"};
  case 9:
    return {"iOS 18", "macOS 15", "watchOS 11", "tvOS 18"};
  case 10:
    return {"iOS 26", "macOS 26", "watchOS 26", "tvOS 26"};
  default:
    return {};
  }
}

static StringRef kindName(PackageFeature::Kind kind) {
  switch (kind) {
  case PackageFeature::Kind::Array:
    return "array";
  case PackageFeature::Kind::Image:
    return "image";
  case PackageFeature::Kind::State:
    return "state";
  case PackageFeature::Kind::Number:
    return "number";
  case PackageFeature::Kind::String:
    return "string";
  case PackageFeature::Kind::Dictionary:
    return "dictionary";
  case PackageFeature::Kind::Other:
    return "other";
  }
  llvm_unreachable("all are listed");
}

static StringRef colorName(uint32_t code) {
  return code == coreml::kRGB                ? "RGB"
         : code == coreml::kBGR              ? "BGR"
         : code == coreml::kGrayscale        ? "grayscale"
         : code == coreml::kGrayscaleFloat16 ? "grayscale fp16"
                                             : "";
}

static Description::Port toPort(const PackageFeature &feature) {
  Description::Port port;
  port.name = feature.name;
  port.description = feature.description;
  port.kind = kindName(feature.kind).str();
  if (feature.dtype)
    port.dtype = getInfo(*feature.dtype).name.str();
  port.shape.assign(feature.shape.begin(), feature.shape.end());
  for (ArrayRef<int64_t> shape : feature.enumerated)
    port.enumerated.emplace_back(shape.begin(), shape.end());
  port.ranges.assign(feature.ranges.begin(), feature.ranges.end());
  port.color = colorName(feature.colorSpace).str();
  port.optional = feature.optional;
  port.defaultValue = feature.defaultValue;
  return port;
}

/// Of a text, which says no more than the type.
static Description::Port toPort(StringRef name, Type type) {
  Description::Port port;
  port.name = name.str();
  port.kind = isa<mil::StateType>(type) ? "state" : "array";
  if (auto state = dyn_cast<mil::StateType>(type))
    type = state.getWrapped();
  if (auto tensor = dyn_cast<RankedTensorType>(type)) {
    if (std::optional<DType> dtype = toDType(tensor.getElementType()))
      port.dtype = getInfo(*dtype).name.str();
    else if (isa<mil::StringType>(tensor.getElementType()))
      port.kind = "string";
    for (int64_t dim : tensor.getShape())
      port.shape.push_back(ShapedType::isDynamic(dim) ? -1 : dim);
  } else {
    port.kind = isa<mil::DictType>(type) ? "dictionary" : "other";
  }
  return port;
}

/// The words of a list of strings or whole numbers, whichever way it is
/// written.
static void addWords(Attribute attr, std::vector<std::string> &words) {
  if (auto text = dyn_cast<StringAttr>(attr))
    words.push_back(text.getValue().str());
  else if (auto texts = dyn_cast<DenseStringElementsAttr>(attr))
    for (StringRef text : texts.getRawStringData())
      words.push_back(text.str());
  else if (auto numbers = dyn_cast<DenseIntElementsAttr>(attr))
    for (const APInt &number : numbers.getValues<APInt>())
      words.push_back(std::to_string(number.getSExtValue()));
  else if (auto literal = dyn_cast<mil::LiteralAttr>(attr))
    addWords(literal.getValue(), words);
  else if (auto list = dyn_cast<ArrayAttr>(attr))
    for (Attribute entry : list)
      addWords(entry, words);
}

std::vector<std::string> mlir::ane::labelsOf(mil::FuncOp func) {
  std::vector<std::string> labels;
  func.walk([&](mil::OpOp op) {
    if (op.getType() != "classify")
      return;
    Attribute classes = mil::getArgument(op, "classes");
    if (auto ref = dyn_cast_or_null<mil::RefAttr>(classes);
        ref && uint64_t(ref.getIndex()) < op.getOperands().size())
      classes = mil::getConstant(op.getOperand(ref.getIndex()));
    if (classes)
      addWords(classes, labels);
  });
  return labels;
}

static Description::Function describeFunction(const MILSource &source,
                                              mil::FuncOp func) {
  Description::Function result;
  result.name = func.getSymName().str();
  result.opset = func.getOpset().str();
  result.labels = labelsOf(func);
  if (const PackageInfo::Function *told = source.describe(func)) {
    for (auto &[features, ports] :
         {std::pair<const std::vector<PackageFeature> &,
                    std::vector<Description::Port> &>(told->inputs,
                                                      result.inputs),
          {told->outputs, result.outputs},
          {told->states, result.states}})
      for (const PackageFeature &feature : features)
        ports.push_back(toPort(feature));
    result.predictedFeature = told->predictedFeature;
    result.predictedProbabilities = told->predictedProbabilities;
    return result;
  }
  Block &body = func.getBody().front();
  for (auto [name, argument] :
       llvm::zip(mil::getParameterNames(func), body.getArguments())) {
    Description::Port port = toPort(name, argument.getType());
    (port.kind == "state" ? result.states : result.inputs).push_back(port);
  }
  for (auto [name, value] : llvm::zip(mil::getResultNames(func),
                                      body.getTerminator()->getOperands()))
    result.outputs.push_back(toPort(name, value.getType()));
  return result;
}

static void addContents(const Contents &contents, Description &d) {
  d.operations = contents.operations;
  for (auto &[key, weight] : contents.weights) {
    Description::Weights &sum = d.weights[weight.dtype];
    ++sum.count;
    sum.elements += weight.elements;
    sum.bytes += weight.bytes;
  }
}

static LogicalResult describeMIL(StringRef path, MLIRContext *context,
                                 Description &d) {
  StringRef extension = llvm::sys::path::extension(path.rtrim('/'));
  d.kind = extension == ".mlpackage"  ? "package"
           : extension == ".mlmodelc" ? "mlmodelc"
                                      : "mil";
  FailureOr<MILSource> source = MILSource::open(path, context);
  if (failed(source))
    return failure();
  d.specification = source->info.specification;
  d.metadata = source->info.metadata;
  FailureOr<mil::FuncOp> entry = source->function("");
  if (failed(entry))
    return failure();
  Contents contents;
  if (failed(readContents(*source, 0, contents)))
    return failure();
  int needed = d.specification;
  source->program.walk([&](mil::FuncOp func) {
    d.functions.push_back(describeFunction(*source, func));
    d.functions.back().isDefault = func == *entry;
    needed = std::max(needed, mil::specificationOf(func.getOpset()));
  });
  for (auto [function, read] : llvm::zip(d.functions, contents.functions))
    function.operations = read.ops.size();
  d.deployment = systemsOf(needed);
  addContents(contents, d);
  return success();
}

/// One of a bundle; inputs that are kept between calls are states.
static Description::Function describeFunction(
    StringRef name, const std::vector<std::unique_ptr<fb::PortT>> &inputs,
    const std::vector<std::unique_ptr<fb::PortT>> &outputs,
    const std::vector<std::unique_ptr<fb::StepT>> &schedule,
    ArrayRef<std::unique_ptr<fb::StateT>> states, const Contents &contents) {
  Description::Function described;
  described.name = name.str();
  auto show = [](const fb::PortT &port, StringRef kind) {
    Description::Port shown;
    shown.name = port.name;
    shown.kind = kind.str();
    shown.dtype = port.dtype;
    shown.shape = port.shape;
    return shown;
  };
  llvm::SmallDenseSet<unsigned> kept;
  for (auto &state : states)
    kept.insert(state->input);
  for (auto [i, port] : llvm::enumerate(inputs))
    kept.contains(i) ? described.states.push_back(show(*port, "state"))
                     : described.inputs.push_back(show(*port, "array"));
  for (auto &port : outputs)
    described.outputs.push_back(show(*port, "array"));
  for (auto &step : schedule)
    for (const Contents::Function &function : contents.functions)
      if (function.program == step->program) {
        described.operations += function.ops.size();
        described.opset = function.opset;
      }
  return described;
}

static LogicalResult describeBundle(StringRef path, MLIRContext *context,
                                    Description &d) {
  d.kind = "bundle";
  auto manifest = readManifest(path, context);
  if (failed(manifest))
    return failure();
  d.target = (*manifest)->target;
  d.producer = (*manifest)->producer;
  Contents contents;
  if (failed(readContents(path, context, contents)))
    return failure();
  addContents(contents, d);
  for (auto &program : (*manifest)->programs)
    d.programs.push_back(
        {program->kind, program->text, program->predicted_us, 0});
  for (const Contents::Function &function : contents.functions)
    d.programs[function.program].operations += function.ops.size();
  if ((*manifest)->functions.empty())
    d.functions.push_back(
        describeFunction("main", (*manifest)->inputs, (*manifest)->outputs,
                         (*manifest)->schedule, {}, contents));
  for (auto &function : (*manifest)->functions)
    d.functions.push_back(
        describeFunction(function->name, function->inputs, function->outputs,
                         function->schedule, function->states, contents));
  d.functions.front().isDefault = true;
  return success();
}

static void addFiles(StringRef path, Description &d) {
  auto add = [&](const Twine &file) {
    uint64_t size = 0;
    if (!llvm::sys::fs::file_size(file, size))
      ++d.files, d.bytes += size;
  };
  if (!llvm::sys::fs::is_directory(path))
    return add(path);
  std::error_code error;
  for (llvm::sys::fs::recursive_directory_iterator it(path, error, false), end;
       it != end && !error; it.increment(error))
    if (it->type() == llvm::sys::fs::file_type::regular_file)
      add(it->path());
}

FailureOr<Description> mlir::ane::describeArtifact(StringRef path,
                                                   MLIRContext *context) {
  Description d;
  d.path = path.str();
  auto fail = [&](const Twine &what) {
    return emitError(NameLoc::get(StringAttr::get(context, path))) << what,
           failure();
  };
  if (path != "-" && !llvm::sys::fs::exists(path))
    return fail("is not found");
  if (MILSource::matches(path)) {
    if (failed(describeMIL(path, context, d)))
      return failure();
  } else if (llvm::sys::fs::is_directory(path)) {
    if (failed(describeBundle(path, context, d)))
      return failure();
  } else if (path.ends_with(".onnx")) {
    return fail("is an ONNX model; ane-check tells about it, and onnx-to-ane "
                "converts it");
  } else {
    return fail("is neither a bundle, a package, a .mlmodelc nor a .mil file");
  }
  addFiles(path, d);
  return d;
}

//===----------------------------------------------------------------------===//
// Writing
//===----------------------------------------------------------------------===//

static std::string sizeText(uint64_t bytes) {
  std::string text;
  llvm::raw_string_ostream os(text);
  if (bytes < 10000)
    os << bytes << " bytes";
  else if (bytes < 10000000)
    os << llvm::format("%.0f KB", bytes / 1e3);
  else
    os << llvm::format("%.1f MB", bytes / 1e6);
  return text;
}

static void printPorts(StringRef what, ArrayRef<Description::Port> ports,
                       llvm::raw_ostream &os) {
  for (const Description::Port &port : ports) {
    os << "  " << llvm::left_justify(what, 8) << printable(port.name) << ": ";
    os << (port.kind == "array" ? StringRef(port.dtype) : StringRef(port.kind));
    if (!port.color.empty())
      os << ' ' << port.color;
    if (port.kind == "state" && !port.dtype.empty())
      os << ' ' << port.dtype;
    if (port.kind == "array" || !port.shape.empty()) {
      os << " [";
      llvm::interleaveComma(port.shape, os, [&](int64_t dim) {
        dim < 0 ? os << '?' : os << dim;
      });
      os << ']';
    }
    if (!port.enumerated.empty())
      os << ", or one of " << port.enumerated.size() << " shapes";
    if (!port.ranges.empty()) {
      os << ", or ";
      llvm::interleave(
          port.ranges, os,
          [&](ExtentRange range) {
            os << range.low;
            if (!range.isOne())
              os << "..";
            if (!range.isOne() && range.high >= 0)
              os << range.high;
          },
          "x");
    }
    if (port.optional)
      os << ", may be left out";
    if (port.defaultValue)
      os << llvm::format(" (then %g)", *port.defaultValue);
    if (!port.description.empty())
      os << "  " << printable(port.description);
    os << '\n';
  }
}

void Description::writeText(llvm::raw_ostream &os) const {
  os << printable(path) << ": " << kind;
  if (!target.empty())
    os << " for " << target << ", by " << printable(producer);
  if (specification)
    os << ", specification " << specification;
  os << ", " << files << (files == 1 ? " file, " : " files, ")
     << sizeText(bytes) << '\n';
  if (!deployment.empty())
    os << "runs from " << llvm::join(deployment, ", ") << " on\n";
  for (const Function &function : functions) {
    os << "function " << printable(function.name) << " (" << function.opset
       << ", " << function.operations << " operations"
       << (function.isDefault && functions.size() > 1 ? ", the default" : "")
       << ")\n";
    printPorts("input", function.inputs, os);
    printPorts("state", function.states, os);
    printPorts("output", function.outputs, os);
    if (!function.labels.empty())
      os << "  classes " << function.labels.size() << ": "
         << printable(
                llvm::join(llvm::ArrayRef(function.labels).take_front(5), ", "))
         << (function.labels.size() > 5 ? ", …" : "") << '\n';
  }
  for (const Program &program : programs)
    os << "program " << printable(program.text) << ": " << program.kind << ", "
       << program.operations << " operations, predicted "
       << llvm::format("%.1f us\n", program.predictedMicros);
  for (auto &[key, value] : metadata)
    os << "metadata " << printable(key) << ": " << printable(value) << '\n';
  os << "operations\n";
  for (auto &[name, count] : operations)
    os << "  " << llvm::left_justify(name, 32) << llvm::format("%8zu\n", count);
  for (auto &[dtype, w] : weights)
    os << "weights " << llvm::left_justify(dtype, 8) << w.count << " tensors, "
       << w.elements << " elements, " << sizeText(w.bytes) << '\n';
}

static void writePorts(llvm::json::OStream &j, StringRef key,
                       ArrayRef<Description::Port> ports) {
  auto shape = [&](ArrayRef<int64_t> dims) {
    for (int64_t dim : dims)
      j.value(dim);
  };
  j.attributeArray(key, [&] {
    for (const Description::Port &port : ports)
      j.object([&] {
        j.attribute("name", llvm::json::fixUTF8(port.name));
        j.attribute("kind", port.kind);
        j.attribute("dtype", port.dtype);
        j.attributeArray("shape", [&] { shape(port.shape); });
        if (!port.enumerated.empty())
          j.attributeArray("shapes", [&] {
            for (const std::vector<int64_t> &dims : port.enumerated)
              j.array([&] { shape(dims); });
          });
        if (!port.ranges.empty())
          j.attributeArray("ranges", [&] {
            for (ExtentRange range : port.ranges)
              j.array([&] { shape({range.low, range.high}); });
          });
        if (!port.color.empty())
          j.attribute("color", port.color);
        if (port.optional)
          j.attribute("optional", true);
        if (port.defaultValue && std::isfinite(*port.defaultValue))
          j.attribute("default", *port.defaultValue);
        else if (port.defaultValue) // which no number of JSON is
          j.attribute("default", std::to_string(*port.defaultValue));
        if (!port.description.empty())
          j.attribute("description", llvm::json::fixUTF8(port.description));
      });
  });
}

static void writeFunction(llvm::json::OStream &j,
                          const Description::Function &function) {
  j.attribute("name", llvm::json::fixUTF8(function.name));
  j.attribute("opset", llvm::json::fixUTF8(function.opset));
  j.attribute("default", function.isDefault);
  j.attribute("operations", int64_t(function.operations));
  writePorts(j, "inputs", function.inputs);
  writePorts(j, "outputs", function.outputs);
  writePorts(j, "states", function.states);
  if (function.labels.empty() && function.predictedFeature.empty())
    return;
  j.attribute("predicted_feature",
              llvm::json::fixUTF8(function.predictedFeature));
  j.attribute("predicted_probabilities",
              llvm::json::fixUTF8(function.predictedProbabilities));
  j.attributeArray("labels", [&] {
    for (const std::string &label : function.labels)
      j.value(llvm::json::fixUTF8(label));
  });
}

void Description::writeJSON(llvm::raw_ostream &os) const {
  llvm::json::OStream j(os, 2);
  j.object([&] {
    j.attribute("version", int64_t(1));
    j.attribute("artifact", llvm::json::fixUTF8(path));
    j.attribute("kind", kind);
    if (!target.empty())
      j.attribute("target", llvm::json::fixUTF8(target));
    if (!producer.empty())
      j.attribute("producer", llvm::json::fixUTF8(producer));
    if (specification)
      j.attribute("specification", specification);
    j.attributeArray("deployment", [&] {
      for (const std::string &system : deployment)
        j.value(system);
    });
    j.attributeArray("functions", [&] {
      for (const Function &function : functions)
        j.object([&] { writeFunction(j, function); });
    });
    j.attributeArray("programs", [&] {
      for (const Program &program : programs)
        j.object([&] {
          j.attribute("kind", llvm::json::fixUTF8(program.kind));
          j.attribute("text", llvm::json::fixUTF8(program.text));
          j.attribute("operations", int64_t(program.operations));
          j.attribute("predicted_us", program.predictedMicros);
        });
    });
    j.attributeObject("metadata", [&] {
      for (auto &[key, value] : metadata)
        j.attribute(llvm::json::fixUTF8(key), llvm::json::fixUTF8(value));
    });
    j.attributeObject("operations", [&] {
      for (auto &[name, count] : operations)
        j.attribute(name, int64_t(count));
    });
    j.attributeObject("weights", [&] {
      for (auto &[dtype, w] : weights)
        j.attributeObject(dtype, [&, &w = w] {
          j.attribute("tensors", int64_t(w.count));
          j.attribute("elements", int64_t(w.elements));
          j.attribute("bytes", int64_t(w.bytes));
        });
    });
    j.attribute("files", int64_t(files));
    j.attribute("bytes", int64_t(bytes));
  });
  os << '\n';
}
