//===- Tensor.h - concrete tensors ----------------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// The interpreter holds every float type as float and every integer type as
// int64_t, already rounded or wrapped to the declared dtype, so that each op
// has two loops instead of twenty. Tensors are immutable once built and shared.
// Large constants that are no fp32 stay packed as they are in their file until
// an op computes with them (isPacked). Their memory is taken within the budget
// of Support/Budget.h, and no accessor reads or writes beyond it, whatever the
// dtype: what is asked for as the other kind is converted, and what cannot be
// is thrown as an EvaluationError.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_INTERPRETER_TENSOR_H
#define ANEMLIR_INTERPRETER_TENSOR_H

#include "ane-mlir/Support/Budget.h"
#include "ane-mlir/Support/DType.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "llvm/ADT/SmallVector.h"
#include <map>
#include <memory>
#include <mutex>
#include <vector>

namespace mlir::ane {

/// What was made of a constant for one kernel (weights in the order that it
/// reads), by what it was made for. As long as the constant, within
/// MemoryBudget::keep.
class TensorForms {
public:
  using Key = std::vector<int64_t>;
  std::shared_ptr<const void> find(const Key &key) const;
  void add(const Key &key, std::shared_ptr<const void> form);

private:
  mutable std::mutex mutex;
  std::map<Key, std::shared_ptr<const void>> forms;
};

class Tensor {
public:
  Tensor() = default;
  /// A zero-filled tensor; throws EvaluationError when it does not fit.
  Tensor(DType dtype, llvm::ArrayRef<int64_t> shape);
  /// A view of fp32 data that `owner` keeps alive.
  static Tensor view(llvm::ArrayRef<int64_t> shape, const float *data,
                     std::shared_ptr<const void> owner);
  /// A constant. Aligned fp32 data is viewed, and so are the packed bytes of
  /// other large ones; the attribute's context must outlive the tensor.
  static FailureOr<Tensor> fromElements(ElementsAttr elements);
  static Tensor fromBytes(DType dtype, llvm::ArrayRef<int64_t> shape,
                          llvm::ArrayRef<char> packed);
  /// The same without decoding; `owner` (or the caller) keeps the bytes alive.
  static Tensor viewBytes(DType dtype, llvm::ArrayRef<int64_t> shape,
                          llvm::ArrayRef<char> packed,
                          std::shared_ptr<const void> owner);
  /// Holds bytes of its dtype. Whoever computes takes unpacked() first;
  /// floats() and ints() work too, but decode under a lock.
  bool isPacked() const { return packed; }
  Tensor unpacked() const;
  /// Packed bytes, where there are some that are what toBytes() gives.
  llvm::ArrayRef<char> packedBytes() const;
  /// `size` elements from `begin` on as a tensor of `shape`, without a copy.
  /// Only where canSlice().
  bool canSlice() const;
  Tensor slice(int64_t begin, llvm::ArrayRef<int64_t> shape) const;
  /// True where writing into one changes the other.
  bool shares(const Tensor &other) const {
    return owner && owner == other.owner;
  }
  /// Its memory is someone else's: a mapped file's.
  bool isBorrowed() const { return !owner; }
  /// Kernels may keep what they make of this tensor; copies share it.
  void keepForms() { forms = std::make_shared<TensorForms>(); }
  TensorForms *getForms() const { return forms.get(); }

  explicit operator bool() const { return defined; }
  DType dtype() const { return type; }
  llvm::ArrayRef<int64_t> shape() const { return dims; }
  int64_t rank() const { return dims.size(); }
  int64_t size() const { return count; }
  bool isFloat() const { return floating; }

  /// All elements. Those of the other kind are converted into memory that lives
  /// as long as this tensor.
  llvm::ArrayRef<float> floats() const {
    if (LLVM_UNLIKELY(!floating || packed))
      return convertedFloats();
    return {static_cast<const float *>(data), size_t(count)};
  }
  llvm::ArrayRef<int64_t> ints() const {
    if (LLVM_UNLIKELY(floating || packed))
      return convertedInts();
    return {static_cast<const int64_t *>(data), size_t(count)};
  }
  /// The first element, for tensors that stand for one number; throws
  /// EvaluationError when there is none.
  double number() const;
  int64_t integer() const;
  /// Only between construction and sharing; throws EvaluationError for the
  /// other kind.
  llvm::MutableArrayRef<float> mutableFloats() {
    requireKind(true);
    return {static_cast<float *>(const_cast<void *>(data)), size_t(count)};
  }
  llvm::MutableArrayRef<int64_t> mutableInts() {
    requireKind(false);
    return {static_cast<int64_t *>(const_cast<void *>(data)), size_t(count)};
  }

  /// The same data under another shape of the same size, or another dtype of
  /// the same storage; throws EvaluationError where it is not the same.
  Tensor reshaped(llvm::ArrayRef<int64_t> shape) const;
  Tensor retyped(DType dtype) const;

  /// Packed little-endian bytes, as in a weight file.
  std::vector<char> toBytes() const;
  /// The same as a weight: finite values beyond fp16 saturate, and a number
  /// that stands alone (all elements are equal) does not become 0: the epsilon
  /// beside a divisor keeps its purpose.
  std::vector<char> toWeightBytes() const;
  /// A dense (small) constant of the builtin type.
  DenseElementsAttr toElements(MLIRContext *context) const;

private:
  llvm::ArrayRef<float> convertedFloats() const;
  llvm::ArrayRef<int64_t> convertedInts() const;
  const Tensor &decodedOnce() const;
  void requireKind(bool wanted) {
    if (LLVM_UNLIKELY(floating != wanted))
      throwKind();
    if (LLVM_UNLIKELY(packed))
      *this = unpacked();
  }
  [[noreturn]] void throwKind() const;

  DType type = DType::Float32;
  bool defined = false, floating = true, packed = false;
  llvm::SmallVector<int64_t, 6> dims;
  int64_t count = 0;
  /// Floats, int64_t, or packed bytes.
  const void *data = nullptr;
  std::shared_ptr<const void> owner;
  /// The elements as the other kind, or of a packed tensor decoded, once asked
  /// for.
  mutable std::shared_ptr<const void> converted;
  mutable std::shared_ptr<const Tensor> decoded;
  std::shared_ptr<TensorForms> forms;
};

/// A float as an integer: towards zero, at the limits where it is beyond them,
/// 0 for NaN.
int64_t floatToInteger(double value);

/// Row-major strides in elements.
llvm::SmallVector<int64_t, 6> rowMajorStrides(llvm::ArrayRef<int64_t> shape);

} // namespace mlir::ane

#endif // ANEMLIR_INTERPRETER_TENSOR_H
