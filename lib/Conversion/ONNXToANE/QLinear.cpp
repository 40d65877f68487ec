//===- QLinear.cpp - com.microsoft operators on quantised tensors ---------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// Each is the float operator between a dequantisation and a quantisation, which
// is how ONNX Runtime defines them.
//
//===----------------------------------------------------------------------===//

#include "Lowering.h"
#include "dialects/ANE/IR/Arithmetic.h"
#include "dialects/ANE/IR/Comparison.h"
#include "dialects/ANE/IR/Linear.h"
#include "dialects/ANE/IR/Norm.h"
#include "dialects/ANE/IR/Reduction.h"
#include "dialects/ANE/IR/Unary.h"

using namespace mlir;
using namespace mlir::ane;

using C = NodeContext;

/// (input x - zero) * scale in fp32; `zero` may be absent.
static Value dequantize(C &c, unsigned x, unsigned scale, unsigned zero,
                        int64_t axis = 1) {
  Value z = c.input(zero);
  Value v = centredCodes(c, c.input(x),
                         z ? shapeParameter(c, z, c.input(x), axis, 0) : z);
  return c.mul(
      v, shapeParameter(c, c.castTo(c.input(scale), c.f32()), v, axis, 0));
}
/// round(y / scale) + zero in the type of the zero point, or of `like`.
static Value quantize(C &c, Value y, unsigned scale, unsigned zero,
                      Value like) {
  Value z = c.input(zero);
  auto type = dyn_cast<IntegerType>(c.element(z ? z : like));
  if (!type || !y)
    return c.failed() ? Value()
                      : (c.error() << "expects an integer zero point", Value());
  return toInteger(c,
                   c.div(y, c.reshape(c.castTo(c.input(scale), c.f32()), {})),
                   z ? c.reshape(z, {}) : z, type);
}

template <typename Op>
static LogicalResult lowerBinary(C &c) {
  Value y = c.create<Op>({dequantize(c, 0, 1, 2), dequantize(c, 3, 4, 5)});
  return c.set(0, quantize(c, y, 6, 7, c.input(0)));
}

/// X, scale, zero, Y scale, Y zero around a float function.
template <Value (*fn)(C &, Value)>
static LogicalResult lowerUnary(C &c) {
  Value y = fn(c, dequantize(c, 0, 1, 2));
  return c.set(0, quantize(c, y, 3, 4, c.input(0)));
}
static Value leakyRelu(C &c, Value x) {
  return c.create<LeakyReluOp>({x}, {.alpha = c.getFloat("alpha", 0.01)});
}
static Value sigmoid(C &c, Value x) { return c.create<SigmoidOp>({x}); }
static Value softmax(C &c, Value x) {
  if (!x)
    return {};
  FailureOr<int64_t> axis = c.axis(c.getInt("axis", -1), c.rank(x));
  if (failed(axis))
    return {};
  if (c.getInt("opset", 13) >= 13)
    return c.create<SoftmaxOp>({x}, {.axis = *axis});
  // Older ones see everything from the axis on as one row.
  int64_t rows = 1, columns = 1;
  for (auto [i, dim] : llvm::enumerate(c.shape(x)))
    ((int64_t)i < *axis ? rows : columns) *= dim;
  Value flat =
      c.create<SoftmaxOp>({c.reshape(x, {rows, columns})}, {.axis = 1});
  return c.reshape(flat, c.shape(x));
}
static Value globalAverage(C &c, Value x) {
  if (!x)
    return {};
  bool last = c.getInt("channels_last", 0);
  SmallVector<int64_t> axes;
  for (int64_t i = last ? 1 : 2; i < c.rank(x) - last; ++i)
    axes.push_back(i);
  return c.create<ReduceMeanOp>({x}, {.axes = axes, .keep_dims = true});
}
static Value reduceMean(C &c, Value x) {
  return c.create<ReduceMeanOp>(
      {x}, {.axes = c.getInts("axes"), .keep_dims = c.getInt("keepdims", 1)});
}

/// Y scale, Y zero, then (X, scale, zero) per operand.
static LogicalResult lowerConcat(C &c) {
  SmallVector<Value> parts;
  for (unsigned i = 2; i + 2 < c.numInputs(); i += 3)
    parts.push_back(dequantize(c, i, i + 1, i + 2));
  if (parts.empty() || llvm::is_contained(parts, Value()))
    return c.failed() ? failure()
                      : LogicalResult(c.error() << "expects operands");
  FailureOr<int64_t> axis = c.axis(c.getInt("axis", 0), c.rank(parts[0]));
  if (failed(axis))
    return failure();
  return c.set(0, quantize(c, c.concat(parts, *axis), 0, 1, c.input(2)));
}

static LogicalResult lowerWhere(C &c) {
  Value y = c.create<SelectOp>(
      {c.input(0), dequantize(c, 1, 2, 3), dequantize(c, 4, 5, 6)});
  return c.set(0, quantize(c, y, 7, 8, c.input(1)));
}

/// A in float times B in int with a scale per column. Where values become fp16
/// the weight takes the scale, so that no sum of integers has to fit; else the
/// products of integers are exact below 2^24.
static Value scaledProduct(C &c, Value a, unsigned b, unsigned scale,
                           unsigned zero) {
  auto perColumn = [&](Value p) {
    return c.type(p).getNumElements() == 1 ? c.reshape(p, {}) : p;
  };
  Value z = c.input(zero);
  Value w = centredCodes(c, c.input(b), z ? perColumn(z) : z);
  Value s = perColumn(c.castTo(c.input(scale), c.f32()));
  return c.isHalf() ? c.matmul(a, c.mul(w, s)) : c.mul(c.matmul(a, w), s);
}

/// A is quantised to uint8 over its own range while the model runs.
static LogicalResult lowerDynamicQuantizeMatMul(C &c) {
  Value a = c.castTo(c.input(0), c.f32());
  if (c.floatActivations()) { // as DynamicQuant.cpp says
    Value y = scaledProduct(c, a, 1, 2, 3);
    return c.set(0, c.input(4) ? c.add(y, c.input(4)) : y);
  }
  Value zero = c.scalar(0, c.f32());
  Value low = c.create<MinimumOp>(
            {c.create<ReduceMinOp>({a}, {.keep_dims = false}), zero}),
        high = c.create<MaximumOp>(
            {c.create<ReduceMaxOp>({a}, {.keep_dims = false}), zero});
  Value scale = c.div(c.sub(high, low), c.scalar(255, c.f32()));
  scale = c.create<SelectOp>(
      {c.create<EqualOp>({scale, zero}), c.scalar(1, c.f32()), scale});
  Value origin = c.create<RoundOp>({c.create<ClipOp>(
      {c.div(c.sub(zero, low), scale)}, {.alpha = 0, .beta = 255})});
  Value q =
      c.create<ClipOp>({c.add(c.create<RoundOp>({c.div(a, scale)}), origin)},
                       {.alpha = 0, .beta = 255});
  Value y = c.mul(scaledProduct(c, c.sub(q, origin), 1, 2, 3), scale);
  return c.set(0, c.input(4) ? c.add(y, c.input(4)) : y);
}

static LogicalResult lowerMatMulIntegerToFloat(C &c) {
  Value z = c.input(4), scale = c.reshape(c.castTo(c.input(2), c.f32()), {});
  Value a = centredCodes(c, c.input(0), z ? c.reshape(z, {}) : z);
  if (auto one = c.tryConstant(scale); !one || one->number() != 1)
    a = c.mul(a, scale);
  Value y = scaledProduct(c, a, 1, 3, 5);
  return c.set(0, c.input(6) ? c.add(y, c.input(6)) : y);
}

static LogicalResult lowerQGemm(C &c) {
  Value a = dequantize(c, 0, 1, 2);
  bool transposed = c.getInt("transB", 0);
  Value b = dequantize(c, 3, 4, 5, transposed ? 0 : 1);
  Value y = c.create<MatmulOp>({a, b}, {.transpose_x = c.getInt("transA", 0),
                                        .transpose_y = transposed});
  double alpha = c.getFloat("alpha", 1);
  if (Value bias = c.input(6)) { // in units of the product of the scales
    Value unit = c.mul(c.reshape(c.castTo(c.input(1), c.f32()), {}),
                       c.castTo(c.input(4), c.f32()));
    y = c.add(y, c.mul(c.castTo(bias, c.f32()), unit));
  }
  if (alpha != 1)
    y = c.mul(y, c.scalar(alpha, c.f32()));
  return c.set(0, c.input(7) ? quantize(c, y, 7, 8, c.input(0)) : y);
}

void mlir::ane::addQLinearHandlers(HandlerTable &t) {
  static constexpr StringLiteral domain = "com.microsoft";
  t.add("QLinearAdd", 1, lowerBinary<AddOp>, domain);
  t.add("QLinearMul", 1, lowerBinary<MulOp>, domain);
  t.add("QLinearLeakyRelu", 1, lowerUnary<leakyRelu>, domain);
  t.add("QLinearSigmoid", 1, lowerUnary<sigmoid>, domain);
  t.add("QLinearSoftmax", 1, lowerUnary<softmax>, domain);
  t.add("QLinearGlobalAveragePool", 1, lowerUnary<globalAverage>, domain);
  t.add("QLinearReduceMean", 1, lowerUnary<reduceMean>, domain);
  t.add("QLinearConcat", 1, lowerConcat, domain);
  t.add("QLinearWhere", 1, lowerWhere, domain);
  t.add("DynamicQuantizeMatMul", 1, lowerDynamicQuantizeMatMul, domain);
  t.add("MatMulIntegerToFloat", 1, lowerMatMulIntegerToFloat, domain);
  t.add("QGemm", 1, lowerQGemm, domain);
}
