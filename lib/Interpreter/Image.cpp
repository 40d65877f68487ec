//===- Image.cpp - sampling and cropping of images ------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// Grids, padding and box conventions are those of mil/numerics.md §8.
//
//===----------------------------------------------------------------------===//

#include "dialects/ANE/IR/Image.h"
#include "Evaluators.h"
#include <cmath>

using namespace mlir;
using namespace mlir::ane;

namespace mlir::ane {
/// Point i of `to` on an axis of `from` elements, not clamped.
static double gridPoint(GridMode mode, double i, double from, double to) {
  switch (mode) {
  case GridMode::DEFAULT:
    return i * from / to;
  case GridMode::STRICT_ALIGN_CORNERS:
    return to == 1 ? 0 : i * (from - 1) / (to - 1);
  case GridMode::ALIGN_CORNERS:
    return to == 1 ? (from - 1) / 2 : i * (from - 1) / (to - 1);
  case GridMode::OFFSET_CORNERS:
    return (i + 0.5) * std::max<double>(1, from - 1) / to;
  case GridMode::UNALIGN_CORNERS:
    return (i + 0.5) * from / to - 0.5;
  }
  llvm_unreachable("a mode of a grid");
}

/// Two neighbours and the weight of the second.
struct Between {
  int64_t low, high;
  float weight;
};
static std::vector<Between> linearTable(GridMode mode, int64_t from,
                                        int64_t to) {
  std::vector<Between> table;
  for (int64_t i = 0; i < to; ++i) {
    double point =
        std::clamp<double>(gridPoint(mode, i, from, to), 0, from - 1);
    int64_t low = int64_t(point);
    table.push_back({low, std::min(low + 1, from - 1), float(point - low)});
  }
  return table;
}

/// The last two axes, interpolated.
static void resizeBilinear(Value result, EvalContext &context, const Tensor &x,
                           int64_t height, int64_t width, GridMode mode,
                           SmallVectorImpl<Tensor> &out) {
  int64_t h = x.shape()[x.rank() - 2], w = x.shape().back();
  SmallVector<int64_t, 6> shape(x.shape());
  shape[x.rank() - 2] = height;
  shape[x.rank() - 1] = width;
  Tensor y = context.makeResult(result, shape);
  std::vector<Between> rows = linearTable(mode, h, height),
                       columns = linearTable(mode, w, width);
  int64_t planes = h * w ? x.size() / (h * w) : 0;
  float *to = y.mutableFloats().data();
  context.parallelFor(planes, 4, [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; ++p)
      for (int64_t i = 0; i < height; ++i)
        for (int64_t j = 0; j < width; ++j) {
          const Between &r = rows[i], &c = columns[j];
          const float *plane = x.floats().data() + p * h * w;
          float top = plane[r.low * w + c.low] * (1 - c.weight) +
                      plane[r.low * w + c.high] * c.weight,
                bottom = plane[r.high * w + c.low] * (1 - c.weight) +
                         plane[r.high * w + c.high] * c.weight;
          to[(p * height + i) * width + j] =
              top * (1 - r.weight) + bottom * r.weight;
        }
  });
  context.finish(y);
  out.push_back(std::move(y));
}

LogicalResult evaluateOp(ResizeBilinearOp op, EvalContext &context,
                         ArrayRef<Tensor> in, SmallVectorImpl<Tensor> &out) {
  resizeBilinear(op.getY(), context, in[0], op.getTargetSizeHeight(),
                 op.getTargetSizeWidth(), op.getSamplingMode(), out);
  return success();
}

LogicalResult evaluateOp(UpsampleBilinearOp op, EvalContext &context,
                         ArrayRef<Tensor> in, SmallVectorImpl<Tensor> &out) {
  auto scaled = [](int64_t extent, APFloat factor) {
    return floatToInteger(std::floor(extent * double(factor.convertToFloat())));
  };
  bool align = op.getAlignCorners(),
       half = op.getHalfPixelCenters().value_or(!align);
  resizeBilinear(
      op.getY(), context, in[0],
      scaled(in[0].shape()[in[0].rank() - 2], op.getScaleFactorHeight()),
      scaled(in[0].shape().back(), op.getScaleFactorWidth()),
      align  ? GridMode::STRICT_ALIGN_CORNERS
      : half ? GridMode::UNALIGN_CORNERS
             : GridMode::DEFAULT,
      out);
  return success();
}

LogicalResult evaluateOp(ResizeOp op, EvalContext &context, ArrayRef<Tensor> in,
                         SmallVectorImpl<Tensor> &out) {
  Tensor x = in[0];
  bool nearest = op.getInterpolationMode() == Interpolation::NEAREST_NEIGHBOR;
  int64_t first = x.rank() - op.getResizedDims();
  // One axis after the other: interpolation is separable.
  for (auto [i, wanted] : llvm::enumerate(op.getShape())) {
    int64_t axis = first + i, from = x.shape()[axis],
            to = wanted ? wanted : from;
    if (from == 0)
      return op.emitOpError() << "has an empty axis " << axis;
    SmallVector<int64_t, 6> shape(x.shape());
    shape[axis] = to;
    Tensor y(x.dtype(), shape);
    AxisView view(x.shape(), axis);
    std::vector<Between> table = linearTable(op.getSamplingMode(), from, to);
    withStorage(x, [&](auto zero) {
      using T = decltype(zero);
      auto source = storage<T>(x);
      auto target = mutableStorage<T>(y);
      for (int64_t o = 0; o < view.outer; ++o)
        for (int64_t j = 0; j < to; ++j)
          for (int64_t n = 0; n < view.inner; ++n) {
            Between at = table[j];
            if (nearest) { // halves go up, as in the runtime's 2 -> 3
              at.low = at.weight >= 0.5f ? at.high : at.low;
              at.weight = 0;
            }
            double low = source[(o * from + at.low) * view.inner + n],
                   high = source[(o * from + at.high) * view.inner + n];
            target[(o * to + j) * view.inner + n] =
                T(at.weight == 0 ? low
                                 : low * (1 - at.weight) + high * at.weight);
          }
    });
    x = y;
  }
  if (x.isFloat())
    context.finish(x);
  out.push_back(x);
  return success();
}

LogicalResult evaluateOp(CropOp op, EvalContext &context, ArrayRef<Tensor> in,
                         SmallVectorImpl<Tensor> &out) {
  const Tensor &x = in[0];
  int64_t h = x.shape()[x.rank() - 2], w = x.shape().back(),
          top = op.getCropHeight()[0], left = op.getCropWidth()[0],
          height = h - top - op.getCropHeight()[1],
          width = w - left - op.getCropWidth()[1];
  if (height < 0 || width < 0)
    return op.emitOpError() << "crops more than " << h << " by " << w;
  SmallVector<int64_t, 6> shape(x.shape());
  shape[x.rank() - 2] = height;
  shape[x.rank() - 1] = width;
  Tensor y = context.makeResult(op.getY(), shape);
  withStorage(x, [&](auto zero) {
    using T = decltype(zero);
    auto source = storage<T>(x);
    auto target = mutableStorage<T>(y);
    int64_t planes = h * w ? x.size() / (h * w) : 0;
    for (int64_t p = 0; p < planes; ++p)
      for (int64_t i = 0; i < height; ++i)
        std::copy_n(source.data() + (p * h + top + i) * w + left, width,
                    target.data() + (p * height + i) * width);
  });
  out.push_back(std::move(y));
  return success();
}

static double valueAt(const Tensor &tensor, int64_t i) {
  return tensor.isFloat() ? tensor.floats()[i] : double(tensor.ints()[i]);
}

LogicalResult evaluateOp(CropResizeOp op, EvalContext &context,
                         ArrayRef<Tensor> in, SmallVectorImpl<Tensor> &out) {
  const Tensor &x = in[0], &boxes = in[1];
  int64_t count = boxes.shape()[0], batch = x.shape()[0],
          channels = x.shape()[1], h = x.shape()[2], w = x.shape()[3],
          height = op.getTargetHeight(), width = op.getTargetWidth();
  double scale = op.getSpatialScale().convertToFloat();
  float fill = op.getPadValue().convertToFloat();
  BoxCoordinates layout = op.getBoxCoordinateMode();
  GridMode mode = op.getSamplingMode();
  Tensor y = context.makeResult(op.getY(), {count, channels, height, width});
  for (int64_t n = 0; n < count; ++n) {
    int64_t image = in.size() > 2 ? in[2].ints()[n] : n;
    if (image < 0 || image >= batch)
      return op.emitOpError() << "box " << n << " is of image " << image
                              << ", but there are " << batch;
    double c[4];
    for (int i = 0; i < 4; ++i)
      c[i] = valueAt(boxes, n * 4 + i);
    if (layout == BoxCoordinates::CORNERS_WIDTH_FIRST ||
        layout == BoxCoordinates::CENTER_SIZE_WIDTH_FIRST) {
      std::swap(c[0], c[1]);
      std::swap(c[2], c[3]);
    }
    if (layout == BoxCoordinates::CENTER_SIZE_HEIGHT_FIRST ||
        layout == BoxCoordinates::CENTER_SIZE_WIDTH_FIRST) {
      double centerY = c[0], centerX = c[1], sizeY = c[2], sizeX = c[3];
      c[0] = centerY - sizeY / 2;
      c[1] = centerX - sizeX / 2;
      c[2] = centerY + sizeY / 2;
      c[3] = centerX + sizeX / 2;
    }
    for (int i = 0; i < 4; ++i) {
      if (op.getNormalizedCoordinates())
        c[i] *= (i % 2 ? w : h) - 1;
      c[i] *= scale;
    }
    auto point = [&](double start, double end, int64_t i, int64_t to) {
      return start + gridPoint(mode, i, end - start + 1, to);
    };
    for (int64_t k = 0; k < channels; ++k) {
      const float *plane = x.floats().data() + (image * channels + k) * h * w;
      for (int64_t i = 0; i < height; ++i)
        for (int64_t j = 0; j < width; ++j) {
          double py = point(c[0], c[2], i, height),
                 px = point(c[1], c[3], j, width);
          float value = fill;
          if (py >= 0 && py <= h - 1 && px >= 0 && px <= w - 1) {
            int64_t y0 = int64_t(py), x0 = int64_t(px),
                    y1 = std::min(y0 + 1, h - 1), x1 = std::min(x0 + 1, w - 1);
            float fy = float(py - y0), fx = float(px - x0);
            value =
                (plane[y0 * w + x0] * (1 - fx) + plane[y0 * w + x1] * fx) *
                    (1 - fy) +
                (plane[y1 * w + x0] * (1 - fx) + plane[y1 * w + x1] * fx) * fy;
          }
          y.mutableFloats()[((n * channels + k) * height + i) * width + j] =
              value;
        }
    }
  }
  context.finish(y);
  out.push_back(std::move(y));
  return success();
}

namespace {
/// How positions of resample and affine are read.
struct Sampling {
  SampleMode mode;
  SamplePadding padding;
  SampleCoordinates coordinates;
  bool alignCorners;
  float fill;

  double denormalise(double v, int64_t extent) const {
    if (coordinates == SampleCoordinates::normalized_minus_one_to_one)
      return alignCorners ? (v + 1) / 2 * (extent - 1)
                          : ((v + 1) * extent - 1) / 2;
    if (coordinates == SampleCoordinates::normalized_zero_to_one)
      return alignCorners ? v * (extent - 1) : v * extent - 0.5;
    return v;
  }
  /// The element that stands at a place outside, or -1 for the fill.
  int64_t resolve(int64_t i, int64_t extent) const {
    if (i >= 0 && i < extent)
      return i;
    if (padding == SamplePadding::border)
      return std::clamp<int64_t>(i, 0, extent - 1);
    if (padding == SamplePadding::constant)
      return -1;
    bool repeat =
        padding == SamplePadding::symmetric; // the edge is its own mirror image
    int64_t period = repeat ? 2 * extent : std::max<int64_t>(2 * extent - 2, 1);
    i = ((i % period) + period) % period;
    if (i >= extent)
      i = repeat ? period - 1 - i : period - i;
    return i;
  }
  float sample(const float *plane, int64_t h, int64_t w, double py,
               double px) const {
    auto at = [&](int64_t r, int64_t c) {
      r = resolve(r, h);
      c = resolve(c, w);
      return r < 0 || c < 0 ? fill : plane[r * w + c];
    };
    // Not a number, or too far away to count.
    if (!(std::fabs(py) < 1e9 && std::fabs(px) < 1e9))
      return padding == SamplePadding::constant ? fill : at(0, 0);
    if (mode == SampleMode::nearest)
      return at(floatToInteger(std::nearbyint(py)),
                floatToInteger(std::nearbyint(px)));
    double y0 = std::floor(py), x0 = std::floor(px);
    float fy = float(py - y0), fx = float(px - x0);
    int64_t r = int64_t(y0), c = int64_t(x0);
    return (at(r, c) * (1 - fx) + at(r, c + 1) * fx) * (1 - fy) +
           (at(r + 1, c) * (1 - fx) + at(r + 1, c + 1) * fx) * fy;
  }
};
} // namespace

template <typename Op>
static Sampling samplingOf(Op op) {
  return {op.getSamplingMode(), op.getPaddingMode(), op.getCoordinatesMode(),
          bool(op.getAlignCorners()), op.getPaddingValue().convertToFloat()};
}

/// position(n, i, j) is (x, y) as the op has it.
static Tensor sampleImages(
    const Sampling &sampling, EvalContext &context, Value result,
    const Tensor &x, int64_t height, int64_t width,
    llvm::function_ref<std::pair<double, double>(int64_t, int64_t, int64_t)>
        position) {
  int64_t channels = x.shape()[1], h = x.shape()[2], w = x.shape()[3];
  Tensor y =
      context.makeResult(result, {x.shape()[0], channels, height, width});
  for (int64_t n = 0; n < x.shape()[0]; ++n)
    for (int64_t i = 0; i < height; ++i)
      for (int64_t j = 0; j < width; ++j) {
        auto [px, py] = position(n, i, j);
        px = sampling.denormalise(px, w);
        py = sampling.denormalise(py, h);
        for (int64_t c = 0; c < channels; ++c)
          y.mutableFloats()[((n * channels + c) * height + i) * width + j] =
              sampling.sample(x.floats().data() + (n * channels + c) * h * w, h,
                              w, py, px);
      }
  context.finish(y);
  return y;
}

LogicalResult evaluateOp(ResampleOp op, EvalContext &context,
                         ArrayRef<Tensor> in, SmallVectorImpl<Tensor> &out) {
  const Tensor &grid = in[1];
  int64_t height = grid.shape()[1], width = grid.shape()[2];
  out.push_back(sampleImages(samplingOf(op), context, op.getY(), in[0], height,
                             width, [&](int64_t n, int64_t i, int64_t j) {
                               int64_t at = ((n * height + i) * width + j) * 2;
                               return std::pair(valueAt(grid, at),
                                                valueAt(grid, at + 1));
                             }));
  return success();
}

LogicalResult evaluateOp(AffineOp op, EvalContext &context, ArrayRef<Tensor> in,
                         SmallVectorImpl<Tensor> &out) {
  const Tensor &matrix = in[1];
  int64_t height = op.getOutputHeight(), width = op.getOutputWidth();
  Sampling sampling = samplingOf(op);
  // The output's own grid, in the coordinates that the matrix maps from.
  auto grid = [&](int64_t i, int64_t extent) -> double {
    if (sampling.coordinates == SampleCoordinates::unnormalized)
      return i;
    double unit = sampling.alignCorners
                      ? (extent == 1 ? 0.5 : double(i) / (extent - 1))
                      : (i + 0.5) / extent;
    return sampling.coordinates == SampleCoordinates::normalized_zero_to_one
               ? unit
               : 2 * unit - 1;
  };
  out.push_back(sampleImages(sampling, context, op.getY(), in[0], height, width,
                             [&](int64_t n, int64_t i, int64_t j) {
                               const float *m =
                                   matrix.floats().data() +
                                   (matrix.shape()[0] == 1 ? 0 : n * 6);
                               double gx = grid(j, width), gy = grid(i, height);
                               return std::pair(m[0] * gx + m[1] * gy + m[2],
                                                m[3] * gx + m[4] * gy + m[5]);
                             }));
  return success();
}

/// Batch entry (by·block + bx)·B + b holds every block'th pixel from (by, bx)
/// of the padded image b: TensorFlow's order.
static void moveBlocks(const Tensor &image, Tensor &batches, bool intoBatch,
                       ArrayRef<int64_t> block, ArrayRef<int64_t> edges,
                       Tensor &target) {
  ArrayRef<int64_t> shape = image.shape(), small = batches.shape();
  withStorage(image, [&](auto zero) {
    using T = decltype(zero);
    auto from = storage<T>(intoBatch ? image : batches);
    auto to = mutableStorage<T>(target);
    for (int64_t n = 0; n < small[0]; ++n)
      for (int64_t c = 0; c < small[1]; ++c)
        for (int64_t i = 0; i < small[2]; ++i)
          for (int64_t j = 0; j < small[3]; ++j) {
            int64_t part = n / shape[0], b = n % shape[0],
                    row = i * block[0] + part / block[1] - edges[0],
                    column = j * block[1] + part % block[1] - edges[2];
            if (row < 0 || column < 0 || row >= shape[2] || column >= shape[3])
              continue; // padding stays 0
            int64_t whole = ((b * shape[1] + c) * shape[2] + row) * shape[3] +
                            column,
                    piece = ((n * small[1] + c) * small[2] + i) * small[3] + j;
            to[intoBatch ? piece : whole] = from[intoBatch ? whole : piece];
          }
  });
}
LogicalResult evaluateOp(SpaceToBatchOp op, EvalContext &context,
                         ArrayRef<Tensor> in, SmallVectorImpl<Tensor> &out) {
  Tensor y = context.makeResult(
      op.getY(), cast<RankedTensorType>(op.getY().getType()).getShape());
  moveBlocks(in[0], y, true, op.getBlockShape(), in[1].ints(), y);
  out.push_back(std::move(y));
  return success();
}
LogicalResult evaluateOp(BatchToSpaceOp op, EvalContext &context,
                         ArrayRef<Tensor> in, SmallVectorImpl<Tensor> &out) {
  Tensor y = context.makeResult(
             op.getY(), cast<RankedTensorType>(op.getY().getType()).getShape()),
         batches = in[0];
  moveBlocks(y, batches, false, op.getBlockShape(), in[1].ints(), y);
  out.push_back(std::move(y));
  return success();
}

#include "dialects/ANE/IR/ImageEvaluators.inc"
} // namespace mlir::ane
