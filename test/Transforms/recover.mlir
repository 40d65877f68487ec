// RUN: ane-opt %s --ane-recover --canonicalize --split-input-file | FileCheck %s

// x / 2 * (1 + erf(x / sqrt 2)), as PyTorch's exporters write it.
// CHECK-LABEL: func @gelu(
// CHECK-NEXT: %[[Y:.*]] = ane.gelu %arg0 :
// CHECK-NEXT: return %[[Y]]
func.func @gelu(%x: tensor<2x8xf32>) -> tensor<2x8xf32> {
  %root = ane.constant dense<1.41421354> : tensor<f32>
  %one = ane.constant dense<1.0> : tensor<f32>
  %half = ane.constant dense<0.5> : tensor<f32>
  %d = ane.real_div %x, %root : (tensor<2x8xf32>, tensor<f32>) -> tensor<2x8xf32>
  %e = ane.erf %d : (tensor<2x8xf32>) -> tensor<2x8xf32>
  %g = ane.add %e, %one : (tensor<2x8xf32>, tensor<f32>) -> tensor<2x8xf32>
  %m = ane.mul %x, %g : (tensor<2x8xf32>, tensor<2x8xf32>) -> tensor<2x8xf32>
  %y = ane.mul %m, %half : (tensor<2x8xf32>, tensor<f32>) -> tensor<2x8xf32>
  return %y : tensor<2x8xf32>
}

// -----
// The same with another number is another function.
// CHECK-LABEL: func @no_gelu(
// CHECK-NOT: ane.gelu
func.func @no_gelu(%x: tensor<2x8xf32>) -> tensor<2x8xf32> {
  %root = ane.constant dense<1.5> : tensor<f32>
  %one = ane.constant dense<1.0> : tensor<f32>
  %half = ane.constant dense<0.5> : tensor<f32>
  %d = ane.real_div %x, %root : (tensor<2x8xf32>, tensor<f32>) -> tensor<2x8xf32>
  %e = ane.erf %d : (tensor<2x8xf32>) -> tensor<2x8xf32>
  %g = ane.add %e, %one : (tensor<2x8xf32>, tensor<f32>) -> tensor<2x8xf32>
  %m = ane.mul %x, %g : (tensor<2x8xf32>, tensor<2x8xf32>) -> tensor<2x8xf32>
  %y = ane.mul %m, %half : (tensor<2x8xf32>, tensor<f32>) -> tensor<2x8xf32>
  return %y : tensor<2x8xf32>
}

// -----
// The tanh approximation with its cube in two products.
// CHECK-LABEL: func @tanh_gelu(
// CHECK-NEXT: ane.gelu %arg0 {mode = "TANH_APPROXIMATION"}
func.func @tanh_gelu(%x: tensor<8xf32>) -> tensor<8xf32> {
  %c = ane.constant dense<0.044715> : tensor<f32>
  %s = ane.constant dense<0.797884583> : tensor<f32>
  %one = ane.constant dense<1.0> : tensor<f32>
  %half = ane.constant dense<0.5> : tensor<f32>
  %2 = ane.mul %x, %x : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
  %3 = ane.mul %2, %x : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
  %4 = ane.mul %3, %c : (tensor<8xf32>, tensor<f32>) -> tensor<8xf32>
  %5 = ane.add %x, %4 : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
  %6 = ane.mul %5, %s : (tensor<8xf32>, tensor<f32>) -> tensor<8xf32>
  %7 = ane.tanh %6 : (tensor<8xf32>) -> tensor<8xf32>
  %8 = ane.add %7, %one : (tensor<8xf32>, tensor<f32>) -> tensor<8xf32>
  %9 = ane.mul %x, %half : (tensor<8xf32>, tensor<f32>) -> tensor<8xf32>
  %y = ane.mul %9, %8 : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
  return %y : tensor<8xf32>
}

// -----
// CHECK-LABEL: func @silu(
// CHECK-NEXT: ane.silu %arg0
func.func @silu(%x: tensor<8xf32>) -> tensor<8xf32> {
  %s = ane.sigmoid %x : (tensor<8xf32>) -> tensor<8xf32>
  %y = ane.mul %s, %x : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
  return %y : tensor<8xf32>
}

// -----
// CHECK-LABEL: func @layer_norm(
// CHECK: ane.layer_norm %arg0, %{{.*}}, %{{.*}} {axes = array<i64: 2>
// CHECK-NOT: ane.reduce_mean
func.func @layer_norm(%x: tensor<1x4x8xf32>) -> tensor<1x4x8xf32> {
  %two = ane.constant dense<2.0> : tensor<f32>
  %eps = ane.constant dense<1.0e-5> : tensor<f32>
  %gamma = ane.constant dense<[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]> : tensor<8xf32>
  %beta = ane.constant dense<[8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0]> : tensor<8xf32>
  %m = ane.reduce_mean %x {axes = array<i64: -1>, keep_dims = true} : (tensor<1x4x8xf32>) -> tensor<1x4x1xf32>
  %d = ane.sub %x, %m : (tensor<1x4x8xf32>, tensor<1x4x1xf32>) -> tensor<1x4x8xf32>
  %q = ane.pow %d, %two : (tensor<1x4x8xf32>, tensor<f32>) -> tensor<1x4x8xf32>
  %v = ane.reduce_mean %q {axes = array<i64: -1>, keep_dims = true} : (tensor<1x4x8xf32>) -> tensor<1x4x1xf32>
  %a = ane.add %v, %eps : (tensor<1x4x1xf32>, tensor<f32>) -> tensor<1x4x1xf32>
  %r = ane.sqrt %a : (tensor<1x4x1xf32>) -> tensor<1x4x1xf32>
  %n = ane.real_div %d, %r : (tensor<1x4x8xf32>, tensor<1x4x1xf32>) -> tensor<1x4x8xf32>
  %s = ane.mul %n, %gamma : (tensor<1x4x8xf32>, tensor<8xf32>) -> tensor<1x4x8xf32>
  %y = ane.add %s, %beta : (tensor<1x4x8xf32>, tensor<8xf32>) -> tensor<1x4x8xf32>
  return %y : tensor<1x4x8xf32>
}

// -----
// A division by a number is a multiplication.
// CHECK-LABEL: func @divide(
// CHECK: %[[I:.*]] = ane.inverse %{{.*}} : (tensor<f32>)
// CHECK: ane.mul %arg0, %[[I]]
func.func @divide(%x: tensor<8xf32>) -> tensor<8xf32> {
  %c = ane.constant dense<8.0> : tensor<f32>
  %y = ane.real_div %x, %c : (tensor<8xf32>, tensor<f32>) -> tensor<8xf32>
  return %y : tensor<8xf32>
}

// CHECK-LABEL: func @hardswish(
// CHECK: %[[G:.*]] = ane.sigmoid_hard %arg0 {alpha = 0.166666672 : f32}
// CHECK-NEXT: ane.mul %arg0, %[[G]]
// CHECK-NEXT: return
func.func @hardswish(%x: tensor<1x4xf32>) -> tensor<1x4xf32> {
  %three = ane.constant dense<3.0> : tensor<f32>
  %six = ane.constant dense<6.0> : tensor<f32>
  %0 = ane.add %x, %three : (tensor<1x4xf32>, tensor<f32>) -> tensor<1x4xf32>
  %1 = ane.clip %0 {alpha = 0.0 : f32, beta = 6.0 : f32} : (tensor<1x4xf32>) -> tensor<1x4xf32>
  %2 = ane.mul %x, %1 : (tensor<1x4xf32>, tensor<1x4xf32>) -> tensor<1x4xf32>
  %3 = ane.real_div %2, %six : (tensor<1x4xf32>, tensor<f32>) -> tensor<1x4xf32>
  return %3 : tensor<1x4xf32>
}

// CHECK-LABEL: func @hardswish_gate_first(
// CHECK: ane.sigmoid_hard %arg0
// CHECK-NEXT: ane.mul
// CHECK-NEXT: return
func.func @hardswish_gate_first(%x: tensor<1x4xf32>) -> tensor<1x4xf32> {
  %three = ane.constant dense<3.0> : tensor<f32>
  %sixth = ane.constant dense<0.16666667> : tensor<f32>
  %0 = ane.add %x, %three : (tensor<1x4xf32>, tensor<f32>) -> tensor<1x4xf32>
  %1 = ane.relu6 %0 : (tensor<1x4xf32>) -> tensor<1x4xf32>
  %2 = ane.mul %1, %sixth : (tensor<1x4xf32>, tensor<f32>) -> tensor<1x4xf32>
  %3 = ane.mul %x, %2 : (tensor<1x4xf32>, tensor<1x4xf32>) -> tensor<1x4xf32>
  return %3 : tensor<1x4xf32>
}

// Another slope is another function.
// CHECK-LABEL: func @no_hardswish(
// CHECK-NOT: ane.sigmoid_hard
// CHECK: return
func.func @no_hardswish(%x: tensor<1x4xf32>) -> tensor<1x4xf32> {
  %three = ane.constant dense<3.0> : tensor<f32>
  %fifth = ane.constant dense<0.2> : tensor<f32>
  %0 = ane.add %x, %three : (tensor<1x4xf32>, tensor<f32>) -> tensor<1x4xf32>
  %1 = ane.relu6 %0 : (tensor<1x4xf32>) -> tensor<1x4xf32>
  %2 = ane.mul %1, %fifth : (tensor<1x4xf32>, tensor<f32>) -> tensor<1x4xf32>
  return %2 : tensor<1x4xf32>
}

// CHECK-LABEL: func @softmax(
// CHECK: ane.softmax %arg0 {axis = 1 : i64}
// CHECK-NEXT: return
func.func @softmax(%x: tensor<2x4xf32>) -> tensor<2x4xf32> {
  %m = ane.reduce_max %x {axes = array<i64: -1>, keep_dims = true} : (tensor<2x4xf32>) -> tensor<2x1xf32>
  %0 = ane.sub %x, %m : (tensor<2x4xf32>, tensor<2x1xf32>) -> tensor<2x4xf32>
  %1 = ane.exp %0 : (tensor<2x4xf32>) -> tensor<2x4xf32>
  %s = ane.reduce_sum %1 {axes = array<i64: 1>, keep_dims = true} : (tensor<2x4xf32>) -> tensor<2x1xf32>
  %2 = ane.real_div %1, %s : (tensor<2x4xf32>, tensor<2x1xf32>) -> tensor<2x4xf32>
  return %2 : tensor<2x4xf32>
}

// CHECK-LABEL: func @rms_norm(
// CHECK: %[[R:.*]] = ane.rsqrt
// CHECK: ane.mul %arg0, %[[R]]
func.func @rms_norm(%x: tensor<2x4xf32>) -> tensor<2x4xf32> {
  %e = ane.constant dense<1.0e-5> : tensor<f32>
  %q = ane.mul %x, %x : (tensor<2x4xf32>, tensor<2x4xf32>) -> tensor<2x4xf32>
  %m = ane.reduce_mean %q {axes = array<i64: 1>, keep_dims = true} : (tensor<2x4xf32>) -> tensor<2x1xf32>
  %s = ane.add %m, %e : (tensor<2x1xf32>, tensor<f32>) -> tensor<2x1xf32>
  %r = ane.sqrt %s : (tensor<2x1xf32>) -> tensor<2x1xf32>
  %0 = ane.real_div %x, %r : (tensor<2x4xf32>, tensor<2x1xf32>) -> tensor<2x4xf32>
  return %0 : tensor<2x4xf32>
}
