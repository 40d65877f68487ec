// RUN: ane-opt %s -split-input-file -verify-diagnostics --ane-differentiate=loss=mse

// Every op without a derivative is named, not the first alone.
func.func @main(%x: tensor<2x8xf32> {ane.parameter}, %s: tensor<f32>) -> tensor<2x8xf32> {
  %q = ane.quantize %x, %s {output_dtype = i8} : (tensor<2x8xf32>, tensor<f32>) -> tensor<2x8xi8>
  // expected-error @below {{'ane.dequantize' has no derivative: quantised values have steps}}
  %d = ane.dequantize %q, %s : (tensor<2x8xi8>, tensor<f32>) -> tensor<2x8xf32>
  // expected-error @below {{this form of 'ane.scatter_along_axis' has no derivative: a scatter of mode 'mul'}}
  %u = ane.scatter_along_axis %x, %q, %x {mode = "mul"} : (tensor<2x8xf32>, tensor<2x8xi8>, tensor<2x8xf32>) -> tensor<2x8xf32>
  %y = ane.add %d, %u : (tensor<2x8xf32>, tensor<2x8xf32>) -> tensor<2x8xf32>
  return %y : tensor<2x8xf32>
}

// -----

// expected-error @below {{no function has a parameter to be trained (ane.parameter)}}
module {
  func.func @main(%x: tensor<2xf32>) -> tensor<2xf32> {
    return %x : tensor<2xf32>
  }
}

// -----

// expected-error @below {{the loss does not depend on any parameter to be trained}}
func.func @main(%x: tensor<2xf32>, %w: tensor<2xf32> {ane.parameter}) -> tensor<2xf32> {
  return %x : tensor<2xf32>
}

// -----

// expected-error @below {{only floats of a known shape can be trained, but 'w' is 'tensor<2xi32>'}}
func.func @main(%w: tensor<2xi32> {ane.parameter, ane.name = "w"}) -> tensor<2xi32> {
  return %w : tensor<2xi32>
}
