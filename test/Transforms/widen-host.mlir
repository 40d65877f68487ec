// RUN: ane-opt %s --ane-widen-host | FileCheck %s
// RUN: ane-opt %s --ane-widen-host=marked-only | FileCheck %s --check-prefix=MARKED

// The host computes in fp32, from weights as they were; the engine gets fp16. An input that it alone reads stays whole.
// CHECK-LABEL: func @mixed(%arg0: tensor<4xf32>, %arg1: tensor<4xf16>) -> tensor<4xf32>
// CHECK: %[[W:.+]] = ane.constant dense<1.000000e-01> : tensor<4xf32>
// CHECK: %[[A:.+]] = ane.atan %arg0 {{.*}} : (tensor<4xf32>) -> tensor<4xf32>
// CHECK: %[[B:.+]] = ane.mul %[[A]], %[[W]] {{.*}} -> tensor<4xf32>
// CHECK: %[[H:.+]] = ane.cast %[[B]] {ane.placement = "host", {{.*}}dtype = f16}
// CHECK: %[[C:.+]] = ane.add %[[H]], %arg1 {{.*}} -> tensor<4xf16>
// CHECK: %[[D:.+]] = ane.cast %[[C]] {ane.placement = "host", {{.*}}dtype = f32}
// CHECK: %[[E:.+]] = ane.sinh %[[D]] {{.*}} -> tensor<4xf32>
// CHECK: return %[[E]]
// MARKED-LABEL: func @mixed(%arg0: tensor<4xf16>
// MARKED-NOT: f32>) -> tensor<4xf32>
func.func @mixed(%x: tensor<4xf16>, %z: tensor<4xf16>) -> tensor<4xf16> {
  %w32 = ane.constant dense<0.1> : tensor<4xf32>
  %w = ane.cast %w32 {dtype = f16} : (tensor<4xf32>) -> tensor<4xf16>
  %a = ane.atan %x {ane.placement = "host"} : (tensor<4xf16>) -> tensor<4xf16>
  %b = ane.mul %a, %w {ane.placement = "host"} : (tensor<4xf16>, tensor<4xf16>) -> tensor<4xf16>
  %c = ane.add %b, %z {ane.placement = "ane"} : (tensor<4xf16>, tensor<4xf16>) -> tensor<4xf16>
  %e = ane.sinh %c {ane.placement = "host"} : (tensor<4xf16>) -> tensor<4xf16>
  return %e : tensor<4xf16>
}

// What it only passes on is not touched.
// CHECK-LABEL: func @moved
// CHECK-NOT: f32
// CHECK: return
func.func @moved(%x: tensor<4xf16>, %i: tensor<2xi32>) -> tensor<2xf16> {
  %y = ane.gather %x, %i {axis = 0, ane.placement = "host"} : (tensor<4xf16>, tensor<2xi32>) -> tensor<2xf16>
  return %y : tensor<2xf16>
}

// A marked op, wherever programs are not placed.
// MARKED-LABEL: func @marked(%arg0: tensor<4xf32>)
// MARKED: ane.log %arg0 {{.*}} : (tensor<4xf32>) -> tensor<4xf32>
// MARKED: ane.cast {{.*}}dtype = f16
// MARKED: ane.relu {{.*}} -> tensor<4xf16>
func.func @marked(%x: tensor<4xf16>) -> tensor<4xf16> {
  %y = ane.log %x {ane.fp32 = "why"} : (tensor<4xf16>) -> tensor<4xf16>
  %z = ane.relu %y {ane.placement = "ane"} : (tensor<4xf16>) -> tensor<4xf16>
  return %z : tensor<4xf16>
}
