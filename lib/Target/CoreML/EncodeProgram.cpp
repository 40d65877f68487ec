//===- EncodeProgram.cpp - mil.program to an ML Program message -----------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "EncodeProgram.h"
#include "ane-mlir/Interpreter/Tensor.h"
#include "ane-mlir/Support/CoreMLFields.h"
#include "dialects/MIL/IR/MIL.h"
#include "dialects/MIL/IR/Opset.h"
#include <protozero/pbf_writer.hpp>

using namespace mlir;
using namespace mlir::ane;
using namespace mlir::ane::coreml;
using protozero::pbf_writer;

namespace {
/// Messages as strings: the tree is shallow and weights are not in it.
class ProgramEncoder {
public:
  FailureOr<std::string> encode(mil::ProgramOp program);

private:
  std::string valueType(Type type);
  FailureOr<std::string> value(Operation *op, mil::LiteralAttr literal);
  FailureOr<std::string> immediate(Operation *op, Type type, Attribute value);
  FailureOr<std::string> operation(mil::OpOp op);
  FailureOr<std::string> block(Block &body, ArrayAttr parameters);
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

static std::string dimensionMessage(int64_t dim) {
  std::string size, message;
  if (ShapedType::isDynamic(dim)) {
    pbf_writer(message).add_message(dimension::Unknown, size);
  } else {
    pbf_writer(size).add_uint64(1, dim);
    pbf_writer(message).add_message(dimension::Constant, size);
  }
  return message;
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
  if (auto tuple = dyn_cast<mil::TupleType>(type)) {
    std::string inner;
    for (Type part : tuple.getTypes())
      pbf_writer(inner).add_message(1, valueType(part));
    out.add_message(valuetype::Tuple, inner);
    return message;
  }
  if (auto list = dyn_cast<mil::ListType>(type)) {
    std::string inner;
    pbf_writer fields(inner);
    fields.add_message(1, valueType(list.getElement()));
    fields.add_message(2, dimensionMessage(list.getLength() < 0
                                               ? ShapedType::kDynamic
                                               : list.getLength()));
    out.add_message(valuetype::List, inner);
    return message;
  }
  if (auto state = dyn_cast<mil::StateType>(type)) {
    std::string inner;
    pbf_writer(inner).add_message(1, valueType(state.getWrapped()));
    out.add_message(valuetype::State, inner);
    return message;
  }
  auto tensor = cast<RankedTensorType>(type);
  std::string inner;
  pbf_writer body(inner);
  body.add_enum(tensortype::DataType, dataTypeOf(tensor.getElementType()));
  if (tensor.getRank())
    body.add_int64(tensortype::Rank, tensor.getRank());
  for (int64_t dim : tensor.getShape())
    body.add_message(tensortype::Dimensions, dimensionMessage(dim));
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
/// (mil/package.md §3.3).
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
  std::string message;
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
  auto content = immediate(op, literal.getType(), literal.getValue());
  if (failed(content))
    return failure();
  out.add_message(value::Immediate, *content);
  return message;
}

FailureOr<std::string> ProgramEncoder::immediate(Operation *op, Type type,
                                                 Attribute content) {
  std::string message;
  pbf_writer out(message);
  auto nested = [&](Type innerType, Attribute inner) {
    return value(op, mil::LiteralAttr::get(op->getContext(), innerType, inner));
  };
  if (auto strings = dyn_cast<DenseStringElementsAttr>(content)) {
    std::string list, tensor;
    for (StringRef text : strings.getRawStringData())
      pbf_writer(list).add_string(1, str(text));
    pbf_writer(tensor).add_message(tensorvalue::Strings, list);
    out.add_message(immediate::Tensor, tensor);
    return message;
  }
  if (auto elements = dyn_cast<ElementsAttr>(content)) {
    if (elements.getElementType().isF64()) { // a Tensor would round it
      std::string list, tensor;
      std::vector<double> values(elements.value_begin<double>(),
                                 elements.value_end<double>());
      pbf_writer(list).add_packed_double(1, values.begin(), values.end());
      pbf_writer(tensor).add_message(tensorvalue::Doubles, list);
      out.add_message(immediate::Tensor, tensor);
      return message;
    }
    FailureOr<Tensor> tensor = Tensor::fromElements(elements);
    if (failed(tensor))
      return op->emitOpError() << "has a constant that cannot be read";
    out.add_message(immediate::Tensor, tensorValue(tensor->dtype(), *tensor));
    return message;
  }
  auto parts = dyn_cast<ArrayAttr>(content);
  auto dict = dyn_cast<mil::DictType>(type);
  auto tuple = dyn_cast<mil::TupleType>(type);
  auto list = dyn_cast<mil::ListType>(type);
  if (!parts || !(dict || tuple || list) ||
      (tuple && tuple.getTypes().size() != parts.size()))
    return op->emitOpError() << "has a literal of type " << type
                             << ", which packages are not written with";
  std::string inner;
  for (auto [i, part] : llvm::enumerate(parts)) {
    if (dict) {
      auto two = cast<ArrayAttr>(part);
      auto key = nested(dict.getKey(), two[0]);
      auto mapped = nested(dict.getValue(), two[1]);
      if (failed(key) || failed(mapped))
        return failure();
      std::string pair;
      pbf_writer fields(pair);
      fields.add_message(entry::Key, *key);
      fields.add_message(entry::Value, *mapped);
      pbf_writer(inner).add_message(1, pair);
      continue;
    }
    auto item = nested(tuple ? tuple.getTypes()[i] : list.getElement(), part);
    if (failed(item))
      return failure();
    pbf_writer(inner).add_message(1, *item);
  }
  out.add_message(dict    ? immediate::Dictionary
                  : tuple ? immediate::Tuple
                          : immediate::List,
                  inner);
  return message;
}

FailureOr<std::string> ProgramEncoder::operation(mil::OpOp op) {
  std::string message;
  pbf_writer out(message);
  out.add_string(operation::Type, str(op.getType()));
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
  for (auto [i, region] : llvm::enumerate(op.getBlocks())) {
    auto encoded =
        block(region.front(), cast<ArrayAttr>((*op.getBlockParameters())[i]));
    if (failed(encoded))
      return failure();
    out.add_message(operation::Blocks, *encoded);
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

FailureOr<std::string> ProgramEncoder::block(Block &body,
                                             ArrayAttr parameters) {
  std::string message;
  pbf_writer out(message);
  for (auto [name, argument] : llvm::zip(parameters, body.getArguments())) {
    StringRef text = cast<StringAttr>(name).getValue();
    names[argument] = text.str();
    // A function's are beside its block.
    if (!isa<mil::FuncOp>(body.getParentOp()))
      out.add_message(block::Inputs, namedType(text, argument.getType()));
  }
  std::vector<std::string> operations;
  for (Operation &op : body.without_terminator()) {
    auto encoded = operation(cast<mil::OpOp>(op));
    if (failed(encoded))
      return failure();
    operations.push_back(std::move(*encoded));
  }
  for (Value result : body.getTerminator()->getOperands())
    out.add_string(block::Outputs, names.lookup(result));
  for (const std::string &op : operations)
    out.add_message(block::Operations, op);
  return message;
}

FailureOr<std::string> ProgramEncoder::encode(mil::ProgramOp program) {
  std::string message;
  pbf_writer out(message);
  out.add_int64(program::Version, 1);
  for (auto func : program.getBody().getOps<mil::FuncOp>()) {
    std::string function, blockEntry, functionEntry;
    pbf_writer functionOut(function);
    Block &body = func.getBody().front();
    for (auto [name, argument] :
         llvm::zip(func.getParameters(), body.getArguments()))
      functionOut.add_message(
          function::Inputs,
          namedType(cast<StringAttr>(name).getValue(), argument.getType()));
    auto block = this->block(body, func.getParameters());
    if (failed(block))
      return failure();
    std::string key = mil::keyOfOpset(func.getOpset());
    functionOut.add_string(function::Opset, key);
    pbf_writer blockPair(blockEntry);
    blockPair.add_string(entry::Key, key);
    blockPair.add_message(entry::Value, *block);
    functionOut.add_message(function::Blocks, blockEntry);
    pbf_writer functionPair(functionEntry);
    functionPair.add_string(entry::Key, str(func.getSymName()));
    functionPair.add_message(entry::Value, function);
    out.add_message(program::Functions, functionEntry);
  }
  return message;
}

FailureOr<std::string> coreml::encodeProgram(mil::ProgramOp program) {
  return ProgramEncoder().encode(program);
}
