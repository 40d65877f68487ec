//===- Conv.cpp - convolution, pooling, matrix products -------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "Lowering.h"
#include "dialects/ANE/IR/Arithmetic.h"
#include "dialects/ANE/IR/Linear.h"
#include "dialects/ANE/IR/Pool.h"
#include "dialects/ANE/IR/Reduction.h"
#include "dialects/ANE/IR/Shape.h"
#include "dialects/ANE/IR/Unary.h"
#include "llvm/Support/MathExtras.h"
#include <cmath>
#include <map>

using namespace mlir;
using namespace mlir::ane;

using C = NodeContext;

FailureOr<ONNXWindow>
mlir::ane::readWindow(C &c, ArrayRef<int64_t> input,
                      std::optional<ArrayRef<int64_t>> kernelFromWeight) {
  ONNXWindow window;
  size_t spatial = input.size();
  if (auto kernel = c.getInts("kernel_shape"))
    window.kernel = *kernel;
  else if (kernelFromWeight)
    window.kernel.assign(kernelFromWeight->begin(), kernelFromWeight->end());
  window.strides =
      c.getInts("strides").value_or(SmallVector<int64_t>(spatial, 1));
  window.dilations =
      c.getInts("dilations").value_or(SmallVector<int64_t>(spatial, 1));
  SmallVector<int64_t> pads =
      c.getInts("pads").value_or(SmallVector<int64_t>(2 * spatial, 0));
  if (window.kernel.size() != spatial || window.strides.size() != spatial ||
      window.dilations.size() != spatial || pads.size() != 2 * spatial)
    return c.error() << "expects kernel_shape, strides and dilations of "
                     << spatial << " and pads of " << 2 * spatial << " entries";
  for (ArrayRef<int64_t> list :
       {ArrayRef<int64_t>(window.kernel), ArrayRef<int64_t>(window.strides),
        ArrayRef<int64_t>(window.dilations)})
    for (int64_t value : list)
      if (value < 1 || value > INT32_MAX)
        return c.error() << "expects positive kernel_shape, strides and "
                            "dilations below 2^31, but got "
                         << value;
  std::string mode = c.getString("auto_pad", "NOTSET");
  for (size_t i = 0; i < spatial; ++i) {
    int64_t before = pads[i], after = pads[spatial + i];
    if (mode == "SAME_UPPER" || mode == "SAME_LOWER") {
      int64_t outputs = llvm::divideCeilSigned(input[i], window.strides[i]);
      int64_t total = (outputs - 1) * window.strides[i] +
                      (window.kernel[i] - 1) * window.dilations[i] + 1 -
                      input[i];
      bool upper = mode == "SAME_UPPER";
      if (total >= 0 || !kernelFromWeight) {
        total = std::max<int64_t>(total, 0);
        before = upper ? total / 2 : total - total / 2;
        after = total - before;
      } else {
        // Strides that step over elements: a convolution of ONNX Runtime begins
        // so far inside (compared for kernels of 1 to 4 and strides up to 13).
        before = (total + (upper ? 1 : 2)) / 2;
        after = 0;
      }
    } else if (mode == "VALID") {
      before = after = 0;
    } else if (mode != "NOTSET" && !mode.empty()) {
      return c.error() << "expects 'auto_pad' to be NOTSET, VALID, SAME_UPPER "
                          "or SAME_LOWER, but got '"
                       << mode << "'";
    }
    if (!llvm::isInt<32>(before) || !llvm::isInt<32>(after))
      return c.error() << "expects pads below 2^31, but got " << before
                       << " and " << after;
    window.pads.push_back(before);
    window.pads.push_back(after);
  }
  return window;
}

static PadType padTypeOf(ArrayRef<int64_t> pads) {
  return llvm::any_of(pads, [](int64_t p) { return p != 0; }) ? PadType::custom
                                                              : PadType::valid;
}

template <typename Op>
static Attributes<Op> convAttributes(const ONNXWindow &window, int64_t groups) {
  return {.strides = window.strides,
          .pad_type = padTypeOf(window.pads),
          .pad = window.pads,
          .dilations = window.dilations,
          .groups = groups};
}

Value mlir::ane::cropNegativePads(C &c, Value x, ONNXWindow &window) {
  for (size_t i = 0; i < window.pads.size() / 2 && x; ++i) {
    int64_t &before = window.pads[2 * i], &after = window.pads[2 * i + 1];
    if (before < 0 || after < 0) {
      int64_t begin = std::max<int64_t>(0, -before),
              end = c.shape(x)[i + 2] - std::max<int64_t>(0, -after);
      x = c.slice(x, i + 2, begin, end);
      before = std::max<int64_t>(before, 0);
      after = std::max<int64_t>(after, 0);
    }
  }
  return x;
}

static LogicalResult lowerConv(C &c) {
  Value x = c.input(0), w = c.input(1);
  if (!x || !w || c.rank(x) < 3 || c.rank(w) != c.rank(x))
    return c.error() << "expects an input of rank 3 or more and a weight of "
                        "the same rank";
  FailureOr<ONNXWindow> window =
      readWindow(c, c.shape(x).drop_front(2), c.shape(w).drop_front(2));
  if (failed(window))
    return failure();
  x = cropNegativePads(c, x, *window);
  return c.set(0, c.create<ConvOp>(
                      {x, w, c.input(2)},
                      convAttributes<ConvOp>(*window, c.getInt("group", 1))));
}

static LogicalResult lowerConvTranspose(C &c) {
  Value x = c.input(0), w = c.input(1);
  if (!x || !w || c.rank(x) < 3 || c.rank(w) != c.rank(x))
    return c.error() << "expects an input of rank 3 or more and a weight of "
                        "the same rank";
  size_t spatial = c.rank(x) - 2;
  SmallVector<int64_t> kernel(c.shape(w).drop_front(2)),
      strides = c.getInts("strides").value_or(SmallVector<int64_t>(spatial, 1)),
      dilations =
          c.getInts("dilations").value_or(SmallVector<int64_t>(spatial, 1)),
      pads = c.getInts("pads").value_or(SmallVector<int64_t>(2 * spatial, 0)),
      extra = c.getInts("output_padding")
                  .value_or(SmallVector<int64_t>(spatial, 0));
  std::optional<SmallVector<int64_t>> wanted = c.getInts("output_shape");
  std::string mode = c.getString("auto_pad", "NOTSET");
  if (strides.size() != spatial || dilations.size() != spatial ||
      pads.size() != 2 * spatial || extra.size() != spatial ||
      (wanted && wanted->size() != spatial && wanted->size() != spatial + 2))
    return c.error() << "expects strides, dilations, output_padding of "
                     << spatial << " and pads of " << 2 * spatial << " entries";
  // The full result, then the window of it that ONNX asks for: a crop, and
  // zeros where it hangs over.
  ONNXWindow window{kernel, strides, dilations,
                    SmallVector<int64_t>(2 * spatial, 0)};
  SmallVector<int64_t> begins, ends;
  for (size_t i = 0; i < spatial; ++i) {
    int64_t full = (c.shape(x)[i + 2] - 1) * strides[i] +
                   (kernel[i] - 1) * dilations[i] + 1,
            before = pads[i], after = pads[spatial + i];
    int64_t size = full + extra[i] - before - after;
    if (wanted || mode == "SAME_UPPER" || mode == "SAME_LOWER") {
      // SAME never pads with less than nothing: a kernel shorter than its
      // stride gives less than input * stride, as ONNX's shape inference says.
      size = wanted ? (*wanted)[wanted->size() - spatial + i]
                    : std::min(c.shape(x)[i + 2] * strides[i], full + extra[i]);
      int64_t total = std::max<int64_t>(
          0, full + extra[i] - size); // what is missing hangs over at the end
      before = mode == "SAME_UPPER" ? total / 2 : total - total / 2;
      if (wanted && mode != "SAME_UPPER")
        before = total - total / 2;
    } else if (mode == "VALID") {
      before = 0;
      size = full + extra[i];
    }
    begins.push_back(before);
    ends.push_back(before + size);
    if (ends.back() <= begins.back())
      return c.error() << "expects a positive output extent of axis " << i + 2;
    window.pads[2 * i] = std::clamp<int64_t>(begins[i], 0, full);
    window.pads[2 * i + 1] = std::clamp<int64_t>(full - ends[i], 0, full);
    if (window.pads[2 * i] + window.pads[2 * i + 1] >= full)
      return c.error() << "crops everything of axis " << i + 2;
  }
  // Where the window hangs over, zeros come before the bias, so the bias is
  // added at the end.
  bool hangs = false;
  SmallVector<int64_t> zeros;
  for (size_t i = 0; i < spatial; ++i) {
    int64_t full = (c.shape(x)[i + 2] - 1) * strides[i] +
                   (kernel[i] - 1) * dilations[i] + 1;
    zeros.push_back(std::max<int64_t>(0, -begins[i]));
    zeros.push_back(std::max<int64_t>(0, ends[i] - full));
    hangs |= zeros[2 * i] || zeros[2 * i + 1];
  }
  Value y = c.create<ConvTransposeOp>(
      {x, w, hangs ? Value() : c.input(2)},
      convAttributes<ConvTransposeOp>(window, c.getInt("group", 1)));
  if (hangs) {
    y = c.create<PadOp>({y}, {.pad = zeros});
    if (Value bias = c.input(2); bias && y) {
      SmallVector<int64_t> shape(c.rank(y) - 1, 1);
      shape[0] = c.shape(bias)[0];
      y = c.add(y, c.reshape(bias, shape));
    }
  }
  return c.set(0, y);
}

/// A padding of a pool as large as its window would make windows of nothing;
/// ONNX Runtime refuses it too.
static LogicalResult checkPoolPads(C &c, const ONNXWindow &window) {
  for (auto [i, pad] : llvm::enumerate(window.pads))
    if (pad < 0 || pad >= window.kernel[i / 2])
      return c.error() << "expects pads in [0, " << window.kernel[i / 2]
                       << "), as its window has it, but got " << pad;
  return success();
}

/// Slices of a dilated pool.
static constexpr int64_t kMostTaps = 4096;

/// max over strided, dilated slices, one axis after the other: for dilations,
/// which MIL's pools do not have.
static Value dilatedMaxPool(C &c, Value x, const ONNXWindow &window,
                            ArrayRef<int64_t> outputs) {
  double taps = 0;
  for (int64_t extent : window.kernel)
    taps += double(extent);
  if (taps > kMostTaps)
    return c.error() << "with dilations expects a window whose sides have at "
                        "most "
                     << kMostTaps << " places together, but got ["
                     << ArrayRef<int64_t>(window.kernel) << "]",
           Value();
  int64_t rank = c.rank(x), spatial = outputs.size();
  SmallVector<int64_t> pads;
  for (int64_t i = 0; i < spatial; ++i) {
    int64_t need = (outputs[i] - 1) * window.strides[i] +
                   (window.kernel[i] - 1) * window.dilations[i] + 1;
    pads.push_back(window.pads[2 * i]);
    pads.push_back(
        std::max<int64_t>(0, need - c.shape(x)[i + 2] - window.pads[2 * i]));
  }
  Value best = c.create<PadOp>({x}, {.pad = pads, .constant_val = -INFINITY});
  for (int64_t i = 0; i < spatial && best && !c.failed(); ++i) {
    Value whole = best;
    SmallVector<int64_t> begin(rank), end(c.shape(whole)), stride(rank, 1);
    stride[i + 2] = window.strides[i];
    best = Value();
    for (int64_t at = 0; at < window.kernel[i]; ++at) {
      begin[i + 2] = at * window.dilations[i];
      end[i + 2] = begin[i + 2] + (outputs[i] - 1) * window.strides[i] + 1;
      Value tap = c.create<SliceByIndexOp>(
          {whole}, {.begin = begin, .end = end, .stride = stride});
      best = best ? c.create<MaximumOp>({best, tap}) : tap;
    }
  }
  return best;
}

/// Output extents of an ONNX pool (ceil_mode drops a last window that starts in
/// the end padding).
static SmallVector<int64_t> poolOutputs(ArrayRef<int64_t> input,
                                        const ONNXWindow &w, bool ceilMode) {
  SmallVector<int64_t> outputs;
  for (size_t i = 0; i < input.size(); ++i) {
    int64_t room = input[i] + w.pads[2 * i] + w.pads[2 * i + 1] -
                   ((w.kernel[i] - 1) * w.dilations[i] + 1);
    int64_t extent = (ceilMode ? llvm::divideCeilSigned(room, w.strides[i])
                               : llvm::divideFloorSigned(room, w.strides[i])) +
                     1;
    if (ceilMode && (extent - 1) * w.strides[i] >= input[i] + w.pads[2 * i])
      --extent;
    outputs.push_back(extent);
  }
  return outputs;
}

/// The flat position of each window's first maximum, as the Indices output
/// counts: over the whole tensor, row-major or (storage_order 1) column-major
/// within a channel.
static Value maxPoolIndices(C &c, Value x, const ONNXWindow &window,
                            ArrayRef<int64_t> outputs) {
  ArrayRef<int64_t> shape = c.shape(x);
  int64_t spatial = outputs.size(), planes = shape[0] * shape[1], points = 1,
          taps = 1, extent = 1;
  double entries = 1;
  for (int64_t i = 0; i < spatial; ++i)
    entries *= double(outputs[i]) * double(window.kernel[i]);
  if (entries > (1 << 24) || c.type(x).getNumElements() > INT32_MAX)
    return c.error() << "with the Indices output is too large: windows of ["
                     << ArrayRef<int64_t>(window.kernel) << "] at [" << outputs
                     << "] places",
           Value();
  for (int64_t i = 0; i < spatial; ++i) {
    points *= outputs[i];
    taps *= window.kernel[i];
    extent *= shape[i + 2];
  }
  auto outStrides = rowMajorStrides(outputs);
  auto tapStrides = rowMajorStrides(window.kernel);
  bool columnMajor = c.getInt("storage_order", 0);
  SmallVector<int64_t> source(points * taps), reported(points * taps);
  for (int64_t p = 0; p < points; ++p)
    for (int64_t k = 0; k < taps; ++k) {
      int64_t row = 0, column = 0, step = 1;
      bool inside = true;
      for (int64_t i = 0; i < spatial; ++i) {
        int64_t at = p / outStrides[i] % outputs[i] * window.strides[i] -
                     window.pads[2 * i] +
                     k / tapStrides[i] % window.kernel[i] * window.dilations[i];
        inside &= at >= 0 && at < shape[i + 2];
        row = row * shape[i + 2] + at;
        column += at * step;
        step *= shape[i + 2];
      }
      source[p * taps + k] = inside ? row : extent; // one past: -inf
      reported[p * taps + k] = inside ? (columnMajor ? column : row) : 0;
    }
  Value flat = c.create<PadOp>({c.reshape(x, {planes, extent})},
                               {.pad = {0, 1}, .constant_val = -INFINITY});
  Value windows = c.gather(flat, c.ints({points * taps}, source), 1);
  if (!windows)
    return {};
  Value best = c.create<ReduceArgmaxOp>(
      {c.reshape(windows, {planes, points, taps})}, {.axis = 2});
  SmallVector<int64_t> first(points), base(planes);
  for (int64_t p = 0; p < points; ++p)
    first[p] = p * taps;
  for (int64_t n = 0; n < planes; ++n)
    base[n] = n * extent;
  Value index = c.gather(c.ints({points * taps}, reported),
                         c.add(best, c.ints({1, points}, first)), 0);
  index = c.add(index, c.ints({planes, 1}, base));
  SmallVector<int64_t> result{shape[0], shape[1]};
  llvm::append_range(result, outputs);
  return index
             ? c.castTo(c.reshape(index, result), c.graph.builder.getI64Type())
             : index;
}

/// ONNX Runtime computes SAME pads of a dilated pool as if it had no dilation,
/// so that fewer windows fit than ONNX's formula says. What the model declares
/// of its output decides, else ONNX Runtime.
static void undilateSamePads(C &c, ArrayRef<int64_t> input,
                             ONNXWindow &window) {
  std::string mode = c.getString("auto_pad", "NOTSET");
  if (!StringRef(mode).starts_with("SAME_"))
    return;
  ONNXWindow theirs = window;
  SmallVector<int64_t> outputs;
  for (size_t i = 0; i < input.size(); ++i) {
    outputs.push_back(llvm::divideCeilSigned(input[i], window.strides[i]));
    int64_t total = std::max<int64_t>(0, (outputs[i] - 1) * window.strides[i] +
                                             window.kernel[i] - input[i]),
            before = mode == "SAME_UPPER" ? total / 2 : total - total / 2;
    theirs.pads[2 * i] = before;
    theirs.pads[2 * i + 1] = total - before;
  }
  auto declared = c.declaredShape(0);
  bool tells = declared && declared->size() == input.size() + 2;
  auto extents =
      tells ? ArrayRef<int64_t>(*declared).drop_front(2) : ArrayRef<int64_t>();
  if (!tells || extents != ArrayRef<int64_t>(outputs) ||
      extents == ArrayRef<int64_t>(
                     poolOutputs(input, theirs, c.getInt("ceil_mode", 0))))
    window = theirs;
}

static LogicalResult lowerPool(C &c) {
  Value x = c.input(0);
  if (!x || c.rank(x) < 3 || c.rank(x) > 5)
    return c.error() << "expects an input of rank 3 to 5";
  FailureOr<ONNXWindow> window =
      readWindow(c, c.shape(x).drop_front(2), std::nullopt);
  if (failed(window) ||
      (StringRef(c.getString("auto_pad", "NOTSET")) == "NOTSET" &&
       failed(checkPoolPads(c, *window))))
    return failure();
  undilateSamePads(c, c.shape(x).drop_front(2), *window);
  bool ceilMode = c.getInt("ceil_mode", 0), max = c.opType() == "MaxPool",
       average = c.opType() == "AveragePool";
  Type original = c.element(x);
  if (!isa<FloatType>(original))
    x = c.castTo(x, c.graph.builder.getF32Type());
  SmallVector<int64_t> outputs =
      poolOutputs(c.shape(x).drop_front(2), *window, ceilMode);
  for (int64_t extent : outputs)
    if (extent < 1)
      return c.error()
             << "expects the padded input to hold at least one window of ["
             << ArrayRef<int64_t>(window->kernel) << "]";
  bool dilated =
      llvm::any_of(window->dilations, [](int64_t d) { return d != 1; });
  // MIL's ceil_mode wants symmetric pads; end padding that makes the floor
  // formula fit does the same.
  ONNXWindow floorWindow = *window;
  bool overhang = false;
  for (size_t i = 0; i < outputs.size(); ++i) {
    int64_t need = (outputs[i] - 1) * window->strides[i] +
                   (window->kernel[i] - 1) * window->dilations[i] + 1;
    int64_t after = need - c.shape(x)[i + 2] - window->pads[2 * i];
    overhang |= after > window->pads[2 * i + 1];
    floorWindow.pads[2 * i + 1] = std::max(after, window->pads[2 * i + 1]);
  }
  PadType padType = padTypeOf(floorWindow.pads);
  Value y;
  if (max) {
    if (c.isUsed(1))
      c.put(1, maxPoolIndices(c, x, *window, outputs));
    y = dilated ? dilatedMaxPool(c, x, *window, outputs)
                : c.create<MaxPoolOp>({x}, {.kernel_sizes = window->kernel,
                                            .strides = window->strides,
                                            .pad_type = padType,
                                            .pad = floorWindow.pads});
  } else {
    // Sum over the window as a depthwise convolution of ones where no pool
    // fits: dilations, ceil overhang, p-norms.
    bool include = average && c.getInt("count_include_pad", 0);
    int64_t p = c.getInt("p", 2);
    auto windowSum = [&](Value value, const ONNXWindow &w) {
      SmallVector<int64_t> ones{c.shape(value)[1], 1};
      if (ones[0] == 0) { // no groups, no convolution
        SmallVector<int64_t> empty(c.shape(value).take_front(2));
        llvm::append_range(empty, outputs);
        return c.broadcastTo(c.scalarLike(0, value), empty);
      }
      llvm::append_range(ones, w.kernel);
      Value kernel = c.graph.constant(
          c.loc, DenseElementsAttr::get(
                     RankedTensorType::get(ones, c.element(value)),
                     FloatAttr::get(cast<FloatType>(c.element(value)), 1)));
      return c.create<ConvOp>({value, kernel},
                              convAttributes<ConvOp>(w, ones[0]));
    };
    if (average && !dilated && (!overhang || !include)) {
      y = c.create<AvgPoolOp>({x}, {.kernel_sizes = window->kernel,
                                    .strides = window->strides,
                                    .pad_type = padType,
                                    .pad = floorWindow.pads,
                                    .exclude_padding_from_average = !include});
    } else if (average) {
      // Real elements per window, counted by the same sum over ones (with
      // explicit padding when it counts).
      SmallVector<int64_t> shape(c.shape(x));
      shape[0] = shape[1] = 1;
      Value counted = c.broadcastTo(c.scalarLike(1, x), shape);
      ONNXWindow countWindow = floorWindow;
      if (include) {
        counted = c.create<PadOp>({counted},
                                  {.pad = window->pads, .constant_val = 1});
        for (size_t i = 0; i < outputs.size(); ++i) {
          countWindow.pads[2 * i] = 0;
          countWindow.pads[2 * i + 1] -= window->pads[2 * i + 1];
        }
      }
      Value sum = windowSum(x, floorWindow),
            count = counted ? windowSum(counted, countWindow) : counted;
      // A window of nothing but padding is 0.
      count =
          count ? c.create<MaximumOp>({count, c.scalarLike(1, count)}) : count;
      y = c.div(sum, count);
    } else { // LpPool
      Value magnitude = c.create<AbsOp>({x});
      Value power = p == 1   ? magnitude
                    : p == 2 ? c.mul(x, x)
                             : c.create<PowOp>({magnitude, c.scalarLike(p, x)});
      y = power ? windowSum(power, floorWindow) : power;
      if (p == 2)
        y = c.create<SqrtOp>({y});
      else if (p != 1)
        y = c.create<PowOp>({y, c.scalarLike(1.0 / p, y)});
    }
  }
  return c.set(0, c.castTo(y, original));
}

static LogicalResult lowerGlobalPool(C &c) {
  Value x = c.input(0);
  if (c.rank(x) < 3)
    return c.error() << "expects an input of rank 3 or more";
  SmallVector<int64_t> axes;
  for (int64_t i = 2; i < c.rank(x); ++i)
    axes.push_back(i);
  if (c.opType() == "GlobalAveragePool")
    return c.set(
        0, c.create<ReduceMeanOp>({x}, {.axes = axes, .keep_dims = true}));
  if (c.opType() == "GlobalMaxPool")
    return c.set(0,
                 c.create<ReduceMaxOp>({x}, {.axes = axes, .keep_dims = true}));
  int64_t p = c.getInt("p", 2);
  if (p == 2)
    return c.set(
        0, c.create<ReduceL2NormOp>({x}, {.axes = axes, .keep_dims = true}));
  if (p == 1)
    return c.set(
        0, c.create<ReduceL1NormOp>({x}, {.axes = axes, .keep_dims = true}));
  Value sum = c.create<ReduceSumOp>(
      {c.create<PowOp>({c.create<AbsOp>({x}), c.scalarLike(p, x)})},
      {.axes = axes, .keep_dims = true});
  return c.set(0, c.create<PowOp>({sum, c.scalarLike(1.0 / p, x)}));
}

static LogicalResult lowerMatMul(C &c) {
  return c.set(0, c.create<MatmulOp>({c.input(0), c.input(1)}));
}

static LogicalResult lowerFusedMatMul(C &c) {
  Value a = c.input(0), b = c.input(1);
  if (c.getInt("transBatchA", 0) || c.getInt("transBatchB", 0))
    return c.error() << "with transBatchA or transBatchB is not supported";
  Value y = c.create<MatmulOp>({a, b}, {.transpose_x = c.getInt("transA", 0),
                                        .transpose_y = c.getInt("transB", 0)});
  double alpha = c.getFloat("alpha", 1);
  return c.set(0, alpha == 1 ? y : c.mul(y, c.scalarLike(alpha, y)));
}

static LogicalResult lowerGemm(C &c) {
  Value a = c.input(0), b = c.input(1), bias = c.input(2);
  if (c.rank(a) != 2 || c.rank(b) != 2)
    return c.error() << "expects matrices, but got " << c.type(a) << " and "
                     << c.type(b);
  double alpha = c.getFloat("alpha", 1), beta = c.getFloat("beta", 1);
  Value y = c.create<MatmulOp>({a, b}, {.transpose_x = c.getInt("transA", 0),
                                        .transpose_y = c.getInt("transB", 0)});
  if (alpha != 1)
    y = c.mul(y, c.scalarLike(alpha, y));
  if (bias && beta != 0)
    y = c.add(y, beta == 1 ? bias : c.mul(bias, c.scalarLike(beta, bias)));
  return c.set(0, y);
}

/// Gives the axes that "..." stands for letters of their own; operands align at
/// the end, and one with fewer axes (or an extent of 1) has to be broadcast,
/// which is refused where it matters: all must agree.
static LogicalResult expandEllipsis(C &c, std::string &equation) {
  if (!StringRef(equation).contains("..."))
    return success();
  auto [left, right] = StringRef(equation).split("->");
  SmallVector<StringRef> terms;
  left.split(terms, ',');
  if (terms.size() != c.numInputs())
    return c.error() << "expects one term per input in '" << equation << "'";
  std::string fresh,
      spare = "zyxwvutsrqponmlkjihgfedcbaZYXWVUTSRQPONMLKJIHGFEDCBA";
  llvm::erase_if(
      spare, [&](char letter) { return StringRef(equation).contains(letter); });
  size_t most = 0;
  SmallVector<size_t> hidden;
  for (auto [i, term] : llvm::enumerate(terms)) {
    bool has = term.contains("...");
    int64_t named = int64_t(term.size()) - (has ? 3 : 0);
    if (named > c.rank(c.input(i)) || (!has && named != c.rank(c.input(i))))
      return c.error() << "expects term '" << term << "' to name "
                       << c.rank(c.input(i)) << " axes";
    hidden.push_back(has ? c.rank(c.input(i)) - named : 0);
    most = std::max(most, hidden.back());
  }
  if (most > spare.size())
    return c.error() << "names too many axes: '" << equation << "'";
  fresh = spare.substr(0, most);
  std::string expanded;
  for (auto [term, count] : llvm::zip(terms, hidden)) {
    auto [before, after] = term.split("...");
    expanded += (expanded.empty() ? "" : ",") + before.str() +
                fresh.substr(most - count) + after.str();
  }
  if (StringRef(equation).contains("->")) {
    auto [before, after] = right.split("...");
    expanded += "->" + before.str() +
                (right.contains("...") ? fresh : std::string()) + after.str();
  } else { // the hidden axes, then letters that occur once, in order
    std::map<char, int> count;
    for (char letter : left)
      if (letter != ',' && letter != '.')
        ++count[letter];
    expanded += "->" + fresh;
    for (auto [letter, n] : count)
      if (n == 1)
        expanded += letter;
  }
  equation = expanded;
  return success();
}

/// Any einsum of one or two operands (more are folded in pairs) as transpose,
/// reshape, matmul and reduce.
static LogicalResult lowerEinsum(C &c) {
  std::string equation = c.getString("equation", "");
  equation.erase(std::remove(equation.begin(), equation.end(), ' '),
                 equation.end());
  if (failed(expandEllipsis(c, equation)))
    return failure();
  auto [left, right] = StringRef(equation).split("->");
  SmallVector<StringRef> terms;
  left.split(terms, ',');
  if (terms.size() != c.numInputs())
    return c.error() << "expects one term per input in '" << equation << "'";
  std::string output = right.str();
  if (!StringRef(equation).contains(
          "->")) { // letters that occur once, in order
    std::map<char, int> count;
    for (char letter : left)
      if (letter != ',')
        ++count[letter];
    for (auto [letter, n] : count)
      if (n == 1)
        output += letter;
  }
  std::map<char, int64_t> extent;
  auto reduceTo = [&](Value x, std::string term,
                      StringRef keep) -> std::pair<Value, std::string> {
    // Diagonals: a letter twice in one term selects equal indices.
    for (size_t i = 0; i < term.size() && x; ++i)
      for (size_t j = i + 1; j < term.size() && x; ++j)
        if (term[i] == term[j]) {
          int64_t n = c.shape(x)[i];
          SmallVector<int64_t> maskShape(term.size(), 1);
          maskShape[i] = maskShape[j] = n;
          Tensor eye(DType::Float32, maskShape);
          for (int64_t k = 0; k < n; ++k)
            eye.mutableFloats()[k * n + k] = 1;
          x = c.create<ReduceSumOp>(
              {c.mul(x, c.castTo(c.graph.constant(c.loc, eye), c.element(x)))},
              {.axes = {(int64_t)j}, .keep_dims = false});
          term.erase(j, 1);
          --j;
        }
    SmallVector<int64_t> gone;
    std::string rest;
    for (auto [i, letter] : llvm::enumerate(term))
      if (keep.contains(letter))
        rest += letter;
      else
        gone.push_back(i);
    if (!gone.empty() && x)
      x = c.create<ReduceSumOp>({x}, {.axes = gone, .keep_dims = false});
    return {x, rest};
  };
  auto permuteTo = [&](Value x, StringRef from, StringRef to) {
    SmallVector<int64_t> perm;
    for (char letter : to)
      perm.push_back(from.find(letter));
    return x ? c.transpose(x, perm) : x;
  };
  for (auto [i, term] : llvm::enumerate(terms)) {
    if ((int64_t)term.size() != c.rank(c.input(i)))
      return c.error() << "expects term '" << term << "' to name "
                       << c.rank(c.input(i)) << " axes";
    for (auto [letter, dim] : llvm::zip(term, c.shape(c.input(i))))
      if (auto [it, fresh] = extent.try_emplace(letter, dim);
          !fresh && it->second != dim)
        return c.error() << "expects axes '" << std::string(1, letter)
                         << "' of one length, but got " << it->second << " and "
                         << dim;
  }
  Value x = c.input(0);
  std::string term = terms[0].str();
  for (size_t i = 1; i < terms.size(); ++i) {
    std::string later = output;
    for (size_t j = i + 1; j < terms.size(); ++j)
      later += terms[j].str();
    std::string other = terms[i].str();
    std::tie(x, term) = reduceTo(x, term, later + other);
    auto [y, yTerm] = reduceTo(c.input(i), other, later + term);
    if (!x || !y)
      return failure();
    std::string batch, m, n, k;
    for (char letter : term)
      (yTerm.find(letter) == std::string::npos ? m
       : StringRef(later).contains(letter)     ? batch
                                               : k) += letter;
    for (char letter : yTerm)
      if (term.find(letter) == std::string::npos)
        n += letter;
    auto size = [&](StringRef letters) {
      int64_t product = 1;
      for (char letter : letters)
        product *= extent[letter];
      return product;
    };
    Value a = permuteTo(x, term, batch + m + k),
          b = permuteTo(y, yTerm, batch + k + n);
    if (!a || !b)
      return failure();
    a = c.reshape(a, {size(batch), size(m), size(k)});
    b = c.reshape(b, {size(batch), size(k), size(n)});
    SmallVector<int64_t> shape;
    term = batch + m + n;
    for (char letter : term)
      shape.push_back(extent[letter]);
    x = c.reshape(c.create<MatmulOp>({a, b}), shape);
  }
  std::tie(x, term) = reduceTo(x, term, output);
  return c.set(0, permuteTo(x, term, output));
}

void mlir::ane::addConvHandlers(HandlerTable &t) {
  t.add("Conv", 1, lowerConv);
  t.add("ConvTranspose", 1, lowerConvTranspose);
  t.add("MaxPool", 1, lowerPool);
  t.add("AveragePool", 1, lowerPool);
  t.add("LpPool", 1, lowerPool);
  t.add("GlobalAveragePool", 1, lowerGlobalPool);
  t.add("GlobalMaxPool", 1, lowerGlobalPool);
  t.add("GlobalLpPool", 1, lowerGlobalPool);
  t.add("MatMul", 1, lowerMatMul);
  t.add("FusedMatMul", 1, lowerFusedMatMul, "com.microsoft");
  t.add("Gemm", 1, lowerGemm);
  t.add("Einsum", 12, lowerEinsum);
}
