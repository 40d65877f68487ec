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
