// RUN: ane-opt %s --ane-tile | FileCheck %s
// RUN: ane-opt %s --ane-tile --remarks-filter=ane-tile --remark-format=emitRemark -o /dev/null 2>&1 | FileCheck %s --check-prefix=SAID
// RUN: ane-opt %s --ane-tile="live-bytes=0" | FileCheck %s --check-prefix=WHOLE
// RUN: ane-opt %s --ane-tile="live-bytes=1048576" | FileCheck %s --check-prefix=LIVE
// RUN: ane-opt %s --ane-tile="live-bytes=131072" | FileCheck %s --check-prefix=ROWS

// Scores of 12 heads that may not be alive together are made head by head.
// LIVE-LABEL: func @attention
// LIVE-NOT: tensor<1x12x256x256xf16>
// LIVE: ane.concat {{.*}}axis = 1
func.func @attention(%q: tensor<1x12x256x32xf16>, %k: tensor<1x12x32x256xf16>, %v: tensor<1x12x256x32xf16>) -> tensor<1x12x256x32xf16> {
  %s = ane.matmul %q, %k : (tensor<1x12x256x32xf16>, tensor<1x12x32x256xf16>) -> tensor<1x12x256x256xf16>
  %p = ane.softmax %s : (tensor<1x12x256x256xf16>) -> tensor<1x12x256x256xf16>
  %o = ane.matmul %p, %v : (tensor<1x12x256x256xf16>, tensor<1x12x256x32xf16>) -> tensor<1x12x256x32xf16>
  return %o : tensor<1x12x256x32xf16>
}

// Small enough as it is.
// CHECK-LABEL: func @small
// CHECK: ane.conv
// CHECK-NOT: ane.conv
// CHECK: return
func.func @small(%x: tensor<1x32x1x64xf16>) -> tensor<1x32x1x64xf16> {
  %w = ane.constant dense<1.0> : tensor<32x32x1x1xf16>
  %y = ane.conv %x, %w {strides = array<i64: 1, 1>, pad_type = "valid", pad = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x32x1x64xf16>, tensor<32x32x1x1xf16>) -> tensor<1x32x1x64xf16>
  return %y : tensor<1x32x1x64xf16>
}

// Weights beyond the working set (S20) stay whole: in parts they stream no faster.
// CHECK-LABEL: func @wide
// CHECK: ane.conv {{.*}}tensor<1x2048x1x64xf16>
// CHECK: ane.conv {{.*}}tensor<1x1024x1x64xf16>
// CHECK-NEXT: return
func.func @wide(%x: tensor<1x1024x1x64xf16>) -> tensor<1x1024x1x64xf16> {
  %w = ane.constant dense<1.0> : tensor<2048x1024x1x1xf16>
  %v = ane.constant dense<1.0> : tensor<1024x2048x1x1xf16>
  %y = ane.conv %x, %w {strides = array<i64: 1, 1>, pad_type = "valid", pad = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x1024x1x64xf16>, tensor<2048x1024x1x1xf16>) -> tensor<1x2048x1x64xf16>
  %r = ane.relu %y : (tensor<1x2048x1x64xf16>) -> tensor<1x2048x1x64xf16>
  %z = ane.conv %r, %v {strides = array<i64: 1, 1>, pad_type = "valid", pad = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x2048x1x64xf16>, tensor<1024x2048x1x1xf16>) -> tensor<1x1024x1x64xf16>
  return %z : tensor<1x1024x1x64xf16>
}

// Rows of a strided convolution, with the rows of the first one under them: neighbours overlap, padding stays at the rim.
// ROWS-LABEL: func @rows
// ROWS-SAME: ane.live_bytes = 71168
// ROWS: ane.slice_by_size %arg0 {begin = array<i64: 0, 0, 0, 0>, size = array<i64: 1, 4, 17, 64>}
// ROWS: ane.conv {{.*}}pad = array<i64: 1, 0, 1, 1>
// ROWS: ane.conv {{.*}}pad = array<i64: 1, 0, 2, 1>
// ROWS: ane.slice_by_size %arg0 {begin = array<i64: 0, 0, 14, 0>, size = array<i64: 1, 4, 19, 64>}
// ROWS: ane.conv {{.*}}pad = array<i64: 0, 0, 1, 1>
// ROWS: ane.concat {{.*}}axis = 2
func.func @rows(%x: tensor<1x4x64x64xf16>) -> tensor<1x4x16x16xf16> {
  %w = ane.constant dense<0.5> : tensor<16x4x3x3xf16>
  %v = ane.constant dense<0.5> : tensor<4x16x5x5xf16>
  %y = ane.conv %x, %w {strides = array<i64: 1, 1>, pad_type = "same", pad = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x4x64x64xf16>, tensor<16x4x3x3xf16>) -> tensor<1x16x64x64xf16>
  %r = ane.relu %y : (tensor<1x16x64x64xf16>) -> tensor<1x16x64x64xf16>
  %z = ane.conv %r, %v {strides = array<i64: 4, 4>, pad_type = "custom", pad = array<i64: 1, 2, 2, 1>, dilations = array<i64: 1, 1>} : (tensor<1x16x64x64xf16>, tensor<4x16x5x5xf16>) -> tensor<1x4x16x16xf16>
  return %z : tensor<1x4x16x16xf16>
}

// A norm over rows needs all of them: parts have all 64.
// LIVE-LABEL: func @norm_over_rows
// LIVE-NOT: ane.layer_norm {{.*}}tensor<1x{{[0-9]+}}x{{[0-9]|[1-5][0-9]}}x64xf16>
// LIVE: return
func.func @norm_over_rows(%x: tensor<1x64x64x64xf16>) -> tensor<1x4x64x64xf16> {
  %w0 = ane.constant dense<1.0> : tensor<256x64x1x1xf16>
  %w = ane.constant dense<1.0> : tensor<4x256x1x1xf16>
  %r = ane.conv %x, %w0 {strides = array<i64: 1, 1>, pad_type = "valid", pad = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x64x64x64xf16>, tensor<256x64x1x1xf16>) -> tensor<1x256x64x64xf16>
  %n = ane.layer_norm %r {axes = array<i64: 2>, epsilon = 1.0e-5 : f32, operandSegmentSizes = array<i32: 1, 0, 0>} : (tensor<1x256x64x64xf16>) -> tensor<1x256x64x64xf16>
  %y = ane.conv %n, %w {strides = array<i64: 1, 1>, pad_type = "valid", pad = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x256x64x64xf16>, tensor<4x256x1x1xf16>) -> tensor<1x4x64x64xf16>
  return %y : tensor<1x4x64x64xf16>
}

// Beyond on-chip memory softmax and products slow down, more than slices cost.
// CHECK-LABEL: func @long_attention
// CHECK-SAME: ane.live_bytes
// CHECK-NOT: tensor<1x12x1500x1500xf16>
// CHECK-COUNT-4: ane.softmax
// CHECK: ane.concat
// CHECK: return
// WHOLE-LABEL: func @long_attention
// WHOLE: ane.softmax {{.*}}tensor<1x12x1500x1500xf16>
func.func @long_attention(%q: tensor<1x12x1500x64xf16>, %k: tensor<1x12x1500x64xf16>, %v: tensor<1x12x1500x64xf16>) -> tensor<1x12x1500x64xf16> {
  %s = ane.matmul %q, %k {transpose_y = true} : (tensor<1x12x1500x64xf16>, tensor<1x12x1500x64xf16>) -> tensor<1x12x1500x1500xf16>
  %p = ane.softmax %s {axis = 3 : i64} : (tensor<1x12x1500x1500xf16>) -> tensor<1x12x1500x1500xf16>
  %o = ane.matmul %p, %v : (tensor<1x12x1500x1500xf16>, tensor<1x12x1500x64xf16>) -> tensor<1x12x1500x64xf16>
  return %o : tensor<1x12x1500x64xf16>
}

// Of a product whose operands are both too large rows and columns; columns are cut out once for all rows.
// CHECK-LABEL: func @product
// CHECK-COUNT-8: ane.matmul
// CHECK-NOT: ane.matmul
// CHECK: return
func.func @product(%x: tensor<1x1x4096x4096xf16>, %y: tensor<1x1x4096x4096xf16>) -> tensor<1x1x4096x4096xf16> {
  %z = ane.matmul %x, %y : (tensor<1x1x4096x4096xf16>, tensor<1x1x4096x4096xf16>) -> tensor<1x1x4096x4096xf16>
  return %z : tensor<1x1x4096x4096xf16>
}

// An element-wise op has more to move in parts.
// SAID: [[@LINE+5]]:{{.*}}Missed{{.*}}403 MB are beyond on-chip memory, but no parts of it are predicted to be faster
// CHECK-LABEL: func @elementwise
// CHECK-COUNT-1: ane.mul
// CHECK-NEXT: return
func.func @elementwise(%x: tensor<1x64x1024x1024xf16>) -> tensor<1x64x1024x1024xf16> {
  %z = ane.mul %x, %x : (tensor<1x64x1024x1024xf16>, tensor<1x64x1024x1024xf16>) -> tensor<1x64x1024x1024xf16>
  return %z : tensor<1x64x1024x1024xf16>
}

// Heads that share keys four by four: each part has one of every group, so that keys and values are taken as they are, and
// its own part of the projection, ordinary or in groups. Rows of the weight are taken apart where they lie.
// SAID: 36 MB are beyond on-chip memory: made in 4 parts by turns, 12 operations together, {{[0-9.]+}} us predicted to be saved
// CHECK-LABEL: func @grouped_heads
// CHECK-NOT: ane.concat {{.*}}32x1024xf16>
// CHECK: ane.reshape %{{.*}} {shape = array<i64: 4, 4, 32, 64, 1, 1>}
// CHECK: ane.slice_by_size {{.*}}begin = array<i64: 0, 0, 0, 0, 0, 0>, size = array<i64: 4, 1, 32, 64, 1, 1>
// CHECK: ane.conv %arg0, {{.*}}tensor<128x64x1x1xf16>) -> tensor<1x128x1x1024xf16>
// CHECK: ane.conv {{.*}}groups = 4 : i64{{.*}}tensor<128x32x1x1xf16>) -> tensor<1x128x1x1024xf16>
// CHECK: ane.matmul {{.*}}tensor<1x4x32x1024xf16>) -> tensor<1x4x1024x1024xf16>
// CHECK: ane.matmul {{.*}}-> tensor<1x4x32x1024xf16>
// CHECK: slice_by_size {{.*}}begin = array<i64: 0, 3, 0, 0, 0, 0>, size = array<i64: 4, 1, 32, 64, 1, 1>
// CHECK: ane.concat {{.*}}axis = 2 : i64{{.*}} -> tensor<1x4x4x32x1024xf16>
// CHECK: return
func.func @grouped_heads(%x: tensor<1x64x1x1024xf16>, %k: tensor<1x4x32x1024xf16>, %v: tensor<1x4x32x1024xf16>) -> tensor<1x512x1x1024xf16> {
  %w = ane.constant dense<0.5> : tensor<512x64x1x1xf16>
  %t = ane.constant dense<0.25> : tensor<512x32x1x1xf16>
  %p = ane.conv %x, %w {strides = array<i64: 1, 1>, pad_type = "valid", pad = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x64x1x1024xf16>, tensor<512x64x1x1xf16>) -> tensor<1x512x1x1024xf16>
  %r = ane.conv %p, %t {strides = array<i64: 1, 1>, pad_type = "valid", pad = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 16 : i64} : (tensor<1x512x1x1024xf16>, tensor<512x32x1x1xf16>) -> tensor<1x512x1x1024xf16>
  %q = ane.reshape %r {shape = array<i64: 1, 16, 32, 1024>} : (tensor<1x512x1x1024xf16>) -> tensor<1x16x32x1024xf16>
  %k0 = ane.reshape %k {shape = array<i64: 1, 4, 1, 32, 1024>} : (tensor<1x4x32x1024xf16>) -> tensor<1x4x1x32x1024xf16>
  %k1 = ane.concat %k0, %k0, %k0, %k0 {axis = 2 : i64} : (tensor<1x4x1x32x1024xf16>, tensor<1x4x1x32x1024xf16>, tensor<1x4x1x32x1024xf16>, tensor<1x4x1x32x1024xf16>) -> tensor<1x4x4x32x1024xf16>
  %k2 = ane.reshape %k1 {shape = array<i64: 1, 16, 32, 1024>} : (tensor<1x4x4x32x1024xf16>) -> tensor<1x16x32x1024xf16>
  %v0 = ane.reshape %v {shape = array<i64: 1, 4, 1, 32, 1024>} : (tensor<1x4x32x1024xf16>) -> tensor<1x4x1x32x1024xf16>
  %v1 = ane.concat %v0, %v0, %v0, %v0 {axis = 2 : i64} : (tensor<1x4x1x32x1024xf16>, tensor<1x4x1x32x1024xf16>, tensor<1x4x1x32x1024xf16>, tensor<1x4x1x32x1024xf16>) -> tensor<1x4x4x32x1024xf16>
  %v2 = ane.reshape %v1 {shape = array<i64: 1, 16, 32, 1024>} : (tensor<1x4x4x32x1024xf16>) -> tensor<1x16x32x1024xf16>
  %s = ane.matmul %q, %k2 {transpose_x = true} : (tensor<1x16x32x1024xf16>, tensor<1x16x32x1024xf16>) -> tensor<1x16x1024x1024xf16>
  %a = ane.softmax %s {axis = 3 : i64} : (tensor<1x16x1024x1024xf16>) -> tensor<1x16x1024x1024xf16>
  %o = ane.matmul %v2, %a {transpose_y = true} : (tensor<1x16x32x1024xf16>, tensor<1x16x1024x1024xf16>) -> tensor<1x16x32x1024xf16>
  %y = ane.reshape %o {shape = array<i64: 1, 512, 1, 1024>} : (tensor<1x16x32x1024xf16>) -> tensor<1x512x1x1024xf16>
  return %y : tensor<1x512x1x1024xf16>
}

// Where parts are single heads, each takes its keys by one slice, not by one of copies.
// CHECK-LABEL: func @single_heads
// CHECK-NOT: ane.concat {{.*}}axis = 2
// CHECK: ane.slice_by_size {{.*}}begin = array<i64: 0, 0, 0, 0, 0>, size = array<i64: 1, 1, 1, 32, 2048>
// CHECK-NOT: tensor<1x4x4x32x2048xf16>
// CHECK: ane.matmul {{.*}}-> tensor<1x1x2048x2048xf16>
// CHECK: ane.concat {{.*}} -> tensor<1x16x32x2048xf16>
func.func @single_heads(%x: tensor<1x64x1x2048xf16>, %k: tensor<1x4x32x2048xf16>, %v: tensor<1x4x32x2048xf16>) -> tensor<1x512x1x2048xf16> {
  %w = ane.constant dense<0.5> : tensor<512x64x1x1xf16>
  %t = ane.constant dense<0.25> : tensor<512x32x1x1xf16>
  %p = ane.conv %x, %w {strides = array<i64: 1, 1>, pad_type = "valid", pad = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x64x1x2048xf16>, tensor<512x64x1x1xf16>) -> tensor<1x512x1x2048xf16>
  %r = ane.conv %p, %t {strides = array<i64: 1, 1>, pad_type = "valid", pad = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 16 : i64} : (tensor<1x512x1x2048xf16>, tensor<512x32x1x1xf16>) -> tensor<1x512x1x2048xf16>
  %q = ane.reshape %r {shape = array<i64: 1, 16, 32, 2048>} : (tensor<1x512x1x2048xf16>) -> tensor<1x16x32x2048xf16>
  %k0 = ane.reshape %k {shape = array<i64: 1, 4, 1, 32, 2048>} : (tensor<1x4x32x2048xf16>) -> tensor<1x4x1x32x2048xf16>
  %k1 = ane.concat %k0, %k0, %k0, %k0 {axis = 2 : i64} : (tensor<1x4x1x32x2048xf16>, tensor<1x4x1x32x2048xf16>, tensor<1x4x1x32x2048xf16>, tensor<1x4x1x32x2048xf16>) -> tensor<1x4x4x32x2048xf16>
  %k2 = ane.reshape %k1 {shape = array<i64: 1, 16, 32, 2048>} : (tensor<1x4x4x32x2048xf16>) -> tensor<1x16x32x2048xf16>
  %v0 = ane.reshape %v {shape = array<i64: 1, 4, 1, 32, 2048>} : (tensor<1x4x32x2048xf16>) -> tensor<1x4x1x32x2048xf16>
  %v1 = ane.concat %v0, %v0, %v0, %v0 {axis = 2 : i64} : (tensor<1x4x1x32x2048xf16>, tensor<1x4x1x32x2048xf16>, tensor<1x4x1x32x2048xf16>, tensor<1x4x1x32x2048xf16>) -> tensor<1x4x4x32x2048xf16>
  %v2 = ane.reshape %v1 {shape = array<i64: 1, 16, 32, 2048>} : (tensor<1x4x4x32x2048xf16>) -> tensor<1x16x32x2048xf16>
  %s = ane.matmul %q, %k2 {transpose_x = true} : (tensor<1x16x32x2048xf16>, tensor<1x16x32x2048xf16>) -> tensor<1x16x2048x2048xf16>
  %a = ane.softmax %s {axis = 3 : i64} : (tensor<1x16x2048x2048xf16>) -> tensor<1x16x2048x2048xf16>
  %o = ane.matmul %v2, %a {transpose_y = true} : (tensor<1x16x32x2048xf16>, tensor<1x16x2048x2048xf16>) -> tensor<1x16x32x2048xf16>
  %y = ane.reshape %o {shape = array<i64: 1, 512, 1, 2048>} : (tensor<1x16x32x2048xf16>) -> tensor<1x512x1x2048xf16>
  return %y : tensor<1x512x1x2048xf16>
}

// Of one row there are no rows: columns are parts.
// CHECK-LABEL: func @one_row
// CHECK: return
func.func @one_row(%x: tensor<1x8192xf16>, %y: tensor<8192x4096xf16>, %z: tensor<4096x1xf16>) -> tensor<1x1xf16> {
  %0 = ane.matmul %x, %y : (tensor<1x8192xf16>, tensor<8192x4096xf16>) -> tensor<1x4096xf16>
  %1 = ane.matmul %0, %z : (tensor<1x4096xf16>, tensor<4096x1xf16>) -> tensor<1x1xf16>
  return %1 : tensor<1x1xf16>
}
