// RUN: ane-opt %s --ane-stage-weights=patched --ane-patch-weights | FileCheck %s

// A product reads its weight, turned over, and a convolution its own as constants that keep what they are copies of; the
// parameters stay inputs for what reads them otherwise. A width that fills no row of a surface does, too.
// CHECK: func @main(%{{[a-z0-9]+}}: tensor<4x2xf32> {ane.name = "x"}, %{{[a-z0-9]+}}: tensor<2x3xf32> {ane.name = "w", ane.parameter}
// CHECK-NOT: copy0
// CHECK-DAG: ane.constant {ane.copy_of = "w", ane.transposed} dense_resource<[[W:patched[_0-9]*]]> : tensor<3x2xf32>
// CHECK-DAG: ane.constant {ane.copy_of = "k"} dense_resource<[[K:patched[_0-9]*]]> : tensor<2x1x1x3xf32>
// CHECK: ane.matmul {{.*}}transpose_y = true
// CHECK: ane.conv
module attributes {ane.parameters = [
    {name = "w", value = dense<[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]> : tensor<2x3xf32>},
    {name = "k", value = dense<0.5> : tensor<2x1x1x3xf32>}]} {
  func.func @main(%x: tensor<4x2xf32> {ane.name = "x"}, %w: tensor<2x3xf32> {ane.name = "w", ane.parameter}, %i: tensor<1x1x4x8xf32> {ane.name = "i"},
      %k: tensor<2x1x1x3xf32> {ane.name = "k", ane.parameter}) -> (tensor<4x3xf32>, tensor<1x2x4x6xf32>) {
    %y = ane.matmul %x, %w : (tensor<4x2xf32>, tensor<2x3xf32>) -> tensor<4x3xf32>
    %z = ane.conv %i, %k {strides = array<i64: 1, 1>, pad_type = "valid", pad = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x1x4x8xf32>, tensor<2x1x1x3xf32>) -> tensor<1x2x4x6xf32>
    return %y, %z : tensor<4x3xf32>, tensor<1x2x4x6xf32>
  }
}
