// One function per op: what is parsed verifies and prints alike.
// RUN: ane-opt %s | ane-opt | FileCheck %s

// CHECK-LABEL: func @reshape(
// CHECK: ane.reshape %arg0 {shape = array<i64>} : (tensor<1xf16>) -> tensor<f16>
func.func @reshape(%arg0: tensor<1xf16>) -> tensor<f16> {
  %0 = ane.reshape %arg0 {shape = array<i64>} : (tensor<1xf16>) -> tensor<f16>
  return %0 : tensor<f16>
}

// CHECK-LABEL: func @reshape_2(
// CHECK: ane.reshape %arg0 {shape = array<i64: 2, 1>} : (tensor<2xi64>) -> tensor<2x1xi64>
func.func @reshape_2(%arg0: tensor<2xi64>) -> tensor<2x1xi64> {
  %0 = ane.reshape %arg0 {shape = array<i64: 2, 1>} : (tensor<2xi64>) -> tensor<2x1xi64>
  return %0 : tensor<2x1xi64>
}

// CHECK-LABEL: func @transpose(
// CHECK: ane.transpose %arg0 {perm = array<i64: 1, 0>} : (tensor<3x4xf16>) -> tensor<4x3xf16>
func.func @transpose(%arg0: tensor<3x4xf16>) -> tensor<4x3xf16> {
  %0 = ane.transpose %arg0 {perm = array<i64: 1, 0>} : (tensor<3x4xf16>) -> tensor<4x3xf16>
  return %0 : tensor<4x3xf16>
}

// CHECK-LABEL: func @transpose_2(
// CHECK: ane.transpose %arg0 {perm = array<i64: 0, 2, 1>} : (tensor<1x10x10xf16>) -> tensor<1x10x10xf16>
func.func @transpose_2(%arg0: tensor<1x10x10xf16>) -> tensor<1x10x10xf16> {
  %0 = ane.transpose %arg0 {perm = array<i64: 0, 2, 1>} : (tensor<1x10x10xf16>) -> tensor<1x10x10xf16>
  return %0 : tensor<1x10x10xf16>
}

// CHECK-LABEL: func @expand_dims(
// CHECK: ane.expand_dims %arg0 {axes = array<i64: 0, -1>} : (tensor<2x3xf16>) -> tensor<1x2x3x1xf16>
func.func @expand_dims(%arg0: tensor<2x3xf16>) -> tensor<1x2x3x1xf16> {
  %0 = ane.expand_dims %arg0 {axes = array<i64: 0, -1>} : (tensor<2x3xf16>) -> tensor<1x2x3x1xf16>
  return %0 : tensor<1x2x3x1xf16>
}

// CHECK-LABEL: func @squeeze(
// CHECK: ane.squeeze %arg0 {axes = array<i64: 0>} : (tensor<1x2x1xf16>) -> tensor<2x1xf16>
func.func @squeeze(%arg0: tensor<1x2x1xf16>) -> tensor<2x1xf16> {
  %0 = ane.squeeze %arg0 {axes = array<i64: 0>} : (tensor<1x2x1xf16>) -> tensor<2x1xf16>
  return %0 : tensor<2x1xf16>
}

// CHECK-LABEL: func @flatten2d(
// CHECK: ane.flatten2d %arg0 {axis = 2 : i64} : (tensor<2x3x4x5xf16>) -> tensor<6x20xf16>
func.func @flatten2d(%arg0: tensor<2x3x4x5xf16>) -> tensor<6x20xf16> {
  %0 = ane.flatten2d %arg0 {axis = 2 : i64} : (tensor<2x3x4x5xf16>) -> tensor<6x20xf16>
  return %0 : tensor<6x20xf16>
}

// CHECK-LABEL: func @concat(
// CHECK: ane.concat %arg0, %arg1 {axis = 2 : i64} : (tensor<2x3x12x8xf16>, tensor<2x3x6x8xf16>) -> tensor<2x3x18x8xf16>
func.func @concat(%arg0: tensor<2x3x12x8xf16>, %arg1: tensor<2x3x6x8xf16>) -> tensor<2x3x18x8xf16> {
  %0 = ane.concat %arg0, %arg1 {axis = 2 : i64} : (tensor<2x3x12x8xf16>, tensor<2x3x6x8xf16>) -> tensor<2x3x18x8xf16>
  return %0 : tensor<2x3x18x8xf16>
}

// CHECK-LABEL: func @stack(
// CHECK: ane.stack %arg0, %arg1, %arg2, %arg3 {axis = 0 : i64} : (tensor<2x4x8xf16>, tensor<2x4x8xf16>, tensor<2x4x8xf16>, tensor<2x4x8xf16>) -> tensor<4x2x4x8xf16>
func.func @stack(%arg0: tensor<2x4x8xf16>, %arg1: tensor<2x4x8xf16>, %arg2: tensor<2x4x8xf16>, %arg3: tensor<2x4x8xf16>) -> tensor<4x2x4x8xf16> {
  %0 = ane.stack %arg0, %arg1, %arg2, %arg3 {axis = 0 : i64} : (tensor<2x4x8xf16>, tensor<2x4x8xf16>, tensor<2x4x8xf16>, tensor<2x4x8xf16>) -> tensor<4x2x4x8xf16>
  return %0 : tensor<4x2x4x8xf16>
}

// CHECK-LABEL: func @split(
// CHECK: ane.split %arg0 {axis = 3 : i64, split_sizes = array<i64: 8, 0>} : (tensor<2x3x4x8xf16>) -> (tensor<2x3x4x8xf16>, tensor<2x3x4x0xf16>)
func.func @split(%arg0: tensor<2x3x4x8xf16>) -> (tensor<2x3x4x8xf16>, tensor<2x3x4x0xf16>) {
  %0:2 = ane.split %arg0 {axis = 3 : i64, split_sizes = array<i64: 8, 0>} : (tensor<2x3x4x8xf16>) -> (tensor<2x3x4x8xf16>, tensor<2x3x4x0xf16>)
  return %0#0, %0#1 : tensor<2x3x4x8xf16>, tensor<2x3x4x0xf16>
}

// CHECK-LABEL: func @split_2(
// CHECK: ane.split %arg0 {axis = 0 : i64, split_sizes = array<i64: 2, 2, 2>} : (tensor<6xf16>) -> (tensor<2xf16>, tensor<2xf16>, tensor<2xf16>)
func.func @split_2(%arg0: tensor<6xf16>) -> (tensor<2xf16>, tensor<2xf16>, tensor<2xf16>) {
  %0:3 = ane.split %arg0 {axis = 0 : i64, split_sizes = array<i64: 2, 2, 2>} : (tensor<6xf16>) -> (tensor<2xf16>, tensor<2xf16>, tensor<2xf16>)
  return %0#0, %0#1, %0#2 : tensor<2xf16>, tensor<2xf16>, tensor<2xf16>
}

// CHECK-LABEL: func @slice_by_index(
// CHECK: ane.slice_by_index %arg0 {begin = array<i64: 0, 0, 0, 0>, begin_mask = array<i1: false, false, false, false>, end = array<i64: 2, 3, 4, 8>, end_mask = array<i1: false, false, false, false>, stride = array<i64: 1, 1, 1, 2>} : (tensor<2x3x4x8xf16>) -> tensor<2x3x4x4xf16>
func.func @slice_by_index(%arg0: tensor<2x3x4x8xf16>) -> tensor<2x3x4x4xf16> {
  %0 = ane.slice_by_index %arg0 {begin = array<i64: 0, 0, 0, 0>, begin_mask = array<i1: false, false, false, false>, end = array<i64: 2, 3, 4, 8>, end_mask = array<i1: false, false, false, false>, stride = array<i64: 1, 1, 1, 2>} : (tensor<2x3x4x8xf16>) -> tensor<2x3x4x4xf16>
  return %0 : tensor<2x3x4x4xf16>
}

// CHECK-LABEL: func @slice_by_index_2(
// CHECK: ane.slice_by_index %arg0 {begin = array<i64: 0, 0, 0, 0>, end = array<i64: 1, 1, 2, 2>, stride = array<i64: 1, 1, 1, 1>} : (tensor<1x1x4x4xf16>) -> tensor<1x1x2x2xf16>
func.func @slice_by_index_2(%arg0: tensor<1x1x4x4xf16>) -> tensor<1x1x2x2xf16> {
  %0 = ane.slice_by_index %arg0 {begin = array<i64: 0, 0, 0, 0>, end = array<i64: 1, 1, 2, 2>, stride = array<i64: 1, 1, 1, 1>} : (tensor<1x1x4x4xf16>) -> tensor<1x1x2x2xf16>
  return %0 : tensor<1x1x2x2xf16>
}

// CHECK-LABEL: func @slice_by_size(
// CHECK: ane.slice_by_size %arg0 {begin = array<i64: 0>, size = array<i64: 9>} : (tensor<18xf16>) -> tensor<9xf16>
func.func @slice_by_size(%arg0: tensor<18xf16>) -> tensor<9xf16> {
  %0 = ane.slice_by_size %arg0 {begin = array<i64: 0>, size = array<i64: 9>} : (tensor<18xf16>) -> tensor<9xf16>
  return %0 : tensor<9xf16>
}

// CHECK-LABEL: func @slice_by_size_2(
// CHECK: ane.slice_by_size %arg0 {begin = array<i64: 5, 0>, size = array<i64: 5, 2>} : (tensor<15x2xf16>) -> tensor<5x2xf16>
func.func @slice_by_size_2(%arg0: tensor<15x2xf16>) -> tensor<5x2xf16> {
  %0 = ane.slice_by_size %arg0 {begin = array<i64: 5, 0>, size = array<i64: 5, 2>} : (tensor<15x2xf16>) -> tensor<5x2xf16>
  return %0 : tensor<5x2xf16>
}

// CHECK-LABEL: func @pad(
// CHECK: ane.pad %arg0 {constant_val = 0xFF800000 : f32, pad = array<i64: 0, 2>} : (tensor<2x3x4x4xf16>) -> tensor<2x3x4x6xf16>
func.func @pad(%arg0: tensor<2x3x4x4xf16>) -> tensor<2x3x4x6xf16> {
  %0 = ane.pad %arg0 {constant_val = 0xFF800000 : f32, pad = array<i64: 0, 2>} : (tensor<2x3x4x4xf16>) -> tensor<2x3x4x6xf16>
  return %0 : tensor<2x3x4x6xf16>
}

// CHECK-LABEL: func @pad_2(
// CHECK: ane.pad %arg0 {constant_val = 0xFF800000 : f32, pad = array<i64: 0, 0, 0, 0>} : (tensor<1x1x4x4xf16>) -> tensor<1x1x4x4xf16>
func.func @pad_2(%arg0: tensor<1x1x4x4xf16>) -> tensor<1x1x4x4xf16> {
  %0 = ane.pad %arg0 {constant_val = 0xFF800000 : f32, pad = array<i64: 0, 0, 0, 0>} : (tensor<1x1x4x4xf16>) -> tensor<1x1x4x4xf16>
  return %0 : tensor<1x1x4x4xf16>
}

// CHECK-LABEL: func @tile(
// CHECK: ane.tile %arg0 {reps = array<i64: 1, 1, 2>} : (tensor<3x2x1xf16>) -> tensor<3x2x2xf16>
func.func @tile(%arg0: tensor<3x2x1xf16>) -> tensor<3x2x2xf16> {
  %0 = ane.tile %arg0 {reps = array<i64: 1, 1, 2>} : (tensor<3x2x1xf16>) -> tensor<3x2x2xf16>
  return %0 : tensor<3x2x2xf16>
}

// CHECK-LABEL: func @tile_2(
// CHECK: ane.tile %arg0 {reps = array<i64: 1, 1, 3, 1, 1>} : (tensor<2x3x1x6x8xf16>) -> tensor<2x3x3x6x8xf16>
func.func @tile_2(%arg0: tensor<2x3x1x6x8xf16>) -> tensor<2x3x3x6x8xf16> {
  %0 = ane.tile %arg0 {reps = array<i64: 1, 1, 3, 1, 1>} : (tensor<2x3x1x6x8xf16>) -> tensor<2x3x3x6x8xf16>
  return %0 : tensor<2x3x3x6x8xf16>
}

// CHECK-LABEL: func @reverse(
// CHECK: ane.reverse %arg0 {axes = array<i64: 1>} : (tensor<2x2xf16>) -> tensor<2x2xf16>
func.func @reverse(%arg0: tensor<2x2xf16>) -> tensor<2x2xf16> {
  %0 = ane.reverse %arg0 {axes = array<i64: 1>} : (tensor<2x2xf16>) -> tensor<2x2xf16>
  return %0 : tensor<2x2xf16>
}

// CHECK-LABEL: func @reverse_sequence(
// CHECK: ane.reverse_sequence %arg0, %arg1 {seq_axis = 1 : i64} : (tensor<4x4xf16>, tensor<4xi64>) -> tensor<4x4xf16>
func.func @reverse_sequence(%arg0: tensor<4x4xf16>, %arg1: tensor<4xi64>) -> tensor<4x4xf16> {
  %0 = ane.reverse_sequence %arg0, %arg1 {seq_axis = 1 : i64} : (tensor<4x4xf16>, tensor<4xi64>) -> tensor<4x4xf16>
  return %0 : tensor<4x4xf16>
}

// CHECK-LABEL: func @reverse_sequence_2(
// CHECK: ane.reverse_sequence %arg0, %arg1 {batch_axis = 1 : i64} : (tensor<4x4xf16>, tensor<4xi64>) -> tensor<4x4xf16>
func.func @reverse_sequence_2(%arg0: tensor<4x4xf16>, %arg1: tensor<4xi64>) -> tensor<4x4xf16> {
  %0 = ane.reverse_sequence %arg0, %arg1 {batch_axis = 1 : i64} : (tensor<4x4xf16>, tensor<4xi64>) -> tensor<4x4xf16>
  return %0 : tensor<4x4xf16>
}

// CHECK-LABEL: func @depth_to_space(
// CHECK: ane.depth_to_space %arg0 {block_size = 2 : i64} : (tensor<1x8x2x3xf16>) -> tensor<1x2x4x6xf16>
func.func @depth_to_space(%arg0: tensor<1x8x2x3xf16>) -> tensor<1x2x4x6xf16> {
  %0 = ane.depth_to_space %arg0 {block_size = 2 : i64} : (tensor<1x8x2x3xf16>) -> tensor<1x2x4x6xf16>
  return %0 : tensor<1x2x4x6xf16>
}

// CHECK-LABEL: func @space_to_depth(
// CHECK: ane.space_to_depth %arg0 {block_size = 2 : i64} : (tensor<2x2x6x6xf16>) -> tensor<2x8x3x3xf16>
func.func @space_to_depth(%arg0: tensor<2x2x6x6xf16>) -> tensor<2x8x3x3xf16> {
  %0 = ane.space_to_depth %arg0 {block_size = 2 : i64} : (tensor<2x2x6x6xf16>) -> tensor<2x8x3x3xf16>
  return %0 : tensor<2x8x3x3xf16>
}

// CHECK-LABEL: func @pixel_shuffle(
// CHECK: ane.pixel_shuffle %arg0 {upscale_factor = 2 : i64} : (tensor<1x8x2x3xf16>) -> tensor<1x2x4x6xf16>
func.func @pixel_shuffle(%arg0: tensor<1x8x2x3xf16>) -> tensor<1x2x4x6xf16> {
  %0 = ane.pixel_shuffle %arg0 {upscale_factor = 2 : i64} : (tensor<1x8x2x3xf16>) -> tensor<1x2x4x6xf16>
  return %0 : tensor<1x2x4x6xf16>
}

// CHECK-LABEL: func @pixel_unshuffle(
// CHECK: ane.pixel_unshuffle %arg0 {downscale_factor = 2 : i64} : (tensor<1x2x4x6xf16>) -> tensor<1x8x2x3xf16>
func.func @pixel_unshuffle(%arg0: tensor<1x2x4x6xf16>) -> tensor<1x8x2x3xf16> {
  %0 = ane.pixel_unshuffle %arg0 {downscale_factor = 2 : i64} : (tensor<1x2x4x6xf16>) -> tensor<1x8x2x3xf16>
  return %0 : tensor<1x8x2x3xf16>
}

// CHECK-LABEL: func @band_part(
// CHECK: ane.band_part %arg0 {lower = 1 : i64, upper = 0 : i64} : (tensor<2x3x4xf16>) -> tensor<2x3x4xf16>
func.func @band_part(%arg0: tensor<2x3x4xf16>) -> tensor<2x3x4xf16> {
  %0 = ane.band_part %arg0 {lower = 1 : i64, upper = 0 : i64} : (tensor<2x3x4xf16>) -> tensor<2x3x4xf16>
  return %0 : tensor<2x3x4xf16>
}

// CHECK-LABEL: func @sliding_windows(
// CHECK: ane.sliding_windows %arg0 {axis = 1 : i64, size = 3 : i64, stride = 2 : i64} : (tensor<2x7xf16>) -> tensor<2x3x3xf16>
func.func @sliding_windows(%arg0: tensor<2x7xf16>) -> tensor<2x3x3xf16> {
  %0 = ane.sliding_windows %arg0 {axis = 1 : i64, size = 3 : i64, stride = 2 : i64} : (tensor<2x7xf16>) -> tensor<2x3x3xf16>
  return %0 : tensor<2x3x3xf16>
}

// CHECK-LABEL: func @upsample_nearest_neighbor(
// CHECK: ane.upsample_nearest_neighbor %arg0 {scale_factor_height = 2 : i64, scale_factor_width = 2 : i64} : (tensor<1x2x3x4xf16>) -> tensor<1x2x6x8xf16>
func.func @upsample_nearest_neighbor(%arg0: tensor<1x2x3x4xf16>) -> tensor<1x2x6x8xf16> {
  %0 = ane.upsample_nearest_neighbor %arg0 {scale_factor_height = 2 : i64, scale_factor_width = 2 : i64} : (tensor<1x2x3x4xf16>) -> tensor<1x2x6x8xf16>
  return %0 : tensor<1x2x6x8xf16>
}

// CHECK-LABEL: func @resize_nearest_neighbor(
// CHECK: ane.resize_nearest_neighbor %arg0 {target_size_height = 6 : i64, target_size_width = 8 : i64} : (tensor<1x2x3x4xf16>) -> tensor<1x2x6x8xf16>
func.func @resize_nearest_neighbor(%arg0: tensor<1x2x3x4xf16>) -> tensor<1x2x6x8xf16> {
  %0 = ane.resize_nearest_neighbor %arg0 {target_size_height = 6 : i64, target_size_width = 8 : i64} : (tensor<1x2x3x4xf16>) -> tensor<1x2x6x8xf16>
  return %0 : tensor<1x2x6x8xf16>
}

// CHECK-LABEL: func @resize_bilinear(
// CHECK: ane.resize_bilinear %arg0 {sampling_mode = "ALIGN_CORNERS", target_size_height = 6 : i64, target_size_width = 8 : i64} : (tensor<1x2x3x4xf16>) -> tensor<1x2x6x8xf16>
func.func @resize_bilinear(%arg0: tensor<1x2x3x4xf16>) -> tensor<1x2x6x8xf16> {
  %0 = ane.resize_bilinear %arg0 {sampling_mode = "ALIGN_CORNERS", target_size_height = 6 : i64, target_size_width = 8 : i64} : (tensor<1x2x3x4xf16>) -> tensor<1x2x6x8xf16>
  return %0 : tensor<1x2x6x8xf16>
}
