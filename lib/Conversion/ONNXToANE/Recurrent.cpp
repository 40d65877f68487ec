//===- Recurrent.cpp - LSTM, GRU, RNN -------------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// MIL's recurrent ops take the common form. Peculiar activations, clipping of
// gate inputs, lengths per item and input_forget are written out step by step.
//
//===----------------------------------------------------------------------===//

#include "dialects/ANE/IR/Recurrent.h"
#include "Lowering.h"
#include "dialects/ANE/IR/Activation.h"
#include "dialects/ANE/IR/Comparison.h"
#include "dialects/ANE/IR/Unary.h"

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
struct Activation {
  std::string name;
  double alpha, beta;
};
struct Recurrent {
  int64_t steps, batch, hidden, directions, gates;
  Value x, initialH, initialC;
  /// One name per gate kind, where MIL's ops take them.
  SmallVector<std::string> activations;
  std::string direction;
  /// What MIL's ops cannot express: every direction's activations, the limit
  /// of gate inputs (0: none), and how long each item is.
  bool unrolled = false;
  SmallVector<Activation> all;
  double clip = 0;
  Value lengths;
};
} // namespace

/// `activation_alpha` and `activation_beta` list values for those functions
/// that have such a parameter.
static FailureOr<SmallVector<Activation>>
readActivations(C &c, ArrayRef<StringRef> defaults, int64_t directions) {
  struct Known {
    StringLiteral name;
    bool hasAlpha, hasBeta;
    double alpha, beta;
  };
  static constexpr Known known[] = {{"sigmoid", false, false, 0, 0},
                                    {"tanh", false, false, 0, 0},
                                    {"relu", false, false, 0, 0},
                                    {"softsign", false, false, 0, 0},
                                    {"softplus", false, false, 0, 0},
                                    {"affine", true, true, 1, 0},
                                    {"leakyrelu", true, false, .01, 0},
                                    {"thresholdedrelu", true, false, 1, 0},
                                    {"scaledtanh", true, true, 1, 1},
                                    {"hardsigmoid", true, true, .2, .5},
                                    {"elu", true, false, 1, 0}};
  SmallVector<std::string> names;
  for (int64_t d = 0; d < directions; ++d)
    for (StringRef name : defaults)
      names.push_back(name.str());
  if (auto given = dyn_cast_or_null<ArrayAttr>(c.attribute("activations"));
      given && !given.empty()) {
    if (given.size() != names.size())
      return c.error() << "expects " << names.size() << " activations, but got "
                       << given.size();
    for (auto [name, value] : llvm::zip(names, given))
      name = cast<StringAttr>(value).getValue().lower();
  }
  SmallVector<float>
      alphas = c.getFloats("activation_alpha").value_or(SmallVector<float>()),
      betas = c.getFloats("activation_beta").value_or(SmallVector<float>());
  size_t nextAlpha = 0, nextBeta = 0;
  SmallVector<Activation> result;
  for (const std::string &name : names) {
    const Known *it =
        llvm::find_if(known, [&](const Known &k) { return k.name == name; });
    if (it == std::end(known))
      return c.error() << "has activation '" << name << "', which is not known";
    Activation a{name, it->alpha, it->beta};
    if (it->hasAlpha && nextAlpha < alphas.size())
      a.alpha = alphas[nextAlpha++];
    if (it->hasBeta && nextBeta < betas.size())
      a.beta = betas[nextBeta++];
    result.push_back(a);
  }
  return result;
}

static Value activate(C &c, const Activation &a, Value x) {
  if (a.name == "sigmoid")
    return c.create<SigmoidOp>({x});
  if (a.name == "tanh")
    return c.create<TanhOp>({x});
  if (a.name == "relu")
    return c.create<ReluOp>({x});
  if (a.name == "softsign")
    return c.create<SoftsignOp>({x});
  if (a.name == "softplus")
    return c.create<SoftplusOp>({x});
  if (a.name == "affine")
    return c.create<LinearActivationOp>({x},
                                        {.alpha = a.alpha, .beta = a.beta});
  if (a.name == "leakyrelu")
    return c.create<LeakyReluOp>({x}, {.alpha = a.alpha});
  if (a.name == "thresholdedrelu")
    return c.create<SelectOp>(
        {c.create<GreaterOp>({x, c.scalarLike(a.alpha, x)}), x,
         c.scalarLike(0, x)});
  if (a.name == "scaledtanh")
    return c.create<ScaledTanhOp>({x}, {.alpha = a.alpha, .beta = a.beta});
  if (a.name == "hardsigmoid")
    return c.create<SigmoidHardOp>({x}, {.alpha = a.alpha, .beta = a.beta});
  return c.create<EluOp>({x}, {.alpha = a.alpha});
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
  auto activations = readActivations(c, defaults, r.directions);
  if (failed(activations))
    return failure();
  r.all = *activations;
  for (auto [i, a] : llvm::enumerate(r.all)) {
    if (i < defaults.size())
      r.activations.push_back(a.name);
    r.unrolled |=
        (a.name != "sigmoid" && a.name != "tanh" && a.name != "relu") ||
        a.name != r.activations[i % defaults.size()];
  }
  // B holds both biases of each gate, P the peepholes of i, o and f.
  for (auto [i, width] : {std::pair{3u, 2 * gates * r.hidden},
                          std::pair{7u, (gates == 4 ? 3 : 0) * r.hidden}}) {
    Value value = width ? c.input(i) : Value();
    if (value && c.shape(value) != ArrayRef<int64_t>{r.directions, width})
      return c.error() << "expects input " << i << " of shape [" << r.directions
                       << ", " << width << "], but got " << c.type(value);
  }
  // MIL's ops take constant weights only.
  for (unsigned i : {1u, 2u, 3u, 7u})
    if (Value weight = c.input(i); weight && (i != 7 || gates == 4))
      r.unrolled |= !isConstantTree(weight) && r.steps <= 1024 && r.steps > 0;
  // Of what is trained the steps are differentiated, also with weights that
  // stay constants.
  auto module = c.node->getParentOfType<ModuleOp>();
  r.unrolled |= module && module->hasAttr(marks::kParameters) &&
                r.steps <= 1024 && r.steps > 0;
  // MIL clips the cell state, ONNX the gate inputs.
  r.clip = c.getFloat("clip", 0);
  r.unrolled |= r.clip != 0 || c.getInt("input_forget", 0);
  if (Value lengths = c.input(lengthsInput)) {
    auto known = c.tryConstant(lengths);
    if (c.rank(lengths) != 1 || c.shape(lengths)[0] != r.batch)
      return c.error() << "expects sequence_lens of shape [" << r.batch << "]";
    if (!known ||
        llvm::any_of(known->ints(), [&](int64_t l) { return l != r.steps; })) {
      r.lengths = c.castTo(lengths, c.i32());
      r.unrolled = true;
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

/// The recurrence step by step. `cell` takes the direction, what the input
/// gives to the gates [b, gates*H], and the states; it returns the new states,
/// the hidden one first.
template <typename Cell>
static LogicalResult unroll(C &c, const Recurrent &r, Cell cell) {
  constexpr int64_t kMaxSteps = 1024;
  if (r.steps < 1 || r.steps > kMaxSteps)
    return c.error() << "of this form is written out step by step, for 1 to "
                     << kMaxSteps << " steps, but got " << r.steps;
  SmallVector<Value> sequences;
  SmallVector<SmallVector<Value>> finals(r.gates == 4 ? 2 : 1);
  for (int64_t d = 0; d < r.directions; ++d) {
    bool reverse = d == 1 || r.direction == "reverse";
    auto begin = [&](Value state) {
      return c.slice(state, 1, d * r.hidden, (d + 1) * r.hidden);
    };
    SmallVector<Value> states{begin(r.initialH)};
    if (r.gates == 4)
      states.push_back(begin(r.initialC));
    Value inputs = c.matmul(r.x, direction(c, c.input(1), d), true);
    if (!inputs)
      return failure();
    SmallVector<Value> steps(r.steps);
    for (int64_t i = 0; i < r.steps && !c.failed(); ++i) {
      int64_t t = reverse ? r.steps - 1 - i : i;
      Value gates = c.reshape(c.slice(inputs, 0, t, t + 1),
                              {r.batch, r.gates * r.hidden});
      SmallVector<Value> next = cell(d, gates, states);
      Value y = next[0];
      if (r.lengths) { // past its end an item keeps its state and gives zeros
        Value valid = c.reshape(
            c.create<LessOp>({c.scalar(t, c.i32()), r.lengths}), {r.batch, 1});
        for (auto [value, old] : llvm::zip(next, states))
          value = c.create<SelectOp>({valid, value, old});
        y = c.create<SelectOp>({valid, y, c.scalarLike(0, y)});
      }
      if (!y)
        return failure();
      states = next;
      steps[t] = c.reshape(y, {1, r.batch, r.hidden});
    }
    sequences.push_back(c.concat(steps, 0));
    for (auto [list, state] : llvm::zip(finals, states))
      list.push_back(state);
  }
  SmallVector<Value> last;
  for (ArrayRef<Value> list : finals)
    last.push_back(c.concat(list, 1));
  return setOutputs(c, r, c.concat(sequences, 2), last);
}

/// Gate `i` of [b, gates*H], limited and activated.
static Value gateInput(C &c, const Recurrent &r, Value gates, int64_t i) {
  return c.slice(gates, 1, i * r.hidden, (i + 1) * r.hidden);
}
static Value squash(C &c, const Recurrent &r, Value x, int64_t d,
                    int64_t kind) {
  if (r.clip != 0)
    x = c.create<ClipOp>({x}, {.alpha = -r.clip, .beta = r.clip});
  return activate(c, r.all[d * r.activations.size() + kind], x);
}
/// Half `which` (input or recurrent) of a direction's bias, or null.
static Value halfBias(C &c, const Recurrent &r, int64_t d, int64_t which) {
  Value bias = direction(c, c.input(3), d);
  int64_t size = r.gates * r.hidden;
  return bias ? c.slice(bias, 0, which * size, (which + 1) * size) : bias;
}
static Value addIf(C &c, Value x, Value y) { return y ? c.add(x, y) : x; }

static LogicalResult unrollLSTM(C &c, const Recurrent &r) {
  bool coupled = c.getInt("input_forget", 0);
  return unroll(c, r, [&](int64_t d, Value gates, ArrayRef<Value> states) {
    Value h = states[0], cell = states[1];
    gates = c.add(gates, c.matmul(h, direction(c, c.input(2), d), true));
    gates =
        addIf(c, addIf(c, gates, halfBias(c, r, d, 0)), halfBias(c, r, d, 1));
    Value peepholes = direction(c, c.input(7), d);
    auto peek = [&](Value x, int64_t which, Value state) {
      return peepholes ? c.add(x, c.mul(c.slice(peepholes, 0, which * r.hidden,
                                                (which + 1) * r.hidden),
                                        state))
                       : x;
    };
    Value i = squash(c, r, peek(gateInput(c, r, gates, 0), 0, cell), d, 0);
    Value f =
        coupled ? c.sub(c.scalarLike(1, i), i)
                : squash(c, r, peek(gateInput(c, r, gates, 2), 2, cell), d, 0);
    Value z = squash(c, r, gateInput(c, r, gates, 3), d, 1);
    Value next = c.add(c.mul(f, cell), c.mul(i, z));
    Value o = squash(c, r, peek(gateInput(c, r, gates, 1), 1, next), d, 0);
    Value shown = activate(c, r.all[d * 3 + 2], next);
    return SmallVector<Value>{c.mul(o, shown), next};
  });
}

static LogicalResult unrollGRU(C &c, const Recurrent &r) {
  bool after = c.getInt("linear_before_reset", 0);
  return unroll(c, r, [&](int64_t d, Value gates, ArrayRef<Value> states) {
    Value h = states[0], weights = direction(c, c.input(2), d),
          bias = halfBias(c, r, d, 1);
    gates = addIf(c, gates, halfBias(c, r, d, 0));
    auto part = [&](Value x, int64_t gate) {
      return c.slice(x, 0, gate * r.hidden, (gate + 1) * r.hidden);
    };
    auto recurrent = [&](Value state, int64_t gate) {
      return addIf(c, c.matmul(state, part(weights, gate), true),
                   bias ? part(bias, gate) : bias);
    };
    auto gate = [&](int64_t which) {
      return squash(c, r,
                    c.add(gateInput(c, r, gates, which), recurrent(h, which)),
                    d, 0);
    };
    Value z = gate(0), reset = gate(1);
    Value inner =
        after ? c.mul(reset, recurrent(h, 2)) : recurrent(c.mul(reset, h), 2);
    Value fresh = squash(c, r, c.add(gateInput(c, r, gates, 2), inner), d, 1);
    Value next = c.add(c.mul(c.sub(c.scalarLike(1, z), z), fresh), c.mul(z, h));
    return SmallVector<Value>{next};
  });
}

static LogicalResult unrollRNN(C &c, const Recurrent &r) {
  return unroll(c, r, [&](int64_t d, Value gates, ArrayRef<Value> states) {
    Value x =
        c.add(gates, c.matmul(states[0], direction(c, c.input(2), d), true));
    x = addIf(c, addIf(c, x, halfBias(c, r, d, 0)), halfBias(c, r, d, 1));
    return SmallVector<Value>{squash(c, r, x, d, 0)};
  });
}

static LogicalResult lowerLSTM(C &c) {
  auto r = readRecurrent(c, 4, {"sigmoid", "tanh", "tanh"}, 4, 5);
  if (failed(r))
    return failure();
  if (r->unrolled)
    return unrollLSTM(c, *r);
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
      operands,
      {.direction = c.word<Direction>(r->direction),
       .output_sequence = true,
       .recurrent_activation = c.word<GateFunction>(r->activations[0]),
       .cell_activation = c.word<GateFunction>(r->activations[1]),
       .activation = c.word<GateFunction>(r->activations[2])});
  if (results.empty())
    return failure();
  return setOutputs(c, *r, results[0], {results[1], results[2]});
}

/// com.microsoft's LSTM with weights [D,K,4H] in 8 bits, a scale and a zero
/// point for each direction or column: the weights become trees over the
/// integers. The activations, which ONNX Runtime quantises step by step, stay
/// floats.
static LogicalResult lowerDynamicQuantizeLSTM(C &c) {
  auto weight = [&](unsigned i, unsigned scaleInput) -> Value {
    Value w = c.input(i), scale = c.input(scaleInput),
          zero = c.input(scaleInput + 1);
    if (!w || !scale || c.rank(w) != 3)
      return c.error() << "expects W and R of rank 3 with their scales",
             Value();
    auto wide = [&](Value parameter) -> Value {
      if (!parameter || c.type(parameter).getNumElements() == 1)
        return c.reshape(parameter, {});
      int64_t directions = c.shape(w)[0];
      if (c.type(parameter).getNumElements() % directions)
        return c.error() << "expects a scale and a zero point for each "
                            "direction or column, but got "
                         << c.type(parameter),
               Value();
      return c.reshape(
          parameter,
          {directions, 1, c.type(parameter).getNumElements() / directions});
    };
    Value y =
        c.mul(centredCodes(c, w, wide(zero)), c.castTo(wide(scale), c.f32()));
    return c.transpose(y, {0, 2, 1});
  };
  SmallVector<Value> inputs{c.input(0), weight(1, 8), weight(2, 10)};
  if (c.failed())
    return failure();
  for (unsigned i = 3; i < 8; ++i)
    inputs.push_back(c.input(i));
  c.setInputs(std::move(inputs));
  return lowerLSTM(c);
}

/// Joins the results of single-direction ops on the feature axis.
template <typename Make>
static LogicalResult perDirection(C &c, const Recurrent &r, Make make) {
  SmallVector<Value> sequences, states;
  for (int64_t d = 0; d < r.directions; ++d) {
    bool reverse = d == 1 || r.direction == "reverse";
    SmallVector<Value> results =
        make(d, c.slice(r.initialH, 1, d * r.hidden, (d + 1) * r.hidden),
             reverse ? OneDirection::reverse : OneDirection::forward);
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
  if (r->unrolled)
    return unrollGRU(c, *r);
  bool after = c.getInt("linear_before_reset", 0);
  return perDirection(c, *r, [&](int64_t d, Value h, OneDirection direct) {
    // ONNX: zrh -> MIL: r,o,z.
    Value bias = direction(c, c.input(3), d), input, recurrent;
    if (bias) {
      input = reorderGates(c, c.slice(bias, 0, 0, 3 * r->hidden), {1, 2, 0});
      recurrent = reorderGates(
          c, c.slice(bias, 0, 3 * r->hidden, 6 * r->hidden), {1, 2, 0});
    }
    Value sum = bias && !after ? c.add(input, recurrent) : recurrent;
    return c.createMany<GruOp>(
        {r->x, h, reorderGates(c, direction(c, c.input(1), d), {1, 2, 0}),
         reorderGates(c, direction(c, c.input(2), d), {1, 2, 0}), sum,
         after ? input : Value()},
        {.direction = direct,
         .output_sequence = true,
         .recurrent_activation = c.word<GateFunction>(r->activations[0]),
         .activation = c.word<GateFunction>(r->activations[1]),
         .reset_after = after ? std::optional(true) : std::nullopt});
  });
}

static LogicalResult lowerRNN(C &c) {
  auto r = readRecurrent(c, 1, {"tanh"}, 4, 5);
  if (failed(r))
    return failure();
  if (r->unrolled)
    return unrollRNN(c, *r);
  return perDirection(c, *r, [&](int64_t d, Value h, OneDirection direct) {
    Value bias = direction(c, c.input(3), d);
    if (bias)
      bias = c.add(c.slice(bias, 0, 0, r->hidden),
                   c.slice(bias, 0, r->hidden, 2 * r->hidden));
    return c.createMany<RnnOp>(
        {r->x, h, direction(c, c.input(1), d), direction(c, c.input(2), d),
         bias},
        {.direction = direct,
         .output_sequence = true,
         .activation = c.word<GateFunction>(r->activations[0])});
  });
}

void mlir::ane::addRecurrentHandlers(HandlerTable &t) {
  t.add("LSTM", 7, lowerLSTM);
  t.add("DynamicQuantizeLSTM", 1, lowerDynamicQuantizeLSTM, "com.microsoft");
  t.add("GRU", 7, lowerGRU);
  t.add("RNN", 7, lowerRNN);
}
