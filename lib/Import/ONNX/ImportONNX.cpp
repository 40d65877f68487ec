//===- ImportONNX.cpp - ONNX file to onnx dialect -------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "Proto.h"
#include "TensorImport.h"
#include "ane-mlir/Import/ONNX.h"
#include "ane-mlir/Support/DType.h"
#include "ane-mlir/Support/Usage.h"
#include "dialects/ONNX/IR/ONNX.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/Diagnostics.h"
#include "llvm/ADT/SmallSet.h"
#include "llvm/ADT/StringSet.h"
#include <queue>

using namespace mlir;
using namespace mlir::ane;
using proto::View;

namespace {
/// Nested graphs and function calls deeper than this are refused: no exporter
/// writes them, and MLIR recurses.
constexpr unsigned kMaxDepth = 64;
/// Inlined functions may multiply. What they make beyond the file's own nodes
/// is bounded, whatever the file and for each of its nodes.
constexpr size_t kMostInlined = 30'000, kMostInlinedPerNode = 16;

/// Names visible at a point: this graph's, then the enclosing ones'.
struct Scope {
  Scope *parent = nullptr;
  llvm::StringMap<Value> values;
  /// Attributes of the call that a function body refers to; null outside
  /// functions.
  const llvm::StringMap<View> *callAttributes = nullptr;
  const llvm::StringMap<int64_t> *opsets = nullptr;
  unsigned depth = 0;

  Value lookup(StringRef name) const {
    for (const Scope *scope = this; scope; scope = scope->parent)
      if (auto it = scope->values.find(name); it != scope->values.end())
        return it->second;
    return {};
  }
  /// Of its own values, in order.
  std::vector<StringRef> names() const {
    std::vector<StringRef> names;
    for (auto &entry : values)
      if (!entry.getKey().empty())
        names.push_back(entry.getKey());
    llvm::sort(names);
    return names;
  }
};

class Importer {
public:
  Importer(MLIRContext *context, std::shared_ptr<const MappedFile> file,
           ArrayRef<std::string> cut)
      : context(context), builder(context), cut(cut), file(file),
        fileLoc(NameLoc::get(builder.getStringAttr(file->path()))),
        tensors(context, file) {}

  OwningOpRef<ModuleOp> import();

private:
  LogicalResult importGraph(const proto::Graph &graph, Scope &scope,
                            bool isMain);
  LogicalResult importNodes(ArrayRef<View> nodes, Scope &scope);
  LogicalResult importBody(const proto::Node &node, View graph, Region &region,
                           Location loc, Scope &scope);
  LogicalResult importNode(const proto::Node &node, size_t index, Scope &scope);
  LogicalResult importCall(const proto::Node &node,
                           const proto::Function &function, Location loc,
                           Scope &scope);
  /// The node's ONNX attributes; graph attributes are listed for the regions.
  LogicalResult
  importAttributes(const proto::Node &node, Location loc, Scope &scope,
                   NamedAttrList &attributes,
                   SmallVectorImpl<std::pair<View, View>> &graphs);
  FailureOr<Type> importType(const proto::ValueInfo &info, Location loc,
                             SmallVectorImpl<Attribute> *symbols);
  Value none(Location loc) {
    return onnxir::NoneOp::create(builder, loc,
                                  onnxir::ValueType::get(context));
  }

  MLIRContext *context;
  OpBuilder builder;
  /// Values that become the outputs instead of the graph's own; empty for
  /// those.
  ArrayRef<std::string> cut;
  std::shared_ptr<const MappedFile> file;
  Location fileLoc;
  TensorImporter tensors;
  llvm::StringMap<proto::Function> functions;
  /// Nodes that calls have made, and how many they may.
  size_t inlined = 0, mostInlined = kMostInlined;
};

std::string functionKey(View domain, View name, View overload) {
  return (domain + "\n" + name + "\n" + overload).str();
}
} // namespace

FailureOr<Type> Importer::importType(const proto::ValueInfo &info, Location loc,
                                     SmallVectorImpl<Attribute> *symbols) {
  if (!info.kind.empty())
    return Type(onnxir::OpaqueType::get(context, info.kind));
  if (info.elementType == 0)
    return Type(onnxir::ValueType::get(context));
  Type element;
  if (info.elementType == 8)
    element = onnxir::StringType::get(context);
  else if (std::optional<DType> dtype = lookupDTypeByOnnxCode(info.elementType))
    element = toMLIRType(*dtype, context);
  else
    return emitError(loc) << "value '" << info.name << "' has element type "
                          << info.elementType << ", which is not supported";
  if (!info.hasShape)
    return Type(UnrankedTensorType::get(element));
  SmallVector<int64_t> shape;
  SmallVector<Attribute> names;
  for (const proto::Dimension &dim : info.dims) {
    // A negative number is how some exporters write "unknown".
    bool known = dim.symbol.empty() && dim.value >= 0;
    if (known && dim.value > INT32_MAX)
      return emitError(loc) << "value '" << info.name << "' has a dimension of "
                            << dim.value << ", the limit is 2^31 - 1";
    shape.push_back(known ? dim.value : ShapedType::kDynamic);
    names.push_back(builder.getStringAttr(dim.symbol));
  }
  if (symbols)
    symbols->push_back(builder.getArrayAttr(names));
  return Type(RankedTensorType::get(shape, element));
}

OwningOpRef<ModuleOp> Importer::import() {
  proto::Model model =
      proto::Model::parse(View(file->data().data(), file->data().size()));
  if (!model.hasGraph) {
    emitError(fileLoc) << "is no ONNX model: it has no graph";
    return {};
  }
  if (model.irVersion < 3 || model.irVersion > 14)
    emitWarning(fileLoc) << "has IR version " << model.irVersion
                         << ", versions 3 to 14 are known";
  llvm::StringMap<int64_t> opsets;
  NamedAttrList opsetAttrs;
  for (const proto::OpsetImport &opset : model.opsets) {
    opsets[opset.domain] = opset.version;
    opsetAttrs.set(opset.domain.empty() ? "ai.onnx" : opset.domain,
                   builder.getI64IntegerAttr(opset.version));
  }
  if (auto it = opsets.find("");
      it != opsets.end() && (it->second < 1 || it->second > 28)) {
    emitError(fileLoc) << "uses opset " << it->second
                       << " of ai.onnx, opsets 1 to 28 are supported; convert "
                          "the model with onnx.version_converter";
    return {};
  }
  for (View message : model.functions) {
    proto::Function function = proto::Function::parse(message);
    std::string key =
        functionKey(function.domain, function.name, function.overload);
    mostInlined += kMostInlinedPerNode * function.nodes.size();
    functions[key] = std::move(function);
  }
  proto::Graph graph = proto::Graph::parse(model.graph);
  mostInlined += kMostInlinedPerNode * graph.nodes.size();
  OwningOpRef<ModuleOp> module = ModuleOp::create(fileLoc);
  builder.setInsertionPointToStart(module->getBody());

  llvm::StringSet<> initialized;
  for (View message : graph.initializers)
    initialized.insert(proto::Tensor::parse(message).name);
  for (View message : graph.sparseInitializers)
    initialized.insert(
        proto::Tensor::parse(proto::SparseTensor::parse(message).values).name);

  SmallVector<Attribute> inputNames, inputDims, outputNames, outputTypes;
  SmallVector<Type> inputTypes;
  SmallVector<View> names;
  llvm::StringSet<> seen;
  for (View message : graph.inputs) {
    proto::ValueInfo info = proto::ValueInfo::parse(message);
    if (initialized.contains(info.name))
      continue; // a default value, not an input
    if (!seen.insert(info.name).second) {
      emitError(fileLoc) << "has two inputs named '" << info.name << "'";
      return {};
    }
    size_t dims = inputDims.size();
    FailureOr<Type> type = importType(info, fileLoc, &inputDims);
    if (failed(type))
      return {};
    if (inputDims.size() == dims)
      inputDims.push_back(builder.getArrayAttr({}));
    inputNames.push_back(builder.getStringAttr(info.name));
    inputTypes.push_back(*type);
    names.push_back(info.name);
  }
  for (const std::string &name : cut) {
    outputNames.push_back(builder.getStringAttr(name));
    outputTypes.push_back(TypeAttr::get(onnxir::ValueType::get(context)));
  }
  for (View message :
       cut.empty() ? ArrayRef<View>(graph.outputs) : ArrayRef<View>()) {
    proto::ValueInfo info = proto::ValueInfo::parse(message);
    // What an exporter says of an output's shape is not needed, and often
    // wrong; the element type is kept.
    FailureOr<Type> type = importType(info, fileLoc, nullptr);
    if (failed(type))
      return {};
    outputNames.push_back(builder.getStringAttr(info.name));
    outputTypes.push_back(TypeAttr::get(*type));
  }
  auto graphOp = onnxir::GraphOp::create(
      builder, fileLoc, builder.getStringAttr("main"),
      opsetAttrs.getDictionary(context), builder.getArrayAttr(inputNames),
      builder.getArrayAttr(inputDims), builder.getArrayAttr(outputNames),
      builder.getArrayAttr(outputTypes));
  Block &block = graphOp.getBody().emplaceBlock();
  Scope scope;
  scope.opsets = &opsets;
  for (auto [name, type] : llvm::zip(names, inputTypes))
    scope.values[name] =
        block.addArgument(type, NameLoc::get(builder.getStringAttr(name)));
  builder.setInsertionPointToStart(&block);
  if (failed(importGraph(graph, scope, true)))
    return {};
  return module;
}

LogicalResult Importer::importGraph(const proto::Graph &graph, Scope &scope,
                                    bool isMain) {
  auto addConstant = [&](View name, ElementsAttr value, Location loc) {
    if (!value)
      return failure();
    scope.values[name] =
        onnxir::ConstantOp::create(builder, loc, value.getType(), value);
    return success();
  };
  for (View message : graph.initializers) {
    View name = proto::Tensor::parse(message).name;
    Location loc = NameLoc::get(builder.getStringAttr(name));
    if (failed(addConstant(name, tensors.import(message, loc), loc)))
      return failure();
  }
  for (View message : graph.sparseInitializers) {
    View name =
        proto::Tensor::parse(proto::SparseTensor::parse(message).values).name;
    Location loc = NameLoc::get(builder.getStringAttr(name));
    if (failed(addConstant(name, tensors.importSparse(message, loc), loc)))
      return failure();
  }
  if (failed(importNodes(graph.nodes, scope)))
    return failure();
  SmallVector<Value> results;
  SmallVector<View> outputs;
  if (isMain && !cut.empty())
    outputs.append(cut.begin(), cut.end());
  else
    for (View message : graph.outputs)
      outputs.push_back(proto::ValueInfo::parse(message).name);
  for (View name : outputs) {
    Value value = scope.lookup(name);
    if (!value && isMain && !cut.empty())
      return emitError(fileLoc)
             << "--outputs names '" << name << "', which no node makes"
             << suggest(name, scope.names());
    if (!value)
      return emitError(fileLoc) << "output '" << name << "' of graph '"
                                << graph.name << "' is produced by no node";
    results.push_back(value);
  }
  onnxir::YieldOp::create(builder, fileLoc, results);
  return success();
}

/// Adds every name that nodes of a graph message read, at any depth.
static void collectReads(View graphMessage, unsigned depth,
                         llvm::StringSet<> &reads) {
  if (depth > kMaxDepth)
    return; // reported when the graph itself is imported
  proto::Graph graph = proto::Graph::parse(graphMessage);
  for (View message : graph.nodes) {
    proto::Node node = proto::Node::parse(message);
    for (View name : node.inputs)
      reads.insert(name);
    for (View attribute : node.attributes) {
      proto::Attribute a = proto::Attribute::parse(attribute);
      if (a.graph.data())
        collectReads(a.graph, depth + 1, reads);
      for (View g : a.graphs)
        collectReads(g, depth + 1, reads);
    }
  }
  for (View message : graph.outputs)
    reads.insert(proto::ValueInfo::parse(message).name);
}

LogicalResult Importer::importNodes(ArrayRef<View> messages, Scope &scope) {
  std::vector<proto::Node> nodes;
  nodes.reserve(messages.size());
  llvm::StringMap<size_t> producers;
  for (View message : messages) {
    nodes.push_back(proto::Node::parse(message));
    for (View name : nodes.back().outputs)
      if (!name.empty() &&
          !producers.try_emplace(name, nodes.size() - 1).second)
        return emitError(fileLoc)
               << "value '" << name
               << "' is produced by two nodes, the second is '"
               << nodes.back().name << "' (" << nodes.back().opType << ")";
  }
  // Kahn's algorithm that prefers the file's order, so that sorted files keep
  // it.
  std::vector<unsigned> missing(nodes.size());
  std::vector<SmallVector<size_t, 2>> users(nodes.size());
  for (auto [i, node] : llvm::enumerate(nodes)) {
    llvm::StringSet<> reads;
    for (View name : node.inputs)
      reads.insert(name);
    for (View attribute : node.attributes) {
      // Only If, Loop, Scan and the like carry graphs; their bodies may read
      // what this graph produces.
      proto::Attribute a = proto::Attribute::parse(attribute);
      if (a.graph.data())
        collectReads(a.graph, scope.depth + 1, reads);
      for (View g : a.graphs)
        collectReads(g, scope.depth + 1, reads);
    }
    llvm::SmallSet<size_t, 4> seen;
    for (const auto &read : reads)
      if (auto it = producers.find(read.getKey());
          it != producers.end() && it->second != i &&
          seen.insert(it->second).second) {
        users[it->second].push_back(i);
        ++missing[i];
      } else if (it != producers.end() && it->second == i &&
                 llvm::is_contained(node.inputs, read.getKey()) &&
                 !scope.lookup(read.getKey())) {
        return emitError(NameLoc::get(builder.getStringAttr(node.name)))
               << "node '" << node.name << "' (" << node.opType
               << ") reads its own output '" << read.getKey()
               << "': the graph has a cycle";
      }
  }
  std::priority_queue<size_t, std::vector<size_t>, std::greater<size_t>> ready;
  for (size_t i = 0; i < nodes.size(); ++i)
    if (!missing[i])
      ready.push(i);
  size_t done = 0;
  while (!ready.empty()) {
    size_t i = ready.top();
    ready.pop();
    ++done;
    if (failed(importNode(nodes[i], i, scope)))
      return failure();
    for (size_t user : users[i])
      if (--missing[user] == 0)
        ready.push(user);
  }
  if (done == nodes.size())
    return success();
  InFlightDiagnostic diagnostic = emitError(fileLoc)
                                  << "the graph has a cycle through";
  unsigned listed = 0;
  for (size_t i = 0; i < nodes.size() && listed < 5; ++i)
    if (missing[i]) {
      diagnostic << (listed++ ? ", '" : " '") << nodes[i].name << "' ("
                 << nodes[i].opType << ")";
    }
  return diagnostic;
}

LogicalResult
Importer::importAttributes(const proto::Node &node, Location loc, Scope &scope,
                           NamedAttrList &attributes,
                           SmallVectorImpl<std::pair<View, View>> &graphs) {
  for (View message : node.attributes) {
    proto::Attribute a = proto::Attribute::parse(message);
    View name = a.name;
    if (name.empty())
      return emitError(loc) << "has an attribute without a name";
    // Inside a function body an attribute may stand for one of the call.
    if (!a.reference.empty()) {
      if (!scope.callAttributes)
        return emitError(loc) << "attribute '" << name << "' refers to '"
                              << a.reference << "' outside a function";
      auto it = scope.callAttributes->find(a.reference);
      if (it == scope.callAttributes->end())
        continue; // absent in the call: absent here
      a = proto::Attribute::parse(it->second);
    }
    if (attributes.get(name))
      return emitError(loc) << "has attribute '" << name << "' twice";
    switch (a.type) {
    case proto::Attribute::Float:
      attributes.set(name, builder.getF32FloatAttr(a.f));
      break;
    case proto::Attribute::Int:
      attributes.set(name, builder.getI64IntegerAttr(a.i));
      break;
    case proto::Attribute::String:
      attributes.set(name, builder.getStringAttr(a.s));
      break;
    case proto::Attribute::Floats:
      attributes.set(name, builder.getDenseF32ArrayAttr(a.floats));
      break;
    case proto::Attribute::Ints:
      attributes.set(name, builder.getDenseI64ArrayAttr(a.ints));
      break;
    case proto::Attribute::Strings: {
      SmallVector<StringRef> strings(a.strings.begin(), a.strings.end());
      attributes.set(name, builder.getStrArrayAttr(strings));
      break;
    }
    case proto::Attribute::TensorT:
    case proto::Attribute::Sparse: {
      ElementsAttr value = a.type == proto::Attribute::Sparse
                               ? tensors.importSparse(a.sparse, loc)
                               : tensors.import(a.tensor, loc);
      if (!value)
        return failure();
      attributes.set(name, value);
      break;
    }
    case proto::Attribute::Tensors: {
      SmallVector<Attribute> values;
      for (View tensor : a.tensors)
        if (ElementsAttr value = tensors.import(tensor, loc))
          values.push_back(value);
        else
          return failure();
      attributes.set(name, builder.getArrayAttr(values));
      break;
    }
    case proto::Attribute::Graph:
      graphs.push_back({name, a.graph});
      break;
    case proto::Attribute::Graphs:
      for (View graph : a.graphs)
        graphs.push_back({name, graph});
      break;
    case proto::Attribute::TypeProto:
    case proto::Attribute::TypeProtos:
      attributes.set(name, builder.getUnitAttr());
      break; // Optional's element type: not needed
    default:
      return emitError(loc) << "attribute '" << name << "' has type " << a.type
                            << ", which is not supported";
    }
  }
  return success();
}

/// Whether a Constant's attribute has the kind that its name says.
static bool isConstantValue(NamedAttribute attribute) {
  Attribute value = attribute.getValue();
  StringRef name = attribute.getName().getValue();
  bool isTensor = isa<ElementsAttr>(value) && !isa<DenseArrayAttr>(value);
  return (isTensor && (name == "value" || name == "sparse_value")) ||
         (isa<FloatAttr>(value) && name == "value_float") ||
         (isa<IntegerAttr>(value) && name == "value_int") ||
         (isa<DenseF32ArrayAttr>(value) && name == "value_floats") ||
         (isa<DenseI64ArrayAttr>(value) && name == "value_ints") ||
         (isa<StringAttr>(value) && name == "value_string") ||
         (isa<ArrayAttr>(value) && name == "value_strings");
}

/// The value of a Constant; null where its attributes are none.
static ElementsAttr constantOf(const NamedAttrList &attributes,
                               MLIRContext *context) {
  if (attributes.getAttrs().size() != 1 ||
      !isConstantValue(*attributes.begin()))
    return {};
  Builder builder(context);
  Type string = onnxir::StringType::get(context);
  Attribute attr = attributes.begin()->getValue();
  if (auto elements = dyn_cast<ElementsAttr>(attr);
      elements && !isa<DenseArrayAttr>(attr))
    return elements;
  if (isa<FloatAttr, IntegerAttr>(attr))
    return DenseElementsAttr::get(
        RankedTensorType::get({}, cast<TypedAttr>(attr).getType()),
        ArrayRef<Attribute>{attr});
  if (auto list = dyn_cast<DenseF32ArrayAttr>(attr))
    return DenseElementsAttr::get(
        RankedTensorType::get({list.size()}, builder.getF32Type()),
        list.asArrayRef());
  if (auto list = dyn_cast<DenseI64ArrayAttr>(attr))
    return DenseElementsAttr::get(
        RankedTensorType::get({list.size()}, builder.getI64Type()),
        list.asArrayRef());
  if (auto text = dyn_cast<StringAttr>(attr))
    return DenseStringElementsAttr::get(RankedTensorType::get({}, string),
                                        ArrayRef<StringRef>{text.getValue()});
  if (auto list = dyn_cast<ArrayAttr>(attr)) {
    SmallVector<StringRef> strings;
    for (Attribute entry : list)
      if (auto text = dyn_cast<StringAttr>(entry))
        strings.push_back(text.getValue());
    return DenseStringElementsAttr::get(
        RankedTensorType::get({(int64_t)strings.size()}, string), strings);
  }
  return {};
}

/// The graph of an attribute: the body of a branch or loop.
LogicalResult Importer::importBody(const proto::Node &node, View graph,
                                   Region &region, Location loc, Scope &scope) {
  if (scope.depth + 1 > kMaxDepth)
    return emitError(loc) << "node (" << node.opType
                          << ") nests graphs more than " << kMaxDepth
                          << " deep";
  proto::Graph body = proto::Graph::parse(graph);
  Scope inner;
  inner.parent = &scope;
  inner.callAttributes = scope.callAttributes;
  inner.opsets = scope.opsets;
  inner.depth = scope.depth + 1;
  OpBuilder::InsertionGuard guard(builder);
  Block &block = region.emplaceBlock();
  for (View message : body.inputs) {
    proto::ValueInfo info = proto::ValueInfo::parse(message);
    inner.values[info.name] =
        block.addArgument(onnxir::ValueType::get(context),
                          NameLoc::get(builder.getStringAttr(info.name)));
  }
  builder.setInsertionPointToStart(&block);
  return importGraph(body, inner, false);
}

LogicalResult Importer::importNode(const proto::Node &node, size_t index,
                                   Scope &scope) {
  std::string name = node.name.empty()
                         ? (node.opType + "_" + llvm::Twine(index)).str()
                         : node.name.str();
  Location loc = NameLoc::get(builder.getStringAttr(name));
  if (node.opType.empty())
    return emitError(loc) << "node has no op_type";
  if (auto it =
          functions.find(functionKey(node.domain, node.opType, node.overload));
      it != functions.end())
    return importCall(node, it->second, loc, scope);

  SmallVector<Value> inputs;
  for (View input : node.inputs) {
    Value value = input.empty() ? none(loc) : scope.lookup(input);
    if (!value)
      return emitError(loc)
             << "node (" << node.opType << ") reads '" << input
             << "', which no input, initializer or node produces";
    inputs.push_back(value);
  }
  auto version = scope.opsets->find(node.domain);
  NamedAttrList attributes;
  SmallVector<std::pair<View, View>> graphs;
  if (failed(importAttributes(node, loc, scope, attributes, graphs)))
    return failure();

  if (node.opType == "Constant" && node.domain.empty()) {
    ElementsAttr value = constantOf(attributes, context);
    if (!value || node.outputs.size() != 1)
      return emitError(loc)
             << "Constant expects one output and exactly one of value, "
                "sparse_value, value_int(s), value_float(s), value_string(s)";
    scope.values[node.outputs[0]] =
        onnxir::ConstantOp::create(builder, loc, value.getType(), value);
    return success();
  }

  // Gradient reads the tensor that attribute `y` names; here names are gone, so
  // it is the last operand.
  if (node.domain == "ai.onnx.preview.training" && node.opType == "Gradient")
    if (auto y = dyn_cast_or_null<StringAttr>(attributes.get("y"))) {
      Value value = scope.lookup(y.getValue());
      if (!value)
        return emitError(loc) << "node (Gradient) names '" << y.getValue()
                              << "' as its y, which nothing produces";
      inputs.push_back(value);
    }
  SmallVector<Type> types(node.outputs.size(), onnxir::ValueType::get(context));
  SmallVector<StringRef> regionNames;
  for (auto &graph : graphs)
    regionNames.push_back(graph.first);
  auto op = onnxir::NodeOp::create(
      builder, loc, types, builder.getStringAttr(node.domain),
      builder.getStringAttr(node.opType),
      builder.getI64IntegerAttr(
          version == scope.opsets->end() ? 1 : version->second),
      attributes.getDictionary(context), builder.getStrArrayAttr(regionNames),
      inputs, graphs.size());
  for (auto [graph, region] : llvm::zip(graphs, op.getGraphs()))
    if (failed(importBody(node, graph.second, region, loc, scope)))
      return failure();
  for (auto [output, value] : llvm::zip(node.outputs, op.getOutputs()))
    if (!output.empty())
      scope.values[output] = value;
  return success();
}

LogicalResult Importer::importCall(const proto::Node &node,
                                   const proto::Function &function,
                                   Location loc, Scope &scope) {
  if (scope.depth + 1 > kMaxDepth)
    return emitError(loc) << "function '" << function.name
                          << "' calls functions more than " << kMaxDepth
                          << " deep, or itself";
  // A call counts too: functions of no nodes may call each other.
  inlined += function.nodes.size() + 1;
  if (inlined > mostInlined)
    return emitError(loc) << "function '" << function.name
                          << "' and those it calls make more than "
                          << mostInlined
                          << " nodes; inline the model's functions with "
                             "onnx.inliner and simplify it";
  llvm::StringMap<View> attributes;
  for (View message : function.attributeDefaults)
    attributes[proto::Attribute::parse(message).name] = message;
  for (View message : node.attributes) {
    proto::Attribute a = proto::Attribute::parse(message);
    if (a.reference.empty())
      attributes[a.name] = message;
    else if (scope.callAttributes)
      if (auto it = scope.callAttributes->find(a.reference);
          it != scope.callAttributes->end())
        attributes[a.name] = it->second;
  }
  llvm::StringMap<int64_t> opsets;
  for (const proto::OpsetImport &opset : function.opsets)
    opsets[opset.domain] = opset.version;
  if (opsets.empty())
    opsets = *scope.opsets;
  Scope inner;
  inner.callAttributes = &attributes;
  inner.opsets = &opsets;
  inner.depth = scope.depth + 1;
  for (auto [i, parameter] : llvm::enumerate(function.inputs)) {
    Value value = i < node.inputs.size() && !node.inputs[i].empty()
                      ? scope.lookup(node.inputs[i])
                      : none(loc);
    if (!value)
      return emitError(loc)
             << "node (" << node.opType << ") reads '" << node.inputs[i]
             << "', which no input, initializer or node produces";
    inner.values[parameter] = value;
  }
  if (failed(importNodes(function.nodes, inner)))
    return failure();
  for (auto [i, output] : llvm::enumerate(node.outputs)) {
    if (output.empty())
      continue;
    Value value = i < function.outputs.size()
                      ? inner.lookup(function.outputs[i])
                      : Value();
    if (!value)
      return emitError(loc)
             << "function '" << function.name << "' does not produce output "
             << i << " of the call";
    scope.values[output] = value;
  }
  return success();
}

/// Runs `body`, turning malformed wire data into a diagnostic.
template <typename Fn>
static auto guarded(StringRef path, MLIRContext *context, Fn body)
    -> decltype(body()) {
  try {
    return body();
  } catch (const protozero::exception &error) {
    emitError(NameLoc::get(StringAttr::get(context, path)))
        << "is truncated or no ONNX protobuf (" << error.what() << ")";
    return {};
  }
}

OwningOpRef<ModuleOp> mlir::ane::importONNX(llvm::StringRef path,
                                            MLIRContext *context,
                                            ArrayRef<std::string> outputs) {
  context->loadDialect<onnxir::ONNXDialect>();
  auto file = MappedFile::open(path);
  if (!file) {
    emitError(UnknownLoc::get(context)) << llvm::toString(file.takeError());
    return {};
  }
  return guarded(path, context,
                 [&] { return Importer(context, *file, outputs).import(); });
}

FailureOr<NamedTensor> mlir::ane::importTensorProto(llvm::StringRef path,
                                                    MLIRContext *context) {
  context->loadDialect<onnxir::ONNXDialect>();
  auto file = MappedFile::open(path);
  Location loc = NameLoc::get(StringAttr::get(context, path));
  if (!file)
    return emitError(loc) << llvm::toString(file.takeError());
  NamedTensor result;
  result.value = guarded(path, context, [&]() -> ElementsAttr {
    View message((*file)->data().data(), (*file)->data().size());
    result.name = proto::Tensor::parse(message).name.str();
    return TensorImporter(context, *file).import(message, loc);
  });
  if (!result.value)
    return failure();
  return result;
}
