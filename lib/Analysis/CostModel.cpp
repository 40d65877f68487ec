//===- CostModel.cpp - predicted time of engine programs ------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// t = dispatch + sum over ops of max(arithmetic, weights)   (engine.md
// §5.9), with the effects that published measurements show: few positions
// leave the arithmetic units idle, weights beyond the working set stream from
// memory, quantised activations run at twice the rate in deep programs, and
// what follows a convolution element by element is free.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Analysis/CostModel.h"
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
  double narrow = target.cost("narrow_efficiency"),
         middle = target.cost("middle_efficiency");
  double x = std::log2(std::max(positions, 1.0));
  if (x <= 6)
    return narrow;
  if (x <= 10)
    return narrow + (middle - narrow) * (x - 6) / 4;
  return x <= 12 ? middle + (1 - middle) * (x - 10) / 2 : 1;
}

Prediction mlir::ane::predict(const Cost &cost, const Target &target,
                              double speedup) {
  // 1 TFLOPS is 1e6 operations per microsecond, 1 GB/s is 1e3 bytes per
  // microsecond.
  bool conv = cost.kind == Cost::Kind::Conv;
  double rate =
      target.cost(conv ? "conv_tflops" : "matmul_tflops") * 1e6 * speedup;
  if (conv)
    rate *= efficiency(cost.positions, target);
  const Limit *work = target.limit("S20");
  bool streams = !work || cost.weightBytes > work->value;
  double compute = cost.flops / rate,
         weights = cost.weightBytes /
                   (target.cost(streams ? "weight_gbs" : "kernel_gbs") * 1e3);
  Prediction p;
  (compute >= weights ? p.compute : p.weights) = std::max(compute, weights);
  return p;
}
double mlir::ane::predictMicros(const Cost &cost, const Target &target) {
  return predict(cost, target).total();
}

static bool isMacs(Operation *op) {
  return isa<ConvOp, ConvTransposeOp, MatmulOp, LinearOp, EinsumOp>(op);
}

/// Follows a convolution, perhaps by way of others that do, as the only user.
static bool isAbsorbed(Operation *op) {
  for (unsigned depth = 0; depth < 8; ++depth) {
    if (!isElementwise(op))
      return false;
    Operation *before = nullptr;
    for (Value operand : op->getOperands())
      if (Operation *producer = operand.getDefiningOp();
          producer && producer->hasOneUse() &&
          (isMacs(producer) || isElementwise(producer)) &&
          !isConstantTree(operand))
        before = producer;
    if (!before)
      return false;
    if (isMacs(before))
      return true;
    op = before;
  }
  return false;
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

/// No work at run time.
static bool isFree(Operation *op) {
  return !isa<CostOpInterface>(op) || op->getNumResults() == 0 ||
         isConstantTree(op->getResult(0)) ||
         isa<ReshapeOp, IdentityOp, SqueezeOp, ExpandDimsOp>(op);
}

static double w8a8Speedup(Block &block, const Target &target) {
  auto quantised =
      llvm::count_if(block, [](Operation &op) { return isQuantised(&op); });
  return quantised >= 8   ? target.cost("w8a8_speedup")
         : quantised >= 4 ? target.cost("w8a8_shallow_speedup")
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
  if (isQuantisedInput(op))
    work.kind = OpWork::Kind::Absorbed;
  else if (isMacs(op))
    work.kind = OpWork::Kind::Macs;
  else if (isa<TransposeOp>(op))
    work.kind = OpWork::Kind::Transpose;
  else if (isa<ConcatOp, SplitOp, SliceByIndexOp, SliceBySizeOp, PadOp, StackOp,
               TileOp, ReverseOp>(op))
    work.kind = OpWork::Kind::Move;
  else if (isAbsorbed(op))
    work.kind = OpWork::Kind::Absorbed;
  else
    work.kind = OpWork::Kind::Vector;
  // Normalisations read their operand several times.
  work.passes = isa<SoftmaxOp, LayerNormOp, InstanceNormOp>(op) ? 3 : 1;
  return work;
}

OpWork mlir::ane::findWork(Operation *op, const Target &target) {
  return findWork(op, target,
                  isQuantised(op) ? w8a8Speedup(*op->getBlock(), target) : 1);
}

Prediction mlir::ane::predict(const OpWork &work, const Target &target,
                              double scale) {
  Prediction p;
  double pass = scale * work.elements / (target.cost("vector_geps") * 1e3);
  Cost cost = work.cost;
  cost.flops *= scale;
  cost.positions *= scale;
  switch (work.kind) {
  case OpWork::Kind::Free:
  case OpWork::Kind::Absorbed:
    break;
  case OpWork::Kind::Macs:
    return predict(cost, target, work.speedup);
  case OpWork::Kind::Transpose:
    p.move = scale * cost.activationBytes /
             (target.cost("activation_gbs") * 1e3);
    break;
  case OpWork::Kind::Move:
    p.move = pass;
    break;
  case OpWork::Kind::Vector:
    p.vector = pass * work.passes;
    break;
  }
  return p;
}

Prediction mlir::ane::predict(Operation *op, const Target &target) {
  return predict(findWork(op, target), target);
}

double mlir::ane::predictHostMicros(const OpWork &work, const Target &target,
                                    double scale) {
  if (work.kind == OpWork::Kind::Free)
    return 0;
  double arithmetic =
             scale * work.cost.flops / (target.cost("host_tflops") * 1e6),
         memory = (work.cost.weightBytes + scale * work.cost.activationBytes) /
                  (target.cost("host_gbs") * 1e3);
  return target.cost("host_op_us") + std::max(arithmetic, memory);
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

Prediction mlir::ane::predict(ProgramOp program, const Target &target) {
  Prediction sum;
  if (!program.isEngine())
    return sum;
  Block &block = program.getBody().front();
  WeightTrees trees;
  double speedup = w8a8Speedup(block, target);
  for (Operation &op : block)
    sum += predict(findWork(&op, target, speedup), target);
  // Surfaces move while the engine computes.
  double bytes = 0;
  auto add = [&](Type type) {
    if (auto tensor = dyn_cast<RankedTensorType>(type);
        tensor && tensor.hasStaticShape())
      bytes += 2.0 * tensor.getNumElements();
  };
  llvm::for_each(program.getArgumentTypes(), add);
  llvm::for_each(program.getResultTypes(), add);
  sum.surfaces = std::max(0.0, bytes / (target.cost("activation_gbs") * 1e3) -
                                   sum.total());
  sum.dispatch = target.cost("dispatch_us");
  return sum;
}
