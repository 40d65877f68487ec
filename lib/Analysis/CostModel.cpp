//===- CostModel.cpp - predicted time of engine programs ------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// t = floor + sum over ops of arithmetic + weights (engine/cost.md §5.9), the
// floor being that of the door. Few positions leave the multipliers idle, 3x3
// convolutions need fewer multiplications, quantised activations run at twice
// the rate in deep programs. What follows a convolution as its scale, bias,
// activation or residual is free; other ops have a rate of elements by kind;
// copies and what exceeds on-chip memory go by bytes.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Analysis/CostModel.h"
#include "ane-mlir/Analysis/SurfaceOrder.h"
#include "dialects/ANE/IR/Activation.h"
#include "dialects/ANE/IR/Arithmetic.h"
#include "dialects/ANE/IR/Cast.h"
#include "dialects/ANE/IR/Linear.h"
#include "dialects/ANE/IR/Norm.h"
#include "dialects/ANE/IR/Pool.h"
#include "dialects/ANE/IR/Quant.h"
#include "dialects/ANE/IR/Shape.h"
#include "dialects/ANE/IR/Structure.h"
#include "dialects/ANE/IR/Unary.h"
#include "dialects/ANE/IR/WeightTrees.h"
#include <cmath>

using namespace mlir;
using namespace mlir::ane;

Prediction &Prediction::operator+=(const Prediction &other) {
  dispatch += other.dispatch;
  compute += other.compute;
  weights += other.weights;
  vector += other.vector;
  move += other.move;
  surfaces += other.surfaces;
  return *this;
}

/// Part of the peak rate at this many positions: constant up to 64, then linear
/// in the logarithm through 1024 to 4096.
static double efficiency(double positions, const Target &target) {
  double narrow = target.cost(CostId::NarrowEfficiency),
         middle = target.cost(CostId::MiddleEfficiency);
  double x = std::log2(std::max(positions, 1.0));
  if (x <= 6)
    return narrow;
  if (x <= 10)
    return narrow + (middle - narrow) * (x - 6) / 4;
  return x <= 12 ? middle + (1 - middle) * (x - 10) / 2 : 1;
}

double Clock::floor() const {
  static constexpr CostId kFloors[] = {CostId::MemoryDispatchUs,
                                       CostId::E5rtDispatchUs,
                                       CostId::CoremlDispatchUs};
  return rate(kFloors[unsigned(door)]);
}

double Clock::error() const {
  static constexpr CostId kErrors[] = {CostId::MemoryErrorPercent,
                                       CostId::E5rtErrorPercent,
                                       CostId::CoremlErrorPercent};
  return rate(kErrors[unsigned(door)]) / 100;
}

double Clock::surfaces(double bytes, double busy) const {
  // In memory they move while the engine computes; elsewhere they are packed.
  if (door == Door::Memory)
    return std::max(0.0, bytes / (rate(CostId::ActivationGbs) * 1e3) - busy);
  return bytes / (rate(CostId::PackingGbs) * 1e3);
}

static constexpr Door kDoors[] = {Door::Memory, Door::E5RT, Door::CoreML};

llvm::StringRef mlir::ane::stringify(Door door) {
  static constexpr StringLiteral names[] = {"memory", "e5rt", "coreml"};
  return names[unsigned(door)];
}

std::optional<Door> mlir::ane::parseDoor(llvm::StringRef name) {
  for (Door door : kDoors)
    if (stringify(door) == name)
      return door;
  return std::nullopt;
}

Clock mlir::ane::getClock(Operation *op) {
  const Target &target = getTarget(op);
  std::optional<Door> said;
  for (Operation *parent = op; parent && !said; parent = parent->getParentOp())
    if (auto attr = parent->getAttrOfType<StringAttr>(marks::kDoor))
      said = parseDoor(attr.getValue());
  return {target, said.value_or(kDoors[unsigned(target.cost(CostId::Door))])};
}

/// Operations per microsecond (1 TFLOPS is 1e6) of a convolution or product.
static double arithmeticRate(const OpWork &work, const Clock &clock) {
  bool conv = work.cost.kind == Cost::Kind::Conv;
  double rate = clock.rate(conv ? CostId::ConvTflops : CostId::MatmulTflops) *
                1e6 * efficiency(work.cost.positions, clock.target) *
                work.speedup;
  if (work.winograd)
    rate *= clock.rate(CostId::WinogradGain);
  if (!conv && work.cost.activationBytes > clock.rate(CostId::OnChipMb) * 1e6)
    rate *= clock.rate(work.scores ? CostId::SpilledScores
                                   : CostId::SpilledProduct);
  return rate;
}

static Prediction predictMacs(const OpWork &work, const Clock &clock) {
  Prediction p;
  p.compute = work.depthwise
                  ? work.elements / (clock.rate(CostId::DepthwiseGeps) * 1e3)
                  : work.cost.flops / arithmeticRate(work, clock);
  p.weights = work.cost.weightBytes / (clock.rate(CostId::WeightGbs) * 1e3);
  // What streams while the multipliers work, or the other way round.
  double hidden = clock.door == Door::Memory ? clock.rate(CostId::Overlap) : 0;
  (p.compute < p.weights ? p.compute : p.weights) *= 1 - hidden;
  return p;
}

static bool isMacs(Operation *op) {
  return isa<ConvOp, ConvTransposeOp, MatmulOp, LinearOp, EinsumOp>(op);
}

/// The parts of what a convolution does by itself with its result.
enum class Tail { Scale, Bias, Activation, Residual, None };

static Tail classifyTail(Operation *op) {
  if (isa<ReluOp, Relu6Op, ClipOp, ClampedReluOp, LeakyReluOp, PreluOp,
          SigmoidOp, SigmoidHardOp, TanhOp, ScaledTanhOp, SiluOp, GeluOp, EluOp,
          SoftplusOp, SoftsignOp, ErfOp, LinearActivationOp>(op))
    return Tail::Activation;
  bool constant = llvm::any_of(op->getOperands(), isConstantTree);
  if (isa<MulOp, RealDivOp>(op))
    return constant ? Tail::Scale : Tail::None;
  if (isa<AddOp, SubOp>(op))
    return constant ? Tail::Bias : Tail::Residual;
  return Tail::None;
}

/// The op before `op` whose only user it is and whose result has its shape.
static Operation *findBefore(Operation *op) {
  for (Value operand : op->getOperands())
    if (Operation *producer = operand.getDefiningOp();
        producer && producer->hasOneUse() && !isConstantTree(operand) &&
        operand.getType() == op->getResult(0).getType() &&
        (isMacs(producer) || classifyTail(producer) != Tail::None))
      return producer;
  return nullptr;
}

/// Follows a convolution as its scale, bias, activation or residual; one of
/// each, in any order (engine/cost.md §5.9).
static bool isAbsorbed(Operation *op) {
  unsigned seen = 0;
  while (op && !isMacs(op)) {
    Tail tail = classifyTail(op);
    if (tail == Tail::None || (seen & 1u << unsigned(tail)))
      return false;
    seen |= 1u << unsigned(tail);
    op = findBefore(op);
  }
  return op;
}

static bool isQuantised(Operation *op) {
  auto conv = dyn_cast<ConvOp>(op);
  auto after =
      conv ? conv.getX().getDefiningOp<DequantizeOp>() : DequantizeOp();
  return after && after->getOperand(0).getDefiningOp<QuantizeOp>();
}

/// The pair in front of a quantised convolution is how it reads its input.
static bool isQuantisedInput(Operation *op) {
  if (!isa<QuantizeOp, DequantizeOp>(op))
    return false;
  for (Operation *user : op->getUsers())
    if (!(isa<QuantizeOp>(op) ? isQuantisedInput(user) : isQuantised(user)))
      return false;
  return !op->use_empty();
}

static double elementsOf(TypeRange types) {
  double most = 0;
  for (Type type : types)
    if (auto tensor = dyn_cast<RankedTensorType>(type);
        tensor && tensor.hasStaticShape())
      most = std::max(most, double(tensor.getNumElements()));
  return most;
}

/// Elements of one row, and of one plane where there are rows of rows.
static SmallVector<int64_t, 2> innerExtents(RankedTensorType type) {
  ArrayRef<int64_t> shape = type.getShape();
  if (shape.size() < 4)
    return {shape.back()};
  return {shape.back(), shape.back() * shape[shape.size() - 2]};
}

/// A reshape that takes elements from channels to the width or back is a copy;
/// others renumber rows and planes.
static bool isView(Operation *op) {
  auto from = cast<RankedTensorType>(op->getOperand(0).getType()),
       to = cast<RankedTensorType>(op->getResult(0).getType());
  if (!from.getRank() || !to.getRank())
    return true;
  return llvm::any_of(innerExtents(from), [&](int64_t inner) {
    return llvm::is_contained(innerExtents(to), inner);
  });
}

/// The one reshape of a run-time weight is how a convolution reads its input
/// [1,O,1,I] (L19; engine/mil-text.md §1.9 g); what is streamed counts with the
/// convolution.
static bool isWeightForm(Operation *op) {
  if (!isa<ReshapeOp>(op) || !isa<BlockArgument>(op->getOperand(0)))
    return false;
  return !op->use_empty() && llvm::all_of(op->getUses(), [](OpOperand &use) {
    return isa<ConvOp>(use.getOwner()) && use.getOperandNumber() == 1;
  });
}

/// No work at run time.
static bool isFree(Operation *op) {
  return isWeightForm(op) || !isa<CostOpInterface>(op) ||
         op->getNumResults() == 0 || isConstantTree(op->getResult(0)) ||
         isa<IdentityOp>(op) ||
         (isa<TransposeOp>(op) && isTakenBySurface(cast<TransposeOp>(op))) ||
         (isa<ReshapeOp, SqueezeOp, ExpandDimsOp>(op) && isView(op));
}

/// The engine has filters of 3x3 at stride 1 in fewer multiplications.
static bool isWinograd(Operation *op) {
  auto conv = dyn_cast<ConvOp>(op);
  if (!conv || conv.getGroups() != 1)
    return false;
  auto weight = cast<RankedTensorType>(conv.getWeight().getType());
  auto isOne = [](int64_t n) { return n == 1; };
  return weight.getRank() == 4 && weight.getDimSize(2) == 3 &&
         weight.getDimSize(3) == 3 && llvm::all_of(conv.getStrides(), isOne) &&
         llvm::all_of(conv.getDilations(), isOne);
}

static bool isDepthwise(Operation *op) {
  auto conv = dyn_cast<ConvOp>(op);
  return conv && conv.getGroups() > 1 &&
         cast<RankedTensorType>(conv.getWeight().getType()).getDimSize(1) <= 2;
}

static bool isScores(Operation *op) {
  if (isa<SoftmaxOp>(op))
    return true;
  auto product = dyn_cast<MatmulOp>(op);
  if (!product)
    return false;
  ArrayRef<int64_t> shape = product.getZ().getType().getShape();
  return shape.size() > 2 &&
         llvm::any_of(shape.drop_back(2), [](int64_t n) { return n > 1; });
}

/// Sums over rows and columns alone are pools.
static bool isPool(Operation *op) {
  if (isa<AvgPoolOp, MaxPoolOp, L2PoolOp>(op))
    return true;
  auto axes = op->getAttrOfType<DenseI64ArrayAttr>("axes");
  if (!axes || op->getNumOperands() == 0)
    return false;
  auto type = cast<RankedTensorType>(op->getOperand(0).getType());
  return type.getRank() == 4 &&
         llvm::all_of(axes.asArrayRef(), [](int64_t axis) {
           return axis < 0 ? axis >= -2 : axis >= 2;
         });
}

static OpWork::Kind classify(Operation *op) {
  using Kind = OpWork::Kind;
  if (isMacs(op))
    return Kind::Macs;
  if (isQuantisedInput(op) || isAbsorbed(op))
    return Kind::Absorbed;
  if (isa<SoftmaxOp>(op))
    return Kind::Softmax;
  if (isa<LayerNormOp, InstanceNormOp, L2NormOp>(op))
    return Kind::Norm;
  if (op->getName().stripDialect().starts_with("reduce_"))
    return isPool(op) ? Kind::Pool : Kind::Reduce;
  if (isPool(op))
    return Kind::Pool;
  return isElementwise(op) ? Kind::Elementwise : Kind::Move;
}

llvm::StringRef mlir::ane::stringify(OpWork::Kind kind) {
  static constexpr StringLiteral names[] = {"free",        "absorbed", "macs",
                                            "elementwise", "softmax",  "norm",
                                            "reduce",      "pool",     "move"};
  return names[unsigned(kind)];
}

static double w8a8Speedup(Block &block, const Target &target) {
  auto quantised =
      llvm::count_if(block, [](Operation &op) { return isQuantised(&op); });
  return quantised >= 8   ? target.cost(CostId::W8a8Speedup)
         : quantised >= 4 ? target.cost(CostId::W8a8ShallowSpeedup)
                          : 1;
}

OpWork mlir::ane::findWork(Operation *op, const Target &target,
                           double speedup) {
  OpWork work;
  // What has open lengths runs on the host; its cost is not known.
  auto isOpen = [](Type type) {
    auto tensor = dyn_cast<RankedTensorType>(type);
    return tensor && !tensor.hasStaticShape();
  };
  if (isFree(op) || llvm::any_of(op->getOperandTypes(), isOpen) ||
      llvm::any_of(op->getResultTypes(), isOpen))
    return work;
  work.cost = cast<CostOpInterface>(op).estimateCost(target);
  work.elements = std::max(elementsOf(op->getOperandTypes()),
                           elementsOf(op->getResultTypes()));
  work.speedup = isQuantised(op) ? speedup : 1;
  work.kind = classify(op);
  work.winograd = isWinograd(op);
  work.depthwise = isDepthwise(op);
  work.scores = isScores(op);
  return work;
}

OpWork mlir::ane::findWork(Operation *op, const Target &target) {
  return findWork(op, target,
                  isQuantised(op) ? w8a8Speedup(*op->getBlock(), target) : 1);
}

static CostId vectorRate(OpWork::Kind kind) {
  switch (kind) {
  case OpWork::Kind::Softmax:
    return CostId::SoftmaxGeps;
  case OpWork::Kind::Norm:
    return CostId::NormGeps;
  case OpWork::Kind::Reduce:
    return CostId::ReduceGeps;
  case OpWork::Kind::Pool:
    return CostId::PoolGeps;
  default:
    return CostId::ElementwiseGeps;
  }
}

/// Elements at the rate of their kind, or what does not stay on chip.
static double vectorMicros(const OpWork &work, const Clock &clock) {
  double rate = clock.rate(vectorRate(work.kind)) * 1e3,
         beyond =
             work.cost.activationBytes - clock.rate(CostId::OnChipMb) * 1e6;
  if (beyond <= 0)
    return work.elements / rate;
  if (work.scores)
    return work.elements / (rate * clock.rate(CostId::SpilledScores));
  return std::max(work.elements / rate,
                  beyond / (clock.rate(CostId::WeightGbs) * 1e3));
}

Prediction mlir::ane::predict(const OpWork &work, const Clock &clock,
                              double scale) {
  OpWork scaled = work;
  scaled.cost.flops *= scale;
  scaled.cost.positions *= scale;
  scaled.cost.activationBytes *= scale;
  scaled.elements *= scale;
  Prediction p;
  switch (work.kind) {
  case OpWork::Kind::Free:
  case OpWork::Kind::Absorbed:
    break;
  case OpWork::Kind::Macs:
    return predictMacs(scaled, clock);
  case OpWork::Kind::Move:
    p.move =
        scaled.cost.activationBytes / (clock.rate(CostId::ActivationGbs) * 1e3);
    break;
  default:
    p.vector = vectorMicros(scaled, clock);
    break;
  }
  return p;
}

Prediction mlir::ane::predict(Operation *op, const Clock &clock) {
  return predict(findWork(op, clock.target), clock);
}

double mlir::ane::predictMicros(const Cost &cost, const Clock &clock) {
  OpWork work;
  work.kind = OpWork::Kind::Macs;
  work.cost = cost;
  return predict(work, clock).total();
}

double mlir::ane::predictHostMicros(const OpWork &work, const Target &target,
                                    double scale) {
  if (work.kind == OpWork::Kind::Free)
    return 0;
  double arithmetic =
             scale * work.cost.flops / (target.cost(CostId::HostTflops) * 1e6),
         memory = work.hostWidth *
                  (work.cost.weightBytes + scale * work.cost.activationBytes) /
                  (target.cost(CostId::HostGbs) * 1e3);
  return target.cost(CostId::HostOpUs) + std::max(arithmetic, memory);
}

double mlir::ane::predictHostMicros(Operation *op, const Target &target) {
  return predictHostMicros(findWork(op, target, 1), target);
}

double mlir::ane::predictHostMicros(ProgramOp program, const Target &target) {
  double sum = 0;
  WeightTrees trees;
  if (!program.isEngine())
    for (Operation &op : program.getBody().front())
      sum += predictHostMicros(&op, target);
  return sum;
}

Prediction mlir::ane::predict(ProgramOp program) {
  Prediction sum;
  if (!program.isEngine())
    return sum;
  Clock clock = getClock(program);
  Block &block = program.getBody().front();
  WeightTrees trees;
  double speedup = w8a8Speedup(block, clock.target);
  for (Operation &op : block)
    sum += predict(findWork(&op, clock.target, speedup), clock);
  double bytes = 0;
  auto add = [&](Type type) {
    if (auto tensor = dyn_cast<RankedTensorType>(type);
        tensor && tensor.hasStaticShape())
      bytes += 2.0 * tensor.getNumElements();
  };
  llvm::for_each(program.getArgumentTypes(), add);
  llvm::for_each(program.getResultTypes(), add);
  sum.surfaces = clock.surfaces(bytes, sum.total());
  sum.dispatch = clock.floor();
  return sum;
}
