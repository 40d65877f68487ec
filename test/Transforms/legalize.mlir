// RUN: ane-opt %s --ane-legalize | FileCheck %s

// CHECK-LABEL: func @gelu
// CHECK-NOT: ane.gelu
// CHECK: ane.erf
// CHECK: ane.tanh
func.func @gelu(%x: tensor<1x4xf16>) -> (tensor<1x4xf16>, tensor<1x4xf16>) {
  %a = ane.gelu %x : (tensor<1x4xf16>) -> tensor<1x4xf16>
  %b = ane.gelu %x {mode = "TANH_APPROXIMATION"} : (tensor<1x4xf16>) -> tensor<1x4xf16>
  return %a, %b : tensor<1x4xf16>, tensor<1x4xf16>
}

// One spatial axis becomes two, and the bias an addition.
// CHECK-LABEL: func @conv1d
// CHECK: ane.reshape %arg0 {shape = array<i64: 1, 2, 1, 8>}
// CHECK: ane.conv {{.*}}pad = array<i64: 0, 0, 1, 1>{{.*}}strides = array<i64: 1, 2>{{.*}} -> tensor<1x3x1x4xf16>
// CHECK: ane.add {{.*}} -> tensor<1x3x1x4xf16>
// CHECK: ane.reshape {{.*}} {shape = array<i64: 1, 3, 4>}
func.func @conv1d(%x: tensor<1x2x8xf16>) -> tensor<1x3x4xf16> {
  %w = ane.constant dense<1.0> : tensor<3x2x3xf16>
  %b = ane.constant dense<1.0> : tensor<3xf16>
  %y = ane.conv %x, %w, %b {strides = array<i64: 2>, pad_type = "custom", pad = array<i64: 1, 1>, dilations = array<i64: 1>} : (tensor<1x2x8xf16>, tensor<3x2x3xf16>, tensor<3xf16>) -> tensor<1x3x4xf16>
  return %y : tensor<1x3x4xf16>
}

// A tile whose users broadcast anyway goes away; any other becomes a concatenation.
// CHECK-LABEL: func @tile
// CHECK: %[[S:.+]] = ane.add %arg0, %arg1
// CHECK: %[[C:.+]] = ane.concat %arg0, %arg0 {axis = 1 : i64
// CHECK: return %[[S]], %[[C]]
func.func @tile(%x: tensor<1x4xf16>, %y: tensor<3x4xf16>) -> (tensor<3x4xf16>, tensor<1x8xf16>) {
  %t = ane.tile %x {reps = array<i64: 3, 1>} : (tensor<1x4xf16>) -> tensor<3x4xf16>
  %s = ane.add %t, %y : (tensor<3x4xf16>, tensor<3x4xf16>) -> tensor<3x4xf16>
  %u = ane.tile %x {reps = array<i64: 1, 2>} : (tensor<1x4xf16>) -> tensor<1x8xf16>
  return %s, %u : tensor<3x4xf16>, tensor<1x8xf16>
}

// CHECK-LABEL: func @instance_norm
// CHECK-NOT: ane.instance_norm
// CHECK: ane.reduce_mean
// CHECK: ane.rsqrt
func.func @instance_norm(%x: tensor<1x4x2x2xf16>) -> tensor<1x4x2x2xf16> {
  %y = ane.instance_norm %x {operandSegmentSizes = array<i32: 1, 0, 0>} : (tensor<1x4x2x2xf16>) -> tensor<1x4x2x2xf16>
  return %y : tensor<1x4x2x2xf16>
}

// -----
// A convolution over patches beyond the strided kernel limit is space_to_depth and a 1x1 convolution.
// CHECK-LABEL: func @patches(
// CHECK: %[[X:.*]] = ane.space_to_depth %arg0 {block_size = 16 : i64} : (tensor<1x3x32x32xf16>) -> tensor<1x768x2x2xf16>
// CHECK: %[[T:.*]] = ane.transpose %{{.*}} {perm = array<i64: 0, 2, 3, 1>} : (tensor<8x3x16x16xf16>) -> tensor<8x16x16x3xf16>
// CHECK: %[[W:.*]] = ane.reshape %[[T]] {shape = array<i64: 8, 768, 1, 1>}
// CHECK: ane.conv %[[X]], %[[W]] {{.*}} -> tensor<1x8x2x2xf16>
func.func @patches(%x: tensor<1x3x32x32xf16>) -> tensor<1x8x2x2xf16> {
  %w = ane.constant dense<1.0> : tensor<8x3x16x16xf16>
  %y = ane.conv %x, %w {dilations = array<i64: 1, 1>, pad = array<i64: 0, 0, 0, 0>, pad_type = "valid", strides = array<i64: 16, 16>} : (tensor<1x3x32x32xf16>, tensor<8x3x16x16xf16>) -> tensor<1x8x2x2xf16>
  return %y : tensor<1x8x2x2xf16>
}

// CHECK-LABEL: func @gather_one(
// CHECK: ane.slice_by_index %arg0 {begin = array<i64: 0, 4>, end = array<i64: 3, 5>}
// CHECK: ane.reshape
// CHECK-NOT: ane.gather
func.func @gather_one(%x: tensor<3x5xf16>) -> tensor<3xf16> {
  %i = ane.constant dense<-1> : tensor<i32>
  %0 = ane.gather %x, %i {axis = 1 : i64} : (tensor<3x5xf16>, tensor<i32>) -> tensor<3xf16>
  return %0 : tensor<3xf16>
}

// CHECK-LABEL: func @gather_even(
// CHECK: ane.slice_by_index %arg0 {begin = array<i64: 1, 0>, end = array<i64: 6, 2>, stride = array<i64: 2, 1>}
func.func @gather_even(%x: tensor<6x2xf16>) -> tensor<3x2xf16> {
  %i = ane.constant dense<[1, 3, 5]> : tensor<3xi32>
  %0 = ane.gather %x, %i : (tensor<6x2xf16>, tensor<3xi32>) -> tensor<3x2xf16>
  return %0 : tensor<3x2xf16>
}

// Few runs of neighbours are a slice each.
// CHECK-LABEL: func @gather_uneven(
// CHECK: ane.slice_by_size %arg0 {begin = array<i64: 1, 0>, size = array<i64: 1, 2>}
// CHECK: ane.slice_by_size %arg0 {begin = array<i64: 3, 0>, size = array<i64: 2, 2>}
// CHECK: ane.concat
func.func @gather_uneven(%x: tensor<6x2xf16>) -> tensor<3x2xf16> {
  %i = ane.constant dense<[1, 3, 4]> : tensor<3xi32>
  %0 = ane.gather %x, %i : (tensor<6x2xf16>, tensor<3xi32>) -> tensor<3x2xf16>
  return %0 : tensor<3x2xf16>
}

// CHECK-LABEL: func @nearest(
// CHECK: ane.upsample_nearest_neighbor %arg0 {scale_factor_height = 2 : i64, scale_factor_width = 3 : i64}
func.func @nearest(%x: tensor<1x2x4x5xf16>) -> tensor<1x2x8x15xf16> {
  %0 = ane.resize_nearest_neighbor %x {target_size_height = 8 : i64, target_size_width = 15 : i64} : (tensor<1x2x4x5xf16>) -> tensor<1x2x8x15xf16>
  return %0 : tensor<1x2x8x15xf16>
}

// CHECK-LABEL: func @attention(
// CHECK: %[[Q:.*]] = ane.mul %arg0
// CHECK: %[[S:.*]] = ane.matmul %[[Q]], %arg1 {transpose_y = true}
// CHECK: %[[M:.*]] = ane.add %[[S]], %arg3
// CHECK: %[[P:.*]] = ane.softmax %[[M]]
// CHECK: ane.matmul %[[P]], %arg2
func.func @attention(%q: tensor<1x2x3x4xf16>, %k: tensor<1x2x5x4xf16>, %v: tensor<1x2x5x6xf16>, %m: tensor<3x5xf16>) -> tensor<1x2x3x6xf16> {
  %0 = ane.scaled_dot_product_attention %q, %k, %v, %m : (tensor<1x2x3x4xf16>, tensor<1x2x5x4xf16>, tensor<1x2x5x6xf16>, tensor<3x5xf16>) -> tensor<1x2x3x6xf16>
  return %0 : tensor<1x2x3x6xf16>
}

// Edges that are mirrored or repeated are slices beside the rest; a wide pad repeats one.
// CHECK-LABEL: func @pads(
// CHECK: %[[TWO:.+]] = ane.slice_by_size %arg0 {begin = array<i64: 0, 0, 0, 2>, size = array<i64: 1, 2, 3, 1>}
// CHECK: %[[ONE:.+]] = ane.slice_by_size %arg0 {begin = array<i64: 0, 0, 0, 1>, size = array<i64: 1, 2, 3, 1>}
// CHECK: %[[LAST:.+]] = ane.slice_by_size %arg0 {begin = array<i64: 0, 0, 0, 2>, size = array<i64: 1, 2, 3, 1>}
// CHECK: %[[R:.+]] = ane.concat %[[TWO]], %[[ONE]], %arg0, %[[LAST]] {axis = 3 : i64
// CHECK: %[[TOP:.+]] = ane.slice_by_size %arg0 {begin = array<i64: 0, 0, 0, 0>, size = array<i64: 1, 2, 1, 4>}
// CHECK: %[[E:.+]] = ane.concat %[[TOP]], %[[TOP]], %arg0 {axis = 2 : i64
// CHECK: %[[TEN:.+]] = ane.concat {{.*}}-> tensor<1x2x3x10xf16>
// CHECK: %[[TWENTY:.+]] = ane.concat %[[TEN]], %[[TEN]]
// CHECK: %[[W:.+]] = ane.concat %arg0, %[[TWENTY]]
// CHECK: return %[[R]], %[[E]], %[[W]]
func.func @pads(%x: tensor<1x2x3x4xf16>) -> (tensor<1x2x3x7xf16>, tensor<1x2x5x4xf16>, tensor<1x2x3x24xf16>) {
  %r = ane.pad %x {mode = "reflect", pad = array<i64: 2, 1>} : (tensor<1x2x3x4xf16>) -> tensor<1x2x3x7xf16>
  %e = ane.pad %x {mode = "replicate", pad = array<i64: 2, 0, 0, 0>} : (tensor<1x2x3x4xf16>) -> tensor<1x2x5x4xf16>
  %w = ane.pad %x {mode = "replicate", pad = array<i64: 0, 20>} : (tensor<1x2x3x4xf16>) -> tensor<1x2x3x24xf16>
  return %r, %e, %w : tensor<1x2x3x7xf16>, tensor<1x2x5x4xf16>, tensor<1x2x3x24xf16>
}

// The order of channels that pixel_shuffle wants is one of the weights and of the bias; an input is transposed.
// CHECK-LABEL: func @shuffle(
// CHECK: %[[W:.+]] = ane.transpose %{{.+}} {perm = array<i64: 1, 0, 2>} : (tensor<2x4x3xf16>) -> tensor<4x2x3xf16>
// CHECK: ane.conv %arg0
// CHECK: ane.depth_to_space %{{.+}} {block_size = 2 : i64} : (tensor<1x8x4x4xf16>) -> tensor<1x2x8x8xf16>
// CHECK: ane.transpose {{.*}}(tensor<2x2x2x4x4xf16>) -> tensor<2x4x2x4x2xf16>
func.func @shuffle(%x: tensor<1x3x4x4xf16>, %z: tensor<1x8x4x4xf16>) -> (tensor<1x2x8x8xf16>, tensor<1x2x8x8xf16>) {
  %w = ane.constant dense<1.0> : tensor<8x3x1x1xf16>
  %b = ane.constant dense<1.0> : tensor<8xf16>
  %c = ane.conv %x, %w, %b {strides = array<i64: 1, 1>, pad_type = "valid", pad = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x3x4x4xf16>, tensor<8x3x1x1xf16>, tensor<8xf16>) -> tensor<1x8x4x4xf16>
  %r = ane.relu %c : (tensor<1x8x4x4xf16>) -> tensor<1x8x4x4xf16>
  %y = ane.pixel_shuffle %r {upscale_factor = 2 : i64} : (tensor<1x8x4x4xf16>) -> tensor<1x2x8x8xf16>
  %u = ane.pixel_shuffle %z {upscale_factor = 2 : i64} : (tensor<1x8x4x4xf16>) -> tensor<1x2x8x8xf16>
  return %y, %u : tensor<1x2x8x8xf16>, tensor<1x2x8x8xf16>
}
