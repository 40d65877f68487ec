//===- Signal.cpp - Fourier transforms and windows ------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "Lowering.h"
#include <cmath>
#include <numeric>

using namespace mlir;
using namespace mlir::ane;

using C = NodeContext;

static constexpr double kPi = 3.14159265358979323846;

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
    auto given = c.constantInts(c.input(2), "axis");
    if (failed(given) || given->size() != 1)
      return failure();
    wanted = (*given)[0];
  }
  FailureOr<int64_t> axis = c.axis(wanted, rank);
  if (failed(axis))
    return failure();
  if (*axis == rank - 1)
    return c.error() << "expects an axis other than the last, but got "
                     << wanted;
  bool inverse = c.getInt("inverse", 0), oneSided = c.getInt("onesided", 0);
  int64_t length = c.shape(x)[*axis];
  if (c.input(1)) {
    auto given = c.constantInts(c.input(1), "dft_length");
    if (failed(given) || given->size() != 1)
      return failure();
    length = (*given)[0];
  }
  if (length < 1 || length > 65536 || (inverse && oneSided))
    return c.error()
           << (inverse && oneSided
                   ? "of inverse and onesided together is not supported"
                   : "expects a dft_length in [1, 65536]");
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
    if (have > length)
      return c.slice(p, rank - 2, 0, length);
    if (have < length)
      return c.create<PadOp>(
          {p}, {c.graph.attr("pad", ArrayRef<int64_t>{0, length - have})});
    return p;
  };
  int64_t bins = oneSided ? length / 2 + 1 : length;
  Tensor cosine(DType::Float32, {length, bins}),
      sine(DType::Float32, {length, bins});
  double norm = inverse ? 1.0 / length : 1;
  for (int64_t n = 0; n < length; ++n)
    for (int64_t k = 0; k < bins; ++k) {
      double angle = 2 * kPi * double(n * k % length) /
                     length; // exact reduction of the argument
      cosine.mutableFloats()[n * bins + k] = float(std::cos(angle) * norm);
      sine.mutableFloats()[n * bins + k] =
          float(std::sin(angle) * (inverse ? -norm : norm));
    }
  Value real = part(0), imaginary = part(1);
  if (!real || c.failed())
    return failure();
  Value cs = c.castTo(c.graph.constant(c.loc, cosine), c.element(x)),
        sn = c.castTo(c.graph.constant(c.loc, sine), c.element(x));
  auto product = [&](Value a, Value b) { return c.create<MatmulOp>({a, b}); };
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
  yi = back(yi);
  return c.set(0, yr && yi ? c.concat({yr, yi}, rank - 1) : Value());
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
  t.add("HannWindow", 17, lowerHann);
  t.add("HammingWindow", 17, lowerHamming);
  t.add("BlackmanWindow", 17, lowerBlackman);
}
