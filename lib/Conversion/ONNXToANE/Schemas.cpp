//===- Schemas.cpp - nodes against their schemas --------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "Schemas.h"
#include "ane-mlir/Support/DType.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"
#include <mutex>

using namespace mlir;
using namespace mlir::ane;

//===----------------------------------------------------------------------===//
// The table
//===----------------------------------------------------------------------===//

namespace {
struct SchemaRow {
  StringLiteral domain, op;
  int since;
  StringLiteral inputs, outputs, types;
  unsigned attributes;
};
} // namespace

static constexpr uint64_t kTypeSets[] = {
#define ONNX_TYPE_SET(index, mask) mask,
#include "Schemas/Schemas.inc"
};
static constexpr StringLiteral kAttributeLists[] = {
#define ONNX_ATTRIBUTES(index, text) StringLiteral(text),
#include "Schemas/Schemas.inc"
};
static constexpr SchemaRow kRows[] = {
#define ONNX_SCHEMA(domain, op, since, inputs, outputs, types, attributes)     \
  {domain, op, since, inputs, outputs, types, attributes},
#include "Schemas/Schemas.inc"
};

static uint64_t typeSet(StringRef index) {
  unsigned i = 0;
  return index.getAsInteger(10, i) ? 0 : kTypeSets[i];
}

/// Pieces of a list that spaces part.
static SmallVector<StringRef> words(StringRef text) {
  SmallVector<StringRef> list;
  text.split(list, ' ', -1, /*KeepEmpty=*/false);
  return list;
}

static SmallVector<FormalValue, 4>
parseValues(StringRef text, const llvm::StringMap<uint64_t> &variables) {
  SmallVector<FormalValue, 4> list;
  for (StringRef word : words(text)) {
    FormalValue value;
    auto [name, type] = word.split(':');
    size_t mark = name.find_first_of("?*+");
    value.name = name.take_front(mark);
    if (mark != StringRef::npos) {
      value.arity =
          name[mark] == '?' ? FormalValue::Optional : FormalValue::Variadic;
      value.homogeneous = name[mark] != '+';
      (void)name.drop_front(mark + 1).getAsInteger(10, value.least);
    }
    if (type.consume_front("#")) {
      value.types = typeSet(type);
    } else {
      value.variable = type;
      value.types = variables.lookup(type);
    }
    list.push_back(value);
  }
  return list;
}

static Schema parseRow(const SchemaRow &row) {
  llvm::StringMap<uint64_t> variables;
  for (StringRef word : words(row.types)) {
    auto [name, set] = word.split('=');
    variables[name] = typeSet(set);
  }
  Schema schema;
  schema.inputs = parseValues(row.inputs, variables);
  schema.outputs = parseValues(row.outputs, variables);
  for (StringRef word : words(kAttributeLists[row.attributes])) {
    auto [name, kind] = word.split(':');
    schema.attributes.push_back({name, kind[0], kind.ends_with("!")});
  }
  return schema;
}

const Schema *mlir::ane::lookupSchema(StringRef domain, StringRef op,
                                      int64_t version) {
  // Rows are sorted, an op's versions stand together in rising order.
  static const llvm::StringMap<size_t> first = [] {
    llvm::StringMap<size_t> map;
    for (auto [i, row] : llvm::enumerate(kRows))
      map.try_emplace((row.domain + "\n" + row.op).str(), i);
    return map;
  }();
  auto it = first.find((domain + "\n" + op).str());
  if (it == first.end())
    return nullptr;
  const SchemaRow *best = nullptr;
  for (const SchemaRow &row : ArrayRef(kRows).drop_front(it->second)) {
    if (row.domain != domain || row.op != op || row.since > version)
      break;
    best = &row;
  }
  if (!best)
    return nullptr;
  static std::mutex mutex;
  static std::map<const SchemaRow *, Schema> parsed;
  std::lock_guard<std::mutex> lock(mutex);
  auto [slot, isNew] = parsed.try_emplace(best);
  if (isNew)
    slot->second = parseRow(*best);
  return &slot->second;
}

/// The first absent input that may not be absent.
static std::optional<unsigned>
firstMissing(const Schema *schema, unsigned count,
             llvm::function_ref<bool(unsigned)> present) {
  if (!schema) {
    // Of an op that has no schema here, handlers rely on the first input.
    return present(0) ? std::nullopt : std::optional(0u);
  }
  for (auto [i, formal] : llvm::enumerate(schema->inputs)) {
    unsigned end = formal.arity == FormalValue::Single ? i + 1
                   : formal.arity == FormalValue::Optional
                       ? i
                       : std::max<unsigned>(count, i + formal.least);
    for (unsigned at = i; at < end; ++at)
      if (!present(at))
        return at;
  }
  return std::nullopt;
}

std::optional<unsigned> mlir::ane::missingInput(const Schema *schema,
                                                ArrayRef<Value> inputs) {
  return firstMissing(schema, inputs.size(), [&](unsigned i) {
    return i < inputs.size() && inputs[i];
  });
}

//===----------------------------------------------------------------------===//
// Names for messages
//===----------------------------------------------------------------------===//

/// ONNX's name of an element type.
static StringRef typeName(unsigned code) {
  static constexpr StringLiteral names[] = {
      "undefined",      "float",      "uint8",
      "int8",           "uint16",     "int16",
      "int32",          "int64",      "string",
      "bool",           "float16",    "double",
      "uint32",         "uint64",     "complex64",
      "complex128",     "bfloat16",   "float8e4m3fn",
      "float8e4m3fnuz", "float8e5m2", "float8e5m2fnuz",
      "uint4",          "int4",       "float4e2m1",
      "float8e8m0",     "uint2",      "int2"};
  return code < std::size(names) ? StringRef(names[code]) : "another type";
}

static std::string typeNames(uint64_t set) {
  std::string text;
  for (unsigned code = 1; code < 48; ++code)
    if (set >> code & 1)
      text += (text.empty() ? "" : ", ") + typeName(code).str();
  for (auto [bit, name] : {std::pair(48, "a sequence"),
                           {49, "an optional"},
                           {50, "a map"},
                           {51, "a sparse tensor"}})
    if (set >> bit & 1)
      text += (text.empty() ? "" : ", ") + std::string(name);
  return text;
}

static StringRef kindName(char kind) {
  switch (kind) {
  case 'f':
    return "a float";
  case 'i':
    return "an integer";
  case 's':
    return "a string";
  case 't':
    return "a tensor";
  case 'g':
    return "a graph";
  case 'p':
    return "a type";
  case 'x':
    return "a sparse tensor";
  case 'F':
    return "a list of floats";
  case 'I':
    return "a list of integers";
  case 'S':
    return "a list of strings";
  case 'T':
    return "a list of tensors";
  case 'G':
    return "a list of graphs";
  }
  return "something else";
}

//===----------------------------------------------------------------------===//
// Attributes
//===----------------------------------------------------------------------===//

/// The letter of an attribute's kind; 0 when several fit.
static char kindOf(Attribute attribute) {
  if (isa<FloatAttr>(attribute))
    return 'f';
  if (isa<IntegerAttr>(attribute))
    return 'i';
  if (isa<StringAttr>(attribute))
    return 's';
  if (isa<DenseF32ArrayAttr>(attribute))
    return 'F';
  if (isa<DenseI64ArrayAttr>(attribute))
    return 'I';
  if (isa<UnitAttr>(attribute))
    return 'p';
  if (isa<ElementsAttr>(attribute))
    return 't';
  if (auto list = dyn_cast<ArrayAttr>(attribute))
    return list.empty() ? 0 : isa<StringAttr>(list[0]) ? 'S' : 'T';
  return 0;
}

static bool fitsKind(char have, char wanted) {
  if (!have || have == wanted)
    return true;
  return have == 't' && wanted == 'x';
}

/// Integers of ONNX's own operators that say yes or no.
static bool isFlag(StringRef name) {
  static const llvm::StringSet<> names = {"align_corners",
                                          "allowzero",
                                          "antialias",
                                          "batch_axis",
                                          "broadcast",
                                          "ceil_mode",
                                          "center_point_box",
                                          "count_include_pad",
                                          "exclude_outside",
                                          "exclusive",
                                          "fmod",
                                          "input_forget",
                                          "interleaved",
                                          "inverse",
                                          "is_causal",
                                          "keepdims",
                                          "largest",
                                          "layout",
                                          "linear_before_reset",
                                          "new_axis",
                                          "noop_with_empty_axes",
                                          "onesided",
                                          "periodic",
                                          "reverse",
                                          "saturate",
                                          "select_last_index",
                                          "sorted",
                                          "storage_order",
                                          "time_axis",
                                          "training_mode",
                                          "transA",
                                          "transB",
                                          "upper"};
  return names.contains(name);
}

/// Least value of an integer or of each entry of a list.
static std::optional<int64_t> leastOf(StringRef name) {
  static const llvm::StringSet<> ones = {
      "blocksize",       "dilations",    "group",      "hidden_size",
      "kernel_shape",    "kv_num_heads", "num_groups", "num_outputs",
      "num_scan_inputs", "q_num_heads",  "strides"};
  static const llvm::StringSet<> zeros = {"batch_dims", "block_size",
                                          "output_padding", "p"};
  return ones.contains(name)    ? std::optional<int64_t>(1)
         : zeros.contains(name) ? std::optional<int64_t>(0)
                                : std::nullopt;
}

/// The words an attribute of an operator may be, parted by |; empty when
/// anything.
static StringRef wordsOf(StringRef op, StringRef name) {
  if (name == "auto_pad")
    return "NOTSET|SAME_UPPER|SAME_LOWER|VALID|";
  static const llvm::StringMap<StringRef> rows = {
      {"BitShift direction", "LEFT|RIGHT"},
      {"DepthToSpace mode", "DCR|CRD"},
      {"GRU direction", "forward|reverse|bidirectional"},
      {"Gelu approximate", "none|tanh"},
      {"GridSample mode", "linear|nearest|cubic|bilinear|bicubic"},
      {"GridSample padding_mode", "zeros|border|reflection"},
      {"LSTM direction", "forward|reverse|bidirectional"},
      {"NegativeLogLikelihoodLoss reduction", "none|sum|mean"},
      {"Pad mode", "constant|reflect|edge|wrap"},
      {"RNN direction", "forward|reverse|bidirectional"},
      {"Resize keep_aspect_ratio_policy", "stretch|not_larger|not_smaller"},
      {"Resize mode", "nearest|linear|cubic"},
      {"Resize nearest_mode",
       "round_prefer_floor|round_prefer_ceil|floor|ceil|simple|"},
      {"RoiAlign coordinate_transformation_mode",
       "half_pixel|output_half_pixel"},
      {"RoiAlign mode", "avg|max"},
      {"ScatterElements reduction", "none|add|mul|min|max"},
      {"ScatterND reduction", "none|add|mul|min|max"},
      {"SoftmaxCrossEntropyLoss reduction", "none|sum|mean"},
      {"TensorScatter mode", "linear|circular"}};
  return rows.lookup((op + " " + name).str());
}

namespace {
/// Walks a graph in the order of its nodes, knowing what types it can.
class SchemaChecker {
public:
  LogicalResult checkBlock(Block &block);
  void setType(Value value) {
    if (unsigned code = codeOf(value.getType()))
      codes[value] = code;
  }

private:
  LogicalResult checkNode(onnxir::NodeOp node);
  LogicalResult checkArity(onnxir::NodeOp node, const Schema &schema);
  LogicalResult checkTypes(onnxir::NodeOp node, const Schema &schema);
  LogicalResult checkAttributes(onnxir::NodeOp node, const Schema &schema);
  LogicalResult checkAttribute(onnxir::NodeOp node,
                               const FormalAttribute &formal,
                               Attribute attribute);
  LogicalResult checkValues(onnxir::NodeOp node, StringRef name,
                            Attribute attribute);
  void inferTypes(onnxir::NodeOp node, const Schema &schema);
  void enterRegion(onnxir::NodeOp node, Region &region);
  void leaveRegion(onnxir::NodeOp node, Region &region);

  static unsigned codeOf(Type type);
  static unsigned defaultCode(onnxir::NodeOp node);
  InFlightDiagnostic error(onnxir::NodeOp node) {
    return emitError(node.getLoc()) << node.getOpType() << ": ";
  }

  /// TensorProto.DataType of values; those that are not known are absent.
  llvm::DenseMap<Value, unsigned> codes;
  /// Of the node at hand: what its type variables are.
  llvm::StringMap<unsigned> bound;
};
} // namespace

unsigned SchemaChecker::codeOf(Type type) {
  auto tensor = dyn_cast<TensorType>(type);
  if (!tensor)
    return 0;
  if (isa<onnxir::StringType>(tensor.getElementType()))
    return 8;
  std::optional<DType> dtype = toDType(tensor.getElementType());
  return dtype ? getInfo(*dtype).onnxCode : 0;
}

LogicalResult SchemaChecker::checkBlock(Block &block) {
  for (Operation &op : block) {
    if (auto constant = dyn_cast<onnxir::ConstantOp>(op))
      setType(constant);
    else if (auto node = dyn_cast<onnxir::NodeOp>(op))
      if (failed(checkNode(node)))
        return failure();
  }
  return success();
}

LogicalResult SchemaChecker::checkNode(onnxir::NodeOp node) {
  const Schema *schema =
      lookupSchema(node.getDomain(), node.getOpType(), node.getVersion());
  bound.clear();
  if (schema &&
      (failed(checkArity(node, *schema)) || failed(checkTypes(node, *schema)) ||
       failed(checkAttributes(node, *schema))))
    return failure();
  if (schema)
    inferTypes(node, *schema);
  for (Region &region : node.getGraphs()) {
    enterRegion(node, region);
    if (failed(checkBlock(region.front())))
      return failure();
    leaveRegion(node, region);
  }
  return success();
}

static std::string nameOfInput(unsigned i, const FormalValue &formal) {
  return ("input " + Twine(i) + " ('" + formal.name + "')").str();
}

LogicalResult SchemaChecker::checkArity(onnxir::NodeOp node,
                                        const Schema &schema) {
  unsigned count = node.getInputs().size();
  if (auto i = firstMissing(&schema, count, [&](unsigned i) {
        return i < count &&
               !node.getInputs()[i].getDefiningOp<onnxir::NoneOp>();
      }))
    return error(node) << "expects "
                       << nameOfInput(*i, *Schema::at(schema.inputs, *i))
                       << ", which is required, but the node leaves it out; "
                          "export the model anew with it connected";
  if (count && !Schema::at(schema.inputs, count - 1))
    return error(node) << "expects at most " << schema.inputs.size()
                       << " inputs at opset " << node.getVersion()
                       << ", but got " << count;
  unsigned results = node.getNumResults();
  if (results && !Schema::at(schema.outputs, results - 1))
    return error(node) << "expects at most " << schema.outputs.size()
                       << " outputs at opset " << node.getVersion()
                       << ", but got " << results;
  return success();
}

LogicalResult SchemaChecker::checkTypes(onnxir::NodeOp node,
                                        const Schema &schema) {
  llvm::StringMap<unsigned> boundBy;
  for (auto [i, input] : llvm::enumerate(node.getInputs())) {
    unsigned code = codes.lookup(input);
    const FormalValue &formal = *Schema::at(schema.inputs, i);
    if (!code)
      continue;
    if (!(formal.types >> code & 1))
      return error(node) << "expects " << nameOfInput(i, formal) << " of "
                         << typeNames(formal.types) << " at opset "
                         << node.getVersion() << ", but got " << typeName(code);
    if (formal.variable.empty() || !formal.homogeneous)
      continue;
    auto [slot, isNew] = bound.try_emplace(formal.variable, code);
    if (isNew)
      boundBy[formal.variable] = i;
    else if (slot->second != code)
      return error(node) << "expects "
                         << nameOfInput(boundBy[formal.variable],
                                        *Schema::at(schema.inputs,
                                                    boundBy[formal.variable]))
                         << " and " << nameOfInput(i, formal)
                         << " of one element type, but got "
                         << typeName(slot->second) << " and " << typeName(code)
                         << "; add a Cast";
  }
  return success();
}

LogicalResult SchemaChecker::checkAttributes(onnxir::NodeOp node,
                                             const Schema &schema) {
  auto find = [&](StringRef name) {
    auto it = llvm::find_if(schema.attributes, [&](const FormalAttribute &a) {
      return a.name == name;
    });
    return it == schema.attributes.end() ? nullptr : &*it;
  };
  auto unknown = [&](StringRef name) -> LogicalResult {
    const FormalAttribute *nearest = nullptr;
    unsigned best = 4;
    for (const FormalAttribute &a : schema.attributes)
      if (unsigned distance = name.edit_distance(a.name, true, best);
          distance < best && distance < name.size()) {
        best = distance;
        nearest = &a;
      }
    InFlightDiagnostic diagnostic = error(node)
                                    << "has no attribute '" << name
                                    << "' at opset " << node.getVersion();
    if (nearest)
      diagnostic << "; did you mean '" << nearest->name << "'?";
    return diagnostic;
  };
  for (NamedAttribute attribute : node.getOnnxAttributes()) {
    StringRef name = attribute.getName().getValue();
    // Names of this form belong to tools that pass the model on.
    if (name.starts_with("__"))
      continue;
    const FormalAttribute *formal = find(name);
    if (!formal)
      return unknown(name);
    if (failed(checkAttribute(node, *formal, attribute.getValue())))
      return failure();
  }
  llvm::StringSet<> graphs;
  for (Attribute name : node.getRegionNames()) {
    StringRef text = cast<StringAttr>(name).getValue();
    graphs.insert(text);
    const FormalAttribute *formal = find(text);
    if (!formal)
      return unknown(text);
    if (formal->kind != 'g' && formal->kind != 'G')
      return error(node) << "expects attribute '" << text << "' to be "
                         << kindName(formal->kind) << ", but it is a graph";
  }
  for (const FormalAttribute &formal : schema.attributes)
    if (formal.required && !node.getOnnxAttributes().contains(formal.name) &&
        !graphs.contains(formal.name))
      return error(node) << "expects attribute '" << formal.name
                         << "', which is required";
  return success();
}

LogicalResult SchemaChecker::checkAttribute(onnxir::NodeOp node,
                                            const FormalAttribute &formal,
                                            Attribute attribute) {
  char kind = kindOf(attribute);
  if (!fitsKind(kind, formal.kind))
    return error(node) << "expects attribute '" << formal.name << "' to be "
                       << kindName(formal.kind) << ", but it is "
                       << kindName(kind);
  return node.getDomain().empty() ? checkValues(node, formal.name, attribute)
                                  : success();
}

/// What the text of the standard says of an attribute beyond its kind.
LogicalResult SchemaChecker::checkValues(onnxir::NodeOp node, StringRef name,
                                         Attribute attribute) {
  if (auto text = dyn_cast<StringAttr>(attribute)) {
    StringRef allowed = wordsOf(node.getOpType(), name);
    SmallVector<StringRef> list;
    allowed.split(list, '|');
    if (allowed.empty() || llvm::is_contained(list, text.getValue()))
      return success();
    return error(node) << "expects attribute '" << name << "' to be "
                       << allowed.rtrim('|') << ", but got '" << text.getValue()
                       << "'";
  }
  SmallVector<int64_t> values;
  if (auto integer = dyn_cast<IntegerAttr>(attribute))
    values.push_back(integer.getInt());
  else if (auto list = dyn_cast<DenseI64ArrayAttr>(attribute))
    values.assign(list.asArrayRef().begin(), list.asArrayRef().end());
  for (int64_t value : values) {
    if (isFlag(name) && isa<IntegerAttr>(attribute) && (value < 0 || value > 1))
      return error(node) << "expects attribute '" << name
                         << "' to be 0 or 1, but got " << value;
    if (auto least = leastOf(name);
        least && (value < *least || value > INT32_MAX))
      return error(node) << "expects attribute '" << name << "' in [" << *least
                         << ", 2^31), but got " << value;
  }
  return success();
}

/// What an op gives whose result type no input decides.
unsigned SchemaChecker::defaultCode(onnxir::NodeOp node) {
  for (StringRef name : {"to", "dtype", "output_dtype", "output_datatype"})
    if (auto code =
            dyn_cast_or_null<IntegerAttr>(node.getOnnxAttributes().get(name));
        code && code.getInt() > 0 && code.getInt() < 48)
      return code.getInt();
  StringRef op = node.getOpType();
  if (op == "ConstantOfShape") {
    auto value =
        dyn_cast_or_null<ElementsAttr>(node.getOnnxAttributes().get("value"));
    return value ? codeOf(value.getType()) : 1;
  }
  if (op == "RandomNormal" || op == "RandomUniform" || op.ends_with("Window"))
    return 1;
  return op == "QuantizeLinear" ? 2 : 0;
}

void SchemaChecker::inferTypes(onnxir::NodeOp node, const Schema &schema) {
  // Bodies decide what these give.
  if (!node.getGraphs().empty())
    return;
  for (auto [i, result] : llvm::enumerate(node.getResults())) {
    const FormalValue &formal = *Schema::at(schema.outputs, i);
    unsigned code = 0;
    if (llvm::isPowerOf2_64(formal.types))
      code = llvm::countr_zero(formal.types);
    else if (auto it = bound.find(formal.variable); it != bound.end())
      code = it->second;
    else
      code = defaultCode(node);
    if (code && code < 48)
      codes[result] = code;
  }
}

/// Types of a body's arguments.
void SchemaChecker::enterRegion(onnxir::NodeOp node, Region &region) {
  auto arguments = region.getArguments();
  if (node.getOpType() == "Loop" && node.getDomain().empty()) {
    for (auto [i, argument] : llvm::enumerate(arguments))
      if (unsigned code = i == 0   ? 7
                          : i == 1 ? 9
                          : i < node.getInputs().size()
                              ? codes.lookup(node.getInputs()[i])
                              : 0)
        codes[argument] = code;
  } else if (node.getOpType() == "Scan" && node.getDomain().empty()) {
    unsigned skipped = node.getVersion() < 9 ? 1 : 0;
    for (auto [i, argument] : llvm::enumerate(arguments))
      if (i + skipped < node.getInputs().size())
        if (unsigned code = codes.lookup(node.getInputs()[i + skipped]))
          codes[argument] = code;
  }
}

/// Types of what the body gives are those of the node's outputs.
void SchemaChecker::leaveRegion(onnxir::NodeOp node, Region &region) {
  if (!node.getDomain().empty())
    return;
  unsigned skipped = node.getOpType() == "Loop" ? 1 : 0;
  if (!skipped && node.getOpType() != "If" && node.getOpType() != "Scan")
    return;
  auto yielded = region.front().getTerminator()->getOperands();
  for (auto [i, result] : llvm::enumerate(node.getResults()))
    if (i + skipped < yielded.size())
      if (unsigned code = codes.lookup(yielded[i + skipped]))
        codes[result] = code;
}

LogicalResult mlir::ane::checkSchemas(onnxir::GraphOp graph) {
  SchemaChecker checker;
  for (BlockArgument argument : graph.getBody().getArguments())
    checker.setType(argument);
  return checker.checkBlock(graph.getBody().front());
}
