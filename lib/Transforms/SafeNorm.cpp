//===- SafeNorm.cpp - norms whose squares fp16 can hold -------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "SafeNorm.h"
#include "dialects/ANE/IR/Arithmetic.h"
#include "dialects/ANE/IR/Reduction.h"
#include "dialects/ANE/IR/Structure.h"
#include "dialects/ANE/IR/Unary.h"
#include <cmath>

using namespace mlir;
using namespace mlir::ane;

Value mlir::ane::normaliseSafely(OpBuilder &b, Location loc, Value x,
                                 ArrayRef<int64_t> axes,
                                 const NormGuard &guard) {
  RankedTensorType type = typeOf(x);
  SmallVector<int64_t> shape(type.getShape());
  double count = 1;
  for (int64_t axis : axes) {
    count *= shape[axis];
    shape[axis] = 1;
  }
  auto small = type.clone(shape);
  auto over = b.getDenseI64ArrayAttr(axes);
  auto keep = b.getBoolAttr(true);
  auto number = [&](double value) -> Value {
    auto scalar = RankedTensorType::get({}, type.getElementType());
    return ConstantOp::create(
        b, loc, scalar,
        DenseElementsAttr::get(scalar,
                               b.getFloatAttr(type.getElementType(), value)));
  };
  // Everything is about the mean; a sum is `count` times as much.
  double inside = guard.sum ? guard.inside / count : guard.inside;
  double root = guard.sum ? std::sqrt(count) : 1;
  double least = std::max({0x1p-14, std::sqrt(inside) / 16, guard.outside});

  Value most = ReduceMaxOp::create(b, loc, small,
                                   AbsOp::create(b, loc, type, x), over, keep);
  Value m = MaximumOp::create(b, loc, small, most, number(least));
  Value z = RealDivOp::create(b, loc, type, x, m);
  Value v = ReduceMeanOp::create(b, loc, small,
                                 MulOp::create(b, loc, type, z, z), over, keep);
  if (inside > 0) {
    Value t = RealDivOp::create(b, loc, small, number(std::sqrt(inside)), m);
    v = AddOp::create(b, loc, small, v, MulOp::create(b, loc, small, t, t));
  }
  if (guard.outside > 0) {
    Value d = SqrtOp::create(b, loc, small, v);
    if (root != 1)
      d = MulOp::create(b, loc, small, d, number(root));
    Value e = RealDivOp::create(b, loc, small, number(guard.outside), m);
    d = guard.isMaximum ? MaximumOp::create(b, loc, small, d, e).getResult()
                        : AddOp::create(b, loc, small, d, e).getResult();
    // A row of zeros stays one; others have larger roots.
    d = MaximumOp::create(b, loc, small, d,
                          number(0x1p-13 * root / std::sqrt(count)));
    return RealDivOp::create(b, loc, type, z, d);
  }
  Value inverse = RsqrtOp::create(b, loc, small, v, b.getF32FloatAttr(0));
  if (root != 1)
    inverse = MulOp::create(b, loc, small, inverse, number(1 / root));
  return MulOp::create(b, loc, type, z, inverse);
}
