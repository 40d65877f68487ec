// One function per op: what is parsed verifies and prints alike.
// RUN: ane-opt %s | ane-opt | FileCheck %s

// CHECK-LABEL: func @softmax(
// CHECK: ane.softmax %arg0 {axis = 3 : i64} : (tensor<2x3x4x6xf16>) -> tensor<2x3x4x6xf16>
func.func @softmax(%arg0: tensor<2x3x4x6xf16>) -> tensor<2x3x4x6xf16> {
  %0 = ane.softmax %arg0 {axis = 3 : i64} : (tensor<2x3x4x6xf16>) -> tensor<2x3x4x6xf16>
  return %0 : tensor<2x3x4x6xf16>
}

// CHECK-LABEL: func @softmax_2(
// CHECK: ane.softmax %arg0 : (tensor<2x3x4x6xf16>) -> tensor<2x3x4x6xf16>
func.func @softmax_2(%arg0: tensor<2x3x4x6xf16>) -> tensor<2x3x4x6xf16> {
  %0 = ane.softmax %arg0 : (tensor<2x3x4x6xf16>) -> tensor<2x3x4x6xf16>
  return %0 : tensor<2x3x4x6xf16>
}

// CHECK-LABEL: func @batch_norm(
// CHECK: ane.batch_norm %arg0, %arg1, %arg2, %arg3, %arg4 {epsilon = 0.00999999977 : f32, operandSegmentSizes = array<i32: 1, 1, 1, 1, 1>} : (tensor<2x3x4x5xf16>, tensor<3xf16>, tensor<3xf16>, tensor<3xf16>, tensor<3xf16>) -> tensor<2x3x4x5xf16>
func.func @batch_norm(%arg0: tensor<2x3x4x5xf16>, %arg1: tensor<3xf16>, %arg2: tensor<3xf16>, %arg3: tensor<3xf16>, %arg4: tensor<3xf16>) -> tensor<2x3x4x5xf16> {
  %0 = ane.batch_norm %arg0, %arg1, %arg2, %arg3, %arg4 {epsilon = 0.00999999977 : f32, operandSegmentSizes = array<i32: 1, 1, 1, 1, 1>} : (tensor<2x3x4x5xf16>, tensor<3xf16>, tensor<3xf16>, tensor<3xf16>, tensor<3xf16>) -> tensor<2x3x4x5xf16>
  return %0 : tensor<2x3x4x5xf16>
}

// CHECK-LABEL: func @batch_norm_2(
// CHECK: ane.batch_norm %arg0, %arg1, %arg2, %arg3, %arg4 {operandSegmentSizes = array<i32: 1, 1, 1, 1, 1>} : (tensor<2x3x4x5xf16>, tensor<3xf16>, tensor<3xf16>, tensor<3xf16>, tensor<3xf16>) -> tensor<2x3x4x5xf16>
func.func @batch_norm_2(%arg0: tensor<2x3x4x5xf16>, %arg1: tensor<3xf16>, %arg2: tensor<3xf16>, %arg3: tensor<3xf16>, %arg4: tensor<3xf16>) -> tensor<2x3x4x5xf16> {
  %0 = ane.batch_norm %arg0, %arg1, %arg2, %arg3, %arg4 {operandSegmentSizes = array<i32: 1, 1, 1, 1, 1>} : (tensor<2x3x4x5xf16>, tensor<3xf16>, tensor<3xf16>, tensor<3xf16>, tensor<3xf16>) -> tensor<2x3x4x5xf16>
  return %0 : tensor<2x3x4x5xf16>
}

// CHECK-LABEL: func @instance_norm(
// CHECK: ane.instance_norm %arg0, %arg1, %arg2 {epsilon = 0.00999999977 : f32, operandSegmentSizes = array<i32: 1, 1, 1>} : (tensor<2x3x4x5xf16>, tensor<3xf16>, tensor<3xf16>) -> tensor<2x3x4x5xf16>
func.func @instance_norm(%arg0: tensor<2x3x4x5xf16>, %arg1: tensor<3xf16>, %arg2: tensor<3xf16>) -> tensor<2x3x4x5xf16> {
  %0 = ane.instance_norm %arg0, %arg1, %arg2 {epsilon = 0.00999999977 : f32, operandSegmentSizes = array<i32: 1, 1, 1>} : (tensor<2x3x4x5xf16>, tensor<3xf16>, tensor<3xf16>) -> tensor<2x3x4x5xf16>
  return %0 : tensor<2x3x4x5xf16>
}

// CHECK-LABEL: func @instance_norm_2(
// CHECK: ane.instance_norm %arg0, %arg1, %arg2 {operandSegmentSizes = array<i32: 1, 1, 1>} : (tensor<1x2x1x3xf16>, tensor<2xf16>, tensor<2xf16>) -> tensor<1x2x1x3xf16>
func.func @instance_norm_2(%arg0: tensor<1x2x1x3xf16>, %arg1: tensor<2xf16>, %arg2: tensor<2xf16>) -> tensor<1x2x1x3xf16> {
  %0 = ane.instance_norm %arg0, %arg1, %arg2 {operandSegmentSizes = array<i32: 1, 1, 1>} : (tensor<1x2x1x3xf16>, tensor<2xf16>, tensor<2xf16>) -> tensor<1x2x1x3xf16>
  return %0 : tensor<1x2x1x3xf16>
}

// CHECK-LABEL: func @layer_norm(
// CHECK: ane.layer_norm %arg0 {axes = array<i64: 2>, epsilon = 0.00999999977 : f32, operandSegmentSizes = array<i32: 1, 0, 0>} : (tensor<3x2x8xf16>) -> tensor<3x2x8xf16>
func.func @layer_norm(%arg0: tensor<3x2x8xf16>) -> tensor<3x2x8xf16> {
  %0 = ane.layer_norm %arg0 {axes = array<i64: 2>, epsilon = 0.00999999977 : f32, operandSegmentSizes = array<i32: 1, 0, 0>} : (tensor<3x2x8xf16>) -> tensor<3x2x8xf16>
  return %0 : tensor<3x2x8xf16>
}

// CHECK-LABEL: func @layer_norm_2(
// CHECK: ane.layer_norm %arg0, %arg1, %arg2 {axes = array<i64: 1, 2>, epsilon = 1.000000e-01 : f32, operandSegmentSizes = array<i32: 1, 1, 1>} : (tensor<2x3x5xf16>, tensor<3x5xf16>, tensor<3x5xf16>) -> tensor<2x3x5xf16>
func.func @layer_norm_2(%arg0: tensor<2x3x5xf16>, %arg1: tensor<3x5xf16>, %arg2: tensor<3x5xf16>) -> tensor<2x3x5xf16> {
  %0 = ane.layer_norm %arg0, %arg1, %arg2 {axes = array<i64: 1, 2>, epsilon = 1.000000e-01 : f32, operandSegmentSizes = array<i32: 1, 1, 1>} : (tensor<2x3x5xf16>, tensor<3x5xf16>, tensor<3x5xf16>) -> tensor<2x3x5xf16>
  return %0 : tensor<2x3x5xf16>
}

// CHECK-LABEL: func @l2_norm(
// CHECK: ane.l2_norm %arg0 {epsilon = 9.99999974E-6 : f32} : (tensor<1x2x3x4xf16>) -> tensor<1x2x3x4xf16>
func.func @l2_norm(%arg0: tensor<1x2x3x4xf16>) -> tensor<1x2x3x4xf16> {
  %0 = ane.l2_norm %arg0 {epsilon = 9.99999974E-6 : f32} : (tensor<1x2x3x4xf16>) -> tensor<1x2x3x4xf16>
  return %0 : tensor<1x2x3x4xf16>
}

// CHECK-LABEL: func @local_response_norm(
// CHECK: ane.local_response_norm %arg0 {alpha = 2.000000e-04 : f32, beta = 5.000000e-01 : f32, k = 2.000000e+00 : f32, size = 3 : i64} : (tensor<5x5x5x5xf16>) -> tensor<5x5x5x5xf16>
func.func @local_response_norm(%arg0: tensor<5x5x5x5xf16>) -> tensor<5x5x5x5xf16> {
  %0 = ane.local_response_norm %arg0 {alpha = 2.000000e-04 : f32, beta = 5.000000e-01 : f32, k = 2.000000e+00 : f32, size = 3 : i64} : (tensor<5x5x5x5xf16>) -> tensor<5x5x5x5xf16>
  return %0 : tensor<5x5x5x5xf16>
}

// CHECK-LABEL: func @local_response_norm_2(
// CHECK: ane.local_response_norm %arg0 {size = 3 : i64} : (tensor<5x5x5x5xf16>) -> tensor<5x5x5x5xf16>
func.func @local_response_norm_2(%arg0: tensor<5x5x5x5xf16>) -> tensor<5x5x5x5xf16> {
  %0 = ane.local_response_norm %arg0 {size = 3 : i64} : (tensor<5x5x5x5xf16>) -> tensor<5x5x5x5xf16>
  return %0 : tensor<5x5x5x5xf16>
}

// CHECK-LABEL: func @reduce_sum(
// CHECK: ane.reduce_sum %arg0 {axes = array<i64: 1>, keep_dims = true} : (tensor<1x3xf16>) -> tensor<1x1xf16>
func.func @reduce_sum(%arg0: tensor<1x3xf16>) -> tensor<1x1xf16> {
  %0 = ane.reduce_sum %arg0 {axes = array<i64: 1>, keep_dims = true} : (tensor<1x3xf16>) -> tensor<1x1xf16>
  return %0 : tensor<1x1xf16>
}

// CHECK-LABEL: func @reduce_sum_2(
// CHECK: ane.reduce_sum %arg0 {axes = array<i64: 1>} : (tensor<3x4xf16>) -> tensor<3xf16>
func.func @reduce_sum_2(%arg0: tensor<3x4xf16>) -> tensor<3xf16> {
  %0 = ane.reduce_sum %arg0 {axes = array<i64: 1>} : (tensor<3x4xf16>) -> tensor<3xf16>
  return %0 : tensor<3xf16>
}

// CHECK-LABEL: func @reduce_mean(
// CHECK: ane.reduce_mean %arg0 {axes = array<i64: 2>, keep_dims = true} : (tensor<3x2x8xf16>) -> tensor<3x2x1xf16>
func.func @reduce_mean(%arg0: tensor<3x2x8xf16>) -> tensor<3x2x1xf16> {
  %0 = ane.reduce_mean %arg0 {axes = array<i64: 2>, keep_dims = true} : (tensor<3x2x8xf16>) -> tensor<3x2x1xf16>
  return %0 : tensor<3x2x1xf16>
}

// CHECK-LABEL: func @reduce_mean_2(
// CHECK: ane.reduce_mean %arg0 {axes = array<i64: 2, 3>, keep_dims = true} : (tensor<1x3x5x5xf16>) -> tensor<1x3x1x1xf16>
func.func @reduce_mean_2(%arg0: tensor<1x3x5x5xf16>) -> tensor<1x3x1x1xf16> {
  %0 = ane.reduce_mean %arg0 {axes = array<i64: 2, 3>, keep_dims = true} : (tensor<1x3x5x5xf16>) -> tensor<1x3x1x1xf16>
  return %0 : tensor<1x3x1x1xf16>
}

// CHECK-LABEL: func @reduce_max(
// CHECK: ane.reduce_max %arg0 {axes = array<i64: -1>, keep_dims = true} : (tensor<4x6xf16>) -> tensor<4x1xf16>
func.func @reduce_max(%arg0: tensor<4x6xf16>) -> tensor<4x1xf16> {
  %0 = ane.reduce_max %arg0 {axes = array<i64: -1>, keep_dims = true} : (tensor<4x6xf16>) -> tensor<4x1xf16>
  return %0 : tensor<4x1xf16>
}

// CHECK-LABEL: func @reduce_max_2(
// CHECK: ane.reduce_max %arg0 {axes = array<i64: 2, 3>, keep_dims = true} : (tensor<1x3x5x5xf16>) -> tensor<1x3x1x1xf16>
func.func @reduce_max_2(%arg0: tensor<1x3x5x5xf16>) -> tensor<1x3x1x1xf16> {
  %0 = ane.reduce_max %arg0 {axes = array<i64: 2, 3>, keep_dims = true} : (tensor<1x3x5x5xf16>) -> tensor<1x3x1x1xf16>
  return %0 : tensor<1x3x1x1xf16>
}

// CHECK-LABEL: func @reduce_min(
// CHECK: ane.reduce_min %arg0 {keep_dims = true} : (tensor<3x2x2xf16>) -> tensor<1x1x1xf16>
func.func @reduce_min(%arg0: tensor<3x2x2xf16>) -> tensor<1x1x1xf16> {
  %0 = ane.reduce_min %arg0 {keep_dims = true} : (tensor<3x2x2xf16>) -> tensor<1x1x1xf16>
  return %0 : tensor<1x1x1xf16>
}

// CHECK-LABEL: func @reduce_min_2(
// CHECK: ane.reduce_min %arg0 : (tensor<6xf16>) -> tensor<f16>
func.func @reduce_min_2(%arg0: tensor<6xf16>) -> tensor<f16> {
  %0 = ane.reduce_min %arg0 : (tensor<6xf16>) -> tensor<f16>
  return %0 : tensor<f16>
}

// CHECK-LABEL: func @reduce_l2_norm(
// CHECK: ane.reduce_l2_norm %arg0 {axes = array<i64: 0>, keep_dims = true} : (tensor<2x2x3xf16>) -> tensor<1x2x3xf16>
func.func @reduce_l2_norm(%arg0: tensor<2x2x3xf16>) -> tensor<1x2x3xf16> {
  %0 = ane.reduce_l2_norm %arg0 {axes = array<i64: 0>, keep_dims = true} : (tensor<2x2x3xf16>) -> tensor<1x2x3xf16>
  return %0 : tensor<1x2x3xf16>
}

// CHECK-LABEL: func @reduce_log_sum_exp(
// CHECK: ane.reduce_log_sum_exp %arg0 {axes = array<i64: 1>, keep_dims = true} : (tensor<2x3xf16>) -> tensor<2x1xf16>
func.func @reduce_log_sum_exp(%arg0: tensor<2x3xf16>) -> tensor<2x1xf16> {
  %0 = ane.reduce_log_sum_exp %arg0 {axes = array<i64: 1>, keep_dims = true} : (tensor<2x3xf16>) -> tensor<2x1xf16>
  return %0 : tensor<2x1xf16>
}

// CHECK-LABEL: func @reduce_l1_norm(
// CHECK: ane.reduce_l1_norm %arg0 {axes = array<i64: 0>, keep_dims = true} : (tensor<2xf16>) -> tensor<1xf16>
func.func @reduce_l1_norm(%arg0: tensor<2xf16>) -> tensor<1xf16> {
  %0 = ane.reduce_l1_norm %arg0 {axes = array<i64: 0>, keep_dims = true} : (tensor<2xf16>) -> tensor<1xf16>
  return %0 : tensor<1xf16>
}

// CHECK-LABEL: func @reduce_log_sum(
// CHECK: ane.reduce_log_sum %arg0 {axes = array<i64: 1>, keep_dims = true} : (tensor<2x3xf16>) -> tensor<2x1xf16>
func.func @reduce_log_sum(%arg0: tensor<2x3xf16>) -> tensor<2x1xf16> {
  %0 = ane.reduce_log_sum %arg0 {axes = array<i64: 1>, keep_dims = true} : (tensor<2x3xf16>) -> tensor<2x1xf16>
  return %0 : tensor<2x1xf16>
}

// CHECK-LABEL: func @reduce_sum_square(
// CHECK: ane.reduce_sum_square %arg0 {axes = array<i64: 0, 1>} : (tensor<2x3xf16>) -> tensor<f16>
func.func @reduce_sum_square(%arg0: tensor<2x3xf16>) -> tensor<f16> {
  %0 = ane.reduce_sum_square %arg0 {axes = array<i64: 0, 1>} : (tensor<2x3xf16>) -> tensor<f16>
  return %0 : tensor<f16>
}

// CHECK-LABEL: func @reduce_prod(
// CHECK: ane.reduce_prod %arg0 {keep_dims = true} : (tensor<3x2x2xf16>) -> tensor<1x1x1xf16>
func.func @reduce_prod(%arg0: tensor<3x2x2xf16>) -> tensor<1x1x1xf16> {
  %0 = ane.reduce_prod %arg0 {keep_dims = true} : (tensor<3x2x2xf16>) -> tensor<1x1x1xf16>
  return %0 : tensor<1x1x1xf16>
}

// CHECK-LABEL: func @reduce_argmax(
// CHECK: ane.reduce_argmax %arg0 {axis = 1 : i64, keep_dims = true} : (tensor<2x2xf16>) -> tensor<2x1xi32>
func.func @reduce_argmax(%arg0: tensor<2x2xf16>) -> tensor<2x1xi32> {
  %0 = ane.reduce_argmax %arg0 {axis = 1 : i64, keep_dims = true} : (tensor<2x2xf16>) -> tensor<2x1xi32>
  return %0 : tensor<2x1xi32>
}

// CHECK-LABEL: func @reduce_argmax_2(
// CHECK: ane.reduce_argmax %arg0 {axis = 1 : i64} : (tensor<2x2xf16>) -> tensor<2xi32>
func.func @reduce_argmax_2(%arg0: tensor<2x2xf16>) -> tensor<2xi32> {
  %0 = ane.reduce_argmax %arg0 {axis = 1 : i64} : (tensor<2x2xf16>) -> tensor<2xi32>
  return %0 : tensor<2xi32>
}

// CHECK-LABEL: func @reduce_argmin(
// CHECK: ane.reduce_argmin %arg0 {axis = 1 : i64, keep_dims = true} : (tensor<2x2xf16>) -> tensor<2x1xi32>
func.func @reduce_argmin(%arg0: tensor<2x2xf16>) -> tensor<2x1xi32> {
  %0 = ane.reduce_argmin %arg0 {axis = 1 : i64, keep_dims = true} : (tensor<2x2xf16>) -> tensor<2x1xi32>
  return %0 : tensor<2x1xi32>
}

// CHECK-LABEL: func @reduce_argmin_2(
// CHECK: ane.reduce_argmin %arg0 {axis = 1 : i64} : (tensor<2x2xf16>) -> tensor<2xi32>
func.func @reduce_argmin_2(%arg0: tensor<2x2xf16>) -> tensor<2xi32> {
  %0 = ane.reduce_argmin %arg0 {axis = 1 : i64} : (tensor<2x2xf16>) -> tensor<2xi32>
  return %0 : tensor<2xi32>
}

// CHECK-LABEL: func @cumsum(
// CHECK: ane.cumsum %arg0 {axis = 1 : i64, exclusive = true, reverse = true} : (tensor<2x3xi32>) -> tensor<2x3xi32>
func.func @cumsum(%arg0: tensor<2x3xi32>) -> tensor<2x3xi32> {
  %0 = ane.cumsum %arg0 {axis = 1 : i64, exclusive = true, reverse = true} : (tensor<2x3xi32>) -> tensor<2x3xi32>
  return %0 : tensor<2x3xi32>
}
