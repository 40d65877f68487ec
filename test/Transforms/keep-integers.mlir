// RUN: ane-opt %s --ane-keep-integers | FileCheck %s

// Integers times a scale stay integers, through what moves them and a zero point; a factor for each input channel is no scale of a row.
// CHECK-LABEL: func @products(
// CHECK: %[[Q:.+]] = ane.cast %{{.+}} {dtype = i8} : (tensor<64x64x1x1xf16>) -> tensor<64x64x1x1xi8>
// CHECK: %[[W:.+]] = ane.constexpr_blockwise_shift_scale %[[Q]], %{{.+}} {ane.compressed
// CHECK: ane.conv %arg0, %[[W]]
// CHECK-NOT: ane.constexpr
// CHECK: return
func.func @products(%x: tensor<1x64x1x8xf16>) -> (tensor<1x64x1x8xf16>, tensor<1x64x1x8xf16>) {
  %c = ane.constant dense<131> : tensor<64x64xui8>
  %z = ane.constant dense<128.0> : tensor<f16>
  %s = ane.constant dense<0.01> : tensor<f16>
  %t = ane.constant dense<[[[[2.0]], [[3.0]]]]> : tensor<1x2x1x1xf16>
  %f = ane.cast %c {dtype = f16} : (tensor<64x64xui8>) -> tensor<64x64xf16>
  %d = ane.sub %f, %z : (tensor<64x64xf16>, tensor<f16>) -> tensor<64x64xf16>
  %m = ane.mul %d, %s : (tensor<64x64xf16>, tensor<f16>) -> tensor<64x64xf16>
  %p = ane.transpose %m {perm = array<i64: 1, 0>} : (tensor<64x64xf16>) -> tensor<64x64xf16>
  %w = ane.reshape %p {shape = array<i64: 64, 64, 1, 1>} : (tensor<64x64xf16>) -> tensor<64x64x1x1xf16>
  %a = ane.conv %x, %w {strides = array<i64: 1, 1>, pad_type = "valid", pad = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x64x1x8xf16>, tensor<64x64x1x1xf16>) -> tensor<1x64x1x8xf16>
  %r = ane.tile %t {reps = array<i64: 1, 32, 1, 1>} : (tensor<1x2x1x1xf16>) -> tensor<1x64x1x1xf16>
  %v = ane.mul %w, %r : (tensor<64x64x1x1xf16>, tensor<1x64x1x1xf16>) -> tensor<64x64x1x1xf16>
  %b = ane.conv %x, %v {strides = array<i64: 1, 1>, pad_type = "valid", pad = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x64x1x8xf16>, tensor<64x64x1x1xf16>) -> tensor<1x64x1x8xf16>
  return %a, %b : tensor<1x64x1x8xf16>, tensor<1x64x1x8xf16>
}
