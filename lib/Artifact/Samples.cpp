//===- Samples.cpp - inputs to measure a model on -------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Artifact/Samples.h"
#include "ane-mlir/Analysis/Placement.h"
#include "ane-mlir/Artifact/TensorFiles.h"
#include "ane-mlir/Artifact/TestData.h"
#include "dialects/ANE/IR/Arithmetic.h"
#include "dialects/ANE/IR/Cast.h"
#include "dialects/ANE/IR/Comparison.h"
#include "dialects/ANE/IR/Gather.h"
#include "dialects/ANE/IR/Norm.h"
#include "dialects/ANE/IR/Shape.h"
#include "dialects/ANE/IR/Structure.h"
#include "dialects/ANE/IR/Unary.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include <cmath>
#include <random>
#include <set>

using namespace mlir;
using namespace mlir::ane;

namespace {
/// What an input is taken for.
enum class Role {
  Number,
  Image,
  Audio,
  Token,
  Mask,
  Position,
  Cosine,
  Sine,
  Time,
  State,
  Length,
  Rate
};

struct Input {
  std::string name;
  DType dtype = DType::Float32; // of the function
  DType user = DType::Float32;  // of the model
  SmallVector<int64_t> shape;
  Role role = Role::Number;
  /// Indices are below it; 0 when not known.
  int64_t extent = 0;
  /// Of each element what the model subtracts from it and divides it by; empty
  /// where it does neither.
  std::vector<double> center, spread;
};

/// Uniform in [0, 1), the same on every machine.
class Random {
public:
  double unit() { return double(engine() >> 11) / double(uint64_t(1) << 53); }
  /// Near enough to normal.
  double normal() {
    double sum = -6;
    for (int i = 0; i < 12; ++i)
      sum += unit();
    return sum;
  }

private:
  std::mt19937_64 engine{0};
};
} // namespace

static bool contains(StringRef name, std::initializer_list<StringRef> words) {
  return llvm::any_of(words, [&](StringRef w) { return name.contains(w); });
}

/// A word of a name, between what is no letter.
static bool hasWord(StringRef name, StringRef word) {
  for (size_t at = name.find(word); at != StringRef::npos;
       at = name.find(word, at + 1)) {
    StringRef behind = name.drop_front(at + word.size());
    if ((at == 0 || !llvm::isAlpha(name[at - 1])) &&
        (behind.empty() || !llvm::isAlpha(behind.front())))
      return true;
  }
  return false;
}

/// The shortest of the axes that `indices` select of, as `op` reads them;
/// nothing where it selects nothing by them.
static std::optional<int64_t> shortestSelected(Operation *op, Value indices) {
  Value from;
  int64_t first = 0, count = 1;
  auto tuples = [&](auto nd, Value x, int64_t batch) {
    from = x;
    first = batch;
    count = cast<RankedTensorType>(indices.getType()).getShape().back();
    return nd.getIndices() == indices;
  };
  auto along = [&](auto each, Value x) {
    from = x;
    first = each.getAxis();
    return each.getIndices() == indices;
  };
  bool selects =
      llvm::TypeSwitch<Operation *, bool>(op)
          .Case<GatherOp, GatherAlongAxisOp>(
              [&](auto gather) { return along(gather, gather.getX()); })
          .Case<ScatterOp, ScatterAlongAxisOp>(
              [&](auto scatter) { return along(scatter, scatter.getData()); })
          .Case([&](GatherNdOp nd) {
            return tuples(nd, nd.getX(), nd.getBatchDims().value_or(0));
          })
          .Case([&](ScatterNdOp nd) { return tuples(nd, nd.getData(), 0); })
          .Default(false);
  if (auto hot = dyn_cast<OneHotOp>(op); hot && hot.getIndices() == indices)
    return hot.getOneHotVectorSize();
  if (!selects)
    return std::nullopt;
  auto type = cast<RankedTensorType>(from.getType());
  first += first < 0 ? type.getRank() : 0;
  std::optional<int64_t> shortest;
  for (int64_t axis = first; axis < std::min(first + count, type.getRank());
       ++axis)
    if (!type.isDynamicDim(axis))
      shortest = std::min(shortest.value_or(INT64_MAX), type.getDimSize(axis));
  return shortest;
}

/// The least extent that indices from `argument` select of; 0 when they select
/// nothing.
static int64_t findExtent(Value argument) {
  SmallVector<Value> stack{argument};
  llvm::DenseSet<Value> seen;
  int64_t extent = 0;
  while (!stack.empty() && seen.size() < 256) {
    Value v = stack.pop_back_val();
    if (!seen.insert(v).second)
      continue;
    for (Operation *user : v.getUsers()) {
      if (auto found = shortestSelected(user, v))
        extent = extent ? std::min(extent, *found) : *found;
      // Moved, or counted from the end where negative.
      else if (isMovement(user) || isa<CastOp, SelectOp, AddOp>(user))
        llvm::append_range(stack, user->getResults());
    }
  }
  return extent;
}

static Role guessRole(const Input &in) {
  std::string lower = StringRef(in.name).lower();
  StringRef name(lower);
  int64_t rank = in.shape.size(), count = 1;
  for (int64_t dim : in.shape)
    count *= dim;
  auto channels = [](int64_t c) { return c == 1 || c == 3 || c == 4; };
  if (contains(name, {"mask"}))
    return Role::Mask;
  if (!isFloat(in.dtype)) {
    if (getInfo(in.user).bits == 8 && in.user != DType::Bool && rank >= 3)
      return Role::Image;
    if (contains(name, {"position", "pos_id", "cache_pos"}))
      return Role::Position;
    if (contains(name, {"timestep", "time_step"}))
      return Role::Time;
    if (name == "sr" || contains(name, {"sample_rate", "sampling_rate"}))
      return Role::Rate;
    if (contains(name, {"length", "_len", "lens"}))
      return Role::Length;
    return in.extent ? Role::Token : Role::Number;
  }
  if (contains(name, {"timestep", "time_step", "sigma"}) ||
      (in.name == "t" && count <= 16))
    return Role::Time;
  // Rotary embeddings as inputs.
  if (rank >= 2 && hasWord(name, "cos"))
    return Role::Cosine;
  if (rank >= 2 && hasWord(name, "sin"))
    return Role::Sine;
  if (contains(name, {"past", "state", "cache", "hidden", "cell"}) ||
      name == "h" || name == "c" || name == "h0" || name == "c0")
    return Role::State;
  if (rank >= 3 && rank <= 4) {
    ArrayRef<int64_t> s = ArrayRef<int64_t>(in.shape).take_back(3);
    // One entry before two axes is a batch of vectors sooner than of grey
    // pictures.
    bool vectors = rank == 3 && s[0] == 1 &&
                   !contains(name, {"image", "img", "pixel", "picture"});
    if (vectors && !channels(s[2]))
      return Role::Number;
    if ((channels(s[0]) && s[1] >= 16 && s[2] >= 16) ||
        (channels(s[2]) && s[0] >= 16 && s[1] >= 16))
      return Role::Image;
  }
  if (rank >= 1 && in.shape.back() >= 256 && count == in.shape.back())
    return Role::Audio;
  return Role::Number;
}

/// Smooth areas, edges and some noise, in [0, 1].
static double picture(int64_t i, ArrayRef<int64_t> shape, Random &random) {
  int64_t rank = shape.size();
  bool last =
      shape[rank - 1] == 1 || shape[rank - 1] == 3 || shape[rank - 1] == 4;
  int64_t channels = last ? shape[rank - 1] : 1,
          width = last ? shape[rank - 2] : shape[rank - 1],
          height = last ? shape[rank - 3] : shape[rank - 2];
  int64_t x = i / channels % width, y = i / channels / width % height,
          c = last ? i % channels : i / (width * height) % 4;
  double u = double(x) / width, v = double(y) / height;
  double value = 0.5 + 0.25 * std::sin(6.3 * (u + 0.3 * c)) * std::cos(5 * v) +
                 0.2 * std::sin(40 * u * v + c);
  if ((u - 0.6) * (u - 0.6) + (v - 0.4) * (v - 0.4) < 0.04)
    value = 0.9 - 0.2 * c;
  if (u < 0.2 && v > 0.8)
    value = 0; // black
  value += 0.04 * (random.unit() - 0.5);
  return std::min(1.0, std::max(0.0, value));
}

static Tensor make(const Input &in, unsigned variant, int64_t longest,
                   Random &random) {
  Tensor tensor(in.dtype, in.shape);
  int64_t count = tensor.size(), row = in.shape.empty() ? 1 : in.shape.back();
  auto value = [&](int64_t i) -> double {
    int64_t at = row ? i % row : 0;
    switch (in.role) {
    case Role::Image: {
      double p = picture(i, in.shape, random);
      if (!isFloat(in.dtype))
        return std::round(255 * p);
      return variant ? 255 * p : p;
    }
    case Role::Audio: {
      double t = double(at) / 16000;
      double envelope =
          std::max(0.0, std::sin(2 * M_PI * (double(at) / row * 2.0)));
      // Where nothing comes in, large biases cancel and small ones show.
      if (variant || at * 4 > row * 3)
        return 0;
      double voice = 0;
      for (int k = 1; k <= 8; ++k)
        voice += std::sin(2 * M_PI * 140 * k * t) / k;
      return 0.2 * envelope * voice + 0.002 * (random.unit() - 0.5);
    }
    case Role::Token:
      return std::floor(random.unit() * in.extent);
    case Role::Mask:
      return variant && row > 1 && at >= row - std::max<int64_t>(1, row / 4)
                 ? 0
                 : 1;
    case Role::Position: {
      double far = variant ? 3000 : 0;
      if (in.extent)
        far = std::min(far, double(std::max<int64_t>(0, in.extent - row)));
      return at + far;
    }
    case Role::Cosine:
    case Role::Sine: {
      // Of positions along the last axis but one, as rotary embeddings have
      // them: halves of a row are alike.
      double half = std::max<int64_t>(1, row / 2);
      double angle = double(i / row % in.shape[in.shape.size() - 2]) *
                     std::pow(10000, -double(at % int64_t(half)) / half);
      return in.role == Role::Cosine ? std::cos(angle) : std::sin(angle);
    }
    case Role::Time:
      return variant ? 1 : 999;
    case Role::State:
      return variant == 1 ? random.normal() : 0;
    case Role::Length:
      return double(longest);
    case Role::Rate:
      return 16000;
    case Role::Number:
      break;
    }
    if (in.dtype == DType::Bool)
      return variant ? random.unit() < 0.5 : 1;
    if (!isFloat(in.dtype))
      return std::floor(random.unit() * 10);
    if (variant == 2)
      return 0;
    return in.center.empty() ? random.normal()
                             : in.center[i] + in.spread[i] * random.normal();
  };
  for (int64_t i = 0; i < count; ++i)
    if (tensor.isFloat())
      tensor.mutableFloats()[i] = roundTo(in.dtype, float(value(i)));
    else
      tensor.mutableInts()[i] = wrapTo(in.dtype, int64_t(value(i)));
  return tensor;
}

/// A constant's number for each element of `shape`, with which it broadcasts.
static std::optional<std::vector<double>> broadcast(Value constant,
                                                    ArrayRef<int64_t> shape) {
  auto op = constant.getDefiningOp<ConstantOp>();
  FailureOr<Tensor> read =
      op ? Tensor::fromElements(op.getValue()) : FailureOr<Tensor>(failure());
  if (failed(read) || !read->isFloat() || read->rank() > int64_t(shape.size()))
    return std::nullopt;
  Tensor tensor = read->unpacked();
  ArrayRef<int64_t> own = tensor.shape();
  ArrayRef<int64_t> tail = shape.take_back(own.size());
  for (auto [a, b] : llvm::zip(own, tail))
    if (a != 1 && a != b)
      return std::nullopt;
  std::optional<int64_t> count = countElements(shape);
  std::vector<double> numbers(count.value_or(0));
  for (auto [i, number] : llvm::enumerate(numbers)) {
    int64_t rest = i, at = 0, stride = 1;
    for (size_t d = own.size(); d-- > 0;) {
      at += own[d] == 1 ? 0 : rest % tail[d] * stride;
      stride *= own[d];
      rest /= tail[d];
    }
    number = tensor.floats()[at];
  }
  return numbers;
}

/// What is subtracted from all elements alike is a statistic from here on. What
/// divides them alone may be a scale of scores (1 / 512 of so many positions):
/// it is one where quantities are that fp16 has not.
static constexpr double kTelling = 16, kWide = 4096;
/// Elements beyond which one input is not looked at so closely.
static constexpr int64_t kMostCentered = 1 << 16;

/// What the model subtracts from an input and divides it by, where it begins
/// with that: numbers about these are those that it was made for.
static void findScale(BlockArgument argument, Input &in) {
  std::optional<int64_t> count = countElements(in.shape);
  if (!count || *count == 0 || *count > kMostCentered)
    return;
  std::vector<double> center(*count, 0), spread(*count, 1);
  bool known = false;
  auto apply = [&](Value constant, Value at, auto step) {
    // Statistics are of columns: what each row has its own of is data.
    auto type = cast<RankedTensorType>(at.getType());
    auto own = dyn_cast<RankedTensorType>(constant.getType());
    if (!own || (own.getNumElements() == type.getNumElements() &&
                 type.getRank() > 0 && type.getDimSize(0) > 1))
      return false;
    auto numbers = broadcast(constant, type.getShape());
    if (!numbers || numbers->size() != center.size())
      return false;
    for (auto [number, c, s] : llvm::zip(*numbers, center, spread))
      step(number, c, s);
    return known = true;
  };
  auto subtract = [](double x, double &c, double &s) { c += x * s; };
  auto add = [](double x, double &c, double &s) { c -= x * s; };
  auto divide = [](double x, double &, double &s) { s *= x; };
  auto multiply = [](double x, double &, double &s) { s /= x; };
  Value v = argument;
  for (unsigned depth = 0; depth < 8; ++depth) {
    Value next;
    for (Operation *user : v.getUsers()) {
      // A quantiser divides by its step, which says nothing of its input.
      if (isa<RoundOp>(user))
        return;
      if (user->getNumResults() != 1 || next)
        continue;
      bool isFirst = user->getOperand(0) == v;
      Value other =
          user->getNumOperands() == 2 ? user->getOperand(isFirst) : Value();
      bool goes =
          isa<CastOp, IdentityOp, ReshapeOp, ExpandDimsOp, SqueezeOp>(user);
      if (auto norm = dyn_cast<BatchNormOp>(user); norm && isFirst) {
        SmallVector<int64_t> wide(
            cast<RankedTensorType>(v.getType()).getRank() - 1, 1);
        auto perChannel = [&](Value vector, auto step) {
          auto constant = vector.getDefiningOp<ConstantOp>();
          auto tensor = constant ? Tensor::fromElements(constant.getValue())
                                 : FailureOr<Tensor>(failure());
          if (failed(tensor))
            return false;
          int64_t channels = tensor->size(), inner = 1;
          for (int64_t dim :
               cast<RankedTensorType>(v.getType()).getShape().drop_front(2))
            inner *= dim;
          Tensor unpacked = tensor->unpacked();
          for (size_t i = 0; i < center.size(); ++i)
            step(unpacked.floats()[i / inner % channels], center[i], spread[i]);
          return known = true;
        };
        double epsilon = norm.getEpsilon().convertToDouble();
        if (perChannel(norm.getMean(), subtract))
          perChannel(norm.getVariance(), [&](double x, double &, double &s) {
            s *= std::sqrt(std::max(x, 0.0) + epsilon);
          });
      } else if (isa<SubOp>(user) && isFirst) {
        goes = apply(other, v, subtract);
      } else if (isa<AddOp>(user)) {
        goes = apply(other, v, add);
      } else if (isa<RealDivOp>(user) && isFirst) {
        goes = apply(other, v, divide);
      } else if (isa<MulOp>(user)) {
        goes = apply(other, v, multiply);
      }
      if (goes)
        next = user->getResult(0);
    }
    if (!next)
      break;
    v = next;
  }
  auto isSensible = [](double x) {
    return std::isfinite(x) && std::fabs(x) < 1e30;
  };
  // One small number for all (an epsilon, log(1 + x)) says nothing of an input.
  bool tells = !llvm::all_equal(center) || !llvm::all_equal(spread) ||
               std::fabs(center[0]) > kTelling ||
               std::fabs(spread[0]) > kWide || std::fabs(spread[0]) < 1 / kWide;
  if (known && tells && llvm::all_of(center, isSensible) &&
      llvm::all_of(spread, isSensible)) {
    in.center = std::move(center);
    in.spread = std::move(spread);
  }
}

static FailureOr<std::vector<Input>> describe(func::FuncOp function) {
  std::vector<Input> inputs;
  for (BlockArgument argument : function.getArguments()) {
    auto type = dyn_cast<RankedTensorType>(argument.getType());
    if (!type || !type.hasStaticShape())
      return failure();
    Input in;
    unsigned number = argument.getArgNumber();
    if (auto name = function.getArgAttrOfType<StringAttr>(number, marks::kName))
      in.name = name.str();
    in.dtype = in.user = *toDType(type.getElementType());
    if (auto user =
            function.getArgAttrOfType<StringAttr>(number, marks::kDtype))
      in.user = lookupDType(user.getValue()).value_or(in.dtype);
    in.shape.assign(type.getShape().begin(), type.getShape().end());
    if (!isFloat(in.dtype))
      in.extent = findExtent(argument);
    in.role = guessRole(in);
    if (isFloat(in.dtype) && in.role == Role::Number)
      findScale(argument, in);
    inputs.push_back(std::move(in));
  }
  return inputs;
}

Tensor mlir::ane::inDType(const Tensor &tensor, DType dtype) {
  if (tensor.dtype() == dtype)
    return tensor;
  if (tensor.isFloat() && isFloat(dtype))
    return tensor.retyped(dtype);
  Tensor result(dtype, tensor.shape());
  for (int64_t i = 0; i < tensor.size(); ++i) {
    double value =
        tensor.isFloat() ? tensor.floats()[i] : double(tensor.ints()[i]);
    if (result.isFloat())
      result.mutableFloats()[i] = float(value);
    else
      result.mutableInts()[i] = wrapTo(
          dtype, tensor.isFloat() ? floatToInteger(value) : tensor.ints()[i]);
  }
  return result;
}

std::vector<Sample> mlir::ane::guessSamples(func::FuncOp function) {
  auto inputs = describe(function);
  if (failed(inputs))
    return {};
  int64_t longest = 1;
  for (const Input &in : *inputs)
    if (isFloat(in.dtype) && in.role != Role::State)
      for (int64_t dim : in.shape)
        longest = std::max(longest, dim);
  std::set<std::string> first, second;
  bool differs = false, signal = false, state = false;
  for (const Input &in : *inputs) {
    auto say = [&](const char *a, const char *b) {
      first.insert(a);
      second.insert(b);
      differs |= std::string(a) != b;
    };
    switch (in.role) {
    case Role::Image:
      isFloat(in.dtype) ? say("picture 0…1", "picture 0…255")
                        : say("picture 0…255", "picture 0…255");
      break;
    case Role::Audio:
      signal = true;
      say("audio with silence", "silence");
      break;
    case Role::Token:
      say("tokens over the vocabulary", "tokens over the vocabulary");
      break;
    case Role::Mask:
      say("mask of ones", "mask with padding");
      break;
    case Role::Position:
      say("positions from 0", "positions far out");
      break;
    case Role::Cosine:
    case Role::Sine:
      say("rotary embeddings", "rotary embeddings");
      break;
    case Role::Time:
      say("time step 999", "time step 1");
      break;
    case Role::State:
      state = true;
      say("empty state", "random state");
      break;
    case Role::Length:
      say("full length", "full length");
      break;
    default:
      signal |= isFloat(in.dtype);
      in.center.empty() ? say("random numbers", "random numbers")
                        : say("numbers about what the model subtracts",
                              "numbers about what the model subtracts");
      differs |= in.dtype == DType::Bool;
    }
  }
  std::vector<Sample> samples;
  Random random;
  // Before anything came in the state is empty, too.
  unsigned variants = signal && state ? 3 : differs ? 2 : 1;
  for (unsigned variant = 0; variant < variants; ++variant) {
    Sample sample;
    sample.name = variant == 2 ? "silence or zeros from the start"
                               : llvm::join(variant ? second : first, ", ");
    for (const Input &in : *inputs)
      sample.inputs.push_back(make(in, variant, longest, random));
    samples.push_back(std::move(sample));
  }
  return samples;
}

FailureOr<std::vector<Sample>> mlir::ane::readSamples(func::FuncOp function,
                                                      StringRef dir) {
  auto refuse = [&](const Twine &why) {
    return function.emitError() << "calibration: " << why, failure();
  };
  auto inputs = describe(function);
  if (failed(inputs))
    return refuse("an input has an unknown dimension; set it with --dim");
  // Each folder that holds inputs is a sample.
  std::set<std::string> folders;
  std::error_code error;
  for (llvm::sys::fs::directory_iterator it(dir, error), end;
       it != end && !error; it.increment(error))
    if (llvm::sys::fs::is_directory(it->path()))
      folders.insert(it->path());
  if (error)
    return refuse("cannot read '" + dir + "': " + error.message());
  SmallString<128> own(dir);
  llvm::sys::path::append(own, "input_0");
  if (folders.empty() || llvm::sys::fs::exists(own + ".pb") ||
      llvm::sys::fs::exists(own + ".npy"))
    folders = {dir.str()};
  std::vector<std::string> names;
  for (const Input &in : *inputs)
    names.push_back(in.name);
  std::vector<Sample> samples;
  for (const std::string &folder : folders) {
    Sample sample;
    sample.name = llvm::sys::path::filename(StringRef(folder).rtrim('/')).str();
    sample.inputs.resize(names.size());
    if (llvm::Error error =
            readTestInputs(folder, names, function.getContext(), sample.inputs))
      return refuse(llvm::toString(std::move(error)));
    for (auto [in, tensor] : llvm::zip(*inputs, sample.inputs)) {
      if (!tensor)
        return refuse("'" + folder + "' has no value for input '" + in.name +
                      "'");
      if (tensor.shape() != ArrayRef<int64_t>(in.shape))
        return refuse("in '" + folder + "' input '" + in.name +
                      "' has another shape than in the model");
      llvm::Expected<Tensor> carried = convertTensor(tensor, in.dtype, in.name);
      if (!carried)
        return refuse(llvm::toString(carried.takeError()));
      tensor = *carried;
    }
    samples.push_back(std::move(sample));
  }
  return samples;
}
