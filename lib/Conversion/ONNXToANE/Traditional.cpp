//===- Traditional.cpp - ai.onnx.ml and n-gram counts ---------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// What classical models need, out of tensor algebra: linear models and support
// vectors are products, a tree is walked for all rows and trees at once by
// gathering node tables, one level at a time.
//
//===----------------------------------------------------------------------===//

#include "Lowering.h"
#include "dialects/ANE/IR/Arithmetic.h"
#include "dialects/ANE/IR/Comparison.h"
#include "dialects/ANE/IR/Gather.h"
#include "dialects/ANE/IR/Norm.h"
#include "dialects/ANE/IR/Reduction.h"
#include "dialects/ANE/IR/Unary.h"
#include <cmath>
#include <map>

using namespace mlir;
using namespace mlir::ane;

using C = NodeContext;

/// A list attribute of floats, or a tensor attribute of that name.
static SmallVector<float> floatList(C &c, StringRef name) {
  if (auto list = c.getFloats(name))
    return *list;
  SmallVector<float> values;
  for (std::string key : {name.str(), (name + "_as_tensor").str()})
    if (auto elements = dyn_cast_or_null<ElementsAttr>(c.attribute(key)))
      if (FailureOr<Tensor> tensor = Tensor::fromElements(elements);
          succeeded(tensor)) {
        for (int64_t i = 0; i < tensor->size(); ++i)
          values.push_back(tensor->isFloat() ? tensor->floats()[i]
                                             : float(tensor->ints()[i]));
      }
  return values;
}
static SmallVector<int64_t> intList(C &c, StringRef name) {
  if (auto list = c.getInts(name))
    return *list;
  SmallVector<int64_t> values;
  for (float value : floatList(c, name))
    values.push_back(floatToInteger(value));
  return values;
}
static LogicalResult refuseStrings(C &c, ArrayRef<StringRef> names) {
  for (StringRef name : names)
    if (c.attribute(name))
      return c.error() << "with " << name
                       << " is not supported: only numbers are computed";
  return success();
}
/// [N,F] in fp32; a vector is one row.
static Value matrix(C &c, Value x) {
  if (!x || c.rank(x) < 1 || c.rank(x) > 2)
    return c.error() << "expects an input of rank 1 or 2", Value();
  Value y = c.castTo(x, c.f32());
  return c.rank(x) == 1 ? c.reshape(y, {1, c.shape(x)[0]}) : y;
}
static Value row(C &c, ArrayRef<float> values) {
  return c.floats({1, int64_t(values.size())}, values);
}

/// NONE, LOGISTIC, SOFTMAX, SOFTMAX_ZERO, PROBIT over [N,E].
static Value postTransform(C &c, Value scores, StringRef kind) {
  if (kind == "NONE")
    return scores;
  if (kind == "LOGISTIC")
    return c.create<SigmoidOp>({scores});
  if (kind == "SOFTMAX")
    return c.create<SoftmaxOp>({scores}, {.axis = 1});
  if (kind == "SOFTMAX_ZERO") {
    // Scores that are exactly zero stay so.
    Value p = c.create<SoftmaxOp>({scores}, {.axis = 1});
    Value zero = c.create<EqualOp>({scores, c.scalarLike(0, scores)});
    return c.create<SelectOp>({zero, c.scalarLike(0, scores), p});
  }
  return c.error() << "with post_transform " << kind << " is not supported",
         Value();
}

static LogicalResult lowerBinarizer(C &c) {
  Value x = c.input(0);
  Value above =
      c.create<GreaterOp>({x, c.scalarLike(c.getFloat("threshold", 0), x)});
  return c.set(0, c.castTo(above, c.element(x)));
}

static LogicalResult lowerScaler(C &c) {
  Value x = matrix(c, c.input(0));
  SmallVector<float> offset = floatList(c, "offset"),
                     scale = floatList(c, "scale");
  if (!x)
    return failure();
  for (auto *list : {&offset, &scale})
    if ((int64_t)list->size() != 1 && (int64_t)list->size() != c.shape(x)[1])
      return c.error() << "expects one offset and scale, or one per feature";
  Value y = c.mul(c.sub(x, row(c, offset)), row(c, scale));
  return c.set(0, c.reshape(y, c.shape(c.input(0))));
}

static LogicalResult lowerNormalizer(C &c) {
  Value x = matrix(c, c.input(0));
  if (!x)
    return failure();
  std::string kind = c.getString("norm", "MAX");
  Value norm;
  if (kind == "MAX")
    norm = c.create<ReduceMaxOp>({c.create<AbsOp>({x})},
                                 {.axes = {1}, .keep_dims = true});
  else if (kind == "L1")
    norm = c.create<ReduceL1NormOp>({x}, {.axes = {1}, .keep_dims = true});
  else if (kind == "L2")
    norm = c.create<ReduceL2NormOp>({x}, {.axes = {1}, .keep_dims = true});
  else
    return c.error() << "has norm '" << kind << "', which is not known";
  Value zero = c.create<EqualOp>({norm, c.scalar(0, c.f32())});
  norm = c.create<SelectOp>({zero, c.scalar(1, c.f32()), norm});
  return c.set(0, c.reshape(c.div(x, norm), c.shape(c.input(0))));
}

static LogicalResult lowerImputer(C &c) {
  Value x = c.input(0);
  bool isFloat = c.isFloat(x);
  SmallVector<float> values =
      floatList(c, isFloat ? "imputed_value_floats" : "imputed_value_int64s");
  if (!isFloat)
    for (int64_t value : intList(c, "imputed_value_int64s"))
      values.push_back(float(value));
  int64_t features = c.rank(x) ? c.shape(x).back() : 1;
  if (values.size() != 1 && (int64_t)values.size() != features)
    return c.error() << "expects one imputed value, or one per feature";
  double replaced = isFloat ? c.getFloat("replaced_value_float", NAN)
                            : double(c.getInt("replaced_value_int64", 0));
  Value missing = std::isnan(replaced)
                      ? c.create<NotEqualOp>({x, x})
                      : c.create<EqualOp>({x, c.scalarLike(replaced, x)});
  Value fill =
      c.castTo(c.floats({int64_t(values.size())}, values), c.element(x));
  return c.set(0, c.create<SelectOp>({missing, fill, x}));
}

static LogicalResult lowerArrayFeatureExtractor(C &c) {
  Value x = c.input(0), indices = c.input(1);
  int64_t count = c.type(indices).getNumElements();
  if (c.rank(x) < 1)
    return c.error() << "expects an input of rank 1 or more";
  Value y = c.gather(x, c.reshape(indices, {count}), c.rank(x) - 1);
  return c.set(0, y && c.rank(x) == 1 ? c.reshape(y, {1, count}) : y);
}

static LogicalResult lowerFeatureVectorizer(C &c) {
  SmallVector<Value> parts;
  for (unsigned i = 0; i < c.numInputs(); ++i)
    parts.push_back(matrix(c, c.input(i)));
  if (c.failed() || parts.empty())
    return failure();
  return c.set(0, c.concat(parts, 1));
}

static LogicalResult lowerOneHotEncoder(C &c) {
  if (failed(refuseStrings(c, {"cats_strings"})))
    return failure();
  SmallVector<int64_t> categories = intList(c, "cats_int64s");
  Value x = c.input(0);
  if (!c.getInt("zeros", 1))
    return c.error() << "with zeros=0 is not supported: an unknown category "
                        "would have to fail at run time";
  SmallVector<int64_t> shape(c.shape(x));
  shape.push_back(1);
  Value y =
      c.create<EqualOp>({c.reshape(c.castTo(x, c.i32()), shape),
                         c.ints({int64_t(categories.size())}, categories)});
  return c.set(0, c.castTo(y, c.f32()));
}

/// Numbers to numbers by comparing with every key.
static LogicalResult lowerLabelEncoder(C &c) {
  if (failed(refuseStrings(c, {"keys_strings", "values_strings",
                               "classes_strings", "default_string"})))
    return failure();
  Value x = c.input(0);
  bool toFloat = c.attribute("values_floats") != nullptr;
  SmallVector<float> keys, values;
  for (StringRef name : {"keys_floats", "keys_tensor"})
    llvm::append_range(keys, floatList(c, name));
  for (int64_t key : intList(c, "keys_int64s"))
    keys.push_back(float(key));
  for (StringRef name : {"values_floats", "values_tensor"})
    llvm::append_range(values, floatList(c, name));
  for (int64_t value : intList(c, "values_int64s"))
    values.push_back(float(value));
  if (auto tensor =
          dyn_cast_or_null<ElementsAttr>(c.attribute("values_tensor")))
    toFloat = isa<FloatType>(tensor.getElementType());
  if (keys.empty() || keys.size() != values.size())
    return c.error() << "expects as many keys as values";
  // Compared and carried in fp32, so only what that holds.
  for (float value : keys)
    if (std::fabs(value) > (1 << 24))
      return c.error() << "expects keys within 2^24";
  for (float value : values)
    if (!toFloat && std::fabs(value) > (1 << 24))
      return c.error() << "expects values within 2^24";
  double fallback = toFloat ? c.getFloat("default_float", -0.0)
                            : double(c.getInt("default_int64", -1));
  if (SmallVector<float> given = floatList(c, "default_tensor"); !given.empty())
    fallback = given[0];
  int64_t count = keys.size();
  SmallVector<int64_t> shape(c.shape(x));
  shape.push_back(1);
  Value data = c.reshape(c.castTo(x, c.f32()), shape);
  Value table = c.floats({count}, keys);
  Value hit = c.create<EqualOp>({data, table});
  if (llvm::any_of(keys, [](float k) { return std::isnan(k); }))
    hit = c.create<LogicalOrOp>(
        {hit, c.create<LogicalAndOp>({c.create<NotEqualOp>({data, data}),
                                      c.create<NotEqualOp>({table, table})})});
  Value flags = c.castTo(hit, c.f32());
  int64_t last = c.rank(x);
  Value any =
      c.create<ReduceMaxOp>({flags}, {.axes = {last}, .keep_dims = false});
  Value which = c.create<ReduceArgmaxOp>({flags}, {.axis = last});
  Value found = c.gather(c.floats({count}, values), which, 0);
  Value y =
      c.create<SelectOp>({c.create<NotEqualOp>({any, c.scalar(0, c.f32())}),
                          found, c.scalar(fallback, c.f32())});
  return c.set(0, toFloat ? y : c.castTo(y, c.graph.builder.getI64Type()));
}

//===----------------------------------------------------------------------===//
// Linear models and support vectors
//===----------------------------------------------------------------------===//

/// X times coefficients [E,F] plus intercepts, E scores per row.
static Value linearScores(C &c, int64_t outputs) {
  Value x = matrix(c, c.input(0));
  SmallVector<float> weights = floatList(c, "coefficients"),
                     bias = floatList(c, "intercepts");
  if (!x)
    return {};
  if ((int64_t)weights.size() != outputs * c.shape(x)[1] ||
      (!bias.empty() && (int64_t)bias.size() != outputs))
    return c.error() << "expects " << outputs << " x " << c.shape(x)[1]
                     << " coefficients and " << outputs << " intercepts",
           Value();
  Value y = c.matmul(x, c.floats({outputs, c.shape(x)[1]}, weights), true);
  return bias.empty() ? y : c.add(y, row(c, bias));
}

static LogicalResult lowerLinearRegressor(C &c) {
  Value y = linearScores(c, c.getInt("targets", 1));
  return y ? c.set(0,
                   postTransform(c, y, c.getString("post_transform", "NONE")))
           : failure();
}

/// The label of the best of [N,E] scores.
static Value labelOf(C &c, Value scores, ArrayRef<int64_t> labels) {
  Value best = c.create<ReduceArgmaxOp>({scores}, {.axis = 1});
  return c.castTo(c.gather(c.ints({int64_t(labels.size())}, labels), best, 0),
                  c.graph.builder.getI64Type());
}

static LogicalResult lowerLinearClassifier(C &c) {
  if (failed(refuseStrings(c, {"classlabels_strings"})))
    return failure();
  SmallVector<int64_t> labels = intList(c, "classlabels_ints");
  int64_t outputs = floatList(c, "intercepts").size();
  if (outputs < 2 || (int64_t)labels.size() != outputs)
    return c.error() << "expects an intercept and an integer label per class, "
                        "at least two";
  Value scores = linearScores(c, outputs);
  if (!scores)
    return failure();
  c.put(0, labelOf(c, scores, labels));
  return c.set(1,
               postTransform(c, scores, c.getString("post_transform", "NONE")));
}

static LogicalResult lowerSVMRegressor(C &c) {
  Value x = matrix(c, c.input(0));
  SmallVector<float> weights = floatList(c, "coefficients"),
                     vectors = floatList(c, "support_vectors"),
                     rho = floatList(c, "rho"),
                     params = floatList(c, "kernel_params");
  if (!x)
    return failure();
  std::string kernel = c.getString("kernel_type", "LINEAR");
  int64_t features = c.shape(x)[1], supports = c.getInt("n_supports", 0);
  if (c.getInt("one_class", 0) || rho.size() != 1)
    return c.error() << "expects one rho and one_class=0";
  if (supports == 0) { // a linear model with the weights themselves
    if ((int64_t)weights.size() != features)
      return c.error() << "expects a coefficient per feature";
    Value y = c.matmul(x, c.floats({1, features}, weights), true);
    return c.set(0, postTransform(c, c.add(y, row(c, rho)),
                                  c.getString("post_transform", "NONE")));
  }
  if ((int64_t)vectors.size() != supports * features ||
      (int64_t)weights.size() != supports ||
      (kernel != "LINEAR" && params.size() != 3))
    return c.error() << "expects n_supports vectors of " << features
                     << " features, as many coefficients, and kernel_params "
                        "gamma, coef0, degree";
  Value support = c.floats({supports, features}, vectors);
  Value k = c.matmul(x, support, true); // [N, supports]
  if (kernel == "RBF") {
    Value squares = c.reduceSum(c.mul(x, x), {1}, true);
    SmallVector<float> norms;
    for (int64_t i = 0; i < supports; ++i) {
      double sum = 0;
      for (int64_t f = 0; f < features; ++f)
        sum += double(vectors[i * features + f]) * vectors[i * features + f];
      norms.push_back(float(sum));
    }
    Value distance =
        c.sub(c.add(squares, row(c, norms)), c.mul(k, c.scalar(2, c.f32())));
    k = c.create<ExpOp>({c.mul(distance, c.scalar(-params[0], c.f32()))});
  } else if (kernel == "POLY" || kernel == "SIGMOID") {
    k = c.add(c.mul(k, c.scalar(params[0], c.f32())),
              c.scalar(params[1], c.f32()));
    k = kernel == "POLY" ? c.create<PowOp>({k, c.scalar(params[2], c.f32())})
                         : c.create<TanhOp>({k});
  } else if (kernel != "LINEAR") {
    return c.error() << "has kernel_type '" << kernel
                     << "', which is not known";
  }
  Value y =
      c.add(c.matmul(k, c.floats({1, supports}, weights), true), row(c, rho));
  return c.set(0, postTransform(c, y, c.getString("post_transform", "NONE")));
}

//===----------------------------------------------------------------------===//
// Trees
//===----------------------------------------------------------------------===//

namespace {
enum Mode : int64_t { LEQ, LT, GTE, GT, EQ, NEQ, MEMBER };
/// Every node of every tree in one table; a leaf is its own successor.
struct Forest {
  SmallVector<int64_t> roots, feature, mode, onTrue, onFalse, missing;
  SmallVector<float> split;
  /// Per leaf: (target, weight).
  std::map<int64_t, SmallVector<std::pair<int64_t, float>>> leaves;
  std::map<int64_t, SmallVector<float>> members;
  int64_t targets = 1;
  std::string aggregate = "SUM";
  int64_t size() const { return mode.size(); }
};
} // namespace

/// Levels below the roots, or failure when the nodes form a cycle or leave the
/// table.
static FailureOr<int64_t> depthOf(C &c, const Forest &f) {
  SmallVector<int64_t> level(f.roots);
  SmallVector<int64_t> seen(f.size(), 0);
  for (int64_t depth = 0;; ++depth) {
    SmallVector<int64_t> next;
    for (int64_t node : level) {
      if (node < 0 || node >= f.size())
        return c.error() << "names node " << node << ", but there are "
                         << f.size();
      if (++seen[node] > 1)
        return c.error() << "reaches node " << node
                         << " twice; trees are expected";
      if (!f.leaves.count(node))
        next.append({f.onTrue[node], f.onFalse[node]});
    }
    if (next.empty())
      return depth;
    level = next;
  }
}

/// Features and targets that exist, and not more leaves than a table holds.
static LogicalResult checkForest(C &c, const Forest &f, int64_t features) {
  for (int64_t feature : f.feature)
    if (feature < 0 || feature >= features)
      return c.error() << "asks for feature " << feature << " of " << features;
  for (auto &[leaf, entries] : f.leaves)
    for (auto &[target, weight] : entries)
      if (target < 0 || target >= f.targets)
        return c.error() << "has target " << target << " of " << f.targets;
  if (f.size() * f.targets > (1 << 26))
    return c.error() << "has too many leaves for a table";
  return success();
}

/// Sets of the nodes that ask for membership, each padded with NaN.
static Value memberTable(C &c, const Forest &f) {
  int64_t most = 0, nodes = f.size();
  for (auto &[node, set] : f.members)
    most = std::max<int64_t>(most, set.size());
  if (!most)
    return {};
  SmallVector<float> flat(nodes * most, NAN);
  for (auto &[node, set] : f.members)
    llvm::copy(set, flat.begin() + node * most);
  return c.floats({nodes, most}, flat);
}

namespace {
/// The trees as tables by node, and the node that each row has come to in each.
struct ForestWalk {
  C &c;
  Value x, feature, split, mode, onTrue, onFalse, missing, sets;
  bool tracks;
  /// Modes of interior nodes.
  llvm::SmallDenseSet<int64_t> modes;
  SmallVector<int64_t> shape; // rows, trees

  ForestWalk(C &c, const Forest &f, Value x)
      : c(c), x(x),
        tracks(llvm::any_of(f.missing, [](int64_t m) { return m != 0; })),
        shape{c.shape(x)[0], (int64_t)f.roots.size()} {
    int64_t nodes = f.size();
    auto table = [&](ArrayRef<int64_t> v) { return c.ints({nodes}, v); };
    feature = table(f.feature), split = c.floats({nodes}, f.split),
    mode = table(f.mode), onTrue = table(f.onTrue), onFalse = table(f.onFalse),
    missing = table(f.missing);
    sets = memberTable(c, f);
    for (int64_t node = 0; node < nodes; ++node)
      if (!f.leaves.count(node))
        modes.insert(f.mode[node]);
  }
  Value holds(Mode which, Value value, Value limit, Value at);
  Value step(Value at);
};
} // namespace

Value ForestWalk::holds(Mode which, Value value, Value limit, Value at) {
  switch (which) {
  case LEQ:
    return c.create<LessEqualOp>({value, limit});
  case LT:
    return c.create<LessOp>({value, limit});
  case GTE:
    return c.create<GreaterEqualOp>({value, limit});
  case GT:
    return c.create<GreaterOp>({value, limit});
  case EQ:
    return c.create<EqualOp>({value, limit});
  case NEQ:
    return c.create<NotEqualOp>({value, limit});
  case MEMBER: {
    Value hit = c.create<EqualOp>(
        {c.reshape(value, {shape[0], shape[1], 1}), c.gather(sets, at, 0)});
    Value any = c.create<ReduceMaxOp>({c.castTo(hit, c.f32())},
                                      {.axes = {2}, .keep_dims = false});
    return c.create<NotEqualOp>({any, c.scalar(0, c.f32())});
  }
  }
  return {};
}

/// One level down; leaves stay where they are.
Value ForestWalk::step(Value at) {
  Value value =
      c.create<GatherAlongAxisOp>({x, c.gather(feature, at, 0)}, {.axis = 1});
  Value limit = c.gather(split, at, 0), kind = c.gather(mode, at, 0), taken;
  for (int64_t which = LEQ; which <= MEMBER; ++which) {
    if (!modes.contains(which))
      continue;
    Value now = holds(Mode(which), value, limit, at);
    taken = taken ? c.create<SelectOp>(
                        {c.create<EqualOp>({kind, c.scalar(which, c.i32())}),
                         now, taken})
                  : now;
  }
  if (tracks) {
    Value unknown = c.create<NotEqualOp>({value, value});
    Value follows =
        c.create<NotEqualOp>({c.gather(missing, at, 0), c.scalar(0, c.i32())});
    taken = c.create<LogicalOrOp>(
        {taken, c.create<LogicalAndOp>({unknown, follows})});
  }
  return c.create<SelectOp>(
      {taken, c.gather(onTrue, at, 0), c.gather(onFalse, at, 0)});
}

/// Whether any leaf that a row has come to speaks of a target.
static Value spokenTargets(C &c, const Forest &f, Value at) {
  int64_t nodes = f.size();
  SmallVector<float> flags(nodes * f.targets);
  for (auto &[leaf, entries] : f.leaves)
    for (auto &[target, weight] : entries)
      flags[leaf * f.targets + target] = 1;
  Value any = c.create<ReduceMaxOp>(
      {c.gather(c.floats({nodes, f.targets}, flags), at, 0)},
      {.axes = {1}, .keep_dims = false});
  return c.create<NotEqualOp>({any, c.scalar(0, c.f32())});
}

/// The weights of the leaves that a row has come to, over all trees.
static Value scoreLeaves(C &c, const Forest &f, Value at) {
  int64_t nodes = f.size(), trees = f.roots.size();
  bool extreme = f.aggregate == "MIN" || f.aggregate == "MAX";
  float absent = !extreme ? 0 : f.aggregate == "MIN" ? INFINITY : -INFINITY;
  SmallVector<float> weights(nodes * f.targets, absent);
  for (auto &[leaf, entries] : f.leaves)
    for (auto &[target, weight] : entries) {
      float &slot = weights[leaf * f.targets + target];
      slot = slot == absent ? weight : slot + weight;
    }
  Value scores = c.gather(c.floats({nodes, f.targets}, weights), at, 0);
  if (f.aggregate == "MIN")
    scores = c.create<ReduceMinOp>({scores}, {.axes = {1}, .keep_dims = false});
  else if (f.aggregate == "MAX")
    scores = c.create<ReduceMaxOp>({scores}, {.axes = {1}, .keep_dims = false});
  else
    scores = c.create<ReduceSumOp>({scores}, {.axes = {1}, .keep_dims = false});
  if (f.aggregate == "AVERAGE")
    scores = c.mul(scores, c.scalar(1.0 / trees, c.f32()));
  if (!extreme)
    return scores;
  // A target that no tree speaks of.
  Value none = c.create<EqualOp>({scores, c.scalar(absent, c.f32())});
  return c.create<SelectOp>({none, c.scalar(0, c.f32()), scores});
}

/// Scores [N, targets]; `spoken`, where wanted, is true for targets that some
/// leaf of the row speaks of.
static Value walkForest(C &c, const Forest &f, Value *spoken = nullptr) {
  Value x = matrix(c, c.input(0));
  FailureOr<int64_t> depth = depthOf(c, f);
  if (!x || failed(depth) || failed(checkForest(c, f, c.shape(x)[1])))
    return {};
  ForestWalk walk(c, f, x);
  Value at = c.broadcastTo(c.ints({1, walk.shape[1]}, f.roots), walk.shape);
  for (int64_t level = 0; level < *depth && at; ++level)
    at = walk.step(at);
  if (spoken)
    *spoken = spokenTargets(c, f, at);
  return scoreLeaves(c, f, at);
}

/// Opset 5: interior nodes and leaves in two lists.
static LogicalResult lowerTreeEnsemble(C &c) {
  Forest f;
  f.roots = intList(c, "tree_roots");
  f.feature = intList(c, "nodes_featureids");
  f.mode = intList(c, "nodes_modes");
  f.split = floatList(c, "nodes_splits");
  f.missing = intList(c, "nodes_missing_value_tracks_true");
  f.targets = c.getInt("n_targets", 1);
  static constexpr StringLiteral aggregates[] = {"AVERAGE", "SUM", "MIN",
                                                 "MAX"};
  static constexpr StringLiteral transforms[] = {"NONE", "SOFTMAX", "LOGISTIC",
                                                 "SOFTMAX_ZERO", "PROBIT"};
  int64_t aggregate = c.getInt("aggregate_function", 1),
          transform = c.getInt("post_transform", 0);
  SmallVector<int64_t> target = intList(c, "leaf_targetids"),
                       trueIds = intList(c, "nodes_truenodeids"),
                       trueLeaf = intList(c, "nodes_trueleafs"),
                       falseIds = intList(c, "nodes_falsenodeids"),
                       falseLeaf = intList(c, "nodes_falseleafs");
  SmallVector<float> weight = floatList(c, "leaf_weights");
  int64_t inner = f.mode.size(), leaves = target.size();
  f.missing.resize(inner);
  auto sized = [&](auto &list) { return (int64_t)list.size() == inner; };
  if (!sized(f.feature) || !sized(f.split) || !sized(trueIds) ||
      !sized(trueLeaf) || !sized(falseIds) || !sized(falseLeaf) ||
      (int64_t)weight.size() != leaves || aggregate < 0 || aggregate > 3 ||
      transform < 0 || transform > 4)
    return c.error() << "expects node and leaf lists of one length each";
  f.aggregate = aggregates[aggregate].str();
  SmallVector<float> members = floatList(c, "membership_values");
  size_t next = 0;
  for (int64_t i = 0; i < inner; ++i) {
    if (f.mode[i] < LEQ || f.mode[i] > MEMBER)
      return c.error() << "has node mode " << f.mode[i]
                       << ", which is not known";
    f.onTrue.push_back(trueLeaf[i] ? inner + trueIds[i] : trueIds[i]);
    f.onFalse.push_back(falseLeaf[i] ? inner + falseIds[i] : falseIds[i]);
    if (f.mode[i] == MEMBER) { // sets in order, each ended by a NaN
      if (next >= members.size())
        return c.error() << "expects 'membership_values' to hold a set for "
                            "each BRANCH_MEMBER node";
      auto &set = f.members[i];
      for (; next < members.size() && !std::isnan(members[next]); ++next)
        set.push_back(members[next]);
      ++next;
    }
  }
  for (int64_t i = 0; i < leaves; ++i) {
    f.leaves[inner + i].push_back({target[i], weight[i]});
    f.onTrue.push_back(inner + i);
    f.onFalse.push_back(inner + i);
    f.feature.push_back(0);
    f.mode.push_back(LEQ);
    f.split.push_back(0);
    f.missing.push_back(0);
  }
  // A tree of one leaf is written as a node whose branches are both that leaf.
  for (int64_t &root : f.roots)
    if (root >= 0 && root < inner && f.onTrue[root] == f.onFalse[root] &&
        f.onTrue[root] >= inner && f.onTrue[root] < f.size())
      root = f.onTrue[root];
  Value scores = walkForest(c, f);
  if (!scores)
    return failure();
  return c.set(0, c.castTo(postTransform(c, scores, transforms[transform]),
                           c.element(c.input(0))));
}

/// Opsets 1 and 3: nodes named by (tree, node), weights by `prefix`.
static FailureOr<Forest> readForest(C &c, StringRef prefix) {
  Forest f;
  SmallVector<int64_t> trees = intList(c, "nodes_treeids"),
                       ids = intList(c, "nodes_nodeids"),
                       onTrue = intList(c, "nodes_truenodeids"),
                       onFalse = intList(c, "nodes_falsenodeids");
  f.feature = intList(c, "nodes_featureids");
  f.missing = intList(c, "nodes_missing_value_tracks_true");
  f.split = floatList(c, "nodes_values");
  auto modes = dyn_cast_or_null<ArrayAttr>(c.attribute("nodes_modes"));
  int64_t count = trees.size();
  f.missing.resize(count);
  f.split.resize(count);
  auto sized = [&](auto &list) { return (int64_t)list.size() == count; };
  if (!modes || (int64_t)modes.size() != count || !sized(ids) ||
      !sized(onTrue) || !sized(onFalse) || !sized(f.feature))
    return c.error() << "expects node lists of one length";
  std::map<std::pair<int64_t, int64_t>, int64_t> index;
  llvm::SmallDenseSet<int64_t> known;
  for (int64_t i = 0; i < count; ++i) {
    index[{trees[i], ids[i]}] = i;
    if (known.insert(trees[i]).second)
      f.roots.push_back(i); // a tree's first node
  }
  static const std::map<StringRef, int64_t> codes = {
      {"BRANCH_LEQ", LEQ}, {"BRANCH_LT", LT}, {"BRANCH_GTE", GTE},
      {"BRANCH_GT", GT},   {"BRANCH_EQ", EQ}, {"BRANCH_NEQ", NEQ}};
  auto find = [&](int64_t tree, int64_t node) {
    auto it = index.find({tree, node});
    return it == index.end() ? int64_t(-1) : it->second;
  };
  for (int64_t i = 0; i < count; ++i) {
    StringRef mode = cast<StringAttr>(modes[i]).getValue();
    auto it = codes.find(mode);
    bool leaf = mode == "LEAF";
    if (!leaf && it == codes.end())
      return c.error() << "has node mode '" << mode << "', which is not known";
    f.mode.push_back(leaf ? int64_t(LEQ) : it->second);
    f.onTrue.push_back(leaf ? i : find(trees[i], onTrue[i]));
    f.onFalse.push_back(leaf ? i : find(trees[i], onFalse[i]));
    if (leaf) {
      f.leaves[i]; // without weights it adds nothing
      f.feature[i] = 0;
    }
  }
  auto named = [&](StringRef field) { return (prefix + field).str(); };
  SmallVector<int64_t> leafTrees = intList(c, named("_treeids")),
                       leafIds = intList(c, named("_nodeids")),
                       targets = intList(c, named("_ids"));
  SmallVector<float> weights = floatList(c, named("_weights"));
  if (leafIds.size() != leafTrees.size() ||
      targets.size() != leafTrees.size() || weights.size() != leafTrees.size())
    return c.error() << "expects " << prefix << " lists of one length";
  for (size_t i = 0; i < leafTrees.size(); ++i) {
    int64_t node = find(leafTrees[i], leafIds[i]);
    if (node < 0 || !f.leaves.count(node))
      return c.error() << "weighs node " << leafIds[i] << " of tree "
                       << leafTrees[i] << ", which is no leaf";
    f.leaves[node].push_back({targets[i], weights[i]});
  }
  return f;
}

static Value addBase(C &c, Value scores, int64_t targets) {
  SmallVector<float> base = floatList(c, "base_values");
  if (base.empty() || !scores)
    return scores;
  if ((int64_t)base.size() != targets)
    return c.error() << "expects " << targets << " base_values, but got "
                     << base.size(),
           Value();
  return c.add(scores, row(c, base));
}

static LogicalResult lowerTreeRegressor(C &c) {
  FailureOr<Forest> f = readForest(c, "target");
  if (failed(f))
    return failure();
  f->targets = c.getInt("n_targets", 1);
  f->aggregate = c.getString("aggregate_function", "SUM");
  if (!llvm::is_contained({"SUM", "AVERAGE", "MIN", "MAX"}, f->aggregate))
    return c.error() << "has aggregate_function '" << f->aggregate
                     << "', which is not known";
  Value scores = addBase(c, walkForest(c, *f), f->targets);
  return scores ? c.set(0, postTransform(c, scores,
                                         c.getString("post_transform", "NONE")))
                : failure();
}

static LogicalResult lowerTreeClassifier(C &c) {
  if (failed(refuseStrings(c, {"classlabels_strings"})))
    return failure();
  FailureOr<Forest> f = readForest(c, "class");
  SmallVector<int64_t> labels = intList(c, "classlabels_int64s");
  if (failed(f))
    return failure();
  std::string transform = c.getString("post_transform", "NONE");
  f->targets = labels.size();
  llvm::SmallDenseSet<int64_t> spoken;
  bool positive = true;
  for (auto &[leaf, entries] : f->leaves)
    for (auto &[target, weight] : entries) {
      spoken.insert(target);
      positive &= weight >= 0;
    }
  SmallVector<float> base = floatList(c, "base_values");
  if (labels.size() == 2 && base.size() == 2)
    return c.error() << "of two classes with two base_values is not supported";
  bool shorthand =
      labels.size() == 2 && spoken.size() == 1 && spoken.contains(0);
  if (!shorthand) {
    Value said, scores = walkForest(c, *f, &said);
    if (labels.size() == 2) { // the second class decides by its sign
      auto column = [&](Value v, int64_t i) { return c.slice(v, 1, i, i + 1); };
      Value weight = c.create<SelectOp>(
          {column(said, 1), column(scores, 1), column(scores, 0)});
      double edge = spoken.size() == 1 && positive ? 0.5 : 0;
      Value picked = c.create<SelectOp>(
          {c.create<GreaterOp>({weight, c.scalar(edge, c.f32())}),
           c.scalar(labels[1], c.i32()), c.scalar(labels[0], c.i32())});
      c.put(0, picked ? c.castTo(c.reshape(picked, {c.shape(picked)[0]}),
                                 c.graph.builder.getI64Type())
                      : picked);
      // Where only the first class has a score, it says both.
      Value first = column(scores, 0);
      scores = c.create<SelectOp>(
          {column(said, 1), scores,
           c.concat({c.mul(first, c.scalar(-1, c.f32())), first}, 1)});
    } else {
      scores = addBase(c, scores, labels.size());
      if (!scores)
        return failure();
      // Only classes that a leaf speaks of are candidates.
      Value candidates =
          base.empty()
              ? c.create<SelectOp>({said, scores, c.scalar(-INFINITY, c.f32())})
              : scores;
      c.put(0, labelOf(c, candidates, labels));
    }
    return c.set(1, postTransform(c, scores, transform));
  }
  // Two classes of which the leaves speak of one: its score says both.
  for (auto &[leaf, entries] : f->leaves)
    for (auto &[target, weight] : entries)
      target = 0;
  f->targets = 1;
  Value score = walkForest(c, *f);
  if (!base.empty() && score)
    score = c.add(score, c.scalar(base.back(), c.f32()));
  if (!score)
    return failure();
  Value one = c.scalar(1, c.f32()), other;
  Value chosen =
      c.create<GreaterOp>({score, c.scalar(positive ? 0.5 : 0, c.f32())});
  if (transform == "LOGISTIC" && !positive) {
    other = c.create<SigmoidOp>({c.mul(score, c.scalar(-1, c.f32()))});
    score = c.create<SigmoidOp>({score});
  } else if (transform == "NONE") {
    other = positive ? c.sub(one, score) : c.mul(score, c.scalar(-1, c.f32()));
  } else {
    return c.error() << "of two classes with post_transform " << transform
                     << " is not supported";
  }
  Value picked = c.create<SelectOp>(
      {chosen, c.scalar(labels[1], c.i32()), c.scalar(labels[0], c.i32())});
  c.put(0, c.castTo(c.reshape(picked, {c.shape(score)[0]}),
                    c.graph.builder.getI64Type()));
  return c.set(1, c.concat({other, score}, 1));
}

//===----------------------------------------------------------------------===//
// TfIdfVectorizer
//===----------------------------------------------------------------------===//

/// A table of more columns is no list of words.
static constexpr int64_t kMostColumns = 1 << 20;

/// Counts of n-grams by comparing every position with every gram of the pool.
static LogicalResult lowerTfIdf(C &c) {
  if (failed(refuseStrings(c, {"pool_strings"})))
    return failure();
  Value x = c.input(0);
  if (c.rank(x) < 1 || c.rank(x) > 2)
    return c.error() << "expects an input of rank 1 or 2";
  bool flat = c.rank(x) == 1;
  int64_t rows = flat ? 1 : c.shape(x)[0], length = c.shape(x).back(),
          shortest = c.getInt("min_gram_length", 1),
          longest = c.getInt("max_gram_length", 1),
          skips = c.getInt("max_skip_count", 0);
  std::string mode = c.getString("mode", "TF");
  SmallVector<int64_t> pool = intList(c, "pool_int64s"),
                       starts = intList(c, "ngram_counts"),
                       columns = intList(c, "ngram_indexes");
  SmallVector<float> weights = floatList(c, "weights");
  int64_t width = 0;
  for (int64_t column : columns)
    width = std::max(width, std::min(column, kMostColumns) + 1);
  if (shortest < 1 || longest < shortest || longest > 64 || skips < 0 ||
      skips > 64 || columns.empty() ||
      llvm::any_of(columns, [](int64_t i) { return i < 0; }) ||
      width > kMostColumns ||
      (mode != "TF" && mode != "IDF" && mode != "TFIDF") ||
      (!weights.empty() && weights.size() != columns.size()))
    return c.error() << "expects gram lengths from 1 up, mode TF, IDF or "
                        "TFIDF, and a weight per ngram_index";
  Value data = c.reshape(c.castTo(x, c.i32()), {rows, length});
  SmallVector<Value> counted;
  SmallVector<float> place; // [grams, width]: the column of each gram
  int64_t seen = 0;
  for (size_t group = 0; group < starts.size(); ++group) {
    int64_t size = group + 1, begin = starts[group],
            end = group + 1 < starts.size() ? starts[group + 1] : pool.size();
    if (begin < 0 || end < begin || end > (int64_t)pool.size() ||
        (end - begin) % size)
      return c.error() << "expects ngram_counts that divide the pool";
    int64_t grams = (end - begin) / size;
    if (seen + grams > (int64_t)columns.size())
      return c.error() << "expects an ngram_index per gram";
    if (grams == 0)
      continue;
    Value sum;
    // A gram of one has nothing to skip.
    for (int64_t skip = 0;
         size >= shortest && size <= longest && skip <= (size > 1 ? skips : 0);
         ++skip) {
      int64_t places = length - (size - 1) * (skip + 1);
      if (places < 1)
        continue;
      Value match;
      for (int64_t k = 0; k < size; ++k) {
        SmallVector<int64_t> word;
        for (int64_t g = 0; g < grams; ++g)
          word.push_back(pool[begin + g * size + k]);
        Value here = c.slice(data, 1, k * (skip + 1), k * (skip + 1) + places);
        Value equal = c.create<EqualOp>(
            {c.reshape(here, {rows, places, 1}), c.ints({1, 1, grams}, word)});
        match = match ? c.create<LogicalAndOp>({match, equal}) : equal;
      }
      Value found = c.reduceSum(c.castTo(match, c.f32()), {1});
      sum = sum ? c.add(sum, found) : found;
    }
    if (!sum)
      sum = c.broadcastTo(c.scalar(0, c.f32()), {rows, grams});
    counted.push_back(sum);
    for (int64_t g = 0; g < grams; ++g) {
      place.resize(place.size() + width);
      place[place.size() - width + columns[seen + g]] = 1;
    }
    seen += grams;
  }
  if (counted.empty() || place.size() > (1 << 26))
    return c.error() << "expects a pool of at least one gram";
  Value grams = c.concat(counted, 1);
  if (mode == "IDF" && grams)
    grams =
        c.castTo(c.create<GreaterOp>({grams, c.scalar(0, c.f32())}), c.f32());
  if (mode != "TF" && !weights.empty())
    grams = c.mul(grams, row(c, ArrayRef(weights).take_front(seen)));
  Value y = c.matmul(grams, c.floats({seen, width}, place));
  return c.set(0, y && flat ? c.reshape(y, {width}) : y);
}

void mlir::ane::addTraditionalHandlers(HandlerTable &t) {
  static constexpr StringLiteral domain = "ai.onnx.ml";
  t.add("ArrayFeatureExtractor", 1, lowerArrayFeatureExtractor, domain);
  t.add("Binarizer", 1, lowerBinarizer, domain);
  t.add("FeatureVectorizer", 1, lowerFeatureVectorizer, domain);
  t.add("Imputer", 1, lowerImputer, domain);
  t.add("LabelEncoder", 2, lowerLabelEncoder, domain);
  t.add("LinearClassifier", 1, lowerLinearClassifier, domain);
  t.add("LinearRegressor", 1, lowerLinearRegressor, domain);
  t.add("Normalizer", 1, lowerNormalizer, domain);
  t.add("OneHotEncoder", 1, lowerOneHotEncoder, domain);
  t.add("Scaler", 1, lowerScaler, domain);
  t.add("SVMRegressor", 1, lowerSVMRegressor, domain);
  t.add("TreeEnsemble", 5, lowerTreeEnsemble, domain);
  t.add("TreeEnsembleClassifier", 1, lowerTreeClassifier, domain);
  t.add("TreeEnsembleRegressor", 1, lowerTreeRegressor, domain);
  t.add("TfIdfVectorizer", 9, lowerTfIdf);
}
