// RUN: ane-opt %s --canonicalize | FileCheck %s

// CHECK-LABEL: func @reshapes
// CHECK-NEXT: ane.reshape %arg0 {shape = array<i64: 6>}
// CHECK-NEXT: return
func.func @reshapes(%x: tensor<2x3xf32>) -> tensor<6xf32> {
  %a = ane.reshape %x {shape = array<i64: 3, 2>} : (tensor<2x3xf32>) -> tensor<3x2xf32>
  %b = ane.reshape %a {shape = array<i64: -1>} : (tensor<3x2xf32>) -> tensor<6xf32>
  return %b : tensor<6xf32>
}

// CHECK-LABEL: func @transposes
// CHECK-NEXT: return %arg0
func.func @transposes(%x: tensor<2x3x4xf32>) -> tensor<2x3x4xf32> {
  %a = ane.transpose %x {perm = array<i64: 1, 2, 0>} : (tensor<2x3x4xf32>) -> tensor<3x4x2xf32>
  %b = ane.transpose %a {perm = array<i64: -1, 0, 1>} : (tensor<3x4x2xf32>) -> tensor<2x3x4xf32>
  return %b : tensor<2x3x4xf32>
}

// CHECK-LABEL: func @same_type
// CHECK-NEXT: return %arg0
func.func @same_type(%x: tensor<2xf32>) -> tensor<2xf32> {
  %a = ane.cast %x {dtype = f32} : (tensor<2xf32>) -> tensor<2xf32>
  %b = ane.identity %a : (tensor<2xf32>) -> tensor<2xf32>
  return %b : tensor<2xf32>
}

// Weight trees are not folded (design invariant 3).
// CHECK-LABEL: func @weights
// CHECK: ane.transpose
func.func @weights() -> tensor<3x2xf32> {
  %w = ane.constant dense<[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]> : tensor<2x3xf32>
  %t = ane.transpose %w {perm = array<i64: 1, 0>} : (tensor<2x3xf32>) -> tensor<3x2xf32>
  return %t : tensor<3x2xf32>
}
