//===- PatchedBundle.h - a bundle whose weights are written anew ----------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_LIB_ARTIFACT_PATCHEDBUNDLE_H
#define ANEMLIR_LIB_ARTIFACT_PATCHEDBUNDLE_H

#include "BundleFile.h"
#include "ane-mlir/Interpreter/Tensor.h"
#include "ane-mlir/Support/ScratchFolder.h"

namespace mlir::ane {

/// A copy of a bundle in a folder of its own, as a loader stages it: weight
/// files that are written are copies, the others are those of the bundle.
class PatchedBundle {
public:
  /// Nothing where no weight of the manifest is in a file of a program. The
  /// manifest was read from `bundle`; what its copies name is checked here.
  static llvm::Expected<std::unique_ptr<PatchedBundle>>
  stage(StringRef bundle, const anemlir::manifest::ManifestT &manifest);

  StringRef path() const { return folder; }
  /// Writes the matrix where the copy says.
  llvm::Error write(const anemlir::manifest::ParameterCopyT &copy,
                    const Tensor &matrix);

private:
  PatchedBundle() = default;
  /// Whether there is room for the matrix where the copy says.
  llvm::Error check(const anemlir::manifest::ParameterCopyT &copy) const;
  std::unique_ptr<ScratchFolder> scratch;
  std::string folder;
  /// By program: its weight file in the folder.
  std::map<int32_t, std::string> files;
};

} // namespace mlir::ane

#endif // ANEMLIR_LIB_ARTIFACT_PATCHEDBUNDLE_H
