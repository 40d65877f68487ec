//===- Shape.cpp - data movement and shape arithmetic ---------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "dialects/ANE/IR/Shape.h"
#include "Lowering.h"
#include "dialects/ANE/IR/Comparison.h"
#include "dialects/ANE/IR/Image.h"
#include "dialects/ANE/IR/Linear.h"
#include "dialects/ANE/IR/Rearrange.h"
#include "dialects/ANE/IR/Unary.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/MathExtras.h"
#include <cmath>
#include <numeric>

using namespace mlir;
using namespace mlir::ane;

using C = NodeContext;

static LogicalResult lowerShape(C &c) {
  ArrayRef<int64_t> shape = c.shape(c.input(0));
  int64_t rank = shape.size(), start = c.getInt("start", 0),
          end = c.getInt("end", rank);
  auto clamp = [&](int64_t v) {
    return std::clamp<int64_t>(v < 0 ? v + rank : v, 0, rank);
  };
  start = clamp(start);
  end = std::max(start, clamp(end));
  if (!c.type(c.input(0)).hasStaticShape())
    return c.error() << "of a tensor with unknown dimensions is not supported";
  return c.set(0, c.graph.ints(c.loc, shape.slice(start, end - start)));
}

static LogicalResult lowerSize(C &c) {
  if (!c.type(c.input(0)).hasStaticShape())
    return c.error() << "of a tensor with unknown dimensions is not supported";
  return c.set(0, c.scalar(c.type(c.input(0)).getNumElements(),
                           c.graph.builder.getI64Type()));
}

static LogicalResult lowerReshape(C &c) {
  Value x = c.input(0);
  auto wanted = c.getIntsOrInput("shape", 1);
  if (failed(wanted))
    return failure();
  if (!*wanted)
    return c.error() << "expects a shape";
  SmallVector<int64_t> shape = **wanted;
  if (!c.getInt("allowzero", 0))
    for (auto [i, dim] : llvm::enumerate(shape))
      if (dim == 0) {
        if ((int64_t)i >= c.rank(x))
          return c.error() << "expects a zero of 'shape' to copy an axis of "
                           << c.type(x) << ", but got one at " << i;
        dim = ShapedType::isDynamic(c.shape(x)[i]) ? -1 : c.shape(x)[i];
      }
  // Resolve -1 here: MIL's own zero and -1 rules differ.
  int64_t known = 1, open = -1;
  for (auto [i, dim] : llvm::enumerate(shape))
    if (dim == -1)
      open = i;
    else if (dim < 0 || llvm::MulOverflow(known, dim, known))
      return c.error() << "expects 'shape' of sensible dimensions, but got ["
                       << ArrayRef<int64_t>(shape) << "]";
  if (open >= 0 && known > 0 && c.type(x).hasStaticShape() &&
      c.type(x).getNumElements() % known == 0)
    shape[open] = c.type(x).getNumElements() / known;
  return c.set(0, c.reshape(x, shape));
}

static LogicalResult lowerFlatten(C &c) {
  Value x = c.input(0);
  int64_t rank = c.rank(x), axis = c.getInt("axis", 1);
  if (axis < 0)
    axis += rank;
  if (axis < 0 || axis > rank)
    return c.error() << "expects 'axis' in [" << -rank << ", " << rank
                     << "], but got " << c.getInt("axis", 1);
  int64_t dims[2] = {1, 1};
  for (auto [i, dim] : llvm::enumerate(c.shape(x)))
    dims[(int64_t)i >= axis] *= dim;
  return c.set(0, c.reshape(x, dims));
}

static LogicalResult lowerSqueeze(C &c) {
  Value x = c.input(0);
  auto axes = c.getIntsOrInput("axes", 1);
  if (failed(axes))
    return failure();
  SmallVector<bool> gone(c.rank(x));
  if (*axes) {
    for (int64_t a : **axes) {
      FailureOr<int64_t> axis = c.axis(a, c.rank(x));
      if (failed(axis))
        return failure();
      if (c.shape(x)[*axis] != 1)
        return c.error() << "expects axis " << a << " of " << c.type(x)
                         << " to have length 1";
      gone[*axis] = true;
    }
  } else {
    for (int64_t i = 0; i < c.rank(x); ++i)
      gone[i] = c.shape(x)[i] == 1;
  }
  SmallVector<int64_t> shape;
  for (auto [i, dim] : llvm::enumerate(c.shape(x)))
    if (!gone[i])
      shape.push_back(dim);
  return c.set(0, c.reshape(x, shape));
}

static LogicalResult lowerUnsqueeze(C &c) {
  Value x = c.input(0);
  auto axes = c.getIntsOrInput("axes", 1);
  if (failed(axes))
    return failure();
  if (!*axes)
    return c.error() << "expects axes";
  int64_t rank = c.rank(x) + (*axes)->size();
  SmallVector<bool> fresh(rank);
  for (int64_t a : **axes) {
    FailureOr<int64_t> axis = c.axis(a, rank);
    if (failed(axis))
      return failure();
    if (fresh[*axis])
      return c.error() << "expects distinct axes, but got " << a << " twice";
    fresh[*axis] = true;
  }
  SmallVector<int64_t> shape;
  for (int64_t i = 0, j = 0; i < rank; ++i)
    shape.push_back(fresh[i] ? 1 : c.shape(x)[j++]);
  return c.set(0, c.reshape(x, shape));
}

static LogicalResult lowerTranspose(C &c) {
  Value x = c.input(0);
  SmallVector<int64_t> perm(c.rank(x));
  std::iota(perm.rbegin(), perm.rend(), 0);
  if (auto given = c.getInts("perm"))
    perm = *given;
  if ((int64_t)perm.size() != c.rank(x))
    return c.error() << "expects 'perm' to have " << c.rank(x)
                     << " entries, but got " << perm.size();
  return c.set(0, c.transpose(x, perm));
}

static LogicalResult lowerConcat(C &c) {
  SmallVector<Value> values;
  for (unsigned i = 0; i < c.numInputs(); ++i)
    values.push_back(c.input(i));
  if (values.empty())
    return c.error() << "expects at least one input";
  FailureOr<int64_t> axis =
      c.axis(c.getInt("axis", c.version() < 4 ? 1 : 0), c.rank(values[0]));
  if (failed(axis))
    return failure();
  // Empty parts add nothing, and MIL has no empty tensors.
  SmallVector<Value> full;
  for (Value value : values)
    if (c.rank(value) != c.rank(values[0]) || c.shape(value)[*axis] != 0)
      full.push_back(value);
  return c.set(0, full.empty() ? values[0] : c.concat(full, *axis));
}

static LogicalResult lowerSplit(C &c) {
  Value x = c.input(0);
  FailureOr<int64_t> axis = c.axis(c.getInt("axis", 0), c.rank(x));
  auto sizes = c.getIntsOrInput("split", 1);
  if (failed(axis) || failed(sizes))
    return failure();
  int64_t extent = c.shape(x)[*axis], count = c.numOutputs();
  SmallVector<int64_t> parts;
  if (*sizes) {
    parts = **sizes;
  } else {
    int64_t chunk =
        (extent + count - 1) / count; // num_outputs: the last may be smaller
    for (int64_t i = 0; i < count; ++i)
      parts.push_back(std::clamp<int64_t>(extent - i * chunk, 0, chunk));
  }
  if ((int64_t)parts.size() != count ||
      std::accumulate(parts.begin(), parts.end(), int64_t(0)) != extent)
    return c.error() << "expects " << count << " sizes that add up to "
                     << extent << ", but got [" << ArrayRef<int64_t>(parts)
                     << "]";
  if (count == 1)
    return c.set(0, x);
  SmallVector<Value> results =
      c.createMany<SplitOp>({x}, {.axis = *axis, .split_sizes = parts});
  for (auto [i, result] : llvm::enumerate(results))
    c.put(i, result);
  return success(!results.empty());
}

static LogicalResult lowerSlice(C &c) {
  Value x = c.input(0);
  auto starts = c.getIntsOrInput("starts", 1),
       ends = c.getIntsOrInput("ends", 2), axes = c.getIntsOrInput("axes", 3);
  auto steps = c.getIntsOrInput("steps", 4);
  if (failed(starts) || failed(ends) || failed(axes) || failed(steps))
    return failure();
  if (!*starts || !*ends || (*starts)->size() != (*ends)->size())
    return c.error() << "expects starts and ends of one length";
  int64_t rank = c.rank(x);
  SmallVector<int64_t> begin(rank, 0), end(c.shape(x)), stride(rank, 1);
  SmallVector<bool> beginMask(rank), endMask(rank);
  bool identity = true, plain = true;
  SmallVector<int64_t> size(c.shape(x));
  for (size_t i = 0; i < (*starts)->size(); ++i) {
    if ((*axes && i >= (*axes)->size()) || (*steps && i >= (*steps)->size()))
      return c.error() << "expects one axis and step per start";
    FailureOr<int64_t> axis = c.axis(*axes ? (**axes)[i] : i, rank);
    if (failed(axis))
      return failure();
    int64_t dim = c.shape(x)[*axis], step = *steps ? (**steps)[i] : 1,
            from = (**starts)[i], to = (**ends)[i];
    if (step == 0)
      return c.error() << "expects non-zero steps";
    // The largest number is "through the end", which backwards is the first.
    if (step < 0 && (to == INT64_MAX || to == INT32_MAX))
      to = INT64_MIN;
    auto clamp = [&](int64_t v) {
      if (v < 0)
        v = v < -dim ? -1 : v + dim;
      return step > 0 ? std::clamp<int64_t>(v, 0, dim)
                      : std::clamp<int64_t>(v, -1, dim - 1);
    };
    from = clamp(from);
    to = clamp(to);
    if (step < 0 && (**starts)[i] < 0 && (**starts)[i] >= -dim)
      from = (**starts)[i] + dim;
    // -1 as an exclusive end cannot be written as an index: the mask says
    // "through the first".
    if (step < 0 &&
        from < 0) // starts are brought into the axis, ends before it
      from = 0;
    if (dim == 0)
      from = to = 0;
    begin[*axis] = from;
    end[*axis] = to;
    stride[*axis] = step;
    endMask[*axis] = step < 0 && to < 0;
    if (endMask[*axis])
      end[*axis] = 0;
    identity &= step == 1 && from == 0 && to == dim;
    plain &= step == 1;
    size[*axis] = std::max<int64_t>(0, to - from);
  }
  if (identity)
    return c.set(0, x);
  if (plain)
    return c.set(0,
                 c.create<SliceBySizeOp>({x}, {.begin = begin, .size = size}));
  return c.set(
      0,
      c.create<SliceByIndexOp>(
          {x}, {.begin = begin,
                .end = end,
                .stride = stride,
                .begin_mask = c.graph.builder.getDenseBoolArrayAttr(beginMask),
                .end_mask = c.graph.builder.getDenseBoolArrayAttr(endMask)}));
}

static LogicalResult lowerExpand(C &c) {
  Value x = c.input(0);
  auto wanted = c.constantInts(c.input(1), "shape");
  if (failed(wanted))
    return failure();
  SmallVector<int64_t> shape(std::max<size_t>(wanted->size(), c.rank(x)), 1);
  for (ArrayRef<int64_t> part : {ArrayRef<int64_t>(*wanted), c.shape(x)})
    for (size_t i = 0; i < part.size(); ++i) {
      int64_t &have = shape[shape.size() - part.size() + i];
      if (have == 1)
        have = part[i];
      else if (part[i] != 1 && part[i] != have)
        return c.error() << "expects a shape that " << c.type(x)
                         << " broadcasts to, but got ["
                         << ArrayRef<int64_t>(*wanted) << "]";
    }
  return c.set(0, c.broadcastTo(x, shape));
}

static LogicalResult lowerTile(C &c) {
  auto reps = c.constantInts(c.input(1), "repeats");
  if (failed(reps))
    return failure();
  if (llvm::all_of(*reps, [](int64_t r) { return r == 1; }))
    return c.set(0, c.input(0));
  return c.set(0, c.create<TileOp>({c.input(0)}, {.reps = *reps}));
}

/// An integer of which floats do not hold every value; bytes and bools they do.
static bool isWideInteger(Type element) {
  return isa<IntegerType>(element) && element.getIntOrFloatBitWidth() > 8;
}

/// Copies that padding by wrapping may make of one axis.
static constexpr int64_t kMostCopies = 1024;

/// One axis with copies of its own around it, again and again.
static Value wrapAxis(C &c, Value x, int64_t axis, int64_t before,
                      int64_t after) {
  int64_t dim = c.shape(x)[axis];
  SmallVector<Value> parts;
  if (int64_t rest = before % dim)
    parts.push_back(c.slice(x, axis, dim - rest, dim));
  parts.append(before / dim + 1 + after / dim, x);
  if (int64_t rest = after % dim)
    parts.push_back(c.slice(x, axis, 0, rest));
  return c.concat(parts, axis);
}

/// Integers padded as integers: rows that are taken again, or rows of `fill`.
static Value padIntegers(C &c, Value x, ArrayRef<int64_t> before,
                         ArrayRef<int64_t> after, StringRef mode,
                         int64_t fill) {
  for (int64_t axis = 0; axis < c.rank(x); ++axis) {
    if (!before[axis] && !after[axis])
      continue;
    int64_t dim = c.shape(x)[axis];
    if (mode == "constant") {
      auto rows = [&](int64_t count) {
        SmallVector<int64_t> shape(c.shape(x));
        shape[axis] = count;
        auto type = RankedTensorType::get(shape, c.element(x));
        return c.graph.constant(
            c.loc, DenseElementsAttr::get(
                       type, ArrayRef<Attribute>{IntegerAttr::get(
                                 c.element(x),
                                 APInt(c.element(x).getIntOrFloatBitWidth(),
                                       uint64_t(fill), false, true))}));
      };
      SmallVector<Value> parts{x};
      if (before[axis])
        parts.insert(parts.begin(), rows(before[axis]));
      if (after[axis])
        parts.push_back(rows(after[axis]));
      x = c.concat(parts, axis);
    } else {
      bool reflects = mode == "reflect";
      int64_t most = std::max(before[axis], after[axis]);
      if (dim == 0 || (reflects && most >= dim))
        return c.error() << "expects pads below the extent of axis " << axis
                         << " of " << c.type(x) << ", but got " << most,
               Value();
      SmallVector<int64_t> sources;
      for (int64_t i = -before[axis]; i < dim + after[axis]; ++i)
        sources.push_back(reflects ? (i < 0      ? -i
                                      : i >= dim ? 2 * dim - 2 - i
                                                 : i)
                                   : std::clamp<int64_t>(i, 0, dim - 1));
      x = c.gather(x, c.ints({int64_t(sources.size())}, sources), axis);
    }
    if (!x)
      return x;
  }
  return x;
}

/// Nothing has no edge that could be too short for its pads. Null where there
/// is something, or comes to be.
static Value padNothing(C &c, Value x, ArrayRef<int64_t> before,
                        ArrayRef<int64_t> after) {
  if (!c.type(x).hasStaticShape())
    return {};
  SmallVector<int64_t> shape(c.shape(x));
  for (auto [dim, low, high] : llvm::zip(shape, before, after))
    dim += low + high;
  return llvm::is_contained(shape, 0) ? c.broadcastTo(c.scalarLike(0, x), shape)
                                      : Value();
}

static LogicalResult lowerPad(C &c) {
  Value x = c.input(0);
  auto pads =
      c.getIntsOrInput(c.attribute("paddings") ? "paddings" : "pads", 1);
  if (failed(pads))
    return failure();
  std::string mode = c.getString("mode", "constant");
  double fill = c.getFloat("value", 0);
  int64_t fillInteger = int64_t(fill);
  if (c.input(2)) {
    auto value = c.constantTensor(c.input(2), "constant_value");
    if (failed(value))
      return failure();
    if (value->size() && value->isFloat())
      fill = value->floats()[0];
    else if (value->size())
      fill = double(fillInteger = value->ints()[0]);
  }
  int64_t rank = c.rank(x);
  SmallVector<int64_t> before(rank), after(rank), axes(rank);
  std::iota(axes.begin(), axes.end(), 0);
  if (c.input(3)) {
    auto given = c.constantInts(c.input(3), "axes");
    if (failed(given))
      return failure();
    axes.assign(given->begin(), given->end());
  }
  if (!*pads || (*pads)->size() != 2 * axes.size())
    return c.error() << "expects two pads per axis";
  for (auto [i, a] : llvm::enumerate(axes)) {
    FailureOr<int64_t> axis = c.axis(a, rank);
    if (failed(axis))
      return failure();
    before[*axis] = (**pads)[i];
    after[*axis] = (**pads)[axes.size() + i];
    if (!llvm::isInt<32>(before[*axis]) || !llvm::isInt<32>(after[*axis]))
      return c.error() << "expects pads below 2^31";
  }
  // Negative pads crop.
  for (int64_t i = 0; i < rank && x; ++i)
    if (before[i] < 0 || after[i] < 0) {
      int64_t from = std::max<int64_t>(0, -before[i]),
              to = c.shape(x)[i] - std::max<int64_t>(0, -after[i]);
      if (to < from)
        return c.error() << "crops more than axis " << i << " of " << c.type(x);
      x = c.slice(x, i, from, to);
      before[i] = std::max<int64_t>(0, before[i]);
      after[i] = std::max<int64_t>(0, after[i]);
    }
  if (!x)
    return failure();
  if (Value nothing = padNothing(c, x, before, after))
    return c.set(0, nothing);
  if (mode == "wrap") {
    for (int64_t i = 0; i < rank && x; ++i) {
      if (!before[i] && !after[i])
        continue;
      if (c.shape(x)[i] == 0 ||
          (before[i] + after[i]) / c.shape(x)[i] > kMostCopies)
        return c.error() << "expects pads of mode wrap to be at most "
                         << kMostCopies << " times the extent of axis " << i
                         << " of " << c.type(x) << ", but got " << before[i]
                         << " and " << after[i];
      x = wrapAxis(c, x, i, before[i], after[i]);
    }
    return c.set(0, x);
  }
  // Only the axes from the first padded one on are named: MIL pads the last N.
  int64_t first = 0;
  while (first < rank && !before[first] && !after[first])
    ++first;
  if (first == rank)
    return c.set(0, x);
  SmallVector<int64_t> pad;
  for (int64_t i = first; i < rank; ++i) {
    pad.push_back(before[i]);
    pad.push_back(after[i]);
  }
  Type original = c.element(x);
  if (isWideInteger(original))
    return c.set(0, padIntegers(c, x, before, after, mode, fillInteger));
  if (!isa<FloatType>(original)) // MIL pads floats, which hold every byte
    x = c.castTo(x, c.graph.builder.getF32Type());
  Value y = c.create<PadOp>(
      {x}, {.pad = pad,
            .mode = c.word<PadMode>(mode == "edge" ? "replicate" : mode),
            .constant_val = fill});
  return c.set(0, c.castTo(y, original));
}

static LogicalResult lowerConstantOfShape(C &c) {
  auto shape = c.constantInts(c.input(0), "input");
  if (failed(shape))
    return failure();
  Value value = c.scalar(0, c.graph.builder.getF32Type());
  if (auto attr = dyn_cast_or_null<ElementsAttr>(c.attribute("value"))) {
    value = c.graph.constant(c.loc, attr);
    if (c.element(value).isF64() || c.element(value).isBF16())
      value = c.castTo(value, c.graph.builder.getF32Type());
  }
  for (int64_t dim : *shape)
    if (dim < 0 || dim > INT32_MAX)
      return c.error() << "expects dimensions in [0, 2^31), but got " << dim;
  value = c.reshape(value, {});
  // A splat constant: no storage, whatever the shape.
  if (std::optional<Tensor> tensor = c.tryConstant(value)) {
    Attribute element =
        *tensor->toElements(c.node.getContext()).getValues<Attribute>().begin();
    return c.set(0, c.graph.constant(c.loc, DenseElementsAttr::get(
                                                RankedTensorType::get(
                                                    *shape, c.element(value)),
                                                ArrayRef<Attribute>{element})));
  }
  return failure();
}

/// A length that the data decides, but no more than the user says: entries
/// behind the limit are there too.
static LogicalResult lowerBoundedRange(C &c, int64_t length) {
  Value start = c.reshape(c.input(0), {}), step = c.reshape(c.input(2), {});
  if (!start || !step)
    return failure();
  SmallVector<int64_t> numbers(length);
  std::iota(numbers.begin(), numbers.end(), 0);
  emitRemark(c.loc) << "Range: has " << length
                    << " entries, as --max-length says, whatever its limit is";
  return c.set(
      0,
      c.add(c.mul(c.castTo(c.ints({length}, numbers), c.element(start)), step),
            start));
}

static LogicalResult lowerRange(C &c) {
  if (!c.tryConstant(c.input(1)) || !c.tryConstant(c.input(0))) {
    if (std::optional<int64_t> length = c.maxLength())
      return lowerBoundedRange(c, *length);
    return c.error() << "expects 'start', 'limit' and 'delta' to be known at "
                        "compile time, but the data decides them; --max-length "
                     << c.name()
                     << "=N gives it N entries, or cut the model "
                        "before it with --outputs";
  }
  auto start = c.constantTensor(c.input(0), "start"),
       limit = c.constantTensor(c.input(1), "limit"),
       delta = c.constantTensor(c.input(2), "delta");
  if (failed(start) || failed(limit) || failed(delta))
    return failure();
  double first = start->number(), step = delta->number(),
         count =
             step == 0
                 ? -1
                 : std::max(0.0, std::ceil((limit->number() - first) / step));
  if (!(count >= 0 && count < (1 << 28)))
    return c.error() << "expects between 0 and 2^28 elements";
  Tensor tensor(start->dtype(), {int64_t(count)});
  for (int64_t i = 0; i < tensor.size(); ++i)
    if (tensor.isFloat())
      tensor.mutableFloats()[i] = float(first) + float(i) * float(step);
    else
      tensor.mutableInts()[i] =
          int64_t(uint64_t(start->integer()) + uint64_t(i) * delta->integer());
  return c.set(0, c.graph.constant(c.loc, tensor));
}

/// Random numbers are their mean, so that results can be compared, or an input.
static LogicalResult lowerRandom(C &c) {
  bool like = c.opType().ends_with("Like"),
       normal = c.opType().starts_with("RandomNormal");
  SmallVector<int64_t> shape;
  Type element = c.f32();
  if (like) {
    if (!c.input(0) || !c.type(c.input(0)).hasStaticShape())
      return c.error() << "expects an input of static shape";
    shape.assign(c.shape(c.input(0)).begin(), c.shape(c.input(0)).end());
    if (c.isFloat(c.input(0)))
      element = c.element(c.input(0));
  } else if (auto given = c.getInts("shape")) {
    shape = *given;
  } else {
    return c.error() << "expects a shape";
  }
  if (auto dtype = lookupDTypeByOnnxCode(c.getInt("dtype", 0)))
    element = carrierOf(toMLIRType(*dtype, c.node.getContext()));
  if (!isa<FloatType>(element) ||
      llvm::any_of(shape, [](int64_t d) { return d < 0 || d > INT32_MAX; }))
    return c.error() << "expects floats of a sensible shape";
  auto type = RankedTensorType::get(shape, element);
  if (c.randomIsInput())
    return c.set(0, c.addInput(type));
  double mean = normal ? c.getFloat("mean", 0)
                       : (c.getFloat("low", 0) + c.getFloat("high", 1)) / 2;
  std::string text;
  llvm::raw_string_ostream(text) << llvm::format("%g", mean);
  emitWarning(c.loc) << c.opType() << ": its random numbers are their mean, "
                     << text << "; --random=input makes them an input '"
                     << c.name() << "' of the model";
  return c.set(0, c.graph.constant(
                      c.loc, DenseElementsAttr::get(
                                 type, ArrayRef<Attribute>{FloatAttr::get(
                                           cast<FloatType>(element), mean)})));
}

static LogicalResult lowerDepthToSpace(C &c) {
  int64_t block = c.getInt("blocksize", 0);
  if (c.getString("mode", "DCR") == "CRD")
    return c.set(
        0, c.create<PixelShuffleOp>({c.input(0)}, {.upscale_factor = block}));
  return c.set(0,
               c.create<DepthToSpaceOp>({c.input(0)}, {.block_size = block}));
}
static LogicalResult lowerSpaceToDepth(C &c) {
  if (c.getString("mode", "DCR") == "CRD")
    return c.set(
        0, c.create<PixelUnshuffleOp>(
               {c.input(0)}, {.downscale_factor = c.getInt("blocksize", 0)}));
  return c.set(0, c.create<SpaceToDepthOp>(
                      {c.input(0)}, {.block_size = c.getInt("blocksize", 0)}));
}

/// A constant 0/1 mask over the last two axes.
static Value triangle(C &c, int64_t rows, int64_t columns, int64_t k,
                      bool upper) {
  Tensor mask(DType::Bool, {rows, columns});
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < columns; ++j)
      mask.mutableInts()[i * columns + j] = upper ? j - i >= k : j - i <= k;
  return c.graph.constant(c.loc, mask);
}
static LogicalResult lowerTrilu(C &c) {
  Value x = c.input(0);
  int64_t k = 0;
  if (c.input(1)) {
    auto given = c.constantInt(c.input(1), "k");
    if (failed(given))
      return failure();
    k = *given;
  }
  if (c.rank(x) < 2)
    return c.error() << "expects an input of rank 2 or more";
  ArrayRef<int64_t> shape = c.shape(x);
  Value mask = triangle(c, shape[shape.size() - 2], shape.back(), k,
                        c.getInt("upper", 1));
  return c.set(0, c.create<SelectOp>({mask, x, c.scalarLike(0, x)}));
}
static LogicalResult lowerEyeLike(C &c) {
  ArrayRef<int64_t> shape = c.shape(c.input(0));
  if (shape.size() != 2)
    return c.error() << "expects a matrix";
  Type element = c.element(c.input(0));
  if (auto dtype = lookupDTypeByOnnxCode(c.getInt("dtype", 0)))
    element = toMLIRType(*dtype, c.node.getContext());
  Tensor eye(DType::Float32, shape);
  int64_t k = c.getInt("k", 0);
  for (int64_t i = 0; i < shape[0]; ++i)
    if (i + k >= 0 && i + k < shape[1])
      eye.mutableFloats()[i * shape[1] + i + k] = 1;
  return c.set(
      0, c.castTo(c.graph.constant(c.loc, eye),
                  element.isF64() ? c.graph.builder.getF32Type() : element));
}

static LogicalResult lowerReverseSequence(C &c) {
  return c.set(0, c.create<ReverseSequenceOp>(
                      {c.input(0), c.input(1)},
                      {.seq_axis = c.getInt("time_axis", 0),
                       .batch_axis = c.getInt("batch_axis", 1)}));
}

//===----------------------------------------------------------------------===//
// Resize: separable, Y = A_h · X · A_wᵀ with constant matrices built from
// ONNX's formula (mil/onnx.md §9)
//===----------------------------------------------------------------------===//

namespace {
struct ResizeAxis {
  int64_t from, to;
  double scale, roiStart = 0, roiEnd = 1;
};
} // namespace

/// Row-major [to, from] interpolation weights of one axis.
static FailureOr<std::vector<float>>
resizeMatrix(C &c, const ResizeAxis &axis, StringRef mode, StringRef transform,
             StringRef nearest, double cubic, bool antialias,
             bool excludeOutside, bool &usesExtrapolation) {
  std::vector<float> matrix(size_t(axis.to) * axis.from);
  for (int64_t i = 0; i < axis.to; ++i) {
    // In fp32, as ONNX Runtime computes them: `nearest` and `floor` are decided
    // by the last bit.
    float x, from = axis.from, to = axis.to, scale = axis.scale, at = i;
    if (transform == "half_pixel")
      x = (at + 0.5f) / scale - 0.5f;
    else if (transform == "pytorch_half_pixel")
      x = to > 1 ? (at + 0.5f) / scale - 0.5f : 0;
    else if (transform == "align_corners")
      // By the length before it is rounded down, as ONNX's own tests have it.
      x = to == 1 || scale * from == 1 ? 0
                                       : at * (from - 1) / (scale * from - 1);
    else if (transform == "asymmetric")
      x = at / scale;
    else if (transform == "half_pixel_symmetric")
      x = from / 2 * (1 - to / (scale * from)) + ((at + 0.5f) / scale - 0.5f);
    else if (transform == "tf_half_pixel_for_nn")
      x = (at + 0.5f) / scale;
    else if (transform == "tf_crop_and_resize") {
      float start = axis.roiStart, end = axis.roiEnd;
      x = to > 1
              ? start * (from - 1) + at * (end - start) * (from - 1) / (to - 1)
              : 0.5f * (start + end) * (from - 1);
      if (x < 0 || x > from - 1) {
        usesExtrapolation = true;
        continue; // a row of zeros; the caller adds the value
      }
    } else {
      return c.error() << "has coordinate_transformation_mode '" << transform
                       << "', which is not known";
    }
    float *row = matrix.data() + i * axis.from;
    auto addWeight = [&](int64_t index, double weight) {
      bool inside = index >= 0 && index < axis.from;
      if (inside || !excludeOutside)
        row[std::clamp<int64_t>(index, 0, axis.from - 1)] += float(weight);
    };
    if (mode == "nearest") {
      // Halves are found within a millionth, as ONNX Runtime does.
      double index = nearest == "floor"  ? std::floor(x)
                     : nearest == "ceil" ? std::ceil(x)
                     : nearest == "round_prefer_ceil"
                         ? std::floor(double(x) + 0.5 + 1e-6)
                         : std::ceil(double(x) - 0.5 - 1e-6);
      addWeight(int64_t(index), 1);
      continue;
    }
    double stretch = antialias && scale < 1 ? 1 / scale : 1;
    auto filter = [&](double d) {
      d = std::fabs(d / stretch);
      if (mode == "linear")
        return std::max(0.0, 1 - d);
      if (d < 1)
        return (cubic + 2) * d * d * d - (cubic + 3) * d * d + 1;
      return d < 2 ? cubic * d * d * d - 5 * cubic * d * d + 8 * cubic * d -
                         4 * cubic
                   : 0.0;
    };
    int64_t reach = int64_t(std::ceil((mode == "linear" ? 1 : 2) * stretch));
    int64_t center = floatToInteger(std::floor(x));
    double sum = 0;
    SmallVector<std::pair<int64_t, double>> taps;
    for (int64_t k = center - reach; k <= center + reach + 1; ++k) {
      double weight = filter(k - x);
      bool inside = k >= 0 && k < axis.from;
      if (weight != 0 && (inside || !excludeOutside)) {
        taps.push_back({k, weight});
        sum += weight;
      }
    }
    for (auto [index, weight] : taps)
      addWeight(index, (antialias || excludeOutside) && sum != 0 ? weight / sum
                                                                 : weight);
  }
  return matrix;
}

/// floor(extent * scale). The scale is an fp32: 10/3 is a little less or more
/// than that, and of 30 pixels the exact product makes 99 where one rounded to
/// fp32, as ONNX Runtime's is, makes 100. What the model says of its output
/// decides, else ONNX Runtime.
static int64_t resizedExtent(C &c, int64_t axis, int64_t from, double scale) {
  int64_t exact = floatToInteger(std::floor(double(from) * scale)),
          rounded = floatToInteger(float(from) * float(scale));
  std::optional<SmallVector<int64_t>> declared = c.declaredShape(0);
  return declared && axis < (int64_t)declared->size() &&
                 (*declared)[axis] == exact
             ? exact
             : rounded;
}

/// MIL's own bilinear resizing of images, where its sampling is ONNX's; else
/// null.
static Value resizeBilinear(C &c, Value x, ArrayRef<int64_t> axes,
                            const std::optional<SmallVector<int64_t>> &sizes,
                            ArrayRef<double> scales, StringRef transform) {
  if (c.rank(x) != 4 || c.getInt("antialias", 0) ||
      c.getInt("exclude_outside", 0))
    return {};
  int64_t target[] = {c.shape(x)[2], c.shape(x)[3]};
  for (auto [i, axis] : llvm::enumerate(axes)) {
    int64_t from = c.shape(x)[axis];
    if (from < 1 || (sizes && !scales.empty()))
      return {};
    int64_t to = sizes ? (*sizes)[i] : resizedExtent(c, axis, from, scales[i]);
    // Coordinates are those of the scale, which is not always that of the
    // sizes.
    if (to < 1 || to > INT32_MAX || (axis < 2 && to != from) ||
        (!sizes && scales[i] * double(from) != double(to)) ||
        (to == 1 && from != 1))
      return {};
    if (axis >= 2)
      target[axis - 2] = to;
  }
  auto mode =
      StringSwitch<std::optional<GridMode>>(transform)
          .Cases({"half_pixel", "pytorch_half_pixel", "half_pixel_symmetric"},
                 GridMode::UNALIGN_CORNERS)
          .Case("align_corners", GridMode::STRICT_ALIGN_CORNERS)
          .Case("asymmetric", GridMode::DEFAULT)
          .Default(std::nullopt);
  if (!mode || (target[0] == c.shape(x)[2] && target[1] == c.shape(x)[3]))
    return {};
  return c.create<ResizeBilinearOp>({x}, {.target_size_height = target[0],
                                          .target_size_width = target[1],
                                          .sampling_mode = *mode});
}

namespace {
/// What a Resize or Upsample asks for.
struct ResizeRequest {
  SmallVector<int64_t> axes;
  SmallVector<double> scaleValues, roi;
  std::optional<SmallVector<int64_t>> sizes;
  std::string mode, transform, nearest, policy;

  LogicalResult read(C &c, Value x);
  /// keep_aspect_ratio_policy turns sizes into one scale.
  void keepAspect(C &c, Value x);
};
} // namespace

void ResizeRequest::keepAspect(C &c, Value x) {
  double best = 0;
  for (auto [i, axis] : llvm::enumerate(axes)) {
    double scale = double((*sizes)[i]) / c.shape(x)[axis];
    best = i == 0                   ? scale
           : policy == "not_larger" ? std::min(best, scale)
                                    : std::max(best, scale);
  }
  for (auto [i, axis] : llvm::enumerate(axes))
    (*sizes)[i] = floatToInteger(std::floor(best * c.shape(x)[axis] + 0.5));
  scaleValues.assign(axes.size(), best);
}

LogicalResult ResizeRequest::read(C &c, Value x) {
  bool upsample = c.opType() == "Upsample",
       old = c.opType() == "Resize" && c.version() < 11;
  int64_t rank = c.rank(x);
  unsigned scaleInput = upsample || old ? 1 : 2;
  if (auto attr = dyn_cast_or_null<DenseF32ArrayAttr>(c.attribute("scales"))) {
    for (float v : attr.asArrayRef())
      scaleValues.push_back(v);
  } else if (c.input(scaleInput)) {
    FailureOr<Tensor> scales = c.constantTensor(c.input(scaleInput), "scales");
    if (failed(scales))
      return failure();
    for (float v : scales->floats())
      scaleValues.push_back(v);
  }
  if (!upsample && !old && c.input(3)) {
    auto given = c.constantInts(c.input(3), "sizes");
    if (failed(given))
      return failure();
    if (!given->empty())
      sizes = *given;
  }
  axes.resize(rank);
  std::iota(axes.begin(), axes.end(), 0);
  if (auto given = c.getInts("axes"))
    axes = *given;
  for (int64_t &a : axes) {
    FailureOr<int64_t> axis = c.axis(a, rank);
    if (failed(axis))
      return failure();
    a = *axis;
  }
  if ((sizes ? sizes->size() : scaleValues.size()) != axes.size())
    return c.error() << "expects one scale or size for each of " << axes.size()
                     << " axes";
  mode = c.getString("mode", "nearest");
  transform = c.getString("coordinate_transformation_mode",
                          upsample || old ? "asymmetric" : "half_pixel");
  policy = c.getString("keep_aspect_ratio_policy", "stretch");
  nearest = c.getString("nearest_mode",
                        upsample || old ? "floor" : "round_prefer_floor");
  if (mode == "bilinear")
    mode = "linear";
  if (mode != "nearest" && mode != "linear" && mode != "cubic")
    return c.error() << "has mode '" << mode << "', which is not known";
  if (transform == "tf_crop_and_resize") {
    auto given = c.constantTensor(c.input(1), "roi");
    if (failed(given) || given->size() != 2 * (int64_t)axes.size())
      return c.failed()
                 ? failure()
                 : LogicalResult(c.error()
                                 << "expects a roi of two entries per axis");
    roi.assign(given->floats().begin(), given->floats().end());
  }
  if (sizes && policy != "stretch")
    keepAspect(c, x);
  return success();
}

/// An axis times the matrix of its resizing.
static Value applyResize(C &c, Value x, int64_t axis, const ResizeAxis &r,
                         ArrayRef<float> matrix, StringRef mode, bool outside) {
  int64_t rank = c.rank(x);
  Tensor weights(DType::Float32, {r.to, r.from});
  llvm::copy(matrix, weights.mutableFloats().begin());
  // Integers are taken, not weighed.
  if (!isa<FloatType>(c.element(x))) {
    SmallVector<int64_t> sources;
    for (int64_t k = 0; k < r.to; ++k) {
      auto row = matrix.slice(k * r.from, r.from);
      sources.push_back(llvm::find(row, 1.0f) - row.begin());
    }
    return c.gather(x, c.ints({r.to}, sources), axis);
  }
  // Pure repetition is MIL's own op; everything else is a product with the
  // axis last.
  bool repeat = mode == "nearest" && r.from > 0 && r.to % r.from == 0 &&
                rank == 4 && axis >= 2;
  for (int64_t k = 0; repeat && k < r.to; ++k)
    repeat = matrix[k * r.from + k / (r.to / r.from)] == 1;
  if (repeat) {
    int64_t factor = r.to / r.from;
    x = c.create<UpsampleNearestNeighborOp>(
        {x}, {.scale_factor_height = axis == 2 ? factor : 1,
              .scale_factor_width = axis == 3 ? factor : 1});
  } else {
    Value w = c.castTo(c.graph.constant(c.loc, weights), c.element(x));
    SmallVector<int64_t> perm(rank);
    std::iota(perm.begin(), perm.end(), 0);
    std::swap(perm[axis], perm[rank - 1]);
    Value moved = c.transpose(x, perm);
    Value product = c.create<MatmulOp>({moved, w}, {.transpose_y = true});
    x = product ? c.transpose(product, perm) : product;
  }
  if (outside && x) {
    // Rows that left the image are zero; add the extrapolation value there.
    Tensor fill(DType::Float32, {r.to}), keep(DType::Float32, {r.to});
    for (int64_t k = 0; k < r.to; ++k) {
      bool empty = true;
      for (int64_t j = 0; j < r.from; ++j)
        empty &= matrix[k * r.from + j] == 0;
      fill.mutableFloats()[k] =
          empty ? float(c.getFloat("extrapolation_value", 0)) : 0;
      keep.mutableFloats()[k] = !empty;
    }
    SmallVector<int64_t> wide(rank, 1);
    wide[axis] = r.to;
    x = c.add(
        c.mul(x, c.castTo(c.graph.constant(c.loc, keep.reshaped(wide)),
                          c.element(x))),
        c.castTo(c.graph.constant(c.loc, fill.reshaped(wide)), c.element(x)));
  }
  return x;
}

static LogicalResult lowerResize(C &c) {
  Value x = c.input(0);
  ResizeRequest q;
  if (failed(q.read(c, x)))
    return failure();
  Type original = c.element(x);
  bool taken = q.mode == "nearest" && q.transform != "tf_crop_and_resize" &&
               isWideInteger(original);
  if (!isa<FloatType>(original) && !taken)
    x = c.castTo(x, c.graph.builder.getF32Type());
  if (q.mode == "linear" && isa<FloatType>(original))
    if (Value y =
            resizeBilinear(c, x, q.axes, q.sizes, q.scaleValues, q.transform))
      return c.set(0, y);
  for (auto [i, axis] : llvm::enumerate(q.axes)) {
    if (!x)
      return failure();
    ResizeAxis r;
    r.from = c.shape(x)[axis];
    r.to = q.sizes ? (*q.sizes)[i]
                   : resizedExtent(c, axis, r.from, q.scaleValues[i]);
    r.scale = q.scaleValues.size() == q.axes.size() &&
                      (!q.sizes || q.policy != "stretch")
                  ? q.scaleValues[i]
                  : double(r.to) / r.from;
    if (!q.roi.empty()) {
      r.roiStart = q.roi[i];
      r.roiEnd = q.roi[q.axes.size() + i];
    }
    if (r.to < 1 || r.to > INT32_MAX || r.from < 1)
      return c.error() << "expects positive sizes, but got " << r.from << " to "
                       << r.to;
    // ONNX Runtime's antialiasing leaves an axis that keeps its length alone,
    // whatever the scale.
    bool antialias = c.getInt("antialias", 0) && q.mode != "nearest";
    if (r.from == r.to && (r.scale == 1 || antialias) && q.roi.empty())
      continue;
    bool outside = false;
    auto matrix = resizeMatrix(c, r, q.mode, q.transform, q.nearest,
                               c.getFloat("cubic_coeff_a", -0.75), antialias,
                               c.getInt("exclude_outside", 0), outside);
    if (failed(matrix))
      return failure();
    x = applyResize(c, x, axis, r, *matrix, q.mode, outside);
  }
  // ONNX Runtime cuts, and rounds only where it antialiases.
  if (!isa<FloatType>(original) && x && c.getInt("antialias", 0))
    x = c.create<RoundOp>({x});
  return c.set(0, c.castTo(x, original));
}

void mlir::ane::addShapeHandlers(HandlerTable &t) {
  t.add("Shape", 1, lowerShape);
  t.add("Size", 1, lowerSize);
  t.add("Reshape", 1, lowerReshape);
  t.add("Flatten", 1, lowerFlatten);
  t.add("Squeeze", 1, lowerSqueeze);
  t.add("Unsqueeze", 1, lowerUnsqueeze);
  t.add("Transpose", 1, lowerTranspose);
  t.add("Concat", 1, lowerConcat);
  t.add("Split", 1, lowerSplit);
  t.add("Slice", 1, lowerSlice);
  t.add("Expand", 8, lowerExpand);
  t.add("Tile", 6, lowerTile);
  t.add("Pad", 1, lowerPad);
  t.add("ConstantOfShape", 9, lowerConstantOfShape);
  t.add("Range", 11, lowerRange);
  for (StringRef op : {"RandomNormal", "RandomNormalLike", "RandomUniform",
                       "RandomUniformLike"})
    t.add(op, 1, lowerRandom);
  t.add("DepthToSpace", 1, lowerDepthToSpace);
  t.add("SpaceToDepth", 1, lowerSpaceToDepth);
  t.add("Trilu", 14, lowerTrilu);
  t.add("EyeLike", 9, lowerEyeLike);
  t.add("ReverseSequence", 10, lowerReverseSequence);
  t.add("Resize", 10, lowerResize);
  t.add("Upsample", 7, lowerResize);
}
