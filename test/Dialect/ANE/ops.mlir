// Round trip of one op per family and of the structure ops.
// RUN: ane-opt %s | ane-opt | FileCheck %s

// CHECK: ane.target = #ane.target<"h16">
module attributes {ane.target = #ane.target<"h16">} {
  // CHECK-LABEL: func @families
  func.func @families(%x: tensor<1x4x8x8xf16>, %i: tensor<2xi32>) -> tensor<1x4x1x1xf16> {
    // CHECK: ane.constant dense<1.000000e+00> : tensor<4x4x3x3xf16>
    %w = ane.constant dense<1.0> : tensor<4x4x3x3xf16>
    // CHECK: ane.conv %{{.*}}, %{{.*}} {dilations = array<i64: 1, 1>, pad = array<i64: 1, 1, 1, 1>, pad_type = "custom", strides = array<i64: 1, 1>}
    %c = ane.conv %x, %w {strides = array<i64: 1, 1>, pad_type = "custom", pad = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>} : (tensor<1x4x8x8xf16>, tensor<4x4x3x3xf16>) -> tensor<1x4x8x8xf16>
    // CHECK: ane.relu
    %r = ane.relu %c : (tensor<1x4x8x8xf16>) -> tensor<1x4x8x8xf16>
    // CHECK: ane.max_pool
    %p = ane.max_pool %r {kernel_sizes = array<i64: 2, 2>, strides = array<i64: 2, 2>, pad_type = "valid", pad = array<i64: 0, 0, 0, 0>} : (tensor<1x4x8x8xf16>) -> tensor<1x4x4x4xf16>
    // CHECK: ane.split %{{.*}} {axis = 1 : i64, num_splits = 2 : i64}
    %s:2 = ane.split %p {axis = 1 : i64, num_splits = 2 : i64} : (tensor<1x4x4x4xf16>) -> (tensor<1x2x4x4xf16>, tensor<1x2x4x4xf16>)
    // CHECK: ane.concat
    %j = ane.concat %s#1, %s#0 {axis = 1 : i64} : (tensor<1x2x4x4xf16>, tensor<1x2x4x4xf16>) -> tensor<1x4x4x4xf16>
    // CHECK: ane.reduce_mean %{{.*}} {axes = array<i64: 2, 3>, keep_dims = true}
    %m = ane.reduce_mean %j {axes = array<i64: 2, 3>, keep_dims = true} : (tensor<1x4x4x4xf16>) -> tensor<1x4x1x1xf16>
    return %m : tensor<1x4x1x1xf16>
  }

  // CHECK-LABEL: ane.program ane @p
  // CHECK-SAME: #ane.surface<tensor<2x3xf32>, [1, 1, 2, 3], [1, 1, 2, 32]>
  ane.program ane @p(%x: tensor<1x1x2x32xf16> {ane.surface = #ane.surface<tensor<2x3xf32>, [1, 1, 2, 3], [1, 1, 2, 32]>}) -> tensor<1x1x2x32xf16> {
    %y = ane.sigmoid %x : (tensor<1x1x2x32xf16>) -> tensor<1x1x2x32xf16>
    // CHECK: ane.return
    ane.return %y : tensor<1x1x2x32xf16>
  }
  // CHECK-LABEL: func @main
  func.func @main(%x: tensor<2x3xf32>) -> tensor<1x1x2x32xf16> {
    // CHECK: ane.call @p(
    %y = ane.call @p(%x) : (tensor<2x3xf32>) -> tensor<1x1x2x32xf16>
    return %y : tensor<1x1x2x32xf16>
  }
}
