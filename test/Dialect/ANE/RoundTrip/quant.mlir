// One function per op: what is parsed verifies and prints alike.
// RUN: ane-opt %s | ane-opt | FileCheck %s

// CHECK-LABEL: func @quantize(
// CHECK: ane.quantize %arg0, %arg1, %arg2 {axis = 1 : i64, output_dtype = i8} : (tensor<2x3xf16>, tensor<3xf16>, tensor<3xi8>) -> tensor<2x3xi8>
func.func @quantize(%arg0: tensor<2x3xf16>, %arg1: tensor<3xf16>, %arg2: tensor<3xi8>) -> tensor<2x3xi8> {
  %0 = ane.quantize %arg0, %arg1, %arg2 {axis = 1 : i64, output_dtype = i8} : (tensor<2x3xf16>, tensor<3xf16>, tensor<3xi8>) -> tensor<2x3xi8>
  return %0 : tensor<2x3xi8>
}

// CHECK-LABEL: func @dequantize(
// CHECK: ane.dequantize %arg0, %arg1, %arg2 {axis = 1 : i64} : (tensor<2x3xi8>, tensor<3xf16>, tensor<3xi8>) -> tensor<2x3xf16>
func.func @dequantize(%arg0: tensor<2x3xi8>, %arg1: tensor<3xf16>, %arg2: tensor<3xi8>) -> tensor<2x3xf16> {
  %0 = ane.dequantize %arg0, %arg1, %arg2 {axis = 1 : i64} : (tensor<2x3xi8>, tensor<3xf16>, tensor<3xi8>) -> tensor<2x3xf16>
  return %0 : tensor<2x3xf16>
}

// CHECK-LABEL: func @constexpr_blockwise_shift_scale(
// CHECK: ane.constexpr_blockwise_shift_scale %arg0, %arg1 : (tensor<4x8xi4>, tensor<4x2xf16>) -> tensor<4x8xf16>
func.func @constexpr_blockwise_shift_scale(%arg0: tensor<4x8xi4>, %arg1: tensor<4x2xf16>) -> tensor<4x8xf16> {
  %0 = ane.constexpr_blockwise_shift_scale %arg0, %arg1 : (tensor<4x8xi4>, tensor<4x2xf16>) -> tensor<4x8xf16>
  return %0 : tensor<4x8xf16>
}
