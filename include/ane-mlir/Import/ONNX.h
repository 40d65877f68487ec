//===- ONNX.h - ONNX file to onnx dialect ---------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_IMPORT_ONNX_H
#define ANEMLIR_IMPORT_ONNX_H

#include "ane-mlir/Support/MappedFile.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

namespace mlir::ane {

/// Transcribes the model at `path`: one onnx.graph in a module, tensors as
/// views of the mapped file, node names as locations, model-local functions
/// inlined, nodes in dependency order. IR versions 3 to 13, opsets 7 to 28. On
/// failure returns null after a diagnostic that names the node or tensor.
/// `outputs`, when not empty, names values that become the outputs: the model
/// is cut there.
OwningOpRef<ModuleOp> importONNX(llvm::StringRef path, MLIRContext *context,
                                 llvm::ArrayRef<std::string> outputs = {});

/// The tensor of a TensorProto file (ONNX's test_data_set layout).
struct NamedTensor {
  std::string name;
  ElementsAttr value;
};
FailureOr<NamedTensor> importTensorProto(llvm::StringRef path,
                                         MLIRContext *context);

} // namespace mlir::ane

#endif // ANEMLIR_IMPORT_ONNX_H
