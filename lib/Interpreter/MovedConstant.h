//===- MovedConstant.h - weights that are one constant, moved -------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// Nearly every large weight is a constant of the model, transposed, reshaped
// and multiplied by some vectors. Where each of its elements lies is known
// then, and it is written without a tensor for each step.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_LIB_INTERPRETER_MOVEDCONSTANT_H
#define ANEMLIR_LIB_INTERPRETER_MOVEDCONSTANT_H

#include "ane-mlir/Interpreter/Interpreter.h"

namespace mlir::ane {

class MovedConstant {
public:
  /// Nothing where the tree is small, or does anything else.
  static std::optional<MovedConstant> match(Value root,
                                            ConstantEvaluator &evaluator);
  int64_t size() const { return count; }
  /// Writes all elements as fp16, computed in fp32 as an evaluator would, and
  /// rounded once. Returns the largest magnitude among them.
  float writeHalves(const EvalContext &context,
                    llvm::MutableArrayRef<char> bytes) const;

private:
  /// Of the root, or a part of one, outermost first: how far elements are apart
  /// in the constant, and in each factor.
  struct Axis {
    int64_t extent, step;
    SmallVector<int64_t, 2> factorSteps;
  };

  bool refine(llvm::ArrayRef<int64_t> shape);
  bool transpose(llvm::ArrayRef<int64_t> from, llvm::ArrayRef<int64_t> perm);
  bool slice(llvm::ArrayRef<int64_t> shape, llvm::ArrayRef<int64_t> from,
             llvm::ArrayRef<int64_t> begin);
  bool multiply(Tensor factor, llvm::ArrayRef<int64_t> shape);
  void merge();
  void load(int64_t at, llvm::MutableArrayRef<float> values) const;
  void scale(llvm::MutableArrayRef<float> values, const Axis &axis,
             llvm::ArrayRef<int64_t> at) const;
  template <typename Body>
  void forEachBlock(const EvalContext &context, Body body) const;

  SmallVector<Axis, 6> axes;
  /// Of the first element, in the constant and in each factor.
  int64_t offset = 0;
  SmallVector<int64_t, 2> factorOffsets;
  Tensor constant;
  /// In the order in which the constant is multiplied by them.
  SmallVector<Tensor, 2> factors;
  int64_t count = 0;
  /// The axis along which the constant is contiguous.
  size_t contiguous = 0;
};

} // namespace mlir::ane

#endif // ANEMLIR_LIB_INTERPRETER_MOVEDCONSTANT_H
