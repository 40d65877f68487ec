// RUN: ane-opt %s --ane-assign-precision | FileCheck %s

// Constants stay as they are; a cast behind them rounds once, in the weight writer.
// CHECK-LABEL: func @all(%arg0: tensor<2xf16>) -> tensor<2xf16>
// CHECK: %[[C:.+]] = ane.constant dense<[1.000000e+30, 0xFF800000]> : tensor<2xf32>
// CHECK: %[[H:.+]] = ane.cast %[[C]] {dtype = f16}
// CHECK: ane.add %arg0, %[[H]] {{.*}} -> tensor<2xf16>
func.func @all(%x: tensor<2xf32>) -> tensor<2xf32> {
  %c = ane.constant dense<[1.0e30, 0xFF800000]> : tensor<2xf32>
  %y = ane.add %x, %c : (tensor<2xf32>, tensor<2xf32>) -> tensor<2xf32>
  return %y : tensor<2xf32>
}

// A tree is cast at its root: the variance of a batch norm is no fp16 number.
// CHECK-LABEL: func @tree
// CHECK: %[[V:.+]] = ane.constant dense<1.000000e+08> : tensor<4xf32>
// CHECK: %[[R:.+]] = ane.rsqrt %[[V]] : (tensor<4xf32>) -> tensor<4xf32>
// CHECK: ane.cast %[[R]] {dtype = f16}
func.func @tree(%x: tensor<4xf32>) -> tensor<4xf32> {
  %v = ane.constant dense<1.0e8> : tensor<4xf32>
  %r = ane.rsqrt %v : (tensor<4xf32>) -> tensor<4xf32>
  %y = ane.mul %x, %r : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return %y : tensor<4xf32>
}

// CHECK-LABEL: func @large
// CHECK: %[[W:.+]] = ane.constant dense_resource<w> : tensor<1024xf32>
// CHECK: ane.cast %[[W]] {dtype = f16}
func.func @large(%x: tensor<1024xf32>) -> tensor<1024xf32> {
  %w = ane.constant dense_resource<w> : tensor<1024xf32>
  %y = ane.mul %x, %w : (tensor<1024xf32>, tensor<1024xf32>) -> tensor<1024xf32>
  return %y : tensor<1024xf32>
}
