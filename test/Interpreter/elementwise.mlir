// Values of element-wise ops, special values included; the semantics are the `scalar` expressions of the records.
// RUN: ane-opt %s --ane-evaluate-constants="numerics=fp32" | FileCheck %s

// CHECK-LABEL: func @relu
// CHECK: dense<[0.000000e+00, -0.000000e+00, 2.500000e+00, 0x7F800000, 0x7FC00000]>
func.func @relu() -> tensor<5xf32> {
  %x = ane.constant dense<[-1.0, -0.0, 2.5, 0x7F800000, 0x7FC00000]> : tensor<5xf32>
  %y = ane.relu %x : (tensor<5xf32>) -> tensor<5xf32>
  return %y : tensor<5xf32>
}

// CHECK-LABEL: func @round_half_to_even
// CHECK: dense<[0.000000e+00, 2.000000e+00, 2.000000e+00, -2.000000e+00]>
func.func @round_half_to_even() -> tensor<4xf32> {
  %x = ane.constant dense<[0.5, 1.5, 2.5, -1.5]> : tensor<4xf32>
  %y = ane.round %x : (tensor<4xf32>) -> tensor<4xf32>
  return %y : tensor<4xf32>
}

// Broadcasting both ways.
// CHECK-LABEL: func @add_broadcast
// CHECK{LITERAL}: dense<[[11, 12], [21, 22], [31, 32]]> : tensor<3x2xi32>
func.func @add_broadcast() -> tensor<3x2xi32> {
  %x = ane.constant dense<[[10], [20], [30]]> : tensor<3x1xi32>
  %y = ane.constant dense<[1, 2]> : tensor<2xi32>
  %z = ane.add %x, %y : (tensor<3x1xi32>, tensor<2xi32>) -> tensor<3x2xi32>
  return %z : tensor<3x2xi32>
}

// int32 wraps; floor_div and mod follow the divisor's sign.
// CHECK-LABEL: func @integers
// CHECK: dense<[-2147483648, 0]>
// CHECK: dense<-4>
// CHECK: dense<[1, -1]>
func.func @integers() -> (tensor<2xi32>, tensor<2xi32>, tensor<2xi32>) {
  %x = ane.constant dense<[2147483647, -1]> : tensor<2xi32>
  %one = ane.constant dense<1> : tensor<i32>
  %a = ane.add %x, %one : (tensor<2xi32>, tensor<i32>) -> tensor<2xi32>
  %n = ane.constant dense<[-7, 7]> : tensor<2xi32>
  %d = ane.constant dense<[2, -2]> : tensor<2xi32>
  %q = ane.floor_div %n, %d : (tensor<2xi32>, tensor<2xi32>) -> tensor<2xi32>
  %r = ane.mod %n, %d : (tensor<2xi32>, tensor<2xi32>) -> tensor<2xi32>
  return %a, %q, %r : tensor<2xi32>, tensor<2xi32>, tensor<2xi32>
}

// CHECK-LABEL: func @compare_with_nan
// CHECK: dense<[false, true, false]>
// CHECK: dense<[true, false, true]>
func.func @compare_with_nan() -> (tensor<3xi1>, tensor<3xi1>) {
  %x = ane.constant dense<[0x7FC00000, 1.0, 2.0]> : tensor<3xf32>
  %y = ane.constant dense<[0x7FC00000, 1.0, 3.0]> : tensor<3xf32>
  %e = ane.equal %x, %y : (tensor<3xf32>, tensor<3xf32>) -> tensor<3xi1>
  %n = ane.not_equal %x, %y : (tensor<3xf32>, tensor<3xf32>) -> tensor<3xi1>
  return %e, %n : tensor<3xi1>, tensor<3xi1>
}

// CHECK-LABEL: func @cast
// CHECK: dense<[-1, 1, 2147483647]> : tensor<3xi32>
// CHECK: dense<true> : tensor<3xi1>
func.func @cast() -> (tensor<3xi32>, tensor<3xi1>) {
  %x = ane.constant dense<[-1.9, 1.9, 2147483647.0]> : tensor<3xf32>
  %i = ane.constant dense<2147483647> : tensor<3xi32>
  %f = ane.constant dense<[-1.9, 1.9, 5.0]> : tensor<3xf32>
  %t = ane.cast %f {dtype = i32} : (tensor<3xf32>) -> tensor<3xi32>
  %m = ane.constant dense<[false, false, true]> : tensor<3xi1>
  %y = ane.select %m, %i, %t : (tensor<3xi1>, tensor<3xi32>, tensor<3xi32>) -> tensor<3xi32>
  %b = ane.cast %x {dtype = i1} : (tensor<3xf32>) -> tensor<3xi1>
  return %y, %b : tensor<3xi32>, tensor<3xi1>
}

// Empty tensors.
// CHECK-LABEL: func @empty
// CHECK: dense<> : tensor<0x3xf32>
func.func @empty() -> tensor<0x3xf32> {
  %x = ane.constant dense<> : tensor<0x3xf32>
  %y = ane.exp %x : (tensor<0x3xf32>) -> tensor<0x3xf32>
  return %y : tensor<0x3xf32>
}
