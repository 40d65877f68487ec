//===- TrainingSamples.cpp - inputs of a step of training
//------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "TrainFiles.h"
#include "ane-mlir/Artifact/Samples.h"
#include "ane-mlir/Interpreter/Weights.h"
#include "dialects/ANE/IR/WeightTrees.h"
#include "llvm/ADT/StringMap.h"
#include <random>

using namespace mlir;
using namespace mlir::ane;

namespace {
class Step {
public:
  Step(func::FuncOp function, ArrayAttr parameters, double lossScale)
      : function(function), lossScale(lossScale) {
    for (Attribute each : parameters) {
      auto entry = cast<DictionaryAttr>(each);
      FailureOr<Tensor> value =
          Tensor::fromElements(entry.getAs<ElementsAttr>("value"));
      if (succeeded(value))
        values[entry.getAs<StringAttr>("name").getValue()] = *value;
    }
  }
  /// What an argument is that is no input of the model; false where it has no
  /// value.
  bool complete(unsigned index, Tensor &input);

private:
  StringRef text(unsigned index, StringRef attribute) {
    auto found = function.getArgAttrOfType<StringAttr>(index, attribute);
    return found ? found.getValue() : StringRef();
  }
  func::FuncOp function;
  double lossScale;
  llvm::StringMap<Tensor> values;
  std::mt19937_64 random{0};
};
} // namespace

bool Step::complete(unsigned index, Tensor &input) {
  StringRef name = text(index, marks::kName),
            original = text(index, marks::kCopyOf);
  if (function.getArgAttr(index, marks::kParameter) || !original.empty()) {
    Tensor value = values.lookup(original.empty() ? name : original);
    if (!value)
      return false;
    if (!original.empty()) {
      auto attr = function.getArgAttrOfType<IntegerAttr>(index, marks::kGroups);
      bool transposed = bool(function.getArgAttr(index, marks::kTransposed));
      int64_t groups = attr ? attr.getInt() : 1;
      auto shape = matrixShapeOf(input.shape());
      if (!isMatrixOf(value.shape(), transposed, groups, shape))
        return false;
      value = asMatrix(value, transposed, groups, shape);
    }
    if (value.size() != input.size())
      return false;
    input = inDType(value.reshaped(input.shape()), input.dtype());
  } else if (auto classes =
                 function.getArgAttrOfType<IntegerAttr>(index, marks::kTargets);
             classes && classes.getInt() > 0 && !input.isFloat()) {
    for (int64_t &label : input.mutableInts())
      label = int64_t(random() % uint64_t(classes.getInt()));
  } else if (name == "loss_scale" && input.isFloat()) {
    for (float &value : input.mutableFloats())
      value = float(lossScale);
  }
  return true;
}

bool mlir::ane::completeStep(func::FuncOp function, ArrayAttr parameters,
                             double lossScale, std::vector<Sample> &samples) {
  Step step(function, parameters, lossScale);
  for (Sample &sample : samples)
    for (auto [i, input] : llvm::enumerate(sample.inputs))
      if (!step.complete(unsigned(i), input))
        return false;
  return true;
}
