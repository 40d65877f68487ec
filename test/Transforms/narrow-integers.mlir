// RUN: ane-opt %s -split-input-file --ane-narrow-integers --canonicalize -verify-diagnostics | FileCheck %s

// CHECK-LABEL: func @add(%arg0: tensor<2xi32>) -> tensor<2xi32>
// CHECK: ane.constant dense<[1, -2147483648]> : tensor<2xi32>
// CHECK: ane.add {{.*}} -> tensor<2xi32>
func.func @add(%x: tensor<2xi64>) -> tensor<2xi64> {
  %c = ane.constant dense<[1, -2147483648]> : tensor<2xi64>
  // expected-remark @below {{as 1 operation does}}
  %y = ane.add %x, %c : (tensor<2xi64>, tensor<2xi64>) -> tensor<2xi64>
  return %y : tensor<2xi64>
}

// -----

func.func @large(%x: tensor<i64>) -> tensor<i64> {
  // expected-error @below {{constant 2147483648 does not fit 32 bits, and MIL has no 64-bit integers}}
  %c = ane.constant dense<2147483648> : tensor<i64>
  // expected-remark @below {{as 1 operation does}}
  %y = ane.add %x, %c : (tensor<i64>, tensor<i64>) -> tensor<i64>
  return %y : tensor<i64>
}

// -----

// What ranges prove to fit is not marked; what inputs decide is.
// CHECK-LABEL: func @ranges
// CHECK: ane.add {{.*}} : (tensor<2xi32>, tensor<2xi32>)
// CHECK: ane.mul {{.*}} : (tensor<2xi32>, tensor<2xi32>)
// CHECK: ane.add {{.*}} {ane.wide} : (tensor<2xi32>, tensor<2xi32>)
// CHECK: ane.mul {{.*}} {ane.wide} : (tensor<2xi32>, tensor<2xi32>)
func.func @ranges(%x: tensor<2xi64>, %b: tensor<2xi8>) -> (tensor<2xi64>, tensor<2xi64>, tensor<2xi64>) {
  %c = ane.constant dense<[1000, 70000]> : tensor<2xi64>
  %w = ane.cast %b {dtype = i64} : (tensor<2xi8>) -> tensor<2xi64>
  %p = ane.add %w, %c : (tensor<2xi64>, tensor<2xi64>) -> tensor<2xi64>
  %q = ane.mul %w, %c : (tensor<2xi64>, tensor<2xi64>) -> tensor<2xi64>
  // expected-remark @below {{computes 64-bit integers in 32 bits, as 2 operations do}}
  %y = ane.add %x, %c : (tensor<2xi64>, tensor<2xi64>) -> tensor<2xi64>
  %z = ane.mul %y, %q : (tensor<2xi64>, tensor<2xi64>) -> tensor<2xi64>
  return %p, %q, %z : tensor<2xi64>, tensor<2xi64>, tensor<2xi64>
}

// -----

// 32-bit integers wrap as they do in the model.
// CHECK-LABEL: func @ints
// CHECK-NOT: ane.wide
func.func @ints(%x: tensor<2xi32>) -> tensor<2xi32> {
  %y = ane.mul %x, %x : (tensor<2xi32>, tensor<2xi32>) -> tensor<2xi32>
  return %y : tensor<2xi32>
}

// -----

func.func @never(%b: tensor<2xi1>) -> tensor<2xi64> {
  %c = ane.constant dense<2000000000> : tensor<2xi64>
  %w = ane.cast %b {dtype = i64} : (tensor<2xi1>) -> tensor<2xi64>
  %p = ane.add %w, %c : (tensor<2xi64>, tensor<2xi64>) -> tensor<2xi64>
  // expected-error @below {{its 64-bit integers are in [4000000000, 4000000001], which does not fit 32 bits}}
  %q = ane.add %p, %c : (tensor<2xi64>, tensor<2xi64>) -> tensor<2xi64>
  return %q : tensor<2xi64>
}
