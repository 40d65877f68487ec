//===- Proto.h - ONNX messages as views of the mapped file ----------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// Plain structs over string views: parsing copies names and nothing else. Field
// numbers are those of onnx-ml.proto. Malformed wire data throws
// protozero::exception.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_LIB_IMPORT_ONNX_PROTO_H
#define ANEMLIR_LIB_IMPORT_ONNX_PROTO_H

#include "ane-mlir/Support/ProtoReader.h"
#include <vector>

namespace mlir::ane::proto {

struct Tensor {
  View name;
  std::vector<int64_t> dims;
  int32_t dataType = 0;
  bool hasRaw = false;
  View raw;
  /// Concatenated values of the typed fields, as the wire has them.
  std::vector<float> floats;
  std::vector<double> doubles;
  std::vector<int64_t> ints; // int32_data, int64_data
  std::vector<uint64_t> uints;
  std::vector<View> strings;
  bool external = false;
  View location;
  View offset, length; // decimal text
  static Tensor parse(View data);
};

struct SparseTensor {
  View values, indices;
  std::vector<int64_t> dims;
  static SparseTensor parse(View data);
};

struct Attribute {
  enum Type {
    Undefined,
    Float,
    Int,
    String,
    TensorT,
    Graph,
    Floats,
    Ints,
    Strings,
    Tensors,
    Graphs,
    Sparse,
    Sparses,
    TypeProto,
    TypeProtos
  };
  View name, reference;
  int32_t type = Undefined;
  float f = 0;
  int64_t i = 0;
  View s, tensor, graph, sparse;
  std::vector<float> floats;
  std::vector<int64_t> ints;
  std::vector<View> strings, tensors, graphs;
  static Attribute parse(View data);
};

struct Node {
  View name, opType, domain, overload;
  std::vector<View> inputs, outputs, attributes;
  static Node parse(View data);
};

struct Dimension {
  int64_t value = -1;
  View symbol;
};
struct ValueInfo {
  View name;
  /// 0 when the type is not a tensor.
  int32_t elementType = 0;
  bool hasShape = false;
  std::vector<Dimension> dims;
  /// ONNX spelling when it is not a tensor: "seq(…)".
  llvm::StringLiteral kind = "";
  static ValueInfo parse(View data);
};

struct Graph {
  View name;
  std::vector<View> nodes, initializers, sparseInitializers, inputs, outputs;
  static Graph parse(View data);
};

struct OpsetImport {
  View domain;
  int64_t version = 0;
};
struct Function {
  View name, domain, overload;
  std::vector<View> inputs, outputs, attributes, nodes, attributeDefaults;
  std::vector<OpsetImport> opsets;
  static Function parse(View data);
};

struct Model {
  int64_t irVersion = 0;
  bool hasGraph = false;
  View graph;
  std::vector<OpsetImport> opsets;
  std::vector<View> functions;
  static Model parse(View data);
};

} // namespace mlir::ane::proto

#endif // ANEMLIR_LIB_IMPORT_ONNX_PROTO_H
