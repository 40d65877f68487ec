// RUN: ane-opt %s --ane-simplify | FileCheck %s

// CHECK-LABEL: func @neutral(
// CHECK-NEXT: return %arg0
func.func @neutral(%x: tensor<1x4x2xf16>) -> tensor<1x4x2xf16> {
  %zero = ane.constant dense<0.0> : tensor<4x2xf16>
  %one = ane.constant dense<1.0> : tensor<f16>
  %0 = ane.add %zero, %x : (tensor<4x2xf16>, tensor<1x4x2xf16>) -> tensor<1x4x2xf16>
  %1 = ane.mul %0, %one : (tensor<1x4x2xf16>, tensor<f16>) -> tensor<1x4x2xf16>
  %2 = ane.sub %1, %zero : (tensor<1x4x2xf16>, tensor<4x2xf16>) -> tensor<1x4x2xf16>
  return %2 : tensor<1x4x2xf16>
}

// A sum that broadcasts stays, and so does 0 - x.
// CHECK-LABEL: func @not_neutral(
// CHECK: ane.add
// CHECK: ane.sub
func.func @not_neutral(%x: tensor<4x1xf16>) -> tensor<4x2xf16> {
  %zero = ane.constant dense<0.0> : tensor<4x2xf16>
  %0 = ane.add %x, %zero : (tensor<4x1xf16>, tensor<4x2xf16>) -> tensor<4x2xf16>
  %1 = ane.sub %zero, %0 : (tensor<4x2xf16>, tensor<4x2xf16>) -> tensor<4x2xf16>
  return %1 : tensor<4x2xf16>
}

// CHECK-LABEL: func @numbers(
// CHECK: %[[C:.*]] = ane.constant dense<2.500000e-01> : tensor<f16>
// CHECK: %[[Y:.*]] = ane.mul %arg0, %[[C]]
// CHECK-NEXT: return %[[Y]]
func.func @numbers(%x: tensor<4xf16>) -> tensor<4xf16> {
  %a = ane.constant dense<0.5> : tensor<f16>
  %0 = ane.mul %x, %a : (tensor<4xf16>, tensor<f16>) -> tensor<4xf16>
  %1 = ane.mul %a, %0 : (tensor<f16>, tensor<4xf16>) -> tensor<4xf16>
  return %1 : tensor<4xf16>
}

// fp16 has no 2^-20.
// CHECK-LABEL: func @too_small(
// CHECK-COUNT-2: ane.mul
func.func @too_small(%x: tensor<4xf16>) -> tensor<4xf16> {
  %a = ane.constant dense<0.0009765625> : tensor<f16>
  %0 = ane.mul %x, %a : (tensor<4xf16>, tensor<f16>) -> tensor<4xf16>
  %1 = ane.mul %0, %a : (tensor<4xf16>, tensor<f16>) -> tensor<4xf16>
  return %1 : tensor<4xf16>
}

// CHECK-LABEL: func @into_conv(
// CHECK: %[[C:.*]] = ane.conv
// CHECK-NEXT: %[[M:.*]] = ane.mul %[[C]]
// CHECK: %[[A:.*]] = ane.add %[[M]]
// CHECK: ane.reshape %[[A]]
// CHECK-NEXT: return
func.func @into_conv(%x: tensor<1x4x1x8xf16>, %w: tensor<1xf16>) -> tensor<1x2x2x8xf16> {
  %weight = ane.constant dense<0.5> : tensor<4x4x1x1xf16>
  %bias = ane.constant dense<[[[[1.0]], [[2.0]], [[3.0]], [[4.0]]]]> : tensor<1x4x1x1xf16>
  %s = ane.constant dense<0.25> : tensor<f16>
  %0 = ane.conv %x, %weight {dilations = array<i64: 1, 1>, operandSegmentSizes = array<i32: 1, 1, 0>, pad = array<i64: 0, 0, 0, 0>, pad_type = "valid", strides = array<i64: 1, 1>} : (tensor<1x4x1x8xf16>, tensor<4x4x1x1xf16>) -> tensor<1x4x1x8xf16>
  %1 = ane.add %0, %bias : (tensor<1x4x1x8xf16>, tensor<1x4x1x1xf16>) -> tensor<1x4x1x8xf16>
  %2 = ane.reshape %1 {shape = array<i64: 1, 2, 2, 8>} : (tensor<1x4x1x8xf16>) -> tensor<1x2x2x8xf16>
  %3 = ane.mul %2, %s : (tensor<1x2x2x8xf16>, tensor<f16>) -> tensor<1x2x2x8xf16>
  return %3 : tensor<1x2x2x8xf16>
}

// fp16 has no 90000.
// CHECK-LABEL: func @too_large(
// CHECK-COUNT-2: ane.mul
func.func @too_large(%x: tensor<4xf16>) -> tensor<4xf16> {
  %a = ane.constant dense<300.0> : tensor<f16>
  %0 = ane.mul %x, %a : (tensor<4xf16>, tensor<f16>) -> tensor<4xf16>
  %1 = ane.mul %0, %a : (tensor<4xf16>, tensor<f16>) -> tensor<4xf16>
  return %1 : tensor<4xf16>
}

// Nor has a convolution's weight 80000 in fp16.
// CHECK-LABEL: func @stays_behind(
// CHECK: ane.conv
// CHECK: ane.reshape
// CHECK-NEXT: ane.mul
func.func @stays_behind(%x: tensor<1x4x1x8xf16>) -> tensor<4x8xf16> {
  %w = ane.constant dense<0.5> : tensor<4x4x1x1xf16>
  %wide = ane.constant dense<80000.0> : tensor<f32>
  %s = ane.cast %wide {dtype = f16} : (tensor<f32>) -> tensor<f16>
  %0 = ane.conv %x, %w {dilations = array<i64: 1, 1>, operandSegmentSizes = array<i32: 1, 1, 0>, pad = array<i64: 0, 0, 0, 0>, pad_type = "valid", strides = array<i64: 1, 1>} : (tensor<1x4x1x8xf16>, tensor<4x4x1x1xf16>) -> tensor<1x4x1x8xf16>
  %1 = ane.reshape %0 {shape = array<i64: 4, 8>} : (tensor<1x4x1x8xf16>) -> tensor<4x8xf16>
  %2 = ane.mul %1, %s : (tensor<4x8xf16>, tensor<f16>) -> tensor<4x8xf16>
  return %2 : tensor<4x8xf16>
}

// What is done with each number of a table is done with the table, where nothing is rounded in between.
// CHECK-LABEL: func @table(
// CHECK: %[[WIDE:.*]] = ane.constant dense<1.0{{.*}} : tensor<f32>
// CHECK: %[[ONE:.*]] = ane.cast %[[WIDE]] {dtype = f16}
// CHECK: %[[LEFT:.*]] = ane.sub %[[ONE]], %{{.*}} : {{.*}} -> tensor<3xf16>
// CHECK: %[[ROOT:.*]] = ane.sqrt %[[LEFT]] : (tensor<3xf16>)
// CHECK: %[[PICKED:.*]] = ane.gather %[[ROOT]], %arg0
// CHECK: %[[SHAPED:.*]] = ane.reshape %[[PICKED]]
// CHECK: return %[[SHAPED]]
func.func @table(%t: tensor<2xi32>) -> tensor<2x1xf16> {
  %one = ane.constant dense<1.0> : tensor<f16>
  %wide = ane.constant dense<[0.9999, 0.99, 0.5]> : tensor<3xf32>
  %a = ane.cast %wide {dtype = f16} : (tensor<3xf32>) -> tensor<3xf16>
  %g = ane.gather %a, %t {axis = 0} : (tensor<3xf16>, tensor<2xi32>) -> tensor<2xf16>
  %r = ane.reshape %g {shape = array<i64: 2, 1>} : (tensor<2xf16>) -> tensor<2x1xf16>
  %q = ane.sub %one, %r : (tensor<f16>, tensor<2x1xf16>) -> tensor<2x1xf16>
  %s = ane.sqrt %q : (tensor<2x1xf16>) -> tensor<2x1xf16>
  return %s : tensor<2x1xf16>
}
