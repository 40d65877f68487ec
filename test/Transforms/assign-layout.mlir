// The fewest transposes over the whole function.
// RUN: ane-opt %s --ane-matmul-to-conv --ane-assign-layout --canonicalize --split-input-file | FileCheck %s

// A feed-forward block: what is between the products has tokens last; two transposes of data are left (of weights, which
// are evaluated once, there may be any number).
// CHECK-LABEL: func @block(
// CHECK-COUNT-1: perm = array<i64: 0, 2, 1>
// CHECK-NOT: perm = array<i64: 0, 2, 1>
// CHECK: ane.conv {{.*}} -> tensor<1x48x1x64xf16>
// CHECK: ane.add {{.*}} : (tensor<1x48x1x64xf16>, tensor<1x48x1x1xf16>)
// CHECK: ane.relu {{.*}} : (tensor<1x48x1x64xf16>)
// CHECK: ane.conv {{.*}} -> tensor<1x32x1x64xf16>
// CHECK-COUNT-1: perm = array<i64: 0, 2, 1>
// CHECK-NOT: perm = array<i64: 0, 2, 1>
// CHECK: return
func.func @block(%x: tensor<1x64x32xf16>) -> tensor<1x64x32xf16> {
  %up = ane.constant dense<1.0> : tensor<32x48xf16>
  %down = ane.constant dense<1.0> : tensor<48x32xf16>
  %bias = ane.constant dense<0.5> : tensor<48xf16>
  %p = ane.softmax %x : (tensor<1x64x32xf16>) -> tensor<1x64x32xf16>
  %h = ane.matmul %p, %up : (tensor<1x64x32xf16>, tensor<32x48xf16>) -> tensor<1x64x48xf16>
  %b = ane.add %h, %bias : (tensor<1x64x48xf16>, tensor<48xf16>) -> tensor<1x64x48xf16>
  %r = ane.relu %b : (tensor<1x64x48xf16>) -> tensor<1x64x48xf16>
  %d = ane.matmul %r, %down : (tensor<1x64x48xf16>, tensor<48x32xf16>) -> tensor<1x64x32xf16>
  %y = ane.add %d, %x : (tensor<1x64x32xf16>, tensor<1x64x32xf16>) -> tensor<1x64x32xf16>
  return %y : tensor<1x64x32xf16>
}

// -----
// Attention: the transposes of heads vanish into the products' flags.
// CHECK-LABEL: func @attention(
// CHECK: ane.transpose %arg0
// CHECK-NOT: ane.transpose %{{.*}}tensor<1x4
// CHECK: ane.matmul %{{.*}} {transpose_x = true} : (tensor<1x4x8x64xf16>, tensor<1x4x8x64xf16>) -> tensor<1x4x64x64xf16>
// CHECK: ane.softmax
// CHECK: ane.matmul %{{.*}} {transpose_y = true} : (tensor<1x4x8x64xf16>, tensor<1x4x64x64xf16>) -> tensor<1x4x8x64xf16>
// CHECK: ane.reshape %{{.*}} -> tensor<1x32x1x64xf16>
// CHECK: ane.conv
// CHECK: ane.transpose
// CHECK-NEXT: return
func.func @attention(%x: tensor<1x64x32xf16>) -> tensor<1x64x32xf16> {
  %w = ane.constant dense<1.0> : tensor<32x32xf16>
  %q0 = ane.matmul %x, %w : (tensor<1x64x32xf16>, tensor<32x32xf16>) -> tensor<1x64x32xf16>
  %q1 = ane.reshape %q0 {shape = array<i64: 1, 64, 4, 8>} : (tensor<1x64x32xf16>) -> tensor<1x64x4x8xf16>
  %q = ane.transpose %q1 {perm = array<i64: 0, 2, 1, 3>} : (tensor<1x64x4x8xf16>) -> tensor<1x4x64x8xf16>
  %k = ane.transpose %q1 {perm = array<i64: 0, 2, 3, 1>} : (tensor<1x64x4x8xf16>) -> tensor<1x4x8x64xf16>
  %s = ane.matmul %q, %k : (tensor<1x4x64x8xf16>, tensor<1x4x8x64xf16>) -> tensor<1x4x64x64xf16>
  %p = ane.softmax %s : (tensor<1x4x64x64xf16>) -> tensor<1x4x64x64xf16>
  %o = ane.matmul %p, %q : (tensor<1x4x64x64xf16>, tensor<1x4x64x8xf16>) -> tensor<1x4x64x8xf16>
  %o1 = ane.transpose %o {perm = array<i64: 0, 2, 1, 3>} : (tensor<1x4x64x8xf16>) -> tensor<1x64x4x8xf16>
  %o2 = ane.reshape %o1 {shape = array<i64: 1, 64, 32>} : (tensor<1x64x4x8xf16>) -> tensor<1x64x32xf16>
  %y = ane.matmul %o2, %w : (tensor<1x64x32xf16>, tensor<32x32xf16>) -> tensor<1x64x32xf16>
  return %y : tensor<1x64x32xf16>
}

// -----
// Slices, splits, reductions and concatenations map their axes.
// CHECK-LABEL: func @axes(
// CHECK: ane.conv
// CHECK: ane.split %{{.*}} {axis = 1 : i64, num_splits = 2 : i64} : (tensor<1x32x1x64xf16>) -> (tensor<1x16x1x64xf16>, tensor<1x16x1x64xf16>)
// CHECK: ane.slice_by_size %{{.*}} {begin = array<i64: 0, 4, 0, 0>, size = array<i64: 1, 8, 1, 64>}
// CHECK: ane.reduce_max %{{.*}} {axes = array<i64: 1>, keep_dims = true} : (tensor<1x16x1x64xf16>) -> tensor<1x1x1x64xf16>
// CHECK: ane.concat {{.*}} {axis = 1 : i64} : (tensor<1x8x1x64xf16>, tensor<1x1x1x64xf16>) -> tensor<1x9x1x64xf16>
func.func @axes(%x: tensor<1x64x32xf16>) -> tensor<1x64x12xf16> {
  %w = ane.constant dense<1.0> : tensor<32x32xf16>
  %v = ane.constant dense<1.0> : tensor<9x12xf16>
  %h = ane.matmul %x, %w : (tensor<1x64x32xf16>, tensor<32x32xf16>) -> tensor<1x64x32xf16>
  %a, %b = ane.split %h {axis = 2 : i64, num_splits = 2 : i64} : (tensor<1x64x32xf16>) -> (tensor<1x64x16xf16>, tensor<1x64x16xf16>)
  %s = ane.slice_by_size %a {begin = array<i64: 0, 0, 4>, size = array<i64: 1, 64, 8>} : (tensor<1x64x16xf16>) -> tensor<1x64x8xf16>
  %m = ane.reduce_max %b {axes = array<i64: 2>, keep_dims = true} : (tensor<1x64x16xf16>) -> tensor<1x64x1xf16>
  %c = ane.concat %s, %m {axis = 2 : i64} : (tensor<1x64x8xf16>, tensor<1x64x1xf16>) -> tensor<1x64x9xf16>
  %y = ane.matmul %c, %v : (tensor<1x64x9xf16>, tensor<9x12xf16>) -> tensor<1x64x12xf16>
  return %y : tensor<1x64x12xf16>
}

// -----
// An image model has nothing to gain.
// CHECK-LABEL: func @image(
// CHECK-NOT: ane.transpose
func.func @image(%x: tensor<1x3x8x8xf16>) -> tensor<1x4x8x8xf16> {
  %w = ane.constant dense<1.0> : tensor<4x3x1x1xf16>
  %y = ane.conv %x, %w {dilations = array<i64: 1, 1>, pad = array<i64: 0, 0, 0, 0>, pad_type = "valid", strides = array<i64: 1, 1>} : (tensor<1x3x8x8xf16>, tensor<4x3x1x1xf16>) -> tensor<1x4x8x8xf16>
  %r = ane.relu %y : (tensor<1x4x8x8xf16>) -> tensor<1x4x8x8xf16>
  return %r : tensor<1x4x8x8xf16>
}

// -----
// Channels-last images: two token axes. What the exporter wrote around the block cancels.
// CHECK-LABEL: func @image_block(
// CHECK-NOT: perm = array<i64: 0, 2, 3, 1>
// CHECK: ane.conv {{.*}} : (tensor<1x4x6x8xf16>, tensor<10x4x1x1xf16>) -> tensor<1x10x6x8xf16>
// CHECK: ane.relu {{.*}} : (tensor<1x10x6x8xf16>)
// CHECK-NOT: perm = array<i64: 0, 3, 1, 2>
// CHECK: return
func.func @image_block(%x: tensor<1x4x6x8xf16>) -> tensor<1x4x6x8xf16> {
  %up = ane.constant dense<1.0> : tensor<4x10xf16>
  %down = ane.constant dense<1.0> : tensor<10x4xf16>
  %t = ane.transpose %x {perm = array<i64: 0, 2, 3, 1>} : (tensor<1x4x6x8xf16>) -> tensor<1x6x8x4xf16>
  %h = ane.matmul %t, %up : (tensor<1x6x8x4xf16>, tensor<4x10xf16>) -> tensor<1x6x8x10xf16>
  %r = ane.relu %h : (tensor<1x6x8x10xf16>) -> tensor<1x6x8x10xf16>
  %d = ane.matmul %r, %down : (tensor<1x6x8x10xf16>, tensor<10x4xf16>) -> tensor<1x6x8x4xf16>
  %b = ane.transpose %d {perm = array<i64: 0, 3, 1, 2>} : (tensor<1x6x8x4xf16>) -> tensor<1x4x6x8xf16>
  %y = ane.add %b, %x : (tensor<1x4x6x8xf16>, tensor<1x4x6x8xf16>) -> tensor<1x4x6x8xf16>
  return %y : tensor<1x4x6x8xf16>
}

// -----

// A norm over the tokens themselves stays where they are the axis that it says.
// CHECK-LABEL: func @norm_over_tokens
// CHECK: ane.layer_norm {{.*}}axes = array<i64: 1>{{.*}}tensor<1x64x128xf16>
func.func @norm_over_tokens(%x: tensor<1x64x128xf16>) -> tensor<1x64x128xf16> {
  %w = ane.constant dense<1.0> : tensor<128x128xf16>
  %g = ane.constant dense<1.0> : tensor<64xf16>
  %a = ane.matmul %x, %w : (tensor<1x64x128xf16>, tensor<128x128xf16>) -> tensor<1x64x128xf16>
  %n = ane.layer_norm %a {axes = array<i64: 1>, epsilon = 1.0e-5 : f32, operandSegmentSizes = array<i32: 1, 0, 0>} : (tensor<1x64x128xf16>) -> tensor<1x64x128xf16>
  %b = ane.matmul %n, %w : (tensor<1x64x128xf16>, tensor<128x128xf16>) -> tensor<1x64x128xf16>
  return %b : tensor<1x64x128xf16>
}
