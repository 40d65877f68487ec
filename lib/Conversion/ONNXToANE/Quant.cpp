//===- Quant.cpp - quantisation --------------------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "Lowering.h"
#include <cmath>

using namespace mlir;
using namespace mlir::ane;

using C = NodeContext;

/// A scale or zero point shaped to broadcast against `x`: scalar, per axis, or blocked along the axis.
static Value shaped(C &c, Value parameter, Value x, int64_t axis, int64_t block) {
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
      return c.error() << "expects a scale of rank 1, but got " << c.type(parameter), Value();
    shape[*normal] = c.shape(parameter)[0];
    return c.reshape(parameter, shape);
  }
  // Repeat each entry `block` times along the axis.
  SmallVector<int64_t> wide(c.shape(parameter)), repeated, final(c.shape(parameter));
  if (c.rank(parameter) != rank)
    return c.error() << "expects a blocked scale of rank " << rank << ", but got " << c.type(parameter), Value();
  wide.insert(wide.begin() + *normal + 1, 1);
  repeated = wide;
  repeated[*normal + 1] = block;
  final[*normal] *= block;
  Value y = c.reshape(c.broadcastTo(c.reshape(parameter, wide), repeated), final);
  return c.slice(y, *normal, 0, c.shape(x)[*normal]);
}

static LogicalResult lowerDequantize(C &c) {
  Value x = c.input(0), scale = c.input(1), zero = c.input(2);
  int64_t axis = c.getInt("axis", 1), block = c.getInt("block_size", 0);
  Type element = c.element(scale);
  if (!isa<FloatType>(element))
    return c.error() << "expects a float scale";
  Value s = shaped(c, scale, x, axis, block), z = shaped(c, zero, x, axis, block);
  // Integers are exact in fp32, so the subtraction may come after the cast; int32 keeps its own subtraction.
  Value value = c.element(x).isInteger(32) && z ? c.castTo(c.sub(x, z), element) : c.castTo(x, element);
  if (z && !c.element(x).isInteger(32))
    value = c.sub(value, c.castTo(z, element));
  return c.set(0, c.mul(value, s));
}

static LogicalResult lowerQuantize(C &c) {
  Value x = c.input(0), scale = c.input(1), zero = c.input(2);
  Type type = IntegerType::get(c.node.getContext(), 8, IntegerType::Unsigned);
  if (zero)
    type = c.element(zero);
  else if (auto dtype = lookupDTypeByOnnxCode(c.getInt("output_dtype", 0)))
    type = toMLIRType(*dtype, c.node.getContext());
  auto integer = dyn_cast<IntegerType>(type);
  if (!integer || (integer.getWidth() != 8 && integer.getWidth() != 16))
    return c.error() << "to " << type << " is not supported at run time";
  int64_t axis = c.getInt("axis", 1), block = c.getInt("block_size", 0);
  Type element = c.element(scale);
  Value s = shaped(c, scale, x, axis, block), z = shaped(c, zero, x, axis, block);
  Value value = c.create<RoundOp>({c.div(c.castTo(x, element), s)});
  if (z)
    value = c.add(value, c.castTo(z, element));
  double high = integer.isUnsigned() ? std::ldexp(1.0, integer.getWidth()) - 1 : std::ldexp(1.0, integer.getWidth() - 1) - 1;
  double low = integer.isUnsigned() ? 0 : -high - 1;
  value = c.create<ClipOp>({value}, {c.graph.real("alpha", low), c.graph.real("beta", high)});
  return c.set(0, c.castTo(value, type));
}

static LogicalResult lowerDynamicQuantize(C &c) {
  Value x = c.input(0);
  NamedAttribute keep = c.graph.flag("keep_dims", false);
  Value low = c.create<MinimumOp>({c.create<ReduceMinOp>({x}, {keep}), c.scalarLike(0, x)}), high = c.create<MaximumOp>({c.create<ReduceMaxOp>({x}, {keep}), c.scalarLike(0, x)});
  Value scale = c.div(c.sub(high, low), c.scalarLike(255, x));
  NamedAttribute alpha = c.graph.real("alpha", 0), beta = c.graph.real("beta", 255);
  Value zero = c.create<RoundOp>({c.create<ClipOp>({c.div(c.sub(c.scalarLike(0, x), low), scale)}, {alpha, beta})});
  Value y = c.create<ClipOp>({c.add(c.create<RoundOp>({c.div(x, scale)}), zero)}, {alpha, beta});
  Type byte = IntegerType::get(c.node.getContext(), 8, IntegerType::Unsigned);
  c.put(0, c.castTo(y, byte));
  c.put(1, scale);
  return c.set(2, c.castTo(zero, byte));
}

/// Integer products: operands minus zero points in fp32, exact while sums stay below 2^24.
static Value centred(C &c, unsigned i, unsigned zeroInput, bool rows) {
  Value x = c.castTo(c.input(i), c.graph.builder.getF32Type()), zero = c.input(zeroInput);
  if (!zero || !x)
    return x;
  zero = c.castTo(zero, c.graph.builder.getF32Type());
  if (rows && zero && c.rank(zero) == 1 && c.shape(zero)[0] > 1)
    zero = c.reshape(zero, {c.shape(zero)[0], 1});
  return c.sub(x, zero && c.type(zero).getNumElements() == 1 ? c.reshape(zero, {}) : zero);
}
static LogicalResult lowerMatMulInteger(C &c) {
  Value y = c.create<MatmulOp>({centred(c, 0, 2, true), centred(c, 1, 3, false)});
  return c.set(0, c.castTo(y, c.graph.builder.getI32Type()));
}

void mlir::ane::addQuantHandlers(HandlerTable &t) {
  for (StringRef domain : {"", "com.microsoft"}) {
    t.add("DequantizeLinear", domain.empty() ? 10 : 1, lowerDequantize, domain);
    t.add("QuantizeLinear", domain.empty() ? 10 : 1, lowerQuantize, domain);
  }
  t.add("DynamicQuantizeLinear", 11, lowerDynamicQuantize);
  t.add("MatMulInteger", 10, lowerMatMulInteger);
}
