// fp16 numerics round after each op, fp32 numerics do not: 2048 + 1 + 1 is 2048 in steps and 2050 at once.
// RUN: ane-opt %s --ane-evaluate-constants="numerics=fp16" | FileCheck %s --check-prefix=FP16
// RUN: ane-opt %s --ane-evaluate-constants="numerics=fp32" | FileCheck %s --check-prefix=FP32
// RUN: not ane-opt %s --ane-evaluate-constants="numerics=fp8" 2>&1 | FileCheck %s --check-prefix=BAD

// BAD: error: ane-evaluate-constants expects numerics fp16, fp32 or engine, but got 'fp8'

// FP16: dense<2.048000e+03> : tensor<f16>
// FP32: dense<2.050000e+03> : tensor<f16>
func.func @add() -> tensor<f16> {
  %x = ane.constant dense<2048.0> : tensor<f16>
  %one = ane.constant dense<1.0> : tensor<f16>
  %a = ane.add %x, %one : (tensor<f16>, tensor<f16>) -> tensor<f16>
  %b = ane.add %a, %one : (tensor<f16>, tensor<f16>) -> tensor<f16>
  return %b : tensor<f16>
}
