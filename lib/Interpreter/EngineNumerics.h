//===- EngineNumerics.h - what the engine does to numbers -----------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// The target's record says which (dialects/ANE/Targets, ane-target.md §4.3).
// Tables are piecewise linear over 33 knots, as measured; where their knots are
// is not known, so they are placed such that the error has the measured size.
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

/// c[m,n] = a[m,k] b[k,n], with the contract's products and accumulator.
/// `strideA` and `strideB` are (row, column) steps in elements.
void engineProduct(const EvalContext &context, const float *a,
                   std::pair<int64_t, int64_t> strideA, const float *b,
                   std::pair<int64_t, int64_t> strideB, float *c, int64_t m,
                   int64_t k, int64_t n);

} // namespace mlir::ane

#endif // ANEMLIR_LIB_INTERPRETER_ENGINENUMERICS_H
