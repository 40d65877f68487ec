//===- DType.h - element types, in every spelling -------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// One table of the element types: MIL's name, size, weight-file code, ONNX code
// and NumPy's letter. Sources: engine/weights.md §2.1 (codes), mil/types.md
// §2.1 (names), onnx-ml.proto (TensorProto.DataType).
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_SUPPORT_DTYPE_H
#define ANEMLIR_SUPPORT_DTYPE_H

#include "mlir/IR/Types.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"

namespace mlir::ane {

enum class DType : uint8_t {
  Float16,
  Float32,
  Float64,
  BFloat16,
  Float8E4M3FN,
  Float8E4M3FNUZ,
  Float8E5M2,
  Float8E5M2FNUZ,
  Float8E8M0,
  Float4E2M1,
  Bool,
  Int2,
  Int4,
  Int8,
  Int16,
  Int32,
  Int64,
  UInt1,
  UInt2,
  UInt3,
  UInt4,
  UInt6,
  UInt8,
  UInt16,
  UInt32,
  UInt64
};

struct DTypeInfo {
  DType dtype;
  /// MIL's and our name: "fp16".
  llvm::StringLiteral name;
  /// Bits of one element in a weight file.
  unsigned bits;
  /// Code of a weight-file descriptor, 0 when the format has none.
  unsigned blobCode;
  /// TensorProto.DataType, 0 when ONNX has none.
  unsigned onnxCode;
  /// NumPy's array-protocol string without byte order ("f4"), "" when NumPy has
  /// none.
  llvm::StringLiteral numpy;
};

llvm::ArrayRef<DTypeInfo> getDTypes();
const DTypeInfo &getInfo(DType dtype);
std::optional<DType> lookupDType(llvm::StringRef milName);
std::optional<DType> lookupDTypeByBlobCode(unsigned code);
std::optional<DType> lookupDTypeByOnnxCode(unsigned code);
std::optional<DType> lookupDTypeByNumpy(llvm::StringRef descr);

/// Builtin element type <-> dtype. bool is i1, signed integers are signless,
/// unsigned ones are uiN.
Type toMLIRType(DType dtype, MLIRContext *context);
std::optional<DType> toDType(Type elementType);

bool isFloat(DType dtype);
bool isUnsigned(DType dtype);

/// Bytes that `count` elements take, sub-byte types packed.
inline uint64_t getByteSize(DType dtype, uint64_t count) {
  return (count * getInfo(dtype).bits + 7) / 8;
}

/// Decodes `count` elements of packed little-endian data. Integers go to
/// `ints`, floats to `floats`.
void decode(DType dtype, llvm::ArrayRef<char> data,
            llvm::MutableArrayRef<float> floats);
void decode(DType dtype, llvm::ArrayRef<char> data,
            llvm::MutableArrayRef<int64_t> ints);
/// Encodes to packed little-endian data; `out` has getByteSize(dtype, count)
/// bytes. Floats round to nearest even; with `saturate`, a finite value beyond
/// the type's range becomes its largest instead of infinity.
void encode(DType dtype, llvm::ArrayRef<float> floats,
            llvm::MutableArrayRef<char> out, bool saturate = false);
void encode(DType dtype, llvm::ArrayRef<int64_t> ints,
            llvm::MutableArrayRef<char> out);

/// `value` as the dtype would hold it.
float roundTo(DType dtype, float value);
void roundTo(DType dtype, llvm::MutableArrayRef<float> values);
int64_t wrapTo(DType dtype, int64_t value);

uint16_t floatToHalf(float value);
float halfToFloat(uint16_t bits);

} // namespace mlir::ane

#endif // ANEMLIR_SUPPORT_DTYPE_H
