// RUN: ane-opt %s --ane-recover=safe | FileCheck %s
// RUN: ane-opt %s --ane-recover | FileCheck %s --check-prefix=PLAIN

// Squares of 256 are infinite in fp16: each row is divided by its largest magnitude first.
// CHECK-LABEL: func @rms_norm
// CHECK: %[[A:.+]] = ane.abs %arg0
// CHECK: %[[M:.+]] = ane.reduce_max %[[A]] {axes = array<i64: 1>, keep_dims = true}
// CHECK: %[[N:.+]] = ane.maximum %[[M]],
// CHECK: %[[Z:.+]] = ane.real_div %arg0, %[[N]]
// CHECK: ane.mul %[[Z]], %[[Z]]
// CHECK: ane.rsqrt
// CHECK-NOT: ane.pow
// PLAIN-LABEL: func @rms_norm
// PLAIN: ane.pow
// PLAIN-NOT: ane.reduce_max
func.func @rms_norm(%x: tensor<4x64xf32>) -> tensor<4x64xf32> {
  %two = ane.constant dense<2.0> : tensor<f32>
  %eps = ane.constant dense<1.0e-6> : tensor<f32>
  %p = ane.pow %x, %two : (tensor<4x64xf32>, tensor<f32>) -> tensor<4x64xf32>
  %m = ane.reduce_mean %p {axes = array<i64: 1>, keep_dims = true} : (tensor<4x64xf32>) -> tensor<4x1xf32>
  %a = ane.add %m, %eps : (tensor<4x1xf32>, tensor<f32>) -> tensor<4x1xf32>
  %s = ane.sqrt %a : (tensor<4x1xf32>) -> tensor<4x1xf32>
  %y = ane.real_div %x, %s : (tensor<4x64xf32>, tensor<4x1xf32>) -> tensor<4x64xf32>
  return %y : tensor<4x64xf32>
}

// A row of zeros stays one.
// CHECK-LABEL: func @normalize
// CHECK: ane.reduce_max
// CHECK-NOT: ane.clip
// CHECK: ane.real_div
func.func @normalize(%x: tensor<4x64xf32>) -> tensor<4x64xf32> {
  %n = ane.reduce_l2_norm %x {axes = array<i64: 1>, keep_dims = true} : (tensor<4x64xf32>) -> tensor<4x1xf32>
  %c = ane.clip %n {alpha = 1.0e-12 : f32, beta = 0x7F800000 : f32} : (tensor<4x1xf32>) -> tensor<4x1xf32>
  %y = ane.real_div %x, %c : (tensor<4x64xf32>, tensor<4x1xf32>) -> tensor<4x64xf32>
  return %y : tensor<4x64xf32>
}

// Of another value it is no norm.
// CHECK-LABEL: func @other
// CHECK-NOT: ane.reduce_max
func.func @other(%x: tensor<4x64xf32>, %z: tensor<4x64xf32>) -> tensor<4x64xf32> {
  %n = ane.reduce_l2_norm %x {axes = array<i64: 1>, keep_dims = true} : (tensor<4x64xf32>) -> tensor<4x1xf32>
  %y = ane.real_div %z, %n : (tensor<4x64xf32>, tensor<4x1xf32>) -> tensor<4x64xf32>
  return %y : tensor<4x64xf32>
}

// CHECK-LABEL: func @log_sum_exp
// CHECK: ane.reduce_log_sum_exp %arg0
// CHECK-NOT: ane.exp
func.func @log_sum_exp(%x: tensor<4x64xf32>) -> tensor<4x1xf32> {
  %e = ane.exp %x : (tensor<4x64xf32>) -> tensor<4x64xf32>
  %s = ane.reduce_sum %e {axes = array<i64: 1>, keep_dims = true} : (tensor<4x64xf32>) -> tensor<4x1xf32>
  %y = ane.log %s : (tensor<4x1xf32>) -> tensor<4x1xf32>
  return %y : tensor<4x1xf32>
}

// CHECK-LABEL: func @softplus
// CHECK: ane.softplus %arg0
func.func @softplus(%x: tensor<8xf32>) -> tensor<8xf32> {
  %one = ane.constant dense<1.0> : tensor<f32>
  %e = ane.exp %x : (tensor<8xf32>) -> tensor<8xf32>
  %s = ane.add %e, %one : (tensor<8xf32>, tensor<f32>) -> tensor<8xf32>
  %y = ane.log %s : (tensor<8xf32>) -> tensor<8xf32>
  return %y : tensor<8xf32>
}

// CHECK-LABEL: func @tanh
// CHECK: ane.tanh %arg0
func.func @tanh(%x: tensor<8xf32>) -> tensor<8xf32> {
  %minus = ane.constant dense<-1.0> : tensor<f32>
  %n = ane.mul %x, %minus : (tensor<8xf32>, tensor<f32>) -> tensor<8xf32>
  %a = ane.exp %x : (tensor<8xf32>) -> tensor<8xf32>
  %b = ane.exp %n : (tensor<8xf32>) -> tensor<8xf32>
  %d = ane.sub %a, %b : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
  %s = ane.add %a, %b : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
  %y = ane.real_div %d, %s : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
  return %y : tensor<8xf32>
}

// CHECK-LABEL: func @mean
// CHECK: ane.reduce_mean %arg0
// CHECK-NOT: ane.reduce_sum
func.func @mean(%x: tensor<4x64xf32>) -> tensor<4xf32> {
  %n = ane.constant dense<0.015625> : tensor<f32>
  %s = ane.reduce_sum %x {axes = array<i64: 1>, keep_dims = false} : (tensor<4x64xf32>) -> tensor<4xf32>
  %y = ane.mul %s, %n : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  return %y : tensor<4xf32>
}

// CHECK-LABEL: func @variance
// CHECK: %[[M:.+]] = ane.reduce_mean %arg0
// CHECK: %[[D:.+]] = ane.sub %arg0, %[[M]]
// CHECK: ane.mul %[[D]], %[[D]]
func.func @variance(%x: tensor<4x64xf32>) -> tensor<4x1xf32> {
  %p = ane.mul %x, %x : (tensor<4x64xf32>, tensor<4x64xf32>) -> tensor<4x64xf32>
  %q = ane.reduce_mean %p {axes = array<i64: 1>, keep_dims = true} : (tensor<4x64xf32>) -> tensor<4x1xf32>
  %m = ane.reduce_mean %x {axes = array<i64: 1>, keep_dims = true} : (tensor<4x64xf32>) -> tensor<4x1xf32>
  %s = ane.mul %m, %m : (tensor<4x1xf32>, tensor<4x1xf32>) -> tensor<4x1xf32>
  %y = ane.sub %q, %s : (tensor<4x1xf32>, tensor<4x1xf32>) -> tensor<4x1xf32>
  return %y : tensor<4x1xf32>
}

// A share of a sum divides by the mean, which is of the terms' own size.
// CHECK-LABEL: func @share
// CHECK: ane.reduce_mean
// CHECK-NOT: ane.reduce_l1_norm
// CHECK: ane.real_div
func.func @share(%x: tensor<4x64xf32>) -> tensor<4x64xf32> {
  %eps = ane.constant dense<1.0e-12> : tensor<f32>
  %n = ane.reduce_l1_norm %x {axes = array<i64: 1>, keep_dims = true} : (tensor<4x64xf32>) -> tensor<4x1xf32>
  %c = ane.maximum %n, %eps : (tensor<4x1xf32>, tensor<f32>) -> tensor<4x1xf32>
  %y = ane.real_div %x, %c : (tensor<4x64xf32>, tensor<4x1xf32>) -> tensor<4x64xf32>
  return %y : tensor<4x64xf32>
}

// CHECK-LABEL: func @log_sigmoid
// CHECK: ane.softplus
// CHECK-NOT: ane.log
func.func @log_sigmoid(%x: tensor<8xf32>) -> tensor<8xf32> {
  %s = ane.sigmoid %x : (tensor<8xf32>) -> tensor<8xf32>
  %y = ane.log %s : (tensor<8xf32>) -> tensor<8xf32>
  return %y : tensor<8xf32>
}

// Both sides are normalised before they are multiplied.
// CHECK-LABEL: func @cosine
// CHECK-COUNT-2: ane.reduce_max
// CHECK: ane.reduce_sum
// CHECK-NOT: ane.reduce_l2_norm
func.func @cosine(%x: tensor<4x64xf32>, %z: tensor<4x64xf32>) -> tensor<4xf32> {
  %eps = ane.constant dense<1.0e-8> : tensor<f32>
  %p = ane.mul %x, %z : (tensor<4x64xf32>, tensor<4x64xf32>) -> tensor<4x64xf32>
  %d = ane.reduce_sum %p {axes = array<i64: 1>, keep_dims = false} : (tensor<4x64xf32>) -> tensor<4xf32>
  %a = ane.reduce_l2_norm %x {axes = array<i64: 1>, keep_dims = false} : (tensor<4x64xf32>) -> tensor<4xf32>
  %b = ane.reduce_l2_norm %z {axes = array<i64: 1>, keep_dims = false} : (tensor<4x64xf32>) -> tensor<4xf32>
  %n = ane.mul %a, %b : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %c = ane.maximum %n, %eps : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %y = ane.real_div %d, %c : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return %y : tensor<4xf32>
}

// A softmax without its maximum stays one, whatever safe forms its sum has.
// CHECK-LABEL: func @softmax_by_hand
// CHECK-NEXT: ane.softmax %arg0 {axis = 1 : i64}
// PLAIN-LABEL: func @softmax_by_hand
// PLAIN-NEXT: ane.softmax
func.func @softmax_by_hand(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %e = ane.exp %x : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %s = ane.reduce_sum %e {axes = array<i64: 1>, keep_dims = true} : (tensor<4x8xf32>) -> tensor<4x1xf32>
  %y = ane.real_div %e, %s : (tensor<4x8xf32>, tensor<4x1xf32>) -> tensor<4x8xf32>
  return %y : tensor<4x8xf32>
}

// CHECK-LABEL: func @logistic
// CHECK-DAG: %[[MINUS:.*]] = ane.constant dense<-1.0
// CHECK: %[[N:.*]] = ane.mul %arg0, %[[MINUS]]
// CHECK: %[[Q:.*]] = ane.sigmoid %[[N]]
// CHECK: ane.softplus
// CHECK-NOT: ane.log
// CHECK: return %[[Q]]
func.func @logistic(%x: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
  %one = ane.constant dense<1.0> : tensor<f32>
  %o = ane.sigmoid %x : (tensor<4xf32>) -> tensor<4xf32>
  %q = ane.sub %one, %o : (tensor<f32>, tensor<4xf32>) -> tensor<4xf32>
  %p = ane.sigmoid %x : (tensor<4xf32>) -> tensor<4xf32>
  %l = ane.log %p : (tensor<4xf32>) -> tensor<4xf32>
  return %q, %l : tensor<4xf32>, tensor<4xf32>
}

// The other side of a gate is left as it is.
// CHECK-LABEL: func @gate
// CHECK: %[[Z:.*]] = ane.sigmoid %arg0
// CHECK-NOT: ane.sigmoid
// CHECK: ane.sub %{{.*}}, %[[Z]]
func.func @gate(%x: tensor<4xf32>, %h: tensor<4xf32>, %n: tensor<4xf32>) -> tensor<4xf32> {
  %one = ane.constant dense<1.0> : tensor<f32>
  %z = ane.sigmoid %x : (tensor<4xf32>) -> tensor<4xf32>
  %r = ane.sub %one, %z : (tensor<f32>, tensor<4xf32>) -> tensor<4xf32>
  %a = ane.mul %z, %h : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %b = ane.mul %r, %n : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %y = ane.add %a, %b : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return %y : tensor<4xf32>
}

// A matrix by the sums of its rows, broadcast along each row's columns: no share of a sum.
// CHECK-LABEL: func @other_axis
// CHECK: ane.reduce_sum
// CHECK-NOT: ane.reduce_mean
// CHECK: return
func.func @other_axis(%x: tensor<4x4xf32>) -> tensor<4x4xf32> {
  %a = ane.abs %x : (tensor<4x4xf32>) -> tensor<4x4xf32>
  %s = ane.reduce_sum %a {axes = array<i64: 1>, keep_dims = false} : (tensor<4x4xf32>) -> tensor<4xf32>
  %y = ane.real_div %a, %s : (tensor<4x4xf32>, tensor<4xf32>) -> tensor<4x4xf32>
  return %y : tensor<4x4xf32>
}
