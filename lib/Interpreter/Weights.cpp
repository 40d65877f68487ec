//===- Weights.cpp - weight trees to bytes --------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Interpreter/Weights.h"
#include "MovedConstant.h"
#include "ane-mlir/Support/Embedding.h"
#include "ane-mlir/Support/WeightData.h"
#include "mlir/IR/BuiltinOps.h"
#include <cmath>

using namespace mlir;
using namespace mlir::ane;

/// Says where a weight is beyond fp16. A negative number in several places is a
/// mask, which saturates by intention, as does what stands for infinity.
static void reportRange(Value root, const Tensor &weight) {
  if (weight.dtype() != DType::Float16 || weight.size() < 2)
    return;
  // Eight lanes, since nearly every weight ends here.
  llvm::ArrayRef<float> values = weight.floats();
  float lanes[8] = {};
  size_t whole = values.size() / 8 * 8;
  for (size_t i = 0; i < whole; i += 8)
    for (size_t k = 0; k < 8; ++k) {
      float x = std::fabs(values[i + k]);
      lanes[k] = lanes[k] < x ? x : lanes[k];
    }
  float most = *std::max_element(lanes, lanes + 8);
  for (float x : values.drop_front(whole))
    most = std::max(most, std::fabs(x));
  float first = 0;
  bool quantities = false;
  int64_t beyond = 0;
  if (most >= 65520)
    for (float x : values) {
      if (!(std::fabs(x) >= 65520) || std::isinf(x))
        continue;
      quantities |= (beyond && x != first) || (x > 0 && x < kSentinel);
      first = x;
      ++beyond;
    }
  quantities |= beyond == 1 && std::fabs(first) < kSentinel;
  if (quantities)
    emitWarning(root.getLoc())
        << beyond << " of " << values.size()
        << " numbers of a weight are beyond fp16 and become 65504";
  else if (most > 0 && most <= 0x1p-25f && !llvm::all_equal(values))
    emitWarning(root.getLoc()) << "all " << values.size()
                               << " numbers of a weight are too small for fp16 "
                                  "and become 0";
}

/// What toWeightBytes() gives, large ones by all cores.
static std::vector<char> encodeWeight(const EvalContext &context,
                                      const Tensor &weight) {
  constexpr int64_t kGrain = 1 << 18;
  if (weight.dtype() != DType::Float16 || weight.isPacked() ||
      weight.size() < 2 * kGrain || std::fabs(weight.floats()[0]) < 0x1p-24f)
    return weight.toWeightBytes();
  llvm::ArrayRef<float> values = weight.floats();
  std::vector<char> bytes(2 * values.size());
  context.parallelFor(values.size(), kGrain, [&](int64_t begin, int64_t end) {
    encode(
        DType::Float16, values.slice(begin, end - begin),
        llvm::MutableArrayRef<char>(bytes).slice(2 * begin, 2 * (end - begin)),
        /*saturate=*/true);
  });
  return bytes;
}

/// True where nothing is to be said of the weight, or done otherwise, for it
/// has values that fp16 does not hold.
static bool writeView(const EvalContext &context, const MovedConstant &view,
                      std::vector<char> &bytes) {
  bytes.resize(2 * view.size());
  float most = view.writeHalves(context, bytes);
  bool firstIsZero = !bytes[0] && !(bytes[1] & 0x7f);
  return !firstIsZero && most < 65520;
}

FailureOr<std::vector<char>>
mlir::ane::evaluateWeight(Value root, std::vector<char> buffer) {
  if (isCancelled())
    return emitError(root.getLoc()) << "interrupted";
  if (auto module = root.getParentRegion()->getParentOfType<ModuleOp>())
    if (auto absent = module->getAttrOfType<StringAttr>(marks::kAbsentWeights))
      return emitError(root.getLoc()) << absent.getValue();
  // In fp32, so that a tree rounds once, at the end; its own evaluator, so that
  // nothing outlives the tensor.
  EvalContext context(root.getContext(), Numerics::Float32);
  ConstantEvaluator evaluator(context);
  if (auto view = MovedConstant::match(root, evaluator);
      view && writeView(context, *view, buffer))
    return std::move(buffer);
  FailureOr<Tensor> tensor = evaluator.evaluate(root);
  if (failed(tensor))
    return failure();
  reportRange(root, *tensor);
  return encodeWeight(context, *tensor);
}

SmallVector<int64_t, 2> mlir::ane::matrixShapeOf(ArrayRef<int64_t> shape) {
  int64_t columns = 1;
  for (int64_t dim : shape.drop_front())
    columns *= dim;
  return {shape.front(), columns};
}

bool mlir::ane::isMatrixOf(ArrayRef<int64_t> value, bool exchanged,
                           int64_t groups, ArrayRef<int64_t> shape) {
  std::optional<int64_t> total = countElements(value);
  if (value.size() < 2 || shape.size() != 2 || groups < 1 || !total ||
      *total == 0 || value[0] % groups != 0 || groups > value[0])
    return false;
  int64_t inner = 1, rows = exchanged ? value[1] * groups : value[0],
          columns = exchanged ? value[0] : value[1] * groups;
  for (int64_t dim : value.drop_front(2))
    inner *= dim;
  return shape[0] == rows && shape[1] >= columns * inner;
}

Tensor mlir::ane::asMatrix(const Tensor &value, bool exchanged, int64_t groups,
                           ArrayRef<int64_t> shape) {
  int64_t first = value.shape()[0], second = value.shape()[1],
          inner = value.size() / std::max<int64_t>(1, first * second);
  Tensor matrix(DType::Float32, shape);
  auto to = matrix.mutableFloats();
  llvm::fill(to, 0.0f);
  ArrayRef<float> from = value.floats();
  for (int64_t i = 0; i < first; ++i)
    for (int64_t j = 0; j < second; ++j) {
      int64_t other = i / (first / groups) * second + j;
      llvm::copy(from.slice((i * second + j) * inner, inner),
                 to.begin() + (exchanged ? other * shape[1] + i * inner
                                         : i * shape[1] + other * inner));
    }
  return matrix;
}
