//===- Blas.h - products by a library of the system -----------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// On a Mac the system's own library (Accelerate) multiplies on units that no
// other code reaches. Only who runs a model asks for it: what is computed while
// compiling is to be the same on every machine.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_INTERPRETER_BLAS_H
#define ANEMLIR_INTERPRETER_BLAS_H

namespace mlir::ane {

/// cblas_sgemm: order 101 is row-major, 111 and 112 are as it is and
/// transposed.
using SGemm = void (*)(int order, int transposeA, int transposeB, int m, int n,
                       int k, float alpha, const float *a, int lda,
                       const float *b, int ldb, float beta, float *c, int ldc);

/// While one lives, products of floats that this thread begins are computed by
/// `function`, where it is not null and they are large enough to be worth it.
/// Not those in the engine's numerics.
class BlasScope {
public:
  explicit BlasScope(SGemm function);
  ~BlasScope();
  BlasScope(const BlasScope &) = delete;
  BlasScope &operator=(const BlasScope &) = delete;

private:
  SGemm before;
};

} // namespace mlir::ane

#endif // ANEMLIR_INTERPRETER_BLAS_H
