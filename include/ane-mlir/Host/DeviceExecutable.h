//===- DeviceExecutable.h - a bundle on a device of the runtime -----------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_HOST_DEVICEEXECUTABLE_H
#define ANEMLIR_HOST_DEVICEEXECUTABLE_H

#include "ane-mlir/Artifact/Artifact.h"
#include "ane-mlir/Runtime/ane_runtime.h"

namespace mlir::ane {

struct DeviceOptions {
  /// "engine" or "host" (ane_device_options).
  std::string kind = "engine";
  /// Of several; empty for the first.
  std::string function;
  /// Whether weight files whose names are SHA-256 sums are compared with them.
  bool verify = true;
  /// Fill what pads inputs with NaN.
  bool poisonPadding = false;
  /// Run programs on the host too, and compare what each gives.
  bool compare = false;
  /// Runs that are not compared, before the one that is.
  unsigned compareAfter = 0;
  /// With `compare`: as compareTensors() has them.
  double rtol = 1e-3, atol = -1;
};

/// A bundle whose engine programs run on a device of the runtime, and its host
/// steps in the interpreter; the programs of a function are compiled when it
/// first runs. Numerics and observers of run() have no meaning on
/// an engine. Failure after a diagnostic at the path.
FailureOr<std::unique_ptr<Executable>>
openOnDevice(StringRef path, MLIRContext *context,
             const DeviceOptions &options);

} // namespace mlir::ane

#endif // ANEMLIR_HOST_DEVICEEXECUTABLE_H
