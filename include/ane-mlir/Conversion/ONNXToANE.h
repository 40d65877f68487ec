//===- ONNXToANE.h - opsets end here --------------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_CONVERSION_ONNXTOANE_H
#define ANEMLIR_CONVERSION_ONNXTOANE_H

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/StringMap.h"

namespace mlir::ane {

struct ONNXToANEOptions {
  /// Symbol -> extent, for every symbolic dimension of that name.
  llvm::StringMap<int64_t> dims;
  /// Input name -> full shape.
  llvm::StringMap<llvm::SmallVector<int64_t>> inputShapes;
  /// Inputs that are constants of this compilation: shapes, axes and the like
  /// that a model leaves to its caller.
  llvm::StringMap<ElementsAttr> inputValues;
  /// Values will be fp16. Then activations that the model quantises stay floats
  /// (of pairs of QuantizeLinear and DequantizeLinear the limits are kept),
  /// unless their steps are to be kept; those of 16 bits never are, fp16 has
  /// fewer.
  bool half = false, keepSteps = false;
  /// Pairs that several convolutions with weights of bytes read are quantize
  /// and dequantize of the engine.
  bool engineCodes = false;
  /// Node name -> length: a Range whose limit the data decides has so many
  /// entries.
  llvm::StringMap<int64_t> maxLengths;
  /// Random numbers are further inputs of the model, named as their nodes;
  /// otherwise each is its mean.
  bool randomInputs = false;
};

/// Replaces the module's onnx.graph by a func.func @main of ane ops. Arguments
/// and results carry `ane.name` (the model's) and `ane.dtype` (the type the
/// user sees: int64, fp64, … have no carrier in MIL). Every unbound dimension
/// and every unsupported node is reported before failing.
LogicalResult convertONNXToANE(ModuleOp module,
                               const ONNXToANEOptions &options);

} // namespace mlir::ane

#endif // ANEMLIR_CONVERSION_ONNXTOANE_H
