//===- EngineNumerics.h - what the engine does to numbers -----------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// The target's record says which (dialects/ANE/Targets, engine/legality.md
// §4.3). Tables are piecewise linear over 33 knots, as measured; where their
// knots are is not known, so they are placed such that the error has the
// measured size.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_LIB_INTERPRETER_ENGINENUMERICS_H
#define ANEMLIR_LIB_INTERPRETER_ENGINENUMERICS_H

#include "ane-mlir/Interpreter/Interpreter.h"

namespace mlir::ane {

/// fp16 with halves away from zero; infinite from 65520 on.
void roundTiesAway(llvm::MutableArrayRef<float> values);

/// NaN operands act as +inf or as a large value; tensors without are shared.
void replaceNaNOperands(const NumericContract &engine,
                        llvm::MutableArrayRef<Tensor> inputs);

/// Results of table-based functions, and special values: NaN is never produced,
/// log(0) is a finite sentinel.
void applyEngineValues(Operation *op, const EvalContext &context,
                       llvm::ArrayRef<Tensor> inputs,
                       llvm::MutableArrayRef<Tensor> outputs);

/// softmax of one row in the engine's steps: differences to the largest, exp,
/// its sum, the inverse and the product are rounded to fp16 each. How the sum
/// is parted (eight terms as 3 + 3 + 2, four such sums, four of those, ...) was
/// found by comparing with a captured program (test/E2E/test_golden.py), whose
/// rows of 2, 5, 7 and 11 equal terms come out bit for bit only so.
void engineSoftmax(const NumericContract &engine,
                   llvm::MutableArrayRef<float> row);

/// (row, column) steps in elements.
using Strides = std::pair<int64_t, int64_t>;

/// c[m,n] = a[m,k] b[k,n] with the contract's products and accumulator: what
/// the result is, one number at a time. `peak`, where given, becomes the
/// largest magnitude of a partial sum.
void referenceEngineProduct(const NumericContract &engine, const float *a,
                            Strides strideA, const float *b, Strides strideB,
                            float *c, int64_t m, int64_t k, int64_t n,
                            float *peak = nullptr);

/// The same bits, fast.
void engineProduct(const EvalContext &context, const float *a, Strides strideA,
                   const float *b, Strides strideB, float *c, int64_t m,
                   int64_t k, int64_t n);

/// Writes `columns` (up to 16) columns of b, from `column` on, for `terms` rows
/// from `t` on: panel[term][16], zero beyond the columns.
using PanelReader = llvm::function_ref<void(
    int64_t t, int64_t terms, int64_t column, int64_t columns, float *panel)>;
/// The same where b is computed as it is needed.
void engineProduct(const EvalContext &context, const float *a, Strides strideA,
                   PanelReader readPanel, float *c, Strides strideC, int64_t m,
                   int64_t k, int64_t n, bool parallel);

} // namespace mlir::ane

#endif // ANEMLIR_LIB_INTERPRETER_ENGINENUMERICS_H
