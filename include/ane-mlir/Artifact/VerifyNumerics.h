//===- VerifyNumerics.h - no pass is trusted ------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_ARTIFACT_VERIFYNUMERICS_H
#define ANEMLIR_ARTIFACT_VERIFYNUMERICS_H

#include "ane-mlir/Interpreter/Tensor.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/PassManager.h"
#include <memory>
#include <vector>

namespace mlir::ane {

/// Runs the module in the interpreter before and after every pass, on the same
/// seeded inputs, without rounding (fp32 numerics). The first pass that moves
/// an output by more than the tolerance is an error at the first op whose
/// result differs.
class NumericsVerifier {
public:
  struct Entry {
    std::string pass;
    /// Largest error of any output as a part of the output's largest magnitude,
    /// against the module before the pass.
    double error;
  };

  /// `tolerance` is a part of the output's largest magnitude; where constants
  /// are rounded to fp16 (ane-assign-precision) the larger `rounding` holds.
  explicit NumericsVerifier(uint64_t seed = 0, double tolerance = 1e-3,
                            double rounding = 5e-2)
      : seed(seed), tolerance(tolerance), rounding(rounding) {}

  /// The module as it is before the first pass. Failure, with a diagnostic,
  /// where the interpreter cannot run it.
  LogicalResult start(ModuleOp module);
  /// Watches the passes of `pm`, which runs on that module. The verifier must
  /// outlive it.
  void attach(PassManager &pm);

  /// True when a pass was found wrong; the diagnostic has been emitted.
  bool failed() const { return wrong; }
  llvm::ArrayRef<Entry> entries() const { return log; }

private:
  friend class NumericsInstrumentation;
  void beforePass(Operation *op);
  void afterPass(llvm::StringRef name, Operation *op);
  void nameFirstOp(ModuleOp before, ModuleOp after, llvm::StringRef pass,
                   double error, double limit);
  FailureOr<std::vector<Tensor>>
  run(ModuleOp module,
      llvm::function_ref<void(Operation *, llvm::ArrayRef<Tensor>)> observer);

  uint64_t seed;
  double tolerance, rounding;
  std::vector<Tensor> inputs, outputs;
  OwningOpRef<ModuleOp> previous;
  std::vector<Entry> log;
  bool wrong = false;
};

} // namespace mlir::ane

#endif // ANEMLIR_ARTIFACT_VERIFYNUMERICS_H
