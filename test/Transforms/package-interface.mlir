// RUN: ane-opt %s --ane-package-interface --split-input-file --verify-diagnostics | FileCheck %s

// The user's types stand at the boundary, casts inside; no array has rank 0; states are fp16; pixels are scaled.
// CHECK-LABEL: func.func @main
// CHECK-SAME: %[[IMAGE:arg[0-9]]]: tensor<1x3x4x4xf32> {ane.dtype = "fp32", ane.image
// CHECK-SAME: %[[STATE:arg[0-9]]]: tensor<1x8xf16>
// CHECK-SAME: %[[SCALAR:arg[0-9]]]: tensor<1xi32>
// CHECK-SAME: -> (tensor<1x3x4x4xf32> {ane.dtype = "fp32"}, tensor<1x8xf16>
func.func @main(%image: tensor<1x3x4x4xf16> {ane.dtype = "uint8", ane.image = {bias = array<f64: 1.0, 2.0, 3.0>, color_space = 20 : i64, scale = 0.5 : f64}, ane.name = "image"},
                %state: tensor<1x8xf32> {ane.dtype = "fp32", ane.state = "s"}, %scalar: tensor<i32> {ane.dtype = "int64"})
    -> (tensor<1x3x4x4xf16> {ane.dtype = "fp32"}, tensor<1x8xf32> {ane.state = "s"}, tensor<1xi32>) {
  // CHECK-DAG: ane.cast %[[IMAGE]] {dtype = f16}
  // CHECK-DAG: ane.cast %[[STATE]] {dtype = f32}
  // CHECK-DAG: ane.reshape %[[SCALAR]]
  // CHECK: ane.mul
  // CHECK: ane.add
  // CHECK: ane.relu
  %0 = ane.relu %image : (tensor<1x3x4x4xf16>) -> tensor<1x3x4x4xf16>
  %1 = ane.relu %state : (tensor<1x8xf32>) -> tensor<1x8xf32>
  %2 = ane.reshape %scalar {shape = array<i64: 1>} : (tensor<i32>) -> tensor<1xi32>
  func.return %0, %1, %2 : tensor<1x3x4x4xf16>, tensor<1x8xf32>, tensor<1xi32>
}

// -----

// expected-error@+1 {{input 'x' of type 'tensor<1x2x4x4xf16>' cannot be an image; expects floats of shape [1, 3, height, width]}}
func.func @main(%x: tensor<1x2x4x4xf16> {ane.image = {bias = array<f64>, color_space = 20 : i64, scale = 1.0 : f64}, ane.name = "x"}) -> tensor<1x2x4x4xf16> {
  func.return %x : tensor<1x2x4x4xf16>
}
