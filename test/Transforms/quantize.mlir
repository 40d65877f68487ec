// RUN: ane-opt %s --ane-quantize | FileCheck %s

// One scale per output channel, no offset (L09); both parts are trees over the weight.
// CHECK-LABEL: func @conv(
// CHECK: %[[W:.*]] = ane.constant
// CHECK: %[[A:.*]] = ane.abs %[[W]]
// CHECK: %[[M:.*]] = ane.reduce_max %[[A]] {axes = array<i64: 1, 2, 3>, keep_dims = true}
// The largest magnitude is 127 steps: -128 would have no twin.
// CHECK: %[[STEP:.*]] = ane.constant dense<7.873530e-03> : tensor<f16>
// CHECK: %[[S:.*]] = ane.mul %{{.*}}, %[[STEP]]
// CHECK: %[[Q:.*]] = ane.quantize %[[W]], %{{.*}} {axis = 0 : i64, output_dtype = i8}
// CHECK: %[[C:.*]] = ane.constexpr_blockwise_shift_scale %[[Q]], %[[S]] {ane.compressed} : (tensor<64x64x1x1xi8>, tensor<64x1x1x1xf16>) -> tensor<64x64x1x1xf16>
// CHECK: ane.conv %arg0, %[[C]]
func.func @conv(%x: tensor<1x64x1x8xf16>) -> tensor<1x64x1x8xf16> {
  %w = ane.constant dense<0.5> : tensor<64x64x1x1xf16>
  %0 = ane.conv %x, %w {dilations = array<i64: 1, 1>, operandSegmentSizes = array<i32: 1, 1, 0>, pad = array<i64: 0, 0, 0, 0>, pad_type = "valid", strides = array<i64: 1, 1>} : (tensor<1x64x1x8xf16>, tensor<64x64x1x1xf16>) -> tensor<1x64x1x8xf16>
  return %0 : tensor<1x64x1x8xf16>
}

// Small weights and other kernels stay.
// CHECK-LABEL: func @others(
// CHECK-NOT: ane.quantize
// CHECK: return
func.func @others(%x: tensor<1x64x4x8xf16>) -> tensor<1x8x2x6xf16> {
  %w = ane.constant dense<0.5> : tensor<64x64x3x3xf16>
  %v = ane.constant dense<0.5> : tensor<8x64x1x1xf16>
  %0 = ane.conv %x, %w {dilations = array<i64: 1, 1>, operandSegmentSizes = array<i32: 1, 1, 0>, pad = array<i64: 0, 0, 0, 0>, pad_type = "valid", strides = array<i64: 1, 1>} : (tensor<1x64x4x8xf16>, tensor<64x64x3x3xf16>) -> tensor<1x64x2x6xf16>
  %1 = ane.conv %0, %v {dilations = array<i64: 1, 1>, operandSegmentSizes = array<i32: 1, 1, 0>, pad = array<i64: 0, 0, 0, 0>, pad_type = "valid", strides = array<i64: 1, 1>} : (tensor<1x64x2x6xf16>, tensor<8x64x1x1xf16>) -> tensor<1x8x2x6xf16>
  return %1 : tensor<1x8x2x6xf16>
}
