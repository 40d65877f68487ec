//===- Quant.cpp - quantisation -------------------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "Lowering.h"
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

static LogicalResult lowerDequantize(C &c) {
  Value x = c.input(0), scale = c.input(1), zero = c.input(2);
  int64_t axis = c.getInt("axis", 1), block = c.getInt("block_size", 0);
  Type element = c.element(scale);
  if (!isa<FloatType>(element))
    return c.error() << "expects a float scale";
  Value s = shapeParameter(c, scale, x, axis, block),
        z = shapeParameter(c, zero, x, axis, block);
  // Integers are exact in fp32, so the subtraction may come after the cast;
  // int32 keeps its own subtraction.
  Value value = c.element(x).isInteger(32) && z ? c.castTo(c.sub(x, z), element)
                                                : c.castTo(x, element);
  if (z && !c.element(x).isInteger(32))
    value = c.sub(value, c.castTo(z, element));
  return c.set(0, c.mul(value, s));
}

/// round(value) + zero, clipped to the integer type, in its carrier.
Value mlir::ane::toInteger(C &c, Value value, Value zero, IntegerType type) {
  value = c.create<RoundOp>({value});
  if (zero && value)
    value = c.add(value, c.castTo(zero, c.element(value)));
  double high = type.isUnsigned() ? std::ldexp(1.0, type.getWidth()) - 1
                                  : std::ldexp(1.0, type.getWidth() - 1) - 1;
  double low = type.isUnsigned() ? 0 : -high - 1;
  value = c.create<ClipOp>(
      {value}, {c.graph.real("alpha", low), c.graph.real("beta", high)});
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
  Value s = shapeParameter(c, scale, x, axis, block),
        z = shapeParameter(c, zero, x, axis, block);
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
  NamedAttribute keep = c.graph.flag("keep_dims", false);
  Value low = c.create<MinimumOp>(
            {c.create<ReduceMinOp>({x}, {keep}), c.scalarLike(0, x)}),
        high = c.create<MaximumOp>(
            {c.create<ReduceMaxOp>({x}, {keep}), c.scalarLike(0, x)});
  Value scale = c.div(c.sub(high, low), c.scalarLike(255, x));
  NamedAttribute alpha = c.graph.real("alpha", 0),
                 beta = c.graph.real("beta", 255);
  Value zero = c.create<RoundOp>({c.create<ClipOp>(
      {c.div(c.sub(c.scalarLike(0, x), low), scale)}, {alpha, beta})});
  Value y = c.create<ClipOp>(
      {c.add(c.create<RoundOp>({c.div(x, scale)}), zero)}, {alpha, beta});
  Type byte = IntegerType::get(c.node.getContext(), 8, IntegerType::Unsigned);
  c.put(0, c.castTo(y, byte));
  c.put(1, scale);
  return c.set(2, c.castTo(zero, byte));
}

/// Integer products: operands minus zero points in fp32, exact while sums stay
/// below 2^24.
static Value centred(C &c, unsigned i, unsigned zeroInput, bool rows) {
  Value x = c.castTo(c.input(i), c.graph.builder.getF32Type()),
        zero = c.input(zeroInput);
  if (!zero || !x)
    return x;
  zero = c.castTo(zero, c.graph.builder.getF32Type());
  if (rows && zero && c.rank(zero) == 1 && c.shape(zero)[0] > 1)
    zero = c.reshape(zero, {c.shape(zero)[0], 1});
  return c.sub(x, zero && c.type(zero).getNumElements() == 1
                      ? c.reshape(zero, {})
                      : zero);
}
static LogicalResult lowerMatMulInteger(C &c) {
  Value y =
      c.create<MatmulOp>({centred(c, 0, 2, true), centred(c, 1, 3, false)});
  return c.set(0, c.castTo(y, c.graph.builder.getI32Type()));
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

/// Products of quantised operands: the exact integers in fp32, then one rescale
/// and rounding.
static LogicalResult lowerQLinearMatMul(C &c) {
  Value a = centred(c, 0, 2, true), b = centred(c, 3, 5, false);
  Value scale = c.mul(matrixParameter(c, c.input(1), true),
                      matrixParameter(c, c.input(4), false));
  Value y = c.create<MatmulOp>({a, b});
  y = c.div(c.mul(y, scale), matrixParameter(c, c.input(6), true));
  Type type = declaredElement(c, 7);
  if (auto integer = dyn_cast<IntegerType>(type))
    return c.set(
        0, toInteger(c, y, matrixParameter(c, c.input(7), true), integer));
  Value rounded = y ? roundToSmallFloat(c, y, type, true) : y;
  return rounded || c.failed()
             ? c.set(0, rounded)
             : LogicalResult(c.error() << "to " << type << " is not supported");
}

/// Convolution of integers in fp32; weights may have a zero point per output
/// channel.
static Value integerConv(C &c, Value x, Value xZero, Value w, Value wZero) {
  Type f32 = c.graph.builder.getF32Type();
  x = c.castTo(x, f32);
  w = c.castTo(w, f32);
  if (!x || !w || c.rank(x) < 3 || c.rank(w) != c.rank(x))
    return {};
  if (xZero)
    x = c.sub(x, c.reshape(c.castTo(xZero, f32), {}));
  if (wZero) {
    SmallVector<int64_t> shape(c.rank(w), 1);
    if (c.type(wZero).getNumElements() > 1)
      shape[0] = c.shape(w)[0];
    w = c.sub(w, c.reshape(c.castTo(wZero, f32), shape));
  }
  if (!x || !w)
    return {};
  FailureOr<ONNXWindow> window =
      readWindow(c, c.shape(x).drop_front(2), c.shape(w).drop_front(2));
  if (failed(window))
    return {};
  bool padded = llvm::any_of(window->pads, [](int64_t p) { return p != 0; });
  return c.create<ConvOp>(
      {x, w}, {c.graph.attr("strides", window->strides),
               c.graph.text("pad_type", padded ? "custom" : "valid"),
               c.graph.attr("pad", window->pads),
               c.graph.attr("dilations", window->dilations),
               c.graph.attr("groups", c.getInt("group", 1))});
}
static LogicalResult lowerConvInteger(C &c) {
  Value y = integerConv(c, c.input(0), c.input(2), c.input(1), c.input(3));
  return y ? c.set(0, c.castTo(y, c.graph.builder.getI32Type())) : failure();
}
static LogicalResult lowerQLinearConv(C &c) {
  Value y = integerConv(c, c.input(0), c.input(2), c.input(3), c.input(5));
  if (!y)
    return failure();
  SmallVector<int64_t> channels(c.rank(y), 1);
  channels[1] = c.shape(y)[1];
  if (Value bias = c.input(8)) // in units of the product of the scales
    y = c.add(
        y, c.reshape(c.castTo(bias, c.graph.builder.getF32Type()), channels));
  Value wScale = c.input(4);
  Value scale =
      c.mul(c.reshape(c.input(1), {}), c.type(wScale).getNumElements() == 1
                                           ? c.reshape(wScale, {})
                                           : c.reshape(wScale, channels));
  y = c.mul(y, c.div(scale, c.reshape(c.input(6), {})));
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
}
