//===- MovedConstant.cpp - weights that are one constant, moved -----------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "MovedConstant.h"
#include "dialects/ANE/IR/Arithmetic.h"
#include "dialects/ANE/IR/Cast.h"
#include "dialects/ANE/IR/Shape.h"
#include "dialects/ANE/IR/Structure.h"
#include <atomic>
#include <cmath>

using namespace mlir;
using namespace mlir::ane;

/// Below, evaluating is as fast.
static constexpr int64_t kLeast = 1 << 16;
/// Elements of a block, below which finding its place takes longer than it.
static constexpr int64_t kLeastBlock = 64;
/// What a factor may have.
static constexpr int64_t kLargestFactor = 1 << 20;
/// Elements that are loaded side by side, and rows of what is turned at a time:
/// several lines of the cache, and all of a tile in the first level.
static constexpr int64_t kColumns = 64, kRows = 64;

/// The axis of `shape` that a step is along, one of more than one element.
static size_t axisOf(int64_t step, llvm::ArrayRef<int64_t> shape,
                     llvm::ArrayRef<int64_t> strides) {
  size_t j = 0;
  while (j < shape.size() &&
         !(strides[j] <= step && step < strides[j] * shape[j]))
    ++j;
  return j;
}

/// Splits axes so that each is along one axis of `shape`, through which the
/// linear index of the root's elements is `step` times their place.
bool MovedConstant::refine(llvm::ArrayRef<int64_t> shape) {
  auto strides = rowMajorStrides(shape);
  SmallVector<Axis, 6> refined;
  for (Axis axis : axes) {
    SmallVector<Axis, 4> parts;
    while (true) {
      size_t j = axisOf(axis.step, shape, strides);
      if (j == shape.size() || axis.step % strides[j])
        return false;
      int64_t room = strides[j] * shape[j];
      if (axis.extent * axis.step <= room)
        break;
      if (room % axis.step || axis.extent % (room / axis.step))
        return false;
      Axis inner = axis;
      inner.extent = room / axis.step;
      parts.push_back(inner);
      axis.extent /= inner.extent;
      axis.step *= inner.extent;
      for (int64_t &step : axis.factorSteps)
        step *= inner.extent;
    }
    refined.push_back(axis);
    refined.append(parts.rbegin(), parts.rend());
  }
  axes = std::move(refined);
  // From the first element on, none may run over into the next axis.
  SmallVector<int64_t, 6> last;
  for (auto [extent, stride] : llvm::zip(shape, strides))
    last.push_back(offset / stride % extent);
  for (const Axis &axis : axes) {
    size_t j = axisOf(axis.step, shape, strides);
    last[j] += (axis.extent - 1) * (axis.step / strides[j]);
  }
  return llvm::all_of(llvm::zip(last, shape), [](auto pair) {
    return std::get<0>(pair) < std::get<1>(pair);
  });
}

/// From the result of a transpose to its operand, of shape `from`.
bool MovedConstant::transpose(llvm::ArrayRef<int64_t> from,
                              llvm::ArrayRef<int64_t> perm) {
  SmallVector<int64_t, 6> shape;
  for (int64_t axis : perm)
    shape.push_back(from[axis < 0 ? axis + from.size() : axis]);
  if (!refine(shape))
    return false;
  auto own = rowMajorStrides(from), strides = rowMajorStrides(shape);
  auto strideOf = [&](size_t j) {
    return own[perm[j] < 0 ? perm[j] + int64_t(from.size()) : perm[j]];
  };
  for (Axis &axis : axes) {
    size_t j = axisOf(axis.step, shape, strides);
    axis.step = axis.step / strides[j] * strideOf(j);
  }
  int64_t first = 0;
  for (size_t j = 0; j < shape.size(); ++j)
    first += offset / strides[j] % shape[j] * strideOf(j);
  offset = first;
  return true;
}

/// From a slice, of `shape`, to what it is of.
bool MovedConstant::slice(llvm::ArrayRef<int64_t> shape,
                          llvm::ArrayRef<int64_t> from,
                          llvm::ArrayRef<int64_t> begin) {
  if (begin.size() != from.size() || !refine(shape))
    return false;
  auto own = rowMajorStrides(from), strides = rowMajorStrides(shape);
  for (Axis &axis : axes) {
    size_t j = axisOf(axis.step, shape, strides);
    axis.step = axis.step / strides[j] * own[j];
  }
  int64_t first = 0;
  for (size_t j = 0; j < shape.size(); ++j) {
    if (begin[j] < 0 || begin[j] + shape[j] > from[j])
      return false;
    first += (offset / strides[j] % shape[j] + begin[j]) * own[j];
  }
  offset = first;
  return true;
}

/// A factor that broadcasts to `shape`, that of the product.
bool MovedConstant::multiply(Tensor factor, llvm::ArrayRef<int64_t> shape) {
  size_t rank = factor.rank();
  if (rank > shape.size() || !refine(shape))
    return false;
  auto strides = rowMajorStrides(shape), own = rowMajorStrides(factor.shape());
  auto strideOf = [&](size_t j) -> int64_t {
    if (j + rank < shape.size())
      return 0;
    size_t at = j + rank - shape.size();
    return factor.shape()[at] == 1 ? 0 : own[at];
  };
  for (Axis &axis : axes) {
    size_t j = axisOf(axis.step, shape, strides);
    axis.factorSteps.insert(axis.factorSteps.begin(),
                            axis.step / strides[j] * strideOf(j));
  }
  int64_t first = 0;
  for (size_t j = 0; j < shape.size(); ++j)
    first += offset / strides[j] % shape[j] * strideOf(j);
  factorOffsets.insert(factorOffsets.begin(), first);
  factors.insert(factors.begin(), std::move(factor));
  return true;
}

/// Joins axes that lie behind each other everywhere.
void MovedConstant::merge() {
  SmallVector<Axis, 6> merged;
  for (const Axis &axis : axes) {
    auto follows = [&](const Axis &outer) {
      bool all = outer.step == axis.extent * axis.step;
      for (auto [a, b] : llvm::zip(outer.factorSteps, axis.factorSteps))
        all &= a == axis.extent * b;
      return all;
    };
    if (!merged.empty() && follows(merged.back())) {
      int64_t extent = merged.back().extent * axis.extent;
      merged.back() = axis;
      merged.back().extent = extent;
    } else {
      merged.push_back(axis);
    }
  }
  axes = std::move(merged);
}

static bool isHalfOrSingle(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  return type && type.hasStaticShape() &&
         (type.getElementType().isF16() || type.getElementType().isF32());
}

using Box = SmallVector<int64_t>;

/// Where a slice without steps begins; nothing for what is none.
static std::optional<Box> boxOf(Value value) {
  Operation *op = value.getDefiningOp();
  if (auto slice = dyn_cast_or_null<SliceBySizeOp>(op))
    return Box(slice.getBegin());
  auto anySet = [](std::optional<ArrayRef<bool>> mask) {
    return mask && llvm::is_contained(*mask, true);
  };
  if (auto slice = dyn_cast_or_null<SliceByIndexOp>(op)) {
    bool plain = !anySet(slice.getBeginMask()) &&
                 !anySet(slice.getSqueezeMask()) &&
                 (!slice.getStride() || llvm::all_equal(*slice.getStride()));
    if (plain && slice.getStride() && !slice.getStride()->empty())
      plain = slice.getStride()->front() == 1;
    return plain ? std::optional(Box(slice.getBegin())) : std::nullopt;
  }
  if (auto split = dyn_cast_or_null<SplitOp>(op)) {
    auto type = cast<RankedTensorType>(value.getType());
    int64_t axis = split.getAxis();
    axis = axis < 0 ? axis + type.getRank() : axis;
    Box begin(type.getRank(), 0);
    for (Value part : split.getResults()) {
      if (part == value)
        return begin;
      begin[axis] += cast<RankedTensorType>(part.getType()).getDimSize(axis);
    }
  }
  return std::nullopt;
}

std::optional<MovedConstant>
MovedConstant::match(Value root, ConstantEvaluator &evaluator) {
  auto type = dyn_cast<RankedTensorType>(root.getType());
  if (!type || !type.getElementType().isF16() || !type.hasStaticShape() ||
      type.getNumElements() < kLeast)
    return std::nullopt;
  MovedConstant view;
  view.count = type.getNumElements();
  for (auto [extent, step] :
       llvm::zip(type.getShape(), rowMajorStrides(type.getShape())))
    if (extent > 1)
      view.axes.push_back({extent, step, {}});
  Value value = root;
  for (int depth = 0; depth < 32; ++depth) {
    if (!isHalfOrSingle(value))
      return std::nullopt;
    Operation *op = value.getDefiningOp();
    if (auto found = dyn_cast_or_null<ConstantOp>(op)) {
      // What is no view of data that is there takes room, of which the
      // evaluator asks for some.
      if (!isa<DenseResourceElementsAttr>(found.getValue()))
        return std::nullopt;
      FailureOr<Tensor> tensor = Tensor::fromElements(found.getValue());
      if (failed(tensor) || !(tensor->isPacked() || tensor->isBorrowed()) ||
          (tensor->isPacked() ? tensor->dtype() != DType::Float16
                              : tensor->dtype() != DType::Float32))
        return std::nullopt;
      view.constant = *tensor;
      view.merge();
      for (auto [i, axis] : llvm::enumerate(view.axes))
        if (axis.step == 1) {
          int64_t block = std::min(axis.extent, kColumns);
          if (i + 1 < view.axes.size())
            block *= std::min(view.axes.back().extent, kRows);
          view.contiguous = i;
          return block < kLeastBlock ? std::nullopt : std::optional(view);
        }
      return std::nullopt;
    }
    if (isa_and_nonnull<ReshapeOp, ExpandDimsOp, SqueezeOp, Flatten2dOp,
                        IdentityOp, CastOp>(op)) {
      value = op->getOperand(0); // elements stay in their order
    } else if (auto turn = dyn_cast_or_null<TransposeOp>(op)) {
      if (!isHalfOrSingle(turn.getX()) ||
          !view.transpose(
              cast<RankedTensorType>(turn.getX().getType()).getShape(),
              turn.getPerm()))
        return std::nullopt;
      value = turn.getX();
    } else if (std::optional<Box> box = boxOf(value)) {
      if (!isHalfOrSingle(op->getOperand(0)) ||
          !view.slice(
              cast<RankedTensorType>(value.getType()).getShape(),
              cast<RankedTensorType>(op->getOperand(0).getType()).getShape(),
              *box))
        return std::nullopt;
      value = op->getOperand(0);
    } else if (auto product = dyn_cast_or_null<MulOp>(op)) {
      auto shape = cast<RankedTensorType>(value.getType()).getShape();
      auto isWhole = [&](Value operand) {
        return isHalfOrSingle(operand) &&
               cast<RankedTensorType>(operand.getType()).getShape() == shape;
      };
      Value large = product.getX(), small = product.getY();
      if (!isWhole(large))
        std::swap(large, small);
      if (!isWhole(large) || isWhole(small) || !isHalfOrSingle(small) ||
          cast<RankedTensorType>(small.getType()).getNumElements() >
              kLargestFactor)
        return std::nullopt;
      FailureOr<Tensor> factor = evaluator.evaluate(small);
      if (failed(factor) || !view.multiply(factor->unpacked(), shape))
        return std::nullopt;
      value = large;
    } else {
      return std::nullopt;
    }
  }
  return std::nullopt;
}

/// Elements of the constant that lie side by side.
void MovedConstant::load(int64_t at,
                         llvm::MutableArrayRef<float> values) const {
  if (!constant.isPacked()) {
    std::copy_n(constant.floats().data() + at, values.size(), values.data());
    return;
  }
  decode(DType::Float16,
         constant.packedBytes().slice(2 * at, 2 * values.size()), values);
}

/// Multiplies elements along an axis by the factors, which begin `at`.
void MovedConstant::scale(llvm::MutableArrayRef<float> values, const Axis &axis,
                          llvm::ArrayRef<int64_t> at) const {
  for (auto [i, factor] : llvm::enumerate(factors)) {
    const float *from = factor.floats().data() + at[i];
    int64_t step = axis.factorSteps[i];
    if (step == 0) {
      for (float &value : values)
        value *= *from;
      continue;
    }
    for (auto [k, value] : llvm::enumerate(values))
      value *= from[k * step];
  }
}

/// Blocks of elements that are contiguous in the constant, `rows` of them along
/// the innermost axis where that is another one: body(place in the result,
/// place in the constant, places in the factors, extent, rows).
template <typename Body>
void MovedConstant::forEachBlock(const EvalContext &context, Body body) const {
  bool turned = contiguous + 1 < axes.size();
  SmallVector<int64_t, 6> blocks, sizes, strides(axes.size(), 1);
  int64_t total = 1;
  for (size_t i = axes.size(); i-- > 0;)
    if (i + 1 < axes.size())
      strides[i] = strides[i + 1] * axes[i + 1].extent;
  for (auto [i, axis] : llvm::enumerate(axes)) {
    int64_t size = i == contiguous        ? turned ? kColumns : kColumns * kRows
                   : i + 1 == axes.size() ? kRows
                                          : 1;
    sizes.push_back(size);
    blocks.push_back((axis.extent + size - 1) / size);
    total *= blocks.back();
  }
  context.parallelFor(total, 8, [&](int64_t begin, int64_t end) {
    SmallVector<int64_t, 2> factorsAt;
    for (int64_t block = begin; block < end; ++block) {
      int64_t rest = block, to = 0, from = offset, extent = 0, rows = 1;
      factorsAt = factorOffsets;
      for (size_t i = axes.size(); i-- > 0;) {
        int64_t first = rest % blocks[i] * sizes[i];
        rest /= blocks[i];
        int64_t own = std::min(sizes[i], axes[i].extent - first);
        if (i == contiguous)
          extent = own;
        else if (i + 1 == axes.size())
          rows = own;
        to += first * strides[i];
        from += first * axes[i].step;
        for (auto [place, step] : llvm::zip(factorsAt, axes[i].factorSteps))
          place += first * step;
      }
      body(to, from, llvm::ArrayRef<int64_t>(factorsAt), extent, rows,
           strides[contiguous]);
    }
  });
}

float MovedConstant::writeHalves(const EvalContext &context,
                                 llvm::MutableArrayRef<char> bytes) const {
  std::atomic<float> most = 0;
  auto put = [&](int64_t to, llvm::ArrayRef<float> values, float &largest) {
    for (float value : values)
      largest = std::max(largest, std::fabs(value));
    encode(DType::Float16, values, bytes.slice(2 * to, 2 * values.size()),
           /*saturate=*/true);
  };
  const Axis &inner = axes.back();
  forEachBlock(context, [&](int64_t to, int64_t from,
                            llvm::ArrayRef<int64_t> factorsAt, int64_t extent,
                            int64_t rows, int64_t stride) {
    float largest = 0;
    if (contiguous + 1 == axes.size()) {
      float values[kColumns * kRows];
      llvm::MutableArrayRef<float> used(values, extent);
      load(from, used);
      scale(used, inner, factorsAt);
      put(to, used, largest);
    } else {
      // What lies side by side in the constant is a column of the result.
      float tile[kColumns * kRows], column[kColumns];
      for (int64_t r = 0; r < rows; ++r) {
        load(from + r * inner.step, llvm::MutableArrayRef(column, extent));
        for (int64_t c = 0; c < extent; ++c)
          tile[c * kRows + r] = column[c];
      }
      SmallVector<int64_t, 2> at(factorsAt);
      for (int64_t c = 0; c < extent; ++c) {
        llvm::MutableArrayRef<float> row(tile + c * kRows, rows);
        scale(row, inner, at);
        put(to + c * stride, row, largest);
        for (auto [place, step] : llvm::zip(at, axes[contiguous].factorSteps))
          place += step;
      }
    }
    for (float seen = most; seen < largest;)
      if (most.compare_exchange_weak(seen, largest))
        break;
  });
  return most;
}
