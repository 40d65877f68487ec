//===- TrainFiles.cpp - what training writes ------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "TrainFiles.h"
#include "ane-mlir/Import/RewriteONNX.h"
#include "ane-mlir/Support/AtomicPath.h"
#include "ane-mlir/Support/MappedFile.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Format.h"
#include <cmath>

using namespace mlir;
using namespace mlir::ane;
namespace fb = anemlir::manifest;

//===----------------------------------------------------------------------===//
// Losses
//===----------------------------------------------------------------------===//

static constexpr StringLiteral kHeader =
    "step,loss,learning_rate,loss_scale,gradient_norm,skipped\n";

std::string mlir::ane::printSteps(ArrayRef<TrainedStep> steps) {
  std::string text = kHeader.str();
  llvm::raw_string_ostream os(text);
  for (const TrainedStep &s : steps)
    os << s.step << ','
       << llvm::format("%.9g,%.17g,%.17g,%.9g,", s.loss, s.rate, s.lossScale,
                       s.norm)
       << int(s.skipped) << '\n';
  return os.str();
}

std::vector<TrainedStep> mlir::ane::parseSteps(StringRef csv) {
  std::vector<TrainedStep> steps;
  csv.consume_front(kHeader);
  SmallVector<StringRef> rows, fields;
  csv.split(rows, '\n', -1, /*KeepEmpty=*/false);
  for (StringRef row : rows) {
    fields.clear();
    row.split(fields, ',');
    TrainedStep s;
    auto number = [](StringRef text, double &value) {
      // inf and nan are written as C does.
      value = std::strtod(text.str().c_str(), nullptr);
    };
    if (fields.size() != 6 || fields[0].getAsInteger(10, s.step))
      continue;
    number(fields[1], s.loss);
    number(fields[2], s.rate);
    number(fields[3], s.lossScale);
    number(fields[4], s.norm);
    s.skipped = fields[5] == "1";
    steps.push_back(s);
  }
  return steps;
}

std::string mlir::ane::drawCurve(ArrayRef<TrainedStep> steps) {
  constexpr double kWidth = 640, kHeight = 320, kLeft = 56, kTop = 16,
                   kRight = 16, kBottom = 32;
  double most = 0, last = 1;
  for (const TrainedStep &s : steps)
    if (std::isfinite(s.loss)) {
      most = std::max(most, s.loss);
      last = double(s.step);
    }
  most = most > 0 ? most : 1;
  auto x = [&](double step) {
    return kLeft + (kWidth - kLeft - kRight) * step / last;
  };
  auto y = [&](double loss) {
    return kHeight - kBottom - (kHeight - kTop - kBottom) * loss / most;
  };
  std::string text;
  llvm::raw_string_ostream os(text);
  os << "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 640 320\" "
        "font-family=\"sans-serif\" font-size=\"12\">\n"
        "<rect width=\"640\" height=\"320\" fill=\"white\"/>\n";
  for (int i = 0; i <= 4; ++i) {
    double loss = most * i / 4;
    os << llvm::format("<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\" "
                       "stroke=\"#ddd\"/>\n",
                       kLeft, kWidth - kRight, y(loss), y(loss))
       << llvm::format("<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">%.3g"
                       "</text>\n",
                       kLeft - 6, y(loss) + 4, loss);
    double step = last * i / 4;
    os << llvm::format("<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">"
                       "%.0f</text>\n",
                       x(step), kHeight - kBottom + 18, step);
  }
  auto line = [&](StringRef colour, double width, double keep) {
    os << "<polyline fill=\"none\" stroke=\"" << colour
       << llvm::format("\" stroke-width=\"%.1f\" points=\"", width);
    double mean = 0;
    bool first = true;
    for (const TrainedStep &s : steps) {
      if (!std::isfinite(s.loss))
        continue;
      mean = first ? s.loss : keep * mean + (1 - keep) * s.loss;
      first = false;
      os << llvm::format("%.1f,%.1f ", x(double(s.step)), y(mean));
    }
    os << "\"/>\n";
  };
  line("#9ec5e8", 1, 0);
  line("#1f5f9e", 2, 0.95);
  os << "<text x=\"348\" y=\"318\" text-anchor=\"middle\">step</text>\n"
        "<text x=\"12\" y=\"160\" text-anchor=\"middle\" "
        "transform=\"rotate(-90 12 160)\">loss</text>\n</svg>\n";
  return os.str();
}

std::string mlir::ane::fileName(StringRef parameter) {
  std::string name = parameter.str();
  for (char &c : name)
    if (!llvm::isAlnum(c) && c != '.' && c != '-' && c != '_')
      c = '_';
  return name;
}

//===----------------------------------------------------------------------===//
// Weights
//===----------------------------------------------------------------------===//

llvm::Error mlir::ane::checkExport(StringRef path,
                                   const fb::TrainingT &record) {
  if (path.ends_with(".safetensors"))
    return llvm::Error::success();
  if (!path.ends_with(".onnx"))
    return llvm::createStringError(
        "expects --export=FILE.onnx or FILE.safetensors, but got '" + path +
        "'");
  if (record.model.empty())
    return llvm::createStringError(
        "the bundle does not hold its model, whose weights were in files of "
        "their own; --export=FILE.safetensors writes the trained ones");
  return llvm::Error::success();
}

/// fp32 values as raw data of ONNX's element type.
static std::optional<std::string> encodeWeight(const Tensor &values,
                                               int32_t dataType) {
  std::optional<DType> dtype = lookupDTypeByOnnxCode(dataType);
  if (!dtype || !isFloat(*dtype))
    return std::nullopt;
  Tensor tensor(*dtype, values.shape());
  for (auto [to, from] : llvm::zip(tensor.mutableFloats(), values.floats()))
    to = roundTo(*dtype, from);
  std::vector<char> bytes = tensor.toBytes();
  return std::string(bytes.begin(), bytes.end());
}

namespace {
/// What is added to one weight: scale * left * right.
struct Adapter {
  double scale = 1;
  Tensor left, right;
};
} // namespace

static std::optional<std::string> merge(const Initializer &base,
                                        const Adapter &adapter) {
  std::optional<DType> dtype = lookupDTypeByOnnxCode(base.dataType);
  int64_t count = 1;
  for (int64_t dim : base.shape)
    count *= dim;
  if (dtype != DType::Float32 || !adapter.left || !adapter.right ||
      adapter.left.rank() != 2 || adapter.right.rank() != 2)
    return std::nullopt;
  Tensor sum(DType::Float32, base.shape);
  auto values = sum.mutableFloats();
  if (int64_t(base.raw.size()) == count * 4)
    std::memcpy(values.data(), base.raw.data(), base.raw.size());
  else if (int64_t(base.floats.size()) == count)
    llvm::copy(base.floats, values.begin());
  else
    return std::nullopt;
  int64_t rows = adapter.left.shape()[0], rank = adapter.left.shape()[1],
          columns = adapter.right.shape()[1];
  if (rows * columns != count || adapter.right.shape()[0] != rank)
    return std::nullopt;
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < columns; ++j) {
      double product = 0;
      for (int64_t k = 0; k < rank; ++k)
        product += double(adapter.left.floats()[i * rank + k]) *
                   adapter.right.floats()[k * columns + j];
      values[i * columns + j] += float(adapter.scale * product);
    }
  return encodeWeight(sum, base.dataType);
}

llvm::Error mlir::ane::exportWeights(StringRef path, StringRef bundle,
                                     const fb::TrainingT &record,
                                     const Optimizer &optimizer) {
  if (path.ends_with(".safetensors")) {
    NamedTensors weights;
    for (size_t i = 0; i < optimizer.size(); ++i)
      weights.tensors.push_back({optimizer.name(i), optimizer.value(i)});
    std::string text;
    llvm::raw_string_ostream os(text);
    writeSafetensors(os, weights);
    return writeFileAtomically(path, os.str());
  }
  llvm::StringMap<Tensor> trained;
  llvm::StringMap<Adapter> adapters;
  for (auto [i, parameter] : llvm::enumerate(record.parameters)) {
    if (parameter->base.empty()) {
      trained[parameter->name] = optimizer.value(i);
      continue;
    }
    Adapter &adapter = adapters[parameter->base];
    adapter.scale = parameter->scale;
    (parameter->left ? adapter.left : adapter.right) = optimizer.value(i);
  }
  auto file = MappedFile::openInside(bundle, record.model, "the bundle");
  if (!file)
    return file.takeError();
  ArrayRef<char> data = (*file)->data();
  size_t written = 0;
  auto made = rewriteInitializers(
      StringRef(data.data(), data.size()),
      [&](const Initializer &initializer) -> std::optional<std::string> {
        std::optional<std::string> bytes;
        if (auto it = trained.find(initializer.name); it != trained.end())
          bytes = encodeWeight(it->getValue(), initializer.dataType);
        else if (auto it = adapters.find(initializer.name);
                 it != adapters.end())
          bytes = merge(initializer, it->getValue());
        written += bytes.has_value();
        return bytes;
      });
  if (!made)
    return made.takeError();
  if (written != trained.size() + adapters.size())
    return llvm::createStringError(
        "'" + record.model +
        "' in the bundle does not have every weight that "
        "was trained");
  return writeFileAtomically(path, *made);
}
