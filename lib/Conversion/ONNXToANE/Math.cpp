//===- Math.cpp - element-wise operators ----------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// Operators that are one ane op are rows of the record table (imports); these
// are the others.
//
//===----------------------------------------------------------------------===//

#include "Lowering.h"
#include "dialects/ANE/IR/Activation.h"
#include "dialects/ANE/IR/Arithmetic.h"
#include "dialects/ANE/IR/Comparison.h"
#include "dialects/ANE/IR/Gather.h"
#include "dialects/ANE/IR/Norm.h"
#include "dialects/ANE/IR/Reduction.h"
#include "dialects/ANE/IR/Unary.h"
#include <cmath>
#include <map>

using namespace mlir;
using namespace mlir::ane;

using C = NodeContext;

static Value one(C &c, Value like) { return c.scalarLike(1, like); }

/// A balanced chain of a binary op over all inputs.
template <typename Op>
static Value chain(C &c) {
  SmallVector<Value> level;
  for (unsigned i = 0; i < c.numInputs(); ++i)
    level.push_back(c.input(i));
  while (level.size() > 1) {
    SmallVector<Value> next;
    for (size_t i = 0; i + 1 < level.size(); i += 2)
      next.push_back(c.create<Op>({level[i], level[i + 1]}));
    if (level.size() % 2)
      next.push_back(level.back());
    level = std::move(next);
  }
  return level.empty() ? Value() : level[0];
}

static LogicalResult lowerDiv(C &c) {
  Value a = c.input(0), b = c.input(1);
  if (c.isFloat(a))
    return c.set(0, c.div(a, b));
  // Integer division truncates toward zero; MIL has floor_div.
  auto type = cast<IntegerType>(c.element(a));
  if (type.isUnsigned())
    return c.set(0, c.create<FloorDivOp>({a, b}));
  Value quotient =
      c.create<FloorDivOp>({c.create<AbsOp>({a}), c.create<AbsOp>({b})});
  return c.set(
      0, c.mul(quotient, c.mul(c.create<SignOp>({a}), c.create<SignOp>({b}))));
}

static LogicalResult lowerMod(C &c) {
  Value a = c.input(0), b = c.input(1);
  if (c.getInt("fmod", 0) == 0)
    return c.set(0, c.create<ModOp>({a, b}));
  // fmod has the sign of the dividend: sign(a) * mod(|a|, |b|).
  return c.set(
      0, c.mul(c.create<SignOp>({a}),
               c.create<ModOp>({c.create<AbsOp>({a}), c.create<AbsOp>({b})})));
}

static LogicalResult lowerPow(C &c) {
  Value x = c.input(0), y = c.input(1);
  if (std::optional<Tensor> exponent = c.tryConstant(y);
      exponent && exponent->size() == 1 && c.isFloat(x) &&
      c.rank(y) <= c.rank(x)) {
    double e = exponent->number();
    if (e == 1)
      return c.set(0, x);
    if (e == 2)
      return c.set(0, c.mul(x, x)); // `square` is fragile on the engine (L04)
    if (e == 3)
      return c.set(0, c.mul(c.mul(x, x), x));
    if (e == 0.5)
      return c.set(0, c.create<SqrtOp>({x}));
    if (e == -1)
      return c.set(0, c.div(one(c, x), x));
  }
  if (c.isFloat(x) || !c.isFloat(y))
    return c.set(0, c.create<PowOp>({x, c.castTo(y, c.element(x))}));
  // Whole exponents keep integers integers: floats hold them up to 2^24.
  if (std::optional<Tensor> exponent = c.tryConstant(y);
      exponent && llvm::all_of(exponent->floats(), [](float e) {
        return e >= 0 && e <= 64 && e == std::floor(e);
      }))
    return c.set(0, c.create<PowOp>({x, c.castTo(y, c.element(x))}));
  // Integer base, float exponent: the result has the base's type.
  Value power = c.create<PowOp>({c.castTo(x, c.element(y)), y});
  return c.set(0, c.castTo(power, c.element(x)));
}

static LogicalResult lowerClip(C &c) {
  Value x = c.input(0), low = c.input(1), high = c.input(2);
  if (c.attribute("min"))
    low = c.scalarLike(c.getFloat("min", 0), x);
  if (c.attribute("max"))
    high = c.scalarLike(c.getFloat("max", 0), x);
  auto lowConst = c.tryConstant(low), highConst = c.tryConstant(high);
  if (c.isFloat(x) && lowConst && highConst) {
    float alpha = float(lowConst->number()), beta = float(highConst->number());
    if (alpha == 0 && beta == 6)
      return c.set(0, c.create<Relu6Op>({x}));
    if (alpha < beta && std::isfinite(alpha) && std::isfinite(beta))
      return c.set(0, c.create<ClipOp>({x}, {.alpha = alpha, .beta = beta}));
  }
  if (low && c.isFloat(x) && lowConst && lowConst->number() == 0 && !high)
    return c.set(0, c.create<ReluOp>({x}));
  if (low)
    x = c.create<MaximumOp>({x, low});
  if (high)
    x = c.create<MinimumOp>({x, high});
  return c.set(0, x);
}

static LogicalResult lowerEqual(C &c) {
  Value a = c.input(0), b = c.input(1);
  if (c.element(a).isInteger(1))
    return c.set(0, c.create<LogicalNotOp>({c.create<LogicalXorOp>({a, b})}));
  return c.set(0, c.create<EqualOp>({a, b}));
}

namespace {
/// What rounding to a small float needs to know.
struct SmallFloat {
  int mantissa, lowest, highest; // explicit bits, exponents of normal numbers
  double largest;
  bool infinite; // overflow without saturation gives infinity, otherwise NaN
};
} // namespace

static std::optional<SmallFloat> smallFloat(Type type) {
  if (isa<Float8E4M3FNType>(type))
    return SmallFloat{3, -6, 8, 448, false};
  if (isa<Float8E4M3FNUZType>(type))
    return SmallFloat{3, -7, 7, 240, false};
  if (isa<Float8E5M2Type>(type))
    return SmallFloat{2, -14, 15, 57344, true};
  if (isa<Float8E5M2FNUZType>(type))
    return SmallFloat{2, -15, 15, 57344, false};
  if (isa<Float4E2M1FNType>(type))
    return SmallFloat{1, 0, 2, 6, false};
  return std::nullopt;
}

/// To nearest even. The spacing of the result at x is found by comparing with
/// every power of two of the type; division and multiplication by it are exact.
Value mlir::ane::roundToSmallFloat(C &c, Value x, Type element, bool saturate) {
  std::optional<SmallFloat> known = smallFloat(element);
  if (!known)
    return {};
  const SmallFloat &type = *known;
  Value magnitude = c.create<AbsOp>({x}),
        step = c.scalarLike(std::ldexp(1.0, type.lowest - type.mantissa), x);
  for (int exponent = type.lowest + 1; exponent <= type.highest; ++exponent) {
    Value above = c.create<GreaterEqualOp>(
        {magnitude, c.scalarLike(std::ldexp(1.0, exponent), x)});
    step = c.create<SelectOp>(
        {above, c.scalarLike(std::ldexp(1.0, exponent - type.mantissa), x),
         step});
  }
  Value rounded = c.mul(c.create<RoundOp>({c.div(x, step)}), step);
  if (saturate)
    return c.create<ClipOp>({rounded},
                            {.alpha = -type.largest, .beta = type.largest});
  Value beyond = c.create<GreaterOp>(
      {c.create<AbsOp>({rounded}), c.scalarLike(type.largest, x)});
  Value special = type.infinite
                      ? c.mul(c.create<SignOp>({x}), c.scalarLike(INFINITY, x))
                      : c.scalarLike(NAN, x);
  return c.create<SelectOp>({beyond, special, rounded});
}

/// fp8e8m0: a power of two from 2^-127 to 2^127, chosen by round_mode.
static Value roundToPowerOfTwo(C &c, Value x) {
  std::string mode = c.getString("round_mode", "up");
  if (mode != "up" && mode != "down" && mode != "nearest")
    return c.error() << "expects round_mode up, down or nearest, but got '"
                     << mode << "'",
           Value();
  Value magnitude = c.create<AbsOp>({x}),
        y = c.scalarLike(std::ldexp(1.0, -127), x);
  for (int exponent = -126; exponent <= 127; ++exponent) {
    // Where the result steps from 2^(exponent-1) to 2^exponent.
    double low = std::ldexp(1.0, exponent - 1);
    double edge = mode == "down" ? 2 * low : mode == "up" ? low : 1.5 * low;
    Value over =
        mode == "up"
            ? c.create<GreaterOp>({magnitude, c.scalarLike(edge, x)})
            : c.create<GreaterEqualOp>({magnitude, c.scalarLike(edge, x)});
    y = c.create<SelectOp>(
        {over, c.scalarLike(std::ldexp(1.0, exponent), x), y});
  }
  if (c.getInt("saturate", 1)) {
    Value unknown = c.create<NotEqualOp>({x, x});
    return c.create<SelectOp>({unknown, x, y});
  }
  Value finite =
      c.create<LessEqualOp>({magnitude, c.scalarLike(std::ldexp(1.0, 127), x)});
  return c.create<SelectOp>({finite, y, c.scalarLike(NAN, x)});
}

/// Integers below 8 bits: the low bits, sign extended.
static Value wrapToBits(C &c, Value x, unsigned bits, bool isUnsigned) {
  Type wide = c.graph.builder.getI32Type();
  double span = std::ldexp(1.0, bits), half = isUnsigned ? 0 : span / 2;
  Value shifted = c.create<ModOp>(
      {c.add(c.castTo(x, wide), c.scalar(half, wide)), c.scalar(span, wide)});
  return c.sub(shifted, c.scalar(half, wide));
}

static LogicalResult lowerCast(C &c) {
  Value x = c.input(0);
  Type element;
  if (c.opType() == "CastLike") {
    element = c.element(c.input(1));
    // The file's own type, where the value has one: its carrier may be wider.
    if (auto declared = dyn_cast<TensorType>(c.node.getInputs()[1].getType()))
      element = declared.getElementType();
  } else {
    std::optional<DType> to = lookupDTypeByOnnxCode(c.getInt("to", 0));
    if (std::string name = c.getString("to", "");
        !name.empty()) { // opsets below 6 name the type
      static const std::map<std::string, unsigned> codes = {
          {"FLOAT", 1},    {"UINT8", 2},   {"INT8", 3},    {"UINT16", 4},
          {"INT16", 5},    {"INT32", 6},   {"INT64", 7},   {"BOOL", 9},
          {"FLOAT16", 10}, {"DOUBLE", 11}, {"UINT32", 12}, {"UINT64", 13}};
      auto it = codes.find(name);
      to = lookupDTypeByOnnxCode(it == codes.end() ? 0 : it->second);
    }
    if (!to)
      return c.error() << "expects 'to' to be a number type, but got "
                       << c.getInt("to", 0);
    element = toMLIRType(*to, c.node.getContext());
  }
  Type f32 = c.graph.builder.getF32Type();
  if (smallFloat(element))
    return c.set(0, roundToSmallFloat(c, c.castTo(x, f32), element,
                                      c.getInt("saturate", 1)));
  if (isa<Float8E8M0FNUType>(element))
    return c.set(0, roundToPowerOfTwo(c, c.castTo(x, f32)));
  if (auto integer = dyn_cast<IntegerType>(element);
      integer && integer.getWidth() > 1 && integer.getWidth() < 8)
    return c.set(
        0, c.castTo(wrapToBits(c, x, integer.getWidth(), integer.isUnsigned()),
                    carrierOf(element)));
  return c.set(0, c.castTo(x, carrierOf(element)));
}

static LogicalResult lowerWhere(C &c) {
  return c.set(0, c.create<SelectOp>({c.input(0), c.input(1), c.input(2)}));
}

/// Functions of one float input, as algebra.
template <Value (*fn)(C &, Value)>
static LogicalResult unary(C &c) {
  return c.set(0, fn(c, c.input(0)));
}
static Value negate(C &c, Value x) { return c.mul(x, c.scalarLike(-1, x)); }
static Value selu(C &c, Value x) {
  double alpha = c.getFloat("alpha", 1.67326319217681884765625),
         gamma = c.getFloat("gamma", 1.05070102214813232421875);
  return c.mul(c.create<EluOp>({x}, {.alpha = alpha}), c.scalarLike(gamma, x));
}
static Value celu(C &c, Value x) {
  double alpha = c.getFloat("alpha", 1);
  if (alpha < 0) { // grows without bound on the left: the definition itself
    Value zero = c.scalarLike(0, x),
          grown = c.sub(c.create<ExpOp>({c.mul(x, c.scalarLike(1 / alpha, x))}),
                        one(c, x));
    return c.add(
        c.create<MaximumOp>({x, zero}),
        c.create<MinimumOp>({c.mul(grown, c.scalarLike(alpha, x)), zero}));
  }
  return c.mul(
      c.create<EluOp>({c.mul(x, c.scalarLike(1 / alpha, x))}, {.alpha = 1}),
      c.scalarLike(alpha, x));
}
static Value mish(C &c, Value x) {
  return c.mul(x, c.create<TanhOp>({c.create<SoftplusOp>({x})}));
}
static Value hardSwish(C &c, Value x) {
  Value gate = c.create<Relu6Op>({c.add(x, c.scalarLike(3, x))});
  return c.mul(x, c.mul(gate, c.scalarLike(1.0 / 6, x)));
}
static Value swish(C &c, Value x) {
  double alpha = c.getFloat("alpha", 1);
  if (alpha == 1)
    return c.create<SiluOp>({x});
  return c.mul(x, c.create<SigmoidOp>({c.mul(x, c.scalarLike(alpha, x))}));
}
static Value gelu(C &c, Value x) {
  return c.create<GeluOp>({x},
                          {.mode = c.getString("approximate", "none") == "tanh"
                                       ? GeluMode::TANH_APPROXIMATION
                                       : GeluMode::EXACT});
}
static Value fastGelu(C &c, Value x) {
  if (c.input(1))
    x = c.add(x, c.input(1));
  return c.create<GeluOp>({x}, {.mode = GeluMode::TANH_APPROXIMATION});
}
static Value biasGelu(C &c, Value x) {
  return c.create<GeluOp>({c.add(x, c.input(1))}, {.mode = GeluMode::EXACT});
}
static Value quickGelu(C &c, Value x) {
  return c.mul(x, c.create<SigmoidOp>(
                      {c.mul(x, c.scalarLike(c.getFloat("alpha", 1.702), x))}));
}
static Value thresholdedRelu(C &c, Value x) {
  // ONNX keeps x > alpha, MIL x >= alpha.
  Value above =
      c.create<GreaterOp>({x, c.scalarLike(c.getFloat("alpha", 1), x)});
  return c.create<SelectOp>({above, x, c.scalarLike(0, x)});
}
static Value shrink(C &c, Value x) {
  double lambda = c.getFloat("lambd", 0.5), bias = c.getFloat("bias", 0);
  Value low = c.create<LessOp>({x, c.scalarLike(-lambda, x)}),
        high = c.create<GreaterOp>({x, c.scalarLike(lambda, x)});
  Value lower = c.create<SelectOp>(
      {low, c.add(x, c.scalarLike(bias, x)), c.scalarLike(0, x)});
  return c.create<SelectOp>({high, c.sub(x, c.scalarLike(bias, x)), lower});
}
static Value acosh(C &c, Value x) {
  Value root = c.mul(c.create<SqrtOp>({c.sub(x, one(c, x))}),
                     c.create<SqrtOp>({c.add(x, one(c, x))}));
  return c.create<LogOp>({c.add(x, root)});
}
static Value asinh(C &c, Value x) {
  Value magnitude = c.create<AbsOp>({x}),
        root = c.create<SqrtOp>({c.add(c.mul(x, x), one(c, x))});
  return c.mul(c.create<SignOp>({x}),
               c.create<LogOp>({c.add(magnitude, root)}));
}
static Value isNaN(C &c, Value x) { return c.create<NotEqualOp>({x, x}); }
static Value isInf(C &c, Value x) {
  bool positive = c.getInt("detect_positive", 1),
       negative = c.getInt("detect_negative", 1);
  if (positive && negative)
    return c.create<EqualOp>({c.create<AbsOp>({x}), c.scalarLike(INFINITY, x)});
  if (!positive && !negative)
    return c.create<NotEqualOp>(
        {c.scalarLike(0, x), c.broadcastTo(c.scalarLike(0, x), c.shape(x))});
  return c.create<EqualOp>(
      {x, c.scalarLike(positive ? INFINITY : -INFINITY, x)});
}
static Value bitwiseNot(C &c, Value x) {
  auto type = cast<IntegerType>(c.element(x));
  double top = type.isUnsigned() ? std::ldexp(1.0, type.getWidth()) - 1 : -1;
  return c.sub(c.scalarLike(top, x), x);
}

static LogicalResult lowerPRelu(C &c) {
  Value x = c.input(0), slope = c.input(1);
  if (c.version() < 7 && c.rank(slope) == 1 &&
      c.rank(x) > 2) { // one slope per channel, before broadcasting was NumPy's
    SmallVector<int64_t> shape(c.rank(x) - 1, 1);
    shape[0] = c.shape(slope)[0];
    slope = c.reshape(slope, shape);
  }
  if (!slope)
    return failure();
  if (!c.isFloat(x))
    return c.set(0,
                 c.create<SelectOp>({c.create<LessOp>({x, c.scalarLike(0, x)}),
                                     c.mul(x, slope), x}));
  // [C,1,…] or [1,C,1,…]: one slope per channel is MIL's own prelu, which wants
  // rank 4 for distinct slopes.
  ArrayRef<int64_t> shape = c.shape(slope);
  int64_t channels = c.rank(x) > 1 ? c.shape(x)[1] : -1;
  int64_t axis = (int64_t)shape.size() - (c.rank(x) - 1);
  bool perChannel =
      c.rank(x) == 4 && axis >= 0 && c.tryConstant(slope).has_value();
  for (int64_t i = 0; perChannel && i < (int64_t)shape.size(); ++i)
    perChannel = shape[i] == (i == axis ? channels : 1);
  if (perChannel)
    return c.set(0, c.create<PreluOp>({x, c.reshape(slope, {channels})}));
  Value positive = c.create<ReluOp>({x}),
        negative = c.create<ReluOp>({negate(c, x)});
  return c.set(0, c.sub(positive, c.mul(slope, negative)));
}

static LogicalResult lowerSum(C &c) { return c.set(0, chain<AddOp>(c)); }
static LogicalResult lowerMax(C &c) { return c.set(0, chain<MaximumOp>(c)); }
static LogicalResult lowerMin(C &c) { return c.set(0, chain<MinimumOp>(c)); }
static LogicalResult lowerMean(C &c) {
  Value sum = chain<AddOp>(c);
  return c.set(0, c.mul(sum, c.scalarLike(1.0 / c.numInputs(), sum)));
}

static LogicalResult lowerDropout(C &c) {
  if (c.input(2)) {
    auto training = c.constantInts(c.input(2), "training_mode");
    if (failed(training))
      return failure();
    if (training->size() == 1 && (*training)[0]) {
      double ratio = 0.5;
      if (c.input(1)) {
        auto given = c.constantTensor(c.input(1), "ratio");
        if (failed(given))
          return failure();
        ratio = given->size() == 1 ? given->number() : 1;
      }
      if (ratio != 0)
        return c.error() << "in training mode drops at random, which is not "
                            "supported; export the model for inference";
    }
  }
  if (c.isUsed(1))
    c.put(1,
          c.broadcastTo(c.scalar(1, IntegerType::get(c.node.getContext(), 1)),
                        c.shape(c.input(0))));
  return c.set(0, c.input(0));
}

/// Integers of one width differ by a wrap; MIL cannot look at the bits of a
/// float, so that is folded for constants only.
static LogicalResult lowerBitCast(C &c) {
  Value x = c.input(0);
  std::optional<DType> to = lookupDTypeByOnnxCode(c.getInt("to", 0));
  if (!to)
    return c.error() << "expects 'to' to be a number type, but got "
                     << c.getInt("to", 0);
  Type declared = c.element(x);
  if (auto tensor = dyn_cast<TensorType>(c.node.getInputs()[0].getType()))
    declared = tensor.getElementType();
  Type target = toMLIRType(*to, c.node.getContext());
  auto bits = [](Type type) { // a bool is a byte
    return type.isInteger(1) ? 8 : type.getIntOrFloatBitWidth();
  };
  if (bits(declared) != bits(target))
    return c.error() << "expects types of one width, but got " << declared
                     << " and " << target;
  if (declared == target)
    return c.set(0, x);
  if (std::optional<Tensor> known = c.tryConstant(x)) {
    std::vector<char> bytes = known->retyped(*toDType(declared)).toBytes();
    if (known->dtype() == *toDType(declared) && !target.isInteger(1))
      return c.set(
          0, c.castTo(c.graph.constant(
                          c.loc, Tensor::fromBytes(*to, known->shape(), bytes)),
                      carrierOf(target)));
  }
  auto integer = dyn_cast<IntegerType>(target);
  if (!integer || !isa<IntegerType>(declared) || target.isInteger(1))
    return c.error() << "of a run-time value from " << declared << " to "
                     << target
                     << " is not supported: no MIL operation sees the bits of "
                        "a float";
  if (integer.getWidth() == 64)
    return c.error() << "of 64 bits is not supported: they are computed in 32";
  if (declared.isInteger(1) || integer.getWidth() == 32)
    return c.set(0, c.castTo(x, target)); // the same 32 bits
  // The cast wraps in the interpreter; spelled out, it does so anywhere.
  Type wide = c.graph.builder.getI64Type();
  double span = std::ldexp(1.0, integer.getWidth());
  Value v = c.castTo(x, wide);
  Value out = integer.isUnsigned()
                  ? c.create<LessOp>({v, c.scalar(0, wide)})
                  : c.create<GreaterEqualOp>({v, c.scalar(span / 2, wide)});
  Value moved = c.add(v, c.scalar(integer.isUnsigned() ? span : -span, wide));
  return c.set(0, c.castTo(c.create<SelectOp>({out, moved, v}), target));
}

static LogicalResult lowerBitShift(C &c) {
  auto type = c.element(c.input(0));
  auto integer = cast<IntegerType>(type);
  Value x = c.input(0), shift = c.input(1), two = c.scalar(2, type),
        top = c.scalar(integer.getWidth() - 1, type), zero = c.scalar(0, type);
  bool left = c.getString("direction", "") == "LEFT";
  // A shift by the width or more, or by a negative amount, leaves nothing but
  // the sign.
  Value clamped =
      c.create<MinimumOp>({c.create<MaximumOp>({shift, zero}), top});
  Value inside = c.create<EqualOp>({clamped, shift});
  // In two halves, since 2^(width-1) does not fit the type.
  Value half = c.create<FloorDivOp>({clamped, two});
  Value first = c.create<PowOp>({two, half}),
        second = c.create<PowOp>({two, c.sub(clamped, half)});
  if (left)
    return c.set(
        0, c.create<SelectOp>({inside, c.mul(c.mul(x, first), second), zero}));
  Value shifted =
      c.create<FloorDivOp>({c.create<FloorDivOp>({x, first}), second});
  Value sign = integer.isUnsigned()
                   ? zero
                   : c.create<SelectOp>({c.create<LessOp>({x, zero}),
                                         c.scalar(-1, type), zero});
  return c.set(0, c.create<SelectOp>({inside, shifted, sign}));
}

/// Bit operations as arithmetic: bits are taken out by floor division, whose
/// rounding makes negative numbers two's complement, and weighed again. 64-bit
/// integers are 32-bit ones in MIL.
static LogicalResult lowerBitwise(C &c) {
  Value x = c.input(0), y = c.input(1);
  Type original = c.element(x);
  auto type = cast<IntegerType>(original);
  bool isUnsigned = type.isUnsigned();
  unsigned width = std::min(type.getWidth(), 32u);
  Type wide = IntegerType::get(c.node.getContext(), 32,
                               isUnsigned ? IntegerType::Unsigned
                                          : IntegerType::Signless);
  x = c.castTo(x, wide);
  y = c.castTo(y, wide);
  Value sum, two = c.scalar(2, wide), zero = c.scalar(0, wide);
  for (unsigned bit = 0; bit < width && !c.failed(); ++bit) {
    bool sign = !isUnsigned && bit == width - 1;
    auto take = [&](Value v) {
      if (sign)
        return c.castTo(c.create<LessOp>({v, zero}), wide);
      // In two steps at the top: packages hold unsigned numbers in int32, which
      // has no 2^31.
      unsigned low = bit == 31 ? 30 : bit;
      if (low)
        v = c.create<FloorDivOp>({v, c.scalar(std::ldexp(1.0, low), wide)});
      if (low != bit)
        v = c.create<FloorDivOp>({v, two});
      return c.create<ModOp>({v, two});
    };
    Value a = take(x), b = take(y), both = c.mul(a, b), result;
    if (c.opType() == "BitwiseAnd")
      result = both;
    else if (c.opType() == "BitwiseOr")
      result = c.sub(c.add(a, b), both);
    else
      result = c.sub(c.add(a, b), c.mul(both, two));
    Value weighed = c.mul(
        result,
        c.scalar(sign ? -std::ldexp(1.0, bit) : std::ldexp(1.0, bit), wide));
    sum = sum ? c.add(sum, weighed) : weighed;
  }
  return c.set(0, c.castTo(sum, original));
}

/// 2-D semantics of opsets below 13: everything from `axis` on is one row.
static LogicalResult lowerSoftmax(C &c) {
  Value x = c.input(0);
  bool old = c.version() < 13;
  FailureOr<int64_t> axis =
      c.axis(c.getInt("axis", old ? 1 : -1), std::max<int64_t>(c.rank(x), 1));
  if (failed(axis))
    return failure();
  SmallVector<int64_t> shape(c.shape(x));
  int64_t along = *axis;
  if (shape.empty()) {
    x = c.reshape(x, {1});
  } else if (old && *axis != c.rank(x) - 1) {
    int64_t rows = 1, columns = 1;
    for (auto [i, dim] : llvm::enumerate(shape))
      ((int64_t)i < *axis ? rows : columns) *= dim;
    x = c.reshape(x, {rows, columns});
    along = 1;
  }
  if (!x)
    return failure();
  Value y;
  if (c.opType() == "Softmax") {
    y = c.create<SoftmaxOp>({x}, {.axis = along});
  } else if (c.opType() == "LogSoftmax") {
    // x - max - log(sum(exp(x - max))): log(softmax) would give -inf in fp16.
    Value shifted = c.sub(
        x, c.create<ReduceMaxOp>({x}, {.axes = {along}, .keep_dims = true}));
    y = c.sub(shifted, c.create<LogOp>({c.create<ReduceSumOp>(
                           {c.create<ExpOp>({shifted})},
                           {.axes = {along}, .keep_dims = true})}));
  } else { // Hardmax: one at the first maximum
    SmallVector<int64_t> last(c.shape(x));
    Value index =
        c.create<ReduceArgmaxOp>({x}, {.axis = along, .keep_dims = false});
    Type element = c.element(x);
    y = c.create<OneHotOp>({index, c.scalar(1, element), c.scalar(0, element)},
                           {.one_hot_vector_size = last[along], .axis = along});
  }
  return c.set(0, y ? c.reshape(y, shape) : y);
}

/// Opsets below 7: y broadcasts only when `broadcast` is set, with its axes
/// starting at `axis` of x.
template <typename Op>
static LogicalResult lowerLegacyBinary(C &c) {
  Value x = c.input(0), y = c.input(1);
  if (c.getInt("broadcast", 0) && c.attribute("axis")) {
    FailureOr<int64_t> axis =
        c.axis(c.getInt("axis", 0), std::max<int64_t>(1, c.rank(x)));
    if (failed(axis))
      return failure();
    SmallVector<int64_t> shape(c.shape(y));
    while (*axis + (int64_t)shape.size() < c.rank(x))
      shape.push_back(1);
    y = c.reshape(y, shape);
  }
  if constexpr (std::is_same_v<Op, RealDivOp>) {
    if (!c.isFloat(x))
      return c.set(0, c.create<FloorDivOp>({x, y}));
  }
  return c.set(0, c.create<Op>({x, y}));
}

void mlir::ane::addMathHandlers(HandlerTable &t) {
  t.add("Add", 1, lowerLegacyBinary<AddOp>);
  t.add("Sub", 1, lowerLegacyBinary<SubOp>);
  t.add("Mul", 1, lowerLegacyBinary<MulOp>);
  t.add("Div", 1, lowerLegacyBinary<RealDivOp>);
  t.add("Pow", 1, lowerLegacyBinary<PowOp>);
  t.add("Equal", 1, lowerLegacyBinary<EqualOp>);
  t.add("Greater", 1, lowerLegacyBinary<GreaterOp>);
  t.add("Less", 1, lowerLegacyBinary<LessOp>);
  t.add("And", 1, lowerLegacyBinary<LogicalAndOp>);
  t.add("Or", 1, lowerLegacyBinary<LogicalOrOp>);
  t.add("Xor", 1, lowerLegacyBinary<LogicalXorOp>);
  t.add("Div", 7, lowerDiv);
  t.add("Mod", 10, lowerMod);
  t.add("Pow", 7, lowerPow);
  t.add("Clip", 1, lowerClip);
  t.add("Equal", 7, lowerEqual);
  t.add("Cast", 1, lowerCast);
  t.add("CastLike", 15, lowerCast);
  t.add("Where", 9, lowerWhere);
  t.add("Neg", 1, unary<negate>);
  t.add("Selu", 1, unary<selu>);
  t.add("Celu", 12, unary<celu>);
  t.add("Mish", 18, unary<mish>);
  t.add("HardSwish", 14, unary<hardSwish>);
  t.add("Swish", 24, unary<swish>);
  t.add("Gelu", 20, unary<gelu>);
  t.add("Gelu", 1, unary<gelu>, "com.microsoft");
  t.add("FastGelu", 1, unary<fastGelu>, "com.microsoft");
  t.add("BiasGelu", 1, unary<biasGelu>, "com.microsoft");
  t.add("QuickGelu", 1, unary<quickGelu>, "com.microsoft");
  t.add("ThresholdedRelu", 10, unary<thresholdedRelu>);
  t.add("Shrink", 9, unary<shrink>);
  t.add("Acosh", 9, unary<acosh>);
  t.add("Asinh", 9, unary<asinh>);
  t.add("IsNaN", 9, unary<isNaN>);
  t.add("IsInf", 10, unary<isInf>);
  t.add("BitwiseNot", 18, unary<bitwiseNot>);
  t.add("PRelu", 1, lowerPRelu);
  t.add("Sum", 1, lowerSum);
  t.add("Max", 1, lowerMax);
  t.add("Min", 1, lowerMin);
  t.add("Mean", 1, lowerMean);
  t.add("Dropout", 1, lowerDropout);
  t.add("BitCast", 26, lowerBitCast);
  t.add("BitShift", 11, lowerBitShift);
  t.add("BitwiseAnd", 18, lowerBitwise);
  t.add("BitwiseOr", 18, lowerBitwise);
  t.add("BitwiseXor", 18, lowerBitwise);
  t.add("Softmax", 1, lowerSoftmax);
  t.add("LogSoftmax", 1, lowerSoftmax);
  t.add("Hardmax", 1, lowerSoftmax);
}
