// The README's example: a limit of 3 ops makes two programs of four.
// RUN: ane-opt %s --ane-place --ane-form-programs=max-ops=3 | FileCheck %s

// CHECK-LABEL: ane.program ane @program0(
// CHECK: ane.relu
// CHECK-NEXT: ane.tanh
// CHECK-NEXT: ane.relu
// CHECK-NEXT: ane.return
// CHECK-LABEL: ane.program ane @program1(
// CHECK-NEXT: ane.tanh
// CHECK-NEXT: ane.return
// CHECK-LABEL: func.func @main(
// CHECK-NEXT: %[[P:.+]] = ane.call @program0(%arg0)
// CHECK-NEXT: %[[Q:.+]] = ane.call @program1(%[[P]])
// CHECK-NEXT: return %[[Q]]
func.func @main(%x: tensor<1x4x8x32xf16>) -> tensor<1x4x8x32xf16> {
  %a = ane.relu %x : (tensor<1x4x8x32xf16>) -> tensor<1x4x8x32xf16>
  %b = ane.tanh %a : (tensor<1x4x8x32xf16>) -> tensor<1x4x8x32xf16>
  %c = ane.relu %b : (tensor<1x4x8x32xf16>) -> tensor<1x4x8x32xf16>
  %d = ane.tanh %c : (tensor<1x4x8x32xf16>) -> tensor<1x4x8x32xf16>
  return %d : tensor<1x4x8x32xf16>
}
