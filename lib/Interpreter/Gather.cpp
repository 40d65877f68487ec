//===- Gather.cpp - indexing, sorting, one-hot ----------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "dialects/ANE/IR/Gather.h"
#include "Evaluators.h"
#include <numeric>

using namespace mlir;
using namespace mlir::ane;

static LogicalResult outOfRange(Operation *op, int64_t index, int64_t extent) {
  return op->emitOpError() << "index " << index
                           << " is out of range for an axis of length "
                           << extent;
}

/// Rows of a table as it is in its file: of the table of an embedding a few.
static LogicalResult gatherPacked(GatherOp op, const Tensor &table,
                                  const Tensor &indices, Tensor &y) {
  int64_t extent = table.shape().front(),
          inner = extent ? table.size() / extent : 0, at = 0;
  ArrayRef<char> bytes = table.packedBytes();
  size_t row = extent ? bytes.size() / extent : 0;
  for (int64_t raw : indices.ints()) {
    FailureOr<int64_t> index = wrapIndex(raw, extent);
    if (failed(index))
      return outOfRange(op, raw, extent);
    ArrayRef<char> from = bytes.slice(*index * row, row);
    if (y.isFloat())
      decode(table.dtype(), from, y.mutableFloats().slice(at, inner));
    else
      decode(table.dtype(), from, y.mutableInts().slice(at, inner));
    at += inner;
  }
  return success();
}

namespace mlir::ane {
LogicalResult evaluateOp(GatherOp op, EvalContext &context, ArrayRef<Tensor> in,
                         SmallVectorImpl<Tensor> &out) {
  const Tensor &x = in[0], &indices = in[1];
  int64_t axis = (int64_t)op.getAxis() < 0 ? op.getAxis() + x.rank()
                                           : op.getAxis(),
          batch = op.getBatchDims().value_or(0);
  SmallVector<int64_t, 6> shape(x.shape().take_front(axis));
  llvm::append_range(shape, indices.shape().drop_front(batch));
  llvm::append_range(shape, x.shape().drop_front(axis + 1));
  Tensor y = context.makeResult(op.getY(), shape);
  if (x.isPacked() && axis == 0 && !batch && !x.packedBytes().empty() &&
      getInfo(x.dtype()).bits % 8 == 0) {
    LogicalResult status = gatherPacked(op, x, indices, y);
    out.push_back(std::move(y));
    return status;
  }
  // [batch][middle][index][inner]: the middle is x's axes between batch and
  // axis.
  int64_t batches = 1, middle = 1, inner = 1, count = 1,
          extent = x.shape()[axis];
  for (int64_t i = 0; i < x.rank(); ++i)
    (i < batch  ? batches
     : i < axis ? middle
                : inner) *= i == axis ? 1 : x.shape()[i];
  for (int64_t dim : indices.shape().drop_front(batch))
    count *= dim;
  LogicalResult status = success();
  withStorage(x, [&](auto zero) {
    using T = decltype(zero);
    const T *source = storage<T>(x).data();
    T *target = mutableStorage<T>(y).data();
    for (int64_t b = 0; b < batches; ++b)
      for (int64_t m = 0; m < middle; ++m)
        for (int64_t i = 0; i < count; ++i, target += inner) {
          int64_t raw = indices.ints()[b * count + i];
          FailureOr<int64_t> index = wrapIndex(raw, extent);
          if (failed(index)) {
            status = outOfRange(op, raw, extent);
            return;
          }
          std::copy_n(source + ((b * middle + m) * extent + *index) * inner,
                      inner, target);
        }
  });
  out.push_back(std::move(y));
  return status;
}

/// Position in `shape` of flat index i of `indices`, with the coordinate along
/// `axis` replaced.
static int64_t alongAxis(int64_t i, ArrayRef<int64_t> indexStrides,
                         ArrayRef<int64_t> dataStrides, int64_t axis,
                         int64_t index) {
  int64_t at = 0;
  for (size_t d = 0; d < indexStrides.size(); ++d) {
    at += ((int64_t)d == axis ? index : i / indexStrides[d]) * dataStrides[d];
    i %= indexStrides[d];
  }
  return at;
}
LogicalResult evaluateOp(GatherAlongAxisOp op, EvalContext &context,
                         ArrayRef<Tensor> in, SmallVectorImpl<Tensor> &out) {
  int64_t axis =
      (int64_t)op.getAxis() < 0 ? op.getAxis() + in[0].rank() : op.getAxis();
  Tensor y = context.makeResult(op.getY(), in[1].shape());
  auto si = rowMajorStrides(in[1].shape()), sx = rowMajorStrides(in[0].shape());
  for (int64_t i = 0; i < y.size(); ++i) {
    FailureOr<int64_t> index = wrapIndex(in[1].ints()[i], in[0].shape()[axis]);
    if (failed(index))
      return outOfRange(op, in[1].ints()[i], in[0].shape()[axis]);
    int64_t at = alongAxis(i, si, sx, axis, *index);
    withStorage(y, [&](auto zero) {
      mutableStorage<decltype(zero)>(y)[i] = storage<decltype(zero)>(in[0])[at];
    });
  }
  out.push_back(std::move(y));
  return success();
}

LogicalResult evaluateOp(GatherNdOp op, EvalContext &context,
                         ArrayRef<Tensor> in, SmallVectorImpl<Tensor> &out) {
  const Tensor &x = in[0], &indices = in[1];
  int64_t batch = op.getBatchDims().value_or(0), depth = indices.shape().back();
  SmallVector<int64_t, 6> shape(indices.shape().drop_back());
  llvm::append_range(shape, x.shape().drop_front(batch + depth));
  Tensor y = context.makeResult(op.getY(), shape);
  auto strides = rowMajorStrides(x.shape());
  int64_t batches = 1, inner = 1, rows = 1;
  for (int64_t i = 0; i < batch; ++i)
    batches *= x.shape()[i];
  for (int64_t dim : x.shape().drop_front(batch + depth))
    inner *= dim;
  for (int64_t dim : indices.shape().drop_back())
    rows *= dim;
  for (int64_t r = 0; r < rows; ++r) {
    int64_t at = batches > 1
                     ? r / (rows / batches) * (batch ? strides[batch - 1] : 0)
                     : 0;
    for (int64_t d = 0; d < depth; ++d) {
      int64_t raw = indices.ints()[r * depth + d],
              extent = x.shape()[batch + d];
      FailureOr<int64_t> index = wrapIndex(raw, extent);
      if (failed(index))
        return outOfRange(op, raw, extent);
      at += *index * strides[batch + d];
    }
    withStorage(x, [&](auto zero) {
      using T = decltype(zero);
      std::copy_n(storage<T>(x).data() + at, inner,
                  mutableStorage<T>(y).data() + r * inner);
    });
  }
  out.push_back(std::move(y));
  return success();
}

template <typename T>
static T combine(ScatterMode mode, T old, T update) {
  switch (mode) {
  case ScatterMode::add:
    return T(old + update);
  case ScatterMode::sub:
    return T(old - update);
  case ScatterMode::mul:
    return T(old * update);
  case ScatterMode::div:
    return update == 0 && std::is_integral_v<T> ? T(0) : T(old / update);
  case ScatterMode::max:
    return std::max(old, update);
  case ScatterMode::min:
    return std::min(old, update);
  case ScatterMode::update:
    return update;
  }
  llvm_unreachable("a mode of scatter");
}
/// A copy of `data` to scatter into.
static Tensor copyOf(EvalContext &context, Value result, const Tensor &data) {
  Tensor y = context.makeResult(result, data.shape());
  withStorage(y, [&](auto zero) {
    llvm::copy(storage<decltype(zero)>(data),
               mutableStorage<decltype(zero)>(y).begin());
  });
  return y;
}
LogicalResult evaluateOp(ScatterAlongAxisOp op, EvalContext &context,
                         ArrayRef<Tensor> in, SmallVectorImpl<Tensor> &out) {
  int64_t axis =
      (int64_t)op.getAxis() < 0 ? op.getAxis() + in[0].rank() : op.getAxis();
  ScatterMode mode = op.getMode();
  Tensor y = copyOf(context, op.getY(), in[0]);
  auto si = rowMajorStrides(in[1].shape()), sx = rowMajorStrides(in[0].shape());
  for (int64_t i = 0; i < in[1].size(); ++i) {
    FailureOr<int64_t> index = wrapIndex(in[1].ints()[i], in[0].shape()[axis]);
    if (failed(index))
      return outOfRange(op, in[1].ints()[i], in[0].shape()[axis]);
    int64_t at = alongAxis(i, si, sx, axis, *index);
    withStorage(y, [&](auto zero) {
      auto &slot = mutableStorage<decltype(zero)>(y)[at];
      slot = combine(mode, slot, storage<decltype(zero)>(in[2])[i]);
    });
  }
  context.finish(y);
  out.push_back(std::move(y));
  return success();
}
LogicalResult evaluateOp(ScatterOp op, EvalContext &context,
                         ArrayRef<Tensor> in, SmallVectorImpl<Tensor> &out) {
  ScatterMode mode = op.getMode();
  Tensor y = copyOf(context, op.getY(), in[0]);
  AxisView view(in[0].shape(), op.getAxis());
  int64_t count = in[1].size();
  for (int64_t o = 0; o < view.outer; ++o)
    for (int64_t i = 0; i < count; ++i) {
      FailureOr<int64_t> index = wrapIndex(in[1].ints()[i], view.extent);
      if (failed(index))
        return outOfRange(op, in[1].ints()[i], view.extent);
      withStorage(y, [&](auto zero) {
        using T = decltype(zero);
        for (int64_t k = 0; k < view.inner; ++k) {
          T &slot =
              mutableStorage<T>(y)[(o * view.extent + *index) * view.inner + k];
          slot = combine(mode, slot,
                         storage<T>(in[2])[(o * count + i) * view.inner + k]);
        }
      });
    }
  context.finish(y);
  out.push_back(std::move(y));
  return success();
}
LogicalResult evaluateOp(ScatterNdOp op, EvalContext &context,
                         ArrayRef<Tensor> in, SmallVectorImpl<Tensor> &out) {
  ScatterMode mode = op.getMode();
  Tensor y = copyOf(context, op.getY(), in[0]);
  auto strides = rowMajorStrides(in[0].shape());
  int64_t depth = in[1].shape().back(), rows = depth ? in[1].size() / depth : 1,
          inner = rows ? in[2].size() / rows : 0;
  for (int64_t r = 0; r < rows; ++r) {
    int64_t at = 0;
    for (int64_t d = 0; d < depth; ++d) {
      FailureOr<int64_t> index =
          wrapIndex(in[1].ints()[r * depth + d], in[0].shape()[d]);
      if (failed(index))
        return outOfRange(op, in[1].ints()[r * depth + d], in[0].shape()[d]);
      at += *index * strides[d];
    }
    withStorage(y, [&](auto zero) {
      using T = decltype(zero);
      for (int64_t k = 0; k < inner; ++k) {
        T &slot = mutableStorage<T>(y)[at + k];
        slot = combine(mode, slot, storage<T>(in[2])[r * inner + k]);
      }
    });
  }
  context.finish(y);
  out.push_back(std::move(y));
  return success();
}

LogicalResult evaluateOp(OneHotOp op, EvalContext &context, ArrayRef<Tensor> in,
                         SmallVectorImpl<Tensor> &out) {
  int64_t rank = in[0].rank() + 1,
          axis = (int64_t)op.getAxis() < 0 ? op.getAxis() + rank : op.getAxis(),
          size = op.getOneHotVectorSize();
  SmallVector<int64_t, 6> shape(in[0].shape());
  shape.insert(shape.begin() + axis, size);
  Tensor y = context.makeResult(op.getY(), shape);
  AxisView view(shape, axis);
  withStorage(y, [&](auto zero) {
    using T = decltype(zero);
    for (int64_t i = 0; i < y.size(); ++i) {
      int64_t o = i / (size * view.inner), k = i / view.inner % size,
              r = i % view.inner;
      mutableStorage<T>(y)[i] =
          storage<T>(in[in[0].ints()[o * view.inner + r] == k ? 1 : 2])[0];
    }
  });
  out.push_back(std::move(y));
  return success();
}

/// Stable order of the elements along one row; ties keep the lowest index
/// first.
template <typename T>
static std::vector<int64_t> sortedOrder(const T *row, int64_t count,
                                        int64_t stride, bool ascending) {
  std::vector<int64_t> order(count);
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return ascending ? row[a * stride] < row[b * stride]
                     : row[a * stride] > row[b * stride];
  });
  return order;
}
LogicalResult evaluateOp(ArgsortOp op, EvalContext &context,
                         ArrayRef<Tensor> in, SmallVectorImpl<Tensor> &out) {
  Tensor y = context.makeResult(op.getY(), in[0].shape());
  AxisView view(in[0].shape(), op.getAxis());
  withStorage(in[0], [&](auto zero) {
    for (int64_t o = 0; o < view.outer * view.inner; ++o) {
      int64_t base = o / view.inner * view.extent * view.inner + o % view.inner;
      auto order = sortedOrder(storage<decltype(zero)>(in[0]).data() + base,
                               view.extent, view.inner, op.getAscending());
      for (int64_t i = 0; i < view.extent; ++i)
        y.mutableInts()[base + i * view.inner] = order[i];
    }
  });
  out.push_back(std::move(y));
  return success();
}
LogicalResult evaluateOp(TopkOp op, EvalContext &context, ArrayRef<Tensor> in,
                         SmallVectorImpl<Tensor> &out) {
  AxisView view(in[0].shape(), op.getAxis());
  int64_t axis = (int64_t)op.getAxis() < 0 ? op.getAxis() + in[0].rank()
                                           : op.getAxis(),
          k = (int64_t)op.getK() == -1 ? view.extent : op.getK();
  SmallVector<int64_t, 6> shape(in[0].shape());
  shape[axis] = k;
  Tensor y = context.makeResult(op.getY(), shape),
         indices = context.makeResult(op.getIndices(), shape);
  withStorage(in[0], [&](auto zero) {
    using T = decltype(zero);
    for (int64_t o = 0; o < view.outer; ++o)
      for (int64_t r = 0; r < view.inner; ++r) {
        const T *row =
            storage<T>(in[0]).data() + o * view.extent * view.inner + r;
        auto order =
            sortedOrder(row, view.extent, view.inner, op.getAscending());
        for (int64_t i = 0; i < k; ++i) {
          int64_t at = (o * k + i) * view.inner + r;
          mutableStorage<T>(y)[at] = row[order[i] * view.inner];
          indices.mutableInts()[at] = order[i];
        }
      }
  });
  out.push_back(std::move(y));
  out.push_back(std::move(indices));
  return success();
}

LogicalResult evaluateOp(NonZeroOp op, EvalContext &context,
                         ArrayRef<Tensor> in, SmallVectorImpl<Tensor> &out) {
  std::vector<int64_t> found;
  withStorage(in[0], [&](auto zero) {
    for (auto [i, value] : llvm::enumerate(storage<decltype(zero)>(in[0])))
      if (value != 0)
        found.push_back(i);
  });
  Tensor y =
      context.makeResult(op.getY(), {int64_t(found.size()), in[0].rank()});
  auto strides = rowMajorStrides(in[0].shape());
  int64_t *target = y.mutableInts().data();
  for (int64_t flat : found)
    for (size_t d = 0; d < strides.size(); ++d, ++target)
      *target = flat / strides[d] % in[0].shape()[d];
  out.push_back(std::move(y));
  return success();
}

/// Intersection over union of boxes `a` and `b` of a [4,B] block of centres and
/// sizes.
static float overlap(const float *boxes, int64_t stride, int64_t a, int64_t b) {
  float shared = 1, areaA = 1, areaB = 1;
  for (int axis = 0; axis < 2; ++axis) {
    const float *centre = boxes + axis * stride,
                *size = boxes + (axis + 2) * stride;
    float low = std::max(centre[a] - size[a] / 2, centre[b] - size[b] / 2),
          high = std::min(centre[a] + size[a] / 2, centre[b] + size[b] / 2);
    shared *= std::max(high - low, 0.0f);
    areaA *= size[a];
    areaB *= size[b];
  }
  float joined = areaA + areaB - shared;
  return joined > 0 ? shared / joined : 0;
}

LogicalResult evaluateOp(NonMaximumSuppressionOp op, EvalContext &context,
                         ArrayRef<Tensor> in, SmallVectorImpl<Tensor> &out) {
  int64_t items = in[0].shape()[0], count = in[0].shape()[2],
          classes = in[1].shape()[1], most = op.getMaxBoxes();
  float threshold = op.getIouThreshold().convertToFloat();
  Tensor boxes = context.makeResult(op->getResult(0), {items, 4, most}),
         scores = context.makeResult(op->getResult(1), {items, classes, most}),
         indices = context.makeResult(op->getResult(2), {items, most});
  llvm::fill(indices.mutableInts(), -1);
  for (int64_t n = 0; n < items; ++n) {
    const float *box = in[0].floats().data() + n * 4 * count,
                *score = in[1].floats().data() + n * classes * count;
    // (class, box) by falling score; the class only where classes are apart.
    struct Candidate {
      float score;
      int64_t kind, box;
    };
    std::vector<Candidate> order;
    bool apart = op.getPerClassSuppression();
    for (int64_t b = 0; b < count; ++b) {
      int64_t best = 0;
      for (int64_t k = 0; k < classes; ++k) {
        if (apart)
          order.push_back({score[k * count + b], k, b});
        else if (score[k * count + b] > score[best * count + b])
          best = k;
      }
      if (!apart && classes)
        order.push_back({score[best * count + b], 0, b});
    }
    llvm::stable_sort(order, [](const Candidate &a, const Candidate &b) {
      return a.score > b.score;
    });
    SmallVector<Candidate> kept;
    for (const Candidate &candidate : order) {
      if ((int64_t)kept.size() == most)
        break;
      if (llvm::none_of(kept, [&](const Candidate &other) {
            return other.kind == candidate.kind &&
                   overlap(box, count, other.box, candidate.box) > threshold;
          }))
        kept.push_back(candidate);
    }
    for (auto [i, candidate] : llvm::enumerate(kept)) {
      indices.mutableInts()[n * most + i] = candidate.box;
      for (int64_t k = 0; k < 4; ++k)
        boxes.mutableFloats()[(n * 4 + k) * most + i] =
            box[k * count + candidate.box];
      for (int64_t k = 0; k < classes; ++k)
        scores.mutableFloats()[(n * classes + k) * most + i] =
            score[k * count + candidate.box];
    }
  }
  out.append({std::move(boxes), std::move(scores), std::move(indices)});
  return success();
}

#include "dialects/ANE/IR/GatherEvaluators.inc"
} // namespace mlir::ane
