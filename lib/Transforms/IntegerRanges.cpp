//===- IntegerRanges.cpp - what integers can be ---------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "IntegerRanges.h"
#include "Reshape.h"
#include "ane-mlir/Interpreter/Tensor.h"
#include "dialects/ANE/IR/Arithmetic.h"
#include "dialects/ANE/IR/Cast.h"
#include "dialects/ANE/IR/Comparison.h"
#include "dialects/ANE/IR/Dynamic.h"
#include "dialects/ANE/IR/Gather.h"
#include "dialects/ANE/IR/Rearrange.h"
#include "dialects/ANE/IR/Reduction.h"
#include "dialects/ANE/IR/Shape.h"
#include "dialects/ANE/IR/Structure.h"
#include "dialects/ANE/IR/Unary.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::ane;

/// Constants are looked through up to here.
static constexpr int64_t kLooked = 1 << 22;

static bool isInteger(Value v) {
  auto type = dyn_cast<RankedTensorType>(v.getType());
  return type && isa<IntegerType>(type.getElementType());
}

IntegerRange IntegerRanges::limitsOf(Type element) {
  auto type = cast<IntegerType>(element);
  unsigned bits = std::min(type.getWidth(), 32u);
  if (bits == 1)
    return {0, 1};
  if (type.isUnsigned())
    return {0, (int64_t(1) << bits) - 1};
  return {-(int64_t(1) << (bits - 1)), (int64_t(1) << (bits - 1)) - 1};
}

void IntegerRanges::set(Value value, IntegerRange range) {
  IntegerRange limits = limitsOf(typeOf(value).getElementType());
  known[value] = range.touches(limits)
                     ? IntegerRange{std::max(range.low, limits.low),
                                    std::min(range.high, limits.high)}
                     : limits;
}

IntegerRange IntegerRanges::get(Value value) {
  if (auto it = known.find(value); it != known.end())
    return it->second;
  IntegerRange range = limitsOf(typeOf(value).getElementType());
  if (auto constant = value.getDefiningOp<ConstantOp>();
      constant && typeOf(value).getNumElements() <= kLooked)
    if (FailureOr<Tensor> tensor = Tensor::fromElements(constant.getValue());
        succeeded(tensor) && !tensor->isFloat() && tensor->size()) {
      auto [low, high] =
          std::minmax_element(tensor->ints().begin(), tensor->ints().end());
      range = {*low, *high};
    }
  known[value] = range;
  return range;
}

/// Bounds come from constants, which have 64 bits: the sum and the difference
/// stop at the limits.
static int64_t plus(int64_t a, int64_t b) {
  int64_t sum;
  return !llvm::AddOverflow(a, b, sum) ? sum : a < 0 ? INT64_MIN : INT64_MAX;
}
static int64_t minus(int64_t a, int64_t b) {
  int64_t rest;
  return !llvm::SubOverflow(a, b, rest) ? rest : a < 0 ? INT64_MIN : INT64_MAX;
}

/// The smallest and the largest of fn at the corners.
template <typename Fn>
static IntegerRange corners(IntegerRange a, IntegerRange b, Fn fn) {
  int64_t values[] = {fn(a.low, b.low), fn(a.low, b.high), fn(a.high, b.low),
                      fn(a.high, b.high)};
  return {*std::min_element(values, values + 4),
          *std::max_element(values, values + 4)};
}

/// `range` added up `count` times at most, and at least not at all.
static IntegerRange sumOf(IntegerRange range, int64_t count) {
  auto times = [&](int64_t value) {
    int64_t product;
    return llvm::MulOverflow(value, count, product)
               ? (value < 0 ? INT64_MIN : INT64_MAX)
               : product;
  };
  return {std::min<int64_t>(0, times(range.low)),
          std::max<int64_t>(0, times(range.high))};
}

std::optional<IntegerRange> IntegerRanges::arithmetic(Operation *op) {
  if (auto cast = dyn_cast<CastOp>(op))
    return isInteger(cast.getX()) ? std::optional(get(cast.getX()))
                                  : std::nullopt;
  if (auto select = dyn_cast<SelectOp>(op))
    return get(select.getA()).hull(get(select.getB()));
  if (op->getNumOperands() == 0 || !llvm::all_of(op->getOperands(), isInteger))
    return std::nullopt;
  IntegerRange a = get(op->getOperand(0));
  if (isa<AbsOp>(op)) {
    int64_t top = std::max(minus(0, a.low), a.high);
    return IntegerRange{std::max<int64_t>({0, a.low, minus(0, a.high)}), top};
  }
  if (isa<SignOp>(op))
    return IntegerRange{a.low < 0   ? -1
                        : a.low > 0 ? 1
                                    : 0,
                        a.high > 0   ? 1
                        : a.high < 0 ? -1
                                     : 0};
  if (op->getNumOperands() != 2)
    return std::nullopt;
  IntegerRange b = get(op->getOperand(1));
  if (isa<AddOp>(op))
    return IntegerRange{plus(a.low, b.low), plus(a.high, b.high)};
  if (isa<SubOp>(op))
    return IntegerRange{minus(a.low, b.high), minus(a.high, b.low)};
  if (isa<MulOp>(op))
    return corners(a, b, [](int64_t x, int64_t y) {
      // Two of 32 bits without a sign need 64 without one.
      int64_t product;
      return !llvm::MulOverflow(x, y, product) ? product
             : (x < 0) == (y < 0)              ? INT64_MAX
                                               : INT64_MIN;
    });
  if (isa<MaximumOp>(op))
    return IntegerRange{std::max(a.low, b.low), std::max(a.high, b.high)};
  if (isa<MinimumOp>(op))
    return IntegerRange{std::min(a.low, b.low), std::min(a.high, b.high)};
  if (isa<FloorDivOp>(op) && !b.touches({0, 0}))
    return corners(a, b, [](int64_t x, int64_t y) {
      return llvm::divideSignedWouldOverflow(x, y)
                 ? INT64_MAX
                 : llvm::divideFloorSigned(x, y);
    });
  if (isa<ModOp>(op) && !b.touches({0, 0}))
    return b.low > 0 ? IntegerRange{0, b.high - 1} : IntegerRange{b.low + 1, 0};
  return std::nullopt;
}

std::optional<IntegerRange> IntegerRanges::reduction(OpResult result) {
  Operation *op = result.getOwner();
  auto extent = [&](int64_t axis) {
    auto type = typeOf(op->getOperand(0));
    int64_t size =
        type.getRank()
            ? type.getDimSize(axis < 0 ? axis + type.getRank() : axis)
            : 1;
    return ShapedType::isDynamic(size) ? int64_t(INT32_MAX) : size;
  };
  auto index = [](int64_t count) {
    return IntegerRange{0, std::max<int64_t>(0, count - 1)};
  };
  if (auto largest = dyn_cast<ReduceArgmaxOp>(op))
    return index(extent(largest.getAxis()));
  if (auto smallest = dyn_cast<ReduceArgminOp>(op))
    return index(extent(smallest.getAxis()));
  if (auto topk = dyn_cast<TopkOp>(op); topk && result.getResultNumber() == 1)
    return index(extent(topk.getAxis()));
  if (auto sort = dyn_cast<ArgsortOp>(op))
    return index(extent(sort.getAxis()));
  if (isa<NonZeroOp>(op))
    return index(INT32_MAX);
  if (isa<ShapeOp>(op))
    return IntegerRange{0, INT32_MAX};
  if (!isInteger(op->getOperand(0)))
    return std::nullopt;
  IntegerRange x = get(op->getOperand(0));
  if (auto sum = dyn_cast<CumsumOp>(op))
    return sumOf(x, extent(sum.getAxis()));
  auto from = typeOf(op->getOperand(0)), to = typeOf(result);
  if (isa<ReduceSumOp>(op) && from.hasStaticShape() && to.hasStaticShape() &&
      to.getNumElements())
    return sumOf(x, from.getNumElements() / to.getNumElements());
  if (isa<ReduceMeanOp>(op))
    return x.hull({0, 0});
  if (isa<ReduceMaxOp, ReduceMinOp, TopkOp>(op))
    return x;
  return std::nullopt;
}

template <typename Op>
static bool replaces(Operation *op) {
  auto scatter = dyn_cast<Op>(op);
  return scatter && scatter.getMode() == ScatterMode::update;
}

/// The operands that results are taken from; an index is none of them.
std::optional<IntegerRange> IntegerRanges::movement(OpResult result) {
  Operation *op = result.getOwner();
  unsigned count = 0;
  if (isa<ReshapeOp, TransposeOp, ExpandDimsOp, SqueezeOp, Flatten2dOp, SplitOp,
          SliceByIndexOp, SliceBySizeOp, TileOp, ReverseOp, ReverseSequenceOp,
          DepthToSpaceOp, SpaceToDepthOp, PixelShuffleOp, PixelUnshuffleOp,
          SlidingWindowsOp, GatherOp, GatherAlongAxisOp, GatherNdOp,
          DynamicSliceOp, DynamicSliceBySizeOp, IdentityOp>(op))
    count = 1;
  else if (isa<ConcatOp, StackOp>(op))
    count = op->getNumOperands();
  else if (isa<SliceUpdateOp>(op))
    count = 2;
  else if (isa<BandPartOp>(op))
    return get(op->getOperand(0)).hull({0, 0});
  else if (auto hot = dyn_cast<OneHotOp>(op))
    return get(hot.getOnValue()).hull(get(hot.getOffValue()));
  else if (auto fill = dyn_cast<FillLikeOp>(op))
    return get(fill.getValue());
  else if (replaces<ScatterOp>(op) || replaces<ScatterAlongAxisOp>(op) ||
           replaces<ScatterNdOp>(op))
    return get(op->getOperand(0)).hull(get(op->getOperand(2)));
  else if (op->getNumRegions()) // what is computed inside has been looked at
    return limitsOf(typeOf(result).getElementType());
  if (!count || op->getNumOperands() < count)
    return std::nullopt;
  IntegerRange range = get(op->getOperand(0));
  for (unsigned i = 1; i < count; ++i)
    range = range.hull(get(op->getOperand(i)));
  return range;
}

std::optional<IntegerRange> IntegerRanges::compute(OpResult result) {
  Operation *op = result.getOwner();
  if (isa<ConstantOp>(op))
    return get(result);
  if (op->getNumOperands() == 0)
    return std::nullopt;
  if (auto range = movement(result))
    return range;
  if (auto range = reduction(result))
    return range;
  return arithmetic(op);
}
