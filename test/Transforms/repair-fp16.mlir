// RUN: ane-opt %s --ane-repair-masks --ane-repair-fp16 --cse | FileCheck %s

// A mask of minus infinity that reaches a softmax is clamped; another reader sees the sum as it was.
// CHECK-LABEL: func @mask
// CHECK: %[[MASK:.+]] = ane.constant dense<{{.+}}0xFC00
// CHECK: %[[CLAMPED:.+]] = ane.clip %[[MASK]] {alpha = -3.000000e+04 : f32, beta = 6.550400e+04 : f32}
// CHECK: %[[SUM:.+]] = ane.add %{{.+}}, %[[CLAMPED]]
// CHECK: ane.softmax %[[SUM]]
func.func @mask(%x: tensor<1x2xf16>, %y: tensor<1x2xf16>) -> tensor<1x2xf16> {
  %mask = ane.constant dense<[[0.0, 0xFC00]]> : tensor<1x2xf16>
  %two = ane.mul %x, %y : (tensor<1x2xf16>, tensor<1x2xf16>) -> tensor<1x2xf16>
  %s = ane.add %two, %mask : (tensor<1x2xf16>, tensor<1x2xf16>) -> tensor<1x2xf16>
  %p = ane.softmax %s : (tensor<1x2xf16>) -> tensor<1x2xf16>
  return %p : tensor<1x2xf16>
}

// CHECK-LABEL: func @mask_read_twice
// CHECK: %[[SUM:.+]] = ane.add
// CHECK: %[[CLAMPED:.+]] = ane.clip %[[SUM]]
// CHECK: %[[EVEN:.+]] = ane.clip %[[CLAMPED]]
// CHECK: ane.softmax %[[EVEN]]
// CHECK: return %{{.+}}, %[[SUM]]
func.func @mask_read_twice(%x: tensor<1x2xf16>, %y: tensor<1x2xf16>) -> (tensor<1x2xf16>, tensor<1x2xf16>) {
  %mask = ane.constant dense<[[0.0, 0xFC00]]> : tensor<1x2xf16>
  %s = ane.add %x, %mask : (tensor<1x2xf16>, tensor<1x2xf16>) -> tensor<1x2xf16>
  %p = ane.softmax %s : (tensor<1x2xf16>) -> tensor<1x2xf16>
  return %p, %s : tensor<1x2xf16>, tensor<1x2xf16>
}

// CHECK-LABEL: func @log_softmax
// CHECK: %[[L:.+]] = ane.reduce_log_sum_exp %arg0 {axes = array<i64: 1>, keep_dims = true}
// CHECK: ane.sub %arg0, %[[L]]
func.func @log_softmax(%x: tensor<4x8xf16>) -> tensor<4x8xf16> {
  %p = ane.softmax %x : (tensor<4x8xf16>) -> tensor<4x8xf16>
  %y = ane.log %p : (tensor<4x8xf16>) -> tensor<4x8xf16>
  return %y : tensor<4x8xf16>
}

// Partial sums of 2^16: the weight is stored times 2^-3 and the result multiplied back (L60).
// CHECK-LABEL: func @partial_sums
// CHECK: %[[W:.+]] = ane.mul %{{.+}}, %{{.+}} : (tensor<8x4xf16>, tensor<f16>) -> tensor<8x4xf16>
// CHECK: %[[Y:.+]] = ane.matmul %arg0, %[[W]] {ane.repair = "L60: partial sums reach 6.554e+04; stored times 2^-3"}
// CHECK: %[[BACK:.+]] = ane.constant dense<8.0
// CHECK: ane.mul %[[Y]], %[[BACK]]
func.func @partial_sums(%x: tensor<2x8xf16>) -> tensor<2x4xf16> {
  %w = ane.constant dense<4.0> : tensor<8x4xf16>
  %y = ane.matmul %x, %w {ane.peak = array<f32: 1000.0>, ane.partial = 65536.0 : f32} : (tensor<2x8xf16>, tensor<8x4xf16>) -> tensor<2x4xf16>
  return %y : tensor<2x4xf16>
}

// A sum beyond 65504 stays scaled until the norm, whose epsilon is scaled with it (L62).
// CHECK-LABEL: func @residual
// CHECK-DAG: %[[A:.+]] = ane.mul %arg0, %{{.+}}
// CHECK-DAG: %[[B:.+]] = ane.mul %arg1, %{{.+}}
// CHECK: %[[SUM:.+]] = ane.add %[[A]], %[[B]] {ane.repair = "L62: results reach 1e+05; stored times 2^-4"}
// CHECK: %[[R:.+]] = ane.relu %[[SUM]]
// CHECK: ane.layer_norm %[[R]] {axes = array<i64: 1>, epsilon = 3.90625{{.+}} : f32
func.func @residual(%x: tensor<2x8xf16>, %y: tensor<2x8xf16>) -> tensor<2x8xf16> {
  %s = ane.add %x, %y {ane.peak = array<f32: 1.0e5>} : (tensor<2x8xf16>, tensor<2x8xf16>) -> tensor<2x8xf16>
  %r = ane.relu %s {ane.peak = array<f32: 1.0e5>} : (tensor<2x8xf16>) -> tensor<2x8xf16>
  %n = ane.layer_norm %r {axes = array<i64: 1>, epsilon = 1.0e-2 : f32, operandSegmentSizes = array<i32: 1, 0, 0>, ane.peak = array<f32: 4.0>} : (tensor<2x8xf16>) -> tensor<2x8xf16>
  return %n : tensor<2x8xf16>
}

// Without calibration: what follows from bounded functions.
// CHECK-LABEL: func @bounded
// CHECK: ane.mul %{{.+}}, %{{.+}} {ane.repair = "L62: results reach 1.2e+05; stored times 2^-4"}
func.func @bounded(%x: tensor<2x8xf16>) -> tensor<2x8xf16> {
  %big = ane.constant dense<6.0e4> : tensor<f16>
  %s = ane.sigmoid %x : (tensor<2x8xf16>) -> tensor<2x8xf16>
  %t = ane.add %s, %s : (tensor<2x8xf16>, tensor<2x8xf16>) -> tensor<2x8xf16>
  %y = ane.mul %t, %big : (tensor<2x8xf16>, tensor<f16>) -> tensor<2x8xf16>
  return %y : tensor<2x8xf16>
}

// Products that vanish in the accumulator are computed scaled up and divided at once (L61).
// CHECK-LABEL: func @vanishing
// CHECK: %[[UP:.+]] = ane.mul %{{.+}}, %{{.+}}
// CHECK: ane.matmul {{.*}}ane.repair = "L61
// CHECK: ane.mul
// CHECK: ane.softmax
func.func @vanishing(%p: tensor<2x8xf16>, %v: tensor<8x4xf16>) -> tensor<2x4xf16> {
  %y = ane.matmul %p, %v {ane.peak = array<f32: 1.0e-3>, ane.partial = 1.0e-3 : f32, ane.engine_error = 0.5 : f32} : (tensor<2x8xf16>, tensor<8x4xf16>) -> tensor<2x4xf16>
  %z = ane.softmax %y : (tensor<2x4xf16>) -> tensor<2x4xf16>
  return %z : tensor<2x4xf16>
}

// Nothing is large, nothing changes.
// CHECK-LABEL: func @fine
// CHECK-NEXT: ane.add
// CHECK-NEXT: return
func.func @fine(%x: tensor<2x8xf16>, %y: tensor<2x8xf16>) -> tensor<2x8xf16> {
  %s = ane.add %x, %y {ane.peak = array<f32: 1.0e3>} : (tensor<2x8xf16>, tensor<2x8xf16>) -> tensor<2x8xf16>
  return %s : tensor<2x8xf16>
}

// A mask of run time may cover a whole row, which fp32 makes even: the mask swallows the scores.
// CHECK-LABEL: func @whole_rows
// CHECK: %[[S:.+]] = ane.add
// CHECK: %[[E:.+]] = ane.clip %[[S]] {alpha = -2.000000e+04 : f32
// CHECK: ane.softmax %[[E]]
func.func @whole_rows(%x: tensor<4x8xf16>, %y: tensor<8x8xf16>, %m: tensor<4x8xf16>) -> tensor<4x8xf16> {
  %q = ane.matmul %x, %y : (tensor<4x8xf16>, tensor<8x8xf16>) -> tensor<4x8xf16>
  %s = ane.add %q, %m : (tensor<4x8xf16>, tensor<4x8xf16>) -> tensor<4x8xf16>
  %p = ane.softmax %s : (tensor<4x8xf16>) -> tensor<4x8xf16>
  return %p : tensor<4x8xf16>
}

// What would need 2^-21 is a mask or saturates by design: it stays.
// CHECK-LABEL: func @hopeless
// CHECK-NOT: ane.mul
// CHECK: return
func.func @hopeless(%x: tensor<2x8xf16>, %y: tensor<2x8xf16>) -> tensor<2x8xf16> {
  %s = ane.add %x, %y {ane.peak = array<f32: 1.0e10>} : (tensor<2x8xf16>, tensor<2x8xf16>) -> tensor<2x8xf16>
  %n = ane.layer_norm %s {axes = array<i64: 1>, epsilon = 1.0e-2 : f32, operandSegmentSizes = array<i32: 1, 0, 0>, ane.peak = array<f32: 4.0>} : (tensor<2x8xf16>) -> tensor<2x8xf16>
  return %n : tensor<2x8xf16>
}
