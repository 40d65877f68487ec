//===- Calibrate.h - how large values are on real data --------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_PIPELINES_CALIBRATE_H
#define ANEMLIR_PIPELINES_CALIBRATE_H

#include "mlir/IR/BuiltinOps.h"

namespace mlir::ane {

/// Runs the optimised module in fp32 on each sample of `dir` and leaves what
/// ane-repair-fp16 reads: `ane.peak` (largest magnitude of each result),
/// `ane.partial` (of the partial sums of a product) and `ane.engine_error`
/// (relative error of the target's own product).
///
/// `dir` is a sample itself (input_0.pb …, input_0.npy … or NAME.npy), or holds
/// one per folder, as test_data_set_0 …. Failure after a diagnostic.
///
/// Without `products` only results are looked at: behind Core ML a scale on a
/// weight and its inverse on the result are one again (coremltools fuses them).
LogicalResult calibrate(ModuleOp module, llvm::StringRef dir,
                        bool products = true);

/// The same on one seeded random input; does nothing, and says nothing, where
/// the model is large (more than 200 million operations) or cannot be run.
void calibrateOnRandom(ModuleOp module, bool products = true);

} // namespace mlir::ane

#endif // ANEMLIR_PIPELINES_CALIBRATE_H
