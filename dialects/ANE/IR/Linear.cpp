//===- Linear.cpp - convolution, matmul, pooling, recurrent ---------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "dialects/ANE/IR/Linear.h"
#include "dialects/ANE/IR/Pool.h"
#include "dialects/ANE/IR/Recurrent.h"
#include "dialects/ANE/IR/Shape.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::ane;

SmallVector<std::pair<int64_t, int64_t>>
mlir::ane::resolvePadding(PadType padType, ArrayRef<int64_t> pad,
                          ArrayRef<int64_t> input, ArrayRef<int64_t> kernel,
                          ArrayRef<int64_t> strides,
                          ArrayRef<int64_t> dilations) {
  SmallVector<std::pair<int64_t, int64_t>> result;
  for (size_t i = 0; i < kernel.size(); ++i) {
    if (padType == PadType::custom) {
      result.push_back({pad[2 * i], pad[2 * i + 1]});
    } else if (padType != PadType::valid) {
      int64_t outputs = llvm::divideCeilSigned(input[i], strides[i]);
      int64_t total = std::max<int64_t>(0, (outputs - 1) * strides[i] +
                                               (kernel[i] - 1) * dilations[i] +
                                               1 - input[i]);
      int64_t small = total / 2;
      result.push_back(padType == PadType::same
                           ? std::make_pair(small, total - small)
                           : std::make_pair(total - small, small));
    } else {
      result.push_back({0, 0});
    }
  }
  return result;
}

/// Checks that hold for convolutions and pools: ranks, lengths of the parameter
/// lists, positive values.
static LogicalResult checkWindow(std::optional<Location> loc, StringRef opName,
                                 int64_t spatial, PadType padType,
                                 ArrayRef<int64_t> kernel,
                                 ArrayRef<int64_t> strides,
                                 ArrayRef<int64_t> pad,
                                 ArrayRef<int64_t> dilations) {
  auto check = [&](StringRef name, ArrayRef<int64_t> values, size_t count,
                   int64_t least) -> LogicalResult {
    if (values.size() != count)
      return emitOptionalError(loc, "'", opName, "' op expects '", name,
                               "' to have ", count, " entries, but got ",
                               values.size());
    for (int64_t value : values)
      if (value < least || value > INT32_MAX)
        return emitOptionalError(loc, "'", opName, "' op expects '", name,
                                 "' to be in [", least, ", 2^31), but got ",
                                 value);
    return success();
  };
  return success(succeeded(check("kernel", kernel, spatial, 1)) &&
                 succeeded(check("strides", strides, spatial, 1)) &&
                 succeeded(check("dilations", dilations, spatial, 1)) &&
                 succeeded(check("pad", pad, 2 * spatial, 0)));
}

/// What conv and conv_transpose check alike; on success the spatial rank.
template <typename Adaptor>
static FailureOr<int64_t> checkConv(std::optional<Location> loc,
                                    StringRef opName, Adaptor adaptor) {
  auto x = cast<RankedTensorType>(adaptor.getX().getType()),
       w = cast<RankedTensorType>(adaptor.getWeight().getType());
  int64_t spatial = x.getRank() - 2;
  if (spatial < 1 || spatial > 3)
    return emitOptionalError(
        loc, "'", opName, "' op expects 'x' to have rank 3 to 5, but got ", x);
  if (w.getRank() != x.getRank())
    return emitOptionalError(loc, "'", opName,
                             "' op expects 'weight' to have rank ", x.getRank(),
                             ", but got ", w);
  if (!x.hasStaticShape() || !w.hasStaticShape())
    return emitOptionalError(loc, "'", opName,
                             "' op expects static shapes, but got ", x, " and ",
                             w);
  if (x.getElementType() != w.getElementType())
    return emitOptionalError(loc, "'", opName,
                             "' op expects 'weight' of element type ",
                             x.getElementType(), ", but got ", w);
  if ((int64_t)adaptor.getGroups() < 1 || x.getDimSize(1) % adaptor.getGroups())
    return emitOptionalError(
        loc, "'", opName, "' op expects 'groups' to divide ", x.getDimSize(1),
        " input channels, but got ", adaptor.getGroups());
  if (failed(checkWindow(loc, opName, spatial, adaptor.getPadType(),
                         w.getShape().drop_front(2), adaptor.getStrides(),
                         adaptor.getPad(), adaptor.getDilations())))
    return failure();
  return spatial;
}

static LogicalResult checkBias(std::optional<Location> loc, StringRef opName,
                               Value bias, int64_t channels) {
  if (!bias)
    return success();
  auto type = cast<RankedTensorType>(bias.getType());
  if (type.getRank() == 1 && type.getDimSize(0) == channels)
    return success();
  return emitOptionalError(loc, "'", opName,
                           "' op expects 'bias' to have shape [", channels,
                           "], but got ", type);
}

LogicalResult ConvOp::inferReturnTypes(MLIRContext *,
                                       std::optional<Location> loc,
                                       Adaptor adaptor,
                                       SmallVectorImpl<Type> &types) {
  FailureOr<int64_t> spatial = checkConv(loc, getOperationName(), adaptor);
  if (failed(spatial))
    return failure();
  auto x = cast<RankedTensorType>(adaptor.getX().getType()),
       w = cast<RankedTensorType>(adaptor.getWeight().getType());
  int64_t groups = adaptor.getGroups();
  if (w.getDimSize(1) != x.getDimSize(1) / groups)
    return emitOptionalError(loc, "'ane.conv' op expects 'weight' to have ",
                             x.getDimSize(1) / groups,
                             " input channels per group, but got ", w);
  if (w.getDimSize(0) < 1)
    return emitOptionalError(loc,
                             "'ane.conv' op expects 'weight' to have "
                             "output channels, but got ",
                             w);
  if (w.getDimSize(0) % groups)
    return emitOptionalError(loc, "'ane.conv' op expects 'groups' to divide ",
                             w.getDimSize(0), " output channels, but got ",
                             groups);
  if (failed(checkBias(loc, getOperationName(), adaptor.getBias(),
                       w.getDimSize(0))))
    return failure();
  SmallVector<int64_t> shape{x.getDimSize(0), w.getDimSize(0)};
  auto pads = resolvePadding(
      adaptor.getPadType(), adaptor.getPad(), x.getShape().drop_front(2),
      w.getShape().drop_front(2), adaptor.getStrides(), adaptor.getDilations());
  for (int64_t i = 0; i < *spatial; ++i) {
    int64_t extent = (w.getDimSize(i + 2) - 1) * adaptor.getDilations()[i] + 1;
    int64_t room =
        x.getDimSize(i + 2) + pads[i].first + pads[i].second - extent;
    if (room < 0)
      return emitOptionalError(
          loc, "'ane.conv' op expects the padded input of axis ", i + 2,
          " to hold a kernel of extent ", extent, ", but got ",
          x.getDimSize(i + 2) + pads[i].first + pads[i].second);
    shape.push_back(room / adaptor.getStrides()[i] + 1);
  }
  types.push_back(RankedTensorType::get(shape, x.getElementType()));
  return success();
}

LogicalResult ConvTransposeOp::inferReturnTypes(MLIRContext *,
                                                std::optional<Location> loc,
                                                Adaptor adaptor,
                                                SmallVectorImpl<Type> &types) {
  FailureOr<int64_t> spatial = checkConv(loc, getOperationName(), adaptor);
  if (failed(spatial))
    return failure();
  auto x = cast<RankedTensorType>(adaptor.getX().getType()),
       w = cast<RankedTensorType>(adaptor.getWeight().getType());
  if (w.getDimSize(0) != x.getDimSize(1))
    return emitOptionalError(
        loc, "'ane.conv_transpose' op expects 'weight' to have ",
        x.getDimSize(1), " input channels, but got ", w);
  if (w.getDimSize(1) < 1)
    return emitOptionalError(loc,
                             "'ane.conv_transpose' op expects 'weight' to "
                             "have output channels, but got ",
                             w);
  int64_t channels = w.getDimSize(1) * adaptor.getGroups();
  if (failed(checkBias(loc, getOperationName(), adaptor.getBias(), channels)))
    return failure();
  SmallVector<int64_t> shape{x.getDimSize(0), channels};
  if (adaptor.getPadType() == PadType::same_lower)
    return emitOptionalError(loc, "'ane.conv_transpose' op expects 'pad_type' "
                                  "to be valid, same or custom");
  if (auto wanted = adaptor.getOutputShape()) {
    if ((int64_t)wanted->size() != x.getRank())
      return emitOptionalError(
          loc, "'ane.conv_transpose' op expects 'output_shape' to have ",
          x.getRank(), " entries");
    types.push_back(RankedTensorType::get(*wanted, x.getElementType()));
    return success();
  }
  for (int64_t i = 0; i < *spatial; ++i) {
    int64_t full = (x.getDimSize(i + 2) - 1) * adaptor.getStrides()[i] +
                   (w.getDimSize(i + 2) - 1) * adaptor.getDilations()[i] + 1;
    if (adaptor.getPadType() == PadType::same)
      full = x.getDimSize(i + 2) * adaptor.getStrides()[i];
    else if (adaptor.getPadType() == PadType::custom)
      full -= adaptor.getPad()[2 * i] + adaptor.getPad()[2 * i + 1];
    if (full < 1)
      return emitOptionalError(
          loc, "'ane.conv_transpose' op expects a positive extent of axis ",
          i + 2, ", but got ", full);
    shape.push_back(full);
  }
  types.push_back(RankedTensorType::get(shape, x.getElementType()));
  return success();
}

/// A weight that is an input of the program, [1,O,1,I] on its surface, as the
/// weight [O,I,1,1] of one batch (L19).
template <typename Op>
static bool isRunTimeWeight(Op op) {
  auto reshape = op.getWeight().template getDefiningOp<ReshapeOp>();
  auto weight = cast<RankedTensorType>(op.getWeight().getType()),
       x = cast<RankedTensorType>(op.getX().getType());
  return isa<ConvOp>(op) && reshape && weight.getRank() == 4 &&
         weight.getDimSize(2) == 1 && weight.getDimSize(3) == 1 &&
         weight.getDimSize(1) % 32 == 0 && op.getGroups() == 1 &&
         x.getDimSize(0) == 1 && isa<BlockArgument>(reshape.getX());
}

/// Kernel and channel limits S6..S9, S13, S14, S15.
template <typename Op>
static void findConvViolations(Op op, bool transposed, const Target &target,
                               ViolationList &violations) {
  findCommonViolations(op, target, violations);
  auto weight = cast<RankedTensorType>(op.getWeight().getType());
  if (!isConstantTree(op.getWeight()) && !isRunTimeWeight(op))
    violations.push_back({"L19", lookupRule("L19")->text.str()});
  if (weight.getRank() > 4)
    violations.push_back(
        {"S4", "a convolution over three spatial axes never lowers"});
  auto check = [&](LimitId id, const llvm::Twine &what, int64_t value) {
    if (const Limit *limit = target.limit(id); limit && value > limit->value)
      violations.push_back(
          {stringify(id).str(), (what + " " + llvm::Twine(value) +
                                 ", the limit is " + llvm::Twine(limit->value))
                                    .str()});
  };
  auto large = [](ArrayRef<int64_t> values) {
    return llvm::any_of(values, [](int64_t v) { return v > 1; });
  };
  bool small = transposed || large(op.getStrides()) || large(op.getDilations());
  int64_t width = weight.getShape().back(),
          height = weight.getRank() > 3 ? weight.getDimSize(2) : 1;
  check(small ? LimitId::S9W : LimitId::S6, "'weight' has kernel width", width);
  check(small ? LimitId::S9H : LimitId::S7, "'weight' has kernel height",
        height);
  // The compiler counts the padded input.
  auto pads = resolvePadding(op.getPadType(), op.getPad(),
                             op.getX().getType().getShape().drop_front(2),
                             weight.getShape().drop_front(2), op.getStrides(),
                             op.getDilations());
  if (!transposed && op.getPadType() == PadType::custom)
    for (auto [i, pad] : llvm::enumerate(pads))
      if (pad.first || pad.second)
        check(LimitId::S1, "'x' has with its pads an extent of",
              op.getX().getType().getDimSize(2 + i) + pad.first + pad.second);
  check(LimitId::S13, "'x' has channels", op.getX().getType().getDimSize(1));
  check(LimitId::S14, "result has channels", op.getY().getType().getDimSize(1));
  for (int64_t stride : op.getStrides()) {
    int64_t rest = stride;
    while (rest % 2 == 0)
      rest /= 2;
    while (rest % 3 == 0)
      rest /= 3;
    if (rest != 1)
      violations.push_back({"S15", "'strides' has " + std::to_string(stride) +
                                       ", " + lookupRule("S15")->text.str()});
  }
}
void ConvOp::findViolations(const Target &target, ViolationList &violations) {
  findConvViolations(*this, false, target, violations);
}
void ConvTransposeOp::findViolations(const Target &target,
                                     ViolationList &violations) {
  findConvViolations(*this, true, target, violations);
}

/// The result is [N, channels, spatial...] for convolutions, [.., positions,
/// channels] for products.
static Cost macCost(Operation *op, Cost::Kind kind, double macs) {
  Cost cost;
  cost.kind = kind;
  cost.flops = 2 * macs;
  auto result = cast<RankedTensorType>(op->getResult(0).getType());
  if (result.getRank() >= 2 && result.hasStaticShape() &&
      result.getNumElements()) {
    cost.channels = kind == Cost::Kind::Conv ? result.getDimSize(1)
                                             : result.getShape().back();
    cost.positions = result.getNumElements() / cost.channels;
  }
  addTraffic(op, cost);
  return cost;
}
Cost ConvOp::estimateCost(const Target &) {
  auto weight = cast<RankedTensorType>(getWeight().getType());
  return macCost(*this, Cost::Kind::Conv,
                 double(getY().getType().getNumElements()) *
                     (weight.getNumElements() / weight.getDimSize(0)));
}
Cost ConvTransposeOp::estimateCost(const Target &) {
  auto weight = cast<RankedTensorType>(getWeight().getType());
  return macCost(*this, Cost::Kind::Conv,
                 double(getX().getType().getNumElements()) *
                     (weight.getNumElements() /
                      std::max<int64_t>(1, weight.getDimSize(0))));
}

LogicalResult MatmulOp::inferReturnTypes(MLIRContext *context,
                                         std::optional<Location> loc,
                                         Adaptor adaptor,
                                         SmallVectorImpl<Type> &types) {
  auto x = cast<RankedTensorType>(adaptor.getX().getType()),
       y = cast<RankedTensorType>(adaptor.getY().getType());
  if (x.getElementType() != y.getElementType())
    return emitOptionalError(
        loc, "'ane.matmul' op expects operands of one element type, but got ",
        x, " and ", y);
  if (x.getRank() == 0 || y.getRank() == 0)
    return emitOptionalError(
        loc, "'ane.matmul' op expects operands of rank 1 or more, but got ", x,
        " and ", y);
  if ((x.getRank() == 1 && adaptor.getTransposeX()) ||
      (y.getRank() == 1 && adaptor.getTransposeY()))
    return emitOptionalError(
        loc, "'ane.matmul' op expects no transpose of a vector");
  SmallVector<int64_t> a(x.getShape()), b(y.getShape());
  if (a.size() == 1)
    a.insert(a.begin(), 1);
  if (b.size() == 1)
    b.push_back(1);
  if (adaptor.getTransposeX())
    std::swap(a[a.size() - 1], a[a.size() - 2]);
  if (adaptor.getTransposeY())
    std::swap(b[b.size() - 1], b[b.size() - 2]);
  int64_t k = a.back(), l = b[b.size() - 2];
  if (k != l && !ShapedType::isDynamic(k) && !ShapedType::isDynamic(l))
    return emitOptionalError(
        loc, "'ane.matmul' op expects inner dimensions to agree, but got ", k,
        " and ", l, " of ", x, " and ", y);
  SmallVector<int64_t> shape;
  size_t batch = std::max(a.size(), b.size()) - 2;
  for (size_t i = 0; i < batch; ++i) {
    int64_t da = i + a.size() < batch + 2 ? 1 : a[i + a.size() - batch - 2];
    int64_t db = i + b.size() < batch + 2 ? 1 : b[i + b.size() - batch - 2];
    if (da != db && da != 1 && db != 1 && !ShapedType::isDynamic(da) &&
        !ShapedType::isDynamic(db))
      return emitOptionalError(
          loc,
          "'ane.matmul' op expects batch dimensions that broadcast, but got ",
          x, " and ", y);
    shape.push_back(da == 1                     ? db
                    : db == 1                   ? da
                    : ShapedType::isDynamic(da) ? db
                                                : da);
  }
  if (x.getRank() > 1)
    shape.push_back(a[a.size() - 2]);
  if (y.getRank() > 1)
    shape.push_back(b.back());
  types.push_back(RankedTensorType::get(shape, x.getElementType()));
  return success();
}

void MatmulOp::findViolations(const Target &target, ViolationList &violations) {
  findCommonViolations(*this, target, violations);
  RankedTensorType x = getX().getType(), y = getY().getType();
  if (std::max(x.getRank(), y.getRank()) > 4)
    violations.push_back(
        {"S5", "matmul of rank " +
                   std::to_string(std::max(x.getRank(), y.getRank())) +
                   ", the limit is 4"});
  if (x.getRank() < 2 || y.getRank() < 2)
    violations.push_back({"L43", "matmul with a rank-1 operand"});
  else if (x.getRank() == y.getRank()) {
    if (x.getShape().drop_back(2) != y.getShape().drop_back(2))
      violations.push_back({"L17", "batch dimensions of 'x' and 'y' differ"});
  } else if (llvm::any_of(y.getShape().drop_back(2),
                          [](int64_t d) { return d != 1; }) ||
             y.getRank() > x.getRank()) {
    violations.push_back({"L17", "batch dimensions of 'x' and 'y' differ"});
  }
  if (x.getRank() >= 2)
    if (int64_t k = x.getShape()[x.getRank() - (getTransposeX() ? 2 : 1)];
        target.limit(LimitId::S12) && k > target.limit(LimitId::S12)->value)
      violations.push_back(
          {"S12", "K is " + std::to_string(k) + ", the limit is " +
                      std::to_string(target.limit(LimitId::S12)->value)});
}
Cost MatmulOp::estimateCost(const Target &) {
  RankedTensorType x = getX().getType();
  int64_t k = x.getRank() < 2
                  ? x.getDimSize(0)
                  : x.getShape()[x.getRank() - (getTransposeX() ? 2 : 1)];
  return macCost(*this, Cost::Kind::Matmul,
                 double(getZ().getType().getNumElements()) * k);
}

LogicalResult LinearOp::inferReturnTypes(MLIRContext *,
                                         std::optional<Location> loc,
                                         Adaptor adaptor,
                                         SmallVectorImpl<Type> &types) {
  auto x = cast<RankedTensorType>(adaptor.getX().getType()),
       w = cast<RankedTensorType>(adaptor.getWeight().getType());
  if (x.getRank() < 1 || w.getRank() != 2 ||
      x.getShape().back() != w.getDimSize(1))
    return emitOptionalError(
        loc, "'ane.linear' op expects 'weight' to be [outputs, ",
        x.getRank() ? x.getShape().back() : 0, "], but got ", w);
  if (failed(checkBias(loc, getOperationName(), adaptor.getBias(),
                       w.getDimSize(0))))
    return failure();
  SmallVector<int64_t> shape(x.getShape());
  shape.back() = w.getDimSize(0);
  types.push_back(RankedTensorType::get(shape, x.getElementType()));
  return success();
}
Cost LinearOp::estimateCost(const Target &) {
  return macCost(*this, Cost::Kind::Matmul,
                 double(getY().getType().getNumElements()) *
                     getX().getType().getShape().back());
}

/// The equation without spaces, letters renamed to a, b, c… in order of
/// appearance.
static std::string canonicalEquation(StringRef equation) {
  std::string letters, canonical;
  for (char c : equation) {
    if (c == ' ')
      continue;
    if (!std::isalpha(c)) {
      canonical += c;
      continue;
    }
    if (letters.find(c) == std::string::npos)
      letters += c;
    canonical += char('a' + letters.find(c));
  }
  return canonical;
}

LogicalResult EinsumOp::inferReturnTypes(MLIRContext *,
                                         std::optional<Location> loc,
                                         Adaptor adaptor,
                                         SmallVectorImpl<Type> &types) {
  std::string equation = canonicalEquation(adaptor.getEquation());
  bool batched = equation == canonicalEquation("nchw,nwhu->nchu");
  if (adaptor.getValues().size() != 2 ||
      (!batched && equation != canonicalEquation("chw,whr->chr")))
    return emitOptionalError(loc,
                             "'ane.einsum' op expects two operands and the "
                             "form nchw,nwhu->nchu or chw,whr->chr, but got '",
                             adaptor.getEquation(), "' of ",
                             adaptor.getValues().size());
  auto x = cast<RankedTensorType>(adaptor.getValues()[0].getType()),
       y = cast<RankedTensorType>(adaptor.getValues()[1].getType());
  auto fail = [&] {
    return emitOptionalError(loc, "'ane.einsum' op expects operands that fit '",
                             adaptor.getEquation(), "', but got ", x, " and ",
                             y);
  };
  int64_t rank = batched ? 4 : 3;
  if (x.getRank() != rank || y.getRank() != rank ||
      x.getShape().back() != y.getDimSize(batched))
    return fail();
  // n and h broadcast.
  SmallVector<int64_t> shape(x.getShape());
  shape.back() = y.getShape().back();
  for (int64_t axis = batched ? 0 : 1; axis < 3; axis += 2) {
    int64_t dx = x.getDimSize(axis), dy = y.getDimSize(axis);
    if (dx != dy && dx != 1 && dy != 1)
      return fail();
    shape[axis] = dx == 1 ? dy : dx;
  }
  types.push_back(RankedTensorType::get(shape, x.getElementType()));
  return success();
}
LogicalResult ScaledDotProductAttentionOp::inferReturnTypes(
    MLIRContext *, std::optional<Location> loc, Adaptor adaptor,
    SmallVectorImpl<Type> &types) {
  auto q = cast<RankedTensorType>(adaptor.getQuery().getType()),
       k = cast<RankedTensorType>(adaptor.getKey().getType()),
       v = cast<RankedTensorType>(adaptor.getValue().getType());
  int64_t rank = q.getRank();
  auto agree = [](int64_t a, int64_t b) {
    return a == b || ShapedType::isDynamic(a) || ShapedType::isDynamic(b);
  };
  bool ok = rank >= 3 && k.getRank() == rank && v.getRank() == rank &&
            q.getElementType() == k.getElementType() &&
            q.getElementType() == v.getElementType() &&
            agree(q.getDimSize(rank - 1), k.getDimSize(rank - 1)) &&
            agree(k.getDimSize(rank - 2), v.getDimSize(rank - 2));
  for (int64_t i = 0; ok && i < rank - 2; ++i)
    ok = agree(q.getDimSize(i), k.getDimSize(i)) &&
         agree(q.getDimSize(i), v.getDimSize(i));
  if (!ok)
    return emitOptionalError(loc,
                             "'ane.scaled_dot_product_attention' op expects "
                             "query [B,*,L,E], key [B,*,S,E] and value "
                             "[B,*,S,V] of one dtype, but got ",
                             q, ", ", k, " and ", v);
  SmallVector<int64_t> shape(q.getShape());
  shape.back() = v.getDimSize(rank - 1);
  types.push_back(q.clone(shape));
  return success();
}
Cost ScaledDotProductAttentionOp::estimateCost(const Target &) {
  Cost cost;
  cost.kind = Cost::Kind::Matmul;
  auto q = cast<RankedTensorType>(getQuery().getType()),
       v = cast<RankedTensorType>(getValue().getType());
  if (q.hasStaticShape() && v.hasStaticShape()) {
    int64_t rank = q.getRank(), rows = v.getDimSize(rank - 2);
    cost.flops = 2.0 * q.getNumElements() * rows +
                 2.0 * rows * v.getDimSize(rank - 1) *
                     (double(q.getNumElements()) / q.getDimSize(rank - 1));
    cost.channels = rows;
    cost.positions = q.getDimSize(rank - 2);
  }
  addTraffic(*this, cost);
  return cost;
}
Cost EinsumOp::estimateCost(const Target &) {
  auto x = cast<RankedTensorType>(getValues()[0].getType());
  return macCost(*this, Cost::Kind::Matmul,
                 double(getY().getType().getNumElements()) *
                     x.getShape().back());
}

/// Result type of a pool; ceil_mode as in mil/operations.md §1.5.
static LogicalResult inferPool(std::optional<Location> loc, StringRef opName,
                               Value input, ArrayRef<int64_t> kernel,
                               ArrayRef<int64_t> strides, PadType padType,
                               ArrayRef<int64_t> pad, bool ceilMode,
                               SmallVectorImpl<Type> &types) {
  auto x = cast<RankedTensorType>(input.getType());
  int64_t spatial = x.getRank() - 2;
  if (spatial < 1 || spatial > 3 || !x.hasStaticShape())
    return emitOptionalError(
        loc, "'", opName,
        "' op expects 'x' static and of rank 3 to 5, but got ", x);
  SmallVector<int64_t> dilations(spatial, 1);
  if (failed(checkWindow(loc, opName, spatial, padType, kernel, strides, pad,
                         dilations)))
    return failure();
  SmallVector<int64_t> shape(x.getShape().take_front(2));
  auto pads = resolvePadding(padType, pad, x.getShape().drop_front(2), kernel,
                             strides, dilations);
  for (int64_t i = 0; i < spatial; ++i) {
    int64_t room =
        x.getDimSize(i + 2) + pads[i].first + pads[i].second - kernel[i];
    if (room < 0)
      return emitOptionalError(
          loc, "'", opName, "' op expects the padded input of axis ", i + 2,
          " to hold a window of ", kernel[i], ", but got ", room + kernel[i]);
    int64_t extent = ceilMode ? llvm::divideCeilSigned(room, strides[i]) + 1
                              : room / strides[i] + 1;
    if (ceilMode &&
        (extent - 1) * strides[i] >= x.getDimSize(i + 2) + pads[i].first)
      --extent;
    shape.push_back(extent);
  }
  types.push_back(RankedTensorType::get(shape, x.getElementType()));
  return success();
}

template <typename Op>
static void findPoolViolations(Op op, LimitId limitId, const Target &target,
                               ViolationList &violations) {
  findCommonViolations(op, target, violations);
  const Limit *limit = target.limit(limitId);
  for (int64_t size : op.getKernelSizes())
    if (limit && size > limit->value)
      violations.push_back({stringify(limitId).str(),
                            "'kernel_sizes' has " + std::to_string(size) +
                                ", the limit is " +
                                std::to_string(limit->value)});
  if (op.getX().getType().getRank() == 5)
    violations.push_back({"S4", "a pool over three spatial axes is unproven"});
}

#define ANE_POOL(OP, LIMIT)                                                    \
  LogicalResult OP::inferReturnTypes(                                          \
      MLIRContext *, std::optional<Location> loc, Adaptor adaptor,             \
      SmallVectorImpl<Type> &types) {                                          \
    return inferPool(loc, getOperationName(), adaptor.getX(),                  \
                     adaptor.getKernelSizes(), adaptor.getStrides(),           \
                     adaptor.getPadType(), adaptor.getPad(),                   \
                     adaptor.getCeilMode(), types);                            \
  }                                                                            \
  void OP::findViolations(const Target &target, ViolationList &violations) {   \
    findPoolViolations(*this, LIMIT, target, violations);                      \
  }                                                                            \
  Cost OP::estimateCost(const Target &) {                                      \
    double window = 1;                                                         \
    for (int64_t size : getKernelSizes())                                      \
      window *= size;                                                          \
    return macCost(*this, Cost::Kind::Elementwise,                             \
                   window * getY().getType().getNumElements() / 2);            \
  }
ANE_POOL(MaxPoolOp, LimitId::S10)
ANE_POOL(AvgPoolOp, LimitId::S11)
ANE_POOL(L2PoolOp, LimitId::S11)
#undef ANE_POOL

/// Shapes of a recurrent op with `gates` rows per hidden unit.
static LogicalResult inferRecurrent(std::optional<Location> loc,
                                    StringRef opName, Value x, Value initial,
                                    Value weightIh, Value weightHh,
                                    bool bothWays, bool outputSequence,
                                    int64_t gates, unsigned states,
                                    SmallVectorImpl<Type> &types) {
  auto input = cast<RankedTensorType>(x.getType()),
       ih = cast<RankedTensorType>(weightIh.getType()),
       hh = cast<RankedTensorType>(weightHh.getType()),
       h0 = cast<RankedTensorType>(initial.getType());
  if (input.getRank() != 3 || ih.getRank() != 2 || hh.getRank() != 2 ||
      hh.getDimSize(0) != gates * hh.getDimSize(1) ||
      ih.getDimSize(0) != hh.getDimSize(0) ||
      ih.getDimSize(1) != input.getDimSize(2))
    return emitOptionalError(loc, "'", opName,
                             "' op expects x [steps,batch,I], weight_ih [",
                             gates, "H,I] and weight_hh [", gates,
                             "H,H], but got ", input, ", ", ih, " and ", hh);
  int64_t width = hh.getDimSize(1) * (bothWays ? 2 : 1);
  if (h0.getShape() != ArrayRef<int64_t>{input.getDimSize(1), width})
    return emitOptionalError(
        loc, "'", opName, "' op expects 'initial_h' to be [",
        input.getDimSize(1), ", ", width, "], but got ", h0);
  types.push_back(RankedTensorType::get(
      {outputSequence ? input.getDimSize(0) : 1, input.getDimSize(1), width},
      input.getElementType()));
  types.append(states, h0);
  return success();
}
LogicalResult LstmOp::inferReturnTypes(MLIRContext *,
                                       std::optional<Location> loc,
                                       Adaptor adaptor,
                                       SmallVectorImpl<Type> &types) {
  bool bothWays = adaptor.getDirection() == Direction::bidirectional;
  if (bothWays != bool(adaptor.getWeightIhBack()) ||
      bool(adaptor.getWeightIhBack()) != bool(adaptor.getWeightHhBack()))
    return emitOptionalError(
        loc, "'ane.lstm' op expects the weights of the backward pass with "
             "direction bidirectional, and only then");
  return inferRecurrent(loc, getOperationName(), adaptor.getX(),
                        adaptor.getInitialH(), adaptor.getWeightIh(),
                        adaptor.getWeightHh(), bothWays,
                        adaptor.getOutputSequence(), 4, 2, types);
}
LogicalResult GruOp::inferReturnTypes(MLIRContext *,
                                      std::optional<Location> loc,
                                      Adaptor adaptor,
                                      SmallVectorImpl<Type> &types) {
  return inferRecurrent(loc, getOperationName(), adaptor.getX(),
                        adaptor.getInitialH(), adaptor.getWeightIh(),
                        adaptor.getWeightHh(), /*bothWays=*/false,
                        adaptor.getOutputSequence(), 3, 1, types);
}
LogicalResult RnnOp::inferReturnTypes(MLIRContext *,
                                      std::optional<Location> loc,
                                      Adaptor adaptor,
                                      SmallVectorImpl<Type> &types) {
  return inferRecurrent(loc, getOperationName(), adaptor.getX(),
                        adaptor.getInitialH(), adaptor.getWeightIh(),
                        adaptor.getWeightHh(), /*bothWays=*/false,
                        adaptor.getOutputSequence(), 1, 1, types);
}
template <typename Op>
static Cost recurrentCost(Op op) {
  return macCost(
      op, Cost::Kind::Matmul,
      double(op.getX().getType().getDimSize(0)) *
          op.getX().getType().getDimSize(1) *
          (cast<RankedTensorType>(op.getWeightIh().getType()).getNumElements() +
           cast<RankedTensorType>(op.getWeightHh().getType())
               .getNumElements()));
}
Cost LstmOp::estimateCost(const Target &) { return recurrentCost(*this); }
Cost GruOp::estimateCost(const Target &) { return recurrentCost(*this); }
Cost RnnOp::estimateCost(const Target &) { return recurrentCost(*this); }
