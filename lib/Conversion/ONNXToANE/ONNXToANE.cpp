//===- ONNXToANE.cpp - walking the graph ----------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Conversion/ONNXToANE.h"
#include "Lowering.h"
#include "PaddedRows.h"
#include "Schemas.h"
#include "ane-mlir/Support/Usage.h"
#include "dialects/ANE/IR/Arithmetic.h"
#include "dialects/ANE/IR/Cast.h"
#include "dialects/ANE/IR/Gather.h"
#include "dialects/ANE/IR/Linear.h"
#include "dialects/ANE/IR/Reduction.h"
#include "dialects/ANE/IR/Shape.h"
#include "dialects/ANE/IR/Unary.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringExtras.h"
#include <stdexcept>

using namespace mlir;
using namespace mlir::ane;

std::pair<int, Handler> HandlerTable::lookup(StringRef domain, StringRef op,
                                             int64_t version) const {
  auto it = table.find((domain + "\n" + op).str());
  if (it == table.end())
    return {-1, nullptr};
  std::pair<int, Handler> best{-1, nullptr};
  for (auto &entry : it->second)
    if (entry.first <= version && entry.first > best.first)
      best = entry;
  return best;
}

static const HandlerTable &getHandlers() {
  static const HandlerTable table = [] {
    HandlerTable t;
    addMathHandlers(t);
    addConvHandlers(t);
    addNormHandlers(t);
    addReduceHandlers(t);
    addShapeHandlers(t);
    addIndexHandlers(t);
    addRecurrentHandlers(t);
    addQuantHandlers(t);
    addControlHandlers(t);
    addAttentionHandlers(t);
    addLossHandlers(t);
    addSamplingHandlers(t);
    addSignalHandlers(t);
    addSequenceHandlers(t);
    addVisionHandlers(t);
    addAlgorithmHandlers(t);
    addTrainingHandlers(t);
    addLinearAttentionHandlers(t);
    addMicrosoftHandlers(t);
    addQLinearHandlers(t);
    addTraditionalHandlers(t);
    return t;
  }();
  return table;
}

/// The import row of the record table for a node, or null.
static const ImportRow *lookupRow(StringRef domain, StringRef op,
                                  int64_t version) {
  const ImportRow *best = nullptr;
  for (const ImportRow &row : getImportRows())
    if (row.domain == domain && row.onnxOp == op && row.since <= version &&
        (!best || row.since > best->since))
      best = &row;
  return best;
}

/// Ops that may follow one whose result's length depends on data (NonZero,
/// Unique, NonMaxSuppression, Compress): what boxes and indices pass through.
static bool takesOpenLengths(StringRef domain, StringRef op) {
  static const llvm::StringSet<> known = {
      "Abs",       "Add",     "Cast",    "Clip",     "Concat",  "Div",
      "Equal",     "Exp",     "Gather",  "GatherND", "Greater", "Identity",
      "Less",      "Log",     "Mul",     "Neg",      "Not",     "Relu",
      "Sigmoid",   "Squeeze", "Sqrt",    "Sub",      "Tanh",    "Transpose",
      "Unsqueeze", "And",     "Or",      "Floor",    "Ceil",    "Round",
      "MatMul",    "Softmax", "Reshape", "Where",    "Pow",     "Erf"};
  return domain.empty() && known.contains(op);
}

namespace mlir::ane {
/// State of one conversion.
class Lowering {
public:
  Lowering(ModuleOp module, const ONNXToANEOptions &options,
           PaddedRows *padded = nullptr)
      : graph(module.getContext()), module(module), options(options),
        padded(padded) {}
  FailureOr<SmallVector<Type>> bindInputs(onnxir::GraphOp graphOp,
                                          SmallVectorImpl<unsigned> &kept);
  void defineInputs(onnxir::GraphOp graphOp, ArrayRef<unsigned> kept);
  LogicalResult declareOutputs(onnxir::GraphOp graphOp, ArrayRef<Value> results,
                               SmallVectorImpl<DictionaryAttr> &resultAttrs);
  LogicalResult run();
  /// Translates the ops of a block; values of enclosing blocks are found in
  /// `values`.
  LogicalResult lowerBlock(Block &block, SmallVectorImpl<Value> &results);

  Value addInput(Location loc, StringRef name, RankedTensorType type);
  const ONNXToANEOptions &getOptions() const { return options; }

  llvm::DenseMap<Value, Value> values;
  GraphBuilder graph;
  unsigned droppedSteps = 0;

  /// Counts an op that is made; false when there are too many.
  bool countOp() { return ++ops <= mostOps; }
  size_t opsMade() const { return ops; }
  std::string tooManyOps() const {
    return "makes more than " + std::to_string(mostOps) +
           " operations (loops and large windows are unrolled); make trips, "
           "lengths or kernels smaller, or cut the model before it with "
           "--outputs";
  }

private:
  FailureOr<RankedTensorType> bindInput(onnxir::GraphOp graphOp,
                                        unsigned index);
  LogicalResult checkDims(onnxir::GraphOp graphOp);
  LogicalResult checkLengths(onnxir::GraphOp graphOp);
  LogicalResult checkValues(onnxir::GraphOp graphOp);
  LogicalResult lowerNode(onnxir::NodeOp node);
  /// Runs a handler; what it throws is reported at the node.
  LogicalResult guard(NodeContext &c,
                      llvm::function_ref<LogicalResult()> handler);
  LogicalResult lowerRow(NodeContext &c, const ImportRow &row);
  LogicalResult reportUnsupported();

  ModuleOp module;
  const ONNXToANEOptions &options;
  /// Where lists are padded to the length they may reach; null where their
  /// length is left to the data.
  PaddedRows *padded;
  /// Whether the node at hand, or one in its body, was reported.
  bool reported = false;
  /// Ops made so far, and how many there may be.
  size_t ops = 0, mostOps = 0;
  /// Of the function that is made.
  Block *entry = nullptr;
  SmallVector<DictionaryAttr> argAttrs;
  /// "domain.Op@version" -> nodes.
  llvm::MapVector<std::string, SmallVector<onnxir::NodeOp>,
                  std::map<std::string, unsigned>>
      unsupported;

public:
  bool stop = false;
};
} // namespace mlir::ane

//===----------------------------------------------------------------------===//
// NodeContext
//===----------------------------------------------------------------------===//

int64_t NodeContext::getInt(StringRef name, int64_t fallback) const {
  auto attr = dyn_cast_or_null<IntegerAttr>(attribute(name));
  return attr ? attr.getInt() : fallback;
}
double NodeContext::getFloat(StringRef name, double fallback) const {
  auto attr = dyn_cast_or_null<FloatAttr>(attribute(name));
  return attr ? attr.getValueAsDouble() : fallback;
}
std::optional<SmallVector<float>> NodeContext::getFloats(StringRef name) const {
  if (auto attr = dyn_cast_or_null<DenseF32ArrayAttr>(attribute(name)))
    return SmallVector<float>(attr.asArrayRef());
  return std::nullopt;
}
std::string NodeContext::getString(StringRef name, StringRef fallback) const {
  auto attr = dyn_cast_or_null<StringAttr>(attribute(name));
  return (attr ? attr.getValue() : fallback).str();
}
std::optional<SmallVector<int64_t>> NodeContext::getInts(StringRef name) const {
  if (auto attr = dyn_cast_or_null<DenseI64ArrayAttr>(attribute(name)))
    return SmallVector<int64_t>(attr.asArrayRef());
  return std::nullopt;
}
FailureOr<std::optional<SmallVector<int64_t>>>
NodeContext::getIntsOrInput(StringRef name, unsigned index) {
  if (auto attr = getInts(name))
    return attr;
  if (Value value = input(index)) {
    FailureOr<SmallVector<int64_t>> ints = constantInts(value, name);
    if (mlir::failed(ints))
      return failure();
    return std::optional(*ints);
  }
  return std::optional<SmallVector<int64_t>>();
}

bool NodeContext::isHalf() const { return lowering.getOptions().half; }
bool NodeContext::floatActivations() const {
  return isHalf() && !lowering.getOptions().keepSteps;
}
size_t NodeContext::countOps() const { return lowering.opsMade(); }
void NodeContext::countDroppedSteps() { ++lowering.droppedSteps; }
std::optional<int64_t> NodeContext::maxLength() const {
  auto &lengths = lowering.getOptions().maxLengths;
  auto it = lengths.find(name());
  return it == lengths.end() ? std::nullopt : std::optional(it->second);
}
bool NodeContext::randomIsInput() const {
  return lowering.getOptions().randomInputs;
}
Value NodeContext::addInput(RankedTensorType type) {
  return lowering.addInput(loc, name(), type);
}
Value Lowering::addInput(Location loc, StringRef name, RankedTensorType type) {
  Builder b(module.getContext());
  StringRef dtype = getInfo(*toDType(type.getElementType())).name;
  argAttrs.push_back(b.getDictionaryAttr(
      {b.getNamedAttr(marks::kDtype, b.getStringAttr(dtype)),
       b.getNamedAttr(marks::kName, b.getStringAttr(name))}));
  return entry->addArgument(type, loc);
}

std::optional<SmallVector<int64_t>>
NodeContext::declaredShape(unsigned output) const {
  for (OpOperand &use : node.getResult(output).getUses())
    if (auto graphOp = dyn_cast<onnxir::GraphOp>(use.getOwner()->getParentOp());
        graphOp && isa<onnxir::YieldOp>(use.getOwner()))
      if (auto type = dyn_cast<RankedTensorType>(
              cast<TypeAttr>(graphOp.getOutputTypes()[use.getOperandNumber()])
                  .getValue())) {
        SmallVector<int64_t> shape(type.getShape());
        for (int64_t &dim : shape)
          dim = ShapedType::isDynamic(dim) ? -1 : dim;
        return shape;
      }
  return std::nullopt;
}

FailureOr<int64_t> NodeContext::axis(int64_t axis, int64_t rank) {
  if (axis >= -rank && axis < rank)
    return axis < 0 ? axis + rank : axis;
  return error() << "expects an axis in [" << -rank << ", " << rank
                 << "), but got " << axis;
}

InFlightDiagnostic NodeContext::error() {
  hasFailed = true;
  return emitError(loc) << opType() << ": ";
}

void NodeContext::throwNoTensor(Value value) const {
  // A value that could not be made was reported.
  if (!value && hasFailed)
    throw EvaluationError{};
  throw EvaluationError{value ? "expects a tensor, but got another kind of "
                                "value"
                              : "expects a value that the node leaves out"};
}

SmallVector<Value>
NodeContext::createNamed(StringRef name, ArrayRef<Value> operands,
                         ArrayRef<NamedAttribute> attributes) {
  if (hasFailed)
    return {};
  if (!lowering.countOp())
    throw EvaluationError{lowering.tooManyOps()};
  if (hasMissingOperand(name, operands)) {
    error() << "expects a value that the node leaves out";
    return {};
  }
  SmallVector<Value> results = graph.create(name, loc, operands, attributes);
  if (results.empty())
    hasFailed = true;
  return results;
}

Value NodeContext::castTo(Value value, Type wanted) {
  if (!value || element(value) == wanted)
    return value;
  return create<CastOp>({value}, {.dtype = wanted});
}
Value NodeContext::reshape(Value value, ArrayRef<int64_t> wanted) {
  if (!value || shape(value) == wanted)
    return value;
  // One extent may be left to the data.
  SmallVector<int64_t> open(wanted);
  for (int64_t &dim : open)
    dim = ShapedType::isDynamic(dim) ? -1 : dim;
  wanted = open;
  return create<ReshapeOp>({value}, {.shape = wanted});
}
Value NodeContext::transpose(Value value, ArrayRef<int64_t> perm) {
  bool identity = true;
  for (auto [i, axis] : llvm::enumerate(perm))
    identity &= axis == (int64_t)i;
  return identity ? value : create<TransposeOp>({value}, {.perm = perm});
}
Value NodeContext::gather(Value value, Value indices, int64_t axis) {
  return create<GatherOp>({value, indices}, {.axis = axis});
}

Value NodeContext::matmul(Value a, Value b, bool transposeB) {
  return create<MatmulOp>({a, b}, {.transpose_y = transposeB});
}

Value NodeContext::reduceSum(Value value, ArrayRef<int64_t> axes, bool keep) {
  return create<ReduceSumOp>({value}, {.axes = axes, .keep_dims = keep});
}

Value NodeContext::add(Value a, Value b) { return create<AddOp>({a, b}); }
Value NodeContext::sub(Value a, Value b) { return create<SubOp>({a, b}); }
Value NodeContext::mul(Value a, Value b) { return create<MulOp>({a, b}); }
Value NodeContext::div(Value a, Value b) { return create<RealDivOp>({a, b}); }

Value NodeContext::concat(ArrayRef<Value> values, int64_t axis) {
  if (values.size() == 1)
    return values[0];
  return create<ConcatOp>(values, {.axis = axis});
}
Value NodeContext::broadcastTo(Value value, ArrayRef<int64_t> wanted) {
  if (!value)
    return {};
  SmallVector<int64_t> have(shape(value));
  while (have.size() < wanted.size())
    have.insert(have.begin(), 1);
  SmallVector<int64_t> reps;
  for (auto [h, w] : llvm::zip_equal(have, wanted))
    reps.push_back(h == w ? 1 : w);
  value = reshape(value, have);
  if (llvm::all_of(reps, [](int64_t r) { return r == 1; }))
    return value;
  return create<TileOp>({value}, {.reps = reps});
}
Value NodeContext::slice(Value value, int64_t axis, int64_t begin,
                         int64_t end) {
  if (!value)
    return {};
  SmallVector<int64_t> begins(rank(value)), sizes(shape(value));
  for (int64_t &size : sizes)
    size = ShapedType::isDynamic(size) ? -1 : size;
  begins[axis] = begin;
  sizes[axis] = end - begin;
  if (begin == 0 && end == shape(value)[axis])
    return value;
  return create<SliceBySizeOp>({value}, {.begin = begins, .size = sizes});
}

std::optional<Tensor> NodeContext::tryConstant(Value value) {
  if (!value)
    return std::nullopt;
  FailureOr<Tensor> tensor = graph.evaluate(value);
  if (mlir::failed(tensor))
    return std::nullopt;
  return *tensor;
}
FailureOr<Tensor> NodeContext::constantTensor(Value value, StringRef what) {
  if (std::optional<Tensor> tensor = tryConstant(value))
    return *tensor;
  return error() << "expects '" << what
                 << "' to be known at compile time, but it depends on an input "
                    "of the model; --input-value NAME=FILE.pb makes an input a "
                    "constant";
}
FailureOr<int64_t> NodeContext::constantInt(Value value, StringRef what) {
  FailureOr<SmallVector<int64_t>> ints = constantInts(value, what);
  if (::failed(ints))
    return failure();
  if (ints->size() != 1)
    return error() << "expects '" << what << "' to be one integer, but got "
                   << ints->size(),
           failure();
  return ints->front();
}

FailureOr<SmallVector<int64_t>> NodeContext::constantInts(Value value,
                                                          StringRef what) {
  FailureOr<Tensor> tensor = constantTensor(value, what);
  if (mlir::failed(tensor))
    return failure();
  SmallVector<int64_t> result;
  result.assign(tensor->ints().begin(), tensor->ints().end());
  return result;
}

//===----------------------------------------------------------------------===//
// Walk
//===----------------------------------------------------------------------===//

Type mlir::ane::carrierOf(Type element) {
  MLIRContext *context = element.getContext();
  if (element.isF64() || element.isBF16() ||
      (isa<FloatType>(element) && element.getIntOrFloatBitWidth() < 16))
    return Float32Type::get(context);
  if (auto integer = dyn_cast<IntegerType>(element);
      integer && integer.getWidth() > 1 && integer.getWidth() < 8)
    return IntegerType::get(context, 8, integer.getSignedness());
  return element;
}

/// The dimensions of a sum as exporters write it: "past_sequence_length + 1".
static SmallVector<StringRef> termsOf(StringRef symbol) {
  SmallVector<StringRef> terms;
  symbol.split(terms, '+');
  for (StringRef &term : terms)
    term = term.trim();
  return terms;
}

/// What the bound dimensions say of a symbol: its value, or that of a sum.
static std::optional<int64_t> valueOf(StringRef symbol,
                                      const llvm::StringMap<int64_t> &dims) {
  if (auto it = dims.find(symbol); it != dims.end())
    return it->second;
  SmallVector<StringRef> terms = termsOf(symbol);
  int64_t sum = 0;
  for (StringRef term : terms) {
    int64_t number = 0;
    if (auto it = dims.find(term); it != dims.end())
      number = it->second;
    else if (terms.size() < 2 || term.getAsInteger(10, number) || number < 0)
      return std::nullopt;
    if (llvm::AddOverflow(sum, number, sum))
      return std::nullopt;
  }
  return sum;
}

FailureOr<RankedTensorType> Lowering::bindInput(onnxir::GraphOp graphOp,
                                                unsigned index) {
  StringRef name = cast<StringAttr>(graphOp.getInputNames()[index]).getValue();
  BlockArgument argument = graphOp.getBody().getArgument(index);
  auto fail = [&] {
    return emitError(argument.getLoc()) << "input '" << name << "' ";
  };
  auto tensor = dyn_cast<TensorType>(argument.getType());
  if (tensor && isa<onnxir::StringType>(tensor.getElementType()))
    return fail() << "holds strings, which no model takes; cut the model "
                     "behind what turns them into numbers";
  if (!tensor || !toDType(tensor.getElementType()))
    return fail() << "has type " << argument.getType()
                  << "; only tensors of numbers can be inputs";
  Type element = carrierOf(tensor.getElementType());
  if (auto it = options.inputShapes.find(name);
      it != options.inputShapes.end()) {
    if (auto ranked = dyn_cast<RankedTensorType>(tensor)) {
      bool fits = ranked.getRank() == (int64_t)it->second.size();
      for (int64_t i = 0; fits && i < ranked.getRank(); ++i)
        fits = ranked.isDynamicDim(i) || ranked.getDimSize(i) == it->second[i];
      if (!fits)
        return fail() << "has shape " << ranked << ", which --input-shape "
                      << name << "=" << ArrayRef<int64_t>(it->second)
                      << " does not fit";
    }
    return RankedTensorType::get(it->second, element);
  }
  auto ranked = dyn_cast<RankedTensorType>(tensor);
  if (!ranked)
    return fail() << "has no shape; add --input-shape " << name << "=…";
  SmallVector<int64_t> shape(ranked.getShape());
  auto symbols = cast<ArrayAttr>(graphOp.getInputDims()[index]);
  bool bound = true;
  for (int64_t i = 0; i < ranked.getRank(); ++i) {
    if (!ranked.isDynamicDim(i))
      continue;
    StringRef symbol = cast<StringAttr>(symbols[i]).getValue();
    if (auto value =
            symbol.empty() ? std::nullopt : valueOf(symbol, options.dims)) {
      shape[i] = *value;
      continue;
    }
    bound = false;
    if (symbol.empty())
      fail() << "has an unknown dimension " << i << "; add --input-shape "
             << name << "=…";
    else
      fail() << "has the symbolic dimension '" << symbol << "' (axis " << i
             << "); add --dim " << symbol << "=N";
  }
  if (!bound)
    return failure();
  return RankedTensorType::get(shape, element);
}

/// Every dimension that --dim binds is one of an input.
LogicalResult Lowering::checkDims(onnxir::GraphOp graphOp) {
  llvm::SetVector<StringRef> known;
  for (Attribute dims : graphOp.getInputDims())
    for (Attribute symbol : cast<ArrayAttr>(dims))
      if (StringRef name = cast<StringAttr>(symbol).getValue(); !name.empty()) {
        known.insert(name);
        int64_t number;
        for (StringRef term : termsOf(name))
          if (!term.empty() && term.getAsInteger(10, number))
            known.insert(term);
      }
  for (auto &entry : options.dims) {
    StringRef name = entry.getKey();
    if (known.contains(name))
      continue;
    InFlightDiagnostic diagnostic = emitError(module.getLoc())
                                    << "--dim names '" << name
                                    << "', which is no dimension of an input";
    if (known.empty())
      return diagnostic << "; all are numbers";
    return diagnostic << suggest(name, known.getArrayRef());
  }
  return success();
}

/// Every node that --max-length names is there.
LogicalResult Lowering::checkLengths(onnxir::GraphOp graphOp) {
  if (options.maxLengths.empty())
    return success();
  llvm::SetVector<StringRef> known;
  graphOp.walk([&](onnxir::NodeOp node) {
    if (auto name = dyn_cast<NameLoc>(node.getLoc());
        name && node.getOpType() == "Range")
      known.insert(name.getName().getValue());
  });
  for (auto &entry : options.maxLengths)
    if (!known.contains(entry.getKey()))
      return emitError(module.getLoc())
             << "--max-length names '" << entry.getKey()
             << "', which is no Range of the model"
             << suggest(entry.getKey(), known.getArrayRef());
  return success();
}

/// Every value of --input-value has the type of its input.
LogicalResult Lowering::checkValues(onnxir::GraphOp graphOp) {
  for (auto [name, argument] :
       llvm::zip(graphOp.getInputNames(), graphOp.getBody().getArguments())) {
    auto it = options.inputValues.find(cast<StringAttr>(name).getValue());
    if (it == options.inputValues.end())
      continue;
    auto given = cast<ShapedType>(it->second.getType());
    auto declared = cast<TensorType>(argument.getType());
    bool fits = given.getElementType() == declared.getElementType();
    if (auto ranked = dyn_cast<RankedTensorType>(declared))
      fits &=
          succeeded(verifyCompatibleShape(ranked.getShape(), given.getShape()));
    if (!fits)
      return emitError(module.getLoc())
             << "--input-value gives '" << it->getKey() << "' the type "
             << Type(given) << ", but the model declares " << Type(declared);
  }
  return success();
}

/// Why a length is not known and what to do about it.
static std::string openLengthRemedy(Value value) {
  SmallVector<Value> list{value};
  llvm::DenseSet<Value> seen;
  while (!list.empty()) {
    Value v = list.pop_back_val();
    Operation *op = v.getDefiningOp();
    if (!op || !seen.insert(v).second)
      continue;
    if (auto why = op->getAttrOfType<StringAttr>(marks::kOpenLength))
      if (why.getValue().contains("--input-value")) {
        auto name = dyn_cast<NameLoc>(op->getLoc());
        return (": it comes from If '" +
                (name ? name.getName().getValue() : StringRef("?")) + "', " +
                why.getValue())
            .str();
      }
    for (Value operand : op->getOperands())
      if (auto type = dyn_cast<RankedTensorType>(operand.getType());
          type && !type.hasStaticShape())
        list.push_back(operand);
  }
  return "; cut the model before it with --outputs";
}

LogicalResult Lowering::lowerNode(onnxir::NodeOp node) {
  SmallVector<Value> inputs;
  bool poisoned = false;
  for (Value input : node.getInputs()) {
    if (input.getDefiningOp<onnxir::NoneOp>()) {
      inputs.push_back({});
      continue;
    }
    Value value = values.lookup(input);
    poisoned |= !value;
    // An optional that holds nothing is an absent input.
    if (value && value.getDefiningOp<onnxir::NoneOp>())
      value = {};
    inputs.push_back(value);
  }
  // The newest definition not above the model's opset, be it a handler or a row
  // of the record table.
  auto [since, handler] = getHandlers().lookup(
      node.getDomain(), node.getOpType(), node.getVersion());
  const ImportRow *row =
      lookupRow(node.getDomain(), node.getOpType(), node.getVersion());
  if (row && row->since > since)
    handler = nullptr;
  else if (handler)
    row = nullptr;
  if (!handler && !row) {
    std::string key =
        ((node.getDomain().empty() ? "ai.onnx" : node.getDomain()) + "." +
         node.getOpType() + "@" + Twine(node.getVersion()))
            .str();
    unsupported[key].push_back(node);
    return success(); // its users are skipped; all unsupported nodes are listed
                      // together
  }
  if (poisoned)
    return success();
  // An optional that holds nothing is only seen to be absent here.
  if (auto i = missingInput(
          lookupSchema(node.getDomain(), node.getOpType(), node.getVersion()),
          inputs))
    return emitError(node.getLoc())
           << node.getOpType() << ": expects input " << *i
           << ", which is required, but the node leaves it out; export the "
              "model anew with it connected";
  if (!getHandlers().mayTakeSequence(node.getDomain(), node.getOpType()))
    for (auto [i, input] : llvm::enumerate(inputs))
      if (asSequence(input))
        return emitError(node.getLoc())
               << node.getOpType() << ": expects input " << i
               << " to be a tensor, but it is a sequence";
  for (auto [i, input] : llvm::enumerate(inputs))
    if (auto type = dyn_cast_or_null<RankedTensorType>(input ? input.getType()
                                                             : Type());
        type && !type.hasStaticShape() &&
        !takesOpenLengths(node.getDomain(), node.getOpType()))
      return emitError(node.getLoc())
             << node.getOpType() << ": expects input " << i
             << " to have a static shape, but the length of " << type
             << " depends on data" << openLengthRemedy(input);
  NodeContext c(*this, graph, node, std::move(inputs));
  auto lower = [&, handler = handler]() -> LogicalResult {
    auto plainly = [&] { return handler ? handler(c) : lowerRow(c, *row); };
    return padded && padded->concerns(c) ? padded->lower(c, plainly)
                                         : plainly();
  };
  if (failed(guard(c, lower)))
    return failure();
  for (auto [i, result] : llvm::enumerate(node.getResults()))
    if (Value value = c.output(i))
      values[result] = value;
    else if (!result.use_empty())
      return emitError(node.getLoc()) << node.getOpType() << ": output " << i
                                      << " is used, but cannot be expressed";
  return success();
}

LogicalResult Lowering::guard(NodeContext &c,
                              llvm::function_ref<LogicalResult()> handler) {
  ConstantScope scope;
  bool before = std::exchange(reported, false);
  llvm::scope_exit restore([&] { reported |= before; });
  try {
    if (succeeded(handler()))
      return success();
    // A handler that failed without a message, of its own or of a node in its
    // body, would fail in silence.
    if (!c.failed() && !reported)
      c.error() << "could not be converted";
    reported = true;
  } catch (const EvaluationError &error) {
    reported = true;
    if (!error.message.empty())
      c.error() << error.message;
  } catch (const std::bad_alloc &) {
    c.error() << "does not fit this machine's memory";
  } catch (const std::length_error &) {
    c.error() << "does not fit this machine's memory";
  }
  return failure();
}

/// An op that a record of the table stands for.
LogicalResult Lowering::lowerRow(NodeContext &c, const ImportRow &row) {
  SmallVector<NamedAttribute> attributes;
  const OpInfo *info = lookupOpInfo(row.op);
  for (const ArgInfo &arg : info->args) {
    if (arg.isOperand())
      continue;
    StringRef onnxName = arg.name;
    for (StringRef rename : row.renames)
      if (auto [to, from] = rename.split('='); to == arg.name)
        onnxName = from;
    if (Attribute value = c.attribute(onnxName))
      attributes.push_back(graph.builder.getNamedAttr(arg.name, value));
  }
  SmallVector<Value> operands;
  for (unsigned i = 0; i < c.numInputs(); ++i)
    operands.push_back(c.input(i));
  // Float-only functions of integers (newer opsets allow some) go through fp32;
  // where the result is an integer of the input, integers stay integers.
  Type original;
  bool isInteger = operands.size() == 1 && operands[0] &&
                   isa<IntegerType>(c.element(operands[0])) &&
                   !c.element(operands[0]).isInteger(1);
  if (isInteger && info->name == ReluOp::getOperationName())
    return c.set(
        0, c.create<MaximumOp>({operands[0], c.scalarLike(0, operands[0])}));
  if (isInteger &&
      llvm::is_contained({"ane.ceil", "ane.floor", "ane.round"}, info->name))
    return c.set(0, operands[0]);
  if (isInteger &&
      llvm::is_contained({"ane.sqrt", "ane.erf", "ane.exp"}, info->name)) {
    original = c.element(operands[0]);
    operands[0] = c.castTo(operands[0], graph.builder.getF32Type());
  }
  SmallVector<Value> results = c.createNamed(row.op, operands, attributes);
  if (results.empty())
    return failure();
  for (auto [i, result] : llvm::enumerate(results))
    if (failed(c.set(i, original ? c.castTo(result, original) : result)))
      return failure();
  return success();
}

LogicalResult Lowering::lowerBlock(Block &block,
                                   SmallVectorImpl<Value> &results) {
  for (Operation &op : block) {
    if (auto constant = dyn_cast<onnxir::ConstantOp>(op)) {
      auto type = dyn_cast<RankedTensorType>(constant.getType());
      if (!type || !toDType(type.getElementType()))
        continue; // strings: reported by whoever uses them
      Value value = graph.constant(op.getLoc(), constant.getValue());
      Type carrier = carrierOf(type.getElementType());
      if (carrier != type.getElementType())
        value = graph.create<CastOp>(op.getLoc(), {value}, {.dtype = carrier});
      values[constant] = value;
    } else if (auto node = dyn_cast<onnxir::NodeOp>(op)) {
      if (failed(lowerNode(node)))
        return failure();
    } else if (auto yield = dyn_cast<onnxir::YieldOp>(op)) {
      for (Value value : yield.getValues())
        results.push_back(values.lookup(value));
    }
  }
  return success();
}

FailureOr<SmallVector<Value>>
mlir::ane::lowerRegion(NodeContext &c, Region &region,
                       ArrayRef<Value> arguments) {
  for (auto [argument, value] : llvm::zip(region.getArguments(), arguments))
    c.lowering.values[argument] = value;
  SmallVector<Value> results;
  if (failed(c.lowering.lowerBlock(region.front(), results)))
    return failure();
  return results;
}

LogicalResult Lowering::reportUnsupported() {
  if (unsupported.empty())
    return success();
  InFlightDiagnostic diagnostic =
      emitError(module.getLoc()) << unsupported.size() << " unsupported ONNX op"
                                 << (unsupported.size() > 1 ? "s" : "") << ":";
  bool first = true;
  for (auto &[key, nodes] : unsupported) {
    auto name = dyn_cast<NameLoc>(nodes.front().getLoc());
    diagnostic << (first ? " " : ", ") << key << " (" << nodes.size() << " node"
               << (nodes.size() > 1 ? "s" : "") << ", first \""
               << (name ? name.getName().getValue() : StringRef("?")) << "\")";
    first = false;
  }
  return diagnostic;
}

/// What the model says of an output is often wrong and never needed, but a user
/// who relies on it wants to know.
static void compareDeclared(StringRef name, Value value, Type declared) {
  auto said = dyn_cast<RankedTensorType>(declared);
  auto have = cast<RankedTensorType>(value.getType());
  if (!said)
    return;
  bool fits = said.getRank() == have.getRank();
  for (int64_t i = 0; fits && i < have.getRank(); ++i)
    fits = said.isDynamicDim(i) || have.isDynamicDim(i) ||
           said.getDimSize(i) == have.getDimSize(i);
  if (fits)
    return;
  auto print = [](RankedTensorType type) {
    std::string text = "[";
    for (auto [i, dim] : llvm::enumerate(type.getShape()))
      text += (i ? ", " : "") +
              (ShapedType::isDynamic(dim) ? "?" : std::to_string(dim));
    return text + "]";
  };
  emitWarning(value.getLoc())
      << "output '" << name << "' has shape " << print(have)
      << ", but the model declares " << print(said)
      << "; the shape that its nodes give is taken";
}

/// Ops that a conversion may make whatever the model, and for each of its
/// nodes: LSTM's hundred at most, and loops of some thousand trips.
static constexpr size_t kMostOps = 30000, kMostOpsPerNode = 64;

/// `option` names inputs of the model only.
static bool checkNames(onnxir::GraphOp graphOp, StringRef option,
                       ArrayRef<StringRef> names) {
  bool known = true;
  SmallVector<StringRef> inputs;
  for (Attribute input : graphOp.getInputNames())
    inputs.push_back(cast<StringAttr>(input).getValue());
  for (StringRef name : names)
    if (!llvm::is_contained(inputs, name)) {
      emitError(graphOp->getParentOp()->getLoc())
          << option << " names '" << name << "', which is no input of the model"
          << suggest(name, inputs);
      known = false;
    }
  return known;
}

/// Types of the inputs that were not given a value; indices of these in `kept`.
FailureOr<SmallVector<Type>>
Lowering::bindInputs(onnxir::GraphOp graphOp, SmallVectorImpl<unsigned> &kept) {
  Builder attrs(module.getContext());
  SmallVector<Type> types;
  bool bound = checkNames(graphOp, "--input-value",
                          llvm::to_vector(options.inputValues.keys()));
  bound &= checkNames(graphOp, "--input-shape",
                      llvm::to_vector(options.inputShapes.keys()));
  bound &= succeeded(checkDims(graphOp));
  bound &= succeeded(checkLengths(graphOp));
  bound &= succeeded(checkValues(graphOp));
  for (unsigned i = 0; i < graphOp.getBody().getNumArguments(); ++i) {
    if (options.inputValues.count(
            cast<StringAttr>(graphOp.getInputNames()[i]).getValue()))
      continue;
    kept.push_back(i);
    FailureOr<RankedTensorType> type = bindInput(graphOp, i);
    bound &= succeeded(type);
    if (!bound)
      continue;
    types.push_back(*type);
    Type declared = cast<TensorType>(graphOp.getBody().getArgument(i).getType())
                        .getElementType();
    argAttrs.push_back(attrs.getDictionaryAttr(
        {attrs.getNamedAttr(
             marks::kDtype,
             attrs.getStringAttr(getInfo(*toDType(declared)).name)),
         attrs.getNamedAttr(marks::kName, graphOp.getInputNames()[i])}));
  }
  if (!bound)
    return failure();
  return types;
}

/// Arguments of @main, and constants for inputs that were given a value.
void Lowering::defineInputs(onnxir::GraphOp graphOp, ArrayRef<unsigned> kept) {
  for (auto [i, index] : llvm::enumerate(kept)) {
    BlockArgument argument = graphOp.getBody().getArgument(index);
    entry->getArgument(i).setLoc(argument.getLoc());
    values[argument] = entry->getArgument(i);
  }
  graph.builder.setInsertionPointToEnd(entry);
  for (auto [index, argument] :
       llvm::enumerate(graphOp.getBody().getArguments()))
    if (auto it = options.inputValues.find(
            cast<StringAttr>(graphOp.getInputNames()[index]).getValue());
        it != options.inputValues.end()) {
      Type element = cast<ShapedType>(it->second.getType()).getElementType();
      Value value = graph.constant(argument.getLoc(), it->second);
      if (carrierOf(element) != element)
        value = graph.create<CastOp>(argument.getLoc(), {value},
                                     {.dtype = carrierOf(element)});
      values[argument] = value;
    }
}

/// Types and names of what @main returns.
LogicalResult
Lowering::declareOutputs(onnxir::GraphOp graphOp, ArrayRef<Value> results,
                         SmallVectorImpl<DictionaryAttr> &resultAttrs) {
  Builder attrs(module.getContext());
  for (auto [nameAttr, value, declared] :
       llvm::zip(graphOp.getOutputNames(), results, graphOp.getOutputTypes())) {
    StringRef name = cast<StringAttr>(nameAttr).getValue();
    if (!value || !isa<RankedTensorType>(value.getType()))
      return emitError(module.getLoc())
             << "output '" << name << "' is "
             << (asSequence(value) ? "a sequence; only tensors of numbers can "
                                     "be outputs, so cut the model before it "
                                     "with --outputs"
                                   : "no tensor of numbers");
    Type type = cast<TypeAttr>(declared).getValue();
    compareDeclared(name, value, type);
    Type element = cast<RankedTensorType>(value.getType()).getElementType();
    if (auto tensor = dyn_cast<TensorType>(type);
        tensor && toDType(tensor.getElementType()))
      element = tensor.getElementType();
    resultAttrs.push_back(attrs.getDictionaryAttr(
        {attrs.getNamedAttr(
             marks::kDtype,
             attrs.getStringAttr(getInfo(*toDType(element)).name)),
         attrs.getNamedAttr(marks::kName, nameAttr)}));
  }
  return success();
}

LogicalResult Lowering::run() {
  size_t nodes = 0;
  module.walk([&](onnxir::NodeOp) { ++nodes; });
  mostOps = kMostOps + kMostOpsPerNode * nodes;
  onnxir::GraphOp graphOp = *module.getOps<onnxir::GraphOp>().begin();
  Builder attrs(module.getContext());
  SmallVector<unsigned> kept;
  FailureOr<SmallVector<Type>> types = bindInputs(graphOp, kept);
  if (failed(types))
    return failure();
  graph.builder.setInsertionPoint(graphOp);
  auto function = func::FuncOp::create(graph.builder, module.getLoc(), "main",
                                       attrs.getFunctionType(*types, {}));
  entry = function.addEntryBlock();
  defineInputs(graphOp, kept);
  SmallVector<Value> results;
  if (failed(lowerBlock(graphOp.getBody().front(), results)) ||
      failed(reportUnsupported()))
    return failure();
  if (padded)
    for (Value value : graphOp.getBody().front().getTerminator()->getOperands())
      if (padded->isPadded(value))
        return failure();
  SmallVector<DictionaryAttr> resultAttrs;
  if (failed(declareOutputs(graphOp, results, resultAttrs)))
    return failure();
  func::ReturnOp::create(graph.builder, module.getLoc(), results);
  function.setType(attrs.getFunctionType(entry->getArgumentTypes(),
                                         ValueRange(results).getTypes()));
  function.setAllArgAttrs(argAttrs);
  function.setAllResultAttrs(resultAttrs);
  if (droppedSteps)
    emitRemark(module.getLoc())
        << "computes with floats where the model quantises activations: of "
        << droppedSteps
        << " pairs of QuantizeLinear and DequantizeLinear only the limits are "
           "kept (--quantized-activations=keep keeps steps of 8 bits)";
  // Sequences were only a way to hold values together.
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(*entry)))
    if (isa<onnxir::SequenceOp, onnxir::NoneOp>(op) && op.use_empty())
      op.erase();
  graphOp.erase();
  return success();
}

/// A list whose length the data decides keeps that length where it can, on the
/// host, else it is padded. What the first attempt says is what the user hears
/// when neither works.
static LogicalResult convertWithLists(ModuleOp module,
                                      const ONNXToANEOptions &options) {
  MLIRContext *context = module.getContext();
  SmallVector<Diagnostic> said;
  auto attempt = [&](PaddedRows *padded, SmallVector<Diagnostic> &into) {
    ScopedDiagnosticHandler handler(context, [&](Diagnostic &diagnostic) {
      into.push_back(std::move(diagnostic));
      return success();
    });
    return Lowering(module, options, padded).run();
  };
  auto repeat = [&](SmallVector<Diagnostic> &list) {
    for (Diagnostic &diagnostic : list)
      context->getDiagEngine().emit(std::move(diagnostic));
  };
  auto clear = [&] {
    for (auto function :
         llvm::make_early_inc_range(module.getOps<func::FuncOp>()))
      function.erase();
  };
  if (succeeded(attempt(nullptr, said)))
    return repeat(said), success();
  clear();
  PaddedRows padded;
  SmallVector<Diagnostic> again;
  if (failed(attempt(&padded, again)) || !padded.count) {
    clear();
    return repeat(said), failure();
  }
  repeat(again);
  emitRemark(module.getLoc())
      << "takes every row where " << padded.count
      << " NonZero would pick some by the data, and leaves out those that do "
         "not count where rows are put back; so all shapes are static";
  return success();
}

LogicalResult mlir::ane::convertONNXToANE(ModuleOp module,
                                          const ONNXToANEOptions &options) {
  module.getContext()->loadDialect<ANEDialect, func::FuncDialect>();
  auto graphs = module.getOps<onnxir::GraphOp>();
  if (graphs.empty())
    return emitError(module.getLoc()) << "expects an onnx.graph";
  onnxir::GraphOp graphOp = *graphs.begin();
  // Nodes that no output needs are dropped first: they are neither converted
  // nor held against the model.
  for (Operation &op :
       llvm::make_early_inc_range(llvm::reverse(graphOp.getBody().front())))
    if (op.use_empty() && !op.hasTrait<OpTrait::IsTerminator>())
      op.erase();
  if (failed(checkSchemas(graphOp)))
    return failure();
  if (options.half && !options.keepSteps)
    dropDynamicQuantisation(graphOp);
  if (options.half && options.engineCodes)
    markQuantisedChains(graphOp);
  bool lists = false;
  graphOp.getBody().walk([&](onnxir::NodeOp node) {
    lists |= node.getOpType() == "NonZero" && node.getDomain().empty();
  });
  return lists ? convertWithLists(module, options)
               : Lowering(module, options).run();
}
