//===- Safetensors.h - named fp32 tensors in one file ---------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// The safetensors format: eight bytes with the length of a JSON header, the
// header (name → dtype, shape, data_offsets; strings under __metadata__), then
// the data, little-endian and row-major. Only F32 is written and read here.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_INTERPRETER_SAFETENSORS_H
#define ANEMLIR_INTERPRETER_SAFETENSORS_H

#include "ane-mlir/Interpreter/Tensor.h"
#include "llvm/Support/raw_ostream.h"
#include <map>
#include <string>
#include <vector>

namespace mlir::ane {

struct NamedTensors {
  std::vector<std::pair<std::string, Tensor>> tensors;
  std::map<std::string, std::string> metadata;
  const Tensor *find(llvm::StringRef name) const;
};

/// Writes tensors of floats in order; the same tensors give the same bytes.
void writeSafetensors(llvm::raw_ostream &os, const NamedTensors &tensors);
/// Reads a file whose tensors are all F32.
llvm::Expected<NamedTensors> readSafetensors(llvm::StringRef path);

} // namespace mlir::ane

#endif // ANEMLIR_INTERPRETER_SAFETENSORS_H
