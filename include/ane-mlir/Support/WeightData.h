//===- WeightData.h - weights as their consts declare them ----------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_SUPPORT_WEIGHTDATA_H
#define ANEMLIR_SUPPORT_WEIGHTDATA_H

#include "ane-mlir/Support/WeightFile.h"

namespace mlir::ane {

/// The packed bytes of a const of `count` elements of `dtype` whose descriptor
/// is at `offset`. What the const says goes before what the file says, as far
/// as files in use do: writers that know one dtype put fp16's code over
/// integers of 8 bits, and some leave sizes and offsets 0, the payload being
/// behind its descriptor. Errors name the offset and both sides.
llvm::Expected<llvm::ArrayRef<char>> readWeightAs(llvm::ArrayRef<char> file,
                                                  uint64_t offset, DType dtype,
                                                  uint64_t count);

/// Opens each file once, for as long as the result lives.
WeightOpener openOnce(WeightOpener opener);

} // namespace mlir::ane

#endif // ANEMLIR_SUPPORT_WEIGHTDATA_H
