// RUN: ane-opt %s --ane-place --ane-form-programs --ane-plan-io | FileCheck %s

// A run-time weight is an input of the program that convolves with it, as [1,O,1,I] (L19), also where another program and the
// host come before.
// CHECK: ane.program ane
// CHECK-NOT: ane.reshape
// CHECK: ane.program host
// CHECK: ane.program ane
// CHECK-SAME: tensor<1x64x1x32xf16>
// CHECK: ane.reshape %{{.+}} {{{.*}}shape = array<i64: 64, 32, 1, 1>} : (tensor<1x64x1x32xf16>)
// CHECK: ane.conv
func.func @main(%x: tensor<1x32x1x64xf16>, %w: tensor<64x32xf16>) -> tensor<1x64x1x64xf16> {
  %r = ane.relu %x : (tensor<1x32x1x64xf16>) -> tensor<1x32x1x64xf16>
  %f = ane.cast %r {dtype = f32} : (tensor<1x32x1x64xf16>) -> tensor<1x32x1x64xf32>
  %t = ane.tan %f : (tensor<1x32x1x64xf32>) -> tensor<1x32x1x64xf32>
  %h = ane.cast %t {dtype = f16} : (tensor<1x32x1x64xf32>) -> tensor<1x32x1x64xf16>
  %v = ane.reshape %w {shape = array<i64: 64, 32, 1, 1>} : (tensor<64x32xf16>) -> tensor<64x32x1x1xf16>
  %y = ane.conv %h, %v {strides = array<i64: 1, 1>, pad_type = "valid", pad = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x32x1x64xf16>, tensor<64x32x1x1xf16>) -> tensor<1x64x1x64xf16>
  return %y : tensor<1x64x1x64xf16>
}
