//===- AssignLayout.cpp - where transposes go -----------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// Convolutions want tokens last ((B,C,1,S), (B,C,H,W)), exporters write them in
// the middle ([B,S,C], [B,H,W,C]). Each op that does not care gets one of two
// labels: its results are stored as written, or with the token axes last. The
// labels with the least traffic in transposes over the whole graph are a
// minimum cut; no pattern is applied greedily. Products of two run-time
// operands take either form by their transpose flags.
//
//===----------------------------------------------------------------------===//

#include "Reshape.h"
#include "ane-mlir/Analysis/CostModel.h"
#include "ane-mlir/Analysis/MinCut.h"
#include "ane-mlir/Analysis/Placement.h"
#include "ane-mlir/Transforms/Passes.h"
#include "dialects/ANE/IR/Linear.h"
#include "dialects/ANE/IR/Norm.h"
#include "dialects/ANE/IR/Reduction.h"
#include "dialects/ANE/IR/Shape.h"
#include "dialects/ANE/IR/Structure.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/IRMapping.h"
#include <map>

using namespace mlir;
using namespace mlir::ane;

namespace mlir::ane {
#define GEN_PASS_DEF_ASSIGNLAYOUTPASS
#include "ane-mlir/Transforms/Passes.h.inc"
} // namespace mlir::ane

static int64_t product(ArrayRef<int64_t> dims) {
  int64_t p = 1;
  for (int64_t d : dims)
    p *= d;
  return p;
}

namespace {
/// Neighbouring axes that a 1x1 convolution does not mix: the sequence, or
/// height and width.
struct Tokens {
  int64_t begin, count;
  bool operator==(const Tokens &o) const {
    return begin == o.begin && count == o.count;
  }
  bool operator<(const Tokens &o) const {
    return std::pair(begin, count) < std::pair(o.begin, o.count);
  }
  int64_t end() const { return begin + count; }
  bool contains(int64_t axis) const { return axis >= begin && axis < end(); }
};

/// A tensor with its token axes moved to the end, in at least four axes:
/// [S,C] -> [1,C,1,S], [A,S,C] -> [A,C,1,S], [A,H,W,C] -> [A,C,H,W]; longer
/// ones keep their rank.
struct TokensLast {
  SmallVector<int64_t> shape;
  /// Where each axis of the tensor went.
  SmallVector<int64_t> axis;
  /// The permutation, before axes of length 1 are put in.
  SmallVector<int64_t> perm;
  /// False where the permutation passes over axes of length 1 only: a reshape.
  bool moves = false;

  TokensLast(ArrayRef<int64_t> dims, Tokens tokens) {
    int64_t rank = dims.size();
    for (int64_t i = 0; i < rank; ++i)
      if (!tokens.contains(i))
        perm.push_back(i);
    int64_t others = perm.size();
    for (int64_t i = tokens.begin; i < tokens.end(); ++i)
      perm.push_back(i);
    // Tokens are at the end, what was put in is before them; a single other
    // axis is the channels.
    int64_t wide = std::max<int64_t>(rank, 4);
    axis.resize(rank);
    shape.assign(wide, 1);
    int64_t previous = -1;
    for (auto [i, from] : llvm::enumerate(perm)) {
      int64_t place = (int64_t)i < others
                          ? (others == 1 && wide - tokens.count > 1 ? 1 : i)
                          : wide - rank + i;
      axis[from] = place;
      shape[place] = dims[from];
      if (dims[from] != 1) {
        moves |= from < previous;
        previous = from;
      }
    }
  }
};

struct AssignLayout : ane::impl::AssignLayoutPassBase<AssignLayout> {
  using AssignLayoutPassBase::AssignLayoutPassBase;

  /// Token axes of each run-time value that has them.
  llvm::DenseMap<Value, Tokens> tokens;
  llvm::DenseSet<Value> trees;

  std::optional<Tokens> tokensOf(Value v) const {
    auto it = tokens.find(v);
    return it == tokens.end() ? std::nullopt : std::optional(it->second);
  }
  bool isTree(Value v) const { return trees.contains(v); }

  /// The axis of result 0 that an axis of operand `index` becomes, or the other
  /// way round; nullopt where it is merged, split or reduced.
  static std::optional<int64_t> followAxis(Operation *op, unsigned index,
                                           int64_t axis, bool forward) {
    auto x = typeOf(op->getOperand(index)), y = typeOf(op->getResult(0));
    if (isElementwise(op)) {
      if (x.getRank() != y.getRank() ||
          x.getDimSize(axis) != y.getDimSize(axis))
        return std::nullopt;
      return axis;
    }
    if (isa<SoftmaxOp, LayerNormOp, ConcatOp, SplitOp, SliceBySizeOp, PadOp>(
            op))
      return index == 0 || isa<ConcatOp>(op) ? std::optional(axis)
                                             : std::nullopt;
    if (auto slice = dyn_cast<SliceByIndexOp>(op))
      return x.getRank() == y.getRank() ? std::optional(axis) : std::nullopt;
    if (auto transpose = dyn_cast<TransposeOp>(op)) {
      auto normal = [&](int64_t p) { return p < 0 ? p + x.getRank() : p; };
      if (!forward)
        return normal(transpose.getPerm()[axis]);
      for (auto [i, p] : llvm::enumerate(transpose.getPerm()))
        if (normal(p) == axis)
          return i;
      return std::nullopt;
    }
    if (auto reduced = reducedAxes(op)) {
      if (x.getRank() == y.getRank()) // also a reduced one, of length 1 then
        return axis;
      if (forward && llvm::is_contained(*reduced, axis))
        return std::nullopt;
      int64_t at = 0;
      for (int64_t i = 0; i < x.getRank(); ++i) {
        if (llvm::is_contained(*reduced, i))
          continue;
        if (forward ? i == axis : at == axis)
          return forward ? at : i;
        ++at;
      }
    }
    return std::nullopt;
  }

  /// The same for token axes, which stay neighbours in their order; a reshape
  /// may merge or split them.
  static std::optional<Tokens> follow(Operation *op, unsigned index, Tokens t,
                                      bool forward) {
    if (isa<ReshapeOp>(op)) {
      auto x = typeOf(op->getOperand(0)), y = typeOf(op->getResult(0));
      ArrayRef<int64_t> from = forward ? x.getShape() : y.getShape(),
                        to = forward ? y.getShape() : x.getShape();
      int64_t before = product(from.take_front(t.begin)),
              size = product(from.slice(t.begin, t.count)), seen = 1;
      // The last place that fits: ones in front of the tokens belong to the
      // other axes.
      std::optional<Tokens> found;
      for (int64_t i = 0; i < (int64_t)to.size(); seen *= to[i], ++i) {
        if (seen != before || (to[i] == 1 && size != 1))
          continue;
        int64_t inside = 1, end = i;
        while (end < (int64_t)to.size() && inside * to[end] <= size &&
               (inside < size || end == i))
          inside *= to[end++];
        if (inside == size && end - i <= 2)
          found = Tokens{i, end - i};
      }
      return found;
    }
    std::optional<Tokens> result;
    for (int64_t axis = t.begin; axis < t.end(); ++axis) {
      auto to = followAxis(op, index, axis, forward);
      if (!to || (result && *to != result->end()))
        return std::nullopt;
      result =
          result ? Tokens{result->begin, result->count + 1} : Tokens{*to, 1};
    }
    return result;
  }

  static std::optional<SmallVector<int64_t>> reducedAxes(Operation *op) {
    if (!isa<ReduceSumOp, ReduceMeanOp, ReduceMaxOp, ReduceMinOp,
             ReduceL2NormOp, ReduceLogSumExpOp, ReduceL1NormOp, ReduceLogSumOp,
             ReduceSumSquareOp>(op))
      return std::nullopt;
    int64_t rank = typeOf(op->getOperand(0)).getRank();
    SmallVector<int64_t> axes;
    if (auto given = op->getAttrOfType<DenseI64ArrayAttr>("axes")) {
      for (int64_t axis : given.asArrayRef())
        axes.push_back(axis < 0 ? axis + rank : axis);
    } else {
      for (int64_t i = 0; i < rank; ++i)
        axes.push_back(i);
    }
    return axes;
  }

  bool isAgnostic(Operation *op) const {
    if (op->getNumResults() == 0 || !lookupOpInfo(op->getName().getStringRef()))
      return false;
    for (Type type : op->getResultTypes())
      if (auto t = dyn_cast<RankedTensorType>(type);
          !t || !t.hasStaticShape() || t.getRank() < 2 || t.getRank() > 5 ||
          t.getNumElements() == 0)
        return false;
    if (auto slice = dyn_cast<SliceByIndexOp>(op))
      return !slice.getSqueezeMask();
    if (auto pad = dyn_cast<PadOp>(op))
      return pad.getMode() == PadMode::constant;
    if (auto concat = dyn_cast<ConcatOp>(op))
      return !concat.getInterleave();
    return isElementwise(op) || reducedAxes(op) ||
           isa<SoftmaxOp, LayerNormOp, SplitOp, SliceBySizeOp, TransposeOp,
               ReshapeOp>(op);
  }
  /// One of the last two axes.
  static bool isProductAxis(Tokens t, RankedTensorType type) {
    return t.count == 1 && t.begin >= type.getRank() - 2;
  }
  /// A product of two run-time operands; its result may be stored either way.
  bool isFlexibleProduct(Operation *op) const {
    auto matmul = dyn_cast<MatmulOp>(op);
    if (!matmul || isTree(matmul.getX()) || isTree(matmul.getY()))
      return false;
    int64_t rank = matmul.getType().getRank();
    return rank >= 2 && rank <= 4 &&
           matmul.getX().getType().getRank() == rank &&
           matmul.getY().getType().getRank() == rank;
  }

  /// Seeds: the spatial axes of convolutions. Then along agnostic ops in
  /// both directions until nothing is new.
  void findTokens(Block &block) {
    SmallVector<Value> work;
    auto give = [&](Value v, std::optional<Tokens> axes) {
      auto type = dyn_cast<RankedTensorType>(v.getType());
      if (axes && type && type.hasStaticShape() && type.getRank() >= 2 &&
          !isTree(v) && tokens.try_emplace(v, *axes).second)
        work.push_back(v);
    };
    for (auto conv : block.getOps<ConvOp>()) {
      if (conv.getType().getRank() != 4)
        continue;
      bool row = conv.getX().getType().getDimSize(2) == 1 &&
                 conv.getType().getDimSize(2) == 1;
      Tokens spatial = row ? Tokens{3, 1} : Tokens{2, 2};
      give(conv.getX(), spatial);
      give(conv.getY(), spatial);
    }
    while (!work.empty()) {
      Value v = work.pop_back_val();
      Tokens axis = tokens.find(v)->second;
      for (OpOperand &use : v.getUses())
        if (Operation *op = use.getOwner(); isAgnostic(op))
          if (auto to = follow(op, use.getOperandNumber(), axis, true))
            for (Value result : op->getResults())
              give(result, to);
      Operation *op = v.getDefiningOp();
      if (!op || !isAgnostic(op))
        continue;
      for (Value result : op->getResults())
        give(result, axis);
      for (OpOperand &operand : op->getOpOperands())
        if (!isTree(operand.get()))
          give(operand.get(),
               follow(op, operand.getOperandNumber(), axis, false));
    }
  }

  /// Whether `op` can work on values whose tokens are last.
  bool mayHaveTokensLast(Operation *op) const {
    auto token = tokensOf(op->getResult(0));
    if (!token)
      return false;
    if (auto matmul = dyn_cast<MatmulOp>(op))
      return isFlexibleProduct(op) && isProductAxis(*token, matmul.getType());
    if (!isAgnostic(op))
      return false;
    auto y = typeOf(op->getResult(0));
    for (OpOperand &operand : op->getOpOperands()) {
      Value v = operand.get();
      auto x = dyn_cast<RankedTensorType>(v.getType());
      if (!x || !x.hasStaticShape())
        return false;
      if (isElementwise(op)) {
        // Constants are stretched to the rank; run-time operands have it.
        if (!isTree(v) && x.getRank() != y.getRank() && x.getRank() != 0)
          return false;
        continue;
      }
      if (isTree(v) && operand.getOperandNumber() == 0 && !isa<ConcatOp>(op))
        return false;
      if (isa<LayerNormOp>(op) && operand.getOperandNumber() > 0) {
        if (!isTree(v))
          return false;
        continue;
      }
      if (!follow(op, operand.getOperandNumber(), *token, false))
        return false;
    }
    if (auto norm = dyn_cast<LayerNormOp>(op))
      for (int64_t axis : norm.getAxes())
        if (token->contains(axis < 0 ? axis + y.getRank() : axis))
          return false;
    return true;
  }

  /// The tokens-last form a user of `v` with label 1 asks for.
  std::optional<Tokens> askedToken(Operation *user, OpOperand &operand) const {
    Value v = operand.get();
    auto own = tokensOf(user->getResult(0));
    if (!own)
      return std::nullopt;
    if (isElementwise(user)) {
      auto type = typeOf(v);
      return type.getRank() < 2 ? std::nullopt : own;
    }
    return follow(user, operand.getOperandNumber(), *own, false);
  }

  /// Predicted microseconds of reading and writing `v` once.
  static double trafficCost(Value v, const Target &target) {
    auto type = typeOf(v);
    double bytes =
        2.0 * type.getNumElements() *
        llvm::divideCeil(type.getElementType().getIntOrFloatBitWidth(), 8u);
    // A constant part, so that fewer transposes win where traffic ties.
    return 0.5 + bytes / (target.cost(CostId::ActivationGbs) * 1e3);
  }
  /// Predicted microseconds of storing `v` the other way.
  double conversionCost(Value v, Tokens token, const Target &target) const {
    if (isTree(v))
      return 0;
    TokensLast form(typeOf(v).getShape(), token);
    if (!form.moves)
      return 0;
    // Of an input or output it is a matter of its surface, if rows are whole.
    if (isPort(v) && form.shape.size() == 4 && form.shape[3] % 32 == 0 &&
        typeOf(v).getElementType().isF16())
      return 0.5;
    return trafficCost(v, target);
  }

  /// Read or written by the host alone, in any order that its surface has.
  bool isPort(Value v) const {
    auto function = cast<func::FuncOp>(v.getParentBlock()->getParentOp());
    if (getClock(function).door != Door::Memory)
      return false;
    if (auto argument = dyn_cast<BlockArgument>(v))
      return !function.getArgAttr(argument.getArgNumber(), marks::kState);
    return llvm::all_of(v.getUses(), [&](OpOperand &use) {
      return use.getOwner()->hasTrait<OpTrait::IsTerminator>() &&
             !function.getResultAttr(use.getOperandNumber(), marks::kState);
    });
  }

  /// Predicted microseconds of a norm over the last axis, and of its
  /// definition, which is what it becomes with tokens last: passes over its
  /// elements, two means and the largest of each row.
  static std::pair<double, double> normCosts(LayerNormOp op,
                                             const Clock &clock) {
    constexpr double kPasses = 8;
    double elements = op.getX().getType().getNumElements();
    return {predict(op, clock).total(),
            elements / 1e3 *
                (kPasses / clock.rate(CostId::ElementwiseGeps) +
                 3 / clock.rate(CostId::ReduceGeps))};
  }

  /// Of a transpose as written, and with tokens last on both sides.
  std::pair<double, double> transposeCosts(TransposeOp op, Tokens token,
                                           const Target &target) const {
    auto x = op.getX().getType();
    auto normal = [&](int64_t p) { return p < 0 ? p + x.getRank() : p; };
    double full = trafficCost(op.getX(), target);
    // Axes of length 1 move for nothing.
    auto moves = [&](ArrayRef<int64_t> order) {
      int64_t previous = -1;
      for (int64_t p : order) {
        if (x.getDimSize(p) == 1)
          continue;
        if (p < previous)
          return true;
        previous = p;
      }
      return false;
    };
    SmallVector<int64_t> order, rest;
    for (auto [i, p] : llvm::enumerate(op.getPerm())) {
      order.push_back(normal(p));
      if (!token.contains(i))
        rest.push_back(normal(p));
    }
    return {moves(order) ? full : 0, moves(rest) ? full : 0};
  }

  //===--------------------------------------------------------------------===//
  // Rewriting
  //===--------------------------------------------------------------------===//

  llvm::DenseMap<Operation *, bool> labels;
  /// Values as written, where label 1 made them otherwise, and tokens-last
  /// forms by token axis.
  llvm::DenseMap<Value, Value> written;
  std::map<std::pair<void *, Tokens>, Value> moved;

  bool storedTokensLast(Value v) const {
    Operation *op = v.getDefiningOp();
    return op && labels.lookup(op);
  }
  static void after(OpBuilder &b, Value v) {
    if (Operation *op = v.getDefiningOp())
      b.setInsertionPointAfter(op);
    else
      b.setInsertionPointToStart(cast<BlockArgument>(v).getOwner());
  }
  static Value toTokensLast(OpBuilder &b, Location loc, Value v, Tokens token) {
    auto type = typeOf(v);
    TokensLast form(type.getShape(), token);
    if (form.moves) {
      SmallVector<int64_t> shape;
      for (int64_t p : form.perm)
        shape.push_back(type.getDimSize(p));
      v = TransposeOp::create(b, loc, type.clone(shape), v, form.perm);
    }
    return reshapeTo(b, loc, v, form.shape);
  }
  static Value fromTokensLast(OpBuilder &b, Location loc, Value v,
                              RankedTensorType type, Tokens token) {
    TokensLast form(type.getShape(), token);
    if (!form.moves)
      return reshapeTo(b, loc, v, type.getShape());
    SmallVector<int64_t> shape, back(form.perm.size());
    for (auto [i, p] : llvm::enumerate(form.perm)) {
      shape.push_back(type.getDimSize(p));
      back[p] = i;
    }
    v = reshapeTo(b, loc, v, shape);
    return TransposeOp::create(b, loc, type, v, back);
  }

  /// `v` as its users outside know it.
  Value asWritten(Value v, OpBuilder &b) {
    if (!storedTokensLast(v))
      return v;
    Value &known = written[v];
    if (!known) {
      Tokens token = *tokensOf(v);
      Value stored = moved[{v.getAsOpaquePointer(), token}];
      OpBuilder::InsertionGuard guard(b);
      after(b, stored);
      known = fromTokensLast(b, v.getLoc(), stored, typeOf(v), token);
    }
    return known;
  }
  Value withTokensLast(Value v, Tokens token, OpBuilder &b) {
    Value &known = moved[{v.getAsOpaquePointer(), token}];
    if (known)
      return known;
    Value plain = asWritten(v, b);
    OpBuilder::InsertionGuard guard(b);
    if (isTree(v)) // next to its user: trees are copied into programs anyway
      known = toTokensLast(b, v.getLoc(), plain, token);
    else {
      after(b, plain);
      known = toTokensLast(b, v.getLoc(), plain, token);
    }
    return known;
  }

  /// A constant of lower rank, stretched to `rank` before its axes move.
  Value constantOperand(Value v, int64_t rank, Tokens token, OpBuilder &b) {
    auto type = typeOf(v);
    if (type.getRank() == 0)
      return v;
    SmallVector<int64_t> shape(rank - type.getRank(), 1);
    llvm::append_range(shape, type.getShape());
    return toTokensLast(b, v.getLoc(), reshapeTo(b, v.getLoc(), v, shape),
                        token);
  }

  /// `op` over tokens-last operands. Returns its results in that form.
  SmallVector<Value> moveOp(Operation *op, OpBuilder &b) {
    Location loc = op->getLoc();
    Tokens token = *tokensOf(op->getResult(0));
    auto y = typeOf(op->getResult(0));
    TokensLast form(y.getShape(), token);
    if (isa<MatmulOp>(op))
      return {moveProduct(cast<MatmulOp>(op), token, b)};
    if (auto reshape = dyn_cast<ReshapeOp>(op)) {
      Tokens from = *follow(op, 0, token, false);
      return {reshapeTo(b, loc, withTokensLast(reshape.getX(), from, b),
                        form.shape)};
    }
    if (auto transpose = dyn_cast<TransposeOp>(op)) {
      auto x = transpose.getX().getType();
      Tokens from = *follow(op, 0, token, false);
      TokensLast source(x.getShape(), from);
      Value v = withTokensLast(transpose.getX(), from, b);
      SmallVector<int64_t> perm(form.shape.size());
      for (size_t i = 0; i < perm.size(); ++i)
        perm[i] = i;
      bool identity = true;
      for (int64_t i = 0; i < y.getRank(); ++i) {
        int64_t p = transpose.getPerm()[i];
        perm[form.axis[i]] = source.axis[p < 0 ? p + x.getRank() : p];
        identity &= perm[form.axis[i]] == form.axis[i];
      }
      return {identity
                  ? v
                  : TransposeOp::create(b, loc, y.clone(form.shape), v, perm)
                        .getResult()};
    }
    // A copy with operands, types and axes in the new form.
    SmallVector<Value> operands;
    for (OpOperand &operand : op->getOpOperands()) {
      Value v = operand.get();
      if (isElementwise(op) && isTree(v))
        operands.push_back(constantOperand(v, y.getRank(), token, b));
      else if (isElementwise(op) && typeOf(v).getRank() < 2)
        operands.push_back(asWritten(v, b));
      else if (isa<LayerNormOp>(op) && operand.getOperandNumber() > 0)
        operands.push_back(v);
      else if (isElementwise(op)) // also where it broadcasts along the tokens
        operands.push_back(withTokensLast(v, token, b));
      else
        operands.push_back(withTokensLast(
            v, *follow(op, operand.getOperandNumber(), token, false), b));
    }
    Operation *copy = b.clone(*op);
    copy->setOperands(operands);
    auto x = typeOf(op->getOperand(0));
    auto ints = [&](ArrayRef<int64_t> values) {
      return b.getDenseI64ArrayAttr(values);
    };
    auto axisAttr = [&](StringRef name) {
      int64_t axis = copy->getAttrOfType<IntegerAttr>(name).getInt();
      axis = axis < 0 ? axis + y.getRank() : axis;
      copy->setAttr(name, b.getI64IntegerAttr(form.axis[axis]));
    };
    if (isa<SoftmaxOp, ConcatOp, SplitOp>(op))
      axisAttr("axis");
    if (auto norm = dyn_cast<LayerNormOp>(op)) {
      SmallVector<int64_t> axes;
      for (int64_t axis : norm.getAxes())
        axes.push_back(form.axis[axis < 0 ? axis + y.getRank() : axis]);
      copy->setAttr("axes", ints(axes));
    }
    // Values per axis, with `fill` for the axes that were put in.
    auto spread = [&](ArrayRef<int64_t> values, int64_t fill) {
      SmallVector<int64_t> result(form.shape.size(), fill);
      for (auto [i, value] : llvm::enumerate(values))
        result[form.axis[i]] = value;
      return result;
    };
    if (auto slice = dyn_cast<SliceBySizeOp>(op)) {
      copy->setAttr("begin", ints(spread(slice.getBegin(), 0)));
      copy->setAttr("size", ints(spread(slice.getSize(), 1)));
    }
    if (auto slice = dyn_cast<SliceByIndexOp>(op)) {
      copy->setAttr("begin", ints(spread(slice.getBegin(), 0)));
      copy->setAttr("end", ints(spread(slice.getEnd(), 1)));
      if (auto stride = slice.getStride())
        copy->setAttr("stride", ints(spread(*stride, 1)));
      auto masks = [&](StringRef name, std::optional<ArrayRef<bool>> mask) {
        if (!mask)
          return;
        SmallVector<bool> result(form.shape.size(), false);
        for (auto [i, value] : llvm::enumerate(*mask))
          result[form.axis[i]] = value;
        copy->setAttr(name, b.getDenseBoolArrayAttr(result));
      };
      masks("begin_mask", slice.getBeginMask());
      masks("end_mask", slice.getEndMask());
    }
    if (auto pad = dyn_cast<PadOp>(op)) {
      int64_t skipped = y.getRank() - (int64_t)pad.getPad().size() / 2;
      SmallVector<int64_t> result(2 * form.shape.size());
      for (int64_t i = 0; i < (int64_t)pad.getPad().size(); ++i)
        result[2 * form.axis[skipped + i / 2] + i % 2] = pad.getPad()[i];
      copy->setAttr("pad", ints(result));
    }
    if (auto reduced = reducedAxes(op)) {
      TokensLast source(x.getShape(), *follow(op, 0, token, false));
      SmallVector<int64_t> axes, shape(source.shape);
      for (int64_t axis : *reduced) {
        axes.push_back(source.axis[axis]);
        shape[axes.back()] = 1;
      }
      copy->setAttr("axes", ints(axes));
      copy->setAttr("keep_dims", b.getBoolAttr(true));
      copy->getResult(0).setType(y.clone(shape));
      return {reshapeTo(b, loc, copy->getResult(0), form.shape)};
    }
    for (Value result : copy->getResults()) {
      auto type =
          typeOf(op->getResult(cast<OpResult>(result).getResultNumber()));
      result.setType(type.clone(TokensLast(type.getShape(), token).shape));
    }
    return llvm::to_vector_of<Value>(copy->getResults());
  }

  /// An operand of a product in whichever form is at hand: (value of the
  /// product's rank, whether its last two axes are swapped).
  std::pair<Value, bool> productOperand(Value v, OpBuilder &b) {
    auto type = typeOf(v);
    int64_t rank = type.getRank();
    auto token = tokensOf(v);
    if (!storedTokensLast(v) || !token || !isProductAxis(*token, type))
      return {asWritten(v, b), false};
    bool swapped = token->begin == rank - 2;
    SmallVector<int64_t> shape(type.getShape());
    if (swapped)
      std::swap(shape[rank - 1], shape[rank - 2]);
    return {reshapeTo(b, v.getLoc(), withTokensLast(v, *token, b), shape),
            swapped};
  }
  /// The product as written, or with its result's last two axes swapped.
  Value emitProduct(MatmulOp op, bool swapResult, OpBuilder &b) {
    auto [x, swappedX] = productOperand(op.getX(), b);
    auto [y, swappedY] = productOperand(op.getY(), b);
    bool tx = op.getTransposeX() != swappedX,
         ty = op.getTransposeY() != swappedY;
    SmallVector<int64_t> shape(op.getType().getShape());
    if (swapResult) { // (X Y)' = Y' X'
      std::swap(shape[shape.size() - 1], shape[shape.size() - 2]);
      std::swap(x, y);
      std::tie(tx, ty) = std::pair(!ty, !tx);
    }
    return MatmulOp::create(b, op.getLoc(), op.getType().clone(shape), x, y,
                            b.getBoolAttr(tx), b.getBoolAttr(ty));
  }
  Value moveProduct(MatmulOp op, Tokens token, OpBuilder &b) {
    Value z = emitProduct(op, token.begin == op.getType().getRank() - 2, b);
    return reshapeTo(b, op.getLoc(), z,
                     TokensLast(op.getType().getShape(), token).shape);
  }

  static unsigned countTransposes(Block &block,
                                  const llvm::DenseSet<Value> &trees) {
    return llvm::count_if(block.getOps<TransposeOp>(), [&](TransposeOp op) {
      return !trees.contains(op.getY());
    });
  }

  void runOnFunction(func::FuncOp function) {
    Block &block = function.getBody().front();
    const Target &target = getTarget(function);
    tokens.clear(), trees.clear(), labels.clear(), written.clear(),
        moved.clear();
    for (Operation &op : block)
      if (isa<ConstantOp>(op) ||
          (isFunctionOfOperands(&op) &&
           llvm::all_of(op.getOperands(), [&](Value v) { return isTree(v); })))
        for (Value result : op.getResults())
          trees.insert(result);
    findTokens(block);
    if (tokens.empty())
      return;
    // The cut. Every op that may have tokens last is a node.
    MinCut cut;
    llvm::DenseMap<Operation *, unsigned> nodes;
    for (Operation &op : block)
      if (op.getNumResults() && !isTree(op.getResult(0)) &&
          mayHaveTokensLast(&op))
        nodes[&op] = cut.addNode();
    auto nodeOf = [&](Value v) -> std::optional<unsigned> {
      auto it = nodes.find(v.getDefiningOp());
      return v.getDefiningOp() && it != nodes.end() ? std::optional(it->second)
                                                    : std::nullopt;
    };
    auto forEachValue = [&](Value v) {
      if (isTree(v) || !isa<RankedTensorType>(v.getType()))
        return;
      std::optional<unsigned> producer = nodeOf(v);
      // One conversion serves all users that want the other form.
      std::optional<unsigned> toPlain;
      std::map<Tokens, unsigned> toMoved;
      for (OpOperand &use : v.getUses()) {
        Operation *user = use.getOwner();
        if (isFlexibleProduct(user)) {
          // Takes either form of its last two axes, else wants it as written.
          auto token = tokensOf(v);
          if (!producer || (token && isProductAxis(*token, typeOf(v))))
            continue;
        }
        auto node = nodes.find(user);
        bool variable = node != nodes.end() && !isFlexibleProduct(user);
        std::optional<Tokens> asked;
        if (variable) {
          asked = askedToken(user, use);
          if (!asked)
            continue; // a scalar
        }
        if (producer) {
          // Stored tokens last, read as written.
          double cost = conversionCost(v, *tokensOf(v), target);
          if (!toPlain) {
            toPlain = cut.addNode();
            cut.addCost(*producer, *toPlain, cost);
          }
          if (variable && asked == tokensOf(v))
            cut.addCost(*toPlain, node->second, MinCut::kForbidden);
          else // also users that want tokens of another axis last
            cut.addLabelCost(*toPlain, true, MinCut::kForbidden);
        }
        if (variable) {
          // Stored as written, read tokens last.
          double cost = conversionCost(v, *asked, target);
          auto [it, fresh] = toMoved.try_emplace(*asked, 0);
          if (fresh) {
            it->second = cut.addNode();
            if (producer && asked == tokensOf(v))
              cut.addCost(it->second, *producer, cost);
            else
              cut.addLabelCost(it->second, true, cost);
          }
          cut.addCost(node->second, it->second, MinCut::kForbidden);
        }
      }
    };
    for (BlockArgument argument : block.getArguments())
      forEachValue(argument);
    for (Operation &op : block)
      for (Value result : op.getResults())
        forEachValue(result);
    // A transpose costs what it moves; with tokens last it may be nothing.
    for (auto [op, node] : nodes)
      if (auto transpose = dyn_cast<TransposeOp>(op)) {
        Tokens token = *tokensOf(transpose.getY());
        auto [stays, moves] = transposeCosts(transpose, token, target);
        cut.addLabelCost(node, false, stays);
        cut.addLabelCost(node, true, moves);
      }
    Clock clock = getClock(function);
    for (auto [op, node] : nodes) {
      // Where it is all the same, tokens are last: convolutions are near.
      cut.addLabelCost(node, false, 0.01);
      // Where means over channels need the multipliers (L33), a norm over the
      // last axis loses less.
      if (auto norm = dyn_cast<LayerNormOp>(op);
          norm && !target.hasRule("L33")) {
        auto [stays, moves] = normCosts(norm, clock);
        cut.addLabelCost(node, false, stays);
        cut.addLabelCost(node, true, moves);
      }
    }
    std::vector<bool> solution = cut.solve();
    bool any = false;
    for (auto [op, node] : nodes) {
      labels[op] = solution[node];
      any |= solution[node];
    }
    unsigned before = countTransposes(block, trees);
    if (!any)
      return;
    // In order: every operand is there in some form before its user.
    OpBuilder b(&getContext());
    auto ops = llvm::map_to_vector(block, [](Operation &op) { return &op; });
    for (Operation *op : ops) {
      if (op->getNumResults() && isTree(op->getResult(0)))
        continue;
      b.setInsertionPoint(op);
      if (labels.lookup(op)) {
        for (auto [result, value] : llvm::zip(op->getResults(), moveOp(op, b)))
          moved[{result.getAsOpaquePointer(), *tokensOf(result)}] = value;
      } else if (isFlexibleProduct(op)) {
        auto matmul = cast<MatmulOp>(op);
        if (storedTokensLast(matmul.getX()) ||
            storedTokensLast(matmul.getY())) {
          Value z = emitProduct(matmul, false, b);
          matmul.getZ().replaceAllUsesWith(z);
          // The copy stands for the op from here on.
          if (auto token = tokensOf(matmul.getZ()))
            tokens.try_emplace(z, *token);
        }
      } else {
        for (OpOperand &operand : op->getOpOperands())
          operand.set(asWritten(operand.get(), b));
      }
    }
    for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block)))
      if (op.use_empty() && !op.hasTrait<OpTrait::IsTerminator>() &&
          isMemoryEffectFree(&op))
        op.erase();
    unsigned left = countTransposes(block, trees);
    numRemoved += before > left ? before - left : 0;
    numLeft += left;
  }

  void runOnOperation() override {
    for (func::FuncOp function : findFunctions(getOperation()))
      runOnFunction(function);
  }
};
} // namespace
