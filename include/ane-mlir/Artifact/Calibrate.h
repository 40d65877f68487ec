//===- Calibrate.h - how large values are on real data --------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_ARTIFACT_CALIBRATE_H
#define ANEMLIR_ARTIFACT_CALIBRATE_H

#include "ane-mlir/Artifact/Samples.h"

namespace mlir::ane {

/// Runs the optimised function in fp32 on each sample and leaves what
/// ane-repair-fp16 reads: `ane.peak` (largest magnitude of each result),
/// `ane.partial` (of the partial sums of a product) and `ane.engine_error`
/// (relative error of the target's own product). Failure after a diagnostic.
///
/// Without `products` only results are looked at: behind Core ML a scale on a
/// weight and its inverse on the result are one again (coremltools fuses them).
LogicalResult calibrate(func::FuncOp function, llvm::ArrayRef<Sample> samples,
                        bool products = true);

} // namespace mlir::ane

#endif // ANEMLIR_ARTIFACT_CALIBRATE_H
