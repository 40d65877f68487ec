//===- Blocks.cpp - conditions and loops
//------------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "Raiser.h"
#include "dialects/ANE/IR/Control.h"
#include "mlir/IR/Verifier.h"

using namespace mlir;
using namespace mlir::ane;

SmallVector<Value> Raiser::findCaptured(mil::OpOp op) {
  llvm::SetVector<Value> captured;
  op->walk([&](Operation *inner) {
    if (inner == op)
      return;
    for (Value v : inner->getOperands())
      if (!op->isAncestor(v.getParentBlock()->getParentOp()) &&
          !mil::getConstant(v))
        captured.insert(v);
  });
  return captured.takeVector();
}

LogicalResult Raiser::lookUp(ArrayRef<Value> captured,
                             SmallVectorImpl<Value> &raised) {
  for (Value v : captured) {
    raised.push_back(values.lookup(v));
    if (!raised.back())
      return failure(); // its operation was not raised, and that was recorded
  }
  return success();
}

LogicalResult Raiser::raiseBlock(mil::OpOp op, Region &from, Block &block,
                                 ArrayRef<Type> own, ArrayRef<Value> captured) {
  Block &source = from.front();
  // Constants of the block around are made anew inside.
  llvm::DenseMap<Value, Value> outside;
  std::swap(values, outside);
  ++blockDepth;
  OpBuilder::InsertionGuard guard(b.builder);
  b.builder.setInsertionPointToStart(&block);
  for (auto [argument, type] : llvm::zip(source.getArguments(), own))
    values[argument] = block.addArgument(type, op.getLoc());
  for (Type type : own.drop_front(source.getNumArguments()))
    block.addArgument(type, op.getLoc());
  for (Value v : captured)
    values[v] = block.addArgument(outside.lookup(v).getType(), op.getLoc());
  LogicalResult result = success();
  for (Operation &inner : source.without_terminator())
    if (failed(result = raiseOp(cast<mil::OpOp>(inner))))
      break;
  SmallVector<Value> yielded;
  if (succeeded(result))
    for (Value v : source.getTerminator()->getOperands()) {
      Value raised = values.lookup(v);
      if (!raised)
        if (mil::LiteralAttr literal = mil::getConstant(v))
          if (auto constant = raiseConstant(v.getLoc(), literal);
              succeeded(constant))
            raised = *constant;
      if (!raised) {
        result = failure();
        break;
      }
      yielded.push_back(raised);
    }
  if (succeeded(result))
    YieldOp::create(b.builder, op.getLoc(), yielded);
  --blockDepth;
  std::swap(values, outside);
  return result;
}

/// Types that two blocks' results have in common: what they disagree on is
/// unknown.
static Type meet(Type a, Type c) {
  auto x = cast<RankedTensorType>(a), y = cast<RankedTensorType>(c);
  if (x.getRank() != y.getRank())
    return x;
  SmallVector<int64_t> shape(x.getShape());
  for (auto [dim, other] : llvm::zip(shape, y.getShape()))
    if (dim != other)
      dim = ShapedType::kDynamic;
  return x.clone(shape);
}

LogicalResult Raiser::raiseCond(mil::OpOp op) {
  if (op.getBlocks().size() != 2)
    return error(op) << "expects two blocks, but got " << op.getBlocks().size();
  FailureOr<Value> pred = operand(op, "pred");
  if (failed(pred))
    return failure();
  SmallVector<Value> captured = findCaptured(op), inputs;
  SmallVector<Type> types;
  if (failed(lookUp(captured, inputs)))
    return failure();
  // The blocks say what the results are, so they come first.
  Region regions[2];
  for (auto [from, to] : llvm::zip(op.getBlocks(), regions))
    if (failed(raiseBlock(op, from, to.emplaceBlock(), {}, captured)))
      return failure();
  auto yields = [](Region &region) {
    return region.front().getTerminator()->getOperandTypes();
  };
  if (yields(regions[0]).size() != yields(regions[1]).size())
    return error(op) << "expects both blocks to have as many results";
  for (auto [a, c] : llvm::zip(yields(regions[0]), yields(regions[1])))
    types.push_back(meet(a, c));
  OperationState state(op.getLoc(), CondOp::getOperationName());
  state.addOperands(*pred);
  state.addOperands(inputs);
  state.addTypes(types);
  for (Region &region : regions)
    state.addRegion()->takeBody(region);
  Operation *raised = b.builder.create(state);
  if (failed(verify(raised, /*verifyRecursively=*/false)))
    return failure();
  return bind(op, SmallVector<Value>(raised->getResults()));
}

LogicalResult Raiser::raiseWhile(mil::OpOp op) {
  auto variables = dyn_cast_or_null<ArrayAttr>(argument(op, "loop_vars"));
  if (!variables || op.getBlocks().size() != 2)
    return error(op) << "expects 'loop_vars' and two blocks";
  SmallVector<Value> inits, captured = findCaptured(op), inputs;
  SmallVector<Type> types;
  for (Attribute item : variables) {
    FailureOr<Value> init = raiseOperand(item, op);
    if (failed(init))
      return failure();
    inits.push_back(*init);
    types.push_back(init->getType());
  }
  if (failed(lookUp(captured, inputs)))
    return failure();
  Region regions[2];
  for (auto [from, to] : llvm::zip(op.getBlocks(), regions)) {
    if (from.getNumArguments() != types.size())
      return error(op) << "expects blocks with one input per loop variable";
    if (failed(raiseBlock(op, from, to.emplaceBlock(), types, captured)))
      return failure();
  }
  OperationState state(op.getLoc(), WhileLoopOp::getOperationName());
  state.addOperands(inits);
  state.addOperands(inputs);
  state.addTypes(types);
  state.addAttribute("operandSegmentSizes",
                     b.builder.getDenseI32ArrayAttr(
                         {int32_t(inits.size()), int32_t(inputs.size())}));
  for (Region &region : regions)
    state.addRegion()->takeBody(region);
  Operation *raised = b.builder.create(state);
  if (failed(verify(raised, /*verifyRecursively=*/false)))
    return failure();
  // Lists among the variables are tensors here.
  for (auto [to, from] : llvm::zip(op.getResults(), raised->getResults()))
    if (!isa<RankedTensorType>(to.getType()))
      values[to] = from;
  SmallVector<Value> results(raised->getResults());
  for (auto [to, from] : llvm::zip_first(op.getResults(), results))
    if (isa<RankedTensorType>(to.getType()))
      values[to] = from;
  return success();
}
