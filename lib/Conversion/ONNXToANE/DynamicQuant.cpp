//===- DynamicQuant.cpp - quantised activations become floats -------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// What a dynamic quantiser writes is
//
//   q, s, z = DynamicQuantizeLinear(x)
//   y = Mul(Cast(MatMulInteger(q, W, z, w_zero)), Mul(s, w_scale))
//
// The engine has no integer products, and sums of codes go far beyond what fp16
// holds. So it is computed as x times (W - w_zero) * w_scale: the weight stays
// the file's integers, the activation is not quantised. That is right when
// every value that is in units of s meets s again, which is followed through
// the whole graph here: each value has a power of each scale as its unit, and
// all of them have to be gone wherever the graph looks at a value. Where they
// are not (an output in integers, say) the integers are kept.
//
//===----------------------------------------------------------------------===//

#include "Lowering.h"
#include "llvm/ADT/DenseSet.h"
#include <map>

using namespace mlir;
using namespace mlir::ane;
using onnxir::NodeOp;

namespace {
/// Powers of the scales, by quantiser; none that is 0.
using Unit = std::map<unsigned, int>;

class DynamicQuantisation {
public:
  explicit DynamicQuantisation(onnxir::GraphOp graph) : graph(graph) {}
  void run();

private:
  void analyse();
  void visit(NodeOp node);
  bool visitProduct(NodeOp node, unsigned a, unsigned aZero, int b, int bZero);
  bool visitScaled(NodeOp node, unsigned x, unsigned scale, unsigned zero);
  void rewriteProduct(NodeOp node);
  void reject(Value value);
  bool isMarked(Value value) const {
    return codes.count(value) || zeros.count(value) || units.count(value);
  }
  void setUnit(Value value, Unit unit) {
    for (auto it = unit.begin(); it != unit.end();)
      it = it->second == 0 ? unit.erase(it) : std::next(it);
    if (!unit.empty())
      units[value] = std::move(unit);
  }
  /// Which quantiser a code, a zero point or exactly one scale is of.
  std::optional<unsigned>
  quantiserOf(const llvm::DenseMap<Value, unsigned> &map, Value value) const {
    auto it = map.find(value);
    return it == map.end() ? std::nullopt : std::optional(it->second);
  }
  std::optional<unsigned> scaleOf(Value value) const {
    auto it = units.find(value);
    if (it == units.end() || it->second.size() != 1 ||
        it->second.begin()->second != 1)
      return std::nullopt;
    // A multiple of the scale has its unit too.
    unsigned id = it->second.begin()->first;
    return scales.count(value) ? std::optional(id) : std::nullopt;
  }

  onnxir::GraphOp graph;
  SmallVector<NodeOp> quantisers;
  llvm::DenseSet<unsigned> rejected;
  llvm::DenseMap<Value, unsigned> codes, zeros;
  llvm::DenseSet<Value> scales;
  llvm::DenseMap<Value, Unit> units;
  SmallVector<NodeOp> products, scaled;
};
} // namespace

static bool is(NodeOp node, StringRef op, StringRef domain = "") {
  return node.getOpType() == op && node.getDomain() == domain;
}
/// The input, or null where there is none.
static Value inputOf(NodeOp node, unsigned i) {
  if (i >= node.getInputs().size())
    return {};
  Value value = node.getInputs()[i];
  return value.getDefiningOp<onnxir::NoneOp>() ? Value() : value;
}

void DynamicQuantisation::reject(Value value) {
  if (auto id = quantiserOf(codes, value))
    rejected.insert(*id);
  if (auto id = quantiserOf(zeros, value))
    rejected.insert(*id);
  if (auto it = units.find(value); it != units.end())
    for (auto &entry : it->second)
      rejected.insert(entry.first);
}

/// An integer product of which at least one operand is codes with their own
/// zero point.
bool DynamicQuantisation::visitProduct(NodeOp node, unsigned a, unsigned aZero,
                                       int b, int bZero) {
  Unit unit;
  auto take = [&](int x, int zero) {
    Value value = inputOf(node, x), origin = inputOf(node, zero);
    std::optional<unsigned> id = quantiserOf(codes, value);
    if (!id)
      return !isMarked(value) && !(origin && isMarked(origin));
    if (!origin || quantiserOf(zeros, origin) != id)
      return false;
    --unit[*id];
    return true;
  };
  if (!take(a, aZero) || !take(b, bZero))
    return false;
  setUnit(node.getResult(0), unit);
  products.push_back(node);
  return true;
}

/// An operator that takes codes, their scale and their zero point: it has its
/// operand back.
bool DynamicQuantisation::visitScaled(NodeOp node, unsigned x, unsigned scale,
                                      unsigned zero) {
  std::optional<unsigned> id = quantiserOf(codes, inputOf(node, x));
  if (!id || !inputOf(node, scale) || !inputOf(node, zero) ||
      scaleOf(inputOf(node, scale)) != id ||
      quantiserOf(zeros, inputOf(node, zero)) != id)
    return false;
  for (auto [i, input] : llvm::enumerate(node.getInputs()))
    if (i != x && i != scale && i != zero && isMarked(input))
      return false;
  scaled.push_back(node);
  return true;
}

void DynamicQuantisation::visit(NodeOp node) {
  auto rejectInputs = [&] {
    for (Value input : node.getInputs())
      reject(input);
  };
  if (is(node, "DynamicQuantizeLinear")) {
    rejectInputs();
    unsigned id = llvm::find(quantisers, node) - quantisers.begin();
    if (rejected.contains(id) || node.getNumResults() != 3)
      return;
    codes[node.getResult(0)] = id;
    units[node.getResult(1)] = {{id, 1}};
    scales.insert(node.getResult(1));
    zeros[node.getResult(2)] = id;
    return;
  }
  if (!llvm::any_of(node.getInputs(), [&](Value v) { return isMarked(v); }))
    return;
  auto done = [&](bool good) {
    if (!good)
      rejectInputs();
  };
  if (is(node, "MatMulInteger") || is(node, "ConvInteger"))
    return done(visitProduct(node, 0, 2, 1, 3));
  if (is(node, "DequantizeLinear") ||
      is(node, "DequantizeLinear", "com.microsoft"))
    return done(visitScaled(node, 0, 1, 2));
  if (is(node, "MatMulIntegerToFloat", "com.microsoft"))
    return done(visitScaled(node, 0, 2, 4));
  if (is(node, "QAttention", "com.microsoft"))
    return done(visitScaled(node, 0, 3, 6));
  auto unitOf = [&](Value value) {
    auto it = units.find(value);
    return it == units.end() ? Unit() : it->second;
  };
  bool integers = llvm::any_of(node.getInputs(), [&](Value v) {
    return codes.count(v) || zeros.count(v);
  });
  if (!node.getDomain().empty() || node.getNumResults() != 1)
    return rejectInputs();
  Value result = node.getResult(0), first = inputOf(node, 0);
  StringRef op = node.getOpType();
  // What only moves elements.
  if (llvm::is_contained({"Reshape", "Transpose", "Squeeze", "Unsqueeze",
                          "Flatten", "Slice", "Gather", "Expand", "Identity"},
                         op)) {
    for (Value input : node.getInputs().drop_front())
      if (isMarked(input))
        return rejectInputs();
    if (auto id = quantiserOf(codes, first))
      codes[result] = *id;
    else if (auto id = quantiserOf(zeros, first))
      zeros[result] = *id;
    else
      setUnit(result, unitOf(first));
    if (scales.contains(first))
      scales.insert(result);
    return;
  }
  if (integers)
    return rejectInputs();
  if (op == "Cast") {
    auto to = dyn_cast_or_null<IntegerAttr>(node.getOnnxAttributes().get("to"));
    if (!to || !llvm::is_contained({1, 10, 11, 16}, to.getInt()))
      return rejectInputs();
    return setUnit(result, unitOf(first));
  }
  if (op == "Mul" || op == "Div") {
    Unit unit = unitOf(first);
    for (auto &[id, power] : unitOf(inputOf(node, 1)))
      unit[id] += op == "Mul" ? power : -power;
    return setUnit(result, unit);
  }
  if (llvm::is_contained({"Add", "Sub", "Concat", "Sum"}, op)) {
    for (Value input : node.getInputs())
      if (unitOf(input) != unitOf(first))
        return rejectInputs();
    return setUnit(result, unitOf(first));
  }
  if (llvm::is_contained({"Relu", "Neg"}, op)) // scales are positive
    return setUnit(result, unitOf(first));
  rejectInputs();
}

void DynamicQuantisation::analyse() {
  codes.clear();
  zeros.clear();
  scales.clear();
  units.clear();
  products.clear();
  scaled.clear();
  graph.getBody().walk<WalkOrder::PreOrder>([&](Operation *op) {
    if (auto node = dyn_cast<NodeOp>(op))
      visit(node);
    else
      for (Value operand : op->getOperands())
        reject(operand);
  });
}

/// The factors of a product of constants, or false.
static bool collectFactors(Value value, SmallVectorImpl<Value> &factors,
                           unsigned depth = 0) {
  if (value.getDefiningOp<onnxir::ConstantOp>()) {
    factors.push_back(value);
    return true;
  }
  auto node = value.getDefiningOp<NodeOp>();
  return node && depth < 8 && is(node, "Mul") && node.getInputs().size() == 2 &&
         collectFactors(node.getInputs()[0], factors, depth + 1) &&
         collectFactors(node.getInputs()[1], factors, depth + 1);
}

/// Makes the float product where its scale is applied, with the scale among its
/// operands: weights take it.
void DynamicQuantisation::rewriteProduct(NodeOp node) {
  SmallVector<Value> operands;
  for (unsigned i = 0; i < 4; ++i)
    operands.push_back(inputOf(node, i));
  OpBuilder b(node);
  Value result = node.getResult(0), last = result;
  while (last.hasOneUse()) {
    auto user = dyn_cast<NodeOp>(*last.user_begin());
    if (!user || user->getBlock() != node->getBlock() ||
        user.getNumResults() != 1)
      break;
    if (is(user, "Cast")) {
      last = user.getResult(0);
      continue;
    }
    SmallVector<Value> factors;
    if (!is(user, "Mul") || user.getInputs().size() != 2 ||
        !collectFactors(user.getInputs()[user.getInputs()[0] == last], factors))
      break;
    last = user.getResult(0);
    result = last;
    llvm::append_range(operands, factors);
  }
  // All of the factors are there by the last of the multiplications.
  b.setInsertionPoint(result.getDefiningOp());
  for (Value &operand : operands)
    if (!operand)
      operand = onnxir::NoneOp::create(b, node.getLoc(),
                                       onnxir::ValueType::get(b.getContext()));
  auto made = NodeOp::create(
      b, node.getLoc(), result.getType(), b.getStringAttr("ane-mlir"),
      b.getStringAttr(is(node, "ConvInteger") ? "FloatConvInteger"
                                              : "FloatMatMulInteger"),
      b.getI64IntegerAttr(1), node.getOnnxAttributes(), b.getStrArrayAttr({}),
      operands, 0);
  result.replaceAllUsesWith(made.getResult(0));
}

void DynamicQuantisation::run() {
  graph.getBody().walk([&](NodeOp node) {
    if (is(node, "DynamicQuantizeLinear"))
      quantisers.push_back(node);
  });
  if (quantisers.empty())
    return;
  // A rejected quantiser may take others with it, with which it is multiplied.
  for (size_t before = -1; before != rejected.size();) {
    before = rejected.size();
    analyse();
  }
  if (rejected.size() == quantisers.size())
    return;
  OpBuilder b(graph.getContext());
  for (auto [id, node] : llvm::enumerate(quantisers)) {
    if (rejected.contains(id))
      continue;
    b.setInsertionPoint(node);
    auto scalar = RankedTensorType::get({}, b.getF32Type());
    node.getResult(0).replaceAllUsesWith(node.getInputs()[0]);
    node.getResult(1).replaceAllUsesWith(onnxir::ConstantOp::create(
        b, node.getLoc(), scalar, DenseElementsAttr::get(scalar, 1.0f)));
    node.getResult(2).replaceAllUsesWith(onnxir::NoneOp::create(
        b, node.getLoc(), onnxir::ValueType::get(b.getContext())));
    node.erase();
  }
  for (NodeOp node : scaled)
    if (node.getOpType() == "DequantizeLinear")
      node.getResult(0).replaceAllUsesWith(node.getInputs()[0]);
  for (NodeOp node : products)
    rewriteProduct(node);
  for (size_t count = -1; count;) { // what nobody reads any more
    count = 0;
    graph.getBody().walk([&](Operation *op) {
      if (op->use_empty() && !op->hasTrait<OpTrait::IsTerminator>() &&
          op->getNumResults()) {
        op->erase();
        ++count;
      }
    });
  }
  size_t kept = rejected.size(), changed = quantisers.size() - kept;
  InFlightDiagnostic warning =
      emitWarning(graph.getLoc())
      << "computes with activations that the model would quantise while it "
         "runs ("
      << changed << " DynamicQuantizeLinear): the engine has no integer "
      << "products, so weights stay integers and activations are floats, and "
         "results differ from the model's own by what 8 bits round there, "
         "which the accuracy against fp32 does not count";
  if (kept)
    warning << "; " << kept << " others are kept, because their integers are "
            << "used otherwise";
}

void mlir::ane::dropDynamicQuantisation(onnxir::GraphOp graph) {
  DynamicQuantisation(graph).run();
}
