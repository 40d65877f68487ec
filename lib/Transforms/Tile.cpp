//===- Tile.cpp - values made part by part --------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// Where the operands and results of an op exceed on-chip memory, it and what is
// around it are made part by part, heads, channels or rows, if the cost model
// says that this pays: softmax and products slow down beyond it, slices cost.
// With `live-bytes` the values that are alive together decide instead. Weights
// are left whole: they stream at one rate (engine/cost.md §5.9).
//
// The parts of a value are built backward: tile(v, axis, [lo, hi)) asks for the
// parts of v's operands that it needs, rows of a convolution with their halo.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Analysis/CostModel.h"
#include "ane-mlir/Transforms/Passes.h"
#include "dialects/ANE/IR/Cast.h"
#include "dialects/ANE/IR/Linear.h"
#include "dialects/ANE/IR/Norm.h"
#include "dialects/ANE/IR/Shape.h"
#include "dialects/ANE/IR/WeightTrees.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/SetVector.h"
#include <cmath>
#include <map>
#include <tuple>

using namespace mlir;
using namespace mlir::ane;

namespace mlir::ane {
#define GEN_PASS_DEF_TILEPASS
#include "ane-mlir/Transforms/Passes.h.inc"
} // namespace mlir::ane

namespace {

RankedTensorType typeOf(Value v) { return cast<RankedTensorType>(v.getType()); }

double bytesOf(Value v) {
  RankedTensorType type = typeOf(v);
  return type.hasStaticShape()
             ? type.getNumElements() * (type.getElementTypeBitWidth() / 8.0)
             : 0;
}

RankedTensorType withDim(RankedTensorType type, int64_t axis, int64_t size) {
  SmallVector<int64_t> shape(type.getShape());
  shape[axis] = size;
  return type.clone(shape);
}

struct Range {
  int64_t lo, hi;
  int64_t size() const { return hi - lo; }
};

//===----------------------------------------------------------------------===//
// Parts of values
//===----------------------------------------------------------------------===//

/// A value, an axis, and a range along it.
using PartKey = std::tuple<void *, int64_t, int64_t, int64_t>;

class Tiler {
public:
  /// Ops of `region` are made in parts; other values are sliced, once for all
  /// who share `slices`.
  Tiler(OpBuilder &builder, const llvm::SetVector<Operation *> &region,
        std::map<PartKey, Value> &slices)
      : b(builder), region(region), slices(slices) {}

  Value tile(Value v, int64_t axis, Range range) {
    int64_t extent = typeOf(v).getDimSize(axis);
    if (range.lo == 0 && range.hi == extent)
      return v;
    if (isConstantTree(v))
      return sliceTree(v, axis, range);
    Operation *op = v.getDefiningOp();
    if (!op || !region.contains(op))
      return slice(v, axis, range);
    Value part = tileOp(op, v, axis, range);
    return part ? part : slice(v, axis, range);
  }

  /// The same question without building: does a part of `from` along `axis`
  /// need only a part of `v`?
  bool reaches(Value from, int64_t axis, Value v) const {
    if (from == v)
      return true;
    Operation *op = from.getDefiningOp();
    if (!op || !region.contains(op))
      return false;
    for (auto [i, operand] : llvm::enumerate(op->getOperands()))
      if (std::optional<int64_t> at = operandAxis(op, i, axis);
          at && !isConstantTree(operand) && reaches(operand, *at, v))
        return true;
    return false;
  }

  Value slice(Value v, int64_t axis, Range range) {
    Value &part = slices[{v.getAsOpaquePointer(), axis, range.lo, range.hi}];
    return part ? part : part = makeSlice(v, axis, range);
  }

private:
  Value makeSlice(Value v, int64_t axis, Range range) {
    RankedTensorType type = withDim(typeOf(v), axis, range.size());
    SmallVector<int64_t> begin(type.getRank(), 0);
    begin[axis] = range.lo;
    return SliceBySizeOp::create(b, v.getLoc(), type, v,
                                 b.getDenseI64ArrayAttr(begin),
                                 b.getDenseI64ArrayAttr(type.getShape()));
  }

public:
  /// The slice of a weight, taken from the constants at its leaves: the writer
  /// evaluates each part by itself.
  Value sliceTree(Value v, int64_t axis, Range range) {
    Operation *op = v.getDefiningOp();
    RankedTensorType type = withDim(typeOf(v), axis, range.size());
    if (auto cast = dyn_cast<CastOp>(op))
      return CastOp::create(b, v.getLoc(), type,
                            sliceTree(cast.getX(), axis, range),
                            cast.getDtypeAttr());
    if (auto transpose = dyn_cast<TransposeOp>(op))
      return TransposeOp::create(
          b, v.getLoc(), type,
          sliceTree(transpose.getX(), transpose.getPerm()[axis], range),
          transpose.getPermAttr());
    if (auto reshape = dyn_cast<ReshapeOp>(op))
      if (std::optional<int64_t> from = sameAxis(
              typeOf(reshape.getX()).getShape(), typeOf(v).getShape(), axis))
        return ReshapeOp::create(b, v.getLoc(), type,
                                 sliceTree(reshape.getX(), *from, range),
                                 b.getDenseI64ArrayAttr(type.getShape()));
    if (auto outer = dyn_cast<SliceBySizeOp>(op);
        outer &&
        withDim(typeOf(outer.getX()), axis, 0) == withDim(typeOf(v), axis, 0)) {
      int64_t begin = outer.getBegin()[axis];
      return sliceTree(outer.getX(), axis,
                       {range.lo + begin, range.hi + begin});
    }
    if (isElementwise(op) && op->getNumResults() == 1) {
      SmallVector<Value> operands;
      for (auto [i, operand] : llvm::enumerate(op->getOperands())) {
        std::optional<int64_t> at = operandAxis(op, i, axis);
        operands.push_back(at ? sliceTree(operand, *at, range) : operand);
      }
      Operation *part = b.clone(*op);
      part->setOperands(operands);
      part->getResult(0).setType(type);
      return part->getResult(0);
    }
    return slice(v, axis, range);
  }

private:
  /// The axis of `from` whose extent and strides axis `axis` of `to` has, where
  /// both hold the same elements.
  static std::optional<int64_t> sameAxis(ArrayRef<int64_t> from,
                                         ArrayRef<int64_t> to, int64_t axis) {
    int64_t before = 1;
    for (int64_t dim : to.take_front(axis))
      before *= dim;
    int64_t product = 1;
    for (auto [i, dim] : llvm::enumerate(from)) {
      if (product == before && dim == to[axis])
        return i;
      product *= dim;
    }
    return std::nullopt;
  }

  /// Which axis of operand `i` a part along `axis` of the result is a part of;
  /// nothing when the whole operand is needed or the op cannot be taken apart
  /// along it.
  static std::optional<int64_t> operandAxis(Operation *op, unsigned i,
                                            int64_t axis) {
    RankedTensorType result = typeOf(op->getResult(0)),
                     operand = typeOf(op->getOperand(i));
    auto broadcast = [&](int64_t at) -> std::optional<int64_t> {
      at -= result.getRank() - operand.getRank();
      if (at < 0 || operand.getDimSize(at) == 1)
        return std::nullopt;
      return at;
    };
    auto wrapped = [&](int64_t a) { return a < 0 ? a + operand.getRank() : a; };
    if (isElementwise(op))
      return broadcast(axis);
    if (isa<SoftmaxOp>(op))
      return wrapped(cast<SoftmaxOp>(op).getAxis()) == axis
                 ? std::nullopt
                 : std::optional(axis);
    if (auto norm = dyn_cast<LayerNormOp>(op))
      return i == 0 && llvm::none_of(
                           norm.getAxes(),
                           [&](int64_t a) { return wrapped(a) == axis; })
                 ? std::optional(axis)
                 : std::nullopt;
    if (auto transpose = dyn_cast<TransposeOp>(op))
      return transpose.getPerm()[axis];
    if (isa<ReshapeOp>(op))
      return sameAxis(operand.getShape(), result.getShape(), axis);
    if (auto product = dyn_cast<MatmulOp>(op)) {
      if (axis < result.getRank() - 2)
        return broadcast(axis);
      bool rows = axis == result.getRank() - 2;
      if (rows != (i == 0))
        return std::nullopt;
      bool turned = i == 0 ? product.getTransposeX() : product.getTransposeY();
      return operand.getRank() - (rows != turned ? 2 : 1);
    }
    if (auto conv = dyn_cast<ConvOp>(op)) {
      if (axis == 1 && conv.getGroups() == 1)
        return i == 0 ? std::nullopt : std::optional<int64_t>(0);
      if (axis >= 2 || axis == 0)
        return i == 0 ? std::optional(axis) : std::nullopt;
    }
    return std::nullopt;
  }

  Value tileOp(Operation *op, Value v, int64_t axis, Range range) {
    PartKey key(op, axis, range.lo, range.hi);
    if (auto it = made.find(key); it != made.end())
      return it->second;
    if (auto conv = dyn_cast<ConvOp>(op); conv && axis >= 2)
      return made[key] = tileRows(conv, axis, range);
    SmallVector<Value> operands;
    bool any = false;
    for (auto [i, operand] : llvm::enumerate(op->getOperands())) {
      std::optional<int64_t> at = operandAxis(op, i, axis);
      operands.push_back(at ? tile(operand, *at, range) : operand);
      any |= at.has_value();
    }
    if (!any)
      return {};
    Operation *part = b.clone(*op);
    part->setOperands(operands);
    RankedTensorType type = withDim(typeOf(v), axis, range.size());
    part->getResult(0).setType(type);
    if (auto reshape = dyn_cast<ReshapeOp>(part))
      reshape.setShape(type.getShape());
    return made[key] = part->getResult(0);
  }

  /// The rows of the operand under those of the result, with less padding where
  /// neighbours are real.
  Value tileRows(ConvOp conv, int64_t axis, Range range) {
    ArrayRef<int64_t> in = typeOf(conv.getX()).getShape();
    ArrayRef<int64_t> kernel = typeOf(conv.getWeight()).getShape();
    auto padding = resolvePadding(conv.getPadType(), conv.getPad(),
                                  in.drop_front(2), kernel.drop_front(2),
                                  conv.getStrides(), conv.getDilations());
    unsigned k = axis - 2;
    int64_t stride = conv.getStrides()[k],
            reach = (kernel[axis] - 1) * conv.getDilations()[k] + 1;
    int64_t first = range.lo * stride - padding[k].first,
            last = (range.hi - 1) * stride - padding[k].first + reach;
    Range rows{std::max<int64_t>(first, 0), std::min(last, in[axis])};
    if (rows.size() <= 0)
      return {};
    padding[k] = {rows.lo - first, last - rows.hi};
    SmallVector<int64_t> pad;
    for (auto [begin, end] : padding) {
      pad.push_back(begin);
      pad.push_back(end);
    }
    Value x = tile(conv.getX(), axis, rows);
    auto part = cast<ConvOp>(b.clone(*conv));
    part.getXMutable().assign(x);
    part.setPadType("custom");
    part.setPad(pad);
    part.getResult().setType(
        withDim(typeOf(conv.getResult()), axis, range.size()));
    return part.getResult();
  }

  OpBuilder &b;
  const llvm::SetVector<Operation *> &region;
  std::map<PartKey, Value> &slices;
  std::map<PartKey, Value> made;
};

/// Equal parts, each a multiple of 32 where the extent allows it.
SmallVector<Range> splitEvenly(int64_t extent, int64_t parts) {
  int64_t size = (extent + parts - 1) / parts;
  if (extent >= 32 * parts)
    size = (size + 31) / 32 * 32;
  SmallVector<Range> ranges;
  for (int64_t lo = 0; lo < extent; lo += size)
    ranges.push_back({lo, std::min(lo + size, extent)});
  return ranges;
}

/// Ops that are made in parts together, and the value in which they end.
struct Group {
  Value end;
  llvm::SetVector<Operation *> region;
};
/// Along an axis of the end, in about so many parts.
struct Cut {
  int64_t axis, parts;
};

/// The parts of a group as ops in front of its end, whose users still have the
/// whole: `commit` gives them the parts, else the new ops go.
class Trial {
public:
  /// One cut, or for a group of one op two, each part of the first by the
  /// second.
  Trial(Group &group, ArrayRef<Cut> cuts)
      : group(group), last(group.end.getDefiningOp()),
        first(last->getPrevNode()), b(last) {
    whole = make(group.end, group.region, cuts);
  }
  Trial(const Trial &) = delete;
  ~Trial() {
    if (whole)
      llvm::for_each(llvm::reverse(added()), [](Operation *op) {
        if (op->use_empty())
          op->erase();
      });
  }

  /// Whether no part needs the whole, which is made behind it.
  bool isValid() const {
    return llvm::none_of(added(), [&](Operation *op) {
      return llvm::is_contained(op->getOperands(), group.end);
    });
  }

  /// Microseconds of the parts, slices and joins.
  double predict(const Clock &clock) const {
    if (!isValid())
      return INFINITY;
    double sum = 0;
    for (Operation *op : added())
      sum += ane::predict(op, clock).total();
    return sum;
  }

  void commit(function_ref<void(Operation *)> erased) {
    group.end.replaceAllUsesWith(whole);
    whole = {};
    SmallVector<Operation *> dead = group.region.takeVector();
    llvm::sort(
        dead, [](Operation *a, Operation *b) { return a->isBeforeInBlock(b); });
    for (Operation *op : llvm::reverse(dead))
      if (op->use_empty()) {
        erased(op);
        op->erase();
      }
  }

private:
  SmallVector<Operation *> added() const {
    SmallVector<Operation *> ops;
    for (Operation *op = first ? first->getNextNode()
                               : &last->getBlock()->front();
         op != last; op = op->getNextNode())
      ops.push_back(op);
    return ops;
  }

  Value make(Value end, const llvm::SetVector<Operation *> &region,
             ArrayRef<Cut> cuts) {
    Tiler tiler(b, region, slices);
    auto type = cast<RankedTensorType>(end.getType());
    int64_t extent = type.getDimSize(cuts[0].axis);
    SmallVector<Value> parts;
    for (Range range :
         splitEvenly(extent, std::min<int64_t>(cuts[0].parts, extent))) {
      Value part = tiler.tile(end, cuts[0].axis, range);
      if (cuts.size() > 1) {
        Operation *op = part.getDefiningOp();
        llvm::SetVector<Operation *> inner;
        inner.insert(op);
        part = make(part, inner, cuts.drop_front());
        op->erase();
      }
      parts.push_back(part);
    }
    return ConcatOp::create(b, end.getLoc(), type, parts,
                            b.getI64IntegerAttr(cuts[0].axis),
                            b.getBoolAttr(false));
  }

  Group &group;
  Operation *last, *first;
  OpBuilder b;
  std::map<PartKey, Value> slices;
  Value whole;
};

struct Tile : ane::impl::TilePassBase<Tile> {
  using TilePassBase::TilePassBase;

  //===--------------------------------------------------------------------===//
  // Values alive together
  //===--------------------------------------------------------------------===//

  struct Peak {
    double bytes = 0;
    SmallVector<Value> alive;
  };

  static Peak findPeak(Block &block) {
    WeightTrees trees;
    llvm::DenseMap<Operation *, SmallVector<Value, 2>> dying;
    llvm::DenseSet<Value> seen;
    for (Operation &op : llvm::reverse(block))
      for (Value operand : op.getOperands())
        if (!isConstantTree(operand) && seen.insert(operand).second)
          dying[&op].push_back(operand);
    Peak peak;
    llvm::SetVector<Value> alive;
    double bytes = 0;
    for (Operation &op : block) {
      if (op.getNumResults() && isConstantTree(op.getResult(0)))
        continue;
      for (Value result : op.getResults())
        if (alive.insert(result))
          bytes += bytesOf(result);
      if (bytes > peak.bytes)
        peak = {bytes, SmallVector<Value>(alive.begin(), alive.end())};
      for (Value dead : dying[&op])
        if (alive.remove(dead))
          bytes -= bytesOf(dead);
    }
    return peak;
  }

  /// The value in which the ops behind `v` end, a quarter of its size or less;
  /// null when others read something on the way.
  static Value findSmallEnd(Value v) {
    Value at = v;
    for (unsigned i = 0; i < 32 && at.hasOneUse(); ++i) {
      Operation *user = *at.getUsers().begin();
      if (user->getNumResults() != 1)
        return {};
      at = user->getResult(0);
      if (bytesOf(at) * 4 <= bytesOf(v))
        return at;
    }
    return {};
  }

  /// Ops that only the end needs, backward while they are large.
  static void collectRegion(Value end, double least,
                            llvm::SetVector<Operation *> &region) {
    region.insert(end.getDefiningOp());
    for (unsigned i = 0; i < region.size(); ++i)
      for (Value operand : region[i]->getOperands()) {
        Operation *op = operand.getDefiningOp();
        if (op && op->getNumResults() == 1 && !isConstantTree(operand) &&
            bytesOf(operand) >= least &&
            llvm::all_of(op->getUsers(), [&](Operation *user) {
              return region.contains(user);
            }))
          region.insert(op);
      }
  }

  /// Axes of the end along which a part needs a part of `large`.
  static SmallVector<int64_t> findAxes(Group &group, Value large) {
    OpBuilder b(group.end.getDefiningOp());
    std::map<PartKey, Value> slices;
    Tiler tiler(b, group.region, slices);
    auto type = cast<RankedTensorType>(group.end.getType());
    SmallVector<int64_t> axes;
    for (int64_t axis : {1, 2, 3, 0})
      if (axis < type.getRank() && type.getDimSize(axis) > 1 &&
          tiler.reaches(group.end, axis, large))
        axes.push_back(axis);
    return axes;
  }

  /// Backward from the end through values of at least this part of the large.
  static Group makeGroup(Value end, Value large, double part = 1 / 8.) {
    Group group{end, {}};
    collectRegion(end, bytesOf(large) * part, group.region);
    return group;
  }

  //===--------------------------------------------------------------------===//
  // By bytes that the user says
  //===--------------------------------------------------------------------===//

  bool tilePeak(Block &block, double limit) {
    Peak peak = findPeak(block);
    if (peak.bytes <= limit)
      return false;
    llvm::stable_sort(peak.alive,
                      [](Value a, Value b) { return bytesOf(a) > bytesOf(b); });
    for (Value large : peak.alive) {
      if (!large.getDefiningOp() || bytesOf(large) * 8 < limit)
        continue;
      Value end = findSmallEnd(large);
      if (!end)
        continue;
      Group group = makeGroup(end, large);
      SmallVector<int64_t> axes = findAxes(group, large);
      if (axes.empty())
        continue;
      int64_t parts = std::ceil(2 * peak.bytes / limit);
      Trial trial(group, Cut{axes[0], parts});
      if (!trial.isValid())
        continue;
      trial.commit([](Operation *) {});
      ++numSplit;
      return true;
    }
    return false;
  }

  //===--------------------------------------------------------------------===//
  // By predicted time
  //===--------------------------------------------------------------------===//

  static double workingSet(Operation *op, const Clock &clock) {
    return findWork(op, clock.target).cost.activationBytes;
  }

  /// Numbers of parts that leave each op of the group what fits on chip.
  static SmallVector<int64_t> proposeParts(const Group &group,
                                           const Clock &clock) {
    double most = 0;
    for (Operation *op : group.region)
      most = std::max(most, workingSet(op, clock));
    int64_t least = std::ceil(most / (clock.rate(CostId::OnChipMb) * 1e6));
    return {least, least + 1, 2 * least};
  }

  /// Rows by columns of one product, whose operands are both too large.
  static void proposeGrids(const Group &group,
                           SmallVectorImpl<SmallVector<Cut>> &cuts) {
    auto product = dyn_cast<MatmulOp>(group.region.front());
    int64_t rank = product ? product.getType().getRank() : 0;
    if (group.region.size() != 1 || rank < 2)
      return;
    for (int64_t rows : {2, 4, 8, 16})
      for (int64_t columns : {2, 4, 8, 16})
        cuts.push_back({Cut{rank - 2, rows}, Cut{rank - 1, columns}});
  }

  static bool isLegal(Operation *op, const Target &target) {
    auto legality = dyn_cast<LegalityOpInterface>(op);
    ViolationList violations;
    if (legality)
      findEnabledViolations(legality, target, violations);
    return legality && violations.empty() && !op->hasAttr("ane.fp32");
  }

  /// Microseconds that the cuts of a group save.
  struct Choice {
    double gain = 0;
    SmallVector<Cut> cuts;
  };
  static Choice choose(Group &group, Value large, const Clock &clock) {
    SmallVector<SmallVector<Cut>> proposals;
    for (int64_t axis : findAxes(group, large))
      for (int64_t parts : proposeParts(group, clock))
        proposals.push_back({Cut{axis, parts}});
    proposeGrids(group, proposals);
    double whole = 0;
    for (Operation *op : group.region)
      whole += predict(op, clock).total();
    Choice best{0.02 * whole, {}};
    for (const SmallVector<Cut> &cuts : proposals)
      if (double gain = whole - Trial(group, cuts).predict(clock);
          gain > 1.02 * best.gain) // few parts rather than many
        best = {gain, cuts};
    return best;
  }

  /// Groups around an op that exceeds on-chip memory: what makes the values
  /// that are as large as its own, or nearly, up to a small one; the op alone.
  static SmallVector<Group> findGroups(Operation *op) {
    SmallVector<Group> groups;
    Value large = op->getResult(0);
    if (Value end = findSmallEnd(large))
      for (double part : {1 / 2., 1 / 8.})
        groups.push_back(makeGroup(end, large, part));
    Group alone{large, {}};
    alone.region.insert(op);
    groups.push_back(std::move(alone));
    return groups;
  }

  void tileByCost(Block &block, const Clock &clock) {
    double onChip = clock.rate(CostId::OnChipMb) * 1e6;
    SmallVector<Operation *> beyond;
    {
      WeightTrees trees;
      for (Operation &op : block.without_terminator())
        if (op.getNumResults() == 1 && isa<CostOpInterface>(op) &&
            workingSet(&op, clock) > onChip)
          beyond.push_back(&op);
    }
    llvm::DenseSet<Operation *> gone;
    for (Operation *op : beyond) {
      if (gone.contains(op))
        continue;
      SmallVector<Group> groups = findGroups(op);
      Group *best = nullptr;
      Choice choice;
      for (Group &group : groups)
        if (llvm::all_of(group.region, [&](Operation *member) {
              return isLegal(member, clock.target);
            }))
          if (Choice found = choose(group, op->getResult(0), clock);
              !found.cuts.empty() && found.gain > choice.gain) {
            choice = found;
            best = &group;
          }
      if (!best)
        continue;
      Trial(*best, choice.cuts).commit([&](Operation *dead) {
        gone.insert(dead);
      });
      ++numSplit;
    }
  }

  void runOnOperation() override {
    if (!liveBytes)
      return;
    for (auto function : getOperation().getOps<func::FuncOp>()) {
      Block &block = function.getBody().front();
      if (liveBytes < 0)
        tileByCost(block, getClock(function));
      for (unsigned i = 0;
           liveBytes > 0 && i < 64 && tilePeak(block, liveBytes); ++i)
        ;
      function->setAttr(
          "ane.live_bytes",
          Builder(&getContext()).getI64IntegerAttr(findPeak(block).bytes));
    }
  }
};
} // namespace
