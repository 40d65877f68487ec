// Axes that are too long are two, more than five are fewer, shuffles of pixels are transposes.
// RUN: ane-opt %s --ane-legalize --canonicalize --cse | FileCheck %s

// Rows of a group norm: channels of a group, and the map.
// CHECK-LABEL: func @group_norm
// CHECK-NOT: tensor<1x2x131072xf16>
// CHECK: ane.reduce_mean {{.*}}{axes = array<i64: 2, 3>{{.*}}(tensor<1x2x8x16384xf16>) -> tensor<1x2x1x1xf16>
// CHECK-NOT: tensor<1x2x131072xf16>
func.func @group_norm(%x: tensor<1x16x128x128xf16>) -> tensor<1x16x128x128xf16> {
  %r = ane.reshape %x {shape = array<i64: 1, 2, 131072>} : (tensor<1x16x128x128xf16>) -> tensor<1x2x131072xf16>
  %n = ane.instance_norm %r {operandSegmentSizes = array<i32: 1, 0, 0>} : (tensor<1x2x131072xf16>) -> tensor<1x2x131072xf16>
  %y = ane.reshape %n {shape = array<i64: 1, 16, 128, 128>} : (tensor<1x2x131072xf16>) -> tensor<1x16x128x128xf16>
  return %y : tensor<1x16x128x128xf16>
}

// CHECK-LABEL: func @windows
// CHECK: ane.transpose {{.*}}(tensor<4x7x2x168xf16>) -> tensor<4x2x7x168xf16>
func.func @windows(%x: tensor<2x14x14x24xf16>) -> tensor<8x49x24xf16> {
  %a = ane.reshape %x {shape = array<i64: 2, 2, 7, 2, 7, 24>} : (tensor<2x14x14x24xf16>) -> tensor<2x2x7x2x7x24xf16>
  %b = ane.transpose %a {perm = array<i64: 0, 1, 3, 2, 4, 5>} : (tensor<2x2x7x2x7x24xf16>) -> tensor<2x2x2x7x7x24xf16>
  %c = ane.reshape %b {shape = array<i64: 8, 49, 24>} : (tensor<2x2x2x7x7x24xf16>) -> tensor<8x49x24xf16>
  return %c : tensor<8x49x24xf16>
}

// CHECK-LABEL: func @shuffle
// CHECK: ane.transpose {{.*}}(tensor<4x2x2x6x10xf16>) -> tensor<4x6x2x10x2xf16>
// CHECK: ane.reshape {{.*}}-> tensor<2x2x12x20xf16>
func.func @shuffle(%x: tensor<2x8x6x10xf16>) -> tensor<2x2x12x20xf16> {
  %y = ane.pixel_shuffle %x {upscale_factor = 2 : i64} : (tensor<2x8x6x10xf16>) -> tensor<2x2x12x20xf16>
  return %y : tensor<2x2x12x20xf16>
}

// Six axes that no two of stay together: several transposes of fewer.
// CHECK-LABEL: func @six
// CHECK-NOT: tensor<7x2x5x4x3x2xf16>
// CHECK: ane.transpose
// CHECK: return
func.func @six(%x: tensor<2x3x4x5x2x7xf16>) -> tensor<14x20x6xf16> {
  %a = ane.transpose %x {perm = array<i64: 5, 4, 3, 2, 1, 0>} : (tensor<2x3x4x5x2x7xf16>) -> tensor<7x2x5x4x3x2xf16>
  %b = ane.reshape %a {shape = array<i64: 14, 20, 6>} : (tensor<7x2x5x4x3x2xf16>) -> tensor<14x20x6xf16>
  return %b : tensor<14x20x6xf16>
}
