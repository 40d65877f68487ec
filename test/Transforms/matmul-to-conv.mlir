// Products with a constant matrix.
// RUN: ane-opt %s --ane-matmul-to-conv --split-input-file | FileCheck %s

// C[M,N] = A[M,K] B[K,N]: data (1,K,1,M), weight (N,K,1,1), result (1,N,1,M).
// CHECK-LABEL: func @gemm(
// CHECK: %[[T:.*]] = ane.transpose %{{.*}} {perm = array<i64: 0, 2, 1>} : (tensor<1x64x32xf16>) -> tensor<1x32x64xf16>
// CHECK: %[[X:.*]] = ane.reshape %[[T]] {shape = array<i64: 1, 32, 1, 64>}
// CHECK: %[[WT:.*]] = ane.transpose %{{.*}} {perm = array<i64: 1, 0>} : (tensor<32x48xf16>) -> tensor<48x32xf16>
// CHECK: %[[W:.*]] = ane.reshape %[[WT]] {shape = array<i64: 48, 32, 1, 1>}
// CHECK: %[[Y:.*]] = ane.conv %[[X]], %[[W]] {ane.note = "matmul as 1x1 convolution: predicted {{.*}} us"
// CHECK-SAME: -> tensor<1x48x1x64xf16>
// CHECK: ane.transpose %{{.*}} {perm = array<i64: 0, 2, 1>} : (tensor<1x48x64xf16>) -> tensor<1x64x48xf16>
// CHECK-NOT: ane.matmul
func.func @gemm(%x: tensor<64x32xf16>) -> tensor<64x48xf16> {
  %w = ane.constant dense<1.0> : tensor<32x48xf16>
  %y = ane.matmul %x, %w : (tensor<64x32xf16>, tensor<32x48xf16>) -> tensor<64x48xf16>
  return %y : tensor<64x48xf16>
}

// -----
// A batch stays one; a weight that is stored [N,K] needs no transpose.
// CHECK-LABEL: func @batched(
// CHECK: ane.reshape %{{.*}} {shape = array<i64: 48, 32, 1, 1>} : (tensor<48x32xf16>)
// CHECK: ane.conv {{.*}} : (tensor<3x32x1x64xf16>, tensor<48x32x1x1xf16>) -> tensor<3x48x1x64xf16>
func.func @batched(%x: tensor<3x64x32xf16>) -> tensor<3x64x48xf16> {
  %w = ane.constant dense<1.0> : tensor<48x32xf16>
  %y = ane.matmul %x, %w {transpose_y = true} : (tensor<3x64x32xf16>, tensor<48x32xf16>) -> tensor<3x64x48xf16>
  return %y : tensor<3x64x48xf16>
}

// -----
// A constant on the left: the channels are in front as written.
// CHECK-LABEL: func @left(
// CHECK-NOT: ane.transpose
// CHECK: ane.conv {{.*}} : (tensor<2x32x1x64xf16>, tensor<48x32x1x1xf16>) -> tensor<2x48x1x64xf16>
// CHECK: return
func.func @left(%x: tensor<2x32x64xf16>) -> tensor<2x48x64xf16> {
  %w = ane.constant dense<1.0> : tensor<48x32xf16>
  %y = ane.matmul %w, %x : (tensor<48x32xf16>, tensor<2x32x64xf16>) -> tensor<2x48x64xf16>
  return %y : tensor<2x48x64xf16>
}

// -----
// One row per batch item becomes width: no transpose of data is needed.
// CHECK-LABEL: func @rows(
// CHECK: ane.conv {{.*}} : (tensor<1x32x1x5xf16>, tensor<48x32x1x1xf16>) -> tensor<1x48x1x5xf16>
func.func @rows(%x: tensor<5x1x32xf16>) -> tensor<5x1x48xf16> {
  %w = ane.constant dense<1.0> : tensor<32x48xf16>
  %y = ane.matmul %x, %w : (tensor<5x1x32xf16>, tensor<32x48xf16>) -> tensor<5x1x48xf16>
  return %y : tensor<5x1x48xf16>
}

// -----
// More output channels than the target takes (S14) are several convolutions.
// CHECK-LABEL: func @vocabulary(
// CHECK: ane.slice_by_size %{{.*}} {begin = array<i64: 0, 0>, size = array<i64: 25129, 8>}
// CHECK: ane.conv {{.*}} -> tensor<1x25129x1x4xf16>
// CHECK: ane.conv {{.*}} -> tensor<1x25128x1x4xf16>
// CHECK: ane.concat {{.*}} -> tensor<1x50257x1x4xf16>
func.func @vocabulary(%x: tensor<4x8xf16>) -> tensor<4x50257xf16> {
  %w = ane.constant dense<1.0> : tensor<50257x8xf16>
  %y = ane.matmul %x, %w {transpose_y = true} : (tensor<4x8xf16>, tensor<50257x8xf16>) -> tensor<4x50257xf16>
  return %y : tensor<4x50257xf16>
}

// -----
// Two run-time operands, and more input channels than S13 allows, stay products.
// CHECK-LABEL: func @stays(
// CHECK-COUNT-2: ane.matmul
// CHECK-NOT: ane.conv
func.func @stays(%x: tensor<4x8xf16>, %y: tensor<8x4xf16>, %z: tensor<1x20000xf16>) -> (tensor<4x4xf16>, tensor<1x2xf16>) {
  %w = ane.constant dense<1.0> : tensor<20000x2xf16>
  %0 = ane.matmul %x, %y : (tensor<4x8xf16>, tensor<8x4xf16>) -> tensor<4x4xf16>
  %1 = ane.matmul %z, %w : (tensor<1x20000xf16>, tensor<20000x2xf16>) -> tensor<1x2xf16>
  return %0, %1 : tensor<4x4xf16>, tensor<1x2xf16>
}

// A weight that is an input, stored [N,K]: the same convolution.
// CHECK-LABEL: func @run_time_weight(
// CHECK: %[[X:.*]] = ane.reshape %{{.*}} -> tensor<1x64x1x40xf16>
// CHECK: %[[W:.*]] = ane.reshape %arg1 {shape = array<i64: 96, 64, 1, 1>}
// CHECK: ane.conv %[[X]], %[[W]] {ane.note = "matmul with a run-time weight as 1x1 convolution
func.func @run_time_weight(%x: tensor<2x20x64xf16>, %w: tensor<96x64xf16>) -> tensor<2x20x96xf16> {
  %0 = ane.matmul %x, %w {transpose_y = true} : (tensor<2x20x64xf16>, tensor<96x64xf16>) -> tensor<2x20x96xf16>
  return %0 : tensor<2x20x96xf16>
}

// Rows that are no multiple of 32 have padding on their surface; stored the other way round they would need a transpose.
// CHECK-LABEL: func @no_run_time_weight(
// CHECK-NOT: ane.conv
// CHECK: return
func.func @no_run_time_weight(%x: tensor<20x48xf16>, %w: tensor<96x48xf16>, %v: tensor<96x64xf16>) -> tensor<20x64xf16> {
  %0 = ane.matmul %x, %w {transpose_y = true} : (tensor<20x48xf16>, tensor<96x48xf16>) -> tensor<20x96xf16>
  %1 = ane.matmul %0, %v : (tensor<20x96xf16>, tensor<96x64xf16>) -> tensor<20x64xf16>
  return %1 : tensor<20x64xf16>
}
