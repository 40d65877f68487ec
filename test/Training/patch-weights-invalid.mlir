// RUN: ane-opt %s --ane-patch-weights --split-input-file --verify-diagnostics

// A copy that its weight does not make: of another size, of groups that do not divide it, without a value.
module attributes {ane.parameters = [{name = "w", value = dense<1.0> : tensor<2x3xf32>}]} {
  // expected-error @below {{expects argument 1 of type 'tensor<4x2xf32>' to be the exchanged copy of its weight of type 'tensor<2x3xf32>' for 1 groups}}
  func.func @main(%w: tensor<2x3xf32> {ane.name = "w", ane.parameter}, %c: tensor<4x2xf32> {ane.copy_of = "w", ane.transposed}) { return }
}

// -----

module attributes {ane.parameters = [{name = "w", value = dense<1.0> : tensor<2x3xf32>}]} {
  // expected-error @below {{to be the copy of its weight of type 'tensor<2x3xf32>' for 5 groups}}
  func.func @main(%w: tensor<2x3xf32> {ane.name = "w", ane.parameter}, %c: tensor<2x3xf32> {ane.copy_of = "w", ane.groups = 5 : i64}) { return }
}

// -----

module attributes {ane.parameters = [{name = "w", value = dense<1.0> : tensor<6xf32>}]} {
  // expected-error @below {{to be the copy of its weight of type 'tensor<6xf32>' for 1 groups}}
  func.func @main(%w: tensor<6xf32> {ane.name = "w", ane.parameter}, %c: tensor<2x3xf32> {ane.copy_of = "w"}) { return }
}

// -----

module attributes {ane.parameters = [{name = "w", value = dense<1.0> : tensor<2x3xf32>}]} {
  // expected-error @below {{has no value for the weight of argument 1}}
  func.func @main(%w: tensor<2x3xf32> {ane.name = "w", ane.parameter}, %c: tensor<2x3xf32> {ane.copy_of = "v"}) { return }
}
