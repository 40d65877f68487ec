//===- Schemas.h - what operators take ------------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// ONNX's own description of every operator at every version: inputs with their
// element types, outputs, attributes with their kinds. Handlers rely on what is
// checked here and do not check it again.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_LIB_CONVERSION_ONNXTOANE_SCHEMAS_H
#define ANEMLIR_LIB_CONVERSION_ONNXTOANE_SCHEMAS_H

#include "dialects/ONNX/IR/ONNX.h"

namespace mlir::ane {

/// An input or output of an operator.
struct FormalValue {
  enum Arity { Single, Optional, Variadic };
  StringRef name, variable;
  Arity arity = Single;
  /// Of a variadic one: whether all have one type, and how many there are at
  /// least.
  bool homogeneous = true;
  unsigned least = 0;
  /// Element types by code of TensorProto.DataType, and other kinds of values.
  uint64_t types = 0;
};

struct FormalAttribute {
  StringRef name;
  /// A letter of Schemas/Schemas.inc.
  char kind;
  bool required;
};

struct Schema {
  SmallVector<FormalValue, 4> inputs, outputs;
  SmallVector<FormalAttribute, 8> attributes;

  /// What stands at a position; null beyond the last.
  static const FormalValue *at(ArrayRef<FormalValue> list, unsigned i) {
    if (i < list.size())
      return &list[i];
    return !list.empty() && list.back().arity == FormalValue::Variadic
               ? &list.back()
               : nullptr;
  }
};

/// The newest schema not above `version`, or null where the packages that the
/// table was made from have none.
const Schema *lookupSchema(StringRef domain, StringRef op, int64_t version);

/// The first required input that `inputs` lacks.
std::optional<unsigned> missingInput(const Schema *schema,
                                     ArrayRef<Value> inputs);

/// Holds every node of a graph against its schema: number and presence of
/// inputs, element types as far as they are known, names, kinds and domains of
/// attributes. Emits one error at the first node that does not fit.
LogicalResult checkSchemas(onnxir::GraphOp graph);

} // namespace mlir::ane

#endif // ANEMLIR_LIB_CONVERSION_ONNXTOANE_SCHEMAS_H
