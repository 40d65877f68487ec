//===- Kernels.cpp - convolution, matmul and pooling by oneDNN ------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "EngineNumerics.h"
#include "Evaluators.h"
#include <dnnl.hpp>

using namespace mlir;
using namespace mlir::ane;
using dnnl::memory;

static dnnl::engine &engine() {
  static dnnl::engine instance(dnnl::engine::kind::cpu, 0);
  return instance;
}

static memory::desc plain(llvm::ArrayRef<int64_t> shape) {
  memory::dims dims(shape.begin(), shape.end()), strides;
  for (int64_t stride : rowMajorStrides(shape))
    strides.push_back(stride);
  return memory::desc(dims, memory::data_type::f32, strides);
}
static memory::desc anyLayout(llvm::ArrayRef<int64_t> shape) {
  return memory::desc(memory::dims(shape.begin(), shape.end()),
                      memory::data_type::f32, memory::format_tag::any);
}
static memory wrap(const memory::desc &desc, const float *data) {
  return memory(desc, engine(), const_cast<float *>(data));
}

/// `source` in the layout a primitive asked for.
static memory reordered(dnnl::stream &stream, memory source,
                        const memory::desc &wanted) {
  if (source.get_desc() == wanted)
    return source;
  memory target(wanted, engine());
  dnnl::reorder(source, target).execute(stream, source, target);
  return target;
}

void mlir::ane::batchedMatmul(const EvalContext &context, const float *a,
                              const float *b, float *c, int64_t m, int64_t k,
                              int64_t n, bool transposeA, bool transposeB,
                              llvm::ArrayRef<int64_t> batchA,
                              llvm::ArrayRef<int64_t> batchB) {
  int64_t batch = batchA.size();
  if (m * n == 0 || batch == 0)
    return;
  if (k == 0) {
    std::fill(c, c + batch * m * n, 0.0f);
    return;
  }
  for (int64_t i = 0; i < batch; ++i) {
    const float *pa = a + batchA[i] * m * k, *pb = b + batchB[i] * k * n;
    float *pc = c + i * m * n;
    if (context.getEngine()) {
      engineProduct(
          context, pa,
          transposeA ? std::pair(int64_t(1), m) : std::pair(k, int64_t(1)), pb,
          transposeB ? std::pair(int64_t(1), k) : std::pair(n, int64_t(1)), pc,
          m, k, n);
      continue;
    }
    // Small products (shape arithmetic, heads of tiny models) are not worth a
    // primitive.
    if (m * n * k <= 4096) {
      for (int64_t r = 0; r < m; ++r)
        for (int64_t s = 0; s < n; ++s) {
          float sum = 0;
          for (int64_t t = 0; t < k; ++t)
            sum += pa[transposeA ? t * m + r : r * k + t] *
                   pb[transposeB ? s * k + t : t * n + s];
          pc[r * n + s] = sum;
        }
      continue;
    }
    dnnl_sgemm(transposeA ? 'T' : 'N', transposeB ? 'T' : 'N', m, n, k, 1.0f,
               pa, transposeA ? m : k, pb, transposeB ? k : n, 0.0f, pc, n);
  }
}

/// The windows as columns, then the engine's own product per item and group.
static void engineConvolution(const EvalContext &context, const Tensor &x,
                              const Tensor &weight, const Tensor *bias,
                              const WindowGeometry &window, int64_t groups,
                              Tensor &y) {
  int64_t spatial = x.rank() - 2, taps = 1, points = 1, extent = 1;
  for (int64_t i = 0; i < spatial; ++i) {
    taps *= window.kernel[i];
    points *= y.shape()[i + 2];
    extent *= x.shape()[i + 2];
  }
  int64_t inputs = x.shape()[1] / groups, outputs = y.shape()[1] / groups;
  auto tapStrides = rowMajorStrides(window.kernel);
  auto pointStrides = rowMajorStrides(y.shape().drop_front(2));
  auto inStrides = rowMajorStrides(x.shape().drop_front(2));
  std::vector<float> columns(inputs * taps * points);
  for (int64_t n = 0; n < x.shape()[0]; ++n)
    for (int64_t g = 0; g < groups; ++g) {
      context.parallelFor(inputs * taps, 1, [&](int64_t begin, int64_t end) {
        for (int64_t row = begin; row < end; ++row)
          for (int64_t p = 0; p < points; ++p) {
            int64_t at = 0;
            bool inside = true;
            for (int64_t i = 0; i < spatial; ++i) {
              int64_t place =
                  p / pointStrides[i] % y.shape()[i + 2] * window.strides[i] -
                  window.pads[i].first +
                  row % taps / tapStrides[i] % window.kernel[i] *
                      window.dilations[i];
              inside &= place >= 0 && place < x.shape()[i + 2];
              at += place * inStrides[i];
            }
            int64_t channel = g * inputs + row / taps;
            columns[row * points + p] =
                inside ? x.floats()[(n * x.shape()[1] + channel) * extent + at]
                       : 0;
          }
      });
      float *result =
          y.mutableFloats().data() + (n * y.shape()[1] + g * outputs) * points;
      engineProduct(context,
                    weight.floats().data() + g * outputs * inputs * taps,
                    {inputs * taps, 1}, columns.data(), {points, 1}, result,
                    outputs, inputs * taps, points);
      if (bias)
        for (int64_t o = 0; o < outputs; ++o)
          for (int64_t p = 0; p < points; ++p)
            result[o * points + p] += bias->floats()[g * outputs + o];
    }
}

std::string mlir::ane::convolution(const EvalContext &context, const Tensor &x,
                                   const Tensor &weight, const Tensor *bias,
                                   const WindowGeometry &window, int64_t groups,
                                   Tensor &y) {
  if (context.getEngine()) {
    engineConvolution(context, x, weight, bias, window, groups, y);
    return {};
  }
  try {
    dnnl::stream stream(engine());
    SmallVector<int64_t, 6> weightShape(weight.shape());
    if (groups > 1) {
      weightShape.insert(weightShape.begin(), groups);
      weightShape[1] /= groups;
    }
    memory::dims strides(window.strides.begin(), window.strides.end()),
        dilations, before, after;
    for (auto [dilation, pad] : llvm::zip(window.dilations, window.pads)) {
      dilations.push_back(dilation - 1);
      before.push_back(pad.first);
      after.push_back(pad.second);
    }
    SmallVector<int64_t, 1> channels{y.shape()[1]};
    dnnl::convolution_forward::desc desc =
        bias ? dnnl::convolution_forward::desc(
                   dnnl::prop_kind::forward_inference,
                   dnnl::algorithm::convolution_direct, anyLayout(x.shape()),
                   anyLayout(weightShape), plain(channels),
                   anyLayout(y.shape()), strides, dilations, before, after)
             : dnnl::convolution_forward::desc(
                   dnnl::prop_kind::forward_inference,
                   dnnl::algorithm::convolution_direct, anyLayout(x.shape()),
                   anyLayout(weightShape), anyLayout(y.shape()), strides,
                   dilations, before, after);
    dnnl::convolution_forward::primitive_desc primitive(desc, engine());
    memory source = reordered(stream, wrap(plain(x.shape()), x.floats().data()),
                              primitive.src_desc());
    memory weights =
        reordered(stream, wrap(plain(weightShape), weight.floats().data()),
                  primitive.weights_desc());
    memory result = wrap(plain(y.shape()), y.floats().data());
    bool direct = primitive.dst_desc() == result.get_desc();
    memory target = direct ? result : memory(primitive.dst_desc(), engine());
    std::unordered_map<int, memory> args{{DNNL_ARG_SRC, source},
                                         {DNNL_ARG_WEIGHTS, weights},
                                         {DNNL_ARG_DST, target}};
    if (bias)
      args[DNNL_ARG_BIAS] = wrap(plain(channels), bias->floats().data());
    dnnl::convolution_forward(primitive).execute(stream, args);
    if (!direct)
      dnnl::reorder(target, result).execute(stream, target, result);
    stream.wait();
    return {};
  } catch (const dnnl::error &error) {
    return error.what();
  }
}

std::string mlir::ane::pool(const Tensor &x, PoolKind kind,
                            const WindowGeometry &window, Tensor &y) {
  try {
    dnnl::stream stream(engine());
    memory::dims strides(window.strides.begin(), window.strides.end()),
        kernel(window.kernel.begin(), window.kernel.end()), before, after;
    for (auto pad : window.pads) {
      before.push_back(pad.first);
      after.push_back(pad.second);
    }
    dnnl::algorithm algorithm =
        kind == PoolKind::Max ? dnnl::algorithm::pooling_max
        : kind == PoolKind::AverageInclude
            ? dnnl::algorithm::pooling_avg_include_padding
            : dnnl::algorithm::pooling_avg_exclude_padding;
    dnnl::pooling_forward::desc desc(
        dnnl::prop_kind::forward_inference, algorithm, plain(x.shape()),
        plain(y.shape()), strides, kernel, before, after);
    dnnl::pooling_forward::primitive_desc primitive(desc, engine());
    memory source = wrap(plain(x.shape()), x.floats().data()),
           target = wrap(plain(y.shape()), y.floats().data());
    dnnl::pooling_forward(primitive).execute(
        stream, {{DNNL_ARG_SRC, source}, {DNNL_ARG_DST, target}});
    stream.wait();
    return {};
  } catch (const dnnl::error &error) {
    return error.what();
  }
}
