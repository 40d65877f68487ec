// A long segment is cut where the fewest bytes are alive: here behind the mean, not at the limit.
// RUN: ane-opt %s --ane-place --ane-form-programs=max-ops=4 | FileCheck %s

// CHECK-LABEL: ane.program ane @program0(
// CHECK-SAME: -> tensor<1x4x1x1xf16>
// CHECK: ane.reduce_mean
// CHECK-NOT: ane.add
// CHECK-LABEL: ane.program ane @program1(
// CHECK: ane.add
// CHECK: ane.tanh
func.func @main(%x: tensor<1x4x8x32xf16>) -> tensor<1x4x8x32xf16> {
  %a = ane.relu %x : (tensor<1x4x8x32xf16>) -> tensor<1x4x8x32xf16>
  %b = ane.exp %a : (tensor<1x4x8x32xf16>) -> tensor<1x4x8x32xf16>
  %m = ane.reduce_mean %b {axes = array<i64: 2, 3>, keep_dims = true} : (tensor<1x4x8x32xf16>) -> tensor<1x4x1x1xf16>
  %s = ane.add %x, %m : (tensor<1x4x8x32xf16>, tensor<1x4x1x1xf16>) -> tensor<1x4x8x32xf16>
  %t = ane.tanh %s : (tensor<1x4x8x32xf16>) -> tensor<1x4x8x32xf16>
  return %t : tensor<1x4x8x32xf16>
}
