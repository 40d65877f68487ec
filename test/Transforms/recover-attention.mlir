// Keys and values are multiplied as they lie: turned over by a flag, one copy for a group of heads, a cache and what is new.
// RUN: ane-opt %s --ane-recover | FileCheck %s

// CHECK-LABEL: func @turned
// CHECK: %[[S:.*]] = ane.matmul %arg0, %arg1 {transpose_y = true}
// CHECK-NEXT: return %[[S]]
func.func @turned(%q: tensor<1x4x8x16xf32>, %k: tensor<1x4x8x16xf32>) -> tensor<1x4x8x8xf32> {
  %t = ane.reshape %k {shape = array<i64: 4, 8, 16>} : (tensor<1x4x8x16xf32>) -> tensor<4x8x16xf32>
  %u = ane.transpose %t {perm = array<i64: 0, 2, 1>} : (tensor<4x8x16xf32>) -> tensor<4x16x8xf32>
  %v = ane.reshape %u {shape = array<i64: 1, 4, 16, 8>} : (tensor<4x16x8xf32>) -> tensor<1x4x16x8xf32>
  %s = ane.matmul %q, %v : (tensor<1x4x8x16xf32>, tensor<1x4x16x8xf32>) -> tensor<1x4x8x8xf32>
  return %s : tensor<1x4x8x8xf32>
}

// The weight of a convolution to be is not.
// CHECK-LABEL: func @weight
// CHECK: ane.transpose
func.func @weight(%x: tensor<4x8xf32>) -> tensor<4x16xf32> {
  %w = ane.constant dense<1.0> : tensor<16x8xf32>
  %t = ane.transpose %w {perm = array<i64: 1, 0>} : (tensor<16x8xf32>) -> tensor<8x16xf32>
  %y = ane.matmul %x, %t : (tensor<4x8xf32>, tensor<8x16xf32>) -> tensor<4x16xf32>
  return %y : tensor<4x16xf32>
}

// CHECK-LABEL: func @groups
// CHECK: %[[Q:.*]] = ane.reshape %arg0 {{.*}}-> tensor<1x2x3x16xf32>
// CHECK: %[[S:.*]] = ane.matmul %[[Q]], %arg1 {transpose_y = true}
// CHECK: ane.reshape %[[S]] {{.*}}-> tensor<1x6x1x64xf32>
func.func @groups(%q: tensor<1x6x1x16xf32>, %k: tensor<1x2x64x16xf32>) -> tensor<1x6x1x64xf32> {
  %a = ane.reshape %k {shape = array<i64: 1, 2, 1, 64, 16>} : (tensor<1x2x64x16xf32>) -> tensor<1x2x1x64x16xf32>
  %b = ane.tile %a {reps = array<i64: 1, 1, 3, 1, 1>} : (tensor<1x2x1x64x16xf32>) -> tensor<1x2x3x64x16xf32>
  %c = ane.reshape %b {shape = array<i64: 1, 6, 64, 16>} : (tensor<1x2x3x64x16xf32>) -> tensor<1x6x64x16xf32>
  %s = ane.matmul %q, %c {transpose_y = true} : (tensor<1x6x1x16xf32>, tensor<1x6x64x16xf32>) -> tensor<1x6x1x64xf32>
  return %s : tensor<1x6x1x64xf32>
}

// repeat_interleave by a gather; 0 1 0 1 is another order.
// CHECK-LABEL: func @gathered
// CHECK: ane.matmul {{.*}}tensor<1x2x64x16xf32>
// CHECK: ane.gather
// CHECK-NEXT: ane.matmul {{.*}}tensor<1x4x64x16xf32>
func.func @gathered(%q: tensor<1x4x1x16xf32>, %k: tensor<1x2x64x16xf32>) -> (tensor<1x4x1x64xf32>, tensor<1x4x1x64xf32>) {
  %i = ane.constant dense<[0, 0, 1, 1]> : tensor<4xi32>
  %j = ane.constant dense<[0, 1, 0, 1]> : tensor<4xi32>
  %a = ane.gather %k, %i {axis = 1 : i64} : (tensor<1x2x64x16xf32>, tensor<4xi32>) -> tensor<1x4x64x16xf32>
  %s = ane.matmul %q, %a {transpose_y = true} : (tensor<1x4x1x16xf32>, tensor<1x4x64x16xf32>) -> tensor<1x4x1x64xf32>
  %b = ane.gather %k, %j {axis = 1 : i64} : (tensor<1x2x64x16xf32>, tensor<4xi32>) -> tensor<1x4x64x16xf32>
  %t = ane.matmul %q, %b {transpose_y = true} : (tensor<1x4x1x16xf32>, tensor<1x4x64x16xf32>) -> tensor<1x4x1x64xf32>
  return %s, %t : tensor<1x4x1x64xf32>, tensor<1x4x1x64xf32>
}

// As many rows as keys: the heads would have to be put in order. Those of one key for all always are (L17).
// CHECK-LABEL: func @prefill
// CHECK: ane.tile
// CHECK: ane.matmul {{.*}}tensor<1x6x64x64xf32>
// CHECK: %[[Q:.*]] = ane.reshape %arg0 {{.*}}-> tensor<1x1x384x16xf32>
// CHECK: ane.matmul %[[Q]], %arg2 {{.*}}tensor<1x1x384x64xf32>
func.func @prefill(%q: tensor<1x6x64x16xf32>, %k: tensor<1x2x64x16xf32>, %m: tensor<1x1x64x16xf32>) -> (tensor<1x6x64x64xf32>, tensor<1x6x64x64xf32>) {
  %a = ane.reshape %k {shape = array<i64: 1, 2, 1, 64, 16>} : (tensor<1x2x64x16xf32>) -> tensor<1x2x1x64x16xf32>
  %b = ane.tile %a {reps = array<i64: 1, 1, 3, 1, 1>} : (tensor<1x2x1x64x16xf32>) -> tensor<1x2x3x64x16xf32>
  %c = ane.reshape %b {shape = array<i64: 1, 6, 64, 16>} : (tensor<1x2x3x64x16xf32>) -> tensor<1x6x64x16xf32>
  %s = ane.matmul %q, %c {transpose_y = true} : (tensor<1x6x64x16xf32>, tensor<1x6x64x16xf32>) -> tensor<1x6x64x64xf32>
  %t = ane.matmul %q, %m {transpose_y = true} : (tensor<1x6x64x16xf32>, tensor<1x1x64x16xf32>) -> tensor<1x6x64x64xf32>
  return %s, %t : tensor<1x6x64x64xf32>, tensor<1x6x64x64xf32>
}

// The cache and the new row are multiplied by themselves; the factor of the keys goes to the queries.
// CHECK-LABEL: func @cache
// CHECK-DAG: %[[Q:.*]] = ane.mul %arg0
// CHECK-DAG: %[[A:.*]] = ane.matmul %[[Q]], %arg1 {transpose_y = true} {{.*}}tensor<1x2x1x63xf32>
// CHECK-DAG: %[[B:.*]] = ane.matmul %[[Q]], %arg2 {transpose_y = true} {{.*}}tensor<1x2x1x1xf32>
// CHECK: %[[S:.*]] = ane.concat %[[A]], %[[B]]
// CHECK: %[[P:.*]] = ane.softmax %[[S]]
// CHECK-DAG: %[[C:.*]] = ane.slice_by_size %[[P]] {begin = array<i64: 0, 0, 0, 0>, size = array<i64: 1, 2, 1, 63>}
// CHECK-DAG: %[[D:.*]] = ane.slice_by_size %[[P]] {begin = array<i64: 0, 0, 0, 63>, size = array<i64: 1, 2, 1, 1>}
// CHECK-DAG: %[[E:.*]] = ane.matmul %[[C]], %arg3
// CHECK-DAG: %[[F:.*]] = ane.matmul %[[D]], %arg4
// CHECK: ane.add %[[E]], %[[F]]
func.func @cache(%q: tensor<1x2x1x16xf32>, %k: tensor<1x2x63x16xf32>, %newk: tensor<1x2x1x16xf32>, %v: tensor<1x2x63x16xf32>, %newv: tensor<1x2x1x16xf32>) -> tensor<1x2x1x16xf32> {
  %f = ane.constant dense<0.25> : tensor<f32>
  %a = ane.concat %k, %newk {axis = 2 : i64} : (tensor<1x2x63x16xf32>, tensor<1x2x1x16xf32>) -> tensor<1x2x64x16xf32>
  %b = ane.concat %v, %newv {axis = 2 : i64} : (tensor<1x2x63x16xf32>, tensor<1x2x1x16xf32>) -> tensor<1x2x64x16xf32>
  %t = ane.transpose %a {perm = array<i64: 0, 1, 3, 2>} : (tensor<1x2x64x16xf32>) -> tensor<1x2x16x64xf32>
  %u = ane.mul %t, %f : (tensor<1x2x16x64xf32>, tensor<f32>) -> tensor<1x2x16x64xf32>
  %s = ane.matmul %q, %u : (tensor<1x2x1x16xf32>, tensor<1x2x16x64xf32>) -> tensor<1x2x1x64xf32>
  %p = ane.softmax %s {axis = 3 : i64} : (tensor<1x2x1x64xf32>) -> tensor<1x2x1x64xf32>
  %o = ane.matmul %p, %b : (tensor<1x2x1x64xf32>, tensor<1x2x64x16xf32>) -> tensor<1x2x1x16xf32>
  return %o : tensor<1x2x1x16xf32>
}
