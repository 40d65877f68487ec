//===- FormPrograms.cpp - segments become programs ------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Analysis/Placement.h"
#include "ane-mlir/Transforms/Passes.h"
#include "dialects/ANE/IR/Cast.h"
#include "dialects/ANE/IR/Linear.h"
#include "dialects/ANE/IR/Structure.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"
#include <map>

using namespace mlir;
using namespace mlir::ane;

namespace mlir::ane {
#define GEN_PASS_DEF_FORMPROGRAMSPASS
#include "ane-mlir/Transforms/Passes.h.inc"
} // namespace mlir::ane

/// What ane-plan-io puts around a value at a program's boundary: a slice, a
/// reshape and a cast on the way in, a cast, a reshape, a pad and a product on
/// the way out.
static constexpr size_t kBoundaryOps = 7;

/// S18 counts blocks of a chain. One is taken for a product with what the back
/// end does along with it (scale, bias, activation, residual): models of 28
/// layers, some 800 operations deep, are known to run as one program (S21).
static constexpr size_t kOpsOfBlock = 4;
static size_t quarterBlocks(Operation *op) {
  return isa<ConvOp, ConvTransposeOp, MatmulOp, EinsumOp, LinearOp>(op)
             ? kOpsOfBlock
             : 1;
}

namespace {
struct FormPrograms : ane::impl::FormProgramsPassBase<FormPrograms> {
  using FormProgramsPassBase::FormProgramsPassBase;

  using Weigh = function_ref<size_t(Operation *)>;
  /// Where the part that begins at `begin` is deeper than `most`, and where it
  /// is half as deep; `weigh` says how deep one op is.
  static std::pair<size_t, size_t>
  findReach(ArrayRef<Operation *> ops, size_t begin, size_t most, Weigh weigh) {
    llvm::DenseMap<Operation *, size_t> depth;
    size_t half = begin + 1;
    for (size_t i = begin; i < ops.size(); ++i) {
      size_t before = 0;
      for (Value operand : ops[i]->getOperands())
        if (Operation *producer = operand.getDefiningOp())
          before = std::max(before, depth.lookup(producer));
      before += weigh(ops[i]);
      if (before > most && i > begin)
        return {half, i};
      depth[ops[i]] = before;
      if (before <= most / 2)
        half = i + 1;
    }
    return {half, ops.size()};
  }

  /// Where to cut a list of ops so that no part is deeper than `most` (S18 is
  /// about chains): each time at the place in the second half of the longest
  /// possible part where the fewest bytes cross.
  static SmallVector<size_t> findCuts(ArrayRef<Operation *> ops, size_t most,
                                      Weigh weigh) {
    llvm::DenseMap<Operation *, size_t> position;
    for (auto [i, op] : llvm::enumerate(ops))
      position[op] = i;
    // Bytes that are alive between op i-1 and op i.
    std::vector<double> change(ops.size() + 2);
    for (auto [i, op] : llvm::enumerate(ops))
      for (Value result : op->getResults()) {
        size_t last = i;
        for (Operation *user : result.getUsers())
          if (auto it = position.find(user); it != position.end())
            last = std::max(last, it->second);
        auto type = cast<RankedTensorType>(result.getType());
        double bytes = type.hasStaticShape() ? type.getNumElements() : 1;
        change[i + 1] += bytes;
        change[last + 1] -= bytes;
      }
    std::vector<double> alive(ops.size() + 1);
    for (size_t i = 1; i <= ops.size(); ++i)
      alive[i] = alive[i - 1] + change[i];
    SmallVector<size_t> cuts;
    for (size_t begin = 0;;) {
      auto [half, end] = findReach(ops, begin, most, weigh);
      if (end == ops.size())
        break;
      size_t best = end;
      for (size_t at = end; at > std::min(half, end - 1); --at)
        if (alive[at] < alive[best])
          best = at;
      cuts.push_back(best);
      begin = best;
    }
    return cuts;
  }

  /// Copies the weight tree behind `value` in front of the builder, sharing
  /// parts that are there already.
  static void cloneTree(Value value, OpBuilder &builder, IRMapping &mapping) {
    SmallVector<Operation *> stack{value.getDefiningOp()};
    while (!stack.empty()) {
      Operation *op = stack.back();
      if (mapping.contains(op->getResult(0))) {
        stack.pop_back();
        continue;
      }
      size_t depth = stack.size();
      for (Value operand : op->getOperands())
        if (!mapping.contains(operand))
          stack.push_back(operand.getDefiningOp());
      if (stack.size() == depth) {
        builder.clone(*op, mapping);
        stack.pop_back();
      }
    }
  }

  void runOnOperation() override {
    ModuleOp module = getOperation();
    SmallVector<func::FuncOp> functions = findFunctions(module);
    unsigned index = 0;
    for (func::FuncOp function : functions) {
      Block &block = function.getBody().front();
      Operation *terminator = block.getTerminator();
      // An output that is a constant needs a program that makes it.
      OpBuilder builder(terminator);
      llvm::DenseSet<Operation *> trees = findWeightTrees(block);
      for (OpOperand &operand : terminator->getOpOperands())
        if (Operation *op = operand.get().getDefiningOp();
            op && trees.contains(op)) {
          auto identity = IdentityOp::create(
              builder, op->getLoc(), operand.get().getType(), operand.get());
          identity->setAttr(marks::kPlacement, builder.getStringAttr("host"));
          operand.set(identity);
        }
      auto stages = assignStages(block, trees);
      // A call stands for many nodes; values keep the name of the node that
      // made them.
      llvm::DenseMap<Value, Location> origins;
      std::map<unsigned, SmallVector<Operation *>> whole;
      for (Operation &op : block.without_terminator())
        if (auto it = stages.find(&op); it != stages.end())
          whole[it->second].push_back(&op);
      const Limit *limit = getTarget(module).limit(LimitId::S18);
      size_t most = maxOps  ? maxOps
                    : limit ? limit->value * kOpsOfBlock - kBoundaryOps
                            : ~size_t(0);
      SmallVector<std::pair<unsigned, SmallVector<Operation *>>> segments;
      for (auto &[stage, ops] : whole) {
        SmallVector<size_t> cuts;
        if (stage % 2 == 0)
          cuts = findCuts(ops, most, [&](Operation *op) {
            return maxOps ? 1 : quarterBlocks(op);
          });
        numCuts += cuts.size();
        cuts.push_back(ops.size());
        size_t begin = 0;
        for (size_t end : cuts) {
          segments.push_back(
              {stage, SmallVector<Operation *>(
                          ArrayRef(ops).slice(begin, end - begin))});
          begin = end;
        }
      }
      for (auto &[stage, ops] : segments) {
        llvm::SmallPtrSet<Operation *, 32> members(ops.begin(), ops.end());
        llvm::SetVector<Value> inputs, outputs;
        for (Operation *op : ops) {
          for (Value operand : op->getOperands()) {
            Operation *producer = operand.getDefiningOp();
            if (!producer ||
                (!members.contains(producer) && !trees.contains(producer)))
              inputs.insert(operand);
          }
          for (Value result : op->getResults())
            if (llvm::any_of(result.getUsers(), [&](Operation *user) {
                  return !members.contains(user);
                }))
              outputs.insert(result);
        }
        if (outputs.empty())
          continue; // dead
        auto inputTypes =
            llvm::map_to_vector(inputs, [](Value v) { return v.getType(); });
        auto outputTypes =
            llvm::map_to_vector(outputs, [](Value v) { return v.getType(); });
        OpBuilder atModule(function);
        std::string name = ("program" + Twine(index++)).str();
        auto program = ProgramOp::create(
            atModule, function.getLoc(), atModule.getStringAttr(name),
            TypeAttr::get(atModule.getFunctionType(inputTypes, outputTypes)),
            atModule.getStringAttr(stage % 2 ? "host" : "ane"), ArrayAttr(),
            ArrayAttr());
        Block &body = program.getBody().emplaceBlock();
        IRMapping mapping;
        for (Value input : inputs) {
          auto origin = origins.find(input);
          mapping.map(input,
                      body.addArgument(input.getType(), origin == origins.end()
                                                            ? input.getLoc()
                                                            : origin->second));
        }
        OpBuilder inside = OpBuilder::atBlockEnd(&body);
        for (Operation *op : ops) {
          for (Value operand : op->getOperands())
            if (!mapping.contains(operand))
              cloneTree(operand, inside, mapping);
          inside.clone(*op, mapping);
        }
        ane::ReturnOp::create(inside, function.getLoc(),
                              llvm::map_to_vector(outputs, [&](Value v) {
                                return mapping.lookup(v);
                              }));
        // The call stands behind the segment's last op: everything it reads
        // comes from earlier segments.
        builder.setInsertionPoint(terminator);
        auto call = CallOp::create(builder, function.getLoc(), outputTypes,
                                   FlatSymbolRefAttr::get(&getContext(), name),
                                   inputs.getArrayRef());
        for (auto [output, result] : llvm::zip(outputs, call.getOutputs()))
          origins.insert({result, output.getLoc()});
        for (auto [output, result] : llvm::zip(outputs, call.getOutputs()))
          Value(output).replaceUsesWithIf(result, [&](OpOperand &use) {
            return !members.contains(use.getOwner());
          });
      }
      for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block)))
        if (!isa<CallOp>(op) && !op.hasTrait<OpTrait::IsTerminator>())
          op.erase();
    }
  }
};
} // namespace
