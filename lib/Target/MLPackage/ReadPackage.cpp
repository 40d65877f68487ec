//===- ReadPackage.cpp - .mlpackage to mil --------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "Fields.h"
#include "ane-mlir/Interpreter/Tensor.h"
#include "ane-mlir/Support/MappedFile.h"
#include "ane-mlir/Support/ProtoReader.h"
#include "ane-mlir/Target/MLPackage.h"
#include "dialects/MIL/IR/MIL.h"
#include "mlir/IR/Builders.h"
#include "llvm/Support/JSON.h"
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

class Decoder {
public:
  explicit Decoder(MLIRContext *context) : context(context), b(context) {}
  OwningOpRef<ModuleOp> decode(StringRef model, StringRef file);

private:
  using Names = std::map<std::string, Value>;

  Type valueType(pbf_reader in);
  mil::LiteralAttr value(pbf_reader in);
  Attribute immediate(pbf_reader in, Type type);
  void function(pbf_reader in, StringRef name);
  void operation(pbf_reader in, Names &names, StringRef function);

  MLIRContext *context;
  OpBuilder b;
};
} // namespace

[[noreturn]] static void malformed(const Twine &what) {
  throw Malformed(what.str());
}

Type Decoder::valueType(pbf_reader in) {
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
        case tensortype::Dimensions: {
          pbf_reader dimension = tensor.get_message();
          int64_t size = ShapedType::kDynamic;
          while (dimension.next())
            if (dimension.tag() == dimension::Constant) {
              pbf_reader constant = dimension.get_message();
              size = 0;
              while (constant.next())
                if (constant.tag() == 1)
                  size = constant.get_uint64();
                else
                  constant.skip();
              if (size < 0 || size > INT32_MAX)
                malformed("dimension out of range");
            } else {
              dimension.skip();
            }
          shape.push_back(size);
          break;
        }
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
      while (list.next())
        if (list.tag() == 1)
          element = valueType(list.get_message());
        else
          list.skip();
      if (!element)
        malformed("list type without element");
      type = mil::ListType::get(context, element, -1);
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
  while (in.next()) {
    if (in.tag() == immediate::Dictionary) {
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
            key = value(pair.get_message()).getValue();
          else if (pair.tag() == entry::Value)
            mapped = value(pair.get_message()).getValue();
          else
            pair.skip();
        if (!key || !mapped)
          malformed("dictionary entry without key or value");
        pairs.push_back(b.getArrayAttr({key, mapped}));
      }
      return b.getArrayAttr(pairs);
    }
    if (in.tag() != immediate::Tensor) {
      if (in.tag() == immediate::Tuple || in.tag() == immediate::List)
        malformed("tuple and list values are not supported");
      in.skip();
      continue;
    }
    auto tensor = dyn_cast<RankedTensorType>(type);
    if (!tensor || !tensor.hasStaticShape())
      malformed("tensor value for another type");
    int64_t count = 1;
    for (int64_t dim : tensor.getShape())
      if (llvm::MulOverflow(count, dim, count) || count > (1 << 28))
        malformed("immediate value too large");
    pbf_reader field = in.get_message();
    if (!field.next())
      malformed("tensor value without data");
    uint32_t tag = field.tag();
    pbf_reader list = field.get_message();
    std::vector<std::string> strings;
    std::vector<float> floats;
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
          floats.push_back(list.get_float());
        else
          packed(list.get_packed_float(), floats);
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
        malformed("value list " + Twine(tag) + " is not supported");
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
    Tensor result(dtype, tensor.getShape());
    if ((int64_t)(result.isFloat() ? floats.size() : ints.size()) != count)
      malformed("expects " + Twine(count) + " values of " +
                getInfo(dtype).name);
    if (result.isFloat())
      llvm::copy(floats, result.mutableFloats().begin());
    else
      for (auto [to, from] : llvm::zip(result.mutableInts(), ints))
        to = wrapTo(dtype, from);
    return result.toElements(context);
  }
  malformed("immediate value without data");
}

mil::LiteralAttr Decoder::value(pbf_reader in) {
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

void Decoder::operation(pbf_reader in, Names &names, StringRef function) {
  std::string type;
  // Maps have no order; ours is that of the text, by name.
  std::map<std::string, protozero::data_view> inputs, attributes;
  SmallVector<Type> types;
  SmallVector<std::string> resultNames;
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
      pbf_reader output = in.get_message();
      while (output.next())
        if (output.tag() == named::Name)
          resultNames.push_back(proto::toView(output.get_view()).str());
        else if (output.tag() == named::Type)
          types.push_back(valueType(output.get_message()));
        else
          output.skip();
      break;
    }
    case operation::Blocks:
      malformed("operation '" + type + "' has blocks, which is not supported");
    default:
      in.skip();
    }
  if (types.size() != resultNames.size())
    malformed("operation '" + type + "' has an output without name or type");
  SmallVector<Attribute> args, milAttributes;
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
    // `values` of concat, stack and einsum are tuples even of one.
    bool tuple = bindings.size() > 1 || name == "values";
    args.push_back(mil::NamedAttr::get(
        context, b.getStringAttr(name),
        tuple ? Attribute(b.getArrayAttr(bindings)) : bindings[0]));
  }
  for (auto &[name, data] : attributes)
    milAttributes.push_back(mil::NamedAttr::get(context, b.getStringAttr(name),
                                                value(pbf_reader{data})));
  SmallVector<StringRef> refs(resultNames.begin(), resultNames.end());
  Location loc = NameLoc::get(b.getStringAttr(
      (function + "/" + (refs.empty() ? StringRef(type) : refs[0])).str()));
  auto op = mil::OpOp::create(b, loc, types, b.getStringAttr(type),
                              b.getArrayAttr(args), b.getStrArrayAttr(refs),
                              b.getArrayAttr(milAttributes), operands, 0);
  for (auto [name, result] : llvm::zip(resultNames, op.getResults()))
    if (!names.try_emplace(name, result).second)
      malformed("the name '" + name + "' is given twice");
}

void Decoder::function(pbf_reader in, StringRef name) {
  std::string opset;
  SmallVector<std::string> parameters;
  SmallVector<Type> types;
  std::map<std::string, protozero::data_view> blocks;
  while (in.next())
    switch (in.tag()) {
    case function::Inputs: {
      pbf_reader input = in.get_message();
      while (input.next())
        if (input.tag() == named::Name)
          parameters.push_back(proto::toView(input.get_view()).str());
        else if (input.tag() == named::Type)
          types.push_back(valueType(input.get_message()));
        else
          input.skip();
      break;
    }
    case function::Opset:
      opset = proto::toView(in.get_view()).str();
      break;
    case function::Blocks:
      blocks.insert(mapEntry(in.get_message()));
      break;
    default:
      in.skip();
    }
  if (parameters.size() != types.size())
    malformed("function '" + name + "' has an input without name or type");
  auto body = blocks.find(opset);
  if (body == blocks.end())
    malformed("function '" + name + "' has no block for its opset '" + opset +
              "'");
  unsigned ios = 0;
  if (StringRef(opset).consume_front("CoreML") &&
      !StringRef(opset).drop_front(6).getAsInteger(10, ios) && ios >= 5)
    ios += ios >= 9 ? 17 : 10; // CoreML5 is ios15, CoreML9 is ios26
  SmallVector<StringRef> refs(parameters.begin(), parameters.end());
  auto func = mil::FuncOp::create(
      b, b.getUnknownLoc(), b.getStringAttr(name),
      b.getStringAttr(ios ? "ios" + Twine(ios) : Twine(opset)),
      b.getStrArrayAttr(refs), b.getArrayAttr({}));
  Block &block = func.getBody().emplaceBlock();
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(&block);
  Names names;
  for (auto [parameter, type] : llvm::zip(parameters, types))
    if (!names
             .try_emplace(parameter,
                          block.addArgument(
                              type, NameLoc::get(b.getStringAttr(parameter))))
             .second)
      malformed("the name '" + parameter + "' is given twice");
  std::vector<std::string> outputs;
  pbf_reader content{body->second};
  while (content.next())
    if (content.tag() == block::Outputs)
      outputs.push_back(proto::toView(content.get_view()).str());
    else if (content.tag() == block::Operations)
      operation(content.get_message(), names, name);
    else
      content.skip();
  SmallVector<Value> results;
  for (const std::string &output : outputs) {
    auto it = names.find(output);
    if (it == names.end())
      malformed("output '" + output + "' is no value of function '" + name +
                "'");
    results.push_back(it->second);
  }
  mil::ReturnOp::create(b, b.getUnknownLoc(), results);
}

OwningOpRef<ModuleOp> Decoder::decode(StringRef model, StringRef file) {
  Location loc = NameLoc::get(b.getStringAttr(file));
  OwningOpRef<ModuleOp> module = ModuleOp::create(loc);
  b.setInsertionPointToEnd(module->getBody());
  protozero::data_view programData{"", 0};
  bool found = false;
  pbf_reader in(model.data(), model.size());
  while (in.next())
    if (in.tag() == model::MLProgram) {
      programData = in.get_view();
      found = true;
    } else {
      in.skip();
    }
  if (!found)
    malformed("holds no ML Program; neural networks, pipelines and other kinds "
              "of models are not supported");
  auto program = mil::ProgramOp::create(b, loc, b.getStringAttr("program"),
                                        b.getStringAttr("1.3"), UnitAttr(),
                                        b.getArrayAttr({}));
  b.setInsertionPointToStart(&program.getBody().emplaceBlock());
  std::map<std::string, protozero::data_view> functions;
  pbf_reader content{programData};
  while (content.next())
    if (content.tag() == program::Functions)
      functions.insert(mapEntry(content.get_message()));
    else
      content.skip();
  for (auto &[name, data] : functions)
    function(pbf_reader{data}, name);
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
  auto manifest = llvm::json::parse(
      StringRef((*file)->data().data(), (*file)->data().size()));
  if (!manifest)
    return manifest.takeError();
  const llvm::json::Object *root = manifest->getAsObject(), *items = nullptr;
  if (root)
    items = root->getObject("itemInfoEntries");
  auto key = root ? root->getString("rootModelIdentifier") : std::nullopt;
  const llvm::json::Object *item =
      items && key ? items->getObject(*key) : nullptr;
  auto relative = item ? item->getString("path") : std::nullopt;
  if (!relative || relative->contains("..") ||
      llvm::sys::path::is_absolute(*relative))
    return llvm::createStringError(
        "Manifest.json names no root model inside the package");
  SmallString<128> full(path);
  llvm::sys::path::append(full, "Data", *relative);
  return full.str().str();
}

OwningOpRef<ModuleOp> mlir::ane::importMLPackage(StringRef path,
                                                 MLIRContext *context) {
  context->loadDialect<mil::MILDialect>();
  auto fail = [&](const Twine &what) -> OwningOpRef<ModuleOp> {
    emitError(NameLoc::get(StringAttr::get(context, path))) << what;
    return {};
  };
  auto modelFile = findModel(path);
  if (!modelFile)
    return fail(llvm::toString(modelFile.takeError()));
  auto file = MappedFile::open(*modelFile);
  if (!file)
    return fail(llvm::toString(file.takeError()));
  try {
    return Decoder(context).decode(
        StringRef((*file)->data().data(), (*file)->data().size()), path);
  } catch (const Malformed &error) {
    return fail(error.what());
  } catch (const protozero::exception &error) {
    return fail("model.mlmodel is damaged: " + Twine(error.what()));
  }
}
