// Data movement.
// RUN: ane-opt %s --ane-evaluate-constants | FileCheck %s

// CHECK-LABEL: func @slices
// CHECK: dense<[4, 2]>
// CHECK: dense<[2, 1, 0]>
// CHECK: dense<[1, 2]>
func.func @slices() -> (tensor<2xi32>, tensor<3xi32>, tensor<2xi32>) {
  %x = ane.constant dense<[0, 1, 2, 3, 4]> : tensor<5xi32>
  %a = ane.slice_by_index %x {begin = array<i64: -1>, end = array<i64: 0>, stride = array<i64: -2>} : (tensor<5xi32>) -> tensor<2xi32>
  %b = ane.slice_by_index %x {begin = array<i64: 2>, end = array<i64: 0>, stride = array<i64: -1>, end_mask = array<i1: true>} : (tensor<5xi32>) -> tensor<3xi32>
  %c = ane.slice_by_size %x {begin = array<i64: 1>, size = array<i64: 2>} : (tensor<5xi32>) -> tensor<2xi32>
  return %a, %b, %c : tensor<2xi32>, tensor<3xi32>, tensor<2xi32>
}

// CHECK-LABEL: func @pads
// CHECK: dense<[3.000000e+00, 2.000000e+00, 1.000000e+00, 2.000000e+00, 3.000000e+00, 2.000000e+00]>
// CHECK: dense<[1.000000e+00, 1.000000e+00, 2.000000e+00, 3.000000e+00, 3.000000e+00]>
// CHECK: dense<[7.000000e+00, 1.000000e+00, 2.000000e+00, 3.000000e+00]>
func.func @pads() -> (tensor<6xf32>, tensor<5xf32>, tensor<4xf32>) {
  %x = ane.constant dense<[1.0, 2.0, 3.0]> : tensor<3xf32>
  %a = ane.pad %x {pad = array<i64: 2, 1>, mode = "reflect"} : (tensor<3xf32>) -> tensor<6xf32>
  %b = ane.pad %x {pad = array<i64: 1, 1>, mode = "replicate"} : (tensor<3xf32>) -> tensor<5xf32>
  %c = ane.pad %x {pad = array<i64: 1, 0>, constant_val = 7.0 : f32} : (tensor<3xf32>) -> tensor<4xf32>
  return %a, %b, %c : tensor<6xf32>, tensor<5xf32>, tensor<4xf32>
}

// CHECK-LABEL: func @moves
// CHECK{LITERAL}: dense<[[1, 4], [2, 5], [3, 6]]>
// CHECK: dense<[1, 10, 2, 20]>
// CHECK{LITERAL}: dense<[[1, 10], [2, 20]]>
// CHECK: dense<[1, 2, 1, 2]>
func.func @moves() -> (tensor<3x2xi32>, tensor<4xi32>, tensor<2x2xi32>, tensor<4xi32>) {
  %x = ane.constant dense<[[1, 2, 3], [4, 5, 6]]> : tensor<2x3xi32>
  %t = ane.transpose %x {perm = array<i64: 1, 0>} : (tensor<2x3xi32>) -> tensor<3x2xi32>
  %a = ane.constant dense<[1, 2]> : tensor<2xi32>
  %b = ane.constant dense<[10, 20]> : tensor<2xi32>
  %i = ane.concat %a, %b {axis = 0 : i64, interleave = true} : (tensor<2xi32>, tensor<2xi32>) -> tensor<4xi32>
  %s = ane.stack %a, %b {axis = 1 : i64} : (tensor<2xi32>, tensor<2xi32>) -> tensor<2x2xi32>
  %r = ane.tile %a {reps = array<i64: 2>} : (tensor<2xi32>) -> tensor<4xi32>
  return %t, %i, %s, %r : tensor<3x2xi32>, tensor<4xi32>, tensor<2x2xi32>, tensor<4xi32>
}

// depth_to_space is depth first (DCR), pixel_shuffle channel first (CRD).
// CHECK-LABEL: func @blocks
// CHECK{LITERAL}: dense<[[[[0, 2], [4, 6]], [[1, 3], [5, 7]]]]>
// CHECK{LITERAL}: dense<[[[[0, 1], [2, 3]], [[4, 5], [6, 7]]]]>
func.func @blocks() -> (tensor<1x2x2x2xi32>, tensor<1x2x2x2xi32>) {
  %x = ane.constant dense<[[[[0]], [[1]], [[2]], [[3]], [[4]], [[5]], [[6]], [[7]]]]> : tensor<1x8x1x1xi32>
  %a = ane.depth_to_space %x {block_size = 2 : i64} : (tensor<1x8x1x1xi32>) -> tensor<1x2x2x2xi32>
  %b = ane.pixel_shuffle %x {upscale_factor = 2 : i64} : (tensor<1x8x1x1xi32>) -> tensor<1x2x2x2xi32>
  return %a, %b : tensor<1x2x2x2xi32>, tensor<1x2x2x2xi32>
}
