//===- RepairFP16.cpp - values that fp16 and the engine cannot hold -------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// Every value v gets an exponent e and is stored as v * 2^-e, which is exact.
// Exponents are 0 but where a result, or a partial sum inside of a product,
// would be too large (L60, L62) or too small (L61). One walk in program order:
// ops that are homogeneous carry the exponent of their operands on, products
// add them, constant weights absorb them, normalisations lose them, and where
// an op can do none of that its operand is multiplied back. So a residual
// stream beyond 65504 stays scaled down until the norm that reads it. Masks are
// the business of RepairMasks.cpp.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Analysis/Placement.h"
#include "ane-mlir/Interpreter/Interpreter.h"
#include "ane-mlir/Transforms/Passes.h"
#include "dialects/ANE/IR/Activation.h"
#include "dialects/ANE/IR/Arithmetic.h"
#include "dialects/ANE/IR/Cast.h"
#include "dialects/ANE/IR/Comparison.h"
#include "dialects/ANE/IR/Gather.h"
#include "dialects/ANE/IR/Image.h"
#include "dialects/ANE/IR/Linear.h"
#include "dialects/ANE/IR/Norm.h"
#include "dialects/ANE/IR/Pool.h"
#include "dialects/ANE/IR/Rearrange.h"
#include "dialects/ANE/IR/Reduction.h"
#include "dialects/ANE/IR/Shape.h"
#include "dialects/ANE/IR/Structure.h"
#include "dialects/ANE/IR/Trigonometry.h"
#include "dialects/ANE/IR/Unary.h"
#include "dialects/ANE/IR/WeightTrees.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/Format.h"
#include <cmath>

using namespace mlir;
using namespace mlir::ane;

namespace mlir::ane {
#define GEN_PASS_DEF_REPAIRFP16PASS
#include "ane-mlir/Transforms/Passes.h.inc"
} // namespace mlir::ane

namespace {

constexpr double kLargest = 65504;
/// A stored value above these may overflow on data that was not seen; where a
/// scale is needed the value comes down to kCool. Partial sums overflow at 2^15
/// (L60), results at 65504 (L62).
constexpr double kHotResult = 32768, kHotPartial = 16384, kCool = 8192;
/// Where scaling up brings partial sums: what was seen may be 32 times as large
/// on other data, and sums this large hold products of 2^-14 of them.
constexpr double kWarm = 1024;
/// Of one factor: powers of two beyond are no fp16 numbers.
constexpr int kMostStep = 14;
/// What needs a larger exponent is a mask or saturates by design; scaled down
/// by as much, everything beside it would vanish.
constexpr int kMostExponent = 16;
/// Relative error of the engine's product against fp32, from which scaling up
/// is tried (L61).
constexpr double kVanishing = 0.01;

bool isHalf(Value v) {
  auto type = dyn_cast<RankedTensorType>(v.getType());
  return type && type.getElementType().isF16();
}

Value splat(OpBuilder &b, Location loc, double value) {
  auto type = RankedTensorType::get({}, b.getF16Type());
  APFloat number(value);
  bool lossy;
  number.convert(APFloat::IEEEhalf(), APFloat::rmNearestTiesToEven, &lossy);
  return ConstantOp::create(b, loc, type, DenseElementsAttr::get(type, number));
}

Value clamp(OpBuilder &b, Value v) {
  return ClipOp::create(b, v.getLoc(), v.getType(), v,
                        b.getF32FloatAttr(-kLargest),
                        b.getF32FloatAttr(kLargest));
}

//===----------------------------------------------------------------------===//
// Exponents
//===----------------------------------------------------------------------===//

/// The largest magnitude that is known without looking at data.
std::optional<double>
findBound(Operation *op, llvm::function_ref<std::optional<double>(Value)> of) {
  return llvm::TypeSwitch<Operation *, std::optional<double>>(op)
      .Case<SoftmaxOp, SigmoidOp, TanhOp, ErfOp, SigmoidHardOp, SoftsignOp,
            SinOp, CosOp, SignOp>([](auto) { return 1.0; })
      .Case([](Relu6Op) { return 6.0; })
      .Case([](ClipOp clip) {
        return std::max(std::fabs(clip.getAlpha().convertToDouble()),
                        std::fabs(clip.getBeta().convertToDouble()));
      })
      .Case<AddOp, SubOp, MulOp>([&](auto op) -> std::optional<double> {
        Value a = op.getX(), b = op.getY();
        if (isConstantTree(a)) // the other one tells whether it matters
          std::swap(a, b);
        std::optional<double> x = of(a), y = x ? of(b) : std::nullopt;
        if (!y)
          return std::nullopt;
        return isa<MulOp>(op) ? *x * *y : *x + *y;
      })
      .Case<ReluOp, AbsOp, ReshapeOp, TransposeOp, SliceByIndexOp, ReduceMeanOp,
            ReduceMaxOp>(
          [&](Operation *same) { return of(same->getOperand(0)); })
      .Default([](Operation *) { return std::nullopt; });
}

class Exponents {
public:
  explicit Exponents(MLIRContext *context)
      : builder(context), evaluation(context, Numerics::Float32),
        constants(evaluation) {}

  void visit(Operation *op);
  void visitReturn(Operation *op) {
    builder.setInsertionPoint(op);
    for (OpOperand &operand : op->getOpOperands()) {
      Value stored = operand.get();
      setAt(operand, 0);
      // What is scaled back here may be beyond fp16, as no sample has to show.
      std::optional<double> most = peak(stored);
      if (operand.get() != stored && !isConstantTree(stored) && most &&
          *most > kLargest && std::isfinite(*most))
        operand.get().getDefiningOp()->setAttr(
            marks::kFp32, builder.getStringAttr("fp16 cannot hold its result"));
    }
  }
  unsigned scaled = 0;

private:
  int exponent(Value v) const { return exponents.lookup(v); }
  /// The largest magnitude of `v` itself, not as stored; nothing when unknown.
  std::optional<double> peak(Value v) {
    if (auto it = peaks.find(v); it != peaks.end())
      return it->second;
    std::optional<double> found;
    if (isConstantTree(v)) {
      if (FailureOr<Tensor> tensor = constants.evaluate(v);
          succeeded(tensor) && tensor->isFloat()) {
        found = 0;
        for (float x : tensor->floats()) // as they are stored
          found = std::min<double>(std::max<double>(*found, std::fabs(x)),
                                   kLargest);
      }
      constants.clear();
    }
    return peaks[v] = found;
  }
  bool fits(Value v, int e) {
    std::optional<double> most = peak(v);
    return !most || std::ldexp(*most, -e) <= kHotResult || e >= exponent(v);
  }
  /// The exponent that `most` needs when it must stay below `hot`; `natural`
  /// when that is enough.
  static int needed(double most, double hot, int natural) {
    if (!(std::ldexp(most, -natural) > hot) || !std::isfinite(most))
      return natural;
    int exponent = std::ceil(std::log2(most / kCool));
    return exponent > kMostExponent ? natural : exponent;
  }
  /// `v` stored with exponent `e`.
  Value at(Value v, int e) {
    int step = exponent(v) - e;
    if (step == 0 || !isHalf(v))
      return v;
    Value &known = versions[{v, e}];
    if (!known) {
      if (!isConstantTree(v))
        ++scaled;
      if (Value number = scaleNumber(v, step)) {
        known = number;
      } else {
        known = v;
        for (int left = step; left != 0;) {
          int now = std::clamp(left, -kMostStep, kMostStep);
          known =
              MulOp::create(builder, v.getLoc(), v.getType(), known,
                            splat(builder, v.getLoc(), std::ldexp(1.0, now)));
          left -= now;
        }
      }
      exponents[known] = e;
      if (std::optional<double> most = peak(v))
        peaks[known] = *most;
    }
    return known;
  }
  /// A constant number times 2^step, but not 0: epsilons keep their purpose.
  Value scaleNumber(Value v, int step) {
    if (!isConstantTree(v) ||
        cast<RankedTensorType>(v.getType()).getNumElements() != 1)
      return {};
    FailureOr<Tensor> tensor = constants.evaluate(v);
    constants.clear();
    if (failed(tensor))
      return {};
    double number = tensor->floats()[0];
    double wanted = std::ldexp(number, step), least = std::ldexp(1.0, -24);
    if (number != 0 && std::fabs(wanted) < least)
      wanted = std::copysign(least, number);
    // Rounded once, where it is written: an op may yet be kept in fp32.
    auto type = cast<RankedTensorType>(v.getType());
    auto wide = type.clone(builder.getF32Type());
    Value constant = ConstantOp::create(
        builder, v.getLoc(), wide,
        DenseElementsAttr::get(wide, APFloat(float(wanted))));
    return CastOp::create(builder, v.getLoc(), type, constant,
                          TypeAttr::get(type.getElementType()));
  }
  void setAt(OpOperand &operand, int e) { operand.set(at(operand.get(), e)); }
  void setResult(Operation *op, int e) {
    for (Value result : op->getResults())
      if (isHalf(result))
        exponents[result] = e;
  }
  double resultPeak(Operation *op) {
    double most = 0;
    for (Value result : op->getResults())
      most = std::max(most, peak(result).value_or(0));
    return most;
  }

  void visitHomogeneous(Operation *op, ArrayRef<unsigned> operands);
  void visitPower(Operation *op, int numerator, int denominator);
  void visitProduct(Operation *op);
  void visitWeighted(Operation *op, OpOperand &x, OpOperand &weight,
                     OpOperand *bias);
  void visitQuotient(RealDivOp op);
  void note(Operation *op, StringRef rule, double most, int e);
  /// Epsilon beside a square stored with exponent `e`; never 0 in fp16.
  FloatAttr scaleEpsilon(double epsilon, int e) {
    double least = std::ldexp(1.0, -24);
    return builder.getF32FloatAttr(float(
        epsilon > least ? std::max(std::ldexp(epsilon, -e), least) : epsilon));
  }
  /// The exponent a product's result should have, from its sums; negative where
  /// scaling up saves products that would vanish.
  int chooseForProduct(Operation *op, double &largest, StringRef &rule);
  /// Returns to exponent 0 behind a product that was scaled up.
  void restore(Operation *op);

  OpBuilder builder;
  EvalContext evaluation;
  ConstantEvaluator constants;
  /// A bound that follows from the ops needs no margin.
  double hotResult = kHotResult;
  llvm::DenseMap<Value, int> exponents;
  llvm::DenseMap<Value, std::optional<double>> peaks;
  llvm::DenseMap<std::pair<Value, int>, Value> versions;
};

void Exponents::note(Operation *op, StringRef rule, double most, int e) {
  std::string text;
  llvm::raw_string_ostream(text)
      << rule << ": "
      << (rule == "L60"   ? "partial sums reach "
          : rule == "L61" ? "small products vanish, partial sums reach "
                          : "results reach ")
      << llvm::format("%.4g", most) << "; stored times 2^" << -e;
  op->setAttr(marks::kRepair, builder.getStringAttr(text));
}

/// f(2^-e x) = 2^-e f(x) in all of `operands` together.
void Exponents::visitHomogeneous(Operation *op, ArrayRef<unsigned> operands) {
  std::optional<int> natural;
  for (unsigned i : operands)
    if (Value v = op->getOperand(i); isHalf(v) && !isConstantTree(v))
      natural = std::max(natural.value_or(exponent(v)), exponent(v));
  double most = resultPeak(op);
  int e = needed(most, hotResult, natural.value_or(0));
  // A negative exponent goes on where it costs nothing.
  if (operands.size() > 1)
    e = std::max(e, 0);
  if (e > natural.value_or(0))
    note(op, "L62", most, e);
  for (unsigned i : operands)
    setAt(op->getOpOperand(i), e);
  setResult(op, e);
}

/// x^(numerator / denominator); other operands stay.
void Exponents::visitPower(Operation *op, int numerator, int denominator) {
  OpOperand &x = op->getOpOperand(0);
  int e = exponent(x.get());
  double most = resultPeak(op);
  int wanted = needed(most, hotResult, e * numerator / denominator);
  if (wanted != e * numerator / denominator && numerator > 0) {
    note(op, "L62", most, wanted);
    e = (wanted * denominator + numerator - 1) / numerator;
  }
  if (e % denominator)
    e += 1;
  setAt(x, e);
  if (auto epsilon = op->getAttrOfType<FloatAttr>("epsilon"))
    op->setAttr("epsilon", scaleEpsilon(epsilon.getValueAsDouble(), e));
  setResult(op, e * numerator / denominator);
}

int Exponents::chooseForProduct(Operation *op, double &largest,
                                StringRef &rule) {
  auto number = [&](StringRef name) {
    auto attr = op->getAttrOfType<FloatAttr>(name);
    return attr ? attr.getValueAsDouble() : 0;
  };
  double result = resultPeak(op), sum = number(marks::kPartial);
  int forSum = needed(sum, kHotPartial, 0);
  int e = std::max(needed(result, hotResult, 0), forSum);
  rule = forSum > 0 ? "L60" : "L62";
  largest = forSum > 0 ? sum : result;
  if (e == 0 && number(marks::kEngineError) > kVanishing && sum > 0 &&
      sum < kWarm / 2) {
    rule = "L61";
    largest = sum;
    e = -std::min<int>(10, std::floor(std::log2(kWarm / sum)));
  }
  return e;
}

void Exponents::restore(Operation *op) {
  builder.setInsertionPointAfter(op);
  Value result = op->getResult(0);
  Value plain = at(result, 0);
  result.replaceAllUsesExcept(plain, plain.getDefiningOp());
}

/// x * y in some sense, neither of them a convolution's weight.
void Exponents::visitProduct(Operation *op) {
  OpOperand &x = op->getOpOperand(0), &y = op->getOpOperand(1);
  double largest;
  StringRef rule;
  int e = chooseForProduct(op, largest, rule);
  int natural = exponent(x.get()) + exponent(y.get());
  if (x.get() == y.get() && natural != e) {
    int half = e > 0 ? (e + 1) / 2 : e / 2;
    if (!fits(x.get(), half))
      half = exponent(x.get());
    setAt(x, half);
    y.set(x.get());
    e = 2 * half;
  } else if (natural != e) {
    // Large operands come down, small ones go up.
    int toX = exponent(x.get()) + e - natural,
        toY = exponent(y.get()) + e - natural;
    bool canX = fits(x.get(), toX), canY = fits(y.get(), toY);
    double sizeX = peak(x.get()).value_or(1), sizeY = peak(y.get()).value_or(1);
    bool preferY = isConstantTree(y.get())   ? std::ldexp(sizeY, -toY) > 1e-2
                   : isConstantTree(x.get()) ? std::ldexp(sizeX, -toX) < 1e-2
                                             : (sizeY > sizeX) == (e > natural);
    if (canY && (preferY || !canX))
      setAt(y, toY);
    else if (canX)
      setAt(x, toX);
    else
      e = natural;
  }
  if ((e > natural && e > 0) || (e < 0 && rule == "L61"))
    note(op, rule, largest, e);
  setResult(op, e);
  if (e < 0 && rule == "L61")
    restore(op);
}

/// Convolutions and products with a constant: its copy takes the scale.
void Exponents::visitWeighted(Operation *op, OpOperand &x, OpOperand &weight,
                              OpOperand *bias) {
  double largest;
  StringRef rule;
  int e = chooseForProduct(op, largest, rule);
  int natural = exponent(x.get());
  if (natural != e) {
    // The side that is large comes down, the one that is small goes up.
    double data = std::ldexp(peak(x.get()).value_or(1), -natural);
    if (e > natural ? data > 64 : data < 1 && fits(x.get(), e))
      setAt(x, e);
    else
      weight.set(at(weight.get(), e - natural));
  }
  if (bias)
    setAt(*bias, e);
  if (e != 0)
    note(op, rule, largest, e);
  setResult(op, e);
  if (e < 0)
    restore(op);
}

void Exponents::visitQuotient(RealDivOp op) {
  OpOperand &x = op.getXMutable(), &y = op.getYMutable();
  double most = resultPeak(op);
  int natural = exponent(x.get()) - exponent(y.get()),
      e = needed(most, hotResult, 0);
  if (natural != e) {
    int toX = e + exponent(y.get()), toY = exponent(x.get()) - e;
    if (fits(x.get(), toX))
      setAt(x, toX);
    else if (fits(y.get(), toY))
      setAt(y, toY);
    else
      e = natural;
  }
  if (e > 0 && e != natural)
    note(op, "L62", most, e);
  setResult(op, e);
}

void Exponents::visit(Operation *op) {
  if (op->getNumResults() == 0 || isConstantTree(op->getResult(0)))
    return;
  builder.setInsertionPoint(op);
  // Computed in fp32, or compared with something as it is.
  if (op->hasAttr(marks::kFp32)) {
    for (OpOperand &operand : op->getOpOperands())
      if (!isConstantTree(operand.get()))
        setAt(operand, 0);
    return;
  }
  auto measured = op->getAttrOfType<DenseF32ArrayAttr>(marks::kPeak);
  hotResult = measured ? kHotResult : kLargest;
  for (auto [i, result] : llvm::enumerate(op->getResults()))
    if (measured && i < size_t(measured.size()))
      peaks[result] = measured[i];
    else if (!measured)
      peaks[result] = findBound(op, [&](Value v) { return peak(v); });

  llvm::TypeSwitch<Operation *>(op)
      .Case<AddOp, SubOp, MaximumOp, MinimumOp, ConcatOp, StackOp>([&](auto) {
        visitHomogeneous(
            op, llvm::to_vector(llvm::seq<unsigned>(op->getNumOperands())));
      })
      .Case([&](SelectOp) { visitHomogeneous(op, {1, 2}); })
      .Case<SplitOp, SliceByIndexOp, SliceBySizeOp, ReshapeOp, TransposeOp,
            SqueezeOp, ExpandDimsOp, Flatten2dOp, ReluOp, AbsOp, LeakyReluOp,
            PreluOp, ReduceSumOp, ReduceMeanOp, ReduceMaxOp, ReduceMinOp,
            ReduceL1NormOp, ReduceL2NormOp, IdentityOp, AvgPoolOp, MaxPoolOp,
            L2PoolOp, UpsampleNearestNeighborOp, ResizeNearestNeighborOp,
            ResizeBilinearOp, TileOp, ReverseOp, DepthToSpaceOp, SpaceToDepthOp,
            PixelShuffleOp, PixelUnshuffleOp, SlidingWindowsOp, GatherOp,
            BandPartOp>([&](auto) { visitHomogeneous(op, {0}); })
      .Case([&](PadOp pad) {
        visitHomogeneous(op, {0});
        pad.setConstantValAttr(builder.getF32FloatAttr(
            float(std::ldexp(pad.getConstantVal().convertToDouble(),
                             -exponent(pad.getResult())))));
      })
      .Case([&](ClipOp clip) {
        // Its bounds are the remedy, not the trouble.
        if (exponent(clip.getX()) == 0)
          return;
        visitHomogeneous(op, {0});
        int e = exponent(clip.getResult());
        auto scale = [&](APFloat v) {
          return builder.getF32FloatAttr(
              float(std::ldexp(v.convertToDouble(), -e)));
        };
        clip.setAlphaAttr(scale(clip.getAlpha()));
        clip.setBetaAttr(scale(clip.getBeta()));
      })
      .Case<SquareOp, ReduceSumSquareOp>([&](auto) { visitPower(op, 2, 1); })
      .Case([&](SqrtOp) { visitPower(op, 1, 2); })
      .Case([&](RsqrtOp) { visitPower(op, -1, 2); })
      .Case([&](InverseOp) { visitPower(op, -1, 1); })
      .Case([&](PowOp pow) {
        std::optional<double> power;
        if (isConstantTree(pow.getY()) &&
            cast<RankedTensorType>(pow.getY().getType()).getNumElements() == 1)
          if (FailureOr<Tensor> tensor = constants.evaluate(pow.getY());
              succeeded(tensor))
            power = tensor->floats()[0];
        if (power == 2)
          visitPower(op, 2, 1);
        else if (power == 0.5)
          visitPower(op, 1, 2);
        else if (power == -0.5)
          visitPower(op, -1, 2);
        else if (power == -1)
          visitPower(op, -1, 1);
        else
          setAt(op->getOpOperand(0), 0);
      })
      .Case<LayerNormOp, InstanceNormOp, L2NormOp>([&](auto norm) {
        // The same for every scale of the operand, but for epsilon.
        norm.setEpsilonAttr(scaleEpsilon(norm.getEpsilon().convertToDouble(),
                                         2 * exponent(norm.getX())));
      })
      .Case<ConvOp, ConvTransposeOp>([&](auto conv) {
        auto bias = conv.getBiasMutable();
        if (isConstantTree(conv.getWeight()))
          visitWeighted(op, op->getOpOperand(0), op->getOpOperand(1),
                        bias.empty() ? nullptr : &bias[0]);
        else
          for (OpOperand &operand : op->getOpOperands())
            setAt(operand, 0);
      })
      .Case([&](MatmulOp product) {
        if (isConstantTree(product.getY()))
          visitWeighted(op, op->getOpOperand(0), op->getOpOperand(1), nullptr);
        else if (isConstantTree(product.getX()))
          visitWeighted(op, op->getOpOperand(1), op->getOpOperand(0), nullptr);
        else
          visitProduct(op);
      })
      .Case([&](MulOp) { visitProduct(op); })
      .Case([&](RealDivOp quotient) { visitQuotient(quotient); })
      .Case<GreaterOp, GreaterEqualOp, LessOp, LessEqualOp, EqualOp,
            NotEqualOp>([&](auto) {
        int e =
            std::max(exponent(op->getOperand(0)), exponent(op->getOperand(1)));
        for (OpOperand &operand : op->getOpOperands())
          setAt(operand, e);
      })
      .Case([&](SignOp) {})
      .Case<SoftmaxOp, ReduceLogSumExpOp>([&](auto) {
        OpOperand &x = op->getOpOperand(0);
        bool large = !fits(x.get(), 0) || std::isinf(peak(x.get()).value_or(0));
        setAt(x, 0);
        if (large)
          x.set(clamp(builder, x.get()));
      })
      .Default([&](Operation *) {
        for (OpOperand &operand : op->getOpOperands())
          if (!isConstantTree(operand.get()))
            setAt(operand, 0);
      });
}

struct RepairFP16 : ane::impl::RepairFP16PassBase<RepairFP16> {
  using RepairFP16PassBase::RepairFP16PassBase;

  void runOnOperation() override {
    for (func::FuncOp function : findFunctions(getOperation())) {
      Block &block = function.getBody().front();
      WeightTrees trees;
      Exponents exponents(&getContext());
      for (Operation &op : llvm::make_early_inc_range(block)) {
        if (op.hasTrait<OpTrait::IsTerminator>())
          exponents.visitReturn(&op);
        else
          exponents.visit(&op);
        for (StringRef name :
             {marks::kPeak, marks::kPartial, marks::kEngineError})
          op.removeAttr(name);
      }
      numScaled += exponents.scaled;
    }
  }
};
} // namespace
