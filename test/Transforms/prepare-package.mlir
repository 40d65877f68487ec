// RUN: ane-opt %s --ane-prepare-package | FileCheck %s

// Arithmetic on narrow integers is done in 32 bits.
// CHECK-LABEL: func @narrow(
// CHECK: %[[A:.*]] = ane.cast %arg0 {dtype = i32}
// CHECK: %[[B:.*]] = ane.cast %arg1 {dtype = i32}
// CHECK: %[[S:.*]] = ane.add %[[A]], %[[B]] : (tensor<4xi32>, tensor<4xi32>) -> tensor<4xi32>
// CHECK: ane.cast %[[S]] {dtype = i8}
func.func @narrow(%x: tensor<4xi8>, %y: tensor<4xi8>) -> tensor<4xi8> {
  %s = ane.add %x, %y : (tensor<4xi8>, tensor<4xi8>) -> tensor<4xi8>
  return %s : tensor<4xi8>
}

// There are no unsigned 32-bit values at run time.
// CHECK-LABEL: func @unsigned(%arg0: tensor<4xi32>) -> tensor<4xi32>
func.func @unsigned(%x: tensor<4xui32>) -> tensor<4xui32> {
  %s = ane.add %x, %x : (tensor<4xui32>, tensor<4xui32>) -> tensor<4xui32>
  return %s : tensor<4xui32>
}

// Two scalars behind a tensor's condition: one is stretched, as data.
// CHECK-LABEL: func @select(
// CHECK: %[[W:.*]] = ane.tile %{{.*}} {reps = array<i64: 2, 3>} : (tensor<1x1xf16>) -> tensor<2x3xf16>
// CHECK: ane.select %arg0, %{{.*}}, %[[W]] : (tensor<2x3xi1>, tensor<f16>, tensor<2x3xf16>)
func.func @select(%c: tensor<2x3xi1>) -> tensor<2x3xf16> {
  %a = ane.constant dense<1.0> : tensor<f16>
  %b = ane.constant dense<2.0> : tensor<f16>
  %y = ane.select %c, %a, %b : (tensor<2x3xi1>, tensor<f16>, tensor<f16>) -> tensor<2x3xf16>
  return %y : tensor<2x3xf16>
}

// Six axes become fewer: rows of coordinates are a list, what a slice takes whole is one axis, a gather has one axis before and one behind.
// CHECK-LABEL: func @scatter(
// CHECK: %[[I:.*]] = ane.reshape %{{.*}} {shape = array<i64: 4, 5>}
// CHECK: %[[U:.*]] = ane.reshape %arg1 {shape = array<i64: 4>}
// CHECK: ane.scatter_nd %arg0, %[[I]], %[[U]]
func.func @scatter(%x: tensor<1x2x2x2x3xf16>, %u: tensor<1x2x2x1x1xf16>) -> tensor<1x2x2x2x3xf16> {
  %i = ane.constant dense<0> : tensor<1x2x2x1x1x5xi32>
  %y = ane.scatter_nd %x, %i, %u {mode = "update"} : (tensor<1x2x2x2x3xf16>, tensor<1x2x2x1x1x5xi32>, tensor<1x2x2x1x1xf16>) -> tensor<1x2x2x2x3xf16>
  return %y : tensor<1x2x2x2x3xf16>
}

// CHECK-LABEL: func @slice(
// CHECK: %[[X:.*]] = ane.reshape %arg0 {shape = array<i64: 240, 2>}
// CHECK: ane.slice_by_index %[[X]] {begin = array<i64: 0, 1>, end = array<i64: 240, 2>} : (tensor<240x2xf16>) -> tensor<240x1xf16>
func.func @slice(%x: tensor<2x5x4x2x3x2xf16>) -> tensor<240xf16> {
  %s = ane.slice_by_size %x {begin = array<i64: 0, 0, 0, 0, 0, 1>, size = array<i64: 2, 5, 4, 2, 3, 1>} : (tensor<2x5x4x2x3x2xf16>) -> tensor<2x5x4x2x3x1xf16>
  %y = ane.reshape %s {shape = array<i64: 240>} : (tensor<2x5x4x2x3x1xf16>) -> tensor<240xf16>
  return %y : tensor<240xf16>
}

// CHECK-LABEL: func @gather(
// CHECK: %[[X:.*]] = ane.reshape %arg0 {shape = array<i64: 8, 6, 3>}
// CHECK: ane.gather %[[X]], %{{.*}} {axis = 1 : i64} : (tensor<8x6x3xf16>, tensor<4xi32>) -> tensor<8x4x3xf16>
func.func @gather(%x: tensor<2x4x6x3xf16>) -> tensor<96xf16> {
  %i = ane.constant dense<[[[0, 1], [2, 5]]]> : tensor<1x2x2xi32>
  %g = ane.gather %x, %i {axis = 2 : i64} : (tensor<2x4x6x3xf16>, tensor<1x2x2xi32>) -> tensor<2x4x1x2x2x3xf16>
  %y = ane.reshape %g {shape = array<i64: 96>} : (tensor<2x4x1x2x2x3xf16>) -> tensor<96xf16>
  return %y : tensor<96xf16>
}
