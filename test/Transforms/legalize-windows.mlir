// Kernels, strides and pools beyond the limits become several, or others over a rearranged input.
// RUN: ane-opt %s --ane-legalize --canonicalize --cse | FileCheck %s

// 31 taps are 11, 10 and 10 in both directions: the first part begins where the pads do.
// CHECK-LABEL: func @depthwise_31
// CHECK: %[[P:.+]] = ane.pad %arg0 {{.*}}pad = array<i64: 15, 15, 15, 15>
// CHECK-COUNT-9: ane.conv
// CHECK-NOT: ane.conv
func.func @depthwise_31(%x: tensor<1x8x40x40xf16>) -> tensor<1x8x40x40xf16> {
  %w = ane.constant dense<1.0> : tensor<8x1x31x31xf16>
  %y = ane.conv %x, %w {strides = array<i64: 1, 1>, pad_type = "custom", pad = array<i64: 15, 15, 15, 15>, dilations = array<i64: 1, 1>, groups = 8 : i64} : (tensor<1x8x40x40xf16>, tensor<8x1x31x31xf16>) -> tensor<1x8x40x40xf16>
  return %y : tensor<1x8x40x40xf16>
}

// A kernel of 11 in steps of 4 is one of 3 over 4 * 4 phases.
// CHECK-LABEL: func @steps_of_4
// CHECK: ane.transpose {{.*}}-> tensor<3x4x4x57x57xf16>
// CHECK: ane.conv {{.*}}strides = array<i64: 1, 1>{{.*}}(tensor<1x48x57x57xf16>, tensor<16x48x3x3xf16>) -> tensor<1x16x55x55xf16>
func.func @steps_of_4(%x: tensor<1x3x227x227xf16>) -> tensor<1x16x55x55xf16> {
  %w = ane.constant dense<1.0> : tensor<16x3x11x11xf16>
  %y = ane.conv %x, %w {strides = array<i64: 4, 4>, pad_type = "valid", pad = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x3x227x227xf16>, tensor<16x3x11x11xf16>) -> tensor<1x16x55x55xf16>
  return %y : tensor<1x16x55x55xf16>
}

// The 8 phases of the result are channels of a convolution of 2 taps.
// CHECK-LABEL: func @transposed_16_by_8
// CHECK: ane.conv {{.*}}(tensor<1x32x1x20xf16>, tensor<128x32x1x2xf16>) -> tensor<1x128x1x21xf16>
// CHECK: ane.transpose {{.*}}-> tensor<16x21x8xf16>
// CHECK: ane.slice_by_size {{.*}}begin = array<i64: 0, 0, 0, 4>
func.func @transposed_16_by_8(%x: tensor<1x32x20xf16>) -> tensor<1x16x160xf16> {
  %w = ane.constant dense<1.0> : tensor<32x16x16xf16>
  %y = ane.conv_transpose %x, %w {strides = array<i64: 8>, pad_type = "custom", pad = array<i64: 4, 4>, dilations = array<i64: 1>} : (tensor<1x32x20xf16>, tensor<32x16x16xf16>) -> tensor<1x16x160xf16>
  return %y : tensor<1x16x160xf16>
}

// CHECK-LABEL: func @channels
// CHECK-COUNT-2: ane.slice_by_size {{.*}}-> tensor<1x10000x1x8xf16>
// CHECK: ane.add
func.func @channels(%x: tensor<1x20000x1x8xf16>) -> tensor<1x4x1x8xf16> {
  %w = ane.constant dense<1.0> : tensor<4x20000x1x1xf16>
  %y = ane.conv %x, %w {strides = array<i64: 1, 1>, pad_type = "valid", pad = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x20000x1x8xf16>, tensor<4x20000x1x1xf16>) -> tensor<1x4x1x8xf16>
  return %y : tensor<1x4x1x8xf16>
}

// The pyramid's windows of 9 and 13 continue those of 5 and 9.
// CHECK-LABEL: func @pyramid
// CHECK: %[[A:.+]] = ane.max_pool %arg0 {{.*}}kernel_sizes = array<i64: 5, 5>
// CHECK: %[[B:.+]] = ane.max_pool %[[A]] {{.*}}kernel_sizes = array<i64: 5, 5>
// CHECK: %[[C:.+]] = ane.max_pool %[[B]] {{.*}}kernel_sizes = array<i64: 5, 5>
// CHECK: return %[[A]], %[[B]], %[[C]]
func.func @pyramid(%x: tensor<1x8x20x20xf16>) -> (tensor<1x8x20x20xf16>, tensor<1x8x20x20xf16>, tensor<1x8x20x20xf16>) {
  %a = ane.max_pool %x {kernel_sizes = array<i64: 5, 5>, strides = array<i64: 1, 1>, pad_type = "custom", pad = array<i64: 2, 2, 2, 2>} : (tensor<1x8x20x20xf16>) -> tensor<1x8x20x20xf16>
  %b = ane.max_pool %x {kernel_sizes = array<i64: 9, 9>, strides = array<i64: 1, 1>, pad_type = "custom", pad = array<i64: 4, 4, 4, 4>} : (tensor<1x8x20x20xf16>) -> tensor<1x8x20x20xf16>
  %c = ane.max_pool %x {kernel_sizes = array<i64: 13, 13>, strides = array<i64: 1, 1>, pad_type = "custom", pad = array<i64: 6, 6, 6, 6>} : (tensor<1x8x20x20xf16>) -> tensor<1x8x20x20xf16>
  return %a, %b, %c : tensor<1x8x20x20xf16>, tensor<1x8x20x20xf16>, tensor<1x8x20x20xf16>
}

// CHECK-LABEL: func @whole_map
// CHECK: ane.reduce_mean %arg0 {axes = array<i64: 2, 3>, keep_dims = true}
// CHECK: ane.avg_pool {{.*}}kernel_sizes = array<i64: 28, 28>
// CHECK: ane.avg_pool {{.*}}kernel_sizes = array<i64: 2, 2>
func.func @whole_map(%x: tensor<1x8x56x56xf16>, %z: tensor<1x8x112x112xf16>) -> (tensor<1x8x1x1xf16>, tensor<1x8x2x2xf16>) {
  %y = ane.avg_pool %x {kernel_sizes = array<i64: 56, 56>, strides = array<i64: 1, 1>, pad_type = "valid", pad = array<i64: 0, 0, 0, 0>} : (tensor<1x8x56x56xf16>) -> tensor<1x8x1x1xf16>
  %v = ane.avg_pool %z {kernel_sizes = array<i64: 56, 56>, strides = array<i64: 56, 56>, pad_type = "valid", pad = array<i64: 0, 0, 0, 0>} : (tensor<1x8x112x112xf16>) -> tensor<1x8x2x2xf16>
  return %y, %v : tensor<1x8x1x1xf16>, tensor<1x8x2x2xf16>
}

// CHECK-LABEL: func @response
// CHECK-NOT: local_response_norm
// CHECK: ane.conv {{.*}}tensor<4x4x1x1xf16>
// CHECK: ane.pow
func.func @response(%x: tensor<1x4x8x8xf16>) -> tensor<1x4x8x8xf16> {
  %y = ane.local_response_norm %x {size = 3 : i64} : (tensor<1x4x8x8xf16>) -> tensor<1x4x8x8xf16>
  return %y : tensor<1x4x8x8xf16>
}
