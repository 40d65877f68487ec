//===- EngineNumerics.cpp - what the engine does to numbers ---------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "EngineNumerics.h"
#include "Evaluators.h"
#include "dialects/ANE/IR/Activation.h"
#include "dialects/ANE/IR/Arithmetic.h"
#include "dialects/ANE/IR/Norm.h"
#include "dialects/ANE/IR/Shape.h"
#include "dialects/ANE/IR/Structure.h"
#include "dialects/ANE/IR/Trigonometry.h"
#include "dialects/ANE/IR/Unary.h"
#include "llvm/ADT/bit.h"
#include "llvm/Support/MathExtras.h"
#include <cmath>
#include <vector>

using namespace mlir;
using namespace mlir::ane;

/// Without branches, so that loops over it become vector instructions.
static float roundTiesAway(float x) {
  uint32_t bits = llvm::bit_cast<uint32_t>(x), sign = bits & 0x80000000,
           size = bits ^ sign;
  uint32_t normal = (size + 0x1000) & 0xffffe000;
  normal = normal >= 0x47800000 ? 0x7f800000 : normal;
  // Denormals are multiples of 2^-24.
  float scaled = llvm::bit_cast<float>(size < 0x38800000 ? size : 0) * 0x1p24f,
        whole = float(int32_t(scaled));
  whole += scaled - whole >= 0.5f ? 1.0f : 0.0f;
  uint32_t result =
      size < 0x38800000 ? llvm::bit_cast<uint32_t>(whole * 0x1p-24f) : normal;
  return llvm::bit_cast<float>((size > 0x7f800000 ? size : result) | sign);
}
void mlir::ane::roundTiesAway(llvm::MutableArrayRef<float> values) {
  for (float &value : values)
    value = ::roundTiesAway(value);
}

static bool hasNaN(llvm::ArrayRef<float> values) {
  unsigned found = 0;
  for (float v : values) // all of them: a loop without an exit is vectorised
    found |= v != v;
  return found;
}

void mlir::ane::replaceNaNOperands(const NumericContract &engine,
                                   llvm::MutableArrayRef<Tensor> inputs) {
  float value = engine.nanIsInf ? INFINITY : 65504;
  for (Tensor &tensor : inputs) {
    if (!tensor.isFloat() || !hasNaN(tensor.floats()))
      continue;
    Tensor copy(tensor.dtype(), tensor.shape());
    for (auto [to, from] : llvm::zip(copy.mutableFloats(), tensor.floats()))
      to = std::isnan(from) ? value : from;
    tensor = copy;
  }
}

//===----------------------------------------------------------------------===//
// Tables
//===----------------------------------------------------------------------===//

namespace {
/// 33 knots, linear between them, constant beyond the last.
class Table {
public:
  /// Equal steps over [low, high].
  Table(double (*fn)(double), double low, double high) {
    for (int i = 0; i < kKnots; ++i)
      add(fn, low + (high - low) * i / (kKnots - 1));
    index();
  }
  /// Knots where the function bends: equal parts of the integral of the root
  /// of its second derivative, which makes the error even.
  static Table even(double (*fn)(double), double low, double high) {
    constexpr int kSteps = 4096;
    std::vector<double> sum(kSteps + 1);
    double h = (high - low) / kSteps;
    for (int i = 1; i <= kSteps; ++i) {
      double x = low + (i - 0.5) * h;
      double bend = (fn(x + h) - 2 * fn(x) + fn(x - h)) / (h * h);
      sum[i] = sum[i - 1] + std::sqrt(std::fabs(bend)) + 1e-3;
    }
    Table table;
    int at = 0;
    for (int i = 0; i < kKnots; ++i) {
      double wanted = sum[kSteps] * i / (kKnots - 1);
      while (at < kSteps && sum[at] < wanted)
        ++at;
      table.add(fn, low + at * h);
    }
    table.index();
    return table;
  }
  float operator()(float x) const {
    if (x <= knots.front())
      return values.front();
    if (x >= knots.back())
      return values.back();
    float place =
        (x - knots.front()) * kStarts / (knots.back() - knots.front());
    size_t i = starts[std::min(int(place), kStarts - 1)];
    while (knots[i] <= x)
      ++i;
    while (knots[i - 1] > x)
      --i;
    float t = (x - knots[i - 1]) / (knots[i] - knots[i - 1]);
    return values[i - 1] + t * (values[i] - values[i - 1]);
  }

private:
  static constexpr int kKnots = 33;
  Table() = default;
  void add(double (*fn)(double), double x) {
    knots.push_back(float(x));
    values.push_back(float(fn(x)));
  }
  /// Where to look for the knot behind a value.
  void index() {
    starts.resize(kStarts);
    for (int i = 0; i < kStarts; ++i) {
      float x = knots.front() + (knots.back() - knots.front()) * i / kStarts;
      starts[i] = std::clamp<size_t>(
          std::upper_bound(knots.begin(), knots.end(), x) - knots.begin(), 1,
          kKnots - 1);
    }
  }
  static constexpr int kStarts = 256;
  std::vector<float> knots, values;
  std::vector<size_t> starts;
};
} // namespace

static constexpr double kHalfPi = llvm::numbers::pi / 2;
static double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
static double silu(double x) { return x * sigmoid(x); }

/// The table of an op, or null. The measured errors (MS): sigmoid 3.4e-3, tanh
/// 1.6e-3, silu 1.5e-2, erf 8.6e-4, sin 6e-4. The latter is that of 33 knots
/// over
/// [-pi/2, pi/2] (7e-4); over a whole period they could not be better
/// than 1.4e-3.
static const Table *lookupTable(Operation *op) {
  static const Table sigmoidTable(sigmoid, -8, 8), siluTable(silu, -8, 8),
      tanhTable = Table::even(std::tanh, -4.5, 4.5),
      erfTable = Table::even(std::erf, -3.5, 3.5),
      sinTable = Table::even(std::sin, -kHalfPi, kHalfPi),
      cosTable = Table::even(std::cos, -kHalfPi, kHalfPi);
  if (isa<SigmoidOp>(op))
    return &sigmoidTable;
  if (isa<TanhOp>(op))
    return &tanhTable;
  if (isa<ErfOp>(op))
    return &erfTable;
  if (isa<SinOp>(op))
    return &sinTable;
  if (isa<CosOp>(op))
    return &cosTable;
  return isa<SiluOp>(op) ? &siluTable : nullptr;
}

static void clearInfiniteRows(SoftmaxOp op, const Tensor &x,
                              llvm::MutableArrayRef<float> y) {
  int64_t axis =
      int64_t(op.getAxis()) < 0 ? op.getAxis() + x.rank() : op.getAxis();
  int64_t length = x.shape()[axis], inner = 1;
  for (int64_t dim : x.shape().drop_front(axis + 1))
    inner *= dim;
  for (int64_t i = 0; i < x.size(); ++i)
    if (std::isinf(x.floats()[i])) {
      int64_t first = i / (length * inner) * length * inner + i % inner;
      for (int64_t k = 0; k < length; ++k)
        y[first + k * inner] = 0;
    }
}

/// Which operand of a product floor, ceil or round made, the other one being a
/// single constant number; -1 for other products.
static int scaledRounding(MulOp op) {
  for (int i = 0; i < 2; ++i) {
    Operation *rounding = op->getOperand(i).getDefiningOp();
    Value factor = op->getOperand(1 - i);
    if (rounding && isa<FloorOp, CeilOp, RoundOp>(rounding) &&
        cast<RankedTensorType>(factor.getType()).getNumElements() == 1 &&
        isConstantTree(factor))
      return i;
  }
  return -1;
}

/// Ties go away from zero, and from 1024 on results are wrong. What they are
/// was not reported; adding a half and rounding that to fp16 would give the
/// next whole number, up to 2048.
static float engineRound(float x) {
  float size = std::fabs(x);
  return std::copysign(
      size >= 1024 && size < 2048 ? std::floor(size) + 1 : std::round(size), x);
}

void mlir::ane::engineSoftmax(const NumericContract &engine,
                              llvm::MutableArrayRef<float> row) {
  auto half = [&](float x) {
    return engine.tiesAway ? ::roundTiesAway(x) : roundTo(DType::Float16, x);
  };
  float top = -INFINITY;
  for (float x : row)
    top = std::fmax(top, x);
  for (float &x : row)
    x = half(std::exp(half(x - top)));
  auto chain = [&](llvm::ArrayRef<float> terms) {
    float sum = terms[0];
    for (float term : terms.drop_front())
      sum = half(sum + term);
    return sum;
  };
  llvm::ArrayRef<float> terms = row;
  llvm::SmallVector<float> sums;
  for (size_t i = 0; i < terms.size(); i += 8) {
    llvm::SmallVector<float, 3> parts;
    for (auto [begin, count] :
         {std::pair<size_t, size_t>{0, 3}, {3, 3}, {6, 2}})
      if (i + begin < terms.size())
        parts.push_back(chain(terms.slice(i + begin).take_front(count)));
    sums.push_back(chain(parts));
  }
  while (sums.size() > 1) {
    llvm::SmallVector<float> next;
    for (size_t i = 0; i < sums.size(); i += 4)
      next.push_back(chain(llvm::ArrayRef<float>(sums).slice(i).take_front(4)));
    sums = std::move(next);
  }
  float inverse = half(1 / sums[0]);
  for (float &x : row)
    x = half(x * inverse);
}

void mlir::ane::applyEngineValues(Operation *op, const EvalContext &context,
                                  llvm::ArrayRef<Tensor> inputs,
                                  llvm::MutableArrayRef<Tensor> outputs) {
  for (Tensor &tensor : outputs) {
    if (!tensor.isFloat() || isa<ReshapeOp, TransposeOp, ConstantOp>(op))
      continue;
    llvm::MutableArrayRef<float> y = tensor.mutableFloats();
    if (const Table *table = lookupTable(op)) {
      for (auto [to, from] : llvm::zip(y, inputs[0].floats()))
        to = (*table)(from);
      // Beyond the table silu goes on as x or 0.
      if (isa<SiluOp>(op))
        for (auto [to, from] : llvm::zip(y, inputs[0].floats()))
          to = from > 8 ? from : from < -8 ? 0 : to;
      context.finish(tensor);
    }
    if (auto product = dyn_cast<MulOp>(op)) {
      if (int rounded = scaledRounding(product); rounded >= 0)
        llvm::copy(inputs[rounded].floats(), y.begin()); // L30
    } else if (isa<RoundOp>(op)) {
      for (auto [to, from] : llvm::zip(y, inputs[0].floats()))
        to = engineRound(from);
    } else if (isa<LogOp>(op)) {
      for (auto [to, from] : llvm::zip(y, inputs[0].floats()))
        if (from == 0)
          to = -45440;
    } else if (isa<SoftplusOp, SoftsignOp>(op)) {
      for (auto [to, from] : llvm::zip(y, inputs[0].floats()))
        if (from == INFINITY)
          to = 0;
    } else if (isa<InverseOp, RsqrtOp>(op)) {
      for (float &value : y)
        if (value == -INFINITY)
          value = INFINITY;
    }
    // An infinite operand of softmax spoils its row (L64); what the row then is
    // is not known, and zeros cannot be overlooked.
    if (auto softmax = dyn_cast<SoftmaxOp>(op))
      clearInfiniteRows(softmax, inputs[0], y);
    for (float &value : y)
      if (std::isnan(value))
        value = 0;
  }
}
