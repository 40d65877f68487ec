// RUN: ane-opt %s --ane-fold-into-conv | FileCheck %s
// RUN: ane-opt %s --ane-fold-into-conv --ane-evaluate-constants="numerics=fp32" | FileCheck %s --check-prefix=VALUE
// RUN: ane-opt %s --ane-fold-into-conv=scale-only=true --ane-evaluate-constants="numerics=fp32" | FileCheck %s --check-prefix=NORM

// Batch norm: weight * gamma / sqrt(var), bias = beta - mean * gamma / sqrt(var).
// CHECK-LABEL: func @batch_norm
// CHECK-NOT: ane.batch_norm
// CHECK: %[[Y:.+]] = ane.conv %arg0, %{{.+}}, %{{.+}} {
// CHECK: return %[[Y]]
// VALUE-LABEL: func @batch_norm
// VALUE-DAG{LITERAL}: dense<[[[[6.000000e+00]]], [[[1.000000e+00]]]]>
// VALUE-DAG: dense<[-2.000000e+00, 4.000000e+00]>
func.func @batch_norm(%x: tensor<1x1x2x2xf32>) -> tensor<1x2x2x2xf32> {
  %w = ane.constant dense<[[[[2.0]]], [[[4.0]]]]> : tensor<2x1x1x1xf32>
  %mean = ane.constant dense<[1.0, 0.0]> : tensor<2xf32>
  %var = ane.constant dense<[1.0, 16.0]> : tensor<2xf32>
  %gamma = ane.constant dense<[3.0, 1.0]> : tensor<2xf32>
  %beta = ane.constant dense<[1.0, 4.0]> : tensor<2xf32>
  %c = ane.conv %x, %w {strides = array<i64: 1, 1>, pad_type = "valid", pad = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x1x2x2xf32>, tensor<2x1x1x1xf32>) -> tensor<1x2x2x2xf32>
  %y = ane.batch_norm %c, %mean, %var, %gamma, %beta {epsilon = 0.0 : f32, operandSegmentSizes = array<i32: 1, 1, 1, 1, 1>} : (tensor<1x2x2x2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<1x2x2x2xf32>
  return %y : tensor<1x2x2x2xf32>
}

// A convolution that something else reads keeps its own result.
// CHECK-LABEL: func @two_users
// CHECK: ane.add
func.func @two_users(%x: tensor<1x1x2x2xf32>) -> (tensor<1x1x2x2xf32>, tensor<1x1x2x2xf32>) {
  %w = ane.constant dense<2.0> : tensor<1x1x1x1xf32>
  %b = ane.constant dense<1.0> : tensor<1x1x1xf32>
  %c = ane.conv %x, %w {strides = array<i64: 1, 1>, pad_type = "valid", pad = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x1x2x2xf32>, tensor<1x1x1x1xf32>) -> tensor<1x1x2x2xf32>
  %y = ane.add %c, %b : (tensor<1x1x2x2xf32>, tensor<1x1x1xf32>) -> tensor<1x1x2x2xf32>
  return %c, %y : tensor<1x1x2x2xf32>, tensor<1x1x2x2xf32>
}

// Zero padding becomes the convolution's own; other values do not.
// CHECK-LABEL: func @pad
// CHECK: ane.conv %arg0, %{{.+}} {{.*}}pad = array<i64: 1, 0, 2, 3>, pad_type = "custom"
// CHECK: ane.pad
func.func @pad(%x: tensor<1x1x4x4xf32>) -> (tensor<1x1x5x9xf32>, tensor<1x1x5x4xf32>) {
  %w = ane.constant dense<2.0> : tensor<1x1x1x1xf32>
  %p = ane.pad %x {pad = array<i64: 1, 0, 2, 3>} : (tensor<1x1x4x4xf32>) -> tensor<1x1x5x9xf32>
  %c = ane.conv %p, %w {strides = array<i64: 1, 1>, pad_type = "valid", pad = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x1x5x9xf32>, tensor<1x1x1x1xf32>) -> tensor<1x1x5x9xf32>
  %q = ane.pad %x {pad = array<i64: 1, 0, 0, 0>, constant_val = 1.0 : f32} : (tensor<1x1x4x4xf32>) -> tensor<1x1x5x4xf32>
  %d = ane.conv %q, %w {strides = array<i64: 1, 1>, pad_type = "valid", pad = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x1x5x4xf32>, tensor<1x1x1x1xf32>) -> tensor<1x1x5x4xf32>
  return %c, %d : tensor<1x1x5x9xf32>, tensor<1x1x5x4xf32>
}

// A scale behind a bias is the bias' too.
// CHECK-LABEL: func @scaled_bias
// CHECK-NOT: ane.batch_norm
// CHECK: return
// VALUE-LABEL: func @scaled_bias
// VALUE-DAG: dense<[7.000000e+00, 4.000000e+00]>
func.func @scaled_bias(%x: tensor<1x1x2x2xf32>) -> tensor<1x2x2x2xf32> {
  %w = ane.constant dense<[[[[2.0]]], [[[4.0]]]]> : tensor<2x1x1x1xf32>
  %b = ane.constant dense<[2.0, 0.0]> : tensor<2xf32>
  %mean = ane.constant dense<0.0> : tensor<2xf32>
  %var = ane.constant dense<[1.0, 16.0]> : tensor<2xf32>
  %gamma = ane.constant dense<[3.0, 1.0]> : tensor<2xf32>
  %beta = ane.constant dense<[1.0, 4.0]> : tensor<2xf32>
  %c = ane.conv %x, %w, %b {strides = array<i64: 1, 1>, pad_type = "valid", pad = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, operandSegmentSizes = array<i32: 1, 1, 1>} : (tensor<1x1x2x2xf32>, tensor<2x1x1x1xf32>, tensor<2xf32>) -> tensor<1x2x2x2xf32>
  %y = ane.batch_norm %c, %mean, %var, %gamma, %beta {epsilon = 0.0 : f32, operandSegmentSizes = array<i32: 1, 1, 1, 1, 1>} : (tensor<1x2x2x2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<1x2x2x2xf32>
  return %y : tensor<1x2x2x2xf32>
}

// 1/sqrt(2) of a gelu goes to the convolution and bias before it, 0.5 sqrt(2) to the one behind it.
// CHECK-LABEL: func @gelu
// CHECK-DAG: %[[U:.*]] = ane.conv %arg0
// CHECK: ane.erf
// CHECK-NEXT: ane.add
// CHECK-NEXT: ane.mul
// CHECK-NOT: ane.mul {{.*}}tensor<1x16x1x32xf32>, tensor<f32>
// CHECK: return
func.func @gelu(%x: tensor<1x8x1x32xf32>) -> tensor<1x4x1x32xf32> {
  %w = ane.constant dense<0.5> : tensor<16x8x1x1xf32>
  %b = ane.constant dense<0.25> : tensor<1x16x1x1xf32>
  %v = ane.constant dense<0.5> : tensor<4x16x1x1xf32>
  %half = ane.constant dense<0.5> : tensor<f32>
  %root = ane.constant dense<0.70710678> : tensor<f32>
  %one = ane.constant dense<1.0> : tensor<f32>
  %c = ane.conv %x, %w {strides = array<i64: 1, 1>, pad_type = "valid", pad = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x8x1x32xf32>, tensor<16x8x1x1xf32>) -> tensor<1x16x1x32xf32>
  %y = ane.add %c, %b : (tensor<1x16x1x32xf32>, tensor<1x16x1x1xf32>) -> tensor<1x16x1x32xf32>
  %h = ane.mul %y, %half : (tensor<1x16x1x32xf32>, tensor<f32>) -> tensor<1x16x1x32xf32>
  %r = ane.mul %y, %root : (tensor<1x16x1x32xf32>, tensor<f32>) -> tensor<1x16x1x32xf32>
  %e = ane.erf %r : (tensor<1x16x1x32xf32>) -> tensor<1x16x1x32xf32>
  %a = ane.add %e, %one : (tensor<1x16x1x32xf32>, tensor<f32>) -> tensor<1x16x1x32xf32>
  %g = ane.mul %h, %a : (tensor<1x16x1x32xf32>, tensor<1x16x1x32xf32>) -> tensor<1x16x1x32xf32>
  %z = ane.conv %g, %v {strides = array<i64: 1, 1>, pad_type = "valid", pad = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x16x1x32xf32>, tensor<4x16x1x1xf32>) -> tensor<1x4x1x32xf32>
  return %z : tensor<1x4x1x32xf32>
}

// What a derivative reads too stays as it is.
// CHECK-LABEL: func @gelu_and_more
// CHECK: ane.mul {{.*}}(tensor<1x16x1x32xf32>, tensor<f32>)
// CHECK: ane.mul {{.*}}(tensor<1x16x1x32xf32>, tensor<f32>)
func.func @gelu_and_more(%x: tensor<1x8x1x32xf32>) -> (tensor<1x4x1x32xf32>, tensor<1x16x1x32xf32>) {
  %w = ane.constant dense<0.5> : tensor<16x8x1x1xf32>
  %v = ane.constant dense<0.5> : tensor<4x16x1x1xf32>
  %half = ane.constant dense<0.5> : tensor<f32>
  %root = ane.constant dense<0.70710678> : tensor<f32>
  %one = ane.constant dense<1.0> : tensor<f32>
  %y = ane.conv %x, %w {strides = array<i64: 1, 1>, pad_type = "valid", pad = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x8x1x32xf32>, tensor<16x8x1x1xf32>) -> tensor<1x16x1x32xf32>
  %h = ane.mul %y, %half : (tensor<1x16x1x32xf32>, tensor<f32>) -> tensor<1x16x1x32xf32>
  %r = ane.mul %y, %root : (tensor<1x16x1x32xf32>, tensor<f32>) -> tensor<1x16x1x32xf32>
  %e = ane.erf %r : (tensor<1x16x1x32xf32>) -> tensor<1x16x1x32xf32>
  %a = ane.add %e, %one : (tensor<1x16x1x32xf32>, tensor<f32>) -> tensor<1x16x1x32xf32>
  %g = ane.mul %h, %a : (tensor<1x16x1x32xf32>, tensor<1x16x1x32xf32>) -> tensor<1x16x1x32xf32>
  %z = ane.conv %g, %v {strides = array<i64: 1, 1>, pad_type = "valid", pad = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x16x1x32xf32>, tensor<4x16x1x1xf32>) -> tensor<1x4x1x32xf32>
  %d = ane.exp %r : (tensor<1x16x1x32xf32>) -> tensor<1x16x1x32xf32>
  return %z, %d : tensor<1x4x1x32xf32>, tensor<1x16x1x32xf32>
}

// In parts a norm ends with its factors and offsets: those of what convolutions alone read are the weights' and a bias, once. An
// image's 1/255 would leave little of them; what others read too, what codes stand for, and what is no norm's stays.
// NORM-LABEL: func @behind_a_norm
// NORM: %[[Z:.+]] = ane.mul %arg0, %{{.+}} : (tensor<1x2x1x4xf32>, tensor<1x1x1x4xf32>)
// NORM-NEXT: %[[W:.+]] = ane.constant dense<{{.*}}6.000000e+00{{.*}}-2.000000e+00
// NORM-NEXT: %[[Y:.+]] = ane.conv %[[Z]], %[[W]] {
// NORM-NEXT: %[[B:.+]] = ane.constant dense<7.000000e+00>
// NORM-NEXT: %[[S:.+]] = ane.add %[[Y]], %[[B]]
// NORM-NEXT: return %[[S]]
// NORM-LABEL: func @of_an_image
// NORM: ane.mul {{.+}} : (tensor<1x2x1x4xf32>, tensor<1x2x1x1xf32>)
// NORM-LABEL: func @read_twice
// NORM: ane.mul {{.+}} : (tensor<1x2x1x4xf32>, tensor<1x2x1x1xf32>)
// NORM: ane.add
// NORM-LABEL: func @of_codes
// NORM: ane.mul {{.+}} : (tensor<1x2x1x4xf32>, tensor<1x2x1x1xf32>)
// NORM-LABEL: func @before_padding
// NORM: ane.add %{{.+}} -> tensor<1x2x1x4xf32>
// NORM-LABEL: func @before_padding_of_its_own
// NORM: ane.add %{{.+}} -> tensor<1x2x1x4xf32>
// NORM-LABEL: func @of_pixels_less_their_mean
// NORM: ane.add %arg0
func.func @behind_a_norm(%u: tensor<1x2x1x4xf32>, %v: tensor<1x1x1x4xf32>) -> tensor<1x1x1x4xf32> {
  %i = ane.rsqrt %v : (tensor<1x1x1x4xf32>) -> tensor<1x1x1x4xf32>
  %x = ane.mul %u, %i : (tensor<1x2x1x4xf32>, tensor<1x1x1x4xf32>) -> tensor<1x2x1x4xf32>
  %gamma = ane.constant dense<[[[[3.0]], [[-1.0]]]]> : tensor<1x2x1x1xf32>
  %beta = ane.constant dense<[[[1.0]], [[2.0]]]> : tensor<2x1x1xf32>
  %w = ane.constant dense<[[[[2.0]], [[2.0]]]]> : tensor<1x2x1x1xf32>
  %bias = ane.constant dense<1.0> : tensor<1x1x1x1xf32>
  %s = ane.mul %x, %gamma : (tensor<1x2x1x4xf32>, tensor<1x2x1x1xf32>) -> tensor<1x2x1x4xf32>
  %n = ane.add %s, %beta : (tensor<1x2x1x4xf32>, tensor<2x1x1xf32>) -> tensor<1x2x1x4xf32>
  %c = ane.conv %n, %w {strides = array<i64: 1, 1>, pad_type = "valid", pad = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x2x1x4xf32>, tensor<1x2x1x1xf32>) -> tensor<1x1x1x4xf32>
  %y = ane.add %c, %bias : (tensor<1x1x1x4xf32>, tensor<1x1x1x1xf32>) -> tensor<1x1x1x4xf32>
  return %y : tensor<1x1x1x4xf32>
}
func.func @of_an_image(%u: tensor<1x2x1x4xf32>, %v: tensor<1x1x1x4xf32>) -> tensor<1x1x1x4xf32> {
  %i = ane.rsqrt %v : (tensor<1x1x1x4xf32>) -> tensor<1x1x1x4xf32>
  %x = ane.mul %u, %i : (tensor<1x2x1x4xf32>, tensor<1x1x1x4xf32>) -> tensor<1x2x1x4xf32>
  %scale = ane.constant dense<[[[[0.0039]], [[0.0042]]]]> : tensor<1x2x1x1xf32>
  %w = ane.constant dense<2.0> : tensor<1x2x1x1xf32>
  %s = ane.mul %x, %scale : (tensor<1x2x1x4xf32>, tensor<1x2x1x1xf32>) -> tensor<1x2x1x4xf32>
  %c = ane.conv %s, %w {strides = array<i64: 1, 1>, pad_type = "valid", pad = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x2x1x4xf32>, tensor<1x2x1x1xf32>) -> tensor<1x1x1x4xf32>
  return %c : tensor<1x1x1x4xf32>
}
func.func @read_twice(%u: tensor<1x2x1x4xf32>, %v: tensor<1x1x1x4xf32>) -> (tensor<1x1x1x4xf32>, tensor<1x2x1x4xf32>) {
  %i = ane.rsqrt %v : (tensor<1x1x1x4xf32>) -> tensor<1x1x1x4xf32>
  %x = ane.mul %u, %i : (tensor<1x2x1x4xf32>, tensor<1x1x1x4xf32>) -> tensor<1x2x1x4xf32>
  %gamma = ane.constant dense<[[[[3.0]], [[-1.0]]]]> : tensor<1x2x1x1xf32>
  %beta = ane.constant dense<[[[1.0]], [[2.0]]]> : tensor<2x1x1xf32>
  %w = ane.constant dense<2.0> : tensor<1x2x1x1xf32>
  %s = ane.mul %x, %gamma : (tensor<1x2x1x4xf32>, tensor<1x2x1x1xf32>) -> tensor<1x2x1x4xf32>
  %n = ane.add %s, %beta : (tensor<1x2x1x4xf32>, tensor<2x1x1xf32>) -> tensor<1x2x1x4xf32>
  %c = ane.conv %n, %w {strides = array<i64: 1, 1>, pad_type = "valid", pad = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x2x1x4xf32>, tensor<1x2x1x1xf32>) -> tensor<1x1x1x4xf32>
  return %c, %n : tensor<1x1x1x4xf32>, tensor<1x2x1x4xf32>
}
func.func @of_codes(%u: tensor<1x2x1x4xf32>, %v: tensor<1x1x1x4xf32>) -> tensor<1x1x1x4xf32> {
  %i = ane.rsqrt %v : (tensor<1x1x1x4xf32>) -> tensor<1x1x1x4xf32>
  %x = ane.mul %u, %i : (tensor<1x2x1x4xf32>, tensor<1x1x1x4xf32>) -> tensor<1x2x1x4xf32>
  %gamma = ane.constant dense<[[[[3.0]], [[-1.0]]]]> : tensor<1x2x1x1xf32>
  %codes = ane.constant dense<7> : tensor<1x2x1x1xi8>
  %step = ane.constant dense<0.5> : tensor<f32>
  %w = ane.dequantize %codes, %step : (tensor<1x2x1x1xi8>, tensor<f32>) -> tensor<1x2x1x1xf32>
  %s = ane.mul %x, %gamma : (tensor<1x2x1x4xf32>, tensor<1x2x1x1xf32>) -> tensor<1x2x1x4xf32>
  %c = ane.conv %s, %w {strides = array<i64: 1, 1>, pad_type = "valid", pad = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x2x1x4xf32>, tensor<1x2x1x1xf32>) -> tensor<1x1x1x4xf32>
  return %c : tensor<1x1x1x4xf32>
}
func.func @before_padding(%u: tensor<1x2x1x4xf32>, %v: tensor<1x1x1x4xf32>) -> tensor<1x1x1x6xf32> {
  %i = ane.rsqrt %v : (tensor<1x1x1x4xf32>) -> tensor<1x1x1x4xf32>
  %x = ane.mul %u, %i : (tensor<1x2x1x4xf32>, tensor<1x1x1x4xf32>) -> tensor<1x2x1x4xf32>
  %beta = ane.constant dense<[[[1.0]], [[2.0]]]> : tensor<2x1x1xf32>
  %w = ane.constant dense<2.0> : tensor<1x2x1x1xf32>
  %n = ane.add %x, %beta : (tensor<1x2x1x4xf32>, tensor<2x1x1xf32>) -> tensor<1x2x1x4xf32>
  %c = ane.conv %n, %w {strides = array<i64: 1, 1>, pad_type = "custom", pad = array<i64: 0, 0, 1, 1>, dilations = array<i64: 1, 1>} : (tensor<1x2x1x4xf32>, tensor<1x2x1x1xf32>) -> tensor<1x1x1x6xf32>
  return %c : tensor<1x1x1x6xf32>
}
func.func @before_padding_of_its_own(%u: tensor<1x2x1x4xf32>, %v: tensor<1x1x1x4xf32>) -> tensor<1x1x1x4xf32> {
  %i = ane.rsqrt %v : (tensor<1x1x1x4xf32>) -> tensor<1x1x1x4xf32>
  %x = ane.mul %u, %i : (tensor<1x2x1x4xf32>, tensor<1x1x1x4xf32>) -> tensor<1x2x1x4xf32>
  %beta = ane.constant dense<[[[1.0]], [[2.0]]]> : tensor<2x1x1xf32>
  %w = ane.constant dense<2.0> : tensor<1x2x1x3xf32>
  %n = ane.add %x, %beta : (tensor<1x2x1x4xf32>, tensor<2x1x1xf32>) -> tensor<1x2x1x4xf32>
  %c = ane.conv %n, %w {strides = array<i64: 1, 1>, pad_type = "same", pad = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x2x1x4xf32>, tensor<1x2x1x3xf32>) -> tensor<1x1x1x4xf32>
  return %c : tensor<1x1x1x4xf32>
}
func.func @of_pixels_less_their_mean(%x: tensor<1x2x1x4xf32>) -> tensor<1x1x1x4xf32> {
  %mean = ane.constant dense<[[[-128.0]], [[-120.0]]]> : tensor<2x1x1xf32>
  %w = ane.constant dense<2.0> : tensor<1x2x1x1xf32>
  %n = ane.add %x, %mean : (tensor<1x2x1x4xf32>, tensor<2x1x1xf32>) -> tensor<1x2x1x4xf32>
  %c = ane.conv %n, %w {strides = array<i64: 1, 1>, pad_type = "valid", pad = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x2x1x4xf32>, tensor<1x2x1x1xf32>) -> tensor<1x1x1x4xf32>
  return %c : tensor<1x1x1x4xf32>
}
