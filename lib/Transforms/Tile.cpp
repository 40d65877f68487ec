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
// The parts of a value are built backward (TileParts.h), rows of a convolution
// with their halo, channels of it from parts of its weight. Heads are parts by
// turns where groups of them share keys, which then are taken as they lie.
//
//===----------------------------------------------------------------------===//

#include "Reshape.h"
#include "TileParts.h"
#include "ane-mlir/Analysis/CostModel.h"
#include "ane-mlir/Analysis/Placement.h"
#include "ane-mlir/Transforms/Passes.h"
#include "dialects/ANE/IR/Linear.h"
#include "dialects/ANE/IR/Shape.h"
#include "dialects/ANE/IR/WeightTrees.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/Remarks.h"
#include "llvm/ADT/SetVector.h"
#include <cmath>
#include <map>

using namespace mlir;
using namespace mlir::ane;

namespace mlir::ane {
#define GEN_PASS_DEF_TILEPASS
#include "ane-mlir/Transforms/Passes.h.inc"
} // namespace mlir::ane

namespace {

double bytesOf(Value v) {
  RankedTensorType type = typeOf(v);
  return type.hasStaticShape()
             ? type.getNumElements() * (type.getElementTypeBitWidth() / 8.0)
             : 0;
}

/// Along an axis of the end, in about so many parts: neighbours, or as many
/// lots of which each has every so-many-th entry.
struct Cut {
  int64_t axis, parts;
  bool byTurns = false;

  /// Equal runs, each a multiple of 32 where the extent allows it.
  SmallVector<Part> split(int64_t extent) const {
    SmallVector<Part> ranges;
    for (int64_t lot = 0; byTurns && lot < parts; ++lot)
      ranges.push_back({lot, extent, parts});
    if (byTurns)
      return ranges;
    int64_t most = std::min(parts, extent), size = (extent + most - 1) / most;
    if (extent >= 32 * most)
      size = (size + 31) / 32 * 32;
    for (int64_t lo = 0; lo < extent; lo += size)
      ranges.push_back({lo, std::min(lo + size, extent)});
    return ranges;
  }
};

bool isLegal(Operation *op, const Target &target) {
  auto legality = dyn_cast<LegalityOpInterface>(op);
  ViolationList violations;
  if (legality)
    findEnabledViolations(legality, target, violations);
  return legality && violations.empty() && !op->hasAttr(marks::kFp32);
}

/// Ops that are made in parts together, and the value in which they end.
struct Group {
  Value end;
  llvm::SetVector<Operation *> region;
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

  /// Microseconds that go with the whole, less those of parts, slices and
  /// joins.
  double predictGain(const Clock &clock) const {
    if (!isValid())
      return -INFINITY;
    WeightTrees trees;
    double sum = 0;
    for (Operation *op : added()) {
      if (isConstantTree(op->getResult(0)))
        continue;
      if (!isLegal(op, clock.target))
        return -INFINITY;
      sum -= ane::predict(op, clock).total();
    }
    // Of the group stays what parts need as it is.
    llvm::SmallPtrSet<Operation *, 16> gone;
    for (Operation *op : lastFirst(group.region))
      if (op == last || llvm::all_of(op->getUsers(), [&](Operation *user) {
            return gone.contains(user);
          })) {
        gone.insert(op);
        sum += ane::predict(op, clock).total();
      }
    return sum;
  }

  void commit(function_ref<void(Operation *)> erased) {
    group.end.replaceAllUsesWith(whole);
    whole = {};
    for (Operation *op : lastFirst(group.region))
      if (op->use_empty()) {
        erased(op);
        op->erase();
      }
  }

private:
  static SmallVector<Operation *>
  lastFirst(const llvm::SetVector<Operation *> &ops) {
    SmallVector<Operation *> sorted(ops.begin(), ops.end());
    llvm::sort(sorted, [](Operation *a, Operation *b) {
      return b->isBeforeInBlock(a);
    });
    return sorted;
  }

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
    const Cut &cut = cuts[0];
    SmallVector<Value> parts;
    for (Part range : cut.split(type.getDimSize(cut.axis))) {
      Value part = tiler.tile(end, cut.axis, range);
      if (cuts.size() > 1) {
        Operation *op = part.getDefiningOp();
        llvm::SetVector<Operation *> inner;
        inner.insert(op);
        part = make(part, inner, cuts.drop_front());
        if (op->use_empty() && op != last)
          op->erase();
      }
      parts.push_back(part);
    }
    auto join = [&](RankedTensorType joined, int64_t axis) -> Value {
      return ConcatOp::create(b, end.getLoc(), joined, parts,
                              b.getI64IntegerAttr(axis), b.getBoolAttr(false));
    };
    if (!cut.byTurns)
      return join(type, cut.axis);
    // The entries of one turn beside each other.
    SmallVector<int64_t> turns(type.getShape());
    turns[cut.axis] /= cut.parts;
    turns.insert(turns.begin() + cut.axis + 1, 1);
    for (Value &part : parts)
      part = reshapeTo(b, end.getLoc(), part, turns);
    turns[cut.axis + 1] = cut.parts;
    return reshapeTo(b, end.getLoc(), join(type.clone(turns), cut.axis + 1),
                     type.getShape());
  }

  Group &group;
  Operation *last, *first;
  OpBuilder b;
  Tiler::Slices slices;
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

  /// Ops that only the end needs, backward while they are large, or of any
  /// size up to the projections, whose parts have parts of the weights.
  static void collectRegion(Value end, double least,
                            llvm::SetVector<Operation *> &region) {
    region.insert(end.getDefiningOp());
    for (unsigned i = 0; i < region.size(); ++i) {
      auto conv = dyn_cast<ConvOp>(region[i]);
      if (least == 0 && conv && conv.getGroups() == 1)
        continue;
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
  }

  /// Axes of the end along which a part needs a part of `large`.
  static SmallVector<int64_t> findAxes(Group &group, Value large) {
    OpBuilder b(group.end.getDefiningOp());
    Tiler::Slices slices;
    Tiler tiler(b, group.region, slices);
    auto type = cast<RankedTensorType>(group.end.getType());
    SmallVector<int64_t> axes;
    for (int64_t axis : {1, 2, 3, 0})
      if (axis < type.getRank() && type.getDimSize(axis) > 1 &&
          tiler.reaches(group.end, axis,
                        {0, std::max<int64_t>(1, type.getDimSize(axis) / 2)},
                        large))
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

  /// Where heads of a group share copies of keys and values: so many turns that
  /// a part has at most one head of each group and takes them as they are, near
  /// the proposed numbers of parts.
  static SmallVector<int64_t> proposeTurns(const Group &group, int64_t extent,
                                           ArrayRef<int64_t> parts) {
    SmallVector<int64_t> turns;
    for (Operation *op : group.region) {
      auto concat = dyn_cast<ConcatOp>(op);
      if (!concat || !llvm::all_equal(concat.getValues()))
        continue;
      int64_t copies = concat.getValues().size();
      for (int64_t least : parts) {
        int64_t count = copies;
        while (count < extent && (count < least || extent % count))
          count += copies;
        if (count <= extent && extent % count == 0 &&
            !llvm::is_contained(turns, count))
          turns.push_back(count);
      }
    }
    return turns;
  }

  /// Rows by columns of one product, whose operands are both too large.
  static void proposeGrids(const Group &group,
                           SmallVectorImpl<SmallVector<Cut>> &cuts) {
    auto product = dyn_cast<MatmulOp>(group.region.front());
    int64_t rank = product ? product.getType().getRank() : 0;
    if (group.region.size() != 1 || rank < 2)
      return;
    ArrayRef<int64_t> shape = product.getType().getShape();
    for (int64_t rows : {2, 4, 8, 16})
      for (int64_t columns : {2, 4, 8, 16})
        if (rows <= shape[rank - 2] && columns <= shape[rank - 1])
          cuts.push_back({Cut{rank - 2, rows}, Cut{rank - 1, columns}});
  }

  /// Microseconds that the cuts of a group save.
  struct Choice {
    double gain = 0;
    SmallVector<Cut> cuts;
  };
  /// What a choice depends on: layers repeat. Ops in their order, operands by
  /// number, how many others read a result.
  using Key = std::vector<uintptr_t>;
  static Key keyOf(const Group &group, Value large) {
    SmallVector<Operation *> ops(group.region.begin(), group.region.end());
    llvm::sort(
        ops, [](Operation *a, Operation *b) { return a->isBeforeInBlock(b); });
    llvm::DenseMap<Value, uintptr_t> numbers;
    Key key;
    auto add = [&](const void *part) {
      key.push_back(reinterpret_cast<uintptr_t>(part));
    };
    for (Operation *op : ops) {
      add(op->getName().getAsOpaquePointer());
      add(op->getAttrDictionary().getAsOpaquePointer());
      for (Value operand : op->getOperands()) {
        key.push_back(
            numbers.try_emplace(operand, numbers.size()).first->second);
        key.push_back(isConstantTree(operand));
        add(operand.getType().getAsOpaquePointer());
      }
      Value result = op->getResult(0);
      numbers.try_emplace(result, numbers.size());
      add(result.getType().getAsOpaquePointer());
      key.push_back(llvm::count_if(op->getUsers(), [&](Operation *user) {
        return !group.region.contains(user);
      }));
    }
    key.push_back(numbers.lookup(large));
    key.push_back(numbers.lookup(group.end));
    return key;
  }
  std::map<Key, Choice> known;

  Choice chooseOnce(Group &group, Value large, const Clock &clock) {
    Key key = keyOf(group, large);
    if (auto it = known.find(key); it != known.end())
      return it->second;
    return known[key] = choose(group, large, clock);
  }

  static Choice choose(Group &group, Value large, const Clock &clock) {
    SmallVector<SmallVector<Cut>> proposals;
    for (int64_t axis : findAxes(group, large)) {
      SmallVector<int64_t> parts = proposeParts(group, clock);
      for (int64_t count : parts)
        proposals.push_back({Cut{axis, count}});
      int64_t extent = typeOf(group.end).getDimSize(axis);
      for (int64_t turns : proposeTurns(group, extent, parts))
        proposals.push_back({Cut{axis, turns, /*byTurns=*/true}});
    }
    proposeGrids(group, proposals);
    double whole = 0;
    for (Operation *op : group.region)
      whole += predict(op, clock).total();
    Choice best{0.02 * whole, {}};
    for (const SmallVector<Cut> &cuts : proposals)
      if (double gain = Trial(group, cuts).predictGain(clock);
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
      for (double part : {1 / 2., 1 / 8., 0.})
        groups.push_back(makeGroup(end, large, part));
    Group alone{large, {}};
    alone.region.insert(op);
    groups.push_back(std::move(alone));
    return groups;
  }

  static int64_t countParts(ArrayRef<Cut> cuts) {
    int64_t parts = 1;
    for (const Cut &cut : cuts)
      parts *= cut.parts;
    return parts;
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
          if (Choice found = chooseOnce(group, op->getResult(0), clock);
              !found.cuts.empty() && found.gain > choice.gain) {
            choice = found;
            best = &group;
          }
      auto what = remark::RemarkOpts::name("parts").category("ane-tile");
      double megabytes = workingSet(op, clock) / 1e6;
      if (!best) {
        remark::missed(op->getLoc(), what)
            << remark::add("{0:f0} MB are beyond on-chip memory, but no parts "
                           "of it are predicted to be faster",
                           megabytes);
        continue;
      }
      remark::passed(op->getLoc(), what)
          << remark::add("{0:f0} MB are beyond on-chip memory: made in {1} "
                         "parts{2}, {3} operations together, {4:f1} us "
                         "predicted to be saved",
                         megabytes, countParts(choice.cuts),
                         choice.cuts[0].byTurns ? " by turns" : "",
                         best->region.size(), choice.gain);
      Trial(*best, choice.cuts).commit([&](Operation *dead) {
        gone.insert(dead);
      });
      ++numSplit;
    }
  }

  void runOnOperation() override {
    if (!liveBytes)
      return;
    for (func::FuncOp function : findFunctions(getOperation())) {
      known.clear();
      Block &block = function.getBody().front();
      if (liveBytes < 0)
        tileByCost(block, getClock(function));
      for (unsigned i = 0;
           liveBytes > 0 && i < 64 && tilePeak(block, liveBytes); ++i)
        ;
      function->setAttr(
          marks::kLiveBytes,
          Builder(&getContext()).getI64IntegerAttr(findPeak(block).bytes));
    }
  }
};
} // namespace
