//===- ReadPackage.cpp - .mlpackage to mil --------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "Description.h"
#include "ane-mlir/Interpreter/Tensor.h"
#include "ane-mlir/Support/CoreMLFields.h"
#include "ane-mlir/Support/JSON.h"
#include "ane-mlir/Support/MappedFile.h"
#include "ane-mlir/Support/ProtoReader.h"
#include "dialects/MIL/IR/MIL.h"
#include "dialects/MIL/IR/Opset.h"
#include "mlir/IR/Builders.h"
#include "llvm/Support/Path.h"
#include <map>

using namespace mlir;
using namespace mlir::ane;
using namespace mlir::ane::coreml;
using protozero::pbf_reader;

namespace {
/// What a decoder cannot go on with; caught at the entry point, like
/// protozero's own errors.
struct Malformed : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Types, values and blocks nested deeper than this are refused.
constexpr unsigned kMaxDepth = 64;

[[noreturn]] void malformed(const Twine &what) { throw Malformed(what.str()); }

class Decoder {
public:
  Decoder(MLIRContext *context, PackageInfo &info)
      : context(context), b(context), info(info) {}
  OwningOpRef<ModuleOp> decode(StringRef model, StringRef file);

private:
  /// Counts the nesting of messages.
  struct Nested {
    explicit Nested(Decoder &decoder) : depth(decoder.depth) {
      if (++depth > kMaxDepth)
        malformed("messages are nested deeper than " + Twine(kMaxDepth));
    }
    ~Nested() { --depth; }
    unsigned &depth;
  };

  Type valueType(pbf_reader in);
  int64_t dimension(pbf_reader in);
  mil::LiteralAttr value(pbf_reader in);
  Attribute immediate(pbf_reader in, Type type);
  Attribute tensorValue(pbf_reader field, RankedTensorType type);
  void function(pbf_reader in, StringRef name);
  /// Fills an empty block; names given inside are forgotten behind it.
  void block(pbf_reader in, Block &block, StringRef function);
  void operation(pbf_reader in, StringRef function);
  std::pair<std::string, Type> namedType(pbf_reader in);
  Attribute
  namedValues(const std::map<std::string, protozero::data_view> &attributes);
  void define(const std::string &name, Value value) {
    if (!names.try_emplace(name, value).second)
      malformed("the name '" + name + "' is given twice");
    defined.push_back(name);
  }
  void note(const Twine &what) { info.notes.push_back(what.str()); }

  MLIRContext *context;
  OpBuilder b;
  PackageInfo &info;
  std::map<std::string, Value> names;
  std::vector<std::string> defined;
  unsigned depth = 0;
};
} // namespace

int64_t Decoder::dimension(pbf_reader in) {
  int64_t size = ShapedType::kDynamic;
  while (in.next())
    if (in.tag() == dimension::Constant) {
      pbf_reader constant = in.get_message();
      size = 0;
      while (constant.next())
        if (constant.tag() == 1)
          size = constant.get_uint64();
        else
          constant.skip();
      if (size < 0 || size > INT32_MAX)
        malformed("dimension out of range");
    } else {
      in.skip();
    }
  return size;
}

Type Decoder::valueType(pbf_reader in) {
  Nested nested(*this);
  Type type;
  while (in.next()) {
    if (in.tag() == valuetype::Tensor) {
      pbf_reader tensor = in.get_message();
      uint32_t code = 0;
      SmallVector<int64_t> shape;
      while (tensor.next())
        switch (tensor.tag()) {
        case tensortype::DataType:
          code = tensor.get_enum();
          break;
        case tensortype::Dimensions:
          shape.push_back(dimension(tensor.get_message()));
          break;
        default:
          tensor.skip();
        }
      if (shape.size() > 32)
        malformed("tensor of rank " + Twine(shape.size()));
      Type element;
      if (code == kString)
        element = mil::StringType::get(context);
      for (const DataTypeCode &entry : kDataTypes)
        if (entry.code == code)
          element = toMLIRType(entry.dtype, context);
      if (!element)
        malformed("data type " + Twine(code) + " is not known");
      type = RankedTensorType::get(shape, element);
    } else if (in.tag() == valuetype::Dictionary) {
      pbf_reader dict = in.get_message();
      Type key, mapped;
      while (dict.next())
        if (dict.tag() == 1)
          key = valueType(dict.get_message());
        else if (dict.tag() == 2)
          mapped = valueType(dict.get_message());
        else
          dict.skip();
      if (!key || !mapped)
        malformed("dictionary type without key or value");
      type = mil::DictType::get(context, key, mapped);
    } else if (in.tag() == valuetype::Tuple) {
      pbf_reader tuple = in.get_message();
      SmallVector<Type> types;
      while (tuple.next())
        if (tuple.tag() == 1)
          types.push_back(valueType(tuple.get_message()));
        else
          tuple.skip();
      type = mil::TupleType::get(context, types);
    } else if (in.tag() == valuetype::List) {
      pbf_reader list = in.get_message();
      Type element;
      int64_t length = -1;
      while (list.next())
        if (list.tag() == 1)
          element = valueType(list.get_message());
        else if (list.tag() == 2)
          length = dimension(list.get_message());
        else
          list.skip();
      if (!element)
        malformed("list type without element");
      type =
          mil::ListType::get(context, element, std::max<int64_t>(length, -1));
    } else if (in.tag() == valuetype::State) {
      pbf_reader state = in.get_message();
      Type wrapped;
      while (state.next())
        if (state.tag() == 1)
          wrapped = valueType(state.get_message());
        else
          state.skip();
      if (!wrapped)
        malformed("state type without value");
      type = mil::StateType::get(context, wrapped);
    } else {
      in.skip();
    }
  }
  if (!type)
    malformed("value without a type");
  return type;
}

Attribute Decoder::immediate(pbf_reader in, Type type) {
  // What a value nested in another is, once its type is seen to be the one
  // that the outer type says.
  auto inner = [&](pbf_reader message, Type expected) -> Attribute {
    mil::LiteralAttr literal = value(message);
    if (literal.getType() != expected)
      malformed("nested value of another type than the one around it says");
    return literal.getValue();
  };
  while (in.next()) {
    switch (in.tag()) {
    case immediate::Dictionary: {
      auto dict = dyn_cast<mil::DictType>(type);
      if (!dict)
        malformed("dictionary for another type");
      pbf_reader list = in.get_message();
      SmallVector<Attribute> pairs;
      while (list.next()) {
        if (list.tag() != 1) {
          list.skip();
          continue;
        }
        pbf_reader pair = list.get_message();
        Attribute key, mapped;
        while (pair.next())
          if (pair.tag() == entry::Key)
            key = inner(pair.get_message(), dict.getKey());
          else if (pair.tag() == entry::Value)
            mapped = inner(pair.get_message(), dict.getValue());
          else
            pair.skip();
        if (!key || !mapped)
          malformed("dictionary entry without key or value");
        pairs.push_back(b.getArrayAttr({key, mapped}));
      }
      return b.getArrayAttr(pairs);
    }
    case immediate::Tuple:
    case immediate::List: {
      auto tuple = dyn_cast<mil::TupleType>(type);
      auto listType = dyn_cast<mil::ListType>(type);
      if (in.tag() == immediate::Tuple ? !tuple : !listType)
        malformed("tuple or list for another type");
      pbf_reader list = in.get_message();
      SmallVector<Attribute> items;
      while (list.next()) {
        if (list.tag() != 1) {
          list.skip();
          continue;
        }
        if (tuple && items.size() >= tuple.getTypes().size())
          malformed("tuple with more values than types");
        items.push_back(
            inner(list.get_message(), tuple ? tuple.getTypes()[items.size()]
                                            : listType.getElement()));
      }
      if (tuple ? items.size() != tuple.getTypes().size()
                : listType.getLength() >= 0 &&
                      (int64_t)items.size() != listType.getLength())
        malformed("tuple or list of another length than its type");
      return b.getArrayAttr(items);
    }
    case immediate::Tensor: {
      auto tensor = dyn_cast<RankedTensorType>(type);
      if (!tensor || !tensor.hasStaticShape())
        malformed("tensor value for another type");
      return tensorValue(in.get_message(), tensor);
    }
    default:
      in.skip();
    }
  }
  malformed("immediate value without data");
}

Attribute Decoder::tensorValue(pbf_reader field, RankedTensorType tensor) {
  int64_t count = 1;
  for (int64_t dim : tensor.getShape())
    if (llvm::MulOverflow(count, dim, count) || count > (1 << 28))
      malformed("immediate value too large");
  if (!field.next())
    malformed("tensor value without data");
  uint32_t tag = field.tag();
  pbf_reader list = field.get_message();
  std::vector<std::string> strings;
  std::vector<double> reals;
  std::vector<int64_t> ints;
  StringRef bytes;
  auto packed = [&](auto range, auto &out) {
    for (auto v : range)
      out.push_back(v);
  };
  while (list.next()) {
    if (list.tag() != 1) {
      list.skip();
      continue;
    }
    bool single =
        list.wire_type() != protozero::pbf_wire_type::length_delimited;
    switch (tag) {
    case tensorvalue::Floats:
      if (single)
        reals.push_back(list.get_float());
      else
        packed(list.get_packed_float(), reals);
      break;
    case tensorvalue::Doubles:
      if (single)
        reals.push_back(list.get_double());
      else
        packed(list.get_packed_double(), reals);
      break;
    case tensorvalue::Ints:
      if (single)
        ints.push_back(list.get_int32());
      else
        packed(list.get_packed_int32(), ints);
      break;
    case tensorvalue::Bools:
      if (single)
        ints.push_back(list.get_bool());
      else
        packed(list.get_packed_bool(), ints);
      break;
    case tensorvalue::LongInts:
      if (single)
        ints.push_back(list.get_int64());
      else
        packed(list.get_packed_int64(), ints);
      break;
    case tensorvalue::Strings:
      strings.push_back(proto::toView(list.get_view()).str());
      break;
    case tensorvalue::Bytes:
      bytes = proto::toView(list.get_view());
      break;
    default:
      malformed("value list " + Twine(tag) + " is not known");
    }
  }
  if (isa<mil::StringType>(tensor.getElementType())) {
    if ((int64_t)strings.size() != count)
      malformed("expects " + Twine(count) + " strings");
    SmallVector<StringRef> refs(strings.begin(), strings.end());
    return DenseStringElementsAttr::get(tensor, refs);
  }
  DType dtype = *toDType(tensor.getElementType());
  if (tag == tensorvalue::Bytes) {
    if (bytes.size() != getByteSize(dtype, count))
      malformed("expects " + Twine(getByteSize(dtype, count)) +
                " bytes, but got " + Twine(bytes.size()));
    return Tensor::fromBytes(dtype, tensor.getShape(),
                             {bytes.data(), bytes.size()})
        .toElements(context);
  }
  bool real = isFloat(dtype);
  if ((int64_t)(real ? reals.size() : ints.size()) != count)
    malformed("expects " + Twine(count) + " values of " + getInfo(dtype).name);
  if (dtype == DType::Float64) // a Tensor would round it
    return DenseElementsAttr::get(tensor, ArrayRef<double>(reals));
  Tensor result(dtype, tensor.getShape());
  if (real)
    llvm::copy(reals, result.mutableFloats().begin());
  else
    for (auto [to, from] : llvm::zip(result.mutableInts(), ints))
      to = wrapTo(dtype, from);
  return result.toElements(context);
}

mil::LiteralAttr Decoder::value(pbf_reader in) {
  Nested nested(*this);
  Type type;
  Attribute found;
  protozero::data_view immediateData{"", 0};
  bool hasImmediate = false;
  while (in.next())
    switch (in.tag()) {
    case value::Type:
      type = valueType(in.get_message());
      break;
    case value::Immediate: // its type may come later
      immediateData = in.get_view();
      hasImmediate = true;
      break;
    case value::Blob: {
      pbf_reader file = in.get_message();
      std::string name;
      uint64_t offset = 0;
      while (file.next())
        if (file.tag() == blob::FileName)
          name = proto::toView(file.get_view()).str();
        else if (file.tag() == blob::Offset)
          offset = file.get_uint64();
        else
          file.skip();
      found = mil::BlobFileAttr::get(context, name, offset);
      break;
    }
    case 1:
      note("a value has a docString");
      in.skip();
      break;
    default:
      in.skip();
    }
  if (!type)
    malformed("value without a type");
  if (!found && hasImmediate)
    found = immediate(pbf_reader(immediateData), type);
  if (!found)
    malformed("value without data");
  return mil::LiteralAttr::get(context, type, found);
}

static std::pair<std::string, protozero::data_view> mapEntry(pbf_reader in) {
  std::string key;
  protozero::data_view mapped{"", 0};
  while (in.next())
    if (in.tag() == entry::Key)
      key = proto::toView(in.get_view()).str();
    else if (in.tag() == entry::Value)
      mapped = in.get_view();
    else
      in.skip();
  return {key, mapped};
}

Attribute Decoder::namedValues(
    const std::map<std::string, protozero::data_view> &attributes) {
  SmallVector<Attribute> list;
  for (auto &[name, data] : attributes)
    list.push_back(mil::NamedAttr::get(context, b.getStringAttr(name),
                                       value(pbf_reader{data})));
  return b.getArrayAttr(list);
}

void Decoder::operation(pbf_reader in, StringRef function) {
  std::string type;
  // Maps have no order; ours is that of the text, by name.
  std::map<std::string, protozero::data_view> inputs, attributes;
  SmallVector<Type> types;
  SmallVector<std::string> resultNames;
  SmallVector<protozero::data_view> blocks;
  while (in.next())
    switch (in.tag()) {
    case operation::Type:
      type = proto::toView(in.get_view()).str();
      break;
    case operation::Inputs:
      inputs.insert(mapEntry(in.get_message()));
      break;
    case operation::Attributes:
      attributes.insert(mapEntry(in.get_message()));
      break;
    case operation::Outputs: {
      auto [name, resultType] = namedType(in.get_message());
      resultNames.push_back(name);
      types.push_back(resultType);
      break;
    }
    case operation::Blocks:
      blocks.push_back(in.get_view());
      break;
    default:
      in.skip();
    }
  SmallVector<Attribute> args;
  SmallVector<Value> operands;
  for (auto &[name, data] : inputs) {
    SmallVector<Attribute> bindings;
    pbf_reader argument{data};
    while (argument.next()) {
      if (argument.tag() != argument::Arguments) {
        argument.skip();
        continue;
      }
      pbf_reader one = argument.get_message();
      while (one.next())
        if (one.tag() == binding::Name) {
          std::string wanted = proto::toView(one.get_view()).str();
          auto it = names.find(wanted);
          if (it == names.end())
            malformed("operation '" + type + "' reads '" + wanted +
                      "' before anything has that name");
          bindings.push_back(mil::RefAttr::get(context, operands.size()));
          operands.push_back(it->second);
        } else if (one.tag() == binding::Value) {
          bindings.push_back(value(one.get_message()));
        } else {
          one.skip();
        }
    }
    if (bindings.empty())
      malformed("operation '" + type + "' has nothing for '" + name + "'");
    // Tuples even of one.
    static constexpr StringLiteral tuples[] = {
        "values", "loop_vars", "ref_tensors", "begins", "ends", "end_masks"};
    bool tuple = bindings.size() > 1 || llvm::is_contained(tuples, name);
    args.push_back(mil::NamedAttr::get(
        context, b.getStringAttr(name),
        tuple ? Attribute(b.getArrayAttr(bindings)) : bindings[0]));
  }
  SmallVector<StringRef> refs(resultNames.begin(), resultNames.end());
  // The only function of most programs need not be said.
  StringRef own = refs.empty() ? StringRef(type) : refs[0];
  Location loc = NameLoc::get(b.getStringAttr(
      function == "main" ? own.str() : (function + "/" + own).str()));
  auto op = mil::OpOp::create(b, loc, types, b.getStringAttr(type),
                              b.getArrayAttr(args), b.getStrArrayAttr(refs),
                              cast<ArrayAttr>(namedValues(attributes)),
                              ArrayAttr(), operands, blocks.size());
  SmallVector<Attribute> blockParameters;
  for (auto [region, data] : llvm::zip(op.getBlocks(), blocks)) {
    Block &body = region.emplaceBlock();
    OpBuilder::InsertionGuard guard(b);
    block(pbf_reader{data}, body, function);
    SmallVector<Attribute> list;
    for (BlockArgument argument : body.getArguments())
      list.push_back(cast<NameLoc>(argument.getLoc()).getName());
    blockParameters.push_back(b.getArrayAttr(list));
  }
  if (!blocks.empty())
    op.setBlockParametersAttr(b.getArrayAttr(blockParameters));
  for (auto [name, result] : llvm::zip(resultNames, op.getResults()))
    define(name, result);
}

void Decoder::block(pbf_reader in, Block &block, StringRef function) {
  Nested nested(*this);
  size_t outer = defined.size();
  std::vector<std::string> outputs;
  std::vector<protozero::data_view> operations;
  while (in.next())
    switch (in.tag()) {
    case block::Inputs: {
      auto [name, type] = namedType(in.get_message());
      define(name,
             block.addArgument(type, NameLoc::get(b.getStringAttr(name))));
      break;
    }
    case block::Outputs:
      outputs.push_back(proto::toView(in.get_view()).str());
      break;
    case block::Operations:
      operations.push_back(in.get_view());
      break;
    case block::Attributes:
      note("function '" + function + "' has a block with attributes");
      in.skip();
      break;
    default:
      in.skip();
    }
  b.setInsertionPointToEnd(&block);
  for (protozero::data_view data : operations)
    operation(pbf_reader{data}, function);
  SmallVector<Value> results;
  for (const std::string &output : outputs) {
    auto it = names.find(output);
    if (it == names.end())
      malformed("output '" + output + "' is no value of function '" + function +
                "'");
    results.push_back(it->second);
  }
  mil::ReturnOp::create(b, b.getUnknownLoc(), results);
  for (size_t i = outer; i < defined.size(); ++i)
    names.erase(defined[i]);
  defined.resize(outer);
}

std::pair<std::string, Type> Decoder::namedType(pbf_reader in) {
  std::string name;
  Type type;
  while (in.next())
    if (in.tag() == named::Name)
      name = proto::toView(in.get_view()).str();
    else if (in.tag() == named::Type)
      type = valueType(in.get_message());
    else
      in.skip();
  if (!type)
    malformed("'" + name + "' has no type");
  return {name, type};
}

void Decoder::function(pbf_reader in, StringRef name) {
  std::string opset;
  SmallVector<std::string> parameters;
  SmallVector<Type> types;
  std::map<std::string, protozero::data_view> blocks;
  while (in.next())
    switch (in.tag()) {
    case function::Inputs: {
      auto [parameter, type] = namedType(in.get_message());
      parameters.push_back(parameter);
      types.push_back(type);
      break;
    }
    case function::Opset:
      opset = proto::toView(in.get_view()).str();
      break;
    case function::Blocks:
      blocks.insert(mapEntry(in.get_message()));
      break;
    case function::Attributes:
      note("function '" + name + "' has attributes");
      in.skip();
      break;
    default:
      in.skip();
    }
  auto body = blocks.find(opset);
  if (body == blocks.end())
    malformed("function '" + name + "' has no block for its opset '" + opset +
              "'");
  int ios = mil::opsetOfKey(opset);
  SmallVector<StringRef> refs(parameters.begin(), parameters.end());
  auto func = mil::FuncOp::create(
      b, NameLoc::get(b.getStringAttr(name)), b.getStringAttr(name),
      b.getStringAttr(ios ? "ios" + Twine(ios) : Twine(opset)),
      b.getStrArrayAttr(refs), b.getArrayAttr({}));
  OpBuilder::InsertionGuard guard(b);
  names.clear();
  defined.clear();
  Block &content = func.getBody().emplaceBlock();
  for (auto [parameter, type] : llvm::zip(parameters, types))
    define(parameter,
           content.addArgument(type, NameLoc::get(b.getStringAttr(parameter))));
  block(pbf_reader{body->second}, content, name);
}

OwningOpRef<ModuleOp> Decoder::decode(StringRef model, StringRef file) {
  Location loc = NameLoc::get(b.getStringAttr(file));
  OwningOpRef<ModuleOp> module = ModuleOp::create(loc);
  b.setInsertionPointToEnd(module->getBody());
  protozero::data_view programData{"", 0}, descriptionData{"", 0};
  bool found = false;
  uint32_t otherKind = 0;
  pbf_reader in(model.data(), model.size());
  while (in.next())
    switch (in.tag()) {
    case model::MLProgram:
      programData = in.get_view();
      found = true;
      break;
    case model::Version:
      info.specification = in.get_int32();
      break;
    case model::Description:
      descriptionData = in.get_view();
      break;
    default:
      if (in.tag() >= 200)
        otherKind = in.tag();
      in.skip();
    }
  if (!found)
    malformed(
        otherKind == model::NeuralNetwork ||
                otherKind == model::NeuralNetworkClassifier ||
                otherKind == model::NeuralNetworkRegressor
            ? "is a neural network of the format before iOS 15, which "
              "this tool does not read; convert the original model "
              "again to an ML Program"
        : otherKind == model::Pipeline || otherKind == 200 || otherKind == 201
            ? "is a pipeline of models; take the ML Program out of it"
            : "holds no ML Program, but a model of kind " + Twine(otherKind));
  readDescription(proto::toView(descriptionData), info);
  auto program = mil::ProgramOp::create(b, loc, b.getStringAttr("program"),
                                        b.getStringAttr("1.3"), UnitAttr(),
                                        b.getArrayAttr({}));
  b.setInsertionPointToStart(&program.getBody().emplaceBlock());
  std::map<std::string, protozero::data_view> functions, programAttributes;
  pbf_reader content{programData};
  while (content.next())
    switch (content.tag()) {
    case program::Version:
      info.programVersion = content.get_int64();
      break;
    case program::Functions:
      functions.insert(mapEntry(content.get_message()));
      break;
    case program::Attributes:
      programAttributes.insert(mapEntry(content.get_message()));
      break;
    default:
      content.skip();
    }
  for (auto &[name, data] : programAttributes)
    if (name != "buildInfo")
      note("the program has attribute '" + name + "'");
  program.setMilAttributesAttr(cast<ArrayAttr>(namedValues(programAttributes)));
  for (auto &[name, data] : functions) {
    try {
      function(pbf_reader{data}, name);
    } catch (const Malformed &error) {
      malformed("function '" + name + "': " + error.what());
    }
  }
  // Compiled programs of the older opsets spell scalars as tensors.
  bool old = true;
  for (auto func : program.getBody().getOps<mil::FuncOp>())
    old &= func.getOpset() == "ios15" || func.getOpset() == "ios16";
  if (old && !functions.empty()) {
    program.setVersion("1.0");
    program.setVerbose(true);
  }
  return module;
}

std::string mlir::ane::packageModelPath(StringRef path) {
  SmallString<128> full(path);
  llvm::sys::path::append(full, "Data", "com.apple.CoreML");
  return full.str().str();
}

/// The model's file, relative to Data/, as Manifest.json says.
static llvm::Expected<std::string> findModel(StringRef path) {
  SmallString<128> manifestPath(path);
  llvm::sys::path::append(manifestPath, "Manifest.json");
  auto file = MappedFile::open(manifestPath);
  if (!file)
    return file.takeError();
  auto manifest =
      parseJSON(StringRef((*file)->data().data(), (*file)->data().size()));
  if (!manifest)
    return manifest.takeError();
  const llvm::json::Object *root = manifest->getAsObject(), *items = nullptr;
  if (root)
    items = root->getObject("itemInfoEntries");
  auto key = root ? root->getString("rootModelIdentifier") : std::nullopt;
  const llvm::json::Object *item =
      items && key ? items->getObject(*key) : nullptr;
  auto relative = item ? item->getString("path") : std::nullopt;
  if (!relative)
    return llvm::createStringError("Manifest.json names no root model");
  if (llvm::Error error = checkInside(path, *relative, "the package"))
    return error;
  SmallString<128> full(path);
  llvm::sys::path::append(full, "Data", *relative);
  return full.str().str();
}

OwningOpRef<ModuleOp> mlir::ane::importMLPackage(StringRef path,
                                                 MLIRContext *context,
                                                 PackageInfo *info) {
  auto fail = [&](const Twine &what) -> OwningOpRef<ModuleOp> {
    emitError(NameLoc::get(StringAttr::get(context, path))) << what;
    return {};
  };
  auto modelFile = findModel(path);
  if (!modelFile)
    return fail(llvm::toString(modelFile.takeError()));
  return importMLModel(*modelFile, path, context, info);
}

OwningOpRef<ModuleOp> mlir::ane::importMLModel(StringRef path, StringRef name,
                                               MLIRContext *context,
                                               PackageInfo *info) {
  PackageInfo ignored;
  if (!info)
    info = &ignored;
  context->loadDialect<mil::MILDialect>();
  auto fail = [&](const Twine &what) -> OwningOpRef<ModuleOp> {
    emitError(NameLoc::get(StringAttr::get(context, name))) << what;
    return {};
  };
  auto file = MappedFile::open(path);
  if (!file)
    return fail(llvm::toString(file.takeError()));
  try {
    return Decoder(context, *info)
        .decode(StringRef((*file)->data().data(), (*file)->data().size()),
                name);
  } catch (const Malformed &error) {
    return fail(error.what());
  } catch (const protozero::exception &error) {
    return fail("model.mlmodel is damaged: " + Twine(error.what()));
  }
}
