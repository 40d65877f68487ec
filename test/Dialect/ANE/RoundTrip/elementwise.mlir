// One function per op: what is parsed verifies and prints alike.
// RUN: ane-opt %s | ane-opt | FileCheck %s

// CHECK-LABEL: func @abs(
// CHECK: ane.abs %arg0 : (tensor<3x4x5xf16>) -> tensor<3x4x5xf16>
func.func @abs(%arg0: tensor<3x4x5xf16>) -> tensor<3x4x5xf16> {
  %0 = ane.abs %arg0 : (tensor<3x4x5xf16>) -> tensor<3x4x5xf16>
  return %0 : tensor<3x4x5xf16>
}

// CHECK-LABEL: func @sign(
// CHECK: ane.sign %arg0 : (tensor<3xf16>) -> tensor<3xf16>
func.func @sign(%arg0: tensor<3xf16>) -> tensor<3xf16> {
  %0 = ane.sign %arg0 : (tensor<3xf16>) -> tensor<3xf16>
  return %0 : tensor<3xf16>
}

// CHECK-LABEL: func @square(
// CHECK: ane.square %arg0 : (tensor<2x3xf16>) -> tensor<2x3xf16>
func.func @square(%arg0: tensor<2x3xf16>) -> tensor<2x3xf16> {
  %0 = ane.square %arg0 : (tensor<2x3xf16>) -> tensor<2x3xf16>
  return %0 : tensor<2x3xf16>
}

// CHECK-LABEL: func @ceil(
// CHECK: ane.ceil %arg0 : (tensor<2xf16>) -> tensor<2xf16>
func.func @ceil(%arg0: tensor<2xf16>) -> tensor<2xf16> {
  %0 = ane.ceil %arg0 : (tensor<2xf16>) -> tensor<2xf16>
  return %0 : tensor<2xf16>
}

// CHECK-LABEL: func @floor(
// CHECK: ane.floor %arg0 : (tensor<3xf16>) -> tensor<3xf16>
func.func @floor(%arg0: tensor<3xf16>) -> tensor<3xf16> {
  %0 = ane.floor %arg0 : (tensor<3xf16>) -> tensor<3xf16>
  return %0 : tensor<3xf16>
}

// CHECK-LABEL: func @round(
// CHECK: ane.round %arg0 : (tensor<3x5xf16>) -> tensor<3x5xf16>
func.func @round(%arg0: tensor<3x5xf16>) -> tensor<3x5xf16> {
  %0 = ane.round %arg0 : (tensor<3x5xf16>) -> tensor<3x5xf16>
  return %0 : tensor<3x5xf16>
}

// CHECK-LABEL: func @exp(
// CHECK: ane.exp %arg0 : (tensor<3xf16>) -> tensor<3xf16>
func.func @exp(%arg0: tensor<3xf16>) -> tensor<3xf16> {
  %0 = ane.exp %arg0 : (tensor<3xf16>) -> tensor<3xf16>
  return %0 : tensor<3xf16>
}

// CHECK-LABEL: func @exp2(
// CHECK: ane.exp2 %arg0 : (tensor<2x3xf16>) -> tensor<2x3xf16>
func.func @exp2(%arg0: tensor<2x3xf16>) -> tensor<2x3xf16> {
  %0 = ane.exp2 %arg0 : (tensor<2x3xf16>) -> tensor<2x3xf16>
  return %0 : tensor<2x3xf16>
}

// CHECK-LABEL: func @erf(
// CHECK: ane.erf %arg0 : (tensor<1x3x32x32xf16>) -> tensor<1x3x32x32xf16>
func.func @erf(%arg0: tensor<1x3x32x32xf16>) -> tensor<1x3x32x32xf16> {
  %0 = ane.erf %arg0 : (tensor<1x3x32x32xf16>) -> tensor<1x3x32x32xf16>
  return %0 : tensor<1x3x32x32xf16>
}

// CHECK-LABEL: func @sqrt(
// CHECK: ane.sqrt %arg0 : (tensor<3xf16>) -> tensor<3xf16>
func.func @sqrt(%arg0: tensor<3xf16>) -> tensor<3xf16> {
  %0 = ane.sqrt %arg0 : (tensor<3xf16>) -> tensor<3xf16>
  return %0 : tensor<3xf16>
}

// CHECK-LABEL: func @atan(
// CHECK: ane.atan %arg0 : (tensor<3xf16>) -> tensor<3xf16>
func.func @atan(%arg0: tensor<3xf16>) -> tensor<3xf16> {
  %0 = ane.atan %arg0 : (tensor<3xf16>) -> tensor<3xf16>
  return %0 : tensor<3xf16>
}

// CHECK-LABEL: func @sin(
// CHECK: ane.sin %arg0 : (tensor<3xf16>) -> tensor<3xf16>
func.func @sin(%arg0: tensor<3xf16>) -> tensor<3xf16> {
  %0 = ane.sin %arg0 : (tensor<3xf16>) -> tensor<3xf16>
  return %0 : tensor<3xf16>
}

// CHECK-LABEL: func @cos(
// CHECK: ane.cos %arg0 : (tensor<3xf16>) -> tensor<3xf16>
func.func @cos(%arg0: tensor<3xf16>) -> tensor<3xf16> {
  %0 = ane.cos %arg0 : (tensor<3xf16>) -> tensor<3xf16>
  return %0 : tensor<3xf16>
}

// CHECK-LABEL: func @tanh(
// CHECK: ane.tanh %arg0 : (tensor<2x3x4x6xf16>) -> tensor<2x3x4x6xf16>
func.func @tanh(%arg0: tensor<2x3x4x6xf16>) -> tensor<2x3x4x6xf16> {
  %0 = ane.tanh %arg0 : (tensor<2x3x4x6xf16>) -> tensor<2x3x4x6xf16>
  return %0 : tensor<2x3x4x6xf16>
}

// CHECK-LABEL: func @tan(
// CHECK: ane.tan %arg0 : (tensor<3xf16>) -> tensor<3xf16>
func.func @tan(%arg0: tensor<3xf16>) -> tensor<3xf16> {
  %0 = ane.tan %arg0 : (tensor<3xf16>) -> tensor<3xf16>
  return %0 : tensor<3xf16>
}

// CHECK-LABEL: func @asin(
// CHECK: ane.asin %arg0 : (tensor<3xf16>) -> tensor<3xf16>
func.func @asin(%arg0: tensor<3xf16>) -> tensor<3xf16> {
  %0 = ane.asin %arg0 : (tensor<3xf16>) -> tensor<3xf16>
  return %0 : tensor<3xf16>
}

// CHECK-LABEL: func @acos(
// CHECK: ane.acos %arg0 : (tensor<3xf16>) -> tensor<3xf16>
func.func @acos(%arg0: tensor<3xf16>) -> tensor<3xf16> {
  %0 = ane.acos %arg0 : (tensor<3xf16>) -> tensor<3xf16>
  return %0 : tensor<3xf16>
}

// CHECK-LABEL: func @atanh(
// CHECK: ane.atanh %arg0 : (tensor<3xf16>) -> tensor<3xf16>
func.func @atanh(%arg0: tensor<3xf16>) -> tensor<3xf16> {
  %0 = ane.atanh %arg0 : (tensor<3xf16>) -> tensor<3xf16>
  return %0 : tensor<3xf16>
}

// CHECK-LABEL: func @sinh(
// CHECK: ane.sinh %arg0 : (tensor<3xf16>) -> tensor<3xf16>
func.func @sinh(%arg0: tensor<3xf16>) -> tensor<3xf16> {
  %0 = ane.sinh %arg0 : (tensor<3xf16>) -> tensor<3xf16>
  return %0 : tensor<3xf16>
}

// CHECK-LABEL: func @cosh(
// CHECK: ane.cosh %arg0 : (tensor<3xf16>) -> tensor<3xf16>
func.func @cosh(%arg0: tensor<3xf16>) -> tensor<3xf16> {
  %0 = ane.cosh %arg0 : (tensor<3xf16>) -> tensor<3xf16>
  return %0 : tensor<3xf16>
}

// CHECK-LABEL: func @logical_not(
// CHECK: ane.logical_not %arg0 : (tensor<3x6x6xi1>) -> tensor<3x6x6xi1>
func.func @logical_not(%arg0: tensor<3x6x6xi1>) -> tensor<3x6x6xi1> {
  %0 = ane.logical_not %arg0 : (tensor<3x6x6xi1>) -> tensor<3x6x6xi1>
  return %0 : tensor<3x6x6xi1>
}

// CHECK-LABEL: func @log(
// CHECK: ane.log %arg0 : (tensor<3xf16>) -> tensor<3xf16>
func.func @log(%arg0: tensor<3xf16>) -> tensor<3xf16> {
  %0 = ane.log %arg0 : (tensor<3xf16>) -> tensor<3xf16>
  return %0 : tensor<3xf16>
}

// CHECK-LABEL: func @rsqrt(
// CHECK: ane.rsqrt %arg0 {epsilon = 1.000000e-01 : f32} : (tensor<1x1x1xf16>) -> tensor<1x1x1xf16>
func.func @rsqrt(%arg0: tensor<1x1x1xf16>) -> tensor<1x1x1xf16> {
  %0 = ane.rsqrt %arg0 {epsilon = 1.000000e-01 : f32} : (tensor<1x1x1xf16>) -> tensor<1x1x1xf16>
  return %0 : tensor<1x1x1xf16>
}

// CHECK-LABEL: func @rsqrt_2(
// CHECK: ane.rsqrt %arg0 {epsilon = 9.99999974E-6 : f32} : (tensor<1x1x1x1xf16>) -> tensor<1x1x1x1xf16>
func.func @rsqrt_2(%arg0: tensor<1x1x1x1xf16>) -> tensor<1x1x1x1xf16> {
  %0 = ane.rsqrt %arg0 {epsilon = 9.99999974E-6 : f32} : (tensor<1x1x1x1xf16>) -> tensor<1x1x1x1xf16>
  return %0 : tensor<1x1x1x1xf16>
}

// CHECK-LABEL: func @inverse(
// CHECK: ane.inverse %arg0 : (tensor<1x1xf16>) -> tensor<1x1xf16>
func.func @inverse(%arg0: tensor<1x1xf16>) -> tensor<1x1xf16> {
  %0 = ane.inverse %arg0 : (tensor<1x1xf16>) -> tensor<1x1xf16>
  return %0 : tensor<1x1xf16>
}

// CHECK-LABEL: func @clip(
// CHECK: ane.clip %arg0 {alpha = -4.480000e+02 : f32, beta = 4.480000e+02 : f32} : (tensor<3x5xf16>) -> tensor<3x5xf16>
func.func @clip(%arg0: tensor<3x5xf16>) -> tensor<3x5xf16> {
  %0 = ane.clip %arg0 {alpha = -4.480000e+02 : f32, beta = 4.480000e+02 : f32} : (tensor<3x5xf16>) -> tensor<3x5xf16>
  return %0 : tensor<3x5xf16>
}

// CHECK-LABEL: func @threshold(
// CHECK: ane.threshold %arg0 {alpha = 5.000000e-01 : f32} : (tensor<2x3xf16>) -> tensor<2x3xf16>
func.func @threshold(%arg0: tensor<2x3xf16>) -> tensor<2x3xf16> {
  %0 = ane.threshold %arg0 {alpha = 5.000000e-01 : f32} : (tensor<2x3xf16>) -> tensor<2x3xf16>
  return %0 : tensor<2x3xf16>
}

// CHECK-LABEL: func @relu(
// CHECK: ane.relu %arg0 : (tensor<3x4x5xf16>) -> tensor<3x4x5xf16>
func.func @relu(%arg0: tensor<3x4x5xf16>) -> tensor<3x4x5xf16> {
  %0 = ane.relu %arg0 : (tensor<3x4x5xf16>) -> tensor<3x4x5xf16>
  return %0 : tensor<3x4x5xf16>
}

// CHECK-LABEL: func @relu6(
// CHECK: ane.relu6 %arg0 : (tensor<3x4x5xf16>) -> tensor<3x4x5xf16>
func.func @relu6(%arg0: tensor<3x4x5xf16>) -> tensor<3x4x5xf16> {
  %0 = ane.relu6 %arg0 : (tensor<3x4x5xf16>) -> tensor<3x4x5xf16>
  return %0 : tensor<3x4x5xf16>
}

// CHECK-LABEL: func @sigmoid(
// CHECK: ane.sigmoid %arg0 : (tensor<2x4x8xf16>) -> tensor<2x4x8xf16>
func.func @sigmoid(%arg0: tensor<2x4x8xf16>) -> tensor<2x4x8xf16> {
  %0 = ane.sigmoid %arg0 : (tensor<2x4x8xf16>) -> tensor<2x4x8xf16>
  return %0 : tensor<2x4x8xf16>
}

// CHECK-LABEL: func @silu(
// CHECK: ane.silu %arg0 : (tensor<2x4x8xf16>) -> tensor<2x4x8xf16>
func.func @silu(%arg0: tensor<2x4x8xf16>) -> tensor<2x4x8xf16> {
  %0 = ane.silu %arg0 : (tensor<2x4x8xf16>) -> tensor<2x4x8xf16>
  return %0 : tensor<2x4x8xf16>
}

// CHECK-LABEL: func @softplus(
// CHECK: ane.softplus %arg0 : (tensor<10000xf16>) -> tensor<10000xf16>
func.func @softplus(%arg0: tensor<10000xf16>) -> tensor<10000xf16> {
  %0 = ane.softplus %arg0 : (tensor<10000xf16>) -> tensor<10000xf16>
  return %0 : tensor<10000xf16>
}

// CHECK-LABEL: func @softsign(
// CHECK: ane.softsign %arg0 : (tensor<3xf16>) -> tensor<3xf16>
func.func @softsign(%arg0: tensor<3xf16>) -> tensor<3xf16> {
  %0 = ane.softsign %arg0 : (tensor<3xf16>) -> tensor<3xf16>
  return %0 : tensor<3xf16>
}

// CHECK-LABEL: func @leaky_relu(
// CHECK: ane.leaky_relu %arg0 {alpha = 1.000000e-01 : f32} : (tensor<3xf16>) -> tensor<3xf16>
func.func @leaky_relu(%arg0: tensor<3xf16>) -> tensor<3xf16> {
  %0 = ane.leaky_relu %arg0 {alpha = 1.000000e-01 : f32} : (tensor<3xf16>) -> tensor<3xf16>
  return %0 : tensor<3xf16>
}

// CHECK-LABEL: func @leaky_relu_2(
// CHECK: ane.leaky_relu %arg0 : (tensor<3x4x5xf16>) -> tensor<3x4x5xf16>
func.func @leaky_relu_2(%arg0: tensor<3x4x5xf16>) -> tensor<3x4x5xf16> {
  %0 = ane.leaky_relu %arg0 : (tensor<3x4x5xf16>) -> tensor<3x4x5xf16>
  return %0 : tensor<3x4x5xf16>
}

// CHECK-LABEL: func @elu(
// CHECK: ane.elu %arg0 {alpha = 2.000000e+00 : f32} : (tensor<3xf16>) -> tensor<3xf16>
func.func @elu(%arg0: tensor<3xf16>) -> tensor<3xf16> {
  %0 = ane.elu %arg0 {alpha = 2.000000e+00 : f32} : (tensor<3xf16>) -> tensor<3xf16>
  return %0 : tensor<3xf16>
}

// CHECK-LABEL: func @elu_2(
// CHECK: ane.elu %arg0 : (tensor<3x3x3x1xf16>) -> tensor<3x3x3x1xf16>
func.func @elu_2(%arg0: tensor<3x3x3x1xf16>) -> tensor<3x3x3x1xf16> {
  %0 = ane.elu %arg0 : (tensor<3x3x3x1xf16>) -> tensor<3x3x3x1xf16>
  return %0 : tensor<3x3x3x1xf16>
}

// CHECK-LABEL: func @clamped_relu(
// CHECK: ane.clamped_relu %arg0 {alpha = 1.000000e-01 : f32, beta = 6.000000e+00 : f32} : (tensor<2x3xf16>) -> tensor<2x3xf16>
func.func @clamped_relu(%arg0: tensor<2x3xf16>) -> tensor<2x3xf16> {
  %0 = ane.clamped_relu %arg0 {alpha = 1.000000e-01 : f32, beta = 6.000000e+00 : f32} : (tensor<2x3xf16>) -> tensor<2x3xf16>
  return %0 : tensor<2x3xf16>
}

// CHECK-LABEL: func @thresholded_relu(
// CHECK: ane.thresholded_relu %arg0 {alpha = 5.000000e-01 : f32} : (tensor<2x3xf16>) -> tensor<2x3xf16>
func.func @thresholded_relu(%arg0: tensor<2x3xf16>) -> tensor<2x3xf16> {
  %0 = ane.thresholded_relu %arg0 {alpha = 5.000000e-01 : f32} : (tensor<2x3xf16>) -> tensor<2x3xf16>
  return %0 : tensor<2x3xf16>
}

// CHECK-LABEL: func @sigmoid_hard(
// CHECK: ane.sigmoid_hard %arg0 {alpha = 5.000000e-01 : f32, beta = 6.000000e-01 : f32} : (tensor<3xf16>) -> tensor<3xf16>
func.func @sigmoid_hard(%arg0: tensor<3xf16>) -> tensor<3xf16> {
  %0 = ane.sigmoid_hard %arg0 {alpha = 5.000000e-01 : f32, beta = 6.000000e-01 : f32} : (tensor<3xf16>) -> tensor<3xf16>
  return %0 : tensor<3xf16>
}

// CHECK-LABEL: func @sigmoid_hard_2(
// CHECK: ane.sigmoid_hard %arg0 {alpha = 0.166666672 : f32} : (tensor<3x4x5xf16>) -> tensor<3x4x5xf16>
func.func @sigmoid_hard_2(%arg0: tensor<3x4x5xf16>) -> tensor<3x4x5xf16> {
  %0 = ane.sigmoid_hard %arg0 {alpha = 0.166666672 : f32} : (tensor<3x4x5xf16>) -> tensor<3x4x5xf16>
  return %0 : tensor<3x4x5xf16>
}

// CHECK-LABEL: func @linear_activation(
// CHECK: ane.linear_activation %arg0 {alpha = 2.000000e+00 : f32, beta = 1.000000e+00 : f32} : (tensor<2x3xf16>) -> tensor<2x3xf16>
func.func @linear_activation(%arg0: tensor<2x3xf16>) -> tensor<2x3xf16> {
  %0 = ane.linear_activation %arg0 {alpha = 2.000000e+00 : f32, beta = 1.000000e+00 : f32} : (tensor<2x3xf16>) -> tensor<2x3xf16>
  return %0 : tensor<2x3xf16>
}

// CHECK-LABEL: func @scaled_tanh(
// CHECK: ane.scaled_tanh %arg0 {alpha = 2.000000e+00 : f32, beta = 5.000000e-01 : f32} : (tensor<2x3xf16>) -> tensor<2x3xf16>
func.func @scaled_tanh(%arg0: tensor<2x3xf16>) -> tensor<2x3xf16> {
  %0 = ane.scaled_tanh %arg0 {alpha = 2.000000e+00 : f32, beta = 5.000000e-01 : f32} : (tensor<2x3xf16>) -> tensor<2x3xf16>
  return %0 : tensor<2x3xf16>
}

// CHECK-LABEL: func @gelu(
// CHECK: ane.gelu %arg0 {mode = "TANH_APPROXIMATION"} : (tensor<3xf16>) -> tensor<3xf16>
func.func @gelu(%arg0: tensor<3xf16>) -> tensor<3xf16> {
  %0 = ane.gelu %arg0 {mode = "TANH_APPROXIMATION"} : (tensor<3xf16>) -> tensor<3xf16>
  return %0 : tensor<3xf16>
}

// CHECK-LABEL: func @gelu_2(
// CHECK: ane.gelu %arg0 : (tensor<3xf16>) -> tensor<3xf16>
func.func @gelu_2(%arg0: tensor<3xf16>) -> tensor<3xf16> {
  %0 = ane.gelu %arg0 : (tensor<3xf16>) -> tensor<3xf16>
  return %0 : tensor<3xf16>
}

// CHECK-LABEL: func @prelu(
// CHECK: ane.prelu %arg0, %arg1 : (tensor<1x2x3x4xf16>, tensor<2xf16>) -> tensor<1x2x3x4xf16>
func.func @prelu(%arg0: tensor<1x2x3x4xf16>, %arg1: tensor<2xf16>) -> tensor<1x2x3x4xf16> {
  %0 = ane.prelu %arg0, %arg1 : (tensor<1x2x3x4xf16>, tensor<2xf16>) -> tensor<1x2x3x4xf16>
  return %0 : tensor<1x2x3x4xf16>
}

// CHECK-LABEL: func @softplus_parametric(
// CHECK: ane.softplus_parametric %arg0, %arg1, %arg2 : (tensor<1x2x3xf16>, tensor<2xf16>, tensor<2xf16>) -> tensor<1x2x3xf16>
func.func @softplus_parametric(%arg0: tensor<1x2x3xf16>, %arg1: tensor<2xf16>, %arg2: tensor<2xf16>) -> tensor<1x2x3xf16> {
  %0 = ane.softplus_parametric %arg0, %arg1, %arg2 : (tensor<1x2x3xf16>, tensor<2xf16>, tensor<2xf16>) -> tensor<1x2x3xf16>
  return %0 : tensor<1x2x3xf16>
}

// CHECK-LABEL: func @cast(
// CHECK: ane.cast %arg0 {dtype = i64} : (tensor<2xi32>) -> tensor<2xi64>
func.func @cast(%arg0: tensor<2xi32>) -> tensor<2xi64> {
  %0 = ane.cast %arg0 {dtype = i64} : (tensor<2xi32>) -> tensor<2xi64>
  return %0 : tensor<2xi64>
}

// CHECK-LABEL: func @cast_2(
// CHECK: ane.cast %arg0 {dtype = f32} : (tensor<4x6xi1>) -> tensor<4x6xf32>
func.func @cast_2(%arg0: tensor<4x6xi1>) -> tensor<4x6xf32> {
  %0 = ane.cast %arg0 {dtype = f32} : (tensor<4x6xi1>) -> tensor<4x6xf32>
  return %0 : tensor<4x6xf32>
}

// CHECK-LABEL: func @identity(
// CHECK: ane.identity %arg0 : (tensor<2x3xi8>) -> tensor<2x3xi8>
func.func @identity(%arg0: tensor<2x3xi8>) -> tensor<2x3xi8> {
  %0 = ane.identity %arg0 : (tensor<2x3xi8>) -> tensor<2x3xi8>
  return %0 : tensor<2x3xi8>
}

// CHECK-LABEL: func @add(
// CHECK: ane.add %arg0, %arg1 : (tensor<3xf16>, tensor<f16>) -> tensor<3xf16>
func.func @add(%arg0: tensor<3xf16>, %arg1: tensor<f16>) -> tensor<3xf16> {
  %0 = ane.add %arg0, %arg1 : (tensor<3xf16>, tensor<f16>) -> tensor<3xf16>
  return %0 : tensor<3xf16>
}

// CHECK-LABEL: func @sub(
// CHECK: ane.sub %arg0, %arg1 : (tensor<3xf16>, tensor<f16>) -> tensor<3xf16>
func.func @sub(%arg0: tensor<3xf16>, %arg1: tensor<f16>) -> tensor<3xf16> {
  %0 = ane.sub %arg0, %arg1 : (tensor<3xf16>, tensor<f16>) -> tensor<3xf16>
  return %0 : tensor<3xf16>
}

// CHECK-LABEL: func @mul(
// CHECK: ane.mul %arg0, %arg1 : (tensor<3xf16>, tensor<3xf16>) -> tensor<3xf16>
func.func @mul(%arg0: tensor<3xf16>, %arg1: tensor<3xf16>) -> tensor<3xf16> {
  %0 = ane.mul %arg0, %arg1 : (tensor<3xf16>, tensor<3xf16>) -> tensor<3xf16>
  return %0 : tensor<3xf16>
}

// CHECK-LABEL: func @real_div(
// CHECK: ane.real_div %arg0, %arg1 : (tensor<2x3x4x6xf16>, tensor<1xf16>) -> tensor<2x3x4x6xf16>
func.func @real_div(%arg0: tensor<2x3x4x6xf16>, %arg1: tensor<1xf16>) -> tensor<2x3x4x6xf16> {
  %0 = ane.real_div %arg0, %arg1 : (tensor<2x3x4x6xf16>, tensor<1xf16>) -> tensor<2x3x4x6xf16>
  return %0 : tensor<2x3x4x6xf16>
}

// CHECK-LABEL: func @floor_div(
// CHECK: ane.floor_div %arg0, %arg1 : (tensor<3xui8>, tensor<ui8>) -> tensor<3xui8>
func.func @floor_div(%arg0: tensor<3xui8>, %arg1: tensor<ui8>) -> tensor<3xui8> {
  %0 = ane.floor_div %arg0, %arg1 : (tensor<3xui8>, tensor<ui8>) -> tensor<3xui8>
  return %0 : tensor<3xui8>
}

// CHECK-LABEL: func @mod(
// CHECK: ane.mod %arg0, %arg1 : (tensor<3x4xi32>, tensor<i32>) -> tensor<3x4xi32>
func.func @mod(%arg0: tensor<3x4xi32>, %arg1: tensor<i32>) -> tensor<3x4xi32> {
  %0 = ane.mod %arg0, %arg1 : (tensor<3x4xi32>, tensor<i32>) -> tensor<3x4xi32>
  return %0 : tensor<3x4xi32>
}

// CHECK-LABEL: func @maximum(
// CHECK: ane.maximum %arg0, %arg1 : (tensor<3xui8>, tensor<ui8>) -> tensor<3xui8>
func.func @maximum(%arg0: tensor<3xui8>, %arg1: tensor<ui8>) -> tensor<3xui8> {
  %0 = ane.maximum %arg0, %arg1 : (tensor<3xui8>, tensor<ui8>) -> tensor<3xui8>
  return %0 : tensor<3xui8>
}

// CHECK-LABEL: func @minimum(
// CHECK: ane.minimum %arg0, %arg1 : (tensor<3xui8>, tensor<ui8>) -> tensor<3xui8>
func.func @minimum(%arg0: tensor<3xui8>, %arg1: tensor<ui8>) -> tensor<3xui8> {
  %0 = ane.minimum %arg0, %arg1 : (tensor<3xui8>, tensor<ui8>) -> tensor<3xui8>
  return %0 : tensor<3xui8>
}

// CHECK-LABEL: func @pow(
// CHECK: ane.pow %arg0, %arg1 : (tensor<ui8>, tensor<3xui8>) -> tensor<3xui8>
func.func @pow(%arg0: tensor<ui8>, %arg1: tensor<3xui8>) -> tensor<3xui8> {
  %0 = ane.pow %arg0, %arg1 : (tensor<ui8>, tensor<3xui8>) -> tensor<3xui8>
  return %0 : tensor<3xui8>
}

// CHECK-LABEL: func @equal(
// CHECK: ane.equal %arg0, %arg1 : (tensor<4x1xf16>, tensor<1xf16>) -> tensor<4x1xi1>
func.func @equal(%arg0: tensor<4x1xf16>, %arg1: tensor<1xf16>) -> tensor<4x1xi1> {
  %0 = ane.equal %arg0, %arg1 : (tensor<4x1xf16>, tensor<1xf16>) -> tensor<4x1xi1>
  return %0 : tensor<4x1xi1>
}

// CHECK-LABEL: func @not_equal(
// CHECK: ane.not_equal %arg0, %arg1 : (tensor<1x8xf16>, tensor<1x8xf16>) -> tensor<1x8xi1>
func.func @not_equal(%arg0: tensor<1x8xf16>, %arg1: tensor<1x8xf16>) -> tensor<1x8xi1> {
  %0 = ane.not_equal %arg0, %arg1 : (tensor<1x8xf16>, tensor<1x8xf16>) -> tensor<1x8xi1>
  return %0 : tensor<1x8xi1>
}

// CHECK-LABEL: func @greater(
// CHECK: ane.greater %arg0, %arg1 : (tensor<4x6xf16>, tensor<f16>) -> tensor<4x6xi1>
func.func @greater(%arg0: tensor<4x6xf16>, %arg1: tensor<f16>) -> tensor<4x6xi1> {
  %0 = ane.greater %arg0, %arg1 : (tensor<4x6xf16>, tensor<f16>) -> tensor<4x6xi1>
  return %0 : tensor<4x6xi1>
}

// CHECK-LABEL: func @greater_equal(
// CHECK: ane.greater_equal %arg0, %arg1 : (tensor<1x1x1x8xi64>, tensor<2x1x4x1xi64>) -> tensor<2x1x4x8xi1>
func.func @greater_equal(%arg0: tensor<1x1x1x8xi64>, %arg1: tensor<2x1x4x1xi64>) -> tensor<2x1x4x8xi1> {
  %0 = ane.greater_equal %arg0, %arg1 : (tensor<1x1x1x8xi64>, tensor<2x1x4x1xi64>) -> tensor<2x1x4x8xi1>
  return %0 : tensor<2x1x4x8xi1>
}

// CHECK-LABEL: func @less(
// CHECK: ane.less %arg0, %arg1 : (tensor<1x1x1x6xi64>, tensor<2x1x1x1xi64>) -> tensor<2x1x1x6xi1>
func.func @less(%arg0: tensor<1x1x1x6xi64>, %arg1: tensor<2x1x1x1xi64>) -> tensor<2x1x1x6xi1> {
  %0 = ane.less %arg0, %arg1 : (tensor<1x1x1x6xi64>, tensor<2x1x1x1xi64>) -> tensor<2x1x1x6xi1>
  return %0 : tensor<2x1x1x6xi1>
}

// CHECK-LABEL: func @less_equal(
// CHECK: ane.less_equal %arg0, %arg1 : (tensor<1x1x1x6xi64>, tensor<2x1x4x1xi64>) -> tensor<2x1x4x6xi1>
func.func @less_equal(%arg0: tensor<1x1x1x6xi64>, %arg1: tensor<2x1x4x1xi64>) -> tensor<2x1x4x6xi1> {
  %0 = ane.less_equal %arg0, %arg1 : (tensor<1x1x1x6xi64>, tensor<2x1x4x1xi64>) -> tensor<2x1x4x6xi1>
  return %0 : tensor<2x1x4x6xi1>
}

// CHECK-LABEL: func @logical_and(
// CHECK: ane.logical_and %arg0, %arg1 : (tensor<3x4xi1>, tensor<3x4xi1>) -> tensor<3x4xi1>
func.func @logical_and(%arg0: tensor<3x4xi1>, %arg1: tensor<3x4xi1>) -> tensor<3x4xi1> {
  %0 = ane.logical_and %arg0, %arg1 : (tensor<3x4xi1>, tensor<3x4xi1>) -> tensor<3x4xi1>
  return %0 : tensor<3x4xi1>
}

// CHECK-LABEL: func @logical_or(
// CHECK: ane.logical_or %arg0, %arg1 : (tensor<3x4x5xi1>, tensor<3x4x5xi1>) -> tensor<3x4x5xi1>
func.func @logical_or(%arg0: tensor<3x4x5xi1>, %arg1: tensor<3x4x5xi1>) -> tensor<3x4x5xi1> {
  %0 = ane.logical_or %arg0, %arg1 : (tensor<3x4x5xi1>, tensor<3x4x5xi1>) -> tensor<3x4x5xi1>
  return %0 : tensor<3x4x5xi1>
}

// CHECK-LABEL: func @logical_xor(
// CHECK: ane.logical_xor %arg0, %arg1 : (tensor<3x4xi1>, tensor<3x4xi1>) -> tensor<3x4xi1>
func.func @logical_xor(%arg0: tensor<3x4xi1>, %arg1: tensor<3x4xi1>) -> tensor<3x4xi1> {
  %0 = ane.logical_xor %arg0, %arg1 : (tensor<3x4xi1>, tensor<3x4xi1>) -> tensor<3x4xi1>
  return %0 : tensor<3x4xi1>
}

// CHECK-LABEL: func @select(
// CHECK: ane.select %arg0, %arg1, %arg2 : (tensor<4x1xi1>, tensor<1xf16>, tensor<2x3x4x6xf16>) -> tensor<2x3x4x6xf16>
func.func @select(%arg0: tensor<4x1xi1>, %arg1: tensor<1xf16>, %arg2: tensor<2x3x4x6xf16>) -> tensor<2x3x4x6xf16> {
  %0 = ane.select %arg0, %arg1, %arg2 : (tensor<4x1xi1>, tensor<1xf16>, tensor<2x3x4x6xf16>) -> tensor<2x3x4x6xf16>
  return %0 : tensor<2x3x4x6xf16>
}
