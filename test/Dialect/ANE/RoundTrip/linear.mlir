// One function per op: what is parsed verifies and prints alike.
// RUN: ane-opt %s | ane-opt | FileCheck %s

// CHECK-LABEL: func @conv(
// CHECK: ane.conv %arg0, %arg1 {dilations = array<i64: 1>, groups = 4 : i64, pad = array<i64: 0, 0>, pad_type = "valid", strides = array<i64: 1>} : (tensor<2x4x11xf16>, tensor<4x1x4xf16>) -> tensor<2x4x8xf16>
func.func @conv(%arg0: tensor<2x4x11xf16>, %arg1: tensor<4x1x4xf16>) -> tensor<2x4x8xf16> {
  %0 = ane.conv %arg0, %arg1 {dilations = array<i64: 1>, groups = 4 : i64, pad = array<i64: 0, 0>, pad_type = "valid", strides = array<i64: 1>} : (tensor<2x4x11xf16>, tensor<4x1x4xf16>) -> tensor<2x4x8xf16>
  return %0 : tensor<2x4x8xf16>
}

// CHECK-LABEL: func @conv_2(
// CHECK: ane.conv %arg0, %arg1 {dilations = array<i64: 1, 1>, groups = 3 : i64, pad = array<i64: 0, 0, 0, 0>, pad_type = "valid", strides = array<i64: 1, 1>} : (tensor<1x3x32x32xf16>, tensor<3x1x2x2xf16>) -> tensor<1x3x31x31xf16>
func.func @conv_2(%arg0: tensor<1x3x32x32xf16>, %arg1: tensor<3x1x2x2xf16>) -> tensor<1x3x31x31xf16> {
  %0 = ane.conv %arg0, %arg1 {dilations = array<i64: 1, 1>, groups = 3 : i64, pad = array<i64: 0, 0, 0, 0>, pad_type = "valid", strides = array<i64: 1, 1>} : (tensor<1x3x32x32xf16>, tensor<3x1x2x2xf16>) -> tensor<1x3x31x31xf16>
  return %0 : tensor<1x3x31x31xf16>
}

// CHECK-LABEL: func @conv_transpose(
// CHECK: ane.conv_transpose %arg0, %arg1 {dilations = array<i64: 1, 1>, groups = 2 : i64, pad = array<i64: 0, 0, 0, 0>, pad_type = "valid", strides = array<i64: 1, 1>} : (tensor<1x2x3x3xf16>, tensor<2x1x3x3xf16>) -> tensor<1x2x5x5xf16>
func.func @conv_transpose(%arg0: tensor<1x2x3x3xf16>, %arg1: tensor<2x1x3x3xf16>) -> tensor<1x2x5x5xf16> {
  %0 = ane.conv_transpose %arg0, %arg1 {dilations = array<i64: 1, 1>, groups = 2 : i64, pad = array<i64: 0, 0, 0, 0>, pad_type = "valid", strides = array<i64: 1, 1>} : (tensor<1x2x3x3xf16>, tensor<2x1x3x3xf16>) -> tensor<1x2x5x5xf16>
  return %0 : tensor<1x2x5x5xf16>
}

// CHECK-LABEL: func @conv_transpose_2(
// CHECK: ane.conv_transpose %arg0, %arg1 {dilations = array<i64: 1>, pad = array<i64: 0, 0>, pad_type = "valid", strides = array<i64: 1>} : (tensor<1x1x3xf16>, tensor<1x2x3xf16>) -> tensor<1x2x5xf16>
func.func @conv_transpose_2(%arg0: tensor<1x1x3xf16>, %arg1: tensor<1x2x3xf16>) -> tensor<1x2x5xf16> {
  %0 = ane.conv_transpose %arg0, %arg1 {dilations = array<i64: 1>, pad = array<i64: 0, 0>, pad_type = "valid", strides = array<i64: 1>} : (tensor<1x1x3xf16>, tensor<1x2x3xf16>) -> tensor<1x2x5xf16>
  return %0 : tensor<1x2x5xf16>
}

// CHECK-LABEL: func @matmul(
// CHECK: ane.matmul %arg0, %arg1 {transpose_x = true, transpose_y = true} : (tensor<4x3xf16>, tensor<5x4xf16>) -> tensor<3x5xf16>
func.func @matmul(%arg0: tensor<4x3xf16>, %arg1: tensor<5x4xf16>) -> tensor<3x5xf16> {
  %0 = ane.matmul %arg0, %arg1 {transpose_x = true, transpose_y = true} : (tensor<4x3xf16>, tensor<5x4xf16>) -> tensor<3x5xf16>
  return %0 : tensor<3x5xf16>
}

// CHECK-LABEL: func @matmul_2(
// CHECK: ane.matmul %arg0, %arg1 {transpose_x = true} : (tensor<6x3xf16>, tensor<6x4xf16>) -> tensor<3x4xf16>
func.func @matmul_2(%arg0: tensor<6x3xf16>, %arg1: tensor<6x4xf16>) -> tensor<3x4xf16> {
  %0 = ane.matmul %arg0, %arg1 {transpose_x = true} : (tensor<6x3xf16>, tensor<6x4xf16>) -> tensor<3x4xf16>
  return %0 : tensor<3x4xf16>
}

// CHECK-LABEL: func @linear(
// CHECK: ane.linear %arg0, %arg1, %arg2 : (tensor<2x3xf16>, tensor<5x3xf16>, tensor<5xf16>) -> tensor<2x5xf16>
func.func @linear(%arg0: tensor<2x3xf16>, %arg1: tensor<5x3xf16>, %arg2: tensor<5xf16>) -> tensor<2x5xf16> {
  %0 = ane.linear %arg0, %arg1, %arg2 : (tensor<2x3xf16>, tensor<5x3xf16>, tensor<5xf16>) -> tensor<2x5xf16>
  return %0 : tensor<2x5xf16>
}

// CHECK-LABEL: func @einsum(
// CHECK: ane.einsum %arg0, %arg1 {equation = "nchw,nwhu->nchu"} : (tensor<1x2x3x4xf16>, tensor<1x4x3x5xf16>) -> tensor<1x2x3x5xf16>
func.func @einsum(%arg0: tensor<1x2x3x4xf16>, %arg1: tensor<1x4x3x5xf16>) -> tensor<1x2x3x5xf16> {
  %0 = ane.einsum %arg0, %arg1 {equation = "nchw,nwhu->nchu"} : (tensor<1x2x3x4xf16>, tensor<1x4x3x5xf16>) -> tensor<1x2x3x5xf16>
  return %0 : tensor<1x2x3x5xf16>
}

// CHECK-LABEL: func @max_pool(
// CHECK: ane.max_pool %arg0 {kernel_sizes = array<i64: 2>, pad = array<i64: 0, 0>, pad_type = "valid", strides = array<i64: 1>} : (tensor<1x3x32xf16>) -> tensor<1x3x31xf16>
func.func @max_pool(%arg0: tensor<1x3x32xf16>) -> tensor<1x3x31xf16> {
  %0 = ane.max_pool %arg0 {kernel_sizes = array<i64: 2>, pad = array<i64: 0, 0>, pad_type = "valid", strides = array<i64: 1>} : (tensor<1x3x32xf16>) -> tensor<1x3x31xf16>
  return %0 : tensor<1x3x31xf16>
}

// CHECK-LABEL: func @max_pool_2(
// CHECK: ane.max_pool %arg0 {kernel_sizes = array<i64: 2, 2>, pad = array<i64: 0, 0, 0, 0>, pad_type = "valid", strides = array<i64: 2, 2>} : (tensor<1x1x5x5xf16>) -> tensor<1x1x2x2xf16>
func.func @max_pool_2(%arg0: tensor<1x1x5x5xf16>) -> tensor<1x1x2x2xf16> {
  %0 = ane.max_pool %arg0 {kernel_sizes = array<i64: 2, 2>, pad = array<i64: 0, 0, 0, 0>, pad_type = "valid", strides = array<i64: 2, 2>} : (tensor<1x1x5x5xf16>) -> tensor<1x1x2x2xf16>
  return %0 : tensor<1x1x2x2xf16>
}

// CHECK-LABEL: func @avg_pool(
// CHECK: ane.avg_pool %arg0 {exclude_padding_from_average = true, kernel_sizes = array<i64: 2>, pad = array<i64: 0, 0>, pad_type = "valid", strides = array<i64: 1>} : (tensor<1x3x32xf16>) -> tensor<1x3x31xf16>
func.func @avg_pool(%arg0: tensor<1x3x32xf16>) -> tensor<1x3x31xf16> {
  %0 = ane.avg_pool %arg0 {exclude_padding_from_average = true, kernel_sizes = array<i64: 2>, pad = array<i64: 0, 0>, pad_type = "valid", strides = array<i64: 1>} : (tensor<1x3x32xf16>) -> tensor<1x3x31xf16>
  return %0 : tensor<1x3x31xf16>
}

// CHECK-LABEL: func @avg_pool_2(
// CHECK: ane.avg_pool %arg0 {exclude_padding_from_average = true, kernel_sizes = array<i64: 2, 2>, pad = array<i64: 0, 0, 0, 0>, pad_type = "valid", strides = array<i64: 2, 2>} : (tensor<1x1x5x5xf16>) -> tensor<1x1x2x2xf16>
func.func @avg_pool_2(%arg0: tensor<1x1x5x5xf16>) -> tensor<1x1x2x2xf16> {
  %0 = ane.avg_pool %arg0 {exclude_padding_from_average = true, kernel_sizes = array<i64: 2, 2>, pad = array<i64: 0, 0, 0, 0>, pad_type = "valid", strides = array<i64: 2, 2>} : (tensor<1x1x5x5xf16>) -> tensor<1x1x2x2xf16>
  return %0 : tensor<1x1x2x2xf16>
}

// CHECK-LABEL: func @l2_pool(
// CHECK: ane.l2_pool %arg0 {kernel_sizes = array<i64: 2, 2>, pad = array<i64: 0, 0, 0, 0>, pad_type = "valid", strides = array<i64: 2, 2>} : (tensor<1x2x4x4xf16>) -> tensor<1x2x2x2xf16>
func.func @l2_pool(%arg0: tensor<1x2x4x4xf16>) -> tensor<1x2x2x2xf16> {
  %0 = ane.l2_pool %arg0 {kernel_sizes = array<i64: 2, 2>, pad = array<i64: 0, 0, 0, 0>, pad_type = "valid", strides = array<i64: 2, 2>} : (tensor<1x2x4x4xf16>) -> tensor<1x2x2x2xf16>
  return %0 : tensor<1x2x2x2xf16>
}

// CHECK-LABEL: func @lstm(
// CHECK: ane.lstm %arg0, %arg1, %arg2, %arg3, %arg4 {operandSegmentSizes = array<i32: 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0>, output_sequence = true} : (tensor<1x3x2xf16>, tensor<3x3xf16>, tensor<3x3xf16>, tensor<12x2xf16>, tensor<12x3xf16>) -> (tensor<1x3x3xf16>, tensor<3x3xf16>, tensor<3x3xf16>)
func.func @lstm(%arg0: tensor<1x3x2xf16>, %arg1: tensor<3x3xf16>, %arg2: tensor<3x3xf16>, %arg3: tensor<12x2xf16>, %arg4: tensor<12x3xf16>) -> (tensor<1x3x3xf16>, tensor<3x3xf16>, tensor<3x3xf16>) {
  %0:3 = ane.lstm %arg0, %arg1, %arg2, %arg3, %arg4 {activation = "tanh", cell_activation = "tanh", direction = "forward", operandSegmentSizes = array<i32: 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0>, output_sequence = true} : (tensor<1x3x2xf16>, tensor<3x3xf16>, tensor<3x3xf16>, tensor<12x2xf16>, tensor<12x3xf16>) -> (tensor<1x3x3xf16>, tensor<3x3xf16>, tensor<3x3xf16>)
  return %0#0, %0#1, %0#2 : tensor<1x3x3xf16>, tensor<3x3xf16>, tensor<3x3xf16>
}

// CHECK-LABEL: func @gru(
// CHECK: ane.gru %arg0, %arg1, %arg2, %arg3 {operandSegmentSizes = array<i32: 1, 1, 1, 1, 0, 0>, output_sequence = true} : (tensor<1x3x2xf16>, tensor<3x5xf16>, tensor<15x2xf16>, tensor<15x5xf16>) -> (tensor<1x3x5xf16>, tensor<3x5xf16>)
func.func @gru(%arg0: tensor<1x3x2xf16>, %arg1: tensor<3x5xf16>, %arg2: tensor<15x2xf16>, %arg3: tensor<15x5xf16>) -> (tensor<1x3x5xf16>, tensor<3x5xf16>) {
  %0:2 = ane.gru %arg0, %arg1, %arg2, %arg3 {activation = "tanh", direction = "forward", operandSegmentSizes = array<i32: 1, 1, 1, 1, 0, 0>, output_sequence = true} : (tensor<1x3x2xf16>, tensor<3x5xf16>, tensor<15x2xf16>, tensor<15x5xf16>) -> (tensor<1x3x5xf16>, tensor<3x5xf16>)
  return %0#0, %0#1 : tensor<1x3x5xf16>, tensor<3x5xf16>
}

// CHECK-LABEL: func @rnn(
// CHECK: ane.rnn %arg0, %arg1, %arg2, %arg3 {activation = "relu", direction = "reverse", output_sequence = true} : (tensor<1x3x2xf16>, tensor<3x4xf16>, tensor<4x2xf16>, tensor<4x4xf16>) -> (tensor<1x3x4xf16>, tensor<3x4xf16>)
func.func @rnn(%arg0: tensor<1x3x2xf16>, %arg1: tensor<3x4xf16>, %arg2: tensor<4x2xf16>, %arg3: tensor<4x4xf16>) -> (tensor<1x3x4xf16>, tensor<3x4xf16>) {
  %0:2 = ane.rnn %arg0, %arg1, %arg2, %arg3 {activation = "relu", direction = "reverse", output_sequence = true} : (tensor<1x3x2xf16>, tensor<3x4xf16>, tensor<4x2xf16>, tensor<4x4xf16>) -> (tensor<1x3x4xf16>, tensor<3x4xf16>)
  return %0#0, %0#1 : tensor<1x3x4xf16>, tensor<3x4xf16>
}
