//===- Sequence.cpp - sequences and optionals of known length -------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// MIL has no sequences of tensors that differ in shape. Where the length is
// known while compiling (loops are unrolled) none is needed: a sequence is the
// list of its elements, and an optional is what it holds, or nothing.
//
//===----------------------------------------------------------------------===//

#include "Lowering.h"
#include "dialects/ANE/IR/Shape.h"

using namespace mlir;
using namespace mlir::ane;

using C = NodeContext;

Value mlir::ane::makeSequence(NodeContext &c, ArrayRef<Value> elements) {
  if (c.failed() || llvm::is_contained(elements, Value()))
    return {};
  return onnxir::SequenceOp::create(c.graph.builder, c.loc,
                                    onnxir::ValueType::get(c.node.getContext()),
                                    elements);
}

/// The elements of input `i`.
static FailureOr<SmallVector<Value>> elements(C &c, unsigned i) {
  if (onnxir::SequenceOp sequence = asSequence(c.input(i)))
    return SmallVector<Value>(sequence.getElements());
  return c.error() << "expects input " << i << " to be a sequence";
}

/// A constant position in [0, count], negative from the end; `last` when
/// absent.
static FailureOr<int64_t> position(C &c, unsigned i, int64_t count,
                                   int64_t last) {
  if (!c.input(i))
    return last;
  auto given = c.constantInts(c.input(i), "position");
  if (failed(given))
    return failure();
  int64_t at = given->size() == 1 ? (*given)[0] : count + 1;
  at = at < 0 ? at + count : at;
  if (at < 0 || at > last)
    return c.error() << "expects a position in [" << -count << ", " << last
                     << "] of a sequence of " << count;
  return at;
}

static LogicalResult lowerConstruct(C &c) {
  SmallVector<Value> list;
  for (unsigned i = 0; i < c.numInputs(); ++i)
    list.push_back(c.input(i));
  return c.set(0, makeSequence(c, list));
}
static LogicalResult lowerEmpty(C &c) { return c.set(0, makeSequence(c, {})); }

static LogicalResult lowerInsert(C &c) {
  auto list = elements(c, 0);
  if (failed(list))
    return failure();
  auto at = position(c, 2, list->size(), list->size());
  if (failed(at))
    return failure();
  list->insert(list->begin() + *at, c.input(1));
  return c.set(0, makeSequence(c, *list));
}
/// The sequence of input 0 and a position in it (input 1).
static FailureOr<std::pair<SmallVector<Value>, int64_t>> listAndPlace(C &c) {
  auto list = elements(c, 0);
  if (failed(list))
    return failure();
  if (list->empty())
    return c.error() << "of an empty sequence";
  auto at = position(c, 1, list->size(), int64_t(list->size()) - 1);
  if (failed(at))
    return failure();
  return std::pair(*list, *at);
}
static LogicalResult lowerErase(C &c) {
  auto found = listAndPlace(c);
  if (failed(found))
    return failure();
  auto &[list, at] = *found;
  list.erase(list.begin() + at);
  return c.set(0, makeSequence(c, list));
}
static LogicalResult lowerAt(C &c) {
  auto found = listAndPlace(c);
  return failed(found) ? failure() : c.set(0, found->first[found->second]);
}
static LogicalResult lowerLength(C &c) {
  auto list = elements(c, 0);
  return failed(list)
             ? failure()
             : c.set(0, c.scalar(list->size(), c.graph.builder.getI64Type()));
}

static LogicalResult lowerConcatFromSequence(C &c) {
  auto list = elements(c, 0);
  if (failed(list))
    return failure();
  if (list->empty())
    return c.error() << "of an empty sequence has no shape";
  bool stack = c.getInt("new_axis", 0);
  FailureOr<int64_t> axis =
      c.axis(c.getInt("axis", 0), c.rank((*list)[0]) + stack);
  if (failed(axis))
    return failure();
  if (!stack)
    return c.set(0, c.concat(*list, *axis));
  return c.set(0, c.create<StackOp>(*list, {.axis = *axis}));
}

static LogicalResult lowerSplitToSequence(C &c) {
  Value x = c.input(0);
  FailureOr<int64_t> axis = c.axis(c.getInt("axis", 0), c.rank(x));
  if (failed(axis))
    return failure();
  int64_t extent = c.shape(x)[*axis];
  bool keep = c.input(1) || c.getInt("keepdims", 1);
  SmallVector<int64_t> sizes;
  if (c.input(1)) {
    auto given = c.constantInts(c.input(1), "split");
    if (failed(given))
      return failure();
    if (c.rank(c.input(1)) > 0) {
      sizes = *given;
    } else if (int64_t chunk = (*given)[0]; chunk > 0) {
      for (int64_t at = 0; at < extent; at += chunk)
        sizes.push_back(std::min(chunk, extent - at));
    }
  } else {
    sizes.assign(extent, 1);
  }
  SmallVector<Value> parts;
  int64_t at = 0;
  for (int64_t size : sizes) {
    if (size < 0 || at + size > extent)
      break;
    Value part = c.slice(x, *axis, at, at + size);
    if (!keep && part) {
      SmallVector<int64_t> shape(c.shape(part));
      shape.erase(shape.begin() + *axis);
      part = c.reshape(part, shape);
    }
    parts.push_back(part);
    at += size;
  }
  if (at != extent || parts.size() != sizes.size())
    return c.error() << "expects split sizes that add up to " << extent
                     << ", but got [" << ArrayRef<int64_t>(sizes) << "]";
  return c.set(0, makeSequence(c, parts));
}

/// The body once per element; inputs that are tensors are the same every time.
static LogicalResult lowerMap(C &c) {
  auto first = elements(c, 0);
  if (failed(first) || c.node.getGraphs().empty())
    return c.failed() ? failure()
                      : LogicalResult(c.error() << "expects a body");
  SmallVector<SmallVector<Value>> collected(c.numOutputs());
  for (size_t i = 0; i < first->size(); ++i) {
    SmallVector<Value> arguments{(*first)[i]};
    for (unsigned k = 1; k < c.numInputs(); ++k) {
      onnxir::SequenceOp sequence = asSequence(c.input(k));
      if (sequence && sequence.getElements().size() != first->size())
        return c.error() << "expects sequences of one length, but got "
                         << first->size() << " and "
                         << sequence.getElements().size();
      arguments.push_back(sequence ? sequence.getElements()[i] : c.input(k));
    }
    FailureOr<SmallVector<Value>> results =
        lowerRegion(c, c.node.getGraphs().front(), arguments);
    if (failed(results))
      return failure();
    for (auto [list, result] : llvm::zip(collected, *results))
      list.push_back(result);
  }
  for (auto [i, list] : llvm::enumerate(collected)) {
    if (llvm::is_contained(list, Value()))
      return success(); // an unsupported node inside, reported with the others
    c.put(i, makeSequence(c, list));
  }
  return success(!c.failed());
}

static LogicalResult lowerOptional(C &c) {
  if (c.input(0))
    return c.set(0, c.input(0));
  return c.set(
      0, onnxir::NoneOp::create(c.graph.builder, c.loc,
                                onnxir::ValueType::get(c.node.getContext())));
}
static LogicalResult lowerHasElement(C &c) {
  return c.set(0, c.scalar(c.input(0) ? 1 : 0,
                           IntegerType::get(c.node.getContext(), 1)));
}
static LogicalResult lowerGetElement(C &c) {
  if (!c.input(0))
    return c.error() << "of an optional that holds nothing";
  return c.set(0, c.input(0));
}
static LogicalResult lowerIdentity(C &c) { return c.set(0, c.input(0)); }

void mlir::ane::addSequenceHandlers(HandlerTable &t) {
  t.addForSequences("SequenceConstruct", 11, lowerConstruct);
  t.addForSequences("SequenceEmpty", 11, lowerEmpty);
  t.addForSequences("SequenceInsert", 11, lowerInsert);
  t.addForSequences("SequenceErase", 11, lowerErase);
  t.addForSequences("SequenceAt", 11, lowerAt);
  t.addForSequences("SequenceLength", 11, lowerLength);
  t.addForSequences("ConcatFromSequence", 11, lowerConcatFromSequence);
  t.addForSequences("SplitToSequence", 11, lowerSplitToSequence);
  t.addForSequences("SequenceMap", 17, lowerMap);
  t.addForSequences("Optional", 15, lowerOptional);
  t.addForSequences("OptionalHasElement", 15, lowerHasElement);
  t.addForSequences("OptionalGetElement", 15, lowerGetElement);
  t.addForSequences("Identity", 1, lowerIdentity);
}
