// RUN: ane-opt %s -split-input-file --ane-narrow-integers --canonicalize -verify-diagnostics | FileCheck %s

// CHECK-LABEL: func @add(%arg0: tensor<2xi32>) -> tensor<2xi32>
// CHECK: ane.constant dense<[1, -2147483648]> : tensor<2xi32>
// CHECK: ane.add {{.*}} -> tensor<2xi32>
func.func @add(%x: tensor<2xi64>) -> tensor<2xi64> {
  %c = ane.constant dense<[1, -2147483648]> : tensor<2xi64>
  %y = ane.add %x, %c : (tensor<2xi64>, tensor<2xi64>) -> tensor<2xi64>
  return %y : tensor<2xi64>
}

// -----

func.func @large(%x: tensor<i64>) -> tensor<i64> {
  // expected-error @below {{constant 2147483648 does not fit 32 bits, and MIL has no 64-bit integers}}
  %c = ane.constant dense<2147483648> : tensor<i64>
  %y = ane.add %x, %c : (tensor<i64>, tensor<i64>) -> tensor<i64>
  return %y : tensor<i64>
}
