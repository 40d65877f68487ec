// RUN: ane-opt %s --split-input-file --ane-compress-weights | FileCheck %s --check-prefixes=CHECK,RAW
// RUN: ane-opt %s --split-input-file --ane-compress-weights=door=coreml | FileCheck %s --check-prefixes=CHECK,COREML
// RUN: ane-opt %s --split-input-file --ane-compress-weights="keep=false form=int8" | FileCheck %s --check-prefix=INT8
// RUN: ane-opt %s --split-input-file --ane-compress-weights="door=coreml keep=false form=int4,per=block:32" | FileCheck %s --check-prefix=INT4
// RUN: ane-opt %s --split-input-file --ane-compress-weights="door=coreml keep=false form=lut4,per=group:16" | FileCheck %s --check-prefix=LUT4
// RUN: ane-opt %s --split-input-file --ane-compress-weights="door=coreml keep=false form=auto:0" -o /dev/null
// RUN: not ane-opt %s --split-input-file --ane-compress-weights="form=auto:x" -o /dev/null

// Integers times a scale stay integers, through what moves them and a zero point; a factor for each input channel is no scale of a row, but Core ML takes it.
// CHECK-LABEL: func @products(
// RAW: ane.constexpr_blockwise_shift_scale {{.*}} {ane.compressed} : (tensor<64x64x1x1xi8>, tensor<64x1x1x1xf16>) -> tensor<64x64x1x1xf16>
// COREML: ane.constexpr_blockwise_shift_scale {{.*}} {ane.compressed} : (tensor<64x64x1x1xi4>, tensor<1x1x1x1xf16>) -> tensor<64x64x1x1xf16>
// RAW-NOT: ane.constexpr
// COREML: ane.constexpr_blockwise_shift_scale {{.*}} {ane.compressed} : (tensor<64x64x1x1xi4>, tensor<1x64x1x1xf16>) -> tensor<64x64x1x1xf16>
// CHECK: return
// INT8-LABEL: func @products(
// INT8: ane.round
// INT8: ane.constexpr_blockwise_shift_scale {{.*}} {ane.compressed} : (tensor<64x64x1x1xi8>, tensor<64x1x1x1xf16>) -> tensor<64x64x1x1xf16>
// INT4-LABEL: func @products(
// INT4: ane.constexpr_blockwise_shift_scale {{.*}} {ane.compressed} : (tensor<64x64x1x1xi4>, tensor<64x2x1x1xf16>) -> tensor<64x64x1x1xf16>
// LUT4-LABEL: func @products(
// LUT4: ane.constexpr_lut_to_dense {{.*}} {ane.compressed} : (tensor<64x64x1x1xui4>, tensor<4x1x1x1x16x1xf16>) -> tensor<64x64x1x1xf16>
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

// -----

// A table stays one, with what scaled it in its entries; the in-memory compiler takes none (L10).
// CHECK-LABEL: func @table(
// RAW-NOT: ane.compressed
// COREML: ane.constexpr_lut_to_dense {{.*}} {ane.compressed} : (tensor<64x64x1x1xui2>, tensor<1x1x1x1x4x1xf16>) -> tensor<64x64x1x1xf16>
// CHECK: return
func.func @table(%x: tensor<1x64x1x8xf16>) -> tensor<1x64x1x8xf16> {
  %i = ane.constant dense<2> : tensor<64x64x1x1xui2>
  %t = ane.constant dense<[[[[[[1.0], [2.0], [3.0], [4.0]]]]]]> : tensor<1x1x1x1x4x1xf16>
  %s = ane.constant dense<0.5> : tensor<f16>
  %d = ane.constexpr_lut_to_dense %i, %t : (tensor<64x64x1x1xui2>, tensor<1x1x1x1x4x1xf16>) -> tensor<64x64x1x1xf16>
  %w = ane.mul %d, %s : (tensor<64x64x1x1xf16>, tensor<f16>) -> tensor<64x64x1x1xf16>
  %a = ane.conv %x, %w {strides = array<i64: 1, 1>, pad_type = "valid", pad = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x64x1x8xf16>, tensor<64x64x1x1xf16>) -> tensor<1x64x1x8xf16>
  return %a : tensor<1x64x1x8xf16>
}

// -----

// In memory only 1x1 convolutions of enough weights; in a package other kernels, too.
// INT8-LABEL: func @others(
// INT8-NOT: ane.compressed
// INT8: return
// INT4-LABEL: func @others(
// INT4: ane.compressed
// INT4-NOT: ane.compressed
// INT4: return
func.func @others(%x: tensor<1x64x4x8xf16>) -> tensor<1x2x2x6xf16> {
  %w = ane.constant dense<0.5> : tensor<64x64x3x3xf16>
  %v = ane.constant dense<0.5> : tensor<2x64x1x1xf16>
  %0 = ane.conv %x, %w {dilations = array<i64: 1, 1>, operandSegmentSizes = array<i32: 1, 1, 0>, pad = array<i64: 0, 0, 0, 0>, pad_type = "valid", strides = array<i64: 1, 1>} : (tensor<1x64x4x8xf16>, tensor<64x64x3x3xf16>) -> tensor<1x64x2x6xf16>
  %1 = ane.conv %0, %v {dilations = array<i64: 1, 1>, operandSegmentSizes = array<i32: 1, 1, 0>, pad = array<i64: 0, 0, 0, 0>, pad_type = "valid", strides = array<i64: 1, 1>} : (tensor<1x64x2x6xf16>, tensor<2x64x1x1xf16>) -> tensor<1x2x2x6xf16>
  return %1 : tensor<1x2x2x6xf16>
}
