//===- Lowering.h - shared by the handlers of each family -----------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// A handler sees one node and emits ane ops through the NodeContext. Failure is
// sticky: once a creation has failed, later ones return null without another
// message, so a handler reads like straight-line algebra. Looking inside a
// value that is not there, or making more than the budget allows, ends the
// handler (an EvaluationError, which the walk catches and reports at the node).
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_LIB_CONVERSION_ONNXTOANE_LOWERING_H
#define ANEMLIR_LIB_CONVERSION_ONNXTOANE_LOWERING_H

#include "ane-mlir/Conversion/GraphBuilder.h"
#include "dialects/ONNX/IR/ONNX.h"
#include "llvm/ADT/StringSet.h"

namespace mlir::ane {

class Lowering;

class NodeContext {
public:
  NodeContext(Lowering &lowering, GraphBuilder &graph, onnxir::NodeOp node,
              SmallVector<Value> inputs)
      : lowering(lowering), graph(graph), node(node), loc(node.getLoc()),
        inputs(std::move(inputs)), outputs(node.getNumResults()) {}

  Lowering &lowering;
  GraphBuilder &graph;
  mutable onnxir::NodeOp node;
  Location loc;

  int64_t version() const { return node.getVersion(); }
  StringRef opType() const { return node.getOpType(); }
  unsigned numInputs() const { return inputs.size(); }
  /// Null when absent.
  Value input(unsigned i) const {
    return i < inputs.size() ? inputs[i] : Value();
  }
  /// For a handler that hands over to another one.
  void setInputs(SmallVector<Value> values) { inputs = std::move(values); }
  unsigned numOutputs() const { return outputs.size(); }
  bool isUsed(unsigned output) const {
    return output < node.getNumResults() && !node.getResult(output).use_empty();
  }
  /// The shape that the model declares for one of its outputs, -1 where it
  /// leaves an extent open; nothing for other values.
  std::optional<SmallVector<int64_t>> declaredShape(unsigned output) const;
  /// Sets an output; a null value after a sticky failure is fine.
  LogicalResult set(unsigned i, Value value) {
    if (i < outputs.size())
      outputs[i] = value;
    return success(value && !hasFailed);
  }
  /// The same where the handler goes on; the failure is sticky.
  void put(unsigned i, Value value) {
    if (i < outputs.size())
      outputs[i] = value;
  }
  Value output(unsigned i) const { return outputs[i]; }

  // Attributes.
  Attribute attribute(StringRef name) const {
    return node.getOnnxAttributes().get(name);
  }
  int64_t getInt(StringRef name, int64_t fallback) const;
  double getFloat(StringRef name, double fallback) const;
  std::optional<SmallVector<float>> getFloats(StringRef name) const;
  std::string getString(StringRef name, StringRef fallback) const;
  std::optional<SmallVector<int64_t>> getInts(StringRef name) const;
  /// Attribute `name`, or the constant input `index` (how newer opsets pass
  /// it); nullopt when neither is there.
  FailureOr<std::optional<SmallVector<int64_t>>> getIntsOrInput(StringRef name,
                                                                unsigned index);

  /// The node's name, as the model has it.
  StringRef name() const {
    auto nameLoc = dyn_cast<NameLoc>(loc);
    return nameLoc ? nameLoc.getName().getValue() : StringRef();
  }
  /// Whether activations that the model quantises are floats here: in fp16 that
  /// is as near to the model's results as its own steps, which fp16 moves.
  bool floatActivations() const;
  /// Counts a quantisation that is left out, for one remark in the end.
  void countDroppedSteps();
  /// Whether values will be fp16.
  bool isHalf() const;
  /// Operations made so far, folded ones too.
  size_t countOps() const;
  /// --max-length for this node, or nothing.
  std::optional<int64_t> maxLength() const;
  /// Whether random numbers are inputs (--random=input); `addInput` makes one,
  /// called as the node.
  bool randomIsInput() const;
  Value addInput(RankedTensorType type);

  // Types.
  RankedTensorType type(Value value) const {
    if (auto type = dyn_cast_or_null<RankedTensorType>(value ? value.getType()
                                                             : Type()))
      return type;
    throwNoTensor(value);
  }
  ArrayRef<int64_t> shape(Value value) const { return type(value).getShape(); }
  int64_t rank(Value value) const { return type(value).getRank(); }
  Type element(Value value) const { return type(value).getElementType(); }
  bool isFloat(Value value) const { return isa<FloatType>(element(value)); }
  /// `axis` in [0, rank).
  FailureOr<int64_t> axis(int64_t axis, int64_t rank);

  // Creation.
  template <typename Op>
  Value create(ArrayRef<Value> operands,
               const Attributes<Op> &attributes = {}) {
    SmallVector<Value> results = createMany<Op>(operands, attributes);
    return results.empty() ? Value() : results[0];
  }
  template <typename Op>
  SmallVector<Value> createMany(ArrayRef<Value> operands,
                                const Attributes<Op> &attributes = {}) {
    return createNamed(Op::getOperationName(), operands,
                       toList(attributes, graph.builder));
  }
  SmallVector<Value> createNamed(StringRef name, ArrayRef<Value> operands,
                                 ArrayRef<NamedAttribute> attributes);

  /// The word of an enumeration that `text` is; ends the handler where it is
  /// none.
  template <typename Word>
  Word word(StringRef text) {
    if (std::optional<Word> found = symbolizeEnum<Word>(text))
      return *found;
    throw EvaluationError{("has '" + text + "', which is not known").str()};
  }

  Value scalar(double value, Type element) {
    return graph.scalar(loc, value, element);
  }
  Value scalarLike(double value, Value like) {
    return like ? scalar(value, element(like)) : Value();
  }
  Value castTo(Value value, Type element);
  Value reshape(Value value, ArrayRef<int64_t> shape);
  Value transpose(Value value, ArrayRef<int64_t> perm);
  Value concat(ArrayRef<Value> values, int64_t axis);
  Value broadcastTo(Value value, ArrayRef<int64_t> shape);
  Value slice(Value value, int64_t axis, int64_t begin, int64_t end);
  Value gather(Value value, Value indices, int64_t axis);
  Value matmul(Value a, Value b, bool transposeB = false);
  Value reduceSum(Value value, ArrayRef<int64_t> axes, bool keep = false);
  Value floats(ArrayRef<int64_t> shape, ArrayRef<float> values) {
    Tensor tensor(DType::Float32, shape);
    llvm::copy(values, tensor.mutableFloats().begin());
    return graph.constant(loc, tensor);
  }
  Value ints(ArrayRef<int64_t> shape, ArrayRef<int64_t> values) {
    Tensor tensor(DType::Int32, shape);
    llvm::copy(values, tensor.mutableInts().begin());
    return graph.constant(loc, tensor);
  }
  Type f32() { return graph.builder.getF32Type(); }
  Type i32() { return graph.builder.getI32Type(); }
  Value add(Value a, Value b);
  Value sub(Value a, Value b);
  Value mul(Value a, Value b);
  Value div(Value a, Value b);

  // Constants.
  /// Compile-time integers behind `value`; failure (with a message naming
  /// `what`) when it depends on an input.
  FailureOr<SmallVector<int64_t>> constantInts(Value value, StringRef what);
  /// The same of what has to be one integer.
  FailureOr<int64_t> constantInt(Value value, StringRef what);
  FailureOr<Tensor> constantTensor(Value value, StringRef what);
  /// The same without a message.
  std::optional<Tensor> tryConstant(Value value);

  /// A diagnostic at the node: "Op: …". Marks the node as failed.
  InFlightDiagnostic error();
  bool failed() const { return hasFailed; }

private:
  [[noreturn]] void throwNoTensor(Value value) const;

  SmallVector<Value> inputs;
  SmallVector<Value> outputs;
  bool hasFailed = false;
};

using Handler = LogicalResult (*)(NodeContext &);

/// (domain, op) -> (since-version, handler), newest first.
class HandlerTable {
public:
  void add(StringRef op, int since, Handler handler, StringRef domain = "") {
    table[(domain + "\n" + op).str()].push_back({since, handler});
  }
  /// The same for an op that sequences and optionals may reach; the others
  /// never see one.
  void addForSequences(StringRef op, int since, Handler handler) {
    add(op, since, handler);
    takesSequences.insert(op);
  }
  bool mayTakeSequence(StringRef domain, StringRef op) const {
    return domain.empty() && takesSequences.contains(op);
  }
  /// The newest handler not above `version` with its since-version, or (-1,
  /// null).
  std::pair<int, Handler> lookup(StringRef domain, StringRef op,
                                 int64_t version) const;

private:
  llvm::StringMap<SmallVector<std::pair<int, Handler>, 1>> table;
  llvm::StringSet<> takesSequences;
};

// One function per family file.
void addMathHandlers(HandlerTable &table);
void addConvHandlers(HandlerTable &table);
void addNormHandlers(HandlerTable &table);
void addReduceHandlers(HandlerTable &table);
void addShapeHandlers(HandlerTable &table);
void addIndexHandlers(HandlerTable &table);
void addRecurrentHandlers(HandlerTable &table);
void addQuantHandlers(HandlerTable &table);
void addControlHandlers(HandlerTable &table);
void addAttentionHandlers(HandlerTable &table);
void addLossHandlers(HandlerTable &table);
void addSamplingHandlers(HandlerTable &table);
void addSignalHandlers(HandlerTable &table);
void addSequenceHandlers(HandlerTable &table);
void addVisionHandlers(HandlerTable &table);
void addAlgorithmHandlers(HandlerTable &table);
void addTrainingHandlers(HandlerTable &table);
void addLinearAttentionHandlers(HandlerTable &table);
void addMicrosoftHandlers(HandlerTable &table);
void addQLinearHandlers(HandlerTable &table);
void addTraditionalHandlers(HandlerTable &table);

/// The element type that carries an ONNX type through ane: fp64, bf16, fp8 and
/// fp4 compute as fp32, integers below 8 bits as 8 (mil/onnx.md §9 rule 2; MIL
/// has none of them at run time).
Type carrierOf(Type element);

/// fp32 values rounded as `type` (fp8, fp4) would hold them; null when it is no
/// such type.
Value roundToSmallFloat(NodeContext &c, Value x, Type type, bool saturate);

/// A sequence of known length stands for its elements while the graph is
/// walked; null when `value` is no sequence.
inline onnxir::SequenceOp asSequence(Value value) {
  return value ? value.getDefiningOp<onnxir::SequenceOp>()
               : onnxir::SequenceOp();
}
Value makeSequence(NodeContext &c, ArrayRef<Value> elements);

/// Indices that count from the end when negative, as MIL's do not.
Value wrapNegative(NodeContext &c, Value indices, int64_t extent);

/// [B,S,H*E] as [B,H,S,E].
Value splitHeads(NodeContext &c, Value x, int64_t heads);
/// Of queries [B,N,S,E] and keys [B,K,T,E], K a divisor of N: scale * q * k^T,
/// [B,N,S,T]. Values [B,K,T,F] have to fit, or an error is said.
Value scoreHeads(NodeContext &c, Value q, Value k, Value v, double scale);
/// Scores kept below `cap` by tanh; 0 is no cap.
Value capScores(NodeContext &c, Value scores, double cap);
Value softmaxOfScores(NodeContext &c, Value scores);
/// Probabilities [B,N,S,T] times values [B,K,T,F]: [B,N,S,F].
Value readHeads(NodeContext &c, Value probabilities, Value v);
/// [B,N,S,F] as [B,S,N*F].
Value joinHeads(NodeContext &c, Value x);
/// Rotary embedding of the leading features of x [B,H,S,E]; cosines and sines
/// [B or 1,1,S,pairs]. Pairs are neighbours or halves of the rotated part.
Value rotatePairs(NodeContext &c, Value x, Value cosine, Value sine,
                  bool interleaved);

/// A scale or zero point shaped to broadcast against `x`: scalar, per axis, or
/// blocked along the axis.
Value shapeParameter(NodeContext &c, Value parameter, Value x, int64_t axis,
                     int64_t block);
/// x - zero as floats. Codes that were rounded from floats just before are
/// taken from there: a way through integers would leave the engine. `exact`:
/// the integers themselves matter, not what they stand for.
Value centredCodes(NodeContext &c, Value x, Value zero, bool exact = false);
/// round(value) + zero, clipped to the integer type, in its carrier.
Value toInteger(NodeContext &c, Value value, Value zero, IntegerType type);

/// Products whose activations are quantised while the model runs become float
/// products with the file's integer weights (DynamicQuant.cpp).
void dropDynamicQuantisation(onnxir::GraphOp graph);

/// Marks (`ane.codes`) the QuantizeLinear nodes whose bytes convolutions read.
void markQuantisedChains(onnxir::GraphOp graph);

/// Translates a block of onnx ops in the scope of an outer one; used by If.
/// Results are those of its yield.
FailureOr<SmallVector<Value>> lowerRegion(NodeContext &c, Region &region,
                                          ArrayRef<Value> arguments);

/// Convolution with the parameters of an ONNX window op (kernel, strides, pads,
/// auto_pad, dilations).
struct ONNXWindow {
  SmallVector<int64_t> kernel, strides, dilations;
  /// Begin and end of each axis in turn (MIL's order).
  SmallVector<int64_t> pads;
};
FailureOr<ONNXWindow>
readWindow(NodeContext &c, ArrayRef<int64_t> spatialInput,
           std::optional<ArrayRef<int64_t>> kernelFromWeight);
/// Negative pads crop the input first (ONNX allows them, MIL does not); they
/// are 0 then.
Value cropNegativePads(NodeContext &c, Value x, ONNXWindow &window);

} // namespace mlir::ane

#endif // ANEMLIR_LIB_CONVERSION_ONNXTOANE_LOWERING_H
