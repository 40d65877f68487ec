//===- WritePackage.cpp - mil to .mlpackage -------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "Fields.h"
#include "ane-mlir/Conversion/ANEToMIL.h"
#include "ane-mlir/Support/AtomicPath.h"
#include "ane-mlir/Target/MILText.h"
#include "ane-mlir/Target/MLPackage.h"
#include "dialects/MIL/IR/MIL.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/SHA256.h"
#include <protozero/pbf_writer.hpp>

using namespace mlir;
using namespace mlir::ane;
using namespace mlir::ane::coreml;
using protozero::pbf_writer;

static constexpr StringLiteral kWeightPath = "@model_path/weights/weight.bin";
/// ios18 is the opset whose forms we emit; its specification is version 9
/// (mil-spec.md §3.4).
static constexpr StringLiteral kOpsetKey = "CoreML8";
static constexpr int32_t kSpecification = 9;

namespace {
/// Messages as strings: the tree is shallow and weights are not in it.
class ProgramEncoder {
public:
  FailureOr<std::string> encode(mil::ProgramOp program);

private:
  std::string valueType(Type type);
  FailureOr<std::string> value(Operation *op, mil::LiteralAttr literal);
  FailureOr<std::string> operation(mil::OpOp op);
  std::string namedType(StringRef name, Type type);

  llvm::DenseMap<Value, std::string> names;
};
} // namespace

static std::string str(StringRef text) { return text.str(); }

static uint32_t dataTypeOf(Type element) {
  if (std::optional<DType> dtype = toDType(element))
    for (const DataTypeCode &entry : kDataTypes)
      if (entry.dtype == *dtype)
        return entry.code;
  return kString;
}

std::string ProgramEncoder::valueType(Type type) {
  std::string message;
  pbf_writer out(message);
  if (auto dict = dyn_cast<mil::DictType>(type)) {
    std::string inner;
    pbf_writer pair(inner);
    pair.add_message(1, valueType(dict.getKey()));
    pair.add_message(2, valueType(dict.getValue()));
    out.add_message(valuetype::Dictionary, inner);
    return message;
  }
  auto tensor = cast<RankedTensorType>(type);
  std::string inner;
  pbf_writer body(inner);
  body.add_enum(tensortype::DataType, dataTypeOf(tensor.getElementType()));
  if (tensor.getRank())
    body.add_int64(tensortype::Rank, tensor.getRank());
  for (int64_t dim : tensor.getShape()) {
    std::string size, wrapped;
    if (ShapedType::isDynamic(dim)) {
      pbf_writer(wrapped).add_message(dimension::Unknown, size);
    } else {
      pbf_writer(size).add_uint64(1, dim);
      pbf_writer(wrapped).add_message(dimension::Constant, size);
    }
    body.add_message(tensortype::Dimensions, wrapped);
  }
  out.add_message(valuetype::Tensor, inner);
  return message;
}

std::string ProgramEncoder::namedType(StringRef name, Type type) {
  std::string message;
  pbf_writer out(message);
  out.add_string(named::Name, str(name));
  out.add_message(named::Type, valueType(type));
  return message;
}

/// The wire form of numbers: typed lists for some dtypes, bytes for the others
/// (mil-spec.md §3.3).
static std::string tensorValue(DType dtype, const Tensor &tensor) {
  std::string list, message;
  {
    pbf_writer values(list);
    auto ints = tensor.isFloat() ? ArrayRef<int64_t>() : tensor.ints();
    switch (dtype) {
    case DType::Float32:
      values.add_packed_float(1, tensor.floats().begin(),
                              tensor.floats().end());
      break;
    case DType::Int32:
    case DType::Int16:
    case DType::UInt16:
      values.add_packed_int32(1, ints.begin(), ints.end());
      break;
    case DType::Bool:
      values.add_packed_bool(1, ints.begin(), ints.end());
      break;
    case DType::Int64:
      values.add_packed_int64(1, ints.begin(), ints.end());
      break;
    default: {
      std::vector<char> bytes = tensor.toBytes();
      values.add_bytes(1, bytes.data(), bytes.size());
    }
    }
  }
  uint32_t field =
      dtype == DType::Float32 ? tensorvalue::Floats
      : dtype == DType::Int32 || dtype == DType::Int16 || dtype == DType::UInt16
          ? tensorvalue::Ints
      : dtype == DType::Bool  ? tensorvalue::Bools
      : dtype == DType::Int64 ? tensorvalue::LongInts
                              : tensorvalue::Bytes;
  pbf_writer(message).add_message(field, list);
  return message;
}

FailureOr<std::string> ProgramEncoder::value(Operation *op,
                                             mil::LiteralAttr literal) {
  std::string message, immediate;
  pbf_writer out(message);
  out.add_message(value::Type, valueType(literal.getType()));
  if (auto blobFile = dyn_cast<mil::BlobFileAttr>(literal.getValue())) {
    std::string blobMessage;
    pbf_writer file(blobMessage);
    file.add_string(blob::FileName, str(blobFile.getPath()));
    file.add_uint64(blob::Offset, blobFile.getOffset());
    out.add_message(value::Blob, blobMessage);
    return message;
  }
  if (auto strings = dyn_cast<DenseStringElementsAttr>(literal.getValue())) {
    std::string list, tensor;
    for (StringRef text : strings.getRawStringData())
      pbf_writer(list).add_string(1, str(text));
    pbf_writer(tensor).add_message(tensorvalue::Strings, list);
    pbf_writer(immediate).add_message(immediate::Tensor, tensor);
  } else if (auto elements = dyn_cast<ElementsAttr>(literal.getValue())) {
    FailureOr<Tensor> tensor = Tensor::fromElements(elements);
    if (failed(tensor))
      return op->emitOpError() << "has a constant that cannot be read";
    pbf_writer(immediate).add_message(immediate::Tensor,
                                      tensorValue(tensor->dtype(), *tensor));
  } else if (auto pairs = dyn_cast<ArrayAttr>(literal.getValue());
             pairs && isa<mil::DictType>(literal.getType())) {
    std::string dictionary;
    for (Attribute pair : pairs) {
      auto two = cast<ArrayAttr>(pair);
      std::string entryMessage;
      pbf_writer fields(entryMessage);
      for (auto [field, part] :
           {std::pair(entry::Key, two[0]), std::pair(entry::Value, two[1])}) {
        auto type = cast<mil::DictType>(literal.getType()).getKey();
        auto inner =
            value(op, mil::LiteralAttr::get(op->getContext(), type, part));
        if (failed(inner))
          return failure();
        fields.add_message(field, *inner);
      }
      pbf_writer(dictionary).add_message(1, entryMessage);
    }
    pbf_writer(immediate).add_message(immediate::Dictionary, dictionary);
  } else {
    return op->emitOpError() << "has a literal of type " << literal.getType()
                             << ", which packages are not written with";
  }
  out.add_message(value::Immediate, immediate);
  return message;
}

FailureOr<std::string> ProgramEncoder::operation(mil::OpOp op) {
  std::string message;
  pbf_writer out(message);
  out.add_string(operation::Type, str(op.getType()));
  if (!op.getBlocks().empty())
    return op.emitOpError() << "with blocks is not written to packages yet";
  for (Attribute attr : op.getArgs()) {
    auto arg = cast<mil::NamedAttr>(attr);
    std::string bindings, mapEntry;
    auto bind = [&](Attribute v) -> LogicalResult {
      std::string one;
      if (auto ref = dyn_cast<mil::RefAttr>(v)) {
        pbf_writer(one).add_string(binding::Name,
                                   names.lookup(op.getOperand(ref.getIndex())));
      } else {
        auto encoded = value(op, cast<mil::LiteralAttr>(v));
        if (failed(encoded))
          return failure();
        pbf_writer(one).add_message(binding::Value, *encoded);
      }
      pbf_writer(bindings).add_message(argument::Arguments, one);
      return success();
    };
    if (auto tuple = dyn_cast<ArrayAttr>(arg.getValue())) {
      for (Attribute v : tuple)
        if (failed(bind(v)))
          return failure();
    } else if (failed(bind(arg.getValue()))) {
      return failure();
    }
    pbf_writer pair(mapEntry);
    pair.add_string(entry::Key, str(arg.getName().getValue()));
    pair.add_message(entry::Value, bindings);
    out.add_message(operation::Inputs, mapEntry);
  }
  for (auto [name, result] : llvm::zip(op.getNames(), op.getResults())) {
    StringRef text = cast<StringAttr>(name).getValue();
    names[result] = text.str();
    out.add_message(operation::Outputs, namedType(text, result.getType()));
  }
  for (Attribute attr : op.getMilAttributes()) {
    auto named = cast<mil::NamedAttr>(attr);
    auto encoded = value(op, cast<mil::LiteralAttr>(named.getValue()));
    if (failed(encoded))
      return failure();
    std::string mapEntry;
    pbf_writer pair(mapEntry);
    pair.add_string(entry::Key, str(named.getName().getValue()));
    pair.add_message(entry::Value, *encoded);
    out.add_message(operation::Attributes, mapEntry);
  }
  return message;
}

FailureOr<std::string> ProgramEncoder::encode(mil::ProgramOp program) {
  std::string message;
  pbf_writer out(message);
  out.add_int64(program::Version, 1);
  for (auto func : program.getBody().getOps<mil::FuncOp>()) {
    std::string function, block, blockEntry, functionEntry;
    pbf_writer functionOut(function), blockOut(block);
    Block &body = func.getBody().front();
    for (auto [name, argument] :
         llvm::zip(func.getParameters(), body.getArguments())) {
      StringRef text = cast<StringAttr>(name).getValue();
      names[argument] = text.str();
      functionOut.add_message(function::Inputs,
                              namedType(text, argument.getType()));
    }
    std::vector<std::string> operations;
    for (Operation &op : body.without_terminator()) {
      auto encoded = operation(cast<mil::OpOp>(op));
      if (failed(encoded))
        return failure();
      operations.push_back(std::move(*encoded));
    }
    for (Value result : body.getTerminator()->getOperands())
      blockOut.add_string(block::Outputs, names.lookup(result));
    for (const std::string &op : operations)
      blockOut.add_message(block::Operations, op);
    functionOut.add_string(function::Opset, str(kOpsetKey));
    pbf_writer blockPair(blockEntry);
    blockPair.add_string(entry::Key, str(kOpsetKey));
    blockPair.add_message(entry::Value, block);
    functionOut.add_message(function::Blocks, blockEntry);
    pbf_writer functionPair(functionEntry);
    functionPair.add_string(entry::Key, str(func.getSymName()));
    functionPair.add_message(entry::Value, function);
    out.add_message(program::Functions, functionEntry);
  }
  return message;
}

//===----------------------------------------------------------------------===//
// Boundary
//===----------------------------------------------------------------------===//

/// What Core ML takes at a boundary for a value of the user's dtype.
static Type boundaryElement(DType user, MLIRContext *context) {
  if (user == DType::Float16)
    return Float16Type::get(context);
  return isFloat(user) ? Type(Float32Type::get(context))
                       : Type(IntegerType::get(context, 32));
}

/// Inputs and outputs of @main become the user's, with casts inside. No array
/// at a boundary has rank 0.
static LogicalResult castBoundary(func::FuncOp main) {
  MLIRContext *context = main.getContext();
  Block &block = main.getBody().front();
  auto boundaryType = [&](RankedTensorType type, StringAttr dtype) {
    DType user = dtype ? lookupDType(dtype.getValue())
                             .value_or(*toDType(type.getElementType()))
                       : *toDType(type.getElementType());
    SmallVector<int64_t> shape(type.getShape());
    if (shape.empty())
      shape.push_back(1);
    return RankedTensorType::get(shape, boundaryElement(user, context));
  };
  auto convert = [](OpBuilder &b, Location loc, Value v,
                    RankedTensorType wanted) -> Value {
    auto type = cast<RankedTensorType>(v.getType());
    if (type.getElementType() != wanted.getElementType())
      v = CastOp::create(b, loc, type.clone(wanted.getElementType()), v,
                         TypeAttr::get(wanted.getElementType()));
    if (type.getShape() != wanted.getShape())
      v = ReshapeOp::create(b, loc, wanted, v, wanted.getShape());
    return v;
  };
  OpBuilder b = OpBuilder::atBlockBegin(&block);
  SmallVector<Type> inputs, outputs;
  for (BlockArgument argument : block.getArguments()) {
    auto type = dyn_cast<RankedTensorType>(argument.getType());
    if (!type || !type.hasStaticShape() || type.getNumElements() == 0)
      return main.emitError()
             << "input " << argument.getArgNumber() << " has type "
             << argument.getType() << ", which no package can have";
    auto wanted = boundaryType(type, main.getArgAttrOfType<StringAttr>(
                                         argument.getArgNumber(), "ane.dtype"));
    inputs.push_back(wanted);
    if (wanted == type)
      continue;
    argument.setType(wanted);
    SmallVector<OpOperand *> uses;
    for (OpOperand &use : argument.getUses())
      uses.push_back(&use);
    Value inside = convert(b, argument.getLoc(), argument, type);
    for (OpOperand *use : uses)
      use->set(inside);
  }
  Operation *terminator = block.getTerminator();
  b.setInsertionPoint(terminator);
  for (OpOperand &operand : terminator->getOpOperands()) {
    auto type = dyn_cast<RankedTensorType>(operand.get().getType());
    if (!type)
      return main.emitError()
             << "output " << operand.getOperandNumber() << " is no tensor";
    auto wanted =
        boundaryType(type, main.getResultAttrOfType<StringAttr>(
                               operand.getOperandNumber(), "ane.dtype"));
    operand.set(convert(b, operand.get().getLoc(), operand.get(), wanted));
    outputs.push_back(operand.get().getType());
  }
  main.setType(FunctionType::get(context, inputs, outputs));
  return success();
}

static std::string featureMessage(StringRef name, StringRef original,
                                  RankedTensorType type) {
  std::string array, featureType, message;
  {
    pbf_writer out(array);
    // Extents are left out where only the data tells them.
    if (type.hasStaticShape())
      out.add_packed_int64(array::Shape, type.getShape().begin(),
                           type.getShape().end());
    out.add_enum(array::DataType, type.getElementType().isF16() ? kArrayFloat16
                                  : type.getElementType().isF32()
                                      ? kArrayFloat32
                                      : kArrayInt32);
  }
  pbf_writer(featureType).add_message(featuretype::MultiArray, array);
  pbf_writer out(message);
  out.add_string(feature::Name, str(name));
  if (name != original)
    out.add_string(feature::ShortDescription, str(original));
  out.add_message(feature::Type, featureType);
  return message;
}

/// A key that the same content always gets.
static std::string identifierOf(StringRef content) {
  auto digest = llvm::SHA256::hash(llvm::arrayRefFromStringRef(content));
  std::string hex = llvm::toHex(ArrayRef<uint8_t>(digest).take_front(16));
  for (size_t at : {8, 13, 18, 23})
    hex.insert(at, "-");
  return hex;
}

LogicalResult mlir::ane::writeMLPackage(ModuleOp module, StringRef path) {
  auto main = module.lookupSymbol<func::FuncOp>("main");
  if (!main)
    return module.emitError() << "expects a function @main";
  if (failed(castBoundary(main)))
    return failure();
  // Identifiers are MIL's; the user's names are kept as descriptions.
  std::vector<std::string> names, originals;
  auto addName = [&](StringAttr attr, StringRef prefix, unsigned i) {
    originals.push_back(attr ? attr.getValue().str()
                             : (prefix + Twine(i)).str());
    std::string name = mil::makeIdentifier(originals.back());
    while (llvm::is_contained(names, name))
      name += "_";
    names.push_back(name);
  };
  unsigned inputs = main.getNumArguments(), outputs = main.getNumResults();
  for (unsigned i = 0; i < inputs; ++i)
    addName(main.getArgAttrOfType<StringAttr>(i, "ane.name"), "input", i);
  for (unsigned i = 0; i < outputs; ++i)
    addName(main.getResultAttrOfType<StringAttr>(i, "ane.name"), "output", i);
  OwningOpRef<ModuleOp> scratch = ModuleOp::create(module.getLoc());
  OpBuilder builder = OpBuilder::atBlockEnd(scratch->getBody());
  ArrayRef<std::string> all(names);
  FailureOr<ConvertedProgram> converted =
      convertANEToMIL(builder, main, "program", /*verbose=*/false, kWeightPath,
                      all.take_front(inputs), all.drop_front(inputs));
  if (failed(converted))
    return failure();
  auto encoded = ProgramEncoder().encode(converted->program);
  if (failed(encoded))
    return failure();

  std::string model, descriptionMessage;
  {
    pbf_writer out(descriptionMessage);
    for (unsigned i = 0; i < inputs; ++i)
      out.add_message(
          description::Input,
          featureMessage(names[i], originals[i],
                         cast<RankedTensorType>(main.getArgumentTypes()[i])));
    for (unsigned i = 0; i < outputs; ++i)
      out.add_message(
          description::Output,
          featureMessage(names[inputs + i], originals[inputs + i],
                         cast<RankedTensorType>(main.getResultTypes()[i])));
    std::string meta, pairMessage;
    pbf_writer pair(pairMessage);
    pair.add_string(entry::Key, "producer");
    pair.add_string(entry::Value, "ane-mlir " ANEMLIR_VERSION);
    pbf_writer(meta).add_message(metadata::UserDefined, pairMessage);
    out.add_message(description::Metadata, meta);
  }
  {
    pbf_writer out(model);
    out.add_int32(model::Version, kSpecification);
    out.add_message(model::Description, descriptionMessage);
    out.add_message(model::MLProgram, *encoded);
  }
  auto fail = [&](llvm::Error error) {
    return emitError(module.getLoc()) << llvm::toString(std::move(error));
  };
  auto directory = AtomicDirectory::create(path);
  if (!directory)
    return fail(directory.takeError());
  SmallString<128> data(directory->temporary());
  llvm::sys::path::append(data, "Data", "com.apple.CoreML");
  SmallString<128> weights(data), modelFile(data),
      manifestFile(directory->temporary());
  llvm::sys::path::append(weights, "weights");
  llvm::sys::path::append(modelFile, "model.mlmodel");
  llvm::sys::path::append(manifestFile, "Manifest.json");
  bool hasWeights = !converted->weights.empty();
  if (std::error_code error =
          llvm::sys::fs::create_directories(hasWeights ? weights : data))
    return fail(llvm::errorCodeToError(error));
  if (hasWeights) {
    llvm::sys::path::append(weights, "weight.bin");
    std::error_code error;
    llvm::raw_fd_ostream file(weights, error);
    if (error)
      return fail(llvm::errorCodeToError(error));
    if (failed(writeWeights(module.getLoc(), *converted, file)))
      return failure();
    file.close();
    if (file.has_error()) {
      error = file.error();
      file.clear_error();
      return fail(llvm::createStringError(error, "cannot write '" +
                                                     weights.str() + "'"));
    }
  }
  if (llvm::Error error = writeFileAtomically(modelFile, model))
    return fail(std::move(error));
  auto item = [](StringRef name, StringRef what) {
    return llvm::json::Object{{"author", "com.apple.CoreML"},
                              {"description", what},
                              {"name", name},
                              {"path", ("com.apple.CoreML/" + name).str()}};
  };
  std::string root = identifierOf(model);
  llvm::json::Object items{
      {root, item("model.mlmodel", "CoreML Model Specification")}};
  if (hasWeights)
    items[identifierOf(model + "weights")] =
        item("weights", "CoreML Model Weights");
  std::string manifest;
  llvm::raw_string_ostream(manifest)
      << llvm::formatv("{0:2}\n", llvm::json::Value(llvm::json::Object{
                                      {"fileFormatVersion", "1.0.0"},
                                      {"itemInfoEntries", std::move(items)},
                                      {"rootModelIdentifier", root}}));
  if (llvm::Error error = writeFileAtomically(manifestFile, manifest))
    return fail(std::move(error));
  if (llvm::Error error = directory->commit())
    return fail(std::move(error));
  return success();
}
