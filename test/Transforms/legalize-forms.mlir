// What has no form of its own on the engine, in one that it has.
// RUN: ane-opt %s --ane-legalize --canonicalize --cse | FileCheck %s
// RUN: ane-opt %s --ane-legalize=door=coreml --canonicalize --cse | FileCheck %s --check-prefix=COREML

// CHECK-LABEL: func @pads
// CHECK: %[[R:.+]] = ane.reverse {{.*}}tensor<1x4x20x32xf16>
// CHECK: ane.concat %[[R]], %arg0
// CHECK: ane.concat %arg0, %{{.*}} {axis = 1
// COREML: ane.pad {{.*}}mode = "reflect"
func.func @pads(%x: tensor<1x4x32x32xf16>) -> (tensor<1x4x52x32xf16>, tensor<1x6x32x32xf16>) {
  %y = ane.pad %x {pad = array<i64: 20, 0, 0, 0>, mode = "reflect"} : (tensor<1x4x32x32xf16>) -> tensor<1x4x52x32xf16>
  %z = ane.pad %x {pad = array<i64: 0, 2, 0, 0, 0, 0>} : (tensor<1x4x32x32xf16>) -> tensor<1x6x32x32xf16>
  return %y, %z : tensor<1x4x52x32xf16>, tensor<1x6x32x32xf16>
}

// CHECK-LABEL: func @places
// CHECK: ane.slice_by_size %arg0 {begin = array<i64: 0, 3, 0, 0>, size = array<i64: 1, 2, 8, 8>}
// CHECK: ane.reverse
// CHECK: ane.concat
func.func @places(%x: tensor<1x6x8x8xf16>) -> tensor<1x4x8x8xf16> {
  %i = ane.constant dense<[4, 3, 0, 1]> : tensor<4xi32>
  %y = ane.gather %x, %i {axis = 1 : i64} : (tensor<1x6x8x8xf16>, tensor<4xi32>) -> tensor<1x4x8x8xf16>
  return %y : tensor<1x4x8x8xf16>
}

// CHECK-LABEL: func @logic
// CHECK: ane.minimum
// CHECK-NOT: logical_and
// COREML: ane.logical_and
func.func @logic(%x: tensor<1x4x8x8xf16>, %y: tensor<1x4x8x8xf16>) -> tensor<1x4x8x8xf16> {
  %a = ane.less %x, %y : (tensor<1x4x8x8xf16>, tensor<1x4x8x8xf16>) -> tensor<1x4x8x8xi1>
  %z = ane.constant dense<0.0> : tensor<f16>
  %b = ane.greater %x, %z : (tensor<1x4x8x8xf16>, tensor<f16>) -> tensor<1x4x8x8xi1>
  %c = ane.logical_and %a, %b : (tensor<1x4x8x8xi1>, tensor<1x4x8x8xi1>) -> tensor<1x4x8x8xi1>
  %s = ane.select %c, %x, %y : (tensor<1x4x8x8xi1>, tensor<1x4x8x8xf16>, tensor<1x4x8x8xf16>) -> tensor<1x4x8x8xf16>
  return %s : tensor<1x4x8x8xf16>
}

// Integers are compared on the host, and stay there.
// CHECK-LABEL: func @logic_of_integers
// CHECK: ane.logical_and
func.func @logic_of_integers(%x: tensor<4xi32>, %y: tensor<4xi32>) -> tensor<4xi1> {
  %a = ane.less %x, %y : (tensor<4xi32>, tensor<4xi32>) -> tensor<4xi1>
  %b = ane.equal %x, %y : (tensor<4xi32>, tensor<4xi32>) -> tensor<4xi1>
  %c = ane.logical_and %a, %b : (tensor<4xi1>, tensor<4xi1>) -> tensor<4xi1>
  return %c : tensor<4xi1>
}

// The convolution is computed once, not a hundred times.
// CHECK-LABEL: func @copies
// CHECK: ane.conv %arg0, {{.*}}-> tensor<1x2x4x4xf16>
// CHECK: ane.concat
// CHECK: return {{.*}}tensor<100x2x4x4xf16>
func.func @copies(%x: tensor<1x4x4x4xf16>) -> tensor<100x2x4x4xf16> {
  %w = ane.constant dense<1.0> : tensor<2x4x1x1xf16>
  %t = ane.tile %x {reps = array<i64: 100, 1, 1, 1>} : (tensor<1x4x4x4xf16>) -> tensor<100x4x4x4xf16>
  %y = ane.conv %t, %w {strides = array<i64: 1, 1>, pad_type = "valid", pad = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<100x4x4x4xf16>, tensor<2x4x1x1xf16>) -> tensor<100x2x4x4xf16>
  return %y : tensor<100x2x4x4xf16>
}

// Half-pixel interpolation by 2: a triangle of four taps over the image with its edge repeated.
// CHECK-LABEL: func @bilinear
// CHECK: ane.conv_transpose {{.*}}groups = 4{{.*}}pad = array<i64: 3, 3, 3, 3>{{.*}}(tensor<1x4x10x10xf16>, tensor<4x1x4x4xf16>) -> tensor<1x4x16x16xf16>
// COREML: ane.resize_bilinear
func.func @bilinear(%x: tensor<1x4x8x8xf16>) -> tensor<1x4x16x16xf16> {
  %y = ane.resize_bilinear %x {target_size_height = 16 : i64, target_size_width = 16 : i64, sampling_mode = "UNALIGN_CORNERS"} : (tensor<1x4x8x8xf16>) -> tensor<1x4x16x16xf16>
  return %y : tensor<1x4x16x16xf16>
}

// Features repeated for each of 70 queries, beside the queries' own, are convolved once.
// CHECK-LABEL: func @mask_head
// CHECK: ane.conv %arg0, {{.*}}-> tensor<1x8x5x7xf16>
// CHECK: ane.conv %arg1, {{.*}}-> tensor<70x8x5x7xf16>
// CHECK: ane.add {{.*}}(tensor<1x8x5x7xf16>, tensor<70x8x5x7xf16>)
// CHECK-NOT: ane.concat
func.func @mask_head(%x: tensor<1x6x5x7xf16>, %own: tensor<70x1x5x7xf16>) -> tensor<70x8x5x7xf16> {
  %w = ane.constant dense<1.0> : tensor<8x7x3x3xf16>
  %u = ane.reshape %x {shape = array<i64: 1, 1, 6, 5, 7>} : (tensor<1x6x5x7xf16>) -> tensor<1x1x6x5x7xf16>
  %t = ane.tile %u {reps = array<i64: 1, 70, 1, 1, 1>} : (tensor<1x1x6x5x7xf16>) -> tensor<1x70x6x5x7xf16>
  %r = ane.reshape %t {shape = array<i64: 70, 6, 5, 7>} : (tensor<1x70x6x5x7xf16>) -> tensor<70x6x5x7xf16>
  %c = ane.concat %r, %own {axis = 1 : i64} : (tensor<70x6x5x7xf16>, tensor<70x1x5x7xf16>) -> tensor<70x7x5x7xf16>
  %y = ane.conv %c, %w {strides = array<i64: 1, 1>, pad_type = "custom", pad = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>} : (tensor<70x7x5x7xf16>, tensor<8x7x3x3xf16>) -> tensor<70x8x5x7xf16>
  return %y : tensor<70x8x5x7xf16>
}
