//===- KeepFP32.cpp - what must not be fp16 -------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// fp16 holds integers up to 2048 and eleven bits of anything. That is too
// little for what decides an integer (positions, flat indices, lengths), for
// phases of sine and cosine, and for logarithms of what is guarded by a small
// number: the quiet bins of a spectrum are told apart by less than the rounding
// of the loud ones. From each such place the slice behind it is marked
// `ane.fp32`, as far as it is arithmetic on few numbers; what such values alone
// decide is marked too. So is what tells neighbours in a table apart (splits of
// trees, questions for NaN, linear models beyond fp16); limits that stay fp16
// round to the side of whole numbers that they were on. Marked ops run on the
// host, in fp32 (ane-place, ane-widen-host).
//
//===----------------------------------------------------------------------===//

#include "Reshape.h"
#include "ane-mlir/Analysis/Placement.h"
#include "ane-mlir/Interpreter/Interpreter.h"
#include "ane-mlir/Transforms/Passes.h"
#include "dialects/ANE/IR/Arithmetic.h"
#include "dialects/ANE/IR/Cast.h"
#include "dialects/ANE/IR/Comparison.h"
#include "dialects/ANE/IR/Gather.h"
#include "dialects/ANE/IR/Linear.h"
#include "dialects/ANE/IR/Norm.h"
#include "dialects/ANE/IR/Pool.h"
#include "dialects/ANE/IR/Rearrange.h"
#include "dialects/ANE/IR/Recurrent.h"
#include "dialects/ANE/IR/Reduction.h"
#include "dialects/ANE/IR/Shape.h"
#include "dialects/ANE/IR/Structure.h"
#include "dialects/ANE/IR/Trigonometry.h"
#include "dialects/ANE/IR/Unary.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"
#include <cmath>

using namespace mlir;
using namespace mlir::ane;

namespace mlir::ane {
#define GEN_PASS_DEF_KEEPFP32PASS
#include "ane-mlir/Transforms/Passes.h.inc"
} // namespace mlir::ane

namespace {
/// A guard below this is lost beside fp16 values, or is none of them: the
/// smallest normal number.
constexpr double kSmallGuard = 0x1p-14;
/// Integers beyond are not exact in fp16.
constexpr double kExactInteger = 2048;
/// A product over more terms is a layer of a network, not a change of
/// coordinates.
constexpr int64_t kFewTerms = 16;
/// So many the host compares, or computes with, at no cost to speak of.
constexpr int64_t kFewElements = 4096;
constexpr double kFewFlops = 1e6;
/// What stands for infinity beside an input, whose quantities may be seconds
/// since 1970.
constexpr float kInfinite = 1e30f;
/// What is added to a result is its offset from here on, and where it is so
/// many times what it is added to: then of the 2048 steps of fp16 few are left.
constexpr double kLeastOffset = 128, kFewSteps = 32;
constexpr int64_t kFewColumns = 16;
/// Values that are looked at between an op and the inputs it may be parts of.
constexpr size_t kMostSeen = 64;
/// Of numbers with a unit hardly one is beyond so many times it.
constexpr double kFourSigma = 4;
/// A front end (windows, a Fourier basis, filters) has a few products between
/// the input and its logarithm, or nothing but filters and magnitudes.
constexpr unsigned kFrontEndProducts = 6;
constexpr double kFrontEndWork = 4e9;

bool isFloat(Value v) {
  auto type = dyn_cast<RankedTensorType>(v.getType());
  return type && isa<FloatType>(type.getElementType());
}
bool isHalf(Value v) {
  auto type = dyn_cast<RankedTensorType>(v.getType());
  return type && type.getElementType().isF16();
}
bool isWide(Type element) {
  auto integer = dyn_cast<IntegerType>(element);
  return integer && integer.getWidth() > 8;
}
bool isComparison(Operation *op) {
  return isa<GreaterOp, GreaterEqualOp, LessOp, LessEqualOp, EqualOp,
             NotEqualOp>(op);
}
bool isProduct(Operation *op) {
  return isa<ConvOp, ConvTransposeOp, MatmulOp, LinearOp, EinsumOp>(op);
}

/// Terms of one sum of a product.
int64_t countTerms(Operation *op) {
  auto last = [](Value v) {
    auto type = typeOf(v);
    return type.getRank() ? type.getDimSize(type.getRank() - 1) : 1;
  };
  if (auto product = dyn_cast<MatmulOp>(op)) {
    auto x = typeOf(product.getX());
    return product.getTransposeX() && x.getRank() > 1
               ? x.getDimSize(x.getRank() - 2)
               : last(product.getX());
  }
  if (isa<LinearOp>(op))
    return last(op->getOperand(0));
  if (isa<ConvOp, ConvTransposeOp>(op)) {
    int64_t terms = 1;
    for (int64_t dim : typeOf(op->getOperand(1)).getShape().drop_front())
      terms *= std::max<int64_t>(dim, 1);
    return terms;
  }
  return kFewTerms + 1;
}

class Slices {
public:
  explicit Slices(func::FuncOp function)
      : block(function.getBody().front()), target(getTarget(function)),
        trees(findWeightTrees(block)),
        evaluation(function.getContext(), Numerics::Float32),
        constants(evaluation) {}

  unsigned run() {
    for (Operation &op : block)
      if (!trees.contains(&op))
        visitSink(&op);
    for (Value result : block.getTerminator()->getOperands())
      keepOffset(result);
    bool any = !marked.empty();
    if (any)
      followForward();
    roundLimits();
    if (!any)
      return 0;
    copyShared();
    for (auto &[op, reason] : marked)
      op->setAttr(marks::kFp32, StringAttr::get(op->getContext(), reason));
    return marked.size();
  }

private:
  using Reason = StringRef;

  bool isTree(Value v) const {
    return v.getDefiningOp() && trees.contains(v.getDefiningOp());
  }
  static bool mayMark(Operation *op) {
    return !op->hasTrait<OpTrait::IsTerminator>() && op->getNumRegions() == 0 &&
           isa<LegalityOpInterface>(op);
  }
  /// Arithmetic on single elements, movement, short sums: what a computation of
  /// coordinates is made of.
  bool isLight(Operation *op) const {
    if (!mayMark(op))
      return false;
    if (isProduct(op))
      return countTerms(op) <= kFewTerms || isIntegerProduct(op);
    return isElementwise(op) || isMovement(op) ||
           isa<CumsumOp, ReduceMaxOp, ReduceMinOp, ReduceSumOp, ReduceMeanOp,
               ReduceL2NormOp, ReduceL1NormOp, ReduceSumSquareOp, TopkOp,
               SoftmaxOp, MaxPoolOp>(op);
  }

  /// A product of integers in float clothes, as MatMulInteger is written.
  bool isIntegerProduct(Operation *op) const {
    return llvm::all_of(op->getOperands(), [&](Value v) {
      while (Operation *from = v.getDefiningOp()) {
        if (isTree(v))
          return true;
        if (auto cast = dyn_cast<CastOp>(from))
          return isa<IntegerType>(typeOf(cast.getX()).getElementType());
        if (!isMovement(from) && !isa<AddOp, SubOp>(from))
          return false;
        v = from->getOperand(0);
      }
      return false;
    });
  }

  void mark(Operation *op, Reason reason, bool sink) {
    marked.insert({op, reason});
    if (sink)
      sinks.insert(op);
  }

  /// Marks what `from` is computed from, up to where `stop` says.
  void followBackward(ValueRange from, Reason reason,
                      function_ref<bool(Operation *)> goOn) {
    SmallVector<Value> stack(from);
    while (!stack.empty()) {
      Value v = stack.pop_back_val();
      Operation *op = v.getDefiningOp();
      if (!op || isTree(v) || !isFloat(v) || marked.count(op) || !goOn(op))
        continue;
      mark(op, reason, false);
      llvm::append_range(stack, op->getOperands());
    }
  }

  /// Does the arithmetic behind `v` reach an integer, a running sum, an input
  /// or an angle that is large as it stands?
  bool comesFromPositions(Value v, bool inputsToo) const {
    SmallVector<Value> stack{v};
    llvm::DenseSet<Value> seen;
    while (!stack.empty()) {
      Value at = stack.pop_back_val();
      if (!seen.insert(at).second || isTree(at))
        continue;
      Operation *op = at.getDefiningOp();
      if (!op) {
        if (inputsToo)
          return true;
        continue;
      }
      if (isa<CumsumOp>(op))
        return true;
      if (auto cast = dyn_cast<CastOp>(op);
          cast && isWide(typeOf(cast.getX()).getElementType()))
        return true;
      if (isProduct(op) && countTerms(op) > kFewTerms)
        continue;
      if (isFloat(at) && isLight(op))
        llvm::append_range(stack, op->getOperands());
    }
    return false;
  }

  /// A small constant's numbers.
  std::optional<std::vector<double>> numbersOf(Value v) {
    if (!isTree(v) || !typeOf(v).hasStaticShape() ||
        typeOf(v).getNumElements() > (1 << 16))
      return std::nullopt;
    FailureOr<Tensor> tensor = constants.evaluate(v);
    constants.clear();
    if (failed(tensor) || !tensor->isFloat() || tensor->size() == 0)
      return std::nullopt;
    Tensor unpacked = tensor->unpacked();
    return std::vector<double>(unpacked.floats().begin(),
                               unpacked.floats().end());
  }

  /// The smallest and the largest magnitude but 0 of a constant.
  std::optional<std::pair<double, double>> magnitudes(Value v) {
    auto numbers = numbersOf(v);
    if (!numbers)
      return std::nullopt;
    double least = INFINITY, most = 0;
    for (double x : *numbers)
      if (x != 0) {
        least = std::min(least, std::fabs(x));
        most = std::max(most, std::fabs(x));
      }
    return std::pair(least, most);
  }

  /// Is `v` something plus, or not less than, a number that fp16 loses?
  bool isGuardedBySmall(Value v) {
    for (unsigned depth = 0; depth < 8; ++depth) {
      Operation *op = v.getDefiningOp();
      if (!op || isTree(v))
        return false;
      if (isMovement(op)) {
        v = op->getOperand(0);
        continue;
      }
      if (auto clip = dyn_cast<ClipOp>(op)) {
        double low = clip.getAlpha().convertToDouble();
        return low > 0 && low < kSmallGuard;
      }
      if (isa<AddOp, MaximumOp>(op)) {
        for (unsigned i : {0u, 1u})
          if (auto size = magnitudes(op->getOperand(i)))
            return size->second > 0 && size->second < kSmallGuard;
        return false;
      }
      // The guard became the bias of the filters in front.
      if (isa<ConvOp, LinearOp>(op)) {
        if (op->getNumOperands() > 2)
          if (auto size = magnitudes(op->getOperand(2)))
            return size->second > 0 && size->second < kSmallGuard;
        return false;
      }
      // An upper limit, a factor or a root between guard and logarithm.
      if (isa<MinimumOp, MulOp>(op) && isTree(op->getOperand(0)))
        v = op->getOperand(1);
      else if (isa<SqrtOp>(op) || (isa<MinimumOp, MulOp, RealDivOp>(op) &&
                                   isTree(op->getOperand(1))))
        v = op->getOperand(0);
      else
        return false;
    }
    return false;
  }

  /// What filters and their magnitudes are made of: no activation.
  static bool isFilter(Operation *op) {
    return isProduct(op) || isMovement(op) ||
           isa<CastOp, AddOp, SubOp, MulOp, RealDivOp, InverseOp, SquareOp,
               PowOp, SqrtOp, RsqrtOp, AbsOp, MaximumOp, MinimumOp, ClipOp,
               LogOp, ReduceSumOp, ReduceMeanOp, ReduceMaxOp, ReduceMinOp,
               ReduceL2NormOp, ReduceSumSquareOp>(op);
  }

  /// Everything between the inputs and `v` if it is a front end; else what is
  /// light.
  void followFrontEnd(Value v, Reason reason) {
    llvm::SetVector<Operation *> cone;
    SmallVector<Value> stack{v};
    // A product that was taken apart counts once.
    llvm::DenseSet<Location> products;
    double work = 0;
    bool whole = true, filters = true;
    while (!stack.empty() && whole) {
      Value at = stack.pop_back_val();
      Operation *op = at.getDefiningOp();
      if (!op || isTree(at) || !isFloat(at) || !cone.insert(op))
        continue;
      whole = mayMark(op);
      filters &= isFilter(op);
      if (isProduct(op))
        products.insert(op->getLoc());
      auto isOpen = [](Value v) {
        auto type = dyn_cast<RankedTensorType>(v.getType());
        return type && !type.hasStaticShape();
      };
      whole &= llvm::none_of(op->getOperands(), isOpen) &&
               llvm::none_of(op->getResults(), isOpen);
      if (auto costed = dyn_cast<CostOpInterface>(op); costed && whole)
        work += costed.estimateCost(target).flops;
      whole &= (filters || products.size() <= kFrontEndProducts) &&
               work <= kFrontEndWork &&
               !isa<LayerNormOp, InstanceNormOp, LstmOp, GruOp, RnnOp>(op);
      llvm::append_range(stack, op->getOperands());
    }
    followBackward(v, reason, [&](Operation *op) {
      return whole ? cone.contains(op)
                   : isLight(op) || isa<SoftmaxOp, SigmoidOp>(op);
    });
  }

  void visitSink(Operation *op) {
    auto light = [this](Operation *op) { return isLight(op); };
    if (auto cast = dyn_cast<CastOp>(op)) {
      Type from = typeOf(cast.getX()).getElementType(),
           to = typeOf(cast.getY()).getElementType();
      if (isa<FloatType>(from) && (isWide(to) || op->hasAttr(marks::kExact))) {
        mark(op, "its result is an integer", true);
        followBackward(op->getOperands(), "its result decides an integer",
                       light);
      } else if (isa<FloatType>(to) && isWide(from)) {
        mark(op, "integers beyond 2048 are not exact in fp16", true);
      }
      return;
    }
    if (op->hasAttr(marks::kExact)) {
      mark(op, "its last bit decides an integer", true);
      followBackward(op->getOperands(), "it decides an integer", light);
      return;
    }
    if (isa<SinOp, CosOp>(op)) {
      if (!comesFromPositions(op->getOperand(0), /*inputsToo=*/true))
        return;
      mark(op, "its angle is a position", true);
      followBackward(op->getOperands(), "it is a part of an angle", light);
      return;
    }
    if (isComparison(op) && comparesInput(op))
      return;
    if (isComparison(op) || isa<FloorDivOp, ModOp>(op)) {
      // With itself: asks for NaN, whatever the number.
      if (op->getOperand(0) == op->getOperand(1))
        return;
      bool positions = false;
      for (Value v : op->getOperands())
        positions |= isFloat(v) && comesFromPositions(v, false);
      if (!positions)
        return;
      mark(op, "it compares positions", true);
      followBackward(op->getOperands(), "it is compared as a position", light);
      return;
    }
    if (isa<TopkOp, ArgsortOp, ReduceArgmaxOp, ReduceArgminOp,
            NonMaximumSuppressionOp>(op) &&
        isFloat(op->getOperand(0))) {
      mark(op, "its order decides indices", true);
      followBackward(op->getOperands(), "its order decides indices", light);
      return;
    }
    if (isa<CumsumOp>(op) && isFloat(op->getResult(0))) {
      mark(op, "a running sum loses its small parts in fp16", true);
      followBackward(op->getOperands(), "a running sum adds it up", light);
      return;
    }
    if (auto log = dyn_cast<LogOp>(op)) {
      double epsilon = log.getEpsilon().convertToDouble();
      if (!(epsilon > 0 && epsilon < kSmallGuard) &&
          !isGuardedBySmall(log.getX()))
        return;
      mark(op, "the small numbers in front of its logarithm decide", true);
      followFrontEnd(log.getX(), "a logarithm tells its small values apart");
      return;
    }
    if (isa<ReduceSumOp>(op) && overflows(cast<ReduceSumOp>(op)))
      mark(op, "its sum may be beyond fp16", true);
    if (takesPartsOfInputs(op)) {
      mark(op, "it tells parts of an input apart, in units of their own", true);
      followBackward(
          op->getOperands(), "it goes with an input as it is",
          [](Operation *op) { return isMoving(op) || isDifference(op); });
      return;
    }
    if (hasVanishingFactor(op) || goesOnFromVanishing(op)) {
      vanishing.insert(op);
      mark(op, "fp16 cannot hold its constants", true);
      return;
    }
    if (hasLargeNumbers(op)) {
      mark(op, "fp16 cannot hold its constants", true);
      followBackward(op->getOperands(), "fp16 cannot hold what it goes with",
                     [](Operation *op) { return isMoving(op); });
    }
  }

  /// What is between an input and a difference of its numbers.
  static bool isDifference(Operation *op) {
    return isa<AddOp, SubOp, MaximumOp, MinimumOp, ReluOp, ClipOp>(op);
  }

  /// What a value is made of that only moves, and with `sums` adds, inputs.
  struct Made {
    llvm::SmallDenseSet<BlockArgument> inputs;
    /// Of parts of them (a column, the steps of a series); with a difference.
    bool ofParts = false, differs = false;
  };
  /// Nothing where anything else is between.
  std::optional<Made> findInputs(Value v, bool sums) const {
    Made made;
    SmallVector<Value> stack{v};
    llvm::DenseSet<Value> seen;
    while (!stack.empty()) {
      Value at = stack.pop_back_val();
      if (!seen.insert(at).second)
        continue;
      if (seen.size() > kMostSeen)
        return std::nullopt;
      if (auto argument = dyn_cast<BlockArgument>(at)) {
        made.inputs.insert(argument);
        continue;
      }
      Operation *op = at.getDefiningOp();
      if (isTree(at) && sums && uniform(at) == 0)
        continue; // max(0, ...)
      if (isTree(at) || !isFloat(at))
        return std::nullopt;
      if (isMoving(op))
        llvm::append_range(stack, isa<ConcatOp, StackOp>(op)
                                      ? ValueRange(op->getOperands())
                                      : op->getOperands().take_front());
      else if (sums && isDifference(op))
        llvm::append_range(stack, op->getOperands());
      else
        return std::nullopt;
      made.ofParts |= isa<SliceByIndexOp, SliceBySizeOp, SplitOp, GatherOp,
                          GatherAlongAxisOp>(op);
      made.differs |= isa<SubOp>(op);
    }
    return made;
  }
  /// The number that every element of a constant is.
  std::optional<float> uniform(Value v) const {
    auto constant = v.getDefiningOp<ConstantOp>();
    if (auto cast = v.getDefiningOp<CastOp>())
      constant = cast.getX().getDefiningOp<ConstantOp>();
    auto dense = constant ? dyn_cast<DenseFPElementsAttr>(constant.getValue())
                          : DenseFPElementsAttr();
    return dense && dense.isSplat()
               ? std::optional(
                     float(dense.getSplatValue<APFloat>().convertToDouble()))
               : std::nullopt;
  }

  /// A difference, quotient or product of few parts of an input (steps of a
  /// series, sides and areas of boxes, the length of a vector): what unit they
  /// have is not known here, and prices and pixels lose what is asked for in
  /// fp16.
  bool takesPartsOfInputs(Operation *op) {
    if (op->getNumResults() != 1 || !isHalf(op->getResult(0)) || !mayMark(op) ||
        !isSmall(typeOf(op->getResult(0))) ||
        llvm::any_of(op->getOperands(), [](Value v) {
          return !isFloat(v) || !isSmall(typeOf(v));
        }))
      return false;
    bool isPower =
        isa<SquareOp>(op) ||
        (isa<PowOp>(op) && uniform(op->getOperand(1)).value_or(0) >= 2);
    if (!isPower && !isa<SubOp, MulOp, RealDivOp>(op))
      return false;
    Value x = op->getOperand(0), y = op->getOperand(isPower ? 0 : 1);
    if (x == y && isa<SubOp, RealDivOp>(op))
      return false;
    auto left = findInputs(x, !isa<SubOp>(op)),
         right = findInputs(y, !isa<SubOp>(op));
    if (!left || !right || !(isa<SubOp>(op) || left->ofParts || right->ofParts))
      return false;
    return (isa<MulOp>(op) && (left->differs || right->differs)) ||
           llvm::any_of(left->inputs, [&](BlockArgument v) {
             return right->inputs.contains(v);
           });
  }

  /// The unit of `v`: what it was multiplied by since it was about 1, as it is
  /// behind layers. Nothing of large values of which nothing is known.
  std::optional<double> unitOf(Value v) {
    double unit = 1;
    for (Operation *op = v.getDefiningOp(); op && !isTree(op->getResult(0));
         op = op->getOperand(0).getDefiningOp()) {
      if (op->getNumOperands() == 0)
        break;
      bool isScale = isa<MulOp, RealDivOp>(op);
      if (!isScale && !isProduct(op) && !isMovement(op))
        return unit != 1 || isSmall(typeOf(v)) ||
                       isa<TanhOp, SigmoidOp, SoftmaxOp, ErfOp, LstmOp, GruOp>(
                           op)
                   ? std::optional(unit)
                   : std::nullopt;
      if (isMovement(op))
        continue;
      if (op->getNumOperands() < 2)
        return std::nullopt;
      auto factor = magnitudes(op->getOperand(1));
      if (!factor || factor->second == 0)
        return std::nullopt;
      unit *= isa<RealDivOp>(op) ? 1 / factor->second : factor->second;
      if (isProduct(op)) {
        // Terms of about the same size, of either sign.
        unit *= std::sqrt(double(countTerms(op)) / 3);
        break;
      }
    }
    return unit;
  }

  /// Zeros and one negative number, or what is infinite.
  static bool isMask(ArrayRef<double> numbers) {
    double mask = 0;
    bool only = true, any = false;
    for (double x : numbers) {
      if (!std::isfinite(x))
        return true;
      only &= x == 0 || (x < 0 && (mask == 0 || x == mask));
      mask = x < 0 ? x : mask;
      any |= x == 0;
    }
    return only && (any || mask <= -1e4);
  }

  /// The unit of each of `count` columns that `op` adds a number to: what they
  /// are multiplied by, or rows of a weight make of numbers about 1.
  std::vector<double> unitsOf(Operation *op, size_t count, double unit) {
    std::vector<double> units(count, unit);
    Operation *from = isProduct(op) ? op : op->getOperand(0).getDefiningOp();
    if (!from || !isa<ConvOp, LinearOp, MatmulOp, MulOp, RealDivOp>(from))
      return units;
    auto numbers = numbersOf(from->getOperand(1));
    if (!numbers || numbers->size() % count)
      return units;
    if (!isProduct(from)) {
      std::optional<double> inner = unitOf(from->getOperand(0));
      if (inner && numbers->size() == count)
        for (auto [own, factor] : llvm::zip(units, *numbers))
          own = *inner *
                (isa<MulOp>(from) ? std::fabs(factor) : 1 / std::fabs(factor));
      return units;
    }
    size_t terms = numbers->size() / count;
    auto matmul = dyn_cast<MatmulOp>(from);
    bool areColumns = matmul && !matmul.getTransposeY();
    for (size_t i = 0; i < count; ++i) {
      double sum = 0;
      for (size_t k = 0; k < terms; ++k) {
        double x = (*numbers)[areColumns ? k * count + i : i * terms + k];
        sum += x * x;
      }
      units[i] = std::sqrt(sum);
    }
    return units;
  }

  /// A result that varies little about a large number (a pressure in Pa, a
  /// year) has few steps of fp16 for what varies: the number is added in fp32.
  void keepOffset(Value result) {
    Value v = result;
    while (v.getDefiningOp() && !isTree(v) && isMovement(v.getDefiningOp()) &&
           !isa<SelectOp>(v.getDefiningOp()))
      v = v.getDefiningOp()->getOperand(0);
    Operation *op = v.getDefiningOp();
    if (!op || isTree(v) || !isHalf(v) || marked.count(op))
      return;
    keepUnit(isa<AddOp, SubOp>(op) ? op->getOperand(0) : v);
    // The last value of a series, and what a layer says of the next step.
    if (isa<AddOp>(op) && isSmall(typeOf(v)))
      for (unsigned i : {0u, 1u})
        if (auto made = findInputs(op->getOperand(i), false);
            made && made->ofParts && !isTree(op->getOperand(1 - i)) &&
            !findInputs(op->getOperand(1 - i), true))
          return mark(op, "it goes on from a part of an input", true);
    unsigned at = isa<AddOp, SubOp>(op) ? 1 : 2;
    if (!isa<AddOp, SubOp, ConvOp, LinearOp>(op) || op->getNumOperands() <= at)
      return;
    auto offsets = numbersOf(op->getOperand(at));
    auto unit = unitOf(at == 1 ? op->getOperand(0) : op->getResult(0));
    if (!offsets || !unit || isMask(*offsets))
      return;
    // A few columns have units of their own. Of many numbers all have to be
    // far: a grid of positions is what varies.
    size_t far = 0, counted = 0;
    for (auto [offset, own] :
         llvm::zip(*offsets, unitsOf(op, offsets->size(), *unit))) {
      counted += own > 0;
      // Where no unit is said, 1 is a guess.
      far += own > 0 && std::fabs(offset) >= kFewSteps * own &&
             (own != 1 || std::fabs(offset) >= kLeastOffset);
    }
    if (!far || (far < counted && offsets->size() > kFewColumns))
      return;
    if (at == 2 && !marked.count(op))
      op = splitBias(op);
    mark(op, "what it adds leaves few steps of fp16 for what varies", true);
    Operation *scale = op->getOperand(0).getDefiningOp();
    if (isa_and_nonnull<MulOp, RealDivOp>(scale) && scale->hasOneUse() &&
        isTree(scale->getOperand(1)))
      mark(scale, "it is a part of a sum in fp32", true);
  }

  /// A result in a unit that leaves fp16 (prices of houses, amperes of a
  /// nerve): what gives it that unit is computed in fp32 where it is little
  /// work.
  void keepUnit(Value v) {
    while (v.getDefiningOp() && !isTree(v) && isMovement(v.getDefiningOp()))
      v = v.getDefiningOp()->getOperand(0);
    Operation *op = v.getDefiningOp();
    if (!op || isTree(v) || !isHalf(v) ||
        (!isa<MulOp, RealDivOp>(op) && !isProduct(op)) || !mayMark(op))
      return;
    auto unit = unitOf(v);
    auto costed = dyn_cast<CostOpInterface>(op);
    if (!unit || *unit == 1 || !typeOf(v).hasStaticShape() || !costed ||
        costed.estimateCost(target).flops > kFewFlops)
      return;
    // Zeros times a negative number are a mask.
    std::optional<float> factor =
        isa<MulOp>(op) ? uniform(op->getOperand(1)) : std::nullopt;
    if (factor && *factor <= -1e4)
      return;
    if (*unit * kFourSigma >= 65504)
      mark(op, "its unit takes it beyond fp16", true);
    else if (*unit < 0x1p-14)
      mark(op, "its unit takes it below what fp16 tells apart", true);
    else
      return;
    // What a large factor shows is made in fp32, too, back to a layer.
    if (!isProduct(op))
      followBackward(op->getOperands().take_front(), "its unit shows it",
                     [](Operation *op) {
                       return isElementwise(op) &&
                              isSmall(typeOf(op->getResult(0)));
                     });
  }

  /// The sum that a product with a bias is.
  Operation *splitBias(Operation *product) {
    OpBuilder b(product);
    b.setInsertionPointAfter(product);
    Location loc = product->getLoc();
    Value bias = product->getOperand(2);
    auto type = typeOf(product->getResult(0));
    SmallVector<int64_t> shape(type.getRank(), 1);
    shape[isa<ConvOp>(product) ? 1 : type.getRank() - 1] =
        typeOf(bias).getNumElements();
    Value wide = ReshapeOp::create(
        b, loc, RankedTensorType::get(shape, typeOf(bias).getElementType()),
        bias, b.getDenseI64ArrayAttr(shape));
    trees.insert(wide.getDefiningOp());
    auto sum = AddOp::create(b, loc, type, product->getResult(0), wide);
    product->getResult(0).replaceAllUsesExcept(sum.getResult(), sum);
    product->eraseOperand(2);
    return sum;
  }

  /// A factor of few numbers that is zero in fp16: what it gives is found
  /// nowhere, or divides by zero.
  bool hasVanishingFactor(Operation *op) {
    if (!isa<MulOp, RealDivOp>(op) || !isHalf(op->getResult(0)) ||
        !isSmall(typeOf(op->getResult(0))))
      return false;
    // What is divided may vanish: the guard of a norm's safe form does.
    for (unsigned i = isa<RealDivOp>(op) ? 1 : 0; i < 2; ++i)
      if (auto size = isHalf(op->getOperand(i)) ? magnitudes(op->getOperand(i))
                                                : std::nullopt)
        return size->second > 0 && size->second < 0x1p-25;
    return false;
  }
  /// Arithmetic of such numbers with inputs (Horner's rule), until they have a
  /// size that fp16 knows.
  bool goesOnFromVanishing(Operation *op) {
    if (!isa<AddOp, SubOp, MulOp, RealDivOp>(op) || !isHalf(op->getResult(0)) ||
        !isSmall(typeOf(op->getResult(0))))
      return false;
    auto isOne = [&](Value v) {
      return v.getDefiningOp() && vanishing.contains(v.getDefiningOp());
    };
    SmallVector<Value> roots;
    return llvm::any_of(op->getOperands(), isOne) &&
           llvm::all_of(op->getOperands(), [&](Value v) {
             return isOne(v) || isTree(v) || findMoved(v, roots);
           });
  }

  /// A small op with quantities beyond fp16 beside an input, or beside such an
  /// op: scaled down they fit, but the input is as likely to be large as they
  /// are (a linear model with its bias).
  bool hasLargeNumbers(Operation *op) {
    if ((!isProduct(op) && !isa<AddOp, SubOp, MulOp>(op)) ||
        op->getNumResults() != 1 || !isHalf(op->getResult(0)))
      return false;
    SmallVector<Value> roots;
    if (!llvm::all_of(op->getOperands(), [&](Value v) {
          return isTree(v) || findMoved(v, roots) ||
                 marked.count(v.getDefiningOp());
        }))
      return false;
    auto type = typeOf(op->getResult(0));
    auto costed = dyn_cast<CostOpInterface>(op);
    if (!type.hasStaticShape() || type.getNumElements() > kFewElements ||
        !costed || costed.estimateCost(target).flops > kFewFlops)
      return false;
    for (Value v : op->getOperands()) {
      if (!isHalf(v) || !isTree(v) || !typeOf(v).hasStaticShape() ||
          typeOf(v).getNumElements() > (1 << 16))
        continue;
      FailureOr<Tensor> tensor = constants.evaluate(v);
      constants.clear();
      if (failed(tensor) || !tensor->isFloat())
        continue;
      Tensor unpacked = tensor->unpacked();
      // A negative number alone, or beside zeros, is a mask.
      bool beyond = false, isMask = true;
      float mask = 0;
      for (float x : unpacked.floats()) {
        beyond |= std::fabs(x) >= 65520 && std::fabs(x) < kInfinite;
        isMask &= x == 0 || (x < 0 && (mask == 0 || x == mask));
        mask = x < 0 ? x : mask;
      }
      if (beyond && (!isMask || isProduct(op)))
        return true;
    }
    return false;
  }

  /// The neighbour of fp16 that a value of fp16 is on the same side of as of
  /// `limit`: of a whole number and a limit beside it, rounding to it would
  /// change the answer. Other values are as likely the limit itself, which
  /// rounds as they do.
  static float roundLimit(float limit, bool up) {
    float nearest = roundTo(DType::Float16, limit);
    bool isWhole = std::fabs(nearest) <= kExactInteger &&
                   nearest == std::trunc(nearest) && limit != std::trunc(limit);
    if (!isWhole || (up ? nearest >= limit : nearest <= limit))
      return nearest;
    if (nearest == 0)
      return up ? kSmallGuard : -kSmallGuard;
    // One step of fp16, which has ten bits behind the first.
    float step = std::ldexp(1.0f, std::ilogb(nearest) - 10);
    bool grows = up == (nearest > 0);
    // Below a power of two steps are half as large.
    if (!grows && std::fabs(nearest) == std::ldexp(1.0f, std::ilogb(nearest)))
      step /= 2;
    return nearest + (up ? step : -step);
  }

  /// Constants that what stays fp16 is compared with.
  void roundLimits() {
    for (Operation &op : llvm::make_early_inc_range(block)) {
      if (!isa<GreaterOp, GreaterEqualOp, LessOp, LessEqualOp>(op) ||
          marked.count(&op) || trees.contains(&op))
        continue;
      for (unsigned i : {0u, 1u}) {
        Value limit = op.getOperand(i);
        if (!isHalf(limit) || !isTree(limit) ||
            !typeOf(limit).hasStaticShape() ||
            typeOf(limit).getNumElements() > (1 << 20))
          continue;
        // x <= limit and x > limit turn behind it, x < limit before it.
        bool up = isa<LessOp, GreaterEqualOp>(op);
        if (i == 0) // limit < x is x > limit
          up = isa<GreaterOp, LessEqualOp>(op);
        FailureOr<Tensor> tensor = constants.evaluate(limit);
        constants.clear();
        if (failed(tensor) || !tensor->isFloat())
          continue;
        Tensor rounded(DType::Float16, tensor->shape());
        bool differs = false;
        Tensor unpacked = tensor->unpacked();
        for (auto [to, from] :
             llvm::zip(rounded.mutableFloats(), unpacked.floats())) {
          to = std::isfinite(from) ? roundLimit(from, up) : from;
          differs |= std::isfinite(from) && to != roundTo(DType::Float16, from);
        }
        if (!differs)
          continue;
        OpBuilder b(&op);
        auto elements = rounded.toElements(op.getContext());
        Value constant =
            ConstantOp::create(b, op.getLoc(), typeOf(limit), elements);
        trees.insert(constant.getDefiningOp());
        op.setOperand(i, constant);
      }
    }
  }

  /// What the value is moved from: inputs and constants. False where more than
  /// that, with `scaled` more than arithmetic on single elements, is between.
  bool findMoved(Value v, SmallVectorImpl<Value> &roots,
                 bool scaled = false) const {
    SmallVector<Value> stack{v};
    llvm::DenseSet<Value> seen;
    while (!stack.empty()) {
      Value at = stack.pop_back_val();
      Operation *op = at.getDefiningOp();
      if (!seen.insert(at).second)
        continue;
      if (!op || isTree(at))
        roots.push_back(at);
      else if (isMoving(op))
        llvm::append_range(stack, isa<ConcatOp, StackOp>(op)
                                      ? ValueRange(op->getOperands())
                                      : op->getOperands().take_front());
      else if (scaled && isElementwise(op) && mayMark(op))
        llvm::append_range(stack, op->getOperands());
      else
        return false;
    }
    return true;
  }
  static bool isMoving(Operation *op) {
    return (isMovement(op) && !isa<SelectOp>(op)) ||
           isa<GatherOp, GatherAlongAxisOp>(op);
  }

  /// Numbers of which fp16 holds one at least as another, and not one for many
  /// elements: those of a tree, that stand between what it was trained on.
  bool areSplits(Value tree, Value x) {
    if (!typeOf(tree).hasStaticShape())
      return false;
    FailureOr<Tensor> tensor = constants.evaluate(tree);
    constants.clear();
    if (failed(tensor) || !tensor->isFloat())
      return false;
    Tensor unpacked = tensor->unpacked();
    ArrayRef<float> numbers = unpacked.floats();
    auto type = typeOf(x);
    bool isOneForMany =
        llvm::all_equal(numbers) && !(type.getRank() <= 2 && isSmall(type));
    return !isOneForMany && llvm::any_of(numbers, [](float x) {
      return std::isfinite(x) && roundTo(DType::Float16, x) != x;
    });
  }

  static bool isSmall(RankedTensorType type) {
    return type.hasStaticShape() && type.getNumElements() <= kFewElements;
  }

  /// An input beside numbers that fp16 rounds, or beside itself; of a table
  /// also what scalers and the like make of it.
  bool comparesInput(Operation *op) {
    SmallVector<Value> roots;
    Value x = op->getOperand(0), y = op->getOperand(1);
    bool scaled = isFloat(x) && isSmall(typeOf(x));
    if (!isFloat(x) || !findMoved(x, roots, scaled) ||
        !findMoved(y, roots, scaled) ||
        llvm::none_of(roots, [](Value v) { return isa<BlockArgument>(v); }))
      return false;
    auto moving = [&](Operation *op) {
      return isMoving(op) || (scaled && isElementwise(op));
    };
    if (x == y) {
      mark(op, "the engine does not tell NaN from a number", true);
      followBackward(op->getOperands(), "it is asked whether it is NaN",
                     moving);
      return true;
    }
    for (Value root : roots)
      if (isTree(root) && areSplits(root, x)) {
        mark(op, "it is an input beside numbers that fp16 rounds", true);
        followBackward(op->getOperands(),
                       "it is compared with numbers that fp16 rounds", moving);
        return true;
      }
    return false;
  }

  /// Is the sum of numbers of a known size beyond what fp16 counts?
  bool overflows(ReduceSumOp op) {
    auto x = typeOf(op.getX()), y = typeOf(op.getY());
    if (!isHalf(op.getX()) || !x.hasStaticShape() || !y.hasStaticShape() ||
        y.getNumElements() == 0)
      return false;
    Value v = op.getX();
    while (v.getDefiningOp() && isMovement(v.getDefiningOp()) &&
           !isa<SelectOp>(v.getDefiningOp()))
      v = v.getDefiningOp()->getOperand(0);
    auto cast = v.getDefiningOp<CastOp>();
    bool counts = cast && typeOf(cast.getX()).getElementType().isInteger(1);
    return counts &&
           double(x.getNumElements() / y.getNumElements()) > kExactInteger;
  }

  /// Whether it is, possibly negated or moved, a marked question for NaN.
  bool asksForNaN(Value v) const {
    Operation *op = v.getDefiningOp();
    while (op && (isa<LogicalNotOp, CastOp>(op) || isMovement(op)))
      op = op->getOperand(0).getDefiningOp();
    return op && isComparison(op) && marked.count(op) &&
           op->getOperand(0) == op->getOperand(1);
  }

  /// What such values alone decide is as exact as they are.
  void followForward() {
    for (Operation &op : block) {
      if (trees.contains(&op) || marked.count(&op) || !isLight(&op) ||
          isa<TopkOp>(&op))
        continue;
      bool any = false, all = true;
      Reason reason;
      for (Value v : op.getOperands()) {
        // What is 0 or 1 is exact wherever it is.
        auto flag = v.getDefiningOp<CastOp>();
        if (!isFloat(v) || isTree(v) ||
            (flag && typeOf(flag.getX()).getElementType().isInteger(1)))
          continue;
        auto it =
            v.getDefiningOp() ? marked.find(v.getDefiningOp()) : marked.end();
        all &= it != marked.end();
        if (it != marked.end()) {
          any = true;
          reason = it->second;
        }
      }
      // What takes the place of NaN does so where NaN is seen.
      if (auto select = dyn_cast<SelectOp>(op);
          select && asksForNaN(select.getCond())) {
        mark(&op, "it takes the place of NaN", true);
        continue;
      }
      // A comparison must see the same position as the integer beside it.
      if (any && (all || isComparison(&op)))
        mark(&op, reason, true);
    }
  }

  /// What others read too is computed twice, so that the engine does not wait
  /// for the host.
  void copyShared() {
    SmallVector<Operation *> order;
    for (Operation &op : block)
      if (marked.count(&op))
        order.push_back(&op);
    for (Operation *op : llvm::reverse(order)) {
      if (sinks.contains(op))
        continue;
      SmallVector<OpOperand *> inside;
      bool others = false;
      for (OpOperand &use : op->getUses()) {
        if (marked.count(use.getOwner()))
          inside.push_back(&use);
        else
          others = true;
      }
      if (!others)
        continue;
      // What is computed from marked values only is theirs anyway.
      bool fromMarked = false;
      for (Value v : op->getOperands())
        fromMarked |= v.getDefiningOp() && sinks.contains(v.getDefiningOp());
      if (fromMarked)
        continue;
      OpBuilder b(op);
      b.setInsertionPointAfter(op);
      Operation *copy = b.clone(*op);
      for (OpOperand *use : inside)
        use->set(copy->getResult(cast<OpResult>(use->get()).getResultNumber()));
      Reason reason = marked.lookup(op);
      marked.erase(op);
      marked.insert({copy, reason});
    }
  }

  Block &block;
  const Target &target;
  llvm::DenseSet<Operation *> trees;
  EvalContext evaluation;
  ConstantEvaluator constants;
  llvm::MapVector<Operation *, Reason> marked;
  llvm::DenseSet<Operation *> sinks;
  /// Made with factors that are zero in fp16.
  llvm::DenseSet<Operation *> vanishing;
};

struct KeepFP32 : ane::impl::KeepFP32PassBase<KeepFP32> {
  using KeepFP32PassBase::KeepFP32PassBase;
  void runOnOperation() override {
    for (func::FuncOp function : findFunctions(getOperation()))
      numMarked += Slices(function).run();
  }
};
} // namespace
