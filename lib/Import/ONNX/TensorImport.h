//===- TensorImport.h - TensorProto to ElementsAttr -----------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_LIB_IMPORT_ONNX_TENSORIMPORT_H
#define ANEMLIR_LIB_IMPORT_ONNX_TENSORIMPORT_H

#include "Proto.h"
#include "ane-mlir/Support/MappedFile.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Location.h"
#include "llvm/ADT/StringMap.h"

namespace mlir::ane {

/// Turns tensor messages into constants over the file that `file` maps; opens
/// external data files once each.
class TensorImporter {
public:
  TensorImporter(MLIRContext *context, std::shared_ptr<const MappedFile> file)
      : context(context), file(std::move(file)) {}
  /// Null after a diagnostic at `loc`.
  ElementsAttr import(llvm::StringRef message, Location loc);
  ElementsAttr importSparse(llvm::StringRef message, Location loc);

private:
  ElementsAttr import(const proto::Tensor &tensor, Location loc);
  /// The bytes of an external tensor, checked against the file; sets `owner`.
  FailureOr<llvm::ArrayRef<char>>
  openExternal(const proto::Tensor &tensor, uint64_t size, Location loc,
               std::shared_ptr<const MappedFile> &owner);

  MLIRContext *context;
  std::shared_ptr<const MappedFile> file;
  llvm::StringMap<std::shared_ptr<const MappedFile>> externalFiles;
};

} // namespace mlir::ane

#endif // ANEMLIR_LIB_IMPORT_ONNX_TENSORIMPORT_H
