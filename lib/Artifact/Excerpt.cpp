//===- Excerpt.cpp - the first operations of a large model ----------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Artifact/Excerpt.h"
#include "dialects/ANE/IR/ANEBase.h"
#include "dialects/ANE/IR/WeightTrees.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace mlir::ane;

static bool computes(Operation &op) {
  return op.getNumResults() && !isConstantTree(op.getResult(0));
}

/// Elements of a result; infinite where its shape is not known.
static double countStatic(Value value) {
  auto tensor = dyn_cast<RankedTensorType>(value.getType());
  if (!tensor || !tensor.hasStaticShape())
    return INFINITY;
  double count = 1;
  for (int64_t dim : tensor.getShape())
    count *= dim;
  return count;
}

namespace {
/// What running an op costs beside what was run before.
class Spent {
public:
  explicit Spent(const ExcerptLimits &limits) : limits(limits) {}

  bool affords(Operation &op, double flops) {
    work += flops;
    for (Value result : op.getResults())
      if (countStatic(result) > limits.values)
        return false;
    for (Value operand : op.getOperands())
      takeWeights(operand);
    return work <= limits.work && largest <= limits.largest &&
           weights - largest <= limits.weights;
  }

private:
  void takeWeights(Value value) {
    SmallVector<Value> stack{value};
    while (!stack.empty()) {
      Value next = stack.pop_back_val();
      Operation *producer = next.getDefiningOp();
      if (!producer || !isConstantTree(next) || !seen.insert(producer).second)
        continue;
      double count = countStatic(next);
      weights += count;
      largest = std::max(largest, count);
      llvm::append_range(stack, producer->getOperands());
    }
  }

  ExcerptLimits limits;
  double work = 0, weights = 0, largest = 0;
  llvm::SmallPtrSet<Operation *, 32> seen;
};
} // namespace

std::optional<Excerpt>
Excerpt::make(func::FuncOp function, const ExcerptLimits &limits,
              llvm::function_ref<double(Operation &)> work) {
  Block &block = function.getBody().front();
  WeightTrees trees;
  Excerpt excerpt;
  excerpt.whole = function;
  Spent spent(limits);
  llvm::SmallPtrSet<Operation *, 32> chosen;
  bool open = true;
  for (Operation &op : block.without_terminator()) {
    if (!computes(op))
      continue;
    ++excerpt.of;
    open = open && spent.affords(op, work(op));
    if (open && chosen.insert(&op).second)
      ++excerpt.ops;
  }
  if (!excerpt.ops || excerpt.ops == excerpt.of)
    return std::nullopt;

  OpBuilder b(function.getContext());
  excerpt.module = ModuleOp::create(function.getLoc());
  if (auto module = function->getParentOfType<ModuleOp>())
    (*excerpt.module)->setAttrs(module->getAttrDictionary());
  b.setInsertionPointToStart(excerpt.module->getBody());
  auto clone = cast<func::FuncOp>(b.cloneWithoutRegions(*function));
  IRMapping mapping;
  Block *body = clone.addEntryBlock();
  mapping.map(block.getArguments(), body->getArguments());
  b.setInsertionPointToStart(body);
  SmallVector<Value> results;
  // Constants that nothing of it reads are left out below.
  for (Operation &op : block.without_terminator()) {
    bool isChosen = chosen.contains(&op);
    if (!isChosen && computes(op))
      continue;
    Operation *twin = b.clone(op, mapping);
    excerpt.twins.push_back({&op, twin});
    for (Value result : op.getResults())
      if (isChosen && llvm::any_of(result.getUsers(), [&](Operation *user) {
            return !chosen.contains(user);
          }))
        results.push_back(mapping.lookup(result));
  }
  func::ReturnOp::create(b, function.getLoc(), results);
  clone.setFunctionType(
      b.getFunctionType(function.getArgumentTypes(), TypeRange(results)));
  clone.removeResAttrsAttr();
  for (auto [i, result] : llvm::enumerate(results))
    if (auto name = dyn_cast<NameLoc>(result.getLoc()))
      clone.setResultAttr(i, marks::kName, name.getName());
  for (auto &[op, twin] : llvm::reverse(excerpt.twins))
    if (twin->use_empty() && !computes(*twin)) {
      twin->erase();
      twin = nullptr;
    }
  llvm::erase_if(excerpt.twins, [](auto pair) { return !pair.second; });
  return excerpt;
}

/// Kind, size (layouts differ) and name without its numbers; "" without a name,
/// which is no evidence.
static std::string patternOf(Operation *op) {
  auto name = dyn_cast<NameLoc>(op->getLoc());
  if (!name)
    return "";
  std::string text;
  llvm::raw_string_ostream os(text);
  os << op->getName();
  for (Value result : op->getResults())
    os << ' ' << countStatic(result);
  os << ' ';
  bool digits = false;
  for (char c : name.getName().getValue()) {
    if (!llvm::isDigit(c))
      os << c;
    else if (!digits)
      os << '#';
    digits = llvm::isDigit(c);
  }
  return text;
}

unsigned Excerpt::spreadMarks() {
  unsigned count = 0;
  llvm::StringMap<Attribute> patterns;
  for (auto [op, twin] : twins) {
    Attribute mark = twin->getAttr(marks::kFp32);
    if (!mark || op->hasAttr(marks::kFp32))
      continue;
    op->setAttr(marks::kFp32, mark);
    ++count;
    if (std::string pattern = patternOf(op); !pattern.empty())
      patterns.try_emplace(pattern, mark);
  }
  if (patterns.empty())
    return count;
  for (Operation &op : whole.getBody().front().without_terminator())
    if (auto it = patterns.find(patternOf(&op));
        it != patterns.end() && !op.hasAttr(marks::kFp32)) {
      op.setAttr(marks::kFp32, it->second);
      ++count;
    }
  return count;
}
