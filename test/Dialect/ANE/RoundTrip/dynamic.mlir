// One function per op: what is parsed verifies and prints alike.
// RUN: ane-opt %s | ane-opt | FileCheck %s

// CHECK-LABEL: func @dynamic_slice(
// CHECK: ane.dynamic_slice %arg0, %arg1, %arg2 {begin_mask = array<i1: true, false>, end_mask = array<i1: true, false>} : (tensor<4x6xf16>, tensor<2xi32>, tensor<2xi32>) -> tensor<4x?xf16>
func.func @dynamic_slice(%a: tensor<4x6xf16>, %b: tensor<2xi32>, %c: tensor<2xi32>) -> tensor<4x?xf16> {
  %0 = ane.dynamic_slice %a, %b, %c {begin_mask = array<i1: true, false>, end_mask = array<i1: true, false>} : (tensor<4x6xf16>, tensor<2xi32>, tensor<2xi32>) -> tensor<4x?xf16>
  return %0 : tensor<4x?xf16>
}

// CHECK-LABEL: func @dynamic_slice_by_size(
// CHECK: ane.dynamic_slice_by_size %arg0, %arg1 {size = array<i64: 2, -1>} : (tensor<4x6xf16>, tensor<2xi32>) -> tensor<2x?xf16>
func.func @dynamic_slice_by_size(%a: tensor<4x6xf16>, %b: tensor<2xi32>) -> tensor<2x?xf16> {
  %0 = ane.dynamic_slice_by_size %a, %b {size = array<i64: 2, -1>} : (tensor<4x6xf16>, tensor<2xi32>) -> tensor<2x?xf16>
  return %0 : tensor<2x?xf16>
}

// CHECK-LABEL: func @slice_update(
// CHECK: ane.slice_update %arg0, %arg1, %arg2, %arg3 {squeeze_mask = array<i1: true, false>} : (tensor<4x6xf16>, tensor<3xf16>, tensor<2xi32>, tensor<2xi32>) -> tensor<4x6xf16>
func.func @slice_update(%a: tensor<4x6xf16>, %b: tensor<3xf16>, %c: tensor<2xi32>, %d: tensor<2xi32>) -> tensor<4x6xf16> {
  %0 = ane.slice_update %a, %b, %c, %d {squeeze_mask = array<i1: true, false>} : (tensor<4x6xf16>, tensor<3xf16>, tensor<2xi32>, tensor<2xi32>) -> tensor<4x6xf16>
  return %0 : tensor<4x6xf16>
}

// CHECK-LABEL: func @fill_like(
// CHECK: ane.fill_like %arg0, %arg1 : (tensor<4x6xf16>, tensor<i32>) -> tensor<4x6xi32>
func.func @fill_like(%a: tensor<4x6xf16>, %b: tensor<i32>) -> tensor<4x6xi32> {
  %0 = ane.fill_like %a, %b : (tensor<4x6xf16>, tensor<i32>) -> tensor<4x6xi32>
  return %0 : tensor<4x6xi32>
}

// CHECK-LABEL: func @shape(
// CHECK: ane.shape %arg0 : (tensor<?x6xf16>) -> tensor<2xi32>
func.func @shape(%a: tensor<?x6xf16>) -> tensor<2xi32> {
  %0 = ane.shape %a : (tensor<?x6xf16>) -> tensor<2xi32>
  return %0 : tensor<2xi32>
}

// CHECK-LABEL: func @range_1d(
// CHECK: ane.range_1d %arg0, %arg1, %arg2 : (tensor<f16>, tensor<f16>, tensor<f16>) -> tensor<?xf16>
func.func @range_1d(%a: tensor<f16>, %b: tensor<f16>, %c: tensor<f16>) -> tensor<?xf16> {
  %0 = ane.range_1d %a, %b, %c : (tensor<f16>, tensor<f16>, tensor<f16>) -> tensor<?xf16>
  return %0 : tensor<?xf16>
}

// CHECK-LABEL: func @random_normal(
// CHECK: ane.random_normal {seed = 7 : i64, shape = array<i64: 2, 3>, stddev = 2.000000e+00 : f32} : () -> tensor<2x3xf16>
func.func @random_normal() -> tensor<2x3xf16> {
  %0 = ane.random_normal {seed = 7 : i64, shape = array<i64: 2, 3>, stddev = 2.000000e+00 : f32} : () -> tensor<2x3xf16>
  return %0 : tensor<2x3xf16>
}

// CHECK-LABEL: func @random_uniform(
// CHECK: ane.random_uniform {low = -1.000000e+00 : f32, shape = array<i64: 2>} : () -> tensor<2xf32>
func.func @random_uniform() -> tensor<2xf32> {
  %0 = ane.random_uniform {low = -1.000000e+00 : f32, shape = array<i64: 2>} : () -> tensor<2xf32>
  return %0 : tensor<2xf32>
}

// CHECK-LABEL: func @random_bernoulli(
// CHECK: ane.random_bernoulli {prob = 2.500000e-01 : f32, shape = array<i64: 2>} : () -> tensor<2xf32>
func.func @random_bernoulli() -> tensor<2xf32> {
  %0 = ane.random_bernoulli {prob = 2.500000e-01 : f32, shape = array<i64: 2>} : () -> tensor<2xf32>
  return %0 : tensor<2xf32>
}

// CHECK-LABEL: func @random_categorical(
// CHECK: ane.random_categorical %arg0 {mode = "probs", size = 4 : i64} : (tensor<2x3xf16>) -> tensor<2x4xf16>
func.func @random_categorical(%a: tensor<2x3xf16>) -> tensor<2x4xf16> {
  %0 = ane.random_categorical %a {mode = "probs", size = 4 : i64} : (tensor<2x3xf16>) -> tensor<2x4xf16>
  return %0 : tensor<2x4xf16>
}

// CHECK-LABEL: func @upsample_bilinear(
// CHECK: ane.upsample_bilinear %arg0 {align_corners = false, half_pixel_centers = true, scale_factor_height = 1.500000e+00 : f32} : (tensor<1x2x4x5xf16>) -> tensor<1x2x6x5xf16>
func.func @upsample_bilinear(%a: tensor<1x2x4x5xf16>) -> tensor<1x2x6x5xf16> {
  %0 = ane.upsample_bilinear %a {align_corners = false, half_pixel_centers = true, scale_factor_height = 1.500000e+00 : f32} : (tensor<1x2x4x5xf16>) -> tensor<1x2x6x5xf16>
  return %0 : tensor<1x2x6x5xf16>
}

// CHECK-LABEL: func @resize(
// CHECK: ane.resize %arg0 {interpolation_mode = "NEAREST_NEIGHBOR", resized_dims = 3 : i64, shape = array<i64: 0, 8, 7>} : (tensor<1x2x4x5xf16>) -> tensor<1x2x8x7xf16>
func.func @resize(%a: tensor<1x2x4x5xf16>) -> tensor<1x2x8x7xf16> {
  %0 = ane.resize %a {interpolation_mode = "NEAREST_NEIGHBOR", resized_dims = 3 : i64, shape = array<i64: 0, 8, 7>} : (tensor<1x2x4x5xf16>) -> tensor<1x2x8x7xf16>
  return %0 : tensor<1x2x8x7xf16>
}

// CHECK-LABEL: func @crop(
// CHECK: ane.crop %arg0 {crop_height = array<i64: 1, 1>, crop_width = array<i64: 0, 2>} : (tensor<1x2x4x5xf16>) -> tensor<1x2x2x3xf16>
func.func @crop(%a: tensor<1x2x4x5xf16>) -> tensor<1x2x2x3xf16> {
  %0 = ane.crop %a {crop_height = array<i64: 1, 1>, crop_width = array<i64: 0, 2>} : (tensor<1x2x4x5xf16>) -> tensor<1x2x2x3xf16>
  return %0 : tensor<1x2x2x3xf16>
}

// CHECK-LABEL: func @crop_resize(
// CHECK: ane.crop_resize %arg0, %arg1, %arg2 {normalized_coordinates = true, target_height = 3 : i64, target_width = 2 : i64} : (tensor<2x3x8x8xf16>, tensor<5x4xf16>, tensor<5xi32>) -> tensor<5x3x3x2xf16>
func.func @crop_resize(%a: tensor<2x3x8x8xf16>, %b: tensor<5x4xf16>, %c: tensor<5xi32>) -> tensor<5x3x3x2xf16> {
  %0 = ane.crop_resize %a, %b, %c {normalized_coordinates = true, target_height = 3 : i64, target_width = 2 : i64} : (tensor<2x3x8x8xf16>, tensor<5x4xf16>, tensor<5xi32>) -> tensor<5x3x3x2xf16>
  return %0 : tensor<5x3x3x2xf16>
}

// CHECK-LABEL: func @resample(
// CHECK: ane.resample %arg0, %arg1 {align_corners = true, coordinates_mode = "unnormalized", padding_mode = "border", padding_value = 0.000000e+00 : f32, sampling_mode = "bilinear"} : (tensor<1x2x4x5xf16>, tensor<1x3x3x2xf32>) -> tensor<1x2x3x3xf16>
func.func @resample(%a: tensor<1x2x4x5xf16>, %b: tensor<1x3x3x2xf32>) -> tensor<1x2x3x3xf16> {
  %0 = ane.resample %a, %b {align_corners = true, coordinates_mode = "unnormalized", padding_mode = "border", padding_value = 0.000000e+00 : f32, sampling_mode = "bilinear"} : (tensor<1x2x4x5xf16>, tensor<1x3x3x2xf32>) -> tensor<1x2x3x3xf16>
  return %0 : tensor<1x2x3x3xf16>
}

// CHECK-LABEL: func @affine(
// CHECK: ane.affine %arg0, %arg1 {align_corners = true, coordinates_mode = "normalized_minus_one_to_one", output_height = 3 : i64, output_width = 3 : i64, padding_mode = "constant", padding_value = 0.000000e+00 : f32, sampling_mode = "bilinear"} : (tensor<1x2x4x5xf16>, tensor<1x6xf16>) -> tensor<1x2x3x3xf16>
func.func @affine(%a: tensor<1x2x4x5xf16>, %b: tensor<1x6xf16>) -> tensor<1x2x3x3xf16> {
  %0 = ane.affine %a, %b {align_corners = true, coordinates_mode = "normalized_minus_one_to_one", output_height = 3 : i64, output_width = 3 : i64, padding_mode = "constant", padding_value = 0.000000e+00 : f32, sampling_mode = "bilinear"} : (tensor<1x2x4x5xf16>, tensor<1x6xf16>) -> tensor<1x2x3x3xf16>
  return %0 : tensor<1x2x3x3xf16>
}

// CHECK-LABEL: func @scaled_dot_product_attention(
// CHECK: ane.scaled_dot_product_attention %arg0, %arg1, %arg2, %arg3 : (tensor<1x2x4x8xf16>, tensor<1x2x6x8xf16>, tensor<1x2x6x5xf16>, tensor<4x6xi1>) -> tensor<1x2x4x5xf16>
func.func @scaled_dot_product_attention(%a: tensor<1x2x4x8xf16>, %b: tensor<1x2x6x8xf16>, %c: tensor<1x2x6x5xf16>, %d: tensor<4x6xi1>) -> tensor<1x2x4x5xf16> {
  %0 = ane.scaled_dot_product_attention %a, %b, %c, %d : (tensor<1x2x4x8xf16>, tensor<1x2x6x8xf16>, tensor<1x2x6x5xf16>, tensor<4x6xi1>) -> tensor<1x2x4x5xf16>
  return %0 : tensor<1x2x4x5xf16>
}

// CHECK-LABEL: func @constexpr_lut_to_dense(
// CHECK: ane.constexpr_lut_to_dense %arg0, %arg1 {vector_axis = 0 : i64} : (tensor<4x6xui2>, tensor<2x1x4x2xf16>) -> tensor<8x6xf16>
func.func @constexpr_lut_to_dense(%a: tensor<4x6xui2>, %b: tensor<2x1x4x2xf16>) -> tensor<8x6xf16> {
  %0 = ane.constexpr_lut_to_dense %a, %b {vector_axis = 0 : i64} : (tensor<4x6xui2>, tensor<2x1x4x2xf16>) -> tensor<8x6xf16>
  return %0 : tensor<8x6xf16>
}

// CHECK-LABEL: func @constexpr_sparse_to_dense(
// CHECK: ane.constexpr_sparse_to_dense %arg0, %arg1 : (tensor<5xf16>, tensor<4x6xui1>) -> tensor<4x6xf16>
func.func @constexpr_sparse_to_dense(%a: tensor<5xf16>, %b: tensor<4x6xui1>) -> tensor<4x6xf16> {
  %0 = ane.constexpr_sparse_to_dense %a, %b : (tensor<5xf16>, tensor<4x6xui1>) -> tensor<4x6xf16>
  return %0 : tensor<4x6xf16>
}

// CHECK-LABEL: func @constexpr_lut_to_sparse(
// CHECK: ane.constexpr_lut_to_sparse %arg0, %arg1, %arg2 : (tensor<4x6xui1>, tensor<5xui4>, tensor<1x1x16x1xf16>) -> (tensor<4x6xui1>, tensor<5xf16>)
func.func @constexpr_lut_to_sparse(%a: tensor<4x6xui1>, %b: tensor<5xui4>, %c: tensor<1x1x16x1xf16>) -> (tensor<4x6xui1>, tensor<5xf16>) {
  %mask, %nonzero_data = ane.constexpr_lut_to_sparse %a, %b, %c : (tensor<4x6xui1>, tensor<5xui4>, tensor<1x1x16x1xf16>) -> (tensor<4x6xui1>, tensor<5xf16>)
  return %mask, %nonzero_data : tensor<4x6xui1>, tensor<5xf16>
}

// CHECK-LABEL: func @constexpr_sparse_blockwise_shift_scale(
// CHECK: ane.constexpr_sparse_blockwise_shift_scale %arg0, %arg1, %arg2 : (tensor<4x6xui1>, tensor<5xi8>, tensor<4x1xf16>) -> (tensor<4x6xui1>, tensor<5xf16>)
func.func @constexpr_sparse_blockwise_shift_scale(%a: tensor<4x6xui1>, %b: tensor<5xi8>, %c: tensor<4x1xf16>) -> (tensor<4x6xui1>, tensor<5xf16>) {
  %mask, %y = ane.constexpr_sparse_blockwise_shift_scale %a, %b, %c : (tensor<4x6xui1>, tensor<5xi8>, tensor<4x1xf16>) -> (tensor<4x6xui1>, tensor<5xf16>)
  return %mask, %y : tensor<4x6xui1>, tensor<5xf16>
}

// CHECK-LABEL: func @cond(
// CHECK: ane.cond %arg0(%arg1) : (tensor<i1>, tensor<3xf16>) -> tensor<3xf16> {
// CHECK: ane.relu
// CHECK: ane.yield
// CHECK: } else {
func.func @cond(%p: tensor<i1>, %x: tensor<3xf16>) -> tensor<3xf16> {
  %0 = ane.cond %p(%x) : (tensor<i1>, tensor<3xf16>) -> tensor<3xf16> {
  ^bb0(%a: tensor<3xf16>):
    %1 = ane.relu %a : (tensor<3xf16>) -> tensor<3xf16>
    ane.yield %1 : tensor<3xf16>
  } else {
  ^bb0(%a: tensor<3xf16>):
    ane.yield %a : tensor<3xf16>
  }
  return %0 : tensor<3xf16>
}

// CHECK-LABEL: func @while_loop(
// CHECK: ane.while_loop(%arg0) (%arg1) : (tensor<i32>, tensor<i32>) -> tensor<i32> {
// CHECK: ane.less
// CHECK: } do {
func.func @while_loop(%i: tensor<i32>, %n: tensor<i32>) -> tensor<i32> {
  %0 = ane.while_loop(%i) (%n) : (tensor<i32>, tensor<i32>) -> tensor<i32> {
  ^bb0(%a: tensor<i32>, %b: tensor<i32>):
    %1 = ane.less %a, %b : (tensor<i32>, tensor<i32>) -> tensor<i1>
    ane.yield %1 : tensor<i1>
  } do {
  ^bb0(%a: tensor<i32>, %b: tensor<i32>):
    %1 = ane.add %a, %a : (tensor<i32>, tensor<i32>) -> tensor<i32>
    ane.yield %1 : tensor<i32>
  }
  return %0 : tensor<i32>
}

// CHECK-LABEL: func @space_to_batch(
// CHECK: ane.space_to_batch %arg0, %{{.*}} {block_shape = array<i64: 2, 3>} : (tensor<1x2x3x6xf16>, tensor<2x2xi32>) -> tensor<6x2x2x2xf16>
func.func @space_to_batch(%a: tensor<1x2x3x6xf16>) -> tensor<6x2x2x2xf16> {
  %p = ane.constant dense<[[1, 0], [0, 0]]> : tensor<2x2xi32>
  %0 = ane.space_to_batch %a, %p {block_shape = array<i64: 2, 3>} : (tensor<1x2x3x6xf16>, tensor<2x2xi32>) -> tensor<6x2x2x2xf16>
  return %0 : tensor<6x2x2x2xf16>
}

// CHECK-LABEL: func @batch_to_space(
// CHECK: ane.batch_to_space %arg0, %{{.*}} {block_shape = array<i64: 2, 3>} : (tensor<6x2x2x2xf16>, tensor<2x2xi32>) -> tensor<1x2x3x6xf16>
func.func @batch_to_space(%a: tensor<6x2x2x2xf16>) -> tensor<1x2x3x6xf16> {
  %p = ane.constant dense<[[1, 0], [0, 0]]> : tensor<2x2xi32>
  %0 = ane.batch_to_space %a, %p {block_shape = array<i64: 2, 3>} : (tensor<6x2x2x2xf16>, tensor<2x2xi32>) -> tensor<1x2x3x6xf16>
  return %0 : tensor<1x2x3x6xf16>
}
