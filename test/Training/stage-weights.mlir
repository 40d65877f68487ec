// RUN: split-file %s %t
// RUN: ane-opt %t/products.mlir --ane-stage-weights | FileCheck %t/products.mlir
// RUN: ane-opt %t/products.mlir --ane-stage-weights --ane-optimize-pipeline | FileCheck %t/products.mlir --check-prefix=CONV
// RUN: ane-opt %t/kernels.mlir --ane-stage-weights | FileCheck %t/kernels.mlir
// RUN: ane-opt %t/large.mlir --ane-stage-weights | FileCheck %t/large.mlir

//--- products.mlir

// The forward product reads a transposed copy, the product with the transpose the weight itself: both are convolutions.
// CHECK: func @main(%[[X:[a-z0-9]+]]: tensor<64x128xf32> {{.*}}, %[[W:[a-z0-9]+]]: tensor<128x256xf32> {ane.name = "w", ane.parameter}
// CHECK-SAME: %[[V:[a-z0-9]+]]: tensor<30x40xf32> {ane.name = "v", ane.parameter}
// CHECK-SAME: %[[T:[a-z0-9]+]]: tensor<256x128xf32> {ane.copy_of = "w", ane.dtype = "fp32", ane.name = "w.copy0", ane.transposed})
// CHECK: ane.matmul %[[X]], %[[T]] {transpose_y = true}
// CHECK: ane.matmul %{{.+}}, %[[W]] {transpose_y = true}
// Rows that are not whole stay with the parameter.
// CHECK: ane.matmul %{{.+}}, %[[V]] :
// CONV-COUNT-2: ane.conv
// CONV-NOT: ane.conv
func.func @main(%x: tensor<64x128xf32> {ane.name = "x"}, %w: tensor<128x256xf32> {ane.name = "w", ane.parameter}, %u: tensor<64x30xf32> {ane.name = "u"},
    %v: tensor<30x40xf32> {ane.name = "v", ane.parameter}) -> (tensor<64x128xf32>, tensor<64x40xf32>) {
  %y = ane.matmul %x, %w : (tensor<64x128xf32>, tensor<128x256xf32>) -> tensor<64x256xf32>
  %z = ane.matmul %y, %w {transpose_y = true} : (tensor<64x256xf32>, tensor<128x256xf32>) -> tensor<64x128xf32>
  %s = ane.matmul %u, %v : (tensor<64x30xf32>, tensor<30x40xf32>) -> tensor<64x40xf32>
  return %z, %s : tensor<64x128xf32>, tensor<64x40xf32>
}

//--- kernels.mlir
// A kernel of 3x3 is one of 1x1 over nine slices; the transposed one reads the weight with its first axes exchanged; of groups
// the matrix holds each group's own part. Rows are filled up to whole ones.
// CHECK: func @main
// CHECK-SAME: tensor<8x32xf32> {ane.copy_of = "w", ane.dtype = "fp32", ane.name = "w.copy0"}
// CHECK-SAME: tensor<3x96xf32> {ane.copy_of = "w", ane.dtype = "fp32", ane.name = "w.copy1", ane.transposed}
// CHECK-SAME: tensor<8x96xf32> {ane.copy_of = "v", ane.dtype = "fp32", ane.groups = 2 : i64, ane.name = "v.copy0"}
// CHECK-NOT: ane.conv_transpose
// CHECK: ane.concat
// CHECK: ane.conv {{.*}} : (tensor<1x32x1x128xf32>, tensor<8x32x1x1xf32>) -> tensor<1x8x1x128xf32>
// CHECK: ane.conv {{.*}} : (tensor<1x96x1x128xf32>, tensor<3x96x1x1xf32>) -> tensor<1x3x1x128xf32>
// CHECK: ane.conv {{.*}} : (tensor<1x96x1x32xf32>, tensor<8x96x1x1xf32>) -> tensor<1x8x1x32xf32>
func.func @main(%x: tensor<2x3x8x8xf32> {ane.name = "x"}, %w: tensor<8x3x3x3xf32> {ane.name = "w", ane.parameter}, %v: tensor<8x4x3x3xf32> {ane.name = "v", ane.parameter})
    -> (tensor<2x8x8x8xf32>, tensor<2x3x8x8xf32>, tensor<2x8x4x4xf32>) {
  %y = ane.conv %x, %w {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, groups = 1 : i64, pad_type = "custom", pad = array<i64: 1, 1, 1, 1>} : (tensor<2x3x8x8xf32>, tensor<8x3x3x3xf32>) -> tensor<2x8x8x8xf32>
  %g = ane.conv_transpose %y, %w {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, groups = 1 : i64, pad_type = "custom", pad = array<i64: 1, 1, 1, 1>} : (tensor<2x8x8x8xf32>, tensor<8x3x3x3xf32>) -> tensor<2x3x8x8xf32>
  %z = ane.conv %y, %v {dilations = array<i64: 1, 1>, pad_type = "custom", pad = array<i64: 1, 1, 1, 1>, strides = array<i64: 2, 2>, groups = 2 : i64} : (tensor<2x8x8x8xf32>, tensor<8x4x3x3xf32>) -> tensor<2x8x4x4xf32>
  return %y, %g, %z : tensor<2x8x8x8xf32>, tensor<2x3x8x8xf32>, tensor<2x8x4x4xf32>
}

//--- large.mlir
// Too much to lay beside each other: the host is predicted to take less time, and says so.
// CHECK: func @main(%{{[a-z0-9]+}}: tensor<1x64x256x256xf32> {{.*}}, %[[W:[a-z0-9]+]]: tensor<1x64x7x7xf32> {ane.name = "w", ane.parameter})
// CHECK: ane.conv %{{.+}}, %[[W]] {ane.note = "convolution with a run-time weight left to the host: {{.*}}"
func.func @main(%x: tensor<1x64x256x256xf32> {ane.name = "x"}, %w: tensor<1x64x7x7xf32> {ane.name = "w", ane.parameter}) -> tensor<1x1x256x256xf32> {
  %y = ane.conv %x, %w {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, groups = 1 : i64, pad_type = "custom", pad = array<i64: 3, 3, 3, 3>} : (tensor<1x64x256x256xf32>, tensor<1x64x7x7xf32>) -> tensor<1x1x256x256xf32>
  return %y : tensor<1x1x256x256xf32>
}
