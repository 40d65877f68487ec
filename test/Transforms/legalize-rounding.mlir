// RUN: ane-opt %s --ane-legalize --cse | FileCheck %s
// RUN: ane-opt %s --ane-legalize=door=coreml | FileCheck %s --check-prefix=WHOLE
// RUN: ane-opt %s --ane-legalize=exact-silu | FileCheck %s --check-prefix=SILU
// RUN: ane-opt %s --ane-legalize --ane-simplify --canonicalize | FileCheck %s --check-prefix=KEPT

// Only floors, and no factor directly behind one.
// CHECK-LABEL: func @round(
// CHECK-DAG: %[[F:.*]] = ane.floor %arg0
// CHECK-DAG: %[[H:.*]] = ane.mul %arg0, %{{.*}}
// CHECK: %[[P:.*]] = ane.floor %[[H]]
// CHECK: %[[PP:.*]] = ane.add %[[P]], %[[P]]
// CHECK: %[[O:.*]] = ane.sub %[[F]], %[[PP]]
// CHECK-NOT: ane.round
// CHECK: return
// WHOLE-LABEL: func @round(
// WHOLE: ane.round
func.func @round(%x: tensor<2x8xf16>) -> tensor<2x8xf16> {
  %y = ane.round %x : (tensor<2x8xf16>) -> tensor<2x8xf16>
  return %y : tensor<2x8xf16>
}

// The host rounds as it should.
// CHECK-LABEL: func @host_round(
// CHECK: ane.round
func.func @host_round(%x: tensor<2x8xf32>) -> tensor<2x8xf32> {
  %y = ane.round %x : (tensor<2x8xf32>) -> tensor<2x8xf32>
  return %y : tensor<2x8xf32>
}

// Codes of a quantised value; sixteen bits are too many.
// CHECK-LABEL: func @codes(
// CHECK: ane.round
// CHECK-LABEL: func @wide_codes(
// CHECK-NOT: ane.round
func.func @codes(%x: tensor<2x8xf16>) -> tensor<2x8xf16> {
  %z = ane.constant dense<3.0> : tensor<f16>
  %r = ane.round %x : (tensor<2x8xf16>) -> tensor<2x8xf16>
  %s = ane.add %z, %r : (tensor<f16>, tensor<2x8xf16>) -> tensor<2x8xf16>
  %c = ane.clip %s {alpha = -128.0 : f32, beta = 127.0 : f32} : (tensor<2x8xf16>) -> tensor<2x8xf16>
  return %c : tensor<2x8xf16>
}
func.func @wide_codes(%x: tensor<2x8xf16>) -> tensor<2x8xf16> {
  %r = ane.round %x : (tensor<2x8xf16>) -> tensor<2x8xf16>
  %c = ane.clip %r {alpha = -32768.0 : f32, beta = 32767.0 : f32} : (tensor<2x8xf16>) -> tensor<2x8xf16>
  return %c : tensor<2x8xf16>
}

// CHECK-LABEL: func @factor(
// CHECK-DAG: %[[C:.*]] = ane.constant dense<1.250000e-01> : tensor<2x8xf16>
// CHECK-DAG: %[[F:.*]] = ane.floor
// CHECK: ane.mul %[[F]], %[[C]]
// What comes later leaves it so.
// KEPT-LABEL: func @factor(
// KEPT: ane.constant dense<1.250000e-01> : tensor<2x8xf16>
func.func @factor(%x: tensor<2x8xf16>) -> tensor<2x8xf16> {
  %c = ane.constant dense<0.125> : tensor<f16>
  %f = ane.floor %x : (tensor<2x8xf16>) -> tensor<2x8xf16>
  %y = ane.mul %f, %c : (tensor<2x8xf16>, tensor<f16>) -> tensor<2x8xf16>
  return %y : tensor<2x8xf16>
}

// CHECK-LABEL: func @factor_left(
// CHECK-DAG: %[[C:.*]] = ane.constant dense<2.500000e-01> : tensor<2x8xf16>
// CHECK-DAG: %[[F:.*]] = ane.ceil
// CHECK: ane.mul %[[F]], %[[C]]
func.func @factor_left(%x: tensor<2x8xf16>) -> tensor<2x8xf16> {
  %c = ane.constant dense<0.25> : tensor<1x1xf16>
  %f = ane.ceil %x : (tensor<2x8xf16>) -> tensor<2x8xf16>
  %y = ane.mul %c, %f : (tensor<1x1xf16>, tensor<2x8xf16>) -> tensor<2x8xf16>
  return %y : tensor<2x8xf16>
}

// CHECK-LABEL: func @silu(
// CHECK: ane.silu
// SILU-LABEL: func @silu(
// SILU: %[[N:.*]] = ane.mul %arg0, %{{.*}}
// SILU: %[[E:.*]] = ane.exp %[[N]]
// SILU: %[[D:.*]] = ane.add %[[E]], %{{.*}}
// SILU: ane.real_div %arg0, %[[D]]
func.func @silu(%x: tensor<2x8xf16>) -> tensor<2x8xf16> {
  %y = ane.silu %x : (tensor<2x8xf16>) -> tensor<2x8xf16>
  return %y : tensor<2x8xf16>
}
