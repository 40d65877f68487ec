//===- Signal.cpp - Fourier transforms and windows ------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "Lowering.h"
#include "dialects/ANE/IR/Shape.h"
#include <cmath>
#include <numeric>

using namespace mlir;
using namespace mlir::ane;

using C = NodeContext;

static constexpr double kPi = 3.14159265358979323846;

/// Cosines and sines [length, bins] of exp(∓2 pi i n k / length), times `norm`
/// and a weight per row.
static std::pair<Tensor, Tensor> fourierMatrices(int64_t rows, int64_t columns,
                                                 int64_t length, double norm,
                                                 bool inverse,
                                                 bool mirrored = false) {
  Tensor cosine(DType::Float32, {rows, columns}),
      sine(DType::Float32, {rows, columns});
  for (int64_t n = 0; n < rows; ++n) {
    // Of a one-sided spectrum, all bins but the first and the middle one stand
    // for two.
    double weight = mirrored && n != 0 && 2 * n != length ? 2 * norm : norm;
    for (int64_t k = 0; k < columns; ++k) {
      double angle = 2 * kPi * double(n * k % length) /
                     length; // exact reduction of the argument
      cosine.mutableFloats()[n * columns + k] = float(std::cos(angle) * weight);
      sine.mutableFloats()[n * columns + k] =
          float(std::sin(angle) * (inverse ? -weight : weight));
    }
  }
  return {cosine, sine};
}

/// A product with constant cosine and sine matrices over one axis; real and
/// imaginary parts lie in the last axis.
static LogicalResult lowerDFT(C &c) {
  Value x = c.input(0);
  int64_t rank = c.rank(x);
  if (rank < 2 || (c.shape(x).back() != 1 && c.shape(x).back() != 2))
    return c.error()
           << "expects a last axis of 1 (real) or 2 (complex), but got "
           << c.type(x);
  int64_t wanted = c.version() < 20 ? c.getInt("axis", 1) : -2;
  if (c.input(2)) {
    auto given = c.constantInt(c.input(2), "axis");
    if (failed(given))
      return failure();
    wanted = *given;
  }
  FailureOr<int64_t> axis = c.axis(wanted, rank);
  if (failed(axis))
    return failure();
  if (*axis == rank - 1)
    return c.error() << "expects an axis other than the last, but got "
                     << wanted;
  bool inverse = c.getInt("inverse", 0), oneSided = c.getInt("onesided", 0);
  bool toReal = inverse && oneSided;
  int64_t length = toReal ? 2 * (c.shape(x)[*axis] - 1) : c.shape(x)[*axis];
  if (c.input(1)) {
    auto given = c.constantInt(c.input(1), "dft_length");
    if (failed(given))
      return failure();
    length = *given;
  }
  if (length < 1 || length > 65536 || (toReal && c.shape(x).back() != 2))
    return c.error() << (toReal ? "of inverse and onesided expects a complex "
                                  "input and a dft_length in [1, 65536]"
                                : "expects a dft_length in [1, 65536]");
  int64_t bins = oneSided ? length / 2 + 1 : length,
          taken = toReal ? bins : length;
  // The transformed axis goes last, one part at a time.
  SmallVector<int64_t> perm(rank - 1);
  std::iota(perm.begin(), perm.end(), 0);
  std::swap(perm[*axis], perm[rank - 2]);
  auto part = [&](int64_t which) -> Value {
    if (which >= c.shape(x).back())
      return {};
    Value p = c.slice(x, rank - 1, which, which + 1);
    p = p ? c.reshape(p, c.shape(x).drop_back()) : p;
    p = p ? c.transpose(p, perm) : p;
    if (!p)
      return {};
    int64_t have = c.shape(p).back();
    if (have > taken)
      return c.slice(p, rank - 2, 0, taken);
    if (have < taken)
      return c.create<PadOp>({p}, {.pad = {0, taken - have}});
    return p;
  };
  auto [cosine, sine] =
      fourierMatrices(taken, toReal ? length : bins, length,
                      inverse ? 1.0 / length : 1, inverse, toReal);
  Value real = part(0), imaginary = part(1);
  if (!real || c.failed())
    return failure();
  Value cs = c.castTo(c.graph.constant(c.loc, cosine), c.element(x)),
        sn = c.castTo(c.graph.constant(c.loc, sine), c.element(x));
  auto product = [&](Value a, Value b) { return c.matmul(a, b); };
  Value yr = product(real, cs),
        yi = c.mul(product(real, sn), c.scalarLike(-1, real));
  if (imaginary) {
    yr = c.add(yr, product(imaginary, sn));
    yi = c.add(yi, product(imaginary, cs));
  }
  auto back = [&](Value v) -> Value {
    v = v ? c.transpose(v, perm) : v;
    if (!v)
      return {};
    SmallVector<int64_t> shape(c.shape(v));
    shape.push_back(1);
    return c.reshape(v, shape);
  };
  yr = back(yr);
  if (toReal)
    return c.set(0, yr);
  yi = back(yi);
  return c.set(0, yr && yi ? c.concat({yr, yi}, rank - 1) : Value());
}

/// Frames of the signal, windowed, times the transform's matrices.
static LogicalResult lowerSTFT(C &c) {
  Value x = c.input(0), window = c.input(2);
  auto step = c.constantInts(c.input(1), "frame_step");
  if (failed(step) || step->size() != 1)
    return failure();
  int64_t length = 0;
  if (c.input(3)) {
    auto given = c.constantInt(c.input(3), "frame_length");
    if (failed(given))
      return failure();
    length = *given;
  } else if (window) {
    length = c.shape(window)[0];
  }
  bool complex = c.rank(x) == 3 && c.shape(x)[2] == 2,
       oneSided = c.getInt("onesided", 1) && !complex;
  int64_t samples = c.rank(x) >= 2 ? c.shape(x)[1] : 0;
  if ((c.rank(x) != 2 && c.rank(x) != 3) ||
      (c.rank(x) == 3 && c.shape(x)[2] != 1 && !complex) || (*step)[0] < 1 ||
      length < 1 || length > samples || length > 65536 ||
      (window && (c.rank(window) != 1 || c.shape(window)[0] != length)))
    return c.error() << "expects a signal [B,L], [B,L,1] or [B,L,2], a "
                        "positive frame_step and a window of the frame_length, "
                        "at most "
                     << samples;
  int64_t batch = c.shape(x)[0], frames = (samples - length) / (*step)[0] + 1,
          bins = oneSided ? length / 2 + 1 : length;
  SmallVector<int64_t> index;
  for (int64_t f = 0; f < frames; ++f)
    for (int64_t i = 0; i < length; ++i)
      index.push_back(f * (*step)[0] + i);
  Value at = c.ints({frames, length}, index);
  auto [cosine, sine] = fourierMatrices(length, bins, length, 1, false);
  Value cs = c.castTo(c.graph.constant(c.loc, cosine), c.element(x)),
        sn = c.castTo(c.graph.constant(c.loc, sine), c.element(x));
  auto part = [&](int64_t which) {
    Value p = c.rank(x) == 2 ? x
                             : c.reshape(c.slice(x, 2, which, which + 1),
                                         {batch, samples});
    p = c.gather(p, at, 1); // [B, frames, length]
    return window ? c.mul(p, c.castTo(window, c.element(x))) : p;
  };
  Value real = part(0), yr = c.matmul(real, cs),
        yi = c.mul(c.matmul(real, sn), c.scalarLike(-1, real));
  if (complex) {
    Value imaginary = part(1);
    yr = c.add(yr, c.matmul(imaginary, sn));
    yi = c.add(yi, c.matmul(imaginary, cs));
  }
  SmallVector<int64_t> shape{batch, frames, bins, 1};
  if (!yr || !yi)
    return failure();
  return c.set(0, c.concat({c.reshape(yr, shape), c.reshape(yi, shape)}, 3));
}

/// Triangles on the mel scale; every parameter is a constant.
static LogicalResult lowerMelWeights(C &c) {
  static constexpr StringLiteral names[] = {"num_mel_bins", "dft_length",
                                            "sample_rate", "lower_edge_hertz",
                                            "upper_edge_hertz"};
  double values[5];
  for (auto [i, name] : llvm::enumerate(names)) {
    auto given = c.constantTensor(c.input(i), name);
    if (failed(given))
      return failure();
    if (given->size() != 1)
      return c.error() << "expects '" << name << "' to be a scalar";
    values[i] = given->isFloat() ? given->number() : given->integer();
  }
  int64_t mels = values[0], length = values[1], spectrum = length / 2 + 1;
  if (mels < 1 || mels > 65536 || length < 1 || length > (1 << 20) ||
      values[2] < 1 || values[3] < 0 || values[4] < values[3] ||
      mels * spectrum > (1 << 26))
    return c.error() << "expects positive sizes and edges in rising order";
  double low = 2595 * std::log10(1 + values[3] / 700),
         high = 2595 * std::log10(1 + values[4] / 700),
         step = (high - low) / double(mels + 2);
  SmallVector<int64_t> edges;
  for (int64_t i = 0; i < mels + 2; ++i) {
    double hertz = 700 * (std::pow(10, (i * step + low) / 2595) - 1);
    edges.push_back(
        floatToInteger(std::floor((double(length) + 1) * hertz / values[2])));
  }
  Tensor weights(DType::Float32, {spectrum, mels});
  auto put = [&](int64_t bin, int64_t mel, double value) {
    if (bin >= 0 && bin < spectrum)
      weights.mutableFloats()[bin * mels + mel] = float(value);
  };
  for (int64_t i = 0; i < mels; ++i) {
    int64_t lower = edges[i], centre = edges[i + 1], upper = edges[i + 2];
    if (centre == lower)
      put(centre, i, 1);
    for (int64_t j = lower; centre > lower && j <= centre; ++j)
      put(j, i, double(j - lower) / double(centre - lower));
    for (int64_t j = centre; j < upper; ++j)
      put(j, i, double(upper - j) / double(upper - centre));
  }
  std::optional<DType> type =
      lookupDTypeByOnnxCode(c.getInt("output_datatype", 1));
  if (!type)
    return c.error() << "expects output_datatype to be a number type";
  return c.set(0, c.castTo(c.graph.constant(c.loc, weights),
                           carrierOf(toMLIRType(*type, c.node.getContext()))));
}

/// a0 - a1 cos(2 pi n / N) + a2 cos(4 pi n / N)
static LogicalResult window(C &c, double a0, double a1, double a2) {
  auto size = c.constantInts(c.input(0), "size");
  if (failed(size) || size->size() != 1 || (*size)[0] < 0 ||
      (*size)[0] > (1 << 24))
    return c.failed()
               ? failure()
               : LogicalResult(c.error() << "expects a size in [0, 2^24]");
  int64_t count = (*size)[0];
  double period = c.getInt("periodic", 1) ? count : count - 1;
  Tensor tensor(DType::Float32, {count});
  for (int64_t n = 0; n < count; ++n)
    tensor.mutableFloats()[n] = float(a0 - a1 * std::cos(2 * kPi * n / period) +
                                      a2 * std::cos(4 * kPi * n / period));
  std::optional<DType> type =
      lookupDTypeByOnnxCode(c.getInt("output_datatype", 1));
  if (!type)
    return c.error() << "expects output_datatype to be a number type";
  return c.set(0, c.castTo(c.graph.constant(c.loc, tensor),
                           carrierOf(toMLIRType(*type, c.node.getContext()))));
}
static LogicalResult lowerHann(C &c) { return window(c, 0.5, 0.5, 0); }
static LogicalResult lowerHamming(C &c) {
  return window(c, 25.0 / 46, 21.0 / 46, 0);
}
static LogicalResult lowerBlackman(C &c) { return window(c, 0.42, 0.5, 0.08); }

void mlir::ane::addSignalHandlers(HandlerTable &t) {
  t.add("DFT", 17, lowerDFT);
  t.add("STFT", 17, lowerSTFT);
  t.add("MelWeightMatrix", 17, lowerMelWeights);
  t.add("HannWindow", 17, lowerHann);
  t.add("HammingWindow", 17, lowerHamming);
  t.add("BlackmanWindow", 17, lowerBlackman);
}
