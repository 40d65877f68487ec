//===- SelectParameters.cpp - what is trained becomes an input ------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// Before anything is converted, so that no handler folds a parameter into
// something else, and every name is the model's own.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Interpreter/Tensor.h"
#include "ane-mlir/Training/Passes.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "llvm/Support/GlobPattern.h"
#include <cmath>
#include <random>

using namespace mlir;
using namespace mlir::ane;

namespace mlir::ane {
#define GEN_PASS_DEF_SELECTPARAMETERSPASS
#include "ane-mlir/Training/Passes.h.inc"
} // namespace mlir::ane

/// The ane dialect has one of this name, too.
using Literal = onnxir::ConstantOp;
using onnxir::GraphOp;
using onnxir::NodeOp;

/// Values from here on are those of masks, not of weights.
static constexpr float kMaskMagnitude = 1e4f;

static std::string nameOf(Location loc) {
  auto name = dyn_cast<NameLoc>(loc);
  return name ? name.getName().str() : "";
}

/// fp32 values as a constant; large ones in memory of their own.
static ElementsAttr makeValue(MLIRContext *context, ArrayRef<int64_t> shape,
                              ArrayRef<float> values, StringRef name) {
  auto type = RankedTensorType::get(shape, Float32Type::get(context));
  if (values.size() < 1024)
    return DenseElementsAttr::get(type, values);
  return DenseResourceElementsAttr::get(
      type, name,
      HeapAsmResourceBlob::allocateAndCopyInferAlign<float>(values));
}

/// Uses that decide shapes, limits or codes, and statistics.
static bool isSetting(OpOperand &use) {
  auto node = dyn_cast<NodeOp>(use.getOwner());
  if (!node)
    return false;
  unsigned i = use.getOperandNumber();
  StringRef type = node.getOpType();
  return (type == "BatchNormalization" && i >= 3) ||
         ((type == "Resize" || type == "Upsample" || type == "Pad" ||
           type == "Clip" || type == "Pow" || type == "Range" ||
           type == "OneHot") &&
          i >= 1) ||
         type.contains("QuantizeLinear") || type.contains("QLinear");
}

namespace {
struct SelectParameters
    : ane::impl::SelectParametersPassBase<SelectParameters> {
  using SelectParametersPassBase::SelectParametersPassBase;

  struct Pattern {
    std::string text;
    llvm::GlobPattern glob;
    bool used = false;
  };

  void runOnOperation() override {
    auto graphs = getOperation().getOps<GraphOp>();
    if (graphs.empty())
      return;
    graph = *graphs.begin();
    bool ok =
        parse(trainable, "trainable", wanted) && parse(frozen, "frozen", kept);
    std::vector<std::string> adapted{loraPattern};
    ok = ok && parse(adapted, "lora", adapters);
    if (!ok)
      return signalPassFailure();
    for (Operation &op : llvm::make_early_inc_range(graph.getBody().front()))
      if (auto constant = dyn_cast<Literal>(op))
        if (isTrained(constant) && failed(makeInput(constant)))
          return signalPassFailure();
    if (lora > 0)
      for (Operation &op : llvm::make_early_inc_range(graph.getBody().front()))
        if (auto node = dyn_cast<NodeOp>(op))
          adapt(node);
    for (auto *list : {&wanted, &kept})
      for (Pattern &pattern : *list)
        if (!pattern.used) {
          graph.emitError() << "no initializer of floats has a name like '"
                            << pattern.text << "'";
          return signalPassFailure();
        }
    if (parameters.empty()) {
      graph.emitError() << "has nothing to train"
                        << (lora > 0 ? ": no weight of MatMul, Gemm or Conv "
                                       "has a name like '" +
                                           loraPattern + "'"
                                     : "");
      return signalPassFailure();
    }
    getOperation()->setAttr(marks::kParameters,
                            ArrayAttr::get(&getContext(), parameters));
  }

  bool parse(ArrayRef<std::string> texts, StringRef option,
             std::vector<Pattern> &patterns) {
    for (const std::string &text : texts) {
      auto glob = llvm::GlobPattern::create(text);
      if (!glob) {
        graph.emitError() << "--" << option << " has the pattern '" << text
                          << "': " << llvm::toString(glob.takeError());
        return false;
      }
      patterns.push_back({text, std::move(*glob)});
    }
    return true;
  }

  static bool matches(std::vector<Pattern> &patterns, StringRef name) {
    bool any = false;
    for (Pattern &pattern : patterns)
      if (pattern.glob.match(name))
        any = pattern.used = true;
    return any;
  }

  bool isTrained(Literal constant) {
    auto type = dyn_cast<RankedTensorType>(constant.getValue().getType());
    std::string name = nameOf(constant.getLoc());
    if (!type || !isa<FloatType>(type.getElementType()) || name.empty() ||
        constant->use_empty())
      return false;
    bool isKept = matches(kept, name), isWanted = matches(wanted, name);
    if (isKept || isWanted)
      return isWanted && !isKept;
    if (!wanted.empty() || lora > 0 || type.getNumElements() < 2 ||
        llvm::any_of(constant->getUses(), isSetting))
      return false;
    FailureOr<Tensor> tensor = Tensor::fromElements(constant.getValue());
    return succeeded(tensor) && llvm::all_of(tensor->floats(), [](float value) {
             return std::fabs(value) < kMaskMagnitude;
           });
  }

  void addParameter(StringRef name, ElementsAttr value, StringRef base = "",
                    double scale = 1, bool left = false) {
    Builder b(&getContext());
    NamedAttrList entry;
    entry.set("name", b.getStringAttr(name));
    entry.set("value", value);
    if (!base.empty()) {
      entry.set("base", b.getStringAttr(base));
      entry.set("scale", b.getF64FloatAttr(scale));
      entry.set("left", b.getBoolAttr(left));
    }
    parameters.push_back(entry.getDictionary(&getContext()));
  }

  /// A further input of the graph.
  BlockArgument addInput(StringRef name, ArrayRef<int64_t> shape) {
    Builder b(&getContext());
    auto type = RankedTensorType::get(shape, b.getF32Type());
    auto append = [&](ArrayAttr list, Attribute entry) {
      SmallVector<Attribute> all(list.getValue());
      all.push_back(entry);
      return b.getArrayAttr(all);
    };
    graph.setInputNamesAttr(
        append(graph.getInputNamesAttr(), b.getStringAttr(name)));
    SmallVector<StringRef> symbols(shape.size(), "");
    graph.setInputDimsAttr(
        append(graph.getInputDimsAttr(), b.getStrArrayAttr(symbols)));
    return graph.getBody().front().addArgument(
        type, NameLoc::get(b.getStringAttr(name)));
  }

  LogicalResult makeInput(Literal constant) {
    auto type = cast<RankedTensorType>(constant.getValue().getType());
    std::string name = nameOf(constant.getLoc());
    for (Attribute input : graph.getInputNames())
      if (cast<StringAttr>(input).getValue() == name)
        return constant.emitError()
               << "'" << name << "' is the name of an input, too";
    FailureOr<Tensor> tensor = Tensor::fromElements(constant.getValue());
    if (failed(tensor))
      return constant.emitError() << "has a value that cannot be read";
    ElementsAttr value =
        type.getElementType().isF32()
            ? constant.getValue()
            : makeValue(&getContext(), type.getShape(), tensor->floats(), name);
    Value input = addInput(name, type.getShape());
    if (!type.getElementType().isF32()) {
      // ONNX's numbers of element types.
      int64_t to = type.getElementType().isF16()    ? 10
                   : type.getElementType().isBF16() ? 16
                                                    : 11;
      OpBuilder b(constant);
      input = makeNode(b, constant.getLoc(), "Cast", {input},
                       {b.getNamedAttr("to", b.getI64IntegerAttr(to))});
    }
    constant.getResult().replaceAllUsesWith(input);
    constant.erase();
    addParameter(name, value);
    return success();
  }

  Value makeNode(OpBuilder &b, Location loc, StringRef type,
                 ArrayRef<Value> inputs,
                 ArrayRef<NamedAttribute> attributes = {}) {
    int64_t version = 0;
    if (auto opset = graph.getOpsets().getAs<IntegerAttr>("ai.onnx"))
      version = opset.getInt();
    return NodeOp::create(
               b, loc, TypeRange{onnxir::ValueType::get(b.getContext())},
               b.getStringAttr(""), b.getStringAttr(type),
               b.getI64IntegerAttr(version), b.getDictionaryAttr(attributes),
               b.getStrArrayAttr({}), inputs, 0)
        .getResult(0);
  }

  static std::optional<int64_t> intOf(NodeOp node, StringRef name) {
    auto attr = node.getOnnxAttributes().getAs<IntegerAttr>(name);
    return attr ? std::optional(attr.getInt()) : std::nullopt;
  }

  /// Adds scale * x A B beside a node of x and a constant weight.
  void adapt(NodeOp node) {
    StringRef type = node.getOpType();
    if (!node.getDomain().empty() || node.getInputs().size() < 2 ||
        (type != "MatMul" && type != "Gemm" && type != "Conv"))
      return;
    auto constant = node.getInputs()[1].getDefiningOp<Literal>();
    auto weight =
        constant ? dyn_cast<RankedTensorType>(constant.getValue().getType())
                 : RankedTensorType();
    std::string base = constant ? nameOf(constant.getLoc()) : "";
    bool conv = type == "Conv";
    if (!weight || base.empty() || !weight.getElementType().isF32() ||
        (conv ? weight.getRank() < 3 || intOf(node, "group").value_or(1) != 1
              : weight.getRank() != 2) ||
        intOf(node, "transA").value_or(0) || matches(kept, base) ||
        !matches(adapters, base))
      return;
    int64_t rows = weight.getDimSize(0),
            columns = weight.getNumElements() / std::max<int64_t>(1, rows);
    // The weight as a matrix is left [rows, r] times right [r, columns].
    bool outputsFirst = conv || intOf(node, "transB").value_or(0);
    auto [left, right] = addAdapter(base, rows, columns, outputsFirst);
    OpBuilder b(node);
    b.setInsertionPointAfter(node);
    Value x = node.getInputs()[0], low, high;
    NamedAttribute transposed =
        b.getNamedAttr("transB", b.getI64IntegerAttr(1));
    if (conv) {
      low = makeNode(b, node.getLoc(), "Conv",
                     {x, reshaped(b, right, weight.getShape(), int64_t(lora))},
                     node.getOnnxAttributes().getValue());
      SmallVector<int64_t> one(weight.getRank(), 1);
      one[0] = rows;
      one[1] = lora;
      high = makeNode(b, node.getLoc(), "Conv",
                      {low, reshaped(b, left, one, rows)});
    } else if (type == "MatMul") {
      low = makeNode(b, node.getLoc(), "MatMul", {x, left});
      high = makeNode(b, node.getLoc(), "MatMul", {low, right});
    } else if (outputsFirst) {
      low = makeNode(b, node.getLoc(), "Gemm", {x, right}, {transposed});
      high = makeNode(b, node.getLoc(), "Gemm", {low, left}, {transposed});
    } else {
      low = makeNode(b, node.getLoc(), "MatMul", {x, left});
      high = makeNode(b, node.getLoc(), "MatMul", {low, right});
    }
    double factor = scale();
    if (auto alpha = node.getOnnxAttributes().getAs<FloatAttr>("alpha"))
      factor *= alpha.getValueAsDouble();
    auto number = RankedTensorType::get({}, b.getF32Type());
    Value by = Literal::create(b, node.getLoc(), number,
                               DenseElementsAttr::get(number, float(factor)));
    Value added = makeNode(b, node.getLoc(), "Mul", {high, by});
    Value sum = makeNode(b, node.getLoc(), "Add", {node.getResult(0), added});
    node.getResult(0).replaceAllUsesExcept(sum, sum.getDefiningOp());
  }

  double scale() const {
    return (loraAlpha > 0 ? double(loraAlpha) : double(lora)) / double(lora);
  }

  /// `x` with the shape of a kernel whose first extent is `first`.
  Value reshaped(OpBuilder &b, Value x, ArrayRef<int64_t> shape,
                 int64_t first) {
    SmallVector<int64_t> wanted(shape);
    wanted[0] = first;
    auto type = RankedTensorType::get({(int64_t)wanted.size()}, b.getI64Type());
    Value to = Literal::create(
        b, x.getLoc(), type,
        DenseElementsAttr::get(type, ArrayRef<int64_t>(wanted)));
    return makeNode(b, x.getLoc(), "Reshape", {x, to});
  }

  /// The two inputs of an adapter, made once per weight; the one beside x is
  /// random, the other zero, so that nothing changes at first.
  std::pair<Value, Value> addAdapter(const std::string &base, int64_t rows,
                                     int64_t columns, bool outputsFirst) {
    auto [it, isNew] = made.try_emplace(base);
    if (!isNew)
      return it->second;
    auto make = [&](bool isLeft) -> Value {
      SmallVector<int64_t> shape = isLeft ? SmallVector<int64_t>{rows, lora}
                                          : SmallVector<int64_t>{lora, columns};
      bool nearInput = isLeft != outputsFirst;
      std::string name = base + (nearInput ? ".lora_A" : ".lora_B");
      std::vector<float> values(shape[0] * shape[1]);
      if (nearInput) {
        // The same numbers on every machine: of the name alone.
        std::seed_seq seed(name.begin(), name.end());
        std::mt19937 engine(seed);
        float limit = 1 / std::sqrt(float(isLeft ? rows : columns));
        for (float &value : values)
          value = (float(engine() >> 8) / float(1 << 23) - 1) * limit;
      }
      addParameter(name, makeValue(&getContext(), shape, values, name), base,
                   scale(), isLeft);
      return addInput(name, shape);
    };
    Value left = make(true);
    it->second = {left, make(false)};
    return it->second;
  }

  GraphOp graph;
  std::vector<Pattern> wanted, kept, adapters;
  SmallVector<Attribute> parameters;
  llvm::StringMap<std::pair<Value, Value>> made;
};
} // namespace
