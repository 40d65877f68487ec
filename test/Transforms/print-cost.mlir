// What the clock says of each op, and the floors of the doors.
// RUN: ane-opt %s --ane-print-cost=ops=true -o /dev/null | FileCheck %s
// RUN: sed 's/memory/coreml/' %s | ane-opt --ane-print-cost -o /dev/null | FileCheck %s --check-prefix=COREML
// RUN: sed 's/"memory"/"e5rt"/; s/"h16"/"H14G"/' %s | ane-opt --ane-print-cost -o /dev/null | FileCheck %s --check-prefix=H14
module attributes {ane.target = #ane.target<"h16">, ane.door = "memory"} {
// A convolution does its scale, bias, one activation and one residual by itself; the second activation is an op.
// CHECK: "kind":"macs","of":"tail","op":"conv",{{.*}}"winograd":true
// CHECK-NEXT: "kind":"absorbed","of":"tail","op":"mul"
// CHECK-NEXT: "kind":"absorbed","of":"tail","op":"add"
// CHECK-NEXT: "kind":"absorbed","of":"tail","op":"relu"
// CHECK-NEXT: "kind":"absorbed","of":"tail","op":"add"
// CHECK-NEXT: "kind":"elementwise","of":"tail","op":"tanh"
// CHECK-NEXT: "dispatch_us":90,"door":"memory","error":0.25,{{.*}}"target":"h16"
// COREML: "dispatch_us":400,"door":"coreml"
// H14: "dispatch_us":110,"door":"e5rt",{{.*}}"target":"h14"
ane.program ane @tail(%x: tensor<1x32x8x32xf16>) -> tensor<1x32x8x32xf16> {
  %w = ane.constant dense<1.0> : tensor<32x32x3x3xf16>
  %s = ane.constant dense<1.0> : tensor<1x32x1x1xf16>
  %y = ane.conv %x, %w {strides = array<i64: 1, 1>, pad_type = "same", pad = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x32x8x32xf16>, tensor<32x32x3x3xf16>) -> tensor<1x32x8x32xf16>
  %0 = ane.mul %y, %s : (tensor<1x32x8x32xf16>, tensor<1x32x1x1xf16>) -> tensor<1x32x8x32xf16>
  %1 = ane.add %0, %s : (tensor<1x32x8x32xf16>, tensor<1x32x1x1xf16>) -> tensor<1x32x8x32xf16>
  %2 = ane.relu %1 : (tensor<1x32x8x32xf16>) -> tensor<1x32x8x32xf16>
  %3 = ane.add %2, %x : (tensor<1x32x8x32xf16>, tensor<1x32x8x32xf16>) -> tensor<1x32x8x32xf16>
  %4 = ane.tanh %3 : (tensor<1x32x8x32xf16>) -> tensor<1x32x8x32xf16>
  ane.return %4 : tensor<1x32x8x32xf16>
}

// Splitting heads off channels, or rows off the plane, renumbers; taking channels to the width copies.
// CHECK-NEXT: "kind":"move","of":"views","op":"reshape"
// CHECK-NEXT: "kind":"softmax","of":"views","op":"softmax"
// CHECK-NEXT: "kind":"pool","of":"views","op":"reduce_mean"
// CHECK-NEXT: "program":"views"
ane.program ane @views(%x: tensor<1x64x4x8xf16>) -> tensor<1x32x1x1xf16> {
  %0 = ane.reshape %x {shape = array<i64: 1, 4, 16, 32>} : (tensor<1x64x4x8xf16>) -> tensor<1x4x16x32xf16>
  %1 = ane.reshape %0 {shape = array<i64: 1, 32, 1, 64>} : (tensor<1x4x16x32xf16>) -> tensor<1x32x1x64xf16>
  %2 = ane.softmax %1 {axis = 3 : i64} : (tensor<1x32x1x64xf16>) -> tensor<1x32x1x64xf16>
  %3 = ane.reduce_mean %2 {axes = array<i64: 2, 3>, keep_dims = true} : (tensor<1x32x1x64xf16>) -> tensor<1x32x1x1xf16>
  ane.return %3 : tensor<1x32x1x1xf16>
}
}
