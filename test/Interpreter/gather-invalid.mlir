// An index out of range is reported at the op, not read.
// RUN: ane-opt %s --ane-evaluate-constants -verify-diagnostics

func.func @gather() -> tensor<1xi32> {
  %x = ane.constant dense<[10, 20, 30]> : tensor<3xi32>
  %i = ane.constant dense<3> : tensor<1xi32>
  // expected-error @below {{'ane.gather' op index 3 is out of range for an axis of length 3}}
  %g = ane.gather %x, %i : (tensor<3xi32>, tensor<1xi32>) -> tensor<1xi32>
  return %g : tensor<1xi32>
}
