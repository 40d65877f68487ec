//===- EngineProduct.cpp - products as the engine accumulates them --------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// referenceEngineProduct says what the result is, engineProduct computes the
// same bits quickly: eight columns at a time, four rows against a panel of
// sixteen columns that lies in order, and without looking for overflow where
// the magnitudes of the operands exclude it. Every step is one IEEE operation
// or integer arithmetic, so that the result does not depend on the machine.
//
//===----------------------------------------------------------------------===//

#include "EngineNumerics.h"
#include "llvm/ADT/bit.h"
#include "llvm/Support/MathExtras.h"
#include <cmath>
#include <vector>

using namespace mlir;
using namespace mlir::ane;
using Accumulator = NumericContract::Accumulator;

/// Magnitude of a partial sum that no accumulator holds.
static constexpr double kLimit = 32768;
/// Units of the fixed point in one.
static constexpr float kScale = 65536;

//===----------------------------------------------------------------------===//
// The reference
//===----------------------------------------------------------------------===//

/// The exponent as the format stores it; zero and fp32 denormals have -127.
static int exponentOf(float x) {
  return int((llvm::bit_cast<uint32_t>(x) >> 23) & 0xff) - 127;
}

/// A sum in units of 2^-16 as fp32, rounded to odd: what is then rounded to
/// fp16 is as if it had been rounded once.
static float fromFixed(int64_t sum) {
  uint64_t magnitude = std::abs(sum);
  int drop = std::max(0, int(llvm::bit_width(magnitude)) - 24);
  bool lost = magnitude & ((uint64_t(1) << drop) - 1);
  magnitude = (magnitude >> drop) | lost;
  float value = std::ldexp(float(magnitude), drop - 16);
  return sum < 0 ? -value : value;
}

/// What comes out where a partial sum, `first`, left the range.
static float overflow(const NumericContract &engine, double first) {
  if (engine.accumulator == Accumulator::ZeroOnOverflow)
    return 0;
  return std::isnan(first) ? INFINITY : float(std::copysign(INFINITY, first));
}

void mlir::ane::referenceEngineProduct(const NumericContract &engine,
                                       const float *a, Strides strideA,
                                       const float *b, Strides strideB,
                                       float *c, int64_t m, int64_t k,
                                       int64_t n, float *peak) {
  for (int64_t r = 0; r < m; ++r)
    for (int64_t s = 0; s < n; ++s) {
      double sum = 0, over = 0, most = 0;
      for (int64_t t = 0; t < k; ++t) {
        float x = a[r * strideA.first + t * strideA.second],
              y = b[t * strideB.first + s * strideB.second], p = x * y;
        if (engine.accumulator != Accumulator::Float32) {
          if (exponentOf(x) + exponentOf(y) <= -17)
            continue;
          double units = double(p) * kScale;
          sum +=
              std::copysign(std::floor(std::fabs(units) + 0.5), units) / kScale;
        } else {
          if (engine.productRounds)
            p = roundTo(DType::Float16, p);
          sum = float(sum) + p;
        }
        if (std::fabs(sum) > most)
          most = std::fabs(sum);
        if (over == 0 && !(std::fabs(sum) < kLimit))
          over = sum;
      }
      if (peak)
        *peak = std::max(*peak, float(most));
      c[r * n + s] = over != 0 ? overflow(engine, over)
                     : engine.accumulator == Accumulator::Float32
                         ? float(sum)
                         : fromFixed(int64_t(sum * kScale));
    }
}

//===----------------------------------------------------------------------===//
// Vectors
//===----------------------------------------------------------------------===//

namespace {
constexpr int64_t kPanel = 16;  // columns that lie together
constexpr int64_t kRows = 4;    // rows computed together
constexpr int64_t kDepth = 256; // terms whose panels stay in the cache
constexpr int64_t kPanels = 8;  // panels of one task

// Two SSE or NEON registers, one of AVX.
typedef float Floats __attribute__((vector_size(32)));
typedef int32_t Ints __attribute__((vector_size(32)));
typedef double Doubles __attribute__((vector_size(64)));
typedef int64_t Longs __attribute__((vector_size(64)));

/// Two vectors are one row of a panel.
constexpr int kVectors = 2;
constexpr int kLanes = kPanel / kVectors;
} // namespace

#define ANE_INLINE inline __attribute__((always_inline))

static ANE_INLINE Floats broadcast(float x) { return x - Floats{}; }
static ANE_INLINE Floats magnitude(Floats x) {
  return Floats(Ints(x) & 0x7fffffff);
}
static ANE_INLINE Doubles magnitude(Doubles x) {
  return Doubles(Longs(x) & 0x7fffffffffffffff);
}
template <typename Vector, typename Element>
static ANE_INLINE Vector load(const Element *from) {
  Vector v;
  __builtin_memcpy(&v, from, sizeof(v));
  return v;
}
template <typename Vector, typename Element>
static ANE_INLINE void store(Element *to, Vector v) {
  __builtin_memcpy(to, &v, sizeof(v));
}

/// Units nearest to t, halves away from zero; |t| < 2^31. Adding the half is
/// exact enough from 1 on, and what is smaller was dropped.
static ANE_INLINE Ints nearest(Floats t) {
  Floats half = Floats((Ints(t) & int32_t(0x80000000)) | 0x3f000000);
  return __builtin_convertvector(t + half, Ints);
}

/// fp16 nearest to p, ties to even, where that is finite: the addend's last bit
/// is that of the result.
static ANE_INLINE Floats toHalf(Floats p) {
  Floats power = Floats(Ints(p) & 0x7f800000),
         least = broadcast(6.103515625e-05f);
  power = power > least ? power : least;
  Floats addend = power * 12288.0f;
  return (p + addend) - addend;
}

//===----------------------------------------------------------------------===//
// Models of accumulation
//===----------------------------------------------------------------------===//

namespace {
/// One element of the left operand. The product is kept from `least` of the
/// other's magnitude on.
struct Left {
  float value, least;
};

/// How sums of one kind are held and what a product adds. `Bounded` ones are
/// used where nothing can overflow.
struct BoundedFixed {
  using Sum = int32_t;
  static constexpr int kStates = 1;
  struct Vector {
    Ints sum;
  };
  static ANE_INLINE void add(Vector &v, const Left &x, Floats y, Floats size) {
    v.sum += nearest(y * x.value) & ~(size < x.least);
  }
  static ANE_INLINE void finish(Vector &, int64_t) {}
};
/// For fp16 factors and products below 64. The product's 22 bits leave two of
/// fp32's; the left factor is one fp32 larger than it should be, so that the
/// product lies strictly between itself and the next one, and halves round away
/// from zero when an addend whose last bit is one unit rounds to nearest. The
/// addend's bits are added, too, and taken off at the end.
struct SmallFixed {
  using Sum = int32_t;
  static constexpr int kStates = 1;
  static constexpr float kAddend = 12582912; // 3 * 2^22
  static constexpr float kLimit = 63;
  struct Vector {
    Ints sum;
  };
  static ANE_INLINE void add(Vector &v, const Left &x, Floats y, Floats size) {
    Floats kept = Floats(Ints(y) & ~(size < x.least));
    v.sum += Ints(kept * x.value + kAddend);
  }
  static ANE_INLINE void finish(Vector &v, int64_t terms) {
    v.sum -= int32_t(uint32_t(terms) * 0x4b400000u);
  }
};
template <bool Rounds>
struct BoundedFloat {
  using Sum = float;
  static constexpr int kStates = 1;
  struct Vector {
    Floats sum;
  };
  static ANE_INLINE void add(Vector &v, const Left &x, Floats y, Floats) {
    Floats p = y * x.value;
    v.sum += Rounds ? toHalf(p) : p;
  }
  static ANE_INLINE void finish(Vector &, int64_t) {}
};
/// Stays at the first sum that is out of range; `Records` goes on and keeps the
/// first sum out of range and the largest magnitude beside it.
template <bool Fixed, bool Rounds, bool Records>
struct Tracked {
  using Sum = double;
  static constexpr int kStates = Records ? 3 : 1;
  struct Vector {
    Doubles sum, over, most;
  };
  static ANE_INLINE void add(Vector &v, const Left &x, Floats y, Floats size) {
    Floats p = y * x.value;
    Doubles next;
    if constexpr (Fixed) {
      // From 2^23 on every fp32 is whole.
      Floats scaled = p * kScale;
      Ints small = magnitude(scaled) < 8388608.0f;
      Floats units = Floats(Ints(scaled) & small);
      units = small ? __builtin_convertvector(nearest(units), Floats) : scaled;
      units = Floats(Ints(units) & ~(size < x.least)); // keeps NaN
      next = v.sum + __builtin_convertvector(units, Doubles);
    } else {
      if constexpr (Rounds) // or infinite
        p = magnitude(p) < 65520.0f ? toHalf(p) : p * 1e38f;
      // A sum of two fp32 that is rounded to fp64 and then to fp32 is rounded
      // once.
      Floats sum = __builtin_convertvector(v.sum, Floats) + p;
      next = __builtin_convertvector(sum, Doubles);
    }
    constexpr double limit = Fixed ? kLimit * kScale : kLimit;
    if constexpr (Records) {
      Doubles size = magnitude(next);
      v.most = size > v.most ? size : v.most;
      v.over = (v.over == 0.0) & ~(size < limit) ? next : v.over;
      v.sum = next;
    } else {
      v.sum = magnitude(v.sum) < limit ? next : v.sum;
    }
  }
  static ANE_INLINE void finish(Vector &, int64_t) {}
};
} // namespace

/// sums[row][panel column] += left[term][row] panel[term][column]. The states
/// of a sum are `state` elements apart, rows `stride`.
template <typename Model, int Rows>
static ANE_INLINE void multiply(const Left *left, const float *panel,
                                int64_t terms, typename Model::Sum *sums,
                                int64_t stride, int64_t state) {
  using Vector = typename Model::Vector;
  Vector v[Rows][kVectors];
  for (int r = 0; r < Rows; ++r)
    for (int i = 0; i < kVectors; ++i) {
      auto *at = sums + r * stride + i * kLanes;
      v[r][i].sum = load<decltype(Vector::sum)>(at);
      if constexpr (Model::kStates > 1) {
        v[r][i].over = load<Doubles>(at + state);
        v[r][i].most = load<Doubles>(at + 2 * state);
      }
    }
  for (int64_t t = 0; t < terms; ++t) {
    Floats y[kVectors], size[kVectors];
    for (int i = 0; i < kVectors; ++i) {
      y[i] = load<Floats>(panel + t * kPanel + i * kLanes);
      size[i] = magnitude(y[i]);
    }
    for (int r = 0; r < Rows; ++r)
      for (int i = 0; i < kVectors; ++i)
        Model::add(v[r][i], left[t * Rows + r], y[i], size[i]);
  }
  for (int r = 0; r < Rows; ++r)
    for (int i = 0; i < kVectors; ++i) {
      auto *at = sums + r * stride + i * kLanes;
      Model::finish(v[r][i], terms);
      store(at, v[r][i].sum);
      if constexpr (Model::kStates > 1) {
        store(at + state, v[r][i].over);
        store(at + 2 * state, v[r][i].most);
      }
    }
}

/// All panels of a task for a few rows.
template <typename Model>
static ANE_INLINE void multiplyPanels(const Left *left, int rows,
                                      const float *panels, int64_t count,
                                      int64_t terms, typename Model::Sum *sums,
                                      int64_t stride, int64_t state) {
  for (int64_t p = 0; p < count; ++p) {
    const float *panel = panels + p * kDepth * kPanel;
    if (rows == kRows)
      multiply<Model, kRows>(left, panel, terms, sums + p * kPanel, stride,
                             state);
    else
      multiply<Model, 1>(left, panel, terms, sums + p * kPanel, stride, state);
  }
}

// The same code for the widest registers that this machine is known to have.
#if defined(__x86_64__) && !defined(__AVX2__) && defined(__GNUC__)
#define ANE_WIDE 1
template <typename Model>
__attribute__((target("avx2"))) static void
multiplyWide(const Left *left, int rows, const float *panels, int64_t count,
             int64_t terms, typename Model::Sum *sums, int64_t stride,
             int64_t state) {
  multiplyPanels<Model>(left, rows, panels, count, terms, sums, stride, state);
}
#endif
template <typename Model>
static void multiplyAny(const Left *left, int rows, const float *panels,
                        int64_t count, int64_t terms, typename Model::Sum *sums,
                        int64_t stride, int64_t state) {
#ifdef ANE_WIDE
  static const bool wide = __builtin_cpu_supports("avx2");
  if (wide)
    return multiplyWide<Model>(left, rows, panels, count, terms, sums, stride,
                               state);
#endif
  multiplyPanels<Model>(left, rows, panels, count, terms, sums, stride, state);
}

//===----------------------------------------------------------------------===//
// Tasks
//===----------------------------------------------------------------------===//

namespace {
/// Some rows and the columns of up to kPanels panels.
class Task {
public:
  Task(const EvalContext &context, const float *a, Strides strideA, int64_t k)
      : context(context), engine(*context.getEngine()), a(a), strideA(strideA),
        k(k), fixed(engine.accumulator != Accumulator::Float32),
        records(context.recordsPartials()), panels(kPanels * kDepth * kPanel),
        largest(kDepth), left(kDepth * kRows) {}

  void run(PanelReader readPanel, int64_t row, int64_t rows, int64_t column,
           int64_t columns, float *c, Strides strideC) {
    int64_t count = llvm::divideCeil(columns, kPanel);
    stride = kPanels * kPanel;
    state = rows * stride;
    bounded.assign(rows * stride, 0);
    bound.assign(rows, 0);
    // Rows that are computed together are also tracked together.
    std::vector<char> isTracked(rows, records);
    tracked.assign(records ? 3 * state : 0, 0);
    for (int64_t t = 0; t < k; t += kDepth) {
      int64_t terms = std::min(kDepth, k - t);
      for (int64_t p = 0; p < count; ++p)
        readPanel(t, terms, column + p * kPanel,
                  std::min(kPanel, columns - p * kPanel),
                  panels.data() + p * kDepth * kPanel);
      findLargest(count, terms);
      for (int64_t r = 0; r < rows;) {
        int together = rows - r >= kRows ? kRows : 1;
        Rows seen;
        for (int i = 0; i < together; ++i)
          readRow(row + r + i, t, terms, together, i, bound[r + i], seen);
        if (!seen.fits && !isTracked[r])
          track(r, together, isTracked);
        seen.areHalves &= areHalves;
        if (fixed && !isTracked[r])
          scale(terms * together, seen);
        multiplyRows(r, together, count, terms, isTracked[r], seen);
        r += together;
      }
    }
    double most = 0;
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t s = 0; s < columns; ++s)
        c[(row + r) * strideC.first + (column + s) * strideC.second] =
            result(r * stride + s, isTracked[r], most);
    if (records)
      context.recordPartial(most);
  }

private:
  /// What some rows' terms are like.
  struct Rows {
    /// No sum leaves the range.
    bool fits = true;
    /// All are numbers of fp16.
    bool areHalves = true;
    float product = 0;
    bool areSmall() const { return areHalves && product < SmallFixed::kLimit; }
  };

  /// The largest magnitude among each term's columns; NaN is larger than all.
  void findLargest(int64_t count, int64_t terms) {
    uint32_t bits = 0;
    for (int64_t t = 0; t < terms; ++t) {
      int32_t most = 0;
      for (int64_t p = 0; p < count; ++p) {
        const float *row = panels.data() + (p * kDepth + t) * kPanel;
        for (int64_t s = 0; s < kPanel; ++s) {
          uint32_t value = llvm::bit_cast<uint32_t>(row[s]);
          most = std::max(most, int32_t(value & 0x7fffffff));
          bits |= value;
        }
      }
      largest[t] = llvm::bit_cast<float>(most);
    }
    areHalves = !(bits & 0x1fff);
  }

  /// Terms of a row into `left`. `bound` adds up what its sums can come to.
  void readRow(int64_t row, int64_t t, int64_t terms, int together, int place,
               double &bound, Rows &seen) {
    const float *from = a + row * strideA.first + t * strideA.second;
    Left *to = left.data() + place;
    bool plain = true; // beyond fp16, thresholds could become denormal
    uint32_t bits = 0;
    double sum = 0;
    for (int64_t i = 0; i < terms;
         ++i, from += strideA.second, to += together) {
      float x = *from, size = std::fabs(x), product = size * largest[i];
      sum += product;
      seen.product = product > seen.product ? product : seen.product;
      plain &= size <= 65536 && largest[i] <= 65536;
      bits |= llvm::bit_cast<uint32_t>(x);
      to->value = x;
      to->least = leastFactor(x);
    }
    bound += sum;
    seen.areHalves &= !(bits & 0x1fff);
    // What rounding adds to products and sums.
    seen.fits &=
        plain &&
        bound * (1.001 + double(k) * 0x1p-23) + double(k) / kScale < kLimit;
  }

  /// Factors so that products are in units; exact, since they are not large.
  void scale(int64_t count, const Rows &seen) {
    for (int64_t i = 0; i < count; ++i) {
      uint32_t bits = llvm::bit_cast<uint32_t>(left[i].value * kScale);
      bits += seen.areSmall() && left[i].value != 0;
      left[i].value = llvm::bit_cast<float>(bits);
    }
  }

  /// 2^(-16 - exponent): the smallest magnitude whose product with x counts.
  static float leastFactor(float x) {
    int wanted = 127 - 16 - exponentOf(x);
    return wanted > 254 ? INFINITY
           : wanted < 1 ? 0
                        : llvm::bit_cast<float>(uint32_t(wanted) << 23);
  }

  void track(int64_t r, int together, std::vector<char> &isTracked) {
    tracked.resize(state);
    for (int64_t i = r * stride; i < (r + together) * stride; ++i)
      tracked[i] = fixed ? bounded[i] : llvm::bit_cast<float>(bounded[i]);
    std::fill_n(isTracked.begin() + r, together, 1);
  }

  void multiplyRows(int64_t r, int together, int64_t count, int64_t terms,
                    bool isTracked, const Rows &seen) {
    auto call = [&](auto model, auto *sums) {
      multiplyAny<decltype(model)>(left.data(), together, panels.data(), count,
                                   terms, sums + r * stride, stride, state);
    };
    double *wide = tracked.data();
    int32_t *units = bounded.data();
    float *floats = reinterpret_cast<float *>(units);
    if (fixed)
      records           ? call(Tracked<true, false, true>(), wide)
      : isTracked       ? call(Tracked<true, false, false>(), wide)
      : seen.areSmall() ? call(SmallFixed(), units)
                        : call(BoundedFixed(), units);
    else if (engine.productRounds)
      records     ? call(Tracked<false, true, true>(), wide)
      : isTracked ? call(Tracked<false, true, false>(), wide)
                  : call(BoundedFloat<true>(), floats);
    else
      records     ? call(Tracked<false, false, true>(), wide)
      : isTracked ? call(Tracked<false, false, false>(), wide)
                  : call(BoundedFloat<false>(), floats);
  }

  float result(int64_t at, bool isTracked, double &most) const {
    if (!isTracked)
      return fixed ? fromFixed(bounded[at])
                   : llvm::bit_cast<float>(bounded[at]);
    double scale = fixed ? kScale : 1, value = tracked[at],
           over = std::fabs(value) < kLimit * scale ? 0 : value;
    if (records) {
      over = tracked[state + at];
      most = std::max(most, tracked[2 * state + at] / scale);
    }
    if (over != 0)
      return overflow(engine, over);
    return fixed ? fromFixed(int64_t(value)) : float(value);
  }

  const EvalContext &context;
  const NumericContract &engine;
  const float *a;
  Strides strideA;
  int64_t k;
  bool fixed, records;
  /// Whether the panels hold numbers of fp16.
  bool areHalves = false;
  int64_t stride = 0, state = 0;
  /// kPanels times kDepth rows of a panel.
  std::vector<float> panels;
  std::vector<float> largest;
  /// kDepth columns of up to kRows rows.
  std::vector<Left> left;
  /// Sums that are int32_t units or the bits of fp32.
  std::vector<int32_t> bounded;
  std::vector<double> bound;
  std::vector<double> tracked;
};
} // namespace

void mlir::ane::engineProduct(const EvalContext &context, const float *a,
                              Strides strideA, PanelReader readPanel, float *c,
                              Strides strideC, int64_t m, int64_t k, int64_t n,
                              bool parallel) {
  int64_t width = kPanels * kPanel, wide = llvm::divideCeil(n, width),
          threads = parallel ? context.getContext()->getNumThreads() : 1;
  // Reading a panel pays over many rows; every thread wants a few tasks.
  int64_t height = 256;
  if (wide < 2 * threads)
    height = std::clamp<int64_t>(
        llvm::alignTo(llvm::divideCeil(m * wide, 2 * threads), kRows), kRows,
        height);
  int64_t high = llvm::divideCeil(m, height);
  auto body = [&](int64_t begin, int64_t end) {
    Task task(context, a, strideA, k);
    for (int64_t i = begin; i < end; ++i) {
      int64_t row = i % high * height, column = i / high * width;
      task.run(readPanel, row, std::min(height, m - row), column,
               std::min(width, n - column), c, strideC);
    }
  };
  if (parallel && m * k * n > (1 << 16))
    context.parallelFor(high * wide, 1, body);
  else
    body(0, high * wide);
}

void mlir::ane::engineProduct(const EvalContext &context, const float *a,
                              Strides strideA, const float *b, Strides strideB,
                              float *c, int64_t m, int64_t k, int64_t n) {
  Strides strideC{n, 1};
  // Few columns would leave most of a panel empty; the transposed product has
  // the same sums.
  if (n < kPanel && m > n) {
    std::swap(a, b);
    std::swap(strideA, strideB);
    std::swap(strideA.first, strideA.second);
    std::swap(strideB.first, strideB.second);
    std::swap(m, n);
    std::swap(strideC.first, strideC.second);
  }
  auto read = [&](int64_t t, int64_t terms, int64_t column, int64_t columns,
                  float *panel) {
    const float *from = b + t * strideB.first + column * strideB.second;
    if (columns < kPanel)
      std::fill_n(panel, terms * kPanel, 0.0f);
    if (strideB.second == 1)
      for (int64_t i = 0; i < terms; ++i)
        std::copy_n(from + i * strideB.first, columns, panel + i * kPanel);
    else
      for (int64_t s = 0; s < columns; ++s)
        for (int64_t i = 0; i < terms; ++i)
          panel[i * kPanel + s] = from[i * strideB.first + s * strideB.second];
  };
  engineProduct(context, a, strideA, read, c, strideC, m, k, n, true);
}
