//===- Optimizer.cpp - moving weights -------------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Artifact/Train.h"
#include "llvm/Support/Format.h"
#include <cmath>

using namespace mlir;
using namespace mlir::ane;

/// A dynamic loss scale stays within what fp16 holds.
static constexpr double kLeastScale = 1, kMostScale = 32768;

Optimizer::Optimizer(Settings settings, double lossScale,
                     std::vector<std::pair<std::string, Tensor>> parameters)
    : settings(std::move(settings)), scale(lossScale) {
  bool adam = StringRef(this->settings.kind).starts_with("adam");
  for (auto &[name, tensor] : parameters) {
    names.push_back(name);
    shapes.emplace_back(tensor.shape());
    values.emplace_back(tensor.floats().begin(), tensor.floats().end());
    if (this->settings.kind != "sgd")
      first.emplace_back(tensor.size(), 0.0f);
    if (adam)
      second.emplace_back(tensor.size(), 0.0f);
  }
}

Tensor Optimizer::value(size_t parameter) const {
  Tensor tensor(DType::Float32, shapes[parameter]);
  llvm::copy(values[parameter], tensor.mutableFloats().begin());
  return tensor;
}

bool Optimizer::step(ArrayRef<std::vector<float>> sums, double divisor,
                     double rate) {
  double factor = 1 / (divisor * scale), square = 0;
  for (const std::vector<float> &sum : sums)
    for (float value : sum)
      square += double(value) * value;
  norm = std::sqrt(square) * factor;
  if (!std::isfinite(norm)) {
    ++skips;
    healthy = 0;
    if (settings.dynamicLossScale)
      scale = std::max(kLeastScale, scale / 2);
    return false;
  }
  ++count;
  if (settings.dynamicLossScale && ++healthy >= settings.growthInterval) {
    healthy = 0;
    scale = std::min(kMostScale, scale * 2);
  }
  if (settings.clipNorm > 0 && norm > settings.clipNorm)
    factor *= settings.clipNorm / norm;
  for (size_t i = 0; i < sums.size(); ++i)
    move(i, sums[i], factor, rate);
  return true;
}

void Optimizer::move(size_t parameter, ArrayRef<float> sum, double factor,
                     double rate) {
  std::vector<float> &weights = values[parameter];
  bool decoupled = settings.kind == "adamw";
  double decay = settings.weightDecay, correction1 = 1, correction2 = 1;
  if (!second.empty()) {
    correction1 = 1 - std::pow(settings.beta1, double(count));
    correction2 = 1 - std::pow(settings.beta2, double(count));
  }
  for (size_t i = 0; i < weights.size(); ++i) {
    double w = weights[i], g = sum[i] * factor;
    if (!decoupled)
      g += decay * w;
    else
      w -= rate * decay * w;
    if (!second.empty()) {
      double m = settings.beta1 * first[parameter][i] +
                 (1 - settings.beta1) * g,
             v = settings.beta2 * second[parameter][i] +
                 (1 - settings.beta2) * g * g;
      first[parameter][i] = float(m);
      second[parameter][i] = float(v);
      w -= rate * (m / correction1) /
           (std::sqrt(v / correction2) + settings.epsilon);
    } else if (!first.empty()) {
      double m = settings.momentum * first[parameter][i] + g;
      first[parameter][i] = float(m);
      w -= rate * m;
    } else {
      w -= rate * g;
    }
    weights[i] = float(w);
  }
}

//===----------------------------------------------------------------------===//
// Checkpoints
//===----------------------------------------------------------------------===//

void Optimizer::save(NamedTensors &checkpoint) const {
  auto add = [&](StringRef prefix,
                 const std::vector<std::vector<float>> &list) {
    for (size_t i = 0; i < list.size(); ++i) {
      Tensor tensor(DType::Float32, shapes[i]);
      llvm::copy(list[i], tensor.mutableFloats().begin());
      checkpoint.tensors.push_back({(prefix + names[i]).str(), tensor});
    }
  };
  add("", values);
  add("first:", first);
  add("second:", second);
  llvm::raw_string_ostream(checkpoint.metadata["loss_scale"])
      << llvm::format("%.17g", scale);
  checkpoint.metadata["count"] = std::to_string(count);
  checkpoint.metadata["healthy"] = std::to_string(healthy);
  checkpoint.metadata["skipped"] = std::to_string(skips);
  checkpoint.metadata["optimizer"] = settings.kind;
}

llvm::Error Optimizer::restore(const NamedTensors &checkpoint) {
  auto text = [&](const char *key) {
    auto it = checkpoint.metadata.find(key);
    return it == checkpoint.metadata.end() ? StringRef()
                                           : StringRef(it->second);
  };
  if (text("optimizer") != settings.kind)
    return llvm::createStringError("was made with optimizer '" +
                                   text("optimizer") + "', the bundle has '" +
                                   settings.kind + "'");
  auto load = [&](StringRef prefix,
                  std::vector<std::vector<float>> &list) -> llvm::Error {
    for (size_t i = 0; i < list.size(); ++i) {
      const Tensor *tensor = checkpoint.find((prefix + names[i]).str());
      if (!tensor || tensor->shape() != ArrayRef<int64_t>(shapes[i]))
        return llvm::createStringError("has no '" + prefix + names[i] +
                                       "' of the shape that the bundle has");
      list[i].assign(tensor->floats().begin(), tensor->floats().end());
    }
    return llvm::Error::success();
  };
  if (llvm::Error error = load("", values))
    return error;
  if (llvm::Error error = load("first:", first))
    return error;
  if (llvm::Error error = load("second:", second))
    return error;
  if (text("loss_scale").getAsDouble(scale) ||
      text("count").getAsInteger(10, count) ||
      text("healthy").getAsInteger(10, healthy) ||
      text("skipped").getAsInteger(10, skips))
    return llvm::createStringError("does not say where training was");
  return llvm::Error::success();
}
