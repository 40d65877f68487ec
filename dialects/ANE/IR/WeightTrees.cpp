//===- WeightTrees.cpp - what is computed from constants alone ------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "dialects/ANE/IR/WeightTrees.h"
#include "dialects/ANE/IR/Cast.h"
#include "dialects/ANE/IR/Shape.h"
#include "dialects/ANE/IR/Structure.h"

using namespace mlir;
using namespace mlir::ane;

/// The one that this thread asks.
static thread_local WeightTrees *current = nullptr;

/// Without memory: iterative, since a tree may be as deep as the graph is long.
/// Nothing where it gives up.
static std::optional<bool> walkTree(Value value) {
  SmallVector<Value> worklist{value};
  llvm::SmallPtrSet<Operation *, 8> seen;
  while (!worklist.empty()) {
    Operation *op = worklist.pop_back_val().getDefiningOp();
    if (!op)
      return false;
    if (isa<ConstantOp>(op) || !seen.insert(op).second)
      continue;
    // A run-time value may have the whole graph behind it.
    if (seen.size() > 48)
      return std::nullopt;
    if (!isFunctionOfOperands(op))
      return false;
    llvm::append_range(worklist, op->getOperands());
  }
  return true;
}

bool mlir::ane::isConstantTree(Value value) {
  if (current)
    return current->contains(value);
  // Weights are made of few ops, and taking a large tree for a run-time value
  // is safe.
  return walkTree(value).value_or(false);
}

WeightTrees::WeightTrees(OpBuilder::Listener *next)
    : ForwardingListener(next), outer(current) {
  current = this;
}

WeightTrees::~WeightTrees() { current = outer; }

std::optional<bool> WeightTrees::lookup(Value value) const {
  Operation *op = value.getDefiningOp();
  if (!op || isa<ConstantOp>(op))
    return op != nullptr;
  auto it = kinds.find(op);
  return it == kinds.end() ? std::nullopt : std::optional<bool>(it->second);
}

bool WeightTrees::contains(Value value) {
  std::optional<bool> known = lookup(value);
  bool kind = known ? *known : resolve(value.getDefiningOp());
  assert(walkTree(value).value_or(kind) == kind &&
         "an op changed its kind and nobody told");
  return kind;
}

bool WeightTrees::resolve(Operation *op) {
  // Operands up to `next` are trees.
  struct Frame {
    Operation *op;
    unsigned next = 0;
  };
  SmallVector<Frame> stack{{op}};
  // Until it is known, so that a value that leads to itself ends here.
  kinds[op] = false;
  while (!stack.empty()) {
    Frame &frame = stack.back();
    std::optional<bool> kind = isFunctionOfOperands(frame.op);
    while (kind == true && frame.next < frame.op->getNumOperands()) {
      kind = lookup(frame.op->getOperand(frame.next));
      if (kind == true)
        ++frame.next;
    }
    if (!kind) {
      Operation *producer = frame.op->getOperand(frame.next).getDefiningOp();
      kinds[producer] = false;
      stack.push_back({producer});
      continue;
    }
    kinds[frame.op] = *kind;
    stack.pop_back();
  }
  return kinds.lookup(op);
}

void WeightTrees::notifyOperationModified(Operation *op) {
  // Nearly always it is what it was, and so are its users.
  SmallVector<Operation *> changed{op};
  while (!changed.empty()) {
    Operation *at = changed.pop_back_val();
    auto it = kinds.find(at);
    if (it == kinds.end())
      continue;
    bool before = it->second;
    if (resolve(at) != before)
      llvm::append_range(changed, at->getUsers());
  }
  ForwardingListener::notifyOperationModified(op);
}

void WeightTrees::notifyOperationErased(Operation *op) {
  kinds.erase(op);
  ForwardingListener::notifyOperationErased(op);
}

Operation *mlir::ane::findPatched(Value root, bool &asIs) {
  asIs = true;
  SmallVector<Value> left{root};
  llvm::DenseSet<Value> seen;
  while (!left.empty()) {
    Value next = left.pop_back_val();
    Operation *op = next.getDefiningOp();
    if (!op || !seen.insert(next).second)
      continue;
    if (op->hasAttr(marks::kCopyOf))
      return op;
    asIs &= isa<ReshapeOp, CastOp>(op);
    llvm::append_range(left, op->getOperands());
  }
  return nullptr;
}
