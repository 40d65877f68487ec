//===- Quant.cpp - quantisation -------------------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "dialects/ANE/IR/Quant.h"
#include "Lowering.h"
#include "dialects/ANE/IR/Arithmetic.h"
#include "dialects/ANE/IR/Cast.h"
#include "dialects/ANE/IR/Linear.h"
#include "dialects/ANE/IR/Norm.h"
#include "dialects/ANE/IR/Pool.h"
#include "dialects/ANE/IR/Reduction.h"
#include "dialects/ANE/IR/Shape.h"
#include "dialects/ANE/IR/Unary.h"
#include <cmath>

using namespace mlir;
using namespace mlir::ane;

using C = NodeContext;

/// A scale or zero point shaped to broadcast against `x`: scalar, per axis, or
/// blocked along the axis.
Value mlir::ane::shapeParameter(C &c, Value parameter, Value x, int64_t axis,
                                int64_t block) {
  if (!parameter || !x)
    return {};
  int64_t rank = c.rank(x);
  if (c.type(parameter).getNumElements() == 1 && block == 0)
    return c.reshape(parameter, {});
  FailureOr<int64_t> normal = c.axis(axis, rank);
  if (failed(normal))
    return {};
  if (block == 0) {
    SmallVector<int64_t> shape(rank, 1);
    if (c.rank(parameter) != 1)
      return c.error() << "expects a scale of rank 1, but got "
                       << c.type(parameter),
             Value();
    shape[*normal] = c.shape(parameter)[0];
    return c.reshape(parameter, shape);
  }
  // Repeat each entry `block` times along the axis.
  SmallVector<int64_t> wide(c.shape(parameter)), repeated,
      final(c.shape(parameter));
  if (c.rank(parameter) != rank)
    return c.error() << "expects a blocked scale of rank " << rank
                     << ", but got " << c.type(parameter),
           Value();
  wide.insert(wide.begin() + *normal + 1, 1);
  repeated = wide;
  repeated[*normal + 1] = block;
  final[*normal] *= block;
  Value y =
      c.reshape(c.broadcastTo(c.reshape(parameter, wide), repeated), final);
  return c.slice(y, *normal, 0, c.shape(x)[*normal]);
}

//===----------------------------------------------------------------------===//
// Codes that were floats a moment ago
//===----------------------------------------------------------------------===//

namespace {
/// round(x / scale) + zero, limited to [low, high] and cast to an integer type.
struct Codes {
  Value limited, rounded, zero, quotient;
  double low, high;
};
} // namespace

static std::optional<Codes> codesOf(Value value) {
  auto cast = value ? value.getDefiningOp<CastOp>() : CastOp();
  auto clip = cast ? cast.getX().getDefiningOp<ClipOp>() : ClipOp();
  if (!clip || !isa<IntegerType>(cast.getType().getElementType()))
    return std::nullopt;
  Codes codes{clip.getY(),
              clip.getX(),
              {},
              {},
              clip.getAlpha().convertToDouble(),
              clip.getBeta().convertToDouble()};
  if (auto add = codes.rounded.getDefiningOp<AddOp>()) {
    codes.zero = add.getY();
    codes.rounded = add.getX();
  }
  auto round = codes.rounded.getDefiningOp<RoundOp>();
  if (!round)
    return std::nullopt;
  codes.quotient = round.getX();
  return codes;
}

/// The one value of a constant.
static std::optional<double> numberOf(C &c, Value value) {
  auto tensor =
      value && cast<RankedTensorType>(value.getType()).getNumElements() == 1
          ? c.tryConstant(value)
          : std::nullopt;
  if (!tensor)
    return std::nullopt;
  return tensor->number();
}
/// The same value, or constants of one number each that are equal.
static bool sameNumber(C &c, Value a, Value b) {
  std::optional<double> x = a ? numberOf(c, a) : 0.0,
                        y = b ? numberOf(c, b) : 0.0;
  return a == b || (x && y && *x == *y);
}

Value mlir::ane::centredCodes(C &c, Value x, Value zero, bool exact) {
  std::optional<Codes> codes = codesOf(x);
  // Beyond 2048 not every code is a number of fp16; then they stay integers.
  if (codes && codes->high - codes->low <= 2047) {
    // The zero point moves into the limits, so that codes are small.
    if (auto number = zero ? numberOf(c, zero) : 0.0;
        number && sameNumber(c, codes->zero, zero)) {
      bool steps =
          exact || !c.floatActivations() || codes->high - codes->low < 255;
      if (!steps)
        c.countDroppedSteps();
      return c.create<ClipOp>(
          {steps ? codes->rounded : codes->quotient},
          {.alpha = codes->low - *number, .beta = codes->high - *number});
    }
    Value y = codes->limited;
    return zero ? c.sub(y, c.castTo(zero, c.element(y))) : y;
  }
  Value y = c.castTo(x, c.f32());
  return zero && y ? c.sub(y, c.castTo(zero, c.f32())) : y;
}

/// Whether a value is known to be in [low, high].
static bool isWithin(Value value, double low, double high) {
  double slack = 1e-3 * (high - low);
  while (Operation *op = value.getDefiningOp()) {
    if (isa<SigmoidOp, SoftmaxOp>(op))
      return low <= 0 && high >= 1 - slack;
    if (auto clip = dyn_cast<ClipOp>(op))
      return clip.getAlpha().convertToDouble() >= low - slack &&
             clip.getBeta().convertToDouble() <= high + slack;
    if (!isa<ReshapeOp, TransposeOp, SliceBySizeOp, SliceByIndexOp, MaxPoolOp>(
            op))
      return false;
    value = op->getOperand(0);
  }
  return false;
}

/// A value that is quantised and back is itself. Of 16 bits fp16 has fewer than
/// there are steps; the steps of 8 bits are moved by fp16's rounding of what is
/// before them, so that a float is as near to the model's result. The limits
/// are kept, since a range that starts at 0 is a relu. Null when the codes are
/// others, or come from elsewhere.
static Value withoutSteps(C &c, Value x, Value scale, Value zero) {
  std::optional<Codes> codes = codesOf(x);
  auto division =
      codes ? codes->quotient.getDefiningOp<RealDivOp>() : RealDivOp();
  double range = codes ? codes->high - codes->low : 0;
  if (!division || !(range > 2047 ? c.isHalf() : c.floatActivations()) ||
      range < 255 || !sameNumber(c, division.getY(), scale) ||
      !sameNumber(c, codes->zero, zero))
    return {};
  auto step = numberOf(c, scale), origin = zero ? numberOf(c, zero) : 0.0;
  if (!step || !origin)
    return {};
  c.countDroppedSteps();
  double low = (codes->low - *origin) * *step,
         high = (codes->high - *origin) * *step;
  Value value = division.getX();
  if (isWithin(value, low, high))
    return value;
  if (auto relu = value.getDefiningOp<ReluOp>(); relu && low == 0)
    value = relu.getX();
  return c.create<ClipOp>({value}, {.alpha = low, .beta = high});
}

/// A scale as quantize and dequantize of MIL take it: a number of its own.
static Value scalarScale(C &c, Value scale, Type element) {
  std::optional<double> number = numberOf(c, scale);
  return number && *number > 0 ? c.scalar(*number, element) : Value();
}
/// Bytes of the engine, of which 0 is the middle, or null.
static Value engineCodes(C &c, Value x, Value scale, Value zero, Type type) {
  if (!c.node->hasAttr(marks::kCodes) || !type.isInteger(8) ||
      type.isUnsignedInteger() || !x || !isa<FloatType>(c.element(x)))
    return {};
  if (std::optional<double> origin = zero ? numberOf(c, zero) : 0.0;
      !origin || *origin != 0)
    return {};
  Value s = scalarScale(c, scale, c.element(x));
  Type byte = IntegerType::get(c.node.getContext(), 8);
  return s ? c.create<QuantizeOp>({x, s}, {.output_dtype = byte}) : Value();
}

static LogicalResult lowerDequantize(C &c) {
  Value x = c.input(0), scale = c.input(1), zero = c.input(2);
  if (auto codes = x ? x.getDefiningOp<QuantizeOp>() : QuantizeOp();
      codes && scale && (!zero || numberOf(c, zero) == 0.0))
    if (Value s = scalarScale(c, scale, c.element(scale)))
      return c.set(0, c.create<DequantizeOp>({x, s}));
  int64_t axis = c.getInt("axis", 1), block = c.getInt("block_size", 0);
  Type element = c.element(scale);
  if (!isa<FloatType>(element))
    return c.error() << "expects a float scale";
  Value s = shapeParameter(c, scale, x, axis, block),
        z = shapeParameter(c, zero, x, axis, block);
  // Integers are exact in fp32, so the subtraction may come after the cast;
  // int32 keeps its own subtraction.
  if (c.element(x).isInteger(32))
    return c.set(0, c.mul(c.castTo(z ? c.sub(x, z) : x, element), s));
  if (Value same = withoutSteps(c, x, s, z))
    return c.set(0, c.castTo(same, element));
  return c.set(0, c.mul(c.castTo(centredCodes(c, x, z), element), s));
}

/// round(value) + zero, clipped to the integer type, in its carrier.
Value mlir::ane::toInteger(C &c, Value value, Value zero, IntegerType type) {
  value = c.create<RoundOp>({value});
  if (zero && value)
    value = c.add(value, c.castTo(zero, c.element(value)));
  double high = type.isUnsigned() ? std::ldexp(1.0, type.getWidth()) - 1
                                  : std::ldexp(1.0, type.getWidth() - 1) - 1;
  double low = type.isUnsigned() ? 0 : -high - 1;
  value = c.create<ClipOp>({value}, {.alpha = low, .beta = high});
  return c.castTo(value, carrierOf(type));
}

/// The type that an operand has in the file; its carrier may be wider.
static Type declaredElement(C &c, unsigned input) {
  if (auto tensor = dyn_cast<TensorType>(c.node.getInputs()[input].getType()))
    return tensor.getElementType();
  return c.element(c.input(input));
}

static LogicalResult lowerQuantize(C &c) {
  Value x = c.input(0), scale = c.input(1), zero = c.input(2);
  Type type = IntegerType::get(c.node.getContext(), 8, IntegerType::Unsigned);
  if (zero)
    type = declaredElement(c, 2);
  else if (auto dtype = lookupDTypeByOnnxCode(c.getInt("output_dtype", 0)))
    type = toMLIRType(*dtype, c.node.getContext());
  int64_t axis = c.getInt("axis", 1), block = c.getInt("block_size", 0);
  Type element = c.element(scale);
  if (Value codes = engineCodes(c, x, scale, zero, type))
    return c.set(0, codes);
  Value s = shapeParameter(c, scale, x, axis, block),
        z = shapeParameter(c, zero, x, axis, block);
  // Halves divide in fp32, as in ONNX Runtime: a step more or less hangs on it.
  if (element.isF16() || element.isBF16()) {
    element = c.graph.builder.getF32Type();
    s = c.castTo(s, element);
  }
  Value value = c.div(c.castTo(x, element), s);
  if (auto integer = dyn_cast<IntegerType>(type);
      integer && integer.getWidth() > 1 && integer.getWidth() <= 16)
    return c.set(0, toInteger(c, value, z, integer));
  if (isa<FloatType>(type) && type.getIntOrFloatBitWidth() <= 8)
    if (Value rounded =
            roundToSmallFloat(c, c.castTo(value, c.graph.builder.getF32Type()),
                              type, c.getInt("saturate", 1)))
      return c.set(0, rounded);
  return c.failed()
             ? failure()
             : LogicalResult(c.error() << "to " << type
                                       << " is not supported at run time");
}

static LogicalResult lowerDynamicQuantize(C &c) {
  Value x = c.input(0);
  Value low = c.create<MinimumOp>(
            {c.create<ReduceMinOp>({x}, {.keep_dims = false}),
             c.scalarLike(0, x)}),
        high = c.create<MaximumOp>(
            {c.create<ReduceMaxOp>({x}, {.keep_dims = false}),
             c.scalarLike(0, x)});
  Value scale = c.div(c.sub(high, low), c.scalarLike(255, x));
  // Where codes tie, the last bit of the scale decides: as it is written, and
  // in fp32 whatever the precision.
  auto exact = [](Value v) {
    if (Operation *op = v ? v.getDefiningOp() : nullptr)
      op->setAttr(marks::kExact, UnitAttr::get(op->getContext()));
    return v;
  };
  exact(scale);
  Value zero = exact(c.create<RoundOp>(
      {c.create<ClipOp>({c.div(c.sub(c.scalarLike(0, x), low), scale)},
                        {.alpha = 0, .beta = 255})}));
  Value y = c.create<ClipOp>(
      {c.add(exact(c.create<RoundOp>({c.div(x, scale)})), zero)},
      {.alpha = 0, .beta = 255});
  Type byte = IntegerType::get(c.node.getContext(), 8, IntegerType::Unsigned);
  c.put(0, exact(c.castTo(y, byte)));
  c.put(1, scale);
  return c.set(2, exact(c.castTo(zero, byte)));
}

/// Integer products: operands minus zero points as floats, exact in fp32 while
/// sums stay below 2^24.
static Value centred(C &c, unsigned i, unsigned zeroInput, bool rows,
                     bool exact = false) {
  Value x = c.input(i), zero = c.input(zeroInput);
  if (!zero || !x)
    return centredCodes(c, x, {}, exact);
  if (rows && c.rank(zero) == 1 && c.shape(zero)[0] > 1)
    zero = c.reshape(zero, {c.shape(zero)[0], 1});
  return centredCodes(
      c, x, c.type(zero).getNumElements() == 1 ? c.reshape(zero, {}) : zero,
      exact);
}
static LogicalResult lowerMatMulInteger(C &c) {
  Value y = c.create<MatmulOp>(
      {centred(c, 0, 2, true, true), centred(c, 1, 3, false, true)});
  return c.set(0, c.castTo(y, c.graph.builder.getI32Type()));
}

/// `value` times the factors that weights [..., N] or [C, ...] can take; the
/// others are left in `factors`.
static Value scaleWeight(C &c, Value weight, SmallVectorImpl<Value> &factors,
                         int64_t resultRank, bool perRow) {
  if (!weight || !isConstantTree(weight))
    return weight;
  SmallVector<Value> left;
  int64_t channels = perRow ? c.shape(weight)[0] : c.shape(weight).back();
  for (Value factor : factors) {
    auto type = c.type(factor);
    // Where the channels are along the result's axes.
    int64_t axis =
        perRow ? type.getRank() - resultRank + 1 : type.getRank() - 1;
    bool one = type.getNumElements() == 1,
         vector = type.getNumElements() == channels && axis >= 0 &&
                  axis < type.getRank() && type.getDimSize(axis) == channels;
    if (type.getRank() > resultRank || !isConstantTree(factor) ||
        !(one || vector)) {
      left.push_back(factor);
      continue;
    }
    if (one && numberOf(c, factor) == 1)
      continue;
    SmallVector<int64_t> shape;
    if (!one && perRow) {
      shape.assign(c.rank(weight), 1);
      shape[0] = channels;
    } else if (!one) {
      shape = {channels};
    }
    weight = c.mul(weight, c.reshape(c.castTo(factor, c.f32()), shape));
  }
  factors = left;
  return weight;
}
static SmallVector<Value> factorsFrom(C &c, unsigned first) {
  SmallVector<Value> factors;
  for (unsigned i = first; i < c.numInputs(); ++i)
    if (Value factor = c.input(i))
      factors.push_back(factor);
  return factors;
}
static LogicalResult finishFloatProduct(C &c, Value y,
                                        ArrayRef<Value> factors) {
  if (y && y.getDefiningOp() && !isConstantTree(y))
    y.getDefiningOp()->setAttr(
        marks::kNote,
        c.graph.builder.getStringAttr(
            "weights in integers; the activation, which the model "
            "quantises while it runs, stays a float"));
  for (Value factor : factors)
    y = c.mul(y, c.castTo(factor, c.f32()));
  return c.set(0, y);
}

/// x · (W - zero) · scale, where x was to be quantised while the model runs
/// (DynamicQuant.cpp).
static LogicalResult lowerFloatMatMulInteger(C &c) {
  if (!c.input(1))
    return c.error() << "expects two operands";
  Value a = centred(c, 0, 2, true), b = centred(c, 1, 3, false);
  if (!a || !b)
    return failure();
  SmallVector<Value> factors = factorsFrom(c, 4);
  int64_t rank = std::max(c.rank(a), c.rank(b));
  if (c.rank(b) >= 2)
    b = scaleWeight(c, b, factors, rank, false);
  return finishFloatProduct(c, c.create<MatmulOp>({a, b}), factors);
}

/// A per-row or per-column parameter of a matrix, shaped to broadcast against
/// [..., rows, columns].
static Value matrixParameter(C &c, Value parameter, bool rows) {
  if (!parameter)
    return {};
  parameter = c.castTo(parameter, c.graph.builder.getF32Type());
  if (!parameter)
    return {};
  if (c.type(parameter).getNumElements() == 1)
    return c.reshape(parameter, {});
  return rows && c.rank(parameter) == 1
             ? c.reshape(parameter, {c.shape(parameter)[0], 1})
             : parameter;
}

/// Rounds codes that are still floats.
static LogicalResult finishQLinearMatMul(C &c, Value y) {
  Type type = declaredElement(c, 7);
  if (auto integer = dyn_cast<IntegerType>(type))
    return c.set(
        0, toInteger(c, y, matrixParameter(c, c.input(7), true), integer));
  Value rounded = y ? roundToSmallFloat(c, y, type, true) : y;
  return rounded || c.failed()
             ? c.set(0, rounded)
             : LogicalResult(c.error() << "to " << type << " is not supported");
}

/// Products of quantised operands, in units of the result's codes: sums of
/// integers would be beyond what fp16 holds.
static LogicalResult lowerQLinearMatMul(C &c) {
  Value a = centred(c, 0, 2, true), b = centred(c, 3, 5, false);
  Value aScale = matrixParameter(c, c.input(1), true),
        bScale = matrixParameter(c, c.input(4), false),
        yScale = matrixParameter(c, c.input(6), true);
  if (!a || !b || !aScale || !bScale || !yScale)
    return failure();
  // One number goes into the operand that is known, or has its own anyway.
  if (c.rank(aScale) == 0 && c.rank(yScale) == 0) {
    Value y =
        c.create<MatmulOp>({a, c.mul(b, c.div(c.mul(aScale, bScale), yScale))});
    return finishQLinearMatMul(c, y);
  }
  Value y = c.create<MatmulOp>({c.mul(a, aScale), c.mul(b, bScale)});
  return finishQLinearMatMul(c, c.div(y, yScale));
}

/// Convolution of integers as floats; weights may have a zero point per output
/// channel, and take those of the factors that they can.
static Value integerConv(C &c, Value x, Value xZero, Value w, Value wZero,
                         SmallVectorImpl<Value> &factors, bool exact = false) {
  if (!x || !w || c.rank(x) < 3 || c.rank(w) != c.rank(x)) {
    if (!c.failed())
      c.error() << "expects an input and weights of one rank, 3 or more";
    return {};
  }
  x = centredCodes(c, x, xZero ? c.reshape(xZero, {}) : xZero, exact);
  if (wZero) {
    SmallVector<int64_t> shape;
    if (c.type(wZero).getNumElements() > 1) {
      shape.assign(c.rank(w), 1);
      shape[0] = c.shape(w)[0];
    }
    wZero = c.reshape(wZero, shape);
  }
  w = centredCodes(c, w, wZero, exact);
  if (!x || !w)
    return {};
  w = scaleWeight(c, w, factors, c.rank(x), true);
  if (!w)
    return {};
  FailureOr<ONNXWindow> window =
      readWindow(c, c.shape(x).drop_front(2), c.shape(w).drop_front(2));
  if (failed(window))
    return {};
  x = cropNegativePads(c, x, *window);
  bool padded = llvm::any_of(window->pads, [](int64_t p) { return p != 0; });
  return c.create<ConvOp>(
      {x, w}, {.strides = window->strides,
               .pad_type = padded ? PadType::custom : PadType::valid,
               .pad = window->pads,
               .dilations = window->dilations,
               .groups = c.getInt("group", 1)});
}
static LogicalResult lowerConvInteger(C &c) {
  SmallVector<Value> none;
  Value y = integerConv(c, c.input(0), c.input(2), c.input(1), c.input(3), none,
                        /*exact=*/true);
  return y ? c.set(0, c.castTo(y, c.graph.builder.getI32Type())) : failure();
}
static LogicalResult lowerFloatConvInteger(C &c) {
  SmallVector<Value> factors = factorsFrom(c, 4);
  Value y =
      integerConv(c, c.input(0), c.input(2), c.input(1), c.input(3), factors);
  return y ? finishFloatProduct(c, y, factors) : failure();
}
/// In units of the result's codes, as lowerQLinearMatMul.
static LogicalResult lowerQLinearConv(C &c) {
  Value w = c.input(3), wScale = c.input(4);
  if (!w || c.rank(w) < 3)
    return c.error() << "expects weights of rank 3 or more";
  SmallVector<int64_t> channels(c.rank(w), 1);
  channels[1] = c.shape(w)[0];
  Value scale = c.div(
      c.mul(c.reshape(c.input(1), {}), c.type(wScale).getNumElements() == 1
                                           ? c.reshape(wScale, {})
                                           : c.reshape(wScale, channels)),
      c.reshape(c.input(6), {}));
  if (!scale)
    return failure();
  SmallVector<Value> factors{scale};
  Value y = integerConv(c, c.input(0), c.input(2), w, c.input(5), factors);
  if (!y)
    return failure();
  for (Value factor : factors)
    y = c.mul(y, factor);
  if (Value bias = c.input(8)) // in units of the product of the scales
    y = c.add(y, c.mul(c.reshape(c.castTo(bias, c.graph.builder.getF32Type()),
                                 channels),
                       scale));
  auto integer = dyn_cast<IntegerType>(declaredElement(c, 7));
  if (!integer)
    return c.error() << "expects an integer zero point";
  return c.set(0, toInteger(c, y, c.reshape(c.input(7), {}), integer));
}

void mlir::ane::addQuantHandlers(HandlerTable &t) {
  t.add("QLinearMatMul", 10, lowerQLinearMatMul);
  t.add("QLinearConv", 10, lowerQLinearConv);
  t.add("ConvInteger", 10, lowerConvInteger);
  for (StringRef domain : {"", "com.microsoft"}) {
    t.add("DequantizeLinear", domain.empty() ? 10 : 1, lowerDequantize, domain);
    t.add("QuantizeLinear", domain.empty() ? 10 : 1, lowerQuantize, domain);
  }
  t.add("DynamicQuantizeLinear", 11, lowerDynamicQuantize);
  t.add("MatMulInteger", 10, lowerMatMulInteger);
  t.add("FloatMatMulInteger", 1, lowerFloatMatMulInteger, "ane-mlir");
  t.add("FloatConvInteger", 1, lowerFloatConvInteger, "ane-mlir");
}
