//===- Kernels.cpp - convolution, matmul and pooling by oneDNN ------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "EngineNumerics.h"
#include "Evaluators.h"
#include "ane-mlir/Interpreter/Blas.h"
#include <cstdlib>
#include <dlfcn.h>
#include <dnnl.hpp>
#include <mutex>

using namespace mlir;
using namespace mlir::ane;
using dnnl::memory;

static dnnl::engine &engine() {
  static dnnl::engine instance(dnnl::engine::kind::cpu, 0);
  return instance;
}

static std::string describe(const dnnl::error &error) {
  return error.status == dnnl_out_of_memory
             ? "does not fit this machine's memory"
             : error.what();
}

/// oneDNN stays on the calling thread, and work is parted here: its own team of
/// threads would wait busily beside ours, which costs more than it brings.
static void stayOnThread() {
  using Set = void (*)(int);
  static const Set set =
      reinterpret_cast<Set>(dlsym(RTLD_DEFAULT, "omp_set_num_threads"));
  static thread_local bool done = false;
  if (set && !done)
    set(1);
  done = true;
}

/// Multiplications that are worth a thread of their own.
static constexpr int64_t kTaskWork = 1 << 18;

/// Runs body(begin, end) over `count` parts of a problem with that much work.
static void partition(const EvalContext &context, int64_t count, int64_t work,
                      llvm::function_ref<void(int64_t, int64_t)> body) {
  int64_t grain = work <= kTaskWork
                      ? count
                      : std::max<int64_t>(1, count * kTaskWork / work);
  context.parallelFor(count, grain, [&](int64_t begin, int64_t end) {
    stayOnThread();
    body(begin, end);
  });
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

/// oneDNN ends the process where it has no memory for the code that it makes:
/// whether there would be some is asked before.
static constexpr size_t kCode = 16 << 20, kThreadMemory = 64 << 20;
static void expectRoomForCode(size_t bytes = kCode) {
  void *volatile room = std::malloc(bytes); // not to be optimised away
  if (!room)
    throw std::bad_alloc();
  std::free(room);
}

/// `source` in the layout a primitive asked for.
static memory reordered(dnnl::stream &stream, memory source,
                        const memory::desc &wanted) {
  if (source.get_desc() == wanted)
    return source;
  memory target(wanted, engine());
  expectRoomForCode();
  dnnl::reorder(source, target).execute(stream, source, target);
  return target;
}

static thread_local SGemm systemProduct = nullptr;

BlasScope::BlasScope(SGemm function) : before(systemProduct) {
  systemProduct = function;
}
BlasScope::~BlasScope() { systemProduct = before; }

/// For a product of so much work, whose both sides have so many elements: each
/// thread makes code, in memory that the system gives it 64 MB at a time, and
/// copies parts of both sides.
static void expectRoomForProducts(const EvalContext &context, double work,
                                  double elements) {
  if (work >= kTaskWork)
    expectRoomForCode(context.getContext()->getNumThreads() *
                          (kCode + kThreadMemory) +
                      size_t(std::min(64.0 * (1 << 20), 4 * elements)));
}

namespace {
/// Of a product of [rows, inner] and [inner, columns].
struct Extents {
  int64_t rows, inner, columns;
};
} // namespace

/// By the caller's BLAS, or oneDNN's.
static void multiply(SGemm other, Extents e, const float *a, bool transposeA,
                     int64_t lda, const float *b, bool transposeB, int64_t ldb,
                     float *c, int64_t ldc) {
  if (other)
    other(101, transposeA ? 112 : 111, transposeB ? 112 : 111, int(e.rows),
          int(e.columns), int(e.inner), 1.0f, a, int(lda), b, int(ldb), 0.0f, c,
          int(ldc));
  else
    dnnl_sgemm(transposeA ? 'T' : 'N', transposeB ? 'T' : 'N', e.rows,
               e.columns, e.inner, 1.0f, a, lda, b, ldb, 0.0f, c, ldc);
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
  auto left = [&](int64_t i) { return a + batchA[i] * m * k; };
  auto right = [&](int64_t i) { return b + batchB[i] * k * n; };
  if (context.getEngine()) {
    for (int64_t i = 0; i < batch; ++i)
      engineProduct(
          context, left(i),
          transposeA ? std::pair(int64_t(1), m) : std::pair(k, int64_t(1)),
          right(i),
          transposeB ? std::pair(int64_t(1), k) : std::pair(n, int64_t(1)),
          c + i * m * n, m, k, n);
    return;
  }
  // Small products (shape arithmetic, heads of tiny models) are not worth a
  // primitive.
  if (m * n * k <= 4096) {
    for (int64_t i = 0; i < batch; ++i) {
      const float *pa = left(i), *pb = right(i);
      float *pc = c + i * m * n;
      for (int64_t r = 0; r < m; ++r)
        for (int64_t s = 0; s < n; ++s) {
          float sum = 0;
          for (int64_t t = 0; t < k; ++t)
            sum += pa[transposeA ? t * m + r : r * k + t] *
                   pb[transposeB ? s * k + t : t * n + s];
          pc[r * n + s] = sum;
        }
    }
    return;
  }
  // Whoever called decides, also for the threads that do parts of it.
  SGemm other = std::max({m, n, k}) <= INT32_MAX ? systemProduct : nullptr;
  auto product = [=](int64_t rows, int64_t columns, const float *pa,
                     const float *pb, float *pc) {
    multiply(other, {rows, k, columns}, pa, transposeA, transposeA ? m : k, pb,
             transposeB, transposeB ? k : n, pc, n);
  };
  if (!other)
    expectRoomForProducts(context, double(batch) * m * n * k,
                          double(m + n) * k);
  // Parts are products, or rows or columns of the only one.
  bool whole = batch > 1, rows = m >= n;
  partition(context,
            whole  ? batch
            : rows ? m
                   : n,
            batch * m * n * k, [&](int64_t begin, int64_t end) {
              int64_t count = end - begin;
              if (whole)
                for (int64_t i = begin; i < end; ++i)
                  product(m, n, left(i), right(i), c + i * m * n);
              else if (rows)
                product(count, n, left(0) + begin * (transposeA ? 1 : k),
                        right(0), c + begin * n);
              else
                product(m, count, left(0),
                        right(0) + begin * (transposeB ? k : 1), c + begin);
            });
}

namespace {
/// Columns of a convolution read from the input: a column is a place of the
/// output, a term a channel's tap.
class Windows {
public:
  Windows(const Tensor &x, const WindowGeometry &window, const Tensor &y,
          int64_t inputs)
      : x(x), window(window), y(y), inputs(inputs),
        inner(window.kernel.size() - 1),
        inStrides(rowMajorStrides(x.shape().drop_front(2))),
        outStrides(rowMajorStrides(y.shape().drop_front(2))),
        tapStrides(rowMajorStrides(window.kernel)) {
    for (int64_t i = 0; i <= inner; ++i) {
      taps *= window.kernel[i];
      extent *= x.shape()[i + 2];
    }
  }
  int64_t getTaps() const { return taps; }

  /// Terms of item n and group g, as PanelReader wants them.
  void read(int64_t n, int64_t g, int64_t t, int64_t terms, int64_t column,
            int64_t columns, float *panel) const {
    constexpr int64_t width = 16;
    std::fill_n(panel, terms * width, 0.0f);
    const float *image =
        x.floats().data() + (n * x.shape()[1] + g * inputs) * extent;
    // Columns lie in rows of the output; each is a run along the last axis.
    int64_t outWidth = y.shape()[inner + 2], step = window.strides[inner];
    for (int64_t lane = 0; lane < columns;) {
      int64_t place = column + lane, first = place % outWidth,
              run = std::min(columns - lane, outWidth - first);
      for (int64_t i = 0; i < terms; ++i) {
        int64_t tap = (t + i) % taps, at = (t + i) / taps * extent;
        bool inside = true;
        for (int64_t axis = 0; axis < inner; ++axis) {
          int64_t from = place / outStrides[axis] % y.shape()[axis + 2] *
                             window.strides[axis] -
                         window.pads[axis].first +
                         tap / tapStrides[axis] % window.kernel[axis] *
                             window.dilations[axis];
          inside &= from >= 0 && from < x.shape()[axis + 2];
          at += from * inStrides[axis];
        }
        if (!inside)
          continue;
        int64_t from = first * step - window.pads[inner].first +
                       tap % window.kernel[inner] * window.dilations[inner];
        // The run's part with 0 <= from + k * step < width of the input.
        int64_t begin = from < 0 ? (-from + step - 1) / step : 0,
                end = std::min(run,
                               (x.shape()[inner + 2] - from + step - 1) / step);
        float *to = panel + i * width + lane;
        for (int64_t k = begin; k < end; ++k)
          to[k] = image[at + from + k * step];
      }
      lane += run;
    }
  }

private:
  const Tensor &x;
  const WindowGeometry &window;
  const Tensor &y;
  int64_t inputs, inner, taps = 1, extent = 1;
  llvm::SmallVector<int64_t, 6> inStrides, outStrides, tapStrides;
};
} // namespace

/// The engine's own product of each group's weights and windows.
static void engineConvolution(const EvalContext &context, const Tensor &x,
                              const Tensor &weight, const Tensor *bias,
                              const WindowGeometry &window, int64_t groups,
                              Tensor &y) {
  int64_t inputs = x.shape()[1] / groups, outputs = y.shape()[1] / groups;
  Windows windows(x, window, y, inputs);
  int64_t terms = inputs * windows.getTaps(), points = 1;
  for (int64_t dim : y.shape().drop_front(2))
    points *= dim;
  bool plain = windows.getTaps() == 1 &&
               x.shape().drop_front(2) == y.shape().drop_front(2) &&
               llvm::all_of(window.pads, [](auto pad) {
                 return pad.first == 0 && pad.second == 0;
               });
  auto one = [&](int64_t index, bool parallel) {
    int64_t n = index / groups, g = index % groups;
    const float *weights = weight.floats().data() + g * outputs * terms;
    float *result =
        y.mutableFloats().data() + (n * y.shape()[1] + g * outputs) * points;
    if (parallel && plain && points < 16) {
      // A product with few columns, which has a form of its own.
      engineProduct(context, weights, {terms, 1},
                    x.floats().data() +
                        (n * x.shape()[1] + g * inputs) * points,
                    {points, 1}, result, outputs, terms, points);
    } else {
      auto read = [&](int64_t t, int64_t count, int64_t column, int64_t columns,
                      float *panel) {
        windows.read(n, g, t, count, column, columns, panel);
      };
      engineProduct(context, weights, {terms, 1}, read, result, {points, 1},
                    outputs, terms, points, parallel);
    }
    if (bias)
      for (int64_t o = 0; o < outputs; ++o)
        for (int64_t p = 0; p < points; ++p)
          result[o * points + p] += bias->floats()[g * outputs + o];
  };
  int64_t products = x.shape()[0] * groups;
  if (products >= 2 * int64_t(context.getContext()->getNumThreads()))
    context.parallelFor(products, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i)
        one(i, false);
    });
  else
    for (int64_t i = 0; i < products; ++i)
      one(i, true);
}

/// Strides as oneDNN can take them: where a window has one place, its stride
/// says nothing, and some of oneDNN's kernels divide by what overflows.
static memory::dims saneStrides(const WindowGeometry &window, const Tensor &x,
                                const Tensor &y) {
  memory::dims strides;
  for (size_t i = 0; i < window.strides.size(); ++i) {
    int64_t dilation = i < window.dilations.size() ? window.dilations[i] : 1,
            room = x.shape()[i + 2] + window.pads[i].first +
                   window.pads[i].second -
                   ((window.kernel[i] - 1) * dilation + 1);
    strides.push_back(
        y.shape()[i + 2] == 1
            ? std::min(window.strides[i], std::max<int64_t>(room + 1, 1))
            : window.strides[i]);
  }
  return strides;
}

/// Channels of a tensor in the plain layout.
static std::pair<memory::desc, const float *>
channels(const Tensor &tensor, int64_t begin, int64_t end) {
  SmallVector<int64_t, 6> shape(tensor.shape());
  auto strides = rowMajorStrides(shape);
  shape[1] = end - begin;
  return {memory::desc(memory::dims(shape.begin(), shape.end()),
                       memory::data_type::f32,
                       memory::dims(strides.begin(), strides.end())),
          tensor.floats().data() + begin * strides[1]};
}

namespace {
/// A convolution that oneDNN made for shapes and a window.
struct MadeConvolution {
  dnnl::convolution_forward::primitive_desc description;
  dnnl::convolution_forward primitive;
};
using Key = TensorForms::Key;
} // namespace

/// Convolutions of one thread, by what they were made for: layers repeat, and
/// making one takes longer than running a small one.
static MadeConvolution &
findConvolution(const Key &key, llvm::function_ref<MadeConvolution()> make) {
  static constexpr size_t kMost = 512;
  static thread_local std::map<Key, MadeConvolution> made;
  auto it = made.find(key);
  if (it != made.end())
    return it->second;
  if (made.size() >= kMost)
    made.clear();
  return made.emplace(key, make()).first->second;
}

/// Weights as a primitive reads them, kept with the tensor where it may keep
/// something and there is room.
static memory orderWeights(dnnl::stream &stream, const Tensor &weight,
                           memory plain, const memory::desc &wanted,
                           const Key &key) {
  if (plain.get_desc() == wanted)
    return plain;
  struct Form {
    memory data;
    std::shared_ptr<void> room;
  };
  TensorForms *forms = weight.getForms();
  if (forms)
    if (auto known = forms->find(key))
      return static_cast<const Form *>(known.get())->data;
  memory ordered = reordered(stream, plain, wanted);
  if (auto room = forms ? MemoryBudget::keep(wanted.get_size()) : nullptr) {
    stream.wait();
    forms->add(key, std::make_shared<Form>(Form{ordered, std::move(room)}));
  }
  return ordered;
}

namespace {
/// Output channels or, with several groups, groups from `begin` to `end`.
struct ConvolutionPart {
  const Tensor &x, &weight;
  const Tensor *bias;
  const WindowGeometry &window;
  int64_t groups, begin, end;
  const Tensor &y;

  int64_t perGroup() const {
    return groups > 1 ? weight.shape()[0] / groups : 1;
  }
  int64_t first() const { return begin * perGroup(); }
  int64_t last() const { return end * perGroup(); }
  SmallVector<int64_t, 6> weightShape() const {
    SmallVector<int64_t, 6> shape(weight.shape());
    shape[0] = last() - first();
    if (groups > 1) {
      shape[0] = perGroup();
      shape.insert(shape.begin(), end - begin);
    }
    return shape;
  }
  Key key() const {
    Key key{groups, begin, end, bias != nullptr};
    auto add = [&](ArrayRef<int64_t> list) {
      key.push_back(list.size());
      llvm::append_range(key, list);
    };
    for (const Tensor *tensor : {&x, &weight, &y})
      add(tensor->shape());
    add(window.strides);
    add(window.dilations);
    for (auto pad : window.pads)
      add({pad.first, pad.second});
    return key;
  }
  MadeConvolution make(const memory::desc &source,
                       const memory::desc &target) const;
  void run() const;
};
} // namespace

MadeConvolution ConvolutionPart::make(const memory::desc &source,
                                      const memory::desc &target) const {
  memory::dims strides = saneStrides(window, x, y), dilations, before, after;
  for (auto [dilation, pad] : llvm::zip(window.dilations, window.pads)) {
    dilations.push_back(dilation - 1);
    before.push_back(pad.first);
    after.push_back(pad.second);
  }
  auto any = [](const memory::desc &desc) {
    return memory::desc(desc.dims(), memory::data_type::f32,
                        memory::format_tag::any);
  };
  using dnnl::convolution_forward;
  auto kind = dnnl::prop_kind::forward_inference;
  auto algorithm = dnnl::algorithm::convolution_direct;
  memory::desc weights = anyLayout(weightShape());
  convolution_forward::desc desc =
      bias ? convolution_forward::desc(kind, algorithm, any(source), weights,
                                       plain({last() - first()}), any(target),
                                       strides, dilations, before, after)
           : convolution_forward::desc(kind, algorithm, any(source), weights,
                                       any(target), strides, dilations, before,
                                       after);
  convolution_forward::primitive_desc description(desc, engine());
  return {description, convolution_forward(description)};
}

void ConvolutionPart::run() const {
  dnnl::stream stream(engine());
  int64_t inputs = weight.shape()[1];
  auto [xDesc, xData] = groups > 1 ? channels(x, begin * inputs, end * inputs)
                                   : channels(x, 0, x.shape()[1]);
  auto [yDesc, yData] = channels(y, first(), last());
  const float *weightData =
      weight.floats().data() + first() * (weight.size() / weight.shape()[0]);
  Key key = this->key();
  memory::desc source = xDesc, target = yDesc; // C++17 captures no bindings
  MadeConvolution &made = findConvolution(key, [&] {
    expectRoomForCode();
    return make(source, target);
  });
  memory from =
      reordered(stream, wrap(source, xData), made.description.src_desc());
  memory weights =
      orderWeights(stream, weight, wrap(plain(weightShape()), weightData),
                   made.description.weights_desc(), key);
  memory result = wrap(target, yData);
  bool direct = made.description.dst_desc() == result.get_desc();
  memory to = direct ? result : memory(made.description.dst_desc(), engine());
  std::unordered_map<int, memory> args{
      {DNNL_ARG_SRC, from}, {DNNL_ARG_WEIGHTS, weights}, {DNNL_ARG_DST, to}};
  if (bias)
    args[DNNL_ARG_BIAS] =
        wrap(plain({last() - first()}), bias->floats().data() + first());
  made.primitive.execute(stream, args);
  if (!direct)
    dnnl::reorder(to, result).execute(stream, to, result);
  stream.wait();
}

static std::string runGuarded(const ConvolutionPart &part) {
  try {
    part.run();
    return {};
  } catch (const dnnl::error &error) {
    return describe(error);
  }
}

/// True for a 1x1 convolution, which is a product of its weight with each image
/// as they lie: what takes no other layout takes no time to get there.
static bool isProduct(const Tensor &x, const Tensor &y,
                      const WindowGeometry &window, int64_t groups) {
  return groups == 1 && llvm::all_equal(window.kernel) &&
         window.kernel.front() == 1 &&
         x.shape().drop_front(2) == y.shape().drop_front(2) &&
         llvm::all_of(window.pads,
                      [](auto pad) { return !pad.first && !pad.second; });
}

/// Elements of a weight in fp16 that are decoded at a time: half of what a core
/// has nearby.
static constexpr int64_t kPanel = 1 << 17;

/// Products of the rows of a weight as it is in its file with each image; less
/// to write and to read than the whole weight in fp32.
static void packedProduct(const EvalContext &context, const Tensor &weight,
                          const Tensor &x, float *out, int64_t places) {
  int64_t outputs = weight.shape()[0], inputs = weight.shape()[1],
          batch = x.shape()[0];
  ArrayRef<char> bytes = weight.packedBytes();
  size_t row = outputs ? bytes.size() / outputs : 0;
  int64_t rows = std::max<int64_t>(16, kPanel / std::max<int64_t>(1, inputs));
  int64_t work = batch * outputs * inputs * places;
  SGemm other = std::max({outputs, inputs, places}) <= INT32_MAX ? systemProduct
                                                                 : nullptr;
  if (!other)
    expectRoomForProducts(context, work, (outputs + places) * inputs);
  partition(context, outputs, work, [&](int64_t begin, int64_t end) {
    Tensor panel(DType::Float32, {std::min(rows, end - begin), inputs});
    MutableArrayRef<float> values = panel.mutableFloats();
    for (int64_t first = begin; first < end; first += rows) {
      int64_t count = std::min(rows, end - first);
      decode(weight.dtype(), bytes.slice(first * row, count * row),
             values.take_front(count * inputs));
      for (int64_t i = 0; i < batch; ++i)
        multiply(other, {count, inputs, places}, values.data(), false, inputs,
                 x.floats().data() + i * inputs * places, false, places,
                 out + (i * outputs + first) * places, places);
    }
  });
}

static void pointwiseConvolution(const EvalContext &context, const Tensor &x,
                                 const Tensor &weight, const Tensor *bias,
                                 Tensor &y) {
  int64_t batch = y.shape()[0], outputs = y.shape()[1], places = 1;
  for (int64_t extent : y.shape().drop_front(2))
    places *= extent;
  SmallVector<int64_t> same(batch, 0);
  auto images = llvm::to_vector(llvm::seq<int64_t>(batch));
  float *out = y.mutableFloats().data();
  if (weight.isPacked())
    packedProduct(context, weight, x, out, places);
  else
    batchedMatmul(context, weight.floats().data(), x.floats().data(), out,
                  outputs, x.shape()[1], places, false, false, same, images);
  if (bias)
    for (int64_t i = 0; i < batch * outputs; ++i)
      for (float &value : llvm::MutableArrayRef(out + i * places, places))
        value += bias->floats()[i % outputs];
}

std::string mlir::ane::convolution(const EvalContext &context, const Tensor &x,
                                   const Tensor &weight, const Tensor *bias,
                                   const WindowGeometry &window, int64_t groups,
                                   Tensor &y) {
  if (context.getEngine()) {
    engineConvolution(context, x, weight, bias, window, groups, y);
    return {};
  }
  if (isProduct(x, y, window, groups)) {
    pointwiseConvolution(context, x, weight, bias, y);
    return {};
  }
  // Output channels, or groups with the channels they read.
  bool grouped = groups > 1;
  std::string failure;
  std::mutex mutex;
  partition(context, grouped ? groups : y.shape()[1],
            y.size() * (weight.size() / weight.shape()[0]),
            [&](int64_t begin, int64_t end) {
              std::string error = runGuarded(ConvolutionPart{
                  x, weight, bias, window, groups, begin, end, y});
              std::lock_guard<std::mutex> lock(mutex);
              if (!error.empty())
                failure = error;
            });
  return failure;
}

std::string mlir::ane::pool(const Tensor &x, PoolKind kind,
                            const WindowGeometry &window, Tensor &y) {
  stayOnThread();
  try {
    dnnl::stream stream(engine());
    memory::dims strides = saneStrides(window, x, y),
                 kernel(window.kernel.begin(), window.kernel.end()), before,
                 after;
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
    return describe(error);
  }
}
