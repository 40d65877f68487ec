// Convolution, matmul, pooling against results worked out by hand.
// RUN: ane-opt %s --ane-evaluate-constants="numerics=fp32" | FileCheck %s
// RUN: ane-opt %s --ane-evaluate-constants="numerics=engine" | FileCheck %s

// CHECK-LABEL: func @conv_same_stride
// CHECK{LITERAL}: dense<[[[[1.200000e+01, 1.100000e+01], [2.400000e+01, 1.700000e+01]]]]>
func.func @conv_same_stride() -> tensor<1x1x2x2xf32> {
  %x = ane.constant dense<[[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]]]]> : tensor<1x1x3x3xf32>
  %w = ane.constant dense<1.0> : tensor<1x1x2x2xf32>
  %y = ane.conv %x, %w {strides = array<i64: 2, 2>, pad_type = "same", pad = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x1x3x3xf32>, tensor<1x1x2x2xf32>) -> tensor<1x1x2x2xf32>
  %z = ane.constant dense<[[[[0.0, 2.0], [9.0, 8.0]]]]> : tensor<1x1x2x2xf32>
  %s = ane.add %y, %z : (tensor<1x1x2x2xf32>, tensor<1x1x2x2xf32>) -> tensor<1x1x2x2xf32>
  return %s : tensor<1x1x2x2xf32>
}

// Two groups, dilation 2, bias, one spatial axis.
// CHECK-LABEL: func @conv_groups
// CHECK{LITERAL}: dense<[[[1.400000e+01, 1.600000e+01], [1.800000e+01, 2.000000e+01]]]>
func.func @conv_groups() -> tensor<1x2x2xf32> {
  %x = ane.constant dense<[[[1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 4.0]]]> : tensor<1x2x4xf32>
  %w = ane.constant dense<[[[1.0, 1.0]], [[2.0, 0.0]]]> : tensor<2x1x2xf32>
  %b = ane.constant dense<[10.0, 16.0]> : tensor<2xf32>
  %y = ane.conv %x, %w, %b {strides = array<i64: 1>, pad_type = "valid", pad = array<i64: 0, 0>, dilations = array<i64: 2>, groups = 2 : i64} : (tensor<1x2x4xf32>, tensor<2x1x2xf32>, tensor<2xf32>) -> tensor<1x2x2xf32>
  return %y : tensor<1x2x2xf32>
}

// CHECK-LABEL: func @matmul_transposed
// CHECK{LITERAL}: dense<[[1.700000e+01, 3.900000e+01]]>
func.func @matmul_transposed() -> tensor<1x2xf32> {
  %x = ane.constant dense<[[5.0], [6.0]]> : tensor<2x1xf32>
  %y = ane.constant dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf32>
  %z = ane.matmul %x, %y {transpose_x = true, transpose_y = true} : (tensor<2x1xf32>, tensor<2x2xf32>) -> tensor<1x2xf32>
  return %z : tensor<1x2xf32>
}

// Padding counts as zeros, unless excluded.
// CHECK-LABEL: func @avg_pool
// CHECK{LITERAL}: dense<[[[5.000000e-01, 2.500000e+00]]]>
// CHECK{LITERAL}: dense<[[[1.000000e+00, 2.500000e+00]]]>
func.func @avg_pool() -> (tensor<1x1x2xf32>, tensor<1x1x2xf32>) {
  %x = ane.constant dense<[[[1.0, 2.0, 3.0]]]> : tensor<1x1x3xf32>
  %a = ane.avg_pool %x {kernel_sizes = array<i64: 2>, strides = array<i64: 2>, pad_type = "custom", pad = array<i64: 1, 0>} : (tensor<1x1x3xf32>) -> tensor<1x1x2xf32>
  %b = ane.avg_pool %x {kernel_sizes = array<i64: 2>, strides = array<i64: 2>, pad_type = "custom", pad = array<i64: 1, 0>, exclude_padding_from_average = true} : (tensor<1x1x3xf32>) -> tensor<1x1x2xf32>
  return %a, %b : tensor<1x1x2xf32>, tensor<1x1x2xf32>
}

// Transposed convolution scatters, then crops.
// CHECK-LABEL: func @conv_transpose
// CHECK{LITERAL}: dense<[[[1.000000e+00, 3.000000e+00, 2.000000e+00, 2.000000e+00]]]>
func.func @conv_transpose() -> tensor<1x1x4xf32> {
  %x = ane.constant dense<[[[1.0, 2.0]]]> : tensor<1x1x2xf32>
  %w = ane.constant dense<1.0> : tensor<1x1x3xf32>
  %y = ane.conv_transpose %x, %w {strides = array<i64: 2>, pad_type = "custom", pad = array<i64: 1, 0>, dilations = array<i64: 1>} : (tensor<1x1x2xf32>, tensor<1x1x3xf32>) -> tensor<1x1x4xf32>
  return %y : tensor<1x1x4xf32>
}

// The first operand's h broadcasts.
// CHECK-LABEL: func @einsum
// CHECK{LITERAL}: dense<[[[2.010000e+02], [2.010000e+03]], [[4.030000e+02], [4.030000e+03]]]>
func.func @einsum() -> tensor<2x2x1xf32> {
  %x = ane.constant dense<[[[1.0, 2.0]], [[3.0, 4.0]]]> : tensor<2x1x2xf32>
  %y = ane.constant dense<[[[1.0], [10.0]], [[100.0], [1000.0]]]> : tensor<2x2x1xf32>
  %z = ane.einsum %x, %y {equation = "abc,cbd->abd"} : (tensor<2x1x2xf32>, tensor<2x2x1xf32>) -> tensor<2x2x1xf32>
  return %z : tensor<2x2x1xf32>
}
