// RUN: ane-opt %s --ane-place --ane-form-programs | FileCheck %s

// engine -> host -> engine; the weight goes into the program that uses it, twice if need be.
// CHECK-LABEL: ane.program ane @program0
// CHECK: ane.constant
// CHECK: ane.mul
// CHECK-LABEL: ane.program host @program1
// CHECK: ane.gather
// CHECK-LABEL: ane.program ane @program2
// CHECK: ane.constant
// CHECK: ane.mul
// CHECK-LABEL: func.func @main
// CHECK-NEXT: %[[A:.+]] = ane.call @program0(%arg0)
// CHECK-NEXT: %[[B:.+]] = ane.call @program1(%[[A]], %arg1)
// CHECK-NEXT: %[[C:.+]] = ane.call @program2(%[[B]])
// CHECK-NEXT: return %[[C]], %[[A]]
func.func @main(%x: tensor<4x32xf16>, %i: tensor<2xi32>) -> (tensor<2x32xf16>, tensor<4x32xf16>) {
  %w = ane.constant dense<2.0> : tensor<32xf16>
  %a = ane.mul %x, %w : (tensor<4x32xf16>, tensor<32xf16>) -> tensor<4x32xf16>
  %g = ane.gather %a, %i : (tensor<4x32xf16>, tensor<2xi32>) -> tensor<2x32xf16>
  %b = ane.mul %g, %w : (tensor<2x32xf16>, tensor<32xf16>) -> tensor<2x32xf16>
  return %b, %a : tensor<2x32xf16>, tensor<4x32xf16>
}
