//===- Recurrent.cpp - LSTM, GRU, RNN -------------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// MIL's recurrent ops take the common form; peculiar activations, clipping of
// gate inputs, per-item lengths and input_forget are refused with a reason.
//
//===----------------------------------------------------------------------===//

#include "Lowering.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace mlir::ane;

using C = NodeContext;

/// Rows of `value` [gates*H, …] reordered by gate.
static Value reorderGates(C &c, Value value, ArrayRef<int64_t> order) {
  if (!value)
    return {};
  int64_t hidden = c.shape(value)[0] / order.size();
  SmallVector<Value> parts;
  bool identity = true;
  for (auto [i, gate] : llvm::enumerate(order)) {
    identity &= gate == (int64_t)i;
    parts.push_back(c.slice(value, 0, gate * hidden, (gate + 1) * hidden));
  }
  return identity ? value : c.concat(parts, 0);
}

/// Row d of a [D, …] operand, without the first axis.
static Value direction(C &c, Value value, int64_t d) {
  if (!value)
    return {};
  Value row = c.slice(value, 0, d, d + 1);
  return row ? c.reshape(row, c.shape(row).drop_front(1)) : row;
}

namespace {
struct Recurrent {
  int64_t steps, batch, hidden, directions, gates;
  Value x, initialH, initialC;
  SmallVector<std::string> activations;
  std::string direction;
};
} // namespace

/// MIL's word for an ONNX activation; "" when there is none.
static std::string activationName(StringRef name) {
  std::string lower = name.lower();
  if (lower == "sigmoid" || lower == "tanh" || lower == "relu")
    return lower;
  return "";
}

static FailureOr<Recurrent> readRecurrent(C &c, int64_t gates,
                                          ArrayRef<StringRef> defaults,
                                          unsigned lengthsInput,
                                          unsigned hInput) {
  Recurrent r;
  Value x = c.input(0), w = c.input(1);
  if (c.rank(x) != 3 || c.rank(w) != 3 || c.rank(c.input(2)) != 3)
    return c.error() << "expects X, W and R of rank 3";
  if (c.getInt("layout", 0)) // [batch, steps, …]
    x = c.transpose(x, {1, 0, 2});
  if (!x)
    return failure();
  r.x = x;
  r.steps = c.shape(x)[0];
  r.batch = c.shape(x)[1];
  r.directions = c.shape(w)[0];
  r.hidden = c.shape(c.input(2))[2];
  r.gates = gates;
  r.direction = c.getString("direction", "forward");
  if (r.directions != (r.direction == "bidirectional" ? 2 : 1))
    return c.error() << "expects weights for direction " << r.direction
                     << ", but got " << r.directions;
  if (c.attribute("clip"))
    return c.error() << "with 'clip' is not supported: MIL clips the cell "
                        "state, ONNX the gate inputs";
  if (Value lengths = c.input(lengthsInput)) {
    auto known = c.tryConstant(lengths);
    if (!known ||
        llvm::any_of(known->ints(), [&](int64_t l) { return l != r.steps; }))
      return c.error()
             << "with sequence_lens shorter than the sequence is not supported";
  }
  for (StringRef name : defaults)
    r.activations.push_back(name.str());
  if (auto given = dyn_cast_or_null<ArrayAttr>(c.attribute("activations"));
      given && !given.empty()) {
    if (given.size() != defaults.size() * r.directions)
      return c.error() << "expects " << defaults.size() * r.directions
                       << " activations, but got " << given.size();
    for (auto [i, name] : llvm::enumerate(given)) {
      std::string mil = activationName(cast<StringAttr>(name).getValue());
      if (mil.empty() ||
          (i >= defaults.size() && mil != r.activations[i % defaults.size()]))
        return c.error() << "with activation " << name << " is not supported";
      r.activations[i % defaults.size()] = mil;
    }
  }
  auto state = [&](unsigned i) -> Value {
    Value s = c.input(i);
    if (!s) {
      SmallVector<int64_t> shape{r.batch, r.hidden * r.directions};
      return c.graph.constant(
          c.loc, DenseElementsAttr::get(
                     RankedTensorType::get(shape, c.element(x)),
                     FloatAttr::get(cast<FloatType>(c.element(x)), 0)));
    }
    if (c.getInt("layout", 0)) // [batch, D, H]
      return c.reshape(s, {r.batch, r.directions * r.hidden});
    // [D, batch, H] -> [batch, D*H]
    Value moved = c.transpose(s, {1, 0, 2});
    return moved ? c.reshape(moved, {r.batch, r.directions * r.hidden}) : moved;
  };
  r.initialH = state(hInput);
  if (gates == 4)
    r.initialC = state(hInput + 1);
  return r;
}

/// [s,b,D*H] and [b,D*H] to ONNX's outputs.
static LogicalResult setOutputs(C &c, const Recurrent &r, Value sequence,
                                ArrayRef<Value> states) {
  if (!sequence)
    return failure();
  bool batchFirst = c.getInt("layout", 0);
  Value split = c.reshape(sequence, {r.steps, r.batch, r.directions, r.hidden});
  if (!split)
    return failure();
  c.put(0, c.transpose(split, batchFirst ? ArrayRef<int64_t>{1, 0, 2, 3}
                                         : ArrayRef<int64_t>{0, 2, 1, 3}));
  for (auto [i, state] : llvm::enumerate(states)) {
    Value wide = c.reshape(state, {r.batch, r.directions, r.hidden});
    c.put(i + 1, batchFirst || !wide ? wide : c.transpose(wide, {1, 0, 2}));
  }
  return success(!c.failed());
}

static LogicalResult lowerLSTM(C &c) {
  if (c.getInt("input_forget", 0))
    return c.error() << "with input_forget is not supported";
  auto r = readRecurrent(c, 4, {"sigmoid", "tanh", "tanh"}, 4, 5);
  if (failed(r))
    return failure();
  // ONNX: iofc -> MIL: ifoz. Peepholes iof -> ifo.
  SmallVector<Value> operands{r->x, r->initialH, r->initialC};
  for (int64_t d = 0; d < 2; ++d) {
    bool there = d < r->directions;
    Value bias = there ? direction(c, c.input(3), d) : Value(),
          peephole = there ? direction(c, c.input(7), d) : Value();
    if (bias)
      bias = reorderGates(c,
                          c.add(c.slice(bias, 0, 0, 4 * r->hidden),
                                c.slice(bias, 0, 4 * r->hidden, 8 * r->hidden)),
                          {0, 2, 1, 3});
    operands.push_back(
        there ? reorderGates(c, direction(c, c.input(1), d), {0, 2, 1, 3})
              : Value());
    operands.push_back(
        there ? reorderGates(c, direction(c, c.input(2), d), {0, 2, 1, 3})
              : Value());
    operands.push_back(bias);
    operands.push_back(reorderGates(c, peephole, {0, 2, 1}));
  }
  SmallVector<Value> results = c.createMany<LstmOp>(
      operands, {c.graph.text("direction", r->direction),
                 c.graph.flag("output_sequence", true),
                 c.graph.text("recurrent_activation", r->activations[0]),
                 c.graph.text("cell_activation", r->activations[1]),
                 c.graph.text("activation", r->activations[2])});
  if (results.empty())
    return failure();
  return setOutputs(c, *r, results[0], {results[1], results[2]});
}

/// Joins the results of single-direction ops on the feature axis.
template <typename Make>
static LogicalResult perDirection(C &c, const Recurrent &r, Make make) {
  SmallVector<Value> sequences, states;
  for (int64_t d = 0; d < r.directions; ++d) {
    bool reverse = d == 1 || r.direction == "reverse";
    SmallVector<Value> results =
        make(d, c.slice(r.initialH, 1, d * r.hidden, (d + 1) * r.hidden),
             c.graph.text("direction", reverse ? "reverse" : "forward"));
    if (results.empty())
      return failure();
    sequences.push_back(results[0]);
    states.push_back(results[1]);
  }
  return setOutputs(c, r, c.concat(sequences, 2), {c.concat(states, 1)});
}

static LogicalResult lowerGRU(C &c) {
  auto r = readRecurrent(c, 3, {"sigmoid", "tanh"}, 4, 5);
  if (failed(r))
    return failure();
  bool after = c.getInt("linear_before_reset", 0);
  return perDirection(c, *r, [&](int64_t d, Value h, NamedAttribute dir) {
    // ONNX: zrh -> MIL: r,o,z.
    Value bias = direction(c, c.input(3), d), input, recurrent;
    if (bias) {
      input = reorderGates(c, c.slice(bias, 0, 0, 3 * r->hidden), {1, 2, 0});
      recurrent = reorderGates(
          c, c.slice(bias, 0, 3 * r->hidden, 6 * r->hidden), {1, 2, 0});
    }
    SmallVector<NamedAttribute> attributes{
        dir, c.graph.flag("output_sequence", true),
        c.graph.text("recurrent_activation", r->activations[0]),
        c.graph.text("activation", r->activations[1])};
    if (after)
      attributes.push_back(c.graph.flag("reset_after", true));
    Value sum = bias && !after ? c.add(input, recurrent) : recurrent;
    return c.createMany<GruOp>(
        {r->x, h, reorderGates(c, direction(c, c.input(1), d), {1, 2, 0}),
         reorderGates(c, direction(c, c.input(2), d), {1, 2, 0}), sum,
         after ? input : Value()},
        attributes);
  });
}

static LogicalResult lowerRNN(C &c) {
  auto r = readRecurrent(c, 1, {"tanh"}, 4, 5);
  if (failed(r))
    return failure();
  return perDirection(c, *r, [&](int64_t d, Value h, NamedAttribute dir) {
    Value bias = direction(c, c.input(3), d);
    if (bias)
      bias = c.add(c.slice(bias, 0, 0, r->hidden),
                   c.slice(bias, 0, r->hidden, 2 * r->hidden));
    return c.createMany<RnnOp>({r->x, h, direction(c, c.input(1), d),
                                direction(c, c.input(2), d), bias},
                               {dir, c.graph.flag("output_sequence", true),
                                c.graph.text("activation", r->activations[0])});
  });
}

void mlir::ane::addRecurrentHandlers(HandlerTable &t) {
  t.add("LSTM", 7, lowerLSTM);
  t.add("GRU", 7, lowerGRU);
  t.add("RNN", 7, lowerRNN);
}
