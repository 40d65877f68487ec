//===- RewriteONNX.cpp - a model with other values ------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Import/RewriteONNX.h"
#include "ane-mlir/Support/ProtoReader.h"
#include <protozero/pbf_writer.hpp>

using namespace mlir::ane;

namespace {
/// Fields of onnx.proto.
enum : protozero::pbf_tag_type {
  kGraph = 7,       // ModelProto
  kInitializer = 5, // GraphProto
  kDims = 1,        // TensorProto
  kDataType = 2,
  kFloats = 4,
  kName = 8,
  kRaw = 9,
  kDoc = 12,
  kLocation = 14,
};
using NewValue =
    llvm::function_ref<std::optional<std::string>(const Initializer &)>;
} // namespace

static llvm::StringRef text(protozero::data_view view) {
  return {view.data(), view.size()};
}

/// A field as it was, of whatever type.
static void copyField(protozero::pbf_reader &reader,
                      protozero::pbf_writer &writer) {
  using protozero::pbf_wire_type;
  switch (reader.wire_type()) {
  case pbf_wire_type::varint:
    return writer.add_uint64(reader.tag(), reader.get_uint64());
  case pbf_wire_type::fixed64:
    return writer.add_fixed64(reader.tag(), reader.get_fixed64());
  case pbf_wire_type::fixed32:
    return writer.add_fixed32(reader.tag(), reader.get_fixed32());
  default:
    return writer.add_bytes(reader.tag(), reader.get_view());
  }
}

static Initializer describe(protozero::pbf_reader tensor) {
  Initializer found;
  while (tensor.next()) {
    if (tensor.tag() == kName)
      found.name = text(tensor.get_view());
    else if (tensor.tag() == kDataType)
      found.dataType = tensor.get_int32();
    else if (tensor.tag() == kRaw)
      found.raw = text(tensor.get_view());
    else if (tensor.tag() == kLocation)
      found.external = tensor.get_int32() == 1;
    else if (tensor.tag() == kDims &&
             tensor.wire_type() == protozero::pbf_wire_type::varint)
      found.shape.push_back(tensor.get_int64());
    else if (tensor.tag() == kDims)
      for (int64_t dim : tensor.get_packed_int64())
        found.shape.push_back(dim);
    else if (tensor.tag() == kFloats &&
             tensor.wire_type() == protozero::pbf_wire_type::fixed32)
      found.floats.push_back(tensor.get_float());
    else if (tensor.tag() == kFloats)
      for (float value : tensor.get_packed_float())
        found.floats.push_back(value);
    else
      tensor.skip();
  }
  return found;
}

static void writeInitializer(protozero::data_view view,
                             protozero::pbf_writer &graph, NewValue value) {
  protozero::pbf_reader tensor(view);
  Initializer described = describe(tensor);
  std::optional<std::string> bytes = value(described);
  if (!bytes)
    return graph.add_bytes(kInitializer, view);
  std::string made;
  protozero::pbf_writer writer(made);
  protozero::pbf_reader reader(view);
  while (reader.next()) {
    bool stays = reader.tag() == kDims || reader.tag() == kDataType ||
                 reader.tag() == kName || reader.tag() == kDoc;
    if (stays)
      copyField(reader, writer);
    else
      reader.skip();
  }
  writer.add_bytes(kRaw, bytes->data(), bytes->size());
  graph.add_bytes(kInitializer, made);
}

llvm::Expected<std::string>
mlir::ane::rewriteInitializers(llvm::StringRef model, NewValue value) {
  try {
    std::string made;
    protozero::pbf_writer writer(made);
    protozero::pbf_reader reader(model.data(), model.size());
    while (reader.next()) {
      if (reader.tag() != kGraph) {
        copyField(reader, writer);
        continue;
      }
      std::string graph;
      protozero::pbf_writer graphWriter(graph);
      protozero::pbf_reader graphReader(reader.get_view());
      while (graphReader.next()) {
        if (graphReader.tag() == kInitializer)
          writeInitializer(graphReader.get_view(), graphWriter, value);
        else
          copyField(graphReader, graphWriter);
      }
      writer.add_bytes(kGraph, graph);
    }
    if (made.size() > (size_t(1) << 31))
      return llvm::createStringError(
          "the model would have more than 2 GB, which ONNX keeps in files of "
          "their own");
    return made;
  } catch (const std::exception &error) {
    return llvm::createStringError(llvm::Twine("no ONNX model: ") +
                                   error.what());
  }
}
